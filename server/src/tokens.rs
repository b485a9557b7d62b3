//! Signed tokens for programs and sockets: short, and good only while the sign-in behind them is.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::SessionId;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

/// How long an access token holds.
pub const ACCESS: TimeDelta = TimeDelta::hours(1);
/// How long a socket's ticket holds.
pub const TICKET: TimeDelta = TimeDelta::seconds(30);

/// What a token is for. One for one thing is not taken for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// `Authorization: Bearer`.
    Access,
    /// `/ws?ticket=`, once.
    Socket,
}

impl Use {
    const fn name(self) -> &'static str {
        match self {
            Self::Access => "api",
            Self::Socket => "socket",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: SessionId,
    aud: String,
    iat: i64,
    exp: i64,
    jti: String,
}

/// Signs and reads tokens (JWT, HS256).
pub struct Tokens {
    sign: EncodingKey,
    check: DecodingKey,
    /// Tickets that were used and would still hold, with their ends.
    used: Mutex<HashMap<String, i64>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    /// Tokens under `key`.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self {
            sign: EncodingKey::from_secret(key),
            check: DecodingKey::from_secret(key),
            used: Mutex::default(),
        }
    }

    /// A token for the sign-in, until `now` plus `holds`. `random` makes it another one than any before.
    ///
    /// # Errors
    /// [`store::Error::Internal`] if it cannot be signed.
    pub fn issue(
        &self,
        what_for: Use,
        session: SessionId,
        now: DateTime<Utc>,
        holds: TimeDelta,
        random: [u8; 16],
    ) -> Result<String, store::Error> {
        let claims = Claims {
            sub: session,
            aud: what_for.name().to_owned(),
            iat: now.timestamp(),
            exp: (now + holds).timestamp(),
            jti: hex::encode(random),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.sign)
            .map_err(|error| store::Error::Internal(format!("token: {error}")))
    }

    /// The sign-in of a token that is ours, for this use, and holds. A ticket is used up by it.
    pub fn read(&self, what_for: Use, token: &str, now: DateTime<Utc>) -> Option<SessionId> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[what_for.name()]);
        validation.set_required_spec_claims(&["exp", "aud", "sub"]);
        // Against our own clock, which tests can set.
        validation.validate_exp = false;
        let claims = decode::<Claims>(token, &self.check, &validation)
            .ok()?
            .claims;
        let now = now.timestamp();
        if claims.exp <= now {
            return None;
        }
        if what_for == Use::Socket {
            // A poisoned lock still holds a whole list.
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.retain(|_, exp| *exp > now);
            if used.insert(claims.jti, claims.exp).is_some() {
                return None;
            }
        }
        Some(claims.sub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_one_use_and_a_while() {
        let tokens = Tokens::new(&[7; 32]);
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
        let session = SessionId::new(now, [1; 10]);
        let access = tokens
            .issue(Use::Access, session, now, ACCESS, [1; 16])
            .expect("a token");
        let read = |what_for, token: &str, later| tokens.read(what_for, token, now + later);
        assert_eq!(read(Use::Access, &access, TimeDelta::zero()), Some(session));
        assert_eq!(
            read(Use::Access, &access, ACCESS - TimeDelta::seconds(1)),
            Some(session)
        );
        assert_eq!(read(Use::Access, &access, ACCESS), None, "it has ended");
        assert_eq!(
            read(Use::Socket, &access, TimeDelta::zero()),
            None,
            "it is for the API"
        );
        assert_eq!(
            Tokens::new(&[8; 32]).read(Use::Access, &access, now),
            None,
            "another key"
        );
        assert_eq!(read(Use::Access, "rubbish", TimeDelta::zero()), None);

        let ticket = tokens
            .issue(Use::Socket, session, now, TICKET, [2; 16])
            .expect("a ticket");
        assert_eq!(read(Use::Socket, &ticket, TimeDelta::zero()), Some(session));
        assert_eq!(
            read(Use::Socket, &ticket, TimeDelta::zero()),
            None,
            "it was used"
        );
    }

    #[test]
    fn a_token_without_a_signature_is_none() {
        let tokens = Tokens::new(&[7; 32]);
        // {"alg":"none"} . {"sub":"0190…","aud":"api","iat":0,"exp":9999999999,"jti":"x"} .
        let forged = concat!(
            "eyJhbGciOiJub25lIn0.",
            "eyJzdWIiOiIwMTk4MDAwMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDEiLCJhdWQiOiJhcGkiLCJpYXQiOjAsImV4cCI6OTk5OTk5OTk5OSwianRpIjoieCJ9."
        );
        assert_eq!(tokens.read(Use::Access, forged, DateTime::UNIX_EPOCH), None);
    }
}

//! The audit log: each entry carries the hash of the one before, and signed
//! checkpoints pin the chain, so that a changed, removed, reordered or
//! truncated entry is found. (A plain chain: RFC 6962's tree would prove single
//! entries to outsiders, which nobody here asks for.)
//!
//! What a checkpoint says holds for whoever cannot sign. Entries after the last
//! checkpoint can be cut off or written anew unnoticed, and with a checkpoint
//! goes what it alone pinned: sign often, and keep a copy of the last one
//! where those who can write to the database cannot.

use chrono::{DateTime, Utc};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256, as hex in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the first entry names as the one before.
    pub const ZERO: Self = Self([0; 32]);

    /// Reads 64 hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .ok()
            .map(|()| Self(bytes))
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("64 hex digits expected"))
    }
}

/// Both databases keep microseconds; what is hashed must be what is read back.
fn to_the_microsecond(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

/// Seconds and nanoseconds: the whole of a moment, so that no part of it can be changed unnoticed.
fn moment(at: DateTime<Utc>) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&at.timestamp().to_be_bytes());
    bytes[8..].copy_from_slice(&at.timestamp_subsec_nanos().to_be_bytes());
    bytes
}

/// What is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who: [`crate::Viewer::actor`].
    pub actor: String,
    /// What, as `noun.verb`: `review.opened`, `policy.set`.
    pub action: String,
    /// About whom or what, as `kind:id`; empty for nothing in particular.
    pub subject: String,
    /// Prior and resulting state and reason, as JSON text. Never a secret.
    pub detail: String,
    /// The caller's address, if there is one.
    pub address: Option<String>,
}

/// A recorded entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place, from 1 without gaps.
    pub seq: i64,
    /// When, to the microsecond.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// About whom or what.
    pub subject: String,
    /// More, as JSON text, kept to the letter because it is hashed.
    pub detail: String,
    /// The caller's address.
    pub address: Option<String>,
    /// Hash of the entry before.
    pub prev: Hash,
    /// Hash of this one.
    pub hash: Hash,
}

impl Entry {
    /// The entry that follows the one with `prev` at `seq - 1`.
    #[must_use]
    pub fn chain(record: Record, seq: i64, prev: Hash, at: DateTime<Utc>) -> Self {
        let at = to_the_microsecond(at);
        let Record {
            actor,
            action,
            subject,
            detail,
            address,
        } = record;
        let mut entry = Self {
            seq,
            at,
            actor,
            action,
            subject,
            detail,
            address,
            prev,
            hash: Hash::ZERO,
        };
        entry.hash = entry.digest();
        entry
    }

    /// SHA-256 over every field but the hash, each with its length in front, so
    /// that no text can be moved from one field into the next unnoticed.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let mut sha = Sha256::new();
        sha.update(b"optimus-audit-1");
        sha.update(self.seq.to_be_bytes());
        sha.update(moment(self.at));
        let address = self.address.as_deref().unwrap_or_default();
        for text in [
            &self.actor,
            &self.action,
            &self.subject,
            &self.detail,
            address,
        ] {
            sha.update((text.len() as u64).to_be_bytes());
            sha.update(text.as_bytes());
        }
        sha.update([u8::from(self.address.is_some())]);
        sha.update(self.prev.0);
        Hash(sha.finalize().into())
    }
}

/// The chain's head at a moment, signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The last entry then.
    pub seq: i64,
    /// Its hash.
    pub hash: Hash,
    /// When it was signed, to the microsecond.
    pub at: DateTime<Utc>,
    /// Ed25519 (RFC 8032) over seq, hash and time, in hex.
    pub signature: String,
}

impl Checkpoint {
    /// Signs the head.
    #[must_use]
    pub fn sign(key: &SigningKey, seq: i64, hash: Hash, at: DateTime<Utc>) -> Self {
        let at = to_the_microsecond(at);
        let signature = hex::encode(key.sign(&Self::message(seq, hash, at)).to_bytes());
        Self {
            seq,
            hash,
            at,
            signature,
        }
    }

    /// Whether `key` signed it.
    #[must_use]
    pub fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        let mut bytes = [0; 64];
        hex::decode_to_slice(&self.signature, &mut bytes).is_ok()
            && key
                .verify_strict(
                    &Self::message(self.seq, self.hash, self.at),
                    &Signature::from_bytes(&bytes),
                )
                .is_ok()
    }

    fn message(seq: i64, hash: Hash, at: DateTime<Utc>) -> Vec<u8> {
        let mut message = b"optimus-checkpoint-1".to_vec();
        message.extend(seq.to_be_bytes());
        message.extend(hash.0);
        message.extend(moment(at));
        message
    }
}

/// What is wrong with a log, at which entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Broken {
    /// The entry's hash is not that of its content.
    #[error("entry {seq} was changed")]
    Changed {
        /// Which.
        seq: i64,
    },
    /// An entry is missing, or out of its place.
    #[error("entry {expected} is missing; {found} stands in its place")]
    OutOfPlace {
        /// What should be here.
        expected: i64,
        /// What is.
        found: i64,
    },
    /// The entry does not name the one before it.
    #[error("entry {seq} does not follow the one before it")]
    Unchained {
        /// Which.
        seq: i64,
    },
    /// A checkpoint's signature is not the portal's.
    #[error("the checkpoint at entry {seq} is not signed by the portal's key")]
    Forged {
        /// Which.
        seq: i64,
    },
    /// The log says another thing than was signed.
    #[error("entry {seq} is not the one that was signed")]
    Replaced {
        /// Which.
        seq: i64,
    },
    /// A checkpoint speaks of an entry that is not there any more.
    #[error("the log ends at {last}, but entry {signed} was signed")]
    Truncated {
        /// The last that is there.
        last: i64,
        /// The one that was signed.
        signed: i64,
    },
}

/// Reads a log entry by entry, from the first to the last, keeping only the
/// place that it is at. What it answered about a broken log after the first
/// error means nothing.
#[derive(Debug, Clone)]
pub struct Verifier {
    last: i64,
    hash: Hash,
    checkpoints: std::iter::Peekable<std::vec::IntoIter<Checkpoint>>,
}

impl Verifier {
    /// Starts before the first entry.
    ///
    /// # Errors
    /// [`Broken::Forged`] for a checkpoint that `key` did not sign.
    pub fn new(mut checkpoints: Vec<Checkpoint>, key: &VerifyingKey) -> Result<Self, Broken> {
        if let Some(forged) = checkpoints
            .iter()
            .find(|checkpoint| !checkpoint.is_signed_by(key))
        {
            return Err(Broken::Forged { seq: forged.seq });
        }
        checkpoints.sort_by_key(|checkpoint| checkpoint.seq);
        Ok(Self {
            last: 0,
            hash: Hash::ZERO,
            checkpoints: checkpoints.into_iter().peekable(),
        })
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn next(&mut self, entry: &Entry) -> Result<(), Broken> {
        let seq = entry.seq;
        if seq != self.last + 1 {
            return Err(Broken::OutOfPlace {
                expected: self.last + 1,
                found: seq,
            });
        }
        if entry.digest() != entry.hash {
            return Err(Broken::Changed { seq });
        }
        if entry.prev != self.hash {
            return Err(Broken::Unchained { seq });
        }
        while let Some(checkpoint) = self.checkpoints.next_if(|checkpoint| checkpoint.seq <= seq) {
            if checkpoint.seq == seq && checkpoint.hash != entry.hash {
                return Err(Broken::Replaced { seq });
            }
        }
        (self.last, self.hash) = (seq, entry.hash);
        Ok(())
    }

    /// Ends: how many entries there were, and the last one's hash.
    ///
    /// # Errors
    /// [`Broken::Truncated`] if an entry after the last one was signed.
    pub fn finish(mut self) -> Result<(i64, Hash), Broken> {
        match self
            .checkpoints
            .find(|checkpoint| checkpoint.seq > self.last)
        {
            Some(Checkpoint { seq: signed, .. }) => Err(Broken::Truncated {
                last: self.last,
                signed,
            }),
            None => Ok((self.last, self.hash)),
        }
    }
}

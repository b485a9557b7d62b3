//! What sources over HTTP share beyond the [way out](crate::net): a key that is
//! fetched or kept, patience with a busy ERP, and answers judged alike.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use base64::Engine as _;
use reqwest::{
    Method, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE},
};
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::{sync::Mutex, time::Instant};

use crate::{
    Error, Guard, PHOTO_BYTES,
    net::{Answer, Http},
    saml::Signer,
};

/// How long a pull waits of its own accord, when the ERP asks for a rest.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often a question is asked before its failure counts.
const TRIES: u32 = 4;
/// A token is not used in the last minute of its life: the two clocks need not agree.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);

const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");

/// A setting's value, if something is entered.
pub(crate) fn given<'a>(settings: &'a BTreeMap<String, String>, key: &str) -> Option<&'a str> {
    settings
        .get(key)
        .map(|value| value.trim())
        .filter(|value| !value.is_empty())
}

/// An ERP with what opens it.
#[derive(Debug)]
pub(crate) struct Web {
    pub(crate) http: Http,
    key: Key,
}

/// What is shown at the door.
enum Key {
    None,
    Header(HeaderName, HeaderValue),
    Fetched(Box<Credentials>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no key",
            Self::Header(..) => "a key",
            Self::Fetched(_) => "client credentials",
        })
    }
}

/// What a token is got for.
struct Credentials {
    http: Http,
    url: Url,
    grant: Grant,
    token: Mutex<Option<Token>>,
}

enum Grant {
    /// OAuth 2.0 client credentials (RFC 6749, 4.4): always the same form.
    Secret(String),
    /// A SAML assertion (RFC 7522), made each time.
    Signed(Box<Signed>),
}

struct Signed {
    signer: Signer,
    company: String,
    /// How many were made.
    made: AtomicU64,
}

struct Token {
    header: HeaderValue,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds; some write it as a text.
    expires_in: Option<Json>,
}

/// A question.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
    /// Whether it changes nothing, so that it may be asked again.
    pub(crate) reads: bool,
}

impl Ask {
    pub(crate) fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: None,
            reads: true,
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        self
    }
}

impl Web {
    /// An ERP at the setting `url`, opened by whichever of these is entered:
    /// `user` and `password`, `token`, `key_header` and `key`, or `token_url`,
    /// `client_id`, `client_secret` and perhaps `scope`; or with `token_url` and
    /// `client_id` a `private_key`, `api_user` and `company`.
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::NotAllowed`].
    pub(crate) fn open(guard: &Guard, settings: &BTreeMap<String, String>) -> Result<Self, Error> {
        let get = |key: &str| given(settings, key);
        let needed = |key: &str, with: &str| {
            get(key).ok_or_else(|| Error::setting(key, format!("is needed with {with}")))
        };
        let mut ways = ["user", "token", "key", "token_url"]
            .into_iter()
            .filter(|way| get(way).is_some());
        let way = ways.next();
        if let (Some(one), Some(other)) = (way, ways.next()) {
            let what = format!("and {one} are two ways to sign in; leave one of them empty");
            return Err(Error::setting(other, what));
        }
        let http = guard.open("url", get("url").unwrap_or_default())?;
        let key = match way {
            Some("user") => {
                let pair = format!(
                    "{}:{}",
                    needed("user", "password")?,
                    needed("password", "user")?
                );
                let pair = base64::engine::general_purpose::STANDARD.encode(pair);
                Key::Header(AUTHORIZATION, secret("password", &format!("Basic {pair}"))?)
            }
            Some("token") => {
                let token = get("token").unwrap_or_default();
                Key::Header(AUTHORIZATION, secret("token", &format!("Bearer {token}"))?)
            }
            Some("key") => {
                let name = needed("key_header", "key")?;
                let name = HeaderName::try_from(name)
                    .map_err(|_| Error::setting("key_header", "is not the name of a header"))?;
                Key::Header(name, secret("key", get("key").unwrap_or_default())?)
            }
            Some("token_url") => {
                let url = get("token_url").unwrap_or_default();
                let http = guard.open("token_url", url)?;
                let exact = Url::parse(url)
                    .map_err(|_| Error::setting("token_url", "is not an address"))?;
                let client = needed("client_id", "token_url")?;
                let grant = match get("private_key") {
                    Some(_) if get("client_secret").is_some() => {
                        let what =
                            "and client_secret are two ways to sign in; leave one of them empty";
                        return Err(Error::setting("private_key", what));
                    }
                    Some(pem) => {
                        let user = needed("api_user", "private_key")?;
                        Grant::Signed(Box::new(Signed {
                            signer: Signer::new(pem, client, user, exact.as_str())?,
                            company: needed("company", "private_key")?.to_owned(),
                            made: AtomicU64::new(0),
                        }))
                    }
                    None => {
                        let mut form = vec![
                            ("grant_type", "client_credentials"),
                            ("client_id", client),
                            ("client_secret", needed("client_secret", "token_url")?),
                        ];
                        form.extend(get("scope").map(|scope| ("scope", scope)));
                        Grant::Secret(encoded(&form))
                    }
                };
                Key::Fetched(Box::new(Credentials {
                    http,
                    url: exact,
                    grant,
                    token: Mutex::new(None),
                }))
            }
            _ => Key::None,
        };
        Ok(Self { http, key })
    }

    /// The answer to a question, asked again while that makes sense. An answer
    /// that is an error for the one who asked comes back as it is; see [`good`].
    ///
    /// # Errors
    /// [`Error::Unauthorized`], [`Error::Forbidden`], [`Error::RateLimited`]
    /// and whatever keeps an answer from coming.
    pub(crate) async fn ask(&self, ask: &Ask, what: &str) -> Result<Answer, Error> {
        let mut fresh = false;
        let mut tries = 1;
        let mut leave = HeaderMap::new();
        loop {
            let asked = self.once(ask, &leave, fresh).await;
            if leave.is_empty()
                && let Ok(answer) = &asked
                && answer.status == StatusCode::FORBIDDEN
                && wants_leave(answer)
            {
                leave = self.leave(what).await?;
                continue;
            }
            let error = match asked.and_then(|answer| patience(answer, what)) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let pause = match &error {
                // A token may be withdrawn before its time.
                Error::Unauthorized if matches!(self.key, Key::Fetched(_)) && !fresh => {
                    fresh = true;
                    continue;
                }
                Error::RateLimited { retry_after } => {
                    retry_after.unwrap_or(Duration::from_secs(1) * 2_u32.pow(tries))
                }
                Error::Unreachable { .. } if ask.reads => Duration::from_millis(200) * tries,
                _ => return Err(error),
            };
            if tries == TRIES || pause > LONGEST_WAIT {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }

    /// A token against forged requests, with the cookies that it belongs to: SAP's
    /// gateways take nothing but a GET without one.
    async fn leave(&self, what: &str) -> Result<HeaderMap, Error> {
        let ask = Ask::get(self.http.below("")?).with("x-csrf-token", "fetch");
        let answer = self.once(&ask, &HeaderMap::new(), false).await?;
        let forbidden = || Error::Forbidden {
            what: what.to_owned(),
        };
        let token = answer.headers.get(CSRF_TOKEN).ok_or_else(forbidden)?;
        let cookies: Vec<_> = answer
            .headers
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
            .collect();
        let mut headers = HeaderMap::from_iter([(CSRF_TOKEN, token.clone())]);
        if let Ok(cookies) = HeaderValue::try_from(cookies.join("; ")) {
            headers.insert(COOKIE, cookies);
        }
        headers
            .values_mut()
            .for_each(|value| value.set_sensitive(true));
        Ok(headers)
    }

    async fn once(&self, ask: &Ask, more: &HeaderMap, fresh: bool) -> Result<Answer, Error> {
        let mut headers = ask.headers.clone();
        headers.extend(more.clone());
        match &self.key {
            Key::None => {}
            Key::Header(name, value) => _ = headers.insert(name, value.clone()),
            Key::Fetched(credentials) => {
                headers.insert(AUTHORIZATION, credentials.token(fresh).await?);
            }
        }
        self.http
            .ask(
                ask.method.clone(),
                ask.url.clone(),
                headers,
                ask.body.clone(),
            )
            .await
    }

    /// The photo at `path` below the base: its bytes, or the base64 at `at` of a
    /// JSON answer. None where there is none.
    pub(crate) async fn photo(
        &self,
        url: Url,
        at: Option<&str>,
        what: &str,
    ) -> Result<Option<Vec<u8>>, Error> {
        let answer = self.ask(&Ask::get(url), what).await?;
        if matches!(answer.status.as_u16(), 204 | 404) {
            return Ok(None);
        }
        // One photo that cannot be had must not keep the others from coming.
        let answer =
            good(answer, what).map_err(|error| malformed(what, "the photo", &error.to_string()))?;
        let Some(at) = at else {
            return sized(answer.body, what).map(Some);
        };
        let json = json(&answer.body, what)?;
        match json.pointer(at).and_then(Json::as_str) {
            Some(text) => decoded(text, what),
            None => Ok(None),
        }
    }
}

impl Credentials {
    /// The token as a header; a new one if there is none yet, it is about to end, or it was refused.
    async fn token(&self, fresh: bool) -> Result<HeaderValue, Error> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept
            .as_ref()
            .filter(|token| !fresh && Instant::now() < token.until)
        {
            return Ok(token.header.clone());
        }
        let mut headers = HeaderMap::new();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        let body = self.form().await?.into_bytes();
        let asked = self
            .http
            .ask(Method::POST, self.url.clone(), headers, Some(body));
        let answer = asked.await?;
        if matches!(answer.status.as_u16(), 400 | 401 | 403) {
            return Err(Error::Unauthorized);
        }
        let answer = good(patience(answer, "the token")?, "the token")?;
        let granted: Granted = serde_json::from_slice(&answer.body)
            .map_err(|_| malformed("token_url", "the answer", "holds no access_token"))?;
        let seconds = match &granted.expires_in {
            Some(Json::Number(number)) => number.as_u64(),
            Some(Json::String(text)) => text.parse().ok(),
            _ => None,
        };
        let life = Duration::from_secs(seconds.unwrap_or(300).min(86_400));
        let token = Token {
            header: secret("token", &format!("Bearer {}", granted.access_token))?,
            until: Instant::now() + life.saturating_sub(TOKEN_MARGIN),
        };
        let header = token.header.clone();
        *kept = Some(token);
        Ok(header)
    }

    /// What is posted for a token.
    async fn form(&self) -> Result<String, Error> {
        let signed = match &self.grant {
            Grant::Secret(form) => return Ok(form.clone()),
            Grant::Signed(signed) => signed,
        };
        // An assertion is dated by the clock of whoever judges it.
        let asked = self
            .http
            .ask(Method::GET, self.url.clone(), HeaderMap::new(), None);
        let missing = "is missing; without it an assertion cannot be dated";
        let now = asked.await?.date;
        let now = now.ok_or_else(|| malformed("token_url", "the header Date", missing))?;
        let number = signed.made.fetch_add(1, Ordering::Relaxed);
        let assertion = signed.signer.assertion(now, number)?;
        Ok(encoded(&[
            ("company_id", &signed.company),
            ("client_id", &signed.signer.client),
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:saml2-bearer",
            ),
            ("assertion", &assertion),
        ]))
    }
}

fn secret(key: &str, value: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| Error::setting(key, "holds characters that no key has"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A form as browsers write it (`application/x-www-form-urlencoded`).
fn encoded(form: &[(&str, &str)]) -> String {
    let part = |text: &str| percent(text, "");
    let pairs: Vec<_> = form
        .iter()
        .map(|(name, value)| format!("{}={}", part(name), part(value)))
        .collect();
    pairs.join("&")
}

/// `text` with everything escaped but letters, digits, `-._~` and `keep` (RFC 3986, 2).
pub(crate) fn percent(text: &str, keep: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if plain || keep.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Whether a refusal is for want of a token against forged requests.
fn wants_leave(answer: &Answer) -> bool {
    answer
        .headers
        .get(CSRF_TOKEN)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"required"))
}

/// Answers that say: not with this key, not now, not here.
fn patience(answer: Answer, what: &str) -> Result<Answer, Error> {
    match answer.status.as_u16() {
        401 => Err(Error::Unauthorized),
        403 => Err(Error::Forbidden {
            what: what.to_owned(),
        }),
        429 => Err(Error::RateLimited {
            retry_after: answer.retry_after,
        }),
        503 if answer.retry_after.is_some() => Err(Error::RateLimited {
            retry_after: answer.retry_after,
        }),
        408 | 502..=504 => Err(Error::Unreachable {
            what: format!("{what}: the ERP answers {}", answer.status.as_u16()),
        }),
        _ => Ok(answer),
    }
}

/// A good answer, or what the others mean.
pub(crate) fn good(answer: Answer, what: &str) -> Result<Answer, Error> {
    let status = answer.status.as_u16();
    if answer.status.is_success() {
        return Ok(answer);
    }
    let said = said(&answer.body);
    Err(Error::Rejected {
        what: match (status, said) {
            (404, _) => format!("has no {what}"),
            (_, Some(said)) => format!("refused {what}: {said}"),
            (status, None) => format!("answered {what} with {status}"),
        },
    })
}

/// What an error's body says in its first line; tracebacks and pages are not passed on.
fn said(body: &[u8]) -> Option<String> {
    let json: Json = serde_json::from_slice(body).ok()?;
    let places = [
        "/error/message/value",
        "/error/message",
        "/message",
        "/error_description",
        "/error",
    ];
    let text = places
        .iter()
        .find_map(|place| json.pointer(place)?.as_str())?;
    let line: String = text
        .lines()
        .next()?
        .chars()
        .filter(|c| !c.is_control())
        .take(160)
        .collect();
    let inside = ["Traceback", "File \"", "   at ", "SELECT "];
    let fit = !line.trim().is_empty() && !inside.iter().any(|sign| line.contains(sign));
    fit.then(|| line.trim().to_owned())
}

pub(crate) fn malformed(record: &str, field: &str, what: &str) -> Error {
    Error::Malformed {
        record: record.to_owned(),
        field: field.to_owned(),
        what: what.to_owned(),
    }
}

pub(crate) fn json(body: &[u8], what: &str) -> Result<Json, Error> {
    let wrong = |error: serde_json::Error| {
        let why = if error.is_eof() {
            "breaks off in the middle"
        } else {
            "is not JSON; is this the address of the service itself?"
        };
        malformed(what, "the answer", why)
    };
    serde_json::from_slice(body).map_err(wrong)
}

/// A photo in base64, with or without `data:image/png;base64,` before it.
pub(crate) fn decoded(text: &str, what: &str) -> Result<Option<Vec<u8>>, Error> {
    let text = match text.split_once(";base64,") {
        Some((_, text)) => text,
        None => text,
    };
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| malformed(what, "the photo", "is not base64"))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    sized(bytes, what).map(Some)
}

fn sized(bytes: Vec<u8>, what: &str) -> Result<Vec<u8>, Error> {
    if bytes.len() as u64 > PHOTO_BYTES {
        return Err(Error::TooLarge {
            what: what.to_owned(),
            limit: usize::try_from(PHOTO_BYTES).unwrap_or(usize::MAX),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(settings: &[(&str, &str)]) -> String {
        let settings: BTreeMap<_, _> = settings
            .iter()
            .chain(&[("url", "https://erp.example")])
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let opened = Web::open(&Guard::default(), &settings);
        opened.expect_err("refused").to_string()
    }

    #[test]
    fn a_way_to_sign_in_is_whole_and_the_only_one() {
        assert_eq!(refused(&[("user", "svc")]), "password is needed with user");
        assert_eq!(refused(&[("key", "k")]), "key_header is needed with key");
        let keys = [("key", "k"), ("key_header", "a b")];
        assert_eq!(refused(&keys), "key_header is not the name of a header");
        let two = [("user", "svc"), ("password", "pw"), ("token", "t")];
        assert!(refused(&two).starts_with("token and user are two ways"));
        let far = [("token_url", "http://169.254.169.254/token")];
        assert!(refused(&far).contains("link-local"));
        let some = [("token_url", "https://login.example/t"), ("client_id", "c")];
        assert!(refused(&some).starts_with("client_secret is needed"));
        let mut signed = some.to_vec();
        signed.push(("private_key", "no key"));
        assert!(refused(&signed).starts_with("api_user is needed with private_key"));
        signed.push(("client_secret", "s"));
        assert!(refused(&signed).contains("two ways to sign in"));
        assert!(refused(&[("token", "a\nb")]).starts_with("token holds characters"));
    }

    #[test]
    fn nothing_of_a_key_is_printed() {
        for keys in [
            vec![("user", "svc"), ("password", "s3cret")],
            vec![("token", "s3cret")],
            vec![("key_header", "X-Key"), ("key", "s3cret")],
            vec![
                ("token_url", "https://login.example/t"),
                ("client_id", "c"),
                ("client_secret", "s3cret"),
            ],
            vec![
                ("token_url", "https://login.example/t"),
                ("client_id", "s3cret"),
                ("private_key", include_str!("../tests/service/saml-key.pem")),
                ("api_user", "s3cret"),
                ("company", "s3cret"),
            ],
        ] {
            let settings = keys
                .into_iter()
                .chain([("url", "https://erp.example")])
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            let web = Web::open(&Guard::default(), &settings).expect("opened");
            assert!(!format!("{web:?}").contains("s3cret"), "{web:?}");
            assert!(!format!("{web:?}").contains("czNjcmV0"), "{web:?}");
        }
    }

    #[test]
    fn an_error_is_passed_on_in_one_line_without_its_insides() {
        let line = |text: &str| said(text.as_bytes());
        assert_eq!(
            line(r#"{"error":{"code":"400","message":{"lang":"en","value":"no\nmore"}}}"#),
            Some("no".into())
        );
        assert_eq!(line(r#"{"error":{"message":"bad"}}"#), Some("bad".into()));
        assert_eq!(
            line(r#"{"message":"Traceback (most recent call last)"}"#),
            None
        );
        assert_eq!(line("<html>"), None);
    }
}

//! The two ways into an Odoo: JSON-2 from 19 on, JSON-RPC before it.
//!
//! Both take named arguments here, as JSON-2 has them, and answer the bare
//! result. What differs stays in this file: JSON-RPC wants the user's number,
//! the ids in front, and tells of every failure in an answer of status 200.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use chrono::{DateTime, NaiveDateTime};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value as Json, json};
use tokio::sync::OnceCell;

use super::malformed;
use crate::{
    Error,
    net::{Answer, Http},
};

const DATABASE: HeaderName = HeaderName::from_static("x-odoo-database");
/// How long a pull waits of its own accord, when Odoo asks for a rest.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const TRIES: u32 = 3;

/// A connection to one database, as one user.
pub(super) struct Transport {
    http: Http,
    way: Way,
    /// Odoo's clock at its last answer, in seconds since 1970; 0 before the first.
    clock: AtomicI64,
}

enum Way {
    Json2(HeaderMap),
    JsonRpc {
        database: String,
        login: String,
        key: String,
        user: OnceCell<i64>,
    },
}

/// Odoo's error; `debug`, the traceback, is not even read.
#[derive(Deserialize, Default)]
struct Complaint {
    #[serde(default)]
    name: String,
    #[serde(default)]
    message: String,
}

/// What JSON-RPC puts around a result.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Envelope<T> {
    result: Option<T>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    data: Complaint,
}

/// What was asked for, as far as an error has to say it.
#[derive(Clone, Copy)]
struct Asked<'a> {
    model: &'a str,
    method: &'a str,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

impl Transport {
    pub(super) fn json2(http: Http, database: Option<&str>, key: &str) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        let mut bearer = HeaderValue::try_from(format!("bearer {key}"))
            .map_err(|_| Error::setting("api_key", "holds characters that no key has"))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        if let Some(database) = database {
            let name = HeaderValue::try_from(database).map_err(|_| {
                Error::setting("database", "holds characters that no database name has")
            })?;
            headers.insert(DATABASE, name);
        }
        Ok(Self::new(http, Way::Json2(headers)))
    }

    pub(super) fn json_rpc(http: Http, database: &str, login: &str, key: &str) -> Self {
        Self::new(
            http,
            Way::JsonRpc {
                database: database.to_owned(),
                login: login.to_owned(),
                key: key.to_owned(),
                user: OnceCell::new(),
            },
        )
    }

    fn new(http: Http, way: Way) -> Self {
        Self {
            http,
            way,
            clock: AtomicI64::new(0),
        }
    }

    /// Odoo's own time at its last answer.
    pub(super) fn now(&self) -> Option<NaiveDateTime> {
        match self.clock.load(Ordering::Relaxed) {
            0 => None,
            seconds => DateTime::from_timestamp(seconds, 0).map(|now| now.naive_utc()),
        }
    }

    /// The number of the key's user.
    pub(super) async fn user(&self) -> Result<i64, Error> {
        match &self.way {
            Way::Json2(_) => {
                let context: Map<String, Json> =
                    self.call("res.users", "context_get", &Map::new()).await?;
                let user = context.get("uid").and_then(Json::as_i64);
                user.ok_or_else(|| malformed("res.users", "uid", "is not told"))
            }
            Way::JsonRpc {
                database,
                login,
                key,
                user,
            } => {
                let sign_in = || self.sign_in(database, login, key);
                user.get_or_try_init(sign_in).await.copied()
            }
        }
    }

    /// A page that needs no key.
    pub(super) async fn open_page(&self, path: &str) -> Result<Answer, Error> {
        self.http.get(path).await
    }

    /// One call, tried again while that makes sense: everything here reads, or
    /// sets a value that is the same when it is set twice.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        model: &str,
        method: &str,
        body: &Map<String, Json>,
    ) -> Result<T, Error> {
        let asked = Asked { model, method };
        let mut tries = 1;
        loop {
            let error = match self.once(asked, body).await {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            let pause = match &error {
                Error::RateLimited { retry_after } => retry_after.unwrap_or(LONGEST_WAIT),
                Error::Unreachable { .. } => Duration::from_millis(500) * tries,
                _ => return Err(error),
            };
            if tries == TRIES || pause > LONGEST_WAIT {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }

    async fn once<T: DeserializeOwned>(
        &self,
        asked: Asked<'_>,
        body: &Map<String, Json>,
    ) -> Result<T, Error> {
        match &self.way {
            Way::Json2(headers) => {
                let path = format!("json/2/{}/{}", asked.model, asked.method);
                let answer = self.http.post(&path, headers.clone(), body).await?;
                let bytes = asked.judge(self.hear(answer))?;
                serde_json::from_slice(&bytes).map_err(|_| asked.strange())
            }
            Way::JsonRpc {
                database,
                login,
                key,
                user,
            } => {
                let sign_in = || self.sign_in(database, login, key);
                let user = user.get_or_try_init(sign_in).await?;
                let (ids, named) = positional(asked.method, body);
                let args = json!([database, user, key, asked.model, asked.method, ids, named]);
                let said = self.service(asked, "object", "execute_kw", args).await?;
                said.map_err(|complaint| asked.refusal(&complaint))
            }
        }
    }

    /// The number of the user whose key it is.
    async fn sign_in(&self, database: &str, login: &str, key: &str) -> Result<i64, Error> {
        let asked = Asked {
            model: "the user",
            method: "authenticate",
        };
        let args = json!([database, login, key, {}]);
        let said = self
            .service::<Json>(asked, "common", "authenticate", args)
            .await?;
        match said {
            Ok(Json::Bool(false)) => Err(Error::Unauthorized),
            Ok(user) => user.as_i64().ok_or_else(|| asked.strange()),
            Err(complaint) if complaint.is("AccessDenied") => Err(Error::Unauthorized),
            // Its text names the host and port of Odoo's own database.
            Err(_) => Err(Error::Rejected {
                what: "has no database of this name".into(),
            }),
        }
    }

    async fn service<T: DeserializeOwned>(
        &self,
        asked: Asked<'_>,
        service: &str,
        method: &str,
        args: Json,
    ) -> Result<Result<T, Complaint>, Error> {
        let call = json!({
            "jsonrpc": "2.0", "method": "call", "id": 1,
            "params": {"service": service, "method": method, "args": args},
        });
        let answer = self.http.post("jsonrpc", HeaderMap::new(), &call).await?;
        let bytes = asked.judge(self.hear(answer))?;
        let envelope: Envelope<T> = serde_json::from_slice(&bytes).map_err(|_| asked.strange())?;
        match (envelope.error, envelope.result) {
            (Some(failure), _) => Ok(Err(failure.data)),
            (None, Some(result)) => Ok(Ok(result)),
            (None, None) => Err(asked.strange()),
        }
    }

    fn hear(&self, answer: Answer) -> Answer {
        if let Some(date) = answer.date {
            self.clock.store(date.timestamp(), Ordering::Relaxed);
        }
        answer
    }
}

/// JSON-RPC's arguments: those without a name, then the named ones. The names
/// of the former changed over the versions, their places did not.
fn positional(method: &str, body: &Map<String, Json>) -> (Vec<Json>, Map<String, Json>) {
    let mut named = body.clone();
    let unnamed: &[&str] = match method {
        "read" => &["ids"],
        "write" => &["ids", "vals"],
        "search_count" => &["domain"],
        _ => &[],
    };
    let first = unnamed.iter().filter_map(|name| named.remove(*name));
    (first.collect(), named)
}

impl Complaint {
    /// Whether it is Odoo's exception `name`, in whatever module.
    fn is(&self, name: &str) -> bool {
        self.name.rsplit('.').next() == Some(name)
    }
}

impl Asked<'_> {
    fn strange(&self) -> Error {
        malformed(self.model, "the answer", "is not what Odoo answers")
    }

    /// The body of a good answer, or what the other kinds of answer mean.
    fn judge(&self, answer: Answer) -> Result<Vec<u8>, Error> {
        let rejected = |what: &str| Err(Error::Rejected { what: what.into() });
        let status = answer.status.as_u16();
        if status == 200 {
            return if answer.media_type == "application/json" {
                Ok(answer.body)
            } else {
                let what = "is a page and not data; is this the address of Odoo itself?";
                Err(malformed(self.model, "the answer", what))
            };
        }
        let said: Complaint = serde_json::from_slice(&answer.body).unwrap_or_default();
        match status {
            401 => Err(Error::Unauthorized),
            403 => Err(Error::Forbidden {
                what: self.model.to_owned(),
            }),
            404 if self.method == "authenticate" => rejected("has no JSON-RPC API at this address"),
            404 if said.name.is_empty() => rejected(
                "has no JSON-2 API for this database; it must be Odoo 19 or newer (16 to 18 take api = jsonrpc), and the database's name right",
            ),
            404 if !said.is("MissingError") => Err(no_model(self.model)),
            408 | 502..=504 => Err(Error::Unreachable {
                what: format!("answers {status}"),
            }),
            429 => Err(Error::RateLimited {
                retry_after: answer.retry_after,
            }),
            _ if said.name.is_empty() => Err(self.failed(&format!("with {status} "))),
            _ => Err(self.refusal_with(&said, &format!("with {status} "))),
        }
    }

    fn refusal(&self, said: &Complaint) -> Error {
        self.refusal_with(said, "")
    }

    fn refusal_with(&self, said: &Complaint, how: &str) -> Error {
        let Self { model, method } = self;
        let unknown = said.is("UserError") && *method == "fields_get"
            || said.is("KeyError") && said.message.trim_matches('\'') == *model;
        if said.is("AccessDenied") || said.is("SessionExpiredException") {
            return Error::Unauthorized;
        }
        if said.is("AccessError") {
            return Error::Forbidden {
                what: (*model).to_owned(),
            };
        }
        if said.is("MissingError") {
            return Error::Rejected {
                what: match self.verb() {
                    // Read by people who have never heard of models.
                    "write" => "has no such record any more".to_owned(),
                    _ => format!("has no such record of {model} any more"),
                },
            };
        }
        if unknown {
            return no_model(model);
        }
        // What the database says names its host, or holds a query.
        let line = first_line(&said.message).filter(|_| !said.name.starts_with("psycopg2"));
        match line {
            Some(line) => Error::Rejected {
                what: match self.verb() {
                    "write" => format!("refused it: {line}"),
                    verb => format!("refused to {verb} {model}: {line}"),
                },
            },
            None => self.failed(how),
        }
    }

    fn failed(&self, how: &str) -> Error {
        let (verb, model) = (self.verb(), self.model);
        let doing = if verb == "write" {
            "writing"
        } else {
            "reading"
        };
        Error::Rejected {
            what: format!("failed {how}while {doing} {model}"),
        }
    }

    fn verb(&self) -> &'static str {
        if self.method == "write" {
            "write"
        } else {
            "read"
        }
    }
}

/// The error of a model that the database does not have.
pub(super) fn no_model(model: &str) -> Error {
    Error::Rejected {
        what: format!("has no {model}; is the app installed?"),
    }
}

/// The first line of Odoo's message, unless it smells of a traceback.
fn first_line(message: &str) -> Option<String> {
    let line: String = message
        .lines()
        .next()?
        .chars()
        .filter(|c| !c.is_control())
        .take(160)
        .collect();
    let inside = ["Traceback", "File \"", "psycopg2", "SELECT ", "/usr/"]
        .iter()
        .any(|sign| line.contains(sign));
    (!inside && !line.trim().is_empty()).then(|| line.trim().to_owned())
}

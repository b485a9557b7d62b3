//! Answers in SCIM's form: its media type, and errors as RFC 7644, section 3.12 has them.

use app::{
    edge::{AppError, Problem},
    words,
};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::scim::Refusal;
use serde_json::{Value, json};
use store::{Error, scim::Refused};

/// SCIM's media type.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/scim+json");
/// How long a client is asked to wait while its source is paused, in seconds.
const PAUSED: u64 = 300;

/// A JSON document.
pub(super) fn document(status: StatusCode, body: &Value) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, MEDIA_TYPE)],
        body.to_string(),
    )
        .into_response()
}

/// What went wrong.
#[derive(Debug)]
pub(super) struct Failure {
    /// The HTTP status.
    pub status: u16,
    /// A word of RFC 7644, table 9.
    pub kind: Option<&'static str>,
    /// A sentence.
    pub detail: String,
    /// Seconds to wait.
    retry_after: Option<u64>,
    /// What is logged with a reference.
    cause: Option<Box<Error>>,
}

impl Failure {
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self {
            status,
            kind: None,
            detail: detail.into(),
            retry_after: None,
            cause: None,
        }
    }

    pub fn not_found() -> Self {
        Self::new(404, "There is no such resource.")
    }

    pub fn syntax(detail: impl Into<String>) -> Self {
        Self {
            kind: Some("invalidSyntax"),
            ..Self::new(400, detail)
        }
    }

    /// The error as a document.
    pub fn body(&self) -> Value {
        error(self.status, self.kind, &self.detail)
    }
}

fn error(status: u16, kind: Option<&str>, detail: &str) -> Value {
    let mut body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": status.to_string(),
        "detail": detail,
    });
    if let Some(kind) = kind {
        body["scimType"] = kind.into();
    }
    body
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self {
            kind: Some(refusal.code.name()),
            ..Self::new(refusal.code.status(), refusal.detail)
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Scim(refusal) => refusal.into(),
            Refused::Store(error) => error.into(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::not_found(),
            Error::Unauthenticated => {
                Self::new(401, "The bearer token is missing or is no source's.")
            }
            Error::Conflict("stale_version") => {
                Self::new(412, "The resource has changed: its version is another one.")
            }
            Error::Conflict("source_paused") => Self {
                retry_after: Some(PAUSED),
                ..Self::new(503, "The source is paused in the portal. Push again later.")
            },
            Error::Busy => Self {
                retry_after: Some(1),
                ..Self::new(
                    429,
                    "More is pushed than can be taken on. Push again in a moment.",
                )
            },
            Error::Invalid(violations) => {
                let told: Vec<_> = violations.iter().map(words::violation).collect();
                Self {
                    kind: Some("invalidValue"),
                    ..Self::new(400, told.join(" "))
                }
            }
            error => {
                let problem = Problem::from(&error);
                let (title, _) = words::problem(&problem);
                Self {
                    cause: Some(Box::new(error)),
                    ..Self::new(problem.status, title)
                }
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(mut self) -> Response {
        // With a reference, which the log has too; `dress` gives it its form.
        if let Some(cause) = self.cause.take() {
            return AppError(*cause).into_response();
        }
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = document(status, &self.body());
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Gives SCIM's form to what was refused before a handler was reached, and to what failed in one.
pub(crate) fn dress(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.headers().get(header::CONTENT_TYPE) == Some(&MEDIA_TYPE) {
        return response;
    }
    let detail = match response.extensions().get::<Problem>() {
        Some(problem) => {
            let (title, detail) = words::problem(problem);
            let reference = problem.reference.as_deref();
            reference.map_or(detail, |reference| {
                format!("{title}. Reference: {reference}")
            })
        }
        None => status.canonical_reason().unwrap_or("Refused").to_owned(),
    };
    let mut answer = document(status, &error(status.as_u16(), None, &detail));
    for name in [header::RETRY_AFTER, header::ALLOW, header::WWW_AUTHENTICATE] {
        if let Some(value) = response.headers().get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}

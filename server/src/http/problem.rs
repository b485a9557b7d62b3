//! What went wrong, as a page for people and as `application/problem+json` (RFC 9457) for programs.

use std::any::Any;

use app::{
    edge::{self, AppError, Problem},
    words,
};
use axum::{
    Json,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::Violation;
use serde::Serialize;
use utoipa::ToSchema;

use crate::scim;

/// A problem as programs read it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Body {
    /// `urn:optimus:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// A few words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// A sentence for people.
    pub detail: String,
    /// Stable, for programs.
    pub code: &'static str,
    /// What is wrong with the input, a line for each field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The rule that keeps a value, with code `locked_by_rule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<LockingRule>,
    /// To quote when asking about it, with code `internal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// What is wrong with one field.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// Which.
    pub field: String,
    /// The same as a JSON pointer (RFC 6901) into the body, where it stands deeper in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Stable, for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
}

/// The rule that has the ERP decide.
#[derive(Debug, Serialize, ToSchema)]
pub struct LockingRule {
    /// Its number; 0 is the built-in one.
    pub id: u32,
    /// The attribute, by its SCIM name.
    pub attribute: String,
}

impl From<&Problem> for Body {
    fn from(problem: &Problem) -> Self {
        let (title, detail) = words::problem(problem);
        let rule = problem
            .violations
            .iter()
            .find_map(|violation| match violation {
                Violation::LockedByRule { attribute, rule } => Some(LockingRule {
                    id: *rule,
                    attribute: attribute.clone(),
                }),
                _ => None,
            });
        Self {
            kind: format!("urn:optimus:problem:{}", problem.code),
            title,
            status: problem.status,
            detail,
            code: problem.code,
            errors: problem
                .violations
                .iter()
                .map(|violation| FieldError {
                    field: violation.field().to_owned(),
                    pointer: Some(violation.field())
                        .filter(|field| field.starts_with('/'))
                        .map(str::to_owned),
                    code: violation.code(),
                    detail: words::violation(violation),
                })
                .collect(),
            rule,
            reference: problem.reference.clone(),
        }
    }
}

/// Gives every problem its form: JSON for programs' doors, a page for the others.
pub(super) async fn render(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.starts_with("/scim/") {
        return scim::dress(next.run(request).await);
    }
    if !["/api/", "/ws", "/metrics", "/photos/"]
        .iter()
        .any(|door| path.starts_with(door))
    {
        return edge::pages(request, next).await;
    }
    let response = next.run(request).await;
    let status = response.status();
    let problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        // What axum and the layers refuse by themselves has a status and at most a plain text.
        None if (status.is_client_error() || status.is_server_error()) && is_bare(&response) => {
            bare(status.as_u16(), words::code_of_status(status.as_u16()))
        }
        None => return response,
    };
    let mut answer = (status, Json(Body::from(&problem))).into_response();
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    for name in [header::RETRY_AFTER, header::ALLOW] {
        if let Some(value) = response.headers().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

fn is_bare(response: &Response) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"))
}

/// A problem that is said by its status and code.
pub(crate) fn bare(status: u16, code: &'static str) -> Problem {
    Problem {
        status,
        code,
        violations: Vec::new(),
        retry_after: None,
        reference: None,
    }
}

/// No such door.
pub(super) async fn nothing_here() -> AppError {
    AppError::not_found()
}

/// A handler that panicked; what it said is in the log.
pub(super) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let what = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic");
    AppError(store::Error::Internal(format!(
        "a handler panicked: {what}"
    )))
    .into_response()
}

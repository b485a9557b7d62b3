//! One error for every edge: a code and a status here, the words in [`crate::words`].
//!
//! A handler answers with [`AppError`]; the layer around the pages turns it
//! into a page, the one around the API into `application/problem+json`
//! (RFC 9457). A cause is logged with a reference, and only the reference is
//! shown.

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::Violation;
use leptos::prelude::*;
use uuid::Uuid;

use super::{Nonce, theme};
use crate::{
    document::{PageMeta, document},
    ui::{Doorstep, ErrorState, LinkButton},
    words,
};

/// What a handler can fail with.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct AppError(#[from] pub store::Error);

impl AppError {
    /// What is forbidden and what is missing.
    #[must_use]
    pub const fn not_found() -> Self {
        Self(store::Error::NotFound)
    }
}

impl From<Violation> for AppError {
    fn from(violation: Violation) -> Self {
        Self(violation.into())
    }
}

/// What the layers need to know of a failed request; travels in the response's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// Stable, for programs.
    pub code: &'static str,
    /// What was wrong with the input.
    pub violations: Vec<Violation>,
    /// Seconds to wait, for `Retry-After`.
    pub retry_after: Option<u64>,
    /// To find the cause in the log by; only where there is one.
    pub reference: Option<String>,
}

impl From<&store::Error> for Problem {
    fn from(error: &store::Error) -> Self {
        use store::Error as E;
        let (status, code) = match error {
            E::NotFound => (404, "not_found"),
            E::Forbidden => (403, "forbidden"),
            E::Invalid(_) => (422, "invalid"),
            E::Locked(_) => (409, "locked_by_rule"),
            E::Conflict(code) => (409, *code),
            E::Throttled(_) => (429, "too_many_attempts"),
            E::Unauthenticated => (401, "unauthenticated"),
            E::Busy => (503, "busy"),
            E::Db(_) | E::Internal(_) => (500, "internal"),
        };
        Self {
            status,
            code,
            violations: match error {
                E::Invalid(violations) => violations.clone(),
                E::Locked(violation) => vec![violation.clone()],
                _ => Vec::new(),
            },
            retry_after: match error {
                E::Throttled(seconds) => Some(*seconds),
                E::Busy => Some(1),
                _ => None,
            },
            reference: None,
        }
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let mut problem = Problem::from(&self.0);
        if problem.status >= 500 && problem.code == "internal" {
            let reference = reference();
            tracing::error!(%reference, error = %self.0, "a request failed");
            problem.reference = Some(reference);
        }
        problem.into_response()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Eight hex digits that nobody has to guess: they only find a line of the log.
fn reference() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!(
        "{:08x}",
        RandomState::new().hash_one(std::thread::current().id()) as u32
    )
}

/// Turns a [`Problem`] into a page; other answers pass.
pub async fn pages(request: Request, next: Next) -> Response {
    let nonce = request
        .extensions()
        .get::<Nonce>()
        .cloned()
        .unwrap_or_default();
    let theme = theme(request.headers());
    let response = next.run(request).await;
    let status = response.status();
    // What axum itself refuses (a body that is none, a method that is not there) gets a page as well.
    let bare = status.is_client_error() && !response.headers().contains_key(header::CONTENT_TYPE)
        || response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| {
                status.is_client_error() && kind.as_bytes().starts_with(b"text/plain")
            });
    let problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        None if bare => Problem {
            status: status.as_u16(),
            code: words::code_of_status(status.as_u16()),
            violations: Vec::new(),
            retry_after: None,
            reference: None,
        },
        None => return response,
    };
    let (title, sentence) = words::problem(&problem);
    let page = PageMeta {
        title: title.to_owned(),
        lang: "en-GB".into(),
        theme,
        nonce: nonce.0,
        version: String::new(),
        with_islands: false,
    };
    let html = document(&page, || {
        view! {
            <Doorstep organization="OPTIMUS">
                <ErrorState title=title sentence=sentence reference=problem.reference.clone()>
                    <p><LinkButton text="Go to the start page" href="/" /></p>
                </ErrorState>
            </Doorstep>
        }
    });
    let mut answer = (status, axum::response::Html(html)).into_response();
    if let Some(wait) = response.headers().get(header::RETRY_AFTER) {
        answer
            .headers_mut()
            .insert(header::RETRY_AFTER, wait.clone());
    }
    answer
}

/// An id that names nothing is treated as one of something that is not there.
pub(crate) fn id<T: From<Uuid>>(text: &str) -> Result<T, AppError> {
    text.parse::<Uuid>()
        .map(T::from)
        .map_err(|_| AppError::not_found())
}

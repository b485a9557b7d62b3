//! What a request brings: a body, parameters, an id. What cannot be read is a problem that names it.

use std::str::FromStr;

use app::edge::{AppError, Problem};
use axum::{
    Json,
    extract::{
        FromRequest, FromRequestParts, Path, Query, Request,
        rejection::{JsonRejection, QueryRejection},
    },
    http::request::Parts,
    response::{IntoResponse as _, Response},
};
use domain::Violation;
use serde::de::DeserializeOwned;

/// A JSON body.
#[derive(Debug)]
pub struct Input<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(JsonRejection::JsonDataError(error)) => {
                Err(refused(422, "invalid", &error.body_text()))
            }
            Err(JsonRejection::JsonSyntaxError(error)) => {
                Err(refused(400, "bad_request", &error.body_text()))
            }
            // Too large, or of another media type: the status says it all.
            Err(other) => Err(other.status().into_response()),
        }
    }
}

/// Parameters of the address.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        Query::<T>::from_request_parts(parts, state)
            .await
            .map(|Query(value)| Self(value))
            .map_err(|error: QueryRejection| refused(422, "invalid", &error.body_text()))
    }
}

/// An id in the path. One that is none names nothing that is there.
#[derive(Debug)]
pub struct Id<T>(pub T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AppError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| AppError::not_found())?;
        text.parse().map(Self).map_err(|_| AppError::not_found())
    }
}

/// serde says `… target type: members[0]: invalid length at line 1 column 20`: the field stands before
/// the first colon of what follows, the reason after it.
fn refused(status: u16, code: &'static str, text: &str) -> Response {
    let said = text
        .rsplit_once("target type: ")
        .map_or(text, |(_, said)| said);
    let said = said.split(" at line ").next().unwrap_or(said);
    let (field, expected) = match said.split_once(": ") {
        Some((field, expected)) if !field.contains(' ') => (field, expected),
        _ => ("body", said),
    };
    let violation = Violation::BadFormat {
        field: field.to_owned(),
        expected: expected.chars().take(200).collect(),
    };
    Problem {
        status,
        code,
        violations: vec![violation],
        retry_after: None,
        reference: None,
    }
    .into_response()
}

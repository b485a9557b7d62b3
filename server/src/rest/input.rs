//! What a request brings: a body, parameters, an id. What cannot be read is a problem that names it.

use std::str::FromStr;

use app::edge::{AppError, Problem};
use axum::{
    Json,
    extract::{
        FromRequest, FromRequestParts, Path, Query, Request,
        rejection::{JsonRejection, QueryRejection},
    },
    http::{header, request::Parts},
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

/// A JSON body, or what goes without saying where nothing was sent.
#[derive(Debug)]
pub struct InputOr<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for InputOr<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        if request.headers().contains_key(header::CONTENT_TYPE) {
            Input::from_request(request, state)
                .await
                .map(|Input(value)| Self(value))
        } else {
            Ok(Self(T::default()))
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

/// Two ids in the path.
#[derive(Debug)]
pub struct Ids<A, B>(pub A, pub B);

impl<A: FromStr, B: FromStr, S: Send + Sync> FromRequestParts<S> for Ids<A, B> {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AppError> {
        let Path((first, second)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|_| AppError::not_found())?;
        match (first.parse(), second.parse()) {
            (Ok(first), Ok(second)) => Ok(Self(first, second)),
            _ => Err(AppError::not_found()),
        }
    }
}

/// What axum refuses, with the field that serde names.
fn refused(status: u16, code: &'static str, text: &str) -> Response {
    let violation = match status {
        400 => Violation::BadFormat {
            field: "request".into(),
            expected: "JSON".into(),
        },
        _ => violation(text),
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

/// serde says `… target type: members[0]: invalid length 2, expected … at line 1 column 20` or, for parameters,
/// `… query string: limit: invalid digit …`: the field stands before the first colon, the reason after it.
fn violation(text: &str) -> Violation {
    let said = ["target type: ", "query string: "]
        .iter()
        .find_map(|before| text.split_once(before))
        .map_or(text, |(_, said)| said);
    let said = said.split(" at line ").next().unwrap_or(said);
    let (path, said) = match said.split_once(": ") {
        Some((path, said)) if !path.contains(' ') => (path, said),
        _ => ("", said),
    };
    let named = || said.split('`').nth(1).unwrap_or_default().to_owned();
    let below = |name: String| {
        if path.is_empty() {
            name
        } else {
            format!("{path}.{name}")
        }
    };
    let field = if path.is_empty() { "request" } else { path }.to_owned();
    let expected = said
        .split_once(", expected ")
        .map(|(_, expected)| expected.replace('`', ""));
    if said.starts_with("missing field") {
        Violation::Required {
            field: below(named()),
        }
    } else if said.starts_with("unknown field") {
        Violation::Unknown {
            field: below(named()),
            value: named(),
            allowed: expected.unwrap_or_default(),
        }
    } else if said.starts_with("unknown variant") {
        Violation::Unknown {
            field,
            value: named(),
            allowed: expected.unwrap_or_default(),
        }
    } else {
        let expected = expected.unwrap_or_else(|| {
            let kind = if said.starts_with("UUID") {
                "an id"
            } else {
                "another value"
            };
            kind.to_owned()
        });
        Violation::BadFormat { field, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serde_says_becomes_a_violation_of_a_field() {
        let said = |text: &str| {
            let violation = violation(&format!(
                "Failed to deserialize the JSON body into the target type: {text}"
            ));
            (violation.field().to_owned(), violation.code())
        };
        assert_eq!(
            said("missing field `members` at line 1 column 2"),
            ("members".into(), "required")
        );
        assert_eq!(
            said("reason: missing field `text` at line 1 column 2"),
            ("reason.text".into(), "required")
        );
        assert_eq!(
            said("unknown field `extra`, expected one of `version`, `rules` at line 1 column 9"),
            ("extra".into(), "unknown")
        );
        assert_eq!(
            said("rules[0].when: unknown variant `x`, expected `now` at line 1 column 9"),
            ("rules[0].when".into(), "unknown")
        );
        assert_eq!(
            said("seq: invalid type: string \"1\", expected i64 at line 1 column 9"),
            ("seq".into(), "bad_format")
        );
        assert_eq!(
            said("members[0]: UUID parsing failed: invalid length at line 1 column 9"),
            ("members[0]".into(), "bad_format")
        );
        let query =
            violation("Failed to deserialize query string: limit: invalid digit found in string");
        assert_eq!(query.field(), "limit");
    }
}

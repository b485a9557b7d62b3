//! What a request asks for: parameters, bodies, versions.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{HeaderMap, HeaderName, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use domain::scim::{AttrPath, Code, Refusal, Wanted};
use serde_json::Value;
use store::scim::PAGE_MAX;

use super::Failure;

/// The parameters of a query (RFC 7644, section 3.4.2).
#[derive(Debug)]
pub(super) struct Ask {
    /// Which attributes.
    pub wanted: Wanted,
    /// Which resources.
    pub filter: Option<String>,
    /// In which order, and whether downwards.
    pub sort: Option<(AttrPath, bool)>,
    /// From which one on, from 1.
    pub start: u64,
    /// How many.
    pub count: usize,
}

impl Ask {
    /// From parameters by name.
    fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Failure> {
        let number = |name: &str, absent: i64| match get(name) {
            None => Ok(absent),
            Some(text) => text
                .trim()
                .parse::<i64>()
                .map_err(|_| Refusal::new(Code::InvalidValue, format!("{name} is a whole number"))),
        };
        let descending =
            get("sortOrder").is_some_and(|order| order.eq_ignore_ascii_case("descending"));
        let sort = get("sortBy")
            .filter(|path| !path.is_empty())
            .map(|path| {
                let path = AttrPath::parse(path);
                path.map_err(|what| Refusal::new(Code::InvalidPath, format!("sortBy: {what}")))
            })
            .transpose()?;
        let names = |name: &str| get(name).map(Wanted::names).unwrap_or_default();
        // Less than nothing is nothing, and before the first is the first.
        Ok(Self {
            wanted: Wanted {
                attributes: names("attributes"),
                excluded: names("excludedAttributes"),
            },
            filter: get("filter")
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
            sort: sort.map(|path| (path, descending)),
            start: u64::try_from(number("startIndex", 1)?).unwrap_or(1).max(1),
            count: usize::try_from(number("count", PAGE_MAX as i64)?).unwrap_or(0),
        })
    }

    /// From the body of a search (RFC 7644, section 3.4.3).
    pub fn of_body(body: &Value) -> Result<Self, Failure> {
        let object = body
            .as_object()
            .ok_or_else(|| Failure::syntax("A search is a JSON object."))?;
        let mut texts = Vec::new();
        for (name, value) in object {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Array(items) => {
                    let names: Vec<_> = items.iter().filter_map(Value::as_str).collect();
                    names.join(",")
                }
                _ => continue,
            };
            texts.push((name.as_str(), text));
        }
        Self::read(|name| {
            let (_, text) = texts
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
            Some(text)
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Ask {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Failure::syntax("The query cannot be read."))?;
        Self::read(|name| {
            let (_, text) = pairs
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
            Some(text)
        })
    }
}

/// A JSON body, of SCIM's media type or JSON's.
#[derive(Debug)]
pub(super) struct Body(pub Value);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .map(|kind| {
                kind.split(';')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_ascii_lowercase()
            });
        if !matches!(
            kind.as_deref(),
            Some("application/scim+json" | "application/json")
        ) {
            let what = "The body is application/scim+json or application/json.";
            return Err(Failure::new(415, what).into_response());
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(axum::response::IntoResponse::into_response)?;
        let body = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::syntax(format!("The body is no JSON: {error}.")).into_response()
        })?;
        Ok(Self(body))
    }
}

/// The versions that a header names.
#[derive(Debug)]
pub(super) struct Versions(Vec<String>);

impl Versions {
    /// Whether one of them is this; `*` is any.
    pub fn has(&self, version: &str) -> bool {
        self.0.iter().any(|one| one == "*" || one == version)
    }
}

/// The versions in `If-Match` or `If-None-Match`.
pub(super) fn versions(headers: &HeaderMap, name: HeaderName) -> Option<Versions> {
    let text = headers.get(name)?.to_str().ok()?;
    let one = |tag: &str| {
        tag.trim()
            .trim_start_matches("W/")
            .trim_matches('"')
            .to_owned()
    };
    Some(Versions(text.split(',').map(one).collect()))
}

/// The version that a resource has to have for a change; of several the first.
pub(super) fn expected(headers: &HeaderMap) -> Option<String> {
    let Versions(versions) = versions(headers, header::IF_MATCH)?;
    versions.into_iter().next().filter(|version| version != "*")
}

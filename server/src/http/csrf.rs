//! What changes something comes from our own pages, or from a program with a token of its own.
//!
//! Browsers say where a request comes from (`Sec-Fetch-Site`, and `Origin` for what changes something),
//! and a page of another site cannot say otherwise. Who says neither is no browser; without a session
//! cookie there is nothing that another site could make use of.

use app::edge::Problem;
use axum::{
    extract::Request,
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::COOKIE;

/// Refuses what changes something and comes from elsewhere.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if safe || may_change(request.headers()) {
        next.run(request).await
    } else {
        Problem {
            status: 403,
            code: "cross_site",
            violations: Vec::new(),
            retry_after: None,
            reference: None,
        }
        .into_response()
    }
}

fn may_change(headers: &HeaderMap) -> bool {
    // A browser adds no such header by itself.
    let bearer =
        text(headers, header::AUTHORIZATION).is_some_and(|value| value.starts_with("Bearer "));
    bearer || is_same_site(headers).unwrap_or_else(|| !has_session(headers))
}

/// Whether the request comes from our own pages, as far as the browser says.
#[must_use]
pub fn is_same_site(headers: &HeaderMap) -> Option<bool> {
    if let Some(site) = text(headers, "sec-fetch-site") {
        return Some(matches!(site, "same-origin" | "none"));
    }
    let origin = text(headers, header::ORIGIN)?;
    let from = origin.split_once("://").map(|(_, authority)| authority);
    Some(from.is_some() && from == text(headers, header::HOST))
}

fn has_session(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .any(|cookie| cookie.trim().split('=').next() == Some(COOKIE))
}

fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_and_programs_change_something() {
        let may = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| {
                (
                    header::HeaderName::from_static(name),
                    header::HeaderValue::from_static(value),
                )
            });
            may_change(
                &headers
                    .chain([(header::HOST, "portal.example".parse().expect("a host"))])
                    .collect(),
            )
        };
        let cookie = ("cookie", "theme=dark; __Host-optimus=x");
        assert!(may(&[("sec-fetch-site", "same-origin"), cookie]));
        assert!(may(&[("sec-fetch-site", "none"), cookie]));
        assert!(
            !may(&[("sec-fetch-site", "same-site"), cookie]),
            "another port or subdomain"
        );
        assert!(
            !may(&[("sec-fetch-site", "cross-site")]),
            "signing somebody in counts as well"
        );
        assert!(may(&[("origin", "https://portal.example"), cookie]));
        assert!(!may(&[("origin", "https://evil.example"), cookie]));
        assert!(!may(&[("origin", "null"), cookie]));
        assert!(!may(&[cookie]), "a browser would say where it comes from");
        assert!(may(&[("cookie", "theme=dark")]));
        assert!(may(&[]));
        assert!(may(&[
            ("authorization", "Bearer x"),
            ("origin", "https://evil.example")
        ]));
        assert!(!may(&[("authorization", "Basic x"), cookie]));
    }
}

//! Style, client, icons: embedded in the program, or read from `site/` in builds for development.

use axum::{
    Router,
    extract::{Path, RawQuery},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use rust_embed::{EmbeddedFile, RustEmbed};

use app::edge::AppError;

#[derive(RustEmbed)]
#[folder = "../site"]
struct Site;

/// The files. Their addresses hold the build's version, so that browsers may keep them for ever.
pub(super) fn routes() -> Router {
    Router::new()
        .route(
            "/pkg/{file}",
            get(
                |Path(file): Path<String>, query: RawQuery, headers: HeaderMap| async move {
                    answer(&format!("pkg/{file}"), &query, &headers)
                },
            ),
        )
        .route(
            "/icons.svg",
            get(async |query: RawQuery, headers: HeaderMap| answer("icons.svg", &query, &headers)),
        )
        .route(
            "/favicon.svg",
            get(async |query: RawQuery, headers: HeaderMap| {
                answer("favicon.svg", &query, &headers)
            }),
        )
}

fn answer(name: &str, query: &RawQuery, known: &HeaderMap) -> Response {
    let Some(file) = Site::get(name) else {
        return AppError::not_found().into_response();
    };
    let tag = tag(&file);
    let versioned = query
        .0
        .as_deref()
        .is_some_and(|query| query.starts_with("v=") && query.len() > 2);
    let keep = if versioned {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let headers = [
        (header::CONTENT_TYPE, media_type(name)),
        (header::CACHE_CONTROL, keep),
        (header::ETAG, tag.as_str()),
    ];
    if known
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes())
    {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        (headers, file.data).into_response()
    }
}

/// Weak, because the same file goes out compressed or not.
fn tag(file: &EmbeddedFile) -> String {
    format!("W/\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]))
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

/// Names the build: another one when any of the files is.
#[must_use]
pub fn version() -> String {
    let mut names: Vec<_> = Site::iter().collect();
    names.sort_unstable();
    let hashes = names
        .iter()
        .filter_map(|name| Site::get(name))
        .map(|file| file.metadata.sha256_hash());
    // Each hash is one of SHA-256 already: folding them keeps what makes them differ, in their order.
    let sum = hashes.fold([0u8; 32], |sum, hash| {
        std::array::from_fn(|at| sum[at].rotate_left(1) ^ hash[at])
    });
    hex::encode(&sum[..8])
}

/// Which of the files that every page needs are not there.
#[must_use]
pub fn missing() -> Vec<&'static str> {
    [
        "pkg/optimus.css",
        "pkg/optimus.js",
        "pkg/optimus_bg.wasm",
        "icons.svg",
        "favicon.svg",
    ]
    .into_iter()
    .filter(|name| Site::get(name).is_none())
    .collect()
}

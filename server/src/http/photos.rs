//! Portraits by their hash.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use app::edge::AppError;

use super::Server;
use crate::rest::Caller;

/// A portrait, for people who are signed in. It never changes under its hash, but who may see it can:
/// only the viewer's own browser keeps it.
pub(super) async fn show(
    State(server): State<Server>,
    caller: Caller,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Result<Response, AppError> {
    let photo = server.portal.store.photo(&caller.viewer, &hash).await?;
    let tag = format!("\"{hash}\"");
    let kept = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let headers = [
        (header::CACHE_CONTROL, "private, max-age=86400".to_owned()),
        (header::ETAG, tag),
        (header::CONTENT_TYPE, photo.media_type),
    ];
    Ok(if kept {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        (headers, photo.bytes).into_response()
    })
}

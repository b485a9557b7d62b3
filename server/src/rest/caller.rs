//! Who calls: a program with a token, or a signed-in browser.

use std::net::IpAddr;

use app::edge::{AppError, SIGN_IN};
use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use domain::{SessionId, Viewer};
use tower_sessions::Session;

use crate::{http::Server, tokens::Use};

/// Somebody who is signed in.
#[derive(Debug)]
pub struct Caller {
    /// On whose behalf.
    pub viewer: Viewer,
}

impl FromRequestParts<Server> for Caller {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, AppError> {
        let store = &server.portal.store;
        let bearer = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        // Whoever sends a token means it: a bad one is not made good by a cookie.
        let sign_in = match bearer {
            Some(token) => server.tokens.read(Use::Access, token.trim(), store.now()),
            None => browser(parts, server).await,
        };
        let mut viewer = store
            .viewer(sign_in.ok_or(store::Error::Unauthenticated)?)
            .await?;
        viewer.address = parts.extensions.get::<IpAddr>().map(ToString::to_string);
        Ok(Self { viewer })
    }
}

async fn browser(parts: &mut Parts, server: &Server) -> Option<SessionId> {
    let session = Session::from_request_parts(parts, server).await.ok()?;
    session.get(SIGN_IN).await.ok().flatten()
}

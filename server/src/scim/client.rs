//! Who pushes: a program with a source's token.

use std::net::IpAddr;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use domain::{SourceId, Viewer};
use store::Error;

use super::Failure;
use crate::http::Server;

/// A client, by its token.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// Whom the log names.
    pub viewer: Viewer,
    /// Whose people it pushes.
    pub source: SourceId,
}

impl FromRequestParts<Server> for Client {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Failure> {
        let mut viewer = Viewer::system("scim");
        viewer.address = parts.extensions.get::<IpAddr>().map(ToString::to_string);
        let token = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
            .map(|(_, token)| token.trim())
            .ok_or(Error::Unauthenticated)?;
        let source = server.portal.store.scim_source(&viewer, token).await?;
        Ok(Self { viewer, source })
    }
}

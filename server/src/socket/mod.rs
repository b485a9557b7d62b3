//! `/ws`: live conversations. Frames are [`domain::chat`]'s; what they do are the store's verbs.

use app::edge::{AppError, SIGN_IN};
use axum::{
    extract::{Query, State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use domain::{SessionId, Viewer};
use serde::Deserialize;
use std::net::IpAddr;
use tower_sessions::Session;

use crate::{
    http::{Server, is_same_site},
    tokens::Use,
};

mod connection;
mod hub;

pub use hub::{Hub, listen};

/// Largest frame that is taken, in bytes. The longest message, every character written as two `\uXXXX`, has
/// room in it, and one of 100 kB gets an answer instead of a closed socket.
pub const FRAME_MAX: usize = 256 * 1024;
/// A socket's buffers at the start, in bytes. The libraries' own 128 KiB would be most of an idle socket's memory.
const BUFFER: usize = 4096;

#[derive(Deserialize)]
pub(crate) struct Opening {
    ticket: Option<String>,
}

/// Opens a socket for who comes with a ticket, or from our own pages with the session's cookie.
pub(crate) async fn upgrade(
    State(server): State<Server>,
    Query(opening): Query<Opening>,
    session: Session,
    headers: HeaderMap,
    address: Option<axum::Extension<IpAddr>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, AppError> {
    let store = &server.portal.store;
    let sign_in = match opening.ticket {
        Some(ticket) => server.tokens.read(Use::Socket, &ticket, store.now()),
        // A browser sends the cookie for any page that opens a socket; only it says which page.
        None if is_same_site(&headers) == Some(true) => {
            session.get::<SessionId>(SIGN_IN).await.ok().flatten()
        }
        None => None,
    };
    let mut viewer = store
        .viewer(sign_in.ok_or(store::Error::Unauthenticated)?)
        .await?;
    viewer.address = address.map(|axum::Extension(address)| address.to_string());
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(refused) => return Ok(refused.into_response()),
    };
    Ok(upgrade
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_frame_size(FRAME_MAX)
        .max_message_size(FRAME_MAX)
        .on_upgrade(move |socket| serve(server, viewer, socket)))
}

async fn serve(server: Server, viewer: Viewer, socket: axum::extract::ws::WebSocket) {
    let Some(employee) = viewer.id() else { return };
    let store = server.portal.store.clone();
    let (seat, inbox) = server.hub.take_seat(employee, viewer.session);
    // Between the check and the seat the sign-in may have ended, and nobody would have closed this socket.
    let still = match viewer.session {
        Some(session) => store.viewer(session).await.is_ok(),
        None => false,
    };
    if still {
        server.hub.arrived(&store, &viewer).await;
        connection::serve(&store, &server.hub, &viewer, socket, inbox).await;
    }
    drop(seat);
    server.hub.went(&store, &viewer).await;
}

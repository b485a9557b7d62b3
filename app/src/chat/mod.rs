//! Chat: the list, a thread, and starting one. Every page reads and writes without a script; the
//! islands make it live.

pub mod island;
pub mod live;
pub mod text;
pub mod thread;

#[cfg(feature = "ssr")]
mod form;
#[cfg(feature = "ssr")]
mod page;
#[cfg(feature = "ssr")]
mod start;

#[cfg(feature = "ssr")]
use axum::routing::{get, post};

/// The pages and forms of chat.
#[cfg(feature = "ssr")]
pub fn routes() -> axum::Router<crate::portal::Portal> {
    axum::Router::new()
        .route("/chat", get(page::list).post(form::start))
        .route("/chat/new", get(start::new))
        .route("/chat/{id}", get(page::show))
        .route("/chat/{id}/messages", post(form::send))
        .route("/chat/{id}/members", get(start::add).post(form::add))
        .route("/chat/{id}/leave", post(form::leave))
}

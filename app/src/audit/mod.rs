//! The audit log: who did what to what and why, whether it is as it was written, and a copy of it.

use axum::{
    Router,
    routing::{get, post},
};

use crate::portal::Portal;

mod entry;
mod export;
mod page;
mod verify;
mod words;

/// The pages and forms of the audit log.
pub fn routes() -> Router<Portal> {
    Router::new()
        .route("/console/audit", get(page::show))
        .route("/console/audit/verify", post(verify::verify))
        .route("/console/audit/export", get(export::export))
        .route("/console/audit/{seq}", get(entry::show))
}

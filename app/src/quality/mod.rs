//! Data quality: what in the sources cannot be so, who can mend it where, and how it went.

use axum::{Router, routing::get};

use crate::portal::Portal;

mod page;
mod trend;
mod words;

/// The page.
pub fn routes() -> Router<Portal> {
    Router::new().route("/console/quality", get(page::show))
}

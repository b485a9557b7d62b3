//! Reviews: opened for a reason, read under a band that cannot be closed, ended with a finding.

use axum::{
    Router,
    routing::{get, post},
};

use crate::portal::Portal;

mod form;
mod list;
mod marks;
mod open;
mod page;
pub(crate) mod words;

/// The pages and forms of reviews.
pub fn routes() -> Router<Portal> {
    Router::new()
        .route("/reviews", get(list::show).post(form::open))
        .route("/reviews/new", get(open::show))
        .route("/reviews/{id}", get(page::show))
        .route("/reviews/{id}/extend", post(form::extend))
        .route("/reviews/{id}/end", post(form::end))
}

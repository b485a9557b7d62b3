//! People: the directory, profiles, and the edits of one's own.

use axum::{
    Router,
    routing::{get, post},
};

use crate::portal::Portal;

mod directory;
mod edit;
mod profile;

/// The pages and forms about people.
pub fn routes() -> Router<Portal> {
    Router::new()
        .route("/people", get(directory::show))
        .route("/people/{id}", get(profile::show))
        .route("/people/{id}/edit", get(edit::show).post(edit::save))
        .route("/people/{id}/photo", post(edit::photo))
}

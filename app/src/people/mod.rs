//! People: the directory, profiles, and the edits of one's own.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};

use crate::portal::Portal;

mod delegate;
mod directory;
mod edit;
mod history;
mod profile;

/// Largest form with a photo in it, in bytes.
const PHOTO_FORM_MAX: usize = 6 << 20;

/// The pages and forms about people.
pub fn routes() -> Router<Portal> {
    Router::new()
        .route("/people", get(directory::show))
        .route("/people/{id}", get(profile::show))
        .route(
            "/people/{id}/delegate",
            get(delegate::show).post(delegate::set),
        )
        .route("/people/{id}/delegate/end", post(delegate::end))
        .route("/people/{id}/history", get(history::show))
        .route("/people/{id}/edit", get(edit::show).post(edit::save))
        .route(
            "/people/{id}/photo",
            // A form with a whole photo in it; other forms are small.
            post(edit::photo).layer(DefaultBodyLimit::max(PHOTO_FORM_MAX)),
        )
}

//! Signing in and out, invitations, and one's own sign-ins.

use axum::{
    Router,
    routing::{get, post},
};

use crate::portal::Portal;

mod door;
mod page;

/// The pages and forms of accounts.
pub fn routes() -> Router<Portal> {
    Router::new()
        .route("/sign-in", get(door::sign_in).post(door::do_sign_in))
        .route("/sign-out", post(door::sign_out))
        .route(
            "/invitations/{token}",
            get(door::invitation).post(door::accept),
        )
        .route("/account", get(page::show))
        .route("/account/theme", post(page::theme))
        .route("/account/password", post(page::change_password))
        .route("/account/sign-ins", post(page::revoke))
}

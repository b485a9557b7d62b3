//! Sources: connecting them, testing them, running them, deciding what they leave open.

pub mod island;

#[cfg(feature = "ssr")]
mod form;
#[cfg(feature = "ssr")]
mod list;
#[cfg(feature = "ssr")]
mod page;
#[cfg(feature = "ssr")]
mod run;
#[cfg(feature = "ssr")]
mod words;

#[cfg(feature = "ssr")]
pub use router::routes;

#[cfg(feature = "ssr")]
mod router {
    use axum::{
        Router,
        routing::{get, post},
    };
    use domain::Action;

    use super::{form, list, page, run};
    use crate::{
        edge::{AppError, Visit},
        portal::Portal,
    };

    /// The pages and forms of sources and their runs.
    pub fn routes() -> Router<Portal> {
        Router::new()
            .route("/console/sources", get(list::show))
            .route("/console/sources/new", get(form::new).post(form::create))
            .route("/console/sources/{id}", get(page::show).post(form::change))
            .route("/console/sources/{id}/test", post(page::test))
            .route("/console/sources/{id}/decide", post(page::decide))
            .route("/console/sources/{id}/runs", post(run::start))
            .route("/console/sources/{id}/runs/{run}", get(run::show))
            .route(
                "/console/sources/{id}/runs/{run}/approve",
                post(run::approve),
            )
            .route("/console/sources/{id}/runs/{run}/cancel", post(run::cancel))
    }

    /// For pages that only who manages sources has a use for; the verbs check again.
    pub(super) fn manages(visit: &Visit) -> Result<(), AppError> {
        if visit.viewer.can(Action::ManageSources) {
            Ok(())
        } else {
            Err(AppError::not_found())
        }
    }
}

//! Sources: connecting them, testing them, running them, deciding what they leave open.

pub mod island;

#[cfg(feature = "ssr")]
mod form;
#[cfg(feature = "ssr")]
pub(crate) mod leavers;
#[cfg(feature = "ssr")]
mod limits;
#[cfg(feature = "ssr")]
mod list;
#[cfg(feature = "ssr")]
mod mapping;
#[cfg(feature = "ssr")]
mod page;
#[cfg(feature = "ssr")]
mod people;
#[cfg(feature = "ssr")]
mod push;
#[cfg(feature = "ssr")]
mod run;
#[cfg(feature = "ssr")]
mod schedule;
#[cfg(feature = "ssr")]
mod undo;
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

    use super::{form, leavers, limits, list, mapping, page, people, push, run, schedule, undo};
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
            .route("/console/sources/{id}/decide", post(people::decide))
            .route("/console/sources/{id}/ask-again", post(people::ask_again))
            .route("/console/sources/{id}/unlink", post(people::unlink))
            .route(
                "/console/sources/{id}/correlation",
                post(people::set_correlation),
            )
            .route(
                "/console/sources/{id}/leavers",
                get(leavers::show).post(leavers::decide),
            )
            .route("/console/sources/{id}/token", post(push::renew))
            .route("/console/sources/{id}/token/revoke", post(push::revoke))
            .route(
                "/console/sources/{id}/schedule",
                get(schedule::show).post(schedule::set),
            )
            .route(
                "/console/sources/{id}/mapping",
                get(mapping::show).post(mapping::set),
            )
            .route("/console/sources/{id}/mapping.json", get(mapping::export))
            .route("/console/sources/{id}/limits", post(limits::set))
            .route("/console/sources/{id}/resume", post(limits::resume))
            .route("/console/sources/{id}/runs", post(run::start))
            .route("/console/sources/{id}/runs/{run}", get(run::show))
            .route(
                "/console/sources/{id}/runs/{run}/approve",
                post(run::approve),
            )
            .route("/console/sources/{id}/runs/{run}/cancel", post(run::cancel))
            .route(
                "/console/sources/{id}/runs/{run}/undo",
                get(undo::show).post(undo::undo),
            )
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

//! Corrections: a person says what a locked value should be, an approver decides, the source is
//! written to, and the next read confirms it.

use axum::{
    Router,
    routing::{get, post},
};
use domain::{Attribute, Role, SourceId, Viewer};

use crate::{
    edge::Visit,
    portal::{Portal, open_source},
};

mod form;
mod page;
mod words;

pub(crate) use form::address;
pub(crate) use words::{state, told};

/// The pages and forms of corrections.
pub fn routes() -> Router<Portal> {
    Router::new()
        .route(
            "/people/{id}/corrections/new",
            get(form::show).post(form::propose),
        )
        .route("/corrections", get(page::list))
        .route("/corrections/{id}", get(page::show))
        .route("/corrections/{id}/accept", post(page::accept))
        .route("/corrections/{id}/decline", post(page::decline))
        .route("/corrections/{id}/retry", post(page::retry))
        .route("/corrections/{id}/withdraw", post(page::withdraw))
}

/// Whether the viewer may be one who decides at all: HR, and who oversees somebody.
pub(crate) fn may_decide(viewer: &Viewer, portal: &Portal) -> bool {
    let chart = portal.store.chart();
    let oversees = viewer
        .id()
        .is_some_and(|id| !chart.chart.subtree(id).is_empty());
    oversees || viewer.roles().has(Role::Hr)
}

/// Whether the source takes a value of the attribute from here. Nothing is asked of it: its adapter knows.
async fn takes(visit: &Visit, source: SourceId, attribute: Attribute) -> bool {
    let portal = &visit.portal;
    let viewer = Viewer::system("write_back");
    let opened = open_source(&portal.store, &portal.site.guard, &viewer, source).await;
    matches!(opened, Ok(Ok(adapter)) if adapter.writable().contains(&attribute))
}

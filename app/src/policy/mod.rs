//! The policy console: sourcing rules, the order of sources, oversight and corrections, each with its history.

use axum::{
    Router,
    routing::{get, post},
};
use domain::{Action, policy::Kind};
use leptos::prelude::*;

use crate::{
    edge::{AppError, Visit},
    portal::Portal,
    ui::{Tab, Tabs},
};

mod corrections;
mod history;
mod oversight;
mod priority;
mod rules;

/// The pages and forms of policies.
pub fn routes() -> Router<Portal> {
    Router::new()
        .route("/console/rules", get(rules::show).post(rules::set))
        .route("/console/rules/history", get(history::rules))
        .route(
            "/console/oversight",
            get(oversight::show).post(oversight::set),
        )
        .route("/console/oversight/history", get(history::oversight))
        .route(
            "/console/corrections",
            get(corrections::show).post(corrections::set),
        )
        .route("/console/corrections/history", get(history::corrections))
        .route(
            "/console/source-order",
            get(priority::show).post(priority::set),
        )
        .route("/console/source-order/history", get(history::priority))
        .route(
            "/console/policies/{kind}/roll-back",
            post(history::roll_back),
        )
}

/// Reading a rule is everybody's right; the console is for those who set them.
fn admitted(visit: &Visit) -> Result<(), AppError> {
    if visit.viewer.can(Action::SetPolicies) {
        Ok(())
    } else {
        Err(AppError::not_found())
    }
}

/// The way between the policies.
#[component]
fn PolicyTabs(current: Kind) -> impl IntoView {
    let tab = |label, href: &str, kind| Tab::new(label, href, current == kind);
    view! {
        <Tabs
            label="Policies"
            tabs=vec![
                tab("Sourcing", "/console/rules", Kind::AttributeRules),
                tab("Order of sources", "/console/source-order", Kind::SourcePriority),
                tab("Oversight", "/console/oversight", Kind::Oversight),
                tab("Corrections", "/console/corrections", Kind::Corrections),
            ]
        />
    }
}

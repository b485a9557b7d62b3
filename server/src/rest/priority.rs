//! The order of sources.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use domain::{Attribute, SourceId, Violation, policy::Kind, sourcing::Priority as Kept};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Answer, Caller, Input,
    policies::{Former, InForce, RollBack, history, roll_back},
    shapes::List,
};
use crate::http::Server;

/// Which source is heard first where several speak of one person.
#[derive(Serialize, ToSchema)]
pub struct Priority {
    /// Counts up with every set; 0 before the first.
    version: u32,
    /// The order for everything. Sources that are not in it come after those that are, as they were connected.
    order: Vec<Uuid>,
    /// Another order for some attributes, by their SCIM names.
    attributes: BTreeMap<&'static str, Vec<Uuid>>,
}

impl From<Kept> for Priority {
    fn from(kept: Kept) -> Self {
        let ids = |order: Vec<SourceId>| order.into_iter().map(|id| id.0).collect();
        Self {
            version: kept.version,
            order: ids(kept.order),
            attributes: kept
                .attributes
                .into_iter()
                .map(|(attribute, order)| (attribute.name(), ids(order)))
                .collect(),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPriority {
    /// The version that the caller has read: 409 `stale_version` if another came between.
    version: u32,
    order: Vec<Uuid>,
    #[serde(default)]
    attributes: BTreeMap<String, Vec<Uuid>>,
    /// Why; people see it.
    #[serde(default)]
    note: String,
}

/// The order of sources in force.
#[utoipa::path(get, path = "/policies/source-priority", tag = "policies", responses((status = 200, body = Priority)))]
pub async fn priority(State(server): State<Server>, Caller { viewer }: Caller) -> Answer<Priority> {
    let priority = server.portal.store.policy::<Kept>(&viewer).await?;
    Ok(Json(priority.into()))
}

/// Sets the order of sources, and what is shown of everybody of whom several speak.
#[utoipa::path(put, path = "/policies/source-priority", tag = "policies", request_body = SetPriority, responses((status = 200, body = Priority)))]
pub async fn set_priority(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Input(set): Input<SetPriority>,
) -> Answer<Priority> {
    let ids = |order: Vec<Uuid>| order.into_iter().map(SourceId).collect::<Vec<_>>();
    let attributes = set
        .attributes
        .into_iter()
        .map(|(name, order)| Ok((name.parse::<Attribute>()?, ids(order))))
        .collect::<Result<_, Violation>>()
        .map_err(store::Error::from)?;
    let priority = server
        .portal
        .store
        .set_policy::<Kept>(
            &viewer,
            set.version,
            (ids(set.order), attributes),
            &set.note,
        )
        .await?;
    Ok(Json(priority.into()))
}

/// Every version of the order of sources, newest first.
#[utoipa::path(get, path = "/policies/source-priority/versions", tag = "policies", responses((status = 200, body = List<Former<Priority>>)))]
pub async fn priority_history(
    State(server): State<Server>,
    Caller { viewer }: Caller,
) -> Answer<List<Former<Priority>>> {
    history::<Kept, _>(&server, &viewer).await
}

/// Sets a former version of the order of sources anew, as a version of its own.
#[utoipa::path(post, path = "/policies/source-priority/rollbacks", tag = "policies", request_body = RollBack, responses((status = 200, body = InForce)))]
pub async fn roll_priority_back(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Input(back): Input<RollBack>,
) -> Answer<InForce> {
    roll_back(&server, &viewer, Kind::SourcePriority, back).await
}

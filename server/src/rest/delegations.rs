//! Who stands in for whom.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, NaiveDate, Utc};
use domain::{DelegationId, EmployeeId, delegation::Request};
use serde::{Deserialize, Serialize};
use store::delegation::Delegation as KeptDelegation;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Answer, Caller, Done, Id, Ids, Input, Made, made,
    shapes::{List, Person},
};
use crate::http::Server;

/// A time in which somebody stands in for a superior.
#[derive(Serialize, ToSchema)]
pub struct Delegation {
    id: Uuid,
    /// Who stands in.
    delegate: Person,
    /// The first day.
    from: NaiveDate,
    /// The last day; null for one without end.
    until: Option<NaiveDate>,
    /// The source that says so; null for one that was set in the portal.
    source: Option<String>,
    /// When it was ended before its last day.
    ended_at: Option<DateTime<Utc>>,
    /// Whether it holds now.
    holds: bool,
}

impl From<KeptDelegation> for Delegation {
    fn from(kept: KeptDelegation) -> Self {
        Self {
            id: kept.id.0,
            delegate: kept.delegate.into(),
            from: kept.from,
            until: kept.until,
            source: kept.source_name,
            ended_at: kept.ended_at,
            holds: kept.holds,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetDelegate {
    /// Who stands in.
    delegate: Uuid,
    /// The first day.
    from: NaiveDate,
    /// The last day, at most a year later.
    until: NaiveDate,
}

#[derive(Serialize, ToSchema)]
pub struct Named {
    id: Uuid,
}

/// Who stands in for somebody, or did; for themselves and HR.
#[utoipa::path(get, path = "/employees/{id}/delegations", tag = "organization", params(("id" = Uuid, Path)), responses((status = 200, body = List<Delegation>)))]
pub async fn delegations(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<EmployeeId>,
) -> Answer<List<Delegation>> {
    let kept = server.portal.store.delegations(&viewer, id).await?;
    Ok(Json(List::whole(kept)))
}

/// Names who stands in for somebody who is away.
#[utoipa::path(post, path = "/employees/{id}/delegations", tag = "organization", params(("id" = Uuid, Path)), request_body = SetDelegate, responses((status = 201, body = Named)))]
pub async fn set_delegate(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<EmployeeId>,
    Input(set): Input<SetDelegate>,
) -> Made<Named> {
    let request = Request {
        delegate: EmployeeId(set.delegate),
        from: set.from,
        until: set.until,
    };
    let DelegationId(id) = server
        .portal
        .store
        .set_delegate(&viewer, id, request)
        .await?;
    Ok(made(Named { id }))
}

/// Ends a time in which somebody stands in, now. 409 `delegation_over`.
#[utoipa::path(delete, path = "/employees/{id}/delegations/{delegation}", tag = "organization", params(("id" = Uuid, Path), ("delegation" = Uuid, Path)), responses((status = 204)))]
pub async fn end_delegation(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Ids(id, delegation): Ids<EmployeeId, DelegationId>,
) -> Done {
    let store = &server.portal.store;
    store.end_delegation(&viewer, id, delegation).await?;
    Ok(StatusCode::NO_CONTENT)
}

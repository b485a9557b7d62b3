use std::collections::BTreeMap;

use axum::{Json, body::Bytes, extract::State, http::StatusCode};
use domain::{EmployeeId, UnitId, Value, Viewer, access::Roles};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use store::people::DirectoryQuery;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    Answer, Caller, Done, Id, Input, Params,
    shapes::{Employee, List, Person, Report, Unit},
};
use crate::http::Server;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Search {
    /// Words, each of which has to occur in name, title, unit, mail or number.
    #[serde(default)]
    q: String,
    /// Only people of this unit and those below it.
    unit: Option<Uuid>,
    cursor: Option<String>,
    /// How many, 1 to 200; 50 if absent.
    limit: Option<u32>,
}

/// People who work here now, by name, with what every employee may see of them.
#[utoipa::path(get, path = "/employees", tag = "people", params(Search), responses((status = 200, body = List<Employee>)))]
pub async fn list(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Params(search): Params<Search>,
) -> Answer<List<Employee>> {
    let store = &server.portal.store;
    let Search {
        q,
        unit,
        cursor,
        limit,
    } = search;
    let query = DirectoryQuery {
        q,
        unit: unit.map(UnitId),
        cursor,
        limit,
    };
    let page = store.directory(&viewer, &query).await?.page;
    // Nobody looks into private attributes by leafing through a list, whatever their roles.
    let plain = as_employee(&viewer);
    let ids: Vec<_> = page.items.into_iter().map(|card| card.id).collect();
    let profiles = ids.into_iter().map(|id| store.profile(&plain, id));
    let items = stream::iter(profiles)
        .buffered(8)
        .map_ok(Employee::of)
        .try_collect()
        .await?;
    Ok(Json(List {
        items,
        next_cursor: page.next_cursor,
    }))
}

fn as_employee(viewer: &Viewer) -> Viewer {
    let Some(id) = viewer.id() else {
        return viewer.clone();
    };
    let mut plain = Viewer::person(id, Roles::EMPLOYEE);
    plain.session = viewer.session;
    plain.address = viewer.address.clone();
    plain
}

/// An employee. HR's look at private attributes is recorded.
#[utoipa::path(get, path = "/employees/{id}", tag = "people", params(("id" = Uuid, Path)), responses((status = 200, body = Employee)))]
pub async fn show(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<EmployeeId>,
) -> Answer<Employee> {
    let profile = server.portal.store.profile(&viewer, id).await?;
    Ok(Json(Employee::of(profile)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// New own values by SCIM name: a text, a list of texts, or null to take the own value away.
    #[schema(value_type = BTreeMap<String, Option<serde_json::Value>>)]
    attributes: BTreeMap<String, Option<Value>>,
}

/// Sets own values, all or none. 403 for somebody else's profile, 409 `locked_by_rule` naming the rule,
/// 422 with an error for each attribute.
#[utoipa::path(patch, path = "/employees/{id}", tag = "people", params(("id" = Uuid, Path)), request_body = Edit, responses((status = 200, body = Employee)))]
pub async fn edit(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<EmployeeId>,
    Input(edit): Input<Edit>,
) -> Answer<Employee> {
    let profile = server
        .portal
        .store
        .edit_profile(&viewer, id, edit.attributes)
        .await?;
    Ok(Json(Employee::of(profile)))
}

/// Sets the caller's own portrait: JPEG, PNG, GIF or WebP of at most 5 MiB as the body.
#[utoipa::path(put, path = "/employees/{id}/photo", tag = "people", params(("id" = Uuid, Path)), request_body(content = Vec<u8>, content_type = "image/*"), responses((status = 204)))]
pub async fn set_photo(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<EmployeeId>,
    bytes: Bytes,
) -> Done {
    server
        .portal
        .store
        .set_photo(&viewer, id, bytes.to_vec())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The chain of command, the direct superior first.
#[utoipa::path(get, path = "/employees/{id}/chain", tag = "organization", params(("id" = Uuid, Path)), responses((status = 200, body = List<Person>)))]
pub async fn chain(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<EmployeeId>,
) -> Answer<List<Person>> {
    let place = server.portal.store.place(&viewer, id).await?;
    Ok(Json(List::whole(place.chain)))
}

/// The direct reports.
#[utoipa::path(get, path = "/employees/{id}/reports", tag = "organization", params(("id" = Uuid, Path)), responses((status = 200, body = List<Report>)))]
pub async fn reports(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<EmployeeId>,
) -> Answer<List<Report>> {
    let place = server.portal.store.place(&viewer, id).await?;
    Ok(Json(List::whole(place.reports)))
}

/// Every unit, parents before children.
#[utoipa::path(get, path = "/org/units", tag = "organization", responses((status = 200, body = List<Unit>)))]
pub async fn units(State(server): State<Server>, Caller { viewer }: Caller) -> Answer<List<Unit>> {
    let units = server.portal.store.units(&viewer).await?;
    Ok(Json(List::whole(units)))
}

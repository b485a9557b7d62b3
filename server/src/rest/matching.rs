//! Who is who in a source: records that wait for a decision, people of whom other sources speak too, and by what
//! new records are told.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use domain::{
    EmployeeId, SourceId, Violation,
    sync::{Clue, Correlation, Key},
};
use serde::{Deserialize, Serialize};
use store::source::{Decision, Undecided as KeptUndecided};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Answer, Caller, Done, Id, Input,
    shapes::{List, Person},
};
use crate::http::Server;

/// A record that could be more than one person.
#[derive(Serialize, ToSchema)]
pub struct Undecided {
    /// The record's id in the source.
    external_id: String,
    /// What it calls the person.
    name: String,
    /// What else it says, by SCIM names.
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    attributes: BTreeMap<&'static str, Option<domain::Value>>,
    /// Who could be meant.
    candidates: Vec<Person>,
    /// Since when it waits.
    since: DateTime<Utc>,
}

impl From<KeptUndecided> for Undecided {
    fn from(kept: KeptUndecided) -> Self {
        let says = kept.worker.attributes.iter();
        Self {
            name: kept.worker.name(),
            attributes: says
                .map(|(attribute, value)| (attribute.name(), value.clone()))
                .collect(),
            external_id: kept.external_id,
            candidates: kept.candidates.into_iter().map(Into::into).collect(),
            since: kept.since,
        }
    }
}

/// The records of a source that wait for a decision, the longest waiting first.
#[utoipa::path(get, path = "/sources/{id}/undecided", tag = "sources", params(("id" = Uuid, Path)), responses((status = 200, body = List<Undecided>)))]
pub async fn undecided(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
) -> Answer<List<Undecided>> {
    let store = &server.portal.store;
    store.source(&viewer, id).await?;
    let mut undecided = store.undecided(&viewer).await?;
    undecided.retain(|one| one.source == id);
    Ok(Json(List::whole(undecided)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// The record's id in the source.
    external_id: String,
    /// `is` (the person in `employee`), `new` (somebody new), `ignore` (nobody who is to be here), or `ask_again`, which
    /// takes back what no run has followed yet, and an `ignore`.
    decision: String,
    /// Who it is, with `is`.
    #[serde(default)]
    employee: Option<Uuid>,
}

/// Decides who a record is; the next run follows it, and for a source that is pushed it is so at once. 409
/// `already_decided`, `already_linked`.
#[utoipa::path(post, path = "/sources/{id}/undecided/decisions", tag = "sources", params(("id" = Uuid, Path)), request_body = Decide, responses((status = 204)))]
pub async fn decide(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
    Input(decide): Input<Decide>,
) -> Done {
    let store = &server.portal.store;
    let record = decide.external_id.as_str();
    let decision = match (decide.decision.as_str(), decide.employee) {
        ("is", Some(employee)) => Decision::Is(EmployeeId(employee)),
        ("is", None) => {
            return Err(Violation::Required {
                field: "employee".into(),
            }
            .into());
        }
        ("new", _) => Decision::New,
        ("ignore", _) => Decision::Ignore,
        ("ask_again", _) => {
            store.ask_again(&viewer, id, record).await?;
            return Ok(StatusCode::NO_CONTENT);
        }
        (other, _) => {
            return Err(Violation::Unknown {
                field: "decision".into(),
                value: other.chars().take(40).collect(),
                allowed: "is new ignore ask_again".into(),
            }
            .into());
        }
    };
    Box::pin(store.decide(&viewer, id, record, decision)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A record of somebody of whom another source speaks too.
#[derive(Serialize, ToSchema)]
pub struct Linked {
    external_id: String,
    employee: Person,
}

/// The records of a source of people of whom another one speaks too, at most 500, by name.
#[utoipa::path(get, path = "/sources/{id}/linked", tag = "sources", params(("id" = Uuid, Path)), responses((status = 200, body = List<Linked>)))]
pub async fn linked(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
) -> Answer<List<Linked>> {
    let store = &server.portal.store;
    store.source(&viewer, id).await?;
    let linked = store.linked(&viewer, id).await?;
    let shape = |(external_id, person): (String, store::people::PersonCard)| Linked {
        external_id,
        employee: person.into(),
    };
    Ok(Json(List::whole(linked.into_iter().map(shape))))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unlink {
    /// The record's id in the source.
    external_id: String,
}

/// Takes a record from whom it was taken for; the next run makes it a person of its own. 409 `only_record` for
/// somebody of whom no other source speaks, `run_in_progress`.
#[utoipa::path(post, path = "/sources/{id}/unlinkings", tag = "sources", params(("id" = Uuid, Path)), request_body = Unlink, responses((status = 204)))]
pub async fn unlink(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
    Input(unlink): Input<Unlink>,
) -> Done {
    let store = &server.portal.store;
    Box::pin(store.unlink(&viewer, id, &unlink.external_id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One way of telling who somebody is.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClueShape {
    /// `external_id` (the same id in another source), `employee_number`, `mail`, `name_and_birth_date`.
    #[schema(value_type = String)]
    by: Key,
    /// Whether it decides; what is not sure only proposes, and somebody is asked.
    sure: bool,
}

/// By what new records are told, in the order in which it is looked at.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Clues {
    clues: Vec<ClueShape>,
}

impl From<Correlation> for Clues {
    fn from(kept: Correlation) -> Self {
        let shape = |Clue { by, sure }| ClueShape { by, sure };
        Self {
            clues: kept.0.into_iter().map(shape).collect(),
        }
    }
}

/// By what the new records of a source are told to be people who are known.
#[utoipa::path(get, path = "/sources/{id}/correlation", tag = "sources", params(("id" = Uuid, Path)), responses((status = 200, body = Clues)))]
pub async fn correlation(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
) -> Answer<Clues> {
    let kept = server.portal.store.correlation(&viewer, id).await?;
    Ok(Json(kept.into()))
}

/// Sets it. Records that are linked already stay so.
#[utoipa::path(put, path = "/sources/{id}/correlation", tag = "sources", params(("id" = Uuid, Path)), request_body = Clues, responses((status = 200, body = Clues)))]
pub async fn set_correlation(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
    Input(set): Input<Clues>,
) -> Answer<Clues> {
    let clue = |ClueShape { by, sure }| Clue { by, sure };
    let next = Correlation(set.clues.into_iter().map(clue).collect());
    let store = &server.portal.store;
    store.set_correlation(&viewer, id, next).await?;
    Ok(Json(store.correlation(&viewer, id).await?.into()))
}

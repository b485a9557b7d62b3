//! People whom a source that is pushed would let go, and who wait for a decision.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{SourceId, Violation, leaving::State as Stands};
use serde::{Deserialize, Serialize};
use store::scim::{Fate, Leaver as KeptLeaver, Waiting as KeptWaiting, Which};
use utoipa::{IntoParams, ToSchema};

use super::{Answer, Caller, Id, Input, Params, shapes::Person};
use crate::http::Server;

/// Somebody who is here though the source says that they left.
#[derive(Serialize, ToSchema)]
pub struct Leaver {
    /// Their record's id in the source.
    record: String,
    employee: Person,
    /// `waiting`, or `kept` by decision.
    state: &'static str,
    /// When the source said so.
    since: DateTime<Utc>,
}

impl From<KeptLeaver> for Leaver {
    fn from(kept: KeptLeaver) -> Self {
        Self {
            record: kept.record,
            employee: kept.person.into(),
            state: kept.state.name(),
            since: kept.since,
        }
    }
}

/// How many wait, and since when.
#[derive(Serialize, ToSchema)]
pub struct Waiting {
    count: u64,
    /// When the source said so of the first of them.
    since: DateTime<Utc>,
    /// And of the last: a decision about all names it, so that it is about nobody who came after.
    until: DateTime<Utc>,
}

impl From<KeptWaiting> for Waiting {
    fn from(kept: KeptWaiting) -> Self {
        Self {
            count: kept.count,
            since: kept.since,
            until: kept.until,
        }
    }
}

/// A part of those who wait or were kept.
#[derive(Serialize, ToSchema)]
pub struct Leavers {
    items: Vec<Leaver>,
    next_cursor: Option<String>,
    /// Null where nobody waits.
    waiting: Option<Waiting>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// `waiting` (the default) or `kept`.
    #[serde(default)]
    state: Option<String>,
    /// From the part before.
    #[serde(default)]
    cursor: Option<String>,
}

fn unknown(field: &str, value: &str, allowed: &str) -> Violation {
    Violation::Unknown {
        field: field.into(),
        value: value.chars().take(40).collect(),
        allowed: allowed.into(),
    }
}

/// Those of whom a source that is pushed says that they left, and who stay until somebody decides, because more than
/// its limit (`leavers` of its limits) left within 24 hours.
#[utoipa::path(get, path = "/sources/{id}/leavers", tag = "sources", params(("id" = Uuid, Path), Part), responses((status = 200, body = Leavers)))]
pub async fn leavers(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
    Params(part): Params<Part>,
) -> Answer<Leavers> {
    let state = match part.state.as_deref() {
        None | Some("waiting") => Stands::Waiting,
        Some("kept") => Stands::Kept,
        Some(other) => return Err(unknown("state", other, "waiting kept").into()),
    };
    let store = &server.portal.store;
    let page = store
        .leavers(&viewer, id, state, part.cursor.as_deref())
        .await?;
    let waiting = store.waiting_leavers(&viewer).await?;
    let waiting = waiting.into_iter().find(|one| one.source == id);
    Ok(Json(Leavers {
        items: page.items.into_iter().map(Into::into).collect(),
        next_cursor: page.next_cursor,
        waiting: waiting.map(Into::into),
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// `let_go`: they left, as the source says. `keep`: they stay until the source says that they are here, and then
    /// that they left.
    decision: String,
    /// About this one, who waits or was kept.
    #[serde(default)]
    record: Option<String>,
    /// About all who wait since then or longer.
    #[serde(default)]
    until: Option<DateTime<Utc>>,
}

#[derive(Serialize, ToSchema)]
pub struct Decided {
    /// About how many.
    people: u64,
}

/// Decides about one person who waits to leave, or about all. Whom it lets go is out when it is answered. 404 where
/// nobody such waits, 409 `source_paused`.
#[utoipa::path(post, path = "/sources/{id}/leavers/decisions", tag = "sources", params(("id" = Uuid, Path)), request_body = Decide, responses((status = 200, body = Decided)))]
pub async fn decide(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
    Input(decide): Input<Decide>,
) -> Answer<Decided> {
    let fate = match decide.decision.as_str() {
        "let_go" => Fate::LetGo,
        "keep" => Fate::Keep,
        other => return Err(unknown("decision", other, "let_go keep").into()),
    };
    let which = match (decide.record, decide.until) {
        (Some(record), None) => Which::One(record),
        (None, Some(until)) => Which::Until(until),
        (None, None) => {
            return Err(Violation::Required {
                field: "record".into(),
            }
            .into());
        }
        (Some(_), Some(_)) => {
            return Err(Violation::BadFormat {
                field: "until".into(),
                expected: "record or until, not both".into(),
            }
            .into());
        }
    };
    let people = server
        .portal
        .store
        .decide_leavers(&viewer, id, &which, fate)
        .await?;
    Ok(Json(Decided { people }))
}

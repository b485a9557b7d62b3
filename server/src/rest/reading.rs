use app::portal::{MappedBy, mapped_source, mapping_in_force};
use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{SourceId, Violation, mapping::Mapping};
use serde::{Deserialize, Serialize};
use store::{Error, schedule::Schedule};
use utoipa::ToSchema;

use super::{Answer, Caller, Id, Input};
use crate::http::Server;

/// When a source is read by itself.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleShape {
    /// Five fields of cron: minute, hour, day of month, month, day of week.
    cron: String,
    /// The zone of the IANA database in which they are meant, `Europe/Oslo`.
    zone: String,
    /// A run starts at random up to so many seconds late, 0 to 3600.
    #[serde(default)]
    jitter_seconds: u16,
    /// After so many days everything is read again, 1 to 90.
    #[serde(default = "a_week")]
    full_every_days: u16,
}

const fn a_week() -> u16 {
    7
}

/// A source's schedule, and what it means.
#[derive(Serialize, ToSchema)]
pub struct Scheduled {
    /// None where the source is read when somebody starts a run.
    schedule: Option<ScheduleShape>,
    /// The cron text in English words.
    in_words: String,
    next_at: Option<DateTime<Utc>>,
    /// How many runs failed since the last one that did not.
    failures: u32,
}

/// What is to be set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSchedule {
    /// None ends the schedule; it has to be said.
    #[serde(deserialize_with = "Option::deserialize")]
    schedule: Option<ScheduleShape>,
}

/// A source's schedule.
#[utoipa::path(get, path = "/sources/{id}/schedule", tag = "sources", params(("id" = Uuid, Path)), responses((status = 200, body = Scheduled)))]
pub async fn schedule(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
) -> Answer<Scheduled> {
    let set = server.portal.store.schedule(&viewer, id).await?;
    Ok(Json(Scheduled {
        in_words: set
            .as_ref()
            .map(|set| set.schedule.in_words())
            .unwrap_or_default(),
        next_at: set.as_ref().map(|set| set.next_at),
        failures: set.as_ref().map_or(0, |set| set.failures),
        schedule: set.map(|set| ScheduleShape {
            cron: set.schedule.cron,
            zone: set.schedule.zone,
            jitter_seconds: set.schedule.jitter_seconds,
            full_every_days: set.schedule.full_every_days,
        }),
    }))
}

/// Sets or ends a source's schedule.
#[utoipa::path(put, path = "/sources/{id}/schedule", tag = "sources", params(("id" = Uuid, Path)), request_body = SetSchedule, responses((status = 200, body = Scheduled)))]
pub async fn set_schedule(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
    Input(set): Input<SetSchedule>,
) -> Answer<Scheduled> {
    let wanted = set.schedule.map(|set| Schedule {
        cron: set.cron,
        zone: set.zone,
        jitter_seconds: set.jitter_seconds,
        full_every_days: set.full_every_days,
    });
    server
        .portal
        .store
        .set_schedule(&viewer, id, wanted)
        .await?;
    schedule(State(server), Caller { viewer }, Id(id)).await
}

/// A source's mapping.
#[derive(Serialize, ToSchema)]
pub struct MappingShape {
    /// Counts up with every set; 0 for one that nobody set.
    version: u32,
    /// `set` by somebody; brought by the `kind` of source or its preset; made of the `names` of its
    /// fields; `none`, where a run has none to follow; `unreadable`, where the names could not be asked for.
    origin: &'static str,
    /// `{worker: [{target, from, transforms}], unit: […]}`.
    #[schema(value_type = serde_json::Value)]
    mapping: Mapping,
    /// Why it was set.
    note: String,
    set_by: Option<String>,
    set_at: Option<DateTime<Utc>>,
}

/// What is to be set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMapping {
    /// The version that was read; 409 if another came between.
    version: u32,
    /// As it is answered.
    #[schema(value_type = serde_json::Value)]
    mapping: serde_json::Value,
    /// Why.
    #[serde(default)]
    note: String,
}

/// The mapping that a source follows, set or not; 404 for a kind that follows none.
#[utoipa::path(get, path = "/sources/{id}/mapping", tag = "sources", params(("id" = Uuid, Path)), responses((status = 200, body = MappingShape)))]
pub async fn mapping(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
) -> Answer<MappingShape> {
    let (store, guard) = (&server.portal.store, &server.portal.site.guard);
    let (mapping, by) = mapping_in_force(store, guard, &viewer, id).await?;
    let (origin, set) = match by {
        MappedBy::Version(set) => ("set", Some(set)),
        MappedBy::Kind => ("kind", None),
        MappedBy::Names => ("names", None),
        MappedBy::Nothing(None) => ("none", None),
        MappedBy::Nothing(Some(_)) => ("unreadable", None),
    };
    Ok(Json(MappingShape {
        mapping,
        origin,
        version: set.as_ref().map_or(0, |set| set.version),
        set_at: set.as_ref().map(|set| set.set_at),
        note: set.as_ref().map(|set| set.note.clone()).unwrap_or_default(),
        set_by: set.and_then(|set| set.set_by),
    }))
}

/// What is wrong with a mapping, each at its place in the body: `worker.3.from` is `/mapping/worker/3/from`.
fn pointed(wrong: Vec<Violation>) -> Error {
    let point = |violation: Violation| match violation {
        // No line says it, so there is none to point at.
        Violation::Required { field } if field.ends_with(".id") => Violation::BadFormat {
            field: format!("/mapping/{}", field.trim_end_matches(".id")),
            expected: "a list with a line whose target is id".into(),
        },
        other => {
            let field = format!("/mapping/{}", other.field().replace('.', "/"));
            other.at(field)
        }
    };
    Error::Invalid(wrong.into_iter().map(point).collect())
}

/// Sets a source's mapping; the next run reads everything and follows it.
#[utoipa::path(put, path = "/sources/{id}/mapping", tag = "sources", params(("id" = Uuid, Path)), request_body = SetMapping, responses((status = 200, body = MappingShape)))]
pub async fn set_mapping(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
    Input(set): Input<SetMapping>,
) -> Answer<MappingShape> {
    let store = &server.portal.store;
    mapped_source(store, &viewer, id).await?;
    let wanted = Mapping::read(&set.mapping, "/mapping").map_err(Error::Invalid)?;
    wanted.check().map_err(pointed)?;
    store
        .set_mapping(&viewer, id, set.version, wanted, &set.note)
        .await?;
    mapping(State(server), Caller { viewer }, Id(id)).await
}

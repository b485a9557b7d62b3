//! What is wrong in the sources' data.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{SourceId, UnitId, Violation};
use serde::{Deserialize, Serialize};
use store::quality::{Flaw as KeptFlaw, Kind, QualityQuery, SourceTrend};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Answer, Caller, Params, shapes::Person};
use crate::http::Server;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Only these: `left_out`, `bad_mail`, `bad_value`, `undecided`, `duplicate`, `cycle`, `missing_manager`,
    /// `vacant_manager`, `detached`, `unit_gone`, `several_heads`, `unit_structure`, `vacancy`, `correction`.
    #[serde(default)]
    kind: Option<String>,
    /// Only of this source.
    #[serde(default)]
    source: Option<Uuid>,
    /// Only of this unit and those below.
    #[serde(default)]
    unit: Option<Uuid>,
    /// From the part before.
    #[serde(default)]
    cursor: Option<String>,
}

/// One thing that is wrong.
#[derive(Serialize, ToSchema)]
pub struct Flaw {
    kind: &'static str,
    /// The source that has to be mended.
    source: Option<Uuid>,
    /// The people it is about.
    people: Vec<Person>,
    unit: Option<Uuid>,
    /// The names of the units that it is about.
    units: Vec<String>,
    /// Where in the source: a record's id, a line.
    place: Option<String>,
    /// Which field, in the source's words or as a SCIM name.
    field: Option<String>,
    /// What is wrong with it, or what is there.
    what: Option<String>,
    /// The run that found it.
    run: Option<Uuid>,
}

impl From<KeptFlaw> for Flaw {
    fn from(kept: KeptFlaw) -> Self {
        Self {
            kind: kept.kind.name(),
            source: kept.source.map(|id| id.0),
            people: kept.people.into_iter().map(Into::into).collect(),
            unit: kept.unit.map(|id| id.0),
            units: kept.units,
            place: kept.place,
            field: kept.field,
            what: kept.what,
            run: kept.run.map(|id| id.0),
        }
    }
}

/// How a source's data went.
#[derive(Serialize, ToSchema)]
pub struct Trend {
    id: Uuid,
    name: String,
    /// How many findings there are now.
    findings: u64,
    /// Its last runs that went to their end, at most twenty, the latest last.
    runs: Vec<Point>,
}

/// How many findings a run had.
#[derive(Serialize, ToSchema)]
pub struct Point {
    run: Uuid,
    at: DateTime<Utc>,
    findings: u64,
    /// How many records it read.
    read: u64,
}

impl From<SourceTrend> for Trend {
    fn from(kept: SourceTrend) -> Self {
        let point = |point: store::quality::Point| Point {
            run: point.run.0,
            at: point.at,
            findings: point.findings,
            read: point.read,
        };
        Self {
            id: kept.id.0,
            name: kept.name,
            findings: kept.findings,
            runs: kept.runs.into_iter().map(point).collect(),
        }
    }
}

/// What is wrong in the data now.
#[derive(Serialize, ToSchema)]
pub struct Quality {
    /// As far as it was asked for, by kind and source.
    items: Vec<Flaw>,
    next_cursor: Option<String>,
    /// How many that are in all.
    matching: u64,
    /// How many there are of each kind, whatever was asked for.
    kinds: BTreeMap<&'static str, u64>,
    /// Every source, by name.
    sources: Vec<Trend>,
}

/// What the sources say that cannot be so, and how it went over their last runs.
#[utoipa::path(get, path = "/data-quality", tag = "sources", params(Wanted), responses((status = 200, body = Quality)))]
pub async fn quality(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Params(wanted): Params<Wanted>,
) -> Answer<Quality> {
    let kind = wanted.kind.as_deref().map(|name| {
        Kind::named(name).ok_or_else(|| Violation::Unknown {
            field: "kind".into(),
            value: name.chars().take(40).collect(),
            allowed: Kind::ALL.map(Kind::name).join(" "),
        })
    });
    let query = QualityQuery {
        kind: kind.transpose()?,
        source: wanted.source.map(SourceId),
        unit: wanted.unit.map(UnitId),
        cursor: wanted.cursor,
    };
    let found = server.portal.store.quality(&viewer, &query).await?;
    Ok(Json(Quality {
        items: found.flaws.items.into_iter().map(Into::into).collect(),
        next_cursor: found.flaws.next_cursor,
        matching: found.matching,
        kinds: found
            .kinds
            .into_iter()
            .map(|(kind, count)| (kind.name(), count))
            .collect(),
        sources: found.sources.into_iter().map(Into::into).collect(),
    }))
}

use std::collections::BTreeMap;

use app::portal::Job;
use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use domain::{
    RunId, SourceId,
    sync::{Step, Totals},
};
use serde::{Deserialize, Serialize};
use store::{
    run::{Phase, Run as KeptRun, RunFinding},
    scim::KIND,
    source::Source as KeptSource,
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Answer, Caller, Id, Input, InputOr, Made, Params, made,
    shapes::{List, Part},
};
use crate::{http::Server, jobs};

/// A connection to an ERP. Secrets are never in it.
#[derive(Serialize, ToSchema)]
pub struct Source {
    id: Uuid,
    /// `csv`, `odoo`.
    kind: String,
    name: String,
    settings: BTreeMap<String, String>,
    /// Which secret settings are set.
    secrets_set: Vec<String>,
    /// A run with more leavers than this share stops and asks, percent.
    leaver_percent: u8,
    /// How much a run may do before it stops and asks: shares in percent, and `four_eyes`.
    #[schema(value_type = serde_json::Value)]
    limits: domain::sync::Limits,
    /// Since when the next run asks before it writes anything.
    paused_since: Option<DateTime<Utc>>,
    /// Why.
    paused_why: Option<String>,
    /// When a run last read it to the end.
    last_read_at: Option<DateTime<Utc>>,
    last_run: Option<Uuid>,
    /// How many people it has.
    people: u64,
    created_at: DateTime<Utc>,
    /// The bearer token of a source that is pushed; told this once, when it is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl From<KeptSource> for Source {
    fn from(kept: KeptSource) -> Self {
        Self {
            id: kept.id.0,
            kind: kept.kind,
            name: kept.name,
            settings: kept.settings,
            secrets_set: kept.secrets_set,
            leaver_percent: kept.leaver_percent,
            limits: kept.limits,
            paused_since: kept.paused_since,
            paused_why: kept.paused_why,
            last_read_at: kept.last_read_at,
            last_run: kept.last_run.map(|run| run.0),
            people: kept.people,
            created_at: kept.created_at,
            token: None,
        }
    }
}

/// Every source, by name.
#[utoipa::path(get, path = "/sources", tag = "sources", responses((status = 200, body = List<Source>)))]
pub async fn list(State(server): State<Server>, Caller { viewer }: Caller) -> Answer<List<Source>> {
    let sources = server.portal.store.sources(&viewer).await?;
    Ok(Json(List::whole(sources)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// `csv`, `odoo`.
    kind: String,
    /// 1 to 60 characters, of which there is no other.
    name: String,
    /// What the kind takes, secrets too: they are sealed and never shown again.
    #[serde(default)]
    settings: BTreeMap<String, String>,
}

/// Connects a source. Nothing is read yet.
#[utoipa::path(post, path = "/sources", tag = "sources", request_body = Connect, responses((status = 201, body = Source)))]
pub async fn add(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Input(Connect {
        kind,
        name,
        settings,
    }): Input<Connect>,
) -> Made<Source> {
    let new = jobs::new_source(&viewer, &kind, &name, settings, &server.portal.site.guard)?;
    let store = &server.portal.store;
    let source = store.add_source(&viewer, new).await?;
    let token = match source.kind == KIND {
        true => Some(store.renew_scim_token(&viewer, source.id).await?),
        false => None,
    };
    Ok(made(Source {
        token,
        ..source.into()
    }))
}

/// One source.
#[utoipa::path(get, path = "/sources/{id}", tag = "sources", params(("id" = Uuid, Path)), responses((status = 200, body = Source)))]
pub async fn show(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
) -> Answer<Source> {
    let source = server.portal.store.source(&viewer, id).await?;
    Ok(Json(source.into()))
}

/// A run of a source.
#[derive(Serialize, ToSchema)]
pub struct Run {
    id: Uuid,
    source: Uuid,
    source_name: String,
    dry_run: bool,
    /// `reading`, `planning`, `applying`, `waiting` (for somebody's word), `done`, `failed`, `cancelled`.
    #[schema(value_type = String)]
    phase: Phase,
    started_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    started_by: Option<String>,
    /// How many of each: `read`, `unchanged`, `joiners`, `returners`, `movers`, `changed`, `leavers`, `undecided`, `faults`;
    /// where the source has such, `clients` and `tickets` with `read`, `new`, `changed`, `gone` each.
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    totals: Totals,
    /// How many steps were written.
    applied: u64,
    /// Why it failed or waits: `too_many_leavers`, `mass_change`, `source_paused`, `unreachable`, `unauthorized`, …
    error: Option<String>,
    /// The same in a sentence.
    error_text: Option<String>,
    /// The limits that its plan goes over: `{limit, attribute, count, of, percent}` each.
    #[schema(value_type = Vec<serde_json::Value>)]
    exceeded: Vec<domain::sync::Exceeded>,
    /// The run that this one undoes.
    undoes: Option<Uuid>,
    /// The run that undid this one.
    undone_by: Option<Uuid>,
    /// Whether it can be undone.
    undoable: bool,
}

impl From<KeptRun> for Run {
    fn from(kept: KeptRun) -> Self {
        Self {
            id: kept.id.0,
            source: kept.source.0,
            source_name: kept.source_name,
            dry_run: kept.dry_run,
            phase: kept.phase,
            started_at: kept.started_at,
            ended_at: kept.ended_at,
            started_by: kept.started_by,
            totals: kept.totals,
            applied: kept.applied,
            error: kept.error,
            error_text: kept.error_text,
            exceeded: kept.exceeded,
            undoes: kept.undoes.map(|run| run.0),
            undone_by: kept.undone_by.map(|run| run.0),
            undoable: kept.undoable,
        }
    }
}

/// A source's last runs, the latest first.
#[utoipa::path(get, path = "/sources/{id}/runs", tag = "sources", params(("id" = Uuid, Path)), responses((status = 200, body = List<Run>)))]
pub async fn runs(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
) -> Answer<List<Run>> {
    let runs = server.portal.store.runs(&viewer, id).await?;
    Ok(Json(List::whole(runs)))
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Whether only to look: plans, and writes nothing.
    #[serde(default)]
    dry_run: bool,
}

/// Starts a run; it goes on by itself. 409 `run_in_progress` while there is another one.
#[utoipa::path(post, path = "/sources/{id}/runs", tag = "sources", params(("id" = Uuid, Path)), request_body = Start, responses((status = 202, body = Run)))]
pub async fn start_run(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
    InputOr(start): InputOr<Start>,
) -> Made<Run> {
    let run = jobs::start_run(&server.portal, &viewer, id, start.dry_run).await?;
    Ok((StatusCode::ACCEPTED, Json(run.into())))
}

/// A run with its plan and what it found.
#[derive(Serialize, ToSchema)]
pub struct RunInFull {
    #[serde(flatten)]
    run: Run,
    /// The first part of the plan; more at `/runs/{id}/steps`.
    steps: List<StepShape>,
    /// What is wrong in the ERP's data.
    #[schema(value_type = Vec<serde_json::Value>)]
    findings: Vec<RunFinding>,
}

/// What happens to one person.
#[derive(Serialize, ToSchema)]
pub struct StepShape {
    /// `joiner`, `returner`, `mover`, `changed`, `leaver`, `undecided`.
    #[schema(value_type = String)]
    kind: domain::sync::StepKind,
    external_id: String,
    employee: Option<Uuid>,
    name: String,
    /// `{attribute, from, to}` each.
    #[schema(value_type = Vec<serde_json::Value>)]
    changes: Vec<domain::sync::Change>,
    /// Who could be meant, if that is undecided.
    candidates: Vec<Uuid>,
}

impl From<Step> for StepShape {
    fn from(step: Step) -> Self {
        Self {
            kind: step.kind,
            external_id: step.external_id,
            employee: step.employee.map(|id| id.0),
            name: step.name,
            changes: step.changes,
            candidates: step.candidates.into_iter().map(|id| id.0).collect(),
        }
    }
}

/// A run: where it is, how many of each, the plan, the findings.
#[utoipa::path(get, path = "/runs/{id}", tag = "sources", params(("id" = Uuid, Path)), responses((status = 200, body = RunInFull)))]
pub async fn run(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<RunId>,
) -> Answer<RunInFull> {
    let store = &server.portal.store;
    let run = store.run(&viewer, id).await?;
    let steps = store.run_steps(&viewer, id, None, None).await?;
    let findings = store.run_findings(&viewer, id).await?;
    Ok(Json(RunInFull {
        run: run.into(),
        steps: List::of(steps),
        findings,
    }))
}

/// A run's plan, or what it did.
#[utoipa::path(get, path = "/runs/{id}/steps", tag = "sources", params(("id" = Uuid, Path), Part), responses((status = 200, body = List<StepShape>)))]
pub async fn steps(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<RunId>,
    Params(part): Params<Part>,
) -> Answer<List<StepShape>> {
    let steps = server
        .portal
        .store
        .run_steps(&viewer, id, None, part.cursor.as_deref())
        .await?;
    Ok(Json(List::of(steps)))
}

/// Lets a run go on that waits.
#[utoipa::path(post, path = "/runs/{id}/approval", tag = "sources", params(("id" = Uuid, Path)), responses((status = 202, body = Run)))]
pub async fn approve(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<RunId>,
) -> Made<Run> {
    let run = server.portal.store.approve_run(&viewer, id).await?;
    server.portal.hand_in(Job::Run(id))?;
    Ok((StatusCode::ACCEPTED, Json(run.into())))
}

/// Ends a run.
#[utoipa::path(post, path = "/runs/{id}/cancellation", tag = "sources", params(("id" = Uuid, Path)), responses((status = 200, body = Run)))]
pub async fn cancel(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<RunId>,
) -> Answer<Run> {
    let run = server.portal.store.cancel_run(&viewer, id).await?;
    Ok(Json(run.into()))
}

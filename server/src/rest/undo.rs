use app::portal::Job;
use axum::{Json, extract::State, http::StatusCode};
use domain::{RunId, SourceId, sync::Limits};
use serde::{Deserialize, Serialize};
use store::run::{NotUndone, undo::UndoPreview};
use utoipa::ToSchema;

use super::{
    Answer, Caller, Id, Input, Made,
    sources::{Run, Source, StepShape},
};
use crate::http::Server;

/// What an undo would do.
#[derive(Serialize, ToSchema)]
pub struct Preview {
    run: Run,
    /// How many of each kind of step.
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    totals: domain::sync::Totals,
    /// What would happen, the first 200.
    steps: Vec<StepShape>,
    /// How many steps there are in all.
    steps_in_all: u64,
    /// What would stay as it is because something newer touched it, the first 200: `{name, employee, attributes, what, why}`.
    #[schema(value_type = Vec<serde_json::Value>)]
    left: Vec<NotUndone>,
    /// How many of those there are in all.
    left_in_all: u64,
    /// Units that would get back their name, parent or heads.
    units: u64,
    /// The limits that it goes over: it would wait for somebody's word. `{limit, attribute, count, of, percent}`.
    #[schema(value_type = Vec<serde_json::Value>)]
    exceeded: Vec<domain::sync::Exceeded>,
}

impl From<UndoPreview> for Preview {
    fn from(preview: UndoPreview) -> Self {
        Self {
            run: preview.run.into(),
            totals: preview.totals,
            steps: preview.steps.into_iter().map(Into::into).collect(),
            steps_in_all: preview.steps_in_all,
            left: preview.left,
            left_in_all: preview.left_in_all,
            units: preview.units,
            exceeded: preview.exceeded,
        }
    }
}

/// What undoing a run would do and what it could not. Writes nothing. 409 `not_undoable` for a run that cannot be undone.
#[utoipa::path(get, path = "/runs/{id}/undo", tag = "sources", params(("id" = Uuid, Path)), responses((status = 200, body = Preview)))]
pub async fn preview(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<RunId>,
) -> Answer<Preview> {
    let preview = server.portal.store.undo_preview(&viewer, id).await?;
    Ok(Json(preview.into()))
}

/// Undoes a run, as a run of its own that goes on by itself, unless it goes over a limit and waits for an approval; its source is paused afterwards.
#[utoipa::path(post, path = "/runs/{id}/undo", tag = "sources", params(("id" = Uuid, Path)), responses((status = 202, body = Run)))]
pub async fn undo(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<RunId>,
) -> Made<Run> {
    let store = &server.portal.store;
    let undo = store.undo_run(&viewer, id).await?;
    if let Err(busy) = server.portal.hand_in(Job::Run(undo.id)) {
        // Nobody would drive it, and it would keep others from the source.
        let text = "Too many runs wait already. Try again in a while.";
        store.fail_run(&viewer, undo.id, "busy", text).await?;
        return Err(busy.into());
    }
    Ok((StatusCode::ACCEPTED, Json(undo.into())))
}

/// How much a run may do before it stops and asks: shares in percent, of which 100 stops nothing. What is absent is as it comes.
///
/// `leavers`, `joiners`, `movers`, `changed`, `attribute`, `undecided`, `faults`, and `four_eyes`: whether somebody else than who started a run has to approve it.
#[derive(Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = serde_json::Value)]
pub struct SetLimits(Limits);

/// Sets a source's limits.
#[utoipa::path(put, path = "/sources/{id}/limits", tag = "sources", params(("id" = Uuid, Path)), request_body = SetLimits, responses((status = 200, body = Source)))]
pub async fn set_limits(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
    Input(SetLimits(limits)): Input<SetLimits>,
) -> Answer<Source> {
    let source = server.portal.store.set_limits(&viewer, id, limits).await?;
    Ok(Json(source.into()))
}

/// Why a source is paused.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// A sentence of at most 500 characters.
    why: String,
}

/// Pauses a source: its next run asks before it writes.
#[utoipa::path(put, path = "/sources/{id}/pause", tag = "sources", params(("id" = Uuid, Path)), request_body = Pause, responses((status = 200, body = Source)))]
pub async fn pause(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
    Input(Pause { why }): Input<Pause>,
) -> Answer<Source> {
    let source = server.portal.store.pause_source(&viewer, id, &why).await?;
    Ok(Json(source.into()))
}

/// Ends a source's pause.
#[utoipa::path(delete, path = "/sources/{id}/pause", tag = "sources", params(("id" = Uuid, Path)), responses((status = 200, body = Source)))]
pub async fn resume(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SourceId>,
) -> Answer<Source> {
    let source = server.portal.store.resume_source(&viewer, id).await?;
    Ok(Json(source.into()))
}

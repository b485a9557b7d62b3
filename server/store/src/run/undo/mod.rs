//! Undoing a run: what it changed goes back to what it was before, from its
//! journal, as long as nothing newer touched it.
//!
//! An undo is a run of its own. It goes through the journal from its end to its
//! beginning, in chunks that are a transaction each; what is undone is marked,
//! so that one that broke off is gone on with by the next. Own values are never
//! touched. Sign-ins that a leaver's run ended stay ended.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::{
    Action, Attribute, EmployeeId, RunId, Viewer,
    sync::{Beside, Exceeded, Limits, Step, StepKind, Tally, Totals},
};
use sea_orm::{ConnectionTrait, DatabaseTransaction};
use serde::{Deserialize, Serialize};

use super::{
    FINDINGS_KEPT, Live, NotUndone, Phase, Run, RunFinding, STEPS_PAGE,
    live::{Standing, Work},
    write_run,
};
use crate::{Error, Event, Result, Store, db, people, source};

mod apply;
mod plan;
mod spared;
mod units;

use units::{needed, units};

/// Most steps, and most things left as they are, that a preview tells.
const PREVIEWED: usize = 200;

/// What an undo would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoPreview {
    /// The run that would be undone.
    pub run: Run,
    /// How many of each.
    pub totals: Totals,
    /// What would happen, the first 200.
    pub steps: Vec<Step>,
    /// How many steps there are in all.
    pub steps_in_all: u64,
    /// What would stay as it is because something newer touched it, the first 200.
    pub left: Vec<NotUndone>,
    /// How many of those there are in all.
    pub left_in_all: u64,
    /// Units that would get back their name, parent or heads, or be no more.
    pub units: u64,
    /// The source's limits that it goes over: it would ask before it writes.
    pub exceeded: Vec<Exceeded>,
}

impl NotUndone {
    /// Somebody who stays as a whole.
    fn person(name: String, employee: EmployeeId, why: &str) -> Self {
        Self {
            name,
            employee: Some(employee),
            attributes: Vec::new(),
            what: None,
            why: why.into(),
        }
    }
}

/// How far an undo has come in this process.
#[derive(Debug, Default)]
pub(super) struct Progress {
    at: At,
    /// What it has written.
    totals: Totals,
    /// How many things it left as they are.
    left: u64,
    /// Whoever let it go on after it had asked.
    approved_by: Option<EmployeeId>,
    /// The first steps of what it asks about.
    planned: Vec<Step>,
}

impl Progress {
    /// The steps that it asks about, as far as they are kept, with their places.
    pub fn steps(&self, from: usize, kind: Option<StepKind>) -> Vec<(u64, Step)> {
        let steps = (0..).zip(&self.planned).skip(from);
        steps
            .filter(|(_, step)| kind.is_none_or(|kind| step.kind == kind))
            .take(STEPS_PAGE + 1)
            .map(|(place, step)| (place, step.clone()))
            .collect()
    }

    /// Notes who let it go on.
    pub fn approve(&mut self, viewer: &Viewer) {
        self.approved_by = viewer.id();
    }
}

/// Where an undo has got to.
#[derive(Debug, Clone)]
enum At {
    /// In the journal: what is below this place is not undone yet.
    Journal(i64),
    /// Among the joiners: what is above this place is not undone yet.
    Joiners(i64),
    /// Beside people: what comes after this is not undone yet.
    Beside(Option<(Beside, String)>),
    /// At the end.
    End,
}

impl Default for At {
    fn default() -> Self {
        Self::Journal(i64::MAX)
    }
}

impl Store {
    /// What undoing a run would do, and what it could not do; writes nothing.
    /// Needs `ManageSources`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] `not_undoable`.
    pub async fn undo_preview(&self, viewer: &Viewer, run: RunId) -> Result<UndoPreview> {
        self.allow(viewer, Action::ManageSources)?;
        let found = self.undoable(run).await?;
        let source = found.source;
        let limits = source::limits_of(self.db(), source).await?;
        let pressed: Vec<_> = viewer.id().into_iter().collect();
        self.preview_of(found, &limits, &pressed).await
    }

    async fn preview_of(
        &self,
        run: Run,
        limits: &Limits,
        pressed: &[EmployeeId],
    ) -> Result<UndoPreview> {
        let tx = db::read(self.db()).await?;
        let scope = self.scope(&tx, &run, pressed, false).await?;
        let mut tally = Tally {
            active: active(&tx, &run).await?,
            ..Tally::default()
        };
        let mut preview = UndoPreview {
            run,
            totals: Totals::default(),
            steps: Vec::new(),
            steps_in_all: 0,
            left: Vec::new(),
            left_in_all: 0,
            units: 0,
            exceeded: Vec::new(),
        };
        let mut at = At::default();
        let mut places = HashMap::new();
        let mut going = HashSet::new();
        while !matches!(at, At::End) {
            let (undone, next) = self
                .chunk(&tx, &scope, &at, &mut places, self.now())
                .await?;
            at = next;
            tally.renamed += undone.renamed;
            count_losses(&mut tally.attributes, &undone.steps);
            undone.count(&mut preview.totals);
            going.extend(undone.joiners.iter().map(|(id, ..)| id.0));
            preview.steps_in_all += undone.steps.len() as u64;
            preview.left_in_all += undone.left.len() as u64;
            let room = PREVIEWED - preview.steps.len();
            preview.steps.extend(undone.steps.into_iter().take(room));
            let room = PREVIEWED.saturating_sub(preview.left.len());
            preview.left.extend(undone.left.into_iter().take(room));
        }
        let units = units(&tx, scope.undone).await?;
        let needed = needed(&tx, &units, &places, &going).await?;
        for unit in units {
            let why = match (unit.now == unit.became, needed.contains(&unit.id)) {
                (true, false) => {
                    preview.units += 1;
                    continue;
                }
                (true, true) => "in_use",
                (false, _) => "changed_since",
            };
            preview.left_in_all += 1;
            preview.left.push(unit.left(why));
        }
        tx.rollback().await?;
        tally.totals = preview.totals;
        preview.exceeded = limits.exceeded(&tally);
        Ok(preview)
    }

    /// Begins to undo a run, as a run of its own, whose plan is still to be
    /// worked out ([`Store::plan_undo`]). Needs `ManageSources`; recorded.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] `not_undoable` for a run that
    /// is not over, was a dry one or an undo, is undone already or has no journal
    /// any more, or `run_in_progress`.
    pub async fn undo_run(&self, viewer: &Viewer, run: RunId) -> Result<Run> {
        self.allow(viewer, Action::ManageSources)?;
        let undone = self.undoable(run).await?;
        let started_by = match viewer.id() {
            Some(id) => people::cards(self.db(), [id])
                .await?
                .remove(&id)
                .map(|card| card.display_name),
            None => None,
        };
        let started_at = self.now();
        let steps = steps_of(self.db(), run).await?;
        let undo = Run {
            id: RunId::new(started_at, self.random()),
            dry_run: false,
            phase: Phase::Planning,
            started_at,
            ended_at: None,
            started_by,
            totals: Totals::default(),
            applied: 0,
            steps,
            error: None,
            error_text: None,
            exceeded: Vec::new(),
            undoes: Some(run),
            undone_by: None,
            undoable: false,
            ..undone
        };
        // It asks for what it would do itself, paused or not: it reads nothing.
        let standing = Standing {
            limits: source::limits_of(self.db(), undo.source).await?,
            ..Standing::default()
        };
        let live = self.0.runs.begin(undo.clone(), standing)?;
        if let Err(error) = self.take_place(viewer, &undo).await {
            self.0.runs.forget(undo.id);
            return Err(error);
        }
        super::live::keep_beating(&self.0, &live);
        self.tell(Event::RunMoved(undo.id));
        Ok(undo)
    }

    /// Works out what an undo will do. One that goes over a limit of its source
    /// comes back `Waiting`, as any run does.
    ///
    /// # Errors
    /// [`Error::Conflict`] `run_over`, or `out_of_turn` for one that has a plan.
    pub async fn plan_undo(&self, viewer: &Viewer, run: RunId) -> Result<Run> {
        self.allow(viewer, Action::ManageSources)?;
        let live = self.live(run).await?;
        let mut work = live.work.lock().await;
        live.require(Phase::Planning)?;
        let undone = self.find_run(undone_by(&live.run())?).await?;
        let pressed = presses(self.db(), run).await?;
        let limits = &live.standing.limits;
        let preview = self
            .preview_of(undone, limits, &Vec::from_iter(pressed))
            .await?;
        let mut planned = live.run();
        planned.totals = preview.totals;
        planned.steps = preview.steps_in_all;
        planned.exceeded = preview.exceeded;
        planned.phase = match planned.exceeded.is_empty() {
            true => Phase::Applying,
            false => Phase::Waiting,
        };
        if let Some(first) = planned.exceeded.first() {
            let told: Vec<_> = planned
                .exceeded
                .iter()
                .map(|one| format!("{one}."))
                .collect();
            planned.error = Some(first.limit.code().into());
            planned.error_text = Some(format!("{} Nothing was written.", told.join(" ")));
            // What it would leave as it is helps to decide.
            work.undone.planned = preview.steps;
            work.findings = preview
                .left
                .into_iter()
                .map(RunFinding::NotUndone)
                .collect();
        }
        let change = self.change().await?;
        let kept = write_run(&change.tx, &planned, Some(&work.findings), change.at).await;
        self.unless_lost(run, kept)?;
        change.commit().await?;
        live.change(|run| *run = planned.clone());
        self.tell(Event::RunMoved(run));
        Ok(planned)
    }

    /// Undoes the next chunk; answers whether anything is left.
    ///
    /// # Errors
    /// [`Error::Conflict`] `run_over`, or `not_approved` for one that waits.
    pub async fn undo_chunk(&self, viewer: &Viewer, run: RunId) -> Result<bool> {
        self.allow(viewer, Action::ManageSources)?;
        let live = self.live(run).await?;
        let mut work = live.work.lock().await;
        live.require(Phase::Applying)?;
        let outcome = Box::pin(self.write_undone(viewer, &live, &mut work)).await;
        work.undone.at = self.unless_lost(run, outcome)?;
        Ok(!matches!(work.undone.at, At::End))
    }

    async fn write_undone(&self, viewer: &Viewer, live: &Live, work: &mut Work) -> Result<At> {
        let mut run = live.run();
        let undone = self.find_run(undone_by(&run)?).await?;
        if matches!(work.undone.at, At::Journal(i64::MAX)) {
            // What it waited with is told anew, as it is done.
            work.findings.clear();
            work.undone.left = 0;
        }
        let mut change = self.change_people().await?;
        let moment = change.at;
        let mut pressed = Vec::from_iter(presses(&change.tx, run.id).await?);
        pressed.extend(work.undone.approved_by);
        let scope = self.scope(&change.tx, &undone, &pressed, true).await?;
        let mut places = HashMap::new();
        let (chunk, next) = self
            .chunk(&change.tx, &scope, &work.undone.at, &mut places, moment)
            .await?;
        let mut totals = work.undone.totals;
        chunk.count(&mut totals);
        let first = run.applied;
        run.applied += chunk.steps.len() as u64;
        run.steps = run.steps.max(run.applied);
        let left = work.undone.left + chunk.left.len() as u64;
        let mut findings = work.findings.clone();
        let room = FINDINGS_KEPT.saturating_sub(findings.len());
        let told = chunk.left.iter().take(room).cloned();
        findings.extend(told.map(RunFinding::NotUndone));
        write_run(&change.tx, &run, Some(&findings), moment).await?;
        let moved = self
            .put_back(viewer, live, &scope, chunk, first, &mut change)
            .await?;
        change.tell(Event::RunMoved(live.id));
        change.commit().await?;
        work.findings = findings;
        work.undone.left = left;
        work.undone.totals = totals;
        work.moved |= moved;
        live.change(|shown| *shown = run);
        Ok(next)
    }

    /// Ends an undo: the units get back what they were, the source is paused
    /// and will be read as a whole, and the chart is built anew.
    ///
    /// # Errors
    /// [`Error::Conflict`] `run_over`.
    pub async fn end_undo(&self, viewer: &Viewer, run: RunId) -> Result<Run> {
        self.allow(viewer, Action::ManageSources)?;
        let live = self.live(run).await?;
        let mut work = live.work.lock().await;
        live.require(Phase::Applying)?;
        let ended = Box::pin(self.undo_rest(viewer, &live, &mut work)).await;
        let ended = self.unless_lost(run, ended)?;
        let charted = self.refresh_chart().await.map(drop);
        live.change(|run| *run = ended.clone());
        drop(work);
        self.0.runs.forget(run);
        charted?;
        self.tell(Event::RunMoved(run));
        Ok(ended)
    }

    /// A run that can be undone.
    async fn undoable(&self, id: RunId) -> Result<Run> {
        let run = self.find_run(id).await?;
        match run.undoable {
            true => Ok(run),
            false => Err(Error::Conflict("not_undoable")),
        }
    }
}

/// How many steps an undo of a run has at most.
async fn steps_of(conn: &impl ConnectionTrait, run: RunId) -> Result<u64> {
    let ask = "SELECT (SELECT count(*) FROM run_journal WHERE run_id = $1 AND undone_by IS NULL)
        + (SELECT count(*) FROM run_steps WHERE run_id = $2 AND step LIKE $3)";
    let values = [run.0.into(), run.0.into(), JOINER.into()];
    let row = conn.query_one_raw(db::sql(conn, ask, values)).await?;
    let count: i64 = row.ok_or(Error::NotFound)?.try_get_by_index(0)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// How a joiner's step begins: the kind is its first field.
const JOINER: &str = "{\"kind\":\"joiner\",%";
/// How the step of somebody begins who comes back.
const RETURNER: &str = "{\"kind\":\"returner\",%";

/// The run that an undo undoes.
fn undone_by(undo: &Run) -> Result<RunId> {
    let undone = undo.undoes;
    undone.ok_or_else(|| Error::Internal("an undo without a run".into()))
}

/// Who pressed the button of an undo; nobody for a command.
async fn presses(conn: &impl ConnectionTrait, undo: RunId) -> Result<Option<EmployeeId>> {
    let ask = "SELECT started_by FROM runs WHERE id = $1";
    let row = conn
        .query_one_raw(db::sql(conn, ask, [undo.0.into()]))
        .await?;
    let id: Option<uuid::Uuid> = row.ok_or(Error::NotFound)?.try_get_by_index(0)?;
    Ok(id.map(EmployeeId))
}

/// How many people the source of a run has.
async fn active(tx: &DatabaseTransaction, run: &Run) -> Result<u64> {
    let ask = "SELECT count(*) FROM erp_records WHERE source_id = $1 AND active";
    let row = tx
        .query_one_raw(db::sql(tx, ask, [run.source.0.into()]))
        .await?;
    let count: i64 = row.ok_or(Error::NotFound)?.try_get_by_index(0)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Counts who gets another value of an attribute or loses theirs, as a run does.
fn count_losses(losses: &mut BTreeMap<Attribute, u64>, steps: &[Step]) {
    let people = steps
        .iter()
        .filter(|step| matches!(step.kind, StepKind::Changed | StepKind::Mover));
    for change in people.flat_map(|step| &step.changes) {
        if change.from.is_some() && change.attribute != Attribute::Department {
            *losses.entry(change.attribute).or_default() += 1;
        }
    }
}

//! Runs of a source: what was read becomes a plan, and the plan is applied in
//! chunks, each a transaction of its own, so that the portal stays responsive
//! and a killed run leaves nothing half done: the next run finds what is
//! missing.
//!
//! The caller drives: `begin_run`, `read_page` for each page, `plan_run`, and
//! unless it is a dry run `apply_run` until nothing is left, then `end_run`.
//! Until `apply_run`, nothing of what was read is written anywhere.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Action, Attribute, EmployeeId, RunId, SourceId, Viewer,
    erp::{Fault, OrgUnit, Vacancy, Worker},
    sync::{Beside, Doubt, Exceeded, Limit, Limits, Step, StepKind, Totals},
};
use sea_orm::{ConnectionTrait, QueryResult, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Error, Event, Page, Result, Store, db, people, scim, source};

pub mod ahead;
mod apply;
mod beside;
mod doubt;
mod feed;
pub(crate) mod journal;
mod live;
mod photo;
mod plan;
mod push;
mod relations;
mod spool;
pub mod undo;

pub(crate) use apply::write_history;
pub use feed::{Feed, Pull};
pub use live::Runs;
use live::{Live, Standing, Work};

/// How long a run that shows no sign of life keeps others from its source. Its
/// process shows one every [`live::BEAT`].
const ALIVE: TimeDelta = TimeDelta::seconds(10);
/// Runs in a list.
const RUNS_LISTED: usize = 50;
/// From so many steps on, and a tenth of the people, a database's idea of its tables is an old one.
const MANY: u64 = 1_000;
/// Steps in a page.
const STEPS_PAGE: usize = 100;
/// Most findings that are kept of a run; how many there were is in its totals.
const FINDINGS_KEPT: usize = 5_000;

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Asks the ERP.
    Reading,
    /// Works out what would change.
    Planning,
    /// Writes.
    Applying,
    /// Stopped before the first write and asks, because it goes over a limit or its source is paused.
    Waiting,
    /// All went well.
    Done,
    /// Could not go on; `error` says why.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl Phase {
    /// Whether nothing more will happen by itself.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    const ALL: [Self; 7] = [
        Self::Reading,
        Self::Planning,
        Self::Applying,
        Self::Waiting,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name in the API and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Planning => "planning",
            Self::Applying => "applying",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A run as the console shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Which.
    pub id: RunId,
    /// Of which source.
    pub source: SourceId,
    /// The source's name.
    pub source_name: String,
    /// Whether it only looks.
    pub dry_run: bool,
    /// Where it is.
    pub phase: Phase,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
    /// Who started it, by name; none for the schedule or a command.
    pub started_by: Option<String>,
    /// How many of each.
    pub totals: Totals,
    /// Steps written, out of all.
    pub applied: u64,
    /// Steps in the plan.
    pub steps: u64,
    /// Why it failed or waits, as a stable code: `too_many_leavers`, `unreachable`, `unauthorized`, …
    pub error: Option<String>,
    /// The same in a sentence for people, without internals.
    pub error_text: Option<String>,
    /// The limits that its plan goes over, for which it waits or waited.
    #[serde(default)]
    pub exceeded: Vec<Exceeded>,
    /// The run that this one undoes; most undo none.
    #[serde(default)]
    pub undoes: Option<RunId>,
    /// The run that undid this one.
    #[serde(default)]
    pub undone_by: Option<RunId>,
    /// Whether it can be undone: it is over, wrote, kept its journal, and is none that undoes.
    #[serde(default)]
    pub undoable: bool,
}

/// What a run found wrong in the ERP's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RunFinding {
    /// A record or field that could not be read.
    Fault(Fault),
    /// A post that nobody holds; without a superior it is told as such.
    Vacancy(Vacancy),
    /// What could be read and still looks wrong.
    Doubt(Doubt),
    /// What an undo left as it is.
    NotUndone(NotUndone),
}

/// What an undo leaves as it is, because something newer touched it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotUndone {
    /// Whose, or which unit's name.
    pub name: String,
    /// The person; none for a unit.
    pub employee: Option<EmployeeId>,
    /// Which values; empty if it is about the whole record or unit.
    pub attributes: Vec<Attribute>,
    /// What beside people and units, if it is that; of clients and tickets the
    /// name is how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<Beside>,
    /// What stands against it, as a stable code: `later_run`, `changed_since`, `in_use`, `no_record`,
    /// `presses` for whoever pressed the button, `last_administrator`.
    pub why: String,
}

/// What findings are about, for putting like beside like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// One value of nearly everybody.
    MassChange,
    /// Superiors or units in a circle.
    Cycle,
    /// A superior whom nobody knows.
    MissingManager,
    /// A number or an address that two have.
    Duplicate,
    /// A mail address that is none.
    BadMail,
    /// People in a unit that is not there.
    UnitGone,
    /// One photo of several people.
    SamePhoto,
    /// Records that were left out.
    LeftOut,
    /// Values that could not be read.
    BadValue,
    /// Posts that nobody holds.
    Vacancy,
    /// What an undo left as it is.
    NotUndone,
}

impl RunFinding {
    /// What it is about.
    #[must_use]
    pub fn group(&self) -> Group {
        match self {
            Self::NotUndone(_) => Group::NotUndone,
            Self::Vacancy(_) => Group::Vacancy,
            Self::Fault(fault) if fault.left_out => Group::LeftOut,
            Self::Fault(fault) => match fault.field.as_deref() {
                Some(field) if field == Attribute::Emails.name() => Group::BadMail,
                Some(field) if field == Attribute::EmployeeNumber.name() => Group::Duplicate,
                _ => Group::BadValue,
            },
            Self::Doubt(doubt) => match doubt {
                Doubt::Cycle { .. } | Doubt::UnitCycle { .. } => Group::Cycle,
                Doubt::MissingManager { .. } => Group::MissingManager,
                Doubt::Duplicate { .. } => Group::Duplicate,
                Doubt::UnitGone { .. } => Group::UnitGone,
                Doubt::MassChange { .. } => Group::MassChange,
                Doubt::SamePhoto { .. } => Group::SamePhoto,
            },
        }
    }
}

/// What one page of workers brings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Read {
    /// People.
    pub workers: Vec<Worker>,
    /// What could not be read.
    pub faults: Vec<Fault>,
}

impl Store {
    /// Begins a run. A dry run is kept in memory alone. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_in_progress`, here or in another process;
    /// [`crate::Error::NotFound`].
    pub async fn begin_run(&self, viewer: &Viewer, source: SourceId, dry_run: bool) -> Result<Run> {
        self.allow(viewer, Action::ManageSources)?;
        let find = "SELECT name, leaver_percent, limits, paused_since,
                EXISTS (SELECT 1 FROM runs r WHERE r.source_id = sources.id AND r.phase = 'done'), kind
            FROM sources WHERE id = $1";
        let row = self
            .db()
            .query_one_raw(db::sql(self.db(), find, [source.0.into()]))
            .await?
            .ok_or(Error::NotFound)?;
        let started_by = match viewer.id() {
            Some(id) => people::cards(self.db(), [id])
                .await?
                .remove(&id)
                .map(|card| card.display_name),
            None => None,
        };
        let started_at = self.now();
        let run = Run {
            id: RunId::new(started_at, self.random()),
            source,
            source_name: row.try_get_by_index(0)?,
            dry_run,
            phase: Phase::Reading,
            started_at,
            ended_at: None,
            started_by,
            totals: Totals::default(),
            applied: 0,
            steps: 0,
            error: None,
            error_text: None,
            exceeded: Vec::new(),
            undoes: None,
            undone_by: None,
            undoable: false,
        };
        let paused: Option<DateTime<Utc>> = row.try_get_by_index(3)?;
        let standing = Standing {
            // A push is over before it is answered: it holds back whom it would have to ask about.
            limits: match row.try_get_by_index::<String>(5)?.as_str() {
                scim::KIND => Limits::LIFTED,
                _ => source::limits(row.try_get_by_index(1)?, row.try_get_by_index(2)?),
            },
            paused: paused.is_some(),
            first: !row.try_get_by_index::<bool>(4)?,
        };
        let live = self.0.runs.begin(run.clone(), standing)?;
        if let Err(error) = self.take_place(viewer, &run).await {
            self.0.runs.forget(run.id);
            return Err(error);
        }
        if !dry_run {
            live::keep_beating(&self.0, &live);
        }
        self.tell(Event::RunMoved(run.id));
        Ok(run)
    }

    /// Sees to it that no other process runs the source; a real run is kept from now on.
    async fn take_place(&self, viewer: &Viewer, run: &Run) -> Result<()> {
        let alive_since = run.started_at - ALIVE;
        if run.dry_run {
            let find =
                "SELECT 1 FROM runs WHERE source_id = $1 AND ended_at IS NULL AND beat_at >= $2";
            let values = [run.source.0.into(), alive_since.into()];
            let other = self
                .db()
                .query_one_raw(db::sql(self.db(), find, values))
                .await?;
            return other.map_or(Ok(()), |_| Err(Error::Conflict("run_in_progress")));
        }
        let mut change = self.change().await?;
        interrupt(&change.tx, run.started_at, "source_id", run.source.0).await?;
        let insert = "INSERT INTO runs (id, source_id, phase, started_at, beat_at, started_by, totals, applied, steps, findings, undoes, journal)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, '[]', $8, $9)
            ON CONFLICT (source_id) WHERE ended_at IS NULL DO NOTHING";
        let row: [Value; 9] = [
            run.id.0.into(),
            run.source.0.into(),
            run.phase.name().into(),
            run.started_at.into(),
            run.started_at.into(),
            viewer.id().map(|id| id.0).into(),
            serde_json::to_string(&run.totals)?.into(),
            run.undoes.map(|undone| undone.0).into(),
            run.undoes.is_none().into(),
        ];
        let done = change
            .tx
            .execute_raw(db::sql(&change.tx, insert, row))
            .await?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict("run_in_progress"));
        }
        if viewer.id().is_some() {
            let detail =
                json!({ "run": run.id, "source_name": run.source_name, "undoes": run.undoes });
            change.record(viewer, "run.begun", source::subject(run.source), detail);
        }
        change.commit().await
    }

    /// Takes the source's units and vacancies.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_over`.
    pub async fn read_units(
        &self,
        viewer: &Viewer,
        run: RunId,
        units: Vec<OrgUnit>,
        vacancies: Vec<Vacancy>,
        faults: Vec<Fault>,
    ) -> Result<()> {
        let (live, mut work) = self.reading(viewer, run).await?;
        work.take_units(units, || self.random(), live.run().started_at)?;
        let posts = vacancies
            .iter()
            .map(|post| (post.external_id.clone(), post.clone()));
        work.vacancies = posts.collect();
        work.findings
            .extend(vacancies.into_iter().map(RunFinding::Vacancy));
        work.take_faults(faults);
        self.moved(&live, &work);
        Ok(())
    }

    /// Takes a page of workers: keeps those that differ from what was read before.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_over`.
    pub async fn read_page(&self, viewer: &Viewer, run: RunId, page: Read) -> Result<()> {
        let (live, mut work) = self.reading(viewer, run).await?;
        work.take_faults(page.faults);
        for worker in page.workers {
            work.take(worker)?;
        }
        self.moved(&live, &work);
        Ok(())
    }

    /// Ends reading and works out the plan. `present` are the ids that the
    /// source still has, for telling leavers; `None` where the pages were
    /// everything there is. A record with a fault never counts as gone, and while
    /// there is one whose id could not be read, nobody who is missing does.
    ///
    /// A run that goes over a limit, or whose source is paused, comes back
    /// `Waiting`; a dry run comes back `Done`.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_over`.
    pub async fn plan_run(
        &self,
        viewer: &Viewer,
        run: RunId,
        present: Option<HashSet<String>>,
    ) -> Result<Run> {
        let (live, mut work) = self.reading(viewer, run).await?;
        live.change(|run| run.phase = Phase::Planning);
        self.moved(&live, &work);
        work.read_at = self.now();
        let exceeded = self.plan(&live, &mut work, present.as_ref()).await?;
        live.change(|run| {
            run.totals = work.totals;
            run.steps = work.plan.len() as u64;
            run.exceeded = exceeded;
            if live.standing.paused && !run.dry_run {
                run.exceeded.push(PAUSED);
            }
            if run.dry_run {
                run.phase = Phase::Done;
                run.ended_at = Some(self.now());
            } else if let Some(first) = run.exceeded.first() {
                let told: Vec<_> = run.exceeded.iter().map(|one| format!("{one}.")).collect();
                run.phase = Phase::Waiting;
                run.error = Some(first.limit.code().into());
                run.error_text = Some(format!("{} Nothing was written.", told.join(" ")));
            } else {
                run.phase = Phase::Applying;
            }
        });
        let planned = live.run();
        if planned.dry_run {
            work.forget_what_was_read();
            drop(work);
            self.0.runs.shelve(&live);
        } else {
            let change = self.change().await?;
            let kept = write_run(&change.tx, &planned, Some(&work.findings), change.at).await;
            self.unless_lost(run, kept)?;
            change.commit().await?;
        }
        self.tell(Event::RunMoved(run));
        Ok(planned)
    }

    /// Lets a waiting run go on; if its source was paused, it is no more. Needs
    /// `ManageSources`; recorded.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `run_over`,
    /// `not_waiting` for a run that asked nothing, or `four_eyes` for whoever
    /// started it where somebody else has to say so.
    pub async fn approve_run(&self, viewer: &Viewer, run: RunId) -> Result<Run> {
        self.allow(viewer, Action::ManageSources)?;
        let live = self.live(run).await?;
        let mut work = live.work.lock().await;
        live.require(Phase::Waiting)?;
        let mut approved = live.run();
        approved.phase = Phase::Applying;
        (approved.error, approved.error_text) = (None, None);
        let mut change = self.change().await?;
        if live.standing.limits.four_eyes && !self.is_another(&change.tx, viewer, run).await? {
            return Err(Error::Conflict("four_eyes"));
        }
        if live.standing.paused {
            source::unpause(&change.tx, live.source).await?;
        }
        let kept = write_run(&change.tx, &approved, None, change.at).await;
        self.unless_lost(run, kept)?;
        let detail = json!({
            "run": run,
            "leavers": approved.totals.leavers,
            "exceeded": approved.exceeded,
        });
        change.record(viewer, "run.approved", source::subject(live.source), detail);
        change.tell(Event::RunMoved(run));
        change.commit().await?;
        work.undone.approve(viewer);
        live.change(|run| *run = approved.clone());
        Ok(approved)
    }

    /// Whether `viewer` is a person, and another one than who started the run.
    async fn is_another(
        &self,
        tx: &impl ConnectionTrait,
        viewer: &Viewer,
        run: RunId,
    ) -> Result<bool> {
        let find = "SELECT started_by FROM runs WHERE id = $1";
        let row = tx
            .query_one_raw(db::sql(tx, find, [run.0.into()]))
            .await?
            .ok_or(Error::NotFound)?;
        let started_by: Option<uuid::Uuid> = row.try_get_by_index(0)?;
        Ok(viewer.id().is_some_and(|id| started_by != Some(id.0)))
    }

    /// Writes the next chunk of the plan; answers how many steps are left.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_over`, or `not_approved` for a run that waits.
    pub async fn apply_run(&self, viewer: &Viewer, run: RunId) -> Result<u64> {
        self.allow(viewer, Action::ManageSources)?;
        let live = self.live(run).await?;
        let mut work = live.work.lock().await;
        live.require(Phase::Applying)?;
        if work.next < work.plan.len() {
            let applied = Box::pin(self.apply_chunk(viewer, &live, &mut work)).await;
            self.unless_lost(run, applied)?;
        }
        Ok((work.plan.len() - work.next) as u64)
    }

    /// Ends a run that has applied everything: notes how far the source was
    /// read, refreshes the chart if it changed, tells everyone. Without a watermark the last
    /// one stays.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_over`, or `steps_left`.
    pub async fn end_run(
        &self,
        viewer: &Viewer,
        run: RunId,
        watermark: Option<String>,
    ) -> Result<Run> {
        self.allow(viewer, Action::ManageSources)?;
        let live = self.live(run).await?;
        let mut work = live.work.lock().await;
        live.require(Phase::Applying)?;
        if work.next < work.plan.len() {
            return Err(Error::Conflict("steps_left"));
        }
        let ended = Box::pin(self.apply_rest(viewer, &live, &mut work, watermark)).await;
        let (ended, moved) = self.unless_lost(run, ended)?;
        if ended.steps >= MANY && ended.steps * 10 >= work.active {
            db::analyze(self.db(), &["employees", "erp_records"]).await?;
        }
        // What is kept of the plan is in the database; the chart needs the room.
        (work.plan, work.held) = Default::default();
        // Whoever sees the run done finds the chart that it made.
        let charted = if moved {
            self.refresh_chart().await.map(drop)
        } else {
            Ok(())
        };
        live.change(|run| *run = ended.clone());
        drop(work);
        self.0.runs.forget(run);
        charted?;
        self.tell(Event::RunMoved(run));
        Ok(ended)
    }

    /// Ends a run that cannot go on. `code` is stable, `text` for people. A run
    /// that is over stays as it is.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn fail_run(
        &self,
        viewer: &Viewer,
        run: RunId,
        code: &str,
        text: &str,
    ) -> Result<Run> {
        match self
            .stop(viewer, run, Phase::Failed, Some((code, text)))
            .await
        {
            Err(Error::Conflict(_)) => self.find_run(run).await,
            other => other,
        }
    }

    /// Ends a run by somebody's wish; what it has written stays. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `run_over`.
    pub async fn cancel_run(&self, viewer: &Viewer, run: RunId) -> Result<Run> {
        self.stop(viewer, run, Phase::Cancelled, None).await
    }

    async fn stop(
        &self,
        viewer: &Viewer,
        id: RunId,
        phase: Phase,
        why: Option<(&str, &str)>,
    ) -> Result<Run> {
        self.allow(viewer, Action::ManageSources)?;
        let live = self.0.runs.find(id);
        // The chunk that is being written is written to its end.
        let _work = match &live {
            Some(live) => Some(live.work.lock().await),
            None => None,
        };
        let mut run = self.find_run(id).await?;
        if run.phase.is_over() {
            return Err(Error::Conflict("run_over"));
        }
        run.phase = phase;
        run.ended_at = Some(self.now());
        (run.error, run.error_text) = why.map(|(code, text)| (code.into(), text.into())).unzip();
        if !run.dry_run {
            let mut change = self.change().await?;
            let kept = write_run(&change.tx, &run, None, change.at).await;
            self.unless_lost(id, kept)?;
            let action = match phase {
                Phase::Cancelled => "run.cancelled",
                _ => "run.failed",
            };
            let detail = json!({ "run": id, "applied": run.applied, "steps": run.steps, "error": run.error });
            change.record(viewer, action, source::subject(run.source), detail);
            if run.applied > 0 {
                change.tell(Event::PeopleChanged);
            }
            change.commit().await?;
        }
        if let Some(live) = &live {
            live.change(|shown| *shown = run.clone());
            self.0.runs.shelve(live);
        }
        if run.applied > 0 {
            self.refresh_chart().await?;
        }
        self.tell(Event::RunMoved(id));
        Ok(run)
    }

    /// Marks runs that a killed process left behind as failed (`interrupted`):
    /// those that are not over, gave no sign of life for ten seconds and are not
    /// this process's own. A source with a schedule is read again soon, as after
    /// any failure that passes, and what was not written then is written.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn clear_interrupted_runs(&self, viewer: &Viewer) -> Result<u64> {
        self.allow(viewer, Action::ManageSources)?;
        // Looked for first: nothing to write should hold up nobody who writes.
        let find = "SELECT id, source_id, undoes IS NULL FROM runs WHERE ended_at IS NULL AND beat_at < $1";
        let find = db::sql(self.db(), find, [(self.now() - ALIVE).into()]);
        let mut lost = Vec::new();
        for row in self.db().query_all_raw(find).await? {
            let id = RunId(row.try_get_by_index(0)?);
            // This process itself may have stood still.
            if self.0.runs.find(id).is_none() {
                let source = SourceId(row.try_get_by_index(1)?);
                lost.push((id, source, row.try_get_by_index::<bool>(2)?));
            }
        }
        if lost.is_empty() {
            return Ok(0);
        }
        let mut change = self.change().await?;
        let mut cleared = 0;
        let mut broken_off = Vec::new();
        for (id, source, reads) in lost {
            let ended = interrupt(&change.tx, change.at, "id", id.0).await?;
            cleared += ended;
            broken_off.extend((ended > 0 && reads).then_some(source));
        }
        if cleared > 0 {
            let detail = json!({ "runs": cleared });
            change.record(viewer, "run.interrupted", String::new(), detail);
        }
        change.commit().await?;
        for source in broken_off {
            self.note_run(viewer, source, true, Some(None)).await?;
        }
        Ok(cleared)
    }

    /// A run. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn run(&self, viewer: &Viewer, id: RunId) -> Result<Run> {
        self.allow(viewer, Action::ReadSources)?;
        self.find_run(id).await
    }

    async fn find_run(&self, id: RunId) -> Result<Run> {
        if let Some(live) = self.0.runs.any(id) {
            return Ok(live.run());
        }
        let row = self
            .db()
            .query_one_raw(db::sql(
                self.db(),
                format!("{RUN} WHERE r.id = $1"),
                [id.0.into()],
            ))
            .await?;
        read_run(&row.ok_or(Error::NotFound)?)
    }

    /// A source's last runs, the latest first, at most 50; among them the dry
    /// runs that this process still knows. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn runs(&self, viewer: &Viewer, source: SourceId) -> Result<Vec<Run>> {
        self.allow(viewer, Action::ReadSources)?;
        let find = format!(
            "{RUN} WHERE r.source_id = $1 ORDER BY r.started_at DESC, r.id DESC LIMIT {RUNS_LISTED}"
        );
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [source.0.into()]))
            .await?;
        let mut runs = self.0.runs.of(source);
        for row in &rows {
            let run = read_run(row)?;
            // What is under way here is known better than it is kept.
            if runs.iter().all(|known| known.id != run.id) {
                runs.push(run);
            }
        }
        runs.sort_by_key(|run| std::cmp::Reverse((run.started_at, run.id)));
        runs.truncate(RUNS_LISTED);
        Ok(runs)
    }

    /// A run's plan, or what it did, in pages of a hundred; with `kind`, only
    /// those steps. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`] for a cursor that is none.
    pub async fn run_steps(
        &self,
        viewer: &Viewer,
        id: RunId,
        kind: Option<StepKind>,
        cursor: Option<&str>,
    ) -> Result<Page<Step>> {
        self.allow(viewer, Action::ReadSources)?;
        let from = match cursor {
            Some(cursor) => cursor.parse::<u32>().map_err(|_| people::bad_cursor())?,
            None => 0,
        };
        // One more than a page holds: its place is where the next page begins.
        let planned_here = match self.0.runs.any(id) {
            Some(live) if live.run().undoes.is_none() => match live.look().await {
                Some(work) if work.next < work.plan.len() => Some(work.steps(from as usize, kind)?),
                _ => None,
            },
            Some(live) if live.run().phase == Phase::Waiting => {
                let work = live.look().await;
                work.map(|work| work.undone.steps(from as usize, kind))
            }
            _ => None,
        };
        let mut steps: Vec<(u64, Step)> = if let Some(steps) = planned_here {
            steps
        } else {
            self.find_run(id).await?;
            let mut values = vec![id.0.into(), i64::from(from).into()];
            let mut only = "";
            if let Some(kind) = kind {
                // The kind is the first field of a step as it is kept.
                values.push(format!("{{\"kind\":{},%", serde_json::to_string(&kind)?).into());
                only = " AND step LIKE $3";
            }
            let find = format!(
                "SELECT place, step FROM run_steps WHERE run_id = $1 AND place >= $2{only} ORDER BY place LIMIT {}",
                STEPS_PAGE + 1
            );
            let rows = self
                .db()
                .query_all_raw(db::sql(self.db(), find, values))
                .await?;
            let read = |row: &QueryResult| -> Result<(u64, Step)> {
                let place = u64::try_from(row.try_get_by_index::<i64>(0)?).unwrap_or(0);
                Ok((
                    place,
                    serde_json::from_str(&row.try_get_by_index::<String>(1)?)?,
                ))
            };
            rows.iter().map(read).collect::<Result<_>>()?
        };
        let next = (steps.len() > STEPS_PAGE).then(|| steps.pop()).flatten();
        Ok(Page {
            items: steps.into_iter().map(|(_, step)| step).collect(),
            next_cursor: next.map(|(place, _)| place.to_string()),
        })
    }

    /// What a run found wrong in the data. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn run_findings(&self, viewer: &Viewer, id: RunId) -> Result<Vec<RunFinding>> {
        self.allow(viewer, Action::ReadSources)?;
        if let Some(live) = self.0.runs.any(id)
            && let Some(work) = live.look().await
        {
            return Ok(work.findings.clone());
        }
        let find = "SELECT findings FROM runs WHERE id = $1";
        let row = self
            .db()
            .query_one_raw(db::sql(self.db(), find, [id.0.into()]))
            .await?
            .ok_or(Error::NotFound)?;
        Ok(serde_json::from_str(&row.try_get_by_index::<String>(0)?)?)
    }

    /// Where the last whole run of a source ended. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn watermark(&self, viewer: &Viewer, source: SourceId) -> Result<Option<String>> {
        self.allow(viewer, Action::ManageSources)?;
        let find = "SELECT watermark FROM sources WHERE id = $1";
        let row = self
            .db()
            .query_one_raw(db::sql(self.db(), find, [source.0.into()]))
            .await?
            .ok_or(Error::NotFound)?;
        Ok(row.try_get_by_index(0)?)
    }

    /// A run that this process drives.
    async fn live(&self, id: RunId) -> Result<Arc<Live>> {
        match self.0.runs.find(id) {
            Some(live) => Ok(live),
            // Over, or another process's: either way nothing can be done to it here.
            None => Err(self
                .find_run(id)
                .await
                .map_or_else(|error| error, |_| Error::Conflict("run_over"))),
        }
    }

    /// Lets go of a run that turns out to have been ended elsewhere.
    fn unless_lost<T>(&self, id: RunId, outcome: Result<T>) -> Result<T> {
        if let Err(Error::Conflict("run_over")) = outcome {
            self.0.runs.forget(id);
        }
        outcome
    }

    /// A run that still reads, with what is known of its source loaded.
    async fn reading(
        &self,
        viewer: &Viewer,
        id: RunId,
    ) -> Result<(Arc<Live>, tokio::sync::OwnedMutexGuard<Work>)> {
        self.allow(viewer, Action::ManageSources)?;
        let live = self.live(id).await?;
        let mut work = live.work.clone().lock_owned().await;
        live.require(Phase::Reading)?;
        if !work.loaded {
            self.load(live.source, &mut work).await?;
        }
        Ok((live, work))
    }

    fn moved(&self, live: &Live, work: &Work) {
        live.change(|run| run.totals = work.totals);
        self.tell(Event::RunMoved(live.id));
    }

    /// Tells those who watch; what is told so is in memory alone.
    fn tell(&self, event: Event) {
        // Fails only when nobody listens.
        self.0.events.send(event).ok();
    }
}

/// Why a run of a paused source waits.
const PAUSED: Exceeded = Exceeded {
    limit: Limit::Paused,
    attribute: None,
    count: 0,
    of: 0,
    percent: 0,
};

const RUN: &str =
    "SELECT r.id, r.source_id, s.name, r.phase, r.started_at, r.ended_at, e.display_name, r.totals,
        r.applied, r.steps, r.error, r.error_text, r.exceeded, r.undoes, r.journal,
        (SELECT u.id FROM runs u WHERE u.source_id = r.source_id AND u.undoes = r.id AND u.phase = 'done' LIMIT 1)
    FROM runs r JOIN sources s ON s.id = r.source_id LEFT JOIN employees e ON e.id = r.started_by";

fn read_run(row: &QueryResult) -> Result<Run> {
    let phase: String = row.try_get_by_index(3)?;
    let phase = Phase::ALL.into_iter().find(|one| one.name() == phase);
    let count =
        |index| Ok::<_, Error>(u64::try_from(row.try_get_by_index::<i64>(index)?).unwrap_or(0));
    let phase =
        phase.ok_or_else(|| Error::Internal("a run is in no phase that there is".into()))?;
    let run_id = |index| {
        Ok::<_, Error>(
            row.try_get_by_index::<Option<uuid::Uuid>>(index)?
                .map(RunId),
        )
    };
    let (undoes, undone_by) = (run_id(13)?, run_id(15)?);
    let journal: bool = row.try_get_by_index(14)?;
    Ok(Run {
        id: RunId(row.try_get_by_index(0)?),
        source: SourceId(row.try_get_by_index(1)?),
        source_name: row.try_get_by_index(2)?,
        dry_run: false,
        phase,
        started_at: row.try_get_by_index(4)?,
        ended_at: row.try_get_by_index(5)?,
        started_by: row.try_get_by_index(6)?,
        totals: serde_json::from_str(&row.try_get_by_index::<String>(7)?)?,
        applied: count(8)?,
        steps: count(9)?,
        error: row.try_get_by_index(10)?,
        error_text: row.try_get_by_index(11)?,
        exceeded: serde_json::from_str(&row.try_get_by_index::<String>(12)?)?,
        undoable: journal && phase.is_over() && undoes.is_none() && undone_by.is_none(),
        undoes,
        undone_by,
    })
}

/// Keeps how a run stands. Fails when it was ended by somebody else, so that
/// what stands beside this in the transaction is not written either.
async fn write_run(
    tx: &impl ConnectionTrait,
    run: &Run,
    findings: Option<&[RunFinding]>,
    at: DateTime<Utc>,
) -> Result<()> {
    let mut set = "phase = $2, beat_at = $3, ended_at = $4, totals = $5, applied = $6, steps = $7,
        error = $8, error_text = $9, exceeded = $10"
        .to_owned();
    let mut values: Vec<Value> = vec![
        run.id.0.into(),
        run.phase.name().into(),
        at.into(),
        run.ended_at.into(),
        serde_json::to_string(&run.totals)?.into(),
        i64::try_from(run.applied).unwrap_or(i64::MAX).into(),
        i64::try_from(run.steps).unwrap_or(i64::MAX).into(),
        run.error.clone().into(),
        run.error_text.clone().into(),
        serde_json::to_string(&run.exceeded)?.into(),
    ];
    if let Some(findings) = findings {
        set += ", findings = $11";
        let kept = &findings[..findings.len().min(FINDINGS_KEPT)];
        values.push(serde_json::to_string(kept)?.into());
    }
    let update = format!("UPDATE runs SET {set} WHERE id = $1 AND ended_at IS NULL");
    match tx
        .execute_raw(db::sql(tx, update, values))
        .await?
        .rows_affected()
    {
        0 => Err(Error::Conflict("run_over")),
        _ => Ok(()),
    }
}

/// Marks runs without a sign of life as failed, those whose `column` is `id`.
async fn interrupt(
    tx: &impl ConnectionTrait,
    at: DateTime<Utc>,
    column: &str,
    id: uuid::Uuid,
) -> Result<u64> {
    let update = format!(
        "UPDATE runs SET phase = $1, ended_at = $2, error = 'interrupted',
            error_text = CASE WHEN undoes IS NULL THEN $3 ELSE $4 END
        WHERE ended_at IS NULL AND beat_at < $5 AND {column} = $6"
    );
    let values: [Value; 6] = [
        Phase::Failed.name().into(),
        at.into(),
        "The program was stopped during the run. The next run completes it.".into(),
        "The program was stopped during the undo. Undo the run again, and the rest comes back."
            .into(),
        (at - ALIVE).into(),
        id.into(),
    ];
    Ok(tx
        .execute_raw(db::sql(tx, update, values))
        .await?
        .rows_affected())
}

//! Undoing a run: what it changed goes back to what it was before, from its
//! journal, as long as nothing newer touched it.
//!
//! An undo is a run of its own. It goes through the journal from its end to its
//! beginning, in chunks that are a transaction each; what is undone is marked,
//! so that one that broke off is gone on with by the next. Own values are never
//! touched. Sign-ins that a leaver's run ended stay ended.

use std::collections::HashMap;

use domain::{
    Action, RunId, Viewer,
    sync::{Step, Totals},
};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use super::{
    Live, NotUndone, Phase, Run, RunFinding,
    live::{Standing, Work},
    write_run,
};
use crate::{Error, Event, Result, Store, db, people};

mod apply;
mod plan;
mod units;

use units::units;

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
}

/// Where an undo has got to.
#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    /// In the journal: what is below this place is not undone yet.
    Journal(i64),
    /// Among the joiners: what is above this place is not undone yet.
    Joiners(i64),
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
        let tx = db::read(self.db()).await?;
        let scope = self.scope(&tx, &found).await?;
        let mut preview = UndoPreview {
            run: found,
            totals: Totals::default(),
            steps: Vec::new(),
            steps_in_all: 0,
            left: Vec::new(),
            left_in_all: 0,
            units: 0,
        };
        let mut at = At::default();
        let mut places = HashMap::new();
        loop {
            let (undone, next) = self.chunk(&tx, &scope, at, &mut places, self.now()).await?;
            for step in undone.steps {
                preview.totals.count(step.kind);
                preview.steps_in_all += 1;
                if preview.steps.len() < PREVIEWED {
                    preview.steps.push(step);
                }
            }
            for left in undone.left {
                preview.left_in_all += 1;
                if preview.left.len() < PREVIEWED {
                    preview.left.push(left);
                }
            }
            match next {
                At::End => break,
                next => at = next,
            }
        }
        for unit in units(&tx, scope.undone).await? {
            match unit.now == unit.became {
                true => preview.units += 1,
                false => {
                    preview.left_in_all += 1;
                    preview.left.push(unit.left("changed_since"));
                }
            }
        }
        tx.rollback().await?;
        Ok(preview)
    }

    /// Begins to undo a run, as a run of its own. Needs `ManageSources`; recorded.
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
            phase: Phase::Applying,
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
        let live = self.0.runs.begin(undo.clone(), Standing::default())?;
        if let Err(error) = self.take_place(viewer, &undo).await {
            self.0.runs.forget(undo.id);
            return Err(error);
        }
        super::live::keep_beating(&self.0, &live);
        self.tell(Event::RunMoved(undo.id));
        Ok(undo)
    }

    /// Undoes the next chunk; answers whether anything is left.
    ///
    /// # Errors
    /// [`Error::Conflict`] `run_over`.
    pub async fn undo_chunk(&self, viewer: &Viewer, run: RunId) -> Result<bool> {
        self.allow(viewer, Action::ManageSources)?;
        let live = self.live(run).await?;
        let mut work = live.work.lock().await;
        live.require(Phase::Applying)?;
        if !work.loaded {
            // Who has which id in the source: references to people are found by it.
            self.load(live.source, &mut work).await?;
        }
        let at = work.undone;
        let outcome = Box::pin(self.write_undone(viewer, &live, &mut work, at)).await;
        work.undone = self.unless_lost(run, outcome)?;
        Ok(!matches!(work.undone, At::End))
    }

    async fn write_undone(
        &self,
        viewer: &Viewer,
        live: &Live,
        work: &mut Work,
        at: At,
    ) -> Result<At> {
        let mut run = live.run();
        let undone = run
            .undoes
            .ok_or_else(|| Error::Internal("an undo without a run".into()))?;
        let undone = self.find_run(undone).await?;
        let mut change = self.change_people().await?;
        let moment = change.at;
        let scope = self.scope(&change.tx, &undone).await?;
        let mut places = HashMap::new();
        let (chunk, next) = self
            .chunk(&change.tx, &scope, at, &mut places, moment)
            .await?;
        for step in &chunk.steps {
            run.totals.count(step.kind);
        }
        let first = run.applied;
        run.applied += chunk.steps.len() as u64;
        run.steps = run.steps.max(run.applied);
        work.findings
            .extend(chunk.left.iter().cloned().map(RunFinding::NotUndone));
        let findings: Vec<_> = work.findings.clone();
        write_run(&change.tx, &run, Some(&findings), moment).await?;
        let moved = self
            .put_back(viewer, live, work, &scope, chunk, first, &mut change)
            .await?;
        change.tell(Event::RunMoved(live.id));
        change.commit().await?;
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

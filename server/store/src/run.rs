//! Runs of a source: what was read becomes a plan, and the plan is applied in
//! chunks, each a transaction of its own, so that the portal stays responsive
//! and a killed run leaves nothing half done: the next run finds what is
//! missing.
//!
//! The caller drives: `begin_run`, `read_page` for each page, `plan_run`, and
//! unless it is a dry run `apply_run` until nothing is left, then `end_run`.
//! Until `apply_run`, nothing of what was read is written anywhere.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::{
    RunId, SourceId, Viewer,
    erp::{Fault, OrgUnit, Vacancy, Worker},
    sync::{Step, Totals},
};
use serde::{Deserialize, Serialize};

use crate::{Page, Result, Store};

/// The runs under way in this process, with their plans, and the last finished dry runs.
pub struct Runs {
    // filled in by the implementation
}

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
    /// Stopped before the first write and asks: too many leavers.
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
}

/// What a run found wrong in the ERP's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RunFinding {
    /// A record or field that could not be read.
    Fault(Fault),
    /// A post that nobody holds; without a superior it is told as such.
    Vacancy(Vacancy),
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
    /// Begins a run. A dry run is kept in memory alone.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_in_progress`, [`crate::Error::NotFound`]. Needs `ManageSources`.
    pub async fn begin_run(&self, viewer: &Viewer, source: SourceId, dry_run: bool) -> Result<Run> {
        todo!()
    }

    /// Takes the source's units and vacancies.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_over`.
    pub async fn read_units(&self, viewer: &Viewer, run: RunId, units: Vec<OrgUnit>, vacancies: Vec<Vacancy>, faults: Vec<Fault>) -> Result<()> {
        todo!()
    }

    /// Takes a page of workers: correlates them and keeps those that differ.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_over`.
    pub async fn read_page(&self, viewer: &Viewer, run: RunId, page: Read) -> Result<()> {
        todo!()
    }

    /// Ends reading and works out the plan. `present` are the ids that the
    /// source still has, for telling leavers; `None` where the pages were
    /// everything there is.
    ///
    /// A run with too many leavers comes back `Waiting`; a dry run comes back `Done`.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_over`.
    pub async fn plan_run(&self, viewer: &Viewer, run: RunId, present: Option<HashSet<String>>) -> Result<Run> {
        todo!()
    }

    /// Lets a waiting run go on. Needs `ManageSources`; recorded.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `run_over`.
    pub async fn approve_run(&self, viewer: &Viewer, run: RunId) -> Result<Run> {
        todo!()
    }

    /// Writes the next chunk of the plan; answers how many steps are left.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_over`.
    pub async fn apply_run(&self, viewer: &Viewer, run: RunId) -> Result<u64> {
        todo!()
    }

    /// Ends a run that has applied everything: notes how far the source was
    /// read, refreshes the chart, tells everyone.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_over`.
    pub async fn end_run(&self, viewer: &Viewer, run: RunId, watermark: Option<String>) -> Result<Run> {
        todo!()
    }

    /// Ends a run that cannot go on. `code` is stable, `text` for people.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn fail_run(&self, viewer: &Viewer, run: RunId, code: &str, text: &str) -> Result<Run> {
        todo!()
    }

    /// Ends a run by somebody's wish. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `run_over`.
    pub async fn cancel_run(&self, viewer: &Viewer, run: RunId) -> Result<Run> {
        todo!()
    }

    /// Marks runs that a killed process left behind as failed (`interrupted`).
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn clear_interrupted_runs(&self, viewer: &Viewer) -> Result<u64> {
        todo!()
    }

    /// A run. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn run(&self, viewer: &Viewer, id: RunId) -> Result<Run> {
        todo!()
    }

    /// A source's last runs, the latest first, at most 50.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn runs(&self, viewer: &Viewer, source: SourceId) -> Result<Vec<Run>> {
        todo!()
    }

    /// A run's plan, or what it did. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn run_steps(&self, viewer: &Viewer, id: RunId, cursor: Option<&str>) -> Result<Page<Step>> {
        todo!()
    }

    /// What a run found wrong in the data. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn run_findings(&self, viewer: &Viewer, id: RunId) -> Result<Vec<RunFinding>> {
        todo!()
    }

    /// Where the last whole run of a source ended.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn watermark(&self, viewer: &Viewer, source: SourceId) -> Result<Option<String>> {
        todo!()
    }
}

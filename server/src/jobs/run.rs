//! Drives a run: asks the ERP, hands the store page after page, applies the plan, fetches photos.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use app::portal::open_source;
use chrono::TimeDelta;
use domain::{
    RunId, SourceId, Viewer,
    erp::{Fault, Watermark},
};
use erp_adapters::{ErpAdapter, Guard};
use futures::StreamExt as _;
use store::{
    Error, Store,
    run::{Phase, Read, Run},
};

use super::feed;

/// Drives runs. Cheap to clone.
#[derive(Clone)]
pub struct Driver {
    store: Store,
    guard: Guard,
    /// How far the sources were read by runs that wait for somebody's word.
    read: Arc<Mutex<HashMap<RunId, HowFar>>>,
}

/// How far a source was read.
#[derive(Debug, Default)]
struct HowFar {
    watermark: Option<String>,
    /// Everything, and not only what changed.
    in_full: bool,
}

/// Why a run could not go on.
enum Stop {
    /// The ERP's side.
    Erp(erp_adapters::Error),
    /// Our side, or somebody ended the run.
    Store(Error),
}

impl From<erp_adapters::Error> for Stop {
    fn from(error: erp_adapters::Error) -> Self {
        Self::Erp(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// For what may pass by itself: the time that the source asks for, if it names one.
fn passing(stop: &Stop) -> Option<Option<TimeDelta>> {
    use erp_adapters::Error::{RateLimited, TimedOut, Unreachable};
    match stop {
        Stop::Erp(RateLimited { retry_after }) => {
            Some(retry_after.and_then(|wait| TimeDelta::from_std(wait).ok()))
        }
        Stop::Erp(Unreachable { .. } | TimedOut { .. }) => Some(None),
        Stop::Erp(_) | Stop::Store(_) => None,
    }
}

fn viewer() -> Viewer {
    Viewer::system("sync")
}

impl Driver {
    /// A driver that reaches only what `guard` lets through.
    #[must_use]
    pub fn new(store: Store, guard: Guard) -> Self {
        Self {
            store,
            guard,
            read: Arc::default(),
        }
    }

    /// Drives a run that has begun, or that was approved, until it is over or waits for somebody's word.
    pub async fn drive(&self, id: RunId) {
        let stop = match self.go(id).await {
            Ok(run) => {
                tracing::info!(%id, phase = ?run.phase, totals = ?run.totals, "a run");
                if !run.dry_run && run.phase == Phase::Done {
                    self.note(run.source, false, None).await;
                }
                return;
            }
            Err(stop) => stop,
        };
        // Somebody ended it meanwhile.
        if matches!(stop, Stop::Store(Error::Conflict("run_over"))) {
            return;
        }
        if let Ok(run) = self.store.run(&viewer(), id).await
            && !run.dry_run
        {
            self.note(run.source, true, passing(&stop)).await;
        }
        let (code, text) = match stop {
            Stop::Erp(error) => (error.code(), error.to_string()),
            Stop::Store(error) => {
                tracing::error!(%id, %error, "a run failed");
                (
                    "internal",
                    "the portal could not go on; the log says why".into(),
                )
            }
        };
        if let Err(error) = self.store.fail_run(&viewer(), id, code, &text).await {
            tracing::error!(%id, %error, "a run failed, and its failure was not noted");
        }
    }

    /// Tells the schedule how a run went.
    async fn note(&self, source: SourceId, failed: bool, passing: Option<Option<TimeDelta>>) {
        let noted = self
            .store
            .note_run(&viewer(), source, failed, passing)
            .await;
        if let Err(error) = noted {
            tracing::error!(%source, %error, "how a run went was not noted for its schedule");
        }
    }

    /// Undoes a run, unless it has to ask first; nothing is asked of the ERP.
    async fn undo(&self, run: Run) -> Result<Run, Stop> {
        let id = run.id;
        if run.phase == Phase::Planning {
            let planned = self.store.plan_undo(&viewer(), id).await?;
            if planned.phase != Phase::Applying {
                return Ok(planned);
            }
        }
        while self.store.undo_chunk(&viewer(), id).await? {
            tokio::task::yield_now().await;
        }
        Ok(self.store.end_undo(&viewer(), id).await?)
    }

    async fn go(&self, id: RunId) -> Result<Run, Stop> {
        let viewer = viewer();
        let run = self.store.run(&viewer, id).await?;
        if run.undoes.is_some() {
            return self.undo(run).await;
        }
        let adapter = open_source(&self.store, &self.guard, &viewer, run.source).await??;
        if run.phase == Phase::Reading {
            let read = self.read(&run, adapter.as_ref()).await?;
            self.remember(id, read);
        }
        let run = self.store.run(&viewer, id).await?;
        if run.phase != Phase::Applying {
            if run.phase.is_over() {
                self.forget(id);
            }
            return Ok(run);
        }
        while self.store.apply_run(&viewer, id).await? > 0 {
            // Between chunks, everybody else has a turn.
            tokio::task::yield_now().await;
        }
        let HowFar { watermark, in_full } = self.forget(id);
        feed::pull(&self.store, &viewer, id, adapter.as_ref(), in_full).await?;
        let run = self.store.end_run(&viewer, id, watermark.clone()).await?;
        if in_full {
            self.store
                .note_full_read(&viewer, run.source, run.started_at)
                .await?;
        }
        match self.photos(&run, adapter.as_ref()).await {
            Ok(()) => {}
            Err(Stop::Erp(error)) => tracing::warn!(%id, %error, "not every photo was read"),
            Err(Stop::Store(error)) => tracing::error!(%id, %error, "not every photo was kept"),
        }
        if let Some(upto) = watermark.map(Watermark)
            && let Err(error) = adapter.done(&upto).await
        {
            tracing::warn!(%id, %error, "what was read was not put away");
        }
        Ok(run)
    }

    /// Reads the ERP and has the store make its plan; answers how far it was read.
    async fn read(&self, run: &Run, adapter: &dyn ErpAdapter) -> Result<HowFar, Stop> {
        let viewer = viewer();
        let structure = adapter.units().await?;
        self.store
            .read_units(
                &viewer,
                run.id,
                structure.units,
                structure.vacancies,
                structure.faults,
            )
            .await?;
        let watermark = self.store.watermark(&viewer, run.source).await?;
        let in_full = watermark.is_none() || self.store.reads_in_full(&viewer, run.source).await?;
        let since = watermark.clone().filter(|_| !in_full);
        let mut watermark = watermark;
        let mut pages = adapter.workers(since.map(Watermark));
        while let Some(page) = pages.next().await {
            let page = page?;
            watermark = Some(page.watermark.0);
            self.store
                .read_page(
                    &viewer,
                    run.id,
                    Read {
                        workers: page.workers,
                        faults: page.faults,
                    },
                )
                .await?;
        }
        let present = adapter.worker_ids().await?;
        if present.unreadable > 0 {
            let fault = Fault {
                place: "the list of everybody".into(),
                field: None,
                what: format!(
                    "has {} whose id cannot be read; nobody is taken to have left",
                    match present.unreadable {
                        1 => "a record".to_owned(),
                        records => format!("{records} records"),
                    }
                ),
                external_id: None,
                left_out: true,
            };
            let read = Read {
                workers: Vec::new(),
                faults: vec![fault],
            };
            self.store.read_page(&viewer, run.id, read).await?;
        }
        let present = present.ids.into_iter().collect();
        if run.dry_run {
            feed::pull(&self.store, &viewer, run.id, adapter, in_full).await?;
        }
        self.store.plan_run(&viewer, run.id, Some(present)).await?;
        Ok(HowFar { watermark, in_full })
    }

    /// Fetches the photos that changed, after everything else: they are large. What is missing then stays
    /// wanted, and the next run asks for it.
    async fn photos(&self, run: &Run, adapter: &dyn ErpAdapter) -> Result<(), Stop> {
        for (external_id, _) in self.store.photos_wanted(&viewer(), run.id).await? {
            let bytes = match adapter.photo(&external_id).await {
                Ok(photo) => photo.map(|photo| photo.bytes),
                // Nothing readable is a finding, which says so where people look for it.
                Err(erp_adapters::Error::TooLarge { .. }) => Some(Vec::new()),
                Err(error @ erp_adapters::Error::Malformed { .. }) => {
                    tracing::warn!(external_id, %error, "a photo was not read");
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            self.store
                .put_erp_photo(&viewer(), run.source, &external_id, bytes)
                .await?;
        }
        Ok(())
    }

    fn remember(&self, id: RunId, read: HowFar) {
        self.read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, read);
    }

    fn forget(&self, id: RunId) -> HowFar {
        self.read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id)
            .unwrap_or_default()
    }
}

//! Drives a run: asks the ERP, hands the store page after page, applies the plan, fetches photos.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use domain::{RunId, Viewer};
use erp_adapters::{ErpAdapter, Guard};
use futures::StreamExt as _;
use store::{
    Error, Store,
    run::{Phase, Read, Run},
};

/// Drives runs. Cheap to clone.
#[derive(Clone)]
pub struct Driver {
    store: Store,
    guard: Guard,
    /// How far the sources were read by runs that wait for somebody's word.
    read: Arc<Mutex<HashMap<RunId, Option<String>>>>,
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
                return;
            }
            Err(stop) => stop,
        };
        let (code, text) = match stop {
            // Somebody ended it meanwhile.
            Stop::Store(Error::Conflict("run_over")) => return,
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

    async fn go(&self, id: RunId) -> Result<Run, Stop> {
        let viewer = viewer();
        let run = self.store.run(&viewer, id).await?;
        let source = self.store.source(&viewer, run.source).await?;
        let settings = self.store.source_settings(&viewer, run.source).await?;
        let adapter = erp_adapters::open(&source.kind, &settings, None, &self.guard)?;
        if run.phase == Phase::Reading {
            let watermark = self.read(&run, adapter.as_ref()).await?;
            self.remember(id, watermark);
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
        let watermark = self.forget(id);
        let run = self.store.end_run(&viewer, id, watermark).await?;
        match self.photos(&run, adapter.as_ref()).await {
            Ok(()) => {}
            Err(Stop::Erp(error)) => tracing::warn!(%id, %error, "not every photo was read"),
            Err(Stop::Store(error)) => tracing::error!(%id, %error, "not every photo was kept"),
        }
        Ok(run)
    }

    /// Reads the ERP and has the store make its plan; answers how far it was read.
    async fn read(&self, run: &Run, adapter: &dyn ErpAdapter) -> Result<Option<String>, Stop> {
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
        let since = self.store.watermark(&viewer, run.source).await?;
        let mut watermark = since.clone();
        let mut pages = adapter.workers(since.map(domain::erp::Watermark));
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
        let present: HashSet<_> = present.ids.into_iter().collect();
        self.store.plan_run(&viewer, run.id, Some(present)).await?;
        Ok(watermark)
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

    fn remember(&self, id: RunId, watermark: Option<String>) {
        self.read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, watermark);
    }

    fn forget(&self, id: RunId) -> Option<String> {
        self.read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id)
            .flatten()
    }
}

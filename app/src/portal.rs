//! What every handler has: the store, and what the process was started with.

use std::sync::Arc;

use domain::mapping::Mapping;
use domain::{RunId, SourceId, Viewer};
use erp_adapters::{ErpAdapter, Guard, KINDS};
use store::{Store, mapping::MappingVersion};
use tokio::sync::mpsc;

/// Work that the server does on its own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Drive a run that has begun, or that was approved.
    Run(RunId),
}

/// What does not change while the process runs.
#[derive(Debug, Clone)]
pub struct Site {
    /// The organization's name, shown on every page.
    pub organization: String,
    /// The address under which people reach the portal, without a slash at the end.
    pub public_url: String,
    /// Names the build in the addresses of style and client.
    pub version: String,
    /// Whether the demo company is served: the sign-in page says so and names some of the cast.
    pub demo: bool,
    /// Which addresses an ERP may be reached at.
    pub guard: erp_adapters::Guard,
    /// Folder where the audit log's checkpoints are kept beside the database, and mail until it is configured.
    pub data_dir: std::path::PathBuf,
}

/// The state of the router. Cheap to clone.
#[derive(Clone)]
pub struct Portal {
    /// The verbs.
    pub store: Store,
    /// What does not change.
    pub site: Arc<Site>,
    /// Where jobs are handed in; full means busy.
    pub jobs: mpsc::Sender<Job>,
}

/// Opens a source with its settings, its secrets and the mapping in force. Nothing is read yet; what
/// the adapter refuses is the inner error. Needs `ManageSources`.
///
/// # Errors
/// [`store::Error::NotFound`], [`store::Error::Internal`] if the secrets cannot be opened.
pub async fn open_source(
    store: &Store,
    guard: &Guard,
    viewer: &Viewer,
    id: SourceId,
) -> Result<Result<Box<dyn ErpAdapter>, erp_adapters::Error>, store::Error> {
    let source = store.source(viewer, id).await?;
    let settings = store.source_settings(viewer, id).await?;
    let mapping = store.mapping(viewer, id).await?;
    let mapping = mapping.as_ref().map(|version| &version.mapping);
    Ok(erp_adapters::open(&source.kind, &settings, mapping, guard))
}

/// The mapping that a source follows, and the version that set it; none for the one that its kind
/// brings. Needs `ReadSources`.
///
/// # Errors
/// [`store::Error::NotFound`], also for a source of a kind that follows no mapping.
pub async fn mapping_in_force(
    store: &Store,
    viewer: &Viewer,
    id: SourceId,
) -> Result<(Mapping, Option<MappingVersion>), store::Error> {
    let source = store.source(viewer, id).await?;
    if !KINDS
        .iter()
        .any(|kind| kind.name == source.kind && kind.mapped)
    {
        return Err(store::Error::NotFound);
    }
    if let Some(version) = store.mapping(viewer, id).await? {
        return Ok((version.mapping.clone(), Some(version)));
    }
    let brought = erp_adapters::default_mapping(&source.kind, &source.settings);
    Ok((brought.ok().flatten().unwrap_or_default(), None))
}

impl Portal {
    /// Hands in a job.
    ///
    /// # Errors
    /// [`store::Error::Busy`] when too many wait already.
    pub fn hand_in(&self, job: Job) -> Result<(), store::Error> {
        self.jobs.try_send(job).map_err(|_| store::Error::Busy)
    }
}

//! What every handler has: the store, and what the process was started with.

use std::{sync::Arc, time::Duration};

use domain::mapping::Mapping;
use domain::{RunId, SourceId, Viewer};
use erp_adapters::{ErpAdapter, Guard, KINDS, Kind};
use store::{Store, mapping::MappingVersion, source::Source};
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

/// Where the mapping comes from that a source follows.
#[derive(Debug)]
pub enum MappedBy {
    /// A version that somebody set.
    Version(MappingVersion),
    /// Its kind, or the preset of its settings.
    Kind,
    /// The names of its fields.
    Names,
    /// There is none, and no run can follow one; with what came in the way of making one.
    Nothing(Option<erp_adapters::Error>),
}

/// How long a source has to say what its fields are called, and to give records to try a mapping on.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A source of a kind that follows a mapping. Needs `ReadSources`.
///
/// # Errors
/// [`store::Error::NotFound`], also for a source of another kind.
pub async fn mapped_source(
    store: &Store,
    viewer: &Viewer,
    id: SourceId,
) -> Result<Source, store::Error> {
    let source = store.source(viewer, id).await?;
    let mapped = |kind: &Kind| kind.name == source.kind && kind.mapped;
    match KINDS.iter().any(mapped) {
        true => Ok(source),
        false => Err(store::Error::NotFound),
    }
}

/// The mapping that a source follows, and where it comes from; a source whose names of fields say it
/// is asked for them. Needs `ReadSources`.
///
/// # Errors
/// As [`mapped_source`], and [`store::Error::Internal`] if the secrets cannot be opened.
pub async fn mapping_in_force(
    store: &Store,
    guard: &Guard,
    viewer: &Viewer,
    id: SourceId,
) -> Result<(Mapping, MappedBy), store::Error> {
    // Whoever may read the mapping need not be let at the secrets with which the source is asked.
    const ASKING: Viewer = Viewer::system("names of a source's fields");
    let source = mapped_source(store, viewer, id).await?;
    if let Some(version) = store.mapping(viewer, id).await? {
        return Ok((version.mapping.clone(), MappedBy::Version(version)));
    }
    let brought = erp_adapters::default_mapping(&source.kind, &source.settings);
    if let Ok(Some(mapping)) = brought {
        return Ok((mapping, MappedBy::Kind));
    }
    // One that needs a mapping before it can be opened has no names to tell.
    let Ok(adapter) = open_source(store, guard, &ASKING, id).await? else {
        return Ok((Mapping::default(), MappedBy::Nothing(None)));
    };
    let made = match tokio::time::timeout(PATIENCE, adapter.own_mapping()).await {
        Ok(made) => made,
        Err(_) => Err(erp_adapters::Error::TimedOut { after: PATIENCE }),
    };
    Ok(match made {
        Ok(Some(mapping)) => (mapping, MappedBy::Names),
        Ok(None) => (Mapping::default(), MappedBy::Nothing(None)),
        Err(error) => (Mapping::default(), MappedBy::Nothing(Some(error))),
    })
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

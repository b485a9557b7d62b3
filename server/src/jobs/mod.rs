//! Work on the server's own time: runs of sources, checkpoints of the audit log, sweeps.

use std::{collections::BTreeMap, path::Path, time::Duration};

use app::portal::{Job, Portal};
use chrono::TimeDelta;
use domain::{Action, SourceId, Viewer, Violation, audit::Checkpoint};
use erp_adapters::{Guard, KINDS};
use store::{Error, Store, event::Hear, run::Run, session::Sessions, source::NewSource};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::data_dir::DataDir;

mod apart;
mod feed;
mod run;
pub mod watch;
pub mod write_back;

pub use apart::Apart;
pub use run::Driver;
use watch::Watch;
use write_back::WriteBack;

/// How often the audit log's head is signed, if it moved.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// How often other processes on the same database are listened to.
const LISTEN_EVERY: Duration = Duration::from_secs(1);
/// How often corrections are looked for that are due to be written back.
const WRITE_BACK_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether somebody's first day has come or the last is over.
const DAYS_EVERY: Duration = Duration::from_secs(600);
/// How often schedules are looked at.
const SCHEDULES_EVERY: Duration = Duration::from_secs(5);
/// How often what has expired is swept out.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// How long events are kept for other processes to be woken by.
const EVENTS_KEPT: TimeDelta = TimeDelta::hours(1);

/// How many jobs may wait.
pub const QUEUE: usize = 64;

/// Begins a run and hands it in. One that nobody can take on is not left behind.
///
/// # Errors
/// Those of [`store::Store::begin_run`], [`Error::Busy`].
pub async fn start_run(
    portal: &Portal,
    viewer: &Viewer,
    source: SourceId,
    dry_run: bool,
) -> Result<Run, Error> {
    let run = portal.store.begin_run(viewer, source, dry_run).await?;
    if let Err(busy) = portal.hand_in(Job::Run(run.id)) {
        portal.store.cancel_run(viewer, run.id).await?;
        return Err(busy);
    }
    Ok(run)
}

/// Settings as they were given, checked against the kind's and parted from its secrets.
///
/// # Errors
/// [`Error::NotFound`] for who may not connect sources, [`Error::Invalid`] naming the setting.
pub fn new_source(
    viewer: &Viewer,
    kind: &str,
    name: &str,
    settings: BTreeMap<String, String>,
    guard: &Guard,
) -> Result<NewSource, Error> {
    // Before the settings are looked at: what a guard lets through is not for everybody to try out.
    if !viewer.can(Action::ManageSources) {
        return Err(Error::NotFound);
    }
    erp_adapters::check(kind, &settings, guard).map_err(|error| match error {
        erp_adapters::Error::Setting { key, what } => Violation::BadFormat {
            field: key,
            expected: what,
        }
        .into(),
        other => Error::from(Violation::BadFormat {
            field: "url".into(),
            expected: other.to_string(),
        }),
    })?;
    let is_secret = |key: &String| {
        let known = KINDS
            .iter()
            .filter(|known| known.name == kind)
            .flat_map(|known| known.settings);
        known
            .into_iter()
            .any(|setting| setting.key == key && setting.secret)
    };
    let (secrets, settings) = settings.into_iter().partition(|(key, _)| is_secret(key));
    Ok(NewSource {
        kind: kind.to_owned(),
        name: name.to_owned(),
        settings,
        secrets,
    })
}

/// The checkpoints that are kept beside the database.
///
/// # Errors
/// [`Error::Internal`] when the file cannot be read.
pub fn kept_checkpoints(data_dir: &Path) -> Result<Vec<Checkpoint>, Error> {
    DataDir::open(data_dir)
        .and_then(|data_dir| data_dir.kept_checkpoints())
        .map_err(|error| Error::Internal(format!("{error:#}")))
}

/// Works until `stop`: takes jobs, signs the log, sweeps. Runs work on the threads `apart`. The last checkpoint is signed
/// after everything else.
pub async fn work(
    portal: Portal,
    data_dir: DataDir,
    mut jobs: mpsc::Receiver<Job>,
    apart: Handle,
    stop: CancellationToken,
) {
    let driver = Driver::new(portal.store.clone(), portal.site.guard.clone());
    let mut running = JoinSet::new();
    let mut checkpoints = interval(CHECKPOINT_EVERY);
    checkpoints.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sweeps = interval(SWEEP_EVERY);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut others = interval(LISTEN_EVERY);
    others.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let write_back = WriteBack::new(portal.store.clone(), portal.site.guard.clone());
    let mut writing = JoinSet::new();
    let mut corrections = interval(WRITE_BACK_EVERY);
    corrections.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once: a day may have begun while the portal was down.
    let mut days = interval(DAYS_EVERY);
    days.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turning = JoinSet::new();
    let mut watching = JoinSet::new();
    watching.spawn(Watch::default().keep(portal.clone()));
    let mut schedules = interval(SCHEDULES_EVERY);
    schedules.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            job = jobs.recv() => match job {
                Some(Job::Run(run)) => {
                    let driver = driver.clone();
                    running.spawn_on(async move { driver.drive(run).await }, &apart);
                }
                None => break,
            },
            Some(ended) = running.join_next() => if let Err(error) = ended {
                tracing::error!(%error, "a run's driver broke off");
            },
            // One pass at a time: a source that is slow to answer is not asked beside itself.
            _ = corrections.tick(), if writing.is_empty() => {
                let write_back = write_back.clone();
                writing.spawn(async move { write_back.pass().await });
            }
            Some(ended) = writing.join_next() => match ended {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::error!(%error, "what is due was not written back"),
                Err(error) => tracing::error!(%error, "writing back broke off"),
            },
            _ = days.tick(), if turning.is_empty() => {
                let store = portal.store.clone();
                turning.spawn_on(async move { store.turn_day(&Viewer::system("day")).await }, &apart);
            }
            Some(ended) = turning.join_next() => match ended {
                Ok(Ok(runs)) => for run in runs {
                    tracing::info!(run = %run.id, phase = ?run.phase, totals = ?run.totals, "a day has come");
                },
                Ok(Err(error)) => tracing::error!(%error, "who starts or leaves today was not taken in"),
                Err(error) => tracing::error!(%error, "taking in who starts or leaves broke off"),
            },
            _ = schedules.tick() => {
                match portal.store.clear_interrupted_runs(&Viewer::system("schedule")).await {
                    Ok(0) => {}
                    Ok(runs) => tracing::warn!(runs, "runs were cut off with the process that drove them"),
                    Err(error) => tracing::error!(%error, "runs that were cut off were not looked for"),
                }
                if let Err(error) = start_due(&portal).await {
                    tracing::error!(%error, "the sources whose time has come were not all started");
                }
            }
            _ = checkpoints.tick() => checkpoint(&portal, &data_dir).await,
            _ = others.tick() => if let Err(error) = portal.store.hear_others(&Viewer::system("wake"), Hear::Seldom).await {
                tracing::error!(%error, "what other processes did was not heard");
            },
            _ = sweeps.tick() => if let Err(error) = sweep(&portal.store).await {
                tracing::error!(%error, "what has expired was not swept out");
            },
        }
    }
    // A run that is cut off here is told as interrupted at the next start; the next run finds what is missing.
    watching.shutdown().await;
    running.shutdown().await;
    turning.shutdown().await;
    // A value that was sent and not noted is due again, and sent once more.
    writing.shutdown().await;
    checkpoint(&portal, &data_dir).await;
}

/// Starts a run of every source whose time has come.
async fn start_due(portal: &Portal) -> Result<(), Error> {
    let viewer = Viewer::system("schedule");
    for source in portal.store.due_sources(&viewer).await? {
        match start_run(portal, &viewer, source, false).await {
            Ok(run) => tracing::info!(%source, run = %run.id, "a scheduled run"),
            // Somebody was quicker: the source is being read.
            Err(Error::Conflict("run_in_progress")) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn sweep(store: &Store) -> Result<(), Error> {
    let sessions = Sessions::new(store.clone()).sweep().await?;
    let events = store
        .forget_events(&Viewer::system("sweep"), store.now() - EVENTS_KEPT)
        .await?;
    tracing::debug!(sessions, events, "swept out");
    Ok(())
}

/// Signs the head of the audit log if it moved, and keeps a copy beside the database.
pub async fn checkpoint(portal: &Portal, data_dir: &DataDir) {
    let signed = portal.store.checkpoint(&Viewer::system("checkpoint")).await;
    let kept = match signed {
        Ok(Some(checkpoint)) => data_dir
            .keep_checkpoint(&checkpoint)
            .map_err(|error| error.to_string()),
        Ok(None) => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = kept {
        tracing::error!(error, "the audit log's head was not signed or not kept");
    }
}

//! The one place that asks the machine for the time and for randomness.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng as _;
use store::Env;

/// The machine's own time and randomness, and a folder for what a run puts aside.
#[must_use]
pub fn env(folder: &Path) -> Env {
    Env {
        now: Arc::new(now),
        fill: Arc::new(fill),
        folder: folder.to_owned(),
    }
}

/// A clock that can be put back, so that the demo company's story is told as if it had happened over some
/// days. Whoever tells it only moves on.
#[derive(Debug, Clone, Default)]
pub struct Story(Arc<AtomicI64>);

impl Story {
    /// [`env`] with the story's time.
    #[must_use]
    pub fn env(&self, folder: &Path) -> Env {
        let behind = Arc::clone(&self.0);
        Env {
            now: Arc::new(move || now() - TimeDelta::seconds(behind.load(Relaxed))),
            ..env(folder)
        }
    }

    /// From here on, the story is `ago` before now.
    pub fn set(&self, ago: TimeDelta) {
        self.0.store(ago.num_seconds(), Relaxed);
    }
}

/// The time to the microsecond, which is what both databases keep. Before 1970 counts as 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
fn now() -> DateTime<Utc> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that owns the random source"
)]
fn fill(bytes: &mut [u8]) {
    rand::rng().fill_bytes(bytes);
}

//! Everything that touches the database.
//!
//! Every verb takes the [`Viewer`] first; reads are scoped by it, and what is
//! forbidden looks like what is missing: [`Error::NotFound`]. A change, its
//! audit entry and its event are one transaction; events go out after commit.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, RwLock, atomic::AtomicU64},
};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use domain::{Action, EmployeeId, Relation, Viewer};
use sea_orm::DatabaseConnection;
use tokio::sync::broadcast;

pub mod account;
pub mod audit;
mod change;
pub mod chat;
pub mod client;
pub mod correction;
pub mod db;
pub mod delegation;
pub mod entity;
pub mod error;
pub mod event;
pub mod frame;
pub mod history;
pub mod mapping;
pub mod org;
pub mod people;
pub mod photo;
pub mod policy;
pub mod profile;
pub mod quality;
pub mod review;
pub mod run;
pub mod schedule;
pub mod scim;
pub mod session;
mod several;
mod shown;
pub mod source;

pub use error::{Error, Result};
pub use event::Event;

/// What is ambient elsewhere and an argument here: the time and randomness.
#[derive(Clone)]
pub struct Env {
    /// The time, to the microsecond (what both databases keep).
    pub now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    /// Fills a buffer with unpredictable bytes.
    pub fill: Arc<Fill>,
    /// A folder where a run puts aside what would be too large for memory:
    /// nothing there has a name, or outlives the process.
    pub folder: PathBuf,
}

/// Fills a buffer with unpredictable bytes.
pub type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Env {
    /// The time now.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        (self.now)()
    }

    /// `N` unpredictable bytes.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.fill)(&mut bytes);
        bytes
    }
}

/// The keys of a portal. They live in files beside the database, never in it.
#[derive(Clone)]
pub struct Keys {
    /// Signs the audit log's checkpoints.
    pub audit: ed25519_dalek::SigningKey,
    /// Seals the sources' secrets (XChaCha20-Poly1305).
    pub seal: [u8; 32],
}

/// The database and what is kept in memory beside it. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    db: DatabaseConnection,
    env: Env,
    keys: Keys,
    chart: RwLock<Arc<org::Snapshot>>,
    /// Counts the charts, so that an older one never takes a newer one's place.
    charts_built: AtomicU64,
    events: broadcast::Sender<Event>,
    heard: event::Heard,
    committed: tokio::sync::watch::Sender<()>,
    chat: chat::Writer,
    passwords: account::Passwords,
    runs: run::Runs,
    scim: scim::Turns,
    /// Where the organization's days begin and end; UTC until it is set.
    zone: OnceLock<Tz>,
}

impl Store {
    /// The time now.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.0.env.now()
    }

    /// Has the organization's days begin and end in this zone instead of in UTC:
    /// who starts or leaves does so at its midnight. Once, before anything else.
    pub fn keep_days_of(&self, zone: Tz) {
        self.0.zone.set(zone).ok();
    }

    fn zone(&self) -> Tz {
        self.0.zone.get().copied().unwrap_or(Tz::UTC)
    }

    /// The day that it is where the organization is.
    #[must_use]
    pub fn today(&self) -> NaiveDate {
        self.now().with_timezone(&self.zone()).date_naive()
    }

    /// The first moment of a day where the organization is.
    #[must_use]
    pub fn day_begins(&self, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.and_time(NaiveTime::MIN);
        // Where clocks are put forward at midnight, the day begins an hour later.
        let first = [0, 1, 2, 3].into_iter().find_map(|hours| {
            let local = midnight + TimeDelta::hours(hours);
            local.and_local_timezone(self.zone()).earliest()
        });
        first.map_or(midnight.and_utc(), |first| first.to_utc())
    }

    /// Unpredictable bytes for a new id or token.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        self.0.env.random()
    }

    /// The org chart as it is now.
    #[must_use]
    pub fn chart(&self) -> Arc<org::Snapshot> {
        // A poisoned lock still holds a whole snapshot: it is only ever swapped.
        self.0
            .chart
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// What happens from now on. Receivers that fall behind are told so
    /// (`RecvError::Lagged`) and have to look at the database again.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }

    /// How `viewer` stands to `subject`, for pages that offer only what they may see.
    #[must_use]
    pub fn stands_to(&self, viewer: &Viewer, subject: EmployeeId) -> Relation {
        self.relation(viewer, subject)
    }

    /// How `viewer` stands to `subject`; the system stands to everyone as a stranger.
    pub(crate) fn relation(&self, viewer: &Viewer, subject: EmployeeId) -> Relation {
        viewer.id().map_or(Relation::Stranger, |id| {
            self.chart().chart.relation(id, subject)
        })
    }

    /// Fails like a missing thing unless the viewer may do `action` to `subject`.
    pub(crate) fn allow_about(
        &self,
        viewer: &Viewer,
        subject: EmployeeId,
        action: Action,
    ) -> Result<()> {
        if viewer.may(self.relation(viewer, subject), action) {
            Ok(())
        } else {
            Err(Error::NotFound)
        }
    }

    /// Fails like a missing thing unless the viewer may do `action` at all.
    pub(crate) fn allow(&self, viewer: &Viewer, action: Action) -> Result<()> {
        if viewer.can(action) {
            Ok(())
        } else {
            Err(Error::NotFound)
        }
    }

    pub(crate) fn db(&self) -> &DatabaseConnection {
        &self.0.db
    }
}

/// A part of a list, and how to ask for the next one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Opaque; absent at the end.
    pub next_cursor: Option<String>,
}

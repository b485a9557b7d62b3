//! What identity providers and HR systems push over SCIM, and the tokens they push with.
//!
//! A resource is kept as it was pushed, so that a client reads what it wrote.
//! Beside it, a user is a record of its source like any other: each change of
//! one is a run of that person alone ([`Store::push`]), with everything that a
//! run does: correlation, joining and leaving, journal, history, findings.
//!
//! A resource has an id of its own and not its employee's: there is no employee
//! while somebody is inactive or has to be decided about, and a decision may
//! move the record to somebody else. A resource that is pushed anew after its
//! deletion gets another id, but follows the same record, so that a rehire is one.

use std::sync::atomic::{AtomicUsize, Ordering};

use domain::{SourceId, scim::Refusal};
use sea_orm::{ConnectionTrait, DbErr};

use crate::{Error, db};

mod brake;
mod edit;
mod person;
mod resource;
mod token;

pub use brake::{Fate, Leaver, Waiting, Which};
pub use resource::{Found, LOOKED_THROUGH, Resource, Search};
pub use token::Token;

/// The kind of source that is pushed.
pub const KIND: &str = "scim";
/// Most resources in an answer.
pub const PAGE_MAX: usize = 200;
/// Resources that are asked for by id at a time.
const AT_ONCE: usize = 500;
/// Pushes that may wait for their turn.
const WAITING: usize = 64;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The request is wrong, in SCIM's words.
    #[error(transparent)]
    Scim(#[from] Refusal),
    /// Anything else, as everywhere.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<DbErr> for Refused {
    fn from(error: DbErr) -> Self {
        Self::Store(error.into())
    }
}

impl From<serde_json::Error> for Refused {
    fn from(error: serde_json::Error) -> Self {
        Self::Store(error.into())
    }
}

type Result<T, E = Refused> = std::result::Result<T, E>;

/// The turn of pushes in this process: one at a time, so that a client's next
/// request sees what its last one did.
#[derive(Default)]
pub(crate) struct Turns {
    turn: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
}

impl Turns {
    async fn take(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Error> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::Busy);
        }
        let turn = self.turn.lock().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Ok(turn)
    }
}

/// Fails unless the source is one that is pushed.
async fn pushed(conn: &impl ConnectionTrait, source: SourceId) -> Result<(), Error> {
    let find = "SELECT 1 FROM sources WHERE id = $1 AND kind = $2";
    let found = conn
        .query_one_raw(db::sql(conn, find, [source.0.into(), KIND.into()]))
        .await?;
    found.map(drop).ok_or(Error::NotFound)
}

/// Fails while somebody has paused the source.
async fn not_paused(conn: &impl ConnectionTrait, source: SourceId) -> Result<(), Error> {
    let find = "SELECT 1 FROM sources WHERE id = $1 AND paused_since IS NOT NULL";
    let found = conn
        .query_one_raw(db::sql(conn, find, [source.0.into()]))
        .await?;
    found.map_or(Ok(()), |_| Err(Error::Conflict("source_paused")))
}

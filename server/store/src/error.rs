//! What a verb can fail with.

use domain::Violation;

/// The result of a verb.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a verb did not do what was asked.
///
/// The edge turns these into codes and sentences; causes are logged there with
/// a reference and never shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not there, or not for this viewer: the two look alike.
    #[error("not found")]
    NotFound,
    /// Seen, but not the viewer's to change.
    #[error("forbidden")]
    Forbidden,
    /// The input is wrong; every violation that was found.
    #[error("invalid: {0:?}")]
    Invalid(Vec<Violation>),
    /// The organization's rule keeps the attribute ([`Violation::LockedByRule`]).
    #[error("locked: {0}")]
    Locked(Violation),
    /// Something else came between, or is under way; a stable code says what:
    /// `stale_version`, `run_in_progress`, `already_decided`, `login_taken`, `last_administrator`, …
    #[error("conflict: {0}")]
    Conflict(&'static str),
    /// Too many attempts; how many seconds to wait.
    #[error("throttled for {0} s")]
    Throttled(u64),
    /// Wrong login or password; which of them is not said.
    #[error("not signed in")]
    Unauthenticated,
    /// More work than can be taken on now.
    #[error("busy")]
    Busy,
    /// The database failed.
    #[error("database: {0}")]
    Db(#[from] sea_orm::DbErr),
    /// Something that cannot be, such as a stored JSON that does not parse.
    #[error("internal: {0}")]
    Internal(String),
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::LockedByRule { .. } => Self::Locked(violation),
            other => Self::Invalid(vec![other]),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Internal(format!("disk: {error}"))
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(format!("json: {error}"))
    }
}

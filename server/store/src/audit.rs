//! The audit log: appended to in every changing transaction, verified on demand.

use chrono::{DateTime, Utc};
use domain::{
    EmployeeId, Viewer,
    audit::{Broken, Checkpoint, Entry, Hash, Record},
};
use sea_orm::DatabaseTransaction;
use serde::{Deserialize, Serialize};

use crate::{Page, Result, Store};

/// What to look for in the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditQuery {
    /// Only entries of this actor.
    pub actor: Option<EmployeeId>,
    /// Only entries about this person.
    pub subject: Option<EmployeeId>,
    /// Only actions that begin so: `review.`, `policy.set`.
    pub action: Option<String>,
    /// Only from then on.
    pub from: Option<DateTime<Utc>>,
    /// Only before then.
    pub to: Option<DateTime<Utc>>,
    /// From a page's `next_cursor`.
    pub cursor: Option<String>,
    /// How many, 1 to 200; 50 if absent.
    pub limit: Option<u32>,
}

/// An entry with the names of those in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedEntry {
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
    /// Name of the person who acted, if it was one.
    pub actor_name: Option<String>,
    /// Name of the person it is about, if it is about one.
    pub subject_name: Option<String>,
}

/// The outcome of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Whether all is as it was written.
    pub ok: bool,
    /// How many entries were read.
    pub entries: i64,
    /// The last one's hash.
    pub head: Hash,
    /// How many signed checkpoints were held against it.
    pub checkpoints: u64,
    /// The first thing that is wrong.
    pub broken: Option<Broken>,
}

/// Everything of a log that can be verified elsewhere: a line of JSON each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum ExportLine {
    /// The key that signed, in hex; the first line.
    Key {
        /// Ed25519 public key.
        public_key: String,
    },
    /// An entry.
    Entry(Entry),
    /// A signed checkpoint.
    Checkpoint(Checkpoint),
}

/// Appends to the log within the transaction of the change.
///
/// Serializes writers on the head: in PostgreSQL by its row, in SQLite because
/// there is one writer.
///
/// # Errors
/// [`crate::Error::Db`].
pub(crate) async fn append(tx: &DatabaseTransaction, record: Record, at: DateTime<Utc>) -> Result<Entry> {
    todo!()
}

/// A record of what `viewer` did.
pub(crate) fn record(viewer: &Viewer, action: &str, subject: String, detail: serde_json::Value) -> Record {
    Record {
        actor: viewer.actor(),
        action: action.to_owned(),
        subject,
        detail: detail.to_string(),
        address: viewer.address.clone(),
    }
}

impl Store {
    /// Entries, newest first. Needs `ReadAuditLog`; reading is itself recorded
    /// when it is filtered by a person.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn audit_log(&self, viewer: &Viewer, query: &AuditQuery) -> Result<Page<NamedEntry>> {
        todo!()
    }

    /// Reads the whole log and holds it against its checkpoints and `outside`:
    /// checkpoints that were kept beside the database.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`]; a broken log is an answer, not an error.
    pub async fn verify_audit(&self, viewer: &Viewer, outside: Vec<Checkpoint>) -> Result<Verification> {
        todo!()
    }

    /// Signs the head if it moved since the last checkpoint.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn checkpoint(&self, viewer: &Viewer) -> Result<Option<Checkpoint>> {
        todo!()
    }

    /// A part of the log for verification elsewhere: the lines after entry `after`, at most `limit`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn export_audit(&self, viewer: &Viewer, after: i64, limit: u32) -> Result<Vec<ExportLine>> {
        todo!()
    }
}

/// Verifies an exported log without a database.
///
/// # Errors
/// [`crate::Error::Invalid`] for lines that are none.
pub fn verify_export(lines: impl Iterator<Item = std::io::Result<String>>) -> Result<Verification> {
    todo!()
}

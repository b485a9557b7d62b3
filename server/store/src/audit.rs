//! The audit log: appended to in every changing transaction, verified on demand.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::{
    Action, EmployeeId, Viewer, Violation,
    audit::{Broken, Checkpoint, Entry, Hash, Record, Verifier},
};
use ed25519_dalek::VerifyingKey;
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Error, Page, Result, Store, db, people};

/// How many entries are read at once while the log is verified.
const BATCH: u64 = 2000;
/// Most lines that one export answers.
const EXPORT_MAX: u32 = 10_000;

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

/// How far the log goes and how far it is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// The last entry's number; 0 for a log without one.
    pub last: i64,
    /// Its hash.
    pub head: Hash,
    /// The last signed checkpoints, the latest first, at most as many as were asked for.
    pub checkpoints: Vec<Checkpoint>,
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

/// Appends to the log within the transaction of the change, in the order given.
///
/// Serializes writers on the head: in PostgreSQL by its row, in SQLite because
/// there is one writer. Everyone else who appends waits until the transaction
/// ends, so this comes last: [`crate::change::Change::commit`] sees to it.
///
/// # Errors
/// [`crate::Error::Db`].
pub(crate) async fn append_all(
    tx: &DatabaseTransaction,
    records: Vec<Record>,
    at: DateTime<Utc>,
) -> Result<Vec<Entry>> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let (mut seq, mut prev) = head(tx, db::for_update(tx)).await?;
    let entries: Vec<_> = records
        .into_iter()
        .map(|record| {
            let entry = Entry::chain(record, seq + 1, prev, at);
            (seq, prev) = (entry.seq, entry.hash);
            entry
        })
        .collect();
    let rows = entries.iter().map(|entry| {
        [
            entry.seq.into(),
            entry.at.into(),
            entry.actor.clone().into(),
            entry.action.clone().into(),
            entry.subject.clone().into(),
            entry.detail.clone().into(),
            entry.address.clone().into(),
            entry.prev.0.to_vec().into(),
            entry.hash.0.to_vec().into(),
        ]
    });
    db::bulk(tx, rows.collect(), |rows| {
        format!("INSERT INTO audit_entries ({COLUMNS}) VALUES {rows}")
    })
    .await?;
    let head = "UPDATE audit_head SET seq = $1, hash = $2 WHERE id = 1";
    tx.execute_raw(db::sql(tx, head, [seq.into(), prev.0.to_vec().into()]))
        .await?;
    Ok(entries)
}

/// [`append_all`] for one record, where what it records is read in the same transaction.
///
/// # Errors
/// [`crate::Error::Db`].
pub(crate) async fn append(
    tx: &DatabaseTransaction,
    record: Record,
    at: DateTime<Utc>,
) -> Result<Entry> {
    let entry = append_all(tx, vec![record], at).await?.pop();
    entry.ok_or_else(|| Error::Internal("the log gave no entry".into()))
}

const COLUMNS: &str = "seq, at, actor, action, subject, detail, address, prev, hash";

/// The last entry's place and hash, as the head says.
async fn head(conn: &impl ConnectionTrait, locked: &str) -> Result<(i64, Hash)> {
    let ask = format!("SELECT seq, hash FROM audit_head WHERE id = 1{locked}");
    let row = conn
        .query_one_raw(db::sql(conn, ask, []))
        .await?
        .ok_or_else(|| Error::Internal("the audit log has no head".into()))?;
    let seq: i64 = row.try_get_by_index(0)?;
    let hash = if seq == 0 {
        Hash::ZERO
    } else {
        hash(&row, "hash")?
    };
    Ok((seq, hash))
}

/// A hash as it is kept. One of another length was tampered with: it comes out
/// as zeros, which no entry has, so that verification tells the place.
fn hash(row: &QueryResult, column: &str) -> Result<Hash> {
    let bytes: Vec<u8> = row.try_get("", column)?;
    Ok(bytes.try_into().map_or(Hash::ZERO, Hash))
}

fn entry(row: &QueryResult) -> Result<Entry> {
    Ok(Entry {
        seq: row.try_get("", "seq")?,
        at: row.try_get("", "at")?,
        actor: row.try_get("", "actor")?,
        action: row.try_get("", "action")?,
        subject: row.try_get("", "subject")?,
        detail: row.try_get("", "detail")?,
        address: row.try_get("", "address")?,
        prev: hash(row, "prev")?,
        hash: hash(row, "hash")?,
    })
}

fn checkpoint(row: &QueryResult) -> Result<Checkpoint> {
    Ok(Checkpoint {
        seq: row.try_get("", "seq")?,
        hash: hash(row, "hash")?,
        at: row.try_get("", "at")?,
        signature: row.try_get("", "signature")?,
    })
}

/// The entries after `after`, at most `limit`.
async fn entries_after(conn: &impl ConnectionTrait, after: i64, limit: u64) -> Result<Vec<Entry>> {
    let ask =
        format!("SELECT {COLUMNS} FROM audit_entries WHERE seq > $1 ORDER BY seq LIMIT {limit}");
    let rows = conn
        .query_all_raw(db::sql(conn, ask, [after.into()]))
        .await?;
    rows.iter().map(entry).collect()
}

/// The checkpoints of entries after `after` up to `last`.
async fn checkpoints(
    conn: &impl ConnectionTrait,
    after: i64,
    last: i64,
) -> Result<Vec<Checkpoint>> {
    let ask = "SELECT seq, hash, at, signature FROM audit_checkpoints \
               WHERE seq > $1 AND seq <= $2 ORDER BY seq";
    let rows = conn
        .query_all_raw(db::sql(conn, ask, [after.into(), last.into()]))
        .await?;
    rows.iter().map(checkpoint).collect()
}

/// How the log names a person, as actor and as subject.
pub(crate) fn person(id: EmployeeId) -> String {
    format!("person:{id}")
}

pub(crate) fn person_in(text: &str) -> Option<EmployeeId> {
    text.strip_prefix("person:")?.parse().ok()
}

/// A record of what `viewer` did.
pub(crate) fn record(
    viewer: &Viewer,
    action: &str,
    subject: String,
    detail: serde_json::Value,
) -> Record {
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
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`] for a cursor or limit that is none.
    pub async fn audit_log(&self, viewer: &Viewer, query: &AuditQuery) -> Result<Page<NamedEntry>> {
        self.allow(viewer, Action::ReadAuditLog)?;
        let limit = people::limit(query.limit)?;
        let mut values: Vec<Value> = Vec::new();
        let mut filters = String::new();
        let mut filter = |condition: &str, value: Value| {
            values.push(value);
            let place = format!("${}", values.len());
            filters += " AND ";
            filters += &condition.replace('?', &place);
        };
        if let Some(actor) = query.actor {
            filter("actor = ?", person(actor).into());
        }
        if let Some(subject) = query.subject {
            filter("subject = ?", person(subject).into());
        }
        if let Some(action) = query.action.as_deref().filter(|action| !action.is_empty()) {
            filter("substr(action, 1, length(?)) = ?", action.into());
        }
        if let Some(from) = query.from {
            filter("at >= ?", from.into());
        }
        if let Some(to) = query.to {
            filter("at < ?", to.into());
        }
        if let Some(cursor) = &query.cursor {
            let before: i64 = cursor.parse().map_err(|_| people::bad_cursor())?;
            filter("seq < ?", before.into());
        }
        let ask = format!(
            "SELECT {COLUMNS} FROM audit_entries WHERE 1 = 1{filters} ORDER BY seq DESC LIMIT {}",
            limit + 1
        );
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), ask, values))
            .await?;
        let mut entries = rows.iter().map(entry).collect::<Result<Vec<_>>>()?;
        let more = entries.len() > limit;
        entries.truncate(limit);
        if query.cursor.is_none() && (query.actor.is_some() || query.subject.is_some()) {
            let mut change = self.change().await?;
            let about = query
                .subject
                .or(query.actor)
                .map(person)
                .unwrap_or_default();
            change.record(viewer, "audit.read", about, json!(query));
            change.commit().await?;
        }
        let next_cursor = entries
            .last()
            .filter(|_| more)
            .map(|entry| entry.seq.to_string());
        let named: BTreeSet<_> = entries
            .iter()
            .flat_map(|entry| [person_in(&entry.actor), person_in(&entry.subject)])
            .flatten()
            .collect();
        let names = people::cards(self.db(), named).await?;
        let name = |text: &str| {
            person_in(text)
                .and_then(|id| names.get(&id))
                .map(|card| card.display_name.clone())
        };
        let items = entries
            .into_iter()
            .map(|entry| NamedEntry {
                actor_name: name(&entry.actor),
                subject_name: name(&entry.subject),
                entry,
            })
            .collect();
        Ok(Page { items, next_cursor })
    }

    /// Reads the whole log and holds it against its head, its checkpoints and
    /// `outside`: checkpoints that were kept beside the database.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`]; a broken log is an answer, not an error.
    pub async fn verify_audit(
        &self,
        viewer: &Viewer,
        outside: Vec<Checkpoint>,
    ) -> Result<Verification> {
        self.allow(viewer, Action::ReadAuditLog)?;
        let tx = db::read(self.db()).await?;
        let mut signed = checkpoints(&tx, i64::MIN, i64::MAX).await?;
        signed.extend(outside);
        let mut outcome = Verification {
            ok: false,
            entries: 0,
            head: Hash::ZERO,
            checkpoints: signed.len() as u64,
            broken: None,
        };
        let mut verifier = match Verifier::new(signed, &self.0.keys.audit.verifying_key()) {
            Ok(verifier) => verifier,
            Err(broken) => {
                outcome.broken = Some(broken);
                return Ok(outcome);
            }
        };
        // The first entry that there should be is 1; one below it is out of place too.
        let mut after = i64::MIN;
        loop {
            let entries = entries_after(&tx, after, BATCH).await?;
            let Some(last) = entries.last() else { break };
            after = last.seq;
            for entry in &entries {
                outcome.entries += 1;
                if let Err(broken) = verifier.next(entry) {
                    outcome.broken = Some(broken);
                    return Ok(outcome);
                }
                outcome.head = entry.hash;
            }
        }
        let head = head(&tx, "").await?;
        outcome.broken = match verifier.finish() {
            Err(broken) => Some(broken),
            Ok((last, _)) if head.0 > last => Some(Broken::Truncated {
                last,
                signed: head.0,
            }),
            Ok((last, hash)) if head != (last, hash) => Some(Broken::Replaced { seq: last }),
            Ok(_) => None,
        };
        outcome.ok = outcome.broken.is_none();
        Ok(outcome)
    }

    /// How far the log goes, with its last `count` checkpoints. Nothing is verified. Needs
    /// `ReadAuditLog`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn audit_extent(&self, viewer: &Viewer, count: u8) -> Result<Extent> {
        self.allow(viewer, Action::ReadAuditLog)?;
        let tx = db::read(self.db()).await?;
        let (last, head) = head(&tx, "").await?;
        let ask = format!(
            "SELECT seq, hash, at, signature FROM audit_checkpoints ORDER BY seq DESC LIMIT {count}"
        );
        let rows = tx.query_all_raw(db::sql(&tx, ask, [])).await?;
        let checkpoints = rows.iter().map(checkpoint).collect::<Result<_>>()?;
        Ok(Extent {
            last,
            head,
            checkpoints,
        })
    }

    /// Signs the head if it moved since the last checkpoint.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn checkpoint(&self, viewer: &Viewer) -> Result<Option<Checkpoint>> {
        self.allow(viewer, Action::ReadAuditLog)?;
        let (seq, hash) = head(self.db(), "").await?;
        if seq == 0 {
            return Ok(None);
        }
        let checkpoint = Checkpoint::sign(&self.0.keys.audit, seq, hash, self.now());
        let insert = "INSERT INTO audit_checkpoints (seq, hash, at, signature) \
                      VALUES ($1, $2, $3, $4) ON CONFLICT (seq) DO NOTHING";
        let values = [
            seq.into(),
            hash.0.to_vec().into(),
            checkpoint.at.into(),
            checkpoint.signature.clone().into(),
        ];
        let written = self
            .db()
            .execute_raw(db::sql(self.db(), insert, values))
            .await?
            .rows_affected();
        Ok((written > 0).then_some(checkpoint))
    }

    /// A part of the log for verification elsewhere: the lines after entry
    /// `after`, with at most `limit` entries (10,000 at most). With `after` 0 the
    /// key comes first, and the export is recorded. A checkpoint stands after its entry.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn export_audit(
        &self,
        viewer: &Viewer,
        after: i64,
        limit: u32,
    ) -> Result<Vec<ExportLine>> {
        self.allow(viewer, Action::ReadAuditLog)?;
        let mut lines = Vec::new();
        if after <= 0 {
            let mut change = self.change().await?;
            change.record(viewer, "audit.exported", String::new(), json!({}));
            change.commit().await?;
            lines.push(ExportLine::Key {
                public_key: hex::encode(self.0.keys.audit.verifying_key().to_bytes()),
            });
        }
        let limit = limit.clamp(1, EXPORT_MAX);
        let tx = db::read(self.db()).await?;
        let entries = entries_after(&tx, after, u64::from(limit)).await?;
        let last = entries.last().map_or(after, |entry| entry.seq);
        let mut signed = checkpoints(&tx, after, last).await?.into_iter().peekable();
        for entry in entries {
            let seq = entry.seq;
            lines.push(ExportLine::Entry(entry));
            while let Some(checkpoint) = signed.next_if(|checkpoint| checkpoint.seq <= seq) {
                lines.push(ExportLine::Checkpoint(checkpoint));
            }
        }
        Ok(lines)
    }
}

/// Verifies an exported log without a database, by the key that it names: hold
/// that key against the portal's own. Blank lines are passed over.
///
/// # Errors
/// [`crate::Error::Invalid`] for lines that are none.
pub fn verify_export(lines: impl Iterator<Item = std::io::Result<String>>) -> Result<Verification> {
    let bad = |number: usize, expected: &str| {
        Error::from(Violation::BadFormat {
            field: format!("line {}", number + 1),
            expected: expected.into(),
        })
    };
    let mut outcome = Verification {
        ok: false,
        entries: 0,
        head: Hash::ZERO,
        checkpoints: 0,
        broken: None,
    };
    let mut reading: Option<(VerifyingKey, Verifier)> = None;
    for (number, line) in lines.enumerate() {
        let line = line.map_err(|_| bad(number, "UTF-8 text"))?;
        if line.trim().is_empty() {
            continue;
        }
        let line: ExportLine =
            serde_json::from_str(&line).map_err(|_| bad(number, "a line of an export"))?;
        let broken = match (line, &mut reading) {
            (ExportLine::Key { public_key }, None) => {
                let mut bytes = [0; 32];
                let key = hex::decode_to_slice(&public_key, &mut bytes)
                    .ok()
                    .and_then(|()| VerifyingKey::from_bytes(&bytes).ok())
                    .ok_or_else(|| bad(number, "a public key"))?;
                reading = Verifier::new(Vec::new(), &key)
                    .ok()
                    .map(|verifier| (key, verifier));
                None
            }
            (ExportLine::Entry(entry), Some((_, verifier))) => {
                outcome.entries += 1;
                let broken = verifier.next(&entry).err();
                if broken.is_none() {
                    outcome.head = entry.hash;
                }
                broken
            }
            (ExportLine::Checkpoint(checkpoint), Some((key, _))) => {
                outcome.checkpoints += 1;
                held_against(&checkpoint, key, outcome.entries, outcome.head)
            }
            _ => return Err(bad(number, "the key first, and once")),
        };
        if broken.is_some() {
            outcome.broken = broken;
            return Ok(outcome);
        }
    }
    if reading.is_none() {
        return Err(bad(0, "the key"));
    }
    outcome.ok = true;
    Ok(outcome)
}

/// What is wrong with a checkpoint that stands after entry `last`.
fn held_against(
    checkpoint: &Checkpoint,
    key: &VerifyingKey,
    last: i64,
    head: Hash,
) -> Option<Broken> {
    let seq = checkpoint.seq;
    if !checkpoint.is_signed_by(key) {
        Some(Broken::Forged { seq })
    } else if seq > last {
        Some(Broken::Truncated { last, signed: seq })
    } else if seq < last || checkpoint.hash != head {
        Some(Broken::Replaced { seq })
    } else {
        None
    }
}

//! Sources: connections to ERP systems, their secrets sealed.

use std::collections::BTreeMap;

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305,
    aead::{Aead as _, Payload},
};
use chrono::{DateTime, Utc};
use domain::{Action, EmployeeId, RunId, SourceId, Viewer, Violation, erp::Worker, text};
use sea_orm::{ConnectionTrait as _, DbErr, QueryResult, SqlErr};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{Error, Result, Store, audit, db, people::PersonCard};

/// Most characters of a source's name.
const NAME_MAX: usize = 60;
/// The share of leavers at which a run stops and asks, until it is set: percent.
const LEAVER_PERCENT: u8 = 10;
/// Bytes of the nonce that stands before what is sealed.
const NONCE: usize = 24;

/// A source as the console shows it. Secrets are never in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Which.
    pub id: SourceId,
    /// `csv`, `odoo`, …
    pub kind: String,
    /// The name that people know it by; unique.
    pub name: String,
    /// The settings without the secret ones.
    pub settings: BTreeMap<String, String>,
    /// Which secret settings are set.
    pub secrets_set: Vec<String>,
    /// A run that would have more leavers than this share stops and asks, percent.
    pub leaver_percent: u8,
    /// When a run last read it to the end.
    pub last_read_at: Option<DateTime<Utc>>,
    /// Its last run that was no dry run.
    pub last_run: Option<RunId>,
    /// How many people it has.
    pub people: u64,
    /// When it was connected.
    pub created_at: DateTime<Utc>,
}

/// What a new source is made of, checked by the adapter's registry before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSource {
    /// `csv`, `odoo`, …
    pub kind: String,
    /// 1 to 60 characters.
    pub name: String,
    /// The settings that are no secrets.
    pub settings: BTreeMap<String, String>,
    /// The settings that are: sealed before they are kept.
    pub secrets: BTreeMap<String, String>,
}

/// A record that could be more than one person: somebody has to decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecided {
    /// The source.
    pub source: SourceId,
    /// The record's id there.
    pub external_id: String,
    /// The record.
    pub worker: Worker,
    /// Who could be meant.
    pub candidates: Vec<PersonCard>,
    /// Since when it waits.
    pub since: DateTime<Utc>,
}

/// What somebody decided about an undecided record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "decision", content = "employee")]
pub enum Decision {
    /// It is this person.
    Is(EmployeeId),
    /// It is somebody new.
    New,
}

impl Store {
    /// Connects a source. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `name_taken`, [`crate::Error::Invalid`].
    pub async fn add_source(&self, viewer: &Viewer, new: NewSource) -> Result<Source> {
        self.allow(viewer, Action::ManageSources)?;
        let name = name(&new.name)?;
        let mut change = self.change().await?;
        let id = SourceId::new(change.at, self.random());
        let row = [
            id.0.into(),
            new.kind.as_str().into(),
            name.as_str().into(),
            serde_json::to_string(&new.settings)?.into(),
            self.seal(id, &new.secrets)?.into(),
            i16::from(LEAVER_PERCENT).into(),
            change.at.into(),
        ];
        let insert =
            "INSERT INTO sources (id, kind, name, settings, secrets, leaver_percent, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let done = change
            .tx
            .execute_raw(db::sql(&change.tx, insert, row))
            .await;
        done.map_err(taken)?;
        let detail = json!({
            "kind": new.kind,
            "name": name,
            "settings": new.settings,
            "secrets": new.secrets.keys().collect::<Vec<_>>(),
        });
        change.record(viewer, "source.added", subject(id), detail);
        change.commit().await?;
        self.source(viewer, id).await
    }

    /// Changes a source's name, settings and share of leavers; secrets that are
    /// absent stay as they are, and so does the kind, whatever `new` says.
    /// Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `name_taken`,
    /// [`crate::Error::Invalid`] for a share above 100.
    pub async fn change_source(
        &self,
        viewer: &Viewer,
        id: SourceId,
        new: NewSource,
        leaver_percent: u8,
    ) -> Result<Source> {
        self.allow(viewer, Action::ManageSources)?;
        let name = name(&new.name)?;
        if leaver_percent > 100 {
            return Err(Error::Invalid(vec![Violation::BadFormat {
                field: "leaver_percent".into(),
                expected: "0 to 100".into(),
            }]));
        }
        let mut change = self.change().await?;
        let find = format!(
            "SELECT name, settings, secrets, leaver_percent FROM sources WHERE id = $1{}",
            db::for_update(&change.tx)
        );
        let found = change
            .tx
            .query_one_raw(db::sql(&change.tx, find, [id.0.into()]))
            .await?
            .ok_or(Error::NotFound)?;
        let before: String = found.try_get_by_index(1)?;
        let mut secrets = self.unseal(id, &found.try_get_by_index::<Vec<u8>>(2)?)?;
        let detail = json!({
            "name": [found.try_get_by_index::<String>(0)?, name],
            "settings": [serde_json::from_str::<serde_json::Value>(&before)?, json!(new.settings)],
            "secrets_set": new.secrets.keys().collect::<Vec<_>>(),
            "leaver_percent": [found.try_get_by_index::<i16>(3)?, i16::from(leaver_percent)],
        });
        secrets.extend(new.secrets);
        let row = [
            id.0.into(),
            name.as_str().into(),
            serde_json::to_string(&new.settings)?.into(),
            self.seal(id, &secrets)?.into(),
            i16::from(leaver_percent).into(),
        ];
        let update = "UPDATE sources SET name = $2, settings = $3, secrets = $4, leaver_percent = $5 WHERE id = $1";
        let done = change
            .tx
            .execute_raw(db::sql(&change.tx, update, row))
            .await;
        done.map_err(taken)?;
        change.record(viewer, "source.changed", subject(id), detail);
        change.commit().await?;
        self.source(viewer, id).await
    }

    /// Every source, by name. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn sources(&self, viewer: &Viewer) -> Result<Vec<Source>> {
        self.allow(viewer, Action::ReadSources)?;
        let rows = self
            .db()
            .query_all_raw(db::sql(
                self.db(),
                format!("{SOURCE} ORDER BY s.name"),
                [true.into()],
            ))
            .await?;
        rows.iter().map(|row| self.read_source(row)).collect()
    }

    /// One source. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn source(&self, viewer: &Viewer, id: SourceId) -> Result<Source> {
        self.allow(viewer, Action::ReadSources)?;
        let row = self
            .db()
            .query_one_raw(db::sql(
                self.db(),
                format!("{SOURCE} WHERE s.id = $2"),
                [true.into(), id.0.into()],
            ))
            .await?
            .ok_or(Error::NotFound)?;
        self.read_source(&row)
    }

    /// All settings with the secrets opened, for the adapter alone. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Internal`] if the portal's key
    /// is not the one that sealed them.
    pub async fn source_settings(
        &self,
        viewer: &Viewer,
        id: SourceId,
    ) -> Result<BTreeMap<String, String>> {
        self.allow(viewer, Action::ManageSources)?;
        let find = "SELECT settings, secrets FROM sources WHERE id = $1";
        let row = self
            .db()
            .query_one_raw(db::sql(self.db(), find, [id.0.into()]))
            .await?
            .ok_or(Error::NotFound)?;
        let mut settings: BTreeMap<String, String> =
            serde_json::from_str(&row.try_get_by_index::<String>(0)?)?;
        settings.extend(self.unseal(id, &row.try_get_by_index::<Vec<u8>>(1)?)?);
        Ok(settings)
    }

    /// Records that wait for a decision, the longest waiting first. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn undecided(&self, viewer: &Viewer) -> Result<Vec<Undecided>> {
        self.allow(viewer, Action::ReadSources)?;
        let find = "SELECT source_id, external_id, record, candidates, since FROM undecided
            WHERE decision IS NULL ORDER BY since, external_id";
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, []))
            .await?;
        let candidates = |row: &QueryResult| -> Result<Vec<EmployeeId>> {
            Ok(serde_json::from_str(&row.try_get_by_index::<String>(3)?)?)
        };
        let mut everyone = Vec::new();
        for row in &rows {
            everyone.extend(candidates(row)?);
        }
        everyone.sort_unstable();
        everyone.dedup();
        let cards = self.cards(viewer, &everyone).await?;
        let read = |row: &QueryResult| {
            Ok(Undecided {
                source: SourceId(row.try_get_by_index(0)?),
                external_id: row.try_get_by_index(1)?,
                worker: serde_json::from_str(&row.try_get_by_index::<String>(2)?)?,
                candidates: candidates(row)?
                    .iter()
                    .filter_map(|id| cards.get(id).cloned())
                    .collect(),
                since: row.try_get_by_index(4)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Decides about one; the next run follows it. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `already_decided`,
    /// or `already_linked` for somebody who has a record of this source.
    pub async fn decide(
        &self,
        viewer: &Viewer,
        source: SourceId,
        external_id: &str,
        decision: Decision,
    ) -> Result<()> {
        self.allow(viewer, Action::ManageSources)?;
        let mut change = self.change().await?;
        if let Decision::Is(employee) = decision {
            let find = "SELECT (SELECT count(*) FROM erp_records r WHERE r.employee_id = e.id AND r.source_id = $2)
                FROM employees e WHERE e.id = $1";
            let row = change
                .tx
                .query_one_raw(db::sql(
                    &change.tx,
                    find,
                    [employee.0.into(), source.0.into()],
                ))
                .await?
                .ok_or(Error::NotFound)?;
            if row.try_get_by_index::<i64>(0)? > 0 {
                return Err(Error::Conflict("already_linked"));
            }
        }
        let key = || [Uuid::into(source.0), external_id.into()];
        let decide = "UPDATE undecided SET decision = $3
            WHERE source_id = $1 AND external_id = $2 AND decision IS NULL";
        let [source_id, external] = key();
        let row = [
            source_id,
            external,
            serde_json::to_string(&decision)?.into(),
        ];
        let done = change
            .tx
            .execute_raw(db::sql(&change.tx, decide, row))
            .await?;
        if done.rows_affected() == 0 {
            let find = "SELECT 1 FROM undecided WHERE source_id = $1 AND external_id = $2";
            let there = change
                .tx
                .query_one_raw(db::sql(&change.tx, find, key()))
                .await?;
            return Err(there.map_or(Error::NotFound, |_| Error::Conflict("already_decided")));
        }
        let detail = json!({ "external_id": external_id, "decision": decision });
        change.record(viewer, "source.decided", subject(source), detail);
        if let Decision::Is(employee) = decision {
            let detail = json!({ "source": source, "external_id": external_id });
            change.record(viewer, "person.linked", audit::person(employee), detail);
        }
        change.commit().await
    }

    fn read_source(&self, row: &QueryResult) -> Result<Source> {
        let id = SourceId(row.try_get_by_index(0)?);
        let secrets = self.unseal(id, &row.try_get_by_index::<Vec<u8>>(4)?);
        // A lost key must not hide the sources from whoever would set the secrets anew.
        let secrets = secrets.unwrap_or_else(|error| {
            tracing::warn!(source = %id, %error, "a source's secrets cannot be opened");
            BTreeMap::new()
        });
        Ok(Source {
            id,
            kind: row.try_get_by_index(1)?,
            name: row.try_get_by_index(2)?,
            settings: serde_json::from_str(&row.try_get_by_index::<String>(3)?)?,
            secrets_set: secrets.into_keys().collect(),
            leaver_percent: u8::try_from(row.try_get_by_index::<i16>(5)?).unwrap_or(LEAVER_PERCENT),
            last_read_at: row.try_get_by_index(6)?,
            created_at: row.try_get_by_index(7)?,
            last_run: row.try_get_by_index::<Option<Uuid>>(8)?.map(RunId),
            people: u64::try_from(row.try_get_by_index::<i64>(9)?).unwrap_or(0),
        })
    }

    /// A nonce, then what is sealed. The source's id is bound to it, so that
    /// one source's secrets cannot be passed off as another's.
    fn seal(&self, id: SourceId, secrets: &BTreeMap<String, String>) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE] = self.random();
        let payload = Payload {
            msg: &serde_json::to_vec(secrets)?,
            aad: id.0.as_bytes(),
        };
        let sealed = XChaCha20Poly1305::new(&self.0.keys.seal.into())
            .encrypt(&nonce.into(), payload)
            .map_err(|_| Error::Internal("the secrets cannot be sealed".into()))?;
        Ok([&nonce[..], &sealed].concat())
    }

    fn unseal(&self, id: SourceId, sealed: &[u8]) -> Result<BTreeMap<String, String>> {
        let bad = || Error::Internal("the secrets are not sealed with this portal's key".into());
        let (nonce, msg) = sealed.split_first_chunk::<NONCE>().ok_or_else(bad)?;
        let payload = Payload {
            msg,
            aad: id.0.as_bytes(),
        };
        let open = XChaCha20Poly1305::new(&self.0.keys.seal.into())
            .decrypt(nonce.into(), payload)
            .map_err(|_| bad())?;
        Ok(serde_json::from_slice(&open)?)
    }
}

/// What [`Store::read_source`] reads; `$1` is true.
const SOURCE: &str = "SELECT s.id, s.kind, s.name, s.settings, s.secrets, s.leaver_percent, s.last_read_at, s.created_at,
        (SELECT r.id FROM runs r WHERE r.source_id = s.id ORDER BY r.started_at DESC, r.id DESC LIMIT 1),
        (SELECT count(*) FROM erp_records p WHERE p.source_id = s.id AND p.active = $1)
    FROM sources s";

/// How the audit log speaks of a source.
pub(crate) fn subject(id: SourceId) -> String {
    format!("source:{id}")
}

fn name(name: &str) -> Result<String> {
    let name = text::line("name", name, NAME_MAX)?;
    Ok(text::required("name", name)?)
}

fn taken(error: DbErr) -> Error {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => Error::Conflict("name_taken"),
        _ => error.into(),
    }
}

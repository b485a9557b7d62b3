//! Sources: connections to ERP systems, their secrets sealed.

use std::collections::BTreeMap;

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305,
    aead::{Aead as _, Payload},
};
use chrono::{DateTime, Utc};
use domain::{
    Action, EmployeeId, RunId, SourceId, Viewer, Violation,
    erp::Worker,
    sync::{Correlation, Limits},
    text,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, QueryResult, SqlErr};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Error, Event, Result, Store, account, audit, db,
    people::{ErpRecord, PersonCard},
    several, shown,
};

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
    /// How much else a run may do before it stops and asks; its `leavers` are
    /// [`Source::leaver_percent`].
    pub limits: Limits,
    /// Since when the next run asks before it writes anything; most sources are not paused.
    pub paused_since: Option<DateTime<Utc>>,
    /// Why, in a sentence.
    pub paused_why: Option<String>,
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
    /// It is nobody who is to be here; it is not asked about again.
    Ignore,
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

    /// Sets how much a run may do before it stops and asks. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`] for a share above 100.
    pub async fn set_limits(
        &self,
        viewer: &Viewer,
        id: SourceId,
        limits: Limits,
    ) -> Result<Source> {
        self.allow(viewer, Action::ManageSources)?;
        let Limits {
            leavers,
            joiners,
            movers,
            changed,
            attribute,
            undecided,
            faults,
            four_eyes: _,
        } = limits;
        let too_high: Vec<_> = [
            ("leavers", leavers),
            ("joiners", joiners),
            ("movers", movers),
            ("changed", changed),
            ("attribute", attribute),
            ("undecided", undecided),
            ("faults", faults),
        ]
        .into_iter()
        .filter(|(_, percent)| *percent > 100)
        .map(|(field, _)| Violation::BadFormat {
            field: field.into(),
            expected: "0 to 100".into(),
        })
        .collect();
        if !too_high.is_empty() {
            return Err(Error::Invalid(too_high));
        }
        let mut change = self.change().await?;
        let find = format!(
            "SELECT leaver_percent, limits FROM sources WHERE id = $1{}",
            db::for_update(&change.tx)
        );
        let row = change
            .tx
            .query_one_raw(db::sql(&change.tx, find, [id.0.into()]))
            .await?
            .ok_or(Error::NotFound)?;
        let before = self::limits(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let update = "UPDATE sources SET leaver_percent = $2, limits = $3 WHERE id = $1";
        let values = [
            id.0.into(),
            i16::from(leavers).into(),
            serde_json::to_string(&limits)?.into(),
        ];
        change
            .tx
            .execute_raw(db::sql(&change.tx, update, values))
            .await?;
        if before != limits {
            let detail = json!({ "limits": [before, limits] });
            change.record(viewer, "source.limits_set", subject(id), detail);
        }
        change.commit().await?;
        self.source(viewer, id).await
    }

    /// Pauses a source: its next run asks before it writes, whatever it would
    /// do. One that is paused already stays so for its first reason. Needs
    /// `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`] for a reason above 500 characters.
    pub async fn pause_source(&self, viewer: &Viewer, id: SourceId, why: &str) -> Result<Source> {
        self.allow(viewer, Action::ManageSources)?;
        let why = text::line("why", why, 500)?;
        let mut change = self.change().await?;
        if pause(&change.tx, id, &why, change.at).await? {
            change.record(viewer, "source.paused", subject(id), json!({ "why": why }));
        }
        change.commit().await?;
        self.source(viewer, id).await
    }

    /// Lets the runs of a paused source write again. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn resume_source(&self, viewer: &Viewer, id: SourceId) -> Result<Source> {
        self.allow(viewer, Action::ManageSources)?;
        let mut change = self.change().await?;
        if unpause(&change.tx, id).await? {
            change.record(viewer, "source.resumed", subject(id), json!({}));
        }
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

    /// Records that are left out because somebody decided so, by id. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn ignored(
        &self,
        viewer: &Viewer,
        source: SourceId,
    ) -> Result<Vec<(String, String)>> {
        self.allow(viewer, Action::ReadSources)?;
        let find =
            "SELECT external_id, record FROM undecided WHERE source_id = $1 AND decision = $2
            ORDER BY external_id";
        let values = [
            source.0.into(),
            serde_json::to_string(&Decision::Ignore)?.into(),
        ];
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, values))
            .await?;
        rows.iter()
            .map(|row| {
                let worker: Worker = serde_json::from_str(&row.try_get_by_index::<String>(1)?)?;
                Ok((row.try_get_by_index(0)?, worker.name()))
            })
            .collect()
    }

    /// Takes a decision back that no run has followed yet, or one to ignore:
    /// the record is asked about again. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] where nothing was decided.
    pub async fn ask_again(
        &self,
        viewer: &Viewer,
        source: SourceId,
        external_id: &str,
    ) -> Result<()> {
        self.allow(viewer, Action::ManageSources)?;
        let mut change = self.change().await?;
        let update = "UPDATE undecided SET decision = NULL
            WHERE source_id = $1 AND external_id = $2 AND decision IS NOT NULL";
        let values = [source.0.into(), external_id.into()];
        let done = change
            .tx
            .execute_raw(db::sql(&change.tx, update, values))
            .await?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound);
        }
        let detail = json!({ "external_id": external_id });
        change.record(viewer, "source.asked_again", subject(source), detail);
        change.commit().await
    }

    /// Undoes that a record was taken for somebody's: it is taken from them, and
    /// the next run makes it a person of their own. Their other sources, their
    /// words and their own values stay with them. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `only_record` for a
    /// person of whom no other source speaks, `run_in_progress`.
    pub async fn unlink(&self, viewer: &Viewer, source: SourceId, external_id: &str) -> Result<()> {
        self.allow(viewer, Action::ManageSources)?;
        let mut change = self.change_people().await?;
        let at = change.at;
        let running = "SELECT 1 FROM runs WHERE source_id = $1 AND ended_at IS NULL";
        let running = db::sql(&change.tx, running, [source.0.into()]);
        if change.tx.query_one_raw(running).await?.is_some() {
            return Err(Error::Conflict("run_in_progress"));
        }
        let key = || [Uuid::into(source.0), external_id.into()];
        let find = "SELECT r.employee_id, r.record, r.changed,
                (SELECT count(*) FROM erp_records o WHERE o.employee_id = r.employee_id AND o.source_id <> r.source_id)
            FROM erp_records r WHERE r.source_id = $1 AND r.external_id = $2";
        let row = change
            .tx
            .query_one_raw(db::sql(&change.tx, find, key()))
            .await?
            .ok_or(Error::NotFound)?;
        if row.try_get_by_index::<i64>(3)? == 0 {
            return Err(Error::Conflict("only_record"));
        }
        let employee = EmployeeId(row.try_get_by_index(0)?);
        let record: String = row.try_get_by_index(1)?;
        let worker = ErpRecord::decode(&record, &row.try_get_by_index::<String>(2)?)?.worker;
        let delete = "DELETE FROM erp_records WHERE source_id = $1 AND external_id = $2";
        change
            .tx
            .execute_raw(db::sql(&change.tx, delete, key()))
            .await?;
        let insert = "INSERT INTO undecided (source_id, external_id, record, candidates, since, decision)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (source_id, external_id) DO UPDATE SET record = excluded.record,
                candidates = excluded.candidates, since = excluded.since, decision = excluded.decision";
        let values = [
            source.0.into(),
            external_id.into(),
            serde_json::to_string(&worker)?.into(),
            serde_json::to_string(&[employee])?.into(),
            at.into(),
            serde_json::to_string(&Decision::New)?.into(),
        ];
        change
            .tx
            .execute_raw(db::sql(&change.tx, insert, values))
            .await?;
        for ended in [
            "UPDATE dotted_lines SET to_at = $3 WHERE employee_id = $1 AND source_id = $2 AND to_at IS NULL",
            "UPDATE delegations SET ended_at = $3 WHERE manager_id = $1 AND source_id = $2 AND ended_at IS NULL",
        ] {
            let values = [employee.0.into(), source.0.into(), at.into()];
            change
                .tx
                .execute_raw(db::sql(&change.tx, ended, values))
                .await?;
        }
        several::settle(&change.tx, &[employee], at).await?;
        // Whoever works here by no source any more has left.
        let leave = "UPDATE employees SET active = FALSE, left_at = $2 WHERE id = $1 AND active
            AND NOT EXISTS (SELECT 1 FROM erp_records r WHERE r.employee_id = $1 AND r.active)";
        let left = change
            .tx
            .execute_raw(db::sql(&change.tx, leave, [employee.0.into(), at.into()]))
            .await?;
        if left.rows_affected() > 0 {
            let ended = vec![[employee.0.into(), at.into()]];
            crate::run::write_history(&change.tx, ended, Vec::new()).await?;
            account::end_all_sign_ins(&change.tx, &[employee], at).await?;
            change.tell(Event::SignedOut(employee));
        }
        shown::reshow(&change.tx, &[employee]).await?;
        let detail = json!({ "source": source, "external_id": external_id });
        change.record(viewer, "person.unlinked", audit::person(employee), detail);
        change.tell(Event::PeopleChanged);
        change.commit().await?;
        self.refresh_chart().await.map(drop)
    }

    /// The records of people of whom another source speaks too: the id there, and
    /// who it is. At most 500, by name. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn linked(
        &self,
        viewer: &Viewer,
        source: SourceId,
    ) -> Result<Vec<(String, PersonCard)>> {
        self.allow(viewer, Action::ReadSources)?;
        let find = "SELECT r.external_id, r.employee_id FROM erp_records r JOIN employees e ON e.id = r.employee_id
            WHERE r.source_id = $1 AND EXISTS
                (SELECT 1 FROM erp_records o WHERE o.employee_id = r.employee_id AND o.source_id <> r.source_id)
            ORDER BY e.sort_name, r.external_id LIMIT 500";
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [source.0.into()]))
            .await?;
        let ids = rows
            .iter()
            .map(|row| Ok(EmployeeId(row.try_get_by_index(1)?)))
            .collect::<Result<Vec<_>>>()?;
        let cards = self.cards(viewer, &ids).await?;
        let mut linked = Vec::with_capacity(rows.len());
        for (row, id) in rows.iter().zip(ids) {
            let card = cards.get(&id).cloned();
            linked.extend(row.try_get_by_index(0).ok().zip(card));
        }
        Ok(linked)
    }

    /// How the source's new records are told to be people who are known. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn correlation(&self, viewer: &Viewer, id: SourceId) -> Result<Correlation> {
        self.allow(viewer, Action::ReadSources)?;
        correlation(self.db(), id).await
    }

    /// Sets how the source's new records are told to be people who are known.
    /// People who are linked already stay so. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`] for a key that is named twice.
    pub async fn set_correlation(
        &self,
        viewer: &Viewer,
        id: SourceId,
        next: Correlation,
    ) -> Result<()> {
        self.allow(viewer, Action::ManageSources)?;
        let next = next.checked()?;
        let mut change = self.change().await?;
        let before = correlation(&change.tx, id).await?;
        if before == next {
            return Ok(());
        }
        let update = "UPDATE sources SET correlation = $2 WHERE id = $1";
        let values = [id.0.into(), serde_json::to_string(&next)?.into()];
        change
            .tx
            .execute_raw(db::sql(&change.tx, update, values))
            .await?;
        let detail = json!({ "correlation": [before, next] });
        change.record(viewer, "source.correlation_set", subject(id), detail);
        change.commit().await
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
        change.commit().await?;
        // Nobody reads a source that is pushed: what is decided comes true now.
        self.follow_decision(viewer, source, external_id).await
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
            limits: limits(row.try_get_by_index(5)?, row.try_get_by_index(10)?),
            paused_since: row.try_get_by_index(11)?,
            paused_why: row.try_get_by_index(12)?,
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
        (SELECT count(*) FROM erp_records p WHERE p.source_id = s.id AND p.active = $1),
        s.limits, s.paused_since, s.paused_why
    FROM sources s";

/// The limits from their columns. What cannot be read is as it comes: a limit
/// that is lost must not become none.
pub(crate) fn limits(leaver_percent: i16, limits: String) -> Limits {
    Limits {
        leavers: u8::try_from(leaver_percent).unwrap_or(LEAVER_PERCENT),
        ..serde_json::from_str(&limits).unwrap_or_default()
    }
}

/// The limits of a source's runs.
///
/// # Errors
/// [`crate::Error::NotFound`].
pub(crate) async fn limits_of(conn: &impl ConnectionTrait, id: SourceId) -> Result<Limits> {
    let find = "SELECT leaver_percent, limits FROM sources WHERE id = $1";
    let row = conn
        .query_one_raw(db::sql(conn, find, [id.0.into()]))
        .await?
        .ok_or(Error::NotFound)?;
    Ok(limits(row.try_get_by_index(0)?, row.try_get_by_index(1)?))
}

/// Pauses a source; answers whether it was not paused before.
pub(crate) async fn pause(
    tx: &DatabaseTransaction,
    id: SourceId,
    why: &str,
    at: DateTime<Utc>,
) -> Result<bool> {
    let update = "UPDATE sources SET paused_since = $2, paused_why = $3
        WHERE id = $1 AND paused_since IS NULL";
    let values = [id.0.into(), at.into(), why.into()];
    let done = tx.execute_raw(db::sql(tx, update, values)).await?;
    Ok(done.rows_affected() > 0)
}

/// Ends a source's pause; answers whether there was one.
pub(crate) async fn unpause(tx: &DatabaseTransaction, id: SourceId) -> Result<bool> {
    let update = "UPDATE sources SET paused_since = NULL, paused_why = NULL
        WHERE id = $1 AND paused_since IS NOT NULL";
    let done = tx.execute_raw(db::sql(tx, update, [id.0.into()])).await?;
    Ok(done.rows_affected() > 0)
}

/// How a source's new records are told to be people who are known.
pub(crate) async fn correlation(conn: &impl ConnectionTrait, id: SourceId) -> Result<Correlation> {
    let find = "SELECT correlation FROM sources WHERE id = $1";
    let row = conn
        .query_one_raw(db::sql(conn, find, [id.0.into()]))
        .await?
        .ok_or(Error::NotFound)?;
    let kept: Option<String> = row.try_get_by_index(0)?;
    Ok(match kept {
        Some(kept) => serde_json::from_str(&kept)?,
        None => Correlation::default(),
    })
}

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

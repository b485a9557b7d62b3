//! What is on its way into a source, and what the source's next read says of it.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Action, Attribute, CorrectionId, SourceId, Value, Viewer,
    correction::{self, State, Step},
};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction};
use uuid::Uuid;

use super::{ROW, Row, Trouble, detail, find, meant, moved, put, record_of, row};
use crate::{Error, Result, Store, audit, change::Change, db, people::ErpRecord};

/// Most corrections that a worker takes at once.
const TAKEN_AT_ONCE: usize = 20;
/// How long a worker has for one value before another may send it again. Longer than any adapter waits.
const LEASE: TimeDelta = TimeDelta::minutes(5);

/// A value that is to be sent to its source now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which correction.
    pub id: CorrectionId,
    /// Where to.
    pub source: SourceId,
    /// About whom there.
    pub external_id: String,
    /// Which value.
    pub attribute: Attribute,
    /// What it is to be; a person by their id in the source.
    pub value: Value,
}

/// What to do about a value that could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Give up: it would not go better the next time.
    Never,
    /// Try again, not before so long.
    After(TimeDelta),
}

impl Store {
    /// Takes the values that are due, at most twenty, so that nobody else sends
    /// them for the next minutes. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn take_due_corrections(&self, viewer: &Viewer) -> Result<Vec<Due>> {
        self.allow(viewer, Action::ManageSources)?;
        let due = "state = 'accepted' AND due_at <= $1";
        let now = self.now();
        // Mostly there is none: nobody is kept from writing to find that out.
        let any = format!("SELECT 1 FROM corrections WHERE {due} LIMIT 1");
        let any = self
            .db()
            .query_one_raw(db::sql(self.db(), any, [now.into()]))
            .await?;
        if any.is_none() {
            return Ok(Vec::new());
        }
        let mut change = self.change().await?;
        let ask = format!(
            "SELECT {ROW} FROM corrections c WHERE {due} ORDER BY due_at, id LIMIT {TAKEN_AT_ONCE}{}",
            db::for_update(&change.tx)
        );
        let rows = change
            .tx
            .query_all_raw(db::sql(&change.tx, ask, [now.into()]))
            .await?;
        let mut taken = Vec::new();
        for one in &rows {
            let row = row(one)?;
            let value = match meant(row.attribute, &row.value) {
                None => row.value.clone(),
                // The source calls people by ids of its own.
                Some(person) => match record_of(&change.tx, row.source, person).await? {
                    Some(_) if self.chart().chart.oversees(row.employee, person) => {
                        let set = "due_at = NULL, trouble = $5, trouble_text = $6";
                        let words = "the new superior reports to this person by now";
                        let values = ["superior_below".into(), words.into()];
                        moved(&change, &row, Step::GiveUp, set, values).await?;
                        let mut detail = detail(&row);
                        detail["trouble"] = "superior_below".into();
                        let subject = audit::person(row.employee);
                        change.record(viewer, "correction.failed", subject, detail);
                        continue;
                    }
                    Some(record) => record.into(),
                    None => {
                        let set = "due_at = NULL";
                        moved(&change, &row, Step::CannotWrite, set, []).await?;
                        let subject = audit::person(row.employee);
                        change.record(viewer, "correction.by_hand", subject, detail(&row));
                        continue;
                    }
                },
            };
            let update = "UPDATE corrections SET due_at = $2, tries = tries + 1 WHERE id = $1";
            let values = [row.id.0.into(), (change.at + LEASE).into()];
            change
                .tx
                .execute_raw(db::sql(&change.tx, update, values))
                .await?;
            taken.push(Due {
                id: row.id,
                source: row.source,
                external_id: row.external_id,
                attribute: row.attribute,
                value,
            });
        }
        change.commit().await?;
        Ok(taken)
    }

    /// Notes that the source took a value. One that was confirmed or superseded
    /// meanwhile stays so. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn correction_written(&self, viewer: &Viewer, id: CorrectionId) -> Result<()> {
        let set = "written_at = $4, due_at = NULL, trouble = NULL, trouble_text = NULL";
        self.worked(viewer, id, Step::Wrote, set, None).await
    }

    /// Notes that nothing can write a value: somebody has to mend it in the
    /// source. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn correction_by_hand(&self, viewer: &Viewer, id: CorrectionId) -> Result<()> {
        let set = "due_at = NULL, trouble = NULL, trouble_text = NULL";
        self.worked(viewer, id, Step::CannotWrite, set, None).await
    }

    /// Notes that a value could not be written, and why; it is tried again with
    /// longer and longer waits, five times in all, unless that would be of no use.
    /// Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn correction_not_written(
        &self,
        viewer: &Viewer,
        id: CorrectionId,
        trouble: Trouble,
        again: Again,
    ) -> Result<()> {
        self.allow(viewer, Action::ManageSources)?;
        let row = find(self.db(), id).await?;
        let wait = match again {
            Again::Never => None,
            Again::After(least) => correction::wait(row.tries).map(|wait| wait.max(least)),
        };
        let Some(wait) = wait else {
            let set = "due_at = NULL, trouble = $5, trouble_text = $6";
            return self
                .worked(viewer, id, Step::GiveUp, set, Some(trouble))
                .await;
        };
        let change = self.change().await?;
        let update = "UPDATE corrections SET due_at = $2, trouble = $3, trouble_text = $4
            WHERE id = $1 AND state = 'accepted'";
        let values = [
            id.0.into(),
            (change.at + wait).into(),
            trouble.code.into(),
            trouble.text.into(),
        ];
        change
            .tx
            .execute_raw(db::sql(&change.tx, update, values))
            .await?;
        change.commit().await
    }

    /// A step of the worker's.
    async fn worked(
        &self,
        viewer: &Viewer,
        id: CorrectionId,
        step: Step,
        set: &str,
        trouble: Option<Trouble>,
    ) -> Result<()> {
        self.allow(viewer, Action::ManageSources)?;
        let mut change = self.change().await?;
        let row = find(&change.tx, id).await?;
        let mut detail = detail(&row);
        let mut values: Vec<sea_orm::Value> = Vec::new();
        if let Some(trouble) = trouble {
            detail["trouble"] = trouble.code.as_str().into();
            values.extend([trouble.code.into(), trouble.text.into()]);
        }
        match moved(&change, &row, step, set, values).await {
            // The source was read meanwhile, and that decided it.
            Err(Error::Conflict(_)) => return Ok(()),
            other => other?,
        }
        let action = match step {
            Step::Wrote => "correction.written",
            Step::CannotWrite => "correction.by_hand",
            _ => "correction.failed",
        };
        change.record(viewer, action, audit::person(row.employee), detail);
        change.commit().await
    }
}

/// What a whole read of `source` that began at `begun` means for its open
/// corrections. Called at the end of a run, in the transaction that ends it:
/// nobody sees the ERP's new value beside a correction that is still on its way
/// there.
pub(crate) async fn confirm(
    change: &mut Change<'_>,
    viewer: &Viewer,
    source: SourceId,
    begun: DateTime<Utc>,
) -> Result<()> {
    let ask = format!(
        "SELECT {ROW}, r.record, r.changed, r.active AS record_active FROM corrections c
        LEFT JOIN erp_records r ON r.source_id = c.source_id AND r.external_id = c.external_id
            AND r.employee_id = c.employee_id
        WHERE c.open AND c.source_id = $1"
    );
    let rows = change
        .tx
        .query_all_raw(db::sql(&change.tx, ask, [source.0.into()]))
        .await?;
    for found in rows {
        let row = row(&found)?;
        let active = found.try_get::<Option<bool>>("", "record_active")? == Some(true);
        let record: Option<String> = found.try_get("", "record")?;
        let changed: Option<String> = found.try_get("", "changed")?;
        let (next, trouble, said) = match record.zip(changed) {
            Some((record, changed)) if active => {
                let record = ErpRecord::decode(&record, &changed)?;
                let now = says(&change.tx, source, &record, &row).await?;
                let after_writing = row.written_at.is_some_and(|written| written < begun);
                let next = correction::heard(
                    row.state,
                    row.was.as_ref(),
                    &row.value,
                    now.as_ref(),
                    after_writing,
                );
                let trouble = match next {
                    State::Failed => Some("not_kept"),
                    State::Superseded => Some("other_value"),
                    _ => None,
                };
                (next, trouble, now.filter(|_| next == State::Superseded))
            }
            _ => (State::Superseded, Some("gone"), None),
        };
        if next == row.state {
            continue;
        }
        let said = said.as_ref().map(serde_json::to_string).transpose()?;
        let set = "due_at = NULL, trouble = $5, trouble_text = NULL, said = $6";
        let values = [trouble.into(), said.into()];
        match put(&change.tx, &row, next, change.at, set, values).await {
            // Decided in this very moment: the next read tells.
            Err(Error::Conflict(_)) => continue,
            other => other?,
        }
        let action = match next {
            State::Confirmed => "correction.confirmed",
            State::Failed => "correction.failed",
            _ => "correction.superseded",
        };
        let mut detail = detail(&row);
        if let Some(trouble) = trouble {
            detail["trouble"] = trouble.into();
        }
        change.record(viewer, action, audit::person(row.employee), detail);
    }
    Ok(())
}

/// What a record says of an attribute, in the form in which a proposal is kept.
async fn says(
    tx: &DatabaseTransaction,
    source: SourceId,
    record: &ErpRecord,
    row: &Row,
) -> Result<Option<Value>> {
    let attribute = row.attribute;
    let said = if attribute == Attribute::Manager {
        // What the reference means was worked out before, vacant posts and all.
        let ask = "SELECT manager_id FROM employees WHERE id = $1";
        let found = tx
            .query_one_raw(db::sql(tx, ask, [row.employee.0.into()]))
            .await?;
        let manager: Option<Uuid> = match found {
            Some(found) => found.try_get_by_index(0)?,
            None => None,
        };
        manager.map(|manager| manager.to_string().into())
    } else if attribute == Attribute::Department {
        let Some(unit) = &record.worker.unit else {
            return Ok(None);
        };
        let ask = "SELECT name FROM units WHERE source_id = $1 AND external_id = $2";
        let values = [source.0.into(), unit.as_str().into()];
        match tx.query_one_raw(db::sql(tx, ask, values)).await? {
            Some(row) => Some(row.try_get_by_index::<String>(0)?.into()),
            None => None,
        }
    } else {
        record.worker.attributes.get(&attribute).cloned().flatten()
    };
    // What a source says in a form that is not the catalogue's stays as it is.
    Ok(said.map(|said| attribute.check(said.clone()).unwrap_or(said)))
}

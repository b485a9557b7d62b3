//! What a run keeps of what was there before it, so that it can be undone, and
//! what it adds to the past of values. Written in the transaction of the change.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Attribute, EmployeeId, RunId, SourceId, UnitId};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, Value};
use serde::{Deserialize, Serialize};

use super::{
    apply::{Kept, Place},
    live::{UnitRow, Work},
};
use crate::{
    Result, db,
    history::{self, Standing, Turn, Why},
    people::ErpRecord,
};

/// How long a run can be undone: after it, its journal is forgotten.
const KEPT: TimeDelta = TimeDelta::days(90);

/// What is to be noted of a transaction's changes.
pub(super) struct Journal {
    run: RunId,
    source: SourceId,
    at: DateTime<Utc>,
    /// The units' names before the run and after it.
    names: [HashMap<UnitId, String>; 2],
    rows: Vec<[Value; 14]>,
    turns: Vec<Turn>,
}

/// One thing that happened to a person in a run.
pub(super) struct Noted<'a> {
    /// The step's number; what comes after the last step counts on.
    pub place: usize,
    pub employee: EmployeeId,
    /// Whose record, if one was written.
    pub external_id: Option<&'a str>,
    /// The record before, if there was one.
    pub before: Option<&'a Kept>,
    /// The record after, if one was written.
    pub after: Option<&'a ErpRecord>,
    pub was: &'a Place,
    pub became: &'a Place,
}

impl Journal {
    pub fn new(run: RunId, source: SourceId, work: &Work, at: DateTime<Utc>) -> Self {
        let names = |units: &HashMap<String, UnitRow>| {
            let names = units.values().map(|unit| (unit.id, unit.name.clone()));
            names.collect()
        };
        Self {
            run,
            source,
            at,
            names: [names(&work.units_before), names(&work.units)],
            rows: Vec::new(),
            turns: Vec::new(),
        }
    }

    /// Notes what happens to somebody who was known before.
    pub fn note(&mut self, noted: &Noted<'_>) -> Result<()> {
        let Noted {
            place,
            employee,
            external_id,
            before,
            after,
            was,
            became,
        } = *noted;
        let old = before.map(|kept| &kept.record);
        let mut attributes = Vec::new();
        if let Some(after) = after {
            attributes = old.map_or_else(
                || after.changed.keys().copied().collect(),
                |old| differing(old, after),
            );
            self.turns
                .extend(history::of_record(employee, self.source, old, Some(after))?);
        }
        self.turns.extend(history::of_place(
            employee,
            self.source,
            &was.standing(&self.names[0], old),
            &became.standing(&self.names[1], after),
        )?);
        self.rows.push([
            self.run.0.into(),
            (place as i64).into(),
            employee.0.into(),
            external_id.into(),
            self.at.into(),
            after
                .map(|after| {
                    after
                        .worker
                        .changed_at
                        .map_or(self.at, |said| said.min(self.at))
                })
                .into(),
            serde_json::to_string(&attributes)?.into(),
            before.map(|kept| kept.text.clone()).into(),
            before.map(|kept| kept.changed.clone()).into(),
            before.map(|kept| kept.digest.clone()).into(),
            before.and_then(|kept| kept.photo_wanted.clone()).into(),
            before.and_then(|kept| kept.run).into(),
            serde_json::to_string(was)?.into(),
            serde_json::to_string(became)?.into(),
        ]);
        Ok(())
    }

    pub async fn write(self, tx: &DatabaseTransaction) -> Result<()> {
        db::bulk(tx, self.rows, |rows| {
            format!(
                "INSERT INTO run_journal (run_id, place, employee_id, external_id, at, said_at, attributes,
                    record, changed, digest, photo_wanted, run_was, was, became) VALUES {rows}"
            )
        })
        .await?;
        let why = Why::Run(self.run);
        history::write(tx, self.turns, self.at, why, None).await
    }
}

impl Place {
    /// The place as the past of values keeps it.
    pub fn standing<'a>(
        &self,
        names: &'a HashMap<UnitId, String>,
        record: Option<&'a ErpRecord>,
    ) -> Standing<'a> {
        Standing {
            active: self.active,
            unit: self.unit.map(UnitId),
            manager: self.manager.map(EmployeeId),
            names,
            record,
        }
    }
}

/// What of a record is other than it was.
fn differing(old: &ErpRecord, new: &ErpRecord) -> Vec<Attribute> {
    let (was, is) = (&old.worker, &new.worker);
    let mut attributes: Vec<_> = was
        .attributes
        .keys()
        .chain(is.attributes.keys())
        .copied()
        .filter(|attribute| was.attributes.get(attribute) != is.attributes.get(attribute))
        .collect();
    for (attribute, differs) in [
        (Attribute::Manager, was.manager != is.manager),
        (Attribute::Department, was.unit != is.unit),
        (Attribute::Active, was.active != is.active),
        (
            Attribute::Photos,
            was.photo != is.photo || old.photo != new.photo,
        ),
    ] {
        if differs {
            attributes.push(attribute);
        }
    }
    attributes.sort_unstable();
    attributes.dedup();
    attributes
}

/// A unit as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnitThen {
    pub name: String,
    pub parent_ref: Option<String>,
    pub parent_id: Option<UnitId>,
    pub heads: String,
    pub active: bool,
}

impl From<&UnitRow> for UnitThen {
    fn from(unit: &UnitRow) -> Self {
        Self {
            name: unit.name.clone(),
            parent_ref: unit.parent_ref.clone(),
            parent_id: unit.parent_id,
            heads: unit.heads.clone(),
            active: unit.active,
        }
    }
}

/// Notes units as they were, if they were, and as they are now.
pub(super) async fn note_units<'a>(
    tx: &DatabaseTransaction,
    run: RunId,
    units: impl Iterator<Item = (Option<&'a UnitRow>, &'a UnitRow)>,
) -> Result<()> {
    let json = |unit: &UnitRow| serde_json::to_string(&UnitThen::from(unit));
    let rows = units.map(|(was, became)| {
        Ok([
            run.0.into(),
            became.id.0.into(),
            was.map(json).transpose()?.into(),
            json(became)?.into(),
        ])
    });
    let rows = rows.collect::<Result<Vec<[Value; 4]>>>()?;
    db::bulk(tx, rows, |rows| {
        format!("INSERT INTO run_units (run_id, unit_id, was, became) VALUES {rows}")
    })
    .await?;
    Ok(())
}

/// Forgets the journals of runs that are too old to be undone.
pub(super) async fn forget_old(
    tx: &DatabaseTransaction,
    source: SourceId,
    at: DateTime<Utc>,
) -> Result<()> {
    let old = "SELECT id FROM runs WHERE source_id = $1 AND journal AND started_at < $2";
    let values = || [source.0.into(), (at - KEPT).into()];
    for table in ["run_journal", "run_units", "run_beside"] {
        let delete = format!("DELETE FROM {table} WHERE run_id IN ({old})");
        tx.execute_raw(db::sql(tx, delete, values())).await?;
    }
    let update =
        "UPDATE runs SET journal = FALSE WHERE source_id = $1 AND journal AND started_at < $2";
    tx.execute_raw(db::sql(tx, update, values())).await?;
    Ok(())
}

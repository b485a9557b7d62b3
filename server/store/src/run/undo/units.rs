//! The units that a run wrote.

use std::collections::{HashMap, HashSet};

use domain::{RunId, UnitId};
use sea_orm::{ConnectionTrait, DatabaseTransaction};
use uuid::Uuid;

use super::NotUndone;
use crate::{
    Result, db,
    run::{apply::Place, journal::UnitThen},
};

/// A unit that the run wrote.
pub(super) struct UnitRow {
    pub id: UnitId,
    pub was: Option<UnitThen>,
    pub became: UnitThen,
    pub now: UnitThen,
}

/// What became of the units.
pub(super) struct UnitsBack {
    pub written: usize,
    /// Those whose people are shown under another name.
    pub renamed: Vec<UnitId>,
    pub left: Vec<NotUndone>,
}

/// Gives the units of a run back what they were, and marks them as dealt with by `undo`.
pub(super) async fn put_units_back(
    tx: &DatabaseTransaction,
    run: RunId,
    undo: RunId,
) -> Result<UnitsBack> {
    let mut back = UnitsBack {
        written: 0,
        renamed: Vec::new(),
        left: Vec::new(),
    };
    for unit in units(tx, run).await? {
        let then = match &unit.was {
            _ if unit.now != unit.became => Err("changed_since"),
            Some(was) => Ok(was.clone()),
            None if in_use(tx, unit.id).await? => Err("in_use"),
            None => Ok(UnitThen {
                active: false,
                ..unit.now.clone()
            }),
        };
        let then = match then {
            Ok(then) => then,
            Err(why) => {
                back.left.push(unit.left(why));
                continue;
            }
        };
        let update = "UPDATE units SET name = $2, parent_ref = $3, parent_id = $4, heads = $5,
            active = $6 WHERE id = $1";
        let values = [
            unit.id.0.into(),
            then.name.as_str().into(),
            then.parent_ref.clone().into(),
            then.parent_id.map(|id| id.0).into(),
            then.heads.as_str().into(),
            then.active.into(),
        ];
        tx.execute_raw(db::sql(tx, update, values)).await?;
        if (&then.name, then.active) != (&unit.now.name, unit.now.active) {
            back.renamed.push(unit.id);
        }
        back.written += 1;
    }
    let mark = "UPDATE run_units SET undone_by = $2 WHERE run_id = $1 AND undone_by IS NULL";
    let values = [run.0.into(), undo.0.into()];
    tx.execute_raw(db::sql(tx, mark, values)).await?;
    Ok(back)
}

/// The units that a run wrote and no undo has dealt with, by id.
pub(super) async fn units(tx: &DatabaseTransaction, run: RunId) -> Result<Vec<UnitRow>> {
    let ask = "SELECT u.id, r.was, r.became, u.name, u.parent_ref, u.parent_id, u.heads, u.active
        FROM run_units r JOIN units u ON u.id = r.unit_id
        WHERE r.run_id = $1 AND r.undone_by IS NULL ORDER BY u.id";
    let rows = tx.query_all_raw(db::sql(tx, ask, [run.0.into()])).await?;
    rows.iter()
        .map(|row| {
            let was: Option<String> = row.try_get_by_index(1)?;
            Ok(UnitRow {
                id: UnitId(row.try_get_by_index(0)?),
                was: was.as_deref().map(serde_json::from_str).transpose()?,
                became: serde_json::from_str(&row.try_get_by_index::<String>(2)?)?,
                now: UnitThen {
                    name: row.try_get_by_index(3)?,
                    parent_ref: row.try_get_by_index(4)?,
                    parent_id: row.try_get_by_index::<Option<Uuid>>(5)?.map(UnitId),
                    heads: row.try_get_by_index(6)?,
                    active: row.try_get_by_index(7)?,
                },
            })
        })
        .collect()
}

impl UnitRow {
    pub fn left(&self, why: &str) -> NotUndone {
        NotUndone {
            name: self.now.name.clone(),
            employee: None,
            attributes: Vec::new(),
            what: None,
            why: why.into(),
        }
    }
}

/// The units that came with the run and that somebody will be in all the same,
/// once everybody is at these places and those who go are gone.
pub(super) async fn needed(
    tx: &DatabaseTransaction,
    units: &[UnitRow],
    places: &HashMap<Uuid, Place>,
    going: &HashSet<Uuid>,
) -> Result<HashSet<UnitId>> {
    let new: HashSet<UnitId> = units
        .iter()
        .filter(|unit| unit.was.is_none())
        .map(|unit| unit.id)
        .collect();
    let mut needed = HashSet::new();
    if new.is_empty() {
        return Ok(needed);
    }
    let ask = "SELECT id, unit_id FROM employees WHERE active AND unit_id IS NOT NULL";
    db::each(tx, db::sql(tx, ask, []), |row| {
        let id: Uuid = row.try_get_by_index(0)?;
        let unit = match places.get(&id) {
            Some(place) if !place.active => None,
            Some(place) => place.unit,
            None => Some(row.try_get_by_index(1)?),
        };
        let unit = unit.map(UnitId).filter(|unit| new.contains(unit));
        needed.extend(unit.filter(|_| !going.contains(&id)));
        Ok(())
    })
    .await?;
    Ok(needed)
}

/// Whether somebody who works here is in a unit.
async fn in_use(tx: &DatabaseTransaction, unit: UnitId) -> Result<bool> {
    let ask = "SELECT 1 FROM employees WHERE unit_id = $1 AND active LIMIT 1";
    let row = tx.query_one_raw(db::sql(tx, ask, [unit.0.into()])).await?;
    Ok(row.is_some())
}

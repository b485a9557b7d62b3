//! What stands between people beside the superior: posts that nobody holds,
//! dotted lines, and stand-ins.
//!
//! References of a source that nobody has yet are kept as they are, and find
//! their person at the end of this run or of a later one.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    EmployeeId, SourceId,
    erp::{Delegate, Vacancy, Worker},
    ids::uuid_v7,
    org::{NextUp, next_up},
};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, Value};
use uuid::Uuid;

use super::{live::Work, plan::IN_MAX};
use crate::{Error, Result, Store, db, people::ErpRecord};

/// What a chunk's records say of people, to be written after the people.
#[derive(Default)]
pub(super) struct Relations {
    pub dotted: Vec<(EmployeeId, Vec<String>)>,
    pub delegates: Vec<(EmployeeId, Option<Delegate>)>,
}

impl Relations {
    /// Notes what is another one than before.
    pub fn note(&mut self, employee: EmployeeId, before: Option<&Worker>, now: Option<&Worker>) {
        let dotted =
            |worker: Option<&Worker>| worker.map_or(&[][..], |worker| &worker.dotted).to_vec();
        let (was, is) = (dotted(before), dotted(now));
        if was != is || before.is_some_and(|before| !before.active) {
            self.dotted.push((employee, is));
        }
        let delegate = |worker: Option<&Worker>| worker.and_then(|worker| worker.delegate.clone());
        let is = delegate(now);
        if delegate(before) != is {
            self.delegates.push((employee, is));
        }
    }
}

impl Work {
    /// Who is next above each vacant post, as far as people are known by now.
    pub fn above_posts(&self) -> HashMap<&str, EmployeeId> {
        let posts = self
            .vacancies
            .values()
            .map(|post| (post.external_id.as_str(), post.manager.as_deref()));
        next_up(posts, |id| self.held.get(id).map(|held| held.employee))
            .into_iter()
            .filter_map(|(post, next)| match next {
                NextUp::Is(id) => Some((post, id)),
                NextUp::Nobody | NextUp::Circle => None,
            })
            .collect()
    }
}

/// A source's vacant posts.
pub(super) async fn load_vacancies(
    store: &Store,
    source: SourceId,
) -> Result<BTreeMap<String, Vacancy>> {
    let find =
        "SELECT external_id, title, unit_ref, manager_ref FROM vacancies WHERE source_id = $1";
    let rows = store
        .db()
        .query_all_raw(db::sql(store.db(), find, [source.0.into()]))
        .await?;
    rows.iter()
        .map(|row| {
            let vacancy = Vacancy {
                external_id: row.try_get_by_index(0)?,
                title: row.try_get_by_index(1)?,
                unit: row.try_get_by_index(2)?,
                manager: row.try_get_by_index(3)?,
            };
            Ok((vacancy.external_id.clone(), vacancy))
        })
        .collect()
}

/// Writes the source's vacant posts; answers whether they are other ones.
pub(super) async fn write_vacancies(
    tx: &DatabaseTransaction,
    source: SourceId,
    work: &Work,
) -> Result<bool> {
    if work.vacancies == work.vacancies_before {
        return Ok(false);
    }
    let delete = "DELETE FROM vacancies WHERE source_id = $1";
    tx.execute_raw(db::sql(tx, delete, [source.0.into()]))
        .await?;
    let rows = work.vacancies.values().map(|post| {
        [
            source.0.into(),
            post.external_id.as_str().into(),
            post.title.as_str().into(),
            post.unit.clone().into(),
            post.manager.clone().into(),
        ]
    });
    db::bulk(tx, rows.collect(), |rows| {
        format!(
            "INSERT INTO vacancies (source_id, external_id, title, unit_ref, manager_ref) VALUES {rows}"
        )
    })
    .await?;
    Ok(true)
}

impl Store {
    /// Writes what a chunk's records say of dotted lines and stand-ins.
    pub(super) async fn write_relations(
        &self,
        tx: &DatabaseTransaction,
        source: SourceId,
        work: &Work,
        relations: Relations,
        at: DateTime<Utc>,
    ) -> Result<()> {
        let person = |reference: &str| work.held.get(reference).map(|held| held.employee.0);
        let mut open: HashMap<Uuid, Vec<(Uuid, String, i32)>> = HashMap::new();
        for people in relations.dotted.chunks(IN_MAX) {
            let find = format!(
                "SELECT id, employee_id, reference, place FROM dotted_lines
                WHERE source_id = $1 AND to_at IS NULL AND employee_id IN ({})",
                db::places(2, people.len())
            );
            let ids = people.iter().map(|(id, _)| id.0.into());
            let values = std::iter::once(source.0.into()).chain(ids);
            for row in tx.query_all_raw(db::sql(tx, find, values)).await? {
                let line = (
                    row.try_get_by_index(0)?,
                    row.try_get_by_index(2)?,
                    row.try_get_by_index(3)?,
                );
                open.entry(row.try_get_by_index(1)?).or_default().push(line);
            }
        }
        let (mut begun, mut ended, mut moved) = (Vec::new(), Vec::new(), Vec::new());
        for (employee, wanted) in relations.dotted {
            let open = open.remove(&employee.0).unwrap_or_default();
            for (place, reference) in (0..).zip(&wanted) {
                match open.iter().find(|(_, known, _)| known == reference) {
                    Some((_, _, at)) if *at == place => {}
                    Some((id, ..)) => moved.push([(*id).into(), Value::from(place)]),
                    None => begun.push([
                        uuid_v7(at, self.random()).into(),
                        employee.0.into(),
                        source.0.into(),
                        reference.as_str().into(),
                        place.into(),
                        person(reference).into(),
                        at.into(),
                    ]),
                }
            }
            let gone = open.iter().filter(|(_, known, _)| !wanted.contains(known));
            ended.extend(gone.map(|(id, ..)| [(*id).into(), Value::from(at)]));
        }
        db::bulk(tx, moved, |rows| {
            format!(
                "UPDATE dotted_lines SET place = v.column2 FROM (VALUES {rows}) AS v WHERE dotted_lines.id = v.column1"
            )
        })
        .await?;
        db::bulk(tx, ended, |rows| {
            format!(
                "UPDATE dotted_lines SET to_at = v.column2 FROM (VALUES {rows}) AS v WHERE dotted_lines.id = v.column1"
            )
        })
        .await?;
        db::bulk(tx, begun, |rows| {
            format!(
                "INSERT INTO dotted_lines (id, employee_id, source_id, reference, place, superior_id, from_at)
                VALUES {rows}"
            )
        })
        .await?;

        for (employee, delegate) in relations.delegates {
            let end = "UPDATE delegations SET ended_at = $3
                WHERE manager_id = $1 AND source_id = $2 AND ended_at IS NULL";
            let values = [employee.0.into(), source.0.into(), at.into()];
            tx.execute_raw(db::sql(tx, end, values)).await?;
            let Some(delegate) = delegate else { continue };
            let until = delegate.until.and_then(|last| last.succ_opt());
            let insert = "INSERT INTO delegations (id, manager_id, source_id, reference, delegate_id, from_day,
                    until_day, from_at, to_at, set_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
            let values: [Value; 10] = [
                uuid_v7(at, self.random()).into(),
                employee.0.into(),
                source.0.into(),
                delegate.to.as_str().into(),
                person(&delegate.to).into(),
                delegate.from.to_string().into(),
                delegate.until.map(|last| last.to_string()).into(),
                self.day_begins(delegate.from).into(),
                until.map(|day| self.day_begins(day)).into(),
                at.into(),
            ];
            tx.execute_raw(db::sql(tx, insert, values)).await?;
        }
        Ok(())
    }
}

/// Has the records of these people say what an undo has put back of their
/// dotted lines and stand-ins: else the next run would find nothing to mend. A
/// record that the undo put back as a whole says so already.
pub(super) async fn align(
    tx: &DatabaseTransaction,
    source: SourceId,
    people: &[EmployeeId],
) -> Result<()> {
    for people in people.chunks(IN_MAX) {
        let places = db::places(2, people.len());
        let values = || {
            let ids = people.iter().map(|id| id.0.into());
            std::iter::once(source.0.into()).chain(ids)
        };
        let mut lines: HashMap<Uuid, Vec<String>> = HashMap::new();
        let find = format!(
            "SELECT employee_id, reference FROM dotted_lines
            WHERE source_id = $1 AND to_at IS NULL AND employee_id IN ({places}) ORDER BY place"
        );
        for row in tx.query_all_raw(db::sql(tx, find, values())).await? {
            let line = lines.entry(row.try_get_by_index(0)?).or_default();
            line.push(row.try_get_by_index(1)?);
        }
        let mut stand_ins: HashMap<Uuid, Delegate> = HashMap::new();
        let mut known: HashSet<Uuid> = HashSet::new();
        let find = format!(
            "SELECT manager_id, reference, from_day, until_day, ended_at IS NULL FROM delegations
            WHERE source_id = $1 AND manager_id IN ({places})"
        );
        for row in tx.query_all_raw(db::sql(tx, find, values())).await? {
            let manager = row.try_get_by_index(0)?;
            known.insert(manager);
            if row.try_get_by_index(4)? {
                let until: Option<String> = row.try_get_by_index(3)?;
                let stand_in = Delegate {
                    to: row
                        .try_get_by_index::<Option<String>>(1)?
                        .unwrap_or_default(),
                    from: day(&row.try_get_by_index::<String>(2)?)?,
                    until: until.as_deref().map(day).transpose()?,
                };
                stand_ins.insert(manager, stand_in);
            }
        }
        let find = format!(
            "SELECT external_id, employee_id, record, changed FROM erp_records
            WHERE source_id = $1 AND active AND employee_id IN ({places})"
        );
        for row in tx.query_all_raw(db::sql(tx, find, values())).await? {
            let employee: Uuid = row.try_get_by_index(1)?;
            let text: String = row.try_get_by_index(2)?;
            let changed: String = row.try_get_by_index(3)?;
            let mut record = ErpRecord::decode(&text, &changed)?;
            let before = record.worker.clone();
            record.worker.dotted = lines.remove(&employee).unwrap_or_default();
            let stand_in = stand_ins.remove(&employee);
            // A stand-in's time that somebody ended here is still what the source says.
            if stand_in.is_some() || !known.contains(&employee) {
                record.worker.delegate = stand_in;
            }
            if record.worker == before {
                continue;
            }
            let (text, changed) = record.encode()?;
            let update = "UPDATE erp_records SET record = $3, changed = $4, digest = $5
                WHERE source_id = $1 AND external_id = $2";
            let values: [Value; 5] = [
                source.0.into(),
                row.try_get_by_index::<String>(0)?.into(),
                text.into(),
                changed.into(),
                record.worker.digest().to_vec().into(),
            ];
            tx.execute_raw(db::sql(tx, update, values)).await?;
        }
    }
    Ok(())
}

fn day(text: &str) -> Result<NaiveDate> {
    text.parse()
        .map_err(|_| Error::Internal("a day that is none".into()))
}

/// Finds the people of references that nobody had when they were written.
pub(super) async fn find_people(
    tx: &DatabaseTransaction,
    source: SourceId,
    work: &Work,
    at: DateTime<Utc>,
) -> Result<usize> {
    let find = "SELECT id, reference FROM dotted_lines
        WHERE source_id = $1 AND superior_id IS NULL AND to_at IS NULL";
    let mut found = Vec::new();
    for row in tx
        .query_all_raw(db::sql(tx, find, [source.0.into()]))
        .await?
    {
        let reference: String = row.try_get_by_index(1)?;
        if let Some(held) = work.held.get(&reference) {
            let id: Uuid = row.try_get_by_index(0)?;
            found.push([id.into(), held.employee.0.into(), at.into()]);
        }
    }
    let lines = found.len();
    db::bulk(tx, found, |rows| {
        format!(
            "UPDATE dotted_lines SET superior_id = v.column2, from_at = v.column3
            FROM (VALUES {rows}) AS v WHERE dotted_lines.id = v.column1"
        )
    })
    .await?;
    let find = "SELECT id, reference FROM delegations
        WHERE source_id = $1 AND delegate_id IS NULL AND ended_at IS NULL";
    let mut found = Vec::new();
    for row in tx
        .query_all_raw(db::sql(tx, find, [source.0.into()]))
        .await?
    {
        let reference: Option<String> = row.try_get_by_index(1)?;
        if let Some(held) = reference.and_then(|reference| work.held.get(&reference)) {
            let id: Uuid = row.try_get_by_index(0)?;
            found.push([id.into(), held.employee.0.into()]);
        }
    }
    let stand_ins = found.len();
    db::bulk(tx, found, |rows| {
        format!(
            "UPDATE delegations SET delegate_id = v.column2 FROM (VALUES {rows}) AS v WHERE delegations.id = v.column1"
        )
    })
    .await?;
    Ok(lines + stand_ins)
}

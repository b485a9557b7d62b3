//! Works out what an undo does, from the journal and from how things stand. Writes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::{
    Attribute, EmployeeId, RunId, SourceId, UnitId, Value as Said,
    erp::Worker,
    sync::{Beside, Change as Difference, Step, StepKind, Totals},
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::{At, JOINER, NotUndone, RETURNER, Run, spared::Spared, units};
use crate::{
    Error, Result, Store, db,
    history::{self, Turn},
    people::{self, ErpRecord},
    run::{
        apply::{Place, places_of},
        beside::{self, Image},
        plan::IN_MAX,
    },
};

/// Steps in a transaction, as of a run.
const CHUNK: usize = 500;

/// A row of the journal.
struct Entry {
    place: i64,
    employee: EmployeeId,
    external_id: Option<String>,
    at: DateTime<Utc>,
    said_at: Option<DateTime<Utc>>,
    attributes: Vec<Attribute>,
    /// The columns `record` and `changed` before.
    record: Option<(String, String)>,
    digest: Option<Vec<u8>>,
    photo_wanted: Option<String>,
    was: Place,
    became: Place,
    /// The run that wrote the record before.
    run: Option<Uuid>,
}

/// A record as it is now.
struct Current {
    record: ErpRecord,
    run: Option<RunId>,
    photo_wanted: Option<String>,
    active: bool,
}

/// What becomes of a record.
enum Outcome {
    /// It is as it was before the run.
    Back(Box<Restored>),
    /// It was not there before, and is not any more.
    Removed,
    /// Nothing is done to it.
    Untouched,
}

pub(super) struct Restored {
    pub record: ErpRecord,
    pub text: String,
    pub changed: String,
    pub digest: Vec<u8>,
    pub photo_wanted: Option<String>,
    /// The run that counts as having written it.
    pub run: Option<Uuid>,
}

/// What a chunk of an undo does.
#[derive(Default)]
pub(super) struct Undone {
    pub steps: Vec<Step>,
    pub left: Vec<NotUndone>,
    pub turns: Vec<Turn>,
    /// By external id: the record that is to be there, or none.
    pub records: BTreeMap<String, Option<(EmployeeId, Restored)>>,
    pub places: BTreeMap<Uuid, Place>,
    /// Whose interval of having a superior began with the run, and when.
    pub forget: Vec<[Value; 2]>,
    /// Whose ended with it, and when.
    pub reopen: Vec<[Value; 2]>,
    pub ended: Vec<[Value; 2]>,
    pub begun: Vec<[Value; 3]>,
    /// What is put back beside people: as it was, or none for what was not there.
    pub beside: Vec<(Beside, String, Option<Image>)>,
    /// What of that kind is dealt with.
    pub beside_done: Vec<(Beside, String)>,
    /// People of whom only their unit gets its name back, which is one change and not many.
    pub renamed: u64,
    /// Who came back with the run, and is gone again.
    pub gone_again: Vec<(EmployeeId, String)>,
    /// Joiners who are to be gone again, with their records, which say so.
    pub joiners: Vec<(EmployeeId, String, ErpRecord)>,
    /// Journal places that are dealt with.
    pub done: Vec<i64>,
    pub shown: Vec<EmployeeId>,
}

/// What all chunks of an undo share.
pub(super) struct Scope {
    /// The run that is undone.
    pub undone: RunId,
    pub source: SourceId,
    pub today: chrono::NaiveDate,
    /// The units' names after the run and before it.
    pub names: [HashMap<UnitId, String>; 2],
    /// Runs that undo the same run, this one among them.
    pub undos: HashSet<RunId>,
    /// Who came with the run and stays, and why.
    pub spared: Spared,
}

impl Store {
    pub(super) async fn scope(
        &self,
        tx: &DatabaseTransaction,
        run: &Run,
        pressed: &[EmployeeId],
        writes: bool,
    ) -> Result<Scope> {
        let mut names = [HashMap::new(), HashMap::new()];
        let ask = "SELECT id, name FROM units WHERE source_id = $1";
        for row in tx
            .query_all_raw(db::sql(tx, ask, [run.source.0.into()]))
            .await?
        {
            let id = UnitId(row.try_get_by_index(0)?);
            let name: String = row.try_get_by_index(1)?;
            names[0].insert(id, name.clone());
            names[1].insert(id, name);
        }
        for unit in units(tx, run.id).await? {
            if let Some(was) = unit.was.filter(|_| unit.now == unit.became) {
                names[1].insert(unit.id, was.name);
            }
        }
        let ask = "SELECT id FROM runs WHERE source_id = $1 AND undoes = $2";
        let rows = tx
            .query_all_raw(db::sql(tx, ask, [run.source.0.into(), run.id.0.into()]))
            .await?;
        let undos = rows
            .iter()
            .map(|row| Ok(RunId(row.try_get_by_index(0)?)))
            .collect::<Result<_>>()?;
        Ok(Scope {
            undone: run.id,
            source: run.source,
            today: self.today(),
            names,
            undos,
            spared: Spared::of(tx, run, pressed, writes).await?,
        })
    }

    /// Works out the next chunk. `places` are where people stand once the chunks
    /// before it are written, as far as they are not written yet and it is another place.
    pub(super) async fn chunk(
        &self,
        tx: &DatabaseTransaction,
        scope: &Scope,
        at: &At,
        places: &mut HashMap<Uuid, Place>,
        moment: DateTime<Utc>,
    ) -> Result<(Undone, At)> {
        match at {
            At::Journal(below) => {
                let entries = entries(tx, scope.undone, *below).await?;
                let Some(last) = entries.last().map(|entry| entry.place) else {
                    return Ok((Undone::default(), At::Joiners(-1)));
                };
                let undone = undo_entries(tx, scope, entries, places, moment).await?;
                Ok((undone, At::Journal(last)))
            }
            At::Joiners(above) => {
                let joiners = joiners(tx, scope.undone, *above).await?;
                let Some(last) = joiners.last().map(|(place, ..)| *place) else {
                    return Ok((Undone::default(), At::Beside(None)));
                };
                let undone = undo_joiners(tx, scope, joiners, moment).await?;
                Ok((undone, At::Joiners(last)))
            }
            At::Beside(after) => {
                let rows = beside_rows(tx, scope.undone, after.as_ref()).await?;
                let Some(last) = rows.last().map(|row| (row.what, row.key.clone())) else {
                    return Ok((Undone::default(), At::End));
                };
                let undone = undo_beside(tx, scope, rows).await?;
                Ok((undone, At::Beside(Some(last))))
            }
            At::End => Ok((Undone::default(), At::End)),
        }
    }
}

async fn entries(tx: &DatabaseTransaction, run: RunId, below: i64) -> Result<Vec<Entry>> {
    let ask = format!(
        "SELECT place, employee_id, external_id, at, said_at, attributes, record, changed, digest,
            photo_wanted, was, became, run_was
        FROM run_journal WHERE run_id = $1 AND place < $2 AND undone_by IS NULL
        ORDER BY place DESC LIMIT {CHUNK}"
    );
    let rows = tx
        .query_all_raw(db::sql(tx, ask, [run.0.into(), below.into()]))
        .await?;
    let read = |row: &QueryResult| -> Result<Entry> {
        let text = |index| Ok::<_, Error>(row.try_get_by_index::<String>(index)?);
        let record: Option<String> = row.try_get_by_index(6)?;
        Ok(Entry {
            place: row.try_get_by_index(0)?,
            employee: EmployeeId(row.try_get_by_index(1)?),
            external_id: row.try_get_by_index(2)?,
            at: row.try_get_by_index(3)?,
            said_at: row.try_get_by_index(4)?,
            attributes: serde_json::from_str(&text(5)?)?,
            record: record.zip(row.try_get_by_index(7)?),
            digest: row.try_get_by_index(8)?,
            photo_wanted: row.try_get_by_index(9)?,
            was: serde_json::from_str(&text(10)?)?,
            became: serde_json::from_str(&text(11)?)?,
            run: row.try_get_by_index(12)?,
        })
    };
    rows.iter().map(read).collect()
}

/// Joiners of a run: the step's place, who, the id in the source, the name.
async fn joiners(
    tx: &DatabaseTransaction,
    run: RunId,
    above: i64,
) -> Result<Vec<(i64, EmployeeId, String, String)>> {
    let ask = format!(
        "SELECT place, employee_id, step FROM run_steps
        WHERE run_id = $1 AND place > $2 AND step LIKE $3 AND employee_id IS NOT NULL
        ORDER BY place LIMIT {CHUNK}"
    );
    let values = [run.0.into(), above.into(), JOINER.into()];
    let rows = tx.query_all_raw(db::sql(tx, ask, values)).await?;
    rows.iter()
        .map(|row| {
            let step: Step = serde_json::from_str(&row.try_get_by_index::<String>(2)?)?;
            Ok((
                row.try_get_by_index(0)?,
                EmployeeId(row.try_get_by_index(1)?),
                step.external_id,
                step.name,
            ))
        })
        .collect()
}

/// The records of a source as they are now.
async fn current(
    tx: &DatabaseTransaction,
    source: SourceId,
    ids: &[String],
) -> Result<HashMap<String, Current>> {
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(IN_MAX) {
        let ask = format!(
            "SELECT external_id, record, changed, run_id, photo_wanted, active FROM erp_records
            WHERE source_id = $1 AND external_id IN ({})",
            db::places(2, ids.len())
        );
        let ids = ids.iter().map(|id| id.as_str().into());
        let values = std::iter::once(source.0.into()).chain(ids);
        for row in tx.query_all_raw(db::sql(tx, ask, values)).await? {
            let record: String = row.try_get_by_index(1)?;
            let changed: String = row.try_get_by_index(2)?;
            let one = Current {
                record: ErpRecord::decode(&record, &changed)?,
                run: row.try_get_by_index::<Option<Uuid>>(3)?.map(RunId),
                photo_wanted: row.try_get_by_index(4)?,
                active: row.try_get_by_index(5)?,
            };
            found.insert(row.try_get_by_index(0)?, one);
        }
    }
    Ok(found)
}

async fn undo_entries(
    tx: &DatabaseTransaction,
    scope: &Scope,
    entries: Vec<Entry>,
    places: &mut HashMap<Uuid, Place>,
    moment: DateTime<Utc>,
) -> Result<Undone> {
    let external: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry.external_id.clone())
        .collect();
    let mut records = current(tx, scope.source, &external).await?;
    let unknown: Vec<_> = entries
        .iter()
        .map(|entry| entry.employee)
        .filter(|id| !places.contains_key(&id.0))
        .collect();
    let here = places_of(tx, &unknown).await?;
    let ids = entries.iter().map(|entry| entry.employee);
    let cards = people::cards(tx, ids).await?;

    let mut undone = Undone::default();
    for entry in entries {
        undone.done.push(entry.place);
        let employee = entry.employee;
        let Some(card) = cards.get(&employee) else {
            continue;
        };
        let name = card.display_name.clone();
        if let Some(why) = scope.spared.why(employee) {
            // Told once, however often the run touched them.
            if !entry.was.active {
                undone.left.push(NotUndone::person(name, employee, why));
            }
            continue;
        }
        let mut kept: Vec<Attribute> = Vec::new();
        let mut why = "later_run";

        // The record.
        let now = entry
            .external_id
            .as_ref()
            .and_then(|external_id| records.remove(external_id));
        let (outcome, before) = match (&entry.external_id, now) {
            (None, _) => (Outcome::Untouched, None),
            (Some(_), None) => {
                (why, kept) = ("no_record", entry.attributes.clone());
                (Outcome::Untouched, None)
            }
            (Some(_), Some(now)) => {
                let (outcome, left) = restore(&entry, &now, scope.undone)?;
                kept = left;
                (outcome, Some(now))
            }
        };
        let after = match &outcome {
            Outcome::Back(restored) => Some(&restored.record),
            Outcome::Removed | Outcome::Untouched => None,
        };
        let mut changes = Vec::new();
        if let Some(before) = &before
            && !matches!(outcome, Outcome::Untouched)
        {
            undone.turns.extend(history::of_record(
                employee,
                scope.source,
                Some(&before.record),
                after,
            )?);
            let none = BTreeMap::new();
            let said = after.map_or(&none, |after| &after.worker.attributes);
            changes = domain::sync::differences(&before.record.worker.attributes, said);
        }

        // The place.
        let stands = places.get(&employee.0).or_else(|| here.get(&employee.0));
        let Some(stands) = stands.cloned() else {
            continue;
        };
        let mut back = stands.clone();
        let (was, became) = (&entry.was, &entry.became);
        let mut put =
            |same: bool, differs: bool, attribute: Attribute, set: &mut dyn FnMut()| match (
                differs, same,
            ) {
                (true, true) => set(),
                (true, false) => kept.push(attribute),
                (false, _) => {}
            };
        put(
            (stands.active, stands.left_at) == (became.active, became.left_at),
            (was.active, was.left_at) != (became.active, became.left_at),
            Attribute::Active,
            &mut || (back.active, back.left_at) = (was.active, was.left_at),
        );
        let unit = |place: &Place| (place.unit, place.unit_ref.clone());
        let manager = |place: &Place| (place.manager, place.manager_ref.clone());
        put(
            unit(&stands) == unit(became),
            unit(was) != unit(became),
            Attribute::Department,
            &mut || (back.unit, back.unit_ref) = unit(was),
        );
        put(
            manager(&stands) == manager(became),
            manager(was) != manager(became),
            Attribute::Manager,
            &mut || (back.manager, back.manager_ref) = manager(was),
        );
        kept.sort_unstable();
        kept.dedup();
        undone.superiors(&entry, &stands, &back, moment);
        undone.turns.extend(history::of_place(
            employee,
            scope.source,
            &stands.standing(
                &scope.names[0],
                before.as_ref().map(|before| &before.record),
            ),
            &back.standing(&scope.names[1], after),
        )?);
        let renamed = {
            let name = |place: &Place, at: usize| {
                place
                    .unit
                    .and_then(|unit| scope.names[at].get(&UnitId(unit)).cloned())
            };
            let (from, to) = (name(&stands, 0), name(&back, 1));
            let differs = from != to;
            if differs {
                changes.push(Difference {
                    attribute: Attribute::Department,
                    from: from.map(Said::from),
                    to: to.map(Said::from),
                });
            }
            differs
        };
        let moves = (back.unit, back.manager) != (stands.unit, stands.manager);
        let touched = !matches!(outcome, Outcome::Untouched) || back != stands || renamed;
        let kind = match (stands.active, back.active) {
            (true, false) => StepKind::Leaver,
            (false, true) => StepKind::Returner,
            _ if moves => StepKind::Mover,
            _ => StepKind::Changed,
        };
        if back.manager != stands.manager {
            changes.push(Difference {
                attribute: Attribute::Manager,
                from: stands.manager.map(|id| Said::from(id.to_string())),
                to: back.manager.map(|id| Said::from(id.to_string())),
            });
        }
        changes.sort_by_key(|change| change.attribute);
        let only_unit = changes
            .iter()
            .all(|one| one.attribute == Attribute::Department);
        undone.renamed += u64::from(renamed && only_unit && kind == StepKind::Changed);
        if back != stands {
            undone.places.insert(employee.0, back.clone());
            places.insert(employee.0, back);
        }
        match (outcome, &entry.external_id) {
            (Outcome::Back(restored), Some(external_id)) => {
                let row = Some((employee, *restored));
                undone.records.insert(external_id.clone(), row);
            }
            (Outcome::Removed, Some(external_id)) => {
                undone.records.insert(external_id.clone(), None);
            }
            _ => {}
        }
        if kind == StepKind::Leaver {
            let external_id = entry.external_id.clone().unwrap_or_default();
            undone.gone_again.push((employee, external_id));
        }
        if touched {
            undone.shown.push(employee);
            undone.steps.push(Step {
                kind,
                external_id: entry.external_id.clone().unwrap_or_default(),
                employee: Some(employee),
                name: name.clone(),
                changes,
                candidates: Vec::new(),
            });
        }
        if !kept.is_empty() {
            undone.left.push(NotUndone {
                name,
                employee: Some(employee),
                attributes: kept,
                what: None,
                why: why.into(),
            });
        }
    }
    undone.name_managers(tx).await?;
    Ok(undone)
}

/// What a record goes back to, and which values newer ones keep from it.
fn restore(entry: &Entry, now: &Current, undone: RunId) -> Result<(Outcome, Vec<Attribute>)> {
    let Some((text, changed)) = &entry.record else {
        // The run linked it: as long as nothing newer wrote it, it goes.
        return Ok(match now.run == Some(undone) {
            true => (Outcome::Removed, Vec::new()),
            false => (Outcome::Untouched, entry.attributes.clone()),
        });
    };
    let was = ErpRecord::decode(text, changed)?;
    if now.run == Some(undone) {
        return Ok((
            Outcome::Back(Box::new(Restored {
                record: was,
                text: text.clone(),
                changed: changed.clone(),
                digest: entry.digest.clone().unwrap_or_default(),
                photo_wanted: entry.photo_wanted.clone(),
                run: entry.run,
            })),
            Vec::new(),
        ));
    }
    // Something newer wrote the record: value by value, what the run said last goes back.
    let mut record = now.record.clone();
    let (mut left, mut back) = (Vec::new(), false);
    for attribute in &entry.attributes {
        let since = now.record.changed.get(attribute).copied();
        if since != entry.said_at && since != Some(entry.at) {
            left.push(*attribute);
            continue;
        }
        back = true;
        let (to, from) = (&mut record.worker, &was.worker);
        match attribute {
            Attribute::Manager => to.manager.clone_from(&from.manager),
            Attribute::Department => to.unit.clone_from(&from.unit),
            Attribute::Active => to.active = from.active,
            Attribute::Photos => {
                to.photo.clone_from(&from.photo);
                record.photo.clone_from(&was.photo);
            }
            other => match from.attributes.get(other) {
                Some(value) => drop(to.attributes.insert(*other, value.clone())),
                None => drop(to.attributes.remove(other)),
            },
        }
        match was.changed.get(attribute) {
            Some(changed) => drop(record.changed.insert(*attribute, *changed)),
            None => drop(record.changed.remove(attribute)),
        }
    }
    if !back {
        return Ok((Outcome::Untouched, left));
    }
    let (text, changed) = record.encode()?;
    let restored = Restored {
        digest: record.worker.digest().to_vec(),
        photo_wanted: now.photo_wanted.clone(),
        run: now.run.map(|run| run.0),
        record,
        text,
        changed,
    };
    Ok((Outcome::Back(Box::new(restored)), left))
}

impl Undone {
    /// Adds up what it does.
    pub fn count(&self, totals: &mut Totals) {
        for step in &self.steps {
            totals.count(step.kind);
        }
        for (what, ..) in &self.beside {
            totals.put_back.count(*what);
        }
    }

    /// The intervals of having a superior: exactly as they were, if nothing
    /// newer stands between; else the one that is ends now and another begins.
    fn superiors(&mut self, entry: &Entry, stands: &Place, back: &Place, at: DateTime<Utc>) {
        let id = entry.employee.0;
        let above = |place: &Place| place.manager.filter(|above| place.active && *above != id);
        let (had, has) = (above(stands), above(back));
        if had == has {
            return;
        }
        if had == above(&entry.became) && has == above(&entry.was) {
            if had.is_some() {
                self.forget.push([id.into(), entry.at.into()]);
            }
            if has.is_some() {
                self.reopen.push([id.into(), entry.at.into()]);
            }
            return;
        }
        self.ended.extend(had.map(|_| [id.into(), at.into()]));
        self.begun
            .extend(has.map(|has| [id.into(), has.into(), at.into()]));
    }

    /// Superiors by name in the steps, as people read them.
    async fn name_managers(&mut self, tx: &DatabaseTransaction) -> Result<()> {
        let of = |change: &Difference| change.attribute == Attribute::Manager;
        let id = |value: &Option<Said>| -> Option<EmployeeId> {
            value.as_ref()?.as_text()?.parse().ok()
        };
        let changes = || self.steps.iter().flat_map(|step| &step.changes);
        let ids: HashSet<_> = changes()
            .filter(|change| of(change))
            .flat_map(|change| [id(&change.from), id(&change.to)])
            .flatten()
            .collect();
        let cards = people::cards(tx, ids).await?;
        let name = |value: &Option<Said>| {
            let card = id(value).and_then(|id| cards.get(&id));
            card.map(|card| Said::from(card.display_name.as_str()))
        };
        for change in self.steps.iter_mut().flat_map(|step| &mut step.changes) {
            if of(change) {
                (change.from, change.to) = (name(&change.from), name(&change.to));
            }
        }
        Ok(())
    }
}

async fn undo_joiners(
    tx: &DatabaseTransaction,
    scope: &Scope,
    joiners: Vec<(i64, EmployeeId, String, String)>,
    moment: DateTime<Utc>,
) -> Result<Undone> {
    let external: Vec<_> = joiners.iter().map(|(_, _, id, _)| id.clone()).collect();
    let mut records = current(tx, scope.source, &external).await?;
    let mut undone = Undone::default();
    for (_, employee, external_id, name) in joiners {
        let left = match records.get(&external_id) {
            // Undone by one that broke off.
            Some(now) if now.run.is_some_and(|run| scope.undos.contains(&run)) => continue,
            Some(now) if now.run != Some(scope.undone) => Some("later_run"),
            Some(now) if !now.active => continue,
            Some(_) => scope.spared.why(employee),
            None => Some("no_record"),
        };
        if let Some(why) = left {
            undone.left.push(NotUndone::person(name, employee, why));
            continue;
        }
        undone.steps.push(Step {
            kind: StepKind::Leaver,
            external_id: external_id.clone(),
            employee: Some(employee),
            name,
            changes: Vec::new(),
            candidates: Vec::new(),
        });
        if let Some(now) = records.remove(&external_id) {
            let mut record = now.record;
            record.worker.active = false;
            record.changed.insert(Attribute::Active, moment);
            undone.joiners.push((employee, external_id, record));
        }
    }
    Ok(undone)
}

/// Something beside people that the run wrote.
struct Thing {
    what: Beside,
    key: String,
    was: Option<Image>,
    /// The digest of what the run left there; none if that was nothing.
    became: Option<Vec<u8>>,
}

async fn beside_rows(
    tx: &DatabaseTransaction,
    run: RunId,
    after: Option<&(Beside, String)>,
) -> Result<Vec<Thing>> {
    let (kind, key) = after.map_or(("", ""), |(what, key)| (what.name(), key));
    let ask = format!(
        "SELECT kind, key, was, became FROM run_beside
        WHERE run_id = $1 AND undone_by IS NULL AND (kind, key) > ($2, $3)
        ORDER BY kind, key LIMIT {CHUNK}"
    );
    let values = [run.0.into(), kind.into(), key.into()];
    let rows = tx.query_all_raw(db::sql(tx, ask, values)).await?;
    rows.iter()
        .map(|row| {
            let kind: String = row.try_get_by_index(0)?;
            let what = Beside::ALL.into_iter().find(|one| one.name() == kind);
            let was: Option<String> = row.try_get_by_index(2)?;
            Ok(Thing {
                what: what.ok_or_else(|| Error::Internal(format!("a run kept a {kind}")))?,
                key: row.try_get_by_index(1)?,
                was: was.as_deref().map(serde_json::from_str).transpose()?,
                became: row.try_get_by_index(3)?,
            })
        })
        .collect()
}

async fn undo_beside(
    tx: &DatabaseTransaction,
    scope: &Scope,
    things: Vec<Thing>,
) -> Result<Undone> {
    let keys = |kinds: &[Beside]| -> Vec<&str> {
        let some = things.iter().filter(|thing| kinds.contains(&thing.what));
        some.map(|thing| thing.key.as_str()).collect()
    };
    let mut now: BTreeMap<(Beside, String), Image> = BTreeMap::new();
    for what in Beside::ALL {
        let images = beside::images(tx, scope.source, what, &keys(&[what])).await?;
        now.extend(images.into_iter().map(|(key, image)| ((what, key), image)));
    }
    let people = |kinds: &[Beside]| {
        let ids = keys(kinds).into_iter().map(str::parse::<EmployeeId>);
        ids.filter_map(Result::ok).collect::<Vec<_>>()
    };
    let related = people(&[Beside::DottedLines, Beside::StandIns]);
    let newcomers = staying(tx, scope, &related).await?;
    let cards = people::cards(tx, related).await?;
    let waiting = keys(&[Beside::Scheduled, Beside::Undecided, Beside::Returning]);
    let records = current(
        tx,
        scope.source,
        &waiting.into_iter().map(str::to_owned).collect::<Vec<_>>(),
    )
    .await?;

    let mut undone = Undone::default();
    let mut left: BTreeMap<Beside, u64> = BTreeMap::new();
    for thing in things {
        let Thing {
            what,
            key,
            was,
            became,
        } = thing;
        let is = now.get(&(what, key.clone()));
        let person = match what {
            Beside::DottedLines | Beside::StandIns => key.parse::<EmployeeId>().ok(),
            _ => None,
        };
        // Whoever came with the run and stays, stays with all that they are; whose
        // record is still there waits neither for a day nor for a decision.
        let stays = person.is_some_and(|id| newcomers.contains(&id))
            || matches!(what, Beside::Scheduled | Beside::Undecided)
                && was.is_some()
                && records.get(&key).is_some_and(|record| {
                    record.active && !record.run.is_some_and(|run| scope.takes_back(run))
                });
        undone.beside_done.push((what, key.clone()));
        if stays || is == was.as_ref() {
            continue;
        }
        if is.map(beside::digest).transpose()? == became {
            undone.beside.push((what, key, was));
            continue;
        }
        let either = is.or(was.as_ref());
        let text = |column| either.and_then(|image| beside::text(what, image, column));
        let name = match what {
            // Who is a client is nobody's business here: they are told by number alone.
            Beside::Client | Beside::Ticket => {
                *left.entry(what).or_default() += 1;
                continue;
            }
            Beside::DottedLines | Beside::StandIns => person
                .and_then(|id| cards.get(&id))
                .map(|card| card.display_name.clone()),
            Beside::Returning => records.get(&key).map(|now| now.record.worker.name()),
            Beside::Scheduled => text("name").map(str::to_owned),
            Beside::Vacancy => text("title").map(str::to_owned),
            Beside::Undecided => {
                let worker = text("record").map(serde_json::from_str::<Option<Worker>>);
                let worker = worker.transpose()?.flatten();
                worker.map(|worker| worker.name())
            }
        };
        undone.left.push(NotUndone {
            name: name.unwrap_or(key),
            employee: person,
            attributes: Vec::new(),
            what: Some(what),
            why: "later_run".into(),
        });
    }
    for (what, count) in left {
        undone.left.push(NotUndone {
            name: count.to_string(),
            employee: None,
            attributes: Vec::new(),
            what: Some(what),
            why: "later_run".into(),
        });
    }
    Ok(undone)
}

impl Scope {
    /// Whether a record that `run` wrote last is taken back by this undo, or was already.
    fn takes_back(&self, run: RunId) -> bool {
        run == self.undone || self.undos.contains(&run)
    }
}

/// Which of these came with the run and stay: something newer knows them too, or they are spared.
async fn staying(
    tx: &DatabaseTransaction,
    scope: &Scope,
    ids: &[EmployeeId],
) -> Result<HashSet<EmployeeId>> {
    let mut staying = HashSet::new();
    for ids in ids.chunks(IN_MAX) {
        let ask = format!(
            "SELECT s.employee_id, s.step, r.run_id FROM run_steps s
            JOIN erp_records r ON r.employee_id = s.employee_id AND r.source_id = $2
            WHERE s.run_id = $1 AND s.employee_id IN ({})",
            db::places(3, ids.len())
        );
        let values = [scope.undone.0.into(), scope.source.0.into()];
        let values = values.into_iter().chain(ids.iter().map(|id| id.0.into()));
        for row in tx.query_all_raw(db::sql(tx, ask, values)).await? {
            let id = EmployeeId(row.try_get_by_index(0)?);
            let step: String = row.try_get_by_index(1)?;
            let run: Option<Uuid> = row.try_get_by_index(2)?;
            let came = [JOINER, RETURNER]
                .iter()
                .any(|begins| step.starts_with(begins.trim_end_matches('%')));
            let newer = !run.is_some_and(|run| scope.takes_back(RunId(run)));
            if came
                && (scope.spared.why(id).is_some()
                    || newer && step.starts_with(JOINER.trim_end_matches('%')))
            {
                staying.insert(id);
            }
        }
    }
    Ok(staying)
}

//! From a plan to the database: chunk by chunk, each a transaction that is whole in itself.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    Attribute, EmployeeId, SourceId, UnitId, Viewer,
    erp::Worker,
    sync::{Beside, StepKind, Totals},
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    Live, Phase, Run, ahead,
    beside::{Keys, Noting},
    journal::{self, Journal, Noted},
    live::{Held, Planned, UnitRow, Work},
    plan::IN_MAX,
    relations::{self, Relations},
    write_run,
};
use crate::{
    Event, Result, Store, account, audit,
    change::Change,
    correction, db,
    org::Snapshot,
    people::ErpRecord,
    several,
    shown::{self, Columns, Facts, Sourcing},
    source,
};

/// Steps in a transaction: few enough that others who write wait for some tenths
/// of a second at most, enough that the disk is not waited for at every turn.
const CHUNK: usize = 1_000;

/// A record as the database has it.
pub(super) struct Kept {
    pub record: ErpRecord,
    /// The columns `record` and `changed`, to the letter.
    pub text: String,
    pub changed: String,
    pub digest: Vec<u8>,
    pub photo_wanted: Option<String>,
    /// The run that wrote it.
    pub run: Option<Uuid>,
}

/// What of a person's row a source decides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Place {
    pub active: bool,
    pub left_at: Option<DateTime<Utc>>,
    pub unit: Option<Uuid>,
    pub unit_ref: Option<String>,
    pub manager: Option<Uuid>,
    pub manager_ref: Option<String>,
}

/// What a chunk of steps did.
struct Written {
    /// Whose shown values may be other ones.
    shown: Vec<EmployeeId>,
    /// The records of those of whom this source alone speaks.
    records: HashMap<EmployeeId, (SourceId, ErpRecord)>,
    /// Whether anybody has another place in the chart.
    moved: bool,
}

/// The rows of one chunk.
#[derive(Default)]
struct Rows {
    joiners: Vec<[Value; 20]>,
    places: Vec<[Value; 7]>,
    records: Vec<[Value; 10]>,
    relations: Relations,
    scheduled: Vec<[Value; 7]>,
    unscheduled: Vec<String>,
    /// Whose superior ends being it.
    ended: Vec<[Value; 2]>,
    begun: Vec<[Value; 3]>,
    undecided: Vec<[Value; 5]>,
    decided: Vec<String>,
    steps: Vec<[Value; 4]>,
}

impl Store {
    /// Writes the next steps of the plan.
    pub(super) async fn apply_chunk(
        &self,
        viewer: &Viewer,
        live: &Live,
        work: &mut Work,
    ) -> Result<()> {
        let to = work.plan.len().min(work.next + CHUNK);
        let mut run = live.run();
        run.applied = to as u64;
        let mut change = self.change_people().await?;
        write_run(&change.tx, &run, None, change.at).await?;
        if !work.units_added {
            add_units(&change.tx, live, work).await?;
        }
        let lines = work.plan[work.next..to].iter();
        let steps = lines
            .map(|line| work.planned(line))
            .collect::<Result<Vec<_>>>()?;
        let org = work.org();
        let written = self
            .write_steps(viewer, live, work, &org, steps, &mut change)
            .await?;
        shown::reshow_knowing(&change.tx, &written.shown, written.records).await?;
        let mut totals = Totals::default();
        for line in &work.plan[work.next..to] {
            totals.count(line.kind);
        }
        let detail = json!({ "run": live.id, "steps": [work.next + 1, to], "totals": totals });
        change.record(viewer, "run.applied", source::subject(live.source), detail);
        change.tell(Event::RunMoved(live.id));
        change.commit().await?;

        for line in &work.plan[work.next..to] {
            if let Some(employee) = line.employee {
                let id = line.external_id.clone();
                work.held.entry(id).or_insert(Held {
                    employee,
                    active: true,
                    digest: Default::default(),
                    seen: true,
                });
            }
        }
        work.units_added = true;
        work.moved |= written.moved;
        work.next = to;
        live.change(|shown| *shown = run);
        Ok(())
    }

    /// Writes the next steps.
    async fn write_steps(
        &self,
        viewer: &Viewer,
        live: &Live,
        work: &Work,
        org: &Arc<Snapshot>,
        mut steps: Vec<Planned>,
        change: &mut Change<'_>,
    ) -> Result<Written> {
        let at = change.at;
        let mut told = Vec::with_capacity(steps.len());
        for planned in &mut steps {
            let step = serde_json::to_string(&work.step(planned))?;
            // What was read of a person goes into their record.
            let worker = planned.employee.and_then(|_| planned.worker.take());
            told.push((step, worker));
        }
        let old: Vec<_> = steps
            .iter()
            .filter(|planned| !matches!(planned.kind, StepKind::Joiner | StepKind::Undecided))
            .collect();
        let (mut kept, places) = kept(&change.tx, live.source, &old).await?;
        // Whoever comes in with this very chunk can be a superior in it.
        let arriving: HashMap<&str, EmployeeId> = steps
            .iter()
            .filter(|planned| !work.held.contains_key(&planned.external_id))
            .filter_map(|planned| Some((planned.external_id.as_str(), planned.employee?)))
            .collect();
        let ids: Vec<_> = old.iter().filter_map(|planned| planned.employee).collect();
        let shared = several::shared(&change.tx, live.source, &ids).await?;
        let above_posts = work.above_posts();
        let sourcing = match old.len() < steps.len() {
            true => Some(Sourcing::with(&change.tx, org.clone()).await?),
            false => None,
        };
        let mut rows = Rows::default();
        let mut shown = Vec::with_capacity(steps.len());
        let mut leavers = Vec::new();
        let mut noted = Vec::new();
        let mut became = HashMap::new();
        for ((place, planned), (step, worker)) in (work.next..).zip(&steps).zip(told) {
            rows.steps.push([
                live.id.0.into(),
                (place as i64).into(),
                step.into(),
                planned.employee.map(|id| id.0).into(),
            ]);
            let waits = planned.kind == StepKind::Scheduled;
            if work.scheduled.contains_key(&planned.external_id) && !waits {
                rows.unscheduled.push(planned.external_id.clone());
            }
            if work.pending.contains_key(&planned.external_id)
                && planned.kind != StepKind::Undecided
                && !waits
            {
                rows.decided.push(planned.external_id.clone());
            }
            let Some(employee) = planned.employee else {
                if waits {
                    let row = ahead::row(live.source, planned, work.today, at)?;
                    rows.scheduled.extend(row);
                    continue;
                }
                rows.wait(live.source, work, planned, at)?;
                continue;
            };
            let before = kept.remove(&planned.external_id);
            let said = before.as_ref().map(|before| &before.record.worker);
            let Some(record) = rows.record(
                live,
                work.today,
                planned,
                worker,
                employee,
                before.as_ref(),
                at,
            )?
            else {
                continue;
            };
            let stays = planned.kind != StepKind::Leaver;
            // Who is not here has neither lines nor stand-ins, whatever is said of a day ahead.
            let here = record.worker.works_on(work.today);
            let now_said = here.then_some(&record.worker);
            let again = planned.kind == StepKind::Returner;
            rows.relations
                .note(employee, said.filter(|_| !again), now_said);
            if !stays {
                // The word with which they go may say other values as well.
                shown.push(employee);
                noted.push((place, employee, planned, before, record));
                leavers.push((employee, planned));
                continue;
            }
            let was = places.get(&employee.0);
            let mut now = work.place(&arriving, &above_posts, &record.worker, was, planned.kind);
            if let Some(was) = was.filter(|_| shared.contains(&employee)) {
                now.keep(was);
            }
            rows.history(employee, was, &now, at);
            if let Some(was) = was {
                noted.push((place, employee, planned, before, record));
                became.insert(employee.0, now.clone());
                rows.place(employee, was, now);
                shown.push(employee);
            } else if let Some(sourcing) = &sourcing {
                let name = planned.name.clone();
                let unit = now.unit.map(UnitId);
                let facts = Facts::newcomer(employee, unit, name, live.source, record);
                rows.join(employee, now, sourcing.columns(&facts), at);
            }
        }
        let moved = !(rows.joiners.is_empty() && rows.places.is_empty() && leavers.is_empty());
        let relations = std::mem::take(&mut rows.relations);
        let keys = rows.keys_beside(&steps, &relations);
        let noting = Noting::begin(&change.tx, live.id, live.source, keys).await?;
        rows.write(&change.tx, live.source).await?;
        self.write_relations(&change.tx, live.source, work, relations, at)
            .await?;
        noting.end(&change.tx).await?;
        let ids: Vec<_> = leavers.iter().map(|(id, _)| *id).collect();
        let gone = gone_everywhere(&change.tx, &ids, at).await?;
        // What is in the database by now is not what was meant to be there.
        for id in ids.iter().chain(&shared) {
            became.remove(&id.0);
        }
        account::end_all_sign_ins(&change.tx, &gone, at).await?;
        let gone: HashSet<_> = gone.into_iter().collect();
        for (employee, planned) in leavers {
            if gone.contains(&employee) {
                let detail = json!({
                    "run": live.id,
                    "source": live.source,
                    "external_id": planned.external_id,
                });
                change.record(viewer, "person.left", audit::person(employee), detail);
                change.tell(Event::SignedOut(employee));
            }
        }
        let shared: Vec<_> = shared.into_iter().collect();
        let settled = several::settle(&change.tx, &shared, at).await?;
        // Of a leaver here who stays by another source, that one is heard from now on.
        shown.extend(&shared);
        self.note_steps(live, work, change, &places, became, &noted)
            .await?;
        let shared = HashSet::<EmployeeId>::from_iter(shared);
        let stayed = noted.into_iter().filter(|(_, id, planned, ..)| {
            planned.kind != StepKind::Leaver && !shared.contains(id)
        });
        let records = stayed.map(|(_, id, _, _, mut record)| {
            // As it is today, which is what the column says.
            record.worker.active = record.worker.works_on(work.today);
            (id, (live.source, record))
        });
        Ok(Written {
            shown,
            records: records.collect(),
            moved: moved || !settled.is_empty(),
        })
    }

    /// Notes what it takes to take the steps back, now that it is known where everybody stands.
    async fn note_steps(
        &self,
        live: &Live,
        work: &Work,
        change: &Change<'_>,
        places: &HashMap<Uuid, Place>,
        mut became: HashMap<Uuid, Place>,
        noted: &[(usize, EmployeeId, &Planned, Option<Kept>, ErpRecord)],
    ) -> Result<()> {
        if noted.is_empty() {
            return Ok(());
        }
        let ids = noted.iter().map(|(_, employee, ..)| *employee);
        let ids: Vec<_> = ids.filter(|id| !became.contains_key(&id.0)).collect();
        became.extend(places_of(&change.tx, &ids).await?);
        let mut journal = Journal::new(live.id, live.source, work, change.at);
        for (place, employee, planned, before, record) in noted {
            let (Some(was), Some(became)) = (places.get(&employee.0), became.get(&employee.0))
            else {
                continue;
            };
            journal.note(&Noted {
                place: *place,
                employee: *employee,
                external_id: Some(&planned.external_id),
                before: before.as_ref(),
                after: Some(record),
                was,
                became,
            })?;
        }
        journal.write(&change.tx).await
    }

    /// What comes after the last step: superiors and units that could not be
    /// found before, the units' new names, how far the source was read. Answers
    /// the run, and whether the chart changed.
    pub(super) async fn apply_rest(
        &self,
        viewer: &Viewer,
        live: &Live,
        work: &mut Work,
        watermark: Option<String>,
    ) -> Result<(Run, bool)> {
        let mut change = self.change_people().await?;
        let at = change.at;
        let mut run = live.run();
        run.phase = Phase::Done;
        run.ended_at = Some(at);
        write_run(&change.tx, &run, Some(&work.findings), at).await?;
        if !work.units_added {
            add_units(&change.tx, live, work).await?;
        }
        let keys = work.keys_of_the_rest(&change.tx, live.source).await?;
        let noting = Noting::begin(&change.tx, live.id, live.source, keys).await?;
        let before = seekers(&change.tx, run.started_at).await?;
        let mut shown = find_units(&change.tx, live.source, work).await?;
        let mut found = shown.len() + find_managers(&change.tx, live.source, work, at).await?;
        found += relations::find_people(&change.tx, live.source, work, at).await?;
        found += usize::from(relations::write_vacancies(&change.tx, live.source, work).await?);
        let settled = settle_unresolved(&change.tx, live.source, at).await?;
        found += settled.len();
        shown.extend(settled);
        note_found(&change.tx, live, work, &before, at).await?;
        journal::forget_old(&change.tx, live.source, at).await?;
        let units = change_units(&change.tx, live, work).await?;
        shown.extend(people_of(&change.tx, &units.renamed).await?);
        shown.sort_unstable();
        shown.dedup();
        shown::reshow(&change.tx, &shown).await?;
        drop_pending(&change.tx, live.source, &work.no_longer_pending).await?;
        ahead::unschedule(&change.tx, live.source, &work.no_longer_scheduled).await?;
        ahead::forget_day(&change.tx, live.source, &work.no_longer_due).await?;
        noting.end(&change.tx).await?;
        if !work.turning {
            let update = "UPDATE sources SET last_read_at = $2, watermark = COALESCE($3, watermark) WHERE id = $1";
            let values = [live.source.0.into(), work.read_at.into(), watermark.into()];
            change
                .tx
                .execute_raw(db::sql(&change.tx, update, values))
                .await?;
        }
        correction::confirm(&mut change, viewer, live.source, run.started_at).await?;
        if run.steps > 0 || found > 0 || units.written > 0 {
            let detail = json!({ "run": live.id, "totals": run.totals, "units": units.written });
            change.record(viewer, "run.done", source::subject(live.source), detail);
            change.tell(Event::PeopleChanged);
        }
        change.commit().await?;
        Ok((run, work.moved || found > 0 || units.written > 0))
    }
}

impl Work {
    /// Where a worker belongs, as far as it is known by now.
    fn place(
        &self,
        arriving: &HashMap<&str, EmployeeId>,
        above_posts: &HashMap<&str, EmployeeId>,
        worker: &Worker,
        was: Option<&Place>,
        kind: StepKind,
    ) -> Place {
        let reference = worker.manager.as_deref();
        let manager = reference.and_then(|manager| {
            let held = self.held.get(manager).map(|held| held.employee);
            held.or_else(|| arriving.get(manager).copied())
        });
        // The reference to a vacant post stays: whoever is next above it may be another one tomorrow.
        let passed = reference.filter(|_| manager.is_none());
        let above = passed.and_then(|post| above_posts.get(post).copied());
        let unit = worker.unit.as_ref().and_then(|unit| self.units.get(unit));
        let keeps = was.is_some_and(|was| was.active);
        Place {
            active: keeps || matches!(kind, StepKind::Joiner | StepKind::Returner),
            left_at: match kind {
                StepKind::Joiner | StepKind::Returner => None,
                _ => was.and_then(|was| was.left_at),
            },
            manager: manager.or(above).map(|id| id.0),
            manager_ref: passed.map(str::to_owned),
            unit: unit.map(|unit| unit.id.0),
            unit_ref: worker.unit.clone().filter(|_| unit.is_none()),
        }
    }
}

impl Place {
    /// Leaves unit and superior as they were: another source may say them.
    fn keep(&mut self, was: &Self) {
        (self.unit, self.unit_ref) = (was.unit, was.unit_ref.clone());
        (self.manager, self.manager_ref) = (was.manager, was.manager_ref.clone());
    }
}

impl Rows {
    /// What is written beside people with these steps.
    fn keys_beside(&self, steps: &[Planned], relations: &Relations) -> Keys {
        let mut keys: Keys = relations.keys().collect();
        for planned in steps.iter().filter(|planned| planned.employee.is_none()) {
            let what = match planned.kind {
                StepKind::Scheduled => Beside::Scheduled,
                _ => Beside::Undecided,
            };
            keys.insert((what, planned.external_id.clone()));
        }
        let ids =
            |what, ids: &[String]| ids.iter().map(|id| (what, id.clone())).collect::<Vec<_>>();
        keys.extend(ids(Beside::Scheduled, &self.unscheduled));
        keys.extend(ids(Beside::Undecided, &self.decided));
        keys
    }

    /// A record that waits, unless it waits just so already.
    fn wait(
        &mut self,
        source: SourceId,
        work: &Work,
        planned: &Planned,
        at: DateTime<Utc>,
    ) -> Result<()> {
        let record = serde_json::to_string(&planned.worker)?;
        let candidates = serde_json::to_string(&planned.candidates)?;
        let same = work
            .pending
            .get(&planned.external_id)
            .is_some_and(|pending| {
                pending.decision.is_none()
                    && pending.record == record
                    && pending.candidates == candidates
            });
        if !same {
            self.undecided.push([
                source.0.into(),
                planned.external_id.as_str().into(),
                record.into(),
                candidates.into(),
                at.into(),
            ]);
        }
        Ok(())
    }

    /// The record that follows, of a `worker` who was read or of nothing new;
    /// none if there is nothing that it could follow.
    #[expect(clippy::too_many_arguments, reason = "what a record is made of")]
    fn record(
        &mut self,
        live: &Live,
        today: NaiveDate,
        planned: &Planned,
        worker: Option<Worker>,
        employee: EmployeeId,
        before: Option<&Kept>,
        at: DateTime<Utc>,
    ) -> Result<Option<ErpRecord>> {
        let gone = planned.kind == StepKind::Leaver;
        let was_read = worker.is_some();
        let (worker, digest) = match (worker, before) {
            (Some(worker), _) => {
                let digest = worker.digest().to_vec();
                (worker, digest)
            }
            (None, Some(before)) => {
                let mut worker = before.record.worker.clone();
                worker.active &= !gone;
                // Nobody dated what happens to somebody who is in the source no more.
                worker.changed_at = None;
                (worker, before.digest.clone())
            }
            (None, None) => return Ok(None),
        };
        let (old, photo_wanted) = match before {
            Some(before) => (Some(&before.record), before.photo_wanted.clone()),
            None => (None, None),
        };
        let old_tag = old.and_then(|old| old.worker.photo.as_deref());
        let photo_wanted = match &worker.photo {
            None => None,
            Some(tag) if old_tag == Some(tag) => photo_wanted,
            Some(tag) => Some(tag.clone()),
        };
        let photo = old.and_then(|old| old.photo.clone());
        let photo = photo.filter(|_| worker.photo.is_some());
        let mut record = ErpRecord::succeed(old, worker, photo, at);
        if !was_read && !gone {
            record.changed.insert(Attribute::Department, at);
        }
        // A day that has come changes this as a word of the ERP does.
        if gone || planned.kind == StepKind::Returner {
            record.changed.entry(Attribute::Active).insert_entry(at);
        }
        let due_on = record.worker.turns_after(today);
        let (text, changed) = record.encode()?;
        self.records.push([
            live.source.0.into(),
            planned.external_id.as_str().into(),
            employee.0.into(),
            record.worker.works_on(today).into(),
            digest.into(),
            text.into(),
            changed.into(),
            photo_wanted.into(),
            due_on.map(|day| day.to_string()).into(),
            live.id.0.into(),
        ]);
        Ok(Some(record))
    }

    /// The intervals of having a superior.
    fn history(
        &mut self,
        employee: EmployeeId,
        was: Option<&Place>,
        now: &Place,
        at: DateTime<Utc>,
    ) {
        let had = was.filter(|was| was.active).and_then(|was| was.manager);
        let has = now.manager.filter(|_| now.active);
        let has = has.filter(|manager| *manager != employee.0);
        if had == has {
            return;
        }
        if had.is_some() {
            self.ended.push([employee.0.into(), at.into()]);
        }
        if let Some(manager) = has {
            self.begun
                .push([employee.0.into(), manager.into(), at.into()]);
        }
    }

    fn place(&mut self, employee: EmployeeId, was: &Place, now: Place) {
        if *was != now {
            self.places.push(now.row(employee.0));
        }
    }

    /// The row of somebody who is new, with what is shown at once.
    fn join(&mut self, employee: EmployeeId, now: Place, columns: Columns, at: DateTime<Utc>) {
        let own: [Value; 9] = [
            employee.0.into(),
            now.active.into(),
            now.unit.into(),
            now.unit_ref.into(),
            now.manager.into(),
            now.manager_ref.into(),
            // Nobody has a number in the chart before it is built anew.
            (-1).into(),
            (-1).into(),
            at.into(),
        ];
        let mut values = own.into_iter().chain(columns.values());
        self.joiners.push(std::array::from_fn(|_| {
            values.next().expect("nine and eleven are twenty")
        }));
    }

    async fn write(self, tx: &DatabaseTransaction, source: SourceId) -> Result<()> {
        db::bulk(tx, self.joiners, |rows| {
            format!(
                "INSERT INTO employees (id, active, unit_id, unit_ref, manager_id, manager_ref, tree_from,
                    tree_to, created_at, {}) VALUES {rows}",
                Columns::NAMES
            )
        })
        .await?;
        write_places(tx, self.places).await?;
        write_records(tx, self.records).await?;
        ahead::schedule(tx, self.scheduled).await?;
        ahead::unschedule(tx, source, &self.unscheduled).await?;
        write_history(tx, self.ended, self.begun).await?;
        db::bulk(tx, self.undecided, |rows| {
            format!(
                "INSERT INTO undecided (source_id, external_id, record, candidates, since) VALUES {rows}
                ON CONFLICT (source_id, external_id) DO UPDATE SET record = excluded.record,
                    candidates = excluded.candidates, decision = NULL"
            )
        })
        .await?;
        drop_pending(tx, source, &self.decided).await?;
        db::bulk(tx, self.steps, |rows| {
            format!("INSERT INTO run_steps (run_id, place, step, employee_id) VALUES {rows}")
        })
        .await?;
        Ok(())
    }
}

impl Place {
    /// The row of [`write_places`].
    pub fn row(self, employee: Uuid) -> [Value; 7] {
        [
            employee.into(),
            self.active.into(),
            self.left_at.into(),
            self.unit.into(),
            self.unit_ref.into(),
            self.manager.into(),
            self.manager_ref.into(),
        ]
    }
}

pub(super) async fn write_places(tx: &DatabaseTransaction, rows: Vec<[Value; 7]>) -> Result<()> {
    db::bulk(tx, rows, |rows| {
        format!(
            "UPDATE employees SET active = v.column2, left_at = v.column3, unit_id = v.column4,
                unit_ref = v.column5, manager_id = v.column6, manager_ref = v.column7
            FROM (VALUES {rows}) AS v WHERE employees.id = v.column1"
        )
    })
    .await?;
    Ok(())
}

pub(super) async fn write_records(tx: &DatabaseTransaction, rows: Vec<[Value; 10]>) -> Result<()> {
    db::bulk(tx, rows, |rows| {
        format!(
            "INSERT INTO erp_records (source_id, external_id, employee_id, active, digest, record,
                changed, photo_wanted, due_on, run_id) VALUES {rows}
            ON CONFLICT (source_id, external_id) DO UPDATE SET active = excluded.active,
                digest = excluded.digest, record = excluded.record, changed = excluded.changed,
                photo_wanted = excluded.photo_wanted, due_on = excluded.due_on,
                run_id = excluded.run_id"
        )
    })
    .await?;
    Ok(())
}

/// Ends intervals, and begins others.
pub(crate) async fn write_history(
    tx: &DatabaseTransaction,
    ended: Vec<[Value; 2]>,
    begun: Vec<[Value; 3]>,
) -> Result<()> {
    db::bulk(tx, ended, |rows| {
        format!(
            "UPDATE manager_history SET to_at = v.column2 FROM (VALUES {rows}) AS v
            WHERE manager_history.employee_id = v.column1 AND manager_history.to_at IS NULL"
        )
    })
    .await?;
    // An interval of no length is one that never was.
    db::bulk(tx, begun, |rows| {
        format!(
            "INSERT INTO manager_history (employee_id, manager_id, from_at) VALUES {rows}
            ON CONFLICT (employee_id, from_at) DO UPDATE SET manager_id = excluded.manager_id, to_at = NULL"
        )
    })
    .await?;
    Ok(())
}

/// The records that the steps follow, and where the people of the steps belong now.
async fn kept(
    tx: &DatabaseTransaction,
    source: SourceId,
    steps: &[&Planned],
) -> Result<(HashMap<String, Kept>, HashMap<Uuid, Place>)> {
    let mut kept = HashMap::with_capacity(steps.len());
    let mut places = HashMap::with_capacity(steps.len());
    for steps in steps.chunks(IN_MAX) {
        let find = format!(
            "SELECT {PLACE}, r.external_id, r.record, r.changed, r.digest, r.photo_wanted, r.run_id
            FROM erp_records r JOIN employees e ON e.id = r.employee_id
            WHERE r.source_id = $1 AND r.external_id IN ({})",
            db::places(2, steps.len())
        );
        let ids = steps
            .iter()
            .map(|planned| planned.external_id.as_str().into());
        let values = std::iter::once(source.0.into()).chain(ids);
        // Row by row: what one says is read while the database looks for the next.
        db::each(tx, db::sql(tx, find, values), |row| {
            let (id, place) = place(&row)?;
            places.insert(id, place);
            let record: String = row.try_get_by_index(8)?;
            let changed: String = row.try_get_by_index(9)?;
            let one = Kept {
                record: ErpRecord::decode(&record, &changed)?,
                text: record,
                changed,
                digest: row.try_get_by_index(10)?,
                photo_wanted: row.try_get_by_index(11)?,
                run: row.try_get_by_index(12)?,
            };
            kept.insert(row.try_get_by_index(7)?, one);
            Ok(())
        })
        .await?;
    }
    // Those whom another source brought, and this one speaks of for the first time.
    let ids = steps.iter().filter_map(|planned| planned.employee);
    let ids: Vec<_> = ids.filter(|id| !places.contains_key(&id.0)).collect();
    places.extend(places_of(tx, &ids).await?);
    Ok((kept, places))
}

/// The columns of `employees e` that [`place`] reads.
const PLACE: &str = "e.id, e.active, e.left_at, e.unit_id, e.unit_ref, e.manager_id, e.manager_ref";

/// Whose place a row says, and which: its first columns are [`PLACE`].
fn place(row: &QueryResult) -> Result<(Uuid, Place)> {
    let place = Place {
        active: row.try_get_by_index(1)?,
        left_at: row.try_get_by_index(2)?,
        unit: row.try_get_by_index(3)?,
        unit_ref: row.try_get_by_index(4)?,
        manager: row.try_get_by_index(5)?,
        manager_ref: row.try_get_by_index(6)?,
    };
    Ok((row.try_get_by_index(0)?, place))
}

/// Where these people belong now.
pub(super) async fn places_of(
    tx: &DatabaseTransaction,
    ids: &[EmployeeId],
) -> Result<HashMap<Uuid, Place>> {
    let mut places = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(IN_MAX) {
        let find = format!(
            "SELECT {PLACE} FROM employees e WHERE e.id IN ({})",
            db::places(1, ids.len())
        );
        let values = ids.iter().map(|id| id.0.into());
        for row in tx.query_all_raw(db::sql(tx, find, values)).await? {
            let (id, place) = place(&row)?;
            places.insert(id, place);
        }
    }
    Ok(places)
}

/// Marks those as gone of whom no source says any more that they work here, and answers them.
pub(super) async fn gone_everywhere(
    tx: &DatabaseTransaction,
    leavers: &[EmployeeId],
    at: DateTime<Utc>,
) -> Result<Vec<EmployeeId>> {
    let mut gone = Vec::with_capacity(leavers.len());
    for leavers in leavers.chunks(IN_MAX) {
        let find = format!(
            "SELECT e.id FROM employees e WHERE e.active AND e.id IN ({})
            AND NOT EXISTS (SELECT 1 FROM erp_records r WHERE r.employee_id = e.id AND r.active)",
            db::places(1, leavers.len())
        );
        let values = leavers.iter().map(|id| id.0.into());
        for row in tx.query_all_raw(db::sql(tx, find, values)).await? {
            gone.push(EmployeeId(row.try_get_by_index(0)?));
        }
    }
    let left = gone.iter().map(|id| [id.0.into(), at.into()]).collect();
    db::bulk(tx, left, |rows| {
        format!(
            "UPDATE employees SET active = FALSE, left_at = v.column2 FROM (VALUES {rows}) AS v
            WHERE employees.id = v.column1"
        )
    })
    .await?;
    let ended = gone.iter().map(|id| [id.0.into(), at.into()]).collect();
    write_history(tx, ended, Vec::new()).await?;
    Ok(gone)
}

/// Units that are new come before the people in them.
async fn add_units(tx: &DatabaseTransaction, live: &Live, work: &Work) -> Result<()> {
    let new: Vec<_> = work
        .units
        .iter()
        .filter(|(external_id, _)| !work.units_before.contains_key(*external_id))
        .collect();
    let noted = new.iter().map(|(_, unit)| (None, *unit));
    journal::note_units(tx, live.id, noted).await?;
    let new = new
        .iter()
        .map(|(external_id, unit)| unit.row(live.source, external_id))
        .collect();
    db::bulk(tx, new, |rows| {
        format!(
            "INSERT INTO units (id, source_id, external_id, name, parent_ref, parent_id, heads, active)
            VALUES {rows}"
        )
    })
    .await?;
    Ok(())
}

impl UnitRow {
    fn row(&self, source: SourceId, external_id: &str) -> [Value; 8] {
        [
            self.id.0.into(),
            source.0.into(),
            external_id.into(),
            self.name.as_str().into(),
            self.parent_ref.clone().into(),
            self.parent_id.map(|id| id.0).into(),
            self.heads.as_str().into(),
            self.active.into(),
        ]
    }
}

/// How many units were written, and which have another name now.
struct Units {
    written: usize,
    renamed: Vec<UnitId>,
}

/// Units get their new names, parents and heads after the last step: until then
/// a run that is begun anew sees that they changed, and whom it is about.
async fn change_units(tx: &DatabaseTransaction, live: &Live, work: &Work) -> Result<Units> {
    let mut rows = Vec::new();
    let mut noted = Vec::new();
    let mut renamed = Vec::new();
    let mut new = 0;
    for (external_id, unit) in &work.units {
        match work.units_before.get(external_id) {
            None => new += 1,
            Some(before) if before == unit => {}
            Some(before) => {
                // One that is no more has no name to be shown.
                if (&before.name, before.active) != (&unit.name, unit.active) {
                    renamed.push(unit.id);
                }
                rows.push(unit.row(live.source, external_id));
                noted.push((Some(before), unit));
            }
        }
    }
    journal::note_units(tx, live.id, noted.into_iter()).await?;
    let written = rows.len() + new;
    db::bulk(tx, rows, |rows| {
        format!(
            "INSERT INTO units (id, source_id, external_id, name, parent_ref, parent_id, heads, active)
            VALUES {rows} ON CONFLICT (id) DO UPDATE SET name = excluded.name,
                parent_ref = excluded.parent_ref, parent_id = excluded.parent_id,
                heads = excluded.heads, active = excluded.active"
        )
    })
    .await?;
    Ok(Units { written, renamed })
}

pub(super) async fn people_of(
    tx: &DatabaseTransaction,
    units: &[UnitId],
) -> Result<Vec<EmployeeId>> {
    let mut people = Vec::new();
    for units in units.chunks(IN_MAX) {
        let find = format!(
            "SELECT id FROM employees WHERE unit_id IN ({})",
            db::places(1, units.len())
        );
        let values = units.iter().map(|id| id.0.into());
        for row in tx.query_all_raw(db::sql(tx, find, values)).await? {
            people.push(EmployeeId(row.try_get_by_index(0)?));
        }
    }
    Ok(people)
}

/// Sets the units of people that were not known when the people were written.
async fn find_units(
    tx: &DatabaseTransaction,
    source: SourceId,
    work: &Work,
) -> Result<Vec<EmployeeId>> {
    let mut found = Vec::new();
    let mut set = Vec::new();
    for waiting in unresolved(tx, source, "unit_ref").await? {
        if let Some(unit) = work.units.get(&waiting.reference) {
            found.push(EmployeeId(waiting.id));
            set.push([waiting.id.into(), unit.id.0.into()]);
        }
    }
    db::bulk(tx, set, |rows| {
        format!(
            "UPDATE employees SET unit_id = v.column2, unit_ref = NULL FROM (VALUES {rows}) AS v
            WHERE employees.id = v.column1"
        )
    })
    .await?;
    Ok(found)
}

/// Sets the superiors of people that were not known when the people were
/// written: those who stand in a circle, or came later, or were decided about.
/// Where the superior's post is vacant, whoever is next above it.
async fn find_managers(
    tx: &DatabaseTransaction,
    source: SourceId,
    work: &Work,
    at: DateTime<Utc>,
) -> Result<usize> {
    let above_posts = work.above_posts();
    let mut set = Vec::new();
    let (mut ended, mut begun) = (Vec::new(), Vec::new());
    for waiting in unresolved(tx, source, "manager_ref").await? {
        let held = work.held.get(&waiting.reference).map(|held| held.employee);
        let above = held.or_else(|| above_posts.get(waiting.reference.as_str()).copied());
        let (id, manager) = (waiting.id, above.map(|above| above.0));
        if manager == waiting.manager && held.is_none() {
            continue;
        }
        let reference = Some(waiting.reference).filter(|_| held.is_none());
        set.push([id.into(), manager.into(), reference.into()]);
        let other = |manager: Option<Uuid>| manager.filter(|manager| *manager != id);
        if waiting.active && other(manager) != other(waiting.manager) {
            ended.push([id.into(), at.into()]);
            begun.extend(other(manager).map(|manager| [id.into(), manager.into(), at.into()]));
        }
    }
    let found = set.len();
    db::bulk(tx, set, |rows| {
        format!(
            "UPDATE employees SET manager_id = v.column2, manager_ref = v.column3 FROM (VALUES {rows}) AS v
            WHERE employees.id = v.column1"
        )
    })
    .await?;
    write_history(tx, ended, begun).await?;
    Ok(found)
}

/// Settles those of this source and another one who have a reference that meant nothing yet.
async fn settle_unresolved(
    tx: &DatabaseTransaction,
    source: SourceId,
    at: DateTime<Utc>,
) -> Result<Vec<EmployeeId>> {
    let find = "SELECT e.id FROM employees e WHERE e.id IN (
            SELECT id FROM employees WHERE unit_ref IS NOT NULL
            UNION SELECT id FROM employees WHERE manager_ref IS NOT NULL)
        AND EXISTS (SELECT 1 FROM erp_records r WHERE r.employee_id = e.id AND r.source_id = $1)
        AND EXISTS (SELECT 1 FROM erp_records r WHERE r.employee_id = e.id AND r.source_id <> $1)";
    let rows = tx
        .query_all_raw(db::sql(tx, find, [source.0.into()]))
        .await?;
    let ids: Vec<_> = rows
        .iter()
        .map(|row| Ok(EmployeeId(row.try_get_by_index(0)?)))
        .collect::<Result<_>>()?;
    several::settle(tx, &ids, at).await
}

/// Those who were here before a run and have a reference that means nobody or
/// nothing yet, and where they belong.
async fn seekers(
    tx: &DatabaseTransaction,
    started_at: DateTime<Utc>,
) -> Result<HashMap<Uuid, Place>> {
    let find = "SELECT id FROM employees WHERE unit_ref IS NOT NULL AND created_at < $1
        UNION SELECT id FROM employees WHERE manager_ref IS NOT NULL AND created_at < $2";
    let values = [started_at.into(), started_at.into()];
    let rows = tx.query_all_raw(db::sql(tx, find, values)).await?;
    let ids: Vec<_> = rows
        .iter()
        .map(|row| Ok(EmployeeId(row.try_get_by_index(0)?)))
        .collect::<Result<_>>()?;
    places_of(tx, &ids).await
}

/// Notes those of them who belong elsewhere now, after the last step of the plan.
async fn note_found(
    tx: &DatabaseTransaction,
    live: &Live,
    work: &Work,
    before: &HashMap<Uuid, Place>,
    at: DateTime<Utc>,
) -> Result<()> {
    let ids: Vec<_> = before.keys().copied().map(EmployeeId).collect();
    let now = places_of(tx, &ids).await?;
    let mut journal = Journal::new(live.id, live.source, work, at);
    let moved = ids.iter().filter_map(|id| {
        let (was, became) = (before.get(&id.0)?, now.get(&id.0)?);
        (was != became).then_some((*id, was, became))
    });
    for (place, (employee, was, became)) in (work.plan.len()..).zip(moved) {
        journal.note(&Noted {
            place,
            employee,
            external_id: None,
            before: None,
            after: None,
            was,
            became,
        })?;
    }
    journal.write(tx).await
}

/// Somebody with a reference that meant nobody or nothing yet, or a vacant post.
struct Unresolved {
    id: Uuid,
    reference: String,
    active: bool,
    manager: Option<Uuid>,
}

/// People of this source alone who have a reference in `column`.
async fn unresolved(
    tx: &DatabaseTransaction,
    source: SourceId,
    column: &str,
) -> Result<Vec<Unresolved>> {
    let find = format!(
        "SELECT e.id, e.{column}, e.active, e.manager_id FROM employees e WHERE e.{column} IS NOT NULL
        AND EXISTS (SELECT 1 FROM erp_records r WHERE r.employee_id = e.id AND r.source_id = $1)
        AND NOT EXISTS (SELECT 1 FROM erp_records r WHERE r.employee_id = e.id AND r.source_id <> $1)"
    );
    let rows = tx
        .query_all_raw(db::sql(tx, find, [source.0.into()]))
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Unresolved {
                id: row.try_get_by_index(0)?,
                reference: row.try_get_by_index(1)?,
                active: row.try_get_by_index(2)?,
                manager: row.try_get_by_index(3)?,
            })
        })
        .collect()
}

async fn drop_pending(tx: &DatabaseTransaction, source: SourceId, ids: &[String]) -> Result<()> {
    for ids in ids.chunks(IN_MAX) {
        let delete = format!(
            "DELETE FROM undecided WHERE source_id = $1 AND external_id IN ({})",
            db::places(2, ids.len())
        );
        let values =
            std::iter::once(source.0.into()).chain(ids.iter().map(|id| id.as_str().into()));
        tx.execute_raw(db::sql(tx, delete, values)).await?;
    }
    Ok(())
}

//! Undoing a run: what it changed goes back to what it was before, from its
//! journal, as long as nothing newer touched it.
//!
//! An undo is a run of its own. It goes through the journal from its end to its
//! beginning, in chunks that are a transaction each; what is undone is marked,
//! so that one that broke off is gone on with by the next. Own values are never
//! touched. Sign-ins that a leaver's run ended stay ended.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::{
    Action, Attribute, EmployeeId, RunId, SourceId, UnitId, Value as Said, Viewer,
    sync::{Change as Difference, Step, StepKind, Totals},
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    Live, NotUndone, Phase, Run, RunFinding,
    apply::{Place, gone_everywhere, places_of, write_places},
    journal::UnitThen,
    live::Standing,
    plan::IN_MAX,
    relations::Relations,
    write_history, write_run,
};
use crate::{
    Error, Event, Result, Store, account, audit,
    change::Change,
    db,
    history::{self, Turn, Why},
    people::{self, ErpRecord},
    shown, source,
};

/// Steps in a transaction, as of a run.
const CHUNK: usize = 500;
/// Most steps, and most things left as they are, that a preview tells.
const PREVIEWED: usize = 200;

/// What an undo would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoPreview {
    /// The run that would be undone.
    pub run: Run,
    /// How many of each.
    pub totals: Totals,
    /// What would happen, the first 200.
    pub steps: Vec<Step>,
    /// How many steps there are in all.
    pub steps_in_all: u64,
    /// What would stay as it is because something newer touched it, the first 200.
    pub left: Vec<NotUndone>,
    /// How many of those there are in all.
    pub left_in_all: u64,
    /// Units that would get back their name, parent or heads, or be no more.
    pub units: u64,
}

/// Where an undo has got to.
#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    /// In the journal: what is below this place is not undone yet.
    Journal(i64),
    /// Among the joiners: what is above this place is not undone yet.
    Joiners(i64),
    /// At the end.
    End,
}

impl Default for At {
    fn default() -> Self {
        Self::Journal(i64::MAX)
    }
}

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

struct Restored {
    record: ErpRecord,
    text: String,
    changed: String,
    digest: Vec<u8>,
    photo_wanted: Option<String>,
    /// The run that counts as having written it.
    run: Option<Uuid>,
}

/// What a chunk of an undo does.
#[derive(Default)]
struct Undone {
    steps: Vec<Step>,
    left: Vec<NotUndone>,
    turns: Vec<Turn>,
    /// By external id: the record that is to be there, or none.
    records: BTreeMap<String, Option<(EmployeeId, Restored)>>,
    places: BTreeMap<Uuid, Place>,
    /// Whose interval of having a superior began with the run, and when.
    forget: Vec<[Value; 2]>,
    /// Whose ended with it, and when.
    reopen: Vec<[Value; 2]>,
    ended: Vec<[Value; 2]>,
    begun: Vec<[Value; 3]>,
    relations: Relations,
    /// Joiners who are to be gone again.
    joiners: Vec<(EmployeeId, String)>,
    /// Journal places that are dealt with.
    done: Vec<i64>,
    shown: Vec<EmployeeId>,
}

/// What all chunks of an undo share.
struct Scope {
    /// The run that is undone.
    undone: RunId,
    source: SourceId,
    today: chrono::NaiveDate,
    /// The units' names after the run and before it.
    names: [HashMap<UnitId, String>; 2],
    /// Runs that undo the same run, this one among them.
    undos: HashSet<RunId>,
}

/// A unit that the run wrote.
struct UnitRow {
    id: UnitId,
    was: Option<UnitThen>,
    became: UnitThen,
    now: UnitThen,
}

impl Store {
    /// What undoing a run would do, and what it could not do; writes nothing.
    /// Needs `ManageSources`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] `not_undoable`.
    pub async fn undo_preview(&self, viewer: &Viewer, run: RunId) -> Result<UndoPreview> {
        self.allow(viewer, Action::ManageSources)?;
        let found = self.undoable(run).await?;
        let tx = db::read(self.db()).await?;
        let scope = self.scope(&tx, &found).await?;
        let mut preview = UndoPreview {
            run: found,
            totals: Totals::default(),
            steps: Vec::new(),
            steps_in_all: 0,
            left: Vec::new(),
            left_in_all: 0,
            units: 0,
        };
        let mut at = At::default();
        let mut places = HashMap::new();
        loop {
            let (undone, next) = self.chunk(&tx, &scope, at, &mut places, self.now()).await?;
            for step in undone.steps {
                preview.totals.count(step.kind);
                preview.steps_in_all += 1;
                if preview.steps.len() < PREVIEWED {
                    preview.steps.push(step);
                }
            }
            for left in undone.left {
                preview.left_in_all += 1;
                if preview.left.len() < PREVIEWED {
                    preview.left.push(left);
                }
            }
            match next {
                At::End => break,
                next => at = next,
            }
        }
        for unit in units(&tx, scope.undone).await? {
            match unit.now == unit.became {
                true => preview.units += 1,
                false => {
                    preview.left_in_all += 1;
                    preview.left.push(unit.left("changed_since"));
                }
            }
        }
        tx.rollback().await?;
        Ok(preview)
    }

    /// Begins to undo a run, as a run of its own. Needs `ManageSources`; recorded.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] `not_undoable` for a run that
    /// is not over, was a dry one or an undo, is undone already or has no journal
    /// any more, or `run_in_progress`.
    pub async fn undo_run(&self, viewer: &Viewer, run: RunId) -> Result<Run> {
        self.allow(viewer, Action::ManageSources)?;
        let undone = self.undoable(run).await?;
        let started_by = match viewer.id() {
            Some(id) => people::cards(self.db(), [id])
                .await?
                .remove(&id)
                .map(|card| card.display_name),
            None => None,
        };
        let started_at = self.now();
        let steps = steps_of(self.db(), run).await?;
        let undo = Run {
            id: RunId::new(started_at, self.random()),
            dry_run: false,
            phase: Phase::Applying,
            started_at,
            ended_at: None,
            started_by,
            totals: Totals::default(),
            applied: 0,
            steps,
            error: None,
            error_text: None,
            exceeded: Vec::new(),
            undoes: Some(run),
            undone_by: None,
            undoable: false,
            ..undone
        };
        let live = self.0.runs.begin(undo.clone(), Standing::default())?;
        if let Err(error) = self.take_place(viewer, &undo).await {
            self.0.runs.forget(undo.id);
            return Err(error);
        }
        super::live::keep_beating(&self.0, &live);
        self.tell(Event::RunMoved(undo.id));
        Ok(undo)
    }

    /// Undoes the next chunk; answers whether anything is left.
    ///
    /// # Errors
    /// [`Error::Conflict`] `run_over`.
    pub async fn undo_chunk(&self, viewer: &Viewer, run: RunId) -> Result<bool> {
        self.allow(viewer, Action::ManageSources)?;
        let live = self.live(run).await?;
        let mut work = live.work.lock().await;
        live.require(Phase::Applying)?;
        if !work.loaded {
            // Who has which id in the source: references to people are found by it.
            self.load(live.source, &mut work).await?;
        }
        let at = work.undone;
        let outcome = Box::pin(self.write_undone(viewer, &live, &mut work, at)).await;
        work.undone = self.unless_lost(run, outcome)?;
        Ok(!matches!(work.undone, At::End))
    }

    async fn write_undone(
        &self,
        viewer: &Viewer,
        live: &Live,
        work: &mut super::live::Work,
        at: At,
    ) -> Result<At> {
        let mut run = live.run();
        let undone = run
            .undoes
            .ok_or_else(|| Error::Internal("an undo without a run".into()))?;
        let undone = self.find_run(undone).await?;
        let mut change = self.change_people().await?;
        let moment = change.at;
        let scope = self.scope(&change.tx, &undone).await?;
        let mut places = HashMap::new();
        let (chunk, next) = self
            .chunk(&change.tx, &scope, at, &mut places, moment)
            .await?;
        for step in &chunk.steps {
            run.totals.count(step.kind);
        }
        let first = run.applied;
        run.applied += chunk.steps.len() as u64;
        run.steps = run.steps.max(run.applied);
        work.findings
            .extend(chunk.left.iter().cloned().map(RunFinding::NotUndone));
        let findings: Vec<_> = work.findings.clone();
        write_run(&change.tx, &run, Some(&findings), moment).await?;
        let moved = self
            .put_back(viewer, live, work, &scope, chunk, first, &mut change)
            .await?;
        change.tell(Event::RunMoved(live.id));
        change.commit().await?;
        work.moved |= moved;
        live.change(|shown| *shown = run);
        Ok(next)
    }

    /// Ends an undo: the units get back what they were, the source is paused
    /// and will be read as a whole, and the chart is built anew.
    ///
    /// # Errors
    /// [`Error::Conflict`] `run_over`.
    pub async fn end_undo(&self, viewer: &Viewer, run: RunId) -> Result<Run> {
        self.allow(viewer, Action::ManageSources)?;
        let live = self.live(run).await?;
        let mut work = live.work.lock().await;
        live.require(Phase::Applying)?;
        let ended = Box::pin(self.undo_rest(viewer, &live, &mut work)).await;
        let ended = self.unless_lost(run, ended)?;
        let charted = self.refresh_chart().await.map(drop);
        live.change(|run| *run = ended.clone());
        drop(work);
        self.0.runs.forget(run);
        charted?;
        self.tell(Event::RunMoved(run));
        Ok(ended)
    }

    async fn undo_rest(
        &self,
        viewer: &Viewer,
        live: &Live,
        work: &mut super::live::Work,
    ) -> Result<Run> {
        let mut run = live.run();
        let undone = run
            .undoes
            .ok_or_else(|| Error::Internal("an undo without a run".into()))?;
        let mut change = self.change_people().await?;
        let mut renamed = Vec::new();
        let mut written = 0;
        for unit in units(&change.tx, undone).await? {
            let back = match &unit.was {
                _ if unit.now != unit.became => Err("changed_since"),
                Some(was) => Ok(was.clone()),
                None if in_use(&change.tx, unit.id).await? => Err("in_use"),
                None => Ok(UnitThen {
                    active: false,
                    ..unit.now.clone()
                }),
            };
            match back {
                Ok(back) => {
                    let update =
                        "UPDATE units SET name = $2, parent_ref = $3, parent_id = $4, heads = $5,
                        active = $6 WHERE id = $1";
                    let values = [
                        unit.id.0.into(),
                        back.name.as_str().into(),
                        back.parent_ref.clone().into(),
                        back.parent_id.map(|id| id.0).into(),
                        back.heads.as_str().into(),
                        back.active.into(),
                    ];
                    change
                        .tx
                        .execute_raw(db::sql(&change.tx, update, values))
                        .await?;
                    if (&back.name, back.active) != (&unit.now.name, unit.now.active) {
                        renamed.push(unit.id);
                    }
                    written += 1;
                }
                Err(why) => work.findings.push(RunFinding::NotUndone(unit.left(why))),
            }
        }
        let mark = "UPDATE run_units SET undone_by = $2 WHERE run_id = $1 AND undone_by IS NULL";
        let values = [undone.0.into(), run.id.0.into()];
        change
            .tx
            .execute_raw(db::sql(&change.tx, mark, values))
            .await?;
        let shown = super::apply::people_of(&change.tx, &renamed).await?;
        shown::reshow(&change.tx, &shown).await?;
        // What the source says has not changed: a run that reads only what did would not see it.
        let update = "UPDATE sources SET watermark = NULL WHERE id = $1";
        change
            .tx
            .execute_raw(db::sql(&change.tx, update, [live.source.0.into()]))
            .await?;
        let why = "A run was undone. The next one would do the same again, so it asks first.";
        let paused = source::pause(&change.tx, live.source, why, change.at).await?;
        run.phase = Phase::Done;
        run.ended_at = Some(change.at);
        write_run(&change.tx, &run, Some(&work.findings), change.at).await?;
        let detail = json!({
            "run": run.id,
            "undoes": undone,
            "totals": run.totals,
            "units": written,
            "left": work.findings.len(),
            "paused": paused,
        });
        change.record(viewer, "run.undone", source::subject(live.source), detail);
        change.tell(Event::PeopleChanged);
        change.commit().await?;
        Ok(run)
    }

    /// A run that can be undone.
    async fn undoable(&self, id: RunId) -> Result<Run> {
        let run = self.find_run(id).await?;
        match run.undoable {
            true => Ok(run),
            false => Err(Error::Conflict("not_undoable")),
        }
    }

    async fn scope(&self, tx: &DatabaseTransaction, run: &Run) -> Result<Scope> {
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
        })
    }

    /// Works out the next chunk. `places` are where people stand once the chunks
    /// before it are written, as far as they are not written yet.
    async fn chunk(
        &self,
        tx: &DatabaseTransaction,
        scope: &Scope,
        at: At,
        places: &mut HashMap<Uuid, Place>,
        moment: DateTime<Utc>,
    ) -> Result<(Undone, At)> {
        match at {
            At::Journal(below) => {
                let entries = entries(tx, scope.undone, below).await?;
                let Some(last) = entries.last().map(|entry| entry.place) else {
                    return Ok((Undone::default(), At::Joiners(-1)));
                };
                let undone = undo_entries(tx, scope, entries, places, moment).await?;
                Ok((undone, At::Journal(last)))
            }
            At::Joiners(above) => {
                let joiners = joiners(tx, scope.undone, above).await?;
                let Some(last) = joiners.last().map(|(place, ..)| *place) else {
                    return Ok((Undone::default(), At::End));
                };
                let undone = undo_joiners(tx, scope, joiners).await?;
                Ok((undone, At::Joiners(last)))
            }
            At::End => Ok((Undone::default(), At::End)),
        }
    }

    /// Writes a chunk; answers whether anybody has another place in the chart.
    #[expect(clippy::too_many_arguments, reason = "the parts of one transaction")]
    async fn put_back(
        &self,
        viewer: &Viewer,
        live: &Live,
        work: &super::live::Work,
        scope: &Scope,
        chunk: Undone,
        first: u64,
        change: &mut Change<'_>,
    ) -> Result<bool> {
        let (tx, at) = (&change.tx, change.at);
        let why = Why::Undo(live.id);
        let moved = !(chunk.places.is_empty() && chunk.joiners.is_empty());
        let places = chunk.places.into_iter().map(|(id, place)| place.row(id));
        write_places(tx, places.collect()).await?;
        let (mut back, mut removed) = (Vec::new(), Vec::new());
        for (external_id, record) in chunk.records {
            match record {
                None => removed.push(external_id),
                Some((employee, record)) => back.push([
                    live.source.0.into(),
                    external_id.into(),
                    employee.0.into(),
                    record.record.worker.works_on(scope.today).into(),
                    record.digest.into(),
                    record.text.into(),
                    record.changed.into(),
                    record.photo_wanted.into(),
                    record
                        .record
                        .worker
                        .turns_after(scope.today)
                        .map(|day| day.to_string())
                        .into(),
                    record.run.into(),
                ]),
            }
        }
        super::apply::write_records(tx, back).await?;
        for removed in removed.chunks(IN_MAX) {
            let delete = format!(
                "DELETE FROM erp_records WHERE source_id = $1 AND external_id IN ({})",
                db::places(2, removed.len())
            );
            let ids = removed.iter().map(|id| id.as_str().into());
            let values = std::iter::once(live.source.0.into()).chain(ids);
            tx.execute_raw(db::sql(tx, delete, values)).await?;
        }
        db::bulk(tx, chunk.forget, |rows| {
            format!("DELETE FROM manager_history WHERE (employee_id, from_at) IN (VALUES {rows})")
        })
        .await?;
        db::bulk(tx, chunk.reopen, |rows| {
            format!(
                "UPDATE manager_history SET to_at = NULL FROM (VALUES {rows}) AS v
                WHERE manager_history.employee_id = v.column1 AND manager_history.to_at = v.column2"
            )
        })
        .await?;
        write_history(tx, chunk.ended, chunk.begun).await?;
        self.write_relations(tx, live.source, work, chunk.relations, at)
            .await?;

        let external: Vec<_> = chunk.joiners.iter().map(|(_, id)| id.clone()).collect();
        for external in external.chunks(IN_MAX) {
            let update = format!(
                "UPDATE erp_records SET active = FALSE, run_id = $1 WHERE source_id = $2 AND external_id IN ({})",
                db::places(3, external.len())
            );
            let ids = external.iter().map(|id| id.as_str().into());
            let values = [live.id.0.into(), live.source.0.into()];
            tx.execute_raw(db::sql(tx, update, values.into_iter().chain(ids)))
                .await?;
        }
        let ids: Vec<_> = chunk.joiners.iter().map(|(id, _)| *id).collect();
        let gone = gone_everywhere(tx, &ids, at).await?;
        account::end_all_sign_ins(tx, &gone, at).await?;
        let mut turns = chunk.turns;
        turns.extend(history::of_leaving(&gone, live.source)?);

        for places in chunk.done.chunks(IN_MAX) {
            let mark = format!(
                "UPDATE run_journal SET undone_by = $1 WHERE run_id = $2 AND place IN ({})",
                db::places(3, places.len())
            );
            let values = [live.id.0.into(), scope.undone.0.into()];
            let places = places.iter().map(|place| (*place).into());
            tx.execute_raw(db::sql(tx, mark, values.into_iter().chain(places)))
                .await?;
        }
        let steps = (first..).zip(&chunk.steps).map(|(place, step)| {
            Ok([
                live.id.0.into(),
                i64::try_from(place).unwrap_or(i64::MAX).into(),
                serde_json::to_string(step)?.into(),
                step.employee.map(|id| id.0).into(),
            ])
        });
        let steps = steps.collect::<Result<Vec<[Value; 4]>>>()?;
        db::bulk(tx, steps, |rows| {
            format!("INSERT INTO run_steps (run_id, place, step, employee_id) VALUES {rows}")
        })
        .await?;
        history::write(tx, turns, at, why, viewer.id()).await?;
        shown::reshow(tx, &chunk.shown).await?;
        let mut totals = Totals::default();
        for step in &chunk.steps {
            totals.count(step.kind);
        }
        if !chunk.steps.is_empty() {
            let last = first + chunk.steps.len() as u64;
            let detail = json!({
                "run": live.id,
                "undoes": scope.undone,
                "steps": [first + 1, last],
                "totals": totals,
            });
            change.record(viewer, "run.applied", source::subject(live.source), detail);
        }
        for (employee, external_id) in chunk.joiners {
            if gone.contains(&employee) {
                let detail = json!({
                    "run": live.id,
                    "source": live.source,
                    "external_id": external_id,
                });
                change.record(viewer, "person.left", audit::person(employee), detail);
                change.tell(Event::SignedOut(employee));
            }
        }
        Ok(moved)
    }
}

/// How many steps an undo of a run has at most.
async fn steps_of(conn: &impl ConnectionTrait, run: RunId) -> Result<u64> {
    let ask = "SELECT (SELECT count(*) FROM run_journal WHERE run_id = $1 AND undone_by IS NULL)
        + (SELECT count(*) FROM run_steps WHERE run_id = $2 AND step LIKE $3)";
    let values = [run.0.into(), run.0.into(), JOINER.into()];
    let row = conn.query_one_raw(db::sql(conn, ask, values)).await?;
    let count: i64 = row.ok_or(Error::NotFound)?.try_get_by_index(0)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// How a joiner's step begins: the kind is its first field.
const JOINER: &str = "{\"kind\":\"joiner\",%";

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
    places.extend(places_of(tx, &unknown).await?);
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
            undone.relations.note(
                employee,
                Some(&before.record.worker),
                after.map(|after| &after.worker),
            );
        }

        // The place.
        let Some(stands) = places.get(&employee.0).cloned() else {
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
) -> Result<Undone> {
    let external: Vec<_> = joiners.iter().map(|(_, _, id, _)| id.clone()).collect();
    let records = current(tx, scope.source, &external).await?;
    let mut undone = Undone::default();
    for (_, employee, external_id, name) in joiners {
        let left = match records.get(&external_id) {
            // Undone by one that broke off.
            Some(now) if now.run.is_some_and(|run| scope.undos.contains(&run)) => continue,
            Some(now) if now.run != Some(scope.undone) => Some("later_run"),
            Some(now) if !now.active => continue,
            Some(_) => None,
            None => Some("no_record"),
        };
        if let Some(why) = left {
            undone.left.push(NotUndone {
                name,
                employee: Some(employee),
                attributes: Vec::new(),
                why: why.into(),
            });
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
        if let Some(now) = records.get(&external_id) {
            undone
                .relations
                .note(employee, Some(&now.record.worker), None);
        }
        undone.joiners.push((employee, external_id));
    }
    Ok(undone)
}

/// The units that a run wrote and no undo has dealt with, by id.
async fn units(tx: &DatabaseTransaction, run: RunId) -> Result<Vec<UnitRow>> {
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
    fn left(&self, why: &str) -> NotUndone {
        NotUndone {
            name: self.now.name.clone(),
            employee: None,
            attributes: Vec::new(),
            why: why.into(),
        }
    }
}

/// Whether somebody who works here is in a unit.
async fn in_use(tx: &DatabaseTransaction, unit: UnitId) -> Result<bool> {
    let ask = "SELECT 1 FROM employees WHERE unit_id = $1 AND active LIMIT 1";
    let row = tx.query_one_raw(db::sql(tx, ask, [unit.0.into()])).await?;
    Ok(row.is_some())
}

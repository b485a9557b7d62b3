//! Runs under way in this process, and what they know.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    Attribute, EmployeeId, RunId, SourceId, UnitId, Value,
    erp::{Fault, OrgUnit, Vacancy, Worker},
    sync::{Change, Limits, Step, StepKind, Totals},
    text,
};
use indexmap::IndexSet;
use sea_orm::ConnectionTrait as _;
use serde::{Deserialize, Serialize};
use tokio::{sync::MutexGuard, time::timeout};

use super::{
    FINDINGS_KEPT, Phase, Run, RunFinding, STEPS_PAGE,
    ahead::Scheduled,
    plan,
    spool::{Slot, Spool},
};
use crate::{
    Error, Inner, Result, db,
    org::{self, Snapshot, UnitInfo},
    people::ErpRecord,
    source::Decision,
};

/// How often a run's process shows that it lives.
pub(super) const BEAT: Duration = Duration::from_secs(2);
/// How long a look at a run waits for what the run is doing.
const LOOK_WITHIN: Duration = Duration::from_millis(250);
/// Dry runs that are remembered, as long as their plans are not too large together.
const DRY_KEPT: usize = 20;
/// Most steps of all dry runs but the last.
const DRY_STEPS_KEPT: usize = 200_000;

/// The runs under way in this process, with their plans, and the last finished dry runs.
#[derive(Default)]
pub struct Runs(Mutex<Shelf>);

#[derive(Default)]
struct Shelf {
    under_way: Vec<Arc<Live>>,
    dry: VecDeque<Arc<Live>>,
}

/// How a source stands when a run of it begins.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standing {
    pub limits: Limits,
    /// Whether it is paused, so that its run asks whatever it would do.
    pub paused: bool,
    /// Whether it was never read to its end.
    pub first: bool,
}

/// A run that this process drives.
pub(super) struct Live {
    pub id: RunId,
    pub source: SourceId,
    pub standing: Standing,
    shown: Mutex<Run>,
    /// Held while the run does something, so that it does one thing at a time.
    pub work: Arc<tokio::sync::Mutex<Work>>,
}

impl Runs {
    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        // Nothing that could panic is done under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a run that begins, unless its source has one.
    pub(super) fn begin(&self, run: Run, standing: Standing) -> Result<Arc<Live>> {
        let mut shelf = self.shelf();
        if shelf.under_way.iter().any(|live| live.source == run.source) {
            return Err(Error::Conflict("run_in_progress"));
        }
        let live = Arc::new(Live {
            id: run.id,
            source: run.source,
            standing,
            shown: Mutex::new(run),
            work: Arc::default(),
        });
        shelf.under_way.push(live.clone());
        Ok(live)
    }

    /// A run under way.
    pub(super) fn find(&self, id: RunId) -> Option<Arc<Live>> {
        let shelf = self.shelf();
        shelf.under_way.iter().find(|live| live.id == id).cloned()
    }

    /// A run under way, or a dry run that is over.
    pub(super) fn any(&self, id: RunId) -> Option<Arc<Live>> {
        let shelf = self.shelf();
        let mut all = shelf.under_way.iter().chain(&shelf.dry);
        all.find(|live| live.id == id).cloned()
    }

    /// What is known here of a source's runs.
    pub(super) fn of(&self, source: SourceId) -> Vec<Run> {
        let shelf = self.shelf();
        let all = shelf.under_way.iter().chain(&shelf.dry);
        all.filter(|live| live.source == source)
            .map(|live| live.run())
            .collect()
    }

    /// Lets go of a run; the database keeps what there is to say of it.
    pub(super) fn forget(&self, id: RunId) {
        self.shelf().under_way.retain(|live| live.id != id);
    }

    /// Puts a run that is over away: a dry run is remembered for a while.
    pub(super) fn shelve(&self, live: &Arc<Live>) {
        let mut shelf = self.shelf();
        shelf.under_way.retain(|one| one.id != live.id);
        let size = |live: &Arc<Live>| live.run().steps as usize;
        if live.run().dry_run {
            shelf.dry.push_back(live.clone());
            while shelf.dry.len() > DRY_KEPT
                || shelf.dry.len() > 1 && shelf.dry.iter().map(size).sum::<usize>() > DRY_STEPS_KEPT
            {
                shelf.dry.pop_front();
            }
        }
    }
}

impl Live {
    /// What is known of the run by now; none while it is busy for longer than a page should wait.
    pub async fn look(&self) -> Option<MutexGuard<'_, Work>> {
        timeout(LOOK_WITHIN, self.work.lock()).await.ok()
    }

    /// How the run stands.
    pub fn run(&self) -> Run {
        self.shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn change(&self, change: impl FnOnce(&mut Run)) {
        change(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Fails unless the run is in `phase`, naming what stands against it.
    pub fn require(&self, phase: Phase) -> Result<()> {
        match self.run().phase {
            is if is == phase => Ok(()),
            is if is.is_over() => Err(Error::Conflict("run_over")),
            Phase::Waiting => Err(Error::Conflict("not_approved")),
            _ if phase == Phase::Waiting => Err(Error::Conflict("not_waiting")),
            _ => Err(Error::Conflict("out_of_turn")),
        }
    }
}

/// Shows other processes that the run lives, for as long as it does, also while
/// the ERP is slow or somebody is asked.
pub(super) fn keep_beating(store: &Arc<Inner>, live: &Arc<Live>) {
    let (store, live) = (Arc::downgrade(store), Arc::downgrade(live));
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(BEAT).await;
            let (Some(store), Some(live)) = (store.upgrade(), live.upgrade()) else {
                return;
            };
            if live.run().phase.is_over() {
                return;
            }
            let update = "UPDATE runs SET beat_at = $2 WHERE id = $1 AND ended_at IS NULL";
            let values = [live.id.0.into(), store.env.now().into()];
            let done = store
                .db
                .execute_raw(db::sql(&store.db, update, values))
                .await;
            match done {
                Ok(done) if done.rows_affected() > 0 => {}
                // Ended elsewhere: its source is free.
                Ok(_) => return store.runs.forget(live.id),
                Err(error) => {
                    tracing::warn!(run = %live.id, %error, "a run could not show that it lives");
                }
            }
        }
    });
}

/// A number that stands for a text; two texts with one number are as good as never met.
pub(super) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// A record as it was when the run began.
pub(super) struct Held {
    pub employee: EmployeeId,
    pub active: bool,
    pub digest: [u8; 32],
    /// Whether this run has read it, or read that it could not be read.
    pub seen: bool,
}

/// A record that waits for a decision.
pub(super) struct Pending {
    pub record: String,
    pub candidates: String,
    pub decision: Option<Decision>,
}

/// A unit as the database has it, or is to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnitRow {
    pub id: UnitId,
    pub name: String,
    pub parent_ref: Option<String>,
    pub parent_id: Option<UnitId>,
    /// A JSON list of external ids.
    pub heads: String,
    pub active: bool,
}

/// A worker who was read and is new or says something else: put aside, but for
/// what is asked of all of them at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fresh {
    pub slot: Slot,
    /// Whether the person works there on the day of the run.
    pub works: bool,
    pub manager: Option<Ref>,
    pub unit: Option<Ref>,
    /// A number of the folded mail address.
    pub mail: Option<u64>,
}

/// An external id that many records name, by its number in [`Work::refs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Ref(NonZeroU32);

/// A line of the plan: what is asked of the whole plan at once. The rest is put aside.
pub(super) struct Line {
    pub kind: StepKind,
    pub external_id: String,
    /// None for somebody undecided; a joiner has got an id already.
    pub employee: Option<EmployeeId>,
    /// The worker, if one was read.
    pub fresh: Option<Fresh>,
    /// A joiner's place among joiners.
    pub rank: u32,
    /// Whether it gives somebody a mail address.
    pub addresses: bool,
    /// None for a joiner, of whom everything can be told from the worker.
    rest: Option<Slot>,
}

/// What of a line is put aside.
#[derive(Serialize, Deserialize)]
struct Rest {
    name: String,
    changes: Vec<Change>,
    candidates: Vec<EmployeeId>,
}

/// One step of the plan, with what it takes to do it.
pub(super) struct Planned {
    pub kind: StepKind,
    pub external_id: String,
    /// None for somebody undecided; a joiner has got an id already.
    pub employee: Option<EmployeeId>,
    pub name: String,
    /// A joiner's are worked out when they are asked for: they are the whole record.
    pub changes: Vec<Change>,
    pub candidates: Vec<EmployeeId>,
    /// What was read; none if the record is gone, or only its unit's name changed.
    pub worker: Option<Worker>,
}

impl Planned {
    /// A step about `worker`.
    pub fn of(kind: StepKind, employee: Option<EmployeeId>, worker: Worker) -> Self {
        Self {
            kind,
            external_id: worker.external_id.clone(),
            employee,
            name: worker.name(),
            changes: Vec::new(),
            candidates: Vec::new(),
            worker: Some(worker),
        }
    }
}

/// What a run knows and has worked out.
#[derive(Default)]
pub(super) struct Work {
    pub loaded: bool,
    /// The source's records, by external id.
    pub held: HashMap<String, Held>,
    /// How many of them were active when the run began.
    pub active: u64,
    pub pending: HashMap<String, Pending>,
    pub units_before: HashMap<String, UnitRow>,
    pub units: HashMap<String, UnitRow>,
    /// Records that are new or say something else, by external id.
    pub fresh: HashMap<String, Fresh>,
    /// The source's units as the run leaves them, once a step is applied.
    pub org: Option<Arc<Snapshot>>,
    /// What is put aside.
    pub spool: Spool,
    /// The external ids of superiors and units that were read.
    refs: IndexSet<Box<str>>,
    /// Records that could not be read, of people who are not known.
    pub spared: HashSet<String>,
    /// Fields that could not be read this time, by external id.
    unreadable: HashMap<String, Vec<Attribute>>,
    /// Whether there was a record whose very id could not be read.
    pub unsure: bool,
    /// Who has which employee number, to tell of those with the same. The
    /// texts of all numbers would be large: a hash of 64 bits stands for each.
    numbers: HashMap<u64, Box<str>>,
    pub findings: Vec<RunFinding>,
    pub totals: Totals,
    /// When reading ended.
    pub read_at: DateTime<Utc>,
    pub plan: Vec<Line>,
    /// How many people had a value of an attribute and get another one or none.
    pub losses: BTreeMap<Attribute, u64>,
    /// People of whom only their unit has another name.
    pub renamed: u64,
    /// The names of superiors in the plan, by external id.
    pub names: HashMap<String, String>,
    /// The first step that is not applied.
    pub next: usize,
    pub units_added: bool,
    /// Whether anybody has got another place in the chart so far.
    pub moved: bool,
    /// Records that wait for a decision no more, because they are gone.
    pub no_longer_pending: Vec<String>,
    /// How far an undo has got.
    pub undone: super::undo::Progress,
    /// The day of the run, where the organization is.
    pub today: NaiveDate,
    /// Whether nothing is read, and only those are taken in whose day has come.
    pub turning: bool,
    /// Records of people who are not here yet.
    pub scheduled: HashMap<String, Scheduled>,
    /// Those of them who will not come any more.
    pub no_longer_scheduled: Vec<String>,
    /// Records of people who were to come back, and are gone from the source.
    pub no_longer_due: Vec<String>,
    /// Posts that nobody holds, by external id.
    pub vacancies_before: BTreeMap<String, Vacancy>,
    pub vacancies: BTreeMap<String, Vacancy>,
}

impl Work {
    /// Takes a worker. Of one who comes twice, the later one counts.
    pub fn take(&mut self, worker: Worker) -> Result<()> {
        let worker = worker.dated();
        if worker.active
            && let Some(number) = worker.text(Attribute::EmployeeNumber)
        {
            let before = self
                .numbers
                .insert(hash(number), worker.external_id.as_str().into());
            if let Some(other) = before.filter(|other| **other != *worker.external_id) {
                let fault = Fault {
                    place: worker.name(),
                    field: Some(Attribute::EmployeeNumber.name().into()),
                    what: format!(
                        "has the number {number}, which {other} has as well. Both stay, told apart by their ids in the source."
                    ),
                    external_id: Some(worker.external_id.clone()),
                    left_out: false,
                };
                self.take_faults(vec![fault]);
            }
        }
        let Some(held) = self.held.get_mut(&worker.external_id) else {
            let known = self.fresh.contains_key(&worker.external_id);
            let scheduled = self.scheduled.get_mut(&worker.external_id);
            let told = scheduled.map(|scheduled| {
                let again = std::mem::replace(&mut scheduled.seen, true);
                (again, scheduled.digest == worker.digest())
            });
            self.totals.read += u64::from(!known && !told.is_some_and(|(again, _)| again));
            let works = worker.works_on(self.today);
            let waits = !works && worker.turns_after(self.today).is_some();
            let told = told.is_some_and(|(_, same)| same);
            if works || (waits && !told) {
                self.put_aside(&worker)?;
            } else if waits {
                self.fresh.remove(&worker.external_id);
            } else {
                if self.scheduled.contains_key(&worker.external_id) {
                    self.no_longer_scheduled.push(worker.external_id.clone());
                }
                // Left before they were ever known here: nothing to take in.
                self.fresh.remove(&worker.external_id);
            }
            return Ok(());
        };
        self.totals.read += u64::from(!held.seen);
        held.seen = true;
        if held.active == worker.works_on(self.today) && held.digest == worker.digest() {
            self.fresh.remove(&worker.external_id);
        } else {
            self.put_aside(&worker)?;
        }
        Ok(())
    }

    /// Puts a worker among those who are fresh.
    pub fn put_aside(&mut self, worker: &Worker) -> Result<()> {
        let fresh = self.fresh(worker)?;
        self.fresh.insert(worker.external_id.clone(), fresh);
        Ok(())
    }

    /// Puts a worker aside.
    pub fn fresh(&mut self, worker: &Worker) -> Result<Fresh> {
        let slot = self.spool.put(worker)?;
        let mail = worker.text(Attribute::Emails);
        Ok(Fresh {
            slot,
            works: worker.works_on(self.today),
            manager: worker.manager.as_deref().map(|id| self.refer(id)),
            unit: worker.unit.as_deref().map(|id| self.refer(id)),
            mail: mail.map(|mail| hash(&text::fold(mail))),
        })
    }

    fn refer(&mut self, id: &str) -> Ref {
        let at = match self.refs.get_index_of(id) {
            Some(at) => at,
            None => self.refs.insert_full(id.into()).0,
        };
        let number = u32::try_from(at + 1).ok().and_then(NonZeroU32::new);
        Ref(number.expect("fewer ids than there are people on earth"))
    }

    /// The external id that was referred to.
    pub fn referred(&self, Ref(at): Ref) -> &str {
        self.refs
            .get_index(at.get() as usize - 1)
            .expect("a reference of this run")
    }

    /// The worker that was put aside.
    pub fn worker(&self, fresh: &Fresh) -> Result<Worker> {
        self.spool.get(fresh.slot)
    }

    /// Adds a step to the plan; `fresh` is where its worker was put.
    pub fn add(&mut self, planned: Planned, fresh: Option<Fresh>) -> Result<()> {
        let mut addresses = planned.kind == StepKind::Joiner;
        for change in &planned.changes {
            addresses |= change.attribute == Attribute::Emails;
            let counts = matches!(planned.kind, StepKind::Changed | StepKind::Mover);
            // What fills an empty field takes nothing from anybody, and a unit's new name is one change.
            if counts && fresh.is_some() && change.from.is_some() {
                *self.losses.entry(change.attribute).or_default() += 1;
            }
        }
        let rest = (planned.kind != StepKind::Joiner).then(|| {
            self.spool.put(&Rest {
                name: planned.name,
                changes: planned.changes,
                candidates: planned.candidates,
            })
        });
        self.plan.push(Line {
            kind: planned.kind,
            external_id: planned.external_id,
            employee: planned.employee,
            fresh,
            rank: 0,
            addresses: addresses && fresh.is_some_and(|fresh| fresh.mail.is_some()),
            rest: rest.transpose()?,
        });
        Ok(())
    }

    /// A joiner, of whom nothing need be known before it is their turn.
    pub fn add_joiner(&mut self, external_id: String, fresh: Fresh) {
        self.plan.push(Line {
            kind: StepKind::Joiner,
            external_id,
            employee: None,
            fresh: Some(fresh),
            rank: 0,
            addresses: fresh.mail.is_some(),
            rest: None,
        });
    }

    /// A line with all that was put aside.
    pub fn planned(&self, line: &Line) -> Result<Planned> {
        let worker = line.fresh.map(|fresh| self.worker(&fresh)).transpose()?;
        let rest = match (line.rest, &worker) {
            (Some(rest), _) => self.spool.get(rest)?,
            (None, worker) => Rest {
                name: worker.as_ref().map_or_else(String::new, Worker::name),
                changes: Vec::new(),
                candidates: Vec::new(),
            },
        };
        Ok(Planned {
            kind: line.kind,
            external_id: line.external_id.clone(),
            employee: line.employee,
            name: rest.name,
            changes: rest.changes,
            candidates: rest.candidates,
            worker,
        })
    }

    pub fn take_faults(&mut self, faults: Vec<Fault>) {
        for fault in faults {
            self.totals.faults += 1;
            if fault.left_out {
                match &fault.external_id {
                    None => self.unsure = true,
                    Some(id) => match self.held.get_mut(id) {
                        Some(held) => held.seen = true,
                        None => drop(self.spared.insert(id.clone())),
                    },
                }
            }
            if let (false, Some(id), Some(Ok(attribute))) = (
                fault.left_out,
                &fault.external_id,
                fault.field.as_deref().map(str::parse),
            ) {
                let fields = self.unreadable.entry(id.clone()).or_default();
                fields.push(attribute);
            }
            if self.findings.len() < FINDINGS_KEPT {
                self.findings.push(RunFinding::Fault(fault));
            }
        }
    }

    /// Gives `known` workers back the values that could not be read this time:
    /// a bad date in the ERP takes nothing away from what it said before. Those
    /// who say nothing new then are taken out.
    pub fn keep_unreadable(
        &mut self,
        known: &mut Vec<(Worker, Fresh)>,
        before: &HashMap<String, ErpRecord>,
    ) -> Result<()> {
        if self.unreadable.is_empty() {
            return Ok(());
        }
        for (worker, fresh) in known.iter_mut() {
            let fields = self.unreadable.get(&worker.external_id).cloned();
            let Some(before) = before.get(&worker.external_id) else {
                continue;
            };
            for attribute in fields.iter().flatten() {
                match attribute {
                    Attribute::StartDate => {
                        worker.starts_on = worker.starts_on.or(before.worker.starts_on);
                    }
                    Attribute::EndDate => {
                        worker.ends_on = worker.ends_on.or(before.worker.ends_on);
                    }
                    _ => {}
                }
                if let Some(value) = before.worker.attributes.get(attribute) {
                    let kept = worker.attributes.entry(*attribute);
                    kept.or_insert_with(|| value.clone());
                }
            }
            if fields.is_some() {
                *fresh = self.fresh(worker)?;
            }
        }
        let read = known.len();
        known.retain(|(worker, _)| {
            self.held.get(&worker.external_id).is_none_or(|held| {
                held.active != worker.works_on(self.today) || held.digest != worker.digest()
            })
        });
        self.totals.unchanged += (read - known.len()) as u64;
        Ok(())
    }

    /// Takes every unit there is; one that is not among them is no more.
    pub fn take_units(
        &mut self,
        units: Vec<OrgUnit>,
        random: impl Fn() -> [u8; 10],
        at: DateTime<Utc>,
    ) -> Result<()> {
        self.units = self.units_before.clone();
        for row in self.units.values_mut() {
            row.active = false;
        }
        for unit in units {
            let known = self.units.get(&unit.external_id).map(|row| row.id);
            let row = UnitRow {
                id: known.unwrap_or_else(|| UnitId::new(at, random())),
                name: unit.name,
                parent_ref: unit.parent,
                parent_id: None,
                heads: serde_json::to_string(&unit.heads)?,
                active: true,
            };
            self.units.insert(unit.external_id, row);
        }
        let ids: HashMap<_, _> = self
            .units
            .iter()
            .map(|(external_id, row)| (external_id.clone(), row.id))
            .collect();
        for row in self.units.values_mut() {
            row.parent_id = row
                .parent_ref
                .as_ref()
                .and_then(|parent| ids.get(parent))
                .copied();
        }
        Ok(())
    }

    /// The source's units as the run leaves them. People who are new are in none of another source.
    pub fn org(&mut self) -> Arc<Snapshot> {
        let units = self.units.values().filter(|unit| unit.active);
        let units = units.map(|unit| UnitInfo {
            id: unit.id,
            name: unit.name.clone(),
            parent: unit.parent_id,
            people: 0,
            people_overall: 0,
        });
        self.org
            .get_or_insert_with(|| Arc::new(org::of_units(units)))
            .clone()
    }

    /// Lets go of what only planning and applying need.
    pub fn forget_what_was_read(&mut self) {
        self.held = HashMap::new();
        self.numbers = HashMap::new();
        self.plan.shrink_to_fit();
        self.pending = HashMap::new();
        self.scheduled = HashMap::new();
    }

    /// A line of the plan as people see it.
    pub fn step(&self, planned: &Planned) -> Step {
        let changes = match (&planned.worker, planned.kind) {
            (Some(worker), StepKind::Joiner) => plan::changes(self, None, worker),
            _ => planned.changes.clone(),
        };
        Step {
            kind: planned.kind,
            external_id: planned.external_id.clone(),
            employee: planned
                .employee
                .filter(|_| planned.kind != StepKind::Joiner),
            name: planned.name.clone(),
            changes,
            candidates: planned.candidates.clone(),
        }
    }

    /// Lines of the plan from a place on, with their places, one more than a page holds.
    pub fn steps(&self, from: usize, kind: Option<StepKind>) -> Result<Vec<(u64, Step)>> {
        (0..)
            .zip(&self.plan)
            .skip(from)
            .filter(|(_, line)| kind.is_none_or(|kind| line.kind == kind))
            .take(STEPS_PAGE + 1)
            .map(|(place, line)| Ok((place, self.step(&self.planned(line)?))))
            .collect()
    }

    /// A superior by name, or by external id if nobody has it.
    pub fn manager_name(&self, reference: &str) -> Value {
        let name = self.names.get(reference).map_or(reference, String::as_str);
        Value::from(name)
    }
}

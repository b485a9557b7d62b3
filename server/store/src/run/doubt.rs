//! What looks wrong in a plan though every record could be read: circles,
//! superiors whom nobody knows, values that two have, units that are gone, one
//! value of nearly everybody. Told before the first write.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use domain::{
    Attribute, EmployeeId, SourceId, UnitId, Value,
    erp::Worker,
    sync::{Doubt, Exceeded, StepKind, Tally, circles},
    text,
};
use sea_orm::ConnectionTrait as _;

use super::{
    RunFinding,
    live::{Fresh, Line, UnitRow, Work},
    plan::IN_MAX,
};
use crate::{Result, Store, db, people};

/// Most doubts of one kind that are told: beyond, one more says nothing new.
const DOUBTS_MAX: usize = 500;

impl Work {
    /// What the plan adds up to.
    pub fn tally(&self, first: bool) -> Tally {
        Tally {
            active: self.active,
            first,
            totals: self.totals,
            renamed: self.renamed,
            attributes: self.losses.clone(),
        }
    }

    /// The steps that say something of people who work here.
    fn arriving(&self) -> impl Iterator<Item = (&Line, &Fresh)> {
        self.plan
            .iter()
            .filter(|line| {
                matches!(
                    line.kind,
                    StepKind::Joiner | StepKind::Returner | StepKind::Mover | StepKind::Changed
                )
            })
            .filter_map(|line| Some((line, line.fresh.as_ref()?)))
    }

    fn mass_changes(&self, exceeded: &[Exceeded]) -> Result<Vec<Doubt>> {
        // What most of them get: by a number of each value, and one of the values.
        let mut counts: BTreeMap<Attribute, HashMap<u64, (u64, Option<Value>)>> = exceeded
            .iter()
            .filter_map(|over| Some((over.attribute?, HashMap::new())))
            .collect();
        if counts.is_empty() {
            return Ok(Vec::new());
        }
        for line in self
            .plan
            .iter()
            .filter(|line| line.kind != StepKind::Joiner)
        {
            for change in self.planned(line)?.changes {
                if let Some(counts) = counts.get_mut(&change.attribute) {
                    let mut hasher = DefaultHasher::new();
                    change.to.hash(&mut hasher);
                    counts.entry(hasher.finish()).or_insert((0, change.to)).0 += 1;
                }
            }
        }
        let mut most = |attribute| {
            let counts = counts.remove(&attribute)?.into_values();
            counts.max_by_key(|(count, _)| *count)?.1
        };
        let doubts = exceeded.iter().filter_map(|over| {
            let attribute = over.attribute?;
            Some(Doubt::MassChange {
                attribute,
                people: over.count,
                of: over.of,
                to: most(attribute),
            })
        });
        Ok(doubts.collect())
    }

    fn missing_managers(&self) -> Result<Vec<Doubt>> {
        let planned: HashSet<&str> = self
            .plan
            .iter()
            .map(|line| line.external_id.as_str())
            .collect();
        let known = |id: &str| {
            self.held.contains_key(id)
                || planned.contains(id)
                || self.pending.contains_key(id)
                || self.scheduled.contains_key(id)
                || self.vacancies.contains_key(id)
        };
        self.arriving()
            .filter(|(line, _)| line.kind != StepKind::Changed)
            .filter_map(|(line, fresh)| {
                let manager = self.referred(fresh.manager?);
                (!known(manager)).then_some((line, fresh, manager))
            })
            .take(DOUBTS_MAX)
            .map(|(line, fresh, manager)| {
                Ok(Doubt::MissingManager {
                    person: self.worker(fresh)?.name(),
                    external_id: line.external_id.clone(),
                    manager: manager.to_owned(),
                })
            })
            .collect()
    }

    /// Units in a circle that this run makes.
    fn unit_cycles(&self) -> Vec<Doubt> {
        let by_id: HashMap<UnitId, &UnitRow> = self
            .units
            .values()
            .filter(|unit| unit.active)
            .map(|unit| (unit.id, unit))
            .collect();
        let before: HashMap<UnitId, Option<UnitId>> = self
            .units_before
            .values()
            .map(|unit| (unit.id, unit.parent_id))
            .collect();
        let above = |id: UnitId| by_id.get(&id).and_then(|unit| unit.parent_id);
        let mut starts: Vec<_> = by_id.keys().copied().collect();
        starts.sort_unstable();
        circles(starts, above)
            .into_iter()
            .filter(|circle| circle.iter().any(|id| before.get(id) != Some(&above(*id))))
            .map(|circle| Doubt::UnitCycle {
                units: circle
                    .iter()
                    .filter_map(|id| by_id.get(id).map(|unit| unit.name.clone()))
                    .collect(),
            })
            .collect()
    }

    /// Those whom the plan gives a mail address.
    fn addressed(&self) -> Vec<(&Line, &Fresh)> {
        self.arriving().filter(|(line, _)| line.addresses).collect()
    }
}

fn same_mail(worker: &Worker, other: &str) -> Doubt {
    Doubt::Duplicate {
        person: worker.name(),
        external_id: worker.external_id.clone(),
        attribute: Attribute::Emails,
        value: mail(worker).to_owned(),
        other: other.to_owned(),
    }
}

fn mail(worker: &Worker) -> &str {
    worker.text(Attribute::Emails).unwrap_or_default()
}

impl Store {
    /// Adds to the findings what looks wrong in the plan.
    pub(super) async fn doubt(
        &self,
        source: SourceId,
        work: &mut Work,
        exceeded: &[Exceeded],
    ) -> Result<()> {
        let mut doubts = work.mass_changes(exceeded)?;
        doubts.extend(work.unit_cycles());
        doubts.extend(self.circles_of_people(work).await?);
        doubts.extend(self.units_gone(work).await?);
        doubts.extend(work.missing_managers()?);
        doubts.extend(self.duplicates(source, work).await?);
        // Before the faults of single records, which may be many more than are kept.
        let doubts: Vec<_> = doubts.into_iter().map(RunFinding::Doubt).collect();
        work.findings.splice(0..0, doubts);
        Ok(())
    }

    /// Circles of superiors that the plan makes.
    async fn circles_of_people(&self, work: &Work) -> Result<Vec<Doubt>> {
        let mut ids: HashMap<&str, EmployeeId> = HashMap::new();
        let mut told: HashMap<EmployeeId, &Fresh> = HashMap::new();
        for (line, fresh) in work.arriving() {
            let Some(id) = line.employee else { continue };
            if line.kind != StepKind::Changed {
                ids.insert(&line.external_id, id);
                told.insert(id, fresh);
            }
        }
        let chart = self.chart();
        let above = |id: EmployeeId| match told.get(&id) {
            Some(fresh) => {
                let manager = work.referred(fresh.manager?);
                let held = || work.held.get(manager).map(|held| held.employee);
                ids.get(manager).copied().or_else(held)
            }
            None => chart.chart.manager(id),
        };
        let mut starts: Vec<_> = told.keys().copied().collect();
        starts.sort_unstable();
        let mut circles = circles(starts, above);
        circles.truncate(DOUBTS_MAX);
        let others = circles.iter().flatten().copied();
        let cards = people::cards(self.db(), others.filter(|id| !told.contains_key(id))).await?;
        let name = |id: &EmployeeId| match (told.get(id), cards.get(id)) {
            (Some(fresh), _) => Ok(Some(work.worker(fresh)?.name())),
            (None, card) => Ok(card.map(|card| card.display_name.clone())),
        };
        circles
            .iter()
            .map(|circle| {
                let people = circle.iter().filter_map(|id| name(id).transpose());
                Ok(Doubt::Cycle {
                    people: people.collect::<Result<_>>()?,
                })
            })
            .collect()
    }

    /// Units that are not there, or no more, with people in them.
    async fn units_gone(&self, work: &Work) -> Result<Vec<Doubt>> {
        let mut people: BTreeMap<String, u64> = BTreeMap::new();
        for (_, fresh) in work.arriving() {
            if let Some(unit) = fresh.unit.map(|unit| work.referred(unit)) {
                match work.units.get(unit) {
                    Some(row) if row.active => {}
                    Some(row) => *people.entry(row.name.clone()).or_default() += 1,
                    None => *people.entry(unit.to_owned()).or_default() += 1,
                }
            }
        }
        let mut gone: Vec<(UnitId, &str)> = Vec::new();
        for (external_id, before) in &work.units_before {
            let now = work.units.get(external_id);
            if before.active && now.is_none_or(|now| !now.active) {
                gone.push((before.id, &before.name));
            }
        }
        let planned: HashSet<EmployeeId> = match gone.is_empty() {
            true => HashSet::new(),
            false => work.plan.iter().filter_map(|line| line.employee).collect(),
        };
        for gone in gone.chunks(IN_MAX) {
            let find = format!(
                "SELECT unit_id, id FROM employees WHERE active AND unit_id IN ({})",
                db::places(1, gone.len())
            );
            let names: HashMap<UnitId, &str> = gone.iter().copied().collect();
            let values = gone.iter().map(|(id, _)| id.0.into());
            for row in self
                .db()
                .query_all_raw(db::sql(self.db(), find, values))
                .await?
            {
                let unit = UnitId(row.try_get_by_index(0)?);
                let id = EmployeeId(row.try_get_by_index(1)?);
                if let Some(name) = names.get(&unit).filter(|_| !planned.contains(&id)) {
                    *people.entry((*name).to_owned()).or_default() += 1;
                }
            }
        }
        let gone = people.into_iter().take(DOUBTS_MAX);
        Ok(gone
            .map(|(unit, people)| Doubt::UnitGone { unit, people })
            .collect())
    }

    /// Mail addresses that two would have.
    async fn duplicates(&self, source: SourceId, work: &Work) -> Result<Vec<Doubt>> {
        let addressed = work.addressed();
        let mut doubts = Vec::new();
        let mut first: HashMap<u64, &Fresh> = HashMap::with_capacity(addressed.len());
        for (_, fresh) in &addressed {
            let Some(number) = fresh.mail else { continue };
            let other = *first.entry(number).or_insert(fresh);
            if other.slot != fresh.slot {
                let (worker, other) = (work.worker(fresh)?, work.worker(other)?);
                if text::fold(mail(&worker)) == text::fold(mail(&other)) {
                    doubts.push(same_mail(&worker, &other.name()));
                }
            }
            if doubts.len() > DOUBTS_MAX {
                break;
            }
        }
        drop(first);
        if !self.chart().chart.is_empty() {
            // Whoever gets another address or goes in this very plan has the old one no more.
            let leaves: HashSet<EmployeeId> = work
                .plan
                .iter()
                .filter(|line| line.kind == StepKind::Leaver)
                .chain(addressed.iter().map(|(line, _)| *line))
                .filter_map(|line| line.employee)
                .collect();
            for some in addressed.chunks(IN_MAX) {
                let some = some
                    .iter()
                    .map(|(line, fresh)| Ok((line.employee, work.worker(fresh)?)));
                let some = some.collect::<Result<Vec<_>>>()?;
                doubts.extend(self.held_by_others(source, &some, &leaves).await?);
            }
        }
        doubts.truncate(DOUBTS_MAX);
        Ok(doubts)
    }

    /// Addresses that people who are not in the plan have already.
    async fn held_by_others(
        &self,
        source: SourceId,
        addressed: &[(Option<EmployeeId>, Worker)],
        leaves: &HashSet<EmployeeId>,
    ) -> Result<Vec<Doubt>> {
        // As it is written and as it is folded: nearly all are one or the other.
        let mut wanted: HashMap<String, Vec<&(Option<EmployeeId>, Worker)>> = HashMap::new();
        for one in addressed {
            wanted
                .entry(text::fold(mail(&one.1)))
                .or_default()
                .push(one);
        }
        let folded = wanted.keys().map(String::as_str);
        let mails: Vec<_> = addressed
            .iter()
            .map(|(_, worker)| mail(worker))
            .chain(folded)
            .collect();
        let find = format!(
            "SELECT e.id, e.email, e.display_name FROM employees e WHERE e.active AND e.email IN ({})
            AND EXISTS (SELECT 1 FROM erp_records r WHERE r.employee_id = e.id AND r.source_id = ${})",
            db::places(1, mails.len()),
            mails.len() + 1
        );
        let values = mails.into_iter().map(Into::into).chain([source.0.into()]);
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, values))
            .await?;
        let mut doubts = Vec::new();
        for row in rows {
            let id = EmployeeId(row.try_get_by_index(0)?);
            let mail = text::fold(&row.try_get_by_index::<String>(1)?);
            let name: String = row.try_get_by_index(2)?;
            let same = wanted.get(&mail).into_iter().flatten();
            let others =
                same.filter(|(employee, _)| *employee != Some(id) && !leaves.contains(&id));
            doubts.extend(others.map(|(_, worker)| same_mail(worker, &name)));
        }
        Ok(doubts)
    }
}

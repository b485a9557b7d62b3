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
    sync::{Change, Doubt, Exceeded, StepKind, Tally, circles},
    text,
};
use sea_orm::ConnectionTrait as _;

use super::{
    RunFinding,
    live::{Planned, UnitRow, Work},
    plan::IN_MAX,
};
use crate::{Result, Store, db, people};

/// Most doubts of one kind that are told: beyond, one more says nothing new.
const DOUBTS_MAX: usize = 500;

impl Work {
    /// What the plan adds up to.
    pub fn tally(&self, first: bool) -> Tally {
        let mut attributes: BTreeMap<Attribute, u64> = BTreeMap::new();
        let mut renamed = 0;
        for planned in &self.plan {
            match (planned.kind, &planned.worker) {
                (StepKind::Changed, None) => renamed += 1,
                (StepKind::Changed | StepKind::Mover, _) => {
                    // What fills an empty field takes nothing from anybody.
                    for change in planned
                        .changes
                        .iter()
                        .filter(|change| change.from.is_some())
                    {
                        *attributes.entry(change.attribute).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
        Tally {
            active: self.active,
            first,
            totals: self.totals,
            renamed,
            attributes,
        }
    }

    /// The steps that say something of people who work here.
    fn arriving(&self) -> impl Iterator<Item = (&Planned, &Worker)> {
        self.plan
            .iter()
            .filter(|planned| {
                matches!(
                    planned.kind,
                    StepKind::Joiner | StepKind::Returner | StepKind::Mover | StepKind::Changed
                )
            })
            .filter_map(|planned| Some((planned, planned.worker.as_ref()?)))
    }

    fn mass_changes(&self, exceeded: &[Exceeded]) -> Vec<Doubt> {
        let most = |attribute: Attribute| -> Option<Value> {
            let mut counts: HashMap<Option<&Value>, usize> = HashMap::new();
            let changes = self.plan.iter().flat_map(|planned| &planned.changes);
            for change in changes.filter(|change| change.attribute == attribute) {
                *counts.entry(change.to.as_ref()).or_default() += 1;
            }
            let most = counts.into_iter().max_by_key(|(_, count)| *count);
            most.and_then(|(value, _)| value.cloned())
        };
        exceeded
            .iter()
            .filter_map(|over| {
                let attribute = over.attribute?;
                Some(Doubt::MassChange {
                    attribute,
                    people: over.count,
                    of: over.of,
                    to: most(attribute),
                })
            })
            .collect()
    }

    fn missing_managers(&self) -> Vec<Doubt> {
        let planned: HashSet<&str> = self
            .plan
            .iter()
            .map(|planned| planned.external_id.as_str())
            .collect();
        let known = |id: &str| {
            self.held.contains_key(id)
                || planned.contains(id)
                || self.pending.contains_key(id)
                || self.scheduled.contains_key(id)
                || self.vacancies.contains_key(id)
        };
        self.arriving()
            .filter(|(planned, _)| planned.kind != StepKind::Changed)
            .filter_map(|(planned, worker)| {
                let manager = worker.manager.as_deref().filter(|id| !known(id))?;
                Some(Doubt::MissingManager {
                    person: planned.name.clone(),
                    external_id: planned.external_id.clone(),
                    manager: manager.to_owned(),
                })
            })
            .take(DOUBTS_MAX)
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

    /// Those whom the plan gives a mail address, as it is written.
    fn addressed(&self) -> Vec<(&Planned, &str)> {
        self.arriving()
            .filter(|(planned, _)| {
                let said = |change: &Change| change.attribute == Attribute::Emails;
                planned.kind == StepKind::Joiner || planned.changes.iter().any(said)
            })
            .filter_map(|(planned, worker)| Some((planned, worker.text(Attribute::Emails)?)))
            .collect()
    }
}

fn same_mail(planned: &Planned, mail: &str, other: &str) -> Doubt {
    Doubt::Duplicate {
        person: planned.name.clone(),
        external_id: planned.external_id.clone(),
        attribute: Attribute::Emails,
        value: mail.to_owned(),
        other: other.to_owned(),
    }
}

impl Store {
    /// Adds to the findings what looks wrong in the plan.
    pub(super) async fn doubt(
        &self,
        source: SourceId,
        work: &mut Work,
        exceeded: &[Exceeded],
    ) -> Result<()> {
        let mut doubts = work.mass_changes(exceeded);
        doubts.extend(work.unit_cycles());
        doubts.extend(self.circles_of_people(work).await?);
        doubts.extend(self.units_gone(work).await?);
        doubts.extend(work.missing_managers());
        doubts.extend(self.duplicates(source, work).await?);
        // Before the faults of single records, which may be many more than are kept.
        let doubts: Vec<_> = doubts.into_iter().map(RunFinding::Doubt).collect();
        work.findings.splice(0..0, doubts);
        Ok(())
    }

    /// Circles of superiors that the plan makes.
    async fn circles_of_people(&self, work: &Work) -> Result<Vec<Doubt>> {
        let mut ids: HashMap<&str, EmployeeId> = HashMap::new();
        let mut told: HashMap<EmployeeId, (&str, Option<&str>)> = HashMap::new();
        for (planned, worker) in work.arriving() {
            let Some(id) = planned.employee else { continue };
            if planned.kind != StepKind::Changed {
                ids.insert(&planned.external_id, id);
                told.insert(id, (&planned.name, worker.manager.as_deref()));
            }
        }
        let chart = self.chart();
        let above = |id: EmployeeId| match told.get(&id) {
            Some((_, manager)) => {
                let manager = (*manager)?;
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
        let name = |id: &EmployeeId| {
            let told = told.get(id).map(|(name, _)| (*name).to_owned());
            told.or_else(|| cards.get(id).map(|card| card.display_name.clone()))
        };
        Ok(circles
            .iter()
            .map(|circle| Doubt::Cycle {
                people: circle.iter().filter_map(name).collect(),
            })
            .collect())
    }

    /// Units that are not there, or no more, with people in them.
    async fn units_gone(&self, work: &Work) -> Result<Vec<Doubt>> {
        let mut people: BTreeMap<String, u64> = BTreeMap::new();
        for (_, worker) in work.arriving() {
            if let Some(unit) = &worker.unit {
                match work.units.get(unit) {
                    Some(row) if row.active => {}
                    Some(row) => *people.entry(row.name.clone()).or_default() += 1,
                    None => *people.entry(unit.clone()).or_default() += 1,
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
            false => work
                .plan
                .iter()
                .filter_map(|planned| planned.employee)
                .collect(),
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
        // By a number of each address: the folded texts of a whole company would be large.
        let mut first: HashMap<u64, usize> = HashMap::with_capacity(addressed.len());
        for (at, (planned, mail)) in addressed.iter().enumerate() {
            let folded = text::fold(mail);
            let mut hasher = DefaultHasher::new();
            folded.hash(&mut hasher);
            let other = *first.entry(hasher.finish()).or_insert(at);
            if other != at && text::fold(addressed[other].1) == folded {
                doubts.push(same_mail(planned, mail, &addressed[other].0.name));
            }
        }
        if !self.chart().chart.is_empty() {
            // Whoever gets another address or goes in this very plan has the old one no more.
            let leaves: HashSet<EmployeeId> = work
                .plan
                .iter()
                .filter(|planned| planned.kind == StepKind::Leaver)
                .chain(addressed.iter().map(|(planned, _)| *planned))
                .filter_map(|planned| planned.employee)
                .collect();
            for some in addressed.chunks(IN_MAX) {
                doubts.extend(self.held_by_others(source, some, &leaves).await?);
            }
        }
        doubts.truncate(DOUBTS_MAX);
        Ok(doubts)
    }

    /// Addresses that people who are not in the plan have already.
    async fn held_by_others(
        &self,
        source: SourceId,
        addressed: &[(&Planned, &str)],
        leaves: &HashSet<EmployeeId>,
    ) -> Result<Vec<Doubt>> {
        // As it is written and as it is folded: nearly all are one or the other.
        let mut wanted: HashMap<String, Vec<(&Planned, &str)>> = HashMap::new();
        for (planned, mail) in addressed {
            let same = wanted.entry(text::fold(mail)).or_default();
            same.push((planned, mail));
        }
        let folded = wanted.keys().map(String::as_str);
        let mails: Vec<_> = addressed
            .iter()
            .map(|(_, mail)| *mail)
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
                same.filter(|(planned, _)| planned.employee != Some(id) && !leaves.contains(&id));
            doubts.extend(others.map(|(planned, mail)| same_mail(planned, mail, &name)));
        }
        Ok(doubts)
    }
}

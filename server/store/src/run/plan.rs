//! From what was read to a plan: who is who, what differs, who is gone. Writes nothing.

use std::collections::{HashMap, HashSet, VecDeque};

use domain::{
    Attribute, EmployeeId, SourceId, UnitId, Value,
    erp::Worker,
    sync::{Change, Exceeded, Known, Match, StepKind, differences, name_and_birth},
    text,
};
use sea_orm::{ConnectionTrait as _, Statement};
use uuid::Uuid;

use super::{
    Live,
    live::{Fresh, Held, Line, Pending, Planned, UnitRow, Work},
    relations,
    spool::Spool,
};
use crate::{
    Result, Store, db,
    people::ErpRecord,
    source::{self, Decision},
};

/// Values in one `IN (…)`.
pub(super) const IN_MAX: usize = 500;

impl Store {
    /// Loads what is known of a source: all records without their contents, the
    /// units, and what waits for a decision.
    pub(super) async fn load(&self, source: SourceId, work: &mut Work) -> Result<()> {
        self.load_some(source, None, work).await
    }

    /// [`Store::load`], with `only` of these records alone.
    pub(super) async fn load_some(
        &self,
        source: SourceId,
        only: Option<&[String]>,
        work: &mut Work,
    ) -> Result<()> {
        let id = || [Uuid::into(source.0)];
        let among = |find: &str| {
            let (mut find, mut values) = (find.to_owned(), Vec::from(id()));
            if let Some(only) = only {
                find += &format!(" AND external_id IN ({})", db::places(2, only.len()));
                values.extend(only.iter().map(|id| id.as_str().into()));
            }
            db::sql(self.db(), find, values)
        };
        work.spool = Spool::new(self.0.env.folder.clone());
        let find =
            "SELECT external_id, employee_id, active, digest FROM erp_records WHERE source_id = $1";
        db::each(self.db(), among(find), |row| {
            let held = Held {
                employee: EmployeeId(row.try_get_by_index(1)?),
                active: row.try_get_by_index(2)?,
                // A digest of another length equals none: the record is read anew.
                digest: row
                    .try_get_by_index::<Vec<u8>>(3)?
                    .try_into()
                    .unwrap_or_default(),
                seen: false,
            };
            work.active += u64::from(held.active);
            work.held.insert(row.try_get_by_index(0)?, held);
            Ok(())
        })
        .await?;
        let find = "SELECT external_id, id, name, parent_ref, parent_id, heads, active FROM units WHERE source_id = $1";
        for row in self
            .db()
            .query_all_raw(db::sql(self.db(), find, id()))
            .await?
        {
            let unit = UnitRow {
                id: UnitId(row.try_get_by_index(1)?),
                name: row.try_get_by_index(2)?,
                parent_ref: row.try_get_by_index(3)?,
                parent_id: row.try_get_by_index::<Option<Uuid>>(4)?.map(UnitId),
                heads: row.try_get_by_index(5)?,
                active: row.try_get_by_index(6)?,
            };
            work.units_before.insert(row.try_get_by_index(0)?, unit);
        }
        work.units = work.units_before.clone();
        for row in self
            .db()
            .query_all_raw(among(
                "SELECT external_id, record, candidates, decision FROM undecided WHERE source_id = $1",
            ))
            .await?
        {
            let decision: Option<String> = row.try_get_by_index(3)?;
            let pending = Pending {
                record: row.try_get_by_index(1)?,
                candidates: row.try_get_by_index(2)?,
                decision: decision.as_deref().map(serde_json::from_str).transpose()?,
            };
            work.pending.insert(row.try_get_by_index(0)?, pending);
        }
        self.load_ahead(source, only, work).await?;
        work.vacancies_before = relations::load_vacancies(self, source).await?;
        work.vacancies = work.vacancies_before.clone();
        work.loaded = true;
        Ok(())
    }

    /// Works out the plan; answers the limits that it goes over.
    pub(super) async fn plan(
        &self,
        live: &Live,
        work: &mut Work,
        present: Option<&HashSet<String>>,
    ) -> Result<Vec<Exceeded>> {
        let source = live.source;
        work.totals.unchanged = work.totals.read - (work.fresh.len() as u64).min(work.totals.read);
        self.add_due(source, work, present).await?;
        self.follow_decisions(work, present)?;
        self.name_managers(source, work).await?;

        let read = std::mem::take(&mut work.fresh);
        work.plan.reserve_exact(read.len());
        let held = |id: &&String| work.held.contains_key(*id);
        let known: Vec<_> = read.keys().filter(held).map(|id| read[id]).collect();
        for known in known.chunks(IN_MAX) {
            self.differing(source, work, known, &read).await?;
        }
        let mut new = Vec::with_capacity(read.len() - known.len());
        new.extend(
            read.into_iter()
                .filter(|(external_id, _)| !work.held.contains_key(external_id)),
        );
        let gone = work.gone(present);
        let names = self.names(source, &gone).await?;
        for external_id in gone {
            let gone = Planned {
                kind: StepKind::Leaver,
                employee: work.held.get(&external_id).map(|held| held.employee),
                name: names.get(&external_id).unwrap_or(&external_id).clone(),
                external_id,
                changes: Vec::new(),
                candidates: Vec::new(),
                worker: None,
            };
            work.add(gone, None)?;
        }
        for renamed in self.renamed(source, work).await? {
            if work
                .held
                .get(&renamed.external_id)
                .is_some_and(|held| held.seen)
            {
                work.totals.unchanged = work.totals.unchanged.saturating_sub(1);
            }
            work.renamed += 1;
            work.add(renamed, None)?;
        }
        self.newcomers(source, work, new).await?;
        order(work);
        self.name_joiners(&mut work.plan);
        for line in &work.plan {
            work.totals.count(line.kind);
        }
        let exceeded = live
            .standing
            .limits
            .exceeded(&work.tally(live.standing.first));
        self.doubt(source, work, &exceeded).await?;
        Ok(exceeded)
    }

    /// Finds the names of the superiors of those who are new: as they were read, else as they are shown.
    async fn name_managers(&self, source: SourceId, work: &mut Work) -> Result<()> {
        let named: HashSet<&str> = work
            .fresh
            .iter()
            .filter(|(external_id, _)| !work.held.contains_key(*external_id))
            .filter_map(|(_, fresh)| Some(work.referred(fresh.manager?)))
            .collect();
        let mut names = HashMap::with_capacity(named.len());
        let mut unknown = Vec::new();
        for id in named {
            match work.fresh.get(id) {
                Some(fresh) => drop(names.insert(id.to_owned(), work.worker(fresh)?.name())),
                None => unknown.push(id.to_owned()),
            }
        }
        names.extend(self.names(source, &unknown).await?);
        work.names = names;
        Ok(())
    }

    /// Plans the steps of some who say something else than before, among all that were `read`.
    async fn differing(
        &self,
        source: SourceId,
        work: &mut Work,
        some: &[Fresh],
        read: &HashMap<String, Fresh>,
    ) -> Result<()> {
        let some = some.iter().map(|fresh| Ok((work.worker(fresh)?, *fresh)));
        let mut some = some.collect::<Result<Vec<_>>>()?;
        let before = self
            .records(source, some.iter().map(|(worker, _)| worker))
            .await?;
        work.keep_unreadable(&mut some, &before)?;
        // Of those who get another superior, both have to be told by name.
        let mut unnamed: HashSet<&str> = HashSet::new();
        for (worker, _) in &some {
            let old = before.get(&worker.external_id);
            let old = old.and_then(|record| record.worker.manager.as_deref());
            let now = worker.manager.as_deref();
            if old != now {
                unnamed.extend(old.into_iter().chain(now));
            }
        }
        let mut unknown = Vec::new();
        let mut names = Vec::new();
        for id in unnamed
            .into_iter()
            .filter(|id| !work.names.contains_key(*id))
        {
            match read.get(id) {
                Some(fresh) => names.push((id.to_owned(), work.worker(fresh)?.name())),
                None => unknown.push(id.to_owned()),
            }
        }
        names.extend(self.names(source, &unknown).await?);
        work.names.extend(names);
        for (worker, fresh) in some {
            let Some(held) = work.held.get(&worker.external_id) else {
                continue;
            };
            let old = before.get(&worker.external_id).map(|record| &record.worker);
            let kind = match (held.active, worker.works_on(work.today)) {
                (true, false) => StepKind::Leaver,
                (false, true) => StepKind::Returner,
                (false, false) if worker.turns_after(work.today).is_some() => StepKind::Scheduled,
                _ if old.is_some_and(|old| {
                    old.manager != worker.manager || old.unit != worker.unit
                }) =>
                {
                    StepKind::Mover
                }
                _ => StepKind::Changed,
            };
            let mut planned = Planned::of(kind, Some(held.employee), worker);
            if let (Some(worker), true) = (&planned.worker, kind != StepKind::Leaver) {
                planned.changes = changes(work, old, worker);
            }
            work.add(planned, Some(fresh))?;
        }
        Ok(())
    }

    /// Adds decided records that were not read again, and notes those that are gone.
    fn follow_decisions(&self, work: &mut Work, present: Option<&HashSet<String>>) -> Result<()> {
        let mut decided = Vec::new();
        for (external_id, pending) in &work.pending {
            if work.fresh.contains_key(external_id) || work.spared.contains(external_id) {
                continue;
            }
            let there = present.is_some_and(|present| present.contains(external_id));
            let follow = pending.decision.is_some_and(|one| one != Decision::Ignore);
            if there && follow {
                decided.push(serde_json::from_str::<Worker>(&pending.record)?);
            } else if !there && !work.unsure {
                work.no_longer_pending.push(external_id.clone());
            }
        }
        for worker in decided {
            work.put_aside(&worker)?;
        }
        Ok(())
    }

    /// Who those are of whom the source has spoken for the first time.
    async fn newcomers(
        &self,
        source: SourceId,
        work: &mut Work,
        new: Vec<(String, Fresh)>,
    ) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        let known = self.known(source).await?;
        // Nobody is here whom they could be.
        let nobody = known.is_empty() && work.pending.is_empty();
        let correlation = source::correlation(self.db(), source).await?;
        let mut claims: HashMap<EmployeeId, u32> = HashMap::new();
        let linked: HashSet<EmployeeId> = work.held.values().map(|held| held.employee).collect();
        let mut matched = Vec::new();
        for (external_id, fresh) in new {
            if !fresh.works {
                let mut planned = Planned::of(StepKind::Scheduled, None, work.worker(&fresh)?);
                if let Some(worker) = &planned.worker {
                    planned.changes = changes(work, None, worker);
                }
                work.add(planned, Some(fresh))?;
                continue;
            }
            if nobody {
                work.add_joiner(external_id, fresh);
                continue;
            }
            let decision = work
                .pending
                .get(&external_id)
                .and_then(|pending| pending.decision);
            let who = match decision {
                Some(Decision::Ignore) => {
                    work.totals.unchanged += 1;
                    continue;
                }
                Some(Decision::New) => Match::New,
                // Somebody who got a record of this source since is taken by nobody else.
                Some(Decision::Is(id)) if !linked.contains(&id) => Match::Is(id),
                _ => known.correlate_by(&work.worker(&fresh)?, &correlation),
            };
            if let Match::Is(id) = who {
                *claims.entry(id).or_default() += 1;
            }
            matched.push((external_id, fresh, who));
        }
        let active = self
            .active(&claims.keys().copied().collect::<Vec<_>>())
            .await?;
        for (external_id, fresh, who) in matched {
            let (kind, employee, candidates) = match who {
                Match::New => {
                    work.add_joiner(external_id, fresh);
                    continue;
                }
                // Two records cannot be one person: which of them is has to be decided.
                Match::Is(id) if claims.get(&id) > Some(&1) => {
                    (StepKind::Undecided, None, vec![id])
                }
                Match::Is(id) if active.contains(&id) => (StepKind::Changed, Some(id), Vec::new()),
                Match::Is(id) => (StepKind::Returner, Some(id), Vec::new()),
                Match::Ambiguous(ids) => (StepKind::Undecided, None, ids),
            };
            let mut planned = Planned::of(kind, employee, work.worker(&fresh)?);
            planned.candidates = candidates;
            if let (Some(worker), true) = (&planned.worker, kind != StepKind::Undecided) {
                planned.changes = changes(work, None, worker);
            }
            work.add(planned, Some(fresh))?;
        }
        Ok(())
    }

    /// Gives joiners their ids, which sort as the plan does: so the rows of a
    /// chunk lie together in the database, and few pages are written for each.
    fn name_joiners(&self, plan: &mut [Line]) {
        let now = self.now();
        let joiners = plan.partition_point(|line| line.kind == StepKind::Joiner);
        for (n, line) in plan[..joiners].iter_mut().enumerate() {
            let mut random: [u8; 10] = self.random();
            // The twelve bits after the time, which RFC 9562 lets count.
            let count = (n * 4096 / joiners) as u16;
            [random[0], random[1]] = count.to_be_bytes();
            line.employee = Some(EmployeeId::new(now, random));
        }
    }

    /// By what people without a record of this source can be told. What another
    /// source says of them counts, and only where none says anything what is
    /// shown: nobody can take a stranger's record by editing the own address.
    async fn known(&self, source: SourceId) -> Result<Known> {
        let mut known = Known::default();
        let (mut by_name_and_birth, mut by_other_id) = (HashMap::new(), HashMap::new());
        let note = |map: &mut HashMap<String, Vec<EmployeeId>>, key: Option<String>, id| {
            if let Some(key) = key {
                let ids = map.entry(key).or_default();
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
        };
        let mut add = |id: EmployeeId, number: Option<&str>, mail: Option<&str>| {
            note(&mut known.by_number, number.map(str::to_owned), id);
            note(&mut known.by_mail, mail.map(text::fold), id);
        };
        let find = "SELECT e.id, e.employee_number, e.email, r.record, r.changed
            FROM employees e LEFT JOIN erp_records r ON r.employee_id = e.id
            WHERE NOT EXISTS (SELECT 1 FROM erp_records o WHERE o.employee_id = e.id AND o.source_id = $1)
            ORDER BY e.id";
        db::each(
            self.db(),
            db::sql(self.db(), find, [source.0.into()]),
            |row| {
                let id = EmployeeId(row.try_get_by_index(0)?);
                let record: Option<String> = row.try_get_by_index(3)?;
                if let Some(record) = record {
                    let changed: String = row.try_get_by_index(4)?;
                    let worker = ErpRecord::decode(&record, &changed)?.worker;
                    add(
                        id,
                        worker.text(Attribute::EmployeeNumber),
                        worker.text(Attribute::Emails),
                    );
                    let born = name_and_birth(&worker);
                    note(&mut by_name_and_birth, born, id);
                    note(&mut by_other_id, Some(worker.external_id), id);
                } else {
                    let number: Option<String> = row.try_get_by_index(1)?;
                    let mail: Option<String> = row.try_get_by_index(2)?;
                    add(id, number.as_deref(), mail.as_deref());
                }
                Ok(())
            },
        )
        .await?;
        known.by_name_and_birth = by_name_and_birth;
        known.by_other_id = by_other_id;
        Ok(known)
    }

    /// Who of them works here.
    async fn active(&self, ids: &[EmployeeId]) -> Result<HashSet<EmployeeId>> {
        let mut active = HashSet::new();
        for ids in ids.chunks(IN_MAX) {
            let find = format!(
                "SELECT id FROM employees WHERE active AND id IN ({})",
                db::places(1, ids.len())
            );
            let values = ids.iter().map(|id| id.0.into());
            for row in self
                .db()
                .query_all_raw(db::sql(self.db(), find, values))
                .await?
            {
                active.insert(EmployeeId(row.try_get_by_index(0)?));
            }
        }
        Ok(active)
    }

    /// What the source said before of workers who changed.
    pub(super) async fn records(
        &self,
        source: SourceId,
        workers: impl Iterator<Item = &Worker>,
    ) -> Result<HashMap<String, ErpRecord>> {
        let ids: Vec<_> = workers.map(|worker| worker.external_id.as_str()).collect();
        let mut records = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(IN_MAX) {
            let find = self.of_source(source, "external_id, record, changed", ids.iter().copied());
            // Row by row: what one says is read while the database looks for the next.
            db::each(self.db(), find, |row| {
                let record: String = row.try_get_by_index(1)?;
                let changed: String = row.try_get_by_index(2)?;
                records.insert(
                    row.try_get_by_index(0)?,
                    ErpRecord::decode(&record, &changed)?,
                );
                Ok(())
            })
            .await?;
        }
        Ok(records)
    }

    /// The names shown of people by the source's ids.
    async fn names(&self, source: SourceId, ids: &[String]) -> Result<HashMap<String, String>> {
        let mut names = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(IN_MAX) {
            let columns =
                "external_id, (SELECT display_name FROM employees e WHERE e.id = employee_id)";
            let ids = ids.iter().map(String::as_str);
            db::each(self.db(), self.of_source(source, columns, ids), |row| {
                names.insert(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                Ok(())
            })
            .await?;
        }
        Ok(names)
    }

    fn of_source<'a>(
        &self,
        source: SourceId,
        columns: &str,
        ids: impl ExactSizeIterator<Item = &'a str>,
    ) -> Statement {
        let find = format!(
            "SELECT {columns} FROM erp_records WHERE source_id = $1 AND external_id IN ({})",
            db::places(2, ids.len())
        );
        let values = std::iter::once(source.0.into()).chain(ids.map(Into::into));
        db::sql(self.db(), find, values)
    }

    /// People of whom nothing changed but the name of their unit, but for those planned already.
    async fn renamed(&self, source: SourceId, work: &Work) -> Result<Vec<Planned>> {
        let units: HashMap<UnitId, (&str, &str)> = work
            .units_before
            .iter()
            .filter_map(|(external_id, before)| {
                let now = work.units.get(external_id)?;
                (now.name != before.name)
                    .then_some((now.id, (before.name.as_str(), now.name.as_str())))
            })
            .collect();
        let mut people = Vec::new();
        if units.is_empty() {
            return Ok(people);
        }
        let planned: HashSet<&str> = work
            .plan
            .iter()
            .map(|line| line.external_id.as_str())
            .collect();
        let ids: Vec<_> = units.keys().copied().collect();
        for ids in ids.chunks(IN_MAX) {
            let find = format!(
                "SELECT r.external_id, e.id, e.display_name, e.unit_id
                FROM employees e JOIN erp_records r ON r.employee_id = e.id
                WHERE r.source_id = $1 AND r.active AND e.unit_id IN ({})",
                db::places(2, ids.len())
            );
            let values = std::iter::once(source.0.into()).chain(ids.iter().map(|id| id.0.into()));
            for row in self
                .db()
                .query_all_raw(db::sql(self.db(), find, values))
                .await?
            {
                let external_id: String = row.try_get_by_index(0)?;
                let unit = UnitId(row.try_get_by_index(3)?);
                let Some((from, to)) = units.get(&unit) else {
                    continue;
                };
                if planned.contains(external_id.as_str()) {
                    continue;
                }
                people.push(Planned {
                    kind: StepKind::Changed,
                    external_id,
                    employee: Some(EmployeeId(row.try_get_by_index(1)?)),
                    name: row.try_get_by_index(2)?,
                    changes: vec![Change {
                        attribute: Attribute::Department,
                        from: Some(Value::from(*from)),
                        to: Some(Value::from(*to)),
                    }],
                    candidates: Vec::new(),
                    worker: None,
                });
            }
        }
        Ok(people)
    }
}

impl Work {
    /// Active records that the source has no more, in order.
    fn gone(&self, present: Option<&HashSet<String>>) -> Vec<String> {
        if self.unsure {
            return Vec::new();
        }
        let is_gone = |external_id: &String, held: &Held| {
            let there = present.is_some_and(|present| present.contains(external_id));
            held.active && !held.seen && !there
        };
        let mut gone: Vec<_> = self
            .held
            .iter()
            .filter(|(external_id, held)| is_gone(external_id, held))
            .map(|(external_id, _)| external_id.clone())
            .collect();
        gone.sort_unstable();
        gone
    }
}

/// What differs, as people read it: the superior and the unit by name, a photo
/// by what the source calls it. One change at most for each attribute, in the
/// order of the catalogue.
pub(super) fn changes(work: &Work, before: Option<&Worker>, now: &Worker) -> Vec<Change> {
    let none = Default::default();
    let mut changes = differences(
        before.map_or(&none, |before| &before.attributes),
        &now.attributes,
    );
    let mut add = |attribute, from: Option<Value>, to: Option<Value>| {
        if from != to {
            changes.push(Change {
                attribute,
                from,
                to,
            });
        }
    };
    let old = before.and_then(|before| before.manager.as_deref());
    if old != now.manager.as_deref() {
        let (from, to) = (
            old.map(|id| work.manager_name(id)),
            now.manager.as_deref().map(|id| work.manager_name(id)),
        );
        // Two superiors of one name are a change all the same.
        let to = match (&from, to) {
            (Some(from), Some(to)) if *from == to => now.manager.as_deref().map(Value::from),
            (_, to) => to,
        };
        add(Attribute::Manager, from, to);
    }
    let unit = |units: &HashMap<String, UnitRow>, id: Option<&String>| {
        id.map(|id| Value::from(units.get(id).map_or(id.as_str(), |unit| unit.name.as_str())))
    };
    add(
        Attribute::Department,
        unit(
            &work.units_before,
            before.and_then(|before| before.unit.as_ref()),
        ),
        unit(&work.units, now.unit.as_ref()),
    );
    add(
        Attribute::Photos,
        before
            .and_then(|before| before.photo.as_deref())
            .map(Value::from),
        now.photo.as_deref().map(Value::from),
    );
    changes.sort_by_key(|change| change.attribute);
    changes
}

/// By kind, and joiners so that superiors come before their reports: then nearly
/// everyone's superior is there when they are written.
fn order(work: &mut Work) {
    let mut plan = std::mem::take(&mut work.plan);
    plan.sort_unstable_by(|a, b| (a.kind, &a.external_id).cmp(&(b.kind, &b.external_id)));
    let joiners = plan.partition_point(|line| line.kind == StepKind::Joiner);
    let place: HashMap<&str, usize> = plan[..joiners]
        .iter()
        .enumerate()
        .map(|(at, line)| (line.external_id.as_str(), at))
        .collect();
    let mut reports: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut next = VecDeque::new();
    for (at, line) in plan[..joiners].iter().enumerate() {
        let manager = line.fresh.and_then(|fresh| fresh.manager);
        match manager.and_then(|manager| place.get(work.referred(manager))) {
            Some(above) if *above != at => reports.entry(*above).or_default().push(at),
            _ => next.push_back(at),
        }
    }
    // Whoever stands in a circle is reached from nobody, and comes last.
    let mut rank = vec![u32::MAX; joiners];
    let mut ranked = 0;
    while let Some(at) = next.pop_front() {
        rank[at] = ranked;
        ranked += 1;
        next.extend(reports.get(&at).into_iter().flatten());
    }
    for (line, rank) in plan.iter_mut().zip(rank) {
        line.rank = rank;
    }
    plan[..joiners].sort_by_key(|line| line.rank);
    work.plan = plan;
}

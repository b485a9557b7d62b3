//! The org chart in memory and the units beside it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, atomic::Ordering},
};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    Action, EmployeeId, UnitId, Viewer,
    org::{Finding, Member, OrgChart, Superior, Unit},
};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Error, Result, Store, db, delegation,
    people::{self, PersonCard},
};

/// Most people that one answer of a tree holds; levels beyond are left out, as
/// beyond the depth that was asked for.
const TREE_MAX: usize = 2000;

/// Most units that a list offers to choose from.
const UNITS_OFFERED: usize = 60;

/// How many people get their numbers at once: the values of a whole company would be large.
const NUMBERED_AT_ONCE: usize = 5_000;

/// The number of people who are not in the chart, because they left.
const NO_NUMBER: i32 = -1;

/// The chart, the findings of its making, and the units' names; swapped whole.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Who oversees whom.
    pub chart: OrgChart,
    /// What in the data could not be so.
    pub findings: Vec<Finding>,
    /// Every unit by id.
    pub units: BTreeMap<UnitId, UnitInfo>,
    /// When it was built.
    pub built_at: DateTime<Utc>,
    /// Counts up with every chart that this process builds.
    pub(crate) serial: u64,
}

impl Snapshot {
    /// The unit and those below it; nothing for an unknown one.
    pub fn units_below(&self, unit: UnitId) -> impl Iterator<Item = UnitId> + '_ {
        self.units
            .keys()
            .copied()
            .filter(move |below| self.chart.unit_path(*below).contains(&unit))
    }

    /// Units in the order of the names of those above them, so that a unit's own come right after it.
    fn by_path<'a>(&self, units: impl IntoIterator<Item = &'a UnitInfo>) -> Vec<UnitInfo> {
        let named = |unit: &'a UnitInfo| {
            let path = self.chart.unit_path(unit.id).iter().rev();
            let names: Vec<_> = path.map(|above| (self.unit_name(*above), *above)).collect();
            (names, unit)
        };
        let mut units: Vec<_> = units.into_iter().map(named).collect();
        units.sort_by(|a, b| a.0.cmp(&b.0));
        units.into_iter().map(|(_, unit)| unit.clone()).collect()
    }

    /// A unit's name.
    #[must_use]
    pub fn unit_name(&self, unit: UnitId) -> Option<&str> {
        self.units.get(&unit).map(|unit| unit.name.as_str())
    }
}

/// The units as they are in the database, with nobody in them: what sourcing
/// rules and names need while people are being changed.
pub(crate) async fn units_only(conn: &impl ConnectionTrait) -> Result<Snapshot> {
    let (units, infos) = read_units(conn).await?;
    let (chart, findings) = OrgChart::build(&[], &units);
    Ok(Snapshot {
        chart,
        findings,
        units: infos,
        ..Snapshot::default()
    })
}

/// [`units_only`] of units that are known already.
pub(crate) fn of_units(units: impl Iterator<Item = UnitInfo>) -> Snapshot {
    let infos: BTreeMap<UnitId, UnitInfo> = units.map(|unit| (unit.id, unit)).collect();
    let units: Vec<Unit> = infos
        .values()
        .map(|unit| Unit {
            id: unit.id,
            parent: unit.parent,
            heads: Vec::new(),
        })
        .collect();
    let (chart, findings) = OrgChart::build(&[], &units);
    Snapshot {
        chart,
        findings,
        units: infos,
        ..Snapshot::default()
    }
}

/// The active units, for the chart and by name. Heads that the data names are
/// ERP ids: they are looked up among the records of the unit's source.
async fn read_units(
    conn: &impl ConnectionTrait,
) -> Result<(Vec<Unit>, BTreeMap<UnitId, UnitInfo>)> {
    let ask =
        "SELECT id, name, parent_id, source_id, heads FROM units WHERE active ORDER BY name, id";
    let rows = conn.query_all_raw(db::sql(conn, ask, [])).await?;
    let mut units = Vec::with_capacity(rows.len());
    let mut infos = BTreeMap::new();
    for row in rows {
        let id = UnitId(row.try_get("", "id")?);
        let parent = row.try_get::<Option<Uuid>>("", "parent_id")?.map(UnitId);
        let heads: String = row.try_get("", "heads")?;
        let heads: Vec<String> = serde_json::from_str(&heads)?;
        // One head is no finding, and nobody else asks for it.
        let heads = if heads.len() > 1 {
            people_of(conn, row.try_get("", "source_id")?, heads).await?
        } else {
            Vec::new()
        };
        let name = row.try_get("", "name")?;
        infos.insert(
            id,
            UnitInfo {
                id,
                name,
                parent,
                people: 0,
                people_overall: 0,
            },
        );
        units.push(Unit { id, parent, heads });
    }
    Ok((units, infos))
}

/// Those who report to a post that nobody holds, with its title.
async fn vacant_posts(conn: &impl ConnectionTrait) -> Result<BTreeMap<EmployeeId, String>> {
    let ask = "SELECT e.id, v.title FROM employees e JOIN erp_records r ON r.employee_id = e.id \
               JOIN vacancies v ON v.source_id = r.source_id AND v.external_id = e.manager_ref \
               WHERE e.manager_ref IS NOT NULL AND e.active AND r.active";
    let rows = conn.query_all_raw(db::sql(conn, ask, [])).await?;
    rows.iter()
        .map(|row| {
            Ok((
                EmployeeId(row.try_get_by_index(0)?),
                row.try_get_by_index(1)?,
            ))
        })
        .collect()
}

async fn people_of(
    conn: &impl ConnectionTrait,
    source: Uuid,
    external_ids: Vec<String>,
) -> Result<Vec<EmployeeId>> {
    let ask = format!(
        "SELECT employee_id FROM erp_records WHERE source_id = $1 AND active AND external_id IN ({}) \
         ORDER BY external_id",
        db::places(2, external_ids.len())
    );
    let values = std::iter::once(source.into()).chain(external_ids.into_iter().map(Into::into));
    let rows = conn.query_all_raw(db::sql(conn, ask, values)).await?;
    rows.iter()
        .map(|row| Ok(EmployeeId(row.try_get_by_index(0)?)))
        .collect()
}

/// A unit of the organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitInfo {
    /// Which.
    pub id: UnitId,
    /// Its name.
    pub name: String,
    /// The unit above.
    pub parent: Option<UnitId>,
    /// How many work in it, without those below.
    pub people: u32,
    /// How many work in it and in those below.
    pub people_overall: u32,
}

/// Somebody's place: who is above and who is below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Who.
    pub person: PersonCard,
    /// The chain of command, the direct superior first.
    pub chain: Vec<PersonCard>,
    /// The direct reports.
    pub reports: Vec<Node>,
    /// How many are below in all.
    pub oversees: u32,
    /// The superiors by dotted line, in the source's order.
    pub dotted: Vec<PersonCard>,
    /// Who reports by dotted line, by name.
    pub dotted_reports: Vec<PersonCard>,
    /// Who stands in for the person today, and until which day.
    pub stand_ins: Vec<StandIn>,
    /// For whom the person stands in today.
    pub stands_in_for: Vec<StandIn>,
}

/// Somebody who stands in, or for whom somebody does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandIn {
    /// Who.
    pub person: PersonCard,
    /// The last day; none for one without end.
    pub until: Option<NaiveDate>,
}

/// A person in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Who.
    pub person: PersonCard,
    /// How many report directly.
    pub direct: u32,
    /// How many are below in all.
    pub oversees: u32,
    /// The direct reports, as deep as was asked for.
    pub reports: Vec<Node>,
}

/// The chart's findings in words' raw material: whom and which units they are about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFinding {
    /// What.
    pub finding: Finding,
    /// The people in it, in its order.
    pub people: Vec<PersonCard>,
    /// The names of the units in it.
    pub units: Vec<String>,
}

impl Store {
    /// Rebuilds the chart from the database and swaps it in; writes the interval
    /// numbers that changed (-1 for those who left). Called after every change
    /// to people, managers or units.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn refresh_chart(&self) -> Result<Arc<Snapshot>> {
        let tx = db::write(self.db()).await?;
        db::lock_people(&tx, true).await?;
        // Counted under the lock: who reads later has the higher number.
        let serial = self.0.charts_built.fetch_add(1, Ordering::Relaxed) + 1;
        let (units, infos) = read_units(&tx).await?;
        let posts = vacant_posts(&tx).await?;
        let ask = "SELECT id, active, unit_id, manager_id, manager_ref, tree_from, tree_to \
                   FROM employees ORDER BY sort_name, id";
        let mut members = Vec::new();
        let mut numbered = Vec::new();
        db::each(&tx, db::sql(&tx, ask, []), |row| {
            let id = EmployeeId(row.try_get_by_index(0)?);
            let numbers: (i32, i32) = (row.try_get_by_index(5)?, row.try_get_by_index(6)?);
            numbered.push((id, numbers));
            if row.try_get_by_index(1)? {
                let manager: Option<Uuid> = row.try_get_by_index(3)?;
                let reference: Option<String> = row.try_get_by_index(4)?;
                members.push(Member {
                    id,
                    manager: match (manager, reference) {
                        (above, Some(_)) if posts.contains_key(&id) => Superior::Vacant {
                            post: posts[&id].clone(),
                            above: above.map(EmployeeId),
                        },
                        (Some(manager), _) => Superior::Is(EmployeeId(manager)),
                        (None, Some(reference)) => Superior::Unknown(reference),
                        (None, None) => Superior::Nobody,
                    },
                    unit: row.try_get_by_index::<Option<Uuid>>(2)?.map(UnitId),
                });
            }
            Ok(())
        })
        .await?;
        let (chart, findings) = OrgChart::build(&members, &units);
        let mut changed = numbered.into_iter().filter_map(|(id, before)| {
            let now = chart
                .interval(id)
                .map_or((NO_NUMBER, NO_NUMBER), |(from, to)| {
                    (from.cast_signed(), to.cast_signed())
                });
            (now != before).then(|| [id.0.into(), now.0.into(), now.1.into()])
        });
        loop {
            let some: Vec<_> = changed.by_ref().take(NUMBERED_AT_ONCE).collect();
            if some.is_empty() {
                break;
            }
            db::bulk(&tx, some, |rows| {
                format!(
                    "UPDATE employees SET tree_from = v.column2, tree_to = v.column3 \
                     FROM (VALUES {rows}) AS v WHERE employees.id = v.column1"
                )
            })
            .await?;
        }
        tx.commit().await?;

        let mut units = infos;
        for member in &members {
            if let Some(unit) = member.unit.and_then(|unit| units.get_mut(&unit)) {
                unit.people += 1;
            }
        }
        let counted: Vec<_> = units.values().map(|unit| (unit.id, unit.people)).collect();
        for (unit, people) in counted {
            for above in chart.unit_path(unit) {
                if let Some(above) = units.get_mut(above) {
                    above.people_overall += people;
                }
            }
        }
        let snapshot = Arc::new(Snapshot {
            chart,
            findings,
            units,
            built_at: self.now(),
            serial,
        });
        let mut current = self.0.chart.write().unwrap_or_else(PoisonError::into_inner);
        if current.serial < serial {
            *current = snapshot.clone();
        }
        Ok(snapshot)
    }

    /// Somebody's chain and reports. Needs `ReadOrganization`. Who left has neither.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn place(&self, viewer: &Viewer, id: EmployeeId) -> Result<Place> {
        self.allow(viewer, Action::ReadOrganization)?;
        let snapshot = self.chart();
        let chart = &snapshot.chart;
        let chain: Vec<_> = chart.chain(id).collect();
        let reports: Vec<_> = chart.reports(id).collect();
        let dotted = delegation::dotted(self.db(), id).await?;
        let standing = delegation::standing(self.db(), id, self.now()).await?;
        let beside = dotted.above.iter().chain(&dotted.below).copied();
        let beside = beside.chain(standing.iter().map(|one| one.other));
        let everyone = chain.iter().chain(&reports).copied().chain([id]);
        let everyone: BTreeSet<_> = everyone.chain(beside).collect();
        let cards = people::cards(self.db(), everyone).await?;
        let named = |ids: &[EmployeeId]| {
            let cards = ids.iter().filter_map(|id| cards.get(id).cloned());
            cards.filter(|card| card.active).collect()
        };
        let standing = |out: bool| {
            let ones = standing.iter().filter(|one| one.for_them == out);
            let one = |one: &delegation::Standing| {
                Some(StandIn {
                    person: cards.get(&one.other)?.clone(),
                    until: one.until,
                })
            };
            ones.filter_map(one).collect()
        };
        Ok(Place {
            person: cards.get(&id).cloned().ok_or(Error::NotFound)?,
            chain: chain
                .iter()
                .filter_map(|above| cards.get(above).cloned())
                .collect(),
            reports: reports
                .iter()
                .filter_map(|report| node(chart, &cards, *report, &BTreeSet::new()))
                .collect(),
            oversees: chart.subtree(id).len() as u32,
            dotted: named(&dotted.above),
            dotted_reports: named(&dotted.below),
            stand_ins: standing(true),
            stands_in_for: standing(false),
        })
    }

    /// The tree below `root`, or every tree if none is named, `depth` levels
    /// deep: 0 answers the roots alone. An answer holds at most 2000 people.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn tree(
        &self,
        viewer: &Viewer,
        root: Option<EmployeeId>,
        depth: u8,
    ) -> Result<Vec<Node>> {
        self.allow(viewer, Action::ReadOrganization)?;
        let snapshot = self.chart();
        let chart = &snapshot.chart;
        let roots: Vec<_> = match root {
            Some(root) if chart.contains(root) => vec![root],
            Some(_) => return Err(Error::NotFound),
            None => chart.heads().take(TREE_MAX).collect(),
        };
        // Level by level, so that a limit cuts the lowest levels and none of their superiors.
        let mut shown: Vec<_> = roots.clone();
        let mut opened = BTreeSet::new();
        let mut level = roots.clone();
        for _ in 0..depth {
            let below: Vec<_> = level.iter().flat_map(|id| chart.reports(*id)).collect();
            if below.is_empty() || shown.len() + below.len() > TREE_MAX {
                break;
            }
            opened.extend(level);
            shown.extend(&below);
            level = below;
        }
        let cards = people::cards(self.db(), shown).await?;
        Ok(roots
            .iter()
            .filter_map(|root| node(chart, &cards, *root, &opened))
            .collect())
    }

    /// Every unit, parents before children, siblings by name.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn units(&self, viewer: &Viewer) -> Result<Vec<UnitInfo>> {
        self.allow(viewer, Action::ReadOrganization)?;
        let snapshot = self.chart();
        Ok(snapshot.by_path(snapshot.units.values()))
    }

    /// The units to choose one from: all, or where there are more than 60, those above `around`, itself and
    /// those right below it (without it, the topmost and those right below). Of more than 60 even so, the
    /// largest. Parents come before children.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn units_around(
        &self,
        viewer: &Viewer,
        around: Option<UnitId>,
    ) -> Result<Vec<UnitInfo>> {
        self.allow(viewer, Action::ReadOrganization)?;
        let snapshot = self.chart();
        let mut units: Vec<_> = snapshot.units.values().collect();
        if units.len() > UNITS_OFFERED {
            let path = around.map_or(&[][..], |unit| snapshot.chart.unit_path(unit));
            let topmost = |unit: UnitId| snapshot.chart.unit_path(unit).len() == 1;
            units.retain(|unit| {
                path.contains(&unit.id)
                    || match around {
                        Some(_) => unit.parent == around,
                        None => topmost(unit.id) || unit.parent.is_some_and(topmost),
                    }
            });
            units.sort_by_key(|unit| {
                let first = Reverse((path.contains(&unit.id), unit.people_overall));
                (first, unit.name.as_str())
            });
            units.truncate(UNITS_OFFERED);
        }
        Ok(snapshot.by_path(units))
    }

    /// What in the chart's data could not be so.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn chart_findings(&self, viewer: &Viewer) -> Result<Vec<NamedFinding>> {
        self.allow(viewer, Action::ReadOrganization)?;
        let snapshot = self.chart();
        let concerned = snapshot
            .findings
            .iter()
            .flat_map(|finding| concerns(finding).0);
        let cards = people::cards(self.db(), concerned.collect::<BTreeSet<_>>()).await?;
        let named = |finding: &Finding| {
            let (people, units) = concerns(finding);
            NamedFinding {
                finding: finding.clone(),
                people: people
                    .iter()
                    .filter_map(|id| cards.get(id).cloned())
                    .collect(),
                units: units
                    .iter()
                    .filter_map(|unit| snapshot.unit_name(*unit).map(str::to_owned))
                    .collect(),
            }
        };
        Ok(snapshot.findings.iter().map(named).collect())
    }
}

/// Whom and which units a finding is about. A missing superior who is known, and
/// left, is told by name after the person.
pub(crate) fn concerns(finding: &Finding) -> (Vec<EmployeeId>, Vec<UnitId>) {
    match finding {
        Finding::Cycle { members } => (members.clone(), Vec::new()),
        Finding::SelfManaged { employee } | Finding::Detached { employee } => {
            (vec![*employee], Vec::new())
        }
        Finding::MissingManager {
            employee,
            reference,
        } => {
            let left = reference.parse().ok();
            (std::iter::once(*employee).chain(left).collect(), Vec::new())
        }
        Finding::VacantManager {
            employee, above, ..
        } => (
            std::iter::once(*employee).chain(*above).collect(),
            Vec::new(),
        ),
        Finding::SeveralHeads { unit, heads } => (heads.clone(), vec![*unit]),
        Finding::UnitCycle { members } => (Vec::new(), members.clone()),
        Finding::MissingParent { unit } => (Vec::new(), vec![*unit]),
    }
}

/// The node of `id`, with the reports of those who are `opened`. None for
/// somebody whose card is missing. As deep as the opened ones, which a depth of
/// at most 255 levels bounds.
fn node(
    chart: &OrgChart,
    cards: &BTreeMap<EmployeeId, PersonCard>,
    id: EmployeeId,
    opened: &BTreeSet<EmployeeId>,
) -> Option<Node> {
    let reports = || chart.reports(id);
    Some(Node {
        person: cards.get(&id)?.clone(),
        direct: reports().count() as u32,
        oversees: chart.subtree(id).len() as u32,
        reports: if opened.contains(&id) {
            reports()
                .filter_map(|report| node(chart, cards, report, opened))
                .collect()
        } else {
            Vec::new()
        },
    })
}

//! The org chart: who oversees whom, as an immutable snapshot in memory.
//!
//! People are numbered in pre-order, so that everyone whom a person oversees
//! has a number inside that person's interval: a check is two comparisons.
//! Input that cannot be a chart (cycles, managers who are not there) never
//! fails and never grants: the broken edge is dropped and told as a [`Finding`].

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasherDefault, Hasher},
};

use serde::{Deserialize, Serialize};

use crate::{EmployeeId, Relation, UnitId};

/// A person as the chart's input has them. Only people who work here now belong in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub id: EmployeeId,
    /// The superior, as far as it is known.
    pub manager: Superior,
    /// The unit.
    pub unit: Option<UnitId>,
}

/// What the data says about somebody's superior.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Superior {
    /// Nobody.
    Nobody,
    /// A person; who may turn out not to be in the chart.
    Is(EmployeeId),
    /// A reference that no person has.
    Unknown(String),
}

/// A unit as the chart's input has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Which.
    pub id: UnitId,
    /// The unit above.
    pub parent: Option<UnitId>,
    /// Whom the data names as head; more than one is a finding.
    pub heads: Vec<EmployeeId>,
}

/// Something in the data that cannot be so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// People who are each other's superiors, directly or round a circle. Nobody
    /// in the circle oversees another one of it.
    Cycle {
        /// The people of the circle, each followed by the superior.
        members: Vec<EmployeeId>,
    },
    /// Somebody who is named as the own superior.
    SelfManaged {
        /// Who.
        employee: EmployeeId,
    },
    /// A superior who is not here: unknown to the data, or left.
    MissingManager {
        /// Whose superior.
        employee: EmployeeId,
        /// How the data names the superior.
        reference: String,
    },
    /// A unit with more than one head.
    SeveralHeads {
        /// Which.
        unit: UnitId,
        /// The heads.
        heads: Vec<EmployeeId>,
    },
    /// Somebody outside the main tree, without a superior.
    Detached {
        /// Who.
        employee: EmployeeId,
    },
    /// Units that are each other's parents.
    UnitCycle {
        /// The units of the circle.
        members: Vec<UnitId>,
    },
    /// A unit whose parent is not there.
    MissingParent {
        /// Which.
        unit: UnitId,
    },
}

/// The random tail of a version 7 UUID is a hash already.
#[derive(Default, Clone, Copy)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        if let Some(tail) = bytes.last_chunk::<8>() {
            // The multiplication spreads ids that were made up by counting, too.
            self.0 = u64::from_be_bytes(*tail).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }
    fn write_usize(&mut self, _length: usize) {}
}

type ById<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

const NOBODY: u32 = u32::MAX;

/// The chart. Cheap to share, swapped whole.
#[derive(Debug, Default)]
pub struct OrgChart {
    /// Everyone in pre-order: a person's place here is the person's number.
    people: Vec<EmployeeId>,
    /// One past the last number that is overseen, by number.
    end: Vec<u32>,
    /// The superior's number, or `NOBODY`.
    superior: Vec<u32>,
    unit: Vec<Option<UnitId>>,
    number: ById<EmployeeId, u32>,
    /// Each unit with its parents, nearest first.
    paths: BTreeMap<UnitId, Vec<UnitId>>,
}

impl OrgChart {
    /// Builds the chart from edges, in time linear in the number of people.
    ///
    /// Siblings keep the order in which they are given. A person given twice
    /// counts once, as given first.
    #[must_use]
    pub fn build(members: &[Member], units: &[Unit]) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let mut index: ById<EmployeeId, u32> =
            HashMap::with_capacity_and_hasher(members.len(), BuildHasherDefault::default());
        let mut members_once = Vec::with_capacity(members.len());
        for member in members {
            index.entry(member.id).or_insert_with(|| {
                members_once.push(member);
                number(members_once.len() - 1)
            });
        }
        let mut above = superiors(&members_once, &index, &mut findings);
        break_cycles(&members_once, &mut above, &mut findings);
        let chart = Self::number(&members_once, &above, index);
        chart.detached(&members_once, &above, &mut findings);
        let paths = unit_paths(units, &mut findings);
        (Self { paths, ..chart }, findings)
    }

    /// Numbers the forest in pre-order, without recursion.
    fn number(members: &[&Member], above: &[u32], mut index: ById<EmployeeId, u32>) -> Self {
        let n = members.len();
        // Children of each, as slices of one array (counting sort keeps their order).
        let mut first = vec![0u32; n + 1];
        for superior in above.iter().filter(|superior| **superior != NOBODY) {
            first[*superior as usize + 1] += 1;
        }
        for i in 0..n {
            first[i + 1] += first[i];
        }
        let mut fill = first.clone();
        let mut children = vec![0u32; first[n] as usize];
        for (i, superior) in above
            .iter()
            .enumerate()
            .filter(|(_, superior)| **superior != NOBODY)
        {
            let slot = &mut fill[*superior as usize];
            children[*slot as usize] = number(i);
            *slot += 1;
        }

        let mut chart = Self {
            people: Vec::with_capacity(n),
            end: vec![0; n],
            superior: Vec::with_capacity(n),
            unit: Vec::with_capacity(n),
            number: HashMap::default(),
            paths: BTreeMap::new(),
        };
        // An entry is either a person to number, with the superior's number, or
        // a person whose subtree is complete.
        enum Step {
            Enter(u32, u32),
            Leave(u32),
        }
        let mut steps: Vec<Step> = (0..n)
            .rev()
            .filter(|i| above[*i] == NOBODY)
            .map(|i| Step::Enter(number(i), NOBODY))
            .collect();
        while let Some(step) = steps.pop() {
            match step {
                Step::Leave(own) => chart.end[own as usize] = number(chart.people.len()),
                Step::Enter(i, superior) => {
                    let own = number(chart.people.len());
                    let member = members[i as usize];
                    chart.people.push(member.id);
                    chart.superior.push(superior);
                    chart.unit.push(member.unit);
                    index.insert(member.id, own);
                    steps.push(Step::Leave(own));
                    let range = first[i as usize] as usize..first[i as usize + 1] as usize;
                    steps.extend(
                        children[range]
                            .iter()
                            .rev()
                            .map(|child| Step::Enter(*child, own)),
                    );
                }
            }
        }
        chart.number = index;
        chart
    }

    /// Everyone without a superior but the head of the largest tree, unless told already.
    fn detached(&self, members: &[&Member], above: &[u32], findings: &mut Vec<Finding>) {
        let size = |id: &EmployeeId| self.interval(*id).map_or(0, |(from, to)| to - from);
        let roots = || {
            members
                .iter()
                .zip(above)
                .filter(|(_, above)| **above == NOBODY)
                .map(|(member, _)| *member)
        };
        let Some(head) = roots().rev().max_by_key(|member| size(&member.id)) else {
            return;
        };
        findings.extend(
            roots()
                .filter(|member| member.id != head.id && member.manager == Superior::Nobody)
                .map(|member| Finding::Detached {
                    employee: member.id,
                }),
        );
    }

    /// How many people there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Whether `id` is in the chart, that is, works here now.
    #[must_use]
    pub fn contains(&self, id: EmployeeId) -> bool {
        self.number.contains_key(&id)
    }

    /// Everyone in pre-order.
    #[must_use]
    pub fn people(&self) -> &[EmployeeId] {
        &self.people
    }

    /// A person's own number and one past the last number overseen.
    #[must_use]
    pub fn interval(&self, id: EmployeeId) -> Option<(u32, u32)> {
        self.number
            .get(&id)
            .map(|own| (*own, self.end[*own as usize]))
    }

    /// Whether `above` is in the chain of command of `below`, at any distance.
    /// Nobody oversees themselves.
    #[must_use]
    pub fn oversees(&self, above: EmployeeId, below: EmployeeId) -> bool {
        let (Some(above), Some(below)) = (self.number.get(&above), self.number.get(&below)) else {
            return false;
        };
        above < below && *below < self.end[*above as usize]
    }

    /// The direct superior.
    #[must_use]
    pub fn manager(&self, id: EmployeeId) -> Option<EmployeeId> {
        let superior = self.superior[*self.number.get(&id)? as usize];
        (superior != NOBODY).then(|| self.people[superior as usize])
    }

    /// The chain of command, the direct superior first.
    pub fn chain(&self, id: EmployeeId) -> impl Iterator<Item = EmployeeId> + '_ {
        std::iter::successors(self.manager(id), |above| self.manager(*above))
    }

    /// Everyone whom `id` oversees, in pre-order.
    #[must_use]
    pub fn subtree(&self, id: EmployeeId) -> &[EmployeeId] {
        self.interval(id).map_or(&[], |(own, end)| {
            &self.people[own as usize + 1..end as usize]
        })
    }

    /// The direct reports, in the order given when the chart was built.
    pub fn reports(&self, id: EmployeeId) -> impl Iterator<Item = EmployeeId> + '_ {
        let (mut next, end) = self
            .interval(id)
            .map_or((0, 0), |(own, end)| (own + 1, end));
        std::iter::from_fn(move || {
            let at = next as usize;
            (next < end).then(|| {
                next = self.end[at];
                self.people[at]
            })
        })
    }

    /// The people without a superior.
    pub fn heads(&self) -> impl Iterator<Item = EmployeeId> + '_ {
        self.people
            .iter()
            .zip(&self.superior)
            .filter(|(_, superior)| **superior == NOBODY)
            .map(|(id, _)| *id)
    }

    /// The unit that somebody is in.
    #[must_use]
    pub fn unit(&self, id: EmployeeId) -> Option<UnitId> {
        self.unit[*self.number.get(&id)? as usize]
    }

    /// A unit with those above it, nearest first; empty for an unknown one.
    #[must_use]
    pub fn unit_path(&self, unit: UnitId) -> &[UnitId] {
        self.paths.get(&unit).map_or(&[], Vec::as_slice)
    }

    /// The path of the unit that somebody is in; empty for somebody in none.
    #[must_use]
    pub fn units_of(&self, id: EmployeeId) -> &[UnitId] {
        self.unit(id).map_or(&[], |unit| self.unit_path(unit))
    }

    /// How `viewer` stands to `subject`.
    #[must_use]
    pub fn relation(&self, viewer: EmployeeId, subject: EmployeeId) -> Relation {
        if viewer == subject {
            Relation::Myself
        } else if self.oversees(viewer, subject) {
            Relation::Superior
        } else if self.unit(viewer).is_some() && self.unit(viewer) == self.unit(subject) {
            Relation::Colleague
        } else {
            Relation::Stranger
        }
    }
}

/// Four thousand million people are more than there are in any organization.
fn number(i: usize) -> u32 {
    u32::try_from(i).expect("fewer than 2^32 people")
}

/// The place of each one's superior in `members`, or `NOBODY`.
fn superiors(
    members: &[&Member],
    index: &ById<EmployeeId, u32>,
    findings: &mut Vec<Finding>,
) -> Vec<u32> {
    let mut above = Vec::with_capacity(members.len());
    for member in members {
        let employee = member.id;
        above.push(match &member.manager {
            Superior::Nobody => NOBODY,
            Superior::Is(id) if *id == employee => {
                findings.push(Finding::SelfManaged { employee });
                NOBODY
            }
            Superior::Is(id) => index.get(id).copied().unwrap_or_else(|| {
                findings.push(Finding::MissingManager {
                    employee,
                    reference: id.to_string(),
                });
                NOBODY
            }),
            Superior::Unknown(reference) => {
                findings.push(Finding::MissingManager {
                    employee,
                    reference: reference.clone(),
                });
                NOBODY
            }
        });
    }
    above
}

/// Finds every circle by walking up from each person once, and drops its edges.
fn break_cycles(members: &[&Member], above: &mut [u32], findings: &mut Vec<Finding>) {
    let mut walk = vec![NOBODY; above.len()];
    for start in 0..above.len() {
        let own = number(start);
        let mut at = own;
        while at != NOBODY && walk[at as usize] == NOBODY {
            walk[at as usize] = own;
            at = above[at as usize];
        }
        if at == NOBODY || walk[at as usize] != own {
            continue;
        }
        let mut circle = Vec::new();
        while above[at as usize] != NOBODY {
            circle.push(members[at as usize].id);
            at = std::mem::replace(&mut above[at as usize], NOBODY);
        }
        findings.push(Finding::Cycle { members: circle });
    }
}

fn unit_paths(units: &[Unit], findings: &mut Vec<Finding>) -> BTreeMap<UnitId, Vec<UnitId>> {
    let parents: BTreeMap<UnitId, Option<UnitId>> =
        units.iter().map(|unit| (unit.id, unit.parent)).collect();
    let mut in_circle = std::collections::BTreeSet::new();
    for unit in units {
        if unit.heads.len() > 1 {
            findings.push(Finding::SeveralHeads {
                unit: unit.id,
                heads: unit.heads.clone(),
            });
        }
        if unit
            .parent
            .is_some_and(|parent| !parents.contains_key(&parent))
        {
            findings.push(Finding::MissingParent { unit: unit.id });
        }
        // More steps than there are units means that the walk came round.
        let mut circle: Vec<_> =
            std::iter::successors(unit.parent, |at| parents.get(at).copied().flatten())
                .take(units.len() + 1)
                .collect();
        if circle.len() > units.len() && circle.contains(&unit.id) && !in_circle.contains(&unit.id)
        {
            circle.truncate(
                circle
                    .iter()
                    .position(|at| *at == unit.id)
                    .map_or(0, |at| at + 1),
            );
            in_circle.extend(circle.iter().copied());
            findings.push(Finding::UnitCycle { members: circle });
        }
    }
    units
        .iter()
        .map(|unit| {
            let up = |at: &UnitId| {
                let parent = parents
                    .get(at)
                    .copied()
                    .flatten()
                    .filter(|parent| parents.contains_key(parent));
                parent.filter(|_| !in_circle.contains(at))
            };
            (unit.id, std::iter::successors(Some(unit.id), up).collect())
        })
        .collect()
}

//! The org chart: who oversees whom, as an immutable snapshot in memory.
//!
//! People are numbered in pre-order, so that everyone whom a person oversees
//! has a number inside that person's interval: a check is two comparisons.
//! Input that cannot be a chart (cycles, managers who are not there) never
//! fails and never grants: the broken edge is dropped and told as a [`Finding`].

use std::{
    collections::{HashMap, HashSet, hash_map},
    hash::{BuildHasherDefault, Hash, Hasher},
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
    /// A post that nobody holds: whoever is next above it takes its place.
    Vacant {
        /// The post, as people know it.
        post: String,
        /// Who is next above, by [`next_up`].
        above: Option<EmployeeId>,
    },
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
    /// People who are each other's superiors, directly or round a circle. The
    /// edges of the circle are dropped: nobody in it oversees another one of it.
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
    /// Somebody whose superior's post nobody holds. Without one above, nobody
    /// oversees them until it is taken.
    VacantManager {
        /// Whose superior.
        employee: EmployeeId,
        /// The post.
        post: String,
        /// Who oversees them meanwhile.
        above: Option<EmployeeId>,
    },
    /// A unit with more than one head.
    SeveralHeads {
        /// Which.
        unit: UnitId,
        /// The heads.
        heads: Vec<EmployeeId>,
    },
    /// Somebody for whom the data names no superior, and who is not the head of
    /// the largest tree.
    Detached {
        /// Who.
        employee: EmployeeId,
    },
    /// Units that are each other's parents, directly or round a circle. The
    /// edges of the circle are dropped: no rule comes down along it.
    UnitCycle {
        /// The units of the circle, each followed by its parent.
        members: Vec<UnitId>,
    },
    /// A unit whose parent is not there.
    MissingParent {
        /// Which.
        unit: UnitId,
    },
}

/// Ids are random for the most part and are made by us, so a hash that resists
/// chosen keys would be paid for in vain: one multiplication that folds both
/// halves of its product is enough, for ids made up by counting too.
#[derive(Default, Clone, Copy)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        let half = |half: Option<&[u8; 8]>| half.map_or(0, |half| u64::from_be_bytes(*half));
        let high = half(bytes.first_chunk()) ^ 0x9E37_79B9_7F4A_7C15;
        let low = half(bytes.last_chunk()) ^ 0xD1B5_4A32_D192_ED03;
        let product = u128::from(high) * u128::from(low);
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }
    // Every id has the same length.
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
    /// Each unit with those above it, nearest first.
    paths: ById<UnitId, Vec<UnitId>>,
}

impl OrgChart {
    /// Builds the chart from edges, in time linear in the number of people.
    ///
    /// Siblings keep the order in which they are given. A person or a unit that
    /// is given twice counts once, as given first.
    #[must_use]
    pub fn build(members: &[Member], units: &[Unit]) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let (members, index) = once(members, |member| member.id);
        let mut above = superiors(&members, &index, &mut findings);
        findings.extend(break_circles(&mut above).into_iter().map(|circle| {
            Finding::Cycle {
                members: circle
                    .into_iter()
                    .map(|at| members[at as usize].id)
                    .collect(),
            }
        }));
        let chart = Self::number(&members, &above, index);
        chart.detached(&members, &above, &mut findings);
        let paths = unit_paths(units, &mut findings);
        (Self { paths, ..chart }, findings)
    }

    /// Numbers the forest in pre-order, without recursion. `above` holds no circle;
    /// `index` has everyone's place in `members` and becomes everyone's number.
    fn number(members: &[&Member], above: &[u32], mut index: ById<EmployeeId, u32>) -> Self {
        let n = members.len();
        let reports = Reports::of(above);
        let mut chart = Self {
            people: Vec::with_capacity(n),
            end: (1..=number(n)).collect(),
            superior: Vec::with_capacity(n),
            unit: Vec::with_capacity(n),
            ..Self::default()
        };
        // Whose turn is last is numbered first: places in `members`, with the superior's number.
        let mut waiting: Vec<(u32, u32)> = (0..number(n))
            .rev()
            .filter(|at| above[*at as usize] == NOBODY)
            .map(|head| (head, NOBODY))
            .collect();
        let mut numbers = vec![NOBODY; n];
        while let Some((at, superior)) = waiting.pop() {
            let own = number(chart.people.len());
            let member = members[at as usize];
            chart.people.push(member.id);
            chart.superior.push(superior);
            chart.unit.push(member.unit);
            numbers[at as usize] = own;
            waiting.extend(reports.to(at).iter().rev().map(|report| (*report, own)));
        }
        // From the back, so that everyone's own interval is whole before it widens the superior's.
        for own in (0..n).rev() {
            let end = chart.end[own];
            if let Some(above) = chart.end.get_mut(chart.superior[own] as usize) {
                *above = end.max(*above);
            }
        }
        index
            .values_mut()
            .for_each(|value| *value = numbers[*value as usize]);
        chart.number = index;
        chart
    }

    /// Tells of everyone who has no superior, is not head of the largest tree (the
    /// first given of equals), and was not told of as something else.
    fn detached(&self, members: &[&Member], above: &[u32], findings: &mut Vec<Finding>) {
        let size = |id: EmployeeId| self.subtree(id).len();
        let heads = || {
            members
                .iter()
                .zip(above)
                .filter(|(_, above)| **above == NOBODY)
                .map(|(member, _)| *member)
        };
        // Of equals, `max_by_key` takes the last.
        let Some(first) = heads().rev().max_by_key(|member| size(member.id)) else {
            return;
        };
        findings.extend(
            heads()
                .filter(|member| member.id != first.id && member.manager == Superior::Nobody)
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

/// Who is next above a vacant post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextUp {
    /// A person.
    Is(EmployeeId),
    /// Nobody: the last post of the way has no superior, or one whom nobody knows.
    Nobody,
    /// Nobody: the posts are each other's superiors.
    Circle,
}

/// Passes through vacant posts: who is next above each of `posts`, which are an
/// id and the reference to a superior. A reference is a `person` if one has it,
/// else another of the posts. In time linear in the number of posts; of a post
/// that is given twice the first counts.
#[must_use]
pub fn next_up<'a>(
    posts: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    person: impl Fn(&str) -> Option<EmployeeId>,
) -> HashMap<&'a str, NextUp> {
    let mut above: HashMap<&str, Option<&str>> = HashMap::new();
    for (post, superior) in posts {
        above.entry(post).or_insert(superior);
    }
    let mut found: HashMap<&str, NextUp> = HashMap::with_capacity(above.len());
    for start in above.keys().copied() {
        let mut way = Vec::new();
        let mut on_the_way = HashSet::new();
        let mut at = start;
        let end = loop {
            if let Some(known) = found.get(at) {
                break *known;
            }
            if !on_the_way.insert(at) {
                break NextUp::Circle;
            }
            way.push(at);
            let Some(superior) = above[at] else {
                break NextUp::Nobody;
            };
            if let Some(id) = person(superior) {
                break NextUp::Is(id);
            }
            match above.get_key_value(superior) {
                Some((post, _)) => at = post,
                None => break NextUp::Nobody,
            }
        };
        found.extend(way.into_iter().map(|post| (post, end)));
    }
    found
}

/// A chart of more than four thousand million people is not one.
fn number(i: usize) -> u32 {
    u32::try_from(i).expect("fewer than 2^32 people")
}

/// Each item once, as given first, and the places by id.
fn once<T, Id: Copy + Eq + Hash>(items: &[T], id: impl Fn(&T) -> Id) -> (Vec<&T>, ById<Id, u32>) {
    let mut kept = Vec::with_capacity(items.len());
    let mut places = ById::with_capacity_and_hasher(items.len(), BuildHasherDefault::default());
    for item in items {
        if let hash_map::Entry::Vacant(place) = places.entry(id(item)) {
            place.insert(number(kept.len()));
            kept.push(item);
        }
    }
    (kept, places)
}

/// The direct reports of each, as slices of one array.
struct Reports {
    start: Vec<u32>,
    reports: Vec<u32>,
}

impl Reports {
    /// A counting sort by superior, which keeps the order of equals.
    fn of(above: &[u32]) -> Self {
        let mut start = vec![0; above.len() + 2];
        let led = || {
            (0..)
                .zip(above)
                .filter(|(_, superior)| **superior != NOBODY)
        };
        for (_, superior) in led() {
            start[*superior as usize + 2] += 1;
        }
        for at in 2..start.len() {
            start[at] += start[at - 1];
        }
        // `start[s + 1]` moves from where the reports of `s` start to where they end.
        let mut reports = vec![NOBODY; start.last().map_or(0, |all| *all as usize)];
        for (report, superior) in led() {
            let slot: &mut u32 = &mut start[*superior as usize + 1];
            reports[*slot as usize] = report;
            *slot += 1;
        }
        Self { start, reports }
    }

    fn to(&self, superior: u32) -> &[u32] {
        let at = superior as usize;
        &self.reports[self.start[at] as usize..self.start[at + 1] as usize]
    }
}

/// The place of each one's superior in `members`, or `NOBODY`.
fn superiors(
    members: &[&Member],
    index: &ById<EmployeeId, u32>,
    findings: &mut Vec<Finding>,
) -> Vec<u32> {
    let mut place = |member: &&Member| {
        let employee = member.id;
        let missing = |reference| Finding::MissingManager {
            employee,
            reference,
        };
        let finding = match &member.manager {
            Superior::Nobody => return NOBODY,
            Superior::Vacant { post, above } => {
                // Nobody stands above themselves by way of a post.
                let above = above.filter(|above| *above != employee);
                let place = above.and_then(|above| index.get(&above).copied());
                findings.push(Finding::VacantManager {
                    employee,
                    post: post.clone(),
                    above: above.filter(|_| place.is_some()),
                });
                return place.unwrap_or(NOBODY);
            }
            Superior::Is(id) if *id == employee => Finding::SelfManaged { employee },
            Superior::Is(id) => match index.get(id) {
                Some(place) => return *place,
                None => missing(id.to_string()),
            },
            Superior::Unknown(reference) => missing(reference.clone()),
        };
        findings.push(finding);
        NOBODY
    };
    members.iter().map(&mut place).collect()
}

/// Drops the edges of every circle and answers the circles, each place followed
/// by the one above it. Walks up from everyone, and over nobody twice.
fn break_circles(above: &mut [u32]) -> Vec<Vec<u32>> {
    let mut circles = Vec::new();
    let mut walk = vec![NOBODY; above.len()];
    for start in 0..number(above.len()) {
        let mut at = start;
        while at != NOBODY && walk[at as usize] == NOBODY {
            walk[at as usize] = start;
            at = above[at as usize];
        }
        // The end of this walk is a head, or somebody of an earlier walk, or of this one: then it came round.
        if at == NOBODY || walk[at as usize] != start {
            continue;
        }
        let mut circle = Vec::new();
        while above[at as usize] != NOBODY {
            circle.push(at);
            at = std::mem::replace(&mut above[at as usize], NOBODY);
        }
        circles.push(circle);
    }
    circles
}

fn unit_paths(units: &[Unit], findings: &mut Vec<Finding>) -> ById<UnitId, Vec<UnitId>> {
    let (units, index) = once(units, |unit| unit.id);
    let mut above = Vec::with_capacity(units.len());
    for unit in &units {
        if unit.heads.len() > 1 {
            findings.push(Finding::SeveralHeads {
                unit: unit.id,
                heads: unit.heads.clone(),
            });
        }
        let parent = unit.parent.and_then(|parent| index.get(&parent).copied());
        if unit.parent.is_some() && parent.is_none() {
            findings.push(Finding::MissingParent { unit: unit.id });
        }
        above.push(parent.unwrap_or(NOBODY));
    }
    findings.extend(
        break_circles(&mut above)
            .into_iter()
            .map(|circle| Finding::UnitCycle {
                members: circle.into_iter().map(|at| units[at as usize].id).collect(),
            }),
    );
    let up = |at: &u32| Some(above[*at as usize]).filter(|above| *above != NOBODY);
    let path = |own| {
        std::iter::successors(Some(own), up)
            .map(|at| units[at as usize].id)
            .collect()
    };
    (0..)
        .zip(&units)
        .map(|(own, unit)| (unit.id, path(own)))
        .collect()
}

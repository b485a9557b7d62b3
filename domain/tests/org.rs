//! The org chart against an oracle that walks the edges as a child would.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    EmployeeId, Relation, UnitId,
    org::{Finding, Member, NextUp, OrgChart, Superior, Unit, next_up},
};
use proptest::{collection::vec, prelude::*};
use uuid::Uuid;

fn person(i: usize) -> EmployeeId {
    EmployeeId(Uuid::from_u128(i as u128))
}

fn unit(i: usize) -> UnitId {
    UnitId(Uuid::from_u128(i as u128))
}

fn member(i: usize, manager: Superior) -> Member {
    Member {
        id: person(i),
        manager,
        unit: Some(unit(i % 3)),
    }
}

fn below(superior: usize) -> Superior {
    Superior::Is(person(superior))
}

/// What the edges say, one step at a time.
struct Oracle {
    /// Everyone once, in the order given.
    people: Vec<EmployeeId>,
    /// The superiors that stand.
    manager: BTreeMap<EmployeeId, EmployeeId>,
    findings: Vec<Finding>,
}

impl Oracle {
    fn new(members: &[Member]) -> Self {
        let mut once: Vec<&Member> = Vec::new();
        for member in members {
            if !once.iter().any(|other| other.id == member.id) {
                once.push(member);
            }
        }
        let people: Vec<_> = once.iter().map(|member| member.id).collect();
        let mut findings = Vec::new();
        let mut manager = BTreeMap::new();
        for Member {
            id,
            manager: superior,
            ..
        } in &once
        {
            match superior {
                Superior::Nobody => {}
                Superior::Is(above) if above == id => {
                    findings.push(Finding::SelfManaged { employee: *id })
                }
                Superior::Is(above) if people.contains(above) => {
                    manager.insert(*id, *above);
                }
                Superior::Is(above) => {
                    findings.push(Finding::MissingManager {
                        employee: *id,
                        reference: above.to_string(),
                    });
                }
                Superior::Vacant { post, above } => {
                    let above = above.filter(|above| above != id && people.contains(above));
                    manager.extend(above.map(|above| (*id, above)));
                    findings.push(Finding::VacantManager {
                        employee: *id,
                        post: post.clone(),
                        above,
                    });
                }
                Superior::Unknown(reference) => {
                    findings.push(Finding::MissingManager {
                        employee: *id,
                        reference: reference.clone(),
                    });
                }
            }
        }
        let up = |manager: &BTreeMap<_, _>, from: EmployeeId| -> Vec<EmployeeId> {
            let steps = std::iter::successors(Some(from), |at| manager.get(at).copied());
            steps.skip(1).take(people.len() + 1).collect()
        };
        let in_circle: BTreeSet<_> = people
            .iter()
            .copied()
            .filter(|id| up(&manager, *id).contains(id))
            .collect();
        let mut told = BTreeSet::new();
        for id in &in_circle {
            if told.insert(*id) {
                let mut members = vec![*id];
                members.extend(
                    up(&manager, *id)
                        .into_iter()
                        .take_while(|other| other != id),
                );
                told.extend(members.iter().copied());
                findings.push(Finding::Cycle { members });
            }
        }
        manager.retain(|id, _| !in_circle.contains(id));

        let mut oracle = Self {
            people,
            manager,
            findings,
        };
        let size = |head: EmployeeId| {
            oracle
                .people
                .iter()
                .filter(|id| oracle.oversees(head, **id))
                .count()
        };
        let heads: Vec<_> = oracle
            .people
            .iter()
            .copied()
            .filter(|id| !oracle.manager.contains_key(id))
            .collect();
        let largest = heads.iter().map(|head| size(*head)).max();
        let first = heads
            .iter()
            .find(|head| Some(size(**head)) == largest)
            .copied();
        for member in once {
            if heads.contains(&member.id)
                && Some(member.id) != first
                && member.manager == Superior::Nobody
            {
                oracle.findings.push(Finding::Detached {
                    employee: member.id,
                });
            }
        }
        oracle
    }

    fn chain(&self, id: EmployeeId) -> Vec<EmployeeId> {
        std::iter::successors(self.manager.get(&id).copied(), |at| {
            self.manager.get(at).copied()
        })
        .collect()
    }

    fn oversees(&self, above: EmployeeId, below: EmployeeId) -> bool {
        self.chain(below).contains(&above)
    }

    fn reports(&self, id: EmployeeId) -> Vec<EmployeeId> {
        self.people
            .iter()
            .copied()
            .filter(|other| self.manager.get(other) == Some(&id))
            .collect()
    }

    /// In pre-order, without `id`.
    fn subtree(&self, id: EmployeeId) -> Vec<EmployeeId> {
        let with_own = |report: EmployeeId| std::iter::once(report).chain(self.subtree(report));
        self.reports(id).into_iter().flat_map(with_own).collect()
    }
}

/// A circle may be told from any of its members on.
fn canonical(mut findings: Vec<Finding>) -> Vec<String> {
    for finding in &mut findings {
        match finding {
            Finding::Cycle { members } => turn(members),
            Finding::UnitCycle { members } => turn(members),
            _ => {}
        }
    }
    let mut told: Vec<_> = findings
        .iter()
        .map(|finding| format!("{finding:?}"))
        .collect();
    told.sort();
    told
}

fn turn<T: Ord>(circle: &mut [T]) {
    let least = circle
        .iter()
        .enumerate()
        .min_by_key(|(_, id)| *id)
        .map_or(0, |(at, _)| at);
    circle.rotate_left(least);
}

fn agree(members: &[Member]) -> Result<(), TestCaseError> {
    let (chart, findings) = OrgChart::build(members, &[]);
    let oracle = Oracle::new(members);
    prop_assert_eq!(canonical(findings), canonical(oracle.findings.clone()));
    prop_assert_eq!(chart.len(), oracle.people.len());
    prop_assert_eq!(chart.is_empty(), oracle.people.is_empty());
    let heads: Vec<_> = oracle
        .people
        .iter()
        .copied()
        .filter(|id| !oracle.manager.contains_key(id))
        .collect();
    prop_assert_eq!(chart.heads().collect::<Vec<_>>(), heads);

    let nobody = person(usize::MAX);
    prop_assert!(
        !chart.contains(nobody)
            && chart.interval(nobody).is_none()
            && chart.manager(nobody).is_none()
    );
    for a in oracle.people.iter().copied().chain([nobody]) {
        prop_assert_eq!(chart.manager(a), oracle.manager.get(&a).copied());
        prop_assert_eq!(chart.chain(a).collect::<Vec<_>>(), oracle.chain(a));
        prop_assert_eq!(chart.reports(a).collect::<Vec<_>>(), oracle.reports(a));
        prop_assert_eq!(chart.subtree(a), oracle.subtree(a));
        if let Some((own, end)) = chart.interval(a) {
            prop_assert_eq!(chart.people()[own as usize], a);
            prop_assert_eq!(
                &chart.people()[own as usize + 1..end as usize],
                chart.subtree(a)
            );
        }
        for b in oracle.people.iter().copied().chain([nobody]) {
            let above = oracle.oversees(a, b);
            prop_assert_eq!(chart.oversees(a, b), above, "{} above {}", a, b);
            let same_unit = chart.unit(a).is_some() && chart.unit(a) == chart.unit(b);
            let relation = match () {
                () if a == b => Relation::Myself,
                () if above => Relation::Superior,
                () if same_unit => Relation::Colleague,
                () => Relation::Stranger,
            };
            prop_assert_eq!(chart.relation(a, b), relation);
        }
    }
    Ok(())
}

/// Every one below somebody given before, or below nobody.
fn forest() -> impl Strategy<Value = Vec<Member>> {
    vec(any::<prop::sample::Index>(), 0..30).prop_map(|above| {
        let people = above.iter().enumerate().map(|(i, above)| {
            // One more place than there are people before: nobody.
            let superior = above.index(i + 1);
            member(
                i,
                if superior == i {
                    Superior::Nobody
                } else {
                    below(superior)
                },
            )
        });
        people.collect()
    })
}

/// Circles, self-managers, managers who are not there, people given twice.
fn garbage() -> impl Strategy<Value = Vec<Member>> {
    let superior = prop_oneof![
        1 => Just(Superior::Nobody),
        6 => (0..16usize).prop_map(below),
        1 => "[A-Z]{1,3}".prop_map(Superior::Unknown),
        2 => proptest::option::of((0..16usize).prop_map(person))
            .prop_map(|above| Superior::Vacant { post: "P".into(), above }),
    ];
    vec((0..14usize, superior), 0..20).prop_map(|members| {
        members
            .into_iter()
            .map(|(i, superior)| member(i, superior))
            .collect()
    })
}

proptest! {
    #[test]
    fn a_forest_is_numbered_as_it_stands(members in forest(), turn in any::<prop::sample::Index>()) {
        agree(&members)?;
        // In whatever order it is given.
        let mut members = members;
        if !members.is_empty() {
            let by = turn.index(members.len());
            members.rotate_left(by);
        }
        agree(&members)?;
        let (_, findings) = OrgChart::build(&members, &[]);
        let broken = findings.iter().find(|finding| !matches!(finding, Finding::Detached { .. }));
        prop_assert_eq!(broken, None);
    }

    #[test]
    fn moves_are_followed(mut members in forest(), moves in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..12)) {
        prop_assume!(!members.is_empty());
        for (who, whither) in moves {
            let (who, whither) = (who.index(members.len()), whither.index(members.len()));
            members[who].manager = below(whither);
            agree(&members)?;
        }
    }

    #[test]
    fn garbage_is_told_and_grants_nothing(members in garbage()) {
        agree(&members)?;
        let (chart, findings) = OrgChart::build(&members, &[]);
        for finding in &findings {
            match finding {
                Finding::Cycle { members } => for a in members {
                    prop_assert_eq!(chart.manager(*a), None);
                    prop_assert!(members.iter().all(|b| !chart.oversees(*a, *b)));
                },
                Finding::SelfManaged { employee } | Finding::MissingManager { employee, .. } => {
                    prop_assert_eq!(chart.manager(*employee), None);
                    prop_assert!(chart.people().iter().all(|other| !chart.oversees(*other, *employee)));
                }
                _ => {}
            }
        }
    }

    #[test]
    fn units_have_the_path_that_one_walks(
        units in vec((0..8usize, proptest::option::of(0..9usize), vec(0..4usize, 0..3)), 0..10),
        at in 0..9usize,
    ) {
        let units: Vec<_> = units
            .into_iter()
            .map(|(id, parent, heads)| Unit {
                id: unit(id),
                parent: parent.map(unit),
                heads: heads.into_iter().map(person).collect(),
            })
            .collect();
        let mut once: Vec<&Unit> = Vec::new();
        for unit in &units {
            if !once.iter().any(|other| other.id == unit.id) {
                once.push(unit);
            }
        }
        let parent = |id: UnitId| {
            let parent = once.iter().find(|unit| unit.id == id)?.parent?;
            once.iter().any(|unit| unit.id == parent).then_some(parent)
        };
        let up = |id: UnitId| std::iter::successors(parent(id), |at| parent(*at)).take(once.len() + 1);
        let in_circle = |id: UnitId| up(id).any(|other| other == id);

        let mut expected = Vec::new();
        let mut told = BTreeSet::new();
        for unit in &once {
            if unit.heads.len() > 1 {
                expected.push(Finding::SeveralHeads { unit: unit.id, heads: unit.heads.clone() });
            }
            if unit.parent.is_some() && parent(unit.id).is_none() {
                expected.push(Finding::MissingParent { unit: unit.id });
            }
            if in_circle(unit.id) && told.insert(unit.id) {
                let mut members = vec![unit.id];
                members.extend(up(unit.id).take_while(|other| *other != unit.id));
                told.extend(members.iter().copied());
                expected.push(Finding::UnitCycle { members });
            }
        }
        let somebody = Member { id: person(0), manager: Superior::Nobody, unit: Some(unit(at)) };
        let (chart, findings) = OrgChart::build(&[somebody], &units);
        prop_assert_eq!(canonical(findings), canonical(expected));
        for i in 0..9 {
            let mut path: Vec<UnitId> = Vec::new();
            let mut next = once.iter().any(|known| known.id == unit(i)).then(|| unit(i));
            while let Some(id) = next {
                path.push(id);
                next = parent(id).filter(|_| !in_circle(id));
            }
            prop_assert_eq!(chart.unit_path(unit(i)), path.as_slice());
            if i == at {
                prop_assert_eq!(chart.units_of(person(0)), path.as_slice());
            }
        }
    }
}

/// Posts `p0` … with their superiors: a person, a post (also one that is not there), nobody.
fn posts() -> impl Strategy<Value = Vec<(String, Option<String>)>> {
    let superior = prop_oneof![
        1 => Just(None),
        2 => (0..4usize).prop_map(|i| Some(format!("e{i}"))),
        6 => (0..9usize).prop_map(|i| Some(format!("p{i}"))),
    ];
    vec((0..8usize, superior), 0..10).prop_map(|posts| {
        let post = |(i, superior)| (format!("p{i}"), superior);
        posts.into_iter().map(post).collect()
    })
}

proptest! {
    #[test]
    fn vacant_posts_are_passed_through_as_one_walks(posts in posts()) {
        // Two of the four are people, and a post that bears a person's id is that person.
        let who = |reference: &str| match reference {
            "e0" => Some(person(0)),
            "e1" | "p7" => Some(person(1)),
            _ => None,
        };
        let found = next_up(posts.iter().map(|(post, above)| (post.as_str(), above.as_deref())), who);
        let above = |post: &str| posts.iter().find(|(id, _)| id == post).map(|(_, above)| above.as_deref());
        for (post, _) in &posts {
            let mut walked = vec![post.as_str()];
            let expected = loop {
                match above(walked[walked.len() - 1]) {
                    None | Some(None) => break NextUp::Nobody,
                    Some(Some(next)) => match who(next) {
                        Some(id) => break NextUp::Is(id),
                        None if walked.contains(&next) => break NextUp::Circle,
                        None => walked.push(next),
                    },
                }
            };
            prop_assert_eq!(found.get(post.as_str()), Some(&expected), "{}", post);
        }
        let ids: BTreeSet<_> = posts.iter().map(|(post, _)| post.as_str()).collect();
        prop_assert_eq!(found.len(), ids.len());
    }
}

#[test]
fn a_vacant_post_leaves_nobody_without_a_superior_who_has_one_further_up() {
    let vacant = |above: Option<usize>| Superior::Vacant {
        post: "Head of Sales".into(),
        above: above.map(person),
    };
    // 0 leads; 1 is below 0 by the post; 2 is below 1; 3 is below a post that leads nowhere; 4
    // would be the own superior by the post; 5 is below one who left.
    let members = [
        member(0, Superior::Nobody),
        member(1, vacant(Some(0))),
        member(2, below(1)),
        member(3, vacant(None)),
        member(4, vacant(Some(4))),
        member(5, vacant(Some(99))),
    ];
    let (chart, findings) = OrgChart::build(&members, &[]);
    assert_eq!(
        chart.chain(person(2)).collect::<Vec<_>>(),
        [person(1), person(0)]
    );
    let told = |employee: usize, above: Option<usize>| Finding::VacantManager {
        employee: person(employee),
        post: "Head of Sales".into(),
        above: above.map(person),
    };
    assert_eq!(
        findings,
        [
            told(1, Some(0)),
            told(3, None),
            told(4, None),
            told(5, None)
        ]
    );
    for alone in [3, 4, 5] {
        assert_eq!(chart.manager(person(alone)), None);
    }
}

#[test]
fn a_chain_of_vacancies_closes_its_circle_by_nobody() {
    let members = [
        member(
            0,
            Superior::Vacant {
                post: "A".into(),
                above: Some(person(1)),
            },
        ),
        member(
            1,
            Superior::Vacant {
                post: "B".into(),
                above: Some(person(0)),
            },
        ),
    ];
    let (chart, findings) = OrgChart::build(&members, &[]);
    assert!(!chart.oversees(person(0), person(1)) && !chart.oversees(person(1), person(0)));
    assert!(
        findings
            .iter()
            .any(|finding| matches!(finding, Finding::Cycle { .. }))
    );
}

#[test]
fn a_circle_is_told_in_order_and_what_hangs_below_it_stays() {
    // 0 -> 1 -> 2 -> 0, and 3 below 1.
    let members = [
        member(0, below(1)),
        member(1, below(2)),
        member(2, below(0)),
        member(3, below(1)),
    ];
    let (chart, findings) = OrgChart::build(&members, &[]);
    assert_eq!(
        findings,
        [Finding::Cycle {
            members: vec![person(0), person(1), person(2)]
        }]
    );
    assert!(chart.oversees(person(1), person(3)));
    assert!(
        !chart.oversees(person(2), person(3)),
        "nothing is granted across a broken edge"
    );
    assert_eq!(chart.subtree(person(1)), [person(3)]);
}

#[test]
fn a_chain_of_a_hundred_thousand_needs_no_stack() {
    let n = 100_000;
    let members: Vec<_> = (0..n)
        .map(|i| {
            member(
                i,
                if i == 0 {
                    Superior::Nobody
                } else {
                    below(i - 1)
                },
            )
        })
        .collect();
    let (chart, findings) = OrgChart::build(&members, &[]);
    assert!(findings.is_empty());
    assert!(chart.oversees(person(0), person(n - 1)));
    assert!(!chart.oversees(person(n - 1), person(0)));
    assert_eq!(chart.subtree(person(0)).len(), n - 1);
}

#[test]
fn an_empty_chart_knows_nobody() {
    let (chart, findings) = OrgChart::build(&[], &[]);
    assert!(chart.is_empty() && findings.is_empty());
    assert!(!chart.oversees(person(0), person(1)));
    assert_eq!(chart.relation(person(0), person(1)), Relation::Stranger);
}

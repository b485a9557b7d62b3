//! Who decides about a correction: by place in the chart, by role, by standing in.

use serde::{Deserialize, Serialize};

use super::Approver;
use crate::{EmployeeId, UnitId};

/// How somebody stands to the person whose value it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Standing {
    /// They are the person.
    pub myself: bool,
    /// They are HR of the person's unit ([`hr_of_unit`]).
    pub hr: bool,
    /// They are the direct superior.
    pub direct: bool,
    /// They are in the chain of command, at any distance.
    pub above: bool,
    /// They are a superior by dotted line.
    pub dotted: bool,
}

impl Approver {
    /// Whether somebody who stands so to the person decides; superiors by dotted
    /// line only where the policy says so. Never the person themselves.
    #[must_use]
    pub const fn is(self, standing: Standing, dotted_too: bool) -> bool {
        let dotted = standing.dotted && dotted_too;
        !standing.myself
            && match self {
                Self::HrOfUnit => standing.hr,
                Self::Manager => standing.direct || dotted,
                Self::Chain => standing.above || dotted,
                Self::Nobody => false,
            }
    }
}

/// HR of somebody's unit: of the people with the role HR (`hr`, each with their
/// own unit), those whose unit is the nearest at or above the person's, whose
/// path is `units`, own unit first. Where there is nobody on the way up, all.
///
/// `whole` is the unit that every other one is below, if there is such: it is
/// the organization, so HR people in it are nobody's in particular. The person
/// is never among them.
#[must_use]
pub fn hr_of_unit(
    hr: &[(EmployeeId, Option<UnitId>)],
    whose: EmployeeId,
    units: &[UnitId],
    whole: Option<UnitId>,
) -> Vec<EmployeeId> {
    let others = || hr.iter().filter(|(id, _)| *id != whose);
    let of = |unit: UnitId| -> Vec<_> {
        let there = others().filter(|(_, own)| *own == Some(unit));
        there.map(|(id, _)| *id).collect()
    };
    units
        .iter()
        .filter(|unit| Some(**unit) != whole)
        .map(|unit| of(*unit))
        .find(|there| !there.is_empty())
        .unwrap_or_else(|| others().map(|(id, _)| *id).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn person(at: u8) -> EmployeeId {
        EmployeeId(Uuid::from_u128(u128::from(at)))
    }

    fn unit(at: u8) -> UnitId {
        UnitId(Uuid::from_u128(u128::from(at)))
    }

    #[test]
    fn an_approver_is_who_the_policy_says() {
        let nobody = Standing::default();
        let hr = Standing { hr: true, ..nobody };
        let above = Standing {
            above: true,
            ..nobody
        };
        let direct = Standing {
            direct: true,
            ..above
        };
        let dotted = Standing {
            dotted: true,
            ..nobody
        };
        let decides = |approver: Approver, too| {
            [hr, above, direct, dotted, nobody].map(|standing| approver.is(standing, too))
        };
        let [yes, no] = [true, false];
        assert_eq!(decides(Approver::HrOfUnit, yes), [yes, no, no, no, no]);
        assert_eq!(decides(Approver::Manager, no), [no, no, yes, no, no]);
        assert_eq!(decides(Approver::Manager, yes), [no, no, yes, yes, no]);
        assert_eq!(decides(Approver::Chain, no), [no, yes, yes, no, no]);
        assert_eq!(decides(Approver::Chain, yes), [no, yes, yes, yes, no]);
        assert_eq!(decides(Approver::Nobody, yes), [no; 5]);
    }

    #[test]
    fn nobody_decides_about_themselves() {
        let everything = Standing {
            myself: true,
            hr: true,
            direct: true,
            above: true,
            dotted: true,
        };
        for approver in Approver::ALL {
            assert!(!approver.is(everything, true));
        }
    }

    #[test]
    fn the_nearest_hr_decides_and_else_everybody() {
        // 1 is the whole, 2 a site below it, 3 a team of the site, 9 the HR department.
        let [whole, site, team, department] = [1, 2, 3, 9].map(unit);
        let [chief, of_site, first, second] = [10, 11, 12, 13].map(person);
        let hr = [
            (chief, Some(whole)),
            (of_site, Some(site)),
            (first, Some(department)),
            (second, None),
        ];
        let of = |whose, units: &[UnitId]| hr_of_unit(&hr, whose, units, Some(whole));
        assert_eq!(of(person(50), &[team, site, whole]), [of_site]);
        assert_eq!(
            of(person(50), &[unit(4), whole]),
            [chief, of_site, first, second]
        );
        assert_eq!(of(person(50), &[]), [chief, of_site, first, second]);
        // Alone in the unit, one's own are decided further up.
        assert_eq!(of(of_site, &[site, whole]), [chief, first, second]);
        // Two companies side by side have no unit above both.
        let hr = [(chief, Some(whole)), (of_site, Some(site))];
        assert_eq!(hr_of_unit(&hr, person(50), &[team, whole], None), [chief]);
    }

    proptest! {
        #[test]
        fn somebody_decides_wherever_there_is_hr_and_never_the_person(
            hr in proptest::collection::btree_map(0_u8..12, proptest::option::of(0_u8..6), 0..8),
            whose in 0_u8..12,
            path in proptest::sample::subsequence((0_u8..6).collect::<Vec<_>>(), 0..6).prop_shuffle(),
            whole in proptest::option::of(0_u8..6),
        ) {
            let hr: Vec<_> = hr.into_iter().map(|(id, own)| (person(id), own.map(unit))).collect();
            let (whose, path, whole) = (person(whose), path.into_iter().map(unit).collect::<Vec<_>>(), whole.map(unit));
            let found = hr_of_unit(&hr, whose, &path, whole);
            let others: BTreeSet<_> = hr.iter().map(|(id, _)| *id).filter(|id| *id != whose).collect();
            prop_assert_eq!(found.is_empty(), others.is_empty());
            prop_assert!(found.iter().all(|id| others.contains(id)));
            // How far up each stands; off the way is furthest.
            let height = |id: &EmployeeId| {
                let own = hr.iter().find(|(one, _)| one == id).and_then(|(_, own)| *own);
                let own = own.filter(|own| Some(*own) != whole);
                own.and_then(|own| path.iter().position(|unit| *unit == own)).unwrap_or(usize::MAX)
            };
            let nearest = others.iter().map(height).min();
            let expected: BTreeSet<_> = match nearest {
                Some(usize::MAX) | None => others,
                Some(nearest) => others.into_iter().filter(|id| height(id) == nearest).collect(),
            };
            prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }
}

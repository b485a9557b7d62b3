//! What a run would do: whom a worker is, what differs, and when to stop and ask.

use std::collections::BTreeMap;

use domain::{
    Attribute, EmployeeId, Value,
    erp::Worker,
    sync::{
        Change, Clue, Correlation, Key, Known, Limits, Match, StepKind, Tally, Totals, differences,
    },
};
use proptest::{collection::btree_map, option, prelude::*, sample::select};
use uuid::Uuid;

fn person(i: u128) -> EmployeeId {
    EmployeeId(Uuid::from_u128(i))
}

fn worker(external_id: &str, attributes: &[(Attribute, &str)]) -> Worker {
    Worker {
        external_id: external_id.into(),
        active: true,
        attributes: attributes
            .iter()
            .map(|(attribute, text)| (*attribute, Some((*text).into())))
            .collect(),
        manager: None,
        unit: None,
        ..Worker::default()
    }
}

#[test]
fn a_worker_is_known_by_id_then_by_number_and_mail() {
    use Attribute::{Emails, EmployeeNumber};
    let known = Known {
        by_external_id: [("42".to_owned(), person(1))].into(),
        by_number: [
            ("N-2".to_owned(), vec![person(2)]),
            ("N-9".to_owned(), vec![person(2), person(3)]),
        ]
        .into(),
        by_mail: [
            ("grace@northwind.example".to_owned(), vec![person(3)]),
            ("ada@northwind.example".to_owned(), vec![person(2)]),
            (
                "sales@northwind.example".to_owned(),
                vec![person(2), person(3)],
            ),
        ]
        .into(),
        ..Known::default()
    };
    let is = |external_id, attributes: &[(Attribute, &str)]| {
        known.correlate(&worker(external_id, attributes))
    };
    let (number, mail) = ((EmployeeNumber, "N-2"), (Emails, "Grace@Northwind.example"));

    assert_eq!(
        is("42", &[number, mail]),
        Match::Is(person(1)),
        "the source's own id is sure"
    );
    assert_eq!(is("7", &[number]), Match::Is(person(2)));
    assert_eq!(is("7", &[mail]), Match::Is(person(3)), "whatever the case");
    assert_eq!(
        is("7", &[(EmployeeNumber, "N-1"), mail]),
        Match::Is(person(3)),
        "a number that is new says nothing"
    );
    assert_eq!(
        is("7", &[number, (Emails, "ada@northwind.example")]),
        Match::Is(person(2)),
        "both say the same"
    );
    assert_eq!(
        is("7", &[number, mail]),
        Match::Ambiguous(vec![person(2), person(3)]),
        "the number's first"
    );
    assert_eq!(
        is("7", &[(EmployeeNumber, "N-9")]),
        Match::Ambiguous(vec![person(2), person(3)])
    );
    assert_eq!(
        is("7", &[(Emails, "sales@northwind.example")]),
        Match::Ambiguous(vec![person(2), person(3)])
    );
    assert_eq!(is("7", &[]), Match::New);
    assert_eq!(
        is("N-2", &[(EmployeeNumber, ""), (Emails, "")]),
        Match::New,
        "an empty value points to nobody"
    );
    assert_eq!(
        is("7", &[(EmployeeNumber, "n-2")]),
        Match::New,
        "a number is taken to the letter"
    );
}

#[test]
fn one_may_leave_and_a_tenth_may_but_not_more() {
    let stops = |leavers, active, percent| {
        let limits = Limits {
            leavers: percent,
            ..Limits::default()
        };
        let totals = Totals {
            leavers,
            ..Totals::default()
        };
        let tally = Tally {
            active,
            totals,
            ..Tally::default()
        };
        !limits.exceeded(&tally).is_empty()
    };
    assert!(!stops(0, 0, 10));
    assert!(!stops(1, 2, 10), "one person may always leave");
    assert!(!stops(4, 41, 10));
    assert!(stops(5, 41, 10));
    assert!(!stops(10_000, 100_000, 10), "exactly the share");
    assert!(stops(10_001, 100_000, 10));
    assert!(stops(2, 2, 99));
    assert!(
        !stops(100_000, 100_000, 100),
        "who allows everything gets it"
    );
    assert!(stops(2, 0, 10), "more leavers than there are people");
}

#[test]
fn each_step_is_counted_in_its_own_place() {
    let mut totals = Totals::default();
    for (times, kind) in (1..).zip([
        StepKind::Joiner,
        StepKind::Returner,
        StepKind::Mover,
        StepKind::Changed,
        StepKind::Leaver,
        StepKind::Undecided,
        StepKind::Scheduled,
    ]) {
        (0..times).for_each(|_| totals.count(kind));
    }
    let expected = Totals {
        joiners: 1,
        returners: 2,
        movers: 3,
        changed: 4,
        leavers: 5,
        undecided: 6,
        scheduled: 7,
        ..Totals::default()
    };
    assert_eq!(totals, expected);
}

#[test]
fn a_worker_is_called_by_the_best_name_there_is() {
    use Attribute::{DisplayName, EmployeeNumber, FamilyName, GivenName};
    let name = |attributes: &[(Attribute, &str)]| worker("42", attributes).name();
    let (given, family) = ((GivenName, "Grace"), (FamilyName, "Whitfield"));
    assert_eq!(
        name(&[(DisplayName, "Grace W."), given, family]),
        "Grace W."
    );
    assert_eq!(name(&[(DisplayName, ""), given, family]), "Grace Whitfield");
    assert_eq!(name(&[family, (EmployeeNumber, "N-2")]), "Whitfield");
    assert_eq!(name(&[(EmployeeNumber, "N-2")]), "N-2");
    assert_eq!(name(&[]), "42");
}

fn any_value() -> impl Strategy<Value = Option<Value>> {
    option::of(prop_oneof![
        any::<bool>().prop_map(Value::Flag),
        "[-ab]{0,2}".prop_map(Value::Text),
        proptest::collection::vec("[ab]{0,2}", 0..3).prop_map(Value::List),
    ])
}

fn any_attributes() -> impl Strategy<Value = BTreeMap<Attribute, Option<Value>>> {
    btree_map(select(&Attribute::ALL[..5]), any_value(), 0..5)
}

fn any_worker() -> impl Strategy<Value = Worker> {
    let reference = || option::of("[ab]{0,2}");
    (
        "[ab]{1,2}",
        any::<bool>(),
        any_attributes(),
        reference(),
        reference(),
        reference(),
    )
        .prop_map(
            |(external_id, active, attributes, manager, unit, photo)| Worker {
                external_id,
                active,
                attributes,
                manager,
                unit,
                photo,
                ..Worker::default()
            },
        )
}

proptest! {
    #[test]
    fn differences_lead_from_the_one_to_the_other(before in any_attributes(), now in any_attributes()) {
        let filled = |values: &BTreeMap<Attribute, Option<Value>>| -> BTreeMap<Attribute, Value> {
            let filled = values.iter().filter_map(|(attribute, value)| Some((*attribute, value.clone()?)));
            filled.filter(|(_, value)| !value.is_empty()).collect()
        };
        let changes = differences(&before, &now);
        prop_assert!(changes.is_sorted_by(|a, b| a.attribute < b.attribute), "each at most once");
        let mut applied = filled(&before);
        for Change { attribute, from, to } in &changes {
            prop_assert_ne!(from, to);
            prop_assert_eq!(applied.get(attribute), from.as_ref());
            match to {
                Some(value) => applied.insert(*attribute, value.clone()),
                None => applied.remove(attribute),
            };
        }
        prop_assert_eq!(applied, filled(&now));
        prop_assert_eq!(differences(&before, &before), []);
        let back = differences(&now, &before);
        let turned = |change: Change| Change { from: change.to, to: change.from, ..change };
        prop_assert_eq!(back, changes.into_iter().map(turned).collect::<Vec<_>>());
    }

    #[test]
    fn a_digest_tells_any_two_records_apart(a in any_worker(), b in any_worker()) {
        prop_assert_eq!(a.digest() == b.digest(), a == b);
        // One field of the other record is enough.
        for mixed in [
            Worker { active: b.active, ..a.clone() },
            Worker { attributes: b.attributes.clone(), ..a.clone() },
            Worker { manager: b.manager.clone(), ..a.clone() },
            Worker { unit: b.unit.clone(), ..a.clone() },
            Worker { photo: b.photo.clone(), ..a.clone() },
        ] {
            prop_assert_eq!(mixed.digest() == a.digest(), mixed == a);
        }
    }
}

#[test]
fn a_digest_tells_nothing_from_a_text_that_looks_like_it() {
    let with = |value| {
        let mut worker = worker("42", &[]);
        worker.attributes.insert(Attribute::Title, value);
        worker.digest()
    };
    assert_ne!(with(None), with(Some("-".into())));
    assert_ne!(with(None), with(Some("none".into())));
    assert_ne!(with(None), with(Some("".into())));
}

#[test]
fn a_source_says_by_what_its_people_are_told_and_what_only_proposes() {
    use Attribute::{BirthDate, DisplayName, Emails, EmployeeNumber, FamilyName, GivenName};
    let known = Known {
        by_other_id: [("42".to_owned(), vec![person(4)])].into(),
        by_number: [("N-2".to_owned(), vec![person(2)])].into(),
        by_mail: [("grace@northwind.example".to_owned(), vec![person(3)])].into(),
        by_name_and_birth: [("herrera tomas 1980-01-02".to_owned(), vec![person(1)])].into(),
        ..Known::default()
    };
    let by = |clues: &[(Key, bool)]| {
        Correlation(
            clues
                .iter()
                .map(|(by, sure)| Clue {
                    by: *by,
                    sure: *sure,
                })
                .collect(),
        )
    };
    let grace = worker(
        "42",
        &[(EmployeeNumber, "N-2"), (Emails, "grace@northwind.example")],
    );
    let told = |clues: &[(Key, bool)]| known.correlate_by(&grace, &by(clues));
    assert_eq!(told(&[]), Match::New, "told by nothing, everybody is new");
    assert_eq!(told(&[(Key::ExternalId, true)]), Match::Is(person(4)));
    assert_eq!(
        told(&[(Key::Mail, false)]),
        Match::Ambiguous(vec![person(3)]),
        "one who is not sure"
    );
    assert_eq!(
        told(&[(Key::EmployeeNumber, true), (Key::Mail, false)]),
        Match::Is(person(2)),
        "what is sure decides beside what is not"
    );
    assert_eq!(
        told(&[(Key::Mail, true), (Key::EmployeeNumber, true)]),
        Match::Ambiguous(vec![person(3), person(2)]),
        "in the order of the clues"
    );

    let born = |name: &[(Attribute, &str)]| {
        let mut one = worker("7", name);
        one.attributes.insert(BirthDate, Some("1980-01-02".into()));
        known.correlate_by(&one, &by(&[(Key::NameAndBirthDate, false)]))
    };
    let is = Match::Ambiguous(vec![person(1)]);
    assert_eq!(born(&[(GivenName, "Tomás"), (FamilyName, "Herrera")]), is);
    assert_eq!(
        born(&[(DisplayName, "HERRERA Tomas")]),
        is,
        "whatever the order, case and accents"
    );
    assert_eq!(
        born(&[(GivenName, "Tomás")]),
        Match::New,
        "half a name is none"
    );
    assert!(
        by(&[(Key::Mail, true), (Key::Mail, false)])
            .checked()
            .is_err()
    );
}

#[test]
fn dates_turn_once_each_way() {
    use chrono::NaiveDate;
    let day = |n: u32| NaiveDate::from_ymd_opt(2026, 11, n).expect("a day");
    let one = |starts: Option<u32>, ends: Option<u32>| Worker {
        starts_on: starts.map(day),
        ends_on: ends.map(day),
        ..worker("1", &[])
    };
    for (starts, ends) in [
        (None, None),
        (Some(10), None),
        (None, Some(20)),
        (Some(10), Some(20)),
        (Some(20), Some(10)),
    ] {
        let worker = one(starts, ends);
        for today in 1..30 {
            // What it says is the next day on which the answer is another one.
            let next =
                (today + 1..=30).find(|n| worker.works_on(day(*n)) != worker.works_on(day(today)));
            assert_eq!(
                worker.turns_after(day(today)),
                next.map(day),
                "{starts:?} to {ends:?}, on {today}"
            );
        }
    }
    let gone = Worker {
        active: false,
        ..one(Some(10), None)
    };
    assert_eq!(gone.turns_after(day(1)), None);
    let dated = one(Some(10), Some(20)).dated();
    assert_eq!(dated.text(Attribute::StartDate), Some("2026-11-10"));
    assert_eq!(dated.text(Attribute::EndDate), Some("2026-11-20"));
}

//! What a run would do: whom a worker is, what differs, and when to stop and ask.

use std::collections::BTreeMap;

use domain::{
    Attribute, EmployeeId, Value,
    erp::Worker,
    sync::{Change, Known, Match, StepKind, Totals, differences, suspicious},
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
    assert!(!suspicious(0, 0, 10));
    assert!(!suspicious(1, 2, 10), "one person may always leave");
    assert!(!suspicious(4, 41, 10));
    assert!(suspicious(5, 41, 10));
    assert!(!suspicious(10_000, 100_000, 10), "exactly the share");
    assert!(suspicious(10_001, 100_000, 10));
    assert!(suspicious(2, 2, 99));
    assert!(
        !suspicious(100_000, 100_000, 100),
        "who allows everything gets it"
    );
    assert!(suspicious(2, 0, 10), "more leavers than there are people");
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

//! Who wins: every combination of what can meet, and rules against an oracle.

use chrono::{DateTime, Utc};
use domain::{
    Attribute, SourceId, UnitId, Value, Violation,
    sourcing::{
        ErpValue, InForce, Origin, OwnValue, Resolved, Rule, Rules, Strength, Why, resolve,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use uuid::Uuid;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).expect("a moment")
}

fn unit(i: u128) -> UnitId {
    UnitId(Uuid::from_u128(i))
}

fn source(i: u128) -> SourceId {
    SourceId(Uuid::from_u128(i))
}

fn under(strength: Strength, empty_wins: bool) -> InForce {
    InForce {
        id: 7,
        strength,
        scope: None,
        source: None,
        enforced: false,
        empty_wins,
    }
}

fn own(text: &str, second: i64) -> OwnValue {
    OwnValue {
        value: text.into(),
        edited_at: at(second),
    }
}

fn erp(value: Option<&str>, second: i64) -> ErpValue {
    ErpValue {
        source: source(1),
        value: value.map(Value::from),
        changed_at: at(second),
        synced_at: at(100),
    }
}

/// Calls `check` with everything that can meet: an attribute that people can
/// edit and one that they cannot, every strength, an ERP without the field, with
/// it empty in two ways, with one of two values, an own value or none, and each
/// of them newer.
fn everything(mut check: impl FnMut(Attribute, InForce, Option<&ErpValue>, Option<&OwnValue>)) {
    for attribute in [Attribute::Title, Attribute::EmployeeNumber] {
        for strength in Strength::ALL {
            for empty_wins in [false, true] {
                for changed in [1, 2, 3] {
                    let erps = [
                        None,
                        Some(None),
                        Some(Some("")),
                        Some(Some("A")),
                        Some(Some("B")),
                    ];
                    for erp in erps.map(|value| value.map(|value| erp(value, changed))) {
                        for own in [None, Some(""), Some("A")]
                            .map(|value| value.map(|value| own(value, 2)))
                        {
                            check(
                                attribute,
                                under(strength, empty_wins),
                                erp.as_ref(),
                                own.as_ref(),
                            );
                        }
                    }
                }
            }
        }
    }
}

fn filled(value: Option<&Value>) -> Option<Value> {
    value.filter(|value| !value.is_empty()).cloned()
}

#[test]
fn nothing_is_lost_and_the_answer_says_whose_it_is() {
    let mut seen = 0;
    everything(|attribute, rule, erp, own| {
        seen += 1;
        let answer = resolve(attribute, rule, erp, own);
        assert_eq!(answer, resolve(attribute, rule, erp, own));
        assert_eq!(answer.rule, rule);
        let erp_value = filled(erp.and_then(|erp| erp.value.as_ref()));
        let own_value = filled(own.map(|own| &own.value)).filter(|_| attribute.spec().editable);
        let context = format!("{attribute} {rule:?} {erp:?} {own:?} -> {answer:?}");

        // Of two values, one is shown and the other one is kept.
        for value in [&erp_value, &own_value].into_iter().flatten() {
            assert!(
                [answer.value.as_ref(), answer.kept.as_ref()].contains(&Some(value)),
                "{context}"
            );
        }
        let (value, kept) = match answer.origin {
            Origin::Erp => (erp_value.clone(), own_value.clone()),
            Origin::Own => (own_value.clone(), erp_value.clone()),
            Origin::Both => {
                assert_eq!(erp_value, own_value, "{context}");
                (erp_value.clone(), None)
            }
            Origin::ErpOnly => {
                assert_eq!(own_value, None, "{context}");
                (erp_value.clone(), None)
            }
            Origin::OwnOnly => {
                assert_eq!(erp_value, None, "{context}");
                (own_value.clone(), None)
            }
            Origin::Nothing => (None, erp_value.clone()),
        };
        assert_eq!((&answer.value, &answer.kept), (&value, &kept), "{context}");
        // A field looks empty for one of two reasons only, if anything is there.
        if answer.value.is_none() && answer.kept.is_some() {
            assert!(
                matches!(answer.why, Why::EmptyWins | Why::ErpIgnored),
                "{context}"
            );
        }
    });
    assert_eq!(seen, 2 * 4 * 2 * 3 * 5 * 3);
}

#[test]
fn an_empty_erp_value_never_erases_an_own_one_unless_the_rule_says_so() {
    everything(|attribute, rule, erp, own| {
        let own_value = filled(own.map(|own| &own.value)).filter(|_| attribute.spec().editable);
        let erp_is_empty = filled(erp.and_then(|erp| erp.value.as_ref())).is_none();
        let Some(own_value) = own_value.filter(|_| erp_is_empty) else {
            return;
        };
        let answer = resolve(attribute, rule, erp, own);
        let newer = erp
            .zip(own)
            .is_some_and(|(erp, own)| erp.changed_at >= own.edited_at);
        let said_so = rule.empty_wins
            && erp.is_some()
            && (rule.strength == Strength::Strong || rule.strength == Strength::Normal && newer);
        let (value, kept) = if said_so {
            (None, Some(own_value))
        } else {
            (Some(own_value), None)
        };
        assert_eq!(
            (answer.value, answer.kept),
            (value, kept),
            "{rule:?} {erp:?}"
        );
        assert_eq!(
            answer.why,
            if said_so {
                Why::EmptyWins
            } else {
                Why::NoContest
            }
        );
    });
}

#[test]
fn lifting_a_rule_brings_the_own_value_back_exactly() {
    everything(|attribute, rule, erp, own| {
        let own_value = filled(own.map(|own| &own.value)).filter(|_| attribute.spec().editable);
        let Some(own_value) = own_value else { return };
        // Whatever held before: what is shown under no rule does not remember it.
        let _before = resolve(attribute, rule, erp, own);
        let lifted = Rules::default().in_force(attribute, &[unit(1)], Some(source(1)));
        assert_eq!(resolve(attribute, lifted, erp, own).value, Some(own_value));
    });
}

#[test]
fn what_may_be_edited_is_shown_once_it_is_and_what_may_not_is_not() {
    everything(|attribute, rule, erp, own| {
        let answer = resolve(attribute, rule, erp, own);
        let erp_holds = filled(erp.and_then(|erp| erp.value.as_ref())).is_some()
            || rule.empty_wins && erp.is_some();
        let locked = rule.strength == Strength::Strong && erp_holds;
        assert_eq!(answer.editable, attribute.spec().editable && !locked);
        let written = self::own("written now", 50);
        let shown = resolve(attribute, rule, erp, Some(&written)).value;
        assert_eq!(
            shown == Some(written.value),
            answer.editable,
            "{attribute} {rule:?} {erp:?}"
        );
    });
}

#[test]
fn each_strength_decides_as_it_is_described() {
    let decide = |strength, changed: i64| {
        let Resolved {
            value, origin, why, ..
        } = resolve(
            Attribute::Title,
            under(strength, false),
            Some(&erp(Some("ERP"), changed)),
            Some(&own("own", 5)),
        );
        (value.expect("a value").to_string(), origin, why)
    };
    let from_erp = |why| ("ERP".to_owned(), Origin::Erp, why);
    let from_own = |why| ("own".to_owned(), Origin::Own, why);
    assert_eq!(decide(Strength::Strong, 1), from_erp(Why::ErpWins));
    assert_eq!(decide(Strength::Normal, 4), from_own(Why::OwnNewer));
    assert_eq!(
        decide(Strength::Normal, 5),
        from_erp(Why::ErpNewer),
        "of the same moment, the ERP's"
    );
    assert_eq!(decide(Strength::Normal, 6), from_erp(Why::ErpNewer));
    assert_eq!(decide(Strength::Weak, 9), from_own(Why::OwnFirst));
    assert_eq!(decide(Strength::None, 9), from_own(Why::ErpIgnored));
    let ignored = resolve(
        Attribute::Title,
        under(Strength::None, false),
        Some(&erp(Some("ERP"), 1)),
        None,
    );
    assert_eq!(
        (ignored.value, ignored.kept, ignored.why),
        (None, Some("ERP".into()), Why::ErpIgnored)
    );
}

fn any_rule() -> impl Strategy<Value = Rule> {
    (
        select(vec![Attribute::Title, Attribute::Mobile]),
        option::of(0..6u128),
        option::of(0..2u128),
        select(Strength::ALL.to_vec()),
        any::<(bool, bool)>(),
    )
        .prop_map(
            |(attribute, of, from, strength, (enforced, empty_wins))| Rule {
                id: 0,
                attribute,
                unit: of.map(unit),
                source: from.map(source),
                strength,
                enforced,
                empty_wins,
            },
        )
}

/// A set without repetitions, as `succeed` leaves it.
fn any_rules() -> impl Strategy<Value = Vec<Rule>> {
    vec(any_rule(), 0..16).prop_map(|rules| {
        let mut once: Vec<Rule> = Vec::new();
        for rule in rules {
            if !once.iter().any(|other| key(other) == key(&rule)) {
                once.push(rule);
            }
        }
        once
    })
}

fn key(rule: &Rule) -> (Attribute, Option<UnitId>, Option<SourceId>) {
    (rule.attribute, rule.unit, rule.source)
}

proptest! {
    #[test]
    fn the_rule_in_force_is_the_one_that_one_finds_by_hand(
        rules in any_rules(), depth in 0..5u128, from in option::of(0..2u128),
    ) {
        let rules = Rules::default().succeed(rules).expect("no repetition");
        let (units, from): (Vec<_>, _) = ((0..depth).map(unit).collect(), from.map(source));
        // Own unit first, the organization last.
        let scopes: Vec<_> = units.iter().copied().map(Some).chain([None]).collect();
        let of = |scope: &Option<UnitId>, enforced: bool| {
            let mut here: Vec<_> = rules.rules.iter()
                .filter(|rule| rule.attribute == Attribute::Title && rule.unit == *scope && rule.enforced == enforced)
                .filter(|rule| rule.source.is_none() || rule.source == from)
                .collect();
            here.sort_by_key(|rule| rule.source.is_none());
            here.first().map(|rule| rule.id)
        };
        let enforced = scopes.iter().rev().find_map(|scope| of(scope, true));
        let nearest = scopes.iter().find_map(|scope| of(scope, false));
        let expected = enforced.or(nearest).unwrap_or(0);
        prop_assert_eq!(rules.in_force(Attribute::Title, &units, from).id, expected);
        // What nobody can edit is the ERP's, whatever the rules.
        let locked = rules.in_force(Attribute::EmployeeNumber, &units, from);
        prop_assert_eq!((locked.id, locked.strength, locked.enforced), (0, Strength::Strong, true));
    }

    #[test]
    fn an_enforced_rule_cannot_be_undercut(
        mut rules in any_rules(), mut upper in any_rule(), depth in 0..5u128, scope in any::<prop::sample::Index>(),
    ) {
        let units: Vec<_> = (0..depth).map(unit).collect();
        let height = |scope: Option<UnitId>| match scope {
            None => Some(units.len()),
            Some(scope) => units.iter().position(|other| *other == scope),
        };
        // The organization, or a unit of the path, enforces something; whatever else is said.
        upper.attribute = Attribute::Title;
        upper.enforced = true;
        upper.unit = units.get(scope.index(units.len() + 1)).copied();
        let (from, at_least) = (upper.source, height(upper.unit));
        rules.retain(|rule| key(rule) != key(&upper));
        rules.push(upper);

        let rules = Rules::default().succeed(rules).expect("no repetition");
        let rule = rules.in_force(Attribute::Title, &units, from);
        prop_assert!(rule.enforced);
        prop_assert!(height(rule.scope) >= at_least);
    }

    #[test]
    fn a_rule_keeps_its_number_and_no_number_is_used_twice(sets in vec(any_rules(), 1..6)) {
        let mut rules = Rules::default();
        let mut ever = Vec::new();
        for (version, set) in (1..).zip(sets) {
            let next = rules.succeed(set.clone()).expect("no repetition");
            prop_assert_eq!(next.version, version);
            prop_assert_eq!(next.rules.len(), set.len());
            prop_assert!(next.rules.is_sorted_by(|a, b| a.id < b.id));
            for rule in &next.rules {
                prop_assert!(rule.id > 0);
                let before = rules.rules.iter().find(|old| key(old) == key(rule));
                prop_assert!(before.is_none_or(|old| old.id == rule.id));
                prop_assert!(ever.iter().all(|(id, about)| *id != rule.id || *about == key(rule)), "{} is used twice", rule.id);
                ever.push((rule.id, key(rule)));
                prop_assert!(set.contains(&Rule { id: 0, ..rule.clone() }), "only the number is ours");
            }
            // It is kept as JSON between two versions.
            rules = serde_json::from_str(&serde_json::to_string(&next).expect("json")).expect("rules");
            prop_assert_eq!(&rules, &next);
        }
    }
}

#[test]
fn two_rules_about_the_same_are_refused() {
    let rule = Rule {
        id: 0,
        attribute: Attribute::Title,
        unit: None,
        source: None,
        strength: Strength::Strong,
        enforced: false,
        empty_wins: false,
    };
    let other = Rule {
        strength: Strength::Weak,
        enforced: true,
        ..rule.clone()
    };
    let refused = Rules::default().succeed(vec![rule, other]);
    assert_eq!(
        refused,
        Err(Violation::Duplicate {
            field: "rules".into(),
            value: "title".into()
        })
    );
}

#[test]
fn a_rule_about_an_attribute_that_is_not_there_is_not_read() {
    let read = |json: &str| serde_json::from_str::<Rule>(json);
    assert!(read(r#"{"attribute":"salary","strength":"strong"}"#).is_err());
    assert!(read(r#"{"attribute":"title","strength":"absolute"}"#).is_err());
    let rule = read(r#"{"attribute":"title","strength":"none"}"#).expect("the least there can be");
    assert_eq!(
        (
            rule.id,
            rule.unit,
            rule.source,
            rule.enforced,
            rule.empty_wins
        ),
        (0, None, None, false, false)
    );
}

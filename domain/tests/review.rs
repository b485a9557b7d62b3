//! Review: the history of the chart against the chart itself, and who may read what.

use chrono::{DateTime, Utc};
use domain::{
    EmployeeId, UnitId, Violation, delegation,
    org::{Member, OrgChart, Superior},
    review::{
        By, Edge, Notice, Oversight, OversightRule, Reach, Reason, Request, Span, When, may_read,
        spans_above,
    },
};
use proptest::{collection::vec, option, prelude::*};
use uuid::Uuid;

const PEOPLE: usize = 6;
const END: i64 = 24;

fn person(i: usize) -> EmployeeId {
    EmployeeId(Uuid::from_u128(i as u128))
}

fn unit(i: u128) -> UnitId {
    UnitId(Uuid::from_u128(i))
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).expect("a moment")
}

fn edge(employee: usize, manager: usize, from: i64, to: Option<i64>) -> Edge {
    Edge {
        employee: person(employee),
        manager: person(manager),
        from: at(from),
        to: to.map(at),
    }
}

/// Everyone's superiors one after the other, with gaps, some without end; circles and self-managers too.
fn history() -> impl Strategy<Value = Vec<Edge>> {
    let one = vec((0..3i64, 0..6i64, 0..PEOPLE), 0..5);
    (
        vec((one, any::<bool>()), PEOPLE),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(people, turn)| {
            let mut edges = Vec::new();
            for (employee, (turns, lasts)) in people.into_iter().enumerate() {
                let (mut from, count) = (0, turns.len());
                for (n, (gap, length, manager)) in turns.into_iter().enumerate() {
                    let to = from + gap + length;
                    let ends = n + 1 < count || !lasts;
                    edges.push(edge(employee, manager, from + gap, ends.then_some(to)));
                    from = to;
                }
            }
            if !edges.is_empty() {
                let by = turn.index(edges.len());
                edges.rotate_left(by);
            }
            edges
        })
}

fn chart_at(history: &[Edge], moment: i64) -> OrgChart {
    let manager = |id| {
        let now = |edge: &&Edge| {
            edge.employee == id
                && edge.from <= at(moment)
                && edge.to.is_none_or(|to| at(moment) < to)
        };
        history
            .iter()
            .find(now)
            .map_or(Superior::Nobody, |edge| Superior::Is(edge.manager))
    };
    let members: Vec<_> = (0..PEOPLE)
        .map(person)
        .map(|id| Member {
            id,
            manager: manager(id),
            unit: None,
        })
        .collect();
    OrgChart::build(&members, &[]).0
}

fn any_oversight_rule() -> impl Strategy<Value = OversightRule> {
    (option::of(0..5u128), any::<[bool; 4]>()).prop_map(|(of, [on, now, context, enforced])| {
        OversightRule {
            unit: of.map(unit),
            on,
            when: if now { When::Now } else { When::AtTheTime },
            context,
            max_days: 30,
            notice: Notice::AtOnce,
            enforced,
            dotted: false,
            delegates: false,
        }
    })
}

proptest! {
    #[test]
    fn the_spans_are_what_the_chart_says_at_every_moment(history in history()) {
        let charts: Vec<_> = (0..=END).map(|moment| chart_at(&history, moment)).collect();
        for superior in 0..PEOPLE {
            for subject in 0..PEOPLE {
                let (superior, subject) = (person(superior), person(subject));
                let spans = spans_above(&history, superior, subject);
                for (moment, chart) in (0..=END).zip(&charts) {
                    let above = spans.iter().any(|span| span.contains(at(moment)));
                    prop_assert_eq!(above, chart.oversees(superior, subject), "{} above {} at {}", superior, subject, moment);
                }
                prop_assert!(spans.iter().all(|span| span.to.is_none_or(|to| span.from < to)), "none is empty");
                prop_assert!(spans.is_sorted_by(|a, b| a.to.is_some_and(|to| to < b.from)), "in order and apart");
                if superior == subject {
                    prop_assert!(spans.is_empty(), "nobody is above themselves");
                }
            }
        }
    }

    #[test]
    fn words_are_read_only_from_above_and_only_where_the_policy_has_it(
        history in history(), rule in option::of(any_oversight_rule()), sent in 0..END, now in 0..END,
    ) {
        let (then, today) = (chart_at(&history, sent), chart_at(&history, now));
        for reviewer in (0..PEOPLE).map(person) {
            for writer in (0..PEOPLE).map(person) {
                let reach = Reach { now: today.oversees(reviewer, writer), spans: spans_above(&history, reviewer, writer) };
                let may = may_read(rule.as_ref(), &reach, at(sent));
                let above = |chart: &OrgChart| chart.oversees(reviewer, writer);
                let expected = rule.as_ref().is_some_and(|rule| rule.on && match rule.when {
                    When::Now => above(&today),
                    When::AtTheTime => above(&then),
                });
                prop_assert_eq!(may, expected);
                // Never one's own words, and nothing from the side or from below.
                if may {
                    let decides = if rule.as_ref().is_some_and(|rule| rule.when == When::Now) { &today } else { &then };
                    prop_assert_ne!(reviewer, writer);
                    prop_assert!(!decides.oversees(writer, reviewer));
                    prop_assert_ne!(decides.manager(reviewer), Some(writer));
                }
            }
        }
    }

    #[test]
    fn the_highest_enforced_rule_counts_else_the_nearest(rules in vec(any_oversight_rule(), 0..6), depth in 0..5u128) {
        let mut once: Vec<OversightRule> = Vec::new();
        for rule in rules {
            if !once.iter().any(|other| other.unit == rule.unit) {
                once.push(rule);
            }
        }
        let policy = Oversight::default().succeed(once).expect("one for each");
        prop_assert_eq!(policy.version, 1);
        let units: Vec<_> = (0..depth).map(unit).collect();
        let scopes: Vec<_> = units.iter().copied().map(Some).chain([None]).collect();
        let of = |scope: &Option<UnitId>| policy.rules.iter().find(|rule| rule.unit == *scope);
        let enforced = scopes.iter().rev().filter_map(of).find(|rule| rule.enforced);
        prop_assert_eq!(policy.in_force(&units), enforced.or_else(|| scopes.iter().find_map(of)));
    }

    #[test]
    fn a_request_is_filled_or_refused_whatever_it_asks(
        from in option::of(any_moment()), to in option::of(any_moment()), now in any_moment(),
    ) {
        let asked = Request { from, to, ..request("a complaint by the client") };
        match asked.checked(now) {
            Ok(checked) => {
                let start = checked.from.expect("it is filled");
                prop_assert!(from.is_none_or(|from| from == start));
                prop_assert!(checked.to == to && to.is_none_or(|to| start < to));
                prop_assert!(from.is_some() || start <= now);
            }
            Err(violation) => {
                prop_assert_eq!(violation, Violation::EmptyRange { field: "to".into() });
                prop_assert!(to.is_some());
            }
        }
    }
}

fn any_moment() -> impl Strategy<Value = DateTime<Utc>> {
    let few = (0..END).prop_map(at);
    prop_oneof![
        few,
        Just(DateTime::<Utc>::MIN_UTC),
        Just(DateTime::<Utc>::MAX_UTC)
    ]
}

fn request(text: &str) -> Request {
    let reason = Reason {
        category: "safety".into(),
        text: text.into(),
    };
    Request {
        subject: person(1),
        reason,
        case: None,
        from: None,
        to: None,
    }
}

#[test]
fn a_circle_above_or_around_grants_nothing_while_it_lasts() {
    // 0 reports to 1 all the time; 1 and 2 to each other from 10 to 20.
    let history = [
        edge(0, 1, 0, None),
        edge(1, 2, 0, None),
        edge(2, 1, 10, Some(20)),
    ];
    let spans = |superior| spans_above(&history, person(superior), person(0));
    assert_eq!(
        spans(1),
        [Span {
            from: at(0),
            to: None
        }]
    );
    assert_eq!(
        spans(2),
        [
            Span {
                from: at(0),
                to: Some(at(10))
            },
            Span {
                from: at(20),
                to: None
            }
        ],
        "as in the chart, the circle's edges do not count"
    );
    assert_eq!(
        spans_above(&history, person(1), person(2)),
        [],
        "2 has a superior only within the circle"
    );
}

#[test]
fn moving_under_the_same_superior_is_one_span() {
    // 0 moves from 1 to 2, both of whom are below 3.
    let history = [
        edge(0, 1, 0, Some(5)),
        edge(0, 2, 5, Some(9)),
        edge(1, 3, 0, None),
        edge(2, 3, 0, None),
    ];
    assert_eq!(
        spans_above(&history, person(3), person(0)),
        [Span {
            from: at(0),
            to: Some(at(9))
        }]
    );
    assert_eq!(
        spans_above(&history, person(1), person(0)),
        [Span {
            from: at(0),
            to: Some(at(5))
        }]
    );
}

#[test]
fn without_a_policy_nothing_may_be_read() {
    let reach = Reach {
        now: true,
        spans: vec![Span {
            from: at(0),
            to: None,
        }],
    };
    assert_eq!(Oversight::default().in_force(&[unit(1)]), None);
    assert!(!may_read(None, &reach, at(1)));
}

#[test]
fn a_policy_is_refused_if_it_repeats_itself_or_never_ends() {
    let rule = |of: Option<u128>, max_days| OversightRule {
        unit: of.map(unit),
        on: true,
        when: When::AtTheTime,
        context: false,
        max_days,
        notice: Notice::AtTheEnd,
        enforced: false,
        dotted: false,
        delegates: false,
    };
    let set = |rules: Vec<OversightRule>| Oversight::default().succeed(rules);
    assert!(set(vec![rule(None, 1), rule(Some(1), 90)]).is_ok());
    for repeated in [None, Some(1)] {
        let refused = set(vec![rule(repeated, 30), rule(repeated, 60)]);
        assert!(matches!(refused, Err(Violation::Duplicate { field, .. }) if field == "unit"));
    }
    for days in [0, 91] {
        assert!(
            matches!(set(vec![rule(None, days)]), Err(Violation::Unknown { field, .. }) if field == "max_days")
        );
    }
}

#[test]
fn a_request_says_why_in_words() {
    let now = at(100 * 86_400);
    let checked = request("  a complaint\r\nby the client ")
        .checked(now)
        .expect("a good reason");
    assert_eq!(checked.reason.text, "a complaint\nby the client");
    assert_eq!((checked.from, checked.to), (Some(at(70 * 86_400)), None));

    let refused = |request: Request| request.checked(now).expect_err("not good enough");
    assert_eq!(
        refused(request(" \u{200B} ")),
        Violation::Required {
            field: "reason.text".into()
        }
    );
    assert_eq!(
        refused(request("because")),
        Violation::TooShort {
            field: "reason.text".into(),
            min: 8,
            got: 7
        }
    );
    assert!(matches!(
        refused(request(&"x".repeat(2001))),
        Violation::TooLong {
            max: 2000,
            got: 2001,
            ..
        }
    ));
    let of = |category: &str| Request {
        reason: Reason {
            category: category.into(),
            text: "a complaint by the client".into(),
        },
        ..request("")
    };
    assert_eq!(
        refused(of(" ")),
        Violation::Required {
            field: "reason.category".into()
        }
    );
    assert_eq!(refused(of(&"x".repeat(61))).field(), "reason.category");
    assert_eq!(
        of("works_council")
            .checked(now)
            .map(|asked| asked.reason.category)
            .as_deref(),
        Ok("works_council")
    );

    let case = |case: &str| Request {
        case: Some(case.into()),
        ..request("a complaint by the client")
    };
    assert_eq!(
        case(" HR-12 ").checked(now).map(|asked| asked.case),
        Ok(Some("HR-12".into()))
    );
    assert_eq!(case(" ").checked(now).map(|asked| asked.case), Ok(None));
    assert_eq!(refused(case(&"x".repeat(61))).field(), "case");
}

#[test]
fn other_relations_review_only_where_the_policy_says_so() {
    let rule = |on, dotted, delegates| OversightRule {
        unit: None,
        on,
        when: When::Now,
        context: false,
        max_days: 7,
        notice: Notice::AtOnce,
        enforced: false,
        dotted,
        delegates,
    };
    let delegate = By::Delegate(person(1));
    assert!(rule(true, false, false).lets(By::Line));
    assert!(!rule(true, false, true).lets(By::Dotted));
    assert!(!rule(true, true, false).lets(delegate));
    assert!(rule(true, true, true).lets(By::Dotted) && rule(true, true, true).lets(delegate));
    for by in [By::Line, By::Dotted, delegate] {
        assert!(!rule(false, true, true).lets(by), "off is off");
    }
    // A policy of before knows nothing of the two.
    let kept = r#"{"on":true,"when":"now","max_days":7,"notice":"at_once"}"#;
    let kept: OversightRule = serde_json::from_str(kept).expect("a rule");
    assert!(!kept.dotted && !kept.delegates);
}

proptest! {
    #[test]
    fn who_stands_in_has_the_superiors_reach_in_that_time_and_no_other(
        history in history(), from in 0..END, length in 1..END, now in 0..END,
    ) {
        let time = Span { from: at(from), to: Some(at(from + length)) };
        let chart = chart_at(&history, now);
        let (manager, delegate) = (person(0), person(1));
        for subject in (0..PEOPLE).map(person) {
            let own = Reach { now: chart.oversees(manager, subject), spans: spans_above(&history, manager, subject) };
            let reach = own.in_place(time, at(now));
            let within = from <= now && now < from + length;
            prop_assert_eq!(reach.now, own.now && within);
            for moment in 0..END {
                let holds = |reach: &Reach| reach.spans.iter().any(|span| span.contains(at(moment)));
                let expected = within && holds(&own) && from <= moment && moment < from + length;
                prop_assert_eq!(holds(&reach), expected, "at {}", moment);
            }
            let reaches = delegation::reaches(&chart, delegate, manager, subject);
            let spared = subject == delegate || subject == manager || chart.oversees(subject, delegate);
            prop_assert_eq!(reaches, !spared);
        }
    }
}

#[test]
fn a_stand_in_is_somebody_else_for_a_time_that_ends() {
    let below = |i, manager| Member {
        id: person(i),
        manager,
        unit: None,
    };
    let (chart, _) = OrgChart::build(
        &[
            below(0, Superior::Nobody),
            below(1, Superior::Is(person(0))),
            below(2, Superior::Nobody),
        ],
        &[],
    );
    let day = |n: u32| chrono::NaiveDate::from_ymd_opt(2026, 11, n).expect("a day");
    let ask = |delegate: usize, from, until| {
        delegation::Request {
            delegate: person(delegate),
            from: day(from),
            until: day(until),
        }
        .check(&chart, person(0), day(10))
    };
    assert_eq!(ask(1, 10, 10), Ok(()));
    assert_eq!(ask(2, 1, 30), Ok(()), "somebody outside the line");
    let field = |asked: Result<(), Violation>| asked.expect_err("refused").field().to_owned();
    assert_eq!(field(ask(0, 10, 12)), "delegate", "themselves");
    assert_eq!(field(ask(5, 10, 12)), "delegate", "nobody who is here");
    assert_eq!(field(ask(1, 12, 11)), "until");
    assert_eq!(field(ask(1, 1, 9)), "until", "over already");
    let alone = delegation::Request {
        delegate: person(0),
        from: day(10),
        until: day(11),
    };
    assert_eq!(
        field(alone.check(&chart, person(1), day(10))),
        "delegate",
        "who oversees nobody has nobody stand in"
    );
}

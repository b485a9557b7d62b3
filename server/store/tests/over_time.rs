//! People over time and between sources: dates ahead, vacant posts, dotted lines, stand-ins, and one
//! person of whom several sources speak.

mod support;

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use chrono::NaiveDate;
use domain::{
    Attribute, EmployeeId, Roles, SourceId, Value, Viewer,
    delegation::Request as Delegating,
    erp::{Delegate, OrgUnit, Vacancy, Worker},
    org::Finding,
    review::{By, Notice, Oversight, OversightRule, Reason, Request, When},
    sourcing::Priority,
    sync::{Clue, Correlation, Key, StepKind},
};
use store::{
    Error, Store,
    chat::NewConversation,
    review::ReviewQuery,
    run::{Phase, Read, Run},
    source::Decision,
};
use support::{
    Cast, World, everywhere,
    firm::{self, finish, id, set, steps},
};

const SYSTEM: Viewer = Viewer::system("test");
const DAY: Duration = Duration::from_secs(24 * 3600);

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn worker(id: &str, name: &str, manager: Option<&str>) -> Worker {
    firm::worker(id, name, manager, Some("u1"))
}

/// Ada leads; Bo and Cy are below her; Eve is below Bo. Ten more below Cy, so that one or two who
/// leave are few.
fn firm() -> Vec<Worker> {
    let mut firm = vec![
        worker("a", "Ada", None),
        worker("b", "Bo", Some("a")),
        worker("c", "Cy", Some("a")),
        worker("e", "Eve", Some("b")),
    ];
    firm.extend((0..10).map(|n| worker(&format!("x{n}"), &format!("Extra {n}"), Some("c"))));
    firm
}

/// A source as it speaks: who is in it, and which posts nobody holds.
struct Says<'a> {
    workers: &'a [Worker],
    posts: &'a [Vacancy],
    /// Who is there beside those who are read again; none where what is read is everything.
    present: Option<&'a [&'a str]>,
}

impl<'a> Says<'a> {
    fn all(workers: &'a [Worker]) -> Self {
        Self {
            workers,
            posts: &[],
            present: None,
        }
    }
}

async fn plan(store: &Store, source: SourceId, dry: bool, says: Says<'_>) -> Run {
    let run = store.begin_run(&SYSTEM, source, dry).await.unwrap().id;
    let unit = |id: &str, name: &str| OrgUnit {
        external_id: id.into(),
        name: name.into(),
        parent: None,
        heads: Vec::new(),
    };
    let units = vec![unit("u1", "Works"), unit("u2", "Office")];
    let posts = says.posts.to_vec();
    store
        .read_units(&SYSTEM, run, units, posts, vec![])
        .await
        .unwrap();
    let page = Read {
        workers: says.workers.to_vec(),
        faults: Vec::new(),
    };
    store.read_page(&SYSTEM, run, page).await.unwrap();
    let present = says.present.map(|ids| {
        let read = says.workers.iter().map(|worker| worker.external_id.clone());
        read.chain(ids.iter().map(|id| (*id).to_owned())).collect()
    });
    store.plan_run(&SYSTEM, run, present).await.unwrap()
}

async fn sync(store: &Store, source: SourceId, says: Says<'_>) -> Run {
    let run = plan(store, source, false, says).await;
    assert_eq!(run.phase, Phase::Applying, "{run:?}");
    finish(store, run.id).await
}

async fn works(world: &World, who: EmployeeId) -> bool {
    let person = world.store.person(&SYSTEM, who).await.unwrap();
    assert_eq!(world.store.chart().chart.contains(who), person.active);
    person.active
}

/// The superiors that somebody has had: whether each still is.
async fn superiors(world: &World, whose: EmployeeId) -> Vec<(EmployeeId, bool)> {
    let ask = "SELECT manager_id, to_at IS NULL FROM manager_history WHERE employee_id = $1 ORDER BY from_at";
    let rows = world.rows(ask, [whose.0.into()]).await;
    rows.iter()
        .map(|row| {
            (
                EmployeeId(row.try_get_by_index(0).unwrap()),
                row.try_get_by_index(1).unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn who_starts_on_friday_comes_in_on_friday() {
    everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let mut workers = firm();
        let mut flo = worker("f", "Flo", Some("b"));
        flo.starts_on = Some(day("2026-03-06"));
        workers.push(flo);
        let run = sync(store, source, Says::all(&workers)).await;
        assert_eq!((run.totals.joiners, run.totals.scheduled), (14, 1));
        let step = &steps(store, run.id).await["f"];
        assert_eq!((step.kind, step.employee), (StepKind::Scheduled, None));
        let starts = step
            .changes
            .iter()
            .find(|change| change.attribute == Attribute::StartDate);
        assert_eq!(
            starts.unwrap().to,
            Some("2026-03-06".into()),
            "the plan says when"
        );
        let ahead = store.ahead(&SYSTEM, source).await.unwrap();
        assert_eq!(ahead.len(), 1);
        assert_eq!((ahead[0].name.as_str(), ahead[0].comes), ("Flo", true));
        assert_eq!((ahead[0].day, ahead[0].employee), (day("2026-03-06"), None));
        assert_eq!(store.chart().chart.len(), 14, "nobody before the first day");

        // Read again, there is nothing new to say of them.
        let again = sync(store, source, Says::all(&workers)).await;
        assert_eq!((again.steps, again.totals.unchanged), (0, 15));
        world.clock.advance(3 * DAY);
        assert_eq!(store.turn_day(&SYSTEM).await.unwrap(), [], "Thursday");

        // Friday, a moment after midnight: no word of the source is needed.
        world.clock.advance(DAY - Duration::from_secs(9 * 3600 - 1));
        let read_at = store.source(&SYSTEM, source).await.unwrap().last_read_at;
        let runs = store.turn_day(&SYSTEM).await.unwrap();
        assert_eq!(runs.len(), 1);
        assert_eq!((runs[0].phase, runs[0].totals.joiners), (Phase::Done, 1));
        let flo = id(world, "f").await;
        assert!(works(world, flo).await);
        assert_eq!(store.chart().chart.manager(flo), Some(id(world, "b").await));
        assert_eq!(store.ahead(&SYSTEM, source).await.unwrap(), []);
        let after = store.source(&SYSTEM, source).await.unwrap().last_read_at;
        assert_eq!(after, read_at, "the source was not read by that");
        assert_eq!(store.turn_day(&SYSTEM).await.unwrap(), [], "once");
        let again = sync(store, source, Says::all(&workers)).await;
        assert_eq!(again.steps, 0, "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn the_day_is_the_organizations() {
    everywhere(async |world| {
        let store = &world.store;
        store.keep_days_of(chrono_tz::Pacific::Auckland);
        let source = world.source("ERP").await;
        let mut workers = firm();
        workers[3].starts_on = Some(day("2026-03-03"));
        sync(store, source, Says::all(&workers)).await;
        // 10:59 UTC is 23:59 in Auckland, where it is summer.
        world.clock.advance(Duration::from_secs(2 * 3600 - 60));
        assert_eq!(store.turn_day(&SYSTEM).await.unwrap(), []);
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(store.turn_day(&SYSTEM).await.unwrap().len(), 1);
        assert_eq!(store.today(), day("2026-03-03"));
        assert!(works(world, id(world, "e").await).await);
    })
    .await;
}

#[tokio::test]
async fn who_is_gone_from_the_source_before_the_first_day_does_not_come() {
    everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let mut workers = firm();
        workers[3].starts_on = Some(day("2026-03-04"));
        sync(store, source, Says::all(&workers)).await;
        workers.remove(3);
        let run = sync(store, source, Says::all(&workers)).await;
        assert_eq!((run.steps, run.totals.leavers), (0, 0));
        assert_eq!(store.ahead(&SYSTEM, source).await.unwrap(), []);
        world.clock.advance(5 * DAY);
        assert_eq!(store.turn_day(&SYSTEM).await.unwrap(), []);
        assert_eq!(store.chart().chart.len(), 13);
    })
    .await;
}

#[tokio::test]
async fn who_is_gone_until_a_day_is_shown_as_last_told_and_has_nobody_standing_in() {
    everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let mut workers = firm();
        sync(store, source, Says::all(&workers)).await;
        let bo = id(world, "b").await;
        workers[1].starts_on = Some(day("2026-03-10"));
        set(&mut workers[1], Attribute::Title, "Foreman");
        assert_eq!(
            sync(store, source, Says::all(&workers))
                .await
                .totals
                .leavers,
            1
        );
        let shown = "SELECT count(*) FROM employees WHERE title = 'Foreman' AND NOT active";
        assert_eq!(world.count(shown).await, 1, "as the profile says");

        // What is said of the time after the day begins with it, and is not kept if it is taken back.
        workers[1].dotted = vec!["c".into()];
        workers[1].delegate = Some(Delegate {
            to: "c".into(),
            from: day("2026-03-02"),
            until: None,
        });
        sync(store, source, Says::all(&workers)).await;
        let open = "SELECT (SELECT count(*) FROM delegations WHERE ended_at IS NULL)
            + (SELECT count(*) FROM dotted_lines WHERE to_at IS NULL)";
        assert_eq!(world.count(open).await, 0);

        // Gone from the source and back in it with the same words, the day counts again.
        let mut others = workers.clone();
        others.remove(1);
        sync(store, source, Says::all(&others)).await;
        assert_eq!(store.ahead(&SYSTEM, source).await.unwrap(), []);
        let run = sync(store, source, Says::all(&workers)).await;
        assert_eq!(steps(store, run.id).await["b"].kind, StepKind::Scheduled);
        assert_eq!(
            store.ahead(&SYSTEM, source).await.unwrap()[0].employee,
            Some(bo)
        );
        world.clock.advance(9 * DAY);
        assert_eq!(
            store.turn_day(&SYSTEM).await.unwrap()[0].totals.returners,
            1
        );
        assert_eq!(world.count(open).await, 2, "here with the day");
        workers[1].starts_on = Some(day("2026-04-01"));
        sync(store, source, Says::all(&workers)).await;
        assert_eq!(world.count(open).await, 0);
        (workers[1].dotted, workers[1].delegate, workers[1].starts_on) = (Vec::new(), None, None);
        sync(store, source, Says::all(&workers)).await;
        assert!(works(world, bo).await);
        assert_eq!(world.count(open).await, 0);
    })
    .await;
}

#[tokio::test]
async fn the_last_day_is_worked_and_the_sign_in_ends_after_it() {
    everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let mut workers = firm();
        sync(store, source, Says::all(&workers)).await;
        let bo = id(world, "b").await;
        let account = "INSERT INTO accounts (employee_id, login, roles, created_at) VALUES ($1, 'bo', 'employee', $2)";
        world.execute(account, [bo.0.into(), world.clock.now().into()]).await;
        let sign_in = "INSERT INTO sign_ins (id, employee_id, token, created_at, last_seen_at, expires_at) VALUES ($1, $2, FALSE, $3, $3, $4)";
        let now = world.clock.now();
        let late = now + chrono::TimeDelta::days(90);
        world
            .execute(sign_in, [world.uuid().into(), bo.0.into(), now.into(), late.into()])
            .await;

        workers[1].ends_on = Some(day("2026-03-06"));
        let run = sync(store, source, Says::all(&workers)).await;
        let step = &steps(store, run.id).await["b"];
        assert_eq!(step.kind, StepKind::Changed);
        assert_eq!(step.changes[0].attribute, Attribute::EndDate);
        assert_eq!(step.changes[0].to, Some("2026-03-06".into()));
        let ahead = store.ahead(&SYSTEM, source).await.unwrap();
        assert_eq!((ahead[0].comes, ahead[0].day), (false, day("2026-03-06")));
        assert_eq!(ahead[0].employee, Some(bo));

        // The superior and the person see it, a colleague does not.
        let sees = async |who: EmployeeId| {
            let viewer = Viewer::person(who, Roles::EMPLOYEE);
            let profile = store.profile(&viewer, bo).await.unwrap();
            let mut values = profile.values.into_iter();
            values.find(|value| value.attribute == Attribute::EndDate).and_then(|value| value.resolved.value)
        };
        let last: Option<Value> = Some("2026-03-06".into());
        assert_eq!(sees(id(world, "a").await).await, last);
        assert_eq!(sees(bo).await, last);
        assert_eq!(sees(id(world, "c").await).await, None);

        world.clock.advance(4 * DAY);
        assert_eq!(store.turn_day(&SYSTEM).await.unwrap(), [], "Friday is worked");
        assert!(works(world, bo).await);
        world.clock.advance(Duration::from_secs(15 * 3600));
        let runs = store.turn_day(&SYSTEM).await.unwrap();
        assert_eq!((runs.len(), runs[0].totals.leavers), (1, 1));
        assert!(!works(world, bo).await);
        let open = "SELECT count(*) FROM sign_ins WHERE ended_at IS NULL";
        assert_eq!(world.count(open).await, 0, "the sign-in has ended");
        assert_eq!(superiors(world, bo).await, [(id(world, "a").await, false)]);
        assert_eq!(
            world.count("SELECT count(*) FROM audit_entries WHERE action = 'person.left'").await,
            1
        );
        assert_eq!(sync(store, source, Says::all(&workers)).await.steps, 0, "told already");

        // Back on a day ahead: the same person, with what they wrote.
        world.own(bo, Attribute::About, "I mend cranes.".into()).await;
        workers[1].ends_on = None;
        workers[1].starts_on = Some(day("2026-03-10"));
        let run = sync(store, source, Says::all(&workers)).await;
        let step = &steps(store, run.id).await["b"];
        assert_eq!((step.kind, step.employee), (StepKind::Scheduled, Some(bo)));
        assert!(!works(world, bo).await);
        world.clock.advance(4 * DAY);
        let runs = store.turn_day(&SYSTEM).await.unwrap();
        assert_eq!((runs.len(), runs[0].totals.returners), (1, 1));
        assert!(works(world, bo).await);
        let own = "SELECT count(*) FROM own_values";
        assert_eq!(world.count(own).await, 1);
        let ada = id(world, "a").await;
        assert_eq!(superiors(world, bo).await, [(ada, false), (ada, true)]);
        assert_eq!(sync(store, source, Says::all(&workers)).await.steps, 0);
    })
    .await;
}

#[tokio::test]
async fn a_run_of_what_changed_takes_in_whose_day_has_come() {
    everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let mut workers = firm();
        workers[1].ends_on = Some(day("2026-03-02"));
        let mut flo = worker("f", "Flo", Some("c"));
        flo.starts_on = Some(day("2026-03-03"));
        workers.push(flo);
        sync(store, source, Says::all(&workers)).await;
        world.clock.advance(DAY);
        let present: Vec<_> = workers.iter().map(|one| one.external_id.as_str()).collect();
        let nothing = Says {
            workers: &[],
            posts: &[],
            present: Some(&present),
        };
        let run = sync(store, source, nothing).await;
        assert_eq!(
            (run.totals.joiners, run.totals.leavers, run.steps),
            (1, 1, 2)
        );
        assert!(!works(world, id(world, "b").await).await);
        assert!(works(world, id(world, "f").await).await);
        assert_eq!(store.turn_day(&SYSTEM).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn many_last_days_at_once_ask_before_anybody_is_gone() {
    everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let mut workers = firm();
        for one in &mut workers[4..9] {
            one.ends_on = Some(day("2026-03-04"));
        }
        sync(store, source, Says::all(&workers)).await;
        world.clock.advance(3 * DAY);
        let runs = store.turn_day(&SYSTEM).await.unwrap();
        assert_eq!(runs[0].phase, Phase::Waiting, "{runs:?}");
        assert_eq!(store.chart().chart.len(), 14);
        assert_eq!(
            store.turn_day(&SYSTEM).await.unwrap(),
            [],
            "it waits for somebody's word"
        );
        store.approve_run(&SYSTEM, runs[0].id).await.unwrap();
        finish(store, runs[0].id).await;
        assert_eq!(store.chart().chart.len(), 9);
    })
    .await;
}

fn post(id: &str, manager: Option<&str>) -> Vacancy {
    Vacancy {
        external_id: id.into(),
        title: format!("Post {id}"),
        unit: None,
        manager: manager.map(str::to_owned),
    }
}

#[tokio::test]
async fn whoever_is_next_above_a_vacant_post_takes_its_place() {
    everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let mut workers = firm();
        workers[3].manager = Some("p1".into());
        let says = |posts: &'static [(&str, Option<&str>)]| {
            let posts: Vec<_> = posts.iter().map(|(id, above)| post(id, *above)).collect();
            posts
        };
        let run = async |workers: &[Worker], posts: &[Vacancy]| {
            world.clock.advance(Duration::from_secs(3600));
            let says = Says { workers, posts, present: None };
            sync(store, source, says).await
        };
        run(&workers, &says(&[("p1", Some("p2")), ("p2", Some("a"))])).await;
        let (ada, bo, eve) = (id(world, "a").await, id(world, "b").await, id(world, "e").await);
        let told = |above: Option<EmployeeId>| Finding::VacantManager {
            employee: eve,
            post: "Post p1".into(),
            above,
        };
        let chart = || store.chart();
        assert_eq!(chart().chart.manager(eve), Some(ada), "two posts further up");
        assert!(chart().findings.contains(&told(Some(ada))), "{:?}", chart().findings);
        assert_eq!(superiors(world, eve).await, [(ada, true)], "the history says so too");

        // Another one above the upper post: nobody's record changed.
        let moved = run(&workers, &says(&[("p1", Some("p2")), ("p2", Some("b"))])).await;
        assert_eq!(moved.steps, 0);
        assert_eq!(chart().chart.manager(eve), Some(bo));
        assert_eq!(superiors(world, eve).await, [(ada, false), (bo, true)]);
        let again = run(&workers, &says(&[("p1", Some("p2")), ("p2", Some("b"))])).await;
        assert_eq!((again.steps, superiors(world, eve).await.len()), (0, 2));

        // In a circle, and above nobody: told, and nobody oversees.
        for posts in [says(&[("p1", Some("p2")), ("p2", Some("p1"))]), says(&[("p1", None)])] {
            run(&workers, &posts).await;
            assert_eq!(chart().chart.manager(eve), None);
            assert!(chart().findings.contains(&told(None)));
        }
        let open = superiors(world, eve).await.into_iter().filter(|(_, lasts)| *lasts);
        assert_eq!(open.count(), 0);

        // The post is taken away with the report still on it.
        run(&workers, &[]).await;
        let missing = |finding: &Finding| matches!(finding, Finding::MissingManager { employee, .. } if *employee == eve);
        assert!(chart().findings.iter().any(missing), "{:?}", chart().findings);
        // And somebody takes it: a person who has the post's id.
        workers.push(worker("p1", "Pia", Some("a")));
        run(&workers, &[]).await;
        assert_eq!(chart().chart.manager(eve), Some(id(world, "p1").await));
        assert!(!chart().findings.iter().any(missing));
    })
    .await;
}

#[tokio::test]
async fn dotted_lines_and_stand_ins_come_with_the_records() {
    everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let mut workers = firm();
        // Eve also reports to Cy, and to somebody who is not there yet.
        workers[3].dotted = vec!["z".into(), "c".into()];
        workers[1].delegate = Some(Delegate {
            to: "c".into(),
            from: day("2026-03-02"),
            until: Some(day("2026-03-03")),
        });
        sync(store, source, Says::all(&workers)).await;
        let (ada, bo, cy, eve) = (
            id(world, "a").await,
            id(world, "b").await,
            id(world, "c").await,
            id(world, "e").await,
        );
        let place = async |who| {
            store
                .place(&Viewer::person(ada, Roles::EMPLOYEE), who)
                .await
                .unwrap()
        };
        let names = |cards: &[store::people::PersonCard]| -> Vec<_> {
            cards.iter().map(|card| card.display_name.clone()).collect()
        };
        assert_eq!(names(&place(eve).await.dotted), ["Cy"]);
        assert_eq!(names(&place(cy).await.dotted_reports), ["Eve"]);
        let stand_ins = place(bo).await.stand_ins;
        assert_eq!(
            (stand_ins[0].person.id, stand_ins[0].until),
            (cy, Some(day("2026-03-03")))
        );
        assert_eq!(place(cy).await.stands_in_for[0].person.id, bo);

        // The third one comes, and stands first, as the source has them.
        workers.push(worker("z", "Zoe", Some("a")));
        sync(store, source, Says::all(&workers)).await;
        assert_eq!(names(&place(eve).await.dotted), ["Zoe", "Cy"]);
        workers[3].dotted = vec!["z".into()];
        sync(store, source, Says::all(&workers)).await;
        assert_eq!(names(&place(eve).await.dotted), ["Zoe"]);
        let past = "SELECT count(*) FROM dotted_lines WHERE to_at IS NOT NULL";
        assert_eq!(world.count(past).await, 1, "what was is kept");

        world.clock.advance(2 * DAY);
        assert_eq!(place(bo).await.stand_ins, [], "the day is over");
        let hr = Viewer::person(ada, [domain::Role::Hr].into_iter().collect());
        let kept = store.delegations(&hr, bo).await.unwrap();
        assert_eq!((kept.len(), kept[0].over), (1, true));
        assert_eq!(kept[0].source_name.as_deref(), Some("ERP"));
        assert_eq!(sync(store, source, Says::all(&workers)).await.steps, 0);
    })
    .await;
}

fn rule(when: When, dotted: bool, delegates: bool) -> OversightRule {
    OversightRule {
        unit: None,
        on: true,
        when,
        context: false,
        max_days: 30,
        notice: Notice::AtOnce,
        enforced: false,
        dotted,
        delegates,
    }
}

async fn policy(world: &World, cast: &Cast, rule: OversightRule) {
    let priya = cast.viewer(cast.priya);
    let read = world
        .store
        .policy::<Oversight>(&priya)
        .await
        .unwrap()
        .version;
    world
        .store
        .set_policy::<Oversight>(&priya, read, vec![rule], "a test")
        .await
        .unwrap();
}

async fn open(
    world: &World,
    viewer: &Viewer,
    subject: EmployeeId,
) -> Result<store::review::Review, Error> {
    let request = Request {
        subject,
        reason: Reason {
            category: "client_complaint".into(),
            text: "A client says that they were insulted.".into(),
        },
        case: None,
        from: None,
        to: None,
    };
    world.store.open_review(viewer, request).await
}

/// How many words of the subject's own a review shows.
async fn reads(world: &World, viewer: &Viewer, subject: EmployeeId) -> Option<usize> {
    let review = open(world, viewer, subject).await.ok()?;
    let page = world
        .store
        .review_messages(viewer, review.id, &ReviewQuery::default())
        .await
        .unwrap();
    let words = page
        .page
        .items
        .iter()
        .filter(|line| line.subject && line.body.is_some());
    Some(words.count())
}

async fn say(world: &World, cast: &Cast, who: EmployeeId, body: &str) {
    world.clock.advance(Duration::from_secs(60));
    let with = if who == cast.hanna {
        cast.omar
    } else {
        cast.hanna
    };
    let new = NewConversation {
        members: vec![with],
        title: None,
    };
    let viewer = cast.viewer(who);
    let id = world
        .store
        .start_conversation(&viewer, new)
        .await
        .unwrap()
        .id;
    let client_id = world.uuid().to_string();
    world
        .store
        .send(&viewer, id, &client_id, body)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_superior_by_dotted_line_reviews_only_if_the_policy_says_so() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let since = world.clock.now();
        let line = "INSERT INTO dotted_lines (id, employee_id, source_id, reference, place, superior_id, from_at) VALUES ($1, $2, $3, 'x', 0, $4, $5)";
        // Luca also reports to Mei; and Tomás, who is above Mei, does so on paper.
        for below in [cast.luca, cast.tomas] {
            world
                .execute(
                    line,
                    [
                        world.uuid().into(),
                        below.0.into(),
                        cast.source.0.into(),
                        cast.mei.0.into(),
                        since.into(),
                    ],
                )
                .await;
        }
        say(world, &cast, cast.luca, "hello").await;
        let mei = cast.viewer(cast.mei);
        for when in [When::Now, When::AtTheTime] {
            policy(world, &cast, rule(when, false, true)).await;
            assert_eq!(reads(world, &mei, cast.luca).await, None, "off by default");
            assert_eq!(world.store.review_way(&mei, cast.luca).await.unwrap(), None);
            policy(world, &cast, rule(when, true, false)).await;
            assert_eq!(world.store.review_way(&mei, cast.luca).await.unwrap(), Some(By::Dotted));
            let review = open(world, &mei, cast.luca).await.unwrap();
            assert_eq!(review.by, By::Dotted);
            assert_eq!(reads(world, &mei, cast.luca).await, Some(1));
            let reviewable = world.store.reviewable(&mei).await.unwrap();
            let ids: Vec<_> = reviewable.iter().map(|card| card.id).collect();
            assert_eq!(ids, [cast.luca], "never somebody above");
            assert_eq!(reads(world, &mei, cast.tomas).await, None);
            assert_eq!(reads(world, &mei, cast.grace).await, None, "not those around");
            let ingrid = cast.viewer(cast.ingrid);
            let own = open(world, &ingrid, cast.luca).await.unwrap();
            assert_eq!(own.by, By::Line, "the chain goes before");
        }
        // The trace says by which relation.
        let looks = world.store.looked_at(&cast.viewer(cast.luca), None).await.unwrap().items;
        let by: HashSet<_> = looks.iter().map(|look| (look.who.id, look.by)).collect();
        assert!(by.contains(&(cast.mei, By::Dotted)) && by.contains(&(cast.ingrid, By::Line)));
        assert!(!by.contains(&(cast.mei, By::Line)));

        // What is over is over now, and stays true of its time.
        let end = "UPDATE dotted_lines SET to_at = $1";
        world.clock.advance(DAY);
        world.execute(end, [world.clock.now().into()]).await;
        policy(world, &cast, rule(When::Now, true, false)).await;
        assert_eq!(reads(world, &mei, cast.luca).await, None);
        policy(world, &cast, rule(When::AtTheTime, true, false)).await;
        say(world, &cast, cast.luca, "after").await;
        assert_eq!(reads(world, &mei, cast.luca).await, Some(1), "the words of that time");
    })
    .await;
}

#[tokio::test]
async fn who_stands_in_reviews_in_that_time_and_never_upwards() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let store = &world.store;
        let (mei, tomas) = (cast.viewer(cast.mei), cast.viewer(cast.tomas));
        let asking = |from: &str, until: &str| Delegating {
            delegate: cast.mei,
            from: day(from),
            until: day(until),
        };
        // Tomás is away on the 4th and 5th; Mei, who reports to him, stands in.
        let times = asking("2026-03-04", "2026-03-05");
        for other in [cast.mei, cast.grace, cast.ingrid, cast.priya] {
            let set = store
                .set_delegate(&cast.viewer(other), cast.tomas, times)
                .await;
            assert!(
                matches!(set, Err(Error::NotFound)),
                "neither peers nor superiors nor administrators"
            );
        }
        let past = store
            .set_delegate(&tomas, cast.tomas, asking("2026-02-01", "2026-02-02"))
            .await;
        assert!(matches!(past, Err(Error::Invalid(_))));
        let delegation = store.set_delegate(&tomas, cast.tomas, times).await.unwrap();
        say(world, &cast, cast.luca, "before").await;
        say(world, &cast, cast.grace, "before").await;
        for off in [When::Now, When::AtTheTime] {
            policy(world, &cast, rule(off, true, false)).await;
            assert_eq!(reads(world, &mei, cast.luca).await, None);
        }
        policy(world, &cast, rule(When::Now, false, true)).await;
        assert_eq!(reads(world, &mei, cast.luca).await, None, "two days before");
        world
            .clock
            .advance(Duration::from_secs(2 * 24 * 3600 - 10 * 3600));
        assert_eq!(
            reads(world, &mei, cast.luca).await,
            None,
            "an hour before midnight"
        );
        world.clock.advance(Duration::from_secs(3600));

        // From midnight on.
        let review = open(world, &mei, cast.luca).await.unwrap();
        assert_eq!(review.by, By::Delegate(cast.tomas));
        assert_eq!(
            review.on_behalf_of.as_ref().map(|card| card.id),
            Some(cast.tomas)
        );
        assert_eq!(reads(world, &mei, cast.luca).await, Some(1));
        assert_eq!(reads(world, &mei, cast.grace).await, Some(1));
        for spared in [cast.mei, cast.tomas, cast.ingrid, cast.hanna, cast.omar] {
            assert_eq!(
                reads(world, &mei, spared).await,
                None,
                "themselves, the manager, above, beside"
            );
        }
        let names: Vec<_> = store
            .reviewable(&mei)
            .await
            .unwrap()
            .into_iter()
            .map(|card| card.id)
            .collect();
        assert_eq!(names, [cast.grace, cast.luca]);
        assert_eq!(
            store.review_way(&mei, cast.grace).await.unwrap(),
            Some(By::Delegate(cast.tomas))
        );
        // Every look names for whom.
        let looks = store
            .looked_at(&cast.viewer(cast.luca), None)
            .await
            .unwrap()
            .items;
        assert!(!looks.is_empty());
        for look in looks {
            assert_eq!(look.by, By::Delegate(cast.tomas));
            assert_eq!(look.on_behalf_of.map(|card| card.id), Some(cast.tomas));
        }

        // At the time: the words of these two days, and only in them.
        policy(world, &cast, rule(When::AtTheTime, false, true)).await;
        assert_eq!(
            reads(world, &mei, cast.luca).await,
            Some(0),
            "nothing of before"
        );
        say(world, &cast, cast.luca, "during").await;
        assert_eq!(reads(world, &mei, cast.luca).await, Some(1));
        world.clock.advance(2 * DAY);
        assert_eq!(
            reads(world, &mei, cast.luca).await,
            None,
            "the time is over"
        );
        let late = store
            .review_messages(&mei, review.id, &ReviewQuery::default())
            .await
            .unwrap();
        assert_eq!(
            late.page.items.len(),
            0,
            "a review that is still open shows nothing"
        );

        // Hanna, of HR, names Grace; Grace is below Tomás and has Luca by the line. Ended by hand.
        let asked = Delegating {
            delegate: cast.grace,
            from: day("2026-03-06"),
            until: day("2026-03-20"),
        };
        let hanna = cast.viewer(cast.hanna);
        let second = store.set_delegate(&hanna, cast.tomas, asked).await.unwrap();
        world.clock.advance(DAY);
        let grace = cast.viewer(cast.grace);
        policy(world, &cast, rule(When::Now, false, true)).await;
        assert_eq!(open(world, &grace, cast.luca).await.unwrap().by, By::Line);
        assert!(open(world, &grace, cast.mei).await.is_ok());
        assert!(matches!(
            store.end_delegation(&mei, cast.tomas, second).await,
            Err(Error::NotFound)
        ));
        store
            .end_delegation(&tomas, cast.tomas, second)
            .await
            .unwrap();
        assert!(open(world, &grace, cast.mei).await.is_err());
        for over in [delegation, second] {
            let again = store.end_delegation(&tomas, cast.tomas, over).await;
            assert!(matches!(again, Err(Error::Conflict("delegation_over"))));
        }
        let kept = store.delegations(&hanna, cast.tomas).await.unwrap();
        assert_eq!(kept.len(), 2);
        assert!(kept.iter().all(|one| one.over));
        assert!(matches!(
            store.delegations(&mei, cast.tomas).await,
            Err(Error::NotFound)
        ));
    })
    .await;
}

/// HR and the directory; Ada and Bo are in HR.
async fn two_sources(world: &World) -> (SourceId, SourceId) {
    let hr = world.source("HR").await;
    world.clock.advance(Duration::from_secs(1));
    let directory = world.source("Directory").await;
    (hr, directory)
}

fn entry(id: &str, name: &str, mail: &str) -> Worker {
    let mut entry = worker(id, name, None);
    entry.unit = None;
    entry.attributes.remove(&Attribute::EmployeeNumber);
    set(&mut entry, Attribute::Emails, mail);
    set(&mut entry, Attribute::Title, "Directory title");
    set(&mut entry, Attribute::Location, "Bergen");
    entry
}

#[tokio::test]
async fn one_person_of_two_sources_is_shown_as_the_organization_orders_them() {
    everywhere(async |world| {
        let store = &world.store;
        let (hr, directory) = two_sources(world).await;
        sync(store, hr, Says::all(&firm())).await;
        let people = store.chart().chart.len();
        let mut entries = vec![
            entry("dn=bo", "Bo Berg", "b@northwindforge.example"),
            entry("dn=eve", "Eve", "e@northwindforge.example"),
        ];
        // The directory knows Eve's superior by its own id, and another one than HR.
        entries[1].manager = Some("dn=cy".into());
        entries.push(entry("dn=cy", "Cy", "c@northwindforge.example"));
        let run = sync(store, directory, Says::all(&entries)).await;
        assert_eq!((run.totals.changed, run.totals.joiners), (3, 0), "{run:?}");
        assert_eq!(store.chart().chart.len(), people, "the same people");
        let find = "SELECT employee_id FROM erp_records WHERE external_id = $1";
        let who = async |external_id: &str| -> EmployeeId {
            EmployeeId(
                world.rows(find, [external_id.into()]).await[0]
                    .try_get_by_index(0)
                    .unwrap(),
            )
        };
        let (bo, cy, eve) = (who("b").await, who("c").await, who("e").await);
        assert_eq!(who("dn=bo").await, bo);
        let value = async |attribute| {
            let profile = store.profile(&SYSTEM, bo).await.unwrap();
            profile
                .values
                .into_iter()
                .find(|value| value.attribute == attribute)
                .unwrap()
        };
        // HR was connected first.
        let title = value(Attribute::Title).await;
        assert_eq!(title.resolved.value, Some("Fitter".into()));
        assert_eq!(title.erp.unwrap().source_name, "HR");
        assert_eq!(title.others.len(), 1);
        assert_eq!(title.others[0].source_name, "Directory");
        assert_eq!(title.others[0].value, Some("Directory title".into()));
        assert_eq!(
            value(Attribute::Location).await.erp.unwrap().source_name,
            "Directory",
            "which HR does not have"
        );
        assert_eq!(
            store.chart().chart.manager(eve),
            Some(bo),
            "HR's, though the directory spoke last"
        );
        assert_eq!(
            store
                .place(&SYSTEM, bo)
                .await
                .unwrap()
                .person
                .department
                .as_deref(),
            Some("Works")
        );

        // Bo is called as HR has it, in whichever way HR says it.
        assert_eq!(
            value(Attribute::DisplayName).await.resolved.value,
            Some("Bo".into())
        );
        let mut parted = firm();
        parted[1].attributes.remove(&Attribute::DisplayName);
        set(&mut parted[1], Attribute::GivenName, "Bo");
        set(&mut parted[1], Attribute::FamilyName, "Berg-Hansen");
        sync(store, hr, Says::all(&parted)).await;
        assert_eq!(
            store.person(&SYSTEM, bo).await.unwrap().display_name,
            "Bo Berg-Hansen"
        );
        // The directory first for titles and for superiors.
        world.clock.advance(Duration::from_secs(3600));
        let order = BTreeMap::from([
            (Attribute::Title, vec![directory]),
            (Attribute::Manager, vec![directory, hr]),
        ]);
        let stranger = Viewer::person(bo, Roles::EMPLOYEE);
        let refused = store
            .set_policy::<Priority>(&stranger, 0, (vec![], order.clone()), "")
            .await;
        assert!(matches!(refused, Err(Error::Forbidden)));
        let set_by = Viewer::person(
            bo,
            [domain::Role::PolicyAdministrator].into_iter().collect(),
        );
        store
            .set_policy::<Priority>(&set_by, 0, (vec![], order.clone()), "mail first")
            .await
            .unwrap();
        let title = value(Attribute::Title).await;
        assert_eq!(title.resolved.value, Some("Directory title".into()));
        assert_eq!(title.others[0].source_name, "HR");
        assert_eq!(
            store.person(&SYSTEM, bo).await.unwrap().title.as_deref(),
            Some("Directory title"),
            "in lists too"
        );
        assert_eq!(store.chart().chart.manager(eve), Some(cy));
        assert_eq!(superiors(world, eve).await, [(bo, false), (cy, true)]);
        assert_eq!(
            store.chart().chart.manager(bo),
            Some(who("a").await),
            "the directory names nobody"
        );
        let stale = store
            .set_policy::<Priority>(&set_by, 0, (vec![], order), "")
            .await;
        assert!(matches!(stale, Err(Error::Conflict("stale_version"))));
        let unknown = store
            .set_policy::<Priority>(
                &set_by,
                1,
                (vec![SourceId(world.uuid())], BTreeMap::new()),
                "",
            )
            .await;
        assert!(matches!(unknown, Err(Error::Invalid(_))));

        // HR is read again, with another title: the directory's is shown still.
        let mut workers = firm();
        set(&mut workers[1], Attribute::Title, "Foreman");
        workers[3].manager = Some("a".into());
        sync(store, hr, Says::all(&workers)).await;
        assert_eq!(
            store.person(&SYSTEM, bo).await.unwrap().title.as_deref(),
            Some("Directory title")
        );
        assert_eq!(store.chart().chart.manager(eve), Some(cy));
        // Back to the order of connection, by rolling back to nothing that is set.
        let all = vec![hr, directory];
        store
            .set_policy::<Priority>(&set_by, 1, (all, BTreeMap::new()), "")
            .await
            .unwrap();
        assert_eq!(
            store.person(&SYSTEM, bo).await.unwrap().title.as_deref(),
            Some("Foreman")
        );
        assert_eq!(store.chart().chart.manager(eve), Some(who("a").await));
        let back = store
            .roll_back(
                &set_by,
                domain::policy::Kind::SourcePriority,
                2,
                1,
                "as it was",
            )
            .await
            .unwrap();
        assert_eq!(back, 3);
        assert_eq!(store.chart().chart.manager(eve), Some(cy));
        assert_eq!(
            store
                .policy_history::<Priority>(&set_by)
                .await
                .unwrap()
                .len(),
            3
        );

        // Gone from HR, they work here by the directory.
        let workers: Vec<_> = firm()
            .into_iter()
            .filter(|one| one.external_id != "b")
            .collect();
        sync(store, hr, Says::all(&workers)).await;
        assert!(works(world, bo).await);
        entries.remove(0);
        sync(store, directory, Says::all(&entries)).await;
        assert!(!works(world, bo).await);
    })
    .await;
}

#[tokio::test]
async fn who_could_be_several_is_decided_or_ignored_and_never_guessed() {
    everywhere(async |world| {
        let store = &world.store;
        let (hr, directory) = two_sources(world).await;
        let mut workers = firm();
        // Two of one name and birthday.
        for one in [1, 2] {
            set(&mut workers[one], Attribute::DisplayName, "Robin Berg");
            set(&mut workers[one], Attribute::BirthDate, "1990-05-01");
        }
        sync(store, hr, Says::all(&workers)).await;
        let people = store.chart().chart.len();
        let born = Clue { by: Key::NameAndBirthDate, sure: false };
        let mail = Clue { by: Key::Mail, sure: true };
        let twice = store.set_correlation(&SYSTEM, directory, Correlation(vec![mail, mail])).await;
        assert!(matches!(twice, Err(Error::Invalid(_))));
        store.set_correlation(&SYSTEM, directory, Correlation(vec![mail, born])).await.unwrap();
        assert_eq!(store.correlation(&SYSTEM, directory).await.unwrap().0, [mail, born]);
        assert_eq!(store.correlation(&SYSTEM, hr).await.unwrap(), Correlation::default());

        let robin = |id: &str| {
            let mut robin = entry(id, "Berg Robin", "robin@elsewhere.example");
            set(&mut robin, Attribute::BirthDate, "1990-05-01");
            robin
        };
        let entries = [robin("r1"), robin("r2"), robin("r3")];
        let run = sync(store, directory, Says::all(&entries)).await;
        assert_eq!((run.totals.undecided, run.totals.joiners), (3, 0));
        assert_eq!(store.chart().chart.len(), people, "never silently");
        let asked = store.undecided(&SYSTEM).await.unwrap();
        assert_eq!(asked.len(), 3);
        assert_eq!(asked[0].candidates.len(), 2);
        let bo = asked[0].candidates[0].id;

        store.decide(&SYSTEM, directory, "r1", Decision::Is(bo)).await.unwrap();
        store.decide(&SYSTEM, directory, "r2", Decision::New).await.unwrap();
        store.decide(&SYSTEM, directory, "r3", Decision::Ignore).await.unwrap();
        for _ in 0..2 {
            sync(store, directory, Says::all(&entries)).await;
            assert_eq!(store.chart().chart.len(), people + 1, "one new, one linked, one left out");
            assert_eq!(store.undecided(&SYSTEM).await.unwrap(), [], "not asked again");
        }
        let ignored = store.ignored(&SYSTEM, directory).await.unwrap();
        assert_eq!(ignored, [("r3".to_owned(), "Berg Robin".to_owned())]);
        store.ask_again(&SYSTEM, directory, "r3").await.unwrap();
        assert!(matches!(store.ask_again(&SYSTEM, directory, "r9").await, Err(Error::NotFound)));
        assert_eq!(store.undecided(&SYSTEM).await.unwrap().len(), 1);

        // The first was a mistake: the record becomes a person of its own, and Bo stays as he is.
        let linked = store.linked(&SYSTEM, directory).await.unwrap();
        assert_eq!(linked.len(), 1);
        assert_eq!((linked[0].0.as_str(), linked[0].1.id), ("r1", bo));
        assert!(matches!(store.unlink(&SYSTEM, hr, "x1").await, Err(Error::Conflict("only_record"))));
        assert_eq!(store.person(&SYSTEM, bo).await.unwrap().location.as_deref(), Some("Bergen"));
        store.unlink(&SYSTEM, directory, "r1").await.unwrap();
        let alone = store.person(&SYSTEM, bo).await.unwrap();
        assert_eq!((alone.location, alone.active), (None, true));
        let run = sync(store, directory, Says::all(&entries)).await;
        assert_eq!((run.totals.joiners, store.chart().chart.len()), (1, people + 2));
        assert_ne!(id(world, "r1").await, bo);
        assert_eq!(sync(store, directory, Says::all(&entries)).await.totals.joiners, 0);
        let told = "SELECT count(*) FROM audit_entries WHERE action IN ('person.unlinked', 'source.asked_again', 'source.correlation_set')";
        assert_eq!(world.count(told).await, 3);
    })
    .await;
}

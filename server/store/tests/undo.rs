//! Undoing runs: what was there before is there again, to the letter, unless something newer touched
//! it; what goes over a limit asks, and nobody who has to stay is locked out.

mod support;

use std::{collections::BTreeMap, time::Duration};

use chrono::NaiveDate;
use domain::{
    Attribute, Role, Roles, RunId, SourceId, Value, Viewer,
    client::{Account, Client, Ticket, TicketMessage},
    erp::{Delegate, OrgUnit, Vacancy, Worker},
    scim::{USER, clean, operations},
    sync::{Beside, Limit, Limits, PutBack, StepKind},
};
use serde_json::json;
use store::{
    Error, Store,
    account::{NewAccount, Origin},
    db,
    run::{Feed, NotUndone, Phase, Read, Run, RunFinding},
    scim::{KIND, Refused, Resource},
    source::{Decision, NewSource},
};
use support::{
    World,
    firm::{finish, firm, id, set, steps, table, unit, worker},
};

static SYSTEM: Viewer = Viewer::system("test");
const PASSWORD: &str = "seven quiet lanterns upstream";

fn post(id: &str, manager: Option<&str>) -> Vacancy {
    Vacancy {
        external_id: id.into(),
        title: format!("Post {id}"),
        unit: None,
        manager: manager.map(str::to_owned),
    }
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn client(id: &str, balance: &str) -> Client {
    Client {
        external_id: id.into(),
        name: format!("Client {id}"),
        number: Some(format!("C-{id}")),
        emails: vec![format!("{id}@client.example")],
        phones: Vec::new(),
        active: true,
        accounts: vec![Account {
            company: None,
            currency: "EUR".into(),
            balance: balance.parse().unwrap(),
            overdue: None,
            credit_limit: None,
            terms: None,
            payment_options: Vec::new(),
            open_items: Vec::new(),
            payments: Vec::new(),
        }],
        changed_at: None,
    }
}

fn ticket(id: &str, said: &str) -> Ticket {
    Ticket {
        external_id: id.into(),
        subject: "The gate does not close".into(),
        stage: "New".into(),
        messages: vec![TicketMessage {
            external_id: "m1".into(),
            at: "2026-02-27T08:00:00Z".parse().unwrap(),
            author: "Ada Client".into(),
            body: said.into(),
            internal: false,
            attachments: Vec::new(),
        }],
        ..Ticket::default()
    }
}

/// All that a source says.
#[derive(Clone, Default)]
struct Says {
    units: Vec<OrgUnit>,
    workers: Vec<Worker>,
    posts: Vec<Vacancy>,
    clients: Vec<Client>,
    tickets: Vec<Ticket>,
}

impl From<&(Vec<OrgUnit>, Vec<Worker>)> for Says {
    fn from((units, workers): &(Vec<OrgUnit>, Vec<Worker>)) -> Self {
        Self {
            units: units.clone(),
            workers: workers.clone(),
            ..Self::default()
        }
    }
}

/// Reads everything, as far as the plan.
async fn read(store: &Store, source: SourceId, says: impl Into<Says>) -> Run {
    let says = says.into();
    let run = store.begin_run(&SYSTEM, source, false).await.unwrap().id;
    store
        .read_units(&SYSTEM, run, says.units, says.posts, vec![])
        .await
        .unwrap();
    for workers in says.workers.chunks(400) {
        let page = Read {
            workers: workers.to_vec(),
            faults: Vec::new(),
        };
        store.read_page(&SYSTEM, run, page).await.unwrap();
    }
    store.plan_run(&SYSTEM, run, None).await.unwrap()
}

async fn sync(store: &Store, source: SourceId, says: impl Into<Says>) -> Run {
    let says = says.into();
    let run = read(store, source, says.clone()).await;
    assert_eq!(run.phase, Phase::Applying, "{run:?}");
    while store.apply_run(&SYSTEM, run.id).await.unwrap() > 0 {}
    let begun = store.begin_pull(&SYSTEM, run.id, Feed::Clients, true).await;
    let mut pull = begun.unwrap().0;
    store
        .take_clients(&SYSTEM, run.id, &mut pull, says.clients, vec![])
        .await
        .unwrap();
    let ended = store.end_pull(&SYSTEM, run.id, pull, Some("1".into()));
    ended.await.unwrap();
    let begun = store.begin_pull(&SYSTEM, run.id, Feed::Tickets, true).await;
    let mut pull = begun.unwrap().0;
    store
        .take_tickets(&SYSTEM, run.id, &mut pull, says.tickets, vec![])
        .await
        .unwrap();
    let ended = store.end_pull(&SYSTEM, run.id, pull, Some("1".into()));
    ended.await.unwrap();
    store.end_run(&SYSTEM, run.id, None).await.unwrap()
}

async fn hour(world: &World) {
    world.clock.advance(Duration::from_secs(3600));
}

async fn another(world: &World) -> Store {
    let db = db::connect(&world.url).await.unwrap();
    Store::open(db, world.env.clone(), world.keys.clone())
        .await
        .unwrap()
}

/// What an undo gives back to the letter: everything but the run's own marks.
async fn state(world: &World) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for name in [
        "units",
        "employees",
        "erp_records",
        "manager_history",
        "own_values",
        "scheduled",
        "vacancies",
        "dotted_lines",
        "delegations",
        "undecided",
        "clients",
        "client_accounts",
        "client_items",
        "client_payments",
        "tickets",
        "ticket_messages",
        "ticket_attachments",
    ] {
        all.push(table(world, name).await);
    }
    all
}

/// Undoes a run, in as many chunks as it takes; one that asks is let go on.
async fn undo(store: &Store, run: RunId) -> Run {
    let undo = store.undo_run(&SYSTEM, run).await.unwrap().id;
    let planned = store.plan_undo(&SYSTEM, undo).await.unwrap();
    if planned.phase == Phase::Waiting {
        store.approve_run(&SYSTEM, undo).await.unwrap();
    }
    while store.undo_chunk(&SYSTEM, undo).await.unwrap() {}
    store.end_undo(&SYSTEM, undo).await.unwrap()
}

/// What an undo left as it is, by name.
async fn left(store: &Store, undo: RunId) -> BTreeMap<String, NotUndone> {
    let findings = store.run_findings(&SYSTEM, undo).await.unwrap();
    findings
        .into_iter()
        .map(|one| match one {
            RunFinding::NotUndone(left) => (left.name.clone(), left),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn an_undo_gives_everything_back() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        world
            .execute("UPDATE sources SET leaver_percent = 100", [])
            .await;
        let (units, mut workers) = firm();
        workers.push(worker("g", "Gus", Some("ghost"), Some("u1")));
        sync(store, source, &(units.clone(), workers.clone())).await;
        hour(world).await;
        // Somebody has left before, so that a return can be taken back too.
        let without: Vec<_> = workers
            .iter()
            .filter(|one| one.external_id != "c")
            .cloned()
            .collect();
        sync(store, source, &(units.clone(), without.clone())).await;
        hour(world).await;
        let bo = id(world, "b").await;
        let own = BTreeMap::from([("title".to_owned(), Some(Value::from("Own title")))]);
        let me = Viewer::person(bo, Roles::EMPLOYEE);
        store.edit_profile(&me, bo, own).await.unwrap();
        let before = state(world).await;
        hour(world).await;

        // Di moves, Bo has another title, Eve goes, Cy comes back, a unit gets another name, and
        // Gus's superior turns up.
        let mut next = workers.clone();
        next.retain(|one| one.external_id != "e");
        for one in &mut next {
            match one.external_id.as_str() {
                "d" => (one.manager, one.unit) = (Some("b".into()), Some("u3".into())),
                "b" => set(one, Attribute::Title, "Lead fitter"),
                _ => {}
            }
        }
        next.push(worker("ghost", "Gina", Some("a"), Some("u1")));
        let mut renamed = units.clone();
        renamed[0].name = "Great works".into();
        renamed[0].parent = Some("u2".into());
        renamed.push(unit("u3", "Annex"));
        let run = sync(store, source, &(renamed.clone(), next.clone())).await;
        assert_eq!(
            (
                run.totals.joiners,
                run.totals.returners,
                run.totals.movers,
                run.totals.leavers
            ),
            (1, 1, 1, 1)
        );
        let after = state(world).await;
        assert_ne!(before, after);
        hour(world).await;

        let preview = store.undo_preview(&SYSTEM, run.id).await.unwrap();
        assert_eq!((preview.left_in_all, preview.units), (0, 2));
        assert_eq!(
            (
                preview.totals.leavers,
                preview.totals.returners,
                preview.totals.movers
            ),
            (2, 1, 2),
            "{:?}",
            preview.steps
        );
        assert_eq!(state(world).await, after, "a preview writes nothing");

        let undone = undo(store, run.id).await;
        assert_eq!((undone.phase, undone.undoes), (Phase::Done, Some(run.id)));
        assert_eq!(undone.totals.leavers, preview.totals.leavers);
        let told = steps(store, undone.id).await;
        assert_eq!(told["b"].changes[0].from, Some("Lead fitter".into()));
        assert_eq!(told["b"].changes[0].to, Some("Fitter".into()));
        assert_eq!(told["e"].kind, StepKind::Returner);
        assert_eq!(store.run_findings(&SYSTEM, undone.id).await.unwrap(), []);

        // Gina stays, gone; so does the unit that came with the run. The rest is as it was.
        let gina = id(world, "ghost").await;
        for (name, column, value) in [
            ("manager_history", "employee_id", gina.0),
            ("erp_records", "employee_id", gina.0),
            ("employees", "id", gina.0),
        ] {
            let there = format!("SELECT count(*) FROM {name} WHERE {column} = $1");
            let rows = world.rows(&there, [value.into()]).await;
            assert_eq!(rows[0].try_get_by_index::<i64>(0).unwrap(), 1, "{name}");
        }
        assert!(!store.person(&SYSTEM, gina).await.unwrap().active);
        world
            .execute(
                "DELETE FROM manager_history WHERE employee_id = $1",
                [gina.0.into()],
            )
            .await;
        world
            .execute(
                "DELETE FROM erp_records WHERE employee_id = $1",
                [gina.0.into()],
            )
            .await;
        world
            .execute("DELETE FROM employees WHERE id = $1", [gina.0.into()])
            .await;
        assert_eq!(
            world
                .count("SELECT count(*) FROM units WHERE name = 'Annex' AND NOT active")
                .await,
            1
        );
        world
            .execute("DELETE FROM units WHERE name = 'Annex'", [])
            .await;
        let now = state(world).await;
        for (was, is) in before.iter().zip(&now) {
            assert_eq!(is, was);
        }

        // The source is paused: the next run asks, and having been let through does all of it again.
        let found = store.source(&SYSTEM, source).await.unwrap();
        assert!(found.paused_since.is_some());
        assert_eq!(store.watermark(&SYSTEM, source).await.unwrap(), None);
        let again = read(store, source, &(renamed, next)).await;
        assert_eq!(
            (again.phase, again.error.as_deref()),
            (Phase::Waiting, Some("source_paused"))
        );
        store.approve_run(&SYSTEM, again.id).await.unwrap();
        finish(store, again.id).await;
        assert_eq!(
            store.source(&SYSTEM, source).await.unwrap().paused_since,
            None
        );
        let title = store
            .cards(&SYSTEM, &[bo])
            .await
            .unwrap()
            .remove(&bo)
            .unwrap()
            .title;
        assert_eq!(
            title.as_deref(),
            Some("Own title"),
            "own values are never touched"
        );
        assert!(matches!(
            store.undo_run(&SYSTEM, run.id).await,
            Err(Error::Conflict("not_undoable"))
        ));
    })
    .await;
}

#[tokio::test]
async fn what_something_newer_touched_is_not_undone_and_is_told() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let (units, mut workers) = firm();
        sync(store, source, &(units.clone(), workers.clone())).await;
        hour(world).await;
        for one in &mut workers {
            set(one, Attribute::Title, "Cog");
            set(one, Attribute::Location, "Bergen");
        }
        workers.push(worker("n", "Nia", Some("a"), Some("u1")));
        workers.push(worker("o", "Oda", Some("a"), Some("u1")));
        let accident = sync(store, source, &(units.clone(), workers.clone())).await;
        hour(world).await;
        // Bo's title is mended by a later run, and so is Nia's record.
        for one in &mut workers {
            if matches!(one.external_id.as_str(), "b" | "n") {
                set(one, Attribute::Title, "Head of fitting");
            }
        }
        sync(store, source, &(units.clone(), workers.clone())).await;
        hour(world).await;

        let undone = undo(store, accident.id).await;
        let (bo, di) = (id(world, "b").await, id(world, "d").await);
        let (nia, oda) = (id(world, "n").await, id(world, "o").await);
        let cards = store.cards(&SYSTEM, &[bo, di, nia, oda]).await.unwrap();
        assert_eq!(cards[&di].title.as_deref(), Some("Fitter"));
        assert_eq!(cards[&di].location, None);
        assert_eq!(cards[&bo].title.as_deref(), Some("Head of fitting"));
        assert_eq!(cards[&bo].location, None, "nothing newer said the place");
        assert!(cards[&nia].active, "a later run had her too");
        assert!(!cards[&oda].active);
        let left = store.run_findings(&SYSTEM, undone.id).await.unwrap();
        let left: BTreeMap<_, _> = left
            .iter()
            .map(|one| match one {
                RunFinding::NotUndone(left) => (
                    left.name.as_str(),
                    (left.attributes.as_slice(), left.why.as_str()),
                ),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            left,
            BTreeMap::from([
                ("Bo", (&[Attribute::Title][..], "later_run")),
                ("Nia", (&[][..], "later_run")),
            ])
        );
        // An undone joiner who is in the source still comes back as the same person.
        let again = read(store, source, &(units, workers)).await;
        let planned = steps(store, again.id).await;
        assert_eq!(
            (planned["o"].kind, planned["o"].employee),
            (StepKind::Returner, Some(oda))
        );
    })
    .await;
}

#[tokio::test]
async fn an_undo_that_can_undo_nothing_says_why() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let (units, mut workers) = firm();
        sync(store, source, &(units.clone(), workers.clone())).await;
        let mut runs = Vec::new();
        for title in ["Cog", "Bolt"] {
            hour(world).await;
            for one in &mut workers {
                set(one, Attribute::Title, title);
            }
            runs.push(
                sync(store, source, &(units.clone(), workers.clone()))
                    .await
                    .id,
            );
        }
        let before = state(world).await;
        hour(world).await;
        let undone = undo(store, runs[0]).await;
        assert_eq!((undone.phase, undone.steps), (Phase::Done, 0));
        let left = left(store, undone.id).await;
        assert_eq!(left.len(), workers.len());
        assert!(
            left.values()
                .all(|one| one.attributes == [Attribute::Title])
        );
        assert_eq!(state(world).await, before);
    })
    .await;
}

#[tokio::test]
async fn an_undo_that_broke_off_is_gone_on_with() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let units = vec![unit("u1", "Works")];
        let mut workers: Vec<_> = (0..1200)
            .map(|n| {
                worker(
                    &format!("w{n:04}"),
                    &format!("Worker {n}"),
                    None,
                    Some("u1"),
                )
            })
            .collect();
        sync(store, source, &(units.clone(), workers.clone())).await;
        let before = state(world).await;
        hour(world).await;
        world
            .execute(
                "UPDATE sources SET limits = '{\"attribute\":100,\"changed\":100}'",
                [],
            )
            .await;
        for one in &mut workers {
            set(one, Attribute::Title, "Cog");
        }
        let accident = sync(store, source, &(units, workers)).await;
        hour(world).await;
        let begun = store.undo_run(&SYSTEM, accident.id).await.unwrap();
        let planned = store.plan_undo(&SYSTEM, begun.id).await.unwrap();
        assert_eq!((planned.phase, planned.steps), (Phase::Applying, 1200));
        assert!(store.undo_chunk(&SYSTEM, begun.id).await.unwrap());
        let half = world
            .count("SELECT count(*) FROM employees WHERE title = 'Cog'")
            .await;
        assert_eq!(half, 700);

        // The process dies; another one finds the run without a sign of life.
        let other = another(world).await;
        hour(world).await;
        let undone = undo(&other, accident.id).await;
        assert_eq!((undone.phase, undone.applied), (Phase::Done, 700));
        assert_eq!(state(world).await, before);
        let late = store.undo_chunk(&SYSTEM, begun.id).await;
        assert!(matches!(late, Err(Error::Conflict("run_over"))));
        let broken = other.run(&SYSTEM, begun.id).await.unwrap();
        assert_eq!(
            (broken.phase, broken.error.as_deref()),
            (Phase::Failed, Some("interrupted"))
        );
    })
    .await;
}

#[tokio::test]
async fn a_record_that_a_run_linked_is_let_go_again() {
    support::everywhere(async |world| {
        let store = &world.store;
        let (erp, directory) = (world.source("ERP").await, world.source("Directory").await);
        sync(store, erp, &firm()).await;
        hour(world).await;
        let before = state(world).await;
        let mut entry = worker("uid=bo", "Bo", None, None);
        set(&mut entry, Attribute::EmployeeNumber, "N-b");
        set(&mut entry, Attribute::Location, "Bergen");
        let run = sync(store, directory, &(vec![], vec![entry])).await;
        assert_eq!(run.totals.changed, 1);
        assert_ne!(state(world).await, before);
        hour(world).await;
        undo(store, run.id).await;
        assert_eq!(state(world).await, before);
    })
    .await;
}

/// Many random runs, of which each is undone: always what was there before.
#[tokio::test]
async fn any_run_can_be_undone() {
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let limits = Limits {
            leavers: 100,
            joiners: 100,
            movers: 100,
            changed: 100,
            attribute: 100,
            undecided: 100,
            faults: 100,
            four_eyes: false,
        };
        store.set_limits(&SYSTEM, source, limits).await.unwrap();
        // People of another source, and records of this one that could each be two of them.
        const PAIRS: u32 = 6;
        let mail = |id: &str| format!("{id}@northwindforge.example");
        let pairs = (1..=PAIRS).flat_map(|n| [format!("l{n}"), format!("r{n}")]);
        let pairs: Vec<_> = pairs.map(|id| worker(&id, &id, None, None)).collect();
        let payroll = world.source("Payroll").await;
        sync(store, payroll, &(vec![], pairs)).await;
        // Somebody who would come in as new stays, gone, when that is undone: not so here.
        let decide = async |dice: &mut StdRng, also: Option<Decision>| {
            let waiting = store.undecided(&SYSTEM).await.unwrap();
            let Some(one) = waiting.first() else { return };
            let candidate = Decision::Is(one.candidates[dice.random_range(0..2)].id);
            let choice = [Some(candidate), Some(Decision::Ignore), also];
            if let Some(decision) = choice[dice.random_range(0..3)] {
                let decided = store.decide(&SYSTEM, source, &one.external_id, decision);
                decided.await.unwrap();
            }
        };
        let mut dice = StdRng::seed_from_u64(7);
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let any_firm = |dice: &mut StdRng| {
            let units: Vec<_> = ["u1", "u2", "u3"]
                .into_iter()
                .filter_map(|id| {
                    let there = dice.random_bool(0.8);
                    there.then(|| OrgUnit {
                        parent: dice.random_bool(0.5).then(|| "u1".to_owned()),
                        ..unit(id, &format!("Unit {}", dice.random_range(0..3)))
                    })
                })
                .collect();
            let workers: Vec<_> = names
                .into_iter()
                .filter_map(|id| {
                    if dice.random_bool(0.25) {
                        return None;
                    }
                    let pick =
                        |dice: &mut StdRng| names[dice.random_range(0..names.len())].to_owned();
                    let manager = dice.random_bool(0.7).then(|| pick(dice));
                    let unit = dice
                        .random_bool(0.8)
                        .then(|| format!("u{}", dice.random_range(1..4)));
                    let mut one = worker(
                        id,
                        &format!("Name {id}"),
                        manager.as_deref(),
                        unit.as_deref(),
                    );
                    set(
                        &mut one,
                        Attribute::Title,
                        &format!("Title {}", dice.random_range(0..3)),
                    );
                    if dice.random_bool(0.3) {
                        // Among them one whom nobody knows, and a post.
                        one.dotted = vec![pick(dice), "nobody".into(), "p1".into()];
                        one.dotted.truncate(dice.random_range(1..4));
                    }
                    if dice.random_bool(0.3) {
                        one.delegate = Some(Delegate {
                            to: pick(dice),
                            from: day("2026-03-02"),
                            until: dice.random_bool(0.5).then(|| day("2026-03-20")),
                        });
                    }
                    if dice.random_bool(0.2) {
                        one.ends_on = Some(day("2026-12-31"));
                    }
                    if dice.random_bool(0.15) {
                        // Gone for now, and back on that day.
                        one.starts_on = Some(day("2026-09-01"));
                    }
                    if dice.random_bool(0.2) {
                        one.manager = Some("p1".into());
                    }
                    Some(one)
                })
                .collect();
            let mut workers = workers;
            for id in ["s1", "s2"] {
                if dice.random_bool(0.5) {
                    let mut one = worker(id, &format!("Name {id}"), None, Some("u1"));
                    let first = ["2026-09-01", "2026-10-01"][dice.random_range(0..2)];
                    one.starts_on = Some(day(first));
                    workers.push(one);
                }
            }
            for n in 1..=PAIRS {
                if dice.random_bool(0.7) {
                    let id = format!("q{n}");
                    let mut one = worker(&id, &format!("Name {id}"), None, Some("u1"));
                    set(&mut one, Attribute::EmployeeNumber, &format!("N-l{n}"));
                    if dice.random_bool(0.9) {
                        set(&mut one, Attribute::Emails, &mail(&format!("r{n}")));
                    }
                    let title = format!("Title {}", dice.random_range(0..3));
                    set(&mut one, Attribute::Title, &title);
                    workers.push(one);
                }
            }
            let posts = ["p1", "p2"].into_iter().filter_map(|id| {
                let above = names[dice.random_range(0..names.len())];
                dice.random_bool(0.6).then(|| post(id, Some(above)))
            });
            let posts = posts.collect();
            let pick = |dice: &mut StdRng| ["1.10", "2.20", "3.30"][dice.random_range(0..3)];
            let clients = ["1", "2", "3"].map(|id| client(id, pick(dice))).to_vec();
            let tickets = ["1", "2"].map(|id| ticket(id, pick(dice))).to_vec();
            let few = dice.random_range(2..4);
            Says {
                units,
                workers,
                posts,
                clients: clients.into_iter().take(few).collect(),
                tickets,
            }
        };
        let everybody = Says {
            units: vec![unit("u1", "One"), unit("u2", "Two"), unit("u3", "Three")],
            workers: names
                .map(|id| worker(id, &format!("Name {id}"), None, Some("u1")))
                .to_vec(),
            posts: Vec::new(),
            clients: ["1", "2", "3"].map(|id| client(id, "0")).to_vec(),
            tickets: ["1", "2"].map(|id| ticket(id, "Hello")).to_vec(),
        };
        sync(store, source, everybody).await;
        let mut undone = 0;
        let mut kinds = [0; Beside::ALL.len()];
        let (mut undecided, mut returners) = (0, 0);
        for round in 0..20 {
            hour(world).await;
            decide(&mut dice, None).await;
            let before = state(world).await;
            hour(world).await;
            let firm = any_firm(&mut dice);
            let run = sync(store, source, firm).await;
            hour(world).await;
            if state(world).await != before {
                undone += 1;
            }
            let back = undo(store, run.id).await;
            assert_eq!(left(store, back.id).await, BTreeMap::new());
            for what in Beside::ALL {
                kinds[what as usize] += back.totals.put_back.of(what);
            }
            undecided += run.totals.undecided;
            returners += run.totals.returners;
            let after = state(world).await;
            for (is, was) in after.iter().zip(&before) {
                let other = |rows: &[String], than: &[String]| {
                    let rows = rows.iter().filter(|row| !than.contains(row));
                    rows.cloned().collect::<Vec<_>>()
                };
                assert_eq!(other(is, was), other(was, is), "round {round}");
            }
            store.resume_source(&SYSTEM, source).await.unwrap();
            hour(world).await;
            // From here on with a firm that is another one.
            decide(&mut dice, Some(Decision::New)).await;
            sync(store, source, any_firm(&mut dice)).await;
        }
        assert!(undone > 15, "{undone}");
        let met: Vec<_> = Beside::ALL
            .into_iter()
            .filter(|what| kinds[*what as usize] > 0)
            .collect();
        assert_eq!(met, Beside::ALL, "the dice met all of them");
        assert!(undecided > 9 && returners > 9, "{undecided}, {returners}");
    })
    .await;
}

/// A person of the source with an account of this role.
async fn account(world: &World, external_id: &str, role: Role) -> Viewer {
    let employee = id(world, external_id).await;
    let roles = Roles::EMPLOYEE.with(role);
    let new = NewAccount {
        login: format!("{external_id}.login"),
        password: PASSWORD.into(),
        roles,
        employee: Some(employee),
        name: external_id.into(),
    };
    world.store.create_account(&SYSTEM, new).await.unwrap();
    Viewer::person(employee, roles)
}

async fn can_sign_in(world: &World, login: &str) -> bool {
    let here = Origin::default();
    let signed_in = world
        .store
        .sign_in(&format!("{login}.login"), PASSWORD, &here, false)
        .await;
    signed_in.is_ok()
}

async fn working(world: &World) -> i64 {
    world
        .count("SELECT count(*) FROM employees WHERE active")
        .await
}

#[tokio::test]
async fn an_undo_over_the_limits_asks_before_it_writes() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let first = sync(store, source, &firm()).await;
        let ada = account(world, "a", Role::SystemAdministrator).await;
        let bo = account(world, "b", Role::SystemAdministrator).await;
        hour(world).await;
        let before = state(world).await;

        let preview = store.undo_preview(&ada, first.id).await.unwrap();
        let over: Vec<_> = preview
            .exceeded
            .iter()
            .map(|one| (one.limit, one.count, one.of))
            .collect();
        assert_eq!(over, [(Limit::Leavers, 4, 5)]);
        let whys: Vec<_> = preview.left.iter().map(|one| one.why.as_str()).collect();
        assert_eq!(
            whys,
            ["presses", "in_use"],
            "herself, and the unit that she is in"
        );
        assert_eq!(
            (preview.left[0].employee, preview.left[0].why.as_str()),
            (ada.id(), "presses")
        );

        let undo = store.undo_run(&ada, first.id).await.unwrap();
        assert_eq!(undo.phase, Phase::Planning);
        let asks = store.plan_undo(&SYSTEM, undo.id).await.unwrap();
        assert_eq!(
            (asks.phase, asks.error.as_deref()),
            (Phase::Waiting, Some("too_many_leavers"))
        );
        assert_eq!(
            (asks.totals.leavers, asks.steps, asks.exceeded),
            (4, 4, preview.exceeded)
        );
        let text = "4 of 5 people would leave, more than 10 %. Nothing was written.";
        assert_eq!(asks.error_text.as_deref(), Some(text));
        assert_eq!(left(store, undo.id).await["Ada"].why, "presses");
        let held = store.undo_chunk(&SYSTEM, undo.id).await;
        assert!(matches!(held, Err(Error::Conflict("not_approved"))));
        assert_eq!(state(world).await, before);

        // It can be cancelled, and begun anew.
        store.cancel_run(&ada, undo.id).await.unwrap();
        let limits = Limits {
            four_eyes: true,
            ..Limits::default()
        };
        store.set_limits(&SYSTEM, source, limits).await.unwrap();
        let undo = store.undo_run(&ada, first.id).await.unwrap();
        store.plan_undo(&SYSTEM, undo.id).await.unwrap();
        let alone = store.approve_run(&ada, undo.id).await;
        assert!(matches!(alone, Err(Error::Conflict("four_eyes"))));
        store.approve_run(&bo, undo.id).await.unwrap();
        while store.undo_chunk(&SYSTEM, undo.id).await.unwrap() {}
        let done = store.end_undo(&SYSTEM, undo.id).await.unwrap();

        // Who pressed, and who let it go on, are left in and told; the others are gone.
        assert_eq!(
            (done.phase, done.totals.leavers, done.applied),
            (Phase::Done, 3, 3)
        );
        assert_eq!(working(world).await, 2);
        let kept = left(store, done.id).await;
        assert_eq!(
            (kept["Ada"].why.as_str(), kept["Bo"].why.as_str()),
            ("presses", "presses")
        );
        assert!(can_sign_in(world, "a").await && can_sign_in(world, "b").await);
    })
    .await;
}

#[tokio::test]
async fn an_undo_leaves_somebody_in_who_can_administer() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let first = sync(store, source, &firm()).await;
        account(world, "c", Role::SystemAdministrator).await;
        account(world, "d", Role::Hr).await;
        let local = world.source("Other").await;
        hour(world).await;

        // Nobody pressed: a command did. Without Cy nobody could let anybody in again.
        let undone = undo(store, first.id).await;
        let kept = left(store, undone.id).await;
        assert_eq!(kept["Cy"].why, "last_administrator");
        assert!(!kept.contains_key("Di"), "{kept:?}");
        assert_eq!(working(world).await, 1);
        assert!(can_sign_in(world, "c").await && !can_sign_in(world, "d").await);

        // Somebody who came back with a run, and is an administrator again by that.
        store.resume_source(&SYSTEM, source).await.unwrap();
        store
            .set_limits(&SYSTEM, source, Limits::LIFTED)
            .await
            .unwrap();
        let back = sync(store, source, &firm()).await;
        assert_eq!(back.totals.returners, 4);
        let admin = Roles::EMPLOYEE.with(Role::SystemAdministrator);
        let (cy, di) = (id(world, "c").await, id(world, "d").await);
        store.set_roles(&SYSTEM, di, admin).await.unwrap();
        store.set_roles(&SYSTEM, cy, Roles::EMPLOYEE).await.unwrap();
        hour(world).await;
        let undone = undo(store, back.id).await;
        assert_eq!(left(store, undone.id).await["Di"].why, "last_administrator");
        assert_eq!((undone.totals.leavers, working(world).await), (3, 2));
        assert!(can_sign_in(world, "d").await);

        // With one who came by another way, nobody is left in.
        let mut entry = worker("x", "Xu", None, None);
        set(&mut entry, Attribute::EmployeeNumber, "X");
        sync(store, local, &(vec![], vec![entry])).await;
        account(world, "x", Role::SystemAdministrator).await;
        store.resume_source(&SYSTEM, source).await.unwrap();
        let again = sync(store, source, &firm()).await;
        assert_eq!(again.totals.returners, 3);
        hour(world).await;
        let undone = undo(store, again.id).await;
        assert!(left(store, undone.id).await.is_empty());
        assert_eq!(undone.totals.leavers, 3);
    })
    .await;
}

#[tokio::test]
async fn a_mass_change_is_undone_only_when_somebody_says_so() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let units = vec![unit("u1", "Works")];
        let mut workers: Vec<_> = (0..40)
            .map(|n| worker(&format!("w{n}"), &format!("Worker {n}"), None, Some("u1")))
            .collect();
        sync(store, source, &(units.clone(), workers.clone())).await;
        hour(world).await;
        store
            .set_limits(&SYSTEM, source, Limits::LIFTED)
            .await
            .unwrap();
        for one in &mut workers {
            set(one, Attribute::Title, "Cog");
        }
        let accident = sync(store, source, &(units.clone(), workers.clone())).await;
        store
            .set_limits(&SYSTEM, source, Limits::default())
            .await
            .unwrap();
        let undo = store.undo_run(&SYSTEM, accident.id).await.unwrap();
        let asks = store.plan_undo(&SYSTEM, undo.id).await.unwrap();
        let over: Vec<_> = asks
            .exceeded
            .iter()
            .map(|one| (one.limit, one.attribute))
            .collect();
        assert_eq!(
            over,
            [
                (Limit::Changed, None),
                (Limit::Attribute, Some(Attribute::Title))
            ]
        );
        store.cancel_run(&SYSTEM, undo.id).await.unwrap();

        // A unit's name is one change however many are in it.
        let renamed = vec![unit("u1", "Great works")];
        let run = sync(store, source, &(renamed, workers)).await;
        let undo = store.undo_run(&SYSTEM, run.id).await.unwrap();
        let planned = store.plan_undo(&SYSTEM, undo.id).await.unwrap();
        assert_eq!(
            (planned.phase, planned.totals.changed),
            (Phase::Applying, 40)
        );
    })
    .await;
}

#[tokio::test]
async fn what_stands_beside_people_comes_back_unless_something_newer_touched_it() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        store
            .set_limits(&SYSTEM, source, Limits::LIFTED)
            .await
            .unwrap();
        let (units, workers) = firm();
        let mut says = Says {
            units,
            workers,
            posts: vec![post("p1", Some("a"))],
            clients: ["1", "2", "3"].map(|id| client(id, "10.00")).to_vec(),
            tickets: vec![ticket("1", "It sticks.")],
        };
        let person = |says: &mut Says, id: &str, change: &dyn Fn(&mut Worker)| {
            let found = says.workers.iter_mut().find(|one| one.external_id == id);
            change(found.unwrap());
        };
        person(&mut says, "b", &|bo| bo.dotted = vec!["c".into()]);
        sync(store, source, says.clone()).await;
        hour(world).await;
        let before = state(world).await;

        // Other dotted lines, stand-ins, posts, clients, tickets, and somebody on a day ahead.
        let mut next = says.clone();
        person(&mut next, "b", &|bo| bo.dotted = vec!["d".into()]);
        person(&mut next, "c", &|cy| cy.dotted = vec!["d".into()]);
        person(&mut next, "d", &|di| {
            di.delegate = Some(Delegate {
                to: "c".into(),
                from: day("2026-03-02"),
                until: None,
            });
        });
        let mut flo = worker("f", "Flo", Some("a"), Some("u1"));
        flo.starts_on = Some(day("2026-09-01"));
        next.workers.push(flo);
        next.posts = vec![post("p1", Some("b")), post("p2", None)];
        next.clients[0] = client("1", "11.00");
        next.clients[1] = client("2", "12.00");
        next.tickets = vec![ticket("1", "It fell down."), ticket("2", "And now?")];
        let run = sync(store, source, next.clone()).await;
        hour(world).await;
        let all = PutBack {
            scheduled: 1,
            dotted_lines: 2,
            stand_ins: 1,
            vacancy: 2,
            client: 2,
            ticket: 2,
            ..PutBack::default()
        };
        let preview = store.undo_preview(&SYSTEM, run.id).await.unwrap();
        assert_eq!(preview.totals.put_back, all);

        // Something newer: Bo's title, Cy's dotted line, the new post, client 2.
        let mut newer = next.clone();
        person(&mut newer, "b", &|bo| set(bo, Attribute::Title, "Foreman"));
        person(&mut newer, "c", &|cy| cy.dotted = vec!["e".into()]);
        newer.posts[1] = post("p2", Some("a"));
        newer.clients[1] = client("2", "13.00");
        sync(store, source, newer.clone()).await;
        hour(world).await;
        let undone = undo(store, run.id).await;
        let expected = PutBack {
            dotted_lines: 1,
            vacancy: 1,
            client: 1,
            ..all
        };
        assert_eq!(undone.totals.put_back, expected);
        let kept: Vec<_> = left(store, undone.id)
            .await
            .into_values()
            .map(|one| (one.name, one.what, one.why))
            .collect();
        let later = || "later_run".to_owned();
        assert_eq!(
            kept,
            [
                ("1".to_owned(), Some(Beside::Client), later()),
                ("Cy".to_owned(), Some(Beside::DottedLines), later()),
                ("Post p2".to_owned(), Some(Beside::Vacancy), later()),
            ],
            "a client's name is nobody's business"
        );
        let now = state(world).await;
        let dotted = "SELECT reference FROM dotted_lines WHERE employee_id = $1 AND to_at IS NULL";
        let bo = id(world, "b").await;
        let line: String = world.rows(dotted, [bo.0.into()]).await[0]
            .try_get_by_index(0)
            .unwrap();
        assert_eq!(line, "c", "only the title of Bo is newer");
        assert_eq!(
            (now[5].len(), before[5].len()),
            (0, 0),
            "nobody is scheduled"
        );
        assert_eq!(now[8], before[8], "stand-ins");
        let gone = "SELECT count(*) FROM tickets WHERE gone_at IS NOT NULL";
        assert_eq!(
            world.count(gone).await,
            1,
            "the ticket that came with the run"
        );
        assert_eq!(now[15][0], before[15][0], "what was said in the other one");

        // What the source says is not lost: the next run brings all of it again.
        store.resume_source(&SYSTEM, source).await.unwrap();
        let again = sync(store, source, newer).await;
        let line: String = world.rows(dotted, [bo.0.into()]).await[0]
            .try_get_by_index(0)
            .unwrap();
        assert_eq!(line, "d");
        assert_eq!(again.totals.scheduled, 1);
        assert_eq!(
            (again.totals.clients.changed, again.totals.tickets.changed),
            (1, 2)
        );
        assert_eq!(world.count(gone).await, 0);
    })
    .await;
}

#[tokio::test]
async fn who_came_on_their_day_waits_for_it_again() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let (units, mut workers) = firm();
        let mut flo = worker("f", "Flo", Some("a"), Some("u1"));
        flo.starts_on = Some(day("2026-03-03"));
        workers.push(flo);
        sync(store, source, &(units.clone(), workers.clone())).await;
        let waiting = table(world, "scheduled").await;
        assert_eq!(waiting.len(), 1);
        world.clock.advance(Duration::from_secs(24 * 3600));
        let runs = store.turn_day(&SYSTEM).await.unwrap();
        assert_eq!(runs[0].totals.joiners, 1);
        assert_eq!(table(world, "scheduled").await.len(), 0);
        hour(world).await;
        let undone = undo(store, runs[0].id).await;
        assert_eq!(
            (undone.totals.leavers, undone.totals.put_back.scheduled),
            (1, 1)
        );
        assert_eq!(table(world, "scheduled").await, waiting);
        assert_eq!(working(world).await, 5);

        // And comes as the same person when the source is let on.
        let flo = id(world, "f").await;
        store.resume_source(&SYSTEM, source).await.unwrap();
        let again = sync(store, source, &(units, workers)).await;
        assert_eq!(again.totals.returners, 1);
        assert_eq!(id(world, "f").await, flo);
        assert_eq!(table(world, "scheduled").await.len(), 0);
    })
    .await;
}

async fn pushed(world: &World, source: SourceId, body: serde_json::Value) -> Resource {
    let body = clean(&USER, body).unwrap();
    let made = world.store.scim_create(&SYSTEM, source, &USER, body).await;
    made.unwrap()
}

async fn patch(
    world: &World,
    source: SourceId,
    one: &Resource,
    attribute: &str,
    value: serde_json::Value,
) -> Result<Resource, Refused> {
    let list = json!({ "Operations": [{ "op": "replace", "path": attribute, "value": value }] });
    let list = operations(one.kind, &list).unwrap();
    let store = &world.store;
    store
        .scim_patch(&SYSTEM, source, &USER, one.id, None, list)
        .await
}

#[tokio::test]
async fn a_push_is_undone_as_any_run_is() {
    support::everywhere(async |world| {
        let store = &world.store;
        let new = NewSource {
            kind: KIND.into(),
            name: "Directory".into(),
            settings: BTreeMap::new(),
            secrets: BTreeMap::new(),
        };
        let source = store.add_source(&SYSTEM, new).await.unwrap().id;
        let mut people = Vec::new();
        for at in 0..20 {
            let body = json!({ "userName": format!("p{at:02}"), "displayName": format!("Person {at:02}"), "title": "Fitter" });
            people.push(pushed(world, source, body).await);
            hour(world).await;
        }
        let last = async || store.runs(&SYSTEM, source).await.unwrap()[0].clone();
        let title = async |name: &str| {
            let ask = "SELECT title, active FROM employees WHERE display_name = $1";
            let row = world.rows(ask, [name.into()]).await.remove(0);
            let active: bool = row.try_get_by_index(1).unwrap();
            (row.try_get_by_index::<Option<String>>(0).unwrap().unwrap_or_default(), active)
        };

        // A value.
        let before = state(world).await;
        hour(world).await;
        patch(world, source, &people[3], "title", json!("Cog")).await.unwrap();
        assert_eq!(title("Person 03").await, ("Cog".into(), true));
        let run = last().await;
        assert!(run.undoable && run.totals.changed == 1, "{run:?}");
        hour(world).await;
        let undone = undo(store, run.id).await;
        assert_eq!((undone.phase, undone.totals.changed), (Phase::Done, 1));
        assert_eq!(state(world).await, before);

        // The source is paused: what is pushed is refused, and taken again once it is let on.
        let held = patch(world, source, &people[3], "title", json!("Bolt")).await;
        assert!(matches!(held, Err(Refused::Store(Error::Conflict("source_paused")))), "{held:?}");
        assert_eq!(state(world).await, before);
        store.resume_source(&SYSTEM, source).await.unwrap();
        hour(world).await;
        // The record that was pushed says its own title still, and is taken as a whole.
        patch(world, source, &people[3], "nickName", json!("Three")).await.unwrap();
        assert_eq!(title("Person 03").await, ("Cog".into(), true));

        // Somebody who left by a push comes back; nobody was asked, for one may leave.
        hour(world).await;
        patch(world, source, &people[5], "active", json!(false)).await.unwrap();
        assert!(!title("Person 05").await.1);
        let run = last().await;
        assert_eq!(run.totals.leavers, 1);
        hour(world).await;
        let undone = undo(store, run.id).await;
        assert_eq!(undone.totals.returners, 1);
        assert!(title("Person 05").await.1);

        // And somebody who came by one goes again.
        store.resume_source(&SYSTEM, source).await.unwrap();
        hour(world).await;
        let body = json!({ "userName": "p99", "displayName": "Person 99", "title": "Fitter" });
        let new = pushed(world, source, body).await;
        assert!(title("Person 99").await.1);
        let run = last().await;
        hour(world).await;
        undo(store, run.id).await;
        assert!(!title("Person 99").await.1);
        store.resume_source(&SYSTEM, source).await.unwrap();
        patch(world, source, &new, "title", json!("Foreman")).await.unwrap();
        assert_eq!(title("Person 99").await, ("Foreman".into(), true));
    })
    .await;
}

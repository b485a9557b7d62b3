//! Runs: what a source says becomes people, and what it says anew becomes changes.

mod support;

use std::{collections::BTreeMap, collections::HashSet, time::Duration};

use domain::{
    Attribute, EmployeeId, Role, Roles, SourceId, Viewer,
    erp::{Fault, OrgUnit, Vacancy, Worker},
    org::Finding,
    sync::{Doubt, Limit, Limits, StepKind},
};
use store::{
    Error, Event, Store, db,
    people::DirectoryQuery,
    run::{Group, Phase, Read, Run, RunFinding},
    source::{Decision, NewSource},
};
use support::{
    World,
    firm::{finish, firm, id, set, steps, table, unit, worker},
};

const SYSTEM: Viewer = Viewer::system("test");

fn page(workers: &[Worker]) -> Read {
    Read {
        workers: workers.to_vec(),
        faults: Vec::new(),
    }
}

/// Reads everything, as far as the plan.
async fn read(
    store: &Store,
    source: SourceId,
    dry: bool,
    (units, workers): &(Vec<OrgUnit>, Vec<Worker>),
) -> Run {
    let run = store.begin_run(&SYSTEM, source, dry).await.unwrap().id;
    store
        .read_units(&SYSTEM, run, units.clone(), vec![], vec![])
        .await
        .unwrap();
    for workers in workers.chunks(400) {
        store.read_page(&SYSTEM, run, page(workers)).await.unwrap();
    }
    store.plan_run(&SYSTEM, run, None).await.unwrap()
}

async fn sync(store: &Store, source: SourceId, firm: &(Vec<OrgUnit>, Vec<Worker>)) -> Run {
    let run = read(store, source, false, firm).await;
    assert_eq!(run.phase, Phase::Applying, "{run:?}");
    finish(store, run.id).await
}

const TABLES: [&str; 15] = [
    "units",
    "employees",
    "manager_history",
    "erp_records",
    "undecided",
    "own_values",
    "photos",
    "accounts",
    "sign_ins",
    "audit_entries",
    "audit_head",
    "run_steps",
    "events",
    "runs",
    "sources",
];

async fn tables(world: &World, names: &[&str]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for name in names {
        all.push(table(world, name).await);
    }
    all
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

async fn hour(world: &World) {
    world.clock.advance(Duration::from_secs(3600));
}

#[tokio::test]
async fn a_first_load_takes_everyone_in_and_tells_what_is_wrong() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let (units, mut workers) = firm();
        workers.push(worker("x", "Xia", Some("y"), Some("u1")));
        workers.push(worker("y", "Yan", Some("x"), Some("u1")));
        workers.push(worker("z", "Zoe", Some("ghost"), Some("nowhere")));
        let mut twin = worker("t", "Tim", Some("a"), Some("u1"));
        set(&mut twin, Attribute::EmployeeNumber, "N-e");
        workers.push(twin);
        let mut former = worker("f", "Flo", None, None);
        former.active = false;
        workers.push(former);

        let run = store.begin_run(&SYSTEM, source, false).await.unwrap().id;
        let vacancy = Vacancy {
            external_id: "p1".into(),
            title: "Analyst".into(),
            unit: Some("u1".into()),
            manager: None,
        };
        store
            .read_units(&SYSTEM, run, units, vec![vacancy.clone()], vec![])
            .await
            .unwrap();
        let fault = Fault {
            place: "workers.csv, line 12".into(),
            field: Some("startDate".into()),
            what: "is no date".into(),
            external_id: None,
            left_out: false,
        };
        let read = Read {
            workers,
            faults: vec![fault.clone()],
        };
        store.read_page(&SYSTEM, run, read).await.unwrap();
        assert_eq!(world.count("SELECT count(*) FROM employees").await, 0);
        let plan = store.plan_run(&SYSTEM, run, None).await.unwrap();
        assert_eq!((plan.phase, plan.steps), (Phase::Applying, 9));
        assert_eq!(world.count("SELECT count(*) FROM employees").await, 0);
        let planned = steps(store, run).await;
        assert_eq!(planned["b"].kind, StepKind::Joiner);
        let manager = planned["b"].changes.iter().find(|one| one.attribute == Attribute::Manager);
        assert_eq!(manager.unwrap().to, Some("Ada".into()));
        let done = finish(store, run).await;

        assert_eq!(done.phase, Phase::Done);
        assert_eq!((done.totals.read, done.totals.joiners, done.totals.faults), (10, 9, 2));
        assert_eq!((done.applied, done.steps), (9, 9));
        assert_eq!(steps(store, run).await, planned, "what was done is what was planned");
        let findings = store.run_findings(&SYSTEM, run).await.unwrap();
        assert!(findings.contains(&RunFinding::Fault(fault)));
        assert!(findings.contains(&RunFinding::Vacancy(vacancy)));
        assert!(findings.iter().any(|one| matches!(one, RunFinding::Fault(fault)
            if fault.external_id.as_deref() == Some("t") && fault.field.as_deref() == Some("employeeNumber"))));

        let (ada, bo, eve) = (id(world, "a").await, id(world, "b").await, id(world, "e").await);
        let (xia, yan, zoe) = (id(world, "x").await, id(world, "y").await, id(world, "z").await);
        let chart = store.chart();
        assert!(chart.chart.oversees(ada, eve) && chart.chart.oversees(bo, eve));
        assert!(!chart.chart.oversees(xia, yan) && !chart.chart.oversees(yan, xia));
        assert!(chart.findings.iter().any(
            |one| matches!(one, Finding::Cycle { members } if members.contains(&xia) && members.contains(&yan))
        ));
        assert!(chart.findings.contains(&Finding::MissingManager {
            employee: zoe,
            reference: "ghost".into()
        }));
        let card = store.cards(&SYSTEM, &[bo]).await.unwrap().remove(&bo).unwrap();
        assert_eq!(card.display_name, "Bo");
        assert_eq!(card.title.as_deref(), Some("Fitter"));
        assert_eq!(card.department.as_deref(), Some("Works"));
        assert_eq!(card.employee_number.as_deref(), Some("N-b"));
        assert_eq!(superiors(world, eve).await, [(bo, true)]);
        assert_eq!(superiors(world, zoe).await, []);
        let found = store.source(&SYSTEM, source).await.unwrap();
        assert_eq!(found.last_read_at, Some(world.clock.now()));
        assert_eq!((found.last_run, found.people), (Some(run), 9));
        let people = store.directory(&SYSTEM, &DirectoryQuery::default()).await.unwrap();
        assert_eq!(people.total, 9);
        let twins = [id(world, "t").await, eve];
        assert_ne!(twins[0], twins[1], "a number does not make two people one");
    })
    .await;
}

#[tokio::test]
async fn what_did_not_change_is_not_written() {
    support::everywhere(async |world| {
        let source = world.source("ERP").await;
        sync(&world.store, source, &firm()).await;
        let written = &TABLES[..12];
        let before = tables(world, written).await;
        hour(world).await;
        let run = sync(&world.store, source, &firm()).await;
        assert_eq!(
            (run.totals.read, run.totals.unchanged, run.steps),
            (5, 5, 0)
        );
        assert_eq!(tables(world, written).await, before);
        let found = world.store.source(&SYSTEM, source).await.unwrap();
        assert_eq!(
            found.last_read_at,
            Some(world.clock.now()),
            "values are as of this run"
        );
    })
    .await;
}

#[tokio::test]
async fn people_join_move_change_leave_and_come_back() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        world.execute("UPDATE sources SET leaver_percent = 90", []).await;
        let (units, workers) = firm();
        sync(store, source, &(units.clone(), workers.clone())).await;
        let (ada, bo, cy) = (id(world, "a").await, id(world, "b").await, id(world, "c").await);
        let (di, eve) = (id(world, "d").await, id(world, "e").await);
        let now = world.clock.now();
        world
            .execute(
                "INSERT INTO accounts (employee_id, login, roles, created_at) VALUES ($1, 'di', 'employee', $2)",
                [di.0.into(), now.into()],
            )
            .await;
        let sign_in = "INSERT INTO sign_ins (id, employee_id, token, created_at, last_seen_at, expires_at)
            VALUES ($1, $2, FALSE, $3, $3, $4)";
        let until = now + chrono::TimeDelta::days(9);
        world
            .execute(sign_in, [world.uuid().into(), di.0.into(), now.into(), until.into()])
            .await;
        world.own(di, Attribute::About, "Likes trains".into()).await;

        hour(world).await;
        let mut events = store.events();
        // Fay joins, Eve moves to Cy, Cy gets a title, Di is gone.
        let second: Vec<_> = workers
            .iter()
            .filter(|one| one.external_id != "d")
            .cloned()
            .map(|mut one| {
                match one.external_id.as_str() {
                    "e" => one.manager = Some("c".into()),
                    "c" => {
                        set(&mut one, Attribute::Title, "Foreman");
                        one.changed_at = Some(now + chrono::TimeDelta::minutes(7));
                    }
                    _ => {}
                }
                one
            })
            .chain([worker("f", "Fay", Some("e"), Some("u1"))])
            .collect();
        let run = sync(store, source, &(units.clone(), second)).await;
        let done = steps(store, run.id).await;
        let kinds: BTreeMap<_, _> = done.iter().map(|(id, step)| (id.as_str(), step.kind)).collect();
        assert_eq!(
            kinds,
            BTreeMap::from([
                ("c", StepKind::Changed),
                ("d", StepKind::Leaver),
                ("e", StepKind::Mover),
                ("f", StepKind::Joiner),
            ])
        );
        assert_eq!(done["c"].changes.len(), 1);
        assert_eq!(done["c"].changes[0].from, Some("Fitter".into()));
        assert_eq!(done["c"].changes[0].to, Some("Foreman".into()));
        assert_eq!(done["e"].changes[0].from, Some("Bo".into()));
        assert_eq!(done["e"].changes[0].to, Some("Cy".into()));
        assert_eq!(run.totals.unchanged, 2);
        let movers = store
            .run_steps(&SYSTEM, run.id, Some(StepKind::Mover), None)
            .await
            .unwrap();
        assert_eq!(movers.items, [done["e"].clone()]);

        let fay = id(world, "f").await;
        let chart = store.chart();
        assert!(chart.chart.oversees(cy, fay) && !chart.chart.oversees(bo, eve));
        assert!(!chart.chart.contains(di));
        assert_eq!(superiors(world, eve).await, [(bo, false), (cy, true)]);
        assert_eq!(superiors(world, di).await, [(ada, false)]);
        let card = store.cards(&SYSTEM, &[di]).await.unwrap().remove(&di).unwrap();
        assert!(!card.active);
        assert_eq!(
            world.count("SELECT count(*) FROM sign_ins WHERE ended_at IS NULL").await,
            0,
            "the sign-in ends at once"
        );
        assert_eq!(world.count("SELECT count(*) FROM own_values").await, 1, "the content stays");
        assert_eq!(
            world.count("SELECT count(*) FROM audit_entries WHERE action = 'person.left'").await,
            1
        );
        let mut told = Vec::new();
        while let Ok(event) = events.try_recv() {
            told.push(event);
        }
        assert!(told.iter().any(|event| matches!(event, Event::SignedOut(who) if *who == di)));
        assert!(told.iter().any(|event| matches!(event, Event::PeopleChanged)));
        let since = world
            .rows("SELECT changed FROM erp_records WHERE external_id = 'c'", [])
            .await;
        let since: BTreeMap<Attribute, chrono::DateTime<chrono::Utc>> =
            serde_json::from_str(&since[0].try_get_by_index::<String>(0).unwrap()).unwrap();
        assert_eq!(since[&Attribute::Title], now + chrono::TimeDelta::minutes(7));
        assert_eq!(since[&Attribute::DisplayName], now);

        // Di comes back, to Bo; Eve is inactive in the source.
        hour(world).await;
        let mut third = workers.clone();
        third[0].active = false;
        third[1].manager = Some("b".into());
        third.push(worker("f", "Fay", Some("e"), Some("u1")));
        let run = sync(store, source, &(units, third)).await;
        let done = steps(store, run.id).await;
        assert_eq!(done["d"].kind, StepKind::Returner);
        assert_eq!(done["d"].employee, Some(di));
        assert_eq!(done["e"].kind, StepKind::Leaver);
        assert!(store.chart().chart.oversees(bo, di));
        assert_eq!(superiors(world, di).await, [(ada, false), (bo, true)]);
        let left = world.rows("SELECT left_at FROM employees WHERE id = $1", [di.0.into()]).await;
        let left: Option<chrono::DateTime<chrono::Utc>> = left[0].try_get_by_index(0).unwrap();
        assert_eq!(left, None);
        assert!(!store.chart().chart.contains(eve));
    })
    .await;
}

#[tokio::test]
async fn a_unit_gets_another_name() {
    support::everywhere(async |world| {
        let source = world.source("ERP").await;
        let (mut units, workers) = firm();
        sync(&world.store, source, &(units.clone(), workers.clone())).await;
        hour(world).await;
        units[0].name = "Workshop".into();
        let run = sync(&world.store, source, &(units, workers)).await;
        let done = steps(&world.store, run.id).await;
        assert_eq!(done.keys().collect::<Vec<_>>(), ["b", "e"]);
        assert_eq!(done["b"].kind, StepKind::Changed);
        assert_eq!(done["b"].changes[0].from, Some("Works".into()));
        assert_eq!(done["b"].changes[0].to, Some("Workshop".into()));
        assert_eq!((run.totals.unchanged, run.totals.changed), (3, 2));
        let bo = id(world, "b").await;
        let card = world
            .store
            .cards(&SYSTEM, &[bo])
            .await
            .unwrap()
            .remove(&bo)
            .unwrap();
        assert_eq!(card.department.as_deref(), Some("Workshop"));
        let names = world.store.units(&SYSTEM).await.unwrap();
        assert!(names.iter().any(|unit| unit.name == "Workshop"));
        assert!(names.iter().all(|unit| unit.name != "Works"));
    })
    .await;
}

#[tokio::test]
async fn a_superior_and_a_unit_that_come_later_are_found() {
    support::everywhere(async |world| {
        let source = world.source("ERP").await;
        let early = worker("e", "Eve", Some("b"), Some("u1"));
        let other = worker("o", "Oda", None, None);
        sync(
            &world.store,
            source,
            &(vec![], vec![early.clone(), other.clone()]),
        )
        .await;
        let eve = id(world, "e").await;
        assert_eq!(world.store.chart().chart.manager(eve), None);
        hour(world).await;
        let late = worker("b", "Bo", None, Some("u1"));
        let units = vec![unit("u1", "Works")];
        let run = sync(&world.store, source, &(units, vec![early, other, late])).await;
        assert_eq!((run.totals.joiners, run.totals.unchanged), (1, 2));
        let bo = id(world, "b").await;
        let chart = world.store.chart();
        assert_eq!(chart.chart.manager(eve), Some(bo));
        assert_eq!(chart.units[&chart.chart.unit(eve).unwrap()].name, "Works");
        let card = world
            .store
            .cards(&SYSTEM, &[eve])
            .await
            .unwrap()
            .remove(&eve)
            .unwrap();
        assert_eq!(card.department.as_deref(), Some("Works"));
        assert_eq!(superiors(world, eve).await, [(bo, true)]);
    })
    .await;
}

#[tokio::test]
async fn somebody_who_could_be_two_waits_for_a_decision() {
    support::everywhere(async |world| {
        let store = &world.store;
        let first = world.source("ERP").await;
        let second = world.source("Payroll").await;
        sync(store, first, &firm()).await;
        let (ada, bo, cy) = (
            id(world, "a").await,
            id(world, "b").await,
            id(world, "c").await,
        );
        // Bo's number and Cy's address; Ada's number alone; nobody's; Di's, twice.
        let mut both = worker("p1", "Bo?", None, None);
        set(&mut both, Attribute::EmployeeNumber, "N-b");
        set(&mut both, Attribute::Emails, "C@northwindforge.example");
        let mut sure = worker("p2", "Ada", None, None);
        set(&mut sure, Attribute::EmployeeNumber, "N-a");
        let nobody = worker("p3", "Pat", None, None);
        let mut twice = [
            worker("p4", "Di", None, None),
            worker("p5", "Di", None, None),
        ];
        for one in &mut twice {
            set(one, Attribute::Emails, "d@northwindforge.example");
        }
        let [four, five] = twice;
        let payroll = (vec![], vec![both, sure, nobody, four, five]);
        let run = sync(store, second, &payroll).await;
        assert_eq!(
            (run.totals.undecided, run.totals.joiners, run.totals.changed),
            (3, 1, 1)
        );
        let linked = world
            .rows(
                "SELECT employee_id FROM erp_records WHERE external_id = 'p2'",
                [],
            )
            .await;
        assert_eq!(EmployeeId(linked[0].try_get_by_index(0).unwrap()), ada);

        let waiting = store.undecided(&SYSTEM).await.unwrap();
        assert_eq!(waiting.len(), 3);
        let one = waiting.iter().find(|one| one.external_id == "p1").unwrap();
        let meant: Vec<_> = one.candidates.iter().map(|card| card.id).collect();
        assert_eq!(meant, [bo, cy]);
        assert_eq!(one.worker.name(), "Bo?");

        let decide = async |who, what| store.decide(&SYSTEM, second, who, what).await;
        assert!(matches!(
            decide("p9", Decision::New).await,
            Err(Error::NotFound)
        ));
        assert!(matches!(
            decide("p1", Decision::Is(ada)).await,
            Err(Error::Conflict("already_linked"))
        ));
        decide("p1", Decision::Is(cy)).await.unwrap();
        assert!(matches!(
            decide("p1", Decision::New).await,
            Err(Error::Conflict("already_decided"))
        ));
        decide("p5", Decision::New).await.unwrap();
        // Only the ids come: what was decided is followed all the same.
        let run = store.begin_run(&SYSTEM, second, false).await.unwrap().id;
        let there = ["p1", "p2", "p3", "p4", "p5"].map(str::to_owned);
        let plan = store
            .plan_run(&SYSTEM, run, Some(HashSet::from(there)))
            .await
            .unwrap();
        assert_eq!(
            (
                plan.totals.changed,
                plan.totals.joiners,
                plan.totals.leavers
            ),
            (1, 1, 0)
        );
        finish(store, run).await;
        assert_eq!(id(world, "p1").await, cy);
        let waiting = store.undecided(&SYSTEM).await.unwrap();
        assert_eq!(waiting.len(), 1, "Di's other record still waits");
        // With the other one told apart, the last is sure.
        let run = sync(store, second, &payroll).await;
        assert_eq!((run.totals.changed, run.totals.undecided), (1, 0));
        assert_eq!(id(world, "p4").await, id(world, "d").await);
        assert_eq!(store.undecided(&SYSTEM).await.unwrap(), []);
        // Gone from one source is not gone from the other.
        let run = sync(store, second, &(vec![], payroll.1[..4].to_vec())).await;
        assert_eq!(run.totals.leavers, 1);
        let run = sync(store, second, &(vec![], payroll.1[1..4].to_vec())).await;
        assert_eq!(run.totals.leavers, 1);
        assert!(store.chart().chart.contains(cy));
    })
    .await;
}

#[tokio::test]
async fn nobody_takes_a_strangers_record_by_editing_the_own_address() {
    support::everywhere(async |world| {
        let first = world.source("ERP").await;
        let second = world.source("Payroll").await;
        sync(&world.store, first, &firm()).await;
        let eve = id(world, "e").await;
        world
            .own(eve, Attribute::Emails, "new@northwindforge.example".into())
            .await;
        world.settle().await;
        let new = worker("new", "Nia", None, None);
        let run = sync(&world.store, second, &(vec![], vec![new])).await;
        assert_eq!(run.totals.joiners, 1);
        assert_ne!(id(world, "new").await, eve);
    })
    .await;
}

#[tokio::test]
async fn too_many_leavers_stop_a_run_before_it_writes() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let (units, workers) = firm();
        sync(store, source, &(units.clone(), workers.clone())).await;
        let people = &TABLES[..11];
        let before = tables(world, people).await;
        let mut few = (units, workers[3..].to_vec());
        set(&mut few.1[0], Attribute::Title, "Foreman");
        few.0[0].name = "Workshop".into();
        let run = read(store, source, false, &few).await;
        assert_eq!(run.phase, Phase::Waiting);
        assert_eq!(run.error.as_deref(), Some("too_many_leavers"));
        assert_eq!(run.totals.leavers, 3);
        assert_eq!(tables(world, people).await, before);
        assert!(matches!(
            store.apply_run(&SYSTEM, run.id).await,
            Err(Error::Conflict("not_approved"))
        ));
        let again = store.begin_run(&SYSTEM, source, false).await;
        assert!(matches!(again, Err(Error::Conflict("run_in_progress"))));
        let nobody = Viewer::person(id(world, "e").await, Roles::EMPLOYEE);
        assert!(matches!(
            store.approve_run(&nobody, run.id).await,
            Err(Error::NotFound)
        ));

        store.cancel_run(&SYSTEM, run.id).await.unwrap();
        assert!(matches!(
            store.approve_run(&SYSTEM, run.id).await,
            Err(Error::Conflict("run_over"))
        ));
        assert_eq!(tables(world, &TABLES[..8]).await, before[..8]);

        let run = read(store, source, false, &few).await;
        let approved = store.approve_run(&SYSTEM, run.id).await.unwrap();
        assert_eq!((approved.phase, approved.error), (Phase::Applying, None));
        let done = finish(store, run.id).await;
        assert_eq!((done.phase, done.applied), (Phase::Done, done.steps));
        assert_eq!(store.chart().chart.len(), 2);
        assert_eq!(
            world
                .count("SELECT count(*) FROM audit_entries WHERE action = 'run.approved'")
                .await,
            1
        );
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_plans_the_same_and_writes_nothing() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let (mut units, mut workers) = firm();
        sync(store, source, &(units.clone(), workers.clone())).await;
        units[0].name = "Workshop".into();
        set(&mut workers[0], Attribute::Title, "Foreman");
        workers.remove(1);
        workers.push(worker("f", "Fay", Some("e"), Some("u3")));
        units.push(unit("u3", "Yard"));
        let firm = (units, workers);

        let file = world
            .url
            .trim_start_matches("sqlite://")
            .split('?')
            .next()
            .unwrap();
        let content = async || {
            if world.is_postgres() {
                return None;
            }
            world.rows("PRAGMA wal_checkpoint(TRUNCATE)", []).await;
            Some(std::fs::read(file).unwrap())
        };
        let before = (tables(world, &TABLES).await, content().await);
        let dry = read(store, source, true, &firm).await;
        assert_eq!((dry.phase, dry.dry_run), (Phase::Done, true));
        if before.1.is_some() {
            let wal = std::fs::metadata(format!("{file}-wal")).map_or(0, |wal| wal.len());
            assert_eq!(wal, 0, "not a page was written");
        }
        assert!((tables(world, &TABLES).await, content().await) == before);

        let planned = steps(store, dry.id).await;
        assert_eq!(store.run(&SYSTEM, dry.id).await.unwrap(), dry);
        assert_eq!(store.runs(&SYSTEM, source).await.unwrap()[0], dry);
        assert!(matches!(
            store.apply_run(&SYSTEM, dry.id).await,
            Err(Error::Conflict("run_over"))
        ));
        let run = sync(store, source, &firm).await;
        assert_eq!(run.totals, dry.totals);
        assert_eq!(steps(store, run.id).await, planned);
    })
    .await;
}

/// Another process with the same database.
async fn another(world: &World) -> Store {
    let db = db::connect(&world.url).await.unwrap();
    Store::open(db, world.env.clone(), world.keys.clone())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_source_has_one_run_at_a_time() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let other_source = world.source("Payroll").await;
        let run = store.begin_run(&SYSTEM, source, false).await.unwrap().id;
        let elsewhere = another(world).await;
        for store in [store, &elsewhere] {
            for dry in [false, true] {
                let second = store.begin_run(&SYSTEM, source, dry).await;
                assert!(matches!(second, Err(Error::Conflict("run_in_progress"))));
            }
        }
        store.begin_run(&SYSTEM, other_source, false).await.unwrap();
        assert_eq!(elsewhere.clear_interrupted_runs(&SYSTEM).await.unwrap(), 0);
        let late = elsewhere.read_page(&SYSTEM, run, Read::default()).await;
        assert!(matches!(late, Err(Error::Conflict("run_over"))));

        // Ended elsewhere, it writes nothing any more here.
        let (units, workers) = firm();
        store
            .read_units(&SYSTEM, run, units, vec![], vec![])
            .await
            .unwrap();
        store.read_page(&SYSTEM, run, page(&workers)).await.unwrap();
        store.plan_run(&SYSTEM, run, None).await.unwrap();
        elsewhere.cancel_run(&SYSTEM, run).await.unwrap();
        let late = store.apply_run(&SYSTEM, run).await;
        assert!(matches!(late, Err(Error::Conflict("run_over"))));
        assert_eq!(world.count("SELECT count(*) FROM employees").await, 0);
        let failed = store
            .fail_run(&SYSTEM, run, "interrupted", "It was ended.")
            .await
            .unwrap();
        assert_eq!(failed.phase, Phase::Cancelled);
        store.begin_run(&SYSTEM, source, false).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_killed_run_is_completed_by_the_next_one() {
    support::everywhere(async |world| {
        let source = world.source("ERP").await;
        // In circles of three and chains, so that superiors are in other chunks.
        let workers: Vec<_> = (0..2_300)
            .map(|n| {
                let above = if n % 100 < 3 { n / 100 * 100 + (n % 100 + 1) % 3 } else { n - 1 };
                let name = format!("Person {n}");
                worker(&format!("{n:04}"), &name, Some(&format!("{above:04}")), Some("u1"))
            })
            .collect();
        let firm = (vec![unit("u1", "Works")], workers);
        let killed = another(world).await;
        let run = read(&killed, source, false, &firm).await.id;
        assert_eq!(killed.apply_run(&SYSTEM, run).await.unwrap(), 1_300);
        drop(killed);

        let store = &world.store;
        let soon = store.begin_run(&SYSTEM, source, false).await;
        assert!(matches!(soon, Err(Error::Conflict("run_in_progress"))));
        world.clock.advance(Duration::from_secs(11));
        assert_eq!(store.clear_interrupted_runs(&SYSTEM).await.unwrap(), 1);
        let lost = store.run(&SYSTEM, run).await.unwrap();
        assert_eq!((lost.phase, lost.applied), (Phase::Failed, 1_000));
        assert_eq!(lost.error.as_deref(), Some("interrupted"));

        let done = sync(store, source, &firm).await;
        assert_eq!((done.totals.unchanged, done.totals.joiners), (1_000, 1_300));
        assert_eq!(world.count("SELECT count(*) FROM employees").await, 2_300);
        assert_eq!(world.count("SELECT count(*) FROM erp_records").await, 2_300);
        assert_eq!(
            world.count("SELECT count(*) FROM employees WHERE manager_id IS NULL OR unit_id IS NULL").await,
            0
        );
        assert_eq!(world.count("SELECT count(*) FROM manager_history WHERE to_at IS NULL").await, 2_300);
        let astray = "SELECT count(*) FROM employees e LEFT JOIN employees m ON m.id = e.manager_id WHERE m.id IS NULL";
        assert_eq!(world.count(astray).await, 0);
        let again = sync(store, source, &firm).await;
        assert_eq!((again.totals.unchanged, again.steps), (2_300, 0));
        let pages = store.run_steps(&SYSTEM, done.id, None, Some("1200")).await.unwrap();
        assert_eq!((pages.items.len(), pages.next_cursor), (100, None));
        let only = async |kind| store.run_steps(&SYSTEM, done.id, Some(kind), Some("100")).await;
        let joiners = only(StepKind::Joiner).await.unwrap();
        assert_eq!((joiners.items.len(), joiners.next_cursor), (100, Some("200".into())));
        assert_eq!(only(StepKind::Leaver).await.unwrap().items, []);
    })
    .await;
}

#[tokio::test]
async fn two_people_who_swap_addresses_stay_who_they_are() {
    support::everywhere(async |world| {
        let source = world.source("ERP").await;
        let (units, mut workers) = firm();
        sync(&world.store, source, &(units.clone(), workers.clone())).await;
        let (eve, di) = (id(world, "e").await, id(world, "d").await);
        set(
            &mut workers[0],
            Attribute::Emails,
            "d@northwindforge.example",
        );
        set(&mut workers[0], Attribute::EmployeeNumber, "N-d");
        set(
            &mut workers[1],
            Attribute::Emails,
            "e@northwindforge.example",
        );
        set(&mut workers[1], Attribute::EmployeeNumber, "N-e");
        let run = sync(&world.store, source, &(units, workers)).await;
        assert_eq!((run.totals.changed, run.totals.joiners), (2, 0));
        assert_eq!((id(world, "e").await, id(world, "d").await), (eve, di));
        let cards = world.store.cards(&SYSTEM, &[eve, di]).await.unwrap();
        assert_eq!(cards[&eve].display_name, "Eve");
        assert_eq!(
            cards[&eve].email.as_deref(),
            Some("d@northwindforge.example")
        );
        assert_eq!(
            cards[&di].email.as_deref(),
            Some("e@northwindforge.example")
        );
    })
    .await;
}

#[tokio::test]
async fn whoever_could_not_be_read_has_not_left() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let (units, workers) = firm();
        sync(store, source, &(units, workers.clone())).await;
        let fault = |external_id: Option<&str>| Fault {
            place: "workers.csv, line 2".into(),
            field: None,
            what: "is no record".into(),
            external_id: external_id.map(str::to_owned),
            left_out: true,
        };
        for (faults, leavers) in [
            (vec![fault(Some("e"))], 1),
            (vec![fault(Some("e")), fault(None)], 0),
        ] {
            let run = store.begin_run(&SYSTEM, source, true).await.unwrap().id;
            let read = Read {
                workers: workers[2..].to_vec(),
                faults,
            };
            store.read_page(&SYSTEM, run, read).await.unwrap();
            let plan = store.plan_run(&SYSTEM, run, None).await.unwrap();
            assert_eq!(plan.totals.leavers, leavers);
        }
    })
    .await;
}

#[tokio::test]
async fn a_field_that_cannot_be_read_takes_nothing_away() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let mut firm = firm();
        set(&mut firm.1[0], Attribute::StartDate, "2019-05-13");
        sync(store, source, &firm).await;

        firm.1[0].attributes.remove(&Attribute::StartDate);
        let fault = Fault {
            place: "workers.csv, line 2".into(),
            field: Some(Attribute::StartDate.name().into()),
            what: "“31.02.2019” is no date.".into(),
            external_id: Some("e".into()),
            left_out: false,
        };
        let run = store.begin_run(&SYSTEM, source, false).await.unwrap().id;
        store
            .read_units(&SYSTEM, run, firm.0.clone(), vec![], vec![])
            .await
            .unwrap();
        let page = Read {
            workers: firm.1.clone(),
            faults: vec![fault],
        };
        store.read_page(&SYSTEM, run, page).await.unwrap();
        let planned = store.plan_run(&SYSTEM, run, None).await.unwrap();
        assert_eq!(planned.totals.unchanged, 5, "{planned:?}");
        finish(store, run).await;

        let eve = store.profile(&SYSTEM, id(world, "e").await).await.unwrap();
        let started = eve
            .values
            .iter()
            .find(|value| value.attribute == Attribute::StartDate)
            .and_then(|value| value.resolved.value.clone());
        assert_eq!(started, Some("2019-05-13".into()));
    })
    .await;
}

#[tokio::test]
async fn a_sources_secrets_are_sealed_and_never_shown() {
    support::everywhere(async |world| {
        let store = &world.store;
        let new = |name: &str, secrets: &[(&str, &str)]| NewSource {
            kind: "odoo".into(),
            name: name.into(),
            settings: BTreeMap::from([("url".into(), "https://erp.example".into())]),
            secrets: secrets
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
        };
        let one = store.add_source(&SYSTEM, new("Odoo", &[("api_key", "s3cret")])).await.unwrap();
        assert_eq!((one.secrets_set.as_slice(), one.leaver_percent), (&["api_key".to_owned()][..], 10));
        assert!(!format!("{one:?}").contains("s3cret"));
        let taken = store.add_source(&SYSTEM, new("Odoo", &[])).await;
        assert!(matches!(taken, Err(Error::Conflict("name_taken"))));
        assert!(matches!(store.add_source(&SYSTEM, new(" ", &[])).await, Err(Error::Invalid(_))));
        for kept in ["sources", "audit_entries", "events"] {
            let kept = table(world, kept).await.join("\n");
            assert!(!kept.contains("s3cret") && !kept.contains(&hex::encode_upper("s3cret")));
            assert!(!kept.contains(&hex::encode("s3cret")));
        }
        let two = store.add_source(&SYSTEM, new("Other", &[])).await.unwrap();
        let taken = store.change_source(&SYSTEM, two.id, new("Odoo", &[]), 10).await;
        assert!(matches!(taken, Err(Error::Conflict("name_taken"))));

        let changed = store.change_source(&SYSTEM, one.id, new("Odoo 19", &[]), 25).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.leaver_percent), ("Odoo 19", 25));
        let settings = store.source_settings(&SYSTEM, one.id).await.unwrap();
        assert_eq!(settings["api_key"], "s3cret");
        assert_eq!(settings["url"], "https://erp.example");
        store.change_source(&SYSTEM, one.id, new("Odoo 19", &[("api_key", "n3w")]), 25).await.unwrap();
        assert_eq!(store.source_settings(&SYSTEM, one.id).await.unwrap()["api_key"], "n3w");

        // One source's secrets are not another's.
        let theft = "UPDATE sources SET secrets = (SELECT secrets FROM sources WHERE id = $1) WHERE id = $2";
        world.execute(theft, [one.id.0.into(), two.id.0.into()]).await;
        assert!(matches!(store.source_settings(&SYSTEM, two.id).await, Err(Error::Internal(_))));
        assert_eq!(store.sources(&SYSTEM).await.unwrap().len(), 2);
        let nobody = Viewer::person(EmployeeId(world.uuid()), Roles::EMPLOYEE);
        assert!(matches!(store.sources(&nobody).await, Err(Error::NotFound)));
        assert!(matches!(store.source_settings(&nobody, one.id).await, Err(Error::NotFound)));
        assert!(matches!(store.begin_run(&nobody, one.id, true).await, Err(Error::NotFound)));
    })
    .await;
}

#[tokio::test]
async fn photos_are_fetched_when_they_change() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let mut firm = firm();
        firm.1[0].photo = Some("v1".into());
        let run = sync(store, source, &firm).await;
        let eve = id(world, "e").await;
        assert_eq!(
            store.photos_wanted(&SYSTEM, run.id).await.unwrap(),
            [("e".to_owned(), eve)]
        );
        let mut png = std::io::Cursor::new(Vec::new());
        image::RgbImage::from_pixel(40, 30, image::Rgb([200, 30, 30]))
            .write_to(&mut png, image::ImageFormat::Png)
            .unwrap();
        store.put_erp_photo(&SYSTEM, source, "e", png.into_inner()).await.unwrap();
        assert_eq!(store.photos_wanted(&SYSTEM, run.id).await.unwrap(), []);
        let photo = async || {
            let mut cards = store.cards(&SYSTEM, &[eve]).await.unwrap();
            cards.remove(&eve).unwrap().photo
        };
        let first = photo().await;
        assert_eq!(first.as_ref().map(String::len), Some(64));

        // Another value of hers changes: the photo stays, and is not asked for again.
        set(&mut firm.1[0], Attribute::Title, "Foreman");
        let run = sync(store, source, &firm).await;
        assert_eq!(store.photos_wanted(&SYSTEM, run.id).await.unwrap(), []);
        assert_eq!(photo().await, first);

        firm.1[0].photo = Some("v2".into());
        let run = sync(store, source, &firm).await;
        assert_eq!(store.photos_wanted(&SYSTEM, run.id).await.unwrap().len(), 1);
        store.put_erp_photo(&SYSTEM, source, "e", b"no picture".to_vec()).await.unwrap();
        assert_eq!(photo().await, first, "what cannot be read leaves what there is");
        let findings = store.run_findings(&SYSTEM, run.id).await.unwrap();
        assert!(matches!(&findings[..], [RunFinding::Fault(fault)] if fault.field.as_deref() == Some("photos")));
        assert_eq!(store.photos_wanted(&SYSTEM, run.id).await.unwrap(), []);

        firm.1[0].photo = None;
        sync(store, source, &firm).await;
        assert_eq!(photo().await, None);
        let nobody = store.put_erp_photo(&SYSTEM, source, "ghost", None).await;
        assert!(matches!(nobody, Err(Error::NotFound)));
    })
    .await;
}

/// A firm of `count` people in one unit.
fn many(count: usize) -> (Vec<OrgUnit>, Vec<Worker>) {
    let people = (0..count).map(|n| {
        worker(
            &format!("w{n:05}"),
            &format!("Worker {n}"),
            None,
            Some("u1"),
        )
    });
    (vec![unit("u1", "Works")], people.collect())
}

fn doubts(findings: &[RunFinding]) -> Vec<&Doubt> {
    findings
        .iter()
        .filter_map(|finding| match finding {
            RunFinding::Doubt(doubt) => Some(doubt),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn five_thousand_who_vanish_stop_a_run_before_the_first_write() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let mut firm = many(5_010);
        sync(store, source, &firm).await;
        hour(world).await;
        let written = &TABLES[..13];
        let before = tables(world, written).await;
        // A wrong filter: the source answers ten.
        firm.1.truncate(10);
        let run = read(store, source, false, &firm).await;
        assert_eq!(
            (run.phase, run.totals.leavers, run.applied),
            (Phase::Waiting, 5_000, 0)
        );
        assert_eq!(
            run.error_text.as_deref(),
            Some("5000 of 5010 people would leave, more than 10 %. Nothing was written.")
        );
        assert_eq!(run.exceeded[0].limit, Limit::Leavers);
        assert!(matches!(
            store.apply_run(&SYSTEM, run.id).await,
            Err(Error::Conflict("not_approved"))
        ));
        assert_eq!(tables(world, written).await, before);
        store.cancel_run(&SYSTEM, run.id).await.unwrap();
        assert_eq!(
            world
                .count("SELECT count(*) FROM employees WHERE active")
                .await,
            5_010
        );
    })
    .await;
}

#[tokio::test]
async fn one_value_of_nearly_everybody_asks_first_and_the_share_can_be_set() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let mut firm = many(60);
        sync(store, source, &firm).await;
        hour(world).await;
        for one in &mut firm.1[..30] {
            // The mapping points to a field that is not there: the value is empty for all.
            one.attributes.insert(Attribute::Title, None);
        }
        let run = read(store, source, false, &firm).await;
        assert_eq!(
            (run.phase, run.error.as_deref()),
            (Phase::Waiting, Some("mass_change"))
        );
        let told = (
            run.exceeded[0].attribute,
            run.exceeded[0].count,
            run.exceeded[0].of,
        );
        assert_eq!(told, (Some(Attribute::Title), 30, 60));
        let findings = store.run_findings(&SYSTEM, run.id).await.unwrap();
        let mass = Doubt::MassChange {
            attribute: Attribute::Title,
            people: 30,
            of: 60,
            to: None,
        };
        assert_eq!(doubts(&findings), [&mass]);
        assert_eq!(findings[0].group(), Group::MassChange);
        store.cancel_run(&SYSTEM, run.id).await.unwrap();

        let too_high = Limits {
            attribute: 101,
            ..Limits::default()
        };
        assert!(matches!(
            store.set_limits(&SYSTEM, source, too_high).await,
            Err(Error::Invalid(_))
        ));
        let limits = Limits {
            attribute: 50,
            ..Limits::default()
        };
        let set = store.set_limits(&SYSTEM, source, limits).await.unwrap();
        assert_eq!(set.limits, limits);
        sync(store, source, &firm).await;
        assert_eq!(
            world
                .count("SELECT count(*) FROM employees WHERE title IS NULL")
                .await,
            30
        );
    })
    .await;
}

#[tokio::test]
async fn four_eyes_see_a_run_that_asks() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        sync(store, source, &firm()).await;
        let limits = Limits {
            four_eyes: true,
            ..Limits::default()
        };
        store.set_limits(&SYSTEM, source, limits).await.unwrap();
        hour(world).await;
        let roles = Roles::EMPLOYEE.with(Role::SystemAdministrator);
        let ada = Viewer::person(id(world, "a").await, roles);
        let bo = Viewer::person(id(world, "b").await, roles);
        let run = store.begin_run(&ada, source, false).await.unwrap().id;
        store
            .read_units(&SYSTEM, run, vec![], vec![], vec![])
            .await
            .unwrap();
        let stays = firm().1.split_off(3);
        store.read_page(&SYSTEM, run, page(&stays)).await.unwrap();
        let plan = store.plan_run(&SYSTEM, run, None).await.unwrap();
        assert_eq!(plan.phase, Phase::Waiting);
        for alone in [&ada, &SYSTEM] {
            let refused = store.approve_run(alone, run).await;
            assert!(matches!(refused, Err(Error::Conflict("four_eyes"))));
        }
        assert_eq!(store.run(&SYSTEM, run).await.unwrap().phase, Phase::Waiting);
        assert_eq!(
            store.approve_run(&bo, run).await.unwrap().phase,
            Phase::Applying
        );
    })
    .await;
}

#[tokio::test]
async fn a_plan_tells_circles_strangers_and_doubles_before_it_is_applied() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        sync(store, source, &firm()).await;
        hour(world).await;
        let (mut units, mut workers) = firm();
        // A unit becomes its own parent, another is gone with people in it.
        units[0].parent = Some("u1".into());
        units.pop();
        for one in &mut workers {
            match one.external_id.as_str() {
                "a" => one.manager = Some("e".into()),
                "d" => one.manager = Some("nobody".into()),
                "c" => set(one, Attribute::Emails, "B@northwindforge.example"),
                _ => {}
            }
        }
        let run = read(store, source, false, &(units.clone(), workers.clone())).await;
        let findings = store.run_findings(&SYSTEM, run.id).await.unwrap();
        let found = doubts(&findings);
        assert!(matches!(found[0], Doubt::UnitCycle { units } if units == &["Works"]), "{found:?}");
        assert!(matches!(found[1], Doubt::Cycle { people } if people.len() == 3));
        assert!(matches!(found[2], Doubt::UnitGone { unit, people: 3 } if unit == "Office"));
        assert!(matches!(found[3], Doubt::MissingManager { person, manager, .. } if person == "Di" && manager == "nobody"));
        assert!(matches!(found[4], Doubt::Duplicate { person, other, attribute: Attribute::Emails, .. }
            if person == "Cy" && other == "Bo"));
        assert_eq!(found.len(), 5);
        finish(store, run.id).await;
        // None of it harms: the chart cuts the circles and nobody oversees by mistake.
        let (ada, eve) = (id(world, "a").await, id(world, "e").await);
        let chart = store.chart();
        assert!(!chart.chart.oversees(ada, eve) && !chart.chart.oversees(eve, ada));
        assert!(chart.findings.iter().any(|one| matches!(one, Finding::UnitCycle { .. })));

        // The next day nothing of it is new, so nothing is told again.
        hour(world).await;
        let again = read(store, source, false, &(units, workers)).await;
        assert_eq!(again.steps, 0);
        let findings = store.run_findings(&SYSTEM, again.id).await.unwrap();
        assert_eq!(doubts(&findings), Vec::<&Doubt>::new());
    })
    .await;
}

#[tokio::test]
async fn of_a_page_that_comes_twice_and_a_record_that_changes_meanwhile_the_last_word_counts() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        sync(store, source, &firm()).await;
        hour(world).await;
        let (units, mut workers) = firm();
        let run = store.begin_run(&SYSTEM, source, false).await.unwrap().id;
        store
            .read_units(&SYSTEM, run, units, vec![], vec![])
            .await
            .unwrap();
        let mut newcomer = worker("n", "Nia", Some("a"), Some("u1"));
        workers.push(newcomer.clone());
        store.read_page(&SYSTEM, run, page(&workers)).await.unwrap();
        // The page comes again, and meanwhile two records say something else.
        set(&mut workers[0], Attribute::Title, "Foreman");
        set(&mut newcomer, Attribute::Title, "Apprentice");
        workers.pop();
        workers.push(newcomer);
        store.read_page(&SYSTEM, run, page(&workers)).await.unwrap();
        let plan = store.plan_run(&SYSTEM, run, None).await.unwrap();
        assert_eq!(
            (plan.totals.read, plan.totals.joiners, plan.totals.changed),
            (6, 1, 1)
        );
        assert_eq!(plan.totals.unchanged, 4);
        finish(store, run).await;
        let ids = [id(world, "e").await, id(world, "n").await];
        let cards = store.cards(&SYSTEM, &ids).await.unwrap();
        assert_eq!(cards[&ids[0]].title.as_deref(), Some("Foreman"));
        assert_eq!(cards[&ids[1]].title.as_deref(), Some("Apprentice"));
        assert_eq!(world.count("SELECT count(*) FROM employees").await, 6);
    })
    .await;
}

#[tokio::test]
async fn a_photo_that_several_people_have_is_nobodys() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let mut firm = firm();
        for one in &mut firm.1 {
            one.photo = Some("v1".into());
        }
        let run = sync(store, source, &firm).await;
        let mut png = std::io::Cursor::new(Vec::new());
        image::RgbImage::from_pixel(40, 30, image::Rgb([9, 30, 30]))
            .write_to(&mut png, image::ImageFormat::Png)
            .unwrap();
        for (external_id, _) in store.photos_wanted(&SYSTEM, run.id).await.unwrap() {
            let bytes = png.get_ref().clone();
            store.put_erp_photo(&SYSTEM, source, &external_id, bytes).await.unwrap();
        }
        assert_eq!(world.count("SELECT count(*) FROM employees WHERE photo IS NOT NULL").await, 2);
        let findings = store.run_findings(&SYSTEM, run.id).await.unwrap();
        let found = doubts(&findings);
        assert!(
            matches!(found[..], [Doubt::SamePhoto { people, count: 5, .. }] if people == &["Ada", "Bo", "Cy", "Di", "Eve"]),
            "{found:?}"
        );
        assert_eq!(store.photos_wanted(&SYSTEM, run.id).await.unwrap(), [], "it is not asked for again");
    })
    .await;
}

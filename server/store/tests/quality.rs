//! The quality of the data: what is wrong, where, and how it went.

mod support;

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use domain::{
    Attribute, RunId, SourceId, Viewer,
    erp::{Fault, OrgUnit, Vacancy, Worker},
};
use store::{
    Error, Store,
    quality::{Flaw, Kind, Quality, QualityQuery},
    run::{Phase, Read},
};
use support::World;

const SYSTEM: Viewer = Viewer::system("test");

fn worker(id: &str, manager: Option<&str>, unit: &str) -> Worker {
    support::firm::worker(id, &format!("Person {id}"), manager, Some(unit))
}

fn firm() -> Vec<Worker> {
    vec![
        worker("a", None, "u1"),
        worker("b", Some("a"), "u1"),
        worker("c", Some("a"), "u2"),
        worker("d", Some("c"), "u2"),
    ]
}

fn fault(id: &str, field: Option<&str>) -> Fault {
    Fault {
        place: format!("hr.employee {id}"),
        field: field.map(str::to_owned),
        what: "is not right".into(),
        external_id: Some(id.into()),
        left_out: field.is_none(),
    }
}

/// A run; where `present` are named, one that reads what changed.
async fn sync(
    store: &Store,
    source: SourceId,
    workers: Vec<Worker>,
    faults: Vec<Fault>,
    vacancies: Vec<Vacancy>,
    present: Option<&[&str]>,
) -> RunId {
    let units =
        [("u1", "Works", None), ("u2", "Office", Some("u1"))].map(|(id, name, parent)| OrgUnit {
            external_id: id.into(),
            name: name.into(),
            parent: parent.map(str::to_owned),
            heads: Vec::new(),
        });
    let run = store.begin_run(&SYSTEM, source, false).await.unwrap().id;
    store
        .read_units(&SYSTEM, run, units.to_vec(), vacancies, vec![])
        .await
        .unwrap();
    store
        .read_page(&SYSTEM, run, Read { workers, faults })
        .await
        .unwrap();
    let present: Option<HashSet<_>> =
        present.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
    let planned = store.plan_run(&SYSTEM, run, present).await.unwrap();
    if planned.phase == Phase::Waiting {
        store.approve_run(&SYSTEM, run).await.unwrap();
    }
    while store.apply_run(&SYSTEM, run).await.unwrap() > 0 {}
    store.end_run(&SYSTEM, run, None).await.unwrap();
    run
}

fn later(world: &World) {
    world.clock.advance(Duration::from_secs(60));
}

async fn quality(store: &Store, query: &QualityQuery) -> Quality {
    store.quality(&SYSTEM, query).await.unwrap()
}

async fn all(store: &Store) -> Vec<Flaw> {
    quality(store, &QualityQuery::default()).await.flaws.items
}

fn of(flaws: &[Flaw], kind: Kind) -> Vec<&Flaw> {
    flaws.iter().filter(|flaw| flaw.kind == kind).collect()
}

#[tokio::test]
async fn data_without_a_flaw_has_none() {
    support::everywhere(async |world| {
        let store = &world.store;
        let nothing = quality(store, &QualityQuery::default()).await;
        assert_eq!((nothing.matching, nothing.sources.len()), (0, 0));
        let source = world.source("ERP").await;
        sync(store, source, firm(), vec![], vec![], None).await;
        let fine = quality(store, &QualityQuery::default()).await;
        assert_eq!((fine.matching, fine.kinds), (0, BTreeMap::new()));
        assert_eq!(fine.sources[0].runs.len(), 1);
        assert_eq!(fine.sources[0].runs[0].read, 4);
    })
    .await;
}

#[tokio::test]
async fn every_flaw_says_whom_it_is_about_and_where_it_is_mended() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let mut people = firm();
        // c and d are each other's superiors; b's is unknown; b shares a's mail and is in a unit that is not there.
        people[2].manager = Some("d".into());
        people[1].manager = Some("zz".into());
        people[1].unit = Some("u9".into());
        let mail = people[0].attributes[&Attribute::Emails].clone();
        people[1].attributes.insert(Attribute::Emails, mail);
        let post = |id: &str, manager: Option<&str>| Vacancy {
            external_id: id.into(),
            title: format!("Post {id}"),
            unit: None,
            manager: manager.map(str::to_owned),
        };
        let faults = vec![
            fault("d", Some("emails")),
            fault("d", Some("shoe_size")),
            fault("x", None),
        ];
        let vacancies = vec![post("v1", None), post("v2", Some("a"))];
        let run = sync(store, source, people, faults, vacancies, None).await;

        let flaws = all(store).await;
        for flaw in &flaws {
            assert_eq!(flaw.source, Some(source), "{flaw:?}");
        }
        let bad = of(&flaws, Kind::BadMail);
        assert_eq!(bad.len(), 1);
        assert_eq!(bad[0].people[0].display_name, "Person d");
        assert_eq!(bad[0].place.as_deref(), Some("hr.employee d"));
        assert_eq!(bad[0].run, Some(run));
        assert!(bad[0].unit.is_some());
        assert_eq!(of(&flaws, Kind::BadValue).len(), 1);
        let left_out = of(&flaws, Kind::LeftOut);
        assert_eq!(left_out.len(), 1);
        assert!(
            left_out[0].people.is_empty(),
            "nobody came in by that record"
        );
        let circle = of(&flaws, Kind::Cycle);
        assert_eq!(circle.len(), 1);
        assert_eq!(circle[0].people.len(), 2);
        let missing = of(&flaws, Kind::MissingManager);
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].what.as_deref(), Some("zz"));
        assert_eq!(missing[0].place.as_deref(), Some("b"));
        let gone = of(&flaws, Kind::UnitGone);
        assert_eq!(gone.len(), 1);
        assert_eq!(gone[0].what.as_deref(), Some("u9"));
        let twice = of(&flaws, Kind::Duplicate);
        assert_eq!(twice.len(), 1);
        let names: Vec<_> = twice[0]
            .people
            .iter()
            .map(|one| one.display_name.as_str())
            .collect();
        assert_eq!(names, ["Person a", "Person b"]);
        assert_eq!(twice[0].what.as_deref(), Some("a@northwindforge.example"));
        let vacant = of(&flaws, Kind::Vacancy);
        assert_eq!(vacant.len(), 1, "a vacant post with a superior is no flaw");
        assert_eq!(vacant[0].what.as_deref(), Some("Post v1"));

        let counted = quality(store, &QualityQuery::default()).await;
        assert_eq!(counted.matching, flaws.len() as u64);
        assert_eq!(counted.kinds.values().sum::<u64>(), counted.matching);
        assert_eq!(counted.sources[0].findings, counted.matching);
    })
    .await;
}

#[tokio::test]
async fn a_list_is_narrowed_by_kind_source_and_unit() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let other = world.source("Empty").await;
        let faults = vec![fault("b", Some("emails")), fault("d", Some("emails"))];
        sync(store, source, firm(), faults, vec![], None).await;
        let units: BTreeMap<_, _> = store
            .units(&SYSTEM)
            .await
            .unwrap()
            .into_iter()
            .map(|unit| (unit.name, unit.id))
            .collect();
        let ask = async |query: QualityQuery| quality(store, &query).await.matching;
        let query = QualityQuery::default;
        assert_eq!(ask(query()).await, 2);
        let kind = |kind| QualityQuery {
            kind: Some(kind),
            ..query()
        };
        assert_eq!(ask(kind(Kind::BadMail)).await, 2);
        assert_eq!(ask(kind(Kind::Cycle)).await, 0);
        for (id, count) in [(source, 2), (other, 0)] {
            let of = QualityQuery {
                source: Some(id),
                ..query()
            };
            assert_eq!(ask(of).await, count);
        }
        for (unit, count) in [("Works", 2), ("Office", 1)] {
            let within = QualityQuery {
                unit: Some(units[unit]),
                ..query()
            };
            assert_eq!(ask(within).await, count, "{unit} with what is below it");
        }
    })
    .await;
}

#[tokio::test]
async fn a_run_that_reads_what_changed_forgets_nothing_else() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let everyone: Option<&[&str]> = Some(&["a", "b", "c", "d"]);
        let faults = vec![fault("b", Some("emails")), fault("d", Some("emails"))];
        sync(store, source, firm(), faults, vec![], None).await;
        assert_eq!(of(&all(store).await, Kind::BadMail).len(), 2);

        // d is mended and comes with the change; nobody read b anew.
        later(world);
        let mut mended = worker("d", Some("c"), "u2");
        mended
            .attributes
            .insert(Attribute::Emails, Some("dee@northwindforge.example".into()));
        let run = sync(store, source, vec![mended], vec![], vec![], everyone).await;
        let bad = all(store).await;
        let bad = of(&bad, Kind::BadMail);
        assert_eq!(bad.len(), 1);
        assert_eq!(bad[0].people[0].display_name, "Person b");
        assert_ne!(bad[0].run, Some(run));

        // A whole read says it all.
        later(world);
        sync(store, source, firm(), vec![], vec![], None).await;
        assert!(all(store).await.is_empty());
        let trend = quality(store, &QualityQuery::default()).await.sources;
        let findings: Vec<_> = trend[0].runs.iter().map(|run| run.findings).collect();
        assert_eq!(findings, [2, 0, 0], "the latest last");
    })
    .await;
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let faults = (0..120)
            .map(|at| fault(&format!("x{at:03}"), None))
            .collect();
        sync(store, source, firm(), faults, vec![], None).await;
        let mut places = Vec::new();
        let mut query = QualityQuery::default();
        loop {
            let page = quality(store, &query).await;
            assert_eq!(page.matching, 120);
            assert!(page.flaws.items.len() <= 50);
            places.extend(page.flaws.items.into_iter().filter_map(|flaw| flaw.place));
            query.cursor = page.flaws.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        let told: HashSet<_> = places.iter().collect();
        assert_eq!((places.len(), told.len()), (120, 120));
        query.cursor = Some("x".into());
        let wrong = store.quality(&SYSTEM, &query).await;
        assert!(matches!(wrong, Err(Error::Invalid(_))), "{wrong:?}");
    })
    .await;
}

#[tokio::test]
async fn it_is_for_those_who_may_read_sources() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let query = QualityQuery::default();
        for (id, may) in [
            (cast.mei, false),
            (cast.omar, false),
            (cast.hanna, true),
            (cast.priya, true),
        ] {
            let answer = world.store.quality(&cast.viewer(id), &query).await;
            assert_eq!(answer.is_ok(), may, "{answer:?}");
        }
    })
    .await;
}

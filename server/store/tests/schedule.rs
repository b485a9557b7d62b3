//! Schedules and mappings of sources.

mod support;

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use domain::{Roles, SourceId, Viewer, mapping::Mapping};
use serde_json::json;
use store::{Error, Store, schedule::Schedule, source::NewSource};
use support::World;

fn system() -> Viewer {
    Viewer::system("test")
}

async fn source(store: &Store) -> SourceId {
    let new = NewSource {
        kind: "rest".into(),
        name: "People".into(),
        settings: BTreeMap::new(),
        secrets: BTreeMap::new(),
    };
    store.add_source(&system(), new).await.unwrap().id
}

fn every_morning() -> Schedule {
    Schedule {
        cron: "0 6 * * *".into(),
        zone: "UTC".into(),
        jitter_seconds: 0,
        full_every_days: 2,
    }
}

async fn second(world: &World) -> Store {
    let db = store::db::connect(&world.url).await.unwrap();
    Store::open_with(
        db,
        world.env.clone(),
        world.keys.clone(),
        store::account::Cost::Least,
    )
    .await
    .unwrap()
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn what_is_due_is_answered_once_however_many_ask() {
    support::everywhere(async |world| {
        let store = &world.store;
        let other = second(world).await;
        let id = source(store).await;
        assert_eq!(store.schedule(&system(), id).await.unwrap(), None);
        store
            .set_schedule(&system(), id, Some(every_morning()))
            .await
            .unwrap();
        assert_eq!(store.due_sources(&system()).await.unwrap(), []);
        world.clock.advance(21 * HOUR);
        let (one, two) = tokio::join!(async { store.due_sources(&system()).await }, async {
            other.due_sources(&system()).await
        });
        let mut due = one.unwrap();
        due.extend(two.unwrap());
        assert_eq!(due, [id]);
        assert_eq!(store.due_sources(&system()).await.unwrap(), []);
        let next = store
            .schedule(&system(), id)
            .await
            .unwrap()
            .unwrap()
            .next_at;
        assert_eq!(next.to_rfc3339(), "2026-03-04T06:00:00+00:00");

        store.set_schedule(&system(), id, None).await.unwrap();
        world.clock.advance(48 * HOUR);
        assert_eq!(store.due_sources(&system()).await.unwrap(), []);
        assert_eq!(store.schedule(&system(), id).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_source_that_is_paused_waits_for_its_next_time() {
    support::everywhere(async |world| {
        let store = &world.store;
        let id = source(store).await;
        store
            .set_schedule(&system(), id, Some(every_morning()))
            .await
            .unwrap();
        store
            .pause_source(&system(), id, "The list was wrong")
            .await
            .unwrap();
        world.clock.advance(21 * HOUR);
        assert_eq!(store.due_sources(&system()).await.unwrap(), []);
        store.resume_source(&system(), id).await.unwrap();
        assert_eq!(store.due_sources(&system()).await.unwrap(), []);
        world.clock.advance(24 * HOUR);
        assert_eq!(store.due_sources(&system()).await.unwrap(), [id]);
    })
    .await;
}

#[tokio::test]
async fn a_run_that_was_cut_off_is_begun_again_soon() {
    support::everywhere(async |world| {
        let store = &world.store;
        let killed = second(world).await;
        let id = source(store).await;
        store
            .set_schedule(&system(), id, Some(every_morning()))
            .await
            .unwrap();
        let run = killed.begin_run(&system(), id, false).await.unwrap();
        world.clock.advance(Duration::from_secs(11));
        assert_eq!(
            killed.clear_interrupted_runs(&system()).await.unwrap(),
            0,
            "who drives it knows better"
        );
        drop(killed);
        world.clock.advance(Duration::from_secs(11));
        assert_eq!(store.clear_interrupted_runs(&system()).await.unwrap(), 1);
        assert_eq!(store.clear_interrupted_runs(&system()).await.unwrap(), 0);
        let lost = store.run(&system(), run.id).await.unwrap();
        assert_eq!(lost.error.as_deref(), Some("interrupted"));
        assert_eq!(store.due_sources(&system()).await.unwrap(), []);
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(store.due_sources(&system()).await.unwrap(), [id]);
    })
    .await;
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again_ever_later() {
    support::everywhere(async |world| {
        let store = &world.store;
        let id = source(store).await;
        store
            .set_schedule(&system(), id, Some(every_morning()))
            .await
            .unwrap();
        let ordinary = store
            .schedule(&system(), id)
            .await
            .unwrap()
            .unwrap()
            .next_at;
        let next = async || store.schedule(&system(), id).await.unwrap().unwrap();
        // What will not pass by itself changes nothing.
        store.note_run(&system(), id, true, None).await.unwrap();
        assert_eq!((next().await.next_at, next().await.failures), (ordinary, 1));
        store.note_run(&system(), id, false, None).await.unwrap();
        assert_eq!(next().await.failures, 0);
        for (failures, minutes) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32)] {
            store
                .note_run(&system(), id, true, Some(None))
                .await
                .unwrap();
            let wait = next().await.next_at - world.clock.now();
            assert_eq!(
                (next().await.failures, wait),
                (failures, TimeDelta::minutes(minutes))
            );
            world.clock.advance(wait.to_std().unwrap());
            assert_eq!(store.due_sources(&system()).await.unwrap(), [id]);
        }
        store
            .note_run(&system(), id, true, Some(None))
            .await
            .unwrap();
        assert_eq!(
            next().await.next_at,
            ordinary,
            "then it waits for its ordinary time"
        );
        store.note_run(&system(), id, false, None).await.unwrap();
        store
            .note_run(&system(), id, true, Some(Some(TimeDelta::minutes(10))))
            .await
            .unwrap();
        let wait = next().await.next_at - world.clock.now();
        assert_eq!(wait, TimeDelta::minutes(10), "the source's own wish counts");
    })
    .await;
}

#[tokio::test]
async fn everything_is_read_at_first_now_and_then_and_on_demand() {
    support::everywhere(async |world| {
        let store = &world.store;
        let id = source(store).await;
        let full = async || store.reads_in_full(&system(), id).await.unwrap();
        store
            .set_schedule(&system(), id, Some(every_morning()))
            .await
            .unwrap();
        assert!(full().await);
        store
            .note_full_read(&system(), id, world.clock.now())
            .await
            .unwrap();
        assert!(!full().await);
        world.clock.advance(48 * HOUR);
        assert!(full().await);
        store
            .note_full_read(&system(), id, world.clock.now())
            .await
            .unwrap();
        store.want_full_read(&system(), id).await.unwrap();
        assert!(full().await);
        store
            .note_full_read(&system(), id, world.clock.now())
            .await
            .unwrap();
        let mapping: Mapping =
            serde_json::from_value(json!({ "worker": [{ "target": "id", "from": "id" }] }))
                .unwrap();
        store
            .set_mapping(&system(), id, 0, mapping, "first")
            .await
            .unwrap();
        assert!(
            full().await,
            "another mapping makes other people of the same records"
        );
    })
    .await;
}

#[tokio::test]
async fn mappings_are_versions_and_none_is_lost() {
    support::everywhere(async |world| {
        let store = &world.store;
        let id = source(store).await;
        assert_eq!(store.mapping(&system(), id).await.unwrap(), None);
        let mapping = |from: &str| -> Mapping {
            serde_json::from_value(json!({ "worker": [{ "target": "id", "from": from }] })).unwrap()
        };
        assert_eq!(
            store
                .set_mapping(&system(), id, 0, mapping("a"), "one")
                .await
                .unwrap(),
            1
        );
        let late = store.set_mapping(&system(), id, 0, mapping("b"), "").await;
        assert!(
            matches!(late, Err(Error::Conflict("stale_version"))),
            "{late:?}"
        );
        assert_eq!(
            store
                .set_mapping(&system(), id, 1, mapping("b"), "two")
                .await
                .unwrap(),
            2
        );
        let empty = store
            .set_mapping(&system(), id, 2, Mapping::default(), "")
            .await;
        assert!(matches!(empty, Err(Error::Invalid(_))), "{empty:?}");
        let all = store.mappings(&system(), id).await.unwrap();
        let told: Vec<_> = all
            .iter()
            .map(|one| (one.version, one.note.as_str()))
            .collect();
        assert_eq!(told, [(2, "two"), (1, "one")]);
        assert_eq!(
            store.mapping(&system(), id).await.unwrap().unwrap().mapping,
            mapping("b")
        );
    })
    .await;
}

#[tokio::test]
async fn only_who_manages_sources_sets_them() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let id = source(&world.store).await;
        let somebody = Viewer::person(cast.mei, Roles::EMPLOYEE);
        let set = world
            .store
            .set_schedule(&somebody, id, Some(every_morning()))
            .await;
        assert!(matches!(set, Err(Error::NotFound)));
        let mapped = world
            .store
            .set_mapping(&somebody, id, 0, Mapping::default(), "")
            .await;
        assert!(matches!(mapped, Err(Error::NotFound)));
        assert!(matches!(
            world.store.schedule(&somebody, id).await,
            Err(Error::NotFound)
        ));
        assert!(matches!(
            world.store.mappings(&somebody, id).await,
            Err(Error::NotFound)
        ));
    })
    .await;
}

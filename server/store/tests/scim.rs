//! What is pushed: kept as it came, taken in like any other source's people.

mod support;

use std::collections::BTreeMap;

use domain::{
    SourceId, Viewer,
    scim::{Code, Filter, GROUP, Object, USER, clean, operations},
};
use serde_json::{Value, json};
use store::{
    Error,
    scim::{KIND, LOOKED_THROUGH, Refused, Resource, Search},
    source::NewSource,
};
use support::World;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

static SYSTEM: Viewer = Viewer::system("test");

async fn pushed(world: &World, name: &str) -> SourceId {
    let new = NewSource {
        kind: KIND.into(),
        name: name.into(),
        settings: BTreeMap::new(),
        secrets: BTreeMap::new(),
    };
    world.store.add_source(&SYSTEM, new).await.unwrap().id
}

fn user(body: Value) -> Object {
    clean(&USER, body).unwrap()
}

async fn create(world: &World, source: SourceId, body: Value) -> Result<Resource, Refused> {
    let body = user(body);
    world.store.scim_create(&SYSTEM, source, &USER, body).await
}

async fn patch(world: &World, source: SourceId, one: &Resource, list: Value) -> Resource {
    let list = operations(one.kind, &json!({ "Operations": list })).unwrap();
    let store = &world.store;
    let now = store.scim_patch(&SYSTEM, source, one.kind, one.id, None, list);
    now.await.unwrap()
}

/// How many of a source's people work here.
async fn people(world: &World, source: SourceId) -> u64 {
    world.store.source(&SYSTEM, source).await.unwrap().people
}

async fn runs(world: &World) -> i64 {
    world.count("SELECT count(*) FROM runs").await
}

#[tokio::test]
async fn a_push_is_a_run_and_an_unchanged_one_is_none() {
    support::everywhere(async |world| {
        let source = pushed(world, "Pushed").await;
        let body = json!({ "userName": "ada", "title": "Analyst", "ims": [{ "value": "ada" }] });
        let ada = create(world, source, body.clone()).await.unwrap();
        assert_eq!((people(world, source).await, runs(world).await), (1, 1));

        let store = &world.store;
        let same = store.scim_replace(&SYSTEM, source, &USER, ada.id, None, user(body));
        let same = same.await.unwrap();
        assert_eq!(
            (same.version, same.changed_at),
            (ada.version.clone(), ada.changed_at)
        );
        assert_eq!(runs(world).await, 1, "nothing to do");
        // What is only kept for the client is no change of the person.
        let ims = json!([{ "op": "add", "path": "ims", "value": [{ "value": "lovelace" }] }]);
        let now = patch(world, source, &ada, ims).await;
        assert_ne!(now.version, ada.version);
        assert_eq!(runs(world).await, 1);

        let title = json!([{ "op": "replace", "path": "title", "value": "Countess" }]);
        patch(world, source, &ada, title).await;
        assert_eq!(runs(world).await, 2);
        let found = store.directory(&SYSTEM, &Default::default()).await.unwrap();
        assert_eq!(found.page.items[0].title.as_deref(), Some("Countess"));
        assert_eq!(
            world
                .count("SELECT count(*) FROM runs WHERE ended_at IS NULL")
                .await,
            0
        );
    })
    .await;
}

#[tokio::test]
async fn somebody_inactive_is_kept_and_comes_when_they_are_switched_on() {
    support::everywhere(async |world| {
        let source = pushed(world, "Pushed").await;
        let body = json!({ "userName": "later", "active": false });
        let later = create(world, source, body).await.unwrap();
        assert_eq!((people(world, source).await, runs(world).await), (0, 0));
        let on = json!([{ "op": "replace", "path": "active", "value": true }]);
        patch(world, source, &later, on).await;
        assert_eq!(people(world, source).await, 1);
        let off = json!([{ "op": "remove", "path": "active" }, { "op": "add", "path": "active", "value": false }]);
        patch(world, source, &later, off).await;
        assert_eq!(people(world, source).await, 0);
        assert_eq!(world.count("SELECT count(*) FROM employees").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_rehire_is_the_same_person_and_a_reused_name_is_not() {
    support::everywhere(async |world| {
        let source = pushed(world, "Pushed").await;
        let body = |external_id: &str| json!({ "userName": "jo", "externalId": external_id });
        let first = create(world, source, body("1")).await.unwrap();
        let delete = async |one: &Resource| {
            let store = &world.store;
            store
                .scim_delete(&SYSTEM, source, &USER, one.id, None)
                .await
                .unwrap();
        };
        delete(&first).await;
        assert_eq!(people(world, source).await, 0);
        let again = create(world, source, body("1")).await.unwrap();
        assert_ne!(again.id, first.id);
        assert_eq!(world.count("SELECT count(*) FROM employees").await, 1);
        delete(&again).await;
        // The name goes to somebody else, who is told apart by the client's id.
        create(world, source, body("2")).await.unwrap();
        assert_eq!(world.count("SELECT count(*) FROM employees").await, 2);
        let kept = world
            .count(
                "SELECT count(*) FROM scim_resources WHERE deleted_at IS NOT NULL AND body <> '{}'",
            )
            .await;
        assert_eq!(
            kept, 0,
            "nothing is kept of who was deleted but by what they are known again"
        );
    })
    .await;
}

#[tokio::test]
async fn departments_are_units_while_somebody_is_in_them() {
    support::everywhere(async |world| {
        let source = pushed(world, "Pushed").await;
        let body = |name: &str, unit: &str| json!({ "userName": name, ENTERPRISE: { "department": unit } });
        let one = create(world, source, body("one", "Forge")).await.unwrap();
        let two = create(world, source, body("two", "Forge")).await.unwrap();
        let units = "SELECT count(*) FROM units WHERE active";
        assert_eq!(world.count(units).await, 1);
        let to = |unit: &str| json!([{ "op": "replace", "path": format!("{ENTERPRISE}:department"), "value": unit }]);
        patch(world, source, &one, to("Rolling")).await;
        assert_eq!(world.count(units).await, 2);
        patch(world, source, &two, to("Rolling")).await;
        assert_eq!(world.count(units).await, 1, "nobody is left in the forge");
        patch(world, source, &one, to("Forge")).await;
        assert_eq!(world.count(units).await, 2);
        assert_eq!(world.count("SELECT count(*) FROM units").await, 2, "it is the same forge");
    })
    .await;
}

#[tokio::test]
async fn writers_in_the_same_moment_take_turns() {
    support::everywhere(async |world| {
        let source = pushed(world, "Pushed").await;
        let names: Vec<_> = (0..12).map(|n| format!("user-{}", n % 6)).collect();
        let made = futures::future::join_all(
            names
                .iter()
                .map(|name| create(world, source, json!({ "userName": name }))),
        );
        let made = made.await;
        let good = made.iter().filter(|one| one.is_ok()).count();
        assert_eq!(good, 6);
        for refused in made.into_iter().filter_map(Result::err) {
            assert!(
                matches!(&refused, Refused::Scim(refusal) if refusal.code == Code::Uniqueness),
                "{refused:?}"
            );
        }
        assert_eq!(people(world, source).await, 6);
        assert_eq!(world.store.chart().chart.len(), 6);
    })
    .await;
}

#[tokio::test]
async fn a_group_keeps_its_members_in_order_and_only_the_sources_own() {
    support::everywhere(async |world| {
        let (source, other) = (pushed(world, "One").await, pushed(world, "Other").await);
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            ids.push(
                create(world, source, json!({ "userName": name }))
                    .await
                    .unwrap()
                    .id,
            );
        }
        let stranger = create(world, other, json!({ "userName": "d" }))
            .await
            .unwrap()
            .id;
        let body = |members: &[uuid::Uuid]| {
            let members: Vec<_> = members.iter().map(|id| json!({ "value": id })).collect();
            clean(&GROUP, json!({ "displayName": "G", "members": members })).unwrap()
        };
        let store = &world.store;
        let group = store.scim_create(&SYSTEM, source, &GROUP, body(&[ids[1], ids[0], ids[1]]));
        let group = group.await.unwrap();
        let members = async |group: &Resource| -> Vec<String> {
            let kept = store
                .scim_resource(&SYSTEM, source, &GROUP, group.id)
                .await
                .unwrap();
            assert_eq!(
                kept.version, group.version,
                "what is answered is what is kept"
            );
            let members = kept.body.get("members").and_then(Value::as_array).cloned();
            members
                .unwrap_or_default()
                .iter()
                .map(|one| one["value"].as_str().unwrap().to_owned())
                .collect()
        };
        let texts = |ids: &[uuid::Uuid]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(members(&group).await, texts(&[ids[1], ids[0]]));
        let now = store.scim_replace(
            &SYSTEM,
            source,
            &GROUP,
            group.id,
            None,
            body(&[ids[2], ids[0], ids[1]]),
        );
        assert_eq!(
            members(&now.await.unwrap()).await,
            texts(&[ids[1], ids[0], ids[2]])
        );
        let no = store
            .scim_replace(&SYSTEM, source, &GROUP, group.id, None, body(&[stranger]))
            .await;
        assert!(matches!(no, Err(Refused::Scim(_))), "{no:?}");
        store
            .scim_delete(&SYSTEM, source, &USER, ids[0], None)
            .await
            .unwrap();
        let kept = store
            .scim_resource(&SYSTEM, source, &GROUP, group.id)
            .await
            .unwrap();
        assert_eq!(kept.body["members"].as_array().unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_token_is_kept_as_its_hash_and_only_administrators_make_one() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let source = pushed(world, "Pushed").await;
        let store = &world.store;
        let token = store.renew_scim_token(&SYSTEM, source).await.unwrap();
        assert_eq!(store.scim_source(&SYSTEM, &token).await.unwrap(), source);
        let kept = world.rows("SELECT token_hash FROM scim_tokens", []).await;
        let hash: Vec<u8> = kept[0].try_get_by_index(0).unwrap();
        assert_eq!(hash.len(), 32);
        assert!(!token.as_bytes().windows(32).any(|part| part == hash));
        let nobody = store
            .renew_scim_token(&cast.viewer(cast.grace), source)
            .await;
        assert!(matches!(nobody, Err(Error::NotFound)), "{nobody:?}");
        let other = world.source("read").await;
        let read = store.renew_scim_token(&SYSTEM, other).await;
        assert!(
            matches!(read, Err(Error::NotFound)),
            "a source that is read has none: {read:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_filter_finds_by_index_what_it_finds_by_looking() {
    support::everywhere(async |world| {
        let source = pushed(world, "Pushed").await;
        for n in 0..20 {
            let body =
                json!({ "userName": format!("User-{n}"), "externalId": format!("x-{}", n % 5) });
            create(world, source, body).await.unwrap();
        }
        let count = async |filter: &str| {
            let search = Search {
                kinds: vec![&USER],
                filter: Some(Filter::parse(filter).unwrap()),
                sort: None,
                start: 1,
                count: 3,
                look_through: LOOKED_THROUGH,
            };
            let found = world
                .store
                .scim_search(&SYSTEM, source, &search)
                .await
                .unwrap();
            (found.total, found.resources.len())
        };
        for (by_index, by_looking, expected) in [
            (
                r#"userName eq "user-7""#,
                r#"userName eq "user-7" and userName pr"#,
                (1, 1),
            ),
            (
                r#"externalId eq "x-3""#,
                r#"externalId eq "x-3" and userName pr"#,
                (4, 3),
            ),
            (
                r#"externalId eq "X-3""#,
                r#"externalId eq "X-3" and userName pr"#,
                (0, 0),
            ),
            (
                r#"id eq "nobody""#,
                r#"id eq "nobody" and userName pr"#,
                (0, 0),
            ),
        ] {
            assert_eq!(count(by_index).await, expected, "{by_index}");
            assert_eq!(count(by_looking).await, expected, "{by_looking}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_no_index_knows_is_looked_for_among_so_many_and_no_more() {
    support::everywhere(async |world| {
        let source = pushed(world, "Pushed").await;
        for name in ["ada", "bob", "cy"] {
            let body = json!({ "userName": name, "title": "Analyst" });
            create(world, source, body).await.unwrap();
        }
        let search = async |filter: Option<&str>, look_through| {
            let search = Search {
                kinds: vec![&USER],
                filter: filter.map(|filter| Filter::parse(filter).unwrap()),
                sort: None,
                start: 1,
                count: 10,
                look_through,
            };
            let store = &world.store;
            let found = store.scim_search(&SYSTEM, source, &search).await;
            found.map(|found| found.total)
        };
        let by_title = Some("title eq \"Analyst\"");
        assert_eq!(search(by_title, 3).await.unwrap(), 3);
        let Err(Refused::Scim(refusal)) = search(by_title, 2).await else {
            panic!("three are more than two")
        };
        assert_eq!(refusal.code, Code::TooMany);
        assert!(refusal.detail.contains("more than 2"), "{}", refusal.detail);
        // Whatever an index answers, and everything in its own order, has no such limit.
        assert_eq!(search(Some("userName eq \"bob\""), 0).await.unwrap(), 1);
        assert_eq!(search(None, 0).await.unwrap(), 3);
    })
    .await;
}

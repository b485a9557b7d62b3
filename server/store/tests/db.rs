//! What every statement stands on: the database's settings, transactions, the outbox of events.

mod support;

use std::{collections::BTreeMap, time::Duration};

use domain::{Attribute, Role, Roles, Viewer};
use sea_orm::ConnectionTrait as _;
use store::{Error, Store, account::Cost, db};

#[tokio::test]
async fn sqlite_is_durable_strict_and_new_enough() {
    support::everywhere(async |world| {
        if world.is_postgres() {
            return;
        }
        let pragma = async |name: &str| {
            let row = &world.rows(&format!("PRAGMA {name}"), []).await[0];
            row.try_get_by_index::<String>(0)
                .or_else(|_| row.try_get_by_index::<i64>(0).map(|n| n.to_string()))
                .unwrap()
        };
        assert_eq!(pragma("journal_mode").await, "wal");
        assert_eq!(pragma("synchronous").await, "2", "FULL");
        assert_eq!(pragma("foreign_keys").await, "1");
        assert_eq!(pragma("busy_timeout").await, "10000");
        let version = &world.rows("SELECT sqlite_version()", []).await[0];
        let version: String = version.try_get_by_index(0).unwrap();
        let parts: Vec<u32> = version.split('.').map(|n| n.parse().unwrap()).collect();
        assert!(
            (parts[0], parts[1], parts[2]) >= db::SQLITE_MIN,
            "{version}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_database_of_another_kind_is_refused() {
    for url in ["mysql://localhost/optimus", "optimus.db", ""] {
        assert!(db::connect(url).await.is_err(), "{url:?}");
    }
    let unreachable = "postgres://postgres@127.0.0.1:1/optimus";
    assert!(db::connect(unreachable).await.is_err());
}

#[tokio::test]
async fn rows_cannot_speak_of_what_is_not_there() {
    support::everywhere(async |world| {
        let insert = world.sql(
            "INSERT INTO own_values (employee_id, attribute, value, edited_at) VALUES ($1, 'title', '\"x\"', $2)",
            [world.uuid().into(), world.clock.now().into()],
        );
        assert!(world.db.execute_raw(insert).await.is_err());
        world.store.ping().await.unwrap();
    })
    .await;
}

/// A store that is opened again over the same data goes on where the other one was.
#[tokio::test]
async fn a_second_store_goes_on_where_the_first_was() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let edit = async |store: &Store, text: &str| {
            let edits = BTreeMap::from([("about".to_owned(), Some(text.into()))]);
            let grace = cast.viewer(cast.grace);
            store.edit_profile(&grace, cast.grace, edits).await.unwrap();
        };
        edit(&world.store, "First.").await;
        let again = db::connect(&world.url).await.unwrap();
        let second = Store::open_with(
            again.clone(),
            world.env.clone(),
            world.keys.clone(),
            Cost::Least,
        )
        .await
        .unwrap();
        assert!(second.chart().chart.oversees(cast.ingrid, cast.luca));
        edit(&second, "Second.").await;
        edit(&world.store, "Third.").await;
        let omar = cast.viewer(cast.omar);
        let verified = second.verify_audit(&omar, Vec::new()).await.unwrap();
        assert_eq!((verified.ok, verified.entries), (true, 3));
        drop(second);
        again.close().await.unwrap();
    })
    .await;
}

/// What is told is kept in the transaction of what it tells, and a change that
/// fails tells and keeps nothing.
#[tokio::test]
async fn events_are_told_after_the_commit_and_kept_with_it() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        world.execute("DELETE FROM events", []).await;
        let mut events = world.store.events();
        let grace = cast.viewer(cast.grace);
        let edit = async |attribute: Attribute, text: &str| {
            let edits = BTreeMap::from([(attribute.name().to_owned(), Some(text.into()))]);
            world.store.edit_profile(&grace, cast.grace, edits).await
        };
        let answer = edit(Attribute::Emails, "nowhere").await;
        assert!(matches!(answer, Err(Error::Invalid(_))), "{answer:?}");
        assert!(events.try_recv().is_err());
        assert_eq!(world.count("SELECT count(*) FROM events").await, 0);
        edit(Attribute::Emails, "grace@forge.example")
            .await
            .unwrap();
        assert!(events.try_recv().is_ok());
        assert_eq!(world.count("SELECT count(*) FROM events").await, 1);

        let before = world.clock.now() + Duration::from_secs(1);
        let stranger = world.store.forget_events(&grace, before).await;
        assert!(matches!(stranger, Err(Error::NotFound)), "{stranger:?}");
        let roles = Roles::EMPLOYEE.with(Role::SystemAdministrator);
        let priya = Viewer::person(cast.priya, roles);
        assert_eq!(world.store.forget_events(&priya, before).await.unwrap(), 1);
    })
    .await;
}

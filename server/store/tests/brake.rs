//! A source that is pushed lets few of its people go by itself; the others stay until somebody decides.

mod support;

use std::{collections::BTreeMap, time::Duration};

use domain::{
    EmployeeId, SourceId, Viewer,
    leaving::State,
    scim::{USER, clean, operations},
    sync::Limits,
};
use serde_json::json;
use store::{
    Error,
    scim::{Fate, KIND, Resource, Waiting, Which},
    source::NewSource,
};
use support::World;

static SYSTEM: Viewer = Viewer::system("test");
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A source of twenty people, of whom a tenth may leave in a day.
struct Idp<'a> {
    world: &'a World,
    source: SourceId,
    people: Vec<Resource>,
}

impl<'a> Idp<'a> {
    async fn of(world: &'a World, count: usize) -> Self {
        let new = NewSource {
            kind: KIND.into(),
            name: "Directory".into(),
            settings: BTreeMap::new(),
            secrets: BTreeMap::new(),
        };
        let source = world.store.add_source(&SYSTEM, new).await.unwrap().id;
        let mut people = Vec::new();
        for at in 0..count {
            let body = json!({ "userName": format!("p{at:02}"), "displayName": format!("Person {at:02}") });
            let body = clean(&USER, body).unwrap();
            let made = world.store.scim_create(&SYSTEM, source, &USER, body).await;
            people.push(made.unwrap());
        }
        Self {
            world,
            source,
            people,
        }
    }

    async fn set(&self, at: usize, attribute: &str, value: serde_json::Value) -> Resource {
        let one = &self.people[at];
        let list =
            json!({ "Operations": [{ "op": "replace", "path": attribute, "value": value }] });
        let list = operations(one.kind, &list).unwrap();
        let store = &self.world.store;
        let now = store.scim_patch(&SYSTEM, self.source, &USER, one.id, None, list);
        now.await.unwrap()
    }

    async fn off(&self, at: usize) {
        let now = self.set(at, "active", json!(false)).await;
        assert_eq!(now.body["active"], false, "the client reads what it wrote");
    }

    async fn delete(&self, at: usize) {
        let (store, id) = (&self.world.store, self.people[at].id);
        let deleted = store.scim_delete(&SYSTEM, self.source, &USER, id, None);
        deleted.await.unwrap();
    }

    /// How many work here.
    async fn here(&self) -> i64 {
        self.world
            .count("SELECT count(*) FROM employees WHERE active")
            .await
    }

    async fn waiting(&self) -> Option<Waiting> {
        let mut waiting = self.world.store.waiting_leavers(&SYSTEM).await.unwrap();
        assert!(waiting.len() <= 1);
        waiting.pop()
    }

    async fn count(&self) -> u64 {
        self.waiting().await.map_or(0, |waiting| waiting.count)
    }

    async fn names(&self, state: State) -> Vec<String> {
        let store = &self.world.store;
        let page = store.leavers(&SYSTEM, self.source, state, None).await;
        let names = page.unwrap().items.into_iter();
        names.map(|one| one.person.display_name).collect()
    }

    async fn decide(&self, which: Which, fate: Fate) -> Result<u64, Error> {
        let store = &self.world.store;
        store
            .decide_leavers(&SYSTEM, self.source, &which, fate)
            .await
    }

    /// One record's decision, by what stands in the list.
    async fn decide_one(&self, state: State, fate: Fate) {
        let store = &self.world.store;
        let page = store.leavers(&SYSTEM, self.source, state, None).await;
        let record = page.unwrap().items.swap_remove(0).record;
        assert_eq!(self.decide(Which::One(record), fate).await.unwrap(), 1);
    }

    async fn employee(&self, name: &str) -> EmployeeId {
        let ask = "SELECT id FROM employees WHERE display_name = $1";
        let rows = self.world.rows(ask, [name.into()]).await;
        EmployeeId(rows[0].try_get_by_index(0).unwrap())
    }
}

#[tokio::test]
async fn a_single_leaver_is_out_at_once_and_a_mass_of_them_waits() {
    support::everywhere(async |world| {
        let idp = Idp::of(world, 20).await;
        assert_eq!(idp.here().await, 20);
        idp.off(0).await;
        assert_eq!((idp.here().await, idp.count().await), (19, 0));
        idp.delete(1).await;
        assert_eq!((idp.here().await, idp.count().await), (18, 0));
        let runs = world.count("SELECT count(*) FROM runs").await;
        for at in 2..10 {
            idp.off(at).await;
        }
        idp.delete(10).await;
        assert_eq!((idp.here().await, idp.count().await), (18, 9));
        let after = world.count("SELECT count(*) FROM runs").await;
        assert_eq!(runs, after, "nothing of them was written");
        // What is said again, and what else is said of them, lets nobody slip through.
        idp.off(2).await;
        idp.set(2, "title", json!("Gone")).await;
        assert_eq!((idp.here().await, idp.count().await), (18, 9));

        let waiting = idp.waiting().await.unwrap();
        assert_eq!(waiting.source_name, "Directory");
        assert!(waiting.since <= waiting.until);
        let first: Vec<_> = waiting.first.iter().map(|one| &one.display_name).collect();
        assert_eq!(first, ["Person 02", "Person 03", "Person 04"]);
        assert_eq!(idp.names(State::Waiting).await.len(), 9);
        let held = world
            .count("SELECT count(*) FROM audit_entries WHERE action = 'person.held_back'")
            .await;
        assert_eq!(held, 9);
    })
    .await;
}

#[tokio::test]
async fn the_share_is_counted_over_a_day_and_who_waits_stays_waiting() {
    support::everywhere(async |world| {
        let idp = Idp::of(world, 20).await;
        for at in 0..4 {
            idp.off(at).await;
        }
        assert_eq!((idp.here().await, idp.count().await), (18, 2));
        world.clock.advance(DAY);
        world.clock.advance(Duration::from_secs(1));
        // The day after, one is one again; those of the day before still wait.
        idp.off(4).await;
        idp.off(2).await;
        assert_eq!((idp.here().await, idp.count().await), (17, 2));
    })
    .await;
}

#[tokio::test]
async fn whoever_decides_lets_go_or_keeps_those_who_were_seen() {
    support::everywhere(async |world| {
        let idp = Idp::of(world, 20).await;
        for at in 0..8 {
            idp.off(at).await;
        }
        idp.delete(8).await;
        let seen = idp.waiting().await.unwrap();
        assert_eq!(seen.count, 7);
        world.clock.advance(Duration::from_secs(60));
        idp.off(9).await;
        // One is kept, and stays whatever is said again; the others go; who came after nobody has looked at.
        idp.decide_one(State::Waiting, Fate::Keep).await;
        assert_eq!(idp.names(State::Kept).await, ["Person 02"]);
        idp.off(2).await;
        let gone = idp.decide(Which::Until(seen.until), Fate::LetGo).await;
        assert_eq!(gone.unwrap(), 6);
        assert_eq!((idp.here().await, idp.count().await), (12, 1));
        assert_eq!(idp.names(State::Waiting).await, ["Person 09"]);
        let again = idp.decide(Which::Until(seen.until), Fate::LetGo).await;
        assert!(matches!(again, Err(Error::NotFound)));
        // The decision of the day before yesterday can be another one.
        idp.decide_one(State::Kept, Fate::LetGo).await;
        assert_eq!(idp.here().await, 11);
        let unsaid = idp.decide(Which::One("nobody".into()), Fate::Keep).await;
        assert!(matches!(unsaid, Err(Error::NotFound)));
        // Whom somebody let go counts for nothing: an ordinary leaver is out at once on the next day.
        world.clock.advance(DAY);
        idp.off(12).await;
        assert_eq!((idp.here().await, idp.count().await), (10, 1));
        let actions =
            "SELECT count(*) FROM audit_entries WHERE action IN ('person.let_go', 'person.kept')";
        assert_eq!(world.count(actions).await, 8);
    })
    .await;
}

#[tokio::test]
async fn a_source_takes_back_what_it_said() {
    support::everywhere(async |world| {
        let idp = Idp::of(world, 20).await;
        for at in 0..6 {
            idp.off(at).await;
        }
        assert_eq!((idp.here().await, idp.count().await), (18, 4));
        for at in 0..6 {
            idp.set(at, "active", json!(true)).await;
        }
        assert_eq!((idp.here().await, idp.count().await), (20, 0));
        assert_eq!(world.count("SELECT count(*) FROM pushed_leavers").await, 0);
        // Nor does it count any more.
        idp.off(7).await;
        assert_eq!(idp.here().await, 19);
    })
    .await;
}

#[tokio::test]
async fn who_waits_is_signed_in_and_who_is_let_go_is_not() {
    support::everywhere(async |world| {
        let idp = Idp::of(world, 4).await;
        let sign_ins = async |id: EmployeeId| {
            let ask = "SELECT count(*) FROM sign_ins WHERE employee_id = $1 AND ended_at IS NULL";
            world.rows(ask, [id.0.into()]).await[0]
                .try_get_by_index::<i64>(0)
                .unwrap()
        };
        let (first, second) = (
            idp.employee("Person 00").await,
            idp.employee("Person 01").await,
        );
        for id in [first, second] {
            let now = world.clock.now();
            let account = "INSERT INTO accounts (employee_id, login, roles, created_at) VALUES ($1, $2, 'employee', $3)";
            let values = [id.0.into(), id.to_string().into(), now.into()];
            world.execute(account, values).await;
            let sign_in = "INSERT INTO sign_ins (id, employee_id, token, created_at, last_seen_at, expires_at)
                VALUES ($1, $2, FALSE, $3, $3, $4)";
            let until = now + chrono::TimeDelta::days(30);
            let values = [world.uuid().into(), id.0.into(), now.into(), until.into()];
            world.execute(sign_in, values).await;
        }
        idp.off(0).await;
        idp.off(1).await;
        assert_eq!((sign_ins(first).await, sign_ins(second).await), (0, 1));
        idp.decide_one(State::Waiting, Fate::LetGo).await;
        assert_eq!(sign_ins(second).await, 0);
    })
    .await;
}

#[tokio::test]
async fn limits_are_the_sources_and_a_hundred_percent_stops_nothing() {
    support::everywhere(async |world| {
        let idp = Idp::of(world, 10).await;
        let set = async |leavers, four_eyes| {
            let limits = Limits {
                leavers,
                four_eyes,
                ..Limits::default()
            };
            let store = &world.store;
            store.set_limits(&SYSTEM, idp.source, limits).await.unwrap();
        };
        // Nobody starts a push, so four eyes ask nobody about it.
        set(50, true).await;
        for at in 0..6 {
            idp.off(at).await;
        }
        assert_eq!((idp.here().await, idp.count().await), (5, 1));
        set(100, true).await;
        for at in 6..9 {
            idp.off(at).await;
        }
        assert_eq!((idp.here().await, idp.count().await), (2, 1));
        idp.decide_one(State::Waiting, Fate::LetGo).await;
        assert_eq!(idp.here().await, 1);
    })
    .await;
}

#[tokio::test]
async fn only_who_reads_sources_sees_who_waits_and_only_who_manages_them_decides() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let idp = Idp::of(world, 4).await;
        idp.off(0).await;
        idp.off(1).await;
        let nobody = cast.viewer(cast.luca);
        let (store, source) = (&world.store, idp.source);
        let seen = store.waiting_leavers(&nobody).await;
        assert!(matches!(seen, Err(Error::NotFound)));
        let seen = store.leavers(&nobody, source, State::Waiting, None).await;
        assert!(matches!(seen, Err(Error::NotFound)));
        let until = Which::Until(world.clock.now());
        let decided = store
            .decide_leavers(&nobody, source, &until, Fate::Keep)
            .await;
        assert!(matches!(decided, Err(Error::NotFound)));
        assert_eq!(idp.count().await, 1);
    })
    .await;
}

//! Sends through the one writer into a room of 100, alone and many at once,
//! beside the floor: the same 512 rows inserted by hand in one transaction.
//! What is measured includes the commit that each acknowledgement waits for.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use chrono::{DateTime, TimeDelta, Utc};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use domain::{ConversationId, EmployeeId, Roles, Viewer, ids::uuid_v7};
use futures::future::join_all;
use migrations::{Migrator, MigratorTrait as _};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Statement, Value};
use store::{Env, Keys, Store, account::Cost, chat::NewConversation, db};
use tokio::runtime::Runtime;

const MEMBERS: usize = 100;
const BODY: &str = "The crane is late again, and the client asks when it comes.";

struct Room {
    store: Store,
    db: DatabaseConnection,
    viewers: Vec<Viewer>,
    id: ConversationId,
    sent: AtomicU64,
}

/// The databases to measure on: SQLite, and PostgreSQL if a server is named.
async fn databases(folder: &PathBuf) -> Vec<(&'static str, String)> {
    std::fs::create_dir_all(folder).expect("a folder to work in");
    let mut urls = vec![(
        "sqlite",
        format!("sqlite://{}?mode=rwc", folder.join("chat.db").display()),
    )];
    if let Ok(url) = std::env::var("OPTIMUS_TEST_POSTGRES_URL") {
        let server = Database::connect(&url).await.expect("a server");
        let name = format!("optimus_bench_chat_{}", std::process::id());
        let create = format!("CREATE DATABASE {name}");
        server
            .execute_unprepared(&create)
            .await
            .expect("a database");
        let (server, _) = url.rsplit_once('/').expect("a database's name");
        urls.push(("postgres", format!("{server}/{name}")));
    }
    urls
}

impl Room {
    async fn open(url: &str) -> Self {
        let db = db::connect(url).await.expect("a database");
        Migrator::up(&db, None).await.expect("tables");
        let start: DateTime<Utc> = "2026-03-02T09:00:00Z".parse().expect("a time");
        let began = Instant::now();
        let dice = Mutex::new(StdRng::seed_from_u64(41));
        let env = Env {
            now: Arc::new(move || {
                let passed = i64::try_from(began.elapsed().as_micros()).expect("a short time");
                start + TimeDelta::microseconds(passed)
            }),
            fill: Arc::new(move |bytes| dice.lock().expect("dice").fill_bytes(bytes)),
            folder: std::env::temp_dir(),
        };
        let keys = Keys {
            audit: ed25519_dalek::SigningKey::from_bytes(&[7; 32]),
            seal: [9; 32],
        };
        let store = Store::open_with(db.clone(), env.clone(), keys, Cost::Least)
            .await
            .expect("a store");
        let mut people = Vec::new();
        for number in 0..MEMBERS {
            let id = EmployeeId(uuid_v7(env.now(), env.random()));
            let insert = "INSERT INTO employees (id, active, display_name, sort_name, search, tree_from, tree_to, created_at) \
                          VALUES ($1, TRUE, $2, $2, $2, -1, -1, $3)";
            let values: [Value; 3] = [id.0.into(), format!("Person {number}").into(), start.into()];
            execute(&db, insert, values).await;
            people.push(id);
        }
        store.refresh_chart().await.expect("a chart");
        let viewers: Vec<_> = people
            .iter()
            .map(|id| Viewer::person(*id, Roles::EMPLOYEE))
            .collect();
        let new = NewConversation {
            members: people,
            title: Some("Room".into()),
        };
        let id = store
            .start_conversation(&viewers[0], new)
            .await
            .expect("a room")
            .id;
        Self {
            store,
            db,
            viewers,
            id,
            sent: AtomicU64::new(0),
        }
    }

    /// Sends so many at once; returns when all are acknowledged.
    async fn send(&self, count: usize) {
        let sends = (0..count).map(async |_| {
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            let viewer = &self.viewers[number as usize % MEMBERS];
            self.store
                .send(viewer, self.id, &format!("c{number}"), BODY)
                .await
                .expect("sent");
        });
        join_all(sends).await;
    }

    /// Inserts so many rows like messages in one transaction, and nothing else.
    async fn insert(&self, count: usize) {
        let mut values: Vec<Value> = Vec::new();
        let mut rows = Vec::new();
        for _ in 0..count {
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            let at = values.len();
            let sender = self.viewers[number as usize % MEMBERS]
                .id()
                .expect("a person");
            values.extend([
                // A conversation that nobody is in, so that the room's sequence stays whole.
                self.viewers[0].id().expect("a person").0.into(),
                i64::try_from(number).expect("few").into(),
                uuid_v7(self.store.now(), self.store.random()).into(),
                sender.0.into(),
                format!("c{number}").into(),
                BODY.into(),
                self.store.now().into(),
            ]);
            let places: Vec<_> = (at + 1..=at + 7).map(|place| format!("${place}")).collect();
            rows.push(format!("({})", places.join(", ")));
        }
        let insert = format!(
            "INSERT INTO floor (conversation_id, seq, id, sender_id, client_id, body, sent_at) VALUES {}",
            rows.join(", ")
        );
        let tx = db::write(&self.db).await.expect("a transaction");
        let statement = Statement::from_sql_and_values(tx.get_database_backend(), insert, values);
        tx.execute_raw(statement).await.expect("rows");
        tx.commit().await.expect("a commit");
    }
}

async fn execute(db: &DatabaseConnection, text: &str, values: impl IntoIterator<Item = Value>) {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), text, values);
    db.execute_raw(statement).await.expect("a statement");
}

/// `messages` without what points elsewhere.
const FLOOR: &str = "CREATE TABLE floor (conversation_id {uuid} NOT NULL, seq BIGINT NOT NULL, id {uuid} NOT NULL, \
                     sender_id {uuid} NOT NULL, client_id TEXT NOT NULL, body TEXT NOT NULL, sent_at {time} NOT NULL, \
                     PRIMARY KEY (conversation_id, seq), UNIQUE (conversation_id, sender_id, client_id))";

fn sends(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = std::env::temp_dir().join(format!("optimus_bench_chat_{}", std::process::id()));
    for (name, url) in runtime.block_on(databases(&folder)) {
        let (uuid, time) = if name == "postgres" {
            ("UUID", "TIMESTAMPTZ")
        } else {
            ("BLOB", "TEXT")
        };
        let room = runtime.block_on(async {
            let room = Room::open(&url).await;
            execute(
                &room.db,
                &FLOOR.replace("{uuid}", uuid).replace("{time}", time),
                [],
            )
            .await;
            room
        });
        let mut group = criterion.benchmark_group(format!("chat/{name}"));
        for count in [1, 64, 512] {
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(format!("{count} at once"), |bench| {
                bench.iter(|| runtime.block_on(room.send(count)));
            });
        }
        group.throughput(Throughput::Elements(512));
        group.bench_function("floor: 512 rows by hand", |bench| {
            bench.iter(|| runtime.block_on(room.insert(512)));
        });
        group.finish();
        runtime.block_on(async {
            drop(room.store);
            room.db.close().await.ok();
        });
    }
    std::fs::remove_dir_all(&folder).ok();
}

criterion_group! {
    name = chat;
    config = Criterion::default().sample_size(20);
    targets = sends
}
criterion_main!(chat);

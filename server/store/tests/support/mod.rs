//! What the store's tests stand on: a world for each database, with a clock
//! that is moved by hand, dice that always fall alike, and people to act.
//!
//! ```ignore
//! #[tokio::test]
//! async fn somebody_is_found() {
//!     support::everywhere(async |world| {
//!         let cast = world.cast().await;
//!         let found = world.store.person(&cast.viewer(cast.mei), cast.grace).await;
//!         assert_eq!(found.unwrap().display_name, "Grace Okafor");
//!     })
//!     .await;
//! }
//! ```
#![allow(dead_code, reason = "each test program uses its part")]
#![allow(clippy::print_stderr, reason = "says on which database a test failed")]

pub mod firm;

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Attribute, EmployeeId, Role, Roles, SourceId, UnitId, Value, Viewer, erp::Worker, ids::uuid_v7,
};
use futures::FutureExt as _;
use migrations::{Migrator, MigratorTrait as _};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use sea_orm::{
    ConnectionTrait as _, Database, DatabaseBackend, DatabaseConnection, QueryResult, Statement,
};
use store::{Env, Keys, Store, account::Cost, db};

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub struct Clock(Arc<Mutex<DateTime<Utc>>>);

impl Clock {
    /// The time now; at first 2 March 2026, 09:00 UTC.
    pub fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    /// Moves on.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += TimeDelta::from_std(by).unwrap();
    }
}

/// A store over a fresh database.
pub struct World {
    /// `sqlite` or `postgres`.
    pub name: &'static str,
    /// The store.
    pub store: Store,
    /// Its clock.
    pub clock: Clock,
    /// Its database, for looking (and for tampering) behind its back.
    pub db: DatabaseConnection,
    /// What the store was opened with, for opening a second one.
    pub env: Env,
    /// Its keys.
    pub keys: Keys,
    /// Where the database is.
    pub url: String,
    home: Home,
}

enum Home {
    Folder(PathBuf),
    Server { url: String, database: String },
}

/// Runs a test on SQLite, and on PostgreSQL if `OPTIMUS_TEST_POSTGRES_URL` names a
/// server; each time in a world of its own that is gone afterwards.
pub async fn everywhere(test: impl AsyncFn(&World)) {
    let server = std::env::var("OPTIMUS_TEST_POSTGRES_URL").ok();
    let homes = [Some(sqlite()), server.map(|url| postgres(&url))];
    for home in homes.into_iter().flatten() {
        let world = World::new(home).await;
        let outcome = AssertUnwindSafe(test(&world)).catch_unwind().await;
        let name = world.name;
        world.end().await;
        if let Err(panic) = outcome {
            eprintln!("failed on {name}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("optimus_test_{}_{count}", std::process::id())
}

fn sqlite() -> Home {
    Home::Folder(std::env::temp_dir().join(unique()))
}

fn postgres(url: &str) -> Home {
    Home::Server {
        url: url.to_owned(),
        database: unique(),
    }
}

async fn on_server(url: &str, sql: String) {
    let server = Database::connect(url).await.unwrap();
    server.execute_unprepared(&sql).await.unwrap();
    server.close().await.unwrap();
}

impl World {
    async fn new(home: Home) -> Self {
        let (name, url) = match &home {
            Home::Folder(folder) => {
                std::fs::create_dir_all(folder).unwrap();
                let file = folder.join("optimus.db");
                ("sqlite", format!("sqlite://{}?mode=rwc", file.display()))
            }
            Home::Server { url, database } => {
                on_server(url, format!("CREATE DATABASE {database}")).await;
                let (server, _) = url.rsplit_once('/').unwrap();
                ("postgres", format!("{server}/{database}"))
            }
        };
        let db = db::connect(&url).await.unwrap();
        Migrator::up(&db, None).await.unwrap();
        let start = "2026-03-02T09:00:00Z".parse().unwrap();
        let clock = Clock(Arc::new(Mutex::new(start)));
        let dice = Mutex::new(StdRng::seed_from_u64(41));
        let env = Env {
            now: {
                let clock = clock.clone();
                Arc::new(move || clock.now())
            },
            fill: Arc::new(move |bytes| dice.lock().unwrap().fill_bytes(bytes)),
            folder: std::env::temp_dir(),
        };
        let keys = Keys {
            audit: ed25519_dalek::SigningKey::from_bytes(&[7; 32]),
            seal: [9; 32],
        };
        let store = Store::open_with(db.clone(), env.clone(), keys.clone(), Cost::Least)
            .await
            .unwrap();
        Self {
            name,
            store,
            clock,
            db,
            env,
            keys,
            url,
            home,
        }
    }

    async fn end(self) {
        drop(self.store);
        self.db.close().await.ok();
        match self.home {
            Home::Folder(folder) => {
                std::fs::remove_dir_all(folder).ok();
            }
            // A test that failed may have left connections behind.
            Home::Server { url, database } => {
                on_server(&url, format!("DROP DATABASE {database} WITH (FORCE)")).await;
            }
        }
    }

    /// A statement with places `$1`, `$2`, … for this world's database.
    pub fn sql(&self, text: &str, values: impl IntoIterator<Item = sea_orm::Value>) -> Statement {
        Statement::from_sql_and_values(self.db.get_database_backend(), text, values)
    }

    /// Executes a statement behind the store's back; answers how many rows it changed.
    pub async fn execute(
        &self,
        text: &str,
        values: impl IntoIterator<Item = sea_orm::Value>,
    ) -> u64 {
        let done = self.db.execute_raw(self.sql(text, values)).await.unwrap();
        done.rows_affected()
    }

    /// The rows of a query.
    pub async fn rows(
        &self,
        text: &str,
        values: impl IntoIterator<Item = sea_orm::Value>,
    ) -> Vec<QueryResult> {
        self.db.query_all_raw(self.sql(text, values)).await.unwrap()
    }

    /// The number that a query answers, `SELECT count(*) …`.
    pub async fn count(&self, text: &str) -> i64 {
        self.rows(text, []).await[0].try_get_by_index(0).unwrap()
    }

    /// Whether this is PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        self.db.get_database_backend() == DatabaseBackend::Postgres
    }

    /// An id from the world's clock and dice.
    pub fn uuid(&self) -> uuid::Uuid {
        uuid_v7(self.clock.now(), self.store.random())
    }

    /// Connects a source, behind the store's back: kind `csv`, no secrets.
    pub async fn source(&self, name: &str) -> SourceId {
        let id = SourceId(self.uuid());
        let insert = "INSERT INTO sources (id, kind, name, settings, secrets, leaver_percent, last_read_at, created_at) \
                      VALUES ($1, 'csv', $2, '{}', $3, 10, $4, $4)";
        let now = self.clock.now();
        self.execute(
            insert,
            [
                id.0.into(),
                name.into(),
                Vec::<u8>::new().into(),
                now.into(),
            ],
        )
        .await;
        id
    }

    /// Adds a unit of a source, by name.
    pub async fn unit(&self, source: SourceId, name: &str, parent: Option<UnitId>) -> UnitId {
        let id = UnitId(self.uuid());
        let insert = "INSERT INTO units (id, source_id, external_id, name, parent_id, heads, active) \
                      VALUES ($1, $2, $3, $3, $4, '[]', TRUE)";
        self.execute(
            insert,
            [
                id.0.into(),
                source.0.into(),
                name.into(),
                parent.map(|parent| parent.0).into(),
            ],
        )
        .await;
        id
    }

    /// Adds a person. With a source there is a record of it that says what
    /// `says` says (and the name); without, the name is an own value.
    /// [`World::settle`] has to follow before lists and the chart know.
    pub async fn add(&self, person: Newcomer<'_>) -> EmployeeId {
        let id = EmployeeId(self.uuid());
        let now = self.clock.now();
        let insert = "INSERT INTO employees (id, active, display_name, sort_name, search, unit_id, manager_id, tree_from, tree_to, created_at) \
                      VALUES ($1, TRUE, $2, $2, '', $3, $4, -1, -1, $5)";
        self.execute(
            insert,
            [
                id.0.into(),
                person.name.into(),
                person.unit.map(|unit| unit.0).into(),
                person.manager.map(|manager| manager.0).into(),
                now.into(),
            ],
        )
        .await;
        if let Some(manager) = person.manager {
            let insert = "INSERT INTO manager_history (employee_id, manager_id, from_at) VALUES ($1, $2, $3)";
            self.execute(insert, [id.0.into(), manager.0.into(), now.into()])
                .await;
        }
        match person.source {
            Some(source) => {
                let mut attributes: BTreeMap<_, _> = person
                    .says
                    .iter()
                    .map(|(attribute, value)| (*attribute, value.clone()))
                    .collect();
                attributes.insert(Attribute::DisplayName, Some(person.name.into()));
                self.record(source, id, attributes).await;
            }
            None => {
                self.own(id, Attribute::DisplayName, person.name.into())
                    .await;
            }
        }
        id
    }

    /// Writes (or writes anew) what a source says of somebody, as of now.
    pub async fn record(
        &self,
        source: SourceId,
        id: EmployeeId,
        attributes: BTreeMap<Attribute, Option<Value>>,
    ) {
        let now = self.clock.now();
        let changed: BTreeMap<_, _> = attributes
            .keys()
            .map(|attribute| (*attribute, now))
            .collect();
        let worker = Worker {
            external_id: id.to_string(),
            active: true,
            attributes,
            manager: None,
            unit: None,
            ..Worker::default()
        };
        let digest = worker.digest().to_vec();
        let record = serde_json::json!({ "worker": worker, "photo": null }).to_string();
        let changed = serde_json::to_string(&changed).unwrap();
        let insert = "INSERT INTO erp_records (source_id, external_id, employee_id, active, digest, record, changed) \
                      VALUES ($1, $2, $3, TRUE, $4, $5, $6) ON CONFLICT (source_id, external_id) \
                      DO UPDATE SET digest = excluded.digest, record = excluded.record, changed = excluded.changed";
        self.execute(
            insert,
            [
                source.0.into(),
                id.to_string().into(),
                id.0.into(),
                digest.into(),
                record.into(),
                changed.into(),
            ],
        )
        .await;
    }

    /// Writes an own value behind the store's back, as of now.
    pub async fn own(&self, id: EmployeeId, attribute: Attribute, value: Value) {
        let insert = "INSERT INTO own_values (employee_id, attribute, value, edited_at) VALUES ($1, $2, $3, $4) \
                      ON CONFLICT (employee_id, attribute) DO UPDATE SET value = excluded.value, edited_at = excluded.edited_at";
        let value = serde_json::to_string(&value).unwrap();
        let now = self.clock.now();
        self.execute(
            insert,
            [
                id.0.into(),
                attribute.name().into(),
                value.into(),
                now.into(),
            ],
        )
        .await;
    }

    /// Makes somebody one who left.
    pub async fn leave(&self, id: EmployeeId) {
        let update = "UPDATE employees SET active = FALSE, left_at = $2 WHERE id = $1";
        self.execute(update, [id.0.into(), self.clock.now().into()])
            .await;
    }

    /// Has everyone's shown values worked out and the chart built.
    pub async fn settle(&self) {
        self.store
            .reshow_everyone(&Viewer::system("test"))
            .await
            .unwrap();
        self.store.refresh_chart().await.unwrap();
    }

    /// The small cast: see [`Cast`].
    pub async fn cast(&self) -> Cast {
        Cast::enter(self).await
    }
}

/// Somebody to add.
#[derive(Default)]
pub struct Newcomer<'a> {
    /// The display name.
    pub name: &'a str,
    /// The source whose record there is; none for somebody without one.
    pub source: Option<SourceId>,
    /// The unit.
    pub unit: Option<UnitId>,
    /// The superior.
    pub manager: Option<EmployeeId>,
    /// What the source says beside the name.
    pub says: &'a [(Attribute, Option<Value>)],
}

/// Eight people of Northwind Forge:
///
/// ```text
/// Ingrid Solberg, Management
/// ├─ Tomás Herrera, Sales
/// │  ├─ Grace Okafor, Key Accounts (a unit of Sales)
/// │  │  └─ Luca Moretti, Key Accounts
/// │  └─ Mei Tanaka, Sales
/// └─ Hanna Berg, People (HR)
/// Priya Raman, People: nobody above; policy and system administrator
/// Omar Haddad, Management, below Ingrid: compliance officer
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Cast {
    pub source: SourceId,
    pub management: UnitId,
    pub sales: UnitId,
    pub key_accounts: UnitId,
    pub people: UnitId,
    pub ingrid: EmployeeId,
    pub tomas: EmployeeId,
    pub grace: EmployeeId,
    pub luca: EmployeeId,
    pub mei: EmployeeId,
    pub hanna: EmployeeId,
    pub priya: EmployeeId,
    pub omar: EmployeeId,
}

impl Cast {
    async fn enter(world: &World) -> Self {
        let source = world.source("Northwind ERP").await;
        let management = world.unit(source, "Management", None).await;
        let sales = world.unit(source, "Sales", Some(management)).await;
        let key_accounts = world.unit(source, "Key Accounts", Some(sales)).await;
        let people = world.unit(source, "People", Some(management)).await;
        let number = AtomicU32::new(0);
        let add = async |name: &str, unit, manager, title: &str| {
            let number = number.fetch_add(1, Ordering::Relaxed) + 1;
            let first = name.split(' ').next().unwrap();
            let mail = domain::text::fold(&format!("{first}@northwind.example"));
            let says = [
                (Attribute::Title, Some(title.into())),
                (Attribute::Emails, Some(mail.into())),
                (
                    Attribute::EmployeeNumber,
                    Some(format!("NF-{number:03}").into()),
                ),
                (Attribute::Location, Some("Bergen".into())),
                (Attribute::BirthDate, Some("1984-02-29".into())),
                (Attribute::Mobile, Some("+47 900 00 000".into())),
                (Attribute::CostCenter, Some("CC-7".into())),
                (Attribute::NickName, None),
            ];
            world
                .add(Newcomer {
                    name,
                    source: Some(source),
                    unit: Some(unit),
                    manager,
                    says: &says,
                })
                .await
        };
        let ingrid = add("Ingrid Solberg", management, None, "Chief Executive").await;
        let tomas = add("Tomás Herrera", sales, Some(ingrid), "Head of Sales").await;
        let grace = add(
            "Grace Okafor",
            key_accounts,
            Some(tomas),
            "Key Account Lead",
        )
        .await;
        let luca = add("Luca Moretti", key_accounts, Some(grace), "Account Manager").await;
        let mei = add("Mei Tanaka", sales, Some(tomas), "Sales Engineer").await;
        let hanna = add("Hanna Berg", people, Some(ingrid), "People Partner").await;
        let priya = add("Priya Raman", people, None, "Systems Administrator").await;
        let omar = add("Omar Haddad", management, Some(ingrid), "Compliance Lead").await;
        world.settle().await;
        Self {
            source,
            management,
            sales,
            key_accounts,
            people,
            ingrid,
            tomas,
            grace,
            luca,
            mei,
            hanna,
            priya,
            omar,
        }
    }

    /// Everyone.
    pub fn everyone(&self) -> [EmployeeId; 8] {
        [
            self.ingrid,
            self.tomas,
            self.grace,
            self.luca,
            self.mei,
            self.hanna,
            self.priya,
            self.omar,
        ]
    }

    /// Somebody of the cast with the roles that they have.
    pub fn viewer(&self, id: EmployeeId) -> Viewer {
        let roles: &[Role] = match id {
            id if id == self.hanna => &[Role::Hr],
            id if id == self.priya => &[Role::PolicyAdministrator, Role::SystemAdministrator],
            id if id == self.omar => &[Role::ComplianceOfficer],
            _ => &[],
        };
        let roles: Roles = roles.iter().copied().collect();
        let mut viewer = Viewer::person(id, roles);
        viewer.address = Some("192.0.2.7".into());
        viewer
    }
}

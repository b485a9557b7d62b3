//! A run over a generated company of 100,000, beside what the database itself
//! needs for the same rows. The bars: a first load at most 3 x inserting its
//! rows, nothing changed at most 3 x reading every row, 1 % changed at most
//! 1.2 x nothing changed. The absolute times are the machine's.
#![allow(clippy::print_stdout, reason = "what it measures is its answer")]

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Attribute, SourceId, Value, Viewer,
    erp::{OrgUnit, Worker},
};
use migrations::{Migrator, MigratorTrait as _};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseBackend, Statement};
use store::{
    Env, Keys, Store, db,
    run::{Phase, Read, Run},
    source::NewSource,
};

const PEOPLE: usize = 100_000;
const UNITS: usize = 1_000;
const PAGE: usize = 1_000;
const VIEWER: Viewer = Viewer::system("bench");
/// The tables that a run writes a row of for each person.
const TABLES: [&str; 5] = [
    "units",
    "employees",
    "erp_records",
    "manager_history",
    "run_steps",
];

fn main() {
    let folder = std::env::temp_dir().join(format!("optimus_bench_{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder to work in");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(&folder));
    std::fs::remove_dir_all(&folder).ok();
}

async fn measure(folder: &Path) {
    let file = folder.join("optimus.db");
    let store = open(&file).await;
    let source = NewSource {
        kind: "seed".into(),
        name: "Bench".into(),
        settings: BTreeMap::new(),
        secrets: BTreeMap::new(),
    };
    let source = store
        .add_source(&VIEWER, source)
        .await
        .expect("a source")
        .id;
    let (units, mut workers) = company();

    let (first, run) = sync(&store, source, &units, &workers).await;
    assert_eq!(run.totals.joiners, PEOPLE as u64);
    let insert = raw_insert(folder, &file).await;
    println!("sync of {PEOPLE} people, SQLite");
    report("first load", first, "inserting the same rows", insert, 3.0);

    let read = raw_read(&file).await;
    let unchanged = least(async || {
        let (took, run) = sync(&store, source, &units, &workers).await;
        assert_eq!((run.totals.unchanged, run.steps), (PEOPLE as u64, 0));
        took
    })
    .await;
    report("nothing changed", unchanged, "reading every row", read, 3.0);

    let mut turn = 0;
    let mut change = || {
        turn += 1;
        for worker in workers.iter_mut().step_by(100) {
            let title = format!("Title of turn {turn}");
            worker
                .attributes
                .insert(Attribute::Title, Some(title.into()));
        }
        workers.clone()
    };
    let mut changed = Duration::MAX;
    for _ in 0..3 {
        let workers = change();
        let (took, run) = sync(&store, source, &units, &workers).await;
        assert_eq!(run.totals.changed, PEOPLE as u64 / 100);
        changed = changed.min(took);
    }
    report("1 % changed", changed, "nothing changed", unchanged, 1.2);
}

fn report(what: &str, took: Duration, floor: &str, floor_took: Duration, bar: f64) {
    let ratio = took.as_secs_f64() / floor_took.as_secs_f64();
    println!(
        "  {what:16} {took:>9.0?}   {floor:24} {floor_took:>9.0?}   {ratio:.2} x (at most {bar} x)"
    );
}

/// The least of three, which the rest of the machine disturbed least.
async fn least(measure: impl AsyncFn() -> Duration) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..3 {
        least = least.min(measure().await);
    }
    least
}

/// A whole run, as the server drives it.
async fn sync(
    store: &Store,
    source: SourceId,
    units: &[OrgUnit],
    workers: &[Worker],
) -> (Duration, Run) {
    // The pages are the adapter's work.
    let pages: Vec<_> = workers
        .chunks(PAGE)
        .map(|workers| Read {
            workers: workers.to_vec(),
            faults: Vec::new(),
        })
        .collect();
    let begun = Instant::now();
    let mut laps = Vec::new();
    let mut lap = |what| laps.push((what, begun.elapsed()));
    let run = store
        .begin_run(&VIEWER, source, false)
        .await
        .expect("a run")
        .id;
    store
        .read_units(&VIEWER, run, units.to_vec(), vec![], vec![])
        .await
        .expect("units");
    lap("loaded");
    for page in pages {
        store.read_page(&VIEWER, run, page).await.expect("a page");
    }
    lap("read");
    let plan = store.plan_run(&VIEWER, run, None).await.expect("a plan");
    assert_eq!(plan.phase, Phase::Applying);
    lap("planned");
    while store.apply_run(&VIEWER, run).await.expect("a chunk") > 0 {}
    lap("applied");
    let run = store.end_run(&VIEWER, run, None).await.expect("an end");
    lap("ended");
    if std::env::var_os("OPTIMUS_BENCH_LAPS").is_some() {
        println!("    {laps:?}");
    }
    (begun.elapsed(), run)
}

async fn open(file: &Path) -> Store {
    let url = format!("sqlite://{}", file.display());
    let db = db::connect(&url).await.expect("a database");
    Migrator::up(&db, None).await.expect("its tables");
    let start: DateTime<Utc> = "2026-03-02T09:00:00Z".parse().expect("a time");
    let begun = Instant::now();
    let dice = Mutex::new(StdRng::seed_from_u64(1));
    let env = Env {
        now: Arc::new(move || {
            let passed = i64::try_from(begun.elapsed().as_micros()).unwrap_or(0);
            start + TimeDelta::microseconds(passed)
        }),
        fill: Arc::new(move |bytes| dice.lock().expect("no panic").fill_bytes(bytes)),
    };
    let keys = Keys {
        audit: ed25519_dalek::SigningKey::from_bytes(&[7; 32]),
        seal: [9; 32],
    };
    Store::open(db, env, keys).await.expect("a store")
}

/// The rows of the first load copied within SQLite into an empty database with
/// the same indexes: no text is parsed, no value crosses into Rust.
async fn raw_insert(folder: &Path, full: &Path) -> Duration {
    let empty = folder.join("raw.db");
    open(&empty).await;
    let mut options = ConnectOptions::new(format!("sqlite://{}", empty.display()));
    options.max_connections(1).sqlx_logging(false);
    let db = Database::connect(options).await.expect("a database");
    let mut copy = String::from(
        "BEGIN IMMEDIATE;INSERT INTO sources SELECT * FROM full.sources;INSERT INTO runs SELECT * FROM full.runs;",
    );
    for table in TABLES {
        copy += &format!("INSERT INTO {table} SELECT * FROM full.{table};");
    }
    let attach = format!(
        "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; ATTACH '{}' AS full",
        full.display()
    );
    db.execute_unprepared(&attach).await.expect("the full one");
    let begun = Instant::now();
    db.execute_unprepared(&copy).await.expect("the rows");
    db.execute_unprepared("COMMIT")
        .await
        .expect("the rows to stay");
    let took = begun.elapsed();
    db.close().await.ok();
    took
}

/// Every column of every person's row and record.
async fn raw_read(file: &Path) -> Duration {
    let db = db::connect(&format!("sqlite://{}", file.display()))
        .await
        .expect("a database");
    least(async || {
        let begun = Instant::now();
        for table in ["employees", "erp_records"] {
            let read =
                Statement::from_string(DatabaseBackend::Sqlite, format!("SELECT * FROM {table}"));
            let rows = db.query_all_raw(read).await.expect("rows");
            assert_eq!(rows.len(), PEOPLE);
        }
        begun.elapsed()
    })
    .await
}

/// A tree ten wide, and what an ERP usually says of people.
fn company() -> (Vec<OrgUnit>, Vec<Worker>) {
    let units = (0..UNITS).map(|n| OrgUnit {
        external_id: format!("U{n}"),
        name: format!("Unit {n}"),
        parent: (n > 0).then(|| format!("U{}", (n - 1) / 10)),
        heads: vec![format!("E{n:06}")],
    });
    let workers = (0..PEOPLE).map(|n| {
        let says = [
            (Attribute::DisplayName, format!("Person {n} of the Company")),
            (Attribute::GivenName, format!("Person {n}")),
            (Attribute::FamilyName, "of the Company".to_owned()),
            (Attribute::Title, format!("Engineer {}", n % 97)),
            (Attribute::EmployeeNumber, format!("{n:06}")),
            (Attribute::CostCenter, format!("{} Plant", 1_000 + n % 50)),
            (
                Attribute::StartDate,
                format!("20{:02}-0{}-1{}", n % 25, 1 + n % 9, n % 10),
            ),
            (Attribute::Location, format!("Hall {}", n % 40)),
            (Attribute::Emails, format!("person.{n}@company.example")),
            (Attribute::PhoneNumbers, format!("+44 7700 {n:06}")),
            (Attribute::Locale, "en-GB".to_owned()),
            (Attribute::Timezone, "Europe/London".to_owned()),
        ];
        Worker {
            external_id: format!("E{n:06}"),
            active: true,
            attributes: says
                .into_iter()
                .map(|(attribute, text)| (attribute, Some(Value::Text(text))))
                .collect(),
            manager: (n > 0).then(|| format!("E{:06}", (n - 1) / 10)),
            unit: Some(format!("U{}", n % UNITS)),
            ..Worker::default()
        }
    });
    (units.collect(), workers.collect())
}

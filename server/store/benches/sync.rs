//! A run over a generated company of 100,000, beside what the database itself
//! needs for the same rows. The bars: a first load at most 3 x inserting its
//! rows, nothing changed at most 3 x reading every row, 1 % changed at most
//! 1.2 x nothing changed, and at most 64 MiB more of memory than before. The
//! absolute times are the machine's. On SQLite, and on the PostgreSQL of
//! `OPTIMUS_TEST_POSTGRES_URL` where one is named (`bin/with-postgres`).
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
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, Statement};
use store::{
    Env, Keys, Store, db,
    run::{Phase, Read, Run},
    source::NewSource,
};

const PEOPLE: usize = 100_000;
const UNITS: usize = 1_000;
const PAGE: usize = 1_000;
const VIEWER: Viewer = Viewer::system("bench");
const MIB: u64 = 1 << 20;
/// Fresh databases that a first load is measured on.
const LOADS: usize = 2;

// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    let company = company();
    for load in 0..LOADS {
        let file = folder.join(format!("optimus_{load}.db"));
        on(&format!("sqlite://{}", file.display()), &company, load).await;
    }
    if let Ok(server) = std::env::var("OPTIMUS_TEST_POSTGRES_URL") {
        let name = format!("optimus_bench_{}", std::process::id());
        let admin = Database::connect(&server).await.expect("a server");
        let make = format!("CREATE DATABASE {name}");
        admin.execute_unprepared(&make).await.expect("a database");
        let (server, _) = server.rsplit_once('/').expect("an address with a database");
        on(&format!("{server}/{name}"), &company, LOADS - 1).await;
        let drop = format!("DROP DATABASE {name} WITH (FORCE)");
        admin.execute_unprepared(&drop).await.expect("no database");
    }
}

/// Everything on one database; the last of several goes on after the first load.
async fn on(url: &str, (units, workers): &(Vec<OrgUnit>, Vec<Worker>), load: usize) {
    let store = open(url).await;
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
    let kind = url.split(':').next().unwrap_or_default();
    println!("sync of {PEOPLE} people, {kind}");
    let (first, run) = sync(&store, source, units, workers).await;
    assert_eq!(run.totals.joiners, PEOPLE as u64);
    let insert = raw_insert(url).await;
    report("first load", first, "inserting the same rows", insert, 3.0);
    if load + 1 < LOADS {
        return;
    }

    let read = raw_read(url).await;
    let unchanged = least(async || {
        let (took, run) = sync(&store, source, units, workers).await;
        assert_eq!((run.totals.unchanged, run.steps), (PEOPLE as u64, 0));
        took
    })
    .await;
    report("nothing changed", unchanged, "reading every row", read, 3.0);

    let mut workers = workers.clone();
    let mut changed = Cost::MAX;
    let mut rewritten = Cost::MAX;
    for turn in 1..=3 {
        for worker in workers.iter_mut().step_by(100) {
            let title = format!("Title of turn {turn}");
            worker
                .attributes
                .insert(Attribute::Title, Some(title.into()));
        }
        let (took, run) = sync(&store, source, units, &workers).await;
        assert_eq!(run.totals.changed, PEOPLE as u64 / 100);
        changed = changed.min(took);
        rewritten = rewritten.min(raw_change(url).await);
    }
    report("1 % changed", changed, "nothing changed", unchanged, 1.2);
    let more = |all: Duration, less: Duration| all.saturating_sub(less).as_millis();
    println!(
        "  {:16} {:>6} ms   {:22} {:>6} ms   (the bar leaves {} ms)",
        "  of which more",
        more(changed.time, unchanged.time),
        "writing the same rows",
        rewritten.time.as_millis(),
        unchanged.time.as_millis() / 5,
    );
}

/// What something took.
#[derive(Clone, Copy)]
struct Cost {
    time: Duration,
    /// Of the processors, all threads together.
    cpu: Duration,
    /// Most bytes of memory beyond those before.
    grown: u64,
}

impl Cost {
    const MAX: Self = Self {
        time: Duration::MAX,
        cpu: Duration::MAX,
        grown: u64::MAX,
    };

    fn min(self, other: Self) -> Self {
        Self {
            time: self.time.min(other.time),
            cpu: self.cpu.min(other.cpu),
            grown: self.grown.min(other.grown),
        }
    }
}

/// A line of `/proc/self/status` in bytes: `VmRSS` is what is resident now,
/// `VmHWM` the most since [`forget_peak`]. Zero where there is no such file.
fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// What the processors have done for this process, to 10 ms. Zero where nobody tells.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn forget_peak() {
    // Where it cannot be written the peak is that of the whole process, and too high.
    std::fs::write("/proc/self/clear_refs", "5").ok();
}

/// One line: by the clock, and by the processors, which other work on the machine disturbs less.
fn report(what: &str, cost: Cost, floor: &str, beside: Cost, bar: f64) {
    let ratio = |one: Duration, other: Duration| one.as_secs_f64() / other.as_secs_f64();
    println!(
        "  {what:16} {:>6} ms   {floor:22} {:>6} ms   {:.2} x, of CPU {:.2} x (at most {bar} x)   {:>3} MiB (at most 64)",
        cost.time.as_millis(),
        beside.time.as_millis(),
        ratio(cost.time, beside.time),
        ratio(cost.cpu, beside.cpu),
        cost.grown / MIB,
    );
}

/// What `work` takes by the clock and of the processors.
async fn timed(work: impl Future<Output = ()>) -> Cost {
    let (begun, worked) = (Instant::now(), cpu());
    work.await;
    Cost {
        time: begun.elapsed(),
        cpu: cpu() - worked,
        grown: 0,
    }
}

/// The least of three, which the rest of the machine disturbed least.
async fn least(measure: impl AsyncFn() -> Cost) -> Cost {
    let mut least = Cost::MAX;
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
) -> (Cost, Run) {
    let (units, mut pages) = (units.to_vec(), workers.chunks(PAGE));
    // The pages are the adapter's work.
    let mut next = move || {
        let read = pages.next().map(|workers| Read {
            workers: workers.to_vec(),
            faults: Vec::new(),
        });
        (read, Instant::now(), cpu())
    };
    forget_peak();
    let before = memory("VmRSS");
    let mut time = Duration::ZERO;
    let mut laps = Vec::new();
    let mut worked = Duration::ZERO;
    let (mut begun, mut at_work) = (Instant::now(), cpu());
    let run = store
        .begin_run(&VIEWER, source, false)
        .await
        .expect("a run")
        .id;
    store
        .read_units(&VIEWER, run, units, vec![], vec![])
        .await
        .expect("units");
    time += begun.elapsed();
    worked += cpu() - at_work;
    laps.push(("loaded", time, memory("VmHWM") / MIB));
    while let (Some(page), at, work) = next() {
        store.read_page(&VIEWER, run, page).await.expect("a page");
        time += at.elapsed();
        worked += cpu() - work;
    }
    (begun, at_work) = (Instant::now(), cpu());
    let mut lap = |what| {
        time += begun.elapsed();
        begun = Instant::now();
        laps.push((what, time, memory("VmHWM") / MIB));
    };
    lap("read");
    let plan = store.plan_run(&VIEWER, run, None).await.expect("a plan");
    assert_eq!(plan.phase, Phase::Applying);
    lap("planned");
    while store.apply_run(&VIEWER, run).await.expect("a chunk") > 0 {}
    lap("applied");
    let run = store.end_run(&VIEWER, run, None).await.expect("an end");
    lap("ended");
    let grown = memory("VmHWM").saturating_sub(before);
    let cpu = worked + (cpu() - at_work);
    if std::env::var_os("OPTIMUS_BENCH_LAPS").is_some() {
        println!("    {} MiB before, {laps:?}", before / MIB);
    }
    (Cost { time, cpu, grown }, run)
}

async fn open(url: &str) -> Store {
    let db = db::connect(url).await.expect("a database");
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
        folder: std::env::temp_dir(),
    };
    let keys = Keys {
        audit: ed25519_dalek::SigningKey::from_bytes(&[7; 32]),
        seal: [9; 32],
    };
    Store::open(db, env, keys).await.expect("a store")
}

/// The rows of the first load copied within the database into empty tables with
/// the same indexes: no text is parsed, no value crosses into Rust.
async fn raw_insert(url: &str) -> Cost {
    let mut options = ConnectOptions::new(url);
    let mut copy = String::from("BEGIN;");
    let full = match url.strip_prefix("sqlite://") {
        Some(file) => {
            let empty = format!("sqlite://{file}.raw");
            open(&empty).await;
            options = ConnectOptions::new(empty);
            copy = "BEGIN IMMEDIATE;INSERT INTO sources SELECT * FROM full.sources;INSERT INTO runs SELECT * FROM full.runs;".into();
            format!("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; ATTACH '{file}' AS full")
        }
        None => {
            let like =
                |table| format!("CREATE TABLE raw.{table} (LIKE public.{table} INCLUDING ALL);");
            let tables: String = TABLES.into_iter().map(like).collect();
            format!("CREATE SCHEMA raw;{tables}SET search_path = raw")
        }
    };
    let from = if url.starts_with("sqlite:") {
        "full"
    } else {
        "public"
    };
    for table in TABLES {
        copy += &format!("INSERT INTO {table} SELECT * FROM {from}.{table};");
    }
    options.max_connections(1).sqlx_logging(false);
    let db = Database::connect(options).await.expect("a database");
    db.execute_unprepared(&full).await.expect("the full one");
    let took = timed(async {
        db.execute_unprepared(&copy).await.expect("the rows");
        let stay = db.execute_unprepared("COMMIT").await;
        stay.expect("the rows to stay");
    });
    let took = took.await;
    db.close().await.ok();
    took
}

/// What the last run changed, copied within the database onto what [`raw_insert`] left. SQLite alone: elsewhere
/// nothing of what was there before is left.
async fn raw_change(url: &str) -> Cost {
    let Some(file) = url.strip_prefix("sqlite://") else {
        return Cost {
            time: Duration::ZERO,
            cpu: Duration::ZERO,
            grown: 0,
        };
    };
    let mut options = ConnectOptions::new(format!("sqlite://{file}.raw"));
    options.max_connections(1).sqlx_logging(false);
    let db = Database::connect(options).await.expect("a database");
    let full =
        format!("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; ATTACH '{file}' AS full");
    db.execute_unprepared(&full).await.expect("the full one");
    let last = "(SELECT id FROM full.runs ORDER BY started_at DESC LIMIT 1)";
    let copied =
        |table| format!("INSERT INTO {table} SELECT * FROM full.{table} WHERE run_id = {last};");
    let copied: String = ["run_journal", "run_steps", "value_history"]
        .map(copied)
        .concat();
    let copy = format!(
        "BEGIN IMMEDIATE; INSERT INTO runs SELECT * FROM full.runs WHERE id = {last}; {copied}
         UPDATE erp_records SET digest = f.digest, record = f.record, changed = f.changed, run_id = f.run_id
         FROM full.run_journal j JOIN full.erp_records f ON f.source_id = (SELECT source_id FROM full.runs WHERE id = j.run_id)
             AND f.external_id = j.external_id
         WHERE j.run_id = {last} AND erp_records.source_id = f.source_id AND erp_records.external_id = f.external_id;
         UPDATE employees SET title = f.title, search = f.search
         FROM full.run_journal j JOIN full.employees f ON f.id = j.employee_id
         WHERE j.run_id = {last} AND employees.id = f.id; COMMIT"
    );
    let took = timed(async {
        db.execute_unprepared(&copy).await.expect("the rows");
    });
    let took = took.await;
    let titles = "SELECT count(*) FROM employees e JOIN full.employees f ON f.id = e.id AND f.title = e.title";
    let titles = Statement::from_string(db.get_database_backend(), titles);
    let same = db
        .query_one_raw(titles)
        .await
        .expect("a count")
        .expect("a row");
    let same: i64 = same.try_get_by_index(0).expect("a number");
    assert_eq!(same, PEOPLE as i64, "the floor changes the same people");
    db.close().await.ok();
    took
}

/// Every column of every person's row and record.
async fn raw_read(url: &str) -> Cost {
    let db = db::connect(url).await.expect("a database");
    least(async || {
        timed(async {
            for table in ["employees", "erp_records"] {
                let read = format!("SELECT * FROM {table}");
                let read = Statement::from_string(db.get_database_backend(), read);
                let rows = db.query_all_raw(read).await.expect("rows");
                assert_eq!(rows.len(), PEOPLE);
            }
        })
        .await
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

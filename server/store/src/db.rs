//! Opening the database, and what every statement is made of.

use std::{fmt::Write as _, pin::pin, sync::Arc, time::Duration};

use futures::TryStreamExt as _;
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection,
    DatabaseTransaction, DbErr, IsolationLevel, QueryResult, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait as _, Value,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::broadcast;

use crate::{
    Env, Error, Inner, Keys, Result, Store,
    account::{Cost, Passwords},
    chat::{Ears, Writer},
};

/// Oldest SQLite that is taken: the one before it could lose a commit when a
/// WAL was reset while being read.
pub const SQLITE_MIN: (u32, u32, u32) = (3, 51, 3);

/// Oldest PostgreSQL that is taken, as `server_version_num` has it.
const POSTGRES_MIN: u32 = 13_00_00;

/// How many events a slow listener may be behind before it is told to look again.
const EVENTS_KEPT: usize = 4096;

/// Connects to `sqlite://…` or `postgres://…` and checks that it is fit. A
/// SQLite file that is not there is made.
///
/// SQLite: WAL of about 16 MiB, synchronous FULL, foreign keys on, 4 MB of cache a connection, one writer that waits up to
/// 10 s beside several readers. PostgreSQL: 13 or later.
///
/// # Errors
/// [`DbErr`] when it cannot be reached, is too old, or is of another kind.
pub async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .sqlx_logging(false)
        .connect_timeout(Duration::from_secs(10))
        .acquire_timeout(Duration::from_secs(20));
    if url.starts_with("sqlite:") {
        let cores = std::thread::available_parallelism().map_or(2, |n| n.get() as u32);
        options
            .max_connections((2 * cores).clamp(4, 16))
            // A file does not hang up; asking it every time would be a second query for each.
            .test_before_acquire(false)
            .map_sqlx_sqlite_opts(|sqlite| {
                sqlite
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .busy_timeout(Duration::from_secs(10))
                    .pragma("temp_store", "MEMORY")
                    // In KiB: what a run's chunk writes stays in memory until it commits.
                    .pragma("cache_size", "-4000")
                    // In pages: a run's commits wait for the main file once in several, not at each.
                    .pragma("wal_autocheckpoint", "4000")
            });
    } else {
        options.max_connections(20);
    }
    let db = Database::connect(options).await?;
    check_version(&db).await?;
    Ok(db)
}

async fn check_version(db: &DatabaseConnection) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let ask = match backend {
        DatabaseBackend::Sqlite => "SELECT sqlite_version()",
        DatabaseBackend::Postgres => "SELECT current_setting('server_version_num')",
        other => return Err(DbErr::Custom(format!("{other:?} is not supported"))),
    };
    let version: String = db
        .query_one_raw(Statement::from_string(backend, ask))
        .await?
        .ok_or_else(|| DbErr::Custom("the database does not tell its version".into()))?
        .try_get_by_index(0)?;
    let number = |part: &str| part.parse::<u32>().unwrap_or(0);
    let fit = if backend == DatabaseBackend::Sqlite {
        let mut parts = version.split('.').map(number);
        let mut next = || parts.next().unwrap_or(0);
        (next(), next(), next()) >= SQLITE_MIN
    } else {
        number(&version) >= POSTGRES_MIN
    };
    if fit {
        Ok(())
    } else {
        Err(DbErr::Custom(format!("{backend:?} {version} is too old")))
    }
}

/// A transaction that will write. In SQLite it takes the writer's place at
/// once: one that began by reading could be refused in its middle.
///
/// # Errors
/// [`DbErr`].
pub async fn write(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    db.begin_with_options(TransactionOptions {
        sqlite_transaction_mode: (db.get_database_backend() == DatabaseBackend::Sqlite)
            .then_some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    })
    .await
}

/// A transaction that only reads and sees one moment throughout.
///
/// # Errors
/// [`DbErr`].
pub(crate) async fn read(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    match db.get_database_backend() {
        DatabaseBackend::Postgres => {
            db.begin_with_config(
                Some(IsolationLevel::RepeatableRead),
                Some(AccessMode::ReadOnly),
            )
            .await
        }
        _ => db.begin().await,
    }
}

/// A statement with places `$1`, `$2`, …, which both databases understand. In
/// PostgreSQL a place has the type of the value that stands for it.
pub(crate) fn sql(
    conn: &impl ConnectionTrait,
    text: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    let backend = conn.get_database_backend();
    let (mut text, values) = (text.into(), Vec::from_iter(values));
    if backend == DatabaseBackend::Sqlite
        && values.len() > NAMES_MAX
        && let Some(nameless) = nameless(&text, values.len())
    {
        text = nameless;
    }
    Statement::from_sql_and_values(backend, text, values)
}

/// Above so many values a statement's places lose their names in SQLite: it
/// looks through all names for each, when it prepares and again when it binds.
const NAMES_MAX: usize = 32;

/// `text` with `?` for its places, if these are `$1` to `$count`, once each and in order.
fn nameless(text: &str, count: usize) -> Option<String> {
    let mut parts = text.split('$');
    let mut plain = parts.next()?.to_owned();
    let mut places = 0;
    for part in parts {
        let end = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        places += 1;
        if part[..end].parse() != Ok(places) {
            return None;
        }
        plain.push('?');
        plain.push_str(&part[end..]);
    }
    (places == count).then_some(plain)
}

/// `text` in SQLite is `sqlite`, in PostgreSQL `postgres`: for the few words that differ.
pub(crate) fn either<T>(conn: &impl ConnectionTrait, sqlite: T, postgres: T) -> T {
    match conn.get_database_backend() {
        DatabaseBackend::Postgres => postgres,
        _ => sqlite,
    }
}

/// Takes the rows of a query one by one: all rows of a large table would be
/// large, several hundred bytes each beside what is in them.
///
/// # Errors
/// [`DbErr`], or what `take` fails with.
pub(crate) async fn each(
    conn: &impl sea_orm::StreamTrait,
    query: Statement,
    mut take: impl FnMut(QueryResult) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut rows = pin!(conn.stream_raw(query).await?);
    while let Some(row) = rows.try_next().await? {
        take(row)?;
    }
    Ok(())
}

/// Has PostgreSQL count tables anew of which much was written. Until it comes to
/// that by itself, it takes them for as small as they were and reads them whole
/// for a few rows. SQLite needs no such thing.
///
/// # Errors
/// [`DbErr`].
pub(crate) async fn analyze(conn: &impl ConnectionTrait, tables: &[&str]) -> Result<(), DbErr> {
    if conn.get_database_backend() == DatabaseBackend::Postgres {
        let analyze = format!("ANALYZE {}", tables.join(", "));
        conn.execute_unprepared(&analyze).await?;
    }
    Ok(())
}

/// ` FOR UPDATE` where rows are locked one by one; nothing in SQLite, where a
/// writer has the whole file. The lock lets others refer to the row.
pub(crate) fn for_update(conn: &impl ConnectionTrait) -> &'static str {
    either(conn, "", " FOR NO KEY UPDATE")
}

/// `$from, $from+1, …`, `count` places with a comma between.
pub(crate) fn places(from: usize, count: usize) -> String {
    let mut places = String::with_capacity(count * 6);
    for place in from..from + count {
        let comma = if place > from { ", " } else { "" };
        write!(places, "{comma}${place}").expect("a text takes more text");
    }
    places
}

/// Most values that one statement takes: SQLite's limit, the lower one (PostgreSQL's is 65,535).
pub(crate) const VALUES_MAX: usize = 32_766;

/// Executes one statement for many rows of the same length: `statement` gets the
/// rows as `($1, $2), ($3, $4), …` and puts them after `VALUES`. As many statements
/// as the databases' limits need; answers how many rows were written.
///
/// Both databases call the columns of `(VALUES …) AS v` `column1`, `column2`, …:
/// `UPDATE t SET a = v.column2 FROM (VALUES …) AS v WHERE t.id = v.column1`.
///
/// # Errors
/// [`DbErr`].
pub(crate) async fn bulk<R: AsRef<[Value]> + IntoIterator<Item = Value>>(
    conn: &impl ConnectionTrait,
    rows: Vec<R>,
    statement: impl Fn(&str) -> String,
) -> Result<u64, DbErr> {
    let Some(width) = rows.first().map(|row| row.as_ref().len()) else {
        return Ok(0);
    };
    // In SQLite places without names, as [`sql`] would have them.
    let nameless = either(conn, true, false);
    let place = |row: usize| match nameless {
        true => vec!["?"; width].join(", "),
        false => places(row * width + 1, width),
    };
    let list = |rows: usize| {
        let rows: Vec<_> = (0..rows).map(|row| format!("({})", place(row))).collect();
        rows.join(", ")
    };
    // Full statements have the same text: it is made, and prepared, once.
    let at_once = (VALUES_MAX / width).min(ROWS_AT_ONCE);
    let full = (rows.len() >= at_once).then(|| statement(&list(at_once)));
    let mut written = 0;
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let values: Vec<_> = rows.by_ref().take(at_once).flatten().collect();
        let text = match &full {
            Some(full) if values.len() == at_once * width => full.clone(),
            _ => statement(&list(values.len() / width)),
        };
        written += conn
            .execute_raw(sql(conn, text, values))
            .await?
            .rows_affected();
    }
    Ok(written)
}

/// Most rows of one [`bulk`] statement: more would take longer to prepare than
/// they save on the way.
const ROWS_AT_ONCE: usize = 100;

/// Takes, until the transaction ends, the lock of everything that is shown of
/// people: shared to change some people's rows, records or own values, `whole`
/// to change what is about everybody, the rules and the chart's numbers. So
/// neither sees half of the other. Taken before any row is written, so that
/// nobody waits in a circle. In SQLite a writer is alone anyway.
///
/// # Errors
/// [`DbErr`].
pub(crate) async fn lock_people(tx: &DatabaseTransaction, whole: bool) -> Result<(), DbErr> {
    /// "optimus" and a zero, in ASCII: apart from another program's in the same database.
    const KEY: i64 = 0x6F70_7469_6D75_7300;
    if tx.get_database_backend() == DatabaseBackend::Postgres {
        let shared = if whole { "" } else { "_shared" };
        let text = format!("SELECT pg_advisory_xact_lock{shared}($1)");
        tx.execute_raw(sql(tx, text, [KEY.into()])).await?;
    }
    Ok(())
}

impl Store {
    /// Opens a store over a migrated database and builds the chart.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn open(db: DatabaseConnection, env: Env, keys: Keys) -> Result<Self> {
        Self::open_with(db, env, keys, Cost::Calibrated).await
    }

    /// [`Store::open`] with another cost of passwords.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn open_with(
        db: DatabaseConnection,
        env: Env,
        keys: Keys,
        cost: Cost,
    ) -> Result<Self> {
        let ears = Ears {
            events: broadcast::Sender::new(EVENTS_KEPT),
            heard: Default::default(),
            committed: Default::default(),
        };
        let store = Self(Arc::new(Inner {
            chat: Writer::start(db.clone(), env.clone(), ears.clone()),
            passwords: Passwords::new(cost, &env).await?,
            runs: crate::run::Runs::default(),
            scim: Default::default(),
            zone: Default::default(),
            db,
            env,
            keys,
            chart: Default::default(),
            charts_built: Default::default(),
            heard: ears.heard,
            committed: ears.committed,
            events: ears.events,
        }));
        store.refresh_chart().await?;
        Ok(store)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn ping(&self) -> Result<()> {
        Ok(self.db().execute_unprepared("SELECT 1").await.map(drop)?)
    }
}

//! Opening the database.

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _};
use std::time::Duration;

use crate::{Env, Keys, Result, Store};

/// Oldest SQLite that is taken: the one before it could lose a commit when a
/// WAL was reset while being read.
pub const SQLITE_MIN: (u32, u32, u32) = (3, 51, 3);

/// Connects to `sqlite://…` or `postgres://…` and checks that it is fit.
///
/// SQLite: WAL, synchronous FULL, foreign keys on, one writer that waits up to
/// 10 s. PostgreSQL: 13 or later.
///
/// # Errors
/// [`DbErr`] when it cannot be reached, is too old, or is of another kind.
pub async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    todo!()
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

impl Store {
    /// Opens a store over a migrated database and builds the chart.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn open(db: DatabaseConnection, env: Env, keys: Keys) -> Result<Self> {
        todo!()
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn ping(&self) -> Result<()> {
        Ok(self.db().execute_unprepared("SELECT 1").await.map(drop)?)
    }
}

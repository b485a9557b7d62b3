//! The database's shape, step by step, by hand, for SQLite and PostgreSQL.
//!
//! A step that has been released is never changed; a new one follows it.
//! Nothing of OPTIMUS is imported: what a step did must not change with the
//! code.

use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

pub use sea_orm_migration::MigratorTrait;

mod m0001_foundation;
mod m0003_journal;
mod m0004_people_over_time;
mod m0005_clients;
mod m0006_scim;
mod m0007_corrections;
mod m0008_schedules;
mod m0009_run_beside;
mod m0010_pushed_leavers;

/// Runs the steps that a database lacks.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        [
            ("m0001_foundation", m0001_foundation::UP),
            ("m0003_journal", m0003_journal::UP),
            ("m0004_people_over_time", m0004_people_over_time::UP),
            ("m0005_clients", m0005_clients::UP),
            ("m0006_scim", m0006_scim::UP),
            ("m0007_corrections", m0007_corrections::UP),
            ("m0008_schedules", m0008_schedules::UP),
            ("m0009_run_beside", m0009_run_beside::UP),
            ("m0010_pushed_leavers", m0010_pushed_leavers::UP),
        ]
        .map(|(name, up)| Box::new(Step { name, up }) as Box<dyn MigrationTrait>)
        .into()
    }
}

/// A step by the name under which a database knows that it has it.
struct Step {
    name: &'static str,
    up: &'static str,
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "written as the trait has it, or the lifetimes differ"
)]
#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        execute(manager, self.up).await
    }
}

/// Executes statements that are parted by `;` at a line's end, with the type
/// names `{uuid}`, `{time}` and `{bytes}` in the database's own words, `{sorted}`
/// for a text that sorts by its bytes whatever the server's locale, and
/// `{counted}` for a key that counts up by itself, so that rows of one moment
/// have an order too.
///
/// SQLite keeps a time as RFC 3339 text in UTC, which sorts as the times do.
async fn execute(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    let words = match manager.get_database_backend() {
        DatabaseBackend::Postgres => [
            ("{uuid}", "UUID"),
            ("{time}", "TIMESTAMPTZ"),
            ("{bytes}", "BYTEA"),
            ("{sorted}", "TEXT COLLATE \"C\""),
            (
                "{counted}",
                "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
            ),
        ],
        _ => [
            ("{uuid}", "BLOB"),
            ("{time}", "TEXT"),
            ("{bytes}", "BLOB"),
            ("{sorted}", "TEXT"),
            ("{counted}", "INTEGER PRIMARY KEY"),
        ],
    };
    let sql = words
        .into_iter()
        .fold(sql.to_owned(), |sql, (word, own)| sql.replace(word, own));
    for statement in sql
        .split(";\n")
        .map(str::trim)
        .filter(|statement| !statement.is_empty())
    {
        manager
            .get_connection()
            .execute_unprepared(statement)
            .await?;
    }
    Ok(())
}

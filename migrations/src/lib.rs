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
        vec![
            Box::new(m0001_foundation::Step),
            Box::new(m0003_journal::Step),
            Box::new(m0004_people_over_time::Step),
            Box::new(m0005_clients::Step),
            Box::new(m0006_scim::Step),
            Box::new(m0007_corrections::Step),
            Box::new(m0008_schedules::Step),
            Box::new(m0009_run_beside::Step),
            Box::new(m0010_pushed_leavers::Step),
        ]
    }
}

/// Executes statements that are parted by `;` at a line's end, with the type
/// names `{uuid}`, `{time}` and `{bytes}` in the database's own words, and
/// `{sorted}` for a text that sorts by its bytes whatever the server's locale.
///
/// SQLite keeps a time as RFC 3339 text in UTC, which sorts as the times do.
async fn execute(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    let (uuid, time, bytes, sorted) = match manager.get_database_backend() {
        DatabaseBackend::Postgres => ("UUID", "TIMESTAMPTZ", "BYTEA", "TEXT COLLATE \"C\""),
        _ => ("BLOB", "TEXT", "BLOB", "TEXT"),
    };
    let sql = sql
        .replace("{uuid}", uuid)
        .replace("{time}", time)
        .replace("{bytes}", bytes)
        .replace("{sorted}", sorted);
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

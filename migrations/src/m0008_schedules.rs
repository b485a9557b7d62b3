//! When sources are read by themselves, and how their fields are mapped.

use sea_orm_migration::prelude::*;

use crate::execute;

pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0008_schedules"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "written as the trait has it, or the lifetimes differ"
)]
#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        execute(manager, UP).await
    }
}

const UP: &str = r"
ALTER TABLE sources ADD COLUMN full_read_at {time};
ALTER TABLE sources ADD COLUMN full_wanted BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE schedules (
    source_id {uuid} PRIMARY KEY REFERENCES sources (id),
    body TEXT NOT NULL,
    next_at {time} NOT NULL,
    failures INTEGER NOT NULL,
    set_by {uuid},
    set_at {time} NOT NULL
);
CREATE INDEX schedules_by_time ON schedules (next_at);

CREATE TABLE source_mappings (
    source_id {uuid} NOT NULL REFERENCES sources (id),
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    note TEXT NOT NULL,
    set_by {uuid},
    set_at {time} NOT NULL,
    PRIMARY KEY (source_id, version)
);
";

//! Of whom a source that is pushed says that they left, and what came of it.

use sea_orm_migration::prelude::*;

use crate::execute;

pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0010_pushed_leavers"
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
CREATE TABLE pushed_leavers (
    source_id {uuid} NOT NULL REFERENCES sources (id),
    record TEXT NOT NULL,
    state TEXT NOT NULL,
    since {time} NOT NULL,
    PRIMARY KEY (source_id, record)
);
CREATE INDEX pushed_leavers_in_time ON pushed_leavers (source_id, state, since);
";

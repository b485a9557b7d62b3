//! What a run wrote beside people and units, so that it can be undone too.

use sea_orm_migration::prelude::*;

use crate::execute;

pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0009_run_beside"
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

// What was there before is kept whole; of what came, only a digest by which to
// tell that nothing newer touched it.
const UP: &str = r"
CREATE TABLE run_beside (
    run_id {uuid} NOT NULL REFERENCES runs (id),
    kind {sorted} NOT NULL,
    key {sorted} NOT NULL,
    was TEXT,
    became {bytes},
    undone_by {uuid},
    PRIMARY KEY (run_id, kind, key)
);
";

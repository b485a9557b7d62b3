//! What a run wrote beside people and units, so that it can be undone too.

// What was there before is kept whole; of what came, only a digest by which to
// tell that nothing newer touched it.
pub(crate) const UP: &str = r"
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

//! Of whom a source that is pushed says that they left, and what came of it.

pub(crate) const UP: &str = r"
CREATE TABLE pushed_leavers (
    source_id {uuid} NOT NULL REFERENCES sources (id),
    record TEXT NOT NULL,
    state TEXT NOT NULL,
    since {time} NOT NULL,
    PRIMARY KEY (source_id, record)
);
CREATE INDEX pushed_leavers_in_time ON pushed_leavers (source_id, state, since);
";

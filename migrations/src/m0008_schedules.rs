//! When sources are read by themselves, and how their fields are mapped.

pub(crate) const UP: &str = r"
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

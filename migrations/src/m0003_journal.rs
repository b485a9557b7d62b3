//! What a run has to put back when it is undone, the past of every value, and the limits of a source.

pub(crate) const UP: &str = r"
ALTER TABLE sources ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
ALTER TABLE sources ADD COLUMN paused_since {time};
ALTER TABLE sources ADD COLUMN paused_why TEXT;

ALTER TABLE runs ADD COLUMN undoes {uuid};
ALTER TABLE runs ADD COLUMN journal BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE runs ADD COLUMN exceeded TEXT NOT NULL DEFAULT '[]';

ALTER TABLE erp_records ADD COLUMN run_id {uuid};

CREATE INDEX employees_by_photo ON employees (photo) WHERE photo IS NOT NULL;

CREATE TABLE run_journal (
    run_id {uuid} NOT NULL REFERENCES runs (id),
    place BIGINT NOT NULL,
    employee_id {uuid} NOT NULL,
    external_id TEXT,
    at {time} NOT NULL,
    said_at {time},
    attributes TEXT NOT NULL,
    record TEXT,
    changed TEXT,
    digest {bytes},
    photo_wanted TEXT,
    run_was {uuid},
    was TEXT,
    became TEXT,
    undone_by {uuid},
    PRIMARY KEY (run_id, place)
);

CREATE TABLE run_units (
    run_id {uuid} NOT NULL REFERENCES runs (id),
    unit_id {uuid} NOT NULL,
    was TEXT,
    became TEXT NOT NULL,
    undone_by {uuid},
    PRIMARY KEY (run_id, unit_id)
);

CREATE TABLE value_history (
    id {counted},
    employee_id {uuid} NOT NULL,
    attribute TEXT NOT NULL,
    source_id {uuid},
    at {time} NOT NULL,
    was TEXT,
    was_said_at {time},
    became TEXT,
    said_at {time},
    why TEXT NOT NULL,
    run_id {uuid},
    set_by {uuid}
);
CREATE INDEX value_history_by_employee ON value_history (employee_id, at);
";

//! Corrections of values that the ERP decides, and their way back into the source.

// `due_at` is the outbox: a row that has one waits to be sent, from then on.
pub(crate) const UP: &str = r"
CREATE TABLE corrections (
    id {uuid} PRIMARY KEY,
    employee_id {uuid} NOT NULL REFERENCES employees (id),
    attribute TEXT NOT NULL,
    source_id {uuid} NOT NULL REFERENCES sources (id),
    external_id TEXT NOT NULL,
    was TEXT,
    value TEXT NOT NULL,
    note TEXT NOT NULL,
    state TEXT NOT NULL,
    open BOOLEAN NOT NULL,
    proposed_at {time} NOT NULL,
    decided_by {uuid},
    decided_at {time},
    reason TEXT,
    tries INTEGER NOT NULL,
    due_at {time},
    written_at {time},
    trouble TEXT,
    trouble_text TEXT,
    said TEXT,
    moved_at {time} NOT NULL
);
CREATE UNIQUE INDEX corrections_one_open ON corrections (employee_id, attribute) WHERE open;
CREATE INDEX corrections_by_employee ON corrections (employee_id, id);
CREATE INDEX corrections_by_state ON corrections (state, id);
CREATE INDEX corrections_open_by_source ON corrections (source_id) WHERE open;
CREATE INDEX corrections_due ON corrections (due_at) WHERE due_at IS NOT NULL;
";

//! People with dates ahead, vacant posts, dotted lines, stand-ins, and how a source tells people.

pub(crate) const UP: &str = r"
ALTER TABLE erp_records ADD COLUMN due_on TEXT;
CREATE INDEX erp_records_by_due ON erp_records (due_on) WHERE due_on IS NOT NULL;

CREATE TABLE scheduled (
    source_id {uuid} NOT NULL REFERENCES sources (id),
    external_id TEXT NOT NULL,
    name TEXT NOT NULL,
    record TEXT NOT NULL,
    digest {bytes} NOT NULL,
    starts_on TEXT NOT NULL,
    since {time} NOT NULL,
    PRIMARY KEY (source_id, external_id)
);
CREATE INDEX scheduled_by_day ON scheduled (starts_on);

CREATE TABLE vacancies (
    source_id {uuid} NOT NULL REFERENCES sources (id),
    external_id TEXT NOT NULL,
    title TEXT NOT NULL,
    unit_ref TEXT,
    manager_ref TEXT,
    PRIMARY KEY (source_id, external_id)
);

CREATE TABLE dotted_lines (
    id {uuid} PRIMARY KEY,
    employee_id {uuid} NOT NULL REFERENCES employees (id),
    source_id {uuid} NOT NULL REFERENCES sources (id),
    reference TEXT NOT NULL,
    place INTEGER NOT NULL,
    superior_id {uuid},
    from_at {time} NOT NULL,
    to_at {time}
);
CREATE INDEX dotted_lines_by_employee ON dotted_lines (employee_id);
CREATE INDEX dotted_lines_by_superior ON dotted_lines (superior_id);

CREATE TABLE delegations (
    id {uuid} PRIMARY KEY,
    manager_id {uuid} NOT NULL REFERENCES employees (id),
    source_id {uuid} REFERENCES sources (id),
    reference TEXT,
    delegate_id {uuid},
    from_day TEXT NOT NULL,
    until_day TEXT,
    from_at {time} NOT NULL,
    to_at {time},
    set_by {uuid},
    set_at {time} NOT NULL,
    ended_at {time}
);
CREATE INDEX delegations_by_manager ON delegations (manager_id);
CREATE INDEX delegations_by_delegate ON delegations (delegate_id);

ALTER TABLE sources ADD COLUMN correlation TEXT;

ALTER TABLE reviews ADD COLUMN by_relation TEXT NOT NULL DEFAULT 'line';
ALTER TABLE reviews ADD COLUMN on_behalf_of {uuid};
";

//! People, policies, conversations, reviews, the audit log, sources.

pub(crate) const UP: &str = r"
CREATE TABLE sources (
    id {uuid} PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    settings TEXT NOT NULL,
    secrets {bytes} NOT NULL,
    leaver_percent SMALLINT NOT NULL,
    watermark TEXT,
    last_read_at {time},
    created_at {time} NOT NULL
);

CREATE TABLE units (
    id {uuid} PRIMARY KEY,
    source_id {uuid} NOT NULL REFERENCES sources (id),
    external_id TEXT NOT NULL,
    name TEXT NOT NULL,
    parent_ref TEXT,
    parent_id {uuid},
    heads TEXT NOT NULL,
    active BOOLEAN NOT NULL,
    UNIQUE (source_id, external_id)
);

CREATE TABLE employees (
    id {uuid} PRIMARY KEY,
    active BOOLEAN NOT NULL,
    display_name TEXT NOT NULL,
    sort_name {sorted} NOT NULL,
    title TEXT,
    department TEXT,
    location TEXT,
    email TEXT,
    employee_number TEXT,
    photo TEXT,
    locale TEXT,
    timezone TEXT,
    search TEXT NOT NULL,
    unit_id {uuid} REFERENCES units (id),
    unit_ref TEXT,
    manager_id {uuid},
    manager_ref TEXT,
    tree_from INTEGER NOT NULL,
    tree_to INTEGER NOT NULL,
    created_at {time} NOT NULL,
    left_at {time}
);
CREATE INDEX employees_by_name ON employees (active, sort_name, id);
CREATE INDEX employees_by_tree ON employees (tree_from);
CREATE INDEX employees_by_unit ON employees (unit_id);
CREATE INDEX employees_by_number ON employees (employee_number);
CREATE INDEX employees_by_email ON employees (email);
CREATE INDEX employees_by_unit_ref ON employees (unit_ref) WHERE unit_ref IS NOT NULL;
CREATE INDEX employees_by_manager_ref ON employees (manager_ref) WHERE manager_ref IS NOT NULL;

CREATE TABLE manager_history (
    employee_id {uuid} NOT NULL REFERENCES employees (id),
    manager_id {uuid} NOT NULL,
    from_at {time} NOT NULL,
    to_at {time},
    PRIMARY KEY (employee_id, from_at)
);

CREATE TABLE erp_records (
    source_id {uuid} NOT NULL REFERENCES sources (id),
    external_id TEXT NOT NULL,
    employee_id {uuid} NOT NULL REFERENCES employees (id),
    active BOOLEAN NOT NULL,
    digest {bytes} NOT NULL,
    record TEXT NOT NULL,
    changed TEXT NOT NULL,
    photo_wanted TEXT,
    PRIMARY KEY (source_id, external_id)
);
CREATE INDEX erp_records_by_employee ON erp_records (employee_id);
CREATE INDEX erp_records_by_photo ON erp_records (source_id) WHERE photo_wanted IS NOT NULL;

CREATE TABLE undecided (
    source_id {uuid} NOT NULL REFERENCES sources (id),
    external_id TEXT NOT NULL,
    record TEXT NOT NULL,
    candidates TEXT NOT NULL,
    since {time} NOT NULL,
    decision TEXT,
    PRIMARY KEY (source_id, external_id)
);

CREATE TABLE own_values (
    employee_id {uuid} NOT NULL REFERENCES employees (id),
    attribute TEXT NOT NULL,
    value TEXT NOT NULL,
    edited_at {time} NOT NULL,
    PRIMARY KEY (employee_id, attribute)
);

CREATE TABLE photos (
    hash TEXT PRIMARY KEY,
    media_type TEXT NOT NULL,
    bytes {bytes} NOT NULL,
    created_at {time} NOT NULL
);

CREATE TABLE policy_versions (
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    set_by {uuid},
    set_at {time} NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (kind, version)
);

CREATE TABLE accounts (
    employee_id {uuid} PRIMARY KEY REFERENCES employees (id),
    login TEXT NOT NULL UNIQUE,
    password_hash TEXT,
    roles TEXT NOT NULL,
    created_at {time} NOT NULL,
    password_set_at {time}
);

CREATE TABLE sign_ins (
    id {uuid} PRIMARY KEY,
    employee_id {uuid} NOT NULL REFERENCES accounts (employee_id),
    token BOOLEAN NOT NULL,
    created_at {time} NOT NULL,
    last_seen_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    ended_at {time},
    address TEXT,
    user_agent TEXT
);
CREATE INDEX sign_ins_by_employee ON sign_ins (employee_id, created_at);

CREATE TABLE browser_sessions (
    id_hash {bytes} PRIMARY KEY,
    data TEXT NOT NULL,
    expires_at {time} NOT NULL
);
CREATE INDEX browser_sessions_by_expiry ON browser_sessions (expires_at);

CREATE TABLE invitations (
    token_hash {bytes} PRIMARY KEY,
    employee_id {uuid} NOT NULL REFERENCES employees (id),
    login TEXT NOT NULL,
    created_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    used_at {time}
);
CREATE INDEX invitations_by_employee ON invitations (employee_id);

CREATE TABLE conversations (
    id {uuid} PRIMARY KEY,
    kind TEXT NOT NULL,
    title TEXT,
    direct_key TEXT UNIQUE,
    created_by {uuid} NOT NULL REFERENCES employees (id),
    created_at {time} NOT NULL,
    last_seq BIGINT NOT NULL,
    last_at {time} NOT NULL
);

CREATE TABLE members (
    conversation_id {uuid} NOT NULL REFERENCES conversations (id),
    employee_id {uuid} NOT NULL REFERENCES employees (id),
    joined_at {time} NOT NULL,
    joined_seq BIGINT NOT NULL,
    left_at {time},
    left_seq BIGINT,
    read_seq BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, employee_id)
);
CREATE INDEX members_by_employee ON members (employee_id);

CREATE TABLE messages (
    conversation_id {uuid} NOT NULL REFERENCES conversations (id),
    seq BIGINT NOT NULL,
    id {uuid} NOT NULL,
    sender_id {uuid} NOT NULL,
    client_id TEXT NOT NULL,
    body TEXT NOT NULL,
    sent_at {time} NOT NULL,
    PRIMARY KEY (conversation_id, seq),
    UNIQUE (conversation_id, sender_id, client_id)
);
CREATE INDEX messages_by_sender ON messages (sender_id, sent_at);

CREATE TABLE reviews (
    id {uuid} PRIMARY KEY,
    reviewer_id {uuid} NOT NULL REFERENCES employees (id),
    subject_id {uuid} NOT NULL REFERENCES employees (id),
    category TEXT NOT NULL,
    reason TEXT NOT NULL,
    case_ref TEXT,
    from_at {time} NOT NULL,
    to_at {time},
    opened_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    ended_at {time},
    finding TEXT,
    notice TEXT NOT NULL
);
CREATE INDEX reviews_by_reviewer ON reviews (reviewer_id, opened_at);
CREATE INDEX reviews_by_subject ON reviews (subject_id, opened_at);

CREATE TABLE audit_entries (
    seq BIGINT PRIMARY KEY,
    at {time} NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    address TEXT,
    prev {bytes} NOT NULL,
    hash {bytes} NOT NULL
);
CREATE INDEX audit_entries_by_subject ON audit_entries (subject, seq);
CREATE INDEX audit_entries_by_actor ON audit_entries (actor, seq);

CREATE TABLE audit_head (
    id SMALLINT PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash {bytes} NOT NULL
);
INSERT INTO audit_head (id, seq, hash)
    VALUES (1, 0, CAST('' AS {bytes}));

CREATE TABLE audit_checkpoints (
    seq BIGINT PRIMARY KEY,
    hash {bytes} NOT NULL,
    at {time} NOT NULL,
    signature TEXT NOT NULL
);

CREATE TABLE events (
    id {uuid} PRIMARY KEY,
    at {time} NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX events_by_time ON events (at);

CREATE TABLE runs (
    id {uuid} PRIMARY KEY,
    source_id {uuid} NOT NULL REFERENCES sources (id),
    phase TEXT NOT NULL,
    started_at {time} NOT NULL,
    beat_at {time} NOT NULL,
    ended_at {time},
    started_by {uuid},
    totals TEXT NOT NULL,
    applied BIGINT NOT NULL,
    steps BIGINT NOT NULL,
    error TEXT,
    error_text TEXT,
    findings TEXT NOT NULL
);
CREATE INDEX runs_by_source ON runs (source_id, started_at);
CREATE UNIQUE INDEX runs_one_at_a_time ON runs (source_id) WHERE ended_at IS NULL;

CREATE TABLE run_steps (
    run_id {uuid} NOT NULL REFERENCES runs (id),
    place BIGINT NOT NULL,
    step TEXT NOT NULL,
    employee_id {uuid},
    PRIMARY KEY (run_id, place)
);
CREATE INDEX run_steps_by_employee ON run_steps (employee_id);
";

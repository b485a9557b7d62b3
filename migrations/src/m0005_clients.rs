//! Clients with what they owe, their tickets, and who may see them.

// Money is decimal text: SQLite has no exact number, and nothing is added up in SQL.
pub(crate) const UP: &str = r"
CREATE TABLE source_feeds (
    source_id {uuid} NOT NULL REFERENCES sources (id),
    feed TEXT NOT NULL,
    watermark TEXT NOT NULL,
    PRIMARY KEY (source_id, feed)
);

CREATE TABLE clients (
    id {uuid} PRIMARY KEY,
    source_id {uuid} NOT NULL REFERENCES sources (id),
    external_id TEXT NOT NULL,
    name TEXT NOT NULL,
    sort_name {sorted} NOT NULL,
    number TEXT,
    emails TEXT NOT NULL,
    phones TEXT NOT NULL,
    search TEXT NOT NULL,
    active BOOLEAN NOT NULL,
    changed_at {time},
    gone_at {time},
    digest {bytes} NOT NULL,
    UNIQUE (source_id, external_id)
);
CREATE INDEX clients_by_name ON clients (sort_name, id);

CREATE TABLE client_accounts (
    client_id {uuid} NOT NULL REFERENCES clients (id),
    place INTEGER NOT NULL,
    company TEXT,
    currency TEXT NOT NULL,
    balance TEXT NOT NULL,
    overdue TEXT,
    credit_limit TEXT,
    terms TEXT,
    payment_options TEXT NOT NULL,
    PRIMARY KEY (client_id, place)
);

CREATE TABLE client_items (
    client_id {uuid} NOT NULL REFERENCES clients (id),
    account INTEGER NOT NULL,
    place INTEGER NOT NULL,
    external_id TEXT NOT NULL,
    number TEXT NOT NULL,
    date TEXT NOT NULL,
    due TEXT,
    amount TEXT NOT NULL,
    open TEXT NOT NULL,
    PRIMARY KEY (client_id, account, place)
);

CREATE TABLE client_payments (
    client_id {uuid} NOT NULL REFERENCES clients (id),
    account INTEGER NOT NULL,
    place INTEGER NOT NULL,
    external_id TEXT NOT NULL,
    reference TEXT NOT NULL,
    date TEXT NOT NULL,
    amount TEXT NOT NULL,
    PRIMARY KEY (client_id, account, place)
);

CREATE TABLE tickets (
    id {uuid} PRIMARY KEY,
    source_id {uuid} NOT NULL REFERENCES sources (id),
    external_id TEXT NOT NULL,
    client_ref TEXT,
    number TEXT,
    subject TEXT NOT NULL,
    stage TEXT NOT NULL,
    closed BOOLEAN NOT NULL,
    priority TEXT,
    assignee_ref TEXT,
    opened_at {time},
    closed_at {time},
    changed_at {time},
    gone_at {time},
    digest {bytes} NOT NULL,
    UNIQUE (source_id, external_id)
);
CREATE INDEX tickets_by_client ON tickets (source_id, client_ref);

CREATE TABLE ticket_messages (
    ticket_id {uuid} NOT NULL REFERENCES tickets (id),
    place INTEGER NOT NULL,
    external_id TEXT NOT NULL,
    at {time} NOT NULL,
    author TEXT NOT NULL,
    body TEXT NOT NULL,
    internal BOOLEAN NOT NULL,
    PRIMARY KEY (ticket_id, place)
);

CREATE TABLE ticket_attachments (
    ticket_id {uuid} NOT NULL REFERENCES tickets (id),
    message INTEGER NOT NULL,
    place INTEGER NOT NULL,
    external_id TEXT NOT NULL,
    name TEXT NOT NULL,
    media_type TEXT,
    bytes BIGINT,
    PRIMARY KEY (ticket_id, message, place)
);

CREATE TABLE client_grants (
    id {uuid} PRIMARY KEY,
    employee_id {uuid} NOT NULL REFERENCES employees (id),
    client_id {uuid} REFERENCES clients (id),
    reason TEXT NOT NULL,
    granted_by {uuid},
    granted_at {time} NOT NULL,
    until {time},
    ended_at {time}
);
CREATE INDEX client_grants_by_employee ON client_grants (employee_id) WHERE ended_at IS NULL;
";

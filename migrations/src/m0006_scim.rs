//! SCIM: the tokens of sources that are pushed, what was pushed, and the groups' members.

pub(crate) const UP: &str = r"
CREATE TABLE scim_tokens (
    source_id {uuid} PRIMARY KEY REFERENCES sources (id),
    token_hash {bytes} NOT NULL UNIQUE,
    created_at {time} NOT NULL,
    last_used_at {time}
);

CREATE TABLE scim_resources (
    id {uuid} PRIMARY KEY,
    source_id {uuid} NOT NULL REFERENCES sources (id),
    kind TEXT NOT NULL,
    record TEXT NOT NULL,
    user_name TEXT,
    external_id TEXT,
    manager TEXT,
    body TEXT NOT NULL,
    version TEXT NOT NULL,
    faults TEXT NOT NULL,
    created_at {time} NOT NULL,
    changed_at {time} NOT NULL,
    deleted_at {time}
);
CREATE INDEX scim_resources_in_order ON scim_resources (source_id, kind, id);
CREATE UNIQUE INDEX scim_resources_by_user_name ON scim_resources (source_id, user_name)
    WHERE deleted_at IS NULL AND user_name IS NOT NULL;
CREATE INDEX scim_resources_by_external_id ON scim_resources (source_id, external_id);
CREATE INDEX scim_resources_by_manager ON scim_resources (source_id, manager) WHERE manager IS NOT NULL;
CREATE INDEX scim_resources_by_record ON scim_resources (source_id, record);

CREATE TABLE scim_members (
    group_id {uuid} NOT NULL REFERENCES scim_resources (id),
    member_id {uuid} NOT NULL REFERENCES scim_resources (id),
    place BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (group_id, member_id)
);
CREATE INDEX scim_members_by_member ON scim_members (member_id);
";

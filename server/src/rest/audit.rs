use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::EmployeeId;
use serde::{Deserialize, Serialize};
use store::audit::{AuditQuery, NamedEntry, Verification as Outcome};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Answer, Caller, Params, shapes::List};
use crate::{http::Server, jobs};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only what this person did.
    actor: Option<Uuid>,
    /// Only what is about this person.
    subject: Option<Uuid>,
    /// Only actions that begin so: `review.`, `policy.set`.
    action: Option<String>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    cursor: Option<String>,
    /// How many, 1 to 200; 50 if absent.
    limit: Option<u32>,
}

/// An entry of the audit log.
#[derive(Serialize, ToSchema)]
pub struct Entry {
    /// Counts up from 1 without gaps.
    seq: i64,
    at: DateTime<Utc>,
    /// `person:ID` or `system:REASON`.
    actor: String,
    actor_name: Option<String>,
    action: String,
    subject: String,
    subject_name: Option<String>,
    /// What else there is to say, depending on the action.
    #[schema(value_type = serde_json::Value)]
    detail: serde_json::Value,
    address: Option<String>,
    /// Hash of the entry before.
    prev: String,
    /// Hash of this one.
    hash: String,
}

impl From<NamedEntry> for Entry {
    fn from(named: NamedEntry) -> Self {
        let entry = named.entry;
        Self {
            seq: entry.seq,
            at: entry.at,
            actor: entry.actor,
            actor_name: named.actor_name,
            action: entry.action,
            subject: entry.subject,
            subject_name: named.subject_name,
            detail: serde_json::from_str(&entry.detail)
                .unwrap_or(serde_json::Value::String(entry.detail)),
            address: entry.address,
            prev: entry.prev.to_string(),
            hash: entry.hash.to_string(),
        }
    }
}

/// The audit log, newest first. Looking for a person in it is itself recorded.
#[utoipa::path(get, path = "/audit-log", tag = "audit", params(Filter), responses((status = 200, body = List<Entry>)))]
pub async fn list(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Params(filter): Params<Filter>,
) -> Answer<List<Entry>> {
    let Filter {
        actor,
        subject,
        action,
        from,
        to,
        cursor,
        limit,
    } = filter;
    let (actor, subject) = (actor.map(EmployeeId), subject.map(EmployeeId));
    let query = AuditQuery {
        actor,
        subject,
        action,
        from,
        to,
        cursor,
        limit,
    };
    let page = server.portal.store.audit_log(&viewer, &query).await?;
    Ok(Json(List::of(page)))
}

/// Whether the log is as it was written.
#[derive(Serialize, ToSchema)]
pub struct Verification {
    ok: bool,
    /// How many entries were read.
    entries: i64,
    /// Hash of the last one.
    head: String,
    /// How many signed checkpoints were held against it.
    checkpoints: u64,
    /// The first thing that is wrong: `kind`, and which entry.
    #[schema(value_type = Option<serde_json::Value>)]
    broken: Option<domain::audit::Broken>,
}

impl From<Outcome> for Verification {
    fn from(outcome: Outcome) -> Self {
        Self {
            ok: outcome.ok,
            entries: outcome.entries,
            head: outcome.head.to_string(),
            checkpoints: outcome.checkpoints,
            broken: outcome.broken,
        }
    }
}

/// Reads the whole log and holds it against the checkpoints, those beside the database too.
#[utoipa::path(get, path = "/audit-log/verification", tag = "audit", responses((status = 200, body = Verification)))]
pub async fn verify(
    State(server): State<Server>,
    Caller { viewer }: Caller,
) -> Answer<Verification> {
    let outside = jobs::kept_checkpoints(&server.portal.site.data_dir)?;
    let outcome = server.portal.store.verify_audit(&viewer, outside).await?;
    Ok(Json(outcome.into()))
}

use axum::{Json, extract::State};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use domain::{Attribute, EmployeeId, Value, sourcing::Origin};
use serde::{Deserialize, Serialize};
use store::{
    history::{Cause, ValueChange},
    profile::RuleInfo,
};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Answer, Caller, Id, Params, shapes::Employee};
use crate::http::Server;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// The SCIM name of an attribute: its past.
    attribute: Option<String>,
    /// A day, `2026-03-01`: what was shown when it ended, in UTC.
    on: Option<NaiveDate>,
}

/// What is known of the past.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Past {
    /// The past of one value.
    Value(ValuePast),
    /// The profile as it was.
    Profile(ProfilePast),
}

/// The past of one value, the latest change first.
#[derive(Serialize, ToSchema)]
pub struct ValuePast {
    employee: Uuid,
    #[schema(value_type = String)]
    attribute: Attribute,
    /// Since when the person is known here.
    since: DateTime<Utc>,
    items: Vec<PastChange>,
    /// Always null: the latest 500 changes are all there is.
    next_cursor: Option<String>,
}

/// One change.
#[derive(Serialize, ToSchema)]
pub struct PastChange {
    at: DateTime<Utc>,
    /// `kind` is `came`, `run` (with `run`, `source`, `source_name`, `undo`), `source`, `edit` (with `by`) or `rules` (with `version`).
    #[schema(value_type = serde_json::Value)]
    cause: Cause,
    /// What the source or the person said before.
    #[schema(value_type = Option<serde_json::Value>)]
    from: Option<Value>,
    /// What they said then.
    #[schema(value_type = Option<serde_json::Value>)]
    to: Option<Value>,
    /// What was shown from then on.
    #[schema(value_type = Option<serde_json::Value>)]
    shown: Option<Value>,
    /// Whose it was: `erp`, `own`, `both`, `erp_only`, `own_only`, `nothing`.
    #[schema(value_type = String)]
    origin: Origin,
    /// The rule that decided then.
    rule: PastRule,
}

/// A rule as it was in force.
#[derive(Serialize, ToSchema)]
pub struct PastRule {
    /// 0 where the organization had set none.
    id: u32,
    strength: &'static str,
    scope: Option<String>,
    set_at: Option<DateTime<Utc>>,
}

impl From<RuleInfo> for PastRule {
    fn from(info: RuleInfo) -> Self {
        Self {
            id: info.rule.id,
            strength: info.rule.strength.name(),
            scope: info.scope_name,
            set_at: info.set_at,
        }
    }
}

impl From<ValueChange> for PastChange {
    fn from(change: ValueChange) -> Self {
        Self {
            at: change.at,
            cause: change.cause,
            from: change.from,
            to: change.to,
            shown: change.shown,
            origin: change.origin,
            rule: change.rule.into(),
        }
    }
}

/// A profile as it was at a moment.
#[derive(Serialize, ToSchema)]
pub struct ProfilePast {
    /// The moment.
    at: DateTime<Utc>,
    /// Since when the person is known here.
    since: DateTime<Utc>,
    /// None before the person came.
    profile: Option<Employee>,
}

/// The past of one value (`attribute`), or the profile as it was on a day (`on`), for whom may see it now.
#[utoipa::path(get, path = "/employees/{id}/history", tag = "people", params(("id" = Uuid, Path), Asked), responses((status = 200, body = Past)))]
pub async fn show(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<EmployeeId>,
    Params(asked): Params<Asked>,
) -> Answer<Past> {
    let store = &server.portal.store;
    if let Some(day) = asked.on {
        let then = store.profile_on(&viewer, id, end_of(day)).await?;
        return Ok(Json(Past::Profile(ProfilePast {
            at: then.at,
            since: then.since,
            profile: then.profile.map(Employee::of),
        })));
    }
    let attribute = asked.attribute.unwrap_or_default();
    let attribute: Attribute = attribute.parse().map_err(store::Error::from)?;
    let past = store.value_history(&viewer, id, attribute).await?;
    Ok(Json(Past::Value(ValuePast {
        employee: past.person.id.0,
        attribute,
        since: past.since,
        items: past.changes.into_iter().map(Into::into).collect(),
        next_cursor: None,
    })))
}

/// The last moment of a day.
fn end_of(day: NaiveDate) -> DateTime<Utc> {
    let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
    next.and_time(NaiveTime::MIN).and_utc() - TimeDelta::microseconds(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_before_the_next_begins() {
        let day = NaiveDate::from_ymd_opt(2026, 2, 28).unwrap();
        assert_eq!(end_of(day).to_rfc3339(), "2026-02-28T23:59:59.999999+00:00");
    }
}

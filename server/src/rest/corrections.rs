use std::collections::BTreeMap;

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{
    Attribute, CorrectionId, Violation,
    correction::{Approver, Approvers, Corrections},
    policy::Kind,
};
use serde::{Deserialize, Serialize};
use store::correction::{Correction as Kept, Of, Trouble};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    Answer, Caller, Id, Input, Made, Params, made,
    policies::{Former, InForce, RollBack, history, roll_back},
    shapes::{List, Person},
};
use crate::http::Server;

/// A correction of a value that a source decides.
#[derive(Serialize, ToSchema)]
pub struct Correction {
    id: Uuid,
    employee: Person,
    /// SCIM name.
    attribute: &'static str,
    /// The source that is to be corrected.
    source: Uuid,
    source_name: String,
    /// The person's id in the source.
    external_id: String,
    /// What the source said when it was proposed.
    #[schema(value_type = Option<serde_json::Value>)]
    from: Option<domain::Value>,
    /// What it should say.
    #[schema(value_type = serde_json::Value)]
    to: domain::Value,
    /// Why.
    note: String,
    /// `proposed`, `accepted` (on its way), `written` (the source took it), `by_hand`, `failed`, `confirmed` (a read
    /// showed it), `declined`, `withdrawn`, `superseded` (the source says a third thing).
    state: &'static str,
    proposed_at: DateTime<Utc>,
    /// Who decides by today's policy: `hr_of_unit`, `manager`, `chain`, `nobody`.
    approver: &'static str,
    /// Whether the caller is one who decides.
    decidable: bool,
    decided_by: Option<Person>,
    decided_at: Option<DateTime<Utc>>,
    /// Why it was declined.
    reason: Option<String>,
    /// How often it was sent to the source.
    tries: u32,
    /// When it is sent next.
    due_at: Option<DateTime<Utc>>,
    written_at: Option<DateTime<Utc>>,
    /// Why it was not written or not kept.
    trouble: Option<TroubleShape>,
    /// What the source says instead, where that superseded it.
    #[schema(value_type = Option<serde_json::Value>)]
    said: Option<domain::Value>,
    /// When it came into its state.
    moved_at: DateTime<Utc>,
}

/// Why a value was not written or not kept.
#[derive(Serialize, ToSchema)]
pub struct TroubleShape {
    /// Stable: `unreachable`, `forbidden`, `rejected`, `superior_below` (the new superior reports to them), `not_kept`,
    /// `other_value`, `gone`, …
    code: String,
    /// The same in words.
    text: String,
}

impl From<Trouble> for TroubleShape {
    fn from(trouble: Trouble) -> Self {
        Self {
            code: trouble.code,
            text: trouble.text,
        }
    }
}

impl From<Kept> for Correction {
    fn from(kept: Kept) -> Self {
        Self {
            id: kept.id.0,
            employee: kept.person.into(),
            attribute: kept.attribute.name(),
            source: kept.source.0,
            source_name: kept.source_name,
            external_id: kept.external_id,
            from: kept.was,
            to: kept.value,
            note: kept.note,
            state: kept.state.name(),
            proposed_at: kept.proposed_at,
            approver: kept.approver.name(),
            decidable: kept.decidable,
            decided_by: kept.decided_by.map(Into::into),
            decided_at: kept.decided_at,
            reason: kept.reason,
            tries: kept.tries,
            due_at: kept.due_at,
            written_at: kept.written_at,
            trouble: kept.trouble.map(Into::into),
            said: kept.said,
            moved_at: kept.moved_at,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// `mine` (the default), `to_decide`, `under_way`, `over`.
    #[serde(default)]
    of: Option<String>,
    /// From a list's `next_cursor`.
    #[serde(default)]
    cursor: Option<String>,
}

/// Corrections: one's own, or those that one decides about.
#[utoipa::path(get, path = "/corrections", tag = "corrections", params(Which), responses((status = 200, body = List<Correction>)))]
pub async fn list(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Params(which): Params<Which>,
) -> Answer<List<Correction>> {
    let of = match which.of.as_deref() {
        None => Of::Mine,
        Some(name) => Of::named(name).ok_or_else(|| Violation::Unknown {
            field: "of".into(),
            value: name.chars().take(40).collect(),
            allowed: Of::ALL.map(Of::name).join(" "),
        })?,
    };
    let page = server
        .portal
        .store
        .corrections(&viewer, of, which.cursor.as_deref())
        .await?;
    Ok(Json(List::of(page)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Propose {
    /// SCIM name.
    attribute: String,
    /// What it should be: a text or a list of texts; a superior by their id here.
    #[schema(value_type = serde_json::Value)]
    value: domain::Value,
    /// Why; who decides reads it.
    note: String,
}

/// Proposes what a locked value of the caller's own should be. 409 `not_locked` for one that a person can change,
/// `already_proposed` while another is open, `no_approver` where nobody could decide.
#[utoipa::path(post, path = "/corrections", tag = "corrections", request_body = Propose, responses((status = 201, body = Correction)))]
pub async fn propose(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Input(propose): Input<Propose>,
) -> Made<Correction> {
    let correction = server
        .portal
        .store
        .propose_correction(&viewer, &propose.attribute, propose.value, &propose.note)
        .await?;
    Ok(made(correction.into()))
}

/// A correction, for the person and for who decides about it.
#[utoipa::path(get, path = "/corrections/{id}", tag = "corrections", params(("id" = Uuid, Path)), responses((status = 200, body = Correction)))]
pub async fn show(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<CorrectionId>,
) -> Answer<Correction> {
    let correction = server.portal.store.correction(&viewer, id).await?;
    Ok(Json(correction.into()))
}

/// Accepts a correction: it is written into the source. 409 `already_decided`.
#[utoipa::path(post, path = "/corrections/{id}/acceptance", tag = "corrections", params(("id" = Uuid, Path)), responses((status = 200, body = Correction)))]
pub async fn accept(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<CorrectionId>,
) -> Answer<Correction> {
    let correction = server.portal.store.accept_correction(&viewer, id).await?;
    Ok(Json(correction.into()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Why; the person reads it.
    reason: String,
}

/// Declines a correction. 409 `already_decided`.
#[utoipa::path(post, path = "/corrections/{id}/refusal", tag = "corrections", params(("id" = Uuid, Path)), request_body = Refusal, responses((status = 200, body = Correction)))]
pub async fn decline(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<CorrectionId>,
    Input(refusal): Input<Refusal>,
) -> Answer<Correction> {
    let correction = server
        .portal
        .store
        .decline_correction(&viewer, id, &refusal.reason)
        .await?;
    Ok(Json(correction.into()))
}

/// Has a correction that failed written again. 409 `already_decided` for one that did not fail.
#[utoipa::path(post, path = "/corrections/{id}/retry", tag = "corrections", params(("id" = Uuid, Path)), responses((status = 200, body = Correction)))]
pub async fn retry(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<CorrectionId>,
) -> Answer<Correction> {
    let correction = server.portal.store.retry_correction(&viewer, id).await?;
    Ok(Json(correction.into()))
}

/// Takes back a correction of the caller's own. 409 `already_decided`.
#[utoipa::path(post, path = "/corrections/{id}/withdrawal", tag = "corrections", params(("id" = Uuid, Path)), responses((status = 200, body = Correction)))]
pub async fn withdraw(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<CorrectionId>,
) -> Answer<Correction> {
    let correction = server.portal.store.withdraw_correction(&viewer, id).await?;
    Ok(Json(correction.into()))
}

/// Who decides about corrections.
#[derive(Serialize, ToSchema)]
pub struct Policy {
    /// Counts up with every set; 0 before the first.
    version: u32,
    /// About everything that is not named: `hr_of_unit` (of the people with the role, those nearest at or above the
    /// person's unit, else all), `manager` (the direct superior), `chain` (anyone above),
    /// `nobody`.
    otherwise: &'static str,
    /// Whether superiors by dotted line decide where superiors do.
    dotted: bool,
    /// By SCIM name.
    attributes: BTreeMap<&'static str, &'static str>,
}

impl From<Corrections> for Policy {
    fn from(Corrections { version, approvers }: Corrections) -> Self {
        let named =
            |(attribute, approver): (Attribute, Approver)| (attribute.name(), approver.name());
        Self {
            version,
            otherwise: approvers.otherwise.name(),
            dotted: approvers.dotted,
            attributes: approvers.attributes.into_iter().map(named).collect(),
        }
    }
}

/// The corrections policy in force.
#[utoipa::path(get, path = "/policies/corrections", tag = "policies", responses((status = 200, body = Policy)))]
pub async fn policy(State(server): State<Server>, Caller { viewer }: Caller) -> Answer<Policy> {
    let policy = server.portal.store.policy::<Corrections>(&viewer).await?;
    Ok(Json(policy.into()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPolicy {
    /// The version that the caller has read: 409 `stale_version` if another came between.
    version: u32,
    /// `hr_of_unit`, `manager`, `chain`, `nobody`.
    otherwise: String,
    /// Whether superiors by dotted line decide where superiors do.
    #[serde(default)]
    dotted: bool,
    /// By SCIM name.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    /// Why; people see it.
    #[serde(default)]
    note: String,
}

fn approver(field: &str, name: &str) -> Result<Approver, Violation> {
    Approver::named(name).ok_or_else(|| Violation::Unknown {
        field: field.to_owned(),
        value: name.chars().take(40).collect(),
        allowed: Approver::ALL.map(Approver::name).join(" "),
    })
}

/// Sets who decides about corrections, for those that are open too.
#[utoipa::path(put, path = "/policies/corrections", tag = "policies", request_body = SetPolicy, responses((status = 200, body = Policy)))]
pub async fn set_policy(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Input(set): Input<SetPolicy>,
) -> Answer<Policy> {
    let otherwise = approver("otherwise", &set.otherwise)?;
    let attributes = set
        .attributes
        .iter()
        .map(|(name, who)| Ok((name.parse::<Attribute>()?, approver(name, who)?)))
        .collect::<Result<BTreeMap<_, _>, Violation>>()?;
    let policy = server
        .portal
        .store
        .set_policy::<Corrections>(
            &viewer,
            set.version,
            Approvers {
                otherwise,
                dotted: set.dotted,
                attributes,
            },
            &set.note,
        )
        .await?;
    Ok(Json(policy.into()))
}

/// Every version of the corrections policy, newest first.
#[utoipa::path(get, path = "/policies/corrections/versions", tag = "policies", responses((status = 200, body = List<Former<Policy>>)))]
pub async fn policy_history(
    State(server): State<Server>,
    Caller { viewer }: Caller,
) -> Answer<List<Former<Policy>>> {
    history::<Corrections, _>(&server, &viewer).await
}

/// Sets a former version of the corrections policy anew, as a version of its own.
#[utoipa::path(post, path = "/policies/corrections/rollbacks", tag = "policies", request_body = RollBack, responses((status = 200, body = InForce)))]
pub async fn roll_policy_back(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Input(back): Input<RollBack>,
) -> Answer<InForce> {
    roll_back(&server, &viewer, Kind::Corrections, back).await
}

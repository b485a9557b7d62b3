use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{
    Attribute, SourceId, UnitId, Viewer, Violation,
    policy::Kind,
    review::{Notice, Oversight as KeptOversight, OversightRule, When},
    sourcing::{Rule, Rules as KeptRules, Strength},
};
use serde::{Deserialize, Serialize};
use store::policy::{HistoryEntry, Policy, Preview as Outcome, PreviewChange};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Answer, Caller, Input,
    shapes::{List, Person},
};
use crate::http::Server;

/// A sourcing rule. Without `unit` it holds for everyone, without `source` for every source.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleShape {
    /// Its number; given by the portal.
    #[serde(default)]
    id: u32,
    /// SCIM name of the attribute.
    attribute: String,
    /// The unit it holds for, with everything below.
    #[serde(default)]
    unit: Option<Uuid>,
    /// The source it holds for.
    #[serde(default)]
    source: Option<Uuid>,
    /// `strong`, `normal`, `weak`, `none`.
    strength: String,
    /// Whether units below cannot say otherwise.
    #[serde(default)]
    enforced: bool,
    /// Whether an empty value in the ERP counts as a value.
    #[serde(default)]
    empty_wins: bool,
}

impl From<Rule> for RuleShape {
    fn from(rule: Rule) -> Self {
        Self {
            id: rule.id,
            attribute: rule.attribute.name().to_owned(),
            unit: rule.unit.map(|unit| unit.0),
            source: rule.source.map(|source| source.0),
            strength: rule.strength.name().to_owned(),
            enforced: rule.enforced,
            empty_wins: rule.empty_wins,
        }
    }
}

/// Every rule, or what is wrong with each that is none.
fn rules_of(shapes: Vec<RuleShape>) -> Result<Vec<Rule>, store::Error> {
    let mut wrong = Vec::new();
    let mut rules = Vec::new();
    for shape in shapes {
        let attribute = shape.attribute.parse::<Attribute>();
        let strength = Strength::ALL
            .into_iter()
            .find(|strength| strength.name() == shape.strength);
        let strength = strength.ok_or_else(|| Violation::Unknown {
            field: "strength".into(),
            value: shape.strength.chars().take(64).collect(),
            allowed: Strength::ALL.map(Strength::name).join(" "),
        });
        match (attribute, strength) {
            (Ok(attribute), Ok(strength)) => rules.push(Rule {
                id: shape.id,
                attribute,
                unit: shape.unit.map(UnitId),
                source: shape.source.map(SourceId),
                strength,
                enforced: shape.enforced,
                empty_wins: shape.empty_wins,
            }),
            (attribute, strength) => {
                wrong.extend(attribute.err().into_iter().chain(strength.err()))
            }
        }
    }
    if wrong.is_empty() {
        Ok(rules)
    } else {
        Err(store::Error::Invalid(wrong))
    }
}

/// The sourcing rules in force.
#[derive(Serialize, ToSchema)]
pub struct Rules {
    /// Counts up with every set; 0 before the first.
    version: u32,
    /// By their numbers.
    rules: Vec<RuleShape>,
}

impl From<KeptRules> for Rules {
    fn from(kept: KeptRules) -> Self {
        Self {
            version: kept.version,
            rules: kept.rules.into_iter().map(Into::into).collect(),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRules {
    /// The version that the caller has read: 409 `stale_version` if another came between.
    version: u32,
    rules: Vec<RuleShape>,
    /// Why; people see it.
    #[serde(default)]
    note: String,
}

/// The sourcing rules in force.
#[utoipa::path(get, path = "/policies/attribute-rules", tag = "policies", responses((status = 200, body = Rules)))]
pub async fn rules(State(server): State<Server>, Caller { viewer }: Caller) -> Answer<Rules> {
    let rules = server.portal.store.policy::<KeptRules>(&viewer).await?;
    Ok(Json(rules.into()))
}

/// Sets the sourcing rules, all of them.
#[utoipa::path(put, path = "/policies/attribute-rules", tag = "policies", request_body = SetRules, responses((status = 200, body = Rules)))]
pub async fn set_rules(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Input(set): Input<SetRules>,
) -> Answer<Rules> {
    let rules = rules_of(set.rules)?;
    let rules = server
        .portal
        .store
        .set_policy::<KeptRules>(&viewer, set.version, rules, &set.note)
        .await?;
    Ok(Json(rules.into()))
}

/// Whom and which values a set of rules would change.
#[derive(Serialize, ToSchema)]
pub struct Preview {
    /// How many people would see at least one other value.
    people: u64,
    /// How many values would be other ones.
    values: u64,
    /// How many fields would become locked.
    locked: u64,
    /// How many fields would become free.
    unlocked: u64,
    /// The changes, the first 500 by name.
    changes: Vec<Change>,
}

/// One value that would be another one.
#[derive(Serialize, ToSchema)]
pub struct Change {
    employee: Person,
    /// SCIM name.
    attribute: &'static str,
    /// Shown now.
    #[schema(value_type = Option<serde_json::Value>)]
    from: Option<domain::Value>,
    /// Shown then.
    #[schema(value_type = Option<serde_json::Value>)]
    to: Option<domain::Value>,
}

impl From<PreviewChange> for Change {
    fn from(change: PreviewChange) -> Self {
        Self {
            employee: change.person.into(),
            attribute: change.attribute.name(),
            from: change.from,
            to: change.to,
        }
    }
}

impl From<Outcome> for Preview {
    fn from(outcome: Outcome) -> Self {
        Self {
            people: outcome.people,
            values: outcome.values,
            locked: outcome.locked,
            unlocked: outcome.unlocked,
            changes: outcome.changes.into_iter().map(Into::into).collect(),
        }
    }
}

/// What setting these rules would change. Writes nothing.
#[utoipa::path(post, path = "/policies/attribute-rules/preview", tag = "policies", request_body = SetRules, responses((status = 200, body = Preview)))]
pub async fn preview(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Input(set): Input<SetRules>,
) -> Answer<Preview> {
    let preview = server
        .portal
        .store
        .preview_attribute_rules(&viewer, rules_of(set.rules)?)
        .await?;
    Ok(Json(preview.into()))
}

/// A former version of a policy, and who set it when and why.
#[derive(Serialize, ToSchema)]
pub struct Former<T> {
    #[serde(flatten)]
    policy: T,
    set_by: Option<Uuid>,
    set_by_name: Option<String>,
    set_at: DateTime<Utc>,
    note: String,
}

impl<P, T: From<P>> From<HistoryEntry<P>> for Former<T> {
    fn from(entry: HistoryEntry<P>) -> Self {
        Self {
            policy: entry.version.body.into(),
            set_by: entry.version.set_by.map(|id| id.0),
            set_by_name: entry.set_by_name,
            set_at: entry.version.set_at,
            note: entry.version.note,
        }
    }
}

/// Every version of a policy, newest first.
pub(super) async fn history<P: Policy, T: From<P>>(
    server: &Server,
    viewer: &Viewer,
) -> Answer<List<Former<T>>> {
    let history = server.portal.store.policy_history::<P>(viewer).await?;
    Ok(Json(List::whole(history)))
}

/// Sets a former version of a policy anew.
pub(super) async fn roll_back(
    server: &Server,
    viewer: &Viewer,
    kind: Kind,
    RollBack { version, to, note }: RollBack,
) -> Answer<InForce> {
    let store = &server.portal.store;
    let version = store.roll_back(viewer, kind, version, to, &note).await?;
    Ok(Json(InForce { version }))
}

/// Every version of the sourcing rules, newest first.
#[utoipa::path(get, path = "/policies/attribute-rules/versions", tag = "policies", responses((status = 200, body = List<Former<Rules>>)))]
pub async fn rules_history(
    State(server): State<Server>,
    Caller { viewer }: Caller,
) -> Answer<List<Former<Rules>>> {
    history::<KeptRules, _>(&server, &viewer).await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// The version in force that the caller has read.
    version: u32,
    /// The former version to set anew.
    to: u32,
    #[serde(default)]
    note: String,
}

#[derive(Serialize, ToSchema)]
pub struct InForce {
    /// The version in force now.
    version: u32,
}

/// Sets a former version of the sourcing rules anew, as a version of its own.
#[utoipa::path(post, path = "/policies/attribute-rules/rollbacks", tag = "policies", request_body = RollBack, responses((status = 200, body = InForce)))]
pub async fn roll_rules_back(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Input(back): Input<RollBack>,
) -> Answer<InForce> {
    roll_back(&server, &viewer, Kind::AttributeRules, back).await
}

/// A rule of the oversight policy. Without `unit` it holds for everyone.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OversightShape {
    #[serde(default)]
    unit: Option<Uuid>,
    /// Whether superiors may review at all.
    on: bool,
    /// `at_the_time`: who was above when it was written; `now`: who is above now.
    #[schema(value_type = String)]
    when: When,
    /// Whether words of people outside the line are shown.
    #[serde(default)]
    context: bool,
    /// How many days a review lasts at the most, 1 to 90.
    max_days: u16,
    /// `at_once` or `at_the_end`.
    #[schema(value_type = String)]
    notice: Notice,
    #[serde(default)]
    enforced: bool,
    /// Whether superiors by dotted line may review too.
    #[serde(default)]
    dotted: bool,
    /// Whether who stands in for a superior may review in that time.
    #[serde(default)]
    delegates: bool,
}

impl From<OversightRule> for OversightShape {
    fn from(rule: OversightRule) -> Self {
        let OversightRule {
            unit,
            on,
            when,
            context,
            max_days,
            notice,
            enforced,
            dotted,
            delegates,
        } = rule;
        Self {
            unit: unit.map(|unit| unit.0),
            on,
            when,
            context,
            max_days,
            notice,
            enforced,
            dotted,
            delegates,
        }
    }
}

impl From<OversightShape> for OversightRule {
    fn from(shape: OversightShape) -> Self {
        let OversightShape {
            unit,
            on,
            when,
            context,
            max_days,
            notice,
            enforced,
            dotted,
            delegates,
        } = shape;
        Self {
            unit: unit.map(UnitId),
            on,
            when,
            context,
            max_days,
            notice,
            enforced,
            dotted,
            delegates,
        }
    }
}

/// The oversight policy.
#[derive(Serialize, ToSchema)]
pub struct Oversight {
    version: u32,
    rules: Vec<OversightShape>,
}

impl From<KeptOversight> for Oversight {
    fn from(kept: KeptOversight) -> Self {
        Self {
            version: kept.version,
            rules: kept.rules.into_iter().map(Into::into).collect(),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetOversight {
    /// The version that the caller has read.
    version: u32,
    rules: Vec<OversightShape>,
    #[serde(default)]
    note: String,
}

/// Who may review whom.
#[utoipa::path(get, path = "/policies/oversight", tag = "policies", responses((status = 200, body = Oversight)))]
pub async fn oversight(
    State(server): State<Server>,
    Caller { viewer }: Caller,
) -> Answer<Oversight> {
    let oversight = server.portal.store.policy::<KeptOversight>(&viewer).await?;
    Ok(Json(oversight.into()))
}

/// Sets the oversight policy, all of it.
#[utoipa::path(put, path = "/policies/oversight", tag = "policies", request_body = SetOversight, responses((status = 200, body = Oversight)))]
pub async fn set_oversight(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Input(set): Input<SetOversight>,
) -> Answer<Oversight> {
    let rules = set.rules.into_iter().map(Into::into).collect();
    let oversight = server
        .portal
        .store
        .set_policy::<KeptOversight>(&viewer, set.version, rules, &set.note)
        .await?;
    Ok(Json(oversight.into()))
}

/// Every version of the oversight policy, newest first.
#[utoipa::path(get, path = "/policies/oversight/versions", tag = "policies", responses((status = 200, body = List<Former<Oversight>>)))]
pub async fn oversight_history(
    State(server): State<Server>,
    Caller { viewer }: Caller,
) -> Answer<List<Former<Oversight>>> {
    history::<KeptOversight, _>(&server, &viewer).await
}

/// Sets a former version of the oversight policy anew, as a version of its own.
#[utoipa::path(post, path = "/policies/oversight/rollbacks", tag = "policies", request_body = RollBack, responses((status = 200, body = InForce)))]
pub async fn roll_oversight_back(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Input(back): Input<RollBack>,
) -> Answer<InForce> {
    roll_back(&server, &viewer, Kind::Oversight, back).await
}

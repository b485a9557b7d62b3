//! The forms that the API answers in. They are its contract: the store's own types may change under them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    EmployeeId,
    access::Role,
    chat::Message as ChatMessage,
    sourcing::{Origin, Strength},
};
use serde::{Deserialize, Serialize};
use store::{
    chat::{Conversation as KeptConversation, Kind},
    org::{Node, UnitInfo},
    people::PersonCard,
    profile::{Profile, ProfileValue},
};
use utoipa::ToSchema;
use uuid::Uuid;

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Give it as `cursor` for the next part; null at the end.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    pub(super) fn whole(items: impl IntoIterator<Item = impl Into<T>>) -> Self {
        Self {
            items: items.into_iter().map(Into::into).collect(),
            next_cursor: None,
        }
    }

    pub(super) fn of<U: Into<T>>(page: store::Page<U>) -> Self {
        Self {
            items: page.items.into_iter().map(Into::into).collect(),
            next_cursor: page.next_cursor,
        }
    }
}

/// A person as others see them, in short.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Who.
    pub id: Uuid,
    /// The name shown.
    pub display_name: String,
    /// The job title shown.
    pub title: Option<String>,
    /// The unit's name.
    pub department: Option<String>,
    /// The unit.
    pub unit: Option<Uuid>,
    /// The place of work.
    pub location: Option<String>,
    /// The mail address shown.
    pub email: Option<String>,
    /// The number in the ERP.
    pub employee_number: Option<String>,
    /// Where the portrait is.
    pub photo: Option<String>,
    /// Whether they work here now.
    pub active: bool,
}

impl From<PersonCard> for Person {
    fn from(card: PersonCard) -> Self {
        Self {
            id: card.id.0,
            display_name: card.display_name,
            title: card.title,
            department: card.department,
            unit: card.unit.map(|unit| unit.0),
            location: card.location,
            email: card.email,
            employee_number: card.employee_number,
            photo: card.photo.map(|hash| format!("/photos/{hash}")),
            active: card.active,
        }
    }
}

/// An employee with what the caller may see of the profile.
#[derive(Debug, Serialize, ToSchema)]
pub struct Employee {
    /// In short.
    #[serde(flatten)]
    pub person: Person,
    /// How the caller stands to them: `myself`, `superior` (the caller is above), `colleague`, `stranger`.
    #[schema(value_type = String)]
    pub relation: domain::Relation,
    /// The attributes that the caller may see, by their SCIM names.
    pub attributes: BTreeMap<&'static str, AttributeValue>,
}

/// One attribute: what is shown, and where it came from.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttributeValue {
    /// What is shown: a text, a list of texts, true or false, or null.
    #[schema(value_type = Option<serde_json::Value>)]
    pub value: Option<domain::Value>,
    /// Whose value is shown: `erp`, `own`, `both` when they say the same, or null when nothing is shown.
    pub source: Option<&'static str>,
    /// What the ERP says: the source that is heard.
    pub erp: Option<ErpSays>,
    /// What other sources say, those that would be heard first first.
    pub others: Vec<ErpSays>,
    /// What the person says.
    pub own: Option<OwnSays>,
    /// Whether the person has a value that the ERP's beats, or the other way round.
    pub overridden: bool,
    /// Whether the caller may change it now.
    pub editable: bool,
    /// The rule that decided.
    pub rule: RuleShown,
}

/// What the ERP says.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErpSays {
    /// Null where the ERP has the field and nothing in it.
    #[schema(value_type = Option<serde_json::Value>)]
    pub value: Option<domain::Value>,
    /// The name of the source.
    pub source: String,
    /// When it was last read.
    pub synced_at: DateTime<Utc>,
}

/// What the person says.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnSays {
    /// The person's own value.
    #[schema(value_type = serde_json::Value)]
    pub value: domain::Value,
    /// When it was written.
    pub edited_at: DateTime<Utc>,
}

/// The rule that decided about a value.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleShown {
    /// Its number; 0 is the built-in one.
    pub id: u32,
    /// `strong`, `normal`, `weak`, `none`.
    #[schema(value_type = String)]
    pub strength: Strength,
    /// The name of the unit it was set for; `organization` for everyone.
    pub scope: String,
}

impl Employee {
    /// `mine`: whether the caller is the person, who alone may edit.
    pub(super) fn of(profile: Profile) -> Self {
        let mine = profile.relation == domain::Relation::Myself;
        Self {
            person: profile.person.into(),
            relation: profile.relation,
            attributes: profile
                .values
                .into_iter()
                .map(|value| (value.attribute.name(), AttributeValue::of(value, mine)))
                .collect(),
        }
    }
}

impl AttributeValue {
    fn of(value: ProfileValue, mine: bool) -> Self {
        let origin = value.resolved.origin;
        let says = |erp: store::profile::ErpSays| ErpSays {
            value: erp.value,
            source: erp.source_name,
            synced_at: erp.synced_at,
        };
        Self {
            value: value.resolved.value,
            source: match origin {
                Origin::Erp | Origin::ErpOnly => Some("erp"),
                Origin::Own | Origin::OwnOnly => Some("own"),
                Origin::Both => Some("both"),
                Origin::Nothing => None,
            },
            overridden: matches!(origin, Origin::Erp | Origin::Own),
            erp: value.erp.map(says),
            others: value.others.into_iter().map(says).collect(),
            own: value.own.map(|own| OwnSays {
                value: own.value,
                edited_at: own.edited_at,
            }),
            editable: mine && value.resolved.editable,
            rule: RuleShown {
                id: value.rule.rule.id,
                strength: value.rule.rule.strength,
                scope: value
                    .rule
                    .scope_name
                    .unwrap_or_else(|| "organization".into()),
            },
        }
    }
}

/// Somebody who reports to another one.
#[derive(Debug, Serialize, ToSchema)]
pub struct Report {
    /// In short.
    #[serde(flatten)]
    pub person: Person,
    /// How many report directly.
    pub direct: u32,
    /// How many are below in all.
    pub oversees: u32,
}

impl From<Node> for Report {
    fn from(node: Node) -> Self {
        Self {
            person: node.person.into(),
            direct: node.direct,
            oversees: node.oversees,
        }
    }
}

/// A unit of the organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unit {
    /// Which.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The unit above.
    pub parent: Option<Uuid>,
    /// How many work in it, without those below.
    pub people: u32,
}

impl From<UnitInfo> for Unit {
    fn from(unit: UnitInfo) -> Self {
        Self {
            id: unit.id.0,
            name: unit.name,
            parent: unit.parent.map(|id| id.0),
            people: unit.people,
        }
    }
}

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// In short.
    #[serde(flatten)]
    pub person: Person,
    /// The roles, `employee` among them.
    #[schema(value_type = Vec<String>)]
    pub roles: Vec<Role>,
    /// Whom the caller is above.
    pub oversees: Oversees,
    /// Language and region.
    pub locale: String,
    /// Zone of the IANA database.
    pub timezone: String,
}

/// Whom somebody is above.
#[derive(Debug, Serialize, ToSchema)]
pub struct Oversees {
    /// How many in all, at any distance.
    pub count: u32,
    /// The direct reports.
    pub direct: Vec<Uuid>,
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
pub struct Message {
    /// Where.
    pub conversation: Uuid,
    /// Its place, from 1 without gaps.
    pub seq: i64,
    /// Its id.
    pub id: Uuid,
    /// Who wrote it.
    pub sender: Uuid,
    /// What.
    pub body: String,
    /// When the portal accepted it.
    pub sent_at: DateTime<Utc>,
}

impl From<ChatMessage> for Message {
    fn from(message: ChatMessage) -> Self {
        Self {
            conversation: message.conversation.0,
            seq: message.seq,
            id: message.id.0,
            sender: message.sender.0,
            body: message.body,
            sent_at: message.sent_at,
        }
    }
}

/// A conversation of the caller's.
#[derive(Debug, Serialize, ToSchema)]
pub struct Conversation {
    /// Which.
    pub id: Uuid,
    /// `direct` or `group`.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// The group's name, or the other person's.
    pub title: String,
    /// The members now, the caller among them.
    pub members: Vec<Person>,
    /// The last message's place; 0 before the first.
    pub last_seq: i64,
    /// How far the caller has read.
    pub read_seq: i64,
    /// The last message.
    pub last: Option<Message>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// How many superiors could review the caller's words here.
    pub reviewable_by: u32,
}

impl From<KeptConversation> for Conversation {
    fn from(kept: KeptConversation) -> Self {
        Self {
            id: kept.id.0,
            kind: kept.kind,
            title: kept.title,
            members: kept.members.into_iter().map(Into::into).collect(),
            last_seq: kept.last_seq,
            read_seq: kept.read_seq,
            last: kept.last.map(Into::into),
            created_at: kept.created_at,
            reviewable_by: kept.reviewable_by,
        }
    }
}

/// Part of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Messages {
    /// The messages, by place.
    pub items: Vec<Message>,
    /// Always null: messages page by `after_seq` and `before_seq`.
    pub next_cursor: Option<String>,
    /// The last place there is.
    pub last_seq: i64,
    /// Whether there are earlier ones than the first item.
    pub earlier: bool,
}

/// Whose ids were sent as text.
pub(super) fn employees(ids: Vec<Uuid>) -> Vec<EmployeeId> {
    ids.into_iter().map(EmployeeId).collect()
}

/// Which part of a list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// From the part before.
    pub cursor: Option<String>,
}

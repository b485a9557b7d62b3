//! Profiles: every value with where it came from, and the edits of one's own.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    Attribute, EmployeeId, Relation, SourceId, Value, Viewer,
    sourcing::{InForce, OwnValue, Resolved},
};
use serde::{Deserialize, Serialize};

use crate::{Result, Store, people::PersonCard};

/// A profile as this viewer may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Who.
    pub person: PersonCard,
    /// How the viewer stands to them.
    pub relation: Relation,
    /// The attributes that the viewer may see, in the catalogue's order.
    pub values: Vec<ProfileValue>,
    /// People whom values speak of (the manager), by id.
    pub people: BTreeMap<EmployeeId, PersonCard>,
    /// The locale shown, `en-GB` if none.
    pub locale: String,
    /// The time zone shown, `UTC` if none.
    pub timezone: String,
}

/// One attribute of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileValue {
    /// Which.
    pub attribute: Attribute,
    /// What is shown, and why.
    pub resolved: Resolved,
    /// What the ERP says.
    pub erp: Option<ErpSays>,
    /// What the person says.
    pub own: Option<OwnValue>,
    /// The rule that decided, in words' raw material.
    pub rule: RuleInfo,
}

/// The ERP's value with its source's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErpSays {
    /// Which source.
    pub source: SourceId,
    /// Its name.
    pub source_name: String,
    /// What it says; none where it has the field and nothing in it.
    pub value: Option<Value>,
    /// When it began to say so.
    pub changed_at: DateTime<Utc>,
    /// When it was last read.
    pub synced_at: DateTime<Utc>,
}

/// The rule that decides about a value, with names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleInfo {
    /// The rule; number 0 is built in.
    pub rule: InForce,
    /// The name of the unit it was set for; none for the whole organization.
    pub scope_name: Option<String>,
    /// The name of who set this version; none for built-in rules.
    pub set_by: Option<String>,
    /// When.
    pub set_at: Option<DateTime<Utc>>,
}

/// New own values by SCIM name; `None` or an empty value takes the own value away.
pub type Edits = BTreeMap<String, Option<Value>>;

impl Store {
    /// A profile. Seeing somebody's private attributes (those for HR and the
    /// person) is recorded in the same transaction.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn profile(&self, viewer: &Viewer, id: EmployeeId) -> Result<Profile> {
        todo!()
    }

    /// Sets own values, all or none.
    ///
    /// # Errors
    /// [`crate::Error::Forbidden`] for somebody else's profile, [`crate::Error::Locked`]
    /// naming the rule, [`crate::Error::Invalid`] with a violation per attribute.
    pub async fn edit_profile(&self, viewer: &Viewer, id: EmployeeId, edits: Edits) -> Result<Profile> {
        todo!()
    }
}

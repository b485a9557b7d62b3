//! The organization's rules: whole versions, previewed before they are set, kept for ever.

use std::collections::BTreeMap;

use domain::{
    Attribute, Value, Viewer,
    policy::{Kind, Version},
    review::{Oversight, OversightRule},
    sourcing::{Origin, Rule, Rules},
};
use serde::{Deserialize, Serialize};

use crate::{Result, Store, people::PersonCard};

/// Whom and which values a set of rules would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// How many people would see at least one other value.
    pub people: u64,
    /// How many values would be other ones.
    pub values: u64,
    /// How many fields would become locked, and how many free.
    pub locked: u64,
    /// How many fields would become free.
    pub unlocked: u64,
    /// Changed values by attribute.
    pub by_attribute: BTreeMap<Attribute, u64>,
    /// The changes themselves, the first 500 by name.
    pub changes: Vec<PreviewChange>,
}

/// One value that would be another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewChange {
    /// Whose.
    pub person: PersonCard,
    /// Which.
    pub attribute: Attribute,
    /// Shown now.
    pub from: Option<Value>,
    /// Shown then.
    pub to: Option<Value>,
    /// Whose value it is now.
    pub origin_from: Origin,
    /// Whose it would be.
    pub origin_to: Origin,
}

/// One version in a policy's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry<T> {
    /// What it said, who set it when and why.
    pub version: Version<T>,
    /// The name of who set it; none for what the portal came with.
    pub set_by_name: Option<String>,
}

impl Store {
    /// The sourcing rules in force. Needs `ReadPolicies`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn attribute_rules(&self, viewer: &Viewer) -> Result<Rules> {
        todo!()
    }

    /// Sets the sourcing rules. `read` is the version that the caller saw.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `stale_version` if another one came between,
    /// [`crate::Error::Invalid`] for unknown units, sources or attributes and duplicates.
    pub async fn set_attribute_rules(&self, viewer: &Viewer, read: u32, rules: Vec<Rule>, note: &str) -> Result<Rules> {
        todo!()
    }

    /// What [`Store::set_attribute_rules`] would change; writes nothing.
    ///
    /// # Errors
    /// As there, but for the version.
    pub async fn preview_attribute_rules(&self, viewer: &Viewer, rules: Vec<Rule>) -> Result<Preview> {
        todo!()
    }

    /// Every version of the sourcing rules, newest first.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn attribute_rules_history(&self, viewer: &Viewer) -> Result<Vec<HistoryEntry<Rules>>> {
        todo!()
    }

    /// Sets a former version anew, as a version of its own.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] for a version that never was,
    /// [`crate::Error::Conflict`] `stale_version`.
    pub async fn roll_back(&self, viewer: &Viewer, kind: Kind, read: u32, version: u32, note: &str) -> Result<u32> {
        todo!()
    }

    /// The oversight policy in force.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn oversight(&self, viewer: &Viewer) -> Result<Oversight> {
        todo!()
    }

    /// Sets the oversight policy. `read` is the version that the caller saw.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `stale_version`, [`crate::Error::Invalid`].
    pub async fn set_oversight(&self, viewer: &Viewer, read: u32, rules: Vec<OversightRule>, note: &str) -> Result<Oversight> {
        todo!()
    }

    /// Every version of the oversight policy, newest first.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn oversight_history(&self, viewer: &Viewer) -> Result<Vec<HistoryEntry<Oversight>>> {
        todo!()
    }
}

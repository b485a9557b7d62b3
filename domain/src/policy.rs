//! Policies: whole documents, set at once, every version kept.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::EmployeeId;

/// The kinds of policy document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Who wins, [`crate::sourcing::Rules`].
    AttributeRules,
    /// Who may review, [`crate::review::Oversight`].
    Oversight,
}

impl Kind {
    /// The name by which it is kept.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AttributeRules => "attribute_rules",
            Self::Oversight => "oversight",
        }
    }
}

/// One version of a document: what it said, and who set it when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version<T> {
    /// Counts up from 1.
    pub version: u32,
    /// What it said.
    pub body: T,
    /// Who set it; none for what the portal came with.
    pub set_by: Option<EmployeeId>,
    /// When.
    pub set_at: DateTime<Utc>,
    /// Why, in the words of who set it.
    pub note: String,
}

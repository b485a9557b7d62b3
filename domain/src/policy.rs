//! Policies: whole documents, set at once, every version kept.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{EmployeeId, UnitId};

/// The kinds of policy document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Who wins, [`crate::sourcing::Rules`].
    AttributeRules,
    /// Who may review, [`crate::review::Oversight`].
    Oversight,
    /// Which source is heard first, [`crate::sourcing::Priority`].
    SourcePriority,
    /// Who decides about corrections, [`crate::correction::Corrections`].
    Corrections,
}

impl Kind {
    /// The name by which it is kept.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AttributeRules => "attribute_rules",
            Self::Oversight => "oversight",
            Self::SourcePriority => "source_priority",
            Self::Corrections => "corrections",
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

/// How a rule about `unit` (none: the whole organization) ranks for people in the
/// unit whose path is `units`, own unit first: the least wins, and none means that
/// it is not about them. Enforced rules come first, the highest unit's before the
/// others; the rest by nearness.
pub(crate) fn rank(
    unit: Option<UnitId>,
    enforced: bool,
    units: &[UnitId],
) -> Option<(bool, usize)> {
    // Height 0 is the own unit; the organization stands above the last.
    let height = match unit {
        None => units.len(),
        Some(unit) => units.iter().position(|other| *other == unit)?,
    };
    Some((
        !enforced,
        if enforced {
            units.len() - height
        } else {
            height
        },
    ))
}

//! The org chart in memory and the units beside it.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use domain::{
    EmployeeId, UnitId, Viewer,
    org::{Finding, OrgChart},
};
use serde::{Deserialize, Serialize};

use crate::{Result, Store, people::PersonCard};

/// The chart, the findings of its making, and the units' names; swapped whole.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Who oversees whom.
    pub chart: OrgChart,
    /// What in the data could not be so.
    pub findings: Vec<Finding>,
    /// Every unit by id.
    pub units: BTreeMap<UnitId, UnitInfo>,
    /// When it was built.
    pub built_at: DateTime<Utc>,
}

/// A unit of the organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitInfo {
    /// Which.
    pub id: UnitId,
    /// Its name.
    pub name: String,
    /// The unit above.
    pub parent: Option<UnitId>,
    /// How many work in it, without those below.
    pub people: u32,
}

/// Somebody's place: who is above and who is below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Who.
    pub person: PersonCard,
    /// The chain of command, the direct superior first.
    pub chain: Vec<PersonCard>,
    /// The direct reports.
    pub reports: Vec<Node>,
    /// How many are below in all.
    pub oversees: u32,
}

/// A person in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Who.
    pub person: PersonCard,
    /// How many report directly.
    pub direct: u32,
    /// How many are below in all.
    pub oversees: u32,
    /// The direct reports, as deep as was asked for.
    pub reports: Vec<Node>,
}

/// The chart's findings in words' raw material: whom and which units they are about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFinding {
    /// What.
    pub finding: Finding,
    /// The people in it, in its order.
    pub people: Vec<PersonCard>,
    /// The names of the units in it.
    pub units: Vec<String>,
}

impl Store {
    /// Rebuilds the chart from the database and swaps it in; writes the interval
    /// numbers that changed. Called after every change to people, managers or units.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn refresh_chart(&self) -> Result<Arc<Snapshot>> {
        todo!()
    }

    /// Somebody's chain and reports. Needs `ReadOrganization`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn place(&self, viewer: &Viewer, id: EmployeeId) -> Result<Place> {
        todo!()
    }

    /// The tree below `root`, or every tree if none is named, `depth` levels deep.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn tree(&self, viewer: &Viewer, root: Option<EmployeeId>, depth: u8) -> Result<Vec<Node>> {
        todo!()
    }

    /// Every unit, parents before children.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn units(&self, viewer: &Viewer) -> Result<Vec<UnitInfo>> {
        todo!()
    }

    /// What in the chart's data could not be so.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn chart_findings(&self, viewer: &Viewer) -> Result<Vec<NamedFinding>> {
        todo!()
    }
}

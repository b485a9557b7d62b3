//! People as lists show them.

use std::collections::BTreeMap;

use domain::{EmployeeId, UnitId, Viewer};
use serde::{Deserialize, Serialize};

use crate::{Page, Result, Store};

/// A person in a list: shown values that everyone may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonCard {
    /// Who.
    pub id: EmployeeId,
    /// The name shown.
    pub display_name: String,
    /// The job title shown.
    pub title: Option<String>,
    /// The unit's name.
    pub department: Option<String>,
    /// The unit.
    pub unit: Option<UnitId>,
    /// The place of work.
    pub location: Option<String>,
    /// The mail address shown.
    pub email: Option<String>,
    /// The number in the ERP.
    pub employee_number: Option<String>,
    /// Hash of the portrait, served at `/photos/{hash}`.
    pub photo: Option<String>,
    /// Whether they work here now.
    pub active: bool,
}

/// What to look for in the directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DirectoryQuery {
    /// Words, each of which has to occur in name, title, unit, mail or number; at most 200 characters.
    pub q: String,
    /// Only people of this unit and those below it.
    pub unit: Option<UnitId>,
    /// From a page's `next_cursor`.
    pub cursor: Option<String>,
    /// How many, 1 to 200; 50 if absent.
    pub limit: Option<u32>,
}

/// A page of the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// The people, by name.
    pub page: Page<PersonCard>,
    /// How many match in all.
    pub matching: u64,
    /// How many work here in all.
    pub total: u64,
}

impl Store {
    /// Finds people who work here now, by name.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a cursor or limit that is none.
    pub async fn directory(&self, viewer: &Viewer, query: &DirectoryQuery) -> Result<Directory> {
        todo!()
    }

    /// One person's card, also of somebody who left.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn person(&self, viewer: &Viewer, id: EmployeeId) -> Result<PersonCard> {
        todo!()
    }

    /// The cards of `ids`; unknown ids are absent.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn cards(&self, viewer: &Viewer, ids: &[EmployeeId]) -> Result<BTreeMap<EmployeeId, PersonCard>> {
        todo!()
    }
}

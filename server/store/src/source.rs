//! Sources: connections to ERP systems, their secrets sealed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{EmployeeId, RunId, SourceId, Viewer, erp::Worker};
use serde::{Deserialize, Serialize};

use crate::{Result, Store, people::PersonCard};

/// A source as the console shows it. Secrets are never in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Which.
    pub id: SourceId,
    /// `csv`, `odoo`, …
    pub kind: String,
    /// The name that people know it by; unique.
    pub name: String,
    /// The settings without the secret ones.
    pub settings: BTreeMap<String, String>,
    /// Which secret settings are set.
    pub secrets_set: Vec<String>,
    /// A run that would have more leavers than this share stops and asks, percent.
    pub leaver_percent: u8,
    /// When a run last read it to the end.
    pub last_read_at: Option<DateTime<Utc>>,
    /// Its last run that was no dry run.
    pub last_run: Option<RunId>,
    /// How many people it has.
    pub people: u64,
    /// When it was connected.
    pub created_at: DateTime<Utc>,
}

/// What a new source is made of, checked by the adapter's registry before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSource {
    /// `csv`, `odoo`, …
    pub kind: String,
    /// 1 to 60 characters.
    pub name: String,
    /// The settings that are no secrets.
    pub settings: BTreeMap<String, String>,
    /// The settings that are: sealed before they are kept.
    pub secrets: BTreeMap<String, String>,
}

/// A record that could be more than one person: somebody has to decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecided {
    /// The source.
    pub source: SourceId,
    /// The record's id there.
    pub external_id: String,
    /// The record.
    pub worker: Worker,
    /// Who could be meant.
    pub candidates: Vec<PersonCard>,
    /// Since when it waits.
    pub since: DateTime<Utc>,
}

/// What somebody decided about an undecided record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "decision", content = "employee")]
pub enum Decision {
    /// It is this person.
    Is(EmployeeId),
    /// It is somebody new.
    New,
}

impl Store {
    /// Connects a source. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `name_taken`, [`crate::Error::Invalid`].
    pub async fn add_source(&self, viewer: &Viewer, new: NewSource) -> Result<Source> {
        todo!()
    }

    /// Changes a source's settings; secrets that are absent stay as they are.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `name_taken`.
    pub async fn change_source(&self, viewer: &Viewer, id: SourceId, new: NewSource, leaver_percent: u8) -> Result<Source> {
        todo!()
    }

    /// Every source, by name. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn sources(&self, viewer: &Viewer) -> Result<Vec<Source>> {
        todo!()
    }

    /// One source.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn source(&self, viewer: &Viewer, id: SourceId) -> Result<Source> {
        todo!()
    }

    /// All settings with the secrets opened, for the adapter alone. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn source_settings(&self, viewer: &Viewer, id: SourceId) -> Result<BTreeMap<String, String>> {
        todo!()
    }

    /// Records that wait for a decision. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn undecided(&self, viewer: &Viewer) -> Result<Vec<Undecided>> {
        todo!()
    }

    /// Decides about one; the next run follows it. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `already_decided`.
    pub async fn decide(&self, viewer: &Viewer, source: SourceId, external_id: &str, decision: Decision) -> Result<()> {
        todo!()
    }
}

//! What an ERP says, in one form whatever the vendor.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Attribute, Value};

/// A person as an ERP has them. References are the ERP's own ids.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Worker {
    /// The ERP's id; never changes for a person.
    pub external_id: String,
    /// Whether the person works there now.
    pub active: bool,
    /// What the ERP holds. An attribute that the ERP does not have is absent;
    /// one that it has and that is empty is `None`. `manager`, `department`,
    /// `photos` and `active` stand in the fields of their own.
    pub attributes: BTreeMap<Attribute, Option<Value>>,
    /// The superior's external id, or that of a [`Vacancy`].
    pub manager: Option<String>,
    /// The unit's external id.
    pub unit: Option<String>,
    /// What changes when the photo does; absent without a photo.
    pub photo: Option<String>,
    /// When the ERP last changed the record, if it says so.
    pub changed_at: Option<DateTime<Utc>>,
    /// The first day of work, if the ERP dates it; before it, nobody is here yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_on: Option<NaiveDate>,
    /// The last day of work, if the ERP dates it; after it, somebody has left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_on: Option<NaiveDate>,
    /// Superiors by dotted line (matrix organization), by external id, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dotted: Vec<String>,
    /// Who stands in while the person is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegate: Option<Delegate>,
}

/// Somebody who stands in for a superior who is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegate {
    /// Who stands in, by external id.
    pub to: String,
    /// The first day of it.
    pub from: NaiveDate,
    /// The last day of it; open-ended without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<NaiveDate>,
}

impl Worker {
    /// Whether the person works there on `day`: active, begun, and not past the last day.
    #[must_use]
    pub fn works_on(&self, day: NaiveDate) -> bool {
        self.active
            && self.starts_on.is_none_or(|first| first <= day)
            && self.ends_on.is_none_or(|last| last >= day)
    }

    /// The next day after `day` on which [`Worker::works_on`] answers otherwise:
    /// the first day of somebody who begins, the day after the last one of
    /// somebody who goes. None where no date lies ahead.
    #[must_use]
    pub fn turns_after(&self, day: NaiveDate) -> Option<NaiveDate> {
        if !self.active || self.starts_on > self.ends_on.or(Some(NaiveDate::MAX)) {
            return None;
        }
        match self.starts_on {
            Some(first) if first > day => Some(first),
            _ => self.ends_on.filter(|last| *last >= day)?.succ_opt(),
        }
    }

    /// The same with its dates among its attributes, where people see them.
    #[must_use]
    pub fn dated(mut self) -> Self {
        let text = |day: NaiveDate| Some(Value::from(day.to_string()));
        if let Some(first) = self.starts_on {
            let said = self.attributes.entry(Attribute::StartDate).or_default();
            *said = said.take().or_else(|| text(first));
        }
        if let Some(last) = self.ends_on {
            self.attributes.insert(Attribute::EndDate, text(last));
        }
        self
    }

    /// An attribute's text, if the ERP has one.
    #[must_use]
    pub fn text(&self, attribute: Attribute) -> Option<&str> {
        self.attributes
            .get(&attribute)?
            .as_ref()?
            .as_text()
            .filter(|text| !text.is_empty())
    }

    /// The name to show before any rule: display name, else given and family
    /// name, else the employee number, else the ERP's id.
    #[must_use]
    pub fn name(&self) -> String {
        let words = |attributes: &[Attribute]| {
            let words: Vec<_> = attributes
                .iter()
                .filter_map(|one| self.text(*one))
                .collect();
            (!words.is_empty()).then(|| words.join(" "))
        };
        words(&[Attribute::DisplayName])
            .or_else(|| words(&[Attribute::GivenName, Attribute::FamilyName]))
            .or_else(|| words(&[Attribute::EmployeeNumber]))
            .unwrap_or_else(|| self.external_id.clone())
    }

    /// SHA-256 of everything but `changed_at`: equal for a record that did not change.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut sha = Sha256::new();
        let mut put = |bytes: &[u8]| {
            sha.update((bytes.len() as u64).to_be_bytes());
            sha.update(bytes);
        };
        put(self.external_id.as_bytes());
        put(&[u8::from(self.active)]);
        for reference in [&self.manager, &self.unit, &self.photo] {
            put(&[u8::from(reference.is_some())]);
            put(reference.as_deref().unwrap_or_default().as_bytes());
        }
        for day in [self.starts_on, self.ends_on] {
            put(day
                .map(|day| day.to_string())
                .unwrap_or_default()
                .as_bytes());
        }
        put(&(self.dotted.len() as u64).to_be_bytes());
        self.dotted.iter().for_each(|id| put(id.as_bytes()));
        if let Some(delegate) = &self.delegate {
            put(b"delegate");
            put(delegate.to.as_bytes());
            put(delegate.from.to_string().as_bytes());
            put(delegate
                .until
                .map(|day| day.to_string())
                .unwrap_or_default()
                .as_bytes());
        }
        for (attribute, value) in &self.attributes {
            put(attribute.name().as_bytes());
            // The kind stands before the content, or "-" and nothing would look alike.
            match value {
                None => put(b"none"),
                Some(Value::Flag(flag)) => {
                    put(b"flag");
                    put(&[u8::from(*flag)]);
                }
                Some(Value::Text(text)) => {
                    put(b"text");
                    put(text.as_bytes());
                }
                Some(Value::List(items)) => {
                    put(b"list");
                    put(&(items.len() as u64).to_be_bytes());
                    items.iter().for_each(|item| put(item.as_bytes()));
                }
            }
        }
        sha.finalize().into()
    }
}

/// A unit as an ERP has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgUnit {
    /// The ERP's id.
    pub external_id: String,
    /// Its name.
    pub name: String,
    /// The unit above.
    pub parent: Option<String>,
    /// The external ids of its heads; more than one is a finding.
    pub heads: Vec<String>,
}

/// A post that nobody holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vacancy {
    /// The ERP's id of the post.
    pub external_id: String,
    /// Its title.
    pub title: String,
    /// The unit's external id.
    pub unit: Option<String>,
    /// The superior's external id, or that of another vacant post.
    pub manager: Option<String>,
}

/// A photo's bytes as the ERP has them; they are re-encoded before they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    /// The bytes, of whatever format.
    pub bytes: Vec<u8>,
}

/// A record, or a field of it, that could not be read. The rest goes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Where: `workers.csv, line 12`, `hr.employee 42`.
    pub place: String,
    /// Which field, if it is about one.
    pub field: Option<String>,
    /// What is wrong and what is allowed, in words that an HR person understands.
    pub what: String,
    /// The record's id, if it could be read.
    pub external_id: Option<String>,
    /// Whether the whole record was left out, or only the field.
    pub left_out: bool,
}

/// Where a pull ended, as the adapter's own text; a later pull can go on from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watermark(pub String);

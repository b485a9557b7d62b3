//! Records made into workers and units by a [`Mapping`], for every kind of
//! source that has no fields of its own.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use domain::{
    Attribute, Value,
    erp::{Fault, OrgUnit, Worker},
    mapping::{Field, Mapping, Target},
};
use serde::Serialize;
use serde_json::Value as Json;

use crate::{
    Sample,
    words::{Notes, blank, quote},
};

/// Most characters of an id or a unit's name.
const ID_MAX: usize = 200;

/// Follows a mapping through a pull, and knows afterwards which fields no record had.
#[derive(Debug)]
pub(crate) struct Mapper<'a> {
    mapping: &'a Mapping,
    records: u64,
    /// By the line of a worker: whether a record had it.
    met: Vec<bool>,
    /// Units that workers name, where the source has none of its own.
    named: BTreeMap<String, String>,
}

impl<'a> Mapper<'a> {
    pub(crate) fn new(mapping: &'a Mapping) -> Self {
        Self {
            mapping,
            records: 0,
            met: vec![false; mapping.worker.len()],
            named: BTreeMap::new(),
        }
    }

    /// A record as a worker; none if it has no id, which is a fault.
    pub(crate) fn worker(
        &mut self,
        place: &str,
        record: &Json,
        faults: &mut Vec<Fault>,
    ) -> Option<Worker> {
        let mapping = self.mapping;
        self.records += 1;
        let mut notes = Notes {
            place: place.to_owned(),
            external_id: None,
            faults,
        };
        let own = mapping
            .worker
            .iter()
            .position(|field| field.target == Target::Id)?;
        let (met, texts) = read(&mapping.worker[own], record, &mut notes);
        self.met[own] |= met;
        let id = id(texts, &mut notes)?;
        notes.external_id = Some(id.clone());
        let mut worker = blank(&id);
        for (at, field) in mapping.worker.iter().enumerate() {
            if at == own {
                continue;
            }
            let (met, texts) = read(field, record, &mut notes);
            self.met[at] |= met;
            let Some(texts) = texts else {
                continue;
            };
            let first = texts.first().map(|text| text.trim().to_owned());
            match field.target {
                Target::Active => match first.as_deref().map(flag) {
                    None => {}
                    Some(Some(active)) => worker.active = active,
                    Some(None) => notes.field(
                        "active",
                        format!("{} is neither yes nor no; taken as yes", quote(&texts[0])),
                    ),
                },
                Target::Manager => worker.manager = first.filter(|manager| *manager != id),
                Target::Unit => {
                    if mapping.unit.is_empty()
                        && let Some(name) = &first
                    {
                        self.named.insert(name.clone(), name.clone());
                    }
                    worker.unit = first;
                }
                Target::Photo => worker.photo = first.map(|photo| tag(&photo)),
                Target::ChangedAt => {
                    worker.changed_at = self.moment("changedAt", first, &mut notes);
                }
                Target::StartsOn => worker.starts_on = self.day("startsOn", first, &mut notes),
                Target::EndsOn => worker.ends_on = self.day("endsOn", first, &mut notes),
                Target::DottedManagers => worker.dotted = texts,
                Target::Attribute(attribute) => set(&mut notes, &mut worker, attribute, &texts),
                Target::Id | Target::Name | Target::Parent | Target::Head => {}
            }
        }
        Some(worker)
    }

    /// A record as a unit; none if it has no id, which is a fault.
    pub(crate) fn unit(
        &mut self,
        place: &str,
        record: &Json,
        faults: &mut Vec<Fault>,
    ) -> Option<OrgUnit> {
        let mapping = self.mapping;
        let mut notes = Notes {
            place: place.to_owned(),
            external_id: None,
            faults,
        };
        let mut fields = mapping.unit.iter();
        let own = fields.find(|field| field.target == Target::Id)?;
        let (_, texts) = read(own, record, &mut notes);
        let id = id(texts, &mut notes)?;
        notes.external_id = Some(id.clone());
        let mut unit = OrgUnit {
            name: id.clone(),
            external_id: id,
            parent: None,
            heads: Vec::new(),
        };
        for field in &mapping.unit {
            let (_, Some(texts)) = read(field, record, &mut notes) else {
                continue;
            };
            let first = texts.first().map(|text| text.trim().to_owned());
            match field.target {
                Target::Name => {
                    if let Some(name) = first {
                        unit.name = name.chars().take(ID_MAX).collect();
                    }
                }
                Target::Parent if first.as_ref() == Some(&unit.external_id) => {
                    notes.field("parent", "is the unit itself; left out".into());
                }
                Target::Parent => unit.parent = first,
                Target::Head => unit.heads = texts,
                _ => {}
            }
        }
        Some(unit)
    }

    /// The units that workers named, where the mapping has none of their own.
    pub(crate) fn named_units(&self) -> Vec<OrgUnit> {
        let unit = |(id, name): (&String, &String)| OrgUnit {
            external_id: id.clone(),
            name: name.clone(),
            parent: None,
            heads: Vec::new(),
        };
        self.named.iter().map(unit).collect()
    }

    /// The mapping's fields that not one of the records had, as findings.
    pub(crate) fn never_met(&self, source: &str) -> Vec<Fault> {
        if self.records == 0 {
            return Vec::new();
        }
        let fields = self.mapping.worker.iter().zip(&self.met);
        let unmet = fields.filter(|(field, met)| !field.from.is_empty() && !**met);
        unmet
            .map(|(field, _)| Fault {
                place: source.to_owned(),
                field: Some(field.target.name().to_owned()),
                what: format!(
                    "the mapping reads it from {}, which none of {} records has",
                    quote(&field.from),
                    self.records
                ),
                external_id: None,
                left_out: false,
            })
            .collect()
    }

    fn day(&self, field: &str, text: Option<String>, notes: &mut Notes<'_>) -> Option<NaiveDate> {
        let text = text?;
        let day = NaiveDate::parse_and_remainder(&text, "%Y-%m-%d");
        if day.is_err() {
            notes.field(
                field,
                format!(
                    "{} is not a date such as 2019-05-13; left out",
                    quote(&text)
                ),
            );
        }
        day.ok().map(|(day, _)| day)
    }

    fn moment(
        &self,
        field: &str,
        text: Option<String>,
        notes: &mut Notes<'_>,
    ) -> Option<DateTime<Utc>> {
        let text = text?;
        let moment = moment(&text);
        if moment.is_none() {
            notes.field(
                field,
                format!(
                    "{} is not a time such as 2026-03-01T09:30:00Z; left out",
                    quote(&text)
                ),
            );
        }
        moment
    }
}

/// The id among the texts of its field; none, with a finding, if it is no id.
fn id(texts: Option<Vec<String>>, notes: &mut Notes<'_>) -> Option<String> {
    let texts = texts.unwrap_or_default();
    let id = texts.first().map(|id| id.trim()).unwrap_or_default();
    if id.is_empty() || id.chars().count() > ID_MAX || id.chars().any(char::is_control) {
        let what = if id.is_empty() {
            "is empty; without it nobody can be told apart; left out".to_owned()
        } else {
            format!(
                "{} is no id: at most {ID_MAX} characters that can be shown; left out",
                quote(id)
            )
        };
        notes.record(Some("id"), what);
        return None;
    }
    Some(id.to_owned())
}

/// Whether the record has such a field, and its texts where they can be understood.
fn read(field: &Field, record: &Json, notes: &mut Notes<'_>) -> (bool, Option<Vec<String>>) {
    match field.read(record) {
        Ok(texts) => (texts.is_some(), texts),
        Err(what) => {
            notes.field(field.target.name(), format!("{what}; left out"));
            (true, None)
        }
    }
}

/// A moment in RFC 3339, the same without a zone (taken as UTC), LDAP's
/// generalized time, or a mere date.
pub(crate) fn moment(text: &str) -> Option<DateTime<Utc>> {
    let naive = |form| NaiveDateTime::parse_from_str(text, form).ok();
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|moment| moment.to_utc())
        .or_else(|| {
            [
                "%Y-%m-%dT%H:%M:%S%.f",
                "%Y-%m-%d %H:%M:%S%.f",
                "%Y%m%d%H%M%S%.fZ",
            ]
            .into_iter()
            .find_map(naive)
            .or_else(|| text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0))
            .map(|moment| moment.and_utc())
        })
}

/// Yes or no in the words that sources use.
fn flag(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "y" | "1" | "t" | "x" | "active" | "ja" | "oui" => Some(true),
        "false" | "no" | "n" | "0" | "f" | "inactive" | "terminated" | "left" | "nein" | "non" => {
            Some(false)
        }
        _ => None,
    }
}

/// What changes when the photo does: a short text as it is, else its length and both ends.
fn tag(photo: &str) -> String {
    use sha2::{Digest as _, Sha256};
    if photo.len() <= 64 {
        return photo.to_owned();
    }
    let hash = Sha256::digest(photo.as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn set(notes: &mut Notes<'_>, worker: &mut Worker, attribute: Attribute, texts: &[String]) {
    use domain::attribute::Kind;
    match attribute.spec().kind {
        Kind::List(..) => notes.set(worker, attribute, &texts.join("\n")),
        _ => match texts.first() {
            Some(text) => notes.set(worker, attribute, text),
            None => {
                worker.attributes.insert(attribute, None::<Value>);
            }
        },
    }
}

/// One record through a mapping, for the console's preview.
#[derive(Debug, Clone, Serialize)]
pub struct Preview {
    /// The record.
    pub sample: Sample,
    /// What it becomes; none if it would be left out.
    pub worker: Option<Worker>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
}

/// What `samples` would become by `mapping`, and what no sample has that the mapping asks for.
#[must_use]
pub fn preview(mapping: &Mapping, samples: Vec<Sample>) -> (Vec<Preview>, Vec<Fault>) {
    let mut mapper = Mapper::new(mapping);
    let previews = samples
        .into_iter()
        .map(|sample| {
            let mut faults = Vec::new();
            let worker = mapper.worker(&sample.place, &sample.record, &mut faults);
            Preview {
                sample,
                worker,
                faults,
            }
        })
        .collect();
    (previews, mapper.never_met("the mapping"))
}

//! The second pass: entries made into workers as they come.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, PoisonError},
};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use domain::{
    erp::{Fault, Watermark, Worker},
    mapping::Target,
};
use serde_json::json;

use super::{
    Ldap,
    cursor::Cursor,
    entry::{attribute, key, own, place, record},
    index::{Index, person},
    wire::{Entry, Wire},
};
use crate::{
    Error, Page, WorkerIds,
    mapped::{Mapper, moment},
    words::quote,
};

/// A replica may have an entry later than its time says.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);

/// A pull under way.
pub(super) struct Reading<'a> {
    wire: Wire,
    pub(super) cursor: Cursor,
    mapper: Mapper<'a>,
    index: Arc<Index>,
    /// Keys of the entries with a photo.
    photos: HashSet<String>,
    since: Option<DateTime<Utc>>,
    newest: Option<DateTime<Utc>>,
    met: BTreeSet<String>,
    read: u64,
    /// Who came, for a pull in full.
    ids: WorkerIds,
}
impl Ldap {
    pub(super) async fn begin(&self, since: Option<DateTime<Utc>>) -> Result<Reading<'_>, Error> {
        let index = self.index(false).await?;
        let mut wire = self.connect().await?;
        let changed = since.map_or(String::new(), |since| {
            let from = self.preset.time(since - OVERLAP);
            format!("({}>={from})", self.preset.changed())
        });
        let mut photos = HashSet::new();
        if let Some(photo) = &self.wanted.photo {
            let filter = format!("(&{}({photo}=*){changed})", self.people);
            // "No attributes" (RFC 4511, 4.5.1.8): the names alone.
            let mut cursor = self.cursor(&self.base, filter, &["1.1".to_owned()]);
            while !cursor.over {
                let chunk = self.chunk(&mut wire, &mut cursor).await?;
                photos.extend(chunk.entries.iter().map(|entry| key(&entry.dn)));
            }
        }
        let filter = match changed.as_str() {
            "" => self.people.clone(),
            changed => format!("(&{}{changed})", self.people),
        };
        Ok(Reading {
            cursor: self.cursor(&self.base, filter, &self.wanted.people),
            wire,
            mapper: Mapper::new(&self.mapping),
            index,
            photos,
            since,
            newest: since,
            met: BTreeSet::new(),
            read: 0,
            ids: WorkerIds::default(),
        })
    }

    pub(super) async fn page(&self, reading: &mut Reading<'_>) -> Result<Page, Error> {
        let chunk = self.chunk(&mut reading.wire, &mut reading.cursor).await?;
        // The first pass met the same references and told of them.
        let mut faults = Vec::new();
        let mut workers = Vec::with_capacity(chunk.entries.len());
        for entry in chunk.entries {
            reading.read += 1;
            for (name, _) in &entry.attributes {
                if !reading.met.contains(name) {
                    reading.met.insert(name.clone());
                }
            }
            if let Some(at) = self.changed_at(&entry) {
                reading.newest = reading.newest.max(Some(at));
            }
            workers.extend(self.worker(reading, &entry, &mut faults));
        }
        let over = reading.cursor.over;
        if over && reading.since.is_none() {
            let ids = std::mem::take(&mut reading.ids);
            *self.met.lock().unwrap_or_else(PoisonError::into_inner) = Some(ids);
        }
        if over && reading.since.is_none() && self.own_mapping {
            faults.extend(self.never_met(reading));
        }
        // Pages are in no order of time: before the last, nothing is known to be complete.
        let upto = if over { reading.newest } else { reading.since };
        Ok(Page {
            workers,
            faults,
            watermark: Watermark(upto.map_or(String::new(), |at| {
                at.to_rfc3339_opts(SecondsFormat::Secs, true)
            })),
        })
    }

    fn changed_at(&self, entry: &Entry) -> Option<DateTime<Utc>> {
        let value = entry.values(self.preset.changed()).first()?;
        moment(std::str::from_utf8(value).ok()?)
    }

    fn worker(
        &self,
        reading: &mut Reading<'_>,
        entry: &Entry,
        faults: &mut Vec<Fault>,
    ) -> Option<Worker> {
        let mut record = record(self.preset, entry, &self.wanted.people);
        let own = key(&entry.dn);
        if let Some(photo) = &self.wanted.photo {
            // The photo itself stays where it is: what changed may be the photo.
            let tag = self.changed_at(entry).map_or_else(
                || "there".to_owned(),
                |at| at.to_rfc3339_opts(SecondsFormat::Secs, true),
            );
            let there = reading.photos.contains(&own);
            record[photo.as_str()] = if there { json!([tag]) } else { json!([]) };
        }
        let place = place(&entry.dn);
        let Some(mut worker) = reading.mapper.worker(&place, &record, faults) else {
            reading.ids.unreadable += 1;
            return None;
        };
        if reading.since.is_none() {
            reading.ids.ids.insert(worker.external_id.clone());
        }
        let index = &reading.index;
        let fault = |field: Option<&str>, what: String| Fault {
            place: place.clone(),
            field: field.map(str::to_owned),
            what,
            external_id: Some(worker.external_id.clone()),
            left_out: field.is_none(),
        };
        let owner = index.names.get(&worker.external_id);
        if let Some(owner) = owner.filter(|owner| **owner != entry.dn && key(owner) != own)
            && index.people.contains_key(&own)
        {
            let what = format!(
                "{} is the id of {} already; this entry is left out",
                quote(&worker.external_id),
                quote(owner)
            );
            faults.push(fault(None, what));
            return None;
        }
        let mut told = Vec::new();
        let manager = worker.manager.as_deref();
        let manager = manager.and_then(|text| match person(text, index) {
            Ok(id) => Some(id),
            Err(name) => {
                let what = format!("{} is not among those read; left out", quote(&name));
                told.push(fault(Some("manager"), what));
                None
            }
        });
        let mut dotted = Vec::new();
        for text in &worker.dotted {
            match person(text, index) {
                Ok(id) => dotted.push(id),
                Err(name) => {
                    let what = format!("{} is not among those read; left out", quote(&name));
                    told.push(fault(Some("dottedManagers"), what));
                }
            }
        }
        let climbs = self.climbs(&self.mapping.worker, Target::Unit);
        let unit = worker.unit.as_deref();
        let unit = unit.and_then(|text| match self.unit(text, index, climbs) {
            Ok(unit) => unit,
            Err(name) => {
                let what = format!("{} is not among the units read; left out", quote(&name));
                told.push(fault(Some("unit"), what));
                None
            }
        });
        faults.extend(told);
        worker.manager = manager.filter(|manager| *manager != worker.external_id);
        worker.dotted = dotted;
        worker.unit = unit;
        Some(worker)
    }

    /// Fields of the mapping that not one entry had.
    fn never_met(&self, reading: &Reading<'_>) -> Vec<Fault> {
        let met = |name: &str| {
            own(name)
                || self.wanted.photo.as_deref() == Some(name)
                || reading.met.iter().any(|met| met.eq_ignore_ascii_case(name))
        };
        let fields = self.mapping.worker.iter().filter(|field| {
            let name = attribute(&field.from);
            reading.read > 0 && !name.is_empty() && !met(&name)
        });
        fields
            .map(|field| Fault {
                place: self.base.clone(),
                field: Some(field.target.name().to_owned()),
                what: format!(
                    "the mapping reads it from {}, which none of {} entries has",
                    quote(&field.from),
                    reading.read
                ),
                external_id: None,
                left_out: false,
            })
            .collect()
    }
}

//! Lists that come in pages and go through a mapping: what was met on the way,
//! and what is known only at the end.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use domain::{
    erp::{Fault, Watermark},
    mapping::{Field, Mapping, Target},
};
use serde_json::Value as Json;

use crate::{
    Error, Sample, WorkerIds,
    mapped::{Mapper, moment},
    web::malformed,
};

/// How many records a probe looks at: a relation that the first lacks another may have.
pub(crate) const SAMPLES: usize = 20;
/// Most pages of one list: an ERP that never ends is not read for ever.
const PAGES_MAX: usize = 100_000;
/// A change may be dated when its transaction began, and be seen only when it ends.
pub(crate) const OVERLAP: TimeDelta = TimeDelta::minutes(10);

/// The records of a list that were met, so that one that leads in a circle is
/// not read for ever, and one that was cut is not taken for whole.
#[derive(Debug)]
pub(crate) struct Met<'a> {
    /// The list, for what is said of it.
    list: String,
    /// Where a record's id stands.
    id: Option<&'a Field>,
    pub(crate) ids: BTreeSet<String>,
    nameless: usize,
    /// Whether one id may have several records.
    pub(crate) several: bool,
    /// Records beyond the first of each id.
    more: usize,
    /// How many there are, if the source says so.
    pub(crate) count: Option<u64>,
    places: HashSet<String>,
    last: Vec<String>,
    repeats: usize,
    pages: usize,
}

impl<'a> Met<'a> {
    pub(crate) fn new(list: &str, id: Option<&'a Field>) -> Self {
        Self {
            list: list.to_owned(),
            // Before there is a mapping, every record has the same id.
            id: id.filter(|field| !field.from.is_empty()),
            ids: BTreeSet::new(),
            nameless: 0,
            several: false,
            more: 0,
            count: None,
            places: HashSet::new(),
            last: Vec::new(),
            repeats: 0,
            pages: 0,
        }
    }

    /// Goes on to the page that `place` (a link or a cursor) names.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a place where it was before.
    pub(crate) fn go(&mut self, place: &str) -> Result<(), Error> {
        if !self.places.insert(place.to_owned()) {
            return Err(self.never_ends("is one that was read before; the list would never end"));
        }
        Ok(())
    }

    /// Takes note of a page; answers whether it held a record that had not come
    /// before. The same page a second time in a row is taken (the later records
    /// count), a third time is a list that stands still.
    ///
    /// # Errors
    /// [`Error::Malformed`] for that, and after far too many pages.
    pub(crate) fn page(&mut self, rows: &[Json]) -> Result<bool, Error> {
        self.pages += 1;
        if self.pages > PAGES_MAX {
            return Err(self.never_ends("never comes to an end"));
        }
        let before = self.records();
        let mut page = Vec::with_capacity(rows.len());
        for row in rows {
            match self.id.and_then(|field| id(field, row)) {
                Some(id) => {
                    if !self.ids.insert(id.clone()) && self.several {
                        self.more += 1;
                    }
                    page.push(id);
                }
                None => self.nameless += 1,
            }
        }
        self.repeats = if !page.is_empty() && page == self.last {
            self.repeats + 1
        } else {
            0
        };
        if self.repeats >= 2 {
            return Err(self.never_ends("holds the same records again and again"));
        }
        self.last = page;
        Ok(self.records() > before)
    }

    fn records(&self) -> usize {
        self.ids.len() + self.nameless + self.more
    }

    pub(crate) fn never_ends(&self, what: &str) -> Error {
        malformed(&self.list, "the next page", what)
    }

    /// How many records the source counts beyond those that it gave.
    pub(crate) fn withheld(&self) -> u64 {
        self.count
            .unwrap_or(0)
            .saturating_sub(self.records() as u64)
    }

    /// Who was met. Where records were withheld or have no id, nobody is known to be gone.
    pub(crate) fn worker_ids(&mut self) -> WorkerIds {
        let withheld = usize::try_from(self.withheld()).unwrap_or(usize::MAX);
        WorkerIds {
            unreadable: self.nameless.saturating_add(withheld),
            ids: std::mem::take(&mut self.ids),
        }
    }
}

/// A pull on its way.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The watermark that it began with; empty for none.
    since: String,
    /// The latest time of change, as the source wrote it.
    newest: Option<(DateTime<Utc>, String)>,
    /// How many records have come.
    pub(crate) number: u64,
    /// Whether everyone is read, and not only who changed.
    pub(crate) in_full: bool,
    /// Whether the last page is out.
    pub(crate) ended: bool,
}

impl Progress {
    pub(crate) fn new(since: &str, in_full: bool) -> Self {
        Self {
            since: since.to_owned(),
            newest: None,
            number: 0,
            in_full,
            ended: false,
        }
    }

    /// Takes note of a record whose time of change stands at `changed`.
    pub(crate) fn note(&mut self, row: &Json, changed: Option<&str>) {
        self.number += 1;
        let Some(mark) = changed.and_then(|at| raw(row, at)) else {
            return;
        };
        let at = moment(mark);
        let is_newer =
            |at: &DateTime<Utc>| self.newest.as_ref().is_none_or(|(newest, _)| at > newest);
        if let Some(at) = at.filter(is_newer) {
            self.newest = Some((at, mark.to_owned()));
        }
    }

    /// Where a later pull may begin, until this one has ended.
    pub(crate) fn so_far(&self) -> Watermark {
        Watermark(self.since.clone())
    }

    /// Where a later pull may begin: at the latest time of change. A record that
    /// is dated ahead of the source's own clock, `began`, must not hide what
    /// changes until then.
    pub(crate) fn watermark(&self, began: Option<DateTime<Utc>>) -> Watermark {
        Watermark(match (&self.newest, began) {
            (Some((at, text)), Some(began)) if *at > began => shaped(began, text),
            (Some((_, text)), _) => text.clone(),
            (None, _) => self.since.clone(),
        })
    }

    /// What is known only at the end of a full pull.
    pub(crate) fn findings(&self, mapper: &Mapper<'_>, met: &Met<'_>) -> Vec<Fault> {
        if !self.in_full {
            return Vec::new();
        }
        let mut faults = mapper.never_met(&met.list);
        let withheld = met.withheld();
        if withheld > 0 {
            faults.push(Fault {
                place: met.list.clone(),
                field: None,
                what: format!("the source counts {withheld} more records than it gave; nobody is taken to be gone"),
                external_id: None,
                left_out: true,
            });
        }
        faults
    }
}

/// `at` in the form of `like`, a time that the source wrote: a date stays a
/// date, a time without a zone stays without. In a filter it then means the same.
pub(crate) fn shaped(at: DateTime<Utc>, like: &str) -> String {
    if like.parse::<NaiveDate>().is_ok() {
        at.date_naive().to_string()
    } else if DateTime::parse_from_rfc3339(like).is_ok() {
        at.to_rfc3339_opts(SecondsFormat::Secs, true)
    } else {
        at.format("%Y-%m-%dT%H:%M:%S").to_string()
    }
}

/// The mapping's line for `target`.
pub(crate) fn line(fields: &[Field], target: Target) -> Option<&Field> {
    fields.iter().find(|field| field.target == target)
}

/// A record's id, where the mapping finds it.
pub(crate) fn id(field: &Field, row: &Json) -> Option<String> {
    let texts = field.read(row).ok()??;
    let id = texts.first()?.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

/// A text as it stands in a record.
pub(crate) fn raw<'a>(row: &'a Json, from: &str) -> Option<&'a str> {
    let found = if from.starts_with('/') {
        row.pointer(from)
    } else {
        row.get(from)
    };
    found?.as_str()
}

/// The part of a mapping that says which units people name; none if they name none.
pub(crate) fn naming_units(mapping: &Mapping) -> Option<Mapping> {
    let pick = |target| line(&mapping.worker, target).cloned();
    Some(Mapping {
        worker: vec![pick(Target::Id)?, pick(Target::Unit)?],
        unit: Vec::new(),
    })
}

/// The fields of a mapping that none of the samples has; none if there are no samples.
pub(crate) fn lacks<'a>(mapping: &'a Mapping, samples: &[Sample]) -> Vec<&'a str> {
    let is_absent = |line: &&Field| {
        let absent = |sample: &Sample| matches!(line.read(&sample.record), Ok(None));
        !line.from.is_empty() && !samples.is_empty() && samples.iter().all(absent)
    };
    let absent = mapping.worker.iter().filter(is_absent);
    absent.map(|line| line.from.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field() -> Field {
        Field {
            target: Target::Id,
            from: "id".into(),
            transforms: Vec::new(),
        }
    }

    #[test]
    fn a_list_that_leads_in_a_circle_ends() {
        let field = field();
        let mut met = Met::new("User", Some(&field));
        assert!(met.go("a").is_ok());
        assert!(met.go("b").is_ok());
        assert!(met.go("a").is_err());
        let page = [json!({"id": "1"})];
        assert_eq!(met.page(&page), Ok(true));
        assert_eq!(met.page(&page), Ok(false));
        assert!(met.page(&page).is_err());
        assert_eq!(met.page(&[]), Ok(false));
    }

    #[test]
    fn nobody_is_gone_while_records_are_withheld() {
        let field = field();
        let mut met = Met::new("User", Some(&field));
        met.count = Some(4);
        assert_eq!(
            met.page(&[json!({"id": "1"}), json!({"id": 2}), json!({"id": ""})]),
            Ok(true)
        );
        assert_eq!(met.withheld(), 1);
        let ids = met.worker_ids();
        assert_eq!((ids.ids.len(), ids.unreadable), (2, 2));
    }

    #[test]
    fn a_record_from_the_future_does_not_hide_what_changes_until_then() {
        let mut progress = Progress::new("", true);
        for mark in ["2026-05-01T00:00:00Z", "2099-01-01T00:00:00Z", "no time"] {
            progress.note(&json!({"at": mark}), Some("at"));
        }
        let began = moment("2026-06-01T12:00:00Z");
        assert_eq!(progress.watermark(began).0, "2026-06-01T12:00:00Z");
        assert_eq!(progress.watermark(None).0, "2099-01-01T00:00:00Z");
        assert_eq!((progress.so_far().0.as_str(), progress.number), ("", 3));
    }

    #[test]
    fn a_time_of_change_keeps_its_form() {
        for (mark, before) in [
            ("2026-05-01T00:00:00Z", "2026-04-30T23:50:00Z"),
            ("2026-05-01T02:00:00.123+02:00", "2026-04-30T23:50:00Z"),
            ("2026-05-01T00:00:00", "2026-04-30T23:50:00"),
            ("2026-05-01", "2026-04-30"),
        ] {
            let at = moment(mark).expect("a time") - OVERLAP;
            assert_eq!(shaped(at, mark), before);
        }
    }
}

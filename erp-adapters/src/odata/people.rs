//! People of whom a list has several rows, each with the days on which it counts.

use std::collections::HashSet;

use chrono::NaiveDate;
use domain::mapping::Field;
use serde_json::Value as Json;

use crate::{Error, pages::id, web::malformed};

/// What a dated row has beside its values.
pub(super) const ROW: [&str; 3] = ["startDate", "endDate", "seqNumber"];

/// The record of a person, and the first and last day of work where rows say so.
pub(super) type Dated = (Json, (Option<NaiveDate>, Option<NaiveDate>));

/// Puts the rows of each person together. The list is asked for in the order of
/// ids, so that one person's rows are held at a time and not everybody's.
#[derive(Debug)]
pub(super) struct People<'a> {
    /// Where a row's id stands.
    id: Option<&'a Field>,
    /// Whose rows are being collected; none for a row without an id.
    current: Option<String>,
    rows: Vec<Json>,
    over: HashSet<String>,
}

impl<'a> People<'a> {
    pub(super) fn new(id: Option<&'a Field>) -> Self {
        Self {
            id,
            current: None,
            rows: Vec::new(),
            over: HashSet::new(),
        }
    }

    /// Takes a row of `list`; answers all rows of the person before, once the
    /// next one begins.
    ///
    /// # Errors
    /// [`Error::Malformed`] where a person's rows do not stand together: what was
    /// handed on already would have been chosen from a part of them.
    pub(super) fn take(&mut self, list: &str, row: Json) -> Result<Option<Vec<Json>>, Error> {
        let id = self.id.and_then(|field| id(field, &row));
        let same = id.is_some() && id == self.current;
        let before = if same { None } else { self.rest() };
        if let Some(id) = &id
            && self.over.contains(id)
        {
            let what = format!("are not in the order of ids: those of {id} stand apart");
            return Err(malformed(list, "the rows", &what));
        }
        self.current = id;
        self.rows.push(row);
        Ok(before)
    }

    /// All rows of the last person.
    pub(super) fn rest(&mut self) -> Option<Vec<Json>> {
        self.over.extend(self.current.take());
        let rows = std::mem::take(&mut self.rows);
        (!rows.is_empty()).then_some(rows)
    }
}

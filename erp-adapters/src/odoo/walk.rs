//! Reading a model in pages by when its rows changed, each row once.
//!
//! Odoo compares `write_date` to the second, so pages go by (write_date, id).
//! A row's date does not move when only what hangs on it changes: a contract of
//! an employee, a message of a ticket, an invoice of a client. Those parts have
//! dates of their own, and a delta reads the rows that they belong to as well.
//! The watermark keeps a time for the rows and one for each part, since either
//! may be far ahead of the other.
//!
//! The parts are asked for before the rows: a part that changes later has a
//! later date, so that the next pull sees it.

use std::collections::BTreeSet;

use chrono::{NaiveDateTime, TimeDelta};
use domain::erp::Watermark;
use serde_json::{Value as Json, json};

use super::{Odoo, Row, id, link, malformed};
use crate::Error;

/// `write_date` is when a transaction began. A long one (an import) shows its
/// rows only when it ends, with a time that a pull may have passed already.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
const PART_ROWS: usize = 2_000;
pub(super) const STAMP: &str = "%Y-%m-%d %H:%M:%S";

/// What is read.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) model: &'static str,
    pub(super) fields: Vec<String>,
    /// The terms that all have to hold.
    pub(super) domain: Vec<Json>,
    pub(super) parts: Vec<Part>,
    /// The most rows of a page.
    pub(super) rows: usize,
}

/// What hangs on the rows of a table and has a `write_date` of its own.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) model: &'static str,
    /// Its field that names the row.
    pub(super) row: &'static str,
    pub(super) domain: Vec<Json>,
}

/// How far a pull has come: everything up to here is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// None before the first row.
    pub(super) at: Option<NaiveDateTime>,
    id: i64,
}

/// A pull under way.
#[derive(Debug)]
pub(super) struct Walk {
    /// Where the last pull ended; none when all is read.
    since: Option<NaiveDateTime>,
    position: Position,
    /// How far each part is read.
    parts: Vec<Option<NaiveDateTime>>,
    /// What the parts said at the start.
    news: Option<News>,
    /// The rows read so far; in a delta only.
    seen: BTreeSet<i64>,
    rows_done: bool,
    /// Whether a page was given already.
    pub(super) begun: bool,
}

#[derive(Debug, Default)]
struct News {
    newest: Vec<Option<NaiveDateTime>>,
    /// Rows whose parts changed, the next one last.
    rows: Vec<i64>,
}

impl Walk {
    /// A pull of what changed since `since`, or of all.
    pub(super) fn since(since: Option<&Watermark>) -> Result<Self, Error> {
        let strange = || malformed("the last run", "watermark", "is not a time; run in full");
        let mut times = Vec::new();
        for time in since.iter().flat_map(|mark| mark.0.split('/')) {
            times.push(match time {
                "-" => None,
                time => Some(NaiveDateTime::parse_from_str(time, STAMP).map_err(|_| strange())?),
            });
        }
        let rows = times.first().copied().flatten();
        if since.is_some() && rows.is_none() {
            return Err(strange());
        }
        Ok(Self {
            since: rows,
            position: Position {
                at: rows.map(|at| at - OVERLAP),
                id: 0,
            },
            parts: times.into_iter().skip(1).collect(),
            news: None,
            seen: BTreeSet::new(),
            rows_done: false,
            begun: false,
        })
    }

    /// Until when everything is read, once this page is safe. A row may bear a
    /// date of days to come, from when Odoo's clock was wrong: what changes
    /// until then would never be read, so the mark stays behind Odoo's `now`.
    pub(super) fn watermark(&self, now: Option<NaiveDateTime>) -> Watermark {
        let past = |at: NaiveDateTime| now.map_or(at, |now| at.min(now));
        let rows = self.position.at.max(self.since).unwrap_or_default();
        let mut text = past(rows).format(STAMP).to_string();
        for part in &self.parts {
            text.push('/');
            match part {
                Some(at) => text.push_str(&past(*at).format(STAMP).to_string()),
                None => text.push('-'),
            }
        }
        Watermark(text)
    }
}

impl Odoo {
    /// The next rows of the pull, none at its end. `walk` has moved on then.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Malformed`] when the rows do not follow the
    /// order asked for, or the same page would come for ever.
    pub(super) async fn step(
        &self,
        table: &Table,
        walk: &mut Walk,
    ) -> Result<Option<Vec<Row>>, Error> {
        if walk.news.is_none() {
            // A clock that was set back dates changes before the last pull.
            let now = self.transport.now();
            if walk
                .since
                .zip(now)
                .is_some_and(|(since, now)| since > now + OVERLAP)
            {
                *walk = Walk::since(None)?;
            }
            walk.news = Some(self.news(table, walk).await?);
        }
        if !walk.rows_done {
            let mut domain = table.domain.clone();
            domain.extend(walk.position.domain());
            let rows = self.page(table, domain, "write_date asc, id asc").await?;
            if let Some(last) = rows.last() {
                let last = Position::of(last, table.model)?;
                if last <= walk.position {
                    let what = "does not follow the order that was asked for";
                    return Err(malformed(table.model, "write_date", what));
                }
                walk.position = last;
                if walk.since.is_some() {
                    walk.seen.extend(rows.iter().filter_map(id));
                }
                return Ok(Some(rows));
            }
            walk.rows_done = true;
        }
        let Some(news) = &mut walk.news else {
            return Ok(None);
        };
        while !news.rows.is_empty() {
            let rest = news.rows.len().saturating_sub(table.rows);
            let mut ids = news.rows.split_off(rest);
            ids.retain(|id| !walk.seen.contains(id));
            if ids.is_empty() {
                continue;
            }
            let mut domain = table.domain.clone();
            domain.push(json!(["id", "in", ids]));
            let rows = self.page(table, domain, "id asc").await?;
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
        // Now the parts are read as well; a last page without rows says so.
        if walk.parts == news.newest {
            return Ok(None);
        }
        walk.parts.clone_from(&news.newest);
        Ok(Some(Vec::new()))
    }

    async fn page(&self, table: &Table, domain: Vec<Json>, order: &str) -> Result<Vec<Row>, Error> {
        let body = json!({
            "domain": domain, "fields": table.fields, "order": order, "limit": table.rows,
            "context": {"active_test": false},
        });
        self.rows(table.model, body).await
    }

    /// In a delta, the rows whose parts changed; else how far the parts have come.
    async fn news(&self, table: &Table, walk: &mut Walk) -> Result<News, Error> {
        let mut news = News::default();
        if walk.since.is_none() {
            walk.parts.clear();
            for part in &table.parts {
                let body = json!({
                    "domain": part.domain, "fields": ["write_date"], "order": "write_date desc", "limit": 1,
                    "context": {"active_test": false},
                });
                let newest = self.rows(part.model, body).await?;
                let newest = newest.first().map(|row| Position::of(row, part.model));
                walk.parts
                    .push(newest.transpose()?.and_then(|newest| newest.at));
            }
            news.newest.clone_from(&walk.parts);
            return Ok(news);
        }
        // A part that was not there at the last pull is read from when that ended.
        walk.parts.resize(table.parts.len(), walk.since);
        let mut touched = BTreeSet::new();
        for (part, since) in table.parts.iter().zip(&walk.parts) {
            let mut position = Position {
                at: since.map(|at| at - OVERLAP),
                id: 0,
            };
            loop {
                let mut domain = part.domain.clone();
                domain.extend(position.domain());
                let body = json!({
                    "domain": domain, "fields": [part.row, "write_date"], "order": "write_date asc, id asc",
                    "limit": PART_ROWS, "context": {"active_test": false},
                });
                let rows = self.rows(part.model, body).await?;
                let Some(last) = rows.last() else { break };
                let last = Position::of(last, part.model)?;
                if last <= position {
                    let what = "does not follow the order that was asked for";
                    return Err(malformed(part.model, "write_date", what));
                }
                position = last;
                touched.extend(rows.iter().filter_map(|row| link(row.get(part.row)?)));
            }
            news.newest.push(position.at.max(*since));
        }
        news.rows = touched.into_iter().rev().collect();
        Ok(news)
    }
}

impl Position {
    pub(super) fn of(row: &Row, model: &str) -> Result<Self, Error> {
        let raw = row
            .get("write_date")
            .and_then(Json::as_str)
            .unwrap_or_default();
        let at = NaiveDateTime::parse_from_str(raw, STAMP)
            .map_err(|_| malformed(model, "write_date", "is not a time"))?;
        let id = id(row).ok_or_else(|| malformed(model, "id", "is not a number"))?;
        Ok(Self { at: Some(at), id })
    }

    fn domain(&self) -> Vec<Json> {
        let Some(at) = self.at else { return Vec::new() };
        let at = at.format(STAMP).to_string();
        vec![
            json!("|"),
            json!(["write_date", ">", at]),
            json!("&"),
            json!(["write_date", "=", at]),
            json!(["id", ">", self.id]),
        ]
    }
}

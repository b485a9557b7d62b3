//! Through a list page by page, however the service pages.

use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use domain::mapping::Field;
use reqwest::Url;

use super::{
    OData,
    wire::{Chunk, Version, Wanted, query},
};
use crate::{
    Error,
    pages::Met,
    web::{Ask, good},
};

/// What is asked of a list.
#[derive(Debug, Default, Clone)]
pub(super) struct List {
    /// The entity set, a path below the service.
    pub(super) set: String,
    pub(super) wanted: Wanted,
    pub(super) filter: Option<String>,
    /// More of the query, as it stands there.
    pub(super) extra: String,
    /// Whether links to later changes are asked for.
    pub(super) track: bool,
    /// Whether a person has several records: those of one have to stand together.
    pub(super) rows: bool,
}

#[derive(Debug)]
enum Step {
    /// From the record of this number on.
    From(u64),
    Link(Url),
    /// A link to changes, which may have died.
    Changes(Url),
    Done,
}

/// A list on its way through its pages.
///
/// A service that pages by itself says where the next page is, and the list ends
/// where it says nothing. With a page size of our own, `$top` and `$skip` go on
/// until an empty page. A service that says how many there are and stops before
/// is asked for the rest by `$skip`: it cuts its answers without saying so.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    odata: &'a OData,
    list: List,
    /// Where a record's id stands.
    id: Option<&'a Field>,
    step: Step,
    rows: u64,
    pub(super) met: Met<'a>,
    /// What the service's clock said when the walk began.
    pub(super) began: Option<DateTime<Utc>>,
    pub(super) delta: Option<Url>,
    /// Whether a link to changes had died, and the whole list is read instead.
    pub(super) restarted: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(odata: &'a OData, list: List, id: Option<&'a Field>) -> Self {
        let mut met = Met::new(&list.set, id);
        met.several = list.rows;
        Self {
            odata,
            met,
            list,
            id,
            step: Step::From(0),
            rows: 0,
            began: None,
            delta: None,
            restarted: false,
        }
    }

    /// The same list, but what changed since `link` was given.
    pub(super) fn changes(mut self, link: Url) -> Self {
        self.step = Step::Changes(link);
        self
    }

    /// The next page; none after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        loop {
            let url = match &self.step {
                Step::Done => return Ok(None),
                Step::From(skip) => self.from(*skip)?,
                Step::Link(url) | Step::Changes(url) => url.clone(),
            };
            if !matches!(self.step, Step::From(_)) {
                self.met.go(url.as_str())?;
            }
            let mut ask = Ask::get(url.clone()).with("accept", self.odata.version.accept());
            let prefer = match (self.odata.version, self.list.track) {
                (Version::V2, _) => None,
                (Version::V4, false) => Some("odata.maxpagesize=1000"),
                (Version::V4, true) => Some("odata.maxpagesize=1000, odata.track-changes"),
            };
            // Some send 20,000 records at once unless they are asked for less.
            if let Some(prefer) = prefer {
                ask = ask.with("prefer", prefer);
            }
            let answer = self.odata.web.ask(&ask, &self.list.set).await?;
            match (answer.status.as_u16(), &self.step) {
                // The link is too old: all is read again, and a new one comes.
                (404 | 410, Step::Changes(_)) => {
                    self.step = Step::From(0);
                    self.restarted = true;
                    continue;
                }
                // A field that it does not have, or a count that it does not give:
                // asked for plainly, the rest can be read, and the mapping says what is missing.
                (400 | 501, Step::From(_)) if self.odata.plainly.load(Ordering::Relaxed) < 2 => {
                    self.odata.plainly.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                _ => {}
            }
            let answer = good(answer, &self.list.set)?;
            let mut chunk = self.odata.version.chunk(&answer.body, &self.list.set)?;
            chunk.date = answer.date;
            self.began = self.began.or(answer.date);
            return if self.take(&chunk, &url)? {
                Ok(Some(chunk))
            } else {
                Ok(None)
            };
        }
    }

    /// Takes note of a page and of where the next one is; false after the last.
    fn take(&mut self, chunk: &Chunk, url: &Url) -> Result<bool, Error> {
        self.rows += chunk.rows.len() as u64;
        self.met.count = chunk.count.or(self.met.count);
        let is_new = self.met.page(&chunk.rows)?;
        let skipped = matches!(self.step, Step::From(skip) if skip > 0);
        if skipped && !chunk.rows.is_empty() && !is_new {
            return Err(self
                .met
                .never_ends("holds the records of the one before: $skip is not followed"));
        }
        let odata = self.odata;
        let missing = self.met.withheld() > 0;
        let lead = |link: &str| {
            // A relative link begins at the service's root (OData v4 JSON, 4.6), a mere query at the list.
            let root = odata.web.http.below("")?;
            let from = if link.starts_with('?') { url } else { &root };
            odata.web.http.link(link, from)
        };
        self.step = match (&chunk.next, &chunk.delta) {
            (Some(next), _) => Step::Link(lead(next)?),
            (None, Some(delta)) => {
                self.delta = Some(lead(delta)?);
                Step::Done
            }
            _ if chunk.rows.is_empty() => Step::Done,
            _ if odata.page_size.is_some() || missing => Step::From(self.rows),
            _ => Step::Done,
        };
        Ok(!chunk.rows.is_empty() || chunk.next.is_some())
    }

    fn from(&self, skip: u64) -> Result<Url, Error> {
        let odata = self.odata;
        let plainly = odata.plainly.load(Ordering::Relaxed);
        let mut options = self.list.wanted.options(odata.version, plainly == 0);
        if let Some(filter) = &self.list.filter {
            options.push(("$filter", filter.clone()));
        }
        if plainly < 2 {
            options.push(match odata.version {
                Version::V2 => ("$inlinecount", "allpages".into()),
                Version::V4 => ("$count", "true".into()),
            });
        }
        // Without an order of its own, a list may come in another one each time.
        let ordered = self.list.rows || odata.page_size.is_some() || skip > 0;
        if let Some(id) = self.id.filter(|id| ordered && !id.from.is_empty()) {
            let id = id.from.trim_start_matches('/');
            let then = if self.list.rows { ",startDate" } else { "" };
            options.push(("$orderby", format!("{id}{then}")));
        }
        if let Some(size) = odata.page_size {
            options.push(("$top", size.to_string()));
        }
        if skip > 0 {
            options.push(("$skip", skip.to_string()));
        }
        if odata.version == Version::V2 {
            options.push(("$format", "json".into()));
        }
        let extra: Vec<_> = [&odata.query, &self.list.extra]
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(String::as_str)
            .collect();
        odata
            .web
            .http
            .below(&query(&self.list.set, &options, &extra.join("&")))
    }
}

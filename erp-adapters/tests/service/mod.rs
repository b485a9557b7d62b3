//! What the tests of services over HTTP have in common: opening one that is forced to fail soon, and
//! reading it.

use std::{collections::BTreeMap, time::Duration};

use domain::erp::{Watermark, Worker};
use erp_adapters::{ErpAdapter, Error, Guard, Limits, Page, open};
use futures::TryStreamExt as _;
use serde_json::Value as Json;

const LIMITS: Limits = Limits {
    connect: Duration::from_millis(500),
    idle: Duration::from_millis(500),
    total: Duration::from_secs(5),
    bytes: 256 << 10,
};

type Opened = Result<Box<dyn ErpAdapter>, Error>;

/// A source of the kind `kind`, with a mapping as it is exported.
pub(crate) fn try_open(kind: &str, settings: &[(&str, &str)], mapping: Option<Json>) -> Opened {
    let guard = Guard::new(["127.0.0.1"])
        .expect("a list")
        .with_limits(LIMITS);
    let settings: BTreeMap<_, _> = settings
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let mapping = mapping.map(|json| serde_json::from_value(json).expect("a mapping"));
    open(kind, &settings, mapping.as_ref(), &guard)
}

/// All pages, of everyone or of those changed since a watermark.
pub(crate) async fn pull(source: &dyn ErpAdapter, since: Option<&str>) -> Result<Vec<Page>, Error> {
    let since = since.map(|mark| Watermark(mark.to_owned()));
    source.workers(since).try_collect().await
}

pub(crate) fn workers(pages: &[Page]) -> Vec<&Worker> {
    pages.iter().flat_map(|page| &page.workers).collect()
}

pub(crate) fn names(pages: &[Page]) -> Vec<String> {
    workers(pages).iter().map(|worker| worker.name()).collect()
}

pub(crate) fn faults(pages: &[Page]) -> Vec<String> {
    let all = pages.iter().flat_map(|page| &page.faults);
    all.map(|fault| format!("{}: {}", fault.place, fault.what))
        .collect()
}

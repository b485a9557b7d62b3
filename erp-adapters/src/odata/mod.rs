//! OData v2 and v4: any service whose fields a mapping names, and presets for
//! those of SAP and Microsoft.
//!
//! What shapes this file, each found by calls to a running SAP CAP (which serves
//! both versions) or stated by the products' documentation:
//!
//! - A next link is relative in v4 and whole in v2, there with the host name that
//!   the service believes it has. The key goes with every question, so a link
//!   elsewhere is refused; see [`Http::link`](crate::net::Http::link).
//! - `$select` of a field that does not exist is a 400 for the whole list.
//! - A v2 filter has to name the type of a time: what the service wrote with an
//!   offset is a `datetimeoffset`, anything else a `datetime`.
//! - Decimals are texts in v2, and in v4 only when asked for with
//!   `IEEE754Compatible=true`.
//! - Effective-dated rows (SuccessFactors) begin to count on a day on which
//!   nothing changes, so a list with such rows is always read in full. They
//!   stand in a person's record, or are themselves the list.
//! - There is no list of what was deleted but in Business Central's changes:
//!   whoever is gone is seen by comparing ids.

use std::sync::{Mutex, PoisonError, atomic::AtomicU8};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    Attribute, Value,
    erp::{Fault, Photo, Watermark, Worker},
    mapping::{Field, Mapping, Target},
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value as Json, json};

use self::{
    clients::Fields,
    people::{Dated, People, ROW},
    setup::want,
    walk::{List, Walk},
    wire::{Version, Wanted, effective},
};
use crate::{
    Access, ClientPage, ErpAdapter, Error, Page, Probe, Readable, Sample, Structure, WorkerIds,
    mapped::{Mapper, moment},
    pages::{OVERLAP, Progress, SAMPLES, id, lacks, line, naming_units, raw, shaped},
    web::{Ask, Web, decoded, good, malformed},
};

mod clients;
mod people;
mod setup;
mod walk;
mod wire;

pub(crate) use setup::KIND;

/// What a watermark begins with that is a link to changes and no time.
const CHANGES: &str = "changes:";

/// An OData service.
#[derive(Debug)]
pub struct OData {
    web: Web,
    version: Version,
    /// The product's name, if a preset says it.
    label: String,
    people: List,
    units: Option<List>,
    clients: Option<(List, Fields)>,
    /// More of every query.
    query: String,
    page_size: Option<u64>,
    /// Where the rows stand that count from day to day.
    segments: Option<Segments>,
    /// The address of one person, with `{id}`.
    person: String,
    /// The address of a photo, with `{id}`, and where in its answer it stands.
    photo: Option<String>,
    photo_at: Option<String>,
    /// The currency of accounts that name none.
    currency: Option<String>,
    mapping: Mapping,
    writable: Vec<Attribute>,
    /// How plainly lists have to be asked for: 1 without `$select`, 2 also without a count.
    plainly: AtomicU8,
    /// Who was there in a full pull that has just ended.
    met: Mutex<Option<WorkerIds>>,
}

/// Where rows stand of which one counts each day.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segments {
    /// In a person's record, at this pointer.
    Within(String),
    /// Each record of the list is one, and several are of one person.
    Records,
}

impl OData {
    fn id_field(&self) -> Option<&Field> {
        line(&self.mapping.worker, Target::Id)
    }

    /// Where a person's time of change stands.
    fn changed(&self) -> Option<&str> {
        line(&self.mapping.worker, Target::ChangedAt).map(|field| field.from.as_str())
    }

    fn system(&self) -> String {
        let version = self.version.name();
        if self.label.is_empty() {
            format!("OData {version}")
        } else {
            format!("{} (OData {version})", self.label)
        }
    }

    /// The day by the service's clock: rows begin and end by it.
    fn day(&self, date: Option<DateTime<Utc>>) -> Result<NaiveDate, Error> {
        let missing = "is missing; without it nobody knows which dated row counts";
        let date = date.ok_or_else(|| malformed(&self.people.set, "the header Date", missing))?;
        Ok(date.date_naive())
    }

    /// The record of a person made of all their rows: the one that counts.
    fn merge(&self, rows: Vec<Json>, date: Option<DateTime<Utc>>) -> Result<Dated, Error> {
        let found = effective(&rows, self.day(date)?);
        // Without a single date there is nothing to choose by: the last word counts.
        let last = rows.into_iter().next_back();
        Ok(match found {
            Some(found) => (found.row, (found.begins, found.ends)),
            None => (last.unwrap_or_default(), (None, None)),
        })
    }

    /// Puts the row that counts `today` in the place of all the dated ones.
    fn settle(
        &self,
        row: &mut Json,
        today: Option<DateTime<Utc>>,
    ) -> Result<(Option<NaiveDate>, Option<NaiveDate>), Error> {
        let Some(Segments::Within(at)) = &self.segments else {
            return Ok((None, None));
        };
        let today = self.day(today)?;
        let Some(rows) = row.pointer_mut(at) else {
            return Ok((None, None));
        };
        let found = rows.as_array().and_then(|rows| effective(rows, today));
        Ok(match found {
            Some(found) => {
                *rows = found.row;
                (found.begins, found.ends)
            }
            None => {
                if rows.is_array() {
                    *rows = Json::Null;
                }
                (None, None)
            }
        })
    }

    /// A record of `people` as a worker.
    fn worker<'a>(
        &'a self,
        mapper: &mut Mapper<'a>,
        (row, (begins, ends)): Dated,
        number: u64,
        faults: &mut Vec<Fault>,
    ) -> Option<Worker> {
        let place = match self.id_field().and_then(|field| id(field, &row)) {
            Some(id) => format!("{} {id}", self.people.set),
            None => format!("{}, record {number}", self.people.set),
        };
        let mut worker = mapper.worker(&place, &row, faults)?;
        worker.starts_on = worker.starts_on.or(begins);
        worker.ends_on = worker.ends_on.or(ends);
        if self.photo.is_some() && worker.photo.is_none() {
            // It may be another whenever the record is.
            let changed = self.changed().and_then(|at| raw(&row, at));
            worker.photo = Some(changed.unwrap_or("once").to_owned());
        }
        Some(worker)
    }

    async fn pull<'a>(&'a self, mut pull: Pull<'a>) -> Result<Option<(Page, Pull<'a>)>, Error> {
        if pull.progress.ended {
            return Ok(None);
        }
        let chunk = pull.walk.next().await?;
        pull.progress.in_full |= pull.walk.restarted;
        let Some(chunk) = chunk else {
            pull.progress.ended = true;
            let mut faults = Vec::new();
            let mut workers = Vec::new();
            if let Some(rows) = pull.people.rest() {
                let person = self.merge(rows, pull.walk.began)?;
                let number = pull.progress.number;
                workers.extend(self.worker(&mut pull.mapper, person, number, &mut faults));
            }
            faults.extend(pull.progress.findings(&pull.mapper, &pull.walk.met));
            let page = Page {
                workers,
                faults,
                watermark: match &pull.walk.delta {
                    Some(link) => changes(link),
                    None => pull.progress.watermark(pull.walk.began),
                },
            };
            if pull.progress.in_full {
                let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
                *met = Some(pull.walk.met.worker_ids());
            }
            return Ok(Some((page, pull)));
        };
        let mut faults = Vec::new();
        let mut workers = Vec::with_capacity(chunk.rows.len());
        for mut row in chunk.rows {
            pull.progress.note(&row, self.changed());
            let number = pull.progress.number;
            let person = if self.segments == Some(Segments::Records) {
                match pull.people.take(&self.people.set, row)? {
                    Some(rows) => self.merge(rows, chunk.date)?,
                    None => continue,
                }
            } else {
                let days = self.settle(&mut row, chunk.date)?;
                (row, days)
            };
            workers.extend(self.worker(&mut pull.mapper, person, number, &mut faults));
        }
        let page = Page {
            workers,
            faults,
            watermark: pull.progress.so_far(),
        };
        Ok(Some((page, pull)))
    }

    /// Where to begin: with everyone, with those changed since a time, or by a link to changes.
    fn begin(&self, since: Option<&Watermark>) -> Result<Pull<'_>, Error> {
        let since = since.map(|mark| mark.0.as_str()).unwrap_or_default();
        let mut list = self.people.clone();
        let mut changes = None;
        let mut in_full = true;
        // Rows that count from day to day change without a change.
        if self.segments.is_none() && !since.is_empty() {
            if let Some(link) = since.strip_prefix(CHANGES) {
                if list.track {
                    let base = self.web.http.below("")?;
                    changes = Some(self.web.http.link(link, &base)?);
                    in_full = false;
                }
            } else if let (Some(field), Some(at)) = (self.changed(), moment(since)) {
                self.newer(&mut list, field, at, since);
                in_full = false;
            }
        }
        let walk = Walk::new(self, list, self.id_field());
        Ok(Pull {
            walk: match changes {
                Some(link) => walk.changes(link),
                None => walk,
            },
            mapper: Mapper::new(&self.mapping),
            progress: Progress::new(since, in_full),
            people: People::new(self.id_field()),
        })
    }

    /// Asks `list` for what changed at `at` or a little before, in the form of `like`.
    fn newer(&self, list: &mut List, field: &str, at: DateTime<Utc>, like: &str) {
        let mark = self.version.literal(&shaped(at - OVERLAP, like));
        let newer = format!("{} ge {mark}", field.trim_start_matches('/'));
        list.filter = Some(match &list.filter {
            Some(filter) => format!("({filter}) and {newer}"),
            None => newer,
        });
    }

    async fn tour<'a>(
        &'a self,
        fields: &Fields,
        mut tour: Tour<'a>,
    ) -> Result<Option<(ClientPage, Tour<'a>)>, Error> {
        if tour.progress.ended {
            return Ok(None);
        }
        let mut page = ClientPage {
            clients: Vec::new(),
            faults: Vec::new(),
            watermark: tour.progress.so_far(),
        };
        let Some(chunk) = tour.walk.next().await? else {
            tour.progress.ended = true;
            page.watermark = tour.progress.watermark(tour.walk.began);
            return Ok(Some((page, tour)));
        };
        for row in &chunk.rows {
            tour.progress.note(row, fields.changed());
            let number = tour.progress.number;
            let place = match id(&fields.id, row) {
                Some(id) => format!("client {id}"),
                None => format!("clients, record {number}"),
            };
            let client = fields.client(&place, row, self.currency.as_deref(), &mut page.faults);
            page.clients.extend(client);
        }
        Ok(Some((page, tour)))
    }

    /// How many records each list has, asked in one trip where the service takes batches.
    async fn counts(&self, lists: &[&List]) -> Result<Vec<Result<u64, Error>>, Error> {
        let paths: Vec<String> = lists
            .iter()
            .map(|list| {
                let filter = list.filter.clone().map(|filter| ("$filter", filter));
                let options: Vec<_> = filter.into_iter().collect();
                wire::query(&format!("{}/$count", list.set), &options, &self.query)
            })
            .collect();
        let number = |body: &[u8], list: &List| {
            let text = String::from_utf8_lossy(body);
            let text = text.trim().trim_start_matches('\u{feff}');
            text.parse()
                .map_err(|_| malformed(&list.set, "$count", "is not a number"))
        };
        if lists.len() > 1
            && let Some(parts) = self.batch(&paths).await?
        {
            let judged = parts
                .iter()
                .zip(lists)
                .map(|(part, list)| match part.status {
                    200..=299 => number(&part.body, list),
                    403 => Err(Error::Forbidden {
                        what: list.set.clone(),
                    }),
                    status => Err(Error::Rejected {
                        what: format!("answered {} with {status}", list.set),
                    }),
                });
            return Ok(judged.collect());
        }
        let mut counts = Vec::with_capacity(lists.len());
        for (path, list) in paths.iter().zip(lists) {
            let ask = Ask::get(self.web.http.below(path)?).with("accept", "text/plain, */*");
            let asked = self.web.ask(&ask, &list.set).await;
            let count = asked
                .and_then(|answer| good(answer, &list.set))
                .and_then(|answer| number(&answer.body, list));
            counts.push(may_fail(count)?);
        }
        Ok(counts)
    }

    /// Several reads in one question; none where the service takes no batches.
    async fn batch(&self, paths: &[String]) -> Result<Option<Vec<wire::Part>>, Error> {
        let forms: &[bool] = match self.version {
            Version::V2 => &[false],
            Version::V4 => &[true, false],
        };
        for as_json in forms {
            let (media_type, body) = wire::batch(paths, *as_json, "*/*");
            let mut ask = Ask::get(self.web.http.below("$batch")?).with(
                "accept",
                if *as_json {
                    "application/json"
                } else {
                    "multipart/mixed"
                },
            );
            ask.method = Method::POST;
            ask.body = Some(body);
            let media_type = HeaderValue::try_from(media_type);
            ask.headers
                .extend(media_type.ok().map(|media_type| (CONTENT_TYPE, media_type)));
            let answer = match may_fail(self.web.ask(&ask, "$batch").await)? {
                Ok(answer) if answer.status.is_success() => answer,
                _ => continue,
            };
            if let Ok(parts) = wire::parts(&answer.body, *as_json, paths.len()) {
                return Ok(Some(parts));
            }
        }
        Ok(None)
    }
}

/// A pull of people on its way.
struct Pull<'a> {
    walk: Walk<'a>,
    mapper: Mapper<'a>,
    progress: Progress,
    people: People<'a>,
}

/// A pull of clients on its way.
struct Tour<'a> {
    walk: Walk<'a>,
    progress: Progress,
}

#[async_trait]
impl ErpAdapter for OData {
    async fn probe(&self) -> Result<Probe, Error> {
        let clients = self.clients.as_ref().map(|(list, _)| list);
        let lists: Vec<_> = [Some(&self.people), self.units.as_ref(), clients]
            .into_iter()
            .flatten()
            .collect();
        let mut counts = lists.iter().copied().zip(self.counts(&lists).await?);
        let people = match counts.next() {
            // A row is no person where several are of one.
            Some((_, Ok(people))) if self.segments != Some(Segments::Records) => people,
            Some((_, Err(error @ Error::Forbidden { .. }))) => return Err(error),
            // A service without `$count` is counted by hand.
            _ => self.worker_ids().await?.ids.len() as u64,
        };
        let samples = self.sample(SAMPLES).await?;
        let lacks = lacks(&self.mapping, &samples);
        let mut access = vec![Access {
            what: format!("People ({})", self.people.set),
            readable: if lacks.is_empty() {
                Readable::Yes
            } else {
                Readable::Reduced
            },
            note: if lacks.is_empty() {
                "Every field of the mapping may be read.".into()
            } else {
                format!("No record that was looked at has {}.", lacks.join(", "))
            },
        }];
        let mut units = 0;
        for (list, count) in counts {
            let is_units = self
                .units
                .as_ref()
                .is_some_and(|units| units.set == list.set);
            access.push(Access {
                what: format!(
                    "{} ({})",
                    if is_units { "Units" } else { "Clients" },
                    list.set
                ),
                readable: if count.is_ok() {
                    Readable::Yes
                } else {
                    Readable::No
                },
                note: match &count {
                    Ok(count) => format!("{count} may be read."),
                    Err(error) => format!("Not readable: {error}."),
                },
            });
            if is_units {
                units = count.unwrap_or(0);
            }
        }
        if line(&self.mapping.worker, Target::Manager).is_none() {
            access.push(Access {
                what: "Managers".into(),
                readable: Readable::No,
                note:
                    "The mapping has no field for them: another source has to say who leads whom."
                        .into(),
            });
        }
        Ok(Probe {
            system: self.system(),
            people,
            units,
            access,
        })
    }

    async fn units(&self) -> Result<Structure, Error> {
        let mut structure = Structure::default();
        let Some(list) = &self.units else {
            let Some(narrowed) = naming_units(&self.mapping) else {
                return Ok(structure);
            };
            let mut mapper = Mapper::new(&narrowed);
            let mut list = List {
                wanted: Wanted::default(),
                track: false,
                ..self.people.clone()
            };
            if let Some(Segments::Within(at)) = &self.segments {
                list.wanted.relation(at.trim_start_matches('/'));
            }
            narrowed
                .worker
                .iter()
                .for_each(|field| want(&mut list.wanted, field));
            let rows = self.segments == Some(Segments::Records);
            if rows {
                ROW.iter().for_each(|field| list.wanted.field(field));
            }
            let mut walk = Walk::new(self, list, self.id_field());
            let mut people = People::new(self.id_field());
            let mut name = |row: &Json| drop(mapper.worker("", row, &mut Vec::new()));
            while let Some(chunk) = walk.next().await? {
                for mut row in chunk.rows {
                    if !rows {
                        self.settle(&mut row, chunk.date)?;
                        name(&row);
                    } else if let Some(rows) = people.take(&self.people.set, row)? {
                        name(&self.merge(rows, chunk.date)?.0);
                    }
                }
            }
            if let Some(rows) = people.rest() {
                name(&self.merge(rows, walk.began)?.0);
            }
            structure.units = mapper.named_units();
            return Ok(structure);
        };
        let mut mapper = Mapper::new(&self.mapping);
        let mut walk = Walk::new(self, list.clone(), line(&self.mapping.unit, Target::Id));
        loop {
            let chunk = match walk.next().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(structure),
                Err(error @ Error::Forbidden { .. }) => {
                    structure.faults.push(Fault {
                        place: list.set.clone(),
                        field: None,
                        what: format!("{error}; people have no unit"),
                        external_id: None,
                        left_out: true,
                    });
                    return Ok(structure);
                }
                Err(error) => return Err(error),
            };
            for row in &chunk.rows {
                structure
                    .units
                    .extend(mapper.unit(&list.set, row, &mut structure.faults));
            }
        }
    }

    fn workers(&self, since: Option<Watermark>) -> BoxStream<'_, Result<Page, Error>> {
        *self.met.lock().unwrap_or_else(PoisonError::into_inner) = None;
        stream::try_unfold(None, move |pull: Option<Pull<'_>>| {
            let since = since.clone();
            async move {
                let pull = match pull {
                    Some(pull) => pull,
                    None => self.begin(since.as_ref())?,
                };
                Ok(self
                    .pull(pull)
                    .await?
                    .map(|(page, pull)| (page, Some(pull))))
            }
        })
        .boxed()
    }

    async fn worker_ids(&self) -> Result<WorkerIds, Error> {
        // A full pull has just met everyone.
        let met = self
            .met
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(met) = met {
            return Ok(met);
        }
        let mut list = List {
            wanted: Wanted::default(),
            track: false,
            ..self.people.clone()
        };
        if let Some(field) = self.id_field() {
            want(&mut list.wanted, field);
        }
        let mut walk = Walk::new(self, list, self.id_field());
        while walk.next().await?.is_some() {}
        Ok(walk.met.worker_ids())
    }

    async fn photo(&self, external_id: &str) -> Result<Option<Photo>, Error> {
        let what = format!("the photo of {} {external_id}", self.people.set);
        let photo = |bytes| Photo { bytes };
        if let Some(template) = &self.photo {
            let url = self.web.http.below(&wire::person(template, external_id))?;
            return Ok(self
                .web
                .photo(url, self.photo_at.as_deref(), &what)
                .await?
                .map(photo));
        }
        let Some(field) = line(&self.mapping.worker, Target::Photo) else {
            return Ok(None);
        };
        let url = self
            .web
            .http
            .below(&wire::person(&self.person, external_id))?;
        let ask = Ask::get(url).with("accept", self.version.accept());
        let answer = self.web.ask(&ask, &what).await?;
        if answer.status.as_u16() == 404 {
            return Ok(None);
        }
        let record = self.version.record(&good(answer, &what)?.body, &what)?;
        match field.read(&record) {
            Ok(Some(texts)) => texts
                .first()
                .map_or(Ok(None), |text| Ok(decoded(text, &what)?.map(photo))),
            _ => Ok(None),
        }
    }

    fn writable(&self) -> &[Attribute] {
        &self.writable
    }

    async fn write(
        &self,
        external_id: &str,
        attribute: Attribute,
        value: Option<&Value>,
    ) -> Result<(), Error> {
        let what = format!("write {}", attribute.name());
        let field = line(&self.mapping.worker, Target::Attribute(attribute))
            .filter(|_| self.writable.contains(&attribute))
            .ok_or_else(|| Error::Forbidden { what: what.clone() })?;
        let name = field.from.trim_start_matches('/');
        let url = self
            .web
            .http
            .below(&wire::person(&self.person, external_id))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // Whatever stands there is replaced; somebody who is gone is not made anew.
        headers.insert(
            HeaderName::from_static("if-match"),
            HeaderValue::from_static("*"),
        );
        let method = match self.version {
            Version::V4 => Method::PATCH,
            Version::V2 => {
                let merge = HeaderValue::from_static("MERGE");
                headers.insert(HeaderName::from_static("x-http-method"), merge);
                Method::POST
            }
        };
        let body = json!({ name: value.and_then(Value::as_text) }).to_string();
        let ask = Ask {
            method,
            url,
            headers,
            body: Some(body.into_bytes()),
            reads: false,
        };
        let answer = self.web.ask(&ask, &what).await?;
        good(answer, &format!("to {what}")).map(drop)
    }

    async fn sample(&self, limit: usize) -> Result<Vec<Sample>, Error> {
        let mut list = self.people.clone();
        list.track = false;
        list.wanted = Wanted::default();
        for path in self.people.wanted.paths() {
            list.wanted.relation(&path);
        }
        let mut walk = Walk::new(self, list, self.id_field());
        let mut samples = Vec::new();
        while samples.len() < limit
            && let Some(chunk) = walk.next().await?
        {
            for mut row in chunk.rows {
                self.settle(&mut row, chunk.date)?;
                let place = match self.id_field().and_then(|field| id(field, &row)) {
                    Some(id) => format!("{} {id}", self.people.set),
                    None => format!("{}, record {}", self.people.set, samples.len() + 1),
                };
                samples.push(Sample { place, record: row });
            }
        }
        samples.truncate(limit);
        Ok(samples)
    }

    fn clients(&self, since: Option<Watermark>) -> BoxStream<'_, Result<ClientPage, Error>> {
        let Some((list, fields)) = &self.clients else {
            return stream::empty().boxed();
        };
        let since = since.map(|mark| mark.0).unwrap_or_default();
        let mut list = list.clone();
        if let (Some(field), Some(at)) = (fields.changed(), moment(&since)) {
            self.newer(&mut list, field, at, &since);
        }
        let tour = Tour {
            walk: Walk::new(self, list, Some(&fields.id)),
            progress: Progress::new(&since, false),
        };
        stream::try_unfold(tour, move |tour| self.tour(fields, tour)).boxed()
    }
}

/// A link to changes as a watermark, without the host: a service may move.
fn changes(link: &Url) -> Watermark {
    let query = link
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    Watermark(format!("{CHANGES}{}{query}", link.path()))
}

/// Keeps what is about one question as an answer, and lets the rest end the probe.
fn may_fail<T>(result: Result<T, Error>) -> Result<Result<T, Error>, Error> {
    match result {
        Err(
            error @ (Error::Unauthorized
            | Error::NotAllowed { .. }
            | Error::Unreachable { .. }
            | Error::TimedOut { .. }
            | Error::RateLimited { .. }),
        ) => Err(error),
        result => Ok(result),
    }
}

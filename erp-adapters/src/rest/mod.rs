//! Any REST service that answers in JSON: where its lists are, how they page,
//! and a mapping by JSON pointer; and presets for some that are widespread.
//!
//! The presets follow the products' documentation; nobody here has a licence to
//! call them. Their answers' shapes are served by the tests.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::{
    erp::{Fault, Photo, Watermark, Worker},
    mapping::{Field, Mapping, Target},
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::Value as Json;

use crate::{
    Access, ErpAdapter, Error, Guard, Kind, Page, Probe, Readable, Sample, Structure, WorkerIds,
    mapped::{Mapper, moment},
    pages::{Met, OVERLAP, Progress, SAMPLES, id, lacks, line, naming_units, raw},
    preset,
    registry::{optional, secret, setting},
    web::{Ask, Web, decoded, given, good, json, malformed, percent},
};

/// What has to be known about a REST service.
pub(crate) const KIND: Kind = Kind {
    name: "rest",
    label: "REST service with JSON",
    help: "Reads people and units from any service that answers lists in JSON, by a mapping or a preset.",
    settings: &[
        setting(
            "url",
            "Address",
            "Where the service is, such as https://erp.example/api; every other path is below it.",
        ),
        optional(
            "preset",
            "Preset",
            "erpnext, bamboohr or workday: settings and mapping from the product's documentation. What is entered below takes their place.",
        ),
        optional(
            "user",
            "User",
            "To sign in with a user and password (Basic). With BambooHR, the API key.",
        ),
        secret("password", "Password", "The user's password."),
        secret(
            "token",
            "Token",
            "To sign in with a bearer token that does not expire.",
        ),
        optional(
            "key_header",
            "Header of the key",
            "To sign in with an API key: the name of the header, such as X-Api-Key.",
        ),
        secret(
            "key",
            "Key",
            "The header's whole content. With ERPNext, token API_KEY:API_SECRET.",
        ),
        optional(
            "token_url",
            "Address for tokens",
            "To sign in with OAuth 2.0 client credentials: where tokens are given out.",
        ),
        optional("client_id", "Client id", "The client that asks for tokens."),
        secret("client_secret", "Client secret", "The client's secret."),
        optional(
            "scope",
            "Scope",
            "What the token is asked for, if the service wants to know.",
        ),
        optional(
            "people",
            "People",
            "The path of the list of people with its parameters, such as v1/people?active=all.",
        ),
        optional(
            "people_body",
            "Question for people",
            "JSON that is posted to ask for people; without it the list is got.",
        ),
        optional(
            "people_at",
            "Where people stand",
            "JSON pointer to the list in an answer, such as /data; empty if the answer is the list.",
        ),
        optional(
            "units",
            "Units",
            "The path of the list of units; without it they are those that people name.",
        ),
        optional(
            "units_at",
            "Where units stand",
            "JSON pointer to the list in an answer.",
        ),
        optional(
            "ids",
            "Ids",
            "The path of a list of all people with nothing but their ids; without it all people are read.",
        ),
        optional(
            "paging",
            "Paging",
            "none, page (a number), offset (records to skip), cursor (a text from the answer), next (a link in the answer) or link (the Link header).",
        ),
        optional(
            "page_param",
            "Parameter that turns the page",
            "page, offset or cursor unless something else is entered.",
        ),
        optional(
            "size_param",
            "Parameter of the page's size",
            "limit unless something else is entered.",
        ),
        optional(
            "page_size",
            "Page size",
            "How many records a page is asked to have; not asked for if empty.",
        ),
        optional(
            "first_page",
            "First page",
            "The number of the first page: 1 unless something else is entered.",
        ),
        optional(
            "next_at",
            "Where the next page stands",
            "JSON pointer to the cursor or link of the next page.",
        ),
        optional(
            "total_at",
            "Where the total stands",
            "JSON pointer to how many records there are, so that a list that was cut is noticed.",
        ),
        optional(
            "since",
            "Changed since",
            "The parameter that asks for changes, with {since} for the time, such as updated_after={since}. Without it every run reads all.",
        ),
        optional(
            "since_format",
            "Form of that time",
            "In the form of strftime: %Y-%m-%dT%H:%M:%SZ unless something else is entered.",
        ),
        optional(
            "person",
            "Person",
            "The path of one person with {id}, for photos that stand in the record.",
        ),
        optional(
            "person_at",
            "Where the person stands",
            "JSON pointer to the record in that answer.",
        ),
        optional("photo", "Photo", "The path of a person's photo with {id}."),
        optional(
            "photo_at",
            "Where the photo stands",
            "JSON pointer to the photo in base64, if that answer is JSON.",
        ),
    ],
    mapped: true,
};

/// How a list goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paging {
    None,
    Page,
    Offset,
    Cursor,
    Next,
    Link,
}

/// A REST service.
#[derive(Debug)]
pub struct Rest {
    web: Web,
    label: String,
    people: List,
    units: Option<List>,
    ids: Option<List>,
    paging: Paging,
    page_param: String,
    /// The parameter of the page's size, and the size.
    size: Option<(String, u64)>,
    first_page: u64,
    next_at: Option<String>,
    total_at: Option<String>,
    /// The parameter for changes: its name, its value with `{since}`, the form of the time.
    since: Option<(String, String, String)>,
    person: Option<String>,
    person_at: String,
    photo: Option<String>,
    photo_at: Option<String>,
    mapping: Mapping,
    /// Who was there in a full pull that has just ended.
    met: Mutex<Option<WorkerIds>>,
}

/// A list, and where in an answer it stands.
#[derive(Debug, Clone)]
struct List {
    path: String,
    at: String,
    body: Option<String>,
}

impl List {
    /// The path without parameters, as the list is called in what is said of it.
    fn name(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }
}

impl Rest {
    /// The service that `settings` describe; see the kind `rest` in [`crate::KINDS`].
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::NotAllowed`].
    pub fn new(
        guard: &Guard,
        settings: &BTreeMap<String, String>,
        mapping: Option<&Mapping>,
    ) -> Result<Self, Error> {
        let (settings, mapping, label) = preset::complete("rest", settings, mapping)?;
        let web = Web::open(guard, &settings)?;
        let get = |key: &str| given(&settings, key).map(str::to_owned);
        let pointer = |key: &str| -> Result<Option<String>, Error> {
            match get(key) {
                Some(at) if !at.starts_with('/') => Err(Error::setting(
                    key,
                    "is not a JSON pointer such as /data/items",
                )),
                at => Ok(at),
            }
        };
        let number = |key: &str| -> Result<Option<u64>, Error> {
            let wrong = |_| Error::setting(key, "is not a number");
            get(key).map(|text| text.parse().map_err(wrong)).transpose()
        };
        let list = |path: String, at: &str, body: Option<String>| -> Result<List, Error> {
            let at = pointer(at)?.unwrap_or_default();
            Ok(List { path, at, body })
        };
        let people = get("people")
            .ok_or_else(|| Error::setting("people", "is needed: the path of the list of people"))?;
        let body = get("people_body");
        if let Some(body) = &body {
            serde_json::from_str::<Json>(body)
                .map_err(|_| Error::setting("people_body", "is not JSON"))?;
        }
        let paging = match given(&settings, "paging") {
            None | Some("none") => Paging::None,
            Some("page") => Paging::Page,
            Some("offset") => Paging::Offset,
            Some("cursor") => Paging::Cursor,
            Some("next") => Paging::Next,
            Some("link") => Paging::Link,
            Some(_) => {
                let what = "must be none, page, offset, cursor, next or link";
                return Err(Error::setting("paging", what));
            }
        };
        let next_at = pointer("next_at")?;
        if matches!(paging, Paging::Cursor | Paging::Next) && next_at.is_none() {
            return Err(Error::setting("next_at", "is needed with this paging"));
        }
        if !mapping.unit.is_empty() && get("units").is_none() {
            return Err(Error::setting(
                "units",
                "is needed: the mapping has fields of units",
            ));
        }
        let since = match get("since") {
            None => None,
            Some(since) => {
                let split = since
                    .split_once('=')
                    .filter(|(_, value)| value.contains("{since}"));
                let (name, value) = split.ok_or_else(|| {
                    Error::setting(
                        "since",
                        "is not a parameter with {since}, such as updated_after={since}",
                    )
                })?;
                if line(&mapping.worker, Target::ChangedAt).is_none() {
                    let what =
                        "needs a line of the mapping for changedAt: how far was read is told by it";
                    return Err(Error::setting("since", what));
                }
                let form = get("since_format").unwrap_or_else(|| "%Y-%m-%dT%H:%M:%SZ".into());
                Some((name.to_owned(), value.to_owned(), form))
            }
        };
        let page_param = get("page_param").unwrap_or_else(|| {
            match paging {
                Paging::Offset => "offset",
                Paging::Cursor => "cursor",
                _ => "page",
            }
            .into()
        });
        let size_param = get("size_param").unwrap_or_else(|| "limit".into());
        Ok(Self {
            people: list(people, "people_at", body)?,
            units: match get("units") {
                Some(path) if !mapping.unit.is_empty() => Some(list(path, "units_at", None)?),
                _ => None,
            },
            ids: match get("ids") {
                Some(path) => Some(list(path, "people_at", None)?),
                None => None,
            },
            paging,
            page_param,
            size: number("page_size")?.map(|size| (size_param, size)),
            first_page: number("first_page")?.unwrap_or(1),
            next_at,
            total_at: pointer("total_at")?,
            since,
            person: get("person"),
            person_at: pointer("person_at")?.unwrap_or_default(),
            photo: get("photo"),
            photo_at: pointer("photo_at")?,
            web,
            label,
            mapping,
            met: Mutex::new(None),
        })
    }

    fn id_field(&self) -> Option<&Field> {
        line(&self.mapping.worker, Target::Id)
    }

    fn changed(&self) -> Option<&str> {
        line(&self.mapping.worker, Target::ChangedAt).map(|field| field.from.as_str())
    }

    fn walk(&self, list: &List) -> Walk<'_> {
        Walk {
            rest: self,
            step: Step::First,
            met: Met::new(list.name(), self.id_field()),
            list: list.clone(),
            newer: None,
            rows: 0,
            began: None,
        }
    }

    fn worker<'a>(
        &'a self,
        mapper: &mut Mapper<'a>,
        row: &Json,
        number: u64,
        faults: &mut Vec<Fault>,
    ) -> Option<Worker> {
        let place = self.place(row, number);
        let mut worker = mapper.worker(&place, row, faults)?;
        if self.photo.is_some() && worker.photo.is_none() {
            // It may be another whenever the record is.
            let changed = self.changed().and_then(|at| raw(row, at));
            worker.photo = Some(changed.unwrap_or("once").to_owned());
        }
        Some(worker)
    }

    fn place(&self, row: &Json, number: u64) -> String {
        match self.id_field().and_then(|field| id(field, row)) {
            Some(id) => format!("{} {id}", self.people.name()),
            None => format!("{}, record {number}", self.people.name()),
        }
    }

    async fn pull<'a>(&'a self, mut pull: Pull<'a>) -> Result<Option<(Page, Pull<'a>)>, Error> {
        if pull.progress.ended {
            return Ok(None);
        }
        let Some(rows) = pull.walk.next().await? else {
            pull.progress.ended = true;
            let page = Page {
                workers: Vec::new(),
                faults: pull.progress.findings(&pull.mapper, &pull.walk.met),
                watermark: pull.progress.watermark(pull.walk.began),
            };
            if pull.progress.in_full {
                let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
                *met = Some(pull.walk.met.worker_ids());
            }
            return Ok(Some((page, pull)));
        };
        let mut faults = Vec::new();
        let mut workers = Vec::with_capacity(rows.len());
        for row in &rows {
            pull.progress.note(row, self.changed());
            let number = pull.progress.number;
            workers.extend(self.worker(&mut pull.mapper, row, number, &mut faults));
        }
        let page = Page {
            workers,
            faults,
            watermark: pull.progress.so_far(),
        };
        Ok(Some((page, pull)))
    }

    fn begin(&self, since: Option<&Watermark>) -> Pull<'_> {
        let since = since.map(|mark| mark.0.as_str()).unwrap_or_default();
        let mut walk = self.walk(&self.people);
        if let (Some((name, value, form)), Some(at)) = (&self.since, moment(since)) {
            let at = (at - OVERLAP).format(form).to_string();
            walk.newer = Some((name.clone(), value.replace("{since}", &at)));
        }
        let in_full = walk.newer.is_none();
        Pull {
            walk,
            mapper: Mapper::new(&self.mapping),
            progress: Progress::new(since, in_full),
        }
    }

    /// The photo that stands in a record: base64, or a link to the same service.
    async fn photo_in(&self, text: &str, what: &str) -> Result<Option<Vec<u8>>, Error> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let is_link = text.len() < 2_000
            && (text.starts_with("http") || text.starts_with('/') && text.contains('.'));
        if !is_link {
            return decoded(text, what);
        }
        let base = self.web.http.below("")?;
        let away = |_| malformed(what, "the photo", "stands at another address; left out");
        let url = self.web.http.link(text, &base).map_err(away)?;
        self.web.photo(url, None, what).await
    }
}

/// A pull of people on its way.
struct Pull<'a> {
    walk: Walk<'a>,
    mapper: Mapper<'a>,
    progress: Progress,
}

/// Where a list goes on.
#[derive(Debug, Clone)]
enum Step {
    First,
    /// A parameter's value: a page's number, an offset, a cursor.
    At(String),
    Link(Url),
    Done,
}

/// A list on its way through its pages.
struct Walk<'a> {
    rest: &'a Rest,
    list: List,
    /// The parameter that asks for changes.
    newer: Option<(String, String)>,
    step: Step,
    met: Met<'a>,
    rows: u64,
    /// What the service's clock said when the walk began.
    began: Option<DateTime<Utc>>,
}

impl Walk<'_> {
    /// The records of the next page; none after the last.
    async fn next(&mut self) -> Result<Option<Vec<Json>>, Error> {
        let rest = self.rest;
        let url = match &self.step {
            Step::Done => return Ok(None),
            Step::Link(url) => url.clone(),
            Step::First => {
                let first = match rest.paging {
                    Paging::Page => Some(rest.first_page.to_string()),
                    Paging::Offset => Some("0".into()),
                    _ => None,
                };
                self.url(first.as_deref())?
            }
            Step::At(place) => self.url(Some(place))?,
        };
        self.met.go(url.as_str())?;
        let mut ask = Ask::get(url.clone()).with("accept", "application/json");
        if let Some(body) = &self.list.body {
            ask.method = Method::POST;
            ask.body = Some(body.clone().into_bytes());
            let json = HeaderValue::from_static("application/json");
            ask.headers.insert(CONTENT_TYPE, json);
        }
        let name = self.list.name();
        let answer = rest.web.ask(&ask, name).await?;
        // Some say so where there is no further page.
        if answer.status.as_u16() == 404 && self.rows > 0 && matches!(self.step, Step::At(_)) {
            self.step = Step::Done;
            return Ok(None);
        }
        let answer = good(answer, name)?;
        self.began = self.began.or(answer.date);
        let mut json = json(&answer.body, name)?;
        let total = rest.total_at.as_deref().and_then(|at| json.pointer(at));
        self.met.count = total
            .and_then(|total| total.as_u64().or_else(|| total.as_str()?.parse().ok()))
            .or(self.met.count);
        let after = rest
            .next_at
            .as_deref()
            .and_then(|at| json.pointer(at))
            .and_then(|next| match next {
                Json::String(text) if !text.is_empty() => Some(text.clone()),
                Json::Number(number) => Some(number.to_string()),
                _ => None,
            });
        let rows = match json.pointer_mut(&self.list.at).map(Json::take) {
            Some(Json::Array(rows)) => rows,
            // How some write an empty list.
            Some(Json::Null) => Vec::new(),
            _ => {
                let at = if self.list.at.is_empty() {
                    "the answer"
                } else {
                    &self.list.at
                };
                return Err(malformed(name, at, "is not a list"));
            }
        };
        self.rows += rows.len() as u64;
        let is_new = self.met.page(&rows)?;
        let counts = matches!(rest.paging, Paging::Page | Paging::Offset);
        if counts && matches!(self.step, Step::At(_)) && !rows.is_empty() && !is_new {
            let what = format!(
                "holds the records of the one before: {} is not followed",
                rest.page_param
            );
            return Err(self.met.never_ends(&what));
        }
        let all = self.met.count.is_some() && self.met.withheld() == 0;
        self.step = match (rest.paging, after) {
            // A page with fewer records than asked for need not be the last: an empty one is.
            (Paging::Page | Paging::Offset, _) if rows.is_empty() || all => Step::Done,
            (Paging::Offset, _) => Step::At(self.rows.to_string()),
            (Paging::Page, _) => Step::At(
                match &self.step {
                    Step::At(page) => page.parse().unwrap_or(rest.first_page) + 1,
                    _ => rest.first_page + 1,
                }
                .to_string(),
            ),
            (Paging::Cursor, Some(cursor)) => Step::At(cursor),
            (Paging::Next, Some(link)) => Step::Link(rest.web.http.link(&link, &url)?),
            (Paging::Link, _) => match &answer.next {
                Some(link) => Step::Link(rest.web.http.link(link, &url)?),
                None => Step::Done,
            },
            _ => Step::Done,
        };
        let ended = rows.is_empty() && matches!(self.step, Step::Done);
        Ok((!ended).then_some(rows))
    }

    fn url(&self, place: Option<&str>) -> Result<Url, Error> {
        let rest = self.rest;
        let mut parameters = Vec::new();
        if let Some((name, size)) = rest.size.as_ref().filter(|_| rest.paging != Paging::None) {
            parameters.push((name.as_str(), size.to_string()));
        }
        if let Some(place) = place {
            parameters.push((rest.page_param.as_str(), place.to_owned()));
        }
        if let Some((name, value)) = &self.newer {
            parameters.push((name.as_str(), value.clone()));
        }
        let parameters: Vec<_> = parameters
            .iter()
            .map(|(name, value)| format!("{}={}", percent(name, "[]"), percent(value, "")))
            .collect();
        let sign = if self.list.path.contains('?') {
            "&"
        } else {
            "?"
        };
        let sign = if parameters.is_empty() { "" } else { sign };
        rest.web
            .http
            .below(&format!("{}{sign}{}", self.list.path, parameters.join("&")))
    }
}

#[async_trait]
impl ErpAdapter for Rest {
    async fn probe(&self) -> Result<Probe, Error> {
        let samples = self.sample(SAMPLES).await?;
        let lacking = lacks(&self.mapping, &samples);
        let mut access = vec![Access {
            what: format!("People ({})", self.people.name()),
            readable: if lacking.is_empty() {
                Readable::Yes
            } else {
                Readable::Reduced
            },
            note: if lacking.is_empty() {
                "Every field of the mapping may be read.".into()
            } else {
                format!("No record that was looked at has {}.", lacking.join(", "))
            },
        }];
        let people = self.worker_ids().await?.ids.len() as u64;
        let units = match self.units().await {
            Ok(structure) => {
                let count = structure.units.len();
                let (readable, note) = match structure.faults.first() {
                    Some(fault) => (Readable::Reduced, fault.what.clone()),
                    None => (Readable::Yes, format!("{count} may be read.")),
                };
                let what = self
                    .units
                    .as_ref()
                    .map_or("Units that people name".into(), |list| {
                        format!("Units ({})", list.name())
                    });
                access.push(Access {
                    what,
                    readable,
                    note,
                });
                count as u64
            }
            Err(error) => {
                access.push(Access {
                    what: "Units".into(),
                    readable: Readable::No,
                    note: format!("Not readable: {error}."),
                });
                0
            }
        };
        let system = if self.label.is_empty() {
            "REST service"
        } else {
            &self.label
        };
        Ok(Probe {
            system: system.to_owned(),
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
            let mut walk = self.walk(&self.people);
            while let Some(rows) = walk.next().await? {
                for row in &rows {
                    mapper.worker("", row, &mut Vec::new());
                }
            }
            structure.units = mapper.named_units();
            return Ok(structure);
        };
        let mut mapper = Mapper::new(&self.mapping);
        let mut walk = Walk {
            met: Met::new(list.name(), line(&self.mapping.unit, Target::Id)),
            ..self.walk(list)
        };
        loop {
            let rows = match walk.next().await {
                Ok(Some(rows)) => rows,
                Ok(None) => return Ok(structure),
                Err(error @ Error::Forbidden { .. }) => {
                    structure.faults.push(Fault {
                        place: list.name().to_owned(),
                        field: None,
                        what: format!("{error}; people have no unit"),
                        external_id: None,
                        left_out: true,
                    });
                    return Ok(structure);
                }
                Err(error) => return Err(error),
            };
            for row in &rows {
                let unit = mapper.unit(list.name(), row, &mut structure.faults);
                structure.units.extend(unit);
            }
        }
    }

    fn workers(&self, since: Option<Watermark>) -> BoxStream<'_, Result<Page, Error>> {
        *self.met.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let pull = self.begin(since.as_ref());
        stream::try_unfold(pull, move |pull| self.pull(pull)).boxed()
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
        let mut walk = self.walk(self.ids.as_ref().unwrap_or(&self.people));
        while walk.next().await?.is_some() {}
        Ok(walk.met.worker_ids())
    }

    async fn photo(&self, external_id: &str) -> Result<Option<Photo>, Error> {
        let what = format!("the photo of {external_id}");
        let below = |template: &str| {
            let path = template.replace("{id}", &percent(external_id, ""));
            self.web.http.below(&path)
        };
        let bytes = if let Some(template) = &self.photo {
            let at = self.photo_at.as_deref();
            self.web.photo(below(template)?, at, &what).await?
        } else if let (Some(template), Some(field)) =
            (&self.person, line(&self.mapping.worker, Target::Photo))
        {
            let ask = Ask::get(below(template)?).with("accept", "application/json");
            let answer = self.web.ask(&ask, &what).await?;
            if answer.status.as_u16() == 404 {
                return Ok(None);
            }
            let json = json(&good(answer, &what)?.body, &what)?;
            let record = json.pointer(&self.person_at).unwrap_or(&Json::Null);
            match field.read(record) {
                Ok(Some(texts)) if !texts.is_empty() => self.photo_in(&texts[0], &what).await?,
                _ => None,
            }
        } else {
            None
        };
        Ok(bytes.map(|bytes| Photo { bytes }))
    }

    async fn sample(&self, limit: usize) -> Result<Vec<Sample>, Error> {
        let mut walk = self.walk(&self.people);
        let mut samples = Vec::new();
        while samples.len() < limit
            && let Some(rows) = walk.next().await?
        {
            for record in rows {
                let place = self.place(&record, samples.len() as u64 + 1);
                samples.push(Sample { place, record });
            }
        }
        samples.truncate(limit);
        Ok(samples)
    }
}

//! Tryton 8 over its REST door: `GET /{database}/rest/model/{model}`.
//!
//! What shapes this file, each found by calls to a running Tryton 8.2:
//!
//! - The standard modules know employees, supervisors and companies, and
//!   neither departments nor job titles: the company is the unit. Name, mail
//!   and telephone are the party's.
//! - Who has ended, or has not begun, is hidden without `active_test: false`.
//!   With it, contact details that were crossed out come back too, and a
//!   party's own `email` is then one of them; so they are read one by one.
//! - `write_date` is null until the first change. An employee's does not move
//!   when the party or its contact details change, so all of them are asked.
//! - A field that may not be read is left out without a word; a model is
//!   refused with 400. An unknown field or model is a 500 with a page.
//! - Every party gets an avatar with its initial, drawn by Tryton, which says
//!   nothing. Its `write_date` is null until somebody puts a photo there.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{NaiveDateTime, TimeDelta};
use domain::{
    Attribute, Value,
    erp::{Fault, OrgUnit, Photo, Watermark, Worker},
    text as words,
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use serde_json::{Value as Json, json};
use tokio::sync::OnceCell;

use self::rest::{Question, Rest, Row, Rows, allowed, date, id, malformed, part, parts, text};
use crate::{
    Access, ClientPage, ErpAdapter, Error, Guard, PHOTO_BYTES, Page, Probe, Readable, Structure,
    WorkerIds,
    words::{Notes, blank, circle, complaint},
};

mod clients;
mod rest;

const EMPLOYEE: &str = "company.employee";
const COMPANY: &str = "company.company";
const PARTY: &str = "party.party";
const CONTACT: &str = "party.contact_mechanism";

const PAGE_ROWS: usize = 200;
const ID_ROWS: usize = 5_000;
/// `write_date` is when a transaction began. A long one (an import) shows its
/// rows only when it ends, with a time that a pull may have passed already.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
/// How far a time may be ahead of Tryton's own clock, zones apart, before it
/// is a mistake: taken as a watermark it would hide every change until then.
const AHEAD: TimeDelta = TimeDelta::days(1);
const STAMP: &str = "%Y-%m-%dT%H:%M:%S%.6f";

const FIELDS: [&str; 15] = [
    "company",
    "supervisor",
    "start_date",
    "end_date",
    "write_date",
    "create_date",
    "party.name",
    "party.lang.code",
    "party.write_date",
    "party.create_date",
    "party.contact_mechanisms.type",
    "party.contact_mechanisms.value",
    "party.contact_mechanisms.active",
    "party.contact_mechanisms.write_date",
    "party.contact_mechanisms.create_date",
];
/// What the module `party_avatar` adds.
const PHOTO_FIELDS: [&str; 3] = [
    "party.avatars.uuid",
    "party.avatars.write_date",
    "party.avatars.create_date",
];
/// Tryton's kinds of contact by attribute.
const CONTACTS: [(&str, Attribute); 3] = [
    ("email", Attribute::Emails),
    ("phone", Attribute::PhoneNumbers),
    ("mobile", Attribute::Mobile),
];

/// A Tryton database.
#[derive(Debug)]
pub struct Tryton {
    rest: Rest,
    modules: OnceCell<BTreeMap<String, String>>,
}

impl Tryton {
    /// The Tryton at `url`, read with the key of a user application of the kind REST.
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::NotAllowed`].
    pub fn new(guard: &Guard, url: &str, database: &str, key: &str) -> Result<Self, Error> {
        Ok(Self {
            rest: Rest::new(guard, url, database, key)?,
            modules: OnceCell::new(),
        })
    }

    /// The modules that are activated, with their versions.
    async fn modules(&self) -> Result<&BTreeMap<String, String>, Error> {
        self.modules
            .get_or_try_init(|| async {
                let rows = self
                    .rest
                    .all(&Question {
                        model: "ir.module",
                        domain: json!([["state", "=", "activated"]]),
                        fields: &["name", "version"],
                        context: json!({}),
                        limit: 500,
                    })
                    .await?;
                let module = |row: &Row| {
                    let version = text(row, "version").unwrap_or_default();
                    Some((text(row, "name")?.to_owned(), version.to_owned()))
                };
                Ok(rows.iter().filter_map(module).collect())
            })
            .await
    }

    async fn has(&self, module: &str) -> Result<bool, Error> {
        Ok(self.modules().await?.contains_key(module))
    }

    async fn fields(&self) -> Result<Vec<&'static str>, Error> {
        if !self.has("company").await? {
            return Err(Error::Rejected {
                what: "has no employees: the module company is not activated".into(),
            });
        }
        let mut fields = FIELDS.to_vec();
        if self.has("party_avatar").await? {
            fields.extend(PHOTO_FIELDS);
        }
        Ok(fields)
    }

    async fn page(&self, pull: Pull) -> Result<Option<(Page, Pull)>, Error> {
        let fields = self.fields().await?;
        let question = Question {
            model: EMPLOYEE,
            domain: pull.mark.changed(&fields),
            fields: &fields,
            context: json!({"active_test": false}),
            limit: PAGE_ROWS,
        };
        let Some((Rows { rows, at }, last)) = self.rest.after(&question, pull.after).await? else {
            return Ok(pull.end());
        };
        let mut mark = pull.mark;
        let mut faults = Vec::new();
        if pull.after == 0
            && let Some(told) = rows.first().and_then(|row| unreadable(row, &fields))
        {
            // Values that may not be read any more vanish from profiles: a run has to say why.
            let what = format!("people are read without {told}");
            place(EMPLOYEE, &mut faults).field("the key's rights", what);
        }
        let mut workers = Vec::new();
        for row in &rows {
            mark.note(row, &fields, at.map(|at| at.naive_utc()));
            workers.extend(worker(row, &mut faults));
        }
        let page = Page {
            workers,
            faults,
            watermark: mark.begun(),
        };
        Ok(Some((
            page,
            Pull {
                after: last,
                mark,
                over: false,
            },
        )))
    }

    /// The party behind an employee.
    async fn party(&self, external_id: &str) -> Result<i64, Error> {
        let gone = || Error::Rejected {
            what: format!("has no employee {external_id} any more"),
        };
        let employee = external_id.parse().map_err(|_| gone())?;
        let row = self.rest.one(EMPLOYEE, employee, &["party"]).await?;
        rest::reference(&row.ok_or_else(gone)?, "party").ok_or_else(|| Error::Forbidden {
            what: PARTY.to_owned(),
        })
    }

    /// Makes the employee with the id in `value` the superior, or nobody.
    async fn put_supervisor(&self, external_id: &str, value: Option<&Value>) -> Result<(), Error> {
        let gone = |id: &str| Error::Rejected {
            what: format!("has no employee {id} any more"),
        };
        let number = |id: &str| id.parse::<i64>().map_err(|_| gone(id));
        let above = value.and_then(Value::as_text).filter(|id| !id.is_empty());
        let above = above.map(number).transpose()?;
        let employee = number(external_id)?;
        // Tryton takes a circle of supervisors without a word. One that is there already ends the way up.
        let (mut next, mut seen) = (above, BTreeSet::new());
        while let Some(id) = next.filter(|id| seen.insert(*id)) {
            if id == employee {
                return Err(circle());
            }
            let row = self.rest.one(EMPLOYEE, id, &["supervisor"]).await?;
            next = rest::reference(&row.ok_or_else(|| gone(&id.to_string()))?, "supervisor");
        }
        let supervisor = json!({"supervisor": above});
        self.rest.put(EMPLOYEE, employee, &supervisor).await
    }

    /// Makes `value` the first contact of its kind, or crosses out all of them.
    async fn put_contact(
        &self,
        party: i64,
        kind: &str,
        value: Option<&Value>,
    ) -> Result<(), Error> {
        let question = Question {
            model: PARTY,
            domain: json!([["id", "=", party]]),
            fields: &[
                "contact_mechanisms.type",
                "contact_mechanisms.value",
                "contact_mechanisms.active",
            ],
            context: json!({"active_test": false}),
            limit: 1,
        };
        let rows = self.rest.rows(&question).await?.rows;
        let row = rows.first().ok_or_else(|| Error::Rejected {
            what: format!("has no party {party} any more"),
        })?;
        let known: Vec<_> = parts(row, "contact_mechanisms")
            .filter(|contact| text(contact, "type") == Some(kind) && is_active(contact))
            .filter_map(id)
            .collect();
        let Some(value) = value.and_then(Value::as_text) else {
            for contact in known {
                self.rest
                    .put(CONTACT, contact, &json!({"active": false}))
                    .await?;
            }
            return Ok(());
        };
        match known.first() {
            Some(contact) => {
                self.rest
                    .put(CONTACT, *contact, &json!({"value": value}))
                    .await
            }
            None => {
                let contact = json!({"party": party, "type": kind, "value": value});
                self.rest.create(CONTACT, &contact).await
            }
        }
    }
}

#[async_trait]
impl ErpAdapter for Tryton {
    async fn probe(&self) -> Result<Probe, Error> {
        let fields = self.fields().await?;
        let question = Question {
            model: EMPLOYEE,
            domain: json!([]),
            fields: &fields,
            context: json!({"active_test": false}),
            limit: 1,
        };
        let rows = self.rest.rows(&question).await?.rows;
        let missing = rows.first().and_then(|row| unreadable(row, &fields));
        let mut access = vec![Access {
            what: format!("Employees ({EMPLOYEE})"),
            readable: if missing.is_none() {
                Readable::Yes
            } else {
                Readable::Reduced
            },
            note: missing.map_or_else(
                || "Every field that is used may be read.".to_owned(),
                |missing| format!("Not readable with this key: {missing}."),
            ),
        }];
        let units = allowed(self.rest.count(COMPANY).await)?;
        access.push(row_of(
            format!("Companies ({COMPANY})"),
            units.is_ok(),
            "Tryton has no departments: each company is a unit.",
            "Not readable with this key: people will have no unit.",
        ));
        access.push(row_of(
            "Photos (party.avatars)".into(),
            self.has("party_avatar").await?,
            "Only photos that changed are fetched; initials that Tryton drew are left out.",
            "The module party_avatar is not activated: people will have no photo from Tryton.",
        ));
        access.push(self.probe_clients().await?);
        let version = self.modules().await?.get("company");
        let version = version.and_then(|version| words::line("version", version, 20).ok());
        Ok(Probe {
            system: version.map_or_else(|| "Tryton".to_owned(), |it| format!("Tryton {it}")),
            people: self.rest.count(EMPLOYEE).await?,
            units: units.unwrap_or(0),
            access,
        })
    }

    async fn units(&self) -> Result<Structure, Error> {
        let rows = self
            .rest
            .all(&Question {
                model: COMPANY,
                domain: json!([]),
                fields: &["party.name"],
                context: json!({"active_test": false}),
                limit: 500,
            })
            .await;
        let mut structure = Structure::default();
        let rows = match allowed(rows)? {
            Ok(rows) => rows,
            Err(error) => {
                place(COMPANY, &mut structure.faults)
                    .record(None, format!("{error}; people have no unit"));
                return Ok(structure);
            }
        };
        for row in &rows {
            // Pages go by id, so there is one.
            let id = id(row).unwrap_or_default().to_string();
            let raw = text(row, "party.name").unwrap_or_default();
            let name = words::line("name", raw, 120).and_then(|name| words::required("name", name));
            match name {
                Ok(name) => structure.units.push(OrgUnit {
                    external_id: id,
                    name,
                    parent: None,
                    heads: Vec::new(),
                }),
                Err(violation) => about(COMPANY, &id, &mut structure.faults)
                    .record(Some("name"), complaint(&violation, raw)),
            }
        }
        Ok(structure)
    }

    fn workers(&self, since: Option<Watermark>) -> BoxStream<'_, Result<Page, Error>> {
        stream::try_unfold(None, move |pull: Option<Pull>| {
            let since = since.clone();
            async move {
                let pull = match pull {
                    Some(pull) if pull.over => return Ok(None),
                    Some(pull) => pull,
                    None => Pull::since(since.as_ref())?,
                };
                Ok(self
                    .page(pull)
                    .await?
                    .map(|(page, pull)| (page, Some(pull))))
            }
        })
        .boxed()
    }

    async fn worker_ids(&self) -> Result<WorkerIds, Error> {
        let rows = self
            .rest
            .all(&Question {
                model: EMPLOYEE,
                domain: json!([]),
                fields: &["id"],
                context: json!({"active_test": false}),
                limit: ID_ROWS,
            })
            .await?;
        let ids: BTreeSet<_> = rows
            .iter()
            .filter_map(id)
            .map(|id| id.to_string())
            .collect();
        Ok(WorkerIds {
            unreadable: rows.len() - ids.len(),
            ids,
        })
    }

    async fn photo(&self, external_id: &str) -> Result<Option<Photo>, Error> {
        let Ok(employee) = external_id.parse() else {
            return Ok(None);
        };
        if !self.has("party_avatar").await? {
            return Ok(None);
        }
        let fields = ["party.avatars.image", "party.avatars.write_date"];
        let Some(row) = self.rest.one(EMPLOYEE, employee, &fields).await? else {
            return Ok(None);
        };
        let Some(image) = parts(&row, "party.avatars")
            .find(|avatar| !part(avatar, "write_date").is_none_or(Json::is_null))
            .and_then(|avatar| avatar.get("image"))
            .filter(|image| !image.is_null())
        else {
            return Ok(None);
        };
        let record = format!("{EMPLOYEE} {employee}");
        let bytes = rest::bytes(image)
            .ok_or_else(|| malformed(&record, "party.avatars.image", "is not base64"))?;
        if bytes.len() as u64 > PHOTO_BYTES {
            return Err(Error::TooLarge {
                what: format!("the photo of {record}"),
                limit: usize::try_from(PHOTO_BYTES).unwrap_or(usize::MAX),
            });
        }
        Ok((!bytes.is_empty()).then_some(Photo { bytes }))
    }

    fn writable(&self) -> &[Attribute] {
        &[
            Attribute::DisplayName,
            Attribute::Emails,
            Attribute::PhoneNumbers,
            Attribute::Mobile,
            Attribute::Manager,
        ]
    }

    async fn write(
        &self,
        external_id: &str,
        attribute: Attribute,
        value: Option<&Value>,
    ) -> Result<(), Error> {
        if !self.writable().contains(&attribute) {
            return Err(Error::Forbidden {
                what: format!("write {}", attribute.name()),
            });
        }
        if attribute == Attribute::Manager {
            return self.put_supervisor(external_id, value).await;
        }
        let party = self.party(external_id).await?;
        if let Some((kind, _)) = CONTACTS.iter().find(|(_, of)| *of == attribute) {
            return self.put_contact(party, kind, value).await;
        }
        let name = value
            .and_then(Value::as_text)
            .filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Error::Rejected {
            what: "needs a name for everybody".into(),
        })?;
        self.rest.put(PARTY, party, &json!({"name": name})).await
    }

    fn clients(&self, since: Option<Watermark>) -> BoxStream<'_, Result<ClientPage, Error>> {
        self.client_pages(since)
    }
}

/// How far a pull of people has come.
#[derive(Debug)]
struct Pull {
    after: i64,
    mark: Mark,
    over: bool,
}

impl Pull {
    fn since(since: Option<&Watermark>) -> Result<Self, Error> {
        Ok(Self {
            after: 0,
            mark: Mark::since(since)?,
            over: false,
        })
    }

    /// The last page, empty: only now is it known how far everything was read.
    fn end(self) -> Option<(Page, Self)> {
        let page = Page {
            workers: Vec::new(),
            faults: Vec::new(),
            watermark: self.mark.ended()?,
        };
        Some((page, Self { over: true, ..self }))
    }
}

/// What has changed since when. Pages go by id, so until the last of them a
/// pull may only be taken up where the one before it ended.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Where the pull before this one ended; none for a pull of everything.
    since: Option<NaiveDateTime>,
    /// The latest change that was read.
    latest: Option<NaiveDateTime>,
}

impl Mark {
    fn since(since: Option<&Watermark>) -> Result<Self, Error> {
        let Some(Watermark(text)) = since else {
            return Ok(Self {
                since: None,
                latest: None,
            });
        };
        let at = NaiveDateTime::parse_from_str(text, STAMP)
            .map_err(|_| malformed("the last run", "watermark", "is not a time; run in full"))?;
        Ok(Self {
            since: Some(at),
            latest: Some(at),
        })
    }

    /// The domain of records of which any of `fields` says that they changed.
    fn changed(&self, fields: &[&str]) -> Json {
        let Some(since) = self.since.filter(|since| *since > NaiveDateTime::default()) else {
            return json!([]);
        };
        let since = rest::as_moment(since - OVERLAP);
        let mut any = vec![json!("OR")];
        any.extend(stamps(fields).map(|field| json!([field, ">", since])));
        Json::Array(any)
    }

    /// Takes note of the times in a row that Tryton answered when its clock was `now`.
    fn note(&mut self, row: &Row, fields: &[&str], now: Option<NaiveDateTime>) {
        for field in stamps(fields) {
            let mut found = Vec::new();
            moments(row, field, &mut found);
            let sane = |at: &NaiveDateTime| now.is_none_or(|now| *at <= now + AHEAD);
            self.latest = self.latest.max(found.into_iter().filter(sane).max());
        }
    }

    fn text(at: NaiveDateTime) -> Watermark {
        Watermark(at.format(STAMP).to_string())
    }

    /// While there are more pages: where this pull began.
    fn begun(&self) -> Watermark {
        Self::text(self.since.unwrap_or_default())
    }

    /// After the last page; none where nothing has ever been read.
    fn ended(&self) -> Option<Watermark> {
        self.latest.map(Self::text)
    }
}

fn stamps<'a>(fields: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    fields
        .iter()
        .copied()
        .filter(|field| field.ends_with("write_date") || field.ends_with("create_date"))
}

/// Every time under `path`, through lists too.
fn moments(row: &Row, path: &str, found: &mut Vec<NaiveDateTime>) {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (row.get(first), rest) {
        (Some(value), None) => found.extend(rest::moment(value)),
        (Some(Json::Object(inner)), Some(rest)) => moments(inner, rest, found),
        (Some(Json::Array(items)), Some(rest)) => items
            .iter()
            .filter_map(Json::as_object)
            .for_each(|inner| moments(inner, rest, found)),
        _ => {}
    }
}

/// What of `fields` Tryton left out of `row`, in words, because it may not be read.
fn unreadable(row: &Row, fields: &[&str]) -> Option<String> {
    let absent = |field: &&&str| {
        let first = field.split('.').next().unwrap_or_default();
        match row.get(first) {
            None => true,
            // Of a list that is empty, nobody knows.
            Some(Json::Object(inner)) => field
                .split('.')
                .nth(1)
                .is_some_and(|second| !inner.contains_key(second)),
            Some(_) => false,
        }
    };
    let names: BTreeSet<_> = fields
        .iter()
        .filter(absent)
        .map(|field| field.splitn(3, '.').take(2).collect::<Vec<_>>().join("."))
        .collect();
    (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
}

/// Tryton says `true`, over SQLite 1. Where it says nothing, the record counts.
fn is_active(row: &Row) -> bool {
    match row.get("active") {
        Some(Json::Bool(active)) => *active,
        Some(Json::Number(active)) => active.as_i64() != Some(0),
        _ => true,
    }
}

fn row_of(what: String, readable: bool, yes: &str, no: &str) -> Access {
    let (readable, note) = match readable {
        true => (Readable::Yes, yes),
        false => (Readable::No, no),
    };
    Access {
        what,
        readable,
        note: note.to_owned(),
    }
}

fn place<'a>(model: &str, faults: &'a mut Vec<Fault>) -> Notes<'a> {
    Notes {
        place: model.to_owned(),
        external_id: None,
        faults,
    }
}

fn about<'a>(model: &str, id: &str, faults: &'a mut Vec<Fault>) -> Notes<'a> {
    Notes {
        place: format!("{model} {id}"),
        external_id: Some(id.to_owned()),
        faults,
    }
}

/// Whoever has a record is active here: Tryton ends and begins people by date
/// alone, and so do we.
fn worker(row: &Row, faults: &mut Vec<Fault>) -> Option<Worker> {
    let id = id(row)?.to_string();
    let mut notes = about(EMPLOYEE, &id, faults);
    let mut worker = blank(&id);
    notes.set(
        &mut worker,
        Attribute::DisplayName,
        text(row, "party.name").unwrap_or_default(),
    );
    if worker.text(Attribute::DisplayName).is_none() {
        notes.record(Some("name"), "has no name".into());
        return None;
    }
    for (kind, attribute) in CONTACTS {
        if part(row, "party.contact_mechanisms").is_none() {
            break;
        }
        let value = parts(row, "party.contact_mechanisms")
            .find(|contact| text(contact, "type") == Some(kind) && is_active(contact))
            .and_then(|contact| text(contact, "value"));
        match value {
            Some(value) => notes.set(&mut worker, attribute, value),
            None => _ = worker.attributes.insert(attribute, None),
        }
    }
    if part(row, "party.lang").is_some() {
        let code = text(row, "party.lang.code").map(|code| code.replace('_', "-"));
        match code {
            Some(code) => notes.set(&mut worker, Attribute::Locale, &code),
            None => _ = worker.attributes.insert(Attribute::Locale, None),
        }
    }
    worker.starts_on = day(row, "start_date", &mut notes);
    worker.ends_on = day(row, "end_date", &mut notes);
    if row.contains_key("start_date") {
        let day = worker.starts_on.map(|day| Value::Text(day.to_string()));
        worker.attributes.insert(Attribute::StartDate, day);
    }
    worker.manager = rest::reference(row, "supervisor").map(|id| id.to_string());
    worker.unit = rest::reference(row, "company").map(|id| id.to_string());
    worker.photo = parts(row, "party.avatars")
        .filter_map(|avatar| {
            let at = rest::moment(avatar.get("write_date")?)?;
            Some(format!("{} {}", text(avatar, "uuid")?, at.format(STAMP)))
        })
        .next();
    let mut changes = Vec::new();
    for field in stamps(&FIELDS) {
        moments(row, field, &mut changes);
    }
    worker.changed_at = changes.into_iter().max().map(|at| at.and_utc());
    Some(worker)
}

fn day(row: &Row, field: &str, notes: &mut Notes<'_>) -> Option<chrono::NaiveDate> {
    let value = row.get(field).filter(|value| !value.is_null())?;
    let day = date(value);
    if day.is_none() {
        notes.field(field, "is not a date; left out".into());
    }
    day
}

//! Odoo 19 and newer over JSON-2: `POST /json/2/{model}/{method}`.
//!
//! What shapes this file, each found by calls to a running Odoo 19:
//!
//! - An error is JSON with `name`, `message` and `debug`, the last a whole
//!   traceback. A field that does not exist is a 500 named `ValueError`, so a
//!   500 is not always worth another try.
//! - `write_date` is compared to the second, so pages go by (write_date, id).
//!   It does not move when the person's department is renamed: departments are
//!   read on their own, every time.
//! - Archived records are hidden without `active_test: false`; deleted ones
//!   just vanish.
//! - A user without *Employees: Officer* gets 403 for `hr.employee` and may
//!   read `hr.employee.public`, which has fewer fields. `fields_get` names the
//!   fields that a user may read.
//! - Photos are attachments with a checksum; some are SVG initials that Odoo
//!   drew itself, which say nothing and are left out.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use base64::Engine as _;
use chrono::NaiveDateTime;
use domain::{
    Attribute,
    erp::{Fault, OrgUnit, Photo, Watermark, Worker},
    text,
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use tokio::sync::OnceCell;

use crate::{
    Access, ErpAdapter, Error, Guard, PHOTO_BYTES, Page, Probe, Readable, Structure, WorkerIds,
    csv::too_large,
    net::{Answer, Http},
    words::{Notes, blank, complaint},
};

type Row = Map<String, Json>;

const EMPLOYEE: &str = "hr.employee";
const PUBLIC: &str = "hr.employee.public";
const DEPARTMENT: &str = "hr.department";
const DATABASE: HeaderName = HeaderName::from_static("x-odoo-database");

const PAGE_ROWS: usize = 200;
const ID_ROWS: usize = 5_000;
/// `write_date` is when a transaction began. A long one (an import) shows its
/// rows only when it ends, with a time that a pull may have passed already.
const OVERLAP: chrono::TimeDelta = chrono::TimeDelta::minutes(10);
/// How long a pull waits of its own accord, when Odoo asks for a rest.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const TRIES: u32 = 3;
const NUMBER_FIELD: &str = "barcode";

/// Odoo's fields by attribute; the number's is a setting.
const ATTRIBUTES: [(&str, Attribute); 9] = [
    ("name", Attribute::DisplayName),
    ("job_title", Attribute::Title),
    ("work_email", Attribute::Emails),
    ("work_phone", Attribute::PhoneNumbers),
    ("mobile_phone", Attribute::Mobile),
    ("work_location_name", Attribute::Location),
    ("contract_date_start", Attribute::StartDate),
    ("birthday", Attribute::BirthDate),
    ("tz", Attribute::Timezone),
];

/// An Odoo database.
pub struct Odoo {
    http: Http,
    headers: HeaderMap,
    number_field: String,
    view: OnceCell<View>,
}

impl std::fmt::Debug for Odoo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Odoo")
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

/// The model that the user may read people from, and its fields.
#[derive(Debug)]
struct View {
    model: &'static str,
    fields: Vec<(String, Attribute)>,
}

/// Odoo's error; `debug`, the traceback, is not even read.
#[derive(Deserialize, Default)]
struct Complaint {
    #[serde(default)]
    name: String,
    #[serde(default)]
    message: String,
}

impl Odoo {
    /// An Odoo at `url`, read with an API key.
    ///
    /// `number_field` is the field of `hr.employee` that holds the employee
    /// number; Odoo has none of its own, and most put it on the badge.
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::NotAllowed`].
    pub fn new(
        guard: &Guard,
        url: &str,
        database: Option<&str>,
        api_key: &str,
        number_field: Option<&str>,
    ) -> Result<Self, Error> {
        let http = guard.open("url", url)?;
        let mut headers = HeaderMap::new();
        let mut key = HeaderValue::try_from(format!("bearer {api_key}"))
            .map_err(|_| Error::setting("api_key", "holds characters that no key has"))?;
        key.set_sensitive(true);
        headers.insert(AUTHORIZATION, key);
        if let Some(database) = database {
            let name = HeaderValue::try_from(database).map_err(|_| {
                Error::setting("database", "holds characters that no database name has")
            })?;
            headers.insert(DATABASE, name);
        }
        let number_field = number_field.unwrap_or(NUMBER_FIELD);
        if !number_field
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            return Err(Error::setting(
                "number_field",
                "is not the name of a field, such as barcode",
            ));
        }
        Ok(Self {
            http,
            headers,
            number_field: number_field.to_owned(),
            view: OnceCell::new(),
        })
    }

    /// One call, tried again while that makes sense: everything here only reads.
    async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        model: &str,
        method: &str,
        body: Json,
    ) -> Result<T, Error> {
        let path = format!("json/2/{model}/{method}");
        let mut tries = 1;
        loop {
            let answer = self.http.post(&path, self.headers.clone(), &body).await;
            let error = match answer.and_then(|answer| judge(answer, model)) {
                Ok(bytes) => {
                    let strange = |_| malformed(model, "the answer", "is not what Odoo 19 answers");
                    return serde_json::from_slice(&bytes).map_err(strange);
                }
                Err(error) => error,
            };
            let pause = match &error {
                Error::RateLimited { retry_after } => retry_after.unwrap_or(LONGEST_WAIT),
                Error::Unreachable { .. } => Duration::from_millis(500) * tries,
                _ => return Err(error),
            };
            if tries == TRIES || pause > LONGEST_WAIT {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }

    async fn rows(&self, model: &str, body: Json) -> Result<Vec<Row>, Error> {
        self.call(model, "search_read", body).await
    }

    async fn view(&self) -> Result<&View, Error> {
        self.view
            .get_or_try_init(|| async {
                match self.view_of(EMPLOYEE).await {
                    Err(Error::Forbidden { .. }) => self.view_of(PUBLIC).await,
                    view => view,
                }
            })
            .await
    }

    async fn view_of(&self, model: &'static str) -> Result<View, Error> {
        let wanted = ATTRIBUTES.map(|(name, attribute)| (name.to_owned(), attribute));
        let wanted = wanted
            .into_iter()
            .chain([(self.number_field.clone(), Attribute::EmployeeNumber)]);
        let all: BTreeMap<String, Json> = self
            .call(model, "fields_get", json!({"attributes": ["type"]}))
            .await?;
        let view = View {
            model,
            fields: wanted.filter(|(name, _)| all.contains_key(name)).collect(),
        };
        // `fields_get` may name fields that a read then refuses as a whole.
        self.rows(
            model,
            json!({"domain": [], "fields": view.names(), "limit": 1}),
        )
        .await?;
        Ok(view)
    }

    /// What `view` lacks of all that is used, by name.
    fn missing(&self, view: &View) -> String {
        let used = ATTRIBUTES
            .into_iter()
            .chain([(self.number_field.as_str(), Attribute::EmployeeNumber)]);
        let lacks = used.filter(|(field, _)| !view.fields.iter().any(|(name, _)| name == field));
        lacks
            .map(|(_, attribute)| attribute.name())
            .collect::<Vec<_>>()
            .join(", ")
    }

    async fn page(&self, after: &Position) -> Result<Option<(Page, Position)>, Error> {
        let view = self.view().await?;
        let body = json!({
            "domain": after.domain(),
            "fields": view.names(),
            "order": "write_date asc, id asc",
            "limit": PAGE_ROWS,
            "context": {"active_test": false},
        });
        let rows = self.rows(view.model, body).await?;
        let Some(last) = rows.last() else {
            return Ok(None);
        };
        let last = Position::of(last, view.model)?;
        // Else the same page would come for ever.
        if last <= *after {
            return Err(malformed(
                view.model,
                "write_date",
                "does not follow the order that was asked for",
            ));
        }
        let mut faults = Vec::new();
        // Values that may not be read any more vanish from profiles: a run has to say why.
        if after.id == 0 && view.model == PUBLIC {
            let what = format!(
                "public profiles are read instead, without {}",
                self.missing(view)
            );
            let mut notes = Notes {
                place: EMPLOYEE.into(),
                external_id: None,
                faults: &mut faults,
            };
            notes.field("the key's rights", what);
        }
        let mut workers: Vec<Worker> = rows
            .iter()
            .filter_map(|row| worker(row, view, &mut faults))
            .collect();
        self.mark_photos(&mut workers, &mut faults).await?;
        Ok(Some((
            Page {
                workers,
                faults,
                watermark: last.watermark(),
            },
            last,
        )))
    }

    /// Gives each worker the checksum of the photo. Whoever may not read
    /// attachments gets people without photos.
    async fn mark_photos(
        &self,
        workers: &mut [Worker],
        faults: &mut Vec<Fault>,
    ) -> Result<(), Error> {
        let ids: Vec<i64> = workers
            .iter()
            .filter_map(|worker| worker.external_id.parse().ok())
            .collect();
        let marks = match self.attachments(json!(ids), ids.len()).await {
            Err(Error::Forbidden { .. }) => return Ok(()),
            marks => marks?,
        };
        let marks: BTreeMap<String, &Row> = marks
            .iter()
            .filter_map(|mark| Some((mark.get("res_id")?.as_i64()?.to_string(), mark)))
            .collect();
        for worker in workers {
            let Some(mark) = marks.get(&worker.external_id) else {
                continue;
            };
            let drawn = mark
                .get("mimetype")
                .and_then(Json::as_str)
                .is_some_and(|kind| kind.starts_with("image/svg"));
            let bytes = mark.get("file_size").and_then(Json::as_u64).unwrap_or(0);
            if drawn {
                continue;
            }
            if bytes > PHOTO_BYTES {
                let mut notes = notes(EMPLOYEE, Some(&worker.external_id), faults);
                notes.field(Attribute::Photos.name(), too_large(bytes));
                continue;
            }
            worker.photo = mark
                .get("checksum")
                .and_then(Json::as_str)
                .map(str::to_owned);
        }
        Ok(())
    }

    async fn attachments(&self, ids: Json, limit: usize) -> Result<Vec<Row>, Error> {
        let domain = json!([
            ["res_model", "=", EMPLOYEE],
            ["res_field", "=", "image_1920"],
            ["res_id", "in", ids]
        ]);
        let fields = ["res_id", "checksum", "mimetype", "file_size"];
        self.rows(
            "ir.attachment",
            json!({"domain": domain, "fields": fields, "limit": limit}),
        )
        .await
    }

    /// Every row of `model` by id, page after page until an empty one: an
    /// answer with fewer rows than asked for need not be the last.
    async fn all(
        &self,
        model: &str,
        fields: Json,
        limit: usize,
        context: Json,
    ) -> Result<Vec<Row>, Error> {
        let mut all: Vec<Row> = Vec::new();
        let mut after = 0;
        loop {
            let body = json!({
                "domain": [["id", ">", after]], "fields": fields, "order": "id asc", "limit": limit, "context": context,
            });
            let rows = self.rows(model, body).await?;
            let Some(last) = rows.last() else {
                return Ok(all);
            };
            let last = id(last).filter(|last| *last > after);
            after = last.ok_or_else(|| {
                malformed(model, "id", "does not follow the order that was asked for")
            })?;
            all.extend(rows);
        }
    }

    async fn count(&self, model: &str) -> Result<u64, Error> {
        self.call(
            model,
            "search_count",
            json!({"domain": [], "context": {"active_test": false}}),
        )
        .await
    }

    /// Odoo's version, from a page that needs no key.
    async fn version(&self) -> Option<String> {
        let answer = self.http.get("web/version").await.ok()?;
        let version: Row = serde_json::from_slice(&answer.body).ok()?;
        text::line("version", version.get("version")?.as_str()?, 20).ok()
    }
}

#[async_trait]
impl ErpAdapter for Odoo {
    async fn probe(&self) -> Result<Probe, Error> {
        let view = self.view().await?;
        let missing = self.missing(view);
        let mut access = vec![Access {
            what: format!("Employees ({EMPLOYEE})"),
            readable: if missing.is_empty() {
                Readable::Yes
            } else {
                Readable::Reduced
            },
            note: if missing.is_empty() {
                "Every field that is used may be read.".to_owned()
            } else if view.model == EMPLOYEE {
                format!("Not readable with this key: {missing}.")
            } else {
                format!(
                    "This key may read public profiles ({PUBLIC}) only, without {missing}. \
                     For all, give its user the right Employees: Officer in Odoo."
                )
            },
        }];
        let people = self.count(view.model).await?;
        let mut try_out = |what: &str, result: &Result<(), Error>, yes: &str, no: &str| {
            let (readable, note) = if result.is_ok() {
                (Readable::Yes, yes)
            } else {
                (Readable::No, no)
            };
            access.push(Access {
                what: what.to_owned(),
                readable,
                note: note.to_owned(),
            });
        };
        let units = allowed(self.count(DEPARTMENT).await)?;
        try_out(
            "Departments (hr.department)",
            &units.as_ref().map(drop).map_err(Clone::clone),
            "Names, parents and managers may be read.",
            "Not readable with this key: people will have no unit.",
        );
        let photos = allowed(self.attachments(json!([]), 1).await)?;
        try_out(
            "Photos (ir.attachment)",
            &photos.map(drop),
            "Only photos that changed are fetched.",
            "Not readable with this key: people will have no photo from Odoo.",
        );
        let version = self
            .version()
            .await
            .map_or_else(|| "Odoo".to_owned(), |version| format!("Odoo {version}"));
        Ok(Probe {
            system: version,
            people,
            units: units.unwrap_or(0),
            access,
        })
    }

    async fn units(&self) -> Result<Structure, Error> {
        let fields = json!(["name", "parent_id", "manager_id"]);
        // Archived ones too: people and units may still hang on them.
        let rows = self
            .all(DEPARTMENT, fields, 500, json!({"active_test": false}))
            .await;
        let mut structure = Structure::default();
        let rows = match allowed(rows)? {
            Ok(rows) => rows,
            Err(error) => {
                let faults = &mut structure.faults;
                let mut notes = Notes {
                    place: DEPARTMENT.into(),
                    external_id: None,
                    faults,
                };
                notes.record(None, format!("{error}; people have no unit"));
                return Ok(structure);
            }
        };
        for row in &rows {
            let Some(id) = id(row).map(|id| id.to_string()) else {
                notes(DEPARTMENT, None, &mut structure.faults)
                    .record(Some("id"), "has no id".into());
                continue;
            };
            let mut notes = notes(DEPARTMENT, Some(&id), &mut structure.faults);
            let raw = row.get("name").and_then(Json::as_str).unwrap_or_default();
            let name =
                match text::line("name", raw, 120).and_then(|name| text::required("name", name)) {
                    Ok(name) => name,
                    Err(violation) => {
                        notes.record(Some("name"), complaint(&violation, raw));
                        continue;
                    }
                };
            let parent = reference(row, "parent_id", &mut notes);
            let heads = reference(row, "manager_id", &mut notes)
                .into_iter()
                .collect();
            structure.units.push(OrgUnit {
                external_id: id,
                name,
                parent,
                heads,
            });
        }
        Ok(structure)
    }

    fn workers(&self, since: Option<Watermark>) -> BoxStream<'_, Result<Page, Error>> {
        stream::try_unfold(None, move |after: Option<Position>| {
            let since = since.clone();
            async move {
                let after = match after {
                    Some(after) => after,
                    None => Position::since(since.as_ref())?,
                };
                Ok(self
                    .page(&after)
                    .await?
                    .map(|(page, last)| (page, Some(last))))
            }
        })
        .boxed()
    }

    async fn worker_ids(&self) -> Result<WorkerIds, Error> {
        let model = self.view().await?.model;
        let rows = self
            .all(model, json!(["id"]), ID_ROWS, json!({"active_test": false}))
            .await?;
        let ids: Vec<_> = rows.iter().filter_map(id).collect();
        Ok(WorkerIds {
            unreadable: rows.len() - ids.len(),
            ids: ids.iter().map(ToString::to_string).collect(),
        })
    }

    async fn photo(&self, external_id: &str) -> Result<Option<Photo>, Error> {
        let Ok(id) = external_id.parse::<i64>() else {
            return Ok(None);
        };
        let model = self.view().await?.model;
        // 512 pixels are what a profile shows at its largest; Odoo keeps them ready.
        let rows: Vec<Row> = self
            .call(model, "read", json!({"ids": [id], "fields": ["image_512"]}))
            .await?;
        let Some(encoded) = rows
            .first()
            .and_then(|row| row.get("image_512"))
            .and_then(Json::as_str)
        else {
            return Ok(None);
        };
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .map_err(|_| malformed(&format!("{model} {id}"), "image_512", "is not base64"))?;
        if bytes.len() as u64 > PHOTO_BYTES {
            let limit = usize::try_from(PHOTO_BYTES).unwrap_or(usize::MAX);
            return Err(Error::TooLarge {
                what: format!("the photo of {model} {id}"),
                limit,
            });
        }
        let drawn = bytes.trim_ascii_start().starts_with(b"<");
        Ok((!drawn && !bytes.is_empty()).then_some(Photo { bytes }))
    }
}

impl View {
    fn names(&self) -> Vec<&str> {
        let own = ["id", "write_date", "active", "parent_id", "department_id"];
        own.into_iter()
            .chain(self.fields.iter().map(|(name, _)| name.as_str()))
            .collect()
    }
}

/// How far a pull has come: everything up to here is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    /// None before the first row.
    at: Option<NaiveDateTime>,
    id: i64,
}

const STAMP: &str = "%Y-%m-%d %H:%M:%S";

impl Position {
    fn since(since: Option<&Watermark>) -> Result<Self, Error> {
        let Some(Watermark(mark)) = since else {
            return Ok(Self { at: None, id: 0 });
        };
        let at = NaiveDateTime::parse_from_str(mark, STAMP)
            .map_err(|_| malformed("the last run", "watermark", "is not a time; run in full"))?;
        Ok(Self {
            at: Some(at - OVERLAP),
            id: 0,
        })
    }

    fn of(row: &Row, model: &str) -> Result<Self, Error> {
        let raw = row
            .get("write_date")
            .and_then(Json::as_str)
            .unwrap_or_default();
        let at = NaiveDateTime::parse_from_str(raw, STAMP)
            .map_err(|_| malformed(model, "write_date", "is not a time"))?;
        let id = id(row).ok_or_else(|| malformed(model, "id", "is not a number"))?;
        Ok(Self { at: Some(at), id })
    }

    fn watermark(&self) -> Watermark {
        Watermark(self.at.unwrap_or_default().format(STAMP).to_string())
    }

    fn domain(&self) -> Json {
        let Some(at) = self.at else { return json!([]) };
        let at = at.format(STAMP).to_string();
        json!([
            "|",
            ["write_date", ">", at],
            "&",
            ["write_date", "=", at],
            ["id", ">", self.id]
        ])
    }
}

/// The body of a good answer, or what the other kinds of answer mean.
fn judge(answer: Answer, model: &str) -> Result<Vec<u8>, Error> {
    let said: Complaint = serde_json::from_slice(&answer.body).unwrap_or_default();
    let rejected = |what: String| Err(Error::Rejected { what });
    match answer.status.as_u16() {
        200 if answer.media_type == "application/json" => Ok(answer.body),
        200 => Err(malformed(model, "the answer", "is a page and not data; is this the address of Odoo itself?")),
        401 => Err(Error::Unauthorized),
        403 => Err(Error::Forbidden { what: model.to_owned() }),
        404 if said.name.is_empty() => rejected("has no JSON-2 API for this database; it must be Odoo 19 or newer, and the database's name right".into()),
        404 => rejected(format!("has no {model}; is the app installed?")),
        408 | 502..=504 => Err(Error::Unreachable { what: format!("answers {}", answer.status.as_u16()) }),
        429 => Err(Error::RateLimited { retry_after: answer.retry_after }),
        status => rejected(match first_line(&said.message) {
            Some(line) => format!("refused to read {model}: {line}"),
            None => format!("failed with {status} while reading {model}"),
        }),
    }
}

/// The first line of Odoo's message, unless it smells of a traceback.
fn first_line(message: &str) -> Option<String> {
    let line: String = message
        .lines()
        .next()?
        .chars()
        .filter(|c| !c.is_control())
        .take(160)
        .collect();
    let inside = ["Traceback", "File \"", "psycopg2", "SELECT ", "/usr/"]
        .iter()
        .any(|sign| line.contains(sign));
    (!inside && !line.trim().is_empty()).then(|| line.trim().to_owned())
}

fn malformed(record: &str, field: &str, what: &str) -> Error {
    Error::Malformed {
        record: record.to_owned(),
        field: field.to_owned(),
        what: what.to_owned(),
    }
}

/// Keeps "may not" as an answer, and lets everything else end the probe.
fn allowed<T>(result: Result<T, Error>) -> Result<Result<T, Error>, Error> {
    match result {
        Err(error) if !matches!(error, Error::Forbidden { .. }) => Err(error),
        result => Ok(result),
    }
}

fn id(row: &Row) -> Option<i64> {
    row.get("id")?.as_i64().filter(|id| *id > 0)
}

fn notes<'a>(model: &str, id: Option<&str>, faults: &'a mut Vec<Fault>) -> Notes<'a> {
    let place = id.map_or_else(
        || format!("{model}, a record without id"),
        |id| format!("{model} {id}"),
    );
    Notes {
        place,
        external_id: id.map(str::to_owned),
        faults,
    }
}

/// A many2one: `[id, "display name"]`, or `false`.
fn reference(row: &Row, field: &str, notes: &mut Notes<'_>) -> Option<String> {
    match row.get(field) {
        None | Some(Json::Null | Json::Bool(false)) => None,
        Some(Json::Array(pair)) if pair.first().is_some_and(Json::is_i64) => {
            pair[0].as_i64().map(|id| id.to_string())
        }
        Some(_) => {
            notes.field(field, "is not a reference; left out".into());
            None
        }
    }
}

fn worker(row: &Row, view: &View, faults: &mut Vec<Fault>) -> Option<Worker> {
    let Some(id) = id(row).map(|id| id.to_string()) else {
        notes(EMPLOYEE, None, faults).record(Some("id"), "has no id".into());
        return None;
    };
    let mut notes = notes(EMPLOYEE, Some(&id), faults);
    let mut worker = blank(&id);
    worker.active = row.get("active").and_then(Json::as_bool).unwrap_or(true);
    for (field, attribute) in &view.fields {
        match row.get(field) {
            // Odoo's way to say that a text or date is empty.
            None | Some(Json::Null | Json::Bool(false)) => {
                _ = worker.attributes.insert(*attribute, None)
            }
            Some(Json::String(raw)) => notes.set(&mut worker, *attribute, raw),
            Some(Json::Number(raw)) => notes.set(&mut worker, *attribute, &raw.to_string()),
            Some(_) => notes.field(attribute.name(), format!("{field} is not a text; left out")),
        }
    }
    if worker.text(Attribute::DisplayName).is_none() {
        notes.record(Some("name"), "has no name".into());
        return None;
    }
    worker.manager = reference(row, "parent_id", &mut notes);
    worker.unit = reference(row, "department_id", &mut notes);
    worker.changed_at = Position::of(row, EMPLOYEE)
        .ok()
        .and_then(|position| position.at)
        .map(|at| at.and_utc());
    Some(worker)
}

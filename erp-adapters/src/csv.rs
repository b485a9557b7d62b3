//! A folder of CSV files as an ERP: for systems that can only export, and for
//! the demo company (`erp-adapters/demo`, which is also an example).
//!
//! Files are UTF-8, with or without a byte order mark; cells are separated by
//! commas, semicolons or tabs (found out from the first row), and may be
//! quoted as RFC 4180 says, breaks within quotes included. The first row names
//! the columns, in any order and case. A column that is not named here is
//! ignored and reported once. A file has at most 64 MiB.
//!
//! `workers.csv`, one row a person; needed:
//!
//! | column | |
//! |---|---|
//! | `employee_number` | needed; never changes for a person, never given twice |
//! | `given_name`, `family_name`, `display_name` | at least one of the three |
//! | `nick_name`, `title`, `location` | one line each |
//! | `email` | at work |
//! | `unit` | a `unit` of `units.csv` |
//! | `manager` | the superior's `employee_number`, or the `position` of a vacant post: then whoever is next above it; empty for the one at the top |
//! | `dotted_managers` | superiors by dotted line, `employee_number`s with commas or semicolons between |
//! | `delegate`, `delegate_from`, `delegate_until` | the `employee_number` of who stands in while the person is away, the first day, and the last one (empty for without end) |
//! | `division`, `cost_centre` | one line each |
//! | `desk_phone`, `mobile` | best in international form, `+44 114 496 0127` |
//! | `birth_date` | `2019-05-13` |
//! | `start_date`, `end_date` | the first and the last day of work; both may lie ahead: who starts on Monday comes in on Monday, and who leaves on Friday has left on Saturday |
//! | `locale`, `timezone` | `en-GB`, `Europe/London` |
//! | `languages`, `skills` | several, separated by commas |
//! | `active` | `yes` (or empty) works here, `no` has left |
//! | `changed_at` | when the row last changed, `2026-11-19T09:00:00Z` |
//!
//! `units.csv`: `unit` (needed, unique), `name` (needed), `parent` (a `unit`),
//! `head` (an `employee_number`).
//!
//! `positions.csv`, posts that nobody holds: `position` (needed, unique),
//! `title` (needed), `unit`, `manager` (an `employee_number`, or another
//! `position` that is vacant too), `location`.
//!
//! `photos/`: `{employee_number}.jpg`, `.jpeg`, `.png`, `.webp` or `.gif`, of
//! at most 8 MiB. Links are not followed.
//!
//! A leaver is a row that says `active` `no`, or that is not there any more.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate};
use domain::{
    Attribute,
    erp::{Delegate, Fault, OrgUnit, Photo, Vacancy, Watermark, Worker},
    text,
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::{fs, io::AsyncReadExt as _};

use crate::{
    Access, ErpAdapter, Error, Page, Probe, Readable, Structure, WorkerIds,
    photo_folder::{PHOTOS, Photos, photo_of},
    table::{Row, Table},
    words::{Notes, blank, complaint, quote},
};

pub(crate) const FILE_BYTES: usize = 64 << 20;
const PAGE_ROWS: usize = 500;
const ID_CHARS: usize = 40;

const WORKERS: &str = "workers.csv";
const UNITS: &str = "units.csv";
const POSITIONS: &str = "positions.csv";

const ATTRIBUTES: [(&str, Attribute); 17] = [
    ("display_name", Attribute::DisplayName),
    ("given_name", Attribute::GivenName),
    ("family_name", Attribute::FamilyName),
    ("nick_name", Attribute::NickName),
    ("title", Attribute::Title),
    ("location", Attribute::Location),
    ("email", Attribute::Emails),
    ("division", Attribute::Division),
    ("cost_centre", Attribute::CostCenter),
    ("desk_phone", Attribute::PhoneNumbers),
    ("mobile", Attribute::Mobile),
    ("start_date", Attribute::StartDate),
    ("birth_date", Attribute::BirthDate),
    ("locale", Attribute::Locale),
    ("timezone", Attribute::Timezone),
    ("languages", Attribute::Languages),
    ("skills", Attribute::Skills),
];
const OTHERS: [&str; 10] = [
    "employee_number",
    "unit",
    "manager",
    "dotted_managers",
    "delegate",
    "delegate_from",
    "delegate_until",
    "end_date",
    "active",
    "changed_at",
];

/// A folder of CSV files, with the columns that [this module](self) describes.
#[derive(Debug)]
pub struct CsvFolder {
    folder: PathBuf,
}

impl CsvFolder {
    /// The folder at `folder`, a whole path.
    ///
    /// # Errors
    /// [`Error::Setting`] for a path that begins anywhere else than at the root.
    pub fn new(folder: &str) -> Result<Self, Error> {
        let folder = PathBuf::from(folder);
        if folder.is_absolute() {
            Ok(Self { folder })
        } else {
            Err(Error::setting(
                "folder",
                "must be a whole path, beginning with /",
            ))
        }
    }

    /// The table in a file, or none where there is no such file.
    async fn table(&self, name: &str) -> Result<Option<Table>, Error> {
        let Some(bytes) = read(&self.folder.join(name), name, FILE_BYTES).await? else {
            return Ok(None);
        };
        // A large file takes a while to split: not on a thread that serves requests.
        let table = tokio::task::spawn_blocking(move || Table::read(&bytes)).await;
        let malformed = |what| Error::Malformed {
            record: name.to_owned(),
            field: "the file".into(),
            what,
        };
        table
            .map_err(|_| malformed("could not be read".to_owned()))?
            .map(Some)
            .map_err(malformed)
    }

    async fn worker_table(&self) -> Result<Table, Error> {
        let Some(table) = self.table(WORKERS).await? else {
            return Err(Error::Unreachable {
                what: format!("there is no {WORKERS} in {}", self.folder.display()),
            });
        };
        let missing = |field: &str| {
            let what = "is not among the columns".to_owned();
            Err(Error::Malformed {
                record: WORKERS.into(),
                field: field.to_owned(),
                what,
            })
        };
        if !table.has("employee_number") {
            return missing("employee_number");
        }
        if !["display_name", "given_name", "family_name"]
            .iter()
            .any(|name| table.has(name))
        {
            return missing("family_name");
        }
        Ok(table)
    }

    async fn begin(&self) -> Result<Reading, Error> {
        let table = self.worker_table().await?;
        let units = self.table(UNITS).await?.map(|units| {
            units
                .rows
                .iter()
                .filter_map(|row| reference(&units, row, "unit"))
                .collect()
        });
        Ok(Reading {
            table,
            units,
            photos: Photos::of(&self.folder).await?,
            seen: HashMap::new(),
            next: 0,
            done: false,
        })
    }
}

#[async_trait]
impl ErpAdapter for CsvFolder {
    async fn probe(&self) -> Result<Probe, Error> {
        let workers = self.worker_table().await?;
        let units = self.table(UNITS).await?;
        let positions = self.table(POSITIONS).await?;
        let photos = Photos::of(&self.folder).await?.count();
        let access = |what: &str, rows: Option<usize>, without: &str| Access {
            what: what.to_owned(),
            readable: if rows.is_some() {
                Readable::Yes
            } else {
                Readable::No
            },
            note: rows.map_or_else(|| without.to_owned(), |rows| format!("{rows} read")),
        };
        let rows = |table: &Option<Table>| table.as_ref().map(|table| table.rows.len());
        Ok(Probe {
            system: "CSV folder".into(),
            people: workers.rows.len() as u64,
            units: rows(&units).unwrap_or(0) as u64,
            access: vec![
                access(WORKERS, Some(workers.rows.len()), ""),
                access(UNITS, rows(&units), "Not there: people will have no unit."),
                access(
                    POSITIONS,
                    rows(&positions),
                    "Not there: vacant posts are not known.",
                ),
                access(PHOTOS, (photos > 0).then_some(photos), "None there."),
            ],
        })
    }

    async fn units(&self) -> Result<Structure, Error> {
        let mut structure = Structure::default();
        if let Some(table) = self.table(UNITS).await? {
            let faults = &mut structure.faults;
            about_the_file(&table, UNITS, &["unit", "name", "parent", "head"], faults);
            let mut seen = HashMap::new();
            for row in &table.rows {
                let Some((id, name)) =
                    named(&table, row, UNITS, ["unit", "name"], &mut seen, faults)
                else {
                    continue;
                };
                let heads = table
                    .cell(row, "head")
                    .unwrap_or_default()
                    .split([',', ';']);
                structure.units.push(OrgUnit {
                    external_id: id,
                    name,
                    parent: reference(&table, row, "parent"),
                    heads: heads
                        .map(str::trim)
                        .filter(|head| !head.is_empty())
                        .map(str::to_owned)
                        .collect(),
                });
            }
        }
        if let Some(table) = self.table(POSITIONS).await? {
            let faults = &mut structure.faults;
            about_the_file(
                &table,
                POSITIONS,
                &["position", "title", "unit", "manager", "location"],
                faults,
            );
            let mut seen = HashMap::new();
            for row in &table.rows {
                let columns = ["position", "title"];
                let Some((id, title)) = named(&table, row, POSITIONS, columns, &mut seen, faults)
                else {
                    continue;
                };
                let (unit, manager) = (
                    reference(&table, row, "unit"),
                    reference(&table, row, "manager"),
                );
                structure.vacancies.push(Vacancy {
                    external_id: id,
                    title,
                    unit,
                    manager,
                });
            }
        }
        Ok(structure)
    }

    fn workers(&self, _since: Option<Watermark>) -> BoxStream<'_, Result<Page, Error>> {
        // A file says nothing of what changed in it: every pull reads all of it.
        stream::try_unfold(None, move |reading: Option<Reading>| async move {
            let mut reading = match reading {
                Some(reading) => reading,
                None => self.begin().await?,
            };
            Ok(reading.page().map(|page| (page, Some(reading))))
        })
        .boxed()
    }

    async fn worker_ids(&self) -> Result<WorkerIds, Error> {
        let table = self.worker_table().await?;
        let mut found = WorkerIds::default();
        let good = table.rows.iter().map(|row| {
            table
                .cell(row, "employee_number")
                .and_then(|raw| identifier(raw).ok())
        });
        let bad = table.bad.iter().map(|bad| {
            table
                .bad_cell(bad, "employee_number")
                .and_then(|raw| identifier(raw).ok())
        });
        for id in good.chain(bad) {
            match id {
                Some(id) => _ = found.ids.insert(id),
                None => found.unreadable += 1,
            }
        }
        Ok(found)
    }

    async fn photo(&self, external_id: &str) -> Result<Option<Photo>, Error> {
        photo_of(&self.folder, external_id).await
    }
}

/// A pull that is under way.
struct Reading {
    table: Table,
    /// Every unit's id; none without `units.csv`.
    units: Option<HashSet<String>>,
    photos: Photos,
    /// Line of each number.
    seen: HashMap<String, u64>,
    next: usize,
    done: bool,
}

impl Reading {
    fn page(&mut self) -> Option<Page> {
        if self.done {
            return None;
        }
        let mut faults = Vec::new();
        if self.next == 0 {
            let known: Vec<_> = OTHERS
                .into_iter()
                .chain(ATTRIBUTES.map(|(name, _)| name))
                .collect();
            about_the_file(&self.table, WORKERS, &known, &mut faults);
        }
        let end = self.table.rows.len().min(self.next + PAGE_ROWS);
        let workers = (self.next..end)
            .filter_map(|index| self.worker(index, &mut faults))
            .collect();
        self.next = end;
        self.done = end == self.table.rows.len();
        Some(Page {
            workers,
            faults,
            watermark: Watermark(end.to_string()),
        })
    }

    fn worker(&mut self, index: usize, faults: &mut Vec<Fault>) -> Option<Worker> {
        let (table, row) = (&self.table, &self.table.rows[index]);
        let id = identity(
            table,
            row,
            WORKERS,
            "employee_number",
            &mut self.seen,
            faults,
        )?;
        let mut notes = notes(WORKERS, row, Some(&id), faults);
        let mut worker = blank(&id);
        worker
            .attributes
            .insert(Attribute::EmployeeNumber, Some(id.as_str().into()));
        for (column, attribute) in ATTRIBUTES {
            if let Some(raw) = table.cell(row, column) {
                notes.set(&mut worker, attribute, raw);
            }
        }
        if ![
            Attribute::DisplayName,
            Attribute::GivenName,
            Attribute::FamilyName,
        ]
        .iter()
        .any(|a| worker.text(*a).is_some())
        {
            notes.record(None, "has no name".into());
            return None;
        }
        let active = table.cell(row, "active").unwrap_or_default();
        worker.active = match active.to_ascii_lowercase().as_str() {
            "" | "yes" | "true" | "1" => true,
            "no" | "false" | "0" => false,
            _ => {
                notes.record(
                    Some("active"),
                    format!("{} is neither yes nor no", quote(active)),
                );
                return None;
            }
        };
        worker.starts_on = worker
            .text(Attribute::StartDate)
            .and_then(|day| day.parse().ok());
        worker.ends_on = day(table, row, "end_date", Attribute::EndDate, &mut notes);
        worker.manager = reference(table, row, "manager");
        let dotted = table.cell(row, "dotted_managers").unwrap_or_default();
        let dotted = dotted.split([',', ';']);
        worker.dotted = dotted
            .filter_map(|one| identifier(one).ok())
            .filter(|one| *one != id)
            .collect();
        worker.delegate = delegate(table, row, &id, &mut notes);
        worker.unit = reference(table, row, "unit");
        if let (Some(unit), Some(units)) = (&worker.unit, &self.units)
            && !units.contains(unit)
        {
            notes.field(
                "unit",
                format!("{} is not in {UNITS}; left out", quote(unit)),
            );
            worker.unit = None;
        }
        let changed = table.cell(row, "changed_at").filter(|raw| !raw.is_empty());
        worker.changed_at = changed.and_then(|raw| {
            let at = DateTime::parse_from_rfc3339(raw).ok();
            if at.is_none() {
                notes.field(
                    "changed_at",
                    format!(
                        "{} is not a time such as 2026-11-19T09:00:00Z; left out",
                        quote(raw)
                    ),
                );
            }
            at.map(|at| at.to_utc())
        });
        if let Some(name) = self.photos.by_id(&id) {
            match self.photos.mark(&name) {
                Ok(mark) => worker.photo = mark,
                Err(why) => notes.field(Attribute::Photos.name(), why),
            }
        }
        Some(worker)
    }
}

fn notes<'a>(file: &str, row: &Row, id: Option<&str>, faults: &'a mut Vec<Fault>) -> Notes<'a> {
    Notes {
        place: format!("{file}, line {}", row.line),
        external_id: id.map(str::to_owned),
        faults,
    }
}

/// What is wrong with a file as a whole, and its rows that cannot be read.
///
/// The first of the `known` columns holds the id.
fn about_the_file(table: &Table, file: &str, known: &[&str], faults: &mut Vec<Fault>) {
    for column in table.unknown(known) {
        let mut notes = Notes {
            place: format!("{file}, first row"),
            external_id: None,
            faults,
        };
        notes.field(column, "is not a column that is read; ignored".into());
    }
    for bad in &table.bad {
        let id = known.first().and_then(|column| table.bad_cell(bad, column));
        let external_id = id.and_then(|raw| identifier(raw).ok());
        let mut notes = Notes {
            place: format!("{file}, line {}", bad.line),
            external_id,
            faults,
        };
        notes.record(None, bad.reason.clone());
    }
}

/// An id as it is compared; or what is wrong with it.
fn identifier(raw: &str) -> Result<String, String> {
    text::line("id", raw, ID_CHARS)
        .and_then(|id| text::required("id", id))
        .map_err(|violation| complaint(&violation, raw))
}

/// The id in `column`, unless it is unreadable or was in an earlier row.
fn identity(
    table: &Table,
    row: &Row,
    file: &str,
    column: &str,
    seen: &mut HashMap<String, u64>,
    faults: &mut Vec<Fault>,
) -> Option<String> {
    let id = match identifier(table.cell(row, column).unwrap_or_default()) {
        Ok(id) => id,
        Err(what) => {
            notes(file, row, None, faults).record(Some(column), what);
            return None;
        }
    };
    if let Some(line) = seen.get(&id) {
        let what = format!(
            "{} is on line {line} already; this row is left out",
            quote(&id)
        );
        notes(file, row, Some(&id), faults).record(Some(column), what);
        return None;
    }
    seen.insert(id.clone(), row.line);
    Some(id)
}

/// Id and name of a row; both are needed.
fn named(
    table: &Table,
    row: &Row,
    file: &str,
    [id, name]: [&str; 2],
    seen: &mut HashMap<String, u64>,
    faults: &mut Vec<Fault>,
) -> Option<(String, String)> {
    let id = identity(table, row, file, id, seen, faults)?;
    let raw = table.cell(row, name).unwrap_or_default();
    match text::line(name, raw, 120).and_then(|clean| text::required(name, clean)) {
        Ok(clean) => Some((id, clean)),
        Err(violation) => {
            notes(file, row, Some(&id), faults).record(Some(name), complaint(&violation, raw));
            None
        }
    }
}

/// A day in `column`, which is told of as `attribute`.
fn day(
    table: &Table,
    row: &Row,
    column: &str,
    attribute: Attribute,
    notes: &mut Notes<'_>,
) -> Option<NaiveDate> {
    let raw = table.cell(row, column).filter(|raw| !raw.is_empty())?;
    match attribute.check(raw.into()) {
        Ok(day) => day.as_text().and_then(|day| day.parse().ok()),
        Err(violation) => {
            let what = complaint(&violation, raw);
            notes.field(attribute.name(), format!("{column}: {what}; left out"));
            None
        }
    }
}

/// Who stands in for somebody; nobody without a first day.
fn delegate(table: &Table, row: &Row, id: &str, notes: &mut Notes<'_>) -> Option<Delegate> {
    let to = reference(table, row, "delegate")?;
    let mut day = |column| {
        let raw = table.cell(row, column).filter(|raw| !raw.is_empty())?;
        let day = raw.parse().ok();
        if day.is_none() {
            let what = format!("{} is not a date such as 2019-05-13", quote(raw));
            notes.field(column, format!("{what}; left out"));
        }
        day
    };
    let (from, until) = (day("delegate_from"), day("delegate_until"));
    let lost = until.is_none()
        && table
            .cell(row, "delegate_until")
            .is_some_and(|raw| !raw.is_empty());
    let wrong = match from {
        None => "has no first day in delegate_from",
        // Without the last day it would never end.
        Some(_) if lost => "has a last day that cannot be read",
        Some(from) if until.is_some_and(|until| until < from) => "ends before it begins",
        Some(_) if to == id => "stands in for themselves",
        Some(from) => return Some(Delegate { to, from, until }),
    };
    notes.field("delegate", format!("{} {wrong}; left out", quote(&to)));
    None
}

/// A cell that names another row.
fn reference(table: &Table, row: &Row, column: &str) -> Option<String> {
    table.cell(row, column).and_then(|raw| identifier(raw).ok())
}

/// A file of at most `limit` bytes, or none where there is no such file.
pub(crate) async fn read(path: &Path, name: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
    // Opening a pipe would wait for somebody to write.
    match fs::metadata(path).await {
        Ok(meta) if meta.is_file() => {}
        Ok(_) => {
            let what = format!("{name} is not a file");
            return Err(Error::Unreachable { what });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(name, &error)),
    }
    let file = fs::File::open(path)
        .await
        .map_err(|error| unreadable(name, &error))?;
    let mut bytes = Vec::new();
    // One more than allowed tells a file that is too large from one that just fits.
    file.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .await
        .map_err(|error| unreadable(name, &error))?;
    if bytes.len() > limit {
        return Err(Error::TooLarge {
            what: name.to_owned(),
            limit,
        });
    }
    Ok(Some(bytes))
}

pub(crate) fn unreadable(name: &str, error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return Error::Forbidden {
            what: name.to_owned(),
        };
    }
    Error::Unreachable {
        what: format!("{name} cannot be read ({})", error.kind()),
    }
}

//! A folder into which somebody puts tables of people, as CSV or .xlsx, with
//! whatever columns they have: a [`Mapping`] says what they mean, and without
//! one the names of the columns do, where they are understood.
//!
//! Of the files that match the pattern the newest counts, or all of them
//! together. A file is read when it has stopped changing; it is read whole,
//! once a run, and every run is a full one. When its run has been applied, it
//! goes into the archive, and with it the older ones that it stood in for: the
//! next run would otherwise go back to them.
//!
//! CSV is UTF-8, or Windows-1252 where the settings say so: the two cannot be
//! told apart for certain, and a wrong guess would write wrong names. UTF-16
//! is refused. .xlsx is read as [`workbook`] says; .xls, .xlsb and .ods are
//! not read. Formulas are texts or their saved values here and nowhere more
//! than that.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::{
    Attribute,
    erp::{Fault, OrgUnit, Photo, Watermark, Worker},
    mapping::{Field, Mapping, Target},
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use serde_json::{Map, Value as Json, json};
use tokio::{fs, sync::Mutex, time::sleep};

use crate::{
    Access, ErpAdapter, Error, Page, Probe, Readable, Sample, Structure, WorkerIds,
    csv::{FILE_BYTES, read, unreadable},
    mapped::Mapper,
    registry::{Kind, optional, setting},
    words::quote,
};

mod grid;
mod workbook;

use grid::Grid;

/// The kind `table`.
pub(crate) const KIND: Kind = Kind {
    name: "table",
    label: "CSV or Excel files",
    help: "Reads tables of people, with whatever columns they have, from a folder of the server.",
    settings: &[
        setting(
            "folder",
            "Folder",
            "The whole path of a folder that the server can read.",
        ),
        optional(
            "pattern",
            "Name of the files",
            "With * and ? for what varies, such as people*.xlsx. Every file if nothing is entered.",
        ),
        optional(
            "files",
            "Which of them",
            "newest, or all together. newest if nothing is entered.",
        ),
        optional(
            "sheet",
            "Sheet",
            "The sheet of a workbook; its first one if nothing is entered.",
        ),
        optional(
            "unit_sheet",
            "Sheet of the units",
            "The sheet of a workbook where each row is a unit; nothing, if people name their unit.",
        ),
        optional(
            "header_row",
            "Row with the names of the columns",
            "1 if nothing is entered.",
        ),
        optional(
            "encoding",
            "Encoding of CSV files",
            "utf-8 or windows-1252. utf-8 if nothing is entered.",
        ),
        optional(
            "archive",
            "Archive",
            "The whole path of a folder into which files go when they have been read; they stay if nothing is entered.",
        ),
        optional(
            "watch",
            "Watch the folder",
            "yes to begin a run when a new file has come.",
        ),
        optional(
            "settle",
            "Seconds without a change",
            "How long a file must not change before it is read; 2 if nothing is entered.",
        ),
    ],
    mapped: true,
};

const PAGE_ROWS: usize = 500;
/// How long a file must not change before it is read.
const SETTLE: Duration = Duration::from_secs(2);
/// How often it is waited for.
const SETTLE_TRIES: u32 = 5;
/// Most files that are read together.
const FILES: usize = 100;

/// How a CSV file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Windows1252,
}

/// A folder of tables.
#[derive(Debug)]
pub struct TableFolder {
    folder: PathBuf,
    pattern: String,
    all: bool,
    sheet: Option<String>,
    unit_sheet: Option<String>,
    header: u32,
    archive: Option<PathBuf>,
    encoding: Encoding,
    mapping: Option<Mapping>,
    settle: Duration,
    loaded: Mutex<Option<Arc<Loaded>>>,
}

/// What the files said.
#[derive(Debug)]
struct Loaded {
    /// [`ErpAdapter::fingerprint`] of the files that were read.
    mark: String,
    mapping: Mapping,
    /// Whether the mapping was made out from the names of the columns.
    guessed: bool,
    grids: Vec<Grid>,
    unit_grids: Vec<Grid>,
    structure: Structure,
    ids: WorkerIds,
    /// Where each id stands that stands twice: the first place counts.
    twice: HashSet<(usize, usize)>,
    first: HashMap<String, String>,
}

/// A file as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    name: String,
    bytes: u64,
    /// Nanoseconds since 1970.
    changed: u128,
}

impl Seen {
    fn mark(&self) -> String {
        format!("{}|{}|{}", self.bytes, self.changed, self.name)
    }

    fn parse(mark: &str) -> Option<Self> {
        let mut parts = mark.splitn(3, '|');
        Some(Self {
            bytes: parts.next()?.parse().ok()?,
            changed: parts.next()?.parse().ok()?,
            name: parts.next()?.to_owned(),
        })
    }
}

impl TableFolder {
    /// The folder that the settings name; nothing is read yet.
    ///
    /// # Errors
    /// [`Error::Setting`] for one that cannot be right.
    pub(crate) fn new<'s>(
        get: &dyn Fn(&str) -> Option<&'s str>,
        mapping: Option<&Mapping>,
    ) -> Result<Self, Error> {
        let whole = |key: &str| match get(key).map(PathBuf::from) {
            Some(path) if !path.is_absolute() => Err(Error::setting(
                key,
                "must be a whole path, beginning with /",
            )),
            path => Ok(path),
        };
        let folder = whole("folder")?.unwrap_or_default();
        let archive = whole("archive")?;
        if archive.as_ref() == Some(&folder) {
            let what = "must be another folder, or what was read would be read again";
            return Err(Error::setting("archive", what));
        }
        let pattern = get("pattern").unwrap_or("*").to_owned();
        if pattern.contains(['/', '\\', '|']) || pattern.chars().any(char::is_control) {
            let what = "must be the name of a file, with * and ? for what varies";
            return Err(Error::setting("pattern", what));
        }
        let choice = |key: &str, allowed: [&str; 2]| match get(key) {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case(allowed[0]) => Ok(false),
            Some(text) if text.eq_ignore_ascii_case(allowed[1]) => Ok(true),
            Some(text) => {
                let [one, other] = allowed;
                let what = format!("{} is not known; allowed: {one}, {other}", quote(text));
                Err(Error::setting(key, what))
            }
        };
        choice("watch", ["no", "yes"])?;
        let header = match get("header_row").map(str::parse) {
            None => 1,
            Some(Ok(row @ 1..=1_000)) => row,
            Some(_) => {
                return Err(Error::setting(
                    "header_row",
                    "must be a number from 1 to 1000",
                ));
            }
        };
        let settle = match get("settle").map(str::parse) {
            None => SETTLE,
            Some(Ok(seconds @ 0..=600)) => Duration::from_secs(seconds),
            Some(_) => {
                return Err(Error::setting(
                    "settle",
                    "must be a number of seconds up to 600",
                ));
            }
        };
        if let Some(Err(bad)) = mapping.map(Mapping::check) {
            let bad: Vec<_> = bad.iter().map(ToString::to_string).collect();
            return Err(Error::setting("mapping", bad.join("; ")));
        }
        let unit_sheet = get("unit_sheet").map(str::to_owned);
        if mapping.is_some_and(|mapping| !mapping.unit.is_empty()) && unit_sheet.is_none() {
            let what = "is needed: the mapping has units with fields of their own";
            return Err(Error::setting("unit_sheet", what));
        }
        Ok(Self {
            folder,
            pattern,
            all: choice("files", ["newest", "all"])?,
            sheet: get("sheet").map(str::to_owned),
            unit_sheet,
            header,
            archive,
            encoding: if choice("encoding", ["utf-8", "windows-1252"])? {
                Encoding::Windows1252
            } else {
                Encoding::Utf8
            },
            mapping: mapping.cloned(),
            settle,
            loaded: Mutex::new(None),
        })
    }

    /// The files that a run would read, in the order of their names.
    async fn due(&self, folder: &Path) -> Result<Vec<Seen>, Error> {
        let mut files = matching(folder, &self.pattern).await?;
        if !self.all {
            let newest = files.into_iter().max_by(|a, b| {
                let key = |file: &Seen| (file.changed, file.name.clone());
                key(a).cmp(&key(b))
            });
            return Ok(newest.into_iter().collect());
        }
        if files.len() > FILES {
            let what = format!(
                "{} files match {}; at most {FILES} are read",
                files.len(),
                self.pattern
            );
            return Err(Error::Unreachable { what });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    /// The files to read, when they have stopped changing.
    async fn settled(&self) -> Result<Vec<Seen>, Error> {
        let mut before = self.due(&self.folder).await?;
        for _ in 0..SETTLE_TRIES {
            if before.is_empty() {
                break;
            }
            sleep(self.settle).await;
            let now = self.due(&self.folder).await?;
            if now == before {
                return Ok(now);
            }
            before = now;
        }
        let what = match before.first() {
            None => format!(
                "there is no file {} in {}",
                self.pattern,
                self.folder.display()
            ),
            Some(file) => format!("{} is still being written", file.name),
        };
        Err(Error::Unreachable { what })
    }

    /// What the files say; read anew if `fresh`, else as it was read before.
    async fn load(&self, fresh: bool) -> Result<Arc<Loaded>, Error> {
        let mut kept = self.loaded.lock().await;
        if let (Some(loaded), false) = (kept.as_ref(), fresh) {
            return Ok(Arc::clone(loaded));
        }
        let files = self.settled().await?;
        let loaded = Arc::new(self.read(&self.folder, &files).await?);
        if self.due(&self.folder).await? != files {
            let what = "the files changed while they were read; try again".to_owned();
            return Err(Error::Unreachable { what });
        }
        *kept = Some(Arc::clone(&loaded));
        Ok(loaded)
    }

    async fn read(&self, folder: &Path, files: &[Seen]) -> Result<Loaded, Error> {
        let mut grids = Vec::new();
        let mut unit_grids = Vec::new();
        for file in files {
            let Some(bytes) = read(&folder.join(&file.name), &file.name, FILE_BYTES).await? else {
                let what = format!("{} is not there any more", file.name);
                return Err(Error::Unreachable { what });
            };
            let malformed = |what| Error::Malformed {
                record: file.name.clone(),
                field: "the file".into(),
                what,
            };
            let name = file.name.clone();
            let (encoding, header) = (self.encoding, self.header);
            let (sheet, units) = (self.sheet.clone(), self.unit_sheet.clone());
            // A large file takes a while: not on a thread that serves requests.
            let read = tokio::task::spawn_blocking(move || {
                open(
                    &name,
                    bytes,
                    encoding,
                    sheet.as_deref(),
                    units.as_deref(),
                    header,
                )
            });
            let (people, units) = read
                .await
                .map_err(|_| malformed("could not be read".into()))?
                .map_err(malformed)?;
            grids.push(people);
            unit_grids.extend(units);
        }
        let marks: Vec<_> = files.iter().map(Seen::mark).collect();
        Loaded::new(marks.join("\n"), self.mapping.as_ref(), grids, unit_grids)
    }
}

impl Loaded {
    fn new(
        mark: String,
        mapping: Option<&Mapping>,
        grids: Vec<Grid>,
        unit_grids: Vec<Grid>,
    ) -> Result<Self, Error> {
        let guessed = mapping.is_none();
        let mapping = match mapping {
            Some(mapping) => mapping.clone(),
            None => guess(&grids)?,
        };
        let id = mapping
            .worker
            .iter()
            .find(|field| field.target == Target::Id);
        for grid in &grids {
            if let Some(id) = id
                && grid.find(&id.from).is_none()
                && !id.from.is_empty()
            {
                return Err(Error::Malformed {
                    record: grid.name.clone(),
                    field: id.from.clone(),
                    what: format!("is not among the columns: {}", names(grid)),
                });
            }
        }
        let mut loaded = Self {
            mark,
            mapping,
            guessed,
            grids,
            unit_grids,
            structure: Structure::default(),
            ids: WorkerIds::default(),
            twice: HashSet::new(),
            first: HashMap::new(),
        };
        loaded.take_ids();
        loaded.take_units();
        Ok(loaded)
    }

    /// Reads the ids, and the units that people name.
    fn take_ids(&mut self) {
        let needed = |field: &&Field| {
            field.target == Target::Id
                || (field.target == Target::Unit && self.unit_grids.is_empty())
        };
        let part = Mapping {
            worker: self.mapping.worker.iter().filter(needed).cloned().collect(),
            unit: Vec::new(),
        };
        let mut mapper = Mapper::new(&part);
        let mut ignored = Vec::new();
        for (at, grid) in self.grids.iter().enumerate() {
            for (row, line) in grid.lines.iter().enumerate() {
                let record = record(grid, &part, |column| line.text(column));
                let worker = mapper.worker("", &record, &mut ignored);
                ignored.clear();
                let Some(worker) = worker else {
                    self.ids.unreadable += 1;
                    continue;
                };
                let id = worker.external_id;
                if self.ids.ids.insert(id.clone()) {
                    self.first.insert(id, grid.place(line.number));
                } else {
                    self.twice.insert((at, row));
                }
            }
            for bad in &grid.bad {
                match bad_id(grid, &self.mapping, bad) {
                    Some(id) => _ = self.ids.ids.insert(id),
                    None => self.ids.unreadable += 1,
                }
            }
        }
        self.structure.units = mapper.named_units();
    }

    fn take_units(&mut self) {
        if self.mapping.unit.is_empty() || self.unit_grids.is_empty() {
            return;
        }
        let mut mapper = Mapper::new(&self.mapping);
        let mut units: Vec<OrgUnit> = Vec::new();
        let faults = &mut self.structure.faults;
        for grid in &self.unit_grids {
            for line in &grid.lines {
                let fields = Mapping {
                    worker: self.mapping.unit.clone(),
                    unit: Vec::new(),
                };
                let record = record(grid, &fields, |column| line.text(column));
                let place = grid.place(line.number);
                let Some(unit) = mapper.unit(&place, &record, faults) else {
                    continue;
                };
                if units
                    .iter()
                    .any(|known| known.external_id == unit.external_id)
                {
                    faults.push(Fault {
                        place,
                        field: Some("id".into()),
                        what: format!(
                            "{} stands there twice; this row is left out",
                            quote(&unit.external_id)
                        ),
                        external_id: Some(unit.external_id),
                        left_out: true,
                    });
                    continue;
                }
                units.push(unit);
            }
            for bad in &grid.bad {
                faults.push(Fault {
                    place: grid.place(bad.line),
                    field: None,
                    what: bad.reason.clone(),
                    external_id: None,
                    left_out: true,
                });
            }
        }
        self.structure.units = units;
    }

    /// What is to be said of the files as wholes.
    fn remarks(&self, mapper: &Mapper<'_>) -> Vec<Fault> {
        let fault = |place: &str, what: String| Fault {
            place: place.to_owned(),
            field: None,
            what,
            external_id: None,
            left_out: false,
        };
        let mut faults = Vec::new();
        for grid in &self.grids {
            faults.extend(
                grid.notes
                    .iter()
                    .map(|note| fault(&grid.name, note.clone())),
            );
            if !self.guessed {
                continue;
            }
            let read = |name: &str| self.mapping.worker.iter().any(|field| field.from == name);
            let unread: Vec<_> = grid
                .columns
                .iter()
                .map(|column| column.name.as_str())
                .filter(|name| !read(name))
                .collect();
            if !unread.is_empty() {
                let what = format!(
                    "no mapping says what these columns mean, so they were not read: {}",
                    unread.join(", ")
                );
                faults.push(fault(&grid.name, what));
            }
        }
        faults.extend(mapper.never_met(self.grids.first().map_or("", |grid| &grid.name)));
        faults
    }

    /// The row as a worker; none with faults that say why.
    fn worker(
        &self,
        mapper: &mut Mapper<'_>,
        (at, row): (usize, usize),
        faults: &mut Vec<Fault>,
    ) -> Option<Worker> {
        let grid = &self.grids[at];
        let line = &grid.lines[row];
        let before = faults.len();
        let record = record(grid, &self.mapping, |column| line.text(column));
        let worker = mapper.worker(&grid.place(line.number), &record, faults);
        let id = worker.as_ref().map(|worker| worker.external_id.clone());
        // To the place belongs the column, which the mapping knows by what it becomes.
        for fault in &mut faults[before..] {
            let field = fault.field.as_deref();
            let field = self
                .mapping
                .worker
                .iter()
                .find(|known| Some(known.target.name()) == field);
            if let Some(column) = field.and_then(|field| grid.find(&field.from)) {
                fault.place = grid.cell_place(line.number, column);
                if let Some((_, why)) = line.bad.iter().find(|(bad, _)| *bad == column) {
                    fault.what.clone_from(why);
                }
            }
        }
        let id = id?;
        for (column, why) in &line.bad {
            let read = self
                .mapping
                .worker
                .iter()
                .filter(|field| grid.find(&field.from) == Some(*column));
            for field in read {
                faults.push(Fault {
                    place: grid.cell_place(line.number, *column),
                    field: Some(field.target.name().to_owned()),
                    what: format!("{why}; left out"),
                    external_id: Some(id.clone()),
                    left_out: false,
                });
            }
        }
        if self.twice.contains(&(at, row)) {
            faults.push(Fault {
                place: grid.place(line.number),
                field: Some("id".into()),
                what: format!(
                    "{} stands at {} already; this row is left out",
                    quote(&id),
                    self.first.get(&id).map_or("another place", String::as_str)
                ),
                external_id: Some(id),
                left_out: true,
            });
            return None;
        }
        worker
    }

    fn page(
        &self,
        mapper: &mut Mapper<'_>,
        from: (usize, usize),
    ) -> (Page, Option<(usize, usize)>) {
        let mut page = Page {
            workers: Vec::new(),
            faults: Vec::new(),
            watermark: Watermark(self.mark.clone()),
        };
        let (at, first) = from;
        let Some(grid) = self.grids.get(at) else {
            page.faults = self.remarks(mapper);
            return (page, None);
        };
        let end = grid.lines.len().min(first + PAGE_ROWS);
        for row in first..end {
            let worker = self.worker(mapper, (at, row), &mut page.faults);
            page.workers.extend(worker);
        }
        if end < grid.lines.len() {
            return (page, Some((at, end)));
        }
        for bad in &grid.bad {
            page.faults.push(Fault {
                place: grid.place(bad.line),
                field: None,
                what: bad.reason.clone(),
                external_id: bad_id(grid, &self.mapping, bad),
                left_out: true,
            });
        }
        (page, Some((at + 1, 0)))
    }
}

#[async_trait]
impl ErpAdapter for TableFolder {
    async fn probe(&self) -> Result<Probe, Error> {
        let loaded = self.load(true).await?;
        let mut access = Vec::new();
        for grid in &loaded.grids {
            access.push(Access {
                what: grid.name.clone(),
                readable: if grid.bad.is_empty() {
                    Readable::Yes
                } else {
                    Readable::Reduced
                },
                note: format!("{} rows; columns: {}", grid.lines.len(), names(grid)),
            });
        }
        Ok(Probe {
            system: "Tables".into(),
            people: loaded.ids.ids.len() as u64,
            units: loaded.structure.units.len() as u64,
            access,
        })
    }

    async fn units(&self) -> Result<Structure, Error> {
        Ok(self.load(true).await?.structure.clone())
    }

    fn workers(&self, since: Option<Watermark>) -> BoxStream<'_, Result<Page, Error>> {
        // A file says everything anew.
        drop(since);
        stream::once(self.load(false))
            .flat_map(|loaded| match loaded {
                Ok(loaded) => pages(loaded).map(Ok).boxed(),
                Err(error) => stream::once(async { Err(error) }).boxed(),
            })
            .boxed()
    }

    async fn worker_ids(&self) -> Result<WorkerIds, Error> {
        Ok(self.load(false).await?.ids.clone())
    }

    async fn photo(&self, _: &str) -> Result<Option<Photo>, Error> {
        Ok(None)
    }

    async fn sample(&self, limit: usize) -> Result<Vec<Sample>, Error> {
        let files = self.due(&self.folder).await?;
        // What was read lies in the archive, and a mapping may be made after that.
        let (folder, files) = match &self.archive {
            Some(archive) if files.is_empty() => (archive, self.due(archive).await?),
            _ => (&self.folder, files),
        };
        let mut samples = Vec::new();
        for file in &files {
            let Some(bytes) = read(&folder.join(&file.name), &file.name, FILE_BYTES).await? else {
                continue;
            };
            let name = file.name.clone();
            let (encoding, header, sheet) = (self.encoding, self.header, self.sheet.clone());
            let read = tokio::task::spawn_blocking(move || {
                open(&name, bytes, encoding, sheet.as_deref(), None, header)
            });
            let malformed = |what| Error::Malformed {
                record: file.name.clone(),
                field: "the file".into(),
                what,
            };
            let (grid, _) = read
                .await
                .map_err(|_| malformed("could not be read".into()))?
                .map_err(malformed)?;
            for line in grid.lines.iter().take(limit - samples.len()) {
                let mut record = Map::new();
                for (at, column) in grid.columns.iter().enumerate() {
                    if let Some(text) = line.text(at) {
                        record.insert(column.name.clone(), json!(text));
                    }
                }
                samples.push(Sample {
                    place: grid.place(line.number),
                    record: Json::Object(record),
                });
            }
            if samples.len() >= limit {
                break;
            }
        }
        Ok(samples)
    }

    async fn fingerprint(&self) -> Result<Option<String>, Error> {
        let files = self.due(&self.folder).await?;
        let marks: Vec<_> = files.iter().map(Seen::mark).collect();
        Ok((!marks.is_empty()).then(|| marks.join("\n")))
    }

    async fn done(&self, upto: &Watermark) -> Result<(), Error> {
        let Some(archive) = &self.archive else {
            return Ok(());
        };
        let read: Vec<_> = upto.0.lines().filter_map(Seen::parse).collect();
        let newest = read.iter().map(|file| file.changed).max();
        let superseded = |file: &Seen| !self.all && newest.is_some_and(|at| file.changed <= at);
        for file in matching(&self.folder, &self.pattern).await? {
            // One that was written anew meanwhile is not what was read.
            if read.contains(&file) || superseded(&file) {
                keep(&self.folder, archive, &file).await?;
            }
        }
        Ok(())
    }
}

fn pages(loaded: Arc<Loaded>) -> impl futures::Stream<Item = Page> + Send + use<> {
    // The mapper lives from page to page and borrows the mapping, which lives as long as what was read:
    // a task of its own holds both and gives a page when one is asked for.
    let (give, take) = tokio::sync::mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let mut mapper = Mapper::new(&loaded.mapping);
        let mut from = Some((0, 0));
        while let Some(at) = from {
            let (page, next) = loaded.page(&mut mapper, at);
            from = next;
            if give.blocking_send(page).is_err() {
                return;
            }
        }
    });
    stream::unfold(take, |mut take| async move {
        let page = take.recv().await?;
        Some((page, take))
    })
}

/// Takes a file apart: the people's sheet, and the units' if there is one.
fn open(
    name: &str,
    bytes: Vec<u8>,
    encoding: Encoding,
    sheet: Option<&str>,
    units: Option<&str>,
    header: u32,
) -> Result<(Grid, Option<Grid>), String> {
    const ZIP: &[u8] = b"PK\x03\x04";
    const OLE: &[u8] = b"\xD0\xCF\x11\xE0";
    if bytes.starts_with(OLE) {
        return Err("is an old .xls file, or protected by a password; save it as .xlsx".into());
    }
    if bytes.starts_with(ZIP) {
        if name.to_lowercase().ends_with(".ods") {
            return Err("is an .ods file; save it as .xlsx".into());
        }
        let of_units = match units {
            Some(units) => Some(workbook::read(name, bytes.clone(), Some(units), 1)?),
            None => None,
        };
        return Ok((workbook::read(name, bytes, sheet, header)?, of_units));
    }
    if units.is_some() {
        return Err("is CSV, which has no sheet for units".into());
    }
    if bytes.contains(&0) && !bytes.starts_with(b"\xFF\xFE") && !bytes.starts_with(b"\xFE\xFF") {
        return Err("is neither CSV nor .xlsx".into());
    }
    let text = match encoding {
        Encoding::Utf8 => Cow::Borrowed(bytes.as_slice()),
        Encoding::Windows1252 => Cow::Owned(windows_1252(&bytes).into_bytes()),
    };
    let foreign = std::str::from_utf8(&text).is_err();
    let hint =
        "if it was saved as ANSI (Windows-1252), say so in the settings or save it as CSV UTF-8";
    let mut grid = Grid::of_csv(name, &text, header).map_err(|what| {
        if foreign {
            format!("{what}; {hint}")
        } else {
            what
        }
    })?;
    if foreign {
        grid.note(format!("is not UTF-8 throughout; {hint}"));
    }
    Ok((grid, None))
}

/// Windows' western code page: Latin 1 but for 32 signs.
fn windows_1252(bytes: &[u8]) -> String {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    let sign = |byte: &u8| match byte {
        0x80..=0x9F => HIGH[usize::from(byte - 0x80)],
        other => char::from(*other),
    };
    bytes.iter().map(sign).collect()
}

/// A row as the mapping reads it: by the mapping's own names of columns.
fn record<'t>(grid: &Grid, mapping: &Mapping, text: impl Fn(usize) -> Option<&'t str>) -> Json {
    use domain::mapping::Transform;
    let mut record = Map::new();
    for field in &mapping.worker {
        let joined = field.transforms.iter().filter_map(|one| match one {
            Transform::Join { with, .. } => Some(with),
            _ => None,
        });
        for from in std::iter::once(&field.from).chain(joined) {
            let column = grid.find(from.strip_prefix('/').unwrap_or(from));
            if let Some(text) = column.and_then(&text) {
                let key = from.strip_prefix('/').unwrap_or(from);
                record.insert(key.to_owned(), json!(text));
            }
        }
    }
    Json::Object(record)
}

/// The id of a row that cannot be read, where that much of it can.
fn bad_id(grid: &Grid, mapping: &Mapping, bad: &crate::table::BadRow) -> Option<String> {
    let id = mapping
        .worker
        .iter()
        .find(|field| field.target == Target::Id)?;
    // Of a bad row its first cell alone is known.
    (grid.find(&id.from) == Some(0))
        .then(|| bad.first.clone())
        .flatten()
}

fn names(grid: &Grid) -> String {
    let names: Vec<_> = grid
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let names = names.join(", ");
    names.chars().take(400).collect()
}

/// What columns are called in exports, English and German, without spaces and signs.
const KNOWN: [(Target, &[&str]); 20] = [
    (
        Target::Id,
        &[
            "employeenumber",
            "employeeid",
            "employeeno",
            "personnelnumber",
            "personnelno",
            "personnelid",
            "staffid",
            "staffnumber",
            "payrollnumber",
            "personid",
            "userid",
            "id",
            "number",
            "personalnummer",
            "personalnr",
            "mitarbeiternummer",
            "mitarbeiternr",
            "mitarbeiterid",
            "persnr",
            "pnr",
        ],
    ),
    (
        Target::Manager,
        &[
            "manager",
            "managerid",
            "managernumber",
            "superior",
            "superiorid",
            "supervisor",
            "supervisorid",
            "reportsto",
            "lineManager",
            "linemanager",
            "vorgesetzter",
            "vorgesetzte",
            "vorgesetztenummer",
            "vorgesetztepersonalnummer",
            "fuehrungskraft",
            "führungskraft",
        ],
    ),
    (
        Target::Unit,
        &[
            "unit",
            "department",
            "dept",
            "departmentname",
            "team",
            "orgunit",
            "organizationalunit",
            "abteilung",
            "bereich",
            "organisationseinheit",
        ],
    ),
    (
        Target::Active,
        &["active", "status", "employmentstatus", "aktiv"],
    ),
    (
        Target::Attribute(Attribute::DisplayName),
        &[
            "displayname",
            "name",
            "fullname",
            "employeename",
            "anzeigename",
            "vollername",
        ],
    ),
    (
        Target::Attribute(Attribute::GivenName),
        &["givenname", "firstname", "forename", "vorname"],
    ),
    (
        Target::Attribute(Attribute::FamilyName),
        &[
            "familyname",
            "lastname",
            "surname",
            "nachname",
            "familienname",
        ],
    ),
    (
        Target::Attribute(Attribute::NickName),
        &["nickname", "preferredname", "rufname"],
    ),
    (
        Target::Attribute(Attribute::Title),
        &[
            "title",
            "jobtitle",
            "position",
            "job",
            "role",
            "funktion",
            "stelle",
            "stellenbezeichnung",
        ],
    ),
    (
        Target::Attribute(Attribute::Emails),
        &["email", "emailaddress", "workemail", "mail", "emailadresse"],
    ),
    (
        Target::Attribute(Attribute::PhoneNumbers),
        &[
            "phone",
            "telephone",
            "deskphone",
            "workphone",
            "phonenumber",
            "telefon",
            "telefonnummer",
            "durchwahl",
        ],
    ),
    (
        Target::Attribute(Attribute::Mobile),
        &[
            "mobile",
            "mobilephone",
            "cell",
            "cellphone",
            "mobil",
            "handy",
            "mobiltelefon",
        ],
    ),
    (
        Target::Attribute(Attribute::Location),
        &[
            "location",
            "office",
            "site",
            "workplace",
            "standort",
            "arbeitsort",
        ],
    ),
    (
        Target::Attribute(Attribute::Division),
        &["division", "businessunit", "sparte"],
    ),
    (
        Target::Attribute(Attribute::CostCenter),
        &["costcenter", "costcentre", "kostenstelle"],
    ),
    (
        Target::Attribute(Attribute::StartDate),
        &[
            "startdate",
            "hiredate",
            "entrydate",
            "eintrittsdatum",
            "eintritt",
        ],
    ),
    (
        Target::Attribute(Attribute::BirthDate),
        &["birthdate", "dateofbirth", "birthday", "geburtsdatum"],
    ),
    (
        Target::EndsOn,
        &[
            "enddate",
            "leavedate",
            "terminationdate",
            "lastday",
            "austrittsdatum",
            "austritt",
        ],
    ),
    (
        Target::Attribute(Attribute::Locale),
        &["locale", "language", "sprache"],
    ),
    (
        Target::Attribute(Attribute::Timezone),
        &["timezone", "zeitzone"],
    ),
];

/// What the columns mean by their names.
fn guess(grids: &[Grid]) -> Result<Mapping, Error> {
    let mut worker: Vec<Field> = Vec::new();
    let plain = |name: &str| -> String {
        let letters = name.chars().filter(|c| c.is_alphanumeric());
        letters.collect::<String>().to_lowercase()
    };
    for column in grids.iter().flat_map(|grid| &grid.columns) {
        let name = plain(&column.name);
        let Some((target, _)) = KNOWN
            .iter()
            .find(|(_, known)| known.contains(&name.as_str()))
        else {
            continue;
        };
        let field = |target: Target| Field {
            target,
            from: column.name.clone(),
            transforms: Vec::new(),
        };
        if worker.iter().any(|known| known.target == *target) {
            continue;
        }
        worker.push(field(*target));
        if *target == Target::Id {
            worker.push(field(Target::Attribute(Attribute::EmployeeNumber)));
        }
    }
    if worker.iter().any(|field| field.target == Target::Id) {
        return Ok(Mapping {
            worker,
            unit: Vec::new(),
        });
    }
    let columns = grids.first().map(names).unwrap_or_default();
    Err(Error::setting(
        "mapping",
        format!(
            "is needed: no column is called like an employee number; the columns are {columns}"
        ),
    ))
}

/// The files of a folder that match a pattern. Links are not followed.
async fn matching(folder: &Path, pattern: &str) -> Result<Vec<Seen>, Error> {
    let shown = folder.display().to_string();
    let failed = |error: io::Error| unreadable(&shown, &error);
    let mut entries = fs::read_dir(folder).await.map_err(failed)?;
    let mut files = Vec::new();
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // Hidden ones, and those by which a spreadsheet says that it has a file open.
        if name.starts_with(['.', '~'])
            || name.chars().any(char::is_control)
            || !matches(pattern, &name)
        {
            continue;
        }
        // One may be moved away while the folder is read.
        let Ok(meta) = entry.metadata().await else {
            continue;
        };
        if !meta.is_file() {
            continue;
        }
        let changed = meta
            .modified()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        files.push(Seen {
            name,
            bytes: meta.len(),
            changed: changed.unwrap_or_default().as_nanos(),
        });
    }
    Ok(files)
}

/// Whether a name matches a pattern of `*` and `?`, in any case.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.to_lowercase().chars().collect();
    let name: Vec<char> = name.to_lowercase().chars().collect();
    let (mut at, mut in_name) = (0, 0);
    // Where the last star stood, and how much of the name it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(c) if *c == '?' || *c == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => match star {
                Some((back, taken)) => {
                    star = Some((back, taken + 1));
                    at = back + 1;
                    in_name = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// Moves a file into the archive, under a name that says when it was written.
async fn keep(folder: &Path, archive: &Path, file: &Seen) -> Result<(), Error> {
    let shown = archive.display().to_string();
    let failed = |error: io::Error| unreadable(&shown, &error);
    fs::create_dir_all(archive).await.map_err(failed)?;
    let path = Path::new(&file.name);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map_or(String::new(), |ending| {
        format!(".{}", ending.to_string_lossy())
    });
    let seconds = i64::try_from(file.changed / 1_000_000_000).unwrap_or_default();
    let written = DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default();
    let written = written.format("%Y-%m-%dT%H%M%SZ");
    let from = folder.join(&file.name);
    for again in 1..1_000 {
        let more = if again == 1 {
            String::new()
        } else {
            format!("-{again}")
        };
        let to = archive.join(format!("{stem}.{written}{more}{ending}"));
        if fs::try_exists(&to).await.map_err(failed)? {
            continue;
        }
        if fs::rename(&from, &to).await.is_ok() {
            return Ok(());
        }
        // Another file system takes a copy; under another name until it is whole.
        let part = archive.join(format!(".{stem}.{written}{more}{ending}.part"));
        fs::copy(&from, &part).await.map_err(failed)?;
        fs::rename(&part, &to).await.map_err(failed)?;
        return fs::remove_file(&from).await.map_err(failed);
    }
    Err(Error::Unreachable {
        what: format!("{shown} holds {} a thousand times", file.name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_with_stars() {
        for (pattern, name) in [
            ("*", "people.csv"),
            ("people*.xlsx", "People-2026-11.XLSX"),
            ("people?.csv", "people1.csv"),
            ("*a*b*", "xxaxxbxx"),
            ("*.csv", "a.csv.csv"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("people*.xlsx", "people.xlsx.part"),
            ("people?.csv", "people.csv"),
            ("*a*b*", "xxbxxaxx"),
            ("", "x"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn western_signs_are_read_by_their_code_page() {
        assert_eq!(
            windows_1252(b"\x80 M\xFCller \x96 \xC5se"),
            "€ Müller – Åse"
        );
    }

    #[test]
    fn a_file_is_known_again_by_its_mark() {
        let file = Seen {
            name: "a|b.csv".into(),
            bytes: 7,
            changed: 12,
        };
        assert_eq!(Seen::parse(&file.mark()), Some(file));
        assert_eq!(Seen::parse("2026-11-19T09:00:00Z"), None);
    }
}

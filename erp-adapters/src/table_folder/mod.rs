//! A folder into which somebody puts tables of people, as CSV, .xlsx or .ods,
//! with whatever columns they have: a [`Mapping`] says what they mean, and without
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
//! is refused.
//!
//! Photos lie in the folder `photos` beside the files: where a column says so, under the name that
//! it names, else as `{id}.jpg` or with another ending.
//!
//! .xlsx is read as [`workbook`] says and .ods as [`ods`]; .xls and .xlsb are
//! not read. Formulas are texts or their saved values here and nowhere more
//! than that.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    erp::{Photo, Watermark},
    mapping::Mapping,
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use serde_json::{Value as Json, json};
use tokio::{sync::Mutex, time::sleep};

use crate::{
    Access, ErpAdapter, Error, Page, Probe, Readable, Sample, Structure, WorkerIds,
    csv::{FILE_BYTES, read},
    photo_folder::{PHOTOS, Photos, photo},
    registry::{Kind, optional, setting},
    words::quote,
};

mod files;
mod grid;
mod guess;
mod ods;
mod open;
mod rows;
mod workbook;

use files::{Seen, keep, matching};
use grid::Grid;
use guess::guess;
use open::{Encoding, open};
use rows::{Loaded, names, pages};

/// The kind `table`.
pub(crate) const KIND: Kind = Kind {
    name: "table",
    label: "CSV or spreadsheets",
    help: "Reads tables of people (CSV, .xlsx, .ods), with whatever columns they have, from a folder of the server, and photos from its folder photos.",
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

/// How long a file must not change before it is read.
const SETTLE: Duration = Duration::from_secs(2);
/// How often it is waited for.
const SETTLE_TRIES: u32 = 5;
/// Most files that are read together.
const FILES: usize = 100;

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
            let units = self.unit_sheet.as_deref();
            let Some((people, units)) = self.open(folder, file, units).await? else {
                let what = format!("{} is not there any more", file.name);
                return Err(Error::Unreachable { what });
            };
            grids.push(people);
            unit_grids.extend(units);
        }
        let marks: Vec<_> = files.iter().map(Seen::mark).collect();
        let photos = Photos::of(&self.folder).await?;
        let (marks, mapping) = (marks.join("\n"), self.mapping.as_ref());
        Loaded::new(marks, mapping, grids, unit_grids, photos)
    }

    /// The sheet of the people, and that of the units if one is asked for; none if the file is gone.
    async fn open(
        &self,
        folder: &Path,
        file: &Seen,
        units: Option<&str>,
    ) -> Result<Option<(Grid, Option<Grid>)>, Error> {
        let Some(bytes) = read(&folder.join(&file.name), &file.name, FILE_BYTES).await? else {
            return Ok(None);
        };
        let malformed = |what| Error::Malformed {
            record: file.name.clone(),
            field: "the file".into(),
            what,
        };
        let (name, units) = (file.name.clone(), units.map(str::to_owned));
        let (encoding, header, sheet) = (self.encoding, self.header, self.sheet.clone());
        // A large file takes a while: not on a thread that serves requests.
        let opened = tokio::task::spawn_blocking(move || {
            let (sheet, units) = (sheet.as_deref(), units.as_deref());
            open(&name, bytes, encoding, sheet, units, header)
        });
        let opened = opened
            .await
            .map_err(|_| malformed("could not be read".into()))?;
        opened.map(Some).map_err(malformed)
    }

    /// The people's sheets as they are now, whether or not they are still being written. What was
    /// read lies in the archive, and a mapping may be made after that.
    async fn glance(&self) -> Result<Vec<Grid>, Error> {
        let files = self.due(&self.folder).await?;
        let (folder, files) = match &self.archive {
            Some(archive) if files.is_empty() && archive.is_dir() => {
                (archive, self.due(archive).await?)
            }
            _ => (&self.folder, files),
        };
        let mut grids = Vec::new();
        for file in &files {
            let opened = self.open(folder, file, None).await?;
            grids.extend(opened.map(|(people, _)| people));
        }
        Ok(grids)
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
        let photos = loaded.photos.count();
        if photos > 0 {
            access.push(Access {
                what: PHOTOS.to_owned(),
                readable: Readable::Yes,
                note: format!("{photos} there"),
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

    async fn photo(&self, external_id: &str) -> Result<Option<Photo>, Error> {
        match self.load(false).await?.photo_file(external_id) {
            Some(name) => photo(&self.folder, &name).await,
            None => Ok(None),
        }
    }

    async fn sample(&self, limit: usize) -> Result<Vec<Sample>, Error> {
        let grids = self.glance().await?;
        let lines = grids
            .iter()
            .flat_map(|grid| grid.lines.iter().map(move |line| (grid, line)));
        let samples = lines.take(limit).map(|(grid, line)| {
            let cells = (0..).zip(&grid.columns);
            let cells = cells.filter_map(|(at, column)| {
                let text = line.text(at)?;
                Some((column.name.clone(), json!(text)))
            });
            Sample {
                place: grid.place(line.number),
                record: Json::Object(cells.collect()),
            }
        });
        Ok(samples.collect())
    }

    async fn own_mapping(&self) -> Result<Option<Mapping>, Error> {
        let grids = self.glance().await?;
        Ok((!grids.is_empty()).then(|| guess(&grids)))
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

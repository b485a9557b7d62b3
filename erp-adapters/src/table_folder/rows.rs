//! What the files said: their rows as workers, by a mapping, with a finding for each that cannot be read.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use domain::{
    erp::{Fault, OrgUnit, Watermark, Worker},
    mapping::{Field, Mapping, Target},
};
use futures::stream;
use serde_json::{Map, Value as Json, json};

use super::{grid::Grid, guess::followed};
use crate::{
    Error, Page, Structure, WorkerIds, mapped::Mapper, photo_folder::Photos, words::quote,
};

const PAGE_ROWS: usize = 500;

/// What the files said.
#[derive(Debug)]
pub(super) struct Loaded {
    /// [`ErpAdapter::fingerprint`] of the files that were read.
    mark: String,
    mapping: Mapping,
    /// Whether the mapping was made out from the names of the columns.
    guessed: bool,
    pub(super) grids: Vec<Grid>,
    unit_grids: Vec<Grid>,
    pub(super) structure: Structure,
    pub(super) ids: WorkerIds,
    /// Where each id stands that stands twice: the first place counts.
    twice: HashSet<(usize, usize)>,
    first: HashMap<String, String>,
    pub(super) photos: Photos,
    /// The photo's file by the id of a person, where a column names it.
    photo_names: HashMap<String, String>,
}
impl Loaded {
    pub(super) fn new(
        mark: String,
        mapping: Option<&Mapping>,
        grids: Vec<Grid>,
        unit_grids: Vec<Grid>,
        photos: Photos,
    ) -> Result<Self, Error> {
        let guessed = mapping.is_none();
        let mapping = match mapping {
            Some(mapping) => mapping.clone(),
            None => followed(&grids)?,
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
            photos,
            photo_names: HashMap::new(),
        };
        loaded.take_ids();
        loaded.take_units();
        Ok(loaded)
    }

    /// Reads the ids, the units that people name, and the names of their photos.
    fn take_ids(&mut self) {
        let needed = |field: &&Field| {
            matches!(field.target, Target::Id | Target::Photo)
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
                    if let Some(name) = photo_name(&part, &record) {
                        self.photo_names.insert(id.clone(), name);
                    }
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
                external_id: Some(id.clone()),
                left_out: true,
            });
            return None;
        }
        worker.map(|mut worker| {
            worker.photo = match self.photo_of(&id) {
                Ok(mark) => mark,
                Err(what) => {
                    faults.push(Fault {
                        place: grid.place(line.number),
                        field: Some(Target::Photo.name().to_owned()),
                        what,
                        external_id: Some(id),
                        left_out: false,
                    });
                    None
                }
            };
            worker
        })
    }

    /// The file with somebody's photo: the one that a column names, or without such a column the one
    /// that is called like the id.
    pub(super) fn photo_file(&self, id: &str) -> Option<String> {
        if self.names_photos() {
            self.photos.by_name(self.photo_names.get(id)?)
        } else {
            self.photos.by_id(id)
        }
    }

    fn names_photos(&self) -> bool {
        let mut fields = self.mapping.worker.iter();
        fields.any(|field| field.target == Target::Photo)
    }

    /// What changes when the photo does.
    fn photo_of(&self, id: &str) -> Result<Option<String>, String> {
        match (self.photo_file(id), self.photo_names.get(id)) {
            (Some(name), _) => self.photos.mark(&name),
            (None, Some(named)) => Err(format!(
                "{} is no file of the folder photos; left out",
                quote(named)
            )),
            (None, None) => Ok(None),
        }
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
pub(super) fn pages(loaded: Arc<Loaded>) -> impl futures::Stream<Item = Page> + Send + use<> {
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

/// What a row says its photo's file is called.
fn photo_name(mapping: &Mapping, record: &Json) -> Option<String> {
    let mut fields = mapping.worker.iter();
    let field = fields.find(|field| field.target == Target::Photo)?;
    field.read(record).ok()??.into_iter().next()
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

pub(super) fn names(grid: &Grid) -> String {
    let names: Vec<_> = grid
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let names = names.join(", ");
    names.chars().take(400).collect()
}

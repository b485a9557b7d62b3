//! One sheet of an .ods file as rows of text.
//!
//! An OpenDocument spreadsheet says in a few bytes that a cell or a row comes a million times, and
//! readers that lay such cells out can be made to take more memory than a machine has. So it is
//! read here, one piece of XML after the other: what is empty is counted and never made, what is
//! not is weighed before it is made again. As with .xlsx the whole is unpacked once with a limit
//! before anything else, formulas are not worked out, and entities other than XML's own are
//! refused.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Cursor, Read as _},
};

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};
use zip::ZipArchive;

use super::{
    grid::{CELL_BYTES, Grid, Line},
    workbook::{COLUMNS, ROWS, UNPACKED, number, weigh},
};
use crate::words::quote;

/// Whether a ZIP is an OpenDocument, whatever its name is.
pub(super) fn is_open_document(bytes: &[u8]) -> bool {
    ZipArchive::new(Cursor::new(bytes)).is_ok_and(|zip| zip.index_for_name("content.xml").is_some())
}

/// The sheet `sheet`, or the first one that is shown, with the names of the columns in row
/// `header`, counted from 1.
pub(super) fn read(
    file: &str,
    bytes: &[u8],
    sheet: Option<&str>,
    header: u32,
) -> Result<Grid, String> {
    weigh(bytes, UNPACKED)?;
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|_| damaged())?;
    let content = zip.by_name("content.xml").map_err(|_| damaged())?;
    let mut sheets = Sheets {
        xml: Reader::from_reader(BufReader::new(content.take(UNPACKED))),
        buffer: Vec::new(),
    };
    // `<a/>` comes as `<a></a>`: one way to end.
    sheets.xml.config_mut().expand_empty_elements = true;
    let (mut names, mut hidden, mut style) = (Vec::new(), HashSet::new(), String::new());
    loop {
        match sheets.next()? {
            Piece::Start(start) if start.is("style:style") => style = start.get("style:name"),
            Piece::Start(start)
                if start.is("style:table-properties") && start.get("table:display") == "false" =>
            {
                hidden.insert(std::mem::take(&mut style));
            }
            Piece::Start(start) if start.is("table:table") => {
                let name = start.get("table:name");
                let found = match sheet {
                    Some(wanted) => name.trim().eq_ignore_ascii_case(wanted),
                    None => !hidden.contains(&start.get("table:style-name")),
                };
                if found {
                    let grid = Grid::new(format!("{file}, sheet {name}"), "row");
                    return sheets.table(grid, header);
                }
                names.push(name);
            }
            Piece::End(_) | Piece::Start(_) | Piece::Text(_) => {}
            Piece::Over => {
                names.truncate(20);
                let wanted = quote(sheet.unwrap_or("that is shown"));
                return Err(format!(
                    "has no sheet {wanted}; it has {}",
                    names.join(", ")
                ));
            }
        }
    }
}

fn damaged() -> String {
    "is damaged, or protected by a password".into()
}

fn improper() -> String {
    "is not a proper .ods file: its XML is not well-formed, or names an entity".into()
}

/// The beginning of an element.
struct Start {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Start {
    fn of(start: &BytesStart<'_>) -> Result<Self, String> {
        let mut attributes = Vec::new();
        for one in start.attributes() {
            let one = one.map_err(|_| improper())?;
            let value = one.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|_| improper())?.into_owned();
            attributes.push((one.key.as_ref().to_owned(), value));
        }
        Ok(Self {
            name: start.name().as_ref().to_owned(),
            attributes,
        })
    }

    fn is(&self, name: &str) -> bool {
        self.name == name
    }

    fn value(&self, name: &str) -> Option<&str> {
        let mut known = self.attributes.iter();
        known
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    fn get(&self, name: &str) -> String {
        self.value(name).unwrap_or_default().to_owned()
    }

    /// How many times, or over how many: 1 unless it says so.
    fn times(&self, name: &str) -> Result<u32, String> {
        match self.value(name).map(str::parse) {
            None => Ok(1),
            Some(Ok(times @ 1..)) => Ok(times),
            Some(_) => Err(format!("has a {name} that is no number")),
        }
    }
}

enum Piece {
    Start(Start),
    End(String),
    Text(String),
    Over,
}

/// A cell, once for all the times that it comes.
struct Cell {
    times: u32,
    /// How many columns and rows it covers, itself included.
    covers: (u32, u32),
    value: Result<String, String>,
}

impl Cell {
    fn is_empty(&self) -> bool {
        self.value.as_deref().is_ok_and(str::is_empty)
    }
}

/// The sheets, one piece of XML after the other.
struct Sheets<R: BufRead> {
    xml: Reader<R>,
    buffer: Vec<u8>,
}

impl<R: BufRead> Sheets<R> {
    fn next(&mut self) -> Result<Piece, String> {
        loop {
            self.buffer.clear();
            let event = self.xml.read_event_into(&mut self.buffer);
            return Ok(match event.map_err(|_| improper())? {
                Event::Start(start) => Piece::Start(Start::of(&start)?),
                Event::End(end) => Piece::End(end.name().as_ref().to_owned()),
                Event::Text(text) => Piece::Text(text.xml10_content().into_owned()),
                Event::GeneralRef(entity) => Piece::Text(sign(&entity)?),
                Event::CData(text) => Piece::Text(text.xml10_content().into_owned()),
                // It could say what entities mean.
                Event::DocType(_) => return Err(improper()),
                Event::Eof => Piece::Over,
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
            });
        }
    }

    fn table(&mut self, mut grid: Grid, header: u32) -> Result<Grid, String> {
        let (mut row, mut named) = (0_u32, false);
        let (mut nameless, mut merged) = (std::collections::BTreeSet::new(), Vec::new());
        loop {
            let start = match self.next()? {
                Piece::Start(start) if start.is("table:table-row") => start,
                Piece::Start(_) | Piece::Text(_) => continue,
                Piece::End(name) if name == "table:table" => break,
                Piece::End(_) => continue,
                Piece::Over => return Err(improper()),
            };
            let times = start.times("table:number-rows-repeated")?;
            let cells = self.row()?;
            let (first, next) = (row, row.saturating_add(times));
            row = next;
            if cells.iter().all(Cell::is_empty) {
                continue;
            }
            if next > ROWS + header {
                return Err(format!("has more than {ROWS} rows"));
            }
            let placed = spread(cells, &mut merged, first)?;
            for row in first..next {
                if row + 1 < header {
                    continue;
                }
                if row + 1 == header {
                    let cells = placed.iter();
                    let names = cells.map(|(column, value)| Ok((*column, value.clone()?)));
                    grid.name_columns(&names.collect::<Result<Vec<_>, String>>()?)?;
                    named = true;
                    continue;
                }
                if !named {
                    grid.name_columns(&[])?;
                }
                let mut line = Line::new(u64::from(row) + 1);
                for (column, value) in &placed {
                    match grid.column(*column) {
                        Some(at) => line.set(at, value.clone()),
                        None => _ = nameless.insert(*column),
                    }
                }
                grid.push(line)?;
            }
        }
        if !named {
            grid.name_columns(&[])?;
        }
        for column in nameless {
            grid.note_nameless(column, header);
        }
        for (from, to) in merged {
            grid.spoil_merged(from, to)?;
        }
        Ok(grid)
    }

    /// The cells of a row, to its end.
    fn row(&mut self) -> Result<Vec<Cell>, String> {
        let mut cells = Vec::new();
        loop {
            match self.next()? {
                Piece::Start(start)
                    if start.is("table:table-cell") || start.is("table:covered-table-cell") =>
                {
                    let covered = start.is("table:covered-table-cell");
                    let text = self.text(&start.name)?;
                    cells.push(Cell {
                        times: start.times("table:number-columns-repeated")?,
                        covers: (
                            start.times("table:number-columns-spanned")?,
                            start.times("table:number-rows-spanned")?,
                        ),
                        // What lies below a merged cell is not shown.
                        value: if covered {
                            Ok(String::new())
                        } else {
                            value(&start, text)
                        },
                    });
                    if cells.len() > ROWS as usize {
                        return Err(format!("has more than {COLUMNS} columns"));
                    }
                }
                Piece::End(name) if name == "table:table-row" => return Ok(cells),
                Piece::Start(_) | Piece::End(_) | Piece::Text(_) => {}
                Piece::Over => return Err(improper()),
            }
        }
    }

    /// What a cell shows, to its end: paragraphs, without notes and drawings.
    fn text(&mut self, cell: &str) -> Result<String, String> {
        let (mut shown, mut paragraphs) = (String::new(), 0);
        // Elements that are open and not shown.
        let mut aside: Vec<String> = Vec::new();
        loop {
            let piece = self.next()?;
            if shown.len() > CELL_BYTES {
                shown.truncate(shown.floor_char_boundary(CELL_BYTES + 1));
            }
            match piece {
                Piece::Over => return Err(improper()),
                Piece::End(name) if name == cell => return Ok(shown),
                Piece::Start(start)
                    if !aside.is_empty()
                        || start.is("office:annotation")
                        || start.name.starts_with("draw:") =>
                {
                    aside.push(start.name);
                }
                Piece::End(name) => {
                    if aside.last() == Some(&name) {
                        aside.pop();
                    }
                }
                _ if !aside.is_empty() => {}
                Piece::Start(start) if start.is("text:p") => {
                    paragraphs += 1;
                    if paragraphs > 1 {
                        shown.push('\n');
                    }
                }
                Piece::Start(start) if start.is("text:s") => {
                    let spaces = start.times("text:c")? as usize;
                    shown.extend(std::iter::repeat_n(' ', spaces.min(CELL_BYTES + 1)));
                }
                Piece::Start(start) if start.is("text:tab") => shown.push('\t'),
                Piece::Start(start) if start.is("text:line-break") => shown.push('\n'),
                Piece::Start(_) => {}
                // What stands between paragraphs is for the eye.
                Piece::Text(text) if paragraphs > 0 => shown += &text,
                Piece::Text(_) => {}
            }
        }
    }
}

type Placed = Vec<(u32, Result<String, String>)>;
type Area = ((u32, u32), (u32, u32));

/// The cells of a row under their columns, those that come several times each by itself; and the
/// areas that are merged.
fn spread(cells: Vec<Cell>, merged: &mut Vec<Area>, row: u32) -> Result<Placed, String> {
    let mut placed = Vec::new();
    let mut column = 0_u32;
    for cell in cells {
        let (from, next) = (column, column.saturating_add(cell.times));
        column = next;
        if cell.is_empty() {
            continue;
        }
        if next > COLUMNS {
            return Err(format!("has more than {COLUMNS} columns"));
        }
        if cell.covers != (1, 1) {
            let to = |from: u32, over: u32| from.saturating_add(over - 1);
            let (columns, rows) = cell.covers;
            merged.push(((row, from), (to(row, rows), to(from, columns))));
        }
        placed.extend((from..next).map(|column| (column, cell.value.clone())));
    }
    Ok(placed)
}

/// `&amp;` and its like, and signs by their number.
fn sign(entity: &quick_xml::events::BytesRef<'_>) -> Result<String, String> {
    if let Some(sign) = entity.resolve_char_ref().map_err(|_| improper())? {
        return Ok(sign.to_string());
    }
    let known = quick_xml::escape::resolve_xml_entity(entity);
    known.map(str::to_owned).ok_or_else(improper)
}

/// A cell's text, or why it has none that can be trusted.
fn value(cell: &Start, shown: String) -> Result<String, String> {
    if cell.value("calcext:value-type") == Some("error") {
        return Err(format!("shows the error {}", shown.trim()));
    }
    let said = |name: &str| cell.get(name);
    let text = match cell.value("office:value-type") {
        Some("float" | "currency" | "percentage") => {
            let value = said("office:value");
            let Ok(value) = value.parse() else {
                return Err(format!("has {} where a number should be", quote(&value)));
            };
            return number(value);
        }
        Some("date") => {
            let date = said("office:date-value");
            let day = date.strip_suffix("T00:00:00").map(str::to_owned);
            day.unwrap_or(date)
        }
        Some("time") => said("office:time-value"),
        Some("boolean") => said("office:boolean-value"),
        _ => match cell.value("office:string-value") {
            Some(text) if !text.is_empty() => text.to_owned(),
            _ => shown,
        },
    };
    if text.len() > CELL_BYTES {
        return Err(format!("has more than {CELL_BYTES} bytes"));
    }
    Ok(text)
}

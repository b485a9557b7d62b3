//! One sheet of an .xlsx file as rows of text.
//!
//! A workbook is a ZIP of XML, and both can be made to take more memory than a
//! machine has: so every part is unpacked once with a limit before anything is
//! made of it, cells are taken one by one and in order, and the size that a
//! sheet says it has is not believed. Formulas are not worked out: what counts is the value
//! that was saved beside them. Entities other than those of XML itself are
//! refused by the reader, so that a file cannot name another.

use std::io::{Cursor, Read};

use calamine::{DataRef, ExcelDateTime, Reader as _, SheetType, SheetVisible, Xlsx, XlsxError};
use zip::ZipArchive;

use super::grid::{CELL_BYTES, Grid, Line};
use crate::words::quote;

/// Most bytes of a workbook when it is unpacked: 256 MiB.
pub(super) const UNPACKED: u64 = 256 << 20;
/// Most files in a workbook.
const PARTS: usize = 2_000;
/// Most rows that are read.
pub(super) const ROWS: u32 = 200_000;
/// Most columns.
pub(super) const COLUMNS: u32 = 256;
/// Most cells with something in them.
const CELLS: usize = 5_000_000;
/// Bytes of a format of a cell without its texts, about.
const STYLE_BYTES: usize = 512;
/// Largest whole number of which a spreadsheet keeps every digit: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The sheet `sheet` of the workbook, or its first one, with the names of the
/// columns in row `header`, counted from 1.
pub(super) fn read(
    file: &str,
    bytes: Vec<u8>,
    sheet: Option<&str>,
    header: u32,
) -> Result<Grid, String> {
    weigh(&bytes, UNPACKED)?;
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(|error| words(&error))?;
    let name = choose(&book, sheet)?;
    let merged = book
        .merge_cells_by_sheet_name(&name)
        .map_err(|error| words(&error))?;
    let mut cells = book
        .worksheet_cells_reader(&name)
        .map_err(|error| words(&error))?;
    let mut grid = Grid::new(format!("{file}, sheet {name}"), "row");
    let mut header_cells: Vec<(u32, String)> = Vec::new();
    let mut line = Line::new(0);
    let mut nameless = std::collections::BTreeSet::new();
    let mut count = 0;
    let mut named = false;
    let mut last = None;
    while let Some(cell) = cells.next_cell().map_err(|error| words(&error))? {
        let (row, column) = cell.get_position();
        if matches!(cell.get_value(), DataRef::Empty) || row + 1 < header {
            continue;
        }
        count += 1;
        if row >= ROWS + header {
            return Err(format!("has more than {ROWS} rows"));
        }
        if column >= COLUMNS {
            return Err(format!("has more than {COLUMNS} columns"));
        }
        if count > CELLS {
            return Err(format!("has more than {CELLS} cells"));
        }
        // Else one cell could come a million times, each time with its text.
        if last.replace((row, column)) >= Some((row, column)) {
            return Err("has cells that come twice, or out of order".into());
        }
        let value = value(cell.get_value());
        if row + 1 == header {
            header_cells.push((column, value?));
            continue;
        }
        if !named {
            grid.name_columns(&header_cells)?;
            named = true;
        }
        let number = u64::from(row) + 1;
        if number != line.number {
            grid.push(std::mem::replace(&mut line, Line::new(number)))?;
        }
        match grid.column(column) {
            Some(at) => line.set(at, value),
            None => _ = nameless.insert(column),
        }
    }
    if !named {
        grid.name_columns(&header_cells)?;
    }
    grid.push(line)?;
    for column in nameless {
        grid.note_nameless(column, header);
    }
    for area in merged {
        grid.spoil_merged(area.start, area.end)?;
    }
    Ok(grid)
}

/// Unpacks every part without keeping it, to know how much it is.
pub(super) fn weigh(bytes: &[u8], most: u64) -> Result<(), String> {
    let broken = |_| "is not a whole spreadsheet; is it still being written?".to_owned();
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    if zip.len() > PARTS {
        return Err(format!("holds more than {PARTS} files"));
    }
    let mut left = most;
    for index in 0..zip.len() {
        let part = zip
            .by_index(index)
            .map_err(|_| "is damaged, or protected by a password".to_owned())?;
        let name = part.name().map_err(|_| "is damaged".to_owned())?;
        let name = name.to_lowercase();
        let check: Option<Check> = if name.ends_with("sharedstrings.xml") {
            Some(check_count)
        } else if name.ends_with("styles.xml") {
            Some(check_styles)
        } else {
            None
        };
        let mut kept = Vec::new();
        let mut part = part.take(left + 1);
        let read = match check {
            Some(_) => part.read_to_end(&mut kept).map(|read| read as u64),
            None => std::io::copy(&mut part, &mut std::io::sink()),
        };
        let read = read.map_err(|_| "is damaged".to_owned())?;
        left = left
            .checked_sub(read)
            .ok_or_else(|| format!("is larger than {most} bytes when unpacked"))?;
        if let Some(check) = check {
            check(&kept)?;
        }
    }
    Ok(())
}

/// Looks through a part that the reader makes more of than it is.
type Check = fn(&[u8]) -> Result<(), String>;

/// The reader makes room for as many texts as the part says it has, and a text of each of its elements.
fn check_count(strings: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(strings).map_err(|_| "has texts that are not UTF-8")?;
    if count(strings, b"<si") + count(strings, b":si") > CELLS {
        return Err(format!("has more than {CELLS} texts"));
    }
    // Wherever it stands: a comment before the element could say something else.
    for said in text.split("uniqueCount").skip(1) {
        let digits = said.trim_start_matches(|c: char| !c.is_ascii_digit());
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        let count = digits[..end].parse();
        if end > 0 && !count.is_ok_and(|count: usize| count <= CELLS) {
            return Err(format!("says that it has more than {CELLS} texts"));
        }
    }
    Ok(())
}

/// The reader gives every format of a cell a copy of its font, and of how its numbers are written.
fn check_styles(styles: &[u8]) -> Result<(), String> {
    let pieces = styles.split(|byte| *byte == b'<');
    let longest = pieces.map(<[u8]>::len).max().unwrap_or(0);
    let room = count(styles, b"xf").saturating_mul(longest.max(STYLE_BYTES));
    if room as u64 > UNPACKED {
        return Err("has more formats of cells than a table of people needs".into());
    }
    Ok(())
}

fn count(part: &[u8], what: &[u8]) -> usize {
    part.windows(what.len()).filter(|at| *at == what).count()
}

fn choose<R: Read + std::io::Seek>(book: &Xlsx<R>, wanted: Option<&str>) -> Result<String, String> {
    let sheets = || {
        book.sheets_metadata()
            .iter()
            .filter(|sheet| sheet.typ == SheetType::WorkSheet)
    };
    let found = match wanted {
        Some(wanted) => sheets().find(|sheet| sheet.name.trim().eq_ignore_ascii_case(wanted)),
        None => sheets()
            .find(|sheet| sheet.visible == SheetVisible::Visible)
            .or_else(|| sheets().next()),
    };
    found.map(|sheet| sheet.name.clone()).ok_or_else(|| {
        let names: Vec<_> = sheets().take(20).map(|sheet| sheet.name.as_str()).collect();
        format!(
            "has no sheet {}; it has {}",
            quote(wanted.unwrap_or("of cells")),
            names.join(", ")
        )
    })
}

/// A cell's text, or why it has none that can be trusted.
fn value(cell: &DataRef<'_>) -> Result<String, String> {
    let text = match cell {
        DataRef::Empty => String::new(),
        DataRef::String(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => return self::number(*number),
        DataRef::Bool(flag) => flag.to_string(),
        DataRef::DateTime(at) => moment(at),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::Error(error) => return Err(format!("shows the error {error}")),
    };
    if text.len() > CELL_BYTES {
        return Err(format!("has more than {CELL_BYTES} bytes"));
    }
    Ok(text)
}

/// `123` for the 123.0 that a spreadsheet keeps.
pub(super) fn number(number: f64) -> Result<String, String> {
    if number.abs() >= EXACT {
        return Err(
            "is a number too long for a spreadsheet to keep every digit; make the column text"
                .into(),
        );
    }
    Ok(if number.fract().abs() < f64::EPSILON {
        format!("{number:.0}")
    } else {
        number.to_string()
    })
}

fn moment(at: &ExcelDateTime) -> String {
    if at.is_duration() {
        return at.as_f64().to_string();
    }
    let (year, month, day, hour, minute, second, _) = at.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    if (hour, minute, second) == (0, 0, 0) {
        date
    } else {
        format!("{date}T{hour:02}:{minute:02}:{second:02}")
    }
}

fn words(error: &XlsxError) -> String {
    match error {
        XlsxError::Password => "is protected by a password".into(),
        XlsxError::Xml(_) | XlsxError::XmlAttr(_) | XlsxError::Encoding(_) => {
            "is not a proper .xlsx file: its XML is not well-formed, or names an entity".into()
        }
        other => {
            tracing::debug!(error = %other, "a workbook was not read");
            "is not a proper .xlsx file".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_was_typed_in() {
        assert_eq!(number(123.0), Ok("123".into()));
        assert_eq!(number(-4.0), Ok("-4".into()));
        assert_eq!(number(0.5), Ok("0.5".into()));
        assert_eq!(number(4_711_000_000_000.0), Ok("4711000000000".into()));
        assert!(number(1e16).is_err());
    }

    #[test]
    fn a_bomb_is_weighed_before_it_goes_off() {
        use std::io::Write as _;
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["a.xml", "b.xml"] {
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(name, options).expect("a part");
            zip.write_all(&[b' '; 60_000]).expect("written");
        }
        let bytes = zip.finish().expect("a file").into_inner();
        assert!(bytes.len() < 1_000, "{} bytes", bytes.len());
        assert_eq!(weigh(&bytes, 120_000), Ok(()));
        // Neither part alone is too large.
        let error = weigh(&bytes, 119_999).expect_err("too large");
        assert_eq!(error, "is larger than 119999 bytes when unpacked");
    }

    #[test]
    fn a_count_that_cannot_be_is_refused() {
        assert_eq!(check_count(b"<sst count=\"4\" uniqueCount=\"4\">"), Ok(()));
        assert_eq!(check_count(b"<sst>"), Ok(()));
        assert_eq!(check_count(b"<sst><si>uniqueCount</si>"), Ok(()));
        assert!(
            check_count(b"<!-- uniqueCount=\"1\" --><sst uniqueCount=\"99999999999\">").is_err()
        );
        assert!(check_count(b"<sst uniqueCount=\"99999999999\">").is_err());
        assert!(check_count(b"<sst uniqueCount=\"99999999999999999999999\">").is_err());
        assert!(check_count(b"\xFF\xFE<\0").is_err());
        assert!(check_count("<si/>".repeat(CELLS + 1).as_bytes()).is_err());
    }

    #[test]
    fn formats_that_would_be_copied_without_end_are_refused() {
        let styles = |name: usize, formats: usize| {
            let font = format!("<font><name val=\"{}\"/></font>", "x".repeat(name));
            let formats = "<xf fontId=\"0\"/>".repeat(formats);
            check_styles(format!("{font}{formats}").as_bytes())
        };
        assert_eq!(styles(40, 65_490), Ok(()), "as many as Excel has");
        assert!(styles(1_000_000, 1_000).is_err());
        assert!(styles(0, 600_000).is_err());
    }
}

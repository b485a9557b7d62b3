//! A CSV file as rows that know their line.
//!
//! Spreadsheets write commas or semicolons, with and without a byte order
//! mark, and people forget to close quotes. One bad row costs that row alone.

use csv::{ByteRecord, Reader, ReaderBuilder, StringRecord};

/// A cell holds a name, a number, a date: more means that a quote was left open.
const CELL_BYTES: usize = 8 << 10;
/// Most columns.
const COLUMNS: usize = 1_000;

/// The rows of one file.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Names of the columns, trimmed, in lower case.
    columns: Vec<String>,
    /// The same as they are written.
    names: Vec<String>,
    /// What could be read, in the order of the file.
    pub(crate) rows: Vec<Row>,
    /// What could not.
    pub(crate) bad: Vec<BadRow>,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    /// Line on which it begins, from 1.
    pub(crate) line: u64,
    cells: StringRecord,
}

impl Row {
    /// The cell at a place, from 0; empty where the row ends before it.
    pub(crate) fn at(&self, index: usize) -> &str {
        self.cells.get(index).unwrap_or_default()
    }
}

/// A row that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadRow {
    /// Line on which it begins, from 1.
    pub(crate) line: u64,
    /// Its first cell, where that much could be read.
    pub(crate) first: Option<String>,
    pub(crate) reason: String,
}

impl Table {
    /// Reads a whole file.
    ///
    /// # Errors
    /// In words, when nothing in it can be trusted: another encoding, no
    /// header, the same column twice.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
            return Err("is UTF-16; save it as UTF-8".into());
        }
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let mut scan = Scan::new(bytes);
        let Some(header) = scan.next() else {
            return Err("is empty".into());
        };
        let header = header
            .text()
            .map_err(|_| "does not begin with a row of column names in UTF-8")?;
        if header.len() > COLUMNS {
            return Err(format!("has more than {COLUMNS} columns"));
        }
        let names: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        let columns: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        for (index, name) in columns.iter().enumerate() {
            if !name.is_empty() && columns[..index].contains(name) {
                return Err(format!("has the column {name} twice"));
            }
        }
        let mut table = Self {
            columns,
            names,
            ..Self::default()
        };
        while let Some(raw) = scan.next() {
            let line = raw.line;
            match table.row(&raw, scan.delimiter) {
                Ok(cells) if cells.iter().all(|cell| cell.trim().is_empty()) => {}
                Ok(cells) => table.rows.push(Row { line, cells }),
                Err(reason) => {
                    if raw.lines > 1 {
                        scan.resume_after_first_line(&raw);
                    }
                    let first = raw
                        .cells
                        .get(0)
                        .and_then(|cell| std::str::from_utf8(cell).ok());
                    let first = first
                        .map(|cell| cell.trim().to_owned())
                        .filter(|cell| !cell.is_empty());
                    table.bad.push(BadRow {
                        line,
                        first,
                        reason,
                    });
                }
            }
        }
        Ok(table)
    }

    fn row(&self, raw: &Raw<'_>, delimiter: u8) -> Result<StringRecord, String> {
        let (got, wanted) = (raw.cells.len(), self.columns.len());
        let surplus = raw
            .cells
            .iter()
            .skip(wanted)
            .any(|cell| !cell.trim_ascii().is_empty());
        let long = raw.cells.iter().any(|cell| cell.len() > CELL_BYTES);
        if raw.lines > 1 && (got < wanted || surplus || long || !well_quoted(raw.bytes, delimiter))
        {
            return Err("has a quote that is never closed, or closed on another row".into());
        }
        if got < wanted || surplus {
            return Err(format!("has {got} cells, the header has {wanted}"));
        }
        if long {
            return Err(format!("has a cell of more than {CELL_BYTES} bytes"));
        }
        raw.text().map_err(|index| {
            format!(
                "is not UTF-8 in {}",
                self.columns
                    .get(index)
                    .map_or("a nameless column", String::as_str)
            )
        })
    }

    /// Names of the columns as they are written, trimmed.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether there is such a column.
    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }

    /// What a bad row has under `column`: known only for the first column.
    pub(crate) fn bad_cell<'b>(&self, bad: &'b BadRow, column: &str) -> Option<&'b str> {
        bad.first
            .as_deref()
            .filter(|_| self.columns.first().is_some_and(|name| name == column))
    }

    /// Columns that are not among `known`.
    pub(crate) fn unknown<'a>(&'a self, known: &'a [&str]) -> impl Iterator<Item = &'a str> {
        self.columns
            .iter()
            .map(String::as_str)
            .filter(|name| !name.is_empty() && !known.contains(name))
    }

    /// The trimmed cell of `row` under `column`; `None` when there is no such column.
    pub(crate) fn cell<'r>(&self, row: &'r Row, column: &str) -> Option<&'r str> {
        let index = self.columns.iter().position(|name| name == column)?;
        row.cells.get(index).map(str::trim)
    }
}

/// The sign that the header has most of, outside quotes.
fn delimiter(bytes: &[u8]) -> u8 {
    let (mut quoted, mut commas, mut semicolons, mut tabs) = (false, 0, 0, 0);
    for byte in bytes
        .iter()
        .skip_while(|byte| matches!(byte, b'\r' | b'\n'))
    {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            b',' if !quoted => commas += 1,
            b';' if !quoted => semicolons += 1,
            b'\t' if !quoted => tabs += 1,
            _ => {}
        }
    }
    if semicolons > commas && semicolons >= tabs {
        b';'
    } else if tabs > commas {
        b'\t'
    } else {
        b','
    }
}

/// A record with the bytes it was read from.
struct Raw<'a> {
    bytes: &'a [u8],
    cells: ByteRecord,
    start: usize,
    line: u64,
    lines: u64,
}

impl Raw<'_> {
    /// The cells as text, or the index of the first that is not UTF-8.
    fn text(&self) -> Result<StringRecord, usize> {
        StringRecord::from_byte_record(self.cells.clone())
            .map_err(|error| error.utf8_error().field())
    }
}

/// Reads record by record, and can go back to the line after a bad one.
struct Scan<'a> {
    bytes: &'a [u8],
    delimiter: u8,
    reader: Reader<&'a [u8]>,
    /// Where in `bytes` the reader began.
    base: usize,
    at: usize,
    line: u64,
}

impl<'a> Scan<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let delimiter = delimiter(bytes);
        Self {
            bytes,
            delimiter,
            reader: reader(bytes, delimiter),
            base: 0,
            at: 0,
            line: 1,
        }
    }

    fn next(&mut self) -> Option<Raw<'a>> {
        while let Some(byte @ (b'\r' | b'\n')) = self.bytes.get(self.at) {
            self.line += u64::from(*byte == b'\n');
            self.at += 1;
        }
        let mut cells = ByteRecord::new();
        // Reading from memory cannot fail, and `flexible` accepts any number of cells.
        if !self.reader.read_byte_record(&mut cells).unwrap_or(false) {
            return None;
        }
        let end = self.base + usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX);
        let bytes = &self.bytes[self.at..end.clamp(self.at, self.bytes.len())];
        let raw = Raw {
            bytes,
            cells,
            start: self.at,
            line: self.line,
            lines: breaks(bytes.trim_ascii_end()) + 1,
        };
        self.line += breaks(bytes);
        self.at += bytes.len();
        Some(raw)
    }

    fn resume_after_first_line(&mut self, raw: &Raw<'_>) {
        let first = raw
            .bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(raw.bytes.len(), |index| index + 1);
        self.at = raw.start + first;
        self.line = raw.line + 1;
        self.base = self.at;
        self.reader = reader(&self.bytes[self.at..], self.delimiter);
    }
}

fn reader(bytes: &[u8], delimiter: u8) -> Reader<&[u8]> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(bytes)
}

fn breaks(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Whether quotes stand only around whole cells (RFC 4180).
fn well_quoted(record: &[u8], delimiter: u8) -> bool {
    let mut bytes = record.iter().copied().peekable();
    let mut starts = true;
    while let Some(byte) = bytes.next() {
        if byte != b'"' {
            starts = byte == delimiter;
            continue;
        }
        if !starts {
            return false;
        }
        loop {
            match bytes.next() {
                None => return false,
                Some(b'"') if bytes.peek() == Some(&b'"') => _ = bytes.next(),
                Some(b'"') => break,
                Some(_) => {}
            }
        }
        if !bytes
            .peek()
            .is_none_or(|next| *next == delimiter || matches!(next, b'\r' | b'\n'))
        {
            return false;
        }
        starts = false;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(table: &Table) -> Vec<(u64, &str)> {
        table
            .rows
            .iter()
            .map(|row| (row.line, table.cell(row, "name").expect("a column")))
            .collect()
    }

    #[test]
    fn commas_semicolons_tabs_and_marks_are_the_same_to_a_reader() {
        for text in [
            "no,name\n1,Åse\n2,\"Li, Na\"\n",
            "\u{FEFF}No , NAME\r\n1,Åse\r\n\r\n2,\"Li, Na\"",
            "no;name\n1;Åse\n2;Li, Na\n",
            "no\tname\n1\tÅse\n2\tLi, Na\n",
            "\n\"no\";\"name\"\n1;Åse\n2;\"Li, Na\";\n;\n",
        ] {
            let table = Table::read(text.as_bytes()).expect(text);
            let names: Vec<_> = names(&table).into_iter().map(|(_, name)| name).collect();
            assert_eq!(names, ["Åse", "Li, Na"], "{text:?}");
            assert_eq!(table.bad, [], "{text:?}");
        }
    }

    #[test]
    fn a_row_knows_its_line_after_breaks_in_quotes_and_empty_lines() {
        let table = Table::read(b"no,name\n\n1,\"A\nB\"\r\n\r\n2,C\n").expect("a table");
        assert_eq!(names(&table), [(3, "A\nB"), (6, "C")]);
    }

    #[test]
    fn a_quote_left_open_costs_its_own_row_alone() {
        let table =
            Table::read(b"no,name\n1,A\n2,\"B\n3,C\n4,\"D\"\n5,E\n6,\"F\n7,G\n").expect("a table");
        assert_eq!(
            names(&table),
            [(2, "A"), (4, "C"), (5, "D"), (6, "E"), (8, "G")]
        );
        assert_eq!(
            table.bad.iter().map(|bad| bad.line).collect::<Vec<_>>(),
            [3, 7]
        );
        assert_eq!(table.bad[0].first.as_deref(), Some("2"));
        assert!(table.bad[0].reason.contains("quote"));
        let table = Table::read(b"no,name\n2,\"B\n3,\"C\n4,\"D \"\"d\"\"\n\"\n").expect("a table");
        assert_eq!(names(&table), [(4, "D \"d\"")]);
        assert_eq!(
            table.bad.iter().map(|bad| bad.line).collect::<Vec<_>>(),
            [2, 3]
        );
    }

    #[test]
    fn short_rows_and_other_encodings_are_told_apart() {
        let table = Table::read(b"no,name\n1\n2,\xE5\n3,C\n4,D,x\n5,E,,\n").expect("a table");
        assert_eq!(names(&table), [(4, "C"), (6, "E")]);
        let reasons: Vec<_> = table.bad.iter().map(|bad| bad.reason.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "has 1 cells, the header has 2",
                "is not UTF-8 in name",
                "has 3 cells, the header has 2"
            ]
        );
    }

    #[test]
    fn a_file_that_cannot_be_trusted_is_refused_whole() {
        assert_eq!(Table::read(b"").expect_err("empty"), "is empty");
        assert_eq!(
            Table::read(b"\xFF\xFEn\0").expect_err("UTF-16"),
            "is UTF-16; save it as UTF-8"
        );
        assert_eq!(
            Table::read(b"no,No\n").expect_err("twice"),
            "has the column no twice"
        );
    }
}

//! Rows of text under named columns, whatever file they came from.

use crate::{
    table::{BadRow, Table},
    words::quote,
};

/// Most bytes of a cell: more means a quote left open, or no table of people.
pub(super) const CELL_BYTES: usize = 8 << 10;

/// Most bytes that the rows of one file or sheet take here: 256 MiB. A sheet says in a few bytes
/// that a long text comes a million times.
const ROOM: usize = 256 << 20;

/// The rows of one file or sheet.
#[derive(Debug)]
pub(super) struct Grid {
    /// `people.xlsx, sheet Staff`, `people.csv`.
    pub(super) name: String,
    /// What a row is called: `row`, `line`.
    unit: &'static str,
    pub(super) columns: Vec<Column>,
    pub(super) lines: Vec<Line>,
    /// Rows that cannot be read at all.
    pub(super) bad: Vec<BadRow>,
    /// What is to be said of the file as a whole.
    pub(super) notes: Vec<String>,
    /// Bytes that more rows may take.
    room: usize,
}

/// A column with a name.
#[derive(Debug)]
pub(super) struct Column {
    /// As it is written.
    pub(super) name: String,
    /// From 0, nameless ones counted.
    index: u32,
}

/// One row.
#[derive(Debug)]
pub(super) struct Line {
    /// As the file counts, from 1.
    pub(super) number: u64,
    cells: Vec<Option<Box<str>>>,
    /// Cells that cannot be trusted, by column, and why.
    pub(super) bad: Vec<(usize, String)>,
}

impl Line {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            cells: Vec::new(),
            bad: Vec::new(),
        }
    }

    pub(super) fn set(&mut self, column: usize, value: Result<String, String>) {
        if self.cells.len() <= column {
            self.cells.resize(column + 1, None);
        }
        match value {
            Ok(text) => self.cells[column] = Some(text.trim().into()),
            Err(why) => self.bad.push((column, why)),
        }
    }

    /// The text under a column, empty where there is none; `None` where it cannot be trusted.
    pub(super) fn text(&self, column: usize) -> Option<&str> {
        if self.bad.iter().any(|(bad, _)| *bad == column) {
            return None;
        }
        let cell = self.cells.get(column).and_then(Option::as_deref);
        Some(cell.unwrap_or_default())
    }

    /// Bytes that it takes, about.
    fn weight(&self) -> usize {
        let slot = std::mem::size_of::<Option<Box<str>>>();
        let texts = self.cells.iter().flatten().map(|text| text.len());
        let bad = self.bad.iter().map(|(_, why)| why.len());
        64 + self.cells.len() * slot + texts.chain(bad).sum::<usize>()
    }

    fn is_empty(&self) -> bool {
        let empty = |cell: &Option<Box<str>>| cell.as_deref().is_none_or(str::is_empty);
        self.bad.is_empty() && self.cells.iter().all(empty)
    }
}

impl Grid {
    pub(super) fn new(name: String, unit: &'static str) -> Self {
        Self {
            name,
            unit,
            columns: Vec::new(),
            lines: Vec::new(),
            bad: Vec::new(),
            notes: Vec::new(),
            room: ROOM,
        }
    }

    /// A CSV file whose columns are named in line `header`, counted from 1.
    pub(super) fn of_csv(name: &str, bytes: &[u8], header: u32) -> Result<Self, String> {
        let skipped = header.saturating_sub(1) as usize;
        let mut rest = bytes;
        for _ in 0..skipped {
            let end = rest.iter().position(|byte| *byte == b'\n');
            rest = end.map_or(&[][..], |end| &rest[end + 1..]);
        }
        let table = Table::read(rest)?;
        let mut grid = Self::new(name.to_owned(), "line");
        let names: Vec<_> = (0..).zip(table.names().iter().cloned()).collect();
        grid.name_columns(&names)?;
        let at: Vec<_> = (0..)
            .zip(table.names())
            .filter(|(_, name)| !name.is_empty())
            .map(|(index, _): (usize, _)| index)
            .collect();
        for row in &table.rows {
            let mut line = Line::new(row.line + skipped as u64);
            for (column, index) in at.iter().enumerate() {
                line.set(column, Ok(row.at(*index).to_owned()));
            }
            grid.lines.push(line);
        }
        grid.bad = table.bad;
        for bad in &mut grid.bad {
            bad.line += skipped as u64;
        }
        Ok(grid)
    }

    pub(super) fn name_columns(&mut self, names: &[(u32, String)]) -> Result<(), String> {
        for (index, name) in names {
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
            if name.is_empty() {
                continue;
            }
            let same = |known: &&Column| known.name.to_lowercase() == name.to_lowercase();
            if let Some(first) = self.columns.iter().find(same) {
                return Err(format!(
                    "has the column {} twice ({} and {})",
                    quote(&name),
                    column_letters(first.index),
                    column_letters(*index)
                ));
            }
            self.columns.push(Column {
                name,
                index: *index,
            });
        }
        if self.columns.is_empty() {
            return Err("has no names of columns in the row where they should be".into());
        }
        Ok(())
    }

    /// Which of the named columns stands at `index`.
    pub(super) fn column(&self, index: u32) -> Option<usize> {
        self.columns
            .binary_search_by_key(&index, |column| column.index)
            .ok()
    }

    /// Takes a row, unless it is empty.
    ///
    /// # Errors
    /// In words, when the rows would take more memory than a table of people does.
    pub(super) fn push(&mut self, line: Line) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        let left = self.room.checked_sub(line.weight());
        self.room = left.ok_or_else(|| format!("holds more than {ROOM} bytes of text"))?;
        self.lines.push(line);
        Ok(())
    }

    /// Tells of a column with values that nothing names.
    pub(super) fn note_nameless(&mut self, column: u32, header: u32) {
        let letters = column_letters(column);
        self.note(format!(
            "column {letters} has values but no name in row {header}; it is ignored"
        ));
    }

    /// Marks the cells of a merged area, each by row and column from 0, all but its first.
    ///
    /// # Errors
    /// In words, when so much is merged that it is no table.
    pub(super) fn spoil_merged(&mut self, from: (u32, u32), to: (u32, u32)) -> Result<(), String> {
        let corner = |(row, column): (u32, u32)| format!("{}{}", column_letters(column), row + 1);
        let label = format!("{}:{}", corner(from), corner(to));
        let why = format!(
            "belongs to the merged cells {label}, of which only the first has a value; take the merge off"
        );
        self.spoil(from, to, &why)
    }

    pub(super) fn note(&mut self, what: String) {
        self.notes.push(what);
    }

    /// Marks the cells of an area, all but its first, as not to be trusted.
    fn spoil(&mut self, from: (u32, u32), to: (u32, u32), why: &str) -> Result<(), String> {
        let columns: Vec<_> = (0..)
            .zip(&self.columns)
            .filter(|(_, column)| (from.1..=to.1).contains(&column.index))
            .map(|(at, column): (usize, _)| (at, column.index))
            .collect();
        let rows = u64::from(from.0) + 1..=u64::from(to.0) + 1;
        let first = self
            .lines
            .partition_point(|line| line.number < *rows.start());
        let last = self
            .lines
            .partition_point(|line| line.number <= *rows.end());
        let marks = columns.len() * last.saturating_sub(first);
        let left = self.room.checked_sub(marks * (why.len() + 64));
        self.room = left.ok_or("has too many merged cells")?;
        for line in &mut self.lines[first..last.max(first)] {
            for (at, index) in &columns {
                if (line.number, *index) != (*rows.start(), from.1) {
                    line.bad.push((*at, why.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// `people.xlsx, sheet Staff, row 12`
    pub(super) fn place(&self, number: u64) -> String {
        format!("{}, {} {number}", self.name, self.unit)
    }

    /// `people.xlsx, sheet Staff, row 12, column D (Title)`
    pub(super) fn cell_place(&self, number: u64, column: usize) -> String {
        let Column { name, index } = &self.columns[column];
        let letters = column_letters(*index);
        format!("{}, column {letters} ({name})", self.place(number))
    }

    /// The column of a name, in any case and spacing.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let plain = |name: &str| {
            let words: Vec<_> = name.split_whitespace().collect();
            words.join(" ").to_lowercase()
        };
        let wanted = plain(name);
        self.columns
            .iter()
            .position(|column| plain(&column.name) == wanted)
    }
}

/// `A`, `B`, …, `Z`, `AA`, …
pub(super) fn column_letters(index: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = index + 1;
    while rest > 0 {
        let letter = u8::try_from((rest - 1) % 26).unwrap_or_default();
        letters.push(char::from(b'A' + letter));
        rest = (rest - 1) / 26;
    }
    letters.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_letters_of_a_spreadsheet() {
        for (index, letters) in [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")] {
            assert_eq!(column_letters(index), letters);
        }
    }

    #[test]
    fn lines_before_the_names_are_passed_over_and_counted() {
        let grid = Grid::of_csv("p.csv", b"Staff list\n;;\nNo ;Name\n1;Ada\n", 3).expect("a table");
        assert_eq!(grid.columns.len(), 2);
        assert_eq!(grid.lines[0].number, 4);
        assert_eq!(grid.lines[0].text(1), Some("Ada"));
        assert_eq!(grid.find("no"), Some(0));
        assert_eq!(grid.cell_place(4, 1), "p.csv, line 4, column B (Name)");
    }
}

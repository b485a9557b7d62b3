//! A file's bytes as rows: what kind of file it is, and in which signs it is written.

use std::borrow::Cow;

use super::{grid::Grid, ods, workbook};

/// How a CSV file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Windows1252,
}
/// Takes a file apart: the people's sheet, and the units' if there is one.
pub(super) fn open(
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
        if ods::is_open_document(&bytes) {
            let of_units = match units {
                Some(units) => Some(ods::read(name, &bytes, Some(units), 1)?),
                None => None,
            };
            return Ok((ods::read(name, &bytes, sheet, header)?, of_units));
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
        return Err("is neither CSV nor .xlsx nor .ods".into());
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
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn western_signs_are_read_by_their_code_page() {
        assert_eq!(
            windows_1252(b"\x80 M\xFCller \x96 \xC5se"),
            "€ Müller – Åse"
        );
    }
}

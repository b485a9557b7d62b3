//! Small .xlsx files that would become very large: each is refused, or read, in little memory.

use std::io::{Cursor, Write as _};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::folder::{Folder, SHEET, lines, read, refused, rows, xlsx};

/// Most bytes that reading a file may take beyond what was taken before: what is unpacked, and rows
/// of as much.
const MOST: u64 = 600 << 20;

/// The most memory of this process since the last call, in bytes; 0 where the system does not say.
/// Each test is a process of its own.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    // 5 is what lets the kernel forget it.
    std::fs::write("/proc/self/clear_refs", "5").ok();
    kib.unwrap_or(0) << 10
}

/// Why a workbook was refused, in little memory.
async fn told(workbook: Vec<u8>) -> String {
    assert!(workbook.len() < 3 << 20, "{} bytes", workbook.len());
    let folder = Folder::new();
    folder.put("p.xlsx", workbook);
    peak();
    let before = peak();
    let said = refused(&folder, &[]).await;
    let grown = peak().saturating_sub(before);
    assert!(grown < MOST, "{grown} bytes for: {said}");
    said
}

/// The same workbook, with parts that are packed, some of them others.
fn packed(workbook: &[u8], others: &[(&str, &[&[u8]])]) -> Vec<u8> {
    let mut old = zip::ZipArchive::new(Cursor::new(workbook)).expect("a workbook");
    let mut new = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(1));
    for at in 0..old.len() {
        let mut part = old.by_index(at).expect("a part");
        let name = part.name().expect("a name").into_owned();
        if others.iter().any(|(other, _)| *other == name) {
            continue;
        }
        new.start_file(name, options).expect("a part");
        std::io::copy(&mut part, &mut new).expect("copied");
    }
    for (name, pieces) in others {
        new.start_file(*name, options).expect("a part");
        for piece in *pieces {
            new.write_all(piece).expect("written");
        }
    }
    new.finish().expect("a file").into_inner()
}

/// A workbook whose one shared text has 8,000 letters.
fn long(sheet: &str) -> Vec<u8> {
    let text = "x".repeat(8_000);
    let strings = format!(
        r#"<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" uniqueCount="1"><si><t>{text}</t></si></sst>"#
    );
    let strings = [strings.as_bytes()];
    packed(
        &xlsx(&[("S", sheet)]),
        &[("xl/sharedStrings.xml", &strings)],
    )
}

#[tokio::test]
async fn the_size_that_a_sheet_says_is_not_believed() {
    let sheet = |size: &str| {
        let people = rows(&[&["id", "Name"], &["E1", "Ada"]]);
        let sheet = format!(
            r#"{SHEET}<dimension ref="{size}"/><sheetData>{people}</sheetData></worksheet>"#
        );
        xlsx(&[("S", &sheet)])
    };
    let folder = Folder::new();
    folder.put("p.xlsx", sheet("A1:XFD1048576"));
    peak();
    let before = peak();
    let (workers, faults) = read(folder.open(&[]).as_ref()).await;
    assert_eq!((workers.len(), lines(&faults).len()), (1, 0), "{faults:?}");
    let grown = peak().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
    for size in [
        "A1:XFD99999999999",
        "XFD1048576:A1",
        "A1:ZZZZZZZZZ1",
        "A1:",
        "1",
    ] {
        folder.put("p.xlsx", sheet(size));
        let said = refused(&folder, &[]).await;
        let clear = ["is not a proper .xlsx file", "could not be read"];
        assert!(clear.iter().any(|one| said.contains(one)), "{size}: {said}");
    }
}

#[tokio::test]
async fn a_text_that_all_cells_share_is_weighed_as_often_as_it_comes() {
    let mut sheet = rows(&[&["id", "name"]]);
    for row in 2..30_000 {
        sheet += &format!(
            r#"<row r="{row}"><c r="A{row}" t="s"><v>0</v></c><c r="B{row}" t="s"><v>0</v></c></row>"#
        );
    }
    let said = told(long(&sheet)).await;
    assert!(
        said.contains("holds more than 268435456 bytes of text"),
        "{said}"
    );
}

#[tokio::test]
async fn a_cell_comes_once() {
    let again = r#"<c r="A1" t="s"><v>0</v></c>"#.repeat(300_000);
    for sheet in [
        format!(r#"<row r="1">{again}</row>"#),
        format!(
            r#"{}<row r="2">{}</row>"#,
            rows(&[&["id"]]),
            again.replace("A1", "A2")
        ),
    ] {
        let said = told(long(&sheet)).await;
        assert!(
            said.contains("has cells that come twice, or out of order"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_sheet_that_unpacks_to_more_than_there_is_room_for_is_not_unpacked() {
    let people = rows(&[&["id", "Name"], &["E1", "Ada"]]);
    let spaces = vec![b' '; 1 << 20];
    let begin = format!("{SHEET}<sheetData>{people}");
    let mut pieces = vec![spaces.as_slice(); 257];
    pieces.insert(0, begin.as_bytes());
    pieces.push(b"</sheetData></worksheet>");
    let bomb = packed(
        &xlsx(&[("S", &people)]),
        &[("xl/worksheets/sheet1.xml", &pieces)],
    );
    let said = told(bomb).await;
    assert!(
        said.contains("larger than 268435456 bytes when unpacked"),
        "{said}"
    );
}

#[tokio::test]
async fn a_font_is_not_copied_for_more_cells_than_there_are() {
    let font = format!(r#"<name val="{}"/>"#, "x".repeat(1_000_000));
    let formats = r#"<xf fontId="0"/>"#.repeat(100_000);
    let styles = [
        b"<styleSheet><fonts><font>".as_slice(),
        font.as_bytes(),
        b"</font></fonts><cellXfs>",
        formats.as_bytes(),
        b"</cellXfs></styleSheet>",
    ];
    let bomb = packed(
        &xlsx(&[("S", &rows(&[&["id"]]))]),
        &[("xl/styles.xml", &styles)],
    );
    let said = told(bomb).await;
    assert!(said.contains("has more formats of cells"), "{said}");
}

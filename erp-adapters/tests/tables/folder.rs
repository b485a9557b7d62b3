//! A folder of a test's own, and what is put into it.

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use domain::{
    erp::{Fault, Worker},
    mapping::Mapping,
};
use erp_adapters::{ErpAdapter, Error, Guard, open};
use futures::TryStreamExt as _;
use zip::{ZipWriter, write::SimpleFileOptions};

/// A folder that is gone afterwards.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "optimus-tables-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("a file");
        path
    }

    pub(crate) fn open(&self, more: &[(&str, &str)]) -> Box<dyn ErpAdapter> {
        self.open_with(more, None).expect("an adapter")
    }

    pub(crate) fn open_with(
        &self,
        more: &[(&str, &str)],
        mapping: Option<&Mapping>,
    ) -> Result<Box<dyn ErpAdapter>, Error> {
        let folder = self.0.to_str().expect("text");
        let mut settings: BTreeMap<String, String> = BTreeMap::new();
        for (key, value) in [("folder", folder), ("settle", "0")].iter().chain(more) {
            settings.insert((*key).to_owned(), (*value).to_owned());
        }
        open("table", &settings, mapping, &Guard::default())
    }

    pub(crate) fn names(&self) -> Vec<String> {
        names(&self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}

/// Sets when a file was last written, in seconds since 1970.
pub(crate) fn dated(path: &Path, seconds: u64) {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let file = fs::File::options().write(true).open(path).expect("a file");
    file.set_modified(at).expect("a time");
}

pub(crate) const SHEET: &str =
    r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">"#;

/// A workbook of sheets by name and the XML of their content.
pub(crate) fn xlsx(sheets: &[(&str, &str)]) -> Vec<u8> {
    let mut parts = vec![
        (
            "_rels/.rels".to_owned(),
            r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#.to_owned(),
        ),
        (
            "xl/styles.xml".to_owned(),
            r#"<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>"#.to_owned(),
        ),
    ];
    let (mut list, mut relations) = (String::new(), String::new());
    for (number, (name, content)) in (1..).zip(sheets) {
        let (name, state) = match name.strip_prefix("hidden:") {
            Some(name) => (name, r#" state="hidden""#),
            None => (*name, ""),
        };
        list += &format!(r#"<sheet name="{name}" sheetId="{number}"{state} r:id="rId{number}"/>"#);
        relations += &format!(
            r#"<Relationship Id="rId{number}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet{number}.xml"/>"#
        );
        let content = if content.starts_with('<') && !content.starts_with("<row") {
            (*content).to_owned()
        } else {
            format!("{SHEET}<sheetData>{content}</sheetData></worksheet>")
        };
        parts.push((format!("xl/worksheets/sheet{number}.xml"), content));
    }
    parts.push((
        "xl/workbook.xml".to_owned(),
        format!(
            r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>{list}</sheets></workbook>"#
        ),
    ));
    parts.push((
        "xl/_rels/workbook.xml.rels".to_owned(),
        format!(
            r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{relations}</Relationships>"#
        ),
    ));
    zipped(&parts)
}

pub(crate) fn zipped(parts: &[(String, String)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(name.as_str(), SimpleFileOptions::default())
            .expect("a part");
        zip.write_all(content.as_bytes()).expect("written");
    }
    zip.finish().expect("a file").into_inner()
}

/// Rows of texts as a sheet's XML; a text that begins with `<` is a cell as it stands, `@` its place.
pub(crate) fn rows(rows: &[&[&str]]) -> String {
    let mut xml = String::new();
    for (number, cells) in (1..).zip(rows) {
        xml += &format!(r#"<row r="{number}">"#);
        for (letter, cell) in ('A'..).zip(*cells) {
            let place = format!("{letter}{number}");
            xml += &match cell.strip_prefix('<') {
                Some(_) => cell.replace('@', &place),
                None => format!(r#"<c r="{place}" t="inlineStr"><is><t>{cell}</t></is></c>"#),
            };
        }
        xml += "</row>";
    }
    xml
}

pub(crate) async fn read(adapter: &dyn ErpAdapter) -> (Vec<Worker>, Vec<Fault>) {
    adapter.units().await.expect("units");
    let pages: Vec<_> = adapter.workers(None).try_collect().await.expect("pages");
    let mut workers = Vec::new();
    let mut faults = Vec::new();
    for page in pages {
        workers.extend(page.workers);
        faults.extend(page.faults);
    }
    (workers, faults)
}

pub(crate) fn lines(faults: &[Fault]) -> Vec<String> {
    let line = |fault: &Fault| format!("{}: {}", fault.place, fault.what);
    faults.iter().map(line).collect()
}

pub(crate) async fn refused(folder: &Folder, more: &[(&str, &str)]) -> String {
    let error = folder.open(more).units().await.expect_err("refused");
    error.to_string()
}

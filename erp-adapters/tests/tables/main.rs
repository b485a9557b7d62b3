//! Tables that people put into a folder, with every fault that they have.

mod bombs;
mod folder;
mod open_document;
mod photos;

use std::{fs, io::Write as _, time::Duration};

use domain::{
    Attribute,
    erp::{Watermark, Worker},
    mapping::Mapping,
};
use erp_adapters::Error;
use futures::TryStreamExt as _;
use serde_json::json;

use folder::{Folder, SHEET, dated, lines, names, read, refused, rows, xlsx, zipped};

#[tokio::test]
async fn columns_are_understood_by_their_names() {
    let folder = Folder::new();
    for (name, text) in [
        (
            "english.csv",
            "Employee Number,Name,Job Title,E-mail,Department,Reports to,Hire date,Shoe size\n\
             E1,Ada Byron,Head,ada@forge.example,Works,,2019-05-13,37\n\
             E2,\"Bob\nBrown\",Fitter,bob@forge.example,Wheels,E1,2020-01-01,44\n",
        ),
        (
            "deutsch.csv",
            "\u{FEFF}Personalnummer;Anzeigename;Stellenbezeichnung;E-Mail;Abteilung;Vorgesetzter;Eintrittsdatum\r\n\
             E1;Ada Byron;Head;ada@forge.example;Works;;2019-05-13\r\n\
             E2;Bob Brown;Fitter;bob@forge.example;Wheels;E1;2020-01-01\r\n",
        ),
    ] {
        folder.put(name, text);
        let adapter = folder.open(&[("pattern", name)]);
        let (workers, faults) = read(adapter.as_ref()).await;
        assert_eq!(workers.len(), 2, "{faults:?}");
        assert_eq!(workers[0].text(Attribute::DisplayName), Some("Ada Byron"));
        assert_eq!(workers[0].text(Attribute::EmployeeNumber), Some("E1"));
        assert_eq!(workers[1].text(Attribute::DisplayName), Some("Bob Brown"));
        assert_eq!(workers[1].text(Attribute::Title), Some("Fitter"));
        assert_eq!(workers[1].text(Attribute::StartDate), Some("2020-01-01"));
        assert_eq!(workers[1].manager.as_deref(), Some("E1"));
        assert_eq!(workers[1].unit.as_deref(), Some("Wheels"));
        let units = adapter.units().await.expect("units").units;
        let units: Vec<_> = units.iter().map(|unit| unit.name.as_str()).collect();
        assert_eq!(units, ["Wheels", "Works"]);
        let ids = adapter.worker_ids().await.expect("ids");
        assert_eq!((ids.ids.len(), ids.unreadable), (2, 0));
        if name == "english.csv" {
            assert_eq!(
                lines(&faults),
                [
                    "english.csv: no mapping says what these columns mean, so they were not read: Shoe size"
                ]
            );
        }
        assert_eq!(adapter.probe().await.expect("a probe").people, 2);
    }
}

#[tokio::test]
async fn the_mapping_that_is_followed_without_one_can_be_had_and_set() {
    let folder = Folder::new();
    let archive = folder.0.join("read");
    let archive = [("archive", archive.to_str().expect("text"))];
    let source = folder.open(&archive);
    assert_eq!(source.own_mapping().await, Ok(None), "there is no file yet");
    let text = "Pers.-Nr.;Vorname;Nachname;Schuhe\n7;Ada;Lovelace;39\n";
    folder.put("people.csv", text);
    let own = source.own_mapping().await.expect("a mapping");
    let own = own.expect("a mapping");
    let lines: Vec<_> = own
        .worker
        .iter()
        .map(|field| (field.target.name(), field.from.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            ("id", "Pers.-Nr."),
            ("employeeNumber", "Pers.-Nr."),
            ("name.givenName", "Vorname"),
            ("name.familyName", "Nachname"),
        ]
    );
    // Set as it is, it reads the same.
    let (without, _) = read(&*source).await;
    let set = folder.open_with(&archive, Some(&own)).expect("an adapter");
    assert_eq!(read(&*set).await.0, without);
    // What was read is put away, and still says what its columns are called.
    let mark = source.fingerprint().await.expect("a mark").expect("a mark");
    source.done(&Watermark(mark)).await.expect("put away");
    assert_eq!(folder.names(), Vec::<String>::new());
    assert_eq!(source.own_mapping().await, Ok(Some(own)));
    // Without an id nothing is read, but what is understood is told.
    folder.put("people.csv", "Schuhe;Vorname\n39;Ada\n");
    let partly = source.own_mapping().await.expect("a mapping");
    let partly = partly.expect("a mapping").worker;
    assert_eq!(partly.len(), 1);
    assert_eq!(partly[0].from, "Vorname");
    assert!(
        source.worker_ids().await.is_ok(),
        "what was read before stays"
    );
    assert!(source.units().await.is_err());
}

#[tokio::test]
async fn a_spreadsheet_says_what_its_cells_show() {
    let folder = Folder::new();
    let date = r#"<c r="@" s="1"><v>43598</v></c>"#;
    let sheet = rows(&[
        &["Staff list"],
        &[],
        &["Id", "Name", "Title", "Start date", "Department", "Manager"],
        &[
            r#"<c r="@"><v>123</v></c>"#,
            "Ada",
            r#"<c r="@" t="str"><f>A1&amp;"x"</f><v>Head</v></c>"#,
            date,
            "Works",
        ],
        &[
            "00124",
            "Bob",
            "=cmd|' /C calc'!A0",
            "2020-01-31",
            "Works",
            r#"<c r="@"><v>123.0</v></c>"#,
        ],
        &[
            "E00125",
            "Cid",
            r#"<c r="@" t="e"><v>#REF!</v></c>"#,
            "43598",
            "Works",
            r#"<c r="@"><v>123</v></c>"#,
        ],
        &[],
        &["E2", "Dot", "", "", "", ""],
    ]);
    let sheet = format!(
        "{SHEET}<sheetData>{sheet}</sheetData><mergeCells count=\"1\"><mergeCell ref=\"E5:E6\"/></mergeCells></worksheet>"
    );
    let notes = rows(&[&["hidden notes"]]);
    folder.put(
        "people.xlsx",
        xlsx(&[("hidden:Notes", &notes), ("Staff", &sheet)]),
    );
    let adapter = folder.open(&[("header_row", "3")]);
    let (workers, faults) = read(adapter.as_ref()).await;
    let ids: Vec<_> = workers
        .iter()
        .map(|worker| worker.external_id.as_str())
        .collect();
    assert_eq!(ids, ["123", "00124", "E00125", "E2"]);
    // What was saved beside the formula; a date cell as a date; a formula as the text it is.
    assert_eq!(workers[0].text(Attribute::Title), Some("Head"));
    assert_eq!(workers[0].text(Attribute::StartDate), Some("2019-05-13"));
    assert_eq!(
        workers[1].text(Attribute::Title),
        Some("=cmd|' /C calc'!A0")
    );
    assert_eq!(workers[1].text(Attribute::StartDate), Some("2020-01-31"));
    assert_eq!(workers[1].manager.as_deref(), Some("123"));
    assert_eq!(
        lines(&faults),
        [
            "people.xlsx, sheet Staff, row 6, column D (Start date): “43598” is not a date such as 2019-05-13; left out",
            "people.xlsx, sheet Staff, row 6, column C (Title): shows the error #REF!; left out",
            "people.xlsx, sheet Staff, row 6, column E (Department): belongs to the merged cells E5:E6, of which only the first has a value; take the merge off; left out",
        ]
    );
    assert_eq!(
        workers[1].unit.as_deref(),
        Some("Works"),
        "the first of the merged has the value"
    );
    assert_eq!(workers[2].unit, None);
    let samples = adapter.sample(2).await.expect("samples");
    assert_eq!(samples[0].place, "people.xlsx, sheet Staff, row 4");
    assert_eq!(samples[0].record["Id"], "123");
    assert_eq!(samples.len(), 2);
}

#[tokio::test]
async fn a_mapping_reads_columns_of_any_name_and_tells_of_those_that_are_not_there() {
    let mapping: Mapping = serde_json::from_value(json!({
        "worker": [
            { "target": "id", "from": "Key" },
            { "target": "name.familyName", "from": "who", "transforms": [{ "do": "part", "separator": ",", "index": 0 }] },
            { "target": "name.givenName", "from": "Who", "transforms": [{ "do": "part", "separator": ",", "index": 1 }] },
            { "target": "startDate", "from": "Since", "transforms": [{ "do": "date", "format": "%d.%m.%Y" }] },
            { "target": "title", "from": "Rank" },
            { "target": "unit", "from": "Shop" },
        ],
        "unit": [
            { "target": "id", "from": "Shop" },
            { "target": "name", "from": "Called" },
            { "target": "parent", "from": "Above" },
        ],
    }))
    .expect("a mapping");
    let folder = Folder::new();
    let people = rows(&[
        &["KEY ", "Who", "Since", "Shop"],
        &["7", "Okafor, Grace", "13.05.2019", "w"],
        &["8", "Nobody", "soon", "w"],
    ]);
    let shops = rows(&[
        &["Shop", "Called", "Above"],
        &["w", "Wheels", "f"],
        &["f", "Forge", ""],
        &["w", "Again", ""],
    ]);
    folder.put("x.xlsx", xlsx(&[("P", &people), ("Shops", &shops)]));
    let error = folder.open_with(&[], Some(&mapping)).expect_err("refused");
    assert!(
        error.to_string().starts_with("unit_sheet is needed"),
        "{error}"
    );
    let adapter = folder
        .open_with(&[("unit_sheet", "shops")], Some(&mapping))
        .expect("an adapter");
    let structure = adapter.units().await.expect("units");
    assert_eq!(structure.units.len(), 2);
    assert_eq!(structure.units[0].name, "Wheels");
    assert_eq!(structure.units[0].parent.as_deref(), Some("f"));
    assert_eq!(structure.faults[0].place, "x.xlsx, sheet Shops, row 4");
    let (workers, faults) = read(adapter.as_ref()).await;
    assert_eq!(workers[0].text(Attribute::GivenName), Some("Grace"));
    assert_eq!(workers[0].text(Attribute::FamilyName), Some("Okafor"));
    assert_eq!(workers[0].text(Attribute::StartDate), Some("2019-05-13"));
    assert_eq!(workers[0].unit.as_deref(), Some("w"));
    assert_eq!(
        lines(&faults),
        [
            "x.xlsx, sheet P, row 3, column C (Since): “soon” is not a date of the form %d.%m.%Y; left out",
            "x.xlsx, sheet P: the mapping reads it from “Rank”, which none of 2 records has",
        ]
    );
    folder.put(
        "x.xlsx",
        xlsx(&[("P", &rows(&[&["Who"], &["A"]])), ("Shops", &shops)]),
    );
    let adapter = folder
        .open_with(&[("unit_sheet", "shops")], Some(&mapping))
        .expect("an adapter");
    let error = adapter.units().await.expect_err("no id");
    assert_eq!(
        error.to_string(),
        "x.xlsx, sheet P: Key is not among the columns: Who"
    );
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_told_and_take_nobody_away() {
    let folder = Folder::new();
    folder.put(
        "people.csv",
        b"id,name,title\nE1,Ada,Head\n,Nobody,x\nE1,Twin,y\nE4,Short\nE5,J\xFCrgen,z\nE6,Eva,\"open\nE7,Gus,w\n",
    );
    let adapter = folder.open(&[]);
    let (workers, faults) = read(adapter.as_ref()).await;
    let names: Vec<_> = workers.iter().map(Worker::name).collect();
    assert_eq!(names, ["Ada", "Gus"]);
    assert_eq!(
        lines(&faults),
        [
            "people.csv, line 3, column A (id): is empty; without it nobody can be told apart; left out",
            "people.csv, line 4: “E1” stands at people.csv, line 2 already; this row is left out",
            "people.csv, line 5: has 2 cells, the header has 3",
            "people.csv, line 6: is not UTF-8 in name",
            "people.csv, line 7: has a quote that is never closed, or closed on another row",
            "people.csv: is not UTF-8 throughout; if it was saved as ANSI (Windows-1252), say so in the settings or save it as CSV UTF-8",
        ]
    );
    // Those of bad rows are there all the same.
    let ids = adapter.worker_ids().await.expect("ids");
    let known: Vec<_> = ids.ids.iter().map(String::as_str).collect();
    assert_eq!(known, ["E1", "E4", "E5", "E6", "E7"]);
    assert_eq!(ids.unreadable, 1);
    let western = folder.open(&[("encoding", "windows-1252")]);
    let (workers, _) = read(western.as_ref()).await;
    assert!(workers.iter().any(|worker| worker.name() == "Jürgen"));
}

#[tokio::test]
async fn files_that_cannot_be_trusted_are_refused_whole() {
    let folder = Folder::new();
    assert!(refused(&folder, &[]).await.contains("there is no file *"));
    let path = folder.put("p.csv", "id,name,Name \nE1,a,b\n");
    assert!(
        refused(&folder, &[])
            .await
            .contains("has the column name twice")
    );
    folder.put("p.csv", "\n");
    assert!(refused(&folder, &[]).await.contains("is empty"));
    folder.put("p.csv", "shoe,size\n1,2\n");
    assert!(
        refused(&folder, &[])
            .await
            .contains("no column is called like an employee number; the columns are shoe, size")
    );
    folder.put("p.csv", b"\xFF\xFEi\0d\0");
    assert!(refused(&folder, &[]).await.contains("UTF-16"));
    folder.put("p.csv", b"\x7FELF\x02\0\0");
    assert!(
        refused(&folder, &[])
            .await
            .contains("neither CSV nor .xlsx")
    );
    fs::remove_file(path).expect("gone");

    folder.put("p.xlsx", b"\xD0\xCF\x11\xE0old");
    assert!(refused(&folder, &[]).await.contains("save it as .xlsx"));
    folder.put("p.xlsx", b"PK\x03\x04half");
    assert!(refused(&folder, &[]).await.contains("still being written"));
    let whole = xlsx(&[("S", &rows(&[&["id", "ID"]]))]);
    folder.put("p.xlsx", &whole);
    assert!(refused(&folder, &[]).await.contains("twice (A and B)"));
    folder.put("p.xlsx", &whole[..whole.len() / 2]);
    assert!(refused(&folder, &[]).await.contains("still being written"));
    let two = xlsx(&[("S", &rows(&[&["id"]])), ("T", &rows(&[]))]);
    folder.put("p.xlsx", two);
    assert!(
        refused(&folder, &[("sheet", "X")])
            .await
            .contains("has no sheet “X”; it has S, T")
    );
    assert!(
        refused(&folder, &[("sheet", "T")])
            .await
            .contains("no names of columns")
    );
    let far = xlsx(&[("S", r#"<row r="1"><c r="XFD1"><v>1</v></c></row>"#)]);
    folder.put("p.xlsx", far);
    assert!(
        refused(&folder, &[])
            .await
            .contains("more than 256 columns")
    );
    let deep = xlsx(&[(
        "S",
        r#"<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="A1048576"><v>1</v></c></row>"#,
    )]);
    folder.put("p.xlsx", deep);
    assert!(
        refused(&folder, &[])
            .await
            .contains("more than 200000 rows")
    );
}

#[tokio::test]
async fn a_file_names_no_other_and_grows_no_larger_than_it_is() {
    let folder = Folder::new();
    let secret = folder.put("secret.txt", "root:x:0:0");
    let entity = format!(
        r#"<?xml version="1.0"?><!DOCTYPE x [<!ENTITY xxe SYSTEM "file://{}">]>{SHEET}<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>id</t></is></c></row><row r="2"><c r="A2" t="inlineStr"><is><t>&xxe;</t></is></c></row></sheetData></worksheet>"#,
        secret.display()
    );
    folder.put("p.xlsx", xlsx(&[("S", &entity)]));
    let said = refused(&folder, &[("pattern", "p.xlsx")]).await;
    assert!(said.contains("names an entity"), "{said}");
    assert!(!said.contains("root"));
    let laughs = format!(
        r#"<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;&a;">]>{SHEET}<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>&b;</t></is></c></row></sheetData></worksheet>"#
    );
    folder.put("p.xlsx", xlsx(&[("S", &laughs)]));
    assert!(
        refused(&folder, &[("pattern", "p.xlsx")])
            .await
            .contains("names an entity")
    );
    // So many texts that no machine has room for them.
    let mut parts = vec![(
        "xl/sharedStrings.xml".to_owned(),
        r#"<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" uniqueCount="99999999999"></sst>"#.to_owned(),
    )];
    parts.push(("xl/workbook.xml".to_owned(), "<workbook/>".to_owned()));
    folder.put("p.xlsx", zipped(&parts));
    assert!(
        refused(&folder, &[("pattern", "p.xlsx")])
            .await
            .contains("more than 5000000 texts")
    );
    // A link to a file elsewhere is not a file of this folder.
    std::os::unix::fs::symlink("/etc/passwd", folder.0.join("l.csv")).expect("a link");
    assert!(
        refused(&folder, &[("pattern", "l.csv")])
            .await
            .contains("there is no file")
    );
    let large = folder.put("large.csv", "id\n");
    let file = fs::File::options().write(true).open(large).expect("a file");
    file.set_len((64 << 20) + 1).expect("a length");
    let error = folder
        .open(&[("pattern", "large.csv")])
        .units()
        .await
        .expect_err("too large");
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn the_newest_file_counts_or_all_of_them() {
    let folder = Folder::new();
    dated(&folder.put("b-old.csv", "id,name\nE1,Old\n"), 1_000);
    dated(&folder.put("a-new.csv", "id,name\nE1,New\n"), 2_000);
    dated(&folder.put("~$a.csv", "x"), 3_000);
    dated(&folder.put("c.txt", "x"), 3_000);
    let newest = folder.open(&[("pattern", "*.csv")]);
    let (workers, _) = read(newest.as_ref()).await;
    assert_eq!(
        workers.iter().map(Worker::name).collect::<Vec<_>>(),
        ["New"]
    );
    let all = folder.open(&[("pattern", "*.csv"), ("files", "all")]);
    let (workers, faults) = read(all.as_ref()).await;
    assert_eq!(
        workers.iter().map(Worker::name).collect::<Vec<_>>(),
        ["New"]
    );
    assert_eq!(
        lines(&faults),
        ["b-old.csv, line 2: “E1” stands at a-new.csv, line 2 already; this row is left out"]
    );
}

#[tokio::test]
async fn what_was_read_goes_into_the_archive_when_it_has_been_applied() {
    let folder = Folder::new();
    let archive = folder.0.join("read");
    let settings = [
        ("pattern", "p*.csv"),
        ("archive", archive.to_str().expect("text")),
    ];
    dated(&folder.put("p1.csv", "id,name\nE1,Old\n"), 1_000);
    dated(&folder.put("p2.csv", "id,name\nE1,New\n"), 2_000);
    let adapter = folder.open(&settings);
    let before = adapter.fingerprint().await.expect("a look");
    let pages: Vec<_> = adapter.workers(None).try_collect().await.expect("pages");
    let upto = pages[0].watermark.clone();
    assert_eq!(before, Some(upto.0.clone()));
    // Nothing moves before the run has been applied.
    assert_eq!(folder.names(), ["p1.csv", "p2.csv"]);

    // Another process applies it, and a file has come meanwhile.
    dated(&folder.put("p3.csv", "id,name\nE1,Newer\n"), 3_000);
    let adapter = folder.open(&settings);
    adapter.done(&upto).await.expect("put away");
    assert_eq!(folder.names(), ["p3.csv"]);
    assert_eq!(
        names(&archive),
        ["p1.1970-01-01T001640Z.csv", "p2.1970-01-01T003320Z.csv"]
    );
    assert_ne!(adapter.fingerprint().await.expect("a look"), before);

    // One that was written anew while it was applied is not what was read.
    let pages: Vec<_> = adapter.workers(None).try_collect().await.expect("pages");
    dated(&folder.put("p3.csv", "id,name\nE1,Newest of all\n"), 4_000);
    adapter
        .done(&pages[0].watermark)
        .await
        .expect("nothing to put away");
    assert_eq!(folder.names(), ["p3.csv"]);

    // The same name at the same time does not take another's place.
    let adapter = folder.open(&settings);
    let pages: Vec<_> = adapter.workers(None).try_collect().await.expect("pages");
    fs::write(archive.join("p3.1970-01-01T010640Z.csv"), "kept").expect("a file");
    dated(&archive.join("p3.1970-01-01T010640Z.csv"), 1);
    adapter.done(&pages[0].watermark).await.expect("put away");
    assert_eq!(folder.names(), [""; 0]);
    assert_eq!(adapter.fingerprint().await, Ok(None));
    assert!(names(&archive).contains(&"p3.1970-01-01T010640Z-2.csv".to_owned()));
    assert_eq!(
        fs::read_to_string(archive.join("p3.1970-01-01T010640Z.csv")).expect("text"),
        "kept"
    );
    // A mapping can be tried on what was read.
    assert_eq!(adapter.sample(1).await.expect("a sample").len(), 1);
    adapter
        .done(&Watermark("2026-11-19T09:00:00Z".into()))
        .await
        .expect("nothing");
}

#[tokio::test]
async fn a_file_is_read_when_it_has_stopped_changing() {
    let folder = Folder::new();
    let path = folder.put("p.csv", "id,name\n");
    let writer = tokio::spawn(async move {
        for number in 0..15 {
            let mut file = fs::File::options()
                .append(true)
                .open(&path)
                .expect("a file");
            writeln!(file, "E{number},Person {number}").expect("written");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let adapter = folder.open(&[("settle", "1")]);
    let (workers, _) = read(adapter.as_ref()).await;
    assert_eq!(
        workers.len(),
        15,
        "all of them, and not what was there at first"
    );
    writer.await.expect("written");
}

#[test]
fn settings_that_cannot_be_right_are_refused() {
    let folder = Folder::new();
    let refused = |more: &[(&str, &str)]| {
        folder
            .open_with(more, None)
            .expect_err("refused")
            .to_string()
    };
    assert!(refused(&[("folder", "people")]).starts_with("folder must be a whole path"));
    assert!(
        refused(&[("archive", folder.0.to_str().expect("text"))])
            .starts_with("archive must be another")
    );
    assert!(refused(&[("pattern", "../*")]).starts_with("pattern"));
    assert!(refused(&[("header_row", "0")]).starts_with("header_row"));
    assert!(refused(&[("files", "some")]).contains("newest, all"));
    assert!(refused(&[("encoding", "ebcdic")]).contains("utf-8, windows-1252"));
    assert!(refused(&[("watch", "maybe")]).contains("no, yes"));
}

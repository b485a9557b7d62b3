//! The CSV folder against every fault that people put into spreadsheets, and against the demo company.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use domain::{
    Attribute,
    erp::{Fault, Worker},
};
use erp_adapters::{CsvFolder, ErpAdapter, Error, Readable, demo};
use futures::TryStreamExt as _;

/// A folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("optimus-csv-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn with(name: &str, workers: impl AsRef<[u8]>) -> Self {
        Self::new(name).file("workers.csv", workers)
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
        self
    }

    fn open(&self) -> CsvFolder {
        CsvFolder::new(self.0.to_str().expect("a path")).expect("an adapter")
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

async fn pull(adapter: &CsvFolder) -> (BTreeMap<String, Worker>, Vec<Fault>) {
    let pages: Vec<_> = adapter.workers(None).try_collect().await.expect("a pull");
    let mut workers = BTreeMap::new();
    let mut faults = Vec::new();
    for page in pages {
        workers.extend(
            page.workers
                .into_iter()
                .map(|worker| (worker.external_id.clone(), worker)),
        );
        faults.extend(page.faults);
    }
    (workers, faults)
}

/// A fault in one line: place, field, text, and whether the record is left out.
fn line(fault: &Fault) -> String {
    let field = fault.field.as_deref().unwrap_or("-");
    let effect = if fault.left_out { "record" } else { "field" };
    format!("{} | {field} | {} | {effect}", fault.place, fault.what)
}

#[tokio::test]
async fn the_demo_company_is_the_one_of_the_design() {
    let folder = Folder::new("demo");
    demo::write_to(folder.as_ref()).expect("the demo's files");
    let adapter = folder.open();
    let (workers, faults) = pull(&adapter).await;
    assert_eq!(workers.len(), 41);
    assert!(workers.values().all(|worker| worker.active));
    let faults: Vec<_> = faults.iter().map(line).collect();
    assert_eq!(
        faults,
        [
            "workers.csv, first row | shoe_size | is not a column that is read; ignored | field",
            "workers.csv, line 9 | phoneNumbers | “ext 12” is not a telephone number; kept as text | field",
        ]
    );

    let grace = &workers["NF-1123"];
    for (attribute, value) in [
        (Attribute::GivenName, "Grace"),
        (Attribute::FamilyName, "Whitfield"),
        (Attribute::EmployeeNumber, "NF-1123"),
        (Attribute::Title, "Key Account Manager"),
        (Attribute::Emails, "grace.whitfield@northwindforge.example"),
        (Attribute::CostCenter, "4120 Sales Sheffield"),
        (Attribute::PhoneNumbers, "+44 114 496 0127"),
        (Attribute::Mobile, "+44 7700 900 418"),
        (Attribute::StartDate, "2019-05-13"),
        (Attribute::BirthDate, "1988-02-09"),
        (Attribute::Location, "Sheffield"),
    ] {
        assert_eq!(grace.text(attribute), Some(value), "{attribute}");
    }
    assert_eq!(
        grace.attributes[&Attribute::Languages],
        None,
        "a column that is there and empty"
    );
    assert!(
        !grace.attributes.contains_key(&Attribute::Skills),
        "a column that is not there"
    );
    let places = |place| {
        workers
            .values()
            .filter(|w| w.text(Attribute::Location) == Some(place))
            .count()
    };
    assert_eq!((places("Sheffield"), places("Bergen")), (27, 14));

    // Three levels: one at the top, five below, thirty-five below those.
    let top: Vec<_> = workers
        .values()
        .filter(|worker| worker.manager.is_none())
        .collect();
    assert_eq!(
        top.iter().map(|worker| worker.name()).collect::<Vec<_>>(),
        ["Ingrid Halvorsen"]
    );
    let reports = |of: &str| {
        workers
            .values()
            .filter(|w| w.manager.as_deref() == Some(of))
            .collect::<Vec<_>>()
    };
    let mut heads: Vec<_> = reports("NF-1002")
        .iter()
        .map(|w| (w.name(), reports(&w.external_id).len()))
        .collect();
    heads.sort();
    assert_eq!(
        heads,
        [
            ("Daniel Okafor".to_owned(), 6),
            ("Helena Brandt".to_owned(), 7),
            ("Priya Raman".to_owned(), 7),
            ("Samir Haddad".to_owned(), 4),
            ("Tomasz Wierzbicki".to_owned(), 11)
        ]
    );

    let structure = adapter.units().await.expect("units");
    assert_eq!(structure.faults, []);
    let names: Vec<_> = structure
        .units
        .iter()
        .map(|unit| unit.name.as_str())
        .collect();
    let expected = [
        "Northwind Forge",
        "Operations",
        "Sales",
        "Key accounts",
        "Engineering",
        "Finance",
        "People & Systems",
    ];
    assert_eq!(names, expected);
    for unit in &structure.units {
        assert!(
            unit.heads.iter().all(|head| workers.contains_key(head)),
            "{}",
            unit.name
        );
    }
    let [post] = structure.vacancies.as_slice() else {
        panic!("one vacant post")
    };
    assert_eq!(
        (
            post.external_id.as_str(),
            post.title.as_str(),
            &post.manager
        ),
        ("NF-P-0093", "Data Analyst", &None)
    );
    assert_eq!(adapter.worker_ids().await.expect("ids").ids.len(), 41);

    let probe = adapter.probe().await.expect("a probe");
    assert_eq!((probe.people, probe.units), (41, 7));
    assert_eq!(
        probe
            .access
            .iter()
            .filter(|access| access.readable == Readable::Yes)
            .count(),
        3
    );
}

#[tokio::test]
async fn a_demo_that_was_changed_stays_changed() {
    let folder = Folder::with("changed", "employee_number,given_name\n1,A\n");
    demo::write_to(folder.as_ref()).expect("the demo's files");
    assert_eq!(pull(&folder.open()).await.0.len(), 1);
    assert_eq!(folder.open().units().await.expect("units").units.len(), 7);
}

#[tokio::test]
async fn every_bad_row_is_told_and_the_good_ones_go_in() {
    let folder = Folder::with(
        "faults",
        "\u{FEFF}Employee_Number;display_name;email;start_date;mobile;unit;active;changed_at;hat\r\n\
         1;\"Anna\r\nBerg\";anna@x.example;2020-02-29;+44 7700 900 100;A;yes;2026-11-19T09:00:00+01:00;M\r\n\
         2;Ben;ben@x.example;29.02.2020;call me;B;;;\r\n\
         3;Cy;cy@localhost;2021-02-29;0114 496 0127;A;no;yesterday;\r\n\
         1;Dora;;;;;;;\r\n\
         ;Eve;;;;;;;\r\n\
         6;;;;;;;;\r\n\
         7;Fay;;;;;maybe;;\r\n\
         8;Gus;;;\r\n\
         9;\"Hal;;;;;;;\r\n\
         10;Ida\u{7};;;;;;;\r\n\
         11;\u{202E}Jan\u{200B} سارة 𝒦🙂;;;;;;;\r\n",
    )
    .file("units.csv", "unit;name\r\nA;Alpha\r\n");
    let (workers, faults) = pull(&folder.open()).await;
    let faults: Vec<_> = faults.iter().map(line).collect();
    assert_eq!(
        faults,
        [
            "workers.csv, first row | hat | is not a column that is read; ignored | field",
            "workers.csv, line 10 | - | has 5 cells, the header has 9 | record",
            "workers.csv, line 11 | - | has a quote that is never closed, or closed on another row | record",
            "workers.csv, line 4 | phoneNumbers.mobile | “call me” is not a telephone number; kept as text | field",
            "workers.csv, line 4 | startDate | “29.02.2020” is not a date such as 2019-05-13; left out | field",
            "workers.csv, line 4 | unit | “B” is not in units.csv; left out | field",
            "workers.csv, line 5 | emails | “cy@localhost” is not a mail address such as \
             grace@northwindforge.example; left out | field",
            "workers.csv, line 5 | startDate | “2021-02-29” is not a date such as 2019-05-13; left out | field",
            "workers.csv, line 5 | changed_at | “yesterday” is not a time such as 2026-11-19T09:00:00Z; left out | field",
            "workers.csv, line 6 | employee_number | “1” is on line 2 already; this row is left out | record",
            "workers.csv, line 7 | employee_number | is empty | record",
            "workers.csv, line 8 | - | has no name | record",
            "workers.csv, line 9 | active | “maybe” is neither yes nor no | record",
            "workers.csv, line 12 | displayName | held characters that cannot be shown; they were removed | field",
        ]
    );
    assert_eq!(
        workers.keys().collect::<Vec<_>>(),
        ["1", "10", "11", "2", "3"]
    );
    assert_eq!(workers["1"].name(), "Anna Berg");
    assert_eq!(
        workers["1"].changed_at.expect("a time").to_rfc3339(),
        "2026-11-19T08:00:00+00:00"
    );
    assert_eq!((workers["2"].active, workers["3"].active), (true, false));
    assert_eq!(workers["2"].unit, None);
    assert!(
        !workers["2"].attributes.contains_key(&Attribute::StartDate),
        "unreadable is not empty"
    );
    assert_eq!(workers["3"].text(Attribute::Mobile), Some("0114 496 0127"));
    assert_eq!(workers["10"].name(), "Ida");
    assert_eq!(workers["11"].name(), "Jan سارة 𝒦🙂");

    // Nobody counts as gone because of a row that cannot be read.
    let ids = folder.open().worker_ids().await.expect("ids");
    assert_eq!(
        ids.ids.iter().map(String::as_str).collect::<Vec<_>>(),
        ["1", "10", "11", "2", "3", "6", "7", "8", "9"]
    );
    assert_eq!(ids.unreadable, 1);
}

#[tokio::test]
async fn units_and_posts_with_faults_are_left_out_alone() {
    let folder = Folder::with("units", "employee_number,family_name\n1,A\n")
        .file("units.csv", "unit,name,parent,head\nA,Alpha,,\"1; 2\"\nA,Again,,\nB,,A,\n,Nameless,,\nC,Gamma,A,1\n")
        .file("positions.csv", "position,title,unit\nP1,Analyst,A\nP2,,A\n");
    let structure = folder.open().units().await.expect("units");
    let faults: Vec<_> = structure.faults.iter().map(line).collect();
    assert_eq!(
        faults,
        [
            "units.csv, line 3 | unit | “A” is on line 2 already; this row is left out | record",
            "units.csv, line 4 | name | is empty | record",
            "units.csv, line 5 | unit | is empty | record",
            "positions.csv, line 3 | title | is empty | record",
        ]
    );
    assert_eq!(
        structure
            .units
            .iter()
            .map(|unit| unit.name.as_str())
            .collect::<Vec<_>>(),
        ["Alpha", "Gamma"]
    );
    assert_eq!(structure.units[0].heads, ["1", "2"]);
    assert_eq!(structure.vacancies.len(), 1);
}

#[tokio::test]
async fn photos_are_found_by_number_and_large_ones_refused() {
    let folder = Folder::with(
        "photos",
        "employee_number,family_name\n1,A\n2,B\n3,C\n../secret,D\n",
    )
    .file("photos/1.JPG", b"jpeg")
    .file("photos/2.png", vec![0; 10 << 20])
    .file("photos/3.txt", b"text")
    .file("secret.png", b"secret");
    std::os::unix::fs::symlink("/etc/hostname", folder.0.join("photos/3.png")).expect("a link");
    let adapter = folder.open();
    let (workers, faults) = pull(&adapter).await;
    assert_eq!(
        faults.iter().map(line).collect::<Vec<_>>(),
        [
            "workers.csv, line 3 | photos | the photo has 10.0 MiB, at most 8 MiB is taken; left out | field"
        ]
    );
    let with_photo: Vec<_> = workers
        .values()
        .filter(|w| w.photo.is_some())
        .map(|w| w.external_id.as_str())
        .collect();
    assert_eq!(with_photo, ["1"]);
    assert_eq!(
        adapter
            .photo("1")
            .await
            .expect("a photo")
            .expect("one")
            .bytes,
        b"jpeg"
    );
    assert!(matches!(
        adapter.photo("2").await,
        Err(Error::TooLarge { .. })
    ));
    for none in ["3", "4", "../secret", "..", "/etc/hostname", ""] {
        assert_eq!(adapter.photo(none).await, Ok(None), "{none}");
    }

    let before = workers["1"].photo.clone();
    fs::write(folder.0.join("photos/1.JPG"), b"another").expect("a file");
    assert_ne!(pull(&adapter).await.0["1"].photo, before);
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_says_why() {
    let message = |folder: &Folder| {
        let adapter = folder.open();
        async move {
            adapter
                .workers(None)
                .try_collect::<Vec<_>>()
                .await
                .expect_err("no pull")
                .to_string()
        }
    };
    assert!(
        message(&Folder::new("none"))
            .await
            .starts_with("not reached: there is no workers.csv in /")
    );
    assert_eq!(
        message(&Folder::with("empty", "")).await,
        "workers.csv: the file is empty"
    );
    let utf16 = Folder::with("utf16", b"\xFF\xFEe\0");
    assert_eq!(
        message(&utf16).await,
        "workers.csv: the file is UTF-16; save it as UTF-8"
    );
    let columns = Folder::with("columns", "number,name\n1,A\n");
    assert_eq!(
        message(&columns).await,
        "workers.csv: employee_number is not among the columns"
    );
    let folder = Folder::new("directory").file("workers.csv/x", "");
    assert_eq!(
        message(&folder).await,
        "not reached: workers.csv is not a file"
    );
    let large = Folder::with("large", vec![b'x'; (64 << 20) + 1]);
    assert_eq!(
        message(&large).await,
        "workers.csv is larger than 67108864 bytes"
    );
}

#[tokio::test]
async fn many_people_come_in_pages() {
    let rows: String = (0..1_203).map(|n| format!("{n},Person {n}\n")).collect();
    let folder = Folder::with("pages", format!("employee_number,display_name\n{rows}"));
    let adapter = folder.open();
    let pages: Vec<_> = adapter.workers(None).try_collect().await.expect("a pull");
    assert_eq!(
        pages
            .iter()
            .map(|page| page.workers.len())
            .collect::<Vec<_>>(),
        [500, 500, 203]
    );
    let nobody = Folder::with("nobody", "employee_number,display_name\n");
    assert_eq!(pull(&nobody.open()).await, (BTreeMap::new(), vec![]));
}

#[tokio::test]
async fn dates_dotted_lines_stand_ins_and_vacant_posts_are_read() {
    let folder = Folder::with(
        "over-time",
        "employee_number,given_name,manager,start_date,end_date,dotted_managers,delegate,delegate_from,delegate_until\n\
         N-1,Ada,,2019-05-13,,,N-2,2026-12-01,2026-12-24\n\
         N-2,Bo,P-1,2026-12-01,2027-02-26,\"N-3; N-1,N-2\",,,\n\
         N-3,Cy,N-1,,26.02.2027,,N-1,2026-12-24,2026-12-01\n\
         N-4,Di,N-1,,,,N-1,soon,\n\
         N-5,Ed,N-1,,,,N-1,2026-12-01,never\n\
         N-6,Flo,N-1,,,,N-6,2026-12-01,\n",
    )
    .file("positions.csv", "position,title,manager\nP-1,Head of Yard,P-2\nP-2,Head of Works,N-1\n");
    let adapter = folder.open();
    let structure = adapter.units().await.expect("units");
    let posts: Vec<_> = structure
        .vacancies
        .iter()
        .map(|post| (post.external_id.as_str(), post.manager.as_deref()))
        .collect();
    assert_eq!(posts, [("P-1", Some("P-2")), ("P-2", Some("N-1"))]);

    let (workers, faults) = pull(&adapter).await;
    let day = |text: &str| Some(text.parse().expect("a day"));
    let ada = &workers["N-1"];
    assert_eq!((ada.starts_on, ada.ends_on), (day("2019-05-13"), None));
    let delegate = ada.delegate.as_ref().expect("somebody stands in");
    assert_eq!(delegate.to, "N-2");
    assert_eq!(
        (Some(delegate.from), delegate.until),
        (day("2026-12-01"), day("2026-12-24"))
    );
    let bo = &workers["N-2"];
    assert_eq!(bo.manager.as_deref(), Some("P-1"));
    assert_eq!(bo.dotted, ["N-3", "N-1"], "and not themselves");
    assert_eq!(
        (bo.starts_on, bo.ends_on),
        (day("2026-12-01"), day("2027-02-26"))
    );
    // What cannot be read is told, and nobody stands in for ever by a typing error.
    for id in ["N-3", "N-4", "N-5", "N-6"] {
        assert_eq!(workers[id].delegate, None, "{id}");
        let about = |fault: &&Fault| fault.external_id.as_deref() == Some(id);
        assert!(
            faults.iter().any(|fault| about(&fault) && !fault.left_out),
            "{id}"
        );
    }
    assert_eq!(workers["N-3"].ends_on, None);
    let last = faults
        .iter()
        .find(|fault| fault.field.as_deref() == Some("endDate"));
    assert!(
        last.expect("a bad last day is told")
            .what
            .contains("26.02.2027")
    );
}

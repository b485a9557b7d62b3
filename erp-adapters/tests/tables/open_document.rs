//! .ods files: what their cells show, and what they must not be able to do.

use domain::Attribute;

use crate::folder::{Folder, lines, read, refused, zipped};

/// A file whose first sheet is hidden and whose second, `Staff`, has these rows.
fn ods(rows: &str) -> Vec<u8> {
    let content = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"><office:automatic-styles><style:style style:name="ta1" style:family="table"><style:table-properties table:display="false"/></style:style></office:automatic-styles><office:body><office:spreadsheet><table:table table:name="Notes" table:style-name="ta1"><table:table-row><table:table-cell office:value-type="string"><text:p>id</text:p></table:table-cell></table:table-row></table:table><table:table table:name="Staff">{rows}</table:table></office:spreadsheet></office:body></office:document-content>"#
    );
    zipped(&[
        (
            "mimetype".to_owned(),
            "application/vnd.oasis.opendocument.spreadsheet".to_owned(),
        ),
        ("content.xml".to_owned(), content),
    ])
}

fn row(cells: &[&str]) -> String {
    let cell = |text: &&str| match text.strip_prefix('<') {
        Some(_) => (*text).to_owned(),
        None => format!(
            r#"<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>"#
        ),
    };
    let cells: String = cells.iter().map(cell).collect();
    format!("<table:table-row>{cells}</table:table-row>")
}

#[tokio::test]
async fn an_open_document_says_what_its_cells_show() {
    let folder = Folder::new();
    let number = r#"<table:table-cell office:value-type="float" office:value="4711"><text:p>4.711,00</text:p></table:table-cell>"#;
    let date = r#"<table:table-cell office:value-type="date" office:date-value="2019-05-13"><text:p>13.05.19</text:p></table:table-cell>"#;
    let noted = r#"<table:table-cell office:value-type="string"><office:annotation><text:p>a note</text:p></office:annotation><text:p>Head<text:s text:c="2"/>of <text:span>R&amp;D</text:span> &#8211; <text:a>Works</text:a></text:p></table:table-cell>"#;
    let wrong = r#"<table:table-cell table:formula="of:=1/0" office:value-type="string" office:string-value="" calcext:value-type="error"><text:p>#DIV/0!</text:p></table:table-cell>"#;
    let same = r#"<table:table-cell table:number-columns-repeated="2" office:value-type="string"><text:p>Bo</text:p></table:table-cell>"#;
    let wide = r#"<table:table-cell table:number-columns-spanned="2" table:number-rows-spanned="1" office:value-type="string"><text:p>Ida Holm</text:p></table:table-cell><table:covered-table-cell office:value-type="string"><text:p>hidden</text:p></table:covered-table-cell>"#;
    let rest = r#"<table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="16384"/></table:table-row>"#;
    let sheet = [
        row(&[
            "Personnel No.",
            "First name",
            "Last name",
            "Job title",
            "Hire date",
        ]),
        r#"<table:table-row table:number-rows-repeated="3"><table:table-cell/></table:table-row>"#
            .to_owned(),
        row(&[number, "Åse", "Dahl", noted, date]),
        row(&["E2", same, wrong]),
        row(&["E3", wide, "Fitter"]),
        rest.to_owned(),
    ];
    folder.put("people.ods", ods(&sheet.concat()));
    let adapter = folder.open(&[]);
    let (workers, faults) = read(adapter.as_ref()).await;
    let ids: Vec<_> = workers.iter().map(|one| one.external_id.as_str()).collect();
    assert_eq!(ids, ["4711", "E2", "E3"]);
    assert_eq!(workers[0].text(Attribute::GivenName), Some("Åse"));
    assert_eq!(
        workers[0].text(Attribute::Title),
        Some("Head of R&D – Works")
    );
    assert_eq!(workers[0].text(Attribute::StartDate), Some("2019-05-13"));
    assert_eq!(workers[1].text(Attribute::GivenName), Some("Bo"));
    assert_eq!(workers[1].text(Attribute::FamilyName), Some("Bo"));
    assert_eq!(workers[1].text(Attribute::Title), None);
    // What is merged or wrong is not read as empty.
    assert!(!workers[1].attributes.contains_key(&Attribute::Title));
    assert!(!workers[2].attributes.contains_key(&Attribute::FamilyName));
    assert_eq!(
        lines(&faults),
        [
            "people.ods, sheet Staff, row 6, column D (Job title): shows the error #DIV/0!; left out",
            "people.ods, sheet Staff, row 7, column C (Last name): belongs to the merged cells B7:C7, of which only the first has a value; take the merge off; left out",
        ]
    );
    let (workers, _) = read(folder.open(&[("sheet", "staff")]).as_ref()).await;
    assert_eq!(workers.len(), 3, "by the name of the sheet");
    let said = refused(&folder, &[("sheet", "X")]).await;
    assert!(
        said.contains("has no sheet “X”; it has Notes, Staff"),
        "{said}"
    );
}

#[tokio::test]
async fn an_open_document_cannot_take_all_memory() {
    let folder = Folder::new();
    let said = async |sheet: &str| {
        folder.put("p.ods", ods(sheet));
        refused(&folder, &[]).await
    };
    let head = row(&["id", "name"]);
    // Two hundred thousand rows of two texts of 8,000 bytes, in nine thousand bytes.
    let long = "x".repeat(8_000);
    let many = r#"<table:table-row table:number-rows-repeated="199000"><table:table-cell table:number-columns-repeated="2" office:value-type="string"><text:p>LONG</text:p></table:table-cell></table:table-row>"#;
    let told = said(&format!("{head}{}", many.replace("LONG", &long))).await;
    assert!(
        told.contains("holds more than 268435456 bytes of text"),
        "{told}"
    );
    let told = said(&format!("{head}{}", many.replace("199000", "4000000000"))).await;
    assert!(told.contains("more than 200000 rows"), "{told}");
    let told = said(&format!(
        "{head}{}",
        many.replace(r#""2""#, r#""4000000000""#)
    ))
    .await;
    assert!(told.contains("more than 256 columns"), "{told}");
    let told = said(&format!("{head}{}", many.replace("199000", "many"))).await;
    assert!(told.contains("that is no number"), "{told}");
    // Everything merged with everything, again and again.
    let merged = r#"<table:table-row table:number-rows-repeated="1000"><table:table-cell table:number-columns-spanned="256" table:number-rows-spanned="100000" office:value-type="string"><text:p>E1</text:p></table:table-cell></table:table-row>"#;
    let told = said(&format!("{head}{}", merged.repeat(100))).await;
    assert!(told.contains("too many merged cells"), "{told}");
    // Spaces that are counted are not all made.
    let spaces = row(&[
        "E1",
        r#"<table:table-cell office:value-type="string"><text:p>a<text:s text:c="4000000000"/></text:p></table:table-cell>"#,
    ]);
    folder.put("p.ods", ods(&format!("{head}{spaces}")));
    let (_, faults) = read(folder.open(&[]).as_ref()).await;
    assert!(
        lines(&faults)[0].contains("more than 8192 bytes"),
        "{faults:?}"
    );
}

#[tokio::test]
async fn an_open_document_names_no_other_file() {
    let folder = Folder::new();
    let secret = folder.put("secret.txt", "root:x:0:0");
    let sheet = row(&["id"]) + &row(&["&xxe;"]);
    folder.put("p.ods", ods(&sheet));
    let said = refused(&folder, &[("pattern", "p.ods")]).await;
    assert!(said.contains("names an entity"), "{said}");
    let entity = format!(
        r#"<!DOCTYPE x [<!ENTITY xxe SYSTEM "file://{}">]><x>&xxe;</x>"#,
        secret.display()
    );
    folder.put("p.ods", zipped(&[("content.xml".to_owned(), entity)]));
    let said = refused(&folder, &[("pattern", "p.ods")]).await;
    assert!(
        said.contains("names an entity") && !said.contains("root"),
        "{said}"
    );
    folder.put(
        "p.ods",
        zipped(&[("content.xml".to_owned(), "<a><b></a>".to_owned())]),
    );
    let said = refused(&folder, &[("pattern", "p.ods")]).await;
    assert!(said.contains("not well-formed"), "{said}");
}

/// Written by Gnumeric 1.12 and by odfpy 1.4, as their names say.
#[tokio::test]
async fn files_that_other_programs_wrote_are_read() {
    let files: [(&str, &[u8]); 3] = [
        ("gnumeric.ods", include_bytes!("files/gnumeric.ods")),
        ("gnumeric.xlsx", include_bytes!("files/gnumeric.xlsx")),
        ("odfpy.ods", include_bytes!("files/odfpy.ods")),
    ];
    for (name, bytes) in files {
        let folder = Folder::new();
        folder.put(name, bytes);
        let (workers, faults) = read(folder.open(&[]).as_ref()).await;
        assert_eq!(lines(&faults), Vec::<String>::new(), "{name}");
        let said: Vec<_> = workers
            .iter()
            .map(|one| {
                let text = |attribute| one.text(attribute).unwrap_or_default();
                let name = (text(Attribute::GivenName), text(Attribute::FamilyName));
                (one.external_id.as_str(), name, text(Attribute::StartDate))
            })
            .collect();
        let wanted = if name.starts_with("odfpy") {
            [
                ("8001", ("Réka", "Nagy & Söhne"), "2020-02-29"),
                ("8002", ("Jo", "Li"), "2024-04-01"),
            ]
        } else {
            [
                ("9001", ("Åse", "Dahl"), "2019-05-13"),
                ("9002", ("Bo", "Li"), "2020-01-01"),
            ]
        };
        assert_eq!(said, wanted, "{name}");
    }
}

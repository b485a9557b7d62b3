//! 100,000 employees from a folder of CSV, by the command that an administrator runs; against the same rows in a
//! bare table. The floor neither reads files nor correlates, decides, audits or numbers the org chart.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Result, ensure};

use crate::{
    floor::Table,
    process::{Cost, Folder, Optimus},
    report::{Measure, Report},
};

const PEOPLE: usize = 100_000;
const UNITS: usize = 2_000;
const PART: &str = "sync of 100,000 employees";

const COLUMNS: [&str; 16] = [
    "employee_number",
    "given_name",
    "family_name",
    "title",
    "email",
    "unit",
    "manager",
    "cost_centre",
    "location",
    "desk_phone",
    "mobile",
    "start_date",
    "birth_date",
    "locale",
    "timezone",
    "languages",
];
type Row = [String; COLUMNS.len()];

/// First, unchanged, and with one person of a hundred changed.
pub async fn measure(program: &Path, dir: &Path, report: &mut Report) -> Result<()> {
    let folder = Folder::new(dir, "sync")?;
    let erp = folder.0.join("erp");
    let Company { mut rows, .. } = Company::write(&erp)?;
    let optimus = Optimus::new(program, &folder.0);
    optimus.run(&["migrate"], "").await?;
    let at = format!("folder={}", erp.display());
    optimus
        .run(&["source", "add", "csv", "bench", "--set", &at], "")
        .await?;
    let mut bare = Table::create(&folder.0.join("floor.sqlite")).await?;

    let first = sync(&optimus, " 100000 came,").await?;
    let began = Instant::now();
    bare.put(&rows).await?;
    report.add_over(
        PART,
        "first; floor inserts all",
        first.took,
        began.elapsed(),
    );
    report.add(PART, "first, processor time", first.cpu);
    report.add(PART, "first, most memory", Measure::Bytes(first.peak));

    let unchanged = sync(&optimus, " 100000 unchanged,").await?;
    let began = Instant::now();
    ensure!(bare.missing(&rows).await?.is_empty(), "the floor lost rows");
    report.add_over(
        PART,
        "unchanged; floor reads all",
        unchanged.took,
        began.elapsed(),
    );

    for row in rows.iter_mut().step_by(100) {
        row[3].insert_str(0, "Senior ");
    }
    write(&erp, &rows)?;
    let changed = sync(&optimus, " 1000 changed,").await?;
    let began = Instant::now();
    let missing = bare.missing(&rows).await?;
    ensure!(
        missing.len() == PEOPLE / 100,
        "the floor found {} changes",
        missing.len()
    );
    bare.put(&missing).await?;
    report.add_over(
        PART,
        "1 % changed; floor reads all, writes 1 %",
        changed.took,
        began.elapsed(),
    );
    report.add(
        PART,
        "1 % changed, most memory",
        Measure::Bytes(changed.peak),
    );
    Ok(())
}

/// Runs the source and checks what the command says that it did.
async fn sync(optimus: &Optimus<'_>, expected: &str) -> Result<Cost> {
    let (text, cost) = optimus.run(&["sync", "bench"], "").await?;
    ensure!(text.contains(expected), "not {expected:?}: {text}");
    Ok(cost)
}

/// The folder of a company, which another run finds changed.
pub struct Company {
    folder: PathBuf,
    rows: Vec<Row>,
}

impl Company {
    /// Makes the folder.
    pub fn write(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("units.csv"), units()?)?;
        let rows = people();
        write(folder, &rows)?;
        Ok(Self {
            folder: folder.to_owned(),
            rows,
        })
    }

    /// Promotes one person of ten.
    pub fn change_a_tenth(&mut self) -> Result<()> {
        for row in self.rows.iter_mut().step_by(10) {
            row[3].insert_str(0, "Senior ");
        }
        write(&self.folder, &self.rows)
    }
}

/// Some seven levels of superiors with eight reports each.
fn people() -> Vec<Row> {
    const GIVEN: [&str; 12] = [
        "Ingrid", "Tomasz", "Ruth", "Daniel", "Aisha", "Björn", "Chiara", "Dmitri", "Eszter",
        "Fiona", "Guðrún", "Hiroshi",
    ];
    const FAMILY: [&str; 10] = [
        "Halvorsen",
        "Wierzbicki",
        "Achterberg",
        "Okafor",
        "Rahman",
        "Lindqvist",
        "Moretti",
        "Kovács",
        "Sørensen",
        "Tanaka",
    ];
    const TITLE: [&str; 6] = [
        "Welder",
        "Fitter",
        "Planner",
        "Accountant",
        "Engineer",
        "Buyer",
    ];
    let number = |i: usize| format!("E{i:06}");
    let person = |i: usize| -> Row {
        let (given, family) = (
            GIVEN[i % GIVEN.len()],
            FAMILY[i / GIVEN.len() % FAMILY.len()],
        );
        [
            number(i),
            given.into(),
            format!("{family} {i}"),
            TITLE[i % TITLE.len()].into(),
            format!("e{i:06}@bench.example"),
            format!("U{}", i % UNITS),
            if i == 0 {
                String::new()
            } else {
                number((i - 1) / 8)
            },
            format!("{} Works", 1000 + i % 90),
            ["Sheffield", "Bergen"][i % 2].into(),
            format!("+44 114 496 {:04}", i % 10_000),
            format!("+44 7700 9{:05}", i % 100_000),
            format!("20{:02}-{:02}-{:02}", i % 25, 1 + i % 12, 1 + i % 28),
            format!("19{:02}-{:02}-{:02}", 60 + i % 40, 1 + i % 12, 1 + i % 28),
            "en-GB".into(),
            "Europe/London".into(),
            "Norwegian".into(),
        ]
    };
    (0..PEOPLE).map(person).collect()
}

fn units() -> Result<String> {
    let mut text = "unit,name,parent,head\n".to_owned();
    for i in 0..UNITS {
        let parent = if i == 0 {
            String::new()
        } else {
            format!("U{}", (i - 1) / 6)
        };
        writeln!(text, "U{i},Unit {i},{parent},")?;
    }
    Ok(text)
}

fn write(erp: &Path, rows: &[Row]) -> Result<()> {
    let mut text = COLUMNS.join(",");
    for row in rows {
        text.push('\n');
        text += &row.join(",");
    }
    Ok(fs::write(erp.join("workers.csv"), text)?)
}

//! Measures a built portal from outside, through the doors that everyone has, and in the same run the least that
//! could do such work: its floor. `bin/bench` calls it.
//!
//! Everything stays on this machine, ends by count or time, and leaves nothing behind but the report.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use crate::report::Report;

mod beside;
mod chat;
mod floor;
mod http;
mod pages;
mod process;
mod report;
mod sync;

// The portal's, so that the floors have no other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures, prints a table and writes the same as JSON.
    Run(Run),
    /// Serves pages of a given size and nothing else.
    FloorPages,
    /// Serves one room: a message is in this SQLite file before anyone gets it.
    FloorChat {
        /// The file, which is made.
        file: PathBuf,
    },
}

#[derive(clap::Args)]
struct Run {
    /// The program of the portal, a release build.
    #[arg(long, env = "OPTIMUS_BIN")]
    optimus: PathBuf,
    /// A folder for data while it runs, on the disk to be measured.
    #[arg(long)]
    dir: PathBuf,
    /// Where the JSON goes.
    #[arg(long)]
    json: PathBuf,
    /// What criterion measured before, to stand in the same report.
    #[arg(long)]
    criterion: Option<PathBuf>,
    /// Which state of the code is measured, in any words.
    #[arg(long, default_value = "")]
    revision: String,
    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Pages of a signed-in person, against bare ones of the same size.
    Pages,
    /// One room of 100 members, against a bare one.
    Chat,
    /// 100,000 employees from an ERP, against the same rows in a bare table.
    Sync,
    /// Pages while 100,000 employees are synchronized, against pages beside nothing.
    Beside,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(std::io::stderr(), "bench: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        // The driver keeps to one core, so that the other ones are the server's.
        Command::Run(run) => Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(async {
                let mut terminated = signal(SignalKind::terminate())?;
                // What was started ends with the future that started it.
                tokio::select! {
                    result = measure(&run) => result,
                    _ = tokio::signal::ctrl_c() => bail!("interrupted"),
                    _ = terminated.recv() => bail!("terminated"),
                }
            }),
        Command::FloorPages => serve(floor::pages()),
        Command::FloorChat { file } => serve(floor::chat(&file)),
    }
}

/// With as many threads as the portal has.
fn serve(floor: impl Future<Output = Result<()>>) -> Result<()> {
    Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(floor)
}

async fn measure(run: &Run) -> Result<()> {
    let optimus = std::path::absolute(&run.optimus)?;
    let dir = std::path::absolute(&run.dir)?;
    let wanted = |part| run.only.is_empty() || run.only.contains(&part);
    let mut report = Report::new(&run.revision)?;
    if let Some(folder) = &run.criterion {
        report.add_criterion(folder)?;
    }
    if wanted(Part::Pages) {
        say("pages …")?;
        pages::measure(&optimus, &dir, &mut report)
            .await
            .context("pages")?;
    }
    if wanted(Part::Chat) {
        say("chat …")?;
        chat::measure(&optimus, &dir, &mut report)
            .await
            .context("chat")?;
    }
    if wanted(Part::Sync) {
        say("sync …")?;
        sync::measure(&optimus, &dir, &mut report)
            .await
            .context("sync")?;
    }
    if wanted(Part::Beside) {
        say("pages beside a sync …")?;
        beside::measure(&optimus, &dir, &mut report)
            .await
            .context("pages beside a sync")?;
    }
    std::fs::write(&run.json, serde_json::to_vec_pretty(&report)?)
        .with_context(|| format!("writing {}", run.json.display()))?;
    say(&format!(
        "\n{report}\nThe same as JSON: {}",
        run.json.display()
    ))
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

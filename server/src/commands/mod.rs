//! What the program does when it is called. `anyhow` is for here alone.

use std::{
    fmt::Display,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use serde::Serialize;
use store::account::Cost;

use crate::{
    clock,
    config::Config,
    serve::{self, Opened},
};

mod admin;
mod audit;
mod demo;
mod doctor;
mod migrate;
mod seed;
mod serving;
mod source;
mod sync;

/// OPTIMUS: a social portal of an organization, on top of its ERP.
#[derive(Parser)]
#[command(name = "optimus", version, propagate_version = true)]
struct Cli {
    /// The configuration; optimus.toml of this folder if there is one. OPTIMUS_* overrule it.
    #[arg(long, global = true, env = "OPTIMUS_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON document on standard output and nothing else.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the portal.
    Serve(serving::Args),
    /// Brings the database's shape up to date.
    Migrate,
    /// Administrators.
    #[command(subcommand)]
    Admin(admin::Command),
    /// The demo company.
    #[command(subcommand)]
    Demo(demo::Command),
    /// Reads a generated company, for load.
    Seed(seed::Args),
    /// Connections to ERP systems.
    #[command(subcommand)]
    Source(source::Command),
    /// Reads a source.
    Sync(sync::Args),
    /// The audit log.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Looks whether everything is as it should be.
    Doctor,
}

/// Where a command's answer goes: text for people, or one JSON document.
#[derive(Debug, Clone, Copy)]
struct Answer {
    json: bool,
}

impl Answer {
    /// Answers with `value`, or with `text` for people.
    fn give(self, value: &impl Serialize, text: impl Display) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, value)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{text}")?;
        }
        Ok(out.flush()?)
    }
}

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let answer = Answer { json: cli.json };
    let done = Config::load(cli.config.as_deref(), std::env::vars())
        .map_err(anyhow::Error::from)
        .and_then(|config| {
            log(&config.log)?;
            tokio::runtime::Runtime::new()?.block_on(run(cli.command, &config, answer))
        });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let text = format!("{error:#}");
            if answer.json {
                answer.give(&serde_json::json!({ "error": text }), "").ok();
            }
            writeln!(io::stderr(), "optimus: {text}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Answers whether all went well, where that is not an error.
async fn run(command: Command, config: &Config, answer: Answer) -> anyhow::Result<bool> {
    // The commands' futures are large and few.
    match command {
        Command::Serve(args) => Box::pin(serving::run(args, config, answer)).await,
        Command::Migrate => Box::pin(migrate::run(config, answer)).await,
        Command::Admin(command) => Box::pin(admin::run(command, config, answer)).await,
        Command::Demo(command) => Box::pin(demo::run(command, config, answer)).await,
        Command::Seed(args) => Box::pin(seed::run(args, config, answer)).await,
        Command::Source(command) => Box::pin(source::run(command, config, answer)).await,
        Command::Sync(args) => Box::pin(sync::run(args, config, answer)).await,
        Command::Audit(command) => Box::pin(audit::run(command, config, answer)).await,
        Command::Doctor => Box::pin(doctor::run(config, answer)).await,
    }
}

/// Logs to standard error: standard output is for answers.
fn log(directives: &str) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(directives).context("OPTIMUS_LOG")?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .init();
    Ok(())
}

async fn open(config: &Config) -> anyhow::Result<Opened> {
    serve::open(config, clock::env(&config.data_dir), Cost::Calibrated).await
}

/// What the person in front of the terminal asks for, on the machine's own authority.
const fn system() -> domain::Viewer {
    domain::Viewer::system("command")
}

/// A verb's failure in the words that people read everywhere else.
fn in_words(error: store::Error) -> anyhow::Error {
    match &error {
        store::Error::Db(_) | store::Error::Internal(_) => error.into(),
        _ => {
            let problem = app::edge::Problem::from(&error);
            anyhow::anyhow!("{}", app::words::problem(&problem).1)
        }
    }
}

/// Everything on standard input, without the line's end.
fn standard_input() -> anyhow::Result<String> {
    let text = io::read_to_string(io::stdin()).context("standard input cannot be read")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

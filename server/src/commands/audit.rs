use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Subcommand;

use super::{Answer, open, system};
use crate::config::Config;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Reads the whole log and looks whether it is as it was written.
    Verify {
        /// An exported log; without it, the database's, held against the checkpoints beside it too.
        file: Option<PathBuf>,
    },
}

pub(super) async fn run(command: Command, config: &Config, answer: Answer) -> anyhow::Result<bool> {
    let Command::Verify { file } = command;
    let outcome = if let Some(path) = file {
        let file =
            File::open(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        store::audit::verify_export(BufReader::new(file).lines())
            .with_context(|| format!("{} is no exported log", path.display()))?
    } else {
        let opened = open(config).await?;
        let outside = opened.data_dir.kept_checkpoints()?;
        opened.store.verify_audit(&system(), outside).await?
    };
    let text = match &outcome.broken {
        None => format!(
            "The log is whole: {} entries, held against {} signed checkpoints. Head {}.",
            outcome.entries, outcome.checkpoints, outcome.head
        ),
        Some(broken) => format!("The log is broken. {}", app::words::broken(broken)),
    };
    answer.give(&outcome, text)?;
    Ok(outcome.ok)
}

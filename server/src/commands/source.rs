use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use store::source::Source;

use super::{Answer, in_words, open, standard_input, system};
use crate::{config::Config, jobs};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Connects a source. Nothing is read yet.
    Add {
        /// `csv` or `odoo`.
        kind: String,
        /// The name that people will know it by.
        name: String,
        /// A setting. csv: folder. odoo: url, database, api_key, number_field.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        settings: Vec<String>,
        /// Read this setting from standard input: others could see a secret in a command line.
        #[arg(long, value_name = "KEY")]
        set_stdin: Option<String>,
    },
    /// Lists the sources.
    List,
}

pub(super) async fn run(command: Command, config: &Config, answer: Answer) -> anyhow::Result<bool> {
    match command {
        Command::Add {
            kind,
            name,
            settings,
            set_stdin,
        } => {
            let mut all = BTreeMap::new();
            for setting in settings {
                let (key, value) = setting.split_once('=').context("--set takes KEY=VALUE")?;
                let before = all.insert(key.trim().to_owned(), value.to_owned());
                ensure!(before.is_none(), "{key} is set twice");
            }
            if let Some(key) = set_stdin {
                all.insert(key, standard_input()?);
            }
            let new =
                jobs::new_source(&system(), &kind, &name, all, &config.guard).map_err(in_words)?;
            let source = open(config)
                .await?
                .store
                .add_source(&system(), new)
                .await
                .map_err(in_words)?;
            answer.give(
                &source,
                format!("{name} is connected. Read it with: optimus sync {name:?}"),
            )?;
        }
        Command::List => {
            let sources = open(config).await?.store.sources(&system()).await?;
            answer.give(&sources, text(&sources))?;
        }
    }
    Ok(true)
}

fn text(sources: &[Source]) -> String {
    let mut text = String::new();
    for source in sources {
        let read = source.last_read_at.map_or("never read".into(), |at| {
            format!("read {}", at.format("%Y-%m-%d %H:%M UTC"))
        });
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} ({}): {} people, {read}",
            source.name, source.kind, source.people
        );
    }
    if text.is_empty() {
        "No source is connected yet.".into()
    } else {
        text.trim_end().into()
    }
}

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use serde::Serialize;
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

/// A source that sends its people by itself, with what it needs for that.
#[derive(Serialize)]
struct Pushed {
    #[serde(flatten)]
    source: Source,
    url: String,
    token: String,
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
            let store = open(config).await?.store;
            let source = store.add_source(&system(), new).await.map_err(in_words)?;
            if kind == store::scim::KIND {
                let token = store
                    .renew_scim_token(&system(), source.id)
                    .await
                    .map_err(in_words)?;
                let listen = || format!("http://{}", config.listen);
                let portal = config.public_url.clone().unwrap_or_else(listen);
                let url = format!("{portal}/scim/v2");
                let text = format!(
                    "{name} is connected. Give its client this address and this token, which is told this once:\n{url}\n{token}"
                );
                answer.give(&Pushed { source, url, token }, text)?;
            } else {
                let text = format!("{name} is connected. Read it with: optimus sync {name:?}");
                answer.give(&source, text)?;
            }
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

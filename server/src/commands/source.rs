use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use domain::sync::Limits;
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
        /// A setting. csv: folder. odoo: url, database, api_key, number_field. For every kind `limit.leavers`,
        /// `limit.joiners`, … in percent, and `limit.four_eyes`: how much a run may do before it asks.
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
            let limits = limits(&mut all)?;
            let new =
                jobs::new_source(&system(), &kind, &name, all, &config.guard).map_err(in_words)?;
            let store = open(config).await?.store;
            let mut source = store.add_source(&system(), new).await.map_err(in_words)?;
            if let Some(limits) = limits {
                let set = store.set_limits(&system(), source.id, limits).await;
                source = set.map_err(in_words)?;
            }
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

/// Takes the limits out of the settings: `limit.leavers=20`, `limit.four_eyes=true`.
fn limits(settings: &mut BTreeMap<String, String>) -> anyhow::Result<Option<Limits>> {
    let mut given = serde_json::Map::new();
    settings.retain(|key, value| {
        let Some(name) = key.strip_prefix("limit.") else {
            return true;
        };
        let said = serde_json::from_str(value).unwrap_or_else(|_| value.as_str().into());
        given.insert(name.to_owned(), said);
        false
    });
    if given.is_empty() {
        return Ok(None);
    }
    let known = serde_json::to_value(Limits::default())?;
    for name in given.keys() {
        ensure!(
            known.get(name).is_some(),
            "there is no limit {name:?}; the limits are those of {known}"
        );
    }
    let limits = serde_json::from_value(given.into());
    limits.context("a limit is a share in percent; limit.four_eyes is true or false")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        of.iter().map(owned).collect()
    }

    #[test]
    fn limits_are_taken_out_of_the_settings() {
        let mut all = settings(&[
            ("folder", "/data"),
            ("limit.leavers", "20"),
            ("limit.four_eyes", "true"),
        ]);
        let limits = limits(&mut all).unwrap().unwrap();
        assert_eq!((limits.leavers, limits.four_eyes), (20, true));
        assert_eq!(limits.joiners, Limits::default().joiners);
        assert_eq!(all, settings(&[("folder", "/data")]));
        assert_eq!(super::limits(&mut all).unwrap(), None);
    }

    #[test]
    fn a_limit_that_is_none_is_refused() {
        for (key, value) in [("limit.shoes", "1"), ("limit.leavers", "many")] {
            assert!(limits(&mut settings(&[(key, value)])).is_err(), "{key}");
        }
    }
}

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Subcommand;
use serde::Serialize;
use store::audit::{ExportLine, Verification};

use super::{Answer, open, system};
use crate::{config::Config, data_dir::DataDir};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Reads the whole log and looks whether it is as it was written.
    Verify {
        /// An exported log; without it, the database's, held against the checkpoints beside it too.
        file: Option<PathBuf>,
    },
}

/// What a verification came to.
#[derive(Serialize)]
struct Outcome {
    #[serde(flatten)]
    verification: Verification,
    /// Whether this portal's key signed it; none where there is no key to compare with.
    own_key: Option<bool>,
}

pub(super) async fn run(command: Command, config: &Config, answer: Answer) -> anyhow::Result<bool> {
    let Command::Verify { file } = command;
    let outcome = match file {
        Some(path) => exported(&path, config)
            .with_context(|| format!("{} is no exported log", path.display()))?,
        None => {
            let opened = open(config).await?;
            let outside = opened.data_dir.kept_checkpoints()?;
            let verification = opened.store.verify_audit(&system(), outside).await?;
            Outcome {
                verification,
                own_key: Some(true),
            }
        }
    };
    let Outcome {
        verification,
        own_key,
    } = &outcome;
    let ok = verification.ok && *own_key != Some(false);
    let text = match &verification.broken {
        Some(broken) => format!("The log is broken. {}", app::words::broken(broken)),
        None if !ok => "The log is whole, but it was signed by the key of another portal.".into(),
        None => format!(
            "The log is whole: {} entries, held against {} signed checkpoints. Head {}.",
            verification.entries, verification.checkpoints, verification.head
        ),
    };
    answer.give(&outcome, text)?;
    Ok(ok)
}

/// An export names its key itself, so whoever writes one anew can sign it: the key is held against ours.
fn exported(path: &Path, config: &Config) -> anyhow::Result<Outcome> {
    let lines = || Ok::<_, std::io::Error>(BufReader::new(File::open(path)?).lines());
    let verification = store::audit::verify_export(lines()?)?;
    let named = lines()?
        .map_while(Result::ok)
        .find_map(|line| match serde_json::from_str(&line) {
            Ok(ExportLine::Key { public_key }) => Some(public_key),
            _ => None,
        });
    let own = DataDir::audit_public_key(&config.data_dir);
    Ok(Outcome {
        verification,
        own_key: own.map(|own| named == Some(own)),
    })
}

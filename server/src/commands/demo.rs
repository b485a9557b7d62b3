use std::fmt::Write as _;

use clap::Subcommand;

use super::{Answer, open};
use crate::{config::Config, demo};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Lists who can sign in to the demo, with passwords.
    Cast,
}

pub(super) async fn run(command: Command, config: &Config, answer: Answer) -> anyhow::Result<bool> {
    let Command::Cast = command;
    let cast = demo::cast(&open(config).await?.store).await?;
    let mut text = String::new();
    for member in &cast {
        let title = member.title.as_deref().unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<20} {}  {}, {title}",
            member.login, member.password, member.name
        );
    }
    answer.give(&cast, text.trim_end())?;
    Ok(true)
}

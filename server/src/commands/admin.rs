use anyhow::ensure;
use clap::Subcommand;
use domain::{Role, Roles};
use serde_json::json;
use store::account::NewAccount;

use super::{Answer, in_words, open, standard_input, system};
use crate::config::Config;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Makes an administrator, who gives others their roles in the console.
    Create {
        /// The name to sign in with: 2 to 64 of a-z 0-9 . _ - @
        #[arg(long)]
        login: String,
        /// The name that others see.
        #[arg(long)]
        name: String,
        /// Read the password from standard input: others could see it in a command line.
        #[arg(long, required = true)]
        password_stdin: bool,
    },
}

pub(super) async fn run(command: Command, config: &Config, answer: Answer) -> anyhow::Result<bool> {
    let Command::Create {
        login,
        name,
        password_stdin,
    } = command;
    ensure!(password_stdin, "give the password with --password-stdin");
    let password = standard_input()?;
    let roles = Roles::EMPLOYEE
        .with(Role::SystemAdministrator)
        .with(Role::PolicyAdministrator);
    let account = NewAccount {
        login: login.clone(),
        name,
        password,
        roles,
        employee: None,
    };
    let id = open(config)
        .await?
        .store
        .create_account(&system(), account)
        .await
        .map_err(in_words)?;
    let text = format!("{login} can sign in, as {roles}.");
    answer.give(
        &json!({ "login": login, "employee_id": id, "roles": roles }),
        text,
    )?;
    Ok(true)
}

use std::{collections::BTreeMap, time::Instant};

use anyhow::Context as _;
use clap::Args as Arguments;
use domain::Roles;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use store::{account::NewAccount, people::DirectoryQuery, run::Phase, source::NewSource};

use super::{Answer, in_words, open, system};
use crate::{config::Config, jobs::Driver, seed};

#[derive(Arguments)]
pub(super) struct Args {
    /// How many people.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    employees: u32,
    /// How many percent of them have another title than with 0.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    changed: u8,
    /// How many of them can sign in.
    #[arg(long, default_value_t = 0)]
    accounts: u32,
}

pub(super) async fn run(args: Args, config: &Config, answer: Answer) -> anyhow::Result<bool> {
    let opened = open(config).await?;
    let store = &opened.store;
    let folder = opened.data_dir.path().join("generated");
    seed::write_to(&folder, args.employees as usize, args.changed)
        .with_context(|| format!("{} cannot be written", folder.display()))?;
    let known = store
        .sources(&system())
        .await?
        .into_iter()
        .find(|source| source.name == seed::SOURCE);
    let source = match known {
        Some(source) => source,
        None => {
            let settings = BTreeMap::from([("folder".to_owned(), folder.display().to_string())]);
            let new = NewSource {
                kind: "csv".into(),
                name: seed::SOURCE.into(),
                settings,
                secrets: BTreeMap::new(),
            };
            store.add_source(&system(), new).await.map_err(in_words)?
        }
    };

    let began = Instant::now();
    let run = store
        .begin_run(&system(), source.id, false)
        .await
        .map_err(in_words)?;
    Driver::new(store.clone(), config.guard.clone())
        .drive(run.id)
        .await;
    let seconds = began.elapsed().as_secs_f64();
    let run = store.run(&system(), run.id).await?;
    let done = run.phase == Phase::Done;

    let accounts = (args.accounts.min(args.employees)) as usize;
    if done {
        let viewer = system();
        stream::iter(0..accounts)
            .map(|at| account(store, &viewer, at))
            .buffer_unordered(8)
            .try_collect::<()>()
            .await?;
    }
    let text = format!(
        "{} people read in {seconds:.2} s: {} came, {} changed, {} left. {}",
        run.totals.read,
        run.totals.joiners,
        run.totals.changed + run.totals.movers,
        run.totals.leavers,
        run.error_text.as_deref().unwrap_or_default(),
    );
    let value = json!({
        "seconds": seconds, "phase": run.phase, "totals": run.totals, "error": run.error,
        "logins": (0..accounts).map(seed::login).collect::<Vec<_>>(), "password": seed::PASSWORD,
    });
    answer.give(&value, text.trim_end())?;
    Ok(done)
}

/// Gives one of the generated people a login, unless they have it.
async fn account(store: &store::Store, viewer: &domain::Viewer, at: usize) -> anyhow::Result<()> {
    let login = seed::login(at);
    let query = DirectoryQuery {
        q: login.clone(),
        ..DirectoryQuery::default()
    };
    let found = store.directory(viewer, &query).await?.page.items;
    let person = found
        .into_iter()
        .next()
        .with_context(|| format!("{login} is not there"))?;
    let account = NewAccount {
        login,
        name: person.display_name,
        password: seed::PASSWORD.into(),
        roles: Roles::EMPLOYEE,
        employee: Some(person.id),
    };
    match store.create_account(viewer, account).await {
        Ok(_) | Err(store::Error::Conflict(_)) => Ok(()),
        Err(error) => Err(in_words(error)),
    }
}

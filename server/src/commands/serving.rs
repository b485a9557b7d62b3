use std::fmt::Write as _;

use clap::Args as Arguments;
use serde::Serialize;
use store::account::Cost;
use tokio::signal::unix::{SignalKind, signal};

use super::Answer;
use crate::{
    config::Config,
    demo::{self, Member},
    serve::{self, Start},
};

#[derive(Arguments)]
pub(super) struct Args {
    /// Serve Northwind Forge, a made-up company whose passwords everybody knows.
    #[arg(long)]
    demo: bool,
}

#[derive(Serialize)]
struct Serving {
    url: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cast: Vec<Member>,
}

pub(super) async fn run(args: Args, config: &Config, answer: Answer) -> anyhow::Result<bool> {
    // Before the portal opens: a signal that comes early has to be obeyed as well.
    let mut signals = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
        SignalKind::quit(),
    ]
    .into_iter()
    .map(signal)
    .collect::<Result<Vec<_>, _>>()?;
    let mut stopped = Box::pin(futures::future::select_all(
        signals.iter_mut().map(|signal| Box::pin(signal.recv())),
    ));

    let mut running = tokio::select! {
        running = serve::start(config, Start { demo: args.demo, cost: Cost::Calibrated }) => running?,
        _ = &mut stopped => return Ok(true),
    };
    let cast = if args.demo {
        demo::cast(&running.server.portal.store).await?
    } else {
        Vec::new()
    };
    let text = text(&running.url(), &cast);
    answer.give(
        &Serving {
            url: running.url(),
            cast,
        },
        text,
    )?;
    tokio::select! {
        ended = running.broke_off() => ended?,
        _ = stopped => {}
    }
    tracing::info!("stopping");
    running.stop().await?;
    Ok(true)
}

fn text(url: &str, cast: &[Member]) -> String {
    let mut text = format!("OPTIMUS serves at {url}");
    if let Some(first) = cast.first() {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\nSign in as any of these with the password {}\n",
            first.password
        );
        for member in cast {
            let title = member.title.as_deref().unwrap_or_default();
            let roles: Vec<_> = member
                .roles
                .iter()
                .skip(1)
                .map(domain::Role::name)
                .collect();
            let _ = write!(text, "\n  {:<20} {}, {title}", member.login, member.name);
            if !roles.is_empty() {
                let _ = write!(text, " ({})", roles.join(", "));
            }
        }
    }
    text
}

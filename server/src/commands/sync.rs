use anyhow::Context as _;
use clap::Args as Arguments;
use serde_json::json;
use store::run::{Phase, Run, RunFinding};

use super::{Answer, in_words, open, system};
use crate::{config::Config, jobs::Driver};

#[derive(Arguments)]
pub(super) struct Args {
    /// The source's name.
    name: String,
    /// Only look: plan, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: Args, config: &Config, answer: Answer) -> anyhow::Result<bool> {
    let store = open(config).await?.store;
    let sources = store.sources(&system()).await?;
    let names: Vec<_> = sources.iter().map(|source| source.name.clone()).collect();
    let source = sources
        .into_iter()
        .find(|source| source.name == args.name)
        .with_context(|| {
            format!(
                "there is no source {:?}; there are: {}",
                args.name,
                names.join(", ")
            )
        })?;
    let run = store
        .begin_run(&system(), source.id, args.dry_run)
        .await
        .map_err(in_words)?;
    Driver::new(store.clone(), config.guard.clone())
        .drive(run.id)
        .await;
    let mut run = store.run(&system(), run.id).await?;
    let steps = store.run_steps(&system(), run.id, None, None).await?;
    let findings = store.run_findings(&system(), run.id).await?;
    if run.phase == Phase::Waiting {
        // Its plan lives in this process, so nobody could let it go on later.
        let why = (run.error.take(), run.error_text.take());
        run = store
            .cancel_run(&system(), run.id)
            .await
            .map_err(in_words)?;
        (run.error, run.error_text) = why;
    }
    let done = run.phase == Phase::Done;
    let text = text(&run, &findings);
    answer.give(
        &json!({ "run": run, "steps": steps, "findings": findings }),
        text,
    )?;
    Ok(done)
}

fn text(run: &Run, findings: &[RunFinding]) -> String {
    let totals = &run.totals;
    let mut text = format!(
        "{}: {} read, {} unchanged, {} came, {} came back, {} moved, {} changed, {} left, {} undecided, {} faults.",
        run.source_name,
        totals.read,
        totals.unchanged,
        totals.joiners,
        totals.returners,
        totals.movers,
        totals.changed,
        totals.leavers,
        totals.undecided,
        totals.faults,
    );
    for (what, pulled) in [("Clients", totals.clients), ("Tickets", totals.tickets)] {
        if pulled.read + pulled.gone > 0 {
            text += &format!(
                "\n  {what}: {} read, {} new, {} changed, {} gone.",
                pulled.read, pulled.new, pulled.changed, pulled.gone
            );
        }
    }
    for finding in findings {
        text += &match finding {
            RunFinding::Fault(fault) => {
                format!(
                    "\n  {}: {}{}",
                    fault.place,
                    fault
                        .field
                        .as_ref()
                        .map_or(String::new(), |field| format!("{field}: ")),
                    fault.what
                )
            }
            RunFinding::Vacancy(vacancy) => {
                format!("\n  Vacant post {}: {}", vacancy.external_id, vacancy.title)
            }
            RunFinding::Doubt(doubt) => format!("\n  {doubt}"),
            RunFinding::NotUndone(left) => {
                let what = left.what.map_or("", |what| what.name());
                format!("\n  {} {what} stays: {}", left.name, left.why)
            }
        };
    }
    if run.dry_run {
        text += "\nThis was a dry run: nothing was written.";
    }
    match (&run.error_text, run.phase) {
        (Some(error), _) => text += &format!("\nNot done: {error}"),
        (None, Phase::Done) => {}
        (None, phase) => text += &format!("\nNot done: the run is {phase:?}."),
    }
    text
}

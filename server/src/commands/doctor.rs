use std::fmt::Write as _;

use serde::Serialize;

use super::{Answer, open, system};
use crate::{config::Config, http};

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    note: String,
}

pub(super) async fn run(config: &Config, answer: Answer) -> anyhow::Result<bool> {
    let findings = look(config).await;
    let ok = findings.iter().all(|finding| finding.ok);
    let mut text = String::new();
    for Finding { what, ok, note } in &findings {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{}  {what}: {note}",
            if *ok { "well " } else { "wrong" }
        );
    }
    answer.give(
        &serde_json::json!({ "ok": ok, "findings": findings }),
        text.trim_end(),
    )?;
    Ok(ok)
}

async fn look(config: &Config) -> Vec<Finding> {
    let well = |what, note: String| Finding {
        what,
        ok: true,
        note,
    };
    let wrong = |what, note: String| Finding {
        what,
        ok: false,
        note,
    };
    let mut findings = vec![match http::missing_assets() {
        missing if missing.is_empty() => {
            well("style and client", format!("build {}", http::version()))
        }
        missing => wrong(
            "style and client",
            format!("{} not built; bin/run builds them", missing.join(", ")),
        ),
    }];
    let opened = match open(config).await {
        Ok(opened) => opened,
        Err(error) => {
            findings.push(wrong("data folder and database", format!("{error:#}")));
            return findings;
        }
    };
    findings.push(well(
        "data folder",
        opened.data_dir.path().display().to_string(),
    ));
    let snapshot = opened.store.chart();
    findings.push(well(
        "database",
        format!("{} people work here", snapshot.chart.len()),
    ));
    findings.push(well(
        "organization",
        format!("{} findings in the chart", snapshot.findings.len()),
    ));
    findings.push(match opened.store.sources(&system()).await {
        Ok(sources) => well("sources", format!("{} connected", sources.len())),
        Err(error) => wrong("sources", error.to_string()),
    });
    let verified = match opened.data_dir.kept_checkpoints() {
        Ok(outside) => opened
            .store
            .verify_audit(&system(), outside)
            .await
            .map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    findings.push(match verified {
        Ok(outcome) => match outcome.broken {
            None => well("audit log", format!("{} entries, whole", outcome.entries)),
            Some(broken) => wrong("audit log", app::words::broken(&broken)),
        },
        Err(error) => wrong("audit log", format!("{error:#}")),
    });
    findings
}

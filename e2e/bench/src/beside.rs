//! Pages while a source of 100,000 people is read in the same process, against the same pages while nothing else
//! happens. They are asked for at a steady pace, as people do, and not as fast as they come.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep};

use crate::{
    http::Client,
    pages::{ordinary, sign_in},
    process::{Folder, Optimus, Server},
    report::{Measure, Report, percentile},
    sync,
};

const PART: &str = "pages at 100/s while 100,000 people are synchronized";
const CONNECTIONS: u32 = 4;
/// How often each connection asks.
const PACE: Duration = Duration::from_millis(40);
/// How long nothing else happens.
const IDLE: Duration = Duration::from_secs(8);
const PAGES: [&str; 2] = ["/", "/people"];

/// A first load, and one with a tenth of the people changed.
pub async fn measure(program: &Path, dir: &Path, report: &mut Report) -> Result<()> {
    let folder = Folder::new(dir, "beside")?;
    let erp = folder.0.join("erp");
    let mut company = sync::Company::write(&erp)?;
    let optimus = Optimus::new(program, &folder.0);
    let server = optimus.serve(&["--demo"]).await?;
    let (cast, _) = optimus.run(&["demo", "cast", "--json"], "").await?;
    let cast: Vec<Value> = serde_json::from_str(&cast)?;
    let viewer = cast
        .iter()
        .rfind(ordinary)
        .context("nobody is a mere employee")?;
    let administrates = |member: &&Value| {
        let mut roles = member["roles"].as_array().into_iter().flatten();
        roles.any(|role| role == "system_administrator")
    };
    let admin = cast
        .iter()
        .find(administrates)
        .context("nobody administrates")?;
    let cookie = sign_in(&server, viewer).await?;
    let mut client = Client::open(&server.address).await?;
    let credentials = json!({ "login": admin["login"], "password": admin["password"] });
    let token = client.post_json("/api/v1/tokens", "", &credentials).await?;
    let token = token["access_token"].as_str().context("no token")?;
    let source = json!({ "kind": "csv", "name": "bench", "settings": { "folder": erp } });
    let source = client.post_json("/api/v1/sources", token, &source).await?;
    let source = source["id"].as_str().context("no id of the source")?;

    for what in ["first load", "a tenth changed"] {
        let mut idle = asked(&server, &cookie, async {
            sleep(IDLE).await;
            Ok(())
        })
        .await?;
        let begun = Instant::now();
        let mut busy = asked(&server, &cookie, run(&server, token, source)).await?;
        let took = begun.elapsed();
        for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
            let (busy, idle) = (percentile(&mut busy, share), percentile(&mut idle, share));
            report.add_over(PART, format!("{what}, {name}; beside nothing"), busy, idle);
        }
        report.add(PART, format!("{what}, the run"), Measure::from(took));
        company.change_a_tenth()?;
    }
    server.stop().await
}

/// Runs the source to its end.
async fn run(server: &Server, token: &str, source: &str) -> Result<()> {
    let mut client = Client::open(&server.address).await?;
    let path = format!("/api/v1/sources/{source}/runs");
    let run = client.post_json(&path, token, &json!({})).await?;
    let path = format!("/api/v1/runs/{}", run["id"].as_str().context("no run")?);
    loop {
        sleep(Duration::from_millis(200)).await;
        let run = client.get_json(&path, token).await?;
        match run["phase"].as_str() {
            Some("done") => return Ok(()),
            Some("reading" | "planning" | "applying") => {}
            other => ensure!(false, "the run is {other:?}: {}", run["error_text"]),
        }
    }
}

/// The microseconds that each answer took from the moment at which it was due to be asked for, while `other` happens.
async fn asked(
    server: &Server,
    cookie: &str,
    other: impl Future<Output = Result<()>>,
) -> Result<Vec<u32>> {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let one = async |n: u32| -> Result<Vec<u32>> {
        let mut client = Client::open(&server.address).await?;
        let mut due = interval(PACE);
        sleep(PACE / CONNECTIONS * n).await;
        let mut micros = Vec::new();
        for path in PAGES.iter().cycle() {
            let asked = due.tick().await;
            if *stopped.borrow() {
                break;
            }
            let answer = client.get(path, &[("cookie", cookie)]).await?;
            ensure!(answer.status == 200, "{path} answered {}", answer.status);
            micros.push(u32::try_from(asked.elapsed().as_micros())?);
        }
        Ok(micros)
    };
    let asking = try_join_all((0..CONNECTIONS).map(one));
    let other = async {
        let result = other.await;
        stop.send(true)?;
        result
    };
    let (micros, ()) = tokio::try_join!(asking, other)?;
    Ok(micros.concat())
}

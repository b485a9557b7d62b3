//! Pages of a signed-in person, asked for over and over, against bare ones of the same size.

use std::{
    ffi::OsStr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use serde_json::Value;

use crate::{
    http::Client,
    process::{Folder, Optimus, Server},
    report::{Measure, Report, percentile},
};

const CONNECTIONS: usize = 8;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(6);

/// The demo company's start page, directory, and a profile.
pub async fn measure(program: &Path, dir: &Path, report: &mut Report) -> Result<()> {
    let folder = Folder::new(dir, "pages")?;
    let optimus = Optimus::new(program, &folder.0);
    let server = optimus.serve(&["--demo"]).await?;
    let (cast, _) = optimus.run(&["demo", "cast", "--json"], "").await?;
    let cast: Vec<Value> = serde_json::from_str(&cast)?;
    let viewer = cast
        .iter()
        .rfind(ordinary)
        .context("nobody in the cast is a mere employee")?;
    let other = cast
        .first()
        .and_then(|member| member["employee_id"].as_str())
        .context("no employee_id in the cast")?;
    let cookie = sign_in(&server, viewer).await?;

    let floor = Server::floor(&[OsStr::new("floor-pages")]).await?;
    let pages = [
        ("start page", "/".to_owned()),
        ("directory", "/people".into()),
        ("a profile", format!("/people/{other}")),
    ];
    for (name, path) in pages {
        let ours = hammer(&server, &path, Some(&cookie)).await?;
        let bare = hammer(&floor, &format!("/{}", ours.bytes), None).await?;
        let name = format!("{name}, {} bytes", ours.bytes);
        report.add_over("pages, 8 connections", &name, ours.rate, bare.rate);
        report.add_over(
            "pages, 8 connections",
            format!("{name}, per CPU s"),
            ours.rate_of_cpu,
            bare.rate_of_cpu,
        );
        report.add_over(
            "pages, 8 connections",
            format!("{name}, p99"),
            ours.p99,
            bare.p99,
        );
    }
    report.add(
        "pages, 8 connections",
        "memory after",
        Measure::Bytes(server.usage()?.memory),
    );
    floor.stop().await?;
    server.stop().await
}

/// What HR and superiors see besides would write into the audit log.
pub fn ordinary(member: &&Value) -> bool {
    member["roles"]
        .as_array()
        .is_some_and(|roles| roles.len() == 1)
}

/// Signs in as a browser does and answers with the cookie.
pub async fn sign_in(server: &Server, member: &Value) -> Result<String> {
    let text = |name: &str| {
        member[name]
            .as_str()
            .map(escaped)
            .with_context(|| format!("no {name} in the cast"))
    };
    let form = format!(
        "login={}&password={}&next=%2F",
        text("login")?,
        text("password")?
    );
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = Client::open(&server.address)
        .await?
        .request("POST", "/sign-in", &headers, &form)
        .await?;
    let cookies: Vec<_> = answer
        .headers("set-cookie")
        .filter_map(|cookie| cookie.split(';').next())
        .collect();
    let entered = answer.status == 303 && answer.headers("location").any(|place| place == "/");
    ensure!(
        entered && !cookies.is_empty(),
        "signing in answered {}",
        answer.status
    );
    Ok(cookies.join("; "))
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

struct Hammered {
    bytes: usize,
    rate: Measure,
    rate_of_cpu: Measure,
    p99: Measure,
}

/// Asks for one page over several connections, each as soon as it has its answer.
async fn hammer(server: &Server, path: &str, cookie: Option<&str>) -> Result<Hammered> {
    let page = Client::open(&server.address)
        .await?
        .get(
            path,
            &cookie
                .map(|cookie| ("cookie", cookie))
                .into_iter()
                .collect::<Vec<_>>(),
        )
        .await?;
    ensure!(page.status == 200, "{path} answered {}", page.status);
    ask(server, path, cookie, WARM_UP).await?;
    let (before, began) = (server.usage()?.cpu, Instant::now());
    let mut micros = ask(server, path, cookie, MEASURED).await?;
    let (took, cpu) = (began.elapsed(), server.usage()?.cpu.saturating_sub(before));
    let asked = micros.len() as f64;
    Ok(Hammered {
        bytes: page.body.len(),
        rate: Measure::PerSecond(asked / took.as_secs_f64()),
        rate_of_cpu: Measure::PerCpuSecond(asked / cpu.as_secs_f64()),
        p99: percentile(&mut micros, 0.99),
    })
}

/// The microseconds that each answer took.
async fn ask(
    server: &Server,
    path: &str,
    cookie: Option<&str>,
    how_long: Duration,
) -> Result<Vec<u32>> {
    let began = Instant::now();
    let one = async || -> Result<Vec<u32>> {
        let headers: Vec<_> = cookie
            .map(|cookie| ("cookie", cookie))
            .into_iter()
            .collect();
        let mut client = Client::open(&server.address).await?;
        let mut micros = Vec::new();
        while began.elapsed() < how_long {
            let asked = Instant::now();
            let answer = client.get(path, &headers).await?;
            ensure!(answer.status == 200, "{path} answered {}", answer.status);
            micros.push(u32::try_from(asked.elapsed().as_micros())?);
        }
        Ok(micros)
    };
    Ok(try_join_all((0..CONNECTIONS).map(|_| one()))
        .await?
        .concat())
}

//! The program from its command line.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::app::Home;

pub fn optimus(home: &Home) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_optimus"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OPTIMUS_")) {
        command.env_remove(name);
    }
    command
        .current_dir(&home.0)
        .env("OPTIMUS_LISTEN", "127.0.0.1:0")
        .env("OPTIMUS_DATA_DIR", home.0.join("data"))
        .env("OPTIMUS_LOG", "warn");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn run(home: &Home, args: &[&str]) -> Output {
    optimus(home).args(args).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"))
}

pub fn administrator(home: &Home, login: &str, password: &str) -> Output {
    let args = [
        "admin",
        "create",
        "--login",
        login,
        "--name",
        "The First",
        "--password-stdin",
        "--json",
    ];
    let mut child = optimus(home)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(password.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_wrong_setting_names_itself_and_nothing_starts() {
    let home = Home::new();
    let serve = |name: &str, value: &str| {
        let output = optimus(&home)
            .arg("serve")
            .env(name, value)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert_eq!(text(&output.stdout), "");
        text(&output.stderr)
    };
    let wrong = serve("OPTIMUS_LISTEN", "everywhere");
    assert!(
        wrong.contains("OPTIMUS_LISTEN")
            && wrong.contains("everywhere")
            && wrong.contains("127.0.0.1:8080"),
        "{wrong}"
    );
    assert!(serve("OPTIMUS_LISTENS", "127.0.0.1:1").contains("OPTIMUS_LISTENS is not a setting"));
    let wrong = serve("OPTIMUS_NATS_URL", "http://u:s3cret@127.0.0.1");
    assert!(
        wrong.contains("allowed: nats://") && !wrong.contains("s3cret"),
        "{wrong}"
    );
    let wrong = serve("OPTIMUS_DATABASE_URL", "mysql://u:s3cret@127.0.0.1/x");
    assert!(
        wrong.contains("OPTIMUS_DATABASE_URL") && !wrong.contains("s3cret"),
        "{wrong}"
    );
    assert!(!home.0.join("data").exists(), "nothing was made");

    std::fs::write(
        home.0.join("optimus.toml"),
        "listen = \"x\"\nlisten_port = 1\n",
    )
    .unwrap();
    let output = optimus(&home)
        .arg("doctor")
        .env_remove("OPTIMUS_LISTEN")
        .output()
        .unwrap();
    let wrong = text(&output.stderr);
    assert!(
        wrong.contains("listen in optimus.toml")
            && wrong.contains("listen_port in optimus.toml is not a setting"),
        "{wrong}"
    );
}

#[test]
fn the_first_administrator_is_made_once_and_with_a_fit_password() {
    let home = Home::new();
    let weak = administrator(&home, "root", "password1234");
    assert_eq!(weak.status.code(), Some(1));
    assert!(json(&weak)["error"].is_string());
    let made = administrator(&home, "root", "seven copper kettles hum");
    assert!(made.status.success(), "{made:?}");
    assert_eq!(json(&made)["login"], "root");
    assert!(
        json(&made)["roles"]
            .as_array()
            .unwrap()
            .contains(&"system_administrator".into())
    );
    let again = administrator(&home, "root", "seven copper kettles hum");
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("login"), "{again:?}");
}

#[test]
fn a_source_is_connected_looked_at_read_and_verified() {
    let home = Home::new();
    let folder = home.0.join("company");
    server::seed::write_to(&folder, 20, 0).unwrap();
    let set = format!("folder={}", folder.display());
    let added = run(
        &home,
        &["source", "add", "csv", "Company", "--set", &set, "--json"],
    );
    assert!(added.status.success(), "{added:?}");
    let twice = run(&home, &["source", "add", "csv", "Company", "--set", &set]);
    assert_eq!(twice.status.code(), Some(1));
    let unknown = run(&home, &["source", "add", "sap", "SAP"]);
    assert!(text(&unknown.stderr).contains("csv, odoo"), "{unknown:?}");

    let looked = json(&run(&home, &["sync", "Company", "--dry-run", "--json"]));
    assert_eq!(
        (&looked["run"]["phase"], &looked["run"]["totals"]["joiners"]),
        (&"done".into(), &20.into())
    );
    assert_eq!(
        json(&run(&home, &["source", "list", "--json"]))[0]["people"],
        0,
        "a dry run writes nothing"
    );
    let read = run(&home, &["sync", "Company"]);
    assert!(read.status.success(), "{read:?}");
    assert!(text(&read.stdout).contains("20 came"), "{read:?}");
    assert_eq!(
        json(&run(&home, &["source", "list", "--json"]))[0]["people"],
        20
    );
    assert_eq!(run(&home, &["sync", "Nothing"]).status.code(), Some(1));

    server::seed::write_to(&folder, 10, 0).unwrap();
    let stopped = run(&home, &["sync", "Company", "--json"]);
    assert_eq!(
        stopped.status.code(),
        Some(1),
        "half of the company would go"
    );
    assert_eq!(json(&stopped)["run"]["error"], "too_many_leavers");

    let verified = run(&home, &["audit", "verify", "--json"]);
    assert!(verified.status.success(), "{verified:?}");
    assert_eq!(json(&verified)["ok"], true);
    assert_eq!(
        run(&home, &["audit", "verify", "/dev/null"]).status.code(),
        Some(1)
    );
}

#[test]
fn a_generated_company_is_read_and_read_again() {
    let home = Home::new();
    let first = json(&run(&home, &["seed", "--employees", "300", "--json"]));
    assert_eq!(first["totals"]["joiners"], 300, "{first}");
    let again = json(&run(&home, &["seed", "--employees", "300", "--json"]));
    assert_eq!(again["totals"]["unchanged"], 300);
    let changed = json(&run(
        &home,
        &["seed", "--employees", "300", "--changed", "1", "--json"],
    ));
    assert_eq!(changed["totals"]["changed"], 3);
}

#[test]
fn keys_and_data_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    assert!(run(&home, &["migrate"]).status.success());
    let mode = |path: &str| {
        std::fs::metadata(home.0.join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("data"), 0o700);
    for key in ["audit.key", "seal.key", "token.key"] {
        assert_eq!(mode(&format!("data/{key}")), 0o600, "{key}");
    }
    let key = || std::fs::read(home.0.join("data/audit.key")).unwrap();
    let before = key();
    assert!(run(&home, &["migrate"]).status.success());
    assert_eq!(key(), before, "keys are made once");
}

#[test]
fn any_signal_stops_a_portal_and_it_starts_again_on_the_same_data() {
    use std::io::{BufRead as _, BufReader};
    let home = Home::new();
    for signal in ["TERM", "INT", "HUP", "KILL"] {
        let mut serving = optimus(&home)
            .args(["serve", "--json"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(serving.stdout.take().unwrap());
        let mut said = String::new();
        while !said.ends_with("}\n") {
            assert!(out.read_line(&mut said).unwrap() > 0, "{said}");
        }
        let said: Value = serde_json::from_str(&said).unwrap();
        assert!(
            said["url"]
                .as_str()
                .unwrap()
                .starts_with("http://127.0.0.1:")
        );
        let second = run(&home, &["serve"]);
        assert_eq!(second.status.code(), Some(1));
        assert!(
            text(&second.stderr).contains("another optimus"),
            "{second:?}"
        );
        let sent = Command::new("kill")
            .args(["-s", signal, &serving.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        let ended = serving.wait().unwrap();
        assert_eq!(ended.success(), signal != "KILL", "{signal}: {ended}");
    }
}

#[tokio::test]
async fn what_a_command_reads_the_running_portal_shows() {
    use std::io::{BufRead as _, BufReader};
    let home = Home::new();
    let mut serving = optimus(&home)
        .arg("serve")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(serving.stdout.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    let url = format!("{}/metrics", said.trim().rsplit(' ').next().unwrap());
    let seeded = run(&home, &["seed", "--employees", "25"]);
    assert!(seeded.status.success(), "{seeded:?}");
    let shown = crate::app::until("the chart is built anew", async || {
        let metrics = reqwest::get(&url).await.unwrap().text().await.unwrap();
        metrics.contains("optimus_people 25").then_some(())
    });
    shown.await;
    serving.kill().unwrap();
    serving.wait().unwrap();
}

//! `kill -9` in the middle of talk: what was acknowledged is there once, and nothing is missing between.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    time::Duration,
};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::{
    app::Home,
    commands::{administrator, optimus},
};

const BURSTS: usize = 20;
const MESSAGES: usize = 200;
const PASSWORD: &str = "seven copper kettles hum";

/// A server that dies hard.
struct Serving {
    process: Child,
    url: String,
}

impl Serving {
    fn start(home: &Home) -> Self {
        let mut process = optimus(home)
            .args(["serve"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{line:?}");
        Self { process, url }
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

async fn call(client: &reqwest::Client, url: String, token: &str, body: Option<Value>) -> Value {
    let request = match body {
        Some(body) => client.post(url).json(&body),
        None => client.get(url),
    };
    let response = request.bearer_auth(token).send().await.unwrap();
    assert!(response.status().is_success(), "{response:?}");
    response.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9() {
    let home = Home::new();
    for login in ["anna", "boris"] {
        assert!(administrator(&home, login, PASSWORD).status.success());
    }
    let client = reqwest::Client::new();
    let serving = Serving::start(&home);
    let mut tokens = Vec::new();
    for login in ["anna", "boris"] {
        let body = json!({ "login": login, "password": PASSWORD });
        let token = call(
            &client,
            format!("{}/api/v1/tokens", serving.url),
            "",
            Some(body),
        )
        .await;
        tokens.push(token["access_token"].as_str().unwrap().to_owned());
    }
    let boris = call(
        &client,
        format!("{}/api/v1/me", serving.url),
        &tokens[1],
        None,
    )
    .await["id"]
        .clone();
    let new = json!({ "members": [boris] });
    let made = call(
        &client,
        format!("{}/api/v1/conversations", serving.url),
        &tokens[0],
        Some(new),
    )
    .await;
    let conversation = made["id"].as_str().unwrap().to_owned();
    serving.kill();

    // Client id to the place that it was acknowledged with.
    let mut acknowledged: BTreeMap<String, i64> = BTreeMap::new();
    for burst in 0..BURSTS {
        let serving = Serving::start(&home);
        let ticket = call(
            &client,
            format!("{}/api/v1/socket-tickets", serving.url),
            &tokens[burst % 2],
            Some(json!({})),
        )
        .await;
        let url = format!(
            "{}/ws?ticket={}",
            serving.url.replacen("http", "ws", 1),
            ticket["ticket"].as_str().unwrap()
        );
        let (mut out, mut frames) = connect_async(url).await.unwrap().0.split();
        let sending = {
            let conversation = conversation.clone();
            tokio::spawn(async move {
                for n in 0..MESSAGES {
                    let client_id = format!("b{burst}-{n}");
                    let frame = json!({ "t": "send", "conversation": conversation, "client_id": client_id, "body": client_id });
                    if out.send(Message::text(frame.to_string())).await.is_err() {
                        break;
                    }
                }
                out
            })
        };
        let enough = 1 + burst * 7;
        let mut own = 0;
        while own < enough {
            let frame = tokio::time::timeout(Duration::from_secs(20), frames.next())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            let frame: Value = serde_json::from_str(frame.to_text().unwrap()).unwrap();
            if frame["t"] == "ack" {
                own += 1;
                acknowledged.insert(
                    frame["client_id"].as_str().unwrap().into(),
                    frame["seq"].as_i64().unwrap(),
                );
            }
        }
        serving.kill();
        drop(sending.await.unwrap());
        // What came through before the end counts as well.
        while let Ok(Some(Ok(Message::Text(text)))) =
            tokio::time::timeout(Duration::from_secs(5), frames.next()).await
        {
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["t"] == "ack" {
                acknowledged.insert(
                    frame["client_id"].as_str().unwrap().into(),
                    frame["seq"].as_i64().unwrap(),
                );
            }
        }
    }

    let serving = Serving::start(&home);
    let mut found = BTreeMap::new();
    let mut last = 0;
    loop {
        let url = format!(
            "{}/api/v1/conversations/{conversation}/messages?after_seq={last}&limit=200",
            serving.url
        );
        let page = call(&client, url, &tokens[1], None).await;
        let items = page["items"].as_array().unwrap();
        if items.is_empty() {
            break;
        }
        for message in items {
            let seq = message["seq"].as_i64().unwrap();
            assert_eq!(seq, last + 1, "no gap");
            last = seq;
            // The body is the client id.
            let twice = found.insert(message["body"].as_str().unwrap().to_owned(), seq);
            assert_eq!(twice, None, "{message} is there twice");
        }
    }
    assert!(
        acknowledged.len() > BURSTS * 50,
        "{} were acknowledged",
        acknowledged.len()
    );
    for (client_id, seq) in &acknowledged {
        assert_eq!(
            found.get(client_id),
            Some(seq),
            "{client_id} was acknowledged"
        );
    }
    serving.kill();
    let verified = optimus(&home).args(["audit", "verify"]).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

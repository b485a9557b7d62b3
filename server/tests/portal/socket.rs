//! `/ws`, frame by frame.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _},
};

use crate::app::{App, Person, everywhere, until, with};

/// An open socket.
pub struct Line(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What ends a socket.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Code(u16),
    Gone,
}

impl Line {
    pub async fn open(app: &App, person: &Person) -> Self {
        let ticket = person.post("/socket-tickets", json!({})).await.ok();
        let url = address(
            app,
            &format!("?ticket={}", ticket["ticket"].as_str().unwrap()),
        );
        Self(connect_async(url).await.unwrap().0)
    }

    pub async fn send(&mut self, frame: Value) {
        self.text(&frame.to_string()).await;
    }

    async fn text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub async fn next(&mut self) -> Result<Value, End> {
        loop {
            let message = timeout(Duration::from_secs(10), self.0.next())
                .await
                .expect("a frame in time");
            return match message {
                Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => {
                    Err(frame.map_or(End::Gone, |frame| End::Code(u16::from(frame.code))))
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => Err(End::Gone),
            };
        }
    }

    /// The next frame of this type; others are passed over.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self
                .next()
                .await
                .unwrap_or_else(|end| panic!("{end:?} instead of {kind}"));
            if frame["t"] == kind {
                return frame;
            }
        }
    }

    pub async fn end(&mut self) -> End {
        loop {
            if let Err(end) = self.next().await {
                return end;
            }
        }
    }
}

fn address(app: &App, query: &str) -> String {
    format!("{}/ws{query}", app.url.replacen("http", "ws", 1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_acknowledged_and_reaches_everyone_once() {
    everywhere(async |app: &App| {
        let (grace, noah) = (app.person("grace.whitfield").await, app.person("noah.petersen").await);
        let conversation = grace.talk_to(&[&noah], None).await;
        let (mut hers, mut his) = (Line::open(app, &grace).await, Line::open(app, &noah).await);
        let send = json!({ "t": "send", "conversation": conversation, "client_id": "c-1", "body": "שלום 🙂" });
        hers.send(send.clone()).await;
        let ack = hers.next_of("ack").await;
        assert_eq!((&ack["client_id"], &ack["seq"]), (&json!("c-1"), &json!(1)));
        let got = his.next_of("message").await;
        assert_eq!((&got["body"], &got["seq"], &got["id"]), (&json!("שלום 🙂"), &json!(1), &ack["id"]));
        assert_eq!(got["sender"], json!(grace.id));

        hers.send(send).await;
        assert_eq!(hers.next_of("ack").await, ack, "a repeated client id gets the first result");
        hers.send(json!({ "t": "send", "conversation": conversation, "client_id": "c-2", "body": "two" })).await;
        assert_eq!(his.next_of("message").await["seq"], 2, "and is not sent on again");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sends_keep_their_order() {
    everywhere(async |app: &App| {
        let (grace, noah) = (app.person("grace.whitfield").await, app.person("noah.petersen").await);
        let conversation = grace.talk_to(&[&noah], None).await;
        let (mut hers, mut his) = (Line::open(app, &grace).await, Line::open(app, &noah).await);
        for n in 1..=200 {
            hers.send(json!({ "t": "send", "conversation": conversation, "client_id": format!("c-{n}"), "body": format!("{n}") })).await;
        }
        for n in 1..=200 {
            let got = his.next_of("message").await;
            assert_eq!((&got["seq"], &got["body"]), (&json!(n), &json!(n.to_string())));
        }
        for n in 1..=200 {
            assert_eq!(hers.next_of("ack").await["client_id"], format!("c-{n}"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_resumes_without_a_gap() {
    everywhere(async |app: &App| {
        let (grace, noah) = (
            app.person("grace.whitfield").await,
            app.person("noah.petersen").await,
        );
        let camille = app.person("camille.laurent").await;
        let conversation = grace.talk_to(&[&noah], None).await;
        for n in 1..=450 {
            app.store()
                .send(
                    &domain::Viewer::person(grace.id, domain::Roles::EMPLOYEE),
                    conversation.parse().unwrap(),
                    &format!("c-{n}"),
                    "x",
                )
                .await
                .unwrap();
        }
        let mut his = Line::open(app, &noah).await;
        his.send(json!({ "t": "resume", "conversation": conversation, "after_seq": 3 }))
            .await;
        for n in 4..=450 {
            assert_eq!(his.next_of("message").await["seq"], n);
        }
        assert_eq!(his.next_of("resumed").await["seq"], 450);
        let mut hers = Line::open(app, &camille).await;
        hers.send(json!({ "t": "resume", "conversation": conversation, "after_seq": 0 }))
            .await;
        assert_eq!(hers.next_of("error").await["code"], "not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_reading_and_presence_reach_the_others() {
    everywhere(async |app: &App| {
        let (grace, noah) = (
            app.person("grace.whitfield").await,
            app.person("noah.petersen").await,
        );
        let camille = app.person("camille.laurent").await;
        let conversation = grace.talk_to(&[&noah], None).await;
        grace.say(&conversation, "1", "hello").await.ok();
        let mut hers = Line::open(app, &grace).await;
        let mut his = Line::open(app, &noah).await;
        assert_eq!(
            his.next_of("presence").await,
            json!({ "t": "presence", "employee": grace.id, "online": true })
        );
        assert_eq!(
            hers.next_of("presence").await,
            json!({ "t": "presence", "employee": noah.id, "online": true })
        );
        his.send(json!({ "t": "typing", "conversation": conversation }))
            .await;
        assert_eq!(hers.next_of("typing").await["employee"], json!(noah.id));
        his.send(json!({ "t": "read", "conversation": conversation, "seq": 1 }))
            .await;
        let read = hers.next_of("read").await;
        assert_eq!(
            (&read["employee"], &read["seq"]),
            (&json!(noah.id), &json!(1))
        );
        let mut third = Line::open(app, &camille).await;
        third
            .send(json!({ "t": "typing", "conversation": conversation }))
            .await;
        assert_eq!(third.next_of("error").await["code"], "not_found");
        drop(his);
        assert_eq!(
            hers.next_of("presence").await,
            json!({ "t": "presence", "employee": noah.id, "online": false })
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_told_with_its_client_id() {
    everywhere(async |app: &App| {
        let (grace, noah, camille) =
            (app.person("grace.whitfield").await, app.person("noah.petersen").await, app.person("camille.laurent").await);
        let conversation = grace.talk_to(&[&noah], None).await;
        let mut line = Line::open(app, &camille).await;
        let mut told = async |client_id: &str, body: &str| {
            line.send(json!({ "t": "send", "conversation": conversation, "client_id": client_id, "body": body })).await;
            let error = line.next_of("error").await;
            assert_eq!(error["client_id"], client_id);
            error["code"].as_str().unwrap().to_owned()
        };
        assert_eq!(told("c-1", "let me in").await, "not_found");
        assert_eq!(told("c-2", "").await, "required");
        assert_eq!(told("c-3", &"x".repeat(100_000)).await, "too_long");
        assert_eq!(told("not visible", "x").await, "bad_format");
        assert_eq!(told("c-4", "a\u{0}b").await, "control_characters");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_is_answered_and_then_ends_the_socket() {
    with(&[], async |app: &App| {
        let grace = app.person("grace.whitfield").await;
        let mut line = Line::open(app, &grace).await;
        for rubbish in [
            "",
            "{}",
            "[]",
            r#"{"t":"shutdown"}"#,
            r#"{"t":"typing","conversation":"1"}"#,
        ] {
            line.text(rubbish).await;
            assert_eq!(
                line.next_of("error").await,
                json!({ "t": "error", "code": "bad_frame" }),
                "{rubbish}"
            );
        }
        line.text("once more").await;
        assert_eq!(line.end().await, End::Code(1007));

        let mut line = Line::open(app, &grace).await;
        // It may be closed to us before all of it is on the way.
        line.0.send(Message::text("x".repeat(1 << 20))).await.ok();
        assert_ne!(line.end().await, End::Code(1000), "too large to be read on");
        let mut line = Line::open(app, &grace).await;
        line.0.send(Message::binary(vec![1, 2, 3])).await.unwrap();
        assert_eq!(line.end().await, End::Code(1003));
        until("the sockets are gone", async || {
            app.running.server.hub.is_empty().then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_stops_reading_is_let_go_and_the_others_are_not_held_up() {
    with(&[], async |app: &App| {
        let (grace, noah) = (app.person("grace.whitfield").await, app.person("noah.petersen").await);
        let conversation = grace.talk_to(&[&noah], None).await;
        let mut hers = Line::open(app, &grace).await;
        let deaf = Line::open(app, &noah).await;
        until("both sockets are known", async || {
            (app.running.server.hub.len() == 2).then_some(())
        })
        .await;
        let body = "x".repeat(7_000);
        let mut sent = 0;
        while app.running.server.hub.is_here(noah.id) {
            assert!(sent < 5_000, "somebody reads");
            for _ in 0..20 {
                sent += 1;
                hers.send(json!({ "t": "send", "conversation": conversation, "client_id": format!("c-{sent}"), "body": body })).await;
            }
            for _ in 0..20 {
                hers.next_of("ack").await;
            }
        }
        hers.send(json!({ "t": "send", "conversation": conversation, "client_id": "last", "body": "still here" })).await;
        assert_eq!(hers.next_of("ack").await["seq"], sent + 1);
        drop(deaf);
        let mut back = Line::open(app, &noah).await;
        back.send(json!({ "t": "resume", "conversation": conversation, "after_seq": sent })).await;
        assert_eq!(back.next_of("message").await["body"], "still here", "nothing is lost");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_ends_with_its_sign_in() {
    everywhere(async |app: &App| {
        let grace = app.person("grace.whitfield").await;
        let mut other = grace.clone();
        other.token = app
            .sign_in("grace.whitfield", server::demo::PASSWORD)
            .await
            .ok()["access_token"]
            .as_str()
            .unwrap()
            .into();
        let (mut kept, mut ended) = (Line::open(app, &grace).await, Line::open(app, &other).await);
        assert_eq!(grace.delete("/me/sign-ins").await.status, 204);
        assert_eq!(ended.end().await, End::Code(1008));
        kept.send(json!({ "t": "typing", "conversation": "00000000-0000-0000-0000-000000000000" }))
            .await;
        kept.next_of("error").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leavers_sockets_close() {
    with(&[], async |app: &App| {
        let abena = app.person("abena.mensah").await;
        let tariq = app.person("tariq.mansour").await;
        let mut line = Line::open(app, &abena).await;
        let file = app.data_dir.join("demo/workers.csv");
        let rows = std::fs::read_to_string(&file).unwrap();
        let left: String = rows
            .lines()
            .filter(|row| !row.contains("abena.mensah"))
            .map(|row| format!("{row}\n"))
            .collect();
        std::fs::write(&file, left).unwrap();
        let source = tariq.get("/sources").await.ok()["items"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        tariq
            .post(&format!("/sources/{source}/runs"), json!({}))
            .await
            .ok();
        assert_eq!(line.end().await, End::Code(1008));
        abena.get("/me").await.refused(401, "unauthenticated");
        app.sign_in("abena.mensah", server::demo::PASSWORD)
            .await
            .refused(401, "unauthenticated");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_opens_for_a_ticket_once_or_for_our_own_pages() {
    with(&[], async |app: &App| {
        let grace = app.person("grace.whitfield").await;
        let status = async |query: &str, headers: &[(&'static str, &str)]| {
            let mut request = address(app, query).into_client_request().unwrap();
            for (name, value) in headers {
                request.headers_mut().insert(*name, value.parse().unwrap());
            }
            match connect_async(request).await {
                Ok(_) => 101,
                Err(Error::Http(response)) => response.status().as_u16(),
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!(status("", &[]).await, 401);
        assert_eq!(status("?ticket=rubbish", &[]).await, 401);
        assert_eq!(
            status(&format!("?ticket={}", grace.token), &[]).await,
            401,
            "a token is no ticket"
        );
        let ticket = grace.post("/socket-tickets", json!({})).await.ok()["ticket"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(status(&format!("?ticket={ticket}"), &[]).await, 101);
        assert_eq!(status(&format!("?ticket={ticket}"), &[]).await, 401, "once");

        let cookie = app.cookie("grace.whitfield").await;
        let cookie = cookie.split(';').next().unwrap();
        assert_eq!(
            status("", &[("cookie", cookie), ("origin", &app.url)]).await,
            101
        );
        assert_eq!(
            status(
                "",
                &[("cookie", cookie), ("origin", "https://evil.example")]
            )
            .await,
            401
        );
        assert_eq!(
            status("", &[("cookie", cookie)]).await,
            401,
            "a browser names the page"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_portal_stops_sockets_are_told_to_come_back() {
    with(&[], async |app: &App| {
        let grace = app.person("grace.whitfield").await;
        let mut line = Line::open(app, &grace).await;
        app.running.server.hub.shut();
        assert_eq!(line.next().await, Ok(json!({ "t": "reconnect" })));
        assert_eq!(line.end().await, End::Code(1013));
        assert!(app.running.server.hub.is_empty());
    })
    .await;
}

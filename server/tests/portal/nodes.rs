//! Two nodes on one database, with a real NATS server between them.

use std::time::Duration;

use serde_json::json;

use crate::{
    app::{App, Broker, on_two_nodes},
    socket::Line,
};

#[tokio::test(flavor = "multi_thread")]
async fn people_of_two_nodes_talk_as_if_they_were_one() {
    on_two_nodes(async |one: &App, other: &App, _: &Broker| {
        let (grace, noah) = (
            one.person("grace.whitfield").await,
            one.person("noah.petersen").await,
        );
        let noah = other.here(&noah);
        let conversation = grace.talk_to(&[&noah], None).await;
        let (mut hers, mut his) = (Line::open(one, &grace).await, Line::open(other, &noah).await);
        let say = |n: u32| json!({ "t": "send", "conversation": conversation, "client_id": format!("c-{n}"), "body": format!("{n}") });
        for n in 1..=60 {
            if n % 3 == 0 { his.send(say(n)).await } else { hers.send(say(n)).await }
        }
        for line in [&mut hers, &mut his] {
            let mut got = Vec::new();
            while got.len() < 60 {
                got.push(line.next_of("message").await["seq"].as_i64().unwrap());
            }
            // Two nodes may tell the end of one another's words in another order; a client sorts by place.
            got.sort_unstable();
            assert_eq!(got, (1..=60).collect::<Vec<_>>(), "each once, no gap");
        }
        // Who writes has read: only somebody else's words can be news to read.
        hers.send(say(61)).await;
        assert_eq!(his.next_of("message").await["seq"], 61);
        his.send(json!({ "t": "read", "conversation": conversation, "seq": 61 })).await;
        loop {
            let read = hers.next_of("read").await;
            if read["employee"] == json!(noah.id) && read["seq"] == 61 {
                break;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_ends_on_one_node_ends_on_the_other() {
    on_two_nodes(async |one: &App, other: &App, _: &Broker| {
        let noah = one.person("noah.petersen").await;
        let mut his = Line::open(other, &other.here(&noah)).await;
        let himself = domain::Viewer::person(noah.id, domain::Roles::EMPLOYEE);
        one.store().revoke(&himself, None).await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), his.end())
            .await
            .expect("his socket is closed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_broker_nodes_look_by_themselves() {
    on_two_nodes(async |one: &App, other: &App, broker: &Broker| {
        let (grace, noah) = (
            one.person("grace.whitfield").await,
            one.person("noah.petersen").await,
        );
        let conversation = grace.talk_to(&[&noah], None).await;
        let mut his = Line::open(other, &other.here(&noah)).await;
        broker.stop();
        grace.say(&conversation, "c-1", "still here?").await.ok();
        assert_eq!(his.next_of("message").await["body"], "still here?");
    })
    .await;
}

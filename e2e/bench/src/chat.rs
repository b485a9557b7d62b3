//! One room of 100 members, ten of whom write; every message is on disk before anyone gets it.
//!
//! Each member is a person of their own with one socket. A message counts as delivered to its own sender when it
//! comes back, be it as a message or as its acknowledgement.

use std::{
    ffi::OsStr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use futures::{
    SinkExt as _, StreamExt as _, TryStreamExt as _,
    stream::{self, SplitSink, SplitStream},
};
use serde_json::json;
use tokio::{
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
    time::{sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use crate::{
    http::Client,
    process::{Folder, Optimus, Server},
    report::{Measure, Report, percentile},
};

const MEMBERS: usize = 100;
const SENDERS: usize = 10;
const BODY: usize = 120;
const PASSWORD: &str = "quince-lathe-harbour-42";
const GIVE_UP: Duration = Duration::from_secs(180);
const PART: &str = "chat, 1 room of 100 people, 10 write, 120 bytes, durable";

/// A few a second, for how long one takes; then as many as go.
const PACED: Load = Load {
    messages: 500,
    pace: Pace::PerSecond(50),
};
const FULL: Load = Load {
    messages: 20_000,
    pace: Pace::Unacknowledged(10),
};

#[derive(Clone, Copy)]
struct Load {
    messages: usize,
    pace: Pace,
}

#[derive(Clone, Copy)]
enum Pace {
    /// So many by all senders together, whatever comes back.
    PerSecond(u32),
    /// Each sender waits when so many of its own are not acknowledged.
    Unacknowledged(usize),
}

/// The portal and the floor, one after the other.
pub async fn measure(program: &Path, dir: &Path, report: &mut Report) -> Result<()> {
    let folder = Folder::new(dir, "chat")?;
    let bare = bare(&folder.0).await?;
    let ours = portal(program, &folder.0).await?;
    for (name, ours, bare) in [
        ("paced at 50/s", ours.paced, bare.paced),
        ("at full load", ours.full, bare.full),
    ] {
        report.add_over(PART, format!("{name}: delivered"), ours.rate, bare.rate);
        report.add_over(
            PART,
            format!("{name}: delivered per CPU s"),
            ours.rate_of_cpu,
            bare.rate_of_cpu,
        );
        report.add_over(
            PART,
            format!("{name}: send to receive, p50"),
            ours.p50,
            bare.p50,
        );
        report.add_over(
            PART,
            format!("{name}: send to receive, p99"),
            ours.p99,
            bare.p99,
        );
        report.add_over(PART, format!("{name}: processor time"), ours.cpu, bare.cpu);
    }
    let [before, joined, after] = ours.memory.map(Measure::Bytes);
    let [bare_before, bare_joined, bare_after] = bare.memory.map(Measure::Bytes);
    report.add_over(PART, "memory before", before, bare_before);
    report.add_over(PART, "memory with 100 sockets", joined, bare_joined);
    report.add_over(PART, "memory after", after, bare_after);
    Ok(())
}

/// What a server did with both loads.
struct Served {
    paced: Outcome,
    full: Outcome,
    /// Before anyone joined, with everyone in, and after all.
    memory: [u64; 3],
}

struct Outcome {
    rate: Measure,
    rate_of_cpu: Measure,
    p50: Measure,
    p99: Measure,
    cpu: Duration,
}

async fn bare(dir: &Path) -> Result<Served> {
    let file = dir.join("floor.sqlite");
    let server = Server::floor(&[OsStr::new("floor-chat"), file.as_os_str()]).await?;
    let before = server.usage()?.memory;
    let doors = vec!["/ws".to_owned(); MEMBERS];
    let served = serve(
        &server,
        before,
        "01980000-0000-7000-8000-000000000002",
        doors,
    )
    .await?;
    server.stop().await?;
    Ok(served)
}

async fn portal(program: &Path, data: &Path) -> Result<Served> {
    let optimus = Optimus::new(program, data);
    optimus.run(&["migrate"], "").await?;
    let logins: Vec<_> = (0..MEMBERS)
        .map(|member| format!("member-{member:03}"))
        .collect();
    stream::iter(&logins)
        .map(|login| {
            let optimus = &optimus;
            async move {
                optimus
                    .run(
                        &[
                            "admin",
                            "create",
                            "--login",
                            login,
                            "--name",
                            login,
                            "--password-stdin",
                        ],
                        PASSWORD,
                    )
                    .await
            }
        })
        // A process each, and each hashes a password.
        .buffer_unordered(2)
        .try_for_each(async |_| Ok(()))
        .await?;

    let server = optimus.serve(&[]).await?;
    let mut client = Client::open(&server.address).await?;
    let mut tokens = Vec::new();
    let mut ids = Vec::new();
    for login in &logins {
        let token = client
            .post_json(
                "/api/v1/tokens",
                "",
                &json!({ "login": login, "password": PASSWORD }),
            )
            .await?;
        let token = token["access_token"]
            .as_str()
            .context("no access_token")?
            .to_owned();
        ids.push(client.get_json("/api/v1/me", &token).await?["id"].clone());
        tokens.push(token);
    }
    let room = json!({ "members": ids[1..], "title": "Everyone" });
    let room = client
        .post_json("/api/v1/conversations", &tokens[0], &room)
        .await?;
    let room = room["id"].as_str().context("no id of the conversation")?;
    server.stop().await?;

    // Started again, so that the memory of a hundred hashed passwords is not counted as that of sockets.
    let server = optimus.serve(&[]).await?;
    let before = server.usage()?.memory;
    let mut client = Client::open(&server.address).await?;
    let mut doors = Vec::new();
    for token in &tokens {
        let ticket = client
            .post_json("/api/v1/socket-tickets", token, &json!({}))
            .await?;
        doors.push(format!(
            "/ws?ticket={}",
            ticket["ticket"].as_str().context("no ticket")?
        ));
    }
    let served = serve(&server, before, room, doors).await?;
    let kept = client
        .get_json(
            &format!("/api/v1/conversations/{room}/messages?limit=1"),
            &tokens[0],
        )
        .await?;
    let sent = PACED.messages + FULL.messages;
    ensure!(
        kept["last_seq"].as_u64() == Some(sent as u64),
        "{sent} messages were sent, but {kept}"
    );
    server.stop().await?;
    optimus.run(&["audit", "verify"], "").await?;
    Ok(served)
}

/// Joins with everyone and applies both loads.
async fn serve(server: &Server, before: u64, room: &str, doors: Vec<String>) -> Result<Served> {
    let mut sockets = Vec::new();
    for door in doors {
        let tcp = TcpStream::connect(&server.address).await?;
        tcp.set_nodelay(true)?;
        let config = WebSocketConfig::default().read_buffer_size(16 << 10);
        let (socket, _) =
            client_async_with_config(format!("ws://{}{door}", server.address), tcp, Some(config))
                .await?;
        sockets.push(socket);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let joined = server.usage()?.memory;
    let (paced, sockets) = apply(PACED, server, room, sockets).await?;
    let (full, _) = apply(FULL, server, room, sockets).await?;
    Ok(Served {
        paced,
        full,
        memory: [before, joined, server.usage()?.memory],
    })
}

type Socket = WebSocketStream<TcpStream>;

/// What all members of a load share.
struct Shared {
    load: Load,
    room: String,
    began: Instant,
    /// When each message was sent, in microseconds from the beginning.
    sent: Vec<AtomicU64>,
    /// What each sender may send before an acknowledgement.
    permits: [Semaphore; SENDERS],
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

async fn apply(
    load: Load,
    server: &Server,
    room: &str,
    sockets: Vec<Socket>,
) -> Result<(Outcome, Vec<Socket>)> {
    let unacknowledged = match load.pace {
        Pace::PerSecond(_) => load.messages,
        Pace::Unacknowledged(most) => most,
    };
    let before = server.usage()?.cpu;
    let shared = Arc::new(Shared {
        load,
        room: room.to_owned(),
        began: Instant::now(),
        sent: (0..load.messages).map(|_| AtomicU64::new(0)).collect(),
        permits: std::array::from_fn(|_| Semaphore::new(unacknowledged)),
    });
    let mut members = JoinSet::new();
    for (me, socket) in sockets.into_iter().enumerate() {
        members.spawn(member(me, socket, Arc::clone(&shared)));
    }
    let mut micros = Vec::with_capacity(MEMBERS * load.messages);
    // In the order of members, so that the same ones write in the next load.
    let mut sockets: Vec<_> = (0..MEMBERS).map(|_| None).collect();
    let all = async {
        while let Some(ended) = members.join_next().await {
            let (me, socket, received) = ended??;
            micros.extend(received);
            sockets[me] = Some(socket);
        }
        anyhow::Ok(())
    };
    timeout(GIVE_UP, all)
        .await
        .context("not everything was delivered in time")??;
    let took = shared.began.elapsed();
    let cpu = server.usage()?.cpu.saturating_sub(before);
    let delivered = micros.len() as f64;
    let outcome = Outcome {
        rate: Measure::PerSecond(delivered / took.as_secs_f64()),
        rate_of_cpu: Measure::PerCpuSecond(delivered / cpu.as_secs_f64()),
        p50: percentile(&mut micros, 0.5),
        p99: percentile(&mut micros, 0.99),
        cpu,
    };
    Ok((outcome, sockets.into_iter().flatten().collect()))
}

/// Sends what is this member's to send, and receives until it has every message once.
async fn member(
    me: usize,
    socket: Socket,
    shared: Arc<Shared>,
) -> Result<(usize, Socket, Vec<u32>)> {
    let (mut sink, mut stream) = socket.split();
    let (micros, ()) = futures::try_join!(
        receive(me, &mut stream, &shared),
        send(me, &mut sink, &shared)
    )?;
    Ok((me, stream.reunite(sink)?, micros))
}

async fn send(me: usize, sink: &mut SplitSink<Socket, Message>, shared: &Shared) -> Result<()> {
    if me >= SENDERS {
        return Ok(());
    }
    for n in (me..shared.load.messages).step_by(SENDERS) {
        if let Pace::PerSecond(rate) = shared.load.pace {
            sleep_until((shared.began + Duration::from_secs(1) * u32::try_from(n)? / rate).into())
                .await;
        }
        shared.permits[me].acquire().await?.forget();
        let mark = format!("{}-{n}", shared.load.messages);
        let body = format!("{:.<BODY$}", format!("{mark} "));
        let frame =
            json!({ "t": "send", "conversation": shared.room, "client_id": mark, "body": body });
        shared.sent[n].store(shared.now(), Relaxed);
        sink.send(Message::text(frame.to_string())).await?;
    }
    Ok(())
}

async fn receive(me: usize, stream: &mut SplitStream<Socket>, shared: &Shared) -> Result<Vec<u32>> {
    let all = shared.load.messages;
    // What is left of the load before has another mark.
    let (in_ack, in_message) = (
        format!("\"client_id\":\"{all}-"),
        format!("\"body\":\"{all}-"),
    );
    let mut has = vec![false; all];
    let mut micros = Vec::with_capacity(all);
    while micros.len() < all {
        let frame = stream.next().await.context("a socket was closed")??;
        let Message::Text(frame) = frame else {
            continue;
        };
        let n = if frame.starts_with(r#"{"t":"message""#) {
            between(&frame, &in_message, ' ')
        } else if frame.starts_with(r#"{"t":"ack""#) {
            between(&frame, &in_ack, '"').inspect(|_| shared.permits[me].add_permits(1))
        } else if frame.starts_with(r#"{"t":"error""#) || frame.starts_with(r#"{"t":"reconnect""#) {
            bail!("member {me} was told {frame}");
        } else {
            // Who is there and who has read what.
            None
        };
        let Some(n) = n else { continue };
        if !std::mem::replace(&mut has[n], true) {
            micros.push(u32::try_from(shared.now() - shared.sent[n].load(Relaxed))?);
        }
    }
    Ok(micros)
}

/// The number between `start` and `end`.
fn between(frame: &str, start: &str, end: char) -> Option<usize> {
    frame.split_once(start)?.1.split_once(end)?.0.parse().ok()
}

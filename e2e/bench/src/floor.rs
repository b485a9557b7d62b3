//! The floors: the least that could do the work, with the same libraries underneath.

use std::{
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Result, ensure};
use axum::{
    Router,
    extract::{
        Path as Segment, State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket},
    },
    response::{Html, Response},
    routing::get,
};
use futures::{SinkExt as _, StreamExt as _, stream::SplitSink};
use sea_orm::sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection, query,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use serde::Deserialize;
use tokio::{net::TcpListener, sync::mpsc};

async fn listen(router: Router) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout().lock(), "{}", listener.local_addr()?)?;
    Ok(axum::serve(listener, router).await?)
}

/// A file as the portal opens its own: WAL, every commit on disk.
async fn open(file: &Path) -> Result<SqliteConnection> {
    Ok(SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await?)
}

/// `GET /{bytes}`: a page of so many bytes, with nothing behind it.
pub async fn pages() -> Result<()> {
    listen(Router::new().route(
        "/{bytes}",
        get(async |Segment(bytes): Segment<usize>| Html("x".repeat(bytes))),
    ))
    .await
}

/// One room: everyone on `/ws` is in it.
#[derive(Clone)]
struct Room {
    members: Arc<Mutex<Vec<mpsc::UnboundedSender<Utf8Bytes>>>>,
    writer: mpsc::UnboundedSender<(Utf8Bytes, mpsc::UnboundedSender<Utf8Bytes>)>,
}

/// The portal's frame `send`, as much of it as is needed.
#[derive(Deserialize)]
struct Send<'a> {
    conversation: &'a str,
    client_id: &'a str,
    body: &'a str,
}

/// A chat server of one room: JSON as the portal speaks it, group commit, fan-out. No people, no rights, no audit.
pub async fn chat(file: &Path) -> Result<()> {
    let db = open(file).await?;
    let (writer, queue) = mpsc::unbounded_channel();
    let room = Room {
        members: Arc::default(),
        writer,
    };
    let everyone = Arc::clone(&room.members);
    let join = async |upgrade: WebSocketUpgrade, State(room): State<Room>| -> Response {
        upgrade
            .read_buffer_size(4096)
            .on_upgrade(move |socket| member(socket, room))
    };
    let router = Router::new().route("/ws", get(join)).with_state(room);
    tokio::select! {
        served = listen(router) => served,
        written = write(db, queue, everyone) => written,
    }
}

async fn member(socket: WebSocket, room: Room) {
    let (sink, mut stream) = socket.split();
    let (sender, frames) = mpsc::unbounded_channel();
    room.members
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(sender.clone());
    tokio::select! {
        _ = forward(frames, sink) => {}
        () = async {
            while let Some(Ok(frame)) = stream.next().await {
                if let Message::Text(text) = frame {
                    room.writer.send((text, sender.clone())).ok();
                }
            }
        } => {}
    }
}

async fn forward(
    mut frames: mpsc::UnboundedReceiver<Utf8Bytes>,
    mut sink: SplitSink<WebSocket, Message>,
) -> Result<(), axum::Error> {
    while let Some(frame) = frames.recv().await {
        sink.feed(Message::Text(frame)).await?;
        while let Ok(frame) = frames.try_recv() {
            sink.feed(Message::Text(frame)).await?;
        }
        sink.flush().await?;
    }
    Ok(())
}

/// What waits is one commit; then the sender is told, and everyone.
async fn write(
    mut db: SqliteConnection,
    mut queue: mpsc::UnboundedReceiver<(Utf8Bytes, mpsc::UnboundedSender<Utf8Bytes>)>,
    everyone: Arc<Mutex<Vec<mpsc::UnboundedSender<Utf8Bytes>>>>,
) -> Result<()> {
    query("CREATE TABLE messages (seq INTEGER PRIMARY KEY, client_id TEXT NOT NULL, body TEXT NOT NULL)")
        .execute(&mut db)
        .await?;
    let id = "01980000-0000-7000-8000-000000000001";
    let mut seq = 0i64;
    let mut waiting = Vec::new();
    while queue.recv_many(&mut waiting, 512).await > 0 {
        let mut frames = Vec::with_capacity(waiting.len());
        let mut tx = db.begin_with("BEGIN IMMEDIATE").await?;
        for (text, sender) in waiting.drain(..) {
            let Send {
                conversation,
                client_id,
                body,
            } = serde_json::from_str(&text)?;
            seq += 1;
            query("INSERT INTO messages VALUES ($1, $2, $3)")
                .bind(seq)
                .bind(client_id)
                .bind(body)
                .execute(&mut *tx)
                .await?;
            let ack = format!(
                r#"{{"t":"ack","client_id":"{client_id}","conversation":"{conversation}","id":"{id}","seq":{seq}}}"#
            );
            let message = format!(
                r#"{{"t":"message","conversation":"{conversation}","seq":{seq},"id":"{id}","sender":"{id}","body":"{body}","sent_at":"2026-01-01T00:00:00.000000Z"}}"#
            );
            frames.push((sender, Utf8Bytes::from(ack), Utf8Bytes::from(message)));
        }
        tx.commit().await?;
        let mut everyone = everyone.lock().unwrap_or_else(PoisonError::into_inner);
        for (sender, ack, message) in frames {
            sender.send(ack).ok();
            everyone.retain(|member| member.send(message.clone()).is_ok());
        }
    }
    Ok(())
}

/// A table of texts, the first column its key.
pub struct Table<const N: usize>(SqliteConnection);

impl<const N: usize> Table<N> {
    pub async fn create(file: &Path) -> Result<Self> {
        let mut db = open(file).await?;
        let columns: Vec<_> = (1..N)
            .map(|column| format!("c{column} TEXT NOT NULL"))
            .collect();
        let create = format!(
            "CREATE TABLE people (c0 TEXT PRIMARY KEY, {})",
            columns.join(", ")
        );
        query(AssertSqlSafe(create)).execute(&mut db).await?;
        Ok(Self(db))
    }

    /// Inserts or replaces rows, many to a statement, all in one transaction.
    pub async fn put(&mut self, rows: &[[String; N]]) -> Result<()> {
        let mut tx = self.0.begin().await?;
        let row = format!("({})", ["?"; N].join(", "));
        for some in rows.chunks(500) {
            let places = vec![row.as_str(); some.len()].join(", ");
            let mut put = query(AssertSqlSafe(format!(
                "REPLACE INTO people VALUES {places}"
            )));
            for value in some.iter().flatten() {
                put = put.bind(value);
            }
            put.execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Reads all rows and answers which of `rows` are not there as they are.
    pub async fn missing(&mut self, rows: &[[String; N]]) -> Result<Vec<[String; N]>> {
        let kept = query("SELECT * FROM people ORDER BY c0")
            .fetch_all(&mut self.0)
            .await?;
        ensure!(
            kept.len() == rows.len(),
            "{} rows are kept of {}",
            kept.len(),
            rows.len()
        );
        let mut missing = Vec::new();
        for (row, kept) in rows.iter().zip(&kept) {
            for (column, value) in row.iter().enumerate() {
                if kept.try_get::<&str, _>(column)? != value {
                    missing.push(row.clone());
                    break;
                }
            }
        }
        Ok(missing)
    }
}

//! One socket: what it sends is done in its order, what it gets comes from its queue.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use domain::{
    ConversationId, Viewer,
    chat::{ClientFrame, ServerFrame},
};
use futures::{
    FutureExt as _, SinkExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{FuturesOrdered, SplitSink},
};
use store::{Store, chat::Range};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::hub::{Close, Hub, Inbox, text};

/// How often a silent socket is asked whether it is still there.
const PING: Duration = Duration::from_secs(25);
/// How long a socket may be silent, pings unanswered.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a socket may take for what is written to it.
const WRITE: Duration = Duration::from_secs(20);
/// How many frames that are none it takes until a socket is closed.
const RUBBISH_MAX: u32 = 5;
/// How many sends of one socket are under way at once; the next waits in the network.
const SENDS: usize = 32;
/// How many messages a resume reads at once.
const RESUME: u32 = 200;
/// At most one typing frame goes on in this time.
const TYPING: Duration = Duration::from_secs(1);

type Out = SplitSink<WebSocket, Message>;

/// Why a socket is over.
struct Over;

/// Serves a socket until it closes, is closed, or falls silent.
pub(super) async fn serve(
    store: &Store,
    hub: &Hub,
    viewer: &Viewer,
    socket: WebSocket,
    mut inbox: Inbox,
) {
    let (mut out, mut frames) = socket.split();
    let mut one = One {
        store,
        hub,
        viewer,
        rubbish: 0,
        typed: None,
    };
    // In the order in which they were sent: the writer takes each when it is first polled.
    let mut sends: FuturesOrdered<BoxFuture<'_, ServerFrame>> = FuturesOrdered::new();
    let mut pings = interval_at(Instant::now() + PING, PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();

    let code = loop {
        let done = tokio::select! {
            closed = inbox.close.changed() => {
                let why = if closed.is_ok() { *inbox.close.borrow() } else { None };
                match why {
                    Some(Close::SignedOut) => break close_code::POLICY,
                    _ => {
                        if let Some(frame) = text(&ServerFrame::Reconnect) {
                            timeout(Duration::from_secs(1), out.send(Message::Text(frame))).await.ok();
                        }
                        break close_code::AGAIN;
                    }
                }
            }
            Some(frame) = sends.next(), if !sends.is_empty() => write(&mut out, text(&frame), &mut inbox).await,
            frame = inbox.frames.recv() => match frame {
                Some(frame) => write(&mut out, Some(frame), &mut inbox).await,
                // The hub has let go of it, and says why in a moment.
                None => { tokio::task::yield_now().await; Ok(()) }
            },
            message = frames.next(), if sends.len() < SENDS => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => match one.understand(&text) {
                        Some(ClientFrame::Send { conversation, client_id, body }) => {
                            let mut send = one.send(conversation, client_id, body).boxed();
                            // Polled here once, so that it takes its place in the writer's queue now.
                            match (&mut send).now_or_never() {
                                Some(frame) => sends.push_back(async { frame }.boxed()),
                                None => sends.push_back(send),
                            }
                            Ok(())
                        }
                        Some(frame) => one.act(frame, &mut out, &mut inbox).await,
                        None if one.rubbish > RUBBISH_MAX => break close_code::INVALID,
                        None => write(&mut out, text_of_error("bad_frame"), &mut inbox).await,
                    },
                    Some(Ok(Message::Binary(_))) => break close_code::UNSUPPORTED,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                    Some(Ok(Message::Close(_))) | None => break close_code::NORMAL,
                    // A frame that is too large or broken; what follows it cannot be read.
                    Some(Err(_)) => break close_code::SIZE,
                }
            }
            _ = pings.tick() => {
                if heard.elapsed() > SILENCE {
                    break close_code::AWAY;
                }
                send_in_time(&mut out, Message::Ping(Vec::new().into())).await
            }
        };
        if done.is_err() {
            let signed_out = *inbox.close.borrow() == Some(Close::SignedOut);
            break if signed_out {
                close_code::POLICY
            } else {
                close_code::AGAIN
            };
        }
    };
    let close = Message::Close(Some(CloseFrame {
        code,
        reason: Utf8Bytes::default(),
    }));
    timeout(Duration::from_secs(1), out.send(close)).await.ok();
}

/// Writes a frame, and those that wait behind it, in one go.
async fn write(out: &mut Out, frame: Option<Utf8Bytes>, inbox: &mut Inbox) -> Result<(), Over> {
    let Some(frame) = frame else { return Ok(()) };
    let frames = &mut inbox.frames;
    let all = async {
        out.feed(Message::Text(frame)).await?;
        while let Ok(next) = frames.try_recv() {
            out.feed(Message::Text(next)).await?;
        }
        out.flush().await
    };
    // While this waits for a reader that stopped, the queue fills up and the hub closes the socket.
    tokio::select! {
        written = timeout(WRITE, all) => written.map_err(|_| Over)?.map_err(|_| Over),
        _ = inbox.close.changed() => Err(Over),
    }
}

async fn send_in_time(out: &mut Out, message: Message) -> Result<(), Over> {
    timeout(WRITE, out.send(message))
        .await
        .map_err(|_| Over)?
        .map_err(|_| Over)
}

fn error(code: &str, client_id: Option<String>) -> ServerFrame {
    ServerFrame::Error {
        code: code.to_owned(),
        client_id,
    }
}

fn text_of_error(code: &str) -> Option<Utf8Bytes> {
    text(&error(code, None))
}

/// The code that the API has for the same.
fn code(error: &store::Error) -> String {
    let problem = app::edge::Problem::from(error);
    if problem.code == "internal" {
        tracing::error!(%error, "a frame failed");
    }
    // What is wrong with the one thing in a frame says more than that something is.
    problem
        .violations
        .first()
        .map_or(problem.code, domain::Violation::code)
        .to_owned()
}

struct One<'a> {
    store: &'a Store,
    hub: &'a Hub,
    viewer: &'a Viewer,
    rubbish: u32,
    typed: Option<Instant>,
}

impl<'a> One<'a> {
    fn understand(&mut self, text: &str) -> Option<ClientFrame> {
        let frame = serde_json::from_str(text).ok();
        if frame.is_none() {
            self.rubbish += 1;
        }
        frame
    }

    fn send(
        &self,
        conversation: ConversationId,
        client_id: String,
        body: String,
    ) -> impl Future<Output = ServerFrame> + Send + use<'a> {
        let (store, viewer) = (self.store, self.viewer);
        async move {
            match store.send(viewer, conversation, &client_id, &body).await {
                Ok(sent) => ServerFrame::Ack {
                    client_id,
                    conversation,
                    id: sent.message.id,
                    seq: sent.message.seq,
                },
                Err(failed) => error(&code(&failed), Some(client_id)),
            }
        }
    }

    async fn act(
        &mut self,
        frame: ClientFrame,
        out: &mut Out,
        inbox: &mut Inbox,
    ) -> Result<(), Over> {
        let done = match frame {
            // Taken before.
            ClientFrame::Send { .. } => Ok(()),
            ClientFrame::Read { conversation, seq } => {
                self.store.mark_read(self.viewer, conversation, seq).await
            }
            ClientFrame::Typing { conversation } => self.typing(conversation).await,
            ClientFrame::Resume {
                conversation,
                after_seq,
            } => {
                return self.resume(conversation, after_seq, out, inbox).await;
            }
        };
        match done {
            Ok(()) => Ok(()),
            Err(failed) => write(out, text_of_error(&code(&failed)), inbox).await,
        }
    }

    async fn typing(&mut self, conversation: ConversationId) -> Result<(), store::Error> {
        let now = Instant::now();
        if self.typed.is_some_and(|typed| now - typed < TYPING) {
            return Ok(());
        }
        let members = self.store.members(self.viewer, conversation).await?;
        self.typed = Some(now);
        if let Some(employee) = self.viewer.id() {
            let others: Vec<_> = members
                .iter()
                .copied()
                .filter(|member| *member != employee)
                .collect();
            self.hub.tell(
                &others,
                &ServerFrame::Typing {
                    conversation,
                    employee,
                },
            );
        }
        Ok(())
    }

    /// Sends everything after a place, page by page: a long absence never stands in memory as a whole.
    async fn resume(
        &self,
        conversation: ConversationId,
        after_seq: i64,
        out: &mut Out,
        inbox: &mut Inbox,
    ) -> Result<(), Over> {
        let mut after = after_seq.max(0);
        loop {
            let range = Range {
                after_seq: Some(after),
                before_seq: None,
                limit: Some(RESUME),
            };
            let part = match self.store.messages(self.viewer, conversation, range).await {
                Ok(part) => part,
                Err(failed) => return write(out, text_of_error(&code(&failed)), inbox).await,
            };
            let last = part.items.last().map(|message| message.seq);
            for message in part.items {
                if let Some(frame) = text(&message.into()) {
                    timeout(WRITE, out.feed(Message::Text(frame)))
                        .await
                        .map_err(|_| Over)?
                        .map_err(|_| Over)?;
                }
            }
            match last {
                Some(last) if last < part.last_seq => after = last,
                _ => {
                    let resumed = ServerFrame::Resumed {
                        conversation,
                        seq: part.last_seq,
                    };
                    return write(out, text(&resumed), inbox).await;
                }
            }
        }
    }
}

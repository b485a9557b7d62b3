//! What a browser knows of one conversation, and how each frame changes it.
//!
//! Frames may come late, twice, in any order or not at all; what is shown has
//! no gap and nothing twice all the same. Messages are kept by their place.
//! Those beyond a gap wait until a `resume` has filled it, and what the person
//! writes here is told apart by its client id until it has a place.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use domain::{
    ConversationId, EmployeeId,
    chat::{ClientFrame, Message, ServerFrame},
};
use serde::{Deserialize, Serialize};

use crate::ui::format::Reader;

/// How long messages of one sender stand under one name.
const RUN: Duration = Duration::minutes(5);
/// How often others are told that the person is writing.
const TYPING_EVERY: Duration = Duration::seconds(3);
/// How long somebody counts as writing after the last sign of it.
const TYPING_LASTS: Duration = Duration::seconds(6);
/// How long an acknowledgement may take while there is a connection.
const ACK_WITHIN: Duration = Duration::seconds(15);

/// What a page hands over: a part of the conversation that ends at its newest message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Who looks.
    pub me: EmployeeId,
    /// The messages, by place, without a gap.
    pub messages: Vec<Message>,
    /// The last place there is.
    pub last_seq: i64,
    /// How far the person had read before this page.
    pub read_seq: i64,
    /// Whether there are earlier messages than the first.
    pub earlier: bool,
}

/// Something that happened to the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// There is a connection.
    Opened,
    /// There is none any more.
    Closed,
    /// The server says.
    Frame(ServerFrame),
    /// The person sends.
    Write {
        /// An id that nothing else has.
        client_id: String,
        /// The text, not empty.
        body: String,
    },
    /// The person sends once more what failed.
    Retry(String),
    /// The person writes, but has not sent.
    Typing,
    /// Whether the person has the end of the thread before the eyes.
    Attention(bool),
    /// Earlier messages came: those before the first, without a gap, and whether there are more.
    History(Vec<Message>, bool),
    /// Time has passed.
    Tick,
}

/// How far an own message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// On its way.
    Sending,
    /// Waits for a connection.
    Waiting,
    /// On disk.
    Sent,
    /// Not accepted, by the code of the error; `timeout` where no answer came.
    Failed(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pending {
    client_id: String,
    body: String,
    written_at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
    /// The end of the thread when it was written.
    after: i64,
    failed: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    message: Message,
    client_id: Option<String>,
}

/// One conversation as a browser knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    conversation: ConversationId,
    me: EmployeeId,
    lines: BTreeMap<i64, Line>,
    /// The first place that is shown.
    first: i64,
    /// Between `first` and here nothing is missing.
    solid: i64,
    earlier: bool,
    pending: Vec<Pending>,
    connected: bool,
    /// Where the resume that is under way started.
    resuming: Option<i64>,
    attentive: bool,
    read: i64,
    divider: Option<i64>,
    seen: BTreeMap<EmployeeId, i64>,
    typing: BTreeMap<EmployeeId, DateTime<Utc>>,
    typing_told: Option<DateTime<Utc>>,
}

/// A line of the thread, as it is drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Row {
    /// The heading over a day.
    Day {
        /// Which day.
        date: NaiveDate,
        /// In words.
        words: String,
    },
    /// What follows is new to the person.
    New {
        /// After which place.
        after: i64,
        /// In words.
        words: String,
    },
    /// A message.
    Message(Said),
}

/// A message, as it is drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Its place, once it has one.
    pub seq: Option<i64>,
    /// The client's own id, if it was written here.
    pub client_id: Option<String>,
    /// Who wrote it.
    pub sender: EmployeeId,
    /// Whether it is the first of a run and carries the name.
    pub first: bool,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub body: String,
}

impl Row {
    /// The same for the same line, as long as it is drawn the same.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Day { date, .. } => format!("d{date}"),
            Self::New { after, .. } => format!("n{after}"),
            Self::Message(Said {
                client_id: Some(id),
                first,
                ..
            }) => format!("c{id} {first}"),
            Self::Message(Said { seq, first, .. }) => {
                format!("m{} {first}", seq.unwrap_or_default())
            }
        }
    }
}

impl Thread {
    /// From what the page holds.
    #[must_use]
    pub fn new(start: Start) -> Self {
        let first = start
            .messages
            .first()
            .map_or(start.last_seq + 1, |message| message.seq);
        let solid = start
            .messages
            .last()
            .map_or(start.last_seq, |message| message.seq);
        let me = start.me;
        let unseen = |message: &Message| message.seq > start.read_seq && message.sender != me;
        let divider = start.messages.iter().any(unseen).then_some(start.read_seq);
        Self {
            conversation: start.conversation,
            me,
            lines: start
                .messages
                .into_iter()
                .map(|message| {
                    (
                        message.seq,
                        Line {
                            message,
                            client_id: None,
                        },
                    )
                })
                .collect(),
            first,
            solid,
            earlier: start.earlier,
            pending: Vec::new(),
            connected: false,
            resuming: None,
            attentive: false,
            read: start.read_seq,
            divider,
            seen: BTreeMap::new(),
            typing: BTreeMap::new(),
            typing_told: None,
        }
    }

    /// The place to ask for earlier messages before, if there are any.
    #[must_use]
    pub fn before(&self) -> Option<i64> {
        (self.earlier && self.first > 1).then_some(self.first)
    }

    /// The last place up to which nothing is missing.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.solid
    }

    /// Takes in what happened and says what to send. Without a connection nothing has to be sent:
    /// [`Input::Opened`] makes up for it.
    #[must_use]
    pub fn apply(&mut self, input: Input, now: DateTime<Utc>) -> Vec<ClientFrame> {
        let mut out = Vec::new();
        match input {
            Input::Opened => {
                self.connected = true;
                self.resuming = None;
                self.resume(&mut out);
                for at in 0..self.pending.len() {
                    self.send(at, now, &mut out);
                }
                self.tell_read(true, &mut out);
            }
            Input::Closed => {
                self.connected = false;
                self.resuming = None;
                self.typing.clear();
                self.pending
                    .iter_mut()
                    .for_each(|pending| pending.sent_at = None);
            }
            Input::Frame(frame) => self.frame(frame, now, &mut out),
            Input::Write { client_id, body } => {
                let after = self.solid;
                self.pending.push(Pending {
                    client_id,
                    body,
                    written_at: now,
                    sent_at: None,
                    after,
                    failed: None,
                });
                self.typing_told = None;
                self.send(self.pending.len() - 1, now, &mut out);
            }
            Input::Retry(client_id) => {
                if let Some(at) = self
                    .pending
                    .iter()
                    .position(|pending| pending.client_id == client_id)
                {
                    self.pending[at].failed = None;
                    self.send(at, now, &mut out);
                }
            }
            Input::Typing => {
                if self.connected
                    && self
                        .typing_told
                        .is_none_or(|told| now - told >= TYPING_EVERY)
                {
                    self.typing_told = Some(now);
                    out.push(ClientFrame::Typing {
                        conversation: self.conversation,
                    });
                }
            }
            Input::Attention(attentive) => {
                self.attentive = attentive;
                self.tell_read(false, &mut out);
            }
            Input::History(messages, earlier) => {
                // An answer to an older question has nothing that is not known.
                if messages
                    .last()
                    .is_none_or(|last| last.seq + 1 >= self.first)
                {
                    self.earlier = earlier;
                    self.first = messages
                        .first()
                        .map_or(self.first, |message| message.seq.min(self.first));
                }
                for message in messages {
                    if message.conversation == self.conversation && message.seq >= self.first {
                        self.lines.entry(message.seq).or_insert(Line {
                            message,
                            client_id: None,
                        });
                    }
                }
            }
            Input::Tick => {
                self.typing.retain(|_, until| *until > now);
                for pending in &mut self.pending {
                    if pending.failed.is_none()
                        && pending.sent_at.is_some_and(|sent| now - sent >= ACK_WITHIN)
                    {
                        pending.failed = Some("timeout".to_owned());
                        pending.sent_at = None;
                    }
                }
            }
        }
        out
    }

    fn frame(&mut self, frame: ServerFrame, now: DateTime<Utc>, out: &mut Vec<ClientFrame>) {
        match frame {
            ServerFrame::Message {
                conversation,
                seq,
                id,
                sender,
                body,
                sent_at,
            } if conversation == self.conversation => {
                self.typing.remove(&sender);
                let message = Message {
                    conversation,
                    seq,
                    id,
                    sender,
                    body,
                    sent_at,
                };
                match self.lines.get_mut(&seq) {
                    Some(line) => line.message = message,
                    None => self.place(
                        Line {
                            message,
                            client_id: None,
                        },
                        out,
                    ),
                }
            }
            ServerFrame::Ack {
                client_id,
                conversation,
                id,
                seq,
            } if conversation == self.conversation => {
                let Some(at) = self
                    .pending
                    .iter()
                    .position(|pending| pending.client_id == client_id)
                else {
                    return;
                };
                let Pending {
                    body,
                    written_at: sent_at,
                    ..
                } = self.pending.remove(at);
                match self.lines.get_mut(&seq) {
                    Some(line) => line.client_id = Some(client_id),
                    None => {
                        let message = Message {
                            conversation,
                            seq,
                            id,
                            sender: self.me,
                            body,
                            sent_at,
                        };
                        self.place(
                            Line {
                                message,
                                client_id: Some(client_id),
                            },
                            out,
                        );
                    }
                }
            }
            ServerFrame::Resumed { conversation, seq } if conversation == self.conversation => {
                let from = self.resuming.take();
                // What lies between two messages of the answer is not for this person to see.
                if let Some((top, _)) = self.lines.range(..=seq).next_back() {
                    self.solid = self.solid.max(*top);
                }
                self.settle();
                let came = from.is_none_or(|from| self.solid > from);
                if self.gap() || came && seq > self.solid {
                    self.resume(out);
                }
                self.tell_read(false, out);
            }
            ServerFrame::Typing {
                conversation,
                employee,
            } if conversation == self.conversation && employee != self.me => {
                self.typing.insert(employee, now + TYPING_LASTS);
            }
            ServerFrame::Read {
                conversation,
                employee,
                seq,
            } if conversation == self.conversation => {
                if employee == self.me {
                    self.read = self.read.max(seq);
                } else {
                    let seen = self.seen.entry(employee).or_default();
                    *seen = seq.max(*seen);
                }
            }
            ServerFrame::Error {
                code,
                client_id: Some(client_id),
            } => {
                if let Some(pending) = self
                    .pending
                    .iter_mut()
                    .find(|pending| pending.client_id == client_id)
                {
                    pending.failed = Some(code);
                    pending.sent_at = None;
                }
            }
            _ => {}
        }
    }

    /// Puts a line where it belongs; asks for what is missing before it.
    fn place(&mut self, line: Line, out: &mut Vec<ClientFrame>) {
        let seq = line.message.seq;
        if seq < self.first {
            return;
        }
        let theirs = line.message.sender != self.me;
        self.lines.insert(seq, line);
        self.settle();
        if theirs
            && !self.attentive
            && seq > self.read
            && self.divider.is_none_or(|divider| divider < self.read)
        {
            self.divider = Some(self.read);
        }
        if self.gap() && self.connected && self.resuming.is_none() {
            self.resume(out);
        }
        self.tell_read(false, out);
    }

    fn settle(&mut self) {
        while self.lines.contains_key(&(self.solid + 1)) {
            self.solid += 1;
        }
    }

    fn gap(&self) -> bool {
        self.lines
            .last_key_value()
            .is_some_and(|(seq, _)| *seq > self.solid)
    }

    fn resume(&mut self, out: &mut Vec<ClientFrame>) {
        self.resuming = Some(self.solid);
        out.push(ClientFrame::Resume {
            conversation: self.conversation,
            after_seq: self.solid,
        });
    }

    fn send(&mut self, at: usize, now: DateTime<Utc>, out: &mut Vec<ClientFrame>) {
        let conversation = self.conversation;
        let pending = &mut self.pending[at];
        if self.connected && pending.failed.is_none() {
            pending.sent_at = Some(now);
            out.push(ClientFrame::Send {
                conversation,
                client_id: pending.client_id.clone(),
                body: pending.body.clone(),
            });
        }
    }

    fn tell_read(&mut self, again: bool, out: &mut Vec<ClientFrame>) {
        if !self.attentive || self.solid == 0 {
            return;
        }
        if self.connected && (again || self.solid > self.read) {
            self.read = self.read.max(self.solid);
            out.push(ClientFrame::Read {
                conversation: self.conversation,
                seq: self.solid,
            });
        }
    }

    /// How far the own message is that was written here under `client_id`.
    #[must_use]
    pub fn fate(&self, client_id: &str) -> Fate {
        let Some(pending) = self
            .pending
            .iter()
            .find(|pending| pending.client_id == client_id)
        else {
            return Fate::Sent;
        };
        match &pending.failed {
            Some(code) => Fate::Failed(code.clone()),
            None if pending.sent_at.is_some() => Fate::Sending,
            None => Fate::Waiting,
        }
    }

    /// Whether an own message is the last of all own ones that are on disk.
    #[must_use]
    pub fn is_last_own(&self, client_id: &str) -> bool {
        self.shown()
            .rfind(|line| line.message.sender == self.me)
            .and_then(|line| line.client_id.as_deref())
            == Some(client_id)
    }

    /// Who is known to have seen the last own message.
    pub fn seen_by(&self) -> impl Iterator<Item = EmployeeId> {
        let last = self
            .shown()
            .rfind(|line| line.message.sender == self.me)
            .map_or(i64::MAX, |line| line.message.seq);
        self.seen
            .iter()
            .filter(move |(_, seq)| **seq >= last)
            .map(|(who, _)| *who)
    }

    /// Who is writing now.
    pub fn typing(&self) -> impl Iterator<Item = EmployeeId> {
        self.typing.keys().copied()
    }

    /// How many messages of others came after `seq`.
    #[must_use]
    pub fn after(&self, seq: i64) -> usize {
        self.shown()
            .rev()
            .take_while(|line| line.message.seq > seq)
            .filter(|line| line.message.sender != self.me)
            .count()
    }

    /// The lines without a gap, by place.
    fn shown(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.lines
            .range(self.first..self.solid.max(self.first - 1) + 1)
            .map(|(_, line)| line)
    }

    /// What is drawn, from the earliest to the newest. Days are those of the reader's place.
    #[must_use]
    pub fn rows(&self, reader: &Reader) -> Vec<Row> {
        // The message of a send may come before its acknowledgement: then it takes the place of
        // what waits, and is the same line.
        let mut come_back = BTreeMap::new();
        let pending: Vec<_> = self
            .pending
            .iter()
            .filter(|pending| {
                let same = |line: &&Line| {
                    line.client_id.is_none()
                        && line.message.sender == self.me
                        && line.message.seq > pending.after
                        && line.message.body == pending.body
                        && !come_back.contains_key(&line.message.seq)
                };
                let found = self.shown().find(same).map(|line| line.message.seq);
                found.is_none_or(|seq| come_back.insert(seq, pending.client_id.clone()).is_some())
            })
            .collect();
        let said = self.shown().map(|line| Said {
            seq: Some(line.message.seq),
            client_id: line
                .client_id
                .clone()
                .or_else(|| come_back.get(&line.message.seq).cloned()),
            sender: line.message.sender,
            first: true,
            at: line.message.sent_at,
            body: line.message.body.clone(),
        });
        let own = pending.into_iter().map(|pending| Said {
            seq: None,
            client_id: Some(pending.client_id.clone()),
            sender: self.me,
            first: true,
            at: pending.written_at,
            body: pending.body.clone(),
        });
        rows(said.chain(own), self.divider, reader)
    }
}

/// Messages in order with the headings between them. `read` is the place after which they are new.
pub fn rows(messages: impl Iterator<Item = Said>, read: Option<i64>, reader: &Reader) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut divider = read;
    let mut last: Option<(EmployeeId, DateTime<Utc>)> = None;
    let mut day = None;
    for mut said in messages {
        let mut first = last.is_none_or(|(sender, at)| sender != said.sender || said.at - at > RUN);
        let date = reader.zone.local(said.at).date();
        if day.replace(date) != Some(date) {
            rows.push(Row::Day {
                date,
                words: reader.day_heading(said.at),
            });
            first = true;
        }
        if let Some(after) = divider.filter(|after| said.seq.is_none_or(|seq| seq > *after)) {
            divider = None;
            let words = last.map_or_else(
                || "New".to_owned(),
                |(_, at)| format!("New since {}", reader.moment(at)),
            );
            rows.push(Row::New { after, words });
            first = true;
        }
        last = Some((said.sender, said.at));
        said.first = first;
        rows.push(Row::Message(said));
    }
    rows
}

/// How long to wait before the next attempt to connect, in milliseconds: twice as long each time up
/// to half a minute, and by `chance` (0 to 1) up to half of it sooner, so that not all come at once.
#[must_use]
pub fn wait_before(attempt: u32, chance: f64) -> u32 {
    let whole = 500_u32.saturating_mul(1 << attempt.min(6)).min(30_000);
    whole - (f64::from(whole / 2) * chance.clamp(0.0, 1.0)) as u32
}

#[cfg(test)]
#[path = "thread_tests.rs"]
mod tests;

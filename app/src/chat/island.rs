//! What moves in chat: the thread, the list beside it, and who is here.
//!
//! On the server these render the page as it stands without a script; in the
//! browser they take it over. What happens is decided in [`super::thread`];
//! here it is only drawn and sent.

#![allow(
    missing_docs,
    reason = "the island macro makes a struct without words for each island"
)]

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    ConversationId, EmployeeId,
    chat::{BODY_MAX, ServerFrame},
};
use leptos::{ev, html, prelude::*, task::spawn_local};
use serde::{Deserialize, Serialize};

use super::{
    live::{self, HISTORY, Live},
    text::Body,
    thread::{Fate, Input, Row, Said, Start, Thread},
};
use crate::ui::{
    Avatar, Count, Face, Glyph, Icon, Presence, Time, Tone,
    format::{self, Locale, Reader, Zone},
};

/// How a page is read, as an island can know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eyes {
    /// BCP 47 tag.
    pub locale: String,
    /// Minutes east of UTC at the moment of the page.
    pub minutes_east: i32,
    /// The moment of the page.
    pub now: DateTime<Utc>,
}

impl Eyes {
    /// The same reader in the page and in the island, so that both draw the same.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader {
            locale: Locale::from_tag(&self.locale),
            zone: Zone::minutes_east(self.minutes_east),
            ..Reader::new(self.now)
        }
    }
}

/// What the thread of a conversation is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The messages.
    pub start: Start,
    /// What it is called.
    pub title: String,
    /// The people who wrote or can write here.
    pub people: BTreeMap<EmployeeId, Face>,
    /// How many there are, the viewer among them.
    pub members: usize,
    /// How many may review the viewer's words here.
    pub reviewable_by: u32,
    /// How the page is read.
    pub eyes: Eyes,
    /// The client id of the form, for a browser without a script.
    pub client_id: String,
    /// What was typed into a form that came back.
    pub typed: String,
    /// What was wrong with it.
    pub error: Option<String>,
}

const NO_CONNECTION: &str =
    "No connection. What you write waits here and is sent when the connection is back.";
const SIGNED_OUT: &str = "You are signed out. Copy what you have not sent, then sign in again.";

/// The first word of a name.
#[must_use]
pub fn given(name: &str) -> &str {
    name.split(' ').next().unwrap_or_default()
}

/// Several names as one: `Noah`, `Noah and Marta`, `3 people`.
fn together(names: &[String]) -> Option<String> {
    match names {
        [] => None,
        [one] => Some(one.clone()),
        [one, two] => Some(format!("{one} and {two}")),
        more => Some(format!("{} people", more.len())),
    }
}

/// What is done on the desk of a thread: everything here is a handle, so it is copied freely.
#[derive(Clone, Copy)]
struct Desk {
    conversation: ConversationId,
    people: StoredValue<BTreeMap<EmployeeId, Face>>,
    eyes: StoredValue<Eyes>,
    thread: RwSignal<Thread>,
    clock: RwSignal<DateTime<Utc>>,
    /// Why there is no connection, in words.
    offline: RwSignal<Option<&'static str>>,
    loading: RwSignal<bool>,
    no_history: RwSignal<bool>,
    /// The end of the thread when the person scrolled away from it.
    left_at: RwSignal<Option<i64>>,
    scroll: NodeRef<html::Div>,
    text: NodeRef<html::Textarea>,
}

impl Desk {
    fn reader(self) -> Reader {
        Reader {
            now: self.clock.get(),
            ..self.eyes.with_value(Eyes::reader)
        }
    }

    fn face(self, id: EmployeeId) -> Face {
        self.people.with_value(|people| {
            people
                .get(&id)
                .cloned()
                .unwrap_or_else(|| Face::new(&id.0, "Somebody who left"))
        })
    }

    fn given(self, id: EmployeeId) -> String {
        given(&self.face(id).name).to_owned()
    }

    fn apply(self, input: Input) {
        let now = live::now();
        // The clock only matters to headings and times.
        if now - self.clock.get_untracked() >= chrono::Duration::minutes(1) {
            self.clock.set(now);
        }
        let frames = self
            .thread
            .try_update(|thread| thread.apply(input, now))
            .unwrap_or_default();
        live::send(&frames);
    }

    fn hear(self, what: &Live) {
        match what {
            Live::Opened => {
                self.offline.set(None);
                self.apply(Input::Opened);
            }
            Live::Closed => {
                self.offline.set(Some(NO_CONNECTION));
                self.apply(Input::Closed);
            }
            Live::SignedOut => self.offline.set(Some(SIGNED_OUT)),
            Live::Frame(frame) => self.apply(Input::Frame(frame.clone())),
        }
    }

    fn tick(self) {
        self.apply(Input::Tick);
    }

    /// Whether the newest message is in view: the thread is drawn from its end, so that is zero.
    fn at_end(self) -> bool {
        self.scroll
            .get_untracked()
            .is_none_or(|pane| pane.scroll_top() > -40)
    }

    fn attend(self) {
        let at_end = self.at_end();
        if at_end {
            self.left_at.set(None);
        } else if self.left_at.get_untracked().is_none() {
            self.left_at
                .set(Some(self.thread.with_untracked(Thread::end)));
        }
        self.apply(Input::Attention(at_end && live::is_visible()));
    }

    fn to_end(self) {
        if let Some(pane) = self.scroll.get_untracked() {
            pane.set_scroll_top(0);
        }
        self.attend();
    }

    fn scrolled(self) {
        self.attend();
        let Some(pane) = self.scroll.get_untracked() else {
            return;
        };
        let above = pane.scroll_height() - pane.client_height() + pane.scroll_top();
        if above < 160 && !self.no_history.get_untracked() {
            self.history();
        }
    }

    fn history(self) {
        let Some(before) = self.thread.with_untracked(Thread::before) else {
            return;
        };
        if self.loading.get_untracked() {
            return;
        }
        self.loading.set(true);
        spawn_local(async move {
            match live::earlier(self.conversation, before).await {
                Some(page) => {
                    let earlier = page.earlier.unwrap_or(page.items.len() >= HISTORY);
                    self.apply(Input::History(page.items, earlier));
                }
                // The link above the thread still leads there.
                None => self.no_history.set(true),
            }
            self.loading.set(false);
        });
    }

    fn write(self) {
        let Some(area) = self.text.get_untracked() else {
            return;
        };
        let body = area.value().trim().to_owned();
        if body.is_empty() {
            return;
        }
        self.apply(Input::Write {
            client_id: live::random_id(),
            body,
        });
        area.set_value("");
        live::end_of_draft(self.conversation);
        self.to_end();
    }

    fn typed(self) {
        let Some(area) = self.text.get_untracked() else {
            return;
        };
        let text = area.value();
        live::keep_draft(self.conversation, &text);
        if !text.trim().is_empty() {
            self.apply(Input::Typing);
        }
    }

    fn restore_draft(self) {
        let Some(area) = self.text.get_untracked() else {
            return;
        };
        if let Some(draft) = live::draft(self.conversation).filter(|_| area.value().is_empty()) {
            area.set_value(&draft);
        }
    }
}

/// The thread and the composer of a conversation.
#[island]
pub fn ChatThread(
    /// What it is made of.
    room: Room,
) -> impl IntoView {
    let conversation = room.start.conversation;
    let desk = Desk {
        conversation,
        people: StoredValue::new(room.people),
        clock: RwSignal::new(room.eyes.now),
        eyes: StoredValue::new(room.eyes),
        thread: RwSignal::new(Thread::new(room.start)),
        offline: RwSignal::new(None),
        loading: RwSignal::new(false),
        no_history: RwSignal::new(false),
        left_at: RwSignal::new(None),
        scroll: NodeRef::new(),
        text: NodeRef::new(),
    };
    let rows = Memo::new(move |_| {
        let reader = desk.reader();
        desk.thread.with(|thread| thread.rows(&reader))
    });
    Effect::new(move |started: Option<()>| {
        if started.is_none() {
            desk.restore_draft();
            live::hear(move |what| desk.hear(what));
            live::every_second(move || desk.tick());
            live::on_visibility(move || desk.attend());
            desk.attend();
        }
    });

    let typing = move || {
        let names: Vec<_> = desk
            .thread
            .with(|thread| thread.typing().collect::<Vec<_>>());
        let names: Vec<_> = names.into_iter().map(|who| desk.given(who)).collect();
        let verb = if names.len() == 1 { "is" } else { "are" };
        together(&names)
            .map(|who| format!("{who} {verb} writing"))
            .unwrap_or_default()
    };
    let below = move || {
        let left = desk.left_at.get()?;
        let count = desk.thread.with(|thread| thread.after(left));
        (count > 0).then(|| {
            view! {
                <button type="button" class="btn btn--small thread__below" on:click=move |_| desk.to_end()>
                    <Icon glyph=Glyph::Down size=16 />
                    {format!("{count} new below")}
                </button>
            }
        })
    };
    let others = room.members.saturating_sub(1);
    let placeholder = match others {
        0 | 1 => format!("Write to {}", room.title),
        _ => format!("Write to {} people", room.members),
    };
    let audience = match room.reviewable_by {
        0 => "Reviewable by nobody".to_owned(),
        1 => "Reviewable by 1 person".to_owned(),
        many => format!("Reviewable by {many} people"),
    };
    let invalid = room.error.is_some();

    view! {
        <div
            class="pane__scroll thread"
            tabindex="0"
            role="log"
            aria-label=format!("Messages in {}", room.title)
            aria-busy=move || desk.loading.get().then_some("true")
            node_ref=desk.scroll
            on:scroll=move |_| desk.scrolled()
        >
            <ol class="msgs">
                {move || {
                    desk.thread
                        .with(Thread::before)
                        .map(|before| {
                            view! {
                                <li class="thread__earlier">
                                    <a
                                        class="btn btn--small btn--quiet"
                                        href=format!("/chat/{conversation}?before={before}")
                                        on:click=move |event| {
                                            if !desk.no_history.get_untracked() {
                                                event.prevent_default();
                                                desk.history();
                                            }
                                        }
                                    >
                                        <Icon glyph=Glyph::Up size=16 />
                                        "Earlier messages"
                                    </a>
                                </li>
                            }
                        })
                }}
                <For each=move || rows.get() key=Row::key let:row>
                    {drawn(desk, row)}
                </For>
            </ol>
        </div>
        <div class="thread__foot">
            {below}
            <p class="small muted typing" aria-live="polite">
                {typing}
            </p>
            <p class="thread__offline small" role="status">
                {move || desk.offline.get()}
            </p>
            <form
                class="composer"
                method="post"
                action=format!("/chat/{conversation}/messages")
                aria-label=format!("Write to {}", room.title)
                on:submit=move |event: ev::SubmitEvent| {
                    event.prevent_default();
                    desk.write();
                }
            >
                <input type="hidden" name="client_id" value=room.client_id />
                <label class="visually-hidden" for="message">
                    "Message"
                </label>
                <textarea
                    class="composer__text"
                    id="message"
                    name="body"
                    rows="1"
                    maxlength=BODY_MAX.to_string()
                    placeholder=placeholder
                    required=true
                    aria-invalid=invalid.then_some("true")
                    aria-describedby=invalid.then_some("message-error")
                    node_ref=desk.text
                    on:input=move |_| desk.typed()
                    on:keydown=move |event: ev::KeyboardEvent| {
                        if event.key() == "Enter" && !event.shift_key() && !event.is_composing() {
                            event.prevent_default();
                            desk.write();
                        }
                    }
                >
                    {room.typed}
                </textarea>
                {room
                    .error
                    .map(|error| {
                        view! {
                            <p class="field__error composer__error" id="message-error">
                                <Icon glyph=Glyph::Stop size=14 />
                                <span>{error}</span>
                            </p>
                        }
                    })}
                <div class="composer__bar">
                    <span class="audience small muted" title=audience.clone()>
                        <Icon glyph=Glyph::Eye size=14 />
                        <span class="not-narrow">{audience.clone()}</span>
                    </span>
                    <button type="submit" class="btn btn--primary btn--small">
                        <Icon glyph=Glyph::Send />
                        "Send"
                    </button>
                </div>
            </form>
        </div>
    }
}

/// A line of a thread: a heading, or a message and how far it is.
fn drawn(desk: Desk, row: Row) -> AnyView {
    let said = match row {
        Row::Message(said) => said,
        heading => return heading_line(heading),
    };
    let below = said
        .client_id
        .clone()
        .map(|client_id| move || fate(desk, client_id.clone()));
    let face = desk.face(said.sender);
    message_line(
        &said,
        face,
        &desk.eyes.with_value(Eyes::reader),
        below.into_any(),
    )
}

/// The heading over a day, or over what is new.
pub fn heading_line(row: Row) -> AnyView {
    let (class, words) = match row {
        Row::Day { words, .. } => ("day", words),
        Row::New { words, .. } => ("day day--new", words),
        Row::Message(_) => return ().into_any(),
    };
    view! {
        <li>
            <p class=class>
                <span>{words}</span>
            </p>
        </li>
    }
    .into_any()
}

/// A message as everybody in the conversation sees it.
pub fn message_line(said: &Said, face: Face, reader: &Reader, below: AnyView) -> AnyView {
    let (iso, time) = (format::iso(said.at), reader.time(said.at));
    let body = said.body.clone();
    if said.first {
        let name = face.name.clone();
        view! {
            <li class="msg msg--first">
                <div class="msg__side">
                    <Avatar face=face />
                </div>
                <div>
                    <p class="msg__head">
                        <span class="name">{name}</span>
                        <Time iso=iso text=time />
                    </p>
                    <Body text=body />
                    {below}
                </div>
            </li>
        }
        .into_any()
    } else {
        view! {
            <li class="msg">
                <div class="msg__side">
                    <Time iso=iso text=time />
                </div>
                <div>
                    <span class="visually-hidden">{format!("{}: ", face.name)}</span>
                    <Body text=body />
                    {below}
                </div>
            </li>
        }
        .into_any()
    }
}

/// What is said under an own message that was written here.
fn fate(desk: Desk, client_id: String) -> AnyView {
    let (fate, last) = desk
        .thread
        .with(|thread| (thread.fate(&client_id), thread.is_last_own(&client_id)));
    let note = |words: String| view! { <p class="msg__meta">{words}</p> }.into_any();
    match fate {
        Fate::Sending => note("Sending".into()),
        Fate::Waiting => note("Waits for the connection".into()),
        Fate::Sent if last => {
            let seen: Vec<_> = desk
                .thread
                .with(|thread| thread.seen_by().collect::<Vec<_>>());
            let seen: Vec<_> = seen.into_iter().map(|who| desk.given(who)).collect();
            note(together(&seen).map_or_else(|| "Sent".to_owned(), |who| format!("Seen by {who}")))
        }
        Fate::Sent => ().into_any(),
        Fate::Failed(code) => {
            let why = match code.as_str() {
                "timeout" => "Not sent: no answer came.",
                "busy" | "too_many_attempts" => "Not sent: there is too much to do just now.",
                "not_found" | "forbidden" => "Not sent: you are no longer in this conversation.",
                "invalid" | "too_long" | "control_characters" => {
                    "Not sent: it is too long or cannot be read."
                }
                _ => "Not sent.",
            };
            view! {
                <p class="msg__meta msg__meta--failed">
                    <Icon glyph=Glyph::Stop size=14 />
                    <span>{why}</span>
                    <button
                        type="button"
                        class="btn btn--small btn--quiet"
                        on:click=move |_| {
                            if code == "timeout" {
                                live::reconnect();
                            }
                            desk.apply(Input::Retry(client_id.clone()));
                        }
                    >
                        "Retry"
                    </button>
                </p>
            }
            .into_any()
        }
    }
}

/// A conversation in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which.
    pub id: ConversationId,
    /// What it is called.
    pub title: String,
    /// The other person of two; none for a group.
    pub other: Option<EmployeeId>,
    /// The last message, in a line.
    pub last: String,
    /// When it was sent, or when the conversation began.
    pub at: DateTime<Utc>,
    /// The place of the last message.
    pub last_seq: i64,
    /// How many the person has not seen.
    pub unread: u64,
}

/// The list beside a thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelf {
    /// The conversations, the latest first.
    pub entries: Vec<Entry>,
    /// Which one is open.
    pub current: Option<ConversationId>,
    /// Who looks.
    pub me: EmployeeId,
    /// The people with a name in the list.
    pub people: BTreeMap<EmployeeId, Face>,
    /// How the page is read.
    pub eyes: Eyes,
}

impl Shelf {
    /// A message in a line: whose it is and its words.
    #[must_use]
    pub fn line(&self, group: bool, sender: EmployeeId, body: &str) -> String {
        let words: String = body
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .take(120)
            .collect();
        if sender == self.me {
            return format!("You: {words}");
        }
        match self.people.get(&sender).filter(|_| group) {
            Some(face) => format!("{}: {words}", given(&face.name)),
            None => words,
        }
    }

    /// Takes in a frame. The order stays: nothing moves under somebody's finger.
    pub fn hear(&mut self, frame: &ServerFrame) {
        match frame {
            ServerFrame::Message {
                conversation,
                seq,
                sender,
                body,
                sent_at,
                ..
            } => {
                let Some(at) = self
                    .entries
                    .iter()
                    .position(|entry| entry.id == *conversation)
                else {
                    let title = self
                        .people
                        .get(sender)
                        .map_or("New conversation", |face| &face.name)
                        .to_owned();
                    self.entries.insert(
                        0,
                        Entry {
                            id: *conversation,
                            title,
                            other: self.people.contains_key(sender).then_some(*sender),
                            last: self.line(false, *sender, body),
                            at: *sent_at,
                            last_seq: *seq,
                            unread: 1,
                        },
                    );
                    return;
                };
                let line = self.line(self.entries[at].other.is_none(), *sender, body);
                let open = self.current == Some(*conversation);
                let mine = *sender == self.me;
                let entry = &mut self.entries[at];
                if *seq > entry.last_seq {
                    entry.last = line;
                    entry.at = *sent_at;
                    entry.last_seq = *seq;
                    entry.unread = if open || mine { 0 } else { entry.unread + 1 };
                }
            }
            ServerFrame::Read {
                conversation,
                employee,
                seq,
            } if *employee == self.me => {
                if let Some(entry) = self
                    .entries
                    .iter_mut()
                    .find(|entry| entry.id == *conversation)
                {
                    entry.unread = entry
                        .unread
                        .min(u64::try_from(entry.last_seq - seq).unwrap_or(0));
                }
            }
            _ => {}
        }
    }
}

/// Who is here now, as far as the server has said.
fn presences() -> RwSignal<BTreeMap<EmployeeId, bool>> {
    let presences = RwSignal::new(BTreeMap::new());
    Effect::new(move |started: Option<()>| {
        if started.is_none() {
            live::hear(move |what| match what {
                Live::Frame(ServerFrame::Presence { employee, online }) => {
                    presences.update(|known| {
                        known.insert(*employee, *online);
                    });
                }
                Live::Closed => presences.set(BTreeMap::new()),
                _ => {}
            });
        }
    });
    presences
}

fn presence(known: RwSignal<BTreeMap<EmployeeId, bool>>, who: EmployeeId) -> Option<Presence> {
    known.with(|known| {
        known.get(&who).map(|online| {
            if *online {
                Presence::Online
            } else {
                Presence::Offline
            }
        })
    })
}

/// The conversations, with what is new in them.
#[island]
pub fn ChatList(
    /// The conversations.
    shelf: Shelf,
) -> impl IntoView {
    let reader = shelf.eyes.reader();
    let known = presences();
    let shelf = RwSignal::new(shelf);
    Effect::new(move |started: Option<()>| {
        if started.is_none() {
            live::hear(move |what| {
                if let Live::Frame(
                    frame @ (ServerFrame::Message { .. } | ServerFrame::Read { .. }),
                ) = what
                {
                    shelf.update(|shelf| shelf.hear(frame));
                }
            });
        }
    });
    let ids = move |groups: bool| {
        Memo::new(move |_| {
            shelf.with(|shelf| {
                shelf
                    .entries
                    .iter()
                    .filter(|entry| entry.other.is_none() == groups)
                    .map(|entry| entry.id)
                    .collect::<Vec<_>>()
            })
        })
    };
    let section = move |label: &'static str, heading: &'static str, groups: bool| {
        let ids = ids(groups);
        view! {
            <h2 class="pane__label" id=heading hidden=move || ids.with(Vec::is_empty)>
                {label}
            </h2>
            <ul class="convs" aria-labelledby=heading>
                <For each=move || ids.get() key=|id| *id let:id>
                    <li>{entry(shelf, known, reader, id)}</li>
                </For>
            </ul>
        }
    };
    view! {
        {section("People", "chat-people", false)}
        {section("Groups", "chat-groups", true)}
    }
}

fn entry(
    shelf: RwSignal<Shelf>,
    known: RwSignal<BTreeMap<EmployeeId, bool>>,
    reader: Reader,
    id: ConversationId,
) -> AnyView {
    let this = Memo::new(move |_| {
        shelf.with(|shelf| shelf.entries.iter().find(|entry| entry.id == id).cloned())
    });
    let Some(start) = this.get_untracked() else {
        return ().into_any();
    };
    let current = shelf.with_untracked(|shelf| shelf.current == Some(id));
    let face = start.other.map(|other| {
        let face = shelf.with_untracked(|shelf| shelf.people.get(&other).cloned());
        (
            other,
            face.unwrap_or_else(|| Face::new(&other.0, start.title.clone())),
        )
    });
    let unread = move || this.with(|entry| entry.as_ref().map_or(0, |entry| entry.unread));
    let sign = match face {
        Some((other, face)) => {
            (move || view! { <Avatar face=face.clone() size=28 presence=presence(known, other) /> })
                .into_any()
        }
        None => view! {
            <span class="conv__room">
                <Icon glyph=Glyph::Hash size=16 />
            </span>
        }
        .into_any(),
    };
    view! {
        <a class="conv" href=format!("/chat/{id}") aria-current=current.then_some("page")>
            {sign}
            <span class="conv__text">
                <span class="conv__top">
                    <span class="name clip" class:conv__name--new=move || { unread() > 0 }>
                        {start.title}
                    </span>
                    {move || {
                        this.get().map(|entry| {
                            view! { <Time class="small muted" iso=format::iso(entry.at) text=reader.short(entry.at) /> }
                        })
                    }}
                </span>
                <span class="conv__last">
                    <span class="clip">{move || this.get().map(|entry| entry.last).unwrap_or_default()}</span>
                    {move || view! { <Count count=unread() what="unread" tone=Tone::Accent /> }}
                </span>
            </span>
        </a>
    }
    .into_any()
}

/// A person in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub id: EmployeeId,
    /// Name and picture.
    pub face: Face,
    /// The job title.
    pub title: Option<String>,
}

/// The people of a conversation, and which of them are here.
#[island]
pub fn ChatMembers(
    /// The people.
    members: Vec<Member>,
) -> impl IntoView {
    let known = presences();
    let rows = members
        .into_iter()
        .map(|member| {
            let (id, face) = (member.id, member.face.clone());
            view! {
                <li>
                    <span class="person">
                        {move || view! { <Avatar face=face.clone() size=24 presence=presence(known, id) /> }}
                        <span class="person__text">
                            <a class="person__name" href=format!("/people/{id}")>
                                {member.face.name}
                            </a>
                            {member.title.map(|title| view! { <span class="person__sub clip">{title}</span> })}
                        </span>
                    </span>
                </li>
            }
        })
        .collect_view();
    view! { <ul class="stack stack--tight">{rows}</ul> }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ME: EmployeeId = EmployeeId(Uuid::from_u128(1));
    const NOAH: EmployeeId = EmployeeId(Uuid::from_u128(2));

    fn room(tail: u128) -> ConversationId {
        ConversationId(Uuid::from_u128(tail))
    }

    fn shelf() -> Shelf {
        let now = DateTime::UNIX_EPOCH;
        let entry = |tail, other| Entry {
            id: room(tail),
            title: format!("Room {tail}"),
            other,
            last: String::new(),
            at: now,
            last_seq: 4,
            unread: 0,
        };
        Shelf {
            entries: vec![entry(10, Some(NOAH)), entry(11, None)],
            current: Some(room(11)),
            me: ME,
            people: BTreeMap::from([(NOAH, Face::new(&NOAH.0, "Noah Petersen"))]),
            eyes: Eyes {
                locale: "en-GB".into(),
                minutes_east: 0,
                now,
            },
        }
    }

    fn message(
        conversation: ConversationId,
        seq: i64,
        sender: EmployeeId,
        body: &str,
    ) -> ServerFrame {
        ServerFrame::Message {
            conversation,
            seq,
            id: domain::MessageId(Uuid::from_u128(9)),
            sender,
            body: body.into(),
            sent_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_is_new_is_counted_once_and_not_where_one_is() {
        let mut shelf = shelf();
        let new = message(room(10), 5, NOAH, "Two\nlines");
        shelf.hear(&new);
        shelf.hear(&new);
        shelf.hear(&message(room(11), 5, NOAH, "Seen"));
        assert_eq!((shelf.entries[0].unread, shelf.entries[1].unread), (1, 0));
        assert_eq!(shelf.entries[0].last, "Two lines");
        assert_eq!(shelf.entries[1].last, "Noah: Seen");
        shelf.hear(&ServerFrame::Read {
            conversation: room(10),
            employee: ME,
            seq: 5,
        });
        assert_eq!(shelf.entries[0].unread, 0);
    }

    #[test]
    fn own_words_are_not_new() {
        let mut shelf = shelf();
        shelf.hear(&message(room(10), 5, ME, "Mine"));
        assert_eq!(
            (shelf.entries[0].unread, shelf.entries[0].last.as_str()),
            (0, "You: Mine")
        );
    }

    #[test]
    fn a_conversation_that_began_meanwhile_is_there() {
        let mut shelf = shelf();
        shelf.hear(&message(room(12), 1, NOAH, "Hello"));
        assert_eq!(
            (shelf.entries[0].id, shelf.entries[0].title.as_str()),
            (room(12), "Noah Petersen")
        );
        assert_eq!(shelf.entries[0].unread, 1);
    }

    #[test]
    fn names_are_told_together() {
        let names = |count: usize| {
            ["Noah", "Marta", "Owen"][..count]
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(together(&names(0)), None);
        assert_eq!(together(&names(1)).as_deref(), Some("Noah"));
        assert_eq!(together(&names(2)).as_deref(), Some("Noah and Marta"));
        assert_eq!(together(&names(3)).as_deref(), Some("3 people"));
    }
}

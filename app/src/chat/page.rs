//! The list of conversations, and a conversation between list and details.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    extract::{Path, Query},
    response::Response,
};
use domain::{ConversationId, EmployeeId, chat::Message, text::fold};
use leptos::prelude::*;
use serde::Deserialize;
use store::{
    chat::{Conversation, Kind, Range},
    org::Snapshot,
    people::PersonCard,
    review::Reviewer,
};

use super::{
    island::{
        ChatList, ChatMembers, ChatThread, Entry, Eyes, Member, Room, Shelf, given, heading_line,
        message_line,
    },
    thread::{Row, Said, Start, rows},
};
use crate::{
    edge::{AppError, Visit, face, id},
    review::words::relation,
    ui::{
        Avatars, Door, EmptyState, Face, Glyph, Icon, IconLink, Layout, LinkButton, Look, Person,
        Search, Status, Tone,
        format::{Reader, counted},
    },
    words::percent,
};

/// How a conversation is looked at.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    /// Words to narrow the list to.
    #[serde(default)]
    q: String,
    /// Only messages before this place.
    before: Option<i64>,
    /// `details` in a narrow window.
    #[serde(default)]
    pane: String,
}

fn eyes(visit: &Visit) -> Eyes {
    let reader = &visit.reader;
    Eyes {
        locale: visit.me.locale.clone(),
        minutes_east: reader.zone.offset_minutes(reader.now),
        now: reader.now,
    }
}

/// What the list shows of the viewer's conversations; `current` is read by this very page.
fn shelf(
    conversations: &[Conversation],
    me: EmployeeId,
    eyes: Eyes,
    current: Option<ConversationId>,
    q: &str,
) -> Shelf {
    let mut shelf = Shelf {
        entries: Vec::new(),
        current,
        me,
        people: BTreeMap::new(),
        eyes,
    };
    let words = fold(q);
    let found = |one: &&Conversation| {
        words
            .split_whitespace()
            .all(|word| fold(&one.title).contains(word))
    };
    for one in conversations.iter().filter(found) {
        let other = match one.kind {
            Kind::Direct => one.members.iter().find(|member| member.id != me),
            Kind::Group => None,
        };
        let sender = one
            .last
            .as_ref()
            .and_then(|last| one.members.iter().find(|member| member.id == last.sender));
        for person in other.into_iter().chain(sender) {
            shelf
                .people
                .entry(person.id)
                .or_insert_with(|| face(person));
        }
        let unread = u64::try_from(one.last_seq - one.read_seq).unwrap_or(0);
        shelf.entries.push(Entry {
            id: one.id,
            title: one.title.clone(),
            // Somebody who left is no member any more, but it is still about two.
            other: match one.kind {
                Kind::Direct => Some(other.map_or(EmployeeId(one.id.0), |other| other.id)),
                Kind::Group => None,
            },
            last: one.last.as_ref().map_or_else(
                || "Nothing written yet".to_owned(),
                |last| shelf.line(one.kind == Kind::Group, last.sender, &last.body),
            ),
            at: one
                .last
                .as_ref()
                .map_or(one.created_at, |last| last.sent_at),
            last_seq: one.last_seq,
            unread: if current == Some(one.id) { 0 } else { unread },
        });
    }
    shelf
}

/// The left pane.
fn list_pane(shelf: Shelf, q: String) -> AnyView {
    let none = shelf.entries.is_empty();
    let action = shelf
        .current
        .map_or_else(|| "/chat".to_owned(), |id| format!("/chat/{id}"));
    let heading = if shelf.current.is_some() {
        view! { <h2 id="chat-list" class="pane__title pane__title--list">"Chat"</h2> }.into_any()
    } else {
        view! { <h1 id="chat-list" class="pane__title pane__title--list">"Chat"</h1> }.into_any()
    };
    let sentence = if q.is_empty() {
        "No conversation yet."
    } else {
        "No conversation has these words in its name."
    };
    view! {
        <section class="pane pane--list" aria-labelledby="chat-list">
            <header class="pane__head">
                {heading}
                <div class="push row">
                    <LinkButton text="New" href="/chat/new" height=crate::ui::Height::Small icon=Some(Glyph::Plus) />
                </div>
            </header>
            <form role="search" aria-label="Conversations" class="pane__search" method="get" action=action>
                <Search label="Find a conversation" value=q scope="chat" />
            </form>
            <div class="pane__scroll" tabindex="0" role="region" aria-label="Conversation list">
                <ChatList shelf=shelf />
                {none.then(|| view! { <p class="pane__none small muted">{sentence}</p> })}
            </div>
        </section>
    }
    .into_any()
}

/// `GET /chat`
pub async fn list(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, AppError> {
    let conversations = visit.portal.store.conversations(&visit.viewer).await?;
    let q: String = wanted.q.chars().take(200).collect();
    let any = !conversations.is_empty();
    let shelf = shelf(&conversations, visit.me.person.id, eyes(&visit), None, &q);
    visit
        .laid_out("Chat", Door::Chat, Layout::Panes, "chat chat--list", None, move || {
            let (title, sentence) = if any {
                ("Choose a conversation", "The newest stand first. What you have not seen is counted.")
            } else {
                ("No conversation yet", "Write to one person, or make a group and give it a name.")
            };
            view! {
                {list_pane(shelf, q)}
                <section class="pane pane--thread" aria-label="Conversation">
                    <EmptyState glyph=Glyph::Chat title=title sentence=sentence>
                        <LinkButton text="Write to somebody" href="/chat/new" look=Look::Primary />
                    </EmptyState>
                </section>
            }
        })
        .await
}

/// `GET /chat/{id}`
pub async fn show(
    visit: Visit,
    Path(conversation): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, AppError> {
    let conversation = ConversationId(id(&conversation)?);
    let (store, viewer) = (&visit.portal.store, &visit.viewer);
    let one = store.conversation(viewer, conversation).await?;
    let range = Range {
        before_seq: wanted.before,
        ..Range::default()
    };
    let messages = store.messages(viewer, conversation, range).await?;
    if wanted.before.is_none() && messages.last_seq > one.read_seq {
        store
            .mark_read(viewer, conversation, messages.last_seq)
            .await?;
    }
    let conversations = store.conversations(viewer).await?;
    let senders: BTreeSet<_> = messages
        .items
        .iter()
        .map(|message| message.sender)
        .collect();
    let absent: Vec<_> = senders
        .into_iter()
        .filter(|id| one.members.iter().all(|member| member.id != *id))
        .collect();
    let absent = store.cards(viewer, &absent).await?;
    let people: BTreeMap<_, _> = one
        .members
        .iter()
        .chain(absent.values())
        .map(|person| (person.id, face(person)))
        .collect();

    let me = visit.me.person.id;
    let snapshot = store.chart();
    let reviewers = if one.reviewable_by > 0 {
        store.reviewers(viewer).await?
    } else {
        Vec::new()
    };
    let reviewers = reviewed_by(&one, me, reviewers, &snapshot);

    let fresh: [u8; 16] = store.random();
    let fresh = fresh
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    let kept = visit.flash.kept(&format!("/chat/{conversation}/messages"));
    let left_out = kept.came_back().then(|| kept.error("body")).flatten();
    let eyes = eyes(&visit);
    let q: String = wanted.q.chars().take(200).collect();
    let shelf = shelf(&conversations, me, eyes.clone(), Some(conversation), &q);
    let main_class = if wanted.pane == "details" {
        "chat chat--details"
    } else {
        "chat"
    };
    let title = one.title.clone();
    visit
        .laid_out(
            &title,
            Door::Chat,
            Layout::Panes,
            main_class,
            None,
            move || {
                let thread = if wanted.before.is_some() {
                    earlier(
                        &one,
                        messages.items,
                        messages.earlier,
                        &people,
                        &eyes.reader(),
                    )
                } else {
                    let room = Room {
                        start: Start {
                            conversation,
                            me,
                            messages: messages.items,
                            last_seq: messages.last_seq,
                            read_seq: one.read_seq,
                            earlier: messages.earlier,
                        },
                        title: one.title.clone(),
                        members: one.members.len(),
                        people,
                        reviewable_by: one.reviewable_by,
                        eyes,
                        // The same id as before, so that a form sent again is still one message.
                        client_id: kept.value("client_id", &fresh),
                        typed: kept.value("body", ""),
                        error: left_out,
                    };
                    view! { <ChatThread room=room /> }.into_any()
                };
                view! {
                    {list_pane(shelf, q)}
                    <section class="pane pane--thread" aria-labelledby="thread-title">
                        {thread_head(&one, me)}
                        {thread}
                    </section>
                    {details(&one, reviewers)}
                }
            },
        )
        .await
}

fn thread_head(one: &Conversation, me: EmployeeId) -> AnyView {
    let sub = match one.kind {
        Kind::Group => counted(one.members.len() as u64, "person", "people"),
        Kind::Direct => one
            .members
            .iter()
            .find(|member| member.id != me)
            .and_then(|member| member.title.clone())
            .unwrap_or_else(|| "Direct".to_owned()),
    };
    let faces: Vec<Face> = one
        .members
        .iter()
        .filter(|member| member.id != me)
        .map(face)
        .collect();
    view! {
        <header class="pane__head">
            <IconLink glyph=Glyph::Left label="Back to conversations" href="/chat" class="only-narrow" />
            <div class="pane__headline">
                <h1 id="thread-title" class="pane__title">{one.title.clone()}</h1>
                <p class="small muted clip">{sub}</p>
            </div>
            <div class="push row">
                <Avatars faces=faces />
                <IconLink
                    glyph=Glyph::Info
                    label="Details"
                    href=format!("/chat/{}?pane=details", one.id)
                    class="only-medium"
                />
            </div>
        </header>
    }
    .into_any()
}

/// Messages before a place, without the composer: the newest are a link away.
fn earlier(
    one: &Conversation,
    messages: Vec<Message>,
    more: bool,
    people: &BTreeMap<EmployeeId, Face>,
    reader: &Reader,
) -> AnyView {
    let first = messages.first().map(|message| message.seq).filter(|_| more);
    let said = messages.into_iter().map(|message| Said {
        seq: Some(message.seq),
        client_id: None,
        sender: message.sender,
        first: true,
        at: message.sent_at,
        body: message.body,
    });
    let lines = rows(said, None, reader)
        .into_iter()
        .map(|row| match row {
            Row::Message(said) => {
                let face = people
                    .get(&said.sender)
                    .cloned()
                    .unwrap_or_else(|| Face::new(&said.sender.0, "Somebody who left"));
                message_line(&said, face, reader, ().into_any())
            }
            heading => heading_line(heading),
        })
        .collect_view();
    view! {
        <div class="pane__scroll thread" tabindex="0" role="region" aria-label=format!("Earlier messages in {}", one.title)>
            <ol class="msgs">
                {first
                    .map(|before| {
                        view! {
                            <li class="thread__earlier">
                                <a class="btn btn--small btn--quiet" href=format!("/chat/{}?before={before}", one.id)>
                                    <Icon glyph=Glyph::Up size=16 />
                                    "Earlier messages"
                                </a>
                            </li>
                        }
                    })}
                {lines}
            </ol>
        </div>
        <div class="thread__foot">
            <p class="thread__back small muted">
                "These are earlier messages. "
                <a href=format!("/chat/{}", one.id)>"Go to the newest"</a>
            </p>
        </div>
    }
    .into_any()
}

/// Each who may review the viewer, and over whom of the members, or by which other relation.
fn reviewed_by(
    one: &Conversation,
    me: EmployeeId,
    reviewers: Vec<Reviewer>,
    snapshot: &Snapshot,
) -> Vec<(PersonCard, String)> {
    reviewers
        .into_iter()
        .map(|reviewer| {
            let superior = reviewer.person.id;
            if let Some(relation) = relation(reviewer.by, reviewer.on_behalf_of.as_ref()) {
                return (reviewer.person, format!("Over you, {relation}"));
            }
            let mut over = vec!["you".to_owned()];
            let others = one
                .members
                .iter()
                .filter(|member| member.id != me && snapshot.chart.oversees(superior, member.id))
                .map(|member| given(&member.display_name).to_owned());
            over.extend(others);
            let words = match over.len() {
                many if many > 1 && many == one.members.len() => "Over everybody here".to_owned(),
                many if many > 4 => format!("Over you and {} others", many - 1),
                _ => format!("Over {}", over.join(", ")),
            };
            (reviewer.person, words)
        })
        .collect()
}

/// The right pane: who may review, who is in it, and ways out.
fn details(one: &Conversation, reviewers: Vec<(PersonCard, String)>) -> AnyView {
    let group = one.kind == Kind::Group;
    let nobody = reviewers.is_empty();
    let members = one
        .members
        .iter()
        .map(|member| Member {
            id: member.id,
            face: face(member),
            title: member.title.clone(),
        })
        .collect::<Vec<_>>();
    let id = one.id;
    view! {
        <aside class="pane pane--details" aria-label="Conversation details">
            <header class="pane__head pane__head--details">
                <IconLink glyph=Glyph::Left label="Back to the messages" href=format!("/chat/{id}") />
                <p class="pane__title">"Details"</p>
            </header>
            <div class="pane__scroll pane__scroll--pad" tabindex="0" role="region" aria-label="Details">
                <section class="stack stack--tight" aria-labelledby="who-reviews">
                    <h2 class="compact row" id="who-reviews">
                        <Icon glyph=Glyph::Eye size=16 />
                        "Who may review your words"
                    </h2>
                    {if nobody {
                        view! {
                            <Status text="Nobody may review them" tone=Tone::Neutral />
                        }
                            .into_any()
                    } else {
                        view! {
                            <p class="small muted">
                                "Your superiors may read what you write here if they give a reason. Each look is recorded and shown under "
                                <a href="/looked-at">"Who looked"</a> "."
                            </p>
                            <ul class="card list reviewers">
                                {reviewers
                                    .into_iter()
                                    .map(|(person, over)| {
                                        view! {
                                            <li>
                                                <Person face=face(&person) sub=over />
                                            </li>
                                        }
                                    })
                                    .collect_view()}
                            </ul>
                        }
                            .into_any()
                    }}
                </section>
                <section aria-labelledby="members">
                    <h2 class="aside-title" id="members">
                        "Members "
                        {group.then(|| view! { <a href=format!("/chat/{id}/members")>"Add people"</a> })}
                    </h2>
                    <ChatMembers members=members />
                </section>
                {group
                    .then(|| {
                        view! {
                            <details class="leave">
                                <summary class="compact">"Leave this group"</summary>
                                <form class="stack stack--tight" method="post" action=format!("/chat/{id}/leave")>
                                    <p class="small muted">
                                        "You will not see what is written after. What you wrote stays."
                                    </p>
                                    <div>
                                        <crate::ui::Button
                                            text="Leave group"
                                            look=Look::Critical
                                            height=crate::ui::Height::Small
                                            icon=Some(Glyph::Leave)
                                        />
                                    </div>
                                </form>
                            </details>
                        }
                    })}
            </div>
        </aside>
    }
    .into_any()
}

/// The address that finds `q` and keeps who is chosen.
pub(super) fn choosing(path: &str, chosen: &[EmployeeId], q: &str) -> String {
    let mut address = format!("{path}?q={}", percent(q));
    for one in chosen {
        address += &format!("&with={one}");
    }
    address
}

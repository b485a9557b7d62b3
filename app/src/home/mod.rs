//! The start page: what waits, and where to go.

use axum::{Router, response::Response, routing::get};
use leptos::prelude::*;
use store::chat::{Conversation, Kind};

use crate::{
    chat::island::given,
    edge::{AppError, Visit, face},
    portal::Portal,
    source::leavers,
    ui::{
        Avatar, Card, Count, Door, EmptyState, Face, Glyph, Icon, LinkButton, Look, PageHead,
        Person, Time, Tone,
        format::{self, Reader},
    },
};

/// The start page.
pub fn routes() -> Router<Portal> {
    Router::new().route("/", get(show))
}

const CONVERSATIONS: usize = 8;

/// `GET /`
async fn show(visit: Visit) -> Result<Response, AppError> {
    let store = &visit.portal.store;
    let mut conversations = store.conversations(&visit.viewer).await?;
    let unread = conversations
        .iter()
        .filter(|one| one.last_seq > one.read_seq)
        .count();
    conversations.truncate(CONVERSATIONS);
    let place = store.place(&visit.viewer, visit.me.person.id).await.ok();
    let looks = store.looked_at(&visit.viewer, None).await?.items;
    let reviews: Vec<_> = store
        .reviews(&visit.viewer)
        .await?
        .into_iter()
        .filter(|review| review.ended_at.is_none() && review.expires_at > visit.reader.now)
        .collect();
    let leaving = leavers::waiting(&visit).await?;
    let reader = visit.reader;
    let me = visit.me.person.clone();
    let given = me
        .display_name
        .split(' ')
        .next()
        .unwrap_or_default()
        .to_owned();
    visit
        .page("Home", Door::Home, move || {
            let sentence = match unread {
                0 => format!("{}. Nothing new since you were here.", reader.today()),
                1 => format!("{}. One conversation has something new.", reader.today()),
                n => format!("{}. {n} conversations have something new.", reader.today()),
            };
            view! {
                <div class="page columns">
                    <div class="stack stack--loose">
                        <PageHead title=format!("{}, {given}", greeting(&reader)) sentence=sentence>
                            <LinkButton text="Write to somebody" href="/chat/new" look=Look::Primary icon=Some(Glyph::Chat) />
                        </PageHead>
                        {leaving.iter().map(|waiting| leavers::banner(waiting, &reader)).collect_view()}
                        <Conversations conversations=conversations reader=reader me=me.id />
                    </div>
                    <aside class="stack stack--loose" aria-label="For you">
                        {(!reviews.is_empty())
                            .then(|| {
                                view! {
                                    <section aria-labelledby="open-reviews">
                                        <h2 class="aside-title" id="open-reviews">"Your open reviews"</h2>
                                        <ul class="card list">
                                            {reviews
                                                .into_iter()
                                                .map(|review| {
                                                    row(
                                                        format!("/reviews/{}", review.id),
                                                        face(&review.subject),
                                                        review.subject.display_name.clone(),
                                                        format!("until {}", reader.moment_in_sentence(review.expires_at)),
                                                    )
                                                })
                                                .collect_view()}
                                        </ul>
                                    </section>
                                }
                            })}
                        <section aria-labelledby="looked">
                            <h2 class="aside-title" id="looked">"Who looked at your words"</h2>
                            {if looks.is_empty() {
                                view! { <p class="muted">"Nobody has looked."</p> }.into_any()
                            } else {
                                view! {
                                    <ul class="card list">
                                        {looks
                                            .into_iter()
                                            .take(3)
                                            .map(|look| {
                                                row(
                                                    "/looked-at".into(),
                                                    face(&look.who),
                                                    look.who.display_name.clone(),
                                                    reader.moment(look.at),
                                                )
                                            })
                                            .collect_view()}
                                    </ul>
                                }
                                    .into_any()
                            }}
                        </section>
                        {place
                            .map(|place| {
                                view! {
                                    <section aria-labelledby="chain">
                                        <h2 class="aside-title" id="chain">"Your chain"</h2>
                                        <ol class="chain">
                                            {place
                                                .chain
                                                .iter()
                                                .rev()
                                                .chain([&place.person])
                                                .map(|person| {
                                                    view! {
                                                        <li>
                                                            <Person
                                                                face=face(person)
                                                                href=format!("/people/{}", person.id)
                                                                sub=person.title.clone()
                                                            />
                                                        </li>
                                                    }
                                                })
                                                .collect_view()}
                                        </ol>
                                    </section>
                                }
                            })}
                    </aside>
                </div>
            }
        })
        .await
}

fn row(href: String, face: Face, name: String, sub: String) -> impl IntoView {
    view! {
        <li>
            <a class="list-row" href=href>
                <Avatar face=face size=28 />
                <span class="list-row__text">
                    <span class="name">{name}</span>
                    <span class="person__sub">{sub}</span>
                </span>
            </a>
        </li>
    }
}

fn greeting(reader: &Reader) -> &'static str {
    use chrono::Timelike as _;
    match reader.zone.local(reader.now).hour() {
        5..12 => "Good morning",
        12..18 => "Good afternoon",
        _ => "Good evening",
    }
}

#[component]
fn Conversations(
    conversations: Vec<Conversation>,
    reader: Reader,
    me: domain::EmployeeId,
) -> impl IntoView {
    if conversations.is_empty() {
        return view! {
            <EmptyState
                glyph=Glyph::Chat
                title="No conversation yet"
                sentence="Find somebody under People and write the first message."
            >
                <LinkButton text="Find people" href="/people" />
            </EmptyState>
        }
        .into_any();
    }
    let rows = conversations
        .into_iter()
        .map(|one| {
            let group = one.kind == Kind::Group;
            let sign = if group {
                view! {
                    <span class="conv__room">
                        <Icon glyph=Glyph::Hash size=16 />
                    </span>
                }
                .into_any()
            } else {
                let other = one.members.iter().find(|member| member.id != me);
                let face = other.map_or_else(|| Face::new(&one.id.0, one.title.clone()), face);
                view! { <Avatar face=face size=28 /> }.into_any()
            };
            let last = one.last.as_ref().map_or_else(
                || "Nothing written yet".to_owned(),
                |message| {
                    let who = one
                        .members
                        .iter()
                        .find(|member| member.id == message.sender);
                    let who = match who {
                        _ if message.sender == me => "You",
                        // Of two people, the title says who it is.
                        _ if !group => return message.body.clone(),
                        Some(person) => given(&person.display_name),
                        None => "Somebody who left",
                    };
                    format!("{who}: {}", message.body)
                },
            );
            let at = one
                .last
                .as_ref()
                .map_or(one.created_at, |message| message.sent_at);
            let unseen = u64::try_from(one.last_seq - one.read_seq).unwrap_or(0);
            view! {
                <li>
                    <a class="list-row" href=format!("/chat/{}", one.id)>
                        {sign}
                        <span class="list-row__text">
                            <span class="name">{one.title}</span>
                            <span class="person__sub clip">{last}</span>
                        </span>
                        <Time class="small muted push" iso=format::iso(at) text=reader.short(at) />
                        <Count count=unseen what="unseen" tone=Tone::Accent />
                    </a>
                </li>
            }
        })
        .collect_view();
    let all = view! { <a class="push compact" href="/chat">"All conversations"</a> }.into_any();
    view! {
        <Card title="Conversations" id="conversations" end=all flush=true>
            <ul class="list">{rows}</ul>
        </Card>
    }
    .into_any()
}

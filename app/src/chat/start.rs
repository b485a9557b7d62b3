//! Starting a conversation, and adding people to a group: the same choice of people.

use std::collections::BTreeMap;

use axum::{
    extract::{Path, Query},
    response::{IntoResponse, Redirect, Response},
};
use domain::{
    ConversationId, EmployeeId,
    chat::{BODY_MAX, MEMBERS_MAX},
};
use leptos::prelude::*;
use store::{
    chat::Kind,
    people::{DirectoryQuery, PersonCard},
};

use crate::{
    edge::{AppError, Kept, Visit, face, id},
    ui::{
        Avatar, Button, Card, Crumb, Crumbs, Door, EmptyState, Field, Glyph, LinkButton, Look,
        PageHead, Person, Search, Textarea,
    },
};

/// How many people a search shows.
const SHOWN: u32 = 30;

/// What stands in the address: `q`, any number of `with`, and `pick` to choose several.
#[derive(Debug, Default)]
struct Choice {
    q: String,
    with: Vec<EmployeeId>,
    pick: bool,
}

impl Choice {
    fn of(pairs: Vec<(String, String)>) -> Self {
        let mut choice = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "q" => {
                    choice.pick = true;
                    choice.q = value.chars().take(200).collect();
                }
                "with" => choice.with.extend(value.parse::<EmployeeId>().ok()),
                "pick" => choice.pick = true,
                _ => {}
            }
        }
        choice.with.sort_unstable();
        choice.with.dedup();
        choice.with.truncate(MEMBERS_MAX);
        choice
    }
}

/// Whom a search finds and who is chosen already.
struct People {
    q: String,
    chosen: Vec<PersonCard>,
    found: Vec<PersonCard>,
    matching: u64,
}

async fn people(visit: &Visit, choice: Choice, without: &[EmployeeId]) -> Result<People, AppError> {
    let store = &visit.portal.store;
    let with: Vec<_> = choice
        .with
        .into_iter()
        .filter(|id| !without.contains(id))
        .collect();
    let chosen: BTreeMap<_, _> = store.cards(&visit.viewer, &with).await?;
    let query = DirectoryQuery {
        q: choice.q.clone(),
        unit: None,
        cursor: None,
        limit: Some(SHOWN),
    };
    let found = store.directory(&visit.viewer, &query).await?;
    let offered =
        |person: &PersonCard| !without.contains(&person.id) && !chosen.contains_key(&person.id);
    Ok(People {
        q: choice.q,
        found: found.page.items.into_iter().filter(offered).collect(),
        chosen: chosen.into_values().collect(),
        matching: found.matching,
    })
}

/// `GET /chat/new`
pub async fn new(
    visit: Visit,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, AppError> {
    let choice = Choice::of(pairs);
    let me = visit.me.person.id;
    match choice.with[..] {
        [one] if !choice.pick && one != me => to_one(visit, one).await,
        _ => several(visit, choice).await,
    }
}

/// One person: on to the conversation there is, or the first message.
async fn to_one(visit: Visit, other: EmployeeId) -> Result<Response, AppError> {
    let store = &visit.portal.store;
    let person = store.person(&visit.viewer, other).await?;
    let with_them = store
        .conversations(&visit.viewer)
        .await?
        .into_iter()
        .find(|one| {
            one.kind == Kind::Direct && one.members.iter().any(|member| member.id == other)
        });
    if let Some(one) = with_them {
        return Ok(Redirect::to(&format!("/chat/{}", one.id)).into_response());
    }
    let kept = visit.flash.kept("/chat");
    let fresh: [u8; 16] = store.random();
    let fresh: String = fresh.iter().map(|byte| format!("{byte:02x}")).collect();
    let title = format!("Write to {}", person.display_name);
    visit
        .page(&title.clone(), Door::Chat, move || {
            let sub = person.title.clone();
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![Crumb::link("Chat", "/chat"), Crumb::here("New")] />
                    <PageHead title=title />
                    <form class="stack form" method="post" action="/chat">
                        <input type="hidden" name="with" value=other.to_string() />
                        <input type="hidden" name="client_id" value=kept.value("client_id", &fresh) />
                        <div class="row">
                            <Avatar face=face(&person) size=40 />
                            <span class="person__text">
                                <a class="person__name" href=format!("/people/{other}")>{person.display_name.clone()}</a>
                                {sub.map(|sub| view! { <span class="person__sub">{sub}</span> })}
                            </span>
                        </div>
                        <Textarea
                            label="First message"
                            name="body"
                            value=kept.value("body", "")
                            error=kept.error("body")
                            help="Your superiors and theirs may review a conversation if they give a reason. Each look is recorded and shown."
                            optional=true
                            rows=4
                            max_length=u32::try_from(BODY_MAX).ok()
                        />
                        <div class="row">
                            <Button text="Start conversation" look=Look::Primary icon=Some(Glyph::Send) />
                            <LinkButton
                                text="Add more people"
                                href=format!("/chat/new?pick=1&with={other}")
                                look=Look::Quiet
                                icon=Some(Glyph::Plus)
                            />
                        </div>
                    </form>
                </div>
            }
        })
        .await
}

/// Several people: search, tick, name, start.
async fn several(visit: Visit, choice: Choice) -> Result<Response, AppError> {
    let me = visit.me.person.id;
    let kept = visit.flash.kept("/chat");
    let people = people(&visit, choice, &[me]).await?;
    visit
        .page("New conversation", Door::Chat, move || {
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![Crumb::link("Chat", "/chat"), Crumb::here("New")] />
                    <PageHead
                        title="New conversation"
                        sentence="One person makes a direct conversation. Several make a group, which has a name."
                    />
                    <form class="stack stack--loose form" method="get" action="/chat/new">
                        {picker(people, &kept)}
                        <Field
                            label="Name of the group"
                            name="title"
                            value=kept.value("title", "")
                            error=kept.error("title")
                            help="Leave it empty for one person."
                            optional=true
                            max_length=Some(120)
                        />
                        <div class="row">
                            <button class="btn btn--primary" type="submit" formmethod="post" formaction="/chat">
                                "Start conversation"
                            </button>
                            <LinkButton text="Leave it" href="/chat" look=Look::Quiet />
                        </div>
                    </form>
                </div>
            }
        })
        .await
}

/// `GET /chat/{id}/members`
pub async fn add(
    visit: Visit,
    Path(conversation): Path<String>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, AppError> {
    let conversation = ConversationId(id(&conversation)?);
    let one = visit
        .portal
        .store
        .conversation(&visit.viewer, conversation)
        .await?;
    if one.kind != Kind::Group {
        return Err(AppError::not_found());
    }
    let there: Vec<_> = one.members.iter().map(|member| member.id).collect();
    let people = people(&visit, Choice::of(pairs), &there).await?;
    let here = format!("/chat/{conversation}/members");
    let action = here.clone();
    let kept = visit.flash.kept(&here);
    visit
        .page("Add people", Door::Chat, move || {
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![
                        Crumb::link("Chat", "/chat"),
                        Crumb::link(one.title.clone(), format!("/chat/{conversation}")),
                        Crumb::here("Add people"),
                    ] />
                    <PageHead
                        title=format!("Add people to {}", one.title)
                        sentence="They see what is written from now on, not what was written before."
                    />
                    <form class="stack stack--loose form" method="get" action=action>
                        {picker(people, &kept)}
                        <div class="row">
                            <button class="btn btn--primary" type="submit" formmethod="post" formaction=here>
                                "Add people"
                            </button>
                            <LinkButton text="Leave it" href=format!("/chat/{conversation}") look=Look::Quiet />
                        </div>
                    </form>
                </div>
            }
        })
        .await
}

/// The search and the boxes. It belongs into a GET form, so that a search keeps the ticks.
fn picker(people: People, kept: &Kept) -> AnyView {
    let q = people.q.clone();
    let shown = people.found.len();
    let note = if people.matching > u64::from(SHOWN) {
        format!("{shown} of {} shown. Search to narrow it.", people.matching)
    } else {
        String::new()
    };
    let error = kept.error("members");
    let nobody = shown == 0;
    let chosen = (!people.chosen.is_empty()).then(|| {
        view! {
            <fieldset class="pick">
                <legend>"Chosen"</legend>
                {people.chosen.iter().map(|person| tick(person, true)).collect_view()}
            </fieldset>
        }
    });
    let found = if nobody {
        view! {
            <EmptyState glyph=Glyph::People title="Nobody found" sentence="Nobody else has all of these words in name, title, unit, mail or number." />
        }
        .into_any()
    } else {
        view! {
            <fieldset class="pick">
                <legend>"People"</legend>
                {people.found.iter().map(|person| tick(person, false)).collect_view()}
            </fieldset>
        }
        .into_any()
    };
    view! {
        <Card title="Who" id="who">
            <div class="stack">
                <div class="toolbar" role="search" aria-label="People to choose">
                    <Search label="Name, title, unit, mail or number" value=q scope="pick" />
                    <Button text="Search" />
                </div>
                {error
                    .map(|error| {
                        view! {
                            <p class="field__error" role="alert">
                                <span>{error}</span>
                            </p>
                        }
                    })}
                {chosen}
                {found}
                {(!note.is_empty()).then(|| view! { <p class="small muted">{note}</p> })}
            </div>
        </Card>
    }
    .into_any()
}

fn tick(person: &PersonCard, chosen: bool) -> AnyView {
    view! {
        <label class="check pick__one">
            <input type="checkbox" name="with" value=person.id.to_string() checked=chosen />
            <Person face=face(person) sub=person.title.clone() />
        </label>
    }
    .into_any()
}

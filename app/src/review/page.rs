//! A review: what may be read of it, under the band, and the reviewer's own record beside it.

use std::collections::BTreeMap;

use axum::{
    extract::{Path, Query},
    response::Response,
};
use domain::{ConversationId, EmployeeId, ReviewId, review::Notice};
use leptos::prelude::*;
use serde::Deserialize;
use store::{
    people::PersonCard,
    review::{InScope, Look, Review, ReviewPage, ReviewQuery, ReviewedMessage},
};

use super::{marks::marked, words};
use crate::{
    chat::island::given,
    edge::{AppError, Kept, Visit, face, id},
    ui::{
        Avatar, Badge, Banner, Button, Card, Crumb, Crumbs, Door, EmptyState, Fact, Facts, Glyph,
        Height, Icon, Layout, LinkButton, Look as Style, PageHead, Pager, RedactedLine, ReviewBand,
        ReviewFacts, Search, Switch, Textarea, Time, Timeline, TimelineItem, Tone,
        format::{Reader, counted, iso},
    },
    words::percent,
};

/// What to read.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    q: String,
    /// `on`: only the lines with all of the words.
    #[serde(default)]
    only: String,
    #[serde(default)]
    conversation: String,
    #[serde(default)]
    cursor: String,
}

impl Wanted {
    fn address(
        &self,
        review: ReviewId,
        conversation: Option<ConversationId>,
        cursor: Option<&str>,
    ) -> String {
        let conversation = conversation.map(|id| id.to_string()).unwrap_or_default();
        let (q, only) = (percent(&self.q), &self.only);
        let cursor = cursor
            .map(|cursor| format!("&cursor={}", percent(cursor)))
            .unwrap_or_default();
        format!("/reviews/{review}?conversation={conversation}&q={q}&only={only}{cursor}")
    }
}

/// `GET /reviews/{id}`
pub async fn show(
    visit: Visit,
    Path(review): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, AppError> {
    let id = ReviewId(id(&review)?);
    let (store, viewer) = (&visit.portal.store, &visit.viewer);
    let review = store.review(viewer, id).await?;
    let reader = visit.reader;
    let title = format!("Review of {}", review.subject.display_name);
    if !words::is_open(&review, reader.now) {
        let trace = store.review_trace(viewer, id).await?;
        return visit
            .page(&title, Door::Reviews, move || over(review, trace, reader))
            .await;
    }
    let wanted = Wanted {
        q: wanted.q.chars().take(200).collect(),
        ..wanted
    };
    let query = ReviewQuery {
        conversation: wanted.conversation.parse().ok(),
        // Without "only matches" everything is read, and the words are marked in it.
        q: if wanted.only == "on" {
            wanted.q.clone()
        } else {
            String::new()
        },
        cursor: Some(wanted.cursor.clone()).filter(|cursor| !cursor.is_empty()),
        limit: None,
    };
    let scope = store.review_scope(viewer, id).await?;
    let page = store.review_messages(viewer, id, &query).await?;
    let trace = store.review_trace(viewer, id).await?;
    let kept = (
        visit.flash.kept(&format!("/reviews/{id}/end")),
        visit.flash.kept(&format!("/reviews/{id}/extend")),
    );
    visit
        .laid_out(&title, Door::Reviews, Layout::Review, "", None, move || {
            view! {
                {band(&review, scope.len(), &reader)}
                <div class="review">
                    {in_scope(&review, &scope, &wanted, query.conversation, &reader)}
                    {thread(&review, &scope, page, &wanted, &query, &reader)}
                    <aside class="review__side" aria-label="Reason and record">
                        {reason(&review, &reader)}
                        {finding(&review, &kept.0)}
                        {extension(&review, &kept.1, &reader)}
                        {record(&review, trace, &reader)}
                    </aside>
                </div>
            }
        })
        .await
}

fn band(review: &Review, conversations: usize, reader: &Reader) -> AnyView {
    let name = given(&review.subject.display_name);
    let seen = match review.notice {
        Notice::AtOnce => format!("Every page you open; {name} sees it"),
        Notice::AtTheEnd => format!("Every page you open; {name} sees it at the end"),
    };
    let facts = ReviewFacts {
        subject: face(&review.subject),
        why: words::why(review),
        from: format!(
            "{}, {}",
            words::days(review, reader),
            counted(conversations as u64, "conversation", "conversations")
        ),
        until: reader.moment(review.expires_at),
        until_iso: iso(review.expires_at),
        recorded: seen,
    };
    view! {
        <ReviewBand facts=facts>
            <a class="btn btn--small not-narrow" href="#extend">"Extend"</a>
            <a class="btn btn--small btn--oversight" href="#end">"End review"</a>
        </ReviewBand>
    }
    .into_any()
}

fn in_scope(
    review: &Review,
    scope: &[InScope],
    wanted: &Wanted,
    chosen: Option<ConversationId>,
    reader: &Reader,
) -> AnyView {
    let all: u64 = scope.iter().map(|one| one.messages).sum();
    let entry = |id: Option<ConversationId>,
                 title: String,
                 glyph: Glyph,
                 messages: u64,
                 at: Option<(String, String)>| {
        let href = wanted.address(review.id, id, None);
        view! {
            <li>
                <a class="conv" href=href aria-current=(chosen == id).then_some("page")>
                    <span class="conv__room">
                        <Icon glyph=glyph size=16 />
                    </span>
                    <span class="conv__text">
                        <span class="conv__top">
                            <span class="name clip">{title}</span>
                            {at.map(|(iso, text)| view! { <Time class="small muted" iso=iso text=text /> })}
                        </span>
                        <span class="conv__last">
                            <span class="clip">{counted(messages, "message", "messages")}</span>
                        </span>
                    </span>
                </a>
            </li>
        }
    };
    let rows = scope
        .iter()
        .map(|one| {
            let glyph = if one.members.len() > 2 {
                Glyph::Hash
            } else {
                Glyph::Chat
            };
            let at = (iso(one.last_at), reader.short(one.last_at));
            entry(
                Some(one.conversation),
                one.title.clone(),
                glyph,
                one.messages,
                Some(at),
            )
        })
        .collect_view();
    view! {
        <section class="review__list" aria-labelledby="in-scope">
            <h2 class="pane__label" id="in-scope">"In scope"</h2>
            <ul class="convs">
                {entry(None, "All conversations".to_owned(), Glyph::List, all, None)}
                {rows}
            </ul>
            <h2 class="pane__label">"Outside your reach"</h2>
            <ul class="outside">
                <li>
                    <Icon glyph=Glyph::Lock size=16 />
                    <span>"What was written before or after the days of this review."</span>
                </li>
                <li>
                    <Icon glyph=Glyph::Lock size=16 />
                    <span>"Words of people who are not below you, unless the oversight policy shows them."</span>
                </li>
            </ul>
        </section>
    }
    .into_any()
}

fn thread(
    review: &Review,
    scope: &[InScope],
    page: ReviewPage,
    wanted: &Wanted,
    query: &ReviewQuery,
    reader: &Reader,
) -> AnyView {
    let chosen = query
        .conversation
        .and_then(|id| scope.iter().find(|one| one.conversation == id));
    let title = chosen.map_or_else(|| "All conversations".to_owned(), |one| one.title.clone());
    let lines = page.page.items.len();
    let hits = page.page.items.iter().filter(|line| line.hit).count() as u64;
    let people = match chosen {
        Some(one) if one.members.len() <= 6 => one
            .members
            .iter()
            .map(|member| member.display_name.as_str())
            .collect::<Vec<_>>()
            .join(", "),
        Some(one) => counted(one.members.len() as u64, "person", "people"),
        None => counted(scope.len() as u64, "conversation", "conversations"),
    };
    let found = if query.q.is_empty() {
        format!("{} on this page", counted(lines as u64, "line", "lines"))
    } else {
        format!("{} on this page", counted(hits, "match", "matches"))
    };
    let entry = words::entry(page.entry);
    let sub = format!("{people}. {found}, recorded as {entry}.");
    let first = query
        .cursor
        .is_some()
        .then(|| wanted.address(review.id, query.conversation, None));
    let next = page
        .page
        .next_cursor
        .as_deref()
        .map(|cursor| wanted.address(review.id, query.conversation, Some(cursor)));
    let text = format!("{found}, {entry}");
    let empty = lines == 0;
    let titles: BTreeMap<_, _> = scope
        .iter()
        .map(|one| (one.conversation, one.title.clone()))
        .collect();
    let only = wanted.only == "on" || wanted.q.is_empty();
    view! {
        <section class="review__main" aria-labelledby="review-thread">
            <header class="review__head">
                <div>
                    <h2 id="review-thread">{title}</h2>
                    <p class="small muted">{sub}</p>
                </div>
                <form class="row push" role="search" method="get" action=format!("/reviews/{}", review.id) aria-label="In this review">
                    <input
                        type="hidden"
                        name="conversation"
                        value=query.conversation.map(|id| id.to_string()).unwrap_or_default()
                    />
                    <div class="review__search">
                        <Search label="Words to look for" value=wanted.q.clone() scope="review" />
                    </div>
                    <Switch label="Only matches" name="only" checked=only />
                    <Button text="Search" height=Height::Small />
                </form>
            </header>
            {if empty {
                let sentence = if wanted.q.is_empty() {
                    "Nothing was written here in the days of this review."
                } else {
                    "No message that you may read has all of these words. Take one away, or show everything."
                };
                view! { <EmptyState glyph=Glyph::Search title="Nothing to read" sentence=sentence /> }.into_any()
            } else {
                view! {
                    <ol class="msgs msgs--review">
                        {review_lines(page.page.items, &page.people, &titles, chosen.is_some(), review.reviewer.id, &wanted.q, reader)}
                    </ol>
                }
                    .into_any()
            }}
            <div class="review__foot">
                <Pager text=text before=first after=next before_word="First page" />
            </div>
        </section>
    }
    .into_any()
}

/// The lines in order of time, with a heading for each day and, across conversations, for each change of place.
fn review_lines(
    lines: Vec<ReviewedMessage>,
    people: &[PersonCard],
    titles: &BTreeMap<ConversationId, String>,
    one_place: bool,
    reviewer: EmployeeId,
    q: &str,
    reader: &Reader,
) -> Vec<AnyView> {
    let people: BTreeMap<EmployeeId, &PersonCard> =
        people.iter().map(|person| (person.id, person)).collect();
    let mut drawn = Vec::new();
    let (mut day, mut place) = (None, None);
    for line in lines {
        let heading = reader.day_heading(line.sent_at);
        let new_day = day.as_ref() != Some(&heading);
        if new_day {
            drawn.push(
                view! { <li><p class="day"><span>{heading.clone()}</span></p></li> }.into_any(),
            );
            day = Some(heading);
        }
        if !one_place && (place.replace(line.conversation) != Some(line.conversation) || new_day) {
            let title = titles
                .get(&line.conversation)
                .cloned()
                .unwrap_or_else(|| "Another conversation".to_owned());
            drawn.push(view! { <li class="rv__place small muted">{title}</li> }.into_any());
        }
        drawn.push(review_line(line, &people, reviewer, q, reader));
    }
    drawn
}

fn review_line(
    line: ReviewedMessage,
    people: &BTreeMap<EmployeeId, &PersonCard>,
    reviewer: EmployeeId,
    q: &str,
    reader: &Reader,
) -> AnyView {
    let who = people.get(&line.sender).map_or_else(
        || crate::ui::Face::new(&line.sender.0, "Somebody who left"),
        |person| face(person),
    );
    let name = who.name.clone();
    let class = if line.subject {
        "msg msg--first rv rv--subject"
    } else {
        "msg msg--first rv"
    };
    let body = match &line.body {
        Some(body) => marked(body, q),
        None if line.sender == reviewer => {
            view! { <RedactedLine kind="Your own words" rule="A review is of others’" /> }.into_any()
        }
        None => view! {
            <RedactedLine kind="Words of somebody outside your line" rule="Hidden by the oversight policy" />
        }
        .into_any(),
    };
    view! {
        <li class=class>
            <div class="msg__side">
                <Avatar face=who />
            </div>
            <div>
                <p class="msg__head">
                    <span class="name">{name}</span>
                    <Time iso=iso(line.sent_at) text=reader.time(line.sent_at) />
                    {line.subject.then(|| view! { <span class="visually-hidden">"under review"</span> })}
                </p>
                <div class="msg__body">
                    <p>{body}</p>
                </div>
            </div>
        </li>
    }
    .into_any()
}

fn reason(review: &Review, reader: &Reader) -> AnyView {
    let badge = view! {
        <Badge text=words::category(&review.reason.category) tone=Tone::Oversight class="push" />
    }
    .into_any();
    let (text, case) = (review.reason.text.clone(), review.case.clone());
    let opened = format!(
        "{}, {}",
        reader.moment_in_sentence(review.opened_at),
        review.reviewer.display_name
    );
    view! {
        <Card title="Reason" id="reason" end=badge>
            <div class="stack stack--tight compact">
                <p class="said">{text}</p>
                <Facts one=true>
                    {case.map(|case| view! { <Fact label="Case">{case}</Fact> })}
                    <Fact label="Opened">{opened}</Fact>
                    <Fact label="Right">"Superior, by the oversight policy"</Fact>
                </Facts>
            </div>
        </Card>
    }
    .into_any()
}

fn finding(review: &Review, kept: &Kept) -> AnyView {
    let name = given(&review.subject.display_name);
    view! {
        <section class="card" aria-labelledby="end-title" id="end" tabindex="-1">
            <header class="card__head">
                <h2 id="end-title">"End with a finding"</h2>
            </header>
            <form class="card__body stack" method="post" action=format!("/reviews/{}/end", review.id)>
                <Textarea
                    label="What you found"
                    name="finding"
                    value=kept.value("finding", "")
                    help=format!("{name} reads this when the review ends. Nothing found is a finding too.")
                    error=kept.error("finding")
                    max_length=Some(2000)
                    scope="end"
                />
                <Button text="End review" look=Style::Oversight />
            </form>
        </section>
    }
    .into_any()
}

fn extension(review: &Review, kept: &Kept, reader: &Reader) -> AnyView {
    view! {
        <section class="card" aria-labelledby="extend-title" id="extend" tabindex="-1">
            <header class="card__head">
                <h2 id="extend-title">"Extend"</h2>
                <span class="small muted push">{format!("Until {}", reader.moment(review.expires_at))}</span>
            </header>
            <form class="card__body stack" method="post" action=format!("/reviews/{}/extend", review.id)>
                <Textarea
                    label="Why you need longer"
                    name="why"
                    value=kept.value("why", "")
                    help="It goes into the record. The policy’s days count from now."
                    error=kept.error("why")
                    rows=2
                    max_length=Some(2000)
                    scope="extend"
                />
                <div>
                    <Button text="Extend review" />
                </div>
            </form>
        </section>
    }
    .into_any()
}

fn record(review: &Review, trace: Vec<Look>, reader: &Reader) -> AnyView {
    let same = format!("{} sees the same", given(&review.subject.display_name));
    let end = view! { <span class="small muted push">{same}</span> }.into_any();
    let lines = record_lines(trace, reader);
    view! {
        <Card title="Your record so far" id="record" end=end>
            {lines}
        </Card>
    }
    .into_any()
}

fn record_lines(trace: Vec<Look>, reader: &Reader) -> AnyView {
    let items = trace
        .into_iter()
        .rev()
        .map(|look| {
            let when = format!("{}, {}", reader.moment(look.at), words::entry(look.entry));
            view! {
                <TimelineItem glyph=words::glyph(&look) when=when iso=iso(look.at)>
                    {words::what(&look)}
                </TimelineItem>
            }
        })
        .collect_view();
    view! { <Timeline>{items}</Timeline> }.into_any()
}

/// A review that has ended: what is left of it is its reason, its finding and its record.
fn over(review: Review, trace: Vec<Look>, reader: Reader) -> AnyView {
    let ended = words::ended_at(&review);
    let how = if review.ended_at.is_some() {
        "Ended"
    } else {
        "Ran out"
    };
    let found = review
        .finding
        .clone()
        .unwrap_or_else(|| "None was written.".to_owned());
    let record_end =
        view! { <span class="small muted push">{counted(trace.len() as u64, "entry", "entries")}</span> }.into_any();
    view! {
        <div class="page">
            <Crumbs crumbs=vec![
                Crumb::link("Reviews", "/reviews"),
                Crumb::here(review.subject.display_name.clone()),
            ] />
            <PageHead title=format!("Review of {}", review.subject.display_name) sentence=words::why(&review) />
            <Banner
                title=format!("{how} {}", reader.moment_in_sentence(ended))
                tone=Tone::Oversight
                actions=view! {
                    <LinkButton text="Open another" href=format!("/reviews/new?subject={}", review.subject.id) height=Height::Small />
                }
                    .into_any()
            >
                "Nothing can be read under it any more."
            </Banner>
            <div class="columns reviews__over">
                <Card title="Record" id="record" end=record_end>
                    {record_lines(trace, &reader)}
                </Card>
                <aside class="stack" aria-label="Reason and finding">
                    {reason(&review, &reader)}
                    <Card title="Finding" id="finding">
                        <p class="said compact">{found}</p>
                    </Card>
                </aside>
            </div>
        </div>
    }
    .into_any()
}

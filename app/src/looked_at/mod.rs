//! Who looked at what of mine: every look at the viewer's words and private fields.

use axum::{Router, extract::Query, response::Response, routing::get};
use domain::EmployeeId;
use leptos::prelude::*;
use serde::Deserialize;
use store::review::{Look, Review, Reviewer};

use crate::{
    edge::{AppError, Visit, face},
    portal::Portal,
    review::words,
    ui::{
        Avatar, Badge, Banner, Card, Door, EmptyState, Glyph, PageHead, Pager, Person, Tone,
        format::{Reader, counted, iso},
    },
    words::percent,
};

/// The page of looks.
pub fn routes() -> Router<Portal> {
    Router::new().route("/looked-at", get(show))
}

/// Which page of them.
#[derive(Debug, Default, Deserialize)]
struct Wanted {
    cursor: Option<String>,
}

/// `GET /looked-at`
async fn show(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, AppError> {
    let store = &visit.portal.store;
    let cursor = wanted.cursor.filter(|cursor| !cursor.is_empty());
    let looks = store.looked_at(&visit.viewer, cursor.as_deref()).await?;
    let me = visit.me.person.id;
    let snapshot = store.chart();
    let manager = snapshot.chart.manager(me);
    let reviewers = store.reviewers(&visit.viewer).await?;
    let reader = visit.reader;
    let order = if looks.items.is_empty() {
        ""
    } else {
        "The newest first"
    };
    visit
        .page("Who looked", Door::LookedAt, move || {
            view! {
                <div class="page">
                    <PageHead
                        title="Who looked at my data"
                        sentence="Every time somebody read your chats under a review, or opened your private fields. It cannot be switched off, by them or by you."
                    />
                    {open_reviews(&looks.items, &reader)}
                    <div class="columns trace">
                        <section aria-labelledby="looks">
                            <h2 id="looks">"Looks"</h2>
                            {list(looks.items, manager, &reader)}
                            <Pager
                                text=order
                                before=cursor.map(|_| "/looked-at".to_owned())
                                after=looks.next_cursor.map(|next| format!("/looked-at?cursor={}", percent(&next)))
                                before_word="Newest"
                                after_word="Earlier"
                            />
                        </section>
                        {beside(reviewers)}
                    </div>
                </div>
            }
        })
        .await
}

/// A banner for each review of the viewer's words that is open now.
fn open_reviews(looks: &[Look], reader: &Reader) -> Vec<AnyView> {
    let mut open: Vec<&Review> = Vec::new();
    for review in looks.iter().filter_map(|look| look.review.as_ref()) {
        if words::is_open(review, reader.now) && open.iter().all(|known| known.id != review.id) {
            open.push(review);
        }
    }
    open.into_iter()
        .map(|review| {
            let sentence = format!(
                "{} reads what you wrote from {}, until {}. {}.",
                review.reviewer.display_name,
                words::days(review, reader),
                reader.moment_in_sentence(review.expires_at),
                words::why(review),
            );
            view! {
                <Banner title="A review of your chats is open" tone=Tone::Oversight>
                    {sentence}
                </Banner>
            }
            .into_any()
        })
        .collect()
}

/// Looks that belong together: of one person, under one review, one after the other, in one month.
fn together(looks: Vec<Look>, reader: &Reader) -> Vec<(String, Vec<Vec<Look>>)> {
    let mut months: Vec<(String, Vec<Vec<Look>>)> = Vec::new();
    for look in looks {
        let month = reader.month(look.at);
        if months.last().is_none_or(|(last, _)| *last != month) {
            months.push((month, Vec::new()));
        }
        let Some((_, groups)) = months.last_mut() else {
            continue;
        };
        let review = |look: &Look| look.review.as_ref().map(|review| review.id);
        match groups.last_mut() {
            Some(group) if group[0].who.id == look.who.id && review(&group[0]) == review(&look) => {
                group.push(look)
            }
            _ => groups.push(vec![look]),
        }
    }
    months
}

fn list(looks: Vec<Look>, manager: Option<EmployeeId>, reader: &Reader) -> AnyView {
    if looks.is_empty() {
        return view! {
            <EmptyState
                glyph=Glyph::Trace
                title="Nobody has looked"
                sentence="When a superior reads your chats for a reason, or somebody opens your private fields, it stands here."
            />
        }
        .into_any();
    }
    together(looks, reader)
        .into_iter()
        .map(|(month, groups)| {
            view! {
                <h3 class="trace__month">{month}</h3>
                <ol class="card list">
                    {groups.into_iter().map(|group| view! { <li>{group_of(group, manager, reader)}</li> }).collect_view()}
                </ol>
            }
        })
        .collect_view()
        .into_any()
}

/// Looks of one person under one review, the newest first; there is at least one.
fn group_of(group: Vec<Look>, manager: Option<EmployeeId>, reader: &Reader) -> AnyView {
    let (Some(newest), Some(oldest)) = (group.first().cloned(), group.last()) else {
        return ().into_any();
    };
    let from = reader.moment(oldest.at);
    let until = reader.moment(newest.at);
    let span = if from == until {
        from
    } else {
        format!("{from} to {until}")
    };
    let who = newest.who.clone();
    let role = if Some(who.id) == manager {
        Some("your manager".to_owned())
    } else {
        who.title.clone()
    };
    let many = group.len();
    let entries = group
        .into_iter()
        .map(|look| {
            let when = format!("{}, {}", reader.moment(look.at), words::entry(look.entry));
            view! {
                <li>
                    <span>{words::what(&look)}</span>
                    " "
                    <time class="small muted" datetime=iso(look.at)>{when}</time>
                </li>
            }
        })
        .collect_view();
    let what = match &newest.review {
        Some(review) => format!("Reads what you wrote from {}", words::days(review, reader)),
        None => words::what(&newest),
    };
    view! {
        <article class="look">
            <Avatar face=face(&who) size=40 />
            <div class="look__main">
                <h4>
                    {who.display_name.clone()} " " <span class="muted">{role}</span>
                </h4>
                <p class="look__what">{what}</p>
                {newest.review.as_ref().map(reason)}
                <details class="look__entries" open=many <= 3>
                    <summary class="small">{counted(many as u64, "entry", "entries")}</summary>
                    <ol>{entries}</ol>
                </details>
            </div>
            <div class="look__side">
                <time class="compact" datetime=iso(newest.at)>{span}</time>
                {newest.review.as_ref().map(|review| state(review, reader))}
            </div>
        </article>
    }
    .into_any()
}

fn reason(review: &Review) -> AnyView {
    let finding = review.finding.clone().map(|finding| {
        view! {
            <p class="look__why">
                <span class="muted">"Finding "</span>
                {format!("“{finding}”")}
            </p>
        }
    });
    view! {
        <p class="look__why">
            <span class="muted">{format!("{}, reason given ", words::why(review))}</span>
            {format!("“{}”", review.reason.text)}
        </p>
        {finding}
    }
    .into_any()
}

fn state(review: &Review, reader: &Reader) -> AnyView {
    if words::is_open(review, reader.now) {
        let until = format!("Open until {}", reader.moment(review.expires_at));
        view! { <Badge text=until tone=Tone::Oversight /> }.into_any()
    } else {
        let ended = format!("Ended {}", reader.short(words::ended_at(review)));
        view! { <Badge text=ended /> }.into_any()
    }
}

fn beside(reviewers: Vec<Reviewer>) -> AnyView {
    let people = if reviewers.is_empty() {
        view! { <p class="muted">"Nobody may review your chats at present."</p> }.into_any()
    } else {
        let rows = reviewers
            .into_iter()
            .map(|one| {
                let relation = words::relation(one.by, one.on_behalf_of.as_ref());
                let relation = relation.map(|relation| format!(", {relation}"));
                let sub = format!("Your chats, with a reason{}", relation.unwrap_or_default());
                view! {
                    <li>
                        <Person face=face(&one.person) href=format!("/people/{}", one.person.id) sub=sub />
                    </li>
                }
            })
            .collect_view();
        view! { <ul class="stack stack--tight">{rows}</ul> }.into_any()
    };
    view! {
        <aside class="stack stack--loose" aria-label="About looks">
            <Card title="Who may look" id="who-may">
                <div class="stack compact">
                    {people}
                    <p class="small muted">"HR may open your private fields for their work. Each time is listed here."</p>
                    <p class="small muted">
                        "This list follows the " <a href="/org">"org chart"</a> " and changes when your manager does."
                    </p>
                </div>
            </Card>
            <Card title="Can I trust this list" id="trust">
                <p class="muted small">
                    "A look returns nothing unless its own entry is written in the same step. Entries are chained and signed, so none can be removed unnoticed."
                </p>
            </Card>
        </aside>
    }
    .into_any()
}

//! Opening a review: whom, then why.

use axum::{extract::Query, response::Response};
use domain::{
    EmployeeId,
    review::{Notice, Oversight, OversightRule},
    text::fold,
};
use leptos::prelude::*;
use serde::Deserialize;
use store::people::PersonCard;

use super::words;
use crate::{
    chat::island::given,
    edge::{AppError, Kept, Visit, face},
    ui::{
        Avatar, Button, Card, Choice, Crumb, Crumbs, Door, EmptyState, Fact, Facts, Field, Glyph,
        LinkButton, Look, PageHead, Search, Select, Textarea, format::counted,
    },
};

/// How many people are shown to choose from.
const SHOWN: usize = 40;

/// Whom it is about, or what to find them by.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    subject: String,
    #[serde(default)]
    q: String,
}

/// `GET /reviews/new`
pub async fn show(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, AppError> {
    let store = &visit.portal.store;
    let reviewable = store.reviewable(&visit.viewer).await?;
    let subject = wanted.subject.parse::<EmployeeId>().ok();
    let person = match subject {
        Some(id) => Some(
            reviewable
                .iter()
                .find(|person| person.id == id)
                .cloned()
                .ok_or(AppError::not_found())?,
        ),
        None => None,
    };
    let Some(person) = person else {
        return visit
            .page("Open a review", Door::Reviews, move || {
                choose(reviewable, wanted.q)
            })
            .await;
    };
    let units = store.chart().chart.units_of(person.id).to_vec();
    let oversight = store.policy::<Oversight>(&visit.viewer).await?;
    let rule = oversight.in_force(&units).cloned();
    let kept = visit.flash.kept("/reviews");
    visit
        .page("Open a review", Door::Reviews, move || {
            form(person, rule, kept)
        })
        .await
}

fn crumbs() -> Vec<Crumb> {
    vec![
        Crumb::link("Reviews", "/reviews"),
        Crumb::here("Open a review"),
    ]
}

fn choose(reviewable: Vec<PersonCard>, q: String) -> AnyView {
    let all = reviewable.len();
    let wanted = fold(&q);
    let found: Vec<_> = reviewable
        .into_iter()
        .filter(|person| {
            let of = [
                Some(&person.display_name),
                person.title.as_ref(),
                person.department.as_ref(),
            ];
            let text = fold(
                &of.into_iter()
                    .flatten()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(" "),
            );
            wanted.split_whitespace().all(|word| text.contains(word))
        })
        .collect();
    let count = format!(
        "{} of {}",
        found.len().min(SHOWN),
        counted(all as u64, "person", "people")
    );
    let list = if found.is_empty() {
        let (title, sentence) = if all == 0 {
            (
                "Nobody to review",
                "Nobody below you in the org chart has a unit where the oversight policy is on.",
            )
        } else {
            (
                "Nobody found",
                "Nobody below you has all of these words in name, title or unit.",
            )
        };
        view! { <EmptyState glyph=Glyph::People title=title sentence=sentence /> }.into_any()
    } else {
        let rows = found
            .into_iter()
            .take(SHOWN)
            .map(|person| {
                let sub = [person.title.clone(), person.department.clone()]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>();
                view! {
                    <li>
                        <a class="list-row" href=format!("/reviews/new?subject={}", person.id)>
                            <Avatar face=face(&person) size=28 />
                            <span class="list-row__text">
                                <span class="name">{person.display_name.clone()}</span>
                                <span class="person__sub">{sub.join(", ")}</span>
                            </span>
                        </a>
                    </li>
                }
            })
            .collect_view();
        view! {
            <ul class="card list">{rows}</ul>
            <p class="table-meta">{count}</p>
        }
        .into_any()
    };
    view! {
        <div class="page">
            <Crumbs crumbs=crumbs() />
            <PageHead
                title="Whose words do you need to read"
                sentence="People below you in the org chart whose unit has the oversight policy on."
            />
            <form class="toolbar" role="search" method="get" action="/reviews/new" aria-label="People to review">
                <Search label="Name, title or unit" value=q scope="review" />
                <Button text="Search" />
            </form>
            {list}
        </div>
    }
    .into_any()
}

fn form(person: PersonCard, rule: Option<OversightRule>, kept: Kept) -> AnyView {
    let name = given(&person.display_name).to_owned();
    let told = match rule.as_ref().map(|rule| rule.notice) {
        Some(Notice::AtTheEnd) => "when the review ends",
        _ => "as soon as the review is opened",
    };
    let lasts = rule
        .as_ref()
        .map(|rule| counted(u64::from(rule.max_days), "day", "days"));
    let context = rule.as_ref().is_some_and(|rule| rule.context);
    let mut choices = vec![Choice::new("", "Choose one")];
    choices.extend(words::categories().map(|(name, words)| Choice::new(name, words)));
    let reader_sentence = format!("{name} reads this {told}. The compliance officer reads it too.");
    view! {
        <div class="page">
            <Crumbs crumbs=crumbs() />
            <PageHead title=format!("Review the words of {}", person.display_name) sentence="You read for one reason, and only what belongs to it." />
            <div class="columns">
                <form class="stack form" method="post" action="/reviews">
                    <input type="hidden" name="subject" value=person.id.to_string() />
                    <div class="row">
                        <Avatar face=face(&person) size=40 />
                        <span class="person__text">
                            <span class="person__name">{person.display_name.clone()}</span>
                            {person.title.clone().map(|title| view! { <span class="person__sub">{title}</span> })}
                        </span>
                        <a class="push small" href="/reviews/new">"Somebody else"</a>
                    </div>
                    <Select
                        label="Kind of reason"
                        name="reason.category"
                        choices=choices
                        selected=kept.value("reason.category", "")
                        error=kept.error("reason.category")
                    />
                    <Textarea
                        label="Reason"
                        name="reason.text"
                        value=kept.value("reason.text", "")
                        help=reader_sentence
                        error=kept.error("reason.text")
                        rows=4
                        max_length=Some(2000)
                    />
                    <Field
                        label="Case"
                        name="case"
                        value=kept.value("case", "")
                        help="A number or name under which you keep the matter."
                        error=kept.error("case")
                        optional=true
                        max_length=Some(60)
                    />
                    <div class="form-grid">
                        <Field
                            label="From"
                            name="from"
                            kind="date"
                            value=kept.value("from", "")
                            help="Left empty: 30 days before the last day."
                            error=kept.error("from")
                            optional=true
                        />
                        <Field
                            label="To"
                            name="to"
                            kind="date"
                            value=kept.value("to", "")
                            help="The last day. Left empty: up to now and on."
                            error=kept.error("to")
                            optional=true
                        />
                    </div>
                    <div class="row">
                        <Button text="Open review" look=Look::Oversight icon=Some(Glyph::Eye) />
                        <LinkButton text="Leave it" href="/reviews" look=Look::Quiet />
                    </div>
                </form>
                <aside class="stack stack--loose" aria-label="What happens">
                    <Card title="What happens" id="what-happens">
                        <Facts one=true>
                            <Fact label="How long">
                                {lasts
                                    .map_or_else(
                                        || "As the oversight policy says".to_owned(),
                                        |days| format!("{days}, then it ends by itself. You can end it sooner."),
                                    )}
                            </Fact>
                            <Fact label="Recorded">"Every page you open and every search, in the audit log."</Fact>
                            <Fact label="Who is told">{format!("{name}, {told}.")}</Fact>
                            <Fact label="Others’ words">
                                {if context {
                                    "Shown where they stand around the words under review."
                                } else {
                                    "Hidden, unless they are below you too. You see that they wrote, not what."
                                }}
                            </Fact>
                        </Facts>
                    </Card>
                </aside>
            </div>
        </div>
    }
    .into_any()
}

//! Who stands in while a superior is away: named by themselves or by HR.

use axum::{
    extract::{Path, Query},
    response::Response,
};
use domain::{DelegationId, EmployeeId, delegation::Request};
use leptos::prelude::*;
use serde::Deserialize;
use store::{
    delegation::Delegation,
    org::Place,
    people::{DirectoryQuery, PersonCard},
};

use crate::{
    edge::{AppError, Kept, Posted, Visit, answer, face, id},
    ui::{
        Badge, Button, Card, Choice, Crumb, Crumbs, Door, EmptyState, Field, Glyph, Look, PageHead,
        Person, Search, Select, Tone, format::Reader,
    },
};

/// People that a search adds to the choices.
const FOUND: u32 = 20;

/// Whom to look for beside those around.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    q: String,
}

/// `GET /people/{id}/delegate`
pub async fn show(
    visit: Visit,
    Path(who): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, AppError> {
    let who = EmployeeId(id(&who)?);
    let store = &visit.portal.store;
    let past = store.delegations(&visit.viewer, who).await?;
    let place = store.place(&visit.viewer, who).await?;
    let mut choices: Vec<PersonCard> = place
        .reports
        .iter()
        .map(|node| node.person.clone())
        .collect();
    if let Some(above) = place.chain.first() {
        let around = store.place(&visit.viewer, above.id).await?.reports;
        choices.extend(around.into_iter().map(|node| node.person));
        choices.push(above.clone());
    }
    if !wanted.q.trim().is_empty() {
        let query = DirectoryQuery {
            q: wanted.q.clone(),
            limit: Some(FOUND),
            ..DirectoryQuery::default()
        };
        let found = store.directory(&visit.viewer, &query).await?.page.items;
        // What was looked for stands first.
        choices.splice(0..0, found);
    }
    let mut seen = vec![who];
    choices.retain(|card| {
        let new = card.active && !seen.contains(&card.id);
        seen.push(card.id);
        new
    });
    let page = format!("/people/{who}/delegate");
    let kept = visit.flash.kept(&page);
    let today = store.today().to_string();
    let reader = visit.reader;
    visit
        .page("Who stands in", Door::People, move || {
            let person = place.person.clone();
            let name = person.display_name.clone();
            let body = if place.oversees == 0 {
                view! {
                    <EmptyState
                        glyph=Glyph::Org
                        title="Nobody to stand in for"
                        sentence="Only who has people below needs somebody who stands in."
                    />
                }
                .into_any()
            } else {
                form(&page, &place, choices, wanted.q, &kept, &today)
            };
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![
                        Crumb::link("People", "/people"),
                        Crumb::link(name.clone(), format!("/people/{}", person.id)),
                        Crumb::here("Who stands in"),
                    ] />
                    <PageHead
                        title="Who stands in"
                        sentence=format!("While {name} is away. Whoever stands in may review what {name} may, if the oversight policy says so, and never the words of those above themselves. Each look names for whom.")
                    />
                    <div class="columns">
                        <div class="stack stack--loose">
                            {body}
                            {list(&page, past, reader)}
                        </div>
                    </div>
                </div>
            }
        })
        .await
}

fn form(
    page: &str,
    place: &Place,
    choices: Vec<PersonCard>,
    q: String,
    kept: &Kept,
    today: &str,
) -> AnyView {
    let below = |card: &PersonCard| place.reports.iter().any(|node| node.person.id == card.id);
    let first = choices
        .first()
        .map(|card| card.id.to_string())
        .unwrap_or_default();
    let choices = choices
        .iter()
        .map(|card| {
            let title = card.title.as_deref().unwrap_or("");
            let role = if below(card) {
                "reports directly"
            } else {
                title
            };
            let label = match role {
                "" => card.display_name.clone(),
                role => format!("{}, {role}", card.display_name),
            };
            Choice::new(card.id.to_string(), label)
        })
        .collect();
    let selected = kept.value("delegate", &first);
    let (from, until) = (kept.value("from", today), kept.value("until", ""));
    let errors = ["delegate", "from", "until"].map(|field| kept.error(field));
    let [wrong_delegate, wrong_from, wrong_until] = errors;
    let set = view! {
        <span class="row push">
            <Button text="Have them stand in" look=Look::Primary />
        </span>
    };
    view! {
        <form method="get" action=page.to_owned()>
            <Search label="Look for somebody else" value=q scope="who" />
        </form>
        <form method="post" action=page.to_owned()>
            <Card title="Somebody stands in" id="stand-in" foot=set.into_any()>
                <div class="stack form">
                    <Select
                        label="Who stands in"
                        name="delegate"
                        choices=choices
                        selected=selected
                        error=wrong_delegate
                    />
                    <Field label="First day" name="from" kind="date" value=from error=wrong_from />
                    <Field
                        label="Last day"
                        name="until"
                        kind="date"
                        value=until
                        error=wrong_until
                        help="It ends by itself after this day, a year later at the latest."
                    />
                </div>
            </Card>
        </form>
    }
    .into_any()
}

fn list(page: &str, past: Vec<Delegation>, reader: Reader) -> AnyView {
    if past.is_empty() {
        return ().into_any();
    }
    let rows = past
        .into_iter()
        .map(|one| {
            let day = |day| reader.locale.long_date(day);
            let span = match one.until {
                Some(until) => format!("{} to {}", day(one.from), day(until)),
                None => format!("From {}, without an end", day(one.from)),
            };
            let from = one.source_name.clone().map(|name| format!(", from {name}"));
            let (word, tone) = match (one.holds, one.over) {
                (true, _) => ("Now", Tone::Accent),
                (_, true) => ("Over", Tone::Neutral),
                _ => ("Ahead", Tone::Info),
            };
            let say = format!("End now: {} stands in", one.delegate.display_name);
            let end = (!one.over).then(|| {
                view! {
                    <form method="post" action=format!("{page}/end")>
                        <input type="hidden" name="delegation" value=one.id.to_string() />
                        <button class="btn btn--small" type="submit" aria-label=say>"End now"</button>
                    </form>
                }
            });
            view! {
                <li class="list-row row row--between">
                    <Person
                        face=face(&one.delegate)
                        href=format!("/people/{}", one.delegate.id)
                        sub=format!("{span}{}", from.unwrap_or_default())
                    />
                    <span class="row">
                        <Badge text=word tone=tone />
                        {end}
                    </span>
                </li>
            }
        })
        .collect_view();
    view! {
        <Card title="Who stands in, or did" id="times">
            <ul class="list plain">{rows}</ul>
        </Card>
    }
    .into_any()
}

/// `POST /people/{id}/delegate`
pub async fn set(
    visit: Visit,
    Path(who): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    let who = EmployeeId(id(&who)?);
    let page = format!("/people/{who}/delegate");
    let asked = || {
        Ok::<_, domain::Violation>(Request {
            delegate: posted.parse("delegate", "person")?,
            from: posted.parse("from", "date")?,
            until: posted.parse("until", "date")?,
        })
    };
    let store = &visit.portal.store;
    let result = match asked() {
        Ok(request) => store.set_delegate(&visit.viewer, who, request).await,
        // Who may not is told so before what is wrong.
        Err(violation) => match store.delegations(&visit.viewer, who).await {
            Ok(_) => Err(violation.into()),
            Err(error) => Err(error),
        },
    };
    let done = "Set. It begins and ends by itself.";
    answer(
        &visit.session,
        &posted,
        result,
        &page,
        |_| page.clone(),
        done,
    )
    .await
}

/// `POST /people/{id}/delegate/end`
pub async fn end(
    visit: Visit,
    Path(who): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    let who = EmployeeId(id(&who)?);
    let page = format!("/people/{who}/delegate");
    let delegation = posted.parse::<DelegationId>("delegation", "one of the list");
    let store = &visit.portal.store;
    let result = match delegation {
        Ok(delegation) => store.end_delegation(&visit.viewer, who, delegation).await,
        Err(_) => Err(store::Error::NotFound),
    };
    answer(
        &visit.session,
        &posted,
        result,
        &page,
        |()| page.clone(),
        "Ended.",
    )
    .await
}

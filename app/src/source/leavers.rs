//! People of whom a source that sends by itself says that they left, and who stay until somebody
//! decides, because there are too many of them at once.

use axum::{
    extract::{Path, Query},
    response::Response,
};
use chrono::{DateTime, Utc};
use domain::{Action, SourceId, Violation, leaving::State};
use leptos::prelude::*;
use serde::Deserialize;
use store::{
    Page,
    scim::{Fate, Leaver, Waiting, Which},
};

use super::router::manages;
use crate::{
    edge::{AppError, Posted, Visit, answer, face, id},
    ui::{
        Banner, Button, Column, Crumb, Crumbs, Door, EmptyState, Glyph, LinkButton, Look, PageHead,
        Pager, Person, Table, Time, Tone,
        format::{self, Reader, counted},
    },
    words::percent,
};

/// Where people wait to leave, for who reads sources; nothing for everybody else.
pub async fn waiting(visit: &Visit) -> Result<Vec<Waiting>, AppError> {
    if !visit.viewer.can(Action::ReadSources) {
        return Ok(Vec::new());
    }
    let waiting = visit.portal.store.waiting_leavers(&visit.viewer).await?;
    Ok(waiting)
}

/// `Ada, Bo, Cy and 9 others`.
fn names(waiting: &Waiting) -> String {
    let named: Vec<_> = waiting
        .first
        .iter()
        .map(|person| person.display_name.as_str())
        .collect();
    let others = waiting.count.saturating_sub(named.len() as u64);
    match (named.split_last(), others) {
        (_, 1..) => format!(
            "{} and {}",
            named.join(", "),
            counted(others, "other", "others")
        ),
        (Some((last, [])), 0) => (*last).to_owned(),
        (Some((last, first)), 0) => format!("{} and {last}", first.join(", ")),
        (None, 0) => String::new(),
    }
}

/// That people of a source wait, how many, since when and who, with the way to decide.
pub fn banner(waiting: &Waiting, reader: &Reader) -> AnyView {
    let title = format!(
        "{} to leave and {} for a decision",
        counted(waiting.count, "person is", "people are"),
        if waiting.count == 1 { "waits" } else { "wait" },
    );
    let text = format!(
        "{} says since {} that {} left, which is more than its limit lets go in 24 hours. They stay, and are signed in, until somebody decides.",
        waiting.source_name,
        reader.moment_in_sentence(waiting.since),
        names(waiting),
    );
    let href = format!("/console/sources/{}/leavers", waiting.source);
    let decide = view! { <LinkButton text="See who, and decide" href=href /> }.into_any();
    view! {
        <div class="page__notice">
            <Banner title=title tone=Tone::Critical actions=decide>
                {text}
            </Banner>
        </div>
    }
    .into_any()
}

/// Which part of the list.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    cursor: String,
}

/// `GET /console/sources/{id}/leavers`
pub async fn show(
    visit: Visit,
    Path(source): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, AppError> {
    let source = SourceId(id(&source)?);
    let (store, viewer) = (&visit.portal.store, &visit.viewer);
    let name = store.source(viewer, source).await?.name;
    let cursor = Some(wanted.cursor.as_str()).filter(|cursor| !cursor.is_empty());
    let list = store
        .leavers(viewer, source, State::Waiting, cursor)
        .await?;
    let kept = store.leavers(viewer, source, State::Kept, None).await?;
    let mut waiting = store.waiting_leavers(viewer).await?;
    waiting.retain(|one| one.source == source);
    let (manages, reader) = (viewer.can(Action::ManageSources), visit.reader);
    visit
        .page("Who waits to leave", Door::Sources, move || {
            let home = format!("/console/sources/{source}");
            let here = format!("{home}/leavers");
            let sentence = format!(
                "{name} says that they left. They are too many at once for its limit, so they stay until somebody decides."
            );
            let from = wanted.cursor.parse().unwrap_or(0);
            let all = waiting.first().filter(|_| manages).map(|all| for_all(&here, all));
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![
                        Crumb::link("Sources", "/console/sources"),
                        Crumb::link(name, home),
                        Crumb::here("Who waits to leave"),
                    ] />
                    <PageHead title="Who waits to leave" sentence=sentence />
                    <div class="stack stack--loose">
                        {all}
                        {match waiting.first() {
                            Some(all) => those_who_wait(&here, list, all.count, from, manages, reader),
                            None => nobody(),
                        }}
                        {(!kept.items.is_empty()).then(|| those_kept(&here, kept, manages, reader))}
                    </div>
                </div>
            }
        })
        .await
}

fn nobody() -> AnyView {
    view! {
        <EmptyState
            glyph=Glyph::Done
            title="Nobody waits to leave"
            sentence="Who is said to have left is out at once, as long as they are not too many in 24 hours."
        />
    }
    .into_any()
}

/// What is done about all of them: those whom the page knew of, and nobody who came after.
fn for_all(here: &str, all: &Waiting) -> AnyView {
    let until = all.until.to_rfc3339();
    let (go, keep) = match all.count {
        1 => (
            "Let this person go".to_owned(),
            "Keep this person".to_owned(),
        ),
        count => {
            let count = format::number(i64::try_from(count).unwrap_or(i64::MAX));
            (format!("Let all {count} go"), format!("Keep all {count}"))
        }
    };
    view! {
        <form class="stack" method="post" action=here.to_owned()>
            <input type="hidden" name="until" value=until />
            <p class="muted form">
                "Whoever is let go is signed out at once. Whoever is kept stays until the other system says that they are here, and then that they left. What it sends about them meanwhile is not taken."
            </p>
            <div class="row">
                <Button text=keep name="fate" value="keep" />
                <Button text=go name="fate" value="let_go" look=Look::Critical />
            </div>
        </form>
    }
    .into_any()
}

fn those_who_wait(
    here: &str,
    list: Page<Leaver>,
    count: u64,
    from: u64,
    manages: bool,
    reader: Reader,
) -> AnyView {
    let last = from + list.items.len() as u64;
    let text = if last == count && from == 0 {
        counted(count, "person", "people")
    } else {
        format!("{} to {last} of {count}", from + 1)
    };
    let page = |cursor: &str| format!("{here}?cursor={}", percent(cursor));
    let after = list.next_cursor.as_deref().map(page);
    let before = (from > 0).then(|| page(&from.saturating_sub(50).to_string()));
    let rows = rows(here, list.items, manages, reader);
    view! {
        <section aria-labelledby="waiting">
            <div class="toolbar">
                <h2 id="waiting">"Waiting"</h2>
            </div>
            <Table caption="Who waits to leave, by name" columns=columns(manages)>
                {rows}
            </Table>
            <Pager text=text before=before after=after />
        </section>
    }
    .into_any()
}

fn those_kept(here: &str, kept: Page<Leaver>, manages: bool, reader: Reader) -> AnyView {
    let more = kept.next_cursor.is_some();
    let rows = rows(here, kept.items, manages, reader);
    view! {
        <section aria-labelledby="kept">
            <div class="toolbar">
                <h2 id="kept">"Kept by decision"</h2>
            </div>
            <Table caption="Who is kept though the source says that they left, by name" columns=columns(manages)>
                {rows}
            </Table>
            {more.then(|| view! { <p class="muted">"These are the first fifty by name."</p> })}
        </section>
    }
    .into_any()
}

fn columns(manages: bool) -> Vec<Column> {
    let mut columns = vec![Column::new("Who"), Column::new("Said to have left")];
    columns.extend(manages.then(|| Column::new("Decision")));
    columns
}

fn rows(here: &str, people: Vec<Leaver>, manages: bool, reader: Reader) -> AnyView {
    people
        .into_iter()
        .map(|one| {
            let name = one.person.display_name.clone();
            let since = (format::iso(one.since), reader.moment(one.since));
            let (go, keep) = (format!("Let go: {name}"), format!("Keep: {name}"));
            let buttons = manages.then(|| {
                let waits = one.state == State::Waiting;
                view! {
                    <td>
                        <form class="row" method="post" action=here.to_owned()>
                            <input type="hidden" name="record" value=one.record />
                            {waits
                                .then(|| {
                                    view! {
                                        <button
                                            class="btn btn--small"
                                            type="submit"
                                            name="fate"
                                            value="keep"
                                            aria-label=keep
                                        >
                                            "Keep"
                                        </button>
                                    }
                                })}
                            <button class="btn btn--small" type="submit" name="fate" value="let_go" aria-label=go>
                                "Let go"
                            </button>
                        </form>
                    </td>
                }
            });
            view! {
                <tr>
                    <th scope="row">
                        <Person
                            face=face(&one.person)
                            href=format!("/people/{}", one.person.id)
                            sub=one.person.title.clone()
                        />
                    </th>
                    <td>
                        <Time iso=since.0 text=since.1 />
                    </td>
                    {buttons}
                </tr>
            }
        })
        .collect_view()
        .into_any()
}

fn read(posted: &Posted) -> Result<(Which, Fate), Violation> {
    let fate = match posted.get("fate") {
        "let_go" => Fate::LetGo,
        "keep" => Fate::Keep,
        _ => {
            return Err(Violation::Required {
                field: "fate".into(),
            });
        }
    };
    let which = match posted.filled("record") {
        Some(record) => Which::One(record.to_owned()),
        None => Which::Until(posted.parse::<DateTime<Utc>>("until", "a time")?),
    };
    Ok((which, fate))
}

/// `POST /console/sources/{id}/leavers`
pub async fn decide(
    visit: Visit,
    Path(source): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let source = SourceId(id(&source)?);
    let (store, viewer) = (&visit.portal.store, &visit.viewer);
    store.source(viewer, source).await?;
    let here = format!("/console/sources/{source}/leavers");
    let (result, done) = match read(&posted) {
        Ok((which, fate)) => {
            let result = match store.decide_leavers(viewer, source, &which, fate).await {
                // Somebody was faster, or the source took it back.
                Err(store::Error::NotFound) => Err(store::Error::Conflict("already_decided")),
                other => other,
            };
            let count = result.as_ref().copied().unwrap_or_default();
            let done = match fate {
                Fate::LetGo => format!("{} left.", counted(count, "person has", "people have")),
                Fate::Keep => format!("{} kept.", counted(count, "person is", "people are")),
            };
            (result, done)
        }
        Err(violation) => (Err(violation.into()), String::new()),
    };
    let next = here.clone();
    answer(&visit.session, &posted, result, &here, |_| next, &done).await
}

#[cfg(test)]
mod tests {
    use domain::EmployeeId;
    use store::people::PersonCard;

    use super::*;

    #[test]
    fn a_few_are_named_and_the_rest_counted() {
        let person = |name: &str| PersonCard {
            id: EmployeeId(uuid::Uuid::nil()),
            display_name: name.into(),
            title: None,
            department: None,
            unit: None,
            location: None,
            email: None,
            employee_number: None,
            photo: None,
            active: true,
        };
        let told = |names_: &[&str], count| {
            let at = DateTime::<Utc>::UNIX_EPOCH;
            names(&Waiting {
                source: SourceId(uuid::Uuid::nil()),
                source_name: "HR".into(),
                count,
                since: at,
                until: at,
                first: names_.iter().map(|name| person(name)).collect(),
            })
        };
        assert_eq!(told(&["Ada"], 1), "Ada");
        assert_eq!(told(&["Ada", "Bo"], 2), "Ada and Bo");
        assert_eq!(told(&["Ada", "Bo", "Cy"], 3), "Ada, Bo and Cy");
        assert_eq!(told(&["Ada", "Bo", "Cy"], 4), "Ada, Bo, Cy and 1 other");
        assert_eq!(
            told(&["Ada", "Bo", "Cy"], 4_500),
            "Ada, Bo, Cy and 4\u{202f}497 others"
        );
    }
}

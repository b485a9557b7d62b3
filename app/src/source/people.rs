//! Who is who in a source: records that wait for a decision, people with a day ahead, people of whom
//! another source speaks too, and by what new records are told.

use axum::{extract::Path, response::Response};
use domain::{
    Attribute, EmployeeId, SourceId, Violation,
    sync::{Clue, Correlation, Key},
};
use leptos::prelude::*;
use store::{
    people::PersonCard,
    run::ahead::Ahead,
    source::{Decision, Undecided},
};

use super::router::manages;
use crate::{
    edge::{AppError, Posted, Visit, answer, face, id},
    ui::{
        Button, Card, Choice, Column, Look, Person, Select, Table, Time,
        format::{self, Reader, counted},
    },
};

/// What the page of a source says of who is who.
pub(super) struct Who {
    pub undecided: Vec<Undecided>,
    pub ignored: Vec<(String, String)>,
    pub ahead: Vec<Ahead>,
    pub linked: Vec<(String, PersonCard)>,
    pub correlation: Correlation,
}

impl Who {
    pub(super) async fn of(visit: &Visit, source: SourceId) -> Result<Self, AppError> {
        let (store, viewer) = (&visit.portal.store, &visit.viewer);
        let mut undecided = store.undecided(viewer).await?;
        undecided.retain(|one| one.source == source);
        Ok(Self {
            undecided,
            ignored: store.ignored(viewer, source).await?,
            ahead: store.ahead(viewer, source).await?,
            linked: store.linked(viewer, source).await?,
            correlation: store.correlation(viewer, source).await?,
        })
    }
}

/// A fact of a record beside that of a person, marked where they say the same.
fn fact(mine: Option<&str>, theirs: Option<&str>) -> Option<AnyView> {
    let theirs = theirs?.to_owned();
    let same = mine.is_some_and(|mine| domain::text::fold(mine) == domain::text::fold(&theirs));
    Some(if same {
        view! { <strong>{theirs}</strong> }.into_any()
    } else {
        theirs.into_any()
    })
}

/// Records that could be more than one person.
pub(super) fn decisions(
    home: &str,
    undecided: Vec<Undecided>,
    manages: bool,
    reader: Reader,
) -> AnyView {
    let count = counted(undecided.len() as u64, "record", "records");
    let items = undecided
        .into_iter()
        .map(|one| view! { <li class="card__body">{decision_of(home, one, manages, reader)}</li> })
        .collect_view();
    view! {
        <section class="card" id="decide" aria-labelledby="decisions">
            <header class="card__head">
                <h2 id="decisions">"Who is this?"</h2>
                <p>{format!("{count} could be somebody who is known here. The next run follows what is decided.")}</p>
            </header>
            <ul class="list plain">{items}</ul>
        </section>
    }
    .into_any()
}

fn decision_of(home: &str, one: Undecided, manages: bool, reader: Reader) -> AnyView {
    let said = [
        Attribute::EmployeeNumber,
        Attribute::Emails,
        Attribute::Title,
        Attribute::BirthDate,
    ];
    let facts: String = said
        .into_iter()
        .filter_map(|attribute| one.worker.text(attribute))
        .map(|fact| format!(", {fact}"))
        .collect();
    let name = one.worker.name();
    let since = (format::iso(one.since), reader.moment(one.since));
    let choices = one
        .candidates
        .iter()
        .map(|person| {
            let mine = |attribute| one.worker.text(attribute);
            let beside: Vec<_> = [
                fact(mine(Attribute::EmployeeNumber), person.employee_number.as_deref()),
                fact(mine(Attribute::Emails), person.email.as_deref()),
                fact(mine(Attribute::Title), person.title.as_deref()),
                fact(None, person.department.as_deref()),
            ]
            .into_iter()
            .flatten()
            .enumerate()
            .map(|(at, fact)| view! { {(at > 0).then_some(", ")} {fact} })
            .collect();
            let value = format!("is:{}", person.id);
            let say = format!("Is this person: {name} is {}", person.display_name);
            view! {
                <li class="row row--between">
                    <div>
                        <Person face=face(person) href=format!("/people/{}", person.id) />
                        <p class="small muted">{beside}</p>
                    </div>
                    {manages
                        .then(|| {
                            view! {
                                <button class="btn btn--small" type="submit" name="decision" value=value aria-label=say>
                                    "Is this person"
                                </button>
                            }
                        })}
                </li>
            }
        })
        .collect_view();
    let buttons = manages.then(|| {
        let (new, ignore) = (
            format!("Somebody new: {name}"),
            format!("Leave out, never ask again: {name}"),
        );
        view! {
            <div class="row">
                <button class="btn btn--small" type="submit" name="decision" value="new" aria-label=new>
                    "Somebody new"
                </button>
                <button class="btn btn--small btn--quiet" type="submit" name="decision" value="ignore" aria-label=ignore>
                    "Leave out, never ask again"
                </button>
            </div>
        }
    });
    view! {
        <form class="stack stack--tight" method="post" action=format!("{home}/decide")>
            <input type="hidden" name="external_id" value=one.external_id.clone() />
            <h3>{name.clone()}</h3>
            <p class="small muted">
                <span class="mono">{one.external_id.clone()}</span>
                {facts}
                ". Waits since "
                <Time iso=since.0 text=since.1 />
                "."
            </p>
            <ul class="stack stack--tight plain">{choices}</ul>
            {buttons}
        </form>
    }
    .into_any()
}

/// Records that are left out by decision, and the way back.
pub(super) fn ignored(home: &str, ignored: Vec<(String, String)>, manages: bool) -> AnyView {
    let rows = ignored
        .into_iter()
        .map(|(external_id, name)| {
            let say = format!("Ask again about {name}");
            let again = manages.then(|| {
                view! {
                    <form method="post" action=format!("{home}/ask-again")>
                        <input type="hidden" name="external_id" value=external_id.clone() />
                        <button class="btn btn--small" type="submit" aria-label=say>"Ask again"</button>
                    </form>
                }
            });
            view! {
                <li class="list-row row row--between">
                    <span>{name} " " <span class="mono small muted">{external_id}</span></span>
                    {again}
                </li>
            }
        })
        .collect_view();
    view! {
        <Card title="Left out by decision" id="ignored">
            <ul class="list plain">{rows}</ul>
        </Card>
    }
    .into_any()
}

/// Who comes or goes on a day ahead.
pub(super) fn ahead(ahead: Vec<Ahead>, reader: Reader) -> AnyView {
    let rows = ahead
        .into_iter()
        .map(|one| {
            let day = reader.locale.long_date(one.day);
            let what = if one.comes { "Starts on" } else { "Last day" };
            let who = match one.employee {
                Some(id) => {
                    view! { <a class="name" href=format!("/people/{id}")>{one.name}</a> }.into_any()
                }
                None => one.name.into_any(),
            };
            view! {
                <tr>
                    <th scope="row">{who}</th>
                    <td>{what} " " <time datetime=one.day.to_string()>{day}</time></td>
                    <td class="hide-narrow mono">{one.external_id}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <section aria-labelledby="ahead">
            <div class="toolbar">
                <h2 id="ahead">"Days ahead"</h2>
            </div>
            <Table
                caption="Who comes or goes on a day ahead, by day"
                columns=vec![
                    Column::new("Who"),
                    Column::new("What"),
                    Column::new("Id there").hide(crate::ui::Hide::Narrow),
                ]
            >
                {rows}
            </Table>
        </section>
    }
    .into_any()
}

/// People of whom another source speaks too, and the way to part them.
pub(super) fn linked(home: &str, linked: Vec<(String, PersonCard)>, manages: bool) -> AnyView {
    let count = counted(linked.len() as u64, "person", "people");
    let rows = linked
        .into_iter()
        .map(|(external_id, person)| {
            let say = format!("Is somebody else than {}", person.display_name);
            let part = manages.then(|| {
                view! {
                    <form method="post" action=format!("{home}/unlink")>
                        <input type="hidden" name="external_id" value=external_id.clone() />
                        <button class="btn btn--small" type="submit" aria-label=say>"Is somebody else"</button>
                    </form>
                }
            });
            view! {
                <li class="list-row row row--between">
                    <Person face=face(&person) href=format!("/people/{}", person.id) sub=external_id size=24 />
                    {part}
                </li>
            }
        })
        .collect_view();
    view! {
        <details class="card" id="linked">
            <summary class="card__head">
                <h2>"Also in another source"</h2>
                <span class="push small muted">{count}</span>
            </summary>
            <p class="card__body small muted">
                "What somebody else’s record added is taken away again with it; the next run makes it a person of its own."
            </p>
            <ul class="list plain">{rows}</ul>
        </details>
    }
    .into_any()
}

const fn key(key: Key) -> &'static str {
    match key {
        Key::ExternalId => "The same id in another source",
        Key::EmployeeNumber => "Employee number",
        Key::Mail => "Mail address",
        Key::NameAndBirthDate => "Name and date of birth",
    }
}

/// By what new records are told to be people who are known.
pub(super) fn correlation(home: &str, kept: &Correlation, manages: bool) -> AnyView {
    if !manages {
        let lines = kept.0.iter().map(|clue| {
            let asks = if clue.sure { "" } else { ", asks first" };
            view! { <li>{format!("{}{asks}", key(clue.by))}</li> }
        });
        let lines = lines.collect_view();
        return view! { <Card title="Who is who" id="correlation"><ol class="compact">{lines}</ol></Card> }.into_any();
    }
    let mut keys: Vec<_> = kept.0.iter().map(|clue| clue.by).collect();
    keys.extend(
        Key::ALL
            .into_iter()
            .filter(|one| kept.0.iter().all(|clue| clue.by != *one)),
    );
    let fields = keys
        .into_iter()
        .map(|one| {
            let clue = kept.0.iter().find(|clue| clue.by == one);
            let selected = match clue {
                None => "off",
                Some(clue) if clue.sure => "sure",
                Some(_) => "ask",
            };
            let choices = vec![
                Choice::new("sure", "Decides"),
                Choice::new("ask", "Proposes, and asks"),
                Choice::new("off", "Is not looked at"),
            ];
            view! { <Select label=key(one) name=one.name() choices=choices selected=selected scope="clue" /> }
        })
        .collect_view();
    let set = view! { <span class="row push"><Button text="Set" look=Look::Primary /></span> };
    view! {
        <form method="post" action=format!("{home}/correlation")>
            <Card title="Who is who" id="correlation" foot=set.into_any()>
                <div class="stack">
                    <p class="small muted">
                        "How a new record is told to be somebody who is known. The source’s own id is always sure. Where two people could be meant, somebody is asked."
                    </p>
                    {fields}
                </div>
            </Card>
        </form>
    }
    .into_any()
}

/// `POST /console/sources/{id}/decide`
pub async fn decide(
    visit: Visit,
    Path(source): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let source = SourceId(id(&source)?);
    let result = match decision(posted.get("decision")) {
        Some(decision) => {
            let store = &visit.portal.store;
            let record = posted.get("external_id");
            store.decide(&visit.viewer, source, record, decision).await
        }
        None => Err(Violation::Unknown {
            field: "decision".into(),
            value: posted.get("decision").chars().take(40).collect(),
            allowed: "a person, somebody new, or to leave it out".into(),
        }
        .into()),
    };
    back(
        &visit,
        &posted,
        source,
        result,
        "Decided. The next run follows it.",
    )
    .await
}

/// `POST /console/sources/{id}/ask-again`
pub async fn ask_again(
    visit: Visit,
    Path(source): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let source = SourceId(id(&source)?);
    let record = posted.get("external_id");
    let store = &visit.portal.store;
    let result = store.ask_again(&visit.viewer, source, record).await;
    back(
        &visit,
        &posted,
        source,
        result,
        "It waits for a decision again.",
    )
    .await
}

/// `POST /console/sources/{id}/unlink`
pub async fn unlink(
    visit: Visit,
    Path(source): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let source = SourceId(id(&source)?);
    let record = posted.get("external_id");
    let store = &visit.portal.store;
    let result = Box::pin(store.unlink(&visit.viewer, source, record)).await;
    let done = "Taken away. The next run makes it a person of its own.";
    back(&visit, &posted, source, result, done).await
}

/// `POST /console/sources/{id}/correlation`
pub async fn set_correlation(
    visit: Visit,
    Path(source): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let source = SourceId(id(&source)?);
    let clue = |(field, value): (&str, &str)| {
        let by = Key::ALL.into_iter().find(|one| one.name() == field)?;
        let sure = match value {
            "sure" => true,
            "ask" => false,
            _ => return None,
        };
        Some(Clue { by, sure })
    };
    // What decides is looked at before what only proposes; else as the form has them.
    let mut clues: Vec<_> = posted.fields().filter_map(clue).collect();
    clues.sort_by_key(|clue| !clue.sure);
    let store = &visit.portal.store;
    let result = store
        .set_correlation(&visit.viewer, source, Correlation(clues))
        .await;
    let done = "Set. Records that are linked already stay so.";
    back(&visit, &posted, source, result, done).await
}

async fn back(
    visit: &Visit,
    posted: &Posted,
    source: SourceId,
    result: Result<(), store::Error>,
    done: &str,
) -> Result<Response, AppError> {
    let home = format!("/console/sources/{source}");
    answer(
        &visit.session,
        posted,
        result,
        &home,
        |()| home.clone(),
        done,
    )
    .await
}

fn decision(text: &str) -> Option<Decision> {
    match text {
        "new" => Some(Decision::New),
        "ignore" => Some(Decision::Ignore),
        text => {
            let person: EmployeeId = text.strip_prefix("is:")?.parse().ok()?;
            Some(Decision::Is(person))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_names_a_person_or_somebody_new_or_nobody() {
        let id = EmployeeId(uuid::Uuid::from_u128(7));
        assert_eq!(decision(&format!("is:{id}")), Some(Decision::Is(id)));
        assert_eq!(decision("new"), Some(Decision::New));
        assert_eq!(decision("ignore"), Some(Decision::Ignore));
        assert_eq!(decision("is:nobody"), None);
        assert_eq!(decision(""), None);
    }
}

//! The past of a person's values: one value's changes, or the profile as it was on a day.

use std::collections::BTreeMap;

use axum::{
    extract::{Path, Query},
    response::Response,
};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use domain::{Action, Attribute, EmployeeId, Relation, Value, attribute::Kind, sourcing::Origin};
use leptos::prelude::*;
use serde::Deserialize;
use store::{
    history::{Cause, ProfileThen, ValueChange, ValueHistory},
    people::PersonCard,
    profile::ProfileValue,
};

use crate::{
    edge::{AppError, Visit, id},
    ui::{
        Banner, Button, Card, Choice, Column, Crumb, Crumbs, Diff, Door, EmptyState, Field, Glyph,
        Hide, PageHead, Select, Table, Timeline, TimelineItem, Tone,
        format::{self, Reader},
    },
    words,
};

/// Longest value of a change, in characters.
const VALUE: usize = 200;

/// What is asked for: one value's past, a day, both or nothing yet.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    attribute: String,
    #[serde(default)]
    on: String,
}

/// `GET /people/{id}/history`
pub async fn show(
    visit: Visit,
    Path(who): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, AppError> {
    let who = EmployeeId(id(&who)?);
    let store = &visit.portal.store;
    let reader = visit.reader;
    let person = store.person(&visit.viewer, who).await?;
    let relation = visit.portal.store.stands_to(&visit.viewer, who);
    let attributes: Vec<_> = Attribute::ALL
        .iter()
        .copied()
        .filter(|one| {
            let reading = Action::reading(one.spec().audience);
            visit.viewer.may(relation, reading)
        })
        .collect();
    let day = asked.on.parse::<NaiveDate>();
    let wrong_day = !asked.on.is_empty() && day.is_err();
    let then = match day {
        Ok(day) => {
            let at = end_of(day, &reader);
            Some((day, store.profile_on(&visit.viewer, who, at).await?))
        }
        Err(_) => None,
    };
    let chosen: Option<Attribute> = asked.attribute.parse().ok();
    let past = match chosen {
        Some(attribute) => Some(store.value_history(&visit.viewer, who, attribute).await?),
        None => None,
    };
    let title = format!("{}’s past values", person.display_name);
    let heading = title.clone();
    visit
        .page(&title, Door::People, move || {
            let here = format!("/people/{who}/history");
            let mine = relation == Relation::Myself;
            let choices = attributes
                .iter()
                .map(|one| Choice::new(one.name(), words::attribute(*one)))
                .collect();
            let on = match wrong_day {
                true => String::new(),
                false => asked.on.clone(),
            };
            let (about_value, about_day) = (here.clone(), here.clone());
            let nothing = past.is_none() && then.is_none();
            let (empty, how) = match wrong_day {
                true => ("There is no such day", "Choose a day such as 2026-03-01."),
                false => (
                    "Choose a value or a day",
                    "A value shows all its changes; a day shows the profile as it was when that day ended.",
                ),
            };
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![
                        Crumb::link("People", "/people"),
                        Crumb::link(person.display_name.clone(), format!("/people/{who}")),
                        Crumb::here("History"),
                    ] />
                    <PageHead
                        title=heading
                        sentence="What stood where and when, whose it was, and the rule that decided. Who may see a value now may see its past."
                    />
                    <div class="columns">
                        <div class="stack stack--loose">
                            {past.map(|past| changes(past, &reader))}
                            {then.map(|(day, then)| on_that_day(day, then, mine, &here, &reader))}
                            {nothing
                                .then(|| {
                                    view! {
                                        <EmptyState
                                            glyph=Glyph::Clock
                                            title=empty
                                            sentence=how
                                        />
                                    }
                                })}
                        </div>
                        <aside class="stack" aria-label="What to show">
                            <Card title="One value" id="one-value">
                                <form class="stack form" method="get" action=about_value>
                                    <Select label="Value" name="attribute" choices=choices selected=asked.attribute.clone() />
                                    <div>
                                        <Button text="Show its past" />
                                    </div>
                                </form>
                            </Card>
                            <Card title="One day" id="one-day">
                                <form class="stack form" method="get" action=about_day>
                                    <Field
                                        label="Day"
                                        name="on"
                                        kind="date"
                                        value=on
                                        help="The profile as it was when the day ended, under the rules of that day."
                                        error=wrong_day.then(|| "Choose a day such as 2026-03-01.".to_owned())
                                    />
                                    <div>
                                        <Button text="Show that day" />
                                    </div>
                                </form>
                            </Card>
                        </aside>
                    </div>
                </div>
            }
        })
        .await
}

/// When a day ends where the reader is; now, if it has not ended yet.
fn end_of(day: NaiveDate, reader: &Reader) -> DateTime<Utc> {
    let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
    let there = next.and_time(NaiveTime::MIN).and_utc();
    let east = TimeDelta::minutes(i64::from(reader.zone.offset_minutes(there)));
    (there - east - TimeDelta::microseconds(1)).min(reader.now)
}

fn short(text: String) -> String {
    match text.chars().count() <= VALUE {
        true => text,
        false => format!("{}…", text.chars().take(VALUE).collect::<String>()),
    }
}

/// A value as people read it.
fn written(
    attribute: Attribute,
    value: &Value,
    people: &BTreeMap<EmployeeId, PersonCard>,
    reader: &Reader,
) -> String {
    let text = value.to_string();
    match attribute.spec().kind {
        Kind::Person => text
            .parse()
            .ok()
            .and_then(|id| people.get(&id))
            .map_or_else(
                || "Somebody who is not here".to_owned(),
                |person| person.display_name.clone(),
            ),
        Kind::Date => NaiveDate::parse_from_str(&text, "%Y-%m-%d")
            .map_or_else(|_| text, |date| reader.locale.long_date(date)),
        _ if attribute == Attribute::Photos => "A photo".to_owned(),
        _ => short(text),
    }
}

/// Whose a value was, in a word.
const fn whose(origin: Origin) -> &'static str {
    match origin {
        Origin::Erp | Origin::ErpOnly => "ERP",
        Origin::Own | Origin::OwnOnly => "Own",
        Origin::Both => "Both agree",
        Origin::Nothing => "Nothing",
    }
}

fn changes(past: ValueHistory, reader: &Reader) -> AnyView {
    let attribute = past.attribute;
    let items = past
        .changes
        .iter()
        .map(|change| item(attribute, change, &past.people, reader))
        .collect::<Vec<_>>();
    let title = words::attribute(attribute);
    if items.is_empty() {
        let sentence = format!(
            "Nothing was ever said of it since {}.",
            reader.date(past.since)
        );
        return view! { <EmptyState glyph=Glyph::Clock title=title sentence=sentence /> }
            .into_any();
    }
    view! {
        <Card title=title id="changes">
            <Timeline>{items}</Timeline>
        </Card>
    }
    .into_any()
}

fn item(
    attribute: Attribute,
    change: &ValueChange,
    people: &BTreeMap<EmployeeId, PersonCard>,
    reader: &Reader,
) -> AnyView {
    let write = |value: &Option<Value>| {
        let value = value.as_ref()?;
        Some(written(attribute, value, people, reader))
    };
    let (glyph, who) = match &change.cause {
        Cause::Came => (Glyph::Join, "Came with".into_any()),
        Cause::Run {
            run,
            source,
            source_name,
            undo,
        } => {
            let href = format!("/console/sources/{source}/runs/{run}");
            let (glyph, word) = match undo {
                true => (Glyph::Undo, "An undo"),
                false => (Glyph::Source, "A run"),
            };
            let text = format!("{word} of {source_name}");
            (glyph, view! { <a href=href>{text}</a> }.into_any())
        }
        Cause::Source { source_name, .. } => (Glyph::Source, source_name.clone().into_any()),
        Cause::Edit { by } => {
            let who = by.and_then(|by| people.get(&by)).map_or_else(
                || "Written here".to_owned(),
                |card| format!("Written by {}", card.display_name),
            );
            (Glyph::Pencil, who.into_any())
        }
        Cause::Rules { version } => {
            let text = format!("Version {version} of the rules");
            (Glyph::Policy, text.into_any())
        }
    };
    let diff = match &change.cause {
        Cause::Rules { .. } => None,
        Cause::Came => {
            write(&change.to).map(|text| view! { " " <strong>{text}</strong> }.into_any())
        }
        _ => Some(view! { ": " <Diff from=write(&change.from) to=write(&change.to) /> }.into_any()),
    };
    let shown = write(&change.shown).map_or_else(
        || "Nothing was shown".to_owned(),
        |text| format!("Shown was “{text}”"),
    );
    let rule = match change.rule.rule.id {
        0 => "no rule was set".to_owned(),
        number => {
            let scope = change.rule.scope_name.clone();
            let scope = scope.map_or_else(String::new, |unit| format!(" for {unit}"));
            format!(
                "rule {number}{scope}, {}",
                words::strength(change.rule.rule.strength)
            )
        }
    };
    let sentence = format!("{shown}. {}, {rule}.", whose(change.origin));
    view! {
        <TimelineItem glyph=glyph when=reader.moment(change.at) iso=format::iso(change.at)>
            {who}
            {diff}
            <p class="small muted">{sentence}</p>
        </TimelineItem>
    }
    .into_any()
}

fn on_that_day(
    day: NaiveDate,
    then: ProfileThen,
    mine: bool,
    here: &str,
    reader: &Reader,
) -> AnyView {
    let title = reader.locale.long_date(day);
    let Some(profile) = then.profile else {
        let text = format!(
            "They have been known here since {}.",
            reader.date(then.since)
        );
        return view! {
            <Banner title=format!("Not here yet on {title}") tone=Tone::Info>
                {text}
            </Banner>
        }
        .into_any();
    };
    let rows = profile
        .values
        .iter()
        .filter(|value| value.resolved.value.is_some())
        .map(|value| row(value, &profile.people, mine, here, reader))
        .collect::<Vec<_>>();
    view! {
        <section aria-labelledby="that-day">
            <div class="toolbar">
                <h2 id="that-day">{title}</h2>
            </div>
            <Table
                caption="Values on that day"
                class="table--stacks"
                columns=vec![
                    Column::new("What"),
                    Column::new("Value"),
                    Column::new("Whose").hide(Hide::Narrow),
                    Column::new("Rule").hide(Hide::Narrow),
                ]
            >
                {rows}
            </Table>
        </section>
    }
    .into_any()
}

fn row(
    value: &ProfileValue,
    people: &BTreeMap<EmployeeId, PersonCard>,
    mine: bool,
    here: &str,
    reader: &Reader,
) -> AnyView {
    let attribute = value.attribute;
    let write = |value: &Value| written(attribute, value, people, reader);
    let shown = value.resolved.value.as_ref().map(write);
    let kept = value.resolved.kept.as_ref().map(|kept| {
        let text = write(kept);
        match value.resolved.origin {
            Origin::Erp if mine => format!("You wrote “{text}”"),
            Origin::Erp => format!("Own value “{text}”"),
            _ => format!("ERP said “{text}”"),
        }
    });
    let source = value.erp.as_ref().map(|erp| erp.source_name.clone());
    let from = match (value.resolved.origin, source) {
        (Origin::Erp | Origin::ErpOnly, Some(name)) => name,
        (origin, _) => whose(origin).to_owned(),
    };
    let rule = match value.rule.rule.id {
        0 => "Built in".to_owned(),
        number => format!(
            "Rule {number}, {}",
            words::strength(value.rule.rule.strength)
        ),
    };
    let href = format!("{here}?attribute={}", attribute.name());
    view! {
        <tr>
            <th scope="row">
                <a class="name" href=href>{words::attribute(attribute)}</a>
            </th>
            <td>
                {shown}
                {kept.map(|kept| view! { <span class="beside-block">{kept}</span> })}
            </td>
            <td class="hide-narrow">{from}</td>
            <td class="hide-narrow">{rule}</td>
        </tr>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::format::Zone;
    use chrono::TimeZone as _;

    #[test]
    fn a_day_ends_where_the_reader_is_and_never_later_than_now() {
        let now = Utc.with_ymd_and_hms(2026, 3, 5, 12, 0, 0).unwrap();
        let reader = Reader {
            zone: Zone::named("Europe/Oslo"),
            ..Reader::new(now)
        };
        let day = |day| NaiveDate::from_ymd_opt(2026, 3, day).unwrap();
        assert_eq!(
            end_of(day(1), &reader).to_rfc3339(),
            "2026-03-01T22:59:59.999999+00:00"
        );
        assert_eq!(end_of(day(5), &reader), now);
    }

    #[test]
    fn a_person_is_written_by_name_and_a_long_value_is_cut() {
        let reader = Reader::new(Utc.with_ymd_and_hms(2026, 3, 5, 12, 0, 0).unwrap());
        let none = BTreeMap::new();
        let value = Value::from("00000000-0000-0000-0000-000000000001");
        assert_eq!(
            written(Attribute::Manager, &value, &none, &reader),
            "Somebody who is not here"
        );
        let long = written(Attribute::About, &"é".repeat(500).into(), &none, &reader);
        assert_eq!(long.chars().count(), VALUE + 1);
    }
}

//! The order of sources: which one is heard first where several speak of one person.

use std::collections::BTreeMap;

use axum::response::Response;
use domain::{Attribute, SourceId, Violation, policy::Kind, sourcing::Priority};
use leptos::prelude::*;

use super::{PolicyTabs, admitted};
use crate::{
    edge::{AppError, Kept, Posted, Visit, answer},
    ui::{
        Button, Card, Choice, Column, Door, EmptyState, Field, Glyph, LinkButton, Look, PageHead,
        Select, Table, ToolbarSelect,
    },
    words,
};

const PAGE: &str = "/console/source-order";
/// In the form: as for everything else.
const AS_OTHERS: &str = "as_others";

/// A source with the name that people know it by.
type Named = (SourceId, String);

fn name(source: SourceId, sources: &[Named]) -> String {
    let known = sources.iter().find(|(id, _)| *id == source);
    known.map_or_else(|| "A source that is gone".into(), |(_, name)| name.clone())
}

/// A version in words, for its history.
pub(super) fn lines(priority: &Priority, sources: &[Named]) -> Vec<String> {
    let order = |order: &[SourceId]| {
        let names: Vec<_> = order.iter().map(|id| name(*id, sources)).collect();
        match names.is_empty() {
            true => "as they were connected".to_owned(),
            false => names.join(", then "),
        }
    };
    let own = priority
        .attributes
        .iter()
        .map(|(attribute, own)| format!("{}: {}", words::attribute(*attribute), order(own)));
    std::iter::once(format!("Everything else: {}", order(&priority.order)))
        .chain(own)
        .collect()
}

/// Attributes of which sources can say different things.
fn said_by_sources() -> impl Iterator<Item = Attribute> {
    let all = Attribute::ALL.iter().copied();
    all.filter(|attribute| *attribute != Attribute::Active)
}

/// Every source in the order that holds for everything.
fn in_order(priority: &Priority, sources: &[Named]) -> Vec<SourceId> {
    let known = |id: &SourceId| sources.iter().any(|(one, _)| one == id);
    let mut order: Vec<_> = priority.order.iter().copied().filter(known).collect();
    let rest = sources.iter().map(|(id, _)| *id);
    let rest: Vec<_> = rest.filter(|id| !order.contains(id)).collect();
    order.extend(rest);
    order
}

/// `GET /console/source-order`
pub async fn show(visit: Visit) -> Result<Response, AppError> {
    admitted(&visit)?;
    let store = &visit.portal.store;
    let priority = store.policy::<Priority>(&visit.viewer).await?;
    let sources = store.source_names(&visit.viewer).await?;
    let kept = visit.flash.kept(PAGE);
    visit
        .page("Order of sources", Door::Rules, move || {
            let body = if sources.len() < 2 {
                view! {
                    <EmptyState
                        glyph=Glyph::Source
                        title="One source needs no order"
                        sentence="Once a second source is connected and speaks of the same people, it is set here which one is heard first."
                    />
                }
                .into_any()
            } else {
                form(&priority, &sources, &kept)
            };
            view! {
                <div class="page">
                    <PageHead
                        title="Order of sources"
                        sentence="Where several sources speak of one person, the first that has a value is heard. What the others say is kept and shown beside it."
                    >
                        <LinkButton text="Versions" href="/console/source-order/history" icon=Some(Glyph::Clock) />
                    </PageHead>
                    <PolicyTabs current=Kind::SourcePriority />
                    {body}
                </div>
            }
        })
        .await
}

fn form(priority: &Priority, sources: &[Named], kept: &Kept) -> AnyView {
    let choices: Vec<_> = sources
        .iter()
        .map(|(id, name)| Choice::new(id.to_string(), name.clone()))
        .collect();
    let places = in_order(priority, sources)
        .into_iter()
        .enumerate()
        .map(|(place, id)| {
            let field = format!("order.{}", place + 1);
            let label = match place {
                0 => "Heard first".to_owned(),
                place => format!("Heard after {} other{}", place, if place == 1 { "" } else { "s" }),
            };
            let selected = kept.value(&field, &id.to_string());
            let error = (place == 0).then(|| kept.error("order")).flatten();
            view! { <Select label=label name=field choices=choices.clone() selected=selected error=error /> }
        })
        .collect_view();
    let mut offered = vec![Choice::new(AS_OTHERS, "As above")];
    offered.extend(choices.clone());
    let rows = said_by_sources()
        .map(|attribute| {
            let field = attribute.name();
            let label = words::attribute(attribute);
            let first = priority
                .attributes
                .get(&attribute)
                .and_then(|own| own.first());
            let first = first.map_or_else(|| AS_OTHERS.to_owned(), ToString::to_string);
            view! {
                <tr>
                    <th scope="row">{label}</th>
                    <td>
                        <ToolbarSelect
                            label=format!("Heard first about {}", label.to_lowercase())
                            name=field
                            choices=offered.clone()
                            selected=kept.value(field, &first)
                        />
                    </td>
                </tr>
            }
        })
        .collect_view();
    let (note, wrong_note) = (kept.value("note", ""), kept.error("note"));
    let set = view! {
        <span class="row push">
            <Button text="Set order" look=Look::Primary />
        </span>
    };
    view! {
        <form class="stack" method="post" action=PAGE>
            <input type="hidden" name="version" value=priority.version.to_string() />
            <Card title=format!("Version {}", priority.version) id="order" foot=set.into_any()>
                <div class="stack form">
                    {places}
                    <Field
                        label="Why"
                        name="note"
                        value=note
                        error=wrong_note
                        help="Stands in the history of this policy."
                        optional=true
                        max_length=Some(300)
                    />
                </div>
            </Card>
            <Table
                caption="Heard first, by attribute"
                columns=vec![Column::new("Attribute"), Column::new("Heard first")]
            >
                {rows}
            </Table>
        </form>
    }
    .into_any()
}

type Parsed = (u32, Vec<SourceId>, BTreeMap<Attribute, Vec<SourceId>>);

fn parse(posted: &Posted, before: &Priority) -> Result<Parsed, Violation> {
    let source = |field: &str, text: &str| {
        text.parse::<SourceId>().map_err(|_| Violation::Unknown {
            field: field.to_owned(),
            value: text.chars().take(40).collect(),
            allowed: "one of the list".into(),
        })
    };
    let read = posted.parse("version", "a version")?;
    let mut order = Vec::new();
    for (field, text) in posted.fields() {
        if field.starts_with("order.") {
            order.push(source("order", text)?);
        }
    }
    let mut attributes = BTreeMap::new();
    for attribute in said_by_sources() {
        match posted.get(attribute.name()) {
            "" | AS_OTHERS => {}
            first => {
                let first = source(attribute.name(), first)?;
                // A longer order that was set by the API stays, if it begins so.
                let kept = before.attributes.get(&attribute);
                let kept = kept.filter(|own| own.first() == Some(&first)).cloned();
                attributes.insert(attribute, kept.unwrap_or_else(|| vec![first]));
            }
        }
    }
    Ok((read, order, attributes))
}

/// `POST /console/source-order`
pub async fn set(visit: Visit, posted: Posted) -> Result<Response, AppError> {
    admitted(&visit)?;
    let store = &visit.portal.store;
    let before = store.policy::<Priority>(&visit.viewer).await?;
    let result = match parse(&posted, &before) {
        Ok((read, order, attributes)) => {
            store
                .set_policy::<Priority>(
                    &visit.viewer,
                    read,
                    (order, attributes),
                    posted.get("note"),
                )
                .await
        }
        Err(violation) => Err(violation.into()),
    };
    let done = "The order is set and holds from now on.";
    answer(
        &visit.session,
        &posted,
        result,
        PAGE,
        |_| PAGE.to_owned(),
        done,
    )
    .await
}

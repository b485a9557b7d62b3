//! The directory: everyone who works here, by name.

use axum::{extract::Query, response::Response};
use domain::{UnitId, org::OrgChart};
use leptos::prelude::*;
use serde::Deserialize;
use store::{org::UnitInfo, people::DirectoryQuery};

use crate::{
    edge::{AppError, Visit, face},
    ui::{
        Button, Check, Choice, Column, Door, EmptyState, Glyph, Hide, IconLink, Layout, LinkButton,
        PageHead, Pager, Person, Search, Table, ToolbarSelect,
        format::{counted, number},
    },
    words::percent,
};

/// How far units are set in at most: there is no room for more.
const LEVELS: usize = 4;

/// What to look for.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    cursor: String,
}

/// `GET /people`
pub async fn show(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, AppError> {
    let store = &visit.portal.store;
    let query = DirectoryQuery {
        q: wanted.q.chars().take(200).collect(),
        unit: wanted.unit.parse().ok(),
        cursor: Some(wanted.cursor).filter(|cursor| !cursor.is_empty()),
        limit: None,
    };
    let found = store.directory(&visit.viewer, &query).await?;
    let units = store.units_around(&visit.viewer, query.unit).await?;
    let chart = store.chart();
    let managers: Vec<_> = found
        .page
        .items
        .iter()
        .filter_map(|person| chart.chart.manager(person.id))
        .collect();
    let managers = store.cards(&visit.viewer, &managers).await?;
    let me = visit.me.person.id;

    let words = query.q.clone();
    let search = Some(words.clone()).filter(|words| !words.is_empty());
    visit
        .laid_out("People", Door::People, Layout::Page, "", search, move || {
            let shown = found.page.items.len();
            let narrowed = !words.is_empty() || query.unit.is_some();
            let total = counted(found.total, "person", "people");
            let sentence = format!("{total} in {}.", counted(chart.units.len() as u64, "unit", "units"));
            let fewer = units.len() < chart.units.len();
            let mut choices = vec![Choice::new("", "Every unit")];
            choices.extend(units.iter().map(|unit| Choice::new(unit.id.to_string(), unit.name.clone())));
            let here = |cursor: Option<String>| {
                let unit = query.unit.map(|unit| unit.to_string()).unwrap_or_default();
                let cursor = cursor.map(|cursor| format!("&cursor={}", percent(&cursor))).unwrap_or_default();
                format!("/people?q={}&unit={unit}{cursor}", percent(&words))
            };
            let rows = found
                .page
                .items
                .into_iter()
                .map(|person| {
                    let href = format!("/people/{}", person.id);
                    let write = format!("Write to {}", person.display_name);
                    let chat = (person.id != me).then(|| format!("/chat/new?with={}", person.id));
                    let manager = chart.chart.manager(person.id).and_then(|id| managers.get(&id).cloned());
                    view! {
                        <tr>
                            <th scope="row">
                                <Person face=face(&person) href=href sub=person.title.clone() sub_narrow=true />
                            </th>
                            <td class="hide-narrow">{person.title.clone()}</td>
                            <td class="hide-narrow">{person.department.clone()}</td>
                            <td class="hide-medium">{person.location.clone()}</td>
                            <td class="hide-medium">{manager.map(|manager| manager.display_name)}</td>
                            <td class="actions">
                                {chat.map(|href| view! { <IconLink glyph=Glyph::Chat label=write href=href /> })}
                            </td>
                        </tr>
                    }
                })
                .collect_view();
            let list = if shown == 0 {
                view! {
                    <EmptyState
                        glyph=Glyph::People
                        title="Nobody found"
                        sentence="Nobody who works here has all of these words in name, title, unit, mail or number."
                    >
                        <LinkButton text="Show everyone" href="/people" />
                    </EmptyState>
                }
                .into_any()
            } else {
                let of = format!(
                    "{} of {}",
                    number(i64::try_from(shown).unwrap_or(i64::MAX)),
                    number(i64::try_from(found.matching).unwrap_or(i64::MAX))
                );
                let first = query.cursor.is_some().then(|| here(None));
                let next = found.page.next_cursor.clone().map(|cursor| here(Some(cursor)));
                view! {
                    <Table
                        caption=format!("{} found, by name", counted(found.matching, "person", "people"))
                        class="people-table"
                        columns=vec![
                            Column::new("Name"),
                            Column::new("Title").hide(Hide::Narrow),
                            Column::new("Unit").hide(Hide::Narrow),
                            Column::new("Works").hide(Hide::Medium),
                            Column::new("Reports to").hide(Hide::Medium),
                            Column::actions(),
                        ]
                    >
                        {rows}
                    </Table>
                    <Pager text=of before=first after=next before_word="First page" />
                }
                .into_any()
            };
            view! {
                <div class="page page--wide">
                    <PageHead title="People" sentence=sentence>
                        <LinkButton text="Org chart" href="/org" icon=Some(Glyph::Org) />
                    </PageHead>
                    <div class="with-facets">
                        <form class="facets" method="get" action="/people" aria-label="Narrow the list">
                            <div class="row row--between facets__head">
                                <h2 class="compact">"Narrow"</h2>
                                {narrowed.then(|| view! { <a class="btn btn--quiet btn--small" href="/people">"Clear"</a> })}
                            </div>
                            <input type="hidden" name="q" value=words.clone() />
                            <fieldset class="facet">
                                <legend>"Unit"</legend>
                                <Check label="Every unit" name="unit" value="" radio=true checked=query.unit.is_none() />
                                {facets(units, &chart.chart, query.unit)}
                                {fewer.then(|| view! { <p class="small muted">"Choose a unit to see those within it."</p> })}
                            </fieldset>
                            <Button text="Show" />
                        </form>
                        <section class="facets__main" aria-labelledby="results">
                            <h2 class="visually-hidden" id="results">"Results"</h2>
                            <form class="toolbar" role="search" method="get" action="/people" aria-label="People in this list">
                                <Search label="Name, title, unit, mail or number" value=words.clone() scope="list" />
                                // Where there is no room for the list beside, the unit is chosen here; it is sent either way.
                                <span class="only-medium">
                                    <ToolbarSelect
                                        label="Unit"
                                        name="unit"
                                        choices=choices
                                        selected=query.unit.map(|unit| unit.to_string()).unwrap_or_default()
                                    />
                                </span>
                                <Button text="Search" />
                            </form>
                            {list}
                        </section>
                    </div>
                </div>
            }
        })
        .await
}

/// A radio button for each unit, set in by how many units are above it.
fn facets(units: Vec<UnitInfo>, chart: &OrgChart, chosen: Option<UnitId>) -> AnyView {
    units
        .into_iter()
        .map(|unit| {
            let above = chart.unit_path(unit.id).len().saturating_sub(1);
            view! {
                <div class=format!("facet__level-{}", above.min(LEVELS))>
                    <Check
                        label=unit.name
                        name="unit"
                        value=unit.id.to_string()
                        radio=true
                        checked=chosen == Some(unit.id)
                        figure=number(unit.people_overall.into())
                    />
                </div>
            }
        })
        .collect_view()
        .into_any()
}

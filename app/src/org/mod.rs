//! The org chart: the tree, a person's place in it, and what in the data cannot be so.

use axum::{Router, extract::Query, response::Response, routing::get};
use domain::{EmployeeId, org::Finding};
use leptos::prelude::*;
use serde::Deserialize;
use store::{
    org::{NamedFinding, Node, Place, StandIn},
    people::PersonCard,
};

use crate::{
    edge::{AppError, Visit, face},
    portal::Portal,
    ui::{
        Avatar, Badge, Card, Count, Door, EmptyState, Fact, Facts, Glyph, LinkButton, PageHead,
        Person, Tone, classes, format::counted,
    },
};

/// The chart's page.
pub fn routes() -> Router<Portal> {
    Router::new().route("/org", get(show))
}

/// Whom to show.
#[derive(Debug, Default, Deserialize)]
struct Wanted {
    #[serde(default)]
    person: String,
}

/// Levels below the top that are drawn; deeper ones are a click away.
const DEPTH: u8 = 2;

/// `GET /org`
async fn show(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, AppError> {
    let store = &visit.portal.store;
    let selected = wanted.person.parse::<EmployeeId>().ok();
    let place = match selected {
        Some(id) => Some(store.place(&visit.viewer, id).await?),
        None => None,
    };
    let whole = store.tree(&visit.viewer, None, DEPTH).await?;
    // The main tree is drawn whole; a selected person outside of its drawn levels is drawn as a tree of their own.
    let findings = store.chart_findings(&visit.viewer).await?;
    let snapshot = store.chart();
    let (people, built) = (snapshot.chart.len(), snapshot.built_at);
    let drawn = |nodes: &[Node], id| contains(nodes, id);
    let extra = match &place {
        Some(place) if !drawn(&whole, place.person.id) => {
            store.tree(&visit.viewer, selected, DEPTH).await?
        }
        _ => Vec::new(),
    };
    let reader = visit.reader;
    visit
        .page("Org chart", Door::Org, move || {
            let (trees, alone): (Vec<_>, Vec<_>) = whole.into_iter().partition(|node| node.oversees > 0);
            let sentence = format!(
                "{} in the chart, built {}. Reviews and audiences follow it.",
                counted(people as u64, "person", "people"),
                reader.moment_in_sentence(built),
            );
            let empty = trees.is_empty() && alone.is_empty();
            view! {
                <div class="page page--wide org-page">
                    <PageHead title="Org chart" sentence=sentence>
                        <LinkButton text="Directory" href="/people" icon=Some(Glyph::List) />
                    </PageHead>
                    {if empty {
                        view! {
                            <EmptyState
                                glyph=Glyph::Org
                                title="No chart yet"
                                sentence="The chart is built from the ERP. Once a source has been read, it stands here."
                            />
                        }
                            .into_any()
                    } else {
                        view! {
                            {(!extra.is_empty())
                                .then(|| view! { <section class="org" aria-label="Selected team">{chart(extra, selected)}</section> })}
                            <section class="org" aria-label=format!("Chart, {people} people")>
                                {chart(trees, selected)}
                            </section>
                        }
                            .into_any()
                    }}
                    <div class="org__foot">
                        {place.map(|place| view! { <Selected place=place /> })}
                        <Findings findings=findings alone=alone />
                    </div>
                </div>
            }
        })
        .await
}

fn contains(nodes: &[Node], id: EmployeeId) -> bool {
    nodes
        .iter()
        .any(|node| node.person.id == id || contains(&node.reports, id))
}

/// Three levels, as the design draws them: the top, its heads, and their teams.
fn chart(trees: Vec<Node>, selected: Option<EmployeeId>) -> AnyView {
    trees
        .into_iter()
        .map(|top| {
            let heads = top.reports.clone();
            view! {
                <ol class="org__top">
                    <li>
                        {node(&top, selected, false)}
                        {(!heads.is_empty())
                            .then(|| {
                                view! {
                                    <ol class="org__heads">
                                        {heads
                                            .into_iter()
                                            .map(|head| {
                                                let team = head.reports.clone();
                                                view! {
                                                    <li>
                                                        {node(&head, selected, false)}
                                                        {(!team.is_empty())
                                                            .then(|| {
                                                                view! {
                                                                    <ol class="org__team">
                                                                        {team
                                                                            .iter()
                                                                            .map(|one| view! { <li>{node(one, selected, true)}</li> })
                                                                            .collect_view()}
                                                                    </ol>
                                                                }
                                                            })}
                                                    </li>
                                                }
                                            })
                                            .collect_view()}
                                    </ol>
                                }
                            })}
                    </li>
                </ol>
            }
        })
        .collect_view()
        .into_any()
}

fn node(node: &Node, selected: Option<EmployeeId>, compact: bool) -> AnyView {
    let person = node.person.clone();
    let current = (selected == Some(person.id)).then_some("true");
    let reports = match (node.oversees, node.direct) {
        (0, _) => None,
        (all, direct) if all == direct => Some(format!("{direct} direct")),
        (all, direct) => Some(format!("{all} in all, {direct} direct")),
    };
    let foot = (!compact || node.oversees > 0).then(|| {
        view! {
            <span class="node__reports">
                {reports.map(|reports| view! { <span>{reports}</span> })}
                {(!compact).then(|| view! { <span>{person.location.clone()}</span> })}
            </span>
        }
    });
    view! {
        <a
            class=classes("node", &[if compact { "node--compact" } else { "" }])
            href=format!("/org?person={}", person.id)
            aria-current=current
        >
            <Avatar face=face(&person) size=if compact { 24 } else { 28 } />
            <span class="person__text">
                <span class="person__name clip">{person.display_name.clone()}</span>
                <span class="person__sub clip">{person.title.clone()}</span>
            </span>
            {foot}
        </a>
    }
    .into_any()
}

#[component]
fn Selected(place: Place) -> impl IntoView {
    let person = place.person.clone();
    let chain: Vec<_> = place
        .chain
        .iter()
        .map(|above| above.display_name.clone())
        .collect();
    let chain = if chain.is_empty() {
        "Nobody above".to_owned()
    } else {
        chain.join(", ")
    };
    let names = |people: &[PersonCard]| {
        let names: Vec<_> = people.iter().map(|one| one.display_name.clone()).collect();
        names.join(", ")
    };
    let (dotted, also) = (names(&place.dotted), names(&place.dotted_reports));
    let standing = |ones: &[StandIn]| {
        let ones: Vec<_> = ones.iter().map(|one| one.person.clone()).collect();
        names(&ones)
    };
    let (away, stands_in) = (standing(&place.stand_ins), standing(&place.stands_in_for));
    let below = match place.oversees {
        0 => "Nobody".to_owned(),
        n => counted(u64::from(n), "person", "people"),
    };
    view! {
        <Card title=format!("Selected: {}", person.display_name) id="selected">
            <Facts>
                <Fact label="Oversees">{below}</Fact>
                <Fact label="Chain">{chain}</Fact>
                {(!dotted.is_empty()).then(|| view! { <Fact label="Also reports to">{dotted}</Fact> })}
                {(!also.is_empty()).then(|| view! { <Fact label="Dotted line from">{also}</Fact> })}
                {(!away.is_empty()).then(|| view! { <Fact label="Stood in for by">{away}</Fact> })}
                {(!stands_in.is_empty()).then(|| view! { <Fact label="Stands in for">{stands_in}</Fact> })}
                <Fact label="Profile">
                    <a href=format!("/people/{}", person.id)>{format!("Open {}", person.display_name)}</a>
                </Fact>
            </Facts>
            {(!place.reports.is_empty())
                .then(|| {
                    view! {
                        <ul class="list">
                            {place
                                .reports
                                .iter()
                                .map(|report| {
                                    view! {
                                        <li class="list-row">
                                            <Person
                                                face=face(&report.person)
                                                href=format!("/org?person={}", report.person.id)
                                                sub=report.person.title.clone()
                                            />
                                        </li>
                                    }
                                })
                                .collect_view()}
                        </ul>
                    }
                })}
        </Card>
    }
}

#[component]
fn Findings(findings: Vec<NamedFinding>, alone: Vec<Node>) -> impl IntoView {
    let count = findings.len() as u64;
    let badge = view! { <Count count=count what="findings" tone=Tone::Warning /> }.into_any();
    view! {
        <Card title="Findings in the chart" id="findings" end=badge>
            {if findings.is_empty() && alone.is_empty() {
                view! { <p class="muted">"Everyone has one place, and every circle is closed by nobody."</p> }.into_any()
            } else {
                view! {
                    <ul class="stack">
                        {findings
                            .into_iter()
                            .map(|named| {
                                let (title, sentence) = finding(&named);
                                view! {
                                    <li>
                                        <p>
                                            <Badge text=title tone=Tone::Warning icon=Some(Glyph::Warning) />
                                            " "
                                            {sentence}
                                        </p>
                                    </li>
                                }
                            })
                            .collect_view()}
                    </ul>
                    {(!alone.is_empty())
                        .then(|| {
                            view! {
                                <p class="muted small">"Outside the chart, with nobody above or below:"</p>
                                <ul class="list">
                                    {alone
                                        .iter()
                                        .map(|node| {
                                            view! {
                                                <li class="list-row">
                                                    <Person
                                                        face=face(&node.person)
                                                        href=format!("/people/{}", node.person.id)
                                                        sub=node.person.title.clone()
                                                    />
                                                </li>
                                            }
                                        })
                                        .collect_view()}
                                </ul>
                            }
                        })}
                }
                    .into_any()
            }}
        </Card>
    }
}

/// A finding's name and what it means.
pub(crate) fn finding(named: &NamedFinding) -> (&'static str, String) {
    let people: Vec<_> = named
        .people
        .iter()
        .map(|person| person.display_name.as_str())
        .collect();
    let who = people.join(", ");
    let units = named.units.join(", ");
    match &named.finding {
        Finding::Cycle { .. } => (
            "Circle",
            format!(
                "{who} are each other’s superiors. None of them oversees another until the ERP is mended."
            ),
        ),
        Finding::SelfManaged { .. } => (
            "Own superior",
            format!("{who} is named as the own superior, so nobody may review their words."),
        ),
        Finding::MissingManager { reference, .. } => (
            "Missing manager",
            match people.as_slice() {
                [who, above] => format!("{who} reports to {above}, who has left."),
                _ => format!("{who} reports to “{reference}”, who is not here."),
            },
        ),
        Finding::VacantManager { post, above, .. } => {
            let who = people.first().copied().unwrap_or("Somebody");
            match (above, people.get(1)) {
                (Some(_), Some(next)) => (
                    "Vacant post",
                    format!(
                        "{who} reports to the post “{post}”, which nobody holds. Until it is taken, {next} is next above."
                    ),
                ),
                _ => (
                    "Vacant post",
                    format!(
                        "{who} reports to the post “{post}”, which nobody holds and nobody is above. Until then, nobody oversees {who}."
                    ),
                ),
            }
        }
        Finding::SeveralHeads { .. } => (
            "Several heads",
            format!("{units} has more than one head: {who}."),
        ),
        Finding::Detached { .. } => (
            "Detached",
            format!("{who} has no superior and stands outside the main tree."),
        ),
        Finding::UnitCycle { .. } => (
            "Circle of units",
            format!("{units} are each other’s parents."),
        ),
        Finding::MissingParent { .. } => (
            "Missing parent",
            format!("{units} belongs to a unit that is not there."),
        ),
    }
}

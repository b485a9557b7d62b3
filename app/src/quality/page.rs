//! The list of what is wrong, narrowed by kind, source and unit.

use axum::{extract::Query, response::Response};
use domain::{SourceId, UnitId};
use leptos::prelude::*;
use serde::Deserialize;
use store::{
    org::UnitInfo,
    quality::{Flaw, Kind, Quality, QualityQuery, SourceTrend},
};
use uuid::Uuid;

use super::{trend, words};
use crate::{
    edge::{AppError, Visit},
    ui::{
        Button, Choice, Column, Door, EmptyState, Glyph, Hide, LinkButton, Look, PageHead, Pager,
        StatTiles, Table, ToolbarSelect, format::counted,
    },
    words::percent,
};

const PAGE: &str = "/console/quality";

/// What to show. What cannot be read means everything.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    cursor: String,
}

impl Wanted {
    fn query(&self) -> QualityQuery {
        let id = |text: &str| text.parse::<Uuid>().ok();
        QualityQuery {
            kind: Kind::named(&self.kind),
            source: id(&self.source).map(SourceId),
            unit: id(&self.unit).map(UnitId),
            cursor: Some(self.cursor.clone()).filter(|cursor| !cursor.is_empty()),
        }
    }

    fn narrowed(&self) -> bool {
        ![&self.kind, &self.source, &self.unit]
            .into_iter()
            .all(String::is_empty)
    }

    fn after(&self, cursor: &str) -> String {
        format!(
            "{PAGE}?kind={}&source={}&unit={}&cursor={}",
            percent(&self.kind),
            percent(&self.source),
            percent(&self.unit),
            percent(cursor)
        )
    }
}

/// `GET /console/quality`
pub async fn show(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, AppError> {
    let store = &visit.portal.store;
    let quality = store.quality(&visit.viewer, &wanted.query()).await?;
    let units = store.units(&visit.viewer).await?;
    let reader = visit.reader;
    visit
        .page("Data quality", Door::Quality, move || {
            let tiles = quality.sources.iter().map(trend::tile).collect_view();
            let figures = quality
                .sources
                .iter()
                .filter(|source| wanted.source.is_empty() || source.id.to_string() == wanted.source)
                .filter_map(|source| trend::figures(source, &reader))
                .collect_view();
            let sources = !quality.sources.is_empty();
            view! {
                <div class="page">
                    <PageHead
                        title="Data quality"
                        sentence="What the sources say that cannot be so, who can mend it where, and how it went over the last runs."
                    />
                    <div class="stack">
                        {sources.then(|| view! { <StatTiles>{tiles}</StatTiles> })}
                        {filters(&wanted, &quality, &units)}
                        {list(&wanted, &quality, &units)}
                        {figures}
                    </div>
                </div>
            }
        })
        .await
}

fn filters(wanted: &Wanted, quality: &Quality, units: &[UnitInfo]) -> AnyView {
    let all = |label: &str| Choice::new("", label);
    let mut kinds = vec![all("Every kind")];
    kinds.extend(
        quality.kinds.iter().map(|(kind, count)| {
            Choice::new(kind.name(), format!("{}, {count}", words::kind(*kind)))
        }),
    );
    let mut sources = vec![all("Every source")];
    sources.extend(
        quality
            .sources
            .iter()
            .map(|source| Choice::new(source.id.to_string(), source.name.clone())),
    );
    let mut places = vec![all("Every unit")];
    places.extend(
        units
            .iter()
            .map(|unit| Choice::new(unit.id.to_string(), unit.name.clone())),
    );
    let narrowed = wanted.narrowed();
    view! {
        <form class="toolbar" role="search" aria-label="Findings" method="get" action=PAGE>
            <ToolbarSelect label="Kind" name="kind" choices=kinds selected=wanted.kind.clone() />
            <ToolbarSelect label="Source" name="source" choices=sources selected=wanted.source.clone() />
            <ToolbarSelect label="Unit" name="unit" choices=places selected=wanted.unit.clone() />
            <Button text="Show" />
            {narrowed.then(|| view! { <LinkButton text="Clear" href=PAGE look=Look::Quiet /> })}
        </form>
    }
    .into_any()
}

fn list(wanted: &Wanted, quality: &Quality, units: &[UnitInfo]) -> AnyView {
    if quality.matching == 0 {
        let (title, sentence) = if wanted.narrowed() {
            (
                "Nothing of that kind",
                "Nothing is wrong of what you asked for.",
            )
        } else {
            (
                "Nothing is wrong",
                "The last runs read everything, and what they read can be so.",
            )
        };
        return view! { <EmptyState glyph=Glyph::Done title=title sentence=sentence /> }.into_any();
    }
    let rows = quality
        .flaws
        .items
        .iter()
        .map(|flaw| row(flaw, &quality.sources, units))
        .collect_view();
    let first: u64 = wanted.cursor.parse().unwrap_or(0);
    let last = first + quality.flaws.items.len() as u64;
    let text = if last == quality.matching && first == 0 {
        counted(quality.matching, "finding", "findings")
    } else {
        format!("{} to {last} of {}", first + 1, quality.matching)
    };
    let after = quality
        .flaws
        .next_cursor
        .as_ref()
        .map(|cursor| wanted.after(cursor));
    let before = (first > 0).then(|| wanted.after(&first.saturating_sub(50).to_string()));
    view! {
        <Table
            caption="Findings, by kind and source"
            columns=vec![
                Column::new("What is wrong"),
                Column::new("Where").hide(Hide::Narrow),
                Column::new("Who can mend it").hide(Hide::Narrow),
            ]
        >
            {rows}
        </Table>
        <Pager text=text before=before after=after />
    }
    .into_any()
}

fn row(flaw: &Flaw, sources: &[SourceTrend], units: &[UnitInfo]) -> AnyView {
    let source = sources.iter().find(|one| Some(one.id) == flaw.source);
    let source_name = source.map(|one| one.name.as_str());
    let unit = units.iter().find(|one| Some(one.id) == flaw.unit);
    let who = words::who(flaw, source_name, unit.map(|one| one.name.as_str()));
    let place = words::place(flaw, source_name);
    let title = words::title(flaw.kind);
    // To the people it is about; without any, to the run that found it, or to the source.
    let run = flaw.run.zip(flaw.source);
    let home = match (run, flaw.source, flaw.people.first()) {
        (_, Some(source), _) if flaw.kind == Kind::Undecided => {
            Some(format!("/console/sources/{source}"))
        }
        (_, _, Some(person)) => Some(format!("/people/{}", person.id)),
        (Some((run, source)), ..) => Some(format!("/console/sources/{source}/runs/{run}")),
        (None, Some(source), None) => Some(format!("/console/sources/{source}")),
        (None, None, None) => None,
    };
    let heading = match home {
        Some(home) => view! { <a class="name" href=home>{title}</a> }.into_any(),
        None => title.into_any(),
    };
    let narrow = format!("{} {who}.", place.clone().unwrap_or_default());
    view! {
        <tr>
            <th scope="row">
                {heading}
                <span class="beside-block">{words::sentence(flaw)}</span>
                <span class="only-narrow-block">
                    <span class="beside-block">{narrow}</span>
                </span>
            </th>
            <td class="hide-narrow">
                {place}
                {run
                    .map(|(run, source)| {
                        view! {
                            " "
                            <a href=format!("/console/sources/{source}/runs/{run}")>"The run that found it"</a>
                        }
                    })}
            </td>
            <td class="hide-narrow">{who}</td>
        </tr>
    }
    .into_any()
}

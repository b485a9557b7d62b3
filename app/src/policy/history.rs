//! Every version of a policy: what it said, who set it when and why, and the way back to it.

use axum::{extract::Path, response::Response};
use domain::{
    correction::Corrections,
    policy::Kind,
    review::Oversight,
    sourcing::{Priority, Rules},
};
use leptos::prelude::*;
use store::{org::UnitInfo, policy::HistoryEntry, source::Source};

use super::{
    admitted, corrections as correction_words, oversight as oversight_words,
    priority as priority_words, rules as rule_words,
};
use crate::{
    edge::{AppError, Posted, Visit, answer},
    ui::{
        Badge, Button, Crumb, Crumbs, Door, EmptyState, Field, Glyph, PageHead, Time, Tone, format,
    },
    words,
};

/// One version in words.
struct Told {
    version: u32,
    who: String,
    when: (String, String),
    note: String,
    lines: Vec<String>,
}

fn told<T>(
    entry: HistoryEntry<T>,
    reader: &format::Reader,
    lines: impl FnOnce(&T) -> Vec<String>,
) -> Told {
    let version = entry.version;
    Told {
        version: version.version,
        who: entry
            .set_by_name
            .unwrap_or_else(|| "The portal itself".into()),
        when: (format::iso(version.set_at), reader.moment(version.set_at)),
        note: version.note,
        lines: lines(&version.body),
    }
}

/// `GET /console/rules/history`
pub async fn rules(visit: Visit) -> Result<Response, AppError> {
    admitted(&visit)?;
    let store = &visit.portal.store;
    let history = store.policy_history::<Rules>(&visit.viewer).await?;
    let units = store.units(&visit.viewer).await?;
    let sources = store.sources(&visit.viewer).await?;
    let reader = visit.reader;
    let lines = |rules: &Rules| rule_lines(rules, &units, &sources);
    let told = history
        .into_iter()
        .map(|entry| told(entry, &reader, lines))
        .collect();
    page(visit, Kind::AttributeRules, told).await
}

fn rule_lines(rules: &Rules, units: &[UnitInfo], sources: &[Source]) -> Vec<String> {
    rules
        .rules
        .iter()
        .map(|rule| {
            let enforced = if rule.enforced { ", enforced" } else { "" };
            let attribute = words::attribute(rule.attribute);
            let scope = rule_words::scope(rule, units, sources);
            format!(
                "{}. {attribute}: {}. {scope}{enforced}",
                rule.id,
                words::strength(rule.strength)
            )
        })
        .collect()
}

/// `GET /console/oversight/history`
pub async fn oversight(visit: Visit) -> Result<Response, AppError> {
    admitted(&visit)?;
    let store = &visit.portal.store;
    let history = store.policy_history::<Oversight>(&visit.viewer).await?;
    let units = store.units(&visit.viewer).await?;
    let reader = visit.reader;
    let lines = |oversight: &Oversight| {
        oversight
            .rules
            .iter()
            .map(|rule| {
                let unit = rule
                    .unit
                    .and_then(|id| units.iter().find(|unit| unit.id == id));
                let unit = unit.map_or("The whole organization", |unit| &unit.name);
                let state = if rule.on { "reviews allowed" } else { "off" };
                let when = oversight_words::who(rule).to_lowercase();
                let days = format::counted(u64::from(rule.max_days), "day", "days");
                format!(
                    "{unit}: {state}, {when}, at most {days}. The person learns {}.",
                    oversight_words::notice(rule.notice).to_lowercase()
                )
            })
            .collect()
    };
    let told = history
        .into_iter()
        .map(|entry| told(entry, &reader, lines))
        .collect();
    page(visit, Kind::Oversight, told).await
}

/// `GET /console/source-order/history`
pub async fn priority(visit: Visit) -> Result<Response, AppError> {
    admitted(&visit)?;
    let store = &visit.portal.store;
    let history = store.policy_history::<Priority>(&visit.viewer).await?;
    let sources = store.source_names(&visit.viewer).await?;
    let reader = visit.reader;
    let lines = |priority: &Priority| priority_words::lines(priority, &sources);
    let told = history
        .into_iter()
        .map(|entry| told(entry, &reader, lines))
        .collect();
    page(visit, Kind::SourcePriority, told).await
}

/// `GET /console/corrections/history`
pub async fn corrections(visit: Visit) -> Result<Response, AppError> {
    admitted(&visit)?;
    let store = &visit.portal.store;
    let history = store.policy_history::<Corrections>(&visit.viewer).await?;
    let reader = visit.reader;
    let lines = |policy: &Corrections| {
        let named = policy
            .approvers
            .attributes
            .iter()
            .map(|(attribute, approver)| {
                let name = words::attribute(*attribute);
                format!("{name}: {}", correction_words::approver(*approver))
            });
        let otherwise = correction_words::approver(policy.approvers.otherwise);
        let dotted = policy
            .approvers
            .dotted
            .then_some("Where a superior decides, one by dotted line does as well");
        named
            .chain([format!("Everything else: {otherwise}")])
            .chain(dotted.map(str::to_owned))
            .collect()
    };
    let told = history
        .into_iter()
        .map(|entry| told(entry, &reader, lines))
        .collect();
    page(visit, Kind::Corrections, told).await
}

async fn page(visit: Visit, kind: Kind, versions: Vec<Told>) -> Result<Response, AppError> {
    let (title, home, door) = match kind {
        Kind::AttributeRules => ("Sourcing rules", "/console/rules", Door::Rules),
        Kind::Oversight => ("Oversight", "/console/oversight", Door::Oversight),
        Kind::SourcePriority => ("Order of sources", "/console/source-order", Door::Rules),
        Kind::Corrections => ("Corrections", "/console/corrections", Door::Rules),
    };
    visit
        .page(&format!("Versions of {}", title.to_lowercase()), door, move || {
            let newest = versions.first().map_or(0, |version| version.version);
            let empty = versions.is_empty();
            let items = versions
                .into_iter()
                .map(|version| {
                    let current = version.version == newest;
                    view! {
                        <li class="card">
                            <header class="card__head">
                                <h2>{format!("Version {}", version.version)}</h2>
                                {current.then(|| view! { <Badge text="In force" tone=Tone::Positive icon=Some(Glyph::Check) /> })}
                                <span class="push small muted">
                                    {version.who} ", " <Time iso=version.when.0 text=version.when.1 />
                                </span>
                            </header>
                            <div class="card__body stack">
                                {(!version.note.is_empty()).then(|| view! { <p>{format!("“{}”", version.note)}</p> })}
                                {if version.lines.is_empty() {
                                    view! { <p class="muted">"No rule."</p> }.into_any()
                                } else {
                                    view! {
                                        <ul class="stack stack--tight compact">
                                            {version.lines.into_iter().map(|line| view! { <li>{line}</li> }).collect_view()}
                                        </ul>
                                    }
                                        .into_any()
                                }}
                                {(!current)
                                    .then(|| {
                                        view! {
                                            <form class="row" method="post" action=format!("/console/policies/{}/roll-back", kind.name())>
                                                <input type="hidden" name="read" value=newest.to_string() />
                                                <input type="hidden" name="version" value=version.version.to_string() />
                                                <Field
                                                    label="Why go back"
                                                    name="note"
                                                    optional=true
                                                    max_length=Some(300)
                                                    scope="back"
                                                />
                                                <Button text=format!("Go back to version {}", version.version) />
                                            </form>
                                        }
                                    })}
                            </div>
                        </li>
                    }
                })
                .collect_view();
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![Crumb::link(title, home), Crumb::here("Versions")] />
                    <PageHead
                        title="Versions"
                        sentence="Every version that was ever set. Going back sets the old one anew, as a version of its own."
                    />
                    {if empty {
                        view! {
                            <EmptyState glyph=Glyph::Clock title="No version yet" sentence="The first rule that is set becomes version 1." />
                        }
                            .into_any()
                    } else {
                        view! { <ol class="stack plain">{items}</ol> }.into_any()
                    }}
                </div>
            }
        })
        .await
}

/// `POST /console/policies/{kind}/roll-back`
pub async fn roll_back(
    visit: Visit,
    Path(kind): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    admitted(&visit)?;
    let (kind, home) = match kind.as_str() {
        "attribute_rules" => (Kind::AttributeRules, "/console/rules"),
        "oversight" => (Kind::Oversight, "/console/oversight"),
        "corrections" => (Kind::Corrections, "/console/corrections"),
        "source_priority" => (Kind::SourcePriority, "/console/source-order"),
        _ => return Err(AppError::not_found()),
    };
    let result = match (
        posted.parse("read", "a version"),
        posted.parse("version", "a version"),
    ) {
        (Ok(read), Ok(version)) => {
            visit
                .portal
                .store
                .roll_back(&visit.viewer, kind, read, version, posted.get("note"))
                .await
        }
        (Err(violation), _) | (_, Err(violation)) => Err(violation.into()),
    };
    let history = format!("{home}/history");
    answer(
        &visit.session,
        &posted,
        result,
        &history,
        |_| history.clone(),
        "The old version is in force again.",
    )
    .await
}

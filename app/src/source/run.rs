//! A run: how far it is, what it asks, what it plans or did, what it found.

use std::collections::BTreeSet;

use axum::{
    extract::{Path, Query},
    response::{IntoResponse as _, Redirect, Response},
};
use domain::{
    Action, Attribute, EmployeeId, RunId, SourceId,
    sync::{Change, Limit, Step, StepKind},
};
use leptos::prelude::*;
use serde::Deserialize;
use store::{
    org::NamedFinding,
    people::PersonCard,
    run::{Phase, Run, RunFinding},
    source::Source,
};
use uuid::Uuid;

use super::{
    island::{RunProgress, Standing},
    router::manages,
    words,
};
use crate::{
    edge::{AppError, Flash, Posted, Problem, Visit, answer, face, id},
    org,
    portal::Job,
    ui::{
        Badge, Banner, Button, Card, Column, Count, Crumb, Crumbs, Diff, Door, EmptyState, Face,
        Glyph, Height, Hide, Icon, LinkButton, Look, PageHead, Pager, Person, Segmented, Status,
        Tab, Table, Timeline, TimelineItem, Tone,
        format::{self, Reader, counted, number},
    },
    words::{attribute, percent, problem},
};

/// Findings on the page; the rest after a link.
const FINDINGS: usize = 30;
/// Most findings that one page shows at all.
const FINDINGS_MAX: usize = 1_000;
/// Longest value of a change, in characters.
const VALUE: usize = 120;

/// What to show of the plan.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    cursor: String,
    #[serde(default)]
    findings: String,
}

/// `GET /console/sources/{id}/runs/{run}`
pub async fn show(
    visit: Visit,
    Path((source, run)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, AppError> {
    let (source, run) = (SourceId(id(&source)?), RunId(id(&run)?));
    let store = &visit.portal.store;
    let run = store.run(&visit.viewer, run).await?;
    if run.source != source {
        return Err(AppError::not_found());
    }
    let source = store.source(&visit.viewer, source).await?;
    let kind = words::STEPS
        .into_iter()
        .find(|kind| words::step_name(*kind) == wanted.kind);
    let cursor = Some(wanted.cursor.as_str()).filter(|cursor| !cursor.is_empty());
    let steps = store.run_steps(&visit.viewer, run.id, kind, cursor).await?;
    let people: BTreeSet<EmployeeId> = steps
        .items
        .iter()
        .flat_map(|step| {
            step.employee
                .into_iter()
                .chain(step.candidates.iter().copied())
        })
        .collect();
    let people: Vec<_> = people.into_iter().collect();
    let cards = store.cards(&visit.viewer, &people).await?;
    let findings = store.run_findings(&visit.viewer, run.id).await?;
    let chart = store.chart_findings(&visit.viewer).await?;
    let runs = store.runs(&visit.viewer, source.id).await?;
    let manages = visit.viewer.can(Action::ManageSources);
    let reader = visit.reader;

    let began = reader.moment_in_sentence(run.started_at);
    let title = match run.undoes {
        None => format!("Run of {began}"),
        Some(_) => format!("Undo of {began}"),
    };
    let heading = title.clone();
    visit
        .page(&title, Door::Sources, move || {
            let home = format!("/console/sources/{}", source.id);
            let here = format!("{home}/runs/{}", run.id);
            let standing = Standing {
                phase: run.phase.name().to_owned(),
                dry_run: run.dry_run,
                totals: run.totals,
                applied: run.applied,
                undoes: run.undoes,
            };
            let moves = standing.moves();
            let vacancies = match run.undoes {
                Some(_) => findings.len() as u64,
                None => findings.iter().filter(|one| matches!(one, RunFinding::Vacancy(_))).count() as u64,
            };
            let (word, tone) = words::phase(&run);
            let badge = view! { <Badge text=word tone=tone /> }.into_any();
            let offset: usize = wanted.cursor.parse().unwrap_or(0);
            let rows = steps
                .items
                .into_iter()
                .enumerate()
                .map(|(at, step)| {
                    let state = step_state(&run, kind.is_none().then_some((offset + at) as u64));
                    let card = step.employee.and_then(|id| cards.get(&id));
                    let candidates: Vec<_> = step
                        .candidates
                        .iter()
                        .filter_map(|id| cards.get(id).map(|card| card.display_name.clone()))
                        .collect();
                    row(step, card, &candidates, state, &home, run.undoes.is_some())
                })
                .collect::<Vec<_>>();
            let undo = (manages && run.undoable && !run.dry_run).then(|| {
                view! { <LinkButton text="Undo this run" href=format!("{here}/undo") icon=Some(Glyph::Undo) /> }
            });
            let buttons = moves.then(|| {
                let (refresh, cancel) = (here.clone(), format!("{here}/cancel"));
                view! {
                    <LinkButton text="Refresh" href=refresh />
                    {manages
                        .then(|| {
                            view! {
                                <form method="post" action=cancel>
                                    <Button text="Cancel run" look=Look::Critical />
                                </form>
                            }
                        })}
                }
            });
            view! {
                <div class="page page--wide">
                    <Crumbs crumbs=vec![
                        Crumb::link("Sources", "/console/sources"),
                        Crumb::link(source.name.clone(), home.clone()),
                        Crumb::here("Run"),
                    ] />
                    <PageHead title=heading sentence=told(&run, &reader) badge=badge>
                        {undo}
                        {buttons}
                    </PageHead>
                    {undone(&run, &home)}
                    {banner(&run, &source, manages, &here)}
                    <RunProgress run=run.id.to_string() standing=standing vacancies=vacancies />
                    <div class="columns">
                        {plan(&run, kind, rows, steps.next_cursor, cursor_given(&wanted.cursor), &here)}
                        <aside class="stack" aria-label="Findings and limits">
                            {also(&run)}
                            {found(&run, &findings, wanted.findings == "all", &here)}
                            {(!chart.is_empty()).then(|| in_the_chart(&chart))}
                            {limits(&source)}
                            {others(&runs, &run, &home, reader)}
                        </aside>
                    </div>
                </div>
            }
        })
        .await
}

fn cursor_given(cursor: &str) -> bool {
    !cursor.is_empty()
}

/// When, by whom, how much was read and what of it was written, in sentences.
fn told(run: &Run, reader: &Reader) -> String {
    let by = match &run.started_by {
        Some(name) => format!(" by {name}"),
        None => " by the portal itself".to_owned(),
    };
    let mut sentence = format!("Started {}{by}", reader.moment_in_sentence(run.started_at));
    if run.totals.read > 0 {
        sentence += &format!(", read {}", counted(run.totals.read, "record", "records"));
    }
    if let Some(ended) = run.ended_at {
        let seconds = (ended - run.started_at).num_milliseconds().max(0) as f64 / 1000.0;
        sentence += &if seconds < 0.1 {
            ", took less than 0.1 s".to_owned()
        } else {
            format!(", took {seconds:.1} s")
        };
    }
    sentence.push('.');
    if run.dry_run {
        sentence += " A dry run: nothing is written.";
    } else if matches!(run.phase, Phase::Failed | Phase::Cancelled) {
        sentence += &match run.applied {
            0 => " Nothing was written.".to_owned(),
            applied => format!(
                " Nothing was written after step {} of {}.",
                number(i64::try_from(applied).unwrap_or(i64::MAX)),
                number(i64::try_from(run.steps).unwrap_or(i64::MAX))
            ),
        };
    }
    sentence
}

/// What the run asks, why it failed, or that it wrote nothing.
fn banner(run: &Run, source: &Source, manages: bool, here: &str) -> Option<AnyView> {
    let text = run.error_text.clone().unwrap_or_default();
    let none = run.applied == 0;
    let undo = run.undoes.is_some();
    let (failed, cancelled) = match undo {
        true => ("The undo could not go on", "The undo was cancelled"),
        false => ("The run could not go on", "The run was cancelled"),
    };
    match run.phase {
        Phase::Waiting => {
            let title = run.exceeded.first().map_or_else(|| text.clone(), words::exceeded);
            let others: Vec<_> = run.exceeded.iter().skip(1).map(words::exceeded).collect();
            let leaves = run.exceeded.iter().any(|over| over.limit == Limit::Leavers);
            let leavers = run.totals.leavers;
            let go_on = match leaves {
                true => format!("Let {leavers} leave"),
                false => "Let it go on".to_owned(),
            };
            let word = match run.undoes {
                Some(_) => "Cancel undo",
                None => "Cancel run",
            };
            let actions = manages.then(|| {
                view! {
                    <form method="post" action=format!("{here}/cancel")>
                        <Button text=word height=Height::Small />
                    </form>
                    <form method="post" action=format!("{here}/approve")>
                        <Button
                            text=go_on.clone()
                            look=Look::CriticalFill
                            height=Height::Small
                        />
                    </form>
                }
                .into_any()
            });
            let likely = match leaves {
                _ if run.undoes.is_some() => "Look at what would come back below. Whoever came in with that run goes again and is signed out; what they wrote stays.",
                true => "Look at the leavers below. Their sign-ins would end, what they wrote would stay. An export that was cut short looks like this too: then cancel, and run again when it is whole.",
                false => "Look at the plan and the findings below. A wrong mapping or a wrong filter looks like this too: then cancel, and run again when it is mended.",
            };
            let eyes = match source.limits.four_eyes {
                true => " Somebody else than who started it has to let it go on.",
                false => "",
            };
            let others = others.join(" ");
            Some(
                view! {
                    <Banner title=title tone=Tone::Critical actions=actions.unwrap_or_else(|| ().into_any())>
                        {format!("Nothing was written. {others} {likely}{eyes}")}
                    </Banner>
                }
                .into_any(),
            )
        }
        Phase::Failed => Some(
            view! {
                <Banner title=failed tone=Tone::Critical>
                    {text}
                </Banner>
            }
            .into_any(),
        ),
        Phase::Cancelled => Some(
            view! {
                <Banner title=cancelled tone=Tone::Warning>
                    {if undo && none {
                        "Nothing was put back. The run can be undone again."
                    } else if undo {
                        "What it had put back stays so. Undo the run again, and the rest comes back."
                    } else if none { "Nothing was written. The next run begins anew." } else { "What it had written stays. The next run does the rest." }}
                </Banner>
            }
            .into_any(),
        ),
        _ if run.dry_run => Some(
            view! {
                <Banner title="A dry run: nothing was written" tone=Tone::Info>
                    "Below stands what a run would do if the source says the same then."
                </Banner>
            }
            .into_any(),
        ),
        _ => None,
    }
}

/// What an undo puts back beside people.
fn also(run: &Run) -> Option<AnyView> {
    let kinds = words::put_back(&run.totals);
    let title = match run.phase {
        Phase::Done => "Also put back",
        _ => "Also to be put back",
    };
    (!kinds.is_empty()).then(|| {
        let items = kinds.into_iter().map(|text| view! { <li>{text}</li> });
        view! {
            <Card title=title id="beside">
                <ul class="plain">{items.collect_view()}</ul>
            </Card>
        }
        .into_any()
    })
}

/// What undid this run, or what it undoes.
fn undone(run: &Run, home: &str) -> Option<AnyView> {
    let (title, other, link) = match (run.undoes, run.undone_by) {
        (Some(other), _) => (
            "This run undoes another one",
            other,
            "The run that it undoes",
        ),
        (None, Some(other)) => ("This run was undone", other, "What the undo did"),
        (None, None) => return None,
    };
    let href = format!("{home}/runs/{other}");
    Some(
        view! {
            <div class="page__notice">
                <Banner title=title tone=Tone::Info>
                    <a href=href>{link}</a>
                </Banner>
            </div>
        }
        .into_any(),
    )
}

/// How a step stands; `at` is its place where that is known.
fn step_state(run: &Run, at: Option<u64>) -> (&'static str, Tone) {
    match run.phase {
        _ if run.dry_run => ("Planned", Tone::Info),
        Phase::Waiting => ("Waits", Tone::Warning),
        Phase::Done if run.undoes.is_some() => ("Undone", Tone::Positive),
        Phase::Applying if at.is_some_and(|at| at >= run.applied) => ("Waits", Tone::Warning),
        Phase::Applying if at.is_none() => ("Under way", Tone::Info),
        // Of a run that ended early, only what was written is kept.
        _ => ("Applied", Tone::Positive),
    }
}

fn short(value: Option<&domain::Value>) -> Option<String> {
    let text = value?.to_string();
    if text.chars().count() <= VALUE {
        return Some(text);
    }
    Some(format!("{}…", text.chars().take(VALUE).collect::<String>()))
}

fn change(change: &Change) -> AnyView {
    let inside = if change.attribute == Attribute::Photos {
        "A new photo".into_any()
    } else {
        view! { <Diff from=short(change.from.as_ref()) to=short(change.to.as_ref()) /> }.into_any()
    };
    view! {
        <div class="plan__change">
            <span class="small muted">{attribute(change.attribute)}</span>
            {inside}
        </div>
    }
    .into_any()
}

pub(super) fn row(
    step: Step,
    card: Option<&PersonCard>,
    candidates: &[String],
    state: (&'static str, Tone),
    home: &str,
    undo: bool,
) -> AnyView {
    let (glyph, word, _) = words::step(step.kind);
    let who = match card {
        Some(card) => face(card),
        None => Face::new(&Uuid::nil(), step.name.clone()),
    };
    let href = card.map(|card| format!("/people/{}", card.id));
    let what = match step.kind {
        StepKind::Joiner => words::newcomer(&step.changes, false).into_any(),
        StepKind::Scheduled if step.employee.is_none() => {
            words::newcomer(&step.changes, true).into_any()
        }
        StepKind::Leaver if undo => "Came in with that run".into_any(),
        StepKind::Returner if undo => "Left with that run, and comes back".into_any(),
        StepKind::Leaver => "Not in the source any more, or left there".into_any(),
        StepKind::Undecided => view! {
            {format!("Could be {}. ", candidates.join(" or "))}
            <a href=format!("{home}#decide")>"Decide"</a>
        }
        .into_any(),
        StepKind::Returner | StepKind::Mover | StepKind::Changed | StepKind::Scheduled
            if step.changes.is_empty() =>
        {
            "Only in what is not shown".into_any()
        }
        StepKind::Returner | StepKind::Mover | StepKind::Changed | StepKind::Scheduled => {
            step.changes.iter().map(change).collect_view().into_any()
        }
    };
    view! {
        <tr>
            <td class="plan__kind">
                <Icon glyph=glyph size=16 />
                <span>{word}</span>
            </td>
            <th scope="row">
                <Person face=who href=href sub=step.external_id size=24 />
            </th>
            <td>{what}</td>
            <td class="hide-narrow">
                <Status text=state.0 tone=state.1 />
            </td>
        </tr>
    }
    .into_any()
}

fn plan(
    run: &Run,
    kind: Option<StepKind>,
    rows: Vec<AnyView>,
    next: Option<String>,
    further: bool,
    here: &str,
) -> AnyView {
    let of = |kind: StepKind| match kind {
        StepKind::Joiner => run.totals.joiners,
        StepKind::Returner => run.totals.returners,
        StepKind::Mover => run.totals.movers,
        StepKind::Changed => run.totals.changed,
        StepKind::Leaver => run.totals.leavers,
        StepKind::Undecided => run.totals.undecided,
        StepKind::Scheduled => run.totals.scheduled,
    };
    let address = |kind: Option<StepKind>, cursor: Option<&str>| {
        let kind = kind.map_or("", words::step_name);
        let cursor = cursor
            .map(|cursor| format!("&cursor={}", percent(cursor)))
            .unwrap_or_default();
        format!("{here}?kind={kind}{cursor}#plan")
    };
    let mut tabs = vec![Tab::new(
        format!(
            "All {}",
            number(i64::try_from(run.steps).unwrap_or(i64::MAX))
        ),
        address(None, None),
        kind.is_none(),
    )];
    tabs.extend(
        words::STEPS
            .into_iter()
            .filter(|one| of(*one) > 0 || kind == Some(*one))
            .map(|one| {
                Tab::new(
                    words::step(one).2,
                    address(Some(one), None),
                    kind == Some(one),
                )
            }),
    );
    let shown = rows.len() as u64;
    let all = kind.map_or(run.steps, of);
    let text = format!(
        "{} of {}",
        number(i64::try_from(shown).unwrap_or(i64::MAX)),
        counted(all, "step", "steps")
    );
    let title = if run.undoes.is_some() {
        match run.phase {
            Phase::Done => "What it changed",
            _ => "What it changes",
        }
    } else if run.phase == Phase::Done && !run.dry_run {
        "What was done"
    } else {
        "Plan"
    };
    let list = if rows.is_empty() {
        let (title, sentence) = match run.phase {
            Phase::Planning if run.undoes.is_some() => (
                "Not worked out yet",
                "It stands here when the journal is read.",
            ),
            Phase::Applying | Phase::Done if run.undoes.is_some() => (
                "Nobody’s values came back",
                "The run changed nobody, or something newer has changed everything since.",
            ),
            Phase::Reading | Phase::Planning => {
                ("No plan yet", "It stands here when the source is read.")
            }
            Phase::Failed | Phase::Cancelled => (
                "Nothing was written",
                "The run ended before its first step.",
            ),
            _ => ("Nothing to change", "The source says what it said before."),
        };
        view! { <EmptyState glyph=Glyph::Source title=title sentence=sentence /> }.into_any()
    } else {
        view! {
            <Table
                caption="Steps of this run"
                class="plan"
                columns=vec![
                    Column::new("Step"),
                    Column::new("Person"),
                    Column::new("Change"),
                    Column::new("State").hide(Hide::Narrow),
                ]
            >
                {rows}
            </Table>
            <Pager
                text=text
                before=further.then(|| address(kind, None))
                after=next.map(|next| address(kind, Some(&next)))
                before_word="First page"
            />
        }
        .into_any()
    };
    view! {
        <section aria-labelledby="plan">
            <div class="toolbar">
                <h2 id="plan">{title}</h2>
                {(run.steps > 0)
                    .then(|| {
                        view! {
                            <div class="push">
                                <Segmented label="Kind of step" tabs=tabs />
                            </div>
                        }
                    })}
            </div>
            {list}
        </section>
    }
    .into_any()
}

pub(super) fn finding(glyph: Glyph, tone: &'static str, title: String, text: String) -> AnyView {
    view! {
        <li>
            <div class="list-row list-row--top">
                <Icon glyph=glyph class=tone />
                <div class="list-row__text">
                    <strong>{title}</strong>
                    <p class="small muted">{text}</p>
                </div>
            </div>
        </li>
    }
    .into_any()
}

fn found(run: &Run, findings: &[RunFinding], all: bool, here: &str) -> AnyView {
    let none = match run.phase {
        Phase::Reading | Phase::Planning => "They stand here when the source is read.",
        Phase::Waiting if run.undoes.is_some() => "All of it would come back.",
        _ if run.undoes.is_some() => "All of it came back.",
        _ => "Every record could be read.",
    };
    let title = match run.undoes {
        Some(_) => "What stays as it is",
        None => "Findings in the source",
    };
    let count = findings.len();
    let shown = count.min(if all { FINDINGS_MAX } else { FINDINGS });
    let badge = view! { <Count count=count as u64 what="findings" /> }.into_any();
    // Like beside like, the gravest first; a group's name stands once, with how many it has.
    let mut grouped: Vec<_> = findings.iter().map(|one| (one.group(), one)).collect();
    grouped.sort_by_key(|(group, _)| *group);
    let groups: BTreeSet<_> = grouped.iter().map(|(group, _)| *group).collect();
    let several = groups.len() > 1;
    let items = grouped[..shown]
        .iter()
        .enumerate()
        .map(|(at, (group, one))| {
            let first = at == 0 || grouped[at - 1].0 != *group;
            let head = (several && first).then(|| {
                let count = grouped.iter().filter(|(other, _)| other == group).count();
                let text = format!("{}, {count}", words::group(*group));
                view! {
                    <li class="findings__group">
                        <h3 class="small">{text}</h3>
                    </li>
                }
            });
            let (glyph, tone, title, text) = words::finding(one);
            view! {
                {head}
                {finding(glyph, tone, title, text)}
            }
        })
        .collect_view();
    let rest = count - shown;
    let foot = (rest > 0).then(|| {
        let here = format!("{here}?findings=all");
        let rest = counted(rest as u64, "more", "more");
        if all {
            view! { <p class="card__body small muted">{format!("and {rest}. Mend these first.")}</p> }.into_any()
        } else {
            view! {
                <p class="card__body small">
                    <a href=here>{format!("Show {rest}")}</a>
                </p>
            }
            .into_any()
        }
    });
    view! {
        <Card title=title id="findings" end=badge flush=true>
            {if count == 0 {
                view! { <p class="card__body muted">{none}</p> }.into_any()
            } else {
                view! { <ul class="list findings plain">{items}</ul> }.into_any()
            }}
            {foot}
        </Card>
    }
    .into_any()
}

fn in_the_chart(findings: &[NamedFinding]) -> AnyView {
    let badge = view! { <Count count=findings.len() as u64 what="findings" /> }.into_any();
    let shown = findings.len().min(FINDINGS);
    let items = findings[..shown]
        .iter()
        .map(|named| {
            let (title, text) = org::finding(named);
            finding(Glyph::Warning, "tone-warning", title.to_owned(), text)
        })
        .collect_view();
    let more = findings.len() > shown;
    view! {
        <Card title="In the org chart now" id="chart-findings" end=badge flush=true>
            <ul class="list findings plain">{items}</ul>
            {more
                .then(|| {
                    view! {
                        <p class="card__body small">
                            <a href="/org">"All of them stand in the org chart"</a>
                        </p>
                    }
                })}
        </Card>
    }
    .into_any()
}

fn limits(source: &Source) -> AnyView {
    let limits = source.limits;
    let text = format!(
        "Stops and asks when more than {} % of the people of this source would leave at once, more than {} % come in, {} % move, {} % change, or {} % get another value of one kind. One person may always leave.",
        limits.leavers, limits.joiners, limits.movers, limits.changed, limits.attribute
    );
    let settings = format!("/console/sources/{}#run-limits", source.id);
    view! {
        <Card title="Limit of one run" id="limits">
            <p class="compact">{text}</p>
            <p class="small">
                <a href=settings>"The source’s limits"</a>
            </p>
        </Card>
    }
    .into_any()
}

fn others(runs: &[Run], this: &Run, home: &str, reader: Reader) -> AnyView {
    let items = runs
        .iter()
        .filter(|run| run.id != this.id)
        .take(5)
        .map(|run| {
            let glyph = match run.phase {
                Phase::Done => Glyph::Done,
                Phase::Waiting => Glyph::Pause,
                Phase::Failed | Phase::Cancelled => Glyph::Stop,
                Phase::Reading | Phase::Planning | Phase::Applying => Glyph::Play,
            };
            let (word, _) = words::phase(run);
            let href = format!("{home}/runs/{}", run.id);
            let outcome = words::outcome(run);
            let outcome = if outcome.is_empty() { outcome } else { format!(". {outcome}") };
            view! {
                <TimelineItem glyph=glyph when=reader.moment(run.started_at) iso=format::iso(run.started_at)>
                    <a href=href>{word}</a>
                    {outcome}
                </TimelineItem>
            }
        })
        .collect::<Vec<_>>();
    if items.is_empty() {
        return ().into_any();
    }
    view! {
        <Card title="Other runs" id="other-runs">
            <Timeline>{items}</Timeline>
        </Card>
    }
    .into_any()
}

/// `POST /console/sources/{id}/runs`: begins a run and hands it in.
pub async fn start(
    visit: Visit,
    Path(source): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let source = SourceId(id(&source)?);
    let home = format!("/console/sources/{source}");
    let result = begin(&visit, source, posted.ticked("dry_run")).await;
    answer(
        &visit.session,
        &posted,
        result,
        &home,
        |run| format!("{home}/runs/{}", run.id),
        "",
    )
    .await
}

async fn begin(visit: &Visit, source: SourceId, dry_run: bool) -> Result<Run, store::Error> {
    let store = &visit.portal.store;
    let run = store.begin_run(&visit.viewer, source, dry_run).await?;
    if let Err(busy) = visit.portal.hand_in(Job::Run(run.id)) {
        // Nobody would drive it, and it would keep others from the source.
        let text = "Too many runs wait already. Try again in a while.";
        store.fail_run(&visit.viewer, run.id, "busy", text).await?;
        return Err(busy);
    }
    Ok(run)
}

/// `POST /console/sources/{id}/runs/{run}/approve`
pub async fn approve(
    visit: Visit,
    Path((source, run)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let (source, run) = (SourceId(id(&source)?), RunId(id(&run)?));
    let here = format!("/console/sources/{source}/runs/{run}");
    let approved = visit.portal.store.approve_run(&visit.viewer, run).await;
    let result = approved.and_then(|_| visit.portal.hand_in(Job::Run(run)));
    answer(
        &visit.session,
        &posted,
        result,
        &here,
        |()| here.clone(),
        "",
    )
    .await
}

/// `POST /console/sources/{id}/runs/{run}/cancel`
pub async fn cancel(
    visit: Visit,
    Path((source, run)): Path<(String, String)>,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let (source, run) = (SourceId(id(&source)?), RunId(id(&run)?));
    match visit.portal.store.cancel_run(&visit.viewer, run).await {
        Ok(_) => {}
        // It ended while somebody was about to press: the page says how.
        Err(error @ store::Error::Conflict(_)) => {
            let flash = Flash {
                message: Some(problem(&Problem::from(&error)).1),
                failed: true,
                ..Flash::default()
            };
            flash.leave(&visit.session).await;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Redirect::to(&format!("/console/sources/{source}/runs/{run}")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone as _, Utc};
    use domain::sync::Totals;

    fn run(phase: Phase, dry_run: bool) -> Run {
        let at = Utc.with_ymd_and_hms(2026, 11, 19, 10, 0, 0).unwrap();
        Run {
            id: RunId(Uuid::nil()),
            source: SourceId(Uuid::nil()),
            source_name: "ERP".into(),
            dry_run,
            phase,
            started_at: at,
            ended_at: phase
                .is_over()
                .then(|| at + chrono::TimeDelta::milliseconds(4_120)),
            started_by: Some("Jonas Vestergaard".into()),
            totals: Totals {
                read: 43,
                ..Totals::default()
            },
            applied: 18,
            steps: 31,
            error: None,
            error_text: None,
            exceeded: Vec::new(),
            undoes: None,
            undone_by: None,
            undoable: false,
        }
    }

    #[test]
    fn a_run_says_what_it_wrote() {
        let reader = Reader::new(Utc.with_ymd_and_hms(2026, 11, 19, 12, 0, 0).unwrap());
        assert_eq!(
            told(&run(Phase::Failed, false), &reader),
            "Started today 10:00 by Jonas Vestergaard, read 43 records, took 4.1 s. Nothing was written after step 18 of 31."
        );
        assert!(told(&run(Phase::Done, true), &reader).ends_with("nothing is written."));
        assert!(told(&run(Phase::Done, false), &reader).ends_with("took 4.1 s."));
    }

    #[test]
    fn a_step_is_never_applied_before_it_is() {
        let applying = run(Phase::Applying, false);
        assert_eq!(step_state(&applying, Some(17)).0, "Applied");
        assert_eq!(step_state(&applying, Some(18)).0, "Waits");
        assert_eq!(step_state(&applying, None).0, "Under way");
        assert_eq!(step_state(&run(Phase::Done, true), Some(0)).0, "Planned");
        assert_eq!(step_state(&run(Phase::Waiting, false), Some(0)).0, "Waits");
    }

    #[test]
    fn long_values_are_cut_and_short_ones_are_not() {
        assert_eq!(short(Some(&"x".into())).as_deref(), Some("x"));
        let long = short(Some(&"é".repeat(500).as_str().into())).expect("a text");
        assert_eq!(long.chars().count(), VALUE + 1);
        assert_eq!(short(None), None);
    }
}

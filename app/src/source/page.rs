//! One source: its facts and settings, its runs, what waits for a decision, and whether it can be
//! reached.

use std::time::Duration;

use axum::{extract::Path, response::Response};
use domain::{Action, SourceId};
use erp_adapters::Probe;
use leptos::prelude::*;
use store::{run::Run, source::Source};

use super::{
    form::{self, Typed},
    leavers, limits,
    people::{self, Who},
    push::Pushed,
    router::manages,
    schedule, words,
};
use crate::{
    edge::{AppError, Visit, id},
    portal::open_source,
    ui::{
        Badge, Banner, Button, Card, Column, Crumb, Crumbs, Door, EmptyState, Fact, Facts, Glyph,
        Hide, LinkButton, Look, PageHead, Status, Table, Time, Tone,
        format::{self, Reader, counted},
    },
};

/// How long a source has to answer a test of its connection.
const TEST: Duration = Duration::from_secs(20);

/// What a test of the connection found.
type Tested = Result<Probe, erp_adapters::Error>;

/// `GET /console/sources/{id}`
pub async fn show(visit: Visit, Path(source): Path<String>) -> Result<Response, AppError> {
    page(visit, SourceId(id(&source)?), None, None).await
}

/// `POST /console/sources/{id}/test`
pub async fn test(visit: Visit, Path(source): Path<String>) -> Result<Response, AppError> {
    manages(&visit)?;
    let source = SourceId(id(&source)?);
    let store = &visit.portal.store;
    let guard = &visit.portal.site.guard;
    let tested = match open_source(store, guard, &visit.viewer, source).await? {
        Err(error) => Err(error),
        Ok(adapter) => tokio::time::timeout(TEST, adapter.probe())
            .await
            .unwrap_or(Err(erp_adapters::Error::TimedOut { after: TEST })),
    };
    page(visit, source, None, Some(tested)).await
}

/// The page, with what a form brought back or a test found.
pub(super) async fn page(
    visit: Visit,
    source: SourceId,
    typed: Option<Typed>,
    tested: Option<Tested>,
) -> Result<Response, AppError> {
    let store = &visit.portal.store;
    let source = store.source(&visit.viewer, source).await?;
    let runs = store.runs(&visit.viewer, source.id).await?;
    let who = Who::of(&visit, source.id).await?;
    let manages = visit.viewer.can(Action::ManageSources);
    let pushed = Pushed::of(&visit, &source).await?;
    let mut waiting = leavers::waiting(&visit).await?;
    waiting.retain(|one| one.source == source.id);
    let scheduled = match pushed {
        None => Some(store.schedule(&visit.viewer, source.id).await?),
        Some(_) => None,
    };
    let mapped = words::kind(&source.kind).is_some_and(|kind| kind.mapped);
    let reader = visit.reader;
    let wrong = typed.as_ref().is_some_and(Typed::is_wrong);
    let flash = visit.flash.clone();
    let title = source.name.clone();
    let response = visit
        .page(&title, Door::Sources, move || {
            let home = format!("/console/sources/{}", source.id);
            let label = words::kind_label(&source.kind);
            let badge = view! { <Badge text=label /> }.into_any();
            let under_way = runs.iter().any(|run| !run.phase.is_over());
            let typed = typed.unwrap_or_else(|| Typed::of(&source));
            let settings = match words::kind(&source.kind) {
                Some(kind) if manages => form::change_form(&source, kind, &typed),
                _ => shown_settings(&source),
            };
            let buttons = (manages && pushed.is_none()).then(|| actions(&home, under_way));
            view! {
                <div class="page page--wide">
                    <Crumbs crumbs=vec![Crumb::link("Sources", "/console/sources"), Crumb::here(source.name.clone())] />
                    <PageHead title=source.name.clone() sentence=told(&source, pushed.is_some(), &reader) badge=badge>
                        {buttons}
                    </PageHead>
                    {limits::paused(&source, manages, &reader)}
                    {waiting.iter().map(|waiting| leavers::banner(waiting, &reader)).collect_view()}
                    {wrong.then(form::not_yet)}
                    {tested.map(connection)}
                    <div class="columns">
                        <div class="stack stack--loose">
                            {(!who.undecided.is_empty())
                                .then(|| people::decisions(&home, who.undecided, manages, reader))}
                            {pushed.as_ref().and_then(Pushed::findings)}
                            {(!who.ahead.is_empty()).then(|| people::ahead(who.ahead, reader))}
                            {past_runs(&home, runs, pushed.is_some(), reader)}
                            {(!who.linked.is_empty()).then(|| people::linked(&home, who.linked, manages))}
                            <Card title="Settings" id="settings">
                                {settings}
                            </Card>
                        </div>
                        <aside class="stack stack--loose" aria-label="About this source">
                            {pushed.as_ref().map(|pushed| pushed.card(&home, reader))}
                            {facts(&source, pushed.is_some(), reader)}
                            {scheduled.map(|set| schedule::card(&source, set.as_ref(), manages, reader))}
                            {(manages && mapped).then(|| mapping_card(&home))}
                            {pushed.is_none().then(|| limits::card(&source, &flash, manages))}
                            {people::correlation(&home, &who.correlation, manages)}
                            {(!who.ignored.is_empty()).then(|| people::ignored(&home, who.ignored, manages))}
                        </aside>
                    </div>
                </div>
            }
        })
        .await?;
    Ok(form::with_status(response, wrong))
}

fn mapping_card(home: &str) -> AnyView {
    let href = format!("{home}/mapping");
    view! {
        <Card title="Mapping" id="mapping">
            <div class="stack">
                <p class="muted">"Which field of the source becomes what here."</p>
                <div>
                    <LinkButton text="Open the mapping" href=href />
                </div>
            </div>
        </Card>
    }
    .into_any()
}

fn told(source: &Source, pushed: bool, reader: &Reader) -> String {
    let people = counted(source.people, "person comes", "people come");
    match source.last_read_at {
        Some(at) if pushed => format!(
            "{people} from here. Last sent something new {}.",
            reader.moment_in_sentence(at)
        ),
        None if pushed => "Nothing has been sent from here yet.".to_owned(),
        Some(at) => format!(
            "{people} from here. Last read {}.",
            reader.moment_in_sentence(at)
        ),
        None => "Nothing has been read from here yet.".to_owned(),
    }
}

fn actions(home: &str, under_way: bool) -> AnyView {
    let (test, runs) = (format!("{home}/test"), format!("{home}/runs"));
    view! {
        <form method="post" action=test>
            <Button text="Test connection" icon=Some(Glyph::Wifi) />
        </form>
        {(!under_way)
            .then(|| {
                view! {
                    <form class="row" method="post" action=runs>
                        <Button text="Dry run" name="dry_run" value="yes" />
                        <Button text="Run now" look=Look::Primary icon=Some(Glyph::Play) />
                    </form>
                }
            })}
    }
    .into_any()
}

fn facts(source: &Source, pushed: bool, reader: Reader) -> AnyView {
    let read = source
        .last_read_at
        .map(|at| (format::iso(at), reader.moment(at)));
    let kind = words::kind_label(&source.kind);
    let connected = (
        format::iso(source.created_at),
        reader.date(source.created_at),
    );
    let people = format::number(i64::try_from(source.people).unwrap_or(i64::MAX));
    let leavers = match (source.leaver_percent, pushed) {
        (100.., true) => "Out at once, however many".to_owned(),
        (100.., false) => "However many, they stop no run".to_owned(),
        (share, true) => format!("More than {share} % in 24 hours wait for a decision"),
        (share, false) => format!("More than {share} % at once stop a run"),
    };
    view! {
        <Card title="Facts" id="facts">
            <Facts one=true>
                <Fact label="Kind">{kind}</Fact>
                <Fact label="Connected">
                    <Time iso=connected.0 text=connected.1 />
                </Fact>
                <Fact label=if pushed { "Last sent" } else { "Last read" }>
                    {match read {
                        Some((iso, text)) => view! { <Time iso=iso text=text /> }.into_any(),
                        None => "Not yet".into_any(),
                    }}
                </Fact>
                <Fact label="People">{people}</Fact>
                <Fact label="Leavers">{leavers}</Fact>
            </Facts>
        </Card>
    }
    .into_any()
}

/// The settings for who may only read them.
fn shown_settings(source: &Source) -> AnyView {
    let label = |key: &str| {
        words::kind(&source.kind)
            .and_then(|kind| kind.settings.iter().find(|setting| setting.key == key))
            .map_or_else(|| key.to_owned(), |setting| setting.label.to_owned())
    };
    let open = source
        .settings
        .iter()
        .map(|(key, value)| (label(key), value.clone()));
    let secret = source
        .secrets_set
        .iter()
        .map(|key| (label(key), "Set".to_owned()));
    let settings = open
        .chain(secret)
        .map(|(label, value)| view! { <Fact label=label>{value}</Fact> })
        .collect::<Vec<_>>();
    view! { <Facts one=true>{settings}</Facts> }.into_any()
}

/// What a test of the connection found, in words.
fn connection(tested: Tested) -> AnyView {
    let probe = match tested {
        Ok(probe) => probe,
        Err(error) => {
            let (what, todo) = words::trouble(&error);
            return view! {
                <div class="page__notice">
                    <Banner title="The source cannot be read" tone=Tone::Critical>
                        {format!("{what} {todo}")}
                    </Banner>
                </div>
            }
            .into_any();
        }
    };
    let rows = probe
        .access
        .into_iter()
        .map(|access| {
            let (word, tone) = words::readable(access.readable);
            view! {
                <tr>
                    <th scope="row">{access.what}</th>
                    <td class="nowrap">
                        <Status text=word tone=tone />
                    </td>
                    <td>{access.note}</td>
                </tr>
            }
        })
        .collect_view();
    let sentence = format!(
        "{} answers: {} and {} can be read.",
        probe.system,
        counted(probe.people, "person", "people"),
        counted(probe.units, "unit", "units")
    );
    view! {
        <section class="stack page__notice" aria-label="Test of the connection">
            <Banner title="The source can be read" tone=Tone::Positive>
                {sentence}
            </Banner>
            <Table
                caption="What may be read"
                columns=vec![Column::new("What"), Column::new("Access"), Column::new("What it means")]
            >
                {rows}
            </Table>
        </section>
    }
    .into_any()
}

fn past_runs(home: &str, runs: Vec<Run>, pushed: bool, reader: Reader) -> AnyView {
    if runs.is_empty() && pushed {
        return view! {
            <EmptyState
                glyph=Glyph::Source
                title="Nothing sent yet"
                sentence="Each time the other system sends somebody, what came of it stands here."
            />
        }
        .into_any();
    }
    if runs.is_empty() {
        return view! {
            <EmptyState
                glyph=Glyph::Source
                title="No run yet"
                sentence="A dry run reads everything and shows what would change. It writes nothing."
            />
        }
        .into_any();
    }
    let rows = runs
        .into_iter()
        .map(|run| {
            let (word, tone) = words::phase(&run);
            let href = format!("{home}/runs/{}", run.id);
            view! {
                <tr>
                    <th scope="row">
                        <a class="name" href=href>
                            <Time iso=format::iso(run.started_at) text=reader.moment(run.started_at) />
                        </a>
                        {run.dry_run.then(|| view! { " " <Badge text="Dry run" /> })}
                        {run.undoes.is_some().then(|| view! { " " <Badge text="Undo" /> })}
                    </th>
                    <td>
                        <Status text=word tone=tone />
                    </td>
                    <td class="hide-narrow">{words::outcome(&run)}</td>
                    <td class="hide-narrow">{run.started_by.unwrap_or_else(|| "The portal itself".into())}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <section aria-labelledby="runs">
            <div class="toolbar">
                <h2 id="runs">"Runs"</h2>
            </div>
            <Table
                caption="Past runs, the latest first"
                columns=vec![
                    Column::new("Started"),
                    Column::new("State"),
                    Column::new("What it did").hide(Hide::Narrow),
                    Column::new("By").hide(Hide::Narrow),
                ]
            >
                {rows}
            </Table>
        </section>
    }
    .into_any()
}

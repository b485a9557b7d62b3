//! Undoing a run: what would come back and what would not, before the button.

use std::collections::BTreeSet;

use axum::{
    extract::Path,
    response::{IntoResponse as _, Redirect, Response},
};
use domain::{
    EmployeeId, RunId, SourceId,
    sync::{Beside, Totals},
};
use leptos::prelude::*;
use store::{Error, run::undo::UndoPreview, scim::KIND};

use super::{router::manages, run, words};
use crate::{
    edge::{AppError, Posted, Visit, answer, id},
    portal::Job,
    ui::{
        Banner, Button, Card, Column, Crumb, Crumbs, Door, EmptyState, Fact, Facts, Glyph, Hide,
        Look, PageHead, Table, Tone,
        format::{counted, number},
    },
};

fn figure(count: u64) -> String {
    number(i64::try_from(count).unwrap_or(i64::MAX))
}

/// `GET /console/sources/{id}/runs/{run}/undo`
pub async fn show(
    visit: Visit,
    Path((source, run)): Path<(String, String)>,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let (source, run) = (SourceId(id(&source)?), RunId(id(&run)?));
    let store = &visit.portal.store;
    let home = format!("/console/sources/{source}");
    let here = format!("{home}/runs/{run}");
    let preview = match store.undo_preview(&visit.viewer, run).await {
        Ok(preview) if preview.run.source == source => preview,
        Ok(_) => return Err(AppError::not_found()),
        // It was undone meanwhile, or its journal is gone: the run's page says how it stands.
        Err(Error::Conflict("not_undoable")) => return Ok(Redirect::to(&here).into_response()),
        Err(error) => return Err(error.into()),
    };
    let people: BTreeSet<EmployeeId> = preview
        .steps
        .iter()
        .filter_map(|step| step.employee)
        .collect();
    let people: Vec<_> = people.into_iter().collect();
    let cards = store.cards(&visit.viewer, &people).await?;
    let pushed = store.source(&visit.viewer, source).await?.kind == KIND;
    let reader = visit.reader;
    visit
        .page("Undo a run", Door::Sources, move || {
            let began = reader.moment_in_sentence(preview.run.started_at);
            let rows = preview
                .steps
                .iter()
                .map(|step| {
                    let card = step.employee.and_then(|id| cards.get(&id));
                    run::row(step.clone(), card, &[], ("Planned", Tone::Info), &home, true)
                })
                .collect::<Vec<_>>();
            let shown = rows.len() as u64;
            let more = preview.steps_in_all > shown;
            let list = if rows.is_empty() {
                view! {
                    <EmptyState
                        glyph=Glyph::Undo
                        title="Nobody’s values would come back"
                        sentence="The run changed nobody, or something newer has changed everything since."
                    />
                }
                .into_any()
            } else {
                view! {
                    <Table
                        caption="What would change"
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
                    {more
                        .then(|| {
                            let text = format!("The first {} of {}.", figure(shown), figure(preview.steps_in_all));
                            view! { <p class="small muted">{text}</p> }
                        })}
                }
                .into_any()
            };
            view! {
                <div class="page page--wide">
                    <Crumbs crumbs=vec![
                        Crumb::link("Sources", "/console/sources"),
                        Crumb::link(preview.run.source_name.clone(), home.clone()),
                        Crumb::link("Run", here.clone()),
                        Crumb::here("Undo"),
                    ] />
                    <PageHead title="Undo a run" sentence=format!("The run of {began}. Nothing is written before you press the button.")>
                        <form method="post" action=format!("{here}/undo")>
                            <Button text="Undo this run" look=Look::CriticalFill icon=Some(Glyph::Undo) />
                        </form>
                    </PageHead>
                    {asks(&preview)}
                    <div class="page__notice">
                        <Banner title="What an undo does" tone=Tone::Info>
                            "Values, units, managers and what stands beside them become what they were before the run. Who left with it comes back as they were; sign-ins that ended stay ended, so they sign in again. Who came with it is made inactive again and not deleted, but for whoever presses the button and the last who can administer. Own values are never touched. "
                            {match pushed {
                                true => "Afterwards the source is paused, and what is pushed is refused until somebody ends that. The records that were pushed stay with their client as they are: the next push about a person says all of them again.",
                                false => "Afterwards the source is paused: its next run would do the same again, so it asks first.",
                            }}
                        </Banner>
                    </div>
                    <div class="columns">
                        <section aria-labelledby="back">
                            <div class="toolbar">
                                <h2 id="back">"What would change"</h2>
                            </div>
                            {list}
                        </section>
                        <aside class="stack" aria-label="In figures, and what stays">
                            {figures(preview.totals, preview.units, preview.left_in_all)}
                            {left(&preview)}
                        </aside>
                    </div>
                </div>
            }
        })
        .await
}

/// That it would ask first, and why.
fn asks(preview: &UndoPreview) -> Option<AnyView> {
    let told: Vec<_> = preview.exceeded.iter().map(words::exceeded).collect();
    (!told.is_empty()).then(|| {
        view! {
            <div class="page__notice">
                <Banner title="This undo will stop and ask" tone=Tone::Warning>
                    {told.join(" ")}
                    " When the button is pressed nothing is written yet: it waits until somebody lets it go on."
                </Banner>
            </div>
        }
        .into_any()
    })
}

fn figures(totals: Totals, units: u64, left: u64) -> AnyView {
    let figures = [
        ("Come back", totals.returners),
        ("Go again", totals.leavers),
        ("Move back", totals.movers),
        ("Get values back", totals.changed),
        ("Units", units),
    ]
    .map(|(label, count)| view! { <Fact label=label>{figure(count)}</Fact> })
    .into_iter()
    .collect::<Vec<_>>();
    let beside = Beside::ALL
        .into_iter()
        .map(|what| (what, totals.put_back.of(what)))
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| view! { <Fact label=words::beside_label(what)>{figure(count)}</Fact> })
        .collect::<Vec<_>>();
    view! {
        <Card title="In figures" id="figures">
            <Facts one=true>
                {figures} {beside} <Fact label="Left as it is">{figure(left)}</Fact>
            </Facts>
        </Card>
    }
    .into_any()
}

fn left(preview: &UndoPreview) -> AnyView {
    let rest = preview
        .left_in_all
        .saturating_sub(preview.left.len() as u64);
    let items = preview
        .left
        .iter()
        .map(|one| {
            run::finding(
                Glyph::Info,
                "tone-info",
                words::not_undone_title(one),
                words::not_undone(one),
            )
        })
        .collect_view();
    let none = preview.left.is_empty();
    view! {
        <Card title="What stays as it is" id="left" flush=true>
            {if none {
                view! { <p class="card__body muted">"Nothing newer has touched what the run changed: all of it comes back."</p> }
                    .into_any()
            } else {
                view! { <ul class="list findings plain">{items}</ul> }.into_any()
            }}
            {(rest > 0).then(|| view! { <p class="card__body small muted">{format!("and {}.", counted(rest, "more", "more"))}</p> })}
        </Card>
    }
    .into_any()
}

/// `POST /console/sources/{id}/runs/{run}/undo`
pub async fn undo(
    visit: Visit,
    Path((source, run)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let (source, run) = (SourceId(id(&source)?), RunId(id(&run)?));
    let home = format!("/console/sources/{source}");
    let back = format!("{home}/runs/{run}");
    let result = begin(&visit, source, run).await;
    answer(
        &visit.session,
        &posted,
        result,
        &back,
        |undo| format!("{home}/runs/{undo}"),
        "",
    )
    .await
}

async fn begin(visit: &Visit, source: SourceId, run: RunId) -> Result<RunId, Error> {
    let store = &visit.portal.store;
    if store.run(&visit.viewer, run).await?.source != source {
        return Err(Error::NotFound);
    }
    let undo = store.undo_run(&visit.viewer, run).await?.id;
    if let Err(busy) = visit.portal.hand_in(Job::Run(undo)) {
        // Nobody would drive it, and it would keep others from the source.
        let text = "Too many runs wait already. Try again in a while.";
        store.fail_run(&visit.viewer, undo, "busy", text).await?;
        return Err(busy);
    }
    Ok(undo)
}

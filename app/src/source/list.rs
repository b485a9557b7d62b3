//! Every source.

use axum::response::Response;
use domain::Action;
use leptos::prelude::*;

use super::{leavers, words};
use crate::{
    edge::{AppError, Visit},
    ui::{
        Column, Door, EmptyState, Glyph, Hide, LinkButton, Look, PageHead, Status, Table, Time,
        format,
    },
};

/// `GET /console/sources`
pub async fn show(visit: Visit) -> Result<Response, AppError> {
    let store = &visit.portal.store;
    let mut sources = Vec::new();
    for source in store.sources(&visit.viewer).await? {
        let run = match source.last_run {
            Some(run) => store.run(&visit.viewer, run).await.ok(),
            None => None,
        };
        sources.push((source, run));
    }
    let undecided = store.undecided(&visit.viewer).await?;
    let leaving = leavers::waiting(&visit).await?;
    let manages = visit.viewer.can(Action::ManageSources);
    let reader = visit.reader;
    visit
        .page("Sources", Door::Sources, move || {
            let empty = sources.is_empty();
            let rows = sources
                .into_iter()
                .map(|(source, run)| {
                    let href = format!("/console/sources/{}", source.id);
                    let waiting = undecided.iter().filter(|one| one.source == source.id).count();
                    let leaving = leaving.iter().find(|one| one.source == source.id).map_or(0, |one| one.count);
                    let state = run.map(|run| {
                        let (word, tone) = words::phase(&run);
                        let href = format!("{href}/runs/{}", run.id);
                        view! {
                            <a href=href>
                                <Status text=word tone=tone />
                            </a>
                        }
                    });
                    let read = source.last_read_at.map(|at| view! { <Time iso=format::iso(at) text=reader.moment(at) /> });
                    view! {
                        <tr>
                            <th scope="row">
                                <a class="name" href=href.clone()>{source.name.clone()}</a>
                                {(waiting > 0)
                                    .then(|| {
                                        view! {
                                            <span class="beside-block">
                                                {format::counted(waiting as u64, "record needs a decision", "records need a decision")}
                                            </span>
                                        }
                                    })}
                                {(leaving > 0)
                                    .then(|| {
                                        view! {
                                            <span class="beside-block">
                                                {format::counted(leaving, "person waits to leave", "people wait to leave")}
                                            </span>
                                        }
                                    })}
                            </th>
                            <td class="hide-narrow">{words::kind_label(&source.kind)}</td>
                            <td class="num hide-narrow">{format::number(i64::try_from(source.people).unwrap_or(i64::MAX))}</td>
                            <td>{read.map_or_else(|| "Not yet".into_any(), IntoAny::into_any)}</td>
                            <td>{state.map_or_else(|| "No run yet".into_any(), IntoAny::into_any)}</td>
                        </tr>
                    }
                })
                .collect_view();
            view! {
                <div class="page">
                    <PageHead title="Sources" sentence="The systems that people, units and posts come from.">
                        {manages
                            .then(|| {
                                view! {
                                    <LinkButton
                                        text="Connect a source"
                                        href="/console/sources/new"
                                        look=Look::Primary
                                        icon=Some(Glyph::Plus)
                                    />
                                }
                            })}
                    </PageHead>
                    {if empty {
                        view! {
                            <EmptyState
                                glyph=Glyph::Source
                                title="No source yet"
                                sentence="Connect an ERP or a folder of files, and people come from there."
                            />
                        }
                            .into_any()
                    } else {
                        view! {
                            <Table
                                caption="Sources by name"
                                columns=vec![
                                    Column::new("Name"),
                                    Column::new("Kind").hide(Hide::Narrow),
                                    Column::numeric("People").hide(Hide::Narrow),
                                    Column::new("Last read"),
                                    Column::new("Last run"),
                                ]
                            >
                                {rows}
                            </Table>
                        }
                            .into_any()
                    }}
                </div>
            }
        })
        .await
}

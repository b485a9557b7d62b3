//! Clients and tickets of a source, pulled by its run after the people.

use domain::{RunId, Viewer, erp::Watermark};
use erp_adapters::ErpAdapter;
use futures::StreamExt as _;
use store::{
    Result, Store,
    run::{Feed, Pull},
};

/// Pulls both feeds, since where they were read or in full. What the source could not give is told by the run, which
/// goes on: people do not wait for clients.
pub(super) async fn pull(
    store: &Store,
    viewer: &Viewer,
    run: RunId,
    adapter: &dyn ErpAdapter,
    in_full: bool,
) -> Result<()> {
    let (mut pull, since) = store
        .begin_pull(viewer, run, Feed::Clients, in_full)
        .await?;
    let mut pages = adapter.clients(since.map(Watermark));
    let mut watermark = None;
    loop {
        match pages.next().await {
            Some(Ok(page)) => {
                watermark = Some(page.watermark.0);
                store
                    .take_clients(viewer, run, &mut pull, page.clients, page.faults)
                    .await?;
            }
            Some(Err(error)) => break broken(store, viewer, run, pull, &error).await?,
            None => break end(store, viewer, run, pull, watermark).await?,
        }
    }

    let (mut pull, since) = store
        .begin_pull(viewer, run, Feed::Tickets, in_full)
        .await?;
    let mut pages = adapter.tickets(since.map(Watermark));
    let mut watermark = None;
    loop {
        match pages.next().await {
            Some(Ok(page)) => {
                watermark = Some(page.watermark.0);
                store
                    .take_tickets(viewer, run, &mut pull, page.tickets, page.faults)
                    .await?;
            }
            Some(Err(error)) => return broken(store, viewer, run, pull, &error).await,
            None => return end(store, viewer, run, pull, watermark).await,
        }
    }
}

/// A source that has no such feed gives no page at all: then nothing is gone either.
async fn end(
    store: &Store,
    viewer: &Viewer,
    run: RunId,
    pull: Pull,
    watermark: Option<String>,
) -> Result<()> {
    match watermark {
        Some(_) => store.end_pull(viewer, run, pull, watermark).await,
        None => Ok(()),
    }
}

async fn broken(
    store: &Store,
    viewer: &Viewer,
    run: RunId,
    pull: Pull,
    error: &erp_adapters::Error,
) -> Result<()> {
    tracing::warn!(%run, %error, "a feed broke off");
    store
        .break_pull(viewer, run, pull, &error.to_string())
        .await
}

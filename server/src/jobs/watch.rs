//! Looks into the folders of sources that are watched, and begins a run when something new has come.

use std::{collections::HashMap, time::Duration};

use app::portal::{Portal, open_source};
use domain::{SourceId, Viewer};
use erp_adapters::KINDS;
use store::{Error, run::Run, source::Source};
use tokio::time::{MissedTickBehavior, interval};

use super::start_run;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(3);

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Watch {
    /// What each folder held at the last look.
    seen: HashMap<SourceId, String>,
    /// What a run was begun for: one that failed is not begun again for the same files.
    begun: HashMap<SourceId, String>,
}

fn viewer() -> Viewer {
    Viewer::system("watch")
}

/// Whether the source is of a kind that can be watched, and is to be.
fn watched(source: &Source) -> bool {
    let can = KINDS
        .iter()
        .filter(|kind| kind.name == source.kind)
        .flat_map(|kind| kind.settings)
        .any(|setting| setting.key == "watch");
    let wish = source.settings.get("watch");
    can && wish.is_some_and(|wish| wish.trim().eq_ignore_ascii_case("yes"))
}

impl Watch {
    /// Looks into every folder until it is dropped.
    pub async fn keep(mut self, portal: Portal) {
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            match self.look(&portal).await {
                Ok(runs) => {
                    for run in runs {
                        tracing::info!(run = %run.id, "a file has come");
                    }
                }
                Err(error) => tracing::error!(%error, "watched folders were not looked into"),
            }
        }
    }

    /// Looks into every folder once, and begins a run where there is something
    /// new that has not changed since the look before.
    ///
    /// # Errors
    /// Those of the store. A folder that cannot be read does not keep the others from theirs.
    pub async fn look(&mut self, portal: &Portal) -> Result<Vec<Run>, Error> {
        let mut runs = Vec::new();
        for source in portal.store.sources(&viewer()).await? {
            if !watched(&source) {
                continue;
            }
            let Some(mark) = self.mark(portal, &source).await? else {
                self.seen.remove(&source.id);
                continue;
            };
            let settled = self.seen.insert(source.id, mark.clone()).as_ref() == Some(&mark);
            if !settled || self.begun.get(&source.id) == Some(&mark) {
                continue;
            }
            // Read to the end before, by whomever.
            let read = portal.store.watermark(&viewer(), source.id).await?;
            if read.as_ref() == Some(&mark) {
                self.begun.insert(source.id, mark);
                continue;
            }
            match start_run(portal, &viewer(), source.id, false).await {
                Ok(run) => {
                    self.begun.insert(source.id, mark);
                    runs.push(run);
                }
                // There will be another look.
                Err(Error::Conflict(_) | Error::Busy) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(runs)
    }

    async fn mark(&self, portal: &Portal, source: &Source) -> Result<Option<String>, Error> {
        let (store, guard) = (&portal.store, &portal.site.guard);
        let looked = match open_source(store, guard, &viewer(), source.id).await? {
            Ok(adapter) => adapter.fingerprint().await,
            Err(error) => Err(error),
        };
        // A run says what is wrong with a source; a look that failed is only one that found nothing.
        Ok(looked.unwrap_or_else(|error| {
            tracing::debug!(source = source.name, %error, "a watched folder was not looked into");
            None
        }))
    }
}

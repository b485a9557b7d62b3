//! A run of a few people, of whom the source spoke by itself.

use std::collections::HashSet;

use domain::{
    SourceId, Viewer,
    erp::{Fault, OrgUnit, Worker},
};
use sea_orm::ConnectionTrait as _;
use tokio::time::{Duration, sleep};

use super::{Read, Run, live::Work, plan::IN_MAX};
use crate::{Error, Result, Store, db, source::Decision};

/// How often a push asks again while another process has the source.
const TRIES: u32 = 40;
/// How long it waits in between.
const PAUSE: Duration = Duration::from_millis(50);

impl Store {
    /// Takes in what a source says of some people, as a run that is over when
    /// this comes back; none where there is nothing to do. Of the units, those
    /// of the workers come to the ones there are. Everybody else stays as they
    /// are, so limits and shares mean nothing here: the run asks nobody. Who may
    /// leave by it is told before ([`Store::hold_back`]).
    ///
    /// # Errors
    /// [`Error::Busy`] while another process pushes, [`Error::NotFound`].
    pub(crate) async fn push(
        &self,
        viewer: &Viewer,
        source: SourceId,
        workers: Vec<Worker>,
        faults: Vec<Fault>,
    ) -> Result<Option<Run>> {
        if workers.is_empty() {
            return Ok(None);
        }
        let mut work = Work::default();
        let concerned = self.concerned(source, &workers).await?;
        self.load_some(source, Some(&concerned), &mut work).await?;
        let changes = |worker: &Worker| match work.held.get(&worker.external_id) {
            Some(held) => held.active != worker.active || held.digest != worker.digest(),
            None => worker.active || work.pending.contains_key(&worker.external_id),
        };
        if !workers.iter().any(changes) {
            return Ok(None);
        }
        let run = self.begin_push(viewer, source).await?;
        let pushed = Box::pin(self.push_run(viewer, &run, work, workers, faults)).await;
        if let Err(error) = &pushed {
            tracing::warn!(run = %run.id, %error, "a push failed");
            let text = "What was pushed could not be taken; the log says why.";
            self.fail_run(viewer, run.id, "internal", text).await?;
        }
        pushed.map(Some)
    }

    async fn begin_push(&self, viewer: &Viewer, source: SourceId) -> Result<Run> {
        for _ in 0..TRIES {
            match self.begin_run(viewer, source, false).await {
                Err(Error::Conflict("run_in_progress")) => sleep(PAUSE).await,
                other => return other,
            }
        }
        Err(Error::Busy)
    }

    async fn push_run(
        &self,
        viewer: &Viewer,
        run: &Run,
        work: Work,
        workers: Vec<Worker>,
        faults: Vec<Fault>,
    ) -> Result<Run> {
        let source = run.source;
        let mut units: Vec<_> = Vec::new();
        for (external_id, row) in work.units_before.iter().filter(|(_, row)| row.active) {
            units.push(OrgUnit {
                external_id: external_id.clone(),
                name: row.name.clone(),
                parent: row.parent_ref.clone(),
                heads: serde_json::from_str(&row.heads)?,
            });
        }
        let left = self.left_empty(source, &work, &workers).await?;
        units.retain(|unit| !left.contains(&unit.external_id));
        for name in workers.iter().filter_map(|worker| worker.unit.as_ref()) {
            if units.iter().all(|unit| unit.external_id != *name) {
                units.push(OrgUnit {
                    external_id: name.clone(),
                    name: name.clone(),
                    parent: None,
                    heads: Vec::new(),
                });
            }
        }
        let gone: HashSet<_> = workers
            .iter()
            .filter(|worker| !worker.active)
            .map(|worker| &worker.external_id)
            .collect();
        let present: HashSet<String> = work
            .held
            .keys()
            .chain(work.pending.keys())
            .filter(|id| !gone.contains(id))
            .cloned()
            .collect();
        *self.live(run.id).await?.work.lock().await = work;
        self.read_units(viewer, run.id, units, Vec::new(), Vec::new())
            .await?;
        self.read_page(viewer, run.id, Read { workers, faults })
            .await?;
        self.plan_run(viewer, run.id, Some(present)).await?;
        while self.apply_run(viewer, run.id).await? > 0 {}
        self.end_run(viewer, run.id, None).await
    }

    /// The records that have to be known for a push: those of the workers, of
    /// their superiors, and of whom somebody decided that they are.
    async fn concerned(&self, source: SourceId, workers: &[Worker]) -> Result<Vec<String>> {
        let mut ids: HashSet<String> = HashSet::new();
        for worker in workers {
            ids.insert(worker.external_id.clone());
            ids.extend(worker.manager.clone());
        }
        let find = "SELECT external_id, decision FROM undecided WHERE source_id = $1 AND decision IS NOT NULL";
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [source.0.into()]))
            .await?;
        for row in rows {
            let external_id: String = row.try_get_by_index(0)?;
            let decision = serde_json::from_str(&row.try_get_by_index::<String>(1)?)?;
            if let (true, Decision::Is(employee)) = (ids.contains(&external_id), decision) {
                let find =
                    "SELECT external_id FROM erp_records WHERE source_id = $1 AND employee_id = $2";
                let values = [source.0.into(), employee.0.into()];
                for row in self
                    .db()
                    .query_all_raw(db::sql(self.db(), find, values))
                    .await?
                {
                    ids.insert(row.try_get_by_index(0)?);
                }
            }
        }
        Ok(ids.into_iter().collect())
    }

    /// Units that nobody is left in when the workers have moved: a unit that is
    /// known by its name alone is there while somebody names it.
    async fn left_empty(
        &self,
        source: SourceId,
        work: &Work,
        workers: &[Worker],
    ) -> Result<HashSet<String>> {
        let moved: Vec<_> = workers
            .iter()
            .filter_map(|worker| work.held.get(&worker.external_id))
            .map(|held| held.employee)
            .collect();
        let mut left = HashSet::new();
        for ids in moved.chunks(IN_MAX) {
            // Whose unit has no active person but them.
            let find = format!(
                "SELECT DISTINCT u.external_id FROM employees e JOIN units u ON u.id = e.unit_id
                WHERE u.source_id = $1 AND e.id IN ({places}) AND NOT EXISTS (
                    SELECT 1 FROM employees o WHERE o.unit_id = u.id AND o.active AND o.id NOT IN ({places}))",
                places = db::places(2, ids.len())
            );
            let values = std::iter::once(source.0.into()).chain(ids.iter().map(|id| id.0.into()));
            for row in self
                .db()
                .query_all_raw(db::sql(self.db(), find, values))
                .await?
            {
                left.insert(row.try_get_by_index(0)?);
            }
        }
        for worker in workers.iter().filter(|worker| worker.active) {
            if let Some(unit) = &worker.unit {
                left.remove(unit);
            }
        }
        Ok(left)
    }
}

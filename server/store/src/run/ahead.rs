//! Dates ahead: who comes in or goes on a day to come, and the day on which they do.
//!
//! A record whose activity will turn by its dates carries the day (`due_on`);
//! one of somebody who is not here yet waits in the table `scheduled`. Every run
//! takes in those whose day has come, whether the source spoke of them again or
//! not, and [`Store::turn_day`] makes such a run of those alone.

use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, Utc};
use domain::{Action, EmployeeId, SourceId, Viewer, erp::Worker};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, Value};
use serde::{Deserialize, Serialize};

use super::{
    Phase, Run,
    live::{Planned, Work},
    plan::IN_MAX,
};
use crate::{Error, Result, Store, db, people::ErpRecord};

/// Most people of a list of those with a day ahead.
const AHEAD_MAX: usize = 500;

/// A record of somebody who is not here yet.
pub(super) struct Scheduled {
    pub record: String,
    pub digest: [u8; 32],
    /// Whether this run has read it.
    pub seen: bool,
}

/// Somebody who comes or goes on a day to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ahead {
    /// Their id in the source.
    pub external_id: String,
    /// Their name.
    pub name: String,
    /// Who; none for somebody who was never here.
    pub employee: Option<EmployeeId>,
    /// Whether they come; else they go.
    pub comes: bool,
    /// The first day, or the last.
    pub day: NaiveDate,
}

impl Store {
    /// Loads who is scheduled, with `only` of these records alone, and which day it is.
    pub(super) async fn load_ahead(
        &self,
        source: SourceId,
        only: Option<&[String]>,
        work: &mut Work,
    ) -> Result<()> {
        work.today = self.today();
        let find = "SELECT external_id, record, digest FROM scheduled WHERE source_id = $1";
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [source.0.into()]))
            .await?;
        for row in rows {
            let scheduled = Scheduled {
                record: row.try_get_by_index(1)?,
                digest: row
                    .try_get_by_index::<Vec<u8>>(2)?
                    .try_into()
                    .unwrap_or_default(),
                seen: false,
            };
            let id: String = row.try_get_by_index(0)?;
            if only.is_none_or(|only| only.contains(&id)) {
                work.scheduled.insert(id, scheduled);
            }
        }
        Ok(())
    }

    /// Adds to what was read those whose day has come and of whom the source
    /// did not speak again, and notes those who will not come any more.
    pub(super) async fn add_due(
        &self,
        source: SourceId,
        work: &mut Work,
        present: Option<&HashSet<String>>,
    ) -> Result<()> {
        let there = |id: &String| present.is_some_and(|present| present.contains(id));
        let find = "SELECT external_id, record, changed, due_on, active FROM erp_records
            WHERE source_id = $1 AND due_on IS NOT NULL";
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [source.0.into()]))
            .await?;
        let today = work.today.to_string();
        for row in rows {
            let id: String = row.try_get_by_index(0)?;
            if work.held.get(&id).is_none_or(|held| held.seen) {
                continue;
            }
            if !there(&id) {
                let active: bool = row.try_get_by_index(4)?;
                if !active && !work.unsure {
                    work.no_longer_due.push(id);
                }
            } else if row.try_get_by_index::<String>(3)? <= today {
                let record: String = row.try_get_by_index(1)?;
                let changed: String = row.try_get_by_index(2)?;
                work.put_aside(&ErpRecord::decode(&record, &changed)?.worker)?;
            }
        }
        let mut due = Vec::new();
        for (id, scheduled) in &work.scheduled {
            if scheduled.seen || work.fresh.contains_key(id) || work.spared.contains(id) {
                continue;
            }
            if there(id) {
                let worker: Worker = serde_json::from_str(&scheduled.record)?;
                if worker.works_on(work.today) {
                    due.push(worker);
                }
            } else if !work.unsure {
                work.no_longer_scheduled.push(id.clone());
            }
        }
        due.iter().try_for_each(|worker| work.put_aside(worker))
    }

    /// Has those come in and go whose day it is, source by source, by runs like
    /// any other; answers those runs. One that goes over a limit waits. A
    /// source that is being run is left out: its own run sees to it. To be
    /// called at the start and some times a day. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn turn_day(&self, viewer: &Viewer) -> Result<Vec<Run>> {
        self.allow(viewer, Action::ManageSources)?;
        let find = "SELECT source_id FROM erp_records WHERE due_on <= $1
            UNION SELECT source_id FROM scheduled WHERE starts_on <= $1";
        let today = self.today().to_string();
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [today.into()]))
            .await?;
        let mut runs = Vec::new();
        for row in rows {
            let source = SourceId(row.try_get_by_index(0)?);
            let run = match self.begin_run(viewer, source, false).await {
                Ok(run) => run,
                Err(Error::Conflict(_)) => continue,
                Err(error) => return Err(error),
            };
            match Box::pin(self.turn(viewer, &run)).await {
                Ok(run) => runs.push(run),
                Err(error) => {
                    let text = "the portal could not go on; the log says why";
                    self.fail_run(viewer, run.id, "internal", text).await?;
                    return Err(error);
                }
            }
        }
        Ok(runs)
    }

    async fn turn(&self, viewer: &Viewer, run: &Run) -> Result<Run> {
        let present = {
            let (_, mut work) = self.reading(viewer, run.id).await?;
            work.turning = true;
            let known = work.held.keys().chain(work.pending.keys());
            known.chain(work.scheduled.keys()).cloned().collect()
        };
        let planned = self.plan_run(viewer, run.id, Some(present)).await?;
        if planned.phase != Phase::Applying {
            return Ok(planned);
        }
        while self.apply_run(viewer, run.id).await? > 0 {}
        self.end_run(viewer, run.id, None).await
    }

    /// Who comes or goes on a day to come, by day, at most 500. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn ahead(&self, viewer: &Viewer, source: SourceId) -> Result<Vec<Ahead>> {
        self.allow(viewer, Action::ReadSources)?;
        let find = format!(
            "SELECT external_id, name, NULL, TRUE, starts_on FROM scheduled WHERE source_id = $1
            UNION ALL SELECT r.external_id, e.display_name, e.id, NOT r.active, r.due_on
                FROM erp_records r JOIN employees e ON e.id = r.employee_id
                WHERE r.source_id = $1 AND r.due_on IS NOT NULL
            ORDER BY 5, 2 LIMIT {AHEAD_MAX}"
        );
        let find = db::either(
            self.db(),
            find.clone(),
            find.replace("NULL, TRUE", "NULL::uuid, TRUE"),
        );
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [source.0.into()]))
            .await?;
        let mut ahead = Vec::with_capacity(rows.len());
        for row in rows {
            let comes: bool = row.try_get_by_index(3)?;
            let day: String = row.try_get_by_index(4)?;
            let day: NaiveDate = day
                .parse()
                .map_err(|_| Error::Internal("a day that is none".into()))?;
            ahead.push(Ahead {
                external_id: row.try_get_by_index(0)?,
                name: row.try_get_by_index(1)?,
                employee: row
                    .try_get_by_index::<Option<uuid::Uuid>>(2)?
                    .map(EmployeeId),
                comes,
                // A record is due on the day after the last.
                day: if comes {
                    day
                } else {
                    day.pred_opt().unwrap_or(day)
                },
            });
        }
        Ok(ahead)
    }
}

/// The row of somebody who waits for the first day; none if the record says no day.
pub(super) fn row(
    source: SourceId,
    planned: &Planned,
    today: NaiveDate,
    at: DateTime<Utc>,
) -> Result<Option<[Value; 7]>> {
    let Some(worker) = &planned.worker else {
        return Ok(None);
    };
    let Some(day) = worker.turns_after(today) else {
        return Ok(None);
    };
    Ok(Some([
        source.0.into(),
        planned.external_id.as_str().into(),
        planned.name.as_str().into(),
        serde_json::to_string(worker)?.into(),
        worker.digest().to_vec().into(),
        day.to_string().into(),
        at.into(),
    ]))
}

/// Writes who waits for the first day.
pub(super) async fn schedule(tx: &DatabaseTransaction, rows: Vec<[Value; 7]>) -> Result<()> {
    db::bulk(tx, rows, |rows| {
        format!(
            "INSERT INTO scheduled (source_id, external_id, name, record, digest, starts_on, since) VALUES {rows}
            ON CONFLICT (source_id, external_id) DO UPDATE SET name = excluded.name, record = excluded.record,
                digest = excluded.digest, starts_on = excluded.starts_on"
        )
    })
    .await?;
    Ok(())
}

/// Takes those out of the schedule who came, or who will not.
pub(super) async fn unschedule(
    tx: &DatabaseTransaction,
    source: SourceId,
    ids: &[String],
) -> Result<()> {
    for ids in ids.chunks(IN_MAX) {
        let delete = format!(
            "DELETE FROM scheduled WHERE source_id = $1 AND external_id IN ({})",
            db::places(2, ids.len())
        );
        let ids = ids.iter().map(|id| id.as_str().into());
        let values = std::iter::once(source.0.into()).chain(ids);
        tx.execute_raw(db::sql(tx, delete, values)).await?;
    }
    Ok(())
}

/// Forgets the day of those who will not come back, because they are not in the source any more. What
/// was read of them goes with it, so that the day counts again once the source says it again.
pub(super) async fn forget_day(
    tx: &DatabaseTransaction,
    source: SourceId,
    ids: &[String],
) -> Result<()> {
    for ids in ids.chunks(IN_MAX) {
        let update = format!(
            "UPDATE erp_records SET due_on = NULL, digest = $2
            WHERE source_id = $1 AND external_id IN ({})",
            db::places(3, ids.len())
        );
        let ids = ids.iter().map(|id| id.as_str().into());
        let values = [source.0.into(), Vec::<u8>::new().into()]
            .into_iter()
            .chain(ids);
        tx.execute_raw(db::sql(tx, update, values)).await?;
    }
    Ok(())
}

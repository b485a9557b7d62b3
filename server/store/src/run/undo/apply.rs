//! Writes what an undo does: chunk by chunk, then what comes after the last.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Viewer,
    sync::{Beside, Totals},
};
use sea_orm::{ConnectionTrait, Value};
use serde_json::json;

use super::{
    super::{
        Live, Phase, Run, RunFinding,
        apply::{gone_everywhere, people_of, write_places, write_records},
        beside::{self, Image},
        live::Work,
        plan::IN_MAX,
        relations, write_history, write_run,
    },
    plan::{Scope, Undone},
    units::put_units_back,
};
use crate::{
    Error, Event, Result, Store, account, audit,
    change::Change,
    db,
    history::{self, Why},
    shown, source,
};

impl Store {
    /// Writes a chunk; answers whether anybody has another place in the chart.
    pub(super) async fn put_back(
        &self,
        viewer: &Viewer,
        live: &Live,
        scope: &Scope,
        chunk: Undone,
        first: u64,
        change: &mut Change<'_>,
    ) -> Result<bool> {
        let (tx, at) = (&change.tx, change.at);
        let why = Why::Undo(live.id);
        let mut totals = Totals::default();
        chunk.count(&mut totals);
        let moved = !(chunk.places.is_empty() && chunk.joiners.is_empty());
        let places = chunk.places.into_iter().map(|(id, place)| place.row(id));
        write_places(tx, places.collect()).await?;
        let (mut back, mut removed) = (Vec::new(), Vec::new());
        for (external_id, record) in chunk.records {
            match record {
                None => removed.push(external_id),
                Some((employee, record)) => {
                    let worker = &record.record.worker;
                    let due_on = worker.turns_after(scope.today);
                    // A record whose day was forgotten has no digest.
                    let due_on = due_on.filter(|_| !record.digest.is_empty());
                    back.push([
                        live.source.0.into(),
                        external_id.into(),
                        employee.0.into(),
                        worker.works_on(scope.today).into(),
                        record.digest.into(),
                        record.text.into(),
                        record.changed.into(),
                        record.photo_wanted.into(),
                        due_on.map(|day| day.to_string()).into(),
                        record.run.into(),
                    ]);
                }
            }
        }
        write_records(tx, back).await?;
        for removed in removed.chunks(IN_MAX) {
            let delete = format!(
                "DELETE FROM erp_records WHERE source_id = $1 AND external_id IN ({})",
                db::places(2, removed.len())
            );
            let ids = removed.iter().map(|id| id.as_str().into());
            let values = std::iter::once(live.source.0.into()).chain(ids);
            tx.execute_raw(db::sql(tx, delete, values)).await?;
        }
        db::bulk(tx, chunk.forget, |rows| {
            format!("DELETE FROM manager_history WHERE (employee_id, from_at) IN (VALUES {rows})")
        })
        .await?;
        db::bulk(tx, chunk.reopen, |rows| {
            format!(
                "UPDATE manager_history SET to_at = NULL FROM (VALUES {rows}) AS v
                WHERE manager_history.employee_id = v.column1 AND manager_history.to_at = v.column2"
            )
        })
        .await?;
        write_history(tx, chunk.ended, chunk.begun).await?;
        self.put_beside_back(live, scope, chunk.beside, chunk.beside_done, change)
            .await?;

        // Their digest stays what the source says: so the next run takes them in again.
        let left = chunk.joiners.iter().map(|(_, external_id, record)| {
            let (text, changed) = record.encode()?;
            let due_on = record.worker.turns_after(scope.today);
            Ok([
                live.source.0.into(),
                external_id.as_str().into(),
                text.into(),
                changed.into(),
                due_on.map(|day| day.to_string()).into(),
                live.id.0.into(),
            ])
        });
        let left = left.collect::<Result<Vec<[Value; 6]>>>()?;
        db::bulk(tx, left, |rows| {
            format!(
                "UPDATE erp_records SET active = FALSE, record = v.column3, changed = v.column4,
                    due_on = v.column5, run_id = v.column6 FROM (VALUES {rows}) AS v
                WHERE erp_records.source_id = v.column1 AND erp_records.external_id = v.column2"
            )
        })
        .await?;
        let ids: Vec<_> = chunk.joiners.iter().map(|(id, ..)| *id).collect();
        let gone = gone_everywhere(tx, &ids, at).await?;
        let again = chunk.gone_again.iter().map(|(id, _)| *id);
        let signed_out: Vec<_> = gone.iter().copied().chain(again).collect();
        account::end_all_sign_ins(tx, &signed_out, at).await?;
        let mut turns = chunk.turns;
        turns.extend(history::of_leaving(&gone, live.source)?);

        for places in chunk.done.chunks(IN_MAX) {
            let mark = format!(
                "UPDATE run_journal SET undone_by = $1 WHERE run_id = $2 AND place IN ({})",
                db::places(3, places.len())
            );
            let values = [live.id.0.into(), scope.undone.0.into()];
            let places = places.iter().map(|place| (*place).into());
            tx.execute_raw(db::sql(tx, mark, values.into_iter().chain(places)))
                .await?;
        }
        let steps = (first..).zip(&chunk.steps).map(|(place, step)| {
            Ok([
                live.id.0.into(),
                i64::try_from(place).unwrap_or(i64::MAX).into(),
                serde_json::to_string(step)?.into(),
                step.employee.map(|id| id.0).into(),
            ])
        });
        let steps = steps.collect::<Result<Vec<[Value; 4]>>>()?;
        db::bulk(tx, steps, |rows| {
            format!("INSERT INTO run_steps (run_id, place, step, employee_id) VALUES {rows}")
        })
        .await?;
        history::write(tx, turns, at, why, viewer.id()).await?;
        shown::reshow(tx, &chunk.shown).await?;
        if !chunk.steps.is_empty() {
            let last = first + chunk.steps.len() as u64;
            let detail = json!({
                "run": live.id,
                "undoes": scope.undone,
                "steps": [first + 1, last],
                "totals": totals,
            });
            change.record(viewer, "run.applied", source::subject(live.source), detail);
        }
        let joiners = chunk.joiners.into_iter();
        let joiners = joiners.map(|(employee, external_id, _)| (employee, external_id));
        for (employee, external_id) in joiners.chain(chunk.gone_again) {
            if signed_out.contains(&employee) {
                let detail = json!({
                    "run": live.id,
                    "source": live.source,
                    "external_id": external_id,
                });
                change.record(viewer, "person.left", audit::person(employee), detail);
                change.tell(Event::SignedOut(employee));
            }
        }
        Ok(moved)
    }

    /// Puts back what the run wrote beside people, and marks it.
    async fn put_beside_back(
        &self,
        live: &Live,
        scope: &Scope,
        things: Vec<(Beside, String, Option<Image>)>,
        done: Vec<(Beside, String)>,
        change: &Change<'_>,
    ) -> Result<()> {
        let (tx, at) = (&change.tx, change.at);
        let mut kinds: BTreeMap<Beside, Vec<(String, Option<Image>)>> = BTreeMap::new();
        for (what, key, was) in things {
            kinds.entry(what).or_default().push((key, was));
        }
        for (what, things) in &kinds {
            beside::put_back(tx, live.source, *what, things, at).await?;
        }
        let related = [Beside::DottedLines, Beside::StandIns];
        let people: BTreeSet<_> = related
            .iter()
            .flat_map(|what| kinds.get(what).into_iter().flatten())
            .filter_map(|(key, _)| key.parse().ok())
            .collect();
        relations::align(tx, live.source, &Vec::from_iter(people)).await?;
        let feeds = [Beside::Client, Beside::Ticket];
        if feeds.iter().any(|feed| kinds.contains_key(feed)) {
            // What the source says has not changed: it is read anew from the beginning.
            let forget = "DELETE FROM source_feeds WHERE source_id = $1";
            tx.execute_raw(db::sql(tx, forget, [live.source.0.into()]))
                .await?;
        }
        let done = done.into_iter().map(|(what, key)| {
            [
                scope.undone.0.into(),
                what.name().into(),
                key.into(),
                live.id.0.into(),
            ]
        });
        db::bulk(tx, done.collect(), |rows| {
            format!(
                "UPDATE run_beside SET undone_by = v.column4 FROM (VALUES {rows}) AS v
                WHERE run_beside.run_id = v.column1 AND run_beside.kind = v.column2 AND run_beside.key = v.column3"
            )
        })
        .await?;
        Ok(())
    }

    /// What comes after the last chunk.
    pub(super) async fn undo_rest(
        &self,
        viewer: &Viewer,
        live: &Live,
        work: &mut Work,
    ) -> Result<Run> {
        let mut run = live.run();
        let undone = run
            .undoes
            .ok_or_else(|| Error::Internal("an undo without a run".into()))?;
        let mut change = self.change_people().await?;
        let back = put_units_back(&change.tx, undone, run.id).await?;
        let left = work.undone.left + back.left.len() as u64;
        let kept = back.left.into_iter().map(RunFinding::NotUndone);
        work.findings.extend(kept);
        let renamed = people_of(&change.tx, &back.renamed).await?;
        shown::reshow(&change.tx, &renamed).await?;
        // What the source says has not changed: a run that reads only what did would not see it.
        let update = "UPDATE sources SET watermark = NULL WHERE id = $1";
        change
            .tx
            .execute_raw(db::sql(&change.tx, update, [live.source.0.into()]))
            .await?;
        let why = "A run was undone. The next one would do the same again, so it asks first.";
        let paused = source::pause(&change.tx, live.source, why, change.at).await?;
        run.phase = Phase::Done;
        // Planned was what it does as a whole; this is what was done.
        run.totals = work.undone.totals;
        run.steps = run.applied;
        run.ended_at = Some(change.at);
        write_run(&change.tx, &run, Some(&work.findings), change.at).await?;
        let detail = json!({
            "run": run.id,
            "undoes": undone,
            "totals": run.totals,
            "units": back.written,
            "left": left,
            "paused": paused,
        });
        change.record(viewer, "run.undone", source::subject(live.source), detail);
        change.tell(Event::PeopleChanged);
        change.commit().await?;
        Ok(run)
    }
}

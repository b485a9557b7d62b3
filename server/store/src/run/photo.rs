//! Photos that a source has: fetched after the records, because they are large.

use domain::{Action, Attribute, EmployeeId, RunId, SourceId, Viewer, erp::Fault, sync::Doubt};
use sea_orm::ConnectionTrait as _;
use serde_json::json;

use super::{FINDINGS_KEPT, RunFinding};
use crate::{
    Error, Event, Result, Store, audit, db,
    history::{self, Why},
    people::ErpRecord,
    photo, shown,
};

/// From so many people on, one photo is nobody's.
const SAME_MIN: usize = 3;
/// Most people who are told of a photo that several have.
const NAMED_MAX: usize = 20;

impl Store {
    /// Whose photos are to be fetched from a run's source: those that changed,
    /// in this run or in one before it, and were not put since. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn photos_wanted(
        &self,
        viewer: &Viewer,
        run: RunId,
    ) -> Result<Vec<(String, EmployeeId)>> {
        self.allow(viewer, Action::ManageSources)?;
        let source = self.find_run(run).await?.source;
        let find = "SELECT external_id, employee_id FROM erp_records
            WHERE source_id = $1 AND photo_wanted IS NOT NULL AND active ORDER BY external_id";
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [source.0.into()]))
            .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    row.try_get_by_index(0)?,
                    EmployeeId(row.try_get_by_index(1)?),
                ))
            })
            .collect()
    }

    /// Puts a photo as the source has it; none where it turned out to have none.
    /// One that cannot be read, or that two others have already, becomes a finding
    /// of the source's last run, and the photo before stays: a picture of three
    /// people shows a placeholder, or somebody else. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a record that is not there.
    pub async fn put_erp_photo(
        &self,
        viewer: &Viewer,
        source: SourceId,
        external_id: &str,
        bytes: impl Into<Option<Vec<u8>>>,
    ) -> Result<()> {
        self.allow(viewer, Action::ManageSources)?;
        let (encoded, fault) = match bytes.into() {
            None => (None, None),
            Some(bytes) => match photo::encode(bytes).await {
                Ok(encoded) => (Some(encoded), None),
                Err(Error::Invalid(violations)) => {
                    let what: Vec<_> = violations.iter().map(ToString::to_string).collect();
                    (None, Some(what.join(", ")))
                }
                Err(error) => return Err(error),
            },
        };
        let mut change = self.change_people().await?;
        let find = format!(
            "SELECT employee_id, record, changed FROM erp_records
            WHERE source_id = $1 AND external_id = $2{}",
            db::for_update(&change.tx)
        );
        let row = change
            .tx
            .query_one_raw(db::sql(
                &change.tx,
                find,
                [source.0.into(), external_id.into()],
            ))
            .await?
            .ok_or(Error::NotFound)?;
        let employee = EmployeeId(row.try_get_by_index(0)?);
        let mut record = ErpRecord::decode(
            &row.try_get_by_index::<String>(1)?,
            &row.try_get_by_index::<String>(2)?,
        )?;
        let was = record.clone();
        let before = record.photo.clone();
        let mut others = Vec::new();
        if let Some(encoded) = encoded
            .as_ref()
            .filter(|one| before.as_ref() != Some(&one.hash))
        {
            others = who_has(&change.tx, &encoded.hash, employee).await?;
        }
        let same = others.len() + 1 >= SAME_MIN;
        if fault.is_none() && !same {
            record.photo = match &encoded {
                Some(encoded) => Some(photo::keep(&change.tx, encoded, change.at).await?),
                None => None,
            };
        }
        if record.photo != before {
            let since = record.worker.changed_at.unwrap_or(change.at);
            record
                .changed
                .insert(Attribute::Photos, since.min(change.at));
        }
        if record.photo != before {
            let turns = history::of_record(employee, source, Some(&was), Some(&record))?;
            history::write(&change.tx, turns, change.at, Why::Photo, None).await?;
        }
        let (text, changed) = record.encode()?;
        let update = "UPDATE erp_records SET record = $3, changed = $4, photo_wanted = NULL
            WHERE source_id = $1 AND external_id = $2";
        let values = [
            source.0.into(),
            external_id.into(),
            text.into(),
            changed.into(),
        ];
        change
            .tx
            .execute_raw(db::sql(&change.tx, update, values))
            .await?;
        if record.photo != before {
            shown::reshow(&change.tx, &[employee]).await?;
            let detail = json!({ "source": source, "from": before, "to": record.photo });
            change.record(viewer, "photo.read", audit::person(employee), detail);
            change.tell(Event::PeopleChanged);
        }
        if let Some(encoded) = encoded.filter(|_| same) {
            others.push(record.worker.name());
            let doubt = Doubt::SamePhoto {
                photo: encoded.hash,
                count: others.len() as u64,
                people: others,
            };
            add_finding(&change.tx, source, RunFinding::Doubt(doubt)).await?;
        }
        if let Some(what) = fault {
            let fault = Fault {
                place: record.worker.name(),
                field: Some(Attribute::Photos.name().into()),
                what: format!("has a photo that cannot be taken: {what}"),
                external_id: Some(external_id.to_owned()),
                left_out: false,
            };
            add_finding(&change.tx, source, RunFinding::Fault(fault)).await?;
        }
        change.commit().await
    }
}

/// The names of those who show this photo, but for one.
async fn who_has(
    tx: &sea_orm::DatabaseTransaction,
    hash: &str,
    but: EmployeeId,
) -> Result<Vec<String>> {
    let find = format!(
        "SELECT display_name FROM employees WHERE photo = $1 AND photo IS NOT NULL AND id <> $2
        ORDER BY sort_name, id LIMIT {NAMED_MAX}"
    );
    let rows = tx
        .query_all_raw(db::sql(tx, find, [hash.into(), but.0.into()]))
        .await?;
    rows.iter()
        .map(|row| Ok(row.try_get_by_index(0)?))
        .collect()
}

/// Whether a photo of several people is told already; whoever has it too is told there.
fn joins(findings: &mut [RunFinding], finding: &RunFinding) -> bool {
    let RunFinding::Doubt(Doubt::SamePhoto { photo, people, .. }) = finding else {
        return false;
    };
    for one in findings {
        if let RunFinding::Doubt(Doubt::SamePhoto {
            photo: same,
            people: told,
            count,
        }) = one
            && same == photo
        {
            *count += 1;
            if told.len() < NAMED_MAX {
                told.extend(people.last().cloned());
            }
            return true;
        }
    }
    false
}

/// Adds to what the source's last run found.
async fn add_finding(
    tx: &sea_orm::DatabaseTransaction,
    source: SourceId,
    finding: RunFinding,
) -> Result<()> {
    let find = format!(
        "SELECT id, findings, totals FROM runs WHERE source_id = $1 AND ended_at IS NOT NULL
        ORDER BY started_at DESC, id DESC LIMIT 1{}",
        db::for_update(tx)
    );
    let Some(row) = tx
        .query_one_raw(db::sql(tx, find, [source.0.into()]))
        .await?
    else {
        return Ok(());
    };
    let mut findings: Vec<RunFinding> = serde_json::from_str(&row.try_get_by_index::<String>(1)?)?;
    let mut totals: domain::sync::Totals =
        serde_json::from_str(&row.try_get_by_index::<String>(2)?)?;
    totals.faults += u64::from(matches!(finding, RunFinding::Fault(_)));
    if !joins(&mut findings, &finding) && findings.len() < FINDINGS_KEPT {
        findings.push(finding);
    }
    let update = "UPDATE runs SET findings = $2, totals = $3 WHERE id = $1";
    let values = [
        row.try_get_by_index::<uuid::Uuid>(0)?.into(),
        serde_json::to_string(&findings)?.into(),
        serde_json::to_string(&totals)?.into(),
    ];
    tx.execute_raw(db::sql(tx, update, values)).await?;
    Ok(())
}

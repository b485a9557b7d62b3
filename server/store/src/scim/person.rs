//! What a user says of a person, and how the portal takes it in.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    Action, SourceId, Viewer,
    erp::{Fault, Worker},
    scim::{self, USER},
};
use sea_orm::{ConnectionTrait as _, Value as Sql};
use serde_json::Value;
use uuid::Uuid;

use super::{Refused, Resource, Result};
use crate::{Error, Store, db};

/// Most people who are pushed anew because their superior has come.
const REPORTS: usize = 5_000;

impl Store {
    /// What of the users of a source cannot be taken, by user. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn scim_faults(
        &self,
        viewer: &Viewer,
        source: SourceId,
    ) -> Result<Vec<Fault>, Error> {
        self.allow(viewer, Action::ReadSources)?;
        let find = "SELECT faults FROM scim_resources
            WHERE source_id = $1 AND deleted_at IS NULL AND faults <> '[]' ORDER BY id LIMIT 1000";
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [source.0.into()]))
            .await?;
        let mut faults = Vec::new();
        for row in rows {
            faults.extend(serde_json::from_str::<Vec<Fault>>(
                &row.try_get_by_index::<String>(0)?,
            )?);
        }
        Ok(faults)
    }

    /// Has what was decided about a pushed record come true; for any other
    /// source the next run does.
    pub(crate) async fn follow_decision(
        &self,
        viewer: &Viewer,
        source: SourceId,
        record: &str,
    ) -> Result<(), Error> {
        let found = self
            .read_resources("AND r.record = $2", source, [record.into()])
            .await;
        let done = match found {
            Ok(found) => match found.first() {
                Some(resource) => {
                    let _turn = self.0.scim.take().await?;
                    self.push_user(viewer, source, resource, Vec::new()).await
                }
                None => Ok(()),
            },
            Err(refused) => Err(refused),
        };
        done.map_err(|refused| match refused {
            Refused::Store(error) => error,
            Refused::Scim(refusal) => Error::Internal(refusal.to_string()),
        })
    }

    /// Pushes a user, and those who wait for them as their superior, through the engine.
    pub(super) async fn push_user(
        &self,
        viewer: &Viewer,
        source: SourceId,
        user: &Resource,
        reports: Vec<Resource>,
    ) -> Result<()> {
        let (worker, mut faults) = self.worker_of(source, user).await?;
        let has_photo = worker.photo.is_some();
        let mut workers = vec![worker];
        for report in &reports {
            let (worker, more) = self.worker_of(source, report).await?;
            workers.push(worker);
            faults.extend(more);
        }
        let workers = self.hold_back(viewer, source, workers).await?;
        self.push(viewer, source, workers, faults).await?;
        if has_photo {
            self.put_pushed_photo(viewer, source, user).await?;
        }
        Ok(())
    }

    /// Puts the photo that came as data, if the record waits for it.
    async fn put_pushed_photo(
        &self,
        viewer: &Viewer,
        source: SourceId,
        user: &Resource,
    ) -> Result<()> {
        let find = "SELECT 1 FROM erp_records
            WHERE source_id = $1 AND external_id = $2 AND photo_wanted IS NOT NULL AND active";
        let values = [source.0.into(), user.record.as_str().into()];
        let waits = self
            .db()
            .query_one_raw(db::sql(self.db(), find, values))
            .await?;
        if waits.is_none() {
            return Ok(());
        }
        let data = scim::photo(&user.body).and_then(|address| address.split_once(";base64,"));
        // Nothing readable is a finding, which says so where people look for it.
        let bytes = data
            .and_then(|(_, text)| STANDARD.decode(text.trim()).ok())
            .unwrap_or_default();
        self.put_erp_photo(viewer, source, &user.record, bytes)
            .await?;
        Ok(())
    }

    /// What a user says about a person. A superior who is not here is told by
    /// what the client calls them, which the chart reports.
    pub(super) async fn worker_of(
        &self,
        source: SourceId,
        user: &Resource,
    ) -> Result<(Worker, Vec<Fault>)> {
        let manager = match scim::manager(&user.body) {
            None => None,
            Some(reference) => {
                let find = "SELECT record, id, external_id FROM scim_resources
                    WHERE source_id = $1 AND kind = $2 AND deleted_at IS NULL
                    AND (id = $3 OR external_id = $4 OR user_name = $5)";
                let values = [
                    source.0.into(),
                    USER.name.into(),
                    reference.parse::<Uuid>().unwrap_or_default().into(),
                    reference.into(),
                    reference.to_lowercase().into(),
                ];
                let rows = self
                    .db()
                    .query_all_raw(db::sql(self.db(), find, values))
                    .await?;
                let mut meant = Vec::with_capacity(rows.len());
                for row in rows {
                    let record: String = row.try_get_by_index(0)?;
                    let id: Uuid = row.try_get_by_index(1)?;
                    let external_id: Option<String> = row.try_get_by_index(2)?;
                    let by_id = id.to_string().eq_ignore_ascii_case(reference);
                    let by_external_id = external_id.as_deref() == Some(reference);
                    meant.push((!by_id, !by_external_id, record));
                }
                let dearest = meant.into_iter().min().map(|(.., record)| record);
                Some(dearest.unwrap_or_else(|| reference.to_owned()))
            }
        };
        Ok(scim::worker(&user.body, &user.record, manager))
    }

    /// The users who call this one their superior.
    pub(super) async fn reports_of(
        &self,
        source: SourceId,
        user: &Resource,
    ) -> Result<Vec<Resource>> {
        let mut names = vec![user.id.to_string()];
        for name in ["userName", "externalId"] {
            names.extend(
                user.body
                    .get(name)
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
        }
        let more = format!(
            "AND r.manager IN ({}) AND r.id <> ${} ORDER BY r.id LIMIT {REPORTS}",
            db::places(2, names.len()),
            names.len() + 2
        );
        let values = names.into_iter().map(Sql::from).chain([user.id.into()]);
        self.read_resources(&more, source, values).await
    }
}

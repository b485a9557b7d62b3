//! The mappings of sources, version by version.

use chrono::{DateTime, Utc};
use domain::{Action, SourceId, Viewer, mapping::Mapping, text};
use sea_orm::{ConnectionTrait as _, QueryResult};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Error, Result, Store, db, source};

/// Most characters of a note.
const NOTE_MAX: usize = 500;

/// A mapping as it was set once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingVersion {
    /// Counts up from 1.
    pub version: u32,
    /// What it says.
    pub mapping: Mapping,
    /// Why, in the words of who set it.
    pub note: String,
    /// Who set it, by name.
    pub set_by: Option<String>,
    /// When.
    pub set_at: DateTime<Utc>,
}

impl Store {
    /// The mapping in force; none where the kind's own is followed. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn mapping(&self, viewer: &Viewer, id: SourceId) -> Result<Option<MappingVersion>> {
        Ok(self.mappings(viewer, id).await?.into_iter().next())
    }

    /// Every version, the newest first. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn mappings(&self, viewer: &Viewer, id: SourceId) -> Result<Vec<MappingVersion>> {
        self.allow(viewer, Action::ReadSources)?;
        let find = "SELECT m.version, m.body, m.note, e.display_name, m.set_at
            FROM source_mappings m LEFT JOIN employees e ON e.id = m.set_by
            WHERE m.source_id = $1 ORDER BY m.version DESC";
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [id.0.into()]))
            .await?;
        let read = |row: &QueryResult| {
            Ok(MappingVersion {
                version: row.try_get_by_index::<i32>(0)?.try_into().unwrap_or(0),
                mapping: serde_json::from_str(&row.try_get_by_index::<String>(1)?)?,
                note: row.try_get_by_index(2)?,
                set_by: row.try_get_by_index(3)?,
                set_at: row.try_get_by_index(4)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Sets a mapping; the next run reads everything and follows it. `read` is
    /// the version that it was made from, 0 for none. Needs `ManageSources`; recorded.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `stale_version`, [`crate::Error::Invalid`] as
    /// [`Mapping::check`], [`crate::Error::NotFound`].
    pub async fn set_mapping(
        &self,
        viewer: &Viewer,
        id: SourceId,
        read: u32,
        mapping: Mapping,
        note: &str,
    ) -> Result<u32> {
        self.allow(viewer, Action::ManageSources)?;
        mapping.check().map_err(Error::Invalid)?;
        let note = text::line("note", note, NOTE_MAX)?;
        let mut change = self.change().await?;
        // Who sets a mapping has the source, so that two cannot set the same version.
        let find = format!(
            "SELECT (SELECT COALESCE(MAX(version), 0) FROM source_mappings WHERE source_id = s.id)
            FROM sources s WHERE s.id = $1{}",
            db::for_update(&change.tx)
        );
        let row = change
            .tx
            .query_one_raw(db::sql(&change.tx, find, [id.0.into()]))
            .await?
            .ok_or(Error::NotFound)?;
        let newest = match row.try_get_by_index::<i32>(0) {
            Ok(newest) => i64::from(newest),
            Err(_) => row.try_get_by_index::<i64>(0)?,
        };
        if newest != i64::from(read) {
            return Err(Error::Conflict("stale_version"));
        }
        let version = read + 1;
        let set = "INSERT INTO source_mappings (source_id, version, body, note, set_by, set_at)
            VALUES ($1, $2, $3, $4, $5, $6)";
        let values = [
            id.0.into(),
            i32::try_from(version).unwrap_or(i32::MAX).into(),
            serde_json::to_string(&mapping)?.into(),
            note.as_str().into(),
            viewer.id().map(|id| id.0).into(),
            change.at.into(),
        ];
        change
            .tx
            .execute_raw(db::sql(&change.tx, set, values))
            .await?;
        let want = "UPDATE sources SET full_wanted = TRUE WHERE id = $1";
        let want = db::sql(&change.tx, want, [id.0.into()]);
        change.tx.execute_raw(want).await?;
        let detail = json!({ "version": version, "note": note, "mapping": mapping });
        change.record(viewer, "source.mapped", source::subject(id), detail);
        change.commit().await?;
        Ok(version)
    }
}

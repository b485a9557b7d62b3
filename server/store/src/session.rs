//! Where tower-sessions keeps what belongs to a browser before and beside a
//! sign-in (a flash, the way back): our own table, because the ready-made
//! stores sit on another sqlx with an older SQLite.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, Set, sea_query::OnConflict};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

use crate::{Store, entity::browser_session};

/// [`tower_sessions::SessionStore`] over the portal's database. Ids are kept as
/// their SHA-256: who reads the table cannot take over a browser.
#[derive(Clone)]
pub struct Sessions(Store);

impl Sessions {
    /// Sessions in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Forgets sessions that have expired; answers how many.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn sweep(&self) -> crate::Result<u64> {
        let done = browser_session::Entity::delete_many()
            .filter(browser_session::Column::ExpiresAt.lte(self.0.now()))
            .exec(self.0.db())
            .await?;
        Ok(done.rows_affected)
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

fn id_hash(id: Id) -> Vec<u8> {
    Sha256::digest(id.0.to_le_bytes()).to_vec()
}

fn backend(error: sea_orm::DbErr) -> Error {
    Error::Backend(error.to_string())
}

fn row(record: &Record) -> Result<browser_session::ActiveModel> {
    let data =
        serde_json::to_string(&record.data).map_err(|error| Error::Encode(error.to_string()))?;
    let expires_at = DateTime::<Utc>::from_timestamp(record.expiry_date.unix_timestamp(), 0)
        .ok_or_else(|| Error::Encode("an expiry beyond all time".into()))?;
    Ok(browser_session::ActiveModel {
        id_hash: Set(id_hash(record.id)),
        data: Set(data),
        expires_at: Set(expires_at),
    })
}

#[async_trait::async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        loop {
            let done = browser_session::Entity::insert(row(record)?)
                .on_conflict(
                    OnConflict::column(browser_session::Column::IdHash)
                        .do_nothing()
                        .to_owned(),
                )
                .exec_without_returning(self.0.db())
                .await
                .map_err(backend)?;
            if done == 1 {
                return Ok(());
            }
            // Another browser has this id: a new one, never the other's session.
            record.id = Id(i128::from_le_bytes(self.0.random()));
        }
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let replace = OnConflict::column(browser_session::Column::IdHash)
            .update_columns([
                browser_session::Column::Data,
                browser_session::Column::ExpiresAt,
            ])
            .to_owned();
        browser_session::Entity::insert(row(record)?)
            .on_conflict(replace)
            .exec_without_returning(self.0.db())
            .await
            .map_err(backend)?;
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let row = browser_session::Entity::find_by_id(id_hash(*id))
            .filter(browser_session::Column::ExpiresAt.gt(self.0.now()))
            .one(self.0.db())
            .await
            .map_err(backend)?;
        let Some(row) = row else { return Ok(None) };
        let decode = |error: String| Error::Decode(error);
        let data: HashMap<String, serde_json::Value> =
            serde_json::from_str(&row.data).map_err(|error| decode(error.to_string()))?;
        let expiry_date = OffsetDateTime::from_unix_timestamp(row.expires_at.timestamp())
            .map_err(|error| decode(error.to_string()))?;
        Ok(Some(Record {
            id: *id,
            data,
            expiry_date,
        }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        browser_session::Entity::delete_by_id(id_hash(*id))
            .exec(self.0.db())
            .await
            .map_err(backend)?;
        Ok(())
    }
}

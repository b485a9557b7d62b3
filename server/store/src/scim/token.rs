//! The tokens that clients push with.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Action, SourceId, Viewer};
use sea_orm::ConnectionTrait as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::pushed;
use crate::{Error, Store, db, source};

/// How exactly a token's last use is kept: not every request writes.
const USE_KEPT: TimeDelta = TimeDelta::minutes(1);

/// What is known of a source's token. The token itself is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

fn token_hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

impl Store {
    /// Makes a source's token, in the place of the one before. What is answered
    /// is told this once: only its hash is kept. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a source that is not pushed.
    pub async fn renew_scim_token(
        &self,
        viewer: &Viewer,
        source: SourceId,
    ) -> Result<String, Error> {
        self.allow(viewer, Action::ManageSources)?;
        let mut change = self.change().await?;
        pushed(&change.tx, source).await?;
        let token = format!("scim_{}", URL_SAFE_NO_PAD.encode(self.random::<32>()));
        let write =
            "INSERT INTO scim_tokens (source_id, token_hash, created_at) VALUES ($1, $2, $3)
            ON CONFLICT (source_id) DO UPDATE SET token_hash = excluded.token_hash,
                created_at = excluded.created_at, last_used_at = NULL";
        let row = [source.0.into(), token_hash(&token).into(), change.at.into()];
        change
            .tx
            .execute_raw(db::sql(&change.tx, write, row))
            .await?;
        change.record(
            viewer,
            "source.token_made",
            source::subject(source),
            json!({}),
        );
        change.commit().await?;
        Ok(token)
    }

    /// Takes a source's token away: nothing can be pushed until there is
    /// another one. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a source that is not pushed, or has none.
    pub async fn revoke_scim_token(&self, viewer: &Viewer, source: SourceId) -> Result<(), Error> {
        self.allow(viewer, Action::ManageSources)?;
        let mut change = self.change().await?;
        pushed(&change.tx, source).await?;
        let delete = "DELETE FROM scim_tokens WHERE source_id = $1";
        let done = change
            .tx
            .execute_raw(db::sql(&change.tx, delete, [source.0.into()]))
            .await?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound);
        }
        change.record(
            viewer,
            "source.token_revoked",
            source::subject(source),
            json!({}),
        );
        change.commit().await
    }

    /// What is known of a source's token, if it has one. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn scim_token(
        &self,
        viewer: &Viewer,
        source: SourceId,
    ) -> Result<Option<Token>, Error> {
        self.allow(viewer, Action::ReadSources)?;
        let find = "SELECT created_at, last_used_at FROM scim_tokens WHERE source_id = $1";
        let row = self
            .db()
            .query_one_raw(db::sql(self.db(), find, [source.0.into()]))
            .await?;
        row.map(|row| {
            Ok(Token {
                created_at: row.try_get_by_index(0)?,
                last_used_at: row.try_get_by_index(1)?,
            })
        })
        .transpose()
    }

    /// The source that a token is for.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`].
    pub async fn scim_source(&self, viewer: &Viewer, token: &str) -> Result<SourceId, Error> {
        self.allow(viewer, Action::ManageSources)?;
        let find = "SELECT source_id, last_used_at FROM scim_tokens WHERE token_hash = $1";
        let row = self
            .db()
            .query_one_raw(db::sql(self.db(), find, [token_hash(token).into()]))
            .await?
            .ok_or(Error::Unauthenticated)?;
        let source = SourceId(row.try_get_by_index(0)?);
        let used: Option<DateTime<Utc>> = row.try_get_by_index(1)?;
        let now = self.now();
        if used.is_none_or(|used| used + USE_KEPT <= now) {
            let note = "UPDATE scim_tokens SET last_used_at = $2 WHERE source_id = $1";
            self.db()
                .execute_raw(db::sql(self.db(), note, [source.0.into(), now.into()]))
                .await?;
        }
        Ok(source)
    }
}

//! What belongs to a browser before and beside a sign-in.

use sea_orm::entity::prelude::*;

/// A browser's session.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "browser_sessions")]
pub struct Model {
    /// SHA-256 of the id in the cookie.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id_hash: Vec<u8>,
    /// JSON.
    pub data: String,
    /// When it may be forgotten.
    pub expires_at: ChronoDateTimeUtc,
}

/// Joined by hand where it is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

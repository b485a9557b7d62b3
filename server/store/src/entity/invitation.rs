//! One-time links by which people set a password.

use sea_orm::entity::prelude::*;

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invitations")]
pub struct Model {
    /// SHA-256 of the link's secret.
    #[sea_orm(primary_key, auto_increment = false)]
    pub token_hash: Vec<u8>,
    /// For whom.
    pub employee_id: Uuid,
    /// The name that they will sign in with.
    pub login: String,
    /// When it was made.
    pub created_at: ChronoDateTimeUtc,
    /// Until when it holds.
    pub expires_at: ChronoDateTimeUtc,
    /// When it was taken.
    pub used_at: Option<ChronoDateTimeUtc>,
}

/// Joined by hand where it is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

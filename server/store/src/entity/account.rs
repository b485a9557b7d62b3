//! Who can sign in: a row per person who was ever given a login.

use sea_orm::entity::prelude::*;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    /// Whose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub employee_id: Uuid,
    /// The name to sign in with, folded.
    pub login: String,
    /// PHC string; none before the first invitation was taken.
    pub password_hash: Option<String>,
    /// [`domain::Roles`] as text.
    pub roles: String,
    /// When the login was given.
    pub created_at: ChronoDateTimeUtc,
    /// When the password was last set.
    pub password_set_at: Option<ChronoDateTimeUtc>,
}

/// Joined by hand where it is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

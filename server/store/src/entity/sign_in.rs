//! Signed-in browsers and issued tokens.

use sea_orm::entity::prelude::*;

/// A sign-in.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_ins")]
pub struct Model {
    /// Which.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose.
    pub employee_id: Uuid,
    /// A token of the API rather than a browser.
    pub token: bool,
    /// When it began.
    pub created_at: ChronoDateTimeUtc,
    /// When it was last used, to the minute.
    pub last_seen_at: ChronoDateTimeUtc,
    /// When it ends at the latest.
    pub expires_at: ChronoDateTimeUtc,
    /// When it was ended.
    pub ended_at: Option<ChronoDateTimeUtc>,
    /// From which address.
    pub address: Option<String>,
    /// With which browser, in its own words.
    pub user_agent: Option<String>,
}

/// Joined by hand where it is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

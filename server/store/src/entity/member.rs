//! Who is in which conversation.

use sea_orm::entity::prelude::*;

/// A membership; it stays when somebody leaves.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "members")]
pub struct Model {
    /// Where.
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: Uuid,
    /// Who.
    #[sea_orm(primary_key, auto_increment = false)]
    pub employee_id: Uuid,
    /// Since when.
    pub joined_at: ChronoDateTimeUtc,
    /// The last place before they came: they see what follows it.
    pub joined_seq: i64,
    /// When they left.
    pub left_at: Option<ChronoDateTimeUtc>,
    /// The last place before they left.
    pub left_seq: Option<i64>,
    /// The last place seen.
    pub read_seq: i64,
}

/// Joined by hand where it is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! Conversations, direct and group.

use sea_orm::entity::prelude::*;

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "conversations")]
pub struct Model {
    /// Which.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// `direct` or `group`.
    pub kind: String,
    /// A group's name.
    pub title: Option<String>,
    /// The two people of a direct one, the lesser id first: unique.
    pub direct_key: Option<String>,
    /// Who started it.
    pub created_by: Uuid,
    /// When.
    pub created_at: ChronoDateTimeUtc,
    /// The last message's place; 0 before the first.
    pub last_seq: i64,
    /// When the last message was sent, or it was made.
    pub last_at: ChronoDateTimeUtc,
}

/// Joined by hand where it is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

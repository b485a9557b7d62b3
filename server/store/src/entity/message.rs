//! Messages, by their place in a conversation.

use sea_orm::entity::prelude::*;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    /// Where.
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: Uuid,
    /// Its place, from 1 without gaps.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    /// Its id.
    pub id: Uuid,
    /// Who wrote it.
    pub sender_id: Uuid,
    /// The client's own id, one of a kind for the sender in the conversation.
    pub client_id: String,
    /// What.
    pub body: String,
    /// When it was accepted; never before the message ahead of it.
    pub sent_at: ChronoDateTimeUtc,
}

/// Joined by hand where it is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for domain::chat::Message {
    fn from(row: Model) -> Self {
        Self {
            conversation: domain::ConversationId(row.conversation_id),
            seq: row.seq,
            id: domain::MessageId(row.id),
            sender: domain::EmployeeId(row.sender_id),
            body: row.body,
            sent_at: row.sent_at,
        }
    }
}

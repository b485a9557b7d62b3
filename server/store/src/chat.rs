//! Conversations and messages.
//!
//! Messages go through one writer per process, which commits them in groups:
//! a message is on disk before it is acknowledged, each conversation's
//! sequence has no gap, and a repeated client id is answered with the first
//! result.

use chrono::{DateTime, Utc};
use domain::{ConversationId, EmployeeId, Viewer, chat::Message};
use serde::{Deserialize, Serialize};

use crate::{Result, Store, people::PersonCard};

/// The one writer. A bounded queue in front; when it is full, sends answer
/// [`crate::Error::Busy`].
pub struct Writer {
    // filled in by the implementation
}

/// Two people, or a named group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Two people; there is at most one for each pair.
    Direct,
    /// A named group.
    Group,
}

/// A conversation in the viewer's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Which.
    pub id: ConversationId,
    /// Direct or group.
    pub kind: Kind,
    /// The group's name, or the other person's.
    pub title: String,
    /// The members now, the viewer among them.
    pub members: Vec<PersonCard>,
    /// The last message's place; 0 before the first.
    pub last_seq: i64,
    /// How far the viewer has read.
    pub read_seq: i64,
    /// The last message.
    pub last: Option<Message>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// How many superiors could review the viewer's words here.
    pub reviewable_by: u32,
}

/// What a new conversation is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewConversation {
    /// The other members. Exactly one and no title makes a direct one.
    pub members: Vec<EmployeeId>,
    /// The group's name.
    #[serde(default)]
    pub title: Option<String>,
}

/// What a send came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The message as it is on disk.
    pub message: Message,
    /// Whether this client id had been sent before.
    pub repeated: bool,
}

/// A part of a conversation, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// The messages, by place.
    pub items: Vec<Message>,
    /// The last place there is in the conversation.
    pub last_seq: i64,
    /// Whether there are earlier ones than the first item (that this viewer may see).
    pub earlier: bool,
}

/// Which part of a conversation: after a place, before a place, or the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Range {
    /// Only later places, the earliest first served.
    pub after_seq: Option<i64>,
    /// Only earlier places, the latest first served.
    pub before_seq: Option<i64>,
    /// How many, 1 to 200; 50 if absent.
    pub limit: Option<u32>,
}

impl Store {
    /// The viewer's conversations, the latest first, at most 200.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn conversations(&self, viewer: &Viewer) -> Result<Vec<Conversation>> {
        todo!()
    }

    /// One of the viewer's conversations.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn conversation(&self, viewer: &Viewer, id: ConversationId) -> Result<Conversation> {
        todo!()
    }

    /// Starts a conversation, or answers with the direct one that there is.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for nobody, too many, people who are not here, a group without a name.
    pub async fn start_conversation(&self, viewer: &Viewer, new: NewConversation) -> Result<Conversation> {
        todo!()
    }

    /// Adds people to a group. They see what comes after.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`], [`crate::Error::Forbidden`] for a direct one.
    pub async fn add_members(&self, viewer: &Viewer, id: ConversationId, members: &[EmployeeId]) -> Result<Conversation> {
        todo!()
    }

    /// Leaves a group. What was written stays.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Forbidden`] for a direct one.
    pub async fn leave_conversation(&self, viewer: &Viewer, id: ConversationId) -> Result<()> {
        todo!()
    }

    /// Part of one of the viewer's conversations.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`] for a limit that is none.
    pub async fn messages(&self, viewer: &Viewer, id: ConversationId, range: Range) -> Result<Messages> {
        todo!()
    }

    /// Sends a message; returns once it is on disk.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`], [`crate::Error::Busy`].
    pub async fn send(&self, viewer: &Viewer, conversation: ConversationId, client_id: &str, body: &str) -> Result<Sent> {
        todo!()
    }

    /// Notes that the viewer has seen everything up to `seq`; never goes back.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn mark_read(&self, viewer: &Viewer, conversation: ConversationId, seq: i64) -> Result<()> {
        todo!()
    }

    /// How many conversations have something that the viewer has not seen.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn unread(&self, viewer: &Viewer) -> Result<u32> {
        todo!()
    }

    /// The people in a conversation now; for fan-out of typing and presence.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] unless the viewer is one of them.
    pub async fn members(&self, viewer: &Viewer, conversation: ConversationId) -> Result<std::sync::Arc<[EmployeeId]>> {
        todo!()
    }

    /// Everyone who shares a conversation with the viewer; for presence.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn acquaintances(&self, viewer: &Viewer) -> Result<Vec<EmployeeId>> {
        todo!()
    }
}

//! What is told to sockets and pages after a commit.

use std::sync::Arc;

use domain::{ConversationId, EmployeeId, RunId, SessionId, chat::Message};

/// Something that has happened and is on disk.
#[derive(Debug, Clone)]
pub enum Event {
    /// Messages of one group commit, each with the members who get it.
    Messages(Arc<Vec<(Message, Arc<[EmployeeId]>)>>),
    /// Somebody has seen a conversation up to a place.
    Read {
        /// Where.
        conversation: ConversationId,
        /// Who.
        employee: EmployeeId,
        /// The last place seen.
        seq: i64,
        /// Who gets to know.
        members: Arc<[EmployeeId]>,
    },
    /// Somebody joined or left a conversation, or it is new.
    Membership {
        /// Which.
        conversation: ConversationId,
        /// Everyone who is or was concerned.
        employees: Arc<[EmployeeId]>,
    },
    /// A sign-in has ended: its sockets close.
    SessionEnded(SessionId),
    /// Every sign-in of somebody has ended.
    SignedOut(EmployeeId),
    /// The chart or somebody's shown values changed.
    PeopleChanged,
    /// A policy was set.
    PolicyChanged,
    /// A run has moved on.
    RunMoved(RunId),
}

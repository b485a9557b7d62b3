//! What is told to sockets and pages after a commit.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{
    Action, ConversationId, EmployeeId, RunId, SessionId, Viewer, chat::Message, ids::uuid_v7,
};
use sea_orm::{ConnectionTrait, DbErr};
use serde_json::json;

use crate::{Env, Result, Store, db};

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

impl Event {
    /// What the table of events keeps: the kind, and which rows it is about. It
    /// only wakes other nodes; they read the rows themselves.
    fn kept(&self) -> (&'static str, serde_json::Value) {
        match self {
            Self::Messages(messages) => {
                let places: Vec<_> = messages
                    .iter()
                    .map(|(message, _)| json!([message.conversation, message.seq]))
                    .collect();
                ("messages", json!(places))
            }
            Self::Read {
                conversation,
                employee,
                seq,
                ..
            } => (
                "read",
                json!({ "conversation": conversation, "employee": employee, "seq": seq }),
            ),
            Self::Membership {
                conversation,
                employees,
            } => (
                "membership",
                json!({ "conversation": conversation, "employees": &employees[..] }),
            ),
            Self::SessionEnded(session) => ("session_ended", json!(session)),
            Self::SignedOut(employee) => ("signed_out", json!(employee)),
            Self::PeopleChanged => ("people_changed", json!(null)),
            Self::PolicyChanged => ("policy_changed", json!(null)),
            Self::RunMoved(run) => ("run_moved", json!(run)),
        }
    }
}

/// Keeps events in the transaction of what they tell.
///
/// # Errors
/// [`DbErr`].
pub(crate) async fn keep(
    tx: &impl ConnectionTrait,
    env: &Env,
    at: DateTime<Utc>,
    events: &[Event],
) -> Result<(), DbErr> {
    let rows = events.iter().map(|event| {
        let (kind, body) = event.kept();
        let id = uuid_v7(at, env.random());
        [id.into(), at.into(), kind.into(), body.to_string().into()]
    });
    db::bulk(tx, rows.collect(), |rows| {
        format!("INSERT INTO events (id, at, kind, body) VALUES {rows}")
    })
    .await?;
    Ok(())
}

impl Store {
    /// Forgets kept events from before `before`: every node has long been woken.
    /// Answers how many there were. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn forget_events(&self, viewer: &Viewer, before: DateTime<Utc>) -> Result<u64> {
        self.allow(viewer, Action::ManageSources)?;
        let delete = db::sql(
            self.db(),
            "DELETE FROM events WHERE at < $1",
            [before.into()],
        );
        Ok(self.db().execute_raw(delete).await?.rows_affected())
    }
}

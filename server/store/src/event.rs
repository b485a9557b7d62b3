//! What is told to sockets and pages after a commit.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Action, ConversationId, EmployeeId, RunId, SessionId, Viewer, chat::Message, ids::uuid_v7,
};
use sea_orm::{ConnectionTrait, DbErr};
use serde_json::json;
use uuid::Uuid;

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
) -> Result<Vec<Uuid>, DbErr> {
    let ids: Vec<_> = events.iter().map(|_| uuid_v7(at, env.random())).collect();
    let rows = events.iter().zip(&ids).map(|(event, id)| {
        let (kind, body) = event.kept();
        [
            (*id).into(),
            at.into(),
            kind.into(),
            body.to_string().into(),
        ]
    });
    db::bulk(tx, rows.collect(), |rows| {
        format!("INSERT INTO events (id, at, kind, body) VALUES {rows}")
    })
    .await?;
    Ok(ids)
}

/// How far back events of other processes are looked for: longer than a
/// transaction takes from its moment to its commit.
const LATE: TimeDelta = TimeDelta::seconds(15);

/// The recent events that this process has told or heard already, by id.
#[derive(Default)]
pub(crate) struct Heard(Mutex<BTreeSet<Uuid>>);

impl Heard {
    /// Notes an event; answers whether it is news.
    pub(crate) fn note(&self, id: Uuid) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id)
    }

    fn forget_before(&self, at: DateTime<Utc>) {
        // Ids sort by their time.
        let first = uuid_v7(at, [0; 10]);
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *ids = ids.split_off(&first);
    }
}

impl Store {
    /// Takes notice of what other processes on the same database have done in
    /// the last seconds (a run from the command line, another node): the chart
    /// is built anew, and the sockets of ended sign-ins are closed. Messages
    /// are not brought over. To be called every second or so. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn hear_others(&self, viewer: &Viewer) -> Result<()> {
        self.allow(viewer, Action::ManageSources)?;
        let since = self.now() - LATE;
        self.0.heard.forget_before(since - LATE);
        let find = "SELECT id, kind, body FROM events
            WHERE at >= $1 AND kind IN ('people_changed', 'session_ended', 'signed_out') ORDER BY id";
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [since.into()]))
            .await?;
        // Fails only when nobody listens.
        let tell = |event| drop(self.0.events.send(event));
        let mut people_changed = false;
        for row in rows {
            if !self.0.heard.note(row.try_get_by_index(0)?) {
                continue;
            }
            let body: String = row.try_get_by_index(2)?;
            match row.try_get_by_index::<String>(1)?.as_str() {
                "session_ended" => tell(Event::SessionEnded(serde_json::from_str(&body)?)),
                "signed_out" => tell(Event::SignedOut(serde_json::from_str(&body)?)),
                _ => people_changed = true,
            }
        }
        if people_changed {
            self.refresh_chart().await?;
            tell(Event::PeopleChanged);
        }
        Ok(())
    }

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

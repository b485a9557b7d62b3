//! What is told to sockets and pages after a commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Action, ConversationId, EmployeeId, RunId, SessionId, Viewer, chat::Message, ids::uuid_v7,
};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait as _};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    Env, Result, Store,
    chat::{members_now, rows},
    db,
    entity::message,
};

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
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<BTreeSet<Uuid>>>);

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

/// What of other processes is listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hear {
    /// What any other process may do, a command too: people changed, sign-ins ended.
    Seldom,
    /// All that another node does, whose people are told here too.
    Everything,
}

impl Hear {
    /// Kinds, as SQL has them in a list.
    const fn kinds(self) -> &'static str {
        match self {
            Self::Seldom => "'people_changed', 'session_ended', 'signed_out'",
            Self::Everything => {
                "'people_changed', 'session_ended', 'signed_out', 'policy_changed', 'run_moved', \
                 'messages', 'read', 'membership'"
            }
        }
    }
}

/// [`Event::Read`] as it is kept.
#[derive(Deserialize)]
struct KeptRead {
    conversation: ConversationId,
    employee: EmployeeId,
    seq: i64,
}

/// [`Event::Membership`] as it is kept.
#[derive(Deserialize)]
struct KeptMembership {
    conversation: ConversationId,
    employees: Vec<EmployeeId>,
}

impl Store {
    /// Changes whenever this process has committed something that others may
    /// want to hear of; several commits may be one change.
    #[must_use]
    pub fn commits(&self) -> tokio::sync::watch::Receiver<()> {
        self.0.committed.subscribe()
    }

    /// Takes notice of what other processes on the same database have done in
    /// the last seconds (a run from the command line, another node) and tells
    /// it on as if it had been done here: the chart is built anew, the sockets
    /// of ended sign-ins are closed, and with [`Hear::Everything`] messages
    /// reach those who are connected here. To be called every second or so, or
    /// when woken. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn hear_others(&self, viewer: &Viewer, hear: Hear) -> Result<()> {
        self.allow(viewer, Action::ManageSources)?;
        let since = self.now() - LATE;
        self.0.heard.forget_before(since - LATE);
        let find = format!(
            "SELECT id, kind, body FROM events WHERE at >= $1 AND kind IN ({}) ORDER BY id",
            hear.kinds()
        );
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [since.into()]))
            .await?;
        // Fails only when nobody listens.
        let tell = |event| drop(self.0.events.send(event));
        let mut people_changed = false;
        let mut written = BTreeSet::new();
        let mut seen = Vec::new();
        for row in rows {
            if !self.0.heard.note(row.try_get_by_index(0)?) {
                continue;
            }
            let body: String = row.try_get_by_index(2)?;
            match row.try_get_by_index::<String>(1)?.as_str() {
                "session_ended" => tell(Event::SessionEnded(serde_json::from_str(&body)?)),
                "signed_out" => tell(Event::SignedOut(serde_json::from_str(&body)?)),
                "policy_changed" => tell(Event::PolicyChanged),
                "run_moved" => tell(Event::RunMoved(serde_json::from_str(&body)?)),
                "messages" => {
                    written.extend(serde_json::from_str::<Vec<(ConversationId, i64)>>(&body)?);
                }
                "read" => seen.push(serde_json::from_str::<KeptRead>(&body)?),
                "membership" => {
                    let kept: KeptMembership = serde_json::from_str(&body)?;
                    tell(Event::Membership {
                        conversation: kept.conversation,
                        employees: kept.employees.into(),
                    });
                }
                _ => people_changed = true,
            }
        }
        if people_changed {
            self.refresh_chart().await?;
            tell(Event::PeopleChanged);
        }
        self.tell_messages(written).await?;
        self.tell_seen(seen).await
    }

    /// Tells messages that another node has written, those of one conversation in order.
    async fn tell_messages(&self, places: BTreeSet<(ConversationId, i64)>) -> Result<()> {
        /// Messages in one question.
        const CHUNK: usize = 500;
        let places: Vec<_> = places.into_iter().collect();
        for places in places.chunks(CHUNK) {
            let ask = format!(
                "SELECT m.* FROM (VALUES {}) AS v JOIN messages m \
                 ON m.conversation_id = v.column1 AND m.seq = v.column2 ORDER BY m.conversation_id, m.seq",
                rows(places.len(), 2)
            );
            let values = places
                .iter()
                .flat_map(|(conversation, seq)| [conversation.0.into(), (*seq).into()]);
            let found = message::Entity::find()
                .from_raw_sql(db::sql(self.db(), ask, values))
                .all(self.db())
                .await?;
            let whose: BTreeSet<_> = places
                .iter()
                .map(|(conversation, _)| *conversation)
                .collect();
            let whose = members_now(self.db(), whose.into_iter()).await?;
            let told = found.into_iter().map(|row| {
                let message = Message::from(row);
                let members = whose.get(&message.conversation).cloned();
                (message, members.unwrap_or_else(|| Arc::new([])))
            });
            // Fails only when nobody listens.
            drop(
                self.0
                    .events
                    .send(Event::Messages(Arc::new(told.collect()))),
            );
        }
        Ok(())
    }

    /// Tells how far people have read on another node; of one person's places in a conversation, the last.
    async fn tell_seen(&self, seen: Vec<KeptRead>) -> Result<()> {
        let mut last: BTreeMap<(ConversationId, EmployeeId), i64> = BTreeMap::new();
        for read in seen {
            let seq = last.entry((read.conversation, read.employee)).or_default();
            *seq = read.seq.max(*seq);
        }
        let whose: BTreeSet<_> = last.keys().map(|(conversation, _)| *conversation).collect();
        if whose.is_empty() {
            return Ok(());
        }
        let whose = members_now(self.db(), whose.into_iter()).await?;
        for ((conversation, employee), seq) in last {
            if let Some(members) = whose.get(&conversation) {
                // Fails only when nobody listens.
                drop(self.0.events.send(Event::Read {
                    conversation,
                    employee,
                    seq,
                    members: members.clone(),
                }));
            }
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

//! The one writer of messages.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use domain::{ConversationId, EmployeeId, MessageId, chat::Message};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseConnection, DatabaseTransaction, EntityTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Set, Value, prelude::Uuid,
};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::Sent;
use crate::{
    Env, Error, Event, Result, db,
    entity::{conversation, member, message},
    event,
};

/// How many sends may wait.
const QUEUE: usize = 4096;
/// How many are committed as one.
const GROUP: usize = 512;

/// The one writer. A bounded queue in front; when it is full, sends answer
/// [`Error::Busy`]. When the store is dropped, what waits is still written.
pub struct Writer(mpsc::Sender<Work>);

/// Whom the writer tells: those here, and other nodes.
#[derive(Clone)]
pub(crate) struct Ears {
    /// Those here.
    pub(crate) events: broadcast::Sender<Event>,
    /// What is told here already.
    pub(crate) heard: event::Heard,
    /// Moves on with each commit.
    pub(crate) committed: watch::Sender<()>,
}

/// A message on its way to disk, checked already.
pub(super) struct Draft {
    pub(super) conversation: ConversationId,
    pub(super) sender: EmployeeId,
    pub(super) client_id: String,
    pub(super) body: String,
}

enum Work {
    Write(Draft, oneshot::Sender<Result<Sent>>),
    /// Answers when all that came before is written.
    Flush(oneshot::Sender<()>),
}

type Waiting = (Draft, oneshot::Sender<Result<Sent>>);

impl Writer {
    /// Starts the writer on the current runtime.
    #[must_use]
    pub(crate) fn start(db: DatabaseConnection, env: Env, ears: Ears) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(run(receiver, db, env, ears));
        Self(sender)
    }

    /// Returns once the message is on disk. Whoever stops waiting may find it sent all the same.
    pub(super) async fn write(&self, draft: Draft) -> Result<Sent> {
        let (reply, answer) = oneshot::channel();
        self.0
            .try_send(Work::Write(draft, reply))
            .map_err(|_| Error::Busy)?;
        answer.await.map_err(|_| Error::Busy)?
    }

    /// Returns when everything that was sent before is on disk or refused.
    pub(super) async fn flush(&self) {
        let (reply, done) = oneshot::channel();
        if self.0.send(Work::Flush(reply)).await.is_ok() {
            // An error means that the writer ended, and with it the queue.
            done.await.ok();
        }
    }
}

async fn run(mut queue: mpsc::Receiver<Work>, db: DatabaseConnection, env: Env, ears: Ears) {
    let mut work = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut work, GROUP).await > 0 {
        let mut group = Vec::with_capacity(work.len());
        let mut flushed = Vec::new();
        for item in work.drain(..) {
            match item {
                Work::Write(draft, reply) => group.push((draft, reply)),
                Work::Flush(reply) => flushed.push(reply),
            }
        }
        if !group.is_empty() {
            settle(group, &db, &env, &ears).await;
        }
        for reply in flushed {
            reply.send(()).ok();
        }
    }
}

/// So many failures one after another are the database's, not the messages'.
const FAILURES: usize = 3;

/// Writes a group; if its transaction fails, each alone, so that one message
/// that cannot be written takes no other with it. Client ids make that safe
/// even where the failed transaction is on disk after all.
async fn settle(group: Vec<Waiting>, db: &DatabaseConnection, env: &Env, ears: &Ears) {
    let (drafts, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
    let error = match commit(&drafts, db, env, &ears.heard).await {
        Ok(outcome) => return outcome.tell(replies, ears),
        Err(error) => error,
    };
    tracing::warn!(%error, messages = drafts.len(), "messages were not written; trying each alone");
    let mut failures = 0;
    for (draft, reply) in drafts.into_iter().zip(replies) {
        if failures == FAILURES {
            reply.send(Err(Error::Busy)).ok();
            continue;
        }
        match commit(&[draft], db, env, &ears.heard).await {
            Ok(outcome) => {
                failures = 0;
                outcome.tell(vec![reply], ears);
            }
            Err(error) => {
                failures += 1;
                reply.send(Err(error)).ok();
            }
        }
    }
}

/// What became of a group that is on disk.
struct Outcome {
    /// For each draft in order; none for one that its sender may not write.
    sent: Vec<Option<Sent>>,
    /// Tells of the new ones.
    event: Option<Event>,
}

impl Outcome {
    fn tell(self, replies: Vec<oneshot::Sender<Result<Sent>>>, ears: &Ears) {
        // Nobody waiting for an answer, or for events, is as good as somebody.
        for (sent, reply) in self.sent.into_iter().zip(replies) {
            reply.send(sent.ok_or(Error::NotFound)).ok();
        }
        if let Some(event) = self.event {
            ears.committed.send_replace(());
            ears.events.send(event).ok();
        }
    }
}

type Key<'a> = (ConversationId, EmployeeId, &'a str);

impl Draft {
    fn key(&self) -> Key<'_> {
        (self.conversation, self.sender, &self.client_id)
    }
}

/// Writes a group in one transaction.
async fn commit(
    drafts: &[Draft],
    db: &DatabaseConnection,
    env: &Env,
    heard: &event::Heard,
) -> Result<Outcome> {
    let tx = db::write(db).await?;
    let mut places = lock(&tx, drafts).await?;
    let members = members(&tx, places.keys().copied()).await?;
    let mut known: HashMap<Key<'_>, Message> = HashMap::new();
    let written = written(&tx, drafts).await?;
    for (client_id, message) in &written {
        known.insert(
            (message.conversation, message.sender, client_id),
            message.clone(),
        );
    }

    let now = env.now();
    let mut sent = Vec::with_capacity(drafts.len());
    let mut new = Vec::new();
    let mut rows = Vec::new();
    for draft in drafts {
        let receivers = members
            .get(&draft.conversation)
            .filter(|members| members.contains(&draft.sender));
        let (Some(receivers), Some(place)) = (receivers, places.get_mut(&draft.conversation))
        else {
            sent.push(None);
            continue;
        };
        if let Some(first) = known.get(&draft.key()) {
            sent.push(Some(Sent {
                message: first.clone(),
                repeated: true,
            }));
            continue;
        }
        // A clock that was put back must not turn the order of messages round.
        *place = Place {
            seq: place.seq + 1,
            at: now.max(place.at),
            moved: true,
        };
        let message = Message {
            conversation: draft.conversation,
            seq: place.seq,
            id: MessageId::new(now, env.random()),
            sender: draft.sender,
            body: draft.body.clone(),
            sent_at: place.at,
        };
        rows.push(message::ActiveModel {
            conversation_id: Set(message.conversation.0),
            seq: Set(message.seq),
            id: Set(message.id.0),
            sender_id: Set(message.sender.0),
            client_id: Set(draft.client_id.clone()),
            body: Set(message.body.clone()),
            sent_at: Set(message.sent_at),
        });
        known.insert(draft.key(), message.clone());
        sent.push(Some(Sent {
            message: message.clone(),
            repeated: false,
        }));
        new.push((message, receivers.clone()));
    }

    let mut event = None;
    if !rows.is_empty() {
        message::Entity::insert_many(rows)
            .exec_without_returning(&tx)
            .await?;
        move_on(&tx, &places, &new).await?;
        let messages = Event::Messages(Arc::new(new));
        for id in event::keep(&tx, env, now, std::slice::from_ref(&messages)).await? {
            heard.note(id);
        }
        event = Some(messages);
    }
    tx.commit().await?;
    Ok(Outcome { sent, event })
}

/// Where a conversation is.
#[derive(Clone, Copy)]
struct Place {
    seq: i64,
    at: DateTime<Utc>,
    moved: bool,
}

/// The places of the group's conversations, locked in the order of their ids,
/// so that two processes never wait for each other.
async fn lock(
    tx: &DatabaseTransaction,
    drafts: &[Draft],
) -> Result<BTreeMap<ConversationId, Place>> {
    let ids: BTreeSet<_> = drafts.iter().map(|draft| draft.conversation.0).collect();
    let rows = conversation::Entity::find()
        .filter(conversation::Column::Id.is_in(ids))
        .order_by_asc(conversation::Column::Id)
        .lock_exclusive()
        .all(tx)
        .await?;
    let place = |row: conversation::Model| {
        (
            ConversationId(row.id),
            Place {
                seq: row.last_seq,
                at: row.last_at,
                moved: false,
            },
        )
    };
    Ok(rows.into_iter().map(place).collect())
}

/// Who is in these conversations now.
pub(crate) async fn members(
    db: &impl ConnectionTrait,
    conversations: impl Iterator<Item = ConversationId>,
) -> Result<HashMap<ConversationId, Arc<[EmployeeId]>>> {
    let mut members: HashMap<_, Vec<_>> = HashMap::new();
    let rows: Vec<(Uuid, Uuid)> = member::Entity::find()
        .select_only()
        .columns([member::Column::ConversationId, member::Column::EmployeeId])
        .filter(member::Column::ConversationId.is_in(conversations.map(|id| id.0)))
        .filter(member::Column::LeftAt.is_null())
        .order_by_asc(member::Column::EmployeeId)
        .into_tuple()
        .all(db)
        .await?;
    for (conversation, employee) in rows {
        members
            .entry(ConversationId(conversation))
            .or_default()
            .push(EmployeeId(employee));
    }
    Ok(members
        .into_iter()
        .map(|(id, members)| (id, members.into()))
        .collect())
}

/// `($1, $2), ($3, $4), …`: so many rows of so many parameters.
pub(crate) fn rows(count: usize, width: usize) -> String {
    let row = |row: usize| {
        let cells: Vec<_> = (1..=width)
            .map(|cell| format!("${}", row * width + cell))
            .collect();
        format!("({})", cells.join(", "))
    };
    (0..count).map(row).collect::<Vec<_>>().join(", ")
}

/// The messages on disk that were sent with the client ids of the group.
async fn written(tx: &DatabaseTransaction, drafts: &[Draft]) -> Result<Vec<(String, Message)>> {
    let keys: BTreeSet<_> = drafts.iter().map(Draft::key).collect();
    let ask = format!(
        "SELECT m.* FROM (VALUES {}) AS v JOIN messages m \
         ON m.conversation_id = v.column1 AND m.sender_id = v.column2 AND m.client_id = v.column3",
        rows(keys.len(), 3)
    );
    let values = keys
        .into_iter()
        .flat_map(|(conversation, sender, client_id)| -> [Value; 3] {
            [conversation.0.into(), sender.0.into(), client_id.into()]
        });
    let found = message::Entity::find()
        .from_raw_sql(db::sql(tx, ask, values))
        .all(tx)
        .await?;
    Ok(found
        .into_iter()
        .map(|row| (row.client_id.clone(), row.into()))
        .collect())
}

/// Notes the conversations' new places, and that senders have seen their own messages.
async fn move_on(
    tx: &DatabaseTransaction,
    places: &BTreeMap<ConversationId, Place>,
    new: &[(Message, Arc<[EmployeeId]>)],
) -> Result<()> {
    let moved = places.iter().filter(|(_, place)| place.moved);
    let moved = moved.map(|(id, place)| [id.0.into(), place.seq.into(), place.at.into()]);
    db::bulk(tx, moved.collect(), |rows| {
        format!(
            "UPDATE conversations SET last_seq = v.column2, last_at = v.column3 \
             FROM (VALUES {rows}) AS v WHERE id = v.column1"
        )
    })
    .await?;

    // In order of seq, so the last one stays.
    let seen: BTreeMap<_, _> = new
        .iter()
        .map(|(message, _)| ((message.conversation, message.sender), message.seq))
        .collect();
    let seen = seen.into_iter().map(|((conversation, employee), seq)| {
        [conversation.0.into(), employee.0.into(), seq.into()]
    });
    db::bulk(tx, seen.collect(), |rows| {
        format!(
            "UPDATE members SET read_seq = v.column3 FROM (VALUES {rows}) AS v \
             WHERE conversation_id = v.column1 AND employee_id = v.column2 AND read_seq < v.column3"
        )
    })
    .await?;
    Ok(())
}

//! Conversations and messages.
//!
//! Messages go through one writer per process, which commits them in groups:
//! a message is on disk before it is acknowledged, each conversation's
//! sequence has no gap, and a repeated client id is answered with the first
//! result.
//!
//! Who talks with whom does not go into the audit log: its readers have no
//! right to know. The table of members keeps who came and left when.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use domain::{
    Action, ConversationId, EmployeeId, Viewer, Violation,
    chat::{self, MEMBERS_MAX, Message},
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, Order, QueryFilter as _, QueryOrder as _,
    QueryResult, QuerySelect as _,
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Event, Result, Store, db,
    entity::message,
    people::{self, PersonCard},
};

mod writer;

pub use writer::Writer;
pub(crate) use writer::{Ears, members as members_now, rows};

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

/// Most conversations in a list.
const LIST: usize = 200;

impl Store {
    /// The viewer's conversations, the latest first, at most 200.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn conversations(&self, viewer: &Viewer) -> Result<Vec<Conversation>> {
        self.own_conversations(viewer, None).await
    }

    /// One of the viewer's conversations.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn conversation(&self, viewer: &Viewer, id: ConversationId) -> Result<Conversation> {
        self.own_conversations(viewer, Some(id))
            .await?
            .pop()
            .ok_or(Error::NotFound)
    }

    /// With four queries, however many there are.
    async fn own_conversations(
        &self,
        viewer: &Viewer,
        only: Option<ConversationId>,
    ) -> Result<Vec<Conversation>> {
        let me = self.talker(viewer)?;
        let db = self.db();
        let mut values = vec![me.0.into()];
        let mut filter = "";
        if let Some(id) = only {
            values.push(id.0.into());
            filter = " AND c.id = $2";
        }
        let ask = format!(
            "SELECT c.id, c.kind, c.title, c.created_at, c.last_seq, m.read_seq, m.joined_seq \
             FROM members m JOIN conversations c ON c.id = m.conversation_id \
             WHERE m.employee_id = $1 AND m.left_at IS NULL{filter} \
             ORDER BY c.last_at DESC, c.id DESC LIMIT {LIST}"
        );
        let rows = db.query_all_raw(db::sql(db, ask, values)).await?;
        let rows = rows.iter().map(Row::read).collect::<Result<Vec<_>>>()?;
        let last = last_messages(db, &rows).await?;
        let members = writer::members(db, rows.iter().map(|row| row.id)).await?;
        let everyone: BTreeSet<_> = members
            .values()
            .flat_map(|members| members.iter().copied())
            .collect();
        let cards = people::cards(db, everyone).await?;
        let reviewable_by = self.reviewable_by(me).await?;
        let conversation = |row: Row| {
            let ids = members.get(&row.id).map_or(&[][..], |ids| ids);
            let members: Vec<_> = ids.iter().filter_map(|id| cards.get(id)).cloned().collect();
            let other = || {
                members
                    .iter()
                    .find(|card| card.id != me)
                    .map(|card| card.display_name.clone())
            };
            Conversation {
                id: row.id,
                kind: row.kind,
                title: row.title.or_else(other).unwrap_or_default(),
                last: last.get(&row.id).cloned(),
                members,
                last_seq: row.last_seq,
                read_seq: row.read_seq,
                created_at: row.created_at,
                reviewable_by,
            }
        };
        Ok(rows.into_iter().map(conversation).collect())
    }

    /// How many people the oversight policy lets review somebody's words.
    async fn reviewable_by(&self, who: EmployeeId) -> Result<u32> {
        let reviewers = self.reviewers_of(who).await?.len();
        Ok(u32::try_from(reviewers).unwrap_or(u32::MAX))
    }

    /// The person who talks.
    fn talker(&self, viewer: &Viewer) -> Result<EmployeeId> {
        self.allow(viewer, Action::Converse)?;
        viewer.id().ok_or(Error::NotFound)
    }

    /// Those of `members` who are not the viewer; each has to work here.
    fn others(&self, me: EmployeeId, members: &[EmployeeId]) -> Result<BTreeSet<EmployeeId>> {
        let field = || "members".to_owned();
        let others: BTreeSet<_> = members.iter().copied().filter(|id| *id != me).collect();
        if others.is_empty() {
            return Err(Violation::Required { field: field() }.into());
        }
        let snapshot = self.chart();
        if let Some(gone) = others.iter().find(|id| !snapshot.chart.contains(**id)) {
            let (value, allowed) = (gone.to_string(), "people who work here".to_owned());
            return Err(Violation::Unknown {
                field: field(),
                value,
                allowed,
            }
            .into());
        }
        Ok(others)
    }

    /// Starts a conversation, or answers with the direct one that there is.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for nobody, too many, people who are not here, a group without a name.
    pub async fn start_conversation(
        &self,
        viewer: &Viewer,
        new: NewConversation,
    ) -> Result<Conversation> {
        let me = self.talker(viewer)?;
        let mut members = self.others(me, &new.members)?;
        let direct = members.len() == 1 && new.title.is_none();
        let title = match new.title {
            title if !direct => Some(chat::title(title.as_deref().unwrap_or_default())?),
            _ => None,
        };
        members.insert(me);
        few_enough(members.len())?;
        let key = direct.then(|| {
            let ids: Vec<_> = members.iter().map(ToString::to_string).collect();
            ids.join(":")
        });

        let mut change = self.change().await?;
        let id = ConversationId::new(change.at, self.random());
        let add = "INSERT INTO conversations (id, kind, title, direct_key, created_by, created_at, last_seq, last_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, 0, $6) ON CONFLICT (direct_key) DO NOTHING";
        let kind = if direct { "direct" } else { "group" };
        let values = [
            id.0.into(),
            kind.into(),
            title.into(),
            key.clone().into(),
            me.0.into(),
            change.at.into(),
        ];
        let added = change
            .tx
            .execute_raw(db::sql(&change.tx, add, values))
            .await?
            .rows_affected()
            == 1;
        if !added {
            let ask = "SELECT id FROM conversations WHERE direct_key = $1";
            let row = change
                .tx
                .query_one_raw(db::sql(&change.tx, ask, [key.into()]))
                .await?;
            let id: sea_orm::prelude::Uuid = row.ok_or(Error::NotFound)?.try_get("", "id")?;
            change.commit().await?;
            return self.conversation(viewer, ConversationId(id)).await;
        }
        let rows = members
            .iter()
            .map(|member| [id.0.into(), member.0.into(), change.at.into()]);
        db::bulk(&change.tx, rows.collect(), |rows| {
            format!(
                "INSERT INTO members (conversation_id, employee_id, joined_at, joined_seq, read_seq) \
                 SELECT column1, column2, column3, 0, 0 FROM (VALUES {rows}) AS v"
            )
        })
        .await?;
        let employees = members.into_iter().collect();
        change.tell(Event::Membership {
            conversation: id,
            employees,
        });
        change.commit().await?;
        self.conversation(viewer, id).await
    }

    /// Adds people to a group. They see what comes after.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`], [`crate::Error::Forbidden`] for a direct one.
    pub async fn add_members(
        &self,
        viewer: &Viewer,
        id: ConversationId,
        members: &[EmployeeId],
    ) -> Result<Conversation> {
        let me = self.talker(viewer)?;
        let wanted = self.others(me, members)?;
        let mut change = self.change().await?;
        let group = own_group(&change.tx, me, id).await?;
        let now_in = members_of(&change.tx, id).await?;
        let new: Vec<_> = wanted
            .into_iter()
            .filter(|id| !now_in.contains(id))
            .collect();
        few_enough(now_in.len() + new.len())?;
        let rows = new.iter().map(|member| {
            [
                id.0.into(),
                member.0.into(),
                change.at.into(),
                group.last_seq.into(),
            ]
        });
        db::bulk(&change.tx, rows.collect(), |rows| {
            format!(
                "INSERT INTO members (conversation_id, employee_id, joined_at, joined_seq, read_seq) \
                 SELECT column1, column2, column3, column4, column4 FROM (VALUES {rows}) AS v WHERE TRUE \
                 ON CONFLICT (conversation_id, employee_id) DO UPDATE SET joined_at = excluded.joined_at, \
                 joined_seq = excluded.joined_seq, read_seq = excluded.read_seq, left_at = NULL, left_seq = NULL"
            )
        })
        .await?;
        if !new.is_empty() {
            let employees = now_in.iter().copied().chain(new).collect();
            change.tell(Event::Membership {
                conversation: id,
                employees,
            });
        }
        change.commit().await?;
        self.conversation(viewer, id).await
    }

    /// Leaves a group. What was written stays.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Forbidden`] for a direct one.
    pub async fn leave_conversation(&self, viewer: &Viewer, id: ConversationId) -> Result<()> {
        let me = self.talker(viewer)?;
        let mut change = self.change().await?;
        let group = own_group(&change.tx, me, id).await?;
        let employees = members_of(&change.tx, id).await?;
        let leave = "UPDATE members SET left_at = $1, left_seq = $2 WHERE conversation_id = $3 AND employee_id = $4";
        let values = [
            change.at.into(),
            group.last_seq.into(),
            id.0.into(),
            me.0.into(),
        ];
        change
            .tx
            .execute_raw(db::sql(&change.tx, leave, values))
            .await?;
        change.tell(Event::Membership {
            conversation: id,
            employees,
        });
        change.commit().await
    }

    /// Part of one of the viewer's conversations.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`] for a limit that is none.
    pub async fn messages(
        &self,
        viewer: &Viewer,
        id: ConversationId,
        range: Range,
    ) -> Result<Messages> {
        let me = self.talker(viewer)?;
        let limit = people::limit(range.limit)?;
        let place = place(self.db(), me, id).await?;
        let mut ask = message::Entity::find()
            .filter(message::Column::ConversationId.eq(id.0))
            .filter(message::Column::Seq.gt(range.after_seq.unwrap_or(0).max(place.joined_seq)))
            .limit(limit as u64);
        if let Some(before) = range.before_seq {
            ask = ask.filter(message::Column::Seq.lt(before));
        }
        let order = if range.after_seq.is_some() {
            Order::Asc
        } else {
            Order::Desc
        };
        let mut items: Vec<Message> = ask
            .order_by(message::Column::Seq, order)
            .all(self.db())
            .await?
            .into_iter()
            .map(Into::into)
            .collect();
        items.sort_by_key(|message| message.seq);
        let earlier = items
            .first()
            .is_some_and(|first| first.seq > place.joined_seq + 1);
        // What was sent between the two reads is there too.
        let last_seq = items
            .last()
            .map_or(place.last_seq, |last| last.seq.max(place.last_seq));
        Ok(Messages {
            items,
            last_seq,
            earlier,
        })
    }

    /// Sends a message; returns once it is on disk.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`], [`crate::Error::Busy`].
    pub async fn send(
        &self,
        viewer: &Viewer,
        conversation: ConversationId,
        client_id: &str,
        body: &str,
    ) -> Result<Sent> {
        let draft = writer::Draft {
            conversation,
            sender: self.talker(viewer)?,
            client_id: chat::client_id(client_id)?.to_owned(),
            body: chat::body(body)?,
        };
        self.0.chat.write(draft).await
    }

    /// Returns when every message sent so far is on disk or refused; for an orderly end.
    pub async fn flush_messages(&self) {
        self.0.chat.flush().await;
    }

    /// Notes that the viewer has seen everything up to `seq`; never goes back,
    /// nor beyond what there is.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn mark_read(
        &self,
        viewer: &Viewer,
        conversation: ConversationId,
        seq: i64,
    ) -> Result<()> {
        let me = self.talker(viewer)?;
        let place = place(self.db(), me, conversation).await?;
        let seq = seq.min(place.last_seq);
        if seq <= place.read_seq {
            return Ok(());
        }
        let mut change = self.change().await?;
        let note = "UPDATE members SET read_seq = $1 WHERE conversation_id = $2 AND employee_id = $3 AND read_seq < $1";
        let values = [seq.into(), conversation.0.into(), me.0.into()];
        if change
            .tx
            .execute_raw(db::sql(&change.tx, note, values))
            .await?
            .rows_affected()
            > 0
        {
            let members = members_of(&change.tx, conversation).await?;
            change.tell(Event::Read {
                conversation,
                employee: me,
                seq,
                members,
            });
        }
        change.commit().await
    }

    /// How many conversations have something that the viewer has not seen.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn unread(&self, viewer: &Viewer) -> Result<u32> {
        let Some(me) = viewer.id() else { return Ok(0) };
        let ask = "SELECT count(*) FROM members m JOIN conversations c ON c.id = m.conversation_id \
                   WHERE m.employee_id = $1 AND m.left_at IS NULL AND c.last_seq > m.read_seq";
        let row = self
            .db()
            .query_one_raw(db::sql(self.db(), ask, [me.0.into()]))
            .await?;
        let count: i64 = row.ok_or(Error::NotFound)?.try_get_by_index(0)?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// The people in a conversation now; for fan-out of typing and presence.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] unless the viewer is one of them.
    pub async fn members(
        &self,
        viewer: &Viewer,
        conversation: ConversationId,
    ) -> Result<Arc<[EmployeeId]>> {
        let me = self.talker(viewer)?;
        let members = members_of(self.db(), conversation).await?;
        if members.contains(&me) {
            Ok(members)
        } else {
            Err(Error::NotFound)
        }
    }

    /// Everyone who shares a conversation with the viewer; for presence.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn acquaintances(&self, viewer: &Viewer) -> Result<Vec<EmployeeId>> {
        let Some(me) = viewer.id() else {
            return Ok(Vec::new());
        };
        let ask = "SELECT DISTINCT o.employee_id FROM members m \
                   JOIN members o ON o.conversation_id = m.conversation_id \
                   WHERE m.employee_id = $1 AND m.left_at IS NULL AND o.left_at IS NULL AND o.employee_id <> $1";
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), ask, [me.0.into()]))
            .await?;
        rows.iter()
            .map(|row| Ok(EmployeeId(row.try_get("", "employee_id")?)))
            .collect()
    }
}

fn few_enough(got: usize) -> Result<()> {
    if got > MEMBERS_MAX {
        return Err(Violation::TooLong {
            field: "members".into(),
            max: MEMBERS_MAX,
            got,
        }
        .into());
    }
    Ok(())
}

/// A conversation as one of its members has it.
struct Row {
    id: ConversationId,
    kind: Kind,
    title: Option<String>,
    created_at: DateTime<Utc>,
    last_seq: i64,
    read_seq: i64,
    joined_seq: i64,
}

impl Row {
    fn read(row: &QueryResult) -> Result<Self> {
        Ok(Self {
            id: ConversationId(row.try_get("", "id")?),
            kind: if row.try_get::<String>("", "kind")? == "direct" {
                Kind::Direct
            } else {
                Kind::Group
            },
            title: row.try_get("", "title")?,
            created_at: row.try_get("", "created_at")?,
            last_seq: row.try_get("", "last_seq")?,
            read_seq: row.try_get("", "read_seq")?,
            joined_seq: row.try_get("", "joined_seq")?,
        })
    }
}

/// The last message of each that its member may see.
async fn last_messages(
    conn: &impl ConnectionTrait,
    rows: &[Row],
) -> Result<HashMap<ConversationId, Message>> {
    let wanted: Vec<_> = rows
        .iter()
        .filter(|row| row.last_seq > row.joined_seq)
        .collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let ask = format!(
        "SELECT m.* FROM (VALUES {}) AS v JOIN messages m ON m.conversation_id = v.column1 AND m.seq = v.column2",
        writer::rows(wanted.len(), 2)
    );
    let values = wanted
        .iter()
        .flat_map(|row| [row.id.0.into(), row.last_seq.into()]);
    let found = message::Entity::find()
        .from_raw_sql(db::sql(conn, ask, values))
        .all(conn)
        .await?;
    let found = found.into_iter().map(Message::from);
    Ok(found
        .map(|message| (message.conversation, message))
        .collect())
}

/// Where a member is in a conversation.
struct Place {
    joined_seq: i64,
    read_seq: i64,
    last_seq: i64,
}

async fn place(conn: &impl ConnectionTrait, me: EmployeeId, id: ConversationId) -> Result<Place> {
    let ask = "SELECT m.joined_seq, m.read_seq, c.last_seq FROM members m \
               JOIN conversations c ON c.id = m.conversation_id \
               WHERE m.conversation_id = $1 AND m.employee_id = $2 AND m.left_at IS NULL";
    let row = conn
        .query_one_raw(db::sql(conn, ask, [id.0.into(), me.0.into()]))
        .await?;
    let row = row.ok_or(Error::NotFound)?;
    Ok(Place {
        joined_seq: row.try_get("", "joined_seq")?,
        read_seq: row.try_get("", "read_seq")?,
        last_seq: row.try_get("", "last_seq")?,
    })
}

/// One of the viewer's groups, locked: neither a message nor another member comes between.
async fn own_group(tx: &impl ConnectionTrait, me: EmployeeId, id: ConversationId) -> Result<Place> {
    let ask = format!(
        "SELECT kind FROM conversations WHERE id = $1{}",
        db::for_update(tx)
    );
    let row = tx
        .query_one_raw(db::sql(tx, ask, [id.0.into()]))
        .await?
        .ok_or(Error::NotFound)?;
    let kind: String = row.try_get("", "kind")?;
    let place = place(tx, me, id).await?;
    if kind == "group" {
        Ok(place)
    } else {
        Err(Error::Forbidden)
    }
}

async fn members_of(conn: &impl ConnectionTrait, id: ConversationId) -> Result<Arc<[EmployeeId]>> {
    let mut members = writer::members(conn, std::iter::once(id)).await?;
    Ok(members.remove(&id).unwrap_or_default())
}

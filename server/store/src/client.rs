//! Clients' records, what they owe and what they asked for: strictly
//! confidential (OPT-8, IDI-5).
//!
//! No role gives a look at them. The organization grants it, to one person,
//! for all clients or for one, for a reason; whoever grants does not see them
//! by that. Each look leaves an audit entry in the transaction that reads.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    Action, ClientGrantId, ClientId, EmployeeId, SourceId, TicketId, Viewer,
    client::{Account, Attachment, Item, Payment, TicketMessage},
    text,
};
use sea_orm::{ConnectionTrait, QueryResult, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Error, Page, Result, Store, audit, db,
    people::{self, PersonCard},
};

/// Most characters of a search.
const SEARCH_MAX: usize = 200;
/// Most characters of a grant's reason.
const REASON_MAX: usize = 500;

/// A client in a list; what is owed is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCard {
    /// Which.
    pub id: ClientId,
    /// The source that has it.
    pub source: SourceId,
    /// The name.
    pub name: String,
    /// The customer number.
    pub number: Option<String>,
    /// Whether business is done with them, and the source still has them.
    pub active: bool,
}

/// A client as its record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRecord {
    /// Name and number.
    pub card: ClientCard,
    /// The source's name.
    pub source_name: String,
    /// The id there.
    pub external_id: String,
    /// Mail addresses.
    pub emails: Vec<String>,
    /// Telephone numbers.
    pub phones: Vec<String>,
    /// What stands between them and each company, in each currency.
    pub accounts: Vec<Account>,
    /// When the source last changed the record, if it says so.
    pub changed_at: Option<DateTime<Utc>>,
    /// When the source was last read to its end.
    pub read_at: Option<DateTime<Utc>>,
}

/// A ticket in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketCard {
    /// Which.
    pub id: TicketId,
    /// The client, if the source names one that is known.
    pub client: Option<ClientId>,
    /// The client's name.
    pub client_name: Option<String>,
    /// Its number.
    pub number: Option<String>,
    /// What it is about.
    pub subject: String,
    /// Where it stands, in the source's words.
    pub stage: String,
    /// Whether nothing more is to be done.
    pub closed: bool,
    /// How urgent, in the source's words.
    pub priority: Option<String>,
    /// When it came.
    pub opened_at: Option<DateTime<Utc>>,
    /// When it was closed.
    pub closed_at: Option<DateTime<Utc>>,
}

/// A ticket with what was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketRecord {
    /// What it is about.
    pub card: TicketCard,
    /// Who looks after it, if that is somebody who is known.
    pub assignee: Option<PersonCard>,
    /// What was said, the oldest first.
    pub messages: Vec<TicketMessage>,
}

/// Which clients to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClientQuery {
    /// Words, each of which has to occur in name, number or mail address; at most 200 characters.
    pub q: String,
    /// From a page's `next_cursor`.
    pub cursor: Option<String>,
    /// How many, 1 to 200; 50 if absent.
    pub limit: Option<u32>,
}

/// Which tickets to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TicketQuery {
    /// Only this client's.
    pub client: Option<ClientId>,
    /// Only closed ones, or only those that are not.
    pub closed: Option<bool>,
    /// From a page's `next_cursor`.
    pub cursor: Option<String>,
    /// How many, 1 to 200; 50 if absent.
    pub limit: Option<u32>,
}

/// A grant to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewClientGrant {
    /// To whom.
    pub employee: EmployeeId,
    /// For this client; for all without one.
    pub client: Option<ClientId>,
    /// Why the work needs it: 1 to 500 characters.
    pub reason: String,
    /// Until when; until it is ended without one.
    pub until: Option<DateTime<Utc>>,
}

/// That somebody may see clients' records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientGrant {
    /// Which.
    pub id: ClientGrantId,
    /// Who.
    pub employee: PersonCard,
    /// Which client; all without one. Not by name: who grants need not see it.
    pub client: Option<ClientId>,
    /// Why.
    pub reason: String,
    /// Who granted it, by name.
    pub granted_by: Option<String>,
    /// When.
    pub granted_at: DateTime<Utc>,
    /// Until when.
    pub until: Option<DateTime<Utc>>,
}

/// The audit log's subject for a client.
fn subject(id: ClientId) -> String {
    format!("client:{id}")
}

/// What a viewer may see of clients: a condition on `c`, with the values of its places.
struct Sight {
    condition: String,
    values: Vec<Value>,
}

impl Store {
    /// Lists the clients that the viewer was granted, by name; recorded.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] for whom nothing was granted, [`crate::Error::Invalid`].
    pub async fn clients(&self, viewer: &Viewer, query: &ClientQuery) -> Result<Page<ClientCard>> {
        let limit = people::limit(query.limit)?;
        let q = text::fold(&text::line("q", &query.q, SEARCH_MAX)?);
        let mut change = self.change().await?;
        let Sight {
            mut condition,
            mut values,
        } = sight(&change.tx, viewer, change.at).await?;
        let find = db::either(self.db(), "instr", "strpos");
        for word in q.split_whitespace() {
            values.push(word.into());
            condition += &format!(" AND {find}(c.search, ${}) > 0", values.len());
        }
        if let Some(cursor) = &query.cursor {
            let (id, name) = cursor.split_at_checked(36).ok_or_else(people::bad_cursor)?;
            let id: ClientId = id.parse().map_err(|_| people::bad_cursor())?;
            values.extend([name.into(), id.0.into()]);
            let (name, id) = (values.len() - 1, values.len());
            condition += &format!(" AND (c.sort_name, c.id) > (${name}, ${id})");
        }
        let ask = format!(
            "SELECT {CARD}, c.sort_name FROM clients c WHERE {condition} ORDER BY c.sort_name, c.id LIMIT {}",
            limit + 1
        );
        let rows = change
            .tx
            .query_all_raw(db::sql(&change.tx, ask, values))
            .await?;
        let items = rows
            .iter()
            .take(limit)
            .map(card)
            .collect::<Result<Vec<_>>>()?;
        let next_cursor = match (rows.get(limit), rows.get(limit - 1), items.last()) {
            (Some(_), Some(last), Some(card)) => {
                let name: String = last.try_get("", "sort_name")?;
                Some(format!("{}{name}", card.id))
            }
            _ => None,
        };
        let detail = json!({ "q": query.q, "clients": items.len() });
        change.record(viewer, "client.listed", String::new(), detail);
        change.commit().await?;
        Ok(Page { items, next_cursor })
    }

    /// A client's record with its accounts; recorded.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], also for whom it was not granted.
    pub async fn client(&self, viewer: &Viewer, id: ClientId) -> Result<ClientRecord> {
        let mut change = self.change().await?;
        let Sight {
            condition,
            mut values,
        } = sight(&change.tx, viewer, change.at).await?;
        values.push(id.0.into());
        let ask = format!(
            "SELECT {CARD}, c.external_id, c.emails, c.phones, c.changed_at, s.name AS source_name, s.last_read_at
            FROM clients c JOIN sources s ON s.id = c.source_id WHERE {condition} AND c.id = ${}",
            values.len()
        );
        let row = change
            .tx
            .query_one_raw(db::sql(&change.tx, ask, values))
            .await?
            .ok_or(Error::NotFound)?;
        let list = |column: &str| -> Result<Vec<String>> {
            Ok(serde_json::from_str(&row.try_get::<String>("", column)?)?)
        };
        let record = ClientRecord {
            card: card(&row)?,
            source_name: row.try_get("", "source_name")?,
            external_id: row.try_get("", "external_id")?,
            emails: list("emails")?,
            phones: list("phones")?,
            accounts: accounts(&change.tx, id).await?,
            changed_at: row.try_get("", "changed_at")?,
            read_at: row.try_get("", "last_read_at")?,
        };
        let detail = json!({ "accounts": record.accounts.len() });
        change.record(viewer, "client.read", subject(id), detail);
        change.commit().await?;
        Ok(record)
    }

    /// Lists tickets of the clients that the viewer was granted, the latest
    /// first; those without a known client are for whom all were. Recorded.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] for whom nothing was granted, [`crate::Error::Invalid`].
    pub async fn tickets(&self, viewer: &Viewer, query: &TicketQuery) -> Result<Page<TicketCard>> {
        let limit = people::limit(query.limit)?;
        let mut change = self.change().await?;
        let Sight {
            mut condition,
            mut values,
        } = sight(&change.tx, viewer, change.at).await?;
        if let Some(client) = query.client {
            values.push(client.0.into());
            condition += &format!(" AND c.id = ${}", values.len());
        }
        if let Some(closed) = query.closed {
            values.push(closed.into());
            condition += &format!(" AND t.closed = ${}", values.len());
        }
        if let Some(cursor) = &query.cursor {
            let after: TicketId = cursor.parse().map_err(|_| people::bad_cursor())?;
            values.push(after.0.into());
            condition += &format!(" AND t.id < ${}", values.len());
        }
        let ask = format!(
            "SELECT {TICKET} {TICKETS} WHERE {condition} AND t.gone_at IS NULL ORDER BY t.id DESC LIMIT {}",
            limit + 1
        );
        let rows = change
            .tx
            .query_all_raw(db::sql(&change.tx, ask, values))
            .await?;
        let items = rows
            .iter()
            .take(limit)
            .map(ticket)
            .collect::<Result<Vec<_>>>()?;
        let next_cursor = (rows.len() > limit)
            .then(|| items.last().map(|last| last.id.to_string()))
            .flatten();
        let about = query.client.map(subject).unwrap_or_default();
        let detail = json!({ "tickets": items.len() });
        change.record(viewer, "client.tickets_listed", about, detail);
        change.commit().await?;
        Ok(Page { items, next_cursor })
    }

    /// A ticket with its messages; recorded.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], also for whom its client was not granted.
    pub async fn ticket(&self, viewer: &Viewer, id: TicketId) -> Result<TicketRecord> {
        let mut change = self.change().await?;
        let Sight {
            condition,
            mut values,
        } = sight(&change.tx, viewer, change.at).await?;
        values.push(id.0.into());
        let ask = format!(
            "SELECT {TICKET}, r.employee_id {TICKETS}
            LEFT JOIN erp_records r ON r.source_id = t.source_id AND r.external_id = t.assignee_ref
            WHERE {condition} AND t.id = ${}",
            values.len()
        );
        let row = change
            .tx
            .query_one_raw(db::sql(&change.tx, ask, values))
            .await?
            .ok_or(Error::NotFound)?;
        let assignee = row
            .try_get::<Option<Uuid>>("", "employee_id")?
            .map(EmployeeId);
        let card = ticket(&row)?;
        let record = TicketRecord {
            messages: messages(&change.tx, id).await?,
            assignee: match assignee {
                Some(id) => people::cards(&change.tx, [id]).await?.remove(&id),
                None => None,
            },
            card,
        };
        let detail = json!({ "ticket": id, "messages": record.messages.len() });
        let about = record.card.client.map(subject);
        change.record(
            viewer,
            "client.ticket_read",
            about.unwrap_or_default(),
            detail,
        );
        change.commit().await?;
        Ok(record)
    }

    /// Grants somebody a look at clients' records. Needs `GrantClients`; nobody
    /// grants it to themselves. Recorded.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `own_grant`,
    /// [`crate::Error::Invalid`] for a reason that is missing or too long.
    pub async fn grant_clients(
        &self,
        viewer: &Viewer,
        new: NewClientGrant,
    ) -> Result<ClientGrantId> {
        self.allow(viewer, Action::GrantClients)?;
        if viewer.id() == Some(new.employee) {
            return Err(Error::Conflict("own_grant"));
        }
        let reason = text::prose("reason", &new.reason, REASON_MAX)?;
        let reason = text::required("reason", reason)?;
        let mut change = self.change().await?;
        if people::cards(&change.tx, [new.employee]).await?.is_empty() {
            return Err(Error::NotFound);
        }
        if let Some(client) = new.client {
            let find = "SELECT 1 FROM clients WHERE id = $1";
            let found = change
                .tx
                .query_one_raw(db::sql(&change.tx, find, [client.0.into()]))
                .await?;
            found.ok_or(Error::NotFound)?;
        }
        let id = ClientGrantId::new(change.at, self.random());
        let insert = "INSERT INTO client_grants (id, employee_id, client_id, reason, granted_by, granted_at, until)
            VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let row: [Value; 7] = [
            id.0.into(),
            new.employee.0.into(),
            new.client.map(|client| client.0).into(),
            reason.as_str().into(),
            viewer.id().map(|id| id.0).into(),
            change.at.into(),
            new.until.into(),
        ];
        change
            .tx
            .execute_raw(db::sql(&change.tx, insert, row))
            .await?;
        let detail =
            json!({ "grant": id, "client": new.client, "reason": reason, "until": new.until });
        change.record(
            viewer,
            "client.granted",
            audit::person(new.employee),
            detail,
        );
        change.commit().await?;
        Ok(id)
    }

    /// Ends a grant. Needs `GrantClients`; recorded.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], also for one that was ended.
    pub async fn end_client_grant(&self, viewer: &Viewer, id: ClientGrantId) -> Result<()> {
        self.allow(viewer, Action::GrantClients)?;
        let mut change = self.change().await?;
        let update = "UPDATE client_grants SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL
            RETURNING employee_id";
        let row = change
            .tx
            .query_one_raw(db::sql(&change.tx, update, [id.0.into(), change.at.into()]))
            .await?
            .ok_or(Error::NotFound)?;
        let employee = EmployeeId(row.try_get_by_index(0)?);
        let detail = json!({ "grant": id });
        change.record(
            viewer,
            "client.grant_ended",
            audit::person(employee),
            detail,
        );
        change.commit().await
    }

    /// The grants that hold, the latest first. Needs `GrantClients`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn client_grants(&self, viewer: &Viewer) -> Result<Vec<ClientGrant>> {
        self.allow(viewer, Action::GrantClients)?;
        let ask = "SELECT id, employee_id, client_id, reason, granted_by, granted_at, until FROM client_grants
            WHERE ended_at IS NULL AND (until IS NULL OR until > $1) ORDER BY granted_at DESC, id DESC";
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), ask, [self.now().into()]))
            .await?;
        let mut people = Vec::new();
        for row in &rows {
            people.push(EmployeeId(row.try_get_by_index(1)?));
            people.extend(row.try_get_by_index::<Option<Uuid>>(4)?.map(EmployeeId));
        }
        let cards = people::cards(self.db(), people).await?;
        let mut grants = Vec::with_capacity(rows.len());
        for row in &rows {
            let by: Option<Uuid> = row.try_get_by_index(4)?;
            let employee = EmployeeId(row.try_get_by_index(1)?);
            grants.push(ClientGrant {
                id: ClientGrantId(row.try_get_by_index(0)?),
                employee: cards.get(&employee).cloned().ok_or(Error::NotFound)?,
                client: row.try_get_by_index::<Option<Uuid>>(2)?.map(ClientId),
                reason: row.try_get_by_index(3)?,
                granted_by: by
                    .and_then(|by| cards.get(&EmployeeId(by)))
                    .map(|card| card.display_name.clone()),
                granted_at: row.try_get_by_index(5)?,
                until: row.try_get_by_index(6)?,
            });
        }
        Ok(grants)
    }
}

/// What a card is made of.
const CARD: &str = "c.id, c.source_id, c.name, c.number, c.active AND c.gone_at IS NULL AS present";

fn card(row: &QueryResult) -> Result<ClientCard> {
    Ok(ClientCard {
        id: ClientId(row.try_get("", "id")?),
        source: SourceId(row.try_get("", "source_id")?),
        name: row.try_get("", "name")?,
        number: row.try_get("", "number")?,
        active: row.try_get("", "present")?,
    })
}

/// What a ticket's card is made of, and whence.
const TICKET: &str = "t.id, c.id AS client_id, c.name AS client_name, t.number, t.subject, t.stage, t.closed, t.priority,
    t.opened_at, t.closed_at";
const TICKETS: &str = "FROM tickets t
    LEFT JOIN clients c ON c.source_id = t.source_id AND c.external_id = t.client_ref";

fn ticket(row: &QueryResult) -> Result<TicketCard> {
    Ok(TicketCard {
        id: TicketId(row.try_get("", "id")?),
        client: row.try_get::<Option<Uuid>>("", "client_id")?.map(ClientId),
        client_name: row.try_get("", "client_name")?,
        number: row.try_get("", "number")?,
        subject: row.try_get("", "subject")?,
        stage: row.try_get("", "stage")?,
        closed: row.try_get("", "closed")?,
        priority: row.try_get("", "priority")?,
        opened_at: row.try_get("", "opened_at")?,
        closed_at: row.try_get("", "closed_at")?,
    })
}

/// What the viewer was granted; nobody else learns that there are clients at all.
async fn sight(conn: &impl ConnectionTrait, viewer: &Viewer, at: DateTime<Utc>) -> Result<Sight> {
    if viewer.can(Action::ReadClients) {
        return Ok(Sight {
            condition: "TRUE".into(),
            values: Vec::new(),
        });
    }
    let holds = "FROM client_grants g WHERE g.employee_id = $1 AND g.ended_at IS NULL
        AND (g.until IS NULL OR g.until > $2)";
    let id = viewer.id().ok_or(Error::NotFound)?;
    let values = vec![id.0.into(), at.into()];
    let any = format!("SELECT 1 {holds} LIMIT 1");
    conn.query_one_raw(db::sql(conn, any, values.clone()))
        .await?
        .ok_or(Error::NotFound)?;
    Ok(Sight {
        condition: format!(
            "EXISTS (SELECT 1 {holds} AND (g.client_id IS NULL OR g.client_id = c.id))"
        ),
        values,
    })
}

/// Text of the database as what it was written from.
fn read<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse()
        .map_err(|_| Error::Internal(format!("a client's record holds {text:?}")))
}

async fn accounts(conn: &impl ConnectionTrait, id: ClientId) -> Result<Vec<Account>> {
    let ask = "SELECT account, external_id, number, date, due, amount, open FROM client_items
        WHERE client_id = $1 ORDER BY account, place";
    let mut items: BTreeMap<i32, Vec<Item>> = BTreeMap::new();
    for row in conn
        .query_all_raw(db::sql(conn, ask, [id.0.into()]))
        .await?
    {
        let due: Option<String> = row.try_get_by_index(4)?;
        let item = Item {
            external_id: row.try_get_by_index(1)?,
            number: row.try_get_by_index(2)?,
            date: read(&row.try_get_by_index::<String>(3)?)?,
            due: due.as_deref().map(read).transpose()?,
            amount: read(&row.try_get_by_index::<String>(5)?)?,
            open: read(&row.try_get_by_index::<String>(6)?)?,
        };
        items
            .entry(row.try_get_by_index(0)?)
            .or_default()
            .push(item);
    }
    let ask = "SELECT account, external_id, reference, date, amount FROM client_payments
        WHERE client_id = $1 ORDER BY account, place";
    let mut payments: BTreeMap<i32, Vec<Payment>> = BTreeMap::new();
    for row in conn
        .query_all_raw(db::sql(conn, ask, [id.0.into()]))
        .await?
    {
        let payment = Payment {
            external_id: row.try_get_by_index(1)?,
            reference: row.try_get_by_index(2)?,
            date: read(&row.try_get_by_index::<String>(3)?)?,
            amount: read(&row.try_get_by_index::<String>(4)?)?,
        };
        payments
            .entry(row.try_get_by_index(0)?)
            .or_default()
            .push(payment);
    }
    let ask =
        "SELECT place, company, currency, balance, overdue, credit_limit, terms, payment_options
        FROM client_accounts WHERE client_id = $1 ORDER BY place";
    let rows = conn
        .query_all_raw(db::sql(conn, ask, [id.0.into()]))
        .await?;
    rows.iter()
        .map(|row| {
            let place: i32 = row.try_get_by_index(0)?;
            let overdue: Option<String> = row.try_get_by_index(4)?;
            let limit: Option<String> = row.try_get_by_index(5)?;
            Ok(Account {
                company: row.try_get_by_index(1)?,
                currency: row.try_get_by_index(2)?,
                balance: read(&row.try_get_by_index::<String>(3)?)?,
                overdue: overdue.as_deref().map(read).transpose()?,
                credit_limit: limit.as_deref().map(read).transpose()?,
                terms: row.try_get_by_index(6)?,
                payment_options: serde_json::from_str(&row.try_get_by_index::<String>(7)?)?,
                open_items: items.remove(&place).unwrap_or_default(),
                payments: payments.remove(&place).unwrap_or_default(),
            })
        })
        .collect()
}

async fn messages(conn: &impl ConnectionTrait, id: TicketId) -> Result<Vec<TicketMessage>> {
    let ask = "SELECT message, external_id, name, media_type, bytes FROM ticket_attachments
        WHERE ticket_id = $1 ORDER BY message, place";
    let mut attachments: BTreeMap<i32, Vec<Attachment>> = BTreeMap::new();
    for row in conn
        .query_all_raw(db::sql(conn, ask, [id.0.into()]))
        .await?
    {
        let bytes: Option<i64> = row.try_get_by_index(4)?;
        let attachment = Attachment {
            external_id: row.try_get_by_index(1)?,
            name: row.try_get_by_index(2)?,
            media_type: row.try_get_by_index(3)?,
            bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        };
        attachments
            .entry(row.try_get_by_index(0)?)
            .or_default()
            .push(attachment);
    }
    let ask = "SELECT place, external_id, at, author, body, internal FROM ticket_messages
        WHERE ticket_id = $1 ORDER BY place";
    let rows = conn
        .query_all_raw(db::sql(conn, ask, [id.0.into()]))
        .await?;
    rows.iter()
        .map(|row| {
            Ok(TicketMessage {
                external_id: row.try_get_by_index(1)?,
                at: row.try_get_by_index(2)?,
                author: row.try_get_by_index(3)?,
                body: row.try_get_by_index(4)?,
                internal: row.try_get_by_index(5)?,
                attachments: attachments
                    .remove(&row.try_get_by_index::<i32>(0)?)
                    .unwrap_or_default(),
            })
        })
        .collect()
}

//! Clients and tickets, pulled by a run after its people.
//!
//! They are no part of the plan: nobody's work or place depends on them, and
//! a source that gives none of them loses nothing. A page is written as it
//! comes, whole, in a transaction of its own; what says what it said before is
//! not written again. A dry run counts and writes nothing.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use domain::{
    Action, ClientId, RunId, SourceId, TicketId, Viewer,
    client::{Client, Ticket},
    erp::Fault,
    sync::{Beside, Pulled},
    text,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    FINDINGS_KEPT, Live, Phase, RunFinding, Work, beside::Noting, plan::IN_MAX, write_run,
};
use crate::{Error, Event, Result, Store, db, source};

/// The share of those present that may vanish at once before it is taken for a
/// mistake, percent; one may always.
const GONE_PERCENT: usize = 10;

/// What a source gives beside people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// Whom the organization does business with.
    Clients,
    /// What they asked for.
    Tickets,
}

impl Feed {
    /// The name of the feed, and of the table of its records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Tickets => "tickets",
        }
    }
}

/// A pull of one feed, as far as it has come.
#[derive(Debug)]
pub struct Pull {
    feed: Feed,
    /// Whether everything there is comes, so that what does not come is gone.
    whole: bool,
    seen: HashSet<String>,
    /// Whether there was a record whose very id could not be read.
    unsure: bool,
    pulled: Pulled,
}

/// A record as the database has it.
struct Kept {
    id: Uuid,
    digest: Vec<u8>,
    gone: bool,
}

impl Store {
    /// Begins to pull a feed, and answers from where: without a place, or with
    /// `in_full`, everything is to be read. Needs `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_over`, or `out_of_turn` for a run that does not write yet.
    pub async fn begin_pull(
        &self,
        viewer: &Viewer,
        run: RunId,
        feed: Feed,
        in_full: bool,
    ) -> Result<(Pull, Option<String>)> {
        let (live, _work) = self.pulling(viewer, run).await?;
        let since = match in_full {
            true => None,
            false => watermark(self.db(), live.source, feed).await?,
        };
        let pull = Pull {
            feed,
            whole: since.is_none(),
            seen: HashSet::new(),
            unsure: false,
            pulled: Pulled::default(),
        };
        Ok((pull, since))
    }

    /// Takes a page of clients.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_over`.
    pub async fn take_clients(
        &self,
        viewer: &Viewer,
        run: RunId,
        pull: &mut Pull,
        clients: Vec<Client>,
        faults: Vec<Fault>,
    ) -> Result<()> {
        let (live, mut work) = self.pulling(viewer, run).await?;
        pull.note(&mut work, faults);
        let read = clients.into_iter().map(|client| {
            let bare = Client {
                changed_at: None,
                ..client.clone()
            };
            Ok((client.external_id.clone(), (digest(&bare)?, client)))
        });
        let fresh = self
            .fresh(&live, pull, read.collect::<Result<_>>()?)
            .await?;
        if !fresh.is_empty() && !live.run().dry_run {
            let change = self.change().await?;
            let noting = note(
                &change.tx,
                &live,
                Feed::Clients,
                fresh.iter().map(|(id, ..)| id),
            )
            .await?;
            write_clients(&change.tx, live.source, &fresh).await?;
            noting.end(&change.tx).await?;
            self.keep(&live, &mut work, pull, change).await?;
        }
        self.show(&live, &mut work, pull);
        Ok(())
    }

    /// Takes a page of tickets.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_over`.
    pub async fn take_tickets(
        &self,
        viewer: &Viewer,
        run: RunId,
        pull: &mut Pull,
        tickets: Vec<Ticket>,
        faults: Vec<Fault>,
    ) -> Result<()> {
        let (live, mut work) = self.pulling(viewer, run).await?;
        pull.note(&mut work, faults);
        let read = tickets.into_iter().map(|ticket| {
            let bare = Ticket {
                changed_at: None,
                ..ticket.clone()
            };
            Ok((ticket.external_id.clone(), (digest(&bare)?, ticket)))
        });
        let fresh = self
            .fresh(&live, pull, read.collect::<Result<_>>()?)
            .await?;
        if !fresh.is_empty() && !live.run().dry_run {
            let change = self.change().await?;
            let noting = note(
                &change.tx,
                &live,
                Feed::Tickets,
                fresh.iter().map(|(id, ..)| id),
            )
            .await?;
            write_tickets(&change.tx, live.source, &fresh).await?;
            noting.end(&change.tx).await?;
            self.keep(&live, &mut work, pull, change).await?;
        }
        self.show(&live, &mut work, pull);
        Ok(())
    }

    /// Ends a pull that came to its end: marks as gone what a pull of
    /// everything did not bring, and notes how far the feed was read.
    ///
    /// If more than a tenth would be gone at once, none is, and the run tells.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_over`.
    pub async fn end_pull(
        &self,
        viewer: &Viewer,
        run: RunId,
        mut pull: Pull,
        watermark: Option<String>,
    ) -> Result<()> {
        let (live, mut work) = self.pulling(viewer, run).await?;
        let gone = self.gone(&live, &mut work, &pull).await?;
        pull.pulled.gone = gone.len() as u64;
        if !live.run().dry_run {
            let before = self::watermark(self.db(), live.source, pull.feed).await?;
            let moved = watermark.filter(|now| before.as_ref() != Some(now));
            let changed = pull.pulled.new + pull.pulled.changed + pull.pulled.gone > 0;
            if changed || moved.is_some() {
                let mut change = self.change().await?;
                let noting = note(&change.tx, &live, pull.feed, gone.iter()).await?;
                mark_gone(&change.tx, &live, pull.feed, &gone, change.at).await?;
                noting.end(&change.tx).await?;
                if let Some(watermark) = moved {
                    let insert =
                        "INSERT INTO source_feeds (source_id, feed, watermark) VALUES ($1, $2, $3)
                        ON CONFLICT (source_id, feed) DO UPDATE SET watermark = excluded.watermark";
                    let row = [
                        live.source.0.into(),
                        pull.feed.name().into(),
                        watermark.into(),
                    ];
                    change
                        .tx
                        .execute_raw(db::sql(&change.tx, insert, row))
                        .await?;
                }
                if changed {
                    let detail = json!({ "run": run, "totals": pull.pulled });
                    let action = format!("{}.pulled", pull.feed.name());
                    change.record(viewer, &action, source::subject(live.source), detail);
                }
                self.keep(&live, &mut work, &pull, change).await?;
            }
        }
        self.show(&live, &mut work, &pull);
        Ok(())
    }

    /// Ends a pull that broke off: the run goes on and tells why. The next one
    /// begins where this one did.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `run_over`.
    pub async fn break_pull(
        &self,
        viewer: &Viewer,
        run: RunId,
        mut pull: Pull,
        why: &str,
    ) -> Result<()> {
        let (live, mut work) = self.pulling(viewer, run).await?;
        let what = format!("were not all read: {why}. The next run reads them again");
        let fault = told(pull.feed, what);
        pull.note(&mut work, vec![fault]);
        self.show(&live, &mut work, &pull);
        Ok(())
    }

    /// A run that pulls: a real one while it applies, a dry one while it still reads.
    async fn pulling(
        &self,
        viewer: &Viewer,
        id: RunId,
    ) -> Result<(Arc<Live>, tokio::sync::OwnedMutexGuard<Work>)> {
        self.allow(viewer, Action::ManageSources)?;
        let live = self.live(id).await?;
        let work = live.work.clone().lock_owned().await;
        live.require(match live.run().dry_run {
            true => Phase::Reading,
            false => Phase::Applying,
        })?;
        Ok((live, work))
    }

    /// What of a page is new or says something else, with the id that it has or gets.
    async fn fresh<T>(
        &self,
        live: &Live,
        pull: &mut Pull,
        read: BTreeMap<String, ([u8; 32], T)>,
    ) -> Result<Vec<(Uuid, [u8; 32], T)>> {
        let ids: Vec<_> = read.keys().cloned().collect();
        let mut kept = kept(self.db(), live.source, pull.feed, &ids).await?;
        let at = self.now();
        let mut fresh = Vec::new();
        for (external_id, (digest, record)) in read {
            // One who comes twice is counted once; the later one counts.
            let again = !pull.seen.insert(external_id.clone());
            pull.pulled.read += u64::from(!again);
            let id = match kept.remove(&external_id) {
                Some(kept) if !kept.gone && kept.digest == digest => continue,
                Some(kept) => {
                    pull.pulled.changed += u64::from(!again);
                    kept.id
                }
                None => {
                    pull.pulled.new += u64::from(!again);
                    match pull.feed {
                        Feed::Clients => ClientId::new(at, self.random()).0,
                        Feed::Tickets => TicketId::new(at, self.random()).0,
                    }
                }
            };
            fresh.push((id, digest, record));
        }
        Ok(fresh)
    }

    /// The ids of records that a whole pull did not bring.
    async fn gone(&self, live: &Live, work: &mut Work, pull: &Pull) -> Result<Vec<Uuid>> {
        if !pull.whole || pull.unsure {
            return Ok(Vec::new());
        }
        let find = format!(
            "SELECT id, external_id FROM {} WHERE source_id = $1 AND gone_at IS NULL",
            pull.feed.name()
        );
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [live.source.0.into()]))
            .await?;
        let mut gone = Vec::new();
        for row in &rows {
            if !pull.seen.contains(&row.try_get_by_index::<String>(1)?) {
                gone.push(row.try_get_by_index::<Uuid>(0)?);
            }
        }
        let new = match live.run().dry_run {
            true => 0,
            false => usize::try_from(pull.pulled.new).unwrap_or(usize::MAX),
        };
        let before = rows.len().saturating_sub(new);
        if gone.len() > 1 && gone.len() * 100 > before * GONE_PERCENT {
            let what = format!(
                "{} of {before} are missing, more than {GONE_PERCENT} %; they stay until the source says otherwise",
                gone.len(),
            );
            take(work, told(pull.feed, what));
            gone.clear();
        }
        Ok(gone)
    }

    /// Commits a page, unless the run was ended elsewhere.
    async fn keep(
        &self,
        live: &Live,
        work: &mut Work,
        pull: &Pull,
        change: crate::change::Change<'_>,
    ) -> Result<()> {
        pull.count(work);
        let mut run = live.run();
        run.totals = work.totals;
        let written = write_run(&change.tx, &run, None, change.at).await;
        self.unless_lost(live.id, written)?;
        change.commit().await
    }

    fn show(&self, live: &Live, work: &mut Work, pull: &Pull) {
        pull.count(work);
        live.change(|run| run.totals = work.totals);
        self.tell(Event::RunMoved(live.id));
    }
}

impl Pull {
    fn note(&mut self, work: &mut Work, faults: Vec<Fault>) {
        for mut fault in faults {
            // A client's id could be a worker's as well: nobody is to take one for the other.
            match fault.external_id.take() {
                Some(id) if fault.left_out => _ = self.seen.insert(id),
                None if fault.left_out => self.unsure = true,
                _ => {}
            }
            take(work, fault);
        }
    }

    fn count(&self, work: &mut Work) {
        *match self.feed {
            Feed::Clients => &mut work.totals.clients,
            Feed::Tickets => &mut work.totals.tickets,
        } = self.pulled;
    }
}

fn take(work: &mut Work, fault: Fault) {
    work.totals.faults += 1;
    if work.findings.len() < FINDINGS_KEPT {
        work.findings.push(RunFinding::Fault(fault));
    }
}

fn told(feed: Feed, what: String) -> Fault {
    Fault {
        place: feed.name().to_owned(),
        field: None,
        what,
        external_id: None,
        left_out: false,
    }
}

fn digest(record: &impl Serialize) -> Result<[u8; 32]> {
    Ok(Sha256::digest(serde_json::to_vec(record)?).into())
}

/// Where the last whole pull of a feed ended.
async fn watermark(
    conn: &impl ConnectionTrait,
    source: SourceId,
    feed: Feed,
) -> Result<Option<String>> {
    let find = "SELECT watermark FROM source_feeds WHERE source_id = $1 AND feed = $2";
    let row = conn
        .query_one_raw(db::sql(conn, find, [source.0.into(), feed.name().into()]))
        .await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?)
}

async fn kept(
    conn: &impl ConnectionTrait,
    source: SourceId,
    feed: Feed,
    ids: &[String],
) -> Result<HashMap<String, Kept>> {
    let mut kept = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(IN_MAX) {
        let find = format!(
            "SELECT external_id, id, digest, gone_at IS NOT NULL FROM {} WHERE source_id = $1 AND external_id IN ({})",
            feed.name(),
            db::places(2, ids.len())
        );
        let mut values: Vec<Value> = vec![source.0.into()];
        values.extend(ids.iter().map(|id| id.as_str().into()));
        for row in conn.query_all_raw(db::sql(conn, find, values)).await? {
            let record = Kept {
                id: row.try_get_by_index(1)?,
                digest: row.try_get_by_index(2)?,
                gone: row.try_get_by_index(3)?,
            };
            kept.insert(row.try_get_by_index(0)?, record);
        }
    }
    Ok(kept)
}

/// Keeps what there is of these records, so that the run can be undone.
async fn note(
    tx: &DatabaseTransaction,
    live: &Live,
    feed: Feed,
    ids: impl Iterator<Item = &Uuid>,
) -> Result<Noting> {
    let what = match feed {
        Feed::Clients => Beside::Client,
        Feed::Tickets => Beside::Ticket,
    };
    let keys = ids.map(|id| (what, id.to_string())).collect();
    Noting::begin(tx, live.id, live.source, keys).await
}

async fn mark_gone(
    tx: &DatabaseTransaction,
    live: &Live,
    feed: Feed,
    gone: &[Uuid],
    at: DateTime<Utc>,
) -> Result<()> {
    for ids in gone.chunks(IN_MAX) {
        let update = format!(
            "UPDATE {} SET gone_at = $1 WHERE source_id = $2 AND id IN ({})",
            feed.name(),
            db::places(3, ids.len())
        );
        let mut values: Vec<Value> = vec![at.into(), live.source.0.into()];
        values.extend(ids.iter().map(|id| Value::from(*id)));
        tx.execute_raw(db::sql(tx, update, values)).await?;
    }
    Ok(())
}

/// Removes what hangs on records that are written anew.
async fn clear(tx: &DatabaseTransaction, table: &str, owner: &str, ids: &[Uuid]) -> Result<()> {
    for ids in ids.chunks(IN_MAX) {
        let delete = format!(
            "DELETE FROM {table} WHERE {owner} IN ({})",
            db::places(1, ids.len())
        );
        let values = ids.iter().map(|id| Value::from(*id));
        tx.execute_raw(db::sql(tx, delete, values)).await?;
    }
    Ok(())
}

fn place(index: usize) -> Result<i32> {
    i32::try_from(index).map_err(|_| Error::Internal("too many parts of one record".into()))
}

async fn write_clients(
    tx: &DatabaseTransaction,
    source: SourceId,
    fresh: &[(Uuid, [u8; 32], Client)],
) -> Result<()> {
    let ids: Vec<_> = fresh.iter().map(|(id, ..)| *id).collect();
    for table in ["client_payments", "client_items", "client_accounts"] {
        clear(tx, table, "client_id", &ids).await?;
    }
    let mut clients: Vec<[Value; 12]> = Vec::new();
    let mut accounts: Vec<[Value; 9]> = Vec::new();
    let mut items: Vec<[Value; 9]> = Vec::new();
    let mut payments: Vec<[Value; 7]> = Vec::new();
    for (id, digest, client) in fresh {
        let mut words = vec![client.name.as_str()];
        words.extend(client.number.as_deref());
        words.extend(client.emails.iter().map(String::as_str));
        clients.push([
            (*id).into(),
            source.0.into(),
            client.external_id.as_str().into(),
            client.name.as_str().into(),
            text::fold(&client.name).into(),
            client.number.clone().into(),
            serde_json::to_string(&client.emails)?.into(),
            serde_json::to_string(&client.phones)?.into(),
            text::fold(&words.join(" ")).into(),
            client.active.into(),
            client.changed_at.into(),
            digest.to_vec().into(),
        ]);
        for (at, account) in client.accounts.iter().enumerate() {
            let at = place(at)?;
            accounts.push([
                (*id).into(),
                at.into(),
                account.company.clone().into(),
                account.currency.as_str().into(),
                account.balance.to_string().into(),
                account.overdue.map(|amount| amount.to_string()).into(),
                account.credit_limit.map(|amount| amount.to_string()).into(),
                account.terms.clone().into(),
                serde_json::to_string(&account.payment_options)?.into(),
            ]);
            for (index, item) in account.open_items.iter().enumerate() {
                items.push([
                    (*id).into(),
                    at.into(),
                    place(index)?.into(),
                    item.external_id.as_str().into(),
                    item.number.as_str().into(),
                    item.date.to_string().into(),
                    item.due.map(|day| day.to_string()).into(),
                    item.amount.to_string().into(),
                    item.open.to_string().into(),
                ]);
            }
            for (index, payment) in account.payments.iter().enumerate() {
                payments.push([
                    (*id).into(),
                    at.into(),
                    place(index)?.into(),
                    payment.external_id.as_str().into(),
                    payment.reference.as_str().into(),
                    payment.date.to_string().into(),
                    payment.amount.to_string().into(),
                ]);
            }
        }
    }
    db::bulk(tx, clients, |rows| {
        format!(
            "INSERT INTO clients (id, source_id, external_id, name, sort_name, number, emails, phones, search, active,
                changed_at, digest) VALUES {rows}
            ON CONFLICT (source_id, external_id) DO UPDATE SET name = excluded.name, sort_name = excluded.sort_name,
                number = excluded.number, emails = excluded.emails, phones = excluded.phones,
                search = excluded.search, active = excluded.active, changed_at = excluded.changed_at,
                digest = excluded.digest, gone_at = NULL"
        )
    })
    .await?;
    db::bulk(tx, accounts, |rows| {
        format!(
            "INSERT INTO client_accounts (client_id, place, company, currency, balance, overdue, credit_limit, terms,
                payment_options) VALUES {rows}"
        )
    })
    .await?;
    db::bulk(tx, items, |rows| {
        format!(
            "INSERT INTO client_items (client_id, account, place, external_id, number, date, due, amount, open)
            VALUES {rows}"
        )
    })
    .await?;
    db::bulk(tx, payments, |rows| {
        format!(
            "INSERT INTO client_payments (client_id, account, place, external_id, reference, date, amount) VALUES {rows}"
        )
    })
    .await?;
    Ok(())
}

async fn write_tickets(
    tx: &DatabaseTransaction,
    source: SourceId,
    fresh: &[(Uuid, [u8; 32], Ticket)],
) -> Result<()> {
    let ids: Vec<_> = fresh.iter().map(|(id, ..)| *id).collect();
    for table in ["ticket_attachments", "ticket_messages"] {
        clear(tx, table, "ticket_id", &ids).await?;
    }
    let mut tickets: Vec<[Value; 14]> = Vec::new();
    let mut messages: Vec<[Value; 7]> = Vec::new();
    let mut attachments: Vec<[Value; 7]> = Vec::new();
    for (id, digest, ticket) in fresh {
        tickets.push([
            (*id).into(),
            source.0.into(),
            ticket.external_id.as_str().into(),
            ticket.client.clone().into(),
            ticket.number.clone().into(),
            ticket.subject.as_str().into(),
            ticket.stage.as_str().into(),
            ticket.closed.into(),
            ticket.priority.clone().into(),
            ticket.assignee.clone().into(),
            ticket.opened_at.into(),
            ticket.closed_at.into(),
            ticket.changed_at.into(),
            digest.to_vec().into(),
        ]);
        for (at, message) in ticket.messages.iter().enumerate() {
            let at = place(at)?;
            messages.push([
                (*id).into(),
                at.into(),
                message.external_id.as_str().into(),
                message.at.into(),
                message.author.as_str().into(),
                message.body.as_str().into(),
                message.internal.into(),
            ]);
            for (index, attachment) in message.attachments.iter().enumerate() {
                attachments.push([
                    (*id).into(),
                    at.into(),
                    place(index)?.into(),
                    attachment.external_id.as_str().into(),
                    attachment.name.as_str().into(),
                    attachment.media_type.clone().into(),
                    attachment
                        .bytes
                        .map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
                        .into(),
                ]);
            }
        }
    }
    db::bulk(tx, tickets, |rows| {
        format!(
            "INSERT INTO tickets (id, source_id, external_id, client_ref, number, subject, stage, closed, priority,
                assignee_ref, opened_at, closed_at, changed_at, digest) VALUES {rows}
            ON CONFLICT (source_id, external_id) DO UPDATE SET client_ref = excluded.client_ref,
                number = excluded.number, subject = excluded.subject, stage = excluded.stage, closed = excluded.closed,
                priority = excluded.priority, assignee_ref = excluded.assignee_ref, opened_at = excluded.opened_at,
                closed_at = excluded.closed_at, changed_at = excluded.changed_at, digest = excluded.digest,
                gone_at = NULL"
        )
    })
    .await?;
    db::bulk(tx, messages, |rows| {
        format!("INSERT INTO ticket_messages (ticket_id, place, external_id, at, author, body, internal) VALUES {rows}")
    })
    .await?;
    db::bulk(tx, attachments, |rows| {
        format!(
            "INSERT INTO ticket_attachments (ticket_id, message, place, external_id, name, media_type, bytes)
            VALUES {rows}"
        )
    })
    .await?;
    Ok(())
}

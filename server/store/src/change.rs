//! A change: what is written, who did it, and whom to tell, as one transaction.

use chrono::{DateTime, Utc};
use domain::{Viewer, audit::Record};
use sea_orm::DatabaseTransaction;

use crate::{Event, Result, Store, audit, db, event};

/// A change under way. Nothing of it is there unless [`Change::commit`] is reached.
///
/// Audit entries are appended at the very end, because from then on every
/// other change waits for the log's head.
pub(crate) struct Change<'a> {
    store: &'a Store,
    /// The transaction to write in.
    pub tx: DatabaseTransaction,
    /// The moment of the change: every row of it carries the same one.
    pub at: DateTime<Utc>,
    records: Vec<Record>,
    events: Vec<Event>,
}

impl Store {
    /// Begins a change.
    pub(crate) async fn change(&self) -> Result<Change<'_>> {
        Ok(Change {
            tx: db::write(self.db()).await?,
            store: self,
            at: self.now(),
            records: Vec::new(),
            events: Vec::new(),
        })
    }

    /// Begins a change of what may be shown of people (records, own values,
    /// units): it sees one set of rules from begin to end.
    pub(crate) async fn change_people(&self) -> Result<Change<'_>> {
        let change = self.change().await?;
        db::lock_people(&change.tx, false).await?;
        Ok(change)
    }
}

impl Change<'_> {
    /// What is to be recorded with the change: `action` as `noun.verb`,
    /// `subject` as `kind:id` ([`audit::person`]), before and after in `detail`.
    pub fn record(
        &mut self,
        viewer: &Viewer,
        action: &str,
        subject: String,
        detail: serde_json::Value,
    ) {
        self.records
            .push(audit::record(viewer, action, subject, detail));
    }

    /// What is to be told once the change is on disk.
    pub fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Writes the audit entries and the events, commits, and tells.
    pub async fn commit(self) -> Result<()> {
        let Self {
            store,
            tx,
            at,
            records,
            events,
        } = self;
        for id in event::keep(&tx, &store.0.env, at, &events).await? {
            store.0.heard.note(id);
        }
        audit::append_all(&tx, records, at).await?;
        tx.commit().await?;
        if !events.is_empty() {
            store.0.committed.send_replace(());
        }
        for event in events {
            // Fails only when nobody listens.
            store.0.events.send(event).ok();
        }
        Ok(())
    }
}

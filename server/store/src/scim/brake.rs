//! The brake of pushes: where a source says in a short time of many people that
//! they left, some leave, and the others stay until somebody decides.
//!
//! The resource is what the client sent in any case: it is told nothing of this.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::{
    Action, EmployeeId, SourceId, Viewer,
    erp::Worker,
    leaving::{self, State, WITHIN},
};
use sea_orm::{ConnectionTrait, Value as Sql};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{AT_ONCE, not_paused};
use crate::{
    Error, Event, Page, Result, Store, audit, db,
    people::{self, ErpRecord, PersonCard},
    source,
};

/// People in a page.
const PAGE: usize = 50;
/// People who are named where it is told that some wait.
const NAMED: usize = 3;

/// Somebody who is here though the source says that they left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaver {
    /// Their record's id in the source.
    pub record: String,
    /// Who.
    pub person: PersonCard,
    /// Whether they wait, or somebody decided that they stay.
    pub state: State,
    /// When the source said so.
    pub since: DateTime<Utc>,
}

/// That people of a source wait to leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The source.
    pub source: SourceId,
    /// Its name.
    pub source_name: String,
    /// How many.
    pub count: u64,
    /// When the source said so of the first of them.
    pub since: DateTime<Utc>,
    /// And of the last.
    pub until: DateTime<Utc>,
    /// The first of them by name, at most three.
    pub first: Vec<PersonCard>,
}

/// About whom something is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// One record, whether it waits or was kept.
    One(String),
    /// All that wait since then or longer: nobody who came after one looked.
    Until(DateTime<Utc>),
}

/// What is decided about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// They left, as the source says.
    LetGo,
    /// They stay until the source says that they are here, and then that they left.
    Keep,
}

/// Those of `p` whom the source still has here.
const HELD: &str = "pushed_leavers p
    JOIN erp_records r ON r.source_id = p.source_id AND r.external_id = p.record AND r.active
    JOIN employees e ON e.id = r.employee_id";

impl Store {
    /// Takes out of a push those who are to wait, and notes who leaves by it.
    pub(super) async fn hold_back(
        &self,
        viewer: &Viewer,
        source: SourceId,
        workers: Vec<Worker>,
    ) -> Result<Vec<Worker>> {
        let today = self.today();
        let ids: Vec<&str> = workers.iter().map(|one| one.external_id.as_str()).collect();
        let known = told(self.db(), source, &ids).await?;
        let (here, gone): (Vec<_>, Vec<_>) = workers.iter().partition(|one| one.works_on(today));
        let gone: Vec<&str> = gone.iter().map(|one| one.external_id.as_str()).collect();
        let back: Vec<&str> = here
            .iter()
            .map(|one| one.external_id.as_str())
            .filter(|id| known.contains_key(*id))
            .collect();
        let leaving = active(self.db(), source, &gone).await?;
        if back.is_empty() && leaving.is_empty() {
            return Ok(workers);
        }
        let mut change = self.change().await?;
        for id in back {
            let delete = "DELETE FROM pushed_leavers WHERE source_id = $1 AND record = $2";
            let values = [source.0.into(), id.into()];
            change
                .tx
                .execute_raw(db::sql(&change.tx, delete, values))
                .await?;
        }
        let mut held = Vec::new();
        if !leaving.is_empty() {
            // Of several nodes, one counts at a time.
            let find = format!(
                "SELECT leaver_percent, limits FROM sources WHERE id = $1{}",
                db::for_update(&change.tx)
            );
            let row = change
                .tx
                .query_one_raw(db::sql(&change.tx, find, [source.0.into()]))
                .await?
                .ok_or(Error::NotFound)?;
            let limits = source::limits(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let (mut leavers, people) = counted(&change.tx, source, change.at).await?;
            for (record, employee) in leaving {
                let before = known.get(&record).copied();
                let state = leaving::heard(before, &limits, leavers, people);
                if before.is_none() {
                    leavers += 1;
                    note(&change.tx, source, &record, state, change.at).await?;
                }
                if before.is_none() && state.holds() {
                    let detail = json!({ "source": source });
                    change.record(viewer, "person.held_back", audit::person(employee), detail);
                }
                if state.holds() {
                    held.push(record);
                }
            }
        }
        change.commit().await?;
        let mut workers = workers;
        workers.retain(|one| !held.contains(&one.external_id));
        Ok(workers)
    }

    /// Where people wait to leave, by source. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn waiting_leavers(&self, viewer: &Viewer) -> Result<Vec<Waiting>> {
        self.allow(viewer, Action::ReadSources)?;
        let tx = db::read(self.db()).await?;
        let ask = format!(
            "SELECT s.id, s.name, count(*), min(p.since), max(p.since) FROM {HELD}
            JOIN sources s ON s.id = p.source_id WHERE p.state = 'waiting' GROUP BY s.id, s.name ORDER BY s.name"
        );
        let rows = tx.query_all_raw(db::sql(&tx, ask, [])).await?;
        let mut waiting = Vec::with_capacity(rows.len());
        for row in rows {
            let source = SourceId(row.try_get_by_index(0)?);
            let first = held(&tx, source, State::Waiting, 0, NAMED).await?;
            waiting.push(Waiting {
                source,
                source_name: row.try_get_by_index(1)?,
                count: u64::try_from(row.try_get_by_index::<i64>(2)?).unwrap_or(0),
                since: row.try_get_by_index(3)?,
                until: row.try_get_by_index(4)?,
                first: first.into_iter().map(|one| one.person).collect(),
            });
        }
        Ok(waiting)
    }

    /// Those who wait ([`State::Waiting`]) or were kept ([`State::Kept`]), by
    /// name, in pages of fifty. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] for a cursor that is none.
    pub async fn leavers(
        &self,
        viewer: &Viewer,
        source: SourceId,
        state: State,
        cursor: Option<&str>,
    ) -> Result<Page<Leaver>> {
        self.source(viewer, source).await?;
        let from = match cursor {
            Some(cursor) => cursor.parse::<usize>().map_err(|_| people::bad_cursor())?,
            None => 0,
        };
        let tx = db::read(self.db()).await?;
        let mut items = held(&tx, source, state, from, PAGE + 1).await?;
        let more = items.len() > PAGE;
        items.truncate(PAGE);
        Ok(Page {
            items,
            next_cursor: more.then(|| (from + PAGE).to_string()),
        })
    }

    /// Decides about people who wait to leave, or one who was kept; answers how
    /// many that were. Whom it lets go is out when this comes back. Needs
    /// `ManageSources`.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is nobody such, [`Error::Conflict`]
    /// `source_paused`, [`Error::Busy`] while others push.
    pub async fn decide_leavers(
        &self,
        viewer: &Viewer,
        source: SourceId,
        which: &Which,
        fate: Fate,
    ) -> Result<u64> {
        self.allow(viewer, Action::ManageSources)?;
        // To its end, even if who asked goes away meanwhile: a push that was
        // broken off would keep the source from the next one.
        let (store, viewer, which) = (self.clone(), viewer.clone(), which.clone());
        let decided =
            tokio::spawn(async move { store.do_decide(&viewer, source, &which, fate).await });
        decided
            .await
            .map_err(|broken| Error::Internal(format!("a decision broke off: {broken}")))?
    }

    async fn do_decide(
        &self,
        viewer: &Viewer,
        source: SourceId,
        which: &Which,
        fate: Fate,
    ) -> Result<u64> {
        let _turn = self.0.scim.take().await?;
        let (asked, among, value): (_, _, Sql) = match which {
            Which::One(record) => ("p.record = $2", "'waiting', 'kept'", record.as_str().into()),
            Which::Until(until) => ("p.since <= $2", "'waiting'", (*until).into()),
        };
        let find = format!(
            "SELECT p.record, r.employee_id, r.record, r.changed FROM {HELD}
            WHERE p.source_id = $1 AND {asked} AND p.state IN ({among}) ORDER BY p.record"
        );
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), find, [source.0.into(), value]))
            .await?;
        if rows.is_empty() {
            return Err(Error::NotFound);
        }
        let mut decided: BTreeMap<String, EmployeeId> = BTreeMap::new();
        let mut workers = Vec::with_capacity(rows.len());
        for row in &rows {
            decided.insert(
                row.try_get_by_index(0)?,
                EmployeeId(row.try_get_by_index(1)?),
            );
            // What is known of them: their resource may be gone by now.
            let record: String = row.try_get_by_index(2)?;
            let mut worker =
                ErpRecord::decode(&record, &row.try_get_by_index::<String>(3)?)?.worker;
            worker.active = false;
            workers.push(worker);
        }
        let (state, action) = match fate {
            Fate::LetGo => (State::LetGo, "person.let_go"),
            Fate::Keep => (State::Kept, "person.kept"),
        };
        if fate == Fate::LetGo {
            not_paused(self.db(), source).await?;
            // First the people, then the note of it: should this end between the
            // two, nobody is out of whom it is said that they wait.
            self.push(viewer, source, workers, Vec::new()).await?;
        }
        let mut change = self.change().await?;
        let ids: Vec<&str> = decided.keys().map(String::as_str).collect();
        for ids in ids.chunks(AT_ONCE) {
            let update = format!(
                "UPDATE pushed_leavers SET state = $2 WHERE source_id = $1 AND record IN ({})",
                db::places(3, ids.len())
            );
            let values = [source.0.into(), state.name().into()]
                .into_iter()
                .chain(ids.iter().map(|id| (*id).into()));
            change
                .tx
                .execute_raw(db::sql(&change.tx, update, values))
                .await?;
        }
        for employee in decided.values() {
            let detail = json!({ "source": source });
            change.record(viewer, action, audit::person(*employee), detail);
        }
        change.tell(Event::PeopleChanged);
        change.commit().await?;
        Ok(decided.len() as u64)
    }
}

/// What came of what the source said of these before.
async fn told(
    conn: &impl ConnectionTrait,
    source: SourceId,
    records: &[&str],
) -> Result<HashMap<String, State>> {
    let mut told = HashMap::new();
    for ids in records.chunks(AT_ONCE) {
        let find = format!(
            "SELECT record, state FROM pushed_leavers WHERE source_id = $1 AND record IN ({})",
            db::places(2, ids.len())
        );
        let values = std::iter::once(source.0.into()).chain(ids.iter().map(|id| (*id).into()));
        for row in conn.query_all_raw(db::sql(conn, find, values)).await? {
            told.insert(
                row.try_get_by_index(0)?,
                state(&row.try_get_by_index::<String>(1)?)?,
            );
        }
    }
    Ok(told)
}

/// Those of these who are here, and who they are.
async fn active(
    conn: &impl ConnectionTrait,
    source: SourceId,
    records: &[&str],
) -> Result<Vec<(String, EmployeeId)>> {
    let mut found = Vec::new();
    for ids in records.chunks(AT_ONCE) {
        let find = format!(
            "SELECT external_id, employee_id FROM erp_records
            WHERE source_id = $1 AND active AND external_id IN ({}) ORDER BY external_id",
            db::places(2, ids.len())
        );
        let values = std::iter::once(source.0.into()).chain(ids.iter().map(|id| (*id).into()));
        for row in conn.query_all_raw(db::sql(conn, find, values)).await? {
            found.push((
                row.try_get_by_index(0)?,
                EmployeeId(row.try_get_by_index(1)?),
            ));
        }
    }
    Ok(found)
}

/// How many left or wait to since [`WITHIN`], and how many the source had then.
async fn counted(
    conn: &impl ConnectionTrait,
    source: SourceId,
    now: DateTime<Utc>,
) -> Result<(u64, u64)> {
    let since = now - WITHIN;
    let delete = "DELETE FROM pushed_leavers
        WHERE source_id = $1 AND state IN ('out', 'let_go') AND since <= $2";
    let values = [source.0.into(), since.into()];
    conn.execute_raw(db::sql(conn, delete, values)).await?;
    let ask = "SELECT
        (SELECT count(*) FROM pushed_leavers WHERE source_id = $1 AND state = 'out'),
        (SELECT count(*) FROM pushed_leavers WHERE source_id = $1 AND state = 'waiting' AND since > $2),
        (SELECT count(*) FROM erp_records WHERE source_id = $1 AND active)";
    let values = [source.0.into(), since.into()];
    let row = conn
        .query_one_raw(db::sql(conn, ask, values))
        .await?
        .ok_or(Error::NotFound)?;
    let count =
        |at| -> Result<u64> { Ok(u64::try_from(row.try_get_by_index::<i64>(at)?).unwrap_or(0)) };
    let (out, waiting, here) = (count(0)?, count(1)?, count(2)?);
    Ok((out + waiting, out + here))
}

async fn note(
    conn: &impl ConnectionTrait,
    source: SourceId,
    record: &str,
    state: State,
    at: DateTime<Utc>,
) -> Result<()> {
    let insert =
        "INSERT INTO pushed_leavers (source_id, record, state, since) VALUES ($1, $2, $3, $4)
        ON CONFLICT (source_id, record) DO NOTHING";
    let values = [
        source.0.into(),
        record.into(),
        state.name().into(),
        at.into(),
    ];
    conn.execute_raw(db::sql(conn, insert, values)).await?;
    Ok(())
}

/// A part of those who are here in this state, by name.
async fn held(
    conn: &impl ConnectionTrait,
    source: SourceId,
    state: State,
    from: usize,
    count: usize,
) -> Result<Vec<Leaver>> {
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    let ask = format!(
        "SELECT p.record, e.id, p.since FROM {HELD} WHERE p.source_id = $1 AND p.state = $2
        ORDER BY e.sort_name, p.record LIMIT {count} OFFSET {from}"
    );
    let values = [source.0.into(), state.name().into()];
    let rows = conn.query_all_raw(db::sql(conn, ask, values)).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let employee = EmployeeId(row.try_get_by_index(1)?);
        found.push((row.try_get_by_index(0)?, employee, row.try_get_by_index(2)?));
    }
    let cards = people::cards(conn, found.iter().map(|(_, employee, _)| *employee)).await?;
    let leaver = |(record, employee, since)| {
        Some(Leaver {
            record,
            person: cards.get(&employee).cloned()?,
            state,
            since,
        })
    };
    Ok(found.into_iter().filter_map(leaver).collect())
}

fn state(name: &str) -> Result<State> {
    State::named(name).ok_or_else(|| Error::Internal("a leaver in no state that there is".into()))
}

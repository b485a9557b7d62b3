//! Corrections: proposed by a person, decided by an approver, written back into
//! the source, confirmed by its next read.
//!
//! The row is the outbox too: accepting writes the new state and `due_at` in one
//! transaction, and a worker sends what is due. It takes a row by moving
//! `due_at` on, so that a worker that dies between sending and noting it leaves
//! a row that is due again: the same value is sent once more, which changes
//! nothing.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::{
    Attribute, Audience, CorrectionId, EmployeeId, SourceId, Value, Viewer,
    attribute::Kind,
    correction::{self, Approver, NOTE_MAX, REASON_MAX, State, Step},
    text,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Error, Page, Result, Store, audit,
    change::Change,
    db,
    people::{self, PersonCard},
};

mod decides;
mod outbox;

use decides::Deciding;

pub(crate) use outbox::confirm;
pub use outbox::{Again, Due};

/// Corrections in a page.
const PAGE: usize = 50;
/// Rows that are looked at in one go while a page is filled.
const BATCH: usize = 500;

/// A correction as those concerned see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// Which.
    pub id: CorrectionId,
    /// Whose value.
    pub person: PersonCard,
    /// Which value.
    pub attribute: Attribute,
    /// The source that was heard when it was proposed, and that is to be corrected.
    pub source: SourceId,
    /// Its name.
    pub source_name: String,
    /// Its kind: `odoo`, `csv`, …
    pub source_kind: String,
    /// The person's id there.
    pub external_id: String,
    /// What the source said when it was proposed.
    pub was: Option<Value>,
    /// What it should say.
    pub value: Value,
    /// Why, in the person's words.
    pub note: String,
    /// Where it stands.
    pub state: State,
    /// When it was proposed.
    pub proposed_at: DateTime<Utc>,
    /// Who decides about it by today's policy.
    pub approver: Approver,
    /// Whether the viewer is one who decides.
    pub decidable: bool,
    /// Who decided.
    pub decided_by: Option<PersonCard>,
    /// When.
    pub decided_at: Option<DateTime<Utc>>,
    /// Why it was declined.
    pub reason: Option<String>,
    /// How often it was sent to the source.
    pub tries: u32,
    /// When it is sent next.
    pub due_at: Option<DateTime<Utc>>,
    /// When the source took it.
    pub written_at: Option<DateTime<Utc>>,
    /// Why it was not written or not kept.
    pub trouble: Option<Trouble>,
    /// What the source says instead, where that superseded it.
    pub said: Option<Value>,
    /// When it came into its state.
    pub moved_at: DateTime<Utc>,
    /// The people whom the values mean, for an attribute whose values are people's ids.
    pub meant: Vec<PersonCard>,
}

impl Correction {
    /// A value as it is read: a person's name in the place of their id.
    #[must_use]
    pub fn read(&self, value: &Value) -> String {
        let id = meant(self.attribute, value);
        let person = self.meant.iter().find(|person| Some(person.id) == id);
        person.map_or_else(|| value.to_string(), |person| person.display_name.clone())
    }
}

/// Why a value was not written or not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Stable: an adapter's code (`unreachable`, `forbidden`, `rejected` …), `superior_below`, `not_kept`, `other_value` or `gone`.
    pub code: String,
    /// The same for people, without internals; empty where the code says it all.
    pub text: String,
}

/// What a person would have to know before proposing a correction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prospect {
    /// What the source says now.
    pub says: Option<Value>,
    /// The source that is heard.
    pub source: SourceId,
    /// Its name.
    pub source_name: String,
    /// Its kind: `odoo`, `csv`, …
    pub source_kind: String,
    /// The number of the rule that locks the field; 0 is the built-in one.
    pub rule: u32,
    /// Who decides by the policy.
    pub approver: Approver,
    /// Some of those who would decide, by name; empty where there is nobody.
    pub approvers: Vec<PersonCard>,
    /// The open correction, if there is one already.
    pub open: Option<CorrectionId>,
}

/// Which corrections to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Those that wait for the viewer's decision, the longest waiting first.
    #[default]
    ToDecide,
    /// Those that the viewer could decide about and that are on their way, or failed.
    UnderWay,
    /// Those that the viewer could decide about and that are over, the latest first.
    Over,
    /// The viewer's own, the latest first.
    Mine,
}

impl Of {
    /// Every list.
    pub const ALL: [Self; 4] = [Self::ToDecide, Self::UnderWay, Self::Over, Self::Mine];

    /// The name in addresses and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ToDecide => "to_decide",
            Self::UnderWay => "under_way",
            Self::Over => "over",
            Self::Mine => "mine",
        }
    }

    /// The list of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// A row of the table.
struct Row {
    id: CorrectionId,
    employee: EmployeeId,
    attribute: Attribute,
    source: SourceId,
    external_id: String,
    was: Option<Value>,
    value: Value,
    note: String,
    state: State,
    proposed_at: DateTime<Utc>,
    decided_by: Option<EmployeeId>,
    decided_at: Option<DateTime<Utc>>,
    reason: Option<String>,
    tries: u32,
    due_at: Option<DateTime<Utc>>,
    written_at: Option<DateTime<Utc>>,
    trouble: Option<Trouble>,
    said: Option<Value>,
    moved_at: DateTime<Utc>,
}

const ROW: &str = "c.id, c.employee_id, c.attribute, c.source_id, c.external_id, c.was, c.value, c.note, \
     c.state, c.proposed_at, c.decided_by, c.decided_at, c.reason, c.tries, c.due_at, c.written_at, \
     c.trouble, c.trouble_text, c.said, c.moved_at";

fn row(row: &QueryResult) -> Result<Row> {
    let kept = |column: &str| -> Result<Option<Value>> {
        let text: Option<String> = row.try_get("", column)?;
        Ok(text.as_deref().map(serde_json::from_str).transpose()?)
    };
    let state: String = row.try_get("", "state")?;
    let attribute: String = row.try_get("", "attribute")?;
    let unknown = |what: &str| Error::Internal(format!("a correction of no {what} that there is"));
    let code: Option<String> = row.try_get("", "trouble")?;
    let text: Option<String> = row.try_get("", "trouble_text")?;
    Ok(Row {
        id: CorrectionId(row.try_get("", "id")?),
        employee: EmployeeId(row.try_get("", "employee_id")?),
        attribute: attribute.parse().map_err(|_| unknown("attribute"))?,
        source: SourceId(row.try_get("", "source_id")?),
        external_id: row.try_get("", "external_id")?,
        was: kept("was")?,
        value: kept("value")?.ok_or_else(|| unknown("value"))?,
        note: row.try_get("", "note")?,
        state: State::named(&state).ok_or_else(|| unknown("state"))?,
        proposed_at: row.try_get("", "proposed_at")?,
        decided_by: row
            .try_get::<Option<Uuid>>("", "decided_by")?
            .map(EmployeeId),
        decided_at: row.try_get("", "decided_at")?,
        reason: row.try_get("", "reason")?,
        tries: row.try_get::<i32>("", "tries")?.cast_unsigned(),
        due_at: row.try_get("", "due_at")?,
        written_at: row.try_get("", "written_at")?,
        trouble: code.map(|code| Trouble {
            code,
            text: text.unwrap_or_default(),
        }),
        said: kept("said")?,
        moved_at: row.try_get("", "moved_at")?,
    })
}

/// What is said of a correction in the audit log. The log is read by people who
/// may not see private values, nor what was written about them.
fn detail(row: &Row) -> serde_json::Value {
    let mut detail = json!({ "correction": row.id, "attribute": row.attribute });
    if is_private(row.attribute) {
        detail["private"] = true.into();
    } else {
        detail["from"] = json!(row.was);
        detail["to"] = json!(row.value);
    }
    detail
}

fn is_private(attribute: Attribute) -> bool {
    attribute.spec().audience == Audience::HrAndSelf
}

impl Row {
    /// What the source said, should say, and says.
    fn values(&self) -> impl Iterator<Item = &Value> {
        std::iter::once(&self.value)
            .chain(&self.was)
            .chain(&self.said)
    }

    /// `detail` with what somebody wrote, unless that is about a private value.
    fn detail_with(&self, field: &str, words: &str) -> serde_json::Value {
        let mut detail = detail(self);
        if !is_private(self.attribute) {
            detail[field] = words.into();
        }
        detail
    }
}

impl Store {
    /// What the viewer could have corrected in their own profile: the values that
    /// a rule or the catalogue has a source decide.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn correction_prospects(
        &self,
        viewer: &Viewer,
    ) -> Result<BTreeMap<Attribute, Prospect>> {
        let me = self.proposer(viewer)?;
        let tx = db::read(self.db()).await?;
        self.prospects(&tx, viewer, me).await
    }

    /// Proposes what a locked value of the viewer's own should be.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for the value (field `value`) and the note, which
    /// is required; [`crate::Error::Conflict`] `not_locked` for a value that one can
    /// change oneself or that no source has, `already_proposed` while another is
    /// open, `no_approver` where nobody could decide.
    pub async fn propose_correction(
        &self,
        viewer: &Viewer,
        attribute: &str,
        value: Value,
        note: &str,
    ) -> Result<Correction> {
        let me = self.proposer(viewer)?;
        let attribute: Attribute = attribute.parse()?;
        let value = correction::check(attribute, value);
        let note =
            text::prose("note", note, NOTE_MAX).and_then(|note| text::required("note", note));
        let (value, note) = match (value, note) {
            (Ok(value), Ok(note)) => (value, note),
            (value, note) => {
                let wrong = value.err().into_iter().chain(note.err());
                return Err(Error::Invalid(wrong.collect()));
            }
        };
        let mut change = self.change().await?;
        let mut prospects = self.prospects(&change.tx, viewer, me).await?;
        let prospect = prospects
            .remove(&attribute)
            .ok_or(Error::Conflict("not_locked"))?;
        if prospect.open.is_some() {
            return Err(Error::Conflict("already_proposed"));
        }
        if prospect.approvers.is_empty() {
            return Err(Error::Conflict("no_approver"));
        }
        if prospect.says.as_ref() == Some(&value) {
            return Err(Error::Invalid(vec![domain::Violation::BadFormat {
                field: "value".into(),
                expected: "other_value".into(),
            }]));
        }
        if let Some(manager) = meant(attribute, &value) {
            self.can_lead(&change.tx, prospect.source, me, manager)
                .await?;
        }
        let id = CorrectionId::new(change.at, self.random());
        // A value that a source said without a record that says so: decided meanwhile.
        let external_id = record_of(&change.tx, prospect.source, me)
            .await?
            .ok_or(Error::Conflict("not_locked"))?;
        let insert = "INSERT INTO corrections (id, employee_id, attribute, source_id, external_id, was, value, note,
                state, open, proposed_at, tries, moved_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, TRUE, $10, 0, $10)
            ON CONFLICT (employee_id, attribute) WHERE open DO NOTHING";
        let was = prospect.says.as_ref().map(serde_json::to_string);
        let values = [
            id.0.into(),
            me.0.into(),
            attribute.name().into(),
            prospect.source.0.into(),
            external_id.into(),
            was.transpose()?.into(),
            serde_json::to_string(&value)?.into(),
            note.as_str().into(),
            State::Proposed.name().into(),
            change.at.into(),
        ];
        let done = change
            .tx
            .execute_raw(db::sql(&change.tx, insert, values))
            .await?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict("already_proposed"));
        }
        let proposed = find(&change.tx, id).await?;
        let detail = proposed.detail_with("note", &note);
        change.record(viewer, "correction.proposed", audit::person(me), detail);
        change.commit().await?;
        self.correction(viewer, id).await
    }

    /// A correction, for the person and for who decides about it.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn correction(&self, viewer: &Viewer, id: CorrectionId) -> Result<Correction> {
        let tx = db::read(self.db()).await?;
        let deciding = self.deciding(&tx, viewer).await?;
        let row = find(&tx, id).await?;
        if !deciding.concerns(viewer, row.employee, row.attribute) {
            return Err(Error::NotFound);
        }
        let mut told = told(&tx, viewer, &deciding, vec![row]).await?;
        tx.commit().await?;
        self.record_private(viewer, &told).await?;
        told.pop().ok_or(Error::NotFound)
    }

    /// Corrections in pages of fifty.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] for the system, [`crate::Error::Invalid`] for a
    /// cursor that is none.
    pub async fn corrections(
        &self,
        viewer: &Viewer,
        of: Of,
        cursor: Option<&str>,
    ) -> Result<Page<Correction>> {
        let me = viewer.id().ok_or(Error::NotFound)?;
        let cursor = cursor.map(str::parse::<CorrectionId>).transpose();
        let mut after = cursor.map_err(|_| people::bad_cursor())?;
        let (filter, down) = match of {
            Of::ToDecide => ("state = 'proposed'", false),
            Of::UnderWay => (
                "state IN ('accepted', 'written', 'by_hand', 'failed')",
                false,
            ),
            Of::Over => (
                "state IN ('confirmed', 'declined', 'withdrawn', 'superseded')",
                true,
            ),
            Of::Mine => ("employee_id = $1", true),
        };
        let (than, order) = if down { ("<", "DESC") } else { (">", "ASC") };
        let tx = db::read(self.db()).await?;
        let deciding = self.deciding(&tx, viewer).await?;
        let mut found = Vec::new();
        loop {
            // The place of the viewer is used by one of the lists alone, and both databases want every place used.
            let mut values = vec![me.0.into()];
            let mut ask = format!("SELECT {ROW} FROM corrections c WHERE $1 = $1 AND {filter}");
            if let Some(after) = after {
                values.push(after.0.into());
                ask += &format!(" AND id {than} $2");
            }
            ask += &format!(" ORDER BY id {order} LIMIT {BATCH}");
            let rows = tx.query_all_raw(db::sql(&tx, ask, values)).await?;
            let whole = rows.len() == BATCH;
            for one in &rows {
                let one = row(one)?;
                after = Some(one.id);
                if of == Of::Mine || deciding.decides(viewer, one.employee, one.attribute) {
                    found.push(one);
                }
            }
            if found.len() > PAGE || !whole {
                break;
            }
        }
        let more = found.len() > PAGE;
        found.truncate(PAGE);
        let next_cursor = found
            .last()
            .filter(|_| more)
            .map(|last| last.id.to_string());
        let items = told(&tx, viewer, &deciding, found).await?;
        tx.commit().await?;
        self.record_private(viewer, &items).await?;
        Ok(Page { items, next_cursor })
    }

    /// The open corrections of somebody's values, as far as they concern the
    /// viewer: all of one's own, and those that the viewer decides about.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn open_corrections_of(
        &self,
        viewer: &Viewer,
        person: EmployeeId,
    ) -> Result<BTreeMap<Attribute, Correction>> {
        let tx = db::read(self.db()).await?;
        let ask = format!("SELECT {ROW} FROM corrections c WHERE employee_id = $1 AND open");
        let rows = tx
            .query_all_raw(db::sql(&tx, ask, [person.0.into()]))
            .await?;
        if rows.is_empty() {
            return Ok(BTreeMap::new());
        }
        let deciding = self.deciding(&tx, viewer).await?;
        let rows = rows.iter().map(row).collect::<Result<Vec<_>>>()?;
        let rows = rows
            .into_iter()
            .filter(|row| deciding.concerns(viewer, row.employee, row.attribute));
        let told = told(&tx, viewer, &deciding, rows.collect()).await?;
        tx.commit().await?;
        self.record_private(viewer, &told).await?;
        Ok(told.into_iter().map(|one| (one.attribute, one)).collect())
    }

    /// How many corrections wait for the viewer's decision.
    pub(crate) async fn corrections_to_decide(&self, viewer: &Viewer) -> Result<u64> {
        let ask = "SELECT employee_id, attribute FROM corrections WHERE state = 'proposed'";
        let rows = self.db().query_all_raw(db::sql(self.db(), ask, [])).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let deciding = self.deciding(self.db(), viewer).await?;
        let mut count = 0;
        for row in rows {
            let whose = EmployeeId(row.try_get_by_index(0)?);
            let attribute: String = row.try_get_by_index(1)?;
            let decides = attribute
                .parse()
                .is_ok_and(|attribute| deciding.decides(viewer, whose, attribute));
            count += u64::from(decides);
        }
        Ok(count)
    }

    /// Accepts a correction: from now on it is on its way.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] for who does not decide about it,
    /// [`crate::Error::Conflict`] `already_decided`.
    pub async fn accept_correction(&self, viewer: &Viewer, id: CorrectionId) -> Result<Correction> {
        self.decide_correction(viewer, id, Step::Accept, None).await
    }

    /// Declines a correction, also one that failed or waits to be mended by hand.
    /// The person reads the reason, which is required.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `already_decided`,
    /// [`crate::Error::Invalid`].
    pub async fn decline_correction(
        &self,
        viewer: &Viewer,
        id: CorrectionId,
        reason: &str,
    ) -> Result<Correction> {
        let reason = text::prose("reason", reason, REASON_MAX)
            .and_then(|reason| text::required("reason", reason))?;
        self.decide_correction(viewer, id, Step::Decline, Some(reason))
            .await
    }

    /// Has a correction written again that failed.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `already_decided` for
    /// one that did not fail.
    pub async fn retry_correction(&self, viewer: &Viewer, id: CorrectionId) -> Result<Correction> {
        self.decide_correction(viewer, id, Step::Retry, None).await
    }

    /// Takes back a correction of one's own that nobody has decided about, that
    /// failed, or that waits to be mended by hand.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `already_decided`.
    pub async fn withdraw_correction(
        &self,
        viewer: &Viewer,
        id: CorrectionId,
    ) -> Result<Correction> {
        let mut change = self.change().await?;
        let row = find(&change.tx, id).await?;
        if viewer.id() != Some(row.employee) {
            return Err(Error::NotFound);
        }
        moved(&change, &row, Step::Withdraw, "due_at = NULL", []).await?;
        let subject = audit::person(row.employee);
        change.record(viewer, "correction.withdrawn", subject, detail(&row));
        change.commit().await?;
        self.correction(viewer, id).await
    }

    async fn decide_correction(
        &self,
        viewer: &Viewer,
        id: CorrectionId,
        step: Step,
        reason: Option<String>,
    ) -> Result<Correction> {
        let by = viewer.id().ok_or(Error::NotFound)?;
        let mut change = self.change().await?;
        let deciding = self.deciding(&change.tx, viewer).await?;
        let row = find(&change.tx, id).await?;
        if !deciding.decides(viewer, row.employee, row.attribute) {
            return Err(Error::NotFound);
        }
        let (action, detail) = match (step, &reason) {
            (Step::Decline, Some(reason)) => {
                let set = "decided_by = $5, decided_at = $4, reason = $6, due_at = NULL";
                let values = [by.0.into(), reason.as_str().into()];
                moved(&change, &row, step, set, values).await?;
                ("correction.declined", row.detail_with("reason", reason))
            }
            (Step::Retry, _) => {
                let set = "tries = 0, due_at = $4, trouble = NULL, trouble_text = NULL, written_at = NULL";
                moved(&change, &row, step, set, []).await?;
                ("correction.retried", detail(&row))
            }
            _ => {
                let set = "decided_by = $5, decided_at = $4, due_at = $4";
                moved(&change, &row, step, set, [by.0.into()]).await?;
                ("correction.accepted", detail(&row))
            }
        };
        change.record(viewer, action, audit::person(row.employee), detail);
        change.commit().await?;
        self.correction(viewer, id).await
    }

    /// Seeing somebody else's private values is recorded, as on their profile. Nothing is answered before it is.
    async fn record_private(&self, viewer: &Viewer, told: &[Correction]) -> Result<()> {
        let mut seen: BTreeMap<EmployeeId, BTreeSet<Attribute>> = BTreeMap::new();
        for one in told {
            if is_private(one.attribute) && viewer.id() != Some(one.person.id) {
                seen.entry(one.person.id).or_default().insert(one.attribute);
            }
        }
        if seen.is_empty() {
            return Ok(());
        }
        let mut change = self.change().await?;
        for (person, attributes) in seen {
            let detail = json!({ "attributes": attributes });
            change.record(
                viewer,
                "profile.private_read",
                audit::person(person),
                detail,
            );
        }
        change.commit().await
    }
}

/// Rows with the names that belong to them.
async fn told(
    conn: &impl ConnectionTrait,
    viewer: &Viewer,
    deciding: &Deciding,
    rows: Vec<Row>,
) -> Result<Vec<Correction>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let people: BTreeSet<_> = rows
        .iter()
        .flat_map(|row| {
            let meant = row.values().filter_map(|value| meant(row.attribute, value));
            std::iter::once(row.employee)
                .chain(row.decided_by)
                .chain(meant)
        })
        .collect();
    let cards = people::cards(conn, people).await?;
    let sources = sources(conn).await?;
    rows.into_iter()
        .map(|row| {
            let (source_name, source_kind) = sources.get(&row.source).cloned().unwrap_or_default();
            let meant = row.values().filter_map(|value| meant(row.attribute, value));
            Ok(Correction {
                meant: meant.filter_map(|id| cards.get(&id).cloned()).collect(),
                decidable: deciding.decides(viewer, row.employee, row.attribute),
                approver: deciding.policy.approver(row.attribute),
                person: cards.get(&row.employee).cloned().ok_or(Error::NotFound)?,
                decided_by: row.decided_by.and_then(|id| cards.get(&id).cloned()),
                id: row.id,
                attribute: row.attribute,
                source: row.source,
                source_name,
                source_kind,
                external_id: row.external_id,
                was: row.was,
                value: row.value,
                note: row.note,
                state: row.state,
                proposed_at: row.proposed_at,
                decided_at: row.decided_at,
                reason: row.reason,
                tries: row.tries,
                due_at: row.due_at,
                written_at: row.written_at,
                trouble: row.trouble,
                said: row.said,
                moved_at: row.moved_at,
            })
        })
        .collect()
}

/// Whom a value means, where the attribute's values mean people.
fn meant(attribute: Attribute, value: &Value) -> Option<EmployeeId> {
    let person = attribute.spec().kind == Kind::Person;
    value.as_text().filter(|_| person)?.parse().ok()
}

async fn find(conn: &impl ConnectionTrait, id: CorrectionId) -> Result<Row> {
    let ask = format!("SELECT {ROW} FROM corrections c WHERE c.id = $1");
    let found = conn
        .query_one_raw(db::sql(conn, ask, [id.0.into()]))
        .await?;
    row(&found.ok_or(Error::NotFound)?)
}

/// Every source's name and kind.
async fn sources(conn: &impl ConnectionTrait) -> Result<BTreeMap<SourceId, (String, String)>> {
    let ask = "SELECT id, name, kind FROM sources";
    let rows = conn.query_all_raw(db::sql(conn, ask, [])).await?;
    rows.iter()
        .map(|row| {
            let named = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
            Ok((SourceId(row.try_get_by_index(0)?), named))
        })
        .collect()
}

/// By what id a source knows somebody who works there.
async fn record_of(
    conn: &impl ConnectionTrait,
    source: SourceId,
    employee: EmployeeId,
) -> Result<Option<String>> {
    let ask = "SELECT external_id FROM erp_records WHERE source_id = $1 AND employee_id = $2
        AND active ORDER BY external_id LIMIT 1";
    let row = conn
        .query_one_raw(db::sql(conn, ask, [source.0.into(), employee.0.into()]))
        .await?;
    row.map(|row| Ok(row.try_get_by_index(0)?)).transpose()
}

/// Brings a correction into the state that `step` leads to, unless somebody was
/// faster. `set` are further columns; `$4` in it is the time of the change, and
/// `values` stand for `$5` and so on.
///
/// # Errors
/// [`crate::Error::Conflict`] `already_decided`.
async fn moved(
    change: &Change<'_>,
    row: &Row,
    step: Step,
    set: &str,
    values: impl IntoIterator<Item = sea_orm::Value>,
) -> Result<()> {
    let next = row
        .state
        .after(step)
        .ok_or(Error::Conflict("already_decided"))?;
    put(&change.tx, row, next, change.at, set, values).await
}

async fn put(
    tx: &DatabaseTransaction,
    row: &Row,
    next: State,
    at: DateTime<Utc>,
    set: &str,
    values: impl IntoIterator<Item = sea_orm::Value>,
) -> Result<()> {
    let update = format!(
        "UPDATE corrections SET state = $2, open = {}, moved_at = $4, {set} WHERE id = $1 AND state = $3",
        if next.is_open() { "TRUE" } else { "FALSE" },
    );
    let own: [sea_orm::Value; 4] = [
        row.id.0.into(),
        next.name().into(),
        row.state.name().into(),
        at.into(),
    ];
    let values = own.into_iter().chain(values);
    let done = tx.execute_raw(db::sql(tx, update, values)).await?;
    match done.rows_affected() {
        0 => Err(Error::Conflict("already_decided")),
        _ => Ok(()),
    }
}

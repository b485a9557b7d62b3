//! People as lists show them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    Action, Attribute, EmployeeId, UnitId, Viewer, Violation, erp::Worker, sync::differences, text,
};
use sea_orm::{ConnectionTrait, QueryResult, Value};
use serde::{Deserialize, Serialize};

use crate::{Error, Page, Result, Store, db};

/// A person in a list: shown values that everyone may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonCard {
    /// Who.
    pub id: EmployeeId,
    /// The name shown.
    pub display_name: String,
    /// The job title shown.
    pub title: Option<String>,
    /// The unit's name.
    pub department: Option<String>,
    /// The unit.
    pub unit: Option<UnitId>,
    /// The place of work.
    pub location: Option<String>,
    /// The mail address shown.
    pub email: Option<String>,
    /// The number in the ERP.
    pub employee_number: Option<String>,
    /// Hash of the portrait, served at `/photos/{hash}`.
    pub photo: Option<String>,
    /// Whether they work here now.
    pub active: bool,
}

/// What to look for in the directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DirectoryQuery {
    /// Words, each of which has to occur in name, title, unit, mail or number; at most 200 characters.
    pub q: String,
    /// Only people of this unit and those below it.
    pub unit: Option<UnitId>,
    /// From a page's `next_cursor`.
    pub cursor: Option<String>,
    /// How many, 1 to 200; 50 if absent.
    pub limit: Option<u32>,
}

/// A page of the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// The people, by name.
    pub page: Page<PersonCard>,
    /// How many match in all.
    pub matching: u64,
    /// How many work here in all.
    pub total: u64,
}

/// What a source says of a person, as the table `erp_records` keeps it.
///
/// Column `record` is the JSON `{"worker": Worker, "photo": hash | null}`, column
/// `changed` a JSON map from SCIM names to times (RFC 3339). `manager`,
/// `department`, `photos` and `active` stand in the worker's fields of their own
/// and have their times here too.
///
/// What a reference of the worker means here is in the row of `employees`:
/// `unit_id`, `manager_id` (or `manager_ref`, if nobody has it) and `active`. The
/// value shown as `department` is the unit's name, as `manager` the superior's
/// [`EmployeeId`]. Where several sources speak of a person, one where the person
/// is active goes before others, and then the source that was connected first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErpRecord {
    /// The record as it was read.
    pub worker: Worker,
    /// Hash of the re-encoded portrait in `photos`, once it was fetched.
    pub photo: Option<String>,
    /// Since when the ERP says what it says.
    pub changed: BTreeMap<Attribute, DateTime<Utc>>,
}

#[derive(Serialize, Deserialize)]
struct Kept<W> {
    worker: W,
    photo: Option<String>,
}

impl ErpRecord {
    /// The record that follows `before`, read at `at`: what differs carries the
    /// time at which the ERP changed the record, or `at` if it does not say or
    /// says a later one.
    pub(crate) fn succeed(
        before: Option<&Self>,
        worker: Worker,
        photo: Option<String>,
        at: DateTime<Utc>,
    ) -> Self {
        let since = worker.changed_at.map_or(at, |changed| changed.min(at));
        let mut changed = before
            .map(|before| before.changed.clone())
            .unwrap_or_default();
        let none = BTreeMap::new();
        let said = before.map_or(&none, |before| &before.worker.attributes);
        let mut differ: Vec<_> = differences(said, &worker.attributes)
            .into_iter()
            .map(|change| change.attribute)
            .chain(
                worker
                    .attributes
                    .keys()
                    .copied()
                    .filter(|attribute| !said.contains_key(attribute)),
            )
            .collect();
        let old = before.map(|before| &before.worker);
        for (attribute, differs) in [
            (
                Attribute::Manager,
                old.map(|old| &old.manager) != Some(&worker.manager),
            ),
            (
                Attribute::Department,
                old.map(|old| &old.unit) != Some(&worker.unit),
            ),
            (
                Attribute::Active,
                old.map(|old| old.active) != Some(worker.active),
            ),
            (
                Attribute::Photos,
                before.map(|before| &before.photo) != Some(&photo),
            ),
        ] {
            if differs {
                differ.push(attribute);
            }
        }
        changed.extend(differ.into_iter().map(|attribute| (attribute, since)));
        Self {
            worker,
            photo,
            changed,
        }
    }

    /// The columns `record` and `changed`.
    pub(crate) fn encode(&self) -> Result<(String, String)> {
        let kept = Kept {
            worker: &self.worker,
            photo: self.photo.clone(),
        };
        Ok((
            serde_json::to_string(&kept)?,
            serde_json::to_string(&self.changed)?,
        ))
    }

    /// Reads the columns `record` and `changed`.
    pub(crate) fn decode(record: &str, changed: &str) -> Result<Self> {
        let kept: Kept<Worker> = serde_json::from_str(record)?;
        Ok(Self {
            worker: kept.worker,
            photo: kept.photo,
            changed: serde_json::from_str(changed)?,
        })
    }
}

/// What is so of an `employees e` who works here now. Compared, and not the column alone: only then does SQLite read
/// people by name from the index that begins with it.
pub(crate) const WORKS_HERE: &str = "e.active = TRUE";

/// The columns of a card, for `SELECT … FROM employees e`; read by [`card`].
pub(crate) const CARD: &str = "e.id, e.display_name, e.title, e.department, e.unit_id, \
     e.location, e.email, e.employee_number, e.photo, e.active";

/// A card from a row that has the columns of [`CARD`].
pub(crate) fn card(row: &QueryResult) -> Result<PersonCard> {
    Ok(PersonCard {
        id: EmployeeId(row.try_get("", "id")?),
        display_name: row.try_get("", "display_name")?,
        title: row.try_get("", "title")?,
        department: row.try_get("", "department")?,
        unit: row
            .try_get::<Option<uuid::Uuid>>("", "unit_id")?
            .map(UnitId),
        location: row.try_get("", "location")?,
        email: row.try_get("", "email")?,
        employee_number: row.try_get("", "employee_number")?,
        photo: row.try_get("", "photo")?,
        active: row.try_get("", "active")?,
    })
}

/// The cards of `ids` without asking who looks: for verbs that asked already.
pub(crate) async fn cards(
    conn: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = EmployeeId>,
) -> Result<BTreeMap<EmployeeId, PersonCard>> {
    let ids: Vec<_> = ids.into_iter().collect();
    let mut cards = BTreeMap::new();
    for ids in ids.chunks(1000) {
        let ask = format!(
            "SELECT {CARD} FROM employees e WHERE e.id IN ({})",
            db::places(1, ids.len())
        );
        let values = ids.iter().map(|id| id.0.into());
        for row in conn.query_all_raw(db::sql(conn, ask, values)).await? {
            let card = card(&row)?;
            cards.insert(card.id, card);
        }
    }
    Ok(cards)
}

/// How many rows a page may have: 1 to 200, 50 if nothing is asked for.
///
/// # Errors
/// [`crate::Error::Invalid`].
pub(crate) fn limit(asked: Option<u32>) -> Result<usize> {
    match asked.unwrap_or(50) {
        limit @ 1..=200 => Ok(limit as usize),
        other => Err(Violation::Unknown {
            field: "limit".into(),
            value: other.to_string(),
            allowed: "1 to 200".into(),
        }
        .into()),
    }
}

/// What a cursor that is none of ours is answered with.
pub(crate) fn bad_cursor() -> Error {
    Violation::BadFormat {
        field: "cursor".into(),
        expected: "a cursor".into(),
    }
    .into()
}

/// Most characters of a search.
const SEARCH_MAX: usize = 200;

impl Store {
    /// Finds people who work here now, by name.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a cursor, limit or search that is none.
    pub async fn directory(&self, viewer: &Viewer, query: &DirectoryQuery) -> Result<Directory> {
        self.allow(viewer, Action::ReadProfile)?;
        let limit = limit(query.limit)?;
        let q = text::fold(&text::line("q", &query.q, SEARCH_MAX)?);
        let snapshot = self.chart();
        let mut values: Vec<Value> = Vec::new();
        let mut filters = String::from(WORKS_HERE);
        let find = db::either(self.db(), "instr", "strpos");
        for word in q.split_whitespace() {
            values.push(word.into());
            filters += &format!(" AND {find}(e.search, ${}) > 0", values.len());
        }
        if let Some(unit) = query.unit {
            let units: Vec<_> = snapshot.units_below(unit).collect();
            if units.is_empty() {
                return Err(Error::NotFound);
            }
            let places = db::places(values.len() + 1, units.len());
            filters += &format!(" AND e.unit_id IN ({places})");
            values.extend(units.into_iter().map(|unit| unit.0.into()));
        }
        let total = snapshot.chart.len() as u64;
        let matching = if values.is_empty() {
            total
        } else {
            let ask = format!("SELECT count(*) FROM employees e WHERE {filters}");
            let row = self
                .db()
                .query_one_raw(db::sql(self.db(), ask, values.clone()))
                .await?;
            let count: i64 = row.ok_or(Error::NotFound)?.try_get_by_index(0)?;
            count as u64
        };
        if let Some(cursor) = &query.cursor {
            let (id, name) = cursor.split_at_checked(36).ok_or_else(bad_cursor)?;
            let id: EmployeeId = id.parse().map_err(|_| bad_cursor())?;
            values.extend([name.into(), id.0.into()]);
            let (name, id) = (values.len() - 1, values.len());
            filters += &format!(" AND (e.sort_name, e.id) > (${name}, ${id})");
        }
        let ask = format!(
            "SELECT {CARD}, e.sort_name FROM employees e WHERE {filters} \
             ORDER BY e.sort_name, e.id LIMIT {}",
            limit + 1
        );
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), ask, values))
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
        Ok(Directory {
            page: Page { items, next_cursor },
            matching,
            total,
        })
    }

    /// One person's card, also of somebody who left.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn person(&self, viewer: &Viewer, id: EmployeeId) -> Result<PersonCard> {
        self.allow_about(viewer, id, Action::ReadProfile)?;
        let mut cards = cards(self.db(), [id]).await?;
        cards.remove(&id).ok_or(Error::NotFound)
    }

    /// The cards of `ids`; unknown ids are absent.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] for somebody who may not read profiles, [`crate::Error::Db`].
    pub async fn cards(
        &self,
        viewer: &Viewer,
        ids: &[EmployeeId],
    ) -> Result<BTreeMap<EmployeeId, PersonCard>> {
        self.allow(viewer, Action::ReadProfile)?;
        cards(self.db(), ids.iter().copied()).await
    }
}

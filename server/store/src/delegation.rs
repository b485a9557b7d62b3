//! Who stands in for whom, and who reports by dotted line.

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    Action, DelegationId, EmployeeId, Viewer,
    delegation::Request,
    review::{Edge, Span},
};
use sea_orm::{ConnectionTrait, QueryResult, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Error, Event, Result, Store, audit, db,
    people::{self, PersonCard},
};

/// A time in which somebody stands in for a superior.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// Which.
    pub id: DelegationId,
    /// For whom.
    pub manager: PersonCard,
    /// Who.
    pub delegate: PersonCard,
    /// The first day.
    pub from: NaiveDate,
    /// The last day; none for one without end.
    pub until: Option<NaiveDate>,
    /// The source that says so; none for one that was set in the portal.
    pub source_name: Option<String>,
    /// When it was ended before its last day.
    pub ended_at: Option<DateTime<Utc>>,
    /// Whether it holds now.
    pub holds: bool,
    /// Whether it is over.
    pub over: bool,
}

/// Dotted lines of one person that hold now.
#[derive(Default)]
pub(crate) struct Dotted {
    /// The superiors, in the source's order.
    pub above: Vec<EmployeeId>,
    /// Those below, by name.
    pub below: Vec<EmployeeId>,
}

/// That one of two stands in for the other, today.
pub(crate) struct Standing {
    /// The other one.
    pub other: EmployeeId,
    /// Whether the other one stands in for the person; else the person does for them.
    pub for_them: bool,
    /// The last day.
    pub until: Option<NaiveDate>,
}

/// A time in which `delegate` stands in for `manager`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    pub manager: EmployeeId,
    pub span: Span,
}

/// What [`time`] reads.
const HOLDS: &str = "d.delegate_id IS NOT NULL AND d.from_at <= $2 AND (d.to_at IS NULL OR d.to_at > $2) \
     AND (d.ended_at IS NULL OR d.ended_at > $2)";

/// The dotted lines that hold now.
pub(crate) async fn dotted(conn: &impl ConnectionTrait, id: EmployeeId) -> Result<Dotted> {
    let ask = "SELECT d.employee_id, d.superior_id FROM dotted_lines d \
               JOIN employees e ON e.id = d.employee_id \
               WHERE d.to_at IS NULL AND d.superior_id IS NOT NULL \
               AND (d.employee_id = $1 OR d.superior_id = $1) ORDER BY d.place, e.sort_name, d.id";
    let mut dotted = Dotted::default();
    for row in conn
        .query_all_raw(db::sql(conn, ask, [id.0.into()]))
        .await?
    {
        let employee = EmployeeId(row.try_get_by_index(0)?);
        let superior = EmployeeId(row.try_get_by_index(1)?);
        let (list, other) = if employee == id {
            (&mut dotted.above, superior)
        } else {
            (&mut dotted.below, employee)
        };
        // Two sources may say the same.
        if other != id && !list.contains(&other) {
            list.push(other);
        }
    }
    Ok(dotted)
}

/// Who stands in for `id` at `now`, and for whom `id` does.
pub(crate) async fn standing(
    conn: &impl ConnectionTrait,
    id: EmployeeId,
    now: DateTime<Utc>,
) -> Result<Vec<Standing>> {
    let ask = format!(
        "SELECT d.manager_id, d.delegate_id, d.until_day FROM delegations d \
         WHERE (d.manager_id = $1 OR d.delegate_id = $1) AND {HOLDS} ORDER BY d.from_at, d.id"
    );
    let rows = conn
        .query_all_raw(db::sql(conn, ask, [id.0.into(), now.into()]))
        .await?;
    rows.iter()
        .map(|row| {
            let manager = EmployeeId(row.try_get_by_index(0)?);
            let delegate = EmployeeId(row.try_get_by_index(1)?);
            Ok(Standing {
                other: if manager == id { delegate } else { manager },
                for_them: manager == id,
                until: day(row.try_get_by_index(2)?)?,
            })
        })
        .collect()
}

/// When, and for whom, `delegate` stands in at `now`.
pub(crate) async fn times(
    conn: &impl ConnectionTrait,
    delegate: EmployeeId,
    now: DateTime<Utc>,
) -> Result<Vec<Time>> {
    let ask = format!(
        "SELECT d.manager_id, d.from_at, d.to_at, d.ended_at FROM delegations d JOIN employees e ON e.id = d.manager_id \
         WHERE d.delegate_id = $1 AND e.active AND {HOLDS} ORDER BY d.from_at, d.id"
    );
    let rows = conn
        .query_all_raw(db::sql(conn, ask, [delegate.0.into(), now.into()]))
        .await?;
    rows.iter()
        .map(|row| {
            let to: Option<DateTime<Utc>> = row.try_get_by_index(2)?;
            let ended: Option<DateTime<Utc>> = row.try_get_by_index(3)?;
            Ok(Time {
                manager: EmployeeId(row.try_get_by_index(0)?),
                span: Span {
                    from: row.try_get_by_index(1)?,
                    to: to.into_iter().chain(ended).min(),
                },
            })
        })
        .collect()
}

/// The dotted lines to `superior` of any of `employees`, those of the past too.
pub(crate) async fn lines(
    conn: &impl ConnectionTrait,
    superior: EmployeeId,
    employees: &[EmployeeId],
) -> Result<Vec<Edge>> {
    if employees.is_empty() {
        return Ok(Vec::new());
    }
    let ask = format!(
        "SELECT employee_id, superior_id, from_at, to_at FROM dotted_lines \
         WHERE superior_id = $1 AND employee_id IN ({}) ORDER BY from_at, id",
        db::places(2, employees.len())
    );
    let ids = employees.iter().map(|id| id.0.into());
    let values = std::iter::once(superior.0.into()).chain(ids);
    let rows = conn.query_all_raw(db::sql(conn, ask, values)).await?;
    rows.iter()
        .map(|row| {
            Ok(Edge {
                employee: EmployeeId(row.try_get_by_index(0)?),
                manager: EmployeeId(row.try_get_by_index(1)?),
                from: row.try_get_by_index(2)?,
                to: row.try_get_by_index(3)?,
            })
        })
        .collect()
}

/// Who stands in at `now` for any of `managers`, and for whom.
pub(crate) async fn stand_ins(
    conn: &impl ConnectionTrait,
    managers: &[EmployeeId],
    now: DateTime<Utc>,
) -> Result<Vec<(EmployeeId, EmployeeId)>> {
    if managers.is_empty() {
        return Ok(Vec::new());
    }
    let ask = format!(
        "SELECT d.delegate_id, d.manager_id FROM delegations d \
         WHERE {} AND d.manager_id IN ({}) ORDER BY d.from_at, d.id",
        HOLDS.replace("$2", "$1"),
        db::places(2, managers.len())
    );
    let ids = managers.iter().map(|id| id.0.into());
    let values = std::iter::once(now.into()).chain(ids);
    let rows = conn.query_all_raw(db::sql(conn, ask, values)).await?;
    rows.iter()
        .map(|row| {
            Ok((
                EmployeeId(row.try_get_by_index(0)?),
                EmployeeId(row.try_get_by_index(1)?),
            ))
        })
        .collect()
}

fn day(text: Option<String>) -> Result<Option<NaiveDate>> {
    let bad = |_| Error::Internal("a day that is none".into());
    text.map(|text| text.parse().map_err(bad)).transpose()
}

impl Store {
    /// Who stands in for somebody, or did, the latest first; at most 50. Needs
    /// `SetDelegate` about them.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn delegations(
        &self,
        viewer: &Viewer,
        manager: EmployeeId,
    ) -> Result<Vec<Delegation>> {
        self.allow_about(viewer, manager, Action::SetDelegate)?;
        let ask = "SELECT d.id, d.manager_id, d.delegate_id, d.from_day, d.until_day, d.from_at, d.to_at, d.ended_at, s.name \
                   FROM delegations d LEFT JOIN sources s ON s.id = d.source_id \
                   WHERE d.manager_id = $1 AND d.delegate_id IS NOT NULL ORDER BY d.from_at DESC, d.id DESC LIMIT 50";
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), ask, [manager.0.into()]))
            .await?;
        let mut everyone = vec![manager];
        for row in &rows {
            everyone.push(EmployeeId(row.try_get_by_index(2)?));
        }
        let cards = people::cards(self.db(), everyone).await?;
        let card = |id: Uuid| cards.get(&EmployeeId(id)).cloned().ok_or(Error::NotFound);
        let now = self.now();
        let read = |row: &QueryResult| -> Result<Delegation> {
            let from_at: DateTime<Utc> = row.try_get_by_index(5)?;
            let to_at: Option<DateTime<Utc>> = row.try_get_by_index(6)?;
            let ended_at: Option<DateTime<Utc>> = row.try_get_by_index(7)?;
            let over = to_at.into_iter().chain(ended_at).any(|end| end <= now);
            Ok(Delegation {
                id: DelegationId(row.try_get_by_index(0)?),
                manager: card(row.try_get_by_index(1)?)?,
                delegate: card(row.try_get_by_index(2)?)?,
                from: day(row.try_get_by_index(3)?)?.unwrap_or_default(),
                until: day(row.try_get_by_index(4)?)?,
                source_name: row.try_get_by_index(8)?,
                ended_at,
                holds: from_at <= now && !over,
                over,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Names who stands in for `manager`. Needs `SetDelegate` about them:
    /// themselves, or HR. Whoever stands in may review what the manager may, if
    /// the oversight policy says so, and never the words of those above themselves.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`] as
    /// [`Request::check`] says.
    pub async fn set_delegate(
        &self,
        viewer: &Viewer,
        manager: EmployeeId,
        request: Request,
    ) -> Result<DelegationId> {
        self.allow_about(viewer, manager, Action::SetDelegate)?;
        request.check(&self.chart().chart, manager, self.today())?;
        let mut change = self.change().await?;
        let id = DelegationId::new(change.at, self.random());
        let until = request.until.succ_opt().map(|day| self.day_begins(day));
        let insert = "INSERT INTO delegations (id, manager_id, delegate_id, from_day, until_day, from_at, to_at, set_by, set_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let values: [Value; 9] = [
            id.0.into(),
            manager.0.into(),
            request.delegate.0.into(),
            request.from.to_string().into(),
            request.until.to_string().into(),
            self.day_begins(request.from).into(),
            until.into(),
            viewer.id().map(|id| id.0).into(),
            change.at.into(),
        ];
        change
            .tx
            .execute_raw(db::sql(&change.tx, insert, values))
            .await?;
        let detail = json!({
            "delegation": id, "delegate": request.delegate, "from": request.from, "until": request.until,
        });
        change.record(viewer, "delegate.set", audit::person(manager), detail);
        change.tell(Event::PeopleChanged);
        change.commit().await?;
        Ok(id)
    }

    /// Ends a time in which somebody stands in, now. Needs `SetDelegate` about
    /// whoever is stood in for.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `delegation_over`.
    pub async fn end_delegation(
        &self,
        viewer: &Viewer,
        manager: EmployeeId,
        id: DelegationId,
    ) -> Result<()> {
        self.allow_about(viewer, manager, Action::SetDelegate)?;
        let mut change = self.change().await?;
        let at = change.at;
        let find = "SELECT delegate_id, to_at, ended_at FROM delegations WHERE id = $1 AND manager_id = $2";
        let row = change
            .tx
            .query_one_raw(db::sql(&change.tx, find, [id.0.into(), manager.0.into()]))
            .await?
            .ok_or(Error::NotFound)?;
        let delegate: Option<Uuid> = row.try_get_by_index(0)?;
        let to: Option<DateTime<Utc>> = row.try_get_by_index(1)?;
        let ended: Option<DateTime<Utc>> = row.try_get_by_index(2)?;
        if ended.is_some() || to.is_some_and(|to| to <= at) {
            return Err(Error::Conflict("delegation_over"));
        }
        let update = "UPDATE delegations SET ended_at = $2 WHERE id = $1";
        change
            .tx
            .execute_raw(db::sql(&change.tx, update, [id.0.into(), at.into()]))
            .await?;
        let detail = json!({ "delegation": id, "delegate": delegate });
        change.record(viewer, "delegate.ended", audit::person(manager), detail);
        change.tell(Event::PeopleChanged);
        change.commit().await
    }
}

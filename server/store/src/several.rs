//! People of whom several sources speak: which of them says the unit and the superior.
//!
//! Other values are decided on every read ([`crate::shown`]); these two are
//! columns of the person's row, because the chart and lists are made of them.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::{
    Attribute, EmployeeId, SourceId,
    erp::Worker,
    org::{NextUp, next_up},
    policy::Kind,
    sourcing::Priority,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use uuid::Uuid;

use crate::{Result, db, people::ErpRecord, policy};

/// Values in one `IN (…)`.
const IN_MAX: usize = 500;

/// Which source is heard first.
pub(crate) struct Order {
    priority: Priority,
    /// The place of each in the order in which they were connected.
    connected: BTreeMap<SourceId, usize>,
}

impl Order {
    /// As it is in the database now.
    pub async fn load(conn: &impl ConnectionTrait) -> Result<Self> {
        let priority = policy::current::<Priority>(conn, Kind::SourcePriority).await?;
        let ask = "SELECT id FROM sources ORDER BY created_at, id";
        let rows = conn.query_all_raw(db::sql(conn, ask, [])).await?;
        let places = rows
            .iter()
            .enumerate()
            .map(|(place, row)| Ok((SourceId(row.try_get_by_index(0)?), place)));
        Ok(Self {
            priority: priority.map(|version| version.body).unwrap_or_default(),
            connected: places.collect::<Result<_>>()?,
        })
    }

    /// A source's place for an attribute; the least is heard first.
    pub fn place(&self, attribute: Attribute, source: SourceId) -> (u8, usize, usize) {
        let (tier, place) = self.priority.place(attribute, source);
        let connected = self.connected.get(&source).copied();
        (tier, place, connected.unwrap_or(usize::MAX))
    }
}

/// What of a person's row two sources may say differently.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Belongs {
    unit: Option<Uuid>,
    unit_ref: Option<String>,
    manager: Option<Uuid>,
    manager_ref: Option<String>,
}

/// Those of `ids` who have a record of another source than `source` too.
pub(crate) async fn shared(
    conn: &impl ConnectionTrait,
    source: SourceId,
    ids: &[EmployeeId],
) -> Result<HashSet<EmployeeId>> {
    let mut shared = HashSet::new();
    for ids in ids.chunks(IN_MAX) {
        let find = format!(
            "SELECT DISTINCT employee_id FROM erp_records WHERE source_id <> $1 AND employee_id IN ({})",
            db::places(2, ids.len())
        );
        let ids = ids.iter().map(|id| id.0.into());
        let values = std::iter::once(source.0.into()).chain(ids);
        for row in conn.query_all_raw(db::sql(conn, find, values)).await? {
            shared.insert(EmployeeId(row.try_get_by_index(0)?));
        }
    }
    Ok(shared)
}

/// Everybody of whom more than one source speaks.
pub(crate) async fn everyone_shared(conn: &impl ConnectionTrait) -> Result<Vec<EmployeeId>> {
    let find = "SELECT employee_id FROM erp_records GROUP BY employee_id HAVING count(*) > 1";
    let rows = conn.query_all_raw(db::sql(conn, find, [])).await?;
    rows.iter()
        .map(|row| Ok(EmployeeId(row.try_get_by_index(0)?)))
        .collect()
}

/// Works out unit and superior of `ids` from all their records; answers who has
/// another one now. The chart has to be built anew for them, and what is shown.
pub(crate) async fn settle(
    tx: &DatabaseTransaction,
    ids: &[EmployeeId],
    at: DateTime<Utc>,
) -> Result<Vec<EmployeeId>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let order = Order::load(tx).await?;
    let mut settled = Vec::new();
    for ids in ids.chunks(IN_MAX) {
        settled.extend(settle_some(tx, &order, ids, at).await?);
    }
    Ok(settled)
}

/// Which record says it: one of somebody active before others, then by the order.
fn speaker<'a>(
    order: &Order,
    attribute: Attribute,
    records: &'a [(SourceId, bool, Worker)],
    says: impl Fn(&'a Worker) -> Option<&'a str>,
) -> Option<(SourceId, &'a str)> {
    records
        .iter()
        .filter_map(|(source, active, worker)| {
            let rank = (!active, order.place(attribute, *source));
            Some((rank, *source, says(worker)?))
        })
        .min_by_key(|(rank, ..)| *rank)
        .map(|(_, source, said)| (source, said))
}

async fn settle_some(
    tx: &DatabaseTransaction,
    order: &Order,
    ids: &[EmployeeId],
    at: DateTime<Utc>,
) -> Result<Vec<EmployeeId>> {
    let places = db::places(1, ids.len());
    let values = || ids.iter().map(|id| id.0.into());
    let find = format!(
        "SELECT employee_id, source_id, active, record, changed FROM erp_records WHERE employee_id IN ({places})"
    );
    let mut records: HashMap<Uuid, Vec<(SourceId, bool, Worker)>> = HashMap::new();
    for row in tx.query_all_raw(db::sql(tx, find, values())).await? {
        let record: String = row.try_get_by_index(3)?;
        let changed: String = row.try_get_by_index(4)?;
        let one = (
            SourceId(row.try_get_by_index(1)?),
            row.try_get_by_index(2)?,
            ErpRecord::decode(&record, &changed)?.worker,
        );
        records
            .entry(row.try_get_by_index(0)?)
            .or_default()
            .push(one);
    }
    let said = |id: &Uuid| {
        let records = records.get(id).map_or(&[][..], Vec::as_slice);
        let unit = speaker(order, Attribute::Department, records, |one| {
            one.unit.as_deref()
        });
        let manager = speaker(order, Attribute::Manager, records, |one| {
            one.manager.as_deref()
        });
        (unit, manager)
    };
    let mut meant = Meant::default();
    for id in records.keys() {
        let (unit, manager) = said(id);
        meant.ask(unit, manager);
    }
    meant.look_up(tx).await?;

    let find = format!(
        "SELECT id, active, unit_id, unit_ref, manager_id, manager_ref FROM employees WHERE id IN ({places}) ORDER BY id{}",
        db::for_update(tx)
    );
    let (mut rows, mut ended, mut begun) = (Vec::new(), Vec::new(), Vec::new());
    let mut settled = Vec::new();
    for row in tx.query_all_raw(db::sql(tx, find, values())).await? {
        let id: Uuid = row.try_get_by_index(0)?;
        let active: bool = row.try_get_by_index(1)?;
        let was = Belongs {
            unit: row.try_get_by_index(2)?,
            unit_ref: row.try_get_by_index(3)?,
            manager: row.try_get_by_index(4)?,
            manager_ref: row.try_get_by_index(5)?,
        };
        let (unit, manager) = said(&id);
        let now = meant.belongs(unit, manager);
        if was == now {
            continue;
        }
        let other = |manager: Option<Uuid>| manager.filter(|manager| active && *manager != id);
        let (had, has) = (other(was.manager), other(now.manager));
        if had != has {
            ended.extend(had.map(|_| [id.into(), Value::from(at)]));
            begun.extend(has.map(|has| [id.into(), has.into(), Value::from(at)]));
        }
        rows.push([
            id.into(),
            now.unit.into(),
            now.unit_ref.into(),
            now.manager.into(),
            now.manager_ref.into(),
        ]);
        settled.push(EmployeeId(id));
    }
    db::bulk(tx, rows, |rows| {
        format!(
            "UPDATE employees SET unit_id = v.column2, unit_ref = v.column3, manager_id = v.column4,
                manager_ref = v.column5 FROM (VALUES {rows}) AS v WHERE employees.id = v.column1"
        )
    })
    .await?;
    crate::run::write_history(tx, ended, begun).await?;
    Ok(settled)
}

/// What references of sources mean.
#[derive(Default)]
struct Meant {
    units: HashMap<(SourceId, String), Option<Uuid>>,
    people: HashMap<(SourceId, String), Option<Uuid>>,
    /// Who is next above a vacant post.
    posts: HashMap<(SourceId, String), Option<Uuid>>,
}

impl Meant {
    fn ask(&mut self, unit: Option<(SourceId, &str)>, manager: Option<(SourceId, &str)>) {
        let key = |(source, said): (SourceId, &str)| (source, said.to_owned());
        self.units.extend(unit.map(|unit| (key(unit), None)));
        self.people
            .extend(manager.map(|manager| (key(manager), None)));
    }

    async fn look_up(&mut self, tx: &DatabaseTransaction) -> Result<()> {
        let units = "SELECT external_id, id FROM units WHERE source_id = $1 AND external_id IN";
        fill(tx, units, &mut self.units).await?;
        let people = "SELECT external_id, employee_id FROM erp_records WHERE source_id = $1 AND external_id IN";
        fill(tx, people, &mut self.people).await?;
        let missing: HashSet<SourceId> = self
            .people
            .iter()
            .filter(|(_, found)| found.is_none())
            .map(|((source, _), _)| *source)
            .collect();
        for source in missing {
            self.pass_through(tx, source).await?;
        }
        Ok(())
    }

    /// Who is next above the vacant posts of a source.
    async fn pass_through(&mut self, tx: &DatabaseTransaction, source: SourceId) -> Result<()> {
        let find = "SELECT v.external_id, v.manager_ref, r.employee_id FROM vacancies v
            LEFT JOIN erp_records r ON r.source_id = v.source_id AND r.external_id = v.manager_ref
            WHERE v.source_id = $1";
        let mut posts: Vec<(String, Option<String>)> = Vec::new();
        let mut people: HashMap<String, EmployeeId> = HashMap::new();
        for row in tx
            .query_all_raw(db::sql(tx, find, [source.0.into()]))
            .await?
        {
            let manager: Option<String> = row.try_get_by_index(1)?;
            let id: Option<Uuid> = row.try_get_by_index(2)?;
            people.extend(manager.clone().zip(id.map(EmployeeId)));
            posts.push((row.try_get_by_index(0)?, manager));
        }
        let posts = posts
            .iter()
            .map(|(post, above)| (post.as_str(), above.as_deref()));
        for (post, next) in next_up(posts, |reference| people.get(reference).copied()) {
            let above = match next {
                NextUp::Is(id) => Some(id.0),
                NextUp::Nobody | NextUp::Circle => None,
            };
            self.posts.insert((source, post.to_owned()), above);
        }
        Ok(())
    }

    fn belongs(
        &self,
        unit: Option<(SourceId, &str)>,
        manager: Option<(SourceId, &str)>,
    ) -> Belongs {
        let mut belongs = Belongs::default();
        if let Some((source, said)) = unit {
            let key = (source, said.to_owned());
            belongs.unit = self.units.get(&key).copied().flatten();
            belongs.unit_ref = belongs.unit.is_none().then_some(key.1);
        }
        if let Some((source, said)) = manager {
            let key = (source, said.to_owned());
            match self.people.get(&key).copied().flatten() {
                Some(id) => belongs.manager = Some(id),
                None => {
                    belongs.manager = self.posts.get(&key).copied().flatten();
                    belongs.manager_ref = Some(key.1);
                }
            }
        }
        belongs
    }
}

/// Looks the keys up, source by source.
async fn fill(
    tx: &DatabaseTransaction,
    find: &str,
    keys: &mut HashMap<(SourceId, String), Option<Uuid>>,
) -> Result<()> {
    let mut wanted: BTreeMap<SourceId, Vec<String>> = BTreeMap::new();
    for (source, said) in keys.keys() {
        wanted.entry(*source).or_default().push(said.clone());
    }
    for (source, said) in wanted {
        for said in said.chunks(IN_MAX) {
            let find = format!("{find} ({})", db::places(2, said.len()));
            let values =
                std::iter::once(source.0.into()).chain(said.iter().map(|one| one.as_str().into()));
            for row in tx.query_all_raw(db::sql(tx, find, values)).await? {
                let key = (source, row.try_get_by_index::<String>(0)?);
                keys.insert(key, row.try_get_by_index(1)?);
            }
        }
    }
    Ok(())
}

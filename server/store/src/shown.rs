//! What is shown of people: the one place where records, own values and rules meet.
//!
//! [`Sourcing::value`] answers one attribute of one person, with where it came
//! from; a profile is made of these. What lists show are columns of `employees`
//! with the same values: [`reshow`] works them out again, and whoever changes a
//! record, an own value, a unit's name or place, or the rules has to call it in
//! the same transaction.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use domain::{
    Action, Attribute, EmployeeId, SourceId, UnitId, Value, Viewer,
    erp::Worker,
    policy::Kind,
    sourcing::{ErpValue, OwnValue, Priority, Resolved, Rules, Strength, resolve},
    text,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult};
use uuid::Uuid;

use crate::{
    Event, Result, Store, db,
    org::{self, Snapshot},
    people::ErpRecord,
    policy,
};

/// The attributes that have a column of their own in `employees`, or a part in one.
pub(crate) const IN_COLUMNS: [Attribute; 11] = [
    Attribute::DisplayName,
    Attribute::GivenName,
    Attribute::FamilyName,
    Attribute::Title,
    Attribute::Department,
    Attribute::Location,
    Attribute::Emails,
    Attribute::EmployeeNumber,
    Attribute::Photos,
    Attribute::Locale,
    Attribute::Timezone,
];

/// How many people are worked out at once.
const CHUNK: usize = 1000;

/// What decides about everybody's values: the rules, the units, the sources.
pub(crate) struct Sourcing {
    /// The rules in force.
    pub rules: Rules,
    /// Who set them; none for what the portal came with.
    pub set_by: Option<EmployeeId>,
    /// When.
    pub set_at: Option<DateTime<Utc>>,
    /// The units, by which rules are found.
    pub org: Arc<Snapshot>,
    /// Which source is heard first.
    pub priority: Priority,
    sources: BTreeMap<SourceId, SourceFacts>,
}

/// What is to be known of a source.
pub(crate) struct SourceFacts {
    /// Its name.
    pub name: String,
    /// When it was last read to the end.
    pub read_at: Option<DateTime<Utc>>,
    /// Its place in the order in which sources were connected.
    place: usize,
}

/// A value, and what the ERP that was heard says.
pub(crate) struct Verdict {
    /// What is shown, and why.
    pub resolved: Resolved,
    /// The ERP's side.
    pub erp: Option<ErpValue>,
    /// What other sources say, those that would be heard first first.
    pub others: Vec<ErpValue>,
}

/// All that is known of a person.
pub(crate) struct Facts {
    /// Who.
    pub id: EmployeeId,
    /// The unit.
    pub unit: Option<UnitId>,
    /// The own values.
    pub own: BTreeMap<Attribute, OwnValue>,
    /// What lists show now.
    pub columns: Columns,
    manager: Option<EmployeeId>,
    /// Whether they work here now.
    pub active: bool,
    /// The records, in the order in which the sources were connected; in them
    /// `active` says whether the person works there now.
    records: Vec<(SourceId, ErpRecord)>,
}

/// The columns of `employees` that are worked out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Columns {
    /// The name shown.
    pub display_name: String,
    /// The name to sort by: folded.
    pub sort_name: String,
    title: Option<String>,
    department: Option<String>,
    location: Option<String>,
    email: Option<String>,
    employee_number: Option<String>,
    photo: Option<String>,
    locale: Option<String>,
    timezone: Option<String>,
    search: String,
}

impl Sourcing {
    /// As the database has it now.
    pub async fn load(conn: &impl ConnectionTrait) -> Result<Self> {
        let org = Arc::new(org::units_only(conn).await?);
        Self::with(conn, org).await
    }

    /// The same with units that are known already.
    pub async fn with(conn: &impl ConnectionTrait, org: Arc<Snapshot>) -> Result<Self> {
        let version = policy::current::<Rules>(conn, Kind::AttributeRules).await?;
        let priority = policy::current::<Priority>(conn, Kind::SourcePriority).await?;
        let ask = "SELECT id, name, last_read_at FROM sources ORDER BY created_at, id";
        let rows = conn.query_all_raw(db::sql(conn, ask, [])).await?;
        let sources = rows.iter().enumerate().map(|(place, row)| {
            let facts = SourceFacts {
                name: row.try_get("", "name")?,
                read_at: row.try_get("", "last_read_at")?,
                place,
            };
            Ok((SourceId(row.try_get("", "id")?), facts))
        });
        Ok(Self {
            set_by: version.as_ref().and_then(|version| version.set_by),
            set_at: version.as_ref().map(|version| version.set_at),
            rules: version.map(|version| version.body).unwrap_or_default(),
            sources: sources.collect::<Result<_>>()?,
            priority: priority.map(|version| version.body).unwrap_or_default(),
            org,
        })
    }

    /// A source by id.
    pub fn source(&self, id: SourceId) -> Option<&SourceFacts> {
        self.sources.get(&id)
    }

    /// What is shown of somebody under the rules in force.
    pub fn value(&self, facts: &Facts, attribute: Attribute) -> Verdict {
        self.value_under(&self.rules, facts, attribute)
    }

    /// What would be shown under other rules. Of several sources, the first
    /// with a value that no rule has ignored is heard, else the first of all
    /// that have the field. One where the person works goes before others, and
    /// then the order that the organization set.
    pub fn value_under(&self, rules: &Rules, facts: &Facts, attribute: Attribute) -> Verdict {
        let path = facts
            .unit
            .map_or(&[][..], |unit| self.org.chart.unit_path(unit));
        let mut said: Vec<_> = facts
            .said(attribute, self)
            .into_iter()
            .map(|(source, record, value)| {
                let rule = rules.in_force(attribute, path, Some(source));
                let silent =
                    value.as_ref().is_none_or(Value::is_empty) || rule.strength == Strength::None;
                (silent, source, record, value, rule)
            })
            .collect();
        // A stable sort: of equals, the order stays.
        said.sort_by_key(|(silent, ..)| *silent);
        let mut said = said.into_iter().map(|(_, source, record, value, rule)| {
            let read_at = self.source(source).and_then(|source| source.read_at);
            let changed_at = record
                .changed
                .get(&attribute)
                .copied()
                .or(record.worker.changed_at)
                .or(read_at)
                .unwrap_or_default();
            let erp = ErpValue {
                source,
                value,
                changed_at,
                synced_at: read_at.map_or(changed_at, |read_at| read_at.max(changed_at)),
            };
            (erp, rule)
        });
        let (erp, rule) = match said.next() {
            None => (None, rules.in_force(attribute, path, None)),
            Some((erp, rule)) => (Some(erp), rule),
        };
        Verdict {
            resolved: resolve(attribute, rule, erp.as_ref(), facts.own.get(&attribute)),
            others: said.map(|(erp, _)| erp).collect(),
            erp,
        }
    }

    /// Somebody's records in the order in which they are heard about `attribute`.
    fn heard<'a>(&self, facts: &'a Facts, attribute: Attribute) -> Vec<&'a (SourceId, ErpRecord)> {
        let mut records: Vec<_> = facts.records.iter().collect();
        // They come in the order in which the sources were connected.
        records.sort_by_key(|(source, record)| {
            (
                !record.worker.active,
                self.priority.place(attribute, *source),
            )
        });
        records
    }

    /// The columns that somebody should have.
    pub fn columns(&self, facts: &Facts) -> Columns {
        let shown = |attribute| {
            let value = self.value(facts, attribute).resolved.value?;
            Some(value.to_string())
        };
        let names = || {
            let names = [Attribute::GivenName, Attribute::FamilyName];
            let names: Vec<_> = names.into_iter().filter_map(shown).collect();
            (!names.is_empty()).then(|| names.join(" "))
        };
        let employee_number = shown(Attribute::EmployeeNumber);
        let email = shown(Attribute::Emails);
        // Everybody has a name; who has nothing else keeps the one that they came with.
        let display_name = shown(Attribute::DisplayName)
            .or_else(names)
            .or_else(|| employee_number.clone())
            .or_else(|| email.clone())
            .unwrap_or_else(|| facts.columns.display_name.clone());
        let department = facts
            .unit
            .and_then(|unit| self.org.unit_name(unit))
            .map(str::to_owned);
        let title = shown(Attribute::Title);
        let searched = [
            Some(&display_name),
            title.as_ref(),
            department.as_ref(),
            email.as_ref(),
            employee_number.as_ref(),
        ];
        let searched: Vec<_> = searched.into_iter().flatten().map(String::as_str).collect();
        Columns {
            sort_name: text::fold(&display_name),
            search: text::fold(&searched.join("\n")),
            location: shown(Attribute::Location),
            photo: shown(Attribute::Photos),
            locale: shown(Attribute::Locale),
            timezone: shown(Attribute::Timezone),
            display_name,
            title,
            department,
            email,
            employee_number,
        }
    }
}

impl Columns {
    /// The names of the columns, in the order of [`Columns::values`].
    pub const NAMES: &str = "display_name, sort_name, title, department, location, email, \
         employee_number, photo, locale, timezone, search";

    /// What stands in them.
    pub fn values(self) -> [sea_orm::Value; 11] {
        [
            self.display_name.into(),
            self.sort_name.into(),
            self.title.into(),
            self.department.into(),
            self.location.into(),
            self.email.into(),
            self.employee_number.into(),
            self.photo.into(),
            self.locale.into(),
            self.timezone.into(),
            self.search.into(),
        ]
    }
}

impl Facts {
    /// Somebody who comes in now by the name of `name`: one source speaks, and
    /// there is no own value yet.
    pub fn newcomer(
        id: EmployeeId,
        unit: Option<UnitId>,
        name: String,
        source: SourceId,
        record: ErpRecord,
    ) -> Self {
        Self {
            id,
            unit,
            own: BTreeMap::new(),
            columns: Columns {
                display_name: name,
                ..Columns::default()
            },
            manager: None,
            active: true,
            records: vec![(source, record)],
        }
    }

    /// Puts somebody into another unit, as they were in it once.
    pub fn set_unit(&mut self, unit: Option<UnitId>) {
        self.unit = unit;
    }

    /// Takes a change back: `source` (without one, the person) said `was`; nothing
    /// where it had no such field.
    pub fn rewind(
        &mut self,
        sourcing: &Sourcing,
        attribute: Attribute,
        source: Option<SourceId>,
        was: Option<Option<Value>>,
        said_at: Option<DateTime<Utc>>,
    ) {
        let Some(source) = source else {
            match (was.flatten(), said_at) {
                (Some(value), Some(edited_at)) => {
                    self.own.insert(attribute, OwnValue { value, edited_at });
                }
                _ => drop(self.own.remove(&attribute)),
            }
            return;
        };
        let known = self.records.iter().position(|(one, _)| *one == source);
        let at = known.unwrap_or_else(|| {
            // A source that speaks of them no more is heard where it would be.
            let place = |id| sourcing.source(id).map(|source| source.place);
            let at = self
                .records
                .partition_point(|(one, _)| place(*one) < place(source));
            let silent = ErpRecord {
                worker: Worker::default(),
                photo: None,
                changed: BTreeMap::new(),
            };
            self.records.insert(at, (source, silent));
            at
        });
        let record = &mut self.records[at].1;
        match said_at {
            Some(said_at) => drop(record.changed.insert(attribute, said_at)),
            None => drop(record.changed.remove(&attribute)),
        }
        let text = || {
            was.clone()
                .flatten()
                .as_ref()
                .and_then(Value::as_text)
                .map(str::to_owned)
        };
        match attribute {
            Attribute::Manager => self.manager = text().and_then(|id| id.parse().ok()),
            Attribute::Active => self.active = was.clone().flatten() == Some(Value::Flag(true)),
            Attribute::Photos => record.photo = text(),
            _ => match was {
                Some(value) => drop(record.worker.attributes.insert(attribute, value)),
                None => drop(record.worker.attributes.remove(&attribute)),
            },
        }
    }

    /// What each source that has the field says, those that are heard first first.
    fn said(
        &self,
        attribute: Attribute,
        sourcing: &Sourcing,
    ) -> Vec<(SourceId, &ErpRecord, Option<Value>)> {
        let heard = sourcing.heard(self, attribute);
        let org = &sourcing.org;
        let place = |speaks: fn(&ErpRecord) -> bool, value: Option<Value>| {
            // What the references mean stands in the person's row, whichever source it came from.
            let speaker = heard.iter().find(|(_, record)| speaks(record));
            let speaker = speaker.or_else(|| heard.first());
            speaker
                .map(|(source, record)| (*source, record, value))
                .into_iter()
                .collect()
        };
        match attribute {
            Attribute::Department => {
                let name = self.unit.and_then(|unit| org.unit_name(unit));
                place(|record| record.worker.unit.is_some(), name.map(Value::from))
            }
            Attribute::Manager => place(
                |record| record.worker.manager.is_some(),
                self.manager.map(|manager| manager.to_string().into()),
            ),
            Attribute::Active => place(|_| true, Some(Value::Flag(self.active))),
            Attribute::Photos => heard
                .iter()
                .filter_map(|(source, record)| {
                    let photo = record.photo.clone()?;
                    Some((*source, record, Some(photo.into())))
                })
                .collect(),
            _ => heard
                .iter()
                // Who says the names says by them how somebody is called: no later source does.
                .take_while(|(_, record)| {
                    let said = |one| record.worker.text(one).is_some();
                    attribute != Attribute::DisplayName
                        || said(Attribute::DisplayName)
                        || !(said(Attribute::GivenName) || said(Attribute::FamilyName))
                })
                .filter_map(|(source, record)| {
                    let value = record.worker.attributes.get(&attribute)?;
                    Some((*source, record, value.clone()))
                })
                .collect(),
        }
    }
}

/// Whose facts are read.
#[derive(Clone, Copy)]
pub(crate) enum Whom<'a> {
    /// These, at most a thousand.
    These(&'a [EmployeeId]),
    /// The next thousand people after this id.
    After(EmployeeId),
}

/// Reads what is known of people, in the order of their ids. `locked` are their
/// rows until the transaction ends, which has to be one that writes.
pub(crate) async fn facts(
    conn: &impl ConnectionTrait,
    sourcing: &Sourcing,
    whom: Whom<'_>,
    locked: bool,
) -> Result<Vec<Facts>> {
    facts_beside(conn, sourcing, whom, locked, &mut HashMap::new()).await
}

/// [`facts`] that takes the records of some from `known` instead of asking for them.
async fn facts_beside(
    conn: &impl ConnectionTrait,
    sourcing: &Sourcing,
    whom: Whom<'_>,
    locked: bool,
    known: &mut HashMap<EmployeeId, (SourceId, ErpRecord)>,
) -> Result<Vec<Facts>> {
    let lock = if locked { db::for_update(conn) } else { "" };
    let (filter, limit, values) = match whom {
        Whom::These(ids) => (
            format!("id IN ({})", db::places(1, ids.len())),
            ids.len(),
            ids.iter().map(|id| id.0.into()).collect(),
        ),
        Whom::After(id) => ("id > $1".to_owned(), CHUNK, vec![id.0.into()]),
    };
    let ask = format!(
        "SELECT id, active, unit_id, manager_id, display_name, sort_name, title, department, \
         location, email, employee_number, photo, locale, timezone, search \
         FROM employees WHERE {filter} ORDER BY id LIMIT {limit}{lock}"
    );
    let rows = conn.query_all_raw(db::sql(conn, ask, values)).await?;
    let mut people = rows.iter().map(person).collect::<Result<Vec<_>>>()?;
    let (Some(first), Some(last)) = (people.first(), people.last()) else {
        return Ok(people);
    };
    let (filter, values) = match whom {
        Whom::These(_) => (
            format!("employee_id IN ({})", db::places(1, people.len())),
            people.iter().map(|person| person.id.0.into()).collect(),
        ),
        Whom::After(_) => (
            "employee_id BETWEEN $1 AND $2".to_owned(),
            vec![first.id.0.into(), last.id.0.into()],
        ),
    };
    let at = |people: &[Facts], row: &QueryResult| -> Result<Option<usize>> {
        let id = EmployeeId(row.try_get("", "employee_id")?);
        Ok(people.binary_search_by_key(&id, |person| person.id).ok())
    };

    for person in &mut people {
        person.records.extend(known.remove(&person.id));
    }
    let (some, these) = match whom {
        Whom::These(_) => {
            let unknown = people.iter().filter(|person| person.records.is_empty());
            let unknown: Vec<_> = unknown.map(|person| person.id.0.into()).collect();
            let some = format!("employee_id IN ({})", db::places(1, unknown.len()));
            (some, unknown)
        }
        Whom::After(_) => (filter.clone(), values.clone()),
    };
    let ask = format!(
        "SELECT employee_id, source_id, active, record, changed FROM erp_records WHERE {some}"
    );
    let read = match these.is_empty() {
        true => Vec::new(),
        false => conn.query_all_raw(db::sql(conn, ask, these)).await?,
    };
    let mut records = read
        .into_iter()
        .map(|row| {
            let source = SourceId(row.try_get("", "source_id")?);
            let place = sourcing.source(source).map(|source| source.place);
            Ok((place, source, row))
        })
        .collect::<Result<Vec<_>>>()?;
    records.sort_by_key(|(place, ..)| *place);
    for (_, source, row) in records {
        if let Some(at) = at(&people, &row)? {
            let record: String = row.try_get("", "record")?;
            let changed: String = row.try_get("", "changed")?;
            let mut record = ErpRecord::decode(&record, &changed)?;
            // As it is today: the dates in it are followed already.
            record.worker.active = row.try_get("", "active")?;
            people[at].records.push((source, record));
        }
    }

    let ask =
        format!("SELECT employee_id, attribute, value, edited_at FROM own_values WHERE {filter}");
    for row in conn.query_all_raw(db::sql(conn, ask, values)).await? {
        let name: String = row.try_get("", "attribute")?;
        // What the catalogue does not know any more is kept and not shown.
        if let (Some(at), Ok(attribute)) = (at(&people, &row)?, name.parse()) {
            let value: String = row.try_get("", "value")?;
            let own = OwnValue {
                value: serde_json::from_str(&value)?,
                edited_at: row.try_get("", "edited_at")?,
            };
            people[at].own.insert(attribute, own);
        }
    }
    Ok(people)
}

fn person(row: &QueryResult) -> Result<Facts> {
    Ok(Facts {
        id: EmployeeId(row.try_get("", "id")?),
        active: row.try_get("", "active")?,
        unit: row.try_get::<Option<Uuid>>("", "unit_id")?.map(UnitId),
        manager: row
            .try_get::<Option<Uuid>>("", "manager_id")?
            .map(EmployeeId),
        own: BTreeMap::new(),
        records: Vec::new(),
        columns: Columns {
            display_name: row.try_get("", "display_name")?,
            sort_name: row.try_get("", "sort_name")?,
            title: row.try_get("", "title")?,
            department: row.try_get("", "department")?,
            location: row.try_get("", "location")?,
            email: row.try_get("", "email")?,
            employee_number: row.try_get("", "employee_number")?,
            photo: row.try_get("", "photo")?,
            locale: row.try_get("", "locale")?,
            timezone: row.try_get("", "timezone")?,
            search: row.try_get("", "search")?,
        },
    })
}

/// Works out the shown columns of `ids` anew, in the transaction of what
/// changed; answers how many people show something else now. The transaction
/// holds [`db::lock_people`]: [`Store::change_people`] begins such a one.
///
/// # Errors
/// [`crate::Error::Db`].
pub(crate) async fn reshow(tx: &DatabaseTransaction, ids: &[EmployeeId]) -> Result<u64> {
    reshow_knowing(tx, ids, HashMap::new()).await
}

/// [`reshow`] where the records of some are at hand, as they stand in the
/// transaction: of people of whom one source alone speaks.
///
/// # Errors
/// [`crate::Error::Db`].
pub(crate) async fn reshow_knowing(
    tx: &DatabaseTransaction,
    ids: &[EmployeeId],
    mut known: HashMap<EmployeeId, (SourceId, ErpRecord)>,
) -> Result<u64> {
    if ids.is_empty() {
        return Ok(0);
    }
    let sourcing = Sourcing::load(tx).await?;
    // In the order of ids, so that two transactions never wait for each other in a circle.
    let ids: BTreeSet<_> = ids.iter().copied().collect();
    let ids: Vec<_> = ids.into_iter().collect();
    let mut changed = 0;
    for ids in ids.chunks(CHUNK) {
        let people = facts_beside(tx, &sourcing, Whom::These(ids), true, &mut known).await?;
        changed += write(tx, &sourcing, &people).await?;
    }
    Ok(changed)
}

/// [`reshow`] for everybody.
pub(crate) async fn reshow_all(tx: &DatabaseTransaction) -> Result<u64> {
    let sourcing = Sourcing::load(tx).await?;
    let mut changed = 0;
    let mut after = EmployeeId(Uuid::nil());
    loop {
        let people = facts(tx, &sourcing, Whom::After(after), true).await?;
        let Some(last) = people.last() else { break };
        after = last.id;
        changed += write(tx, &sourcing, &people).await?;
    }
    Ok(changed)
}

/// Writes the columns that are other ones, and no others: in SQLite a column that is set to what it was is
/// written again into every index that has it.
async fn write(tx: &DatabaseTransaction, sourcing: &Sourcing, people: &[Facts]) -> Result<u64> {
    // By which columns they are: a change of an ERP's is often the same one for many.
    let mut changed: BTreeMap<Vec<usize>, Vec<Vec<sea_orm::Value>>> = BTreeMap::new();
    for person in people {
        let columns = sourcing.columns(person);
        if columns == person.columns {
            continue;
        }
        let (now, was) = (columns.values(), person.columns.clone().values());
        let differing: Vec<_> = (0..now.len()).filter(|at| now[*at] != was[*at]).collect();
        let values = differing.iter().map(|at| now[*at].clone());
        let row = std::iter::once(person.id.0.into()).chain(values).collect();
        changed.entry(differing).or_default().push(row);
    }
    let names: Vec<_> = Columns::NAMES.split(", ").collect();
    let mut written = 0;
    for (columns, rows) in changed {
        let set: Vec<_> = (2..)
            .zip(&columns)
            .map(|(place, at)| format!("{} = v.column{place}", names[*at]))
            .collect();
        let set = set.join(", ");
        let update = db::bulk(tx, rows, |rows| {
            format!(
                "UPDATE employees SET {set} FROM (VALUES {rows}) AS v WHERE employees.id = v.column1"
            )
        });
        written += update.await?;
    }
    Ok(written)
}

impl Store {
    /// Works out everyone's shown columns anew; answers how many people show
    /// something else now. For an upgrade that shows other columns. Needs
    /// `ManageSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn reshow_everyone(&self, viewer: &Viewer) -> Result<u64> {
        self.allow(viewer, Action::ManageSources)?;
        let mut change = self.change().await?;
        db::lock_people(&change.tx, true).await?;
        let changed = reshow_all(&change.tx).await?;
        change.tell(Event::PeopleChanged);
        change.commit().await?;
        Ok(changed)
    }
}

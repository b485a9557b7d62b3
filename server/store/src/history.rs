//! The past of values: what each layer said when, from which source and run,
//! and what was shown under the rules of the day.
//!
//! A row of `value_history` is one change of one value, in the source's layer or
//! the person's own. What somebody came with is not in it: their record is its
//! beginning, and every later change keeps what was there before. So the past is
//! read backwards, from what is known now.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::{
    Action, Attribute, Audience, EmployeeId, Relation, RunId, SourceId, UnitId, Value, Viewer,
    attribute,
    policy::{Kind, Version},
    sourcing::{InForce, Origin, Rules},
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Error, Result, Store, audit, db,
    people::{self, ErpRecord, PersonCard},
    policy,
    profile::{Profile, RuleInfo},
    shown::{self, Facts, Sourcing, Verdict, Whom},
};

/// Most changes that one answer tells, the latest first.
const CHANGES_MAX: usize = 500;

/// Why a value became another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// A run read it.
    Run(RunId),
    /// An undo put it back.
    Undo(RunId),
    /// The person wrote it.
    Edit,
    /// The source's photo was fetched.
    Photo,
}

impl Why {
    fn columns(self) -> (&'static str, Option<RunId>) {
        match self {
            Self::Run(run) => ("run", Some(run)),
            Self::Undo(run) => ("undo", Some(run)),
            Self::Edit => ("edit", None),
            Self::Photo => ("photo", None),
        }
    }
}

/// One side of a change: the value as JSON, and since when it was said. No JSON
/// means that the layer had no such field, `null` that there was nothing in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Said {
    json: Option<String>,
    at: Option<DateTime<Utc>>,
}

/// One change of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    employee: EmployeeId,
    attribute: Attribute,
    /// The source in whose layer it is; none for the person's own.
    source: Option<SourceId>,
    was: Said,
    became: Said,
}

/// A unit as a change of `department` keeps it: what it was called then stays told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct UnitThen {
    unit: Option<UnitId>,
    name: Option<String>,
}

/// Where somebody stands: what of their row a source decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing<'a> {
    /// Whether they work here.
    pub active: bool,
    /// The unit.
    pub unit: Option<UnitId>,
    /// The superior.
    pub manager: Option<EmployeeId>,
    /// The names of units at that time.
    pub names: &'a HashMap<UnitId, String>,
    /// The record that says so, if it is known.
    pub record: Option<&'a ErpRecord>,
}

/// What differs between two records of one source; without a record it said nothing.
pub(crate) fn of_record(
    employee: EmployeeId,
    source: SourceId,
    was: Option<&ErpRecord>,
    became: Option<&ErpRecord>,
) -> Result<Vec<Turn>> {
    let says = |record: Option<&ErpRecord>, attribute: Attribute| -> Result<Said> {
        let Some(record) = record else {
            return Ok(Said::default());
        };
        let json = match attribute {
            Attribute::Photos => record
                .photo
                .as_ref()
                .map(serde_json::to_string)
                .transpose()?,
            _ => record
                .worker
                .attributes
                .get(&attribute)
                .map(serde_json::to_string)
                .transpose()?,
        };
        let at = json
            .as_ref()
            .and_then(|_| record.changed.get(&attribute).copied());
        Ok(Said { json, at })
    };
    let keys = |record: Option<&ErpRecord>| -> Vec<Attribute> {
        let keys = record.map(|record| record.worker.attributes.keys().copied());
        keys.into_iter().flatten().collect()
    };
    let mut attributes: BTreeSet<_> = keys(was).into_iter().chain(keys(became)).collect();
    attributes.insert(Attribute::Photos);
    let mut turns = Vec::new();
    for attribute in attributes {
        let (was, became) = (says(was, attribute)?, says(became, attribute)?);
        if was.json != became.json {
            turns.push(Turn {
                employee,
                attribute,
                source: Some(source),
                was,
                became,
            });
        }
    }
    Ok(turns)
}

/// What differs between two standings.
pub(crate) fn of_place(
    employee: EmployeeId,
    source: SourceId,
    was: &Standing<'_>,
    became: &Standing<'_>,
) -> Result<Vec<Turn>> {
    let says = |standing: &Standing<'_>, attribute: Attribute| -> Result<Said> {
        let json = match attribute {
            Attribute::Department => {
                let then = UnitThen {
                    unit: standing.unit,
                    name: standing
                        .unit
                        .and_then(|unit| standing.names.get(&unit))
                        .cloned(),
                };
                serde_json::to_string(&then)?
            }
            Attribute::Manager => serde_json::to_string(&standing.manager)?,
            _ => serde_json::to_string(&Some(standing.active))?,
        };
        let changed = standing
            .record
            .and_then(|record| record.changed.get(&attribute));
        Ok(Said {
            json: Some(json),
            at: changed.copied(),
        })
    };
    let mut turns = Vec::new();
    for attribute in [Attribute::Department, Attribute::Manager, Attribute::Active] {
        let (was, became) = (says(was, attribute)?, says(became, attribute)?);
        if was.json != became.json {
            turns.push(Turn {
                employee,
                attribute,
                source: Some(source),
                was,
                became,
            });
        }
    }
    Ok(turns)
}

/// People who went.
pub(crate) fn of_leaving(gone: &[EmployeeId], source: SourceId) -> Result<Vec<Turn>> {
    let said = |active: bool| -> Result<Said> {
        Ok(Said {
            json: Some(serde_json::to_string(&active)?),
            at: None,
        })
    };
    gone.iter()
        .map(|employee| {
            Ok(Turn {
                employee: *employee,
                attribute: Attribute::Active,
                source: Some(source),
                was: said(true)?,
                became: said(false)?,
            })
        })
        .collect()
}

/// A change of an own value; none where there is none.
pub(crate) fn of_own(
    employee: EmployeeId,
    attribute: Attribute,
    was: Option<(&Value, DateTime<Utc>)>,
    became: Option<(&Value, DateTime<Utc>)>,
) -> Result<Turn> {
    let said = |value: Option<(&Value, DateTime<Utc>)>| -> Result<Said> {
        Ok(Said {
            json: value
                .map(|(value, _)| serde_json::to_string(value))
                .transpose()?,
            at: value.map(|(_, at)| at),
        })
    };
    Ok(Turn {
        employee,
        attribute,
        source: None,
        was: said(was)?,
        became: said(became)?,
    })
}

/// Keeps changes, in the transaction that makes them.
pub(crate) async fn write(
    tx: &DatabaseTransaction,
    turns: Vec<Turn>,
    at: DateTime<Utc>,
    why: Why,
    set_by: Option<EmployeeId>,
) -> Result<()> {
    let (why, run) = why.columns();
    let rows = turns.into_iter().map(|turn| {
        [
            turn.employee.0.into(),
            turn.attribute.name().into(),
            turn.source.map(|source| source.0).into(),
            at.into(),
            turn.was.json.into(),
            turn.was.at.into(),
            turn.became.json.into(),
            turn.became.at.into(),
            why.into(),
            run.map(|run| run.0).into(),
            set_by.map(|by| by.0).into(),
        ]
    });
    db::bulk(tx, rows.collect(), |rows| {
        format!(
            "INSERT INTO value_history (employee_id, attribute, source_id, at, was, was_said_at, became,
                said_at, why, run_id, set_by) VALUES {rows}"
        )
    })
    .await?;
    Ok(())
}

/// What made a value another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// The person came in with it.
    Came,
    /// A run of a source read it, or an undo of one put it back.
    Run {
        /// Which.
        run: RunId,
        /// Of which source.
        source: SourceId,
        /// The source's name.
        source_name: String,
        /// Whether the run undid another one.
        undo: bool,
    },
    /// A photo of a source was fetched, or what a system pushed was taken.
    Source {
        /// Which.
        source: SourceId,
        /// Its name.
        source_name: String,
    },
    /// Somebody wrote it here.
    Edit {
        /// Who.
        by: Option<EmployeeId>,
    },
    /// Another rule came into force.
    Rules {
        /// The version of the rules.
        version: u32,
    },
}

/// One change in a value's past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueChange {
    /// When.
    pub at: DateTime<Utc>,
    /// What made it.
    pub cause: Cause,
    /// What the source or the person said before; nothing for rules.
    pub from: Option<Value>,
    /// What they said then.
    pub to: Option<Value>,
    /// What was shown from then on.
    pub shown: Option<Value>,
    /// Whose it was.
    pub origin: Origin,
    /// The rule that decided then.
    pub rule: RuleInfo,
}

/// The past of one value of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueHistory {
    /// Whose.
    pub person: PersonCard,
    /// Which.
    pub attribute: Attribute,
    /// Since when the person is known here.
    pub since: DateTime<Utc>,
    /// The changes, the latest first, at most 500; the last one is how it began.
    pub changes: Vec<ValueChange>,
    /// People whom the changes speak of, by id.
    pub people: BTreeMap<EmployeeId, PersonCard>,
}

/// A profile as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileThen {
    /// The moment.
    pub at: DateTime<Utc>,
    /// Since when the person is known here.
    pub since: DateTime<Utc>,
    /// What was shown; none before the person came.
    pub profile: Option<Profile>,
}

/// A row of `value_history`, read.
struct Row {
    at: DateTime<Utc>,
    attribute: Attribute,
    source: Option<SourceId>,
    was: Past,
    became: Past,
    why: String,
    run: Option<RunId>,
    set_by: Option<EmployeeId>,
}

/// One side of a change, read.
#[derive(Debug, Clone, PartialEq, Default)]
struct Past {
    /// None where there was no such field.
    value: Option<Option<Value>>,
    unit: Option<UnitThen>,
    said_at: Option<DateTime<Utc>>,
}

impl Past {
    fn read(
        attribute: Attribute,
        json: Option<String>,
        said_at: Option<DateTime<Utc>>,
    ) -> Result<Self> {
        let Some(json) = json else {
            return Ok(Self::default());
        };
        if attribute == Attribute::Department {
            let unit: UnitThen = serde_json::from_str(&json)?;
            return Ok(Self {
                value: Some(unit.name.clone().map(Value::from)),
                unit: Some(unit),
                said_at,
            });
        }
        Ok(Self {
            value: Some(serde_json::from_str(&json)?),
            unit: None,
            said_at,
        })
    }

    fn shown(&self) -> Option<Value> {
        self.value
            .clone()
            .flatten()
            .filter(|value| !value.is_empty())
    }
}

impl Row {
    fn read(row: &QueryResult) -> Result<Option<Self>> {
        let name: String = row.try_get("", "attribute")?;
        // What the catalogue does not know any more is kept and not shown.
        let Ok(attribute) = name.parse() else {
            return Ok(None);
        };
        let id = |column| Ok::<_, Error>(row.try_get::<Option<Uuid>>("", column)?);
        Ok(Some(Self {
            at: row.try_get("", "at")?,
            attribute,
            source: id("source_id")?.map(SourceId),
            was: Past::read(
                attribute,
                row.try_get("", "was")?,
                row.try_get("", "was_said_at")?,
            )?,
            became: Past::read(
                attribute,
                row.try_get("", "became")?,
                row.try_get("", "said_at")?,
            )?,
            why: row.try_get("", "why")?,
            run: id("run_id")?.map(RunId),
            set_by: id("set_by")?.map(EmployeeId),
        }))
    }

    fn cause(&self, sourcing: &Sourcing) -> Cause {
        let Some(source) = self.source else {
            return Cause::Edit { by: self.set_by };
        };
        let source_name = sourcing
            .source(source)
            .map(|source| source.name.clone())
            .unwrap_or_default();
        match self.run {
            Some(run) => Cause::Run {
                run,
                source,
                source_name,
                undo: self.why == "undo",
            },
            None => Cause::Source {
                source,
                source_name,
            },
        }
    }
}

/// What was known of somebody at a moment: what is known now, with changes taken back.
struct Then {
    facts: Facts,
    /// What the unit was called, once a change says so.
    department: Option<Option<String>>,
}

impl Then {
    fn take_back(&mut self, row: &Row, sourcing: &Sourcing) {
        let was = &row.was;
        match row.attribute {
            Attribute::Department if row.source.is_some() => {
                let then = was.unit.clone().unwrap_or_default();
                self.facts.set_unit(then.unit);
                let name = || then.unit.and_then(|unit| sourcing.org.unit_name(unit));
                self.department = Some(then.name.clone().or_else(|| name().map(str::to_owned)));
            }
            _ => self.facts.rewind(
                sourcing,
                row.attribute,
                row.source,
                was.value.clone(),
                was.said_at,
            ),
        }
    }

    fn value(&self, sourcing: &Sourcing, attribute: Attribute) -> Verdict {
        let mut verdict = sourcing.value(&self.facts, attribute);
        if let (Attribute::Department, Some(name)) = (attribute, &self.department) {
            let name = name.clone().map(Value::from);
            verdict.resolved.origin = match name {
                Some(_) => Origin::ErpOnly,
                None => Origin::Nothing,
            };
            if let Some(erp) = &mut verdict.erp {
                erp.value.clone_from(&name);
            }
            verdict.resolved.value = name;
        }
        verdict
    }
}

/// The rules through time, the latest first.
struct Eras(Vec<Version<Rules>>);

impl Eras {
    async fn load(conn: &impl ConnectionTrait) -> Result<Self> {
        Ok(Self(policy::versions(conn, Kind::AttributeRules).await?))
    }

    /// Has `sourcing` decide as it did at `at`.
    fn enter(&self, sourcing: &mut Sourcing, at: DateTime<Utc>) {
        self.set(sourcing, self.0.iter().find(|version| version.set_at <= at));
    }

    fn set(&self, sourcing: &mut Sourcing, version: Option<&Version<Rules>>) {
        sourcing.rules = version
            .map(|version| version.body.clone())
            .unwrap_or_default();
        sourcing.set_by = version.and_then(|version| version.set_by);
        sourcing.set_at = version.map(|version| version.set_at);
    }
}

/// Something in a value's past.
enum Moment<'a> {
    Row(&'a Row),
    /// A version of the rules, and the one before it.
    Rules(&'a Version<Rules>, Option<&'a Version<Rules>>),
}

impl Moment<'_> {
    fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Row(row) => row.at,
            Self::Rules(version, _) => version.set_at,
        }
    }
}

/// A change before names are put to it: when, why, from what and to what its layer went, what was
/// shown after it, and under which version of the rules.
type Told = (
    DateTime<Utc>,
    Cause,
    Option<Value>,
    Option<Value>,
    Verdict,
    u32,
);

impl Store {
    /// The past of one value: each change with its source, run and rule, and
    /// what was shown from then on under the rules of that day. As with the
    /// profile, reading somebody's private value is recorded.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] for a person or an attribute that the viewer may not see.
    pub async fn value_history(
        &self,
        viewer: &Viewer,
        id: EmployeeId,
        attribute: Attribute,
    ) -> Result<ValueHistory> {
        self.allow_about(viewer, id, Action::ReadProfile)?;
        let relation = self.relation(viewer, id);
        if !viewer.may(relation, Action::reading(attribute.spec().audience)) {
            return Err(Error::NotFound);
        }
        if relation == Relation::Myself || attribute.spec().audience != Audience::HrAndSelf {
            let tx = db::read(self.db()).await?;
            return self.read_history(&tx, id, attribute).await;
        }
        let mut change = self.change().await?;
        let history = self.read_history(&change.tx, id, attribute).await?;
        let detail = json!({ "attributes": [attribute], "history": true });
        change.record(viewer, "profile.private_read", audit::person(id), detail);
        change.commit().await?;
        Ok(history)
    }

    async fn read_history(
        &self,
        conn: &impl ConnectionTrait,
        id: EmployeeId,
        attribute: Attribute,
    ) -> Result<ValueHistory> {
        let mut sourcing = Sourcing::with(conn, self.chart()).await?;
        let eras = Eras::load(conn).await?;
        let (mut then, since) = known(conn, &sourcing, id).await?;
        // The unit decides which rules are meant.
        let names = [attribute.name().into(), Attribute::Department.name().into()];
        let ask = format!(
            "SELECT {COLUMNS} FROM value_history WHERE employee_id = $1 AND attribute IN ($2, $3) \
             ORDER BY id DESC LIMIT {}",
            2 * CHANGES_MAX
        );
        let [first, second] = names;
        let rows = rows(conn, ask, [id.0.into(), first, second]).await?;

        let mut moments: Vec<_> = rows.iter().map(Moment::Row).collect();
        let before = |at: usize| eras.0.get(at + 1);
        for (at, version) in eras.0.iter().enumerate() {
            if version.set_at > since {
                moments.push(Moment::Rules(version, before(at)));
            }
        }
        // The latest first; of one moment, what was written later.
        moments.sort_by_key(|moment| std::cmp::Reverse(moment.at()));

        let mut told: Vec<Told> = Vec::new();
        for moment in &moments {
            let after = then.value(&sourcing, attribute);
            let version = sourcing.rules.version;
            match moment {
                Moment::Row(row) => {
                    then.take_back(row, &sourcing);
                    let (from, to) = (row.was.shown(), row.became.shown());
                    if row.attribute == attribute && from != to {
                        told.push((row.at, row.cause(&sourcing), from, to, after, version));
                    }
                }
                Moment::Rules(rules, former) => {
                    eras.set(&mut sourcing, *former);
                    let before = then.value(&sourcing, attribute);
                    let same = before.resolved.value == after.resolved.value
                        && alike(&before.resolved.rule, &after.resolved.rule);
                    if !same {
                        let cause = Cause::Rules {
                            version: rules.version,
                        };
                        told.push((rules.set_at, cause, None, None, after, version));
                    }
                }
            }
            if told.len() == CHANGES_MAX {
                break;
            }
        }
        if told.len() < CHANGES_MAX {
            let began = then.value(&sourcing, attribute);
            let (to, version) = (began.resolved.value.clone(), sourcing.rules.version);
            if to.is_some() {
                told.push((since, Cause::Came, None, to, began, version));
            }
        }

        let setters = eras.0.iter().filter_map(|version| version.set_by);
        let mut named: BTreeSet<EmployeeId> = setters.chain([id]).collect();
        for (_, cause, from, to, verdict, _) in &told {
            if let Cause::Edit { by: Some(by) } = cause {
                named.insert(*by);
            }
            if attribute.spec().kind == attribute::Kind::Person {
                let said = [from, to, &verdict.resolved.value];
                named.extend(said.into_iter().flatten().filter_map(person));
            }
        }
        let people = people::cards(conn, named).await?;
        let person = people.get(&id).cloned().ok_or(Error::NotFound)?;
        let changes = told
            .into_iter()
            .map(|(at, cause, from, to, verdict, version)| ValueChange {
                at,
                cause,
                from,
                to,
                rule: self.rule_of(verdict.resolved.rule, &sourcing, &eras, version, &people),
                shown: verdict.resolved.value,
                origin: verdict.resolved.origin,
            })
            .collect();
        Ok(ValueHistory {
            person,
            attribute,
            since,
            changes,
            people,
        })
    }

    fn rule_of(
        &self,
        rule: InForce,
        sourcing: &Sourcing,
        eras: &Eras,
        version: u32,
        people: &BTreeMap<EmployeeId, PersonCard>,
    ) -> RuleInfo {
        let era = eras.0.iter().find(|era| era.version == version);
        let era = era.filter(|_| rule.id != 0);
        RuleInfo {
            rule,
            scope_name: rule
                .scope
                .and_then(|unit| sourcing.org.unit_name(unit))
                .map(str::to_owned),
            set_by: era
                .and_then(|era| people.get(&era.set_by?))
                .map(|card| card.display_name.clone()),
            set_at: era.map(|era| era.set_at),
        }
    }

    /// A profile as it was shown at a moment, under the rules of that time. Who
    /// may see what is as of now, and reading private values is recorded, as
    /// with the profile. Rules for units follow the units as they are above each
    /// other now.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn profile_on(
        &self,
        viewer: &Viewer,
        id: EmployeeId,
        at: DateTime<Utc>,
    ) -> Result<ProfileThen> {
        self.allow_about(viewer, id, Action::ReadProfile)?;
        let relation = self.relation(viewer, id);
        let sees_private =
            relation != Relation::Myself && viewer.may(relation, Action::ReadPrivateAttributes);
        if !sees_private {
            let tx = db::read(self.db()).await?;
            return self.read_then(&tx, viewer, id, at).await;
        }
        let mut change = self.change().await?;
        let then = self.read_then(&change.tx, viewer, id, at).await?;
        let values = then.profile.iter().flat_map(|profile| &profile.values);
        let seen: Vec<_> = values
            .filter(|value| value.attribute.spec().audience == Audience::HrAndSelf)
            .filter(|value| value.own.is_some() || value.resolved.value.is_some())
            .map(|value| value.attribute)
            .collect();
        if !seen.is_empty() {
            let detail = json!({ "attributes": seen, "on": at });
            change.record(viewer, "profile.private_read", audit::person(id), detail);
        }
        change.commit().await?;
        Ok(then)
    }

    async fn read_then(
        &self,
        conn: &impl ConnectionTrait,
        viewer: &Viewer,
        id: EmployeeId,
        at: DateTime<Utc>,
    ) -> Result<ProfileThen> {
        let mut sourcing = Sourcing::with(conn, self.chart()).await?;
        let (mut then, since) = known(conn, &sourcing, id).await?;
        if at < since {
            return Ok(ProfileThen {
                at,
                since,
                profile: None,
            });
        }
        let ask = format!(
            "SELECT {COLUMNS} FROM value_history WHERE employee_id = $1 AND at > $2 ORDER BY id DESC"
        );
        for row in rows(conn, ask, [id.0.into(), at.into()]).await? {
            then.take_back(&row, &sourcing);
        }
        Eras::load(conn).await?.enter(&mut sourcing, at);
        let value = |attribute| {
            let mut verdict = then.value(&sourcing, attribute);
            if let Some(erp) = &mut verdict.erp {
                erp.synced_at = erp.synced_at.min(at);
            }
            verdict
        };
        let profile = self
            .assemble(conn, viewer, &sourcing, &then.facts, value)
            .await?;
        Ok(ProfileThen {
            at,
            since,
            profile: Some(profile),
        })
    }
}

const COLUMNS: &str =
    "attribute, source_id, at, was, was_said_at, became, said_at, why, run_id, set_by";

async fn rows(
    conn: &impl ConnectionTrait,
    ask: String,
    values: impl IntoIterator<Item = sea_orm::Value>,
) -> Result<Vec<Row>> {
    let rows = conn.query_all_raw(db::sql(conn, ask, values)).await?;
    rows.iter()
        .filter_map(|row| Row::read(row).transpose())
        .collect()
}

/// What is known of somebody now, and since when they are known.
async fn known(
    conn: &impl ConnectionTrait,
    sourcing: &Sourcing,
    id: EmployeeId,
) -> Result<(Then, DateTime<Utc>)> {
    let mut facts = shown::facts(conn, sourcing, Whom::These(&[id]), false).await?;
    let facts = facts.pop().ok_or(Error::NotFound)?;
    let ask = "SELECT created_at FROM employees WHERE id = $1";
    let row = conn
        .query_one_raw(db::sql(conn, ask, [id.0.into()]))
        .await?
        .ok_or(Error::NotFound)?;
    let then = Then {
        facts,
        department: None,
    };
    Ok((then, row.try_get_by_index(0)?))
}

fn person(value: &Value) -> Option<EmployeeId> {
    value.as_text()?.parse().ok()
}

/// Whether two rules say the same, whatever their numbers.
fn alike(a: &InForce, b: &InForce) -> bool {
    a.strength == b.strength
        && a.enforced == b.enforced
        && a.empty_wins == b.empty_wins
        && a.scope == b.scope
        && a.source == b.source
}

//! The quality of the data: what the sources say that cannot be so, who it is about,
//! and how it went over the last runs.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use domain::{
    Action, Attribute, EmployeeId, RunId, SourceId, UnitId, Viewer,
    correction::State,
    erp::Fault,
    org::Finding,
    sync::{Step, Totals},
};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Page, Result, Store, db, org,
    people::{self, PersonCard},
    run::RunFinding,
    scim,
};

/// Findings in a page.
const PAGE: usize = 50;
/// Runs that a trend goes back.
const RUNS: usize = 20;
/// Most findings of one kind from one place.
const MAX: usize = 5_000;

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A record that was left out.
    LeftOut,
    /// A mail address that is none.
    BadMail,
    /// Another value that could not be read.
    BadValue,
    /// A record that could be more than one person.
    Undecided,
    /// Two people with one mail address or one number.
    Duplicate,
    /// People who are each other's superiors.
    Cycle,
    /// A superior who is not here.
    MissingManager,
    /// A superior's post that nobody holds.
    VacantManager,
    /// Somebody with nobody above.
    Detached,
    /// A unit that the source names and does not have.
    UnitGone,
    /// A unit with more than one head.
    SeveralHeads,
    /// Units that are each other's parents, or whose parent is not there.
    UnitStructure,
    /// A vacant post that nobody oversees.
    Vacancy,
    /// A correction that somebody has to make in the source by hand.
    Correction,
}

impl Kind {
    /// Every kind, in the order of the list.
    pub const ALL: [Self; 14] = [
        Self::LeftOut,
        Self::BadMail,
        Self::BadValue,
        Self::Undecided,
        Self::Duplicate,
        Self::Cycle,
        Self::MissingManager,
        Self::VacantManager,
        Self::Detached,
        Self::UnitGone,
        Self::SeveralHeads,
        Self::UnitStructure,
        Self::Vacancy,
        Self::Correction,
    ];

    /// The name in addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LeftOut => "left_out",
            Self::BadMail => "bad_mail",
            Self::BadValue => "bad_value",
            Self::Undecided => "undecided",
            Self::Duplicate => "duplicate",
            Self::Cycle => "cycle",
            Self::MissingManager => "missing_manager",
            Self::VacantManager => "vacant_manager",
            Self::Detached => "detached",
            Self::UnitGone => "unit_gone",
            Self::SeveralHeads => "several_heads",
            Self::UnitStructure => "unit_structure",
            Self::Vacancy => "vacancy",
            Self::Correction => "correction",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Which findings to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QualityQuery {
    /// Only these.
    pub kind: Option<Kind>,
    /// Only of this source.
    pub source: Option<SourceId>,
    /// Only about people of this unit and those below it, or about such a unit.
    pub unit: Option<UnitId>,
    /// From a page's `next_cursor`.
    pub cursor: Option<String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaw {
    /// What kind.
    pub kind: Kind,
    /// The source that has to be mended; none for people whom no source knows.
    pub source: Option<SourceId>,
    /// The people it is about, in its order.
    pub people: Vec<PersonCard>,
    /// The unit that it is about, or that the first of the people is in.
    pub unit: Option<UnitId>,
    /// The names of the units that it is about.
    pub units: Vec<String>,
    /// Where in the source: `hr.employee 42`, a record's id, a line, a user name.
    pub place: Option<String>,
    /// Which field, in the source's words or as a SCIM name.
    pub field: Option<String>,
    /// What is wrong with it or what is there: words of an adapter, a reference, a value.
    pub what: Option<String>,
    /// The run that found it.
    pub run: Option<RunId>,
}

/// How many findings a run had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Which run.
    pub run: RunId,
    /// When it began.
    pub at: DateTime<Utc>,
    /// Records and fields that could not be read, and records that wait for a decision.
    pub findings: u64,
    /// How many records it read: a run that reads what changed finds less.
    pub read: u64,
}

/// A source and how its data went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceTrend {
    /// Which.
    pub id: SourceId,
    /// Its name.
    pub name: String,
    /// Its kind: `odoo`, `csv`, …
    pub kind: String,
    /// How many findings there are now, whatever is listed.
    pub findings: u64,
    /// Its last runs that went to their end, at most twenty, the latest last.
    pub runs: Vec<Point>,
}

/// The data quality page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// What is wrong, as far as it was asked for.
    pub flaws: Page<Flaw>,
    /// How many that are in all.
    pub matching: u64,
    /// How many there are of each kind, whatever was asked for.
    pub kinds: BTreeMap<Kind, u64>,
    /// Every source, by name.
    pub sources: Vec<SourceTrend>,
}

impl Store {
    /// What is wrong in the data now: what the sources' last runs could not read,
    /// what of those who were pushed cannot be taken,
    /// what cannot be so in the chart, who is there twice, and what waits for
    /// somebody's hand. Needs `ReadSources`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`] for a cursor that is none.
    pub async fn quality(&self, viewer: &Viewer, query: &QualityQuery) -> Result<Quality> {
        self.allow(viewer, Action::ReadSources)?;
        let from = match query.cursor.as_deref() {
            Some(cursor) => cursor.parse::<usize>().map_err(|_| people::bad_cursor())?,
            None => 0,
        };
        let tx = db::read(self.db()).await?;
        let mut sources = trends(&tx).await?;
        let mut flaws = Vec::new();
        for source in &sources {
            flaws.extend(match source.kind.as_str() {
                scim::KIND => of_pushes(&tx, source.id).await?,
                _ => of_runs(&tx, source).await?,
            });
        }
        flaws.extend(self.of_chart(&tx).await?);
        flaws.extend(units_gone(&tx).await?);
        flaws.extend(duplicates(&tx).await?);
        flaws.extend(undecided(&tx).await?);
        flaws.extend(self.corrections_by_hand(&tx, viewer).await?);

        let mut kinds = BTreeMap::new();
        let mut by_source: BTreeMap<SourceId, u64> = BTreeMap::new();
        for flaw in &flaws {
            *kinds.entry(flaw.kind).or_default() += 1;
            if let Some(source) = flaw.source {
                *by_source.entry(source).or_default() += 1;
            }
        }
        for source in &mut sources {
            source.findings = by_source.get(&source.id).copied().unwrap_or(0);
        }
        let within: Option<BTreeSet<UnitId>> = query
            .unit
            .map(|unit| self.chart().units_below(unit).collect());
        flaws.retain(|flaw| {
            query.kind.is_none_or(|kind| flaw.kind == kind)
                && query
                    .source
                    .is_none_or(|source| flaw.source == Some(source))
                && within
                    .as_ref()
                    .is_none_or(|units| flaw.unit.is_some_and(|unit| units.contains(&unit)))
        });
        let name = |flaw: &Flaw| flaw.people.first().map(|card| card.display_name.clone());
        flaws.sort_by_cached_key(|flaw| (flaw.kind, flaw.source, name(flaw), flaw.place.clone()));
        let matching = flaws.len() as u64;
        let more = flaws.len() > from.saturating_add(PAGE);
        let mut items: Vec<_> = flaws.into_iter().skip(from).take(PAGE).collect();
        name_pushed(&tx, &mut items).await?;
        Ok(Quality {
            flaws: Page {
                items,
                next_cursor: more.then(|| (from + PAGE).to_string()),
            },
            matching,
            kinds,
            sources,
        })
    }

    /// What in the chart's data cannot be so, with the records that say it.
    async fn of_chart(&self, conn: &impl ConnectionTrait) -> Result<Vec<Flaw>> {
        let snapshot = self.chart();
        let mut flaws = Vec::new();
        let found: Vec<_> = snapshot.findings.iter().take(MAX).collect();
        let concerned = found.iter().flat_map(|finding| org::concerns(finding).0);
        let concerned: BTreeSet<_> = concerned.collect();
        let cards = people::cards(conn, concerned.iter().copied()).await?;
        let records = records(conn, concerned).await?;
        let units = unit_sources(conn).await?;
        for finding in found {
            let (people, about) = org::concerns(finding);
            let first = people.first().and_then(|first| records.get(first));
            let unit = about.first().copied();
            let (kind, field, what) = match finding {
                Finding::Cycle { .. } | Finding::SelfManaged { .. } => {
                    (Kind::Cycle, Attribute::Manager, None)
                }
                Finding::MissingManager { reference, .. } => (
                    Kind::MissingManager,
                    Attribute::Manager,
                    Some(reference.clone()),
                ),
                Finding::VacantManager { post, .. } => {
                    (Kind::VacantManager, Attribute::Manager, Some(post.clone()))
                }
                Finding::Detached { .. } => (Kind::Detached, Attribute::Manager, None),
                Finding::SeveralHeads { .. } => (Kind::SeveralHeads, Attribute::Department, None),
                Finding::UnitCycle { .. } | Finding::MissingParent { .. } => {
                    (Kind::UnitStructure, Attribute::Department, None)
                }
            };
            flaws.push(Flaw {
                kind,
                source: match unit {
                    Some(unit) => units.get(&unit).copied(),
                    None => first.map(|(source, _)| *source),
                },
                unit: unit.or_else(|| people.first().and_then(|id| snapshot.chart.unit(*id))),
                units: about
                    .iter()
                    .filter_map(|unit| snapshot.unit_name(*unit).map(str::to_owned))
                    .collect(),
                people: people
                    .iter()
                    .filter_map(|id| cards.get(id).cloned())
                    .collect(),
                place: first
                    .filter(|_| unit.is_none())
                    .map(|(_, record)| record.clone()),
                field: Some(field.name().to_owned()),
                what,
                run: None,
            });
        }
        Ok(flaws)
    }

    /// Corrections that somebody has to make by hand, or that failed.
    async fn corrections_by_hand(
        &self,
        conn: &impl ConnectionTrait,
        viewer: &Viewer,
    ) -> Result<Vec<Flaw>> {
        let ask = format!(
            "SELECT employee_id, attribute, source_id, external_id, value FROM corrections
            WHERE open AND state IN ('{}', '{}') ORDER BY id LIMIT {MAX}",
            State::ByHand.name(),
            State::Failed.name(),
        );
        let rows = conn.query_all_raw(db::sql(conn, ask, [])).await?;
        let mut found = Vec::new();
        for row in rows {
            let person = EmployeeId(row.try_get_by_index(0)?);
            let Ok(attribute) = row.try_get_by_index::<String>(1)?.parse::<Attribute>() else {
                continue;
            };
            // What it should be is told to who may see what it is.
            let reading = Action::reading(attribute.spec().audience);
            if !viewer.may(self.relation(viewer, person), reading) {
                continue;
            }
            let private = attribute.spec().audience == domain::Audience::HrAndSelf;
            let value: domain::Value = serde_json::from_str(&row.try_get_by_index::<String>(4)?)?;
            let meant = match attribute.spec().kind {
                domain::attribute::Kind::Person => value.as_text().and_then(|id| id.parse().ok()),
                _ => None,
            };
            let what = match meant {
                Some(id) => people::cards(conn, [id]).await?.remove(&id),
                None => None,
            };
            let what = what.map_or_else(|| value.to_string(), |card| card.display_name);
            let flaw = Flaw {
                kind: Kind::Correction,
                source: Some(SourceId(row.try_get_by_index(2)?)),
                people: Vec::new(),
                unit: None,
                units: Vec::new(),
                place: Some(row.try_get_by_index(3)?),
                field: Some(attribute.name().to_owned()),
                what: (!private).then_some(what),
                run: None,
            };
            found.push((person, flaw));
        }
        with_people(conn, found).await
    }
}

/// Every source with its last runs.
async fn trends(conn: &impl ConnectionTrait) -> Result<Vec<SourceTrend>> {
    let ask = "SELECT id, name, kind FROM sources ORDER BY name";
    let mut sources = Vec::new();
    for row in conn.query_all_raw(db::sql(conn, ask, [])).await? {
        let id = SourceId(row.try_get_by_index(0)?);
        let ask = format!(
            "SELECT id, started_at, totals FROM runs WHERE source_id = $1 AND phase = 'done'
            ORDER BY started_at DESC, id DESC LIMIT {RUNS}"
        );
        let mut runs = Vec::new();
        for run in conn
            .query_all_raw(db::sql(conn, ask, [id.0.into()]))
            .await?
        {
            let totals: Totals = serde_json::from_str(&run.try_get_by_index::<String>(2)?)?;
            runs.push(Point {
                run: RunId(run.try_get_by_index(0)?),
                at: run.try_get_by_index(1)?,
                findings: totals.faults + totals.undecided,
                read: totals.read,
            });
        }
        runs.reverse();
        sources.push(SourceTrend {
            id,
            name: row.try_get_by_index(1)?,
            kind: row.try_get_by_index(2)?,
            findings: 0,
            runs,
        });
    }
    Ok(sources)
}

/// What the last runs of a source could not read. A run that reads what changed
/// says nothing of the records that did not: what the last whole read said of
/// them holds, unless a later run read them anew.
async fn of_runs(conn: &impl ConnectionTrait, source: &SourceTrend) -> Result<Vec<Flaw>> {
    let ask = "SELECT COUNT(*) FROM erp_records WHERE source_id = $1 AND active";
    let people = conn
        .query_one_raw(db::sql(conn, ask, [source.id.0.into()]))
        .await?;
    let people = match people {
        Some(row) => u64::try_from(row.try_get_by_index::<i64>(0)?).unwrap_or(0),
        None => 0,
    };
    let mut faults: Vec<(RunId, Fault)> = Vec::new();
    let mut vacancies = Vec::new();
    let mut anew: HashSet<String> = HashSet::new();
    let mut told = HashSet::new();
    for (back, point) in source.runs.iter().rev().enumerate() {
        let mut met = Vec::new();
        for finding in findings(conn, point.run).await? {
            match finding {
                RunFinding::Fault(fault) => {
                    let known = fault
                        .external_id
                        .as_ref()
                        .is_some_and(|id| anew.contains(id));
                    let key = (fault.place.clone(), fault.field.clone());
                    if !known && told.insert(key) && faults.len() < MAX {
                        met.extend(fault.external_id.clone());
                        faults.push((point.run, fault));
                    }
                }
                RunFinding::Vacancy(vacancy) if back == 0 && vacancy.manager.is_none() => {
                    vacancies.push((point.run, vacancy));
                }
                // Doubts are of a plan; what became of it is seen in the chart and among people.
                RunFinding::Vacancy(_) | RunFinding::Doubt(_) | RunFinding::NotUndone(_) => {}
            }
        }
        if point.read >= people {
            break;
        }
        anew.extend(met);
        anew.extend(stepped(conn, point.run).await?);
    }
    let faults = faults.into_iter().map(|(run, fault)| (Some(run), fault));
    let mut flaws = of_faults(conn, source.id, faults.collect()).await?;
    flaws.extend(vacancies.into_iter().map(|(run, vacancy)| Flaw {
        kind: Kind::Vacancy,
        source: Some(source.id),
        people: Vec::new(),
        unit: None,
        units: Vec::new(),
        place: Some(vacancy.external_id),
        field: None,
        what: Some(vacancy.title),
        run: Some(run),
    }));
    Ok(flaws)
}

/// What of the people that a source pushed cannot be taken. It stands with what
/// was pushed, so it is what is wrong now, whichever push said it.
async fn of_pushes(conn: &impl ConnectionTrait, source: SourceId) -> Result<Vec<Flaw>> {
    let ask = format!(
        "SELECT faults FROM scim_resources
        WHERE source_id = $1 AND deleted_at IS NULL AND faults <> '[]' ORDER BY id LIMIT {MAX}"
    );
    let mut faults = Vec::new();
    for row in conn
        .query_all_raw(db::sql(conn, ask, [source.0.into()]))
        .await?
    {
        let told: Vec<Fault> = serde_json::from_str(&row.try_get_by_index::<String>(0)?)?;
        faults.extend(told.into_iter().map(|fault| (None, fault)));
    }
    of_faults(conn, source, faults).await
}

/// Tells records that were pushed by the name that their source has for them; their ids are of here.
async fn name_pushed(conn: &impl ConnectionTrait, flaws: &mut [Flaw]) -> Result<()> {
    let records: Vec<_> = flaws.iter().filter_map(|flaw| flaw.place.clone()).collect();
    if records.is_empty() {
        return Ok(());
    }
    let ask = format!(
        "SELECT source_id, record, user_name FROM scim_resources
        WHERE source_id IN (SELECT id FROM sources WHERE kind = '{}')
        AND deleted_at IS NULL AND user_name IS NOT NULL AND record IN ({})",
        scim::KIND,
        db::places(1, records.len())
    );
    let records = records.into_iter().map(Into::into);
    for row in conn.query_all_raw(db::sql(conn, ask, records)).await? {
        let (source, record) = (row.try_get_by_index(0)?, row.try_get_by_index::<String>(1)?);
        let name: String = row.try_get_by_index(2)?;
        let of = |flaw: &&mut Flaw| {
            flaw.source == Some(SourceId(source)) && flaw.place.as_deref() == Some(&*record)
        };
        flaws
            .iter_mut()
            .filter(of)
            .for_each(|flaw| flaw.place = Some(name.clone()));
    }
    Ok(())
}

/// Faults with the people they are about, and the runs that found them.
async fn of_faults(
    conn: &impl ConnectionTrait,
    source: SourceId,
    faults: Vec<(Option<RunId>, Fault)>,
) -> Result<Vec<Flaw>> {
    let ids: BTreeSet<_> = faults
        .iter()
        .filter_map(|(_, fault)| fault.external_id.clone())
        .collect();
    let known = employees(conn, source, ids.into_iter().collect()).await?;
    let cards = people::cards(conn, known.values().copied().collect::<BTreeSet<_>>()).await?;
    let flaw = |(run, fault): (Option<RunId>, Fault)| {
        let employee = fault.external_id.as_ref().and_then(|id| known.get(id));
        let card = employee.and_then(|id| cards.get(id).cloned());
        Flaw {
            kind: match fault.field.as_deref() {
                _ if fault.left_out => Kind::LeftOut,
                Some(field) if field == Attribute::Emails.name() || field.contains("mail") => {
                    Kind::BadMail
                }
                _ => Kind::BadValue,
            },
            source: Some(source),
            unit: card.as_ref().and_then(|card| card.unit),
            people: card.into_iter().collect(),
            units: Vec::new(),
            place: Some(fault.place),
            field: fault.field,
            what: Some(fault.what),
            run,
        }
    };
    Ok(faults.into_iter().map(flaw).collect())
}

async fn findings(conn: &impl ConnectionTrait, run: RunId) -> Result<Vec<RunFinding>> {
    let ask = "SELECT findings FROM runs WHERE id = $1";
    let row = conn
        .query_one_raw(db::sql(conn, ask, [run.0.into()]))
        .await?;
    Ok(match row {
        Some(row) => serde_json::from_str(&row.try_get_by_index::<String>(0)?)?,
        None => Vec::new(),
    })
}

/// The records that a run took a step about.
async fn stepped(conn: &impl ConnectionTrait, run: RunId) -> Result<Vec<String>> {
    let ask = format!("SELECT step FROM run_steps WHERE run_id = $1 ORDER BY place LIMIT {MAX}");
    let rows = conn
        .query_all_raw(db::sql(conn, ask, [run.0.into()]))
        .await?;
    rows.iter()
        .map(|row| {
            let step: Step = serde_json::from_str(&row.try_get_by_index::<String>(0)?)?;
            Ok(step.external_id)
        })
        .collect()
}

/// Whom a source's records are about.
async fn employees(
    conn: &impl ConnectionTrait,
    source: SourceId,
    ids: Vec<String>,
) -> Result<BTreeMap<String, EmployeeId>> {
    let mut known = BTreeMap::new();
    for ids in ids.chunks(1000) {
        let ask = format!(
            "SELECT external_id, employee_id FROM erp_records WHERE source_id = $1 AND external_id IN ({})",
            db::places(2, ids.len())
        );
        let values =
            std::iter::once(source.0.into()).chain(ids.iter().map(|id| id.as_str().into()));
        for row in conn.query_all_raw(db::sql(conn, ask, values)).await? {
            known.insert(
                row.try_get_by_index(0)?,
                EmployeeId(row.try_get_by_index(1)?),
            );
        }
    }
    Ok(known)
}

/// The record of each person: the source and the id there, the active one first.
async fn records(
    conn: &impl ConnectionTrait,
    people: BTreeSet<EmployeeId>,
) -> Result<BTreeMap<EmployeeId, (SourceId, String)>> {
    let people: Vec<_> = people.into_iter().collect();
    let mut found = BTreeMap::new();
    for ids in people.chunks(1000) {
        let ask = format!(
            "SELECT employee_id, source_id, external_id FROM erp_records WHERE employee_id IN ({})
            ORDER BY active DESC, source_id, external_id",
            db::places(1, ids.len())
        );
        let values = ids.iter().map(|id| id.0.into());
        for row in conn.query_all_raw(db::sql(conn, ask, values)).await? {
            let record = (SourceId(row.try_get_by_index(1)?), row.try_get_by_index(2)?);
            found
                .entry(EmployeeId(row.try_get_by_index(0)?))
                .or_insert(record);
        }
    }
    Ok(found)
}

async fn unit_sources(conn: &impl ConnectionTrait) -> Result<BTreeMap<UnitId, SourceId>> {
    let ask = "SELECT id, source_id FROM units WHERE active";
    let rows = conn.query_all_raw(db::sql(conn, ask, [])).await?;
    rows.iter()
        .map(|row| {
            Ok((
                UnitId(row.try_get_by_index(0)?),
                SourceId(row.try_get_by_index(1)?),
            ))
        })
        .collect()
}

/// Flaws with the cards of the people that each is about, and the unit of theirs.
async fn with_people(
    conn: &impl ConnectionTrait,
    found: Vec<(EmployeeId, Flaw)>,
) -> Result<Vec<Flaw>> {
    let ids: BTreeSet<_> = found.iter().map(|(id, _)| *id).collect();
    let cards = people::cards(conn, ids).await?;
    Ok(found
        .into_iter()
        .map(|(id, mut flaw)| {
            let card = cards.get(&id).cloned();
            flaw.unit = card.as_ref().and_then(|card| card.unit);
            flaw.people.extend(card);
            flaw
        })
        .collect())
}

/// People whose record names a unit that its source does not have.
async fn units_gone(conn: &impl ConnectionTrait) -> Result<Vec<Flaw>> {
    let ask = format!(
        "SELECT id, unit_ref FROM employees WHERE unit_ref IS NOT NULL AND active ORDER BY sort_name LIMIT {MAX}"
    );
    let rows = conn.query_all_raw(db::sql(conn, ask, [])).await?;
    let mut found = Vec::new();
    for row in rows {
        found.push((
            EmployeeId(row.try_get_by_index(0)?),
            row.try_get_by_index::<String>(1)?,
        ));
    }
    let records = records(conn, found.iter().map(|(id, _)| *id).collect()).await?;
    let found = found.into_iter().map(|(id, reference)| {
        let (source, record) = records.get(&id).cloned().unzip();
        let flaw = Flaw {
            kind: Kind::UnitGone,
            source,
            people: Vec::new(),
            unit: None,
            units: Vec::new(),
            place: record,
            field: Some(Attribute::Department.name().to_owned()),
            what: Some(reference),
            run: None,
        };
        (id, flaw)
    });
    with_people(conn, found.collect()).await
}

/// People who work here and share a mail address or a number.
async fn duplicates(conn: &impl ConnectionTrait) -> Result<Vec<Flaw>> {
    let mut flaws = Vec::new();
    for (column, attribute) in [
        ("email", Attribute::Emails),
        ("employee_number", Attribute::EmployeeNumber),
    ] {
        let ask = format!(
            "SELECT e.{column}, e.id FROM employees e WHERE e.active AND e.{column} IN (
                SELECT {column} FROM employees WHERE active AND {column} IS NOT NULL
                GROUP BY {column} HAVING COUNT(*) > 1)
            ORDER BY e.{column}, e.sort_name, e.id LIMIT {MAX}"
        );
        let mut shared: BTreeMap<String, Vec<EmployeeId>> = BTreeMap::new();
        for row in conn.query_all_raw(db::sql(conn, ask, [])).await? {
            let id = EmployeeId(row.try_get_by_index::<Uuid>(1)?);
            shared.entry(row.try_get_by_index(0)?).or_default().push(id);
        }
        let everyone: BTreeSet<_> = shared.values().flatten().copied().collect();
        let records = records(conn, everyone.clone()).await?;
        let cards = people::cards(conn, everyone).await?;
        flaws.extend(shared.into_iter().map(|(value, ids)| {
            let people: Vec<_> = ids.iter().filter_map(|id| cards.get(id).cloned()).collect();
            let (source, record) = ids.first().and_then(|id| records.get(id)).cloned().unzip();
            Flaw {
                kind: Kind::Duplicate,
                source,
                unit: people.first().and_then(|card| card.unit),
                people,
                units: Vec::new(),
                place: record,
                field: Some(attribute.name().to_owned()),
                what: Some(value),
                run: None,
            }
        }));
    }
    Ok(flaws)
}

/// Records that wait for a decision.
async fn undecided(conn: &impl ConnectionTrait) -> Result<Vec<Flaw>> {
    let ask = format!(
        "SELECT source_id, external_id, candidates FROM undecided WHERE decision IS NULL
        ORDER BY since, external_id LIMIT {MAX}"
    );
    let rows = conn.query_all_raw(db::sql(conn, ask, [])).await?;
    let mut found = Vec::new();
    for row in rows {
        let candidates: Vec<EmployeeId> =
            serde_json::from_str(&row.try_get_by_index::<String>(2)?)?;
        found.push((
            SourceId(row.try_get_by_index(0)?),
            row.try_get_by_index::<String>(1)?,
            candidates,
        ));
    }
    let everyone: BTreeSet<_> = found
        .iter()
        .flat_map(|(.., ids)| ids.iter().copied())
        .collect();
    let cards = people::cards(conn, everyone).await?;
    Ok(found
        .into_iter()
        .map(|(source, record, candidates)| {
            let people: Vec<_> = candidates
                .iter()
                .filter_map(|id| cards.get(id).cloned())
                .collect();
            Flaw {
                kind: Kind::Undecided,
                source: Some(source),
                unit: people.first().and_then(|card| card.unit),
                people,
                units: Vec::new(),
                place: Some(record),
                field: None,
                what: None,
                run: None,
            }
        })
        .collect())
}

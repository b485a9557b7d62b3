//! The organization's rules: whole versions, previewed before they are set, kept for ever.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Action, Attribute, EmployeeId, SourceId, UnitId, Value, Viewer, Violation,
    correction::{Approver, Corrections},
    policy::{Kind, Version},
    review::{Oversight, OversightRule},
    sourcing::{Origin, Priority, Rule, Rules},
    text,
};
use sea_orm::{ConnectionTrait, QueryResult};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Error, Event, Result, Store,
    change::Change,
    db,
    people::{self, PersonCard},
    several,
    shown::{self, Sourcing, Whom},
};

/// Most rules that one policy holds.
const RULES_MAX: usize = 2000;
/// Most characters of a note.
const NOTE_MAX: usize = 500;
/// Most changes that a preview lists.
const CHANGES_MAX: usize = 500;

/// Whom and which values a set of rules would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// How many people would see at least one other value.
    pub people: u64,
    /// How many values would be other ones.
    pub values: u64,
    /// How many fields would become locked, and how many free.
    pub locked: u64,
    /// How many fields would become free.
    pub unlocked: u64,
    /// Changed values by attribute.
    pub by_attribute: BTreeMap<Attribute, u64>,
    /// The changes themselves, the first 500 by name.
    pub changes: Vec<PreviewChange>,
}

/// One value that would be another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewChange {
    /// Whose.
    pub person: PersonCard,
    /// Which.
    pub attribute: Attribute,
    /// Shown now; left out for an attribute that the viewer may not see.
    pub from: Option<Value>,
    /// Shown then; left out likewise.
    pub to: Option<Value>,
    /// Whose value it is now.
    pub origin_from: Origin,
    /// Whose it would be.
    pub origin_to: Origin,
}

/// One version in a policy's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry<T> {
    /// What it said, who set it when and why.
    pub version: Version<T>,
    /// The name of who set it; none for what the portal came with.
    pub set_by_name: Option<String>,
}

/// A policy as it is kept: a document with versions.
pub(crate) trait Document: Serialize + DeserializeOwned + Default {
    const KIND: Kind;
    fn version(&self) -> u32;
}

impl Document for Rules {
    const KIND: Kind = Kind::AttributeRules;
    fn version(&self) -> u32 {
        self.version
    }
}

impl Document for Oversight {
    const KIND: Kind = Kind::Oversight;
    fn version(&self) -> u32 {
        self.version
    }
}

impl Document for Priority {
    const KIND: Kind = Kind::SourcePriority;
    fn version(&self) -> u32 {
        self.version
    }
}

impl Document for Corrections {
    const KIND: Kind = Kind::Corrections;
    fn version(&self) -> u32 {
        self.version
    }
}

fn version<T: DeserializeOwned>(row: &QueryResult) -> Result<Version<T>> {
    let body: String = row.try_get("", "body")?;
    let number: i32 = row.try_get("", "version")?;
    Ok(Version {
        version: number.cast_unsigned(),
        body: serde_json::from_str(&body)?,
        set_by: row.try_get::<Option<Uuid>>("", "set_by")?.map(EmployeeId),
        set_at: row.try_get("", "set_at")?,
        note: row.try_get("", "note")?,
    })
}

const COLUMNS: &str = "version, body, set_by, set_at, note";

/// The version in force; none before the first is set.
///
/// # Errors
/// [`crate::Error::Db`], [`crate::Error::Internal`] for a body that does not parse.
pub(crate) async fn current<T: DeserializeOwned>(
    conn: &impl ConnectionTrait,
    kind: Kind,
) -> Result<Option<Version<T>>> {
    let ask = format!(
        "SELECT {COLUMNS} FROM policy_versions WHERE kind = $1 ORDER BY version DESC LIMIT 1"
    );
    let row = conn
        .query_one_raw(db::sql(conn, ask, [kind.name().into()]))
        .await?;
    row.as_ref().map(version).transpose()
}

/// Every version, the latest first.
///
/// # Errors
/// As [`current`].
pub(crate) async fn versions<T: DeserializeOwned>(
    conn: &impl ConnectionTrait,
    kind: Kind,
) -> Result<Vec<Version<T>>> {
    let ask =
        format!("SELECT {COLUMNS} FROM policy_versions WHERE kind = $1 ORDER BY version DESC");
    let rows = conn
        .query_all_raw(db::sql(conn, ask, [kind.name().into()]))
        .await?;
    rows.iter().map(version).collect()
}

/// The document in force, an empty one before the first is set.
pub(crate) async fn in_force<T: Document>(conn: &impl ConnectionTrait) -> Result<T> {
    let current = current::<T>(conn, T::KIND).await?;
    Ok(current.map(|version| version.body).unwrap_or_default())
}

impl Store {
    /// The sourcing rules in force. Needs `ReadPolicies`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn attribute_rules(&self, viewer: &Viewer) -> Result<Rules> {
        self.allow(viewer, Action::ReadPolicies)?;
        in_force(self.db()).await
    }

    /// Sets the sourcing rules, and what is shown of everybody, in one
    /// transaction. `read` is the version that the caller saw. Needs `SetPolicies`.
    ///
    /// # Errors
    /// [`crate::Error::Forbidden`], [`crate::Error::Conflict`] `stale_version` if another
    /// one came between, [`crate::Error::Invalid`] for unknown units, sources or
    /// attributes and duplicates.
    pub async fn set_attribute_rules(
        &self,
        viewer: &Viewer,
        read: u32,
        rules: Vec<Rule>,
        note: &str,
    ) -> Result<Rules> {
        self.may_set(viewer)?;
        let note = text::prose("note", note, NOTE_MAX)?;
        let mut change = self.change_rules().await?;
        let next = set_rules(&mut change, viewer, read, rules, &note).await?;
        change.commit().await?;
        Ok(next)
    }

    /// What [`Store::set_attribute_rules`] would change for those who work here
    /// now; writes nothing.
    ///
    /// # Errors
    /// As there, but for the version.
    pub async fn preview_attribute_rules(
        &self,
        viewer: &Viewer,
        rules: Vec<Rule>,
    ) -> Result<Preview> {
        self.may_set(viewer)?;
        let tx = db::read(self.db()).await?;
        check_rules(&tx, &rules).await?;
        let sourcing = Sourcing::load(&tx).await?;
        let next = sourcing.rules.succeed(rules)?;
        let touched = touched(&sourcing.rules, &next);
        let mut preview = Preview {
            people: 0,
            values: 0,
            locked: 0,
            unlocked: 0,
            by_attribute: BTreeMap::new(),
            changes: Vec::new(),
        };
        if touched.is_empty() {
            return Ok(preview);
        }
        let mut found = Vec::new();
        let mut after = EmployeeId(Uuid::nil());
        loop {
            let people = shown::facts(&tx, &sourcing, Whom::After(after), false).await?;
            let Some(last) = people.last() else { break };
            after = last.id;
            for person in people.iter().filter(|person| person.active) {
                let mut concerned = false;
                for attribute in touched.iter().copied() {
                    let now = sourcing.value(person, attribute).resolved;
                    let then = sourcing.value_under(&next, person, attribute).resolved;
                    preview.locked += u64::from(now.editable && !then.editable);
                    preview.unlocked += u64::from(!now.editable && then.editable);
                    if now.value != then.value {
                        concerned = true;
                        preview.values += 1;
                        *preview.by_attribute.entry(attribute).or_default() += 1;
                        let name = person.columns.sort_name.clone();
                        found.push((name, person.id, attribute, now, then));
                    }
                }
                preview.people += u64::from(concerned);
            }
            // Only the first by name are told: what is kept meanwhile has a limit.
            if found.len() > 20 * CHANGES_MAX {
                first_by_name(&mut found);
            }
        }
        first_by_name(&mut found);
        let ids: BTreeSet<_> = found.iter().map(|(_, id, ..)| *id).collect();
        let cards = people::cards(&tx, ids).await?;
        for (_, id, attribute, now, then) in found {
            let reading = Action::reading(attribute.spec().audience);
            let seen = viewer.may(self.relation(viewer, id), reading);
            preview.changes.push(PreviewChange {
                person: cards.get(&id).cloned().ok_or(Error::NotFound)?,
                attribute,
                from: now.value.filter(|_| seen),
                to: then.value.filter(|_| seen),
                origin_from: now.origin,
                origin_to: then.origin,
            });
        }
        Ok(preview)
    }

    /// Every version of the sourcing rules, newest first.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn attribute_rules_history(
        &self,
        viewer: &Viewer,
    ) -> Result<Vec<HistoryEntry<Rules>>> {
        self.history(viewer).await
    }

    /// Sets a former version anew, as a version of its own. Needs `SetPolicies`.
    ///
    /// # Errors
    /// [`crate::Error::Forbidden`], [`crate::Error::NotFound`] for a version that never
    /// was, [`crate::Error::Conflict`] `stale_version`, [`crate::Error::Invalid`] if it
    /// speaks of a unit or source that is no more.
    pub async fn roll_back(
        &self,
        viewer: &Viewer,
        kind: Kind,
        read: u32,
        version: u32,
        note: &str,
    ) -> Result<u32> {
        self.may_set(viewer)?;
        let note = text::prose("note", note, NOTE_MAX)?;
        let mut change = self.change_rules().await?;
        let next = match kind {
            Kind::AttributeRules => {
                let former: Rules = former(&change.tx, version).await?;
                set_rules(&mut change, viewer, read, former.rules, &note)
                    .await?
                    .version
            }
            Kind::Oversight => {
                let former: Oversight = former(&change.tx, version).await?;
                set_oversight(&mut change, viewer, read, former.rules, &note)
                    .await?
                    .version
            }
            Kind::SourcePriority => {
                let former: Priority = former(&change.tx, version).await?;
                let (order, attributes) = (former.order, former.attributes);
                set_priority(&mut change, viewer, read, order, attributes, &note)
                    .await?
                    .version
            }
            Kind::Corrections => {
                let former: Corrections = former(&change.tx, version).await?;
                let Corrections {
                    otherwise,
                    dotted,
                    attributes,
                    ..
                } = former;
                set_corrections(
                    &mut change,
                    viewer,
                    read,
                    otherwise,
                    dotted,
                    attributes,
                    &note,
                )
                .await?
                .version
            }
        };
        change.commit().await?;
        if kind == Kind::SourcePriority {
            self.refresh_chart().await?;
        }
        Ok(next)
    }

    /// Which source is heard first.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn source_priority(&self, viewer: &Viewer) -> Result<Priority> {
        self.allow(viewer, Action::ReadPolicies)?;
        in_force(self.db()).await
    }

    /// Sets which source is heard first, for everything and for some attributes,
    /// and what is shown of everybody, in one transaction. `read` is the version
    /// that the caller saw. Needs `SetPolicies`.
    ///
    /// # Errors
    /// [`crate::Error::Forbidden`], [`crate::Error::Conflict`] `stale_version`,
    /// [`crate::Error::Invalid`] for unknown sources and those named twice.
    pub async fn set_source_priority(
        &self,
        viewer: &Viewer,
        read: u32,
        order: Vec<SourceId>,
        attributes: BTreeMap<Attribute, Vec<SourceId>>,
        note: &str,
    ) -> Result<Priority> {
        self.may_set(viewer)?;
        let note = text::prose("note", note, NOTE_MAX)?;
        let mut change = self.change_rules().await?;
        let next = set_priority(&mut change, viewer, read, order, attributes, &note).await?;
        change.commit().await?;
        self.refresh_chart().await?;
        Ok(next)
    }

    /// Every version of the priority of sources, newest first.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn source_priority_history(
        &self,
        viewer: &Viewer,
    ) -> Result<Vec<HistoryEntry<Priority>>> {
        self.history(viewer).await
    }

    /// The names of the sources that a policy may speak of, in the order in which
    /// they were connected. Needs `ReadPolicies`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn source_names(&self, viewer: &Viewer) -> Result<Vec<(SourceId, String)>> {
        self.allow(viewer, Action::ReadPolicies)?;
        let ask = "SELECT id, name FROM sources ORDER BY created_at, id";
        let rows = self.db().query_all_raw(db::sql(self.db(), ask, [])).await?;
        rows.iter()
            .map(|row| Ok((SourceId(row.try_get_by_index(0)?), row.try_get_by_index(1)?)))
            .collect()
    }

    /// The oversight policy in force.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn oversight(&self, viewer: &Viewer) -> Result<Oversight> {
        self.allow(viewer, Action::ReadPolicies)?;
        in_force(self.db()).await
    }

    /// Sets the oversight policy. `read` is the version that the caller saw.
    /// Needs `SetPolicies`. Before the first is set, nothing may be reviewed.
    ///
    /// # Errors
    /// [`crate::Error::Forbidden`], [`crate::Error::Conflict`] `stale_version`,
    /// [`crate::Error::Invalid`].
    pub async fn set_oversight(
        &self,
        viewer: &Viewer,
        read: u32,
        rules: Vec<OversightRule>,
        note: &str,
    ) -> Result<Oversight> {
        self.may_set(viewer)?;
        let note = text::prose("note", note, NOTE_MAX)?;
        let mut change = self.change_rules().await?;
        let next = set_oversight(&mut change, viewer, read, rules, &note).await?;
        change.commit().await?;
        Ok(next)
    }

    /// Every version of the oversight policy, newest first.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn oversight_history(&self, viewer: &Viewer) -> Result<Vec<HistoryEntry<Oversight>>> {
        self.history(viewer).await
    }

    /// Who decides about corrections: the policy in force. Before the first is
    /// set, HR decides about everything.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn corrections_policy(&self, viewer: &Viewer) -> Result<Corrections> {
        self.allow(viewer, Action::ReadPolicies)?;
        in_force(self.db()).await
    }

    /// Sets who decides about corrections, for those that are open too. `read` is
    /// the version that the caller saw. Needs `SetPolicies`.
    ///
    /// # Errors
    /// [`crate::Error::Forbidden`], [`crate::Error::Conflict`] `stale_version`,
    /// [`crate::Error::Invalid`] for attributes that cannot be corrected, and for a
    /// superior who would decide about what superiors may not see.
    pub async fn set_corrections_policy(
        &self,
        viewer: &Viewer,
        read: u32,
        otherwise: Approver,
        dotted: bool,
        attributes: BTreeMap<Attribute, Approver>,
        note: &str,
    ) -> Result<Corrections> {
        self.may_set(viewer)?;
        let note = text::prose("note", note, NOTE_MAX)?;
        let mut change = self.change().await?;
        let next = set_corrections(
            &mut change,
            viewer,
            read,
            otherwise,
            dotted,
            attributes,
            &note,
        )
        .await?;
        change.commit().await?;
        Ok(next)
    }

    /// Every version of the corrections policy, newest first.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn corrections_policy_history(
        &self,
        viewer: &Viewer,
    ) -> Result<Vec<HistoryEntry<Corrections>>> {
        self.history(viewer).await
    }

    /// Everybody who can sign in sees the policies, so who may not set them is told so.
    fn may_set(&self, viewer: &Viewer) -> Result<()> {
        self.allow(viewer, Action::ReadPolicies)?;
        if viewer.can(Action::SetPolicies) {
            Ok(())
        } else {
            Err(Error::Forbidden)
        }
    }

    /// Begins a change of the rules: nobody works out shown values meanwhile.
    async fn change_rules(&self) -> Result<Change<'_>> {
        let change = self.change().await?;
        db::lock_people(&change.tx, true).await?;
        Ok(change)
    }

    async fn history<T: Document>(&self, viewer: &Viewer) -> Result<Vec<HistoryEntry<T>>> {
        self.allow(viewer, Action::ReadPolicies)?;
        let versions = versions::<T>(self.db(), T::KIND).await?;
        let setters: BTreeSet<_> = versions
            .iter()
            .filter_map(|version| version.set_by)
            .collect();
        let names = people::cards(self.db(), setters).await?;
        let entry = |version: Version<T>| HistoryEntry {
            set_by_name: version
                .set_by
                .and_then(|id| names.get(&id))
                .map(|card| card.display_name.clone()),
            version,
        };
        Ok(versions.into_iter().map(entry).collect())
    }
}

/// A change that a preview found: name to sort by, whom, what, now, then.
type Found = (
    String,
    EmployeeId,
    Attribute,
    domain::sourcing::Resolved,
    domain::sourcing::Resolved,
);

fn first_by_name(found: &mut Vec<Found>) {
    found.sort_unstable_by(|a, b| (&a.0, a.1, a.2).cmp(&(&b.0, b.1, b.2)));
    found.truncate(CHANGES_MAX);
}

/// The attributes about which two sets of rules do not say the same.
fn touched(before: &Rules, after: &Rules) -> BTreeSet<Attribute> {
    let said = |rules: &Rules| -> BTreeSet<_> {
        rules
            .rules
            .iter()
            .map(|rule| {
                let what = (rule.strength, rule.enforced, rule.empty_wins);
                (rule.attribute, rule.unit, rule.source, what)
            })
            .collect()
    };
    said(before)
        .symmetric_difference(&said(after))
        .map(|(attribute, ..)| *attribute)
        .collect()
}

async fn set_rules(
    change: &mut Change<'_>,
    viewer: &Viewer,
    read: u32,
    rules: Vec<Rule>,
    note: &str,
) -> Result<Rules> {
    let before: Rules = in_force(&change.tx).await?;
    fresh(read, &before)?;
    check_rules(&change.tx, &rules).await?;
    let next = before.succeed(rules)?;
    write(change, viewer, &before, &next, note).await?;
    let shown = touched(&before, &next);
    if shown::IN_COLUMNS
        .iter()
        .any(|attribute| shown.contains(attribute))
    {
        shown::reshow_all(&change.tx).await?;
    }
    change.tell(Event::PeopleChanged);
    Ok(next)
}

async fn set_priority(
    change: &mut Change<'_>,
    viewer: &Viewer,
    read: u32,
    order: Vec<SourceId>,
    attributes: BTreeMap<Attribute, Vec<SourceId>>,
    note: &str,
) -> Result<Priority> {
    let before: Priority = in_force(&change.tx).await?;
    fresh(read, &before)?;
    let named = attributes.values().flatten().chain(&order).copied();
    let unknown = unknown_sources(&change.tx, named).await?;
    if !unknown.is_empty() {
        return Err(Error::Invalid(unknown));
    }
    let next = before.succeed(order, attributes)?;
    write(change, viewer, &before, &next, note).await?;
    // The order decides about people of whom several speak, and about nobody else.
    let shared = several::everyone_shared(&change.tx).await?;
    several::settle(&change.tx, &shared, change.at).await?;
    shown::reshow(&change.tx, &shared).await?;
    change.tell(Event::PeopleChanged);
    Ok(next)
}

async fn set_oversight(
    change: &mut Change<'_>,
    viewer: &Viewer,
    read: u32,
    rules: Vec<OversightRule>,
    note: &str,
) -> Result<Oversight> {
    let before: Oversight = in_force(&change.tx).await?;
    fresh(read, &before)?;
    few(rules.len())?;
    let units = unknown_units(&change.tx, rules.iter().filter_map(|rule| rule.unit)).await?;
    if !units.is_empty() {
        return Err(Error::Invalid(units));
    }
    let next = before.succeed(rules)?;
    write(change, viewer, &before, &next, note).await?;
    Ok(next)
}

async fn set_corrections(
    change: &mut Change<'_>,
    viewer: &Viewer,
    read: u32,
    otherwise: Approver,
    dotted: bool,
    attributes: BTreeMap<Attribute, Approver>,
    note: &str,
) -> Result<Corrections> {
    let before: Corrections = in_force(&change.tx).await?;
    fresh(read, &before)?;
    let next = before.succeed(otherwise, dotted, attributes)?;
    write(change, viewer, &before, &next, note).await?;
    Ok(next)
}

const STALE: Error = Error::Conflict("stale_version");

/// Fails unless `read` is the version in force. Before anything else is checked: what is wrong with
/// rules that were written beside other ones is not what their author has to know first.
fn fresh<T: Document>(read: u32, before: &T) -> Result<()> {
    if read == before.version() {
        Ok(())
    } else {
        Err(STALE)
    }
}

/// Writes the next version of a document.
async fn write<T: Document>(
    change: &mut Change<'_>,
    viewer: &Viewer,
    before: &T,
    next: &T,
    note: &str,
) -> Result<()> {
    let insert = "INSERT INTO policy_versions (kind, version, body, set_by, set_at, note) \
                  VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (kind, version) DO NOTHING";
    let values = [
        T::KIND.name().into(),
        next.version().cast_signed().into(),
        serde_json::to_string(next)?.into(),
        viewer.id().map(|id| id.0).into(),
        change.at.into(),
        note.into(),
    ];
    let written = change
        .tx
        .execute_raw(db::sql(&change.tx, insert, values))
        .await?;
    if written.rows_affected() == 0 {
        return Err(STALE);
    }
    let subject = format!("policy:{}", T::KIND.name());
    let detail = json!({
        "version": next.version(), "note": note, "before": before, "after": next,
    });
    change.record(viewer, "policy.set", subject, detail);
    change.tell(Event::PolicyChanged);
    Ok(())
}

async fn former<T: Document>(conn: &impl ConnectionTrait, number: u32) -> Result<T> {
    let number = i32::try_from(number).map_err(|_| Error::NotFound)?;
    let ask = format!("SELECT {COLUMNS} FROM policy_versions WHERE kind = $1 AND version = $2");
    let values = [T::KIND.name().into(), number.into()];
    let row = conn.query_one_raw(db::sql(conn, ask, values)).await?;
    Ok(version::<T>(&row.ok_or(Error::NotFound)?)?.body)
}

fn few(rules: usize) -> Result<()> {
    if rules > RULES_MAX {
        return Err(Violation::TooLong {
            field: "rules".into(),
            max: RULES_MAX,
            got: rules,
        }
        .into());
    }
    Ok(())
}

/// Whether the rules speak of units and sources that there are.
async fn check_rules(conn: &impl ConnectionTrait, rules: &[Rule]) -> Result<()> {
    few(rules.len())?;
    let mut violations = unknown_units(conn, rules.iter().filter_map(|rule| rule.unit)).await?;
    let named = rules.iter().filter_map(|rule| rule.source);
    violations.extend(unknown_sources(conn, named).await?);
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(violations))
    }
}

async fn unknown_sources(
    conn: &impl ConnectionTrait,
    named: impl Iterator<Item = SourceId>,
) -> Result<Vec<Violation>> {
    let ask = "SELECT id FROM sources";
    let rows = conn.query_all_raw(db::sql(conn, ask, [])).await?;
    let sources = rows
        .iter()
        .map(|row| Ok(SourceId(row.try_get_by_index(0)?)))
        .collect::<Result<BTreeSet<_>>>()?;
    let unknown: BTreeSet<_> = named.filter(|source| !sources.contains(source)).collect();
    let violation = |source: &SourceId| Violation::Unknown {
        field: "source".into(),
        value: source.to_string(),
        allowed: "a connected source".into(),
    };
    Ok(unknown.iter().map(violation).collect())
}

async fn unknown_units(
    conn: &impl ConnectionTrait,
    named: impl Iterator<Item = UnitId>,
) -> Result<Vec<Violation>> {
    let ask = "SELECT id FROM units WHERE active";
    let rows = conn.query_all_raw(db::sql(conn, ask, [])).await?;
    let units = rows
        .iter()
        .map(|row| Ok(UnitId(row.try_get_by_index(0)?)))
        .collect::<Result<BTreeSet<_>>>()?;
    let unknown: BTreeSet<_> = named.filter(|unit| !units.contains(unit)).collect();
    let violation = |unit: &UnitId| Violation::Unknown {
        field: "unit".into(),
        value: unit.to_string(),
        allowed: "a unit of the organization".into(),
    };
    Ok(unknown.iter().map(violation).collect())
}

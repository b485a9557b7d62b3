//! The organization's rules: whole versions, previewed before they are set, kept for ever.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::{
    Action, Attribute, EmployeeId, SourceId, UnitId, Value, Viewer, Violation,
    correction::{Approvers, Corrections},
    policy::{Kind, Version},
    review::{Oversight, OversightRule},
    sourcing::{Origin, Priority, Rule, Rules},
    text,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult};
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

/// A policy: a document that is set at once and kept in versions.
pub trait Policy: held::Held {}

impl<T: held::Held> Policy for T {}

/// What only the store does with a policy.
mod held {
    use super::*;

    pub trait Held: Serialize + DeserializeOwned + Default + Send + Sync {
        const KIND: Kind;
        /// What is set, which is all of it but the version and what follows from the one before.
        type Says: Send;
        fn version(&self) -> u32;
        fn says(self) -> Self::Says;
        /// Whether it speaks of things that there are.
        fn check(
            conn: &DatabaseTransaction,
            says: &Self::Says,
        ) -> impl Future<Output = Result<()>> + Send;
        fn succeed(&self, says: Self::Says) -> Result<Self, Violation>;
        /// Works out what is shown by it, in the transaction that sets it at `at`;
        /// answers whether people may look otherwise now.
        fn show(
            tx: &DatabaseTransaction,
            before: &Self,
            next: &Self,
            at: DateTime<Utc>,
        ) -> impl Future<Output = Result<bool>> + Send;
    }
}

use held::Held;

impl Held for Rules {
    const KIND: Kind = Kind::AttributeRules;
    type Says = Vec<Rule>;
    fn version(&self) -> u32 {
        self.version
    }
    fn says(self) -> Vec<Rule> {
        self.rules
    }
    async fn check(conn: &DatabaseTransaction, rules: &Vec<Rule>) -> Result<()> {
        check_rules(conn, rules).await
    }
    fn succeed(&self, rules: Vec<Rule>) -> Result<Self, Violation> {
        self.succeed(rules)
    }
    async fn show(
        tx: &DatabaseTransaction,
        before: &Self,
        next: &Self,
        _: DateTime<Utc>,
    ) -> Result<bool> {
        let shown = touched(before, next);
        if shown::IN_COLUMNS
            .iter()
            .any(|attribute| shown.contains(attribute))
        {
            shown::reshow_all(tx).await?;
        }
        Ok(true)
    }
}

impl Held for Oversight {
    const KIND: Kind = Kind::Oversight;
    type Says = Vec<OversightRule>;
    fn version(&self) -> u32 {
        self.version
    }
    fn says(self) -> Vec<OversightRule> {
        self.rules
    }
    async fn check(conn: &DatabaseTransaction, rules: &Vec<OversightRule>) -> Result<()> {
        few(rules.len())?;
        let units = unknown_units(conn, rules.iter().filter_map(|rule| rule.unit)).await?;
        none_of(units)
    }
    fn succeed(&self, rules: Vec<OversightRule>) -> Result<Self, Violation> {
        self.succeed(rules)
    }
    async fn show(_: &DatabaseTransaction, _: &Self, _: &Self, _: DateTime<Utc>) -> Result<bool> {
        Ok(false)
    }
}

/// Which source is heard first: for everything, and for some attributes.
pub type Order = (Vec<SourceId>, BTreeMap<Attribute, Vec<SourceId>>);

impl Held for Priority {
    const KIND: Kind = Kind::SourcePriority;
    type Says = Order;
    fn version(&self) -> u32 {
        self.version
    }
    fn says(self) -> Order {
        (self.order, self.attributes)
    }
    async fn check(conn: &DatabaseTransaction, (order, attributes): &Order) -> Result<()> {
        let named = attributes.values().flatten().chain(order).copied();
        none_of(unknown_sources(conn, named).await?)
    }
    fn succeed(&self, (order, attributes): Order) -> Result<Self, Violation> {
        self.succeed(order, attributes)
    }
    async fn show(tx: &DatabaseTransaction, _: &Self, _: &Self, at: DateTime<Utc>) -> Result<bool> {
        // The order decides about people of whom several speak, and about nobody else.
        let shared = several::everyone_shared(tx).await?;
        several::settle(tx, &shared, at).await?;
        shown::reshow(tx, &shared).await?;
        Ok(true)
    }
}

impl Held for Corrections {
    const KIND: Kind = Kind::Corrections;
    type Says = Approvers;
    fn version(&self) -> u32 {
        self.version
    }
    fn says(self) -> Approvers {
        self.approvers
    }
    async fn check(_: &DatabaseTransaction, _: &Approvers) -> Result<()> {
        Ok(())
    }
    fn succeed(&self, approvers: Approvers) -> Result<Self, Violation> {
        self.succeed(approvers)
    }
    async fn show(_: &DatabaseTransaction, _: &Self, _: &Self, _: DateTime<Utc>) -> Result<bool> {
        Ok(false)
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
pub(crate) async fn in_force<T: Held>(conn: &impl ConnectionTrait) -> Result<T> {
    let current = current::<T>(conn, T::KIND).await?;
    Ok(current.map(|version| version.body).unwrap_or_default())
}

impl Store {
    /// A policy in force. Before the first is set, nothing may be reviewed, HR
    /// decides about corrections, and no rule and no order is there. Needs `ReadPolicies`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn policy<P: Policy>(&self, viewer: &Viewer) -> Result<P> {
        self.allow(viewer, Action::ReadPolicies)?;
        in_force(self.db()).await
    }

    /// Sets a policy, and what is shown of everybody by it, in one transaction.
    /// `read` is the version that the caller saw. Needs `SetPolicies`.
    ///
    /// # Errors
    /// [`crate::Error::Forbidden`], [`crate::Error::Conflict`] `stale_version` if another
    /// one came between, [`crate::Error::Invalid`] for units, sources and
    /// attributes that it cannot be about, and for what it says twice.
    pub async fn set_policy<P: Policy>(
        &self,
        viewer: &Viewer,
        read: u32,
        says: P::Says,
        note: &str,
    ) -> Result<P> {
        self.may_set(viewer)?;
        let note = text::prose("note", note, NOTE_MAX)?;
        let mut change = self.change_rules().await?;
        let next = set(&mut change, viewer, read, says, &note).await?;
        self.commit_policy(change, P::KIND).await?;
        Ok(next)
    }

    /// Every version of a policy, newest first. Needs `ReadPolicies`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn policy_history<P: Policy>(&self, viewer: &Viewer) -> Result<Vec<HistoryEntry<P>>> {
        self.allow(viewer, Action::ReadPolicies)?;
        let versions = versions::<P>(self.db(), P::KIND).await?;
        let setters: BTreeSet<_> = versions
            .iter()
            .filter_map(|version| version.set_by)
            .collect();
        let names = people::cards(self.db(), setters).await?;
        let entry = |version: Version<P>| HistoryEntry {
            set_by_name: version
                .set_by
                .and_then(|id| names.get(&id))
                .map(|card| card.display_name.clone()),
            version,
        };
        Ok(versions.into_iter().map(entry).collect())
    }

    /// What setting these sourcing rules would change for those who work here
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
        let (within, by) = (&mut change, viewer);
        let next = match kind {
            Kind::AttributeRules => set_anew::<Rules>(within, by, read, version, &note).await,
            Kind::Oversight => set_anew::<Oversight>(within, by, read, version, &note).await,
            Kind::SourcePriority => set_anew::<Priority>(within, by, read, version, &note).await,
            Kind::Corrections => set_anew::<Corrections>(within, by, read, version, &note).await,
        }?;
        self.commit_policy(change, kind).await?;
        Ok(next)
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

    async fn commit_policy(&self, change: Change<'_>, kind: Kind) -> Result<()> {
        change.commit().await?;
        if kind == Kind::SourcePriority {
            self.refresh_chart().await?;
        }
        Ok(())
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

/// Sets the next version of a policy.
async fn set<P: Held>(
    change: &mut Change<'_>,
    viewer: &Viewer,
    read: u32,
    says: P::Says,
    note: &str,
) -> Result<P> {
    let before: P = in_force(&change.tx).await?;
    // Before anything else is checked: what is wrong with rules that were written
    // beside other ones is not what their author has to know first.
    if read != before.version() {
        return Err(STALE);
    }
    P::check(&change.tx, &says).await?;
    let next = before.succeed(says)?;
    write(change, viewer, &before, &next, note).await?;
    if P::show(&change.tx, &before, &next, change.at).await? {
        change.tell(Event::PeopleChanged);
    }
    Ok(next)
}

/// Sets a former version of a policy anew, and answers the number that it has now.
async fn set_anew<P: Held>(
    change: &mut Change<'_>,
    viewer: &Viewer,
    read: u32,
    version: u32,
    note: &str,
) -> Result<u32> {
    let former: P = former(&change.tx, version).await?;
    let next: P = set(change, viewer, read, former.says(), note).await?;
    Ok(next.version())
}

const STALE: Error = Error::Conflict("stale_version");

/// Writes the next version of a document.
async fn write<T: Held>(
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

async fn former<T: Held>(conn: &impl ConnectionTrait, number: u32) -> Result<T> {
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
    none_of(violations)
}

fn none_of(violations: Vec<Violation>) -> Result<()> {
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

//! Profiles: every value with where it came from, and the edits of one's own.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::{
    Action, Attribute, Audience, EmployeeId, Relation, SourceId, Value, Viewer, Violation,
    attribute,
    sourcing::{ErpValue, InForce, OwnValue, Resolved},
};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Error, Event, Result, Store, audit,
    change::Change,
    db,
    history::{self, Why},
    people::{self, PersonCard},
    shown::{self, Facts, Sourcing, Verdict, Whom},
};

/// A profile as this viewer may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Who.
    pub person: PersonCard,
    /// How the viewer stands to them.
    pub relation: Relation,
    /// The attributes that the viewer may see, in the catalogue's order.
    pub values: Vec<ProfileValue>,
    /// People whom values speak of (the manager), by id.
    pub people: BTreeMap<EmployeeId, PersonCard>,
    /// The locale shown, `en-GB` if none.
    pub locale: String,
    /// The time zone shown, `UTC` if none.
    pub timezone: String,
}

/// One attribute of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileValue {
    /// Which.
    pub attribute: Attribute,
    /// What is shown, and why.
    pub resolved: Resolved,
    /// What the ERP says: the source that is heard.
    pub erp: Option<ErpSays>,
    /// What other sources say of it, those that would be heard first first.
    pub others: Vec<ErpSays>,
    /// What the person says.
    pub own: Option<OwnValue>,
    /// The rule that decided, in words' raw material.
    pub rule: RuleInfo,
}

/// The ERP's value with its source's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErpSays {
    /// Which source.
    pub source: SourceId,
    /// Its name.
    pub source_name: String,
    /// What it says; none where it has the field and nothing in it.
    pub value: Option<Value>,
    /// When it began to say so.
    pub changed_at: DateTime<Utc>,
    /// When it was last read.
    pub synced_at: DateTime<Utc>,
}

/// The rule that decides about a value, with names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleInfo {
    /// The rule; number 0 is built in.
    pub rule: InForce,
    /// The name of the unit it was set for; none for the whole organization.
    pub scope_name: Option<String>,
    /// The name of who set this version; none for built-in rules.
    pub set_by: Option<String>,
    /// When.
    pub set_at: Option<DateTime<Utc>>,
}

/// New own values by SCIM name; `None` or an empty value takes the own value
/// away. One that is equal to the value shown changes nothing: a form may send
/// back fields that nobody touched.
pub type Edits = BTreeMap<String, Option<Value>>;

impl Store {
    /// A profile. Seeing somebody's private attributes (those for HR and the
    /// person) is recorded in the same transaction.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn profile(&self, viewer: &Viewer, id: EmployeeId) -> Result<Profile> {
        self.allow_about(viewer, id, Action::ReadProfile)?;
        let relation = self.relation(viewer, id);
        let sees_private =
            relation != Relation::Myself && viewer.may(relation, Action::ReadPrivateAttributes);
        if !sees_private {
            let tx = db::read(self.db()).await?;
            return self.read_profile(&tx, viewer, id).await;
        }
        let mut change = self.change().await?;
        let profile = self.read_profile(&change.tx, viewer, id).await?;
        let seen: Vec<_> = profile
            .values
            .iter()
            .filter(|value| is_private(value.attribute))
            .filter(|value| value.own.is_some() || value.resolved.value.is_some())
            .map(|value| value.attribute)
            .collect();
        if !seen.is_empty() {
            let detail = json!({ "attributes": seen });
            change.record(viewer, "profile.private_read", audit::person(id), detail);
        }
        change.commit().await?;
        Ok(profile)
    }

    /// The profile without recording that it was seen.
    async fn read_profile(
        &self,
        conn: &impl ConnectionTrait,
        viewer: &Viewer,
        id: EmployeeId,
    ) -> Result<Profile> {
        let sourcing = Sourcing::with(conn, self.chart()).await?;
        let facts = one(conn, &sourcing, id, false).await?;
        let value = |attribute| sourcing.value(&facts, attribute);
        self.assemble(conn, viewer, &sourcing, &facts, value).await
    }

    /// A profile of what `value` answers for each attribute that the viewer may see.
    pub(crate) async fn assemble(
        &self,
        conn: &impl ConnectionTrait,
        viewer: &Viewer,
        sourcing: &Sourcing,
        facts: &Facts,
        value: impl Fn(Attribute) -> Verdict,
    ) -> Result<Profile> {
        let id = facts.id;
        let relation = self.relation(viewer, id);
        let mut values = Vec::new();
        let mut named = BTreeSet::new();
        for attribute in Attribute::ALL.iter().copied() {
            let spec = attribute.spec();
            if !viewer.may(relation, Action::reading(spec.audience)) {
                continue;
            }
            let verdict = value(attribute);
            let says = |erp: ErpValue| ErpSays {
                source: erp.source,
                source_name: sourcing
                    .source(erp.source)
                    .map(|source| source.name.clone())
                    .unwrap_or_default(),
                value: erp.value,
                changed_at: erp.changed_at,
                synced_at: erp.synced_at,
            };
            let erp = verdict.erp.map(says);
            let others: Vec<_> = verdict.others.into_iter().map(says).collect();
            if spec.kind == attribute::Kind::Person {
                let said = verdict.resolved.value.as_ref().and_then(Value::as_text);
                named.extend(said.and_then(|id| id.parse::<EmployeeId>().ok()));
            }
            values.push((attribute, verdict.resolved, erp, others));
        }
        let asked = named.iter().copied().chain([id]).chain(sourcing.set_by);
        let mut people = people::cards(conn, asked.collect::<BTreeSet<_>>()).await?;
        let person = people.get(&id).cloned().ok_or(Error::NotFound)?;
        let set_by = sourcing.set_by.and_then(|setter| people.get(&setter));
        let values = values
            .into_iter()
            .map(|(attribute, resolved, erp, others)| ProfileValue {
                attribute,
                rule: rule_info(resolved.rule, sourcing, set_by),
                resolved,
                erp,
                others,
                own: facts.own.get(&attribute).cloned(),
            })
            .collect();
        people.retain(|id, _| named.contains(id));
        let shown = |attribute, otherwise: &str| {
            let value = value(attribute).resolved.value;
            value.map_or_else(|| otherwise.to_owned(), |value| value.to_string())
        };
        Ok(Profile {
            person,
            relation,
            values,
            people,
            locale: shown(Attribute::Locale, "en-GB"),
            timezone: shown(Attribute::Timezone, "UTC"),
        })
    }

    /// Sets own values, all or none.
    ///
    /// # Errors
    /// [`crate::Error::Forbidden`] for somebody else's profile, [`crate::Error::Locked`]
    /// naming the rule, [`crate::Error::Invalid`] with a violation per attribute;
    /// what is invalid is told before what is locked. A portrait is set by
    /// [`Store::set_photo`]; here it can only be taken away.
    pub async fn edit_profile(
        &self,
        viewer: &Viewer,
        id: EmployeeId,
        edits: Edits,
    ) -> Result<Profile> {
        let mut violations = Vec::new();
        let mut checked = BTreeMap::new();
        for (name, value) in edits {
            match check(&name, value) {
                Ok((attribute, value)) => {
                    checked.insert(attribute, value);
                }
                Err(violation) => violations.push(violation),
            }
        }
        let mut change = self.change_people().await?;
        let known = self.editable(&change, viewer, id).await?;
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        set_own(&mut change, viewer, &known, checked).await?;
        change.commit().await?;
        let tx = db::read(self.db()).await?;
        self.read_profile(&tx, viewer, id).await
    }

    /// What is known of somebody whose own values the viewer may set, their row locked.
    pub(crate) async fn editable(
        &self,
        change: &Change<'_>,
        viewer: &Viewer,
        id: EmployeeId,
    ) -> Result<(Sourcing, Facts)> {
        self.allow_about(viewer, id, Action::ReadProfile)?;
        let sourcing = Sourcing::load(&change.tx).await?;
        let facts = one(&change.tx, &sourcing, id, true).await?;
        if viewer.may(self.relation(viewer, id), Action::EditProfile) {
            Ok((sourcing, facts))
        } else {
            Err(Error::Forbidden)
        }
    }
}

async fn one(
    conn: &impl ConnectionTrait,
    sourcing: &Sourcing,
    id: EmployeeId,
    locked: bool,
) -> Result<Facts> {
    let mut facts = shown::facts(conn, sourcing, Whom::These(&[id]), locked).await?;
    facts.pop().ok_or(Error::NotFound)
}

fn is_private(attribute: Attribute) -> bool {
    attribute.spec().audience == Audience::HrAndSelf
}

/// An edit, cleaned: no value where the own one is to be taken away.
fn check(name: &str, value: Option<Value>) -> Result<(Attribute, Option<Value>), Violation> {
    let attribute: Attribute = name.parse()?;
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok((attribute, None));
    };
    let value = attribute.check(value)?;
    if value.is_empty() {
        return Ok((attribute, None));
    }
    if attribute == Attribute::Photos {
        return Err(Violation::BadFormat {
            field: name.to_owned(),
            expected: "photo".into(),
        });
    }
    Ok((attribute, Some(value)))
}

/// Writes own values that were checked, and everything that follows from them.
///
/// # Errors
/// [`crate::Error::Locked`].
pub(crate) async fn set_own(
    change: &mut Change<'_>,
    viewer: &Viewer,
    (sourcing, facts): &(Sourcing, Facts),
    edits: BTreeMap<Attribute, Option<Value>>,
) -> Result<()> {
    let mut before_and_after = serde_json::Map::new();
    let mut written = Vec::new();
    let mut taken = Vec::new();
    let mut turns = Vec::new();
    for (attribute, value) in edits {
        let resolved = sourcing.value(facts, attribute).resolved;
        let own = facts.own.get(&attribute).map(|own| &own.value);
        let changes = match &value {
            Some(value) => resolved.value.as_ref() != Some(value),
            None => own.is_some(),
        };
        if !changes {
            continue;
        }
        if !resolved.editable {
            return Err(Error::Locked(Violation::LockedByRule {
                attribute: attribute.name().to_owned(),
                rule: resolved.rule.id,
            }));
        }
        // The log is read by people who may not see private values.
        let detail = if is_private(attribute) {
            json!({ "private": true })
        } else {
            json!({ "before": own, "after": value })
        };
        before_and_after.insert(attribute.name().to_owned(), detail);
        let was = facts.own.get(&attribute);
        turns.push(history::of_own(
            facts.id,
            attribute,
            was.map(|own| (&own.value, own.edited_at)),
            value.as_ref().map(|value| (value, change.at)),
        )?);
        match value {
            Some(value) => written.push([
                facts.id.0.into(),
                attribute.name().into(),
                serde_json::to_string(&value)?.into(),
                change.at.into(),
            ]),
            None => taken.push(attribute.name().into()),
        }
    }
    if before_and_after.is_empty() {
        return Ok(());
    }
    db::bulk(&change.tx, written, |rows| {
        format!(
            "INSERT INTO own_values (employee_id, attribute, value, edited_at) VALUES {rows} \
             ON CONFLICT (employee_id, attribute) \
             DO UPDATE SET value = excluded.value, edited_at = excluded.edited_at"
        )
    })
    .await?;
    if !taken.is_empty() {
        let places = db::places(2, taken.len());
        let delete =
            format!("DELETE FROM own_values WHERE employee_id = $1 AND attribute IN ({places})");
        let values = std::iter::once(facts.id.0.into()).chain(taken);
        change
            .tx
            .execute_raw(db::sql(&change.tx, delete, values))
            .await?;
    }
    history::write(&change.tx, turns, change.at, Why::Edit, viewer.id()).await?;
    shown::reshow(&change.tx, &[facts.id]).await?;
    let subject = audit::person(facts.id);
    change.record(viewer, "profile.edited", subject, before_and_after.into());
    change.tell(Event::PeopleChanged);
    Ok(())
}

/// A rule with the names that belong to it.
fn rule_info(rule: InForce, sourcing: &Sourcing, set_by: Option<&PersonCard>) -> RuleInfo {
    let set = rule.id != 0;
    RuleInfo {
        rule,
        scope_name: rule
            .scope
            .and_then(|unit| sourcing.org.unit_name(unit))
            .map(str::to_owned),
        set_by: set_by.filter(|_| set).map(|card| card.display_name.clone()),
        set_at: sourcing.set_at.filter(|_| set),
    }
}

//! Who wins: the ERP's value or the person's own.
//!
//! Both values are kept side by side. Which one is shown is worked out on
//! every read by [`resolve`], so a rule applies at once, can be lifted, and
//! every value can say where it came from and what it beat. The strengths are
//! midPoint's (strong, normal, weak mappings).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Attribute, SourceId, UnitId, Value, Violation, policy};

/// How strongly the ERP's value is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// The ERP wins; the field is locked while the ERP holds a value.
    Strong,
    /// The newer of the ERP's change and the own edit wins; the ERP's, if they
    /// are of the same moment.
    Normal,
    /// The ERP fills what the person left empty.
    Weak,
    /// The ERP is ignored.
    None,
}

impl Strength {
    /// Every strength, strongest first.
    pub const ALL: [Self; 4] = [Self::Strong, Self::Normal, Self::Weak, Self::None];

    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strong => "strong",
            Self::Normal => "normal",
            Self::Weak => "weak",
            Self::None => "none",
        }
    }
}

/// One sourcing rule. Absent `unit` means the whole organization, absent
/// `source` every source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The number by which people speak of it, from 1; 0 until it is first set.
    #[serde(default)]
    pub id: u32,
    /// What it is about.
    pub attribute: Attribute,
    /// The unit it holds for, with everything below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitId>,
    /// The source it holds for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceId>,
    /// Who wins.
    pub strength: Strength,
    /// Whether units below cannot say otherwise.
    #[serde(default)]
    pub enforced: bool,
    /// Whether an empty value in the ERP counts as a value: with a strong or a
    /// normal rule it can then beat an own one.
    #[serde(default)]
    pub empty_wins: bool,
}

/// A whole set of rules, set at once and versioned as one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rules {
    /// Counts up with every set; 0 before the first.
    pub version: u32,
    /// The rules, in the order of their numbers.
    pub rules: Vec<Rule>,
    /// The highest number that any rule of any version had.
    #[serde(default)]
    pub highest: u32,
}

impl Rules {
    /// The next version. A rule is told by its attribute, unit and source: it
    /// keeps its number, whatever number it comes with. A new one gets a number
    /// that no rule ever had, so that the audit log never speaks of two rules by one number.
    ///
    /// # Errors
    /// [`Violation::Duplicate`] if two rules are about the same attribute, unit and source.
    pub fn succeed(&self, mut rules: Vec<Rule>) -> Result<Self, Violation> {
        let key = |rule: &Rule| (rule.attribute, rule.unit, rule.source);
        let numbers: BTreeMap<_, _> = self.rules.iter().map(|rule| (key(rule), rule.id)).collect();
        let mut highest = numbers.values().copied().fold(self.highest, u32::max);
        let mut seen = BTreeSet::new();
        for rule in &mut rules {
            if !seen.insert(key(rule)) {
                return Err(Violation::Duplicate {
                    field: "rules".into(),
                    value: rule.attribute.name().into(),
                });
            }
            rule.id = numbers.get(&key(rule)).copied().unwrap_or_else(|| {
                highest += 1;
                highest
            });
        }
        rules.sort_by_key(|rule| rule.id);
        Ok(Self {
            version: self.version + 1,
            rules,
            highest,
        })
    }

    /// The rule in force for an attribute of somebody in the unit whose path is
    /// `units` (own unit first, then its parents), as far as `source` is concerned;
    /// without a source, only rules for every source count.
    ///
    /// An enforced rule of the highest unit beats all; else the rule of the
    /// nearest unit; at the same height an enforced rule beats others, then a rule
    /// for the source one for all. Without a rule the ERP fills what is empty;
    /// about an attribute that people cannot edit, the ERP always wins.
    #[must_use]
    pub fn in_force(
        &self,
        attribute: Attribute,
        units: &[UnitId],
        source: Option<SourceId>,
    ) -> InForce {
        if !attribute.spec().editable {
            return InForce::built_in(attribute, Strength::Strong);
        }
        let concerns = |rule: &&Rule| {
            rule.attribute == attribute && (rule.source.is_none() || rule.source == source)
        };
        let ranked = self.rules.iter().filter(concerns).filter_map(|rule| {
            let rank = policy::rank(rule.unit, rule.enforced, units)?;
            Some(((rank, rule.source.is_none()), rule))
        });
        ranked.min_by_key(|(rank, _)| *rank).map_or_else(
            || InForce::built_in(attribute, Strength::Weak),
            |(_, rule)| InForce {
                id: rule.id,
                strength: rule.strength,
                scope: rule.unit,
                source: rule.source,
                enforced: rule.enforced,
                empty_wins: rule.empty_wins,
            },
        )
    }
}

/// Which source is heard first where several speak of one person: a whole
/// document, set at once and versioned as one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Priority {
    /// Counts up with every set; 0 before the first.
    pub version: u32,
    /// The order for everything. Sources that are not in it come after those that
    /// are, in the order in which they were connected.
    pub order: Vec<SourceId>,
    /// Another order for some attributes; sources that are not in it come after
    /// those that are, as above.
    #[serde(default)]
    pub attributes: BTreeMap<Attribute, Vec<SourceId>>,
}

impl Priority {
    /// The next version. An attribute with an empty list has no order of its own.
    ///
    /// # Errors
    /// [`Violation::Duplicate`] if an order names a source twice.
    pub fn succeed(
        &self,
        order: Vec<SourceId>,
        mut attributes: BTreeMap<Attribute, Vec<SourceId>>,
    ) -> Result<Self, Violation> {
        attributes.retain(|_, order| !order.is_empty());
        for order in attributes.values().chain([&order]) {
            let mut seen = BTreeSet::new();
            if let Some(twice) = order.iter().find(|source| !seen.insert(**source)) {
                return Err(Violation::Duplicate {
                    field: "order".into(),
                    value: twice.to_string(),
                });
            }
        }
        Ok(Self {
            version: self.version + 1,
            order,
            attributes,
        })
    }

    /// A source's place for an attribute: the least is heard first. Those that no
    /// order names have the same.
    #[must_use]
    pub fn place(&self, attribute: Attribute, source: SourceId) -> (u8, usize) {
        let find = |order: &[SourceId]| order.iter().position(|one| *one == source);
        let own = self.attributes.get(&attribute).and_then(|own| find(own));
        match (own, find(&self.order)) {
            (Some(at), _) => (0, at),
            (None, Some(at)) => (1, at),
            (None, None) => (2, 0),
        }
    }
}

/// The rule that decides about one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Its number; 0 is what holds where the organization set no rule.
    pub id: u32,
    /// Who wins.
    pub strength: Strength,
    /// The unit that it was set for; none for the whole organization.
    pub scope: Option<UnitId>,
    /// The source that it was set for; none for every source.
    pub source: Option<SourceId>,
    /// Whether units below cannot say otherwise.
    pub enforced: bool,
    /// Whether an empty value in the ERP counts as a value.
    pub empty_wins: bool,
}

impl InForce {
    fn built_in(attribute: Attribute, strength: Strength) -> Self {
        Self {
            id: 0,
            strength,
            scope: None,
            source: None,
            enforced: !attribute.spec().editable,
            empty_wins: false,
        }
    }
}

/// What the ERP says. `value` is empty where the ERP has the field but nothing in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErpValue {
    /// Where it was read.
    pub source: SourceId,
    /// What was read.
    pub value: Option<Value>,
    /// When the ERP's value last became another one.
    pub changed_at: DateTime<Utc>,
    /// When it was last read.
    pub synced_at: DateTime<Utc>,
}

/// What the person says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnValue {
    /// The person's value; never empty (clearing a field takes the own value away).
    pub value: Value,
    /// When it was written.
    pub edited_at: DateTime<Utc>,
}

/// Whose value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The ERP's; the person has another one, which is kept.
    Erp,
    /// The person's own; the ERP has another one, which is kept.
    Own,
    /// Both say the same.
    Both,
    /// The ERP's, and the person has none.
    ErpOnly,
    /// The person's own, and the ERP has none.
    OwnOnly,
    /// Neither says anything.
    Nothing,
}

/// Why that one is shown, in a word; the sentence is the app's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// There is at most one value, or both are the same.
    NoContest,
    /// The rule says that the ERP wins.
    ErpWins,
    /// The ERP's empty value wins, because the rule says so.
    EmptyWins,
    /// The ERP changed after the own edit, or at the same moment.
    ErpNewer,
    /// The own edit came after the ERP's change.
    OwnNewer,
    /// The ERP only fills what is empty.
    OwnFirst,
    /// The rule has the ERP ignored.
    ErpIgnored,
}

/// One value of a profile, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// What is shown.
    pub value: Option<Value>,
    /// Whose it is.
    pub origin: Origin,
    /// Why.
    pub why: Why,
    /// The rule that decided.
    pub rule: InForce,
    /// The value that was beaten and is kept.
    pub kept: Option<Value>,
    /// Whether the person may write an own value now; one that is written now is
    /// shown until the rule or the ERP changes.
    pub editable: bool,
}

/// Decides between what the ERP and the person say, under the rule that
/// [`Rules::in_force`] answers. Pure and total: nothing is lost, for of two
/// values one is shown and the other is kept.
///
/// Empty values count as absent, and so does an own value of an attribute that
/// people cannot edit.
#[must_use]
pub fn resolve(
    attribute: Attribute,
    rule: InForce,
    erp: Option<&ErpValue>,
    own: Option<&OwnValue>,
) -> Resolved {
    let editable = attribute.spec().editable;
    let filled = |value: &&Value| !value.is_empty();
    let erp_value = erp.and_then(|erp| erp.value.as_ref()).filter(filled);
    let own_value = own
        .map(|own| &own.value)
        .filter(filled)
        .filter(|_| editable);
    let erp_speaks = erp_value.is_some() || (rule.empty_wins && erp.is_some());

    let (origin, why) = match (erp_value, own_value) {
        (None, None) => (Origin::Nothing, Why::NoContest),
        (Some(_), None) if rule.strength == Strength::None => (Origin::Nothing, Why::ErpIgnored),
        (Some(_), None) => (Origin::ErpOnly, Why::NoContest),
        (Some(erp), Some(own)) if erp == own => (Origin::Both, Why::NoContest),
        (erp_value, Some(_)) => {
            let newer = erp
                .zip(own)
                .is_some_and(|(erp, own)| erp.changed_at >= own.edited_at);
            let lone = erp_value.is_none();
            let empty = |why| if lone { Why::EmptyWins } else { why };
            match rule.strength {
                Strength::Strong if erp_speaks => (Origin::Erp, empty(Why::ErpWins)),
                Strength::Normal if erp_speaks && newer => (Origin::Erp, empty(Why::ErpNewer)),
                _ if lone => (Origin::OwnOnly, Why::NoContest),
                Strength::Normal => (Origin::Own, Why::OwnNewer),
                Strength::None => (Origin::Own, Why::ErpIgnored),
                Strength::Weak | Strength::Strong => (Origin::Own, Why::OwnFirst),
            }
        }
    };
    let (value, kept) = match origin {
        Origin::Erp => (erp_value, own_value),
        Origin::Own => (own_value, erp_value),
        Origin::OwnOnly => (own_value, None),
        Origin::Both | Origin::ErpOnly => (erp_value, None),
        Origin::Nothing => (None, erp_value),
    };
    Resolved {
        value: value.cloned(),
        origin,
        why,
        rule,
        kept: kept.cloned(),
        editable: editable && !(rule.strength == Strength::Strong && erp_speaks),
    }
}

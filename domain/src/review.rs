//! Review: what a superior may read of somebody's words, and under which policy.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use crate::{EmployeeId, Relation, UnitId, Violation, policy, text};

/// When the reviewer has to have been above the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// When the words were written.
    AtTheTime,
    /// When the words are read.
    Now,
}

/// When the reviewed person learns of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// As soon as the review is opened.
    AtOnce,
    /// When the review has ended.
    AtTheEnd,
}

/// What the oversight policy says for a unit and everything below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OversightRule {
    /// The unit; none for the whole organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitId>,
    /// Whether words of its people may be reviewed at all.
    pub on: bool,
    /// When the reviewer has to have been above the writer.
    pub when: When,
    /// Whether the words of people outside the reviewer's line are shown with
    /// those of the reviewed person; else they are redacted lines.
    #[serde(default)]
    pub context: bool,
    /// How many days a review stays open, 1 to 90.
    pub max_days: u16,
    /// When the reviewed person learns of it.
    pub notice: Notice,
    /// Whether units below cannot say otherwise.
    #[serde(default)]
    pub enforced: bool,
    /// Whether superiors by dotted line may review those who report to them so.
    #[serde(default)]
    pub dotted: bool,
    /// Whether who stands in for a superior may review in that time.
    #[serde(default)]
    pub delegates: bool,
}

impl OversightRule {
    /// Whether it lets somebody review who stands so to the writer.
    #[must_use]
    pub const fn lets(&self, by: By) -> bool {
        self.on
            && match by {
                By::Line => true,
                By::Dotted => self.dotted,
                By::Delegate(_) => self.delegates,
            }
    }
}

/// By which relation somebody reviews.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case", tag = "by", content = "on_behalf_of")]
pub enum By {
    /// Above in the chain of command.
    #[default]
    Line,
    /// A superior by dotted line.
    Dotted,
    /// Standing in for this superior.
    Delegate(EmployeeId),
}

impl By {
    /// The relation in the table of permissions.
    #[must_use]
    pub const fn relation(self) -> Relation {
        match self {
            Self::Line => Relation::Superior,
            Self::Dotted => Relation::DottedSuperior,
            Self::Delegate(_) => Relation::StandIn,
        }
    }
}

/// The oversight policy. Without a rule, nothing may be reviewed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Oversight {
    /// Counts up with every set; 0 before the first.
    pub version: u32,
    /// At most one for each unit and one for the organization.
    pub rules: Vec<OversightRule>,
}

impl Oversight {
    /// The next version with these rules.
    ///
    /// # Errors
    /// [`Violation::Duplicate`] for two rules about one unit, [`Violation::Unknown`]
    /// for a number of days outside 1 to 90.
    pub fn succeed(&self, rules: Vec<OversightRule>) -> Result<Self, Violation> {
        for (at, rule) in rules.iter().enumerate() {
            if rules[..at].iter().any(|other| other.unit == rule.unit) {
                let value = rule
                    .unit
                    .map_or_else(|| "the organization".into(), |unit| unit.to_string());
                return Err(Violation::Duplicate {
                    field: "unit".into(),
                    value,
                });
            }
            if !(1..=90).contains(&rule.max_days) {
                return Err(Violation::Unknown {
                    field: "max_days".into(),
                    value: rule.max_days.to_string(),
                    allowed: "1 to 90".into(),
                });
            }
        }
        Ok(Self {
            version: self.version + 1,
            rules,
        })
    }

    /// The rule for people in the unit whose path is `units` (own unit first):
    /// the highest enforced one, else the nearest.
    #[must_use]
    pub fn in_force(&self, units: &[UnitId]) -> Option<&OversightRule> {
        self.rules
            .iter()
            .filter_map(|rule| {
                policy::rank(rule.unit, rule.enforced, units).map(|rank| (rank, rule))
            })
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, rule)| rule)
    }
}

/// Who was whose direct superior, and when: a row of the chart's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Who.
    pub employee: EmployeeId,
    /// Their superior.
    pub manager: EmployeeId,
    /// From when.
    pub from: DateTime<Utc>,
    /// Until when (exclusive); none while it lasts.
    pub to: Option<DateTime<Utc>>,
}

/// A stretch of time, `from` inclusive, `to` exclusive, none for without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First moment.
    pub from: DateTime<Utc>,
    /// First moment after it.
    pub to: Option<DateTime<Utc>>,
}

impl Span {
    /// Whether `at` is in it.
    #[must_use]
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && self.to.is_none_or(|to| at < to)
    }

    /// What is in both; none where nothing is.
    #[must_use]
    pub fn overlap(&self, other: Self) -> Option<Self> {
        let from = self.from.max(other.from);
        let to = self.to.into_iter().chain(other.to).min();
        to.is_none_or(|to| from < to).then_some(Self { from, to })
    }
}

/// When `superior` was above `subject`, at any distance: in order, apart, none empty.
///
/// `history` holds at least the edges of everyone who was ever above the
/// subject, and of each person one at a time; of several, the first given counts.
/// As in [`crate::org::OrgChart`], the edges of a circle grant nothing while it lasts.
#[must_use]
pub fn spans_above(history: &[Edge], superior: EmployeeId, subject: EmployeeId) -> Vec<Span> {
    let mut edges: HashMap<EmployeeId, Vec<&Edge>> = HashMap::new();
    for edge in history {
        edges.entry(edge.employee).or_default().push(edge);
    }
    // The chain of command can only have changed when an edge of somebody in it began or ended.
    let mut moments = BTreeSet::new();
    let mut line = vec![subject];
    let mut next = 0;
    while let Some(employee) = line.get(next).copied() {
        next += 1;
        for edge in edges.get(&employee).into_iter().flatten() {
            moments.extend(edge.to);
            moments.insert(edge.from);
            if !line.contains(&edge.manager) {
                line.push(edge.manager);
            }
        }
    }
    let mut spans: Vec<Span> = Vec::new();
    let mut above = false;
    for moment in moments {
        let was = std::mem::replace(&mut above, is_above(&edges, superior, subject, moment));
        match spans.last_mut() {
            Some(span) if was && !above => span.to = Some(moment),
            _ if above && !was => spans.push(Span {
                from: moment,
                to: None,
            }),
            _ => {}
        }
    }
    spans
}

/// Whether `superior` is in the chain of command of `subject` at `at`. The chain
/// ends where it comes round: at the first of the circle.
fn is_above(
    edges: &HashMap<EmployeeId, Vec<&Edge>>,
    superior: EmployeeId,
    subject: EmployeeId,
    at: DateTime<Utc>,
) -> bool {
    let manager = |employee: &EmployeeId| {
        let edge = edges.get(employee)?.iter().find(|edge| {
            Span {
                from: edge.from,
                to: edge.to,
            }
            .contains(at)
        })?;
        Some(edge.manager)
    };
    let mut chain = vec![subject];
    while let Some(above) = chain.last().and_then(manager) {
        if let Some(entry) = chain.iter().position(|passed| *passed == above) {
            chain.truncate(entry + 1);
            break;
        }
        chain.push(above);
    }
    chain[1..].contains(&superior)
}

/// How a reviewer stands to the writer of a message. The default is not at all,
/// which is also how everybody stands to themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// Above the writer in today's chart.
    pub now: bool,
    /// When above the writer, by the chart's history.
    pub spans: Vec<Span>,
}

impl Reach {
    /// What is left of a superior's reach to whoever stands in for them during
    /// `time`, asked at `now`: nothing before and after, and in it what the
    /// superior has, of words no others than those written in it.
    #[must_use]
    pub fn in_place(&self, time: Span, now: DateTime<Utc>) -> Self {
        if !time.contains(now) {
            return Self::default();
        }
        Self {
            now: self.now,
            spans: self
                .spans
                .iter()
                .filter_map(|span| span.overlap(time))
                .collect(),
        }
    }
}

/// Whether words written at `sent_at` by somebody under `rule` may be read.
/// No rule means no.
#[must_use]
pub fn may_read(rule: Option<&OversightRule>, reach: &Reach, sent_at: DateTime<Utc>) -> bool {
    rule.is_some_and(|rule| {
        rule.on
            && match rule.when {
                When::AtTheTime => reach.spans.iter().any(|span| span.contains(sent_at)),
                When::Now => reach.now,
            }
    })
}

/// What the page offers as kinds of reason. The API takes others too: an
/// organization may have its own.
pub const CATEGORIES: [&str; 7] = [
    "client_complaint",
    "misconduct_report",
    "safety",
    "security",
    "legal_request",
    "hand_over",
    "other",
];

/// Why a review is opened. Read by the reviewed person and by compliance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The kind, one of [`CATEGORIES`] or the organization's own, at most 60 characters.
    pub category: String,
    /// In words, 8 to 2000 characters.
    pub text: String,
}

/// What a superior asks for when opening a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Whose words.
    pub subject: EmployeeId,
    /// Why.
    pub reason: Reason,
    /// A case that it belongs to, at most 60 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// The first moment of interest; if absent, 30 days before `to` or before
    /// now, whichever is earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// The moment after the last one of interest; open-ended if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
}

impl Request {
    /// Cleans and checks what was written, and fills the range.
    ///
    /// # Errors
    /// [`Violation`]s of `reason.category`, `reason.text`, `case`, `to`.
    pub fn checked(self, now: DateTime<Utc>) -> Result<Self, Violation> {
        let field = "reason.text";
        let words = text::prose(field, &self.reason.text, 2000)?;
        match words.chars().count() {
            0 => {
                return Err(Violation::Required {
                    field: field.into(),
                });
            }
            got @ 1..8 => {
                return Err(Violation::TooShort {
                    field: field.into(),
                    min: 8,
                    got,
                });
            }
            _ => {}
        }
        let category = "reason.category";
        let category = text::required(category, text::line(category, &self.reason.category, 60)?)?;
        let case = self
            .case
            .map(|case| text::line("case", &case, 60))
            .transpose()?
            .filter(|case| !case.is_empty());
        let from = self
            .from
            .or_else(|| {
                self.to
                    .unwrap_or(now)
                    .min(now)
                    .checked_sub_signed(Duration::days(30))
            })
            .unwrap_or(DateTime::<Utc>::MIN_UTC);
        if self.to.is_some_and(|to| to <= from) {
            return Err(Violation::EmptyRange { field: "to".into() });
        }
        Ok(Self {
            reason: Reason {
                category,
                text: words,
            },
            case,
            from: Some(from),
            ..self
        })
    }
}

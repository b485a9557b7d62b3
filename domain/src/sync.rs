//! What a run would do: correlation, difference, plan. Pure; the store applies it.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::{Attribute, EmployeeId, Value, erp::Worker, text};

/// The people whom a worker may turn out to be.
#[derive(Debug, Default)]
pub struct Known {
    /// By the source's own id: sure.
    pub by_external_id: HashMap<String, EmployeeId>,
    /// By employee number, for people without a record of this source.
    pub by_number: HashMap<String, Vec<EmployeeId>>,
    /// By mail address, folded, for people without a record of this source.
    pub by_mail: HashMap<String, Vec<EmployeeId>>,
}

/// Whom a worker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Somebody who is known.
    Is(EmployeeId),
    /// Somebody new.
    New,
    /// More than one could be meant: a person has to decide.
    Ambiguous(Vec<EmployeeId>),
}

impl Known {
    /// A known external id decides. Else whoever the employee number or the mail
    /// address (its text folded) points to: nobody is new, one is sure, and more
    /// than one are ambiguous, those by number first.
    #[must_use]
    pub fn correlate(&self, worker: &Worker) -> Match {
        if let Some(id) = self.by_external_id.get(&worker.external_id) {
            return Match::Is(*id);
        }
        let look = |map: &HashMap<String, Vec<EmployeeId>>, key: Option<String>| {
            key.and_then(|key| map.get(&key))
                .cloned()
                .unwrap_or_default()
        };
        let number = look(
            &self.by_number,
            worker.text(Attribute::EmployeeNumber).map(str::to_owned),
        );
        let mail = look(
            &self.by_mail,
            worker.text(Attribute::Emails).map(text::fold),
        );
        let mut meant = number;
        for id in mail {
            if !meant.contains(&id) {
                meant.push(id);
            }
        }
        match meant.as_slice() {
            [] => Match::New,
            [one] => Match::Is(*one),
            _ => Match::Ambiguous(meant),
        }
    }
}

/// What happens to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Comes in.
    Joiner,
    /// Comes back.
    Returner,
    /// Gets another superior or unit.
    Mover,
    /// Has other values.
    Changed,
    /// Goes: sign-in ends at once, the content stays.
    Leaver,
    /// Could be more than one: a person has to decide.
    Undecided,
}

/// One value that changes in the ERP's layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which: a SCIM name.
    pub attribute: Attribute,
    /// What the ERP said before.
    pub from: Option<Value>,
    /// What it says now.
    pub to: Option<Value>,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What happens.
    pub kind: StepKind,
    /// To whom in the source.
    pub external_id: String,
    /// To whom here; none for a joiner.
    pub employee: Option<EmployeeId>,
    /// Their name in the source.
    pub name: String,
    /// Which values change; empty for a leaver.
    pub changes: Vec<Change>,
    /// Who could be meant, if that is undecided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<EmployeeId>,
}

/// How many of each a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Records read.
    pub read: u64,
    /// Records that say what they said before.
    pub unchanged: u64,
    /// People who come in.
    pub joiners: u64,
    /// People who come back.
    pub returners: u64,
    /// People with another superior or unit.
    pub movers: u64,
    /// People with other values.
    pub changed: u64,
    /// People who go.
    pub leavers: u64,
    /// Records that wait for a decision.
    pub undecided: u64,
    /// Records or fields that could not be read.
    pub faults: u64,
}

impl Totals {
    /// Counts one more step.
    pub fn count(&mut self, kind: StepKind) {
        *match kind {
            StepKind::Joiner => &mut self.joiners,
            StepKind::Returner => &mut self.returners,
            StepKind::Mover => &mut self.movers,
            StepKind::Changed => &mut self.changed,
            StepKind::Leaver => &mut self.leavers,
            StepKind::Undecided => &mut self.undecided,
        } += 1;
    }
}

/// What differs between what a source said before and what it says now.
///
/// Absent and empty are the same here. One change at most for each attribute, in
/// the order of the catalogue.
#[must_use]
pub fn differences(
    before: &BTreeMap<Attribute, Option<Value>>,
    now: &BTreeMap<Attribute, Option<Value>>,
) -> Vec<Change> {
    let filled =
        |value: Option<&Option<Value>>| value.cloned().flatten().filter(|value| !value.is_empty());
    let mut attributes: Vec<_> = before.keys().chain(now.keys()).copied().collect();
    attributes.sort_unstable();
    attributes.dedup();
    attributes
        .into_iter()
        .filter_map(|attribute| {
            let (from, to) = (filled(before.get(&attribute)), filled(now.get(&attribute)));
            (from != to).then_some(Change {
                attribute,
                from,
                to,
            })
        })
        .collect()
}

/// Whether so many leavers at once look like a mistake: more than `percent` of
/// the `active` people who work here by this source. One person may always leave.
#[must_use]
pub fn suspicious(leavers: u64, active: u64, percent: u8) -> bool {
    leavers > 1 && leavers * 100 > active * u64::from(percent)
}

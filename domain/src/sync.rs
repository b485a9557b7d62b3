//! What a run would do: correlation, difference, plan. Pure; the store applies it.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::Hash,
};

use serde::{Deserialize, Serialize};

use crate::{Attribute, EmployeeId, Value, Violation, erp::Worker, text};

/// The people whom a worker may turn out to be.
#[derive(Debug, Default)]
pub struct Known {
    /// By the source's own id: sure.
    pub by_external_id: HashMap<String, EmployeeId>,
    /// By the id in another source, for people without a record of this source.
    pub by_other_id: HashMap<String, Vec<EmployeeId>>,
    /// By employee number, for people without a record of this source.
    pub by_number: HashMap<String, Vec<EmployeeId>>,
    /// By mail address, folded, for people without a record of this source.
    pub by_mail: HashMap<String, Vec<EmployeeId>>,
    /// By [`name_and_birth`], for people without a record of this source.
    pub by_name_and_birth: HashMap<String, Vec<EmployeeId>>,
}

/// What somebody can be told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// The id in this source is the id in another one.
    ExternalId,
    /// The employee number, to the letter.
    EmployeeNumber,
    /// The mail address, whatever its case.
    Mail,
    /// The name, in whatever order of its words, and the date of birth.
    NameAndBirthDate,
}

impl Key {
    /// Every key.
    pub const ALL: [Self; 4] = [
        Self::ExternalId,
        Self::EmployeeNumber,
        Self::Mail,
        Self::NameAndBirthDate,
    ];

    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ExternalId => "external_id",
            Self::EmployeeNumber => "employee_number",
            Self::Mail => "mail",
            Self::NameAndBirthDate => "name_and_birth_date",
        }
    }
}

/// One way of telling who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clue {
    /// By what.
    pub by: Key,
    /// Whether it decides. What is not sure only proposes: somebody is asked.
    pub sure: bool,
}

/// How a source's new records are told to be people who are known: in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Correlation(pub Vec<Clue>);

impl Default for Correlation {
    /// The employee number and the mail address, both sure.
    fn default() -> Self {
        let sure = |by| Clue { by, sure: true };
        Self(vec![sure(Key::EmployeeNumber), sure(Key::Mail)])
    }
}

impl Correlation {
    /// The same, if it can be followed.
    ///
    /// # Errors
    /// [`Violation::Duplicate`] for a key that is named twice.
    pub fn checked(self) -> Result<Self, Violation> {
        let twice = |(at, clue): (usize, &Clue)| {
            let before = self.0[..at].iter().any(|other| other.by == clue.by);
            before.then_some(clue.by)
        };
        match self.0.iter().enumerate().find_map(twice) {
            Some(key) => Err(Violation::Duplicate {
                field: "correlation".into(),
                value: key.name().into(),
            }),
            None => Ok(self),
        }
    }
}

/// Whom a worker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Somebody who is known.
    Is(EmployeeId),
    /// Somebody new.
    New,
    /// More than one could be meant, or one who is not sure: a person has to decide.
    Ambiguous(Vec<EmployeeId>),
}

/// A name and a date of birth as one text, equal for equal people: folded, and
/// the words of the name in alphabetical order. None without either.
#[must_use]
pub fn name_and_birth(worker: &Worker) -> Option<String> {
    let born = worker.text(Attribute::BirthDate)?;
    let parts = [Attribute::GivenName, Attribute::FamilyName];
    let parts: Vec<_> = parts.iter().filter_map(|one| worker.text(*one)).collect();
    let name = match parts.as_slice() {
        [given, family] => format!("{given} {family}"),
        _ => worker.text(Attribute::DisplayName)?.to_owned(),
    };
    let name = text::fold(&name);
    let mut words: Vec<_> = name.split_whitespace().collect();
    words.sort_unstable();
    Some(format!("{} {born}", words.join(" ")))
}

impl Known {
    /// Whether there is nobody whom a worker could be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_external_id.is_empty()
            && self.by_other_id.is_empty()
            && self.by_number.is_empty()
            && self.by_mail.is_empty()
            && self.by_name_and_birth.is_empty()
    }

    /// [`Known::correlate_by`] the number and the mail address.
    #[must_use]
    pub fn correlate(&self, worker: &Worker) -> Match {
        self.correlate_by(worker, &Correlation::default())
    }

    /// A known external id decides. Else whoever the sure clues point to: one is
    /// sure, and more than one are ambiguous, in the clues' order. Where they
    /// point to nobody, whoever the others point to is proposed; nobody is new.
    #[must_use]
    pub fn correlate_by(&self, worker: &Worker, by: &Correlation) -> Match {
        if let Some(id) = self.by_external_id.get(&worker.external_id) {
            return Match::Is(*id);
        }
        let (mut sure, mut hinted) = (Vec::new(), Vec::new());
        for clue in &by.0 {
            let meant = if clue.sure { &mut sure } else { &mut hinted };
            for id in self.pointed_to(worker, clue.by) {
                if !meant.contains(id) {
                    meant.push(*id);
                }
            }
        }
        match sure.as_slice() {
            [] if hinted.is_empty() => Match::New,
            [] => Match::Ambiguous(hinted),
            [one] => Match::Is(*one),
            _ => Match::Ambiguous(sure),
        }
    }

    fn pointed_to(&self, worker: &Worker, by: Key) -> &[EmployeeId] {
        let number = || worker.text(Attribute::EmployeeNumber);
        let found = match by {
            Key::ExternalId => self.by_other_id.get(&worker.external_id),
            Key::EmployeeNumber => number().and_then(|number| self.by_number.get(number)),
            Key::Mail => worker
                .text(Attribute::Emails)
                .and_then(|mail| self.by_mail.get(&text::fold(mail))),
            Key::NameAndBirthDate => {
                name_and_birth(worker).and_then(|key| self.by_name_and_birth.get(&key))
            }
        };
        found.map_or(&[], Vec::as_slice)
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
    /// Comes in, or back, on a day ahead: told now, taken in then.
    Scheduled,
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
    /// People who come in, or back, on a day ahead.
    #[serde(default)]
    pub scheduled: u64,
    /// Records or fields that could not be read.
    pub faults: u64,
    /// Clients.
    #[serde(default, skip_serializing_if = "Pulled::is_nothing")]
    pub clients: Pulled,
    /// Their tickets.
    #[serde(default, skip_serializing_if = "Pulled::is_nothing")]
    pub tickets: Pulled,
    /// What an undo puts back beside people.
    #[serde(default, skip_serializing_if = "PutBack::is_nothing")]
    pub put_back: PutBack,
}

/// What a run writes beside people and units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beside {
    /// Somebody who comes in on a day ahead.
    Scheduled,
    /// The day on which somebody comes back.
    Returning,
    /// To whom somebody reports beside the superior.
    DottedLines,
    /// Who stands in for somebody.
    StandIns,
    /// A post that nobody holds.
    Vacancy,
    /// A record that waits for a decision.
    Undecided,
    /// Whom the organization does business with.
    Client,
    /// What they asked for.
    Ticket,
}

impl Beside {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Scheduled,
        Self::Returning,
        Self::DottedLines,
        Self::StandIns,
        Self::Vacancy,
        Self::Undecided,
        Self::Client,
        Self::Ticket,
    ];

    /// The name in the API and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Returning => "returning",
            Self::DottedLines => "dotted_lines",
            Self::StandIns => "stand_ins",
            Self::Vacancy => "vacancy",
            Self::Undecided => "undecided",
            Self::Client => "client",
            Self::Ticket => "ticket",
        }
    }
}

/// How many things an undo puts back, by what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PutBack {
    /// [`Beside::Scheduled`].
    pub scheduled: u64,
    /// [`Beside::Returning`].
    pub returning: u64,
    /// [`Beside::DottedLines`]: of how many people.
    pub dotted_lines: u64,
    /// [`Beside::StandIns`]: of how many people.
    pub stand_ins: u64,
    /// [`Beside::Vacancy`].
    pub vacancy: u64,
    /// [`Beside::Undecided`].
    pub undecided: u64,
    /// [`Beside::Client`].
    pub client: u64,
    /// [`Beside::Ticket`].
    pub ticket: u64,
}

impl PutBack {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// How many of one kind.
    #[must_use]
    pub const fn of(&self, what: Beside) -> u64 {
        match what {
            Beside::Scheduled => self.scheduled,
            Beside::Returning => self.returning,
            Beside::DottedLines => self.dotted_lines,
            Beside::StandIns => self.stand_ins,
            Beside::Vacancy => self.vacancy,
            Beside::Undecided => self.undecided,
            Beside::Client => self.client,
            Beside::Ticket => self.ticket,
        }
    }

    /// Counts one more.
    pub const fn count(&mut self, what: Beside) {
        *match what {
            Beside::Scheduled => &mut self.scheduled,
            Beside::Returning => &mut self.returning,
            Beside::DottedLines => &mut self.dotted_lines,
            Beside::StandIns => &mut self.stand_ins,
            Beside::Vacancy => &mut self.vacancy,
            Beside::Undecided => &mut self.undecided,
            Beside::Client => &mut self.client,
            Beside::Ticket => &mut self.ticket,
        } += 1;
    }
}

/// How many records a run read that are nobody's who works here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pulled {
    /// Records read.
    pub read: u64,
    /// Those that were not known.
    pub new: u64,
    /// Those that say something else.
    pub changed: u64,
    /// Those that the source has no more.
    pub gone: u64,
}

impl Pulled {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
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
            StepKind::Scheduled => &mut self.scheduled,
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

/// Fewer than so many people at once are no mass change, whatever their share.
const FEW: u64 = 20;

/// How much a run may do before it stops and asks: shares in percent, of which
/// 100 stops nothing.
///
/// Leavers, joiners (with those who come back), movers and changed people, and
/// those with another value of one attribute, are shares of the people whom the
/// source had before; a first load is let through. Records that
/// could be two people, and faults, are shares of the records read. One person
/// may always leave, and of everything else up to twenty are let through.
///
/// A limit of another name is refused: one that is misspelt would leave the limit that was meant as it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// People who go.
    pub leavers: u8,
    /// People who come in or come back.
    pub joiners: u8,
    /// People with another superior or unit.
    pub movers: u8,
    /// People with other values.
    pub changed: u8,
    /// People who get another value of one and the same attribute, or lose theirs.
    pub attribute: u8,
    /// Records that wait for a decision.
    pub undecided: u8,
    /// Records and fields that cannot be read.
    pub faults: u8,
    /// Whether somebody else than who started a run has to let it go on.
    pub four_eyes: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            leavers: 10,
            joiners: 50,
            movers: 30,
            changed: 60,
            attribute: 40,
            undecided: 20,
            faults: 30,
            four_eyes: false,
        }
    }
}

/// Which limit a run went over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// [`Limits::leavers`].
    Leavers,
    /// [`Limits::joiners`].
    Joiners,
    /// [`Limits::movers`].
    Movers,
    /// [`Limits::changed`].
    Changed,
    /// [`Limits::attribute`].
    Attribute,
    /// [`Limits::undecided`].
    Undecided,
    /// [`Limits::faults`].
    Faults,
    /// No share: the source is paused, so its next run asks in any case.
    Paused,
}

impl Limit {
    /// The stable code of a run that stops because of it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Leavers => "too_many_leavers",
            Self::Joiners => "too_many_joiners",
            Self::Movers => "too_many_movers",
            Self::Changed => "too_many_changes",
            Self::Attribute => "mass_change",
            Self::Undecided => "too_many_undecided",
            Self::Faults => "too_many_faults",
            Self::Paused => "source_paused",
        }
    }
}

/// A limit that a run went over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exceeded {
    /// Which.
    pub limit: Limit,
    /// Of which attribute, for [`Limit::Attribute`].
    pub attribute: Option<Attribute>,
    /// How many.
    pub count: u64,
    /// Of how many.
    pub of: u64,
    /// The share that would have been let through.
    pub percent: u8,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            count, of, percent, ..
        } = self;
        let would = match self.limit {
            Limit::Paused => return f.write_str("The source is paused"),
            Limit::Undecided => {
                return write!(
                    f,
                    "{count} of {of} records could be more than one person, more than {percent} %"
                );
            }
            Limit::Faults => {
                return write!(f, "{count} faults in {of} records, more than {percent} %");
            }
            Limit::Leavers => "leave".to_owned(),
            Limit::Joiners => {
                return write!(
                    f,
                    "{count} people would come in beside {of}, more than {percent} %"
                );
            }
            Limit::Movers => "get another superior or unit".to_owned(),
            Limit::Changed => "get other values".to_owned(),
            Limit::Attribute => format!(
                "get another {} or lose it",
                self.attribute.map_or("value", Attribute::name)
            ),
        };
        write!(
            f,
            "{count} of {of} people would {would}, more than {percent} %"
        )
    }
}

/// What a plan adds up to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// People whom the source had before.
    pub active: u64,
    /// Whether the source was never read to its end before, so that there is nothing to compare with.
    pub first: bool,
    /// How many steps of each kind.
    pub totals: Totals,
    /// People of whom only their unit has another name, which is one change and not many.
    pub renamed: u64,
    /// How many people had a value of an attribute and get another one or none.
    pub attributes: BTreeMap<Attribute, u64>,
}

/// Whether `count` of `of` are more than `percent` lets through. Up to `free`
/// always pass, and a share of 100 stops nothing.
const fn over(count: u64, of: u64, percent: u8, free: u64) -> bool {
    percent < 100 && count > free && count * 100 > of * percent as u64
}

impl Limits {
    /// What stops nothing.
    pub const LIFTED: Self = Self {
        leavers: 100,
        joiners: 100,
        movers: 100,
        changed: 100,
        attribute: 100,
        undecided: 100,
        faults: 100,
        four_eyes: false,
    };

    /// Whether so many leavers of so many people are more than may go without
    /// being asked about. One always may.
    #[must_use]
    pub const fn too_many_leavers(&self, leavers: u64, people: u64) -> bool {
        over(leavers, people, self.leavers, 1)
    }

    /// The limits that a plan goes over, the gravest first.
    #[must_use]
    pub fn exceeded(&self, tally: &Tally) -> Vec<Exceeded> {
        let Tally { active, totals, .. } = tally;
        let mut exceeded = Vec::new();
        let mut ask = |limit, attribute, count: u64, of: u64, percent: u8, free: u64| {
            if over(count, of, percent, free) {
                exceeded.push(Exceeded {
                    limit,
                    attribute,
                    count,
                    of,
                    percent,
                });
            }
        };
        ask(
            Limit::Leavers,
            None,
            totals.leavers,
            *active,
            self.leavers,
            1,
        );
        if *active > 0 && !tally.first {
            let changed = totals.changed.saturating_sub(tally.renamed);
            let joiners = totals.joiners + totals.returners;
            ask(Limit::Joiners, None, joiners, *active, self.joiners, FEW);
            ask(
                Limit::Movers,
                None,
                totals.movers,
                *active,
                self.movers,
                FEW,
            );
            ask(Limit::Changed, None, changed, *active, self.changed, FEW);
            for (attribute, count) in &tally.attributes {
                let attribute = Some(*attribute);
                ask(
                    Limit::Attribute,
                    attribute,
                    *count,
                    *active,
                    self.attribute,
                    FEW,
                );
            }
        }
        let read = totals.read;
        ask(
            Limit::Undecided,
            None,
            totals.undecided,
            read,
            self.undecided,
            FEW,
        );
        ask(Limit::Faults, None, totals.faults, read, self.faults, FEW);
        exceeded
    }
}

/// What looks wrong in a plan though every record could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Doubt {
    /// People who would be each other's superiors.
    Cycle {
        /// Their names, each one's superior after it.
        people: Vec<String>,
    },
    /// A superior whom the source does not have.
    MissingManager {
        /// Whose.
        person: String,
        /// Their id in the source.
        external_id: String,
        /// The superior's id in the source.
        manager: String,
    },
    /// A value that only one person can have, and two have.
    Duplicate {
        /// Who.
        person: String,
        /// Their id in the source.
        external_id: String,
        /// Of which attribute.
        attribute: Attribute,
        /// What both have.
        value: String,
        /// The name of who has it as well.
        other: String,
    },
    /// A unit that the source has no more, or never had, while people are in it.
    UnitGone {
        /// Its name, or its id in the source.
        unit: String,
        /// How many are in it.
        people: u64,
    },
    /// Units that are each other's parents, or a unit that is its own.
    UnitCycle {
        /// Their names, each one's parent after it.
        units: Vec<String>,
    },
    /// Many people would get another value of one attribute, or lose theirs.
    MassChange {
        /// Which.
        attribute: Attribute,
        /// How many.
        people: u64,
        /// Of how many.
        of: u64,
        /// What most of them would get; none if they would lose it.
        to: Option<Value>,
    },
    /// One photo that several people have: a placeholder, or somebody else's.
    SamePhoto {
        /// The photo, by its hash.
        photo: String,
        /// The names of those who have it, as far as they are told.
        people: Vec<String>,
        /// How many have it.
        count: u64,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cycle { people } => {
                write!(f, "would be each other's superiors: {}", people.join(", "))
            }
            Self::MissingManager {
                person, manager, ..
            } => {
                write!(f, "{person}: the manager {manager} is not in the source")
            }
            Self::Duplicate {
                person,
                attribute,
                value,
                other,
                ..
            } => write!(
                f,
                "{person}: {} {value} is that of {other} too",
                attribute.name()
            ),
            Self::UnitGone { unit, people } => {
                write!(f, "{people} in the unit {unit}, which is not in the source")
            }
            Self::UnitCycle { units } => {
                write!(f, "units in a circle: {}", units.join(", "))
            }
            Self::MassChange {
                attribute,
                people,
                of,
                ..
            } => write!(
                f,
                "{people} of {of} would get another {} or lose it",
                attribute.name()
            ),
            Self::SamePhoto { people, count, .. } => {
                write!(f, "{count} have one photo: {}", people.join(", "))
            }
        }
    }
}

/// The circles in a relation of many to one: each member's successor follows
/// it, the last one's is the first. Somebody who is their own is a circle of one.
#[must_use]
pub fn circles<T: Copy + Eq + Hash>(
    starts: impl IntoIterator<Item = T>,
    next: impl Fn(T) -> Option<T>,
) -> Vec<Vec<T>> {
    let mut walked: HashMap<T, usize> = HashMap::new();
    let mut circles = Vec::new();
    for (walk, start) in starts.into_iter().enumerate() {
        let mut path = Vec::new();
        let mut at = Some(start);
        while let Some(here) = at {
            match walked.get(&here) {
                // Met on this very walk: from there on it is a circle.
                Some(before) if *before == walk => {
                    let from = path.iter().position(|one| *one == here).unwrap_or(0);
                    circles.push(path.split_off(from));
                    break;
                }
                Some(_) => break,
                None => {}
            }
            walked.insert(here, walk);
            path.push(here);
            at = next(here);
        }
    }
    circles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(active: u64, totals: Totals) -> Tally {
        Tally {
            active,
            totals,
            ..Tally::default()
        }
    }

    #[test]
    fn one_person_may_leave_and_a_tenth_may() {
        let leavers = |leavers, active| {
            let totals = Totals {
                leavers,
                ..Totals::default()
            };
            Limits::default().exceeded(&tally(active, totals)).len()
        };
        assert_eq!((leavers(1, 1), leavers(2, 5)), (0, 1));
        assert_eq!((leavers(10, 100), leavers(11, 100)), (0, 1));
        assert_eq!(leavers(5_000, 5_000), 1);
    }

    #[test]
    fn a_first_load_is_let_through_and_a_second_one_of_strangers_is_not() {
        let totals = Totals {
            joiners: 5_000,
            read: 5_000,
            ..Totals::default()
        };
        let limits = Limits::default();
        assert_eq!(limits.exceeded(&tally(0, totals)), []);
        let over = limits.exceeded(&tally(5_000, totals));
        assert_eq!(over[0].limit, Limit::Joiners);
        assert_eq!(
            over[0].to_string(),
            "5000 people would come in beside 5000, more than 50 %"
        );
    }

    #[test]
    fn one_attribute_of_nearly_everybody_is_a_mass_change_and_a_few_are_not() {
        let with = |count| Tally {
            active: 100,
            attributes: BTreeMap::from([(Attribute::Title, count)]),
            ..Tally::default()
        };
        let limits = Limits::default();
        assert_eq!(limits.exceeded(&with(40)), []);
        let over = limits.exceeded(&with(41));
        assert_eq!(over[0].attribute, Some(Attribute::Title));
        let never = Limits {
            attribute: 100,
            ..limits
        };
        assert_eq!(never.exceeded(&with(100)), []);
        let few = Tally {
            active: 20,
            attributes: BTreeMap::from([(Attribute::Title, 20)]),
            ..Tally::default()
        };
        assert_eq!(limits.exceeded(&few), []);
    }

    #[test]
    fn a_unit_with_another_name_is_not_many_changes() {
        let totals = Totals {
            changed: 90,
            ..Totals::default()
        };
        let renamed = Tally {
            renamed: 90,
            ..tally(100, totals)
        };
        assert_eq!(Limits::default().exceeded(&renamed), []);
    }

    #[test]
    fn circles_are_found_once_each() {
        let next = |id: &str| match id {
            "a" => Some("b"),
            "b" => Some("c"),
            "c" | "d" => Some("b"),
            "e" => Some("e"),
            _ => None,
        };
        let found = circles(["a", "b", "c", "d", "e", "f"], next);
        assert_eq!(found, [vec!["b", "c"], vec!["e"]]);
    }
}

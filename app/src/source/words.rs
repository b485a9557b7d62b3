//! The words of sources: phases, kinds of step, what went wrong, what was found.

use domain::{
    Attribute,
    erp::{Fault, Vacancy},
    sync::{Beside, Change, Doubt, Exceeded, Limit, StepKind, Totals},
};
use erp_adapters::{Error, KINDS, Kind, Readable};
use store::run::{Group, NotUndone, Phase, Run, RunFinding};

use crate::{
    ui::{
        Glyph, Tone,
        format::{counted, number},
    },
    words,
};

/// A kind of source by its name.
pub(super) fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// What people call a kind of source; its own name for one that is no more.
pub(super) fn kind_label(name: &str) -> String {
    kind(name).map_or_else(|| name.to_owned(), |kind| kind.label.to_owned())
}

/// How a run stands, in two or three words.
pub(super) fn phase(run: &Run) -> (&'static str, Tone) {
    match run.phase {
        Phase::Reading => ("Reading", Tone::Info),
        Phase::Planning => ("Planning", Tone::Info),
        Phase::Applying if run.undoes.is_some() => ("Undoing", Tone::Info),
        Phase::Applying => ("Applying", Tone::Info),
        Phase::Waiting => ("Stopped, asks", Tone::Critical),
        Phase::Done if run.dry_run => ("Dry run done", Tone::Neutral),
        Phase::Done if run.undoes.is_some() => ("Undo done", Tone::Positive),
        Phase::Done if run.undone_by.is_some() => ("Undone", Tone::Warning),
        Phase::Done => ("Done", Tone::Positive),
        Phase::Failed => ("Failed", Tone::Critical),
        Phase::Cancelled => ("Cancelled", Tone::Warning),
    }
}

/// What a run did, in a few words.
pub(super) fn outcome(run: &Run) -> String {
    let of = |count: u64, one: &str, many: &str| {
        (count > 0).then(|| crate::ui::format::counted(count, one, many))
    };
    let totals = run.totals;
    if run.undoes.is_some() && (run.phase == Phase::Done || run.applied > 0) {
        return undone(&totals);
    }
    let parts: Vec<_> = [
        of(totals.joiners + totals.returners, "joiner", "joiners"),
        of(totals.movers, "mover", "movers"),
        of(totals.changed, "change", "changes"),
        of(totals.leavers, "leaver", "leavers"),
        of(totals.undecided, "to decide", "to decide"),
        of(totals.scheduled, "scheduled", "scheduled"),
    ]
    .into_iter()
    .flatten()
    .collect();
    match run.phase {
        Phase::Failed | Phase::Cancelled if run.applied == 0 => "Nothing written".into(),
        Phase::Done if parts.is_empty() && run.dry_run => "Nothing would change".into(),
        Phase::Done if parts.is_empty() => "Nothing changed".into(),
        _ => parts.join(", "),
    }
}

/// What an undo put back, in a few words.
fn undone(totals: &Totals) -> String {
    let people = totals.movers + totals.changed;
    let parts = [
        (totals.returners, "back", "back"),
        (totals.leavers, "gone again", "gone again"),
        (people, "person as before", "people as before"),
    ];
    let people = parts
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| counted(count, one, many));
    let parts: Vec<_> = people.chain(put_back(totals)).collect();
    match parts.is_empty() {
        true => "Nothing put back".into(),
        false => parts.join(", "),
    }
}

/// What an undo puts back beside people, by kind.
pub(super) fn put_back(totals: &Totals) -> Vec<String> {
    let each = Beside::ALL.map(|what| (what, totals.put_back.of(what)));
    each.into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| beside(what, count))
        .collect()
}

/// A kind of step: its icon, its word, the word for many of them.
pub(super) const fn step(kind: StepKind) -> (Glyph, &'static str, &'static str) {
    match kind {
        StepKind::Joiner => (Glyph::Join, "Join", "Joiners"),
        StepKind::Returner => (Glyph::Undo, "Return", "Returners"),
        StepKind::Mover => (Glyph::Move, "Move", "Movers"),
        StepKind::Changed => (Glyph::Pencil, "Value", "Changed"),
        StepKind::Leaver => (Glyph::Leave, "Leave", "Leavers"),
        StepKind::Undecided => (Glyph::Help, "Decide", "Undecided"),
        StepKind::Scheduled => (Glyph::Calendar, "Later", "Scheduled"),
    }
}

/// Every kind of step, in the order of the tiles.
pub(super) const STEPS: [StepKind; 7] = [
    StepKind::Joiner,
    StepKind::Returner,
    StepKind::Mover,
    StepKind::Changed,
    StepKind::Leaver,
    StepKind::Undecided,
    StepKind::Scheduled,
];

/// A kind of step in an address.
pub(super) const fn step_name(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Joiner => "joiner",
        StepKind::Returner => "returner",
        StepKind::Mover => "mover",
        StepKind::Changed => "changed",
        StepKind::Leaver => "leaver",
        StepKind::Undecided => "undecided",
        StepKind::Scheduled => "scheduled",
    }
}

/// Where somebody new comes in: `New in Sales, Bergen, under Priya Raman`; with
/// `later`, on which day.
pub(super) fn newcomer(changes: &[Change], later: bool) -> String {
    let value = |attribute| {
        changes
            .iter()
            .find(|change| change.attribute == attribute)
            .and_then(|change| change.to.as_ref())
            .map(ToString::to_string)
    };
    let places: Vec<_> = [Attribute::Department, Attribute::Location]
        .into_iter()
        .filter_map(value)
        .collect();
    let day = value(Attribute::StartDate).filter(|_| later);
    let begin = day.map(|day| format!("Starts on {day}. "));
    let mut sentence = match places.as_slice() {
        [] => "New".to_owned(),
        places => format!("New in {}", places.join(", ")),
    };
    if let Some(title) = value(Attribute::Title) {
        sentence += &format!(", {title}");
    }
    if let Some(manager) = value(Attribute::Manager) {
        sentence += &format!(", under {manager}");
    }
    begin.unwrap_or_default() + &sentence
}

/// `text` as a sentence of its own.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    let rest = letters.as_str().trim_end_matches('.');
    first.map_or_else(String::new, |first| {
        format!("{}{rest}.", first.collect::<String>())
    })
}

/// Why a source cannot be read, and what to do.
pub(super) fn trouble(error: &Error) -> (String, &'static str) {
    let todo = match error {
        Error::Setting { .. } => "Change the setting below.",
        Error::NotAllowed { .. } => {
            "Hosts inside the own network have to be allowed by whoever runs the portal, with OPTIMUS_ERP_HOSTS."
        }
        Error::Unreachable { .. } | Error::TimedOut { .. } => {
            "See whether the address is right and the system is up."
        }
        Error::Unauthorized => "Make a new key there and set it below.",
        Error::Forbidden { .. } => "Give the key’s user that right there.",
        Error::RateLimited { .. } => "Try again in some minutes.",
        Error::Malformed { .. } | Error::Rejected { .. } | Error::TooLarge { .. } => {
            "Show this to whoever looks after that system."
        }
    };
    (sentence(&error.to_string()), todo)
}

/// Whether something may be read, as a state.
pub(super) const fn readable(readable: Readable) -> (&'static str, Tone) {
    match readable {
        Readable::Yes => ("Can be read", Tone::Positive),
        Readable::Reduced => ("In part", Tone::Warning),
        Readable::No => ("Not read", Tone::Warning),
    }
}

/// A fault's name and what it means: which field, which record, what is wrong with it.
pub(super) fn fault(fault: &Fault) -> (String, String) {
    let field = fault.field.as_deref();
    let known = field.and_then(|field| field.parse::<Attribute>().ok());
    let title = match (known, field) {
        _ if fault.left_out => "Record left out".to_owned(),
        (Some(known), _) => words::attribute(known).to_owned(),
        (None, Some(field)) => field.to_owned(),
        (None, None) => "Record".to_owned(),
    };
    // What is said of a column that is not known here speaks of it by no name.
    let subject = match (known, field) {
        (None, Some(field)) => format!("{field} "),
        _ => String::new(),
    };
    let text = format!("{}: {subject}{}", fault.place, sentence_end(&fault.what));
    (title, text)
}

fn sentence_end(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}

/// A limit that a run goes over, as a sentence.
pub(super) fn exceeded(over: &Exceeded) -> String {
    let people = counted(over.count, "person", "people");
    let of = number(i64::try_from(over.of).unwrap_or(i64::MAX));
    let share = format!(
        "{} of {}",
        number(i64::try_from(over.count).unwrap_or(i64::MAX)),
        counted(over.of, "person", "people")
    );
    let percent = over.percent;
    match over.limit {
        Limit::Leavers => {
            format!("{share} would leave at once. The limit for one run is {percent} %.")
        }
        Limit::Joiners => {
            format!("{people} would come in beside {of}. The limit for one run is {percent} %.")
        }
        Limit::Movers => format!(
            "{share} would get another superior or unit. The limit for one run is {percent} %."
        ),
        Limit::Changed => {
            format!("{share} would get other values. The limit for one run is {percent} %.")
        }
        Limit::Attribute => {
            let what = over
                .attribute
                .map_or("value", words::attribute)
                .to_lowercase();
            format!(
                "{share} would get another {what} or lose it. The limit for one run is {percent} %."
            )
        }
        Limit::Undecided => format!(
            "{} of {of} could be more than one person. The limit for one run is {percent} %.",
            counted(over.count, "record", "records")
        ),
        Limit::Faults => format!(
            "{} in {of} records. The limit for one run is {percent} %.",
            counted(over.count, "fault", "faults")
        ),
        Limit::Paused => "The source is paused, so its next run asks whatever it would do.".into(),
    }
}

/// What a group of findings is called.
pub(super) const fn group(group: Group) -> &'static str {
    match group {
        Group::MassChange => "One value of nearly everybody",
        Group::Cycle => "In a circle",
        Group::MissingManager => "Managers who are not there",
        Group::Duplicate => "What two people have",
        Group::BadMail => "E-mail addresses that are none",
        Group::UnitGone => "Units that are gone",
        Group::SamePhoto => "One photo of several people",
        Group::LeftOut => "Records left out",
        Group::BadValue => "Values that could not be read",
        Group::Vacancy => "Vacant posts",
        Group::NotUndone => "Left as it is",
    }
}

/// How a finding looks, what it is called and what it means.
pub(super) fn finding(finding: &RunFinding) -> (Glyph, &'static str, String, String) {
    match finding {
        RunFinding::Fault(one) => {
            let (title, text) = fault(one);
            let (glyph, tone) = match one.left_out {
                true => (Glyph::Stop, "tone-critical"),
                false => (Glyph::Warning, "tone-warning"),
            };
            (glyph, tone, title, text)
        }
        RunFinding::Vacancy(one) => {
            let (title, text) = vacancy(one);
            let (glyph, tone) = match one.manager {
                None => (Glyph::Warning, "tone-warning"),
                Some(_) => (Glyph::Info, "tone-info"),
            };
            (glyph, tone, title.to_owned(), text)
        }
        RunFinding::Doubt(one) => {
            let (title, text) = doubt(one);
            let (glyph, tone) = match one {
                Doubt::MassChange { .. } => (Glyph::Stop, "tone-critical"),
                _ => (Glyph::Warning, "tone-warning"),
            };
            (glyph, tone, title, text)
        }
        RunFinding::NotUndone(one) => (
            Glyph::Info,
            "tone-info",
            not_undone_title(one),
            not_undone(one),
        ),
    }
}

/// What looks wrong, by name and in words.
fn doubt(doubt: &Doubt) -> (String, String) {
    match doubt {
        Doubt::Cycle { people } => (
            "A circle of managers".into(),
            format!(
                "{} would be each other’s superiors. The chart cuts the circle, and nobody in it oversees another.",
                people.join(", ")
            ),
        ),
        Doubt::MissingManager {
            person,
            external_id,
            manager,
        } => (
            person.clone(),
            format!("{external_id} names {manager} as the manager, whom the source does not have."),
        ),
        Doubt::Duplicate {
            person,
            attribute,
            value,
            other,
            ..
        } => (
            person.clone(),
            format!(
                "has the {} {value}, which {other} has as well. Both stay, told apart by their ids in the source.",
                words::attribute(*attribute).to_lowercase()
            ),
        ),
        Doubt::UnitGone { unit, people } => (
            unit.clone(),
            format!(
                "is not in the source, and {} in it. They are shown without a unit.",
                counted(*people, "person is", "people are")
            ),
        ),
        Doubt::UnitCycle { units } => (
            "A circle of units".into(),
            match units.as_slice() {
                [one] => format!("{one} would be its own parent. The chart shows it at the top."),
                units => format!(
                    "{} would be each other’s parents. The chart shows them at the top.",
                    units.join(", ")
                ),
            },
        ),
        Doubt::MassChange {
            attribute,
            people,
            of,
            to,
        } => (
            words::attribute(*attribute).to_owned(),
            match to {
                Some(to) => format!(
                    "{} of {of} would get another one, most of them “{to}”.",
                    counted(*people, "person", "people")
                ),
                None => format!(
                    "{} of {of} would lose it. A mapping to a field that is not there looks like this.",
                    counted(*people, "person", "people")
                ),
            },
        ),
        Doubt::SamePhoto { people, count, .. } => (
            format!("{} with one photo", counted(*count, "person", "people")),
            format!(
                "{}. Only the first two have it: it is a placeholder, or somebody else’s.",
                people.join(", ")
            ),
        ),
    }
}

/// Things beside people and units, as the label of a figure.
pub(super) const fn beside_label(what: Beside) -> &'static str {
    match what {
        Beside::Scheduled => "On a day ahead",
        Beside::Returning => "Days to come back",
        Beside::DottedLines => "Dotted lines, people",
        Beside::StandIns => "Stand-ins, people",
        Beside::Vacancy => "Vacant posts",
        Beside::Undecided => "Records to decide",
        Beside::Client => "Clients",
        Beside::Ticket => "Tickets",
    }
}

/// Things beside people and units, by how many.
pub(super) fn beside(what: Beside, count: u64) -> String {
    let (one, many) = match what {
        Beside::Scheduled => ("person on a day ahead", "people on a day ahead"),
        Beside::Returning => ("day to come back", "days to come back"),
        Beside::DottedLines => ("person’s dotted lines", "people’s dotted lines"),
        Beside::StandIns => ("person’s stand-ins", "people’s stand-ins"),
        Beside::Vacancy => ("vacant post", "vacant posts"),
        Beside::Undecided => ("record to decide", "records to decide"),
        Beside::Client => ("client", "clients"),
        Beside::Ticket => ("ticket", "tickets"),
    };
    counted(count, one, many)
}

/// What an undo leaves as it is: whose, or what.
pub(super) fn not_undone_title(left: &NotUndone) -> String {
    let name = &left.name;
    match left.what {
        None | Some(Beside::Vacancy) => name.clone(),
        Some(what @ (Beside::Client | Beside::Ticket)) => {
            beside(what, name.parse().unwrap_or_default())
        }
        Some(Beside::Scheduled) => format!("{name}, on a day ahead"),
        Some(Beside::Returning) => format!("{name}, the day to come back"),
        Some(Beside::DottedLines) => format!("{name}, dotted lines"),
        Some(Beside::StandIns) => format!("{name}, who stands in"),
        Some(Beside::Undecided) => format!("{name}, to be decided"),
    }
}

/// Why something is left as it is by an undo.
pub(super) fn not_undone(left: &NotUndone) -> String {
    let what: Vec<_> = left
        .attributes
        .iter()
        .map(|attribute| words::attribute(*attribute).to_lowercase())
        .collect();
    match left.why.as_str() {
        "presses" => {
            return "Stays: they pressed the button, and an undo locks out nobody who does.".into();
        }
        "last_administrator" => {
            return "Stays: without them nobody could administer the portal.".into();
        }
        _ => {}
    }
    let what = match (what.as_slice(), left.employee) {
        _ if left.what.is_some() => "this stays".to_owned(),
        ([], Some(_)) => "stays as a whole".to_owned(),
        ([], None) => "the unit stays".to_owned(),
        (what, _) => format!("{} stays", what.join(", ")),
    };
    let why = match left.why.as_str() {
        "later_run" if left.what.is_some() => "something newer touched it",
        "in_use" => "somebody is in it",
        "no_record" => "its record is not there any more",
        "changed_since" => "it was changed since",
        _ => "something newer has changed it",
    };
    sentence(&format!("{what}: {why}"))
}

/// A vacant post's name and what it means.
pub(super) fn vacancy(vacancy: &Vacancy) -> (&'static str, String) {
    let post = format!("{}, {}.", vacancy.title, vacancy.external_id);
    match vacancy.manager {
        None => (
            "A vacant post without a manager",
            format!("{post} Nobody oversees whoever takes it."),
        ),
        Some(_) => ("A vacant post", post),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_a_sentence_once() {
        assert_eq!(
            sentence("the key is not accepted"),
            "The key is not accepted."
        );
        assert_eq!(sentence("Élan."), "Élan.");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn a_newcomer_is_told_by_place_and_superior() {
        let change = |attribute, to: &str| Change {
            attribute,
            from: None,
            to: Some(to.into()),
        };
        let changes = [
            change(Attribute::DisplayName, "Ottilie Brandvik"),
            change(Attribute::Department, "Engineering"),
            change(Attribute::Manager, "Helena Brandt"),
            change(Attribute::Location, "Bergen"),
        ];
        assert_eq!(
            newcomer(&changes, false),
            "New in Engineering, Bergen, under Helena Brandt"
        );
        assert_eq!(newcomer(&[], false), "New");
        let starts = change(Attribute::StartDate, "2026-12-01");
        assert_eq!(newcomer(&[starts], true), "Starts on 2026-12-01. New");
    }

    #[test]
    fn a_fault_names_the_field_as_people_call_it() {
        let told = fault(&Fault {
            place: "workers.csv, line 12".into(),
            field: Some("startDate".into()),
            what: "“31.02.2020” is not a date such as 2019-05-13; left out".into(),
            external_id: None,
            left_out: false,
        });
        assert_eq!(told.0, "Started");
        assert_eq!(
            told.1,
            "workers.csv, line 12: “31.02.2020” is not a date such as 2019-05-13; left out."
        );
        let column = fault(&Fault {
            place: "workers.csv, first row".into(),
            field: Some("shoe_size".into()),
            what: "is not a column that is read; ignored".into(),
            external_id: None,
            left_out: false,
        });
        assert_eq!(column.0, "shoe_size");
        assert_eq!(
            column.1,
            "workers.csv, first row: shoe_size is not a column that is read; ignored."
        );
    }
}

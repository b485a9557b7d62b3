//! The words of sources: phases, kinds of step, what went wrong, what was found.

use domain::{
    Attribute,
    erp::{Fault, Vacancy},
    sync::{Change, StepKind},
};
use erp_adapters::{Error, KINDS, Kind, Readable};
use store::run::{Phase, Run};

use crate::{
    ui::{Glyph, Tone},
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
        Phase::Applying => ("Applying", Tone::Info),
        Phase::Waiting => ("Stopped, asks", Tone::Critical),
        Phase::Done if run.dry_run => ("Dry run done", Tone::Neutral),
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
    let parts: Vec<_> = [
        of(totals.joiners + totals.returners, "joiner", "joiners"),
        of(totals.movers, "mover", "movers"),
        of(totals.changed, "change", "changes"),
        of(totals.leavers, "leaver", "leavers"),
        of(totals.undecided, "to decide", "to decide"),
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

/// A kind of step: its icon, its word, the word for many of them.
pub(super) const fn step(kind: StepKind) -> (Glyph, &'static str, &'static str) {
    match kind {
        StepKind::Joiner => (Glyph::Join, "Join", "Joiners"),
        StepKind::Returner => (Glyph::Undo, "Return", "Returners"),
        StepKind::Mover => (Glyph::Move, "Move", "Movers"),
        StepKind::Changed => (Glyph::Pencil, "Value", "Changed"),
        StepKind::Leaver => (Glyph::Leave, "Leave", "Leavers"),
        StepKind::Undecided => (Glyph::Help, "Decide", "Undecided"),
    }
}

/// Every kind of step, in the order of the tiles.
pub(super) const STEPS: [StepKind; 6] = [
    StepKind::Joiner,
    StepKind::Returner,
    StepKind::Mover,
    StepKind::Changed,
    StepKind::Leaver,
    StepKind::Undecided,
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
    }
}

/// Where somebody new comes in: `New in Sales, Bergen, under Priya Raman`.
pub(super) fn newcomer(changes: &[Change]) -> String {
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
    sentence
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
            newcomer(&changes),
            "New in Engineering, Bergen, under Helena Brandt"
        );
        assert_eq!(newcomer(&[]), "New");
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

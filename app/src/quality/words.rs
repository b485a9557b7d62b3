//! The words of data quality: what is wrong, who can mend it, and where.

use domain::Attribute;
use store::quality::{Flaw, Kind};

use crate::words::attribute;

/// A kind of flaw, as a list of many is called.
pub(super) const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::LeftOut => "Records left out",
        Kind::BadMail => "Mail addresses that are none",
        Kind::BadValue => "Values that cannot be read",
        Kind::Undecided => "Records to decide",
        Kind::Duplicate => "Shared addresses and numbers",
        Kind::Cycle => "Circles of superiors",
        Kind::MissingManager => "Superiors who are not here",
        Kind::VacantManager => "Superiors’ posts that are vacant",
        Kind::Detached => "People with nobody above",
        Kind::UnitGone => "Units that are not there",
        Kind::SeveralHeads => "Units with several heads",
        Kind::UnitStructure => "Units in a wrong place",
        Kind::Vacancy => "Vacant posts without a superior",
        Kind::Correction => "Corrections to make by hand",
    }
}

/// One flaw, in two or three words.
pub(super) const fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::LeftOut => "Record left out",
        Kind::BadMail => "No mail address",
        Kind::BadValue => "Value not read",
        Kind::Undecided => "Who is it?",
        Kind::Duplicate => "There twice",
        Kind::Cycle => "A circle of superiors",
        Kind::MissingManager => "Superior not here",
        Kind::VacantManager => "Superior’s post vacant",
        Kind::Detached => "Nobody above",
        Kind::UnitGone => "Unit not there",
        Kind::SeveralHeads => "Several heads",
        Kind::UnitStructure => "Unit in a wrong place",
        Kind::Vacancy => "Post without a superior",
        Kind::Correction => "To be mended by hand",
    }
}

/// A field as people call it; as the source calls it, where it is not one of the catalogue's.
fn field(flaw: &Flaw) -> Option<String> {
    let name = flaw.field.as_deref()?;
    let known = name.parse::<Attribute>();
    Some(known.map_or_else(|_| name.to_owned(), |known| attribute(known).to_lowercase()))
}

/// What is wrong, in a sentence.
pub(super) fn sentence(flaw: &Flaw) -> String {
    let names: Vec<_> = flaw
        .people
        .iter()
        .map(|card| card.display_name.as_str())
        .collect();
    let who = names.first().copied().unwrap_or("Somebody");
    let units = flaw.units.join(", ");
    let what = flaw.what.as_deref().unwrap_or_default();
    match flaw.kind {
        Kind::LeftOut => format!("The whole record is left out: {}", ended(what)),
        Kind::BadMail | Kind::BadValue => {
            let known = flaw.field.as_deref().map(str::parse::<Attribute>);
            match (known, flaw.field.as_deref()) {
                (Some(Ok(known)), _) => format!("{}: {}", attribute(known), ended(what)),
                // What is said of a column that is not known here speaks of it by no name.
                (_, Some(field)) => format!("{field} {}", ended(what)),
                (_, None) => ended(what),
            }
        }
        Kind::Undecided if names.is_empty() => "It could be more than one person.".to_owned(),
        Kind::Undecided => format!("It could be {}.", names.join(" or ")),
        Kind::Duplicate => {
            let field = field(flaw).unwrap_or_else(|| "value".to_owned());
            format!("{} have one {field}, “{what}”.", names.join(" and "))
        }
        Kind::Cycle if names.len() < 2 => format!("{who} is named as the own superior."),
        Kind::Cycle => format!(
            "{} are each other’s superiors. Nobody of them oversees another until it is mended.",
            names.join(", ")
        ),
        Kind::MissingManager => match names.get(1) {
            Some(left) => format!("The superior of {who} is {left}, who left."),
            None => format!("The superior of {who} is “{what}”, whom the source does not have."),
        },
        Kind::VacantManager => {
            format!("{who} reports to the post “{what}”, which nobody holds.")
        }
        Kind::Detached => format!("The source names no superior for {who}."),
        Kind::UnitGone => format!("{who} is in unit “{what}”, which the source does not have."),
        Kind::SeveralHeads => format!("{units} is led by {}.", names.join(" and ")),
        Kind::UnitStructure if flaw.units.len() > 1 => {
            format!("{units} are each other’s parents.")
        }
        Kind::UnitStructure => format!("The unit above {units} is not there."),
        Kind::Vacancy => format!("{what}: nobody oversees whoever takes it."),
        Kind::Correction => {
            let field = field(flaw).unwrap_or_else(|| "value".to_owned());
            match &flaw.what {
                Some(value) => format!("The {field} of {who} should be “{value}”."),
                None => format!("The {field} of {who} should be another one."),
            }
        }
    }
}

/// Who can mend it.
pub(super) fn who(flaw: &Flaw, source: Option<&str>, unit: Option<&str>) -> String {
    let owner = source.map_or_else(
        || "HR".to_owned(),
        |source| format!("Who looks after {source}"),
    );
    match (flaw.kind, unit) {
        (Kind::Undecided, _) => "A system administrator, here".to_owned(),
        (Kind::LeftOut | Kind::UnitGone | Kind::SeveralHeads | Kind::UnitStructure, _)
        | (_, None) => owner,
        (_, Some(unit)) => match source {
            Some(source) => format!("HR for {unit}, in {source}"),
            None => format!("HR for {unit}"),
        },
    }
}

/// Where to mend it: `Mend it in Odoo: mail of hr.employee 42.`
pub(super) fn place(flaw: &Flaw, source: Option<&str>) -> Option<String> {
    let source = source?;
    let place = flaw.place.as_deref();
    Some(match (flaw.kind, field(flaw), place) {
        (Kind::Undecided, _, place) => format!(
            "Say whose record {} is, on the page of {source}.",
            place.unwrap_or("it")
        ),
        (Kind::LeftOut, _, Some(place)) => format!("Mend it in {source}: {place}."),
        (_, Some(field), Some(place)) => format!("Mend it in {source}: {field} of {place}."),
        (_, None, Some(place)) => format!("Mend it in {source}: {place}."),
        (_, _, None) if !flaw.units.is_empty() => {
            format!("Mend it in {source}: {}.", flaw.units.join(", "))
        }
        (_, _, None) => format!("Mend it in {source}."),
    })
}

fn ended(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(kind: Kind) -> Flaw {
        Flaw {
            kind,
            source: None,
            people: Vec::new(),
            unit: None,
            units: Vec::new(),
            place: Some("hr.employee 42".into()),
            field: Some("emails".into()),
            what: Some("“nobody at nowhere” is not a mail address".into()),
            run: None,
        }
    }

    #[test]
    fn a_flaw_says_what_is_wrong_and_where_it_is_mended() {
        let bad = flaw(Kind::BadMail);
        assert_eq!(
            sentence(&bad),
            "Mail: “nobody at nowhere” is not a mail address."
        );
        assert_eq!(
            place(&bad, Some("Odoo")).unwrap(),
            "Mend it in Odoo: mail of hr.employee 42."
        );
        assert_eq!(
            who(&bad, Some("Odoo"), Some("Sales")),
            "HR for Sales, in Odoo"
        );
        assert_eq!(who(&bad, Some("Odoo"), None), "Who looks after Odoo");
    }

    #[test]
    fn a_field_that_the_catalogue_does_not_have_keeps_its_name() {
        let mut odd = flaw(Kind::BadValue);
        odd.field = Some("shoe_size".into());
        assert_eq!(
            place(&odd, Some("Odoo")).unwrap(),
            "Mend it in Odoo: shoe_size of hr.employee 42."
        );
        odd.what = Some("is not a column that is read; ignored".into());
        assert_eq!(
            sentence(&odd),
            "shoe_size is not a column that is read; ignored."
        );
    }

    #[test]
    fn every_kind_has_words_of_its_own() {
        let titles: std::collections::BTreeSet<_> =
            Kind::ALL.iter().map(|one| title(*one)).collect();
        let kinds: std::collections::BTreeSet<_> = Kind::ALL.iter().map(|one| kind(*one)).collect();
        assert_eq!((titles.len(), kinds.len()), (14, 14));
        for one in Kind::ALL {
            assert!(sentence(&flaw(one)).ends_with('.'), "{one:?}");
        }
    }
}

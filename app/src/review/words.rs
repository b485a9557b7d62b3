//! How reviews and looks are said.

use chrono::{DateTime, Duration, Utc};
use domain::review::{By, CATEGORIES};
use store::{
    people::PersonCard,
    review::{Look, Review},
};

use crate::ui::{
    Glyph,
    format::{Reader, counted, number},
};

/// The kinds of reason that the page offers, with their words.
pub(crate) fn categories() -> impl Iterator<Item = (&'static str, String)> {
    CATEGORIES.into_iter().map(|name| (name, category(name)))
}

/// A kind of reason. An organization may have its own, which is said as it is written.
pub(crate) fn category(name: &str) -> String {
    match name {
        "client_complaint" => "Client complaint",
        "misconduct_report" => "Report of misconduct",
        "safety" => "Safety",
        "security" => "Security",
        "legal_request" => "Legal request",
        "hand_over" => "Hand-over",
        "other" => "Other",
        own => own,
    }
    .to_owned()
}

/// Kind of reason and case, and by which relation.
pub(crate) fn why(review: &Review) -> String {
    let kind = category(&review.reason.category);
    let case = review.case.as_ref().map(|case| format!("case {case}"));
    let relation = relation(review.by, review.on_behalf_of.as_ref());
    let all: Vec<_> = std::iter::once(kind).chain(case).chain(relation).collect();
    all.join(", ")
}

/// The days of interest, the last one included.
pub(crate) fn days(review: &Review, reader: &Reader) -> String {
    let from = reader.date(review.from);
    match review.to {
        Some(to) => {
            let last = reader.date(to - Duration::seconds(1));
            if last == from {
                from
            } else {
                format!("{from} to {last}")
            }
        }
        None => format!("{from} to now"),
    }
}

/// Whether it can still be read.
pub(crate) fn is_open(review: &Review, now: DateTime<Utc>) -> bool {
    review.ended_at.is_none() && review.expires_at > now
}

/// When it ended, by its reviewer or by itself.
pub(crate) fn ended_at(review: &Review) -> DateTime<Utc> {
    review.ended_at.unwrap_or(review.expires_at)
}

/// By which relation somebody looks, unless it is the chain of command.
pub(crate) fn relation(by: By, on_behalf_of: Option<&PersonCard>) -> Option<String> {
    match by {
        By::Line => None,
        By::Dotted => Some("as superior by dotted line".to_owned()),
        By::Delegate(_) => {
            let whom = on_behalf_of.map_or("somebody who is gone", |card| &card.display_name);
            Some(format!("on behalf of {whom}"))
        }
    }
}

/// What was done in a look and by which relation, without who.
pub(crate) fn what(look: &Look) -> String {
    let done = done(look);
    match relation(look.by, look.on_behalf_of.as_ref()) {
        Some(relation) => format!("{done}, {relation}"),
        None => done,
    }
}

fn done(look: &Look) -> String {
    let messages = |count| counted(count, "message", "messages");
    match (look.what.as_str(), look.messages) {
        ("opened", _) => "Opened the review".to_owned(),
        ("extended", _) => "Extended the review".to_owned(),
        ("ended", _) => "Ended the review".to_owned(),
        ("private_attributes", _) => "Opened private fields of the profile".to_owned(),
        ("searched", count) => {
            let q = look.q.as_deref().unwrap_or_default();
            format!("Searched “{q}”, {} found", messages(count.unwrap_or(0)))
        }
        (_, Some(count)) => format!("Read {}", messages(count)),
        (_, None) => "Listed the conversations".to_owned(),
    }
}

/// The sign of a look.
pub(crate) fn glyph(look: &Look) -> Glyph {
    match (look.what.as_str(), look.messages) {
        ("opened", _) => Glyph::Key,
        ("extended", _) => Glyph::Clock,
        ("ended", _) => Glyph::Check,
        ("searched", _) => Glyph::Search,
        ("private_attributes", _) => Glyph::Card,
        (_, Some(_)) => Glyph::Eye,
        (_, None) => Glyph::List,
    }
}

/// The number of an entry of the audit log.
pub(crate) fn entry(number_of: i64) -> String {
    format!("entry {}", number(number_of))
}

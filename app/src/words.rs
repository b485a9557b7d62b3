//! The words for what the rules say in codes: plain, short, British, and
//! always with what to do.

use domain::{Attribute, Violation, audit::Broken, sourcing::Strength};

#[cfg(feature = "ssr")]
use crate::edge::Problem;

/// An attribute as people call it.
#[must_use]
pub fn attribute(attribute: Attribute) -> &'static str {
    match attribute {
        Attribute::DisplayName => "Name",
        Attribute::GivenName => "Given name",
        Attribute::FamilyName => "Family name",
        Attribute::NickName => "Called",
        Attribute::Pronouns => "Pronouns",
        Attribute::Title => "Job title",
        Attribute::EmployeeNumber => "Employee number",
        Attribute::Department => "Unit",
        Attribute::Division => "Division",
        Attribute::CostCenter => "Cost centre",
        Attribute::Manager => "Manager",
        Attribute::StartDate => "Started",
        Attribute::EndDate => "Last day",
        Attribute::Location => "Place",
        Attribute::Emails => "Mail",
        Attribute::PhoneNumbers => "Desk phone",
        Attribute::Mobile => "Mobile",
        Attribute::Photos => "Photo",
        Attribute::Locale => "Language and region",
        Attribute::Timezone => "Time zone",
        Attribute::Languages => "Languages",
        Attribute::Skills => "Skills",
        Attribute::About => "About",
        Attribute::BirthDate => "Date of birth",
        Attribute::Active => "Works here",
    }
}

/// A strength in two or three words, as rules and why-cards say it.
#[must_use]
pub fn strength(strength: Strength) -> &'static str {
    match strength {
        Strength::Strong => "ERP always wins",
        Strength::Normal => "Newer wins",
        Strength::Weak => "ERP fills blanks",
        Strength::None => "ERP is ignored",
    }
}

#[cfg(feature = "ssr")]
fn label(field: &str) -> String {
    field.parse::<Attribute>().map_or_else(
        |_| {
            match field {
                "login" => "The login",
                "password" => "The password",
                "body" => "The message",
                "title" => "The name",
                "value" => "The value",
                "delegate" => "Who stands in",
                "from" => "The first day",
                "until" => "The last day",
                "order" => "The order",
                "reason" | "reason.text" => "The reason",
                "reason.category" => "The kind of reason",
                "note" => "The note",
                "max_days" => "The number of days",
                "name" => "The name",
                "joiners" | "movers" | "changed" | "undecided" | "faults" | "leavers" => {
                    "The share"
                }
                "attribute" => "The attribute",
                "members" => "The people",
                "photo" => "The photo",
                "cursor" => "The place in the list",
                "limit" => "The number of rows",
                other => other,
            }
            .to_owned()
        },
        |known| attribute(known).to_owned(),
    )
}

/// What is wrong with a field, then what to do.
#[must_use]
pub fn violation(violation: &Violation) -> String {
    match violation {
        Violation::Required { .. } => "Nothing is written here. Fill it in.".into(),
        Violation::TooLong { max, got, .. } => format!("{got} of {max} allowed. Make it shorter."),
        Violation::TooShort { min, got, .. } => {
            format!("{got} of at least {min} characters. Write more.")
        }
        Violation::BadFormat { expected, .. } => match expected.as_str() {
            "date" => "Not a date. Write it as 2019-05-13.".into(),
            "email" => "Not a mail address. Write it as name@example.com.".into(),
            "phone" => {
                "Not a number that can be dialled from abroad. Write it as +44 7700 900 418.".into()
            }
            "locale" => "Not a language tag. Write it as en-GB.".into(),
            "timezone" => "Not a time zone. Write it as Europe/London.".into(),
            "other_value" => {
                "The source says this already. Write what it should say instead.".into()
            }
            "photo" => {
                "Not a picture that can be read. Use JPEG, PNG, GIF or WebP of at most 5 MB.".into()
            }
            other => format!("Not of the right form: {other} is expected."),
        },
        Violation::ControlCharacters { .. } => {
            "There are characters in it that cannot be shown. Type it anew.".into()
        }
        Violation::Unknown { value, allowed, .. } => {
            format!("“{value}” is not known. Allowed: {allowed}.")
        }
        Violation::Duplicate { value, .. } => format!("“{value}” is there twice. Take one away."),
        Violation::LockedByRule { rule: 0, .. } => {
            "The ERP decides this. It cannot be changed here.".into()
        }
        Violation::LockedByRule { rule, .. } => {
            format!("Locked by rule {rule}: the ERP decides this.")
        }
        Violation::WeakPassword => {
            "Easily guessed. Use a few words that do not belong together.".into()
        }
        Violation::EmptyRange { .. } => "Ends before it starts. Choose a later end.".into(),
    }
}

/// Title and sentence for what went wrong.
#[cfg(feature = "ssr")]
#[must_use]
pub fn problem(problem: &Problem) -> (&'static str, String) {
    let (title, sentence): (&str, &str) = match problem.code {
        "not_found" => ("Nothing here", "There is nothing here for you."),
        "forbidden" => (
            "Not yours to change",
            "This belongs to somebody else. You can read it, but not change it.",
        ),
        "unauthenticated" => ("Not signed in", "The login or the password is not right."),
        "too_many_attempts" => {
            let wait = problem.retry_after.unwrap_or(60);
            return (
                "Wait a moment",
                format!("Too many attempts. Try again in {wait} seconds."),
            );
        }
        "locked_by_rule" | "invalid" => {
            let sentences: Vec<_> = problem
                .violations
                .iter()
                .map(|wrong| format!("{}: {}", label(wrong.field()), violation(wrong)))
                .collect();
            return ("That does not fit yet", sentences.join(" "));
        }
        "stale_version" => (
            "Somebody was faster",
            "Another version was set while you had this open. Look at it, then set yours again.",
        ),
        "run_in_progress" => (
            "A run is under way",
            "This source is being read just now. Wait until that run is over.",
        ),
        "not_undoable" => (
            "This run cannot be undone",
            "It is not over, was undone already, wrote nothing, or is older than ninety days.",
        ),
        "four_eyes" => (
            "Somebody else has to say so",
            "Whoever started a run of this source cannot let it go on.",
        ),
        "run_over" => ("The run is over", "This run has ended. Start another one."),
        "review_over" => (
            "The review is over",
            "This review has ended. Open another one if there is a reason.",
        ),
        "already_decided" => ("Decided already", "Somebody has decided this meanwhile."),
        "delegation_over" => (
            "Over already",
            "This time has ended. Name somebody anew if you are away again.",
        ),
        "only_record" => (
            "The only record",
            "No other source speaks of this person, so there is nobody to part the record from.",
        ),
        "already_proposed" => (
            "Asked for already",
            "A correction of this value is under way. Another one can follow when it is over.",
        ),
        "not_locked" => (
            "Not locked",
            "No source decides this value by now. Change it in your profile.",
        ),
        "no_approver" => (
            "Nobody to decide",
            "There is nobody who could decide about it. Speak to whoever looks after the source.",
        ),
        "login_taken" => (
            "Login taken",
            "Somebody has this login already. Choose another one.",
        ),
        "name_taken" => (
            "Name taken",
            "There is one of this name already. Choose another one.",
        ),
        "last_administrator" => (
            "The last administrator",
            "Somebody has to be system administrator. Give the role to another person first.",
        ),
        "busy" => (
            "Very busy",
            "There is more to do than can be done now. Nothing was lost; try again in a moment.",
        ),
        "cross_site" => (
            "Not from here",
            "This form came from another site, so nothing was done.",
        ),
        "too_large" => ("Too large", "What was sent is too large."),
        "method_not_allowed" => ("Not like this", "This address does not take that."),
        "internal" => (
            "Something broke",
            "This could not be done. Quote the reference when you ask about it.",
        ),
        _ => ("That did not work", "This could not be done as asked."),
    };
    (title, sentence.to_owned())
}

/// The code for a status that has no better one.
#[must_use]
pub fn code_of_status(status: u16) -> &'static str {
    match status {
        401 => "unauthenticated",
        403 => "forbidden",
        404 => "not_found",
        405 => "method_not_allowed",
        408 => "timeout",
        413 => "too_large",
        415 => "unsupported_media_type",
        429 => "too_many_attempts",
        503 => "busy",
        500.. => "internal",
        _ => "bad_request",
    }
}

/// What is wrong with an audit log.
#[must_use]
pub fn broken(broken: &Broken) -> String {
    match broken {
        Broken::Changed { seq } => format!("Entry {seq} was changed after it was written."),
        Broken::OutOfPlace { expected, found } => {
            format!("Entry {expected} is missing; entry {found} stands in its place.")
        }
        Broken::Unchained { seq } => format!("Entry {seq} does not follow the one before it."),
        Broken::Forged { seq } => {
            format!("The checkpoint at entry {seq} is not signed by this portal.")
        }
        Broken::Replaced { seq } => format!("Entry {seq} is not the one that was signed."),
        Broken::Truncated { last, signed } => {
            format!("The log ends at entry {last}, but entry {signed} was signed.")
        }
    }
}

/// `text` for the value of a query parameter (RFC 3986).
#[must_use]
pub fn percent(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "%{byte:02X}");
            }
            out
        })
}

//! What an entry of the log says, in a sentence: every action that the portal records, and a plain
//! reading of one that is not known here.

use domain::Attribute;
use serde_json::Value;
use store::audit::NamedEntry;

use crate::{ui::Tone, ui::format::counted, words};

/// An entry in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// The kind of act, in a word or two.
    pub act: &'static str,
    /// What its colour means; damson for looks at somebody's words alone.
    pub tone: Tone,
    /// What was done.
    pub what: String,
    /// Why, or what else belongs to it.
    pub why: Option<String>,
}

/// Kinds of act to filter by: the beginning of the action, and the word for it.
pub(super) const ACTS: [(&str, &str); 13] = [
    ("review.", "Reviews"),
    ("profile.", "Profiles"),
    ("correction.", "Corrections"),
    ("person.", "Joining and leaving"),
    ("delegate.", "Stand-ins"),
    ("policy.", "Rules"),
    ("account.", "Sign-in and roles"),
    ("account.sign_in_failed", "Refused sign-ins"),
    ("source.", "Sources"),
    ("run.", "Runs"),
    ("photo.", "Photos"),
    ("conversation.", "Conversations"),
    ("audit.", "The log itself"),
];

/// Who acted: a person by name, or the part of the portal that did.
pub(super) fn actor(named: &NamedEntry) -> String {
    if let Some(name) = &named.actor_name {
        return name.clone();
    }
    match named.entry.actor.split_once(':') {
        Some(("system", "sign_in")) => "Sign-in page".to_owned(),
        Some(("system", reason)) => format!("The portal ({})", reason.replace('_', " ")),
        _ => "Somebody who is gone".to_owned(),
    }
}

/// About whom or what, if the subject is worth its own words.
pub(super) fn subject(named: &NamedEntry) -> Option<String> {
    if let Some(name) = &named.subject_name {
        return Some(name.clone());
    }
    match named.entry.subject.split_once(':') {
        Some(("person", _)) => Some("somebody who is gone".to_owned()),
        Some(("policy", "attribute_rules")) => Some("the sourcing rules".to_owned()),
        Some(("policy", "oversight")) => Some("the oversight policy".to_owned()),
        Some(("policy", "source_priority")) => Some("the order of sources".to_owned()),
        Some(("policy", "corrections")) => Some("the corrections policy".to_owned()),
        Some((kind, id)) => Some(format!("{} {id}", kind.replace('_', " "))),
        None => None,
    }
}

/// The detail of an entry; nothing for one that cannot be read.
pub(super) fn detail(named: &NamedEntry) -> Value {
    serde_json::from_str(&named.entry.detail).unwrap_or(Value::Null)
}

fn text<'a>(detail: &'a Value, field: &str) -> Option<&'a str> {
    detail.get(field)?.as_str().filter(|text| !text.is_empty())
}

fn count(detail: &Value, field: &str) -> u64 {
    detail.get(field).and_then(Value::as_u64).unwrap_or(0)
}

fn quoted(text: Option<&str>) -> Option<String> {
    text.map(|text| format!("“{text}”"))
}

/// The names of attributes as people call them, with commas.
fn attributes<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names
        .map(|name| {
            let known = name.parse::<Attribute>().map(words::attribute);
            known.map_or(name, |known| known)
        })
        .collect();
    names.join(", ")
}

/// How many of each a run had.
fn totals(totals: &Value) -> Option<String> {
    let parts: Vec<_> = [
        ("joiners", "joiner", "joiners"),
        ("returners", "returner", "returners"),
        ("movers", "mover", "movers"),
        ("changed", "change", "changes"),
        ("leavers", "leaver", "leavers"),
        ("undecided", "to decide", "to decide"),
    ]
    .into_iter()
    .map(|(field, one, many)| (count(totals, field), one, many))
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, many)| counted(count, one, many))
    .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// An entry about a correction.
fn correction(
    action: &str,
    detail: &Value,
    whom: &str,
) -> (&'static str, Tone, String, Option<String>) {
    let what = attributes(text(detail, "attribute").into_iter()).to_lowercase();
    let side = |field: &str| {
        let value = detail.get(field).cloned().unwrap_or_default();
        serde_json::from_value::<domain::Value>(value)
            .map_or_else(|_| "nothing".to_owned(), |value| format!("“{value}”"))
    };
    // Private values are not in the log, and the id of a superior says nothing in a sentence.
    let change = detail
        .get("to")
        .filter(|_| text(detail, "attribute") != Some(Attribute::Manager.name()))
        .map(|_| format!("{} to {}", side("from"), side("to")));
    let with = |words: Option<String>| {
        let parts: Vec<_> = change.clone().into_iter().chain(words).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    };
    let trouble = text(detail, "trouble").map(|code| code.replace('_', " "));
    let (tone, did, why) = match action {
        "correction.proposed" => (
            Tone::Neutral,
            "Proposed a correction of",
            with(quoted(text(detail, "note"))),
        ),
        "correction.accepted" => (Tone::Positive, "Accepted a correction of", with(None)),
        "correction.declined" => (
            Tone::Neutral,
            "Declined a correction of",
            with(quoted(text(detail, "reason"))),
        ),
        "correction.withdrawn" => (Tone::Neutral, "Took back a correction of", with(None)),
        "correction.retried" => (
            Tone::Neutral,
            "Had a correction written again of",
            with(None),
        ),
        "correction.written" => (
            Tone::Neutral,
            "Wrote a correction into the source of",
            with(None),
        ),
        "correction.by_hand" => (
            Tone::Warning,
            "Left a correction to be mended by hand of",
            with(None),
        ),
        "correction.confirmed" => (Tone::Positive, "Read back a correction of", with(None)),
        "correction.failed" => (
            Tone::Critical,
            "Could not write a correction of",
            with(trouble),
        ),
        _ => (
            Tone::Neutral,
            "Found that the source overtook a correction of",
            with(trouble),
        ),
    };
    ("Correction", tone, format!("{did} {what}, {whom}"), why)
}

/// An entry in a sentence.
pub(super) fn told(named: &NamedEntry) -> Told {
    let detail = &detail(named);
    let action = named.entry.action.as_str();
    let own = named.entry.actor == named.entry.subject;
    let whom = subject(named).unwrap_or_else(|| "nobody in particular".to_owned());
    let of_whom = if own {
        "the own profile".to_owned()
    } else {
        whom.clone()
    };
    let (act, tone, what, why) = match action {
        "review.opened" => {
            let reason = quoted(text(detail, "reason"));
            let case = text(detail, "case").map(|case| format!("case {case}"));
            let why: Vec<_> = reason.into_iter().chain(case).collect();
            let why = (!why.is_empty()).then(|| why.join(", "));
            (
                "Review",
                Tone::Oversight,
                format!("Opened a review of {whom}"),
                why,
            )
        }
        "review.listed" => {
            let many = detail
                .get("conversations")
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            let what = format!(
                "Saw the list of {} of {whom} in reach",
                counted(many as u64, "conversation", "conversations")
            );
            ("Review", Tone::Oversight, what, None)
        }
        "review.read" => {
            let messages = counted(count(detail, "messages"), "message", "messages");
            match quoted(text(detail, "q")) {
                Some(q) => (
                    "Review",
                    Tone::Oversight,
                    format!("Searched {q} in the words of {whom}"),
                    Some(format!("{messages} on the page")),
                ),
                None => (
                    "Review",
                    Tone::Oversight,
                    format!("Read {messages} of {whom}"),
                    None,
                ),
            }
        }
        "review.extended" => (
            "Review",
            Tone::Oversight,
            format!("Extended a review of {whom}"),
            quoted(text(detail, "why")),
        ),
        "review.ended" => (
            "Review",
            Tone::Oversight,
            format!("Ended a review of {whom}"),
            quoted(text(detail, "finding")),
        ),
        "profile.private_read" => {
            let seen = detail.get("attributes").and_then(Value::as_array);
            let seen = seen.map(|seen| attributes(seen.iter().filter_map(Value::as_str)));
            (
                "Profile read",
                Tone::Info,
                format!("Saw private values of {whom}"),
                seen,
            )
        }
        "profile.edited" => {
            let changed = detail
                .as_object()
                .map(|changed| attributes(changed.keys().map(String::as_str)));
            (
                "Profile",
                Tone::Neutral,
                format!("Changed {of_whom}"),
                changed,
            )
        }
        _ if action.starts_with("correction.") => correction(action, detail, &whom),
        "photo.read" => (
            "Photo",
            Tone::Neutral,
            format!("Took a photo of {whom} from the ERP"),
            None,
        ),
        "person.left" => (
            "Leaver",
            Tone::Warning,
            format!("{whom} left"),
            Some("Sign-in ended, the content stays".to_owned()),
        ),
        "person.held_back" => (
            "Leaver",
            Tone::Warning,
            format!("{whom} stays for now, though a source says that they left"),
            Some("Too many left at once".to_owned()),
        ),
        "person.let_go" => (
            "Decision",
            Tone::Neutral,
            format!("Let {whom} go, as a source says"),
            None,
        ),
        "person.kept" => (
            "Decision",
            Tone::Neutral,
            format!("Kept {whom}, though a source says that they left"),
            None,
        ),
        "person.unlinked" => (
            "Decision",
            Tone::Neutral,
            format!("Took a record of a source from {whom}"),
            text(detail, "external_id").map(|id| format!("Record {id}")),
        ),
        "delegate.set" => (
            "Stand-in",
            Tone::Neutral,
            format!("Named who stands in for {whom}"),
            text(detail, "from")
                .zip(text(detail, "until"))
                .map(|(from, until)| format!("{from} to {until}")),
        ),
        "delegate.ended" => (
            "Stand-in",
            Tone::Neutral,
            format!("Ended that somebody stands in for {whom}"),
            None,
        ),
        "person.linked" => (
            "Decision",
            Tone::Neutral,
            format!("Linked {whom} with a record of a source"),
            text(detail, "external_id").map(|id| format!("Record {id}")),
        ),
        "policy.set" => {
            let what = format!("Set version {} of {whom}", count(detail, "version"));
            ("Rule", Tone::Accent, what, quoted(text(detail, "note")))
        }
        "source.added" => {
            let name = quoted(text(detail, "name")).unwrap_or_default();
            (
                "Source",
                Tone::Neutral,
                format!("Connected the source {name}"),
                None,
            )
        }
        "source.changed" => {
            let name = detail
                .get("name")
                .and_then(|names| names.get(1))
                .and_then(Value::as_str);
            let name = quoted(name).unwrap_or_default();
            (
                "Source",
                Tone::Neutral,
                format!("Changed the source {name}"),
                None,
            )
        }
        "source.scheduled" => {
            let cron = detail.pointer("/schedule/cron").and_then(Value::as_str);
            let what = match cron {
                Some(_) => "Set when a source is read",
                None => "Ended a source's schedule",
            };
            ("Source", Tone::Neutral, what.to_owned(), quoted(cron))
        }
        "source.mapped" => (
            "Source",
            Tone::Neutral,
            format!(
                "Set version {} of a source's mapping",
                count(detail, "version")
            ),
            quoted(text(detail, "note")),
        ),
        "source.token_made" => (
            "Source",
            Tone::Neutral,
            "Made a new token for a source that sends its people".to_owned(),
            None,
        ),
        "source.token_revoked" => (
            "Source",
            Tone::Warning,
            "Took a source's token away".to_owned(),
            None,
        ),
        "source.resource_made" | "source.resource_changed" | "source.resource_deleted" => {
            let name = quoted(text(detail, "name")).unwrap_or_default();
            let kind = match text(detail, "type") {
                Some("Group") => "the group",
                _ => "the user",
            };
            let verb = match action {
                "source.resource_made" => "Sent",
                "source.resource_changed" => "Changed",
                _ => "Deleted",
            };
            (
                "Source",
                Tone::Neutral,
                format!("{verb} {kind} {name}"),
                None,
            )
        }
        "source.asked_again" => {
            let record = text(detail, "external_id").unwrap_or("?");
            let what = format!("Took the decision about record {record} back");
            ("Decision", Tone::Neutral, what, None)
        }
        "source.correlation_set" => (
            "Source",
            Tone::Neutral,
            "Set by what new records are told".to_owned(),
            None,
        ),
        "source.decided" => {
            let record = text(detail, "external_id").unwrap_or("?");
            let decided = detail.get("decision").and_then(|one| text(one, "decision"));
            let what = match decided {
                Some("new") => "somebody new",
                Some("ignore") => "nobody to take in",
                _ => "somebody who is known",
            };
            (
                "Decision",
                Tone::Neutral,
                format!("Decided that record {record} is {what}"),
                None,
            )
        }
        "run.begun" => {
            let name = quoted(text(detail, "source_name")).unwrap_or_default();
            let what = match text(detail, "undoes") {
                Some(_) => format!("Started to undo a run of {name}"),
                None => format!("Started a run of {name}"),
            };
            ("Run", Tone::Neutral, what, None)
        }
        "run.undone" => {
            let why = detail.get("totals").and_then(totals);
            let left = counted(count(detail, "left"), "thing", "things");
            (
                "Undone",
                Tone::Warning,
                format!("Undid a run, {left} left as they are"),
                why,
            )
        }
        "source.limits_set" => (
            "Source",
            Tone::Warning,
            "Set how much a run may do before it asks".to_owned(),
            None,
        ),
        "source.paused" => (
            "Source",
            Tone::Warning,
            "Paused a source: its next run asks first".to_owned(),
            text(detail, "why").map(str::to_owned),
        ),
        "source.resumed" => (
            "Source",
            Tone::Neutral,
            "Ended the pause of a source".to_owned(),
            None,
        ),
        "run.applied" => {
            let step = |at: usize| {
                detail
                    .get("steps")
                    .and_then(|steps| steps.get(at))
                    .and_then(Value::as_u64)
                    .unwrap_or(0)
            };
            let what = format!("Applied steps {} to {} of a run", step(0), step(1));
            (
                "Run",
                Tone::Neutral,
                what,
                detail.get("totals").and_then(totals),
            )
        }
        "run.done" => {
            let why = detail.get("totals").and_then(totals);
            ("Run", Tone::Neutral, "Ended a run".to_owned(), why)
        }
        "run.approved" => {
            let people = counted(count(detail, "leavers"), "person", "people");
            (
                "Run",
                Tone::Warning,
                format!("Let a stopped run go on, {people} leave"),
                None,
            )
        }
        "run.cancelled" | "run.failed" => {
            let steps = format!(
                "After step {} of {}",
                count(detail, "applied"),
                count(detail, "steps")
            );
            if action == "run.cancelled" {
                (
                    "Cancelled",
                    Tone::Warning,
                    "Cancelled a run".to_owned(),
                    Some(steps),
                )
            } else {
                let code = text(detail, "error").map(|code| code.replace('_', " "));
                let why = code.map_or_else(|| steps.clone(), |code| format!("{steps}: {code}"));
                (
                    "Failed",
                    Tone::Critical,
                    "A run failed".to_owned(),
                    Some(why),
                )
            }
        }
        "run.interrupted" => {
            let runs = counted(count(detail, "runs"), "run", "runs");
            let what = format!("{runs} ended, because the program was stopped");
            ("Failed", Tone::Critical, what, None)
        }
        "account.signed_in" => {
            let token = detail.get("token").and_then(Value::as_bool) == Some(true);
            let what = if token {
                "Got a token for the API"
            } else {
                "Signed in"
            };
            ("Sign-in", Tone::Neutral, what.to_owned(), None)
        }
        "account.signed_out" => ("Sign-in", Tone::Neutral, "Signed out".to_owned(), None),
        "account.sign_in_failed" => {
            let what = match (text(detail, "to"), named.entry.subject.is_empty()) {
                (Some(_), _) => format!("Wrong password in the password form of {whom}"),
                (None, true) => "Sign-in refused, nobody has that login".to_owned(),
                (None, false) => format!("Sign-in as {whom} refused"),
            };
            ("Refused", Tone::Warning, what, None)
        }
        "account.sign_ins_revoked" => {
            let many = detail
                .get("sessions")
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            let what = format!(
                "Ended {}",
                counted(many as u64, "own sign-in", "own sign-ins")
            );
            ("Sign-in", Tone::Neutral, what, None)
        }
        "account.password_changed" => (
            "Sign-in",
            Tone::Neutral,
            "Changed the own password".to_owned(),
            None,
        ),
        "account.invited" => {
            let login = text(detail, "login").map(|login| format!("Login {login}"));
            (
                "Invitation",
                Tone::Neutral,
                format!("Invited {whom}"),
                login,
            )
        }
        "account.invitation_accepted" => (
            "Invitation",
            Tone::Neutral,
            "Took the invitation and signed in".to_owned(),
            None,
        ),
        "account.created" => {
            let login = text(detail, "login").map(|login| format!("Login {login}"));
            (
                "Account",
                Tone::Neutral,
                format!("Made an account for {whom}"),
                login,
            )
        }
        "account.roles_set" => {
            let after = detail.get("after").map(plain);
            (
                "Roles",
                Tone::Accent,
                format!("Set the roles of {whom}"),
                after,
            )
        }
        "audit.read" => (
            "Log",
            Tone::Neutral,
            format!("Read the audit log about {whom}"),
            None,
        ),
        "audit.exported" => (
            "Log",
            Tone::Neutral,
            "Exported the audit log".to_owned(),
            None,
        ),
        _ => {
            let (noun, verb) = action.split_once('.').unwrap_or(("", action));
            let said = format!("{} {}", noun.replace('_', " "), verb.replace('_', " "));
            let about = subject(named)
                .map(|whom| format!(", {whom}"))
                .unwrap_or_default();
            let what = capitalised(said.trim());
            ("Other", Tone::Neutral, format!("{what}{about}"), None)
        }
    };
    Told {
        act,
        tone,
        what,
        why,
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// A change that an entry speaks of: what, before, after.
pub(super) type Row = (String, Option<String>, Option<String>);

/// Before and after, row by row, where an entry says both.
pub(super) fn changes(action: &str, detail: &Value) -> Vec<Row> {
    let Some(fields) = detail.as_object() else {
        return Vec::new();
    };
    if fields.contains_key("before") && fields.contains_key("after") {
        return pair("", &detail["before"], &detail["after"]);
    }
    if action == "photo.read" {
        return pair("Photo", &detail["from"], &detail["to"]);
    }
    fields
        .iter()
        .flat_map(|(field, value)| match value {
            Value::Object(both) if both.contains_key("before") && both.contains_key("after") => {
                pair(&label(field), &both["before"], &both["after"])
            }
            Value::Array(both) if action == "source.changed" && both.len() == 2 => {
                pair(&label(field), &both[0], &both[1])
            }
            _ => Vec::new(),
        })
        .collect()
}

/// A field as people call it.
pub(super) fn label(field: &str) -> String {
    let known = field.parse::<Attribute>().map(words::attribute);
    known.map_or_else(|_| capitalised(&field.replace('_', " ")), str::to_owned)
}

fn pair(name: &str, before: &Value, after: &Value) -> Vec<Row> {
    if let (Value::Object(old), Value::Object(new)) = (before, after) {
        let mut fields: Vec<_> = old.keys().chain(new.keys()).collect();
        fields.sort_unstable();
        fields.dedup();
        return fields
            .into_iter()
            .filter(|field| old.get(*field) != new.get(*field))
            .map(|field| (label(field), shown(old.get(field)), shown(new.get(field))))
            .collect();
    }
    let name = if name.is_empty() {
        "Before and after"
    } else {
        name
    };
    if before == after {
        return Vec::new();
    }
    vec![(name.to_owned(), shown(Some(before)), shown(Some(after)))]
}

/// A value as text; nothing for one that is absent or empty.
fn shown(value: Option<&Value>) -> Option<String> {
    value.map(plain).filter(|text| !text.is_empty())
}

/// Texts as they are, lists with commas, everything else as JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items)
            if items
                .iter()
                .all(|item| !item.is_object() && !item.is_array()) =>
        {
            items.iter().map(plain).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use domain::audit::{Entry, Hash, Record};
    use serde_json::json;

    fn named(action: &str, subject: &str, detail: Value) -> NamedEntry {
        let record = Record {
            actor: "person:a".into(),
            action: action.into(),
            subject: subject.into(),
            detail: detail.to_string(),
            address: None,
        };
        NamedEntry {
            entry: Entry::chain(record, 1, Hash::ZERO, DateTime::UNIX_EPOCH),
            actor_name: Some("Priya Raman".into()),
            subject_name: subject
                .starts_with("person:")
                .then(|| "Noah Petersen".into()),
        }
    }

    fn sentence(action: &str, subject: &str, detail: Value) -> (String, Option<String>) {
        let told = told(&named(action, subject, detail));
        (told.what, told.why)
    }

    #[test]
    fn a_review_is_told_with_its_reason() {
        let detail = json!({"review": "x", "reason": "Client complaint", "case": "C-2291"});
        assert_eq!(
            sentence("review.opened", "person:n", detail),
            (
                "Opened a review of Noah Petersen".into(),
                Some("“Client complaint”, case C-2291".into())
            )
        );
        assert_eq!(
            sentence(
                "review.read",
                "person:n",
                json!({"messages": 14, "q": null})
            )
            .0,
            "Read 14 messages of Noah Petersen"
        );
        assert_eq!(
            sentence(
                "review.read",
                "person:n",
                json!({"messages": 1, "q": "wheelset"})
            )
            .0,
            "Searched “wheelset” in the words of Noah Petersen"
        );
    }

    #[test]
    fn damson_is_for_reviews_alone() {
        for (prefix, _) in ACTS {
            let action = if prefix.ends_with('.') {
                format!("{prefix}read")
            } else {
                prefix.to_owned()
            };
            let tone = told(&named(&action, "person:n", json!({}))).tone;
            assert_eq!(tone == Tone::Oversight, prefix == "review.", "{action}");
        }
    }

    #[test]
    fn an_action_that_is_not_known_is_still_read() {
        assert_eq!(
            sentence("conversation.members_changed", "person:n", json!({})).0,
            "Conversation members changed, Noah Petersen"
        );
        assert_eq!(sentence("odd", "", json!(null)).0, "Odd");
        let mut broken = named("review.opened", "person:n", json!({}));
        broken.entry.detail = "{".into();
        assert_eq!(told(&broken).what, "Opened a review of Noah Petersen");
    }

    #[test]
    fn the_one_who_is_refused_is_named_only_if_known() {
        assert_eq!(
            sentence("account.sign_in_failed", "", json!({"token": false})).0,
            "Sign-in refused, nobody has that login"
        );
        assert_eq!(
            sentence(
                "account.sign_in_failed",
                "person:n",
                json!({"token": false})
            )
            .0,
            "Sign-in as Noah Petersen refused"
        );
    }

    #[test]
    fn before_and_after_are_rows() {
        let detail = json!({"title": {"before": null, "after": "Lead"}, "mobile": {"before": "1", "after": "2"}});
        let rows = changes("profile.edited", &detail);
        assert!(
            rows.contains(&("Job title".into(), None, Some("Lead".into()))),
            "{rows:?}"
        );
        assert_eq!(rows.len(), 2);

        let roles = json!({"before": ["employee"], "after": ["employee", "hr"]});
        assert_eq!(
            changes("account.roles_set", &roles),
            [(
                "Before and after".into(),
                Some("employee".into()),
                Some("employee, hr".into())
            )]
        );

        let source = json!({"name": ["a", "a"], "leaver_percent": [10, 20], "settings": [{"url": "x"}, {"url": "y"}], "secrets_set": []});
        assert_eq!(
            changes("source.changed", &source),
            [
                (
                    "Leaver percent".to_owned(),
                    Some("10".into()),
                    Some("20".into())
                ),
                ("Url".to_owned(), Some("x".into()), Some("y".into())),
            ]
        );
        assert_eq!(changes("run.applied", &json!({"steps": [1, 31]})), []);
    }

    #[test]
    fn the_portal_itself_has_a_name() {
        let mut entry = named(
            "run.done",
            "source:x",
            json!({"totals": {"joiners": 1, "changed": 2}}),
        );
        entry.actor_name = None;
        entry.entry.actor = "system:nightly_run".into();
        assert_eq!(actor(&entry), "The portal (nightly run)");
        assert_eq!(told(&entry).why.as_deref(), Some("1 joiner, 2 changes"));
    }
}

//! Raw text of an ERP made into values, with what was wrong said in words.

use domain::{
    Attribute, Value, Violation,
    attribute::Kind,
    erp::{Fault, Worker},
};

use crate::Error;

/// Collects what is wrong with one record.
pub(crate) struct Notes<'a> {
    /// Where it stands: `workers.csv, line 12`, `hr.employee 42`.
    pub(crate) place: String,
    pub(crate) external_id: Option<String>,
    pub(crate) faults: &'a mut Vec<Fault>,
}

impl Notes<'_> {
    /// A field was left out or mended; the record goes in.
    pub(crate) fn field(&mut self, field: &str, what: String) {
        self.push(Some(field), what, false);
    }

    /// The record is left out.
    pub(crate) fn record(&mut self, field: Option<&str>, what: String) {
        self.push(field, what, true);
    }

    fn push(&mut self, field: Option<&str>, what: String, left_out: bool) {
        self.faults.push(Fault {
            place: self.place.clone(),
            field: field.map(str::to_owned),
            what,
            external_id: self.external_id.clone(),
            left_out,
        });
    }

    /// Takes `raw` as `attribute` of `worker`.
    ///
    /// What has no meaning is left out with a fault. Two things are mended
    /// instead, because a person or a number would be lost: characters that
    /// cannot be shown are removed, and a telephone number is kept as it is
    /// written.
    pub(crate) fn set(&mut self, worker: &mut Worker, attribute: Attribute, raw: &str) {
        if let Some(value) = self.value(attribute, raw) {
            worker
                .attributes
                .insert(attribute, Some(value).filter(|value| !value.is_empty()));
        }
    }

    fn value(&mut self, attribute: Attribute, raw: &str) -> Option<Value> {
        let violation = match attribute.check(raw.into()) {
            Ok(value) => return Some(value),
            Err(violation) => violation,
        };
        match violation {
            Violation::ControlCharacters { .. } => {
                let clean: String = raw
                    .chars()
                    .filter(|c| !c.is_control() || c.is_whitespace())
                    .collect();
                self.field(
                    attribute.name(),
                    "held characters that cannot be shown; they were removed".into(),
                );
                self.value(attribute, &clean)
            }
            Violation::BadFormat { .. } if attribute.spec().kind == Kind::Phone => {
                let text = domain::text::line(attribute.name(), raw, 60).ok()?;
                if !is_national_number(&text) {
                    self.field(
                        attribute.name(),
                        format!("{} is not a telephone number; kept as text", quote(raw)),
                    );
                }
                Some(Value::Text(text))
            }
            violation => {
                self.field(
                    attribute.name(),
                    format!("{}; left out", complaint(&violation, raw)),
                );
                None
            }
        }
    }
}

/// `(555)-233-3393`, `0114 496 0127`: ERPs hold numbers as they are dialled at home.
fn is_national_number(text: &str) -> bool {
    text.chars().filter(char::is_ascii_digit).count() >= 5
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || " +-()./\u{a0}\u{202f}".contains(c))
}

/// A value as it may stand in a sentence: one line of at most 40 characters.
pub(crate) fn quote(raw: &str) -> String {
    let shown: String = raw.chars().filter(|c| !c.is_control()).take(40).collect();
    let more = if raw.chars().count() > 40 { "…" } else { "" };
    format!("“{shown}{more}”")
}

/// What is wrong with `raw`, and what is allowed.
pub(crate) fn complaint(violation: &Violation, raw: &str) -> String {
    match violation {
        Violation::Required { .. } => "is empty".into(),
        Violation::TooLong { max, got, .. } => format!("is {got} long, at most {max} is taken"),
        Violation::ControlCharacters { .. } => "holds characters that cannot be shown".into(),
        Violation::BadFormat { expected, .. } => {
            let form = match expected.as_str() {
                "date" => "a date such as 2019-05-13",
                "email" => "a mail address such as grace@northwindforge.example",
                "phone" => "a telephone number such as +44 7700 900418",
                "locale" => "a language such as en-GB",
                "timezone" => "a time zone such as Europe/Oslo",
                other => other,
            };
            format!("{} is not {form}", quote(raw))
        }
        other => other.to_string(),
    }
}

/// What is said where a superior to be stands below the person already: no ERP
/// that we write to refuses that by itself.
pub(crate) fn circle() -> Error {
    Error::Rejected {
        what: "has the new superior below this person already".into(),
    }
}

/// A worker of whom nothing is known yet.
pub(crate) fn blank(external_id: &str) -> Worker {
    Worker {
        external_id: external_id.to_owned(),
        active: true,
        ..Worker::default()
    }
}

//! What can be wrong with an input, as data; the words are the app's.

use serde::{Deserialize, Serialize};

/// One thing wrong with an input: which field, what, and what is allowed.
///
/// The texts in `Display` are for logs and tests. What a person reads comes
/// from the app's catalogue, keyed by [`Violation::code`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Violation {
    /// Nothing was given where something is needed.
    #[error("{field} is required")]
    Required {
        /// The input field.
        field: String,
    },
    /// More characters (or items) than allowed.
    #[error("{field} has {got}, at most {max} are allowed")]
    TooLong {
        /// The input field.
        field: String,
        /// The most that is allowed.
        max: usize,
        /// What was given.
        got: usize,
    },
    /// Fewer characters than needed.
    #[error("{field} has {got}, at least {min} are needed")]
    TooShort {
        /// The input field.
        field: String,
        /// The least that is needed.
        min: usize,
        /// What was given.
        got: usize,
    },
    /// Not of the form that the field takes.
    #[error("{field} is not {expected}")]
    BadFormat {
        /// The input field.
        field: String,
        /// The form that is expected: `date`, `email`, `phone`, `locale`, `timezone`, …
        expected: String,
    },
    /// Characters that cannot be shown (U+0000 … U+001F and such).
    #[error("{field} holds characters that cannot be shown")]
    ControlCharacters {
        /// The input field.
        field: String,
    },
    /// A name that the catalogue does not have, or a choice outside the list.
    #[error("{field}: {value} is not known; allowed: {allowed}")]
    Unknown {
        /// The input field.
        field: String,
        /// What was given.
        value: String,
        /// What would be accepted, in one line.
        allowed: String,
    },
    /// Two entries that say something about the same thing.
    #[error("{field} repeats {value}")]
    Duplicate {
        /// The input field.
        field: String,
        /// What is there twice.
        value: String,
    },
    /// The organization's rule has the ERP decide this attribute.
    #[error("{attribute} is locked by rule {rule}")]
    LockedByRule {
        /// SCIM name of the attribute.
        attribute: String,
        /// Number of the rule; 0 is the built-in one.
        rule: u32,
    },
    /// A password that is among the first to be tried.
    #[error("the password is easily guessed")]
    WeakPassword,
    /// A range whose end is before its start.
    #[error("{field} ends before it starts")]
    EmptyRange {
        /// The input field.
        field: String,
    },
}

impl Violation {
    /// The field that the person has to look at.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Required { field }
            | Self::TooLong { field, .. }
            | Self::TooShort { field, .. }
            | Self::BadFormat { field, .. }
            | Self::ControlCharacters { field }
            | Self::Unknown { field, .. }
            | Self::Duplicate { field, .. }
            | Self::EmptyRange { field } => field,
            Self::LockedByRule { attribute, .. } => attribute,
            Self::WeakPassword => "password",
        }
    }

    /// The same of another field, where a part of an input is called otherwise than the whole.
    #[must_use]
    pub fn at(mut self, name: impl Into<String>) -> Self {
        match &mut self {
            Self::Required { field }
            | Self::TooLong { field, .. }
            | Self::TooShort { field, .. }
            | Self::BadFormat { field, .. }
            | Self::ControlCharacters { field }
            | Self::Unknown { field, .. }
            | Self::Duplicate { field, .. }
            | Self::EmptyRange { field } => *field = name.into(),
            Self::LockedByRule { attribute, .. } => *attribute = name.into(),
            Self::WeakPassword => {}
        }
        self
    }

    /// A stable, machine-readable name of the kind of violation.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Required { .. } => "required",
            Self::TooLong { .. } => "too_long",
            Self::TooShort { .. } => "too_short",
            Self::BadFormat { .. } => "bad_format",
            Self::ControlCharacters { .. } => "control_characters",
            Self::Unknown { .. } => "unknown",
            Self::Duplicate { .. } => "duplicate",
            Self::LockedByRule { .. } => "locked_by_rule",
            Self::WeakPassword => "weak_password",
            Self::EmptyRange { .. } => "empty_range",
        }
    }
}

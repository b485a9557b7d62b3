//! SCIM 2.0 (RFC 7643, RFC 7644) without its transport: the schemas that are
//! served, filters, PATCH, the attributes that a client asks for, and what a
//! pushed user says about a person.
//!
//! A resource is a JSON object in one spelling: names as the schemas have them,
//! an extension's attributes below its URN, nothing null and nothing empty.
//! [`clean`] brings it into this form; everything else relies on it.

use std::fmt;

use serde_json::{Map, Value};

mod filter;
mod patch;
mod path;
mod project;
pub mod schema;
mod shape;
mod user;

pub use filter::{Filter, Literal, Operator};
pub use patch::{Operation, apply, operations};
pub use path::AttrPath;
pub use project::Wanted;
pub use schema::{GROUP, Kind, ResourceType, TYPES, USER};
pub use shape::clean;
pub use user::{department, manager, photo, worker};

/// A resource's attributes.
pub type Object = Map<String, Value>;

/// What is wrong with a request, in the words of RFC 7644, table 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The filter cannot be read, or compares what cannot be compared.
    InvalidFilter,
    /// More resources match than are looked through.
    TooMany,
    /// Another resource has the value already.
    Uniqueness,
    /// The attribute cannot be changed so.
    Mutability,
    /// The body is not what the operation takes.
    InvalidSyntax,
    /// The path of a PATCH operation cannot be read.
    InvalidPath,
    /// The path of a PATCH operation means nothing that is there.
    NoTarget,
    /// A value is missing or is not of its attribute's type.
    InvalidValue,
}

impl Code {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
        }
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Uniqueness => 409,
            _ => 400,
        }
    }
}

/// Why a request was not done, for the program that sent it and whoever reads its log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.name())]
pub struct Refusal {
    /// Which kind of mistake.
    pub code: Code,
    /// What is wrong and what is allowed, in a sentence.
    pub detail: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }

    fn filter(detail: impl fmt::Display) -> Self {
        Self::new(Code::InvalidFilter, detail.to_string())
    }

    fn value(detail: impl fmt::Display) -> Self {
        Self::new(Code::InvalidValue, detail.to_string())
    }
}

/// The value below a name of any case.
fn member<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| {
        object
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

/// Whether there is anything in a value: null, `""`, `[]` and `{}` are nothing (RFC 7643, section 2.5).
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A text as it stands in a sentence: in quotation marks, not too long.
fn quote(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("“{short}”")
}

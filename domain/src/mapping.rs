//! From a source's fields to what OPTIMUS knows: which field becomes which
//! attribute, and what is done to it on the way.
//!
//! A record is JSON, whatever the source speaks: a row of a table is an object
//! of texts, an entry of a directory an object of lists. The mapping is the
//! organization's, versioned by the store, edited in the console, and exported
//! as the JSON of [`Mapping`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use chrono::{
    NaiveDate,
    format::{Item, StrftimeItems},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value as Json;

use crate::{Attribute, Violation};

mod read;

/// How a source's records become workers and units.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mapping {
    /// Fields of a worker.
    pub worker: Vec<Field>,
    /// Fields of a unit. Without any, the units are those that workers name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unit: Vec<Field>,
}

/// One line: where a value comes from, what is done to it, and what it becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// What it becomes.
    pub target: Target,
    /// Where it stands in the record: a JSON pointer (RFC 6901) that begins with
    /// `/`, or the name of a field at the top. Empty with [`Transform::Constant`].
    #[serde(default)]
    pub from: String,
    /// What is done to it, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<Transform>,
}

/// What a field becomes. In JSON an attribute's SCIM name, or one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// `id`: the source's id, which never changes.
    Id,
    /// `active`: whether the person works there now.
    Active,
    /// `manager`: the superior's id.
    Manager,
    /// `unit`: the unit's id; for a unit, its own name is `name`.
    Unit,
    /// `name`: a unit's name.
    Name,
    /// `parent`: the id of the unit above.
    Parent,
    /// `head`: the ids of a unit's heads.
    Head,
    /// `photo`: what changes when the photo does, or the photo itself in base64.
    Photo,
    /// `changedAt`: when the source last changed the record.
    ChangedAt,
    /// `startsOn`: the first day of work.
    StartsOn,
    /// `endsOn`: the last day of work.
    EndsOn,
    /// `dottedManagers`: superiors by dotted line.
    DottedManagers,
    /// A value of the profile.
    Attribute(Attribute),
}

impl Target {
    /// Those that are no attribute, with their names.
    pub const OWN: [(Self, &'static str); 12] = [
        (Self::Id, "id"),
        (Self::Active, "active"),
        (Self::Manager, "manager"),
        (Self::Unit, "unit"),
        (Self::Name, "name"),
        (Self::Parent, "parent"),
        (Self::Head, "head"),
        (Self::Photo, "photo"),
        (Self::ChangedAt, "changedAt"),
        (Self::StartsOn, "startsOn"),
        (Self::EndsOn, "endsOn"),
        (Self::DottedManagers, "dottedManagers"),
    ];

    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Attribute(attribute) => attribute.name(),
            own => Self::OWN
                .iter()
                .find(|(target, _)| *target == own)
                .map_or("", |(_, name)| name),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Target {
    type Err = Violation;

    fn from_str(name: &str) -> Result<Self, Violation> {
        if let Some((own, _)) = Self::OWN.iter().find(|(_, own)| *own == name) {
            return Ok(*own);
        }
        match name.parse()? {
            // These stand in fields of their own.
            Attribute::Department => Ok(Self::Unit),
            Attribute::Photos => Ok(Self::Photo),
            attribute => Ok(Self::Attribute(attribute)),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(de::Error::custom)
    }
}

/// What is done to a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Transform {
    /// Takes white space off both ends.
    Trim,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// Each word with a capital.
    Title,
    /// One part of a text: `Okafor, Grace` split at `,`, part 1 is `Grace`.
    Part {
        /// What stands between the parts.
        separator: String,
        /// Which part, from 0; negative counts from the end.
        index: i32,
    },
    /// What a table says instead.
    Map {
        /// From what to what.
        table: BTreeMap<String, String>,
        /// What anything else becomes; without it, anything else stays as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        otherwise: Option<String>,
    },
    /// A date in the form of `strftime`, `%d.%m.%Y`.
    Date {
        /// The form that the source writes.
        format: String,
    },
    /// This text, whatever stands there.
    Constant {
        /// The text.
        value: String,
    },
    /// The value of another field with a separator between, if that has one.
    Join {
        /// Where the other stands, as [`Field::from`].
        with: String,
        /// What stands between the two.
        separator: String,
    },
}

/// Most lines of a mapping.
pub const FIELDS_MAX: usize = 200;
/// Most entries of a [`Transform::Map`].
pub const TABLE_MAX: usize = 1_000;

impl Mapping {
    /// Whether it can be followed: workers have an `id`, no target twice but
    /// lists, no line without a source, dates in a form that exists.
    ///
    /// # Errors
    /// Every [`Violation`]; its field is `worker.3.from` or the like, counted from 0.
    pub fn check(&self) -> Result<(), Vec<Violation>> {
        let mut bad = Vec::new();
        for (part, fields, belongs) in [
            (
                "worker",
                &self.worker,
                Target::of_worker as fn(Target) -> bool,
            ),
            ("unit", &self.unit, Target::of_unit),
        ] {
            let has = |target| fields.iter().any(|field| field.target == target);
            if (part == "worker" || !fields.is_empty()) && !has(Target::Id) {
                bad.push(Violation::Required {
                    field: format!("{part}.id"),
                });
            }
            if fields.len() > FIELDS_MAX {
                bad.push(Violation::TooLong {
                    field: part.into(),
                    max: FIELDS_MAX,
                    got: fields.len(),
                });
            }
            let mut seen = BTreeSet::new();
            for (at, field) in fields.iter().enumerate() {
                let place = |what: &str| format!("{part}.{at}.{what}");
                if !belongs(field.target) {
                    bad.push(Violation::BadFormat {
                        field: place("target"),
                        expected: format!("something that a {part} has"),
                    });
                }
                if !seen.insert(field.target) {
                    bad.push(Violation::Duplicate {
                        field: place("target"),
                        value: field.target.name().into(),
                    });
                }
                let constant = |one: &Transform| matches!(one, Transform::Constant { .. });
                if field.from.is_empty() && !field.transforms.iter().any(constant) {
                    bad.push(Violation::Required {
                        field: place("from"),
                    });
                }
                for (step, transform) in field.transforms.iter().enumerate() {
                    if let Some(expected) = transform.complaint() {
                        bad.push(Violation::BadFormat {
                            field: place(&format!("transforms.{step}")),
                            expected,
                        });
                    }
                }
            }
        }
        if bad.is_empty() { Ok(()) } else { Err(bad) }
    }
}

impl Target {
    fn of_worker(self) -> bool {
        !matches!(self, Self::Name | Self::Parent | Self::Head)
    }

    fn of_unit(self) -> bool {
        matches!(self, Self::Id | Self::Name | Self::Parent | Self::Head)
    }
}

impl Field {
    /// What the record says, after every transform; several texts where the
    /// field is a list, none where it is empty. `Ok(None)` for a record without
    /// such a field.
    ///
    /// # Errors
    /// What is wrong with the value and what is allowed, in words for people.
    pub fn read(&self, record: &Json) -> Result<Option<Vec<String>>, String> {
        let mut texts = match find(record, &self.from) {
            Some(found) => texts(found)?,
            None => {
                let constant = self
                    .transforms
                    .iter()
                    .any(|one| matches!(one, Transform::Constant { .. }));
                if !constant {
                    return Ok(None);
                }
                Vec::new()
            }
        };
        for transform in &self.transforms {
            texts = transform.apply(texts, record)?;
        }
        texts.retain(|text| !text.is_empty());
        Ok(Some(texts))
    }
}

fn find<'a>(record: &'a Json, from: &str) -> Option<&'a Json> {
    if from.starts_with('/') {
        record.pointer(from)
    } else {
        record.get(from)
    }
}

fn texts(value: &Json) -> Result<Vec<String>, String> {
    Ok(match value {
        Json::Null => Vec::new(),
        Json::Bool(flag) => vec![flag.to_string()],
        Json::Number(number) => vec![number.to_string()],
        Json::String(text) => vec![text.clone()],
        Json::Array(items) => {
            let mut all = Vec::with_capacity(items.len());
            for item in items {
                all.extend(texts(item)?);
            }
            all
        }
        Json::Object(_) => return Err("is a record of its own; name one of its fields".into()),
    })
}

impl Transform {
    /// What would be allowed, if this can never work.
    fn complaint(&self) -> Option<String> {
        match self {
            Self::Part { separator, .. } if separator.is_empty() => {
                Some("a separator of at least one character".into())
            }
            Self::Map { table, .. } if table.len() > TABLE_MAX => {
                Some(format!("at most {TABLE_MAX} entries"))
            }
            Self::Date { format }
                if format.is_empty()
                    || StrftimeItems::new(format).any(|item| matches!(item, Item::Error)) =>
            {
                Some("a form of date such as %d.%m.%Y".into())
            }
            _ => None,
        }
    }

    fn apply(&self, texts: Vec<String>, record: &Json) -> Result<Vec<String>, String> {
        let each =
            |change: &dyn Fn(&str) -> String| texts.iter().map(|text| change(text)).collect();
        Ok(match self {
            Self::Trim => each(&|text| text.trim().to_owned()),
            Self::Lower => each(&str::to_lowercase),
            Self::Upper => each(&str::to_uppercase),
            Self::Title => each(&title),
            Self::Part { separator, index } => each(&|text| {
                let parts: Vec<_> = text.split(separator.as_str()).collect();
                let at = match usize::try_from(*index) {
                    Ok(at) => Some(at),
                    Err(_) => parts.len().checked_sub(index.unsigned_abs() as usize),
                };
                let part = at.and_then(|at| parts.get(at));
                part.map(|part| part.trim().to_owned()).unwrap_or_default()
            }),
            Self::Map { table, otherwise } => each(&|text| {
                let found = table.get(text).or(otherwise.as_ref());
                found.cloned().unwrap_or_else(|| text.to_owned())
            }),
            Self::Date { format } => {
                let mut dates = Vec::with_capacity(texts.len());
                for text in texts.iter().filter(|text| !text.trim().is_empty()) {
                    // A spreadsheet has real dates beside typed ones; those come as they should.
                    let date = NaiveDate::parse_and_remainder(text.trim(), format)
                        .or_else(|_| NaiveDate::parse_and_remainder(text.trim(), "%Y-%m-%d"));
                    let (date, _) = date.map_err(|_| {
                        let shown: String = text.chars().take(40).collect();
                        format!("“{shown}” is not a date of the form {format}")
                    })?;
                    dates.push(date.to_string());
                }
                dates
            }
            Self::Constant { value } => vec![value.clone()],
            Self::Join { with, separator } => {
                let other = match find(record, with) {
                    Some(other) => self::texts(other)?,
                    None => Vec::new(),
                };
                let parts = texts.into_iter().chain(other);
                let parts: Vec<_> = parts.filter(|part| !part.trim().is_empty()).collect();
                vec![parts.join(separator)]
            }
        })
    }
}

/// Transforms as people write them in one line, with `|` between:
/// `trim | part "," 1 | title`, `map "3"="Fitter" else ""`, `date "%d.%m.%Y"`,
/// `constant "en-GB"`, `join "/plant" ", "`. In quotes, `\"` is a quote and `\\`
/// a backslash.
#[must_use]
pub fn written(transforms: &[Transform]) -> String {
    let steps: Vec<_> = transforms.iter().map(ToString::to_string).collect();
    steps.join(" | ")
}

/// The way back from [`written`].
///
/// # Errors
/// [`Violation::BadFormat`] of `field`, saying what was not understood and what is allowed.
pub fn read(field: &str, line: &str) -> Result<Vec<Transform>, Violation> {
    let bad = |expected: String| Violation::BadFormat {
        field: field.to_owned(),
        expected,
    };
    let words = words(line).map_err(bad)?;
    if words.is_empty() {
        return Ok(Vec::new());
    }
    words
        .split(|word| *word == Word::Bar)
        .map(|step| transform(step).map_err(bad))
        .collect()
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted =
            |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        match self {
            Self::Trim => f.write_str("trim"),
            Self::Lower => f.write_str("lower"),
            Self::Upper => f.write_str("upper"),
            Self::Title => f.write_str("title"),
            Self::Part { separator, index } => write!(f, "part {} {index}", quoted(separator)),
            Self::Map { table, otherwise } => {
                f.write_str("map")?;
                for (from, to) in table {
                    write!(f, " {}={}", quoted(from), quoted(to))?;
                }
                match otherwise {
                    Some(otherwise) => write!(f, " else {}", quoted(otherwise)),
                    None => Ok(()),
                }
            }
            Self::Date { format } => write!(f, "date {}", quoted(format)),
            Self::Constant { value } => write!(f, "constant {}", quoted(value)),
            Self::Join { with, separator } => {
                write!(f, "join {} {}", quoted(with), quoted(separator))
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Bare(String),
    Quoted(String),
    Bar,
    Equals,
}

fn words(line: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_whitespace() => {}
            '|' => words.push(Word::Bar),
            '=' => words.push(Word::Equals),
            '"' => {
                let mut text = String::new();
                loop {
                    match rest.next() {
                        Some('"') => break,
                        Some('\\') => match rest.next() {
                            Some(c @ ('"' | '\\')) => text.push(c),
                            _ => return Err("after \\ a quote or another \\".into()),
                        },
                        Some(c) => text.push(c),
                        None => return Err("a closing \"".into()),
                    }
                }
                words.push(Word::Quoted(text));
            }
            c => {
                let mut text = String::from(c);
                while let Some(c) = rest.next_if(|c| !c.is_whitespace() && !"|=\"".contains(*c)) {
                    text.push(c);
                }
                words.push(Word::Bare(text));
            }
        }
    }
    Ok(words)
}

fn transform(step: &[Word]) -> Result<Transform, String> {
    use Word::{Bare, Equals, Quoted};
    let [Bare(name), rest @ ..] = step else {
        return Err("trim, lower, upper, title, part, map, date, constant or join".into());
    };
    match (name.as_str(), rest) {
        ("trim", []) => Ok(Transform::Trim),
        ("lower", []) => Ok(Transform::Lower),
        ("upper", []) => Ok(Transform::Upper),
        ("title", []) => Ok(Transform::Title),
        ("part", [Quoted(separator), Bare(index)]) => Ok(Transform::Part {
            separator: separator.clone(),
            index: index.parse().map_err(|_| PART.to_owned())?,
        }),
        ("part", _) => Err(PART.into()),
        ("map", mut rest) => {
            let mut table = BTreeMap::new();
            let mut otherwise = None;
            while !rest.is_empty() {
                rest = match rest {
                    [Quoted(from), Equals, Quoted(to), rest @ ..] => {
                        table.insert(from.clone(), to.clone());
                        rest
                    }
                    [Bare(word), Quoted(text)] if word == "else" => {
                        otherwise = Some(text.clone());
                        &[]
                    }
                    _ => return Err("map \"3\"=\"Fitter\" \"4\"=\"Smith\" else \"\"".into()),
                }
            }
            Ok(Transform::Map { table, otherwise })
        }
        ("date", [Quoted(format)]) => Ok(Transform::Date {
            format: format.clone(),
        }),
        ("date", _) => Err("date \"%d.%m.%Y\"".into()),
        ("constant", [Quoted(value)]) => Ok(Transform::Constant {
            value: value.clone(),
        }),
        ("constant", _) => Err("constant \"en-GB\"".into()),
        ("join", [Quoted(with), Quoted(separator)]) => Ok(Transform::Join {
            with: with.clone(),
            separator: separator.clone(),
        }),
        ("join", _) => Err("join \"other field\" \", \"".into()),
        _ => Err("trim, lower, upper, title, part, map, date, constant or join".into()),
    }
}

const PART: &str = "part \",\" 1, where the first part is 0 and the last -1";

/// Each word with a capital: `ANNE-MARIE O'NEIL` becomes `Anne-Marie O'Neil`.
fn title(text: &str) -> String {
    let mut begins = true;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if begins {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        begins = !c.is_alphanumeric();
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(from: &str, transforms: Json, record: Json) -> Result<Option<Vec<String>>, String> {
        let field = json!({ "target": "title", "from": from, "transforms": transforms });
        serde_json::from_value::<Field>(field)
            .expect("a field")
            .read(&record)
    }

    fn one(from: &str, transforms: Json, record: Json) -> String {
        read(from, transforms, record)
            .expect("readable")
            .expect("there")
            .join("|")
    }

    #[test]
    fn a_field_is_found_by_name_or_pointer() {
        let record =
            json!({ "a/b": "x", "name": { "given": ["Grace", null, "M."] }, "n": 7, "f": false });
        assert_eq!(one("a/b", json!([]), record.clone()), "x");
        assert_eq!(one("/name/given", json!([]), record.clone()), "Grace|M.");
        assert_eq!(one("n", json!([]), record.clone()), "7");
        assert_eq!(one("f", json!([]), record.clone()), "false");
        assert_eq!(read("gone", json!([]), record.clone()), Ok(None));
        assert!(read("name", json!([]), record).is_err());
    }

    #[test]
    fn transforms_follow_each_other() {
        let record = json!({ "who": " OKAFOR, GRACE ", "on": "13.05.2019 08:00", "grade": "3", "plant": "Oslo" });
        let given = json!([{ "do": "part", "separator": ",", "index": 1 }, { "do": "title" }]);
        assert_eq!(one("who", given, record.clone()), "Grace");
        let last = json!([{ "do": "trim" }, { "do": "part", "separator": " ", "index": -1 }, { "do": "lower" }]);
        assert_eq!(one("who", last, record.clone()), "grace");
        let date = json!([{ "do": "date", "format": "%d.%m.%Y" }]);
        assert_eq!(one("on", date.clone(), record.clone()), "2019-05-13");
        let typed = json!({ "on": "2019-05-13" });
        assert_eq!(one("on", date.clone(), typed), "2019-05-13");
        assert_eq!(
            read("who", date, record.clone()),
            Err("“ OKAFOR, GRACE ” is not a date of the form %d.%m.%Y".into())
        );
        let map = json!([{ "do": "map", "table": { "3": "Fitter" }, "otherwise": "" }]);
        assert_eq!(one("grade", map.clone(), record.clone()), "Fitter");
        assert_eq!(one("plant", map, record.clone()), "");
        let join = json!([{ "do": "join", "with": "plant", "separator": ", " }]);
        assert_eq!(one("grade", join, record.clone()), "3, Oslo");
        let constant = json!([{ "do": "constant", "value": "en-GB" }]);
        assert_eq!(one("", constant, record), "en-GB");
    }

    #[test]
    fn what_cannot_be_followed_is_refused_and_named() {
        let check = |mapping: Json| {
            let mapping: Mapping = serde_json::from_value(mapping).expect("a mapping");
            mapping.check().err().unwrap_or_default()
        };
        assert_eq!(
            check(json!({ "worker": [{ "target": "id", "from": "id" }] })),
            []
        );
        let bad = check(json!({
            "worker": [
                { "target": "title", "from": "t" },
                { "target": "title", "from": "u" },
                { "target": "head", "from": "h" },
                { "target": "startDate", "from": "s", "transforms": [{ "do": "date", "format": "%Q" }] },
                { "target": "about" },
            ],
            "unit": [{ "target": "name", "from": "n" }],
        }));
        let fields: Vec<_> = bad.iter().map(ToString::to_string).collect();
        assert_eq!(fields.len(), 6, "{fields:?}");
    }

    #[test]
    fn a_target_is_told_by_one_name() {
        for (target, name) in Target::OWN {
            assert_eq!(name.parse(), Ok(target));
        }
        assert_eq!("department".parse(), Ok(Target::Unit));
        assert_eq!("title".parse(), Ok(Target::Attribute(Attribute::Title)));
        assert!("salary".parse::<Target>().is_err());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let line = r#"trim | part "," -1 | map "3"="Fitter" "a\"b"="\\" else "" | date "%d.%m.%Y" | constant "en-GB" | join "/plant" ", " | upper"#;
        let transforms = super::read("t", line).expect("transforms");
        assert_eq!(written(&transforms), line);
        assert_eq!(super::read("t", "  "), Ok(Vec::new()));
        for wrong in [
            "shout",
            "trim |",
            "| trim",
            "part 1",
            "part \",\" x",
            "map 3=4",
            "date",
            "constant \"x",
            "trim trim",
        ] {
            assert!(super::read("t", wrong).is_err(), "{wrong}");
        }
    }
}

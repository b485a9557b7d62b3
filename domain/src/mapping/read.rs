//! Reading a mapping that somebody sent: what is wrong is told at its place, in the words of the house.

use serde_json::{Map, Value as Json};

use super::{Field, Mapping, Target, Transform};
use crate::Violation;

/// What is done to a value, by its name in `do`, and the members that each takes: a text, a whole
/// number or a table; those that may be absent have a `?`.
const TRANSFORMS: [(&str, &[(&str, &str)]); 9] = [
    ("trim", &[]),
    ("lower", &[]),
    ("upper", &[]),
    ("title", &[]),
    ("part", &[("separator", TEXT), ("index", NUMBER)]),
    ("map", &[("table", TABLE), ("otherwise", MAYBE_TEXT)]),
    ("date", &[("format", TEXT)]),
    ("constant", &[("value", TEXT)]),
    ("join", &[("with", TEXT), ("separator", TEXT)]),
];

const TEXT: &str = "a text";
const MAYBE_TEXT: &str = "a text, or nothing";
const NUMBER: &str = "a whole number";
const TABLE: &str = "an object of texts";
const LIST: &str = "a list";
const OBJECT: &str = "an object";

impl Mapping {
    /// A mapping from its JSON.
    ///
    /// # Errors
    /// Every [`Violation`]; its field is a JSON pointer (RFC 6901) into `json`, after `at`.
    pub fn read(json: &Json, at: &str) -> Result<Self, Vec<Violation>> {
        let mut bad = Vec::new();
        let mapping = read_mapping(json, at, &mut bad);
        match mapping {
            Some(mapping) if bad.is_empty() => Ok(mapping),
            _ => Err(bad),
        }
    }
}

fn expected(at: &str, expected: &str) -> Violation {
    Violation::BadFormat {
        field: at.to_owned(),
        expected: expected.to_owned(),
    }
}

fn unknown(at: &str, value: &str, allowed: String) -> Violation {
    Violation::Unknown {
        field: at.to_owned(),
        value: value.chars().take(64).collect(),
        allowed,
    }
}

/// A name as a part of a pointer.
fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn object<'a>(json: &'a Json, at: &str, bad: &mut Vec<Violation>) -> Option<&'a Map<String, Json>> {
    let found = json.as_object();
    if found.is_none() {
        bad.push(expected(at, OBJECT));
    }
    found
}

/// Names members that there are none of.
fn only(members: &Map<String, Json>, known: &[&str], at: &str, bad: &mut Vec<Violation>) {
    for name in members
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
    {
        bad.push(unknown(&below(at, name), name, known.join(" ")));
    }
}

fn read_mapping(json: &Json, at: &str, bad: &mut Vec<Violation>) -> Option<Mapping> {
    let members = object(json, at, bad)?;
    only(members, &["worker", "unit"], at, bad);
    let mut lines = |name: &str| {
        let at = below(at, name);
        match members.get(name) {
            None => Vec::new(),
            Some(Json::Array(lines)) => lines
                .iter()
                .enumerate()
                .filter_map(|(place, line)| read_line(line, &format!("{at}/{place}"), bad))
                .collect(),
            Some(_) => {
                bad.push(expected(&at, LIST));
                Vec::new()
            }
        }
    };
    let mapping = Mapping {
        worker: lines("worker"),
        unit: lines("unit"),
    };
    if !members.contains_key("worker") {
        bad.push(Violation::Required {
            field: below(at, "worker"),
        });
    }
    Some(mapping)
}

fn read_line(json: &Json, at: &str, bad: &mut Vec<Violation>) -> Option<Field> {
    let members = object(json, at, bad)?;
    only(members, &["target", "from", "transforms"], at, bad);
    let target = read_target(members.get("target"), &below(at, "target"), bad);
    let from = match members.get("from") {
        None => String::new(),
        Some(Json::String(from)) => from.clone(),
        Some(_) => {
            bad.push(expected(&below(at, "from"), TEXT));
            String::new()
        }
    };
    let steps = below(at, "transforms");
    let transforms = match members.get("transforms") {
        None => Vec::new(),
        Some(Json::Array(list)) => list
            .iter()
            .enumerate()
            .filter_map(|(place, step)| read_transform(step, &format!("{steps}/{place}"), bad))
            .collect(),
        Some(_) => {
            bad.push(expected(&steps, LIST));
            Vec::new()
        }
    };
    Some(Field {
        target: target?,
        from,
        transforms,
    })
}

fn read_target(json: Option<&Json>, at: &str, bad: &mut Vec<Violation>) -> Option<Target> {
    let name = match json {
        None => {
            bad.push(Violation::Required { field: at.into() });
            return None;
        }
        Some(Json::String(name)) => name,
        Some(_) => {
            bad.push(expected(at, TEXT));
            return None;
        }
    };
    let target = name.parse();
    if target.is_err() {
        let own: Vec<_> = Target::OWN.iter().map(|(_, name)| *name).collect();
        let allowed = format!("{} or the name of an attribute", own.join(" "));
        bad.push(unknown(at, name, allowed));
    }
    target.ok()
}

fn read_transform(json: &Json, at: &str, bad: &mut Vec<Violation>) -> Option<Transform> {
    let members = object(json, at, bad)?;
    let what = below(at, "do");
    let name = match members.get("do") {
        None => {
            bad.push(Violation::Required { field: what });
            return None;
        }
        Some(Json::String(name)) => name,
        Some(_) => {
            bad.push(expected(&what, TEXT));
            return None;
        }
    };
    let Some((_, takes)) = TRANSFORMS.iter().find(|(known, _)| known == name) else {
        let names: Vec<_> = TRANSFORMS.iter().map(|(name, _)| *name).collect();
        bad.push(unknown(&what, name, names.join(" ")));
        return None;
    };
    let known: Vec<_> = std::iter::once("do")
        .chain(takes.iter().map(|(name, _)| *name))
        .collect();
    only(members, &known, at, bad);
    for (name, form) in *takes {
        let at = below(at, name);
        match members.get(*name) {
            None | Some(Json::Null) if *form == MAYBE_TEXT => {}
            None => bad.push(Violation::Required { field: at }),
            Some(value) if fits(value, form) => {}
            Some(Json::Object(table)) if *form == TABLE => {
                for (key, _) in table.iter().filter(|(_, value)| !value.is_string()) {
                    bad.push(expected(&below(&at, key), TEXT));
                }
            }
            Some(_) => bad.push(expected(&at, form)),
        }
    }
    serde_json::from_value(json.clone()).ok()
}

fn fits(value: &Json, form: &str) -> bool {
    match form {
        NUMBER => value
            .as_i64()
            .is_some_and(|number| i32::try_from(number).is_ok()),
        TABLE => value
            .as_object()
            .is_some_and(|table| table.values().all(Json::is_string)),
        _ => value.is_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(json: Json) -> Vec<(String, &'static str)> {
        let bad = Mapping::read(&json, "/mapping").unwrap_err();
        bad.iter()
            .map(|one| (one.field().to_owned(), one.code()))
            .collect()
    }

    #[test]
    fn what_can_be_read_is_what_serde_reads() {
        let whole = json!({
            "worker": [
                { "target": "id", "from": "/id" },
                { "target": "title", "from": "t", "transforms": [
                    { "do": "trim" }, { "do": "lower" }, { "do": "upper" }, { "do": "title" },
                    { "do": "part", "separator": ",", "index": -1 },
                    { "do": "map", "table": { "a/b": "c" }, "otherwise": null },
                    { "do": "map", "table": {} , "otherwise": "x" },
                    { "do": "date", "format": "%Y" },
                    { "do": "constant", "value": "v" },
                    { "do": "join", "with": "w", "separator": " " },
                ] },
            ],
            "unit": [{ "target": "name", "from": "n" }],
        });
        let read = Mapping::read(&whole, "").unwrap();
        assert_eq!(read, serde_json::from_value(whole).unwrap());
        assert_eq!(read.worker[1].transforms.len(), 10);
        let again = serde_json::to_value(&read).unwrap();
        assert_eq!(Mapping::read(&again, "").unwrap(), read);
    }

    #[test]
    fn every_fault_is_told_at_its_place() {
        let found = wrong(json!({
            "worker": [
                { "target": "shoeSize", "from": 7 },
                { "from": "x", "colour": "red" },
                { "target": "title", "transforms": [
                    { "do": "shout" },
                    { "do": "part", "separator": "," },
                    { "do": "part", "separator": ",", "index": 5_000_000_000_i64 },
                    { "do": "map", "table": { "a/b": 1 } },
                    { "do": "date", "format": "%Y", "zone": "UTC" },
                    "trim",
                    {},
                ] },
                7,
            ],
            "unit": {},
            "people": [],
        }));
        let expected = [
            ("/mapping/people", "unknown"),
            ("/mapping/worker/0/target", "unknown"),
            ("/mapping/worker/0/from", "bad_format"),
            ("/mapping/worker/1/colour", "unknown"),
            ("/mapping/worker/1/target", "required"),
            ("/mapping/worker/2/transforms/0/do", "unknown"),
            ("/mapping/worker/2/transforms/1/index", "required"),
            ("/mapping/worker/2/transforms/2/index", "bad_format"),
            ("/mapping/worker/2/transforms/3/table/a~1b", "bad_format"),
            ("/mapping/worker/2/transforms/4/zone", "unknown"),
            ("/mapping/worker/2/transforms/5", "bad_format"),
            ("/mapping/worker/2/transforms/6/do", "required"),
            ("/mapping/worker/3", "bad_format"),
            ("/mapping/unit", "bad_format"),
        ];
        let expected: Vec<_> = expected
            .map(|(field, code)| (field.to_owned(), code))
            .into();
        assert_eq!(found, expected);
        assert_eq!(wrong(json!([])), [("/mapping".to_owned(), "bad_format")]);
        assert_eq!(
            wrong(json!({})),
            [("/mapping/worker".to_owned(), "required")]
        );
    }
}

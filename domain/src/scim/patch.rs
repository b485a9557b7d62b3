//! PATCH (RFC 7644, section 3.5.2), as the RFC has it and as the two largest
//! clients send it: operations in capitals, `"True"` for true, paths as keys of
//! a value without a path, members to remove in the value.

use serde_json::Value;

use super::{
    Code, Filter, Object, Refusal, is_nothing, member,
    path::Target,
    quote,
    schema::{Attr, Kind, Mutability, ResourceType, Schema},
    shape,
};

/// Most operations of one request.
const MAX: usize = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Remove,
}

/// One operation of a request.
#[derive(Debug, Clone)]
pub struct Operation {
    verb: Verb,
    target: Option<Target>,
    value: Option<Value>,
}

/// Reads the operations of a request.
///
/// # Errors
/// [`Code::InvalidSyntax`], [`Code::InvalidPath`], [`Code::InvalidValue`], or
/// [`Code::NoTarget`] for a removal of nothing in particular.
pub fn operations(resource: &ResourceType, body: &Value) -> Result<Vec<Operation>, Refusal> {
    let syntax = |what: String| Refusal::new(Code::InvalidSyntax, what);
    let list = body
        .as_object()
        .and_then(|body| member(body, "Operations"))
        .and_then(Value::as_array)
        .ok_or_else(|| syntax("a PATCH has a list called Operations".into()))?;
    if list.is_empty() || list.len() > MAX {
        return Err(syntax(format!("a PATCH has 1 to {MAX} operations")));
    }
    let read = |one: &Value| {
        let one = one
            .as_object()
            .ok_or_else(|| syntax("an operation is an object".into()))?;
        let name = member(one, "op")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let verb = match name.to_ascii_lowercase().as_str() {
            "add" => Verb::Add,
            "replace" => Verb::Replace,
            "remove" => Verb::Remove,
            _ => {
                return Err(syntax(format!(
                    "op is add, remove or replace, not {}",
                    quote(name)
                )));
            }
        };
        let target = match member(one, "path") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) if path.is_empty() => None,
            Some(Value::String(path)) => Some(Target::parse(resource, path)?),
            Some(_) => return Err(Refusal::new(Code::InvalidPath, "a path is a text")),
        };
        let value = member(one, "value").cloned();
        match verb {
            Verb::Remove if target.is_none() => {
                return Err(Refusal::new(Code::NoTarget, "remove needs a path"));
            }
            Verb::Add | Verb::Replace if value.is_none() => {
                return Err(Refusal::value(format!("{name} needs a value")));
            }
            _ => {}
        }
        Ok(Operation {
            verb,
            target,
            value,
        })
    };
    list.iter().map(read).collect()
}

/// Applies all operations or, where one cannot be, says why.
///
/// # Errors
/// [`Code::NoTarget`], [`Code::Mutability`], [`Code::InvalidValue`], [`Code::InvalidPath`].
pub fn apply(
    resource: &ResourceType,
    before: &Object,
    operations: Vec<Operation>,
) -> Result<Object, Refusal> {
    let mut object = before.clone();
    for operation in operations {
        let value = operation.value.unwrap_or(Value::Null);
        match operation.target {
            Some(target) => change(resource, &mut object, operation.verb, target, value)?,
            None => change_all(resource, &mut object, operation.verb, value)?,
        }
    }
    shape::check(resource, &object)?;
    Ok(object)
}

/// A value without a path: its members are attributes, or paths. What the
/// client may not write comes along with what it may, and is passed over.
fn change_all(
    resource: &ResourceType,
    object: &mut Object,
    verb: Verb,
    value: Value,
) -> Result<(), Refusal> {
    let Value::Object(members) = value else {
        return Err(Refusal::value("without a path, the value is an object"));
    };
    for (key, value) in members {
        let is_urn = shape::is_urn(&key);
        if !is_urn && !key.contains(['.', '[']) && resource.attribute(&key).is_none() {
            continue;
        }
        let target = Target::parse(resource, &key)?;
        if let Target::Attribute { attr, .. } = &target
            && (attr.mutability == Mutability::ReadOnly || attr.name == "schemas")
        {
            continue;
        }
        change(resource, object, verb, target, value)?;
    }
    Ok(())
}

fn change(
    resource: &ResourceType,
    object: &mut Object,
    verb: Verb,
    target: Target,
    value: Value,
) -> Result<(), Refusal> {
    match target {
        Target::Foreign { urn, name } => {
            shape::readable(&urn, &value)?;
            foreign(object, verb, urn, name, value);
            Ok(())
        }
        Target::Extension(extension) if verb == Verb::Remove => {
            object.remove(extension.id);
            Ok(())
        }
        Target::Extension(extension) => {
            let Value::Object(members) = value else {
                return Err(Refusal::value(format!("{} is an object", extension.id)));
            };
            for (key, value) in members {
                let Some(attr) = extension.attribute(&key) else {
                    continue;
                };
                let at = At {
                    attr,
                    filter: None,
                    sub: None,
                };
                below(object, extension, |inner| at.change(inner, verb, value))?;
            }
            Ok(())
        }
        Target::Attribute {
            extension,
            attr,
            filter,
            sub,
        } => {
            let fixed = attr.mutability == Mutability::ReadOnly
                || attr.name == "schemas"
                || sub.is_some_and(|sub| {
                    matches!(sub.mutability, Mutability::ReadOnly | Mutability::Immutable)
                });
            if fixed {
                return Err(Refusal::new(
                    Code::Mutability,
                    format!("{} cannot be changed so", attr.name),
                ));
            }
            if verb == Verb::Remove && attr.required && filter.is_none() && sub.is_none() {
                return Err(Refusal::new(
                    Code::Mutability,
                    format!("a {} has a {}", resource.name, attr.name),
                ));
            }
            let at = At { attr, filter, sub };
            match extension {
                Some(extension) => below(object, extension, |inner| at.change(inner, verb, value)),
                None => at.change(object, verb, value),
            }
        }
    }
}

/// Changes what is below an extension's URN; nothing is left of one that is empty.
fn below(
    object: &mut Object,
    extension: &Schema,
    change: impl FnOnce(&mut Object) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let inner = object.remove(extension.id);
    let mut inner = match inner {
        Some(Value::Object(inner)) => inner,
        _ => Object::new(),
    };
    change(&mut inner)?;
    if !inner.is_empty() {
        object.insert(extension.id.to_owned(), inner.into());
    }
    Ok(())
}

/// An extension that is not served: kept as it comes.
fn foreign(object: &mut Object, verb: Verb, urn: String, name: Option<String>, value: Value) {
    let known = object
        .keys()
        .find(|key| key.eq_ignore_ascii_case(&urn))
        .cloned();
    let urn = known.unwrap_or(urn);
    let Some(name) = name else {
        if verb == Verb::Remove || is_nothing(&value) {
            object.remove(&urn);
        } else if let (Some(Value::Object(before)), Value::Object(now)) =
            (object.get_mut(&urn), &value)
        {
            before.extend(now.clone());
        } else {
            object.insert(urn, value);
        }
        return;
    };
    let mut inner = match object.remove(&urn) {
        Some(Value::Object(inner)) => inner,
        _ => Object::new(),
    };
    if verb == Verb::Remove || is_nothing(&value) {
        inner.remove(&name);
    } else {
        inner.insert(name, value);
    }
    if !inner.is_empty() {
        object.insert(urn, inner.into());
    }
}

/// An attribute, which of its values, and what of them.
struct At {
    attr: &'static Attr,
    filter: Option<Filter>,
    sub: Option<&'static Attr>,
}

impl At {
    fn change(&self, object: &mut Object, verb: Verb, value: Value) -> Result<(), Refusal> {
        let name = self.attr.name;
        if self.attr.mutability == Mutability::WriteOnly {
            return Ok(());
        }
        let before = object.remove(name);
        let now = if self.attr.multi {
            let before = match before {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            };
            let now = match (&self.filter, self.sub) {
                (None, None) => self.all(before, verb, value)?,
                _ => self.some(before, verb, value)?,
            };
            (!now.is_empty()).then(|| now.into())
        } else {
            self.single(before, verb, value)?
        };
        if let Some(now) = now {
            object.insert(name.to_owned(), now);
        }
        Ok(())
    }

    /// An attribute of one value.
    fn single(
        &self,
        before: Option<Value>,
        verb: Verb,
        value: Value,
    ) -> Result<Option<Value>, Refusal> {
        if self.attr.kind != Kind::Complex {
            return match verb {
                Verb::Remove => Ok(None),
                Verb::Add | Verb::Replace => shape::one(self.attr, value),
            };
        }
        let mut members = match before {
            Some(Value::Object(members)) => members,
            _ => Object::new(),
        };
        match (verb, self.sub) {
            (Verb::Remove, None) => members.clear(),
            (Verb::Remove, Some(sub)) => drop(members.remove(sub.name)),
            (_, Some(sub)) => set(&mut members, sub, value)?,
            // A manager of another id is another manager: nothing of the one before stays.
            (_, None) => match shape::one(self.attr, value)? {
                None => members.clear(),
                Some(Value::Object(now)) => {
                    if now.contains_key("value") {
                        members.clear();
                    }
                    members.extend(now);
                }
                Some(_) => {}
            },
        }
        Ok((!members.is_empty()).then(|| members.into()))
    }

    /// All values of an attribute.
    fn all(&self, mut before: Vec<Value>, verb: Verb, value: Value) -> Result<Vec<Value>, Refusal> {
        let now = match shape::values(self.attr, value)? {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        match verb {
            Verb::Replace => Ok(now),
            Verb::Remove if now.is_empty() => Ok(Vec::new()),
            Verb::Remove => {
                let gone = |value: &Value| {
                    now.iter().any(|gone| match gone.get("value") {
                        Some(id) => value.get("value") == Some(id),
                        None => gone == value,
                    })
                };
                before.retain(|value| !gone(value));
                Ok(before)
            }
            Verb::Add => {
                for value in now {
                    // A member is a member once, whatever else is said of it.
                    let same = |other: &Value| {
                        *other == value
                            || self.attr.name == "members"
                                && other.get("value") == value.get("value")
                    };
                    if before.iter().any(same) {
                        continue;
                    }
                    if value["primary"] == Value::Bool(true) {
                        demote(&mut before);
                    }
                    before.push(value);
                }
                Ok(before)
            }
        }
    }

    /// The values that a filter chooses, or one sub-attribute of them.
    fn some(
        &self,
        mut before: Vec<Value>,
        verb: Verb,
        value: Value,
    ) -> Result<Vec<Value>, Refusal> {
        let chosen = |value: &Value| {
            self.filter
                .as_ref()
                .is_none_or(|filter| filter.matches_value(self.attr, value))
        };
        let at: Vec<usize> = (0..before.len())
            .filter(|at| chosen(&before[*at]))
            .collect();
        if verb == Verb::Remove {
            // Nothing there is what the client wants.
            match self.sub {
                None => before.retain(|value| !chosen(value)),
                Some(sub) => {
                    for at in at {
                        if let Value::Object(members) = &mut before[at] {
                            members.remove(sub.name);
                        }
                    }
                    before.retain(|value| !is_nothing(value));
                }
            }
            return Ok(before);
        }
        let makes_primary = |value: &Value| match self.sub {
            Some(sub) => {
                sub.name == "primary"
                    && matches!(shape::one(sub, value.clone()), Ok(Some(Value::Bool(true))))
            }
            None => value["primary"] == Value::Bool(true),
        };
        if makes_primary(&value) {
            demote(&mut before);
        }
        if at.is_empty() {
            let implied = match &self.filter {
                None => Some(Object::new()),
                Some(filter) if verb == Verb::Add => filter.implied(self.attr),
                Some(_) => None,
            };
            let mut members = implied.ok_or_else(|| {
                Refusal::new(
                    Code::NoTarget,
                    format!("none of {} is meant by the filter", self.attr.name),
                )
            })?;
            self.put(&mut members, verb, value)?;
            if !members.is_empty() {
                before.push(members.into());
            }
            return Ok(before);
        }
        for at in at {
            if let Value::Object(members) = &mut before[at] {
                self.put(members, verb, value.clone())?;
            }
        }
        before.retain(|value| !is_nothing(value));
        Ok(before)
    }

    /// Puts a value, or a sub-attribute of it, into one of several values.
    fn put(&self, members: &mut Object, verb: Verb, value: Value) -> Result<(), Refusal> {
        if let Some(sub) = self.sub {
            return set(members, sub, value);
        }
        let now = match shape::one(self.attr, value)? {
            Some(Value::Object(now)) => now,
            _ => Object::new(),
        };
        if verb == Verb::Replace {
            members.clear();
        }
        members.extend(now);
        Ok(())
    }
}

fn set(members: &mut Object, sub: &Attr, value: Value) -> Result<(), Refusal> {
    match shape::one(sub, value)? {
        Some(value) => drop(members.insert(sub.name.to_owned(), value)),
        None => drop(members.remove(sub.name)),
    }
    Ok(())
}

/// At most one value is primary: the others give way to a new one.
fn demote(values: &mut [Value]) {
    for value in values {
        if value["primary"] == Value::Bool(true) {
            value["primary"] = false.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::scim::{GROUP, USER, clean};

    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    fn ada() -> Object {
        let ada = json!({
            "userName": "ada", "active": true, "title": "Analyst",
            "name": { "givenName": "Ada", "familyName": "Lovelace" },
            "emails": [
                { "value": "ada@work.example", "type": "work", "primary": true },
                { "value": "ada@home.example", "type": "home" },
            ],
        });
        clean(&USER, ada).expect("a user")
    }

    fn patched(list: Value) -> Result<Value, Refusal> {
        let list = operations(&USER, &json!({ "Operations": list }))?;
        apply(&USER, &ada(), list).map(Value::from)
    }

    #[track_caller]
    fn done(list: Value) -> Value {
        patched(list).unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    #[test]
    fn each_kind_of_path_changes_its_own() {
        let now = done(json!([
            { "op": "replace", "path": "title", "value": "Countess" },
            { "op": "add", "path": "NAME.middlename", "value": "Augusta" },
            { "op": "replace", "path": "emails[type eq \"work\"].value", "value": "al@work.example" },
            { "op": "add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+44 7700 900418" },
            { "op": "add", "path": format!("{ENTERPRISE}:manager"), "value": "m-1" },
            { "op": "add", "path": format!("{ENTERPRISE}:department"), "value": "Forge" },
            { "op": "remove", "path": "emails[type eq \"home\"]" },
            { "op": "add", "path": "urn:example:own:2.0:User:shoe", "value": 42 },
        ]));
        assert_eq!(
            now,
            json!({
                "userName": "ada", "active": true, "title": "Countess",
                "name": { "givenName": "Ada", "middleName": "Augusta", "familyName": "Lovelace" },
                "emails": [{ "value": "al@work.example", "type": "work", "primary": true }],
                "phoneNumbers": [{ "type": "mobile", "value": "+44 7700 900418" }],
                ENTERPRISE: { "manager": { "value": "m-1" }, "department": "Forge" },
                "urn:example:own:2.0:User": { "shoe": 42 },
            })
        );
    }

    #[test]
    fn entra_and_okta_are_understood() {
        let now = done(json!([
            { "op": "Replace", "path": "active", "value": "False" },
            { "op": "Add", "value": {
                "name.givenName": "Augusta", "emails[type eq \"work\"].value": "al@work.example",
                "displayname": "Augusta King", "unheard of": 1, "id": "theirs", "meta": { "version": "9" },
                format!("{ENTERPRISE}:costCenter"): "4711", ENTERPRISE: { "division": "Works" },
            } },
            { "op": "Remove", "path": "emails", "value": [{ "value": "ada@home.example" }] },
        ]));
        assert_eq!(now["active"], false);
        assert_eq!(now["name"]["givenName"], "Augusta");
        assert_eq!(now["displayName"], "Augusta King");
        assert_eq!(now["emails"].as_array().map(Vec::len), Some(1));
        assert_eq!(now["emails"][0]["value"], "al@work.example");
        assert_eq!(
            now[ENTERPRISE],
            json!({ "costCenter": "4711", "division": "Works" })
        );
        assert!(now.get("id").is_none() && now.get("meta").is_none());
    }

    #[test]
    fn members_come_and_go_once() {
        let group = clean(
            &GROUP,
            json!({ "displayName": "G", "members": [{ "value": "a" }] }),
        );
        let list = operations(
            &GROUP,
            &json!({ "operations": [
                { "op": "add", "path": "members", "value": [{ "value": "a", "display": "A" }, { "value": "b" }] },
                { "op": "remove", "path": "members[value eq \"a\"]" },
                { "op": "remove", "path": "members[value eq \"nobody\"]" },
            ] }),
        );
        let now = apply(&GROUP, &group.expect("a group"), list.expect("operations"));
        assert_eq!(
            now.map(Value::from),
            Ok(json!({ "displayName": "G", "members": [{ "value": "b" }] }))
        );
    }

    #[test]
    fn there_is_at_most_one_primary() {
        let now = done(json!([
            { "op": "add", "path": "emails", "value": [{ "value": "c@x.example", "primary": true }] },
        ]));
        assert_eq!(now["emails"][0]["primary"], false);
        let now = done(json!([
            { "op": "replace", "path": "emails[type eq \"home\"].primary", "value": "True" },
        ]));
        assert_eq!(now["emails"][0]["primary"], false);
        assert_eq!(now["emails"][1]["primary"], true);
    }

    #[test]
    fn what_cannot_be_is_refused_and_changes_nothing() {
        for (operation, code) in [
            (
                json!({ "op": "move", "path": "title" }),
                Code::InvalidSyntax,
            ),
            (json!({ "op": "add", "path": "title" }), Code::InvalidValue),
            (
                json!({ "op": "add", "path": 7, "value": 7 }),
                Code::InvalidPath,
            ),
            (
                json!({ "op": "add", "path": "nonsense", "value": 7 }),
                Code::InvalidPath,
            ),
            (
                json!({ "op": "add", "path": "title[a eq \"b\"]", "value": 7 }),
                Code::InvalidPath,
            ),
            (
                json!({ "op": "add", "path": "emails[type eq", "value": 7 }),
                Code::InvalidPath,
            ),
            (json!({ "op": "remove" }), Code::NoTarget),
            (
                json!({ "op": "remove", "path": "userName" }),
                Code::Mutability,
            ),
            (
                json!({ "op": "replace", "path": "id", "value": "x" }),
                Code::Mutability,
            ),
            (
                json!({ "op": "add", "path": "groups", "value": [{ "value": "x" }] }),
                Code::Mutability,
            ),
            (
                json!({ "op": "replace", "path": "userName", "value": "" }),
                Code::InvalidValue,
            ),
            (
                json!({ "op": "replace", "path": "active", "value": "perhaps" }),
                Code::InvalidValue,
            ),
            (
                json!({ "op": "replace", "path": "emails[type eq \"fax\"].value", "value": "x" }),
                Code::NoTarget,
            ),
            (json!({ "op": "add", "value": "x" }), Code::InvalidValue),
        ] {
            let refusal = patched(json!([operation])).expect_err(&operation.to_string());
            assert_eq!(refusal.code, code, "{operation}: {refusal}");
        }
        assert!(patched(json!([])).is_err());
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            "[a-z]{0,4}".prop_map(Value::from),
            Just(json!([{ "value": "v", "type": "work" }])),
            Just(json!({ "value": "v", "primary": true })),
            Just(json!({ "givenName": "g", "department": "d", "emails": [{ "value": "x" }] })),
        ]
    }

    fn any_operation() -> impl Strategy<Value = Value> {
        let path = prop_oneof![
            Just(""),
            Just("title"),
            Just("name"),
            Just("name.givenName"),
            Just("emails"),
            Just("emails.value"),
            Just("emails[type eq \"work\"]"),
            Just("emails[type eq \"home\"].primary"),
            Just("active"),
            Just("userName"),
            Just("externalId"),
            Just("password"),
            Just("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"),
            Just("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value"),
            Just("urn:example:x:2.0:User:y"),
        ];
        ("(add|Replace|REMOVE)", path, any_value())
            .prop_map(|(op, path, value)| json!({ "op": op, "path": path, "value": value }))
    }

    proptest! {
        /// Whatever is done to a resource, it stays one: clean, whole, and nothing empty in it.
        #[test]
        fn a_patched_resource_is_a_clean_one(list in prop::collection::vec(any_operation(), 1..6)) {
            if let Ok(now) = patched(list.into()) {
                let again = clean(&USER, now.clone()).map(Value::from);
                prop_assert_eq!(again, Ok(now.clone()));
                prop_assert!(now.get("password").is_none());
            }
        }

        #[test]
        fn adding_the_same_twice_is_adding_it_once(path in "(emails|members|title)", value in "[a-z]{1,4}") {
            let resource = if path == "members" { &GROUP } else { &USER };
            let before = clean(resource, json!({ "userName": "a", "displayName": "a" })).expect("a resource");
            let one = json!({ "op": "add", "path": path, "value": value });
            let apply_all = |list: Value| {
                let list = operations(resource, &json!({ "Operations": list })).expect("operations");
                apply(resource, &before, list)
            };
            prop_assert_eq!(apply_all(json!([one, one])), apply_all(json!([one])));
        }

        #[test]
        fn no_path_makes_the_reader_panic(path in any::<String>()) {
            drop(patched(json!([{ "op": "add", "path": path, "value": "x" }])));
        }
    }
}

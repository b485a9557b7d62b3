//! What a client sends, brought into the one form that is kept.

use serde_json::Value;

use super::{
    Object, Refusal, is_nothing, quote,
    schema::{Attr, Kind, Mutability, ResourceType, Schema},
};

/// Most bytes of one text that is no photo.
const TEXT_MAX: usize = 64 << 10;

/// Brings a resource into its form: names spelled as the schemas have them,
/// values of their types, nothing null. What is not the client's to write and
/// what no schema knows is left out, but for extensions that are not served:
/// they stay as they came. `"True"` counts as true, and a number as its digits.
///
/// # Errors
/// [`super::Code::InvalidSyntax`], or [`super::Code::InvalidValue`] naming the
/// attribute: also for one that is missing.
pub fn clean(resource: &ResourceType, sent: Value) -> Result<Object, Refusal> {
    let Value::Object(sent) = sent else {
        return Err(Refusal::new(
            super::Code::InvalidSyntax,
            format!("a {} is a JSON object", resource.name),
        ));
    };
    let mut object = Object::new();
    for (key, value) in sent {
        let core = key.eq_ignore_ascii_case(resource.schema.id);
        if let Some(extension) = resource.extension(&key) {
            extend(&mut object, extension, value)?;
        } else if let (true, Value::Object(members)) = (core, &value) {
            // Some clients put the core schema's attributes below its URN as well.
            for (name, value) in members {
                take(&mut object, resource.attribute(name), value.clone())?;
            }
        } else if is_urn(&key) {
            if !core && !is_nothing(&value) {
                readable(&key, &value)?;
                object.insert(key, value);
            }
        } else {
            take(&mut object, resource.attribute(&key), value)?;
        }
    }
    check(resource, &object)?;
    Ok(object)
}

/// Whether a key is a schema's.
pub(super) fn is_urn(key: &str) -> bool {
    key.get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("urn:"))
}

fn take(object: &mut Object, attr: Option<&'static Attr>, value: Value) -> Result<(), Refusal> {
    if let Some(attr) = attr.filter(|attr| attr.name != "schemas")
        && let Some(value) = values(attr, value)?
    {
        object.insert(attr.name.to_owned(), value);
    }
    Ok(())
}

fn extend(object: &mut Object, extension: &Schema, value: Value) -> Result<(), Refusal> {
    let members = match value {
        Value::Null => return Ok(()),
        Value::Object(members) => members,
        _ => {
            return Err(Refusal::value(format!("{} is an object", extension.id)));
        }
    };
    let mut inner = Object::new();
    for (key, value) in members {
        take(&mut inner, extension.attribute(&key), value)?;
    }
    if !inner.is_empty() {
        object.insert(extension.id.to_owned(), inner.into());
    }
    Ok(())
}

/// What has to be so of a whole resource: what is required is there, and of
/// several values at most one is primary.
pub(super) fn check(resource: &ResourceType, object: &Object) -> Result<(), Refusal> {
    for attr in resource.schema.attributes {
        let value = object.get(attr.name);
        if attr.required && value.is_none_or(is_nothing) {
            return Err(Refusal::value(format!("{} has to be there", attr.name)));
        }
        if attr.multi && attr.sub("primary").is_some() {
            let is_primary = |value: &&Value| value["primary"] == Value::Bool(true);
            let values = value.and_then(Value::as_array);
            if values.is_some_and(|values| values.iter().filter(is_primary).count() > 1) {
                return Err(Refusal::value(format!(
                    "more than one of {} is primary",
                    attr.name
                )));
            }
        }
    }
    Ok(())
}

/// An attribute's value or values; none where there is nothing, or nothing that is taken.
pub(super) fn values(attr: &Attr, value: Value) -> Result<Option<Value>, Refusal> {
    if matches!(
        attr.mutability,
        Mutability::ReadOnly | Mutability::WriteOnly
    ) {
        return Ok(None);
    }
    if !attr.multi {
        return one(attr, value);
    }
    let items = match value {
        Value::Array(items) => items,
        single => vec![single],
    };
    let mut clean = Vec::with_capacity(items.len());
    for item in items {
        clean.extend(one(attr, item)?);
    }
    Ok((!clean.is_empty()).then(|| clean.into()))
}

/// One value of an attribute.
pub(super) fn one(attr: &Attr, value: Value) -> Result<Option<Value>, Refusal> {
    let wrong = |expected: &str| Refusal::value(format!("{} is {expected}", attr.name));
    if value.is_null() {
        return Ok(None);
    }
    match attr.kind {
        Kind::Complex => {
            let members = match value {
                Value::Object(members) => members,
                // `"manager": "0190…"` means its value.
                text @ Value::String(_) if attr.sub("value").is_some() => {
                    Object::from_iter([("value".to_owned(), text)])
                }
                _ => return Err(wrong("an object")),
            };
            let mut clean = Object::new();
            for (key, value) in members {
                if let Some(sub) = attr.sub(&key)
                    && sub.mutability != Mutability::ReadOnly
                    && let Some(value) = one(sub, value)?
                {
                    clean.insert(sub.name.to_owned(), value);
                }
            }
            Ok((!clean.is_empty()).then(|| clean.into()))
        }
        Kind::Boolean => match &value {
            Value::Bool(_) => Ok(Some(value)),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true.into())),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false.into())),
            _ => Err(wrong("true or false")),
        },
        Kind::Text | Kind::DateTime | Kind::Reference | Kind::Binary => {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) if attr.kind == Kind::Text => number.to_string(),
                _ => return Err(wrong("a text")),
            };
            if text.contains('\0') {
                return Err(wrong("a text without the character of number 0"));
            }
            let is_photo = attr.kind == Kind::Reference && text.starts_with("data:");
            if text.len() > TEXT_MAX && !is_photo && attr.kind != Kind::Binary {
                return Err(wrong(&format!("at most {TEXT_MAX} bytes long")));
            }
            Ok(Some(text.into()))
        }
    }
}

/// What no schema describes is kept whatever it is, if every database can hold it.
pub(super) fn readable(key: &str, value: &Value) -> Result<(), Refusal> {
    if key.contains('\0') || key.len() > 400 {
        return Err(Refusal::value(format!("{} is no name", quote(key))));
    }
    match value {
        Value::String(text) if text.contains('\0') => Err(Refusal::value(format!(
            "{} has the character of number 0 in it",
            quote(key)
        ))),
        Value::Array(items) => items.iter().try_for_each(|item| readable(key, item)),
        Value::Object(members) => members
            .iter()
            .try_for_each(|(key, value)| readable(key, value)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::{Code, GROUP, USER};

    #[test]
    fn what_comes_in_gets_its_one_spelling() {
        let sent = json!({
            "SCHEMAS": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "mine", "meta": { "version": "1" }, "groups": [{ "value": "g" }],
            "USERNAME": "ada", "externalid": "x-1", "Active": "True", "password": "hunter2",
            "NAME": { "GivenName": "Ada", "nonsense": 1 }, "nickName": null, "title": 7,
            "emails": { "VALUE": "ada@northwind.example", "Primary": "false" },
            "phoneNumbers": [], "roles": ["admin"], "favouriteColour": "green",
            "URN:ietf:params:scim:schemas:extension:enterprise:2.0:User":
                { "Manager": "m-1", "department": "Forge", "managers": 3 },
            "urn:example:own:2.0:User": { "shoe": 42 },
        });
        let kept = json!({
            "userName": "ada", "externalId": "x-1", "active": true, "name": { "givenName": "Ada" }, "title": "7",
            "emails": [{ "value": "ada@northwind.example", "primary": false }], "roles": [{ "value": "admin" }],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
                { "manager": { "value": "m-1" }, "department": "Forge" },
            "urn:example:own:2.0:User": { "shoe": 42 },
        });
        let clean_one = clean(&USER, sent).expect("a user");
        assert_eq!(Value::from(clean_one.clone()), kept);
        assert_eq!(clean(&USER, kept), Ok(clean_one), "clean stays clean");
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (sent, code, named) in [
            (json!([]), Code::InvalidSyntax, "User"),
            (json!({}), Code::InvalidValue, "userName"),
            (json!({ "userName": "" }), Code::InvalidValue, "userName"),
            (json!({ "userName": {} }), Code::InvalidValue, "userName"),
            (
                json!({ "userName": "a\u{0}b" }),
                Code::InvalidValue,
                "userName",
            ),
            (
                json!({ "userName": "a", "active": "perhaps" }),
                Code::InvalidValue,
                "active",
            ),
            (
                json!({ "userName": "a", "name": "Ada" }),
                Code::InvalidValue,
                "name",
            ),
            (
                json!({ "userName": "a", "emails": [[]] }),
                Code::InvalidValue,
                "emails",
            ),
            (
                json!({ "userName": "a", "emails": [
                    { "value": "a", "primary": true }, { "value": "b", "primary": true }] }),
                Code::InvalidValue,
                "emails",
            ),
            (
                json!({ "userName": "a", "urn:x": { "y": ["\u{0}"] } }),
                Code::InvalidValue,
                "y",
            ),
            (
                json!({ "userName": "a", "title": "x".repeat(TEXT_MAX + 1) }),
                Code::InvalidValue,
                "title",
            ),
        ] {
            let refusal = clean(&USER, sent.clone()).expect_err(&sent.to_string());
            assert_eq!(refusal.code, code, "{sent}");
            assert!(refusal.detail.contains(named), "{sent}: {refusal}");
        }
        assert!(
            clean(&GROUP, json!({ "members": [] })).is_err(),
            "a name has to be there"
        );
    }
}

//! Which attributes an answer has (RFC 7644, section 3.9).

use serde_json::Value;

use super::{
    AttrPath, Object,
    schema::{Attr, ResourceType, Returned},
};

/// What a client asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// These alone, and what is always told; empty for what goes by default.
    pub attributes: Vec<AttrPath>,
    /// Without these.
    pub excluded: Vec<AttrPath>,
}

impl Wanted {
    /// Reads names with commas between. Names that mean nothing are passed over.
    #[must_use]
    pub fn names(text: &str) -> Vec<AttrPath> {
        text.split(',')
            .filter_map(|name| AttrPath::parse(name.trim()).ok())
            .collect()
    }

    /// Leaves in `object` what is wanted.
    #[must_use]
    pub fn of(&self, resource: &ResourceType, object: Object) -> Object {
        object
            .into_iter()
            .filter_map(|(key, value)| {
                let value = match resource.attribute(&key) {
                    Some(attr) => self.attribute(resource.schema.id, true, attr, value),
                    None => self.extension(resource, &key, value),
                };
                Some((key, value?))
            })
            .collect()
    }

    fn extension(&self, resource: &ResourceType, urn: &str, value: Value) -> Option<Value> {
        let named = |paths: &[AttrPath]| paths.iter().any(|path| path.is_schema(urn));
        if named(&self.excluded) {
            return None;
        }
        let (Some(extension), Value::Object(members)) = (resource.extension(urn), &value) else {
            // What no schema describes is told as a whole or not at all.
            return (self.attributes.is_empty() || named(&self.attributes)).then_some(value);
        };
        let whole = named(&self.attributes);
        let kept: Object = members
            .iter()
            .filter_map(|(key, value)| {
                let attr = extension.attribute(key)?;
                let told = if whole {
                    Self::default().attribute(urn, false, attr, value.clone())
                } else {
                    self.attribute(urn, false, attr, value.clone())
                };
                Some((key.clone(), told?))
            })
            .collect();
        (!kept.is_empty()).then(|| kept.into())
    }

    /// What is told of an attribute; `core` for those that need no URN before them.
    fn attribute(&self, urn: &str, core: bool, attr: &Attr, value: Value) -> Option<Value> {
        let meant = |path: &&AttrPath| {
            let here = match &path.schema {
                None => core,
                Some(schema) => schema.eq_ignore_ascii_case(urn),
            };
            here && path
                .name
                .as_deref()
                .is_some_and(|name| name.eq_ignore_ascii_case(attr.name))
        };
        if attr.returned == Returned::Never {
            return None;
        }
        if attr.returned == Returned::Always {
            return Some(value);
        }
        let wanted: Vec<_> = self.attributes.iter().filter(meant).collect();
        let excluded: Vec<_> = self.excluded.iter().filter(meant).collect();
        if excluded.iter().any(|path| path.sub.is_none())
            || wanted.is_empty()
                && (!self.attributes.is_empty() || attr.returned == Returned::Request)
        {
            return None;
        }
        let only: Vec<&str> = wanted
            .iter()
            .filter_map(|path| path.sub.as_deref())
            .collect();
        let whole = wanted.iter().any(|path| path.sub.is_none()) || only.is_empty();
        let keep = |sub: &str| {
            let is = |name: &&str| name.eq_ignore_ascii_case(sub);
            let out = excluded
                .iter()
                .filter_map(|path| path.sub.as_deref())
                .any(|name| is(&name));
            let asked = only.iter().any(is);
            let on_request = attr
                .sub(sub)
                .is_some_and(|sub| sub.returned == Returned::Request);
            !out && (asked || whole && !on_request)
        };
        let part = |value: Value| match value {
            Value::Object(members) => {
                let kept: Object = members.into_iter().filter(|(key, _)| keep(key)).collect();
                (!kept.is_empty()).then(|| kept.into())
            }
            other => Some(other),
        };
        match value {
            Value::Array(items) => {
                let kept: Vec<_> = items.into_iter().filter_map(part).collect();
                (!kept.is_empty()).then(|| kept.into())
            }
            value => part(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::USER;

    #[test]
    fn an_answer_has_what_was_asked_for() {
        const URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let user = json!({
            "schemas": ["x"], "id": "1", "userName": "ada", "title": "T",
            "name": { "givenName": "Ada", "familyName": "L" },
            "emails": [{ "value": "a@x.example", "type": "work" }],
            URN: { "department": "Forge", "manager": { "value": "2", "displayName": "M" } },
            "urn:example:own": { "x": 1 },
        });
        let told = |attributes: &str, excluded: &str| {
            let wanted = Wanted {
                attributes: Wanted::names(attributes),
                excluded: Wanted::names(excluded),
            };
            let object = user.as_object().cloned().expect("an object");
            Value::from(wanted.of(&USER, object))
        };
        let mut whole = user.clone();
        whole[URN]["manager"] = json!({ "value": "2" });
        assert_eq!(told("", ""), whole, "a manager's name is told on request");
        assert_eq!(
            told("USERNAME, emails.value", ""),
            json!({ "schemas": ["x"], "id": "1", "userName": "ada", "emails": [{ "value": "a@x.example" }] })
        );
        assert_eq!(
            told(&format!("{URN}:manager.displayName"), ""),
            json!({ "schemas": ["x"], "id": "1", URN: { "manager": { "displayName": "M" } } })
        );
        assert_eq!(
            told(URN, ""),
            json!({ "schemas": ["x"], "id": "1", URN: { "department": "Forge", "manager": { "value": "2" } } })
        );
        let less = told(
            "",
            &format!("id,name.givenName,emails,urn:example:own,{URN}"),
        );
        assert_eq!(
            less,
            json!({ "schemas": ["x"], "id": "1", "userName": "ada", "title": "T", "name": { "familyName": "L" } }),
            "the id is always told"
        );
        assert_eq!(told("nonsense", "").as_object().map(Object::len), Some(2));
    }
}

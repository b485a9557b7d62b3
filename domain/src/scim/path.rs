//! Paths of attributes: `title`, `name.familyName`, `emails[type eq "work"].value`,
//! `urn:…:enterprise:2.0:User:manager.value`.

use super::{
    Code, Filter, Refusal, quote,
    schema::{Attr, ResourceType, Schema},
};

/// An attribute, or a part of it, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttrPath {
    /// The URN before it, as it was written.
    pub schema: Option<String>,
    /// The attribute; none for an extension as a whole.
    pub name: Option<String>,
    /// The sub-attribute.
    pub sub: Option<String>,
}

/// Most bytes of a path.
const MAX: usize = 4_096;

/// Whether a name can be one: a letter, then letters, digits, `-`, `_`; `$ref` is one too.
fn is_name(name: &str) -> bool {
    let rest = name.strip_prefix('$').unwrap_or(name);
    rest.starts_with(|c: char| c.is_ascii_alphabetic())
        && rest
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

impl AttrPath {
    /// Reads a path without a filter in it.
    ///
    /// # Errors
    /// What is no path, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let no = || format!("{} is no attribute", quote(text));
        if text.len() > MAX {
            return Err(no());
        }
        let is_urn = text
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case("urn:"));
        let (schema, rest) = if is_urn {
            let (known, rest) = split_urn(text);
            (Some(known.to_owned()), rest)
        } else {
            (None, Some(text))
        };
        let Some(rest) = rest else {
            return Ok(Self {
                schema,
                name: None,
                sub: None,
            });
        };
        let (name, sub) = match rest.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (rest, None),
        };
        if !is_name(name) || sub.is_some_and(|sub| !is_name(sub)) {
            return Err(no());
        }
        Ok(Self {
            schema,
            name: Some(name.to_owned()),
            sub: sub.map(str::to_owned),
        })
    }
}

impl AttrPath {
    /// Whether it means a schema as a whole.
    pub(super) fn is_schema(&self, urn: &str) -> bool {
        let Some(schema) = self.schema.as_deref().filter(|_| self.sub.is_none()) else {
            return false;
        };
        match &self.name {
            None => schema.eq_ignore_ascii_case(urn),
            Some(name) => format!("{schema}:{name}").eq_ignore_ascii_case(urn),
        }
    }
}

/// Parts a URN from the attribute behind it. A URN that is served is known; any
/// other is taken to end with `:User`, or else before its last part.
fn split_urn(text: &str) -> (&str, Option<&str>) {
    let known = super::TYPES
        .into_iter()
        .flat_map(|one| [Some(one.schema), one.extension])
        .flatten();
    for schema in known {
        let (urn, rest) = text.split_at(schema.id.len().min(text.len()));
        if urn.eq_ignore_ascii_case(schema.id) {
            if rest.is_empty() {
                return (urn, None);
            }
            if let Some(rest) = rest.strip_prefix(':') {
                return (urn, Some(rest));
            }
        }
    }
    for end in [":User", ":Group"] {
        if text.ends_with(end) {
            return (text, None);
        }
        if let Some(at) = text.rfind(&format!("{end}:")) {
            return (&text[..at + end.len()], Some(&text[at + end.len() + 1..]));
        }
    }
    match text.rsplit_once(':') {
        Some((urn, rest)) => (urn, Some(rest)),
        None => (text, None),
    }
}

/// What the path of a PATCH operation means.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// Everything of an extension.
    Extension(&'static Schema),
    /// An extension that is not served, or an attribute of it: kept as it comes.
    Foreign { urn: String, name: Option<String> },
    /// An attribute.
    Attribute {
        extension: Option<&'static Schema>,
        attr: &'static Attr,
        filter: Option<Filter>,
        sub: Option<&'static Attr>,
    },
}

impl Target {
    /// Reads the path of a PATCH operation (RFC 7644, section 3.5.2).
    pub(super) fn parse(resource: &ResourceType, text: &str) -> Result<Self, Refusal> {
        let bad = |what: String| Refusal::new(Code::InvalidPath, what);
        let text = text.trim();
        if text.len() > MAX {
            return Err(bad(format!("a path has at most {MAX} bytes")));
        }
        let (before, filter, after) = match text.find('[') {
            None => (text, None, None),
            Some(open) => {
                let close = text
                    .rfind(']')
                    .filter(|close| *close > open)
                    .ok_or_else(|| bad(format!("{} lacks a ]", quote(text))))?;
                let filter =
                    Filter::parse(&text[open + 1..close]).map_err(|refusal| bad(refusal.detail))?;
                let after = match &text[close + 1..] {
                    "" => None,
                    rest => Some(
                        rest.strip_prefix('.')
                            .ok_or_else(|| bad(format!("{} is no path", quote(text))))?,
                    ),
                };
                (&text[..open], Some(filter), after)
            }
        };
        let path = AttrPath::parse(before).map_err(bad)?;
        let unknown = || bad(format!("there is no attribute {}", quote(text)));
        let extension = match &path.schema {
            None => None,
            Some(urn) if urn.eq_ignore_ascii_case(resource.schema.id) => None,
            Some(urn) => match resource.extension(urn) {
                Some(extension) => Some(extension),
                None if filter.is_none() && path.sub.is_none() => {
                    return Ok(Self::Foreign {
                        urn: urn.clone(),
                        name: path.name,
                    });
                }
                None => return Err(unknown()),
            },
        };
        let Some(name) = &path.name else {
            return extension.map(Self::Extension).ok_or_else(unknown);
        };
        let attr = match extension {
            Some(extension) => extension.attribute(name),
            None => resource.attribute(name),
        };
        let attr = attr.ok_or_else(unknown)?;
        let sub = match (path.sub.as_deref(), after) {
            (None, None) => None,
            (Some(sub), None) | (None, Some(sub)) => Some(attr.sub(sub).ok_or_else(unknown)?),
            (Some(_), Some(_)) => return Err(unknown()),
        };
        if filter.is_some() && (!attr.multi || attr.subs.is_empty()) {
            return Err(bad(format!("{} has no values to choose from", attr.name)));
        }
        Ok(Self::Attribute {
            extension,
            attr,
            filter,
            sub,
        })
    }
}

//! Filters (RFC 7644, section 3.4.2.2): read once, then asked of each resource.
//!
//! An attribute that a resource does not have matches nothing, so `ne` and `not`
//! match it. Of an attribute with several values, one that matches is enough,
//! and `ne` is the contrary of `eq`.

use std::cmp::Ordering;

use chrono::DateTime;
use serde_json::Value;

use super::{
    AttrPath, Object, Refusal, is_nothing, member, quote,
    schema::{Attr, Kind, ResourceType},
};

/// Most bytes of a filter.
const MAX: usize = 4_096;
/// How deep brackets may stand in each other.
const DEPTH: usize = 30;

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// The same.
    Eq,
    /// Not the same.
    Ne,
    /// Has it within.
    Co,
    /// Begins with it.
    Sw,
    /// Ends with it.
    Ew,
    /// Greater.
    Gt,
    /// Greater or the same.
    Ge,
    /// Less.
    Lt,
    /// Less or the same.
    Le,
}

/// What an attribute is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// A text.
    Text(String),
    /// True or false.
    Flag(bool),
    /// A number.
    Number(f64),
    /// Nothing.
    Null,
}

/// A filter.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// One of them or both.
    Or(Box<Filter>, Box<Filter>),
    /// The contrary.
    Not(Box<Filter>),
    /// A comparison.
    Compare(AttrPath, Operator, Literal),
    /// There is a value.
    Present(AttrPath),
    /// One of the values has all this.
    Within(AttrPath, Box<Filter>),
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next character that is no white space.
    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self.rest().chars().next()
    }

    fn expected(&mut self, what: &str) -> Refusal {
        self.peek();
        let at = self.text[..self.at].chars().count() + 1;
        Refusal::filter(match self.rest() {
            "" => format!("the filter ends where {what} was expected"),
            rest => format!("{what} was expected at character {at}, at {}", quote(rest)),
        })
    }

    fn take(&mut self, c: char) -> bool {
        let there = self.peek() == Some(c);
        if there {
            self.at += c.len_utf8();
        }
        there
    }

    /// The next word, if it is this one in any case.
    fn word(&mut self, word: &str) -> bool {
        self.peek();
        let rest = self.rest();
        let there = rest
            .get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
            && !rest[word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '.');
        if there {
            self.at += word.len();
        }
        there
    }

    /// A run of characters that names and numbers are made of.
    fn run(&mut self) -> &'a str {
        self.peek();
        let rest = self.rest();
        let end = rest
            .find(|c: char| {
                !(c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_' | '$' | '+'))
            })
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn either(&mut self, depth: usize) -> Result<Filter, Refusal> {
        let mut filter = self.both(depth)?;
        while self.word("or") {
            filter = Filter::Or(Box::new(filter), Box::new(self.both(depth)?));
        }
        Ok(filter)
    }

    fn both(&mut self, depth: usize) -> Result<Filter, Refusal> {
        let mut filter = self.one(depth)?;
        while self.word("and") {
            filter = Filter::And(Box::new(filter), Box::new(self.one(depth)?));
        }
        Ok(filter)
    }

    fn one(&mut self, depth: usize) -> Result<Filter, Refusal> {
        if depth > DEPTH {
            return Err(Refusal::filter(format!(
                "brackets stand at most {DEPTH} deep"
            )));
        }
        let start = self.at;
        if self.word("not") {
            if self.take('(') {
                let inner = self.either(depth + 1)?;
                return self.close(')', Filter::Not(Box::new(inner)));
            }
            // An attribute of this name.
            self.at = start;
        }
        if self.take('(') {
            let inner = self.either(depth + 1)?;
            return self.close(')', inner);
        }
        let begun = self.at;
        let name = self.run();
        let path = AttrPath::parse(name)
            .ok()
            .filter(|path| path.name.is_some())
            .ok_or_else(|| {
                self.at = begun;
                self.expected("an attribute")
            })?;
        if self.take('[') {
            let inner = self.either(depth + 1)?;
            return self.close(']', Filter::Within(path, Box::new(inner)));
        }
        if self.word("pr") {
            return Ok(Filter::Present(path));
        }
        let operators = [
            ("eq", Operator::Eq),
            ("ne", Operator::Ne),
            ("co", Operator::Co),
            ("sw", Operator::Sw),
            ("ew", Operator::Ew),
            ("gt", Operator::Gt),
            ("ge", Operator::Ge),
            ("lt", Operator::Lt),
            ("le", Operator::Le),
        ];
        let Some((_, operator)) = operators.into_iter().find(|(word, _)| self.word(word)) else {
            return Err(self.expected("pr, eq, ne, co, sw, ew, gt, ge, lt or le"));
        };
        let literal = self.literal()?;
        let fits = match literal {
            Literal::Text(_) => true,
            Literal::Number(_) => !matches!(operator, Operator::Co | Operator::Sw | Operator::Ew),
            Literal::Flag(_) | Literal::Null => matches!(operator, Operator::Eq | Operator::Ne),
        };
        if !fits {
            return Err(Refusal::filter(format!(
                "{name} cannot be compared so with what is no text"
            )));
        }
        Ok(Filter::Compare(path, operator, literal))
    }

    fn close(&mut self, c: char, filter: Filter) -> Result<Filter, Refusal> {
        if self.take(c) {
            Ok(filter)
        } else {
            Err(self.expected(&format!("and, or, {c}")))
        }
    }

    fn literal(&mut self) -> Result<Literal, Refusal> {
        if self.peek() == Some('"') {
            let mut values = serde_json::Deserializer::from_str(self.rest()).into_iter::<String>();
            let Some(Ok(text)) = values.next() else {
                return Err(self.expected("a text in quotation marks"));
            };
            self.at += values.byte_offset();
            return Ok(Literal::Text(text));
        }
        let start = self.at;
        match self.run() {
            "" => Err(self.expected("a value")),
            run if run.eq_ignore_ascii_case("true") => Ok(Literal::Flag(true)),
            run if run.eq_ignore_ascii_case("false") => Ok(Literal::Flag(false)),
            run if run.eq_ignore_ascii_case("null") => Ok(Literal::Null),
            run => match serde_json::from_str::<f64>(run) {
                Ok(number) => Ok(Literal::Number(number)),
                Err(_) => {
                    self.at = start;
                    Err(self.expected("a text in quotation marks, a number, true, false or null"))
                }
            },
        }
    }
}

/// Where the names of a filter mean something.
#[derive(Clone, Copy)]
enum Scope<'a> {
    Resource(&'static ResourceType),
    Values(&'a [Attr]),
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// [`super::Code::InvalidFilter`] with what was expected where.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > MAX {
            return Err(Refusal::filter(format!("a filter has at most {MAX} bytes")));
        }
        let mut parser = Parser { text, at: 0 };
        let filter = parser.either(0)?;
        match parser.peek() {
            None => Ok(filter),
            Some(_) => Err(parser.expected("the end, and, or")),
        }
    }

    /// Whether it matches a resource.
    #[must_use]
    pub fn matches(&self, resource: &'static ResourceType, object: &Object) -> bool {
        self.within(Scope::Resource(resource), object)
    }

    /// Whether it matches one of the values of an attribute.
    pub(super) fn matches_value(&self, attr: &Attr, value: &Value) -> bool {
        value
            .as_object()
            .is_some_and(|object| self.within(Scope::Values(attr.subs), object))
    }

    /// The attribute and the text, if all it says is that the one equals the other.
    #[must_use]
    pub fn as_equality(&self) -> Option<(&AttrPath, &str)> {
        match self {
            Self::Compare(path, Operator::Eq, Literal::Text(text)) => Some((path, text)),
            _ => None,
        }
    }

    /// What a value would have to hold to match, where that is certain.
    pub(super) fn implied(&self, attr: &Attr) -> Option<Object> {
        match self {
            Self::Compare(path, Operator::Eq, literal) if path.sub.is_none() => {
                let sub = attr.sub(path.name.as_deref()?)?;
                let value = match literal {
                    Literal::Text(text) => Value::from(text.as_str()),
                    Literal::Flag(flag) => Value::from(*flag),
                    Literal::Number(_) | Literal::Null => return None,
                };
                Some(Object::from_iter([(sub.name.to_owned(), value)]))
            }
            Self::And(a, b) => {
                let mut both = a.implied(attr)?;
                both.extend(b.implied(attr)?);
                Some(both)
            }
            _ => None,
        }
    }

    fn within(&self, scope: Scope<'_>, object: &Object) -> bool {
        match self {
            Self::And(a, b) => a.within(scope, object) && b.within(scope, object),
            Self::Or(a, b) => a.within(scope, object) || b.within(scope, object),
            Self::Not(inner) => !inner.within(scope, object),
            Self::Present(path) => {
                let (values, _) = look(scope, object, path);
                values.into_iter().any(|value| !is_nothing(value))
            }
            Self::Within(path, inner) => {
                let (values, attr) = look(scope, object, path);
                let subs = attr.map_or(&[][..], |attr| attr.subs);
                values
                    .into_iter()
                    .filter_map(Value::as_object)
                    .any(|value| inner.within(Scope::Values(subs), value))
            }
            Self::Compare(path, Operator::Ne, literal) => {
                !compared(scope, object, path, Operator::Eq, literal)
            }
            Self::Compare(path, operator, literal) => {
                compared(scope, object, path, *operator, literal)
            }
        }
    }
}

/// The values that a path leads to, and what the schema says of them.
fn look<'a>(
    scope: Scope<'_>,
    object: &'a Object,
    path: &AttrPath,
) -> (Vec<&'a Value>, Option<Attr>) {
    let none = (Vec::new(), None);
    let Some(name) = path.name.as_deref() else {
        return none;
    };
    let (object, attr) = match scope {
        Scope::Values(subs) => (
            Some(object),
            subs.iter().find(|one| one.name.eq_ignore_ascii_case(name)),
        ),
        Scope::Resource(resource) => match &path.schema {
            Some(urn) if !urn.eq_ignore_ascii_case(resource.schema.id) => (
                member(object, urn).and_then(Value::as_object),
                resource
                    .extension(urn)
                    .and_then(|schema| schema.attribute(name)),
            ),
            _ => (Some(object), resource.attribute(name)),
        },
    };
    let Some(value) = object.and_then(|object| member(object, name)) else {
        return none;
    };
    let values: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    };
    match path.sub.as_deref() {
        None => (values, attr.copied()),
        Some(sub) => (
            values
                .into_iter()
                .filter_map(|value| member(value.as_object()?, sub))
                .collect(),
            attr.and_then(|attr| attr.sub(sub)).copied(),
        ),
    }
}

fn compared(
    scope: Scope<'_>,
    object: &Object,
    path: &AttrPath,
    operator: Operator,
    literal: &Literal,
) -> bool {
    let (values, attr) = look(scope, object, path);
    if *literal == Literal::Null {
        return values.into_iter().all(is_nothing);
    }
    values.into_iter().any(|value| {
        // `emails co "x"` is about the value of each mail address.
        let (value, attr) = match value {
            Value::Object(object) => match member(object, "value") {
                Some(inner) => (inner, attr.and_then(|attr| attr.sub("value").copied())),
                None => return false,
            },
            value => (value, attr),
        };
        satisfies(value, attr.as_ref(), operator, literal)
    })
}

fn satisfies(value: &Value, attr: Option<&Attr>, operator: Operator, literal: &Literal) -> bool {
    match (value, literal) {
        (Value::Bool(is), Literal::Flag(wanted)) => is == wanted,
        (Value::Bool(is), Literal::Text(wanted)) => wanted.eq_ignore_ascii_case(&is.to_string()),
        (Value::Number(is), Literal::Number(wanted)) => is
            .as_f64()
            .and_then(|is| is.partial_cmp(wanted))
            .is_some_and(|order| ordered(order, operator)),
        (Value::String(is), Literal::Text(wanted)) => {
            if attr.is_some_and(|attr| attr.kind == Kind::DateTime)
                && let (Ok(is), Ok(wanted)) = (
                    DateTime::parse_from_rfc3339(is),
                    DateTime::parse_from_rfc3339(wanted),
                )
            {
                return ordered(is.cmp(&wanted), operator);
            }
            if attr.is_some_and(|attr| attr.exact) {
                spelled(is, wanted, operator)
            } else {
                spelled(&is.to_lowercase(), &wanted.to_lowercase(), operator)
            }
        }
        _ => false,
    }
}

fn spelled(is: &str, wanted: &str, operator: Operator) -> bool {
    match operator {
        Operator::Co => is.contains(wanted),
        Operator::Sw => is.starts_with(wanted),
        Operator::Ew => is.ends_with(wanted),
        _ => ordered(is.cmp(wanted), operator),
    }
}

const fn ordered(order: Ordering, operator: Operator) -> bool {
    match operator {
        Operator::Eq => order.is_eq(),
        Operator::Ne => order.is_ne(),
        Operator::Gt => order.is_gt(),
        Operator::Ge => order.is_ge(),
        Operator::Lt => order.is_lt(),
        Operator::Le => order.is_le(),
        Operator::Co | Operator::Sw | Operator::Ew => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::scim::USER;

    fn grace() -> Object {
        let grace = json!({
            "id": "0190", "userName": "Grace@northwind.example", "active": true,
            "name": { "familyName": "Hopper", "givenName": "Grace" },
            "title": "Rear Admiral",
            "emails": [
                { "value": "grace@northwind.example", "type": "work", "primary": true },
                { "value": "gh@home.example", "type": "home" },
            ],
            "meta": { "resourceType": "User", "lastModified": "2026-11-21T10:00:00Z" },
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
                "employeeNumber": "1906", "manager": { "value": "0191" }
            },
        });
        grace.as_object().cloned().expect("an object")
    }

    #[test]
    fn filters_of_the_rfc_match_as_it_says() {
        let grace = grace();
        let answers = |filter: &str| {
            Filter::parse(filter)
                .unwrap_or_else(|refusal| panic!("{filter}: {refusal}"))
                .matches(&USER, &grace)
        };
        for yes in [
            r#"userName eq "grace@NORTHWIND.example""#,
            r#"USERNAME Eq "grace@northwind.example""#,
            r#"name.familyName co "opp""#,
            r#"userName sw "gr""#,
            r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "G""#,
            "title pr",
            r#"meta.lastModified gt "2026-11-21T10:00:00+02:00""#,
            r#"meta.lastModified le "2026-11-21T11:00:00+01:00""#,
            r#"title pr and userType eq "Employee" or active eq true"#,
            r#"title pr and (userType pr or active eq "True")"#,
            r#"userType ne "Employee" and not (emails co "example.com")"#,
            r#"emails[type eq "work" and value co "@northwind"]"#,
            r#"emails.type eq "HOME""#,
            r#"emails co "home.example""#,
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "0191""#,
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:user:employeeNumber eq "1906""#,
            "nickName eq null",
            r#"not(userType pr)"#,
            r#"title eq "Rear\u0020Admiral""#,
        ] {
            assert!(answers(yes), "{yes}");
        }
        for no in [
            r#"id eq "0190A""#,
            r#"emails[type eq "home" and value co "@northwind"]"#,
            "nickName pr",
            r#"nickName eq "Amazing""#,
            "active eq false",
            r#"userType eq "Employee" and title pr"#,
            r#"active eq true and (userType pr or nickName pr)"#,
            r#"name eq "Grace""#,
        ] {
            assert!(!answers(no), "{no}");
        }
        let id = Filter::parse(r#"ID eq "0190""#).expect("a filter");
        assert!(id.matches(&USER, &grace));
    }

    #[test]
    fn what_is_no_filter_is_refused_with_its_place() {
        let refused = |filter: &str| Filter::parse(filter).expect_err(filter).detail;
        assert_eq!(
            refused("userName"),
            "the filter ends where pr, eq, ne, co, sw, ew, gt, ge, lt or le was expected"
        );
        assert_eq!(
            refused(r#"userName eq "a" xor title pr"#),
            "the end, and, or was expected at character 17, at “xor title pr”"
        );
        for bad in [
            "",
            "()",
            "userName eq",
            "userName eq bjensen",
            r#"userName eq "a"#,
            r#"userName is "a""#,
            "active gt true",
            "(title pr",
            "emails[type pr",
            "title pr)",
            r#"1title eq "x""#,
            r#"title eq "x" and"#,
            r#"a.b.c eq "x""#,
            "not title pr",
        ] {
            refused(bad);
        }
        refused(&"(".repeat(DEPTH + 2));
        refused(&format!("{} pr", "a".repeat(MAX)));
    }

    fn any_filter() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[a-zA-Z]{1,6} (eq|ne|co|sw|ew|gt|ge|lt|le) \"[a-z]{0,4}\"",
            "[a-zA-Z]{1,6} pr",
            "(userName|emails[.]type|name[.]givenName) eq \"[a-z]{0,3}\"",
        ];
        leaf.prop_recursive(4, 16, 2, |inner| {
            prop_oneof![
                (inner.clone(), "(and|or|AND)", inner.clone())
                    .prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
                inner.clone().prop_map(|one| format!("not ({one})")),
                inner.prop_map(|one| format!("( {one} )")),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            drop(Filter::parse(&text));
        }

        #[test]
        fn no_text_of_its_own_letters_makes_the_parser_panic(text in r#"[a-c()\[\]".:$ eqnotprd0-9\\]{0,40}"#) {
            if let Ok(filter) = Filter::parse(&text) {
                let contrary = Filter::Not(Box::new(filter.clone()));
                prop_assert_ne!(filter.matches(&USER, &grace()), contrary.matches(&USER, &grace()));
            }
        }

        #[test]
        fn the_contrary_is_the_contrary(text in any_filter()) {
            let grace = grace();
            let is = Filter::parse(&text).expect("a filter").matches(&USER, &grace);
            let not = Filter::parse(&format!("not ({text})")).expect("a filter");
            prop_assert_ne!(is, not.matches(&USER, &grace));
        }

        #[test]
        fn and_binds_more_than_or(a in any_filter(), b in any_filter(), c in any_filter()) {
            // Brackets around each keep their own words apart.
            let (a, b, c) = (format!("({a})"), format!("({b})"), format!("({c})"));
            let parse = |text: String| Filter::parse(&text).expect("a filter");
            prop_assert_eq!(
                parse(format!("{a} or {b} and {c}")),
                parse(format!("{a} or ({b} and {c})"))
            );
            prop_assert_eq!(
                parse(format!("{a} and {b} or {c}")),
                parse(format!("({a} and {b}) or {c}"))
            );
        }
    }
}

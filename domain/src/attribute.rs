//! The catalogue of what a profile holds, named after SCIM 2.0 (RFC 7643).

use std::{collections::HashSet, fmt, str::FromStr};

use chrono::NaiveDate;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
};

use crate::{Violation, text};

/// A value of an attribute, as it stands in JSON: a text, a list of texts, or true/false.
///
/// Dates are texts of the form `2019-05-13`; a person is their [`crate::EmployeeId`]
/// as text; a photo is the SHA-256 of its re-encoded bytes in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// True or false.
    Flag(bool),
    /// One text.
    Text(String),
    /// Several texts in the order given.
    List(Vec<String>),
}

impl Value {
    /// Whether there is nothing in it: `""` or `[]`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Flag(_) => false,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// By hand: the derived one tries kind after kind, and makes and drops an error
/// for each text, of which a company has millions.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a list of texts, or true or false")
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
                Ok(Value::Flag(flag))
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Value, E> {
                Ok(Value::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Value::List(list))
            }
        }
        from.deserialize_any(Any)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Self::Text(text) => f.write_str(text),
            Self::List(items) => f.write_str(&items.join(", ")),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Who may see an attribute when the organization says nothing else.
///
/// Each includes the person, their superiors and HR, but for
/// [`Audience::HrAndSelf`], which superiors are outside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Everyone who can sign in.
    Everyone,
    /// The people of the same unit.
    OwnUnit,
    /// The chain of command above.
    Chain,
    /// The person and HR alone.
    HrAndSelf,
}

/// The form of an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One line of at most so many characters.
    Line(usize),
    /// Several lines of at most so many characters.
    Prose(usize),
    /// A calendar date, `2019-05-13`.
    Date,
    /// A mail address (RFC 5321 in its plain form).
    Email,
    /// A telephone number in international form, `+44 7700 900418`.
    Phone,
    /// A language tag (BCP 47), `en-GB`.
    Locale,
    /// A zone of the IANA database by name, `Europe/Oslo`.
    TimeZone,
    /// At most so many texts of at most so many characters each.
    List(usize, usize),
    /// True or false.
    Flag,
    /// A person, by [`crate::EmployeeId`].
    Person,
    /// A photo, by the hash of its bytes.
    Photo,
}

/// Where on a profile an attribute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// What the organization says of the person.
    Work,
    /// Names, numbers, places.
    Reach,
    /// What the person says of themselves.
    About,
    /// What the person and HR alone see.
    Private,
}

/// What the catalogue says about an attribute.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// SCIM name (RFC 7643 core and enterprise user, else our own in the same spelling).
    pub name: &'static str,
    /// Form and limits of the value.
    pub kind: Kind,
    /// Who sees it by default.
    pub audience: Audience,
    /// Whether a person may hold an own value at all.
    pub editable: bool,
    /// Where it stands on a profile.
    pub group: Group,
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $variant:ident $name:literal $kind:expr, $audience:ident, $editable:literal, $group:ident;)+) => {
        /// An attribute of a person.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Attribute { $($(#[$doc])* $variant,)+ }

        impl Attribute {
            /// Every attribute, in the order of a profile.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// What the catalogue says.
            #[must_use]
            pub const fn spec(self) -> Spec {
                match self {
                    $(Self::$variant => Spec { name: $name, kind: $kind, audience: Audience::$audience, editable: $editable, group: Group::$group },)+
                }
            }
        }

        impl FromStr for Attribute {
            type Err = Violation;
            fn from_str(name: &str) -> Result<Self, Violation> {
                match name {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(Violation::Unknown {
                        field: "attribute".into(),
                        value: name.chars().take(64).collect(),
                        allowed: concat!($($name, " "),+).trim_end().into(),
                    }),
                }
            }
        }
    };
}

catalogue! {
    /// The name by which a person is known to others.
    DisplayName "displayName" Kind::Line(120), Everyone, true, Reach;
    /// Given name.
    GivenName "name.givenName" Kind::Line(80), Everyone, true, Reach;
    /// Family name.
    FamilyName "name.familyName" Kind::Line(80), Everyone, true, Reach;
    /// What friends call the person.
    NickName "nickName" Kind::Line(60), Everyone, true, Reach;
    /// Pronouns, in the person's own words.
    Pronouns "pronouns" Kind::Line(40), Everyone, true, About;
    /// Job title.
    Title "title" Kind::Line(120), Everyone, true, Work;
    /// Number in the ERP.
    EmployeeNumber "employeeNumber" Kind::Line(40), Everyone, false, Work;
    /// Unit, by name.
    Department "department" Kind::Line(120), Everyone, false, Work;
    /// Division, by name.
    Division "division" Kind::Line(120), Everyone, false, Work;
    /// Cost centre.
    CostCenter "costCenter" Kind::Line(60), Chain, false, Work;
    /// The superior.
    Manager "manager" Kind::Person, Everyone, false, Work;
    /// First day at work.
    StartDate "startDate" Kind::Date, Everyone, false, Work;
    /// Last day at work, once it is known.
    EndDate "endDate" Kind::Date, Chain, false, Work;
    /// Place of work.
    Location "location" Kind::Line(120), Everyone, true, Reach;
    /// Mail address at work.
    Emails "emails" Kind::Email, Everyone, true, Reach;
    /// Desk telephone.
    PhoneNumbers "phoneNumbers" Kind::Phone, Everyone, true, Reach;
    /// Mobile telephone.
    Mobile "phoneNumbers.mobile" Kind::Phone, OwnUnit, true, Reach;
    /// Portrait.
    Photos "photos" Kind::Photo, Everyone, true, About;
    /// Language and region for dates, numbers and money.
    Locale "locale" Kind::Locale, Everyone, true, Reach;
    /// Time zone.
    Timezone "timezone" Kind::TimeZone, Everyone, true, Reach;
    /// Languages spoken.
    Languages "languages" Kind::List(20, 60), Everyone, true, Reach;
    /// What a person is good at.
    Skills "skills" Kind::List(40, 60), Everyone, true, About;
    /// A few sentences in the person's own words.
    About "about" Kind::Prose(2000), Everyone, true, About;
    /// Date of birth.
    BirthDate "birthDate" Kind::Date, HrAndSelf, true, Private;
    /// Whether the person works here now.
    Active "active" Kind::Flag, Everyone, false, Work;
}

impl Attribute {
    /// The SCIM name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// Cleans `value` and checks it against the catalogue; what comes out, checked
    /// again, stays as it is. Empty values are allowed here: emptiness is a matter
    /// of sourcing. A list may come as one text with commas, semicolons or line
    /// ends between; empty and repeated items are dropped.
    ///
    /// # Errors
    /// A [`Violation`] whose field is the SCIM name.
    pub fn check(self, value: Value) -> Result<Value, Violation> {
        let name = self.name();
        let bad = |expected: &str| Violation::BadFormat {
            field: name.into(),
            expected: expected.into(),
        };
        match (self.spec().kind, value) {
            (Kind::Flag, Value::Flag(flag)) => Ok(Value::Flag(flag)),
            (Kind::Flag, _) => Err(bad("true or false")),
            (Kind::List(max, chars), Value::List(list)) => {
                let mut seen = HashSet::new();
                let mut clean = Vec::new();
                for item in list {
                    let item = text::line(name, &item, chars)?;
                    if !item.is_empty() && seen.insert(item.clone()) {
                        clean.push(item);
                    }
                }
                match clean.len() {
                    got if got > max => Err(Violation::TooLong {
                        field: name.into(),
                        max,
                        got,
                    }),
                    _ => Ok(Value::List(clean)),
                }
            }
            (Kind::List(..), Value::Text(text)) => self.check(Value::List(
                text.split([',', ';', '\n']).map(str::to_owned).collect(),
            )),
            (Kind::Prose(max), Value::Text(text)) => text::prose(name, &text, max).map(Value::Text),
            (kind, Value::Text(text)) => {
                let max = if let Kind::Line(max) = kind { max } else { 254 };
                let text = text::line(name, &text, max)?;
                if text.is_empty() {
                    return Ok(Value::Text(text));
                }
                let ok = match kind {
                    Kind::Date => is_date(&text),
                    Kind::Email => is_email(&text),
                    Kind::Phone => is_phone(&text),
                    Kind::Locale => is_locale(&text),
                    Kind::TimeZone => is_zone(&text),
                    Kind::Person => text.parse::<crate::EmployeeId>().is_ok(),
                    Kind::Photo => {
                        text.len() == 64
                            && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                    }
                    _ => true,
                };
                if ok {
                    Ok(Value::Text(text))
                } else {
                    Err(bad(expected(kind)))
                }
            }
            (_, Value::List(_) | Value::Flag(_)) => Err(bad("text")),
        }
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Date => "date",
        Kind::Email => "email",
        Kind::Phone => "phone",
        Kind::Locale => "locale",
        Kind::TimeZone => "timezone",
        Kind::Person => "person",
        Kind::Photo => "photo",
        _ => "text",
    }
}

/// The one way to write a date, so that equal dates are equal texts. Years
/// outside 1900 … 2200 are typing errors or an ERP's way to say "none".
fn is_date(text: &str) -> bool {
    use chrono::Datelike as _;
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .is_ok_and(|date| (1900..=2200).contains(&date.year()) && date.to_string() == text)
}

/// A dot-string before the `@` and a host of at least two labels after it, in any script.
fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else {
        return false;
    };
    let is_word = |word: &str| {
        !word.is_empty()
            && !word.contains([
                ' ', '"', '(', ')', ',', ':', ';', '<', '>', '@', '[', ']', '\\',
            ])
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    local.len() <= 64
        && local.split('.').all(is_word)
        && host.contains('.')
        && host.split('.').all(is_label)
}

/// E.164 allows 15 digits; the shortest in use has 7 with its country.
fn is_phone(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    text.starts_with('+')
        && (7..=15).contains(&digits)
        && text
            .chars()
            .skip(1)
            .all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '(' | ')' | '.'))
}

fn is_locale(text: &str) -> bool {
    let mut parts = text.split('-');
    parts.next().is_some_and(|lang| {
        (2..=3).contains(&lang.len()) && lang.bytes().all(|b| b.is_ascii_lowercase())
    }) && parts.all(|part| {
        (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

/// The form `Area/Place` or `UTC`; whether the zone exists is the reader's to find.
fn is_zone(text: &str) -> bool {
    text == "UTC"
        || (text.contains('/')
            && text.split('/').all(|part| {
                !part.is_empty()
                    && part
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+'))
            }))
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Attribute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        name.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for attribute in Attribute::ALL {
            assert_eq!(attribute.name().parse(), Ok(*attribute));
            let json = serde_json::to_string(attribute).expect("a name");
            assert_eq!(
                serde_json::from_str::<Attribute>(&json).expect("its attribute"),
                *attribute
            );
        }
        assert!(matches!(
            "salary".parse::<Attribute>(),
            Err(Violation::Unknown { .. })
        ));
    }

    #[test]
    fn values_are_held_to_their_form() {
        let bad = |attribute: Attribute, value: &str| attribute.check(value.into()).is_err();
        assert!(bad(Attribute::StartDate, "13.05.2019"));
        assert!(bad(Attribute::StartDate, "2019-02-30"));
        assert!(bad(Attribute::StartDate, "0001-01-01"));
        assert!(bad(Attribute::Emails, "grace"));
        assert!(bad(Attribute::Emails, "grace@localhost"));
        assert!(bad(Attribute::Mobile, "07700 900"));
        assert!(bad(Attribute::Timezone, "Mars"));
        assert!(bad(Attribute::Locale, "english"));
        assert!(bad(Attribute::Title, &"x".repeat(121)));
        assert_eq!(
            Attribute::Mobile.check("+44 7700 900418".into()),
            Ok("+44 7700 900418".into())
        );
        assert_eq!(
            Attribute::StartDate.check("2019-05-13".into()),
            Ok("2019-05-13".into())
        );
        assert_eq!(Attribute::Emails.check("".into()), Ok("".into()));
        assert_eq!(
            Attribute::Languages.check("English, French , English".into()),
            Ok(Value::List(vec!["English".into(), "French".into()]))
        );
    }

    #[test]
    fn each_kind_takes_what_is_right_and_names_what_it_expects() {
        use Attribute::*;
        let good = [
            (StartDate, "1900-01-01"),
            (BirthDate, "2000-02-29"),
            (Emails, "grace.whitfield+press@northwind-forge.co.uk"),
            (Emails, "zoë@bücher.example"),
            (PhoneNumbers, "+47 55 90 04 18"),
            (PhoneNumbers, "+1 (415) 555-0100"),
            (Locale, "en-GB"),
            (Locale, "zh-Hant-TW"),
            (Timezone, "Europe/Oslo"),
            (Timezone, "America/Argentina/Buenos_Aires"),
            (Timezone, "Etc/GMT+1"),
            (Timezone, "UTC"),
            (Manager, "01980000-0000-7000-8000-000000000001"),
            (Title, "مدير 🙂"),
        ];
        for (attribute, text) in good {
            assert_eq!(attribute.check(text.into()), Ok(text.into()), "{attribute}");
        }
        let bad = [
            (StartDate, "2019-5-13", "date"),
            (StartDate, "+2019-05-13", "date"),
            (StartDate, "2019-05-13T00:00:00Z", "date"),
            (BirthDate, "1899-12-31", "date"),
            (BirthDate, "2201-01-01", "date"),
            (Emails, "grace@@northwind.example", "email"),
            (Emails, ".grace@northwind.example", "email"),
            (Emails, "grace@-northwind.example", "email"),
            (Emails, "grace@northwind.example.", "email"),
            (Emails, "Grace <grace@northwind.example>", "email"),
            (Emails, "a@b.example, c@d.example", "email"),
            (Mobile, "+44 7700", "phone"),
            (Mobile, "+44 7700 900418 ext 5", "phone"),
            (Mobile, "+1234567890123456", "phone"),
            (Locale, "EN-gb", "locale"),
            (Locale, "en_GB", "locale"),
            (Timezone, "Europe//Oslo", "timezone"),
            (Timezone, "Europe/Os lo", "timezone"),
            (Manager, "Grace Whitfield", "person"),
            (Photos, "../../etc/passwd", "photo"),
        ];
        for (attribute, text, expected) in bad {
            let violation = Violation::BadFormat {
                field: attribute.name().into(),
                expected: expected.into(),
            };
            assert_eq!(attribute.check(text.into()), Err(violation), "{text}");
        }
        assert!(Photos.check("ab".repeat(32).into()).is_ok());
        assert!(Photos.check("AB".repeat(32).into()).is_err());
    }

    #[test]
    fn a_value_of_another_shape_is_refused() {
        let shape = |attribute: Attribute, value, expected: &str| {
            let violation = Violation::BadFormat {
                field: attribute.name().into(),
                expected: expected.into(),
            };
            assert_eq!(attribute.check(value), Err(violation));
        };
        shape(Attribute::Active, "yes".into(), "true or false");
        shape(Attribute::Title, Value::Flag(true), "text");
        shape(Attribute::About, Value::List(vec![]), "text");
        shape(Attribute::Skills, Value::Flag(false), "text");
        assert_eq!(
            Attribute::Active.check(Value::Flag(false)),
            Ok(Value::Flag(false))
        );
    }

    #[test]
    fn the_limit_of_a_list_is_on_what_is_left_of_it() {
        let items = |n: usize| Value::List((0..n).map(|i| format!("s{i}")).collect());
        assert_eq!(Attribute::Languages.check(items(20)), Ok(items(20)));
        assert_eq!(
            Attribute::Languages.check(items(21)),
            Err(Violation::TooLong {
                field: "languages".into(),
                max: 20,
                got: 21
            })
        );
        let repeated = Value::List(vec!["English".into(); 100]);
        assert_eq!(
            Attribute::Languages.check(repeated),
            Ok(Value::List(vec!["English".into()]))
        );
        assert_eq!(
            Attribute::Languages.check("\n;,".into()),
            Ok(Value::List(vec![]))
        );
        let long = Value::List(vec!["x".repeat(61)]);
        assert!(matches!(
            Attribute::Languages.check(long),
            Err(Violation::TooLong {
                max: 60,
                got: 61,
                ..
            })
        ));
    }

    proptest! {
        #[test]
        fn checking_twice_is_checking_once(
            attribute in proptest::sample::select(Attribute::ALL),
            text in prop_oneof![any::<String>(), "[0-9a-zA-Z@.+/, :-]{0,20}", "[0-9]{4}-[0-9]{2}-[0-9]{2}"],
            list in proptest::collection::vec("[a-c,\u{301} ]{0,4}", 0..5),
        ) {
            for value in [Value::Text(text), Value::List(list), Value::Flag(true)] {
                if let Ok(once) = attribute.check(value) {
                    prop_assert_eq!(attribute.check(once.clone()), Ok(once));
                }
            }
        }
    }
}

//! What a pushed user says about a person.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Object, USER, quote};
use crate::{
    Attribute,
    attribute::Kind,
    erp::{Fault, Worker},
    text,
};

/// Most characters of a unit's name.
const UNIT_MAX: usize = 120;

fn at<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    let (name, sub) = match name.split_once('.') {
        Some((name, sub)) => (name, Some(sub)),
        None => (name, None),
    };
    let value = object.get(name)?;
    let value = match sub {
        Some(sub) => value.get(sub)?,
        None => value,
    };
    value
        .as_str()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn enterprise(user: &Object) -> Option<&Object> {
    user.get(USER.extension?.id)?.as_object()
}

/// One of several values: the first of these types in turn, else the primary
/// one, else the first that is of none of the types in `not`.
fn of_type<'a>(user: &'a Object, name: &str, types: &[&str], not: &[&str]) -> Option<&'a Object> {
    let values = || {
        user.get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
    };
    let is = |value: &Object, kind: &str| {
        at(value, "type").is_some_and(|is| is.eq_ignore_ascii_case(kind))
    };
    let other = |value: &&Object| !not.iter().any(|kind| is(value, kind));
    types
        .iter()
        .find_map(|kind| values().find(|value| is(value, kind)))
        .or_else(|| {
            values()
                .filter(other)
                .find(|value| value.get("primary") == Some(&Value::Bool(true)))
        })
        .or_else(|| values().find(other))
}

/// What the client calls the person's superior: an id, an externalId or a userName.
#[must_use]
pub fn manager(user: &Object) -> Option<&str> {
    at(enterprise(user)?, "manager.value")
}

/// The unit's name, if it can be one.
#[must_use]
pub fn department(user: &Object) -> Option<String> {
    let name = at(enterprise(user)?, "department")?;
    text::line("department", name, UNIT_MAX)
        .ok()
        .filter(|name| !name.is_empty())
}

/// Where the photo is: a data address with it, or an address elsewhere.
#[must_use]
pub fn photo(user: &Object) -> Option<&str> {
    let photo = of_type(user, "photos", &["photo"], &[])?;
    at(photo, "value")
}

/// What would be taken, for people.
fn wanted(attribute: Attribute) -> Option<&'static str> {
    match attribute.spec().kind {
        Kind::Email => Some("a mail address"),
        Kind::Phone => Some("a number in international form, such as +44 20 7946 0000"),
        Kind::Locale => Some("a language tag, such as en-GB"),
        Kind::TimeZone => Some("a zone of the IANA database, such as Europe/Oslo"),
        _ => None,
    }
}

/// The person whom a user describes, and what of it cannot be taken. `record`
/// is what the source calls the person, `manager` its superior.
///
/// An attribute that the user does not have is absent: the source says nothing of it.
#[must_use]
pub fn worker(user: &Object, record: &str, manager: Option<String>) -> (Worker, Vec<Fault>) {
    let mut worker = Worker {
        external_id: record.to_owned(),
        active: user.get("active") != Some(&Value::Bool(false)),
        manager,
        unit: department(user),
        ..Worker::default()
    };
    let mut faults = Vec::new();
    let place = at(user, "userName").unwrap_or(record);
    let mut fault = |field: &str, what: String| {
        faults.push(Fault {
            place: place.to_owned(),
            field: Some(field.to_owned()),
            what,
            external_id: Some(record.to_owned()),
            left_out: false,
        });
    };
    let full = [at(user, "name.givenName"), at(user, "name.familyName")];
    let full: Vec<_> = full.into_iter().flatten().collect();
    let full = (!full.is_empty()).then(|| full.join(" "));
    let name = at(user, "displayName")
        .or_else(|| at(user, "name.formatted"))
        .map(str::to_owned)
        .or(full)
        .or_else(|| at(user, "userName").map(str::to_owned));
    let value = |name, types: &[&str], not: &[&str]| {
        of_type(user, name, types, not).and_then(|one| at(one, "value"))
    };
    let phone = |number: &str| number.trim_start_matches("tel:").to_owned();
    let mobile = of_type(
        user,
        "phoneNumbers",
        &["mobile"],
        &["work", "home", "fax", "pager", "other"],
    )
    .filter(|one| at(one, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("mobile")))
    .and_then(|one| at(one, "value"));
    let address = of_type(user, "addresses", &["work"], &["home"]);
    let locale = at(user, "locale").map(str::to_owned).or_else(|| {
        // As in Accept-Language: the first is the dearest.
        let first = at(user, "preferredLanguage")?.split([',', ';']).next()?;
        Some(first.trim().to_owned())
    });
    let enterprise = |name| enterprise(user).and_then(|inner| at(inner, name));
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let said =
        [
            (Attribute::DisplayName, name),
            (Attribute::GivenName, owned(at(user, "name.givenName"))),
            (Attribute::FamilyName, owned(at(user, "name.familyName"))),
            (Attribute::NickName, owned(at(user, "nickName"))),
            (Attribute::Title, owned(at(user, "title"))),
            (
                Attribute::EmployeeNumber,
                owned(enterprise("employeeNumber")),
            ),
            (Attribute::Division, owned(enterprise("division"))),
            (Attribute::CostCenter, owned(enterprise("costCenter"))),
            (
                Attribute::Location,
                owned(address.and_then(|address| {
                    at(address, "locality").or_else(|| at(address, "formatted"))
                })),
            ),
            (Attribute::Emails, owned(value("emails", &["work"], &[]))),
            (
                Attribute::PhoneNumbers,
                value(
                    "phoneNumbers",
                    &["work"],
                    &["mobile", "fax", "pager", "home"],
                )
                .map(phone),
            ),
            (Attribute::Mobile, mobile.map(phone)),
            (
                Attribute::Locale,
                locale.map(|locale| locale.replace('_', "-")),
            ),
            (Attribute::Timezone, owned(at(user, "timezone"))),
        ];
    for (attribute, text) in said {
        let Some(text) = text else { continue };
        match attribute.check(text.as_str().into()) {
            Ok(value) if value.is_empty() => {}
            Ok(value) => drop(worker.attributes.insert(attribute, Some(value))),
            Err(violation) => fault(
                attribute.name(),
                match wanted(attribute) {
                    Some(wanted) => format!("{} is not taken: it is not {wanted}", quote(&text)),
                    None => format!("{} is not taken: {violation}", quote(&text)),
                },
            ),
        }
    }
    if worker.unit.is_none()
        && let Some(name) = enterprise("department")
    {
        fault(
            Attribute::Department.name(),
            format!(
                "{} is no name of a unit: one line of at most {UNIT_MAX} characters",
                quote(name)
            ),
        );
    }
    match photo(user) {
        None => {}
        Some(address) if address.starts_with("data:") => {
            worker.photo = Some(hex::encode(&Sha256::digest(address)[..16]));
        }
        Some(address) => fault(
            Attribute::Photos.name(),
            format!(
                "{} is not fetched: only a photo that comes as data is taken",
                quote(address)
            ),
        ),
    }
    (worker, faults)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Value as Told, scim::clean};

    fn read(user: Value) -> (Worker, Vec<Fault>) {
        let user = clean(&USER, user).expect("a user");
        worker(&user, "r-1", Some("r-0".into()))
    }

    #[test]
    fn a_user_becomes_a_person() {
        let (worker, faults) = read(json!({
            "userName": "ada@northwind.example", "locale": "en_GB", "title": " Analyst ", "active": true,
            "name": { "givenName": "Ada", "familyName": "Lovelace" },
            "emails": [{ "value": "home@x.example", "primary": true }, { "value": "ada@northwind.example", "type": "WORK" }],
            "phoneNumbers": [
                { "value": "+44 7700 900418", "type": "mobile" }, { "value": "tel:+44-20-7946-0000" },
            ],
            "addresses": [{ "type": "home", "locality": "Ockham" }, { "type": "work", "formatted": "London" }],
            "photos": [{ "value": "data:image/png;base64,AA==", "type": "photo" }],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
                "employeeNumber": 1815, "department": "Forge", "manager": { "value": "m" } },
        }));
        assert_eq!(faults, []);
        let text = |attribute| worker.text(attribute);
        assert_eq!(text(Attribute::DisplayName), Some("Ada Lovelace"));
        assert_eq!(text(Attribute::Emails), Some("ada@northwind.example"));
        assert_eq!(text(Attribute::Mobile), Some("+44 7700 900418"));
        assert!(text(Attribute::PhoneNumbers).is_some());
        assert_eq!(text(Attribute::Location), Some("London"));
        assert_eq!(text(Attribute::Locale), Some("en-GB"));
        assert_eq!(text(Attribute::EmployeeNumber), Some("1815"));
        assert_eq!(text(Attribute::Title), Some("Analyst"));
        assert!(
            !worker.attributes.contains_key(&Attribute::NickName),
            "nothing was said of it"
        );
        assert_eq!(worker.unit.as_deref(), Some("Forge"));
        assert_eq!(worker.manager.as_deref(), Some("r-0"));
        assert!(worker.photo.is_some() && worker.active);
    }

    #[test]
    fn what_cannot_be_taken_is_a_finding_and_the_rest_is_taken() {
        let (worker, faults) = read(json!({
            "userName": "ada", "active": false, "timezone": "Mars", "title": "T",
            "phoneNumbers": [{ "value": "12", "type": "work" }],
            "photos": [{ "value": "https://169.254.169.254/photo" }],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "x".repeat(200) },
        }));
        let fields: Vec<_> = faults
            .iter()
            .filter_map(|fault| fault.field.as_deref())
            .collect();
        assert_eq!(fields, ["phoneNumbers", "timezone", "department", "photos"]);
        assert_eq!(
            faults[1].what,
            "“Mars” is not taken: it is not a zone of the IANA database, such as Europe/Oslo"
        );
        assert_eq!(
            worker.attributes.get(&Attribute::Title),
            Some(&Some(Told::from("T")))
        );
        assert!(!worker.active && worker.photo.is_none() && worker.unit.is_none());
        assert_eq!(
            worker.name(),
            "ada",
            "somebody without a name is called as the client does"
        );
    }
}

//! What has to be known about an OData service, and the adapter made of it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, atomic::AtomicU8},
};

use domain::{
    Attribute,
    attribute::Kind as Form,
    mapping::{Field, Mapping, Target, Transform},
};

use super::{
    OData, Segments,
    clients::Fields,
    people::ROW,
    walk::List,
    wire::{Version, Wanted},
};
use crate::{
    Error, Guard, Kind, preset,
    registry::{optional, secret, setting},
    web::{Web, given},
};

/// What has to be known about an OData service.
pub(crate) const KIND: Kind = Kind {
    name: "odata",
    label: "OData service",
    help: "Reads people, units and clients from any OData service (v2 or v4), by a mapping or a preset.",
    settings: &[
        setting(
            "url",
            "Address",
            "The service's root, such as https://erp.example/odata/v4/hr; every list is below it.",
        ),
        optional(
            "preset",
            "Preset",
            "successfactors, s4hana, business-central or finance-operations: settings and mapping with the names of the product's documentation. What is entered below takes their place.",
        ),
        optional("version", "Version", "v2 or v4; v4 if nothing is entered."),
        optional(
            "user",
            "User",
            "To sign in with a user and password (Basic).",
        ),
        secret("password", "Password", "The user's password."),
        secret(
            "token",
            "Token",
            "To sign in with a bearer token that does not expire.",
        ),
        optional(
            "key_header",
            "Header of the key",
            "To sign in with an API key: the name of the header, such as APIKey.",
        ),
        secret("key", "Key", "The header's whole content."),
        optional(
            "token_url",
            "Address for tokens",
            "To sign in with OAuth 2.0 client credentials: where tokens are given out.",
        ),
        optional("client_id", "Client id", "The client that asks for tokens."),
        secret("client_secret", "Client secret", "The client's secret."),
        secret(
            "private_key",
            "Private key",
            "Instead of the client's secret, for SAP SuccessFactors: the RSA key in PEM whose certificate is registered for the client there.",
        ),
        optional(
            "api_user",
            "API user",
            "With a private key: the user id as whom SuccessFactors is read.",
        ),
        optional(
            "scope",
            "Scope",
            "What the token is asked for, such as https://ENVIRONMENT.operations.dynamics.com/.default.",
        ),
        optional(
            "company",
            "Company",
            "What stands for {company} in the paths below; Business Central's id of the company, or SuccessFactors' company id with a private key.",
        ),
        optional(
            "people",
            "People",
            "The entity set of people, such as User.",
        ),
        optional(
            "people_filter",
            "Filter of people",
            "A $filter for them, such as status eq 't'.",
        ),
        optional(
            "people_query",
            "More for people",
            "More of their query, such as paging=snapshot.",
        ),
        optional(
            "expand",
            "Relations",
            "Relations of a person that the mapping reads, such as manager, empInfo/jobInfoNav.",
        ),
        optional(
            "segments",
            "Dated rows",
            "JSON pointer to rows of a person with startDate, endDate and seqNumber of which one counts each day, such as /empInfo/jobInfoNav; or records, where each record of the list is such a row, as in EmpJob.",
        ),
        optional(
            "units",
            "Units",
            "The entity set of units; without it they are those that people name.",
        ),
        optional("clients", "Clients", "The entity set of clients."),
        optional("clients_filter", "Filter of clients", "A $filter for them."),
        optional(
            "client_expand",
            "Relations of clients",
            "Relations that the fields of clients read.",
        ),
        optional(
            "client_fields",
            "Fields of clients",
            "JSON from id, name, number, email, phone, active, blocked, changed, company, currency, balance, overdue, credit_limit, terms and options to the names of the fields.",
        ),
        optional(
            "currency",
            "Currency",
            "The currency of clients' accounts that name none, such as EUR.",
        ),
        optional(
            "query",
            "More of every query",
            "Such as cross-company=true or sap-client=100.",
        ),
        optional(
            "page_size",
            "Page size",
            "For a service that does not page by itself: how many records are asked for at once.",
        ),
        optional(
            "track",
            "Changes by link",
            "yes for a service that gives links to later changes (odata.track-changes).",
        ),
        optional(
            "person",
            "Person",
            "The path of one person with {id}, such as User('{id}').",
        ),
        optional("photo", "Photo", "The path of a person's photo with {id}."),
        optional(
            "photo_at",
            "Where the photo stands",
            "JSON pointer to the photo in base64, if that answer is JSON.",
        ),
    ],
    mapped: true,
};

impl OData {
    /// The service that `settings` describe; see the kind `odata` in [`crate::KINDS`].
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::NotAllowed`].
    pub fn new(
        guard: &Guard,
        settings: &BTreeMap<String, String>,
        mapping: Option<&Mapping>,
    ) -> Result<Self, Error> {
        let (settings, mapping, label) = preset::complete("odata", settings, mapping)?;
        let given = Given(&settings);
        let people = people(&given, &mapping)?;
        Ok(Self {
            web: Web::open(guard, &settings)?,
            version: match given.raw("version") {
                None | Some("v4") => Version::V4,
                Some("v2") => Version::V2,
                Some(_) => return Err(Error::setting("version", "must be v2 or v4")),
            },
            label,
            person: match given.get("person")? {
                Some(person) => person,
                None => format!("{}('{{id}}')", people.set),
            },
            people,
            units: units(&given, &mapping)?,
            clients: clients(&given)?,
            query: given.text("query")?,
            page_size: given.page_size()?,
            segments: segments(&given)?,
            photo: given.get("photo")?,
            photo_at: given.get("photo_at")?,
            currency: given.get("currency")?,
            writable: writable(&mapping),
            mapping,
            plainly: AtomicU8::new(0),
            met: Mutex::new(None),
        })
    }
}

/// Settings as they were entered.
struct Given<'a>(&'a BTreeMap<String, String>);

impl Given<'_> {
    fn raw(&self, key: &str) -> Option<&str> {
        given(self.0, key)
    }

    /// A setting with the company in the place of `{company}`.
    fn get(&self, key: &str) -> Result<Option<String>, Error> {
        let Some(value) = self.raw(key) else {
            return Ok(None);
        };
        if !value.contains("{company}") {
            return Ok(Some(value.to_owned()));
        }
        let company = self
            .raw("company")
            .ok_or_else(|| Error::setting("company", format!("is needed by {key}")))?;
        Ok(Some(value.replace("{company}", company)))
    }

    fn text(&self, key: &str) -> Result<String, Error> {
        self.get(key).map(Option::unwrap_or_default)
    }

    fn page_size(&self) -> Result<Option<u64>, Error> {
        let wrong = || Error::setting("page_size", "must be a number from 1 to 10000");
        let size = |text: &str| text.parse().ok().filter(|size| (1..=10_000).contains(size));
        self.raw("page_size")
            .map(|text| size(text).ok_or_else(wrong))
            .transpose()
    }
}

fn people(given: &Given<'_>, mapping: &Mapping) -> Result<List, Error> {
    let set = given
        .get("people")?
        .ok_or_else(|| Error::setting("people", "is needed: the list of people, such as User"))?;
    let mut wanted = Wanted::default();
    relations(&mut wanted, &given.text("expand")?);
    mapping
        .worker
        .iter()
        .for_each(|field| want(&mut wanted, field));
    let segments = segments(given)?;
    for part in ROW {
        match &segments {
            None => {}
            Some(Segments::Within(at)) => wanted.field(&format!("{at}/{part}")),
            Some(Segments::Records) => wanted.field(part),
        }
    }
    let track = matches!(given.raw("track"), Some("yes" | "true"));
    if track && segments.is_some() {
        let what = "cannot go with segments: a row begins to count without a change";
        return Err(Error::setting("track", what));
    }
    Ok(List {
        set,
        wanted,
        filter: given.get("people_filter")?,
        extra: given.text("people_query")?,
        track,
        rows: segments == Some(Segments::Records),
    })
}

fn segments(given: &Given<'_>) -> Result<Option<Segments>, Error> {
    Ok(match given.get("segments")?.as_deref() {
        None => None,
        Some("records") => Some(Segments::Records),
        Some(at) if at.starts_with('/') => Some(Segments::Within(at.to_owned())),
        Some(_) => {
            let what = "must be a JSON pointer such as /empInfo/jobInfoNav, or records";
            return Err(Error::setting("segments", what));
        }
    })
}

/// The list of units; none where people name them.
fn units(given: &Given<'_>, mapping: &Mapping) -> Result<Option<List>, Error> {
    if mapping.unit.is_empty() {
        return Ok(None);
    }
    let set = given
        .get("units")?
        .ok_or_else(|| Error::setting("units", "is needed: the mapping has fields of units"))?;
    let mut wanted = Wanted::default();
    mapping
        .unit
        .iter()
        .for_each(|field| want(&mut wanted, field));
    Ok(Some(List {
        set,
        wanted,
        ..List::default()
    }))
}

fn clients(given: &Given<'_>) -> Result<Option<(List, Fields)>, Error> {
    let Some(set) = given.get("clients")? else {
        return Ok(None);
    };
    let fields = given
        .raw("client_fields")
        .ok_or_else(|| Error::setting("client_fields", "is needed with clients"))?;
    let fields = Fields::parse(fields)?;
    let mut wanted = Wanted::default();
    relations(&mut wanted, &given.text("client_expand")?);
    fields.from().for_each(|from| wanted.field(from));
    let list = List {
        set,
        wanted,
        filter: given.get("clients_filter")?,
        ..List::default()
    };
    Ok(Some((list, fields)))
}

/// Wants what a line of a mapping reads.
pub(super) fn want(wanted: &mut Wanted, field: &Field) {
    wanted.field(&field.from);
    for transform in &field.transforms {
        if let Transform::Join { with, .. } = transform {
            wanted.field(with);
        }
    }
}

/// Wants the relations of a setting: `manager, empInfo/jobInfoNav`.
fn relations(wanted: &mut Wanted, paths: &str) {
    paths
        .split(',')
        .map(str::trim)
        .filter(|path| !path.is_empty())
        .for_each(|path| wanted.relation(path));
}

/// What stands as it is in a field of the record itself, and is a text: that can be written back.
fn writable(mapping: &Mapping) -> Vec<Attribute> {
    let lines = mapping.worker.iter().filter(|line| {
        let name = line.from.trim_start_matches('/');
        line.transforms.is_empty() && !name.is_empty() && !name.contains('/')
    });
    lines
        .filter_map(|line| match line.target {
            Target::Attribute(attribute) => Some(attribute),
            _ => None,
        })
        .filter(|attribute| {
            let kind = attribute.spec().kind;
            *attribute != Attribute::EmployeeNumber
                && matches!(
                    kind,
                    Form::Line(_) | Form::Prose(_) | Form::Email | Form::Phone
                )
        })
        .collect()
}

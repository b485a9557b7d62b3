//! The kinds of source that there are, and the settings that each takes.

use std::collections::BTreeMap;

use domain::mapping::{Field, Mapping, Target, Transform};
use serde::Serialize;

use crate::{
    CsvFolder, ErpAdapter, Error, Guard, Ldap, OData, Odoo, Pushed, Rest, TableFolder, Tryton,
    ldap, odata, odoo, preset, pushed, rest, table_folder, words::quote,
};

/// A kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// Its name in commands and in the API.
    pub name: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// What it reads, in one sentence.
    pub help: &'static str,
    /// What has to be known about it, in the order of a form.
    pub settings: &'static [Setting],
    /// Whether a [`Mapping`] stands between its fields and the attributes.
    pub mapped: bool,
}

/// A setting of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its name in commands and in the API.
    pub key: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// What to enter.
    pub help: &'static str,
    /// Whether it is kept encrypted and never shown again.
    pub secret: bool,
    /// Whether it has to be there.
    pub required: bool,
}

pub(crate) const fn setting(key: &'static str, label: &'static str, help: &'static str) -> Setting {
    Setting {
        key,
        label,
        help,
        secret: false,
        required: true,
    }
}

pub(crate) const fn optional(
    key: &'static str,
    label: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        required: false,
        ..setting(key, label, help)
    }
}

pub(crate) const fn secret(key: &'static str, label: &'static str, help: &'static str) -> Setting {
    Setting {
        secret: true,
        ..optional(key, label, help)
    }
}

/// Every kind.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "csv",
        label: "CSV folder",
        help: "Reads workers.csv, units.csv, positions.csv and photos from a folder of the server.",
        settings: &[setting(
            "folder",
            "Folder",
            "The whole path of a folder that the server can read.",
        )],
        mapped: false,
    },
    odoo::KIND,
    Kind {
        name: "tryton",
        label: "Tryton 8",
        help: "Reads employees, their supervisors, companies, photos and clients of Tryton 8 or newer over its REST door. \
               Tryton has no departments: each company is a unit.",
        settings: &[
            setting(
                "url",
                "Address",
                "Where Tryton is, such as https://tryton.example.",
            ),
            setting("database", "Database", "The name of the database."),
            Setting {
                secret: true,
                ..setting(
                    "key",
                    "Key",
                    "The key of a user application of the kind REST, validated in Tryton under the user's preferences.",
                )
            },
        ],
        mapped: false,
    },
    ldap::KIND,
    table_folder::KIND,
    odata::KIND,
    rest::KIND,
    pushed::KIND,
];

/// The mapping that a kind of source follows where there is no other; none
/// where it depends on what the source says, or no mapping is followed.
///
/// # Errors
/// [`Error::Setting`] for a preset that is not known.
pub fn default_mapping(
    kind: &str,
    settings: &BTreeMap<String, String>,
) -> Result<Option<Mapping>, Error> {
    let get = |key: &str| {
        let value = settings.get(key).map(|value| value.trim());
        value.filter(|value| !value.is_empty())
    };
    match kind {
        "ldap" => ldap::default_mapping(get("preset"), get("unit_filter").is_some()).map(Some),
        "odata" | "rest" => match get("preset") {
            None => Ok(None),
            Some(_) => Ok(Some(preset::complete(kind, settings, None)?.1)),
        },
        _ => Ok(None),
    }
}

/// A mapping that takes nothing but an id that is no id: for looking at the
/// fields of a source before there is a mapping.
#[must_use]
pub fn unmapped() -> Mapping {
    let id = Field {
        target: Target::Id,
        from: String::new(),
        transforms: vec![Transform::Constant { value: "?".into() }],
    };
    Mapping {
        worker: vec![id],
        unit: Vec::new(),
    }
}

/// Whether a source of the kind `kind` can be opened with `settings`, before
/// anybody has made its mapping.
///
/// # Errors
/// Those of [`open`].
pub fn check(kind: &str, settings: &BTreeMap<String, String>, guard: &Guard) -> Result<(), Error> {
    let mapping = default_mapping(kind, settings)?.unwrap_or_else(unmapped);
    open(kind, settings, Some(&mapping), guard).map(drop)
}

/// Opens a source of the kind `kind`. Nothing is read yet. A kind that is
/// [mapped](Kind::mapped) follows `mapping`, or without one the mapping that
/// its preset brings; any other takes no notice of it.
///
/// # Errors
/// [`Error::Setting`] for a kind, key or value that is not known, a missing
/// setting, or one that cannot be right; [`Error::NotAllowed`] for a host
/// that `guard` does not let through.
pub fn open(
    kind: &str,
    settings: &BTreeMap<String, String>,
    mapping: Option<&Mapping>,
    guard: &Guard,
) -> Result<Box<dyn ErpAdapter>, Error> {
    let Some(known) = KINDS.iter().find(|known| known.name == kind) else {
        let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        return Err(Error::setting(
            "kind",
            format!(
                "{} is not known; allowed: {}",
                quote(kind),
                names.join(", ")
            ),
        ));
    };
    for key in settings.keys() {
        if !known.settings.iter().any(|setting| setting.key == key) {
            let keys: Vec<_> = known.settings.iter().map(|setting| setting.key).collect();
            return Err(Error::setting(
                key,
                format!("is not a setting of {kind}; allowed: {}", keys.join(", ")),
            ));
        }
    }
    let get = |key: &str| {
        settings
            .get(key)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    };
    if let Some(missing) = known
        .settings
        .iter()
        .find(|setting| setting.required && get(setting.key).is_none())
    {
        return Err(Error::setting(
            missing.key,
            format!("is needed: {}", missing.help),
        ));
    }
    let needed = |key| get(key).unwrap_or_default();
    Ok(match kind {
        "csv" => Box::new(CsvFolder::new(needed("folder"))?),
        "ldap" => Box::new(Ldap::new(guard, &get, mapping)?),
        "odata" => Box::new(OData::new(guard, settings, mapping)?),
        "rest" => Box::new(Rest::new(guard, settings, mapping)?),
        "scim" => Box::new(Pushed),
        "table" => Box::new(TableFolder::new(&get, mapping)?),
        "tryton" => Box::new(Tryton::new(
            guard,
            needed("url"),
            needed("database"),
            needed("key"),
        )?),
        _ => Box::new(Odoo::new(guard, settings)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: &str, settings: &[(&str, &str)]) -> String {
        let settings = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let error = open(kind, &settings, None, &Guard::default()).expect_err("refused");
        assert!(
            matches!(error, Error::Setting { .. } | Error::NotAllowed { .. }),
            "{error:?}"
        );
        error.to_string()
    }

    #[test]
    fn what_cannot_be_right_is_refused_before_anything_is_read() {
        assert_eq!(
            refused("sap", &[]),
            "kind “sap” is not known; allowed: csv, odoo, tryton, ldap, table, odata, rest, scim"
        );
        assert_eq!(
            refused("csv", &[("path", "/x")]),
            "path is not a setting of csv; allowed: folder"
        );
        assert!(refused("csv", &[("folder", " ")]).starts_with("folder is needed"));
        assert!(
            refused("csv", &[("folder", "data/erp")]).starts_with("folder must be a whole path")
        );
        assert!(
            refused("odoo", &[("url", "https://odoo.example")]).starts_with("api_key is needed")
        );
        assert!(
            refused("odoo", &[("url", "http://odoo.example"), ("api_key", "k")])
                .contains("https://")
        );
        assert!(
            refused(
                "odoo",
                &[("url", "http://169.254.169.254"), ("api_key", "k")]
            )
            .contains("link-local")
        );
        let twist = [
            ("url", "https://odoo.example"),
            ("api_key", "k"),
            ("number_field", "id; drop"),
        ];
        assert!(refused("odoo", &twist).starts_with("number_field"));
    }

    #[test]
    fn a_key_is_never_printed() {
        let settings = [("url", "https://odoo.example"), ("api_key", "s3cret")];
        let settings = settings
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let adapter = open("odoo", &settings, None, &Guard::default()).expect("an adapter");
        assert!(!format!("{adapter:?}").contains("s3cret"));
    }
}

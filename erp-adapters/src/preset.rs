//! Presets: settings and a mapping with the names that a product's documentation gives.
//! Whatever an organization enters itself takes the place of the preset's.

use std::collections::BTreeMap;

use domain::mapping::Mapping;
use serde::Deserialize;

use crate::{Error, web::given, words::quote};

/// Settings and a mapping for one product.
#[derive(Debug, Clone, Deserialize)]
pub struct Preset {
    /// The product's name for people.
    pub label: String,
    /// What has to be known about it, in a few sentences.
    pub help: String,
    /// Settings, as if they had been entered.
    pub settings: BTreeMap<String, String>,
    /// The mapping that is followed when there is no other.
    pub mapping: Mapping,
}

macro_rules! presets {
    ($($kind:literal / $name:literal),+ $(,)?) => {
        /// Kind, name and JSON of every preset.
        const PRESETS: &[(&str, &str, &str)] = &[
            $(($kind, $name, include_str!(concat!("../presets/", $kind, "/", $name, ".json"))),)+
        ];
    };
}

presets! {
    "odata" / "successfactors",
    "odata" / "s4hana",
    "odata" / "business-central",
    "odata" / "finance-operations",
    "rest" / "erpnext",
    "rest" / "bamboohr",
    "rest" / "workday",
}

/// The names of the presets of a kind of source.
#[must_use]
pub fn presets(kind: &str) -> Vec<&'static str> {
    let of_kind = PRESETS.iter().filter(|(of, ..)| *of == kind);
    of_kind.map(|(_, name, _)| *name).collect()
}

/// A preset of a kind of source by name.
#[must_use]
pub fn preset(kind: &str, name: &str) -> Option<Preset> {
    let (.., text) = PRESETS
        .iter()
        .find(|(of, known, _)| *of == kind && *known == name)?;
    Some(serde_json::from_str(text).expect("a test reads every preset"))
}

/// `settings` with those of their preset below, and the mapping to follow:
/// `mapping`, or the preset's.
///
/// # Errors
/// [`Error::Setting`] for a preset that is not known, or with neither.
pub(crate) fn complete(
    kind: &str,
    settings: &BTreeMap<String, String>,
    mapping: Option<&Mapping>,
) -> Result<(BTreeMap<String, String>, Mapping, String), Error> {
    let Some(name) = given(settings, "preset") else {
        let mapping = mapping.ok_or_else(|| {
            let what = "is needed: it says which field of the source becomes what";
            Error::setting("mapping", what)
        })?;
        usable(mapping)?;
        return Ok((settings.clone(), mapping.clone(), String::new()));
    };
    let preset = preset(kind, name).ok_or_else(|| {
        let allowed = presets(kind).join(", ");
        Error::setting(
            "preset",
            format!("{} is not known; allowed: {allowed}", quote(name)),
        )
    })?;
    let mut all = preset.settings;
    for (key, value) in settings {
        if !value.trim().is_empty() {
            all.insert(key.clone(), value.clone());
        }
    }
    let mapping = mapping.cloned().unwrap_or(preset.mapping);
    usable(&mapping)?;
    Ok((all, mapping, preset.label))
}

fn usable(mapping: &Mapping) -> Result<(), Error> {
    mapping.check().map_err(|bad| {
        let bad: Vec<_> = bad.iter().map(ToString::to_string).collect();
        Error::setting("mapping", bad.join("; "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Guard, KINDS, open};

    #[test]
    fn every_preset_can_be_followed() {
        for (kind, name, text) in PRESETS {
            let preset: Preset =
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(preset.mapping.check(), Ok(()), "{name}");
            let known = KINDS
                .iter()
                .find(|known| known.name == *kind)
                .expect("a kind");
            for key in preset.settings.keys() {
                let is_known = known.settings.iter().any(|setting| setting.key == key);
                assert!(is_known, "{name}: {key}");
            }
            let mut settings = BTreeMap::from([
                ("preset".to_owned(), (*name).to_owned()),
                ("url".to_owned(), "https://erp.example".to_owned()),
                ("company".to_owned(), "c1".to_owned()),
            ]);
            settings.retain(|key, _| known.settings.iter().any(|setting| setting.key == key));
            if *name == "workday" {
                settings.insert("people".into(), "owner/report?format=json".into());
            }
            let opened = open(kind, &settings, None, &Guard::default());
            assert!(opened.is_ok(), "{name}: {opened:?}");
        }
    }

    #[test]
    fn what_is_entered_takes_the_place_of_the_presets() {
        let settings = BTreeMap::from([
            ("preset".to_owned(), "successfactors".to_owned()),
            ("people".to_owned(), "PerPerson".to_owned()),
            ("units".to_owned(), " ".to_owned()),
        ]);
        let (all, ..) = complete("odata", &settings, None).expect("complete");
        assert_eq!(
            (all["people"].as_str(), all["units"].as_str()),
            ("PerPerson", "FODepartment")
        );
        let unknown = BTreeMap::from([("preset".to_owned(), "sap".to_owned())]);
        let refused = complete("odata", &unknown, None).expect_err("refused");
        assert_eq!(
            refused.to_string(),
            "preset “sap” is not known; allowed: successfactors, s4hana, business-central, finance-operations"
        );
        let none = complete("odata", &BTreeMap::new(), None).expect_err("refused");
        assert!(none.to_string().starts_with("mapping is needed"));
    }
}

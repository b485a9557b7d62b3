//! The attributes that each question asks for.

use std::collections::BTreeMap;

use domain::{
    Attribute,
    mapping::{Field, Mapping, Target, Transform},
};

use super::{
    entry::{CONTROL, ENABLED, attribute, is_secret, own},
    preset::Preset,
};
use crate::{Error, words::quote};

/// The attributes that each question asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) people: Vec<String>,
    /// What the first pass needs: the id, and a unit that people name.
    pub(super) index: Vec<String>,
    pub(super) units: Vec<String>,
    pub(super) photo: Option<String>,
    /// Where the id stands, if an entry can be found by it.
    pub(super) id: Option<String>,
    pub(super) writable: Vec<Attribute>,
}
impl Wanted {
    pub(super) fn new(mapping: &Mapping, preset: Preset) -> Result<Self, Error> {
        let names = |fields: &[&Field]| {
            let mut names = BTreeMap::new();
            for field in fields {
                let joined = field.transforms.iter().filter_map(|one| match one {
                    Transform::Join { with, .. } => Some(with.as_str()),
                    _ => None,
                });
                for from in std::iter::once(field.from.as_str()).chain(joined) {
                    match attribute(from) {
                        name if name == ENABLED => {
                            names.insert(CONTROL.to_lowercase(), CONTROL.to_owned());
                        }
                        name if name.is_empty() || own(&name) => {}
                        name => {
                            names.insert(name.clone(), name);
                        }
                    }
                }
            }
            names.into_values().collect::<Vec<_>>()
        };
        let mut people: Vec<_> = mapping.worker.iter().collect();
        let by_name = mapping.unit.is_empty();
        let index = |field: &&&Field| {
            field.target == Target::Id || (by_name && field.target == Target::Unit)
        };
        let index: Vec<_> = people.iter().filter(index).copied().collect();
        let index = names(&index);
        let photo = people
            .iter()
            .find(|field| field.target == Target::Photo)
            .map(|field| attribute(&field.from))
            .filter(|name| !name.is_empty() && !own(name));
        people.retain(|field| field.target != Target::Photo);
        let plain = |field: &Field| {
            let harmless = |one: &Transform| matches!(one, Transform::Trim);
            let name = attribute(&field.from);
            let whole = !field.from.starts_with('/');
            (whole && !name.is_empty() && !own(&name) && field.transforms.iter().all(harmless))
                .then_some(name)
        };
        let id = mapping
            .worker
            .iter()
            .find(|field| field.target == Target::Id);
        let id = id.and_then(plain);
        let writable = mapping
            .worker
            .iter()
            .filter_map(|field| match field.target {
                Target::Attribute(attribute) => plain(field).map(|_| attribute),
                // Written as the name of the superior's entry, which is what it holds.
                Target::Manager => plain(field).map(|_| Attribute::Manager),
                _ => None,
            });
        let writable = writable.collect();
        let mut people = names(&people);
        if !people.iter().any(|name| name == preset.changed()) {
            people.push(preset.changed().to_owned());
        }
        let units: Vec<_> = mapping.unit.iter().collect();
        let units = names(&units);
        for name in people.iter().chain(&units).chain(&photo) {
            let form = name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ';'));
            if is_secret(name) || !form {
                let what = format!("must not read {}", quote(name));
                return Err(Error::setting("mapping", what));
            }
        }
        // Asking for no attribute at all would be asking for every one.
        let some = |mut names: Vec<String>| {
            if names.is_empty() {
                names.push("1.1".into());
            }
            names
        };
        Ok(Self {
            people: some(people),
            index: some(index),
            units: some(units),
            photo,
            id,
            writable,
        })
    }
}
#[cfg(test)]
mod tests {
    use super::{
        super::entry::{GUID, PARENT},
        *,
    };

    #[test]
    fn a_password_is_never_asked_for() {
        for name in [
            "userPassword",
            "unicodePwd",
            "sambaNTPassword",
            "krbPrincipalKey",
        ] {
            let mapping = Mapping {
                worker: vec![
                    Field {
                        target: Target::Id,
                        from: "entryUUID".into(),
                        transforms: Vec::new(),
                    },
                    Field {
                        target: Target::Attribute(Attribute::Title),
                        from: name.into(),
                        transforms: Vec::new(),
                    },
                ],
                unit: Vec::new(),
            };
            let error = Wanted::new(&mapping, Preset::OpenLdap).expect_err("refused");
            assert!(error.to_string().contains("must not read"), "{error}");
        }
    }

    #[test]
    fn what_a_mapping_reads_is_what_is_asked_for() {
        let wanted = Wanted::new(
            &Preset::ActiveDirectory.mapping(true),
            Preset::ActiveDirectory,
        )
        .expect("a mapping");
        assert_eq!(wanted.photo.as_deref(), Some("thumbnailPhoto"));
        assert!(!wanted.people.contains(&"thumbnailPhoto".to_owned()));
        assert!(wanted.people.contains(&CONTROL.to_owned()));
        assert!(!wanted.people.iter().any(|name| own(name)));
        assert_eq!(wanted.index, [GUID]);
        assert_eq!(wanted.id.as_deref(), Some(GUID));
        assert!(wanted.writable.contains(&Attribute::Title));
        let wanted =
            Wanted::new(&Preset::OpenLdap.mapping(false), Preset::OpenLdap).expect("a mapping");
        assert_eq!(wanted.index, ["departmentNumber", "entryUUID"]);
    }

    #[test]
    fn a_superior_is_written_where_the_name_of_an_entry_stands() {
        let offered = |change: &dyn Fn(&mut Field)| {
            let mut mapping = Preset::OpenLdap.mapping(false);
            let fields = mapping.worker.iter_mut();
            fields
                .filter(|field| field.target == Target::Manager)
                .for_each(change);
            let wanted = Wanted::new(&mapping, Preset::OpenLdap).expect("a mapping");
            wanted.writable.contains(&Attribute::Manager)
        };
        assert!(offered(&|_| {}));
        // The entry above, a part of a list, and what is made of a value: nothing that a value could be written to.
        assert!(!offered(&|field| field.from = PARENT.into()));
        assert!(!offered(&|field| field.from = "/manager/1".into()));
        assert!(!offered(&|field| field.transforms = vec![Transform::Upper]));
    }
}

//! Which directory it is: the names that its attributes have.

use chrono::{DateTime, Utc};
use domain::{
    Attribute,
    mapping::{Field, Mapping, Target},
};

use super::entry::{ENABLED, GUID, PARENT};
use crate::{Error, words::quote};

/// Which directory it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preset {
    OpenLdap,
    ActiveDirectory,
}

impl Preset {
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Error> {
        match text {
            None | Some("openldap") => Ok(Self::OpenLdap),
            Some("active-directory") => Ok(Self::ActiveDirectory),
            Some(other) => Err(Error::setting(
                "preset",
                format!(
                    "{} is not known; allowed: openldap, active-directory",
                    quote(other)
                ),
            )),
        }
    }

    pub(super) fn people(self) -> &'static str {
        match self {
            Self::OpenLdap => "(objectClass=inetOrgPerson)",
            Self::ActiveDirectory => "(&(objectCategory=person)(objectClass=user))",
        }
    }

    /// The attribute that says when an entry last changed.
    pub(super) fn changed(self) -> &'static str {
        match self {
            Self::OpenLdap => "modifyTimestamp",
            Self::ActiveDirectory => "whenChanged",
        }
    }

    /// A time as a filter has it.
    pub(super) fn time(self, at: DateTime<Utc>) -> String {
        let form = match self {
            Self::OpenLdap => "%Y%m%d%H%M%SZ",
            Self::ActiveDirectory => "%Y%m%d%H%M%S.0Z",
        };
        at.format(form).to_string()
    }

    pub(super) fn mapping(self, tree: bool) -> Mapping {
        let own = |target: Target, from: &str| Field {
            target,
            from: from.to_owned(),
            transforms: Vec::new(),
        };
        let value = |attribute, from| own(Target::Attribute(attribute), from);
        let (id, name, number, unit, place, photo) = match self {
            Self::OpenLdap => (
                "entryUUID",
                "cn",
                "employeeNumber",
                "departmentNumber",
                "l",
                "jpegPhoto",
            ),
            Self::ActiveDirectory => (
                GUID,
                "displayName",
                "employeeID",
                "department",
                "physicalDeliveryOfficeName",
                "thumbnailPhoto",
            ),
        };
        let mut worker = vec![
            own(Target::Id, id),
            value(Attribute::DisplayName, name),
            value(Attribute::GivenName, "givenName"),
            value(Attribute::FamilyName, "sn"),
            value(Attribute::Title, "title"),
            value(Attribute::Emails, "mail"),
            value(Attribute::PhoneNumbers, "telephoneNumber"),
            value(Attribute::Mobile, "mobile"),
            value(Attribute::EmployeeNumber, number),
            value(Attribute::Location, place),
            own(Target::Unit, if tree { PARENT } else { unit }),
            own(Target::Manager, "manager"),
            own(Target::Photo, photo),
            own(Target::ChangedAt, self.changed()),
        ];
        if self == Self::ActiveDirectory {
            worker.push(own(Target::Active, ENABLED));
            worker.push(value(Attribute::Division, "division"));
        }
        let mut unit = Vec::new();
        if tree {
            unit.extend([
                own(Target::Id, id),
                own(Target::Name, "ou"),
                own(Target::Parent, PARENT),
            ]);
            if self == Self::ActiveDirectory {
                unit.push(own(Target::Head, "managedBy"));
            }
        }
        Mapping { worker, unit }
    }
}

/// The mapping that a directory of `preset` brings; `tree` if its units are entries of their own.
///
/// # Errors
/// [`Error::Setting`] for a preset that is not known.
pub(crate) fn default_mapping(preset: Option<&str>, tree: bool) -> Result<Mapping, Error> {
    Ok(Preset::parse(preset)?.mapping(tree))
}

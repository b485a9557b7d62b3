//! What columns mean by their names, where nobody has made a mapping.

use domain::{
    Attribute,
    mapping::{Field, Mapping, Target},
};

use super::{grid::Grid, rows::names};
use crate::Error;

/// What columns are called in exports, English and German, without spaces and signs.
const KNOWN: [(Target, &[&str]); 21] = [
    (
        Target::Id,
        &[
            "employeenumber",
            "employeeid",
            "employeeno",
            "personnelnumber",
            "personnelno",
            "personnelid",
            "staffid",
            "staffnumber",
            "payrollnumber",
            "personid",
            "userid",
            "id",
            "number",
            "personalnummer",
            "personalnr",
            "mitarbeiternummer",
            "mitarbeiternr",
            "mitarbeiterid",
            "persnr",
            "pnr",
        ],
    ),
    (
        Target::Manager,
        &[
            "manager",
            "managerid",
            "managernumber",
            "superior",
            "superiorid",
            "supervisor",
            "supervisorid",
            "reportsto",
            "linemanager",
            "vorgesetzter",
            "vorgesetzte",
            "vorgesetztenummer",
            "vorgesetztepersonalnummer",
            "fuehrungskraft",
            "führungskraft",
        ],
    ),
    (
        Target::Unit,
        &[
            "unit",
            "department",
            "dept",
            "departmentname",
            "team",
            "orgunit",
            "organizationalunit",
            "abteilung",
            "bereich",
            "organisationseinheit",
        ],
    ),
    (
        Target::Active,
        &["active", "status", "employmentstatus", "aktiv"],
    ),
    (
        Target::Attribute(Attribute::DisplayName),
        &[
            "displayname",
            "name",
            "fullname",
            "employeename",
            "anzeigename",
            "vollername",
        ],
    ),
    (
        Target::Attribute(Attribute::GivenName),
        &["givenname", "firstname", "forename", "vorname"],
    ),
    (
        Target::Attribute(Attribute::FamilyName),
        &[
            "familyname",
            "lastname",
            "surname",
            "nachname",
            "familienname",
        ],
    ),
    (
        Target::Attribute(Attribute::NickName),
        &["nickname", "preferredname", "rufname"],
    ),
    (
        Target::Attribute(Attribute::Title),
        &[
            "title",
            "jobtitle",
            "position",
            "job",
            "role",
            "funktion",
            "stelle",
            "stellenbezeichnung",
        ],
    ),
    (
        Target::Attribute(Attribute::Emails),
        &["email", "emailaddress", "workemail", "mail", "emailadresse"],
    ),
    (
        Target::Attribute(Attribute::PhoneNumbers),
        &[
            "phone",
            "telephone",
            "deskphone",
            "workphone",
            "phonenumber",
            "telefon",
            "telefonnummer",
            "durchwahl",
        ],
    ),
    (
        Target::Attribute(Attribute::Mobile),
        &[
            "mobile",
            "mobilephone",
            "cell",
            "cellphone",
            "mobil",
            "handy",
            "mobiltelefon",
        ],
    ),
    (
        Target::Attribute(Attribute::Location),
        &[
            "location",
            "office",
            "site",
            "workplace",
            "standort",
            "arbeitsort",
        ],
    ),
    (
        Target::Attribute(Attribute::Division),
        &["division", "businessunit", "sparte"],
    ),
    (
        Target::Attribute(Attribute::CostCenter),
        &["costcenter", "costcentre", "kostenstelle"],
    ),
    (
        Target::Attribute(Attribute::StartDate),
        &[
            "startdate",
            "hiredate",
            "entrydate",
            "eintrittsdatum",
            "eintritt",
        ],
    ),
    (
        Target::Attribute(Attribute::BirthDate),
        &["birthdate", "dateofbirth", "birthday", "geburtsdatum"],
    ),
    (
        Target::EndsOn,
        &[
            "enddate",
            "leavedate",
            "terminationdate",
            "lastday",
            "austrittsdatum",
            "austritt",
        ],
    ),
    (
        Target::Photo,
        &["photo", "photofile", "picture", "foto", "bild", "bilddatei"],
    ),
    (
        Target::Attribute(Attribute::Locale),
        &["locale", "language", "sprache"],
    ),
    (
        Target::Attribute(Attribute::Timezone),
        &["timezone", "zeitzone"],
    ),
];

/// What the columns mean by their names; without an id where none is called like one.
pub(super) fn guess(grids: &[Grid]) -> Mapping {
    let mut worker: Vec<Field> = Vec::new();
    let plain = |name: &str| -> String {
        let letters = name.chars().filter(|c| c.is_alphanumeric());
        letters.collect::<String>().to_lowercase()
    };
    for column in grids.iter().flat_map(|grid| &grid.columns) {
        let name = plain(&column.name);
        let Some((target, _)) = KNOWN
            .iter()
            .find(|(_, known)| known.contains(&name.as_str()))
        else {
            continue;
        };
        let field = |target: Target| Field {
            target,
            from: column.name.clone(),
            transforms: Vec::new(),
        };
        if worker.iter().any(|known| known.target == *target) {
            continue;
        }
        worker.push(field(*target));
        if *target == Target::Id {
            worker.push(field(Target::Attribute(Attribute::EmployeeNumber)));
        }
    }
    Mapping {
        worker,
        unit: Vec::new(),
    }
}

/// The same, for a run, which tells people apart by their id.
///
/// # Errors
/// [`Error::Setting`] where no column is called like one.
pub(super) fn followed(grids: &[Grid]) -> Result<Mapping, Error> {
    let mapping = guess(grids);
    if mapping
        .worker
        .iter()
        .any(|field| field.target == Target::Id)
    {
        return Ok(mapping);
    }
    let columns = grids.first().map(names).unwrap_or_default();
    Err(Error::setting(
        "mapping",
        format!(
            "is needed: no column is called like an employee number; the columns are {columns}"
        ),
    ))
}

//! Employees, departments and photos, and writing values back.

use std::collections::BTreeMap;

use base64::Engine as _;
use chrono::{Days, NaiveDate};
use domain::{
    Attribute, Value,
    erp::{Fault, OrgUnit, Photo, Worker},
    text,
};
use serde_json::{Value as Json, json};

use super::{
    DEPARTMENT, EMPLOYEE, Odoo, PUBLIC, Row, allowed, id, label, link, malformed, notes, reference,
    scope::Scope, transport::no_model, walk,
};
use crate::{
    Error, PHOTO_BYTES, Page, Structure,
    photo_folder::too_large,
    words::{Notes, blank, circle, complaint},
};

const PAGE_ROWS: usize = 200;
const CONTRACT_ROWS: usize = 1_000;

/// Odoo's fields by attribute, the number's being a setting. Of two for one
/// attribute the first that there is counts: 16 has no name of the place of
/// work, only the place.
const ATTRIBUTES: [(&str, Attribute); 9] = [
    ("name", Attribute::DisplayName),
    ("job_title", Attribute::Title),
    ("work_email", Attribute::Emails),
    ("work_phone", Attribute::PhoneNumbers),
    ("mobile_phone", Attribute::Mobile),
    ("work_location_name", Attribute::Location),
    ("work_location_id", Attribute::Location),
    ("birthday", Attribute::BirthDate),
    ("tz", Attribute::Timezone),
];

/// What a value can be written to. The place of work is a record of its own
/// and the contract's dates are a legal matter: both stay with Odoo.
pub(super) const WRITABLE: &[Attribute] = &[
    Attribute::DisplayName,
    Attribute::Title,
    Attribute::Emails,
    Attribute::PhoneNumbers,
    Attribute::Mobile,
    Attribute::BirthDate,
    Attribute::Timezone,
    Attribute::EmployeeNumber,
    Attribute::Manager,
];

/// The model that the user may read people from, and its fields.
#[derive(Debug)]
pub(super) struct View {
    pub(super) model: &'static str,
    fields: Vec<(String, Attribute)>,
    /// Fields that are no attribute: the contract in force, the company, the departure.
    others: Vec<&'static str>,
    contracts: Option<&'static Contracts>,
}

/// Where the dates of contracts stand.
#[derive(Debug)]
struct Contracts {
    model: &'static str,
    start: &'static str,
    end: &'static str,
    /// The employee's field that names the contract in force.
    current: &'static str,
    /// The states that are agreed upon; empty where there are none.
    states: &'static [&'static str],
}

/// Odoo 19, then 16 to 18.
const CONTRACTS: [Contracts; 2] = [
    Contracts {
        model: "hr.version",
        start: "contract_date_start",
        end: "contract_date_end",
        current: "current_version_id",
        states: &[],
    },
    Contracts {
        model: "hr.contract",
        start: "date_start",
        end: "date_end",
        current: "contract_id",
        states: &["open", "close"],
    },
];

impl Contracts {
    fn domain(&self) -> Vec<Json> {
        if self.states.is_empty() {
            return Vec::new();
        }
        vec![json!(["state", "in", self.states])]
    }
}

impl View {
    pub(super) fn table(&self, domain: Vec<Json>) -> walk::Table {
        let part = |contracts: &Contracts| walk::Part {
            model: contracts.model,
            row: "employee_id",
            domain: contracts.domain(),
        };
        walk::Table {
            model: self.model,
            fields: self.names(),
            domain,
            parts: self.contracts.map(part).into_iter().collect(),
            rows: PAGE_ROWS,
        }
    }

    fn names(&self) -> Vec<String> {
        let own = ["id", "write_date", "active", "parent_id", "department_id"];
        let others = own.into_iter().chain(self.others.iter().copied());
        let attributes = self.fields.iter().map(|(name, _)| name.clone());
        others.map(str::to_owned).chain(attributes).collect()
    }
}

impl Odoo {
    pub(super) async fn view(&self) -> Result<&View, Error> {
        self.view
            .get_or_try_init(|| async {
                match self.view_of(EMPLOYEE).await {
                    Err(Error::Forbidden { .. }) => self.view_of(PUBLIC).await,
                    view => view,
                }
            })
            .await
    }

    /// Asks which fields there are rather than which version it is: apps bring
    /// fields, and a right that is missing takes them away.
    async fn view_of(&self, model: &'static str) -> Result<View, Error> {
        let all = self.fields(model).await?;
        let mut fields: Vec<(String, Attribute)> = Vec::new();
        for (name, attribute) in self.used() {
            let known = fields.iter().any(|(_, known)| *known == attribute);
            if all.contains_key(name) && !known {
                fields.push((name.to_owned(), attribute));
            }
        }
        let mut view = View {
            model,
            fields,
            others: Vec::new(),
            contracts: None,
        };
        for contracts in &CONTRACTS {
            if all.contains_key(contracts.current) && self.dated(contracts).await? {
                view.others.push(contracts.current);
                view.contracts = Some(contracts);
                break;
            }
        }
        let others = ["company_id", "departure_date"];
        let others = others.into_iter().filter(|name| all.contains_key(*name));
        view.others.extend(others);
        // `fields_get` may name fields that a read then refuses as a whole.
        let domain = self.within().await?;
        let body = json!({"domain": domain, "fields": view.names(), "limit": 1});
        self.rows(model, body).await?;
        Ok(view)
    }

    /// Whether the dates of contracts may be read.
    async fn dated(&self, contracts: &Contracts) -> Result<bool, Error> {
        let fields = match self.fields(contracts.model).await {
            Err(Error::Forbidden { .. }) => return Ok(false),
            Err(error) if error == no_model(contracts.model) => return Ok(false),
            fields => fields?,
        };
        if ![contracts.start, contracts.end]
            .iter()
            .all(|name| fields.contains_key(*name))
        {
            return Ok(false);
        }
        let body = json!({"domain": [], "fields": [contracts.start, contracts.end], "limit": 1});
        Ok(allowed(self.rows(contracts.model, body).await)?.is_ok())
    }

    fn used(&self) -> impl Iterator<Item = (&str, Attribute)> {
        ATTRIBUTES
            .into_iter()
            .chain([(self.number_field.as_str(), Attribute::EmployeeNumber)])
    }

    /// What `view` lacks of all that is used, by name.
    pub(super) fn missing(&self, view: &View) -> String {
        let mut lacks: Vec<_> = self.used().map(|(_, attribute)| attribute).collect();
        lacks.dedup();
        lacks.retain(|one| !view.fields.iter().any(|(_, attribute)| attribute == one));
        if view.contracts.is_none() {
            lacks.extend([Attribute::StartDate, Attribute::EndDate]);
        }
        let lacks: Vec<_> = lacks.iter().map(|attribute| attribute.name()).collect();
        lacks.join(", ")
    }

    /// The people of a page's `rows`.
    pub(super) async fn people(&self, rows: &[Row], walk: &mut walk::Walk) -> Result<Page, Error> {
        let watermark = walk.watermark(self.transport.now());
        let view = self.view().await?;
        let scope = self.scope().await?;
        let mut faults = Vec::new();
        // Values that may not be read any more vanish from profiles: a run has to say why.
        if !walk.begun && view.model == PUBLIC {
            let what = format!(
                "public profiles are read instead, without {}",
                self.missing(view)
            );
            let mut notes = Notes {
                place: EMPLOYEE.into(),
                external_id: None,
                faults: &mut faults,
            };
            notes.field("the key's rights", what);
        }
        walk.begun = true;
        let mut workers: Vec<Worker> = Vec::new();
        let contracts = self.contracts(view, rows).await?;
        for row in rows {
            let Some(mut worker) = worker(row, view, scope, &mut faults) else {
                continue;
            };
            let left = row.get("departure_date").and_then(date);
            if let Some(source) = view.contracts {
                let own = id(row).and_then(|id| contracts.get(&id));
                let own = own.map_or(&[][..], Vec::as_slice);
                let current = row.get(source.current).and_then(link);
                let spell = spell(own, current);
                let start = spell.map(|spell| spell.start);
                let day = start.map(|day| Value::Text(day.to_string()));
                worker.attributes.insert(Attribute::StartDate, day);
                worker.starts_on = start;
                // A departure from before a rehire stays on the record in old versions.
                let left = left.filter(|day| start.is_none_or(|start| *day >= start));
                self.leave(&mut worker, spell.and_then(|spell| spell.end).or(left));
            } else if row.contains_key("departure_date") {
                self.leave(&mut worker, left);
            }
            workers.push(worker);
        }
        self.mark_photos(&mut workers, &mut faults).await?;
        Ok(Page {
            workers,
            faults,
            watermark,
        })
    }

    /// Each person's contracts: id, first day, last day.
    async fn contracts(
        &self,
        view: &View,
        rows: &[Row],
    ) -> Result<BTreeMap<i64, Vec<Contract>>, Error> {
        let mut contracts: BTreeMap<i64, Vec<Contract>> = BTreeMap::new();
        let ids: Vec<i64> = rows.iter().filter_map(id).collect();
        let Some(source) = view.contracts.filter(|_| !ids.is_empty()) else {
            return Ok(contracts);
        };
        let mut domain = source.domain();
        domain.push(json!(["employee_id", "in", ids]));
        let fields = json!(["employee_id", source.start, source.end]);
        let found = self
            .all(source.model, domain, fields, CONTRACT_ROWS, json!({}))
            .await?;
        for row in &found {
            let start = row.get(source.start).and_then(date);
            let employee = row.get("employee_id").and_then(link);
            if let (Some(id), Some(employee), Some(start)) = (id(row), employee, start) {
                let end = row.get(source.end).and_then(date);
                let own = contracts.entry(employee).or_default();
                own.push(Contract { id, start, end });
            }
        }
        Ok(contracts)
    }

    fn leave(&self, worker: &mut Worker, last: Option<NaiveDate>) {
        let day = last.map(|day| Value::Text(day.to_string()));
        worker.attributes.insert(Attribute::EndDate, day);
        if self.contracts_end {
            worker.ends_on = last;
        }
    }

    /// Gives each worker the checksum of the photo, by one question for all.
    /// Whoever may not read attachments gets people without photos.
    async fn mark_photos(
        &self,
        workers: &mut [Worker],
        faults: &mut Vec<Fault>,
    ) -> Result<(), Error> {
        let ids: Vec<i64> = workers
            .iter()
            .filter_map(|worker| worker.external_id.parse().ok())
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        let marks = match self.photo_files(json!(ids), ids.len()).await {
            Err(Error::Forbidden { .. }) => return Ok(()),
            marks => marks?,
        };
        let marks: BTreeMap<String, &Row> = marks
            .iter()
            .filter_map(|mark| Some((mark.get("res_id")?.as_i64()?.to_string(), mark)))
            .collect();
        for worker in workers {
            let Some(mark) = marks.get(&worker.external_id) else {
                continue;
            };
            let drawn = mark
                .get("mimetype")
                .and_then(Json::as_str)
                .is_some_and(|kind| kind.starts_with("image/svg"));
            let bytes = mark.get("file_size").and_then(Json::as_u64).unwrap_or(0);
            if drawn {
                continue;
            }
            if bytes > PHOTO_BYTES {
                let mut notes = notes(EMPLOYEE, Some(&worker.external_id), faults);
                notes.field(Attribute::Photos.name(), too_large(bytes));
                continue;
            }
            worker.photo = mark
                .get("checksum")
                .and_then(Json::as_str)
                .map(str::to_owned);
        }
        Ok(())
    }

    pub(super) async fn photo_files(&self, ids: Json, limit: usize) -> Result<Vec<Row>, Error> {
        let domain = json!([
            ["res_model", "=", EMPLOYEE],
            ["res_field", "=", "image_1920"],
            ["res_id", "in", ids]
        ]);
        let fields = ["res_id", "checksum", "mimetype", "file_size"];
        self.rows(
            "ir.attachment",
            json!({"domain": domain, "fields": fields, "limit": limit}),
        )
        .await
    }

    pub(super) async fn image(&self, external_id: &str) -> Result<Option<Photo>, Error> {
        let Ok(id) = external_id.parse::<i64>() else {
            return Ok(None);
        };
        let model = self.view().await?.model;
        // 512 pixels are what a profile shows at its largest; Odoo keeps them ready.
        let rows: Vec<Row> = self
            .call(model, "read", json!({"ids": [id], "fields": ["image_512"]}))
            .await?;
        let Some(encoded) = rows
            .first()
            .and_then(|row| row.get("image_512"))
            .and_then(Json::as_str)
        else {
            return Ok(None);
        };
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .map_err(|_| malformed(&format!("{model} {id}"), "image_512", "is not base64"))?;
        if bytes.len() as u64 > PHOTO_BYTES {
            let limit = usize::try_from(PHOTO_BYTES).unwrap_or(usize::MAX);
            return Err(Error::TooLarge {
                what: format!("the photo of {model} {id}"),
                limit,
            });
        }
        let drawn = bytes.trim_ascii_start().starts_with(b"<");
        Ok((!drawn && !bytes.is_empty()).then_some(Photo { bytes }))
    }

    pub(super) async fn structure(&self) -> Result<Structure, Error> {
        let scope = self.scope().await?;
        let mut structure = Structure::default();
        for company in &scope.companies {
            if let Some(external_id) = scope.unit(company.id) {
                structure.units.push(OrgUnit {
                    external_id,
                    name: company.name.clone(),
                    parent: company.parent.and_then(|parent| scope.unit(parent)),
                    heads: Vec::new(),
                });
            }
        }
        let fields = json!(["name", "parent_id", "manager_id", "company_id"]);
        // Archived ones too: people and units may still hang on them.
        let archived = json!({"active_test": false});
        let domain = self.within().await?;
        let rows = self.all(DEPARTMENT, domain, fields, 500, archived).await;
        let rows = match allowed(rows)? {
            Ok(rows) => rows,
            Err(error) => {
                let faults = &mut structure.faults;
                let mut notes = Notes {
                    place: DEPARTMENT.into(),
                    external_id: None,
                    faults,
                };
                notes.record(None, format!("{error}; people have no unit"));
                return Ok(structure);
            }
        };
        for row in &rows {
            structure
                .units
                .extend(unit(row, scope, &mut structure.faults));
        }
        Ok(structure)
    }

    pub(super) async fn set(
        &self,
        external_id: &str,
        attribute: Attribute,
        value: Option<&Value>,
    ) -> Result<(), Error> {
        let forbidden = || Error::Forbidden {
            what: format!("write {}", attribute.name()),
        };
        let gone = || Error::Rejected {
            what: format!("has no employee {external_id}"),
        };
        let view = self.view().await?;
        let field = match attribute {
            Attribute::Manager => Some("parent_id"),
            _ => {
                let mut fields = view.fields.iter();
                let found = fields.find(|(_, one)| *one == attribute);
                found.map(|(field, _)| field.as_str())
            }
        };
        let field = field.filter(|_| view.model == EMPLOYEE && WRITABLE.contains(&attribute));
        let field = field.ok_or_else(forbidden)?;
        let id: i64 = external_id.parse().map_err(|_| gone())?;
        let value = match value {
            // Odoo's way to say that a text or date is empty.
            None => json!(false),
            Some(value) if value.is_empty() => json!(false),
            Some(value) if attribute == Attribute::Manager => {
                json!(self.superior_to_be(id, &value.to_string()).await?)
            }
            Some(value) => json!(value.as_text().ok_or_else(forbidden)?),
        };
        let body = json!({"ids": [id], "vals": {field: value}});
        match self.call::<bool>(EMPLOYEE, "write", body).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Rejected {
                what: format!("did not take {}", attribute.name()),
            }),
            Err(Error::Forbidden { .. }) => Err(forbidden()),
            Err(error) => Err(error),
        }
    }

    /// The id of who is to be above `employee`. Odoo takes a circle of superiors without a
    /// word, and of one who is not there it says that a record in use cannot be deleted.
    async fn superior_to_be(&self, employee: i64, above: &str) -> Result<i64, Error> {
        let nobody = || Error::Rejected {
            what: format!("has no employee {above}"),
        };
        let id: i64 = above.parse().map_err(|_| nobody())?;
        let those = async |domain: Json| {
            let archived = json!({"active_test": false});
            let body = json!({"domain": domain, "fields": ["id"], "context": archived});
            self.rows(EMPLOYEE, body).await
        };
        if those(json!([["id", "=", id]])).await?.is_empty() {
            return Err(nobody());
        }
        let below = json!([["id", "=", id], ["id", "child_of", [employee]]]);
        match those(below).await?.is_empty() {
            true => Ok(id),
            false => Err(circle()),
        }
    }
}

/// A contract's days, the last one included.
#[derive(Debug, Clone, Copy)]
struct Contract {
    id: i64,
    start: NaiveDate,
    end: Option<NaiveDate>,
}

/// Contracts without a day between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spell {
    start: NaiveDate,
    end: Option<NaiveDate>,
}

/// The time of work that the contract `current` is part of: a renewed contract
/// is neither a leaver nor a joiner. Whatever lies before or after a gap is
/// another spell, which counts once Odoo calls its contract the current one.
fn spell(contracts: &[Contract], current: Option<i64>) -> Option<Spell> {
    let current = contracts.iter().find(|one| Some(one.id) == current)?;
    let mut contracts = contracts.to_vec();
    contracts.sort_by_key(|one| (one.start, one.id));
    let mut spells: Vec<Spell> = Vec::new();
    for contract in contracts {
        let follows = |spell: &&mut Spell| {
            let next = spell.end.and_then(|end| end.checked_add_days(Days::new(1)));
            next.is_none_or(|next| contract.start <= next)
        };
        match spells.last_mut().filter(follows) {
            // The later contract says how long, though the one before was open-ended.
            Some(spell) if contract.start > spell.start => spell.end = contract.end,
            Some(spell) => {
                let both = spell.end.zip(contract.end);
                spell.end = both.map(|(one, other)| one.max(other));
            }
            None => spells.push(Spell {
                start: contract.start,
                end: contract.end,
            }),
        }
    }
    let holds = |spell: &Spell| {
        spell.start <= current.start && spell.end.is_none_or(|end| current.start <= end)
    };
    spells.into_iter().rfind(holds)
}

fn date(value: &Json) -> Option<NaiveDate> {
    value.as_str()?.parse().ok()
}

fn unit(row: &Row, scope: &Scope, faults: &mut Vec<Fault>) -> Option<OrgUnit> {
    let Some(id) = id(row).map(|id| id.to_string()) else {
        notes(DEPARTMENT, None, faults).record(Some("id"), "has no id".into());
        return None;
    };
    let mut notes = notes(DEPARTMENT, Some(&id), faults);
    let raw = row.get("name").and_then(Json::as_str).unwrap_or_default();
    let name = match text::line("name", raw, 120).and_then(|name| text::required("name", name)) {
        Ok(name) => name,
        Err(violation) => {
            notes.record(Some("name"), complaint(&violation, raw));
            return None;
        }
    };
    let company = row.get("company_id").and_then(link);
    let parent = reference(row, "parent_id", &mut notes)
        .or_else(|| company.and_then(|company| scope.unit(company)));
    let heads = reference(row, "manager_id", &mut notes)
        .into_iter()
        .collect();
    Some(OrgUnit {
        external_id: id,
        name,
        parent,
        heads,
    })
}

fn worker(row: &Row, view: &View, scope: &Scope, faults: &mut Vec<Fault>) -> Option<Worker> {
    let Some(id) = id(row).map(|id| id.to_string()) else {
        notes(EMPLOYEE, None, faults).record(Some("id"), "has no id".into());
        return None;
    };
    let mut notes = notes(EMPLOYEE, Some(&id), faults);
    let mut worker = blank(&id);
    worker.active = row.get("active").and_then(Json::as_bool).unwrap_or(true);
    for (field, attribute) in &view.fields {
        match row.get(field) {
            // Odoo's way to say that a text or date is empty.
            None | Some(Json::Null | Json::Bool(false)) => {
                _ = worker.attributes.insert(*attribute, None);
            }
            Some(Json::String(raw)) => notes.set(&mut worker, *attribute, raw),
            Some(Json::Number(raw)) => notes.set(&mut worker, *attribute, &raw.to_string()),
            Some(other) => match label(other) {
                Some(name) => notes.set(&mut worker, *attribute, name),
                None => {
                    notes.field(attribute.name(), format!("{field} is not a text; left out"));
                }
            },
        }
    }
    if worker.text(Attribute::DisplayName).is_none() {
        notes.record(Some("name"), "has no name".into());
        return None;
    }
    worker.manager = reference(row, "parent_id", &mut notes);
    let company = row.get("company_id").and_then(link);
    worker.unit = reference(row, "department_id", &mut notes)
        .or_else(|| company.and_then(|company| scope.unit(company)));
    worker.changed_at = walk::Position::of(row, EMPLOYEE)
        .ok()
        .and_then(|position| position.at)
        .map(|at| at.and_utc());
    Some(worker)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `2020-01-01..2020-12-31`, open-ended without the second day.
    fn days(text: &str) -> (NaiveDate, Option<NaiveDate>) {
        let (start, end) = text.split_once("..").expect("two days");
        let end = (!end.is_empty()).then(|| end.parse().expect("a day"));
        (start.parse().expect("a day"), end)
    }

    fn of(contracts: &[&str], current: i64) -> Option<(NaiveDate, Option<NaiveDate>)> {
        let contracts: Vec<_> = (1..)
            .zip(contracts)
            .map(|(id, text)| {
                let (start, end) = days(text);
                Contract { id, start, end }
            })
            .collect();
        spell(&contracts, Some(current)).map(|spell| (spell.start, spell.end))
    }

    #[test]
    fn a_renewed_contract_is_one_time_of_work_and_a_gap_ends_it() {
        let renewed = [
            "2020-01-01..2020-12-31",
            "2021-01-01..2022-06-30",
            "2023-01-01..",
        ];
        assert_eq!(of(&renewed, 1), Some(days("2020-01-01..2022-06-30")));
        assert_eq!(of(&renewed, 2), Some(days("2020-01-01..2022-06-30")));
        assert_eq!(of(&renewed, 3), Some(days("2023-01-01..")));
        // Versions of one contract bear its dates each.
        let versions = ["2020-01-01..", "2020-01-01..", "2020-01-01.."];
        assert_eq!(of(&versions, 2), Some(days("2020-01-01..")));
        let ends = ["2020-01-01..", "2024-01-01..2025-12-31"];
        assert_eq!(of(&ends, 1), Some(days("2020-01-01..2025-12-31")));
        assert_eq!(of(&renewed, 9), None, "no contract is in force");
        assert_eq!(of(&[], 1), None);
    }
}

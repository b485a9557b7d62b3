//! Odoo: 19 and newer over JSON-2, 16 to 18 over JSON-RPC.
//!
//! What shapes these files, each found by calls to a running Odoo 19 over both
//! ways. Of 16 to 18 only their documentation and the fields that they offer
//! were known: fields that differ are asked for (`fields_get`), never guessed
//! from a version, and what was not seen to work with one of them is named in
//! the [kind's help](crate::KINDS).
//!
//! - An error is JSON with `name`, `message` and `debug`, the last a whole
//!   traceback. A field that does not exist is a 500 named `ValueError`, so a
//!   500 is not always worth another try.
//! - Archived records are hidden without `active_test: false`; deleted ones
//!   just vanish, which only a comparison of all ids tells.
//! - A user without *Employees: Officer* gets 403 for `hr.employee` and may
//!   read `hr.employee.public`, which has fewer fields. Dates of contracts need
//!   *Employees: Administrator*, what clients owe needs *Invoicing*.
//!   `fields_get` names the fields that a user may read.
//! - Photos are attachments with a checksum; some are SVG initials that Odoo
//!   drew itself, which say nothing and are left out.
//!
//! # What a delta can miss
//! A delta reads the rows whose `write_date` moved, and those whose contracts,
//! messages, entries or payments did (see [`walk`]). Departments and companies
//! are read in full every time. What is left has no date that moves with the
//! row: a place of work, a client's terms or a ticket's stage that is renamed,
//! and a contract that comes into force by the passing of its day, which Odoo
//! notes on the person overnight. So **a source of this kind is read in full at
//! least once a week**, and after records were renamed in Odoo. People who were
//! deleted are seen by every run, since their ids are compared whole; deleted
//! clients and tickets by a full one.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{
    Attribute, Value,
    erp::{Fault, Photo, Watermark},
    text,
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json, json};
use tokio::sync::OnceCell;

mod clients;
mod markup;
mod people;
mod scope;
mod tickets;
mod transport;
mod walk;

use crate::{
    Access, ClientPage, ErpAdapter, Error, Guard, Page, Probe, Readable, Structure, TicketPage,
    WorkerIds,
    registry::{Kind, Setting, optional, setting},
    words::{Notes, quote},
};
use clients::Ledger;
use people::View;
use scope::Scope;
use tickets::Desk;
use transport::Transport;
use walk::Walk;

type Row = Map<String, Json>;

const EMPLOYEE: &str = "hr.employee";
const PUBLIC: &str = "hr.employee.public";
const DEPARTMENT: &str = "hr.department";

const ID_ROWS: usize = 5_000;
const NUMBER_FIELD: &str = "barcode";

/// What has to be known of an Odoo.
pub(crate) const KIND: Kind = Kind {
    name: "odoo",
    label: "Odoo",
    help: "Reads employees, departments, photos, clients and tickets of Odoo, and writes corrections back. \
           Seen at work with Odoo 19 over both of its APIs; for 16 to 18, over JSON-RPC, it follows their documentation.",
    settings: &[
        setting(
            "url",
            "Address",
            "Where Odoo is, such as https://odoo.example.",
        ),
        optional(
            "database",
            "Database",
            "The name of the database; for json2 only needed where there is more than one.",
        ),
        Setting {
            secret: true,
            ..setting(
                "api_key",
                "API key",
                "Made in Odoo under Preferences, Account security, by a user with the rights Employees: Administrator, \
                 and Invoicing for what clients owe. With jsonrpc the user's password will do as well.",
            )
        },
        optional(
            "api",
            "API",
            "json2 for Odoo 19 and newer, which it is if nothing is entered; jsonrpc for 16 to 18.",
        ),
        optional(
            "login",
            "Login",
            "The name by which the key's user signs in to Odoo; for jsonrpc only.",
        ),
        optional(
            "companies",
            "Companies",
            "The companies to read, by name or number, a comma between. All that the key's user may see if nothing is entered.",
        ),
        optional(
            "contract_end",
            "End of a contract",
            "leaves, if somebody has left when their last contract has ended, which it is if nothing is entered; \
             stays, if they stay until they are archived in Odoo.",
        ),
        optional(
            "number_field",
            "Field of the employee number",
            "The field of hr.employee that holds it. Badge ID (barcode) if nothing is entered.",
        ),
        optional(
            "ticket_fields",
            "Fields of tickets",
            "Where helpdesk.ticket calls a field otherwise than the OCA's module or Enterprise, such as closed=fold, number=ticket_ref.",
        ),
    ],
    mapped: false,
};

/// An Odoo database.
#[derive(Debug)]
pub struct Odoo {
    transport: Transport,
    number_field: String,
    /// The companies to read, by name or id; all when empty.
    companies: Vec<String>,
    /// Whether the last day of a contract is a person's last day.
    contracts_end: bool,
    /// Fields of tickets that are called otherwise here.
    ticket_fields: BTreeMap<String, String>,
    view: OnceCell<View>,
    scope: OnceCell<Scope>,
    ledger: OnceCell<Reach<Ledger>>,
    desk: OnceCell<Reach<Desk>>,
}

/// What an app of Odoo offers to the key.
#[derive(Debug)]
enum Reach<T> {
    /// The app is not installed.
    Absent,
    /// Nothing; the right that is missing.
    Refused(&'static str),
    Open(T),
}

impl<T> Reach<T> {
    /// What is offered, none of an app that is not there.
    ///
    /// # Errors
    /// [`Error::Forbidden`]: an empty answer would say that all of it is gone.
    fn open(&self, model: &str) -> Result<Option<&T>, Error> {
        match self {
            Self::Absent => Ok(None),
            Self::Open(it) => Ok(Some(it)),
            Self::Refused(right) => Err(Error::Forbidden {
                what: format!("{model}; its user needs the right {right} in Odoo"),
            }),
        }
    }
}

impl Odoo {
    /// An Odoo with the settings of [`crate::KINDS`]; those that are not known
    /// are not looked at.
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::NotAllowed`].
    pub fn new(guard: &Guard, settings: &BTreeMap<String, String>) -> Result<Self, Error> {
        let get = |key: &str| {
            let value = settings.get(key).map(|value| value.trim());
            value.filter(|value| !value.is_empty())
        };
        let one_of = |key: &str, allowed: [&str; 2]| match get(key) {
            None => Ok(true),
            Some(value) if value == allowed[0] => Ok(true),
            Some(value) if value == allowed[1] => Ok(false),
            Some(value) => {
                let what = format!("{} is not {} or {}", quote(value), allowed[0], allowed[1]);
                Err(Error::setting(key, what))
            }
        };
        let http = guard.open("url", get("url").unwrap_or_default())?;
        let key = get("api_key").unwrap_or_default();
        let transport = if one_of("api", ["json2", "jsonrpc"])? {
            Transport::json2(http, get("database"), key)?
        } else {
            let needed = |key: &str| {
                get(key).ok_or_else(|| Error::setting(key, "is needed where api is jsonrpc"))
            };
            Transport::json_rpc(http, needed("database")?, needed("login")?, key)
        };
        let number_field = get("number_field").unwrap_or(NUMBER_FIELD);
        if !is_field(number_field) {
            let what = "is not the name of a field, such as barcode";
            return Err(Error::setting("number_field", what));
        }
        let list = |key: &str| {
            let parts = get(key).unwrap_or_default().split(',').map(str::trim);
            parts.filter(|part| !part.is_empty()).map(str::to_owned)
        };
        Ok(Self {
            transport,
            number_field: number_field.to_owned(),
            companies: list("companies").collect(),
            contracts_end: one_of("contract_end", ["leaves", "stays"])?,
            ticket_fields: tickets::field_map(list("ticket_fields"))?,
            view: OnceCell::new(),
            scope: OnceCell::new(),
            ledger: OnceCell::new(),
            desk: OnceCell::new(),
        })
    }

    async fn call<T: DeserializeOwned>(
        &self,
        model: &str,
        method: &str,
        body: Json,
    ) -> Result<T, Error> {
        match body {
            Json::Object(body) => self.transport.call(model, method, &body).await,
            _ => self.transport.call(model, method, &Map::new()).await,
        }
    }

    async fn rows(&self, model: &str, body: Json) -> Result<Vec<Row>, Error> {
        self.call(model, "search_read", body).await
    }

    /// What the user may read of `model`, each field with its type and choices.
    async fn fields(&self, model: &str) -> Result<BTreeMap<String, Json>, Error> {
        let body = json!({"attributes": ["type", "selection"]});
        self.call(model, "fields_get", body).await
    }

    /// Every row of `model` by id, page after page until an empty one: an
    /// answer with fewer rows than asked for need not be the last.
    async fn all(
        &self,
        model: &str,
        domain: Vec<Json>,
        fields: Json,
        limit: usize,
        context: Json,
    ) -> Result<Vec<Row>, Error> {
        let mut all: Vec<Row> = Vec::new();
        let mut after = 0;
        loop {
            let mut domain = domain.clone();
            domain.push(json!(["id", ">", after]));
            let body = json!({
                "domain": domain, "fields": fields, "order": "id asc", "limit": limit, "context": context,
            });
            let rows = self.rows(model, body).await?;
            let Some(last) = rows.last() else {
                return Ok(all);
            };
            let last = id(last).filter(|last| *last > after);
            after = last.ok_or_else(|| {
                malformed(model, "id", "does not follow the order that was asked for")
            })?;
            all.extend(rows);
        }
    }

    async fn count(&self, model: &str) -> Result<u64, Error> {
        let domain = self.within().await?;
        let body = json!({"domain": domain, "context": {"active_test": false}});
        self.call(model, "search_count", body).await
    }

    /// Odoo's version, from a page that needs no key.
    async fn version(&self) -> Option<String> {
        let answer = self.transport.open_page("web/version").await.ok()?;
        let version: Row = serde_json::from_slice(&answer.body).ok()?;
        text::line("version", version.get("version")?.as_str()?, 20).ok()
    }
}

#[async_trait]
impl ErpAdapter for Odoo {
    async fn probe(&self) -> Result<Probe, Error> {
        let view = self.view().await?;
        let missing = self.missing(view);
        let whole = missing.is_empty();
        let mut access = vec![Access {
            what: format!("Employees ({EMPLOYEE})"),
            readable: if whole {
                Readable::Yes
            } else {
                Readable::Reduced
            },
            note: if whole {
                "Every field that is used may be read.".to_owned()
            } else if view.model == EMPLOYEE {
                format!("Not readable with this key: {missing}.")
            } else {
                format!(
                    "This key may read public profiles ({PUBLIC}) only, without {missing}. \
                     For all, give its user the right Employees: Officer in Odoo; for the dates of contracts, Employees: Administrator."
                )
            },
        }];
        let people = self.count(view.model).await?;
        let mut tell = |what: &str, readable: Readable, note: &str| {
            access.push(Access {
                what: what.to_owned(),
                readable,
                note: note.to_owned(),
            });
        };
        let units = allowed(self.count(DEPARTMENT).await)?;
        let (readable, note) = match &units {
            Ok(_) => (Readable::Yes, "Names, parents and managers may be read."),
            Err(_) => (
                Readable::No,
                "Not readable with this key: people will have no unit.",
            ),
        };
        tell("Departments (hr.department)", readable, note);
        let (readable, note) = match allowed(self.photo_files(json!([]), 1).await)? {
            Ok(_) => (Readable::Yes, "Only photos that changed are fetched."),
            Err(_) => (
                Readable::No,
                "Not readable with this key: people will have no photo from Odoo.",
            ),
        };
        tell("Photos (ir.attachment)", readable, note);
        let scope = self.scope().await?;
        if scope.companies.len() > 1 {
            let names: Vec<_> = scope
                .companies
                .iter()
                .map(|one| one.name.as_str())
                .collect();
            let note = format!("Each is a unit at the top: {}.", names.join(", "));
            tell("Companies (res.company)", Readable::Yes, &note);
        }
        let lacks = |right: &str| {
            format!("Not readable with this key: give its user the right {right} in Odoo.")
        };
        // An app that is not installed is nothing to tell of.
        let clients = "Clients (res.partner)";
        match self.ledger().await? {
            Reach::Absent => {}
            Reach::Refused(right) => tell(clients, Readable::No, &lacks(right)),
            Reach::Open(ledger) => match &ledger.books {
                Ok(_) => {
                    let note = "Balances, open items and payments may be read.";
                    tell(clients, Readable::Yes, note);
                }
                Err(why) => tell(clients, Readable::Reduced, why),
            },
        }
        let tickets = "Tickets (helpdesk.ticket)";
        match self.desk().await? {
            Reach::Absent => {}
            Reach::Refused(right) => tell(tickets, Readable::No, &lacks(right)),
            Reach::Open(_) => {
                let note = "Those that its user sees may be read, with their messages.";
                tell(tickets, Readable::Yes, note);
            }
        }
        let version = self.version().await;
        Ok(Probe {
            system: version.map_or_else(|| "Odoo".to_owned(), |version| format!("Odoo {version}")),
            people,
            units: units.unwrap_or(0),
            access,
        })
    }

    async fn units(&self) -> Result<Structure, Error> {
        self.structure().await
    }

    fn workers(&self, since: Option<Watermark>) -> BoxStream<'_, Result<Page, Error>> {
        stream::try_unfold(None, move |walk: Option<Walk>| {
            let since = since.clone();
            async move {
                let mut walk = match walk {
                    Some(walk) => walk,
                    None => Walk::since(since.as_ref())?,
                };
                let table = self.view().await?.table(self.within().await?);
                let Some(rows) = self.step(&table, &mut walk).await? else {
                    return Ok(None);
                };
                let page = self.people(&rows, &mut walk).await?;
                Ok(Some((page, Some(walk))))
            }
        })
        .boxed()
    }

    async fn worker_ids(&self) -> Result<WorkerIds, Error> {
        let model = self.view().await?.model;
        let (fields, archived) = (json!(["id"]), json!({"active_test": false}));
        let domain = self.within().await?;
        let rows = self.all(model, domain, fields, ID_ROWS, archived).await?;
        let ids: Vec<_> = rows.iter().filter_map(id).collect();
        Ok(WorkerIds {
            unreadable: rows.len() - ids.len(),
            ids: ids.iter().map(ToString::to_string).collect(),
        })
    }

    async fn photo(&self, external_id: &str) -> Result<Option<Photo>, Error> {
        self.image(external_id).await
    }

    fn writable(&self) -> &[Attribute] {
        people::WRITABLE
    }

    async fn write(
        &self,
        external_id: &str,
        attribute: Attribute,
        value: Option<&Value>,
    ) -> Result<(), Error> {
        self.set(external_id, attribute, value).await
    }

    fn clients(&self, since: Option<Watermark>) -> BoxStream<'_, Result<ClientPage, Error>> {
        stream::try_unfold(None, move |walk: Option<Walk>| {
            let since = since.clone();
            async move {
                let mut walk = match walk {
                    Some(walk) => walk,
                    None => Walk::since(since.as_ref())?,
                };
                let page = self.client_page(&mut walk).await?;
                Ok(page.map(|page| (page, Some(walk))))
            }
        })
        .boxed()
    }

    fn tickets(&self, since: Option<Watermark>) -> BoxStream<'_, Result<TicketPage, Error>> {
        stream::try_unfold(None, move |walk: Option<Walk>| {
            let since = since.clone();
            async move {
                let mut walk = match walk {
                    Some(walk) => walk,
                    None => Walk::since(since.as_ref())?,
                };
                let page = self.ticket_page(&mut walk).await?;
                Ok(page.map(|page| (page, Some(walk))))
            }
        })
        .boxed()
    }
}

/// Whether it can be the name of a field of Odoo.
fn is_field(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn malformed(record: &str, field: &str, what: &str) -> Error {
    Error::Malformed {
        record: record.to_owned(),
        field: field.to_owned(),
        what: what.to_owned(),
    }
}

/// Keeps "may not" as an answer, and lets everything else end the pull.
fn allowed<T>(result: Result<T, Error>) -> Result<Result<T, Error>, Error> {
    match result {
        Err(error) if !matches!(error, Error::Forbidden { .. }) => Err(error),
        result => Ok(result),
    }
}

fn id(row: &Row) -> Option<i64> {
    row.get("id")?.as_i64().filter(|id| *id > 0)
}

/// The id of a many2one, `[id, "display name"]`, or of a plain number.
fn link(value: &Json) -> Option<i64> {
    value.get(0).unwrap_or(value).as_i64().filter(|id| *id > 0)
}

/// The name of a many2one.
fn label(value: &Json) -> Option<&str> {
    link(value)?;
    value.get(1)?.as_str()
}

fn notes<'a>(model: &str, id: Option<&str>, faults: &'a mut Vec<Fault>) -> Notes<'a> {
    let place = id.map_or_else(
        || format!("{model}, a record without id"),
        |id| format!("{model} {id}"),
    );
    Notes {
        place,
        external_id: id.map(str::to_owned),
        faults,
    }
}

/// A many2one: `[id, "display name"]`, or `false`.
fn reference(row: &Row, field: &str, notes: &mut Notes<'_>) -> Option<String> {
    match row.get(field) {
        None | Some(Json::Null | Json::Bool(false)) => None,
        Some(Json::Array(pair)) if pair.first().is_some_and(Json::is_i64) => {
            pair[0].as_i64().map(|id| id.to_string())
        }
        Some(_) => {
            notes.field(field, "is not a reference; left out".into());
            None
        }
    }
}

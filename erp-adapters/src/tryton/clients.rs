//! Clients: parties that have stood in a receivable account.
//!
//! Tryton has no mark for a client, and a customer's invoice always leaves a
//! line in an account of the type receivable. `party.receivable` is about the
//! company in the context and in that company's currency; invoices in another
//! currency get an account of their own, whose balance is what is open of
//! them, and which the company's balance contains at Tryton's rate.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use domain::{
    client::{Account, Client, Item, Payment},
    erp::{Fault, Watermark},
    text as words,
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};

use super::{
    Mark, PARTY, Tryton, about, is_active,
    rest::{Question, Row, allowed, date, decimal, id, part, parts, reference, text},
    row_of,
};
use crate::{Access, ClientPage, Error};

const LINE: &str = "account.move.line";
const INVOICE: &str = "account.invoice";

/// Clients in a page.
const PAGE_CLIENTS: usize = 100;
/// Rows that are asked for at once.
const ROWS: usize = 1_000;
/// Payments that are kept of each client in each company.
const PAYMENTS: usize = 20;

/// What of a line tells whether its client changed.
const LINE_FIELDS: [&str; 8] = [
    "party",
    "company",
    "write_date",
    "create_date",
    "party.write_date",
    "party.create_date",
    "party.contact_mechanisms.write_date",
    "party.contact_mechanisms.create_date",
];
const INVOICE_FIELDS: [&str; 4] = ["party", "company", "write_date", "create_date"];

/// A company as far as accounts need it.
struct Company {
    id: i64,
    currency: String,
    /// The ways to pay that it knows.
    options: Vec<String>,
}

/// A pull under way.
struct Pull {
    /// Whose records are still to be read.
    left: Vec<i64>,
    companies: Vec<Company>,
    invoices: bool,
    mark: Mark,
    over: bool,
}

impl Tryton {
    pub(super) async fn probe_clients(&self) -> Result<Access, Error> {
        let what = format!("Clients ({LINE})");
        if !self.has("account").await? {
            let no = "The module account is not activated: there are no clients to read.";
            return Ok(row_of(what, false, "", no));
        }
        let question = Question {
            model: LINE,
            domain: json!([]),
            fields: &["id"],
            context: json!({}),
            limit: 1,
        };
        let readable = allowed(self.rest.rows(&question).await)?.is_ok();
        Ok(row_of(
            what,
            readable,
            "Balances, open invoices, terms and payments may be read.",
            "Not readable with this key: give its user the group Accounting in Tryton for clients to be read.",
        ))
    }

    pub(super) fn client_pages(
        &self,
        since: Option<Watermark>,
    ) -> BoxStream<'_, Result<ClientPage, Error>> {
        stream::try_unfold(None, move |pull: Option<Pull>| {
            let since = since.clone();
            async move {
                let pull = match pull {
                    Some(pull) => pull,
                    None => match self.begin(since.as_ref()).await? {
                        Some(pull) => pull,
                        None => return Ok(None),
                    },
                };
                Ok(self
                    .client_page(pull)
                    .await?
                    .map(|(page, pull)| (page, Some(pull))))
            }
        })
        .boxed()
    }

    /// None for a Tryton that keeps no accounts.
    async fn begin(&self, since: Option<&Watermark>) -> Result<Option<Pull>, Error> {
        let mut mark = Mark::since(since)?;
        if !self.has("account").await? {
            return Ok(None);
        }
        let invoices = self.has("account_invoice").await?;
        let left = self.changed(&mut mark, invoices).await?;
        Ok(Some(Pull {
            left: left.into_iter().rev().collect(),
            companies: self.companies(invoices).await?,
            invoices,
            mark,
            over: false,
        }))
    }

    /// The clients that changed: themselves, their accounts or their invoices.
    async fn changed(&self, mark: &mut Mark, invoices: bool) -> Result<BTreeSet<i64>, Error> {
        let before = *mark;
        let mut ids = BTreeSet::new();
        let lines = Question {
            model: LINE,
            domain: json!([
                ["account.type.receivable", "=", true],
                ["party", "!=", null],
                ["move.state", "=", "posted"],
                before.changed(&LINE_FIELDS)
            ]),
            fields: &LINE_FIELDS,
            context: json!({"active_test": false}),
            limit: ROWS,
        };
        let bills = Question {
            model: INVOICE,
            domain: json!([
                ["type", "=", "out"],
                ["state", "in", ["posted", "paid", "cancelled"]],
                before.changed(&INVOICE_FIELDS)
            ]),
            fields: &INVOICE_FIELDS,
            ..lines.clone()
        };
        for question in [Some(lines), invoices.then_some(bills)]
            .into_iter()
            .flatten()
        {
            let mut after = 0;
            while let Some((page, last)) = self.rest.after(&question, after).await? {
                for row in &page.rows {
                    mark.note(row, question.fields, page.at.map(|at| at.naive_utc()));
                    ids.extend(reference(row, "party"));
                }
                after = last;
            }
        }
        Ok(ids)
    }

    async fn companies(&self, invoices: bool) -> Result<Vec<Company>, Error> {
        let rows = self
            .rest
            .all(&Question {
                model: super::COMPANY,
                domain: json!([]),
                fields: &["currency.code"],
                context: json!({}),
                limit: ROWS,
            })
            .await?;
        let mut options: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        if invoices {
            let question = Question {
                model: "account.invoice.payment.method",
                domain: json!([]),
                fields: &["name", "company"],
                context: json!({}),
                limit: ROWS,
            };
            for row in allowed(self.rest.all(&question).await)?.unwrap_or_default() {
                if let (Some(company), Some(name)) =
                    (reference(&row, "company"), text(&row, "name"))
                {
                    options.entry(company).or_default().push(name.to_owned());
                }
            }
        }
        let mut company = |row: &Row| {
            let id = id(row)?;
            Some(Company {
                id,
                currency: text(row, "currency.code")?.to_owned(),
                options: options.remove(&id).unwrap_or_default(),
            })
        };
        Ok(rows.iter().filter_map(&mut company).collect())
    }

    async fn client_page(&self, mut pull: Pull) -> Result<Option<(ClientPage, Pull)>, Error> {
        if pull.over {
            return Ok(None);
        }
        let ids = pull
            .left
            .split_off(pull.left.len().saturating_sub(PAGE_CLIENTS));
        if ids.is_empty() {
            // The last page, empty: only now is everything read.
            pull.over = true;
            let watermark = pull.mark.ended();
            return Ok(watermark.map(|watermark| {
                let page = ClientPage {
                    clients: Vec::new(),
                    faults: Vec::new(),
                    watermark,
                };
                (page, pull)
            }));
        }
        let mut faults = Vec::new();
        let mut items = match pull.invoices {
            true => self.items(&ids, &mut faults).await?,
            false => Items::new(),
        };
        let mut payments = self.payments(&ids, &mut faults).await?;
        let mut clients = BTreeMap::new();
        for company in &pull.companies {
            let question = Question {
                model: PARTY,
                domain: json!([["id", "in", ids]]),
                fields: &[
                    "name",
                    "code",
                    "active",
                    "receivable",
                    "receivable_today",
                    "customer_payment_term.name",
                    "contact_mechanisms.type",
                    "contact_mechanisms.value",
                    "contact_mechanisms.active",
                    "write_date",
                    "create_date",
                ],
                context: json!({"active_test": false, "company": company.id}),
                limit: PAGE_CLIENTS,
            };
            for row in self.rest.all(&question).await? {
                let Some(id) = id(&row) else { continue };
                // What is wrong with a client is told once, not once for each company.
                let known = clients
                    .entry(id)
                    .or_insert_with(|| client(&row, id, &mut faults));
                let Some(client) = known else { continue };
                account(
                    client,
                    &row,
                    company,
                    items.remove(&(id, company.id)).unwrap_or_default(),
                    payments.remove(&(id, company.id)).unwrap_or_default(),
                    &mut faults,
                );
            }
        }
        let page = ClientPage {
            clients: clients.into_values().flatten().collect(),
            faults,
            watermark: pull.mark.begun(),
        };
        Ok(Some((page, pull)))
    }

    /// The invoices that are not settled, by client, company and currency.
    async fn items(&self, ids: &[i64], faults: &mut Vec<Fault>) -> Result<Items, Error> {
        let rows = self
            .rest
            .all(&Question {
                model: INVOICE,
                domain: json!([
                    ["type", "=", "out"],
                    ["state", "=", "posted"],
                    ["party", "in", ids]
                ]),
                fields: &[
                    "party",
                    "company",
                    "number",
                    "invoice_date",
                    "total_amount",
                    "amount_to_pay",
                    "currency.code",
                    "lines_to_pay.maturity_date",
                    "lines_to_pay.reconciliation",
                ],
                context: json!({}),
                limit: ROWS,
            })
            .await?;
        let mut items = Items::new();
        for row in &rows {
            let (Some(party), Some(company)) = (reference(row, "party"), reference(row, "company"))
            else {
                continue;
            };
            let Some((currency, item)) = item(row, faults) else {
                continue;
            };
            let of = items.entry((party, company)).or_default();
            of.entry(currency).or_default().push(item);
        }
        Ok(items)
    }

    /// The last payments, by client and company: what came in over a journal of
    /// money, the newest first.
    async fn payments(&self, ids: &[i64], faults: &mut Vec<Fault>) -> Result<Payments, Error> {
        let rows = self
            .rest
            .all(&Question {
                model: LINE,
                domain: json!([
                    ["account.type.receivable", "=", true],
                    ["credit", ">", {"__class__": "Decimal", "decimal": "0"}],
                    ["move.state", "=", "posted"],
                    ["move.journal.type", "in", ["cash", "bank", "statement"]],
                    ["party", "in", ids]
                ]),
                fields: &["party", "company", "date", "credit", "move.number"],
                context: json!({}),
                limit: ROWS,
            })
            .await?;
        let mut payments = Payments::new();
        for row in &rows {
            let read = (|| {
                let payment = Payment {
                    external_id: id(row)?.to_string(),
                    reference: text(row, "move.number").unwrap_or_default().to_owned(),
                    date: part(row, "date").and_then(date)?,
                    amount: part(row, "credit").and_then(decimal)?,
                };
                Some((
                    (reference(row, "party")?, reference(row, "company")?),
                    payment,
                ))
            })();
            match read {
                Some((of, payment)) => payments.entry(of).or_default().push(payment),
                None => about(LINE, &id(row).unwrap_or_default().to_string(), faults)
                    .record(None, "is no payment with a day and an amount".into()),
            }
        }
        for of in payments.values_mut() {
            of.reverse();
            of.sort_by_key(|payment| std::cmp::Reverse(payment.date));
            of.truncate(PAYMENTS);
        }
        Ok(payments)
    }
}

/// By client and company, then by currency.
type Items = BTreeMap<(i64, i64), BTreeMap<String, Vec<Item>>>;
/// By client and company.
type Payments = BTreeMap<(i64, i64), Vec<Payment>>;

fn client(row: &Row, id: i64, faults: &mut Vec<Fault>) -> Option<Client> {
    let id = id.to_string();
    let mut notes = about(PARTY, &id, faults);
    let raw = text(row, "name").unwrap_or_default();
    let name = match words::line("name", raw, 200).and_then(|name| words::required("name", name)) {
        Ok(name) => name,
        Err(violation) => {
            notes.record(Some("name"), crate::words::complaint(&violation, raw));
            return None;
        }
    };
    let contacts = |kinds: &[&str]| {
        parts(row, "contact_mechanisms")
            .filter(|contact| is_active(contact))
            .filter(|contact| text(contact, "type").is_some_and(|kind| kinds.contains(&kind)))
            .filter_map(|contact| words::line("contact", text(contact, "value")?, 200).ok())
            .collect()
    };
    let changed =
        ["write_date", "create_date"].map(|field| row.get(field).and_then(super::rest::moment));
    Some(Client {
        external_id: id,
        name,
        number: text(row, "code").map(str::to_owned),
        emails: contacts(&["email"]),
        phones: contacts(&["phone", "mobile"]),
        active: is_active(row),
        accounts: Vec::new(),
        changed_at: changed.into_iter().max().flatten().map(|at| at.and_utc()),
    })
}

/// Adds what stands between the client and one company, if anything does.
fn account(
    client: &mut Client,
    row: &Row,
    company: &Company,
    mut items: BTreeMap<String, Vec<Item>>,
    payments: Vec<Payment>,
    faults: &mut Vec<Fault>,
) {
    let Some(balance) = part(row, "receivable").and_then(decimal) else {
        about(PARTY, &client.external_id, faults)
            .field("receivable", "may not be read; left out".into());
        return;
    };
    let own = items.remove(&company.currency).unwrap_or_default();
    let terms = text(row, "customer_payment_term.name").map(str::to_owned);
    let of = |currency: String, balance, overdue, open_items, payments| Account {
        company: Some(company.id.to_string()),
        currency,
        balance,
        overdue,
        credit_limit: None,
        terms: terms.clone(),
        payment_options: company.options.clone(),
        open_items,
        payments,
    };
    if !balance.is_zero() || !own.is_empty() || !payments.is_empty() || !items.is_empty() {
        // Due today counts as well, as Tryton counts it. What was paid ahead of its time makes it negative.
        let overdue = part(row, "receivable_today")
            .and_then(decimal)
            .map(|due| due.max(Decimal::ZERO));
        let currency = company.currency.clone();
        let account = of(currency, balance, overdue, sorted(own), payments);
        client.accounts.push(account);
    }
    for (currency, items) in items {
        let balance = items.iter().map(|item| item.open).sum();
        let account = of(currency, balance, None, sorted(items), Vec::new());
        client.accounts.push(account);
    }
}

/// The oldest due date first, those without one last.
fn sorted(mut items: Vec<Item>) -> Vec<Item> {
    items.sort_by_key(|item| (item.due.unwrap_or(NaiveDate::MAX), item.date));
    items
}

fn item(row: &Row, faults: &mut Vec<Fault>) -> Option<(String, Item)> {
    let external_id = id(row)?.to_string();
    let due = parts(row, "lines_to_pay")
        .filter(|line| line.get("reconciliation").is_none_or(Json::is_null))
        .filter_map(|line| line.get("maturity_date").and_then(date))
        .min();
    let item = (|| {
        let item = Item {
            external_id: external_id.clone(),
            number: text(row, "number")?.to_owned(),
            date: part(row, "invoice_date").and_then(date)?,
            due,
            amount: part(row, "total_amount").and_then(decimal)?,
            open: part(row, "amount_to_pay").and_then(decimal)?,
        };
        Some((text(row, "currency.code")?.to_owned(), item))
    })();
    if item.is_none() {
        about(INVOICE, &external_id, faults).record(
            None,
            "has no number, day, amount or currency; left out".into(),
        );
    }
    item
}

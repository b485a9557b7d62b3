//! Clients: partners with a customer rank, what they owe each company, what is
//! open and what they paid last.
//!
//! A contact of a company is no client of its own: entries stand with the
//! company (`commercial_partner_id`). Money comes as JSON numbers; their text is
//! what Odoo printed, so it is read from the text and rounded to the currency's
//! digits, and no float is ever calculated with.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    str::FromStr as _,
};

use chrono::NaiveDate;
use domain::{
    Attribute,
    client::{Account, Client, Item, Payment},
    erp::Fault,
    text,
};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value as Json, json};

use super::{
    Odoo, Reach, Row, allowed, id, label, link, malformed, notes, transport::no_model, walk,
};
use crate::{ClientPage, Error, words::complaint};

const PARTNER: &str = "res.partner";
const LINE: &str = "account.move.line";
const PAYMENT: &str = "account.payment";
/// So many that the newest payments of a page fit in few answers.
const PAGE_ROWS: usize = 50;
const LINE_ROWS: usize = 1_000;
const PAYMENT_ROWS: usize = 500;
/// How many payments of a client and company are kept.
const LAST_PAYMENTS: usize = 5;
/// The states of a payment that came in: 16 and 17, then 18 and newer.
const PAID: [&str; 3] = ["posted", "in_process", "paid"];
const NO_RIGHT: &str =
    "What clients owe may not be read with this key: give its user the right Invoicing in Odoo.";

/// What is known of clients before the first is read.
#[derive(Debug)]
pub(super) struct Ledger {
    fields: Vec<String>,
    pub(super) books: Result<Books, &'static str>,
}

/// What is the same for all clients.
#[derive(Debug)]
pub(super) struct Books {
    /// The partner's fields that depend on the company.
    fields: Vec<String>,
    currencies: BTreeMap<i64, Currency>,
    /// The ways to pay, by company.
    options: BTreeMap<i64, Vec<String>>,
}

#[derive(Debug)]
struct Currency {
    code: String,
    digits: u32,
}

/// Accounts by client, company and currency.
type Accounts = BTreeMap<(i64, i64, i64), Account>;

impl Ledger {
    fn table(&self, within: Vec<Json>) -> walk::Table {
        let part = |model, domain| walk::Part {
            model,
            row: "partner_id",
            domain,
        };
        // Whatever their state: an invoice that is taken back to draft changes what is owed.
        let receivable = vec![json!(["account_type", "=", "asset_receivable"])];
        let inbound = vec![json!(["payment_type", "=", "inbound"])];
        let mut domain = within;
        domain.extend([
            json!(["customer_rank", ">", 0]),
            json!("|"),
            json!(["is_company", "=", true]),
            json!(["parent_id", "=", false]),
        ]);
        walk::Table {
            model: PARTNER,
            fields: self.fields.clone(),
            domain,
            parts: if self.books.is_ok() {
                vec![part(LINE, receivable), part(PAYMENT, inbound)]
            } else {
                Vec::new()
            },
            rows: PAGE_ROWS,
        }
    }
}

impl Odoo {
    pub(super) async fn ledger(&self) -> Result<&Reach<Ledger>, Error> {
        self.ledger
            .get_or_try_init(|| async {
                let Ok(all) = allowed(self.fields(PARTNER).await)? else {
                    return Ok(Reach::Refused("Internal User"));
                };
                // The rank comes with the app Invoicing.
                if !all.contains_key("customer_rank") {
                    return Ok(Reach::Absent);
                }
                let used = [
                    "id",
                    "name",
                    "ref",
                    "email",
                    "phone",
                    "mobile",
                    "active",
                    "write_date",
                ];
                let has = |names: &[&str]| {
                    let names = names.iter().filter(|name| all.contains_key(**name));
                    names.map(|name| (*name).to_owned()).collect::<Vec<_>>()
                };
                let fields = has(&used);
                let books = if all.contains_key("credit") {
                    let money = [
                        "credit",
                        "credit_limit",
                        "show_credit_limit",
                        "property_payment_term_id",
                        "property_inbound_payment_method_line_id",
                    ];
                    self.books(has(&money)).await?
                } else {
                    Err(NO_RIGHT)
                };
                Ok(Reach::Open(Ledger { fields, books }))
            })
            .await
    }

    async fn books(&self, fields: Vec<String>) -> Result<Result<Books, &'static str>, Error> {
        let body = json!({"domain": [], "fields": ["id"], "limit": 1});
        for model in [LINE, PAYMENT] {
            if allowed(self.rows(model, body.clone()).await)?.is_err() {
                return Ok(Err(NO_RIGHT));
            }
        }
        let (names, archived) = (
            json!(["name", "decimal_places"]),
            json!({"active_test": false}),
        );
        let rows = self
            .all("res.currency", Vec::new(), names, LINE_ROWS, archived)
            .await?;
        let currency = |row: &Row| {
            let digits = row.get("decimal_places")?.as_u64()?;
            let code = row.get("name")?.as_str()?.to_owned();
            Some((
                id(row)?,
                Currency {
                    code,
                    digits: u32::try_from(digits).ok().filter(|digits| *digits <= 9)?,
                },
            ))
        };
        Ok(Ok(Books {
            fields,
            currencies: rows.iter().filter_map(currency).collect(),
            options: self.payment_options().await?,
        }))
    }

    /// What each company lets its clients pay by: providers that are switched
    /// on, then the ways to pay into its accounts.
    async fn payment_options(&self) -> Result<BTreeMap<i64, Vec<String>>, Error> {
        let mut options: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        let companies = self.scope().await?.ids();
        let ways = [
            ("payment.provider", json!(["state", "=", "enabled"])),
            (
                "account.payment.method.line",
                json!(["payment_type", "=", "inbound"]),
            ),
        ];
        for (model, which) in ways {
            let fields = json!(["display_name", "company_id"]);
            // Without it one account of a company that is closed to the user ends the answer.
            let own = json!(["company_id", "in", companies]);
            let rows = match self
                .all(model, vec![which, own], fields, LINE_ROWS, json!({}))
                .await
            {
                // Only an administrator of Odoo sees the providers; without the app there are none.
                Err(Error::Forbidden { .. }) => continue,
                Err(error) if error == no_model(model) => continue,
                rows => rows?,
            };
            for row in &rows {
                let company = row.get("company_id").and_then(link);
                let name = row.get("display_name").and_then(Json::as_str);
                if let (Some(company), Some(name)) = (company, name) {
                    let names = options.entry(company).or_default();
                    if !names.iter().any(|known| known == name) {
                        names.push(name.to_owned());
                    }
                }
            }
        }
        Ok(options)
    }

    pub(super) async fn client_page(
        &self,
        walk: &mut walk::Walk,
    ) -> Result<Option<ClientPage>, Error> {
        let mut faults = Vec::new();
        let Some(ledger) = self.ledger().await?.open(PARTNER)? else {
            return Ok(None);
        };
        let Some(rows) = self.step(&ledger.table(self.within().await?), walk).await? else {
            return Ok(None);
        };
        let watermark = walk.watermark(self.transport.now());
        if let Err(why) = &ledger.books
            && !walk.begun
        {
            notes_of_rights(PARTNER, why, &mut faults);
        }
        walk.begun = true;
        let mut clients: Vec<Client> = rows
            .iter()
            .filter_map(|row| client(row, &mut faults))
            .collect();
        if let Ok(books) = &ledger.books
            && !clients.is_empty()
        {
            self.keep(books, &mut clients, &mut faults).await?;
        }
        Ok(Some(ClientPage {
            clients,
            faults,
            watermark,
        }))
    }

    /// Gives each client the accounts with every company that is read.
    async fn keep(
        &self,
        books: &Books,
        clients: &mut [Client],
        faults: &mut Vec<Fault>,
    ) -> Result<(), Error> {
        let ids: Vec<i64> = clients
            .iter()
            .filter_map(|client| client.external_id.parse().ok())
            .collect();
        let mut accounts = Accounts::new();
        let mut owed = BTreeSet::new();
        self.balances(books, &ids, &mut accounts, &mut owed, faults)
            .await?;
        self.open_items(books, &ids, &mut accounts, &owed, faults)
            .await?;
        self.payments(books, &ids, &mut accounts).await?;
        for ((client, ..), mut account) in accounts {
            let client = client.to_string();
            account
                .open_items
                .sort_by_key(|item| (item.due.unwrap_or(item.date), item.date));
            if let Some(client) = clients.iter_mut().find(|one| one.external_id == client) {
                client.accounts.push(account);
            }
        }
        Ok(())
    }

    /// What each client owes each company, in the company's currency. Who is in
    /// `owed` afterwards, by client and company, has a balance of Odoo's own.
    async fn balances(
        &self,
        books: &Books,
        ids: &[i64],
        accounts: &mut Accounts,
        owed: &mut BTreeSet<(i64, i64)>,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Error> {
        let scope = self.scope().await?;
        for company in &scope.companies {
            // A branch has no books of its own.
            if scope.books(company.id) != company.id {
                continue;
            }
            let Some(currency) = company.currency else {
                continue;
            };
            let body = json!({
                "domain": [["id", "in", ids]], "fields": books.fields,
                "context": {"active_test": false, "allowed_company_ids": [company.id]},
            });
            for row in self.rows(PARTNER, body).await? {
                let Some(client) = id(&row) else { continue };
                let key = (client, company.id, currency);
                let Some(account) = self.account(books, accounts, key).await? else {
                    continue;
                };
                let digits = books.digits(currency);
                let Some(balance) = amount(row.get("credit"), digits) else {
                    let client = client.to_string();
                    let what = "is not an amount; the account is left out".to_owned();
                    notes(PARTNER, Some(&client), faults).field("credit", what);
                    accounts.remove(&key);
                    continue;
                };
                owed.insert((client, company.id));
                account.balance = balance;
                // Nothing means no limit, and the switch is the company's.
                let limited = row.get("show_credit_limit") != Some(&json!(false));
                account.credit_limit = amount(row.get("credit_limit"), digits)
                    .filter(|limit| limited && *limit > Decimal::ZERO);
                let name = |field: &str| row.get(field).and_then(label).map(str::to_owned);
                account.terms = name("property_payment_term_id");
                if let Some(preferred) = name("property_inbound_payment_method_line_id") {
                    account.payment_options.retain(|name| *name != preferred);
                    account.payment_options.insert(0, preferred);
                }
            }
        }
        Ok(())
    }

    /// The account of `key` (client, company, currency); none in a currency that is not known.
    async fn account<'a>(
        &self,
        books: &Books,
        accounts: &'a mut Accounts,
        key: (i64, i64, i64),
    ) -> Result<Option<&'a mut Account>, Error> {
        let (_, company, currency) = key;
        let Some(currency) = books.currencies.get(&currency) else {
            return Ok(None);
        };
        let unit = self.scope().await?.unit(company);
        Ok(Some(accounts.entry(key).or_insert_with(|| Account {
            company: unit,
            currency: currency.code.clone(),
            balance: Decimal::new(0, currency.digits),
            overdue: None,
            credit_limit: None,
            terms: None,
            payment_options: books.options.get(&company).cloned().unwrap_or_default(),
            open_items: Vec::new(),
            payments: Vec::new(),
        })))
    }

    /// What is open, in its own currency. Odoo's balance holds all of it in the
    /// company's currency: what is owed in another is taken out of it again.
    async fn open_items(
        &self,
        books: &Books,
        ids: &[i64],
        accounts: &mut Accounts,
        owed: &BTreeSet<(i64, i64)>,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Error> {
        let scope = self.scope().await?;
        let domain = vec![
            json!(["account_type", "=", "asset_receivable"]),
            json!(["parent_state", "=", "posted"]),
            json!(["reconciled", "=", false]),
            json!(["partner_id", "in", ids]),
            json!(["company_id", "in", scope.ids()]),
        ];
        let fields = json!([
            "move_name",
            "partner_id",
            "company_id",
            "currency_id",
            "company_currency_id",
            "date",
            "invoice_date",
            "date_maturity",
            "amount_currency",
            "amount_residual",
            "amount_residual_currency",
        ]);
        for row in self.all(LINE, domain, fields, LINE_ROWS, json!({})).await? {
            let of = |field: &str| row.get(field).and_then(link);
            let (Some(line), Some(client), Some(company), Some(currency)) = (
                id(&row),
                of("partner_id"),
                of("company_id"),
                of("currency_id"),
            ) else {
                continue;
            };
            let company = scope.books(company);
            let own = of("company_currency_id").unwrap_or(currency);
            let digits = books.digits(currency);
            let money = |field: &str, digits| amount(row.get(field), digits);
            let day = |field: &str| row.get(field).and_then(Json::as_str)?.parse().ok();
            let date: Option<NaiveDate> = day("invoice_date").or_else(|| day("date"));
            let (Some(made_out), Some(open), Some(worth), Some(date)) = (
                money("amount_currency", digits),
                money("amount_residual_currency", digits),
                money("amount_residual", books.digits(own)),
                date,
            ) else {
                let what = "has an amount or a day that is none".to_owned();
                notes(LINE, Some(&line.to_string()), faults).record(None, what);
                continue;
            };
            let known = owed.contains(&(client, company));
            if known
                && currency != own
                && let Some(account) = accounts.get_mut(&(client, company, own))
            {
                account.balance -= worth;
            }
            let key = (client, company, currency);
            let Some(account) = self.account(books, accounts, key).await? else {
                continue;
            };
            if currency != own || !known {
                account.balance += open;
            }
            if !open.is_zero() {
                account.open_items.push(Item {
                    external_id: line.to_string(),
                    number: word(&row, "move_name").unwrap_or_else(|| line.to_string()),
                    date,
                    due: day("date_maturity"),
                    amount: made_out,
                    open,
                });
            }
        }
        Ok(())
    }

    /// The last payments of each account, the newest first.
    async fn payments(
        &self,
        books: &Books,
        ids: &[i64],
        accounts: &mut Accounts,
    ) -> Result<(), Error> {
        for inflow in [Inflow::payments(), Inflow::statements()] {
            self.inflow(&inflow, books, ids, accounts).await?;
        }
        for account in accounts.values_mut() {
            // Both kinds came newest first, which a stable sort keeps within a day.
            account
                .payments
                .sort_by_key(|payment| Reverse(payment.date));
            account.payments.truncate(LAST_PAYMENTS);
        }
        Ok(())
    }

    /// Each answer has the newest of all clients that lack some; whoever has
    /// enough then is no longer asked for, so that one client who pays every day
    /// does not hide the others.
    async fn inflow(
        &self,
        inflow: &Inflow,
        books: &Books,
        ids: &[i64],
        accounts: &mut Accounts,
    ) -> Result<(), Error> {
        let scope = self.scope().await?;
        let mut wanted: BTreeSet<i64> = ids.iter().copied().collect();
        let fields = [
            inflow.reference,
            inflow.amount,
            "partner_id",
            "company_id",
            "currency_id",
            "date",
        ];
        while !wanted.is_empty() {
            let mut domain = inflow.domain.clone();
            domain.push(json!(["partner_id", "in", wanted]));
            domain.push(json!(["company_id", "in", scope.ids()]));
            let body = json!({"domain": domain, "fields": fields, "order": "date desc, id desc", "limit": PAYMENT_ROWS});
            let rows = self.rows(inflow.model, body).await?;
            let mut of: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
            for row in &rows {
                if let Some(client) = row.get("partner_id").and_then(link) {
                    of.entry(client).or_default().push(row);
                }
            }
            let all = rows.len() < PAYMENT_ROWS;
            let before = wanted.len();
            for (client, rows) in of {
                let enough = rows.len() >= LAST_PAYMENTS;
                if (!all && !enough) || !wanted.remove(&client) {
                    continue;
                }
                for row in rows {
                    let of = |field: &str| row.get(field).and_then(link);
                    let (Some(company), Some(currency)) = (of("company_id"), of("currency_id"))
                    else {
                        continue;
                    };
                    let key = (client, scope.books(company), currency);
                    if let Some(payment) = inflow.payment(row, books.digits(currency))
                        && let Some(account) = self.account(books, accounts, key).await?
                    {
                        account.payments.push(payment);
                    }
                }
            }
            if all {
                break;
            }
            // An answer of so many rows has enough of somebody.
            if wanted.len() == before {
                return Err(malformed(
                    inflow.model,
                    "partner_id",
                    "is not who was asked for",
                ));
            }
        }
        Ok(())
    }
}

/// Where money that came in is noted.
struct Inflow {
    model: &'static str,
    domain: Vec<Json>,
    /// What its ids begin with here.
    prefix: &'static str,
    reference: &'static str,
    amount: &'static str,
}

impl Inflow {
    /// Payments that were registered.
    fn payments() -> Self {
        Self {
            model: PAYMENT,
            domain: vec![
                json!(["partner_type", "=", "customer"]),
                json!(["payment_type", "=", "inbound"]),
                json!(["state", "in", PAID]),
            ],
            prefix: "",
            reference: "name",
            amount: "amount",
        }
    }

    /// Lines of bank statements that were booked to the client with no payment
    /// registered before.
    fn statements() -> Self {
        Self {
            model: LINE,
            domain: vec![
                json!(["account_type", "=", "asset_receivable"]),
                json!(["parent_state", "=", "posted"]),
                json!(["statement_line_id", "!=", false]),
                json!(["payment_id", "=", false]),
                json!(["balance", "<", 0]),
            ],
            prefix: "line/",
            reference: "move_name",
            amount: "amount_currency",
        }
    }

    fn payment(&self, row: &Row, digits: u32) -> Option<Payment> {
        // The two kinds count their records apart.
        let id = format!("{}{}", self.prefix, id(row)?);
        Some(Payment {
            reference: word(row, self.reference).unwrap_or_else(|| id.clone()),
            date: row.get("date")?.as_str()?.parse().ok()?,
            // Money that comes in stands on the other side of the client's account.
            amount: amount(row.get(self.amount), digits)?.abs(),
            external_id: id,
        })
    }
}

impl Books {
    fn digits(&self, currency: i64) -> u32 {
        self.currencies.get(&currency).map_or(2, |one| one.digits)
    }
}

fn notes_of_rights(model: &str, why: &str, faults: &mut Vec<Fault>) {
    faults.push(Fault {
        place: model.to_owned(),
        field: Some("the key's rights".into()),
        what: why.to_owned(),
        external_id: None,
        left_out: false,
    });
}

fn client(row: &Row, faults: &mut Vec<Fault>) -> Option<Client> {
    let Some(id) = id(row).map(|id| id.to_string()) else {
        notes(PARTNER, None, faults).record(Some("id"), "has no id".into());
        return None;
    };
    let mut notes = notes(PARTNER, Some(&id), faults);
    let raw = row.get("name").and_then(Json::as_str).unwrap_or_default();
    let name = text::line("name", raw, 200).and_then(|name| text::required("name", name));
    let name = match name {
        Ok(name) => name,
        Err(violation) => {
            notes.record(Some("name"), complaint(&violation, raw));
            return None;
        }
    };
    // One field may hold several addresses.
    let mails = word(row, "email").unwrap_or_default();
    let mut emails = Vec::new();
    for mail in mails
        .split([',', ';'])
        .map(str::trim)
        .filter(|mail| !mail.is_empty())
    {
        match Attribute::Emails.check(mail.into()) {
            Ok(value) => emails.extend(value.as_text().map(str::to_owned)),
            Err(violation) => {
                notes.field(
                    "email",
                    format!("{}; left out", complaint(&violation, mail)),
                );
            }
        }
    }
    let phones = ["phone", "mobile"]
        .iter()
        .filter_map(|field| word(row, field));
    let at = walk::Position::of(row, PARTNER)
        .ok()
        .and_then(|position| position.at);
    Some(Client {
        number: word(row, "ref"),
        emails,
        phones: phones.collect(),
        active: row.get("active").and_then(Json::as_bool).unwrap_or(true),
        accounts: Vec::new(),
        changed_at: at.map(|at| at.and_utc()),
        external_id: id,
        name,
    })
}

/// A field's text in a line of at most 200 characters; none when it is empty.
pub(super) fn word(row: &Row, field: &str) -> Option<String> {
    let raw = row.get(field)?.as_str()?;
    let shown: String = raw.chars().filter(|c| !c.is_control()).take(200).collect();
    text::line(field, &shown, 200)
        .ok()
        .filter(|text| !text.is_empty())
}

/// A JSON number as money, from its text, with the digits of its currency.
fn amount(value: Option<&Json>, digits: u32) -> Option<Decimal> {
    let Json::Number(number) = value? else {
        return None;
    };
    let number = number.to_string();
    let exact = Decimal::from_str(&number)
        .or_else(|_| Decimal::from_scientific(&number))
        .ok()?;
    let mut money = exact.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
    money.rescale(digits);
    if money.is_zero() {
        money.set_sign_positive(true);
    }
    Some(money)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_what_stands_in_the_text_with_the_digits_of_its_currency() {
        for (json, digits, money) in [
            ("46250.0", 2, "46250.00"),
            ("20274.9", 2, "20274.90"),
            ("0.1", 2, "0.10"),
            ("-20375.0", 0, "-20375"),
            ("1.005", 2, "1.01"),
            ("9007199254740993", 2, "9007199254740993.00"),
            ("1e+16", 2, "10000000000000000.00"),
            ("12345678901.37", 2, "12345678901.37"),
            ("0.30000000000000004", 2, "0.30"),
            ("-0.0", 2, "0.00"),
            ("7", 3, "7.000"),
        ] {
            let value: Json = serde_json::from_str(json).expect("a number");
            let read = amount(Some(&value), digits).expect("money");
            assert_eq!(read.to_string(), money, "{json}");
        }
        assert_eq!(amount(Some(&json!("12")), 2), None);
        assert_eq!(amount(Some(&json!(1e300)), 2), None);
        assert_eq!(amount(None, 2), None);
    }
}

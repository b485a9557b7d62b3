//! Clients by a map of field names: `{"name": "displayName", "balance": "/detail/balance", "currency": "=EUR"}`.

use std::collections::BTreeMap;

use domain::{
    client::{Account, Client},
    erp::Fault,
    mapping::{Field, Target},
};
use rust_decimal::Decimal;
use serde_json::Value as Json;

use crate::{
    Error,
    mapped::moment,
    words::{Notes, quote},
};

/// What a client and an account of one are made of.
const KNOWN: [&str; 15] = [
    "id",
    "name",
    "number",
    "email",
    "phone",
    "active",
    "blocked",
    "changed",
    "company",
    "currency",
    "balance",
    "overdue",
    "credit_limit",
    "terms",
    "options",
];

/// Where the fields of a client stand: a name, a JSON pointer, or `=` and a text that is always the same.
#[derive(Debug)]
pub(super) struct Fields {
    map: BTreeMap<String, String>,
    /// The id's, as a line of a mapping.
    pub(super) id: Field,
}

impl Fields {
    /// # Errors
    /// [`Error::Setting`] for anything but known names with texts, and without `id` and `name`.
    pub(super) fn parse(json: &str) -> Result<Self, Error> {
        let wrong = |what: String| Error::setting("client_fields", what);
        let fields: BTreeMap<String, String> = serde_json::from_str(json)
            .map_err(|_| wrong(r#"is not JSON such as {"id": "No", "name": "Name"}"#.into()))?;
        if let Some(other) = fields.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            let allowed = KNOWN.join(", ");
            return Err(wrong(format!(
                "{} is not known; allowed: {allowed}",
                quote(other)
            )));
        }
        match ["id", "name"]
            .iter()
            .find(|key| !fields.contains_key(**key))
        {
            Some(missing) => Err(wrong(format!("needs {missing}"))),
            None => Ok(Self {
                id: Field {
                    target: Target::Id,
                    from: fields.get("id").cloned().unwrap_or_default(),
                    transforms: Vec::new(),
                },
                map: fields,
            }),
        }
    }

    /// What is read, to be asked for.
    pub(super) fn from(&self) -> impl Iterator<Item = &str> {
        self.map
            .values()
            .map(String::as_str)
            .filter(|from| !from.starts_with('='))
    }

    pub(super) fn changed(&self) -> Option<&str> {
        self.map.get("changed").map(String::as_str)
    }

    fn text(&self, key: &str, record: &Json) -> Option<String> {
        let from = self.map.get(key)?;
        if let Some(constant) = from.strip_prefix('=') {
            return Some(constant.to_owned());
        }
        let found = if from.starts_with('/') {
            record.pointer(from)
        } else {
            record.get(from)
        };
        let text = match found? {
            Json::String(text) => text.trim().to_owned(),
            Json::Number(number) => number.to_string(),
            Json::Bool(flag) => flag.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// A record as a client; none, with a fault, without id or name. What is owed
    /// needs a currency: `home` is that of accounts that name none.
    pub(super) fn client(
        &self,
        place: &str,
        record: &Json,
        home: Option<&str>,
        faults: &mut Vec<Fault>,
    ) -> Option<Client> {
        let id = self.text("id", record);
        let mut notes = Notes {
            place: place.to_owned(),
            external_id: id.clone(),
            faults,
        };
        let (Some(external_id), Some(name)) = (id, self.text("name", record)) else {
            notes.record(None, "has no id or no name; left out".into());
            return None;
        };
        let set = |key: &str| {
            let no = ["", "false", "0", "no", "_x0020_"];
            self.text(key, record)
                .is_some_and(|text| !no.contains(&text.trim().to_lowercase().as_str()))
        };
        let lone = |key: &str| self.text(key, record).into_iter().collect();
        Some(Client {
            accounts: self.account(record, home, &mut notes).into_iter().collect(),
            external_id,
            name,
            number: self.text("number", record),
            emails: lone("email"),
            phones: lone("phone"),
            active: !set("blocked") && (!self.map.contains_key("active") || set("active")),
            changed_at: self.text("changed", record).and_then(|text| moment(&text)),
        })
    }

    fn account(&self, record: &Json, home: Option<&str>, notes: &mut Notes<'_>) -> Option<Account> {
        let balance = self.money("balance", record, notes)?;
        let currency = self.text("currency", record).or(home.map(str::to_owned));
        let Some(currency) = currency.filter(|code| code.len() == 3) else {
            let what = "the balance has no currency; enter the company's as the setting currency; left out";
            notes.field("currency", what.into());
            return None;
        };
        Some(Account {
            company: self.text("company", record),
            currency,
            balance,
            overdue: self.money("overdue", record, notes),
            // None is written as nothing here and as 0 there.
            credit_limit: self
                .money("credit_limit", record, notes)
                .filter(|limit| !limit.is_zero()),
            terms: self.text("terms", record),
            payment_options: self.text("options", record).into_iter().collect(),
            open_items: Vec::new(),
            payments: Vec::new(),
        })
    }

    fn money(&self, key: &str, record: &Json, notes: &mut Notes<'_>) -> Option<Decimal> {
        let text = self.text(key, record)?;
        let exact = text.parse().or_else(|_| Decimal::from_scientific(&text));
        if exact.is_err() {
            notes.field(key, format!("{} is not an amount; left out", quote(&text)));
        }
        exact.ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_client_is_read_by_the_names_given() {
        let fields = r#"{"id": "No", "name": "Name", "blocked": "Blocked", "balance": "/detail/balance", "credit_limit": "Limit", "currency": "Currency"}"#;
        let fields = Fields::parse(fields).expect("fields");
        let read = |record: Json, home| {
            let mut faults = Vec::new();
            let client = fields.client("customers", &record, home, &mut faults);
            (client, faults)
        };
        let (client, faults) = read(
            json!({"No": 7, "Name": " Adatum ", "Blocked": " ", "Limit": 0, "detail": {"balance": "2716049358.22"}}),
            Some("NOK"),
        );
        let client = client.expect("a client");
        assert_eq!(
            (
                client.external_id.as_str(),
                client.name.as_str(),
                client.active
            ),
            ("7", "Adatum", true)
        );
        let account = &client.accounts[0];
        assert_eq!(
            (
                account.balance.to_string().as_str(),
                account.currency.as_str()
            ),
            ("2716049358.22", "NOK")
        );
        assert_eq!((account.credit_limit, faults.len()), (None, 0));
        let (client, faults) = read(
            json!({"No": "8", "Name": "B", "Blocked": "Invoice", "detail": {"balance": "1e3"}}),
            None,
        );
        let client = client.expect("a client");
        assert!(!client.active && client.accounts.is_empty());
        assert!(faults[0].what.contains("has no currency"));
        let (client, faults) = read(
            json!({"No": "9", "Name": "C", "detail": {"balance": "much"}}),
            None,
        );
        assert!(client.is_some() && faults[0].what.contains("“much” is not an amount"));
        assert!(read(json!({"No": "10"}), None).0.is_none());
    }

    #[test]
    fn a_map_that_cannot_be_right_is_refused() {
        let said = |json: &str| Fields::parse(json).expect_err("refused").to_string();
        assert!(said("No").contains("is not JSON"));
        assert!(said(r#"{"id": "No"}"#).ends_with("needs name"));
        assert!(
            said(r#"{"id": "No", "name": "Name", "iban": "x"}"#).contains("“iban” is not known")
        );
    }
}

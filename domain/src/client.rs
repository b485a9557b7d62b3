//! The organization's clients as an ERP has them: who they are, what they owe, what they asked for.
//!
//! All of it is confidential: it is used at work and shown to nobody else.
//! Money is an exact decimal in the currency that stands beside it, never a
//! float, and never added up over currencies.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A client. References are the ERP's own ids.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Client {
    /// The ERP's id; never changes for a client.
    pub external_id: String,
    /// The name.
    pub name: String,
    /// The customer number, if the ERP has one.
    pub number: Option<String>,
    /// Mail addresses.
    pub emails: Vec<String>,
    /// Telephone numbers.
    pub phones: Vec<String>,
    /// Whether business is done with them now.
    pub active: bool,
    /// What stands between them and each company of the organization.
    pub accounts: Vec<Account>,
    /// When the ERP last changed the record, if it says so.
    pub changed_at: Option<DateTime<Utc>>,
}

/// What stands between a client and one company, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The company's external id; none where the ERP has but one.
    pub company: Option<String>,
    /// ISO 4217, `EUR`.
    pub currency: String,
    /// What the client owes; negative is in the client's favour.
    pub balance: Decimal,
    /// Of that, what is past its due date, if the ERP says so.
    pub overdue: Option<Decimal>,
    /// The most that the client may owe; none without a limit.
    pub credit_limit: Option<Decimal>,
    /// The terms of payment by name, `30 days net`.
    pub terms: Option<String>,
    /// The ways in which the client can pay, by name.
    pub payment_options: Vec<String>,
    /// What is not settled, the oldest due date first.
    pub open_items: Vec<Item>,
    /// The last payments, the newest first.
    pub payments: Vec<Payment>,
}

/// An invoice or credit note that is not settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The ERP's id.
    pub external_id: String,
    /// Its number as it stands on paper.
    pub number: String,
    /// The day on it.
    pub date: NaiveDate,
    /// The day by which it is to be paid.
    pub due: Option<NaiveDate>,
    /// What it was made out for.
    pub amount: Decimal,
    /// What of it is left.
    pub open: Decimal,
}

/// Money that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The ERP's id.
    pub external_id: String,
    /// Its number or reference.
    pub reference: String,
    /// The day.
    pub date: NaiveDate,
    /// How much.
    pub amount: Decimal,
}

/// Something that a client asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ticket {
    /// The ERP's id.
    pub external_id: String,
    /// Its number.
    pub number: Option<String>,
    /// The client's external id.
    pub client: Option<String>,
    /// What it is about, in a line.
    pub subject: String,
    /// Where it stands, in the ERP's words.
    pub stage: String,
    /// Whether nothing more is to be done.
    pub closed: bool,
    /// How urgent, in the ERP's words.
    pub priority: Option<String>,
    /// The external id of the worker who looks after it.
    pub assignee: Option<String>,
    /// When it came.
    pub opened_at: Option<DateTime<Utc>>,
    /// When it was closed.
    pub closed_at: Option<DateTime<Utc>>,
    /// What was said, the oldest first.
    pub messages: Vec<TicketMessage>,
    /// When the ERP last changed it, if it says so.
    pub changed_at: Option<DateTime<Utc>>,
}

/// One thing said in a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketMessage {
    /// The ERP's id.
    pub external_id: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Who, by name.
    pub author: String,
    /// What: plain text, markup taken out.
    pub body: String,
    /// Whether the client cannot see it.
    pub internal: bool,
    /// What came with it.
    pub attachments: Vec<Attachment>,
}

/// A file that came with a message; its bytes stay in the ERP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The ERP's id.
    pub external_id: String,
    /// Its name.
    pub name: String,
    /// What it is said to be, `application/pdf`.
    pub media_type: Option<String>,
    /// How large, in bytes.
    pub bytes: Option<u64>,
}

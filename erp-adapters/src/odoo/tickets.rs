//! Tickets: `helpdesk.ticket`, of Odoo Enterprise or of the OCA's module.
//!
//! The two call some fields otherwise. The OCA's names were seen at work; those
//! of Enterprise come from its documentation and are tried after them, and the
//! setting `ticket_fields` says what is called otherwise still.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDateTime, Utc};
use domain::{
    client::{Attachment, Ticket, TicketMessage},
    erp::Fault,
};
use serde_json::{Value as Json, json};

use super::{
    EMPLOYEE, Odoo, Reach, Row, allowed, clients::word, id, is_field, label, link, markup, notes,
    transport::no_model, walk,
};
use crate::{Error, TicketPage, words::quote};

const TICKET: &str = "helpdesk.ticket";
const MESSAGE: &str = "mail.message";
const PAGE_ROWS: usize = 50;
const MESSAGE_ROWS: usize = 1_000;
/// The longest message that is kept, in characters.
const BODY: usize = 20_000;

/// What is used of a ticket, and what it may be called.
const FIELDS: [(&str, &[&str]); 10] = [
    ("number", &["number", "ticket_ref"]),
    ("subject", &["name"]),
    ("description", &["description"]),
    ("client", &["commercial_partner_id", "partner_id"]),
    ("stage", &["stage_id"]),
    ("closed", &["closed", "fold"]),
    ("closed_at", &["closed_date", "close_date"]),
    ("opened_at", &["create_date"]),
    ("priority", &["priority"]),
    ("assignee", &["user_id"]),
];

/// What is known of tickets before the first is read.
#[derive(Debug)]
pub(super) struct Desk {
    /// What is used, by the field that holds it.
    fields: BTreeMap<&'static str, String>,
    /// The words for each priority.
    priorities: BTreeMap<String, String>,
    /// The kinds of message that clients do not see.
    internal: BTreeSet<i64>,
}

/// `closed=fold` and the like, from the setting.
pub(super) fn field_map(
    pairs: impl Iterator<Item = String>,
) -> Result<BTreeMap<String, String>, Error> {
    let known = || FIELDS.map(|(key, _)| key).join(", ");
    let mut map = BTreeMap::new();
    for pair in pairs {
        let split = pair
            .split_once('=')
            .map(|(key, field)| (key.trim(), field.trim()));
        let Some((key, field)) = split.filter(|(_, field)| is_field(field)) else {
            let what = format!("{} is not a pair such as closed=fold", quote(&pair));
            return Err(Error::setting("ticket_fields", what));
        };
        if !FIELDS.iter().any(|(one, _)| *one == key) {
            let what = format!("{} is not known; allowed: {}", quote(key), known());
            return Err(Error::setting("ticket_fields", what));
        }
        map.insert(key.to_owned(), field.to_owned());
    }
    Ok(map)
}

impl Desk {
    fn table(&self, domain: Vec<Json>) -> walk::Table {
        let own = ["id", "write_date", "active"].map(str::to_owned);
        walk::Table {
            model: TICKET,
            fields: own
                .into_iter()
                .chain(self.fields.values().cloned())
                .collect(),
            domain,
            parts: vec![walk::Part {
                model: MESSAGE,
                row: "res_id",
                domain: vec![json!(["model", "=", TICKET])],
            }],
            rows: PAGE_ROWS,
        }
    }

    fn get<'a>(&self, row: &'a Row, key: &str) -> Option<&'a Json> {
        row.get(self.fields.get(key)?)
    }

    fn word(&self, row: &Row, key: &str) -> Option<String> {
        word(row, self.fields.get(key)?)
    }

    /// The ticket, and the user who looks after it.
    fn ticket(&self, row: &Row, faults: &mut Vec<Fault>) -> Option<(Ticket, Option<i64>)> {
        let Some(number) = id(row) else {
            notes(TICKET, None, faults).record(Some("id"), "has no id".into());
            return None;
        };
        let external_id = number.to_string();
        let Some(subject) = self.word(row, "subject") else {
            let mut notes = notes(TICKET, Some(&external_id), faults);
            notes.record(Some("subject"), "has no subject".into());
            return None;
        };
        let archived = row.get("active") == Some(&json!(false));
        let closed_at = self.get(row, "closed_at").and_then(time);
        let closed = self.get(row, "closed").and_then(Json::as_bool);
        let opened_at = self.get(row, "opened_at").and_then(time);
        let priority = self.word(row, "priority");
        let priority = priority.map(|key| self.priorities.get(&key).cloned().unwrap_or(key));
        let stage = self.get(row, "stage").and_then(label).unwrap_or_default();
        let client = self.get(row, "client").and_then(link);
        let mut messages = Vec::new();
        // What the client wrote first stands on the ticket itself.
        let described = self.get(row, "description").and_then(Json::as_str);
        let body = cut(&markup::plain(described.unwrap_or_default()));
        if let Some(at) = opened_at.filter(|_| !body.is_empty()) {
            let author = self.get(row, "client").and_then(label).unwrap_or_default();
            messages.push(TicketMessage {
                external_id: format!("{external_id}/description"),
                at,
                author: author.to_owned(),
                body,
                internal: false,
                attachments: Vec::new(),
            });
        }
        let ticket = Ticket {
            number: self.word(row, "number"),
            client: client.map(|id| id.to_string()),
            subject,
            stage: stage.to_owned(),
            closed: archived || closed.unwrap_or(closed_at.is_some()),
            priority,
            assignee: None,
            opened_at,
            closed_at,
            messages,
            changed_at: row.get("write_date").and_then(time),
            external_id,
        };
        Some((ticket, self.get(row, "assignee").and_then(link)))
    }

    /// A message, the ticket that it belongs to, and its attachments' ids.
    fn message(&self, row: &Row) -> Option<(i64, TicketMessage, Vec<i64>)> {
        let kind = row.get("message_type").and_then(Json::as_str);
        let kind = kind.unwrap_or_default();
        let subtype = row.get("subtype_id").and_then(link);
        let note = subtype.is_some_and(|subtype| self.internal.contains(&subtype));
        let files: Vec<i64> = row
            .get("attachment_ids")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_i64)
            .collect();
        let body = row.get("body").and_then(Json::as_str).unwrap_or_default();
        let body = cut(&markup::plain(body));
        // “Ticket created” and changes of a field are Odoo's own talk.
        let talk = kind == "notification" && !note || kind == "user_notification";
        if talk || body.is_empty() && files.is_empty() {
            return None;
        }
        let author = row.get("author_id").and_then(label).map(str::to_owned);
        let mailed = matches!(kind, "email" | "email_outgoing");
        let message = TicketMessage {
            external_id: id(row)?.to_string(),
            at: row.get("date").and_then(time)?,
            author: author
                .or_else(|| word(row, "email_from"))
                .unwrap_or_default(),
            body,
            // Odoo's own rule for who is outside; mail has gone out whatever it says.
            internal: row.get("is_internal") == Some(&json!(true))
                || note
                || subtype.is_none() && !mailed,
            attachments: Vec::new(),
        };
        Some((row.get("res_id").and_then(link)?, message, files))
    }
}

impl Odoo {
    pub(super) async fn desk(&self) -> Result<&Reach<Desk>, Error> {
        self.desk
            .get_or_try_init(|| async {
                let all = match self.fields(TICKET).await {
                    Err(error) if error == no_model(TICKET) => return Ok(Reach::Absent),
                    all => all,
                };
                let read = match allowed(all)? {
                    Ok(all) => {
                        let body = json!({"domain": [], "fields": ["id"], "limit": 1});
                        allowed(self.rows(TICKET, body).await)?.map(|_| all)
                    }
                    Err(error) => Err(error),
                };
                let Ok(all) = read else {
                    return Ok(Reach::Refused("Helpdesk: User"));
                };
                Ok(Reach::Open(self.desk_of(&all).await?))
            })
            .await
    }

    async fn desk_of(&self, all: &BTreeMap<String, Json>) -> Result<Desk, Error> {
        let mut fields = BTreeMap::new();
        for (key, names) in FIELDS {
            if let Some(name) = self.ticket_fields.get(key) {
                if !all.contains_key(name) {
                    let what = format!("names {}, which {TICKET} has not got", quote(name));
                    return Err(Error::setting("ticket_fields", what));
                }
                fields.insert(key, name.clone());
            } else if let Some(name) = names.iter().find(|name| all.contains_key(**name)) {
                fields.insert(key, (*name).to_owned());
            }
        }
        let choices = fields.get("priority").and_then(|name| all.get(name));
        let choices = choices.and_then(|field| field.get("selection"));
        let words = |choice: &Json| {
            let word = |at: usize| Some(choice.get(at)?.as_str()?.to_owned());
            Some((word(0)?, word(1)?))
        };
        let priorities = choices.and_then(Json::as_array).into_iter().flatten();
        let subtypes = self
            .all(
                "mail.message.subtype",
                vec![json!(["internal", "=", true])],
                json!(["id"]),
                MESSAGE_ROWS,
                json!({}),
            )
            .await?;
        Ok(Desk {
            priorities: priorities.filter_map(words).collect(),
            internal: subtypes.iter().filter_map(id).collect(),
            fields,
        })
    }

    pub(super) async fn ticket_page(
        &self,
        walk: &mut walk::Walk,
    ) -> Result<Option<TicketPage>, Error> {
        let mut faults = Vec::new();
        let Some(desk) = self.desk().await?.open(TICKET)? else {
            return Ok(None);
        };
        let Some(rows) = self.step(&desk.table(self.within().await?), walk).await? else {
            return Ok(None);
        };
        let watermark = walk.watermark(self.transport.now());
        walk.begun = true;
        let mut tickets: BTreeMap<i64, Ticket> = BTreeMap::new();
        let mut users: BTreeMap<i64, i64> = BTreeMap::new();
        let mut order = Vec::new();
        for row in &rows {
            let Some((id, (ticket, user))) = id(row).zip(desk.ticket(row, &mut faults)) else {
                continue;
            };
            order.push(id);
            users.extend(user.map(|user| (id, user)));
            tickets.insert(id, ticket);
        }
        if !order.is_empty() {
            self.assign(&users, &mut tickets).await?;
            self.talk(desk, &order, &mut tickets).await?;
        }
        Ok(Some(TicketPage {
            tickets: order.iter().filter_map(|id| tickets.remove(id)).collect(),
            faults,
            watermark,
        }))
    }

    /// Users of Odoo are not its employees: who looks after each ticket is
    /// found by the user that an employee has.
    async fn assign(
        &self,
        users: &BTreeMap<i64, i64>,
        tickets: &mut BTreeMap<i64, Ticket>,
    ) -> Result<(), Error> {
        let wanted: BTreeSet<i64> = users.values().copied().collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let model = match self.view().await {
            Ok(view) => view.model,
            Err(error) if error == no_model(EMPLOYEE) => return Ok(()),
            Err(Error::Forbidden { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let domain = vec![json!(["user_id", "in", wanted])];
        let archived = json!({"active_test": false});
        let rows = self
            .all(model, domain, json!(["user_id"]), MESSAGE_ROWS, archived)
            .await?;
        let mut employees = BTreeMap::new();
        for row in &rows {
            if let (Some(user), Some(id)) = (row.get("user_id").and_then(link), id(row)) {
                employees.entry(user).or_insert(id);
            }
        }
        for (ticket, user) in users {
            if let Some(ticket) = tickets.get_mut(ticket) {
                ticket.assignee = employees.get(user).map(ToString::to_string);
            }
        }
        Ok(())
    }

    /// What was said in the tickets, the oldest first.
    async fn talk(
        &self,
        desk: &Desk,
        ids: &[i64],
        tickets: &mut BTreeMap<i64, Ticket>,
    ) -> Result<(), Error> {
        let domain = vec![
            json!(["model", "=", TICKET]),
            json!(["res_id", "in", ids]),
            json!(["message_type", "!=", "user_notification"]),
        ];
        let fields = json!([
            "res_id",
            "date",
            "author_id",
            "email_from",
            "body",
            "is_internal",
            "subtype_id",
            "message_type",
            "attachment_ids",
        ]);
        let rows = self
            .all(MESSAGE, domain, fields, MESSAGE_ROWS, json!({}))
            .await?;
        let messages: Vec<_> = rows.iter().filter_map(|row| desk.message(row)).collect();
        let files: BTreeSet<i64> = messages
            .iter()
            .flat_map(|(_, _, files)| files.iter().copied())
            .collect();
        let files = self.files(&files).await?;
        for (ticket, mut message, own) in messages {
            message.attachments = own.iter().filter_map(|id| files.get(id).cloned()).collect();
            if let Some(ticket) = tickets.get_mut(&ticket) {
                ticket.messages.push(message);
            }
        }
        for ticket in tickets.values_mut() {
            ticket.messages.sort_by_key(|message| message.at);
        }
        Ok(())
    }

    /// What is known of files without their bytes.
    async fn files(&self, ids: &BTreeSet<i64>) -> Result<BTreeMap<i64, Attachment>, Error> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let domain = vec![json!(["id", "in", ids])];
        let fields = json!(["name", "mimetype", "file_size"]);
        let rows = self
            .all("ir.attachment", domain, fields, MESSAGE_ROWS, json!({}))
            .await;
        let rows = allowed(rows)?.unwrap_or_default();
        let file = |row: &Row| {
            let id = id(row)?;
            Some((
                id,
                Attachment {
                    external_id: id.to_string(),
                    name: word(row, "name").unwrap_or_else(|| id.to_string()),
                    media_type: word(row, "mimetype"),
                    bytes: row.get("file_size").and_then(Json::as_u64),
                },
            ))
        };
        Ok(rows.iter().filter_map(file).collect())
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(BODY) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn time(value: &Json) -> Option<DateTime<Utc>> {
    let time = NaiveDateTime::parse_from_str(value.as_str()?, walk::STAMP).ok()?;
    Some(time.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_map_names_what_is_known() {
        let map = |text: &str| {
            let pairs = text.split(',').map(str::to_owned);
            field_map(pairs).map_err(|error| error.to_string())
        };
        let read = map("closed = fold,number=ticket_ref").expect("a map");
        assert_eq!(read.get("closed").map(String::as_str), Some("fold"));
        assert_eq!(
            map("closed").expect_err("no pair"),
            "ticket_fields “closed” is not a pair such as closed=fold"
        );
        assert!(
            map("colour=x")
                .expect_err("unknown")
                .contains("allowed: number, subject")
        );
        assert!(map("closed=id; drop").is_err());
    }
}

//! A running Tryton 8.2 against what Tryton itself says through another door.
//!
//! `e2e/tryton/up` starts one and prints the variables that this file reads;
//! without them it says that it was skipped. The other door is JSON-RPC, which
//! shares no code with the adapter. The test changes people and a client, and
//! puts back what it changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
};

use base64::Engine as _;
use chrono::NaiveDate;
use domain::{
    Attribute, Value,
    client::Client,
    erp::{Watermark, Worker},
};
use erp_adapters::{ErpAdapter as _, Error, Guard, Readable, Tryton};
use futures::TryStreamExt as _;
use serde_json::{Value as Json, json};

/// Tryton's other door.
struct Rpc {
    url: String,
    session: String,
    client: reqwest::Client,
}

impl Rpc {
    async fn open(url: &str, database: &str, password: &str) -> Self {
        let mut rpc = Self {
            url: format!("{url}/{database}/rpc/"),
            session: String::new(),
            client: reqwest::Client::new(),
        };
        let login = rpc
            .call(
                "common.db.login",
                json!(["admin", {"password": password}, "en"]),
            )
            .await;
        let (user, session) = (&login[0], login[1].as_str().expect("a session"));
        rpc.session =
            base64::engine::general_purpose::STANDARD.encode(format!("admin:{user}:{session}"));
        rpc
    }

    async fn call(&self, method: &str, params: Json) -> Json {
        let call = json!({"id": 1, "method": method, "params": params});
        let answer = self
            .client
            .post(&self.url)
            .header("Authorization", format!("Session {}", self.session))
            .json(&call)
            .send()
            .await;
        let mut answer: Json = answer.expect("Tryton answers").json().await.expect("JSON");
        assert!(
            answer.get("error").is_none(),
            "{method}: {}",
            answer["error"]
        );
        answer["result"].take()
    }

    async fn rows(&self, model: &str, domain: Json, fields: &[&str], context: Json) -> Vec<Json> {
        let params = json!([domain, 0, null, null, fields, context]);
        let rows = self
            .call(&format!("model.{model}.search_read"), params)
            .await;
        rows.as_array().expect("rows").clone()
    }

    async fn write(&self, model: &str, id: i64, values: Json) {
        self.call(&format!("model.{model}.write"), json!([[id], values, {}]))
            .await;
    }
}

/// The doors: with a key that may read all, with one that may not, and Tryton's other one.
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
async fn connect() -> Option<(Tryton, Tryton, Rpc)> {
    let names = [
        "TRYTON_URL",
        "TRYTON_DB",
        "TRYTON_PASS",
        "TRYTON_KEY",
        "TRYTON_LIMITED_KEY",
    ];
    let [Ok(url), Ok(database), Ok(password), Ok(key), Ok(limited)] = names.map(env::var) else {
        eprintln!(
            "SKIPPED: e2e/tryton/up starts a Tryton and prints {}",
            names.join(", ")
        );
        return None;
    };
    let open = |key: &str| Tryton::new(&guard(), &url, &database, key).expect("an adapter");
    Some((
        open(&key),
        open(&limited),
        Rpc::open(&url, &database, &password).await,
    ))
}

fn guard() -> Guard {
    Guard::new(["127.0.0.1"]).expect("a list")
}

async fn pull(tryton: &Tryton, since: Option<Watermark>) -> (BTreeMap<i64, Worker>, Watermark) {
    let pages: Vec<_> = tryton.workers(since).try_collect().await.expect("a pull");
    assert!(pages.iter().all(|page| page.faults.is_empty()), "{pages:?}");
    let end = pages.last().expect("a page").watermark.clone();
    let workers = pages.into_iter().flat_map(|page| page.workers);
    (
        workers
            .map(|worker| (worker.external_id.parse().expect("a number"), worker))
            .collect(),
        end,
    )
}

async fn clients(
    tryton: &Tryton,
    since: Option<Watermark>,
) -> (BTreeMap<String, Client>, Watermark) {
    let pages: Vec<_> = tryton.clients(since).try_collect().await.expect("a pull");
    assert!(pages.iter().all(|page| page.faults.is_empty()), "{pages:?}");
    let end = pages.last().expect("a page").watermark.clone();
    let clients = pages.into_iter().flat_map(|page| page.clients);
    (
        clients
            .map(|client| (client.external_id.clone(), client))
            .collect(),
        end,
    )
}

fn day(value: &Json) -> Option<NaiveDate> {
    let part = |name: &str| u32::try_from(value[name].as_u64()?).ok();
    NaiveDate::from_ymd_opt(
        i32::try_from(value["year"].as_i64()?).expect("a year"),
        part("month")?,
        part("day")?,
    )
}

fn as_day(day: NaiveDate) -> Json {
    use chrono::Datelike as _;
    json!({"__class__": "date", "year": day.year(), "month": day.month(), "day": day.day()})
}

/// A text, where Tryton says nothing with null or `""`.
fn said(value: &Json) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

fn money(value: &Json) -> String {
    let text = value["decimal"].as_str().expect("a decimal");
    text.strip_prefix('-')
        .filter(|rest| rest.chars().all(|c| matches!(c, '0' | '.')))
        .unwrap_or(text)
        .to_owned()
}

#[tokio::test]
async fn everybody_is_as_tryton_itself_says() {
    let Some((tryton, limited, rpc)) = connect().await else {
        return;
    };

    // What may be read, with and without the right to.
    let probe = tryton.probe().await.expect("a probe");
    assert!(probe.system.starts_with("Tryton 8"), "{}", probe.system);
    assert!(
        probe
            .access
            .iter()
            .all(|access| access.readable == Readable::Yes),
        "{:?}",
        probe.access
    );
    let reduced = limited.probe().await.expect("a probe");
    assert_eq!((reduced.people, reduced.units), (probe.people, probe.units));
    let clients = reduced.access.last().expect("a row");
    assert_eq!(clients.readable, Readable::No, "{clients:?}");
    let refused: Result<Vec<_>, _> = limited.clients(None).try_collect().await;
    let what = "account.move.line".to_owned();
    assert_eq!(refused, Err(Error::Forbidden { what }));

    // Every person, supervisor, date, contact and photo. Contacts are asked for without
    // `active_test`, as Tryton's own client does.
    let everyone = json!({"active_test": false});
    let fields = [
        "party",
        "supervisor",
        "company",
        "start_date",
        "end_date",
        "active",
        // A party's language can be another one in each company.
        "party.lang.code",
    ];
    let employees = rpc
        .rows("company.employee", json!([]), &fields, everyone.clone())
        .await;
    assert!(employees.len() >= 30, "the two companies are there");
    assert_eq!(probe.people, employees.len() as u64);
    let parties = rpc
        .rows(
            "party.party",
            json!([]),
            &["name", "email", "phone", "mobile", "avatars"],
            json!({}),
        )
        .await;
    let parties: BTreeMap<_, _> = parties
        .iter()
        .map(|row| (row["id"].as_i64(), row))
        .collect();
    let (workers, mark) = pull(&tryton, None).await;
    assert_eq!(workers.len(), employees.len());
    let mut photos = 0;
    let mut inactive = 0;
    for row in &employees {
        let worker = &workers[&row["id"].as_i64().expect("an id")];
        let party = parties[&row["party"].as_i64()];
        for (field, attribute) in [
            ("name", Attribute::DisplayName),
            ("email", Attribute::Emails),
            ("phone", Attribute::PhoneNumbers),
            ("mobile", Attribute::Mobile),
        ] {
            assert_eq!(
                worker.text(attribute),
                said(&party[field]),
                "{attribute} {row}"
            );
        }
        assert_eq!(
            worker.text(Attribute::Locale),
            said(&row["party."]["lang."]["code"]),
            "{row}"
        );
        let id = |field: &str| row[field].as_i64().map(|id| id.to_string());
        assert_eq!(worker.manager, id("supervisor"), "{row}");
        assert_eq!(worker.unit, id("company"), "{row}");
        assert_eq!(worker.starts_on, day(&row["start_date"]), "{row}");
        assert_eq!(worker.ends_on, day(&row["end_date"]), "{row}");
        // What Tryton works out from the dates today, the dates say here too.
        let today = day(&rpc.call("model.ir.date.today", json!([null, {}])).await);
        assert_eq!(
            worker.works_on(today.expect("a day")),
            row["active"].as_bool().expect("a flag"),
            "{row}"
        );
        inactive += usize::from(row["active"] == false);

        let photo = tryton.photo(&worker.external_id).await.expect("an answer");
        assert_eq!(worker.photo.is_some(), photo.is_some(), "{row}");
        if let Some(photo) = photo {
            let avatars = rpc
                .rows(
                    "ir.avatar",
                    json!([["id", "in", party["avatars"]]]),
                    &["image"],
                    json!({}),
                )
                .await;
            let image = avatars[0]["image"]["base64"]
                .as_str()
                .expect("an image")
                .replace('\n', "");
            let image = base64::engine::general_purpose::STANDARD
                .decode(image)
                .expect("base64");
            assert_eq!(photo.bytes, image);
            photos += 1;
        }
    }
    assert_eq!(photos, 2, "and none of the initials that Tryton draws");
    assert_eq!(inactive, 2, "one who left and one who is yet to come");

    let companies = rpc
        .rows("company.company", json!([]), &["rec_name"], json!({}))
        .await;
    let units = tryton.units().await.expect("units");
    assert_eq!(units.faults, []);
    let names = |rows: Vec<(String, String)>| rows.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(
        names(
            units
                .units
                .into_iter()
                .map(|unit| (unit.external_id, unit.name))
                .collect()
        ),
        names(
            companies
                .iter()
                .map(|row| (
                    row["id"].to_string(),
                    row["rec_name"].as_str().expect("a name").to_owned()
                ))
                .collect()
        ),
    );

    // A joiner, a mover, a leaver, a new name, a mail address crossed out, a photo.
    let of = |id: i64| {
        employees
            .iter()
            .find(|row| row["id"].as_i64() == Some(id))
            .expect("an employee")
    };
    let leaves: Vec<_> = workers
        .iter()
        .filter(|(id, worker)| {
            worker.unit.as_deref() == Some("1")
                && worker.ends_on.is_none()
                && workers
                    .values()
                    .all(|other| other.manager != Some(id.to_string()))
        })
        .map(|(id, _)| *id)
        .collect();
    let (mover, leaver, renamed) = (leaves[0], leaves[1], leaves[2]);
    let boss = workers[&mover].manager.clone().expect("a supervisor");
    let other = workers
        .iter()
        .find(|(id, worker)| {
            worker.unit.as_deref() == Some("1") && id.to_string() != boss && **id != mover
        })
        .map(|(id, _)| *id)
        .expect("another");
    let today = day(&rpc.call("model.ir.date.today", json!([null, {}])).await).expect("a day");
    let party = rpc
        .call(
            "model.party.party.create",
            json!([[{"name": "Ottilie Brandvik"}], {}]),
        )
        .await;
    let joiner = json!([[{"party": party[0], "company": 1, "start_date": as_day(today), "supervisor": leaver}], {}]);
    let joiner = rpc.call("model.company.employee.create", joiner).await[0]
        .as_i64()
        .expect("an id");
    rpc.write("company.employee", mover, json!({"supervisor": other}))
        .await;
    rpc.write(
        "company.employee",
        leaver,
        json!({"end_date": as_day(today)}),
    )
    .await;
    let renamed_party = of(renamed)["party"].as_i64().expect("a party");
    let old_name = workers[&renamed].name();
    rpc.write(
        "party.party",
        renamed_party,
        json!({"name": "Forge Line Lead"}),
    )
    .await;
    let mails = rpc
        .rows(
            "party.contact_mechanism",
            json!([["party", "=", of(leaver)["party"]], ["type", "=", "email"]]),
            &["value"],
            json!({}),
        )
        .await;
    let crossed_out = mails
        .iter()
        .find(|row| row["value"].as_str() == workers[&leaver].text(Attribute::Emails))
        .expect("the address")["id"]
        .as_i64()
        .expect("an id");
    rpc.write(
        "party.contact_mechanism",
        crossed_out,
        json!({"active": false}),
    )
    .await;
    let red = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
    rpc.write(
        "party.party",
        party[0].as_i64().expect("an id"),
        json!({"avatar": {"__class__": "bytes", "base64": red}}),
    )
    .await;

    let (changed, again) = pull(&tryton, Some(mark)).await;
    assert_eq!(changed[&joiner].name(), "Ottilie Brandvik");
    assert_eq!(changed[&joiner].manager, Some(leaver.to_string()));
    assert_eq!(changed[&joiner].starts_on, Some(today));
    assert!(changed[&joiner].photo.is_some());
    assert!(
        tryton
            .photo(&joiner.to_string())
            .await
            .expect("an answer")
            .is_some()
    );
    assert_eq!(changed[&mover].manager, Some(other.to_string()));
    assert_eq!(changed[&leaver].ends_on, Some(today));
    assert!(!changed[&leaver].works_on(today.succ_opt().expect("a day")));
    assert_eq!(
        changed[&leaver].text(Attribute::Emails),
        Some(
            format!(
                "second.{}",
                workers[&leaver].text(Attribute::Emails).expect("a mail")
            )
            .as_str()
        ),
        "the next address takes the place of the one that was crossed out"
    );
    assert_eq!(changed[&renamed].name(), "Forge Line Lead");
    assert!(again.0 > String::new());

    // Put back; who was deleted is missing among the ids.
    rpc.call("model.company.employee.delete", json!([[joiner], {}]))
        .await;
    rpc.call("model.party.party.delete", json!([[party[0]], {}]))
        .await;
    rpc.write(
        "company.employee",
        mover,
        json!({"supervisor": boss.parse::<i64>().expect("a number")}),
    )
    .await;
    rpc.write("company.employee", leaver, json!({"end_date": null}))
        .await;
    rpc.write("party.party", renamed_party, json!({"name": old_name}))
        .await;
    let reactivate = json!([[crossed_out], {"active": true}, {"active_test": false}]);
    rpc.call("model.party.contact_mechanism.write", reactivate)
        .await;
    let ids = tryton.worker_ids().await.expect("ids");
    assert_eq!(ids.unreadable, 0);
    assert_eq!(
        ids.ids,
        workers
            .keys()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>()
    );
    assert_eq!(
        tryton.photo(&joiner.to_string()).await.expect("an answer"),
        None
    );
}

#[tokio::test]
async fn what_is_written_back_is_what_tryton_then_says() {
    let Some((tryton, limited, rpc)) = connect().await else {
        return;
    };
    // One of the other company, whom no other test touches.
    let rows = rpc
        .rows(
            "company.employee",
            json!([["company", "=", 2]]),
            &["party"],
            json!({}),
        )
        .await;
    let (id, party) = (
        rows[0]["id"].to_string(),
        rows[0]["party"].as_i64().expect("a party"),
    );
    let fields = ["name", "email", "phone", "mobile"];
    let ask = || {
        rpc.rows(
            "party.party",
            json!([["id", "=", party]]),
            &fields,
            json!({}),
        )
    };
    let before = ask().await;
    for (attribute, field, value) in [
        (Attribute::DisplayName, "name", "Ingrid Solberg"),
        (Attribute::Emails, "email", "solberg@erp.test"),
        (Attribute::PhoneNumbers, "phone", "+4721000000"),
        (Attribute::Mobile, "mobile", "+4740000000"),
    ] {
        assert!(tryton.writable().contains(&attribute));
        tryton
            .write(&id, attribute, Some(&Value::from(value)))
            .await
            .expect("written");
        assert_eq!(ask().await[0][field], value);
    }
    // Crossed out: nothing of the kind is left.
    tryton
        .write(&id, Attribute::PhoneNumbers, None)
        .await
        .expect("written");
    assert_eq!(said(&ask().await[0]["phone"]), None);
    let none = tryton.write(&id, Attribute::DisplayName, None).await;
    assert!(matches!(none, Err(Error::Rejected { .. })), "{none:?}");
    let title = tryton
        .write(&id, Attribute::Title, Some(&Value::from("Smith")))
        .await;
    assert!(matches!(title, Err(Error::Forbidden { .. })), "{title:?}");
    let gone = tryton
        .write("999999", Attribute::Mobile, Some(&Value::from("+47")))
        .await;
    assert!(matches!(gone, Err(Error::Rejected { .. })), "{gone:?}");
    drop(limited);

    for (attribute, field) in [
        (Attribute::DisplayName, "name"),
        (Attribute::Emails, "email"),
        (Attribute::PhoneNumbers, "phone"),
        (Attribute::Mobile, "mobile"),
    ] {
        let value = said(&before[0][field]).map(Value::from);
        tryton
            .write(&id, attribute, value.as_ref())
            .await
            .expect("written");
    }
    let fields: Vec<_> = fields.iter().map(|field| said(&before[0][field])).collect();
    let after = ask().await;
    let now: Vec<_> = ["name", "email", "phone", "mobile"]
        .iter()
        .map(|field| said(&after[0][field]))
        .collect();
    assert_eq!(now, fields);
}

#[tokio::test]
async fn clients_owe_what_tryton_itself_says() {
    let Some((tryton, _, rpc)) = connect().await else {
        return;
    };
    let (all, mark) = clients(&tryton, None).await;
    assert_eq!(all.len(), 12);
    let companies = rpc
        .rows("company.company", json!([]), &["currency.code"], json!({}))
        .await;
    assert_eq!(companies.len(), 2);
    let mut accounts = 0;
    let mut payments = 0;
    for company in &companies {
        let id = company["id"].to_string();
        let currency = company["currency."]["code"].as_str().expect("a currency");
        let context = json!({"company": company["id"]});
        let ids: Vec<i64> = all.keys().map(|id| id.parse().expect("a number")).collect();
        let fields = ["name", "email", "receivable", "customer_payment_term.name"];
        let rows = rpc
            .rows("party.party", json!([["id", "in", ids]]), &fields, context)
            .await;
        assert_eq!(rows.len(), all.len());
        for row in rows {
            let client = &all[&row["id"].to_string()];
            assert_eq!(Some(client.name.as_str()), said(&row["name"]));
            assert_eq!(
                client.emails.first().map(String::as_str),
                said(&row["email"])
            );
            let of = |account: &&domain::client::Account| {
                account.company.as_deref() == Some(&id) && account.currency == currency
            };
            let Some(account) = client.accounts.iter().find(of) else {
                let owed = money(&row["receivable"]);
                assert!(owed.chars().all(|c| matches!(c, '0' | '.')), "{row}");
                continue;
            };
            accounts += 1;
            payments += account.payments.len();
            assert_eq!(
                account.balance.to_string(),
                money(&row["receivable"]),
                "{row}"
            );
            assert_eq!(
                account.terms.as_deref(),
                said(&row["customer_payment_term."]["name"])
            );
        }
    }
    assert!(accounts > 12, "some owe both companies: {accounts}");
    assert_eq!(payments, 2);

    // Every invoice that is open, to the last decimal.
    let fields = [
        "party",
        "company",
        "number",
        "invoice_date",
        "total_amount",
        "amount_to_pay",
        "currency.code",
    ];
    let posted = json!([["type", "=", "out"], ["state", "=", "posted"]]);
    let rows = rpc
        .rows("account.invoice", posted, &fields, json!({}))
        .await;
    let mut wanted: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["id"].to_string(),
                row["party"].to_string(),
                row["company"].to_string(),
                row["currency."]["code"]
                    .as_str()
                    .expect("a currency")
                    .to_owned(),
                money(&row["total_amount"]),
                money(&row["amount_to_pay"]),
                day(&row["invoice_date"]),
            )
        })
        .collect();
    let mut got: Vec<_> = all
        .values()
        .flat_map(|client| client.accounts.iter().map(move |account| (client, account)))
        .flat_map(|(client, account)| {
            account
                .open_items
                .iter()
                .map(move |item| (client, account, item))
        })
        .map(|(client, account, item)| {
            assert!(item.due.is_some_and(|due| due > item.date), "{item:?}");
            (
                item.external_id.clone(),
                client.external_id.clone(),
                account.company.clone().expect("a company"),
                account.currency.clone(),
                item.amount.to_string(),
                item.open.to_string(),
                Some(item.date),
            )
        })
        .collect();
    wanted.sort();
    got.sort();
    assert_eq!(got, wanted);
    assert!(
        got.iter()
            .any(|(.., currency, amount, open, _)| currency == "NOK" && amount == open)
    );
    assert!(
        got.iter().any(|(.., amount, open, _)| amount != open),
        "one is paid in part"
    );

    // A delta has what changed within the overlap, told as before.
    let (again, _) = clients(&tryton, Some(mark)).await;
    for (id, client) in &again {
        assert_eq!(client, &all[id]);
    }
}

#[tokio::test]
async fn wrong_credentials_and_a_wrong_database_are_told_apart() {
    let Some((_, _, _)) = connect().await else {
        return;
    };
    let [url, database, key] =
        ["TRYTON_URL", "TRYTON_DB", "TRYTON_KEY"].map(|name| env::var(name).expect("a variable"));
    let wrong = Tryton::new(&guard(), &url, &database, "wrong").expect("an adapter");
    assert_eq!(wrong.probe().await, Err(Error::Unauthorized));
    let nowhere = Tryton::new(&guard(), &url, "nowhere", &key).expect("an adapter");
    let error = nowhere.probe().await.expect_err("no such database");
    assert!(error.to_string().contains("database's name"), "{error}");
    let bare = Tryton::new(
        &Guard::default(),
        &url.replace("http:", "https:"),
        &database,
        &key,
    );
    assert!(matches!(bare, Err(Error::NotAllowed { .. })), "{bare:?}");
}

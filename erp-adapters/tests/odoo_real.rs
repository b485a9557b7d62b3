//! A running Odoo 19 against what Odoo itself says through another door.
//!
//! `e2e/odoo/up` starts one and prints the variables that this file reads;
//! without them it says that it was skipped. The other door is JSON-RPC, which
//! shares no code with the adapter. The tests change people, departments,
//! books and tickets, and put back what others look at; they want to be alone
//! (`-j 1`).

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    env,
};

use base64::Engine as _;
use chrono::NaiveDate;
use domain::{
    Attribute, Value,
    client::{Client, Item, Ticket},
    erp::{Watermark, Worker},
};
use erp_adapters::{ErpAdapter as _, Error, Guard, Odoo, Readable};
use futures::TryStreamExt as _;
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};
use tokio::sync::OnceCell;

/// Odoo's other door.
struct Rpc {
    url: String,
    database: String,
    key: String,
    client: reqwest::Client,
    user: OnceCell<Json>,
}

impl Rpc {
    async fn service(&self, service: &str, method: &str, args: Json) -> Json {
        let params = json!({"service": service, "method": method, "args": args});
        let call = json!({"jsonrpc": "2.0", "method": "call", "id": 1, "params": params});
        let answer = self
            .client
            .post(format!("{}/jsonrpc", self.url))
            .json(&call)
            .send()
            .await;
        let mut answer: Json = answer.expect("Odoo answers").json().await.expect("JSON");
        assert!(
            answer.get("error").is_none(),
            "{method}: {}",
            answer["error"]["data"]["message"]
        );
        answer["result"].take()
    }

    async fn call(&self, model: &str, method: &str, args: Json, named: Json) -> Json {
        let (database, key) = (&self.database, &self.key);
        let sign_in = json!([database, "admin", key, {}]);
        let sign_in = || self.service("common", "authenticate", sign_in);
        let user = self.user.get_or_init(sign_in).await;
        let args = json!([database, user, key, model, method, args, named]);
        self.service("object", "execute_kw", args).await
    }

    /// The companies of the key's user.
    async fn companies(&self) -> Vec<i64> {
        let ids = self.read("res.users", 2, "company_ids").await;
        let ids = ids.as_array().expect("ids").iter();
        let mut ids: Vec<i64> = ids.filter_map(Json::as_i64).collect();
        ids.sort_unstable();
        ids
    }

    async fn all(&self, model: &str, fields: &[&str]) -> BTreeMap<i64, Json> {
        let named = json!({"fields": fields, "context": {"active_test": false}});
        let rows = self.call(model, "search_read", json!([[]]), named).await;
        let rows = rows.as_array().expect("rows").clone();
        rows.into_iter()
            .map(|row| (row["id"].as_i64().expect("an id"), row))
            .collect()
    }

    async fn create(&self, model: &str, values: Json) -> i64 {
        let id = self.call(model, "create", json!([values]), json!({})).await;
        id.as_i64().expect("an id")
    }

    async fn read(&self, model: &str, id: i64, field: &str) -> Json {
        let named = json!({"fields": [field]});
        let rows = self.call(model, "read", json!([[id]]), named).await;
        rows[0][field].clone()
    }

    async fn write(&self, model: &str, id: i64, values: Json) {
        self.call(model, "write", json!([[id], values]), json!({}))
            .await;
    }
}

/// The adapters of an administrator, of a plain user, and of an administrator over JSON-RPC.
struct Odoos {
    full: Odoo,
    limited: Odoo,
    older: Odoo,
}

impl Rpc {
    fn open(&self, more: &[(&str, &str)]) -> Odoo {
        let guard = Guard::new(["127.0.0.1"]).expect("a list");
        let settings = [
            ("url", self.url.as_str()),
            ("database", &self.database),
            ("api_key", &self.key),
        ];
        let settings = settings.iter().chain(more);
        let settings = settings.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Odoo::new(&guard, &settings.collect()).expect("an adapter")
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn connect() -> Option<(Odoos, Rpc)> {
    let names = ["ODOO_URL", "ODOO_DB", "ODOO_KEY", "ODOO_LIMITED_KEY"];
    let [Ok(url), Ok(database), Ok(key), Ok(limited)] = names.map(env::var) else {
        eprintln!(
            "SKIPPED: e2e/odoo/up starts an Odoo and prints {}",
            names.join(", ")
        );
        return None;
    };
    let rpc = Rpc {
        url,
        database,
        key,
        client: reqwest::Client::new(),
        user: OnceCell::new(),
    };
    let odoos = Odoos {
        full: rpc.open(&[]),
        limited: rpc.open(&[("api_key", &limited)]),
        older: rpc.open(&[("api", "jsonrpc"), ("login", "admin")]),
    };
    Some((odoos, rpc))
}

async fn pull(
    odoo: &Odoo,
    since: Option<Watermark>,
    told: &[&str],
) -> (BTreeMap<i64, Worker>, Watermark) {
    let pages: Vec<_> = odoo
        .workers(since.clone())
        .try_collect()
        .await
        .expect("a pull");
    let faults: Vec<_> = pages
        .iter()
        .flat_map(|page| &page.faults)
        .map(|fault| &fault.what)
        .collect();
    assert_eq!(faults, told);
    let end = pages
        .last()
        .map(|page| page.watermark.clone())
        .or(since)
        .expect("a page");
    let workers = pages.into_iter().flat_map(|page| page.workers);
    (
        workers
            .map(|worker| (worker.external_id.parse().expect("a number"), worker))
            .collect(),
        end,
    )
}

/// A many2one's id as text.
fn id(value: &Json) -> Option<String> {
    value.get(0).map(ToString::to_string)
}

#[tokio::test]
async fn everything_is_as_odoo_itself_says() {
    let Some((
        Odoos {
            full: odoo,
            limited,
            older,
        },
        rpc,
    )) = connect()
    else {
        return;
    };

    // What may be read, with and without the right to.
    let probe = odoo.probe().await.expect("a probe");
    assert!(probe.system.starts_with("Odoo 19"), "{}", probe.system);
    assert!(
        probe
            .access
            .iter()
            .all(|access| access.readable == Readable::Yes),
        "{:?}",
        probe.access
    );
    let reduced = limited.probe().await.expect("a probe");
    assert_eq!(reduced.access[0].readable, Readable::Reduced);
    let clients = reduced
        .access
        .iter()
        .find(|access| access.what.starts_with("Clients"));
    assert_eq!(
        clients.map(|access| access.readable),
        Some(Readable::Reduced)
    );
    assert_eq!((reduced.people, reduced.units), (probe.people, probe.units));

    // Every person, superior, department and photo.
    let fields = [
        "name",
        "job_title",
        "work_email",
        "work_phone",
        "mobile_phone",
        "work_location_name",
        "contract_date_start",
        "contract_date_end",
        "birthday",
        "tz",
        "barcode",
        "parent_id",
        "department_id",
        "active",
        "image_512",
    ];
    let employees = rpc.all("hr.employee", &fields).await;
    let dates = ["employee_id", "contract_date_start", "contract_date_end"];
    let versions = rpc.all("hr.version", &dates).await;
    assert!(employees.len() >= 20, "the demo company is there");
    assert_eq!(probe.people, employees.len() as u64);
    let (workers, mark) = pull(&odoo, None, &[]).await;
    assert_eq!(
        workers.keys().collect::<Vec<_>>(),
        employees.keys().collect::<Vec<_>>()
    );
    let told =
        "public profiles are read instead, without birthDate, employeeNumber, startDate, endDate";
    let (public, _) = pull(&limited, None, &[told]).await;
    let mut photos = 0;
    for (key, row) in &employees {
        let worker = &workers[key];
        for (field, attribute) in [
            ("name", Attribute::DisplayName),
            ("job_title", Attribute::Title),
            ("work_email", Attribute::Emails),
            ("work_phone", Attribute::PhoneNumbers),
            ("mobile_phone", Attribute::Mobile),
            ("work_location_name", Attribute::Location),
            ("contract_date_end", Attribute::EndDate),
            ("birthday", Attribute::BirthDate),
            ("tz", Attribute::Timezone),
            ("barcode", Attribute::EmployeeNumber),
        ] {
            assert_eq!(
                worker.text(attribute),
                row[field].as_str(),
                "{key} {attribute}"
            );
        }
        let day = |value: &Json| value.as_str().map(|day| day.parse().expect("a day"));
        // A contract that follows the one before without a gap carries it on.
        let mut start: Option<NaiveDate> = day(&row["contract_date_start"]);
        let mut own: Vec<_> = versions
            .values()
            .filter(|version| version["employee_id"][0].as_i64() == Some(*key))
            .collect();
        own.sort_by_key(|version| Reverse(day(&version["contract_date_start"])));
        for version in own {
            let end = day(&version["contract_date_end"]);
            if end.is_some() && end == start.and_then(|start| start.pred_opt()) {
                start = day(&version["contract_date_start"]);
            }
        }
        assert_eq!(worker.starts_on, start, "{key}");
        let told = start.map(|start| start.to_string());
        assert_eq!(worker.text(Attribute::StartDate), told.as_deref(), "{key}");
        assert_eq!(worker.ends_on, day(&row["contract_date_end"]), "{key}");
        assert_eq!(worker.manager, id(&row["parent_id"]), "{key}");
        if row["department_id"] != false {
            assert_eq!(worker.unit, id(&row["department_id"]), "{key}");
        }
        assert_eq!(Some(worker.active), row["active"].as_bool(), "{key}");
        assert_eq!(public[key].manager, worker.manager, "{key}");
        assert_eq!(
            public[key].text(Attribute::Title),
            worker.text(Attribute::Title),
            "{key}"
        );

        let image = row["image_512"].as_str().map(|text| {
            base64::engine::general_purpose::STANDARD
                .decode(text)
                .expect("base64")
        });
        let image = image.filter(|bytes| !bytes.trim_ascii_start().starts_with(b"<"));
        let photo = odoo
            .photo(&worker.external_id)
            .await
            .expect("an answer")
            .map(|photo| photo.bytes);
        assert_eq!(photo, image, "{key}");
        assert_eq!(worker.photo.is_some(), photo.is_some(), "{key}");
        photos += usize::from(photo.is_some());
    }
    assert!(photos >= 15, "{photos} photos");

    let departments = rpc
        .all(
            "hr.department",
            &["name", "parent_id", "manager_id", "company_id"],
        )
        .await;
    let structure = odoo.units().await.expect("units");
    assert_eq!(structure.faults, []);
    // Several companies are units above the departments; with one there is none.
    let companies = rpc.companies().await;
    let (above, units): (Vec<_>, Vec<_>) = structure
        .units
        .iter()
        .partition(|unit| unit.external_id.starts_with("company:"));
    let several = companies.len() > 1;
    assert_eq!(above.len(), if several { companies.len() } else { 0 });
    assert_eq!(units.len(), departments.len());
    for unit in units {
        let row = &departments[&unit.external_id.parse().expect("a number")];
        assert_eq!(Some(unit.name.as_str()), row["name"].as_str());
        let company = id(&row["company_id"]).filter(|_| several);
        let company = company.map(|company| format!("company:{company}"));
        assert_eq!(unit.parent, id(&row["parent_id"]).or(company));
        assert_eq!(
            unit.heads,
            id(&row["manager_id"]).into_iter().collect::<Vec<_>>()
        );
    }

    // The older way in says the same.
    assert_eq!(pull(&older, None, &[]).await.0, workers);
    assert_eq!(older.units().await.expect("units"), structure);
    assert_eq!(older.worker_ids().await, odoo.worker_ids().await);
    let again = older.probe().await.expect("a probe");
    assert_eq!(again.access, probe.access);
    let first = employees.keys().next().expect("somebody").to_string();
    assert_eq!(older.photo(&first).await, odoo.photo(&first).await);

    // A joiner with a photo, a mover, a leaver, a renamed department, a new photo.
    let (mover, leaver) = (
        *workers.keys().nth(4).expect("five"),
        *workers.keys().nth(6).expect("seven"),
    );
    let unit = *departments.keys().next().expect("a department");
    let other = departments
        .keys()
        .map(ToString::to_string)
        .find(|id| Some(id) != workers[&mover].unit.as_ref())
        .expect("two");
    let red = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
    let joiner = json!([{"name": "Ottilie Brandvik", "job_title": "Smith", "parent_id": leaver, "image_1920": red}]);
    let joiner = rpc
        .call("hr.employee", "create", joiner, json!({}))
        .await
        .as_i64()
        .expect("an id");
    rpc.write("hr.employee", mover, json!({"job_title": "Forge Line Lead", "department_id": other.parse::<i64>().expect("a number")})).await;
    rpc.write("hr.employee", leaver, json!({"active": false}))
        .await;
    rpc.write("hr.department", unit, json!({"name": "Forge & Anvil"}))
        .await;

    let (changed, mark) = pull(&odoo, Some(mark), &[]).await;
    assert_eq!(changed[&joiner].name(), "Ottilie Brandvik");
    assert_eq!(changed[&joiner].manager, Some(leaver.to_string()));
    let first_photo = changed[&joiner].photo.clone().expect("a photo");
    assert!(
        odoo.photo(&joiner.to_string())
            .await
            .expect("an answer")
            .is_some()
    );
    assert_eq!(
        changed[&mover].text(Attribute::Title),
        Some("Forge Line Lead")
    );
    assert_eq!(changed[&mover].unit, Some(other));
    assert!(!changed[&leaver].active);
    let units = odoo.units().await.expect("units").units;
    let renamed = units
        .iter()
        .find(|found| found.external_id == unit.to_string())
        .expect("the department");
    assert_eq!(renamed.name, "Forge & Anvil");

    let blue = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPj/HwADBwIAMCbHYQAAAABJRU5ErkJggg==";
    rpc.write("hr.employee", joiner, json!({"image_1920": blue}))
        .await;
    let (changed, _) = pull(&odoo, Some(mark), &[]).await;
    assert_ne!(
        changed[&joiner].photo,
        Some(first_photo),
        "the new photo is seen"
    );
    assert!(
        odoo.worker_ids()
            .await
            .expect("ids")
            .ids
            .contains(&joiner.to_string())
    );

    // Put back; whoever was deleted is missing among the ids.
    rpc.call("hr.employee", "unlink", json!([[joiner]]), json!({}))
        .await;
    rpc.write("hr.employee", leaver, json!({"active": true}))
        .await;
    let before = &employees[&mover];
    rpc.write(
        "hr.employee",
        mover,
        json!({"job_title": before["job_title"], "department_id": before["department_id"][0]}),
    )
    .await;
    rpc.write(
        "hr.department",
        unit,
        json!({"name": departments[&unit]["name"]}),
    )
    .await;
    let ids = odoo.worker_ids().await.expect("ids");
    assert_eq!(
        ids.ids,
        employees
            .keys()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>()
    );
    assert_eq!(ids.unreadable, 0);
    assert_eq!(
        odoo.photo(&joiner.to_string()).await.expect("an answer"),
        None
    );
}

/// Everyone in a delta by their ids.
async fn changed(odoo: &Odoo, since: &Watermark) -> (BTreeMap<i64, Worker>, Watermark) {
    pull(odoo, Some(since.clone()), &[]).await
}

/// The end of what is there now.
async fn here(odoo: &Odoo) -> Watermark {
    pull(odoo, None, &[]).await.1
}

#[tokio::test]
async fn a_value_that_is_written_is_read_again() {
    let Some((
        Odoos {
            full,
            limited,
            older,
        },
        rpc,
    )) = connect()
    else {
        return;
    };
    let id = rpc
        .create("hr.employee", json!({"name": "Ottilie Brandvik"}))
        .await;
    let boss = rpc.create("hr.employee", json!({"name": "Boss"})).await;
    let external = id.to_string();
    let mark = here(&full).await;
    for (way, odoo) in [("json2", &full), ("jsonrpc", &older)] {
        for (attribute, field, text) in [
            (Attribute::DisplayName, "name", format!("Ottilie {way}")),
            (Attribute::Title, "job_title", format!("Line lead by {way}")),
            (
                Attribute::PhoneNumbers,
                "work_phone",
                "+47 22 12 34 56".to_owned(),
            ),
            (
                Attribute::Mobile,
                "mobile_phone",
                "+47 987 65 432".to_owned(),
            ),
            (
                Attribute::Emails,
                "work_email",
                format!("{way}@forge.example"),
            ),
            (Attribute::BirthDate, "birthday", "1984-02-29".to_owned()),
            (Attribute::Timezone, "tz", "Europe/Oslo".to_owned()),
            (Attribute::EmployeeNumber, "barcode", format!("N{way}")),
        ] {
            assert!(odoo.writable().contains(&attribute), "{attribute}");
            let value = Value::Text(text.clone());
            let written = odoo.write(&external, attribute, Some(&value)).await;
            assert_eq!(written, Ok(()), "{way} {attribute}");
            assert_eq!(
                rpc.read("hr.employee", id, field).await,
                json!(text),
                "{way} {attribute}"
            );
            let (found, _) = changed(odoo, &mark).await;
            assert_eq!(found[&id].text(attribute), Some(text.as_str()), "{way}");
        }
        odoo.write(&external, Attribute::Title, None)
            .await
            .expect("emptied");
        assert_eq!(rpc.read("hr.employee", id, "job_title").await, json!(false));

        // A superior, by id; a circle, which Odoo itself takes; and one who is not there.
        let above = |id: i64| Some(Value::Text(id.to_string()));
        let write = async |whose: i64, superior: Option<Value>| {
            let whose = whose.to_string();
            odoo.write(&whose, Attribute::Manager, superior.as_ref())
                .await
        };
        assert_eq!(write(id, above(boss)).await, Ok(()), "{way}");
        assert_eq!(rpc.read("hr.employee", id, "parent_id").await[0], boss);
        let circle = "has the new superior below this person already";
        for (whose, superior, told) in [
            (boss, id, circle),
            (id, id, circle),
            (id, 99_999_999, "has no employee 99999999"),
        ] {
            let refused = write(whose, above(superior)).await;
            let what = told.to_owned();
            assert_eq!(refused, Err(Error::Rejected { what }), "{way}");
        }
        assert_eq!(write(id, None).await, Ok(()), "{way}");
        let nobody = rpc.read("hr.employee", id, "parent_id").await;
        assert_eq!(nobody, json!(false), "{way}");

        // What Odoo does not take, and who is not there.
        let odd = Value::Text("ärgerlich ö".into());
        let refused = odoo
            .write(&external, Attribute::EmployeeNumber, Some(&odd))
            .await;
        let told = refused.expect_err("a badge has plain letters").to_string();
        assert!(told.starts_with("the ERP refused it: "), "{told}");
        assert!(
            told.contains("alphanumeric") && !told.contains("Traceback"),
            "{told}"
        );
        let gone = odoo.write("99999999", Attribute::Title, Some(&odd)).await;
        let gone = gone.expect_err("nobody").to_string();
        assert_eq!(gone, "the ERP has no such record any more");
    }
    let value = Value::Text("Smith".into());
    let refused = limited
        .write(&external, Attribute::Title, Some(&value))
        .await;
    assert_eq!(
        refused,
        Err(Error::Forbidden {
            what: "write title".into()
        })
    );
    rpc.call("hr.employee", "unlink", json!([[id, boss]]), json!({}))
        .await;
}

#[tokio::test]
async fn a_contract_that_moves_alone_is_in_the_next_delta() {
    let Some((Odoos { full, older, .. }, rpc)) = connect() else {
        return;
    };
    let joiner = json!({"name": "Starts Monday", "contract_date_start": "2031-03-03"});
    let id = rpc.create("hr.employee", joiner).await;
    let version = rpc.read("hr.employee", id, "current_version_id").await;
    let version = version[0].as_i64().expect("a version");
    let mark = here(&full).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let before = rpc.read("hr.employee", id, "write_date").await;
    rpc.write(
        "hr.version",
        version,
        json!({"contract_date_end": "2031-09-30"}),
    )
    .await;
    assert_eq!(
        rpc.read("hr.employee", id, "write_date").await,
        before,
        "the person's date does not move"
    );
    for odoo in [&full, &older] {
        // Ten minutes of overlap would read the person anyway: let the rows be far ahead.
        let (_, parts) = mark.0.split_once('/').expect("rows and contracts");
        let ahead = (chrono::NaiveDateTime::parse_from_str(&mark.0[..19], "%F %T")
            .expect("a time")
            + chrono::TimeDelta::minutes(10))
        .format("%F %T");
        let (found, _) = changed(odoo, &Watermark(format!("{ahead}/{parts}"))).await;
        let worker = &found[&id];
        let day = |text: &str| Some(text.parse().expect("a day"));
        assert_eq!(
            (worker.starts_on, worker.ends_on),
            (day("2031-03-03"), day("2031-09-30"))
        );
    }
    rpc.call("hr.employee", "unlink", json!([[id]]), json!({}))
        .await;
}

async fn clients(
    odoo: &Odoo,
    since: Option<Watermark>,
) -> (BTreeMap<String, Client>, Vec<String>, Option<Watermark>) {
    let pages: Vec<_> = odoo.clients(since).try_collect().await.expect("a pull");
    let faults = pages.iter().flat_map(|page| &page.faults);
    let faults = faults.map(|fault| fault.what.clone()).collect();
    let mark = pages.last().map(|page| page.watermark.clone());
    let clients = pages.into_iter().flat_map(|page| page.clients);
    let clients = clients.map(|client| (client.external_id.clone(), client));
    (clients.collect(), faults, mark)
}

/// Nearly ten minutes from now, so that a pull from then reads what changes from about now on.
fn later() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "a running Odoo has no other clock"
    )]
    let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
    let later = now + chrono::TimeDelta::seconds(597);
    later.format("%F %T").to_string()
}

fn money(value: &Json) -> Decimal {
    let text = value.as_number().expect("a number").to_string();
    text.parse::<Decimal>().expect("money").round_dp(2)
}

/// What an employee of Odoo finds in the books.
struct Books {
    partners: BTreeMap<i64, Json>,
    /// The receivable lines that are posted and not settled.
    open: BTreeMap<i64, Json>,
}

impl Rpc {
    async fn books(&self) -> Books {
        let fields = ["name", "customer_rank", "is_company", "parent_id"];
        let mut partners = self.all("res.partner", &fields).await;
        partners.retain(|_, row| {
            row["customer_rank"].as_i64() > Some(0)
                && (row["is_company"] == true || row["parent_id"] == false)
        });
        let fields = [
            "partner_id",
            "company_id",
            "account_type",
            "parent_state",
            "reconciled",
            "amount_residual",
            "move_name",
            "move_id",
        ];
        let mut open = self.all("account.move.line", &fields).await;
        open.retain(|_, line| {
            line["account_type"] == "asset_receivable"
                && line["parent_state"] == "posted"
                && line["reconciled"] == false
        });
        Books { partners, open }
    }
}

#[tokio::test]
async fn clients_owe_what_odoo_says() {
    let Some((
        Odoos {
            full,
            limited,
            older,
        },
        rpc,
    )) = connect()
    else {
        return;
    };
    let Books {
        partners,
        open: lines,
    } = rpc.books().await;
    let companies = rpc.companies().await;
    assert!(partners.len() >= 4, "the demo company has customers");
    let (found, faults, _) = clients(&full, None).await;
    assert_eq!(faults, [""; 0]);
    assert_eq!(found.len(), partners.len());
    for (key, row) in &partners {
        let client = &found[&key.to_string()];
        assert_eq!(Some(client.name.as_str()), row["name"].as_str());
        assert_eq!(client.accounts.len(), companies.len(), "{key}");
        for (account, company) in client.accounts.iter().zip(&companies) {
            let unit = (companies.len() > 1).then(|| format!("company:{company}"));
            assert_eq!(account.company, unit);
            assert_eq!(account.currency, "USD");
            let fields = ["credit", "property_payment_term_id"];
            let context = json!({"fields": fields, "context": {"allowed_company_ids": [company]}});
            let row = rpc
                .call("res.partner", "read", json!([[key]]), context)
                .await;
            assert_eq!(account.balance, money(&row[0]["credit"]), "{key}");
            let terms = row[0]["property_payment_term_id"][1].as_str();
            assert_eq!(account.terms.as_deref(), terms);
            let open = lines
                .values()
                .filter(|line| line["partner_id"][0] == *key && line["company_id"][0] == *company);
            let mut open: Vec<_> = open
                .map(|line| (line["id"].to_string(), money(&line["amount_residual"])))
                .collect();
            let mut items: Vec<_> = account
                .open_items
                .iter()
                .map(|item| (item.external_id.clone(), item.open))
                .collect();
            open.sort();
            items.sort();
            assert_eq!(items, open, "{key}");
            let sum = account.open_items.iter().map(|item| item.open).sum();
            assert_eq!(account.balance, sum, "{key}");
            let days = |item: &Item| item.due.unwrap_or(item.date);
            assert!(account.open_items.is_sorted_by_key(days));
            assert!(!account.payment_options.is_empty());
        }
    }
    assert_eq!(clients(&older, None).await.0, found, "over JSON-RPC");
    let (less, faults, _) = clients(&limited, None).await;
    assert!(less.len() >= 4);
    assert!(less.values().all(|client| client.accounts.is_empty()));
    assert!(faults[0].contains("Invoicing"), "{faults:?}");
}

#[tokio::test]
async fn what_moves_in_the_books_brings_its_client() {
    let Some((Odoos { full, .. }, rpc)) = connect() else {
        return;
    };
    let Books { partners, open } = rpc.books().await;
    let (before, _, mark) = clients(&full, None).await;
    let mark = mark.expect("a page");
    let parts = mark.0.split('/').map(|_| later()).collect::<Vec<_>>();
    let now = Watermark(parts.join("/"));
    assert_eq!(clients(&full, Some(now.clone())).await.0.len(), 0);
    // The first company's, which the demo data are made for.
    let of = |kind: &'static str| {
        open.iter().filter(move |(_, line)| {
            let name = line["move_name"].as_str().unwrap_or_default();
            name.starts_with(kind) && line["company_id"][0] == 1
        })
    };

    // A credit note is set off against an invoice: the balance stays, the items do not.
    let pair = of("RINV/").find_map(|(note, row)| {
        let client = row["partner_id"][0]
            .as_i64()
            .filter(|id| partners.contains_key(id))?;
        let mut invoices = of("INV/").filter(|(_, line)| line["partner_id"][0] == client);
        Some((client, note, invoices.next()?.0))
    });
    let (client, note, invoice) = pair.expect("a credit note and an invoice of one client");
    let pair = json!([[note, invoice]]);
    rpc.call("account.move.line", "reconcile", pair, json!({}))
        .await;
    let (after, _, _) = clients(&full, Some(now)).await;
    let [before, after] =
        [&before, &after].map(|clients| &clients[&client.to_string()].accounts[0]);
    assert_eq!(after.balance, before.balance);
    assert_ne!(after.open_items, before.open_items);

    // A client pays part of an invoice.
    let Books { open, .. } = rpc.books().await;
    let owed = open.values().find(|line| {
        line["company_id"][0] == 1
            && line["move_name"]
                .as_str()
                .is_some_and(|name| name.starts_with("INV/"))
            && money(&line["amount_residual"]) > Decimal::from(200)
            && line["partner_id"][0]
                .as_i64()
                .is_some_and(|id| partners.contains_key(&id))
    });
    let owed = owed.expect("an open invoice");
    let client = owed["partner_id"][0].to_string();
    let (before, _, mark) = clients(&full, Some(mark)).await;
    let before = match before.get(&client) {
        Some(client) => client.accounts[0].balance,
        None => clients(&full, None).await.0[&client].accounts[0].balance,
    };
    let invoice = &owed["move_id"][0];
    let context = json!({"context": {"active_model": "account.move", "active_ids": [invoice]}});
    let payment = json!([{"amount": 100.1, "payment_date": "2026-11-20"}]);
    let register = rpc
        .call(
            "account.payment.register",
            "create",
            payment,
            context.clone(),
        )
        .await;
    let register = register
        .as_array()
        .map_or(register.clone(), |ids| ids[0].clone());
    let pay = json!([[register]]);
    rpc.call(
        "account.payment.register",
        "action_create_payments",
        pay,
        context,
    )
    .await;
    let (found, _, _) = clients(&full, mark).await;
    let account = &found[&client].accounts[0];
    let paid = "100.10".parse::<Decimal>().expect("money");
    assert_eq!(account.balance, before - paid);
    let payment = account
        .payments
        .iter()
        .find(|payment| payment.amount == paid);
    let payment = &payment.expect("the payment").clone();
    assert_eq!(
        (
            payment.date.to_string().as_str(),
            payment.amount.to_string().as_str()
        ),
        ("2026-11-20", "100.10")
    );
    assert!(payment.reference.starts_with('P'), "{}", payment.reference);

    // Money that only the bank's statement tells of; Community lends the right to enter one to nobody.
    let right = json!([[
        ["module", "=", "account"],
        ["name", "=", "group_account_basic"]
    ]]);
    let named = json!({"fields": ["res_id"]});
    let right = rpc.call("ir.model.data", "search_read", right, named).await;
    let group = json!({"group_ids": [[4, right[0]["res_id"]]]});
    rpc.write("res.users", 2, group).await;
    let journal = json!([[["type", "=", "bank"], ["company_id", "=", 1]]]);
    let journal = rpc
        .call("account.journal", "search", journal, json!({}))
        .await;
    let context = json!({"fields": ["property_account_receivable_id"], "context": {"allowed_company_ids": [1]}});
    let owed = rpc
        .call(
            "res.partner",
            "read",
            json!([[owed["partner_id"][0]]]),
            context,
        )
        .await;
    let line = json!({
        "journal_id": journal[0], "payment_ref": "Wheels, thank you", "partner_id": owed[0]["id"], "amount": 7.77,
        "date": "2026-11-21", "counterpart_account_id": owed[0]["property_account_receivable_id"][0],
    });
    rpc.create("account.bank.statement.line", line).await;
    let account = &clients(&full, None).await.0[&client].accounts[0];
    assert_eq!(account.balance, before - paid - Decimal::new(777, 2));
    let [newest, next, ..] = account.payments.as_slice() else {
        panic!("{:?}", account.payments)
    };
    assert_eq!(
        (
            newest.date.to_string().as_str(),
            newest.amount.to_string().as_str()
        ),
        ("2026-11-21", "7.77")
    );
    assert_eq!(next, payment);
}

async fn tickets(
    odoo: &Odoo,
    since: Option<Watermark>,
) -> (BTreeMap<String, Ticket>, Option<Watermark>) {
    let pages: Vec<_> = odoo.tickets(since).try_collect().await.expect("a pull");
    let faults: Vec<_> = pages.iter().flat_map(|page| &page.faults).collect();
    assert_eq!(faults, [] as [&domain::erp::Fault; 0]);
    let mark = pages.last().map(|page| page.watermark.clone());
    let tickets = pages.into_iter().flat_map(|page| page.tickets);
    (
        tickets
            .map(|ticket| (ticket.external_id.clone(), ticket))
            .collect(),
        mark,
    )
}

#[tokio::test]
async fn tickets_come_with_their_talk_and_a_new_message_brings_its_ticket() {
    let Some((Odoos { full, older, .. }, rpc)) = connect() else {
        return;
    };
    let rows = rpc
        .all(
            "helpdesk.ticket",
            &[
                "number",
                "name",
                "stage_id",
                "closed",
                "priority",
                "commercial_partner_id",
            ],
        )
        .await;
    assert!(rows.len() >= 5);
    let (found, mark) = tickets(&full, None).await;
    assert_eq!(found.len(), rows.len());
    for (key, row) in &rows {
        let ticket = &found[&key.to_string()];
        assert_eq!(ticket.number.as_deref(), row["number"].as_str());
        assert_eq!(Some(ticket.subject.as_str()), row["name"].as_str());
        assert_eq!(Some(ticket.stage.as_str()), row["stage_id"][1].as_str());
        assert_eq!(Some(ticket.closed), row["closed"].as_bool());
        assert_eq!(ticket.client, id(&row["commercial_partner_id"]));
        assert!(
            ticket
                .priority
                .as_deref()
                .is_some_and(|word| word.parse::<i64>().is_err())
        );
        assert!(
            ticket
                .messages
                .iter()
                .all(|message| !message.body.contains("<p"))
        );
    }
    assert!(found.values().any(|ticket| ticket.closed));
    assert_eq!(tickets(&older, None).await.0, found, "over JSON-RPC");

    // Somebody who is an employee takes a ticket and says something, with a file.
    let (ticket, _) = rows
        .iter()
        .find(|(_, row)| row["closed"] == false)
        .expect("an open one");
    let employees = rpc.all("hr.employee", &["user_id"]).await;
    let (employee, user) = employees
        .iter()
        .find(|(_, row)| row["user_id"][0].is_i64())
        .expect("one with a user");
    rpc.write(
        "helpdesk.ticket",
        *ticket,
        json!({"user_id": user["user_id"][0]}),
    )
    .await;
    let file = rpc.create("ir.attachment", json!({"name": "wheel.txt", "datas": "cm91bmQ=", "res_model": "helpdesk.ticket", "res_id": ticket})).await;
    let say = |body: &str, kind: &str, files: Json| {
        let named = json!({"body": body, "message_type": "comment", "subtype_xmlid": kind, "attachment_ids": files});
        rpc.call("helpdesk.ticket", "message_post", json!([[ticket]]), named)
    };
    say("Seven wheelsets & more", "mail.mt_comment", json!([file])).await;
    say("Theirs is an old one", "mail.mt_note", json!([])).await;
    let (after, mark) = tickets(&full, mark).await;
    let after = &after[&ticket.to_string()];
    assert_eq!(after.assignee, Some(employee.to_string()));
    let said = |body: &str| {
        after
            .messages
            .iter()
            .find(|message| message.body == body)
            .expect("the message")
    };
    let public = said("Seven wheelsets & more");
    assert!(!public.internal);
    assert_eq!(public.attachments.len(), 1);
    assert_eq!(
        (
            public.attachments[0].name.as_str(),
            public.attachments[0].bytes
        ),
        ("wheel.txt", Some(5))
    );
    assert!(said("Theirs is an old one").internal);

    // A message alone does not move the ticket's own date.
    let mark = mark.expect("a mark").0;
    let (_, parts) = mark.split_once('/').expect("rows and messages");
    say("And now?", "mail.mt_comment", json!([])).await;
    let since = Watermark(format!("2037-01-01 00:00:00/{parts}"));
    let (all, _) = tickets(&full, Some(since)).await;
    assert_eq!(all.len(), rows.len(), "a clock that was set back reads all");
}

#[tokio::test]
async fn each_company_is_a_unit_and_has_books_of_its_own() {
    let Some((_, rpc)) = connect() else { return };
    let admin = 2;
    let own = rpc.read("res.users", admin, "company_ids").await;
    let euro = rpc
        .call(
            "res.currency",
            "search",
            json!([[["name", "=", "EUR"]]]),
            json!({"context": {"active_test": false}}),
        )
        .await;
    let euro = euro[0].as_i64().expect("the euro");
    rpc.write("res.currency", euro, json!({"active": true}))
        .await;
    let company = rpc
        .create(
            "res.company",
            json!({"name": "Northwind Foundry", "currency_id": euro}),
        )
        .await;
    let mut both = own.clone();
    both.as_array_mut().expect("ids").push(json!(company));
    rpc.write("res.users", admin, json!({"company_ids": [[6, 0, both]]}))
        .await;
    let within = json!({"context": {"allowed_company_ids": [company]}});
    rpc.call(
        "account.chart.template",
        "try_loading",
        json!([[], "generic_coa", company]),
        within.clone(),
    )
    .await;
    // The chart brings the dollar.
    rpc.write("res.company", company, json!({"currency_id": euro}))
        .await;
    let make = |model: &'static str, values: Json| {
        let made = rpc.call(model, "create", json!([values]), within.clone());
        async move { made.await.as_i64().expect("an id") }
    };
    let department = make(
        "hr.department",
        json!({"name": "Moulding", "company_id": company}),
    )
    .await;
    let inside = make(
        "hr.employee",
        json!({"name": "Eirik Moe", "company_id": company, "department_id": department}),
    )
    .await;
    let alone = make(
        "hr.employee",
        json!({"name": "Siri Dahl", "company_id": company}),
    )
    .await;
    // Whose superior is the key's own user: Odoo shows her to them whatever the company.
    let superior = json!([[["user_id", "=", admin]]]);
    let superior = rpc.call("hr.employee", "search", superior, json!({})).await;
    rpc.write("hr.employee", alone, json!({"parent_id": superior[0]}))
        .await;
    let client = make(
        "res.partner",
        json!({"name": "Fjord Ferries", "is_company": true, "customer_rank": 1}),
    )
    .await;
    let invoice = json!({
        "move_type": "out_invoice", "partner_id": client, "invoice_date": "2026-11-02",
        "invoice_line_ids": [[0, 0, {"name": "Wheels", "quantity": 1, "price_unit": 1234.56, "tax_ids": []}]],
    });
    let invoice = make("account.move", invoice).await;
    rpc.call(
        "account.move",
        "action_post",
        json!([[invoice]]),
        within.clone(),
    )
    .await;

    let odoo = rpc.open(&[]);
    let probe = odoo.probe().await.expect("a probe");
    assert!(
        probe
            .access
            .iter()
            .any(|access| access.note.contains("Northwind Foundry")),
        "{:?}",
        probe.access
    );
    let unit = format!("company:{company}");
    let units = odoo.units().await.expect("units").units;
    let find = |id: &str| {
        units
            .iter()
            .find(|unit| unit.external_id == id)
            .expect("the unit")
    };
    assert_eq!(
        (find(&unit).name.as_str(), find(&unit).parent.as_deref()),
        ("Northwind Foundry", None)
    );
    assert_eq!(find(&department.to_string()).parent.as_ref(), Some(&unit));
    let first = "company:1".to_owned();
    assert!(
        units
            .iter()
            .any(|unit| unit.parent.as_ref() == Some(&first))
    );
    let (workers, _) = pull(&odoo, None, &[]).await;
    assert_eq!(workers[&inside].unit, Some(department.to_string()));
    assert_eq!(workers[&alone].unit.as_ref(), Some(&unit));
    assert!(workers.len() > 20);
    let (found, _, _) = clients(&odoo, None).await;
    let accounts = &found[&client.to_string()].accounts;
    assert_eq!(accounts.len(), rpc.companies().await.len());
    for account in accounts {
        let here = account.company.as_ref() == Some(&unit);
        let told = (
            account.currency.as_str(),
            account.balance.to_string(),
            account.open_items.len(),
        );
        let expected = if here {
            ("EUR", "1234.56".to_owned(), 1)
        } else {
            ("USD", "0.00".to_owned(), 0)
        };
        assert_eq!(told, expected);
    }

    // One company chosen, by name and over the older way: no one else is read.
    let name = [("companies", "northwind foundry")];
    let number = company.to_string();
    for more in [
        &name[..],
        &[
            ("api", "jsonrpc"),
            ("login", "admin"),
            ("companies", &number),
        ],
    ] {
        let one = rpc.open(more);
        let (workers, _) = pull(&one, None, &[]).await;
        assert_eq!(workers.keys().copied().collect::<Vec<_>>(), [inside, alone]);
        assert_eq!(one.worker_ids().await.expect("ids").ids.len(), 2);
        assert_eq!(workers[&alone].unit, None);
        let units = one.units().await.expect("units").units;
        assert_eq!(
            units
                .iter()
                .map(|unit| unit.name.as_str())
                .collect::<Vec<_>>(),
            ["Moulding"]
        );
        let (found, _, _) = clients(&one, None).await;
        let account = &found[&client.to_string()].accounts[0];
        assert_eq!(
            (account.currency.as_str(), account.balance.to_string()),
            ("EUR", "1234.56".to_owned())
        );
    }
    // Nobody sees it any more but whoever asks for it.
    rpc.write("res.users", admin, json!({"company_ids": [[6, 0, own]]}))
        .await;
    let gone = rpc
        .open(&name)
        .units()
        .await
        .expect_err("not this key's company");
    assert!(
        gone.to_string()
            .starts_with("companies names “northwind foundry”"),
        "{gone}"
    );
    let left = rpc.open(&[]);
    assert!(!pull(&left, None, &[]).await.0.contains_key(&alone));
    let ids = left.worker_ids().await.expect("ids").ids;
    assert!(!ids.contains(&alone.to_string()));
    // Odoo itself would stumble over her from now on.
    rpc.write("res.users", admin, json!({"company_ids": [[6, 0, both]]}))
        .await;
    rpc.write("hr.employee", alone, json!({"parent_id": false}))
        .await;
    rpc.write("res.users", admin, json!({"company_ids": [[6, 0, own]]}))
        .await;
}

#[tokio::test]
async fn wrong_credentials_and_a_wrong_database_are_told_apart() {
    let Some((_, rpc)) = connect() else { return };
    for way in ["json2", "jsonrpc"] {
        let open = |database: &str, key: &str| {
            rpc.open(&[
                ("api", way),
                ("login", "admin"),
                ("database", database),
                ("api_key", key),
            ])
        };
        let wrong = open(&rpc.database, "wrong").probe().await;
        assert_eq!(wrong, Err(Error::Unauthorized), "{way}");
        let error = open("nowhere", &rpc.key).probe().await;
        let error = error.expect_err("no such database").to_string();
        assert!(error.contains("database"), "{error}");
        assert!(!error.contains("127.0.0.1"), "{error}");
    }
    let settings = [
        ("url", rpc.url.replace("http:", "https:")),
        ("api_key", rpc.key.clone()),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value)).into();
    let bare = Odoo::new(&Guard::default(), &settings);
    assert!(matches!(bare, Err(Error::NotAllowed { .. })), "{bare:?}");
}

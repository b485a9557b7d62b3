//! A running Odoo 19 against what Odoo itself says through another door.
//!
//! `e2e/odoo/up` starts one and prints the variables that this file reads;
//! without them it says that it was skipped. The other door is JSON-RPC, which
//! shares no code with the adapter. The test changes people and a department,
//! and puts back what it changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
};

use base64::Engine as _;
use domain::{
    Attribute,
    erp::{Watermark, Worker},
};
use erp_adapters::{ErpAdapter as _, Error, Guard, Odoo, Readable};
use futures::TryStreamExt as _;
use serde_json::{Value as Json, json};

/// Odoo's other door.
struct Rpc {
    url: String,
    database: String,
    key: String,
    client: reqwest::Client,
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
        let user = self
            .service(
                "common",
                "authenticate",
                json!([database, "admin", key, {}]),
            )
            .await;
        self.service(
            "object",
            "execute_kw",
            json!([database, user, key, model, method, args, named]),
        )
        .await
    }

    async fn all(&self, model: &str, fields: &[&str]) -> BTreeMap<i64, Json> {
        let named = json!({"fields": fields, "context": {"active_test": false}});
        let rows = self.call(model, "search_read", json!([[]]), named).await;
        let rows = rows.as_array().expect("rows").clone();
        rows.into_iter()
            .map(|row| (row["id"].as_i64().expect("an id"), row))
            .collect()
    }

    async fn write(&self, model: &str, id: i64, values: Json) {
        self.call(model, "write", json!([[id], values]), json!({}))
            .await;
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn connect() -> Option<(Odoo, Odoo, Rpc)> {
    let names = ["ODOO_URL", "ODOO_DB", "ODOO_KEY", "ODOO_LIMITED_KEY"];
    let [Ok(url), Ok(database), Ok(key), Ok(limited)] = names.map(env::var) else {
        eprintln!(
            "SKIPPED: e2e/odoo/up starts an Odoo and prints {}",
            names.join(", ")
        );
        return None;
    };
    let guard = Guard::new(["127.0.0.1"]).expect("a list");
    let open = |key: &str| Odoo::new(&guard, &url, Some(&database), key, None).expect("an adapter");
    let (full, limited) = (open(&key), open(&limited));
    let client = reqwest::Client::new();
    Some((
        full,
        limited,
        Rpc {
            url,
            database,
            key,
            client,
        },
    ))
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
    let Some((odoo, limited, rpc)) = connect() else {
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
        "birthday",
        "tz",
        "barcode",
        "parent_id",
        "department_id",
        "active",
        "image_512",
    ];
    let employees = rpc.all("hr.employee", &fields).await;
    assert!(employees.len() >= 20, "the demo company is there");
    assert_eq!(probe.people, employees.len() as u64);
    let (workers, mark) = pull(&odoo, None, &[]).await;
    assert_eq!(
        workers.keys().collect::<Vec<_>>(),
        employees.keys().collect::<Vec<_>>()
    );
    let told = "public profiles are read instead, without startDate, birthDate, employeeNumber";
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
            ("contract_date_start", Attribute::StartDate),
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
        assert_eq!(worker.manager, id(&row["parent_id"]), "{key}");
        assert_eq!(worker.unit, id(&row["department_id"]), "{key}");
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
        .all("hr.department", &["name", "parent_id", "manager_id"])
        .await;
    let structure = odoo.units().await.expect("units");
    assert_eq!(structure.faults, []);
    assert_eq!(structure.units.len(), departments.len());
    for unit in &structure.units {
        let row = &departments[&unit.external_id.parse().expect("a number")];
        assert_eq!(Some(unit.name.as_str()), row["name"].as_str());
        assert_eq!(unit.parent, id(&row["parent_id"]));
        assert_eq!(
            unit.heads,
            id(&row["manager_id"]).into_iter().collect::<Vec<_>>()
        );
    }

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

#[tokio::test]
async fn wrong_credentials_and_a_wrong_database_are_told_apart() {
    let Some((_, _, rpc)) = connect() else { return };
    let guard = Guard::new(["127.0.0.1"]).expect("a list");
    let open = |database: &str, key: &str| {
        Odoo::new(&guard, &rpc.url, Some(database), key, None).expect("an adapter")
    };
    assert_eq!(
        open(&rpc.database, "wrong").probe().await,
        Err(Error::Unauthorized)
    );
    let error = open("nowhere", &rpc.key)
        .probe()
        .await
        .expect_err("no such database");
    assert!(error.to_string().contains("database's name"), "{error}");
    let bare = Odoo::new(
        &Guard::default(),
        &rpc.url.replace("http:", "https:"),
        None,
        &rpc.key,
        None,
    );
    assert!(matches!(bare, Err(Error::NotAllowed { .. })), "{bare:?}");
}

//! A running SAP CAP, which serves OData v4 and v2, against the CSV files that it serves.
//!
//! `e2e/odata/up` starts one and prints the variables that this file reads;
//! without them it says that it was skipped. What a service in the world does and
//! CAP does not (429, half answers, broken connections, links to other hosts) its
//! `server.js` does on demand.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
};

use chrono::NaiveDate;
use domain::{
    Attribute, Value,
    erp::{Watermark, Worker},
};
use erp_adapters::{ClientPage, ErpAdapter, Error, Guard, Page, Readable, open};
use futures::TryStreamExt as _;
use serde_json::json;

type Table = BTreeMap<String, BTreeMap<String, String>>;

struct Service {
    url: String,
    user: String,
    password: String,
    data: String,
    client: reqwest::Client,
}

impl Service {
    #[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
    fn connect() -> Option<Self> {
        let names = ["ODATA_URL", "ODATA_USER", "ODATA_PASSWORD", "ODATA_DATA"];
        let [Ok(url), Ok(user), Ok(password), Ok(data)] = names.map(env::var) else {
            eprintln!(
                "SKIPPED: e2e/odata/up starts a CAP and prints {}",
                names.join(", ")
            );
            return None;
        };
        let client = reqwest::Client::new();
        Some(Self {
            url,
            user,
            password,
            data,
            client,
        })
    }

    /// The source as an administrator enters it, with the preset of SuccessFactors.
    fn open(&self, version: &str, more: &[(&str, &str)]) -> Box<dyn ErpAdapter> {
        let url = format!("{}/odata/{version}/sf", self.url);
        let settings = [
            ("url", url.as_str()),
            ("version", version),
            ("user", &self.user),
            ("password", &self.password),
        ];
        let settings: BTreeMap<_, _> = settings
            .iter()
            .chain(more)
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let mapping = (!settings.contains_key("preset")).then(|| {
            let mapping = json!({"worker": [
                {"target": "id", "from": "userId"},
                {"target": "displayName", "from": "firstName", "transforms": [{"do": "join", "with": "lastName", "separator": " "}]},
                {"target": "title", "from": "title"},
                {"target": "unit", "from": "department"},
                {"target": "manager", "from": "/manager/userId"},
                {"target": "location", "from": "location"},
                {"target": "changedAt", "from": "lastModifiedDateTime"},
            ]});
            serde_json::from_value(mapping).expect("a mapping")
        });
        let guard = Guard::new(["127.0.0.1"]).expect("a list");
        open("odata", &settings, mapping.as_ref(), &guard).expect("an adapter")
    }

    /// What CAP serves, read without CAP: rows of a CSV file by the columns `key`.
    fn table(&self, name: &str, key: &[&str]) -> Table {
        let mut reader =
            csv::Reader::from_path(format!("{}/sf-{name}.csv", self.data)).expect("a file");
        let rows = reader
            .deserialize()
            .map(|row: Result<BTreeMap<String, String>, _>| row.expect("a row"));
        rows.map(|row| {
            (
                key.iter()
                    .map(|key| row[*key].as_str())
                    .collect::<Vec<_>>()
                    .join("/"),
                row,
            )
        })
        .collect()
    }

    async fn fault(&self, fault: &str) {
        let url = format!("{}/fault?{fault}", self.url);
        let asked = self.client.post(url).send().await.expect("CAP answers");
        assert_eq!(asked.status(), 204);
    }

    async fn asked(&self) -> u64 {
        let answer = self.client.get(format!("{}/asked", self.url)).send().await;
        answer.expect("CAP answers").json().await.expect("a number")
    }
}

async fn pull(source: &dyn ErpAdapter, since: Option<&Watermark>) -> Result<Vec<Page>, Error> {
    source.workers(since.cloned()).try_collect().await
}

fn by_id(pages: &[Page]) -> BTreeMap<&str, &Worker> {
    let workers = pages.iter().flat_map(|page| &page.workers);
    workers
        .map(|worker| (worker.external_id.as_str(), worker))
        .collect()
}

fn no_faults(pages: &[Page]) {
    let faults: Vec<_> = pages.iter().flat_map(|page| &page.faults).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

/// One test, for all of it is about one company, one fault at a time and one count of questions.
#[tokio::test]
async fn a_running_service_in_both_versions() {
    let Some(service) = Service::connect() else {
        return;
    };
    every_worker_is_as_in_the_companys_files_in_both_versions(&service).await;
    only_what_changed_comes_after_a_watermark(&service).await;
    a_probe_counts_in_one_trip_and_says_what_may_be_read(&service).await;
    clients_come_with_exact_amounts(&service).await;
    faults_on_the_way_end_well_or_end_the_pull(&service).await;
    a_value_that_is_written_is_there_at_the_next_read(&service).await;
}

/// Every worker of the preset against the CSV files, with the job that counts today worked out from them.
async fn every_worker_is_as_in_the_companys_files_in_both_versions(service: &Service) {
    let users = service.table("User", &["userId"]);
    assert_eq!(users.len(), 57);
    let jobs = service.table("EmpJob", &["employment_userId", "startDate", "seqNumber"]);
    // ISO dates compare as they are; CAP and this test are asked on the same day.
    let today = "2026-06-30";
    let job = |id: &str| {
        let own: Vec<_> = jobs
            .iter()
            .filter(|(key, _)| key.starts_with(&format!("{id}/")))
            .map(|(_, job)| job)
            .collect();
        let counts = |job: &&&BTreeMap<String, String>| {
            job["startDate"].as_str() <= today && job["endDate"].as_str() >= today
        };
        own.iter()
            .rfind(counts)
            .or(own.last())
            .copied()
            .cloned()
            .expect("a job")
    };
    for version in ["v4", "v2"] {
        let source = service.open(version, &[("preset", "successfactors")]);
        let pages = pull(&*source, None).await.expect("a pull");
        no_faults(&pages);
        assert_eq!(pages.len(), 7, "{version}: 57 by 10, and the closing page");
        let workers = by_id(&pages);
        assert_eq!(
            workers.keys().copied().collect::<Vec<_>>(),
            users.keys().map(String::as_str).collect::<Vec<_>>()
        );
        for (id, user) in &users {
            let worker = workers[id.as_str()];
            let job = job(id);
            let text = |attribute| worker.text(attribute).unwrap_or_default();
            let got = [
                text(Attribute::DisplayName),
                text(Attribute::GivenName),
                text(Attribute::FamilyName),
                text(Attribute::Title),
                text(Attribute::EmployeeNumber),
                text(Attribute::Division),
                text(Attribute::StartDate),
                text(Attribute::Location),
                text(Attribute::Emails),
                text(Attribute::PhoneNumbers),
                worker.unit.as_deref().unwrap_or_default(),
                worker.manager.as_deref().unwrap_or_default(),
            ];
            let wanted = [
                &user["defaultFullName"],
                &user["firstName"],
                &user["lastName"],
                &job["jobTitle"],
                &user["username"],
                &user["division"],
                &user["hireDate"][..10],
                &user["location"],
                &user["email"],
                &user["businessPhone"],
                &job["department"],
                &user["manager_userId"],
            ];
            assert_eq!(got, wanted, "{version}: {id}");
            assert_eq!(worker.active, user["status"] == "t", "{version}: {id}");
            let changed = worker
                .changed_at
                .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
            assert_eq!(
                changed.as_deref(),
                Some(user["lastModifiedDateTime"].as_str()),
                "{version}: {id}"
            );
        }
        let day = |text: &str| Some(text.parse::<NaiveDate>().expect("a day"));
        // One begins in 2099, one moves then, one has left.
        assert_eq!(
            (workers["u055"].starts_on, workers["u055"].ends_on),
            (day("2099-01-01"), None)
        );
        assert_eq!(
            (workers["u056"].starts_on, workers["u056"].ends_on),
            (None, None)
        );
        assert_eq!(
            (workers["u040"].starts_on, workers["u040"].ends_on),
            (None, day("2025-06-30"))
        );
        assert_ne!(workers["u056"].text(Attribute::Title), Some("Minister"));

        let ids = source.worker_ids().await.expect("ids");
        assert_eq!(
            (ids.ids, ids.unreadable),
            (users.keys().cloned().collect(), 0)
        );
        let fresh = service.open(version, &[("preset", "successfactors")]);
        let ids = fresh.worker_ids().await.expect("ids");
        assert_eq!(
            (ids.ids, ids.unreadable),
            (users.keys().cloned().collect::<BTreeSet<_>>(), 0)
        );

        let structure = source.units().await.expect("units");
        let departments = service.table("FODepartment", &["externalCode"]);
        assert_eq!(
            (structure.units.len(), structure.faults.len()),
            (departments.len(), 0)
        );
        for unit in &structure.units {
            let department = &departments[&unit.external_id];
            let got = (
                unit.name.as_str(),
                unit.parent.as_deref().unwrap_or_default(),
                unit.heads.join(","),
            );
            assert_eq!(
                got,
                (
                    department["name"].as_str(),
                    department["parent"].as_str(),
                    department["headOfUnit"].clone()
                )
            );
        }

        // Two have a photo, wrapped in v2 as everything is.
        let at = if version == "v2" {
            "/d/photo"
        } else {
            "/photo"
        };
        let source = service.open(version, &[("preset", "successfactors"), ("photo_at", at)]);
        let photo = source
            .photo("u001")
            .await
            .expect("an answer")
            .expect("a photo");
        assert!(photo.bytes.starts_with(b"\x89PNG"), "{version}");
        assert_eq!(source.photo("u002").await.expect("an answer"), None);

        // Rows that count from day to day have no delta: all come again.
        let mark = &pages.last().expect("a page").watermark;
        let again = pull(&*source, Some(mark)).await.expect("a pull");
        assert_eq!(by_id(&again).len(), 57);
    }
}

async fn only_what_changed_comes_after_a_watermark(service: &Service) {
    for version in ["v4", "v2"] {
        let source = service.open(version, &[("people", "User"), ("expand", "manager")]);
        let pages = pull(&*source, None).await.expect("a pull");
        no_faults(&pages);
        let users = service.table("User", &["userId"]);
        for (id, worker) in by_id(&pages) {
            let user = &users[id];
            assert_eq!(
                worker.name(),
                format!("{} {}", user["firstName"], user["lastName"])
            );
            assert_eq!(
                worker.manager.as_deref().unwrap_or_default(),
                user["manager_userId"]
            );
        }
        let mark = pages.last().expect("a page").watermark.clone();
        let newest = users
            .values()
            .map(|user| user["lastModifiedDateTime"].as_str())
            .max()
            .expect("users");
        assert_eq!(mark.0, newest, "{version}");
        let changed = pull(&*source, Some(&mark)).await.expect("a delta");
        // The newest once more, for the overlap.
        assert_eq!(by_id(&changed).len(), 1, "{version}");
        assert_eq!(changed.last().expect("a page").watermark, mark);
        let since = Watermark("2026-10-01T00:00:00Z".into());
        let october = pull(&*source, Some(&since)).await.expect("a delta");
        let wanted = users
            .values()
            .filter(|user| user["lastModifiedDateTime"].as_str() >= "2026-09-30T23:50")
            .count();
        assert!(wanted > 1);
        assert_eq!(by_id(&october).len(), wanted, "{version}");
        let units: BTreeSet<_> = source
            .units()
            .await
            .expect("units")
            .units
            .into_iter()
            .map(|unit| unit.external_id)
            .collect();
        assert_eq!(
            units,
            users
                .values()
                .map(|user| user["department"].clone())
                .collect()
        );
        // By pages of our own, everyone is there as well.
        let paged = service.open(
            version,
            &[
                ("people", "User"),
                ("expand", "manager"),
                ("page_size", "25"),
            ],
        );
        let pages = pull(&*paged, None).await.expect("a pull");
        assert_eq!(by_id(&pages).len(), 57, "{version}");
        let sample = source.sample(3).await.expect("samples");
        assert_eq!(sample.len(), 3);
        assert_eq!(sample[1].record["manager"]["userId"], "u000", "{version}");
    }
}

async fn a_probe_counts_in_one_trip_and_says_what_may_be_read(service: &Service) {
    for version in ["v4", "v2"] {
        let source = service.open(version, &[("preset", "successfactors")]);
        let before = service.asked().await;
        let probe = source.probe().await.expect("a probe");
        let asked = service.asked().await - before;
        assert_eq!((probe.people, probe.units), (57, 8), "{version}");
        assert_eq!(
            probe.system,
            format!("SAP SuccessFactors (OData {version})")
        );
        let readable: Vec<_> = probe.access.iter().map(|access| access.readable).collect();
        assert_eq!(readable, [Readable::Yes, Readable::Yes], "{probe:?}");
        assert_eq!(asked, 3, "{version}: a batch, and two pages of samples");
    }
    let guard = Guard::new(["127.0.0.1"]).expect("a list");
    let settings = [
        ("url", format!("{}/odata/v4/sf", service.url)),
        ("user", "svc".into()),
        ("password", "wrong".into()),
        ("preset", "successfactors".into()),
        ("version", "v4".into()),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value)).into();
    let source = open("odata", &settings, None, &guard).expect("an adapter");
    assert_eq!(source.probe().await, Err(Error::Unauthorized));
}

async fn clients_come_with_exact_amounts(service: &Service) {
    let partners = service.table("A_BusinessPartner", &["BusinessPartner"]);
    let fields = json!({
        "id": "BusinessPartner", "name": "BusinessPartnerFullName", "number": "Customer", "blocked": "BusinessPartnerIsBlocked",
        "changed": "LastChangeDate", "currency": "Currency", "balance": "Balance", "credit_limit": "CreditLimit", "terms": "/to_Customer/PaymentTerms",
    })
    .to_string();
    for version in ["v4", "v2"] {
        let more = [
            ("preset", "s4hana"),
            ("client_fields", fields.as_str()),
            ("client_expand", "to_Customer"),
        ];
        let source = service.open(version, &more);
        let pages: Vec<ClientPage> = source.clients(None).try_collect().await.expect("clients");
        let clients: Vec<_> = pages.iter().flat_map(|page| &page.clients).collect();
        assert_eq!(clients.len(), partners.len());
        for client in clients {
            let partner = &partners[&client.external_id];
            assert_eq!(
                (&client.name, client.active),
                (
                    &partner["BusinessPartnerFullName"],
                    partner["BusinessPartnerIsBlocked"] == "false"
                )
            );
            let account = &client.accounts[0];
            let amount = |text: &str| text.parse::<rust_decimal::Decimal>().ok();
            assert_eq!(Some(account.balance), amount(&partner["Balance"]));
            assert_eq!(account.credit_limit, amount(&partner["CreditLimit"]));
            assert_eq!(
                (&account.currency, account.terms.as_deref()),
                (&partner["Currency"], Some("NT30"))
            );
        }
        let mark = pages.last().expect("a page").watermark.clone();
        let newest = partners
            .values()
            .map(|partner| partner["LastChangeDate"].as_str())
            .max()
            .expect("partners");
        assert!(mark.0.starts_with(newest), "{version}: {mark:?}");
        let changed: Vec<ClientPage> = source
            .clients(Some(mark))
            .try_collect()
            .await
            .expect("clients");
        let changed: Vec<_> = changed
            .iter()
            .flat_map(|page| &page.clients)
            .map(|client| client.external_id.as_str())
            .collect();
        assert!((1..5).contains(&changed.len()), "{version}: {changed:?}");
    }
}

async fn faults_on_the_way_end_well_or_end_the_pull(service: &Service) {
    for version in ["v4", "v2"] {
        let source = service.open(version, &[("preset", "successfactors")]);
        // Busy twice in the middle: waited for as it says, and nobody is missing.
        service.fault("kind=busy&after=2&times=2&wait=1").await;
        let pages = pull(&*source, None).await.expect("a pull");
        assert_eq!(by_id(&pages).len(), 57, "{version}");
        service.fault("kind=busy&times=1&wait=600").await;
        let error = pull(&*source, None).await.expect_err("too long");
        assert!(
            matches!(error, Error::RateLimited { retry_after: Some(wait) } if wait.as_secs() == 600),
            "{error:?}"
        );
        // Broken off once: asked again. Half an answer: the pull ends, and so does the run before it writes.
        service.fault("kind=drop&after=2&times=1").await;
        let pages = pull(&*source, None).await.expect("a pull");
        assert_eq!(by_id(&pages).len(), 57, "{version}");
        service.fault("kind=half&after=2&times=1").await;
        let error = pull(&*source, None).await.expect_err("half a page");
        assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
        service.fault("kind=foreign&after=1&times=1").await;
        let error = pull(&*source, None).await.expect_err("a foreign link");
        assert!(
            matches!(&error, Error::NotAllowed { host, .. } if host == "evil.example"),
            "{error:?}"
        );
        service.fault("").await;
    }
}

async fn a_value_that_is_written_is_there_at_the_next_read(service: &Service) {
    for version in ["v4", "v2"] {
        let source = service.open(version, &[("people", "User"), ("expand", "manager")]);
        assert!(source.writable().contains(&Attribute::Title));
        let title = |pages: &[Page]| {
            by_id(pages)["u009"]
                .text(Attribute::Title)
                .map(str::to_owned)
        };
        let before = title(&pull(&*source, None).await.expect("a pull")).expect("a title");
        let value = Value::from("Schmied O'Neil");
        source
            .write("u009", Attribute::Title, Some(&value))
            .await
            .expect("written");
        let after = title(&pull(&*source, None).await.expect("a pull"));
        assert_eq!(after.as_deref(), Some("Schmied O'Neil"), "{version}");
        source
            .write("u009", Attribute::Title, Some(&Value::from(before)))
            .await
            .expect("put back");
        let nobody = source.write("nobody", Attribute::Title, Some(&value)).await;
        assert!(
            matches!(nobody, Err(Error::Rejected { .. })),
            "{version}: {nobody:?}"
        );
        assert_eq!(
            source.worker_ids().await.expect("ids").ids.len(),
            57,
            "nobody was made anew"
        );
    }
}

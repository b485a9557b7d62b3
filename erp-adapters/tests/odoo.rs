//! Odoo forced to fail. What it does when it works is asked of a real one, in `odoo_real.rs`.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::Engine as _;
use domain::{Attribute, erp::Watermark};
use erp_adapters::{ErpAdapter, Error, Guard, Limits, Odoo, Page, Readable};
use futures::TryStreamExt as _;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wiremock::{
    Mock, MockServer, Request, Respond, ResponseTemplate,
    matchers::{header, method, path},
};

const LIMITS: Limits = Limits {
    connect: Duration::from_millis(500),
    idle: Duration::from_millis(500),
    total: Duration::from_millis(500),
    bytes: 256 << 10,
};

fn open(url: &str) -> Odoo {
    let guard = Guard::new(["127.0.0.1"])
        .expect("a list")
        .with_limits(LIMITS);
    Odoo::new(&guard, url, Some("erp"), "key", None).expect("an adapter")
}

/// Answers `search_read` as Odoo does: domain, order, limit.
struct Table {
    rows: Vec<Json>,
    /// The most rows in an answer, whatever is asked for.
    cap: usize,
}

impl Respond for Table {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body: Json = request.body_json().expect("JSON");
        let key = |row: &Json| {
            (
                row["write_date"].as_str().unwrap_or_default().to_owned(),
                row["id"].as_i64(),
            )
        };
        let mut rows: Vec<_> = match body["domain"].as_array().expect("a domain").as_slice() {
            [] => self.rows.clone(),
            [by_id] if by_id[0] == "id" => self
                .rows
                .iter()
                .filter(|row| row["id"].as_i64() > by_id[2].as_i64())
                .cloned()
                .collect(),
            [_, later, _, _, id] => {
                let after = (
                    later[2].as_str().expect("a time").to_owned(),
                    id[2].as_i64(),
                );
                self.rows
                    .iter()
                    .filter(|row| key(row) > after)
                    .cloned()
                    .collect()
            }
            other => panic!("{other:?}"),
        };
        let by_id = body["order"] == "id asc";
        rows.sort_by_key(|row| {
            if by_id {
                (String::new(), row["id"].as_i64())
            } else {
                key(row)
            }
        });
        rows.truncate(
            self.cap
                .min(usize::try_from(body["limit"].as_u64().unwrap_or(u64::MAX)).expect("a size")),
        );
        ResponseTemplate::new(200).set_body_json(rows)
    }
}

async fn mount(server: &MockServer, call: &str, answer: impl Respond + 'static) {
    Mock::given(method("POST"))
        .and(path(format!("/json/2/{call}")))
        .and(header("Authorization", "bearer key"))
        .and(header("X-Odoo-Database", "erp"))
        .respond_with(answer)
        .mount(server)
        .await;
}

fn ok(body: Json) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn said(status: u16, name: &str, message: &str) -> ResponseTemplate {
    let debug = "Traceback (most recent call last):\n  File \"/usr/lib/odoo/http.py\", line 1\nSecret: hunter2";
    ResponseTemplate::new(status)
        .set_body_json(json!({"name": name, "message": message, "debug": debug}))
}

fn employee(id: i64) -> Json {
    json!({
        "id": id, "name": format!("Person {id}"), "job_title": "Smith", "active": true, "parent_id": [1, "One"],
        "department_id": [7, "Forge"], "write_date": "2026-11-19 09:00:00", "work_email": false,
    })
}

/// An Odoo that has these employees and nothing else.
async fn odoo(rows: Vec<Json>, cap: usize) -> MockServer {
    let server = MockServer::start().await;
    let fields = [
        "id",
        "name",
        "job_title",
        "active",
        "parent_id",
        "department_id",
        "write_date",
        "work_email",
        "birthday",
    ];
    let fields: Json = fields
        .iter()
        .map(|name| ((*name).to_owned(), json!({"type": "char"})))
        .collect();
    mount(&server, "hr.employee/fields_get", ok(fields)).await;
    mount(&server, "hr.employee/search_read", Table { rows, cap }).await;
    mount(&server, "ir.attachment/search_read", ok(json!([]))).await;
    server
}

async fn pull(odoo: &Odoo) -> Result<Vec<Page>, Error> {
    odoo.workers(None).try_collect().await
}

#[tokio::test]
async fn everyone_is_read_once_even_if_all_changed_in_one_second_and_answers_are_short() {
    for cap in [1_000, 50] {
        let server = odoo((1..=450).map(employee).collect(), cap).await;
        let adapter = open(&server.uri());
        let pages = pull(&adapter).await.expect("a pull");
        let ids: Vec<_> = pages
            .iter()
            .flat_map(|page| &page.workers)
            .map(|worker| worker.external_id.clone())
            .collect();
        assert_eq!(ids.len(), 450, "cap {cap}");
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 450, "cap {cap}");
        assert_eq!(
            adapter.worker_ids().await.expect("ids").ids,
            ids.into_iter().collect()
        );
    }
}

#[tokio::test]
async fn a_later_pull_reads_what_changed_and_some_minutes_before() {
    let mut rows: Vec<_> = (1..=5).map(employee).collect();
    for (row, minute) in rows.iter_mut().zip([0, 9, 11, 20, 30]) {
        row["write_date"] = json!(format!("2026-11-19 09:{minute:02}:00"));
    }
    let server = odoo(rows, 100).await;
    let adapter = open(&server.uri());
    let first = pull(&adapter).await.expect("a pull");
    assert_eq!(
        first.last().expect("a page").watermark.0,
        "2026-11-19 09:30:00"
    );
    let since = Some(Watermark("2026-11-19 09:20:00".into()));
    let pages: Vec<_> = adapter.workers(since).try_collect().await.expect("a pull");
    let ids: Vec<_> = pages
        .iter()
        .flat_map(|page| &page.workers)
        .map(|worker| worker.external_id.as_str())
        .collect();
    assert_eq!(ids, ["3", "4", "5"]);
    let strange: Result<Vec<_>, _> = adapter
        .workers(Some(Watermark("'; drop".into())))
        .try_collect()
        .await;
    assert!(
        matches!(strange, Err(Error::Malformed { .. })),
        "{strange:?}"
    );
}

#[tokio::test]
async fn records_with_faults_do_not_end_the_pull() {
    let mut rows: Vec<_> = (1..=5).map(employee).collect();
    rows[0]["name"] = json!(false);
    rows[1]["birthday"] = json!("31/12/1999");
    rows[2]["parent_id"] = json!("Grace");
    rows[3]["job_title"] = json!({"en_US": "Smith"});
    rows[4]["name"] = json!("Ann\u{1}a \u{202E}سارة 𝒦");
    let server = odoo(rows, 100).await;
    let pages = pull(&open(&server.uri())).await.expect("a pull");
    let [page] = pages.as_slice() else {
        panic!("one page")
    };
    let faults: Vec<_> = page
        .faults
        .iter()
        .map(|fault| format!("{}: {}, {}", fault.place, fault.what, fault.left_out))
        .collect();
    assert_eq!(
        faults,
        [
            "hr.employee 1: has no name, true",
            "hr.employee 2: “31/12/1999” is not a date such as 2019-05-13; left out, false",
            "hr.employee 3: is not a reference; left out, false",
            "hr.employee 4: job_title is not a text; left out, false",
            "hr.employee 5: held characters that cannot be shown; they were removed, false",
        ]
    );
    let names: Vec<_> = page.workers.iter().map(domain::erp::Worker::name).collect();
    assert_eq!(names, ["Person 2", "Person 3", "Person 4", "Anna سارة 𝒦"]);
    let second = &page.workers[0];
    assert_eq!(
        second.attributes[&Attribute::Emails],
        None,
        "false is Odoo's way to say empty"
    );
    assert!(
        !second.attributes.contains_key(&Attribute::BirthDate),
        "unreadable is not empty"
    );
    assert!(
        !second.attributes.contains_key(&Attribute::Mobile),
        "a field that Odoo does not offer"
    );
    assert_eq!(
        (second.manager.as_deref(), second.unit.as_deref()),
        (Some("1"), Some("7"))
    );
}

#[tokio::test]
async fn every_bad_answer_is_a_clear_error_without_the_servers_insides() {
    let long = Duration::from_secs(3_600);
    let html = "<!DOCTYPE html><title>Odoo</title>";
    let rejected = |what: &str| Error::Rejected { what: what.into() };
    let malformed = |what: &str| Error::Malformed {
        record: "hr.employee".into(),
        field: "the answer".into(),
        what: what.into(),
    };
    let cases = [
        (
            said(401, "werkzeug.exceptions.Unauthorized", "Invalid apikey"),
            Error::Unauthorized,
        ),
        (
            ResponseTemplate::new(429).insert_header("Retry-After", "3600"),
            Error::RateLimited {
                retry_after: Some(long),
            },
        ),
        (
            said(
                500,
                "builtins.ValueError",
                "Invalid field 'x' on 'hr.employee'",
            ),
            rejected("refused to read hr.employee: Invalid field 'x' on 'hr.employee'"),
        ),
        (
            said(
                500,
                "psycopg2.OperationalError",
                "psycopg2: connection to server at 10.0.0.5 failed",
            ),
            rejected("failed with 500 while reading hr.employee"),
        ),
        (
            said(
                500,
                "builtins.KeyError",
                "Traceback (most recent call last):\n x",
            ),
            rejected("failed with 500 while reading hr.employee"),
        ),
        (
            ResponseTemplate::new(500).set_body_string("x".repeat(9_000)),
            rejected("failed with 500 while reading hr.employee"),
        ),
        (
            said(
                404,
                "werkzeug.exceptions.NotFound",
                "the model 'hr.employee' does not exist",
            ),
            rejected("has no hr.employee; is the app installed?"),
        ),
        (
            ResponseTemplate::new(404).set_body_raw(html, "text/html"),
            rejected(
                "has no JSON-2 API for this database; it must be Odoo 19 or newer, and the database's name right",
            ),
        ),
        (
            ResponseTemplate::new(303).insert_header("Location", "http://169.254.169.254/"),
            rejected("sends us to another address; enter the address where it ends"),
        ),
        (
            ResponseTemplate::new(200).set_body_raw(html, "text/html; charset=utf-8"),
            malformed("is a page and not data; is this the address of Odoo itself?"),
        ),
        (
            ResponseTemplate::new(200).set_body_raw(r#"{"id": {"type": "#, "application/json"),
            malformed("is not what Odoo 19 answers"),
        ),
        (ok(json!(["id"])), malformed("is not what Odoo 19 answers")),
        (
            ResponseTemplate::new(200).set_body_string("x".repeat(300 << 10)),
            Error::TooLarge {
                what: "the answer".into(),
                limit: LIMITS.bytes,
            },
        ),
        (
            ok(json!({})).set_delay(Duration::from_secs(5)),
            Error::TimedOut {
                after: LIMITS.total,
            },
        ),
        (
            ResponseTemplate::new(503),
            Error::Unreachable {
                what: "answers 503".into(),
            },
        ),
    ];
    for (answer, expected) in cases {
        let server = MockServer::start().await;
        mount(&server, "hr.employee/fields_get", answer).await;
        let error = pull(&open(&server.uri())).await.expect_err("no pull");
        assert_eq!(error, expected);
        let shown = format!("{error} {error:?}");
        assert!(
            !["Traceback", "hunter2", "/usr/", "10.0.0.5"]
                .iter()
                .any(|inside| shown.contains(inside)),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_short_rest_is_waited_for() {
    struct Busy(Arc<AtomicUsize>);
    impl Respond for Busy {
        fn respond(&self, _: &Request) -> ResponseTemplate {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                0 => ResponseTemplate::new(429).insert_header("Retry-After", "0"),
                1 => ResponseTemplate::new(502),
                _ => ok(json!({"name": {}})),
            }
        }
    }
    let server = MockServer::start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    mount(&server, "hr.employee/fields_get", Busy(Arc::clone(&asked))).await;
    mount(&server, "hr.employee/search_read", ok(json!([]))).await;
    assert_eq!(pull(&open(&server.uri())).await.expect("a pull").len(), 0);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let served = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            _ = socket.read(&mut [0; 4_096]).await;
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
            _ = socket
                .write_all(format!("{head}{{\"id\": {{").as_bytes())
                .await;
        }
    });
    let error = pull(&open(&format!("http://{address}")))
        .await
        .expect_err("no pull");
    assert_eq!(
        error,
        Error::Unreachable {
            what: "the answer of 127.0.0.1 broke off".into()
        }
    );
    served.abort();
    _ = served.await;
    let error = pull(&open(&format!("http://{address}")))
        .await
        .expect_err("nobody listens");
    assert_eq!(
        error,
        Error::Unreachable {
            what: format!("no connection to 127.0.0.1, port {}", address.port())
        }
    );
}

#[tokio::test]
async fn a_plain_user_reads_public_profiles_and_is_told_so() {
    let server = MockServer::start().await;
    mount(
        &server,
        "hr.employee/fields_get",
        ok(json!({"name": {}, "birthday": {}})),
    )
    .await;
    let denied = said(
        403,
        "odoo.exceptions.AccessError",
        "You do not have enough rights to access the field",
    );
    mount(&server, "hr.employee/search_read", denied.clone()).await;
    mount(
        &server,
        "hr.employee.public/fields_get",
        ok(json!({"name": {}, "work_email": {}})),
    )
    .await;
    mount(
        &server,
        "hr.employee.public/search_read",
        Table {
            rows: vec![employee(1)],
            cap: 100,
        },
    )
    .await;
    mount(&server, "hr.employee.public/search_count", ok(json!(1))).await;
    mount(&server, "hr.department/search_count", denied.clone()).await;
    mount(&server, "hr.department/search_read", denied.clone()).await;
    mount(&server, "ir.attachment/search_read", denied).await;
    let adapter = open(&server.uri());
    let probe = adapter.probe().await.expect("a probe");
    let readable: Vec<_> = probe.access.iter().map(|access| access.readable).collect();
    assert_eq!(readable, [Readable::Reduced, Readable::No, Readable::No]);
    assert!(
        probe.access[0].note.contains("Employees: Officer"),
        "{}",
        probe.access[0].note
    );
    assert_eq!((probe.system.as_str(), probe.people), ("Odoo", 1));
    let pages = pull(&adapter).await.expect("a pull");
    assert_eq!(pages[0].workers[0].name(), "Person 1");
    assert_eq!(pages[0].faults.len(), 1);
    let told = &pages[0].faults[0].what;
    assert!(
        told.contains("without title,") && told.ends_with("employeeNumber"),
        "{told}"
    );
    assert_eq!(pages[0].workers[0].photo, None);
    let structure = adapter.units().await.expect("a structure");
    assert_eq!(structure.units, []);
    assert_eq!(
        structure.faults[0].what,
        "the key may not read hr.department; people have no unit"
    );
}

#[tokio::test]
async fn an_order_that_is_not_kept_ends_the_pull_instead_of_repeating_it() {
    let server = odoo(vec![], 1).await;
    let server_rows = ok(json!([employee(3)]));
    server.reset().await;
    mount(&server, "hr.employee/fields_get", ok(json!({"name": {}}))).await;
    mount(&server, "hr.employee/search_read", server_rows).await;
    mount(&server, "ir.attachment/search_read", ok(json!([]))).await;
    let adapter = open(&server.uri());
    assert!(matches!(pull(&adapter).await, Err(Error::Malformed { .. })));
    assert!(matches!(
        adapter.worker_ids().await,
        Err(Error::Malformed { .. })
    ));
}

#[tokio::test]
async fn photos_that_say_nothing_or_too_much_are_left_out() {
    let server = odoo((1..=3).map(employee).collect(), 100).await;
    server.reset().await;
    mount(&server, "hr.employee/fields_get", ok(json!({"name": {}}))).await;
    mount(
        &server,
        "hr.employee/search_read",
        Table {
            rows: (1..=3).map(employee).collect(),
            cap: 100,
        },
    )
    .await;
    let photo = |id: i64, mimetype: &str, size: u64| json!({"res_id": id, "checksum": format!("c{id}"), "mimetype": mimetype, "file_size": size});
    let photos = json!([
        photo(1, "image/jpeg", 9_000),
        photo(2, "image/svg+xml", 300),
        photo(3, "image/png", 10 << 20)
    ]);
    mount(&server, "ir.attachment/search_read", ok(photos)).await;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    mount(
        &server,
        "hr.employee/read",
        ok(json!([{"id": 1, "image_512": encode(b"\xFF\xD8\xFFjpeg")}])),
    )
    .await;
    let adapter = open(&server.uri());
    let pages = pull(&adapter).await.expect("a pull");
    let marks: Vec<_> = pages[0]
        .workers
        .iter()
        .map(|worker| worker.photo.as_deref())
        .collect();
    assert_eq!(marks, [Some("c1"), None, None]);
    assert_eq!(pages[0].faults.len(), 1);
    assert!(
        pages[0].faults[0].what.contains("10.0 MiB"),
        "{}",
        pages[0].faults[0].what
    );
    assert_eq!(
        adapter
            .photo("1")
            .await
            .expect("a photo")
            .expect("one")
            .bytes,
        b"\xFF\xD8\xFFjpeg"
    );

    for (image, expected) in [
        (json!(false), Ok(None)),
        (json!(encode(b"\n<svg onload='x'>")), Ok(None)),
        (json!("***"), Err("malformed")),
    ] {
        let server = odoo(vec![], 1).await;
        mount(
            &server,
            "hr.employee/read",
            ok(json!([{"id": 1, "image_512": image}])),
        )
        .await;
        let answer = open(&server.uri()).photo("1").await;
        assert_eq!(
            answer
                .as_ref()
                .map(Option::as_ref)
                .map_err(|error| error.code()),
            expected
        );
    }
}

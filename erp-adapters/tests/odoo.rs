//! Odoo forced to fail. What it does when it works is asked of a real one, in `odoo_real.rs`.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::Engine as _;
use domain::{Attribute, Value, erp::Watermark};
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

/// Odoo's clock, which every answer bears.
const NOW: &str = "Thu, 19 Nov 2026 12:00:00 GMT";

fn open(url: &str) -> Odoo {
    open_with(url, &[]).expect("an adapter")
}

fn open_with(url: &str, more: &[(&str, &str)]) -> Result<Odoo, Error> {
    let guard = Guard::new(["127.0.0.1"])
        .expect("a list")
        .with_limits(LIMITS);
    let settings = [("url", url), ("database", "erp"), ("api_key", "key")];
    let settings = settings.iter().chain(more);
    let settings = settings.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Odoo::new(&guard, &settings.collect())
}

/// Answers `search_read` as Odoo does: domain, order, limit.
#[derive(Clone)]
struct Table {
    rows: Vec<Json>,
    /// The most rows in an answer, whatever is asked for.
    cap: usize,
}

impl Table {
    fn of(rows: Vec<Json>) -> Self {
        Self { rows, cap: 1_000 }
    }

    fn answer(&self, body: &Json) -> Vec<Json> {
        let mut domain: VecDeque<_> = body["domain"].as_array().expect("a domain").clone().into();
        let mut rows = self.rows.clone();
        while !domain.is_empty() {
            rows.retain(|row| holds(&mut domain.clone(), row));
            skip(&mut domain);
        }
        let order = body["order"].as_str().unwrap_or("id asc");
        let stamp = |row: &Json| row["write_date"].as_str().unwrap_or_default().to_owned();
        rows.sort_by_key(|row| row["id"].as_i64());
        if order.starts_with("write_date") {
            rows.sort_by_key(stamp);
        }
        if order.ends_with("desc") {
            rows.reverse();
        }
        let limit = body["limit"].as_u64().unwrap_or(u64::MAX);
        rows.truncate(self.cap.min(usize::try_from(limit).expect("a size")));
        rows
    }
}

/// Takes the first term of a domain, which is written in prefix notation.
fn holds(domain: &mut VecDeque<Json>, row: &Json) -> bool {
    let term = domain.pop_front().expect("a term");
    if let Some(joint) = term.as_str() {
        let (one, other) = (holds(domain, row), holds(domain, row));
        return if joint == "|" {
            one || other
        } else {
            one && other
        };
    }
    let field = term[0].as_str().expect("a field");
    // A reference is compared by its id.
    let value = match row.get(field).unwrap_or(&Json::Null) {
        Json::Array(pair) => &pair[0],
        value => value,
    };
    let wanted = &term[2];
    let less = |one: &Json, other: &Json| match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => one < other,
        _ => one.as_str() < other.as_str(),
    };
    match term[1].as_str().expect("an operator") {
        "=" => value == wanted || (value.is_null() && *wanted == json!(false)),
        "!=" => value != wanted,
        ">" => less(wanted, value),
        "<" => less(value, wanted),
        "in" => wanted.as_array().expect("a list").contains(value),
        // One level of it.
        "child_of" => [value, &row["parent_id"][0]]
            .iter()
            .any(|id| wanted.as_array().expect("a list").contains(id)),
        other => panic!("{other}"),
    }
}

fn skip(domain: &mut VecDeque<Json>) {
    _ = holds(domain, &json!({}));
}

impl Respond for Table {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        ok(json!(self.answer(&request.body_json().expect("JSON"))))
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
    ResponseTemplate::new(200)
        .insert_header("Date", NOW)
        .set_body_json(body)
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
    mount_companies(&server, company()).await;
    server
}

async fn mount_companies(server: &MockServer, companies: Json) {
    let companies = companies.as_array().expect("rows").clone();
    mount(server, "res.users/context_get", ok(json!({"uid": 7}))).await;
    mount(server, "res.users/search_read", Table::of(vec![key_user()])).await;
    mount(server, "res.company/search_read", Table::of(companies)).await;
}

/// The key's user, who may not see company 9.
fn key_user() -> Json {
    json!({"id": 7, "company_ids": [1, 2, 3]})
}

fn company() -> Json {
    json!([{"id": 1, "name": "Northwind Forge", "parent_id": false, "currency_id": [1, "EUR"]}])
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
                "has no JSON-2 API for this database; it must be Odoo 19 or newer (16 to 18 take api = jsonrpc), and the database's name right",
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
            malformed("is not what Odoo answers"),
        ),
        (ok(json!(["id"])), malformed("is not what Odoo answers")),
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
    mount_companies(&server, company()).await;
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
        Table::of(vec![employee(1)]),
    )
    .await;
    mount(&server, "hr.employee.public/search_count", ok(json!(1))).await;
    mount(&server, "hr.department/search_count", denied.clone()).await;
    mount(&server, "hr.department/search_read", denied.clone()).await;
    mount(&server, "ir.attachment/search_read", denied.clone()).await;
    mount_companies(&server, company()).await;
    let partner = json!({"name": {}, "customer_rank": {}, "write_date": {}});
    mount(&server, "res.partner/fields_get", ok(partner)).await;
    mount(&server, "helpdesk.ticket/fields_get", denied).await;
    let adapter = open(&server.uri());
    let probe = adapter.probe().await.expect("a probe");
    let readable: Vec<_> = probe.access.iter().map(|access| access.readable).collect();
    let (no, less) = (Readable::No, Readable::Reduced);
    assert_eq!(readable, [less, no, no, less, no]);
    for (access, right) in [(0, "Employees: Officer"), (3, "Invoicing"), (4, "Helpdesk")] {
        let note = &probe.access[access].note;
        assert!(note.contains(right), "{note}");
    }
    assert_eq!((probe.system.as_str(), probe.people), ("Odoo", 1));
    // No page without a ticket: it would say that all of them are gone.
    let tickets = adapter.tickets(None).try_collect::<Vec<_>>().await;
    let what = "helpdesk.ticket; its user needs the right Helpdesk: User in Odoo".to_owned();
    assert_eq!(tickets, Err(Error::Forbidden { what }));
    let pages = pull(&adapter).await.expect("a pull");
    assert_eq!(pages[0].workers[0].name(), "Person 1");
    assert_eq!(pages[0].faults.len(), 1);
    let told = &pages[0].faults[0].what;
    assert!(
        told.contains("without title,") && told.ends_with("employeeNumber, startDate, endDate"),
        "{told}"
    );
    assert_eq!(pages[0].workers[0].photo, None);
    let structure = adapter.units().await.expect("a structure");
    assert_eq!(structure.units, []);
    assert_eq!(
        structure.faults[0].what,
        "the key gives no right to hr.department; people have no unit"
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
    mount_companies(&server, company()).await;
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
        Table::of((1..=3).map(employee).collect()),
    )
    .await;
    mount_companies(&server, company()).await;
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

// Bad input: pages and clocks.

/// Answers one body after the other, the last one for ever.
struct InTurn(Vec<Json>, AtomicUsize);

impl InTurn {
    fn new(bodies: Vec<Json>) -> Self {
        Self(bodies, AtomicUsize::new(0))
    }
}

impl Respond for InTurn {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let turn = self.1.fetch_add(1, Ordering::SeqCst).min(self.0.len() - 1);
        ok(self.0[turn].clone())
    }
}

/// An Odoo whose employees come in these answers, whatever is asked for.
async fn answering(answers: impl Respond + 'static) -> MockServer {
    let server = MockServer::start().await;
    let fields = json!({"name": {}, "job_title": {}});
    mount(&server, "hr.employee/fields_get", ok(fields)).await;
    mount(&server, "hr.employee/search_read", answers).await;
    mount(&server, "ir.attachment/search_read", ok(json!([]))).await;
    mount_companies(&server, company()).await;
    server
}

fn at(id: i64, time: &str) -> Json {
    let mut row = employee(id);
    row["write_date"] = json!(format!("2026-11-19 {time}"));
    row
}

fn names_and_ids(pages: &[Page]) -> Vec<(String, String)> {
    let workers = pages.iter().flat_map(|page| &page.workers);
    let pair = |worker: &domain::erp::Worker| (worker.external_id.clone(), worker.name());
    workers.map(pair).collect()
}

#[tokio::test]
async fn a_page_that_comes_twice_or_a_cursor_that_jumps_back_ends_the_pull() {
    let first = json!([at(1, "09:00:00"), at(2, "09:01:00")]);
    let back = json!([at(3, "08:00:00")]);
    for second in [first.clone(), back] {
        // The first answer is to the question which fields may be read.
        let answers = InTurn::new(vec![json!([]), first.clone(), second]);
        let server = answering(answers).await;
        let adapter = open(&server.uri());
        let mut pages = adapter.workers(None);
        let page = pages.try_next().await.expect("a page").expect("the first");
        assert_eq!(page.watermark.0, "2026-11-19 09:01:00");
        let error = pages.try_next().await.expect_err("no second page");
        assert_eq!(
            error,
            Error::Malformed {
                record: "hr.employee".into(),
                field: "write_date".into(),
                what: "does not follow the order that was asked for".into(),
            }
        );
    }
}

#[tokio::test]
async fn whoever_changes_during_the_read_comes_again_and_the_later_one_counts() {
    let mut changed = at(1, "11:00:00");
    changed["name"] = json!("Renamed");
    let answers = InTurn::new(vec![
        json!([]),
        json!([at(1, "09:00:00"), at(2, "09:01:00")]),
        json!([at(3, "09:02:00"), changed]),
        json!([]),
    ]);
    let server = answering(answers).await;
    let pages = pull(&open(&server.uri())).await.expect("a pull");
    let told = names_and_ids(&pages);
    let one: Vec<_> = told.iter().filter(|(id, _)| id == "1").collect();
    assert_eq!(told.len(), 4);
    assert_eq!(one[1].1, "Renamed");
    assert_eq!(pages[1].watermark.0, "2026-11-19 11:00:00");
}

#[tokio::test]
async fn a_date_of_days_to_come_does_not_hide_what_changes_until_then() {
    let mut future = employee(2);
    future["write_date"] = json!("2038-01-19 03:14:07");
    let server = odoo(vec![employee(1), future], 100).await;
    let adapter = open(&server.uri());
    let pages = pull(&adapter).await.expect("a pull");
    assert_eq!(names_and_ids(&pages).len(), 2);
    let mark = pages.last().expect("a page").watermark.clone();
    assert_eq!(
        mark.0, "2026-11-19 12:00:00",
        "Odoo's own time, not the row's"
    );
    // The next pull reads it again rather than never.
    let pages: Vec<_> = adapter
        .workers(Some(mark))
        .try_collect()
        .await
        .expect("a pull");
    assert_eq!(names_and_ids(&pages)[0].0, "2");
}

#[tokio::test]
async fn after_a_clock_was_set_back_all_is_read() {
    let server = odoo((1..=3).map(employee).collect(), 100).await;
    let adapter = open(&server.uri());
    let behind = Some(Watermark("2026-11-19 12:05:00".into()));
    let pages: Vec<_> = adapter.workers(behind).try_collect().await.expect("a pull");
    assert_eq!(pages.len(), 0, "some minutes are nothing");
    let behind = Some(Watermark("2027-06-01 00:00:00".into()));
    let pages: Vec<_> = adapter.workers(behind).try_collect().await.expect("a pull");
    assert_eq!(names_and_ids(&pages).len(), 3);
    assert_eq!(pages[0].watermark.0, "2026-11-19 09:00:00");
}

// Contracts and companies.

#[tokio::test]
async fn a_contract_that_changes_brings_its_person_and_dates_the_work() {
    for (current, model, start, end) in [
        (
            "current_version_id",
            "hr.version",
            "contract_date_start",
            "contract_date_end",
        ),
        ("contract_id", "hr.contract", "date_start", "date_end"),
    ] {
        let server = MockServer::start().await;
        let fields = json!({"name": {}, "work_location_id": {}, "company_id": {}, current: {}});
        let rows = (1..=3).map(|id| {
            let mut row = employee(id);
            row[current] = json!([id * 10, "In force"]);
            row["work_location_id"] = json!([4, "Hall 2"]);
            row
        });
        let contract = |id: i64, employee: i64, days: [Json; 2], time: &str| {
            let [first, last] = days;
            json!({
                "id": id, "employee_id": [employee, "Person"], start: first, end: last, "state": "open",
                "write_date": format!("2026-11-19 {time}"),
            })
        };
        let contracts = vec![
            contract(9, 1, [json!("2020-01-01"), json!("2020-12-31")], "08:00:00"),
            contract(10, 1, [json!("2021-01-01"), json!(false)], "08:00:00"),
            contract(
                20,
                2,
                [json!("2026-11-23"), json!("2027-02-26")],
                "11:30:00",
            ),
        ];
        mount(&server, "hr.employee/fields_get", ok(fields)).await;
        mount(
            &server,
            "hr.employee/search_read",
            Table::of(rows.collect()),
        )
        .await;
        mount(
            &server,
            &format!("{model}/fields_get"),
            ok(json!({start: {}, end: {}})),
        )
        .await;
        mount(
            &server,
            &format!("{model}/search_read"),
            Table::of(contracts),
        )
        .await;
        mount(&server, "ir.attachment/search_read", ok(json!([]))).await;
        mount_companies(&server, company()).await;

        let adapter = open(&server.uri());
        let pages = pull(&adapter).await.expect("a pull");
        let day = |text: &str| Some(text.parse().expect("a day"));
        let days: Vec<_> = pages[0]
            .workers
            .iter()
            .map(|worker| (worker.starts_on, worker.ends_on))
            .collect();
        let expected = [
            (day("2020-01-01"), None),
            (day("2026-11-23"), day("2027-02-26")),
            (None, None),
        ];
        assert_eq!(days, expected, "{model}");
        let second = &pages[0].workers[1];
        assert_eq!(second.text(Attribute::StartDate), Some("2026-11-23"));
        assert_eq!(second.text(Attribute::EndDate), Some("2027-02-26"));
        assert_eq!(second.text(Attribute::Location), Some("Hall 2"));
        assert_eq!(
            pages[0].watermark.0,
            "2026-11-19 09:00:00/2026-11-19 11:30:00"
        );

        // The contract of 2 moved after the last pull, nobody's own record did.
        let since = Watermark("2026-11-19 10:00:00/2026-11-19 10:00:00".into());
        let pages: Vec<_> = adapter
            .workers(Some(since))
            .try_collect()
            .await
            .expect("a pull");
        assert_eq!(
            names_and_ids(&pages)
                .iter()
                .map(|(id, _)| id)
                .collect::<Vec<_>>(),
            ["2"]
        );
        let mark = &pages.last().expect("a page").watermark;
        assert_eq!(mark.0, "2026-11-19 10:00:00/2026-11-19 11:30:00");

        let stays = open_with(&server.uri(), &[("contract_end", "stays")]).expect("an adapter");
        let pages = pull(&stays).await.expect("a pull");
        assert_eq!(pages[0].workers[1].ends_on, None);
    }
}

#[tokio::test]
async fn several_companies_are_units_at_the_top_and_one_can_be_chosen() {
    let server = MockServer::start().await;
    let companies = json!([
        {"id": 1, "name": "Northwind Forge", "parent_id": false, "currency_id": [1, "EUR"]},
        {"id": 2, "name": "Northwind Foundry", "parent_id": false, "currency_id": [1, "EUR"]},
        {"id": 3, "name": "Bergen branch", "parent_id": [2, "Northwind Foundry"], "currency_id": [1, "EUR"]},
        {"id": 9, "name": "Somebody else's", "parent_id": false, "currency_id": [1, "EUR"]},
    ]);
    let department = |id: i64, company: Json, parent: Json| json!({"id": id, "name": format!("Department {id}"), "company_id": company, "parent_id": parent, "manager_id": false});
    let departments = vec![
        department(1, json!([2, "Northwind Foundry"]), json!(false)),
        department(
            2,
            json!([2, "Northwind Foundry"]),
            json!([1, "Department 1"]),
        ),
        department(3, json!(false), json!(false)),
    ];
    let mut alone = employee(1);
    alone["department_id"] = json!(false);
    alone["company_id"] = json!([2, "Northwind Foundry"]);
    let mut other = employee(2);
    other["company_id"] = json!([1, "Northwind Forge"]);
    mount_companies(&server, companies).await;
    mount(&server, "hr.department/search_read", Table::of(departments)).await;
    mount(
        &server,
        "hr.employee/fields_get",
        ok(json!({"name": {}, "company_id": {}})),
    )
    .await;
    mount(
        &server,
        "hr.employee/search_read",
        Table::of(vec![alone, other]),
    )
    .await;
    mount(&server, "ir.attachment/search_read", ok(json!([]))).await;

    let adapter = open(&server.uri());
    let units = adapter.units().await.expect("units").units;
    let units: Vec<_> = units
        .iter()
        .map(|unit| (unit.external_id.as_str(), unit.parent.as_deref()))
        .collect();
    assert_eq!(
        units,
        [
            ("company:1", None),
            ("company:2", None),
            ("company:3", Some("company:2")),
            ("1", Some("company:2")),
            ("2", Some("1")),
            ("3", None),
        ]
    );
    let pages = pull(&adapter).await.expect("a pull");
    assert_eq!(pages[0].workers[0].unit.as_deref(), Some("company:2"));
    let one = open_with(&server.uri(), &[("companies", "northwind foundry")]).expect("an adapter");
    let units = one.units().await.expect("units").units;
    assert_eq!(
        units
            .iter()
            .map(|unit| unit.external_id.as_str())
            .collect::<Vec<_>>(),
        ["1", "2", "3"]
    );
    let pages = pull(&one).await.expect("a pull");
    assert_eq!(
        names_and_ids(&pages).len(),
        1,
        "the other is of another company"
    );
    assert_eq!(pages[0].workers[0].unit, None);
    let none = open_with(&server.uri(), &[("companies", "Acme")]).expect("an adapter");
    let error = none.units().await.expect_err("no such company");
    assert!(
        matches!(&error, Error::Setting { key, .. } if key == "companies"),
        "{error}"
    );
}

// Writing back.

#[tokio::test]
async fn a_value_that_odoo_does_not_take_is_told_without_its_insides() {
    let cases = [
        (ok(json!(true)), Ok(())),
        (
            said(
                403,
                "odoo.exceptions.AccessError",
                "You are not allowed to modify 'Employee'",
            ),
            Err(Error::Forbidden {
                what: "write title".into(),
            }),
        ),
        (
            said(
                422,
                "odoo.exceptions.ValidationError",
                "The title is too odd.\nModel: x",
            ),
            Err(Error::Rejected {
                what: "refused it: The title is too odd.".into(),
            }),
        ),
        (
            said(
                404,
                "odoo.exceptions.MissingError",
                "Record does not exist or has been deleted.\n(Record: hr.employee(9,), User: 2)",
            ),
            Err(Error::Rejected {
                what: "has no such record any more".into(),
            }),
        ),
        (
            said(
                500,
                "psycopg2.errors.SerializationFailure",
                "could not serialize access",
            ),
            Err(Error::Rejected {
                what: "failed with 500 while writing hr.employee".into(),
            }),
        ),
        (
            said(
                500,
                "builtins.KeyError",
                "Traceback (most recent call last):\n x",
            ),
            Err(Error::Rejected {
                what: "failed with 500 while writing hr.employee".into(),
            }),
        ),
        (
            ResponseTemplate::new(500).set_body_string("Traceback hunter2"),
            Err(Error::Rejected {
                what: "failed with 500 while writing hr.employee".into(),
            }),
        ),
        (
            ResponseTemplate::new(429).insert_header("Retry-After", "3600"),
            Err(Error::RateLimited {
                retry_after: Some(Duration::from_secs(3_600)),
            }),
        ),
    ];
    for (answer, expected) in cases {
        let server = odoo(vec![employee(1)], 100).await;
        mount(&server, "hr.employee/write", answer).await;
        let adapter = open(&server.uri());
        let title = "Lead".into();
        let answer = adapter.write("1", Attribute::Title, Some(&title)).await;
        if let Err(error) = &answer {
            let shown = format!("{error} {error:?}");
            let inside = ["Traceback", "hunter2", "/usr/", "serialize"];
            assert!(
                !inside.iter().any(|inside| shown.contains(inside)),
                "{shown}"
            );
        }
        assert_eq!(answer, expected);
    }
}

#[tokio::test]
async fn only_what_is_plain_is_written_and_empty_is_false() {
    let server = odoo(vec![employee(1)], 100).await;
    mount(&server, "hr.employee/write", ok(json!(true))).await;
    let adapter = open(&server.uri());
    let title = "Lead".into();
    adapter
        .write("1", Attribute::Title, Some(&title))
        .await
        .expect("written");
    adapter
        .write("1", Attribute::Emails, None)
        .await
        .expect("written");
    let asked = server.received_requests().await.expect("requests");
    let written: Vec<Json> = asked
        .iter()
        .filter(|request| request.url.path().ends_with("/write"))
        .map(|request| request.body_json().expect("JSON"))
        .collect();
    let write = |values: Json| json!({"ids": [1], "vals": values});
    assert_eq!(
        written,
        [
            write(json!({"job_title": "Lead"})),
            write(json!({"work_email": false}))
        ]
    );
    // A field that this Odoo has not got, and one that is no plain field.
    for attribute in [Attribute::Mobile, Attribute::Location, Attribute::Photos] {
        let error = adapter.write("1", attribute, Some(&title)).await;
        let what = format!("write {}", attribute.name());
        assert_eq!(error, Err(Error::Forbidden { what }));
    }
    assert!(adapter.writable().contains(&Attribute::Title));
    assert!(!adapter.writable().contains(&Attribute::Location));
    let error = adapter.write("Grace", Attribute::Title, Some(&title)).await;
    assert_eq!(
        error,
        Err(Error::Rejected {
            what: "has no employee Grace".into()
        })
    );
}

#[tokio::test]
async fn a_superior_is_somebody_who_is_there_and_not_below() {
    let server = odoo((1..=7).map(employee).collect(), 100).await;
    mount(&server, "hr.employee/write", ok(json!(true))).await;
    let adapter = open(&server.uri());
    let write = async |whose: &str, above: Option<&str>| {
        let above = above.map(Value::from);
        let attribute = Attribute::Manager;
        adapter.write(whose, attribute, above.as_ref()).await
    };
    assert_eq!(write("2", Some("7")).await, Ok(()));
    assert_eq!(write("2", None).await, Ok(()));
    let rejected = |what: &str| Err(Error::Rejected { what: what.into() });
    assert_eq!(write("2", Some("99")).await, rejected("has no employee 99"));
    assert_eq!(
        write("2", Some("Grace")).await,
        rejected("has no employee Grace")
    );
    for below in ["7", "1"] {
        assert_eq!(
            write("1", Some(below)).await,
            rejected("has the new superior below this person already")
        );
    }
    let asked = server.received_requests().await.expect("requests");
    let written: Vec<Json> = asked
        .iter()
        .filter(|request| request.url.path().ends_with("/write"))
        .map(|request| request.body_json().expect("JSON"))
        .collect();
    let write = |above: Json| json!({"ids": [2], "vals": {"parent_id": above}});
    assert_eq!(written, [write(json!(7)), write(json!(false))]);
}

// The older way in.

/// JSON-RPC in front of tables by model.
struct Rpc {
    tables: Vec<(&'static str, Json, Table)>,
    user: Json,
}

impl Respond for Rpc {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body: Json = request.body_json().expect("JSON");
        let params = &body["params"];
        let failed = |name: &str, message: &str| {
            let data = json!({"name": name, "message": message, "debug": "Traceback\nhunter2"});
            ok(
                json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 0, "message": "Odoo Server Error", "data": data}}),
            )
        };
        let result = |result: Json| ok(json!({"jsonrpc": "2.0", "id": 1, "result": result}));
        if params["service"] == "common" {
            assert_eq!(params["args"], json!(["erp", "ada", "key", {}]));
            return if self.user.is_string() {
                failed(
                    "psycopg2.OperationalError",
                    "connection to server at \"10.0.0.5\" failed",
                )
            } else {
                result(self.user.clone())
            };
        }
        let args = params["args"].as_array().expect("arguments");
        assert_eq!(json!(args[..3]), json!(["erp", 7, "key"]));
        let (model, method) = (
            args[3].as_str().expect("a model"),
            args[4].as_str().expect("a method"),
        );
        let Some((_, fields, table)) = self.tables.iter().find(|(name, ..)| *name == model) else {
            return failed(
                "odoo.exceptions.UserError",
                &format!("Object {model} doesn't exist"),
            );
        };
        match method {
            "fields_get" => result(fields.clone()),
            "search_read" => result(json!(table.answer(&args[6]))),
            "write" if args[5] == json!([[1], {"job_title": "Lead"}]) => result(json!(true)),
            "write" => failed(
                "odoo.exceptions.AccessError",
                "You are not allowed to modify",
            ),
            "read" => failed("odoo.exceptions.MissingError", "Record does not exist"),
            other => panic!("{other}"),
        }
    }
}

async fn rpc(user: Json) -> (MockServer, Result<Odoo, Error>) {
    let server = MockServer::start().await;
    let fields = json!({"name": {}, "job_title": {}, "work_email": {}});
    let tables = vec![
        (
            "hr.employee",
            fields,
            Table {
                rows: (1..=250).map(employee).collect(),
                cap: 90,
            },
        ),
        ("ir.attachment", json!({}), Table::of(vec![])),
        ("res.users", json!({}), Table::of(vec![key_user()])),
        (
            "res.company",
            json!({}),
            Table::of(company().as_array().expect("rows").clone()),
        ),
    ];
    Mock::given(method("POST"))
        .and(path("/jsonrpc"))
        .respond_with(Rpc { tables, user })
        .mount(&server)
        .await;
    let adapter = open_with(&server.uri(), &[("api", "jsonrpc"), ("login", "ada")]);
    (server, adapter)
}

#[tokio::test]
async fn json_rpc_reads_the_same_and_tells_errors_that_come_as_200() {
    let (_server, adapter) = rpc(json!(7)).await;
    let adapter = adapter.expect("an adapter");
    let pages = pull(&adapter).await.expect("a pull");
    assert_eq!(names_and_ids(&pages).len(), 250);
    let title = "Lead".into();
    adapter
        .write("1", Attribute::Title, Some(&title))
        .await
        .expect("written");
    let error = adapter.write("2", Attribute::Title, Some(&title)).await;
    assert_eq!(
        error,
        Err(Error::Forbidden {
            what: "write title".into()
        })
    );
    let error = adapter.photo("1").await.expect_err("gone");
    assert_eq!(
        error,
        Error::Rejected {
            what: "has no such record of hr.employee any more".into()
        }
    );
    assert_eq!(
        adapter
            .clients(None)
            .try_collect::<Vec<_>>()
            .await
            .expect_err("no fields")
            .code(),
        "rejected"
    );
    let tickets: Vec<_> = adapter
        .tickets(None)
        .try_collect()
        .await
        .expect("no such model");
    assert_eq!(tickets, []);

    for (user, expected) in [
        (json!(false), Error::Unauthorized),
        (
            json!("gone"),
            Error::Rejected {
                what: "has no database of this name".into(),
            },
        ),
    ] {
        let (_server, adapter) = rpc(user).await;
        let error = pull(&adapter.expect("an adapter"))
            .await
            .expect_err("no pull");
        assert_eq!(error, expected);
    }
    let (server, _) = rpc(json!(7)).await;
    let error = open_with(&server.uri(), &[("api", "jsonrpc")]).expect_err("no login");
    assert_eq!(error.to_string(), "login is needed where api is jsonrpc");
    let error = open_with(&server.uri(), &[("api", "xmlrpc")]).expect_err("no such way");
    assert_eq!(error.to_string(), "api “xmlrpc” is not json2 or jsonrpc");
}

// Clients and tickets.

#[tokio::test]
async fn what_is_owed_is_told_by_currency_and_half_pages_are_read_on() {
    let server = MockServer::start().await;
    let fields = [
        "name",
        "customer_rank",
        "credit",
        "credit_limit",
        "show_credit_limit",
        "email",
        "property_payment_term_id",
    ];
    let fields: Json = fields
        .iter()
        .map(|name| ((*name).to_owned(), json!({})))
        .collect();
    let partner = |id: i64| {
        json!({
            "id": id, "name": format!("Client {id}"), "customer_rank": 1, "is_company": true, "active": true,
            "email": "a@client.example; nonsense", "credit": 1150.1, "credit_limit": 5000.0, "show_credit_limit": true,
            "property_payment_term_id": [3, "30 Days"], "write_date": "2026-11-19 09:00:00",
        })
    };
    let line = |id: i64, currency: Json, residual: f64, worth: f64, due: &str| {
        json!({
            "id": id, "move_name": format!("INV/{id}"), "partner_id": [1, "Client 1"], "company_id": [1, "Northwind Forge"],
            "currency_id": currency, "company_currency_id": [1, "EUR"], "date": "2026-11-01", "invoice_date": false,
            "date_maturity": due, "amount_currency": 2000.0, "amount_residual": worth, "amount_residual_currency": residual,
            "account_type": "asset_receivable", "parent_state": "posted", "reconciled": false, "write_date": "2026-11-19 09:00:00",
        })
    };
    let euro = json!([1, "EUR"]);
    let lines = vec![
        line(11, euro.clone(), 1000.0, 1000.0, "2026-12-01"),
        line(12, euro, 50.1, 50.1, "2026-11-15"),
        line(13, json!([2, "JPY"]), 16000.0, 100.0, "2026-12-01"),
    ];
    let paid = |id: i64| {
        json!({
            "id": id, "name": format!("PBNK/{id}"), "partner_id": [1, "Client 1"], "company_id": [1, "Northwind Forge"],
            "currency_id": [1, "EUR"], "amount": 12.5, "date": "2026-11-02", "state": "paid", "partner_type": "customer",
            "payment_type": "inbound", "write_date": "2026-11-19 09:00:00",
        })
    };
    let half = |rows: Vec<Json>| Table { rows, cap: 2 };
    mount(&server, "res.partner/fields_get", ok(fields)).await;
    mount_companies(&server, company()).await;
    mount(
        &server,
        "res.partner/search_read",
        half((1..=5).map(partner).collect()),
    )
    .await;
    mount(&server, "account.move.line/search_read", half(lines)).await;
    mount(
        &server,
        "account.payment/search_read",
        Table::of((1..=7).map(paid).collect()),
    )
    .await;
    let currencies = json!([{"id": 1, "name": "EUR", "decimal_places": 2}, {"id": 2, "name": "JPY", "decimal_places": 0}]);
    mount(
        &server,
        "res.currency/search_read",
        Table::of(currencies.as_array().expect("rows").clone()),
    )
    .await;
    let refused = said(403, "odoo.exceptions.AccessError", "No");
    mount(&server, "payment.provider/search_read", refused).await;
    let ways = vec![
        json!({"id": 1, "display_name": "Manual Payment (Bank)", "company_id": [1, "x"], "payment_type": "inbound"}),
    ];
    mount(
        &server,
        "account.payment.method.line/search_read",
        Table::of(ways),
    )
    .await;

    let adapter = open(&server.uri());
    let pages: Vec<_> = adapter.clients(None).try_collect().await.expect("a pull");
    let clients: Vec<_> = pages.iter().flat_map(|page| &page.clients).collect();
    assert_eq!(clients.len(), 5, "two in an answer");
    assert_eq!(
        pages[0].faults[0].what,
        "“nonsense” is not a mail address such as grace@northwindforge.example; left out"
    );
    let [first, ..] = clients.as_slice() else {
        panic!("clients")
    };
    assert_eq!(first.emails, ["a@client.example"]);
    let money = |text: &str| text.parse::<rust_decimal::Decimal>().expect("money");
    let [euro, yen] = first.accounts.as_slice() else {
        panic!("{:?}", first.accounts)
    };
    // 1150.10 in all, of which 100.00 are owed in yen.
    assert_eq!(
        (euro.currency.as_str(), euro.balance),
        ("EUR", money("1050.10"))
    );
    assert_eq!(
        (yen.currency.as_str(), yen.balance),
        ("JPY", money("16000"))
    );
    assert_eq!(yen.balance.to_string(), "16000");
    assert_eq!(euro.credit_limit, Some(money("5000")));
    assert_eq!(euro.terms.as_deref(), Some("30 Days"));
    assert_eq!(euro.payment_options, ["Manual Payment (Bank)"]);
    assert_eq!((euro.company.as_deref(), euro.overdue), (None, None));
    let open: Vec<_> = euro
        .open_items
        .iter()
        .map(|item| (item.number.as_str(), item.open.to_string()))
        .collect();
    assert_eq!(
        open,
        [
            ("INV/12", "50.10".to_owned()),
            ("INV/11", "1000.00".to_owned())
        ],
        "the oldest due first"
    );
    let payments: Vec<_> = euro
        .payments
        .iter()
        .map(|payment| payment.reference.as_str())
        .collect();
    assert_eq!(payments, ["PBNK/7", "PBNK/6", "PBNK/5", "PBNK/4", "PBNK/3"]);
    assert_eq!(
        pages.last().expect("a page").watermark.0,
        ["2026-11-19 09:00:00"; 3].join("/")
    );
}

#[tokio::test]
async fn tickets_bring_what_was_said_and_a_field_map_is_followed() {
    let server = odoo(vec![employee(1)], 100).await;
    let fields = json!({
        "name": {}, "ticket_ref": {}, "fold": {}, "x_done": {}, "stage_id": {}, "partner_id": {}, "create_date": {}, "description": {}, "user_id": {},
        "priority": {"selection": [["0", "Low"], ["3", "Very high"]]},
    });
    let ticket = |id: i64| {
        json!({
            "id": id, "name": format!("Ticket {id}"), "ticket_ref": format!("T{id}"), "fold": false, "x_done": true,
            "stage_id": [2, "In progress"], "partner_id": [9, "Acme"], "create_date": "2026-11-18 08:00:00", "priority": "3",
            "description": "<p>It <b>broke</b></p>", "user_id": [5, "Ada"], "write_date": "2026-11-19 09:00:00", "active": true,
        })
    };
    let said_in = |id: i64, kind: &str, subtype: Json, body: &str, files: Json| {
        json!({
            "id": id, "model": "helpdesk.ticket", "res_id": 1, "date": format!("2026-11-19 09:{id:02}:00"), "author_id": [3, "Ada"],
            "body": body, "is_internal": false, "subtype_id": subtype, "message_type": kind, "attachment_ids": files,
            "write_date": format!("2026-11-19 09:{id:02}:00"),
        })
    };
    let (talk, note) = (json!([1, "Discussions"]), json!([2, "Note"]));
    let messages = vec![
        said_in(
            1,
            "notification",
            json!([4, "Ticket created"]),
            "<p>Ticket created</p>",
            json!([]),
        ),
        said_in(2, "comment", talk, "<p>We <i>look</i></p>", json!([77])),
        said_in(3, "comment", note, "<p>Theirs is old</p>", json!([])),
        said_in(4, "email_outgoing", json!(false), "<p>Sent</p>", json!([])),
    ];
    let mut user = employee(1);
    user["user_id"] = json!([5, "Ada"]);
    let file = json!({"id": 77, "name": "photo.jpg", "mimetype": "image/jpeg", "file_size": 1234});
    server.reset().await;
    mount_companies(&server, company()).await;
    mount(&server, "hr.employee/fields_get", ok(json!({"name": {}}))).await;
    mount(&server, "hr.employee/search_read", Table::of(vec![user])).await;
    mount(&server, "helpdesk.ticket/fields_get", ok(fields)).await;
    mount(
        &server,
        "helpdesk.ticket/search_read",
        Table {
            rows: (1..=3).map(ticket).collect(),
            cap: 2,
        },
    )
    .await;
    mount(
        &server,
        "mail.message/search_read",
        Table {
            rows: messages,
            cap: 3,
        },
    )
    .await;
    mount(
        &server,
        "mail.message.subtype/search_read",
        Table::of(vec![json!({"id": 2, "internal": true})]),
    )
    .await;
    mount(&server, "ir.attachment/search_read", Table::of(vec![file])).await;

    let adapter = open(&server.uri());
    let pages: Vec<_> = adapter.tickets(None).try_collect().await.expect("a pull");
    let tickets: Vec<_> = pages.iter().flat_map(|page| &page.tickets).collect();
    assert_eq!(tickets.len(), 3);
    let first = tickets[0];
    assert_eq!(first.number.as_deref(), Some("T1"));
    assert_eq!(
        (first.client.as_deref(), first.assignee.as_deref()),
        (Some("9"), Some("1"))
    );
    assert_eq!(
        (
            first.priority.as_deref(),
            first.stage.as_str(),
            first.closed
        ),
        (Some("Very high"), "In progress", false)
    );
    let heard: Vec<_> = first
        .messages
        .iter()
        .map(|message| (message.body.as_str(), message.internal))
        .collect();
    assert_eq!(
        heard,
        [
            ("It broke", false),
            ("We look", false),
            ("Theirs is old", true),
            ("Sent", false)
        ]
    );
    let files = &first.messages[1].attachments;
    assert_eq!(
        (files[0].name.as_str(), files[0].bytes),
        ("photo.jpg", Some(1_234))
    );
    assert_eq!(
        pages.last().expect("a page").watermark.0,
        "2026-11-19 09:00:00/2026-11-19 09:04:00"
    );

    // A new message does not move its ticket, and brings it all the same.
    let since = Watermark("2026-11-19 11:00:00/2026-11-19 09:12:00".into());
    let pages: Vec<_> = adapter
        .tickets(Some(since))
        .try_collect()
        .await
        .expect("a pull");
    let ids: Vec<_> = pages
        .iter()
        .flat_map(|page| &page.tickets)
        .map(|ticket| ticket.external_id.as_str())
        .collect();
    assert_eq!(ids, ["1"]);

    let mapped =
        open_with(&server.uri(), &[("ticket_fields", "closed=x_done")]).expect("an adapter");
    let pages: Vec<_> = mapped.tickets(None).try_collect().await.expect("a pull");
    assert!(pages[0].tickets[0].closed);
    let wrong =
        open_with(&server.uri(), &[("ticket_fields", "closed=x_gone")]).expect("an adapter");
    let error = wrong
        .tickets(None)
        .try_collect::<Vec<_>>()
        .await
        .expect_err("no such field");
    assert_eq!(
        error.to_string(),
        "ticket_fields names “x_gone”, which helpdesk.ticket has not got"
    );
}

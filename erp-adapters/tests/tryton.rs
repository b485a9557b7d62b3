//! Tryton forced to fail. What it does when it works is asked of a real one, in `tryton_real.rs`.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose};
use domain::{
    Attribute, Value,
    erp::{Watermark, Worker},
};
use erp_adapters::{ErpAdapter, Error, Guard, Limits, Page, Readable, Tryton};
use futures::TryStreamExt as _;
use serde_json::{Value as Json, json};
use wiremock::{
    Mock, MockServer, Request, Respond, ResponseTemplate,
    matchers::{header, method, path},
};

const LIMITS: Limits = Limits {
    connect: Duration::from_millis(500),
    idle: Duration::from_millis(500),
    total: Duration::from_millis(500),
    bytes: 512 << 10,
};

fn open(url: &str) -> Tryton {
    let guard = Guard::new(["127.0.0.1"])
        .expect("a list")
        .with_limits(LIMITS);
    Tryton::new(&guard, url, "erp", "key").expect("an adapter")
}

/// What a parameter of the question says, decoded.
fn asked(request: &Request, name: &str) -> Option<Json> {
    let (_, value) = request.url.query_pairs().find(|(key, _)| key == name)?;
    let bytes = general_purpose::URL_SAFE
        .decode(value.as_bytes())
        .expect("base64");
    Some(serde_json::from_slice(&bytes).expect("JSON"))
}

/// Answers a search as Tryton does: by id, after the one that the domain names.
struct Table {
    rows: Vec<Json>,
    /// The most rows in an answer, whatever is asked for.
    cap: usize,
}

impl Respond for Table {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let domain = asked(request, "d").expect("a domain");
        let after = match &domain[0] {
            leaf if leaf[0] == "id" && leaf[1] == ">" => leaf[2].as_i64(),
            _ => Some(0),
        };
        let one = (domain[0][0] == "id" && domain[0][1] == "=").then(|| domain[0][2].as_i64());
        let mut rows: Vec<_> = self
            .rows
            .iter()
            .filter(|row| {
                row["id"].as_i64() > after && one.is_none_or(|id| row["id"].as_i64() == id)
            })
            .cloned()
            .collect();
        rows.sort_by_key(|row| row["id"].as_i64());
        let limit = request.url.query_pairs().find(|(key, _)| key == "s");
        let limit = limit.map_or(usize::MAX, |(_, limit)| limit.parse().expect("a number"));
        rows.truncate(self.cap.min(limit));
        ResponseTemplate::new(200)
            .insert_header("Date", "Sun, 22 Nov 2026 00:29:40 GMT")
            .set_body_json(rows)
    }
}

async fn mount(server: &MockServer, verb: &str, model: &str, answer: impl Respond + 'static) {
    Mock::given(method(verb))
        .and(path(format!("/erp/rest/model/{model}")))
        .and(header("Authorization", "Bearer key"))
        .and(header("Accept-Language", "en"))
        .respond_with(answer)
        .mount(server)
        .await;
}

fn ok(body: Json) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn html(status: u16) -> ResponseTemplate {
    let page = "<!doctype html><title>Error</title><p>KeyError: &#39;nix&#39; at /usr/lib/trytond, hunter2</p>";
    ResponseTemplate::new(status).set_body_raw(page, "text/html; charset=utf-8")
}

fn refusal(message: &str) -> ResponseTemplate {
    ResponseTemplate::new(400).set_body_json(
        json!({"status": 400, "message": message, "description": "Within groups: hunter2"}),
    )
}

fn at(day: u32, hour: u32) -> Json {
    json!({"__class__": "datetime", "year": 2026, "month": 11, "day": day, "hour": hour, "minute": 0, "second": 0, "microsecond": 5})
}

fn contact(kind: &str, value: &str, active: Json) -> Json {
    json!({"id": 1, "type": kind, "value": value, "active": active, "write_date": null, "create_date": at(1, 9)})
}

fn employee(id: i64) -> Json {
    json!({
        "id": id, "company": 1, "supervisor": 1, "start_date": null, "end_date": null,
        "write_date": null, "create_date": at(1, 9),
        "party": {
            "id": 100 + id, "name": format!("Person {id}"), "lang": null, "write_date": at(2, 9), "create_date": at(1, 9),
            "contact_mechanisms": [contact("email", &format!("p{id}@erp.test"), json!(true))],
            "avatars": [],
        },
    })
}

/// A Tryton with these modules.
async fn modules(names: &[&str]) -> MockServer {
    let server = MockServer::start().await;
    let rows = (1..)
        .zip(names)
        .map(|(id, name)| json!({"id": id, "name": name, "version": "8.2.0"}))
        .collect();
    mount(&server, "GET", "ir.module", Table { rows, cap: 500 }).await;
    server
}

/// The same with these employees and nothing else.
async fn tryton(names: &[&str], rows: Vec<Json>, cap: usize) -> MockServer {
    let server = modules(names).await;
    mount(&server, "GET", "company.employee", Table { rows, cap }).await;
    server
}

const MODULES: &[&str] = &["company", "party", "party_avatar"];

async fn pull(tryton: &Tryton) -> Result<Vec<Page>, Error> {
    tryton.workers(None).try_collect().await
}

fn workers(pages: &[Page]) -> Vec<&Worker> {
    pages.iter().flat_map(|page| &page.workers).collect()
}

#[tokio::test]
async fn everyone_is_read_once_even_if_answers_are_short() {
    for cap in [1_000, 50] {
        let server = tryton(MODULES, (1..=450).map(employee).collect(), cap).await;
        let adapter = open(&server.uri());
        let pages = pull(&adapter).await.expect("a pull");
        let ids: Vec<_> = workers(&pages)
            .iter()
            .map(|worker| worker.external_id.clone())
            .collect();
        assert_eq!(ids.len(), 450, "cap {cap}");
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 450, "cap {cap}");
        assert_eq!(
            adapter.worker_ids().await.expect("ids").ids,
            ids.into_iter().collect()
        );
        // Until the last page, a pull may only be taken up from its beginning.
        let (last, before) = pages.split_last().expect("pages");
        assert_eq!(last.watermark.0, "2026-11-02T09:00:00.000005");
        assert!(
            before
                .iter()
                .all(|page| page.watermark.0.starts_with("1970"))
        );
    }
}

#[tokio::test]
async fn a_page_that_comes_again_ends_the_pull() {
    for rows in [
        json!([employee(2), employee(2)]),
        json!([employee(3), employee(1)]),
        json!([employee(1)]),
        json!([{"company": 1}]),
    ] {
        let server = modules(&["company"]).await;
        mount(&server, "GET", "company.employee", ok(rows)).await;
        let error = pull(&open(&server.uri())).await.expect_err("no pull");
        assert_eq!(
            error.to_string(),
            "company.employee: id does not follow the order that was asked for"
        );
    }
}

#[tokio::test]
async fn a_later_pull_asks_for_every_kind_of_change_since_some_minutes_before() {
    struct Delta;
    impl Respond for Delta {
        fn respond(&self, request: &Request) -> ResponseTemplate {
            let domain = asked(request, "d").expect("a domain");
            let context = request.headers.get("X-Tryton-Context").expect("a context");
            let context = general_purpose::URL_SAFE
                .decode(context.as_bytes())
                .expect("base64");
            assert_eq!(context, br#"{"active_test":false}"#);
            if domain[0] != json!(["id", ">", 0]) {
                return ok(json!([]));
            }
            let changed = domain[1].as_array().expect("a domain");
            assert_eq!(changed[0], "OR");
            let fields: BTreeSet<_> = changed[1..].iter().map(|leaf| leaf[0].as_str()).collect();
            for stem in ["", "party.", "party.contact_mechanisms.", "party.avatars."] {
                for stamp in ["write_date", "create_date"] {
                    assert!(
                        fields.contains(&Some(format!("{stem}{stamp}").as_str())),
                        "{stem}{stamp}"
                    );
                }
            }
            let (day, hour, minute) = (
                &changed[1][2]["day"],
                &changed[1][2]["hour"],
                &changed[1][2]["minute"],
            );
            assert_eq!((day, hour, minute), (&json!(20), &json!(8), &json!(50)));
            ResponseTemplate::new(200)
                .insert_header("Date", "Sun, 22 Nov 2026 00:29:40 GMT")
                .set_body_json(json!([employee(7)]))
        }
    }
    let server = modules(MODULES).await;
    mount(&server, "GET", "company.employee", Delta).await;
    let adapter = open(&server.uri());
    let since = Watermark("2026-11-20T09:00:00.000000".into());
    let pages: Vec<_> = adapter
        .workers(Some(since.clone()))
        .try_collect()
        .await
        .expect("a pull");
    assert_eq!(workers(&pages).len(), 1);
    // What it brought is older than where it began: it began no later for that.
    assert_eq!(pages.last().expect("a page").watermark, since);
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
async fn a_time_far_ahead_of_trytons_own_clock_hides_nothing() {
    let mut rows: Vec<_> = (1..=3).map(employee).collect();
    rows[1]["write_date"] = at(21, 12);
    rows[2]["write_date"] = json!({"__class__": "datetime", "year": 2099, "month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0, "microsecond": 0});
    let server = tryton(MODULES, rows, 10).await;
    let pages = pull(&open(&server.uri())).await.expect("a pull");
    assert_eq!(
        pages.last().expect("a page").watermark.0,
        "2026-11-21T12:00:00.000005"
    );
}

#[tokio::test]
async fn records_with_faults_do_not_end_the_pull() {
    let mut rows: Vec<_> = (1..=6).map(employee).collect();
    rows[0]["party"]["name"] = json!(null);
    rows[1]["start_date"] = json!({"__class__": "date", "year": 2026, "month": 2, "day": 30});
    rows[2]["party"]["contact_mechanisms"] = json!([
        contact("email", "crossed.out@erp.test", json!(0)),
        contact("email", "not a mail", json!(1)),
        contact("mobile", "+1 202 555 0100", json!(1)),
    ]);
    rows[3]["party"]["name"] = json!("Ann\u{1}a \u{202E}سارة 𝒦");
    rows[4]["party"]["lang"] = json!({"code": "pt_BR"});
    rows[4]["end_date"] = json!({"__class__": "date", "year": 2020, "month": 2, "day": 29});
    rows[5]["party"]["avatars"] = json!([
        {"id": 1, "uuid": "drawn", "write_date": null, "create_date": at(1, 9)},
    ]);
    let server = tryton(MODULES, rows, 100).await;
    let pages = pull(&open(&server.uri())).await.expect("a pull");
    let faults: Vec<_> = pages
        .iter()
        .flat_map(|page| &page.faults)
        .map(|fault| format!("{}: {}, {}", fault.place, fault.what, fault.left_out))
        .collect();
    assert_eq!(
        faults,
        [
            "company.employee 1: has no name, true",
            "company.employee 2: is not a date; left out, false",
            "company.employee 3: “not a mail” is not a mail address such as grace@northwindforge.example; left out, false",
            "company.employee 4: held characters that cannot be shown; they were removed, false",
        ]
    );
    let workers = workers(&pages);
    let names: Vec<_> = workers.iter().map(|worker| worker.name()).collect();
    assert_eq!(
        names,
        [
            "Person 2",
            "Person 3",
            "Anna سارة 𝒦",
            "Person 5",
            "Person 6"
        ]
    );
    assert_eq!(workers[0].text(Attribute::Emails), Some("p2@erp.test"));
    assert!(
        !workers[1].attributes.contains_key(&Attribute::Emails),
        "unreadable is not empty, and what was crossed out is not read"
    );
    assert_eq!(workers[1].text(Attribute::Mobile), Some("+1 202 555 0100"));
    assert_eq!(workers[1].attributes[&Attribute::PhoneNumbers], None);
    assert_eq!(workers[3].text(Attribute::Locale), Some("pt-BR"));
    assert!(workers[3].active, "the date alone ends somebody");
    assert!(!workers[3].works_on("2020-03-01".parse().expect("a day")));
    assert_eq!(workers[4].photo, None, "initials that Tryton drew");
    assert_eq!(
        (workers[4].manager.as_deref(), workers[4].unit.as_deref()),
        (Some("1"), Some("1"))
    );
}

#[tokio::test]
async fn every_bad_answer_is_a_clear_error_without_the_servers_insides() {
    let rejected = |what: &str| Error::Rejected { what: what.into() };
    let malformed = |what: &str| Error::Malformed {
        record: "company.employee".into(),
        field: "the answer".into(),
        what: what.into(),
    };
    let forbidden = || Error::Forbidden {
        what: "company.employee".into(),
    };
    let half = r#"[{"id": 1, "party": {"na"#;
    let cases = [
        (html(401), Error::Unauthorized),
        (html(403), forbidden()),
        (
            refusal("You are not allowed to access \"Company Employee\"."),
            forbidden(),
        ),
        (
            refusal("The value is not valid.\nTraceback: /usr/lib"),
            rejected("refused to read company.employee: The value is not valid."),
        ),
        (html(400), rejected("refused to read company.employee")),
        (
            html(404),
            rejected(
                "has no REST door for this database; it must be Tryton 8 or newer, and the database's name right",
            ),
        ),
        (
            html(500),
            rejected("failed with 500 while asked to read company.employee; its own log says why"),
        ),
        (
            ResponseTemplate::new(429).insert_header("Retry-After", "3600"),
            Error::RateLimited {
                retry_after: Some(Duration::from_secs(3_600)),
            },
        ),
        (
            ResponseTemplate::new(303).insert_header("Location", "http://169.254.169.254/"),
            rejected("sends us to another address; enter the address where it ends"),
        ),
        (
            html(200),
            malformed("is a page and not data; is this the address of Tryton itself?"),
        ),
        (
            ResponseTemplate::new(200).set_body_raw(half, "application/json"),
            malformed("is not what Tryton answers"),
        ),
        (
            ok(json!({"id": 1})),
            malformed("is not what Tryton answers"),
        ),
        (
            ok(json!(["x".repeat(600 << 10)])),
            Error::TooLarge {
                what: "the answer".into(),
                limit: LIMITS.bytes,
            },
        ),
        (
            ok(json!([])).set_delay(Duration::from_secs(5)),
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
        let server = modules(&["company"]).await;
        mount(&server, "GET", "company.employee", answer).await;
        let error = pull(&open(&server.uri())).await.expect_err("no pull");
        assert_eq!(error, expected);
        let shown = format!("{error} {error:?}");
        assert!(
            !["Traceback", "hunter2", "/usr/", "<", "KeyError"]
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
                _ => ok(json!([])),
            }
        }
    }
    let server = modules(&["company"]).await;
    let times = Arc::new(AtomicUsize::new(0));
    mount(&server, "GET", "company.employee", Busy(Arc::clone(&times))).await;
    assert_eq!(pull(&open(&server.uri())).await.expect("a pull"), []);
    assert_eq!(times.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_a_key_may_not_read_is_told() {
    let mut row = employee(1);
    let party = row["party"].as_object_mut().expect("a party");
    party.remove("contact_mechanisms");
    party.remove("avatars");
    let server = tryton(&["company", "account"], vec![row], 10).await;
    mount(
        &server,
        "POST",
        "company.employee/search_count",
        ok(json!(1)),
    )
    .await;
    let denied = refusal("You are not allowed to access \"Company\".");
    mount(&server, "GET", "company.company", denied.clone()).await;
    mount(
        &server,
        "POST",
        "company.company/search_count",
        denied.clone(),
    )
    .await;
    mount(&server, "GET", "account.move.line", denied).await;
    let adapter = open(&server.uri());
    let probe = adapter.probe().await.expect("a probe");
    let readable: Vec<_> = probe.access.iter().map(|access| access.readable).collect();
    let no = Readable::No;
    assert_eq!(readable, [Readable::Reduced, no, no, no]);
    assert_eq!(
        probe.access[0].note,
        "Not readable with this key: party.contact_mechanisms."
    );
    assert!(probe.access[2].note.contains("party_avatar"));
    assert!(probe.access[3].note.contains("group Accounting"));
    assert_eq!((probe.people, probe.units), (1, 0));
    assert_eq!(probe.system, "Tryton 8.2.0");

    let pages = pull(&adapter).await.expect("a pull");
    let told: Vec<_> = pages[0].faults.iter().map(|fault| &fault.what).collect();
    assert_eq!(told, ["people are read without party.contact_mechanisms"]);
    assert!(
        !pages[0].workers[0]
            .attributes
            .contains_key(&Attribute::Emails),
        "what may not be read is not empty"
    );
    let units = adapter.units().await.expect("units");
    assert_eq!(
        units.faults[0].what,
        "the key gives no right to company.company; people have no unit"
    );
    let clients: Result<Vec<_>, _> = adapter.clients(None).try_collect().await;
    assert!(
        matches!(clients, Err(Error::Forbidden { .. })),
        "{clients:?}"
    );
}

#[tokio::test]
async fn a_tryton_without_accounts_has_no_clients() {
    let server = tryton(MODULES, Vec::new(), 10).await;
    let pages: Vec<_> = open(&server.uri())
        .clients(None)
        .try_collect()
        .await
        .expect("no client");
    assert_eq!(pages, []);
    let bare = tryton(&["party"], Vec::new(), 10).await;
    let error = pull(&open(&bare.uri())).await.expect_err("no employees");
    assert_eq!(
        error.to_string(),
        "the ERP has no employees: the module company is not activated"
    );
}

#[tokio::test]
async fn a_write_that_is_refused_is_told_and_not_tried_again() {
    let row = json!([{"id": 7, "party": 107}]);
    for (answer, expected) in [
        (
            refusal("You are not allowed to access \"Party\"."),
            Error::Forbidden {
                what: "write party.party".into(),
            },
        ),
        (
            refusal("The value is not valid."),
            Error::Rejected {
                what: "refused it: The value is not valid.".into(),
            },
        ),
        (
            html(404),
            Error::Rejected {
                what: "has no such record any more".into(),
            },
        ),
        (
            ResponseTemplate::new(502),
            Error::Unreachable {
                what: "answers 502".into(),
            },
        ),
    ] {
        let server = MockServer::start().await;
        mount(&server, "GET", "company.employee", ok(row.clone())).await;
        mount(&server, "PUT", "party.party/107", answer).await;
        let name = Value::from("Grace");
        let error = open(&server.uri())
            .write("7", Attribute::DisplayName, Some(&name))
            .await
            .expect_err("refused");
        assert_eq!(error, expected);
        let requests = server.received_requests().await.expect("requests");
        let puts = requests
            .iter()
            .filter(|request| request.method.as_str() == "PUT");
        assert_eq!(puts.count(), 1);
    }
}

#[tokio::test]
async fn a_superior_goes_out_as_the_id_of_an_employee_who_is_not_below() {
    let under = |id: i64, supervisor: Json| {
        let mut row = employee(id);
        row["supervisor"] = supervisor;
        row
    };
    // The boss of the other company; and two who are each other's superior already.
    let rows = vec![
        under(1, json!(null)),
        under(3, json!(1)),
        under(4, json!(7)),
        under(7, json!(1)),
        under(31, json!(null)),
        under(50, json!(51)),
        under(51, json!(50)),
    ];
    let server = tryton(&["company"], rows, 10).await;
    let domain = "The value \"Ingrid Sol\" for field \"Supervisor\" in record \"Person 8\" of \"Company Employee\" is not valid according to its domain.";
    mount(&server, "PUT", "company.employee/7", ok(json!({"id": 7}))).await;
    mount(&server, "PUT", "company.employee/8", refusal(domain)).await;
    let adapter = open(&server.uri());
    let write = async |whose: &str, above: Option<&str>| {
        let above = above.map(Value::from);
        let attribute = Attribute::Manager;
        adapter.write(whose, attribute, above.as_ref()).await
    };
    for above in [Some("3"), Some("50"), None, Some("")] {
        assert_eq!(write("7", above).await, Ok(()), "{above:?}");
    }
    let rejected = |what: &str| Err(Error::Rejected { what: what.into() });
    for (whose, above) in [("7", "99"), ("7", "Grace"), ("Grace", "3")] {
        let nobody = if whose == "7" { above } else { whose };
        assert_eq!(
            write(whose, Some(above)).await,
            rejected(&format!("has no employee {nobody} any more"))
        );
    }
    for below in ["4", "7"] {
        assert_eq!(
            write("7", Some(below)).await,
            rejected("has the new superior below this person already")
        );
    }
    assert_eq!(
        write("8", Some("31")).await,
        rejected(&format!("refused it: {domain}"))
    );
    let requests = server.received_requests().await.expect("requests");
    let put: Vec<Json> = requests
        .iter()
        .filter(|request| request.method.as_str() == "PUT")
        .map(|request| request.body_json::<Json>().expect("JSON")["supervisor"].clone())
        .collect();
    assert_eq!(
        put,
        [json!(3), json!(50), json!(null), json!(null), json!(31)]
    );
}

#[tokio::test]
async fn money_that_cannot_be_read_is_told_and_never_guessed() {
    let decimal = |text: &str| json!({"__class__": "Decimal", "decimal": text});
    let day = json!({"__class__": "date", "year": 2026, "month": 11, "day": 1});
    let server = tryton(&["company", "account", "account_invoice"], Vec::new(), 10).await;
    let line = |id: i64, party: i64, credit: Json| {
        json!({"id": id, "party": {"id": party}, "company": 1, "write_date": null, "create_date": at(1, 9),
            "date": day, "credit": credit, "move": {"number": format!("M{id}")}})
    };
    let lines = Table {
        rows: vec![line(1, 5, decimal("10.00")), line(2, 6, json!(3.5))],
        cap: 10,
    };
    mount(&server, "GET", "account.move.line", lines).await;
    let invoice = |id: i64, number: Json, currency: &str| {
        json!({"id": id, "party": 5, "company": 1, "number": number, "invoice_date": day, "write_date": null,
        "create_date": at(1, 9), "total_amount": decimal("0.30"), "amount_to_pay": decimal("0.10"),
        "currency": {"code": currency}, "lines_to_pay": [
            {"id": 1, "maturity_date": {"__class__": "date", "year": 2026, "month": 12, "day": 1}, "reconciliation": null},
            {"id": 2, "maturity_date": {"__class__": "date", "year": 2026, "month": 11, "day": 9}, "reconciliation": 4},
        ]})
    };
    let invoices = Table {
        rows: vec![
            invoice(1, json!("INV1"), "EUR"),
            invoice(2, json!(null), "EUR"),
            invoice(3, json!("INV3"), "NOK"),
        ],
        cap: 10,
    };
    mount(&server, "GET", "account.invoice", invoices).await;
    let company = Table {
        rows: vec![json!({"id": 1, "currency": {"code": "EUR"}})],
        cap: 10,
    };
    mount(&server, "GET", "company.company", company).await;
    let methods = Table {
        rows: vec![json!({"id": 1, "name": "Cash", "company": 1})],
        cap: 10,
    };
    mount(&server, "GET", "account.invoice.payment.method", methods).await;
    let party = |id: i64, receivable: Json| {
        json!({"id": id, "name": format!("Client {id}"), "code": id.to_string(), "active": 1, "receivable": receivable,
            "receivable_today": decimal("-4.00"), "customer_payment_term": {"name": "30 days"},
            "contact_mechanisms": [contact("email", "c@cust.test", json!(1)), contact("email", "old@cust.test", json!(0))],
            "write_date": null, "create_date": at(1, 9)})
    };
    let parties = Table {
        rows: vec![party(5, decimal("0.10")), party(6, json!(7.5))],
        cap: 10,
    };
    mount(&server, "GET", "party.party", parties).await;

    let pages: Vec<_> = open(&server.uri())
        .clients(None)
        .try_collect()
        .await
        .expect("a pull");
    let faults: Vec<_> = pages
        .iter()
        .flat_map(|page| &page.faults)
        .map(|fault| format!("{}: {}", fault.place, fault.what))
        .collect();
    assert_eq!(
        faults,
        [
            "account.invoice 2: has no number, day, amount or currency; left out",
            "account.move.line 2: is no payment with a day and an amount",
            "party.party 6: may not be read; left out",
        ]
    );
    let [five, six] = pages[0].clients.as_slice() else {
        panic!("{pages:?}")
    };
    assert_eq!(six.accounts, []);
    assert_eq!(five.emails, ["c@cust.test"]);
    let [euro, krone] = five.accounts.as_slice() else {
        panic!("{five:?}")
    };
    assert_eq!(
        (euro.currency.as_str(), euro.balance.to_string().as_str()),
        ("EUR", "0.10")
    );
    assert_eq!(
        euro.overdue.expect("an amount").to_string(),
        "0",
        "what was paid ahead is not overdue"
    );
    assert_eq!(euro.payment_options, ["Cash"]);
    assert_eq!(euro.terms.as_deref(), Some("30 days"));
    assert_eq!(
        euro.open_items[0].due.expect("a day").to_string(),
        "2026-12-01",
        "a part that was paid is due no more"
    );
    assert_eq!(euro.payments[0].amount.to_string(), "10.00");
    assert_eq!(
        (krone.currency.as_str(), krone.balance.to_string().as_str()),
        ("NOK", "0.10")
    );
    assert_eq!(
        pages.last().expect("a page").watermark.0,
        "2026-11-01T09:00:00.000005"
    );
}

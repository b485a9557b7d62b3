//! OData services forced to fail, and shapes that no service here has. What the
//! adapter does with a real one is asked in `odata_real.rs`.

mod service;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::Engine as _;
use domain::{Attribute, Value};
use erp_adapters::{ClientPage, ErpAdapter, Error, Page, Readable};
use futures::TryStreamExt as _;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{
        body_string_contains, header, headers, method, path, query_param, query_param_contains,
        query_param_is_missing,
    },
};

use service::{faults, names, pull, try_open, workers};

/// A v4 service with a list of people at `People`, and `more` settings.
fn plain(server: &MockServer, more: &[(&str, &str)]) -> Box<dyn ErpAdapter> {
    let url = format!("{}/odata/hr", server.uri());
    let mut settings = vec![("url", url.as_str()), ("people", "People")];
    settings.extend(more);
    let mapping = json!({"worker": [
        {"target": "id", "from": "id"},
        {"target": "displayName", "from": "name"},
        {"target": "unit", "from": "unit"},
        {"target": "changedAt", "from": "changed"},
    ]});
    try_open("odata", &settings, Some(mapping)).expect("an adapter")
}

fn ada() -> Json {
    json!({"id": 1, "name": "Ada", "unit": "Forge", "changed": "2026-05-01T10:00:00Z"})
}

fn grace() -> Json {
    json!({"id": 2, "name": "Grace", "unit": "Sales", "changed": "2026-04-01T10:00:00Z"})
}

fn list(rows: &[Json], next: Option<&str>) -> ResponseTemplate {
    let mut body = json!({"@odata.context": "$metadata#People", "value": rows});
    if let Some(next) = next {
        body["@odata.nextLink"] = json!(next);
    }
    ResponseTemplate::new(200).set_body_json(body)
}

/// Answers `People` by the value of `$skiptoken`, `""` for the first page.
async fn pages(server: &MockServer, pages: &[(&str, ResponseTemplate)]) {
    for (token, answer) in pages {
        let mock = Mock::given(method("GET")).and(path("/odata/hr/People"));
        let mock = match *token {
            "" => mock.and(query_param_is_missing("$skiptoken")),
            token => mock.and(query_param("$skiptoken", token)),
        };
        mock.respond_with(answer.clone()).mount(server).await;
    }
}

#[tokio::test]
async fn pages_are_followed_to_the_last() {
    let server = MockServer::start().await;
    let whole = format!("{}/odata/hr/People?$skiptoken=3", server.uri());
    pages(
        &server,
        &[
            ("", list(&[ada()], Some("People?$skiptoken=2"))),
            ("2", list(&[], Some(&whole))),
            ("3", list(&[grace()], None)),
        ],
    )
    .await;
    let source = plain(&server, &[]);
    let read = pull(&*source, None).await.expect("a pull");
    assert_eq!(names(&read), ["Ada", "Grace"]);
    assert_eq!(faults(&read), Vec::<String>::new());
    let marks: Vec<_> = read.iter().map(|page| page.watermark.0.as_str()).collect();
    // Rows come in no order of time: nothing is safe before the last page.
    assert_eq!(marks, ["", "", "", "2026-05-01T10:00:00Z"]);
    let asked = server.received_requests().await.expect("requests").len();
    let ids = source.worker_ids().await.expect("ids");
    assert_eq!((ids.ids.len(), ids.unreadable), (2, 0));
    let after = server.received_requests().await.expect("requests").len();
    assert_eq!(asked, after, "who was just met is not asked for again");
    assert_eq!(source.worker_ids().await.expect("ids").ids.len(), 2);
    let units = source.units().await.expect("units").units;
    let units: Vec<_> = units.iter().map(|unit| unit.name.as_str()).collect();
    assert_eq!(units, ["Forge", "Sales"]);
}

#[tokio::test]
async fn a_next_link_to_another_host_is_refused_and_not_asked() {
    let server = MockServer::start().await;
    let other = MockServer::start().await;
    let link = format!("{}/odata/hr/People?$skiptoken=2", other.uri());
    for (at, foreign) in [
        link.as_str(),
        "https://evil.example/odata/hr/People",
        "//evil.example/x",
    ]
    .into_iter()
    .enumerate()
    {
        let server = if at == 0 {
            &server
        } else {
            &MockServer::start().await
        };
        pages(server, &[("", list(&[ada()], Some(foreign)))]).await;
        let source = plain(server, &[("token", "s3cret")]);
        let error = pull(&*source, None).await.expect_err("refused");
        assert!(
            matches!(error, Error::NotAllowed { .. }),
            "{foreign}: {error:?}"
        );
        assert!(!error.to_string().contains("s3cret"));
    }
    assert_eq!(other.received_requests().await.expect("requests").len(), 0);
}

#[tokio::test]
async fn a_list_that_leads_back_or_stands_still_ends_with_an_error() {
    let next = |to: &str| format!("People?$skiptoken={to}");
    let server = MockServer::start().await;
    pages(
        &server,
        &[
            ("", list(&[ada()], Some(&next("2")))),
            ("2", list(&[grace()], Some(&next("3")))),
            ("3", list(&[json!({"id": 3})], Some(&next("2")))),
        ],
    )
    .await;
    let error = pull(&*plain(&server, &[]), None)
        .await
        .expect_err("a circle");
    assert!(error.to_string().contains("was read before"), "{error}");
    assert_eq!(server.received_requests().await.expect("requests").len(), 3);

    // Every link is another, and what it gives always the same.
    let server = MockServer::start().await;
    let count = Arc::new(AtomicUsize::new(0));
    let answer = move |_: &Request| {
        let at = count.fetch_add(1, Ordering::Relaxed);
        list(&[ada()], Some(&format!("People?$skiptoken={at}")))
    };
    Mock::given(path("/odata/hr/People"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let error = pull(&*plain(&server, &[]), None)
        .await
        .expect_err("a list without end");
    assert!(error.to_string().contains("again and again"), "{error}");
    assert!(server.received_requests().await.expect("requests").len() < 5);
}

#[tokio::test]
async fn a_page_that_comes_twice_is_taken() {
    let server = MockServer::start().await;
    pages(
        &server,
        &[
            ("", list(&[ada()], Some("People?$skiptoken=2"))),
            ("2", list(&[ada()], Some("People?$skiptoken=3"))),
            ("3", list(&[grace()], None)),
        ],
    )
    .await;
    let source = plain(&server, &[]);
    let read = pull(&*source, None).await.expect("a pull");
    assert_eq!(names(&read), ["Ada", "Ada", "Grace"]);
    assert_eq!(source.worker_ids().await.expect("ids").ids.len(), 2);
}

#[tokio::test]
async fn half_a_page_ends_the_pull() {
    let server = MockServer::start().await;
    let half =
        ResponseTemplate::new(200).set_body_raw(r#"{"value":[{"id":2,"na"#, "application/json");
    pages(
        &server,
        &[
            ("", list(&[ada()], Some("People?$skiptoken=2"))),
            ("2", half),
        ],
    )
    .await;
    let source = plain(&server, &[]);
    let error = pull(&*source, None).await.expect_err("half a page");
    assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
    assert!(error.to_string().contains("breaks off"), "{error}");
    // What was met on the way is not taken for everyone.
    assert!(source.worker_ids().await.is_err());
}

#[tokio::test]
async fn a_connection_that_breaks_off_ends_the_pull() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let mut asked = [0; 4096];
            _ = stream.read(&mut asked).await;
            let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"value\":[{\"id\"";
            _ = stream.write_all(half.as_bytes()).await;
        }
    });
    let url = format!("http://{address}/odata");
    let mapping = json!({"worker": [{"target": "id", "from": "id"}]});
    let source = try_open(
        "odata",
        &[("url", &url), ("people", "People")],
        Some(mapping),
    )
    .expect("an adapter");
    let error = pull(&*source, None).await.expect_err("broken off");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(served.load(Ordering::Relaxed), 4, "tried a few times");
}

#[tokio::test]
async fn a_busy_service_is_waited_for_within_bounds() {
    let server = MockServer::start().await;
    Mock::given(path("/odata/hr/People"))
        .respond_with(ResponseTemplate::new(429).insert_header("retry-after", "0"))
        .up_to_n_times(2)
        .with_priority(1)
        .mount(&server)
        .await;
    pages(&server, &[("", list(&[ada()], None))]).await;
    let read = pull(&*plain(&server, &[]), None).await.expect("a pull");
    assert_eq!(names(&read), ["Ada"]);
    assert_eq!(server.received_requests().await.expect("requests").len(), 3);

    let server = MockServer::start().await;
    let hour = ResponseTemplate::new(503).insert_header("retry-after", "3600");
    Mock::given(path("/odata/hr/People"))
        .respond_with(hour)
        .mount(&server)
        .await;
    let error = pull(&*plain(&server, &[]), None)
        .await
        .expect_err("too long");
    let retry_after = Some(Duration::from_secs(3600));
    assert_eq!(error, Error::RateLimited { retry_after });
    assert_eq!(server.received_requests().await.expect("requests").len(), 1);
}

#[tokio::test]
async fn a_service_that_does_not_page_is_asked_in_pages() {
    let server = MockServer::start().await;
    let rows: Vec<Json> = (0..7)
        .map(|id| json!({"id": id, "name": format!("N{id}")}))
        .collect();
    let answer = move |request: &Request| {
        let query: BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
        assert_eq!(query["$orderby"], "id", "pages without an order overlap");
        let number = |key: &str| {
            query
                .get(key)
                .map_or(0, |text| text.parse::<usize>().expect("a number"))
        };
        let page: Vec<_> = rows
            .iter()
            .skip(number("$skip"))
            .take(number("$top"))
            .cloned()
            .collect();
        list(&page, None)
    };
    Mock::given(path("/odata/hr/People"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let source = plain(&server, &[("page_size", "3")]);
    let read = pull(&*source, None).await.expect("a pull");
    assert_eq!(names(&read), ["N0", "N1", "N2", "N3", "N4", "N5", "N6"]);

    // One that takes no notice of `$skip` is found out before it is believed.
    let server = MockServer::start().await;
    pages(&server, &[("", list(&[ada(), grace()], None))]).await;
    let error = pull(&*plain(&server, &[("page_size", "2")]), None)
        .await
        .expect_err("the same page");
    assert!(
        error.to_string().contains("$skip is not followed"),
        "{error}"
    );
}

/// A row of somebody's job, as EmpJob has them when it is asked itself.
fn job(id: &str, days: (&str, &str), number: u64, title: &str, unit: &str) -> Json {
    let moment = |day: &str| format!("{day}T00:00:00Z");
    json!({"userId": id, "startDate": moment(days.0), "endDate": moment(days.1), "seqNumber": number.to_string(), "jobTitle": title, "department": unit})
}

fn jobs(server: &MockServer) -> Box<dyn ErpAdapter> {
    let mapping = json!({"worker": [
        {"target": "id", "from": "userId"},
        {"target": "displayName", "from": "userId"},
        {"target": "title", "from": "jobTitle"},
        {"target": "unit", "from": "department"},
    ]});
    let url = format!("{}/odata/hr", server.uri());
    let settings = [
        ("url", url.as_str()),
        ("people", "People"),
        ("segments", "records"),
    ];
    try_open("odata", &settings, Some(mapping)).expect("an adapter")
}

#[tokio::test]
async fn of_rows_that_are_the_list_itself_each_person_has_the_one_of_today() {
    let end = "9999-12-31";
    let rows = [
        job(
            "a",
            ("2020-01-01", "2024-12-31"),
            1,
            "Apprentice",
            "Old hall",
        ),
        job("a", ("2025-01-01", end), 1, "Smith", "Forge"),
        job("a", ("2025-01-01", end), 2, "Head smith", "Forge"),
        // Across two pages.
        job("b", ("2020-01-01", "2026-06-01"), 1, "Clerk", "Office"),
        job("b", ("2026-06-02", end), 1, "Head of office", "Office"),
        job("c", ("2026-07-01", end), 1, "Joiner", "Forge"),
        job("d", ("2020-01-01", "2026-05-31"), 1, "Leaver", "Gone"),
    ];
    let serve = async |pages: &[&[Json]]| {
        let server = MockServer::start().await;
        for (at, rows) in pages.iter().enumerate() {
            let next = (at + 1 < pages.len()).then(|| format!("People?$skiptoken={}", at + 1));
            let mut answer = list(rows, next.as_deref());
            let count = pages.iter().map(|page| page.len()).sum::<usize>();
            let mut body = json!({"@odata.count": count, "value": rows});
            if let Some(next) = next {
                body["@odata.nextLink"] = json!(next);
            }
            answer = answer
                .set_body_json(body)
                .insert_header("date", "Tue, 02 Jun 2026 12:00:00 GMT");
            let mock = Mock::given(path("/odata/hr/People"));
            let mock = match at {
                0 => mock
                    .and(query_param("$orderby", "userId,startDate"))
                    .and(query_param_contains("$select", "startDate")),
                at => mock.and(query_param("$skiptoken", at.to_string())),
            };
            mock.respond_with(answer).mount(&server).await;
        }
        server
    };
    let server = serve(&[&rows[..4], &rows[4..]]).await;
    let source = jobs(&server);
    let read = pull(&*source, None).await.expect("a pull");
    let day = |day: &str| Some(day.parse().expect("a day"));
    let people: Vec<_> = workers(&read)
        .into_iter()
        .map(|one| {
            let title = one.text(Attribute::Title).unwrap_or_default();
            (one.external_id.as_str(), title, one.starts_on, one.ends_on)
        })
        .collect();
    assert_eq!(
        people,
        [
            ("a", "Head smith", None, None),
            ("b", "Head of office", None, None),
            ("c", "Joiner", day("2026-07-01"), None),
            ("d", "Leaver", None, day("2026-05-31")),
        ]
    );
    assert_eq!(faults(&read), Vec::<String>::new());
    // Seven rows are counted and four people were met: nothing was withheld.
    let ids = source.worker_ids().await.expect("ids");
    assert_eq!((ids.ids.len(), ids.unreadable), (4, 0));
    // The units are those of today's rows.
    let units = source.units().await.expect("units").units;
    let units: Vec<_> = units.iter().map(|unit| unit.name.as_str()).collect();
    assert_eq!(units, ["Forge", "Gone", "Office"]);
    // A row begins to count without a change, so a later run asks for all again.
    let later = pull(&*source, Some("2026-06-01T00:00:00Z")).await;
    assert_eq!(names(&later.expect("a pull")).len(), 4);

    // A service that takes no notice of the order is found out before it is believed.
    let mixed = [rows[0].clone(), rows[3].clone(), rows[1].clone()];
    let server = serve(&[&mixed]).await;
    let error = pull(&*jobs(&server), None).await.expect_err("no order");
    assert_eq!(
        error.to_string(),
        "People: the rows are not in the order of ids: those of a stand apart"
    );
}

#[tokio::test]
async fn a_list_that_was_cut_is_gone_on_with_and_never_taken_for_whole() {
    let server = MockServer::start().await;
    let counted = |rows: &[Json]| {
        ResponseTemplate::new(200).set_body_json(json!({"@odata.count": 3, "value": rows}))
    };
    let on = |skip: &str| Mock::given(path("/odata/hr/People")).and(query_param("$skip", skip));
    Mock::given(path("/odata/hr/People"))
        .and(query_param_is_missing("$skip"))
        .respond_with(counted(&[ada()]))
        .mount(&server)
        .await;
    on("1")
        .respond_with(counted(&[grace()]))
        .mount(&server)
        .await;
    on("2").respond_with(counted(&[])).mount(&server).await;
    let source = plain(&server, &[]);
    let read = pull(&*source, None).await.expect("a pull");
    assert_eq!(names(&read), ["Ada", "Grace"]);
    assert_eq!(
        faults(&read),
        ["People: the source counts 1 more records than it gave; nobody is taken to be gone"]
    );
    let ids = source.worker_ids().await.expect("ids");
    assert_eq!((ids.ids.len(), ids.unreadable), (2, 1));
}

#[tokio::test]
async fn a_mapping_to_a_missing_field_is_one_finding() {
    let server = MockServer::start().await;
    let refused = json!({"error": {"code": "400", "message": "Property \"unit\" does not exist"}});
    Mock::given(path("/odata/hr/People"))
        .and(query_param_contains("$select", "unit"))
        .respond_with(ResponseTemplate::new(400).set_body_json(refused))
        .with_priority(1)
        .mount(&server)
        .await;
    let without =
        |id: u64| json!({"id": id, "name": format!("N{id}"), "changed": "2026-05-01T10:00:00Z"});
    pages(&server, &[("", list(&[without(1), without(2)], None))]).await;
    let read = pull(&*plain(&server, &[]), None).await.expect("a pull");
    assert_eq!(names(&read), ["N1", "N2"]);
    assert_eq!(
        faults(&read),
        ["People: the mapping reads it from “unit”, which none of 2 records has"]
    );
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_a_fault_beside_the_others() {
    let server = MockServer::start().await;
    let rows = [
        json!({"id": "", "name": "Nobody"}),
        json!(7),
        json!({"id": 3, "name": "x".repeat(300)}),
        ada(),
    ];
    pages(&server, &[("", list(&rows, None))]).await;
    let source = plain(&server, &[]);
    let read = pull(&*source, None).await.expect("a pull");
    assert_eq!(names(&read), ["3", "Ada"]);
    insta::assert_snapshot!(faults(&read).join("\n"), @"
    People, record 1: is empty; without it nobody can be told apart; left out
    People, record 2: is empty; without it nobody can be told apart; left out
    People 3: is 300 long, at most 120 is taken; left out
    ");
    assert_eq!(source.worker_ids().await.expect("ids").unreadable, 2);
}

#[tokio::test]
async fn only_what_changed_is_asked_for_by_the_time_in_its_own_form() {
    for (version, changed, filter) in [
        (
            "v4",
            "2026-05-01T10:00:00Z",
            "changed ge 2026-05-01T09:50:00Z",
        ),
        ("v4", "2026-05-01", "changed ge 2026-04-30"),
        (
            "v2",
            "/Date(1777629600000+0000)/",
            "changed ge datetimeoffset'2026-05-01T09:50:00Z'",
        ),
        (
            "v2",
            "/Date(1777629600000)/",
            "changed ge datetime'2026-05-01T09:50:00'",
        ),
    ] {
        let server = MockServer::start().await;
        let rows = json!([{"id": 1, "name": "Ada", "changed": changed}]);
        let body = if version == "v4" {
            json!({"value": rows})
        } else {
            json!({"d": {"results": rows}})
        };
        Mock::given(path("/odata/hr/People"))
            .respond_with(ResponseTemplate::new(200).set_body_json(body))
            .mount(&server)
            .await;
        let source = plain(
            &server,
            &[("version", version), ("people_filter", "name ne 'x'")],
        );
        let read = pull(&*source, None).await.expect("a pull");
        let mark = read.last().expect("a page").watermark.0.clone();
        let read = pull(&*source, Some(&mark)).await.expect("a delta");
        assert_eq!(read.last().expect("a page").watermark.0, mark);
        let asked = server.received_requests().await.expect("requests");
        let query: BTreeMap<_, _> = asked[1].url.query_pairs().into_owned().collect();
        assert_eq!(query["$filter"], format!("(name ne 'x') and {filter}"));
        let first: BTreeMap<_, _> = asked[0].url.query_pairs().into_owned().collect();
        assert_eq!(first["$filter"], "name ne 'x'");
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_hides_nothing() {
    let server = MockServer::start().await;
    let ahead = json!({"id": 3, "name": "Ahead", "changed": "2099-01-01T00:00:00Z"});
    let answer = list(&[ada(), ahead], None).insert_header("date", "Tue, 02 Jun 2026 12:00:00 GMT");
    pages(&server, &[("", answer)]).await;
    let read = pull(&*plain(&server, &[]), None).await.expect("a pull");
    assert_eq!(
        read.last().expect("a page").watermark.0,
        "2026-06-02T12:00:00Z"
    );
}

#[tokio::test]
async fn changes_are_read_by_link_until_the_link_dies() {
    let server = MockServer::start().await;
    let answer = |rows: Json, token: &str| {
        let link = format!("{}/odata/hr/People?$deltatoken={token}", server.uri());
        ResponseTemplate::new(200).set_body_json(json!({"value": rows, "@odata.deltaLink": link}))
    };
    let on = |token: Option<&str>| {
        let mock = Mock::given(path("/odata/hr/People"));
        match token {
            Some(token) => mock.and(query_param("$deltatoken", token)),
            None => mock.and(query_param_is_missing("$deltatoken")).and(headers(
                "prefer",
                vec!["odata.maxpagesize=1000", "odata.track-changes"],
            )),
        }
    };
    on(None)
        .respond_with(answer(json!([ada(), grace()]), "a"))
        .mount(&server)
        .await;
    let removed = json!({"@odata.context": "x#People/$deletedEntity", "id": 2});
    on(Some("a"))
        .respond_with(answer(
            json!([json!({"id": 1, "name": "Ada L."}), removed]),
            "b",
        ))
        .mount(&server)
        .await;
    on(Some("b"))
        .respond_with(ResponseTemplate::new(410))
        .mount(&server)
        .await;
    // Ids are read without asking for links to changes.
    Mock::given(path("/odata/hr/People"))
        .and(query_param("$select", "id"))
        .respond_with(list(&[json!({"id": 1}), json!({"id": 2})], None))
        .mount(&server)
        .await;
    let source = plain(&server, &[("track", "yes")]);
    let mark = |pages: &[Page]| pages.last().expect("a page").watermark.0.clone();
    let all = pull(&*source, None).await.expect("a pull");
    assert_eq!(mark(&all), "changes:/odata/hr/People?$deltatoken=a");
    let changed = pull(&*source, Some(&mark(&all))).await.expect("changes");
    assert_eq!(names(&changed), ["Ada L."]);
    assert_eq!(mark(&changed), "changes:/odata/hr/People?$deltatoken=b");
    // Who did not change is still there.
    assert_eq!(source.worker_ids().await.expect("ids").ids.len(), 2);
    let again = pull(&*source, Some(&mark(&changed)))
        .await
        .expect("all again");
    assert_eq!(names(&again), ["Ada", "Grace"]);
    assert_eq!(mark(&again), "changes:/odata/hr/People?$deltatoken=a");
    assert_eq!(source.worker_ids().await.expect("ids").ids.len(), 2);
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_when_it_is_refused() {
    let server = MockServer::start().await;
    let given = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&given);
    let grant = move |request: &Request| {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        assert_eq!(
            form,
            "grant_type=client_credentials&client_id=me&client_secret=s%26cret&scope=all%20of%20it"
        );
        let at = count.fetch_add(1, Ordering::Relaxed);
        ResponseTemplate::new(200)
            .set_body_json(json!({"access_token": format!("t{at}"), "expires_in": "3600"}))
    };
    Mock::given(method("POST"))
        .and(path("/oauth/token"))
        .respond_with(grant)
        .mount(&server)
        .await;
    Mock::given(path("/odata/hr/People"))
        .and(header("authorization", "Bearer t0"))
        .respond_with(list(&[ada()], None))
        .up_to_n_times(2)
        .mount(&server)
        .await;
    Mock::given(path("/odata/hr/People"))
        .and(header("authorization", "Bearer t1"))
        .respond_with(list(&[grace()], None))
        .mount(&server)
        .await;
    Mock::given(path("/odata/hr/People"))
        .respond_with(ResponseTemplate::new(401))
        .with_priority(9)
        .mount(&server)
        .await;
    let token_url = format!("{}/oauth/token", server.uri());
    let keys = [
        ("token_url", token_url.as_str()),
        ("client_id", "me"),
        ("client_secret", "s&cret"),
        ("scope", "all of it"),
    ];
    let source = plain(&server, &keys);
    for name in ["Ada", "Ada", "Grace"] {
        assert_eq!(names(&pull(&*source, None).await.expect("a pull")), [name]);
    }
    assert_eq!(given.load(Ordering::Relaxed), 2);

    let server = MockServer::start().await;
    Mock::given(path("/oauth/token"))
        .respond_with(ResponseTemplate::new(400))
        .mount(&server)
        .await;
    let token_url = format!("{}/oauth/token", server.uri());
    let keys = [
        ("token_url", token_url.as_str()),
        ("client_id", "me"),
        ("client_secret", "s&cret"),
    ];
    let error = pull(&*plain(&server, &keys), None)
        .await
        .expect_err("no token");
    assert_eq!(error, Error::Unauthorized);
}

#[tokio::test]
async fn a_token_is_fetched_for_a_signed_assertion_dated_by_the_services_clock() {
    let server = MockServer::start().await;
    // A clock that is years off is the one that counts.
    let clock = ResponseTemplate::new(405).insert_header("date", "Tue, 02 Jun 2020 12:00:00 GMT");
    Mock::given(method("GET"))
        .and(path("/oauth/token"))
        .respond_with(clock)
        .mount(&server)
        .await;
    let grant = |request: &Request| {
        let form: BTreeMap<_, _> = reqwest::Url::parse(&format!(
            "http://form/?{}",
            String::from_utf8_lossy(&request.body)
        ))
        .expect("a form")
        .query_pairs()
        .into_owned()
        .collect();
        assert_eq!(form["company_id"], "NF");
        assert_eq!(form["client_id"], "api-key");
        let kind = "urn:ietf:params:oauth:grant-type:saml2-bearer";
        assert_eq!(form["grant_type"], kind);
        let xml = base64::engine::general_purpose::STANDARD.decode(&form["assertion"]);
        let xml = String::from_utf8(xml.expect("base64")).expect("text");
        for part in [
            "IssueInstant=\"2020-06-02T12:00:00Z\"",
            "NotOnOrAfter=\"2020-06-02T12:05:00Z\"",
            ">sfadmin</saml:NameID>",
            "<ds:SignatureValue>",
        ] {
            assert!(xml.contains(part), "{part} in {xml}");
        }
        ResponseTemplate::new(200).set_body_json(
            json!({"access_token": "t0", "token_type": "Bearer", "expires_in": 86399}),
        )
    };
    Mock::given(method("POST"))
        .and(path("/oauth/token"))
        .respond_with(grant)
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(path("/odata/hr/People"))
        .and(header("authorization", "Bearer t0"))
        .respond_with(list(&[ada()], None))
        .mount(&server)
        .await;
    let token_url = format!("{}/oauth/token", server.uri());
    let keys = [
        ("token_url", token_url.as_str()),
        ("client_id", "api-key"),
        ("private_key", include_str!("service/saml-key.pem")),
        ("api_user", "sfadmin"),
        ("company", "NF"),
    ];
    let source = plain(&server, &keys);
    for _ in 0..2 {
        assert_eq!(names(&pull(&*source, None).await.expect("a pull")), ["Ada"]);
    }
}

#[tokio::test]
async fn a_wrong_key_and_missing_rights_are_told_apart() {
    let server = MockServer::start().await;
    pages(&server, &[("", ResponseTemplate::new(401))]).await;
    assert_eq!(
        pull(&*plain(&server, &[]), None).await,
        Err(Error::Unauthorized)
    );
    let server = MockServer::start().await;
    pages(&server, &[("", ResponseTemplate::new(403))]).await;
    let what = "People".to_owned();
    assert_eq!(
        pull(&*plain(&server, &[]), None).await,
        Err(Error::Forbidden { what })
    );
}

#[tokio::test]
async fn a_value_is_written_into_its_field_alone() {
    for (version, verb) in [("v4", "PATCH"), ("v2", "POST")] {
        let server = MockServer::start().await;
        Mock::given(method(verb))
            .and(path("/odata/hr/People('o''neil')"))
            .and(header("if-match", "*"))
            .respond_with(ResponseTemplate::new(204))
            .mount(&server)
            .await;
        let source = plain(&server, &[("version", version)]);
        assert_eq!(source.writable(), [Attribute::DisplayName]);
        let value = Value::from("Grace O'Neil");
        source
            .write("o'neil", Attribute::DisplayName, Some(&value))
            .await
            .expect("written");
        let asked = server.received_requests().await.expect("requests");
        assert_eq!(
            asked[0].body_json::<Json>().expect("JSON"),
            json!({"name": "Grace O'Neil"})
        );
        let merge = asked[0]
            .headers
            .get("x-http-method")
            .map(|value| value.as_bytes());
        assert_eq!(merge, (version == "v2").then_some(b"MERGE".as_slice()));
        let refused = source.write("o'neil", Attribute::Title, Some(&value)).await;
        assert!(
            matches!(refused, Err(Error::Forbidden { .. })),
            "{refused:?}"
        );
        let gone = source
            .write("nobody", Attribute::DisplayName, Some(&value))
            .await;
        assert!(matches!(gone, Err(Error::Rejected { .. })), "{gone:?}");
        let asked = server.received_requests().await.expect("requests").len();
        assert_eq!(asked, 2, "a write is not tried again by itself");
    }
}

#[tokio::test]
async fn a_gateway_that_wants_a_token_against_forgery_gets_it() {
    let server = MockServer::start().await;
    let person = || Mock::given(method("PATCH")).and(path("/odata/hr/People('1')"));
    person()
        .and(header("x-csrf-token", "abc"))
        .and(header("cookie", "sid=1; lb=2"))
        .respond_with(ResponseTemplate::new(204))
        .mount(&server)
        .await;
    let required = ResponseTemplate::new(403).insert_header("x-csrf-token", "Required");
    person()
        .respond_with(required)
        .with_priority(9)
        .mount(&server)
        .await;
    let given = ResponseTemplate::new(200)
        .insert_header("x-csrf-token", "abc")
        .append_header("set-cookie", "sid=1; Path=/; HttpOnly")
        .append_header("set-cookie", "lb=2; Secure");
    Mock::given(path("/odata/hr/"))
        .and(header("x-csrf-token", "fetch"))
        .respond_with(given)
        .mount(&server)
        .await;
    let source = plain(&server, &[]);
    let value = Value::from("Ada");
    source
        .write("1", Attribute::DisplayName, Some(&value))
        .await
        .expect("written");
    // One that refuses for another reason is asked once.
    let server = MockServer::start().await;
    Mock::given(method("PATCH"))
        .respond_with(ResponseTemplate::new(403))
        .mount(&server)
        .await;
    let refused = plain(&server, &[])
        .write("1", Attribute::DisplayName, Some(&value))
        .await;
    assert!(
        matches!(refused, Err(Error::Forbidden { .. })),
        "{refused:?}"
    );
    assert_eq!(server.received_requests().await.expect("requests").len(), 1);
}

#[tokio::test]
async fn lists_are_counted_in_one_trip_where_the_service_takes_batches() {
    let mapping = || {
        json!({
            "worker": [{"target": "id", "from": "id"}, {"target": "title", "from": "job"}],
            "unit": [{"target": "id", "from": "code"}],
        })
    };
    let open_at = |server: &MockServer, version: &str| {
        let url = format!("{}/odata/hr", server.uri());
        let settings = [
            ("url", url.as_str()),
            ("people", "People"),
            ("units", "Units"),
            ("version", version),
        ];
        try_open("odata", &settings, Some(mapping())).expect("an adapter")
    };
    let v2 = "--x\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\n57\r\n--x\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n\r\n--x--";
    let v4 = json!({"responses": [{"id": "0", "status": 200, "body": "57"}, {"id": "1", "status": 403}]}).to_string();
    for (version, answer) in [("v2", v2.to_owned()), ("v4", v4)] {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/odata/hr/$batch"))
            .and(body_string_contains("People/$count"))
            .respond_with(ResponseTemplate::new(202).set_body_string(answer))
            .mount(&server)
            .await;
        let rows = json!([{"id": 1}]);
        let body = if version == "v4" {
            json!({"value": rows})
        } else {
            json!({"d": {"results": rows}})
        };
        Mock::given(path("/odata/hr/People"))
            .respond_with(ResponseTemplate::new(200).set_body_json(body))
            .mount(&server)
            .await;
        let probe = open_at(&server, version).probe().await.expect("a probe");
        assert_eq!((probe.people, probe.units), (57, 0));
        let said: Vec<_> = probe
            .access
            .iter()
            .map(|one| (one.readable, one.note.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                (Readable::Reduced, "No record that was looked at has job."),
                (
                    Readable::No,
                    "Not readable: the key gives no right to Units."
                ),
                (
                    Readable::No,
                    "The mapping has no field for them: another source has to say who leads whom."
                ),
            ]
        );
        assert_eq!(server.received_requests().await.expect("requests").len(), 2);
    }
    // Without batches, one question each.
    let server = MockServer::start().await;
    for (list, count) in [("People", "5"), ("Units", "\u{feff}2")] {
        Mock::given(path(format!("/odata/hr/{list}/$count")))
            .respond_with(ResponseTemplate::new(200).set_body_string(count))
            .mount(&server)
            .await;
    }
    pages(
        &server,
        &[("", list(&[json!({"id": 1, "job": "x"})], None))],
    )
    .await;
    let probe = open_at(&server, "v4").probe().await.expect("a probe");
    assert_eq!((probe.people, probe.units), (5, 2));
}

#[tokio::test]
async fn photos_come_as_bytes_or_as_base64() {
    let server = MockServer::start().await;
    Mock::given(path("/odata/hr/People(1)/photo"))
        .respond_with(ResponseTemplate::new(200).set_body_bytes([0xff, 0xd8]))
        .mount(&server)
        .await;
    let wrapped = json!({"d": {"photo": "/9g="}});
    Mock::given(path("/odata/hr/Photo('1')"))
        .respond_with(ResponseTemplate::new(200).set_body_json(wrapped))
        .mount(&server)
        .await;
    pages(&server, &[("", list(&[ada()], None))]).await;
    for photo in [
        vec![("photo", "People({id})/photo")],
        vec![("photo", "Photo('{id}')"), ("photo_at", "/d/photo")],
    ] {
        let source = plain(&server, &photo);
        let bytes = source
            .photo("1")
            .await
            .expect("an answer")
            .map(|photo| photo.bytes);
        assert_eq!(bytes, Some(vec![0xff, 0xd8]));
        assert_eq!(source.photo("2").await.expect("an answer"), None);
        let read = pull(&*source, None).await.expect("a pull");
        assert_eq!(
            workers(&read)[0].photo.as_deref(),
            Some("2026-05-01T10:00:00Z")
        );
    }
}

#[tokio::test]
async fn a_source_can_be_looked_at_before_it_has_a_mapping() {
    let server = MockServer::start().await;
    let answer = |request: &Request| {
        let skip = request.url.query_pairs().find(|(key, _)| key == "$skip");
        let skip: usize = skip.map_or(0, |(_, at)| at.parse().expect("a number"));
        let rows: Vec<_> = (skip..9).take(2).map(|id| json!({"id": id})).collect();
        list(&rows, None)
    };
    Mock::given(path("/odata/hr/People"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let url = format!("{}/odata/hr", server.uri());
    let settings = [
        ("url", url.as_str()),
        ("people", "People"),
        ("page_size", "2"),
    ];
    let mapping = serde_json::to_value(erp_adapters::unmapped()).expect("JSON");
    let source = try_open("odata", &settings, Some(mapping)).expect("an adapter");
    let samples = source.sample(8).await.expect("samples");
    assert_eq!(samples.len(), 8);
    assert_eq!(samples[7].record, json!({"id": 7}));
    let asked = server.received_requests().await.expect("requests");
    let query = asked[0].url.query().expect("a query");
    assert!(
        !query.contains("$select") && !query.contains("$orderby"),
        "{query}"
    );
}

#[tokio::test]
async fn what_cannot_be_right_is_refused_before_anything_is_read() {
    let said = |settings: &[(&str, &str)], mapping: Json| {
        let mut all = vec![("url", "https://erp.example/odata")];
        all.extend(settings);
        try_open("odata", &all, Some(mapping))
            .expect_err("refused")
            .to_string()
    };
    let id = || json!({"worker": [{"target": "id", "from": "id"}]});
    assert!(said(&[], id()).starts_with("people is needed"));
    assert!(said(&[("people", "P"), ("version", "v3")], id()).starts_with("version must be"));
    assert!(said(&[("people", "P"), ("page_size", "0")], id()).starts_with("page_size must be"));
    assert!(
        said(&[("people", "P"), ("clients", "C")], id()).starts_with("client_fields is needed")
    );
    assert!(said(&[("preset", "business-central")], id()).starts_with("company is needed"));
    let units = json!({"worker": [{"target": "id", "from": "id"}], "unit": [{"target": "id", "from": "id"}]});
    assert!(said(&[("people", "P")], units).starts_with("units is needed"));
}

// Shapes of services that cannot be run here, from their documentation.

#[tokio::test]
async fn business_central_as_documented() {
    let server = MockServer::start().await;
    let url = format!("{}/v2.0/tenant/production/api/v2.0", server.uri());
    let below = |list: &str| format!("/v2.0/tenant/production/api/v2.0/companies(c1)/{list}");
    let employees = json!({
        "@odata.context": "x/$metadata#companies(c1)/employees",
        "value": [{
            "@odata.etag": "W/\"1\"", "id": "5e0cd04f", "number": "EH", "displayName": "Ester Henderson", "givenName": "Ester", "middleName": "",
            "surname": "Henderson", "jobTitle": "Sales Manager", "phoneNumber": "", "mobilePhone": "+44 20 7946 0001", "email": "eh@cronus.example",
            "employmentDate": "2001-06-01", "terminationDate": "0001-01-01", "status": "Active", "lastModifiedDateTime": "2026-02-10T04:24:11.337Z",
        }, {
            "id": "6a1", "number": "OF", "displayName": "Otto Falk", "givenName": "Otto", "surname": "Falk", "jobTitle": "", "phoneNumber": "",
            "mobilePhone": "", "email": "", "employmentDate": "0001-01-01", "terminationDate": "2025-12-31", "status": "Terminated",
            "lastModifiedDateTime": "2026-01-10T04:24:11.337Z",
        }],
        "@odata.deltaLink": "companies(c1)/employees?aid=FIN&$deltatoken=1",
    });
    Mock::given(path(below("employees")))
        .and(headers(
            "prefer",
            vec!["odata.maxpagesize=1000", "odata.track-changes"],
        ))
        .respond_with(ResponseTemplate::new(200).set_body_json(employees))
        .mount(&server)
        .await;
    let customers = json!({"value": [{
        "id": "f2a5", "number": "10000", "displayName": "Adatum Corporation", "email": "robert@contoso.example", "phoneNumber": "", "blocked": "_x0020_",
        "currencyCode": "", "balanceDue": "0", "creditLimit": "0", "lastModifiedDateTime": "2026-02-10T04:24:11.337Z",
        "paymentTerm": {"code": "1M(8D)", "displayName": "1 Month/2% 8 days"}, "paymentMethod": {"displayName": "Bank"},
        "customerFinancialDetail": {"balance": "1234.50", "totalSalesExcludingTax": "0", "overdueAmount": "34.50"},
    }]});
    Mock::given(path(below("customers")))
        .and(query_param_contains(
            "$expand",
            "customerFinancialDetail($select=balance,overdueAmount)",
        ))
        .respond_with(ResponseTemplate::new(200).set_body_json(customers))
        .mount(&server)
        .await;
    let settings = [
        ("url", url.as_str()),
        ("preset", "business-central"),
        ("company", "c1"),
        ("currency", "GBP"),
    ];
    let source = try_open("odata", &settings, None).expect("an adapter");
    let read = pull(&*source, None).await.expect("a pull");
    insta::assert_json_snapshot!(
        "business_central_people",
        (
            workers(&read),
            faults(&read),
            &read.last().expect("a page").watermark
        )
    );
    let clients: Vec<ClientPage> = source.clients(None).try_collect().await.expect("clients");
    insta::assert_json_snapshot!("business_central_clients", clients[0].clients);
}

#[tokio::test]
async fn finance_and_operations_as_documented() {
    let server = MockServer::start().await;
    let next = format!(
        "{}/data/EmployeesV2?cross-company=true&$skiptoken=2",
        server.uri()
    );
    let first = json!({"@odata.context": "x", "value": [{"@odata.etag": "W/1", "PersonnelNumber": "000001", "Name": "Julia Funderburk",
        "FirstName": "Julia", "LastName": "Funderburk", "EmploymentStartDate": "2010-01-01T12:00:00Z", "EmploymentEndDate": "2154-12-31T12:00:00Z",
        "PrimaryContactEmail": "julia@contoso.example", "PrimaryContactPhone": "+1 425 555 0100"}], "@odata.nextLink": next});
    let page = |body: Json| ResponseTemplate::new(200).set_body_json(body);
    Mock::given(path("/data/EmployeesV2"))
        .and(query_param("cross-company", "true"))
        .and(query_param_is_missing("$skiptoken"))
        .respond_with(page(first))
        .mount(&server)
        .await;
    Mock::given(path("/data/EmployeesV2"))
        .and(query_param("cross-company", "true"))
        .and(query_param("$skiptoken", "2"))
        .respond_with(page(
            json!({"value": [{"PersonnelNumber": "000002", "Name": "Karl"}]}),
        ))
        .mount(&server)
        .await;
    let url = format!("{}/data", server.uri());
    let source = try_open(
        "odata",
        &[("url", &url), ("preset", "finance-operations")],
        None,
    )
    .expect("an adapter");
    let read = pull(&*source, None).await.expect("a pull");
    insta::assert_json_snapshot!("finance_and_operations", (workers(&read), faults(&read)));
}

#[tokio::test]
async fn s4hana_as_documented() {
    let server = MockServer::start().await;
    let answer = |request: &Request| {
        let query: BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
        let rows = match (query["$filter"].as_str(), query.get("$skip")) {
            ("BusinessPartnerCategory eq '2'", None) => json!([{
                "__metadata": {"type": "API_BUSINESS_PARTNER.A_BusinessPartnerType"},
                "BusinessPartner": "1000", "BusinessPartnerFullName": "Adatum GmbH", "Customer": "1000",
                "BusinessPartnerIsBlocked": true, "LastChangeDate": "/Date(1759276800000)/", "to_Customer": {"__deferred": {"uri": "x"}},
            }]),
            _ => json!([]),
        };
        ResponseTemplate::new(200).set_body_json(json!({"d": {"__count": "1", "results": rows}}))
    };
    Mock::given(path(
        "/sap/opu/odata/sap/API_BUSINESS_PARTNER/A_BusinessPartner",
    ))
    .respond_with(answer)
    .mount(&server)
    .await;
    let url = format!("{}/sap/opu/odata/sap/API_BUSINESS_PARTNER", server.uri());
    let source = try_open(
        "odata",
        &[
            ("url", &url),
            ("preset", "s4hana"),
            ("query", "sap-client=100"),
        ],
        None,
    )
    .expect("an adapter");
    let clients: Vec<ClientPage> = source.clients(None).try_collect().await.expect("clients");
    insta::assert_json_snapshot!("s4hana_clients", clients[0].clients);
    let mark = clients.last().expect("a page").watermark.clone();
    assert_eq!(mark.0, "2025-10-01T00:00:00");
    let asked = server.received_requests().await.expect("requests");
    assert!(asked.iter().all(|one| {
        one.url
            .query()
            .is_some_and(|query| query.ends_with("sap-client=100"))
    }));
}

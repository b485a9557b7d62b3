//! REST services of every paging style, forced to fail, and the shapes of the
//! presets. Those come from the products' documentation: nobody here could call one.

mod service;

use std::{collections::BTreeMap, time::Duration};

use erp_adapters::{ErpAdapter, Error, Readable};
use serde_json::{Value as Json, json};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{body_json, header, method, path, query_param},
};

use service::{faults, names, pull, try_open, workers};

fn mapping() -> Json {
    json!({"worker": [
        {"target": "id", "from": "/ref/id"},
        {"target": "displayName", "from": "name"},
        {"target": "unit", "from": "unit"},
        {"target": "changedAt", "from": "changed"},
    ]})
}

/// A service with people at `people` of `/data`, and `more` settings.
fn service(server: &MockServer, more: &[(&str, &str)]) -> Box<dyn ErpAdapter> {
    let url = format!("{}/api", server.uri());
    let mut settings = vec![
        ("url", url.as_str()),
        ("people", "people"),
        ("people_at", "/data"),
    ];
    settings.extend(more);
    try_open("rest", &settings, Some(mapping())).expect("an adapter")
}

fn people(count: u64) -> Vec<Json> {
    let one = |id: u64| json!({"ref": {"id": id}, "name": format!("N{id}"), "unit": format!("U{}", id % 2)});
    (0..count).map(one).collect()
}

fn parameters(request: &Request) -> BTreeMap<String, String> {
    request.url.query_pairs().into_owned().collect()
}

async fn serve(
    server: &MockServer,
    answer: impl Fn(&BTreeMap<String, String>) -> ResponseTemplate + Send + Sync + 'static,
) {
    Mock::given(path("/api/people"))
        .respond_with(move |request: &Request| answer(&parameters(request)))
        .mount(server)
        .await;
}

fn page(body: Json) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

async fn asked(server: &MockServer) -> usize {
    server.received_requests().await.expect("requests").len()
}

#[tokio::test]
async fn every_style_of_paging_comes_to_its_end() {
    let number = |parameters: &BTreeMap<String, String>, key: &str, missing: usize| {
        parameters
            .get(key)
            .map_or(missing, |text| text.parse().expect("a number"))
    };
    let slice = |from: usize| -> Vec<Json> { people(7).into_iter().skip(from).take(3).collect() };

    let by_page = MockServer::start().await;
    serve(&by_page, move |asked| {
        assert_eq!(asked["per_page"], "3");
        page(json!({"data": slice((number(asked, "page", 9) - 1) * 3)}))
    })
    .await;
    // The service that says 404 after the last page, and counts from 0.
    let from_zero = MockServer::start().await;
    serve(&from_zero, move |asked| {
        match slice(number(asked, "p", 9) * 3) {
            rows if rows.is_empty() => ResponseTemplate::new(404),
            rows => page(json!({"data": rows})),
        }
    })
    .await;
    let by_offset = MockServer::start().await;
    serve(&by_offset, move |asked| {
        page(json!({"total": 7, "data": slice(number(asked, "offset", 9))}))
    })
    .await;
    let by_cursor = MockServer::start().await;
    serve(&by_cursor, move |asked| {
        let at = number(asked, "cursor", 0);
        let next = if at < 6 {
            json!((at + 3).to_string())
        } else {
            json!(null)
        };
        page(json!({"data": slice(at), "meta": {"next": next}}))
    })
    .await;
    let by_next = MockServer::start().await;
    let whole = by_next.uri();
    serve(&by_next, move |asked| {
        let at = number(asked, "at", 0);
        let next = match at {
            0 => json!("people?at=3"),
            3 => json!(format!("{whole}/api/people?at=6")),
            _ => json!(""),
        };
        page(json!({"data": slice(at), "next": next}))
    })
    .await;
    let by_link = MockServer::start().await;
    serve(&by_link, move |asked| {
        let at = number(asked, "at", 0);
        let answer = page(json!({"data": slice(at)}));
        match at {
            6 => answer,
            at => answer.insert_header(
                "link",
                format!("<people?at={}>; rel=\"next\", <x>; rel=\"last\"", at + 3).as_str(),
            ),
        }
    })
    .await;
    let in_one = MockServer::start().await;
    serve(&in_one, move |asked| {
        assert!(asked.is_empty(), "{asked:?}");
        page(json!({"data": people(7)}))
    })
    .await;

    for (server, settings, questions) in [
        (
            &by_page,
            vec![
                ("paging", "page"),
                ("size_param", "per_page"),
                ("page_size", "3"),
            ],
            4,
        ),
        (
            &from_zero,
            vec![("paging", "page"), ("page_param", "p"), ("first_page", "0")],
            4,
        ),
        (
            &by_offset,
            vec![
                ("paging", "offset"),
                ("page_size", "3"),
                ("total_at", "/total"),
            ],
            3,
        ),
        (
            &by_cursor,
            vec![("paging", "cursor"), ("next_at", "/meta/next")],
            3,
        ),
        (&by_next, vec![("paging", "next"), ("next_at", "/next")], 3),
        (&by_link, vec![("paging", "link")], 3),
        (&in_one, vec![("paging", "none"), ("page_size", "3")], 1),
    ] {
        let source = service(server, &settings);
        let read = pull(&*source, None).await.expect("a pull");
        assert_eq!(
            names(&read),
            ["N0", "N1", "N2", "N3", "N4", "N5", "N6"],
            "{settings:?}"
        );
        assert_eq!(asked(server).await, questions, "{settings:?}");
        let ids = source.worker_ids().await.expect("ids");
        assert_eq!((ids.ids.len(), ids.unreadable), (7, 0), "{settings:?}");
        assert_eq!(
            asked(server).await,
            questions,
            "who was just met is not asked for again"
        );
        let units = source.units().await.expect("units").units;
        assert_eq!(
            units
                .iter()
                .map(|unit| unit.name.as_str())
                .collect::<Vec<_>>(),
            ["U0", "U1"]
        );
    }
}

#[tokio::test]
async fn a_list_that_stands_still_or_leads_back_ends_with_an_error() {
    let refused = async |settings: &[(&str, &str)], body: Json| {
        let server = MockServer::start().await;
        serve(&server, move |_| page(body.clone())).await;
        let error = pull(&*service(&server, settings), None)
            .await
            .expect_err("an error");
        assert!(asked(&server).await <= 3);
        error.to_string()
    };
    // A service that takes no notice of the parameter gives the first page for ever.
    let same = json!({"data": people(3)});
    assert!(
        refused(&[("paging", "page")], same.clone())
            .await
            .contains("page is not followed")
    );
    assert!(
        refused(&[("paging", "offset")], same)
            .await
            .contains("offset is not followed")
    );
    let back = json!({"data": people(3), "next": "c1"});
    assert!(
        refused(&[("paging", "cursor"), ("next_at", "/next")], back)
            .await
            .contains("was read before")
    );
    let back = json!({"data": people(3), "next": "people"});
    assert!(
        refused(&[("paging", "next"), ("next_at", "/next")], back)
            .await
            .contains("was read before")
    );
    let away = json!({"data": people(3), "next": "https://evil.example/api/people"});
    assert!(
        refused(&[("paging", "next"), ("next_at", "/next")], away)
            .await
            .contains("evil.example is refused")
    );
    let none = json!({"people": []});
    assert_eq!(refused(&[], none).await, "people: /data is not a list");
}

#[tokio::test]
async fn half_an_answer_and_a_page_of_html_end_the_pull() {
    for (body, said) in [
        (r#"{"data":[{"ref":{"#, "breaks off"),
        ("<html>Sign in</html>", "is not JSON"),
    ] {
        let server = MockServer::start().await;
        serve(&server, move |_| {
            ResponseTemplate::new(200).set_body_raw(body, "text/html")
        })
        .await;
        let source = service(&server, &[]);
        let error = pull(&*source, None).await.expect_err("an error");
        assert!(
            matches!(error, Error::Malformed { .. }) && error.to_string().contains(said),
            "{error}"
        );
        assert!(source.worker_ids().await.is_err());
    }
}

#[tokio::test]
async fn a_list_that_was_cut_leaves_nobody_gone() {
    let server = MockServer::start().await;
    serve(&server, |asked| {
        let rows = if asked.contains_key("page") && asked["page"] == "1" {
            people(2)
        } else {
            Vec::new()
        };
        page(json!({"data": rows, "total": "5"}))
    })
    .await;
    let source = service(&server, &[("paging", "page"), ("total_at", "/total")]);
    let read = pull(&*source, None).await.expect("a pull");
    assert_eq!(
        faults(&read).last().expect("a fault"),
        "people: the source counts 3 more records than it gave; nobody is taken to be gone"
    );
    assert_eq!(source.worker_ids().await.expect("ids").unreadable, 3);
}

#[tokio::test]
async fn only_what_changed_is_asked_for() {
    let server = MockServer::start().await;
    serve(&server, |_| page(json!({"data": [{"ref": {"id": "a"}, "name": "Ada", "changed": "2026-05-01 10:00:00.123456"}]}))).await;
    let source = service(
        &server,
        &[
            ("since", "filter=[\"changed\",\">=\",\"{since}\"]"),
            ("since_format", "%d.%m.%Y %H:%M"),
        ],
    );
    let read = pull(&*source, None).await.expect("a pull");
    let mark = read.last().expect("a page").watermark.0.clone();
    assert_eq!(mark, "2026-05-01 10:00:00.123456");
    let read = pull(&*source, Some(&mark)).await.expect("a delta");
    // A delta of one record says nothing of fields that it lacks.
    assert_eq!((names(&read).len(), faults(&read).len()), (1, 0));
    let requests = server.received_requests().await.expect("requests");
    assert_eq!(parameters(&requests[0]), BTreeMap::new());
    assert_eq!(
        parameters(&requests[1])["filter"],
        r#"["changed",">=","01.05.2026 09:50"]"#
    );
}

#[tokio::test]
async fn ids_come_from_a_list_of_their_own_if_there_is_one() {
    let server = MockServer::start().await;
    Mock::given(path("/api/ids"))
        .and(query_param("fields", "id"))
        .respond_with(page(
            json!({"data": [{"ref": {"id": 1}}, {"ref": {"id": 2}}, {"ref": {}}]}),
        ))
        .mount(&server)
        .await;
    let ids = service(&server, &[("ids", "ids?fields=id")])
        .worker_ids()
        .await
        .expect("ids");
    assert_eq!((ids.ids.len(), ids.unreadable), (2, 1));
}

#[tokio::test]
async fn a_mapping_to_a_missing_field_is_one_finding_and_seen_by_the_probe() {
    let server = MockServer::start().await;
    serve(&server, |_| page(json!({"data": [{"ref": {"id": 1}, "name": "Ada"}, {"ref": {"id": 2}, "name": "Grace", "unit": null}]}))).await;
    let source = service(&server, &[]);
    let read = pull(&*source, None).await.expect("a pull");
    assert_eq!(
        faults(&read),
        ["people: the mapping reads it from “changed”, which none of 2 records has"]
    );
    let probe = source.probe().await.expect("a probe");
    assert_eq!((probe.system.as_str(), probe.people), ("REST service", 2));
    assert_eq!(probe.access[0].readable, Readable::Reduced);
    assert_eq!(
        probe.access[0].note,
        "No record that was looked at has changed."
    );
    let samples = source.sample(1).await.expect("samples");
    assert_eq!((samples.len(), samples[0].place.as_str()), (1, "people 1"));
}

#[tokio::test]
async fn a_unit_that_becomes_its_own_parent_is_told_and_stands_alone() {
    let server = MockServer::start().await;
    let units = json!([{"id": "U1", "above": "U1"}, {"id": "U2", "above": "U1"}]);
    Mock::given(path("/api/units"))
        .respond_with(page(json!({"data": units})))
        .mount(&server)
        .await;
    let mut mapping = mapping();
    mapping["unit"] =
        json!([{"target": "id", "from": "id"}, {"target": "parent", "from": "above"}]);
    let url = format!("{}/api", server.uri());
    let settings = [
        ("url", url.as_str()),
        ("people", "people"),
        ("units", "units"),
        ("units_at", "/data"),
    ];
    let source = try_open("rest", &settings, Some(mapping)).expect("an adapter");
    let structure = source.units().await.expect("units");
    let parents: Vec<_> = structure
        .units
        .iter()
        .map(|unit| (unit.external_id.as_str(), unit.parent.as_deref()))
        .collect();
    assert_eq!(parents, [("U1", None), ("U2", Some("U1"))]);
    let told: Vec<_> = structure.faults.iter().map(|one| &one.what).collect();
    assert_eq!(told, ["is the unit itself; left out"]);
}

#[tokio::test]
async fn each_way_to_sign_in_sends_its_header() {
    for (settings, name, value) in [
        (
            vec![("user", "svc"), ("password", "pw")],
            "authorization",
            "Basic c3ZjOnB3",
        ),
        (vec![("token", "t1")], "authorization", "Bearer t1"),
        (
            vec![("key_header", "X-Api-Key"), ("key", "k1")],
            "x-api-key",
            "k1",
        ),
    ] {
        let server = MockServer::start().await;
        Mock::given(path("/api/people"))
            .and(header(name, value))
            .respond_with(page(json!({"data": people(1)})))
            .mount(&server)
            .await;
        let read = pull(&*service(&server, &settings), None)
            .await
            .expect("a pull");
        assert_eq!(names(&read), ["N0"]);
        let none = MockServer::start().await;
        serve(&none, |_| {
            ResponseTemplate::new(401).set_body_json(json!({"message": "who is there"}))
        })
        .await;
        assert_eq!(
            pull(&*service(&none, &settings), None).await,
            Err(Error::Unauthorized)
        );
    }
}

#[tokio::test]
async fn a_busy_service_is_waited_for_within_bounds() {
    let server = MockServer::start().await;
    Mock::given(path("/api/people"))
        .respond_with(ResponseTemplate::new(503).insert_header("retry-after", "0"))
        .up_to_n_times(2)
        .with_priority(1)
        .mount(&server)
        .await;
    serve(&server, |_| page(json!({"data": people(2)}))).await;
    assert_eq!(
        names(&pull(&*service(&server, &[]), None).await.expect("a pull")),
        ["N0", "N1"]
    );
    let server = MockServer::start().await;
    serve(&server, |_| {
        ResponseTemplate::new(429).insert_header("retry-after", "0")
    })
    .await;
    let error = pull(&*service(&server, &[]), None)
        .await
        .expect_err("too often");
    assert_eq!(
        error,
        Error::RateLimited {
            retry_after: Some(Duration::ZERO)
        }
    );
    assert_eq!(asked(&server).await, 4);
}

#[tokio::test]
async fn a_photo_is_taken_from_the_record_and_from_nowhere_else() {
    let server = MockServer::start().await;
    let mapping = json!({"worker": [{"target": "id", "from": "id"}, {"target": "photo", "from": "portrait"}]});
    for (id, portrait) in [
        ("bytes", "data:image/png;base64,iVBORw=="),
        ("away", "https://cdn.example/p.jpg"),
        ("broken", "/files/broken.jpg"),
        ("odd", "no base64 at all"),
        ("none", ""),
    ] {
        Mock::given(path(format!("/api/people/{id}")))
            .respond_with(page(json!({"data": {"id": id, "portrait": portrait}})))
            .mount(&server)
            .await;
    }
    Mock::given(path("/files/broken.jpg"))
        .respond_with(ResponseTemplate::new(500))
        .mount(&server)
        .await;
    let url = format!("{}/api", server.uri());
    let settings = [
        ("url", url.as_str()),
        ("people", "people"),
        ("person", "people/{id}"),
        ("person_at", "/data"),
    ];
    let source = try_open("rest", &settings, Some(mapping)).expect("an adapter");
    let photo = async |id: &str| {
        source
            .photo(id)
            .await
            .map(|photo| photo.map(|photo| photo.bytes))
    };
    assert_eq!(photo("bytes").await, Ok(Some(b"\x89PNG".to_vec())));
    assert_eq!(
        (photo("none").await, photo("nobody").await),
        (Ok(None), Ok(None))
    );
    for id in ["away", "broken", "odd"] {
        let error = photo(id).await.expect_err(id);
        assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_right_is_refused_before_anything_is_read() {
    let said = |settings: &[(&str, &str)]| {
        let mut all = vec![("url", "https://erp.example/api")];
        all.extend(settings);
        try_open("rest", &all, Some(mapping()))
            .expect_err("refused")
            .to_string()
    };
    assert!(said(&[]).starts_with("people is needed"));
    let with = |key, value| said(&[("people", "p"), (key, value)]);
    assert!(with("people_at", "data").starts_with("people_at is not a JSON pointer"));
    assert!(with("people_body", "{").starts_with("people_body is not JSON"));
    assert!(with("paging", "pages").starts_with("paging must be"));
    assert!(with("paging", "cursor").starts_with("next_at is needed"));
    assert!(with("page_size", "many").starts_with("page_size is not a number"));
    assert!(with("since", "changed=").starts_with("since is not a parameter with {since}"));
    assert!(
        try_open(
            "rest",
            &[("url", "https://erp.example"), ("people", "p")],
            None
        )
        .expect_err("refused")
        .to_string()
        .starts_with("mapping is needed")
    );
}

// Shapes from the products' documentation.

#[tokio::test]
async fn erpnext_as_documented() {
    let server = MockServer::start().await;
    let employees = json!([
        {"name": "HR-EMP-00001", "employee_name": "Grace Okafor", "first_name": "Grace", "last_name": "Okafor", "status": "Active", "gender": "Female",
         "designation": "Managing Director", "department": "Management - NF", "reports_to": null, "company_email": "grace@northwindforge.example",
         "cell_number": "+47 900 00 001", "employee_number": "1", "branch": "Oslo", "date_of_joining": "2012-01-01", "relieving_date": null,
         "date_of_birth": "1970-02-03", "image": "/files/grace.jpg", "modified": "2026-05-01 10:00:00.123456", "docstatus": 0},
        {"name": "HR-EMP-00002", "employee_name": "Ada Lindqvist", "first_name": "Ada", "last_name": "Lindqvist", "status": "Suspended",
         "designation": "Smith", "department": "Forge - NF", "reports_to": "HR-EMP-00001", "company_email": "", "cell_number": "", "employee_number": "2",
         "branch": "Leeds", "date_of_joining": "2020-03-01", "relieving_date": null, "date_of_birth": null, "image": null, "modified": "2026-04-01 10:00:00"},
        {"name": "HR-EMP-00003", "employee_name": "Linus Haddad", "first_name": "Linus", "last_name": "Haddad", "status": "Left",
         "designation": "Smith", "department": "Forge - NF", "reports_to": "HR-EMP-00002", "company_email": "linus@northwindforge.example", "cell_number": null,
         "employee_number": "3", "branch": "Leeds", "date_of_joining": "2019-03-01", "relieving_date": "2025-12-31", "date_of_birth": null, "image": "",
         "modified": "2026-01-01 10:00:00"},
    ]);
    let key = || header("authorization", "token key:s3cret");
    let rows = employees.clone();
    let list = move |request: &Request| {
        let asked = parameters(request);
        assert_eq!(
            (
                asked["limit_page_length"].as_str(),
                asked["order_by"].as_str()
            ),
            ("500", "creation asc")
        );
        let newer = asked.get("filters").map(|filter| {
            assert_eq!(filter, r#"[["modified",">=","2026-05-01 09:50:00"]]"#);
        });
        let skip = asked["limit_start"].parse().expect("a number");
        let take = if newer.is_some() { 1 } else { 3 };
        let page: Vec<_> = rows
            .as_array()
            .expect("rows")
            .iter()
            .take(take)
            .skip(skip)
            .cloned()
            .collect();
        ResponseTemplate::new(200).set_body_json(json!({"data": page}))
    };
    Mock::given(path("/api/resource/Employee"))
        .and(key())
        .respond_with(list)
        .mount(&server)
        .await;
    let departments = |request: &Request| {
        let all = json!([
            {"name": "All Departments", "department_name": "All Departments", "parent_department": ""},
            {"name": "Management - NF", "department_name": "Management", "parent_department": "All Departments"},
            {"name": "Forge - NF", "department_name": "Forge", "parent_department": "All Departments"},
        ]);
        let first = parameters(request)["limit_start"] == "0";
        page(json!({"data": if first { all } else { json!([]) }}))
    };
    Mock::given(path("/api/resource/Department"))
        .and(key())
        .respond_with(departments)
        .mount(&server)
        .await;
    Mock::given(path("/api/resource/Employee/HR-EMP-00001"))
        .and(key())
        .respond_with(page(json!({"data": employees[0]})))
        .mount(&server)
        .await;
    Mock::given(path("/files/grace.jpg"))
        .and(key())
        .respond_with(ResponseTemplate::new(200).set_body_bytes([0xff, 0xd8]))
        .mount(&server)
        .await;
    let uri = server.uri();
    let source = try_open(
        "rest",
        &[
            ("url", &uri),
            ("preset", "erpnext"),
            ("key", "token key:s3cret"),
        ],
        None,
    )
    .expect("an adapter");
    let read = pull(&*source, None).await.expect("a pull");
    insta::assert_json_snapshot!("erpnext_people", (workers(&read), faults(&read)));
    insta::assert_json_snapshot!("erpnext_units", source.units().await.expect("units").units);
    let changed = pull(&*source, Some(&read.last().expect("a page").watermark.0))
        .await
        .expect("a delta");
    assert_eq!(names(&changed), ["Grace Okafor"]);
    let photo = source
        .photo("HR-EMP-00001")
        .await
        .expect("an answer")
        .map(|photo| photo.bytes);
    assert_eq!(photo, Some(vec![0xff, 0xd8]));
    assert_eq!(source.photo("HR-EMP-00009").await.expect("an answer"), None);
    let ids = source.worker_ids().await.expect("ids");
    assert_eq!((ids.ids.len(), ids.unreadable), (3, 0));
}

#[tokio::test]
async fn bamboohr_as_documented() {
    let server = MockServer::start().await;
    let fields = json!({"title": "OPTIMUS", "fields": ["id", "employeeNumber", "status", "displayName", "firstName", "lastName", "jobTitle", "department",
        "division", "location", "supervisorId", "workEmail", "workPhone", "mobilePhone", "hireDate", "terminationDate", "lastChanged"]});
    let report = json!({
        "title": "OPTIMUS",
        "fields": [{"id": "id", "type": "int", "name": "EEID"}, {"id": "displayName", "type": "text", "name": "Display name"}],
        "employees": [
            {"id": "4", "employeeNumber": "100", "status": "Active", "displayName": "Grace Okafor", "firstName": "Grace", "lastName": "Okafor",
             "jobTitle": "CEO", "department": "Executive", "division": "Europe", "location": "Oslo", "supervisorId": null,
             "workEmail": "grace@northwindforge.example", "workPhone": "+47 22 00 00 01", "mobilePhone": null, "hireDate": "2012-01-01",
             "terminationDate": "0000-00-00", "lastChanged": "2026-05-01T10:00:00+00:00"},
            {"id": "5", "employeeNumber": "101", "status": "Inactive", "displayName": "Ada Lindqvist", "firstName": "Ada", "lastName": "Lindqvist",
             "jobTitle": "Smith", "department": "Forge", "division": "Europe", "location": "Leeds", "supervisorId": "4", "workEmail": null,
             "workPhone": null, "mobilePhone": null, "hireDate": "2019-01-01", "terminationDate": "2025-12-31", "lastChanged": "2026-01-01T10:00:00+00:00"},
        ],
    });
    let base = "/api/gateway.php/forge/v1";
    Mock::given(method("POST"))
        .and(path(format!("{base}/reports/custom")))
        .and(query_param("format", "JSON"))
        .and(query_param("onlyCurrent", "false"))
        .and(header("authorization", "Basic a2V5Ong="))
        .and(body_json(fields))
        .respond_with(page(report))
        .mount(&server)
        .await;
    Mock::given(path(format!("{base}/employees/4/photo/large")))
        .respond_with(ResponseTemplate::new(200).set_body_bytes([0xff, 0xd8]))
        .mount(&server)
        .await;
    let url = format!("{}/api/gateway.php/forge", server.uri());
    let source = try_open(
        "rest",
        &[
            ("url", &url),
            ("preset", "bamboohr"),
            ("user", "key"),
            ("password", "x"),
        ],
        None,
    )
    .expect("an adapter");
    let read = pull(&*source, None).await.expect("a pull");
    insta::assert_json_snapshot!(
        "bamboohr_people",
        (
            workers(&read),
            faults(&read),
            source.units().await.expect("units").units
        )
    );
    let photo = source
        .photo("4")
        .await
        .expect("an answer")
        .map(|photo| photo.bytes);
    assert_eq!(photo, Some(vec![0xff, 0xd8]));
    assert_eq!(source.photo("5").await.expect("an answer"), None);
}

#[tokio::test]
async fn a_workday_report_as_documented() {
    let server = MockServer::start().await;
    let report = json!({"Report_Entry": [
        {"Employee_ID": "21001", "Active_Status": "1", "Preferred_Name": "Grace Okafor", "Legal_First_Name": "Grace", "Legal_Last_Name": "Okafor",
         "Business_Title": "CEO", "Supervisory_Organization": "Executive", "Cost_Center": "100", "Location": "Oslo",
         "Work_Email": "grace@northwindforge.example", "Work_Phone": "+47 22 00 00 01", "Hire_Date": "2012-01-01-08:00"},
        {"Employee_ID": "21002", "Active_Status": "0", "Preferred_Name": "Ada Lindqvist", "Legal_First_Name": "Ada", "Legal_Last_Name": "Lindqvist",
         "Business_Title": "Smith", "Supervisory_Organization": "Forge", "Cost_Center": "200", "Manager_ID": "21001", "Location": "Leeds",
         "Work_Email": "ada@northwindforge.example", "Hire_Date": "2019-01-01-08:00", "Termination_Date": "2025-12-31-08:00"},
    ]});
    let base = "/ccx/service/customreport2/forge";
    Mock::given(method("GET"))
        .and(path(format!("{base}/ISU_OPTIMUS/Workers")))
        .and(query_param("format", "json"))
        .respond_with(page(report))
        .mount(&server)
        .await;
    let url = format!("{}{base}", server.uri());
    let settings = [
        ("url", url.as_str()),
        ("preset", "workday"),
        ("user", "ISU"),
        ("password", "pw"),
        ("people", "ISU_OPTIMUS/Workers?format=json"),
    ];
    let source = try_open("rest", &settings, None).expect("an adapter");
    let read = pull(&*source, None).await.expect("a pull");
    insta::assert_json_snapshot!("workday_people", (workers(&read), faults(&read)));
    let probe = source.probe().await.expect("a probe");
    assert_eq!(
        (probe.system.as_str(), probe.people, probe.units),
        ("Workday, report as a web service", 2, 2)
    );
    let missing = try_open("rest", &settings[..4], None)
        .expect_err("refused")
        .to_string();
    assert!(missing.starts_with("people is needed"), "{missing}");
}

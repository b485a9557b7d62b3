//! Reading 50,000 people over OData, split: `transport` is what fetching the same
//! pages costs without looking into them, `pull` is the whole reading by the
//! adapter; what is ours is the difference. `JSON` is what merely making JSON of
//! the pages costs, the least that any reader needs. The service is a few lines
//! that send answers made beforehand, so that its own time is next to none.

use std::{collections::BTreeMap, hint::black_box, sync::Arc};

use criterion::{Criterion, criterion_group, criterion_main};
use erp_adapters::{ErpAdapter, Guard, open};
use futures::TryStreamExt as _;
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    runtime::Runtime,
};

// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PEOPLE: usize = 50_000;
const PAGE: usize = 1_000;

fn person(number: usize, version: &str) -> Json {
    let boss = |number: usize| format!("u{:06}", number / 8);
    let (hired, changed) = match version {
        "v2" => (
            json!("/Date(1325376000000)/"),
            json!("/Date(1777629600000+0000)/"),
        ),
        _ => (json!("2012-01-01T00:00:00Z"), json!("2026-05-01T10:00:00Z")),
    };
    let mut person = json!({
        "userId": format!("u{number:06}"), "status": "t", "firstName": "Grace", "lastName": format!("Okafor {number}"),
        "defaultFullName": format!("Grace Okafor {number}"), "title": "Engineer", "department": format!("D{}", number % 200),
        "division": "Forge", "location": "Oslo", "email": format!("grace.{number}@northwindforge.example"),
        "businessPhone": "+47 22 00 00 00", "hireDate": hired, "lastModifiedDateTime": changed, "manager": {"userId": boss(number)},
    });
    if version == "v2" {
        person["__metadata"] = json!({"uri": format!("http://localhost/odata/User('u{number:06}')"), "type": "SFOData.User"});
    }
    person
}

/// The pages as they go over the wire.
fn pages(version: &str) -> Vec<Vec<u8>> {
    let page = |at: usize| {
        let rows: Vec<_> = (at * PAGE..(at + 1) * PAGE)
            .map(|number| person(number, version))
            .collect();
        let next = ((at + 1) * PAGE < PEOPLE).then(|| format!("User?$skiptoken={}", at + 1));
        let body = match version {
            "v2" => json!({"d": {"results": rows, "__count": PEOPLE.to_string(), "__next": next}}),
            _ => json!({"value": rows, "@odata.count": PEOPLE, "@odata.nextLink": next}),
        };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: Mon, 01 Jun 2026 12:00:00 GMT\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        (head + &body).into_bytes()
    };
    (0..PEOPLE / PAGE).map(page).collect()
}

/// A service that answers from memory; its address.
async fn serve(pages: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let pages = Arc::new(pages);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let pages = Arc::clone(&pages);
            tokio::spawn(async move {
                let mut asked = vec![0; 16 << 10];
                // A question comes in one piece: it is short, and so is the way.
                while let Ok(bytes @ 1..) = stream.read(&mut asked).await {
                    let line = String::from_utf8_lossy(&asked[..bytes]);
                    let token = line.split("skiptoken=").nth(1).unwrap_or("0");
                    let digits: String = token.chars().take_while(char::is_ascii_digit).collect();
                    let page = &pages[digits.parse().unwrap_or(0)];
                    if stream.write_all(page).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("http://{address}/odata/User")
}

async fn fetch(client: &reqwest::Client, url: &str) -> usize {
    let mut bytes = 0;
    for at in 0..PEOPLE / PAGE {
        let answer = client.get(format!("{url}?$skiptoken={at}")).send().await;
        bytes += answer
            .expect("an answer")
            .bytes()
            .await
            .expect("a body")
            .len();
    }
    bytes
}

/// The number of fields at the top of a page.
fn parsed(page: &[u8]) -> usize {
    let begin = page.windows(4).position(|end| end == b"\r\n\r\n");
    let body = &page[begin.expect("a head") + 4..];
    let json: Json = serde_json::from_slice(body).expect("JSON");
    black_box(json).as_object().map_or(0, serde_json::Map::len)
}

async fn pull(source: &dyn ErpAdapter) -> usize {
    let mut pages = source.workers(None);
    let mut people = 0;
    while let Some(page) = pages.try_next().await.expect("a page") {
        people += black_box(page).workers.len();
    }
    people
}

fn source(url: &str, version: &str) -> Box<dyn ErpAdapter> {
    let settings = [
        ("url", url.trim_end_matches("/User")),
        ("preset", "successfactors"),
        ("version", version),
    ];
    let settings: BTreeMap<_, _> = settings
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let guard = Guard::new(["127.0.0.1"]).expect("a list");
    open("odata", &settings, None, &guard).expect("an adapter")
}

fn fifty_thousand(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let client = reqwest::Client::new();
    let mut group = criterion.benchmark_group("odata 50,000 people");
    group.sample_size(10);
    for version in ["v4", "v2"] {
        let url = runtime.block_on(serve(pages(version)));
        let source = source(&url, version);
        let bytes = runtime.block_on(fetch(&client, &url));
        assert!(bytes > PEOPLE * 300, "{bytes} bytes came");
        assert_eq!(runtime.block_on(pull(&*source)), PEOPLE);
        group.bench_function(format!("{version} transport"), |bench| {
            bench.iter(|| runtime.block_on(fetch(&client, &url)));
        });
        let bodies = pages(version);
        group.bench_function(format!("{version} JSON"), |bench| {
            bench.iter(|| bodies.iter().map(|page| parsed(page)).sum::<usize>());
        });
        group.bench_function(format!("{version} pull"), |bench| {
            bench.iter(|| runtime.block_on(pull(&*source)));
        });
    }
    group.finish();
}

criterion_group!(benches, fifty_thousand);
criterion_main!(benches);

//! Reading 20,000 people of a real OpenLDAP as a run does: units, everyone, and who is there. Split: `transport` is
//! what the very same questions cost when nobody looks into the answers, with all that the directory needs for them;
//! `pull` is the whole reading by the adapter; what is ours is the difference, and once more by itself in `answers at
//! hand`, where the same answers come from memory. `e2e/ldap/up` starts the directory; where it cannot be had, this
//! says so and measures nothing.
#![allow(
    clippy::print_stderr,
    reason = "a bench that cannot be run has to say so"
)]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

use criterion::{Criterion, criterion_group, criterion_main};
use erp_adapters::{ErpAdapter, Guard, open};
use futures::TryStreamExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

const PEOPLE: usize = 20_000;

// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A directory of its own, gone afterwards.
struct Directory {
    run: PathBuf,
    said: BTreeMap<String, String>,
}

impl Directory {
    fn script(name: &str) -> PathBuf {
        let tree = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        tree.join("../e2e/ldap").join(name)
    }

    fn start() -> Option<Self> {
        let run = std::env::temp_dir().join(format!("optimus-bench-ldap-{}", std::process::id()));
        let up = Command::new(Self::script("up"))
            .env("LDAP_RUN", &run)
            .env("LDAP_PEOPLE", PEOPLE.to_string())
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&up.stdout);
        let said = text.lines().last().unwrap_or_default().split_whitespace();
        let said = said.filter_map(|word| word.split_once('='));
        let said = said.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let directory = Self {
            run,
            said: said.collect(),
        };
        up.status.success().then_some(directory)
    }

    fn address(&self) -> &str {
        self.said["LDAP_URL"].trim_start_matches("ldap://")
    }

    /// The adapter, reading at `address`.
    fn open(&self, address: &str) -> Box<dyn ErpAdapter> {
        let settings = BTreeMap::from(
            [
                ("url", format!("ldap://{address}")),
                ("bind_dn", self.said["LDAP_PLAIN"].clone()),
                ("password", self.said["LDAP_PASSWORD"].clone()),
                ("base", self.said["LDAP_BASE"].clone()),
                ("unit_filter", "(objectClass=organizationalUnit)".to_owned()),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        let guard = Guard::new(["127.0.0.1"]).expect("a list");
        open("ldap", &settings, None, &guard).expect("an adapter")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let down = Command::new(Self::script("down"))
            .env("LDAP_RUN", &self.run)
            .status();
        if !down.is_ok_and(|down| down.success()) {
            eprintln!("the directory in {} was not stopped", self.run.display());
        }
    }
}

/// A question and its whole answer, byte for byte.
#[derive(Default)]
struct Turn {
    asked: Vec<u8>,
    answer: Vec<u8>,
}

/// What was said on each connection, in the order in which they were opened.
type Talk = Arc<Mutex<Vec<Vec<Turn>>>>;

/// Passes everything on to `directory` and keeps it; the address to ask at.
async fn listen_in(directory: &str, talk: &Talk) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (directory, talk) = (directory.to_owned(), Arc::clone(talk));
    tokio::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            let mut there = TcpStream::connect(&directory).await.expect("the directory");
            let number = {
                let mut talk = talk.lock().unwrap_or_else(PoisonError::into_inner);
                talk.push(Vec::new());
                talk.len() - 1
            };
            let talk = Arc::clone(&talk);
            tokio::spawn(async move {
                let (mut asked, mut said) = (vec![0; 64 << 10], vec![0; 64 << 10]);
                loop {
                    let (bytes, question) = tokio::select! {
                        bytes = here.read(&mut asked) => (bytes, true),
                        bytes = there.read(&mut said) => (bytes, false),
                    };
                    let Ok(bytes @ 1..) = bytes else { return };
                    {
                        let mut talk = talk.lock().unwrap_or_else(PoisonError::into_inner);
                        let turns = &mut talk[number];
                        let answered = |turn: &Turn| !turn.answer.is_empty();
                        if question && turns.last().is_none_or(answered) {
                            turns.push(Turn::default());
                        }
                        let turn = turns.last_mut().expect("a question comes first");
                        if question {
                            turn.asked.extend(&asked[..bytes]);
                        } else {
                            turn.answer.extend(&said[..bytes]);
                        }
                    }
                    let passed = if question {
                        there.write_all(&asked[..bytes]).await
                    } else {
                        here.write_all(&said[..bytes]).await
                    };
                    if passed.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Asks the same questions again and takes the answers without looking into them; their bytes.
async fn transport(directory: &str, talk: &[Vec<Turn>]) -> usize {
    let mut buffer = vec![0; 64 << 10];
    let mut bytes = 0;
    for turns in talk {
        let mut there = TcpStream::connect(directory).await.expect("the directory");
        for turn in turns {
            there.write_all(&turn.asked).await.expect("asked");
            let mut left = turn.answer.len();
            while left > 0 {
                let most = left.min(buffer.len());
                let read = there.read(&mut buffer[..most]).await.expect("an answer");
                assert!(read > 0, "the answer is shorter than before");
                left -= read;
                bytes += read;
            }
        }
    }
    bytes
}

/// Gives the answers that were kept, whatever is asked; the address to ask at.
async fn answer(talk: Arc<Vec<Vec<Turn>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        let mut next = 0;
        while let Ok((mut here, _)) = listener.accept().await {
            let (talk, number) = (Arc::clone(&talk), next % talk.len());
            next += 1;
            tokio::spawn(async move {
                let mut asked = vec![0; 64 << 10];
                for turn in &talk[number] {
                    let mut left = turn.asked.len();
                    while left > 0 {
                        match here.read(&mut asked[..left]).await {
                            Ok(read @ 1..) => left -= read,
                            _ => return,
                        }
                    }
                    if here.write_all(&turn.answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Everything that a run reads; how many people there are.
async fn pull(source: Box<dyn ErpAdapter>) -> usize {
    assert_eq!(source.units().await.expect("units").units.len(), 6);
    let mut pages = source.workers(None);
    let mut people = 0;
    while let Some(page) = pages.try_next().await.expect("a page") {
        people += page.workers.len();
    }
    drop(pages);
    let ids = source.worker_ids().await.expect("ids");
    assert_eq!((ids.ids.len(), ids.unreadable), (people, 0));
    people
}

fn twenty_thousand(criterion: &mut Criterion) {
    let Some(directory) = Directory::start() else {
        eprintln!("SKIPPED: e2e/ldap/up cannot start a directory here");
        return;
    };
    let runtime = Runtime::new().expect("a runtime");
    let talk = Talk::default();
    let relay = runtime.block_on(listen_in(directory.address(), &talk));
    assert_eq!(runtime.block_on(pull(directory.open(&relay))), PEOPLE);
    let talk = std::mem::take(&mut *talk.lock().unwrap_or_else(PoisonError::into_inner));
    let talk = Arc::new(talk);
    let mut group = criterion.benchmark_group("ldap 20,000 people");
    group.sample_size(10);
    group.bench_function("transport", |bench| {
        bench.iter(|| runtime.block_on(transport(directory.address(), &talk)));
    });
    group.bench_function("pull", |bench| {
        bench.iter(|| runtime.block_on(pull(directory.open(directory.address()))));
    });
    let memory = runtime.block_on(answer(Arc::clone(&talk)));
    group.bench_function("answers at hand", |bench| {
        bench.iter(|| runtime.block_on(pull(directory.open(&memory))));
    });
    group.finish();
}

criterion_group!(benches, twenty_thousand);
criterion_main!(benches);

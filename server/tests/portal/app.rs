//! A portal to test, and people who are clients of it.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use domain::EmployeeId;
use futures::FutureExt as _;
use reqwest::{Method, header::HeaderMap};
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};
use server::{
    clock::Story,
    config::Config,
    data_dir::DataDir,
    demo,
    serve::{self, Running, Start},
};
use store::account::Cost;

/// A portal with Northwind Forge in it; who can sign in is up to the test.
pub struct App {
    pub running: Running,
    pub url: String,
    pub client: reqwest::Client,
    pub data_dir: PathBuf,
}

/// One of Northwind Forge, signed in.
#[derive(Clone)]
pub struct Person {
    pub login: &'static str,
    pub id: EmployeeId,
    pub token: String,
    url: String,
    client: reqwest::Client,
}

/// What a door answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        if self.text.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!(
            (self.status, self.code().as_str()),
            (status, code),
            "{self:?}"
        );
        assert_eq!(self.headers["content-type"], "application/problem+json");
        self.json()
    }
}

pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

/// Runs a test on SQLite, and on PostgreSQL if `OPTIMUS_TEST_POSTGRES_URL` names a server; each time on a
/// portal of its own that is gone afterwards.
pub async fn everywhere(test: impl AsyncFn(&App)) {
    run(&test, None, &[]).await;
    if let Ok(server) = std::env::var("OPTIMUS_TEST_POSTGRES_URL") {
        let database = unique();
        on_server(&server, format!("CREATE DATABASE {database}")).await;
        let (base, _) = server.rsplit_once('/').unwrap();
        run(&test, Some(format!("{base}/{database}")), &[]).await;
        on_server(&server, format!("DROP DATABASE {database} WITH (FORCE)")).await;
    }
}

/// Runs a test on SQLite with further settings.
pub async fn with(settings: &[(&str, &str)], test: impl AsyncFn(&App)) {
    run(&test, None, settings).await;
}

async fn run(test: impl AsyncFn(&App), database: Option<String>, settings: &[(&str, &str)]) {
    let home = Home::new();
    let app = App::start(&home.0, database, settings).await;
    let outcome = std::panic::AssertUnwindSafe(test(&app))
        .catch_unwind()
        .await;
    app.running.stop().await.unwrap();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// A NATS server on a port of its own, stopped when dropped.
pub struct Broker {
    child: Mutex<Child>,
    url: String,
}

impl Broker {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = Command::new("nats-server")
            .args(["--addr", "127.0.0.1", "--port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server starts; bin/setup installs it");
        for _ in 0..400 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Self {
            child: Mutex::new(child),
            url: format!("nats://127.0.0.1:{port}"),
        }
    }

    pub fn stop(&self) {
        let mut child = self.child.lock().unwrap();
        child.kill().ok();
        child.wait().ok();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a test on two nodes that share a database and a broker: on SQLite, and on PostgreSQL as [`everywhere`].
pub async fn on_two_nodes(test: impl AsyncFn(&App, &App, &Broker)) {
    two_nodes(&test, None).await;
    if let Ok(server) = std::env::var("OPTIMUS_TEST_POSTGRES_URL") {
        let database = unique();
        on_server(&server, format!("CREATE DATABASE {database}")).await;
        let (base, _) = server.rsplit_once('/').unwrap();
        two_nodes(&test, Some(format!("{base}/{database}"))).await;
        on_server(&server, format!("DROP DATABASE {database} WITH (FORCE)")).await;
    }
}

async fn two_nodes(test: &impl AsyncFn(&App, &App, &Broker), database: Option<String>) {
    let broker = Broker::start();
    let settings = [("OPTIMUS_NATS_URL", broker.url.as_str())];
    let (one, other) = (Home::new(), Home::new());
    let file = one.0.join("data/optimus.sqlite");
    let database = database.unwrap_or_else(|| format!("sqlite://{}", file.display()));
    let first = App::start(&one.0, Some(database.clone()), &settings).await;
    // Nodes of one portal have the same keys.
    let folder = other.0.join("data");
    std::fs::create_dir_all(&folder).unwrap();
    for key in ["audit.key", "seal.key", "token.key"] {
        std::fs::copy(first.data_dir.join(key), folder.join(key)).unwrap();
    }
    let second = App::join(&other.0, Some(database), &settings).await;
    let outcome = std::panic::AssertUnwindSafe(test(&first, &second, &broker))
        .catch_unwind()
        .await;
    second.running.stop().await.unwrap();
    first.running.stop().await.unwrap();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

async fn on_server(url: &str, sql: String) {
    let server = Database::connect(url).await.unwrap();
    server.execute_unprepared(&sql).await.unwrap();
    server.close().await.unwrap();
}

fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!(
        "optimus_portal_{}_{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A folder that is gone afterwards.
pub struct Home(pub PathBuf);

impl Home {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(unique());
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

pub fn config(data_dir: &Path, database: Option<String>, settings: &[(&str, &str)]) -> Config {
    let mut env = vec![
        ("OPTIMUS_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        (
            "OPTIMUS_DATA_DIR".to_owned(),
            data_dir.display().to_string(),
        ),
    ];
    env.extend(database.map(|url| ("OPTIMUS_DATABASE_URL".to_owned(), url)));
    env.extend(
        settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    Config::load(None, env.into_iter()).unwrap()
}

impl App {
    async fn start(home: &Path, database: Option<String>, settings: &[(&str, &str)]) -> Self {
        let app = Self::join(home, database, settings).await;
        let folder = DataDir::open(&app.data_dir).unwrap();
        let guard = &app.running.server.portal.site.guard;
        demo::found(app.store(), &folder, guard, &Story::default())
            .await
            .unwrap();
        app
    }

    /// A portal on a database as it is.
    async fn join(home: &Path, database: Option<String>, settings: &[(&str, &str)]) -> Self {
        let data_dir = home.join("data");
        let start = Start {
            demo: false,
            cost: Cost::Least,
        };
        let running = serve::start(&config(&data_dir, database, settings), start)
            .await
            .unwrap();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        Self {
            url: running.url(),
            running,
            client,
            data_dir,
        }
    }

    pub fn store(&self) -> &store::Store {
        &self.running.server.portal.store
    }

    /// One of the company, with an account and a token.
    pub async fn person(&self, login: &'static str) -> Person {
        let id = demo::open_account(self.store(), login).await.unwrap();
        let token = self.sign_in(login, demo::PASSWORD).await.ok()["access_token"]
            .as_str()
            .unwrap()
            .to_owned();
        Person {
            login,
            id,
            token,
            url: self.url.clone(),
            client: self.client.clone(),
        }
    }

    /// An employee's id, account or not.
    pub async fn id_of(&self, login: &str) -> EmployeeId {
        let query = store::people::DirectoryQuery {
            q: login.into(),
            ..Default::default()
        };
        let viewer = domain::Viewer::system("test");
        self.store()
            .directory(&viewer, &query)
            .await
            .unwrap()
            .page
            .items[0]
            .id
    }

    pub async fn sign_in(&self, login: &str, password: &str) -> Answer {
        let body = json!({ "login": login, "password": password });
        answer(
            self.client
                .post(format!("{}/api/v1/tokens", self.url))
                .json(&body),
        )
        .await
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.client.get(format!("{}{path}", self.url))).await
    }

    /// The same person at this node.
    pub fn here(&self, person: &Person) -> Person {
        Person {
            url: self.url.clone(),
            ..person.clone()
        }
    }

    /// A session cookie, as signing in with a browser gives it.
    pub async fn cookie(&self, login: &str) -> String {
        let form = [("login", login), ("password", demo::PASSWORD)];
        let request = self
            .client
            .post(format!("{}/sign-in", self.url))
            .header("sec-fetch-site", "same-origin");
        let answer = answer(
            request
                .body(encoded(&form))
                .header("content-type", "application/x-www-form-urlencoded"),
        )
        .await;
        let mut cookies = answer
            .headers
            .get_all("set-cookie")
            .iter()
            .filter_map(|value| value.to_str().ok());
        cookies
            .rfind(|cookie| cookie.starts_with("__Host-optimus="))
            .unwrap_or_else(|| panic!("no cookie: {answer:?}"))
            .to_owned()
    }
}

fn encoded(form: &[(&str, &str)]) -> String {
    form.iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join("&")
}

impl Person {
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, &format!("/api/v1{path}"))).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        answer(
            self.request(Method::POST, &format!("/api/v1{path}"))
                .json(&body),
        )
        .await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        answer(
            self.request(Method::PUT, &format!("/api/v1{path}"))
                .json(&body),
        )
        .await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        answer(
            self.request(Method::PATCH, &format!("/api/v1{path}"))
                .json(&body),
        )
        .await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        answer(self.request(Method::DELETE, &format!("/api/v1{path}"))).await
    }

    /// The conversation with these people; more than one other makes a group of that title.
    pub async fn talk_to(&self, others: &[&Self], title: Option<&str>) -> String {
        let members: Vec<_> = others.iter().map(|other| other.id).collect();
        let made = self
            .post(
                "/conversations",
                json!({ "members": members, "title": title }),
            )
            .await
            .ok();
        made["id"].as_str().unwrap().to_owned()
    }

    pub async fn say(&self, conversation: &str, client_id: &str, body: &str) -> Answer {
        self.post(
            &format!("/conversations/{conversation}/messages"),
            json!({ "client_id": client_id, "body": body }),
        )
        .await
    }
}

/// Waits until something is so.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..400 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(TimeDelta::milliseconds(25).to_std().unwrap()).await;
    }
    panic!("it took too long until {what}");
}

//! Corrections from outside: proposed and decided over the API, sent by the worker, confirmed by a run.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use domain::{
    Attribute, EmployeeId, SourceId, Value as Said, Viewer,
    correction::State,
    erp::{Photo, Watermark, Worker},
    sourcing::{Rule, Rules, Strength},
};
use erp_adapters::{ErpAdapter, Error as Trouble, Page, Probe, Structure, WorkerIds};
use futures::stream::{self, BoxStream, StreamExt as _};
use migrations::{Migrator, MigratorTrait as _};
use serde_json::{Value, json};
use server::jobs::write_back::send;
use store::{Env, Keys, Store, account::Cost, run::Read};

use crate::app::{App, Home, Person, everywhere, until};

async fn propose(person: &Person, attribute: &str, value: &str) -> Value {
    let body = json!({ "attribute": attribute, "value": value, "note": "I married in May" });
    person.post("/corrections", body).await.ok()
}

async fn state(person: &Person, id: &Value) -> Value {
    let id = id.as_str().unwrap();
    person.get(&format!("/corrections/{id}")).await.ok()
}

async fn in_state(person: &Person, id: &Value, wanted: &str) -> Value {
    until(&format!("the correction is {wanted}"), async || {
        let now = state(person, id).await;
        (now["state"] == wanted).then_some(now)
    })
    .await
}

/// Runs the source as an administrator does, and waits until it is done.
async fn run(administrator: &Person) {
    let source = administrator.get("/sources").await.ok()["items"][0]["id"].clone();
    let runs = format!("/sources/{}/runs", source.as_str().unwrap());
    let run = administrator.post(&runs, json!({})).await.ok()["id"].clone();
    let run = format!("/runs/{}", run.as_str().unwrap());
    until("the run is done", async || {
        let now = administrator.get(&run).await.ok();
        (now["phase"] == "done").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_nothing_writes_is_mended_by_hand_and_confirmed_by_the_next_run() {
    everywhere(async |app: &App| {
        let noah = app.person("noah.petersen").await;
        let miriam = app.person("miriam.osei").await;
        let priya = app.person("priya.raman").await;
        let jonas = app.person("jonas.vestergaard").await;

        let me = noah.get(&format!("/employees/{}", noah.id)).await.ok();
        let before = me["attributes"]["name.familyName"].clone();
        assert_eq!(before["value"], "Petersen");
        noah.post(
            "/corrections",
            json!({ "attribute": "title", "value": "King", "note": "so" }),
        )
        .await
        .refused(409, "not_locked");
        let correction = propose(&noah, "name.familyName", "Petersen-Berg").await;
        assert_eq!(correction["state"], "proposed");
        assert_eq!(correction["approver"], "hr_of_unit");
        let id = &correction["id"];
        let at = |act: &str| format!("/corrections/{}/{act}", id.as_str().unwrap());

        // The superior is not who decides by this policy, and nobody decides about themselves.
        priya
            .post(&at("acceptance"), json!({}))
            .await
            .refused(404, "not_found");
        noah.post(&at("acceptance"), json!({}))
            .await
            .refused(404, "not_found");
        let waiting = miriam.get("/corrections?of=to_decide").await.ok();
        assert_eq!(waiting["items"][0]["id"], *id);
        assert_eq!(waiting["items"][0]["note"], "I married in May");
        miriam
            .post(&at("refusal"), json!({ "reason": " " }))
            .await
            .refused(422, "invalid");
        let accepted = miriam.post(&at("acceptance"), json!({})).await.ok();
        assert_eq!(accepted["state"], "accepted");
        miriam
            .post(&at("acceptance"), json!({}))
            .await
            .refused(409, "already_decided");

        // The portal's own worker finds that a folder of files takes nothing.
        in_state(&noah, id, "by_hand").await;
        let me = noah.get(&format!("/employees/{}", noah.id)).await.ok();
        assert_eq!(
            me["attributes"]["name.familyName"]["value"], "Petersen",
            "what is accepted is not the ERP's word"
        );
        run(&jonas).await;
        assert_eq!(state(&noah, id).await["state"], "by_hand");

        let file = app.data_dir.join("demo/workers.csv");
        let export = std::fs::read_to_string(&file).unwrap();
        std::fs::write(
            &file,
            export.replace("Noah,Petersen,", "Noah,Petersen-Berg,"),
        )
        .unwrap();
        run(&jonas).await;
        assert_eq!(state(&noah, id).await["state"], "confirmed");
        let me = noah.get(&format!("/employees/{}", noah.id)).await.ok();
        assert_eq!(
            me["attributes"]["name.familyName"]["value"],
            "Petersen-Berg"
        );

        let log = jonas.get("/audit-log?action=correction.").await.ok();
        let actions: Vec<_> = log["items"]
            .as_array()
            .unwrap()
            .iter()
            .rev()
            .map(|entry| entry["action"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            actions,
            [
                "correction.proposed",
                "correction.accepted",
                "correction.by_hand",
                "correction.confirmed"
            ]
        );
    })
    .await;
}

/// An ERP of one person, whose title it takes from who writes it, after what `answers` says.
#[derive(Debug, Default)]
struct Desk {
    title: Mutex<String>,
    answers: Mutex<VecDeque<Trouble>>,
    writes: Mutex<u32>,
}

impl Desk {
    fn worker(&self) -> Worker {
        let title = self.title.lock().unwrap().clone();
        let says = [
            (Attribute::DisplayName, "Eve".to_owned()),
            (Attribute::EmployeeNumber, "N-1".to_owned()),
            (Attribute::Title, title),
        ];
        Worker {
            external_id: "1".into(),
            active: true,
            attributes: says
                .into_iter()
                .map(|(attribute, text)| (attribute, Some(Said::Text(text))))
                .collect(),
            ..Worker::default()
        }
    }
}

#[async_trait]
impl ErpAdapter for Desk {
    async fn probe(&self) -> Result<Probe, Trouble> {
        unreachable!("a test asks nothing of the connection")
    }
    async fn units(&self) -> Result<Structure, Trouble> {
        Ok(Structure::default())
    }
    fn workers(&self, _since: Option<Watermark>) -> BoxStream<'_, Result<Page, Trouble>> {
        let page = Page {
            workers: vec![self.worker()],
            faults: Vec::new(),
            watermark: Watermark("now".into()),
        };
        stream::iter([Ok(page)]).boxed()
    }
    async fn worker_ids(&self) -> Result<WorkerIds, Trouble> {
        Ok(WorkerIds {
            ids: ["1".to_owned()].into(),
            unreadable: 0,
        })
    }
    async fn photo(&self, _external_id: &str) -> Result<Option<Photo>, Trouble> {
        Ok(None)
    }
    fn writable(&self) -> &[Attribute] {
        &[Attribute::Title]
    }
    async fn write(
        &self,
        external_id: &str,
        attribute: Attribute,
        value: Option<&Said>,
    ) -> Result<(), Trouble> {
        assert_eq!((external_id, attribute), ("1", Attribute::Title));
        *self.writes.lock().unwrap() += 1;
        match self.answers.lock().unwrap().pop_front() {
            Some(trouble) => Err(trouble),
            None => {
                *self.title.lock().unwrap() = value.unwrap().to_string();
                Ok(())
            }
        }
    }
}

const SYSTEM: Viewer = Viewer::system("test");

/// A store with the one person of the desk in it, HR, and a rule that has the ERP decide titles.
struct Office {
    store: Store,
    source: SourceId,
    eve: Viewer,
    hr: Viewer,
    clock: Arc<Mutex<chrono::DateTime<chrono::Utc>>>,
    _home: Home,
}

impl Office {
    async fn open(desk: &Desk) -> Self {
        let home = Home::new();
        let url = format!("sqlite://{}?mode=rwc", home.0.join("o.db").display());
        let db = store::db::connect(&url).await.unwrap();
        Migrator::up(&db, None).await.unwrap();
        let clock = Arc::new(Mutex::new("2026-03-02T09:00:00Z".parse().unwrap()));
        let (now, counter) = (clock.clone(), Mutex::new(0u64));
        let env = Env {
            now: Arc::new(move || *now.lock().unwrap()),
            fill: Arc::new(move |bytes| {
                let mut counter = counter.lock().unwrap();
                for byte in bytes {
                    *counter = counter
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    *byte = (*counter >> 56) as u8;
                }
            }),
            folder: std::env::temp_dir(),
        };
        let keys = Keys {
            audit: ed25519_dalek::SigningKey::from_bytes(&[7; 32]),
            seal: [9; 32],
        };
        let store = Store::open_with(db, env, keys, Cost::Least).await.unwrap();
        let new = store::source::NewSource {
            kind: "csv".into(),
            name: "Desk".into(),
            settings: Default::default(),
            secrets: Default::default(),
        };
        let source = store.add_source(&SYSTEM, new).await.unwrap().id;
        let mut office = Self {
            eve: SYSTEM,
            hr: SYSTEM,
            store,
            source,
            clock,
            _home: home,
        };
        office.sync(desk).await;
        let query = store::people::DirectoryQuery::default();
        let people = office.store.directory(&SYSTEM, &query).await.unwrap();
        office.eve = Viewer::person(people.page.items[0].id, domain::Roles::EMPLOYEE);
        let roles: domain::Roles = [domain::Role::Hr, domain::Role::PolicyAdministrator]
            .into_iter()
            .collect();
        let hr = office.somebody(roles).await;
        office.hr = Viewer::person(hr, roles);
        let rule = Rule {
            id: 0,
            attribute: Attribute::Title,
            unit: None,
            source: None,
            strength: Strength::Strong,
            enforced: false,
            empty_wins: false,
        };
        let set = office
            .store
            .set_policy::<Rules>(&office.hr, 0, vec![rule], "");
        set.await.unwrap();
        office
    }

    async fn somebody(&self, roles: domain::Roles) -> EmployeeId {
        let account = store::account::NewAccount {
            login: "hana".into(),
            name: "Hana".into(),
            employee: None,
            password: "thimble-orbit-walnut-fjord-9".into(),
            roles,
        };
        self.store.create_account(&SYSTEM, account).await.unwrap()
    }

    fn later(&self) {
        *self.clock.lock().unwrap() += chrono::TimeDelta::minutes(10);
    }

    async fn sync(&self, desk: &Desk) {
        self.later();
        let store = &self.store;
        let run = store
            .begin_run(&SYSTEM, self.source, false)
            .await
            .unwrap()
            .id;
        store
            .read_units(&SYSTEM, run, vec![], vec![], vec![])
            .await
            .unwrap();
        let mut pages = desk.workers(None);
        while let Some(page) = pages.next().await {
            let read = Read {
                workers: page.unwrap().workers,
                faults: Vec::new(),
            };
            store.read_page(&SYSTEM, run, read).await.unwrap();
        }
        store.plan_run(&SYSTEM, run, None).await.unwrap();
        while store.apply_run(&SYSTEM, run).await.unwrap() > 0 {}
        store.end_run(&SYSTEM, run, None).await.unwrap();
    }

    /// What the worker does once: takes what is due and sends it to the desk.
    async fn pass(&self, desk: &Desk) -> usize {
        self.later();
        let due = self.store.take_due_corrections(&SYSTEM).await.unwrap();
        for one in &due {
            send(&self.store, one, desk).await.unwrap();
        }
        due.len()
    }

    async fn title(&self) -> String {
        let id = self.eve.id().unwrap();
        let profile = self.store.profile(&self.eve, id).await.unwrap();
        let title = profile
            .values
            .into_iter()
            .find(|value| value.attribute == Attribute::Title);
        title.unwrap().resolved.value.unwrap().to_string()
    }
}

#[tokio::test]
async fn an_accepted_title_reaches_the_source_through_its_adapter_and_comes_back() {
    let desk = Desk {
        title: Mutex::new("Fitter".into()),
        ..Desk::default()
    };
    let office = Office::open(&desk).await;
    let store = &office.store;
    let proposed = store
        .propose_correction(&office.eve, "title", "Forge Lead".into(), "since May")
        .await
        .unwrap();
    assert_eq!(office.pass(&desk).await, 0, "nothing is sent unasked");
    store
        .accept_correction(&office.hr, proposed.id)
        .await
        .unwrap();
    assert_eq!(desk.worker().text(Attribute::Title), Some("Fitter"));

    // The first time the desk is not reached; the second time it wants to be left alone; then it takes it.
    *desk.answers.lock().unwrap() = [
        Trouble::Unreachable {
            what: "connection refused".into(),
        },
        Trouble::RateLimited {
            retry_after: Some(std::time::Duration::from_secs(60)),
        },
    ]
    .into();
    for (writes, expected) in [
        (1, State::Accepted),
        (2, State::Accepted),
        (3, State::Written),
    ] {
        assert_eq!(office.pass(&desk).await, 1);
        let now = store.correction(&office.eve, proposed.id).await.unwrap();
        assert_eq!((now.state, now.tries), (expected, writes));
        assert_eq!(now.trouble.is_some(), expected == State::Accepted);
        assert_eq!(*desk.writes.lock().unwrap(), writes);
    }
    assert_eq!(desk.worker().text(Attribute::Title), Some("Forge Lead"));
    assert_eq!(office.title().await, "Fitter", "no read has shown it yet");
    assert_eq!(office.pass(&desk).await, 0);

    office.sync(&desk).await;
    let now = store.correction(&office.eve, proposed.id).await.unwrap();
    assert_eq!(now.state, State::Confirmed);
    assert_eq!(office.title().await, "Forge Lead");
    assert_eq!(*desk.writes.lock().unwrap(), 3);
}

#[tokio::test]
async fn a_source_that_says_no_fails_the_correction_with_its_words() {
    let desk = Desk {
        title: Mutex::new("Fitter".into()),
        ..Desk::default()
    };
    let office = Office::open(&desk).await;
    let store = &office.store;
    let proposed = store
        .propose_correction(&office.eve, "title", "Forge Lead".into(), "since May")
        .await
        .unwrap();
    store
        .accept_correction(&office.hr, proposed.id)
        .await
        .unwrap();
    desk.answers.lock().unwrap().push_back(Trouble::Rejected {
        what: "said: titles come from contracts".into(),
    });
    office.pass(&desk).await;
    let now = store.correction(&office.eve, proposed.id).await.unwrap();
    assert_eq!(now.state, State::Failed);
    let trouble = now.trouble.unwrap();
    assert_eq!(trouble.code, "rejected");
    assert!(
        trouble.text.contains("titles come from contracts"),
        "{trouble:?}"
    );
    assert_eq!(
        office.pass(&desk).await,
        0,
        "it is not asked again by itself"
    );

    store
        .retry_correction(&office.hr, proposed.id)
        .await
        .unwrap();
    assert_eq!(office.pass(&desk).await, 1);
    office.sync(&desk).await;
    let now = store.correction(&office.eve, proposed.id).await.unwrap();
    assert_eq!(now.state, State::Confirmed);
}

#[tokio::test]
async fn a_number_that_the_adapter_does_not_write_is_left_to_a_hand() {
    let desk = Desk {
        title: Mutex::new("Fitter".into()),
        ..Desk::default()
    };
    let office = Office::open(&desk).await;
    let store = &office.store;
    let proposed = store
        .propose_correction(
            &office.eve,
            "employeeNumber",
            "N-7".into(),
            "it is on my card",
        )
        .await
        .unwrap();
    store
        .accept_correction(&office.hr, proposed.id)
        .await
        .unwrap();
    office.pass(&desk).await;
    let now = store.correction(&office.eve, proposed.id).await.unwrap();
    assert_eq!(now.state, State::ByHand);
    assert_eq!(*desk.writes.lock().unwrap(), 0);
}

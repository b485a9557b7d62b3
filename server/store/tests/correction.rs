//! Corrections: proposed, decided, written back, confirmed by the next read.

mod support;

use std::time::Duration;

use chrono::TimeDelta;
use domain::{
    Attribute, CorrectionId, EmployeeId, Role, Roles, SourceId, Value, Viewer,
    correction::{Approver, Approvers, Corrections, State, TRIES},
    erp::{OrgUnit, Worker},
    sourcing::{Rule, Rules, Strength},
};
use store::{
    Error, Store,
    audit::AuditQuery,
    correction::{Again, Correction, Of, Trouble},
    run::Read,
};
use support::{World, firm};

const SYSTEM: Viewer = Viewer::system("test");

/// Ada leads; Bo and Cy are below her, Eve is below Bo. Hana is HR, Pia sets the policies.
struct Firm {
    source: SourceId,
    workers: Vec<Worker>,
    ada: Viewer,
    bo: Viewer,
    cy: Viewer,
    eve: Viewer,
    hana: Viewer,
    pia: Viewer,
}

fn worker(id: &str, name: &str, manager: Option<&str>) -> Worker {
    let mut worker = firm::worker(id, name, manager, Some("u1"));
    firm::set(&mut worker, Attribute::BirthDate, "1984-02-29");
    worker
}

fn approvers(otherwise: Approver) -> Approvers {
    Approvers {
        otherwise,
        ..Approvers::default()
    }
}

fn rule(attribute: Attribute) -> Rule {
    Rule {
        id: 0,
        attribute,
        unit: None,
        source: None,
        strength: Strength::Strong,
        enforced: false,
        empty_wins: false,
    }
}

impl Firm {
    async fn found(world: &World) -> Self {
        let source = world.source("ERP").await;
        let workers = vec![
            worker("a", "Ada", None),
            worker("b", "Bo", Some("a")),
            worker("c", "Cy", Some("a")),
            worker("e", "Eve", Some("b")),
            worker("h", "Hana", Some("a")),
            worker("p", "Pia", Some("a")),
        ];
        sync(&world.store, source, &workers).await;
        let who = async |id: &str, roles: &[Role]| {
            let ask = "SELECT employee_id FROM erp_records WHERE external_id = $1";
            let rows = world.rows(ask, [id.into()]).await;
            let id = EmployeeId(rows[0].try_get_by_index(0).unwrap());
            let roles: Roles = roles.iter().copied().collect();
            let insert = "INSERT INTO accounts (employee_id, login, roles, created_at) VALUES ($1, $2, $3, $4)";
            let row = [
                id.0.into(),
                id.to_string().into(),
                roles.to_string().into(),
                world.clock.now().into(),
            ];
            world.execute(insert, row).await;
            Viewer::person(id, roles)
        };
        let firm = Self {
            source,
            ada: who("a", &[]).await,
            bo: who("b", &[]).await,
            cy: who("c", &[]).await,
            eve: who("e", &[]).await,
            hana: who("h", &[Role::Hr]).await,
            pia: who("p", &[Role::PolicyAdministrator]).await,
            workers,
        };
        let rules = vec![
            rule(Attribute::Title),
            rule(Attribute::Emails),
            rule(Attribute::BirthDate),
        ];
        let set = world
            .store
            .set_policy::<Rules>(&firm.pia, 0, rules, "")
            .await;
        set.unwrap();
        firm
    }

    /// The same people with another title for Eve.
    fn titled(&self, title: &str) -> Vec<Worker> {
        let mut workers = self.workers.clone();
        let eve = workers.iter_mut().find(|one| one.external_id == "e");
        eve.unwrap()
            .attributes
            .insert(Attribute::Title, Some(title.into()));
        workers
    }

    async fn approver(&self, store: &Store, version: u32, approver: Approver) {
        let set = store
            .set_policy::<Corrections>(&self.pia, version, approvers(approver), "")
            .await;
        assert_eq!(set.unwrap().version, version + 1);
    }
}

async fn sync(store: &Store, source: SourceId, workers: &[Worker]) {
    let run = store.begin_run(&SYSTEM, source, false).await.unwrap().id;
    finish(store, run, workers).await;
}

async fn finish(store: &Store, run: domain::RunId, workers: &[Worker]) {
    let unit = OrgUnit {
        external_id: "u1".into(),
        name: "Works".into(),
        parent: None,
        heads: Vec::new(),
    };
    store
        .read_units(&SYSTEM, run, vec![unit], vec![], vec![])
        .await
        .unwrap();
    let page = Read {
        workers: workers.to_vec(),
        faults: Vec::new(),
    };
    store.read_page(&SYSTEM, run, page).await.unwrap();
    store.plan_run(&SYSTEM, run, None).await.unwrap();
    while store.apply_run(&SYSTEM, run).await.unwrap() > 0 {}
    store.end_run(&SYSTEM, run, None).await.unwrap();
}

async fn propose(store: &Store, who: &Viewer, title: &str) -> Correction {
    store
        .propose_correction(who, "title", title.into(), "It has been so since May")
        .await
        .unwrap()
}

async fn state(store: &Store, who: &Viewer, id: CorrectionId) -> State {
    store.correction(who, id).await.unwrap().state
}

async fn title(store: &Store, who: &Viewer) -> (Option<Value>, Option<Value>) {
    let id = who.id().unwrap();
    let profile = store.profile(who, id).await.unwrap();
    let value = profile
        .values
        .into_iter()
        .find(|value| value.attribute == Attribute::Title)
        .unwrap();
    (value.resolved.value, value.erp.and_then(|erp| erp.value))
}

/// The actions about corrections in the log, in their order.
async fn recorded(store: &Store) -> Vec<String> {
    let query = AuditQuery {
        action: Some("correction.".into()),
        limit: Some(200),
        ..AuditQuery::default()
    };
    let page = store.audit_log(&SYSTEM, &query).await.unwrap();
    let actions = page.items.into_iter().rev();
    actions
        .map(|named| named.entry.action["correction.".len()..].to_owned())
        .collect()
}

fn conflict<T: std::fmt::Debug>(answer: Result<T, Error>) -> &'static str {
    match answer {
        Err(Error::Conflict(code)) => code,
        other => panic!("{other:?}"),
    }
}

fn minutes(world: &World, minutes: u64) {
    world.clock.advance(Duration::from_secs(60 * minutes));
}

#[tokio::test]
async fn a_value_that_a_rule_locks_can_be_proposed_and_nothing_else() {
    support::everywhere(async |world| {
        let firm = Firm::found(world).await;
        let store = &world.store;
        let prospects = store.correction_prospects(&firm.eve).await.unwrap();
        let correctable: Vec<_> = prospects.keys().copied().collect();
        // Those with a rule, and those that no person can set, but not the photo or whether one works here.
        assert_eq!(
            correctable,
            [
                Attribute::Title,
                Attribute::EmployeeNumber,
                Attribute::Department,
                Attribute::Manager,
                Attribute::Emails,
                Attribute::BirthDate
            ]
        );
        let prospect = &prospects[&Attribute::Title];
        assert_eq!(prospect.says, Some("Fitter".into()));
        assert_eq!((prospect.rule, prospect.source_name.as_str()), (1, "ERP"));
        assert_eq!(prospect.approvers.len(), 1);
        assert_eq!(prospect.approvers[0].display_name, "Hana");

        let ask = async |attribute: &str, value: &str, note: &str| {
            store
                .propose_correction(&firm.eve, attribute, value.into(), note)
                .await
        };
        let superior = firm.bo.id().unwrap().to_string();
        let photo = "0".repeat(64);
        for (attribute, value) in [
            ("displayName", &superior),
            ("photos", &photo),
            ("about", &superior),
        ] {
            let answer = ask(attribute, value, "so").await;
            assert_eq!(conflict(answer), "not_locked", "{attribute}");
        }
        let Err(Error::Invalid(wrong)) = ask("emails", "nobody at nowhere", " ").await else {
            panic!("a bad value without a note is taken");
        };
        let fields: Vec<_> = wrong.iter().map(|one| (one.field(), one.code())).collect();
        assert_eq!(fields, [("value", "bad_format"), ("note", "required")]);
        let Err(Error::Invalid(same)) = ask("title", " Fitter ", "so").await else {
            panic!("what the source says already is taken");
        };
        assert_eq!(same[0].field(), "value");
        assert_eq!(world.count("SELECT count(*) FROM corrections").await, 0);

        let proposed = ask("title", " Forge  Lead ", "It has been so since May").await;
        let proposed = proposed.unwrap();
        assert_eq!(proposed.state, State::Proposed);
        assert_eq!(proposed.value, "Forge Lead".into());
        assert_eq!(proposed.was, Some("Fitter".into()));
        assert_eq!(proposed.external_id, "e");
        assert!(!proposed.decidable, "nobody decides about themselves");
        assert_eq!(
            conflict(ask("title", "Forge Head", "so").await),
            "already_proposed"
        );
        let open = store.correction_prospects(&firm.eve).await.unwrap();
        assert_eq!(open[&Attribute::Title].open, Some(proposed.id));
        // The proposal is not the value.
        let fitter = Some(Value::from("Fitter"));
        assert_eq!(title(store, &firm.eve).await, (fitter.clone(), fitter));
        assert_eq!(recorded(store).await, ["proposed"]);
    })
    .await;
}

#[tokio::test]
async fn without_anybody_to_decide_nothing_can_be_proposed() {
    support::everywhere(async |world| {
        let firm = Firm::found(world).await;
        let store = &world.store;
        let ask = async |who: &Viewer| {
            let value = "Forge Lead".into();
            store.propose_correction(who, "title", value, "so").await
        };
        // Hana is the only one in HR, and does not decide about herself.
        assert_eq!(conflict(ask(&firm.hana).await), "no_approver");
        firm.approver(store, 0, Approver::Manager).await;
        assert_eq!(conflict(ask(&firm.ada).await), "no_approver");
        assert!(ask(&firm.hana).await.is_ok());
        firm.approver(store, 1, Approver::Nobody).await;
        assert_eq!(conflict(ask(&firm.eve).await), "no_approver");
        let prospects = store.correction_prospects(&firm.eve).await.unwrap();
        assert!(prospects[&Attribute::Title].approvers.is_empty());
    })
    .await;
}

#[tokio::test]
async fn who_decides_is_what_the_policy_says() {
    support::everywhere(async |world| {
        let firm = Firm::found(world).await;
        let store = &world.store;
        let id = propose(store, &firm.eve, "Forge Lead").await.id;
        let everybody = [
            &firm.ada, &firm.bo, &firm.cy, &firm.hana, &firm.pia, &firm.eve,
        ];
        let expected = [
            (
                Approver::HrOfUnit,
                [false, false, false, true, false, false],
            ),
            (Approver::Manager, [false, true, false, false, false, false]),
            (Approver::Chain, [true, true, false, false, false, false]),
            (Approver::Nobody, [false; 6]),
        ];
        for (version, (approver, decide)) in (0..).zip(expected) {
            firm.approver(store, version, approver).await;
            for (viewer, decides) in everybody.into_iter().zip(decide) {
                let mine = viewer == &firm.eve;
                let listed = store.corrections(viewer, Of::ToDecide, None).await.unwrap();
                let counted = store.frame_counts(viewer).await.unwrap().corrections;
                let profile = store
                    .open_corrections_of(viewer, firm.eve.id().unwrap())
                    .await
                    .unwrap();
                assert_eq!(listed.items.len(), usize::from(decides), "{approver:?}");
                assert_eq!(counted, u64::from(decides), "{approver:?}");
                assert_eq!(profile.len(), usize::from(decides || mine), "{approver:?}");
                match store.correction(viewer, id).await {
                    Ok(one) => assert_eq!((one.decidable, decides || mine), (decides, true)),
                    Err(Error::NotFound) => assert!(!decides && !mine, "{approver:?}"),
                    Err(other) => panic!("{other:?}"),
                }
                if !decides {
                    for answer in [
                        store.accept_correction(viewer, id).await,
                        store.decline_correction(viewer, id, "no").await,
                        store.retry_correction(viewer, id).await,
                    ] {
                        assert!(matches!(answer, Err(Error::NotFound)), "{answer:?}");
                    }
                }
                if !mine {
                    let answer = store.withdraw_correction(viewer, id).await;
                    assert!(matches!(answer, Err(Error::NotFound)), "{answer:?}");
                }
            }
        }
        assert_eq!(state(store, &firm.eve, id).await, State::Proposed);
        let own = store.corrections(&firm.eve, Of::Mine, None).await.unwrap();
        assert_eq!(own.items.len(), 1);
        assert_eq!(recorded(store).await, ["proposed"]);
    })
    .await;
}

#[tokio::test]
async fn a_private_value_is_for_hr_alone_and_seeing_it_is_recorded() {
    support::everywhere(async |world| {
        let firm = Firm::found(world).await;
        let store = &world.store;
        firm.approver(store, 0, Approver::Chain).await;
        let ask = store.propose_correction(
            &firm.eve,
            "birthDate",
            "1984-03-01".into(),
            "My passport says so",
        );
        let id = ask.await.unwrap().id;
        for viewer in [&firm.ada, &firm.bo] {
            let answer = store.correction(viewer, id).await;
            assert!(matches!(answer, Err(Error::NotFound)), "{answer:?}");
            assert_eq!(store.frame_counts(viewer).await.unwrap().corrections, 0);
        }
        let listed = store.corrections(&firm.hana, Of::ToDecide, None).await;
        assert_eq!(listed.unwrap().items[0].value, "1984-03-01".into());
        store.accept_correction(&firm.hana, id).await.unwrap();
        let rows = world
            .rows("SELECT action, detail FROM audit_entries ORDER BY seq", [])
            .await;
        let mut seen = 0;
        for row in rows {
            let action: String = row.try_get_by_index(0).unwrap();
            let detail: String = row.try_get_by_index(1).unwrap();
            assert!(!detail.contains("1984-"), "{action} tells a private value");
            assert!(
                !detail.contains("passport"),
                "{action} tells of a private value"
            );
            seen += u32::from(action == "profile.private_read");
        }
        assert_eq!(seen, 2, "the list and the page after the decision");
    })
    .await;
}

#[tokio::test]
async fn one_decision_is_made_however_many_come_at_once() {
    support::everywhere(async |world| {
        let firm = Firm::found(world).await;
        let store = &world.store;
        let id = propose(store, &firm.eve, "Forge Lead").await.id;
        let yes = (0..4).map(|_| store.accept_correction(&firm.hana, id));
        let (yes, no, back) = futures::join!(
            futures::future::join_all(yes),
            store.decline_correction(&firm.hana, id, "It is not so"),
            store.withdraw_correction(&firm.eve, id),
        );
        let answers: Vec<_> = yes.into_iter().chain([no, back]).collect();
        let made = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(made, 1, "{answers:?}");
        for answer in answers {
            if answer.is_err() {
                assert_eq!(conflict(answer), "already_decided");
            }
        }
        assert_eq!(recorded(store).await.len(), 2);
        assert!(store.verify_audit(&SYSTEM, vec![]).await.unwrap().ok);
    })
    .await;
}

#[tokio::test]
async fn a_decline_needs_a_reason_and_makes_room_for_another_try() {
    support::everywhere(async |world| {
        let firm = Firm::found(world).await;
        let store = &world.store;
        let id = propose(store, &firm.eve, "Queen").await.id;
        let Err(Error::Invalid(wrong)) = store.decline_correction(&firm.hana, id, " \n").await
        else {
            panic!("declined without a reason");
        };
        assert_eq!((wrong[0].field(), wrong[0].code()), ("reason", "required"));
        let declined = store
            .decline_correction(&firm.hana, id, "No such post")
            .await;
        let declined = declined.unwrap();
        assert_eq!(declined.state, State::Declined);
        let told = store.correction(&firm.eve, id).await.unwrap();
        assert_eq!(told.reason.as_deref(), Some("No such post"));
        assert_eq!(told.decided_by.unwrap().display_name, "Hana");
        assert_eq!(
            conflict(store.accept_correction(&firm.hana, id).await),
            "already_decided"
        );
        let open = store
            .open_corrections_of(&firm.eve, firm.eve.id().unwrap())
            .await;
        assert!(open.unwrap().is_empty());
        let again = propose(store, &firm.eve, "Forge Lead").await.id;
        store.withdraw_correction(&firm.eve, again).await.unwrap();
        assert_eq!(state(store, &firm.eve, again).await, State::Withdrawn);
        let mine = store.corrections(&firm.eve, Of::Mine, None).await.unwrap();
        let mine: Vec<_> = mine.items.iter().map(|one| one.id).collect();
        assert_eq!(mine, [again, id], "the latest first");
        let over = store.corrections(&firm.hana, Of::Over, None).await.unwrap();
        assert_eq!(over.items.len(), 2);
        assert_eq!(
            recorded(store).await,
            ["proposed", "declined", "proposed", "withdrawn"]
        );
        assert!(
            store
                .take_due_corrections(&SYSTEM)
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn what_was_accepted_is_sent_once_and_confirmed_by_the_next_read() {
    support::everywhere(async |world| {
        let firm = Firm::found(world).await;
        let store = &world.store;
        let id = propose(store, &firm.eve, "Forge Lead").await.id;
        assert!(
            store
                .take_due_corrections(&SYSTEM)
                .await
                .unwrap()
                .is_empty()
        );
        let accepted = store.accept_correction(&firm.hana, id).await.unwrap();
        assert_eq!(accepted.state, State::Accepted);

        let due = store.take_due_corrections(&SYSTEM).await.unwrap();
        assert_eq!(due.len(), 1);
        assert_eq!(
            (due[0].id, due[0].source, due[0].external_id.as_str()),
            (id, firm.source, "e")
        );
        assert_eq!(
            (due[0].attribute, &due[0].value),
            (Attribute::Title, &"Forge Lead".into())
        );
        assert!(
            store
                .take_due_corrections(&SYSTEM)
                .await
                .unwrap()
                .is_empty(),
            "nobody else sends it meanwhile"
        );
        let by_person = store.take_due_corrections(&firm.hana).await;
        assert!(matches!(by_person, Err(Error::NotFound)), "{by_person:?}");

        // A worker that died after sending: it is due again, and the source takes the same value twice.
        minutes(world, 6);
        let again = store.take_due_corrections(&SYSTEM).await.unwrap();
        assert_eq!(again, due);
        store.correction_written(&SYSTEM, id).await.unwrap();
        store.correction_written(&SYSTEM, id).await.unwrap();
        let written = store.correction(&firm.eve, id).await.unwrap();
        assert_eq!((written.state, written.tries), (State::Written, 2));
        assert_eq!(written.written_at, Some(world.clock.now()));
        // What is on its way is not the ERP's word yet.
        let fitter = Some(Value::from("Fitter"));
        assert_eq!(title(store, &firm.eve).await, (fitter.clone(), fitter));
        assert_eq!(
            conflict(store.withdraw_correction(&firm.eve, id).await),
            "already_decided"
        );

        minutes(world, 5);
        sync(store, firm.source, &firm.titled("Forge Lead")).await;
        let confirmed = store.correction(&firm.eve, id).await.unwrap();
        assert_eq!(confirmed.state, State::Confirmed);
        assert_eq!((confirmed.trouble, confirmed.due_at), (None, None));
        let lead = Some(Value::from("Forge Lead"));
        assert_eq!(title(store, &firm.eve).await, (lead.clone(), lead));
        assert_eq!(
            recorded(store).await,
            ["proposed", "accepted", "written", "confirmed"]
        );
        // A later read says nothing about what is over.
        minutes(world, 5);
        sync(store, firm.source, &firm.titled("Forge Head")).await;
        assert_eq!(state(store, &firm.eve, id).await, State::Confirmed);
        assert!(store.verify_audit(&SYSTEM, vec![]).await.unwrap().ok);
    })
    .await;
}

#[tokio::test]
async fn a_source_that_does_not_keep_the_value_is_told_of() {
    support::everywhere(async |world| {
        let firm = Firm::found(world).await;
        let store = &world.store;
        let id = propose(store, &firm.eve, "Forge Lead").await.id;
        store.accept_correction(&firm.hana, id).await.unwrap();
        // A read that began before the writing proves nothing by its old value.
        minutes(world, 1);
        let run = store
            .begin_run(&SYSTEM, firm.source, false)
            .await
            .unwrap()
            .id;
        minutes(world, 1);
        store.take_due_corrections(&SYSTEM).await.unwrap();
        store.correction_written(&SYSTEM, id).await.unwrap();
        minutes(world, 1);
        finish(store, run, &firm.workers).await;
        assert_eq!(state(store, &firm.eve, id).await, State::Written);

        minutes(world, 1);
        sync(store, firm.source, &firm.workers).await;
        let failed = store.correction(&firm.eve, id).await.unwrap();
        assert_eq!(failed.state, State::Failed);
        assert_eq!(failed.trouble.unwrap().code, "not_kept");

        let retried = store.retry_correction(&firm.hana, id).await.unwrap();
        assert_eq!((retried.state, retried.trouble), (State::Accepted, None));
        assert_eq!(store.take_due_corrections(&SYSTEM).await.unwrap().len(), 1);
        store.correction_written(&SYSTEM, id).await.unwrap();
        minutes(world, 1);
        sync(store, firm.source, &firm.titled("Forge Lead")).await;
        assert_eq!(state(store, &firm.eve, id).await, State::Confirmed);
    })
    .await;
}

#[tokio::test]
async fn a_source_that_says_a_third_thing_overtakes_the_correction() {
    support::everywhere(async |world| {
        let firm = Firm::found(world).await;
        let store = &world.store;
        for accept in [false, true] {
            let id = propose(store, &firm.eve, "Forge Lead").await.id;
            if accept {
                store.accept_correction(&firm.hana, id).await.unwrap();
                store.take_due_corrections(&SYSTEM).await.unwrap();
            }
            minutes(world, 1);
            sync(store, firm.source, &firm.titled("Welder")).await;
            let overtaken = store.correction(&firm.eve, id).await.unwrap();
            assert_eq!(overtaken.state, State::Superseded, "{accept}");
            assert_eq!(overtaken.said, Some("Welder".into()));
            assert_eq!(overtaken.trouble.unwrap().code, "other_value");
            // What a worker reports afterwards changes nothing.
            store.correction_written(&SYSTEM, id).await.unwrap();
            assert_eq!(state(store, &firm.eve, id).await, State::Superseded);
            minutes(world, 1);
            sync(store, firm.source, &firm.workers).await;
        }
        // Somebody mended it in the source without waiting.
        let id = propose(store, &firm.eve, "Forge Lead").await.id;
        minutes(world, 1);
        sync(store, firm.source, &firm.titled("Forge Lead")).await;
        assert_eq!(state(store, &firm.eve, id).await, State::Confirmed);
    })
    .await;
}

#[tokio::test]
async fn a_correction_of_somebody_who_left_is_over() {
    support::everywhere(async |world| {
        let firm = Firm::found(world).await;
        let store = &world.store;
        let id = propose(store, &firm.eve, "Forge Lead").await.id;
        minutes(world, 1);
        let stayed: Vec<_> = firm
            .workers
            .iter()
            .filter(|worker| worker.external_id != "e")
            .cloned()
            .collect();
        sync(store, firm.source, &stayed).await;
        let over = store.correction(&firm.hana, id).await.unwrap();
        assert_eq!(over.state, State::Superseded);
        assert_eq!(over.trouble.unwrap().code, "gone");
        assert_eq!(store.frame_counts(&firm.hana).await.unwrap().corrections, 0);
    })
    .await;
}

#[tokio::test]
async fn a_source_that_is_not_reached_is_tried_again_and_then_given_up() {
    support::everywhere(async |world| {
        let firm = Firm::found(world).await;
        let store = &world.store;
        let id = propose(store, &firm.eve, "Forge Lead").await.id;
        store.accept_correction(&firm.hana, id).await.unwrap();
        let down = || Trouble {
            code: "unreachable".into(),
            text: "not reached: connection refused".into(),
        };
        let again = Again::After(TimeDelta::zero());
        let mut last = TimeDelta::zero();
        for tried in 1..=TRIES {
            assert_eq!(store.take_due_corrections(&SYSTEM).await.unwrap().len(), 1);
            store
                .correction_not_written(&SYSTEM, id, down(), again)
                .await
                .unwrap();
            let now = store.correction(&firm.eve, id).await.unwrap();
            assert_eq!(now.tries, tried);
            assert_eq!(now.trouble, Some(down()));
            if tried == TRIES {
                assert_eq!((now.state, now.due_at), (State::Failed, None));
                break;
            }
            assert_eq!(now.state, State::Accepted);
            let wait = now.due_at.unwrap() - world.clock.now();
            assert!(wait > last, "{wait} after {last}");
            last = wait;
            let early = (wait - TimeDelta::seconds(1)).to_std().unwrap();
            world.clock.advance(early);
            assert!(
                store
                    .take_due_corrections(&SYSTEM)
                    .await
                    .unwrap()
                    .is_empty()
            );
            world.clock.advance(Duration::from_secs(1));
        }
        minutes(world, 600);
        assert!(
            store
                .take_due_corrections(&SYSTEM)
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(recorded(store).await, ["proposed", "accepted", "failed"]);

        // Tried anew by hand it counts from the start; what cannot go better is given up at once.
        store.retry_correction(&firm.hana, id).await.unwrap();
        store.take_due_corrections(&SYSTEM).await.unwrap();
        let refused = Trouble {
            code: "forbidden".into(),
            text: "the key may not write title".into(),
        };
        store
            .correction_not_written(&SYSTEM, id, refused.clone(), Again::Never)
            .await
            .unwrap();
        let failed = store.correction(&firm.eve, id).await.unwrap();
        assert_eq!(
            (failed.state, failed.tries, failed.trouble),
            (State::Failed, 1, Some(refused))
        );
        assert_eq!(
            conflict(
                store
                    .retry_correction(&firm.hana, id)
                    .await
                    .and(store.retry_correction(&firm.hana, id).await)
            ),
            "already_decided"
        );
        // One that is told to wait longer waits longer.
        store.take_due_corrections(&SYSTEM).await.unwrap();
        let later = Again::After(TimeDelta::hours(2));
        store
            .correction_not_written(&SYSTEM, id, down(), later)
            .await
            .unwrap();
        let due = store.correction(&firm.eve, id).await.unwrap().due_at;
        assert_eq!(due, Some(world.clock.now() + TimeDelta::hours(2)));
    })
    .await;
}

#[tokio::test]
async fn what_nothing_can_write_waits_to_be_mended_by_hand() {
    support::everywhere(async |world| {
        let firm = Firm::found(world).await;
        let store = &world.store;
        let id = propose(store, &firm.eve, "Forge Lead").await.id;
        store.accept_correction(&firm.hana, id).await.unwrap();
        store.take_due_corrections(&SYSTEM).await.unwrap();
        store.correction_by_hand(&SYSTEM, id).await.unwrap();
        minutes(world, 1);
        sync(store, firm.source, &firm.workers).await;
        assert_eq!(
            state(store, &firm.eve, id).await,
            State::ByHand,
            "nobody has mended it yet"
        );
        let under_way = store.corrections(&firm.hana, Of::UnderWay, None).await;
        assert_eq!(under_way.unwrap().items.len(), 1);
        minutes(world, 1);
        sync(store, firm.source, &firm.titled("Forge Lead")).await;
        assert_eq!(state(store, &firm.eve, id).await, State::Confirmed);
        assert_eq!(
            recorded(store).await,
            ["proposed", "accepted", "by_hand", "confirmed"]
        );
    })
    .await;
}

#[tokio::test]
async fn the_policy_has_versions_and_a_way_back() {
    support::everywhere(async |world| {
        let firm = Firm::found(world).await;
        let store = &world.store;
        let set = async |viewer: &Viewer, read, otherwise, named: &[(Attribute, Approver)]| {
            let named = named.iter().copied().collect();
            store
                .set_policy::<Corrections>(
                    viewer,
                    read,
                    Approvers {
                        attributes: named,
                        ..approvers(otherwise)
                    },
                    "why",
                )
                .await
        };
        for viewer in [&firm.eve, &firm.hana, &firm.ada] {
            let answer = set(viewer, 0, Approver::Chain, &[]).await;
            assert!(matches!(answer, Err(Error::Forbidden)), "{answer:?}");
            assert_eq!(
                store.policy::<Corrections>(viewer).await.unwrap().version,
                0
            );
        }
        let private = [(Attribute::BirthDate, Approver::Manager)];
        let answer = set(&firm.pia, 0, Approver::Chain, &private).await;
        assert!(matches!(answer, Err(Error::Invalid(_))), "{answer:?}");
        let named = [(Attribute::Title, Approver::Chain)];
        set(&firm.pia, 0, Approver::HrOfUnit, &named).await.unwrap();
        set(&firm.pia, 1, Approver::Nobody, &[]).await.unwrap();
        assert_eq!(
            conflict(set(&firm.pia, 1, Approver::Chain, &[]).await),
            "stale_version"
        );
        let kind = domain::policy::Kind::Corrections;
        let back = store.roll_back(&firm.pia, kind, 2, 1, "as it was").await;
        assert_eq!(back.unwrap(), 3);
        let policy = store.policy::<Corrections>(&firm.eve).await.unwrap();
        assert_eq!(policy.approver(Attribute::Title), Approver::Chain);
        assert_eq!(policy.approver(Attribute::Emails), Approver::HrOfUnit);
        let history = store
            .policy_history::<Corrections>(&firm.eve)
            .await
            .unwrap();
        let versions: Vec<_> = history.iter().map(|one| one.version.version).collect();
        assert_eq!(versions, [3, 2, 1]);
        assert_eq!(history[0].set_by_name.as_deref(), Some("Pia"));
    })
    .await;
}

#[tokio::test]
async fn a_long_list_is_told_in_pages_without_a_gap() {
    support::everywhere(async |world| {
        let firm = Firm::found(world).await;
        let store = &world.store;
        let mut ids = Vec::new();
        for at in 0..103 {
            let id = propose(store, &firm.eve, &format!("Title {at}")).await.id;
            store.withdraw_correction(&firm.eve, id).await.unwrap();
            ids.push(id);
            world.clock.advance(Duration::from_secs(1));
        }
        let mut found = Vec::new();
        let mut cursor = None;
        loop {
            let page = store
                .corrections(&firm.hana, Of::Over, cursor.as_deref())
                .await
                .unwrap();
            assert!(page.items.len() <= 50);
            found.extend(page.items.iter().map(|one| one.id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        ids.reverse();
        assert_eq!(found, ids);
        let wrong = store.corrections(&firm.hana, Of::Over, Some("x")).await;
        assert!(matches!(wrong, Err(Error::Invalid(_))), "{wrong:?}");
    })
    .await;
}

impl Firm {
    /// Whom the viewer is told to decide about, by title.
    async fn asked(&self, store: &Store, viewer: &Viewer) -> usize {
        let page = store.corrections(viewer, Of::ToDecide, None).await.unwrap();
        assert!(page.items.iter().all(|one| one.decidable));
        page.items.len()
    }

    async fn stands_in(&self, world: &World, manager: &Viewer, delegate: &Viewer) {
        let today = world.store.today();
        let request = domain::delegation::Request {
            delegate: delegate.id().unwrap(),
            from: today,
            until: today + TimeDelta::days(7),
        };
        let manager = manager.id().unwrap();
        world
            .store
            .set_delegate(&self.hana, manager, request)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn who_stands_in_for_an_approver_decides_in_that_time() {
    support::everywhere(async |world| {
        let firm = Firm::found(world).await;
        let store = &world.store;
        firm.approver(store, 0, Approver::Manager).await;
        let title = store
            .propose_correction(&firm.eve, "title", "Lead".into(), "is so")
            .await;
        let title = title.unwrap();
        let birth = store
            .propose_correction(&firm.eve, "birthDate", "1984-03-01".into(), "is so")
            .await;
        birth.unwrap();
        assert_eq!(
            (
                firm.asked(store, &firm.bo).await,
                firm.asked(store, &firm.cy).await
            ),
            (1, 0)
        );
        assert!(!store.may_decide_corrections(&firm.cy).await.unwrap());
        firm.stands_in(world, &firm.bo, &firm.cy).await;
        assert!(store.may_decide_corrections(&firm.cy).await.unwrap());
        // What superiors may not see, who stands in for one does not see either.
        assert_eq!(firm.asked(store, &firm.cy).await, 1);
        let prospects = store.correction_prospects(&firm.eve).await.unwrap();
        let names = |attribute| {
            let approvers = prospects[&attribute].approvers.iter();
            approvers
                .map(|one| one.display_name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(Attribute::Title), ["Bo", "Cy"]);
        assert_eq!(names(Attribute::BirthDate), ["Hana"]);
        // Nobody becomes the judge of those above themselves, nor of themselves.
        firm.stands_in(world, &firm.ada, &firm.eve).await;
        for viewer in [&firm.eve, &firm.pia] {
            assert_eq!(firm.asked(store, viewer).await, 0);
        }
        let above = store
            .propose_correction(&firm.bo, "title", "Chief".into(), "is so")
            .await;
        let above = above.unwrap();
        let decided = store.accept_correction(&firm.eve, above.id).await;
        assert!(matches!(decided, Err(Error::NotFound)));

        // The time is over with its last day.
        world.clock.advance(Duration::from_secs(9 * 24 * 60 * 60));
        assert_eq!(firm.asked(store, &firm.cy).await, 0);
        firm.stands_in(world, &firm.bo, &firm.cy).await;
        let accepted = store.accept_correction(&firm.cy, title.id).await.unwrap();
        assert_eq!(accepted.decided_by.unwrap().display_name, "Cy");
    })
    .await;
}

#[tokio::test]
async fn hr_of_the_unit_is_who_is_nearest() {
    support::everywhere(async |world| {
        let mut firm = Firm::found(world).await;
        let store = &world.store;
        // Bo is HR of the works, Hana sits beside it, and Ada above both.
        for (one, unit) in [
            ("b", "works"),
            ("e", "hall"),
            ("h", "office"),
            ("a", "all"),
            ("c", "all"),
            ("p", "office"),
        ] {
            let worker = firm
                .workers
                .iter_mut()
                .find(|worker| worker.external_id == one);
            worker.unwrap().unit = Some(unit.into());
        }
        let unit = |id: &str, parent: Option<&str>| OrgUnit {
            external_id: id.into(),
            name: id.into(),
            parent: parent.map(str::to_owned),
            heads: Vec::new(),
        };
        let units = vec![
            unit("all", None),
            unit("works", Some("all")),
            unit("hall", Some("works")),
            unit("office", Some("all")),
        ];
        let run = store
            .begin_run(&SYSTEM, firm.source, false)
            .await
            .unwrap()
            .id;
        store
            .read_units(&SYSTEM, run, units, Vec::new(), Vec::new())
            .await
            .unwrap();
        let read = Read {
            workers: firm.workers.clone(),
            faults: Vec::new(),
        };
        store.read_page(&SYSTEM, run, read).await.unwrap();
        if store.plan_run(&SYSTEM, run, None).await.unwrap().phase == store::run::Phase::Waiting {
            store.approve_run(&SYSTEM, run).await.unwrap();
        }
        while store.apply_run(&SYSTEM, run).await.unwrap() > 0 {}
        store.end_run(&SYSTEM, run, None).await.unwrap();

        let hr = |viewer: &Viewer| {
            let roles: Roles = [Role::Hr].into_iter().collect();
            Viewer::person(viewer.id().unwrap(), roles)
        };
        let grant = async |viewer: &Viewer| {
            let roles: Roles = [Role::Hr].into_iter().collect();
            let update = "UPDATE accounts SET roles = $2 WHERE employee_id = $1";
            let values = [viewer.id().unwrap().0.into(), roles.to_string().into()];
            world.execute(update, values).await;
        };
        store
            .propose_correction(&firm.eve, "title", "Lead".into(), "is so")
            .await
            .unwrap();
        store
            .propose_correction(&firm.cy, "title", "Lead".into(), "is so")
            .await
            .unwrap();
        assert_eq!(
            firm.asked(store, &firm.hana).await,
            2,
            "the only one there is"
        );
        grant(&firm.bo).await;
        let bo = hr(&firm.bo);
        assert_eq!(
            (
                firm.asked(store, &bo).await,
                firm.asked(store, &firm.hana).await
            ),
            (2, 1)
        );
        let prospects = store.correction_prospects(&firm.eve).await.unwrap();
        let names: Vec<_> = prospects[&Attribute::Title]
            .approvers
            .iter()
            .map(|one| one.display_name.as_str())
            .collect();
        assert_eq!(names, ["Bo"]);
        // Whoever is HR in the unit above all is nobody's in particular.
        grant(&firm.ada).await;
        let ada = hr(&firm.ada);
        assert_eq!(firm.asked(store, &ada).await, 1);
        assert_eq!(
            (
                firm.asked(store, &bo).await,
                firm.asked(store, &firm.hana).await
            ),
            (2, 1)
        );
    })
    .await;
}

#[tokio::test]
async fn superiors_by_dotted_line_decide_only_if_the_policy_says_so() {
    support::everywhere(async |world| {
        let mut firm = Firm::found(world).await;
        let store = &world.store;
        let eve = firm
            .workers
            .iter_mut()
            .find(|one| one.external_id == "e")
            .unwrap();
        eve.dotted = vec!["c".into()];
        sync(store, firm.source, &firm.workers).await;
        firm.approver(store, 0, Approver::Chain).await;
        store
            .propose_correction(&firm.eve, "title", "Lead".into(), "is so")
            .await
            .unwrap();
        assert_eq!(firm.asked(store, &firm.cy).await, 0);
        let set = |read, dotted| {
            store.set_policy::<Corrections>(
                &firm.pia,
                read,
                Approvers {
                    dotted,
                    ..approvers(Approver::Manager)
                },
                "",
            )
        };
        assert!(set(1, true).await.unwrap().approvers.dotted);
        assert_eq!(firm.asked(store, &firm.cy).await, 1);
        assert!(store.may_decide_corrections(&firm.cy).await.unwrap());
        let prospects = store.correction_prospects(&firm.eve).await.unwrap();
        let names: Vec<_> = prospects[&Attribute::Title]
            .approvers
            .iter()
            .map(|one| one.display_name.as_str())
            .collect();
        assert_eq!(names, ["Bo", "Cy"]);
        let back = store
            .roll_back(&firm.pia, domain::policy::Kind::Corrections, 2, 1, "")
            .await;
        assert_eq!(back.unwrap(), 3);
        assert_eq!(firm.asked(store, &firm.cy).await, 0);
    })
    .await;
}

#[tokio::test]
async fn another_superior_is_proposed_written_by_the_sources_id_and_confirmed() {
    support::everywhere(async |world| {
        let mut firm = Firm::found(world).await;
        let store = &world.store;
        let id = |viewer: &Viewer| Value::from(viewer.id().unwrap().to_string());
        let propose = async |who: &Viewer, value: Value| {
            store
                .propose_correction(who, "manager", value, "since Monday")
                .await
        };
        for (who, value) in [
            (&firm.eve, id(&firm.eve)),
            (&firm.bo, id(&firm.eve)),
            (&firm.eve, id(&firm.bo)),
            (&firm.eve, "Cy".into()),
            (&firm.eve, world.uuid().to_string().into()),
        ] {
            let Err(Error::Invalid(wrong)) = propose(who, value.clone()).await else {
                panic!("{value:?} is no superior of theirs, or is theirs already")
            };
            assert_eq!(wrong[0].field(), "value");
        }
        let proposed = propose(&firm.eve, id(&firm.cy)).await.unwrap();
        assert_eq!(proposed.read(&proposed.value), "Cy");
        assert_eq!(proposed.read(proposed.was.as_ref().unwrap()), "Bo");
        store
            .accept_correction(&firm.hana, proposed.id)
            .await
            .unwrap();
        let due = store.take_due_corrections(&SYSTEM).await.unwrap();
        assert_eq!(
            (due[0].external_id.as_str(), &due[0].value),
            ("e", &"c".into())
        );
        store
            .correction_written(&SYSTEM, proposed.id)
            .await
            .unwrap();
        minutes(world, 1);
        let eve = firm
            .workers
            .iter_mut()
            .find(|one| one.external_id == "e")
            .unwrap();
        eve.manager = Some("c".into());
        sync(store, firm.source, &firm.workers).await;
        let over = store.correction(&firm.eve, proposed.id).await.unwrap();
        assert_eq!(over.state, State::Confirmed);

        // Whoever left the source meanwhile cannot be written into it: somebody has to see to it.
        let next = propose(&firm.eve, id(&firm.pia)).await.unwrap();
        store.accept_correction(&firm.hana, next.id).await.unwrap();
        let gone = "UPDATE erp_records SET active = FALSE WHERE external_id = $1";
        world.execute(gone, ["p".into()]).await;
        assert_eq!(store.take_due_corrections(&SYSTEM).await.unwrap(), []);
        let next = store.correction(&firm.eve, next.id).await.unwrap();
        assert_eq!(next.state, State::ByHand);
    })
    .await;
}

#[tokio::test]
async fn who_is_below_by_now_is_not_written_as_the_superior() {
    support::everywhere(async |world| {
        let mut firm = Firm::found(world).await;
        let store = &world.store;
        let pia = Value::from(firm.pia.id().unwrap().to_string());
        let proposed = store
            .propose_correction(&firm.eve, "manager", pia, "since Monday")
            .await
            .unwrap();
        let mut below = async |manager: &str| {
            minutes(world, 1);
            let pia = firm.workers.iter_mut().find(|one| one.name() == "Pia");
            pia.unwrap().manager = Some(manager.into());
            sync(store, firm.source, &firm.workers).await;
        };
        below("e").await;
        store
            .accept_correction(&firm.hana, proposed.id)
            .await
            .unwrap();
        assert_eq!(store.take_due_corrections(&SYSTEM).await.unwrap(), []);
        let failed = store.correction(&firm.eve, proposed.id).await.unwrap();
        assert_eq!(failed.state, State::Failed);
        assert_eq!(failed.trouble.unwrap().code, "superior_below");
        assert_eq!(
            recorded(store).await,
            ["proposed", "accepted", "failed"].map(str::to_owned)
        );

        below("a").await;
        store
            .retry_correction(&firm.hana, proposed.id)
            .await
            .unwrap();
        let due = store.take_due_corrections(&SYSTEM).await.unwrap();
        assert_eq!(due[0].value, "p".into());
    })
    .await;
}

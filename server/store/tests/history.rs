//! The past of values: what each layer said when, and what was shown then.

mod support;

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use domain::{
    Attribute, EmployeeId, Role, Roles, RunId, SourceId, Value, Viewer,
    erp::{OrgUnit, Worker},
    sourcing::{Origin, Rule, Rules, Strength},
};
use store::{
    Error, Store,
    history::{Cause, ValueHistory},
    profile::Profile,
    run::{Phase, Read},
};
use support::{World, firm};

const SYSTEM: Viewer = Viewer::system("test");

fn worker(id: &str, title: &str, unit: &str, manager: Option<&str>) -> Worker {
    let mut worker = firm::worker(id, &format!("Name {id}"), manager, Some(unit));
    firm::set(&mut worker, Attribute::Title, title);
    firm::set(&mut worker, Attribute::BirthDate, "1990-01-31");
    worker
}

fn units(names: [&str; 2]) -> Vec<OrgUnit> {
    let unit = |(id, name): (&str, &str)| OrgUnit {
        external_id: id.into(),
        name: name.into(),
        parent: None,
        heads: Vec::new(),
    };
    ["u1", "u2"].into_iter().zip(names).map(unit).collect()
}

async fn sync(world: &World, source: SourceId, units: Vec<OrgUnit>, workers: &[Worker]) -> RunId {
    let store = &world.store;
    let run = store.begin_run(&SYSTEM, source, false).await.unwrap().id;
    store
        .read_units(&SYSTEM, run, units, vec![], vec![])
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
    run
}

async fn id(world: &World, external_id: &str) -> EmployeeId {
    let ask = "SELECT employee_id FROM erp_records WHERE external_id = $1";
    let rows = world.rows(ask, [external_id.into()]).await;
    EmployeeId(rows[0].try_get_by_index(0).unwrap())
}

/// An hour later; answers the moment between.
async fn later(world: &World) -> DateTime<Utc> {
    world.clock.advance(Duration::from_secs(1800));
    let between = world.clock.now();
    world.clock.advance(Duration::from_secs(1800));
    between
}

async fn edit(store: &Store, who: EmployeeId, attribute: Attribute, value: Option<&str>) {
    let me = Viewer::person(who, Roles::EMPLOYEE);
    let edits = BTreeMap::from([(attribute.name().to_owned(), value.map(Value::from))]);
    store.edit_profile(&me, who, edits).await.unwrap();
}

async fn rule(store: &Store, version: u32, strength: Option<Strength>) {
    let rules = strength.map(|strength| Rule {
        id: 0,
        attribute: Attribute::Title,
        unit: None,
        source: None,
        strength,
        enforced: false,
        empty_wins: false,
    });
    let rules = rules.into_iter().collect();
    store
        .set_policy::<Rules>(&SYSTEM, version, rules, "")
        .await
        .unwrap();
}

fn shown(profile: &Profile, attribute: Attribute) -> Option<String> {
    let value = profile
        .values
        .iter()
        .find(|value| value.attribute == attribute)?;
    value.resolved.value.as_ref().map(ToString::to_string)
}

/// What was shown from each change on, the latest first.
fn line(history: &ValueHistory) -> Vec<(&'static str, Option<String>, Origin)> {
    let kind = |cause: &Cause| match cause {
        Cause::Came => "came",
        Cause::Run { undo: true, .. } => "undo",
        Cause::Run { .. } => "run",
        Cause::Source { .. } => "source",
        Cause::Edit { .. } => "edit",
        Cause::Rules { .. } => "rules",
    };
    let changes = history.changes.iter();
    changes
        .map(|one| {
            (
                kind(&one.cause),
                one.shown.as_ref().map(ToString::to_string),
                one.origin,
            )
        })
        .collect()
}

#[tokio::test]
async fn a_value_has_a_past_with_source_run_and_rule() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let names = ["Works", "Office"];
        sync(world, source, units(names), &[worker("a", "Fitter", "u1", None)]).await;
        let ada = id(world, "a").await;
        assert_eq!(world.count("SELECT count(*) FROM value_history").await, 0, "a first load costs nothing");
        let at_first = later(world).await;
        let run = sync(world, source, units(names), &[worker("a", "Lead", "u1", None)]).await;
        let as_lead = later(world).await;
        edit(store, ada, Attribute::Title, Some("Queen of bolts")).await;
        let as_queen = later(world).await;
        rule(store, store.policy::<Rules>(&SYSTEM).await.unwrap().version, Some(Strength::Strong)).await;
        let under_rule = later(world).await;
        let late = sync(world, source, units(names), &[worker("a", "Chief", "u1", None)]).await;
        let as_chief = later(world).await;
        rule(store, store.policy::<Rules>(&SYSTEM).await.unwrap().version, None).await;
        later(world).await;
        edit(store, ada, Attribute::Title, None).await;
        later(world).await;

        let me = Viewer::person(ada, Roles::EMPLOYEE);
        let history = store.value_history(&me, ada, Attribute::Title).await.unwrap();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            line(&history),
            [
                ("edit", text("Chief"), Origin::ErpOnly),
                ("rules", text("Queen of bolts"), Origin::Own),
                ("run", text("Chief"), Origin::Erp),
                ("rules", text("Lead"), Origin::Erp),
                ("edit", text("Queen of bolts"), Origin::Own),
                ("run", text("Lead"), Origin::ErpOnly),
                ("came", text("Fitter"), Origin::ErpOnly),
            ]
        );
        let told = &history.changes[2];
        assert_eq!((told.from.clone(), told.to.clone()), (Some("Lead".into()), Some("Chief".into())));
        assert!(matches!(&told.cause, Cause::Run { run, source_name, .. } if *run == late && source_name == "ERP"));
        assert_eq!(told.rule.rule.strength, Strength::Strong);
        assert!(matches!(history.changes[5].cause, Cause::Run { run: one, .. } if one == run));
        assert!(matches!(history.changes[4].cause, Cause::Edit { by: Some(by) } if by == ada));

        for (at, title) in [
            (at_first, "Fitter"),
            (as_lead, "Lead"),
            (as_queen, "Queen of bolts"),
            (under_rule, "Lead"),
            (as_chief, "Chief"),
        ] {
            let then = store.profile_on(&me, ada, at).await.unwrap().profile.unwrap();
            assert_eq!(shown(&then, Attribute::Title).as_deref(), Some(title), "{at}");
        }
        let kept = store.profile_on(&me, ada, under_rule).await.unwrap().profile.unwrap();
        let title = kept.values.iter().find(|value| value.attribute == Attribute::Title).unwrap();
        assert_eq!(title.resolved.kept, Some("Queen of bolts".into()));
        assert_eq!(title.own.as_ref().map(|own| own.value.clone()), Some("Queen of bolts".into()));
        let before = at_first - chrono::TimeDelta::days(1);
        assert_eq!(store.profile_on(&me, ada, before).await.unwrap().profile, None, "not here yet");
    })
    .await;
}

#[tokio::test]
async fn units_superiors_and_going_have_a_past_and_an_undo_is_part_of_it() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        world
            .execute("UPDATE sources SET leaver_percent = 100", [])
            .await;
        let first = [
            worker("a", "Head", "u1", None),
            worker("b", "Fitter", "u1", Some("a")),
            worker("c", "Fitter", "u2", Some("a")),
        ];
        sync(world, source, units(["Works", "Office"]), &first).await;
        let (ada, bo) = (id(world, "a").await, id(world, "b").await);
        let cy = id(world, "c").await;
        let in_works = later(world).await;
        sync(world, source, units(["Great works", "Office"]), &first).await;
        let in_great_works = later(world).await;
        let mut moved = first.clone();
        (moved[1].unit, moved[1].manager) = (Some("u2".into()), Some("c".into()));
        sync(world, source, units(["Great works", "Office"]), &moved).await;
        let in_office = later(world).await;
        let accident = sync(world, source, units(["Great works", "Office"]), &moved[..1]).await;
        let gone = later(world).await;
        let undo = store.undo_run(&SYSTEM, accident).await.unwrap().id;
        let planned = store.plan_undo(&SYSTEM, undo).await.unwrap();
        if planned.phase == Phase::Waiting {
            store.approve_run(&SYSTEM, undo).await.unwrap();
        }
        while store.undo_chunk(&SYSTEM, undo).await.unwrap() {}
        store.end_undo(&SYSTEM, undo).await.unwrap();
        let back = later(world).await;

        for (at, unit, manager, active) in [
            (in_works, "Works", ada, "yes"),
            (in_great_works, "Great works", ada, "yes"),
            (in_office, "Office", cy, "yes"),
            (gone, "Office", cy, "no"),
            (back, "Office", cy, "yes"),
        ] {
            let then = store
                .profile_on(&SYSTEM, bo, at)
                .await
                .unwrap()
                .profile
                .unwrap();
            assert_eq!(
                shown(&then, Attribute::Department).as_deref(),
                Some(unit),
                "{at}"
            );
            assert_eq!(
                shown(&then, Attribute::Manager),
                Some(manager.to_string()),
                "{at}"
            );
            assert_eq!(
                shown(&then, Attribute::Active).as_deref(),
                Some(active),
                "{at}"
            );
        }
        let history = store
            .value_history(&SYSTEM, bo, Attribute::Active)
            .await
            .unwrap();
        let kinds: Vec<_> = line(&history).into_iter().map(|(kind, ..)| kind).collect();
        assert_eq!(kinds, ["undo", "run", "came"]);
        let history = store
            .value_history(&SYSTEM, bo, Attribute::Department)
            .await
            .unwrap();
        let text = |text: &str| Some(text.to_owned());
        let names: Vec<_> = line(&history)
            .into_iter()
            .map(|(_, name, _)| name)
            .collect();
        assert_eq!(names, [text("Office"), text("Great works"), text("Works")]);
        let superiors = store
            .value_history(&SYSTEM, bo, Attribute::Manager)
            .await
            .unwrap();
        assert_eq!(superiors.changes.len(), 2);
        assert!(superiors.people.contains_key(&ada) && superiors.people.contains_key(&cy));
    })
    .await;
}

#[tokio::test]
async fn the_past_has_the_profiles_audience_and_private_reads_are_recorded() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let people = [
            worker("a", "Head", "u1", None),
            worker("b", "Fitter", "u2", None),
        ];
        sync(world, source, units(["Works", "Office"]), &people).await;
        let (ada, bo) = (id(world, "a").await, id(world, "b").await);
        let at = later(world).await;
        let stranger = Viewer::person(bo, Roles::EMPLOYEE);
        let hr = Viewer::person(bo, Roles::EMPLOYEE.with(Role::Hr));
        let born = Attribute::BirthDate;
        assert!(matches!(
            store.value_history(&stranger, ada, born).await,
            Err(Error::NotFound)
        ));
        assert!(
            store
                .value_history(&stranger, ada, Attribute::Title)
                .await
                .is_ok()
        );
        let then = store
            .profile_on(&stranger, ada, at)
            .await
            .unwrap()
            .profile
            .unwrap();
        assert_eq!(shown(&then, born), None);
        let recorded = "SELECT count(*) FROM audit_entries WHERE action = 'profile.private_read'";
        assert_eq!(world.count(recorded).await, 0);
        let told = store.value_history(&hr, ada, born).await.unwrap();
        assert_eq!(told.changes[0].shown, Some("1990-01-31".into()));
        assert_eq!(world.count(recorded).await, 1);
        let then = store
            .profile_on(&hr, ada, at)
            .await
            .unwrap()
            .profile
            .unwrap();
        assert_eq!(shown(&then, born).as_deref(), Some("1990-01-31"));
        assert_eq!(world.count(recorded).await, 2);
        let nobody = EmployeeId(world.uuid());
        assert!(matches!(
            store.value_history(&hr, nobody, Attribute::Title).await,
            Err(Error::NotFound)
        ));
    })
    .await;
}

#[tokio::test]
async fn a_second_source_has_said_nothing_before_it_spoke() {
    support::everywhere(async |world| {
        let store = &world.store;
        let (erp, directory) = (world.source("ERP").await, world.source("Directory").await);
        let mut ada = worker("a", "Head", "u1", None);
        ada.attributes
            .insert(Attribute::EmployeeNumber, Some("N-1".into()));
        sync(world, erp, units(["Works", "Office"]), &[ada]).await;
        let who = id(world, "a").await;
        let before = later(world).await;
        let mut entry = worker("uid=a", "Boss", "u1", None);
        entry
            .attributes
            .insert(Attribute::EmployeeNumber, Some("N-1".into()));
        entry
            .attributes
            .insert(Attribute::Location, Some("Bergen".into()));
        entry.unit = None;
        let run = sync(world, directory, vec![], &[entry]).await;
        let with = later(world).await;
        for (at, place) in [(before, None), (with, Some("Bergen"))] {
            let then = store
                .profile_on(&SYSTEM, who, at)
                .await
                .unwrap()
                .profile
                .unwrap();
            assert_eq!(shown(&then, Attribute::Location).as_deref(), place);
        }
        let history = store
            .value_history(&SYSTEM, who, Attribute::Location)
            .await
            .unwrap();
        assert_eq!(history.changes.len(), 1);
        assert!(
            matches!(&history.changes[0].cause, Cause::Run { run: one, source_name, .. }
            if *one == run && source_name == "Directory")
        );
    })
    .await;
}

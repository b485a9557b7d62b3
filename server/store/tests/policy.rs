//! Sourcing rules and oversight: versions, previews, history, the way back.

mod support;

use std::collections::BTreeMap;

use domain::{
    Attribute, EmployeeId, SourceId, UnitId, Violation,
    policy::Kind,
    review::{Notice, Oversight, OversightRule, When},
    sourcing::{Origin, Rule, Rules, Strength},
};
use store::Error;
use support::{Cast, World};

fn rule(attribute: Attribute, strength: Strength) -> Rule {
    Rule {
        id: 0,
        attribute,
        unit: None,
        source: None,
        strength,
        enforced: false,
        empty_wins: false,
    }
}

fn oversight(unit: Option<UnitId>, on: bool) -> OversightRule {
    OversightRule {
        unit,
        on,
        when: When::AtTheTime,
        context: false,
        max_days: 14,
        notice: Notice::AtOnce,
        enforced: false,
        dotted: false,
        delegates: false,
    }
}

async fn edit(world: &World, cast: &Cast, id: EmployeeId, attribute: Attribute, value: &str) {
    let edits = BTreeMap::from([(attribute.name().to_owned(), Some(value.into()))]);
    let viewer = cast.viewer(id);
    world.store.edit_profile(&viewer, id, edits).await.unwrap();
}

#[tokio::test]
async fn whoever_may_not_set_rules_is_refused_and_may_read_them() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        for id in [cast.mei, cast.ingrid, cast.hanna, cast.omar] {
            let viewer = cast.viewer(id);
            let rules = vec![rule(Attribute::Title, Strength::Strong)];
            let store = &world.store;
            let answers = [
                store
                    .set_policy::<Rules>(&viewer, 0, rules.clone(), "")
                    .await
                    .map(drop),
                store
                    .preview_attribute_rules(&viewer, rules)
                    .await
                    .map(drop),
                store
                    .set_policy::<Oversight>(&viewer, 0, vec![oversight(None, true)], "")
                    .await
                    .map(drop),
                store
                    .roll_back(&viewer, Kind::AttributeRules, 0, 0, "")
                    .await
                    .map(drop),
            ];
            for answer in answers {
                assert!(matches!(answer, Err(Error::Forbidden)), "{answer:?}");
            }
            let rules = store.policy::<Rules>(&viewer).await.unwrap();
            assert_eq!((rules.version, rules.rules.len()), (0, 0));
            assert!(
                store
                    .policy::<Oversight>(&viewer)
                    .await
                    .unwrap()
                    .rules
                    .is_empty()
            );
        }
        assert_eq!(world.count("SELECT count(*) FROM policy_versions").await, 0);
        assert_eq!(world.count("SELECT count(*) FROM audit_entries").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_set_from_an_old_version_is_refused() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let viewer = cast.viewer(cast.priya);
        let store = &world.store;
        let set = |read, strength| {
            let rules = vec![rule(Attribute::Title, strength)];
            store.set_policy::<Rules>(&viewer, read, rules, "")
        };
        // Several at once from the same version: one goes in.
        let outcomes = futures::future::join_all((0..5).map(|_| set(0, Strength::Weak))).await;
        let (set_once, stale): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(set_once.len(), 1);
        for answer in stale {
            assert!(
                matches!(answer, Err(Error::Conflict("stale_version"))),
                "{answer:?}"
            );
        }
        assert_eq!(set(1, Strength::Strong).await.unwrap().version, 2);
        let answer = set(1, Strength::None).await;
        assert!(
            matches!(answer, Err(Error::Conflict("stale_version"))),
            "{answer:?}"
        );
        let rules = store.policy::<Rules>(&viewer).await.unwrap();
        assert_eq!(rules.rules[0].strength, Strength::Strong);
        let entries = "SELECT count(*) FROM audit_entries WHERE action = 'policy.set'";
        assert_eq!(world.count(entries).await, 2);
    })
    .await;
}

#[tokio::test]
async fn rules_about_what_is_not_there_are_refused() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let viewer = cast.viewer(cast.priya);
        let wrong = Rule {
            unit: Some(UnitId(world.uuid())),
            source: Some(SourceId(world.uuid())),
            ..rule(Attribute::Title, Strength::Strong)
        };
        for answer in [
            world
                .store
                .set_policy::<Rules>(&viewer, 0, vec![wrong.clone()], "")
                .await
                .map(drop),
            world
                .store
                .preview_attribute_rules(&viewer, vec![wrong])
                .await
                .map(drop),
        ] {
            let Err(Error::Invalid(violations)) = answer else {
                panic!("{answer:?}")
            };
            let fields: Vec<_> = violations.iter().map(Violation::field).collect();
            assert_eq!(fields, ["unit", "source"]);
        }
        let twice = vec![rule(Attribute::Title, Strength::Weak); 2];
        let answer = world.store.set_policy::<Rules>(&viewer, 0, twice, "").await;
        assert!(matches!(answer, Err(Error::Invalid(_))), "{answer:?}");
        let mut wrong = oversight(None, true);
        wrong.max_days = 0;
        for rules in [
            vec![wrong],
            vec![oversight(Some(UnitId(world.uuid())), true)],
        ] {
            let answer = world
                .store
                .set_policy::<Oversight>(&viewer, 0, rules, "")
                .await;
            assert!(matches!(answer, Err(Error::Invalid(_))), "{answer:?}");
        }
        assert_eq!(world.count("SELECT count(*) FROM policy_versions").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_preview_tells_what_setting_then_does_and_writes_nothing() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let viewer = cast.viewer(cast.priya);
        edit(world, &cast, cast.grace, Attribute::Title, "Grace's own").await;
        edit(world, &cast, cast.mei, Attribute::Title, "Mei's own").await;
        edit(world, &cast, cast.luca, Attribute::BirthDate, "1999-09-09").await;
        let rows = async || {
            let mut counts = Vec::new();
            for table in ["policy_versions", "audit_entries", "events", "own_values"] {
                counts.push(world.count(&format!("SELECT count(*) FROM {table}")).await);
            }
            counts
        };
        let before = rows().await;
        let rules = vec![
            Rule {
                unit: Some(cast.key_accounts),
                ..rule(Attribute::Title, Strength::Strong)
            },
            rule(Attribute::BirthDate, Strength::Strong),
            rule(Attribute::Location, Strength::Weak),
        ];
        let preview = world
            .store
            .preview_attribute_rules(&viewer, rules.clone())
            .await
            .unwrap();
        assert_eq!(rows().await, before);
        assert_eq!((preview.people, preview.values), (2, 2));
        // Two titles in Key Accounts and eight birth dates.
        assert_eq!((preview.locked, preview.unlocked), (10, 0));
        assert_eq!(
            preview.by_attribute,
            BTreeMap::from([(Attribute::Title, 1), (Attribute::BirthDate, 1)])
        );
        let [grace, luca] = &preview.changes[..] else {
            panic!("{:?}", preview.changes)
        };
        assert_eq!(grace.person.id, cast.grace);
        assert_eq!(grace.from, Some("Grace's own".into()));
        assert_eq!(grace.to, Some("Key Account Lead".into()));
        assert_eq!(
            (grace.origin_from, grace.origin_to),
            (Origin::Own, Origin::Erp)
        );
        assert_eq!(luca.attribute, Attribute::BirthDate);
        assert_eq!(
            (&luca.from, &luca.to),
            (&None, &None),
            "not the viewer's to see"
        );

        let set =
            world
                .store
                .set_policy::<Rules>(&viewer, 0, rules.clone(), " Titles come from HR ");
        set.await.unwrap();
        let card = world.store.person(&viewer, cast.grace).await.unwrap();
        assert_eq!(card.title.as_deref(), Some("Key Account Lead"));
        let card = world.store.person(&viewer, cast.mei).await.unwrap();
        assert_eq!(card.title.as_deref(), Some("Mei's own"));
        let again = world.store.preview_attribute_rules(&viewer, rules).await;
        assert_eq!(again.unwrap().people, 0);
        let lifted = world
            .store
            .preview_attribute_rules(&viewer, Vec::new())
            .await
            .unwrap();
        assert_eq!((lifted.people, lifted.unlocked), (2, 10));
    })
    .await;
}

#[tokio::test]
async fn history_says_who_and_why_and_a_former_version_comes_back() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let viewer = cast.viewer(cast.priya);
        let store = &world.store;
        edit(world, &cast, cast.grace, Attribute::Title, "Grace's own").await;
        let strong = vec![rule(Attribute::Title, Strength::Strong)];
        store
            .set_policy::<Rules>(&viewer, 0, strong, "first")
            .await
            .unwrap();
        store
            .set_policy::<Rules>(&viewer, 1, Vec::new(), "second")
            .await
            .unwrap();
        let title = async || store.person(&viewer, cast.grace).await.unwrap().title;
        assert_eq!(title().await.as_deref(), Some("Grace's own"));
        let back = store
            .roll_back(&viewer, Kind::AttributeRules, 2, 1, "as it was")
            .await
            .unwrap();
        assert_eq!(back, 3);
        assert_eq!(title().await.as_deref(), Some("Key Account Lead"));
        let history = store
            .policy_history::<Rules>(&cast.viewer(cast.mei))
            .await
            .unwrap();
        let notes: Vec<_> = history
            .iter()
            .map(|entry| (entry.version.version, entry.version.note.as_str()))
            .collect();
        assert_eq!(notes, [(3, "as it was"), (2, "second"), (1, "first")]);
        assert_eq!(history[0].set_by_name.as_deref(), Some("Priya Raman"));
        // A number is never given twice: the rule that came back is a new one.
        assert_eq!(history[0].version.body.rules[0].id, 2);

        for (read, version, stale) in [(2, 1, true), (3, 9, false)] {
            let answer = store
                .roll_back(&viewer, Kind::AttributeRules, read, version, "")
                .await;
            match answer {
                Err(Error::Conflict("stale_version")) => assert!(stale),
                Err(Error::NotFound) => assert!(!stale),
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn oversight_is_off_until_it_is_set() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let viewer = cast.viewer(cast.priya);
        let store = &world.store;
        let path = [cast.sales, cast.management];
        let none = store.policy::<Oversight>(&viewer).await.unwrap();
        assert!(none.in_force(&path).is_none());
        let rules = vec![oversight(None, false), oversight(Some(cast.sales), true)];
        let set = store
            .set_policy::<Oversight>(&viewer, 0, rules, "works council, 1 March")
            .await
            .unwrap();
        assert!(set.in_force(&path).unwrap().on);
        assert!(!set.in_force(&[cast.people, cast.management]).unwrap().on);
        store
            .set_policy::<Oversight>(&viewer, 1, Vec::new(), "")
            .await
            .unwrap();
        let version = store
            .roll_back(&viewer, Kind::Oversight, 2, 1, "")
            .await
            .unwrap();
        assert_eq!(version, 3);
        assert_eq!(
            store.policy::<Oversight>(&viewer).await.unwrap().rules,
            set.rules
        );
        let history = store.policy_history::<Oversight>(&viewer).await.unwrap();
        assert_eq!(history.len(), 3);
        assert_eq!(history[2].version.note, "works council, 1 March");
    })
    .await;
}

/// Rules and edits that come at once leave no list that says another thing than the profile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_and_edits_at_once_leave_nothing_stale() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let store = &world.store;
        let admin = cast.viewer(cast.priya);
        let rules = async {
            for read in 0..8 {
                let strength = if read % 2 == 0 {
                    Strength::Strong
                } else {
                    Strength::None
                };
                let rules = vec![rule(Attribute::Title, strength)];
                let set = store.set_policy::<Rules>(&admin, read, rules, "");
                set.await.unwrap();
            }
        };
        let edits = cast.everyone().map(|id| {
            let viewer = cast.viewer(id);
            async move {
                for turn in 0..8 {
                    let title = Some(format!("Title {turn}").into());
                    let edits = BTreeMap::from([("title".to_owned(), title)]);
                    match store.edit_profile(&viewer, id, edits).await {
                        Ok(_) | Err(Error::Locked(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
        futures::join!(rules, futures::future::join_all(edits));
        for id in cast.everyone() {
            let profile = store.profile(&admin, id).await.unwrap();
            let title = profile
                .values
                .iter()
                .find(|value| value.attribute == Attribute::Title)
                .and_then(|value| value.resolved.value.as_ref())
                .map(ToString::to_string);
            assert_eq!(profile.person.title, title);
        }
        let verified = store
            .verify_audit(&cast.viewer(cast.omar), Vec::new())
            .await
            .unwrap();
        assert!(verified.ok, "{verified:?}");
    })
    .await;
}

//! People: the directory, cards, profiles, portraits, and one's own edits.

mod support;

use std::{collections::BTreeMap, io::Cursor, time::Duration};

use domain::{
    Attribute, EmployeeId, Relation, Value, Viewer, Violation,
    sourcing::{Origin, Rule, Rules, Strength, Why},
};
use image::{ImageFormat, Rgba, RgbaImage};
use proptest::prelude::*;
use store::{
    Error,
    people::DirectoryQuery,
    profile::{Edits, Profile, ProfileValue},
};
use support::{Cast, Newcomer, World};

const MINUTE: Duration = Duration::from_secs(60);

fn value(profile: &Profile, attribute: Attribute) -> &ProfileValue {
    let mut values = profile.values.iter();
    values
        .find(|value| value.attribute == attribute)
        .unwrap_or_else(|| panic!("{attribute} is not shown"))
}

fn shows(profile: &Profile, attribute: Attribute) -> Option<String> {
    let value = value(profile, attribute).resolved.value.as_ref();
    value.map(ToString::to_string)
}

fn edit(attribute: Attribute, value: &str) -> Edits {
    let value = (!value.is_empty()).then(|| value.into());
    BTreeMap::from([(attribute.name().to_owned(), value)])
}

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

async fn set(world: &World, cast: &Cast, rules: Vec<Rule>) {
    let viewer = cast.viewer(cast.priya);
    let read = world.store.policy::<Rules>(&viewer).await.unwrap().version;
    let set = world
        .store
        .set_policy::<Rules>(&viewer, read, rules, "test");
    set.await.unwrap();
}

async fn find(world: &World, viewer: &Viewer, q: &str) -> Vec<String> {
    let query = DirectoryQuery {
        q: q.into(),
        ..DirectoryQuery::default()
    };
    let found = world.store.directory(viewer, &query).await.unwrap();
    assert_eq!(found.matching, found.page.items.len() as u64, "of {q:?}");
    let cards = found.page.items.into_iter();
    cards.map(|card| card.display_name).collect()
}

#[tokio::test]
async fn the_directory_finds_whoever_has_every_word() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let viewer = cast.viewer(cast.mei);
        assert_eq!(find(world, &viewer, "TOMAS").await, ["Tomás Herrera"]);
        assert_eq!(find(world, &viewer, "nf-003").await, ["Grace Okafor"]);
        assert_eq!(
            find(world, &viewer, "account key").await,
            ["Grace Okafor", "Luca Moretti"]
        );
        assert_eq!(
            find(world, &viewer, "  account manager ").await,
            ["Luca Moretti"]
        );
        assert!(find(world, &viewer, "%").await.is_empty());
        assert!(find(world, &viewer, "grace mei").await.is_empty());
        assert_eq!(find(world, &viewer, "").await.len(), 8);

        let in_sales = DirectoryQuery {
            unit: Some(cast.sales),
            ..DirectoryQuery::default()
        };
        let found = world.store.directory(&viewer, &in_sales).await.unwrap();
        assert_eq!((found.matching, found.total), (4, 8));

        let too_long = DirectoryQuery {
            q: "x".repeat(201),
            ..DirectoryQuery::default()
        };
        for wrong in [
            too_long,
            DirectoryQuery {
                limit: Some(201),
                ..DirectoryQuery::default()
            },
            DirectoryQuery {
                cursor: Some("somewhere".into()),
                ..DirectoryQuery::default()
            },
        ] {
            let answer = world.store.directory(&viewer, &wrong).await;
            assert!(matches!(answer, Err(Error::Invalid(_))), "{answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn paging_meets_everyone_once_in_order() {
    support::everywhere(async |world| {
        let source = world.source("ERP").await;
        // Equal names, so that the id has to decide; one name folds like another.
        for at in 0..47 {
            let name = ["Ada Berg", "Åda Berg", "Zoë", "中村 花子", "ada"][at % 5];
            let newcomer = Newcomer {
                name,
                source: Some(source),
                ..Newcomer::default()
            };
            world.add(newcomer).await;
        }
        world.settle().await;
        let viewer = Viewer::system("test");
        let mut met = Vec::new();
        let mut cursor = None;
        loop {
            let query = DirectoryQuery {
                cursor,
                limit: Some(7),
                ..DirectoryQuery::default()
            };
            let found = world.store.directory(&viewer, &query).await.unwrap();
            assert_eq!((found.matching, found.total), (47, 47));
            let cards = found.page.items.into_iter();
            met.extend(cards.map(|card| (domain::text::fold(&card.display_name), card.id)));
            cursor = found.page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(met.len(), 47);
        assert!(met.is_sorted_by(|a, b| a < b), "{met:?}");
    })
    .await;
}

#[tokio::test]
async fn who_left_is_in_no_list_and_still_has_a_card() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        world.leave(cast.grace).await;
        world.settle().await;
        let viewer = cast.viewer(cast.mei);
        assert!(find(world, &viewer, "grace").await.is_empty());
        let card = world.store.person(&viewer, cast.grace).await.unwrap();
        assert!(!card.active);
        let nobody = EmployeeId(world.uuid());
        let answer = world.store.person(&viewer, nobody).await;
        assert!(matches!(answer, Err(Error::NotFound)));
        let cards = world
            .store
            .cards(&viewer, &[cast.mei, nobody])
            .await
            .unwrap();
        assert_eq!(cards.into_keys().collect::<Vec<_>>(), [cast.mei]);
    })
    .await;
}

#[tokio::test]
async fn each_sees_of_a_profile_what_is_theirs_to_see() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let sees = async |viewer, attribute| {
            let viewer = cast.viewer(viewer);
            let profile = world.store.profile(&viewer, cast.luca).await.unwrap();
            profile
                .values
                .iter()
                .any(|value| value.attribute == attribute)
        };
        let (unit, chain, private) = (
            Attribute::Mobile,
            Attribute::CostCenter,
            Attribute::BirthDate,
        );
        // Mei is a stranger to Luca, Tomás two levels above; Grace, in his unit, is right above.
        for (viewer, expected) in [
            (cast.luca, [true, true, true]),
            (cast.mei, [false, false, false]),
            (cast.grace, [true, true, false]),
            (cast.tomas, [true, true, false]),
            (cast.hanna, [true, true, true]),
            (cast.priya, [false, false, false]),
            (cast.omar, [false, false, false]),
        ] {
            let seen = [
                sees(viewer, unit).await,
                sees(viewer, chain).await,
                sees(viewer, private).await,
            ];
            assert_eq!(seen, expected, "{:?}", cast.viewer(viewer));
            assert!(sees(viewer, Attribute::Title).await);
        }
        let viewer = cast.viewer(cast.luca);
        let profile = world.store.profile(&viewer, cast.grace).await.unwrap();
        assert_eq!(profile.relation, Relation::Colleague);
        assert!(value(&profile, unit).resolved.value.is_some());
        assert!(
            profile
                .values
                .iter()
                .all(|value| value.attribute != chain && value.attribute != private)
        );
    })
    .await;
}

#[tokio::test]
async fn a_look_at_private_values_is_recorded_and_others_are_not() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let recorded = "SELECT count(*) FROM audit_entries WHERE action = 'profile.private_read'";
        for viewer in [cast.luca, cast.grace, cast.mei, cast.priya] {
            let viewer = cast.viewer(viewer);
            world.store.profile(&viewer, cast.luca).await.unwrap();
        }
        let hanna = cast.viewer(cast.hanna);
        world.store.profile(&hanna, cast.hanna).await.unwrap();
        assert_eq!(world.count(recorded).await, 0);
        world.store.profile(&hanna, cast.luca).await.unwrap();
        assert_eq!(world.count(recorded).await, 1);
        let rows = "SELECT actor, subject, detail, address FROM audit_entries";
        let row = &world.rows(rows, []).await[0];
        let text = |at| row.try_get_by_index::<String>(at).unwrap();
        assert_eq!(text(0), format!("person:{}", cast.hanna));
        assert_eq!(text(1), format!("person:{}", cast.luca));
        assert_eq!(text(2), r#"{"attributes":["birthDate"]}"#);
        assert_eq!(text(3), "192.0.2.7");
    })
    .await;
}

#[tokio::test]
async fn an_own_value_wins_where_no_rule_speaks_and_says_what_it_beat() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let grace = cast.viewer(cast.grace);
        world.clock.advance(MINUTE);
        let mut events = world.store.events();
        let edits = edit(Attribute::Title, "Head of Key Accounts");
        let profile = world
            .store
            .edit_profile(&grace, cast.grace, edits)
            .await
            .unwrap();
        let title = value(&profile, Attribute::Title);
        assert_eq!(title.resolved.origin, Origin::Own);
        assert_eq!(title.resolved.why, Why::OwnFirst);
        assert_eq!(title.resolved.kept, Some("Key Account Lead".into()));
        assert_eq!(
            title.own.as_ref().map(|own| own.edited_at),
            Some(world.clock.now())
        );
        let erp = title.erp.as_ref().unwrap();
        assert_eq!(erp.source_name, "Northwind ERP");
        assert_eq!(
            profile.person.title.as_deref(),
            Some("Head of Key Accounts")
        );
        assert!(matches!(events.try_recv(), Ok(store::Event::PeopleChanged)));
        assert_eq!(find(world, &grace, "head of key").await, ["Grace Okafor"]);

        let kept = world.count("SELECT count(*) FROM events WHERE kind = 'people_changed'");
        assert!(kept.await > 0);
        let rows = "SELECT detail FROM audit_entries WHERE action = 'profile.edited'";
        let detail: String = world.rows(rows, []).await[0].try_get_by_index(0).unwrap();
        assert_eq!(
            detail,
            r#"{"title":{"after":"Head of Key Accounts","before":null}}"#
        );

        // Taking it away brings the ERP's back, in lists as well.
        let profile = world
            .store
            .edit_profile(&grace, cast.grace, edit(Attribute::Title, ""))
            .await
            .unwrap();
        assert_eq!(profile.person.title.as_deref(), Some("Key Account Lead"));
        assert!(value(&profile, Attribute::Title).own.is_none());
    })
    .await;
}

#[tokio::test]
async fn edits_go_in_together_or_not_at_all() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let grace = cast.viewer(cast.grace);
        let mut edits = edit(Attribute::Title, "Lead");
        edits.extend(edit(Attribute::Emails, "nowhere"));
        edits.extend(edit(Attribute::Timezone, "Mars"));
        edits.insert("salary".into(), Some("1".into()));
        edits.insert("photos".into(), Some("0".repeat(64).into()));
        // Nothing to see is no value: the own name is taken away, and there is none.
        edits.insert("displayName".into(), Some("\u{2060}\u{FE0F}".into()));
        let answer = world.store.edit_profile(&grace, cast.grace, edits).await;
        let Err(Error::Invalid(violations)) = answer else {
            panic!("{answer:?}")
        };
        let fields: Vec<_> = violations.iter().map(Violation::field).collect();
        assert_eq!(fields, ["emails", "photos", "attribute", "timezone"]);
        assert_eq!(world.count("SELECT count(*) FROM own_values").await, 0);
        assert_eq!(world.count("SELECT count(*) FROM audit_entries").await, 0);

        // One that is locked keeps back the one that is not; the form's untouched fields do no harm.
        set(world, &cast, vec![rule(Attribute::Title, Strength::Strong)]).await;
        let mut edits = edit(Attribute::Title, "Lead");
        edits.extend(edit(Attribute::Location, "Oslo"));
        let answer = world.store.edit_profile(&grace, cast.grace, edits).await;
        let Err(Error::Locked(Violation::LockedByRule { attribute, rule: 1 })) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(attribute, "title");
        assert_eq!(world.count("SELECT count(*) FROM own_values").await, 0);

        let mut edits = edit(Attribute::Title, "Key Account Lead");
        edits.extend(edit(Attribute::Location, "Oslo"));
        edits.extend(edit(Attribute::Department, "Key Accounts"));
        let profile = world
            .store
            .edit_profile(&grace, cast.grace, edits)
            .await
            .unwrap();
        assert_eq!(
            shows(&profile, Attribute::Location).as_deref(),
            Some("Oslo")
        );
        assert_eq!(world.count("SELECT count(*) FROM own_values").await, 1);

        // What nobody can edit names the built-in rule.
        let edits = edit(Attribute::Department, "Board");
        let answer = world.store.edit_profile(&grace, cast.grace, edits).await;
        assert!(
            matches!(
                answer,
                Err(Error::Locked(Violation::LockedByRule { rule: 0, .. }))
            ),
            "{answer:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn nobody_else_edits_a_profile() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let others = [
            cast.mei, cast.grace, cast.tomas, cast.hanna, cast.priya, cast.omar,
        ];
        for other in others {
            let viewer = cast.viewer(other);
            let edits = edit(Attribute::Title, "Intern");
            let answer = world.store.edit_profile(&viewer, cast.luca, edits).await;
            assert!(matches!(answer, Err(Error::Forbidden)), "{answer:?}");
            let answer = world
                .store
                .set_photo(&viewer, cast.luca, png(8, 8, [0; 4]))
                .await;
            assert!(matches!(answer, Err(Error::Forbidden)), "{answer:?}");
        }
        let nobody = EmployeeId(world.uuid());
        let edits = edit(Attribute::Title, "Intern");
        let answer = world
            .store
            .edit_profile(&cast.viewer(cast.mei), nobody, edits)
            .await;
        assert!(matches!(answer, Err(Error::NotFound)), "{answer:?}");
        assert_eq!(world.count("SELECT count(*) FROM own_values").await, 0);
    })
    .await;
}

#[tokio::test]
async fn private_values_stay_out_of_the_log() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let grace = cast.viewer(cast.grace);
        let edits = edit(Attribute::BirthDate, "1990-01-31");
        world
            .store
            .edit_profile(&grace, cast.grace, edits)
            .await
            .unwrap();
        let leaks = "SELECT count(*) FROM audit_entries WHERE detail LIKE '%1990%'";
        assert_eq!(world.count(leaks).await, 0);
        let recorded = "SELECT count(*) FROM audit_entries WHERE detail LIKE '%birthDate%'";
        assert_eq!(world.count(recorded).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_strong_rule_hides_the_own_value_and_lifting_it_brings_it_back() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let grace = cast.viewer(cast.grace);
        let own = "Relationship Builder";
        world
            .store
            .edit_profile(&grace, cast.grace, edit(Attribute::Title, own))
            .await
            .unwrap();
        set(world, &cast, vec![rule(Attribute::Title, Strength::Strong)]).await;
        let profile = world.store.profile(&grace, cast.grace).await.unwrap();
        let title = value(&profile, Attribute::Title);
        assert_eq!(title.resolved.kept, Some(own.into()));
        assert!(!title.resolved.editable);
        assert_eq!(title.rule.rule.id, 1);
        assert_eq!(title.rule.set_by.as_deref(), Some("Priya Raman"));
        assert_eq!(profile.person.title.as_deref(), Some("Key Account Lead"));
        assert!(find(world, &grace, "relationship").await.is_empty());
        set(world, &cast, vec![]).await;
        let profile = world.store.profile(&grace, cast.grace).await.unwrap();
        assert_eq!(profile.person.title.as_deref(), Some(own));
        assert_eq!(find(world, &grace, "relationship").await, ["Grace Okafor"]);
    })
    .await;
}

#[tokio::test]
async fn of_two_sources_the_first_connected_is_heard_where_it_says_something() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        world.clock.advance(MINUTE);
        let second = world.source("Second ERP").await;
        let says = BTreeMap::from([
            (Attribute::Title, Some("Consultant".into())),
            (Attribute::NickName, Some("Gracie".into())),
        ]);
        world.record(second, cast.grace, says).await;
        world.settle().await;
        let grace = cast.viewer(cast.grace);
        let profile = world.store.profile(&grace, cast.grace).await.unwrap();
        assert_eq!(
            shows(&profile, Attribute::Title).as_deref(),
            Some("Key Account Lead")
        );
        // The first has the field and nothing in it.
        let nick = value(&profile, Attribute::NickName);
        assert_eq!(nick.erp.as_ref().unwrap().source, second);
        let ignored = Rule {
            source: Some(cast.source),
            ..rule(Attribute::Title, Strength::None)
        };
        set(world, &cast, vec![ignored]).await;
        let profile = world.store.profile(&grace, cast.grace).await.unwrap();
        assert_eq!(
            shows(&profile, Attribute::Title).as_deref(),
            Some("Consultant")
        );
        assert_eq!(profile.person.title.as_deref(), Some("Consultant"));
    })
    .await;
}

fn png(width: u32, height: u32, pixel: [u8; 4]) -> Vec<u8> {
    let mut bytes = Vec::new();
    RgbaImage::from_pixel(width, height, Rgba(pixel))
        .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
        .unwrap();
    bytes
}

#[tokio::test]
async fn a_portrait_becomes_a_square_jpeg_and_nothing_else_goes_in() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let grace = cast.viewer(cast.grace);
        let set = async |bytes| world.store.set_photo(&grace, cast.grace, bytes).await;
        let mut bomb = png(1, 1, [0; 4]);
        // The header promises 30,000 x 30,000 pixels.
        bomb[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
        for wrong in [
            Vec::new(),
            b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
            png(40, 30, [9; 4])[..60].to_vec(),
            bomb,
            vec![0xFF; store::photo::UPLOAD_MAX + 1],
        ] {
            let answer = set(wrong).await;
            assert!(matches!(answer, Err(Error::Invalid(_))), "{answer:?}");
        }
        assert_eq!(world.count("SELECT count(*) FROM photos").await, 0);

        // Half see-through red on nothing: on white it is a light red.
        set(png(300, 900, [255, 0, 0, 128])).await.unwrap();
        let card = world.store.person(&grace, cast.grace).await.unwrap();
        let hash = card.photo.unwrap();
        let viewer = cast.viewer(cast.mei);
        let photo = world.store.photo(&viewer, &hash).await.unwrap();
        assert_eq!(photo.media_type, "image/jpeg");
        let image = image::load_from_memory_with_format(&photo.bytes, ImageFormat::Jpeg).unwrap();
        assert_eq!((image.width(), image.height()), (256, 256));
        let [red, green, blue] = image.to_rgb8().get_pixel(128, 128).0;
        assert!(red > 245 && green.abs_diff(127) < 8 && blue.abs_diff(127) < 8);
        let answer = world.store.photo(&viewer, "../etc/passwd").await;
        assert!(matches!(answer, Err(Error::NotFound)), "{answer:?}");

        let strong = super_strong(Attribute::Photos);
        // Without a portrait in the ERP a strong rule leaves the field to the person.
        self::set(world, &cast, vec![strong]).await;
        set(png(20, 20, [0, 0, 255, 255])).await.unwrap();
        let profile = world
            .store
            .edit_profile(&grace, cast.grace, edit(Attribute::Photos, ""))
            .await
            .unwrap();
        assert_eq!(profile.person.photo, None);
    })
    .await;
}

fn super_strong(attribute: Attribute) -> Rule {
    Rule {
        enforced: true,
        ..rule(attribute, Strength::Strong)
    }
}

/// One thing that happens to a person's values.
#[derive(Debug, Clone)]
enum Turn {
    Erp(Attribute, Option<String>),
    Own(Attribute, Option<String>),
    Rules(Vec<(Attribute, bool, Strength, bool, bool)>),
}

fn turn() -> impl Strategy<Value = Turn> {
    let attribute = || {
        prop::sample::select(vec![
            Attribute::Title,
            Attribute::Location,
            Attribute::DisplayName,
            Attribute::NickName,
        ])
    };
    let text = || prop::option::of(prop::sample::select(vec!["Ænna", "Bo Å", "X Y"]));
    let text = move || text().prop_map(|text| text.map(str::to_owned));
    let rule = (
        attribute(),
        any::<bool>(),
        prop::sample::select(Strength::ALL.to_vec()),
        any::<bool>(),
        any::<bool>(),
    );
    prop_oneof![
        (attribute(), text()).prop_map(|(attribute, text)| Turn::Erp(attribute, text)),
        (attribute(), text()).prop_map(|(attribute, text)| Turn::Own(attribute, text)),
        prop::collection::vec(rule, 0..4).prop_map(Turn::Rules),
    ]
}

/// Whatever happens: the profile is what `resolve` says of what was put in, and
/// the lists show what the profile shows.
#[test]
fn profiles_are_what_resolve_says_and_lists_show_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let turns = prop::collection::vec(turn(), 1..12);
    let config = ProptestConfig::with_cases(12);
    proptest!(config, |(turns in turns)| {
        runtime.block_on(support::everywhere(async |world| play(world, &turns).await));
    });
}

async fn play(world: &World, turns: &[Turn]) {
    let cast = world.cast().await;
    let grace = cast.viewer(cast.grace);
    let mut erp: BTreeMap<Attribute, Option<Value>> =
        BTreeMap::from([(Attribute::DisplayName, Some("Grace Okafor".into()))]);
    let mut own: BTreeMap<Attribute, domain::sourcing::OwnValue> = BTreeMap::new();
    let mut since: BTreeMap<Attribute, _> = BTreeMap::new();
    for turn in turns {
        world.clock.advance(MINUTE);
        match turn.clone() {
            Turn::Erp(attribute, text) => {
                erp.insert(attribute, text.map(Value::from));
                world.record(cast.source, cast.grace, erp.clone()).await;
                // The harness dates every value of a record anew.
                since = erp.keys().map(|one| (*one, world.clock.now())).collect();
                world.settle().await;
            }
            Turn::Own(attribute, text) => {
                let before = world.store.profile(&grace, cast.grace).await.unwrap();
                let before = value(&before, attribute).resolved.clone();
                let edits =
                    BTreeMap::from([(attribute.name().to_owned(), text.clone().map(Value::from))]);
                let answer = world.store.edit_profile(&grace, cast.grace, edits).await;
                let text = text.map(Value::from);
                let touches = match &text {
                    Some(_) => before.value != text,
                    None => own.contains_key(&attribute),
                };
                match answer {
                    Err(Error::Locked(_)) => assert!(touches && !before.editable),
                    Err(other) => panic!("{other}"),
                    Ok(_) if !touches => {}
                    Ok(_) => {
                        assert!(before.editable);
                        match text {
                            Some(value) => own.insert(
                                attribute,
                                domain::sourcing::OwnValue {
                                    value,
                                    edited_at: world.clock.now(),
                                },
                            ),
                            None => own.remove(&attribute),
                        };
                    }
                }
            }
            Turn::Rules(rules) => {
                let rules: BTreeMap<_, _> = rules
                    .into_iter()
                    .map(|(attribute, in_unit, strength, enforced, empty_wins)| {
                        let unit = in_unit.then_some(cast.sales);
                        let rule = Rule {
                            unit,
                            enforced,
                            empty_wins,
                            ..rule(attribute, strength)
                        };
                        ((attribute, unit), rule)
                    })
                    .collect();
                set(world, &cast, rules.into_values().collect()).await;
            }
        }
        if since.is_empty() {
            continue;
        }
        let rules = world.store.policy::<Rules>(&grace).await.unwrap();
        let path = [cast.key_accounts, cast.sales, cast.management];
        let profile = world.store.profile(&grace, cast.grace).await.unwrap();
        for attribute in [
            Attribute::Title,
            Attribute::Location,
            Attribute::DisplayName,
            Attribute::NickName,
        ] {
            let said = erp.get(&attribute).map(|value| domain::sourcing::ErpValue {
                source: cast.source,
                value: value.clone(),
                changed_at: since[&attribute],
                synced_at: since[&attribute],
            });
            let source = said.as_ref().map(|said| said.source);
            let rule = rules.in_force(attribute, &path, source);
            let expected =
                domain::sourcing::resolve(attribute, rule, said.as_ref(), own.get(&attribute));
            assert_eq!(value(&profile, attribute).resolved, expected, "{attribute}");
        }
        let card = &profile.person;
        assert_eq!(card.title, shows(&profile, Attribute::Title));
        assert_eq!(card.location, shows(&profile, Attribute::Location));
        assert_eq!(card.email, shows(&profile, Attribute::Emails));
        assert_eq!(card.department.as_deref(), Some("Key Accounts"));
        if let Some(name) = shows(&profile, Attribute::DisplayName) {
            assert_eq!(card.display_name, name);
            assert!(find(world, &grace, &name).await.contains(&name));
        }
    }
}

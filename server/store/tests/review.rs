//! Reviews: for superiors with a reason, under a record, seen by the reviewed.

mod support;

use std::time::Duration;

use chrono::TimeDelta;
use domain::{
    ConversationId, EmployeeId, ReviewId, UnitId, Viewer,
    review::{Notice, Oversight, OversightRule, Reason, Request, When},
};
use store::{
    Error,
    chat::NewConversation,
    review::{Look, Review, ReviewPage, ReviewQuery},
};
use support::{Cast, World, everywhere};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn rule(when: When) -> OversightRule {
    OversightRule {
        unit: None,
        on: true,
        when,
        context: false,
        max_days: 7,
        notice: Notice::AtOnce,
        enforced: false,
        dotted: false,
        delegates: false,
    }
}

fn off(unit: UnitId) -> OversightRule {
    OversightRule {
        unit: Some(unit),
        on: false,
        ..rule(When::Now)
    }
}

/// The oversight policy from now on.
async fn policy(world: &World, cast: &Cast, rules: &[OversightRule]) {
    let priya = cast.viewer(cast.priya);
    let read = world
        .store
        .policy::<Oversight>(&priya)
        .await
        .unwrap()
        .version;
    world
        .store
        .set_policy::<Oversight>(&priya, read, rules.to_vec(), "a test")
        .await
        .unwrap();
}

fn request(subject: EmployeeId) -> Request {
    Request {
        subject,
        reason: Reason {
            category: "client_complaint".into(),
            text: "A client says that they were insulted.".into(),
        },
        case: Some("C-2291".into()),
        from: None,
        to: None,
    }
}

async fn open(world: &World, viewer: &Viewer, subject: EmployeeId) -> Result<Review, Error> {
    world.store.open_review(viewer, request(subject)).await
}

async fn read(
    world: &World,
    viewer: &Viewer,
    id: ReviewId,
    query: ReviewQuery,
) -> Result<ReviewPage, Error> {
    world.store.review_messages(viewer, id, &query).await
}

/// The lines of a page: who, and the words or a dash where they are redacted.
fn lines(page: &ReviewPage) -> Vec<String> {
    let name = |id| {
        let card = page.people.iter().find(|card| card.id == id).unwrap();
        card.display_name.split(' ').next().unwrap()
    };
    page.page
        .items
        .iter()
        .map(|line| {
            format!(
                "{}: {}",
                name(line.sender),
                line.body.as_deref().unwrap_or("-")
            )
        })
        .collect()
}

async fn all(world: &World, viewer: &Viewer, id: ReviewId) -> Vec<String> {
    lines(
        &read(world, viewer, id, ReviewQuery::default())
            .await
            .unwrap(),
    )
}

async fn say(
    world: &World,
    cast: &Cast,
    who: EmployeeId,
    conversation: ConversationId,
    body: &str,
) {
    world.clock.advance(Duration::from_secs(60));
    let client_id = world.uuid().to_string();
    world
        .store
        .send(&cast.viewer(who), conversation, &client_id, body)
        .await
        .unwrap();
}

/// Luca, Mei (a peer in another unit, under Tomás) and Hanna (People) talk; Mei and Hanna alone too.
async fn talk(world: &World, cast: &Cast) -> ConversationId {
    let luca = cast.viewer(cast.luca);
    let new = NewConversation {
        members: vec![cast.mei, cast.hanna],
        title: Some("Harbour crane".into()),
    };
    let id = world.store.start_conversation(&luca, new).await.unwrap().id;
    say(world, cast, cast.luca, id, "The Crane is late again").await;
    say(world, cast, cast.mei, id, "Who told the client?").await;
    say(
        world,
        cast,
        cast.hanna,
        id,
        "Not about the crane, but: holidays",
    )
    .await;
    say(world, cast, cast.luca, id, "I did, and they were rude").await;
    let aside = NewConversation {
        members: vec![cast.hanna],
        title: None,
    };
    let aside = world
        .store
        .start_conversation(&cast.viewer(cast.mei), aside)
        .await
        .unwrap()
        .id;
    say(world, cast, cast.mei, aside, "Nothing to do with Luca").await;
    id
}

#[tokio::test]
async fn only_a_superior_under_a_policy_opens_a_review() {
    everywhere(async |world| {
        let cast = world.cast().await;
        talk(world, &cast).await;
        let attempt = async |who| open(world, &cast.viewer(who), cast.luca).await;
        assert!(
            matches!(attempt(cast.grace).await, Err(Error::NotFound)),
            "no policy"
        );

        for when in [When::Now, When::AtTheTime] {
            policy(world, &cast, &[rule(when)]).await;
            for superior in [cast.grace, cast.tomas, cast.ingrid] {
                let review = attempt(superior).await.unwrap();
                assert_eq!(
                    (review.reviewer.id, review.subject.id),
                    (superior, cast.luca)
                );
                assert_eq!(review.expires_at - review.opened_at, TimeDelta::days(7));
                assert_eq!(review.opened_at - review.from, TimeDelta::days(30));
            }
            // Oneself, a peer, HR, the administrator, compliance.
            for other in [cast.luca, cast.mei, cast.hanna, cast.priya, cast.omar] {
                assert!(matches!(attempt(other).await, Err(Error::NotFound)));
            }
            // A superior's words; nobody's; on nobody's behalf.
            let luca = cast.viewer(cast.luca);
            assert!(matches!(
                open(world, &luca, cast.grace).await,
                Err(Error::NotFound)
            ));
            let nobody = EmployeeId(world.uuid());
            assert!(matches!(
                open(world, &cast.viewer(cast.ingrid), nobody).await,
                Err(Error::NotFound)
            ));
            assert!(matches!(
                open(world, &Viewer::system("job"), cast.luca).await,
                Err(Error::NotFound)
            ));
        }

        policy(world, &cast, &[rule(When::Now), off(cast.key_accounts)]).await;
        assert!(matches!(attempt(cast.grace).await, Err(Error::NotFound)));
        open(world, &cast.viewer(cast.tomas), cast.mei)
            .await
            .unwrap();
        let reviewable = world
            .store
            .reviewable(&cast.viewer(cast.tomas))
            .await
            .unwrap();
        assert_eq!(
            reviewable.iter().map(|card| card.id).collect::<Vec<_>>(),
            [cast.mei]
        );
        assert_eq!(
            world
                .store
                .reviewable(&cast.viewer(cast.mei))
                .await
                .unwrap(),
            []
        );
    })
    .await;
}

#[tokio::test]
async fn a_review_needs_a_reason() {
    everywhere(async |world| {
        let cast = world.cast().await;
        policy(world, &cast, &[rule(When::Now)]).await;
        let grace = cast.viewer(cast.grace);
        let asked = request(cast.luca);
        let reason = |category: &str, text: &str| Reason {
            category: category.into(),
            text: text.into(),
        };
        for (request, field) in [
            (
                Request {
                    reason: reason("safety", ""),
                    ..asked.clone()
                },
                "reason.text",
            ),
            (
                Request {
                    reason: reason("safety", "why not"),
                    ..asked.clone()
                },
                "reason.text",
            ),
            (
                Request {
                    reason: reason(" ", "because of a complaint"),
                    ..asked.clone()
                },
                "reason.category",
            ),
            (
                Request {
                    from: Some(world.clock.now()),
                    to: Some(world.clock.now()),
                    ..asked.clone()
                },
                "to",
            ),
            (
                Request {
                    from: None,
                    to: Some(chrono::DateTime::<chrono::Utc>::MIN_UTC),
                    ..asked.clone()
                },
                "to",
            ),
        ] {
            let refused = world.store.open_review(&grace, request).await;
            let Err(Error::Invalid(found)) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!(found[0].field(), field);
        }
        assert_eq!(world.count("SELECT count(*) FROM reviews").await, 0);
    })
    .await;
}

#[tokio::test]
async fn words_of_people_outside_the_line_are_redacted() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let crane = talk(world, &cast).await;
        policy(world, &cast, &[rule(When::Now)]).await;
        let (grace, tomas) = (cast.viewer(cast.grace), cast.viewer(cast.tomas));
        let by_grace = open(world, &grace, cast.luca).await.unwrap().id;
        let by_tomas = open(world, &tomas, cast.luca).await.unwrap().id;

        let page = read(world, &grace, by_grace, ReviewQuery::default())
            .await
            .unwrap();
        let expected = [
            "Luca: The Crane is late again",
            "Mei: -",
            "Hanna: -",
            "Luca: I did, and they were rude",
        ];
        assert_eq!(lines(&page), expected);
        assert_eq!(
            page.page
                .items
                .iter()
                .map(|line| line.subject)
                .collect::<Vec<_>>(),
            [true, false, false, true]
        );
        assert_eq!(page.page.next_cursor, None);
        let expected = [
            "Luca: The Crane is late again",
            "Mei: Who told the client?",
            "Hanna: -",
            "Luca: I did, and they were rude",
        ];
        assert_eq!(all(world, &tomas, by_tomas).await, expected);

        let scope = world.store.review_scope(&grace, by_grace).await.unwrap();
        assert_eq!(scope.len(), 1);
        assert_eq!(
            (
                scope[0].conversation,
                scope[0].messages,
                scope[0].members.len()
            ),
            (crane, 2, 3)
        );
        assert_eq!(scope[0].title, "Harbour crane");

        let search = async |viewer, id, q: &str| {
            let query = ReviewQuery {
                q: q.into(),
                ..ReviewQuery::default()
            };
            let page = read(world, viewer, id, query).await.unwrap();
            assert!(
                page.page
                    .items
                    .iter()
                    .all(|line| line.hit && line.body.is_some())
            );
            lines(&page)
        };
        // Hanna's crane is not found: its line is redacted.
        assert_eq!(
            search(&tomas, by_tomas, "CRÄNE late").await,
            ["Luca: The Crane is late again"]
        );
        assert_eq!(
            search(&tomas, by_tomas, "client").await,
            ["Mei: Who told the client?"]
        );
        assert_eq!(
            search(&grace, by_grace, "client").await,
            Vec::<String>::new()
        );
        assert_eq!(
            search(&grace, by_grace, "late rude").await,
            Vec::<String>::new()
        );

        // With context the others are shown; where the subject's unit is off, nothing is.
        policy(
            world,
            &cast,
            &[OversightRule {
                context: true,
                ..rule(When::Now)
            }],
        )
        .await;
        assert_eq!(
            all(world, &grace, by_grace).await[2],
            "Hanna: Not about the crane, but: holidays"
        );
        policy(world, &cast, &[rule(When::Now), off(cast.sales)]).await;
        assert_eq!(all(world, &grace, by_grace).await, Vec::<String>::new());
        // A peer's unit that is off keeps the peer's words, even from the one above both.
        let more = OversightRule {
            unit: Some(cast.key_accounts),
            ..rule(When::Now)
        };
        policy(world, &cast, &[more, off(cast.sales)]).await;
        assert_eq!(all(world, &tomas, by_tomas).await[1], "Mei: -");
    })
    .await;
}

#[tokio::test]
async fn a_review_stays_in_its_range_and_in_the_time_of_the_subject() {
    everywhere(async |world| {
        let cast = world.cast().await;
        policy(world, &cast, &[rule(When::Now)]).await;
        let mei = cast.viewer(cast.mei);
        let new = NewConversation {
            members: vec![cast.tomas, cast.hanna],
            title: Some("Team".into()),
        };
        let team = world.store.start_conversation(&mei, new).await.unwrap().id;
        say(world, &cast, cast.mei, team, "before Luca came").await;
        world
            .store
            .add_members(&mei, team, &[cast.luca])
            .await
            .unwrap();
        say(world, &cast, cast.luca, team, "hello").await;
        say(world, &cast, cast.mei, team, "welcome").await;
        let noon = world.clock.now() + TimeDelta::seconds(30);
        say(world, &cast, cast.luca, team, "thanks").await;
        world
            .store
            .leave_conversation(&cast.viewer(cast.luca), team)
            .await
            .unwrap();
        say(world, &cast, cast.mei, team, "after Luca left").await;

        let ingrid = cast.viewer(cast.ingrid);
        let id = open(world, &ingrid, cast.luca).await.unwrap().id;
        assert_eq!(
            all(world, &ingrid, id).await,
            ["Luca: hello", "Mei: welcome", "Luca: thanks"]
        );
        let until = Request {
            to: Some(noon),
            ..request(cast.luca)
        };
        let id = world.store.open_review(&ingrid, until).await.unwrap().id;
        assert_eq!(
            all(world, &ingrid, id).await,
            ["Luca: hello", "Mei: welcome"]
        );
        let from = Request {
            from: Some(noon),
            ..request(cast.luca)
        };
        let id = world.store.open_review(&ingrid, from).await.unwrap().id;
        assert_eq!(all(world, &ingrid, id).await, ["Luca: thanks"]);
    })
    .await;
}

/// Luca moves from Grace to Hanna.
async fn move_luca(world: &World, cast: &Cast) {
    let now = world.clock.now();
    let (luca, hanna) = (cast.luca.0, cast.hanna.0);
    world
        .execute(
            "UPDATE manager_history SET to_at = $2 WHERE employee_id = $1",
            [luca.into(), now.into()],
        )
        .await;
    let insert =
        "INSERT INTO manager_history (employee_id, manager_id, from_at) VALUES ($1, $2, $3)";
    world
        .execute(insert, [luca.into(), hanna.into(), now.into()])
        .await;
    world
        .execute(
            "UPDATE employees SET manager_id = $2 WHERE id = $1",
            [luca.into(), hanna.into()],
        )
        .await;
    world.settle().await;
}

#[tokio::test]
async fn a_new_superior_midway_reads_as_the_policy_says() {
    everywhere(async |world| {
        let cast = world.cast().await;
        policy(world, &cast, &[rule(When::AtTheTime)]).await;
        let (grace, hanna, ingrid) = (
            cast.viewer(cast.grace),
            cast.viewer(cast.hanna),
            cast.viewer(cast.ingrid),
        );
        let new = NewConversation {
            members: vec![cast.mei],
            title: None,
        };
        let pair = world
            .store
            .start_conversation(&cast.viewer(cast.luca), new)
            .await
            .unwrap()
            .id;
        say(world, &cast, cast.luca, pair, "under Grace").await;
        let before = open(world, &grace, cast.luca).await.unwrap().id;
        world.clock.advance(Duration::from_secs(60));
        move_luca(world, &cast).await;
        say(world, &cast, cast.luca, pair, "under Hanna").await;

        // At the time: to each superior their part; above both, all.
        assert_eq!(all(world, &grace, before).await, ["Luca: under Grace"]);
        let former = open(world, &grace, cast.luca).await.unwrap().id;
        assert_eq!(all(world, &grace, former).await, ["Luca: under Grace"]);
        let by_hanna = open(world, &hanna, cast.luca).await.unwrap().id;
        assert_eq!(all(world, &hanna, by_hanna).await, ["Luca: under Hanna"]);
        let by_ingrid = open(world, &ingrid, cast.luca).await.unwrap().id;
        assert_eq!(
            all(world, &ingrid, by_ingrid).await,
            ["Luca: under Grace", "Luca: under Hanna"]
        );
        // But not of a time when one was not above.
        let later = Request {
            from: Some(world.clock.now()),
            ..request(cast.luca)
        };
        assert!(matches!(
            world.store.open_review(&grace, later).await,
            Err(Error::NotFound)
        ));

        // Now: all to who is above now, nothing to who was.
        policy(world, &cast, &[rule(When::Now)]).await;
        assert!(matches!(
            open(world, &grace, cast.luca).await,
            Err(Error::NotFound)
        ));
        assert_eq!(all(world, &grace, before).await, Vec::<String>::new());
        assert_eq!(
            all(world, &hanna, by_hanna).await,
            ["Luca: under Grace", "Luca: under Hanna"]
        );
        assert!(matches!(
            world
                .store
                .extend_review(&grace, before, "not done yet")
                .await,
            Err(Error::NotFound)
        ));
    })
    .await;
}

#[tokio::test]
async fn who_is_above_now_is_not_reviewed_for_the_past() {
    everywhere(async |world| {
        let cast = world.cast().await;
        policy(world, &cast, &[rule(When::AtTheTime)]).await;
        talk(world, &cast).await;
        // Grace now reports to Luca.
        let now = world.clock.now();
        world.execute("UPDATE manager_history SET to_at = $1", [now.into()]).await;
        for (who, above) in [(cast.luca, cast.tomas), (cast.grace, cast.luca)] {
            let insert = "INSERT INTO manager_history (employee_id, manager_id, from_at) VALUES ($1, $2, $3)";
            world.execute(insert, [who.0.into(), above.0.into(), now.into()]).await;
            world.execute("UPDATE employees SET manager_id = $2 WHERE id = $1", [who.0.into(), above.0.into()]).await;
        }
        world.settle().await;
        assert!(matches!(open(world, &cast.viewer(cast.grace), cast.luca).await, Err(Error::NotFound)));
    })
    .await;
}

#[tokio::test]
async fn the_words_of_who_left_are_reviewed_by_who_was_above() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let more = OversightRule {
            unit: Some(cast.key_accounts),
            ..rule(When::AtTheTime)
        };
        policy(world, &cast, &[more]).await;
        talk(world, &cast).await;
        world.leave(cast.luca).await;
        let now = world.clock.now() + TimeDelta::seconds(1);
        world
            .execute(
                "UPDATE manager_history SET to_at = $2 WHERE employee_id = $1",
                [cast.luca.0.into(), now.into()],
            )
            .await;
        world.settle().await;
        let grace = cast.viewer(cast.grace);
        let id = open(world, &grace, cast.luca).await.unwrap().id;
        assert_eq!(all(world, &grace, id).await.len(), 4);
        assert!(matches!(
            open(world, &cast.viewer(cast.hanna), cast.luca).await,
            Err(Error::NotFound)
        ));
    })
    .await;
}

#[tokio::test]
async fn pages_follow_one_another() {
    everywhere(async |world| {
        let cast = world.cast().await;
        policy(world, &cast, &[rule(When::Now)]).await;
        let crane = talk(world, &cast).await;
        let new = NewConversation {
            members: vec![cast.mei],
            title: None,
        };
        let pair = world
            .store
            .start_conversation(&cast.viewer(cast.luca), new)
            .await
            .unwrap()
            .id;
        for number in 0..6 {
            // Two at one moment in two conversations.
            for id in [crane, pair] {
                let client_id = format!("n{number}");
                let body = format!("number {number}");
                world
                    .store
                    .send(&cast.viewer(cast.luca), id, &client_id, &body)
                    .await
                    .unwrap();
            }
        }
        let grace = cast.viewer(cast.grace);
        let id = open(world, &grace, cast.luca).await.unwrap().id;
        let whole = read(world, &grace, id, ReviewQuery::default())
            .await
            .unwrap();
        assert_eq!(whole.page.items.len(), 16);
        for q in ["", "number"] {
            let mut found = Vec::new();
            let mut query = ReviewQuery {
                q: q.into(),
                limit: Some(3),
                ..ReviewQuery::default()
            };
            let mut entries = Vec::new();
            loop {
                let page = read(world, &grace, id, query.clone()).await.unwrap();
                assert!(page.page.items.len() <= 3);
                entries.push(page.entry);
                found.extend(page.page.items);
                query.cursor = page.page.next_cursor;
                if query.cursor.is_none() {
                    break;
                }
            }
            let mut expected = whole.page.items.clone();
            expected.retain(|line| {
                q.is_empty() || line.body.as_deref().is_some_and(|body| body.contains(q))
            });
            let key = |line: &store::review::ReviewedMessage| line.id;
            assert_eq!(
                found.iter().map(key).collect::<Vec<_>>(),
                expected.iter().map(key).collect::<Vec<_>>()
            );
            assert!(entries.len() >= 4 && entries.is_sorted());
        }
        let query = ReviewQuery {
            conversation: Some(pair),
            ..ReviewQuery::default()
        };
        assert_eq!(
            read(world, &grace, id, query)
                .await
                .unwrap()
                .page
                .items
                .len(),
            6
        );
        for query in [
            ReviewQuery {
                limit: Some(0),
                ..ReviewQuery::default()
            },
            ReviewQuery {
                limit: Some(101),
                ..ReviewQuery::default()
            },
            ReviewQuery {
                cursor: Some("rubbish".into()),
                ..ReviewQuery::default()
            },
            ReviewQuery {
                q: "x".repeat(201),
                ..ReviewQuery::default()
            },
        ] {
            assert!(matches!(
                read(world, &grace, id, query).await,
                Err(Error::Invalid(_))
            ));
        }
    })
    .await;
}

fn whats(looks: &[Look]) -> Vec<&str> {
    looks.iter().map(|look| look.what.as_str()).collect()
}

#[tokio::test]
async fn every_look_is_recorded_and_seen_by_the_reviewed() {
    everywhere(async |world| {
        let cast = world.cast().await;
        policy(world, &cast, &[rule(When::Now)]).await;
        talk(world, &cast).await;
        let (grace, luca) = (cast.viewer(cast.grace), cast.viewer(cast.luca));
        let review = open(world, &grace, cast.luca).await.unwrap();
        let query = ReviewQuery {
            q: "rude".into(),
            ..ReviewQuery::default()
        };
        all(world, &grace, review.id).await;
        let searched = read(world, &grace, review.id, query).await.unwrap().entry;
        world
            .store
            .extend_review(&grace, review.id, "the client has not answered")
            .await
            .unwrap();
        let ended = world
            .store
            .end_review(&grace, review.id, "Nothing that was wrong.")
            .await
            .unwrap();

        let trace = world.store.review_trace(&grace, review.id).await.unwrap();
        assert_eq!(
            whats(&trace),
            ["opened", "read", "searched", "extended", "ended"]
        );
        assert_eq!((trace[1].messages, trace[1].q.as_deref()), (Some(2), None));
        assert_eq!(
            (trace[2].entry, trace[2].messages, trace[2].q.as_deref()),
            (searched, Some(1), Some("rude"))
        );
        let seen = world.store.looked_at(&luca, None).await.unwrap();
        assert_eq!(
            whats(&seen.items),
            ["ended", "extended", "searched", "read", "opened"]
        );
        assert!(
            seen.items
                .iter()
                .all(|look| look.who.id == cast.grace && look.review.as_ref() == Some(&ended))
        );
        assert_eq!(ended.finding.as_deref(), Some("Nothing that was wrong."));
        // Nobody else's business: a review is its reviewer's, a record its subject's.
        for other in [cast.tomas, cast.luca, cast.priya, cast.omar] {
            let other = cast.viewer(other);
            let (id, query) = (review.id, ReviewQuery::default());
            assert!(matches!(
                world.store.review(&other, id).await,
                Err(Error::NotFound)
            ));
            assert!(matches!(
                world.store.review_scope(&other, id).await,
                Err(Error::NotFound)
            ));
            assert!(matches!(
                read(world, &other, id, query).await,
                Err(Error::NotFound)
            ));
            assert!(matches!(
                world.store.review_trace(&other, id).await,
                Err(Error::NotFound)
            ));
            assert!(matches!(
                world.store.extend_review(&other, id, "because").await,
                Err(Error::NotFound)
            ));
            assert!(matches!(
                world.store.end_review(&other, id, "because").await,
                Err(Error::NotFound)
            ));
            assert_eq!(world.store.reviews(&other).await.unwrap(), []);
        }
        assert_eq!(
            world
                .store
                .looked_at(&cast.viewer(cast.mei), None)
                .await
                .unwrap()
                .items,
            []
        );
        assert_eq!(world.store.reviews(&grace).await.unwrap(), [ended]);
        assert!(
            world
                .store
                .verify_audit(&cast.viewer(cast.omar), vec![])
                .await
                .unwrap()
                .ok
        );
    })
    .await;
}

#[tokio::test]
async fn without_an_entry_there_is_no_row() {
    everywhere(async |world| {
        let cast = world.cast().await;
        policy(world, &cast, &[rule(When::Now)]).await;
        talk(world, &cast).await;
        let grace = cast.viewer(cast.grace);
        let id = open(world, &grace, cast.luca).await.unwrap().id;
        world
            .execute("ALTER TABLE audit_entries RENAME TO gone", [])
            .await;
        assert!(matches!(
            read(world, &grace, id, ReviewQuery::default()).await,
            Err(Error::Db(_))
        ));
        assert!(matches!(
            world.store.review_scope(&grace, id).await,
            Err(Error::Db(_))
        ));
        assert!(matches!(
            open(world, &grace, cast.luca).await,
            Err(Error::Db(_))
        ));
        assert_eq!(world.count("SELECT count(*) FROM reviews").await, 1);
        world
            .execute("ALTER TABLE gone RENAME TO audit_entries", [])
            .await;
        assert_eq!(all(world, &grace, id).await.len(), 4);
    })
    .await;
}

#[tokio::test]
async fn a_review_ends_by_itself_or_by_word() {
    everywhere(async |world| {
        let cast = world.cast().await;
        policy(world, &cast, &[rule(When::Now)]).await;
        talk(world, &cast).await;
        let grace = cast.viewer(cast.grace);
        let over = async |id| {
            let store = &world.store;
            assert!(matches!(
                read(world, &grace, id, ReviewQuery::default()).await,
                Err(Error::Conflict("review_over"))
            ));
            assert!(matches!(
                store.review_scope(&grace, id).await,
                Err(Error::Conflict("review_over"))
            ));
            assert!(matches!(
                store.extend_review(&grace, id, "more time").await,
                Err(Error::Conflict("review_over"))
            ));
            assert!(matches!(
                store.end_review(&grace, id, "nothing").await,
                Err(Error::Conflict("review_over"))
            ));
            store.review(&grace, id).await.unwrap();
        };
        let first = open(world, &grace, cast.luca).await.unwrap().id;
        let second = open(world, &grace, cast.luca).await.unwrap().id;
        world.clock.advance(6 * DAY);
        assert!(matches!(
            world.store.extend_review(&grace, first, "  ").await,
            Err(Error::Invalid(_))
        ));
        let extended = world
            .store
            .extend_review(&grace, first, "the client is away")
            .await
            .unwrap();
        assert_eq!(extended.expires_at, world.clock.now() + TimeDelta::days(7));
        world.clock.advance(DAY);
        over(second).await;
        all(world, &grace, first).await;
        assert!(matches!(
            world.store.end_review(&grace, first, "").await,
            Err(Error::Invalid(_))
        ));
        world
            .store
            .end_review(&grace, first, "Nothing.")
            .await
            .unwrap();
        over(first).await;
    })
    .await;
}

#[tokio::test]
async fn notice_at_the_end_waits_for_the_end() {
    everywhere(async |world| {
        let cast = world.cast().await;
        policy(world, &cast, &[rule(When::Now)]).await;
        talk(world, &cast).await;
        let (grace, luca) = (cast.viewer(cast.grace), cast.viewer(cast.luca));
        let told = open(world, &grace, cast.luca).await.unwrap().id;
        policy(
            world,
            &cast,
            &[OversightRule {
                notice: Notice::AtTheEnd,
                ..rule(When::Now)
            }],
        )
        .await;
        let ended = open(world, &grace, cast.luca).await.unwrap().id;
        let expiring = open(world, &grace, cast.luca).await.unwrap().id;
        for id in [told, ended, expiring] {
            all(world, &grace, id).await;
        }
        let seen = async || {
            let looks = world.store.looked_at(&luca, None).await.unwrap().items;
            looks
                .into_iter()
                .map(|look| look.review.unwrap().id)
                .collect::<Vec<_>>()
        };
        assert_eq!(seen().await, [told, told]);
        world
            .store
            .end_review(&grace, ended, "Nothing.")
            .await
            .unwrap();
        assert_eq!(seen().await, [ended, ended, told, ended, told]);
        world.clock.advance(7 * DAY);
        assert_eq!(
            seen().await,
            [ended, expiring, ended, told, expiring, ended, told]
        );
    })
    .await;
}

#[tokio::test]
async fn the_list_of_looks_comes_in_pages_and_knows_private_attributes() {
    everywhere(async |world| {
        let cast = world.cast().await;
        policy(world, &cast, &[rule(When::Now)]).await;
        talk(world, &cast).await;
        let (grace, luca) = (cast.viewer(cast.grace), cast.viewer(cast.luca));
        let id = open(world, &grace, cast.luca).await.unwrap().id;
        for _ in 0..60 {
            all(world, &grace, id).await;
        }
        world
            .store
            .profile(&cast.viewer(cast.hanna), cast.luca)
            .await
            .unwrap();
        let first = world.store.looked_at(&luca, None).await.unwrap();
        assert_eq!(
            (first.items.len(), first.items[0].what.as_str()),
            (50, "private_attributes")
        );
        assert_eq!(
            (first.items[0].who.id, &first.items[0].review),
            (cast.hanna, &None)
        );
        let rest = world
            .store
            .looked_at(&luca, first.next_cursor.as_deref())
            .await
            .unwrap();
        assert_eq!((rest.items.len(), rest.next_cursor), (12, None));
        assert!(matches!(
            world.store.looked_at(&luca, Some("x")).await,
            Err(Error::Invalid(_))
        ));
    })
    .await;
}

#[tokio::test]
async fn people_are_told_how_many_could_review_them() {
    everywhere(async |world| {
        let cast = world.cast().await;
        talk(world, &cast).await;
        let could = async |who| {
            let list = world.store.conversations(&cast.viewer(who)).await.unwrap();
            list[0].reviewable_by
        };
        assert_eq!(could(cast.luca).await, 0);
        policy(world, &cast, &[rule(When::Now), off(cast.people)]).await;
        assert_eq!(
            (
                could(cast.luca).await,
                could(cast.mei).await,
                could(cast.hanna).await
            ),
            (3, 2, 0)
        );
    })
    .await;
}

#[tokio::test]
async fn many_read_at_once_and_each_look_has_its_entry() {
    everywhere(async |world| {
        let cast = world.cast().await;
        policy(world, &cast, &[rule(When::AtTheTime)]).await;
        talk(world, &cast).await;
        let grace = cast.viewer(cast.grace);
        let id = open(world, &grace, cast.luca).await.unwrap().id;
        // More than there are connections to the database.
        let looks = (0..60).map(|_| read(world, &grace, id, ReviewQuery::default()));
        let mut entries: Vec<_> = futures::future::join_all(looks)
            .await
            .into_iter()
            .map(|page| page.unwrap().entry)
            .collect();
        entries.sort_unstable();
        entries.dedup();
        assert_eq!(entries.len(), 60);
        let trace = world.store.review_trace(&grace, id).await.unwrap();
        assert_eq!(trace.len(), 61);
    })
    .await;
}

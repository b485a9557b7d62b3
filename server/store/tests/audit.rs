//! The audit log: what is written, who may read it, and that tampering is found.

mod support;

use std::{collections::BTreeMap, time::Duration};

use domain::{
    Attribute,
    audit::{Broken, Checkpoint},
};
use store::{
    Error,
    audit::{AuditQuery, ExportLine, verify_export},
};
use support::{Cast, World};

/// Has Grace and Mei change their titles in turn, one audit entry each.
async fn write(world: &World, cast: &Cast, entries: usize) {
    for at in 0..entries {
        world.clock.advance(Duration::from_secs(1));
        let id = [cast.grace, cast.mei][at % 2];
        let title = format!("Title {} of {}", at, world.clock.now());
        let edits = BTreeMap::from([(Attribute::Title.name().to_owned(), Some(title.into()))]);
        let viewer = cast.viewer(id);
        world.store.edit_profile(&viewer, id, edits).await.unwrap();
    }
}

async fn verify(world: &World, cast: &Cast, outside: &[Checkpoint]) -> Option<Broken> {
    let viewer = cast.viewer(cast.omar);
    let verified = world.store.verify_audit(&viewer, outside.to_vec()).await;
    let verified = verified.unwrap();
    assert_eq!(verified.ok, verified.broken.is_none());
    verified.broken
}

#[tokio::test]
async fn only_those_who_look_after_the_log_read_it() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        write(world, &cast, 3).await;
        let query = AuditQuery::default();
        for id in [cast.mei, cast.ingrid, cast.hanna] {
            let viewer = cast.viewer(id);
            let answers = [
                world.store.audit_log(&viewer, &query).await.map(drop),
                world
                    .store
                    .verify_audit(&viewer, Vec::new())
                    .await
                    .map(drop),
                world.store.export_audit(&viewer, 0, 10).await.map(drop),
                world.store.checkpoint(&viewer).await.map(drop),
            ];
            for answer in answers {
                assert!(matches!(answer, Err(Error::NotFound)), "{answer:?}");
            }
        }
        for id in [cast.omar, cast.priya] {
            let page = world.store.audit_log(&cast.viewer(id), &query).await;
            assert_eq!(page.unwrap().items.len(), 3);
        }
    })
    .await;
}

#[tokio::test]
async fn the_log_is_filtered_paged_and_named() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        write(world, &cast, 11).await;
        let omar = cast.viewer(cast.omar);
        let mut seen = Vec::new();
        let mut query = AuditQuery {
            limit: Some(4),
            ..AuditQuery::default()
        };
        loop {
            let page = world.store.audit_log(&omar, &query).await.unwrap();
            seen.extend(page.items.iter().map(|item| item.entry.seq));
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, (1..=11).rev().collect::<Vec<_>>());

        // A look for a person is itself in the log; a look at everything is not.
        let about_grace = AuditQuery {
            subject: Some(cast.grace),
            ..AuditQuery::default()
        };
        let page = world.store.audit_log(&omar, &about_grace).await.unwrap();
        assert_eq!(page.items.len(), 6);
        let names = page.items.iter().map(|item| item.subject_name.as_deref());
        assert!(names.into_iter().all(|name| name == Some("Grace Okafor")));
        let reads = AuditQuery {
            action: Some("audit.".into()),
            ..AuditQuery::default()
        };
        let page = world.store.audit_log(&omar, &reads).await.unwrap();
        let [read] = &page.items[..] else {
            panic!("{page:?}")
        };
        assert_eq!(read.entry.action, "audit.read");
        assert_eq!(read.actor_name.as_deref(), Some("Omar Haddad"));
        assert_eq!(read.entry.address.as_deref(), Some("192.0.2.7"));

        let at = |seconds| support_start(world) + chrono::TimeDelta::seconds(seconds);
        let between = AuditQuery {
            from: Some(at(3)),
            to: Some(at(5)),
            ..AuditQuery::default()
        };
        let page = world.store.audit_log(&omar, &between).await.unwrap();
        let seqs: Vec<_> = page.items.iter().map(|item| item.entry.seq).collect();
        assert_eq!(seqs, [4, 3]);
        let wrong = AuditQuery {
            cursor: Some("x".into()),
            ..AuditQuery::default()
        };
        let answer = world.store.audit_log(&omar, &wrong).await;
        assert!(matches!(answer, Err(Error::Invalid(_))), "{answer:?}");
    })
    .await;
}

/// When the eleven entries of the test before began to be written.
fn support_start(world: &World) -> chrono::DateTime<chrono::Utc> {
    world.clock.now() - chrono::TimeDelta::seconds(11)
}

#[tokio::test]
async fn a_whole_log_verifies_and_a_checkpoint_is_signed_once() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let omar = cast.viewer(cast.omar);
        assert_eq!(verify(world, &cast, &[]).await, None);
        assert_eq!(world.store.checkpoint(&omar).await.unwrap(), None);
        write(world, &cast, 5).await;
        let checkpoint = world.store.checkpoint(&omar).await.unwrap().unwrap();
        assert_eq!(checkpoint.seq, 5);
        assert_eq!(world.store.checkpoint(&omar).await.unwrap(), None);
        write(world, &cast, 2).await;
        let verified = world.store.verify_audit(&omar, vec![checkpoint]).await;
        let verified = verified.unwrap();
        assert_eq!((verified.entries, verified.checkpoints), (7, 2));
        assert!(verified.ok);
    })
    .await;
}

/// Each way to tamper, and what is then found. The statements are what somebody
/// with the database in hand would write.
#[tokio::test]
async fn tampering_is_found() {
    let last =
        "UPDATE audit_head SET seq = 6, hash = (SELECT hash FROM audit_entries WHERE seq = 6)";
    let ways: &[(&[&str], Broken)] = &[
        (
            &["UPDATE audit_entries SET detail = '{}' WHERE seq = 3"],
            Broken::Changed { seq: 3 },
        ),
        (
            &["UPDATE audit_entries SET hash = prev WHERE seq = 4"],
            Broken::Changed { seq: 4 },
        ),
        (
            &["DELETE FROM audit_entries WHERE seq = 3"],
            Broken::OutOfPlace {
                expected: 3,
                found: 4,
            },
        ),
        (
            &["DELETE FROM audit_entries WHERE seq = 1"],
            Broken::OutOfPlace {
                expected: 1,
                found: 2,
            },
        ),
        (
            &[
                "UPDATE audit_entries SET seq = 99 WHERE seq = 2",
                "UPDATE audit_entries SET seq = 2 WHERE seq = 3",
                "UPDATE audit_entries SET seq = 3 WHERE seq = 99",
            ],
            Broken::Changed { seq: 2 },
        ),
        // The last one is cut off; the head still speaks of it.
        (
            &["DELETE FROM audit_entries WHERE seq = 7"],
            Broken::Truncated { last: 6, signed: 7 },
        ),
        // The head is bent as well; the checkpoint at 7 speaks of it.
        (
            &["DELETE FROM audit_entries WHERE seq = 7", last],
            Broken::Truncated { last: 6, signed: 7 },
        ),
        (
            &["DELETE FROM audit_entries"],
            Broken::Truncated { last: 0, signed: 7 },
        ),
        (
            &["UPDATE audit_head SET hash = (SELECT hash FROM audit_entries WHERE seq = 1)"],
            Broken::Replaced { seq: 7 },
        ),
        (
            &["UPDATE audit_checkpoints SET signature = '00'"],
            Broken::Forged { seq: 7 },
        ),
    ];
    for (statements, expected) in ways {
        support::everywhere(async |world| {
            let cast = world.cast().await;
            write(world, &cast, 7).await;
            let omar = cast.viewer(cast.omar);
            world.store.checkpoint(&omar).await.unwrap();
            assert_eq!(verify(world, &cast, &[]).await, None);
            for statement in *statements {
                assert!(world.execute(statement, []).await > 0, "{statement}");
            }
            let broken = verify(world, &cast, &[]).await;
            assert_eq!(broken.as_ref(), Some(expected), "{statements:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_checkpoint_kept_outside_finds_what_no_row_tells_any_more() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        write(world, &cast, 7).await;
        let omar = cast.viewer(cast.omar);
        let kept = world.store.checkpoint(&omar).await.unwrap().unwrap();
        for statement in [
            "DELETE FROM audit_entries WHERE seq = 7",
            "UPDATE audit_head SET seq = 6, hash = (SELECT hash FROM audit_entries WHERE seq = 6)",
            "DELETE FROM audit_checkpoints",
        ] {
            world.execute(statement, []).await;
        }
        assert_eq!(
            verify(world, &cast, &[]).await,
            None,
            "nothing inside tells"
        );
        let broken = verify(world, &cast, std::slice::from_ref(&kept)).await;
        assert_eq!(broken, Some(Broken::Truncated { last: 6, signed: 7 }));
        // Another entry in its place is found as well.
        write(world, &cast, 1).await;
        let broken = verify(world, &cast, &[kept]).await;
        assert_eq!(broken, Some(Broken::Replaced { seq: 7 }));
    })
    .await;
}

#[tokio::test]
async fn an_export_verifies_elsewhere_and_tells_what_was_bent() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let omar = cast.viewer(cast.omar);
        write(world, &cast, 4).await;
        world.store.checkpoint(&omar).await.unwrap();
        write(world, &cast, 3).await;
        let mut lines = Vec::new();
        let mut after = 0;
        loop {
            let part = world.store.export_audit(&omar, after, 3).await.unwrap();
            let Some(seq) = part.iter().rev().find_map(|line| match line {
                ExportLine::Entry(entry) => Some(entry.seq),
                _ => None,
            }) else {
                break;
            };
            after = seq;
            lines.extend(part);
        }
        let text: Vec<_> = lines
            .iter()
            .map(|line| serde_json::to_string(line).unwrap())
            .collect();
        let verified = |lines: &[String]| verify_export(lines.iter().cloned().map(Ok));
        let whole = verified(&text).unwrap();
        // Seven changes and the export itself.
        assert_eq!((whole.ok, whole.entries, whole.checkpoints), (true, 8, 1));
        let inside = world.store.verify_audit(&omar, Vec::new()).await.unwrap();
        assert_eq!(whole.head, inside.head);

        let without = |at: usize| {
            let mut lines = text.clone();
            lines.remove(at);
            verified(&lines).unwrap().broken
        };
        assert!(matches!(without(2), Some(Broken::OutOfPlace { .. })));
        // Entry 4 stands before its checkpoint.
        assert_eq!(without(4), Some(Broken::Truncated { last: 3, signed: 4 }));
        let mut bent = text.clone();
        bent[3] = bent[3].replace("Title 2", "Title 9");
        assert_eq!(
            verified(&bent).unwrap().broken,
            Some(Broken::Changed { seq: 3 })
        );
        for rubbish in [vec![], vec!["{}".to_owned()], text[1..].to_vec()] {
            let answer = verified(&rubbish);
            assert!(matches!(answer, Err(Error::Invalid(_))), "{answer:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_at_once_make_one_chain() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let edits = cast.everyone().map(|id| {
            let (store, viewer) = (&world.store, cast.viewer(id));
            async move {
                for turn in 0..6 {
                    let about = Some(format!("Turn {turn}").into());
                    let edits = BTreeMap::from([("about".to_owned(), about)]);
                    store.edit_profile(&viewer, id, edits).await.unwrap();
                }
            }
        });
        futures::future::join_all(edits).await;
        assert_eq!(world.count("SELECT count(*) FROM audit_entries").await, 48);
        assert_eq!(verify(world, &cast, &[]).await, None);
    })
    .await;
}

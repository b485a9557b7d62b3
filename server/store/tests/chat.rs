//! Chat: what is acknowledged is there once, without a gap, and for members only.

mod support;

use std::collections::BTreeSet;

use domain::{ConversationId, EmployeeId, Roles, Viewer, Violation, chat::BODY_MAX};
use store::{
    Error, Event, Store,
    account::Cost,
    chat::{Kind, NewConversation, Range},
    db,
};
use support::{Cast, Newcomer, World, everywhere};

fn group(members: &[EmployeeId], title: &str) -> NewConversation {
    NewConversation {
        members: members.to_vec(),
        title: Some(title.into()),
    }
}

fn direct(other: EmployeeId) -> NewConversation {
    NewConversation {
        members: vec![other],
        title: None,
    }
}

async fn bodies(store: &Store, viewer: &Viewer, id: ConversationId) -> Vec<String> {
    let messages = store.messages(viewer, id, Range::default()).await.unwrap();
    messages
        .items
        .into_iter()
        .map(|message| message.body)
        .collect()
}

async fn trio(world: &World, cast: &Cast) -> ConversationId {
    let grace = cast.viewer(cast.grace);
    let new = group(&[cast.luca, cast.mei], "Harbour crane");
    world
        .store
        .start_conversation(&grace, new)
        .await
        .unwrap()
        .id
}

#[tokio::test]
async fn a_hundred_people_write_at_once_and_twice() {
    everywhere(async |world| {
        let mut people = Vec::new();
        for number in 0..100 {
            let name = format!("Person {number}");
            people.push(
                world
                    .add(Newcomer {
                        name: &name,
                        ..Newcomer::default()
                    })
                    .await,
            );
        }
        world.settle().await;
        let viewers: Vec<_> = people
            .iter()
            .map(|id| Viewer::person(*id, Roles::EMPLOYEE))
            .collect();
        let id = world
            .store
            .start_conversation(&viewers[0], group(&people[1..], "All"))
            .await
            .unwrap()
            .id;
        let mut events = world.store.events();

        let mut sends = Vec::new();
        for viewer in viewers.clone() {
            for number in 0..5 {
                for _ in 0..2 {
                    let (store, viewer) = (world.store.clone(), viewer.clone());
                    sends.push(tokio::spawn(async move {
                        let client_id = format!("c{number}");
                        let sent = store
                            .send(&viewer, id, &client_id, &format!("message {number}"))
                            .await
                            .unwrap();
                        assert_eq!(Some(sent.message.sender), viewer.id());
                        (
                            sent.message.sender,
                            client_id,
                            sent.message.seq,
                            sent.message.id,
                            sent.repeated,
                        )
                    }));
                }
            }
        }
        let mut answers = BTreeSet::new();
        let mut repeated = 0;
        for send in sends {
            let (sender, client_id, seq, id, again) = send.await.unwrap();
            answers.insert((sender, client_id, seq, id));
            repeated += usize::from(again);
        }
        assert_eq!((answers.len(), repeated), (500, 500));
        let seqs: BTreeSet<_> = answers.iter().map(|(_, _, seq, _)| *seq).collect();
        assert!(seqs.into_iter().eq(1..=500));
        assert_eq!(world.count("SELECT count(*) FROM messages").await, 500);
        assert_eq!(world.count("SELECT max(seq) FROM messages").await, 500);
        assert_eq!(
            world
                .store
                .conversation(&viewers[7], id)
                .await
                .unwrap()
                .last_seq,
            500
        );

        // Everyone was told of each once, in order.
        let mut told = Vec::new();
        while let Ok(event) = events.try_recv() {
            let Event::Messages(messages) = event else {
                continue;
            };
            for (message, members) in messages.iter() {
                assert_eq!(members.len(), 100);
                told.push(message.seq);
            }
        }
        assert!(told.into_iter().eq(1..=500));
    })
    .await;
}

#[tokio::test]
async fn two_portals_over_one_database_leave_no_gap() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let id = trio(world, &cast).await;
        let second = db::connect(&world.url).await.unwrap();
        let second = Store::open_with(second, world.env.clone(), world.keys.clone(), Cost::Least)
            .await
            .unwrap();
        let mut sends = Vec::new();
        for number in 0..60 {
            let store = if number % 2 == 0 {
                world.store.clone()
            } else {
                second.clone()
            };
            let viewer = cast.viewer([cast.grace, cast.luca, cast.mei][number % 3]);
            sends.push(tokio::spawn(async move {
                // Every client id comes through both.
                store
                    .send(&viewer, id, &format!("c{}", number / 6), "hello")
                    .await
                    .unwrap()
                    .message
            }));
        }
        let mut seqs = BTreeSet::new();
        for send in sends {
            seqs.insert(send.await.unwrap().seq);
        }
        assert!(seqs.into_iter().eq(1..=30));
        assert_eq!(world.count("SELECT count(*) FROM messages").await, 30);
    })
    .await;
}

#[tokio::test]
async fn a_repeated_client_id_is_answered_with_the_first_result() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let id = trio(world, &cast).await;
        let (grace, luca) = (cast.viewer(cast.grace), cast.viewer(cast.luca));
        let first = world
            .store
            .send(&grace, id, "c-1", "the first")
            .await
            .unwrap();
        let again = world
            .store
            .send(&grace, id, "c-1", "another text")
            .await
            .unwrap();
        assert!(!first.repeated && again.repeated);
        assert_eq!(first.message, again.message);
        // It is the sender's own.
        let other = world.store.send(&luca, id, "c-1", "mine").await.unwrap();
        assert_eq!((other.repeated, other.message.seq), (false, 2));
        assert_eq!(bodies(&world.store, &luca, id).await, ["the first", "mine"]);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let id = trio(world, &cast).await;
        let grace = cast.viewer(cast.grace);
        for (client_id, body, field) in [
            ("c", "", "body"),
            ("c", " \n", "body"),
            ("c", &*"x".repeat(100_000), "body"),
            ("c", "a\0b", "body"),
            ("", "hello", "client_id"),
            (&*"c".repeat(65), "hello", "client_id"),
        ] {
            let refused = world.store.send(&grace, id, client_id, body).await;
            let Err(Error::Invalid(found)) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!(found[0].field(), field);
        }
        let longest = "🙂".repeat(BODY_MAX);
        world.store.send(&grace, id, "c", &longest).await.unwrap();
        assert_eq!(bodies(&world.store, &grace, id).await, [longest]);
    })
    .await;
}

#[tokio::test]
async fn one_that_cannot_be_written_takes_no_other_with_it() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let id = trio(world, &cast).await;
        let poison = if world.is_postgres() {
            "ALTER TABLE messages ADD CONSTRAINT no_poison CHECK (body <> 'poison')"
        } else {
            "CREATE TRIGGER no_poison BEFORE INSERT ON messages WHEN NEW.body = 'poison' \
             BEGIN SELECT RAISE(ABORT, 'poison'); END"
        };
        world.execute(poison, []).await;
        let mut sends = Vec::new();
        for number in 0..30 {
            let (store, grace) = (world.store.clone(), cast.viewer(cast.grace));
            sends.push(tokio::spawn(async move {
                let body = if number == 11 { "poison" } else { "fine" };
                store.send(&grace, id, &format!("c{number}"), body).await
            }));
        }
        let mut failed = Vec::new();
        let mut seqs = BTreeSet::new();
        for (number, send) in sends.into_iter().enumerate() {
            match send.await.unwrap() {
                Ok(sent) => assert!(seqs.insert(sent.message.seq)),
                Err(Error::Db(_)) => failed.push(number),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(failed, [11]);
        assert!(seqs.into_iter().eq(1..=29));
    })
    .await;
}

#[tokio::test]
async fn what_waits_is_written_before_the_end() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let id = trio(world, &cast).await;
        let mut sends = Vec::new();
        for number in 0..40 {
            let (store, grace) = (world.store.clone(), cast.viewer(cast.grace));
            sends.push(tokio::spawn(async move {
                store.send(&grace, id, &format!("c{number}"), "hello").await
            }));
        }
        // Lets every task put its message into the queue.
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        world.store.flush_messages().await;
        assert_eq!(world.count("SELECT count(*) FROM messages").await, 40);
        for send in sends {
            send.await.unwrap().unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn others_find_nothing() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let id = trio(world, &cast).await;
        let store = &world.store;
        store
            .send(&cast.viewer(cast.grace), id, "c", "among us")
            .await
            .unwrap();
        let nowhere = ConversationId(world.uuid());
        // A superior of all three, the administrator, HR, compliance: none is a member.
        for outsider in [cast.tomas, cast.ingrid, cast.priya, cast.hanna, cast.omar] {
            let viewer = cast.viewer(outsider);
            for id in [id, nowhere] {
                assert!(matches!(
                    store.conversation(&viewer, id).await,
                    Err(Error::NotFound)
                ));
                assert!(matches!(
                    store.messages(&viewer, id, Range::default()).await,
                    Err(Error::NotFound)
                ));
                assert!(matches!(
                    store.send(&viewer, id, "c", "hello").await,
                    Err(Error::NotFound)
                ));
                assert!(matches!(
                    store.mark_read(&viewer, id, 1).await,
                    Err(Error::NotFound)
                ));
                assert!(matches!(
                    store.members(&viewer, id).await,
                    Err(Error::NotFound)
                ));
                assert!(matches!(
                    store.add_members(&viewer, id, &[outsider, cast.mei]).await,
                    Err(Error::NotFound)
                ));
                assert!(matches!(
                    store.leave_conversation(&viewer, id).await,
                    Err(Error::NotFound)
                ));
            }
            assert_eq!(store.conversations(&viewer).await.unwrap(), []);
            assert_eq!(store.unread(&viewer).await.unwrap(), 0);
            assert_eq!(store.acquaintances(&viewer).await.unwrap(), []);
        }
        assert!(matches!(
            store.conversation(&Viewer::system("job"), id).await,
            Err(Error::NotFound)
        ));
        assert_eq!(world.count("SELECT count(*) FROM messages").await, 1);
    })
    .await;
}

#[tokio::test]
async fn two_people_have_one_conversation() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let (grace, luca) = (cast.viewer(cast.grace), cast.viewer(cast.luca));
        let (one, two) = tokio::join!(
            world.store.start_conversation(&grace, direct(cast.luca)),
            world.store.start_conversation(&luca, direct(cast.grace)),
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!((one.id, one.kind), (two.id, Kind::Direct));
        assert_eq!(
            (one.title.as_str(), two.title.as_str()),
            ("Luca Moretti", "Grace Okafor")
        );
        let more = world.store.add_members(&grace, one.id, &[cast.mei]).await;
        assert!(matches!(more, Err(Error::Forbidden)));
        assert!(matches!(
            world.store.leave_conversation(&luca, one.id).await,
            Err(Error::Forbidden)
        ));
    })
    .await;
}

#[tokio::test]
async fn a_conversation_needs_people_who_are_here() {
    everywhere(async |world| {
        let cast = world.cast().await;
        world.leave(cast.mei).await;
        world.settle().await;
        let grace = cast.viewer(cast.grace);
        let crowd: Vec<_> = (0..600).map(|_| EmployeeId(world.uuid())).collect();
        for (new, field) in [
            (
                NewConversation {
                    members: vec![],
                    title: None,
                },
                "members",
            ),
            (direct(cast.grace), "members"),
            (direct(cast.mei), "members"),
            (group(&crowd, "Crowd"), "members"),
            (
                NewConversation {
                    members: vec![cast.luca, cast.tomas],
                    title: None,
                },
                "title",
            ),
            (group(&[cast.luca], "  "), "title"),
        ] {
            let refused = world.store.start_conversation(&grace, new).await;
            let Err(Error::Invalid(found)) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!(found[0].field(), field);
        }
        assert_eq!(world.count("SELECT count(*) FROM conversations").await, 0);
    })
    .await;
}

#[tokio::test]
async fn who_comes_later_sees_what_comes_later() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let store = &world.store;
        let id = trio(world, &cast).await;
        let (grace, mei, hanna) = (
            cast.viewer(cast.grace),
            cast.viewer(cast.mei),
            cast.viewer(cast.hanna),
        );
        store.send(&grace, id, "1", "before").await.unwrap();
        let mut events = store.events();
        let group = store
            .add_members(&mei, id, &[cast.hanna, cast.luca])
            .await
            .unwrap();
        assert_eq!(group.members.len(), 4);
        let Ok(Event::Membership { employees, .. }) = events.try_recv() else {
            panic!("no event")
        };
        assert_eq!(employees.len(), 4);
        let seen = store.conversation(&hanna, id).await.unwrap();
        assert_eq!((seen.last, store.unread(&hanna).await.unwrap()), (None, 0));
        store.send(&grace, id, "2", "after").await.unwrap();
        assert_eq!(bodies(store, &hanna, id).await, ["after"]);
        let all = store
            .messages(
                &hanna,
                id,
                Range {
                    after_seq: Some(0),
                    ..Range::default()
                },
            )
            .await
            .unwrap();
        assert_eq!((all.items.len(), all.earlier), (1, false));
        assert_eq!(store.unread(&hanna).await.unwrap(), 1);

        store.leave_conversation(&hanna, id).await.unwrap();
        assert!(matches!(
            store.conversation(&hanna, id).await,
            Err(Error::NotFound)
        ));
        assert!(matches!(
            store.send(&hanna, id, "3", "hello").await,
            Err(Error::NotFound)
        ));
        store.send(&grace, id, "4", "without you").await.unwrap();
        assert_eq!(store.members(&grace, id).await.unwrap().len(), 3);
        store.add_members(&grace, id, &[cast.hanna]).await.unwrap();
        assert_eq!(bodies(store, &hanna, id).await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn the_list_says_what_is_last_and_unread() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let store = &world.store;
        let (grace, luca) = (cast.viewer(cast.grace), cast.viewer(cast.luca));
        let id = trio(world, &cast).await;
        let pair = store.start_conversation(&grace, direct(cast.luca)).await.unwrap().id;
        for (at, text) in ["one", "two", "three"].into_iter().enumerate() {
            world.clock.advance(std::time::Duration::from_secs(1));
            store.send(&grace, id, &at.to_string(), text).await.unwrap();
        }
        let list = store.conversations(&luca).await.unwrap();
        assert_eq!(list.iter().map(|one| one.id).collect::<Vec<_>>(), [id, pair]);
        assert_eq!((list[0].last_seq, list[0].read_seq), (3, 0));
        assert_eq!(list[0].last.as_ref().map(|last| last.body.as_str()), Some("three"));
        assert_eq!((list[0].title.as_str(), list[1].title.as_str()), ("Harbour crane", "Grace Okafor"));
        assert_eq!(list[0].members.len(), 3);
        // No oversight policy: nobody can review.
        assert_eq!(list[0].reviewable_by, 0);
        assert_eq!(store.unread(&luca).await.unwrap(), 1);
        // One has seen one's own words.
        assert_eq!(store.unread(&grace).await.unwrap(), 0);

        let mut events = store.events();
        store.mark_read(&luca, id, 2).await.unwrap();
        assert!(matches!(events.try_recv(), Ok(Event::Read { seq: 2, employee, .. }) if employee == cast.luca));
        store.mark_read(&luca, id, 1).await.unwrap();
        assert!(events.try_recv().is_err());
        assert_eq!(store.conversation(&luca, id).await.unwrap().read_seq, 2);
        store.mark_read(&luca, id, 99).await.unwrap();
        assert_eq!(store.conversation(&luca, id).await.unwrap().read_seq, 3);
        assert_eq!(store.unread(&luca).await.unwrap(), 0);

        let mut known = store.acquaintances(&luca).await.unwrap();
        known.sort();
        let mut expected = [cast.grace, cast.mei];
        expected.sort();
        assert_eq!(known, expected);
    })
    .await;
}

#[tokio::test]
async fn messages_come_in_pages() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let store = &world.store;
        let id = trio(world, &cast).await;
        let grace = cast.viewer(cast.grace);
        for number in 1..=10 {
            store.send(&grace, id, &number.to_string(), "hello").await.unwrap();
        }
        let page = async |after_seq, before_seq, limit| {
            let range = Range { after_seq, before_seq, limit };
            let page = store.messages(&grace, id, range).await.unwrap();
            assert_eq!(page.last_seq, 10);
            (page.items.into_iter().map(|message| message.seq).collect::<Vec<_>>(), page.earlier)
        };
        assert_eq!(page(None, None, Some(3)).await, (vec![8, 9, 10], true));
        assert_eq!(page(None, Some(8), Some(3)).await, (vec![5, 6, 7], true));
        assert_eq!(page(None, Some(3), Some(3)).await, (vec![1, 2], false));
        assert_eq!(page(Some(4), None, Some(3)).await, (vec![5, 6, 7], true));
        assert_eq!(page(Some(2), Some(5), None).await, (vec![3, 4], true));
        assert_eq!(page(Some(10), None, None).await, (vec![], false));
        for limit in [0, 201] {
            let range = Range { limit: Some(limit), ..Range::default() };
            let refused = store.messages(&grace, id, range).await;
            assert!(matches!(refused, Err(Error::Invalid(found)) if matches!(found[..], [Violation::Unknown { .. }])));
        }
    })
    .await;
}

#[tokio::test]
async fn a_clock_put_back_does_not_turn_messages_round() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let id = trio(world, &cast).await;
        let grace = cast.viewer(cast.grace);
        let later = world.clock.now() + chrono::TimeDelta::hours(1);
        world
            .execute("UPDATE conversations SET last_at = $1", [later.into()])
            .await;
        let sent = world.store.send(&grace, id, "1", "hello").await.unwrap();
        assert_eq!(sent.message.sent_at, later);
    })
    .await;
}

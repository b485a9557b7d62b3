//! Accounts: signing in and out, waits, invitations, roles, and browsers' sessions.

mod support;

use std::time::Duration;

use domain::{EmployeeId, Role, Roles, Viewer, Violation};
use store::{
    Error, Event,
    account::{NewAccount, Origin},
    people::DirectoryQuery,
    session::Sessions,
};
use support::{World, everywhere};
use tower_sessions::{
    SessionStore as _,
    session::{Id, Record},
};

const PASSWORD: &str = "violet harbour nine tandem";

fn origin(address: &str) -> Origin {
    Origin {
        address: Some(address.parse().unwrap()),
        user_agent: Some("Firefox".into()),
    }
}

fn system() -> Viewer {
    Viewer::system("test")
}

async fn account(world: &World, login: &str, employee: EmployeeId, roles: Roles) {
    let new = NewAccount {
        login: login.into(),
        name: login.into(),
        password: PASSWORD.into(),
        roles,
        employee: Some(employee),
    };
    assert_eq!(
        world.store.create_account(&system(), new).await.unwrap(),
        employee
    );
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn somebody_signs_in_and_stays_so_while_it_is_used() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let store = &world.store;
        account(world, "Mei.Tanaka", cast.mei, Roles::EMPLOYEE).await;
        let here = origin("192.0.2.1");

        let signed_in = store
            .sign_in(" MEI.tanaka ", PASSWORD, &here, false)
            .await
            .unwrap();
        let viewer = store.viewer(signed_in.session).await.unwrap();
        assert_eq!(viewer, signed_in.viewer);
        assert_eq!(
            (viewer.id(), viewer.roles()),
            (Some(cast.mei), Roles::EMPLOYEE)
        );
        assert_eq!(viewer.address.as_deref(), Some("192.0.2.1"));

        for (login, password) in [
            ("mei.tanaka", "violet harbour nine tandeM"),
            ("mei.tanaka", ""),
            ("nobody", PASSWORD),
            ("", ""),
        ] {
            let refused = store.sign_in(login, password, &here, false).await;
            assert!(matches!(refused, Err(Error::Unauthenticated)), "{login}");
        }

        // Used every eleven hours it lasts for fourteen days, and no longer.
        for _ in 0..30 {
            world.clock.advance(11 * HOUR);
            store.viewer(signed_in.session).await.unwrap();
        }
        world.clock.advance(6 * HOUR);
        assert!(matches!(
            store.viewer(signed_in.session).await,
            Err(Error::Unauthenticated)
        ));

        // Unused it ends after twelve hours; a token after one.
        let browser = store
            .sign_in("mei.tanaka", PASSWORD, &here, false)
            .await
            .unwrap()
            .session;
        let token = store
            .sign_in("mei.tanaka", PASSWORD, &here, true)
            .await
            .unwrap()
            .session;
        world.clock.advance(59 * MINUTE);
        store.viewer(token).await.unwrap();
        world.clock.advance(MINUTE);
        assert!(matches!(
            store.viewer(token).await,
            Err(Error::Unauthenticated)
        ));
        store.viewer(browser).await.unwrap();
        world.clock.advance(12 * HOUR);
        assert!(matches!(
            store.viewer(browser).await,
            Err(Error::Unauthenticated)
        ));
    })
    .await;
}

#[tokio::test]
async fn use_is_noted_to_the_minute() {
    everywhere(async |world| {
        let cast = world.cast().await;
        account(world, "mei", cast.mei, Roles::EMPLOYEE).await;
        let start = world.clock.now();
        let me = world
            .store
            .sign_in("mei", PASSWORD, &Origin::default(), false)
            .await
            .unwrap();
        world.clock.advance(Duration::from_secs(59));
        world.store.viewer(me.session).await.unwrap();
        assert_eq!(
            world.store.sign_ins(&me.viewer).await.unwrap()[0].last_seen_at,
            start
        );
        world.clock.advance(Duration::from_secs(1));
        world.store.viewer(me.session).await.unwrap();
        assert_eq!(
            world.store.sign_ins(&me.viewer).await.unwrap()[0].last_seen_at,
            world.clock.now()
        );
    })
    .await;
}

#[tokio::test]
async fn who_left_is_not_let_in_nor_kept() {
    everywhere(async |world| {
        let cast = world.cast().await;
        account(world, "mei", cast.mei, Roles::EMPLOYEE).await;
        let here = origin("192.0.2.1");
        let session = world
            .store
            .sign_in("mei", PASSWORD, &here, false)
            .await
            .unwrap()
            .session;
        world.leave(cast.mei).await;
        assert!(matches!(
            world.store.viewer(session).await,
            Err(Error::Unauthenticated)
        ));
        let refused = world.store.sign_in("mei", PASSWORD, &here, false).await;
        assert!(matches!(refused, Err(Error::Unauthenticated)));
        assert!(matches!(
            world.store.invite(&system(), cast.mei).await,
            Err(Error::NotFound)
        ));
    })
    .await;
}

#[tokio::test]
async fn wrong_passwords_cost_time_but_lock_nobody_out() {
    everywhere(async |world| {
        let cast = world.cast().await;
        account(world, "mei", cast.mei, Roles::EMPLOYEE).await;
        let store = &world.store;
        let guess = async |login: &str, from: &str| {
            store
                .sign_in(login, "a wrong guess of it", &origin(from), false)
                .await
        };
        for at in 0..6 {
            let refused = guess("mei", &format!("192.0.2.{at}")).await;
            assert!(matches!(refused, Err(Error::Unauthenticated)));
        }
        // From everywhere, and for the right password too.
        let right = store
            .sign_in("Mei", PASSWORD, &origin("198.51.100.1"), false)
            .await;
        assert!(matches!(right, Err(Error::Throttled(2))), "{right:?}");
        world.clock.advance(Duration::from_secs(1));
        assert!(matches!(
            guess("mei", "192.0.2.1").await,
            Err(Error::Throttled(1))
        ));
        world.clock.advance(Duration::from_secs(1));
        store
            .sign_in("mei", PASSWORD, &origin("198.51.100.1"), false)
            .await
            .unwrap();
        // The right one clears the account.
        assert!(matches!(
            guess("mei", "192.0.2.1").await,
            Err(Error::Unauthenticated)
        ));

        // Who tries many logins from one address waits as well; a neighbour does not.
        let mut waits = 0;
        for at in 0..40 {
            match guess(&format!("login{at}"), "203.0.113.9").await {
                Err(Error::Throttled(seconds)) => {
                    waits += 1;
                    assert!(seconds <= 900);
                }
                other => assert!(matches!(other, Err(Error::Unauthenticated))),
            }
        }
        assert_eq!(waits, 40 - 31);
        store
            .sign_in("mei", PASSWORD, &origin("203.0.113.10"), false)
            .await
            .unwrap();
    })
    .await;
}

/// Told by what the two share rather than by a clock: a hash is worked out for
/// either, so too many at once are turned away for either.
#[tokio::test]
async fn a_login_that_nobody_has_costs_a_hash_too() {
    everywhere(async |world| {
        let guesses = (0..200).map(|n| async move {
            let nobody = format!("nobody{n}");
            let origin = Origin::default();
            let guess = world
                .store
                .sign_in(&nobody, "a wrong guess", &origin, false);
            guess.await
        });
        let answers = futures::future::join_all(guesses).await;
        let busy = |answer: &&Result<_, _>| matches!(answer, Err(Error::Busy));
        let refused = |answer: &&Result<_, _>| matches!(answer, Err(Error::Unauthenticated));
        let (busy, refused) = (
            answers.iter().filter(busy).count(),
            answers.iter().filter(refused).count(),
        );
        assert_eq!(busy + refused, 200);
        assert!(busy > 0 && refused > 0, "{busy} busy, {refused} refused");
    })
    .await;
}

#[tokio::test]
async fn own_sign_ins_are_listed_and_ended() {
    everywhere(async |world| {
        let cast = world.cast().await;
        account(world, "mei", cast.mei, Roles::EMPLOYEE).await;
        account(world, "luca", cast.luca, Roles::EMPLOYEE).await;
        let store = &world.store;
        let mut open = Vec::new();
        for at in 1..=3 {
            world.clock.advance(MINUTE);
            let here = origin(&format!("192.0.2.{at}"));
            open.push(
                store
                    .sign_in("mei", PASSWORD, &here, at == 3)
                    .await
                    .unwrap(),
            );
        }
        let other = store
            .sign_in("luca", PASSWORD, &Origin::default(), false)
            .await
            .unwrap();
        let me = &open[0].viewer;

        let listed = store.sign_ins(me).await.unwrap();
        let ids: Vec<_> = listed.iter().map(|one| one.id).collect();
        assert_eq!(ids, [open[2].session, open[1].session, open[0].session]);
        assert_eq!(
            listed.iter().map(|one| one.current).collect::<Vec<_>>(),
            [false, false, true]
        );
        assert_eq!(
            listed.iter().map(|one| one.token).collect::<Vec<_>>(),
            [true, false, false]
        );
        assert_eq!(listed[0].address.as_deref(), Some("192.0.2.3"));
        assert_eq!(listed[0].user_agent.as_deref(), Some("Firefox"));

        let stolen = store.revoke(me, Some(other.session)).await;
        assert!(matches!(stolen, Err(Error::NotFound)));
        store.viewer(other.session).await.unwrap();

        let mut events = store.events();
        store.revoke(me, Some(open[1].session)).await.unwrap();
        assert!(matches!(events.try_recv(), Ok(Event::SessionEnded(id)) if id == open[1].session));
        assert!(matches!(
            store.viewer(open[1].session).await,
            Err(Error::Unauthenticated)
        ));
        assert!(matches!(
            store.revoke(me, Some(open[1].session)).await,
            Err(Error::NotFound)
        ));

        store.revoke(me, None).await.unwrap();
        assert!(matches!(
            store.viewer(open[2].session).await,
            Err(Error::Unauthenticated)
        ));
        store.viewer(open[0].session).await.unwrap();

        store.sign_out(me).await.unwrap();
        assert!(matches!(
            store.viewer(open[0].session).await,
            Err(Error::Unauthenticated)
        ));
        assert_eq!(store.sign_ins(me).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sign_ins() {
    everywhere(async |world| {
        let cast = world.cast().await;
        account(world, "mei", cast.mei, Roles::EMPLOYEE).await;
        let store = &world.store;
        let here = Origin::default();
        let me = store.sign_in("mei", PASSWORD, &here, false).await.unwrap();
        let other = store.sign_in("mei", PASSWORD, &here, false).await.unwrap();
        let new = "seven quiet lanterns upstream";

        let wrong = store
            .change_password(&me.viewer, "not the password", new)
            .await;
        assert!(matches!(wrong, Err(Error::Unauthenticated)));
        let weak = store
            .change_password(&me.viewer, PASSWORD, "password1234")
            .await;
        assert!(matches!(weak, Err(Error::Invalid(found)) if found == [Violation::WeakPassword]));
        store.viewer(other.session).await.unwrap();

        store
            .change_password(&me.viewer, PASSWORD, new)
            .await
            .unwrap();
        store.viewer(me.session).await.unwrap();
        assert!(matches!(
            store.viewer(other.session).await,
            Err(Error::Unauthenticated)
        ));
        let old = store.sign_in("mei", PASSWORD, &here, false).await;
        assert!(matches!(old, Err(Error::Unauthenticated)));
        store.sign_in("mei", new, &here, false).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_invitation_works_once() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let store = &world.store;
        let hr = cast.viewer(cast.hanna);
        let here = origin("192.0.2.1");
        assert!(matches!(
            store.invite(&cast.viewer(cast.grace), cast.luca).await,
            Err(Error::NotFound)
        ));

        let first = store.invite(&hr, cast.mei).await.unwrap();
        let second = store.invite(&hr, cast.mei).await.unwrap();
        assert_eq!((second.login.as_str(), second.person.id), ("mei", cast.mei));
        assert_eq!(second.token.len(), 43);
        assert!(matches!(store.invitation(&first.token).await, Err(Error::NotFound)));
        assert_eq!(store.invitation(&second.token).await.unwrap(), second);
        // The secret is nowhere in the database.
        for row in world.rows("SELECT token_hash FROM invitations", []).await {
            let kept: Vec<u8> = row.try_get("", "token_hash").unwrap();
            assert_eq!(kept.len(), 32);
            assert_ne!(kept, second.token.as_bytes());
        }
        let page = store.accounts(&hr, "tanaka", None).await.unwrap();
        assert_eq!(page.items.len(), 1);
        assert_eq!((&page.items[0].login, page.items[0].invited_until), (&None, Some(second.expires_at)));
        let early = store.sign_in("mei", "", &here, false).await;
        assert!(matches!(early, Err(Error::Unauthenticated)));

        let named = store.accept_invitation(&second.token, "Mei Tanaka Northwind", &here).await;
        assert!(matches!(named, Err(Error::Invalid(found)) if found == [Violation::WeakPassword]));
        let short = store.accept_invitation(&second.token, "x7!kQ", &here).await;
        assert!(matches!(short, Err(Error::Invalid(found)) if matches!(found[..], [Violation::TooShort { .. }])));

        let (one, two) = tokio::join!(
            store.accept_invitation(&second.token, PASSWORD, &here),
            store.accept_invitation(&second.token, PASSWORD, &here),
        );
        let (taken, refused) = if one.is_ok() { (one, two) } else { (two, one) };
        let taken = taken.unwrap();
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
        assert_eq!(store.viewer(taken.session).await.unwrap().id(), Some(cast.mei));
        store.sign_in("mei", PASSWORD, &here, false).await.unwrap();
        assert!(matches!(store.invitation(&second.token).await, Err(Error::NotFound)));
        let page = store.accounts(&hr, "mei", None).await.unwrap();
        assert_eq!((page.items[0].login.as_deref(), page.items[0].invited_until), (Some("mei"), None));

        let late = store.invite(&hr, cast.luca).await.unwrap();
        world.clock.advance(7 * 24 * HOUR);
        let late = store.accept_invitation(&late.token, PASSWORD, &here).await;
        assert!(matches!(late, Err(Error::NotFound)));
        assert!(matches!(store.invitation("").await, Err(Error::NotFound)));
    })
    .await;
}

#[tokio::test]
async fn who_lost_a_password_gets_a_new_one_and_old_sign_ins_end() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let store = &world.store;
        account(world, "mei", cast.mei, Roles::EMPLOYEE).await;
        account(
            world,
            "priya",
            cast.priya,
            Roles::EMPLOYEE.with(Role::SystemAdministrator),
        )
        .await;
        let here = Origin::default();
        let old = store.sign_in("mei", PASSWORD, &here, false).await.unwrap();
        let hr = cast.viewer(cast.hanna);
        let link = store.invite(&hr, cast.mei).await.unwrap();
        store.viewer(old.session).await.unwrap();
        store
            .accept_invitation(&link.token, "seven quiet lanterns upstream", &here)
            .await
            .unwrap();
        assert!(matches!(
            store.viewer(old.session).await,
            Err(Error::Unauthenticated)
        ));

        // HR could otherwise become an administrator.
        assert!(matches!(
            store.invite(&hr, cast.priya).await,
            Err(Error::Forbidden)
        ));
        store
            .invite(&cast.viewer(cast.priya), cast.priya)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn accounts_are_made_for_people_with_and_without_an_erp() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let store = &world.store;
        let new = |login: &str, password: &str| NewAccount {
            login: login.into(),
            name: "Ada Root".into(),
            password: password.into(),
            roles: Roles::EMPLOYEE.with(Role::SystemAdministrator),
            employee: None,
        };
        for login in ["a", "a b", "adø", "a/b", &"a".repeat(65)] {
            let refused = store.create_account(&system(), new(login, PASSWORD)).await;
            let Err(Error::Invalid(found)) = refused else {
                panic!("{login}: {refused:?}")
            };
            assert_eq!(found[0].field(), "login");
        }
        for password in [
            "password1234",
            "Ada Root Ada Root",
            "aaaaaaaaaaaaaaaaaaa",
            &"x".repeat(300),
        ] {
            let refused = store.create_account(&system(), new("ada", password)).await;
            assert!(
                matches!(refused, Err(Error::Invalid(_))),
                "{password}: {refused:?}"
            );
        }
        let hr = store
            .create_account(&cast.viewer(cast.hanna), new("ada", PASSWORD))
            .await;
        assert!(matches!(hr, Err(Error::NotFound)));

        let ada = store
            .create_account(&system(), new("Ada", PASSWORD))
            .await
            .unwrap();
        let again = store.create_account(&system(), new("ADA", PASSWORD)).await;
        assert!(
            matches!(again, Err(Error::Conflict("login_taken"))),
            "{again:?}"
        );
        let second = NewAccount {
            employee: Some(ada),
            ..new("ada2", PASSWORD)
        };
        let second = store.create_account(&system(), second).await;
        assert!(
            matches!(second, Err(Error::Conflict("has_account"))),
            "{second:?}"
        );
        let signed_in = store
            .sign_in("ada", PASSWORD, &Origin::default(), false)
            .await
            .unwrap();
        assert!(signed_in.viewer.roles().has(Role::SystemAdministrator));

        assert!(store.chart().chart.contains(ada));
        let query = DirectoryQuery {
            q: "root".into(),
            ..DirectoryQuery::default()
        };
        let found = store.directory(&signed_in.viewer, &query).await.unwrap();
        assert_eq!(
            found
                .page
                .items
                .iter()
                .map(|card| card.id)
                .collect::<Vec<_>>(),
            [ada]
        );
        world.settle().await;
        assert_eq!(
            store
                .person(&signed_in.viewer, ada)
                .await
                .unwrap()
                .display_name,
            "Ada Root"
        );
    })
    .await;
}

#[tokio::test]
async fn the_last_administrator_stays_one() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let store = &world.store;
        let administrator = Roles::EMPLOYEE.with(Role::SystemAdministrator);
        account(world, "priya", cast.priya, administrator).await;
        let priya = cast.viewer(cast.priya);
        // An administrator who cannot sign in does not count.
        store
            .set_roles(&priya, cast.omar, administrator)
            .await
            .unwrap();
        let last = store.set_roles(&priya, cast.priya, Roles::EMPLOYEE).await;
        assert!(
            matches!(last, Err(Error::Conflict("last_administrator"))),
            "{last:?}"
        );
        assert!(matches!(
            store
                .set_roles(&cast.viewer(cast.hanna), cast.mei, administrator)
                .await,
            Err(Error::NotFound)
        ));

        account(world, "hanna", cast.hanna, administrator).await;
        let hanna = cast.viewer(cast.hanna);
        assert!(hanna.roles().has(Role::Hr));
        let signed_in = store
            .sign_in("priya", PASSWORD, &Origin::default(), false)
            .await
            .unwrap();
        // Each takes it from the other at once: one of them has to fail.
        let (one, two) = tokio::join!(
            store.set_roles(&priya, cast.hanna, Roles::EMPLOYEE),
            store.set_roles(&priya, cast.priya, Roles::EMPLOYEE.with(Role::Hr)),
        );
        let failed = [&one, &two]
            .into_iter()
            .filter(|done| matches!(done, Err(Error::Conflict("last_administrator"))));
        assert_eq!(
            (failed.count(), one.is_ok() || two.is_ok()),
            (1, true),
            "{one:?} {two:?}"
        );
        // Roles hold from the next request on.
        let viewer = store.viewer(signed_in.session).await.unwrap();
        assert_eq!(viewer.roles().has(Role::SystemAdministrator), two.is_err());
    })
    .await;
}

#[tokio::test]
async fn what_happens_to_accounts_is_in_the_log_without_secrets() {
    everywhere(async |world| {
        let cast = world.cast().await;
        let store = &world.store;
        let hr = cast.viewer(cast.hanna);
        let here = origin("192.0.2.1");
        let link = store.invite(&hr, cast.mei).await.unwrap();
        let me = store
            .accept_invitation(&link.token, PASSWORD, &here)
            .await
            .unwrap()
            .viewer;
        store
            .sign_in("mei", "the wrong one again", &here, false)
            .await
            .unwrap_err();
        store
            .sign_in("swordfish-in-the-wrong-field", "x", &here, false)
            .await
            .unwrap_err();
        store.sign_in("mei", PASSWORD, &here, false).await.unwrap();
        store.revoke(&me, None).await.unwrap();
        store
            .set_roles(
                &cast.viewer(cast.priya),
                cast.mei,
                Roles::EMPLOYEE.with(Role::Hr),
            )
            .await
            .unwrap();
        store.sign_out(&me).await.unwrap();

        let rows = world
            .rows(
                "SELECT actor, action, subject, detail, address FROM audit_entries WHERE action LIKE 'account.%' ORDER BY seq",
                [],
            )
            .await;
        let column = |name| {
            rows.iter()
                .map(|row| row.try_get::<String>("", name).unwrap())
                .collect::<Vec<_>>()
        };
        let expected = [
            "account.invited",
            "account.invitation_accepted",
            "account.sign_in_failed",
            "account.sign_in_failed",
            "account.signed_in",
            "account.sign_ins_revoked",
            "account.roles_set",
            "account.signed_out",
        ];
        assert_eq!(column("action"), expected);
        assert_eq!(column("subject")[3], "");
        assert_eq!(column("actor")[2], "system:sign_in");
        let all = column("detail").join("\n");
        for secret in [PASSWORD, "wrong one", "swordfish", &link.token, "argon2"] {
            assert!(!all.contains(secret), "{secret}");
        }
        let kept: String = world
            .rows("SELECT password_hash FROM accounts WHERE login = 'mei'", [])
            .await[0]
            .try_get("", "password_hash")
            .unwrap();
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_browsers_session_is_kept_under_the_hash_of_its_id() {
    everywhere(async |world| {
        let sessions = Sessions::new(world.store.clone());
        let expiry =
            time::OffsetDateTime::from_unix_timestamp(world.clock.now().timestamp() + 3600)
                .unwrap();
        let mut record = Record {
            id: Id(7),
            data: [("flash".to_owned(), "saved".into())].into(),
            expiry_date: expiry,
        };
        sessions.create(&mut record).await.unwrap();
        assert_eq!(
            sessions.load(&record.id).await.unwrap(),
            Some(record.clone())
        );
        let kept: Vec<u8> = world.rows("SELECT id_hash FROM browser_sessions", []).await[0]
            .try_get("", "id_hash")
            .unwrap();
        assert_eq!(kept.len(), 32);

        // An id that is somebody's is never given to another browser.
        let mut other = Record {
            id: Id(7),
            data: [].into(),
            expiry_date: expiry,
        };
        sessions.create(&mut other).await.unwrap();
        assert_ne!(other.id, record.id);
        assert_eq!(
            sessions.load(&record.id).await.unwrap(),
            Some(record.clone())
        );

        record.data.insert("next".into(), "/me".into());
        sessions.save(&record).await.unwrap();
        assert_eq!(
            sessions.load(&record.id).await.unwrap(),
            Some(record.clone())
        );
        sessions.delete(&other.id).await.unwrap();
        assert_eq!(sessions.load(&other.id).await.unwrap(), None);

        assert_eq!(sessions.sweep().await.unwrap(), 0);
        world.clock.advance(HOUR);
        assert_eq!(sessions.load(&record.id).await.unwrap(), None);
        assert_eq!(sessions.sweep().await.unwrap(), 1);
        assert_eq!(
            world.count("SELECT count(*) FROM browser_sessions").await,
            0
        );
    })
    .await;
}

//! Clients and tickets: pulled by a run, kept to the last decimal, seen by whom they were granted to and nobody else.

mod support;

use domain::{
    ClientId, EmployeeId, Role, Roles, RunId, SourceId, TicketId, Viewer,
    client::{Account, Attachment, Client, Item, Payment, Ticket, TicketMessage},
    erp::Fault,
    sync::Pulled,
};
use sea_orm::ConnectionTrait as _;
use store::{
    Error, Store,
    audit::AuditQuery,
    client::{ClientQuery, NewClientGrant, TicketQuery},
    run::{Feed, Phase, Run, RunFinding},
};
use support::World;

const SYSTEM: Viewer = Viewer::system("test");

fn account(currency: &str, balance: &str) -> Account {
    Account {
        company: Some("1".into()),
        currency: currency.into(),
        balance: balance.parse().unwrap(),
        overdue: Some("0.10".parse().unwrap()),
        credit_limit: None,
        terms: Some("30 days net".into()),
        payment_options: vec!["Bank transfer".into(), "Direct debit".into()],
        open_items: vec![
            Item {
                external_id: "i1".into(),
                number: "INV/2026/0007".into(),
                date: "2026-01-31".parse().unwrap(),
                due: Some("2026-03-02".parse().unwrap()),
                amount: "79228162514264337593543.95".parse().unwrap(),
                open: balance.parse().unwrap(),
            },
            Item {
                external_id: "i2".into(),
                number: "CN/1".into(),
                date: "2026-02-01".parse().unwrap(),
                due: None,
                amount: "-0.30".parse().unwrap(),
                open: "-0.30".parse().unwrap(),
            },
        ],
        payments: vec![Payment {
            external_id: "p1".into(),
            reference: "BNK/1".into(),
            date: "2026-02-03".parse().unwrap(),
            amount: "12.00".parse().unwrap(),
        }],
    }
}

fn client(id: &str, name: &str) -> Client {
    Client {
        external_id: id.into(),
        name: name.into(),
        number: Some(format!("C-{id}")),
        emails: vec![format!("{id}@client.example")],
        phones: vec!["+44 7700 900418".into()],
        active: true,
        accounts: vec![account("EUR", "1200.10"), account("USD", "-3.005")],
        changed_at: Some("2026-02-28T10:00:00Z".parse().unwrap()),
    }
}

fn ticket(id: &str, client: Option<&str>) -> Ticket {
    Ticket {
        external_id: id.into(),
        number: Some(format!("T-{id}")),
        client: client.map(str::to_owned),
        subject: "The gate does not close".into(),
        stage: "In progress".into(),
        priority: Some("high".into()),
        opened_at: Some("2026-02-27T08:00:00Z".parse().unwrap()),
        messages: vec![
            TicketMessage {
                external_id: "m1".into(),
                at: "2026-02-27T08:00:00Z".parse().unwrap(),
                author: "Ada Client".into(),
                body: "It sticks.\nSince Monday.".into(),
                internal: false,
                attachments: vec![Attachment {
                    external_id: "a1".into(),
                    name: "gate.jpg".into(),
                    media_type: Some("image/jpeg".into()),
                    bytes: Some(120_000),
                }],
            },
            TicketMessage {
                external_id: "m2".into(),
                at: "2026-02-27T09:00:00Z".parse().unwrap(),
                author: "Bo".into(),
                body: "Look at the hinge.".into(),
                internal: true,
                attachments: vec![],
            },
        ],
        ..Ticket::default()
    }
}

fn firm() -> Vec<Client> {
    vec![
        client("3", "Zinc & Sons"),
        client("1", "Åse Verk"),
        client("2", "Brass Ltd"),
    ]
}

fn fault(id: Option<&str>) -> Fault {
    Fault {
        place: "party.party 9".into(),
        field: None,
        what: "has no name".into(),
        external_id: id.map(str::to_owned),
        left_out: true,
    }
}

/// A run that has come so far as to pull.
async fn begin(store: &Store, source: SourceId, dry: bool) -> RunId {
    let run = store.begin_run(&SYSTEM, source, dry).await.unwrap().id;
    store
        .read_units(&SYSTEM, run, vec![], vec![], vec![])
        .await
        .unwrap();
    if !dry {
        let planned = store.plan_run(&SYSTEM, run, None).await.unwrap();
        assert_eq!(planned.phase, Phase::Applying);
        assert_eq!(store.apply_run(&SYSTEM, run).await.unwrap(), 0);
    }
    run
}

async fn finish(store: &Store, run: RunId) -> Run {
    let found = store.run(&SYSTEM, run).await.unwrap();
    match found.dry_run {
        true => store.plan_run(&SYSTEM, run, None).await.unwrap(),
        false => store.end_run(&SYSTEM, run, None).await.unwrap(),
    }
}

/// A whole run that pulls these, in pages of two; with what was still to be read from.
async fn pull(
    store: &Store,
    source: SourceId,
    (clients, tickets): (&[Client], &[Ticket]),
    mark: &str,
) -> (Run, Option<String>) {
    let run = begin(store, source, false).await;
    let since = pulls(store, run, (clients, tickets), mark).await;
    (finish(store, run).await, since)
}

async fn pulls(
    store: &Store,
    run: RunId,
    (clients, tickets): (&[Client], &[Ticket]),
    mark: &str,
) -> Option<String> {
    let (mut pull, since) = store
        .begin_pull(&SYSTEM, run, Feed::Clients, false)
        .await
        .unwrap();
    for page in clients.chunks(2) {
        let page = page.to_vec();
        store
            .take_clients(&SYSTEM, run, &mut pull, page, vec![])
            .await
            .unwrap();
    }
    store
        .end_pull(&SYSTEM, run, pull, Some(mark.into()))
        .await
        .unwrap();
    let (mut pull, _) = store
        .begin_pull(&SYSTEM, run, Feed::Tickets, false)
        .await
        .unwrap();
    store
        .take_tickets(&SYSTEM, run, &mut pull, tickets.to_vec(), vec![])
        .await
        .unwrap();
    store
        .end_pull(&SYSTEM, run, pull, Some(mark.into()))
        .await
        .unwrap();
    since
}

fn pulled(read: u64, new: u64, changed: u64, gone: u64) -> Pulled {
    Pulled {
        read,
        new,
        changed,
        gone,
    }
}

async fn id(world: &World, external_id: &str) -> ClientId {
    let find = "SELECT id FROM clients WHERE external_id = $1";
    let rows = world.rows(find, [external_id.into()]).await;
    ClientId(rows[0].try_get_by_index(0).unwrap())
}

const TABLES: [&str; 8] = [
    "clients",
    "client_accounts",
    "client_items",
    "client_payments",
    "tickets",
    "ticket_messages",
    "ticket_attachments",
    "source_feeds",
];

/// From now on whatever writes to one of the tables fails.
async fn forbid_writing(world: &World) {
    let run = async |sql: String| {
        world.db.execute_unprepared(&sql).await.unwrap();
    };
    if world.is_postgres() {
        let refuse = "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'written'; END $$ LANGUAGE plpgsql";
        run(refuse.into()).await;
    }
    for table in TABLES {
        if world.is_postgres() {
            let on = "BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE";
            run(format!(
                "CREATE TRIGGER refuse {on} ON {table} EXECUTE FUNCTION refuse()"
            ))
            .await;
            continue;
        }
        for verb in ["INSERT", "UPDATE", "DELETE"] {
            let raise = "SELECT RAISE(ABORT, 'written')";
            run(format!(
                "CREATE TRIGGER {table}_{verb} BEFORE {verb} ON {table} BEGIN {raise}; END"
            ))
            .await;
        }
    }
}

#[tokio::test]
async fn what_is_read_is_kept_to_the_last_decimal() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let (run, since) = pull(
            store,
            source,
            (&firm(), &[ticket("t1", Some("2")), ticket("t2", None)]),
            "m1",
        )
        .await;
        assert_eq!(since, None, "everything is to be read");
        assert_eq!(run.totals.clients, pulled(3, 3, 0, 0));
        assert_eq!(run.totals.tickets, pulled(2, 2, 0, 0));
        assert_eq!(store.run(&SYSTEM, run.id).await.unwrap().totals, run.totals);

        let page = store
            .clients(&SYSTEM, &ClientQuery::default())
            .await
            .unwrap();
        let names: Vec<_> = page.items.iter().map(|card| card.name.as_str()).collect();
        assert_eq!(names, ["Åse Verk", "Brass Ltd", "Zinc & Sons"]);
        for wanted in firm() {
            let id = id(world, &wanted.external_id).await;
            let record = store.client(&SYSTEM, id).await.unwrap();
            assert_eq!(record.accounts, wanted.accounts);
            assert_eq!(
                (
                    record.card.name,
                    record.card.number,
                    record.emails,
                    record.phones
                ),
                (wanted.name, wanted.number, wanted.emails, wanted.phones)
            );
            assert_eq!(record.changed_at, wanted.changed_at);
            let shown: Vec<_> = record.accounts[1].balance.to_string().chars().collect();
            assert_eq!(shown.iter().collect::<String>(), "-3.005");
        }
        let tickets = store
            .tickets(&SYSTEM, &TicketQuery::default())
            .await
            .unwrap()
            .items;
        assert_eq!(tickets.len(), 2);
        for card in tickets {
            let record = store.ticket(&SYSTEM, card.id).await.unwrap();
            assert_eq!(record.messages, ticket("t", None).messages);
            let named = card.number.as_deref() == Some("T-t1");
            assert_eq!(card.client_name.as_deref(), named.then_some("Brass Ltd"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_second_pull_of_the_same_writes_nothing() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let tickets = [ticket("t1", Some("2"))];
        pull(store, source, (&firm(), &tickets), "m1").await;
        forbid_writing(world).await;
        let entries = world.count("SELECT count(*) FROM audit_entries").await;

        let mut again = firm();
        // Only the time of the change is another one: nothing that anybody is shown by.
        again[0].changed_at = None;
        let run = begin(store, source, false).await;
        let since = pulls(store, run, (&again, &tickets), "m1").await;
        assert_eq!(since.as_deref(), Some("m1"));
        let run = finish(store, run).await;
        assert_eq!(run.totals.clients, pulled(3, 0, 0, 0));
        assert_eq!(run.totals.tickets, pulled(1, 0, 0, 0));
        assert_eq!(
            world.count("SELECT count(*) FROM audit_entries").await,
            entries
        );
    })
    .await;
}

#[tokio::test]
async fn what_changed_is_written_whole_and_the_rest_stays() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        pull(store, source, (&firm(), &[ticket("t1", Some("2"))]), "m1").await;
        let brass = id(world, "2").await;

        let mut paid = client("2", "Brass & Tin Ltd");
        paid.accounts = vec![account("EUR", "0.00")];
        paid.accounts[0].open_items.clear();
        let mut closed = ticket("t1", Some("3"));
        closed.closed = true;
        closed.messages.truncate(1);
        let (run, since) = pull(
            store,
            source,
            (&[paid.clone(), client("4", "New")], &[closed]),
            "m2",
        )
        .await;
        assert_eq!(since.as_deref(), Some("m1"));
        assert_eq!(run.totals.clients, pulled(2, 1, 1, 0));
        assert_eq!(run.totals.tickets, pulled(1, 0, 1, 0));
        let record = store.client(&SYSTEM, brass).await.unwrap();
        assert_eq!(record.card.name, "Brass & Tin Ltd");
        assert_eq!(record.accounts, paid.accounts);
        let all = ClientQuery::default();
        assert_eq!(store.clients(&SYSTEM, &all).await.unwrap().items.len(), 4);
        let tickets = TicketQuery {
            closed: Some(true),
            ..TicketQuery::default()
        };
        let tickets = store.tickets(&SYSTEM, &tickets).await.unwrap().items;
        assert_eq!(tickets[0].client_name.as_deref(), Some("Zinc & Sons"));
        let messages = store.ticket(&SYSTEM, tickets[0].id).await.unwrap().messages;
        assert_eq!(messages.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn who_is_gone_is_told_by_a_pull_of_everything_alone() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let other = world.source("Other").await;
        pull(store, other, (&[client("1", "Elsewhere")], &[]), "m").await;
        let many: Vec<_> = (10..30).map(|n| client(&n.to_string(), "Many")).collect();
        pull(store, source, (&many, &[]), "m1").await;
        let (run, _) = pull(store, source, (&many[..1], &[]), "m2").await;
        assert_eq!(run.totals.clients, pulled(1, 0, 0, 0), "a delta takes nobody away");

        // Read from the beginning again.
        let whole = "DELETE FROM source_feeds WHERE source_id = $1 AND feed = 'clients'";
        world.execute(whole, [source.0.into()]).await;
        let (run, since) = pull(store, source, (&many[1..], &[]), "m3").await;
        assert_eq!(since, None);
        assert_eq!(run.totals.clients, pulled(19, 0, 0, 1));
        let gone = id(world, "10").await;
        assert!(!store.client(&SYSTEM, gone).await.unwrap().card.active);
        let elsewhere = id(world, "1").await;
        assert!(store.client(&SYSTEM, elsewhere).await.unwrap().card.active);

        // Back again, saying what they said before.
        let (run, _) = pull(store, source, (&many[..1], &[]), "m4").await;
        assert_eq!(run.totals.clients, pulled(1, 0, 1, 0));
        assert!(store.client(&SYSTEM, gone).await.unwrap().card.active);

        // Half of them at once is a mistake of the source, and a record that cannot be read is not gone.
        world.execute(whole, [source.0.into()]).await;
        let (run, _) = pull(store, source, (&many[..10], &[]), "m5").await;
        assert_eq!(run.totals.clients, pulled(10, 0, 0, 0));
        let findings = store.run_findings(&SYSTEM, run.id).await.unwrap();
        assert!(
            matches!(&findings[..], [RunFinding::Fault(fault)] if fault.what.starts_with("10 of 20 are missing")),
            "{findings:?}"
        );
        for spared in [Some("29"), None] {
            let run = begin(store, source, false).await;
            let (mut pull, since) = store.begin_pull(&SYSTEM, run, Feed::Clients, true).await.unwrap();
            assert_eq!(since, None, "it was asked for in full");
            let page = many[..19].to_vec();
            let faults = vec![fault(spared)];
            store.take_clients(&SYSTEM, run, &mut pull, page, faults).await.unwrap();
            store.end_pull(&SYSTEM, run, pull, Some("m6".into())).await.unwrap();
            let run = finish(store, run).await;
            assert_eq!((run.totals.clients.gone, run.totals.faults), (0, 1));
        }
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_counts_and_writes_nothing() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        pull(store, source, (&firm(), &[]), "m1").await;
        forbid_writing(world).await;
        let run = begin(store, source, true).await;
        let clients = [client("2", "Other name"), client("5", "New")];
        pulls(store, run, (&clients, &[ticket("t9", None)]), "m2").await;
        let run = finish(store, run).await;
        assert_eq!(run.totals.clients, pulled(2, 1, 1, 0));
        assert_eq!(run.totals.tickets, pulled(1, 1, 0, 0));

        // The tables do tell: a real run of the same is refused.
        let run = begin(store, source, false).await;
        let (mut pull, _) = store
            .begin_pull(&SYSTEM, run, Feed::Clients, false)
            .await
            .unwrap();
        let page = clients.to_vec();
        let written = store
            .take_clients(&SYSTEM, run, &mut pull, page, vec![])
            .await;
        assert!(matches!(written, Err(Error::Db(_))), "{written:?}");
    })
    .await;
}

#[tokio::test]
async fn a_feed_that_breaks_off_is_told_and_read_again() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let run = begin(store, source, false).await;
        let (mut pull, _) = store
            .begin_pull(&SYSTEM, run, Feed::Clients, false)
            .await
            .unwrap();
        let page = firm()[..1].to_vec();
        store
            .take_clients(&SYSTEM, run, &mut pull, page, vec![])
            .await
            .unwrap();
        store
            .break_pull(&SYSTEM, run, pull, "no answer within 30 s")
            .await
            .unwrap();
        let run = finish(store, run).await;
        assert_eq!(run.phase, Phase::Done, "people do not wait for clients");
        assert_eq!(
            (run.totals.clients, run.totals.faults),
            (pulled(1, 1, 0, 0), 1)
        );
        let findings = store.run_findings(&SYSTEM, run.id).await.unwrap();
        let RunFinding::Fault(told) = &findings[0] else {
            panic!("{findings:?}")
        };
        assert_eq!(
            told.what,
            "were not all read: no answer within 30 s. The next run reads them again"
        );

        // A run that was ended takes nothing more.
        let run = begin(store, source, false).await;
        let (mut pull, since) = store
            .begin_pull(&SYSTEM, run, Feed::Clients, false)
            .await
            .unwrap();
        assert_eq!(since, None);
        store.cancel_run(&SYSTEM, run).await.unwrap();
        let late = store
            .take_clients(&SYSTEM, run, &mut pull, firm(), vec![])
            .await;
        assert!(matches!(late, Err(Error::Conflict("run_over"))), "{late:?}");
        assert_eq!(world.count("SELECT count(*) FROM clients").await, 1);
    })
    .await;
}

/// What the log has of an action, with whom it is about.
async fn entries(world: &World, action: &str) -> Vec<(String, String)> {
    let query = AuditQuery {
        action: Some(action.into()),
        ..AuditQuery::default()
    };
    let log = world.store.audit_log(&SYSTEM, &query).await.unwrap();
    log.items
        .into_iter()
        .map(|named| (named.entry.actor, named.entry.subject))
        .collect()
}

#[tokio::test]
async fn nobody_sees_a_client_without_a_grant_and_each_look_is_recorded() {
    support::everywhere(async |world| {
        let store = &world.store;
        let cast = world.cast().await;
        let source = world.source("ERP").await;
        let tickets = [
            ticket("t1", Some("2")),
            ticket("t2", Some("3")),
            ticket("t3", None),
        ];
        pull(store, source, (&firm(), &tickets), "m1").await;
        let (brass, zinc) = (id(world, "2").await, id(world, "3").await);
        let list = ClientQuery::default();
        let all_tickets = TicketQuery::default();

        // No role gives a look, not even all of them together.
        let everything = Roles::from_iter(Role::ALL);
        let king = Viewer::person(cast.mei, everything);
        for viewer in [&king, &cast.viewer(cast.grace)] {
            assert!(matches!(
                store.clients(viewer, &list).await,
                Err(Error::NotFound)
            ));
            assert!(matches!(
                store.client(viewer, brass).await,
                Err(Error::NotFound)
            ));
            assert!(matches!(
                store.tickets(viewer, &all_tickets).await,
                Err(Error::NotFound)
            ));
            let id = TicketId(world.uuid());
            assert!(matches!(
                store.ticket(viewer, id).await,
                Err(Error::NotFound)
            ));
        }
        assert_eq!(entries(world, "client.read").await, []);

        // Who may grant does not see, may not grant to themselves, and has to say why.
        let policy = Viewer::person(cast.mei, Roles::EMPLOYEE.with(Role::PolicyAdministrator));
        let grant = |employee: EmployeeId, client: Option<ClientId>, reason: &str| NewClientGrant {
            employee,
            client,
            reason: reason.into(),
            until: None,
        };
        let own = store
            .grant_clients(&policy, grant(cast.mei, None, "x"))
            .await;
        assert!(matches!(own, Err(Error::Conflict("own_grant"))), "{own:?}");
        let mute = store
            .grant_clients(&policy, grant(cast.grace, None, " "))
            .await;
        assert!(matches!(mute, Err(Error::Invalid(_))), "{mute:?}");
        let nobody = EmployeeId(world.uuid());
        let unknown = store.grant_clients(&policy, grant(nobody, None, "x")).await;
        assert!(matches!(unknown, Err(Error::NotFound)), "{unknown:?}");
        let admin = Viewer::person(cast.mei, Roles::EMPLOYEE.with(Role::SystemAdministrator));
        let not_theirs = store
            .grant_clients(&admin, grant(cast.grace, None, "x"))
            .await;
        assert!(matches!(not_theirs, Err(Error::NotFound)), "{not_theirs:?}");

        // One client, and no other one.
        let grace = cast.viewer(cast.grace);
        let one = store
            .grant_clients(&policy, grant(cast.grace, Some(brass), "Looks after Brass"))
            .await
            .unwrap();
        let seen = store.clients(&grace, &list).await.unwrap().items;
        assert_eq!(seen.iter().map(|card| card.id).collect::<Vec<_>>(), [brass]);
        assert!(store.client(&grace, brass).await.is_ok());
        assert!(matches!(
            store.client(&grace, zinc).await,
            Err(Error::NotFound)
        ));
        let seen = store.tickets(&grace, &all_tickets).await.unwrap().items;
        assert_eq!(
            seen.iter().map(|card| card.client).collect::<Vec<_>>(),
            [Some(brass)]
        );
        assert!(store.ticket(&grace, seen[0].id).await.is_ok());
        let me = format!("person:{}", cast.grace);
        let about = format!("client:{brass}");
        assert_eq!(
            entries(world, "client.read").await,
            [(me.clone(), about.clone())]
        );
        assert_eq!(
            entries(world, "client.ticket_read").await,
            [(me.clone(), about)]
        );
        assert_eq!(entries(world, "client.listed").await.len(), 1);
        assert_eq!(entries(world, "client.tickets_listed").await.len(), 1);

        // All of them, until it is over.
        world.clock.advance(std::time::Duration::from_secs(1));
        let until = world.clock.now() + chrono::TimeDelta::hours(1);
        let all = NewClientGrant {
            until: Some(until),
            ..grant(cast.grace, None, "Closes the year")
        };
        store.grant_clients(&policy, all).await.unwrap();
        assert_eq!(store.clients(&grace, &list).await.unwrap().items.len(), 3);
        assert_eq!(
            store
                .tickets(&grace, &all_tickets)
                .await
                .unwrap()
                .items
                .len(),
            3
        );
        let grants = store.client_grants(&policy).await.unwrap();
        assert_eq!(grants.len(), 2);
        assert_eq!(grants[0].reason, "Closes the year");
        assert!(matches!(
            store.client_grants(&grace).await,
            Err(Error::NotFound)
        ));
        world.clock.advance(std::time::Duration::from_secs(3_602));
        assert_eq!(store.clients(&grace, &list).await.unwrap().items.len(), 1);
        store.end_client_grant(&policy, one).await.unwrap();
        assert!(matches!(
            store.client(&grace, brass).await,
            Err(Error::NotFound)
        ));
        let twice = store.end_client_grant(&policy, one).await;
        assert!(matches!(twice, Err(Error::NotFound)), "{twice:?}");
        assert_eq!(store.client_grants(&policy).await.unwrap(), []);
        assert_eq!(entries(world, "client.grant").await.len(), 3);
        assert!(store.verify_audit(&SYSTEM, vec![]).await.unwrap().ok);
    })
    .await;
}

#[tokio::test]
async fn lists_go_on_where_they_ended_and_find_by_words() {
    support::everywhere(async |world| {
        let store = &world.store;
        let source = world.source("ERP").await;
        let many: Vec<_> = (0..7)
            .map(|n| client(&n.to_string(), if n == 3 { "Åsted Forge" } else { "Same" }))
            .collect();
        let tickets: Vec<_> = (0..5).map(|n| ticket(&n.to_string(), Some("3"))).collect();
        pull(store, source, (&many, &tickets), "m1").await;
        let mut seen = Vec::new();
        let mut query = ClientQuery {
            limit: Some(3),
            ..ClientQuery::default()
        };
        loop {
            let page = store.clients(&SYSTEM, &query).await.unwrap();
            seen.extend(page.items.into_iter().map(|card| card.id));
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 7);
        let words = ClientQuery {
            q: "asted c-3".into(),
            ..ClientQuery::default()
        };
        assert_eq!(store.clients(&SYSTEM, &words).await.unwrap().items.len(), 1);
        let mut query = TicketQuery {
            client: Some(id(world, "3").await),
            limit: Some(2),
            ..TicketQuery::default()
        };
        let mut count = 0;
        loop {
            let page = store.tickets(&SYSTEM, &query).await.unwrap();
            count += page.items.len();
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(count, 5);
        let bad = ClientQuery {
            cursor: Some("x".into()),
            ..ClientQuery::default()
        };
        assert!(matches!(
            store.clients(&SYSTEM, &bad).await,
            Err(Error::Invalid(_))
        ));
    })
    .await;
}

//! What has to stay quick with 100,000 people. Ignored by default: unoptimised
//! it measures the compiler. `cargo nextest run --release -p store --test scale --run-ignored all`.

#![allow(clippy::print_stderr, reason = "tells what was measured")]

mod support;

use std::{collections::BTreeMap, time::Instant};

use domain::{
    Attribute, EmployeeId, Viewer,
    erp::Worker,
    sourcing::{Rule, Rules, Strength},
};
use store::people::DirectoryQuery;
use support::World;

const PEOPLE: usize = 100_000;

async fn fill(world: &World) {
    let source = world.source("ERP").await;
    let top = world.unit(source, "Top", None).await;
    let mut units = vec![top];
    for at in 0..50 {
        units.push(world.unit(source, &format!("Unit {at}"), Some(top)).await);
    }
    let now = world.clock.now();
    let ids: Vec<_> = (0..PEOPLE).map(|_| EmployeeId(world.uuid())).collect();
    let rows: Vec<_> = (0..PEOPLE).collect();
    for rows in rows.chunks(1000) {
        let mut people = (String::new(), Vec::new());
        let mut records = (String::new(), Vec::new());
        let mut own = (String::new(), Vec::new());
        for at in rows.iter().copied() {
            let id = ids[at];
            let name = format!("Person {at:06}");
            let says = BTreeMap::from([
                (Attribute::DisplayName, Some(name.as_str().into())),
                (Attribute::Title, Some("Engineer".into())),
                (Attribute::Location, Some("Bergen".into())),
                (
                    Attribute::Emails,
                    Some(format!("p{at}@northwind.example").into()),
                ),
                (Attribute::EmployeeNumber, Some(format!("E{at}").into())),
            ]);
            let changed: BTreeMap<_, _> = says.keys().map(|one| (*one, now)).collect();
            let worker = Worker {
                external_id: id.to_string(),
                active: true,
                attributes: says,
                manager: None,
                unit: None,
                ..Worker::default()
            };
            let manager = (at > 0).then(|| ids[(at - 1) / 8].0);
            let values: [sea_orm::Value; 5] = [
                id.0.into(),
                name.into(),
                units[at % units.len()].0.into(),
                manager.into(),
                now.into(),
            ];
            add(&mut people, values, |at| {
                let [name, unit, manager, now] = [1, 2, 3, 4].map(|n| at + n);
                format!("(${at}, TRUE, ${name}, ${name}, '', ${unit}, ${manager}, -1, -1, ${now})")
            });
            let values: [sea_orm::Value; 6] = [
                source.0.into(),
                id.to_string().into(),
                id.0.into(),
                worker.digest().to_vec().into(),
                serde_json::json!({ "worker": worker, "photo": null })
                    .to_string()
                    .into(),
                serde_json::to_string(&changed).unwrap().into(),
            ];
            add(&mut records, values, |at| {
                let places: Vec<_> = [0, 1, 2].map(|n| format!("${}", at + n)).into();
                let rest: Vec<_> = [3, 4, 5].map(|n| format!("${}", at + n)).into();
                format!("({}, TRUE, {})", places.join(", "), rest.join(", "))
            });
            if at % 3 == 0 {
                let values: [sea_orm::Value; 2] = [id.0.into(), now.into()];
                add(&mut own, values, |at| {
                    format!("(${at}, 'title', '\"Tinkerer\"', ${})", at + 1)
                });
            }
        }
        let inserts = [
            (
                "employees (id, active, display_name, sort_name, search, unit_id, manager_id, tree_from, tree_to, created_at)",
                people,
            ),
            (
                "erp_records (source_id, external_id, employee_id, active, digest, record, changed)",
                records,
            ),
            ("own_values (employee_id, attribute, value, edited_at)", own),
        ];
        for (table, (rows, values)) in inserts {
            let insert = format!("INSERT INTO {table} VALUES {rows}");
            world.execute(&insert, values).await;
        }
    }
}

fn add<const N: usize>(
    (rows, values): &mut (String, Vec<sea_orm::Value>),
    row: [sea_orm::Value; N],
    places: impl Fn(usize) -> String,
) {
    if !rows.is_empty() {
        rows.push_str(", ");
    }
    rows.push_str(&places(values.len() + 1));
    values.extend(row);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures a release build"]
async fn a_hundred_thousand_people() {
    support::everywhere(async |world| {
        fill(world).await;
        let store = &world.store;
        let system = Viewer::system("test");
        let timed = |what: &str, since: Instant| {
            eprintln!("{:>8} {what}: {:?}", world.name, since.elapsed());
            since.elapsed().as_secs()
        };
        let since = Instant::now();
        let shown = store.reshow_everyone(&system).await.unwrap();
        assert_eq!(shown, PEOPLE as u64);
        timed("show everyone, all new", since);
        let since = Instant::now();
        store.refresh_chart().await.unwrap();
        timed("chart, every number new", since);
        let since = Instant::now();
        store.refresh_chart().await.unwrap();
        timed("chart, unchanged", since);

        let rule = Rule {
            id: 0,
            attribute: Attribute::Title,
            unit: None,
            source: None,
            strength: Strength::Strong,
            enforced: false,
            empty_wins: false,
        };
        let since = Instant::now();
        let preview = store
            .preview_attribute_rules(&system, vec![rule.clone()])
            .await
            .unwrap();
        assert_eq!(preview.people, PEOPLE.div_ceil(3) as u64);
        assert!(timed("preview", since) < 20);
        let since = Instant::now();
        store
            .set_policy::<Rules>(&system, 0, vec![rule], "")
            .await
            .unwrap();
        assert!(timed("set, a third changes", since) < 20);

        for (q, matching) in [("", PEOPLE as u64), ("person 099900", 1), ("e4242", 11)] {
            let since = Instant::now();
            let query = DirectoryQuery {
                q: q.into(),
                ..DirectoryQuery::default()
            };
            let found = store.directory(&system, &query).await.unwrap();
            timed(&format!("directory {q:?}"), since);
            assert_eq!(found.matching, matching, "{q}");
        }
        let id = store.chart().chart.people()[77];
        let since = Instant::now();
        for _ in 0..100 {
            store
                .profile(&Viewer::person(id, domain::Roles::EMPLOYEE), id)
                .await
                .unwrap();
        }
        timed("a hundred profiles", since);
    })
    .await;
}

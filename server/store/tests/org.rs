//! The chart: who is above whom, the units, and what in the data cannot be so.

mod support;

use domain::{EmployeeId, Viewer, org::Finding};
use store::{Error, org::Node};
use support::Newcomer;

fn names(nodes: &[Node]) -> Vec<&str> {
    let nodes = nodes.iter();
    nodes
        .map(|node| node.person.display_name.as_str())
        .collect()
}

#[tokio::test]
async fn a_place_has_the_chain_above_and_the_reports_below() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let viewer = cast.viewer(cast.mei);
        let place = world.store.place(&viewer, cast.tomas).await.unwrap();
        assert_eq!(place.person.display_name, "Tomás Herrera");
        let chain: Vec<_> = place.chain.iter().map(|card| card.id).collect();
        assert_eq!(chain, [cast.ingrid]);
        assert_eq!(names(&place.reports), ["Grace Okafor", "Mei Tanaka"]);
        assert_eq!((place.reports[0].direct, place.oversees), (1, 3));
        let nobody = EmployeeId(world.uuid());
        let answer = world.store.place(&viewer, nobody).await;
        assert!(matches!(answer, Err(Error::NotFound)));
    })
    .await;
}

#[tokio::test]
async fn a_tree_is_as_deep_as_was_asked_for() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let viewer = cast.viewer(cast.mei);
        let heads = world.store.tree(&viewer, None, 0).await.unwrap();
        assert_eq!(names(&heads), ["Ingrid Solberg", "Priya Raman"]);
        assert!(heads[0].reports.is_empty());
        assert_eq!((heads[0].direct, heads[0].oversees), (3, 6));
        let tree = world
            .store
            .tree(&viewer, Some(cast.ingrid), 2)
            .await
            .unwrap();
        assert_eq!(
            names(&tree[0].reports),
            ["Hanna Berg", "Omar Haddad", "Tomás Herrera"]
        );
        let grace = &tree[0].reports[2].reports[0];
        assert_eq!(grace.person.id, cast.grace);
        assert!(grace.reports.is_empty(), "the third level");
        let nobody = Some(EmployeeId(world.uuid()));
        let answer = world.store.tree(&viewer, nobody, 1).await;
        assert!(matches!(answer, Err(Error::NotFound)));
    })
    .await;
}

#[tokio::test]
async fn units_come_below_their_parents_with_their_people() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let units = world.store.units(&cast.viewer(cast.mei)).await.unwrap();
        let units: Vec<_> = units
            .iter()
            .map(|unit| (unit.name.as_str(), unit.people, unit.people_overall))
            .collect();
        assert_eq!(
            units,
            [
                ("Management", 2, 8),
                ("People", 2, 2),
                ("Sales", 2, 4),
                ("Key Accounts", 2, 2)
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn of_many_units_those_around_one_are_offered() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let viewer = cast.viewer(cast.mei);
        let source = world.source("units").await;
        let works = world.unit(source, "Works", None).await;
        let hall = world.unit(source, "Hall", Some(works)).await;
        let line = world.unit(source, "Line", Some(hall)).await;
        for place in 0..70 {
            world
                .unit(source, &format!("Place {place:02}"), Some(line))
                .await;
        }
        world.store.refresh_chart().await.unwrap();
        let offered = async |around| {
            let units = world.store.units_around(&viewer, around).await.unwrap();
            units.into_iter().map(|unit| unit.name).collect::<Vec<_>>()
        };
        assert_eq!(
            offered(None).await,
            ["Management", "People", "Sales", "Works", "Hall"],
            "two levels"
        );
        assert_eq!(offered(Some(hall)).await, ["Works", "Hall", "Line"]);
        let crowd = offered(Some(line)).await;
        assert_eq!(crowd.len(), 60);
        assert_eq!(
            crowd[..4],
            ["Works", "Hall", "Line", "Place 00"],
            "what is above stays"
        );
    })
    .await;
}

#[tokio::test]
async fn the_columns_say_what_the_chart_says() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        world.leave(cast.mei).await;
        let snapshot = world.store.refresh_chart().await.unwrap();
        let rows = world
            .rows("SELECT id, tree_from, tree_to FROM employees", [])
            .await;
        assert_eq!(rows.len(), 8);
        for row in rows {
            let id = EmployeeId(row.try_get("", "id").unwrap());
            let numbers: (i32, i32) = (
                row.try_get("", "tree_from").unwrap(),
                row.try_get("", "tree_to").unwrap(),
            );
            let expected = snapshot
                .chart
                .interval(id)
                .map_or((-1, -1), |(from, to)| (from as i32, to as i32));
            assert_eq!(numbers, expected, "{id}");
        }
        assert!(!snapshot.chart.contains(cast.mei));
        assert_eq!(world.store.chart().built_at, snapshot.built_at);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_is_told_and_grants_nothing() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let set = "UPDATE employees SET manager_id = $2, manager_ref = NULL WHERE id = $1";
        // Ingrid below Luca closes a circle; Hanna is her own superior; Omar's is unknown.
        world
            .execute(set, [cast.ingrid.0.into(), cast.luca.0.into()])
            .await;
        world
            .execute(set, [cast.hanna.0.into(), cast.hanna.0.into()])
            .await;
        let unknown = "UPDATE employees SET manager_id = NULL, manager_ref = 'E-404' WHERE id = $1";
        world.execute(unknown, [cast.omar.0.into()]).await;
        let left = world
            .add(Newcomer {
                name: "Gone Away",
                ..Newcomer::default()
            })
            .await;
        world.leave(left).await;
        world.execute(set, [cast.mei.0.into(), left.0.into()]).await;
        world.settle().await;
        let viewer = cast.viewer(cast.priya);
        let findings = world.store.chart_findings(&viewer).await.unwrap();
        let told = |name: &str| {
            let mut findings = findings.iter();
            findings
                .find(|finding| {
                    finding
                        .people
                        .first()
                        .is_some_and(|card| card.display_name == name)
                })
                .unwrap_or_else(|| panic!("{name} is not told of"))
        };
        assert!(matches!(
            told("Hanna Berg").finding,
            Finding::SelfManaged { .. }
        ));
        let Finding::MissingManager { reference, .. } = &told("Omar Haddad").finding else {
            panic!("{findings:?}")
        };
        assert_eq!(reference, "E-404");
        let mei = told("Mei Tanaka");
        assert_eq!(mei.people[1].display_name, "Gone Away");
        let cycle = findings
            .iter()
            .find(|finding| matches!(finding.finding, Finding::Cycle { .. }))
            .expect("the circle");
        assert_eq!(cycle.people.len(), 4);
        let chart = &world.store.chart().chart;
        assert!(!chart.oversees(cast.ingrid, cast.luca));
        assert!(!chart.oversees(cast.luca, cast.ingrid));
    })
    .await;
}

#[tokio::test]
async fn charts_that_are_built_at_once_end_with_the_latest() {
    support::everywhere(async |world| {
        let cast = world.cast().await;
        let store = &world.store;
        let refreshes = (0..6).map(|_| store.refresh_chart());
        let built = futures::future::try_join_all(refreshes).await.unwrap();
        assert_eq!(built.len(), 6);
        world.leave(cast.luca).await;
        store.refresh_chart().await.unwrap();
        assert!(!store.chart().chart.contains(cast.luca));
        let viewer = Viewer::system("test");
        let place = store.place(&viewer, cast.luca).await.unwrap();
        assert!(place.chain.is_empty() && !place.person.active);
    })
    .await;
}

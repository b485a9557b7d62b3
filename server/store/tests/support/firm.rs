//! A small firm as a source says it, and how it is read.

use std::collections::BTreeMap;

use domain::{
    Attribute, EmployeeId, RunId, Value, Viewer,
    erp::{OrgUnit, Worker},
    sync::Step,
};
use store::{Store, run::Run};

use super::World;

const SYSTEM: Viewer = Viewer::system("test");

/// Somebody with a name, a number, an address and a title.
pub fn worker(id: &str, name: &str, manager: Option<&str>, unit: Option<&str>) -> Worker {
    let says = [
        (Attribute::DisplayName, name.to_owned()),
        (Attribute::EmployeeNumber, format!("N-{id}")),
        (Attribute::Emails, format!("{id}@northwindforge.example")),
        (Attribute::Title, "Fitter".to_owned()),
    ];
    Worker {
        external_id: id.into(),
        active: true,
        attributes: says
            .into_iter()
            .map(|(attribute, text)| (attribute, Some(Value::Text(text))))
            .collect(),
        manager: manager.map(str::to_owned),
        unit: unit.map(str::to_owned),
        ..Worker::default()
    }
}

/// Has a worker say something else.
pub fn set(worker: &mut Worker, attribute: Attribute, text: &str) {
    worker.attributes.insert(attribute, Some(text.into()));
}

/// A unit at the top, without a head.
pub fn unit(id: &str, name: &str) -> OrgUnit {
    OrgUnit {
        external_id: id.into(),
        name: name.into(),
        parent: None,
        heads: Vec::new(),
    }
}

/// Ada leads; Bo, Cy and Di are below her; Eve is below Bo.
pub fn firm() -> (Vec<OrgUnit>, Vec<Worker>) {
    let units = vec![unit("u1", "Works"), unit("u2", "Office")];
    let workers = vec![
        worker("e", "Eve", Some("b"), Some("u1")),
        worker("d", "Di", Some("a"), Some("u2")),
        worker("c", "Cy", Some("a"), Some("u2")),
        worker("b", "Bo", Some("a"), Some("u1")),
        worker("a", "Ada", None, Some("u2")),
    ];
    (units, workers)
}

/// Applies a plan to its end.
pub async fn finish(store: &Store, run: RunId) -> Run {
    while store.apply_run(&SYSTEM, run).await.unwrap() > 0 {}
    store.end_run(&SYSTEM, run, None).await.unwrap()
}

/// Whose the one record with this id is.
pub async fn id(world: &World, external_id: &str) -> EmployeeId {
    let rows = world
        .rows(
            "SELECT employee_id FROM erp_records WHERE external_id = $1",
            [external_id.into()],
        )
        .await;
    assert_eq!(rows.len(), 1, "{external_id}");
    EmployeeId(rows[0].try_get_by_index(0).unwrap())
}

/// A run's steps by the ids of their records; there are no more than a page holds.
pub async fn steps(store: &Store, run: RunId) -> BTreeMap<String, Step> {
    let page = store.run_steps(&SYSTEM, run, None, None).await.unwrap();
    assert_eq!(page.next_cursor, None);
    page.items
        .into_iter()
        .map(|step| (step.external_id.clone(), step))
        .collect()
}

/// Every row of a table as text, sorted.
pub async fn table(world: &World, table: &str) -> Vec<String> {
    let ask = if world.is_postgres() {
        format!("SELECT t::text FROM {table} t ORDER BY 1")
    } else {
        let columns = world
            .rows(
                &format!("SELECT name FROM pragma_table_info('{table}')"),
                [],
            )
            .await;
        let columns: Vec<String> = columns
            .iter()
            .map(|row| format!("quote({})", row.try_get_by_index::<String>(0).unwrap()))
            .collect();
        format!(
            "SELECT {} FROM {table} ORDER BY 1",
            columns.join(" || '|' || ")
        )
    };
    let rows = world.rows(&ask, []).await;
    rows.iter()
        .map(|row| row.try_get_by_index(0).unwrap())
        .collect()
}

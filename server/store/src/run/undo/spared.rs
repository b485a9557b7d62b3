//! Who keeps their access whatever an undo does: whoever presses the button, and
//! those without whom nobody could administer the portal.

use std::collections::{BTreeMap, BTreeSet};

use domain::EmployeeId;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction};

use super::{JOINER, RETURNER, Run};
use crate::{Result, account, db, run::plan::IN_MAX};

/// People who would go with an undo and are left in, and why.
pub(super) struct Spared(BTreeMap<EmployeeId, &'static str>);

impl Spared {
    /// Those of the people who came in, or came back, with `run` alone. If every
    /// administrator did and none of them pressed, all of them stay: it is not
    /// for an undo to choose one. `writes` keeps their roles as they are until
    /// the transaction ends.
    pub async fn of(
        tx: &DatabaseTransaction,
        run: &Run,
        pressed: &[EmployeeId],
        writes: bool,
    ) -> Result<Self> {
        let administrators = account::administrators(tx, writes).await?;
        let concerned: Vec<_> = administrators
            .iter()
            .chain(pressed)
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let came = came(tx, run, &concerned).await?;
        let mut spared = BTreeMap::new();
        for id in pressed.iter().filter(|id| came.contains(id)) {
            spared.insert(*id, "presses");
        }
        let goes = |id: &EmployeeId| came.contains(id) && !pressed.contains(id);
        if administrators.iter().all(goes) {
            let all = administrators.iter().map(|id| (*id, "last_administrator"));
            spared.extend(all);
        }
        Ok(Self(spared))
    }

    /// Why somebody is left in, as a stable code; none for whoever is not.
    pub fn why(&self, id: EmployeeId) -> Option<&'static str> {
        self.0.get(&id).copied()
    }
}

/// Which of them came in or back with a run, and are here by no other source.
async fn came(
    tx: &DatabaseTransaction,
    run: &Run,
    ids: &[EmployeeId],
) -> Result<BTreeSet<EmployeeId>> {
    let mut came = BTreeSet::new();
    for ids in ids.chunks(IN_MAX) {
        let ask = format!(
            "SELECT s.employee_id FROM run_steps s
            WHERE s.run_id = $1 AND (s.step LIKE $2 OR s.step LIKE $3) AND s.employee_id IN ({})
            AND NOT EXISTS (SELECT 1 FROM erp_records r
                WHERE r.employee_id = s.employee_id AND r.source_id <> $4 AND r.active)",
            db::places(5, ids.len())
        );
        let values = [
            run.id.0.into(),
            JOINER.into(),
            RETURNER.into(),
            run.source.0.into(),
        ];
        let values = values.into_iter().chain(ids.iter().map(|id| id.0.into()));
        for row in tx.query_all_raw(db::sql(tx, ask, values)).await? {
            came.insert(EmployeeId(row.try_get_by_index(0)?));
        }
    }
    Ok(came)
}

//! Who proposes what, and who decides about it.

use std::collections::BTreeMap;

use domain::{
    Action, Attribute, CorrectionId, EmployeeId, Role, Roles, Viewer,
    correction::{self, Approver, Corrections},
};
use sea_orm::ConnectionTrait;

use super::{Prospect, sources};
use crate::{
    Error, Result, Store, db,
    people::{self, PersonCard},
    policy,
    shown::{self, Sourcing, Whom},
};

/// Most approvers who are named to the person.
const APPROVERS_NAMED: usize = 5;

impl Store {
    /// Who may propose: a person, about themselves.
    pub(super) fn proposer(&self, viewer: &Viewer) -> Result<EmployeeId> {
        let me = viewer.id().ok_or(Error::NotFound)?;
        self.allow_about(viewer, me, Action::ProposeCorrections)?;
        Ok(me)
    }

    /// Whether the viewer decides about corrections of somebody's attribute: by
    /// role or place, by the policy, and only what they may see.
    pub(super) fn decides(
        &self,
        viewer: &Viewer,
        policy: &Corrections,
        whose: EmployeeId,
        attribute: Attribute,
    ) -> bool {
        let Some(id) = viewer.id() else { return false };
        let relation = self.relation(viewer, whose);
        let direct = self.chart().chart.manager(whose) == Some(id);
        viewer.may(relation, Action::DecideCorrections)
            && viewer.may(relation, Action::reading(attribute.spec().audience))
            && policy
                .approver(attribute)
                .is(viewer.roles(), relation, direct)
    }

    pub(super) async fn prospects(
        &self,
        conn: &impl ConnectionTrait,
        me: EmployeeId,
    ) -> Result<BTreeMap<Attribute, Prospect>> {
        let sourcing = Sourcing::load(conn).await?;
        let mut facts = shown::facts(conn, &sourcing, Whom::These(&[me]), false).await?;
        let facts = facts.pop().ok_or(Error::NotFound)?;
        let policy: Corrections = policy::in_force(conn).await?;
        let sources = sources(conn).await?;
        let ask = "SELECT id, attribute FROM corrections WHERE employee_id = $1 AND open";
        let mut open = BTreeMap::new();
        for row in conn
            .query_all_raw(db::sql(conn, ask, [me.0.into()]))
            .await?
        {
            let attribute: String = row.try_get_by_index(1)?;
            open.insert(attribute, CorrectionId(row.try_get_by_index(0)?));
        }
        let mut deciding = BTreeMap::new();
        for approver in Approver::ALL {
            deciding.insert(approver, self.approvers(conn, me, approver).await?);
        }
        let mut prospects = BTreeMap::new();
        for attribute in Attribute::ALL.iter().copied() {
            let verdict = sourcing.value(&facts, attribute);
            let Some(erp) = verdict.erp else { continue };
            if verdict.resolved.editable || !correction::can_be_said(attribute) {
                continue;
            }
            let (source_name, source_kind) = sources.get(&erp.source).cloned().unwrap_or_default();
            let approver = policy.approver(attribute);
            prospects.insert(
                attribute,
                Prospect {
                    says: erp.value.filter(|value| !value.is_empty()),
                    source: erp.source,
                    source_name,
                    source_kind,
                    rule: verdict.resolved.rule.id,
                    approver,
                    approvers: deciding.get(&approver).cloned().unwrap_or_default(),
                    open: open.get(attribute.name()).copied(),
                },
            );
        }
        Ok(prospects)
    }

    /// Some of those who would decide about somebody's values, by name.
    async fn approvers(
        &self,
        conn: &impl ConnectionTrait,
        whose: EmployeeId,
        approver: Approver,
    ) -> Result<Vec<PersonCard>> {
        let chart = self.chart();
        let ids: Vec<EmployeeId> = match approver {
            Approver::Nobody => Vec::new(),
            Approver::Manager => chart.chart.manager(whose).into_iter().collect(),
            Approver::Chain => chart.chart.chain(whose).take(APPROVERS_NAMED).collect(),
            Approver::HrOfUnit => {
                let ask = "SELECT a.employee_id, a.roles FROM accounts a JOIN employees e ON e.id = a.employee_id
                    WHERE e.active AND a.employee_id <> $1 AND a.roles LIKE '%hr%' ORDER BY e.sort_name, e.id";
                let rows = conn
                    .query_all_raw(db::sql(conn, ask, [whose.0.into()]))
                    .await?;
                let mut ids = Vec::new();
                for row in rows {
                    let roles: String = row.try_get_by_index(1)?;
                    if Roles::parse(&roles).has(Role::Hr) {
                        ids.push(EmployeeId(row.try_get_by_index(0)?));
                    }
                }
                ids.truncate(APPROVERS_NAMED);
                ids
            }
        };
        let cards = people::cards(conn, ids.iter().copied()).await?;
        Ok(ids.iter().filter_map(|id| cards.get(id).cloned()).collect())
    }
}

//! Who proposes what, and who decides about it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::{
    Action, Attribute, Audience, CorrectionId, EmployeeId, Relation, Role, Roles, SourceId, UnitId,
    Viewer, Violation,
    correction::{self, Approver, Corrections, Standing},
    delegation::reaches,
};
use sea_orm::ConnectionTrait;

use super::{Prospect, record_of, sources};
use crate::{
    Error, Result, Store, db, delegation,
    org::Snapshot,
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

    /// What tells about whom the viewer decides.
    pub(super) async fn deciding(
        &self,
        conn: &impl ConnectionTrait,
        viewer: &Viewer,
    ) -> Result<Deciding> {
        let snapshot = self.chart();
        let ask =
            "SELECT a.employee_id, a.roles FROM accounts a JOIN employees e ON e.id = a.employee_id
            WHERE e.active AND a.roles LIKE '%hr%' ORDER BY e.sort_name, e.id";
        let mut hr = Vec::new();
        for row in conn.query_all_raw(db::sql(conn, ask, [])).await? {
            let id = EmployeeId(row.try_get_by_index(0)?);
            let roles: String = row.try_get_by_index(1)?;
            if Roles::parse(&roles).has(Role::Hr) {
                hr.push((id, snapshot.chart.unit(id)));
            }
        }
        let (mut stands_in_for, mut dotted) = (Vec::new(), Vec::new());
        if let Some(me) = viewer.id() {
            let times = delegation::times(conn, me, self.now()).await?;
            stands_in_for.extend(times.into_iter().map(|time| time.manager));
            dotted = delegation::dotted(conn, me).await?.below;
        }
        let mut tops = snapshot.units.values().filter(|unit| unit.parent.is_none());
        let whole = tops.next().map(|unit| unit.id);
        Ok(Deciding {
            policy: policy::in_force(conn).await?,
            whole: whole.filter(|_| tops.next().is_none()),
            snapshot,
            hr,
            stands_in_for,
            dotted,
        })
    }

    /// Whether the viewer may be one who decides about anybody at all.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn may_decide_corrections(&self, viewer: &Viewer) -> Result<bool> {
        let Some(me) = viewer.id() else {
            return Ok(false);
        };
        if viewer.roles().has(Role::Hr) || !self.chart().chart.subtree(me).is_empty() {
            return Ok(true);
        }
        let deciding = self.deciding(self.db(), viewer).await?;
        let dotted = deciding.policy.approvers.dotted && !deciding.dotted.is_empty();
        Ok(dotted || !deciding.stands_in_for.is_empty())
    }

    pub(super) async fn prospects(
        &self,
        conn: &impl ConnectionTrait,
        viewer: &Viewer,
        me: EmployeeId,
    ) -> Result<BTreeMap<Attribute, Prospect>> {
        let sourcing = Sourcing::load(conn).await?;
        let mut facts = shown::facts(conn, &sourcing, Whom::These(&[me]), false).await?;
        let facts = facts.pop().ok_or(Error::NotFound)?;
        let deciding = self.deciding(conn, viewer).await?;
        let policy = &deciding.policy;
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
        let mut approvers = BTreeMap::new();
        for approver in Approver::ALL {
            let found = self.approvers(conn, &deciding, me, approver).await?;
            approvers.insert(approver, found);
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
                    approvers: approvers.get(&approver).cloned().unwrap_or_default(),
                    open: open.get(attribute.name()).copied(),
                },
            );
        }
        Ok(prospects)
    }

    /// Whether somebody can be proposed as a person's superior: the source that
    /// is to be corrected has to have them, and a superior is nobody below.
    ///
    /// # Errors
    /// [`Error::Invalid`] of `value`.
    pub(super) async fn can_lead(
        &self,
        conn: &impl ConnectionTrait,
        source: SourceId,
        whose: EmployeeId,
        manager: EmployeeId,
    ) -> Result<()> {
        let chart = self.chart();
        let below = manager == whose || chart.chart.oversees(whose, manager);
        let there =
            chart.chart.contains(manager) && record_of(conn, source, manager).await?.is_some();
        if there && !below {
            return Ok(());
        }
        let allowed = if below {
            "somebody who does not report to you"
        } else {
            "somebody who works here and whom the source has"
        };
        Err(Error::Invalid(vec![Violation::Unknown {
            field: "value".into(),
            value: manager.to_string(),
            allowed: allowed.into(),
        }]))
    }

    /// Some of those who would decide about somebody's values, and who stands in for them.
    async fn approvers(
        &self,
        conn: &impl ConnectionTrait,
        deciding: &Deciding,
        whose: EmployeeId,
        approver: Approver,
    ) -> Result<Vec<PersonCard>> {
        let chart = &deciding.snapshot.chart;
        let mut ids: Vec<EmployeeId> = match approver {
            Approver::Nobody => Vec::new(),
            Approver::Manager => chart.manager(whose).into_iter().collect(),
            Approver::Chain => chart.chain(whose).collect(),
            Approver::HrOfUnit => deciding.hr_of(whose),
        };
        let standing_in = delegation::stand_ins(conn, &ids, self.now()).await?;
        if deciding.policy.approvers.dotted
            && matches!(approver, Approver::Manager | Approver::Chain)
        {
            ids.extend(delegation::dotted(conn, whose).await?.above);
        }
        let standing_in = standing_in
            .into_iter()
            .filter(|(delegate, manager)| reaches(chart, *delegate, *manager, whose));
        ids.extend(standing_in.map(|(delegate, _)| delegate));
        let mut seen = BTreeSet::new();
        ids.retain(|id| seen.insert(*id));
        ids.truncate(APPROVERS_NAMED);
        let cards = people::cards(conn, ids.iter().copied()).await?;
        Ok(ids.iter().filter_map(|id| cards.get(id).cloned()).collect())
    }
}

/// What tells about whom a viewer decides: read once for a whole answer.
pub(super) struct Deciding {
    pub policy: Corrections,
    snapshot: Arc<Snapshot>,
    /// People with the role HR, each with their own unit, by name.
    hr: Vec<(EmployeeId, Option<UnitId>)>,
    /// The unit that all others are below.
    whole: Option<UnitId>,
    /// For whom the viewer stands in now.
    stands_in_for: Vec<EmployeeId>,
    /// Who reports to the viewer by dotted line.
    dotted: Vec<EmployeeId>,
}

impl Deciding {
    fn hr_of(&self, whose: EmployeeId) -> Vec<EmployeeId> {
        let units = self.snapshot.chart.units_of(whose);
        correction::hr_of_unit(&self.hr, whose, units, self.whole)
    }

    /// How somebody stands to a person, but for dotted lines.
    fn standing(&self, who: EmployeeId, whose: EmployeeId) -> Standing {
        let chart = &self.snapshot.chart;
        Standing {
            myself: who == whose,
            hr: self.hr_of(whose).contains(&who),
            direct: chart.manager(whose) == Some(who),
            above: chart.oversees(who, whose),
            dotted: false,
        }
    }

    /// Whether the viewer decides about corrections of somebody's attribute: by
    /// role or place, by the policy, and only what they may see; or standing in
    /// for somebody who does, but for what HR alone may see.
    pub fn decides(&self, viewer: &Viewer, whose: EmployeeId, attribute: Attribute) -> bool {
        let Some(me) = viewer.id() else { return false };
        let (chart, policy) = (&self.snapshot.chart, &self.policy);
        let approver = policy.approver(attribute);
        let audience = attribute.spec().audience;
        let may = |relation| viewer.may(relation, Action::DecideCorrections);
        let sees = |relation| viewer.may(relation, Action::reading(audience));
        let standing = Standing {
            dotted: self.dotted.contains(&whose),
            ..self.standing(me, whose)
        };
        let relation = match chart.relation(me, whose) {
            Relation::Colleague | Relation::Stranger if standing.dotted => Relation::DottedSuperior,
            relation => relation,
        };
        if approver.is(standing, policy.approvers.dotted) && may(relation) && sees(relation) {
            return true;
        }
        let on_behalf_of = |manager: &EmployeeId| {
            reaches(chart, me, *manager, whose)
                && approver.is(self.standing(*manager, whose), policy.approvers.dotted)
        };
        may(Relation::StandIn)
            && (audience != Audience::HrAndSelf || sees(relation))
            && self.stands_in_for.iter().any(on_behalf_of)
    }

    /// Whether the viewer sees the correction: their own, or one that they decide about.
    pub fn concerns(&self, viewer: &Viewer, whose: EmployeeId, attribute: Attribute) -> bool {
        viewer.id() == Some(whose) || self.decides(viewer, whose, attribute)
    }
}

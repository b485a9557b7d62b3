//! Who may do what: one table of roles, relations and actions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Audience, EmployeeId, SessionId};

/// What a person is trusted with, beside being an employee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Works here. Everybody who can sign in has it.
    Employee,
    /// Looks after people: sees private attributes, invites.
    Hr,
    /// Looks after the log: reads and verifies it.
    ComplianceOfficer,
    /// Sets the organization's rules.
    PolicyAdministrator,
    /// Connects sources, gives roles, runs the portal.
    SystemAdministrator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Employee,
        Self::Hr,
        Self::ComplianceOfficer,
        Self::PolicyAdministrator,
        Self::SystemAdministrator,
    ];

    /// The name in the API and the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Employee => "employee",
            Self::Hr => "hr",
            Self::ComplianceOfficer => "compliance_officer",
            Self::PolicyAdministrator => "policy_administrator",
            Self::SystemAdministrator => "system_administrator",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A set of roles, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Roles(u8);

impl Roles {
    /// No role but that of an employee.
    pub const EMPLOYEE: Self = Self(1);

    /// This set with `role`.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | 1 << role as u8)
    }

    /// Whether `role` is in it.
    #[must_use]
    pub const fn has(self, role: Role) -> bool {
        self.0 & 1 << role as u8 != 0
    }

    /// The roles in it, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }

    /// Reads the form that is kept: names with a comma between. Unknown names are
    /// left out, so that a role that is no more gives nothing; everybody is an employee.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        text.split(',')
            .filter_map(|name| Role::named(name.trim()))
            .fold(Self::EMPLOYEE, Self::with)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Role::name).collect();
        f.write_str(&names.join(","))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::EMPLOYEE, Self::with)
    }
}

impl Serialize for Roles {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Roles {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Role>::deserialize(deserializer).map(|roles| roles.into_iter().collect())
    }
}

/// How a viewer stands to the person whom an action is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The same person.
    Myself,
    /// Above in the chain of command, at any distance.
    Superior,
    /// A superior by dotted line, and not in the chain of command.
    DottedSuperior,
    /// Standing in for somebody above who is away.
    StandIn,
    /// In the same unit.
    Colleague,
    /// None of these. Actions that are about nobody are judged as a stranger's.
    Stranger,
}

impl Relation {
    /// Every relation.
    pub const ALL: [Self; 6] = [
        Self::Myself,
        Self::Superior,
        Self::DottedSuperior,
        Self::StandIn,
        Self::Colleague,
        Self::Stranger,
    ];
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident: [$($relation:ident),*] [$($role:ident),*];)+) => {
        /// Something that a viewer may or may not do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action { $($(#[$doc])* $name,)+ }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The relations and the roles that give the right; one of them is enough.
            #[must_use]
            pub const fn granted_to(self) -> (&'static [Relation], &'static [Role]) {
                match self {
                    $(Self::$name => (&[$(Relation::$relation),*], &[$(Role::$role),*]),)+
                }
            }
        }
    };
}

// The table of permissions: relations, then roles. What is absent is denied. Note
// what is absent: no role opens a review, and no action reads other people's chats.
actions! {
    /// Find people and see what everyone may see of them.
    ReadProfile: [] [Employee];
    /// See attributes whose audience is the own unit.
    ReadUnitAttributes: [Myself, Superior, Colleague] [Hr];
    /// See attributes whose audience is the chain of command.
    ReadChainAttributes: [Myself, Superior] [Hr];
    /// See attributes that are for the person and HR alone.
    ReadPrivateAttributes: [Myself] [Hr];
    /// Change a profile's own values.
    EditProfile: [Myself] [];
    /// Propose a correction of a value that the ERP decides.
    ProposeCorrections: [Myself] [];
    /// See and decide proposed corrections. The corrections policy has to name one as approver too.
    DecideCorrections: [Superior, DottedSuperior, StandIn] [Hr];
    /// See the organization's chart and its findings.
    ReadOrganization: [] [Employee];
    /// Start a conversation and write in one's own.
    Converse: [] [Employee];
    /// Open a review of somebody's words. The oversight policy has to allow it too,
    /// by the line and by each of the other two relations.
    OpenReview: [Superior, DottedSuperior, StandIn] [];
    /// Name who stands in for a superior who is away.
    SetDelegate: [Myself] [Hr];
    /// See who looked at one's words.
    ReadLookedAt: [Myself] [];
    /// See and end one's own sign-ins.
    ManageSessions: [Myself] [];
    /// Read the rules that the organization set.
    ReadPolicies: [] [Employee];
    /// Set sourcing rules and oversight.
    SetPolicies: [] [PolicyAdministrator];
    /// Connect, test and run ERP sources, and decide their open questions.
    ManageSources: [] [SystemAdministrator];
    /// Read what the runs of a source did and found.
    ReadSources: [] [Hr, PolicyAdministrator, SystemAdministrator];
    /// List accounts, and make one-time invitations.
    InvitePeople: [] [Hr, SystemAdministrator];
    /// Give and take roles, end somebody's sign-ins.
    ManageRoles: [] [SystemAdministrator];
    /// See clients' records: what they owe, what they asked for. No role gives it;
    /// the organization grants it to one person for a reason, and each look is recorded.
    ReadClients: [] [];
    /// Grant somebody else a look at clients' records, and end it.
    GrantClients: [] [PolicyAdministrator];
    /// Read, verify and export the audit log.
    ReadAuditLog: [] [ComplianceOfficer, SystemAdministrator];
}

impl Action {
    /// The action that reading an attribute of this audience needs.
    #[must_use]
    pub const fn reading(audience: Audience) -> Self {
        match audience {
            Audience::Everyone => Self::ReadProfile,
            Audience::OwnUnit => Self::ReadUnitAttributes,
            Audience::Chain => Self::ReadChainAttributes,
            Audience::HrAndSelf => Self::ReadPrivateAttributes,
        }
    }
}

/// Whether somebody with `roles`, standing so to the person concerned, may do `action`.
#[must_use]
pub fn allows(roles: Roles, relation: Relation, action: Action) -> bool {
    let (relations, granting) = action.granted_to();
    relations.contains(&relation) || granting.iter().any(|role| roles.has(*role))
}

/// What [`Viewer::may`] answers for every role, relation and action, as a table
/// with a row per action: what is reviewed as a diff when it changes.
#[must_use]
pub fn matrix() -> String {
    let nobody = EmployeeId(uuid::Uuid::nil());
    let mut columns: Vec<_> = Role::ALL
        .map(|role| {
            (
                role.name(),
                Viewer::person(nobody, Roles::EMPLOYEE.with(role)),
            )
        })
        .into();
    columns.push(("system", Viewer::system("matrix")));

    let mut table = String::from(
        "What somebody with a role (beside being an employee) may do, by how they stand to the person concerned:\n\
         m the same person   s a superior   d a superior by dotted line   i who stands in for a superior\n\
         c a colleague in the unit   x a stranger, or it is about nobody   - no\n\n",
    );
    let mut row = |name: &str, cells: Vec<&str>| {
        table += &format!("{name:<21}");
        for (cell, (role, _)) in cells.iter().zip(&columns) {
            table += &format!(" | {cell:<width$}", width = role.len());
        }
        table.truncate(table.trim_end().len());
        table.push('\n');
    };
    row("", columns.iter().map(|(role, _)| *role).collect());
    for action in Action::ALL {
        let cell = |viewer: &Viewer| -> String {
            let letter = |(letter, relation)| {
                if viewer.may(relation, *action) {
                    letter
                } else {
                    '-'
                }
            };
            "msdicx".chars().zip(Relation::ALL).map(letter).collect()
        };
        let cells: Vec<_> = columns.iter().map(|(_, viewer)| cell(viewer)).collect();
        row(
            &format!("{action:?}"),
            cells.iter().map(String::as_str).collect(),
        );
    }
    table
}

/// On whose behalf something is done. Every store verb takes one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    who: Who,
    roles: Roles,
    /// The sign-in that this comes through, if any.
    pub session: Option<SessionId>,
    /// The caller's network address as text, for the audit log.
    pub address: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Person(EmployeeId),
    System(&'static str),
}

impl Viewer {
    /// A person who is signed in.
    #[must_use]
    pub const fn person(id: EmployeeId, roles: Roles) -> Self {
        Self {
            who: Who::Person(id),
            roles,
            session: None,
            address: None,
        }
    }

    /// Work without a person; `reason` goes into the audit log.
    #[must_use]
    pub const fn system(reason: &'static str) -> Self {
        Self {
            who: Who::System(reason),
            roles: Roles(0),
            session: None,
            address: None,
        }
    }

    /// The person, unless this is the system.
    #[must_use]
    pub const fn id(&self) -> Option<EmployeeId> {
        match self.who {
            Who::Person(id) => Some(id),
            Who::System(_) => None,
        }
    }

    /// The reason, if this is the system.
    #[must_use]
    pub const fn reason(&self) -> Option<&'static str> {
        match self.who {
            Who::Person(_) => None,
            Who::System(reason) => Some(reason),
        }
    }

    /// The roles. The system has none: it is let through by [`Viewer::may`].
    #[must_use]
    pub const fn roles(&self) -> Roles {
        self.roles
    }

    /// Whether this viewer, standing so to the person concerned, may do `action`.
    /// The system may do everything but open reviews.
    #[must_use]
    pub fn may(&self, relation: Relation, action: Action) -> bool {
        match self.who {
            Who::Person(_) => allows(self.roles, relation, action),
            Who::System(_) => action != Action::OpenReview,
        }
    }

    /// [`Viewer::may`] for actions that are about nobody in particular.
    #[must_use]
    pub fn can(&self, action: Action) -> bool {
        self.may(Relation::Stranger, action)
    }

    /// Who it is in the audit log: `person:ID` or `system:REASON`.
    #[must_use]
    pub fn actor(&self) -> String {
        match self.who {
            Who::Person(id) => format!("person:{id}"),
            Who::System(reason) => format!("system:{reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_is_the_one_that_was_reviewed() {
        insta::assert_snapshot!("permissions", matrix());
    }

    #[test]
    fn administering_gives_no_right_to_read_chats() {
        for role in Role::ALL {
            let roles = Roles::EMPLOYEE.with(role);
            for relation in [Relation::Myself, Relation::Colleague, Relation::Stranger] {
                assert!(
                    !allows(roles, relation, Action::OpenReview),
                    "{role:?} as {relation:?}"
                );
            }
            assert!(allows(roles, Relation::Superior, Action::OpenReview));
        }
        assert!(!Viewer::system("retention").can(Action::OpenReview));
    }

    #[test]
    fn roles_are_kept_as_text() {
        let roles = Roles::EMPLOYEE
            .with(Role::Hr)
            .with(Role::SystemAdministrator);
        assert_eq!(roles.to_string(), "employee,hr,system_administrator");
        assert_eq!(Roles::parse(&roles.to_string()), roles);
        assert_eq!(Roles::parse("king"), Roles::EMPLOYEE);
    }
}

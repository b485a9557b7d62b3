//! People and roles: who can sign in, who is trusted with what, and invitations.

use axum::{
    Router,
    routing::{get, post},
};
use domain::Role;

use crate::portal::Portal;

mod invite;
mod page;

/// The pages and forms of accounts in the console.
pub fn routes() -> Router<Portal> {
    Router::new()
        .route("/console/people", get(page::list))
        .route("/console/people/{id}", get(page::show))
        .route("/console/people/{id}/roles", post(page::set_roles))
        .route("/console/people/{id}/invite", post(invite::invite))
}

/// A role as people call it, and what it is trusted with.
const fn role(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Employee => (
            "Employee",
            "Finds people, has an own profile, writes with colleagues.",
        ),
        Role::Hr => (
            "HR",
            "Sees what is for HR and the person alone, each time recorded. Invites people.",
        ),
        Role::ComplianceOfficer => (
            "Compliance officer",
            "Reads, verifies and exports the audit log. Reads nobody’s chats.",
        ),
        Role::PolicyAdministrator => (
            "Policy administrator",
            "Sets sourcing rules and who may review whose words. Reads nobody’s chats.",
        ),
        Role::SystemAdministrator => (
            "System administrator",
            "Connects sources, invites people, gives roles. Reads nobody’s chats.",
        ),
    }
}

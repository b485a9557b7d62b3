//! Accounts: signing in, invitations, roles, one's own sign-ins.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use domain::{EmployeeId, Roles, SessionId, Viewer};
use serde::{Deserialize, Serialize};

use crate::{Page, Result, Store, people::PersonCard};

/// Hashing of passwords: argon2id, calibrated once, a bounded number at a time.
pub struct Passwords {
    // filled in by the implementation
}

/// Where a sign-in comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The caller's address.
    pub address: Option<IpAddr>,
    /// What the browser calls itself, at most 300 characters are kept.
    pub user_agent: Option<String>,
}

/// Somebody who has just signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who, with the new sign-in.
    pub viewer: Viewer,
    /// The new sign-in; ends by idleness or at its absolute limit.
    pub session: SessionId,
}

/// One of a person's sign-ins, as the person sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Which.
    pub id: SessionId,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_seen_at: DateTime<Utc>,
    /// When it ends at the latest.
    pub expires_at: DateTime<Utc>,
    /// From which address.
    pub address: Option<String>,
    /// With which browser, in its own words.
    pub user_agent: Option<String>,
    /// Whether it is the one that asks.
    pub current: bool,
    /// A token of the API rather than a browser.
    pub token: bool,
}

/// An account in the console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Whose.
    pub person: PersonCard,
    /// The name to sign in with; none before an invitation was taken.
    pub login: Option<String>,
    /// The roles.
    pub roles: Roles,
    /// Until when an open invitation holds.
    pub invited_until: Option<DateTime<Utc>>,
}

/// A one-time link, shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The secret part of the link.
    pub token: String,
    /// Until when it holds.
    pub expires_at: DateTime<Utc>,
    /// For whom.
    pub person: PersonCard,
    /// The name that they will sign in with.
    pub login: String,
}

/// A person made without an ERP: the first administrator, the demo's accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// The name to sign in with: 2 to 64 of `a-z 0-9 . _ - @`.
    pub login: String,
    /// The display name, used where the ERP has none.
    pub name: String,
    /// The password.
    pub password: String,
    /// The roles.
    pub roles: Roles,
    /// The person, if they came from the ERP already.
    pub employee: Option<EmployeeId>,
}

impl Store {
    /// Signs in with login and password and begins a sign-in of `hours` at the most.
    ///
    /// Throttled per account and per address; a right password is let in again
    /// once the wait is over, so nobody is locked out for ever. Takes as long
    /// for a login that nobody has.
    ///
    /// # Errors
    /// [`crate::Error::Unauthenticated`], [`crate::Error::Throttled`].
    pub async fn sign_in(&self, login: &str, password: &str, origin: &Origin, token: bool) -> Result<SignedIn> {
        todo!()
    }

    /// The viewer of a sign-in that is still good, with today's roles; notes
    /// that it was used (to the minute, so that most requests write nothing).
    ///
    /// # Errors
    /// [`crate::Error::Unauthenticated`] if it has ended or the person has left.
    pub async fn viewer(&self, session: SessionId) -> Result<Viewer> {
        todo!()
    }

    /// Ends the viewer's own sign-in.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn sign_out(&self, viewer: &Viewer) -> Result<()> {
        todo!()
    }

    /// The viewer's sign-ins, the latest first.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn sign_ins(&self, viewer: &Viewer) -> Result<Vec<SignIn>> {
        todo!()
    }

    /// Ends one of the viewer's sign-ins, or with `None` all but the current one.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn revoke(&self, viewer: &Viewer, session: Option<SessionId>) -> Result<()> {
        todo!()
    }

    /// Changes the viewer's password; every other sign-in ends.
    ///
    /// # Errors
    /// [`crate::Error::Unauthenticated`] for a wrong `current`, [`crate::Error::Invalid`].
    pub async fn change_password(&self, viewer: &Viewer, current: &str, new: &str) -> Result<()> {
        todo!()
    }

    /// Makes a one-time link for somebody who works here and has no password
    /// yet, or who lost it. Former links of theirs end. Needs `InvitePeople`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn invite(&self, viewer: &Viewer, employee: EmployeeId) -> Result<Invitation> {
        todo!()
    }

    /// Whom an invitation is for, while it holds.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn invitation(&self, token: &str) -> Result<Invitation> {
        todo!()
    }

    /// Takes an invitation: sets the password and signs in. Works once.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`].
    pub async fn accept_invitation(&self, token: &str, password: &str, origin: &Origin) -> Result<SignedIn> {
        todo!()
    }

    /// Makes an account with a password. Needs `ManageRoles`, or the system.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `login_taken`, [`crate::Error::Invalid`].
    pub async fn create_account(&self, viewer: &Viewer, account: NewAccount) -> Result<EmployeeId> {
        todo!()
    }

    /// Accounts by name, those matching `q`. Needs `InvitePeople`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn accounts(&self, viewer: &Viewer, q: &str, cursor: Option<&str>) -> Result<Page<Account>> {
        todo!()
    }

    /// Gives somebody exactly these roles; `employee` is always among them. Needs `ManageRoles`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `last_administrator`.
    pub async fn set_roles(&self, viewer: &Viewer, employee: EmployeeId, roles: Roles) -> Result<()> {
        todo!()
    }
}

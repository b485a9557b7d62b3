//! Accounts: signing in, invitations, roles, one's own sign-ins.

use std::{collections::BTreeSet, fmt, net::IpAddr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Action, EmployeeId, Role, Roles, SessionId, Value, Viewer, Violation, text};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, DatabaseTransaction,
    EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QueryResult, Set,
    SqlErr,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    Error, Event, Page, Result, Store, audit,
    change::Change,
    db,
    entity::{account, invitation, sign_in},
    people::{self, PersonCard},
    shown,
};

mod password;

pub use password::{Cost, Passwords};

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
#[derive(Clone, PartialEq, Eq)]
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

// What opens an account does not get into a log by way of a debug print.
impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation")
            .field("login", &self.login)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A person made without an ERP: the first administrator, the demo's accounts.
#[derive(Clone, PartialEq, Eq)]
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

impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount")
            .field("login", &self.login)
            .field("roles", &self.roles)
            .field("employee", &self.employee)
            .finish_non_exhaustive()
    }
}

/// How long a browser may stay away.
const IDLE: TimeDelta = TimeDelta::hours(12);
/// How long a browser may stay signed in.
const BROWSER: TimeDelta = TimeDelta::days(14);
/// How long a token holds.
const TOKEN: TimeDelta = TimeDelta::hours(1);
/// How long an invitation holds.
const INVITATION: TimeDelta = TimeDelta::days(7);
/// Most characters that are kept of what a browser calls itself.
const USER_AGENT_MAX: usize = 300;
const LOGIN_MAX: usize = 64;
const PAGE: usize = 50;

/// Ends every sign-in of these people, within the change that makes them leave.
/// The caller tells [`Event::SignedOut`] of each once it is on disk.
///
/// # Errors
/// [`Error::Db`].
pub(crate) async fn end_all_sign_ins(
    tx: &DatabaseTransaction,
    employees: &[EmployeeId],
    at: DateTime<Utc>,
) -> Result<()> {
    for some in employees.chunks(1000) {
        sign_in::Entity::update_many()
            .set(sign_in::ActiveModel {
                ended_at: Set(Some(at)),
                ..Default::default()
            })
            .filter(sign_in::Column::EmployeeId.is_in(some.iter().map(|id| id.0)))
            .filter(sign_in::Column::EndedAt.is_null())
            .exec(tx)
            .await?;
    }
    Ok(())
}

/// Ends somebody's sign-ins but `keep`, or only `one` of them; answers which were open.
async fn end_sign_ins(
    tx: &DatabaseTransaction,
    whose: EmployeeId,
    one: Option<SessionId>,
    keep: Option<SessionId>,
    at: DateTime<Utc>,
) -> Result<Vec<SessionId>> {
    let mut ask = "UPDATE sign_ins SET ended_at = $1 WHERE employee_id = $2 AND ended_at IS NULL AND expires_at > $1".to_owned();
    let mut values = vec![at.into(), whose.0.into()];
    for (id, is) in [(one, "="), (keep, "<>")] {
        if let Some(id) = id {
            values.push(id.0.into());
            ask += &format!(" AND id {is} ${}", values.len());
        }
    }
    ask += " RETURNING id";
    let rows = tx.query_all_raw(db::sql(tx, ask, values)).await?;
    rows.iter()
        .map(|row| Ok(SessionId(row.try_get("", "id")?)))
        .collect()
}

/// What is compared of a login: folded, so that nobody fails by a capital letter.
fn login_form(login: &str) -> String {
    text::fold(login.trim())
}

fn is_login(login: &str) -> bool {
    let fits = |c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-' | '@');
    (2..=LOGIN_MAX).contains(&login.chars().count()) && login.chars().all(fits)
}

/// A login made of the mail address, else of the name.
fn login_for(person: &PersonCard) -> String {
    let words = person
        .email
        .as_deref()
        .and_then(|email| email.split('@').next());
    let mut login = String::new();
    for c in text::fold(words.unwrap_or(&person.display_name)).chars() {
        match c {
            'a'..='z' | '0'..='9' | '_' | '-' => login.push(c),
            'ø' => login.push('o'),
            'æ' => login.push_str("ae"),
            'ß' => login.push_str("ss"),
            'ł' => login.push('l'),
            'đ' | 'ð' => login.push('d'),
            '.' | ' ' if !login.ends_with('.') && !login.is_empty() => login.push('.'),
            _ => {}
        }
    }
    // Room for a number behind it.
    let login: String = login.chars().take(LOGIN_MAX - 8).collect();
    let login = login.trim_end_matches('.');
    if is_login(login) {
        login.to_owned()
    } else {
        "person".to_owned()
    }
}

fn token_hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// The last step of a transaction that took a login which somebody took meanwhile.
fn taken(error: sea_orm::DbErr) -> Error {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => Error::Conflict("login_taken"),
        _ => error.into(),
    }
}

/// A login that exists, and who has it.
struct Known {
    employee: EmployeeId,
    hash: Option<String>,
    roles: Roles,
    active: bool,
}

impl Store {
    /// Signs in with login and password and begins a sign-in: of 14 days at the
    /// most for a browser (12 hours of idleness), of an hour for a token.
    ///
    /// Throttled per account and per address; a right password is let in again
    /// once the wait is over, so nobody is locked out for ever. Takes as long
    /// for a login that nobody has.
    ///
    /// # Errors
    /// [`crate::Error::Unauthenticated`], [`crate::Error::Throttled`], [`crate::Error::Busy`].
    pub async fn sign_in(
        &self,
        login: &str,
        password: &str,
        origin: &Origin,
        token: bool,
    ) -> Result<SignedIn> {
        // What is longer is nobody's; cut, so that it costs nothing to remember.
        let login: String = login_form(login).chars().take(LOGIN_MAX + 1).collect();
        let passwords = &self.0.passwords;
        passwords
            .throttle
            .attempt(&login, origin.address, self.now())?;
        let known = self.account_of(&login).await?;
        let hash = known.as_ref().and_then(|known| known.hash.as_deref());
        let right = passwords.verify(password, hash).await.inspect_err(|_| {
            passwords.throttle.undo(&login, origin.address);
        })?;

        let mut change = self.change().await?;
        match known {
            Some(known) if right && known.active => {
                let signed_in = begin(
                    &mut change,
                    self,
                    known.employee,
                    known.roles,
                    origin,
                    token,
                )
                .await?;
                change.record(
                    &signed_in.viewer,
                    "account.signed_in",
                    audit::person(known.employee),
                    json!({ "session": signed_in.session, "token": token }),
                );
                change.commit().await?;
                passwords.throttle.right(&login, origin.address);
                Ok(signed_in)
            }
            known => {
                // Who tried is unknown. The login is not kept: people type passwords there.
                let mut nobody = Viewer::system("sign_in");
                nobody.address = origin.address.map(|address| address.to_string());
                let subject = known.map_or_else(String::new, |known| audit::person(known.employee));
                change.record(
                    &nobody,
                    "account.sign_in_failed",
                    subject,
                    json!({ "token": token }),
                );
                change.commit().await?;
                Err(Error::Unauthenticated)
            }
        }
    }

    async fn account_of(&self, login: &str) -> Result<Option<Known>> {
        let ask = "SELECT a.employee_id, a.password_hash, a.roles, e.active FROM accounts a \
                   JOIN employees e ON e.id = a.employee_id WHERE a.login = $1";
        let row = self
            .db()
            .query_one_raw(db::sql(self.db(), ask, [login.into()]))
            .await?;
        row.map(|row| {
            Ok(Known {
                employee: EmployeeId(row.try_get("", "employee_id")?),
                hash: row.try_get("", "password_hash")?,
                roles: Roles::parse(&row.try_get::<String>("", "roles")?),
                active: row.try_get("", "active")?,
            })
        })
        .transpose()
    }

    /// The viewer of a sign-in that is still good, with today's roles; notes
    /// that it was used (to the minute, so that most requests write nothing).
    ///
    /// # Errors
    /// [`crate::Error::Unauthenticated`] if it has ended or the person has left.
    pub async fn viewer(&self, session: SessionId) -> Result<Viewer> {
        let now = self.now();
        let ask = "SELECT s.employee_id, s.last_seen_at, s.address, a.roles FROM sign_ins s \
                   JOIN accounts a ON a.employee_id = s.employee_id \
                   JOIN employees e ON e.id = s.employee_id \
                   WHERE s.id = $1 AND s.ended_at IS NULL AND s.expires_at > $2 AND s.last_seen_at > $3 AND e.active";
        let row = self
            .db()
            .query_one_raw(db::sql(
                self.db(),
                ask,
                [session.0.into(), now.into(), (now - IDLE).into()],
            ))
            .await?
            .ok_or(Error::Unauthenticated)?;
        let seen: DateTime<Utc> = row.try_get("", "last_seen_at")?;
        if now - seen >= TimeDelta::minutes(1) {
            let note = "UPDATE sign_ins SET last_seen_at = $1 WHERE id = $2 AND last_seen_at < $1";
            self.db()
                .execute_raw(db::sql(self.db(), note, [now.into(), session.0.into()]))
                .await?;
        }
        let roles = Roles::parse(&row.try_get::<String>("", "roles")?);
        let mut viewer = Viewer::person(EmployeeId(row.try_get("", "employee_id")?), roles);
        viewer.session = Some(session);
        viewer.address = row.try_get("", "address")?;
        Ok(viewer)
    }

    /// Ends the viewer's own sign-in.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn sign_out(&self, viewer: &Viewer) -> Result<()> {
        let (Some(id), Some(session)) = (viewer.id(), viewer.session) else {
            return Ok(());
        };
        let mut change = self.change().await?;
        for session in end_sign_ins(&change.tx, id, Some(session), None, change.at).await? {
            change.record(
                viewer,
                "account.signed_out",
                audit::person(id),
                json!({ "session": session }),
            );
            change.tell(Event::SessionEnded(session));
        }
        change.commit().await
    }

    /// The viewer's sign-ins that are still good, the latest first.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn sign_ins(&self, viewer: &Viewer) -> Result<Vec<SignIn>> {
        let id = viewer.id().ok_or(Error::NotFound)?;
        self.allow_about(viewer, id, Action::ManageSessions)?;
        let now = self.now();
        let rows = sign_in::Entity::find()
            .filter(sign_in::Column::EmployeeId.eq(id.0))
            .filter(sign_in::Column::EndedAt.is_null())
            .filter(sign_in::Column::ExpiresAt.gt(now))
            .filter(sign_in::Column::LastSeenAt.gt(now - IDLE))
            .order_by_desc(sign_in::Column::CreatedAt)
            .order_by_desc(sign_in::Column::Id)
            .all(self.db())
            .await?;
        let sign_in = |row: sign_in::Model| SignIn {
            id: SessionId(row.id),
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
            address: row.address,
            user_agent: row.user_agent,
            current: viewer.session == Some(SessionId(row.id)),
            token: row.token,
        };
        Ok(rows.into_iter().map(sign_in).collect())
    }

    /// Ends one of the viewer's sign-ins, or with `None` all but the current one.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn revoke(&self, viewer: &Viewer, session: Option<SessionId>) -> Result<()> {
        let id = viewer.id().ok_or(Error::NotFound)?;
        self.allow_about(viewer, id, Action::ManageSessions)?;
        let mut change = self.change().await?;
        let keep = viewer.session.filter(|_| session.is_none());
        let ended = end_sign_ins(&change.tx, id, session, keep, change.at).await?;
        if session.is_some() && ended.is_empty() {
            return Err(Error::NotFound);
        }
        if !ended.is_empty() {
            change.record(
                viewer,
                "account.sign_ins_revoked",
                audit::person(id),
                json!({ "sessions": &ended }),
            );
        }
        for session in ended {
            change.tell(Event::SessionEnded(session));
        }
        change.commit().await
    }

    /// Changes the viewer's password; every other sign-in ends.
    ///
    /// # Errors
    /// [`crate::Error::Unauthenticated`] for a wrong `current`, [`crate::Error::Invalid`],
    /// [`crate::Error::Throttled`].
    pub async fn change_password(&self, viewer: &Viewer, current: &str, new: &str) -> Result<()> {
        let id = viewer.id().ok_or(Error::NotFound)?;
        self.allow_about(viewer, id, Action::ManageSessions)?;
        let account = account::Entity::find_by_id(id.0)
            .one(self.db())
            .await?
            .ok_or(Error::NotFound)?;
        let passwords = &self.0.passwords;
        // Who found an open browser must not guess here what the sign-in would not let them.
        passwords
            .throttle
            .attempt(&account.login, None, self.now())?;
        let right = passwords
            .verify(current, account.password_hash.as_deref())
            .await;
        let right = right.inspect_err(|_| passwords.throttle.undo(&account.login, None))?;
        if !right {
            let mut change = self.change().await?;
            change.record(
                viewer,
                "account.sign_in_failed",
                audit::person(id),
                json!({ "to": "change_password" }),
            );
            change.commit().await?;
            return Err(Error::Unauthenticated);
        }
        passwords.throttle.right(&account.login, None);
        let hash = self.hash(new, &account.login, Some(id), &[]).await?;

        let mut change = self.change().await?;
        let mut row = account.into_active_model();
        row.password_hash = Set(Some(hash));
        row.password_set_at = Set(Some(change.at));
        row.update(&change.tx).await?;
        let ended = end_sign_ins(&change.tx, id, None, viewer.session, change.at).await?;
        change.record(
            viewer,
            "account.password_changed",
            audit::person(id),
            json!({ "ended": ended.len() }),
        );
        for session in ended {
            change.tell(Event::SessionEnded(session));
        }
        change.commit().await
    }

    /// Checks and hashes a new password of somebody who is called so.
    async fn hash(
        &self,
        new: &str,
        login: &str,
        whose: Option<EmployeeId>,
        more: &[&str],
    ) -> Result<String> {
        let mut words: Vec<String> = vec!["optimus".into(), login.into()];
        words.extend(more.iter().map(|word| (*word).to_owned()));
        let card = people::cards(self.db(), whose).await?.into_values().next();
        if let Some(card) = card {
            words.push(card.display_name);
            words.extend(
                [
                    card.email,
                    card.employee_number,
                    card.department,
                    card.title,
                    card.location,
                ]
                .into_iter()
                .flatten(),
            );
        }
        // A name is as easily guessed by its parts.
        let parts: Vec<_> = words
            .iter()
            .flat_map(|word| word.split([' ', '.', '@', '-']))
            .map(str::to_owned)
            .collect();
        words.extend(parts);
        self.0.passwords.set(new, words, self.random()).await
    }

    /// Makes a one-time link for somebody who works here and has no password
    /// yet, or who lost it. Former links of theirs end. Needs `InvitePeople`;
    /// for somebody with a password and more roles than an employee's, `ManageRoles`
    /// too, because whoever sees the link could become them.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Forbidden`].
    pub async fn invite(&self, viewer: &Viewer, employee: EmployeeId) -> Result<Invitation> {
        self.allow(viewer, Action::InvitePeople)?;
        let mut change = self.change().await?;
        let person = working_here(&change.tx, employee).await?;
        let account = reserve(&change, &person).await?;
        let trusted = Roles::parse(&account.roles) != Roles::EMPLOYEE;
        if trusted && account.password_hash.is_some() && !viewer.can(Action::ManageRoles) {
            return Err(Error::Forbidden);
        }
        invitation::Entity::delete_many()
            .filter(invitation::Column::EmployeeId.eq(employee.0))
            .filter(invitation::Column::UsedAt.is_null())
            .exec(&change.tx)
            .await?;
        let token = URL_SAFE_NO_PAD.encode(self.random::<32>());
        let expires_at = change.at + INVITATION;
        let row = invitation::ActiveModel {
            token_hash: Set(token_hash(&token)),
            employee_id: Set(employee.0),
            login: Set(account.login.clone()),
            created_at: Set(change.at),
            expires_at: Set(expires_at),
            used_at: Set(None),
        };
        invitation::Entity::insert(row)
            .exec_without_returning(&change.tx)
            .await?;
        change.record(
            viewer,
            "account.invited",
            audit::person(employee),
            json!({ "login": &account.login, "expires_at": expires_at, "had_password": account.password_hash.is_some() }),
        );
        change.commit().await?;
        Ok(Invitation {
            token,
            expires_at,
            person,
            login: account.login,
        })
    }

    /// Whom an invitation is for, while it holds.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn invitation(&self, token: &str) -> Result<Invitation> {
        let row = invitation::Entity::find_by_id(token_hash(token))
            .one(self.db())
            .await?;
        let row = row
            .filter(|row| row.used_at.is_none() && row.expires_at > self.now())
            .ok_or(Error::NotFound)?;
        let person = working_here(self.db(), EmployeeId(row.employee_id)).await?;
        Ok(Invitation {
            token: token.to_owned(),
            expires_at: row.expires_at,
            person,
            login: row.login,
        })
    }

    /// Takes an invitation: sets the password, ends former sign-ins and signs in. Works once.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`], [`crate::Error::Busy`].
    pub async fn accept_invitation(
        &self,
        token: &str,
        password: &str,
        origin: &Origin,
    ) -> Result<SignedIn> {
        let Invitation { person, login, .. } = self.invitation(token).await?;
        let hash = self.hash(password, &login, Some(person.id), &[]).await?;

        let mut change = self.change().await?;
        let used = "UPDATE invitations SET used_at = $1 WHERE token_hash = $2 AND used_at IS NULL AND expires_at > $1";
        let used = db::sql(
            &change.tx,
            used,
            [change.at.into(), token_hash(token).into()],
        );
        if change.tx.execute_raw(used).await?.rows_affected() != 1 {
            return Err(Error::NotFound);
        }
        working_here(&change.tx, person.id).await?;
        let account = account::Entity::find_by_id(person.id.0)
            .one(&change.tx)
            .await?
            .ok_or(Error::NotFound)?;
        let roles = Roles::parse(&account.roles);
        let mut row = account.into_active_model();
        row.password_hash = Set(Some(hash));
        row.password_set_at = Set(Some(change.at));
        row.update(&change.tx).await?;
        for session in end_sign_ins(&change.tx, person.id, None, None, change.at).await? {
            change.tell(Event::SessionEnded(session));
        }
        let signed_in = begin(&mut change, self, person.id, roles, origin, false).await?;
        change.record(
            &signed_in.viewer,
            "account.invitation_accepted",
            audit::person(person.id),
            json!({ "session": signed_in.session }),
        );
        change.commit().await?;
        self.0.passwords.throttle.right(&login, None);
        Ok(signed_in)
    }

    /// Makes an account with a password. Needs `ManageRoles`, or the system.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] `login_taken` or `has_account`, [`crate::Error::Invalid`].
    pub async fn create_account(&self, viewer: &Viewer, account: NewAccount) -> Result<EmployeeId> {
        self.allow(viewer, Action::ManageRoles)?;
        let NewAccount {
            login,
            name,
            password,
            roles,
            employee,
        } = account;
        let login = login_form(&login);
        if !is_login(&login) {
            let expected = "2 to 64 of a-z 0-9 . _ - @".to_owned();
            return Err(Violation::BadFormat {
                field: "login".into(),
                expected,
            }
            .into());
        }
        let name = text::required("name", text::line("name", &name, 120)?)?;
        let hash = self.hash(&password, &login, employee, &[&name]).await?;

        let mut change = self.change_people().await?;
        let id = match employee {
            Some(id) => working_here(&change.tx, id).await?.id,
            None => add_person(&change, self, &name).await?,
        };
        let found = account::Entity::find_by_id(id.0).one(&change.tx).await?;
        if found
            .as_ref()
            .is_some_and(|found| found.password_hash.is_some())
        {
            return Err(Error::Conflict("has_account"));
        }
        let row = account::ActiveModel {
            employee_id: Set(id.0),
            login: Set(login.clone()),
            password_hash: Set(Some(hash)),
            roles: Set(roles.to_string()),
            created_at: Set(change.at),
            password_set_at: Set(Some(change.at)),
        };
        let written = if found.is_some() {
            row.update(&change.tx).await.map(drop)
        } else {
            account::Entity::insert(row)
                .exec_without_returning(&change.tx)
                .await
                .map(drop)
        };
        written.map_err(taken)?;
        let detail = json!({ "login": login, "roles": roles, "new_person": employee.is_none() });
        change.record(viewer, "account.created", audit::person(id), detail);
        change.tell(Event::PeopleChanged);
        change.commit().await?;
        if employee.is_none() {
            self.refresh_chart().await?;
        }
        Ok(id)
    }

    /// Everyone who works here by name, with their account if they have one:
    /// those in whose card or login all words of `q` occur. Needs `InvitePeople`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Invalid`].
    pub async fn accounts(
        &self,
        viewer: &Viewer,
        q: &str,
        cursor: Option<&str>,
    ) -> Result<Page<Account>> {
        self.allow(viewer, Action::InvitePeople)?;
        let q = text::fold(&text::line("q", q, 200)?);
        let find = db::either(self.db(), "instr", "strpos");
        let mut values: Vec<sea_orm::Value> = vec![self.now().into()];
        let mut filters = String::from(people::WORKS_HERE);
        for word in q.split_whitespace() {
            values.push(word.into());
            let word = values.len();
            filters += &format!(
                " AND ({find}(e.search, ${word}) > 0 OR {find}(coalesce(a.login, ''), ${word}) > 0)"
            );
        }
        if let Some(cursor) = cursor {
            let (id, name) = cursor.split_at_checked(36).ok_or_else(people::bad_cursor)?;
            let id: EmployeeId = id.parse().map_err(|_| people::bad_cursor())?;
            values.extend([name.into(), id.0.into()]);
            filters += &format!(
                " AND (e.sort_name, e.id) > (${}, ${})",
                values.len() - 1,
                values.len()
            );
        }
        let ask = format!(
            "SELECT {} WHERE {filters} ORDER BY e.sort_name, e.id LIMIT {}",
            account_columns(),
            PAGE + 1
        );
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), ask, values))
            .await?;
        let items = rows
            .iter()
            .take(PAGE)
            .map(read_account)
            .collect::<Result<Vec<_>>>()?;
        let next_cursor = match (rows.get(PAGE), rows.get(PAGE - 1), items.last()) {
            (Some(_), Some(last), Some(account)) => Some(format!(
                "{}{}",
                account.person.id,
                last.try_get::<String>("", "sort_name")?
            )),
            _ => None,
        };
        Ok(Page { items, next_cursor })
    }

    /// Somebody who works here, with their account if they have one. Needs `InvitePeople`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn account(&self, viewer: &Viewer, employee: EmployeeId) -> Result<Account> {
        self.allow(viewer, Action::InvitePeople)?;
        let ask = format!("SELECT {} WHERE e.active AND e.id = $2", account_columns());
        let values = [self.now().into(), employee.0.into()];
        let row = self
            .db()
            .query_one_raw(db::sql(self.db(), ask, values))
            .await?;
        read_account(&row.ok_or(Error::NotFound)?)
    }

    /// Gives somebody exactly these roles; `employee` is always among them. Needs `ManageRoles`.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `last_administrator`.
    pub async fn set_roles(
        &self,
        viewer: &Viewer,
        employee: EmployeeId,
        roles: Roles,
    ) -> Result<()> {
        self.allow(viewer, Action::ManageRoles)?;
        let mut change = self.change().await?;
        let person = working_here(&change.tx, employee).await?;
        let administrators = administrators(&change.tx, true).await?;
        let last = administrators.len() == 1 && administrators.contains(&employee);
        if last && !roles.has(Role::SystemAdministrator) {
            return Err(Error::Conflict("last_administrator"));
        }
        let account = reserve(&change, &person).await?;
        let before = Roles::parse(&account.roles);
        if before == roles {
            return change.commit().await;
        }
        let mut row = account.into_active_model();
        row.roles = Set(roles.to_string());
        row.update(&change.tx).await?;
        change.record(
            viewer,
            "account.roles_set",
            audit::person(employee),
            json!({ "before": before, "after": roles }),
        );
        change.commit().await
    }
}

/// Who can administer the portal: with the role, a password, and working here.
/// With `lock`, they stay so until the transaction ends; locked in one order, so
/// that two of them cannot take the role from each other at once.
pub(crate) async fn administrators(
    tx: &DatabaseTransaction,
    lock: bool,
) -> Result<BTreeSet<EmployeeId>> {
    let ask = format!(
        "SELECT a.employee_id FROM accounts a JOIN employees e ON e.id = a.employee_id \
         WHERE e.active AND a.password_hash IS NOT NULL AND a.roles LIKE '%{}%' ORDER BY a.employee_id{}",
        Role::SystemAdministrator.name(),
        if lock { db::for_update(tx) } else { "" }
    );
    let rows = tx.query_all_raw(db::sql(tx, ask, [])).await?;
    rows.iter()
        .map(|row| Ok(EmployeeId(row.try_get_by_index(0)?)))
        .collect()
}

/// What [`read_account`] reads, and where from; `$1` is now.
fn account_columns() -> String {
    format!(
        "{}, e.sort_name, a.login, a.roles, a.password_hash IS NOT NULL AS has_password, \
         (SELECT max(i.expires_at) FROM invitations i \
          WHERE i.employee_id = e.id AND i.used_at IS NULL AND i.expires_at > $1) AS invited_until \
         FROM employees e LEFT JOIN accounts a ON a.employee_id = e.id",
        people::CARD
    )
}

fn read_account(row: &QueryResult) -> Result<Account> {
    let has_password: bool = row.try_get("", "has_password")?;
    let roles: Option<String> = row.try_get("", "roles")?;
    Ok(Account {
        person: people::card(row)?,
        login: row
            .try_get::<Option<String>>("", "login")?
            .filter(|_| has_password),
        roles: roles.map_or(Roles::EMPLOYEE, |roles| Roles::parse(&roles)),
        invited_until: row.try_get("", "invited_until")?,
    })
}

/// Begins a sign-in.
async fn begin(
    change: &mut Change<'_>,
    store: &Store,
    employee: EmployeeId,
    roles: Roles,
    origin: &Origin,
    token: bool,
) -> Result<SignedIn> {
    let session = SessionId::new(change.at, store.random());
    let address = origin.address.map(|address| address.to_string());
    let user_agent = origin.user_agent.as_deref().map(|name| {
        name.chars()
            .filter(|c| !c.is_control())
            .take(USER_AGENT_MAX)
            .collect()
    });
    let row = sign_in::ActiveModel {
        id: Set(session.0),
        employee_id: Set(employee.0),
        token: Set(token),
        created_at: Set(change.at),
        last_seen_at: Set(change.at),
        expires_at: Set(change.at + if token { TOKEN } else { BROWSER }),
        ended_at: Set(None),
        address: Set(address.clone()),
        user_agent: Set(user_agent),
    };
    sign_in::Entity::insert(row)
        .exec_without_returning(&change.tx)
        .await?;
    let mut viewer = Viewer::person(employee, roles);
    viewer.session = Some(session);
    viewer.address = address;
    Ok(SignedIn { viewer, session })
}

/// The card of somebody who works here now.
async fn working_here(conn: &impl ConnectionTrait, employee: EmployeeId) -> Result<PersonCard> {
    let card = people::cards(conn, [employee]).await?.remove(&employee);
    card.filter(|card| card.active).ok_or(Error::NotFound)
}

/// The person's account; made without a password if there is none, so that the login is theirs.
async fn reserve(change: &Change<'_>, person: &PersonCard) -> Result<account::Model> {
    if let Some(account) = account::Entity::find_by_id(person.id.0)
        .one(&change.tx)
        .await?
    {
        return Ok(account);
    }
    let wish = login_for(person);
    let taken_ones: BTreeSet<String> = account::Entity::find()
        .filter(account::Column::Login.starts_with(&wish))
        .all(&change.tx)
        .await?
        .into_iter()
        .map(|account| account.login)
        .collect();
    let login = (1..)
        .map(|n| {
            if n == 1 {
                wish.clone()
            } else {
                format!("{wish}{n}")
            }
        })
        .find(|login| !taken_ones.contains(login))
        .unwrap_or(wish);
    let account = account::Model {
        employee_id: person.id.0,
        login,
        password_hash: None,
        roles: Roles::EMPLOYEE.to_string(),
        created_at: change.at,
        password_set_at: None,
    };
    let row = account.clone().into_active_model();
    account::Entity::insert(row)
        .exec_without_returning(&change.tx)
        .await
        .map_err(taken)?;
    Ok(account)
}

/// Somebody whom no ERP knows, with the name as an own value.
async fn add_person(change: &Change<'_>, store: &Store, name: &str) -> Result<EmployeeId> {
    let id = EmployeeId::new(change.at, store.random());
    let add = "INSERT INTO employees (id, active, display_name, sort_name, search, tree_from, tree_to, created_at) \
               VALUES ($1, TRUE, '', '', '', 0, 0, $2)";
    let values = [id.0.into(), change.at.into()];
    change
        .tx
        .execute_raw(db::sql(&change.tx, add, values))
        .await?;
    let value = serde_json::to_string(&Value::from(name))?;
    let own =
        "INSERT INTO own_values (employee_id, attribute, value, edited_at) VALUES ($1, $2, $3, $4)";
    let values = [
        id.0.into(),
        domain::Attribute::DisplayName.name().into(),
        value.into(),
        change.at.into(),
    ];
    change
        .tx
        .execute_raw(db::sql(&change.tx, own, values))
        .await?;
    shown::reshow(&change.tx, &[id]).await?;
    Ok(id)
}

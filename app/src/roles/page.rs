//! The list of people with their accounts, and one person's roles.

use axum::{
    extract::{Path, Query},
    response::Response,
};
use domain::{Action, EmployeeId, Role, Roles};
use leptos::prelude::*;
use serde::Deserialize;
use store::account::Account;

use super::role;
use crate::{
    edge::{AppError, Posted, Visit, answer, face, id},
    ui::{
        Badge, Button, Card, Check, Column, Crumb, Crumbs, Door, EmptyState, Fact, Facts, Glyph,
        Hide, LinkButton, Look, PageHead, Pager, Person, Search, Status, Table, Time, Tone,
        format::{self, Reader, counted},
    },
    words::percent,
};

/// What to look for.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    cursor: String,
}

/// `GET /console/people`
pub async fn list(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, AppError> {
    let q: String = wanted.q.chars().take(200).collect();
    let cursor = Some(wanted.cursor).filter(|cursor| !cursor.is_empty());
    let store = &visit.portal.store;
    let found = store.accounts(&visit.viewer, &q, cursor.as_deref()).await?;
    let gives_roles = visit.viewer.can(Action::ManageRoles);
    let reader = visit.reader;
    visit
        .page("People and roles", Door::Roles, move || {
            let sentence = if gives_roles {
                "Who can sign in, and who is trusted with what. No role reads other people’s chats."
            } else {
                "Who can sign in, and who is invited."
            };
            let here = |cursor: Option<String>| {
                let cursor = cursor.map(|cursor| format!("&cursor={}", percent(&cursor))).unwrap_or_default();
                format!("/console/people?q={}{cursor}", percent(&q))
            };
            let shown = found.items.len() as u64;
            let empty = found.items.is_empty();
            let rows = found
                .items
                .into_iter()
                .map(|account| row(account, gives_roles, reader))
                .collect::<Vec<_>>();
            let mut columns = vec![Column::new("Person"), Column::new("Signs in as").hide(Hide::Narrow)];
            if gives_roles {
                columns.push(Column::new("Roles"));
            }
            columns.push(Column::new("State"));
            let first = cursor.is_some().then(|| here(None));
            let next = found.next_cursor.map(|cursor| here(Some(cursor)));
            let list = if empty {
                view! {
                    <EmptyState
                        glyph=Glyph::People
                        title="Nobody found"
                        sentence="Nobody who works here has all of these words in name, title, unit, mail, number or login."
                    >
                        <LinkButton text="Show everyone" href="/console/people" />
                    </EmptyState>
                }
                .into_any()
            } else {
                view! {
                    <Table caption="People by name, with their accounts" columns=columns>
                        {rows}
                    </Table>
                    <Pager text=counted(shown, "person shown", "people shown") before=first after=next before_word="First page" />
                }
                .into_any()
            };
            view! {
                <div class="page">
                    <PageHead title="People and roles" sentence=sentence />
                    <form class="toolbar" role="search" method="get" action="/console/people" aria-label="People with accounts">
                        <Search label="Name, title, unit, mail, number or login" value=q scope="roles" />
                        <Button text="Search" />
                    </form>
                    {list}
                </div>
            }
        })
        .await
}

/// Whether somebody can sign in, in words.
fn state(account: &Account, reader: &Reader) -> (String, Tone) {
    match (&account.login, account.invited_until) {
        (_, Some(until)) => {
            let until = reader.moment_in_sentence(until);
            (format!("Invited until {until}"), Tone::Warning)
        }
        (Some(_), None) => ("Can sign in".to_owned(), Tone::Positive),
        (None, None) => ("Not invited".to_owned(), Tone::Neutral),
    }
}

fn badges(roles: Roles) -> AnyView {
    let badges = roles
        .iter()
        .filter(|role| *role != Role::Employee)
        .map(|one| view! { <Badge text=role(one).0 tone=Tone::Accent /> })
        .collect::<Vec<_>>();
    if badges.is_empty() {
        return view! { <span class="muted">{role(Role::Employee).0}</span> }.into_any();
    }
    view! { <span class="row">{badges}</span> }.into_any()
}

fn row(account: Account, gives_roles: bool, reader: Reader) -> AnyView {
    let href = format!("/console/people/{}", account.person.id);
    let (word, tone) = state(&account, &reader);
    let login = account.login.unwrap_or_else(|| "–".to_owned());
    view! {
        <tr>
            <th scope="row">
                <Person face=face(&account.person) href=href sub=account.person.title.clone() />
            </th>
            <td class="hide-narrow">{login}</td>
            {gives_roles.then(|| view! { <td>{badges(account.roles)}</td> })}
            <td>
                <Status text=word tone=tone />
            </td>
        </tr>
    }
    .into_any()
}

/// `GET /console/people/{id}`
pub async fn show(visit: Visit, Path(who): Path<String>) -> Result<Response, AppError> {
    let who = EmployeeId(id(&who)?);
    let account = visit.portal.store.account(&visit.viewer, who).await?;
    let gives_roles = visit.viewer.can(Action::ManageRoles);
    let form = format!("/console/people/{who}/roles");
    let kept = visit.flash.kept(&form);
    let reader = visit.reader;
    let name = account.person.display_name.clone();
    visit
        .page(&name, Door::Roles, move || {
            let name = account.person.display_name.clone();
            let (word, tone) = state(&account, &reader);
            let badge = view! { <Badge text=word tone=tone /> }.into_any();
            let roles = gives_roles.then(|| {
                let boxes = Role::ALL
                    .into_iter()
                    .filter(|one| *one != Role::Employee)
                    .map(|one| {
                        let (label, help) = role(one);
                        // Each box has a name of its own, so that a form that came back shows all of them.
                        let checked = kept.checked(one.name(), account.roles.has(one));
                        view! { <Check label=label name=one.name() checked=checked help=help /> }
                    })
                    .collect::<Vec<_>>();
                view! {
                    <Card title="Roles" id="roles">
                        <form class="stack form" method="post" action=form>
                            <p class="muted">"Everybody who signs in is an employee. A role holds from the next click on."</p>
                            <fieldset class="stack stack--tight">
                                <legend class="visually-hidden">"Roles"</legend>
                                {boxes}
                            </fieldset>
                            <div>
                                <Button text="Set roles" look=Look::Primary />
                            </div>
                        </form>
                    </Card>
                }
            });
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![Crumb::link("People and roles", "/console/people"), Crumb::here(name.clone())] />
                    <PageHead title=name sentence=account.person.title.clone() badge=badge>
                        <LinkButton text="Profile" href=format!("/people/{who}") icon=Some(Glyph::User) />
                    </PageHead>
                    <div class="columns">
                        <div class="stack stack--loose">
                            {roles}
                            {invitation(&account, reader)}
                        </div>
                        <aside class="stack" aria-label="About the account">
                            {facts(&account, gives_roles)}
                        </aside>
                    </div>
                </div>
            }
        })
        .await
}

fn facts(account: &Account, gives_roles: bool) -> AnyView {
    let person = &account.person;
    let login = account
        .login
        .clone()
        .unwrap_or_else(|| "Cannot yet".to_owned());
    let unit = person
        .department
        .clone()
        .unwrap_or_else(|| "None".to_owned());
    let email = person.email.clone().unwrap_or_else(|| "None".to_owned());
    let roles = gives_roles.then(|| badges(account.roles));
    view! {
        <Card title="Account" id="account">
            <Facts one=true>
                <Fact label="Signs in as">{login}</Fact>
                <Fact label="Mail">{email}</Fact>
                <Fact label="Unit">{unit}</Fact>
                {roles.map(|roles| view! { <Fact label="Roles">{roles}</Fact> })}
            </Facts>
        </Card>
    }
    .into_any()
}

fn invitation(account: &Account, reader: Reader) -> AnyView {
    let action = format!("/console/people/{}/invite", account.person.id);
    let name = &account.person.display_name;
    let (text, button) = match (&account.login, account.invited_until) {
        (_, Some(_)) => (
            "There is an open invitation. A new one takes its place, and the old link ends.",
            "Invite again",
        ),
        (Some(_), None) => (
            "Who lost the password gets a new one by a one-time link. It holds for 7 days, and every sign-in of theirs ends when it is used.",
            "Make a new link",
        ),
        (None, None) => (
            "A one-time link lets them choose a password. It holds for 7 days.",
            "Invite",
        ),
    };
    let until = account
        .invited_until
        .map(|until| (format::iso(until), reader.moment_in_sentence(until)));
    let label = format!("{button}: {name}");
    view! {
        <Card title="Invitation" id="invitation">
            <form class="stack" method="post" action=action>
                <p>{text}</p>
                {until
                    .map(|(iso, text)| {
                        view! {
                            <p class="muted">
                                "The open one holds until " <Time iso=iso text=text /> "."
                            </p>
                        }
                    })}
                <div>
                    <button class="btn" type="submit" aria-label=label>
                        {button}
                    </button>
                </div>
            </form>
        </Card>
    }
    .into_any()
}

/// `POST /console/people/{id}/roles`
pub async fn set_roles(
    visit: Visit,
    Path(who): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    let who = EmployeeId(id(&who)?);
    let roles: Roles = Role::ALL
        .into_iter()
        .filter(|role| posted.ticked(role.name()))
        .collect();
    let result = visit
        .portal
        .store
        .set_roles(&visit.viewer, who, roles)
        .await;
    let page = format!("/console/people/{who}");
    let done = "The roles are set.";
    answer(
        &visit.session,
        &posted,
        result,
        &page,
        |()| page.clone(),
        done,
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeDelta, TimeZone as _, Utc};
    use store::people::PersonCard;

    #[test]
    fn an_open_invitation_is_said_before_anything_else() {
        let now = Utc.with_ymd_and_hms(2026, 11, 19, 9, 0, 0).unwrap();
        let reader = Reader::new(now);
        let mut account = Account {
            person: PersonCard {
                id: EmployeeId(uuid::Uuid::nil()),
                display_name: "Grace Whitfield".into(),
                title: None,
                department: None,
                unit: None,
                location: None,
                email: None,
                employee_number: None,
                photo: None,
                active: true,
            },
            login: None,
            roles: Roles::EMPLOYEE,
            invited_until: None,
        };
        assert_eq!(
            state(&account, &reader),
            ("Not invited".into(), Tone::Neutral)
        );
        account.login = Some("grace".into());
        assert_eq!(state(&account, &reader).0, "Can sign in");
        account.invited_until = Some(now + TimeDelta::days(7));
        assert_eq!(state(&account, &reader).0, "Invited until 26 Nov, 09:00");
    }
}

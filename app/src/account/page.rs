//! One's own sign-ins, password and theme.

use axum::{
    http::header,
    response::{IntoResponse, Redirect, Response},
};
use domain::SessionId;
use leptos::prelude::*;

use crate::{
    edge::{AppError, Posted, Visit, answer},
    ui::{
        Badge, Button, Card, Column, Crumb, Crumbs, Door, Field, Height, Hide, Look, PageHead,
        Table, Theme, Time, Tone, format,
    },
};

/// `GET /account`
pub async fn show(visit: Visit) -> Result<Response, AppError> {
    let sign_ins = visit.portal.store.sign_ins(&visit.viewer).await?;
    let kept = visit.flash.kept("/account/password");
    let reader = visit.reader;
    let profile = format!("/people/{}", visit.me.person.id);
    let name = visit.me.person.display_name.clone();
    let others = sign_ins.iter().any(|one| !one.current);
    visit
        .page("Sessions", Door::Account, move || {
            let rows = sign_ins
                .into_iter()
                .map(|one| {
                    let device = device(one.user_agent.as_deref(), one.token);
                    let end = format!("End the sign-in on {device}");
                    view! {
                        <tr>
                            <th scope="row">
                                {device}
                                " "
                                {one.current.then(|| view! { <Badge text="This one" tone=Tone::Accent /> })}
                            </th>
                            <td class="hide-narrow">{one.address.unwrap_or_else(|| "not known".into())}</td>
                            <td class="hide-narrow">
                                <Time iso=format::iso(one.created_at) text=reader.moment(one.created_at) />
                            </td>
                            <td>
                                <Time iso=format::iso(one.last_seen_at) text=reader.moment(one.last_seen_at) />
                            </td>
                            <td class="actions">
                                {(!one.current)
                                    .then(|| {
                                        view! {
                                            <form method="post" action="/account/sign-ins">
                                                <input type="hidden" name="sign_in" value=one.id.to_string() />
                                                <button class="btn btn--small" type="submit" aria-label=end>
                                                    "End"
                                                </button>
                                            </form>
                                        }
                                    })}
                            </td>
                        </tr>
                    }
                })
                .collect_view();
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![Crumb::link(name, profile), Crumb::here("Sessions")] />
                    <PageHead title="Sessions" sentence="Where you are signed in, and your password.">
                        {others
                            .then(|| {
                                view! {
                                    <form method="post" action="/account/sign-ins">
                                        <Button text="End all others" name="others" value="yes" />
                                    </form>
                                }
                            })}
                    </PageHead>
                    <div class="stack stack--loose">
                        <Card title="Signed in" id="signed-in" flush=true>
                            <Table
                                caption="Your sign-ins, the latest first"
                                columns=vec![
                                    Column::new("Browser"),
                                    Column::new("Address").hide(Hide::Narrow),
                                    Column::new("Since").hide(Hide::Narrow),
                                    Column::new("Last used"),
                                    Column::actions(),
                                ]
                            >
                                {rows}
                            </Table>
                        </Card>
                        <Card title="Password" id="password">
                            <form class="stack form" method="post" action="/account/password">
                                <Field
                                    label="Password now"
                                    name="current_password"
                                    kind="password"
                                    autocomplete="current-password"
                                    error=kept.error("current_password")
                                    max_length=Some(256)
                                />
                                <Field
                                    label="New password"
                                    name="password"
                                    kind="password"
                                    autocomplete="new-password"
                                    help="At least 12 characters. Every other sign-in of yours ends."
                                    error=kept.error("password")
                                    max_length=Some(256)
                                />
                                <div>
                                    <Button text="Change password" look=Look::Primary height=Height::Default />
                                </div>
                            </form>
                        </Card>
                    </div>
                </div>
            }
        })
        .await
}

/// A browser in a few words, from what it calls itself.
fn device(user_agent: Option<&str>, token: bool) -> String {
    let Some(agent) = user_agent.filter(|agent| !agent.is_empty()) else {
        return if token {
            "A program with a token".into()
        } else {
            "A browser without a name".into()
        };
    };
    // Order matters: most browsers name the ones that they want to be taken for.
    let known = |names: &[(&str, &'static str)]| {
        names
            .iter()
            .find(|(part, _)| agent.contains(part))
            .map(|(_, name)| *name)
    };
    let browser = known(&[
        ("Edg/", "Edge"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = known(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, _) => agent
            .split(['/', ' '])
            .next()
            .unwrap_or(agent)
            .chars()
            .take(40)
            .collect(),
    }
}

/// `POST /account/theme`: a cookie that holds one word, for this browser alone.
pub async fn theme(visit: Visit, headers: axum::http::HeaderMap, posted: Posted) -> Response {
    let theme = Theme::from_name(posted.get("theme"));
    let back = headers
        .get(header::REFERER)
        .and_then(|from| from.to_str().ok())
        .and_then(|from| from.strip_prefix(visit.portal.site.public_url.as_str()))
        .filter(|path| path.starts_with('/') && !path.starts_with("//"))
        .unwrap_or("/");
    let year = 365 * 24 * 60 * 60;
    let cookie = format!(
        "theme={}; Path=/; Max-Age={year}; HttpOnly; SameSite=Lax",
        theme.name()
    );
    ([(header::SET_COOKIE, cookie)], Redirect::to(back)).into_response()
}

/// `POST /account/password`
pub async fn change_password(visit: Visit, posted: Posted) -> Result<Response, AppError> {
    let (current, new) = (posted.get("current_password"), posted.get("password"));
    let result = visit
        .portal
        .store
        .change_password(&visit.viewer, current, new)
        .await;
    let done = "Your password is changed. Every other sign-in has ended.";
    answer(
        &visit.session,
        &posted,
        result,
        "/account",
        |()| "/account".into(),
        done,
    )
    .await
}

/// `POST /account/sign-ins`: ends one, or all others.
pub async fn revoke(visit: Visit, posted: Posted) -> Result<Response, AppError> {
    let one = if posted.ticked("others") {
        None
    } else {
        Some(
            posted
                .get("sign_in")
                .parse::<SessionId>()
                .map_err(|_| AppError::not_found())?,
        )
    };
    let result = visit.portal.store.revoke(&visit.viewer, one).await;
    let done = if one.is_some() {
        "That sign-in has ended."
    } else {
        "Every other sign-in has ended."
    };
    answer(
        &visit.session,
        &posted,
        result,
        "/account",
        |()| "/account".into(),
        done,
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::device;

    #[test]
    fn a_browser_is_told_by_what_it_is_not_by_what_it_says_it_is_like() {
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0";
        assert_eq!(device(Some(edge), false), "Edge on Windows");
        assert_eq!(device(Some("curl/8.5.0"), true), "curl");
        assert_eq!(device(None, true), "A program with a token");
    }
}

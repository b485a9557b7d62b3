//! The pages before sign-in.

use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use leptos::prelude::*;
use serde::Deserialize;
use store::account::{Origin, SignedIn};
use tower_sessions::Session;

use crate::{
    document::{PageMeta, document},
    edge::{AppError, Flash, Kept, Nonce, Posted, SIGN_IN, Visit, theme},
    portal::Portal,
    ui::{Banner, Button, Doorstep, Field, Glyph, Height, Icon, Look},
    words,
};

/// Where to go after signing in.
#[derive(Debug, Default, Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

/// A path of this portal, or the start page: never somebody else's address.
fn inside(next: &str) -> String {
    let ours =
        next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\n', '\r']);
    if ours {
        next.to_owned()
    } else {
        "/".to_owned()
    }
}

/// What a page before sign-in has: nobody, but a browser.
pub struct Guest {
    portal: Portal,
    session: Session,
    origin: Origin,
    nonce: Nonce,
    theme: crate::ui::Theme,
}

impl axum::extract::FromRequestParts<Portal> for Guest {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        portal: &Portal,
    ) -> Result<Self, Response> {
        let session = Session::from_request_parts(parts, portal)
            .await
            .map_err(IntoResponse::into_response)?;
        let user_agent = |headers: &HeaderMap| {
            headers
                .get(header::USER_AGENT)
                .and_then(|agent| agent.to_str().ok())
                .map(str::to_owned)
        };
        Ok(Self {
            portal: portal.clone(),
            session,
            origin: Origin {
                address: parts.extensions.get::<std::net::IpAddr>().copied(),
                user_agent: user_agent(&parts.headers),
            },
            nonce: parts.extensions.get().cloned().unwrap_or_default(),
            theme: theme(&parts.headers),
        })
    }
}

impl Guest {
    fn page<V: IntoView + Send + 'static>(
        self,
        title: &str,
        body: impl FnOnce() -> V + Send + 'static,
    ) -> Response {
        let page = PageMeta {
            title: title.to_owned(),
            lang: "en-GB".into(),
            theme: self.theme,
            nonce: self.nonce.0,
            version: self.portal.site.version.clone(),
            with_islands: false,
        };
        let organization = self.portal.site.organization.clone();
        Html(document(
            &page,
            || view! { <Doorstep organization=organization>{body()}</Doorstep> },
        ))
        .into_response()
    }

    /// Ties the browser to the sign-in under a new session id, so that an id
    /// from before cannot be used after (session fixation).
    async fn enter(&self, signed_in: &SignedIn) -> Result<(), AppError> {
        let broken = |error: tower_sessions::session::Error| {
            store::Error::Internal(format!("session: {error}"))
        };
        self.session.cycle_id().await.map_err(broken)?;
        self.session
            .insert(SIGN_IN, signed_in.session)
            .await
            .map_err(broken)?;
        Ok(())
    }
}

/// `GET /sign-in`
pub async fn sign_in(visit: Option<Visit>, guest: Guest, Query(next): Query<Next>) -> Response {
    let next = inside(&next.next);
    if visit.is_some() {
        return Redirect::to(&next).into_response();
    }
    let flash = Flash::take(&guest.session).await;
    let kept = flash.kept("/sign-in");
    let organization = guest.portal.site.organization.clone();
    let demo = guest.portal.site.demo;
    guest.page("Sign in", move || {
        view! {
            <form class="door__form" method="post" action="/sign-in" aria-labelledby="sign-in">
                <h1 id="sign-in">"Sign in"</h1>
                <p class="muted">{format!("Use the name and password of your {organization} account.")}</p>
                {(!kept.came_back())
                    .then(|| flash.message.clone())
                    .flatten()
                    .map(|message| view! { <Banner title=message tone=flash.tone() /> })}
                <input type="hidden" name="next" value=kept.value("next", &next) />
                <Field
                    label="User name"
                    name="login"
                    value=kept.value("login", "")
                    autocomplete="username"
                    max_length=Some(64)
                    large=true
                />
                <Field
                    label="Password"
                    name="password"
                    kind="password"
                    autocomplete="current-password"
                    error=kept.came_back().then(|| flash.message.clone()).flatten()
                    max_length=Some(256)
                    large=true
                />
                <Button text="Sign in" look=Look::Primary height=Height::LargeWide />
                {demo
                    .then(|| {
                        view! {
                            <p class="small muted">
                                "This is the demo company. The names and the password of its people stand where it was started."
                            </p>
                        }
                    })}
            </form>
            <Terms organization=organization.clone() />
        }
    })
}

/// What to know before one writes anything.
#[component]
fn Terms(organization: String) -> impl IntoView {
    let items = [
        (
            Glyph::Source,
            "Most of your profile comes from the ERP.".to_owned(),
            "Every value says where it came from and which rule chose it.",
        ),
        (
            Glyph::Eye,
            "Your superiors may review what is shared in chats.".to_owned(),
            "They must give a reason, and every look is recorded.",
        ),
        (
            Glyph::Trace,
            "You can see who looked.".to_owned(),
            "Open Who looked at any time for the list of people, reasons and dates.",
        ),
        (
            Glyph::File,
            format!("Content belongs to {organization}."),
            "It stays when an account ends.",
        ),
    ];
    view! {
        <section class="door__terms" aria-labelledby="know">
            <h2 id="know">"What to know before you write here"</h2>
            <ul class="timeline">
                {items
                    .into_iter()
                    .map(|(glyph, title, sentence)| {
                        view! {
                            <li>
                                <Icon glyph=glyph />
                                <p>
                                    <strong>{title}</strong>
                                    " "
                                    {sentence}
                                </p>
                            </li>
                        }
                    })
                    .collect_view()}
            </ul>
        </section>
    }
}

/// `POST /sign-in`
pub async fn do_sign_in(guest: Guest, posted: Posted) -> Result<Response, AppError> {
    let next = inside(posted.get("next"));
    let form = if next == "/" {
        "/sign-in".to_owned()
    } else {
        format!("/sign-in?next={}", words::percent(&next))
    };
    match guest
        .portal
        .store
        .sign_in(
            posted.get("login"),
            posted.get("password"),
            &guest.origin,
            false,
        )
        .await
    {
        Ok(signed_in) => {
            guest.enter(&signed_in).await?;
            Ok(Redirect::to(&next).into_response())
        }
        Err(error) => back(&guest.session, &posted, error, &form).await,
    }
}

/// Unlike [`crate::edge::answer`], the reader is nobody: an unknown login comes back to the form.
async fn back(
    session: &Session,
    posted: &Posted,
    error: store::Error,
    form: &str,
) -> Result<Response, AppError> {
    crate::edge::answer::<()>(session, posted, Err(error), form, |()| String::new(), "").await
}

/// `POST /sign-out`
pub async fn sign_out(
    State(portal): State<Portal>,
    visit: Option<Visit>,
    session: Session,
) -> Result<Response, AppError> {
    if let Some(visit) = visit {
        portal.store.sign_out(&visit.viewer).await?;
    }
    // The sign-in has ended; a browser session that cannot be removed now expires by itself.
    if let Err(error) = session.flush().await {
        tracing::warn!(%error, "a browser session was not removed");
    }
    Ok(Redirect::to("/sign-in").into_response())
}

/// `GET /invitations/{token}`
pub async fn invitation(guest: Guest, Path(token): Path<String>) -> Result<Response, AppError> {
    let invitation = guest.portal.store.invitation(&token).await?;
    let action = format!("/invitations/{token}");
    let kept: Kept = Flash::take(&guest.session).await.kept(&action);
    let organization = guest.portal.site.organization.clone();
    Ok(guest.page("Choose a password", move || {
        let error = kept.error("password");
        view! {
            <form class="door__form" method="post" action=action.clone() aria-labelledby="welcome">
                <h1 id="welcome">{format!("Welcome, {}", invitation.person.display_name)}</h1>
                <p class="muted">"You sign in as " <strong>{invitation.login.clone()}</strong> ". Choose a password."</p>
                // Lets the browser's password manager keep name and password together.
                <input type="hidden" name="username" autocomplete="username" value=invitation.login.clone() />
                <Field
                    label="New password"
                    name="password"
                    kind="password"
                    autocomplete="new-password"
                    help="At least 12 characters. A few words that do not belong together are best."
                    error=error
                    max_length=Some(256)
                    large=true
                />
                <Button text="Set password and sign in" look=Look::Primary height=Height::LargeWide />
            </form>
            <Terms organization=organization.clone() />
        }
    }))
}

/// `POST /invitations/{token}`
pub async fn accept(
    guest: Guest,
    Path(token): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    let form = format!("/invitations/{token}");
    match guest
        .portal
        .store
        .accept_invitation(&token, posted.get("password"), &guest.origin)
        .await
    {
        Ok(signed_in) => {
            guest.enter(&signed_in).await?;
            Flash::done("Your password is set.")
                .leave(&guest.session)
                .await;
            Ok(Redirect::to("/").into_response())
        }
        Err(error) => back(&guest.session, &posted, error, &form).await,
    }
}

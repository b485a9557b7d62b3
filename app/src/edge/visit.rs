//! A signed-in person's request for a page.

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, header, request::Parts},
    response::{Html, IntoResponse, Redirect, Response},
};
use domain::{Action, SessionId, Viewer};
use leptos::prelude::*;
use store::frame::Me;
use tower_sessions::Session;

use super::{AppError, Flash};
use crate::{
    document::{PageMeta, document},
    portal::Portal,
    ui::{
        Banner, Door, Face, Frame, Layout, Shell, Theme,
        format::{Locale, Reader, Zone},
    },
};

/// Where the browser's session names the sign-in.
pub const SIGN_IN: &str = "sign_in";

/// The nonce of this response's content security policy; the server makes one for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nonce(pub String);

/// Who asks for a page, and how they read it.
pub struct Visit {
    /// The state.
    pub portal: Portal,
    /// On whose behalf.
    pub viewer: Viewer,
    /// The viewer's own card and preferences.
    pub me: Me,
    /// How dates and numbers are written for them.
    pub reader: Reader,
    /// The theme that this browser was set to.
    pub theme: Theme,
    /// The browser's session.
    pub session: Session,
    /// What a form left.
    pub flash: Flash,
    nonce: Nonce,
}

impl FromRequestParts<Portal> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Response> {
        let session = Session::from_request_parts(parts, portal)
            .await
            .map_err(IntoResponse::into_response)?;
        let sign_in = session.get::<SessionId>(SIGN_IN).await.ok().flatten();
        let elsewhere = || {
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            if parts.method == axum::http::Method::GET && path != "/" {
                Redirect::to(&format!("/sign-in?next={}", crate::words::percent(path)))
                    .into_response()
            } else {
                Redirect::to("/sign-in").into_response()
            }
        };
        let Some(sign_in) = sign_in else {
            return Err(elsewhere());
        };
        let mut viewer = match portal.store.viewer(sign_in).await {
            Ok(viewer) => viewer,
            Err(store::Error::Unauthenticated) => return Err(elsewhere()),
            Err(error) => return Err(AppError(error).into_response()),
        };
        viewer.address = parts
            .extensions
            .get::<std::net::IpAddr>()
            .map(ToString::to_string);
        let me = portal
            .store
            .me(&viewer)
            .await
            .map_err(|error| AppError(error).into_response())?;
        let reader = Reader {
            locale: Locale::from_tag(&me.locale),
            zone: Zone::named(&me.timezone),
            ..Reader::new(portal.store.now())
        };
        // Only a page shows what a form left; its data and its forms leave it alone.
        let flash = if parts.method == axum::http::Method::GET {
            Flash::take(&session).await
        } else {
            Flash::default()
        };
        Ok(Self {
            portal: portal.clone(),
            viewer,
            me,
            reader,
            theme: theme(&parts.headers),
            session,
            flash,
            nonce: parts.extensions.get().cloned().unwrap_or_default(),
        })
    }
}

impl OptionalFromRequestParts<Portal> for Visit {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        portal: &Portal,
    ) -> Result<Option<Self>, Response> {
        Ok(
            <Self as FromRequestParts<Portal>>::from_request_parts(parts, portal)
                .await
                .ok(),
        )
    }
}

/// The theme of the cookie `theme`, which holds nothing else.
pub(crate) fn theme(headers: &HeaderMap) -> Theme {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix("theme="))
        .map_or(Theme::System, Theme::from_name)
}

impl Visit {
    /// A page in the portal's frame. `body` becomes the content of `main`.
    ///
    /// # Errors
    /// [`AppError`] when what the frame shows cannot be read.
    pub async fn page<V: IntoView + Send + 'static>(
        self,
        title: &str,
        door: impl Into<Option<Door>>,
        body: impl FnOnce() -> V + Send + 'static,
    ) -> Result<Response, AppError> {
        self.laid_out(title, door, Layout::Page, "", None, body)
            .await
    }

    /// A page with its own layout, further classes of `main`, and the words in the search field.
    ///
    /// # Errors
    /// As [`Visit::page`].
    pub async fn laid_out<V: IntoView + Send + 'static>(
        self,
        title: &str,
        door: impl Into<Option<Door>>,
        layout: Layout,
        main_class: &'static str,
        query: Option<String>,
        body: impl FnOnce() -> V + Send + 'static,
    ) -> Result<Response, AppError> {
        let frame = self.frame(door.into(), layout).await?;
        let page = PageMeta {
            title: title.to_owned(),
            // Dates follow the reader's language; the words are English for everybody.
            lang: "en-GB".into(),
            theme: self.theme,
            nonce: self.nonce.0,
            version: self.portal.site.version.clone(),
            with_islands: true,
        };
        let message = self
            .flash
            .message
            .clone()
            .map(|message| (self.flash.tone(), message));
        let html = document(&page, || {
            view! {
                <Shell frame=frame main_class=main_class query=query>
                    {message
                        .map(|(tone, message)| {
                            view! {
                                <div class="page page--flash">
                                    <Banner title=message tone=tone />
                                </div>
                            }
                        })}
                    {body()}
                </Shell>
            }
        });
        Ok(Html(html).into_response())
    }

    async fn frame(&self, current: Option<Door>, layout: Layout) -> Result<Frame, AppError> {
        let counts = self.portal.store.frame_counts(&self.viewer).await?;
        let mut doors = Vec::new();
        let chart = self.portal.store.chart();
        if self
            .viewer
            .id()
            .is_some_and(|id| !chart.chart.subtree(id).is_empty())
            || counts.open_reviews > 0
        {
            doors.push(Door::Reviews);
        }
        if counts.corrections > 0 || crate::correction::may_decide(&self.viewer, &self.portal) {
            doors.push(Door::Corrections);
        }
        let console = [
            (Action::SetPolicies, Door::Rules),
            (Action::ReadSources, Door::Sources),
            (Action::ReadSources, Door::Quality),
            (Action::SetPolicies, Door::Oversight),
            (Action::InvitePeople, Door::Roles),
            (Action::ReadAuditLog, Door::Audit),
        ];
        doors.extend(
            console
                .into_iter()
                .filter(|(action, _)| self.viewer.can(*action))
                .map(|(_, door)| door),
        );
        Ok(Frame {
            viewer: face(&self.me.person),
            profile: format!("/people/{}", self.me.person.id),
            organization: self.portal.site.organization.clone(),
            current,
            doors,
            unread: counts.unread,
            open_reviews: counts.open_reviews,
            stopped_runs: if self.viewer.can(Action::ReadSources) {
                counts.stopped_runs
            } else {
                0
            },
            corrections: counts.corrections,
            theme: self.theme,
            erp_read: counts
                .erp_read
                .map(|at| (crate::ui::format::iso(at), self.reader.short(at))),
            layout,
        })
    }
}

/// A person's face for avatars.
#[must_use]
pub fn face(person: &store::people::PersonCard) -> Face {
    Face::new(&person.id.0, &person.display_name)
        .with_photo(person.photo.as_ref().map(|hash| format!("/photos/{hash}")))
}

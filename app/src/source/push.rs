//! A source that sends its people by itself: where it sends them, and the token it does so with.

use axum::{extract::Path, response::Response};
use domain::{Action, SourceId, erp::Fault};
use leptos::prelude::*;
use store::{scim::Token, source::Source};

use super::{router::manages, words};
use crate::{
    edge::{AppError, Posted, Visit, answer, id},
    ui::{
        Banner, Button, Card, Crumb, Crumbs, Door, Fact, Facts, LinkButton, Look, PageHead, Time,
        Tone,
        format::{self, Reader, counted},
    },
};

/// Findings that are shown at once.
const FAULTS_SHOWN: usize = 20;

/// What the page of such a source says beside what every source's does.
pub(super) struct Pushed {
    url: String,
    token: Option<Token>,
    faults: Vec<Fault>,
    manages: bool,
}

/// Where sources send their people.
fn address(visit: &Visit) -> String {
    let url = visit.portal.site.public_url.trim_end_matches('/');
    format!("{url}/scim/v2")
}

impl Pushed {
    /// None for a source that is read.
    pub(super) async fn of(visit: &Visit, source: &Source) -> Result<Option<Self>, AppError> {
        if !words::kind(&source.kind).is_some_and(erp_adapters::Kind::is_pushed) {
            return Ok(None);
        }
        let store = &visit.portal.store;
        Ok(Some(Self {
            url: address(visit),
            token: store.scim_token(&visit.viewer, source.id).await?,
            faults: store.scim_faults(&visit.viewer, source.id).await?,
            manages: visit.viewer.can(Action::ManageSources),
        }))
    }

    /// Address and token, and the buttons that change the token.
    pub(super) fn card(&self, home: &str, reader: Reader) -> AnyView {
        let time = |at| view! { <Time iso=format::iso(at) text=reader.moment(at) /> };
        let (made, used) = match &self.token {
            None => ("There is none: nothing can be sent".into_any(), None),
            Some(token) => {
                let used = match token.last_used_at {
                    Some(at) => time(at).into_any(),
                    None => "Not yet".into_any(),
                };
                (time(token.created_at).into_any(), Some(used))
            }
        };
        let renew = if self.token.is_some() {
            "Make a new token"
        } else {
            "Make a token"
        };
        let (has_token, manages, url) = (self.token.is_some(), self.manages, self.url.clone());
        let buttons = manages.then(|| {
            view! {
                <div class="row">
                    <form method="post" action=format!("{home}/token")>
                        <Button text=renew />
                    </form>
                    {has_token
                        .then(|| {
                            view! {
                                <form method="post" action=format!("{home}/token/revoke")>
                                    <Button text="Take the token away" look=Look::Critical />
                                </form>
                            }
                        })}
                </div>
            }
        });
        view! {
            <Card title="Sending" id="sending">
                <div class="stack">
                    <Facts one=true>
                        <Fact label="Address">
                            <span class="mono">{url}</span>
                        </Fact>
                        <Fact label="Token made">{made}</Fact>
                        {used.map(|used| view! { <Fact label="Token last used">{used}</Fact> })}
                    </Facts>
                    {manages
                        .then(|| {
                            view! {
                                <p class="muted">
                                    "A new token takes the place of the one before at once. It is shown once."
                                </p>
                            }
                        })}
                    {buttons}
                </div>
            </Card>
        }
        .into_any()
    }

    /// What of the people sent could not be taken.
    pub(super) fn findings(&self) -> Option<AnyView> {
        let count = self.faults.len();
        if count == 0 {
            return None;
        }
        let items = self
            .faults
            .iter()
            .take(FAULTS_SHOWN)
            .map(|fault| {
                let (place, text) = words::fault(fault);
                view! {
                    <li class="card__body">
                        <strong>{place}</strong>
                        <p>{text}</p>
                    </li>
                }
            })
            .collect_view();
        let sentence = format!(
            "{}. The rest of these people was taken. What is wrong is mended in the system that sends it.",
            counted(
                count as u64,
                "value cannot be taken",
                "values cannot be taken"
            )
        );
        Some(
            view! {
                <section class="card" aria-labelledby="not-taken">
                    <header class="card__head">
                        <h2 id="not-taken">"What could not be taken"</h2>
                        <p>{sentence}</p>
                    </header>
                    <ul class="list plain">{items}</ul>
                </section>
            }
            .into_any(),
        )
    }
}

/// `POST /console/sources/{id}/token`: answers with the token itself, because it is kept nowhere,
/// not in the session either.
pub async fn renew(visit: Visit, Path(source): Path<String>) -> Result<Response, AppError> {
    manages(&visit)?;
    let source = SourceId(id(&source)?);
    show_token(visit, source).await
}

/// Makes a token and shows it.
pub(super) async fn show_token(visit: Visit, source: SourceId) -> Result<Response, AppError> {
    let store = &visit.portal.store;
    let token = store.renew_scim_token(&visit.viewer, source).await?;
    let name = store.source(&visit.viewer, source).await?.name;
    let url = address(&visit);
    visit
        .page("Token", Door::Sources, move || {
            let home = format!("/console/sources/{source}");
            let sentence = format!("For {name}, and for no other source.");
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![
                        Crumb::link("Sources", "/console/sources"),
                        Crumb::link(name, home.clone()),
                        Crumb::here("Token"),
                    ] />
                    <PageHead title="Token" sentence=sentence />
                    <div class="stack stack--loose">
                        <Banner title="This token is shown once" tone=Tone::Warning>
                            "Copy it now. Whoever has it can send people, and let people go."
                        </Banner>
                        <div class="field">
                            <label class="field__label" for="address">
                                "Address (SCIM base URL)"
                            </label>
                            <input class="input mono" id="address" readonly value=url />
                        </div>
                        <div class="field">
                            <label class="field__label" for="token">
                                "Bearer token"
                            </label>
                            <input class="input mono" id="token" readonly value=token />
                        </div>
                        <p>
                            <LinkButton text="Done" href=home />
                        </p>
                    </div>
                </div>
            }
        })
        .await
}

/// `POST /console/sources/{id}/token/revoke`
pub async fn revoke(
    visit: Visit,
    Path(source): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let source = SourceId(id(&source)?);
    let home = format!("/console/sources/{source}");
    let store = &visit.portal.store;
    let result = store.revoke_scim_token(&visit.viewer, source).await;
    let done = "The token is taken away. Nothing can be sent until there is another one.";
    answer(
        &visit.session,
        &posted,
        result,
        &home,
        |()| home.clone(),
        done,
    )
    .await
}

//! Connecting a source and changing one. What is wrong is told at its field in the answer itself
//! and not by way of the session: what was typed may hold a key.

use std::collections::BTreeMap;

use axum::{
    extract::{Path, Query},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use domain::SourceId;
use erp_adapters::{KINDS, Kind, Setting};
use leptos::prelude::*;
use serde::Deserialize;
use store::source::{NewSource, Source};

use super::{
    page, push,
    router::manages,
    words::{self, sentence},
};
use crate::{
    edge::{AppError, Flash, Posted, Problem, Visit, id},
    ui::{Banner, Button, Card, Crumb, Crumbs, Door, Field, Look, PageHead, Tab, Tabs, Tone},
};

/// What a form of a source shows: what was typed, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Typed {
    name: String,
    settings: BTreeMap<String, String>,
    leaver_percent: String,
    errors: BTreeMap<String, String>,
}

impl Typed {
    /// What is kept of a source.
    pub(super) fn of(source: &Source) -> Self {
        Self {
            name: source.name.clone(),
            settings: source.settings.clone(),
            leaver_percent: source.leaver_percent.to_string(),
            errors: BTreeMap::new(),
        }
    }

    fn posted(kind: &Kind, posted: &Posted) -> Self {
        let (settings, _) = settings(kind, posted);
        Self {
            name: posted.get("name").to_owned(),
            settings,
            leaver_percent: posted.get("leaver_percent").to_owned(),
            errors: BTreeMap::new(),
        }
    }

    /// Takes what an adapter says against the settings.
    fn refuse(&mut self, error: &erp_adapters::Error) {
        let (key, text) = match error {
            erp_adapters::Error::Setting { key, what } => (key.as_str(), sentence(what)),
            other => ("url", sentence(&other.to_string())),
        };
        self.errors.insert(key.to_owned(), text);
    }

    /// Takes what the store says against them; gives back what no field can say.
    fn reject(&mut self, error: store::Error) -> Result<(), AppError> {
        match &error {
            store::Error::Invalid(violations) => {
                for violation in violations {
                    let text = crate::words::violation(violation);
                    self.errors.insert(violation.field().to_owned(), text);
                }
                Ok(())
            }
            store::Error::Conflict("name_taken") => {
                let (_, text) = crate::words::problem(&Problem::from(&error));
                self.errors.insert("name".into(), text);
                Ok(())
            }
            _ => Err(error.into()),
        }
    }

    fn error(&self, field: &str) -> Option<String> {
        self.errors.get(field).cloned()
    }
}

/// The settings of a form, and those that are secret; empty ones are left out.
fn settings(kind: &Kind, posted: &Posted) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let filled = |setting: &&Setting| {
        let text = posted.filled(&field(setting))?;
        Some((setting.secret, setting.key.to_owned(), text.to_owned()))
    };
    let (secret, open): (Vec<_>, Vec<_>) = kind
        .settings
        .iter()
        .filter_map(|setting| filled(&setting))
        .partition(|(secret, ..)| *secret);
    let map = |list: Vec<(bool, String, String)>| {
        list.into_iter().map(|(_, key, text)| (key, text)).collect()
    };
    (map(open), map(secret))
}

/// The name of a setting's input. A password of the portal is never meant here, and the prefix
/// keeps a setting called `name` apart from the source's name.
fn field(setting: &Setting) -> String {
    format!("setting.{}", setting.key)
}

/// Which kind.
#[derive(Debug, Default, Deserialize)]
pub struct Chosen {
    #[serde(default)]
    kind: String,
}

/// `GET /console/sources/new`
pub async fn new(visit: Visit, Query(chosen): Query<Chosen>) -> Result<Response, AppError> {
    manages(&visit)?;
    let kind = words::kind(&chosen.kind).unwrap_or(&KINDS[0]);
    new_page(visit, kind, Typed::default()).await
}

async fn new_page(visit: Visit, kind: &'static Kind, typed: Typed) -> Result<Response, AppError> {
    let wrong = !typed.errors.is_empty();
    let response = visit
        .page("Connect a source", Door::Sources, move || {
            let tabs = KINDS
                .iter()
                .map(|one| {
                    let href = format!("/console/sources/new?kind={}", one.name);
                    Tab::new(one.label, href, one.name == kind.name)
                })
                .collect();
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![Crumb::link("Sources", "/console/sources"), Crumb::here("Connect")] />
                    <PageHead title="Connect a source" sentence="Nothing is read before you start a dry run or a run." />
                    {wrong.then(not_yet)}
                    <div class="page__notice">
                        <Tabs label="Kind of source" tabs=tabs />
                    </div>
                    <Card title=kind.label id="kind">
                        <form class="stack form" method="post" action="/console/sources/new">
                            <p class="muted">{kind.help}</p>
                            <input type="hidden" name="kind" value=kind.name />
                            {fields(kind, &typed, &[])}
                            <div>
                                <Button text="Connect source" look=Look::Primary />
                            </div>
                        </form>
                    </Card>
                </div>
            }
        })
        .await?;
    Ok(with_status(response, wrong))
}

pub(super) fn not_yet() -> impl IntoView {
    view! {
        <div class="page__notice">
            <Banner title="That does not fit yet" tone=Tone::Critical>
                "What is wrong stands below each field. A key has to be typed again."
            </Banner>
        </div>
    }
}

pub(super) fn with_status(mut response: Response, wrong: bool) -> Response {
    if wrong {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    response
}

/// Name and settings. `set` are the secrets that are there already.
fn fields(kind: &'static Kind, typed: &Typed, set: &[String]) -> AnyView {
    let settings = kind
        .settings
        .iter()
        .map(|setting| {
            let there = set.iter().any(|key| key == setting.key);
            let help = if there {
                format!(
                    "{} Set, and never shown. Left empty, it stays.",
                    setting.help
                )
            } else {
                setting.help.to_owned()
            };
            view! {
                <Field
                    label=setting.label
                    name=field(setting)
                    kind=if setting.secret { "password" } else { "text" }
                    value=typed.settings.get(setting.key).cloned().filter(|_| !setting.secret)
                    help=help
                    error=typed.error(setting.key)
                    optional=!setting.required || there
                    autocomplete=if setting.secret { "new-password" } else { "off" }
                    max_length=Some(8000)
                />
            }
        })
        .collect_view();
    view! {
        <Field
            label="Name"
            name="name"
            value=typed.name.clone()
            help="As people know it. It stands beside every value that comes from here."
            error=typed.error("name")
            autocomplete="off"
            max_length=Some(60)
        />
        {settings}
    }
    .into_any()
}

/// The form that changes a source.
pub(super) fn change_form(source: &Source, kind: &'static Kind, typed: &Typed) -> AnyView {
    let (label, help) = if kind.is_pushed() {
        (
            "Share of leavers in 24 hours, in percent",
            "0 to 100. If more people than that are said to have left, the others stay until somebody decides. One person may always leave.",
        )
    } else {
        (
            "Share of leavers that stops a run, in percent",
            "0 to 100. A run that would let more people go at once stops and asks. One person may always leave.",
        )
    };
    view! {
        <form class="stack form" method="post" action=format!("/console/sources/{}", source.id)>
            {fields(kind, typed, &source.secrets_set)}
            <Field
                label=label
                name="leaver_percent"
                kind="number"
                value=typed.leaver_percent.clone()
                help=help
                error=typed.error("leaver_percent")
            />
            <div>
                <Button text="Save settings" />
            </div>
        </form>
    }
    .into_any()
}

impl Typed {
    /// Whether something is wrong.
    pub(super) fn is_wrong(&self) -> bool {
        !self.errors.is_empty()
    }
}

/// `POST /console/sources/new`
pub async fn create(visit: Visit, posted: Posted) -> Result<Response, AppError> {
    manages(&visit)?;
    let kind = words::kind(posted.get("kind")).ok_or_else(AppError::not_found)?;
    let mut typed = Typed::posted(kind, &posted);
    let (settings, secrets) = settings(kind, &posted);
    let all = settings
        .clone()
        .into_iter()
        .chain(secrets.clone())
        .collect();
    if let Err(error) = erp_adapters::check(kind.name, &all, &visit.portal.site.guard) {
        typed.refuse(&error);
        return new_page(visit, kind, typed).await;
    }
    let new = NewSource {
        kind: kind.name.to_owned(),
        name: typed.name.clone(),
        settings,
        secrets,
    };
    match visit.portal.store.add_source(&visit.viewer, new).await {
        Ok(source) if kind.is_pushed() => push::show_token(visit, source.id).await,
        Ok(source) => {
            let done = format!(
                "“{}” is connected. Test the connection, then try a dry run.",
                source.name
            );
            Flash::done(done).leave(&visit.session).await;
            Ok(Redirect::to(&format!("/console/sources/{}", source.id)).into_response())
        }
        Err(error) => {
            typed.reject(error)?;
            new_page(visit, kind, typed).await
        }
    }
}

/// `POST /console/sources/{id}`
pub async fn change(
    visit: Visit,
    Path(source): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let source = SourceId(id(&source)?);
    let store = &visit.portal.store;
    let kept = store.source(&visit.viewer, source).await?;
    let kind = words::kind(&kept.kind).ok_or_else(AppError::not_found)?;
    let mut typed = Typed::posted(kind, &posted);
    let (settings, secrets) = settings(kind, &posted);
    let mut all = store.source_settings(&visit.viewer, source).await?;
    all.retain(|key, _| kept.secrets_set.contains(key));
    all.extend(settings.clone());
    all.extend(secrets.clone());
    if let Err(error) = erp_adapters::check(kind.name, &all, &visit.portal.site.guard) {
        typed.refuse(&error);
        return page::page(visit, source, Some(typed), None).await;
    }
    let percent = match posted.parse("leaver_percent", "a whole number from 0 to 100") {
        Ok(percent) => percent,
        Err(violation) => {
            typed.reject(violation.into())?;
            return page::page(visit, source, Some(typed), None).await;
        }
    };
    let new = NewSource {
        kind: kind.name.to_owned(),
        name: typed.name.clone(),
        settings,
        secrets,
    };
    let changed = store
        .change_source(&visit.viewer, source, new, percent)
        .await;
    match changed {
        Ok(_) => {
            Flash::done("The settings are saved.")
                .leave(&visit.session)
                .await;
            Ok(Redirect::to(&format!("/console/sources/{source}")).into_response())
        }
        Err(error) => {
            typed.reject(error)?;
            page::page(visit, source, Some(typed), None).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_adapter_refuses_stands_at_its_field() {
        let mut typed = Typed::default();
        let settings = BTreeMap::from([("folder".to_owned(), "data/erp".to_owned())]);
        let error = erp_adapters::open("csv", &settings, None, &erp_adapters::Guard::default())
            .expect_err("a path that is not whole");
        typed.refuse(&error);
        let told = typed.error("folder").expect("told at the folder");
        assert!(told.starts_with("Must be a whole path"), "{told}");
        assert!(told.ends_with('.'), "{told}");
    }

    #[test]
    fn a_conflict_of_names_stands_at_the_name_and_the_rest_is_no_word_of_the_form() {
        let mut typed = Typed::default();
        assert!(typed.reject(store::Error::Conflict("name_taken")).is_ok());
        assert!(typed.error("name").is_some());
        assert!(typed.reject(store::Error::NotFound).is_err());
    }
}

//! Asking for a correction of a locked value of one's own.

use axum::{
    extract::{Path, Query},
    response::Response,
};
use domain::{Attribute, EmployeeId, Value, attribute::Kind, correction::NOTE_MAX};
use leptos::prelude::*;
use serde::Deserialize;
use store::{
    correction::Prospect,
    people::{DirectoryQuery, PersonCard},
};

use super::{takes, words::approver};
use crate::{
    edge::{AppError, Kept, Posted, Visit, answer, id},
    ui::{
        Banner, Button, Card, Choice, Crumb, Crumbs, Door, Fact, Facts, Field, LinkButton, Look,
        PageHead, Search, Select, Textarea, Tone,
    },
    words,
};

/// Which value.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    attribute: String,
    /// Whom to look for, where the value is a person.
    #[serde(default)]
    q: String,
}

/// Most people who are found at once.
const FOUND: u32 = 20;

/// Where one asks for a correction of an attribute.
pub(crate) fn address(person: EmployeeId, attribute: Attribute) -> String {
    format!(
        "/people/{person}/corrections/new?attribute={}",
        attribute.name()
    )
}

/// `GET /people/{id}/corrections/new?attribute=`
pub async fn show(
    visit: Visit,
    Path(who): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, AppError> {
    let who = EmployeeId(id(&who)?);
    if visit.viewer.id() != Some(who) {
        return Err(AppError::not_found());
    }
    let attribute: Attribute = wanted
        .attribute
        .parse()
        .map_err(|_| AppError::not_found())?;
    let mut prospects = visit
        .portal
        .store
        .correction_prospects(&visit.viewer)
        .await?;
    let prospect = prospects
        .remove(&attribute)
        .ok_or_else(AppError::not_found)?;
    let takes = takes(&visit, prospect.source, attribute).await;
    let people = match attribute.spec().kind {
        Kind::Person => Some(People::of(&visit, who, &prospect, wanted.q).await?),
        _ => None,
    };
    let action = format!("/people/{who}/corrections/new");
    let kept = visit.flash.kept(&action);
    let name = visit.me.person.display_name.clone();
    let label = words::attribute(attribute);
    let title = format!("Correct {}", label.to_lowercase());
    let heading = title.clone();
    visit
        .page(&title, Door::People, move || {
            let home = format!("/people/{who}");
            let says = match &people {
                Some(people) => people.now.as_ref().map(|card| card.display_name.clone()),
                None => prospect.says.as_ref().map(ToString::to_string),
            };
            let lock = lock(prospect.rule);
            let deciders = deciders(&prospect);
            let then = then(&prospect, takes);
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![
                        Crumb::link("People", "/people"),
                        Crumb::link(name, home.clone()),
                        Crumb::here(heading.clone()),
                    ] />
                    <PageHead
                        title=heading
                        sentence=format!("Say what {} should say. Nothing changes before somebody has agreed.", prospect.source_name)
                    />
                    <div class="columns">
                        {body(&prospect, attribute, people.as_ref(), who, action, home, &kept)}
                        <aside class="stack stack--loose" aria-label="What will happen">
                            <Card title="What will happen" id="next">
                                <Facts one=true>
                                    <Fact label="Says now">{says.unwrap_or_else(|| "Nothing".into())}</Fact>
                                    <Fact label="Locked by">{lock}</Fact>
                                    <Fact label="Decides">{deciders}</Fact>
                                    <Fact label="Then">{then}</Fact>
                                </Facts>
                            </Card>
                        </aside>
                    </div>
                </div>
            }
        })
        .await
}

/// Those who could be meant by a value that is a person.
struct People {
    /// Who the source says it is.
    now: Option<PersonCard>,
    /// What was looked for.
    q: String,
    /// Who was found, and those above.
    choices: Vec<PersonCard>,
    /// Whether nobody was found who can be chosen.
    nobody: bool,
}

impl People {
    async fn of(
        visit: &Visit,
        who: EmployeeId,
        prospect: &Prospect,
        q: String,
    ) -> Result<Self, AppError> {
        let store = &visit.portal.store;
        let place = store.place(&visit.viewer, who).await?;
        let mut choices = Vec::new();
        if !q.trim().is_empty() {
            let query = DirectoryQuery {
                q: q.clone(),
                limit: Some(FOUND),
                ..DirectoryQuery::default()
            };
            choices = store.directory(&visit.viewer, &query).await?.page.items;
        }
        let found: Vec<_> = choices.iter().map(|card| card.id).collect();
        choices.extend(place.chain);
        let says = prospect.says.as_ref().and_then(Value::as_text);
        let says: Option<EmployeeId> = says.and_then(|id| id.parse().ok());
        let now = choices.iter().find(|card| Some(card.id) == says).cloned();
        let chart = store.chart();
        let mut seen = Vec::new();
        choices.retain(|card| {
            let new = !seen.contains(&card.id);
            seen.push(card.id);
            let above = card.id != who && !chart.chart.oversees(who, card.id);
            new && above && card.active && Some(card.id) != says
        });
        let nobody = !choices.iter().any(|card| found.contains(&card.id));
        Ok(Self {
            now,
            nobody: nobody && !q.trim().is_empty(),
            q,
            choices,
        })
    }

    /// The way to look for somebody, and then to choose them; both without JavaScript.
    fn search(&self, attribute: Attribute, action: String) -> AnyView {
        let q = self.q.clone();
        view! {
            <form class="row form" method="get" action=action>
                <input type="hidden" name="attribute" value=attribute.name() />
                <Search label="Look for somebody" value=q scope="who" />
                <Button text="Search" />
            </form>
            {self
                .nobody
                .then(|| view! { <p class="muted" role="status">"Nobody was found who could be above you."</p> })}
        }
        .into_any()
    }

    fn select(&self, label: &'static str, kept: &Kept) -> AnyView {
        let first = self.choices.first().map(|card| card.id.to_string());
        let choices = self
            .choices
            .iter()
            .map(|card| {
                let title = card.title.as_deref();
                let name = &card.display_name;
                let label = title.map_or_else(|| name.clone(), |title| format!("{name}, {title}"));
                Choice::new(card.id.to_string(), label)
            })
            .collect();
        view! {
            <Select
                label=label
                name="value"
                choices=choices
                selected=kept.value("value", &first.unwrap_or_default())
                error=kept.error("value")
                help="Those above you, and who was found. Look for anybody else first."
            />
        }
        .into_any()
    }
}

/// The form, or why there is none.
fn body(
    prospect: &Prospect,
    attribute: Attribute,
    people: Option<&People>,
    who: EmployeeId,
    action: String,
    home: String,
    kept: &Kept,
) -> AnyView {
    if let Some(open) = prospect.open {
        let link = view! { <LinkButton text="Open it" href=format!("/corrections/{open}") /> };
        return view! {
            <Banner title="You have asked for this already" tone=Tone::Info actions=link.into_any()>
                <p>"Another correction can be proposed when that one is over."</p>
            </Banner>
        }
        .into_any();
    }
    if prospect.approvers.is_empty() {
        let sentence = format!(
            "{} decides about corrections of this value, and there is nobody who is that for you. Speak to whoever looks after {}.",
            approver(prospect.approver),
            prospect.source_name,
        );
        return view! {
            <Banner title="Nobody could decide about it" tone=Tone::Warning>
                <p>{sentence}</p>
            </Banner>
        }
        .into_any();
    }
    let before = prospect
        .says
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let value = kept.value("value", &before);
    let label = words::attribute(attribute);
    let error = kept.error("value");
    let (kind, help) = match attribute.spec().kind {
        Kind::Date => ("date", None),
        Kind::Email => ("email", None),
        Kind::Phone => ("tel", Some("As dialled from abroad: +44 7700 900 418.")),
        Kind::Locale => ("text", Some("A language tag: en-GB.")),
        Kind::TimeZone => ("text", Some("A zone by name: Europe/London.")),
        Kind::List(..) => ("text", Some("With a comma between.")),
        _ => ("text", None),
    };
    let search = people.map(|people| people.search(attribute, action.clone()));
    let field = match attribute.spec().kind {
        Kind::Person => people.map_or_else(|| ().into_any(), |people| people.select(label, kept)),
        Kind::Prose(max) => view! {
            <Textarea label=label name="value" value=value error=error rows=5 max_length=u32::try_from(max).ok() />
        }
        .into_any(),
        spec => {
            let max = if let Kind::Line(max) = spec { max } else { 254 };
            view! {
                <Field
                    label=label
                    name="value"
                    kind=kind
                    value=value
                    help=help
                    error=error
                    max_length=u32::try_from(max).ok()
                />
            }
            .into_any()
        }
    };
    let form = view! {
        <form class="stack form" method="post" action=action>
            <input type="hidden" name="attribute" value=attribute.name() />
            {field}
            <Textarea
                label="Why"
                name="note"
                value=kept.value("note", "")
                error=kept.error("note")
                help=format!("{} reads it.", approver(prospect.approver))
                max_length=u32::try_from(NOTE_MAX).ok()
            />
            <div class="row">
                <Button text="Propose correction" look=Look::Primary />
                <LinkButton text="Leave as it was" href=home look=Look::Quiet />
            </div>
            <p class="small muted">
                <a href=format!("/people/{who}/edit")>"Edit what is yours to change"</a>
            </p>
        </form>
    };
    view! { <div class="stack">{search} {form}</div> }.into_any()
}

fn lock(rule: u32) -> String {
    if rule == 0 {
        "Only the ERP says this of a person".to_owned()
    } else {
        format!("Rule {rule}: the ERP wins")
    }
}

fn deciders(prospect: &Prospect) -> String {
    let names: Vec<_> = prospect
        .approvers
        .iter()
        .map(|card| card.display_name.as_str())
        .collect();
    match names.as_slice() {
        [] => "Nobody".to_owned(),
        names => format!("{}: {}", approver(prospect.approver), names.join(", ")),
    }
}

fn then(prospect: &Prospect, takes: bool) -> String {
    let source = &prospect.source_name;
    if takes {
        format!("It is written into {source}, and is on its way until the next read shows it.")
    } else {
        format!("{source} cannot be written to from here. Somebody mends it there by hand.")
    }
}

/// `POST /people/{id}/corrections/new`
pub async fn propose(
    visit: Visit,
    Path(who): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    let who = EmployeeId(id(&who)?);
    if visit.viewer.id() != Some(who) {
        return Err(AppError::not_found());
    }
    let attribute = posted.get("attribute").to_owned();
    let value = Value::from(posted.get("value"));
    let result = visit
        .portal
        .store
        .propose_correction(&visit.viewer, &attribute, value, posted.get("note"))
        .await;
    let form = format!(
        "/people/{who}/corrections/new?attribute={}",
        words::percent(&attribute)
    );
    answer(
        &visit.session,
        &posted,
        result,
        &form,
        |correction| format!("/corrections/{}", correction.id),
        "The correction is proposed.",
    )
    .await
}

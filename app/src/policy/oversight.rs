//! Oversight: whose words may be reviewed, by whom, for how long, and who learns of it when.

use axum::{extract::Query, response::Response};
use domain::{
    UnitId, Violation,
    policy::Kind,
    review::{Notice, Oversight, OversightRule, When},
};
use leptos::prelude::*;
use serde::Deserialize;
use store::org::UnitInfo;

use super::{PolicyTabs, admitted};
use crate::{
    edge::{AppError, Posted, Visit, answer},
    ui::{
        Badge, Button, Check, Choice, Column, Door, EmptyState, Field, Glyph, Hide, LinkButton,
        Look, PageHead, Select, Status, Table, Tone, format::counted,
    },
    words,
};

const PAGE: &str = "/console/oversight";
const WHOLE: &str = "all";

/// Which rule is in the form: a unit's id, `all`, or `new`.
#[derive(Debug, Default, Deserialize)]
pub struct Chosen {
    #[serde(default)]
    unit: String,
}

fn key(rule: &OversightRule) -> String {
    rule.unit
        .map_or_else(|| WHOLE.to_owned(), |unit| unit.to_string())
}

fn unit_name(unit: Option<UnitId>, units: &[UnitInfo]) -> String {
    unit.map_or_else(
        || "The whole organization".to_owned(),
        |id| {
            units
                .iter()
                .find(|unit| unit.id == id)
                .map_or_else(|| "A unit that is gone".into(), |unit| unit.name.clone())
        },
    )
}

/// When a reviewer has to have been above the writer, in words.
pub(super) const fn when(when: When) -> &'static str {
    match when {
        When::AtTheTime => "Superiors when it was written",
        When::Now => "Superiors now",
    }
}

/// Who may review under a rule, in words.
pub(super) fn who(rule: &OversightRule) -> String {
    let mut words = when(rule.when).to_owned();
    for (on, also) in [
        (rule.dotted, "dotted-line superiors"),
        (rule.delegates, "who stands in"),
    ] {
        if on {
            words += ", ";
            words += also;
        }
    }
    words
}

/// When the reviewed learns of it, in words.
pub(super) const fn notice(notice: Notice) -> &'static str {
    match notice {
        Notice::AtOnce => "When it is opened",
        Notice::AtTheEnd => "When it has ended",
    }
}

/// `GET /console/oversight`
pub async fn show(visit: Visit, Query(chosen): Query<Chosen>) -> Result<Response, AppError> {
    admitted(&visit)?;
    let store = &visit.portal.store;
    let oversight = store.policy::<Oversight>(&visit.viewer).await?;
    let units = store.units(&visit.viewer).await?;
    let kept = visit.flash.kept(PAGE);
    visit
        .page("Oversight", Door::Oversight, move || {
            let selected = oversight.rules.iter().find(|rule| key(rule) == chosen.unit).cloned();
            let editing = selected.is_some() || chosen.unit == "new" || kept.came_back();
            let rows = oversight
                .rules
                .iter()
                .map(|rule| {
                    let on = key(rule) == chosen.unit;
                    let (state, tone) = if rule.on { ("Reviews allowed", Tone::Positive) } else { ("Off", Tone::Neutral) };
                    view! {
                        <tr class=on.then_some("is-on")>
                            <th scope="row">
                                <a class="name" href=format!("{PAGE}?unit={}", key(rule)) aria-current=on.then_some("true")>
                                    {unit_name(rule.unit, &units)}
                                </a>
                                {rule.enforced.then(|| view! { " " <Badge text="Enforced" icon=Some(Glyph::Lock) /> })}
                            </th>
                            <td><Status text=state tone=tone /></td>
                            <td class="hide-narrow">{who(rule)}</td>
                            <td class="hide-medium">{notice(rule.notice)}</td>
                            <td class="num hide-narrow">{rule.max_days}</td>
                        </tr>
                    }
                })
                .collect_view();
            let list = if oversight.rules.is_empty() {
                view! {
                    <EmptyState
                        glyph=Glyph::Shield
                        title="Nothing may be reviewed"
                        sentence="Until a rule allows it for a unit or for everyone, no superior can open a review."
                    />
                }
                .into_any()
            } else {
                view! {
                    <Table
                        caption="Oversight by unit"
                        columns=vec![
                            Column::new("For"),
                            Column::new("State"),
                            Column::new("Who may review").hide(Hide::Narrow),
                            Column::new("The person learns").hide(Hide::Medium),
                            Column::numeric("Days").hide(Hide::Narrow),
                        ]
                    >
                        {rows}
                    </Table>
                }
                .into_any()
            };
            let values = FormValues::from(&oversight, selected.as_ref(), &kept);
            view! {
                <div class="page page--wide">
                    <PageHead
                        title="Oversight"
                        sentence="Whose words superiors may review, and what the person learns of it. Administering this gives no right to read anything."
                    >
                        <LinkButton text="Versions" href="/console/oversight/history" icon=Some(Glyph::Clock) />
                        <LinkButton text="New rule" href="/console/oversight?unit=new" look=Look::Primary icon=Some(Glyph::Plus) />
                    </PageHead>
                    <PolicyTabs current=Kind::Oversight />
                    <div class="editor">
                        <section class="editor__list" aria-labelledby="oversight-rules">
                            <h2 id="oversight-rules" class="visually-hidden">"Rules"</h2>
                            {list}
                            <div class="table-meta">
                                <span>{counted(oversight.rules.len() as u64, "rule", "rules")}</span>
                                <span>{format!("Version {}", oversight.version)}</span>
                            </div>
                        </section>
                        {editing.then(|| view! { <Form values=values units=units.clone() /> })}
                    </div>
                </div>
            }
        })
        .await
}

#[derive(Clone, Debug)]
struct FormValues {
    replaces: String,
    version: u32,
    unit: String,
    on: bool,
    when: String,
    context: bool,
    max_days: String,
    max_days_error: Option<String>,
    notice: String,
    enforced: bool,
    dotted: bool,
    delegates: bool,
    note: String,
    note_error: Option<String>,
}

impl FormValues {
    fn from(oversight: &Oversight, rule: Option<&OversightRule>, kept: &crate::edge::Kept) -> Self {
        let json =
            |text: Option<String>, otherwise: &str| text.unwrap_or_else(|| otherwise.to_owned());
        Self {
            replaces: kept.value("replaces", &rule.map(key).unwrap_or_default()),
            version: oversight.version,
            unit: kept.value("unit", &rule.map(key).unwrap_or_else(|| WHOLE.into())),
            on: kept.checked("on", rule.is_none_or(|rule| rule.on)),
            when: kept.value(
                "when",
                &json(
                    rule.map(|rule| {
                        if rule.when == When::Now {
                            "now".into()
                        } else {
                            "at_the_time".into()
                        }
                    }),
                    "at_the_time",
                ),
            ),
            context: kept.checked("context", rule.is_some_and(|rule| rule.context)),
            max_days: kept.value(
                "max_days",
                &rule.map_or(7, |rule| rule.max_days).to_string(),
            ),
            max_days_error: kept.error("max_days"),
            notice: kept.value(
                "notice",
                if rule.is_some_and(|rule| rule.notice == Notice::AtTheEnd) {
                    "at_the_end"
                } else {
                    "at_once"
                },
            ),
            enforced: kept.checked("enforced", rule.is_some_and(|rule| rule.enforced)),
            dotted: kept.checked("dotted", rule.is_some_and(|rule| rule.dotted)),
            delegates: kept.checked("delegates", rule.is_some_and(|rule| rule.delegates)),
            note: kept.value("note", ""),
            note_error: kept.error("note"),
        }
    }
}

#[component]
fn Form(values: FormValues, units: Vec<UnitInfo>) -> impl IntoView {
    let mut choices = vec![Choice::new(WHOLE, "The whole organization")];
    choices.extend(
        units
            .into_iter()
            .map(|unit| Choice::new(unit.id.to_string(), unit.name)),
    );
    let removable = !values.replaces.is_empty();
    let title = if removable { "Change rule" } else { "New rule" };
    view! {
        <form class="editor__form card" method="post" action=PAGE aria-labelledby="oversight-title">
            <header class="card__head">
                <h2 id="oversight-title">{title}</h2>
            </header>
            <input type="hidden" name="replaces" value=values.replaces />
            <input type="hidden" name="version" value=values.version.to_string() />
            <div class="card__body stack">
                <Select label="For" name="unit" choices=choices selected=values.unit />
                <Check label="Superiors may open reviews" name="on" checked=values.on help="Along the chain of command and never outside it, for a stated reason, and recorded." />
                <Select
                    label="Who counts as superior"
                    name="when"
                    choices=vec![
                        Choice::new("at_the_time", "Who was above when the words were written"),
                        Choice::new("now", "Who is above now"),
                    ]
                    selected=values.when
                />
                <Check
                    label="Dotted-line superiors may review too"
                    name="dotted"
                    checked=values.dotted
                    help="Whoever somebody also reports to in the source, of that person alone."
                />
                <Check
                    label="Who stands in may review too"
                    name="delegates"
                    checked=values.delegates
                    help="What the superior who is away may review, in that time, and never those above themselves. Each look names for whom."
                />
                <Check
                    label="Show the words of others around"
                    name="context"
                    checked=values.context
                    help="Otherwise words of people outside the superior’s line are redacted lines."
                />
                <Field label="Longest review, in days" name="max_days" kind="number" value=values.max_days error=values.max_days_error help="1 to 90." />
                <Select
                    label="The reviewed person learns of it"
                    name="notice"
                    choices=vec![
                        Choice::new("at_once", notice(Notice::AtOnce)),
                        Choice::new("at_the_end", notice(Notice::AtTheEnd)),
                    ]
                    selected=values.notice
                />
                <Check label="Units below cannot say otherwise" name="enforced" checked=values.enforced />
                <Field label="Why" name="note" value=values.note error=values.note_error help="Stands in the history of this policy." optional=true max_length=Some(300) />
            </div>
            <footer class="card__foot">
                {removable.then(|| view! { <Button text="Remove rule" look=Look::Critical name="act" value="remove" /> })}
                <span class="row push">
                    <Button text="Set rule" look=Look::Primary name="act" value="set" />
                </span>
            </footer>
        </form>
    }
}

fn parse(posted: &Posted) -> Result<OversightRule, Violation> {
    let unknown = |field: &str, value: &str, allowed: &str| Violation::Unknown {
        field: field.into(),
        value: value.chars().take(40).collect(),
        allowed: allowed.into(),
    };
    let unit = match posted.get("unit") {
        WHOLE => None,
        id => Some(
            id.parse()
                .map_err(|_| unknown("unit", id, "one of the list"))?,
        ),
    };
    Ok(OversightRule {
        unit,
        on: posted.ticked("on"),
        when: match posted.get("when") {
            "at_the_time" => When::AtTheTime,
            "now" => When::Now,
            other => return Err(unknown("when", other, "at_the_time, now")),
        },
        context: posted.ticked("context"),
        max_days: posted.parse("max_days", "a number of days, 1 to 90")?,
        notice: match posted.get("notice") {
            "at_once" => Notice::AtOnce,
            "at_the_end" => Notice::AtTheEnd,
            other => return Err(unknown("notice", other, "at_once, at_the_end")),
        },
        enforced: posted.ticked("enforced"),
        dotted: posted.ticked("dotted"),
        delegates: posted.ticked("delegates"),
    })
}

/// `POST /console/oversight`
pub async fn set(visit: Visit, posted: Posted) -> Result<Response, AppError> {
    admitted(&visit)?;
    let store = &visit.portal.store;
    let removed = posted.get("act") == "remove";
    let replaces = posted.get("replaces").to_owned();
    let mut rules = store.policy::<Oversight>(&visit.viewer).await?.rules;
    rules.retain(|rule| replaces.is_empty() || key(rule) != replaces);
    let rule = if removed {
        Ok(())
    } else {
        parse(&posted).map(|rule| rules.push(rule))
    };
    let result = match (posted.parse::<u32>("version", "a version"), rule) {
        (Ok(read), Ok(())) => {
            store
                .set_policy::<Oversight>(&visit.viewer, read, rules, posted.get("note"))
                .await
        }
        (Err(violation), _) | (_, Err(violation)) => Err(violation.into()),
    };
    let form = format!(
        "{PAGE}?unit={}",
        words::percent(if replaces.is_empty() {
            "new"
        } else {
            &replaces
        })
    );
    let done = if removed {
        "The rule is removed."
    } else {
        "The rule is set and holds from now on."
    };
    answer(
        &visit.session,
        &posted,
        result,
        &form,
        |_| PAGE.to_owned(),
        done,
    )
    .await
}

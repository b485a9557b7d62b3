//! How much a run may do before it stops and asks, and whether a source is paused.

use axum::{extract::Path, response::Response};
use domain::{SourceId, Violation, sync::Limits};
use leptos::prelude::*;
use store::source::Source;

use super::router::manages;
use crate::{
    edge::{AppError, Flash, Posted, Visit, answer, id},
    ui::{Banner, Button, Card, Check, Fact, Facts, Field, Height, Tone, format::Reader},
};

/// The fields of the form, as they are sent, with label and help; leavers stand among the settings.
const FIELDS: [(&str, &str, &str); 6] = [
    (
        "joiners",
        "Joiners, in percent",
        "People who come in or come back, beside those who are here.",
    ),
    (
        "movers",
        "Movers, in percent",
        "People who get another superior or unit.",
    ),
    (
        "changed",
        "Changed people, in percent",
        "People who get any other value.",
    ),
    (
        "attribute",
        "One value, in percent",
        "People who get another title, e-mail or other value of one kind, or lose it.",
    ),
    (
        "undecided",
        "Undecided records, in percent",
        "Records that could be more than one person.",
    ),
    (
        "faults",
        "Faults, in percent",
        "Records and values that cannot be read.",
    ),
];

fn percent(limits: &Limits, field: &str) -> u8 {
    match field {
        "joiners" => limits.joiners,
        "movers" => limits.movers,
        "changed" => limits.changed,
        "attribute" => limits.attribute,
        "undecided" => limits.undecided,
        _ => limits.faults,
    }
}

/// The card on a source's page: a form for who manages sources, figures for others.
pub(super) fn card(source: &Source, flash: &Flash, manages: bool) -> AnyView {
    let limits = source.limits;
    let action = format!("/console/sources/{}/limits", source.id);
    let kept = flash.kept(&action);
    if !manages {
        let facts = FIELDS
            .map(|(field, label, _)| {
                let share = format!("{} %", percent(&limits, field));
                view! { <Fact label=label.trim_end_matches(", in percent")>{share}</Fact> }
            })
            .into_iter()
            .collect::<Vec<_>>();
        return view! {
            <Card title="Limits of one run" id="run-limits">
                <Facts one=true>{facts}</Facts>
            </Card>
        }
        .into_any();
    }
    let fields = FIELDS
        .map(|(field, label, help)| {
            let before = percent(&limits, field).to_string();
            view! {
                <Field
                    label=label
                    name=field
                    kind="number"
                    value=kept.value(field, &before)
                    help=help
                    error=kept.error(field)
                    scope="limits"
                />
            }
        })
        .collect_view();
    let four_eyes = kept.checked("four_eyes", limits.four_eyes);
    view! {
        <Card title="Limits of one run" id="run-limits">
            <form class="stack form" method="post" action=action>
                <p class="muted">
                    "A run that would do more than this stops before it writes, and asks. 100 stops nothing, up to twenty people are always let through, and so is the first load."
                </p>
                {fields}
                <Check
                    label="Somebody else has to let it go on"
                    name="four_eyes"
                    checked=four_eyes
                    help="Whoever started a run cannot approve it."
                />
                <div>
                    <Button text="Save limits" />
                </div>
            </form>
        </Card>
    }
    .into_any()
}

/// Above everything while a source is paused.
pub(super) fn paused(source: &Source, manages: bool, reader: &Reader) -> Option<AnyView> {
    let since = source.paused_since?;
    let why = source.paused_why.clone().unwrap_or_default();
    let action = format!("/console/sources/{}/resume", source.id);
    let button = manages.then(|| {
        view! {
            <form method="post" action=action>
                <Button text="End the pause" height=Height::Small />
            </form>
        }
        .into_any()
    });
    let text = format!("Since {}. {why}", reader.moment_in_sentence(since));
    Some(
        view! {
            <div class="page__notice">
                <Banner
                    title="This source is paused: its next run asks before it writes"
                    tone=Tone::Warning
                    actions=button.unwrap_or_else(|| ().into_any())
                >
                    {text}
                </Banner>
            </div>
        }
        .into_any(),
    )
}

fn read(posted: &Posted, leavers: u8) -> Result<Limits, Vec<Violation>> {
    let mut wrong = Vec::new();
    let mut share = |field: &str| {
        posted
            .parse(field, "a whole number from 0 to 100")
            .unwrap_or_else(|violation| {
                wrong.push(violation);
                0
            })
    };
    let limits = Limits {
        leavers,
        joiners: share("joiners"),
        movers: share("movers"),
        changed: share("changed"),
        attribute: share("attribute"),
        undecided: share("undecided"),
        faults: share("faults"),
        four_eyes: posted.ticked("four_eyes"),
    };
    match wrong.is_empty() {
        true => Ok(limits),
        false => Err(wrong),
    }
}

/// `POST /console/sources/{id}/limits`
pub async fn set(
    visit: Visit,
    Path(source): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let source = SourceId(id(&source)?);
    let home = format!("/console/sources/{source}");
    let store = &visit.portal.store;
    let leavers = store.source(&visit.viewer, source).await?.leaver_percent;
    let result = match read(&posted, leavers) {
        Ok(limits) => store.set_limits(&visit.viewer, source, limits).await,
        Err(violations) => Err(store::Error::Invalid(violations)),
    };
    let back = format!("{home}#run-limits");
    answer(
        &visit.session,
        &posted,
        result,
        &back,
        |_| back.clone(),
        "The limits are saved.",
    )
    .await
}

/// `POST /console/sources/{id}/resume`
pub async fn resume(
    visit: Visit,
    Path(source): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let source = SourceId(id(&source)?);
    let home = format!("/console/sources/{source}");
    let result = visit
        .portal
        .store
        .resume_source(&visit.viewer, source)
        .await;
    answer(
        &visit.session,
        &posted,
        result,
        &home,
        |_| home.clone(),
        "The pause is over. The next run goes on by itself.",
    )
    .await
}

//! When a source is read by itself: cron text, echoed in words and times before it is set.

use axum::{extract::Path, response::Response};
use domain::{SourceId, Violation};
use leptos::prelude::*;
use store::{
    schedule::{FULL_EVERY_MAX, JITTER_MAX, Schedule, Scheduled},
    source::Source,
};

use super::router::manages;
use crate::{
    edge::{AppError, Posted, Visit, answer, id},
    ui::{
        Button, Card, Crumb, Crumbs, Door, Fact, Facts, Field, LinkButton, Look, PageHead, Time,
        format::{self, Reader, counted},
    },
    words,
};

/// How many of the next times are told.
const TIMES: usize = 5;

/// What stands in the form.
struct Typed {
    cron: String,
    zone: String,
    jitter_seconds: String,
    full_every_days: String,
    wrong: Vec<Violation>,
}

impl Typed {
    fn of(schedule: &Schedule) -> Self {
        Self {
            cron: schedule.cron.clone(),
            zone: schedule.zone.clone(),
            jitter_seconds: schedule.jitter_seconds.to_string(),
            full_every_days: schedule.full_every_days.to_string(),
            wrong: Vec::new(),
        }
    }

    fn posted(posted: &Posted) -> Self {
        let text = |field: &str| posted.get(field).trim().to_owned();
        Self {
            cron: text("cron"),
            zone: text("zone"),
            jitter_seconds: text("jitter_seconds"),
            full_every_days: text("full_every_days"),
            wrong: Vec::new(),
        }
    }

    fn error(&self, field: &str) -> Option<String> {
        let wrong = self.wrong.iter().find(|wrong| wrong.field() == field)?;
        Some(words::violation(wrong))
    }
}

/// What was posted as a schedule, or everything that is wrong with it.
fn read(posted: &Posted) -> Result<Schedule, Vec<Violation>> {
    let mut wrong = Vec::new();
    let mut number = |field, max: u16| {
        let expected = format!("a whole number of at most {max}");
        posted.parse(field, &expected).unwrap_or_else(|violation| {
            wrong.push(violation);
            // In range, so that it is told once.
            1
        })
    };
    let schedule = Schedule {
        jitter_seconds: number("jitter_seconds", JITTER_MAX),
        full_every_days: number("full_every_days", FULL_EVERY_MAX),
        cron: posted.get("cron").trim().to_owned(),
        zone: posted.get("zone").trim().to_owned(),
    };
    wrong.extend(schedule.check().err().into_iter().flatten());
    if wrong.is_empty() {
        Ok(schedule)
    } else {
        Err(wrong)
    }
}

/// `GET /console/sources/{id}/schedule`
pub async fn show(visit: Visit, Path(source): Path<String>) -> Result<Response, AppError> {
    manages(&visit)?;
    let source = SourceId(id(&source)?);
    let set = visit.portal.store.schedule(&visit.viewer, source).await?;
    let schedule = set.as_ref().map_or_else(
        || Schedule {
            cron: "0 6 * * 1-5".into(),
            zone: visit.reader.zone.name(),
            jitter_seconds: 0,
            full_every_days: 7,
        },
        |set| set.schedule.clone(),
    );
    page(visit, source, Typed::of(&schedule), Some(schedule)).await
}

/// `POST /console/sources/{id}/schedule`
pub async fn set(
    visit: Visit,
    Path(source): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let source = SourceId(id(&source)?);
    let home = format!("/console/sources/{source}");
    let store = &visit.portal.store;
    if posted.ticked("end") {
        let ended = store.set_schedule(&visit.viewer, source, None).await;
        let done = "The schedule has ended. The source is read when somebody starts a run.";
        return answer(
            &visit.session,
            &posted,
            ended,
            &home,
            |()| home.clone(),
            done,
        )
        .await;
    }
    match read(&posted) {
        Ok(schedule) if posted.ticked("look") => {
            page(visit, source, Typed::posted(&posted), Some(schedule)).await
        }
        Ok(schedule) => {
            let set = store
                .set_schedule(&visit.viewer, source, Some(schedule))
                .await;
            let form = format!("{home}/schedule");
            answer(
                &visit.session,
                &posted,
                set,
                &form,
                |()| home.clone(),
                "The schedule is set.",
            )
            .await
        }
        Err(wrong) => {
            let mut typed = Typed::posted(&posted);
            typed.wrong = wrong;
            let response = page(visit, source, typed, None).await?;
            Ok(super::form::with_status(response, true))
        }
    }
}

async fn page(
    visit: Visit,
    id: SourceId,
    typed: Typed,
    echo: Option<Schedule>,
) -> Result<Response, AppError> {
    let store = &visit.portal.store;
    let source = store.source(&visit.viewer, id).await?;
    let set = store.schedule(&visit.viewer, id).await?.is_some();
    let now = store.now();
    let reader = visit.reader;
    visit
        .page("Schedule", Door::Sources, move || {
            let home = format!("/console/sources/{id}");
            let action = format!("{home}/schedule");
            let ending = action.clone();
            let back = home.clone();
            let echo = echo.map(|schedule| told(&schedule, now, reader));
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![
                        Crumb::link("Sources", "/console/sources"),
                        Crumb::link(source.name.clone(), home.clone()),
                        Crumb::here("Schedule"),
                    ] />
                    <PageHead
                        title="Schedule"
                        sentence=format!("When {} is read by itself. A run that finds too much still stops and asks.", source.name)
                    />
                    <div class="columns">
                        <Card title="When" id="when">
                            <form class="stack form" method="post" action=action>
                                <Field
                                    label="Cron text"
                                    name="cron"
                                    value=typed.cron.clone()
                                    help="Minute, hour, day of month, month, day of week: 0 6 * * 1-5 is six in the morning from Monday to Friday."
                                    error=typed.error("cron")
                                    autocomplete="off"
                                    max_length=Some(100)
                                />
                                <Field
                                    label="Time zone"
                                    name="zone"
                                    value=typed.zone.clone()
                                    help="A zone by name, such as Europe/Oslo."
                                    error=typed.error("zone")
                                    autocomplete="off"
                                    max_length=Some(60)
                                />
                                <Field
                                    label="At most so many seconds late"
                                    name="jitter_seconds"
                                    kind="number"
                                    value=typed.jitter_seconds.clone()
                                    help="A run starts at random within them, so that not everything begins on the hour."
                                    error=typed.error("jitter_seconds")
                                />
                                <Field
                                    label="Days between full reads"
                                    name="full_every_days"
                                    kind="number"
                                    value=typed.full_every_days.clone()
                                    help="Other runs read what changed alone. A source forgets to date some changes; a full read finds them."
                                    error=typed.error("full_every_days")
                                />
                                <div class="row">
                                    <Button text="Show the times" name="look" value="yes" />
                                    <Button text="Set schedule" look=Look::Primary />
                                    <LinkButton text="Leave it" href=back look=Look::Quiet />
                                </div>
                            </form>
                        </Card>
                        <aside class="stack stack--loose" aria-label="What it means">
                            {echo}
                            {set.then(|| view! {
                                <form method="post" action=ending>
                                    <Button text="End the schedule" name="end" value="yes" />
                                </form>
                            })}
                        </aside>
                    </div>
                </div>
            }
        })
        .await
}

fn told(schedule: &Schedule, now: chrono::DateTime<chrono::Utc>, reader: Reader) -> AnyView {
    let times = schedule
        .next_times(now, TIMES)
        .into_iter()
        .map(|time| view! { <li><Time iso=format::iso(time) text=reader.moment(time) /></li> })
        .collect_view();
    let in_words = schedule.in_words();
    let zone = format!(
        "In the time of {}. The next times, in yours:",
        schedule.zone
    );
    view! {
        <Card title="In words" id="echo">
            <div class="stack">
                <p>{in_words}</p>
                <p class="small muted">{zone}</p>
                <ol class="stack stack--tight">{times}</ol>
            </div>
        </Card>
    }
    .into_any()
}

/// The card on a source's page.
pub(super) fn card(
    source: &Source,
    set: Option<&Scheduled>,
    manages: bool,
    reader: Reader,
) -> AnyView {
    let href = format!("/console/sources/{}/schedule", source.id);
    let (button, body) = match set {
        None => (
            "Set a schedule",
            view! { <p class="muted">"Read when somebody starts a run."</p> }.into_any(),
        ),
        Some(set) => {
            let failures = (set.failures > 0).then(|| {
                let failed = counted(u64::from(set.failures), "run in a row has failed", "runs in a row have failed");
                view! { <Fact label="Trouble">{format!("{failed}; the next comes sooner than planned where that may help.")}</Fact> }
            });
            let next = (format::iso(set.next_at), reader.moment(set.next_at));
            let (in_words, zone) = (set.schedule.in_words(), set.schedule.zone.clone());
            (
                "Change",
                view! {
                    <p>{in_words}</p>
                    <Facts one=true>
                        <Fact label="Next run">
                            <Time iso=next.0 text=next.1 />
                        </Fact>
                        <Fact label="Time zone">{zone}</Fact>
                        {failures}
                    </Facts>
                }
                .into_any(),
            )
        }
    };
    view! {
        <Card title="Schedule" id="schedule">
            <div class="stack">
                {body}
                {manages.then(|| view! { <div><LinkButton text=button href=href /></div> })}
            </div>
        </Card>
    }
    .into_any()
}

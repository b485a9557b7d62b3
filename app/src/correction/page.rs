//! The list of corrections, and one of them with what can be done about it.

use axum::{
    extract::{Path, Query},
    response::Response,
};
use domain::{
    CorrectionId,
    correction::{REASON_MAX, State, Step},
};
use leptos::prelude::*;
use serde::Deserialize;
use store::correction::{Correction, Of};

use super::{takes, told};
use crate::{
    edge::{AppError, Kept, Posted, Visit, answer, face, id},
    ui::{
        Badge, Button, Card, Column, Crumb, Crumbs, Diff, Door, EmptyState, Fact, Facts, Glyph,
        Hide, Look, PageHead, Pager, Person, Status, Tab, Table, Tabs, Textarea, Time, Timeline,
        TimelineItem,
        format::{self, Reader, counted},
    },
    words::{attribute, percent},
};

/// Which list, and from where on.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    of: String,
    #[serde(default)]
    cursor: String,
}

const fn label(of: Of) -> &'static str {
    match of {
        Of::ToDecide => "To decide",
        Of::UnderWay => "Under way",
        Of::Over => "Over",
        Of::Mine => "Yours",
    }
}

/// `GET /corrections`
pub async fn list(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, AppError> {
    let decides = visit
        .portal
        .store
        .may_decide_corrections(&visit.viewer)
        .await?;
    let otherwise = if decides { Of::ToDecide } else { Of::Mine };
    let of = Of::named(&wanted.of).unwrap_or(otherwise);
    let cursor = Some(wanted.cursor.as_str()).filter(|cursor| !cursor.is_empty());
    let page = visit
        .portal
        .store
        .corrections(&visit.viewer, of, cursor)
        .await?;
    let reader = visit.reader;
    visit
        .page("Corrections", Door::Corrections, move || {
            let tabs = Of::ALL
                .map(|one| Tab::new(label(one), format!("/corrections?of={}", one.name()), one == of));
            let after = page
                .next_cursor
                .as_ref()
                .map(|next| format!("/corrections?of={}&cursor={}", of.name(), percent(next)));
            let count = page.items.len() as u64;
            let rows = page
                .items
                .iter()
                .map(|one| row(one, &reader))
                .collect_view();
            view! {
                <div class="page">
                    <PageHead
                        title="Corrections"
                        sentence="Values that somebody says are wrong in a source, what was decided, and whether the source says so by now."
                    />
                    {decides.then(|| view! { <Tabs label="Corrections" tabs=tabs.into() /> })}
                    {if count == 0 {
                        empty(of)
                    } else {
                        view! {
                            <Table
                                caption=format!("Corrections, {}", label(of).to_lowercase())
                                columns=vec![
                                    Column::new("Value"),
                                    Column::new("Correction"),
                                    Column::new("Why").hide(Hide::Medium),
                                    Column::new("Proposed").hide(Hide::Narrow),
                                    Column::new("State"),
                                ]
                            >
                                {rows}
                            </Table>
                            <Pager
                                text=counted(count, "correction", "corrections")
                                after=after
                            />
                        }
                            .into_any()
                    }}
                </div>
            }
        })
        .await
}

fn empty(of: Of) -> AnyView {
    let (title, sentence) = match of {
        Of::ToDecide => (
            "Nothing to decide",
            "When somebody for whom you decide says that a value is wrong, it stands here.",
        ),
        Of::UnderWay => (
            "Nothing under way",
            "What was accepted stands here until the source says so.",
        ),
        Of::Over => (
            "Nothing is over yet",
            "What was confirmed, declined, taken back or overtaken stands here.",
        ),
        Of::Mine => (
            "You proposed no correction",
            "Where a rule locks a value of your profile, you can say there what it should be.",
        ),
    };
    view! { <EmptyState glyph=Glyph::Pencil title=title sentence=sentence /> }.into_any()
}

fn row(one: &Correction, reader: &Reader) -> AnyView {
    let told = told(one, reader);
    view! {
        <tr>
            <th scope="row">
                <a class="name" href=format!("/corrections/{}", one.id)>
                    {format!("{} of {}", attribute(one.attribute), one.person.display_name)}
                </a>
            </th>
            <td>
                <Diff from=one.was.as_ref().map(|was| one.read(was)) to=one.read(&one.value) />
            </td>
            <td class="hide-medium">{one.note.clone()}</td>
            <td class="hide-narrow">
                <Time iso=format::iso(one.proposed_at) text=reader.moment(one.proposed_at) />
            </td>
            <td>
                <Status text=told.chip tone=told.tone />
            </td>
        </tr>
    }
    .into_any()
}

/// `GET /corrections/{id}`
pub async fn show(visit: Visit, Path(which): Path<String>) -> Result<Response, AppError> {
    let which = CorrectionId(id(&which)?);
    let one = visit.portal.store.correction(&visit.viewer, which).await?;
    let takes = takes(&visit, one.source, one.attribute).await;
    let mine = visit.viewer.id() == Some(one.person.id);
    let kept = visit.flash.kept(&format!("/corrections/{which}/decline"));
    let reader = visit.reader;
    let title = format!(
        "{} of {}",
        attribute(one.attribute),
        one.person.display_name
    );
    let heading = title.clone();
    visit
        .page(&title, Door::Corrections, move || {
            let told = told(&one, &reader);
            let badge = view! { <Badge text=told.chip tone=told.tone /> }.into_any();
            let decision = if one.decidable { decision(&one, takes, &kept) } else { None };
            let withdrawal = if mine { withdrawal(&one) } else { None };
            let past = past(&one, &reader);
            let person = face(&one.person);
            let (home, sub) = (format!("/people/{}", one.person.id), one.person.title.clone());
            let (from, to) = (one.was.as_ref().map(|was| one.read(was)), one.read(&one.value));
            let (source, record, note) = (one.source_name, one.external_id, one.note);
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![Crumb::link("Corrections", "/corrections"), Crumb::here(heading.clone())] />
                    <PageHead title=heading sentence=told.sentence badge=badge />
                    <div class="columns">
                        <div class="stack">
                            <Card title="The value" id="value">
                                <Facts one=true>
                                    <Fact label=format!("In {source}")>
                                        <Diff from=from to=to />
                                    </Fact>
                                    <Fact label="Why">{note}</Fact>
                                    <Fact label="Record">
                                        <span class="mono">{record}</span>
                                        {format!(" in {source}")}
                                    </Fact>
                                </Facts>
                            </Card>
                            {decision}
                            {withdrawal}
                        </div>
                        <aside class="stack stack--loose" aria-label="Who, and what happened">
                            <section aria-labelledby="who">
                                <h2 class="aside-title" id="who">"Whose value"</h2>
                                <Person face=person href=home sub=sub />
                            </section>
                            <section aria-labelledby="past">
                                <h2 class="aside-title" id="past">"What happened"</h2>
                                {past}
                            </section>
                        </aside>
                    </div>
                </div>
            }
        })
        .await
}

/// What an approver can do about it, if anything.
fn decision(one: &Correction, takes: bool, kept: &Kept) -> Option<AnyView> {
    let may = |step| one.state.after(step).is_some();
    if !may(Step::Decline) {
        return None;
    }
    let address = |act: &str| format!("/corrections/{}/{act}", one.id);
    let source = &one.source_name;
    let outcome = if takes {
        format!("It is written into {source} at once.")
    } else {
        format!(
            "{source} cannot be written to from here: whoever looks after it has to mend record {} there.",
            one.external_id
        )
    };
    let yes = match one.state {
        State::Proposed => Some((address("accept"), "Accept correction", outcome)),
        State::Failed => Some((address("retry"), "Try again", outcome)),
        _ => None,
    };
    let yes = yes.map(|(action, text, outcome)| {
        view! {
            <form class="stack stack--tight" method="post" action=action>
                <p>{outcome}</p>
                <div><Button text=text look=Look::Primary /></div>
            </form>
            <hr />
        }
    });
    let decline = address("decline");
    let (reason, error) = (kept.value("reason", ""), kept.error("reason"));
    let help = format!("{} reads it.", one.person.display_name);
    Some(
        view! {
            <Card title="Decide" id="decide">
                <div class="stack">
                    {yes}
                    <form class="stack form" method="post" action=decline>
                        <Textarea
                            label="Why not"
                            name="reason"
                            value=reason
                            error=error
                            help=help
                            max_length=u32::try_from(REASON_MAX).ok()
                        />
                        <div><Button text="Decline correction" look=Look::Critical /></div>
                    </form>
                </div>
            </Card>
        }
        .into_any(),
    )
}

fn withdrawal(one: &Correction) -> Option<AnyView> {
    one.state.after(Step::Withdraw)?;
    Some(
        view! {
            <form method="post" action=format!("/corrections/{}/withdraw", one.id)>
                <Button text="Take it back" look=Look::Quiet icon=Some(Glyph::Undo) />
            </form>
        }
        .into_any(),
    )
}

fn past(one: &Correction, reader: &Reader) -> AnyView {
    let mut events = vec![(
        Glyph::Pencil,
        one.proposed_at,
        format!("{} proposed it", one.person.display_name),
    )];
    if let (Some(by), Some(at)) = (&one.decided_by, one.decided_at) {
        let (glyph, did) = if one.state == State::Declined {
            (Glyph::Close, "declined it")
        } else {
            (Glyph::Check, "accepted it")
        };
        events.push((glyph, at, format!("{} {did}", by.display_name)));
    }
    if let Some(at) = one.written_at {
        events.push((Glyph::Forward, at, format!("{} took it", one.source_name)));
    }
    let end = match one.state {
        State::Confirmed => Some((
            Glyph::Done,
            format!("{} was read and says so", one.source_name),
        )),
        State::Failed => Some((Glyph::Stop, "It failed".to_owned())),
        State::ByHand => Some((
            Glyph::Source,
            format!("Waits to be mended in {}", one.source_name),
        )),
        State::Withdrawn => Some((
            Glyph::Undo,
            format!("{} took it back", one.person.display_name),
        )),
        State::Superseded => Some((Glyph::Info, "The source went another way".to_owned())),
        State::Proposed | State::Accepted | State::Written | State::Declined => None,
    };
    events.extend(end.map(|(glyph, what)| (glyph, one.moved_at, what)));
    let items = events
        .into_iter()
        .rev()
        .map(|(glyph, at, what)| {
            view! {
                <TimelineItem glyph=glyph when=reader.moment(at) iso=format::iso(at)>
                    {what}
                </TimelineItem>
            }
        })
        .collect_view();
    view! { <Timeline>{items}</Timeline> }.into_any()
}

/// Answers a form of the page with the same page.
async fn answered(
    visit: Visit,
    posted: Posted,
    which: CorrectionId,
    result: Result<Correction, store::Error>,
    done: &str,
) -> Result<Response, AppError> {
    let page = format!("/corrections/{which}");
    answer(
        &visit.session,
        &posted,
        result,
        &page,
        |_| page.clone(),
        done,
    )
    .await
}

/// `POST /corrections/{id}/accept`
pub async fn accept(
    visit: Visit,
    Path(which): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    let which = CorrectionId(id(&which)?);
    let store = &visit.portal.store;
    let result = store.accept_correction(&visit.viewer, which).await;
    answered(visit, posted, which, result, "The correction is accepted.").await
}

/// `POST /corrections/{id}/decline`
pub async fn decline(
    visit: Visit,
    Path(which): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    let which = CorrectionId(id(&which)?);
    let store = &visit.portal.store;
    let result = store
        .decline_correction(&visit.viewer, which, posted.get("reason"))
        .await;
    answered(visit, posted, which, result, "The correction is declined.").await
}

/// `POST /corrections/{id}/retry`
pub async fn retry(
    visit: Visit,
    Path(which): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    let which = CorrectionId(id(&which)?);
    let store = &visit.portal.store;
    let result = store.retry_correction(&visit.viewer, which).await;
    answered(visit, posted, which, result, "It is on its way again.").await
}

/// `POST /corrections/{id}/withdraw`
pub async fn withdraw(
    visit: Visit,
    Path(which): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    let which = CorrectionId(id(&which)?);
    let store = &visit.portal.store;
    let result = store.withdraw_correction(&visit.viewer, which).await;
    answered(
        visit,
        posted,
        which,
        result,
        "The correction is taken back.",
    )
    .await
}

//! Corrections: who decides what becomes of a value that somebody says is wrong.

use std::collections::BTreeMap;

use axum::response::Response;
use domain::{
    Attribute, Audience, Violation,
    correction::{Approver, Approvers, Corrections, can_be_said},
    policy::Kind,
};
use leptos::prelude::*;

use super::{PolicyTabs, admitted};
use crate::{
    edge::{AppError, Kept, Posted, Visit, answer},
    ui::{
        Button, Card, Check, Choice, Column, Door, Field, Glyph, LinkButton, Look, PageHead,
        Select, Table, ToolbarSelect,
    },
    words,
};

const PAGE: &str = "/console/corrections";
/// In the form: as for everything else.
const AS_OTHERS: &str = "as_others";

/// Who decides, in words.
pub(super) const fn approver(approver: Approver) -> &'static str {
    match approver {
        Approver::HrOfUnit => "HR of the unit",
        Approver::Manager => "The direct superior",
        Approver::Chain => "Anyone above",
        Approver::Nobody => "Nobody, it is not corrected here",
    }
}

fn choices(of: &[Approver]) -> Vec<Choice> {
    of.iter()
        .map(|one| Choice::new(one.name(), approver(*one)))
        .collect()
}

/// `GET /console/corrections`
pub async fn show(visit: Visit) -> Result<Response, AppError> {
    admitted(&visit)?;
    let policy = visit
        .portal
        .store
        .policy::<Corrections>(&visit.viewer)
        .await?;
    let kept = visit.flash.kept(PAGE);
    visit
        .page("Corrections", Door::Rules, move || {
            let rows = Attribute::ALL
                .iter()
                .copied()
                .filter(|attribute| can_be_said(*attribute))
                .map(|attribute| row(attribute, &policy, &kept))
                .collect_view();
            let otherwise = kept.value("otherwise", policy.approvers.otherwise.name());
            let set = view! {
                <span class="row push">
                    <Button text="Set policy" look=Look::Primary />
                </span>
            };
            view! {
                <div class="page">
                    <PageHead
                        title="Corrections"
                        sentence="Who decides when somebody says that a locked value is wrong. What is accepted is written back into the source. Nobody decides about their own."
                    >
                        <LinkButton text="Versions" href="/console/corrections/history" icon=Some(Glyph::Clock) />
                    </PageHead>
                    <PolicyTabs current=Kind::Corrections />
                    <form class="stack" method="post" action=PAGE>
                        <input type="hidden" name="version" value=policy.version.to_string() />
                        <Card title=format!("Version {}", policy.version) id="approvers" foot=set.into_any()>
                            <div class="stack form">
                                <Select
                                    label="Who decides"
                                    name="otherwise"
                                    choices=choices(&Approver::ALL)
                                    selected=otherwise
                                    error=kept.error("otherwise")
                                    help="Holds for every attribute for which nothing else is set below. HR of the unit are those with the role HR whose own unit is the nearest at or above the person’s; where there is none, everybody with that role."
                                />
                                <Check
                                    label="Superiors by dotted line decide as well"
                                    name="dotted"
                                    checked=kept.checked("dotted", policy.approvers.dotted)
                                    help="Where a superior decides. Who stands in for somebody decides in that time too."
                                />
                                <Field
                                    label="Why"
                                    name="note"
                                    value=kept.value("note", "")
                                    error=kept.error("note")
                                    help="Stands in the history of this policy."
                                    optional=true
                                    max_length=Some(300)
                                />
                            </div>
                        </Card>
                        <Table
                            caption="Who decides, by attribute"
                            columns=vec![Column::new("Attribute"), Column::new("Who decides")]
                        >
                            {rows}
                        </Table>
                    </form>
                </div>
            }
        })
        .await
}

fn row(attribute: Attribute, policy: &Corrections, kept: &Kept) -> AnyView {
    let name = attribute.name();
    let label = words::attribute(attribute);
    let private = attribute.spec().audience == Audience::HrAndSelf;
    let set = policy.approvers.attributes.get(&attribute);
    let selected = kept.value(name, set.map_or(AS_OTHERS, |approver| approver.name()));
    let mut offered = vec![Choice::new(AS_OTHERS, "As above")];
    offered.extend(choices(if private {
        &[Approver::HrOfUnit, Approver::Nobody]
    } else {
        &Approver::ALL
    }));
    let error = kept
        .error(name)
        .map(|error| view! { <p class="field__error">{error}</p> });
    let note = private.then(
        || view! { <span class="beside-block">"Superiors do not see it, so HR decides."</span> },
    );
    view! {
        <tr>
            <th scope="row">{label}{note}</th>
            <td>
                <ToolbarSelect
                    label=format!("Who decides about {}", label.to_lowercase())
                    name=name
                    choices=offered
                    selected=selected
                />
                {error}
            </td>
        </tr>
    }
    .into_any()
}

fn named(field: &str, name: &str) -> Result<Approver, Violation> {
    Approver::named(name).ok_or_else(|| Violation::Unknown {
        field: field.to_owned(),
        value: name.chars().take(40).collect(),
        allowed: Approver::ALL.map(Approver::name).join(", "),
    })
}

fn parse(posted: &Posted) -> Result<(u32, Approvers), Violation> {
    let read = posted.parse("version", "a version")?;
    let otherwise = named("otherwise", posted.get("otherwise"))?;
    let mut attributes = BTreeMap::new();
    for attribute in Attribute::ALL.iter().copied() {
        match posted.get(attribute.name()) {
            "" | AS_OTHERS => {}
            name => {
                attributes.insert(attribute, named(attribute.name(), name)?);
            }
        }
    }
    let approvers = Approvers {
        otherwise,
        dotted: posted.ticked("dotted"),
        attributes,
    };
    Ok((read, approvers))
}

/// `POST /console/corrections`
pub async fn set(visit: Visit, posted: Posted) -> Result<Response, AppError> {
    admitted(&visit)?;
    let store = &visit.portal.store;
    let result = match parse(&posted) {
        Ok((read, approvers)) => {
            let note = posted.get("note");
            store
                .set_policy::<Corrections>(&visit.viewer, read, approvers, note)
                .await
        }
        Err(violation) => Err(violation.into()),
    };
    answer(
        &visit.session,
        &posted,
        result,
        PAGE,
        |_| PAGE.to_owned(),
        "The policy is set and holds from now on.",
    )
    .await
}

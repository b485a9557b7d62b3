//! Editing one's own profile: locked fields say why, own values are kept.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    extract::{Multipart, Path},
    response::Response,
};
use domain::{Attribute, EmployeeId, Relation, Value, Violation, attribute::Kind};
use leptos::prelude::*;
use store::{
    correction::{Correction, Prospect},
    profile::ProfileValue,
};

use crate::{
    correction,
    edge::{AppError, Kept, Posted, Visit, answer, face, id},
    ui::{
        Avatar, Button, Card, Crumb, Crumbs, Door, Field, LinkButton, LockedField, Look, PageHead,
        Textarea, format::Reader,
    },
    words,
};

use super::profile::written;

/// `GET /people/{id}/edit`
pub async fn show(visit: Visit, Path(who): Path<String>) -> Result<Response, AppError> {
    let who = EmployeeId(id(&who)?);
    let profile = visit.portal.store.profile(&visit.viewer, who).await?;
    if profile.relation != Relation::Myself {
        return Err(AppError::not_found());
    }
    let store = &visit.portal.store;
    let prospects = store.correction_prospects(&visit.viewer).await?;
    let open = store.open_corrections_of(&visit.viewer, who).await?;
    let reader = visit.reader;
    let action = format!("/people/{who}/edit");
    let photo = format!("/people/{who}/photo");
    let kept = visit.flash.kept(&action);
    let photo_kept = visit.flash.kept(&photo);
    visit
        .page("Edit profile", Door::People, move || {
            let person = profile.person.clone();
            let home = format!("/people/{}", person.id);
            // What no person can set of themselves is no field, but can be asked to be corrected.
            let correctable: BTreeSet<_> = prospects.keys().copied().collect();
            let (fields, locked): (Vec<_>, Vec<_>) = profile
                .values
                .iter()
                .filter(|value| value.attribute != Attribute::Photos)
                .filter(|value| value.attribute.spec().editable || correctable.contains(&value.attribute))
                .partition(|value| value.resolved.editable);
            // A photo is a file that the source keeps: there is no value to propose.
            let photo_lock = profile
                .values
                .iter()
                .find(|value| value.attribute == Attribute::Photos && !value.resolved.editable)
                .map(|value| {
                    let source = value.erp.as_ref().map_or("the ERP", |erp| erp.source_name.as_str());
                    format!("A rule has {source} decide about the photo. One that is wrong cannot be corrected from here: whoever looks after {source} changes it there.")
                });
            let has_locked = !locked.is_empty();
            let locked = locked
                .iter()
                .map(|value| {
                    let attribute = value.attribute;
                    let shown = value.resolved.value.as_ref().map_or_else(String::new, |shown| {
                        match attribute.spec().kind {
                            Kind::Person => written(attribute, shown, &profile, &reader),
                            _ => shown.to_string(),
                        }
                    });
                    locked_field(value, shown, person.id, prospects.get(&attribute), open.get(&attribute), &reader)
                })
                .collect_view();
            view! {
                <div class="page">
                    <Crumbs crumbs=vec![
                        Crumb::link("People", "/people"),
                        Crumb::link(person.display_name.clone(), home.clone()),
                        Crumb::here("Edit"),
                    ] />
                    <PageHead
                        title="Edit profile"
                        sentence="What you write is yours and is kept, also where a rule shows the ERP’s value. Empty a field to take your own value back."
                    />
                    <div class="columns">
                        <form class="stack form" method="post" action=action>
                            {fields.iter().map(|value| field(value, &kept)).collect_view()}
                            <div class="row">
                                <Button text="Save profile" look=Look::Primary />
                                <LinkButton text="Leave as it was" href=home look=Look::Quiet />
                            </div>
                        </form>
                        <aside class="stack stack--loose" aria-label="Photo and locked fields">
                            <Card title="Photo" id="photo">
                                <form class="stack" method="post" action=photo enctype="multipart/form-data">
                                    <Avatar face=face(&person) size=88 />
                                    <Field
                                        label="Picture"
                                        name="photo"
                                        kind="file"
                                        help="JPEG, PNG, GIF or WebP of at most 5 MB. It is cut to a square."
                                        error=photo_kept.error("photos").or_else(|| photo_kept.error("photo"))
                                        scope="photo"
                                    />
                                    <div><Button text="Use this picture" /></div>
                                </form>
                                {photo_lock.map(|text| view! { <p class="small muted">{text}</p> })}
                            </Card>
                            {has_locked
                                .then(|| {
                                    view! {
                                        <Card title="Locked by the organization" id="locked">
                                            <div class="stack">
                                                {locked}
                                                <p class="small muted">
                                                    "Whether you work here is no value to correct: it follows from your record there. Speak to HR."
                                                </p>
                                            </div>
                                        </Card>
                                    }
                                })}
                        </aside>
                    </div>
                </div>
            }
        })
        .await
}

fn field(value: &ProfileValue, kept: &Kept) -> AnyView {
    let name = value.attribute.name();
    let own = value
        .own
        .as_ref()
        .map(|own| own.value.to_string())
        .unwrap_or_default();
    let erp = value
        .erp
        .as_ref()
        .and_then(|erp| erp.value.as_ref())
        .map(ToString::to_string);
    let (kind, form) = match value.attribute.spec().kind {
        Kind::Date => ("date", ""),
        Kind::Email => ("email", ""),
        Kind::Phone => ("tel", "As dialled from abroad: +44 7700 900 418."),
        Kind::Locale => ("text", "A language tag: en-GB."),
        Kind::TimeZone => ("text", "A zone by name: Europe/London."),
        Kind::List(..) => ("text", "With a comma between."),
        _ => ("text", ""),
    };
    let help = match erp {
        Some(erp) => format!("{form} The ERP says “{erp}”.").trim().to_owned(),
        None => form.to_owned(),
    };
    let help = Some(help).filter(|help| !help.is_empty());
    let label = words::attribute(value.attribute);
    let typed = kept.value(name, &own);
    match value.attribute.spec().kind {
        Kind::Prose(max) => view! {
            <Textarea
                label=label
                name=name
                value=typed
                help=help
                error=kept.error(name)
                optional=true
                rows=5
                max_length=u32::try_from(max).ok()
            />
        }
        .into_any(),
        spec => {
            let max = if let Kind::Line(max) = spec { max } else { 254 };
            view! {
                <Field
                    label=label
                    name=name
                    kind=kind
                    value=typed
                    help=help
                    error=kept.error(name)
                    optional=true
                    max_length=u32::try_from(max).ok()
                />
            }
            .into_any()
        }
    }
}

fn locked_field(
    value: &ProfileValue,
    shown: String,
    person: EmployeeId,
    prospect: Option<&Prospect>,
    open: Option<&Correction>,
    reader: &Reader,
) -> AnyView {
    let own = value.own.as_ref().map(|own| {
        format!(
            "Your own value “{}” is kept and returns when the rule is lifted.",
            own.value
        )
    });
    let lock = match value.rule.rule.id {
        0 => "From the ERP alone".to_owned(),
        rule => format!("Locked by rule {rule}"),
    };
    view! {
        <div class="stack stack--tight">
            <LockedField
                label=words::attribute(value.attribute)
                value=shown
                lock=lock
                help=own
            />
            {correctable(value.attribute, person, prospect, open, reader)}
        </div>
    }
    .into_any()
}

/// What can be done about a locked value that is wrong.
fn correctable(
    attribute: Attribute,
    person: EmployeeId,
    prospect: Option<&Prospect>,
    open: Option<&Correction>,
    reader: &Reader,
) -> Option<AnyView> {
    let label = words::attribute(attribute).to_lowercase();
    let line = match (open, prospect) {
        (Some(open), _) => {
            let told = correction::told(open, reader);
            view! {
                <a href=format!("/corrections/{}", open.id)>{format!("Correction to “{}”", open.read(&open.value))}</a>
                {format!(": {}", told.sentence)}
            }
            .into_any()
        }
        (None, Some(prospect)) if prospect.approvers.is_empty() => format!(
            "Nobody could decide about a correction. Speak to whoever looks after {}.",
            prospect.source_name
        )
        .into_any(),
        (None, Some(_)) => view! {
            <a href=correction::address(person, attribute)>
                "Ask for a correction" <span class="visually-hidden">{format!(" of {label}")}</span>
            </a>
        }
        .into_any(),
        (None, None) => return None,
    };
    Some(view! { <p class="small">{line}</p> }.into_any())
}

/// `POST /people/{id}/edit`
pub async fn save(
    visit: Visit,
    Path(who): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    let who = EmployeeId(id(&who)?);
    let edits: BTreeMap<_, _> = posted
        .fields()
        .map(|(name, text)| {
            (
                name.to_owned(),
                Some(text.trim())
                    .filter(|text| !text.is_empty())
                    .map(Value::from),
            )
        })
        .collect();
    let result = visit
        .portal
        .store
        .edit_profile(&visit.viewer, who, edits)
        .await;
    let home = format!("/people/{who}");
    answer(
        &visit.session,
        &posted,
        result,
        &format!("{home}/edit"),
        |_| home,
        "Your profile is saved.",
    )
    .await
}

/// `POST /people/{id}/photo`
pub async fn photo(
    visit: Visit,
    Path(who): Path<String>,
    mut form: Multipart,
) -> Result<Response, AppError> {
    let who = EmployeeId(id(&who)?);
    let unreadable = || Violation::BadFormat {
        field: "photo".into(),
        expected: "photo".into(),
    };
    let mut bytes = None;
    while let Ok(Some(field)) = form.next_field().await {
        if field.name() == Some("photo") {
            bytes = field.bytes().await.ok();
        }
    }
    let result = match bytes.filter(|bytes| !bytes.is_empty()) {
        Some(bytes) => {
            visit
                .portal
                .store
                .set_photo(&visit.viewer, who, bytes.to_vec())
                .await
        }
        None => Err(unreadable().into()),
    };
    let edit = format!("/people/{who}/edit");
    let posted = Posted::nothing_kept(format!("/people/{who}/photo"));
    answer(
        &visit.session,
        &posted,
        result,
        &edit,
        |()| format!("/people/{who}"),
        "Your picture is set.",
    )
    .await
}

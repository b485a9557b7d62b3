//! A profile: who, where in the organization, and each value with where it came from.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::Path, response::Response};
use chrono::NaiveDate;
use domain::{
    Action, Attribute, EmployeeId, Relation, Value,
    attribute::{Group, Kind},
    correction::State,
    sourcing::{Origin, Strength, Why as Reason},
};
use leptos::prelude::*;
use store::{
    correction::{Correction, Prospect},
    org::{Place, StandIn},
    people::PersonCard,
    profile::{Profile, ProfileValue, RuleInfo},
};

use crate::{
    correction,
    edge::{AppError, Visit, face, id},
    ui::{
        Avatar, Badge, Crumb, Crumbs, Door, Glyph, Icon, IconLink, LinkButton, LockChip, Look,
        Person, Progress, Ring, RingKind, Side, Tab, Tabs, ValueRow, Values, Why, WhyCard, WhyRule,
        format::{self, Reader, Zone},
    },
    words,
};

/// `GET /people/{id}`
pub async fn show(visit: Visit, Path(who): Path<String>) -> Result<Response, AppError> {
    let who = EmployeeId(id(&who)?);
    let store = &visit.portal.store;
    let profile = store.profile(&visit.viewer, who).await?;
    let place = store.place(&visit.viewer, who).await.ok();
    let reviewable = profile.relation == Relation::Superior
        || store.review_way(&visit.viewer, who).await?.is_some();
    let delegates = place.as_ref().is_some_and(|place| place.oversees > 0)
        && visit.viewer.may(profile.relation, Action::SetDelegate);
    let looks = if profile.relation == Relation::Myself {
        store.looked_at(&visit.viewer, None).await?.items.len() as u64
    } else {
        0
    };
    let corrections = Arc::new(Corrections {
        open: store.open_corrections_of(&visit.viewer, who).await?,
        prospects: if profile.relation == Relation::Myself {
            store.correction_prospects(&visit.viewer).await?
        } else {
            BTreeMap::new()
        },
    });
    let reader = visit.reader;
    let title = profile.person.display_name.clone();
    visit
        .page(&title, Door::People, move || {
            let person = profile.person.clone();
            let mine = profile.relation == Relation::Myself;
            let crumbs = vec![
                Some(Crumb::link("People", "/people")),
                person.unit.zip(person.department.clone()).map(|(unit, name)| Crumb::link(name, format!("/people?unit={unit}"))),
                Some(Crumb::here(person.display_name.clone())),
            ];
            let sub = match (&person.title, &person.department) {
                (Some(title), Some(unit)) => format!("{title}, {unit}"),
                (Some(one), None) | (None, Some(one)) => one.clone(),
                (None, None) => String::new(),
            };
            let there = reader_there(&reader, &profile.timezone);
            let manager = place.as_ref().and_then(|place| place.chain.first().cloned());
            let team = place.as_ref().map_or(0, |place| u64::from(place.oversees));
            let mut tabs = vec![Tab::new("Profile", format!("/people/{}", person.id), true)];
            tabs.push(Tab::new("Team", format!("/org?person={}", person.id), false).counted(team, "people"));
            tabs.push(Tab::new("History", format!("/people/{}/history", person.id), false));
            if mine {
                tabs.push(
                    Tab::new("Corrections", "/corrections?of=mine", false)
                        .counted(corrections.open.len() as u64, "open"),
                );
                tabs.push(Tab::new("Sessions", "/account", false));
                let mut looked = Tab::new("Who looked", "/looked-at", false).counted(looks, "looks");
                looked.oversight = true;
                tabs.push(looked);
            }
            let about = shown(&profile, Attribute::About);
            view! {
                <div class="page">
                    <Crumbs crumbs=crumbs.into_iter().flatten().collect() />
                    <header class="profile-head">
                        <Avatar face=face(&person) size=88 />
                        <div class="profile-head__text">
                            <h1>
                                {person.display_name.clone()}
                                {(!person.active).then(|| view! { " " <Badge text="Left" /> })}
                            </h1>
                            <p class="profile-head__sub">{sub}</p>
                            <ul class="profile-head__facts">
                                {person
                                    .location
                                    .clone()
                                    .map(|place| {
                                        view! {
                                            <li>
                                                <Icon glyph=Glyph::Place size=16 />
                                                {format!("{place}, {there} there")}
                                            </li>
                                        }
                                    })}
                                {person
                                    .email
                                    .clone()
                                    .map(|mail| {
                                        view! {
                                            <li>
                                                <Icon glyph=Glyph::Mail size=16 />
                                                <a href=format!("mailto:{mail}")>{mail.clone()}</a>
                                            </li>
                                        }
                                    })}
                                {manager
                                    .map(|manager| {
                                        view! {
                                            <li>
                                                <Icon glyph=Glyph::Org size=16 />
                                                <span>"Reports to " <a href=format!("/people/{}", manager.id)>{manager.display_name}</a></span>
                                            </li>
                                        }
                                    })}
                                {place.as_ref().map(|place| beside_the_line(place, &reader))}
                            </ul>
                        </div>
                        <div class="profile-head__actions">
                            {delegates
                                .then(|| {
                                    view! {
                                        <LinkButton
                                            text="Who stands in"
                                            href=format!("/people/{}/delegate", person.id)
                                            icon=Some(Glyph::Calendar)
                                        />
                                    }
                                })}
                            {if mine {
                                view! {
                                    <LinkButton
                                        text="Edit profile"
                                        href=format!("/people/{}/edit", person.id)
                                        look=Look::Primary
                                        icon=Some(Glyph::Pencil)
                                    />
                                }
                                    .into_any()
                            } else {
                                view! {
                                    {reviewable
                                        .then(|| {
                                            view! {
                                                <LinkButton
                                                    text="Review words"
                                                    href=format!("/reviews/new?subject={}", person.id)
                                                    icon=Some(Glyph::Eye)
                                                />
                                            }
                                        })}
                                    {person
                                        .active
                                        .then(|| {
                                            view! {
                                                <LinkButton
                                                    text="Write"
                                                    href=format!("/chat/new?with={}", person.id)
                                                    look=Look::Primary
                                                    icon=Some(Glyph::Chat)
                                                />
                                            }
                                        })}
                                }
                                    .into_any()
                            }}
                        </div>
                    </header>
                    <Tabs label="Profile" tabs=tabs />
                    <div class="columns profile-cols">
                        <div class="stack">
                            <ValueCard title="Work" id="work" group=Group::Work profile=profile.clone() reader=reader corrections=corrections.clone() />
                            <ValueCard title="How to reach" id="reach" group=Group::Reach profile=profile.clone() reader=reader corrections=corrections.clone() />
                            <ValueCard title="In own words" id="own-words" group=Group::About profile=profile.clone() reader=reader corrections=corrections.clone() />
                            <ValueCard
                                title=if mine { "Only you and HR see this" } else { "Only the person and HR see this" }
                                id="private"
                                group=Group::Private
                                profile=profile.clone()
                                reader=reader
                                corrections=corrections
                            />
                        </div>
                        <aside class="stack stack--loose" aria-label=format!("About {}", person.display_name)>
                            {about
                                .map(|about| {
                                    view! {
                                        <section aria-labelledby="about">
                                            <h2 class="aside-title" id="about">"About"</h2>
                                            <p class="prose">{about}</p>
                                        </section>
                                    }
                                })}
                            {place
                                .map(|place| {
                                    view! {
                                        <section aria-labelledby="chain">
                                            <h2 class="aside-title" id="chain">"Chain"</h2>
                                            <ol class="chain">
                                                {place
                                                    .chain
                                                    .iter()
                                                    .rev()
                                                    .map(|above| {
                                                        view! {
                                                            <li>
                                                                <Person
                                                                    face=face(above)
                                                                    href=format!("/people/{}", above.id)
                                                                    sub=above.title.clone()
                                                                />
                                                            </li>
                                                        }
                                                    })
                                                    .collect_view()}
                                                <li>
                                                    <Person face=face(&place.person) sub=place.person.title.clone() />
                                                </li>
                                            </ol>
                                        </section>
                                    }
                                })}
                            <Sources values=profile.values />
                        </aside>
                    </div>
                </div>
            }
        })
        .await
}

/// Superiors by dotted line, and who stands in for whom today.
fn beside_the_line(place: &Place, reader: &Reader) -> AnyView {
    let line = |glyph, before: &'static str, people: Vec<(PersonCard, String)>| {
        let names = people
            .into_iter()
            .enumerate()
            .map(|(at, (person, after))| {
                let href = format!("/people/{}", person.id);
                view! { {(at > 0).then_some(", ")} <a href=href>{person.display_name}</a> {after} }
            })
            .collect_view();
        view! {
            <li>
                <Icon glyph=glyph size=16 />
                <span>{before} " " {names}</span>
            </li>
        }
        .into_any()
    };
    let dotted: Vec<_> = place
        .dotted
        .iter()
        .map(|person| (person.clone(), String::new()))
        .collect();
    let until = |ones: &[StandIn]| -> Vec<_> {
        let until = |one: &StandIn| {
            let day = one.until.map(|day| reader.locale.long_date(day));
            day.map(|day| format!(" until {day}")).unwrap_or_default()
        };
        ones.iter()
            .map(|one| (one.person.clone(), until(one)))
            .collect()
    };
    let (away, stands_in) = (until(&place.stand_ins), until(&place.stands_in_for));
    view! {
        {(!dotted.is_empty()).then(|| line(Glyph::Org, "Also reports to", dotted))}
        {(!away.is_empty()).then(|| line(Glyph::Calendar, "Away, stood in for by", away))}
        {(!stands_in.is_empty()).then(|| line(Glyph::Calendar, "Stands in for", stands_in))}
    }
    .into_any()
}

/// The time of day where somebody is.
fn reader_there(reader: &Reader, zone: &str) -> String {
    Reader {
        zone: Zone::named(zone),
        ..*reader
    }
    .time(reader.now)
}

fn shown(profile: &Profile, attribute: Attribute) -> Option<String> {
    profile
        .values
        .iter()
        .find(|value| value.attribute == attribute)
        .and_then(|value| value.resolved.value.as_ref())
        .map(ToString::to_string)
}

/// What is not worth a row of its own: shown elsewhere on the page.
fn elsewhere(attribute: Attribute) -> bool {
    matches!(
        attribute,
        Attribute::Active | Attribute::Photos | Attribute::About
    )
}

/// What is under way to be corrected, and what one could have corrected.
struct Corrections {
    open: BTreeMap<Attribute, Correction>,
    prospects: BTreeMap<Attribute, Prospect>,
}

#[component]
fn ValueCard(
    #[prop(into)] title: String,
    #[prop(into)] id: String,
    group: Group,
    profile: Profile,
    reader: Reader,
    corrections: Arc<Corrections>,
) -> impl IntoView {
    let mine = profile.relation == Relation::Myself;
    let rows: Vec<_> = profile
        .values
        .iter()
        .filter(|value| value.attribute.spec().group == group && !elsewhere(value.attribute))
        // Somebody else's empty fields say nothing; one's own are there to be filled. A name that is
        // made of the two others is not empty.
        .filter(|value| {
            let fillable =
                mine && value.resolved.editable && value.attribute != Attribute::DisplayName;
            value.resolved.value.is_some()
                || fillable
                || corrections.open.contains_key(&value.attribute)
        })
        .map(|value| row(value, &profile, &reader, &corrections))
        .collect();
    let legend = group == Group::Work;
    (!rows.is_empty()).then(|| {
        view! {
            <section class="card" aria-labelledby=id.clone()>
                <header class="card__head">
                    <h2 id=id.clone()>{title}</h2>
                    {legend
                        .then(|| {
                            view! {
                                <p class="push legend">
                                    <span><Ring kind=RingKind::Erp />"ERP’s value shown"</span>
                                    <span><Ring kind=RingKind::Own />{if mine { "Yours shown" } else { "Own shown" }}</span>
                                    <span><Ring kind=RingKind::Both />"Both agree"</span>
                                </p>
                            }
                        })}
                </header>
                <Values>{rows}</Values>
            </section>
        }
    })
}

fn row(
    value: &ProfileValue,
    profile: &Profile,
    reader: &Reader,
    corrections: &Corrections,
) -> AnyView {
    let mine = profile.relation == Relation::Myself;
    let label = words::attribute(value.attribute);
    let beside = value.resolved.kept.as_ref().map(|kept| {
        let kept = written(value.attribute, kept, profile, reader);
        match value.resolved.origin {
            Origin::Erp if mine => format!("You wrote “{kept}”, which is kept."),
            Origin::Erp => format!("Own value “{kept}” is kept."),
            _ => format!("ERP says “{kept}”"),
        }
    });
    let edit = (mine && value.resolved.editable).then(|| {
        let href = format!("/people/{}/edit#f-{}", profile.person.id, value.attribute.name().replace('.', "-"));
        view! { <IconLink glyph=Glyph::Pencil label=format!("Edit {}", label.to_lowercase()) href=href /> }
    });
    let open = corrections.open.get(&value.attribute);
    // What somebody proposed is told beside the value, never as the value.
    let proposed = open.map(|open| {
        let chip = correction::told(open, reader);
        format!(
            "Correction to “{}”. {}",
            open.read(&open.value),
            chip.sentence
        )
    });
    let beside = match (beside, proposed) {
        (Some(beside), Some(proposed)) => Some(format!("{beside} {proposed}")),
        (one, other) => one.or(other),
    };
    let ask = (open.is_none() && corrections.prospects.contains_key(&value.attribute))
        .then(|| correction::address(profile.person.id, value.attribute));
    let from = view! {
        {open.map(under_way)}
        {provenance(value, profile, reader, ask)}
        {edit}
    }
    .into_any();
    let shown = display(value, profile, reader);
    view! {
        <ValueRow label=label beside=beside from=from>
            {shown}
        </ValueRow>
    }
    .into_any()
}

/// The chip of a correction that is under way, and the way to it.
fn under_way(open: &Correction) -> AnyView {
    let (text, _) = correction::state(open.state);
    let (ring, class) = match open.state {
        State::Failed => (RingKind::None, "source"),
        _ => (RingKind::Pending, "source source--pending"),
    };
    let label = format!(
        "Correction of {}: {}",
        words::attribute(open.attribute).to_lowercase(),
        text.to_lowercase()
    );
    view! {
        <a class=class href=format!("/corrections/{}", open.id) aria-label=label>
            <Ring kind=ring />
            {text}
        </a>
    }
    .into_any()
}

/// A value as it is shown: people as links, dates written out.
fn display(value: &ProfileValue, profile: &Profile, reader: &Reader) -> AnyView {
    let Some(shown) = &value.resolved.value else {
        return view! { <span class="muted">"Nothing yet"</span> }.into_any();
    };
    let text = written(value.attribute, shown, profile, reader);
    match value.attribute.spec().kind {
        Kind::Person => {
            let person = shown
                .as_text()
                .and_then(|id| id.parse().ok())
                .and_then(|id| profile.people.get(&id));
            match person {
                Some(person) => {
                    view! { <Person face=face(person) href=format!("/people/{}", person.id) size=20 /> }.into_any()
                }
                None => view! { <span class="muted">"Somebody who is not here"</span> }.into_any(),
            }
        }
        Kind::Date => view! { <time datetime=shown.to_string()>{text}</time> }.into_any(),
        _ if matches!(
            value.attribute,
            Attribute::EmployeeNumber | Attribute::CostCenter
        ) =>
        {
            view! { <span class="mono">{text}</span> }.into_any()
        }
        _ => text.into_any(),
    }
}

pub(super) fn written(
    attribute: Attribute,
    value: &Value,
    profile: &Profile,
    reader: &Reader,
) -> String {
    match attribute.spec().kind {
        Kind::Date => NaiveDate::parse_from_str(&value.to_string(), "%Y-%m-%d")
            .map_or_else(|_| value.to_string(), |date| reader.locale.long_date(date)),
        Kind::Person => value
            .as_text()
            .and_then(|id| id.parse().ok())
            .and_then(|id| profile.people.get(&id))
            .map_or_else(
                || "Somebody who is not here".to_owned(),
                |person| person.display_name.clone(),
            ),
        _ => value.to_string(),
    }
}

/// The chip that says whose value is shown, and behind it why.
fn provenance(
    value: &ProfileValue,
    profile: &Profile,
    reader: &Reader,
    ask: Option<String>,
) -> AnyView {
    let mine = profile.relation == Relation::Myself;
    let resolved = &value.resolved;
    let locked = value.rule.rule.id == 0 && !value.attribute.spec().editable;
    if locked && resolved.origin == Origin::Nothing {
        return view! { <LockChip text="From the ERP alone" /> }.into_any();
    }
    let (ring, chip) = match resolved.origin {
        Origin::Erp => (RingKind::Erp, "ERP wins"),
        Origin::ErpOnly => (RingKind::Erp, "ERP only"),
        Origin::Own => (RingKind::Own, if mine { "Yours wins" } else { "Own wins" }),
        Origin::OwnOnly => (RingKind::Own, if mine { "Yours only" } else { "Own only" }),
        Origin::Both => (RingKind::Both, "Both agree"),
        Origin::Nothing => (RingKind::None, "Nothing set"),
    };
    let side = |text: String, from: String, shown| Side {
        value: text,
        from,
        shown,
    };
    let erp_shown = matches!(
        resolved.origin,
        Origin::Erp | Origin::ErpOnly | Origin::Both
    );
    let own_shown = matches!(
        resolved.origin,
        Origin::Own | Origin::OwnOnly | Origin::Both
    );
    let erp = value.erp.as_ref().map(|erp| {
        let text = erp.value.as_ref().map_or_else(
            || "Empty".to_owned(),
            |says| written(value.attribute, says, profile, reader),
        );
        let from = format!(
            "{}, read {}",
            erp.source_name,
            reader.moment_in_sentence(erp.synced_at)
        );
        side(text, from, erp_shown || resolved.why == Reason::EmptyWins)
    });
    let others = value
        .others
        .iter()
        .map(|other| {
            let text = other.value.as_ref().map_or_else(
                || "Empty".to_owned(),
                |says| written(value.attribute, says, profile, reader),
            );
            let read = reader.moment_in_sentence(other.synced_at);
            side(text, format!("{}, read {read}", other.source_name), false)
        })
        .collect();
    let own = value.own.as_ref().map(|own| {
        let who = if mine { "You" } else { "The person" };
        let from = format!("{who}, {}", reader.moment_in_sentence(own.edited_at));
        side(
            written(value.attribute, &own.value, profile, reader),
            from,
            own_shown,
        )
    });
    let has_both = erp.is_some() && own.is_some();
    let why = Why {
        label: words::attribute(value.attribute).to_owned(),
        attribute: value.attribute.name().to_owned(),
        value: resolved
            .value
            .as_ref()
            .map(|shown| written(value.attribute, shown, profile, reader)),
        ring,
        chip: chip.to_owned(),
        erp,
        others,
        own,
        rule: rule(&value.rule, value.attribute, reader),
        lifted: (has_both && resolved.origin == Origin::Erp).then(|| {
            if mine {
                "If the rule is lifted, your own value returns by itself."
            } else {
                "If the rule is lifted, the own value returns by itself."
            }
            .to_owned()
        }),
    };
    let past = format!(
        "/people/{}/history?attribute={}",
        profile.person.id,
        value.attribute.name()
    );
    view! {
        <WhyCard why=why>
            {ask.map(|ask| view! { <a href=ask>"Ask for a correction"</a> })}
            <a href=past>"History"</a>
        </WhyCard>
    }
    .into_any()
}

/// A rule in one sentence with its number and who set it.
fn rule(info: &RuleInfo, attribute: Attribute, reader: &Reader) -> WhyRule {
    let rule = info.rule;
    let name = words::attribute(attribute).to_lowercase();
    let scope = info.scope_name.clone().map_or_else(
        || "the whole organization".to_owned(),
        |unit| format!("{unit} and below"),
    );
    if rule.id == 0 {
        let sentence = if attribute.spec().editable {
            "no rule is set, so a person’s own value stands before the ERP’s."
        } else {
            "only the ERP says this of a person."
        };
        return WhyRule {
            name: "Built in".into(),
            href: None,
            strength: words::strength(rule.strength).to_owned(),
            sentence: sentence.into(),
        };
    }
    let says = match rule.strength {
        Strength::Strong => format!("{name} follows the ERP in {scope}."),
        Strength::Normal => format!("whichever of ERP and person wrote {name} last, in {scope}."),
        Strength::Weak => format!("the ERP fills {name} where a person left it empty, in {scope}."),
        Strength::None => format!("what the ERP says of {name} is not used in {scope}."),
    };
    let set = match (&info.set_by, info.set_at) {
        (Some(who), Some(at)) => format!(" Set {} by {who}.", reader.moment_in_sentence(at)),
        (None, Some(at)) => format!(
            " Set {} when the portal began.",
            reader.moment_in_sentence(at)
        ),
        _ => String::new(),
    };
    WhyRule {
        name: format!("Rule {}", rule.id),
        href: None,
        strength: words::strength(rule.strength).to_owned(),
        sentence: says + &set,
    }
}

/// How many of the shown values come from where.
#[component]
fn Sources(values: Vec<ProfileValue>) -> impl IntoView {
    let filled = values
        .iter()
        .filter(|value| value.resolved.value.is_some())
        .count() as u64;
    let of = |origins: &[Origin]| {
        values
            .iter()
            .filter(|value| origins.contains(&value.resolved.origin))
            .count() as u64
    };
    let rows = [
        (RingKind::Erp, "ERP", of(&[Origin::Erp, Origin::ErpOnly])),
        (RingKind::Own, "Own", of(&[Origin::Own, Origin::OwnOnly])),
        (RingKind::Both, "Agree", of(&[Origin::Both])),
    ];
    view! {
        <section aria-labelledby="origins">
            <h2 class="aside-title" id="origins">"Where these values come from"</h2>
            <dl class="meter-list">
                {rows
                    .into_iter()
                    .map(|(ring, label, count)| {
                        view! {
                            <div>
                                <dt><Ring kind=ring />" "{label}</dt>
                                <dd>
                                    <Progress value=count max=filled label=format!("{label}, {count} of {filled}") thin=true />
                                </dd>
                                <dd class="num">{format::number(i64::try_from(count).unwrap_or(i64::MAX))}</dd>
                            </div>
                        }
                    })
                    .collect_view()}
            </dl>
        </section>
    }
}

//! Sourcing rules: the list, one rule in the form beside it, and what setting it would change.

use axum::{extract::Query, response::Response};
use domain::{
    Attribute, SourceId, UnitId, Violation,
    policy::Kind,
    sourcing::{Rule, Rules, Strength},
};
use leptos::prelude::*;
use serde::Deserialize;
use store::{
    org::UnitInfo,
    policy::{Preview, PreviewChange},
    source::Source,
};

use super::{PolicyTabs, admitted};
use crate::{
    edge::{AppError, Posted, Visit, answer, face},
    ui::{
        Badge, Banner, Button, Check, Choice, Column, Diff, Door, EmptyState, Field, Glyph, Hide,
        LinkButton, Look, PageHead, Person, Ring, RingKind, Select, Table, Tone,
        format::{Reader, counted},
    },
    words,
};

const PAGE: &str = "/console/rules";

/// Which rule is in the form, and what was chosen for a preview.
#[derive(Debug, Default, Deserialize)]
pub struct Chosen {
    /// A rule's number, or `new`.
    #[serde(default)]
    rule: String,
    #[serde(default)]
    attribute: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    strength: String,
    #[serde(default)]
    enforced: Option<String>,
    #[serde(default)]
    empty_wins: Option<String>,
    #[serde(default)]
    note: String,
    #[serde(default)]
    preview: Option<String>,
}

impl Chosen {
    /// What a posted form says.
    fn posted(form: &Posted) -> Self {
        let text = |field| form.get(field).to_owned();
        let ticked = |field| form.ticked(field).then(|| "on".to_owned());
        Self {
            rule: text("rule"),
            attribute: text("attribute"),
            unit: text("unit"),
            source: text("source"),
            strength: text("strength"),
            enforced: ticked("enforced"),
            empty_wins: ticked("empty_wins"),
            note: text("note"),
            preview: None,
        }
    }

    fn number(&self) -> Option<u32> {
        self.rule.parse().ok()
    }

    /// The rule that the fields speak of.
    fn rule(&self) -> Result<Rule, Violation> {
        let optional = |field: &str, text: &str| match text {
            "" => Ok(None),
            id => id.parse().map(Some).map_err(|_| Violation::Unknown {
                field: field.into(),
                value: id.chars().take(40).collect(),
                allowed: "one of the list".into(),
            }),
        };
        let strength = Strength::ALL
            .into_iter()
            .find(|strength| strength.name() == self.strength);
        Ok(Rule {
            id: 0,
            attribute: self.attribute.parse()?,
            unit: optional("unit", &self.unit)?.map(UnitId),
            source: optional("source", &self.source)?.map(SourceId),
            strength: strength.ok_or_else(|| Violation::Required {
                field: "strength".into(),
            })?,
            enforced: self.enforced.is_some(),
            empty_wins: self.empty_wins.is_some(),
        })
    }

    /// All rules with this one in its place, or without it.
    fn among(&self, rules: &Rules, removed: bool) -> Result<Vec<Rule>, Violation> {
        let mut all = rules.rules.clone();
        all.retain(|rule| Some(rule.id) != self.number());
        if !removed {
            all.push(self.rule()?);
        }
        Ok(all)
    }
}

/// `GET /console/rules`
pub async fn show(visit: Visit, Query(chosen): Query<Chosen>) -> Result<Response, AppError> {
    admitted(&visit)?;
    let store = &visit.portal.store;
    let rules = store.policy::<Rules>(&visit.viewer).await?;
    let units = store.units(&visit.viewer).await?;
    let sources = store.sources(&visit.viewer).await?;
    let people = store.chart().chart.len() as u64;
    let preview = match (&chosen.preview, chosen.among(&rules, false)) {
        (None, _) => None,
        (Some(_), Err(violation)) => Some(Err(violation)),
        (Some(_), Ok(all)) => match store.preview_attribute_rules(&visit.viewer, all).await {
            Ok(preview) => Some(Ok(preview)),
            Err(store::Error::Invalid(mut violations)) if !violations.is_empty() => {
                Some(Err(violations.remove(0)))
            }
            Err(error) => return Err(error.into()),
        },
    };
    let history = store.policy_history::<Rules>(&visit.viewer).await?;
    let since = history
        .into_iter()
        .next()
        .map(|entry| (entry.version.set_at, entry.set_by_name));
    let kept = visit.flash.kept(PAGE);
    let reader = visit.reader;
    visit
        .page("Sourcing rules", Door::Rules, move || {
            let selected = chosen.number().and_then(|number| rules.rules.iter().find(|rule| rule.id == number)).cloned();
            let editing = selected.is_some() || chosen.rule == "new" || kept.came_back();
            // What stands in the form: what came back, else what was chosen for the preview, else the rule.
            let asked = chosen.preview.is_some();
            let before = |field: &str, chosen: &str, rule: Option<String>| {
                kept.value(field, if asked { chosen } else { rule.as_deref().unwrap_or(chosen) })
            };
            let rule = selected.as_ref();
            let form = FormValues {
                number: rule.map(|rule| rule.id),
                rule: if kept.came_back() { kept.value("rule", &chosen.rule) } else { chosen.rule.clone() },
                version: rules.version,
                attribute: before("attribute", &chosen.attribute, rule.map(|rule| rule.attribute.name().to_owned())),
                unit: before("unit", &chosen.unit, rule.and_then(|rule| rule.unit).map(|unit| unit.to_string())),
                source: before("source", &chosen.source, rule.and_then(|rule| rule.source).map(|source| source.to_string())),
                strength: before("strength", &chosen.strength, rule.map(|rule| rule.strength.name().to_owned())),
                enforced: kept.checked("enforced", if asked { chosen.enforced.is_some() } else { rule.is_some_and(|rule| rule.enforced) }),
                empty_wins: kept.checked("empty_wins", if asked { chosen.empty_wins.is_some() } else { rule.is_some_and(|rule| rule.empty_wins) }),
                note: kept.value("note", &chosen.note),
                note_error: kept.error("note"),
            };
            let count = rules.rules.len() as u64;
            let sentence = "Which value a profile shows when the ERP and the person disagree. The losing value is kept, never erased.";
            let in_force = match since {
                Some((at, Some(who))) => format!("Version {}, set {} by {who}", rules.version, reader.moment_in_sentence(at)),
                Some((at, None)) => format!("Version {}, set {}", rules.version, reader.moment_in_sentence(at)),
                None => "No version yet".to_owned(),
            };
            let list = if rules.rules.is_empty() {
                view! {
                    <EmptyState
                        glyph=Glyph::Policy
                        title="No rule yet"
                        sentence="Until there is one, a person’s own value stands before the ERP’s, and the ERP fills what is empty."
                    />
                }
                .into_any()
            } else {
                list(&rules, &units, &sources, chosen.number())
            };
            view! {
                <div class="page page--wide">
                    <PageHead title="Sourcing rules" sentence=sentence>
                        <LinkButton text="Versions" href="/console/rules/history" icon=Some(Glyph::Clock) />
                        <LinkButton text="New rule" href="/console/rules?rule=new#rule" look=Look::Primary icon=Some(Glyph::Plus) />
                    </PageHead>
                    <PolicyTabs current=Kind::AttributeRules />
                    <div class="editor">
                        <section class="editor__list" aria-labelledby="rules">
                            <h2 id="rules" class="visually-hidden">"Rules"</h2>
                            {list}
                            <div class="table-meta">
                                <span>{counted(count, "rule", "rules")}</span>
                                <span>{in_force}</span>
                            </div>
                        </section>
                        {editing
                            .then(|| {
                                view! {
                                    <Form form=form units=units.clone() sources=sources.clone() preview=preview people=people reader=reader />
                                }
                            })}
                    </div>
                </div>
            }
        })
        .await
}

fn list(rules: &Rules, units: &[UnitInfo], sources: &[Source], chosen: Option<u32>) -> AnyView {
    let rows = rules
        .rules
        .iter()
        .map(|rule| {
            let on = chosen == Some(rule.id);
            let scope = scope(rule, units, sources);
            view! {
                <tr class=on.then_some("is-on")>
                    <td class="muted num hide-narrow">{rule.id}</td>
                    <th scope="row">
                        <a class="name" href=format!("{PAGE}?rule={}#rule", rule.id) aria-current=on.then_some("true")>
                            {words::attribute(rule.attribute)}
                        </a>
                    </th>
                    <td>
                        <span class="strength">
                            <Ring kind=ring(rule.strength) />
                            {words::strength(rule.strength)}
                        </span>
                    </td>
                    <td class="hide-narrow">{scope}</td>
                    <td class="hide-medium">
                        {rule.enforced.then(|| view! { <Badge text="Enforced" icon=Some(Glyph::Lock) /> })}
                    </td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Table
            caption="Sourcing rules by number"
            columns=vec![
                Column::numeric("No.").hide(Hide::Narrow),
                Column::new("Attribute"),
                Column::new("Strength"),
                Column::new("For").hide(Hide::Narrow),
                Column::new("Below").hide(Hide::Medium),
            ]
        >
            {rows}
        </Table>
    }
    .into_any()
}

/// For whom and for which source a rule holds.
pub(super) fn scope(rule: &Rule, units: &[UnitInfo], sources: &[Source]) -> String {
    let unit = rule.unit.map_or_else(
        || "Everyone".to_owned(),
        |id| {
            units
                .iter()
                .find(|unit| unit.id == id)
                .map_or_else(|| "A unit that is gone".into(), |unit| unit.name.clone())
        },
    );
    match rule.source {
        None => unit,
        Some(id) => {
            let source = sources
                .iter()
                .find(|source| source.id == id)
                .map_or("a source that is gone", |source| &source.name);
            format!("{unit}, from {source}")
        }
    }
}

/// The ring that says a strength.
pub(super) fn ring(strength: Strength) -> RingKind {
    match strength {
        Strength::Strong => RingKind::Erp,
        Strength::Normal => RingKind::Pending,
        Strength::Weak => RingKind::None,
        Strength::None => RingKind::Own,
    }
}

#[derive(Clone, Debug)]
struct FormValues {
    number: Option<u32>,
    rule: String,
    version: u32,
    attribute: String,
    unit: String,
    source: String,
    strength: String,
    enforced: bool,
    empty_wins: bool,
    note: String,
    note_error: Option<String>,
}

#[component]
fn Form(
    form: FormValues,
    units: Vec<UnitInfo>,
    sources: Vec<Source>,
    preview: Option<Result<Preview, Violation>>,
    people: u64,
    reader: Reader,
) -> impl IntoView {
    let title = match (form.number, form.attribute.parse::<Attribute>()) {
        (Some(number), Ok(attribute)) => format!(
            "Rule {number}, {}",
            words::attribute(attribute).to_lowercase()
        ),
        (Some(number), Err(_)) => format!("Rule {number}"),
        (None, _) => "New rule".to_owned(),
    };
    let attributes = Attribute::ALL
        .iter()
        .filter(|attribute| attribute.spec().editable)
        .map(|attribute| {
            Choice::new(
                attribute.name(),
                format!("{} ({attribute})", words::attribute(*attribute)),
            )
        })
        .collect();
    let mut for_units = vec![Choice::new("", "Everyone")];
    for_units.extend(
        units
            .iter()
            .map(|unit| Choice::new(unit.id.to_string(), unit.name.clone())),
    );
    let mut for_sources = vec![Choice::new("", "Every source")];
    for_sources.extend(
        sources
            .iter()
            .map(|source| Choice::new(source.id.to_string(), source.name.clone())),
    );
    let strengths = [
        (Strength::Strong, "Edits are kept beside it and not shown."),
        (
            Strength::Normal,
            "The newer of the ERP’s change and the own edit is shown.",
        ),
        (Strength::Weak, "Shown only while the person wrote nothing."),
        (
            Strength::None,
            "Only what the person wrote is shown. The ERP’s value is kept beside it.",
        ),
    ];
    let strength = if form.strength.is_empty() {
        Strength::Strong.name().to_owned()
    } else {
        form.strength.clone()
    };
    let removable = form.number.is_some();
    view! {
        <form id="rule" class="editor__form card" method="post" action=PAGE aria-labelledby="rule-title">
            <header class="card__head">
                <h2 id="rule-title">{title}</h2>
            </header>
            <input type="hidden" name="rule" value=form.rule.clone() />
            <input type="hidden" name="version" value=form.version.to_string() />
            <div class="card__body stack">
                <div class="form-grid">
                    <Select label="Attribute" name="attribute" choices=attributes selected=form.attribute.clone() />
                    <Select label="For" name="unit" choices=for_units selected=form.unit.clone() />
                    <Select label="From" name="source" choices=for_sources selected=form.source.clone() />
                </div>
                <fieldset class="choices">
                    <legend class="field__label">"When the two disagree"</legend>
                    <div class="choices__list">
                        {strengths
                            .into_iter()
                            .map(|(one, help)| {
                                view! {
                                    <label class="choice">
                                        <span class="check">
                                            <input type="radio" name="strength" value=one.name() checked=one.name() == strength />
                                            <span>{words::strength(one)}</span>
                                        </span>
                                        <Ring kind=ring(one) />
                                        <span class="field__help">{help}</span>
                                    </label>
                                }
                            })
                            .collect_view()}
                    </div>
                </fieldset>
                <Check
                    label="Units below cannot say otherwise"
                    name="enforced"
                    checked=form.enforced
                    help="An enforced rule stands above every rule of a unit below it."
                />
                <Check
                    label="An empty value in the ERP counts too"
                    name="empty_wins"
                    checked=form.empty_wins
                    help="Otherwise an empty value in the ERP never hides what a person wrote."
                />
                <Field
                    label="Why"
                    name="note"
                    value=form.note.clone()
                    help="Everyone who looks at a value can read this."
                    error=form.note_error.clone()
                    optional=true
                    max_length=Some(300)
                />
            </div>
            {preview
                .map(|preview| match preview {
                    Ok(preview) => view! { <Impact preview=preview people=people reader=reader /> }.into_any(),
                    Err(violation) => {
                        view! {
                            <div class="card__body">
                                <Banner title="That does not fit yet" tone=Tone::Critical>
                                    {words::violation(&violation)}
                                </Banner>
                            </div>
                        }
                            .into_any()
                    }
                })}
            <footer class="card__foot">
                {removable
                    .then(|| view! { <Button text="Lift rule" look=Look::Critical name="act" value="remove" /> })}
                <span class="row push">
                    <button class="btn" type="submit" formmethod="get" name="preview" value="yes">
                        "Show what would change"
                    </button>
                    <Button text="Set rule" look=Look::Primary name="act" value="set" />
                </span>
            </footer>
        </form>
    }
}

/// How many of the changes a page shows.
const SAMPLE: usize = 25;

#[component]
fn Impact(preview: Preview, people: u64, reader: Reader) -> impl IntoView {
    let _ = reader;
    let shown = preview.changes.len().min(SAMPLE);
    let rest = preview.values.saturating_sub(shown as u64);
    let locks = match (preview.locked, preview.unlocked) {
        (0, 0) => None,
        (locked, 0) => Some(format!(
            "{} become locked.",
            counted(locked, "field", "fields")
        )),
        (0, free) => Some(format!(
            "{} become free to edit.",
            counted(free, "field", "fields")
        )),
        (locked, free) => Some(format!(
            "{} become locked, {free} free to edit.",
            counted(locked, "field", "fields")
        )),
    };
    let rows = preview
        .changes
        .into_iter()
        .take(SAMPLE)
        .map(change)
        .collect_view();
    view! {
        <section class="impact" aria-labelledby="impact" aria-live="polite">
            <header class="impact__head">
                <h3 id="impact">"What would change"</h3>
                <span class="small muted">"Nothing is written yet"</span>
            </header>
            <p class="impact__figure">
                <span class="figure">{preview.people}</span>
                <span>
                    {format!("of {} would see another value.", counted(people, "person", "people"))}
                    <br />
                    <span class="muted">{locks.unwrap_or_else(|| "No field becomes locked or free.".into())}</span>
                </span>
            </p>
            {(shown > 0)
                .then(|| {
                    view! {
                        <Table
                            caption="What would change, by name"
                            columns=vec![Column::new("Person"), Column::new("Shown now, then shown")]
                        >
                            {rows}
                        </Table>
                    }
                })}
            {(rest > 0).then(|| view! { <p class="small muted">{format!("and {}.", counted(rest, "more value", "more values"))}</p> })}
        </section>
    }
}

fn change(change: PreviewChange) -> impl IntoView {
    let text = |value: Option<domain::Value>| value.map(|value| value.to_string());
    view! {
        <tr>
            <th scope="row">
                <Person face=face(&change.person) size=24 sub=words::attribute(change.attribute) />
            </th>
            <td>
                <Diff from=text(change.from) to=text(change.to) />
            </td>
        </tr>
    }
}

/// `POST /console/rules`: sets or lifts the rule in the form.
pub async fn set(visit: Visit, posted: Posted) -> Result<Response, AppError> {
    admitted(&visit)?;
    let store = &visit.portal.store;
    let removed = posted.get("act") == "remove";
    let chosen = Chosen::posted(&posted);
    let rule = if chosen.rule.is_empty() {
        "new"
    } else {
        &chosen.rule
    };
    let form = format!("{PAGE}?rule={}", words::percent(rule));
    let rules = store.policy::<Rules>(&visit.viewer).await?;
    let result = match (
        posted.parse::<u32>("version", "a version"),
        chosen.among(&rules, removed),
    ) {
        (Ok(read), Ok(all)) => {
            store
                .set_policy::<Rules>(&visit.viewer, read, all, &chosen.note)
                .await
        }
        (Err(violation), _) | (_, Err(violation)) => Err(violation.into()),
    };
    let done = if removed {
        "The rule is lifted. Own values have returned."
    } else {
        "The rule is set and holds from now on."
    };
    let next = |rules: Rules| {
        let same = |rule: &&Rule| {
            chosen.rule().is_ok_and(|wanted| {
                (wanted.attribute, wanted.unit, wanted.source)
                    == (rule.attribute, rule.unit, rule.source)
            })
        };
        match rules.rules.iter().find(same) {
            Some(rule) if !removed => format!("{PAGE}?rule={}", rule.id),
            _ => PAGE.to_owned(),
        }
    };
    answer(&visit.session, &posted, result, &form, next, done).await
}

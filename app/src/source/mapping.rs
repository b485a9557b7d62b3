//! Which field of a source becomes what: the mapping, tried on real records before it is set.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};
use domain::{
    Attribute, SourceId, Violation,
    erp::{Fault, Worker},
    mapping::{self, FIELDS_MAX, Field as Line, Mapping, Target},
};
use erp_adapters::{Preview, Sample, preview};
use leptos::prelude::*;
use store::{mapping::MappingVersion, source::Source};

use super::{router::manages, words as source_words};
use crate::{
    edge::{AppError, Posted, Visit, answer, id},
    portal::{MappedBy, PATIENCE, mapped_source, mapping_in_force},
    ui::{
        Badge, Banner, Button, Card, Crumb, Crumbs, Door, Field, LinkButton, Look, PageHead,
        Textarea, Time, Tone,
        format::{self, Reader},
    },
    words,
};

/// Records that a mapping is tried on.
const SAMPLES: usize = 5;
/// Empty lines below those that are filled.
const SPARE: usize = 3;
/// Fields of a record that are offered, each by its pointer.
const OFFERED: usize = 200;

/// A line as it was typed.
#[derive(Clone, Default)]
struct Row {
    target: String,
    from: String,
    transforms: String,
}

/// What stands in the form.
struct Typed {
    version: u32,
    note: String,
    workers: Vec<Row>,
    units: Vec<Row>,
    /// What was to be imported and is not a mapping.
    json: String,
    wrong: Vec<Violation>,
}

/// What a try on real records gave.
struct Tried {
    previews: Vec<Preview>,
    never_met: Vec<Fault>,
}

impl Row {
    fn of(line: &Line) -> Self {
        Self {
            target: line.target.name().into(),
            from: line.from.clone(),
            transforms: mapping::written(&line.transforms),
        }
    }

    fn read(&self, place: &str) -> Result<Line, Violation> {
        Ok(Line {
            target: self.target.parse()?,
            from: self.from.clone(),
            transforms: mapping::read(&format!("{place}.transforms"), &self.transforms)?,
        })
    }
}

impl Typed {
    fn of(mapping: &Mapping, version: u32) -> Self {
        let rows = |lines: &[Line]| lines.iter().map(Row::of).collect();
        Self {
            version,
            note: String::new(),
            workers: rows(&mapping.worker),
            units: rows(&mapping.unit),
            json: String::new(),
            wrong: Vec::new(),
        }
    }

    fn posted(posted: &Posted) -> Self {
        let rows = |part: &str| {
            let all = |what: &str| {
                let name = format!("{part}.{what}");
                posted
                    .all(&name)
                    .map(|text| text.trim().to_owned())
                    .collect::<Vec<_>>()
            };
            let (targets, froms, transforms) = (all("target"), all("from"), all("do"));
            let rows = targets.into_iter().zip(froms).zip(transforms);
            let rows = rows.map(|((target, from), transforms)| Row {
                target,
                from,
                transforms,
            });
            rows.filter(|row| !row.target.is_empty())
                .take(FIELDS_MAX + 1)
                .collect()
        };
        Self {
            version: posted.parse("version", "a version").unwrap_or(0),
            note: posted.get("note").to_owned(),
            workers: rows("worker"),
            units: rows("unit"),
            json: String::new(),
            wrong: Vec::new(),
        }
    }

    /// The mapping that was typed, or everything that is wrong with it.
    fn read(&self) -> Result<Mapping, Vec<Violation>> {
        let mut wrong = Vec::new();
        let mut lines = |part: &str, rows: &[Row]| {
            let mut lines = Vec::with_capacity(rows.len());
            for (at, row) in rows.iter().enumerate() {
                match row.read(&format!("{part}.{at}")) {
                    Ok(line) => lines.push(line),
                    Err(violation) => wrong.push(violation),
                }
            }
            lines
        };
        let mapping = Mapping {
            worker: lines("worker", &self.workers),
            unit: lines("unit", &self.units),
        };
        if wrong.is_empty() {
            mapping.check()?;
            Ok(mapping)
        } else {
            Err(wrong)
        }
    }

    /// What is wrong with a line, and with nothing but the whole part for `at` of `None`.
    fn error(&self, part: &str, at: Option<usize>) -> Option<String> {
        let place = at.map_or_else(|| format!("{part}.id"), |at| format!("{part}.{at}."));
        let wrong = self.wrong.iter().find(|wrong| match at {
            Some(_) => wrong.field().starts_with(&place),
            None => wrong.field() == place || wrong.field() == part,
        })?;
        Some(words::violation(wrong))
    }
}

/// `GET /console/sources/{id}/mapping`
pub async fn show(visit: Visit, Path(source): Path<String>) -> Result<Response, AppError> {
    manages(&visit)?;
    let id = SourceId(id(&source)?);
    let (mapping, by) = in_force(&visit, id).await?;
    // Whoever is to judge a mapping that nobody made wants to see what it does.
    let tried = match by {
        MappedBy::Names => Some(try_out(&visit, id, &mapping).await?),
        _ => None,
    };
    let version = match &by {
        MappedBy::Version(set) => set.version,
        _ => 0,
    };
    let typed = Typed::of(&mapping, version);
    page(visit, id, typed, Some(by), tried, None).await
}

/// `GET /console/sources/{id}/mapping.json`: the mapping in force as a file.
pub async fn export(visit: Visit, Path(source): Path<String>) -> Result<Response, AppError> {
    manages(&visit)?;
    let id = SourceId(id(&source)?);
    let (mapping, ..) = in_force(&visit, id).await?;
    let file = [(
        header::CONTENT_DISPOSITION,
        "attachment; filename=\"mapping.json\"",
    )];
    Ok((file, Json(mapping)).into_response())
}

async fn in_force(visit: &Visit, id: SourceId) -> Result<(Mapping, MappedBy), AppError> {
    let (store, guard) = (&visit.portal.store, &visit.portal.site.guard);
    Ok(mapping_in_force(store, guard, &visit.viewer, id).await?)
}

/// What brings the mapping of a source that has none of its own.
fn bringer(source: &Source) -> String {
    let kind = source_words::kind_label(&source.kind);
    match source.settings.get("preset").map(|name| name.trim()) {
        Some(name) if !name.is_empty() => erp_adapters::preset(&source.kind, name)
            .map_or_else(|| format!("{kind}, {name}"), |preset| preset.label),
        _ => kind,
    }
}

/// Faults of an import that are told at once.
const FAULTS_TOLD: usize = 5;

/// A mapping from its JSON, or what is wrong with it; each fault is of `json`, and then where in it.
fn imported(text: &str) -> Result<Mapping, Vec<Violation>> {
    let json = serde_json::from_str(text).map_err(|_| {
        vec![Violation::BadFormat {
            field: "json".into(),
            expected: "a mapping as it is exported here".into(),
        }]
    })?;
    Mapping::read(&json, "json")
}

/// What is wrong with an import, each fault after its place.
fn wrong_import(wrong: &[Violation]) -> Option<String> {
    let faults = wrong.iter().filter_map(|wrong| {
        let place = wrong.field().strip_prefix("json")?;
        let told = words::violation(wrong);
        Some(match place {
            "" => told,
            place => format!("{place}: {told}"),
        })
    });
    let mut told: Vec<_> = faults.take(FAULTS_TOLD + 1).collect();
    if told.len() > FAULTS_TOLD {
        told[FAULTS_TOLD] = "There is more.".into();
    }
    (!told.is_empty()).then(|| told.join(" "))
}

/// `POST /console/sources/{id}/mapping`
pub async fn set(
    visit: Visit,
    Path(source): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    manages(&visit)?;
    let id = SourceId(id(&source)?);
    let home = format!("/console/sources/{id}");
    let store = &visit.portal.store;
    mapped_source(store, &visit.viewer, id).await?;
    if let Some(text) = posted.filled("json") {
        let mut typed = Typed::posted(&posted);
        return match imported(text) {
            Ok(mapping) => {
                let version = typed.version;
                let typed = Typed {
                    note: typed.note,
                    ..Typed::of(&mapping, version)
                };
                page(visit, id, typed, None, None, Some(Ok(()))).await
            }
            Err(wrong) => {
                typed.json = text.to_owned();
                typed.wrong = wrong;
                refused(visit, id, typed).await
            }
        };
    }
    let mut typed = Typed::posted(&posted);
    if posted.ticked("try") && typed.workers.is_empty() {
        // Nobody can map fields that they have not seen.
        let tried = try_out(&visit, id, &erp_adapters::unmapped()).await?;
        return page(visit, id, typed, None, Some(tried), None).await;
    }
    let mapping = match typed.read() {
        Ok(mapping) => mapping,
        Err(wrong) => {
            typed.wrong = wrong;
            return refused(visit, id, typed).await;
        }
    };
    if posted.ticked("try") {
        let tried = try_out(&visit, id, &mapping).await?;
        return page(visit, id, typed, None, Some(tried), None).await;
    }
    let set = store
        .set_mapping(&visit.viewer, id, typed.version, mapping, &typed.note)
        .await;
    if let Err(error @ store::Error::Conflict("stale_version")) = &set {
        // What was typed stays; it was made from an older version.
        let problem = crate::edge::Problem::from(error);
        let told = words::problem(&problem).1;
        return page(visit, id, typed, None, None, Some(Err(told))).await;
    }
    let done = "The mapping is set. The next run reads everything and follows it.";
    answer(
        &visit.session,
        &posted,
        set,
        &format!("{home}/mapping"),
        |_| home.clone(),
        done,
    )
    .await
}

async fn refused(visit: Visit, id: SourceId, typed: Typed) -> Result<Response, AppError> {
    let response = page(visit, id, typed, None, None, None).await?;
    Ok(super::form::with_status(response, true))
}

type Outcome = Result<Tried, erp_adapters::Error>;

/// Asks the source for some records and follows the mapping with them. Nothing is kept.
async fn try_out(visit: &Visit, id: SourceId, mapping: &Mapping) -> Result<Outcome, AppError> {
    let store = &visit.portal.store;
    let guard = &visit.portal.site.guard;
    let source = store.source(&visit.viewer, id).await?;
    let settings = store.source_settings(&visit.viewer, id).await?;
    let adapter = match erp_adapters::open(&source.kind, &settings, Some(mapping), guard) {
        Ok(adapter) => adapter,
        Err(error) => return Ok(Err(error)),
    };
    let samples = tokio::time::timeout(PATIENCE, adapter.sample(SAMPLES)).await;
    let samples = match samples {
        Ok(Ok(samples)) => samples,
        Ok(Err(error)) => return Ok(Err(error)),
        Err(_) => return Ok(Err(erp_adapters::Error::TimedOut { after: PATIENCE })),
    };
    let (previews, never_met) = preview(mapping, samples);
    Ok(Ok(Tried {
        previews,
        never_met,
    }))
}

async fn page(
    visit: Visit,
    id: SourceId,
    typed: Typed,
    by: Option<MappedBy>,
    tried: Option<Outcome>,
    told: Option<Result<(), String>>,
) -> Result<Response, AppError> {
    let store = &visit.portal.store;
    let source = store.source(&visit.viewer, id).await?;
    let versions = store.mappings(&visit.viewer, id).await?;
    let reader = visit.reader;
    let told = told.map(|told| match told {
        Ok(()) => {
            let done = "Look through the lines, then set it.".to_owned();
            ("Read from the text, and not set yet.", Tone::Positive, done)
        }
        Err(text) => ("The mapping was not set", Tone::Critical, text),
    });
    visit
        .page("Mapping", Door::Sources, move || {
            let home = format!("/console/sources/{id}");
            let (file, back) = (format!("{home}/mapping.json"), home.clone());
            let offered = tried.as_ref().and_then(|tried| tried.as_ref().ok()).map(offered);
            view! {
                <div class="page page--wide">
                    <Crumbs crumbs=vec![
                        Crumb::link("Sources", "/console/sources"),
                        Crumb::link(source.name.clone(), back),
                        Crumb::here("Mapping"),
                    ] />
                    <PageHead title="Mapping" sentence=format!("Which field of {} becomes what here. Nothing is set before you say so.", source.name)>
                        <LinkButton text="Export" href=file icon=Some(crate::ui::Glyph::Download) />
                    </PageHead>
                    {by.and_then(|by| beginning(&by, &source, &typed)).map(|(title, tone, text)| view! {
                        <div class="page__notice">
                            <Banner title=title tone=tone>{text}</Banner>
                        </div>
                    })}
                    {told.map(|told| view! {
                        <div class="page__notice">
                            <Banner title=told.0 tone=told.1>{told.2}</Banner>
                        </div>
                    })}
                    {(!typed.wrong.is_empty()).then(super::form::not_yet)}
                    <div class="stack stack--loose">
                        {form(&home, &typed)}
                        {offered.map(|fields| view! {
                            <datalist id="fields">{fields.into_iter().map(|field| view! { <option value=field></option> }).collect_view()}</datalist>
                        })}
                        {tried.map(outcome)}
                        {history(&versions, &source, reader)}
                    </div>
                </div>
            }
        })
        .await
}

/// Where the lines come from, and what that means: title, tone and text of a banner.
fn beginning(by: &MappedBy, source: &Source, typed: &Typed) -> Option<(String, Tone, String)> {
    const UNTIL: &str = "Runs follow these lines until a mapping is set. Setting them, changed or not, makes version 1.";
    let has_id = typed
        .workers
        .iter()
        .any(|row| row.target == Target::Id.name());
    Some(match by {
        MappedBy::Version(_) => return None,
        MappedBy::Kind => (
            format!("These lines come with {}", bringer(source)),
            Tone::Info,
            UNTIL.to_owned(),
        ),
        MappedBy::Names if has_id => (
            "Made from the names of the columns".to_owned(),
            Tone::Info,
            format!("{UNTIL} A column whose name is not understood is not read."),
        ),
        MappedBy::Names => (
            "No column is called like an employee number".to_owned(),
            Tone::Warning,
            "The other names were understood as below. Say which column is the id and set the mapping; nothing can be read before."
                .to_owned(),
        ),
        MappedBy::Nothing(None) => (
            "There is no mapping yet".to_owned(),
            Tone::Info,
            "Nothing can be read before one is set. Try on real records shows which fields there are."
                .to_owned(),
        ),
        MappedBy::Nothing(Some(error)) => {
            let (what, todo) = source_words::trouble(error);
            (
                "The names of the fields could not be read".to_owned(),
                Tone::Warning,
                format!("{what} {todo}"),
            )
        }
    })
}

fn form(home: &str, typed: &Typed) -> AnyView {
    let (action, version, note) = (
        format!("{home}/mapping"),
        typed.version.to_string(),
        typed.note.clone(),
    );
    let bad_text = wrong_import(&typed.wrong);
    let json = typed.json.clone();
    let importing = bad_text.is_some();
    view! {
        <form class="stack stack--loose" method="post" action=action>
            <input type="hidden" name="version" value=version />
            {part("People", "worker", "Every person has an id by which the source tells them apart.", typed, &typed.workers)}
            {part("Units", "unit", "Without any line here, the units are those that people name.", typed, &typed.units)}
            <Card title="How to write what is done to a value" id="help">
                <p class="small">
                    "One after another, with | between: "
                    <code class="mono">"trim | lower | upper | title"</code>
                    ". "
                    <code class="mono">"part \",\" 1"</code>
                    " takes one part of a text, from 0, and from the end with -1. "
                    <code class="mono">"map \"3\"=\"Fitter\" else \"\""</code>
                    " puts one text for another. "
                    <code class="mono">"date \"%d.%m.%Y\""</code>
                    " reads a date. "
                    <code class="mono">"constant \"en-GB\""</code>
                    " takes nothing from the source. "
                    <code class="mono">"join \"/other\" \", \""</code>
                    " puts another field behind."
                </p>
            </Card>
            <Card title="Set" id="set">
                <div class="stack form">
                    <Field
                        label="Why"
                        name="note"
                        value=note
                        help="Stands in the history of this mapping."
                        optional=true
                        autocomplete="off"
                        max_length=Some(500)
                    />
                    <details class="more" open=importing>
                        <summary>"Import"</summary>
                        <Textarea
                            label="A mapping that was exported"
                            name="json"
                            value=json
                            rows=6
                            help="It takes the place of the lines above, and is not set by that."
                            error=bad_text
                            optional=true
                        />
                    </details>
                    <div class="row">
                        <Button text="Try on real records" name="try" value="yes" />
                        <Button text="Set mapping" look=Look::Primary />
                    </div>
                </div>
            </Card>
        </form>
    }
    .into_any()
}

/// The lines of people or of units, with some to fill.
fn part(
    title: &'static str,
    part: &'static str,
    help: &'static str,
    typed: &Typed,
    rows: &[Row],
) -> AnyView {
    let spare = if rows.is_empty() && part == "worker" {
        12
    } else {
        SPARE
    };
    let empty = std::iter::repeat_n(Row::default(), spare);
    let lines = rows
        .iter()
        .cloned()
        .chain(empty)
        .enumerate()
        .map(|(at, row)| {
            let error = typed
                .error(part, Some(at))
                .filter(|_| !row.target.is_empty());
            let below = format!("{part}-{at}-error");
            let described = error.is_some().then(|| below.clone());
            let n = at + 1;
            view! {
                <tr>
                    <td>
                        <select
                            class="input"
                            name=format!("{part}.target")
                            aria-label=format!("{title}, line {n}, becomes")
                            aria-describedby=described
                        >
                            <option value="">"Nothing"</option>
                            {targets(part)
                                .into_iter()
                                .map(|(name, label)| {
                                    let selected = name == row.target;
                                    view! { <option value=name selected=selected>{label}</option> }
                                })
                                .collect_view()}
                        </select>
                        {error.map(|error| view! { <p class="field__error" id=below>{error}</p> })}
                    </td>
                    <td>
                        <input
                            class="input mono"
                            name=format!("{part}.from")
                            value=row.from
                            list="fields"
                            maxlength="200"
                            autocomplete="off"
                            aria-label=format!("{title}, line {n}, from field")
                        />
                    </td>
                    <td>
                        <input
                            class="input mono"
                            name=format!("{part}.do")
                            value=row.transforms
                            maxlength="2000"
                            autocomplete="off"
                            aria-label=format!("{title}, line {n}, what is done to it")
                        />
                    </td>
                </tr>
            }
        })
        .collect_view();
    let whole = typed.error(part, None);
    view! {
        <Card title=title id=part>
            <div class="stack">
                <p class="muted">{help}</p>
                {whole.map(|error| view! { <p class="field__error">{error}</p> })}
                <div class="table-wrap" tabindex="0" role="region" aria-label=format!("Lines of the mapping: {title}")>
                    <table class="table mapping">
                        <thead>
                            <tr>
                                <th scope="col">"Becomes"</th>
                                <th scope="col">"From field"</th>
                                <th scope="col">"Done to it"</th>
                            </tr>
                        </thead>
                        <tbody>{lines}</tbody>
                    </table>
                </div>
            </div>
        </Card>
    }
    .into_any()
}

/// What a line can become, by name and label.
fn targets(part: &str) -> Vec<(&'static str, String)> {
    let unit = |target: Target| {
        matches!(
            target,
            Target::Id | Target::Name | Target::Parent | Target::Head
        )
    };
    let own = Target::OWN
        .into_iter()
        .filter(|(target, _)| {
            if part == "unit" {
                unit(*target)
            } else {
                *target == Target::Id || !unit(*target)
            }
        })
        .map(|(target, name)| (name, own_label(target).to_owned()));
    let attributes = Attribute::ALL.iter().filter(|attribute| {
        use Attribute::{Active, Department, Manager, Photos};
        !matches!(attribute, Active | Department | Manager | Photos)
    });
    let attributes =
        attributes.map(|attribute| (attribute.name(), words::attribute(*attribute).to_owned()));
    own.chain(attributes.filter(|_| part == "worker")).collect()
}

const fn own_label(target: Target) -> &'static str {
    match target {
        Target::Id => "Id in the source",
        Target::Active => "Works here",
        Target::Manager => "Superior’s id",
        Target::Unit => "Unit",
        Target::Name => "Name",
        Target::Parent => "Unit above",
        Target::Head => "Heads",
        Target::Photo => "Photo",
        Target::ChangedAt => "Last changed",
        Target::StartsOn => "First day",
        Target::EndsOn => "Last day",
        Target::DottedManagers => "Superiors by dotted line",
        Target::Attribute(_) => "",
    }
}

/// The fields that the records have, by pointer: what can be typed under “From field”.
fn offered(tried: &Tried) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    for preview in &tried.previews {
        collect(&preview.sample, &mut fields);
    }
    fields
}

fn collect(sample: &Sample, fields: &mut BTreeSet<String>) {
    let mut open = vec![(String::new(), &sample.record, 0)];
    while let Some((path, value, depth)) = open.pop() {
        match value {
            serde_json::Value::Object(inner) if depth < 3 => {
                for (key, value) in inner {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    open.push((format!("{path}/{key}"), value, depth + 1));
                }
            }
            _ if fields.len() < OFFERED => drop(fields.insert(path)),
            _ => {}
        }
    }
}

/// A finding in a line: what it is about by the label, if it has one.
fn told(fault: Fault) -> String {
    let Some(field) = fault.field else {
        return fault.what;
    };
    let label = match field.parse() {
        Ok(Target::Attribute(attribute)) => words::attribute(attribute),
        Ok(own) => own_label(own),
        Err(_) => &field,
    };
    format!("{label}: {}", fault.what)
}

fn outcome(tried: Outcome) -> AnyView {
    let tried = match tried {
        Ok(tried) => tried,
        Err(error) => {
            let (what, todo) = source_words::trouble(&error);
            return view! {
                <Banner title="The source gave no records to try" tone=Tone::Critical>
                    {format!("{what} {todo}")}
                </Banner>
            }
            .into_any();
        }
    };
    if tried.previews.is_empty() {
        return view! {
            <Banner title="The source has no records" tone=Tone::Warning>"There is nothing to try the mapping on."</Banner>
        }
        .into_any();
    }
    let missing = tried
        .never_met
        .into_iter()
        .map(|fault| view! { <li>{told(fault)}</li> })
        .collect::<Vec<_>>();
    let people = tried.previews.into_iter().map(person).collect_view();
    view! {
        <section class="stack" aria-labelledby="tried">
            <h2 id="tried">"On real records"</h2>
            <p class="muted">"Nothing was written."</p>
            {(!missing.is_empty())
                .then(|| view! {
                    <Banner title="Fields that no record has" tone=Tone::Warning>
                        <ul>{missing}</ul>
                    </Banner>
                })}
            {people}
        </section>
    }
    .into_any()
}

fn person(preview: Preview) -> AnyView {
    let title = preview
        .worker
        .as_ref()
        .map_or_else(|| "Left out".to_owned(), Worker::name);
    let lines = preview.worker.as_ref().map(lines).unwrap_or_default();
    let rows = lines
        .into_iter()
        .map(|(label, value)| view! { <tr><th scope="row">{label}</th><td>{value}</td></tr> })
        .collect_view();
    let faults = preview
        .faults
        .into_iter()
        .map(|fault| view! { <li>{told(fault)}</li> })
        .collect::<Vec<_>>();
    let raw = serde_json::to_string_pretty(&preview.sample.record).unwrap_or_default();
    view! {
        <section class="card">
            <header class="card__head">
                <h3>{title}</h3>
                <p class="mono small">{preview.sample.place}</p>
            </header>
            <div class="card__body stack">
                {(!faults.is_empty()).then(|| view! { <ul class="field__error">{faults}</ul> })}
                <table class="table">
                    <tbody>{rows}</tbody>
                </table>
                <details class="more">
                    <summary>"The record"</summary>
                    <pre class="mono small mapping__raw" tabindex="0">{raw}</pre>
                </details>
            </div>
        </section>
    }
    .into_any()
}

/// What a record became, line by line.
fn lines(worker: &Worker) -> Vec<(String, String)> {
    let mut lines = vec![
        (own_label(Target::Id).to_owned(), worker.external_id.clone()),
        (
            own_label(Target::Active).to_owned(),
            if worker.active { "yes" } else { "no" }.to_owned(),
        ),
    ];
    let mut add = |target: Target, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            lines.push((own_label(target).to_owned(), value));
        }
    };
    add(Target::Manager, worker.manager.clone());
    add(Target::Unit, worker.unit.clone());
    add(Target::Photo, worker.photo.clone());
    add(Target::ChangedAt, worker.changed_at.map(format::iso));
    add(
        Target::StartsOn,
        worker.starts_on.map(|day| day.to_string()),
    );
    add(Target::EndsOn, worker.ends_on.map(|day| day.to_string()));
    add(Target::DottedManagers, Some(worker.dotted.join(", ")));
    lines.extend(worker.attributes.iter().map(|(attribute, value)| {
        let value = value
            .as_ref()
            .map_or_else(|| "Empty".to_owned(), ToString::to_string);
        (words::attribute(*attribute).to_owned(), value)
    }));
    lines
}

fn history(versions: &[MappingVersion], source: &Source, reader: Reader) -> Option<AnyView> {
    if versions.is_empty() {
        return None;
    }
    let newest = versions[0].version;
    let items = versions
        .iter()
        .map(|one| {
            let when = (format::iso(one.set_at), reader.moment(one.set_at));
            let who = one.set_by.clone().unwrap_or_else(|| "The portal itself".into());
            let json = serde_json::to_string(&one.mapping).unwrap_or_default();
            let lines = one.mapping.worker.len() + one.mapping.unit.len();
            let action = format!("/console/sources/{}/mapping", source.id);
            view! {
                <li class="card__body row row--between">
                    <div>
                        <strong>{format!("Version {}", one.version)}</strong>
                        " "
                        {(one.version == newest).then(|| view! { <Badge text="In force" tone=Tone::Positive /> })}
                        <p class="small muted">
                            {format!("{who}, ")}
                            <Time iso=when.0 text=when.1 />
                            {format!(", {}", format::counted(lines as u64, "line", "lines"))}
                            {(!one.note.is_empty()).then(|| format!(". “{}”", one.note))}
                        </p>
                    </div>
                    {(one.version != newest).then(|| view! {
                        <form method="post" action=action>
                            <input type="hidden" name="version" value=newest.to_string() />
                            <input type="hidden" name="note" value=format!("Back to version {}", one.version) />
                            <input type="hidden" name="json" value=json />
                            <Button text="Take up again" height=crate::ui::Height::Small />
                        </form>
                    })}
                </li>
            }
        })
        .collect_view();
    Some(
        view! {
            <Card title="Versions" id="versions">
                <ul class="list plain">{items}</ul>
            </Card>
        }
        .into_any(),
    )
}

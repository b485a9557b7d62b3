//! What a person fills in. A label above, help below; an error takes the place of the help and the
//! typed text stays. Optional is written, required is not.

use super::{Glyph, Icon, Words, classes};
use leptos::prelude::*;

/// Ids of a field and of the text below it. `scope` keeps two forms of one page apart.
fn ids(scope: &str, name: &str) -> (String, String) {
    let id = format!("{scope}-{}", name.replace(['.', '[', ']', ' '], "-"));
    let below = format!("{id}-below");
    (id, below)
}

/// Label, control and the text below it.
fn framed(
    label: String,
    optional: bool,
    id: String,
    below_id: String,
    help: Option<String>,
    error: Option<String>,
    control: AnyView,
) -> AnyView {
    let below = match (error, help) {
        (Some(error), _) => Some(
            view! {
                <p class="field__error" id=below_id>
                    <Icon glyph=Glyph::Stop size=14 />
                    <span>{error}</span>
                </p>
            }
            .into_any(),
        ),
        (None, Some(help)) => {
            Some(view! { <p class="field__help" id=below_id>{help}</p> }.into_any())
        }
        (None, None) => None,
    };
    view! {
        <div class="field">
            <label class="field__label" for=id>
                {label}
                {optional.then(|| view! { <span class="muted">" (optional)"</span> })}
            </label>
            {control}
            {below}
        </div>
    }
    .into_any()
}

/// A line of text.
#[component]
pub fn Field(
    /// What is asked.
    #[prop(into)]
    label: String,
    /// Name it is sent under.
    #[prop(into)]
    name: String,
    /// What stands in it; after an error, what was typed.
    #[prop(optional, into)]
    value: Words,
    /// The `type` of the input.
    #[prop(default = "text")]
    kind: &'static str,
    /// A sentence below.
    #[prop(optional, into)]
    help: Words,
    /// What is wrong, then what to do.
    #[prop(optional, into)]
    error: Words,
    /// May be left empty. Otherwise the browser asks for it.
    #[prop(optional)]
    optional: bool,
    /// The `autocomplete` token.
    #[prop(optional, into)]
    autocomplete: Words,
    /// Longest input, in UTF-16 units as browsers count.
    #[prop(optional_no_strip)]
    max_length: Option<u32>,
    /// 40 high, for sign-in.
    #[prop(optional)]
    large: bool,
    /// Keeps the ids of two forms of one page apart.
    #[prop(default = "f")]
    scope: &'static str,
) -> AnyView {
    let (id, below) = ids(scope, &name);
    let described = (help.0.is_some() || error.0.is_some()).then(|| below.clone());
    let control = view! {
        <input
            class=classes("input", &[if large { "input--large" } else { "" }])
            id=id.clone()
            name=name
            type=kind
            value=value.0
            autocomplete=autocomplete.0
            maxlength=max_length.map(|length| length.to_string())
            required=!optional
            aria-invalid=error.0.is_some().then_some("true")
            aria-describedby=described
        />
    }
    .into_any();
    framed(label, optional, id, below, help.0, error.0, control)
}

/// Several lines of text.
#[component]
pub fn Textarea(
    /// What is asked.
    #[prop(into)]
    label: String,
    /// Name it is sent under.
    #[prop(into)]
    name: String,
    /// What stands in it; after an error, what was typed.
    #[prop(optional, into)]
    value: Words,
    /// A sentence below; a reason says here who will read it.
    #[prop(optional, into)]
    help: Words,
    /// What is wrong, then what to do.
    #[prop(optional, into)]
    error: Words,
    /// May be left empty. Otherwise the browser asks for it.
    #[prop(optional)]
    optional: bool,
    /// Lines at first.
    #[prop(default = 3)]
    rows: u8,
    /// Longest input, in UTF-16 units as browsers count.
    #[prop(optional_no_strip)]
    max_length: Option<u32>,
    /// Keeps the ids of two forms of one page apart.
    #[prop(default = "f")]
    scope: &'static str,
) -> AnyView {
    let (id, below) = ids(scope, &name);
    let described = (help.0.is_some() || error.0.is_some()).then(|| below.clone());
    // A browser drops one line break right after the opening tag.
    let text = value.0.map(|text| {
        if text.starts_with('\n') {
            format!("\n{text}")
        } else {
            text
        }
    });
    let control = view! {
        <textarea
            class="textarea"
            id=id.clone()
            name=name
            rows=rows.to_string()
            maxlength=max_length.map(|length| length.to_string())
            required=!optional
            aria-invalid=error.0.is_some().then_some("true")
            aria-describedby=described
        >
            {text.unwrap_or_default()}
        </textarea>
    }
    .into_any();
    framed(label, optional, id, below, help.0, error.0, control)
}

/// One of a few values to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is read.
    pub label: String,
}

impl Choice {
    /// From value and label.
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            label: label.into(),
        }
    }
}

fn select_control(
    id: String,
    name: String,
    choices: Vec<Choice>,
    selected: &str,
    invalid: bool,
    described: Option<String>,
) -> AnyView {
    view! {
        <span class="select-wrap">
            <select
                class="select"
                id=id
                name=name
                aria-invalid=invalid.then_some("true")
                aria-describedby=described
            >
                {choices
                    .into_iter()
                    .map(|choice| {
                        let chosen = choice.value == selected;
                        view! {
                            <option value=choice.value selected=chosen>
                                {choice.label}
                            </option>
                        }
                    })
                    .collect_view()}
            </select>
            <Icon glyph=Glyph::Down size=16 />
        </span>
    }
    .into_any()
}

/// A list to choose one value from.
#[component]
pub fn Select(
    /// What is asked.
    #[prop(into)]
    label: String,
    /// Name it is sent under.
    #[prop(into)]
    name: String,
    /// What can be chosen.
    choices: Vec<Choice>,
    /// The chosen value.
    #[prop(optional, into)]
    selected: String,
    /// A sentence below.
    #[prop(optional, into)]
    help: Words,
    /// What is wrong, then what to do.
    #[prop(optional, into)]
    error: Words,
    /// Keeps the ids of two forms of one page apart.
    #[prop(default = "f")]
    scope: &'static str,
) -> AnyView {
    let (id, below) = ids(scope, &name);
    let described = (help.0.is_some() || error.0.is_some()).then(|| below.clone());
    let control = select_control(
        id.clone(),
        name,
        choices,
        &selected,
        error.0.is_some(),
        described,
    );
    framed(label, false, id, below, help.0, error.0, control)
}

/// A list to choose one value from, in a toolbar: its label is read but not seen.
#[component]
pub fn ToolbarSelect(
    /// What is asked.
    #[prop(into)]
    label: String,
    /// Name it is sent under.
    #[prop(into)]
    name: String,
    /// What can be chosen.
    choices: Vec<Choice>,
    /// The chosen value.
    #[prop(optional, into)]
    selected: String,
    /// Keeps the ids of two forms of one page apart.
    #[prop(default = "t")]
    scope: &'static str,
) -> AnyView {
    let (id, _) = ids(scope, &name);
    view! {
        <label class="visually-hidden" for=id.clone()>
            {label}
        </label>
        {select_control(id, name, choices, &selected, false, None)}
    }
    .into_any()
}

/// A search input, whose label is read but not seen. It belongs into a GET form.
#[component]
pub fn Search(
    /// What can be searched for; also the placeholder.
    #[prop(into)]
    label: String,
    /// What was searched for.
    #[prop(optional, into)]
    value: Words,
    /// Name it is sent under.
    #[prop(default = "q")]
    name: &'static str,
    /// Keeps the ids of two forms of one page apart.
    #[prop(default = "s")]
    scope: &'static str,
) -> AnyView {
    let (id, _) = ids(scope, name);
    view! {
        <div class="search">
            <Icon glyph=Glyph::Search size=16 />
            <label class="visually-hidden" for=id.clone()>
                {label.clone()}
            </label>
            <input
                class="search__field"
                id=id
                name=name
                type="search"
                value=value.0
                placeholder=label
                maxlength="200"
                autocomplete="off"
            />
        </div>
    }
    .into_any()
}

/// A checkbox or, with `radio`, one of a group.
#[component]
pub fn Check(
    /// What it says.
    #[prop(into)]
    label: String,
    /// Name it is sent under.
    #[prop(into)]
    name: String,
    /// Sent when ticked.
    #[prop(default = "on".to_owned(), into)]
    value: String,
    /// Ticked.
    #[prop(optional)]
    checked: bool,
    /// One of a group instead of a box of its own.
    #[prop(optional)]
    radio: bool,
    /// A second line.
    #[prop(optional, into)]
    help: Words,
    /// A figure at the end of the line.
    #[prop(optional, into)]
    figure: Words,
) -> AnyView {
    view! {
        <label class="check">
            <input type=if radio { "radio" } else { "checkbox" } name=name value=value checked=checked />
            <span>
                {label} " " {figure.0.map(|figure| view! { <span class="muted">{figure}</span> })}
            </span>
            {help.0.map(|help| view! { <span class="check__help">{help}</span> })}
        </label>
    }.into_any()
}

/// A switch, for what applies when the form is sent.
#[component]
pub fn Switch(
    /// What it says.
    #[prop(into)]
    label: String,
    /// Name it is sent under.
    #[prop(into)]
    name: String,
    /// On.
    #[prop(optional)]
    checked: bool,
) -> AnyView {
    view! {
        <label class="switch">
            <input type="checkbox" role="switch" name=name checked=checked />
            <span>{label}</span>
        </label>
    }
    .into_any()
}

/// A field that a rule locks: text with a chip, not a grey input.
#[component]
pub fn LockedField(
    /// What it is.
    #[prop(into)]
    label: String,
    /// The value shown.
    #[prop(into)]
    value: String,
    /// Why, as in "Locked by rule 2".
    #[prop(into)]
    lock: String,
    /// What happens to the person's own value meanwhile.
    #[prop(optional, into)]
    help: Words,
) -> AnyView {
    view! {
        <div class="field" role="group" aria-label=label>
            <span class="field__label">{label.clone()}</span>
            <p class="field__locked">
                <span>{value}</span>
                <LockChip text=lock />
            </p>
            {help.0.map(|help| view! { <p class="field__help">{help}</p> })}
        </div>
    }
    .into_any()
}

/// A lock and the rule that sets it.
#[component]
pub fn LockChip(
    /// As in "Locked by rule 2".
    #[prop(into)]
    text: String,
) -> AnyView {
    view! {
        <span class="source">
            <Icon glyph=Glyph::Lock />
            {text}
        </span>
    }
    .into_any()
}

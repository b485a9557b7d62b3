//! What the portal tells a person: banner, toast, empty, error, loading, progress.

use super::{Glyph, Icon, Tone, Words, classes};
use leptos::prelude::*;

/// A message at the place it is about. Critical ones interrupt a screen reader.
#[component]
pub fn Banner(
    /// What happened, in a few words.
    #[prop(into)]
    title: String,
    /// Info, positive, warning, critical or oversight.
    tone: Tone,
    /// Links and forms at the end.
    #[prop(optional)]
    actions: Option<AnyView>,
    /// The rest of the message.
    #[prop(optional)]
    children: Option<Children>,
) -> AnyView {
    let glyph = match tone {
        Tone::Positive => Glyph::Done,
        Tone::Warning => Glyph::Warning,
        Tone::Critical => Glyph::Stop,
        Tone::Oversight => Glyph::Eye,
        Tone::Neutral | Tone::Accent | Tone::Info => Glyph::Info,
    };
    let role = if tone == Tone::Critical {
        "alert"
    } else {
        "status"
    };
    view! {
        <div class=classes("banner", &[&tone.of("banner")]) role=role>
            <Icon glyph=glyph />
            <div class="banner__text">
                <strong>{title}</strong>
                {children.map(|children| children())}
            </div>
            {actions.map(|actions| view! { <div class="banner__actions">{actions}</div> })}
        </div>
    }
    .into_any()
}

/// Nothing here yet: one heading, one sentence, at most one button.
#[component]
pub fn EmptyState(
    /// Above the heading.
    glyph: Glyph,
    /// What is missing.
    #[prop(into)]
    title: String,
    /// When something will be here, or what to do.
    #[prop(into)]
    sentence: String,
    /// At most one button.
    #[prop(optional)]
    children: Option<Children>,
) -> AnyView {
    view! {
        <div class="empty">
            <Icon glyph=glyph />
            <h2>{title}</h2>
            <p>{sentence}</p>
            {children.map(|children| children())}
        </div>
    }
    .into_any()
}

/// The whole of a page that failed. Forbidden and missing read the same. An unexpected failure shows
/// only a reference id; its cause is in the log under the same id.
#[component]
pub fn ErrorState(
    /// What is wrong.
    #[prop(into)]
    title: String,
    /// What to do.
    #[prop(into)]
    sentence: String,
    /// What to quote when asking for help.
    #[prop(optional, into)]
    reference: Words,
    /// At most one button.
    #[prop(optional)]
    children: Option<Children>,
) -> AnyView {
    view! {
        <div class="empty">
            <Icon glyph=Glyph::Warning />
            <h1>{title}</h1>
            <p>{sentence}</p>
            {reference
                .0
                .map(|reference| {
                    view! {
                        <p>"Reference to quote: " <span class="mono">{reference}</span></p>
                    }
                })}
            {children.map(|children| children())}
        </div>
    }
    .into_any()
}

/// A thing done that can be undone. Never an error.
#[component]
pub fn Toast(
    /// What was done.
    #[prop(into)]
    text: String,
    /// The way to undo it.
    #[prop(optional)]
    children: Option<Children>,
) -> AnyView {
    view! {
        <div class="toast" role="status">
            <Icon glyph=Glyph::Done />
            <span class="toast__text">{text}</span>
            {children.map(|children| children())}
        </div>
    }
    .into_any()
}

/// Three grey lines in the place of what loads.
#[component]
pub fn Skeleton() -> AnyView {
    view! {
        <div class="skeleton" role="status" aria-label="Loading">
            <i></i>
            <i></i>
            <i></i>
        </div>
    }
    .into_any()
}

/// How far something is.
#[component]
pub fn Progress(
    /// Done so far.
    value: u64,
    /// All of it; at zero the progress is not known yet.
    max: u64,
    /// In words, as in "18 of 31 steps applied".
    #[prop(into)]
    label: String,
    /// Accent, warning or critical.
    #[prop(optional)]
    tone: Tone,
    /// 4 px instead of 8.
    #[prop(optional)]
    thin: bool,
) -> AnyView {
    let tone = match tone {
        Tone::Warning | Tone::Critical => tone.of("progress"),
        _ => String::new(),
    };
    let known = max > 0;
    view! {
        <progress
            class=classes("progress", &[if thin { "progress--thin" } else { "" }, &tone])
            value=known.then(|| value.min(max).to_string())
            max=known.then(|| max.to_string())
            aria-label=label
        >
            {label.clone()}
        </progress>
    }
    .into_any()
}

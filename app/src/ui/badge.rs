//! Badges, states and counts. A state is never colour alone: each has a shape and a word.

use super::{Glyph, Icon, classes};
use leptos::prelude::*;

/// What a colour means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular; as a status: off.
    #[default]
    Neutral,
    /// Chosen or current.
    Accent,
    /// Good; as a status a dot.
    Positive,
    /// Waits; as a status a square.
    Warning,
    /// Bad; as a status a diamond.
    Critical,
    /// Planned; as a status a ring.
    Info,
    /// Somebody reads somebody else's words, and nothing else.
    Oversight,
}

impl Tone {
    /// The modifier of a block, as in `badge--warning`; empty when neutral.
    pub(super) fn of(self, block: &str) -> String {
        let name = match self {
            Self::Neutral => return String::new(),
            Self::Accent => "accent",
            Self::Positive => "positive",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Info => "info",
            Self::Oversight => "oversight",
        };
        format!("{block}--{name}")
    }
}

/// A word in a box.
#[component]
pub fn Badge(
    /// What it says.
    #[prop(into)]
    text: String,
    /// What its colour means.
    #[prop(optional)]
    tone: Tone,
    /// Before the word.
    #[prop(optional_no_strip)]
    icon: Option<Glyph>,
    /// Further classes, such as `push`.
    #[prop(optional)]
    class: &'static str,
) -> AnyView {
    view! {
        <span class=classes(
            "badge",
            &[&tone.of("badge"), class],
        )>{icon.map(|glyph| view! { <Icon glyph=glyph /> })} {text}</span>
    }
    .into_any()
}

/// A sign and a word: dot for good, square for wait, diamond for bad, ring for planned, grey dot for
/// off.
#[component]
pub fn Status(
    /// What it says.
    #[prop(into)]
    text: String,
    /// Which sign.
    #[prop(optional)]
    tone: Tone,
) -> AnyView {
    view! { <span class=classes("status", &[&tone.of("status")])>{text}</span> }.into_any()
}

/// A number that asks for attention, with the words that a screen reader adds, as in "3 unread".
/// Nothing at zero.
#[component]
pub fn Count(
    /// How many.
    count: u64,
    /// What is counted.
    #[prop(into)]
    what: String,
    /// Neutral, accent or oversight.
    #[prop(optional)]
    tone: Tone,
) -> AnyView {
    (count > 0)
        .then(|| {
            let shown = if count > 99 {
                "99+".to_owned()
            } else {
                count.to_string()
            };
            view! {
                <span class=classes("count", &[&tone.of("count")])>
                    {shown} <span class="visually-hidden">{format!(" {what}")}</span>
                </span>
            }
        })
        .into_any()
}

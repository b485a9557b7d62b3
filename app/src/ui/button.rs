//! Buttons and links that look like buttons. The words are a verb and an object.

use super::{Glyph, Icon, Words, classes};
use leptos::prelude::*;

/// How a button looks. At most one [`Look::Primary`] in a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// Bordered.
    #[default]
    Default,
    /// Filled petrol.
    Primary,
    /// Without an edge.
    Quiet,
    /// Outlined red, for a step that takes something away.
    Critical,
    /// Filled red, for the last such step only.
    CriticalFill,
    /// Filled damson: open or end a review.
    Oversight,
}

impl Look {
    fn class(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Primary => "btn--primary",
            Self::Quiet => "btn--quiet",
            Self::Critical => "btn--critical",
            Self::CriticalFill => "btn--critical-fill",
            Self::Oversight => "btn--oversight",
        }
    }
}

/// How tall a button is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Height {
    /// 28, in rows and tables.
    Small,
    /// 32.
    #[default]
    Default,
    /// 40, at sign-in.
    Large,
    /// 40 and as wide as its place.
    LargeWide,
}

impl Height {
    fn class(self) -> &'static str {
        match self {
            Self::Small => "btn--small",
            Self::Default => "",
            Self::Large => "btn--large",
            Self::LargeWide => "btn--large btn--wide",
        }
    }
}

/// A submit button. Outside an island it belongs into a form; what only a script could do is an
/// island's own `<button>`.
#[component]
pub fn Button(
    /// The words.
    #[prop(into)]
    text: String,
    /// How it looks.
    #[prop(optional)]
    look: Look,
    /// How tall it is.
    #[prop(optional)]
    height: Height,
    /// Before the words.
    #[prop(optional_no_strip)]
    icon: Option<Glyph>,
    /// Name and value it sends.
    #[prop(optional, into)]
    name: Words,
    /// Sent under `name`.
    #[prop(optional, into)]
    value: Words,
    /// Where it sends the form instead of the form's own action.
    #[prop(optional, into)]
    action: Words,
    /// Cannot be used; the page says why in a sentence near it.
    #[prop(optional)]
    disabled: bool,
) -> AnyView {
    view! {
        <button
            class=classes("btn", &[look.class(), height.class()])
            type="submit"
            name=name.0
            value=value.0
            formaction=action.0
            disabled=disabled
        >
            {icon.map(|glyph| view! { <Icon glyph=glyph /> })}
            {text}
        </button>
    }
    .into_any()
}

/// A submit button with an icon alone, and the words that name it.
#[component]
pub fn IconButton(
    /// The drawing.
    glyph: Glyph,
    /// The words, for assistive technology and as a tooltip.
    #[prop(into)]
    label: String,
    /// Name and value it sends.
    #[prop(optional, into)]
    name: Words,
    /// Sent under `name`.
    #[prop(optional, into)]
    value: Words,
) -> AnyView {
    view! {
        <button
            class="btn btn--icon btn--quiet btn--small"
            type="submit"
            name=name.0
            value=value.0
            title=label.clone()
            aria-label=label
        >
            <Icon glyph=glyph />
        </button>
    }
    .into_any()
}

/// A link that looks like a button.
#[component]
pub fn LinkButton(
    /// The words.
    #[prop(into)]
    text: String,
    /// Where it leads.
    #[prop(into)]
    href: String,
    /// How it looks.
    #[prop(optional)]
    look: Look,
    /// How tall it is.
    #[prop(optional)]
    height: Height,
    /// Before the words.
    #[prop(optional_no_strip)]
    icon: Option<Glyph>,
) -> AnyView {
    view! {
        <a class=classes("btn", &[look.class(), height.class()]) href=href>
            {icon.map(|glyph| view! { <Icon glyph=glyph /> })}
            {text}
        </a>
    }
    .into_any()
}

/// A link with an icon alone, and the words that name it.
#[component]
pub fn IconLink(
    /// The drawing.
    glyph: Glyph,
    /// The words, for assistive technology and as a tooltip.
    #[prop(into)]
    label: String,
    /// Where it leads.
    #[prop(into)]
    href: String,
    /// Further classes, such as `only-narrow`.
    #[prop(optional)]
    class: &'static str,
) -> AnyView {
    view! {
        <a
            class=classes("btn btn--icon btn--quiet btn--small", &[class])
            href=href
            title=label.clone()
            aria-label=label
        >
            <Icon glyph=glyph />
        </a>
    }
    .into_any()
}

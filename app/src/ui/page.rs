//! What a page is made of: crumbs, head, cards, facts, tabs, dialogs, times.

use super::{Count, Glyph, Icon, Tone, Words, classes};
use leptos::prelude::*;

/// A place on the way to the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crumb {
    /// Its name.
    pub label: String,
    /// Where it is; `None` for the page itself.
    pub href: Option<String>,
}

impl Crumb {
    /// A place above the page.
    pub fn link(label: impl Into<String>, href: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            href: Some(href.into()),
        }
    }

    /// The page itself.
    pub fn here(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            href: None,
        }
    }
}

/// The way to the page.
#[component]
pub fn Crumbs(
    /// From the top to the page itself.
    crumbs: Vec<Crumb>,
) -> AnyView {
    view! {
        <nav class="crumbs" aria-label="Breadcrumb">
            <ol>
                {crumbs
                    .into_iter()
                    .map(|crumb| match crumb.href {
                        Some(href) => {
                            view! {
                                <li>
                                    <a href=href>{crumb.label}</a>
                                </li>
                            }
                                .into_any()
                        }
                        None => view! { <li aria-current="page">{crumb.label}</li> }.into_any(),
                    })
                    .collect_view()}
            </ol>
        </nav>
    }
    .into_any()
}

/// The page's heading, one sentence, and what can be done, at most one of it primary.
#[component]
pub fn PageHead(
    /// The `h1`.
    #[prop(into)]
    title: String,
    /// One sentence.
    #[prop(optional, into)]
    sentence: Words,
    /// Beside the title.
    #[prop(optional)]
    badge: Option<AnyView>,
    /// Buttons and forms.
    #[prop(optional)]
    children: Option<Children>,
) -> AnyView {
    view! {
        <header class="page-head">
            <div class="page-head__text">
                <h1>{title} {badge.map(|badge| view! { " " {badge} })}</h1>
                {sentence.0.map(|sentence| view! { <p>{sentence}</p> })}
            </div>
            {children.map(|children| view! { <div class="page-head__actions">{children()}</div> })}
        </header>
    }
    .into_any()
}

/// A box with a heading. Never inside another.
#[component]
pub fn Card(
    /// The `h2`.
    #[prop(into)]
    title: String,
    /// Id of the heading, one per page.
    #[prop(into)]
    id: String,
    /// At the right of the heading.
    #[prop(optional)]
    end: Option<AnyView>,
    /// Below a hairline.
    #[prop(optional)]
    foot: Option<AnyView>,
    /// Without padding, for a list, a table or values.
    #[prop(optional)]
    flush: bool,
    /// What is in it.
    children: Children,
) -> AnyView {
    let body = if flush {
        children()
    } else {
        view! { <div class="card__body">{children()}</div> }.into_any()
    };
    view! {
        <section class="card" aria-labelledby=id>
            <header class="card__head">
                <h2 id=id.clone()>{title}</h2>
                {end}
            </header>
            {body}
            {foot.map(|foot| view! { <footer class="card__foot">{foot}</footer> })}
        </section>
    }
    .into_any()
}

/// The list that [`Fact`]s stand in.
#[component]
pub fn Facts(
    /// One column instead of two.
    #[prop(optional)]
    one: bool,
    /// The facts.
    children: Children,
) -> AnyView {
    view! { <dl class=classes("facts", &[if one { "facts--one" } else { "" }])>{children()}</dl> }
        .into_any()
}

/// A label and what it is.
#[component]
pub fn Fact(
    /// The label.
    #[prop(into)]
    label: String,
    /// What it is.
    children: Children,
) -> AnyView {
    view! {
        <div>
            <dt>{label}</dt>
            <dd>{children()}</dd>
        </div>
    }
    .into_any()
}

/// The frame that [`StatTile`]s share.
#[component]
pub fn StatTiles(
    /// The tiles.
    children: Children,
) -> AnyView {
    view! { <dl class="stats">{children()}</dl> }.into_any()
}

/// One figure.
#[component]
pub fn StatTile(
    /// What is counted.
    #[prop(into)]
    label: String,
    /// The figure, formatted.
    #[prop(into)]
    value: String,
    /// A note below.
    #[prop(optional, into)]
    note: Words,
    /// Too many.
    #[prop(optional)]
    critical: bool,
) -> AnyView {
    view! {
        <div class=classes("stat", &[if critical { "stat--critical" } else { "" }])>
            <dt>{label}</dt>
            <dd class="stat__value">{value}</dd>
            {note.0.map(|note| view! { <dd class="stat__note">{note}</dd> })}
        </div>
    }
    .into_any()
}

/// Things that happened, newest first unless the heading says otherwise.
#[component]
pub fn Timeline(
    /// [`TimelineItem`]s.
    children: Children,
) -> AnyView {
    view! { <ol class="timeline">{children()}</ol> }.into_any()
}

/// One thing that happened.
#[component]
pub fn TimelineItem(
    /// What kind.
    glyph: Glyph,
    /// When, formatted.
    #[prop(into)]
    when: String,
    /// The same as an ISO 8601 instant.
    #[prop(into)]
    iso: String,
    /// What.
    children: Children,
) -> AnyView {
    view! {
        <li>
            <Icon glyph=glyph />
            <div>
                {children()} <time class="when" datetime=iso>
                    {when}
                </time>
            </div>
        </li>
    }
    .into_any()
}

/// A link of [`Tabs`] or [`Segmented`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tab {
    /// The word.
    pub label: String,
    /// Where it leads.
    pub href: String,
    /// Whether it is where one is.
    pub current: bool,
    /// How many, where that is worth saying, and of what.
    pub count: Option<(u64, String)>,
    /// The count is of looks at somebody's words.
    pub oversight: bool,
}

impl Tab {
    /// A tab without a count.
    pub fn new(label: impl Into<String>, href: impl Into<String>, current: bool) -> Self {
        Self {
            label: label.into(),
            href: href.into(),
            current,
            count: None,
            oversight: false,
        }
    }

    /// The same tab with a count.
    #[must_use]
    pub fn counted(mut self, count: u64, what: impl Into<String>) -> Self {
        self.count = Some((count, what.into()));
        self
    }
}

fn tab_links(tabs: Vec<Tab>) -> AnyView {
    tabs.into_iter()
        .map(|tab| {
            let tone = if tab.oversight { Tone::Oversight } else { Tone::Neutral };
            view! {
                <a href=tab.href aria-current=tab.current.then_some("page")>
                    {tab.label}
                    {tab.count.map(|(count, what)| view! { <Count count=count what=what tone=tone /> })}
                </a>
            }
        })
        .collect_view().into_any()
}

/// Pages about one thing.
#[component]
pub fn Tabs(
    /// What they are about.
    #[prop(into)]
    label: String,
    /// The pages.
    tabs: Vec<Tab>,
) -> AnyView {
    view! {
        <nav class="tabs" aria-label=label>
            {tab_links(tabs)}
        </nav>
    }
    .into_any()
}

/// Two to four ways to see the same list, as links.
#[component]
pub fn Segmented(
    /// What is chosen.
    #[prop(into)]
    label: String,
    /// The ways.
    tabs: Vec<Tab>,
) -> AnyView {
    view! {
        <nav class="segmented" aria-label=label>
            {tab_links(tabs)}
        </nav>
    }
    .into_any()
}

/// One question. As `<dialog>` it waits for an island to call `showModal()`; as `page` it stands in
/// the flow of a page of its own, which is where its link leads without a script.
#[component]
pub fn Dialog(
    /// Id of the dialog, one per page; its heading's is `{id}-title`.
    #[prop(into)]
    id: String,
    /// The question, as in "Undo 18 steps".
    #[prop(into)]
    title: String,
    /// Where the answer is posted.
    #[prop(into)]
    action: String,
    /// Stands in a page of its own.
    #[prop(optional)]
    page: bool,
    /// The buttons: cancel first, the act last.
    foot: AnyView,
    /// What will happen, and fields.
    children: Children,
) -> AnyView {
    let title_id = format!("{id}-title");
    let heading = if page {
        view! { <h1 id=title_id.clone()>{title}</h1> }.into_any()
    } else {
        view! { <h2 id=title_id.clone()>{title}</h2> }.into_any()
    };
    let form = view! {
        <form method="post" action=action>
            <div class="dialog__head">{heading}</div>
            <div class="dialog__body">{children()}</div>
            <div class="dialog__foot">{foot}</div>
        </form>
    };
    if page {
        view! {
            <section class="dialog" id=id aria-labelledby=title_id>
                {form}
            </section>
        }
        .into_any()
    } else {
        view! {
            <dialog class="dialog" id=id aria-labelledby=title_id>
                {form}
            </dialog>
        }
        .into_any()
    }
}

/// An instant, already written for the reader's place and language by [`super::format`].
#[component]
pub fn Time(
    /// ISO 8601 instant or date.
    #[prop(into)]
    iso: String,
    /// What is read.
    #[prop(into)]
    text: String,
    /// Further classes.
    #[prop(optional)]
    class: &'static str,
) -> AnyView {
    view! {
        <time class=(!class.is_empty()).then_some(class) datetime=iso>
            {text}
        </time>
    }
    .into_any()
}

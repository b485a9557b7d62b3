//! Tables and the way through long lists.

use super::{Glyph, Icon, Words, classes};
use leptos::prelude::*;

/// Until which width a column is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hide {
    /// Never.
    #[default]
    Never,
    /// Up to 1180 px.
    Medium,
    /// Up to 640 px. The name cell then carries it as its second line.
    Narrow,
}

impl Hide {
    /// The class for the head and every cell of the column.
    pub fn class(self) -> &'static str {
        match self {
            Self::Never => "",
            Self::Medium => "hide-medium",
            Self::Narrow => "hide-narrow",
        }
    }
}

/// Which way a column is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// The head of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// What it holds, with the unit.
    pub label: String,
    /// Figures, at the right.
    pub numeric: bool,
    /// Read but not seen, as for a column of actions.
    pub unseen: bool,
    /// When it is left out.
    pub hide: Hide,
    /// The address that sorts by it.
    pub sort: Option<String>,
    /// How it is sorted now.
    pub sorted: Option<Order>,
}

impl Column {
    /// A column of text.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            ..Self::default()
        }
    }

    /// A column of figures.
    pub fn numeric(label: impl Into<String>) -> Self {
        Self {
            numeric: true,
            ..Self::new(label)
        }
    }

    /// A column of actions at the end of each row.
    pub fn actions() -> Self {
        Self {
            unseen: true,
            ..Self::new("Actions")
        }
    }

    /// The same column, left out in narrower windows.
    #[must_use]
    pub fn hide(mut self, hide: Hide) -> Self {
        self.hide = hide;
        self
    }

    /// The same column with a link that sorts by it.
    #[must_use]
    pub fn sort(mut self, href: impl Into<String>, sorted: Option<Order>) -> Self {
        self.sort = Some(href.into());
        self.sorted = sorted;
        self
    }
}

fn head(column: Column) -> AnyView {
    let sorted = column.sorted.map(|order| match order {
        Order::Ascending => "ascending",
        Order::Descending => "descending",
    });
    let inside = match (column.sort, column.unseen) {
        (Some(href), _) => {
            let glyph = match column.sorted {
                Some(Order::Ascending) => Glyph::Up,
                Some(Order::Descending) => Glyph::Down,
                None => Glyph::UpDown,
            };
            view! {
                <a class="sort" href=href>
                    {column.label}
                    <Icon glyph=glyph size=14 />
                </a>
            }
            .into_any()
        }
        (None, true) => view! { <span class="visually-hidden">{column.label}</span> }.into_any(),
        (None, false) => column.label.into_any(),
    };
    let numeric = if column.numeric { "num" } else { "" };
    let class = classes(numeric, &[column.hide.class()]);
    view! {
        <th scope="col" class=(!class.is_empty()).then_some(class) aria-sort=sorted>
            {inside}
        </th>
    }
    .into_any()
}

/// A table in a frame that scrolls by itself, with a caption that is read and, as `shown`, seen. The
/// children are rows; the first cell of a row is a `<th scope="row">`.
#[component]
pub fn Table(
    /// What the table holds, with counts and order.
    #[prop(into)]
    caption: String,
    /// The columns.
    columns: Vec<Column>,
    /// Further classes of the table.
    #[prop(optional)]
    class: &'static str,
    /// The rows.
    children: Children,
) -> AnyView {
    view! {
        <div class="table-wrap" tabindex="0" role="group" aria-label=caption>
            <table class=classes("table", &[class])>
                <caption class="visually-hidden">{caption.clone()}</caption>
                <thead>
                    <tr>{columns.into_iter().map(head).collect_view()}</tr>
                </thead>
                <tbody>{children()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// The line below a list: how much of it is shown, and links to the pages around. Without either link
/// only the text stands there.
#[component]
pub fn Pager(
    /// Exact counts, as in "1 to 15 of 41".
    #[prop(into)]
    text: String,
    /// Address of the page before.
    #[prop(optional, into)]
    before: Words,
    /// Address of the page after.
    #[prop(optional, into)]
    after: Words,
    /// The word for the page before.
    #[prop(default = "Previous")]
    before_word: &'static str,
    /// The word for the page after.
    #[prop(default = "Next")]
    after_word: &'static str,
) -> AnyView {
    let links = before.0.is_some() || after.0.is_some();
    let step = |href: Option<String>, word: &'static str, forth: bool| {
        let inside = view! {
            {(!forth).then(|| view! { <Icon glyph=Glyph::Left /> })}
            {word}
            {forth.then(|| view! { <Icon glyph=Glyph::Right /> })}
        };
        match href {
            Some(href) => view! {
                <a class="btn btn--small" href=href rel=if forth { "next" } else { "prev" }>
                    {inside}
                </a>
            }
            .into_any(),
            None => view! {
                <span class="btn btn--small" aria-disabled="true">
                    {inside}
                </span>
            }
            .into_any(),
        }
    };
    view! {
        <div class="table-meta">
            <span>{text}</span>
            {links
                .then(|| {
                    view! {
                        <nav class="pager" aria-label="Pages">
                            {step(before.0, before_word, false)}
                            {step(after.0, after_word, true)}
                        </nav>
                    }
                })}
        </div>
    }
    .into_any()
}

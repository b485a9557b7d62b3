//! The chain of the audit log.

use leptos::prelude::*;

/// How firm a part of the chain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// Under a signed checkpoint.
    Sealed,
    /// After the last checkpoint.
    Open,
    /// A note on what comes next; not a part of the chain.
    Next,
}

/// A run of entries between two checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First and last entry, as in "48 064 to 48 191"; empty for a note.
    pub entries: String,
    /// When it was or will be sealed.
    pub note: String,
    /// How firm it is.
    pub seal: Seal,
}

/// Segments in order, oldest first: a solid edge and link where sealed, dashed where open.
#[component]
pub fn Chain(
    /// The last few segments.
    segments: Vec<Segment>,
) -> AnyView {
    view! {
        <ol class="links">{segments.into_iter().map(|segment| view! { <ChainSegment segment=segment /> }).collect_view()}</ol>
    }.into_any()
}

/// One segment of a [`Chain`].
#[component]
pub fn ChainSegment(
    /// What to draw.
    segment: Segment,
) -> AnyView {
    let state = match segment.seal {
        Seal::Sealed => "sealed",
        Seal::Open => "open",
        Seal::Next => "next",
    };
    view! {
        <li data-state=state aria-current=(segment.seal == Seal::Open).then_some("true")>
            {(!segment.entries.is_empty())
                .then(|| view! { <span class="mono">{segment.entries}</span> })}
            <span class="small muted">{segment.note}</span>
        </li>
    }
    .into_any()
}

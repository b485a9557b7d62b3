//! Oversight: the band over every page of a review, and what stands in the place of hidden words.

use super::{Avatar, Face, Glyph, Icon, Words};
use leptos::prelude::*;

/// The facts of a review, in the order of the band.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewFacts {
    /// Whose words are read.
    pub subject: Face,
    /// Category and case, as in "Client complaint, case C-2291".
    pub why: String,
    /// What is in scope, as in "9 to 13 Nov, 3 conversations". Left out on phones.
    pub from: String,
    /// When it ends by itself, formatted.
    pub until: String,
    /// The same as an ISO 8601 instant.
    pub until_iso: String,
    /// Who sees the record, as in "Every page you open; Noah sees it".
    pub recorded: String,
}

/// The band. It comes first inside `main`, holds the page's `h1`, and cannot be closed.
#[component]
pub fn ReviewBand(
    /// What to say.
    facts: ReviewFacts,
    /// The way to end the review, and others.
    children: Children,
) -> AnyView {
    let title = format!("You are reading {}’s words", facts.subject.name);
    view! {
        <section class="band" aria-label="Review in progress">
            <div class="band__who">
                <Icon glyph=Glyph::Eye />
                <Avatar face=facts.subject size=28 />
            </div>
            <div>
                <h1 class="band__title">{title}</h1>
                <dl class="band__facts">
                    <div>
                        <dt>"Why"</dt>
                        <dd>{facts.why}</dd>
                    </div>
                    <div class="hide-narrow">
                        <dt>"From"</dt>
                        <dd>{facts.from}</dd>
                    </div>
                    <div>
                        <dt>"Until"</dt>
                        <dd>
                            <time datetime=facts.until_iso>{facts.until}</time>
                        </dd>
                    </div>
                    <div>
                        <dt>"Recorded"</dt>
                        <dd>{facts.recorded}</dd>
                    </div>
                </dl>
            </div>
            <div class="band__actions">{children()}</div>
        </section>
    }
    .into_any()
}

/// In the place of words that may not be read: the kind and the rule, never the length.
#[component]
pub fn RedactedLine(
    /// What is hidden, as in "Words of somebody outside your line".
    #[prop(into)]
    kind: String,
    /// By what, as in "Hidden by the oversight policy".
    #[prop(optional, into)]
    rule: Words,
    /// [`Glyph::EyeOff`] for hidden, [`Glyph::Undo`] for taken back.
    #[prop(default = Glyph::EyeOff)]
    glyph: Glyph,
) -> AnyView {
    let text = match rule.0 {
        Some(rule) => format!("{kind}. {rule}"),
        None => kind,
    };
    view! {
        <span class="redacted">
            <Icon glyph=glyph />
            {text}
        </span>
    }
    .into_any()
}

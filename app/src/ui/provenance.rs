//! Where a value comes from: the chip, the card that explains it, the row of a value, a change.

use super::{Badge, Glyph, Icon, Ring, RingKind, Tone, Words, classes};
use leptos::prelude::*;

/// One of the two values of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The value as written.
    pub value: String,
    /// Source and date, as in "Odoo, read today 09:00" or "You, 4 August 2026".
    pub from: String,
    /// Shown on the profile; otherwise kept.
    pub shown: bool,
}

/// The rule that chose between the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyRule {
    /// As in "Rule 7".
    pub name: String,
    /// Where the rule can be read, for who may read it.
    pub href: Option<String>,
    /// As in "ERP always wins".
    pub strength: String,
    /// The rest of the sentence: for whom, since when, by whom.
    pub sentence: String,
}

/// What a why-card says about one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The attribute in words, as in "Job title".
    pub label: String,
    /// The attribute's own name, as in `title`.
    pub attribute: String,
    /// The value shown; `None` where nothing is.
    pub value: Option<String>,
    /// What the ring says.
    pub ring: RingKind,
    /// The same in words, as in "ERP wins" or "Yours only".
    pub chip: String,
    /// The ERP's value: of the source that is heard.
    pub erp: Option<Side>,
    /// What other sources say, those that would be heard first first.
    pub others: Vec<Side>,
    /// The person's own value.
    pub own: Option<Side>,
    /// The rule that chose.
    pub rule: WhyRule,
    /// What happens if the rule is lifted.
    pub lifted: Option<String>,
}

/// Ring and words, without a card behind it.
#[component]
pub fn ProvenanceChip(
    /// What the ring says.
    ring: RingKind,
    /// The same in words.
    #[prop(into)]
    text: String,
) -> AnyView {
    view! {
        <span class=chip_class(ring)>
            <Ring kind=ring />
            {text}
        </span>
    }
    .into_any()
}

fn chip_class(ring: RingKind) -> String {
    let pending = if ring == RingKind::Pending {
        "source--pending"
    } else {
        ""
    };
    classes("source", &[pending])
}

fn side(ring: RingKind, side: Side) -> AnyView {
    let won = if side.shown { "why__value--won" } else { "" };
    let badge = if side.shown {
        view! { <Badge text="Shown" tone=Tone::Accent icon=Some(Glyph::Check) /> }
    } else {
        view! { <Badge text="Kept" /> }
    };
    view! {
        <div class=classes("why__value", &[won])>
            <Ring kind=ring />
            <p class="why__what">{side.value}</p>
            <p class="why__from">{side.from}</p>
            {badge}
        </div>
    }
    .into_any()
}

/// The chip, and the card that opens from it and explains the value. It is a `<details>`, so that it
/// works without a script; cards of one page close one another. Escape and a click elsewhere are
/// added by [`super::popovers::Popovers`].
#[component]
pub fn WhyCard(
    /// What to say.
    why: Why,
    /// At the foot: ask for a correction, history.
    #[prop(optional)]
    children: Option<Children>,
) -> AnyView {
    let id = format!("why-{}", why.attribute.replace(['.', ' '], "-"));
    let title = match &why.value {
        Some(value) => format!("Why “{value}”"),
        None => "Why nothing is shown".to_owned(),
    };
    let values = why.erp.is_some() || why.own.is_some();
    view! {
        <details class="anchor" name="why" data-popover="">
            <summary class=chip_class(why.ring)>
                <Ring kind=why.ring />
                <span class="visually-hidden">{format!("{}: ", why.label)}</span>
                {why.chip}
            </summary>
            <div class="popover why" role="group" aria-labelledby=id>
                <div class="why__head">
                    <div>
                        <h3 id=id.clone()>{title}</h3>
                        <p class="small muted">
                            {why.label} ", " <span class="mono">{why.attribute}</span>
                        </p>
                    </div>
                </div>
                {values
                    .then(|| {
                        view! {
                            <div class="why__values">
                                {why.erp.map(|erp| self::side(RingKind::Erp, erp))}
                                {why.others.into_iter().map(|other| self::side(RingKind::Erp, other)).collect_view()}
                                {why.own.map(|own| self::side(RingKind::Own, own))}
                            </div>
                        }
                    })}
                <p class="why__rule">
                    <Icon glyph=Glyph::Policy size=16 />
                    <span>
                        {match why.rule.href {
                            Some(href) => view! { <a href=href>{why.rule.name}</a> }.into_any(),
                            None => why.rule.name.into_any(),
                        }} ", " <strong>{why.rule.strength}</strong> ": " {why.rule.sentence}
                    </span>
                </p>
                {why.lifted.map(|lifted| view! { <p class="small muted">{lifted}</p> })}
                {children.map(|children| view! { <div class="why__foot">{children()}</div> })}
            </div>
        </details>
    }
    .into_any()
}

/// The list that [`ValueRow`]s stand in.
#[component]
pub fn Values(
    /// The rows.
    children: Children,
) -> AnyView {
    view! { <dl class="fields">{children()}</dl> }.into_any()
}

/// One attribute: label, value, the other value beside it, and where it comes from.
#[component]
pub fn ValueRow(
    /// The attribute in words.
    #[prop(into)]
    label: String,
    /// A muted line below the value, as in "ERP says “Grace”".
    #[prop(optional, into)]
    beside: Words,
    /// Chip, why-card, edit link.
    #[prop(optional)]
    from: Option<AnyView>,
    /// The value.
    children: Children,
) -> AnyView {
    view! {
        <div>
            <dt>{label}</dt>
            <dd class="value">
                {children()} {beside.0.map(|beside| view! { <span class="beside">{beside}</span> })}
            </dd>
            {from.map(|from| view! { <dd class="fields__from">{from}</dd> })}
        </div>
    }
    .into_any()
}

/// A change: struck and muted before, tinted after, with "from" and "to" for screen readers. A
/// missing side reads "nothing".
#[component]
pub fn Diff(
    /// Before.
    #[prop(optional, into)]
    from: Words,
    /// After.
    #[prop(optional, into)]
    to: Words,
) -> AnyView {
    let nothing = || "nothing".to_owned();
    view! {
        <span class="diff">
            <span class="visually-hidden">"from "</span>
            <del>{from.0.unwrap_or_else(nothing)}</del>
            <Icon glyph=Glyph::Arrow size=14 />
            <span class="visually-hidden">" to "</span>
            <ins>{to.0.unwrap_or_else(nothing)}</ins>
        </span>
    }
    .into_any()
}

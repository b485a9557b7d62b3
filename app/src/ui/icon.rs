//! Icons, the split ring, and the wordmark, all from one sprite at `/icons.svg`.

use super::{Words, classes};
use leptos::prelude::*;

macro_rules! glyphs {
    ($($name:ident = $id:literal,)*) => {
        /// A drawing of the sprite, without the rings and the mark.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Glyph {
            $(#[doc = concat!("`i-", $id, "` of the sprite.")] $name,)*
        }

        impl Glyph {
            /// Every glyph.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name in the sprite, without the leading `i-`.
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }
        }
    };
}

glyphs! {
    Home = "home",
    Chat = "chat",
    People = "people",
    Org = "org",
    Client = "client",
    Eye = "eye",
    EyeOff = "eyeoff",
    Trace = "trace",
    Source = "source",
    Policy = "policy",
    Audit = "audit",
    Search = "search",
    Bell = "bell",
    Help = "help",
    Right = "right",
    Left = "left",
    Down = "down",
    Up = "up",
    UpDown = "updown",
    Plus = "plus",
    Minus = "minus",
    Close = "close",
    Check = "check",
    More = "more",
    Lock = "lock",
    Pencil = "pencil",
    Clock = "clock",
    Arrow = "arrow",
    Undo = "undo",
    Filter = "filter",
    Download = "download",
    Clip = "clip",
    React = "react",
    At = "at",
    Hash = "hash",
    Send = "send",
    Pin = "pin",
    Calendar = "calendar",
    Phone = "phone",
    Mail = "mail",
    Place = "place",
    Key = "key",
    Shield = "shield",
    Warning = "warning",
    Info = "info",
    Stop = "stop",
    Done = "done",
    Out = "out",
    Join = "join",
    Leave = "leave",
    Move = "move",
    File = "file",
    Rail = "rail",
    Pause = "pause",
    Play = "play",
    Laptop = "laptop",
    Forward = "forward",
    Card = "card",
    Thumb = "thumb",
    Heart = "heart",
    Reply = "reply",
    Grid = "grid",
    List = "list",
    Image = "image",
    Thread = "thread",
    Doc = "doc",
    Mute = "mute",
    User = "user",
    Wifi = "wifi",
}

/// The address of a drawing in the sprite, by its name without the leading `i-`.
fn sprite(id: &str) -> String {
    format!("/icons.svg#i-{id}")
}

/// One icon, hidden from assistive technology unless it has a `label`: beside a word it needs none.
#[component]
pub fn Icon(
    /// Which drawing.
    glyph: Glyph,
    /// Edge in pixels: 20, 16 or 14, each with its own line width.
    #[prop(default = 20)]
    size: u8,
    /// What the icon says where no word stands next to it.
    #[prop(optional, into)]
    label: Words,
    /// Further classes, such as a tone.
    #[prop(optional)]
    class: &'static str,
) -> AnyView {
    let size = match size {
        16 => "icon--16",
        14 => "icon--14",
        _ => "",
    };
    view! {
        <svg
            class=classes("icon", &[size, class])
            aria-hidden=label.0.is_none().then_some("true")
            role=label.0.is_some().then_some("img")
            aria-label=label.0
        >
            <use href=sprite(glyph.id())></use>
        </svg>
    }
    .into_any()
}

/// Which half of the split ring is filled. Left is the ERP's value, right the person's own; the
/// filled half is the one shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingKind {
    /// The ERP's value is shown.
    Erp,
    /// The person's own value is shown.
    Own,
    /// The two agree.
    Both,
    /// Nothing is set, or the ERP only fills blanks.
    None,
    /// A correction is on its way, or an edit holds until the ERP changes.
    Pending,
}

impl RingKind {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::Erp, Self::Own, Self::Both, Self::None, Self::Pending];

    /// The name in the sprite, without the leading `i-`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Erp => "ring-erp",
            Self::Own => "ring-own",
            Self::Both => "ring-both",
            Self::None => "ring-none",
            Self::Pending => "ring-pending",
        }
    }
}

/// The split ring. It always stands next to the word that says the same.
#[component]
pub fn Ring(
    /// Which halves are filled.
    kind: RingKind,
    /// Muted instead of petrol, for a value that is not shown.
    #[prop(optional)]
    muted: bool,
) -> AnyView {
    view! {
        <svg class=classes("ring", &[if muted { "ring--muted" } else { "" }]) aria-hidden="true">
            <use href=sprite(kind.id())></use>
        </svg>
    }
    .into_any()
}

/// The mark and seven letters, as a link to `/` where `home` is set.
#[component]
pub fn Wordmark(
    /// Whether it leads home.
    #[prop(default = true)]
    home: bool,
    /// The large one of the sign-in page.
    #[prop(optional)]
    large: bool,
) -> AnyView {
    let class = classes("wordmark", &[if large { "wordmark--large" } else { "" }]);
    let inside = view! {
        <svg class="wordmark__ring" aria-hidden="true">
            <use href=sprite("mark")></use>
        </svg>
        <span class="wordmark__name">"OPTIMUS"</span>
    };
    if home {
        view! { <a class=class href="/" aria-label="OPTIMUS home">{inside}</a> }.into_any()
    } else {
        view! { <span class=class>{inside}</span> }.into_any()
    }
}

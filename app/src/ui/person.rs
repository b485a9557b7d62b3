//! People on the page: avatar, person line, a stack of avatars.

use super::{Words, classes};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is needed to draw somebody: name, hue, photo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Face {
    /// The name as shown.
    pub name: String,
    /// 1 to 8, the same for a person everywhere.
    pub hue: u8,
    /// Same-origin address of a photo.
    pub photo: Option<String>,
}

impl Face {
    /// A face without a photo, its hue taken from the id.
    pub fn new(id: &Uuid, name: impl Into<String>) -> Self {
        // A version 7 id begins with its time, which colleagues of one import share; the tail is
        // random.
        let hue = id.as_bytes()[15] % 8 + 1;
        Self {
            name: name.into(),
            hue,
            photo: None,
        }
    }

    /// The same face with a photo, where there is one.
    #[must_use]
    pub fn with_photo(mut self, photo: Option<String>) -> Self {
        self.photo = photo;
        self
    }
}

/// One letter of the first word and one of the last, in upper case. Empty for a name without a
/// letter or digit.
pub fn initials(name: &str) -> String {
    let mut letters = name
        .split_whitespace()
        .filter_map(|word| word.chars().find(|letter| letter.is_alphanumeric()));
    let first = letters.next();
    let last = letters.next_back();
    first
        .into_iter()
        .chain(last)
        .flat_map(char::to_uppercase)
        .collect()
}

/// Whether somebody is here now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// A window is open.
    Online,
    /// A window is open and untouched for a while.
    Away,
    /// No window is open.
    Offline,
}

impl Presence {
    fn class(self) -> &'static str {
        match self {
            Self::Online => "",
            Self::Away => "avatar__presence--away",
            Self::Offline => "avatar__presence--off",
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::Offline => "offline",
        }
    }
}

fn size_class(size: u8) -> &'static str {
    match size {
        16 => "avatar--16",
        20 => "avatar--20",
        24 => "avatar--24",
        28 => "avatar--28",
        40 => "avatar--40",
        56 => "avatar--56",
        88 => "avatar--88",
        _ => "",
    }
}

fn hue_class(hue: u8) -> &'static str {
    [
        "hue-1", "hue-2", "hue-3", "hue-4", "hue-5", "hue-6", "hue-7", "hue-8",
    ][usize::from(hue.saturating_sub(1) % 8)]
}

/// A photo or two initials. Hidden from assistive technology, as the name stands beside it, unless
/// presence is shown: then it says name and presence.
#[component]
pub fn Avatar(
    /// Whom to draw.
    face: Face,
    /// Edge in pixels: 16, 20, 24, 28, 32 (the default), 40, 56 or 88.
    #[prop(default = 32)]
    size: u8,
    /// Whether the person is here now.
    #[prop(optional_no_strip)]
    presence: Option<Presence>,
) -> AnyView {
    let class = classes("avatar", &[hue_class(face.hue), size_class(size)]);
    let label = presence.map(|presence| format!("{}, {}", face.name, presence.word()));
    let inside = match face.photo {
        Some(photo) => {
            view! { <img class="avatar__photo" src=photo alt="" loading="lazy" decoding="async" /> }
                .into_any()
        }
        None => initials(&face.name).into_any(),
    };
    view! {
        <span
            class=class
            aria-hidden=label.is_none().then_some("true")
            role=label.is_some().then_some("img")
            aria-label=label
        >
            {inside}
            {presence
                .map(|presence| {
                    view! { <span class=classes("avatar__presence", &[presence.class()])></span> }
                })}
        </span>
    }
    .into_any()
}

/// Avatar, name, and a second line; the name is a link where there is a page for it.
#[component]
pub fn Person(
    /// Whom to draw.
    face: Face,
    /// Where the name leads.
    #[prop(optional, into)]
    href: Words,
    /// Second line, such as a title.
    #[prop(optional, into)]
    sub: Words,
    /// The second line is for narrow windows only, where its column is gone.
    #[prop(optional)]
    sub_narrow: bool,
    /// As for [`Avatar`].
    #[prop(default = 28)]
    size: u8,
    /// As for [`Avatar`].
    #[prop(optional_no_strip)]
    presence: Option<Presence>,
) -> AnyView {
    let name = face.name.clone();
    let name = match href.0 {
        Some(href) => view! { <a class="person__name" href=href>{name}</a> }.into_any(),
        None => view! { <span class="person__name">{name}</span> }.into_any(),
    };
    let sub_class = if sub_narrow {
        "person__sub only-narrow-block"
    } else {
        "person__sub clip"
    };
    view! {
        <span class="person">
            <Avatar face=face size=size presence=presence />
            <span class="person__text">
                {name} {sub.0.map(|sub| view! { <span class=sub_class>{sub}</span> })}
            </span>
        </span>
    }
    .into_any()
}

/// A few avatars over one another, and how many more. The names belong into the text beside it.
#[component]
pub fn Avatars(
    /// Everybody; the first `shown` are drawn.
    faces: Vec<Face>,
    /// How many to draw.
    #[prop(default = 3)]
    shown: usize,
    /// As for [`Avatar`].
    #[prop(default = 24)]
    size: u8,
) -> AnyView {
    let more = faces.len().saturating_sub(shown);
    view! {
        <span class="avatars">
            {faces
                .into_iter()
                .take(shown)
                .map(|face| view! { <Avatar face=face size=size /> })
                .collect_view()}
            {(more > 0)
                .then(|| {
                    view! {
                        <span class=classes("avatar avatars__more", &[size_class(size)]) aria-hidden="true">
                            {format!("+{more}")}
                        </span>
                    }
                })}
        </span>
    }.into_any()
}

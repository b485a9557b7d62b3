//! The frame of every page: top bar, rail, bottom bar and account menu; and the frame before
//! sign-in.

use super::{
    Avatar, Count, Face, Glyph, Icon, Ring, RingKind, Search, Tone, Wordmark, Words, classes,
    popovers::Popovers,
};
use leptos::prelude::*;

/// A place that the rail leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `/`
    Home,
    /// `/chat`
    Chat,
    /// `/people`
    People,
    /// `/org`
    Org,
    /// `/looked-at`
    LookedAt,
    /// `/reviews`
    Reviews,
    /// `/corrections`
    Corrections,
    /// `/console/rules`
    Rules,
    /// `/console/sources`
    Sources,
    /// `/console/quality`
    Quality,
    /// `/console/oversight`
    Oversight,
    /// `/console/people`
    Roles,
    /// `/console/audit`
    Audit,
    /// `/account`, which only the account menu leads to.
    Account,
}

impl Door {
    /// Where it is.
    pub fn href(self) -> &'static str {
        match self {
            Self::Home => "/",
            Self::Chat => "/chat",
            Self::People => "/people",
            Self::Org => "/org",
            Self::LookedAt => "/looked-at",
            Self::Reviews => "/reviews",
            Self::Corrections => "/corrections",
            Self::Quality => "/console/quality",
            Self::Rules => "/console/rules",
            Self::Sources => "/console/sources",
            Self::Oversight => "/console/oversight",
            Self::Roles => "/console/people",
            Self::Audit => "/console/audit",
            Self::Account => "/account",
        }
    }

    /// What it is called.
    pub fn label(self) -> &'static str {
        match self {
            Self::Home => "Home",
            Self::Chat => "Chat",
            Self::People => "People",
            Self::Org => "Org chart",
            Self::LookedAt => "Who looked",
            Self::Reviews => "Reviews",
            Self::Corrections => "Corrections",
            Self::Quality => "Data quality",
            Self::Rules => "Sourcing rules",
            Self::Sources => "Sources",
            Self::Oversight => "Oversight",
            Self::Roles => "People and roles",
            Self::Audit => "Audit log",
            Self::Account => "Sessions",
        }
    }

    fn glyph(self) -> Glyph {
        match self {
            Self::Home => Glyph::Home,
            Self::Chat => Glyph::Chat,
            Self::People => Glyph::People,
            Self::Org => Glyph::Org,
            Self::LookedAt => Glyph::Trace,
            Self::Reviews => Glyph::Eye,
            Self::Corrections => Glyph::Pencil,
            Self::Quality => Glyph::Warning,
            Self::Rules => Glyph::Policy,
            Self::Sources => Glyph::Source,
            Self::Oversight => Glyph::Shield,
            Self::Roles => Glyph::Key,
            Self::Audit => Glyph::Audit,
            Self::Account => Glyph::Laptop,
        }
    }
}

/// Which theme a person wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the device says.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Theme {
    /// The value of `data-theme` and of the form; `system` sets no attribute.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// From such a name; anything else is [`Theme::System`].
    pub fn from_name(name: &str) -> Self {
        match name {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }
}

/// How `main` is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// A page that scrolls: children begin with `<div class="page">`.
    #[default]
    Page,
    /// Panes that fill the window and scroll by themselves, with a slim rail: chat.
    Panes,
    /// A review: slim rail, damson edge; children begin with the band.
    Review,
}

/// Everything around a page that depends on the viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The viewer.
    pub viewer: Face,
    /// The viewer's profile.
    pub profile: String,
    /// The organization's name.
    pub organization: String,
    /// Where one is.
    pub current: Option<Door>,
    /// Doors beyond the five that everybody has, as access allows: [`Door::Reviews`] for who
    /// oversees somebody, console doors by role.
    pub doors: Vec<Door>,
    /// Unread messages.
    pub unread: u64,
    /// The viewer's open reviews.
    pub open_reviews: u64,
    /// Runs that wait for a decision.
    pub stopped_runs: u64,
    /// Corrections that wait for the viewer's decision.
    pub corrections: u64,
    /// The viewer's theme.
    pub theme: Theme,
    /// When the ERP was last read: ISO 8601 and formatted. `None` before the first run.
    pub erp_read: Option<(String, String)>,
    /// How `main` is laid out.
    pub layout: Layout,
}

impl Frame {
    fn has(&self, door: Door) -> bool {
        matches!(
            door,
            Door::Home | Door::Chat | Door::People | Door::Org | Door::LookedAt
        ) || self.doors.contains(&door)
    }

    /// Whether `door` is where one is, as `aria-current` wants it.
    fn current(&self, door: Door) -> Option<&'static str> {
        (self.current == Some(door)).then_some("page")
    }

    fn count(&self, door: Door) -> AnyView {
        let (count, what, tone) = match door {
            Door::Chat => (self.unread, "unread", Tone::Accent),
            Door::Reviews => (self.open_reviews, "open", Tone::Oversight),
            Door::Sources => (self.stopped_runs, "stopped", Tone::Neutral),
            Door::Corrections => (self.corrections, "to decide", Tone::Accent),
            _ => (0, "", Tone::Neutral),
        };
        view! { <Count count=count what=what tone=tone /> }.into_any()
    }

    fn rail_group(
        &self,
        label: Option<(&'static str, &'static str)>,
        doors: &[Door],
    ) -> Option<AnyView> {
        let doors: Vec<_> = doors
            .iter()
            .copied()
            .filter(|door| self.has(*door))
            .collect();
        if doors.is_empty() {
            return None;
        }
        let (id, words) = label.unzip();
        let links = doors
            .into_iter()
            .map(|door| {
                view! {
                    <li>
                        <a class="rail__link" href=door.href() aria-current=self.current(door)>
                            <Icon glyph=door.glyph() />
                            <span class="rail__text">{door.label()}</span>
                            {self.count(door)}
                        </a>
                    </li>
                }
            })
            .collect_view();
        Some(
            view! {
                <div class="rail__group">
                    {words.map(|words| view! { <p class="rail__label" id=id>{words}</p> })}
                    <ul class="rail__list" aria-labelledby=id>
                        {links}
                    </ul>
                </div>
            }
            .into_any(),
        )
    }

    fn account_menu(&self) -> AnyView {
        let themes = [
            (Theme::System, "As device"),
            (Theme::Light, "Light"),
            (Theme::Dark, "Dark"),
        ]
        .map(|(theme, label)| {
            let pressed = if theme == self.theme { "true" } else { "false" };
            view! {
                <button type="submit" name="theme" value=theme.name() aria-pressed=pressed>
                    {label}
                </button>
            }
        })
        .collect_view();
        view! {
            <details class="account-menu" data-popover="">
                <summary class="account">
                    <Avatar face=self.viewer.clone() size=28 />
                    <span class="visually-hidden">"Account: "</span>
                    <span class="account__name">{self.viewer.name.clone()}</span>
                    <Icon glyph=Glyph::Down size=14 />
                </summary>
                <div class="menu">
                    <a class="menu__item" href=self.profile.clone()>
                        <Icon glyph=Glyph::User />
                        "Your profile"
                    </a>
                    <a class="menu__item" href=Door::Account.href()>
                        <Icon glyph=Glyph::Laptop />
                        "Sessions"
                    </a>
                    <hr />
                    <form class="menu__theme" method="post" action="/account/theme">
                        <p class="small muted" id="theme-label">
                            "Theme"
                        </p>
                        <div class="segmented" role="group" aria-labelledby="theme-label">
                            {themes}
                        </div>
                    </form>
                    <hr />
                    <form method="post" action="/sign-out">
                        <button class="menu__item" type="submit">
                            <Icon glyph=Glyph::Out />
                            "Sign out"
                        </button>
                    </form>
                </div>
            </details>
        }
        .into_any()
    }

    fn tabbar(&self) -> AnyView {
        const FIRST: [Door; 4] = [Door::Home, Door::Chat, Door::People, Door::Org];
        const MORE: [Door; 9] = [
            Door::LookedAt,
            Door::Reviews,
            Door::Corrections,
            Door::Rules,
            Door::Sources,
            Door::Quality,
            Door::Oversight,
            Door::Roles,
            Door::Audit,
        ];
        let first = FIRST
            .map(|door| {
                view! {
                    <a class="tabbar__link" href=door.href() aria-current=self.current(door)>
                        <Icon glyph=door.glyph() />
                        <span>{door.label()}</span>
                        {self.count(door)}
                    </a>
                }
            })
            .collect_view();
        let within = MORE.iter().any(|door| self.current == Some(*door));
        let more = MORE
            .iter()
            .filter(|door| self.has(**door))
            .map(|door| {
                view! {
                    <a class="menu__item" href=door.href() aria-current=self.current(*door)>
                        <Icon glyph=door.glyph() />
                        {door.label()}
                        {self.count(*door)}
                    </a>
                }
            })
            .collect_view();
        view! {
            <nav class="tabbar" aria-label="Main, short">
                {first}
                <details class="tabbar__more" data-popover="">
                    <summary class="tabbar__link" aria-current=within.then_some("true")>
                        <Icon glyph=Glyph::More />
                        <span>"More"</span>
                    </summary>
                    <div class="menu">{more}</div>
                </details>
            </nav>
        }
        .into_any()
    }
}

/// The frame of a signed-in page. The children go into `main`.
#[component]
pub fn Shell(
    /// What depends on the viewer.
    frame: Frame,
    /// Further classes of `main`, such as `chat`.
    #[prop(optional)]
    main_class: &'static str,
    /// What was searched for, on the page that shows it.
    #[prop(optional, into)]
    query: Words,
    /// The page.
    children: Children,
) -> AnyView {
    let layout = match frame.layout {
        Layout::Page => "",
        Layout::Panes => "app--slim app--fixed",
        Layout::Review => "app--slim app--review",
    };
    let synced = frame.erp_read.clone().map(|(iso, text)| {
        view! {
            <p class="rail__sync">
                <Ring kind=RingKind::Erp />
                <span class="rail__sync-text">
                    {frame.organization.clone()} <br /> "ERP read " <time datetime=iso>{text}</time>
                </span>
            </p>
        }
    });
    view! {
        <a class="skip" href="#main">
            "Skip to content"
        </a>
        <div class=classes("app", &[layout])>
            <header class="topbar">
                <div class="topbar__brand">
                    <Wordmark />
                </div>
                <form class="topbar__search" role="search" aria-label="People" method="get" action="/people">
                    <Search label="Search people" value=query scope="top" />
                </form>
                <div class="topbar__end">
                    <a class="btn btn--icon btn--quiet only-narrow" href="/people" aria-label="Search people">
                        <Icon glyph=Glyph::Search />
                    </a>
                    {frame.account_menu()}
                </div>
            </header>
            <nav class="rail" aria-label="Main">
                <div class="rail__nav">
                    {frame.rail_group(None, &[Door::Home, Door::Chat, Door::People, Door::Org])}
                    {frame
                        .rail_group(
                            Some(("rail-openness", "Openness")),
                            &[Door::Reviews, Door::Corrections, Door::LookedAt],
                        )}
                    {frame
                        .rail_group(
                            Some(("rail-console", "Console")),
                            &[Door::Rules, Door::Sources, Door::Quality, Door::Oversight, Door::Roles, Door::Audit],
                        )}
                </div>
                <div class="rail__foot">{synced}</div>
            </nav>
            <main class=classes("main", &[main_class]) id="main" tabindex="-1">
                {children()}
            </main>
            {frame.tabbar()}
        </div>
        <Popovers />
    }.into_any()
}

/// The frame of a page before sign-in: mark, the page, and who hosts it.
#[component]
pub fn Doorstep(
    /// The organization's name.
    #[prop(into)]
    organization: String,
    /// What goes into `main`: a `door__form` and, beside it, `door__terms`.
    children: Children,
) -> AnyView {
    view! {
        <a class="skip" href="#main">
            "Skip to content"
        </a>
        <div class="door">
            <header class="door__head">
                <Wordmark home=false />
                <span class="topbar__org">{organization.clone()}</span>
            </header>
            <main class="door__main" id="main" tabindex="-1">
                {children()}
            </main>
            <footer class="door__foot">
                <span>{format!("Hosted by {organization}")}</span>
                <span>"No request leaves this server"</span>
            </footer>
        </div>
    }
    .into_any()
}

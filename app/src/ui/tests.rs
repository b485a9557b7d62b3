//! The important components as HTML, and one page with all of them.

use super::{format::Reader, *};
use crate::document::{PageMeta, document};
use chrono::{TimeZone, Utc};
use leptos::prelude::*;
use std::{collections::BTreeSet, fs, path::Path};
use uuid::Uuid;

/// The HTML of a view without the markers that hydration would need.
fn html<View: IntoView>(view: impl FnOnce() -> View) -> String {
    Owner::new()
        .with(|| view().into_view().to_html())
        .replace("<!>", "")
}

fn face(name: &str, tail: u8) -> Face {
    let mut bytes = [7; 16];
    bytes[15] = tail;
    Face::new(&Uuid::from_bytes(bytes), name)
}

fn why() -> Why {
    Why {
        label: "Job title".to_owned(),
        attribute: "title".to_owned(),
        value: Some("Key Account Manager".to_owned()),
        ring: RingKind::Erp,
        chip: "ERP wins".to_owned(),
        erp: Some(Side {
            value: "Key Account Manager".to_owned(),
            from: "Odoo, read today 09:00".to_owned(),
            shown: true,
        }),
        others: Vec::new(),
        own: Some(Side {
            value: "Rail & Marine Partnerships".to_owned(),
            from: "You, 4 August 2026".to_owned(),
            shown: false,
        }),
        rule: WhyRule {
            name: "Rule 7".to_owned(),
            href: Some("/console/rules#rule-7".to_owned()),
            strength: "ERP always wins".to_owned(),
            sentence: "job titles in Sales follow the ERP.".to_owned(),
        },
        lifted: Some("If the rule is lifted, your own value returns by itself.".to_owned()),
    }
}

fn frame() -> Frame {
    Frame {
        viewer: face("Priya Raman", 7),
        profile: "/people/priya".to_owned(),
        organization: "Northwind Forge".to_owned(),
        current: Some(Door::People),
        doors: vec![Door::Reviews, Door::Rules, Door::Sources],
        unread: 3,
        open_reviews: 1,
        stopped_runs: 0,
        corrections: 2,
        theme: Theme::System,
        erp_read: Some(("2026-11-19T09:00:00Z".to_owned(), "09:00".to_owned())),
        layout: Layout::Page,
    }
}

fn review() -> ReviewFacts {
    ReviewFacts {
        subject: face("Noah Petersen", 1),
        why: "Client complaint, case C-2291".to_owned(),
        from: "9 to 13 Nov, 3 conversations".to_owned(),
        until: "20 Nov, 18:00".to_owned(),
        until_iso: "2026-11-20T18:00:00Z".to_owned(),
        recorded: "Every page you open; Noah sees it".to_owned(),
    }
}

/// Every component once. Written to the folder that `OPTIMUS_KITCHEN_SINK` names, to be looked at.
fn kitchen_sink() -> impl IntoView {
    let now = Utc.with_ymd_and_hms(2026, 11, 19, 12, 0, 0).unwrap();
    let reader = Reader::new(now);
    let read = Utc.with_ymd_and_hms(2026, 11, 16, 10, 22, 0).unwrap();
    view! {
        <Shell frame=frame()>
            <ReviewBand facts=review()>
                <form method="post" action="/reviews/1/end">
                    <Button text="End review" look=Look::Oversight height=Height::Small />
                </form>
            </ReviewBand>
            <div class="page page--wide stack">
                <Crumbs crumbs=vec![Crumb::link("People", "/people"), Crumb::here("Grace Whitfield")] />
                <PageHead
                    title="Every component"
                    sentence="Once, in the states that a page can show."
                    badge=view! { <Badge text="Staged" tone=Tone::Info icon=Some(Glyph::Clock) /> }.into_any()
                >
                    <LinkButton text="Org chart" href="/org" icon=Some(Glyph::Org) />
                    <LinkButton text="New rule" href="/new" look=Look::Primary icon=Some(Glyph::Plus) />
                </PageHead>
                <Tabs
                    label="Profile"
                    tabs=vec![
                        Tab::new("Profile", "/a", true),
                        Tab::new("Team", "/b", false).counted(8, "people"),
                    ]
                />
                <div class="columns">
                    <div class="stack">
                        <Card
                            title="Work"
                            id="work"
                            flush=true
                            end=view! {
                                <p class="push legend small muted">
                                    <span>
                                        <Ring kind=RingKind::Both />
                                        "Both agree"
                                    </span>
                                </p>
                            }
                                .into_any()
                        >
                            <Values>
                                <ValueRow
                                    label="Job title"
                                    from=view! {
                                        <WhyCard why=why()>
                                            <LinkButton text="History" href="/h" height=Height::Small />
                                        </WhyCard>
                                    }
                                        .into_any()
                                >
                                    "Key Account Manager"
                                </ValueRow>
                                <ValueRow
                                    label="Cost centre"
                                    from=view! { <LockChip text="Locked by rule 2" /> }.into_any()
                                >
                                    <span class="mono">"4120"</span>
                                </ValueRow>
                                <ValueRow
                                    label="Called"
                                    beside="ERP says “Grace”"
                                    from=view! {
                                        <ProvenanceChip ring=RingKind::Own text="Yours wins" />
                                        <IconLink glyph=Glyph::Pencil label="Edit called" href="/e" />
                                    }
                                        .into_any()
                                >
                                    "Gracie"
                                </ValueRow>
                            </Values>
                        </Card>
                        <form class="card card__body stack" method="post" action="/x">
                            <div class="form-grid">
                                <Field label="Called" name="nick" value="Gracie" help="How colleagues should call you." />
                                <Field
                                    label="Mobile"
                                    name="phone"
                                    value="0770"
                                    error="Too short for a UK number. Write it as +44 7700 900 418."
                                />
                                <LockedField label="Cost centre" value="4120" lock="Locked by rule 2" />
                                <Select
                                    label="Works"
                                    name="works"
                                    choices=vec![Choice::new("s", "Sheffield"), Choice::new("b", "Bergen")]
                                    selected="b"
                                />
                            </div>
                            <Textarea label="Reason" name="reason" help="Noah reads this." optional=true />
                            <div class="row row--loose">
                                <Check label="Ticked" name="c" checked=true figure="12" />
                                <Check label="One of" name="r" value="1" radio=true help="A second line" />
                                <Switch label="Only matches" name="m" checked=true />
                            </div>
                            <div class="row">
                                <Button text="Apply" look=Look::Primary />
                                <Button text="Disabled" disabled=true />
                                <Button text="Quiet" look=Look::Quiet />
                                <Button text="Remove" look=Look::Critical icon=Some(Glyph::Close) />
                                <Button text="Let 7 leave" look=Look::CriticalFill />
                                <Button text="Large" height=Height::Large />
                                <IconButton glyph=Glyph::Undo label="Take back" />
                            </div>
                        </form>
                        <div class="toolbar">
                            <Search label="Name, title or number" scope="people" />
                            <ToolbarSelect
                                label="Unit"
                                name="unit"
                                choices=vec![Choice::new("", "Any unit")]
                            />
                            <Segmented
                                label="State"
                                tabs=vec![Tab::new("All 14", "/a", true), Tab::new("Staged 1", "/b", false)]
                            />
                        </div>
                        <Table
                            caption="2 people, by name"
                            columns=vec![
                                Column::new("Name").sort("?sort=-name", Some(Order::Ascending)),
                                Column::new("Title").hide(Hide::Narrow),
                                Column::new("State"),
                                Column::numeric("Changes").sort("?sort=changes", None),
                                Column::actions(),
                            ]
                        >
                            <tr>
                                <th scope="row">
                                    <Person
                                        face=face("Grace Whitfield", 2)
                                        href="/people/grace"
                                        sub="Key Account Manager"
                                        sub_narrow=true
                                    />
                                </th>
                                <td class="hide-narrow">"Key Account Manager"</td>
                                <td>
                                    <Status text="In" tone=Tone::Positive />
                                </td>
                                <td class="num">{format::number(1_150)}</td>
                                <td class="actions">
                                    <IconLink glyph=Glyph::Chat label="Write to Grace Whitfield" href="/c" />
                                </td>
                            </tr>
                            <tr>
                                <th scope="row">
                                    <Person face=face("Viktor Novák", 4) sub="Quotations" presence=Some(Presence::Away) />
                                </th>
                                <td class="hide-narrow">
                                    <Diff from="Sales" to="Finance" />
                                </td>
                                <td>
                                    <Status text="Stopped" tone=Tone::Critical />
                                </td>
                                <td class="num">"0"</td>
                                <td class="actions"></td>
                            </tr>
                        </Table>
                        <Pager text="1 to 2 of 41" after="?cursor=x" />
                        <StatTiles>
                            <StatTile label="Joiners" value="2" note="2 applied" />
                            <StatTile label="Leavers" value="7" note="Limit 3" critical=true />
                            <StatTile label="Read" value=reader.moment(read) />
                        </StatTiles>
                        <section class="card chainstate" aria-label="Chain">
                            <Chain segments=vec![
                                Segment {
                                    entries: "48 064 to 48 191".to_owned(),
                                    note: "Sealed Wed 17:00".to_owned(),
                                    seal: Seal::Sealed,
                                },
                                Segment {
                                    entries: "48 192 to 48 213".to_owned(),
                                    note: "Open, seals at 17:00".to_owned(),
                                    seal: Seal::Open,
                                },
                                Segment {
                                    entries: String::new(),
                                    note: "Next checkpoint in 6 h".to_owned(),
                                    seal: Seal::Next,
                                },
                            ] />
                        </section>
                        <div class="row">
                            <RedactedLine kind="Words of somebody outside your line" rule="Hidden by rule 22" />
                            <RedactedLine kind="Taken back by Noah at 11:41" glyph=Glyph::Undo />
                        </div>
                        <Dialog
                            id="undo"
                            title="Undo 18 steps"
                            action="/undo"
                            page=true
                            foot=view! {
                                <LinkButton text="Cancel" href="/" />
                                <Button text="Undo 18 steps" look=Look::Primary />
                            }
                                .into_any()
                        >
                            <p>"Undoing puts back the values of run 1206."</p>
                        </Dialog>
                    </div>
                    <aside class="stack" aria-label="More">
                        <Banner title="Rule 7 is staged" tone=Tone::Info>"4 people would see another title."</Banner>
                        <Banner title="Run 1206 applied" tone=Tone::Positive />
                        <Banner title="ERP not reached since 08:00" tone=Tone::Warning />
                        <Banner
                            title="Run 1207 stopped"
                            tone=Tone::Critical
                            actions=view! { <LinkButton text="See it" href="/r" height=Height::Small /> }.into_any()
                        >
                            "7 leavers, the limit is 3."
                        </Banner>
                        <Banner title="A review of your chats is open" tone=Tone::Oversight />
                        <div class="row">
                            <Badge text="Neutral" />
                            <Badge text="Verified" tone=Tone::Positive />
                            <Badge text="Review" tone=Tone::Oversight />
                            <Count count=140 what="unread" tone=Tone::Accent />
                        </div>
                        <Facts one=true>
                            <Fact label="Case">"C-2291"</Fact>
                            <Fact label="Opened">
                                <Time iso="2026-11-16T10:22:00Z" text=reader.moment(read) />
                            </Fact>
                        </Facts>
                        <Timeline>
                            <TimelineItem glyph=Glyph::Eye when="09:05" iso="2026-11-19T09:05:00Z">
                                "Priya Raman opened a review"
                            </TimelineItem>
                            <TimelineItem glyph=Glyph::Search when="09:07" iso="2026-11-19T09:07:00Z">
                                "Searched “wheelset”"
                            </TimelineItem>
                        </Timeline>
                        <Progress value=18 max=31 label="18 of 31 steps applied" />
                        <Skeleton />
                        <Toast text="Correction sent to the ERP" />
                        <Avatars faces=["A B", "C D", "E F", "G H"].map(|name| face(name, 3)).to_vec() />
                        <div class="card">
                            <EmptyState
                                glyph=Glyph::Eye
                                title="Nobody looked yet"
                                sentence="When somebody opens your chats, it appears here at once."
                            />
                        </div>
                    </aside>
                </div>
            </div>
        </Shell>
    }
}

/// What has no place on a signed-in page, or not beside the others.
fn others() -> impl IntoView {
    view! {
        <Doorstep organization="Northwind Forge">
            <form class="door__form" method="post" action="/sign-in"></form>
        </Doorstep>
        <ErrorState title="There is nothing here for you" sentence="Go back." reference="7f3a" />
        <Dialog id="ask" title="End review" action="/end" foot=().into_any()>
            "It cannot be opened again."
        </Dialog>
        <Wordmark large=true />
        <Avatar face=face("Grace Whitfield", 2).with_photo(Some("/photos/1".to_owned())) size=88 />
    }
}

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn style() -> String {
    fs::read_to_string(root("../style/index"))
        .unwrap()
        .lines()
        .map(|name| fs::read_to_string(root("../style").join(name)).unwrap())
        .collect()
}

/// What follows each `start` in `text` up to `end`.
fn between<'a>(text: &'a str, start: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(start)
        .skip(1)
        .filter_map(move |rest| Some(rest.split_once(end)?.0))
}

#[test]
fn every_class_has_a_rule() {
    let style = style();
    let known: BTreeSet<_> = style
        .split('.')
        .skip(1)
        .map(|rest| {
            let end = rest
                .find(|letter: char| {
                    !letter.is_ascii_alphanumeric() && letter != '-' && letter != '_'
                })
                .unwrap_or(rest.len());
            &rest[..end]
        })
        .collect();
    // Hooks that group without looking like anything.
    let bare = ["rail__nav"];
    let html = html(kitchen_sink) + &html(others);
    let unknown: BTreeSet<_> = between(&html, "class=\"", "\"")
        .flat_map(str::split_whitespace)
        .filter(|class| !known.contains(class) && !bare.contains(class))
        .collect();
    assert_eq!(unknown, BTreeSet::new());
}

#[test]
fn nothing_is_written_that_the_content_policy_forbids() {
    let html = html(kitchen_sink) + &html(others);
    assert!(!html.contains(" style="), "a style attribute");
    let handler =
        between(&html, " on", "\"").find(|rest| rest.ends_with('=') && !rest.contains(' '));
    assert_eq!(handler, None, "a script attribute");
    let foreign = between(&html, "href=\"", "\"").chain(between(&html, "src=\"", "\""));
    for address in foreign {
        assert!(address.starts_with(['/', '#', '?']), "{address}");
    }
}

#[test]
fn ids_are_unique_and_labels_lead_to_them() {
    let html = html(kitchen_sink);
    let ids: Vec<_> = between(&html, " id=\"", "\"").collect();
    let distinct: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(ids.len(), distinct.len(), "{ids:?}");
    for name in [" for=\"", " aria-labelledby=\"", " aria-describedby=\""] {
        for id in between(&html, name, "\"") {
            assert!(distinct.contains(id), "{name}{id} leads nowhere");
        }
    }
}

#[test]
fn the_index_names_every_style_file() {
    let index = fs::read_to_string(root("../style/index")).unwrap();
    let named: BTreeSet<_> = index.lines().map(str::to_owned).collect();
    let present: BTreeSet<_> = fs::read_dir(root("../style"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".css"))
        .collect();
    assert_eq!(named, present);
    assert_eq!(
        index.lines().next(),
        Some("tokens.css"),
        "it fixes the order of the layers"
    );
}

#[test]
fn every_drawing_is_in_the_sprite_once() {
    let sprite = fs::read_to_string(root("static/icons.svg")).unwrap();
    let mut drawn: Vec<_> = between(&sprite, "<symbol id=\"i-", "\"").collect();
    let mut named: Vec<_> = Glyph::ALL.iter().map(|glyph| glyph.id()).collect();
    named.extend(RingKind::ALL.iter().map(|ring| ring.id()));
    named.push("mark");
    drawn.sort_unstable();
    named.sort_unstable();
    assert_eq!(drawn, named);
}

#[test]
fn the_rail_shows_only_doors_that_exist() {
    let html = html(|| view! { <Shell frame=frame()>"page"</Shell> });
    assert!(html.contains("href=\"/console/rules\""));
    assert!(!html.contains("/console/audit"), "no role for it");
    assert!(
        html.contains("href=\"/people\" aria-current=\"page\""),
        "{html}"
    );
    let mut stranger = frame();
    stranger.doors.clear();
    let html = self::html(|| view! { <Shell frame=stranger>"page"</Shell> });
    assert!(
        !html.contains("Console"),
        "a group without a door has no label"
    );
    assert!(!html.contains("/reviews"));
}

#[test]
fn initials_of_any_name() {
    assert_eq!(initials("Grace Whitfield"), "GW");
    assert_eq!(initials("Élise de la Tour"), "ÉT");
    assert_eq!(initials("Prince"), "P");
    assert_eq!(initials("  ß  "), "SS");
    assert_eq!(initials("李 小龍"), "李小");
    assert_eq!(initials("\"\" --"), "");
    assert_eq!(initials(""), "");
}

#[test]
fn snapshots() {
    insta::assert_snapshot!("why_card", html(|| view! { <WhyCard why=why() /> }));
    insta::assert_snapshot!(
        "field_error",
        html(
            || view! { <Field label="Mobile" name="phone" value="<0770>" error="Too short." help="Unseen" /> }
        )
    );
    insta::assert_snapshot!(
        "review_band",
        html(|| view! { <ReviewBand facts=review()>"actions"</ReviewBand> })
    );
    insta::assert_snapshot!("diff", html(|| view! { <Diff from="Sales" /> }));
    insta::assert_snapshot!(
        "pager",
        html(|| view! { <Pager text="1 to 2 of 41" after="?cursor=x" /> })
    );
    insta::assert_snapshot!(
        "person",
        html(|| view! {
            <Person face=face("Grace Whitfield", 2).with_photo(Some("/photos/1".to_owned())) href="/people/1" presence=Some(Presence::Online) />
        })
    );
    insta::assert_snapshot!(
        "error",
        html(
            || view! { <ErrorState title="There is nothing here for you" sentence="Go back." reference="7f3a" /> }
        )
    );
}

#[test]
fn the_kitchen_sink_is_a_document() {
    let meta = PageMeta {
        title: "Every component".to_owned(),
        lang: "en".to_owned(),
        theme: Theme::System,
        nonce: "nonce".to_owned(),
        version: "test".to_owned(),
        with_islands: true,
    };
    let page = document(&meta, kitchen_sink);
    assert_eq!(page.matches("<h1").count(), 3, "band, page head, dialog");
    assert_eq!(page.matches("<main").count(), 1);
    if let Some(folder) = std::env::var_os("OPTIMUS_KITCHEN_SINK") {
        let folder = Path::new(&folder);
        fs::create_dir_all(folder.join("pkg")).unwrap();
        fs::write(folder.join("index.html"), page).unwrap();
        fs::write(folder.join("pkg/optimus.css"), style()).unwrap();
        fs::copy(root("static/icons.svg"), folder.join("icons.svg")).unwrap();
    }
}

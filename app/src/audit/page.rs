//! The log, newest first, with the state of its chain.

use axum::{
    extract::Query,
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use domain::{Action, EmployeeId, audit::Hash};
use leptos::prelude::*;
use serde::Deserialize;
use store::{
    audit::{AuditQuery, Extent, NamedEntry},
    people::{DirectoryQuery, PersonCard},
};

use super::{
    verify::Verdict,
    words::{self, ACTS},
};
use crate::{
    edge::{AppError, Visit, face},
    ui::{
        Avatar, Badge, Banner, Button, Chain, Choice, Column, Door, EmptyState, Face, Glyph, Hide,
        Icon, IconLink, LinkButton, Look, PageHead, Pager, Seal, Search, Segment, Table, Time,
        Tone, ToolbarSelect,
        format::{self, Reader, Zone, counted, number},
    },
    words::{broken, percent},
};

/// People to pick from when a name fits several.
const PICK: u32 = 12;

/// What to look for.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    who: String,
    #[serde(default)]
    person: String,
    #[serde(default, rename = "as")]
    role: String,
    #[serde(default)]
    act: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    cursor: String,
}

impl Wanted {
    fn narrowed(&self) -> bool {
        [&self.who, &self.person, &self.act, &self.from, &self.to]
            .iter()
            .any(|text| !text.is_empty())
    }

    /// The address of the same list for `person`, from `cursor` on.
    fn address(&self, person: Option<EmployeeId>, cursor: Option<&str>) -> String {
        let person = person.map(|person| person.to_string()).unwrap_or_default();
        let fields = [
            ("person", person.as_str()),
            ("as", &self.role),
            ("act", &self.act),
            ("from", &self.from),
            ("to", &self.to),
            ("cursor", cursor.unwrap_or_default()),
        ];
        let fields: Vec<_> = fields
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", percent(value)))
            .collect();
        format!("/console/audit?{}", fields.join("&"))
    }
}

/// `GET /console/audit`
pub async fn show(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, AppError> {
    if !visit.viewer.can(Action::ReadAuditLog) {
        return Err(AppError::not_found());
    }
    let typed = wanted.who.trim();
    let number_typed: String = typed
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .collect();
    if let Ok(seq) = number_typed.parse::<u32>() {
        return Ok(Redirect::to(&format!("/console/audit/{seq}")).into_response());
    }
    let store = &visit.portal.store;
    let mut person = wanted.person.parse::<EmployeeId>().ok();
    let mut pick = Vec::new();
    if !typed.is_empty() {
        let query = DirectoryQuery {
            q: typed.chars().take(200).collect(),
            limit: Some(PICK),
            ..DirectoryQuery::default()
        };
        pick = store.directory(&visit.viewer, &query).await?.page.items;
        person = match pick.as_slice() {
            [one] => Some(one.id),
            _ => None,
        };
    }
    let zone = visit.reader.zone;
    let day = |text: &str| text.parse::<NaiveDate>().ok();
    let query = AuditQuery {
        actor: person.filter(|_| wanted.role != "subject"),
        subject: person.filter(|_| wanted.role == "subject"),
        action: Some(wanted.act.clone()).filter(|act| !act.is_empty()),
        from: day(&wanted.from).map(|day| begins(day, zone)),
        to: day(&wanted.to)
            .and_then(|day| day.checked_add_days(Days::new(1)))
            .map(|day| begins(day, zone)),
        cursor: Some(wanted.cursor.clone()).filter(|cursor| !cursor.is_empty()),
        limit: None,
    };
    // A name that fits several, or nobody, shows whom one could mean and no entries at all.
    let unclear = !typed.is_empty() && person.is_none();
    let page = if unclear {
        None
    } else {
        Some(store.audit_log(&visit.viewer, &query).await?)
    };
    let chosen = match person {
        Some(id) => store.cards(&visit.viewer, &[id]).await?.remove(&id),
        None => None,
    };
    let extent = store.audit_extent(&visit.viewer, 3).await?;
    let verdict = Verdict::of(&visit.session).await;
    let reader = visit.reader;
    visit
        .page("Audit log", Door::Audit, move || {
            let narrowed = wanted.narrowed();
            let list = match page {
                None => pick_list(pick, &wanted),
                Some(page) if page.items.is_empty() => view! {
                    <EmptyState
                        glyph=Glyph::Audit
                        title="No entry"
                        sentence="Nothing in the log fits all of this."
                    >
                        <LinkButton text="Show all entries" href="/console/audit" />
                    </EmptyState>
                }
                .into_any(),
                Some(page) => entries(page.items, page.next_cursor, &wanted, person, narrowed, reader),
            };
            view! {
                <div class="page page--wide">
                    <PageHead
                        title="Audit log"
                        sentence="Who did what, to what, and why. Written in the same step as the act itself, never edited."
                    >
                        <a class="btn" href="/console/audit/export" download>
                            <Icon glyph=Glyph::Download />
                            "Export"
                        </a>
                        <form method="post" action="/console/audit/verify">
                            <Button text="Verify now" look=Look::Primary icon=Some(Glyph::Audit) />
                        </form>
                    </PageHead>
                    {chain(verdict, extent, &reader)}
                    {filters(&wanted, chosen.as_ref())}
                    {list}
                </div>
            }
        })
        .await
}

/// When a day begins in a place.
fn begins(day: NaiveDate, zone: Zone) -> DateTime<Utc> {
    let midnight = day.and_time(chrono::NaiveTime::MIN).and_utc();
    let back = |at| midnight - TimeDelta::minutes(zone.offset_minutes(at).into());
    // The distance from UTC is that of the moment itself, which the first guess is near enough to tell.
    back(back(midnight))
}

/// A place in the log, thousands apart.
pub(super) fn place(seq: i64) -> String {
    number(seq)
}

/// What is wrong, for a verdict that does not hold; where the first bad entry can be read.
fn wrong(verdict: &Verdict) -> (String, Option<i64>) {
    use domain::audit::Broken;
    match (&verdict.outcome.broken, verdict.unreadable) {
        (Some(what), _) => {
            let seq = match what {
                Broken::Changed { seq } | Broken::Unchained { seq } | Broken::Replaced { seq } => {
                    Some(*seq)
                }
                Broken::OutOfPlace { found, .. } => Some(*found),
                Broken::Truncated { last, .. } => Some(*last).filter(|last| *last > 0),
                Broken::Forged { .. } => None,
            };
            (broken(what), seq)
        }
        (None, Some(line)) => (
            format!("Line {line} of the checkpoints that are kept beside the database is none."),
            None,
        ),
        (None, None) => ("The log did not hold.".to_owned(), None),
    }
}

/// The state of the chain. It is called verified only where this browser had it verified, and once it
/// was found broken nothing is green.
fn chain(verdict: Option<Verdict>, extent: Extent, reader: &Reader) -> AnyView {
    let signed = match extent.checkpoints.first() {
        Some(last) => format!(
            "Last signed checkpoint {}, {}.",
            place(last.seq),
            reader.moment_in_sentence(last.at)
        ),
        None => "No checkpoint is signed yet.".to_owned(),
    };
    if let Some(verdict) = verdict.as_ref().filter(|verdict| !verdict.holds()) {
        let (what, seq) = wrong(verdict);
        let when = reader.moment_in_sentence(verdict.at);
        let actions = seq.map(|seq| {
            let text = format!("Open entry {}", place(seq));
            view! {
                <a class="btn btn--small" href=format!("/console/audit/{seq}")>
                    {text}
                </a>
            }
            .into_any()
        });
        let todo = format!(
            "Verified {when}. Keep a copy of database and data folder as they are now, and find out who could write to them. {signed}"
        );
        return view! {
            <div id="chain" class="chainstate">
                <Banner title="The chain is broken" tone=Tone::Critical actions=actions.unwrap_or_else(|| ().into_any())>
                    <strong>{what}</strong>
                    " "
                    {todo}
                </Banner>
            </div>
        }
        .into_any();
    }
    let (title, told, tone, badge) = match &verdict {
        Some(verdict) => {
            let entries = counted(
                u64::try_from(verdict.outcome.entries).unwrap_or(0),
                "entry",
                "entries",
            );
            let seconds = verdict.took as f64 / 1000.0;
            (
                format!(
                    "Chain unbroken through entry {}",
                    place(verdict.outcome.entries)
                ),
                format!(
                    "Verified {}, {entries} in {seconds:.1} s. {signed}",
                    reader.moment_in_sentence(verdict.at)
                ),
                "tone-positive",
                Some(
                    view! { <Badge text="Verified" tone=Tone::Positive icon=Some(Glyph::Check) class="push" /> },
                ),
            )
        }
        None => (
            counted(u64::try_from(extent.last).unwrap_or(0), "entry", "entries"),
            format!("Not verified since you signed in. {signed}"),
            "",
            None,
        ),
    };
    view! {
        <section class="card chainstate" id="chain" aria-labelledby="chain-title">
            <div class="chainstate__head">
                <Icon glyph=Glyph::Shield class=tone />
                <div>
                    <h2 id="chain-title">{title}</h2>
                    <p class="compact muted">{told}</p>
                </div>
                {badge}
            </div>
            <Chain segments=segments(&extent, reader) />
        </section>
    }
    .into_any()
}

/// The last two sealed parts, where the third checkpoint says where the first of them begins, and
/// what is not sealed yet.
fn segments(extent: &Extent, reader: &Reader) -> Vec<Segment> {
    let span = |from: i64, to: i64| {
        if from == to {
            place(to)
        } else {
            format!("{} to {}", place(from), place(to))
        }
    };
    let sealed = extent
        .checkpoints
        .iter()
        .take(2)
        .enumerate()
        .map(|(at, one)| {
            let from = extent
                .checkpoints
                .get(at + 1)
                .map_or(1, |before| before.seq + 1);
            Segment {
                entries: span(from, one.seq),
                note: format!("Sealed {}", reader.moment_in_sentence(one.at)),
                seal: Seal::Sealed,
            }
        });
    let mut segments: Vec<_> = sealed.collect();
    segments.reverse();
    let last = extent.checkpoints.first().map_or(0, |last| last.seq);
    if extent.last > last {
        segments.push(Segment {
            entries: span(last + 1, extent.last),
            note: "Open".to_owned(),
            seal: Seal::Open,
        });
    }
    segments.push(Segment {
        entries: String::new(),
        note: "A checkpoint pins all before it, and a copy lies beside the database".to_owned(),
        seal: Seal::Next,
    });
    segments
}

fn filters(wanted: &Wanted, chosen: Option<&PersonCard>) -> AnyView {
    let mut acts = vec![Choice::new("", "Any act")];
    acts.extend(
        ACTS.iter()
            .map(|(prefix, label)| Choice::new(*prefix, *label)),
    );
    let person = chosen.map(|card| {
        let all = wanted.address(None, None);
        let clear = format!("Every person, not {} alone", card.display_name);
        view! {
            <input type="hidden" name="person" value=card.id.to_string() />
            <a class="chip chip--on" href=all aria-label=clear>
                <Avatar face=face(card) size=16 />
                {card.display_name.clone()}
                <Icon glyph=Glyph::Close size=14 />
            </a>
        }
        .into_any()
    });
    let person = person.unwrap_or_else(|| {
        view! { <Search label="Person or entry number" name="who" value=wanted.who.clone() scope="audit" /> }.into_any()
    });
    let clear = wanted.narrowed().then(|| {
        view! {
            <a class="btn btn--quiet" href="/console/audit">
                "Clear"
            </a>
        }
    });
    view! {
        <form class="toolbar" role="search" method="get" action="/console/audit" aria-label="Audit log">
            {person}
            <ToolbarSelect
                label="The person did it, or it is about them"
                name="as"
                choices=vec![Choice::new("", "Who did it"), Choice::new("subject", "About whom")]
                selected=wanted.role.clone()
            />
            <ToolbarSelect label="Act" name="act" choices=acts selected=wanted.act.clone() />
            <label class="row audit__day">
                <span class="small muted">"From"</span>
                <input class="input" type="date" name="from" value=wanted.from.clone() />
            </label>
            <label class="row audit__day">
                <span class="small muted">"to"</span>
                <input class="input" type="date" name="to" value=wanted.to.clone() />
            </label>
            <Button text="Show" />
            {clear}
        </form>
    }
    .into_any()
}

/// Whom a name could mean.
fn pick_list(people: Vec<PersonCard>, wanted: &Wanted) -> AnyView {
    if people.is_empty() {
        return view! {
            <EmptyState
                glyph=Glyph::People
                title="Nobody found"
                sentence="Nobody who works here has these words in name, title, unit, mail or number."
            >
                <LinkButton text="Show all entries" href="/console/audit" />
            </EmptyState>
        }
        .into_any();
    }
    let items = people
        .into_iter()
        .map(|card| {
            let href = wanted.address(Some(card.id), None);
            let sub: Vec<_> = [card.title.clone(), card.department.clone()]
                .into_iter()
                .flatten()
                .collect();
            view! {
                <li>
                    <a class="list-row" href=href>
                        <Avatar face=face(&card) size=28 />
                        <span class="list-row__text">
                            <strong>{card.display_name.clone()}</strong>
                            <span class="beside-block">{sub.join(", ")}</span>
                        </span>
                    </a>
                </li>
            }
        })
        .collect_view();
    view! {
        <section class="card" aria-labelledby="pick">
            <header class="card__head">
                <h2 id="pick">"Whom do you mean?"</h2>
                <p>"Reading the log about one person is recorded in it."</p>
            </header>
            <ul class="list plain">{items}</ul>
        </section>
    }
    .into_any()
}

/// The face of who acted, or a sign for the portal itself.
pub(super) fn who(named: &NamedEntry) -> AnyView {
    let name = words::actor(named);
    let person = named
        .entry
        .actor
        .strip_prefix("person:")
        .and_then(|id| id.parse::<EmployeeId>().ok());
    let sign = match person {
        Some(id) => view! { <Avatar face=Face::new(&id.0, name.clone()) size=20 /> }.into_any(),
        None => view! {
            <span class="conv__room audit__sys">
                <Icon glyph=Glyph::Source size=14 />
            </span>
        }
        .into_any(),
    };
    view! {
        <span class="person">
            {sign}
            <span class="person__text">
                <span class="person__name">{name}</span>
            </span>
        </span>
    }
    .into_any()
}

/// First and last four digits.
fn short(hash: Hash) -> String {
    let hex = hash.to_string();
    format!("{}…{}", &hex[..4], &hex[hex.len() - 4..])
}

fn row(named: NamedEntry, reader: Reader) -> AnyView {
    let seq = named.entry.seq;
    let told = words::told(&named);
    let time = reader.time_with_seconds(named.entry.at);
    let iso = format::iso(named.entry.at);
    let href = format!("/console/audit/{seq}");
    let open = format!("Open entry {}", place(seq));
    let day = reader.date(named.entry.at);
    view! {
        <tr>
            <td class="mono muted hide-narrow">{place(seq)}</td>
            <td class="nowrap">
                <Time iso=iso text=time />
                <span class="beside-block">{day}</span>
            </td>
            <th scope="row">{who(&named)}</th>
            <td class="hide-narrow">
                <Badge text=told.act tone=told.tone />
            </td>
            <td class="audit__what">
                {told.what}
                {told.why.map(|why| view! { <span class="beside-block">{why}</span> })}
            </td>
            <td class="mono muted hide-medium">{short(named.entry.hash)}</td>
            <td class="actions">
                <IconLink glyph=Glyph::Right label=open href=href />
            </td>
        </tr>
    }
    .into_any()
}

fn entries(
    items: Vec<NamedEntry>,
    next: Option<String>,
    wanted: &Wanted,
    person: Option<EmployeeId>,
    narrowed: bool,
    reader: Reader,
) -> AnyView {
    let shown = counted(items.len() as u64, "entry shown", "entries shown");
    let caption = if narrowed {
        "Audit entries that fit, newest first"
    } else {
        "Audit entries, newest first"
    };
    let rows = items
        .into_iter()
        .map(|named| row(named, reader))
        .collect::<Vec<_>>();
    let newest = (!wanted.cursor.is_empty()).then(|| wanted.address(person, None));
    let older = next.map(|cursor| wanted.address(person, Some(&cursor)));
    view! {
        <Table
            caption=caption
            class="audit-table"
            columns=vec![
                Column::new("Entry").hide(Hide::Narrow),
                Column::new("Time"),
                Column::new("Who"),
                Column::new("Act").hide(Hide::Narrow),
                Column::new("What and why"),
                Column::new("Chain").hide(Hide::Medium),
                Column::actions(),
            ]
        >
            {rows}
        </Table>
        <Pager text=shown before=newest after=older before_word="Newest" after_word="Older" />
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone as _;
    use domain::audit::{Broken, Checkpoint};
    use store::audit::Verification;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    #[test]
    fn a_day_begins_when_the_readers_clocks_say_so() {
        let at = |month, day, hour| Utc.with_ymd_and_hms(2026, month, day, hour, 0, 0).unwrap();
        assert_eq!(begins(day("2026-11-19"), Zone::UTC), at(11, 19, 0));
        let oslo = Zone::named("Europe/Oslo");
        assert_eq!(begins(day("2026-11-19"), oslo), at(11, 18, 23));
        assert_eq!(begins(day("2026-07-01"), oslo), at(6, 30, 22));
        // The day on which summer time ends is 25 hours long.
        assert_eq!(begins(day("2026-10-25"), oslo), at(10, 24, 22));
        assert_eq!(begins(day("2026-10-26"), oslo), at(10, 25, 23));
    }

    fn extent(last: i64, seals: &[i64]) -> Extent {
        let checkpoint = |seq: &i64| Checkpoint {
            seq: *seq,
            hash: Hash::ZERO,
            at: DateTime::UNIX_EPOCH,
            signature: String::new(),
        };
        Extent {
            last,
            head: Hash::ZERO,
            checkpoints: seals.iter().map(checkpoint).collect(),
        }
    }

    #[test]
    fn segments_run_from_seal_to_seal() {
        let reader = Reader::new(DateTime::UNIX_EPOCH);
        let told = |extent: &Extent| -> Vec<_> {
            segments(extent, &reader)
                .into_iter()
                .map(|segment| (segment.entries, segment.seal))
                .filter(|(entries, _)| !entries.is_empty())
                .collect()
        };
        assert_eq!(
            told(&extent(213, &[191, 63, 20])),
            [
                ("21 to 63".to_owned(), Seal::Sealed),
                ("64 to 191".to_owned(), Seal::Sealed),
                ("192 to 213".to_owned(), Seal::Open),
            ]
        );
        assert_eq!(
            told(&extent(5, &[5])),
            [("1 to 5".to_owned(), Seal::Sealed)]
        );
        assert_eq!(told(&extent(1, &[])), [("1".to_owned(), Seal::Open)]);
        assert_eq!(told(&extent(0, &[])), []);
    }

    fn rendered(verdict: Option<Verdict>) -> String {
        let reader = Reader::new(DateTime::UNIX_EPOCH);
        let owner = Owner::new();
        owner.with(|| chain(verdict, extent(213, &[191]), &reader).to_html())
    }

    fn verdict(broken: Option<Broken>) -> Verdict {
        Verdict {
            at: DateTime::UNIX_EPOCH,
            took: 1_800,
            outcome: Verification {
                ok: broken.is_none(),
                entries: 213,
                head: Hash::ZERO,
                checkpoints: 1,
                broken,
            },
            unreadable: None,
        }
    }

    #[test]
    fn a_broken_chain_shows_no_green_anywhere() {
        let html = rendered(Some(verdict(Some(Broken::Changed { seq: 77 }))));
        assert!(html.contains("banner--critical"));
        assert!(html.contains("Entry 77 was changed"));
        assert!(html.contains("/console/audit/77"));
        assert!(!html.contains("positive"), "{html}");
        assert!(!html.contains("sealed"), "{html}");

        let unreadable = Verdict {
            unreadable: Some(4),
            ..verdict(None)
        };
        let html = rendered(Some(unreadable));
        assert!(
            html.contains("Line 4") && !html.contains("positive"),
            "{html}"
        );
    }

    #[test]
    fn only_what_was_verified_is_called_so() {
        assert!(rendered(Some(verdict(None))).contains("Verified"));
        let html = rendered(None);
        assert!(html.contains("Not verified"));
        assert!(!html.contains("tone-positive"));
    }

    #[test]
    fn an_address_carries_what_was_chosen() {
        let wanted = Wanted {
            act: "review.".into(),
            from: "2026-11-01".into(),
            cursor: "99".into(),
            ..Wanted::default()
        };
        assert_eq!(
            wanted.address(None, None),
            "/console/audit?act=review.&from=2026-11-01"
        );
        assert_eq!(
            wanted.address(None, Some("42")),
            "/console/audit?act=review.&from=2026-11-01&cursor=42"
        );
    }
}

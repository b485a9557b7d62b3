//! How far a run is: phases, one line, tiles. They move while the run is under way.

#![allow(
    missing_docs,
    reason = "the macro of an island makes types that carry no documentation"
)]

use domain::{
    RunId,
    sync::{Beside, Totals},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ui::{
    Glyph, Icon, Progress, StatTile, StatTiles, Tone,
    format::{counted, number},
};

/// What moves of a run: the part of the API's answer that the page draws.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// `reading`, `planning`, `applying`, `waiting`, `done`, `failed`, `cancelled`.
    pub phase: String,
    /// Whether it only looks.
    pub dry_run: bool,
    /// How many of each.
    pub totals: Totals,
    /// Steps written.
    pub applied: u64,
    /// The run that it undoes; most undo none.
    #[serde(default)]
    pub undoes: Option<RunId>,
}

impl Standing {
    /// Whether it goes on by itself.
    #[must_use]
    pub fn moves(&self) -> bool {
        matches!(self.phase.as_str(), "reading" | "planning" | "applying")
    }

    /// Steps of the plan; none before it is worked out.
    #[must_use]
    pub fn steps(&self) -> u64 {
        let Totals {
            joiners,
            returners,
            movers,
            changed,
            leavers,
            undecided,
            scheduled,
            ..
        } = self.totals;
        joiners + returners + movers + changed + leavers + undecided + scheduled
    }

    /// Which of the five phases it is in, or was in when it stopped; five when all are done.
    fn reached(&self) -> usize {
        match self.phase.as_str() {
            "reading" => 0,
            "planning" => 1,
            "applying" if self.steps() > 0 && self.applied >= self.steps() => 4,
            "applying" | "waiting" => 3,
            "done" if self.dry_run => 3,
            "done" => 5,
            // Failed or cancelled: there is no plan before reading has ended.
            _ if self.steps() == 0 => 0,
            _ => 3,
        }
    }

    fn phases(&self) -> Vec<Phase> {
        match self.undoes {
            Some(_) => self.undoing(),
            None => self.reading(),
        }
    }

    fn stopped(&self) -> bool {
        matches!(self.phase.as_str(), "waiting" | "failed" | "cancelled")
    }

    /// How a phase stands, if `reached` is the one that the run is in.
    fn state(&self, here: usize, reached: usize) -> State {
        match here.cmp(&reached) {
            std::cmp::Ordering::Less => State::Done,
            std::cmp::Ordering::Equal if self.stopped() => State::Stopped,
            std::cmp::Ordering::Equal if self.moves() => State::Now,
            _ => State::Later,
        }
    }

    /// The four phases of an undo.
    fn undoing(&self) -> Vec<Phase> {
        let steps = self.steps();
        let reached = match self.phase.as_str() {
            "planning" => 0,
            "waiting" => 1,
            "applying" if steps > 0 && self.applied >= steps => 3,
            "applying" => 2,
            "done" => 4,
            _ if self.applied > 0 => 2,
            _ if steps > 0 => 1,
            _ => 0,
        };
        let figure = |count: u64| number(i64::try_from(count).unwrap_or(i64::MAX));
        let put_back = match steps {
            0 => "Nothing about people".to_owned(),
            _ => format!(
                "{} of {}",
                figure(self.applied),
                counted(steps, "step", "steps")
            ),
        };
        let asked = match self.stopped() {
            true => "Over a limit",
            false => "Let through",
        };
        let notes = [
            ("Compare with now", counted(steps, "step", "steps")),
            ("Check limits", asked.to_owned()),
            ("Put back", put_back),
            ("Units and chart", "Done".to_owned()),
        ];
        let phase = |(here, (word, note))| {
            let state = self.state(here, reached);
            let note = match state {
                State::Later => "Waits".to_owned(),
                State::Now if here == 0 => "Reads the journal".to_owned(),
                _ => note,
            };
            Phase { word, state, note }
        };
        notes.into_iter().enumerate().map(phase).collect()
    }

    /// The five phases of a run that reads a source.
    fn reading(&self) -> Vec<Phase> {
        let reached = self.reached();
        let totals = &self.totals;
        let (steps, new) = (self.steps(), totals.joiners + totals.undecided);
        let figure = |count: u64| number(i64::try_from(count).unwrap_or(i64::MAX));
        let known = format!(
            "{} known, {} new",
            figure(totals.read.saturating_sub(new)),
            figure(new)
        );
        let applied = format!(
            "{} of {}",
            figure(self.applied),
            counted(steps, "step", "steps")
        );
        let notes = [
            counted(totals.read, "record", "records"),
            known,
            counted(steps, "step", "steps"),
            match self.phase.as_str() {
                "done" if self.dry_run => "Not in a dry run".to_owned(),
                "waiting" => "Waits for a decision".to_owned(),
                _ if steps == 0 => "Nothing to write".to_owned(),
                _ => applied,
            },
            if self.dry_run {
                "Not in a dry run"
            } else {
                "Done"
            }
            .to_owned(),
        ];
        let words = ["Read", "Match", "Plan", "Apply", "Index and tell"];
        let each = words.into_iter().zip(notes).enumerate();
        each.map(|(here, (word, note))| {
            let state = self.state(here, reached);
            let note = match state {
                State::Later if !self.dry_run || self.moves() => "Waits".to_owned(),
                State::Now if here == 1 => "Compares".to_owned(),
                _ => note,
            };
            Phase { word, state, note }
        })
        .collect()
    }

    /// The line: done, all of it (0 while that is not known), in words, and its tone.
    fn line(&self) -> (u64, u64, String, Tone) {
        let steps = self.steps();
        let word = match self.undoes {
            Some(_) => "undone",
            None => "applied",
        };
        let written = format!(
            "{} of {} {word}",
            self.applied,
            counted(steps, "step", "steps")
        );
        match self.phase.as_str() {
            "planning" if self.undoes.is_some() => {
                (0, 0, "Working out what comes back".into(), Tone::Accent)
            }
            "done" if self.undoes.is_some() && steps == 0 => (
                1,
                1,
                "Nothing about people to put back".into(),
                Tone::Accent,
            ),
            "reading" => (0, 0, "Reading the source".into(), Tone::Accent),
            "planning" => (0, 0, "Working out the plan".into(), Tone::Accent),
            "applying" => (self.applied, steps, written, Tone::Accent),
            "done" if self.dry_run => (1, 1, "Planned, nothing written".into(), Tone::Accent),
            "done" if steps == 0 => (1, 1, "Nothing to change".into(), Tone::Accent),
            "done" => (steps, steps, written, Tone::Accent),
            "cancelled" => (self.applied, steps.max(1), written, Tone::Warning),
            _ => (self.applied, steps.max(1), written, Tone::Critical),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Done,
    Now,
    Stopped,
    Later,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Phase {
    word: &'static str,
    state: State,
    note: String,
}

/// Phases, line and tiles of a run, which ask for news every second until the run stops; then the
/// page is loaded once more, with what only the whole page shows.
#[island]
pub fn RunProgress(
    /// The run's id.
    run: String,
    /// How it stood when the page was made.
    standing: Standing,
    /// Findings that the totals do not count: vacant posts, or what an undo leaves as it is.
    vacancies: u64,
) -> impl IntoView {
    let four = standing.undoes.is_some();
    let now = RwSignal::new(standing);
    #[cfg(feature = "hydrate")]
    client::follow(format!("/api/v1/runs/{run}"), now);
    #[cfg(not(feature = "hydrate"))]
    let _ = run;
    view! {
        <section class="card run__progress" aria-labelledby="run-progress">
            <h2 class="visually-hidden" id="run-progress">
                "Progress"
            </h2>
            <ol class="phases" class:phases--four=four>{move || now.with(|now| now.phases().into_iter().map(phase).collect_view())}</ol>
            {move || {
                let (value, max, label, tone) = now.with(Standing::line);
                view! { <Progress value=value max=max label=label tone=tone /> }
            }}
        </section>
        {move || now.with(|now| tiles(now, vacancies))}
    }
}

fn phase(phase: Phase) -> AnyView {
    let (state, glyph) = match phase.state {
        State::Done => (Some("done"), Some(Glyph::Check)),
        State::Now => (Some("now"), Some(Glyph::Play)),
        State::Stopped => (Some("stop"), Some(Glyph::Pause)),
        State::Later => (None, None),
    };
    let current = matches!(phase.state, State::Now | State::Stopped).then_some("step");
    view! {
        <li data-state=state aria-current=current>
            <span>
                {glyph.map(|glyph| view! { <Icon glyph=glyph size=14 /> })}
                {phase.word}
            </span>
            <span class="small muted">{phase.note}</span>
        </li>
    }
    .into_any()
}

fn tiles(now: &Standing, vacancies: u64) -> AnyView {
    let totals = now.totals;
    let figure = |count: u64| number(i64::try_from(count).unwrap_or(i64::MAX));
    let waiting = now.phase == "waiting";
    if now.undoes.is_some() {
        let beside: u64 = Beside::ALL
            .iter()
            .map(|what| totals.put_back.of(*what))
            .sum();
        let many = waiting && totals.leavers > 1;
        let note = many.then(|| "Would go if it is let on".to_owned());
        return view! {
            <div class="run__stats">
                <StatTiles>
                    <StatTile label="Come back" value=figure(totals.returners) />
                    <StatTile label="Go again" value=figure(totals.leavers) note=note critical=many />
                    <StatTile label="As they were" value=figure(totals.movers + totals.changed) />
                    <StatTile label="Beside people" value=figure(beside) />
                    <StatTile label="Left as it is" value=figure(vacancies) />
                </StatTiles>
            </div>
        }
        .into_any();
    }
    let returners =
        (totals.returners > 0).then(|| format!("{} of them come back", figure(totals.returners)));
    let undecided = (totals.undecided > 0).then(|| match totals.undecided {
        1 => "1 needs a person".to_owned(),
        many => format!("{} need a person", figure(many)),
    });
    let waiting = waiting && totals.leavers > 1;
    let leavers = waiting.then(|| "Would go if it is let on".to_owned());
    view! {
        <div class="run__stats">
            <StatTiles>
                <StatTile label="Joiners" value=figure(totals.joiners + totals.returners) note=returners />
                <StatTile label="Movers" value=figure(totals.movers) />
                <StatTile label="Changed people" value=figure(totals.changed) />
                <StatTile label="Leavers" value=figure(totals.leavers) note=leavers critical=waiting />
                <StatTile label="Findings" value=figure(totals.faults + totals.undecided + vacancies) note=undecided />
            </StatTiles>
        </div>
    }
    .into_any()
}

#[cfg(feature = "hydrate")]
mod client {
    use gloo_timers::future::TimeoutFuture;
    use leptos::prelude::*;
    use wasm_bindgen::JsCast as _;
    use wasm_bindgen_futures::JsFuture;
    use web_sys::Response;

    use super::Standing;

    /// Milliseconds between questions, and the longest wait after one that failed.
    const PACE: u32 = 1_000;
    const PATIENCE: u32 = 30_000;

    pub(super) fn follow(path: String, standing: RwSignal<Standing>) {
        if !standing.with_untracked(Standing::moves) {
            return;
        }
        leptos::task::spawn_local(async move {
            let mut wait = PACE;
            loop {
                TimeoutFuture::new(wait).await;
                let Some(now) = ask(&path).await else {
                    wait = (wait * 2).min(PATIENCE);
                    continue;
                };
                wait = PACE;
                let moves = now.moves();
                standing.set(now);
                if !moves {
                    // A page that cannot be loaded anew stays as it is, with its link to do so.
                    let _ = window().location().reload();
                    return;
                }
            }
        });
    }

    async fn ask(path: &str) -> Option<Standing> {
        let answer = JsFuture::from(window().fetch_with_str(path)).await.ok()?;
        let answer: Response = answer.dyn_into().ok()?;
        if !answer.ok() {
            return None;
        }
        let text = JsFuture::from(answer.text().ok()?).await.ok()?;
        serde_json::from_str(&text.as_string()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(phase: &str, applied: u64) -> Standing {
        let totals = Totals {
            read: 43,
            unchanged: 12,
            joiners: 2,
            movers: 3,
            changed: 19,
            leavers: 7,
            ..Totals::default()
        };
        Standing {
            phase: phase.into(),
            dry_run: false,
            totals,
            applied,
            undoes: None,
        }
    }

    fn states(standing: &Standing) -> Vec<State> {
        standing
            .phases()
            .into_iter()
            .map(|phase| phase.state)
            .collect()
    }

    #[test]
    fn an_undo_has_phases_of_its_own() {
        use State::{Done, Later, Now, Stopped};
        let undo = |phase: &str, applied| Standing {
            undoes: Some(RunId(uuid::Uuid::nil())),
            ..standing(phase, applied)
        };
        assert_eq!(states(&undo("planning", 0)), [Now, Later, Later, Later]);
        assert_eq!(states(&undo("waiting", 0)), [Done, Stopped, Later, Later]);
        assert_eq!(states(&undo("applying", 18)), [Done, Done, Now, Later]);
        assert_eq!(undo("applying", 18).phases()[2].note, "18 of 31 steps");
        assert_eq!(states(&undo("cancelled", 0)), [Done, Stopped, Later, Later]);
        assert_eq!(states(&undo("failed", 18)), [Done, Done, Stopped, Later]);
        assert_eq!(states(&undo("done", 31)), [Done; 4]);
        assert_eq!(undo("done", 31).line().2, "31 of 31 steps undone");
    }

    #[test]
    fn what_is_behind_is_done_and_what_is_ahead_waits() {
        use State::{Done, Later, Now, Stopped};
        let applying = standing("applying", 18);
        assert_eq!(states(&applying), [Done, Done, Done, Now, Later]);
        let notes: Vec<_> = applying
            .phases()
            .into_iter()
            .map(|phase| phase.note)
            .collect();
        let [read, matched, plan, apply, tell] = notes.as_slice() else {
            panic!("five phases, not {notes:?}");
        };
        assert_eq!(read, "43 records");
        assert_eq!(matched, "41 known, 2 new");
        assert_eq!(plan, "31 steps");
        assert_eq!(apply, "18 of 31 steps");
        assert_eq!(tell, "Waits");
        assert_eq!(applying.line().0, 18);
        assert_eq!(applying.line().1, 31);

        assert_eq!(
            states(&standing("waiting", 0)),
            [Done, Done, Done, Stopped, Later]
        );
        assert_eq!(states(&standing("done", 31)), [Done; 5]);
    }

    #[test]
    fn a_run_that_failed_before_it_had_a_plan_stopped_while_reading() {
        let mut failed = standing("failed", 0);
        failed.totals = Totals::default();
        assert_eq!(states(&failed)[0], State::Stopped);
        assert_eq!(failed.line().3, Tone::Critical);
        assert!(!failed.moves());
    }

    #[test]
    fn a_dry_run_never_says_that_it_wrote() {
        let dry = Standing {
            dry_run: true,
            ..standing("done", 0)
        };
        let phases = dry.phases();
        let [.., apply, tell] = phases.as_slice() else {
            panic!("five phases, not {phases:?}");
        };
        assert_eq!(
            (apply.state, apply.note.as_str()),
            (State::Later, "Not in a dry run")
        );
        assert_eq!(
            (tell.state, tell.note.as_str()),
            (State::Later, "Not in a dry run")
        );
        assert_eq!(dry.line().2, "Planned, nothing written");
    }

    #[test]
    fn it_reads_what_the_api_answers() {
        let answer = r#"{"id":"x","phase":"reading","dry_run":true,"applied":0,"error":null,
            "totals":{"read":5,"unchanged":0,"joiners":0,"returners":0,"movers":0,"changed":0,"leavers":0,"undecided":0,"faults":1},
            "steps":{"items":[],"next_cursor":null},"findings":[]}"#;
        let standing: Standing = serde_json::from_str(answer).expect("a standing");
        assert!(standing.moves());
        assert_eq!((standing.totals.read, standing.totals.faults), (5, 1));
    }
}

//! People of whom a source says by itself that they left: how many of them it
//! may let go in a time before somebody is asked.
//!
//! ```text
//! out          waiting ─┬─ let go
//!                       └─ kept ── let go
//! ```
//!
//! A source that says that somebody is here again takes back what it said
//! before, whatever came of it.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::sync::Limits;

/// The time over which the leavers of a source are counted together.
pub const WITHIN: TimeDelta = TimeDelta::hours(24);

/// What came of a source's word that somebody left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// They left at once.
    Out,
    /// They stay until somebody decides.
    Waiting,
    /// Somebody decided that they stay.
    Kept,
    /// Somebody decided that they left.
    LetGo,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Out, Self::Waiting, Self::Kept, Self::LetGo];

    /// The name in the API and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Waiting => "waiting",
            Self::Kept => "kept",
            Self::LetGo => "let_go",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether the person is still here though the source says otherwise.
    #[must_use]
    pub const fn holds(self) -> bool {
        matches!(self, Self::Waiting | Self::Kept)
    }
}

/// What becomes of somebody who is here and of whom the source says that they
/// left. `before` is what came of the same word earlier: sent again, it changes
/// nothing. `leavers` are those who left or wait within [`WITHIN`], without this
/// one; `people` those whom the source had when that time began.
#[must_use]
pub fn heard(before: Option<State>, limits: &Limits, leavers: u64, people: u64) -> State {
    match before {
        Some(state) => state,
        None if limits.too_many_leavers(leavers + 1, people) => State::Waiting,
        None => State::Out,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leave(people: u64, percent: u8) -> u64 {
        let limits = Limits {
            leavers: percent,
            ..Limits::default()
        };
        let leaves = |before: &u64| heard(None, &limits, *before, people) == State::Out;
        (0..people).filter(leaves).count() as u64
    }

    #[test]
    fn a_tenth_leaves_and_the_rest_waits() {
        assert_eq!(leave(5_000, 10), 500);
        assert_eq!(leave(5, 10), 1);
        assert_eq!(leave(5, 0), 1);
        assert_eq!(leave(5_000, 100), 5_000);
    }

    #[test]
    fn what_was_decided_holds_when_it_is_sent_again() {
        for state in State::ALL {
            let again = heard(Some(state), &Limits::default(), 5_000, 5_000);
            assert_eq!(again, state);
            assert_eq!(State::named(state.name()), Some(state));
        }
    }

    proptest! {
        #[test]
        fn one_may_always_leave_and_never_more_than_the_share(people in 1_u64..3_000, percent in 0_u8..=99) {
            let out = leave(people, percent);
            prop_assert!(out >= 1);
            prop_assert!(out == 1 || out * 100 <= people * u64::from(percent));
            // Nor fewer: one more would be too many.
            prop_assert!(out == people || (out + 1) * 100 > people * u64::from(percent));
        }
    }
}

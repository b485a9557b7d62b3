//! Corrections: a person says what a value should be that a rule has the ERP
//! decide; an approver decides; what was accepted is written back into the
//! source, and the next read of the source confirms it.
//!
//! ```text
//! proposed ─┬─ accepted ─┬─ written ── confirmed
//!           │            ├─ by hand ── confirmed
//!           │            └─ failed ── (accepted, again)
//!           ├─ declined
//!           └─ withdrawn
//! ```
//!
//! A correction is only ever in one of these states. Whatever its state, a read
//! that shows the proposed value confirms it, and one that shows a third value
//! supersedes it: see [`heard`].

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::{
    Attribute, Audience, Value, Violation,
    attribute::{Group, Kind},
};

mod decides;

pub use decides::{Standing, hr_of_unit};

/// Most characters of the note with which a correction is proposed.
pub const NOTE_MAX: usize = 500;
/// Most characters of the reason with which one is declined.
pub const REASON_MAX: usize = 500;
/// How often a value is sent to its source before it is given up.
pub const TRIES: u32 = 5;

/// Where a correction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for the approver.
    Proposed,
    /// Accepted, and on its way into the source.
    Accepted,
    /// The source took it; the next read has to show it.
    Written,
    /// Accepted, but nothing can write it: somebody has to mend it in the source.
    ByHand,
    /// Could not be written, or the source did not keep it.
    Failed,
    /// A read of the source showed the value.
    Confirmed,
    /// The approver said no.
    Declined,
    /// The person took it back.
    Withdrawn,
    /// The source says a third thing by now, or has no record of the person.
    Superseded,
}

impl State {
    /// Every state, in the order of a correction's life.
    pub const ALL: [Self; 9] = [
        Self::Proposed,
        Self::Accepted,
        Self::Written,
        Self::ByHand,
        Self::Failed,
        Self::Confirmed,
        Self::Declined,
        Self::Withdrawn,
        Self::Superseded,
    ];

    /// The name in the API and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Accepted => "accepted",
            Self::Written => "written",
            Self::ByHand => "by_hand",
            Self::Failed => "failed",
            Self::Confirmed => "confirmed",
            Self::Declined => "declined",
            Self::Withdrawn => "withdrawn",
            Self::Superseded => "superseded",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether something may still happen to it. There is at most one open
    /// correction of an attribute of a person.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(
            self,
            Self::Proposed | Self::Accepted | Self::Written | Self::ByHand | Self::Failed
        )
    }

    /// What `step` makes of it; none where the step does not lead on from here.
    #[must_use]
    pub const fn after(self, step: Step) -> Option<Self> {
        Some(match (self, step) {
            (Self::Proposed, Step::Accept) | (Self::Failed, Step::Retry) => Self::Accepted,
            (Self::Proposed | Self::ByHand | Self::Failed, Step::Decline) => Self::Declined,
            (Self::Proposed | Self::ByHand | Self::Failed, Step::Withdraw) => Self::Withdrawn,
            (Self::Accepted, Step::Wrote) => Self::Written,
            (Self::Accepted, Step::CannotWrite) => Self::ByHand,
            (Self::Accepted, Step::GiveUp) => Self::Failed,
            _ => return None,
        })
    }
}

/// What somebody, or the worker that writes back, does to a correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The approver says yes.
    Accept,
    /// The approver says no.
    Decline,
    /// The person takes it back.
    Withdraw,
    /// The approver has a failed one written again.
    Retry,
    /// The source took the value.
    Wrote,
    /// The source is one that nothing can write the attribute into.
    CannotWrite,
    /// The source did not take it, and is not asked again.
    GiveUp,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 7] = [
        Self::Accept,
        Self::Decline,
        Self::Withdraw,
        Self::Retry,
        Self::Wrote,
        Self::CannotWrite,
        Self::GiveUp,
    ];
}

/// What a whole read of the source means for an open correction in `state`.
///
/// `before` is what the source said when it was proposed, `now` what it says;
/// empty values count as none. `begun_after_writing` says whether the read
/// began after the source had taken the value: one that began earlier proves
/// nothing by still showing the old value.
#[must_use]
pub fn heard(
    state: State,
    before: Option<&Value>,
    wanted: &Value,
    now: Option<&Value>,
    begun_after_writing: bool,
) -> State {
    let filled = |value: Option<&Value>| value.filter(|value| !value.is_empty()).cloned();
    match filled(now) {
        _ if !state.is_open() => state,
        now if now.as_ref() == Some(wanted) => State::Confirmed,
        now if now != filled(before) => State::Superseded,
        _ if state == State::Written && begun_after_writing => State::Failed,
        _ => state,
    }
}

/// How long to wait after the `tries`-th time that a source could not be
/// reached, counted from 1; none after the last one.
#[must_use]
pub fn wait(tries: u32) -> Option<TimeDelta> {
    let seconds = match tries {
        0 | 1 => 30,
        2 => 2 * 60,
        3 => 10 * 60,
        _ if tries < TRIES => 60 * 60,
        _ => return None,
    };
    Some(TimeDelta::seconds(seconds))
}

/// Whether a person can say in a form what the value should be. A photo is a
/// file that the source keeps, and whether one works here is no word of one's own.
#[must_use]
pub const fn can_be_said(attribute: Attribute) -> bool {
    !matches!(attribute.spec().kind, Kind::Photo | Kind::Flag)
}

/// A proposed value, cleaned.
///
/// # Errors
/// What [`Attribute::check`] says, with `value` as the field;
/// [`Violation::Required`] where there is nothing in it.
pub fn check(attribute: Attribute, value: Value) -> Result<Value, Violation> {
    let value = attribute.check(value).map_err(|wrong| wrong.at("value"))?;
    if value.is_empty() {
        Err(Violation::Required {
            field: "value".into(),
        })
    } else {
        Ok(value)
    }
}

/// Who decides about corrections of an attribute.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Approver {
    /// Who is HR of the person's unit: [`hr_of_unit`].
    #[default]
    HrOfUnit,
    /// The direct superior.
    Manager,
    /// Anyone above in the chain of command.
    Chain,
    /// Nobody: the attribute is not corrected here.
    Nobody,
}

impl Approver {
    /// Every kind of approver.
    pub const ALL: [Self; 4] = [Self::HrOfUnit, Self::Manager, Self::Chain, Self::Nobody];

    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HrOfUnit => "hr_of_unit",
            Self::Manager => "manager",
            Self::Chain => "chain",
            Self::Nobody => "nobody",
        }
    }

    /// The approver of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// The policy of corrections: who decides about which attribute. Set at once,
/// versioned as one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Corrections {
    /// Counts up with every set; 0 before the first.
    pub version: u32,
    /// What it says.
    #[serde(flatten)]
    pub approvers: Approvers,
}

/// Who decides about corrections.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Approvers {
    /// Who decides about attributes that are not named.
    pub otherwise: Approver,
    /// Whether superiors by dotted line decide where superiors do.
    #[serde(default)]
    pub dotted: bool,
    /// Who decides about these.
    #[serde(default)]
    pub attributes: BTreeMap<Attribute, Approver>,
}

impl Corrections {
    /// Who decides about corrections of `attribute`. What only the person and HR
    /// see is decided by HR or by nobody, whatever holds for the others.
    #[must_use]
    pub fn approver(&self, attribute: Attribute) -> Approver {
        let Approvers {
            otherwise,
            attributes,
            ..
        } = &self.approvers;
        let named = attributes.get(&attribute).copied();
        match named.unwrap_or(*otherwise) {
            Approver::Nobody => Approver::Nobody,
            _ if attribute.spec().audience == Audience::HrAndSelf => Approver::HrOfUnit,
            approver => approver,
        }
    }

    /// The next version.
    ///
    /// # Errors
    /// [`Violation::Unknown`] for an attribute that cannot be corrected, and for a
    /// superior who would decide about what superiors may not see.
    pub fn succeed(&self, approvers: Approvers) -> Result<Self, Violation> {
        for (attribute, approver) in &approvers.attributes {
            let wrong = |value: &str, allowed: &str| Violation::Unknown {
                field: attribute.name().into(),
                value: value.into(),
                allowed: allowed.into(),
            };
            if !can_be_said(*attribute) {
                return Err(wrong(
                    attribute.name(),
                    "attributes with a value that can be typed",
                ));
            }
            let private = attribute.spec().audience == Audience::HrAndSelf
                || attribute.spec().group == Group::Private;
            if private && matches!(approver, Approver::Manager | Approver::Chain) {
                return Err(wrong(approver.name(), "hr_of_unit nobody"));
            }
        }
        Ok(Self {
            version: self.version + 1,
            approvers,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_names_of_their_own() {
        for state in State::ALL {
            assert_eq!(State::named(state.name()), Some(state));
        }
        assert_eq!(State::named("half_done"), None);
        for approver in Approver::ALL {
            assert_eq!(Approver::named(approver.name()), Some(approver));
        }
    }

    /// The whole table of what leads where, as it is reviewed.
    #[test]
    fn steps_lead_only_where_they_should() {
        let mut table = String::new();
        for state in State::ALL {
            for step in Step::ALL {
                if let Some(next) = state.after(step) {
                    table += &format!("{} {step:?} {}\n", state.name(), next.name());
                }
            }
        }
        assert_eq!(
            table,
            "proposed Accept accepted\n\
             proposed Decline declined\n\
             proposed Withdraw withdrawn\n\
             accepted Wrote written\n\
             accepted CannotWrite by_hand\n\
             accepted GiveUp failed\n\
             by_hand Decline declined\n\
             by_hand Withdraw withdrawn\n\
             failed Decline declined\n\
             failed Withdraw withdrawn\n\
             failed Retry accepted\n"
        );
    }

    #[test]
    fn what_is_over_stays_as_it_is() {
        let (old, new) = (Value::from("Smith"), Value::from("Smyth"));
        for state in State::ALL.into_iter().filter(|state| !state.is_open()) {
            for step in Step::ALL {
                assert_eq!(state.after(step), None, "{state:?} {step:?}");
            }
            assert_eq!(heard(state, Some(&old), &new, Some(&new), true), state);
        }
    }

    #[test]
    fn a_read_confirms_supersedes_or_proves_nothing() {
        let (old, new, third) = (
            Value::from("Smith"),
            Value::from("Smyth"),
            Value::from("Jones"),
        );
        let empty = Value::from("");
        for state in State::ALL.into_iter().filter(|state| state.is_open()) {
            for after in [false, true] {
                let read = |now: Option<&Value>| heard(state, Some(&old), &new, now, after);
                assert_eq!(read(Some(&new)), State::Confirmed, "{state:?}");
                assert_eq!(read(Some(&third)), State::Superseded, "{state:?}");
                assert_eq!(read(None), State::Superseded, "{state:?}");
                let kept_the_old = if state == State::Written && after {
                    State::Failed
                } else {
                    state
                };
                assert_eq!(read(Some(&old)), kept_the_old, "{state:?} {after}");
                // Nothing and an empty text are one.
                assert_eq!(
                    heard(state, Some(&empty), &new, None, false),
                    state,
                    "{state:?}"
                );
            }
        }
    }

    #[test]
    fn a_source_is_asked_ever_less_often_and_then_no_more() {
        let waits: Vec<_> = (1..).map_while(wait).collect();
        assert_eq!(waits.len() as u32, TRIES - 1);
        assert!(waits.windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
        assert_eq!(wait(TRIES), None);
        assert_eq!(wait(u32::MAX), None);
    }

    #[test]
    fn what_superiors_may_not_see_they_do_not_decide() {
        let chain = |attributes| Approvers {
            otherwise: Approver::Chain,
            dotted: false,
            attributes,
        };
        let policy = Corrections {
            version: 0,
            approvers: chain(BTreeMap::new()),
        };
        assert_eq!(policy.approver(Attribute::BirthDate), Approver::HrOfUnit);
        assert_eq!(policy.approver(Attribute::Title), Approver::Chain);
        let set =
            |approver| policy.succeed(chain(BTreeMap::from([(Attribute::BirthDate, approver)])));
        for approver in [Approver::Manager, Approver::Chain] {
            assert!(matches!(set(approver), Err(Violation::Unknown { .. })));
        }
        let next = set(Approver::Nobody).unwrap();
        assert_eq!(next.version, 1);
        assert_eq!(next.approver(Attribute::BirthDate), Approver::Nobody);
        let only = |attribute| BTreeMap::from([(attribute, Approver::Manager)]);
        let set = |attribute| policy.succeed(chain(only(attribute)));
        assert!(set(Attribute::Manager).is_ok());
        for attribute in [Attribute::Photos, Attribute::Active] {
            assert!(set(attribute).is_err(), "no value to type");
        }
    }

    #[test]
    fn a_proposed_value_is_checked_like_any_other() {
        let wrong = check(Attribute::Emails, "nobody at nowhere".into()).unwrap_err();
        assert_eq!((wrong.field(), wrong.code()), ("value", "bad_format"));
        let empty = check(Attribute::Title, "  ".into()).unwrap_err();
        assert_eq!((empty.field(), empty.code()), ("value", "required"));
        let long = check(Attribute::Title, "x".repeat(121).into()).unwrap_err();
        assert_eq!((long.field(), long.code()), ("value", "too_long"));
        assert_eq!(
            check(Attribute::Title, " Forge  Lead ".into()).unwrap(),
            "Forge Lead".into()
        );
    }

    #[test]
    fn the_policy_is_kept_as_json() {
        let policy = Corrections {
            version: 3,
            approvers: Approvers {
                otherwise: Approver::HrOfUnit,
                dotted: true,
                attributes: BTreeMap::from([(Attribute::Title, Approver::Manager)]),
            },
        };
        let text = serde_json::to_string(&policy).unwrap();
        assert_eq!(
            text,
            r#"{"version":3,"otherwise":"hr_of_unit","dotted":true,"attributes":{"title":"manager"}}"#
        );
        assert_eq!(serde_json::from_str::<Corrections>(&text).unwrap(), policy);
        // As it was kept before superiors by dotted line could decide.
        let before = r#"{"version":1,"otherwise":"chain"}"#;
        assert!(
            !serde_json::from_str::<Corrections>(before)
                .unwrap()
                .approvers
                .dotted
        );
    }
}

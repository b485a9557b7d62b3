//! The words of corrections: where one stands, and what that means.

use domain::correction::{Approver, State};
use store::correction::Correction;

use crate::ui::{
    Tone,
    format::{self, Reader},
};

/// A state in two or three words.
pub(crate) const fn state(state: State) -> (&'static str, Tone) {
    match state {
        State::Proposed => ("Waits", Tone::Warning),
        State::Accepted => ("On its way", Tone::Info),
        State::Written => ("Written, on its way", Tone::Info),
        State::ByHand => ("To be mended by hand", Tone::Warning),
        State::Failed => ("Failed", Tone::Critical),
        State::Confirmed => ("Confirmed", Tone::Positive),
        State::Declined => ("Declined", Tone::Neutral),
        State::Withdrawn => ("Taken back", Tone::Neutral),
        State::Superseded => ("Overtaken", Tone::Neutral),
    }
}

/// Who decides, as a sentence begins with it.
pub(super) const fn approver(approver: Approver) -> &'static str {
    match approver {
        Approver::HrOfUnit => "HR",
        Approver::Manager => "The direct superior",
        Approver::Chain => "A superior",
        Approver::Nobody => "Nobody",
    }
}

/// Where a correction stands: a few words for the chip, and a sentence that says what happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The state.
    pub chip: &'static str,
    /// What its colour means.
    pub tone: Tone,
    /// What it means, with who, what and until when.
    pub sentence: String,
}

/// Where a correction stands.
pub(crate) fn told(one: &Correction, reader: &Reader) -> Told {
    let (chip, tone) = state(one.state);
    let source = &one.source_name;
    let by = one
        .decided_by
        .as_ref()
        .map_or_else(String::new, |by| format!(" by {}", by.display_name));
    let at = |moment: Option<chrono::DateTime<chrono::Utc>>| {
        moment.map_or_else(String::new, |at| {
            format!(" {}", reader.moment_in_sentence(at))
        })
    };
    let trouble = one.trouble.as_ref();
    let sentence = match one.state {
        State::Proposed if one.approver == Approver::Nobody => {
            "Nobody decides about this any more. It can be taken back.".to_owned()
        }
        State::Proposed => format!("{} decides about it.", approver(one.approver)),
        State::Accepted => match trouble {
            Some(trouble) => format!(
                "Accepted{by}. {source} could not be written to: {}. Tried {}, and again{}.",
                trouble.text.trim_end_matches('.'),
                format::counted(u64::from(one.tries), "time", "times"),
                at(one.due_at),
            ),
            None => format!("Accepted{by}, and on its way to {source}."),
        },
        State::Written => format!(
            "{source} took it{}. The next read of {source} confirms it.",
            at(one.written_at)
        ),
        State::ByHand => format!(
            "Accepted{by}. {source} cannot be written to from here: somebody has to mend record {} there. The next read confirms it.",
            one.external_id
        ),
        State::Failed => match trouble {
            Some(trouble) if trouble.code == "not_kept" => {
                let was = one.was.as_ref().map_or_else(
                    || "nothing".to_owned(),
                    |was| format!("“{}”", one.read(was)),
                );
                format!("{source} took it, but still said {was} at the next read.")
            }
            Some(trouble) if trouble.code == "superior_below" => {
                format!("It was not sent to {source}: {}.", trouble.text)
            }
            Some(trouble) => format!(
                "{source} could not be written to: {}.",
                trouble.text.trim_end_matches('.')
            ),
            None => format!("{source} could not be written to."),
        },
        State::Confirmed => format!("{source} says so since its read{}.", at(Some(one.moved_at))),
        State::Declined => match &one.reason {
            Some(reason) => format!("Declined{by}: “{reason}”"),
            None => format!("Declined{by}."),
        },
        State::Withdrawn => format!("Taken back{}.", at(Some(one.moved_at))),
        State::Superseded => match (trouble.map(|trouble| trouble.code.as_str()), &one.said) {
            (Some("gone"), _) => format!("{source} has no such record any more."),
            (_, Some(said)) => format!("{source} says “{}” by now.", one.read(said)),
            (_, None) => format!("{source} says nothing there by now."),
        },
    };
    Told {
        chip,
        tone,
        sentence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_words_of_its_own() {
        let words: std::collections::BTreeSet<_> =
            State::ALL.iter().map(|one| state(*one).0).collect();
        assert_eq!(words.len(), State::ALL.len());
    }
}

//! What a form brings back to the page it came from: kept in the browser's
//! session for one page view, so that a reload does not say it again.

use std::collections::BTreeMap;

use domain::Violation;
use serde::{Deserialize, Serialize};
use tower_sessions::Session;

use crate::{ui::Tone, words};

const KEY: &str = "flash";

/// A message, and where it was a failure, what was typed and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Flash {
    /// A sentence to show at the top of the page.
    pub message: Option<String>,
    /// Whether something failed.
    pub failed: bool,
    /// Which form of the page it is about: the path it was sent to.
    pub form: String,
    /// What was typed, but for passwords.
    pub typed: BTreeMap<String, String>,
    /// What is wrong, by field.
    pub violations: Vec<Violation>,
}

/// What to put into a form: the values that were typed and the sentences below them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept(Option<Flash>);

impl Kept {
    /// What was typed into `field`, or `before` where nothing was sent.
    #[must_use]
    pub fn value(&self, field: &str, before: &str) -> String {
        match &self.0 {
            Some(flash) => flash
                .typed
                .get(field)
                .cloned()
                .unwrap_or_else(|| before.to_owned()),
            None => before.to_owned(),
        }
    }

    /// Whether `field` was sent, for checkboxes; `before` where nothing was.
    #[must_use]
    pub fn checked(&self, field: &str, before: bool) -> bool {
        self.0
            .as_ref()
            .map_or(before, |flash| flash.typed.contains_key(field))
    }

    /// What is wrong with `field`, in a sentence.
    #[must_use]
    pub fn error(&self, field: &str) -> Option<String> {
        let flash = self.0.as_ref()?;
        flash
            .violations
            .iter()
            .find(|violation| violation.field() == field)
            .map(words::violation)
    }

    /// Whether the form came back.
    #[must_use]
    pub const fn came_back(&self) -> bool {
        self.0.is_some()
    }
}

impl Flash {
    /// Good news.
    #[must_use]
    pub fn done(message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            ..Self::default()
        }
    }

    /// The tone of the message's banner.
    #[must_use]
    pub const fn tone(&self) -> Tone {
        if self.failed {
            Tone::Critical
        } else {
            Tone::Positive
        }
    }

    /// What the form that posts to `path` has to show.
    #[must_use]
    pub fn kept(&self, path: &str) -> Kept {
        Kept((self.failed && self.form == path).then(|| self.clone()))
    }

    /// Puts it where the next page finds it. A session that cannot be written
    /// loses the message, never the change it speaks of.
    pub async fn leave(self, session: &Session) {
        if let Err(error) = session.insert(KEY, self).await {
            tracing::warn!(%error, "a flash was lost");
        }
    }

    /// Takes what a form has left, once.
    pub async fn take(session: &Session) -> Self {
        // Taking away what is not there would count as a change: a write for every page that is shown.
        match session.get_value(KEY).await {
            Ok(Some(_)) => session.remove(KEY).await.ok().flatten().unwrap_or_default(),
            _ => Self::default(),
        }
    }
}

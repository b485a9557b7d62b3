//! Verifying the log on demand. The verdict stays in the browser's session, so that the log's page
//! can say when it was reached, and a broken chain is not forgotten by a reload.

use std::path::Path;

use axum::response::{IntoResponse as _, Redirect, Response};
use chrono::{DateTime, Utc};
use domain::audit::Checkpoint;
use serde::{Deserialize, Serialize};
use store::audit::Verification;
use tower_sessions::Session;

use crate::edge::{AppError, Visit};

const KEY: &str = "audit.verdict";
/// Where the server keeps signed checkpoints beside the database.
const CHECKPOINTS: &str = "audit-checkpoints.jsonl";

/// What a verification said, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Verdict {
    /// When it was reached.
    pub at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub took: i64,
    /// What the log says.
    pub outcome: Verification,
    /// The line of the checkpoints' file that holds something else.
    pub unreadable: Option<usize>,
}

impl Verdict {
    /// Whether all is as it was written.
    pub(super) const fn holds(&self) -> bool {
        self.outcome.ok && self.unreadable.is_none()
    }

    /// The last verdict of this browser.
    pub(super) async fn of(session: &Session) -> Option<Self> {
        session.get(KEY).await.ok().flatten()
    }
}

/// `POST /console/audit/verify`
pub async fn verify(visit: Visit) -> Result<Response, AppError> {
    let store = &visit.portal.store;
    let began = store.now();
    let (outside, unreadable) = match beside(&visit.portal.site.data_dir).await? {
        Ok(checkpoints) => (checkpoints, None),
        Err(line) => (Vec::new(), Some(line)),
    };
    let outcome = store.verify_audit(&visit.viewer, outside).await?;
    let at = store.now();
    let verdict = Verdict {
        at,
        took: (at - began).num_milliseconds(),
        outcome,
        unreadable,
    };
    // A verdict that is lost could be that of a broken log.
    let lost = |error| store::Error::Internal(format!("the verdict was lost: {error}"));
    visit.session.insert(KEY, &verdict).await.map_err(lost)?;
    Ok(Redirect::to("/console/audit").into_response())
}

/// The checkpoints beside the database, or the line that is none. No file is no checkpoint.
async fn beside(folder: &Path) -> Result<Result<Vec<Checkpoint>, usize>, AppError> {
    match tokio::fs::read_to_string(folder.join(CHECKPOINTS)).await {
        Ok(text) => Ok(kept(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Ok(Vec::new())),
        Err(error) => Err(store::Error::Internal(format!("{CHECKPOINTS}: {error}")).into()),
    }
}

/// A last line without an end was cut off by a crash and does not count.
fn kept(text: &str) -> Result<Vec<Checkpoint>, usize> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .enumerate()
        .map(|(at, line)| serde_json::from_str(line).map_err(|_| at + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::audit::Hash;

    fn line(seq: i64) -> String {
        let checkpoint = Checkpoint {
            seq,
            hash: Hash([7; 32]),
            at: DateTime::UNIX_EPOCH,
            signature: "00".into(),
        };
        serde_json::to_string(&checkpoint).expect("JSON")
    }

    #[test]
    fn a_line_that_was_cut_off_does_not_count_and_any_other_does() {
        let text = format!("{}\n{}\n{{\"seq\":", line(3), line(9));
        let kept_ones = kept(&text).expect("two checkpoints");
        assert_eq!(
            kept_ones.iter().map(|one| one.seq).collect::<Vec<_>>(),
            [3, 9]
        );
        assert_eq!(
            kept(&format!("{}\nrubbish\n{}\n", line(3), line(9))),
            Err(2)
        );
        assert_eq!(kept(""), Ok(Vec::new()));
    }
}

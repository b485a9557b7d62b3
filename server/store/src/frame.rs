//! What stands around every page: who one is, and what waits.

use chrono::{DateTime, Utc};
use domain::{Action, Viewer};
use sea_orm::{ConnectionTrait as _, Statement};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result, Store,
    people::{self, CARD, PersonCard},
};

/// The viewer's own card and how they read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// The card.
    pub person: PersonCard,
    /// Language and region, a BCP 47 tag; `en-GB` if none is set.
    pub locale: String,
    /// Zone of the IANA database; `UTC` if none is set.
    pub timezone: String,
}

/// What waits for the viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Conversations with something unseen.
    pub unread: u64,
    /// Own reviews that are open.
    pub open_reviews: u64,
    /// Runs that wait for somebody's word.
    pub stopped_runs: u64,
    /// Corrections that wait for the viewer's decision.
    pub corrections: u64,
    /// When any source was last read to its end.
    pub erp_read: Option<DateTime<Utc>>,
}

impl Store {
    /// The viewer's own card and preferences.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for the system and for people who are not there.
    pub async fn me(&self, viewer: &Viewer) -> Result<Me> {
        let id = viewer.id().ok_or(Error::Unauthenticated)?;
        self.allow_about(viewer, id, Action::ReadProfile)?;
        let db = self.db();
        // One query: every page asks this.
        let row = db
            .query_one_raw(Statement::from_sql_and_values(
                db.get_database_backend(),
                format!("SELECT {CARD}, e.locale, e.timezone FROM employees e WHERE e.id = $1"),
                [id.0.into()],
            ))
            .await?
            .ok_or(Error::Unauthenticated)?;
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Me {
            person: people::card(&row)?,
            locale: filled(row.try_get("", "locale")?).unwrap_or_else(|| "en-GB".into()),
            timezone: filled(row.try_get("", "timezone")?).unwrap_or_else(|| "UTC".into()),
        })
    }

    /// What waits for the viewer, in one query, and another one while there are proposed corrections.
    ///
    /// # Errors
    /// [`Error::Db`].
    pub async fn frame_counts(&self, viewer: &Viewer) -> Result<Counts> {
        let Some(id) = viewer.id() else {
            return Ok(Counts::default());
        };
        let db = self.db();
        let sql = "SELECT
            (SELECT COUNT(*) FROM members m JOIN conversations c ON c.id = m.conversation_id
              WHERE m.employee_id = $1 AND m.left_at IS NULL AND c.last_seq > m.read_seq) AS unread,
            (SELECT COUNT(*) FROM reviews WHERE reviewer_id = $1 AND ended_at IS NULL AND expires_at > $2) AS open_reviews,
            (SELECT COUNT(*) FROM runs WHERE phase = 'waiting')
              + (SELECT COUNT(DISTINCT source_id) FROM pushed_leavers WHERE state = 'waiting') AS stopped_runs,
            (SELECT COUNT(*) FROM corrections WHERE state = 'proposed') AS corrections,
            (SELECT MAX(last_read_at) FROM sources) AS erp_read";
        let row = db
            .query_one_raw(Statement::from_sql_and_values(
                db.get_database_backend(),
                sql,
                [id.0.into(), self.now().into()],
            ))
            .await?
            .ok_or_else(|| Error::Internal("a query without a row".into()))?;
        let count = |column| {
            row.try_get::<i64>("", column)
                .map(|count| u64::try_from(count).unwrap_or(0))
        };
        let corrections = match count("corrections")? {
            0 => 0,
            _ => self.corrections_to_decide(viewer).await?,
        };
        Ok(Counts {
            corrections,
            unread: count("unread")?,
            open_reviews: count("open_reviews")?,
            stopped_runs: count("stopped_runs")?,
            erp_read: row.try_get("", "erp_read")?,
        })
    }
}

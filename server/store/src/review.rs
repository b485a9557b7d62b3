//! Reviews: opened for a reason, read under a record, seen by the reviewed.

use chrono::{DateTime, Utc};
use domain::{
    ConversationId, EmployeeId, MessageId, ReviewId, Viewer,
    review::{Notice, Reason, Request},
};
use serde::{Deserialize, Serialize};

use crate::{Page, Result, Store, people::PersonCard};

/// A review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Which.
    pub id: ReviewId,
    /// Who reads.
    pub reviewer: PersonCard,
    /// Whose words.
    pub subject: PersonCard,
    /// Why.
    pub reason: Reason,
    /// The case it belongs to.
    pub case: Option<String>,
    /// First moment of interest.
    pub from: DateTime<Utc>,
    /// Moment after the last one of interest.
    pub to: Option<DateTime<Utc>>,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// When it was ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// What was found, in the reviewer's words; the reviewed person reads it.
    pub finding: Option<String>,
    /// When the reviewed person learns of it.
    pub notice: Notice,
}

/// A conversation within a review's reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InScope {
    /// Which.
    pub conversation: ConversationId,
    /// The group's name, or the names of the two.
    pub title: String,
    /// Who is in it.
    pub members: Vec<PersonCard>,
    /// How many messages of the reviewed person in it may be read.
    pub messages: u64,
    /// The last of them.
    pub last_at: DateTime<Utc>,
}

/// A line of a review: words, or a mark that there are words one may not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewedMessage {
    /// The message.
    pub id: MessageId,
    /// Where.
    pub conversation: ConversationId,
    /// Its place.
    pub seq: i64,
    /// Who wrote it.
    pub sender: EmployeeId,
    /// When.
    pub sent_at: DateTime<Utc>,
    /// The words; none where they are redacted.
    pub body: Option<String>,
    /// Whether the reviewed person wrote it.
    pub subject: bool,
    /// Whether the search found something in it.
    pub hit: bool,
}

/// A page of a review. It exists only if its own audit entry does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewPage {
    /// The lines in order of time.
    pub page: Page<ReviewedMessage>,
    /// The people who wrote them.
    pub people: Vec<PersonCard>,
    /// Number of the audit entry that records this look.
    pub entry: i64,
}

/// What to read of a review.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReviewQuery {
    /// Only this conversation.
    pub conversation: Option<ConversationId>,
    /// Only messages with all of these words, and none that is redacted.
    pub q: String,
    /// From a page's `next_cursor`.
    pub cursor: Option<String>,
    /// How many, 1 to 100; 50 if absent.
    pub limit: Option<u32>,
}

/// A look at somebody's words, as the reviewed person sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Number of the audit entry.
    pub entry: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who looked.
    pub who: PersonCard,
    /// `opened`, `read`, `searched`, `extended`, `ended`, or `private_attributes`.
    pub what: String,
    /// The review, unless it is about attributes.
    pub review: Option<Review>,
    /// How many messages of the person were on the page.
    pub messages: Option<u64>,
    /// What was searched for.
    pub q: Option<String>,
}

impl Store {
    /// Opens a review.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] for whom the viewer does not oversee or whose
    /// unit's policy is off, [`crate::Error::Invalid`].
    pub async fn open_review(&self, viewer: &Viewer, request: Request) -> Result<Review> {
        todo!()
    }

    /// The viewer's own reviews, the latest first.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn reviews(&self, viewer: &Viewer) -> Result<Vec<Review>> {
        todo!()
    }

    /// One of the viewer's own reviews.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn review(&self, viewer: &Viewer, id: ReviewId) -> Result<Review> {
        todo!()
    }

    /// The conversations in a review's reach; listing them is recorded.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `review_over`.
    pub async fn review_scope(&self, viewer: &Viewer, id: ReviewId) -> Result<Vec<InScope>> {
        todo!()
    }

    /// A page of a review. The audit entry of the look is in the same
    /// transaction: no entry, no row.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `review_over`, [`crate::Error::Invalid`].
    pub async fn review_messages(&self, viewer: &Viewer, id: ReviewId, query: &ReviewQuery) -> Result<ReviewPage> {
        todo!()
    }

    /// Moves the end of a review that is still open, within the policy's days from now.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `review_over`, [`crate::Error::Invalid`].
    pub async fn extend_review(&self, viewer: &Viewer, id: ReviewId, why: &str) -> Result<Review> {
        todo!()
    }

    /// Ends a review, with what was found.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `review_over`, [`crate::Error::Invalid`].
    pub async fn end_review(&self, viewer: &Viewer, id: ReviewId, finding: &str) -> Result<Review> {
        todo!()
    }

    /// What the audit log has recorded of a review, oldest first: the reviewer's own trace.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn review_trace(&self, viewer: &Viewer, id: ReviewId) -> Result<Vec<Look>> {
        todo!()
    }

    /// Who looked at what of the viewer's, the latest first, as the policy says.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn looked_at(&self, viewer: &Viewer, cursor: Option<&str>) -> Result<Page<Look>> {
        todo!()
    }

    /// Whom the viewer may open a review about: those overseen whose unit's policy is on.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn reviewable(&self, viewer: &Viewer) -> Result<Vec<PersonCard>> {
        todo!()
    }
}

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{
    ConversationId, EmployeeId, ReviewId,
    review::{By, Notice, Reason, Request},
};
use serde::{Deserialize, Serialize};
use store::review::{Look as KeptLook, Review as KeptReview, ReviewQuery, ReviewedMessage};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    Answer, Caller, Id, Input, InputOr, Made, Params, made,
    shapes::{List, Person},
};
use crate::http::Server;

/// Why somebody reads.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonShape {
    /// `client_complaint`, `misconduct_report`, `safety`, `security`, `legal_request`, `hand_over`, `other`, or a word of one's own.
    category: String,
    /// At least 8 characters; the reviewed person reads it.
    text: String,
}

/// A superior's stated, limited look at somebody's words.
#[derive(Serialize, ToSchema)]
pub struct Review {
    id: Uuid,
    reviewer: Person,
    subject: Person,
    reason: ReasonShape,
    case: Option<String>,
    from: DateTime<Utc>,
    to: Option<DateTime<Utc>>,
    opened_at: DateTime<Utc>,
    /// When it ends by itself.
    expires_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    /// What was found; the reviewed person reads it.
    finding: Option<String>,
    /// When the reviewed person learns of it: `at_once`, `at_the_end`.
    #[schema(value_type = String)]
    notice: Notice,
    /// By which relation it was opened: `line`, `dotted`, `delegate`.
    by: &'static str,
    /// For whom the reviewer stood in.
    on_behalf_of: Option<Person>,
}

/// A relation by its name.
const fn relation(by: By) -> &'static str {
    match by {
        By::Line => "line",
        By::Dotted => "dotted",
        By::Delegate(_) => "delegate",
    }
}

impl From<KeptReview> for Review {
    fn from(kept: KeptReview) -> Self {
        Self {
            id: kept.id.0,
            reviewer: kept.reviewer.into(),
            subject: kept.subject.into(),
            reason: ReasonShape {
                category: kept.reason.category,
                text: kept.reason.text,
            },
            case: kept.case,
            from: kept.from,
            to: kept.to,
            opened_at: kept.opened_at,
            expires_at: kept.expires_at,
            ended_at: kept.ended_at,
            finding: kept.finding,
            notice: kept.notice,
            by: relation(kept.by),
            on_behalf_of: kept.on_behalf_of.map(Into::into),
        }
    }
}

/// The caller's own reviews, the latest first.
#[utoipa::path(get, path = "/reviews", tag = "review", responses((status = 200, body = List<Review>)))]
pub async fn list(State(server): State<Server>, Caller { viewer }: Caller) -> Answer<List<Review>> {
    let reviews = server.portal.store.reviews(&viewer).await?;
    Ok(Json(List::whole(reviews)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// Whose words.
    subject: Uuid,
    reason: ReasonShape,
    #[serde(default)]
    case: Option<String>,
    /// First moment of interest; 30 days before the end if absent.
    #[serde(default)]
    from: Option<DateTime<Utc>>,
    /// Moment after the last one of interest.
    #[serde(default)]
    to: Option<DateTime<Utc>>,
}

/// Opens a review. 404 for whom the caller does not oversee, or where the policy is off.
#[utoipa::path(post, path = "/reviews", tag = "review", request_body = Open, responses((status = 201, body = Review)))]
pub async fn open(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Input(open): Input<Open>,
) -> Made<Review> {
    let Open {
        subject,
        reason,
        case,
        from,
        to,
    } = open;
    let reason = Reason {
        category: reason.category,
        text: reason.text,
    };
    let request = Request {
        subject: EmployeeId(subject),
        reason,
        case,
        from,
        to,
    };
    let review = server.portal.store.open_review(&viewer, request).await?;
    Ok(made(review.into()))
}

/// One of the caller's own reviews.
#[utoipa::path(get, path = "/reviews/{id}", tag = "review", params(("id" = Uuid, Path)), responses((status = 200, body = Review)))]
pub async fn show(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<ReviewId>,
) -> Answer<Review> {
    let review = server.portal.store.review(&viewer, id).await?;
    Ok(Json(review.into()))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Reading {
    /// Only messages with all of these words.
    #[serde(default)]
    q: String,
    /// Only this conversation.
    conversation: Option<Uuid>,
    cursor: Option<String>,
    /// How many, 1 to 100; 50 if absent.
    limit: Option<u32>,
}

/// A line of a review.
#[derive(Serialize, ToSchema)]
pub struct Line {
    id: Uuid,
    conversation: Uuid,
    seq: i64,
    sender: Uuid,
    sent_at: DateTime<Utc>,
    /// Null where the words are redacted.
    body: Option<String>,
    /// Whether the words are not for the reviewer.
    redacted: bool,
    /// Whether the reviewed person wrote it.
    subject: bool,
    /// Whether the search found something in it.
    hit: bool,
}

impl From<ReviewedMessage> for Line {
    fn from(message: ReviewedMessage) -> Self {
        Self {
            id: message.id.0,
            conversation: message.conversation.0,
            seq: message.seq,
            sender: message.sender.0,
            sent_at: message.sent_at,
            redacted: message.body.is_none(),
            body: message.body,
            subject: message.subject,
            hit: message.hit,
        }
    }
}

/// A page of a review.
#[derive(Serialize, ToSchema)]
pub struct Lines {
    /// In order of time.
    items: Vec<Line>,
    next_cursor: Option<String>,
    /// The people who wrote them.
    people: Vec<Person>,
    /// Number of the audit entry that records this look.
    entry: i64,
}

/// A page of a review. It exists only with its own audit entry.
#[utoipa::path(get, path = "/reviews/{id}/messages", tag = "review", params(("id" = Uuid, Path), Reading), responses((status = 200, body = Lines)))]
pub async fn messages(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<ReviewId>,
    Params(Reading {
        q,
        conversation,
        cursor,
        limit,
    }): Params<Reading>,
) -> Answer<Lines> {
    let query = ReviewQuery {
        conversation: conversation.map(ConversationId),
        q,
        cursor,
        limit,
    };
    let look = server
        .portal
        .store
        .review_messages(&viewer, id, &query)
        .await?;
    Ok(Json(Lines {
        items: look.page.items.into_iter().map(Into::into).collect(),
        next_cursor: look.page.next_cursor,
        people: look.people.into_iter().map(Into::into).collect(),
        entry: look.entry,
    }))
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// What was found; the reviewed person reads it.
    #[serde(default)]
    finding: String,
}

/// Ends a review.
#[utoipa::path(post, path = "/reviews/{id}/end", tag = "review", params(("id" = Uuid, Path)), request_body = End, responses((status = 200, body = Review)))]
pub async fn end(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<ReviewId>,
    InputOr(end): InputOr<End>,
) -> Answer<Review> {
    let review = server
        .portal
        .store
        .end_review(&viewer, id, &end.finding)
        .await?;
    Ok(Json(review.into()))
}

/// A look at the caller's words or private attributes.
#[derive(Serialize, ToSchema)]
pub struct Look {
    /// Number of the audit entry.
    entry: i64,
    at: DateTime<Utc>,
    who: Person,
    /// `opened`, `read`, `searched`, `extended`, `ended`, or `private_attributes`.
    what: String,
    review: Option<Review>,
    /// How many messages of the caller's were on the page.
    messages: Option<u64>,
    /// What was searched for.
    q: Option<String>,
    /// By which relation: `line`, `dotted`, `delegate`.
    by: &'static str,
    /// For whom the one who looked stood in.
    on_behalf_of: Option<Person>,
}

impl From<KeptLook> for Look {
    fn from(kept: KeptLook) -> Self {
        Self {
            entry: kept.entry,
            at: kept.at,
            who: kept.who.into(),
            what: kept.what,
            review: kept.review.map(Into::into),
            messages: kept.messages,
            q: kept.q,
            by: relation(kept.by),
            on_behalf_of: kept.on_behalf_of.map(Into::into),
        }
    }
}

//! Reviews: opened for a reason, read under a record, seen by the reviewed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Action, ConversationId, EmployeeId, MessageId, ReviewId, UnitId, Viewer, Violation,
    delegation::reaches,
    review::{
        self, By, Edge, Notice, Oversight, OversightRule, Reach, Reason, Request, Span, When,
    },
    text,
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QueryResult, QuerySelect as _, Set,
    Value, prelude::Uuid,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Error, Page, Result, Store, audit, chat, db, delegation,
    entity::{conversation, message, review as row},
    people::{self, PersonCard},
};

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
    /// By which relation it was opened.
    pub by: By,
    /// For whom the reviewer stood in.
    pub on_behalf_of: Option<PersonCard>,
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
    /// By which relation.
    pub by: By,
    /// For whom the one who looked stood in.
    pub on_behalf_of: Option<PersonCard>,
}

/// Somebody who may review the viewer's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviewer {
    /// Who.
    pub person: PersonCard,
    /// By which relation.
    pub by: By,
    /// For whom they stand in.
    pub on_behalf_of: Option<PersonCard>,
}

/// Most characters of a search.
const SEARCH_MAX: usize = 200;
/// How many lines a search reads at once, and at the most for one page: it
/// holds the log's head meanwhile.
const CHUNK: usize = 500;
const SCAN_MAX: usize = 5_000;
/// What [`Store::profile`] records when somebody sees private attributes.
const PRIVATE_READ: &str = "profile.private_read";
/// How many looks stand on a page.
const LOOKS: usize = 50;

impl Store {
    /// Opens a review.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] for whom the viewer does not oversee or whose
    /// unit's policy is off, [`crate::Error::Invalid`].
    pub async fn open_review(&self, viewer: &Viewer, request: Request) -> Result<Review> {
        let me = viewer.id().ok_or(Error::NotFound)?;
        let request = request.checked(self.now())?;
        let range = range(&request)?;
        let oversight = self.oversight_in_force().await?;
        let mut change = self.change().await?;
        let (rule, by) = self
            .may_open(&change.tx, &oversight, viewer, request.subject, range)
            .await?;
        let (by_relation, on_behalf_of) = kept(by);
        let review = row::Model {
            id: ReviewId::new(change.at, self.random()).0,
            reviewer_id: me.0,
            subject_id: request.subject.0,
            category: request.reason.category,
            reason: request.reason.text,
            case_ref: request.case,
            from_at: range.from,
            to_at: range.to,
            opened_at: change.at,
            expires_at: change.at + TimeDelta::days(rule.max_days.into()),
            ended_at: None,
            finding: None,
            notice: notice_name(rule.notice).to_owned(),
            by_relation: by_relation.to_owned(),
            on_behalf_of,
        };
        row::Entity::insert(review.clone().into_active_model())
            .exec_without_returning(&change.tx)
            .await?;
        change.record(
            viewer,
            "review.opened",
            audit::person(request.subject),
            told_by(by, json!({
                "review": review.id, "category": review.category, "reason": review.reason, "case": review.case_ref,
                "from": review.from_at, "to": review.to_at, "expires_at": review.expires_at, "notice": review.notice,
            })),
        );
        change.commit().await?;
        self.shown_review(review).await
    }

    /// The policy, read before the transaction: whoever holds a connection and
    /// waits for another one can wait for ever.
    async fn oversight_in_force(&self) -> Result<Oversight> {
        self.policy(&Viewer::system("review")).await
    }

    /// The rule under which the viewer may review the subject's words of `range`,
    /// and by which relation: above them now, or at some time in it where the
    /// policy says at the time. The chain of command goes before the others.
    async fn may_open(
        &self,
        conn: &impl ConnectionTrait,
        oversight: &Oversight,
        viewer: &Viewer,
        subject: EmployeeId,
        range: Span,
    ) -> Result<(OversightRule, By)> {
        let me = viewer.id().ok_or(Error::NotFound)?;
        // Who was below once and is above now is a superior.
        if self.chart().chart.oversees(subject, me) {
            return Err(Error::NotFound);
        }
        let sight = self.sight(conn, oversight, me, subject).await?;
        let by = sight
            .by(range)
            .filter(|by| viewer.may(by.relation(), Action::OpenReview));
        sight.rule.zip(by).ok_or(Error::NotFound)
    }

    /// By which relation the viewer may open a review of somebody's words now;
    /// none if they may not.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn review_way(&self, viewer: &Viewer, subject: EmployeeId) -> Result<Option<By>> {
        if viewer.id().is_none() {
            return Ok(None);
        }
        let oversight = self.oversight_in_force().await?;
        let range = Span {
            from: self.now() - TimeDelta::days(30),
            to: None,
        };
        match self
            .may_open(self.db(), &oversight, viewer, subject, range)
            .await
        {
            Ok((_, by)) => Ok(Some(by)),
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The viewer's own reviews, the latest first.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn reviews(&self, viewer: &Viewer) -> Result<Vec<Review>> {
        let me = viewer.id().ok_or(Error::NotFound)?;
        let rows = row::Entity::find()
            .filter(row::Column::ReviewerId.eq(me.0))
            .order_by_desc(row::Column::OpenedAt)
            .order_by_desc(row::Column::Id)
            .all(self.db())
            .await?;
        shown(self.db(), rows).await
    }

    /// One of the viewer's own reviews.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn review(&self, viewer: &Viewer, id: ReviewId) -> Result<Review> {
        let review = own(self.db(), viewer, id).await?;
        self.shown_review(review).await
    }

    async fn shown_review(&self, review: row::Model) -> Result<Review> {
        shown(self.db(), vec![review])
            .await?
            .pop()
            .ok_or(Error::NotFound)
    }

    /// The conversations in a review's reach; listing them is recorded.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `review_over`.
    pub async fn review_scope(&self, viewer: &Viewer, id: ReviewId) -> Result<Vec<InScope>> {
        let oversight = self.oversight_in_force().await?;
        let mut change = self.change().await?;
        let review = own_open(&change.tx, viewer, id, change.at).await?;
        let subject = EmployeeId(review.subject_id);
        let sight = self
            .sight(
                &change.tx,
                &oversight,
                EmployeeId(review.reviewer_id),
                subject,
            )
            .await?;
        let windows = sight.windows(range_of(&review));
        let scope = if windows.is_empty() {
            Vec::new()
        } else {
            in_scope(&change.tx, subject, &windows).await?
        };
        change.record(
            viewer,
            "review.listed",
            audit::person(subject),
            told_by(sight.by(range_of(&review)).unwrap_or(by_of(&review)), json!({
                "review": id, "conversations": scope.iter().map(|found| found.conversation).collect::<Vec<_>>(),
            })),
        );
        change.commit().await?;
        Ok(scope)
    }

    /// A page of a review. The audit entry of the look is in the same
    /// transaction: no entry, no row.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `review_over`, [`crate::Error::Invalid`].
    pub async fn review_messages(
        &self,
        viewer: &Viewer,
        id: ReviewId,
        query: &ReviewQuery,
    ) -> Result<ReviewPage> {
        let limit = query.limit.unwrap_or(50);
        if !(1..=100).contains(&limit) {
            let (value, allowed) = (limit.to_string(), "1 to 100".to_owned());
            return Err(Violation::Unknown {
                field: "limit".into(),
                value,
                allowed,
            }
            .into());
        }
        let q = text::line("q", &query.q, SEARCH_MAX)?;
        let after = query
            .cursor
            .as_deref()
            .map(|cursor| Position::parse(cursor).ok_or_else(people::bad_cursor));
        let after = after.transpose()?;

        let oversight = self.oversight_in_force().await?;
        let tx = db::write(self.db()).await?;
        let at = self.now();
        let review = own_open(&tx, viewer, id, at).await?;
        let subject = EmployeeId(review.subject_id);
        let mut reading = Reading {
            store: self,
            oversight: &oversight,
            reviewer: EmployeeId(review.reviewer_id),
            subject,
            conversation: query.conversation,
            words: text::fold(&q)
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            sights: HashMap::new(),
        };
        let (items, next) = reading
            .page(&tx, range_of(&review), after, limit as usize)
            .await?;
        let senders: BTreeSet<_> = items.iter().map(|line| line.sender).collect();
        let people = people::cards(&tx, senders).await?.into_values().collect();

        let mut places: BTreeMap<ConversationId, (i64, i64, u64)> = BTreeMap::new();
        for line in &items {
            let (first, last, lines) = places
                .entry(line.conversation)
                .or_insert((line.seq, line.seq, 0));
            (*first, *last, *lines) = ((*first).min(line.seq), (*last).max(line.seq), *lines + 1);
        }
        let read: Vec<_> = places
            .into_iter()
            .map(|(conversation, (first, last, lines))| {
                json!({ "conversation": conversation, "first": first, "last": last, "lines": lines })
            })
            .collect();
        let detail = json!({
            "review": id, "conversation": query.conversation, "q": (!q.is_empty()).then_some(&q), "cursor": query.cursor,
            "messages": items.iter().filter(|line| line.subject).count(), "lines": items.len(), "read": read,
        });
        let by = reading
            .sights
            .get(&subject)
            .and_then(|sight| sight.by(range_of(&review)));
        let detail = told_by(by.unwrap_or(by_of(&review)), detail);
        let record = audit::record(viewer, "review.read", audit::person(subject), detail);
        let entry = audit::append(&tx, record, at).await?.seq;
        tx.commit().await?;
        let page = Page {
            items,
            next_cursor: next.map(|next| next.to_string()),
        };
        Ok(ReviewPage {
            page,
            people,
            entry,
        })
    }

    /// Moves the end of a review that is still open, within the policy's days from now.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `review_over`, [`crate::Error::Invalid`].
    pub async fn extend_review(&self, viewer: &Viewer, id: ReviewId, why: &str) -> Result<Review> {
        let why = text::required("why", text::prose("why", why, 2000)?)?;
        let oversight = self.oversight_in_force().await?;
        let mut change = self.change().await?;
        let review = own_open(&change.tx, viewer, id, change.at).await?;
        let subject = EmployeeId(review.subject_id);
        let (rule, by) = self
            .may_open(&change.tx, &oversight, viewer, subject, range_of(&review))
            .await?;
        let before = review.expires_at;
        let after = before.max(change.at + TimeDelta::days(rule.max_days.into()));
        let mut row = review.into_active_model();
        row.expires_at = Set(after);
        let review = row.update(&change.tx).await?;
        change.record(
            viewer,
            "review.extended",
            audit::person(subject),
            told_by(
                by,
                json!({ "review": id, "why": why, "before": before, "after": after }),
            ),
        );
        change.commit().await?;
        self.shown_review(review).await
    }

    /// Ends a review, with what was found.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Conflict`] `review_over`, [`crate::Error::Invalid`].
    pub async fn end_review(&self, viewer: &Viewer, id: ReviewId, finding: &str) -> Result<Review> {
        let finding = text::required("finding", text::prose("finding", finding, 2000)?)?;
        let mut change = self.change().await?;
        let review = own_open(&change.tx, viewer, id, change.at).await?;
        let subject = EmployeeId(review.subject_id);
        let by = by_of(&review);
        let mut row = review.into_active_model();
        row.ended_at = Set(Some(change.at));
        row.finding = Set(Some(finding.clone()));
        let review = row.update(&change.tx).await?;
        let detail = told_by(by, json!({ "review": id, "finding": finding }));
        change.record(viewer, "review.ended", audit::person(subject), detail);
        change.commit().await?;
        self.shown_review(review).await
    }

    /// What the audit log has recorded of a review, oldest first: the reviewer's own trace.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn review_trace(&self, viewer: &Viewer, id: ReviewId) -> Result<Vec<Look>> {
        let review = own(self.db(), viewer, id).await?;
        let ask = "SELECT seq, at, actor, action, detail FROM audit_entries \
                   WHERE subject = $1 AND action LIKE 'review.%' AND detail LIKE $2 ORDER BY seq";
        let values = [
            audit::person(EmployeeId(review.subject_id)).into(),
            of_review(id).into(),
        ];
        let rows = self
            .db()
            .query_all_raw(db::sql(self.db(), ask, values))
            .await?;
        looks(self.db(), &rows).await
    }

    /// Who looked at what of the viewer's, the latest first, as the policy says.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn looked_at(&self, viewer: &Viewer, cursor: Option<&str>) -> Result<Page<Look>> {
        let me = viewer.id().ok_or(Error::NotFound)?;
        self.allow_about(viewer, me, Action::ReadLookedAt)?;
        let before = match cursor {
            Some(cursor) => cursor.parse().map_err(|_| people::bad_cursor())?,
            None => i64::MAX,
        };
        let secret: Vec<Uuid> = row::Entity::find()
            .select_only()
            .column(row::Column::Id)
            .filter(row::Column::SubjectId.eq(me.0))
            .filter(row::Column::Notice.eq(notice_name(Notice::AtTheEnd)))
            .filter(row::Column::EndedAt.is_null())
            .filter(row::Column::ExpiresAt.gt(self.now()))
            .into_tuple()
            .all(self.db())
            .await?;
        let mut ask = "SELECT seq, at, actor, action, detail FROM audit_entries WHERE subject = $1 AND actor <> $1 \
                       AND actor LIKE 'person:%' AND (action LIKE 'review.%' OR action = $2) AND seq < $3"
            .to_owned();
        let mut values: Vec<Value> =
            vec![audit::person(me).into(), PRIVATE_READ.into(), before.into()];
        for review in secret {
            values.push(of_review(ReviewId(review)).into());
            ask += &format!(" AND detail NOT LIKE ${}", values.len());
        }
        ask += &format!(" ORDER BY seq DESC LIMIT {}", LOOKS + 1);
        let mut rows = self
            .db()
            .query_all_raw(db::sql(self.db(), ask, values))
            .await?;
        let more = rows.len() > LOOKS;
        rows.truncate(LOOKS);
        let items = looks(self.db(), &rows).await?;
        let next_cursor = items
            .last()
            .filter(|_| more)
            .map(|look| look.entry.to_string());
        Ok(Page { items, next_cursor })
    }

    /// Whom the viewer may open a review about: those overseen, by the line or
    /// otherwise, whose unit's policy says so, by name.
    ///
    /// # Errors
    /// [`crate::Error::Db`].
    pub async fn reviewable(&self, viewer: &Viewer) -> Result<Vec<PersonCard>> {
        let Some(me) = viewer.id() else {
            return Ok(Vec::new());
        };
        let oversight = self.oversight_in_force().await?;
        let snapshot = self.chart();
        let chart = &snapshot.chart;
        let lets = |id: EmployeeId, by| {
            oversight
                .in_force(chart.units_of(id))
                .is_some_and(|rule| rule.lets(by))
        };
        let line = chart.subtree(me).iter().copied();
        let mut ids: BTreeSet<_> = line.filter(|id| lets(*id, By::Line)).collect();
        let dotted = delegation::dotted(self.db(), me).await?.below;
        let beside = |id: &EmployeeId| chart.contains(*id) && !chart.oversees(*id, me);
        ids.extend(
            dotted
                .into_iter()
                .filter(|id| beside(id) && lets(*id, By::Dotted)),
        );
        for time in delegation::times(self.db(), me, self.now()).await? {
            let by = By::Delegate(time.manager);
            let below = chart.subtree(time.manager).iter().copied();
            ids.extend(below.filter(|id| reaches(chart, me, time.manager, *id) && lets(*id, by)));
        }
        let mut cards: Vec<_> = people::cards(self.db(), ids).await?.into_values().collect();
        cards.sort_by_cached_key(|card| (text::fold(&card.display_name), card.id));
        Ok(cards)
    }

    /// Who may review the viewer's words now: the chain of command, the direct
    /// superior first, then superiors by dotted line, then those who stand in.
    /// Nobody while the policy of the viewer's unit is off.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Db`].
    pub async fn reviewers(&self, viewer: &Viewer) -> Result<Vec<Reviewer>> {
        let me = viewer.id().ok_or(Error::NotFound)?;
        self.allow_about(viewer, me, Action::ReadLookedAt)?;
        let ways = self.reviewers_of(me).await?;
        let named = ways.iter().flat_map(|(id, by)| match by {
            By::Delegate(manager) => vec![*id, *manager],
            By::Line | By::Dotted => vec![*id],
        });
        let cards = people::cards(self.db(), named.collect::<BTreeSet<_>>()).await?;
        let one = |(id, by): (EmployeeId, By)| {
            let on_behalf_of = match by {
                By::Delegate(manager) => cards.get(&manager).cloned(),
                By::Line | By::Dotted => None,
            };
            let person = cards.get(&id)?.clone();
            Some(Reviewer {
                person,
                by,
                on_behalf_of,
            })
        };
        Ok(ways.into_iter().filter_map(one).collect())
    }

    /// Who may review somebody's words now, and by which relation first.
    pub(crate) async fn reviewers_of(&self, who: EmployeeId) -> Result<Vec<(EmployeeId, By)>> {
        let oversight = self.oversight_in_force().await?;
        let snapshot = self.chart();
        let chart = &snapshot.chart;
        let Some(rule) = oversight
            .in_force(chart.units_of(who))
            .filter(|rule| rule.on)
        else {
            return Ok(Vec::new());
        };
        let chain: Vec<_> = chart.chain(who).collect();
        let mut ways: Vec<_> = chain.iter().map(|above| (*above, By::Line)).collect();
        let mut beside = Vec::new();
        if rule.dotted {
            let above = delegation::dotted(self.db(), who).await?.above;
            beside.extend(above.into_iter().map(|above| (above, By::Dotted)));
        }
        if rule.delegates {
            for (id, manager) in delegation::stand_ins(self.db(), &chain, self.now()).await? {
                if reaches(chart, id, manager, who) {
                    beside.push((id, By::Delegate(manager)));
                }
            }
        }
        for (id, by) in beside {
            let known = ways.iter().any(|(other, _)| *other == id);
            if chart.contains(id) && !known && !chart.oversees(who, id) {
                ways.push((id, by));
            }
        }
        Ok(ways)
    }

    /// How `reviewer` may see the words of `writer`.
    async fn sight(
        &self,
        conn: &impl ConnectionTrait,
        oversight: &Oversight,
        reviewer: EmployeeId,
        writer: EmployeeId,
    ) -> Result<Sight> {
        let mut sights = self.sights(conn, oversight, reviewer, &[writer]).await?;
        sights.remove(&writer).ok_or(Error::NotFound)
    }

    /// How `reviewer` may see the words of each of the writers; unknown people are absent.
    async fn sights(
        &self,
        conn: &impl ConnectionTrait,
        oversight: &Oversight,
        reviewer: EmployeeId,
        writers: &[EmployeeId],
    ) -> Result<HashMap<EmployeeId, Sight>> {
        let history = edges_above(conn, writers).await?;
        let lines = delegation::lines(conn, reviewer, writers).await?;
        let now = self.now();
        let times = delegation::times(conn, reviewer, now).await?;
        let units = units(conn, writers).await?;
        let snapshot = self.chart();
        let chart = &snapshot.chart;
        let above = |superior, writer| Reach {
            now: chart.oversees(superior, writer),
            spans: review::spans_above(&history, superior, writer),
        };
        let sight = |(writer, unit): (EmployeeId, Option<UnitId>)| {
            let path = unit.map_or(&[][..], |unit| chart.unit_path(unit));
            let rule = oversight.in_force(path).cloned();
            let mut ways = Vec::new();
            if writer != reviewer {
                ways.push((By::Line, above(reviewer, writer)));
            }
            // Nobody reviews their own superiors by way of another relation.
            if writer != reviewer && !chart.oversees(writer, reviewer) {
                ways.push((By::Dotted, dotted(&lines, writer)));
            }
            for time in &times {
                if reaches(chart, reviewer, time.manager, writer) {
                    let reach = above(time.manager, writer).in_place(time.span, now);
                    ways.push((By::Delegate(time.manager), reach));
                }
            }
            ways.retain(|(by, _)| rule.as_ref().is_some_and(|rule| rule.lets(*by)));
            (writer, Sight { rule, ways })
        };
        Ok(units.into_iter().map(sight).collect())
    }
}

/// When a reviewer was the writer's superior by dotted line.
fn dotted(lines: &[Edge], writer: EmployeeId) -> Reach {
    let spans: Vec<_> = lines
        .iter()
        .filter(|line| line.employee == writer)
        .map(|line| Span {
            from: line.from,
            to: line.to,
        })
        .collect();
    Reach {
        now: spans.iter().any(|span| span.to.is_none()),
        spans,
    }
}

/// How a reviewer may see the words of one person.
struct Sight {
    rule: Option<OversightRule>,
    /// By which relations the rule lets them, and how far each reaches.
    ways: Vec<(By, Reach)>,
}

impl Sight {
    /// Whether words of that moment may be read.
    fn reads(&self, sent_at: DateTime<Utc>) -> bool {
        let reads = |(_, reach): &(By, Reach)| review::may_read(self.rule.as_ref(), reach, sent_at);
        self.ways.iter().any(reads)
    }

    /// The first relation by which words of `range` may be reviewed.
    fn by(&self, range: Span) -> Option<By> {
        let reviews = |(_, reach): &&(By, Reach)| reach.now || !self.parts(reach, range).is_empty();
        self.ways.iter().find(reviews).map(|(by, _)| *by)
    }

    /// The parts of `range` whose words may be read: what [`review::may_read`]
    /// says, for SQL. They may lie over each other.
    fn windows(&self, range: Span) -> Vec<Span> {
        let parts = |(_, reach): &(By, Reach)| self.parts(reach, range);
        self.ways.iter().flat_map(parts).collect()
    }

    fn parts(&self, reach: &Reach, range: Span) -> Vec<Span> {
        match self.rule.as_ref().map(|rule| rule.when) {
            Some(When::Now) if reach.now => vec![range],
            Some(When::AtTheTime) => reach
                .spans
                .iter()
                .filter_map(|span| span.overlap(range))
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// A relation as its columns keep it.
fn kept(by: By) -> (&'static str, Option<Uuid>) {
    match by {
        By::Line => ("line", None),
        By::Dotted => ("dotted", None),
        By::Delegate(manager) => ("delegate", Some(manager.0)),
    }
}

fn by_of(review: &row::Model) -> By {
    match (review.by_relation.as_str(), review.on_behalf_of) {
        ("delegate", Some(manager)) => By::Delegate(EmployeeId(manager)),
        ("dotted", _) => By::Dotted,
        _ => By::Line,
    }
}

/// The detail of an entry, saying by which relation unless it is the chain of command.
fn told_by(by: By, mut detail: serde_json::Value) -> serde_json::Value {
    let (relation, manager) = kept(by);
    if by != By::Line {
        detail["by"] = relation.into();
    }
    if let Some(manager) = manager {
        detail["on_behalf_of"] = json!(manager);
    }
    detail
}

/// The range of a request, within what both databases can keep and sort.
fn range(request: &Request) -> Result<Span> {
    let last = DateTime::from_timestamp(253_402_300_799, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let micros = |at: DateTime<Utc>| {
        let at = at.clamp(DateTime::UNIX_EPOCH, last);
        DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
    };
    let from = micros(request.from.unwrap_or(DateTime::UNIX_EPOCH));
    let to = request.to.map(micros);
    if to.is_some_and(|to| to <= from) {
        return Err(Violation::EmptyRange { field: "to".into() }.into());
    }
    Ok(Span { from, to })
}

fn range_of(review: &row::Model) -> Span {
    Span {
        from: review.from_at,
        to: review.to_at,
    }
}

fn notice_name(notice: Notice) -> &'static str {
    match notice {
        Notice::AtOnce => "at_once",
        Notice::AtTheEnd => "at_the_end",
    }
}

/// What the detail of every entry about the review is like. An id cannot come
/// in by a person's words: quotes in those are escaped.
fn of_review(id: ReviewId) -> String {
    format!("%\"review\":\"{id}\"%")
}

async fn own(conn: &impl ConnectionTrait, viewer: &Viewer, id: ReviewId) -> Result<row::Model> {
    let review = row::Entity::find_by_id(id.0).one(conn).await?;
    review
        .filter(|review| viewer.id() == Some(EmployeeId(review.reviewer_id)))
        .ok_or(Error::NotFound)
}

/// One of the viewer's own reviews that is open, locked, so that it does not end meanwhile.
async fn own_open(
    tx: &impl ConnectionTrait,
    viewer: &Viewer,
    id: ReviewId,
    now: DateTime<Utc>,
) -> Result<row::Model> {
    let review = row::Entity::find_by_id(id.0)
        .lock_exclusive()
        .one(tx)
        .await?;
    let review = review
        .filter(|review| viewer.id() == Some(EmployeeId(review.reviewer_id)))
        .ok_or(Error::NotFound)?;
    if review.ended_at.is_some() || review.expires_at <= now {
        return Err(Error::Conflict("review_over"));
    }
    Ok(review)
}

/// Reviews with the people in them.
async fn shown(conn: &impl ConnectionTrait, rows: Vec<row::Model>) -> Result<Vec<Review>> {
    let ids: BTreeSet<_> = rows
        .iter()
        .flat_map(|row| {
            [
                Some(row.reviewer_id),
                Some(row.subject_id),
                row.on_behalf_of,
            ]
        })
        .flatten()
        .map(EmployeeId)
        .collect();
    let cards = people::cards(conn, ids).await?;
    let card = |id| cards.get(&EmployeeId(id)).cloned().ok_or(Error::NotFound);
    rows.into_iter()
        .map(|row| {
            Ok(Review {
                by: by_of(&row),
                on_behalf_of: row.on_behalf_of.map(card).transpose()?,
                id: ReviewId(row.id),
                reviewer: card(row.reviewer_id)?,
                subject: card(row.subject_id)?,
                reason: Reason {
                    category: row.category,
                    text: row.reason,
                },
                case: row.case_ref,
                from: row.from_at,
                to: row.to_at,
                opened_at: row.opened_at,
                expires_at: row.expires_at,
                ended_at: row.ended_at,
                finding: row.finding,
                notice: if row.notice == notice_name(Notice::AtTheEnd) {
                    Notice::AtTheEnd
                } else {
                    Notice::AtOnce
                },
            })
        })
        .collect()
}

/// Everyone who ever was above the writers, as the edges between them, in one query.
async fn edges_above(conn: &impl ConnectionTrait, writers: &[EmployeeId]) -> Result<Vec<Edge>> {
    if writers.is_empty() {
        return Ok(Vec::new());
    }
    let ask = format!(
        "WITH RECURSIVE up (id) AS (SELECT column1 FROM (VALUES {}) AS v \
         UNION SELECT h.manager_id FROM manager_history h JOIN up ON h.employee_id = up.id) \
         SELECT h.employee_id, h.manager_id, h.from_at, h.to_at \
         FROM manager_history h JOIN up ON up.id = h.employee_id ORDER BY h.employee_id, h.from_at",
        chat::rows(writers.len(), 1)
    );
    let rows = conn
        .query_all_raw(db::sql(conn, ask, writers.iter().map(|id| id.0.into())))
        .await?;
    let edge = |row: &QueryResult| {
        Ok(Edge {
            employee: EmployeeId(row.try_get("", "employee_id")?),
            manager: EmployeeId(row.try_get("", "manager_id")?),
            from: row.try_get("", "from_at")?,
            to: row.try_get("", "to_at")?,
        })
    };
    rows.iter().map(edge).collect()
}

/// The units of people, also of those who left.
async fn units(
    conn: &impl ConnectionTrait,
    ids: &[EmployeeId],
) -> Result<Vec<(EmployeeId, Option<UnitId>)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ask = format!(
        "SELECT id, unit_id FROM employees WHERE id IN ({})",
        db::places(1, ids.len())
    );
    let rows = conn
        .query_all_raw(db::sql(conn, ask, ids.iter().map(|id| id.0.into())))
        .await?;
    let unit = |row: &QueryResult| {
        let unit: Option<Uuid> = row.try_get("", "unit_id")?;
        Ok((EmployeeId(row.try_get("", "id")?), unit.map(UnitId)))
    };
    rows.iter().map(unit).collect()
}

/// `(… OR …)` for messages `alias` within one of the windows.
fn within(alias: &str, windows: &[Span], values: &mut Vec<Value>) -> String {
    let mut parts = Vec::new();
    for window in windows {
        values.push(window.from.into());
        let mut part = format!("{alias}.sent_at >= ${}", values.len());
        if let Some(to) = window.to {
            values.push(to.into());
            part += &format!(" AND {alias}.sent_at < ${}", values.len());
        }
        parts.push(part);
    }
    format!("({})", parts.join(" OR "))
}

/// The conversations in which the subject wrote within the windows, the latest first.
async fn in_scope(
    conn: &impl ConnectionTrait,
    subject: EmployeeId,
    windows: &[Span],
) -> Result<Vec<InScope>> {
    let mut values: Vec<Value> = vec![subject.0.into()];
    let within = within("m", windows, &mut values);
    let ask = format!(
        "SELECT m.conversation_id, count(*) AS messages, max(m.sent_at) AS last_at FROM messages m \
         WHERE m.sender_id = $1 AND {within} GROUP BY m.conversation_id ORDER BY last_at DESC, m.conversation_id"
    );
    let rows = conn.query_all_raw(db::sql(conn, ask, values)).await?;
    let ids: Vec<_> = rows
        .iter()
        .map(|row| Ok(ConversationId(row.try_get("", "conversation_id")?)))
        .collect::<Result<_>>()?;
    let titles: HashMap<_, _> = conversation::Entity::find()
        .filter(conversation::Column::Id.is_in(ids.iter().map(|id| id.0)))
        .all(conn)
        .await?
        .into_iter()
        .map(|row| (ConversationId(row.id), row.title))
        .collect();
    let members = chat::members_now(conn, ids.iter().copied()).await?;
    let everyone: BTreeSet<_> = members
        .values()
        .flat_map(|members| members.iter().copied())
        .collect();
    let cards = people::cards(conn, everyone).await?;
    let mut found = Vec::with_capacity(rows.len());
    for (row, id) in rows.iter().zip(ids) {
        let members: Vec<_> = members
            .get(&id)
            .map_or(&[][..], |members| members)
            .iter()
            .filter_map(|member| cards.get(member))
            .cloned()
            .collect();
        let names = || {
            members
                .iter()
                .map(|card| card.display_name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        found.push(InScope {
            conversation: id,
            title: titles.get(&id).cloned().flatten().unwrap_or_else(names),
            members,
            messages: u64::try_from(row.try_get::<i64>("", "messages")?).unwrap_or(0),
            last_at: row.try_get("", "last_at")?,
        });
    }
    Ok(found)
}

/// A line's place in the order of time.
#[derive(Clone, Copy)]
struct Position {
    sent_at: DateTime<Utc>,
    conversation: ConversationId,
    seq: i64,
}

impl Position {
    fn of(message: &message::Model) -> Self {
        Self {
            sent_at: message.sent_at,
            conversation: ConversationId(message.conversation_id),
            seq: message.seq,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (at, conversation, seq) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            sent_at: DateTime::from_timestamp_micros(at.parse().ok()?)?,
            conversation: conversation.parse().ok()?,
            seq: seq.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}.{}.{}",
            self.sent_at.timestamp_micros(),
            self.conversation,
            self.seq
        )
    }
}

/// One look into a review.
struct Reading<'a> {
    store: &'a Store,
    oversight: &'a Oversight,
    reviewer: EmployeeId,
    subject: EmployeeId,
    conversation: Option<ConversationId>,
    /// What is searched for, folded; without any, every line is shown.
    words: Vec<String>,
    sights: HashMap<EmployeeId, Sight>,
}

impl Reading<'_> {
    /// The lines after a place, and where to go on.
    async fn page(
        &mut self,
        conn: &impl ConnectionTrait,
        range: Span,
        mut after: Option<Position>,
        limit: usize,
    ) -> Result<(Vec<ReviewedMessage>, Option<Position>)> {
        let mut lines = Vec::new();
        self.look_up(conn, &[self.subject]).await?;
        let windows = self
            .sights
            .get(&self.subject)
            .map(|sight| sight.windows(range))
            .unwrap_or_default();
        if windows.is_empty() {
            return Ok((lines, None));
        }
        let chunk = if self.words.is_empty() {
            limit + 1
        } else {
            CHUNK
        };
        let mut scanned = 0;
        loop {
            let messages = self.messages(conn, &windows, after, chunk).await?;
            let senders: BTreeSet<_> = messages
                .iter()
                .map(|message| EmployeeId(message.sender_id))
                .collect();
            let unknown: Vec<_> = senders
                .into_iter()
                .filter(|id| !self.sights.contains_key(id))
                .collect();
            self.look_up(conn, &unknown).await?;
            let last = messages.len() < chunk;
            scanned += messages.len();
            for message in messages {
                if lines.len() == limit {
                    return Ok((lines, after));
                }
                after = Some(Position::of(&message));
                lines.extend(self.line(message));
            }
            if last {
                return Ok((lines, None));
            }
            if scanned >= SCAN_MAX {
                return Ok((lines, after));
            }
        }
    }

    async fn look_up(&mut self, conn: &impl ConnectionTrait, writers: &[EmployeeId]) -> Result<()> {
        let sights = self
            .store
            .sights(conn, self.oversight, self.reviewer, writers)
            .await?;
        self.sights.extend(sights);
        Ok(())
    }

    /// What the reviewer sees of a message; nothing if it is not what was searched for.
    fn line(&self, message: message::Model) -> Option<ReviewedMessage> {
        let sender = EmployeeId(message.sender_id);
        let subject = sender == self.subject;
        let context = || {
            let rule = self
                .sights
                .get(&self.subject)
                .and_then(|sight| sight.rule.as_ref());
            !subject && rule.is_some_and(|rule| rule.on && rule.context)
        };
        let readable = self
            .sights
            .get(&sender)
            .is_some_and(|sight| sight.reads(message.sent_at))
            || context();
        let searching = !self.words.is_empty();
        let hit = searching && readable && {
            let body = text::fold(&message.body);
            self.words.iter().all(|word| body.contains(word))
        };
        (hit || !searching).then(|| ReviewedMessage {
            id: MessageId(message.id),
            conversation: ConversationId(message.conversation_id),
            seq: message.seq,
            sender,
            sent_at: message.sent_at,
            body: readable.then_some(message.body),
            subject,
            hit,
        })
    }

    /// Messages of the conversations in which the subject wrote within the
    /// windows, sent within them while the subject was there.
    async fn messages(
        &self,
        conn: &impl ConnectionTrait,
        windows: &[Span],
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<message::Model>> {
        let mut values: Vec<Value> = vec![self.subject.0.into()];
        let written = within("x", windows, &mut values);
        let sent = within("m", windows, &mut values);
        let mut ask = format!(
            "SELECT m.* FROM messages m LEFT JOIN members s \
             ON s.conversation_id = m.conversation_id AND s.employee_id = $1 \
             WHERE m.conversation_id IN (SELECT x.conversation_id FROM messages x WHERE x.sender_id = $1 AND {written}) \
             AND {sent} AND (m.sender_id = $1 \
             OR (m.seq > s.joined_seq AND (s.left_seq IS NULL OR m.seq <= s.left_seq)))"
        );
        if let Some(conversation) = self.conversation {
            values.push(conversation.0.into());
            ask += &format!(" AND m.conversation_id = ${}", values.len());
        }
        if let Some(after) = after {
            let first = values.len() + 1;
            values.extend([
                after.sent_at.into(),
                after.conversation.0.into(),
                after.seq.into(),
            ]);
            ask += &format!(
                " AND (m.sent_at, m.conversation_id, m.seq) > ({})",
                db::places(first, 3)
            );
        }
        ask += &format!(" ORDER BY m.sent_at, m.conversation_id, m.seq LIMIT {limit}");
        Ok(message::Entity::find()
            .from_raw_sql(db::sql(conn, ask, values))
            .all(conn)
            .await?)
    }
}

/// What is read of an entry's detail.
#[derive(Deserialize)]
struct Detail {
    review: Option<ReviewId>,
    messages: Option<u64>,
    q: Option<String>,
    by: Option<String>,
    on_behalf_of: Option<EmployeeId>,
}

impl Detail {
    fn by(&self) -> By {
        match (self.by.as_deref(), self.on_behalf_of) {
            (Some("delegate"), Some(manager)) => By::Delegate(manager),
            (Some("dotted"), _) => By::Dotted,
            _ => By::Line,
        }
    }
}

/// Entries of the log as looks; entries without a person behind them are left out.
async fn looks(conn: &impl ConnectionTrait, rows: &[QueryResult]) -> Result<Vec<Look>> {
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let actor: String = row.try_get("", "actor")?;
        let detail: Detail = serde_json::from_str(&row.try_get::<String>("", "detail")?)?;
        if let Some(who) = audit::person_in(&actor) {
            entries.push((row, who, detail));
        }
    }
    let ids: BTreeSet<_> = entries
        .iter()
        .filter_map(|(_, _, detail)| detail.review)
        .map(|id| id.0)
        .collect();
    let reviews = row::Entity::find()
        .filter(row::Column::Id.is_in(ids))
        .all(conn)
        .await?;
    let reviews: HashMap<_, _> = shown(conn, reviews)
        .await?
        .into_iter()
        .map(|review| (review.id, review))
        .collect();
    let cards = people::cards(
        conn,
        entries
            .iter()
            .flat_map(|(_, who, detail)| [Some(*who), detail.on_behalf_of])
            .flatten()
            .collect::<BTreeSet<_>>(),
    )
    .await?;
    let mut looks = Vec::with_capacity(entries.len());
    for (row, who, detail) in entries {
        let action: String = row.try_get("", "action")?;
        let what = match action.as_str() {
            "review.opened" => "opened",
            "review.extended" => "extended",
            "review.ended" => "ended",
            "review.read" if detail.q.is_some() => "searched",
            PRIVATE_READ => "private_attributes",
            _ => "read",
        };
        looks.push(Look {
            entry: row.try_get("", "seq")?,
            at: row.try_get("", "at")?,
            who: cards.get(&who).cloned().ok_or(Error::NotFound)?,
            what: what.to_owned(),
            review: detail.review.and_then(|id| reviews.get(&id).cloned()),
            messages: detail.messages,
            by: detail.by(),
            on_behalf_of: detail
                .on_behalf_of
                .and_then(|manager| cards.get(&manager).cloned()),
            q: detail.q,
        });
    }
    Ok(looks)
}

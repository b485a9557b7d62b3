//! The forms of reviews.

use axum::{extract::Path, response::Response};
use chrono::{DateTime, Days, Duration, NaiveDate, NaiveTime, Utc};
use domain::{
    EmployeeId, ReviewId, Violation,
    review::{Reason, Request},
};

use crate::{
    edge::{AppError, Posted, Visit, answer, id},
    ui::format::Zone,
};

/// The first moment of a day in a place.
fn midnight(zone: Zone, date: NaiveDate) -> DateTime<Utc> {
    let there = date.and_time(NaiveTime::MIN).and_utc();
    let before = |at| there - Duration::minutes(zone.offset_minutes(at).into());
    // The offset of the moment itself is only known once the moment is, roughly.
    before(before(there))
}

fn day(posted: &Posted, field: &str) -> Result<Option<NaiveDate>, Violation> {
    posted
        .filled(field)
        .map(|_| posted.parse(field, "date"))
        .transpose()
}

/// What a form asks for. The last day counts to its end.
fn request(posted: &Posted, zone: Zone) -> Result<Request, store::Error> {
    let subject: EmployeeId = posted
        .get("subject")
        .parse()
        .map_err(|_| store::Error::NotFound)?;
    let to = match day(posted, "to")? {
        Some(to) => Some(
            to.checked_add_days(Days::new(1))
                .ok_or(Violation::BadFormat {
                    field: "to".into(),
                    expected: "date".into(),
                })?,
        ),
        None => None,
    };
    Ok(Request {
        subject,
        reason: Reason {
            category: posted.get("reason.category").into(),
            text: posted.get("reason.text").into(),
        },
        case: posted.filled("case").map(str::to_owned),
        from: day(posted, "from")?.map(|from| midnight(zone, from)),
        to: to.map(|to| midnight(zone, to)),
    })
}

/// `POST /reviews`
pub async fn open(visit: Visit, posted: Posted) -> Result<Response, AppError> {
    let form = format!(
        "/reviews/new?subject={}",
        crate::words::percent(posted.get("subject"))
    );
    let result = async {
        let request = request(&posted, visit.reader.zone)?;
        visit.portal.store.open_review(&visit.viewer, request).await
    };
    answer(
        &visit.session,
        &posted,
        result.await,
        &form,
        |review| format!("/reviews/{}", review.id),
        "",
    )
    .await
}

/// `POST /reviews/{id}/extend`
pub async fn extend(
    visit: Visit,
    Path(review): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    let review = ReviewId(id(&review)?);
    let result = visit
        .portal
        .store
        .extend_review(&visit.viewer, review, posted.get("why"))
        .await;
    let page = format!("/reviews/{review}");
    answer(
        &visit.session,
        &posted,
        result,
        &format!("{page}#extend"),
        |_| page.clone(),
        "The review is extended.",
    )
    .await
}

/// `POST /reviews/{id}/end`
pub async fn end(
    visit: Visit,
    Path(review): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    let review = ReviewId(id(&review)?);
    let result = visit
        .portal
        .store
        .end_review(&visit.viewer, review, posted.get("finding"))
        .await;
    let page = format!("/reviews/{review}");
    answer(
        &visit.session,
        &posted,
        result,
        &format!("{page}#end"),
        |_| page.clone(),
        "The review has ended.",
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_of_the_place() {
        let on = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).expect("a day");
        let zone = Zone::named("Europe/Berlin");
        assert_eq!(
            midnight(zone, on(2026, 7, 1)).to_rfc3339(),
            "2026-06-30T22:00:00+00:00"
        );
        assert_eq!(
            midnight(zone, on(2026, 12, 1)).to_rfc3339(),
            "2026-11-30T23:00:00+00:00"
        );
        // The days on which the clocks change begin in the old time.
        assert_eq!(
            midnight(zone, on(2026, 3, 29)).to_rfc3339(),
            "2026-03-28T23:00:00+00:00"
        );
        assert_eq!(
            midnight(zone, on(2026, 10, 25)).to_rfc3339(),
            "2026-10-24T22:00:00+00:00"
        );
        assert_eq!(
            midnight(Zone::UTC, on(2026, 3, 29)).to_rfc3339(),
            "2026-03-29T00:00:00+00:00"
        );
    }
}

//! The viewer's own reviews.

use axum::response::Response;
use leptos::prelude::*;
use store::review::Review;

use super::words;
use crate::{
    edge::{AppError, Visit, face},
    ui::{
        Avatar, Badge, Button, Door, EmptyState, Glyph, LinkButton, Look, PageHead, Tone,
        format::{Reader, iso},
    },
};

/// `GET /reviews`
pub async fn show(visit: Visit) -> Result<Response, AppError> {
    let reviews = visit.portal.store.reviews(&visit.viewer).await?;
    let may_open = !visit
        .portal
        .store
        .reviewable(&visit.viewer)
        .await?
        .is_empty();
    let reader = visit.reader;
    visit
        .page("Reviews", Door::Reviews, move || {
            list(reviews, may_open, reader)
        })
        .await
}

fn list(reviews: Vec<Review>, may_open: bool, reader: Reader) -> AnyView {
    let none = reviews.is_empty();
    let (open, over): (Vec<_>, Vec<_>) = reviews
        .into_iter()
        .partition(|review| words::is_open(review, reader.now));
    let head = view! {
        <PageHead
            title="Reviews"
            sentence="Reading what people below you wrote, for a stated reason and a stated time. They see every page you open."
        >
            {may_open
                .then(|| {
                    view! {
                        <LinkButton text="Open a review" href="/reviews/new" look=Look::Oversight icon=Some(Glyph::Eye) />
                    }
                })}
        </PageHead>
    };
    let content = if none {
        let sentence = if may_open {
            "When there is a reason to read what somebody below you wrote, open a review. It names the reason, it ends by itself, and the person sees it."
        } else {
            "You may review people below you in the org chart where the oversight policy is on for their unit. At present that is nobody."
        };
        view! { <EmptyState glyph=Glyph::Eye title="No review yet" sentence=sentence /> }.into_any()
    } else {
        view! {
            {section("Open", "reviews-open", open, reader)}
            {section("Ended", "reviews-ended", over, reader)}
        }
        .into_any()
    };
    view! { <div class="page">{head} {content}</div> }.into_any()
}

fn section(
    title: &'static str,
    id: &'static str,
    reviews: Vec<Review>,
    reader: Reader,
) -> Option<AnyView> {
    if reviews.is_empty() {
        return None;
    }
    let rows = reviews
        .into_iter()
        .map(|review| view! { <li>{row(review, reader)}</li> })
        .collect_view();
    Some(
        view! {
            <section class="reviews" aria-labelledby=id>
                <h2 id=id>{title}</h2>
                <ol class="card list">{rows}</ol>
            </section>
        }
        .into_any(),
    )
}

fn row(review: Review, reader: Reader) -> AnyView {
    let open = words::is_open(&review, reader.now);
    let (moment, words) = if open {
        (
            review.expires_at,
            format!("Until {}", reader.moment_in_sentence(review.expires_at)),
        )
    } else {
        (
            words::ended_at(&review),
            format!(
                "Ended {}",
                reader.moment_in_sentence(words::ended_at(&review))
            ),
        )
    };
    let badge = match (open, &review.finding) {
        (true, _) => view! { <Badge text="Open" tone=Tone::Oversight /> }.into_any(),
        (false, Some(_)) => view! { <Badge text="Ended with a finding" /> }.into_any(),
        (false, None) => view! { <Badge text="Ran out" /> }.into_any(),
    };
    view! {
        <article class="look">
            <Avatar face=face(&review.subject) size=40 />
            <div class="look__main">
                <h3>
                    <a class="name" href=format!("/reviews/{}", review.id)>{review.subject.display_name.clone()}</a>
                    " "
                    <span class="muted">{review.subject.title.clone()}</span>
                </h3>
                <p class="look__what">{format!("{}. {}", words::why(&review), words::days(&review, &reader))}</p>
                <p class="look__why">
                    <span class="muted">"Reason given "</span>
                    {format!("“{}”", review.reason.text)}
                </p>
                {review
                    .finding
                    .clone()
                    .map(|finding| {
                        view! {
                            <p class="look__why">
                                <span class="muted">"Finding "</span>
                                {format!("“{finding}”")}
                            </p>
                        }
                    })}
            </div>
            <div class="look__side">
                <time class="compact" datetime=iso(moment)>{words}</time>
                {badge}
                {open
                    .then(|| {
                        view! {
                            <form method="get" action=format!("/reviews/{}", review.id)>
                                <Button text="Go on reading" height=crate::ui::Height::Small />
                            </form>
                        }
                    })}
            </div>
        </article>
    }
    .into_any()
}

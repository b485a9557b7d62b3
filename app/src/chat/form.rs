//! The forms of chat.

use axum::{extract::Path, response::Response};
use domain::{ConversationId, EmployeeId};
use store::chat::NewConversation;

use super::page::choosing;
use crate::edge::{AppError, Posted, Visit, answer, id};

fn chosen(posted: &Posted) -> Vec<EmployeeId> {
    posted
        .all("with")
        .filter_map(|id| id.parse().ok())
        .collect()
}

/// `POST /chat`: `with` for each of the others, `title` for a group, and a first `body`.
pub async fn start(visit: Visit, posted: Posted) -> Result<Response, AppError> {
    let (store, viewer) = (&visit.portal.store, &visit.viewer);
    let members = chosen(&posted);
    let form = match members[..] {
        [one] if posted.filled("client_id").is_some() => format!("/chat/new?with={one}"),
        _ => choosing("/chat/new", &members, posted.get("q")),
    };
    let new = NewConversation {
        members,
        title: posted.filled("title").map(str::to_owned),
    };
    let result = async {
        if let Some(body) = posted.filled("body") {
            // A message that cannot be sent starts nothing.
            domain::chat::body(body)?;
        }
        let one = store.start_conversation(viewer, new).await?;
        if let Some(body) = posted.filled("body") {
            store
                .send(viewer, one.id, posted.get("client_id"), body)
                .await?;
        }
        Ok(one)
    };
    answer(
        &visit.session,
        &posted,
        result.await,
        &form,
        |one| format!("/chat/{}", one.id),
        "",
    )
    .await
}

/// `POST /chat/{id}/messages`: `body`, and a `client_id` by which a form sent twice is one message.
pub async fn send(
    visit: Visit,
    Path(conversation): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    let conversation = ConversationId(id(&conversation)?);
    let (client_id, body) = (posted.get("client_id"), posted.get("body"));
    let result = visit
        .portal
        .store
        .send(&visit.viewer, conversation, client_id, body)
        .await;
    let thread = format!("/chat/{conversation}");
    answer(
        &visit.session,
        &posted,
        result,
        &thread,
        |_| thread.clone(),
        "",
    )
    .await
}

/// `POST /chat/{id}/members`: `with` for each.
pub async fn add(
    visit: Visit,
    Path(conversation): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    let conversation = ConversationId(id(&conversation)?);
    let members = chosen(&posted);
    let result = visit
        .portal
        .store
        .add_members(&visit.viewer, conversation, &members)
        .await;
    let form = choosing(
        &format!("/chat/{conversation}/members"),
        &members,
        posted.get("q"),
    );
    answer(
        &visit.session,
        &posted,
        result,
        &form,
        |one| format!("/chat/{}", one.id),
        "",
    )
    .await
}

/// `POST /chat/{id}/leave`
pub async fn leave(
    visit: Visit,
    Path(conversation): Path<String>,
    posted: Posted,
) -> Result<Response, AppError> {
    let conversation = ConversationId(id(&conversation)?);
    let result = visit
        .portal
        .store
        .leave_conversation(&visit.viewer, conversation)
        .await;
    let thread = format!("/chat/{conversation}");
    answer(
        &visit.session,
        &posted,
        result,
        &thread,
        |()| "/chat".into(),
        "You have left the group.",
    )
    .await
}

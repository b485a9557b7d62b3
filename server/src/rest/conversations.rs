use axum::{Json, extract::State, http::StatusCode};
use domain::ConversationId;
use serde::Deserialize;
use store::chat::{NewConversation, Range};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    Answer, Caller, Done, Id, Input, Made, Params, made,
    shapes::{Conversation, List, Message, Messages, employees},
};
use crate::http::Server;

/// The caller's conversations, the latest first.
#[utoipa::path(get, path = "/conversations", tag = "chat", responses((status = 200, body = List<Conversation>)))]
pub async fn list(
    State(server): State<Server>,
    Caller { viewer }: Caller,
) -> Answer<List<Conversation>> {
    let conversations = server.portal.store.conversations(&viewer).await?;
    Ok(Json(List::whole(conversations)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The other members. Exactly one and no title makes a direct conversation, of which there is one for each pair.
    members: Vec<Uuid>,
    /// The group's name.
    #[serde(default)]
    title: Option<String>,
}

/// Starts a conversation, or answers with the direct one that there is.
#[utoipa::path(post, path = "/conversations", tag = "chat", request_body = Start, responses((status = 201, body = Conversation)))]
pub async fn start(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Input(start): Input<Start>,
) -> Made<Conversation> {
    let new = NewConversation {
        members: employees(start.members),
        title: start.title,
    };
    let conversation = server.portal.store.start_conversation(&viewer, new).await?;
    Ok(made(conversation.into()))
}

/// One of the caller's conversations.
#[utoipa::path(get, path = "/conversations/{id}", tag = "chat", params(("id" = Uuid, Path)), responses((status = 200, body = Conversation)))]
pub async fn show(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<ConversationId>,
) -> Answer<Conversation> {
    let conversation = server.portal.store.conversation(&viewer, id).await?;
    Ok(Json(conversation.into()))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Between {
    /// Only later places, the earliest first served.
    after_seq: Option<i64>,
    /// Only earlier places, the latest first served.
    before_seq: Option<i64>,
    /// How many, 1 to 200; 50 if absent.
    limit: Option<u32>,
}

/// Part of a conversation, in order; the end of it without parameters.
#[utoipa::path(get, path = "/conversations/{id}/messages", tag = "chat", params(("id" = Uuid, Path), Between), responses((status = 200, body = Messages)))]
pub async fn messages(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<ConversationId>,
    Params(Between {
        after_seq,
        before_seq,
        limit,
    }): Params<Between>,
) -> Answer<Messages> {
    let part = server
        .portal
        .store
        .messages(
            &viewer,
            id,
            Range {
                after_seq,
                before_seq,
                limit,
            },
        )
        .await?;
    Ok(Json(Messages {
        items: part.items.into_iter().map(Message::from).collect(),
        next_cursor: None,
        last_seq: part.last_seq,
        earlier: part.earlier,
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// The client's own id, 1 to 64 visible ASCII characters: sent again, it is answered with the first result.
    client_id: String,
    /// The text, at most 8,000 characters.
    body: String,
}

/// Sends a message; the answer comes once it is on disk. 201, or 200 for one that was sent before.
#[utoipa::path(post, path = "/conversations/{id}/messages", tag = "chat", params(("id" = Uuid, Path)), request_body = Send, responses((status = 201, body = Message), (status = 200, body = Message)))]
pub async fn send(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<ConversationId>,
    Input(Send { client_id, body }): Input<Send>,
) -> Made<Message> {
    let sent = server
        .portal
        .store
        .send(&viewer, id, &client_id, &body)
        .await?;
    let status = if sent.repeated {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok((status, Json(sent.message.into())))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// Who joins.
    members: Vec<Uuid>,
}

/// Adds people to a group. They see what comes after.
#[utoipa::path(post, path = "/conversations/{id}/members", tag = "chat", params(("id" = Uuid, Path)), request_body = Join, responses((status = 200, body = Conversation)))]
pub async fn add_members(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<ConversationId>,
    Input(join): Input<Join>,
) -> Answer<Conversation> {
    let conversation = server
        .portal
        .store
        .add_members(&viewer, id, &employees(join.members))
        .await?;
    Ok(Json(conversation.into()))
}

/// Leaves a group. What was written stays.
#[utoipa::path(delete, path = "/conversations/{id}/members/me", tag = "chat", params(("id" = Uuid, Path)), responses((status = 204)))]
pub async fn leave(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<ConversationId>,
) -> Done {
    server.portal.store.leave_conversation(&viewer, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The last place seen; never goes back.
    seq: i64,
}

/// Notes how far the caller has read.
#[utoipa::path(put, path = "/conversations/{id}/read", tag = "chat", params(("id" = Uuid, Path)), request_body = Seen, responses((status = 204)))]
pub async fn mark_read(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<ConversationId>,
    Input(seen): Input<Seen>,
) -> Done {
    server.portal.store.mark_read(&viewer, id, seen.seq).await?;
    Ok(StatusCode::NO_CONTENT)
}

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use domain::SessionId;
use serde::Serialize;
use store::account;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Answer, Caller, Done, Id, Params,
    reviews::Look,
    shapes::{List, Me, Oversees, Part},
};
use crate::http::Server;

/// The caller, with roles and whom they are above.
#[utoipa::path(get, path = "/me", tag = "me", responses((status = 200, body = Me)))]
pub async fn show(State(server): State<Server>, Caller { viewer }: Caller) -> Answer<Me> {
    let me = server.portal.store.me(&viewer).await?;
    let snapshot = server.portal.store.chart();
    let id = me.person.id;
    Ok(Json(Me {
        roles: viewer.roles().iter().collect(),
        oversees: Oversees {
            count: u32::try_from(snapshot.chart.subtree(id).len()).unwrap_or(u32::MAX),
            direct: snapshot.chart.reports(id).map(|report| report.0).collect(),
        },
        locale: me.locale,
        timezone: me.timezone,
        person: me.person.into(),
    }))
}

/// Who looked at what of the caller's.
#[utoipa::path(get, path = "/me/looked-at", tag = "me", params(Part), responses((status = 200, body = List<Look>)))]
pub async fn looked_at(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Params(part): Params<Part>,
) -> Answer<List<Look>> {
    let page = server
        .portal
        .store
        .looked_at(&viewer, part.cursor.as_deref())
        .await?;
    Ok(Json(List::of(page)))
}

/// A sign-in of the caller's.
#[derive(Serialize, ToSchema)]
pub struct SignIn {
    id: Uuid,
    created_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    address: Option<String>,
    user_agent: Option<String>,
    /// Whether it is the one that asks.
    current: bool,
    /// A token of the API rather than a browser.
    token: bool,
}

impl From<account::SignIn> for SignIn {
    fn from(kept: account::SignIn) -> Self {
        let account::SignIn {
            id,
            created_at,
            last_seen_at,
            expires_at,
            address,
            user_agent,
            current,
            token,
        } = kept;
        Self {
            id: id.0,
            created_at,
            last_seen_at,
            expires_at,
            address,
            user_agent,
            current,
            token,
        }
    }
}

/// The caller's sign-ins, the latest first.
#[utoipa::path(get, path = "/me/sign-ins", tag = "me", responses((status = 200, body = List<SignIn>)))]
pub async fn sign_ins(
    State(server): State<Server>,
    Caller { viewer }: Caller,
) -> Answer<List<SignIn>> {
    let sign_ins = server.portal.store.sign_ins(&viewer).await?;
    Ok(Json(List::whole(sign_ins)))
}

/// Ends every sign-in of the caller's but this one.
#[utoipa::path(delete, path = "/me/sign-ins", tag = "me", responses((status = 204)))]
pub async fn end_others(State(server): State<Server>, Caller { viewer }: Caller) -> Done {
    server.portal.store.revoke(&viewer, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends one sign-in of the caller's.
#[utoipa::path(delete, path = "/me/sign-ins/{id}", tag = "me", params(("id" = Uuid, Path)), responses((status = 204)))]
pub async fn end_sign_in(
    State(server): State<Server>,
    Caller { viewer }: Caller,
    Id(id): Id<SessionId>,
) -> Done {
    server.portal.store.revoke(&viewer, Some(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

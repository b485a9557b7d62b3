use std::net::IpAddr;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, header},
};
use serde::{Deserialize, Serialize};
use store::account::Origin;
use utoipa::ToSchema;

use super::{Answer, Caller, Input, Made, made};
use crate::{
    http::Server,
    tokens::{ACCESS, TICKET, Use},
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    login: String,
    password: String,
    /// A one-time code; not asked for yet, and ignored.
    #[serde(default, rename = "otp")]
    _otp: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct AccessToken {
    access_token: String,
    token_type: &'static str,
    /// In seconds.
    expires_in: i64,
}

/// Signs a program in. Throttled per account and address.
#[utoipa::path(post, path = "/tokens", tag = "sign-in", request_body = Credentials, responses((status = 200, body = AccessToken)), security(()))]
pub async fn create(
    State(server): State<Server>,
    address: Option<Extension<IpAddr>>,
    headers: HeaderMap,
    Input(credentials): Input<Credentials>,
) -> Answer<AccessToken> {
    let store = &server.portal.store;
    let user_agent = headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let origin = Origin {
        address: address.map(|Extension(address)| address),
        user_agent,
    };
    let signed_in = store
        .sign_in(&credentials.login, &credentials.password, &origin, true)
        .await?;
    let access_token = server.tokens.issue(
        Use::Access,
        signed_in.session,
        store.now(),
        ACCESS,
        store.random(),
    )?;
    Ok(Json(AccessToken {
        access_token,
        token_type: "Bearer",
        expires_in: ACCESS.num_seconds(),
    }))
}

#[derive(Serialize, ToSchema)]
pub struct Ticket {
    /// For `/ws?ticket=`, once.
    ticket: String,
    /// In seconds.
    expires_in: i64,
}

/// A ticket that opens one socket.
#[utoipa::path(post, path = "/socket-tickets", tag = "sign-in", responses((status = 201, body = Ticket)))]
pub async fn ticket(State(server): State<Server>, caller: Caller) -> Made<Ticket> {
    let store = &server.portal.store;
    let session = caller.viewer.session.ok_or(store::Error::Unauthenticated)?;
    let ticket = server
        .tokens
        .issue(Use::Socket, session, store.now(), TICKET, store.random())?;
    Ok(made(Ticket {
        ticket,
        expires_in: TICKET.num_seconds(),
    }))
}

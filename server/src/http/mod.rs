//! The router: which doors there are, and what stands around all of them.

use std::{sync::Arc, time::Duration};

use app::portal::Portal;
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use store::session::Sessions;
use time::Duration as Idle;
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, limit::RequestBodyLimitLayer,
    timeout::TimeoutLayer,
};
use tower_sessions::{Expiry, SessionManagerLayer, cookie::SameSite};

use crate::{config::Network, rest, scim, socket, tokens::Tokens};

mod address;
mod assets;
mod csrf;
mod drain;
mod headers;
mod health;
mod observe;
mod photos;
mod problem;

pub use assets::{missing as missing_assets, version};
pub use csrf::is_same_site;
pub use observe::recorder;
pub use problem::Body as ProblemBody;

/// The browser's session cookie. `__Host-` binds it to this host, to HTTPS (or this machine) and to `/`.
pub const COOKIE: &str = "__Host-optimus";
/// Largest body of a request, in bytes.
pub const BODY_MAX: usize = 1 << 20;
/// Largest body with a photo in it, in bytes.
pub const PHOTO_BODY_MAX: usize = 6 << 20;
/// Longest time that a request is worked on. Sockets are not requests.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a browser's session is kept when nothing is done with it.
const IDLE: Idle = Idle::hours(12);

/// The state of every handler. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    /// The verbs, and what pages know.
    pub portal: Portal,
    /// Tokens of the API and tickets of sockets.
    pub tokens: Arc<Tokens>,
    /// The open sockets.
    pub hub: socket::Hub,
    /// What is measured.
    pub metrics: PrometheusHandle,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Arc<[Network]>,
}

impl FromRef<Server> for Portal {
    fn from_ref(server: &Server) -> Self {
        server.portal.clone()
    }
}

/// Every door.
pub fn router(server: Server) -> Router {
    let sessions = SessionManagerLayer::new(Sessions::new(server.portal.store.clone()))
        .with_name(COOKIE)
        .with_secure(true)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(IDLE));
    let (rest, document) = rest::routes();
    let document = Arc::new(document);
    let requests = Router::new()
        .merge(rest)
        .route(
            "/api/v1/openapi.json",
            get(move || rest::document(Arc::clone(&document))),
        )
        .merge(scim::routes())
        .route("/photos/{hash}", get(photos::show))
        .route("/metrics", get(observe::metrics))
        .with_state(server.clone())
        .merge(app::routes().with_state(server.portal.clone()))
        .fallback(problem::nothing_here)
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            TIMEOUT,
        ));
    let sockets = Router::new()
        .route("/ws", get(socket::upgrade))
        .with_state(server.clone());
    let plain = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(server.clone())
        .merge(assets::routes());

    // The first layer is the innermost one.
    requests
        .merge(sockets)
        .layer(
            ServiceBuilder::new()
                .layer(CatchPanicLayer::custom(problem::panicked))
                .layer(from_fn(drain::rest))
                .layer(from_fn(csrf::check))
                .layer(RequestBodyLimitLayer::new(PHOTO_BODY_MAX))
                .layer(DefaultBodyLimit::max(BODY_MAX))
                .layer(sessions),
        )
        .merge(plain)
        .layer(from_fn(problem::render))
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(server.clone(), headers::secure))
        .layer(from_fn_with_state(server.clone(), address::note))
        .layer(from_fn_with_state(server, observe::request))
}

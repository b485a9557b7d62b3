//! Request ids, the log of requests, and what is measured.

use std::{sync::OnceLock, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing::Instrument as _;

use super::Server;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Upper bounds of the buckets of times, in seconds.
const SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// The process's one recorder.
///
/// # Errors
/// If another one was installed by other means.
pub fn recorder() -> Result<PrometheusHandle, BuildError> {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets(&SECONDS)?
        .install_recorder();
    match (handle, RECORDER.get()) {
        (Ok(handle), _) => Ok(RECORDER.get_or_init(|| handle).clone()),
        // Another thread was faster.
        (Err(_), Some(handle)) => Ok(handle.clone()),
        (Err(error), None) => Err(error),
    }
}

/// Gives the request an id, logs it and counts it. Neither query strings nor headers are logged: they
/// can hold what is nobody's business.
pub(super) async fn request(
    State(server): State<Server>,
    request: Request,
    next: Next,
) -> Response {
    let id = hex::encode(server.portal.store.random::<8>());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    // The pattern, not the address: its variety has an end.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let span = tracing::info_span!("request", %id, %method, path);
    let began = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let took = began.elapsed();
    let status = response.status().as_u16();
    span.in_scope(|| tracing::debug!(status, ms = took.as_secs_f64() * 1000.0, "answered"));
    let labels = [
        ("method", method.to_string()),
        ("route", route),
        ("status", status.to_string()),
    ];
    counter!("optimus_requests_total", &labels).increment(1);
    histogram!("optimus_request_seconds", &labels[..2]).record(took.as_secs_f64());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// What is measured, in Prometheus' text format. Counts only: nothing of anybody.
pub(super) async fn metrics(State(server): State<Server>) -> String {
    gauge!("optimus_sockets").set(server.hub.len() as f64);
    gauge!("optimus_people").set(server.portal.store.chart().chart.len() as f64);
    server.metrics.run_upkeep();
    server.metrics.render()
}

//! Who calls: the peer, or whom a trusted proxy names.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};

use super::Server;
use crate::config::Network;

/// Puts the caller's address where handlers find it: an [`IpAddr`] in the request's extensions.
pub(super) async fn note(
    State(server): State<Server>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip());
    if let Some(peer) = peer {
        let caller = caller(peer, request.headers(), &server.trusted_proxies);
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
}

/// The nearest address that is no trusted proxy. What stands further left in `X-Forwarded-For` could
/// have been written by anybody.
fn caller(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut caller = peer.to_canonical();
    let named: Vec<_> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    for name in named.into_iter().rev() {
        if !is_trusted(caller) {
            break;
        }
        let Ok(address) = name.trim().parse::<IpAddr>() else {
            break;
        };
        caller = address.to_canonical();
    }
    caller
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = [Network::parse("10.0.0.0/8").expect("a network")];
        let told = |peer: &str, forwarded: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", forwarded.parse().expect("a header"));
            caller(peer.parse().expect("an address"), &headers, &trusted).to_string()
        };
        assert_eq!(told("192.0.2.1", "198.51.100.7"), "192.0.2.1");
        assert_eq!(told("10.0.0.1", "198.51.100.7"), "198.51.100.7");
        assert_eq!(
            told("10.0.0.1", "203.0.113.9, 198.51.100.7"),
            "198.51.100.7"
        );
        assert_eq!(told("10.0.0.1", "198.51.100.7, 10.0.0.2"), "198.51.100.7");
        assert_eq!(told("10.0.0.1", "rubbish"), "10.0.0.1");
    }
}

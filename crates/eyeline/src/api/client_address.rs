//! Where a request comes from.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::HeaderMap;
use http::request::Parts;

use crate::app::App;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Handlers take this as an argument. `X-Forwarded-For` is believed from trusted proxies only, and read from its end:
/// what stands before the first address that no trusted proxy wrote may be made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// `None` when the connection did not tell (a router called in process).
    pub address: Option<IpAddr>,
    /// The request came straight from this machine: through no proxy, trusted or not.
    pub is_local: bool,
}

impl FromRequestParts<App> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical());
        let is_forwarded = parts.headers.contains_key(FORWARDED_FOR) || parts.headers.contains_key("forwarded");
        Ok(ClientAddress {
            address: peer.map(|peer| client(peer, &parts.headers, |address| app.settings.is_trusted_proxy(address))),
            is_local: peer.is_some_and(|peer| peer.is_loopback()) && !is_forwarded,
        })
    }
}

fn client(peer: IpAddr, headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut address = peer;
    let lines: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        if !is_trusted(address) {
            break;
        }
        match hop.trim().parse::<IpAddr>() {
            Ok(hop) => address = hop.to_canonical(),
            Err(_) => break,
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_forwarded_address_is_believed_from_trusted_proxies_only() {
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, HeaderValue::from_static("198.51.100.9, 203.0.113.7"));
        headers.append(FORWARDED_FOR, HeaderValue::from_static("10.0.0.2"));
        let trusted = |address: IpAddr| address == ip("10.0.0.1") || address == ip("10.0.0.2");
        assert_eq!(client(ip("10.0.0.1"), &headers, trusted), ip("203.0.113.7"));
        assert_eq!(client(ip("192.0.2.1"), &headers, trusted), ip("192.0.2.1"));
        assert_eq!(client(ip("10.0.0.1"), &HeaderMap::new(), trusted), ip("10.0.0.1"));
        headers.insert(FORWARDED_FOR, HeaderValue::from_static("unknown"));
        assert_eq!(client(ip("10.0.0.1"), &headers, trusted), ip("10.0.0.1"));
    }
}

//! The address that a request comes from.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::HeaderMap;
use http::request::Parts;

use crate::app::App;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";

/// Characters of an unreadable hop that are logged.
const LOGGED_CHARS_MAX: usize = 100;

/// Handlers take this as an argument. `X-Forwarded-For`, or `Forwarded` (RFC 7239) if that is absent, is believed from
/// trusted proxies only. It is read from its end: a client can make up every entry before the first one that no trusted
/// proxy wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// `None` if the peer is unknown, as in a router that is called in process.
    pub address: Option<IpAddr>,
    /// True if the request came from this machine itself, through no proxy, trusted or not.
    pub is_local: bool,
    /// True if a trusted proxy names its client by something else than an address. `address` is then the proxy's.
    pub is_unnamed: bool,
}

impl ClientAddress {
    /// The address whose rate limit counts the request: `None` on this machine. All clients that a proxy does not name
    /// count as one, also if the proxy is on this machine.
    pub fn limited(&self) -> Option<IpAddr> {
        self.address.filter(|address| self.is_unnamed || !address.is_loopback())
    }
}

impl FromRequestParts<App> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical());
        let is_forwarded = parts.headers.contains_key(FORWARDED_FOR) || parts.headers.contains_key(FORWARDED);
        let mut is_unnamed = false;
        let address = peer.map(|peer| {
            let found = client(peer, &parts.headers, |address| app.settings.is_trusted_proxy(address));
            if let Some(hop) = found.unreadable {
                is_unnamed = true;
                app.unreadable_hop.call_once(|| {
                    let hop: String = hop.chars().take(LOGGED_CHARS_MAX).collect();
                    tracing::warn!(%hop, proxy = %found.address, "a trusted proxy names a client that is no address: \
                        all its clients of this kind count as one (logged once)");
                });
            }
            found.address
        });
        Ok(ClientAddress {
            address,
            is_local: peer.is_some_and(|peer| peer.is_loopback()) && !is_forwarded,
            is_unnamed,
        })
    }
}

struct Found {
    address: IpAddr,
    /// The entry that a trusted proxy wrote and that is no address, such as `unknown`.
    unreadable: Option<String>,
}

/// The last address that was not written by an untrusted party.
fn client(peer: IpAddr, headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Found {
    let mut address = peer;
    let name = if headers.contains_key(FORWARDED_FOR) { FORWARDED_FOR } else { FORWARDED };
    let lines: Vec<Cow<str>> =
        headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    let hops: Vec<&str> = lines.iter().flat_map(|line| split_unquoted(line, ',')).collect();
    for entry in hops.into_iter().rev().filter(|entry| !entry.is_empty()) {
        if !is_trusted(address) {
            break;
        }
        let node = if name == FORWARDED { for_parameter(entry) } else { Some(entry) };
        match node.and_then(read_node) {
            Some(hop) => address = hop,
            None => return Found { address, unreadable: Some(entry.to_owned()) },
        }
    }
    Found { address, unreadable: None }
}

/// The parts between separators outside of quotes, trimmed.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = text.split(move |letter| {
        let is_plain = !std::mem::take(&mut is_escaped);
        match letter {
            '"' if is_plain => is_quoted = !is_quoted,
            '\\' if is_plain && is_quoted => is_escaped = true,
            _ => {}
        }
        letter == separator && !is_quoted
    });
    parts.map(str::trim)
}

/// The value of `for` in an element of `Forwarded`.
fn for_parameter(element: &str) -> Option<&str> {
    split_unquoted(element, ';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    })
}

/// Reads `address`, `address:port`, `[address]` or `[address]:port`, in quotes or not, with or without a zone.
fn read_node(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"').trim();
    let host = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        // Only an IPv4 address is followed by a port without brackets.
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => host,
            _ => text,
        },
    };
    let host = host.split('%').next().unwrap_or_default();
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn trusted(address: IpAddr) -> bool {
        address == ip("10.0.0.1") || address == ip("10.0.0.2") || address == ip("2001:db8::10")
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a header"));
        }
        headers
    }

    fn found(lines: &[(&'static str, &str)]) -> IpAddr {
        client(ip("10.0.0.1"), &headers(lines), trusted).address
    }

    #[test]
    fn a_forwarded_address_is_believed_from_trusted_proxies_only() {
        let lines = [(FORWARDED_FOR, "198.51.100.9, 203.0.113.7"), (FORWARDED_FOR, "10.0.0.2")];
        assert_eq!(found(&lines), ip("203.0.113.7"));
        assert_eq!(client(ip("192.0.2.1"), &headers(&lines), trusted).address, ip("192.0.2.1"));
        assert_eq!(found(&[]), ip("10.0.0.1"));
        let lines = [(FORWARDED, "for=198.51.100.9, for=203.0.113.7"), (FORWARDED, "for=10.0.0.2;proto=https")];
        assert_eq!(found(&lines), ip("203.0.113.7"));
        let both = [(FORWARDED, "for=198.51.100.9"), (FORWARDED_FOR, "203.0.113.7")];
        assert_eq!(found(&both), ip("203.0.113.7"));
    }

    #[test]
    fn every_spelling_of_an_address_is_read() {
        for (entry, address) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:51234", "203.0.113.7"),
            ("203.0.113.7:_port", "203.0.113.7"),
            ("[203.0.113.7]:80", "203.0.113.7"),
            ("\"203.0.113.7:80\"", "203.0.113.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:DB8::7]:51234", "2001:db8::7"),
            ("\"[2001:db8::7]:51234\"", "2001:db8::7"),
            ("\" [2001:db8::7] \"", "2001:db8::7"),
            ("fe80::7%eth0", "fe80::7"),
            ("[fe80::7%25eth0]:80", "fe80::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("[::ffff:203.0.113.7]:80", "203.0.113.7"),
        ] {
            for around in [entry.to_owned(), format!("198.51.100.9, {entry},, 10.0.0.2 ,"), format!("x, {entry}")] {
                assert_eq!(found(&[(FORWARDED_FOR, &around)]), ip(address), "{around}");
            }
            for around in [
                format!("for={entry}"),
                format!("for=198.51.100.9, proto=https;For={entry};by=\"a,b;c\", for=\"[2001:db8::10]:1\""),
            ] {
                assert_eq!(found(&[(FORWARDED, &around)]), ip(address), "{around}");
            }
        }
    }

    #[test]
    fn an_unreadable_entry_of_a_trusted_proxy_ends_the_search() {
        for entry in
            ["unknown", "\"unknown\"", "_hidden", "_SEVKISEK:80", "example.com", "203.0.113", "[2001:db8::7", "é"]
        {
            for line in [(FORWARDED_FOR, entry.to_owned()), (FORWARDED, format!("for={entry}"))] {
                let (name, text) = (line.0, format!("198.51.100.9, {}, 10.0.0.2", line.1));
                let text =
                    if name == FORWARDED { text.replace("198", "for=198").replace("10.0", "for=10.0") } else { text };
                let found = client(ip("10.0.0.1"), &headers(&[(name, &text)]), trusted);
                assert_eq!((found.address, found.unreadable), (ip("10.0.0.2"), Some(line.1)), "{text}");
            }
        }
        let found = client(ip("10.0.0.1"), &headers(&[(FORWARDED, "for=198.51.100.9, by=10.0.0.1")]), trusted);
        assert_eq!((found.address, found.unreadable.as_deref()), (ip("10.0.0.1"), Some("by=10.0.0.1")));
        // Text from an untrusted party is ignored.
        let found = client(ip("192.0.2.1"), &headers(&[(FORWARDED_FOR, "unknown")]), trusted);
        assert_eq!((found.address, found.unreadable), (ip("192.0.2.1"), None));
    }

    #[test]
    fn this_machine_has_no_rate_limit_but_clients_without_a_name_behind_its_proxy_have() {
        let client = |address: &str, is_unnamed| {
            ClientAddress { address: Some(ip(address)), is_local: false, is_unnamed }.limited()
        };
        assert_eq!(client("127.0.0.1", false), None);
        assert_eq!(client("::1", false), None);
        assert_eq!(client("127.0.0.1", true), Some(ip("127.0.0.1")));
        assert_eq!(client("203.0.113.7", false), Some(ip("203.0.113.7")));
    }
}

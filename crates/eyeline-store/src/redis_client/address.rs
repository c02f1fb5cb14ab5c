//! The URL of a Redis: `redis://`, `rediss://` with TLS, and the same of a cluster.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion, RedisConnectionInfo};

const PORT: u16 = 6379;
/// The most nodes that a URL may name.
const NODES_MAX: usize = 32;

/// The place of the server or the cluster, and its credentials. Has no `Debug`: it holds the password.
#[derive(Clone)]
pub(crate) struct Address {
    pub is_cluster: bool,
    nodes: Vec<(String, u16)>,
    tls: bool,
    username: Option<String>,
    password: Option<String>,
    database: i64,
}

impl Address {
    /// True if the URL has a scheme of this engine.
    pub fn is_meant(url: &str) -> bool {
        scheme(url).is_some()
    }

    /// The error completes "the URL …" and never holds a part of the URL that may be a secret.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (is_cluster, tls, rest) =
            scheme(url).ok_or("has to start with redis://, rediss://, redis-cluster:// or rediss-cluster://")?;
        if rest.contains(['?', '#']) {
            return Err("takes no parameters: a ? or # in the password is written %3F or %23".to_owned());
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
        let (username, password) = user.map_or((None, None), |user| match user.split_once(':') {
            Some((name, password)) => (Some(name), Some(password)),
            None => (Some(user), None),
        });
        if username.is_some_and(|name| !name.is_empty()) && password.is_none_or(str::is_empty) {
            return Err("names a user without a password: write user:password@, or :password@ alone".to_owned());
        }
        let plain = |text: Option<&str>| {
            let decode = |text| percent_encoding::percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
            let plain = text.filter(|text| !text.is_empty()).map(decode).transpose();
            plain.map_err(|_| "has a user or a password that is not UTF-8 text".to_owned())
        };
        let nodes: Vec<(String, u16)> = hosts.split(',').map(node).collect::<Result<_, _>>()?;
        if !is_cluster && nodes.len() > 1 {
            return Err("names several hosts: those of a cluster stand behind redis-cluster://".to_owned());
        }
        if nodes.len() > NODES_MAX {
            return Err(format!("names more than {NODES_MAX} hosts: a few are enough, they know the others"));
        }
        let database = match path {
            "" => 0,
            _ if is_cluster => return Err("names a database, and a cluster has only one: leave it out".to_owned()),
            number => match number.parse::<u16>() {
                Ok(number) => i64::from(number),
                Err(_) => return Err("has to end with the number of a database, such as /0".to_owned()),
            },
        };
        let (username, password) = (plain(username)?, plain(password)?);
        Ok(Address { is_cluster, nodes, tls, username, password, database })
    }

    pub fn nodes(&self) -> Vec<ConnectionInfo> {
        let mut settings = RedisConnectionInfo::default().set_db(self.database).set_protocol(ProtocolVersion::RESP2);
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        let nodes = self.nodes.iter().filter_map(|(host, port)| {
            let address = if self.tls {
                ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
            } else {
                ConnectionAddr::Tcp(host.clone(), *port)
            };
            Some(address.into_connection_info().ok()?.set_redis_settings(settings.clone()))
        });
        nodes.collect()
    }
}

/// Two flags, for a cluster and for TLS, and the rest of the URL.
fn scheme(url: &str) -> Option<(bool, bool, &str)> {
    [("redis://", false, false), ("rediss://", false, true), ("redis-cluster://", true, false)]
        .into_iter()
        .chain([("rediss-cluster://", true, true)])
        .find_map(|(scheme, is_cluster, tls)| url.strip_prefix(scheme).map(|rest| (is_cluster, tls, rest)))
}

/// `HOST`, `HOST:PORT` or `[IPv6]:PORT`.
fn node(text: &str) -> Result<(String, u16), String> {
    let wrong = || "has to name a host and a port, such as redis://127.0.0.1:6379".to_owned();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(wrong)?) };
            (host, port)
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let is_name =
        |host: &str| !host.is_empty() && host.chars().all(|letter| letter.is_alphanumeric() || "-_.:".contains(letter));
    let port = port.map_or(Ok(PORT), str::parse).map_err(|_| wrong())?;
    if !is_name(host) || port == 0 {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_hosts_a_user_and_a_database() {
        for (url, nodes, user, database) in [
            ("redis://localhost", &[("localhost", 6379)][..], (None, None), 0),
            ("redis://10.0.0.1:7000/3", &[("10.0.0.1", 7000)], (None, None), 3),
            ("rediss://:p%40ss@[::1]:7000/", &[("::1", 7000)], (None, Some("p@ss")), 0),
            ("redis-cluster://a:1,b:2,c", &[("a", 1), ("b", 2), ("c", 6379)], (None, None), 0),
            ("rediss-cluster://me:hush@a", &[("a", 6379)], (Some("me"), Some("hush")), 0),
        ] {
            let address = Address::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            let found: Vec<(&str, u16)> = address.nodes.iter().map(|(host, port)| (host.as_str(), *port)).collect();
            assert_eq!(found, nodes, "{url}");
            assert_eq!((address.username.as_deref(), address.password.as_deref()), user, "{url}");
            assert_eq!(address.database, database, "{url}");
            assert_eq!((address.is_cluster, address.tls), (url.contains("-cluster"), url.starts_with("rediss")));
            assert_eq!(address.nodes().len(), nodes.len(), "{url}");
        }
    }

    #[test]
    fn a_wrong_address_is_explained_without_its_password() {
        for url in [
            "memcached://x",
            "redis:",
            "redis://",
            "redis:///0",
            "redis://:hush@",
            "redis://:hush@host:0",
            "redis://:hush@host:99999",
            "redis://:hush@host:x",
            "redis://:hu/sh@host",
            "redis://:hu?sh@host",
            "redis://:hush@ho st",
            "redis://:hush@host/main",
            "redis://:hush@host/-1",
            "redis://:hush@a,b",
            "redis://:hush@[::1",
            "redis://:hush@[hush]:1",
            "redis://hush@host",
            "redis-cluster://:hush@a,b/1",
            "redis-cluster://:hush@a,,b",
            "rediss-cluster://:%ff@a",
        ] {
            let error = Address::parse(url).err().unwrap_or_else(|| panic!("{url} was taken"));
            assert!(!error.contains("hush"), "{url}: {error}");
        }
    }
}

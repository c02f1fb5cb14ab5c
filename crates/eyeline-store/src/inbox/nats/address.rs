//! The URL of the inbox in NATS: `nats://HOST:PORT,HOST:PORT?stream=eyeline`, or `tls://`.

use async_nats::ServerAddr;
use url::Url;

const PORT: u16 = 4222;
/// The most servers that a URL may name.
const SERVERS_MAX: usize = 32;
/// The most partitions, each of which is a stream.
const PARTITIONS_MAX: u32 = 256;
const PARTITIONS: u32 = 16;
const REPLICAS_MAX: u32 = 5;
const STREAM: &str = "eyeline";
/// The longest name of the streams, without their numbers.
const NAME_MAX: usize = 64;
/// The bound of all partitions together, in MiB.
const MEGABYTES: u64 = 4096;

/// The servers with their credentials, and what the inbox in them is like. Has no `Debug`: it holds the password.
#[derive(Clone)]
pub(crate) struct Address {
    servers: Vec<Server>,
    pub(super) is_tls: bool,
    pub(super) credentials: Credentials,
    /// The start of the streams' names.
    pub(super) stream: String,
    /// The number that is asked for; `None` for the one that is fixed, else 16.
    partitions: Option<u32>,
    /// The copies of each event; `None` for 3 in a cluster, else 1.
    pub(super) replicas: Option<u32>,
    megabytes: u64,
    /// The addresses of the servers' monitoring pages.
    pub(crate) monitors: Vec<Url>,
}

#[derive(Clone)]
struct Server {
    /// IPv6 addresses stand in brackets.
    host: String,
    port: u16,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    None,
    Token(String),
    User { name: String, password: String },
}

impl Address {
    /// True if the URL has a scheme of this engine.
    pub(crate) fn is_meant(url: &str) -> bool {
        scheme(url).is_some()
    }

    /// The error completes "the URL …" and never holds a part of the URL that may be a secret.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let (is_tls, rest) = scheme(url).ok_or("has to start with nats:// or tls://")?;
        if rest.contains('#') {
            return Err("must not have a #: in a password it is written %23".to_owned());
        }
        // A password with a ? that is not written %3F ends the servers too early, so that they are wrong.
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (user, hosts) = authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
        let servers: Vec<Server> = hosts.split(',').map(Server::parse).collect::<Result<_, _>>()?;
        if servers.len() > SERVERS_MAX {
            return Err(format!("names more than {SERVERS_MAX} servers: a few are enough, they know the others"));
        }
        let mut address = Address {
            servers,
            is_tls,
            credentials: credentials(user)?,
            stream: STREAM.to_owned(),
            partitions: None,
            replicas: None,
            megabytes: MEGABYTES,
            monitors: Vec::new(),
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            address.set(name, value)?;
        }
        if address.bytes_per_partition() < super::FULL_BELOW_BYTES {
            return Err("has to leave at least 2 MiB for each partition: raise mb=".to_owned());
        }
        Ok(address)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let within = |max: u32, name: &str| {
            let number = value.parse().ok().filter(|number| (1..=max).contains(number));
            number.ok_or_else(|| format!("has to have a whole number from 1 to {max} as {name}="))
        };
        match name {
            "stream" => {
                let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
                if value.is_empty() || value.len() > NAME_MAX || !value.chars().all(is_plain) {
                    return Err(format!(
                        "has to have a name of at most {NAME_MAX} letters, digits, - and _ as stream="
                    ));
                }
                value.clone_into(&mut self.stream);
            }
            "partitions" => self.partitions = Some(within(PARTITIONS_MAX, name)?),
            "replicas" => self.replicas = Some(within(REPLICAS_MAX, name)?),
            "mb" => self.megabytes = within(u32::MAX / 2, name)?.into(),
            "monitor" => {
                let pages = value.split(',').map(|page| Url::parse(page).ok().filter(is_monitor));
                let wrong = "has to have addresses such as http://127.0.0.1:8222 as monitor=, without a user";
                self.monitors = pages.collect::<Option<_>>().ok_or(wrong)?;
            }
            // An unknown name may be the rest of a password.
            _ => {
                return Err(
                    "takes the parameters stream, partitions, replicas, mb and monitor; in a password, a ? is \
                            written %3F"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }

    pub(super) fn servers(&self) -> std::io::Result<Vec<ServerAddr>> {
        let scheme = if self.is_tls { "tls" } else { "nats" };
        self.servers.iter().map(|server| format!("{scheme}://{}:{}", server.host, server.port).parse()).collect()
    }

    /// The number of partitions of a new inbox.
    pub(super) fn partitions(&self) -> u32 {
        self.partitions.unwrap_or(PARTITIONS)
    }

    /// True if the URL says nothing about partitions, or that there are so many.
    pub(super) fn agrees_with(&self, partitions: u32) -> bool {
        self.partitions.is_none_or(|wanted| wanted == partitions)
    }

    pub(super) fn bytes_per_partition(&self) -> u64 {
        self.megabytes * 1024 * 1024 / u64::from(self.partitions())
    }
}

impl Server {
    /// `HOST`, `HOST:PORT` or `[IPv6]:PORT`.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "has to name servers with host and port, such as nats://127.0.0.1:4222".to_owned();
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => (text, PORT),
        };
        let is_address = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
        let is_name =
            !host.is_empty() && host.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
        if port == 0 || !(is_address || is_name) {
            return Err(wrong());
        }
        Ok(Server { host: host.to_owned(), port })
    }
}

/// True, and the rest of the URL, if it asks for TLS.
fn scheme(url: &str) -> Option<(bool, &str)> {
    let plain = url.strip_prefix("nats://").map(|rest| (false, rest));
    plain.or_else(|| url.strip_prefix("tls://").map(|rest| (true, rest)))
}

fn credentials(user: Option<&str>) -> Result<Credentials, String> {
    let plain = |text: &str| {
        let plain = percent_encoding::percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
        plain.map_err(|_| "has a user, a password or a token that is not UTF-8 text".to_owned())
    };
    match user.map(|user| user.split_once(':').ok_or(user)) {
        None => Ok(Credentials::None),
        Some(Err("") | Ok(("", _) | (_, ""))) => {
            Err("has to have user:password@ or token@ before its servers, or nothing".to_owned())
        }
        Some(Err(token)) => Ok(Credentials::Token(plain(token)?)),
        Some(Ok((name, password))) => Ok(Credentials::User { name: plain(name)?, password: plain(password)? }),
    }
}

fn is_monitor(page: &Url) -> bool {
    let is_open = page.username().is_empty() && page.password().is_none();
    matches!(page.scheme(), "http" | "https") && page.has_host() && is_open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_servers_credentials_and_what_the_inbox_is_like() {
        let address = Address::parse(
            "tls://me:p%40ss@a:1,[::1]:2,c?stream=x-1&partitions=4&replicas=3&mb=64&monitor=http://a:8222,http://c:8222",
        );
        let address = address.unwrap_or_else(|error| panic!("{error}"));
        let servers: Vec<(&str, u16)> =
            address.servers.iter().map(|server| (server.host.as_str(), server.port)).collect();
        assert_eq!(servers, [("a", 1), ("[::1]", 2), ("c", PORT)]);
        assert!(address.is_tls);
        assert!(address.credentials == Credentials::User { name: "me".to_owned(), password: "p@ss".to_owned() });
        assert_eq!((address.stream.as_str(), address.partitions(), address.replicas), ("x-1", 4, Some(3)));
        assert_eq!((address.bytes_per_partition(), address.monitors.len()), (16 << 20, 2));
        assert_eq!(address.servers().expect("addresses").len(), 3);

        let address = Address::parse("nats://s3cret@host/").unwrap_or_else(|error| panic!("{error}"));
        assert!(address.credentials == Credentials::Token("s3cret".to_owned()));
        assert_eq!((address.stream.as_str(), address.partitions(), address.replicas), ("eyeline", 16, None));
        assert!(address.agrees_with(3) && !address.is_tls);
    }

    #[test]
    fn a_wrong_address_is_explained_without_its_secrets() {
        for url in [
            "mqtt://x",
            "nats:",
            "nats://",
            "nats://hush@",
            "nats://:hush@host",
            "nats://hush:@host",
            "nats://me:hush@host:0",
            "nats://me:hush@host:99999",
            "nats://me:hush@host:x",
            "nats://me:hu/hush@host/path",
            "nats://me:hu?hush@host",
            "nats://me:hu#hush@host",
            "nats://me:hush@ho st",
            "nats://me:hush@a,,b",
            "nats://me:hush@[::1",
            "nats://me:hush@[hush]:1",
            "nats://%ffhush@a",
            "nats://me:hush@a?stream=a.b",
            "nats://me:hush@a?stream=",
            "nats://me:hush@a?partitions=0",
            "nats://me:hush@a?partitions=9999",
            "nats://me:hush@a?replicas=many",
            "nats://me:hush@a?mb=1",
            "nats://me:hush@a?monitor=a:8222",
            "nats://me:hush@a?monitor=http://me:hush@a:8222",
            "nats://me:hush@a?hush=1",
        ] {
            let error = Address::parse(url).err().unwrap_or_else(|| panic!("{url} was taken"));
            assert!(!error.contains("hush"), "{url}: {error}");
        }
    }
}

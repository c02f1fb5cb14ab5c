//! The source of an event, for ranking: keyed hashes that do not lead back to a person.

use std::net::IpAddr;

/// A network and a browser, each as a hash under a key of the server; or a declared robot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(u64);

impl Source {
    /// A declared robot. A guarded gallery never counts it.
    pub const ROBOT: Source = Source(0);

    /// The source with these hashes.
    pub fn of(network: u32, browser: u32) -> Source {
        Source(u64::from(network.max(1)) << 32 | u64::from(browser.max(1)))
    }

    /// All browsers of its network, as one source.
    pub fn network(self) -> Source {
        Source(self.0 & !u64::from(u32::MAX))
    }

    /// The first and the last source that it stands for: itself, or its whole network.
    pub fn range(self) -> (Source, Source) {
        let all = if self == self.network() { self.0 | u64::from(u32::MAX) } else { self.0 };
        (self, Source(all))
    }

    pub fn from_bits(bits: u64) -> Source {
        Source(bits)
    }

    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The stored form where a source may be missing. The robot's value stands for none, because guards keep no state
    /// of robots.
    pub fn optional_to_bits(source: Option<Source>) -> u64 {
        source.unwrap_or(Source::ROBOT).to_bits()
    }

    pub fn optional_from_bits(bits: u64) -> Option<Source> {
        Some(Source(bits)).filter(|source| !source.is_robot())
    }

    pub fn is_robot(self) -> bool {
        self == Source::ROBOT
    }
}

/// A server's description of the visitor for whom it sends an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub address: IpAddr,
    pub user_agent: Option<String>,
}

/// The network of an address as text: a household or small office has a /24 of IPv4 or a /48 of IPv6.
pub fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

/// True if a program declares itself a robot, as harmless ones do.
pub fn declares_robot(user_agent: &str) -> bool {
    const WORDS: [&str; 4] = ["bot", "crawl", "spider", "slurp"];
    // The name of a phone maker contains one of the words.
    let user_agent = user_agent.to_ascii_lowercase().replace("cubot", "");
    WORDS.iter().any(|word| user_agent.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_not_told_apart() {
        let network = |text: &str| network_of(text.parse().expect("an address"));
        assert_eq!(network("198.51.100.7"), network("198.51.100.250"));
        assert_ne!(network("198.51.100.7"), network("198.51.101.7"));
        assert_eq!(network("::ffff:198.51.100.7"), network("198.51.100.9"));
        assert_eq!(network("2001:db8:1:2::3"), network("2001:db8:1:ffff::1"));
        assert_ne!(network("2001:db8:1::"), network("2001:db8:2::"));
    }

    #[test]
    fn a_robot_is_one_that_says_so() {
        for robot in ["Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "AhrefsBot/7.0"] {
            assert!(declares_robot(robot), "{robot}");
        }
        for person in ["Mozilla/5.0 (Linux; Android 10; CUBOT X30) Chrome/120.0", "Mozilla/5.0 Firefox/140.0", ""] {
            assert!(!declares_robot(person), "{person}");
        }
    }
}

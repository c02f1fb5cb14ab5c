//! Where an event came from, as far as ranking has to tell it: a keyed hash, from which nobody gets back to a person.

use std::net::IpAddr;

/// A network and a browser, each as a hash under a key that the server keeps; or a program that says that it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(u64);

impl Source {
    /// A robot that declares itself: never counted by a guarded gallery.
    pub const ROBOT: Source = Source(0);

    /// The source with these hashes.
    pub fn of(network: u32, browser: u32) -> Source {
        Source(u64::from(network.max(1)) << 32 | u64::from(browser.max(1)))
    }

    /// All the browsers of its network, as one source.
    pub fn network(self) -> Source {
        Source(self.0 & !u64::from(u32::MAX))
    }

    /// The first and the last that it stands for: itself, or all of a network.
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

    /// As it is kept where there may be none: in the place of a robot, of which nothing is ever remembered.
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

/// What a server says of the visitor that it sends an event for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub address: IpAddr,
    pub user_agent: Option<String>,
}

/// The network that an address is of, as text: a household or a small office of IPv4 is in a /24, of IPv6 in a /48.
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

/// Whether a program says of itself that it is a robot, as those do that mean no harm.
pub fn declares_robot(user_agent: &str) -> bool {
    const WORDS: [&str; 4] = ["bot", "crawl", "spider", "slurp"];
    // A maker of telephones has one of the words in its name.
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

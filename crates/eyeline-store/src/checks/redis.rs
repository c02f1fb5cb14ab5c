//! Redis or Valkey, as it says it is set.

use std::collections::HashMap;

use super::Check;
use crate::redis_client::{self, Address, DEADLINE};

/// The oldest version with users, and with answers to every command that is used.
const OLDEST: u32 = 6;

/// The lines of a node's `INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings(HashMap<String, String>);

impl Settings {
    /// Asks every node that the URL names. Blocks.
    pub(super) fn read(address: &Address) -> redis::RedisResult<Vec<Self>> {
        (0..address.nodes().len())
            .map(|number| {
                let mut connection = redis_client::connect(address, number, DEADLINE * 4)?;
                let text: String = redis::cmd("INFO").query(&mut connection)?;
                let lines = text.lines().filter_map(|line| line.split_once(':'));
                let mut known: HashMap<String, String> =
                    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                if address.is_cluster {
                    let text: String = redis::cmd("CLUSTER").arg("INFO").query(&mut connection)?;
                    let state = text.lines().find_map(|line| line.strip_prefix("cluster_state:"));
                    known.insert("cluster_state".to_owned(), state.unwrap_or("unknown").trim().to_owned());
                }
                Ok(Settings(known))
            })
            .collect()
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(super) fn judge(&self, is_cluster: bool) -> Vec<Check> {
        let (product, version) = match self.get("valkey_version") {
            "" => ("Redis", self.get("redis_version")),
            version => ("Valkey", version),
        };
        let major = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
        let mut checks = vec![
            Check::of(
                major >= OLDEST,
                "cache.version",
                format!("{product} {version}"),
                format!("Bring {product} to version {OLDEST} or newer."),
            ),
            self.eviction(),
        ];
        let in_cluster = self.get("cluster_enabled") == "1";
        if is_cluster {
            let state = self.get("cluster_state");
            let remedy = "Until every slot is served, keys are refused: see `redis-cli --cluster check`.";
            checks.push(Check::of(state == "ok", "cache.cluster", format!("the cluster's state is {state}"), remedy));
        } else if in_cluster {
            let remedy = "Most keys are refused: write redis-cluster:// in EYELINE_CACHE_URL.";
            checks.push(Check::broken("cache.cluster", "the server is a node of a cluster", remedy));
        }
        checks
    }

    /// Every entry has a time to live, so that each policy but `noeviction` makes room.
    fn eviction(&self) -> Check {
        const NAME: &str = "cache.eviction";
        let (bytes, policy) = (self.get("maxmemory"), self.get("maxmemory_policy"));
        if bytes == "0" {
            let remedy = "Set maxmemory to what the machine can spare, and maxmemory-policy allkeys-lru.";
            return Check::noted(NAME, "the cache takes as much memory as entries need: maxmemory is 0", remedy);
        }
        let found = format!("maxmemory is {bytes} bytes, and maxmemory-policy {policy}");
        let remedy = "A full server refuses new entries, and pages are read from the sources again: set \
                      maxmemory-policy allkeys-lru.";
        Check::of(policy != "noeviction", NAME, found, remedy)
    }
}

/// The server cannot be asked.
pub(super) fn unreachable(error: &dyn std::fmt::Display) -> Check {
    let remedy = "Until it answers, pages and previews come from the sources, and processes notice each other's changes \
                  only when they look: see to it, or to EYELINE_CACHE_URL.";
    Check::broken("cache.reachable", format!("it cannot be used: {error}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn settings(lines: &[(&str, &str)]) -> Settings {
        let defaults = [("redis_version", "7.0.15"), ("maxmemory", "1000"), ("maxmemory_policy", "allkeys-lru")];
        let lines = defaults.iter().chain(lines);
        Settings(lines.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn each_setting_that_breaks_a_promise_is_told() {
        for (lines, is_cluster, wrong) in [
            (&[][..], false, &[][..]),
            (&[("valkey_version", "9.1.0")], false, &[]),
            (&[("maxmemory_policy", "volatile-ttl")], false, &[]),
            (&[("maxmemory_policy", "noeviction")], false, &[("cache.eviction", Verdict::Broken)]),
            (&[("maxmemory", "0")], false, &[("cache.eviction", Verdict::Noted)]),
            (&[("maxmemory", "0"), ("maxmemory_policy", "noeviction")], false, &[("cache.eviction", Verdict::Noted)]),
            (&[("redis_version", "5.0.9")], false, &[("cache.version", Verdict::Broken)]),
            (&[("redis_version", "")], false, &[("cache.version", Verdict::Broken)]),
            (&[("cluster_enabled", "1")], false, &[("cache.cluster", Verdict::Broken)]),
            (&[("cluster_enabled", "1"), ("cluster_state", "ok")], true, &[]),
            (&[("cluster_enabled", "1"), ("cluster_state", "fail")], true, &[("cache.cluster", Verdict::Broken)]),
        ] {
            let found = settings(lines).judge(is_cluster);
            let found: Vec<(&str, Verdict)> = found
                .iter()
                .filter(|check| check.verdict != Verdict::Holds)
                .map(|check| (check.name.as_str(), check.verdict))
                .collect();
            assert_eq!(found, wrong, "{lines:?}");
        }
    }
}

//! NATS, as its servers say they are set.

use std::time::Duration;

use serde::Deserialize;

use super::Check;
use crate::error::{Error, Result};
use crate::inbox::nats_connection::Connection;
use crate::inbox::{NatsAddress, nats_streams as streams};

/// The longest time of reading a monitoring page.
const PAGE_DEADLINE: Duration = Duration::from_secs(3);
/// The copies of each event with which the loss of a server costs nothing.
const REPLICAS_ENOUGH: u32 = 3;
/// Percent of a bound from which its operator should know.
const FULL_PERCENT: u64 = 80;

/// What one server says of itself, and the monitoring pages of all that are named.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    version: String,
    has_jetstream: bool,
    payload_bytes_max: usize,
    is_in_cluster: bool,
    streams: Option<streams::Facts>,
    pages: Vec<(String, Option<Page>)>,
}

/// The parts of a monitoring page that are used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Page {
    version: String,
    jetstream: JetStream,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct JetStream {
    config: Option<Config>,
    stats: Stats,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    /// Left out where it is false.
    sync_always: bool,
    max_storage: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Stats {
    storage: u64,
}

impl Settings {
    pub(super) async fn read(address: &NatsAddress) -> Result<Self> {
        let connection = Connection::open(address).await?;
        let server = connection.server_info();
        let is_usable = streams::check_version(&server.version).is_none() && server.jetstream;
        Ok(Settings {
            version: server.version,
            has_jetstream: server.jetstream,
            payload_bytes_max: server.max_payload,
            is_in_cluster: server.cluster.is_some(),
            streams: if is_usable { streams::look(&connection, address).await? } else { None },
            pages: pages(address).await?,
        })
    }

    pub(super) fn judge(&self) -> Vec<Check> {
        let mut checks = vec![
            self.version(),
            Check::of(
                self.has_jetstream,
                "inbox.jetstream",
                if self.has_jetstream { "the server has JetStream" } else { "the server has no JetStream" },
                "Start NATS with a jetstream section in its configuration.",
            ),
            Check::of(
                self.payload_bytes_max >= streams::PAYLOAD_BYTES_MIN,
                "inbox.max_payload",
                format!("a message has at most {} bytes", self.payload_bytes_max),
                format!("Set max_payload to at least {}, or leave it out.", streams::PAYLOAD_BYTES_MIN),
            ),
        ];
        checks.extend(self.sync());
        if self.has_jetstream {
            checks.extend(self.space());
            checks.push(self.replicas());
        }
        checks
    }

    /// Every known server's, since a cluster may be half upgraded.
    fn version(&self) -> Check {
        const NAME: &str = "inbox.version";
        let known = self.pages.iter().filter_map(|(_, page)| Some(page.as_ref()?.version.as_str()));
        let old = known.chain([self.version.as_str()]).find(|version| streams::check_version(version).is_some());
        match old {
            None => Check::holds(NAME, format!("NATS {}", self.version)),
            Some(version) => {
                let (major, minor, patch) = streams::OLDEST;
                let remedy = format!("Bring every server to {major}.{minor}.{patch} or newer.");
                Check::broken(NAME, format!("NATS {version} may lose events that it has acknowledged"), remedy)
            }
        }
    }

    fn sync(&self) -> Vec<Check> {
        const NAME: &str = "inbox.fsync";
        const SET: &str = "Write sync_interval: always into the jetstream section of every server.";
        if self.pages.is_empty() {
            let found = "whether NATS writes with an fsync cannot be read without its monitoring page";
            let remedy = format!("{SET} To have it checked, add monitor=http://HOST:8222 to EYELINE_INBOX_URL.");
            return vec![Check::noted(NAME, found, remedy)];
        }
        let judged = self.pages.iter().map(|(place, page)| {
            let Some(page) = page else {
                let remedy = "See to http_port of that server, or to monitor= in EYELINE_INBOX_URL.";
                return Check::noted(NAME, format!("the monitoring page at {place} cannot be read"), remedy);
            };
            let is_set = page.jetstream.config.as_ref().is_some_and(|config| config.sync_always);
            let found = if is_set {
                format!("the server at {place} acknowledges after an fsync")
            } else {
                format!("the server at {place} acknowledges before its fsync: a power cut loses events")
            };
            Check::of(is_set, NAME, found, SET)
        });
        judged.collect()
    }

    /// The streams' bound and the servers'.
    fn space(&self) -> Vec<Check> {
        const NAME: &str = "inbox.space";
        let judge = |what: String, bytes: u64, most: u64| {
            let percent = bytes.saturating_mul(100) / most.max(1);
            let found = format!("{what} is {percent} % full, of {} MiB", most >> 20);
            if percent < FULL_PERCENT {
                return Check::holds(NAME, found);
            }
            let remedy = "A full inbox refuses events with 503: see whether events are counted and flushed, and give \
                          JetStream more room.";
            Check::noted(NAME, found, remedy)
        };
        let streams = self.streams.map(|facts| judge("the fullest partition".to_owned(), facts.bytes, facts.bytes_max));
        let servers = self.pages.iter().filter_map(|(place, page)| {
            let jetstream = &page.as_ref()?.jetstream;
            let most = jetstream.config.as_ref()?.max_storage;
            Some(judge(format!("JetStream at {place}"), jetstream.stats.storage, most))
        });
        streams.into_iter().chain(servers).collect()
    }

    fn replicas(&self) -> Check {
        const NAME: &str = "inbox.replicas";
        let Some(facts) = self.streams else {
            let remedy = "The first start makes them; run doctor again after that.";
            return Check::noted(NAME, "the streams are not there yet", remedy);
        };
        if facts.replicas >= REPLICAS_ENOUGH {
            return Check::holds(NAME, format!("{} servers keep each event", facts.replicas));
        }
        let found = format!("{} server keeps each event: if its disk is lost, so are events", facts.replicas);
        let remedy = if self.is_in_cluster {
            "Give the streams three replicas: `nats stream edit --replicas 3`, each."
        } else {
            "For more, run three servers as a cluster."
        };
        Check::noted(NAME, found, remedy)
    }
}

async fn pages(address: &NatsAddress) -> Result<Vec<(String, Option<Page>)>> {
    crate::tls::choose_provider();
    let client = reqwest::Client::builder().timeout(PAGE_DEADLINE).build();
    let client = client.map_err(|error| Error::internal("a client of HTTP", error))?;
    let mut pages = Vec::new();
    for place in &address.monitors {
        let read = async { client.get(place.join("/varz").ok()?).send().await.ok()?.json::<Page>().await.ok() };
        pages.push((place.as_str().trim_end_matches('/').to_owned(), read.await));
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn page(text: &str) -> (String, Option<Page>) {
        ("http://a:8222".to_owned(), serde_json::from_str(text).ok())
    }

    fn settings() -> Settings {
        Settings {
            version: "2.15.1".to_owned(),
            has_jetstream: true,
            payload_bytes_max: 1024 * 1024,
            is_in_cluster: true,
            streams: Some(streams::Facts { replicas: 3, bytes: 1 << 20, bytes_max: 100 << 20 }),
            pages: vec![page(
                r#"{"version": "2.15.1", "jetstream": {"config": {"max_storage": 1000, "sync_always": true}, "stats": {"storage": 7}}}"#,
            )],
        }
    }

    #[test]
    fn each_setting_that_breaks_a_promise_is_told() {
        let lagging =
            r#"{"version": "2.11.0", "jetstream": {"config": {"max_storage": 1000}, "stats": {"storage": 999}}}"#;
        let one = streams::Facts { replicas: 1, bytes: 90 << 20, bytes_max: 100 << 20 };
        let (broken, noted) = (Verdict::Broken, Verdict::Noted);
        for (settings, wrong) in [
            (settings(), &[][..]),
            (Settings { version: "2.12.2".to_owned(), ..settings() }, &[("inbox.version", broken)]),
            (Settings { payload_bytes_max: 65_536, ..settings() }, &[("inbox.max_payload", broken)]),
            (Settings { has_jetstream: false, ..settings() }, &[("inbox.jetstream", broken)]),
            (Settings { pages: Vec::new(), ..settings() }, &[("inbox.fsync", noted)]),
            (Settings { pages: vec![page("{")], ..settings() }, &[("inbox.fsync", noted)]),
            (
                Settings { pages: vec![page(lagging)], ..settings() },
                &[("inbox.version", broken), ("inbox.fsync", broken), ("inbox.space", noted)],
            ),
            (Settings { streams: None, ..settings() }, &[("inbox.replicas", noted)]),
            (Settings { streams: Some(one), ..settings() }, &[("inbox.space", noted), ("inbox.replicas", noted)]),
        ] {
            let found = settings.judge();
            let found: Vec<(&str, Verdict)> = found
                .iter()
                .filter(|check| check.verdict != Verdict::Holds)
                .map(|check| (check.name.as_str(), check.verdict))
                .collect();
            assert_eq!(found, wrong, "{settings:?}");
        }
    }
}

//! Settings: defaults in the binary < `eyeline.toml` < `.env` and `EYELINE_*` < flags.

mod roles;
mod sources;
#[cfg(test)]
mod tests;
mod validate;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use eyeline_core::{Tier, Webp};
use eyeline_image::Limits;
use eyeline_store::objects::Location;
use eyeline_store::{Scheme, cache, catalog, inbox, objects, orders};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::memory;

pub use self::roles::{Role, Roles};
pub use self::sources::Flags;

/// Load balancers usually look at least this often.
const DRAIN_SECONDS: u32 = 5;

/// Everything that installations may configure differently. Each name is also `EYELINE_<NAME>`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The address and port to serve on.
    pub listen: SocketAddr,
    /// The origin where clients reach the server: scheme, host and optional port. `http://localhost:<port>` if unset.
    pub public_url: Option<String>,
    /// What this process does: `api`, `worker`, `ingest`, separated by commas. A part of them needs engines that processes
    /// share.
    pub roles: Roles,
    /// Seconds after a stop signal in which requests are still taken while `/readyz` says 503, so that a load balancer
    /// stops sending them. If unset, 5 for a process beside others, else 0.
    pub drain_seconds: Option<u32>,
    /// The folder for all data of the embedded engines.
    pub data: PathBuf,
    /// `eyl_admin_…`. Created and shown once if unset. Required beside other processes.
    pub admin_key: Option<String>,
    /// 32 bytes as 64 hexadecimal digits; two separated by a comma during a rotation. Created in the data folder if
    /// unset. Required beside other processes.
    pub secret: Option<String>,
    /// `sqlite:PATH` or `postgres://…`. A file in the data folder if unset.
    pub catalog_url: Option<String>,
    /// `file:PATH`, or `s3://BUCKET` with the parameters `endpoint`, `region`, `style` and `link_endpoint`. A folder in
    /// the data folder if unset.
    pub objects_url: Option<String>,
    /// A second bucket of the same store, for public versions alone.
    pub objects_public_bucket: Option<String>,
    /// The address at which everybody can read that bucket, such as a CDN's.
    pub objects_public_url: Option<String>,
    /// The credentials of the buckets, from `AWS_ACCESS_KEY_ID`.
    pub aws_access_key_id: Option<String>,
    /// From `AWS_SECRET_ACCESS_KEY`.
    pub aws_secret_access_key: Option<String>,
    /// From `AWS_SESSION_TOKEN`.
    pub aws_session_token: Option<String>,
    /// The region of the buckets if their URL names none, from `AWS_REGION`.
    pub aws_region: Option<String>,
    /// The address of the store if the URL names none, from `AWS_ENDPOINT_URL`.
    pub aws_endpoint_url: Option<String>,
    /// `sqlite:PATH`, or NATS, which processes share: `nats://HOST:PORT,HOST:PORT` or `tls://`, with `USER:PASSWORD@` or
    /// `TOKEN@` before the servers, and the parameters `stream`, `partitions`, `replicas`, `mb` and `monitor`. A file in the
    /// data folder if unset.
    pub inbox_url: Option<String>,
    /// `file:PATH`, or Redis as in `cache_url`; with `?mb=` at its end for another bound than 256 MiB, in Redis 1 GiB. If
    /// unset, the Redis of the cache for a process beside others, else a folder in the data folder.
    pub orders_url: Option<String>,
    /// `memory:`, or `memory:?mb=48` with a bound; or Redis or Valkey, which processes share: `redis://HOST:PORT/DATABASE`,
    /// `rediss://` with TLS, `redis-cluster://HOST:PORT,HOST:PORT` and `rediss-cluster://`, each with `USER:PASSWORD@` or
    /// `:PASSWORD@` before the host.
    pub cache_url: String,
    /// The lifetime of an upload link, in seconds.
    pub upload_link_seconds: u32,
    /// Seconds after the end of an upload link in which the sweep still looks for its file.
    pub upload_grace_seconds: u32,
    /// Seconds between two sweeps.
    pub sweep_seconds: u32,
    /// Seconds that events wait in the inbox until they are flushed; many do not wait so long. 0 flushes continuously.
    pub flush_seconds: u32,
    /// Whole days (UTC) for which events are kept, at least 8; for ever if unset. Counters, learning and roll-ups stay.
    pub events_keep_days: Option<u32>,
    /// The longest time of a query over events, in SQL or not: 1 to 30 seconds.
    pub question_seconds_max: u32,
    /// The shortest lifetime of a signed download link, in seconds.
    pub download_link_seconds: u32,
    /// The most bytes of one photo sent with a key.
    pub upload_bytes_max: u64,
    /// The limits of users by tier, and of projects of the lower two tiers.
    #[serde(deserialize_with = "sources::by_name")]
    pub tiers: Tiers,
    /// Photos processed concurrently. The number of cores if unset.
    pub workers: Option<usize>,
    /// Bytes of memory for photos that are processed concurrently. If unset, a quarter of the memory of the machine or
    /// its control group, and at least the memory for the largest picture.
    pub decode_bytes_max: Option<u64>,
    /// Decode photos and compute SQL even where the kernel or the container denies seccomp.
    #[serde(deserialize_with = "figment::util::bool_from_str_or_int")]
    pub allow_unconfined: bool,
    /// Bytes of memory that bodies of requests may take at the same time. Each byte counts twice: as it arrives or is
    /// unpacked, and as it is read.
    pub body_bytes_max: u64,
    /// The most `POST /uploads` requests that wait for their versions. Further ones are refused with 503.
    pub uploads_waiting_max: usize,
    /// The versions that are also made as WebP: `off`, `small` (thumb and big_thumb) or `all`.
    pub webp: Webp,
    /// Addresses and networks of proxies whose `X-Forwarded-For` or `Forwarded` is trusted, separated by commas.
    pub trusted_proxies: Networks,
    /// Events a second from an application's public id. A body counts as one event for each KiB if that is more.
    pub application_events_per_second: u32,
    /// Events a second from one address with a public id. Loopback is not limited.
    pub address_events_per_second: u32,
    /// The most events in a project's quarantine. Beyond it the oldest are deleted.
    pub quarantined_events_max: u64,
    /// The most bytes of a project's quarantined events with their reasons. Beyond it the oldest are deleted.
    pub quarantined_bytes_max: u64,
    /// New hourly roll-up rows that a project's events may create on one day: one for each hour, application, category
    /// and name with an event. Events that need further rows are quarantined.
    pub rollup_rows_per_day: u64,
    /// Access to `/metrics` without the admin key: `nobody`, or `loopback` for addresses of this machine whose requests
    /// no proxy has forwarded.
    pub metrics_open: MetricsOpen,
    /// Accept `POST /api/v1/test/clock`. Never in production.
    #[serde(deserialize_with = "figment::util::bool_from_str_or_int")]
    pub test_clock: bool,
    /// The filter of the log, such as `info,eyeline=debug`.
    pub log: String,
    /// `text` or `json`.
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierLimits {
    /// The most bytes of one file.
    pub file_bytes_max: u64,
    /// The most images.
    pub images_max: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tiers {
    #[serde(deserialize_with = "sources::by_name")]
    pub free: TierLimits,
    #[serde(deserialize_with = "sources::by_name")]
    pub premium: TierLimits,
    #[serde(deserialize_with = "sources::by_name")]
    pub business: TierLimits,
}

impl Default for Tiers {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Tiers {
            free: TierLimits { file_bytes_max: 10 * MIB, images_max: 50 },
            premium: TierLimits { file_bytes_max: 10 * MIB, images_max: 1_000 },
            business: TierLimits { file_bytes_max: 50 * MIB, images_max: 100_000 },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsOpen {
    Nobody,
    Loopback,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 8009)),
            public_url: None,
            roles: Roles::default(),
            drain_seconds: None,
            data: PathBuf::from("./data"),
            admin_key: None,
            secret: None,
            catalog_url: None,
            objects_url: None,
            objects_public_bucket: None,
            objects_public_url: None,
            aws_access_key_id: None,
            aws_secret_access_key: None,
            aws_session_token: None,
            aws_region: None,
            aws_endpoint_url: None,
            inbox_url: None,
            orders_url: None,
            cache_url: "memory:".to_owned(),
            upload_link_seconds: 15 * 60,
            upload_grace_seconds: 60 * 60,
            sweep_seconds: 30,
            flush_seconds: 30,
            events_keep_days: None,
            question_seconds_max: 30,
            download_link_seconds: 15 * 60,
            upload_bytes_max: 50 * 1024 * 1024,
            tiers: Tiers::default(),
            workers: None,
            decode_bytes_max: None,
            allow_unconfined: false,
            body_bytes_max: 128 * 1024 * 1024,
            uploads_waiting_max: 256,
            webp: Webp::Off,
            trusted_proxies: Networks::default(),
            application_events_per_second: 1_000,
            address_events_per_second: 100,
            quarantined_events_max: 100_000,
            quarantined_bytes_max: 256 * 1024 * 1024,
            rollup_rows_per_day: 50_000,
            metrics_open: MetricsOpen::Nobody,
            test_clock: false,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

/// The bounds on the stored events of one project.
#[derive(Clone, Copy, Debug)]
pub struct EventBounds {
    /// The most quarantined events, and their bytes. The oldest are deleted.
    pub quarantined_events: u64,
    pub quarantined_bytes: u64,
    /// New hourly roll-up rows on one day of arrival. Events that need further rows are quarantined.
    pub hour_rows_a_day: u64,
}

impl Settings {
    /// The bounds on the stored events of one project.
    pub fn event_bounds(&self) -> EventBounds {
        EventBounds {
            quarantined_events: self.quarantined_events_max,
            quarantined_bytes: self.quarantined_bytes_max,
            hour_rows_a_day: self.rollup_rows_per_day,
        }
    }

    /// The settings with every default resolved and every secret masked, for display.
    pub fn masked(&self) -> Self {
        let mask = |secret: &String| {
            // The prefix reveals only the kind of the secret.
            let shown = if secret.starts_with("eyl_admin_") { "eyl_admin_" } else { "" };
            format!("{shown}********")
        };
        Settings {
            public_url: Some(self.public_url()),
            drain_seconds: Some(self.drain_seconds()),
            admin_key: self.admin_key.as_ref().map(mask),
            secret: self.secret.as_ref().map(mask),
            catalog_url: Some(without_password(&self.catalog_url())),
            objects_url: Some(without_password(&self.objects_url())),
            aws_secret_access_key: self.aws_secret_access_key.as_ref().map(mask),
            aws_session_token: self.aws_session_token.as_ref().map(mask),
            // What stands alone before the servers is a token.
            inbox_url: Some(without_user(&self.inbox_url())),
            orders_url: Some(without_password(&self.orders_url())),
            cache_url: without_password(&self.cache_url),
            workers: Some(self.workers()),
            decode_bytes_max: Some(self.decode_bytes_max()),
            ..self.clone()
        }
    }

    pub fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        self.trusted_proxies.0.iter().any(|network| network.contains(&address))
    }

    /// The public origin as browsers write it: without a slash at the end or the scheme's default port.
    pub fn public_url(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://localhost:{}", self.listen.port()))
    }

    /// The address at which commands on this machine reach the server, without a slash at the end.
    pub fn local_url(&self) -> String {
        let mut address = self.listen;
        if address.ip().is_unspecified() {
            let loopback = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
            address.set_ip(loopback);
        }
        format!("http://{address}")
    }

    pub fn catalog_url(&self) -> String {
        self.catalog_url.clone().unwrap_or_else(|| format!("sqlite:{}", self.data.join("catalog.sqlite").display()))
    }

    pub fn objects_url(&self) -> String {
        self.objects_url.clone().unwrap_or_else(|| format!("file:{}", self.data.join("objects").display()))
    }

    /// Where the objects are.
    pub fn objects(&self) -> Location {
        Location {
            url: self.objects_url(),
            access_key_id: self.aws_access_key_id.clone(),
            secret_access_key: self.aws_secret_access_key.clone(),
            session_token: self.aws_session_token.clone(),
            region: self.aws_region.clone(),
            endpoint: self.aws_endpoint_url.clone(),
            public_bucket: self.objects_public_bucket.clone(),
            public_url: self.objects_public_url.clone(),
        }
    }

    pub fn inbox_url(&self) -> String {
        self.inbox_url.clone().unwrap_or_else(|| format!("sqlite:{}", self.data.join("inbox.sqlite").display()))
    }

    pub fn orders_url(&self) -> String {
        let is_shared = || Scheme::of(&self.cache_url, cache::SCHEMES).is_some_and(|scheme| scheme.is_shared);
        self.orders_url.clone().unwrap_or_else(|| match self.is_scaled_out() && is_shared() {
            true => self.cache_url.clone(),
            false => format!("file:{}", self.data.join("orders").display()),
        })
    }

    /// The settings that choose engines, with their URLs and the schemes that each may have.
    pub fn engine_urls(&self) -> [(&'static str, String, &'static [Scheme]); 5] {
        [
            ("catalog_url", self.catalog_url(), catalog::SCHEMES),
            ("objects_url", self.objects_url(), objects::SCHEMES),
            ("inbox_url", self.inbox_url(), inbox::SCHEMES),
            ("orders_url", self.orders_url(), orders::SCHEMES),
            ("cache_url", self.cache_url.clone(), cache::SCHEMES),
        ]
    }

    /// True if this process is one of several on the same engines.
    pub fn is_scaled_out(&self) -> bool {
        let has_shared_inbox = || Scheme::of(&self.inbox_url(), inbox::SCHEMES).is_some_and(|scheme| scheme.is_shared);
        !self.roles.are_all() || has_shared_inbox()
    }

    pub fn drain_seconds(&self) -> u32 {
        let usual = if self.is_scaled_out() { DRAIN_SECONDS } else { 0 };
        self.drain_seconds.unwrap_or(usual)
    }

    pub fn tier(&self, tier: Tier) -> TierLimits {
        match tier {
            Tier::Free => self.tiers.free,
            Tier::Premium => self.tiers.premium,
            Tier::Business => self.tiers.business,
        }
    }

    /// The most memory that one picture takes: a worker's whole memory, and its file in the server.
    pub fn largest_picture_bytes(&self) -> u64 {
        let of_tier = [Tier::Free, Tier::Premium, Tier::Business].map(|tier| self.tier(tier).file_bytes_max);
        let file = of_tier.into_iter().fold(self.upload_bytes_max, u64::max);
        Limits::default().max_memory_bytes.saturating_add(file)
    }

    pub fn decode_bytes_max(&self) -> u64 {
        let quarter = || memory::available().unwrap_or(0) / 4;
        self.decode_bytes_max.unwrap_or_else(|| quarter().max(self.largest_picture_bytes()))
    }

    /// The longest time of a query over events.
    pub fn question_time_max(&self) -> Duration {
        Duration::from_secs(self.question_seconds_max.into())
    }

    /// The retention period of events; `None` keeps them for ever.
    pub fn events_kept(&self) -> Option<Duration> {
        self.events_keep_days.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60))
    }

    pub fn workers(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from)).max(1)
    }
}

/// Networks separated by commas. A plain address is a network of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Networks(Vec<IpNet>);

impl TryFrom<String> for Networks {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parse = |text: &str| {
            let address = text.parse::<IpAddr>().map(IpNet::from).ok();
            let network = address.or_else(|| text.parse::<IpNet>().ok());
            network.ok_or_else(|| format!("{text} is neither an address nor a network such as 10.0.0.0/8"))
        };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(parse).collect::<Result<_, _>>().map(Networks)
    }
}

impl From<Networks> for String {
    fn from(networks: Networks) -> Self {
        networks.0.iter().map(IpNet::to_string).collect::<Vec<_>>().join(",")
    }
}

fn without_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            let _has_a_host = parsed.set_password(Some("********"));
            parsed.to_string()
        }
        Ok(_) => url.to_owned(),
        // Several hosts, for example.
        Err(_) => without_user(url),
    }
}

/// The URL without the user and the password before its host, also if it is not well-formed.
fn without_user(url: &str) -> String {
    let parts = url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1)));
    parts.map_or_else(|| url.to_owned(), |(scheme, place)| format!("{scheme}://********@{place}"))
}

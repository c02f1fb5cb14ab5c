//! Settings: defaults in the binary < `eyeline.toml` < `.env` and `EYELINE_*` < flags.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use eyeline_core::{Tier, Webp};
use eyeline_image::Limits;
use figment::providers::{Format as _, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::memory;
use crate::secrets::Secrets;

const PREFIX: &str = "EYELINE_";

/// Ids that clients give are known for seven days, and guards remember a day.
const EVENTS_KEEP_DAYS_MIN: u32 = 8;

/// Names of the environment that clients and the examples of the documentation use: not settings of the server, which may
/// be started from the same shell.
const NOT_SETTINGS: [&str; 6] = ["url", "key", "project", "application", "gallery", "signing_secret"];

/// Everything that two installations may need different; each name is also `EYELINE_<NAME>`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port to serve on.
    pub listen: SocketAddr,
    /// Scheme and host (and port) where clients reach the server; `http://localhost:<port>` when unset. It has no path.
    pub public_url: Option<String>,
    /// The folder of everything the embedded engines keep.
    pub data: PathBuf,
    /// `eyl_admin_…`; made and shown once when unset.
    pub admin_key: Option<String>,
    /// 32 bytes as 64 hexadecimal digits, two separated by a comma during a rotation; made in the data folder when unset.
    pub secret: Option<String>,
    /// `sqlite:PATH` or `postgres://…`; a file in the data folder when unset.
    pub catalog_url: Option<String>,
    /// `file:PATH`; a folder in the data folder when unset.
    pub objects_url: Option<String>,
    /// `sqlite:PATH`; a file in the data folder when unset.
    pub inbox_url: Option<String>,
    /// `memory:`.
    pub cache_url: String,
    /// Seconds that an upload link lives.
    pub upload_link_seconds: u32,
    /// Seconds after the end of an upload link in which what was sent through it is still looked for.
    pub upload_grace_seconds: u32,
    /// Seconds between two looks for uploads whose end nobody told.
    pub sweep_seconds: u32,
    /// Seconds that events wait in the inbox until they are written to a file; many do not wait so long. 0: as they come.
    pub flush_seconds: u32,
    /// Whole days (of UTC) that events are kept, at least 8; for ever when unset. Counters, what was learnt and the sums by
    /// hour and day stay.
    pub events_keep_days: Option<u32>,
    /// Seconds that a question about events may take, SQL or not; 1 to 30.
    pub question_seconds_max: u32,
    /// Seconds that a signed download link lives, at least.
    pub download_link_seconds: u32,
    /// Bytes of one photo sent with a key.
    pub upload_bytes_max: u64,
    /// What a user of each tier may keep and send, and a project of the lower two.
    pub tiers: Tiers,
    /// Photos processed at once; the number of cores when unset.
    pub workers: Option<usize>,
    /// Bytes of memory that photos may take at the same time while versions of them are made; a quarter of what the
    /// machine or its control group has when unset, and at least what the largest picture takes.
    pub decode_bytes_max: Option<u64>,
    /// Decode photos even where the kernel or the container denies seccomp.
    #[serde(deserialize_with = "figment::util::bool_from_str_or_int")]
    pub allow_unconfined: bool,
    /// Requests of `POST /uploads` that are waited for at the same time; more are refused with 503.
    pub uploads_waiting_max: usize,
    /// Which versions are made as WebP too: `off`, `small` (thumb and big_thumb) or `all`.
    pub webp: Webp,
    /// Addresses and networks of proxies whose `X-Forwarded-For` or `Forwarded` is believed, separated by commas.
    pub trusted_proxies: Networks,
    /// Events a second that an application's public id may send. A body counts as one event for each KiB if that is more.
    pub application_events_per_second: u32,
    /// Events a second that one address may send with a public id; loopback is not limited.
    pub address_events_per_second: u32,
    /// Events of a project that are kept in quarantine; beyond it the oldest are dropped.
    pub quarantined_events_max: u64,
    /// Bytes of a project's events in quarantine, with their reasons; beyond it the oldest are dropped.
    pub quarantined_bytes_max: u64,
    /// New rows of the roll-up by hour that the events of a project may make on one day: one for each hour, application,
    /// category and name that has an event. Further events of that kind are quarantined.
    pub rollup_rows_per_day: u64,
    /// Who reads `/metrics` without the admin key: `nobody`, or `loopback` for addresses of this machine whose requests
    /// no proxy has forwarded.
    pub metrics_open: MetricsOpen,
    /// Accept `POST /api/v1/test/clock`. Never in production.
    #[serde(deserialize_with = "figment::util::bool_from_str_or_int")]
    pub test_clock: bool,
    /// Filter of the log, as in `info,eyeline=debug`.
    pub log: String,
    /// `text` or `json`.
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierLimits {
    /// Bytes of one file.
    pub file_bytes_max: u64,
    /// Images kept.
    pub images_max: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tiers {
    pub free: TierLimits,
    pub premium: TierLimits,
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
            data: PathBuf::from("./data"),
            admin_key: None,
            secret: None,
            catalog_url: None,
            objects_url: None,
            inbox_url: None,
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

/// The bounds of what the events of one project store.
#[derive(Clone, Copy, Debug)]
pub struct EventBounds {
    /// Events in quarantine, and bytes of them; the oldest are dropped.
    pub quarantined_events: u64,
    pub quarantined_bytes: u64,
    /// New rows of the roll-up by hour on one day of arrival; further events that would make one are quarantined.
    pub hour_rows_a_day: u64,
}

impl Settings {
    /// Reads the file (when there is one) and the environment, `.env` included. The error names everything that is
    /// wrong, a line each, and where it is set.
    pub fn load(file: &Path) -> Result<Self, String> {
        // A missing .env is fine; a broken one is not.
        if let Err(error) = dotenvy::dotenv()
            && !error.not_found()
        {
            return Err(format!(".env cannot be read: {error}"));
        }
        let environment = Environment::read(std::env::vars())?;
        Settings::from_sources(&Figment::from(Toml::file(file)).merge(environment))
    }

    /// The defaults with what the sources change.
    fn from_sources(sources: &Figment) -> Result<Self, String> {
        let defaults = || Figment::from(Serialized::defaults(Settings::default()));
        if let Ok(settings) = defaults().merge(sources.clone()).extract::<Settings>() {
            let wrong = settings.validate();
            let public_url = settings.public_url.as_deref().and_then(read_origin);
            return if wrong.is_empty() {
                Ok(Settings { public_url, ..settings })
            } else {
                Err(in_lines(&wrong, sources))
            };
        }
        // Reading ends at the first value that does not fit, so each is read alone, beside the defaults.
        let values: Dict = sources.extract().map_err(|error| format!("the settings cannot be read: {error}"))?;
        let mut wrong = Vec::new();
        let mut fitting = defaults();
        for (name, value) in values {
            let with_it = fitting.clone().merge((&name, value));
            match with_it.extract::<Settings>() {
                Ok(_) => fitting = with_it,
                Err(error) => wrong.extend(error.into_iter().map(|error| (name.clone(), error.kind.to_string()))),
            }
        }
        let fitting = fitting.extract::<Settings>().map(|settings| settings.validate());
        wrong.extend(fitting.into_iter().flatten());
        Err(in_lines(&wrong, sources))
    }

    /// What a project's events may leave behind.
    pub fn event_bounds(&self) -> EventBounds {
        EventBounds {
            quarantined_events: self.quarantined_events_max,
            quarantined_bytes: self.quarantined_bytes_max,
            hour_rows_a_day: self.rollup_rows_per_day,
        }
    }

    /// Everything that is wrong: the setting's name, and a sentence.
    fn validate(&self) -> Vec<(String, String)> {
        let mut wrong = Vec::new();
        let mut check = |is_right: bool, sentence: &str| {
            if !is_right {
                let (name, _) = sentence.split_once(' ').unwrap_or((sentence, ""));
                wrong.push((name.to_owned(), sentence.to_owned()));
            }
        };
        check(self.upload_link_seconds > 0, "upload_link_seconds has to be at least 1");
        check(self.download_link_seconds > 0, "download_link_seconds has to be at least 1");
        check(self.sweep_seconds > 0, "sweep_seconds has to be at least 1");
        check(
            self.events_keep_days.is_none_or(|days| days >= EVENTS_KEEP_DAYS_MIN),
            &format!(
                "events_keep_days has to be at least {EVENTS_KEEP_DAYS_MIN}, since what is sent again is known for seven \
                 days; leave it unset to keep events for ever"
            ),
        );
        check(
            (1..=30).contains(&self.question_seconds_max),
            "question_seconds_max has to be from 1 to 30: files that were replaced stay for as long as a question takes",
        );
        check(self.upload_bytes_max > 0, "upload_bytes_max has to be at least 1");
        check(self.workers != Some(0), "workers has to be at least 1");
        check(
            self.decode_bytes_max.is_none_or(|bytes| bytes >= self.largest_picture_bytes()),
            &format!("decode_bytes_max has to be at least {}, for the largest picture", self.largest_picture_bytes()),
        );
        check(self.uploads_waiting_max > 0, "uploads_waiting_max has to be at least 1");
        check(self.application_events_per_second > 0, "application_events_per_second has to be at least 1");
        check(self.address_events_per_second > 0, "address_events_per_second has to be at least 1");
        check(self.rollup_rows_per_day > 0, "rollup_rows_per_day has to be at least 1");
        let key_is_long = |key: &String| key.starts_with("eyl_admin_") && key.len() >= 26;
        check(
            self.admin_key.as_ref().is_none_or(key_is_long),
            "admin_key has to be eyl_admin_ followed by at least 16 characters",
        );
        let scheme_is = |url: &str, schemes: &[&str]| schemes.iter().any(|scheme| url.starts_with(scheme));
        check(
            scheme_is(&self.catalog_url(), &["sqlite:", "postgres://", "postgresql://"]),
            "catalog_url has to start with sqlite: or postgres://",
        );
        check(scheme_is(&self.objects_url(), &["file:"]), "objects_url has to start with file:");
        check(scheme_is(&self.inbox_url(), &["sqlite:"]), "inbox_url has to start with sqlite:");
        check(scheme_is(&self.cache_url, &["memory:"]), "cache_url has to start with memory:");
        check(
            self.public_url.as_ref().is_none_or(|url| read_origin(url).is_some()),
            "public_url has to be http:// or https:// with a host and optionally a port, such as \
             https://photos.example.com; a path is not possible, since pages, links and cookies stand at the root of \
             their host: give the server a host name or a port of its own",
        );
        if let Some(secret) = &self.secret
            && let Err(sentence) = Secrets::parse(secret)
        {
            wrong.push(("secret".to_owned(), sentence));
        }
        wrong
    }

    /// With every default worked out and every secret masked, for people to read.
    pub fn masked(&self) -> Self {
        let mask = |secret: &String| {
            // The prefix tells what it is, and no more.
            let shown = if secret.starts_with("eyl_admin_") { "eyl_admin_" } else { "" };
            format!("{shown}********")
        };
        Settings {
            public_url: Some(self.public_url()),
            admin_key: self.admin_key.as_ref().map(mask),
            secret: self.secret.as_ref().map(mask),
            catalog_url: Some(without_password(&self.catalog_url())),
            objects_url: Some(self.objects_url()),
            inbox_url: Some(without_password(&self.inbox_url())),
            workers: Some(self.workers()),
            decode_bytes_max: Some(self.decode_bytes_max()),
            ..self.clone()
        }
    }

    pub fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        self.trusted_proxies.0.iter().any(|network| network.contains(&address))
    }

    /// As browsers write an origin: no slash at the end, no port that is the scheme's own.
    pub fn public_url(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://localhost:{}", self.listen.port()))
    }

    /// Where a command on this machine reaches the server, without a slash at the end.
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

    pub fn inbox_url(&self) -> String {
        self.inbox_url.clone().unwrap_or_else(|| format!("sqlite:{}", self.data.join("inbox.sqlite").display()))
    }

    pub fn tier(&self, tier: Tier) -> TierLimits {
        match tier {
            Tier::Free => self.tiers.free,
            Tier::Premium => self.tiers.premium,
            Tier::Business => self.tiers.business,
        }
    }

    /// What one picture takes at the most: the whole memory of a worker, and its file in the server.
    pub fn largest_picture_bytes(&self) -> u64 {
        let of_tier = [Tier::Free, Tier::Premium, Tier::Business].map(|tier| self.tier(tier).file_bytes_max);
        let file = of_tier.into_iter().fold(self.upload_bytes_max, u64::max);
        Limits::default().max_memory_bytes.saturating_add(file)
    }

    pub fn decode_bytes_max(&self) -> u64 {
        let quarter = || memory::available().unwrap_or(0) / 4;
        self.decode_bytes_max.unwrap_or_else(|| quarter().max(self.largest_picture_bytes()))
    }

    /// How long a question about events may take.
    pub fn question_time_max(&self) -> Duration {
        Duration::from_secs(self.question_seconds_max.into())
    }

    /// How long events are kept; `None`: for ever.
    pub fn events_kept(&self) -> Option<Duration> {
        self.events_keep_days.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60))
    }

    pub fn workers(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from)).max(1)
    }
}

/// Networks separated by commas; an address stands for itself.
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

/// `EYELINE_*`, and `EYELINE_*_FILE` for a value that stands in a file.
struct Environment(Dict);

impl Environment {
    const NAME: &str = "the environment";

    fn read(variables: impl Iterator<Item = (String, String)>) -> Result<Self, String> {
        let mut values = Dict::new();
        for (variable, value) in variables {
            let Some(name) = variable.strip_prefix(PREFIX).map(str::to_ascii_lowercase) else { continue };
            let (name, value) = match name.strip_suffix("_file") {
                None => (name, value),
                Some(name) => {
                    let text = std::fs::read_to_string(&value)
                        .map_err(|error| format!("{variable} names {value}, which cannot be read: {error}"))?;
                    (name.to_owned(), text.trim().to_owned())
                }
            };
            if NOT_SETTINGS.contains(&name.as_str()) {
                continue;
            }
            // What looks like a number is one, but never in a secret.
            let is_text = matches!(name.as_str(), "secret" | "admin_key");
            let value = if is_text { value.into() } else { read_value(&value) };
            values.insert(name, value);
        }
        Ok(Environment(values))
    }
}

/// An object as JSON, or any value as figment writes it.
fn read_value(text: &str) -> Value {
    let json = text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten();
    json.unwrap_or_else(|| text.parse().unwrap_or_else(|never| match never {}))
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        let spelt = |_: &Profile, keys: &[&str]| format!("{PREFIX}{}", keys.join("_").to_ascii_uppercase());
        Metadata::named(Environment::NAME).interpolater(spelt)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.0.clone()))
    }
}

/// The origin that an address consists of; `None` if it says more than that.
fn read_origin(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let is_spelt_out = text.starts_with("http://") || text.starts_with("https://");
    let is_bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && !text.chars().any(|letter| letter.is_whitespace() || letter.is_control());
    (is_spelt_out && is_bare).then(|| url.origin().ascii_serialization())
}

/// A line for each mistake, with the source of the value.
fn in_lines(wrong: &[(String, String)], sources: &Figment) -> String {
    let lines = wrong.iter().map(|(name, sentence)| {
        let source = sources.find_metadata(name);
        let place = source.map(|source| source.source.as_ref().map_or(source.name.to_string(), ToString::to_string));
        let is_variable = source.is_some_and(|source| source.name == Environment::NAME);
        let shown = if is_variable { format!("{PREFIX}{}", name.to_ascii_uppercase()) } else { name.clone() };
        let behind_name = sentence.strip_prefix(name.as_str()).or_else(|| sentence.strip_prefix(shown.as_str()));
        let sentence = behind_name.map_or(format!(": {sentence}"), str::to_owned);
        format!("\n  {shown}{sentence}{}", place.map(|place| format!(" (set in {place})")).unwrap_or_default())
    });
    let settings = if wrong.len() == 1 { "a setting is wrong:" } else { "some settings are wrong:" };
    format!("{settings}{}", lines.collect::<String>())
}

fn without_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            let _has_a_host = parsed.set_password(Some("********"));
            parsed.to_string()
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::from_sources(&Figment::from(Environment::read(variables)?))
    }

    #[test]
    fn the_environment_says_what_differs_from_the_defaults() {
        let settings = read(&[("EYELINE_LISTEN", "0.0.0.0:80"), ("EYELINE_TEST_CLOCK", "true"), ("HOME", "/x")]);
        let settings = settings.expect("settings");
        assert_eq!((settings.listen.port(), settings.test_clock, settings.log.as_str()), (80, true, "info"));
    }

    #[test]
    fn the_environment_of_a_client_is_no_setting() {
        for name in NOT_SETTINGS {
            let variable = format!("EYELINE_{}", name.to_ascii_uppercase());
            read(&[(&variable, "x")]).unwrap_or_else(|error| panic!("{variable}: {error}"));
        }
    }

    #[test]
    fn a_switch_is_on_by_1_as_well() {
        for (value, expected) in [("1", true), ("true", true), ("0", false), ("false", false)] {
            assert_eq!(read(&[("EYELINE_TEST_CLOCK", value)]).expect("settings").test_clock, expected, "{value}");
        }
        read(&[("EYELINE_TEST_CLOCK", "2")]).expect_err("neither on nor off");
    }

    #[test]
    fn a_wrong_or_unknown_setting_is_named() {
        for (name, value) in [
            ("EYELINE_LISTEN", "nowhere"),
            ("EYELINE_LISTN", "127.0.0.1:80"),
            ("EYELINE_WORKERS", "x"),
            ("EYELINE_WEBP", "some"),
        ] {
            let error = read(&[(name, value)]).expect_err(name);
            assert!(error.to_ascii_uppercase().contains(&name[PREFIX.len()..]), "{error}");
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let error =
            read(&[("EYELINE_CATALOG_URL", "mysql://x"), ("EYELINE_ADMIN_KEY", "short"), ("EYELINE_SECRET", "12")]);
        let error = error.expect_err("three wrong settings");
        for name in ["EYELINE_CATALOG_URL has", "EYELINE_ADMIN_KEY has", "EYELINE_SECRET has"] {
            assert!(error.contains(name), "{name} in {error}");
        }
    }

    #[test]
    fn each_wrong_setting_is_told_with_its_source() {
        let file = Toml::string("listen = \"nowhere\"\ncolour = 1\nsweep_seconds = 0\nworkers = 3");
        let variables = [("EYELINE_WORKERS", "many"), ("EYELINE_CACHE_URL", "redis://x"), ("EYELINE_WEBP", "small")];
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let sources = Figment::from(file).merge(Environment::read(variables).expect("an environment"));
        let error = Settings::from_sources(&sources).expect_err("five wrong settings");
        let lines: Vec<&str> = error.lines().skip(1).collect();
        assert_eq!(lines.len(), 5, "{error}");
        for (name, source) in [
            ("listen", "TOML"),
            ("colour", "TOML"),
            ("sweep_seconds", "TOML"),
            ("EYELINE_WORKERS", "the environment"),
            ("EYELINE_CACHE_URL", "the environment"),
        ] {
            assert!(lines.iter().any(|line| line.contains(name) && line.contains(source)), "{name} in {error}");
        }
    }

    #[test]
    fn a_secret_may_stand_in_a_file_and_look_like_a_number() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let digits = "1".repeat(64);
        std::fs::write(file.path(), format!("{digits}\n")).expect("a secret");
        let settings = read(&[("EYELINE_SECRET_FILE", file.path().to_str().expect("a path"))]).expect("settings");
        assert_eq!(settings.secret, Some(digits));
        assert!(read(&[("EYELINE_SECRET_FILE", "/nowhere")]).expect_err("no file").contains("EYELINE_SECRET_FILE"));
    }

    #[test]
    fn what_may_be_decoded_at_once_has_room_for_the_largest_picture() {
        let settings = Settings::default();
        assert!(settings.decode_bytes_max() >= settings.largest_picture_bytes());
        assert!(settings.largest_picture_bytes() > 1 << 30);
        let error = read(&[("EYELINE_DECODE_BYTES_MAX", "1000000")]).expect_err("too little");
        assert!(error.contains("EYELINE_DECODE_BYTES_MAX") && error.contains("largest picture"), "{error}");
        let settings = read(&[("EYELINE_DECODE_BYTES_MAX", "2000000000")]).expect("settings");
        assert_eq!(settings.decode_bytes_max(), 2_000_000_000);
    }

    #[test]
    fn events_are_kept_for_ever_or_for_longer_than_what_is_sent_again_is_known() {
        assert_eq!(Settings::default().events_kept(), None);
        let error = read(&[("EYELINE_EVENTS_KEEP_DAYS", "7")]).expect_err("too few");
        assert!(error.contains("EYELINE_EVENTS_KEEP_DAYS") && error.contains("at least 8"), "{error}");
        for wrong in ["soon", "-1", "8.5"] {
            read(&[("EYELINE_EVENTS_KEEP_DAYS", wrong)]).expect_err(wrong);
        }
        let settings = read(&[("EYELINE_EVENTS_KEEP_DAYS", "8")]).expect("settings");
        assert_eq!(settings.events_kept(), Some(Duration::from_secs(8 * 86_400)));
    }

    #[test]
    fn no_secret_is_shown() {
        let settings = read(&[
            ("EYELINE_ADMIN_KEY", "eyl_admin_0123456789abcdef"),
            ("EYELINE_SECRET", &"ab".repeat(32)),
            ("EYELINE_CATALOG_URL", "postgres://me:hush@db.example/eyeline"),
        ]);
        let shown = serde_json::to_string(&settings.expect("settings").masked()).expect("JSON");
        for secret in ["0123456789abcdef", "abab", "hush"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("postgres://me:********@db.example/eyeline"), "{shown}");
    }

    #[test]
    fn the_public_address_is_an_origin_and_nothing_more() {
        for (given, shown) in [
            ("https://photos.example.com", "https://photos.example.com"),
            ("https://Photos.example.com:443/", "https://photos.example.com"),
            ("http://192.0.2.1:8009", "http://192.0.2.1:8009"),
            ("http://[2001:db8::1]:8009/", "http://[2001:db8::1]:8009"),
        ] {
            assert_eq!(read(&[("EYELINE_PUBLIC_URL", given)]).expect(given).public_url(), shown);
        }
        for wrong in [
            "https://",
            "https:///",
            "https://host/photos",
            "https://host/photos/",
            "https://host//",
            "https://host?",
            "https://host/?a=b",
            "https://host#",
            "https://host/#top",
            "https://me@host",
            "https://me:secret@host",
            "https://:@host:x",
            "https://host:99999",
            "https://ho st",
            "https:host",
            "https:\\\\host",
            "ftp://host",
            "host.example",
            "",
        ] {
            let error = read(&[("EYELINE_PUBLIC_URL", wrong)]).expect_err(wrong);
            assert!(error.contains("EYELINE_PUBLIC_URL") && error.contains("host name"), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_limits_of_tiers_are_given_as_json_or_as_figment_writes_them() {
        for text in [
            r#"{"free": {"images_max": 7}, "business": {"file_bytes_max": 9000000000, "images_max": 1}}"#,
            "{free={images_max=7},business={file_bytes_max=9000000000,images_max=1}}",
        ] {
            let tiers = read(&[("EYELINE_TIERS", text)]).expect(text).tiers;
            assert_eq!((tiers.free.images_max, tiers.free.file_bytes_max), (7, Tiers::default().free.file_bytes_max));
            assert_eq!((tiers.business.images_max, tiers.business.file_bytes_max), (1, 9_000_000_000));
            assert_eq!(tiers.premium, Tiers::default().premium);
        }
        for wrong in [r#"{"gold": {"images_max": 7}}"#, r#"{"free": {"images_max": "x"}}"#, r#"{"free": 7"#, "free"] {
            let error = read(&[("EYELINE_TIERS", wrong)]).expect_err(wrong);
            assert!(error.to_ascii_uppercase().contains("TIERS"), "{error}");
        }
    }

    #[test]
    fn proxies_are_addresses_and_networks() {
        let settings = read(&[("EYELINE_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1")]).expect("settings");
        let trusts = |text: &str| settings.is_trusted_proxy(text.parse().expect("an address"));
        assert!(trusts("10.1.2.3") && trusts("192.0.2.1") && !trusts("192.0.2.2"));
        assert!(read(&[("EYELINE_TRUSTED_PROXIES", "everyone")]).is_err());
    }
}

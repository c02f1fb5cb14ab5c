//! Settings: defaults in the binary < `eyeline.toml` < `.env` and `EYELINE_*` < flags.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use eyeline_core::Tier;
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

/// Everything that two installations may need different; each name is also `EYELINE_<NAME>`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port to serve on.
    pub listen: SocketAddr,
    /// Where clients reach the server; `http://localhost:<port>` when unset.
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
    /// Seconds that a signed download link lives, at least.
    pub download_link_seconds: u32,
    /// Bytes of one photo sent with a key.
    pub upload_bytes_max: u64,
    /// What a user of each tier may keep and send, and a project of the lower two.
    pub tiers: Tiers,
    /// Photos processed at once; the number of cores when unset.
    pub workers: Option<usize>,
    /// Accept `POST /api/v1/test/clock`. Never in production.
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
            download_link_seconds: 15 * 60,
            upload_bytes_max: 50 * 1024 * 1024,
            tiers: Tiers::default(),
            workers: None,
            test_clock: false,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

impl Settings {
    /// Reads the file (when there is one) and the environment, `.env` included. The error is one sentence for the user.
    pub fn load(file: &Path) -> Result<Self, String> {
        // A missing .env is fine; a broken one is not.
        if let Err(error) = dotenvy::dotenv()
            && !error.not_found()
        {
            return Err(format!(".env cannot be read: {error}"));
        }
        let figment = Figment::from(Serialized::defaults(Settings::default()))
            .merge(Toml::file(file))
            .merge(Env::prefixed("EYELINE_").ignore(&["url"]));
        let settings: Settings = figment.extract().map_err(|error| format!("a setting is wrong: {error}"))?;
        settings.validate()?;
        Ok(settings)
    }

    fn validate(&self) -> Result<(), String> {
        if self.upload_link_seconds == 0 || self.download_link_seconds == 0 || self.sweep_seconds == 0 {
            return Err("upload_link_seconds, download_link_seconds and sweep_seconds have to be at least 1".to_owned());
        }
        if self.admin_key.as_ref().is_some_and(|key| !key.starts_with("eyl_admin_") || key.len() < 26) {
            return Err("admin_key has to be eyl_admin_ followed by at least 16 characters".to_owned());
        }
        Ok(())
    }

    /// Without a slash at the end.
    pub fn public_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://localhost:{}", self.listen.port()),
        }
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

    pub fn workers(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from)).max(1)
    }
}

//! Reads the settings from their sources, and names the source of each mistake.

use std::path::Path;

use figment::providers::{Format as _, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize as _, Deserializer};

use super::validate::read_origin;
use super::{Roles, Settings};

pub(super) const PREFIX: &str = "EYELINE_";

/// Settings that other clients of S3 stores read from the environment under the same names.
const OF_STORE: [&str; 5] =
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL"];

/// Environment variables of clients and documentation examples. They are not settings of the server, which may be
/// started from the same shell.
pub(super) const NOT_SETTINGS: [&str; 6] = ["url", "key", "project", "application", "gallery", "signing_secret"];

/// Reads a struct whose fields are named. What serde derives takes a list of their values as well, even an empty one.
pub(super) fn by_name<'de, D: Deserializer<'de>, T: DeserializeOwned>(source: D) -> Result<T, D::Error> {
    let fields = serde_json::Map::deserialize(source)?;
    T::deserialize(serde_json::Value::Object(fields)).map_err(D::Error::custom)
}

impl Settings {
    /// Reads the file, if it exists, the environment, `.env` included, and `flags`, which win. The error lists every
    /// mistake on its own line, with the source of its value.
    pub fn load(file: &Path, flags: Flags) -> Result<Self, String> {
        // A missing .env is fine; an unreadable one is an error.
        if let Err(error) = dotenvy::dotenv()
            && !error.not_found()
        {
            return Err(format!(".env cannot be read: {error}"));
        }
        let environment = Environment::read(std::env::vars())?;
        Settings::from_sources(&Figment::from(Toml::file(file)).merge(environment).merge(flags))
    }

    /// The defaults, changed by the sources.
    pub(super) fn from_sources(sources: &Figment) -> Result<Self, String> {
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
        // Reading stops at the first invalid value, so each value is read alone with the defaults.
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
}

/// Settings that stand on the command line.
#[derive(Default)]
pub struct Flags {
    /// `--roles`
    pub roles: Option<Roles>,
}

impl Provider for Flags {
    fn metadata(&self) -> Metadata {
        Metadata::named("the command line")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let roles = self.roles.iter().map(|roles| ("roles".to_owned(), roles.to_string().into()));
        Ok(Profile::Default.collect(roles.collect()))
    }
}

/// `EYELINE_*`, and `EYELINE_*_FILE` for a value in a file.
pub(super) struct Environment(Dict);

impl Environment {
    const NAME: &str = "the environment";

    pub(super) fn read(variables: impl Iterator<Item = (String, String)>) -> Result<Self, String> {
        let mut values = Dict::new();
        for (variable, value) in variables {
            // Tools set variables that they share to nothing where they mean none.
            let of_store = || (is_of_store(&variable) && !value.is_empty()).then_some(variable.as_str());
            let own = variable.strip_prefix(PREFIX).or_else(of_store);
            let Some(name) = own.map(str::to_ascii_lowercase) else { continue };
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
            // A value that looks like a number is one, except in secrets.
            let is_text = matches!(name.as_str(), "secret" | "admin_key") || name.starts_with("aws_");
            let value = if is_text { value.into() } else { read_value(&value) };
            values.insert(name, value);
        }
        Ok(Environment(values))
    }
}

/// Variables that every client of S3 stores reads, with or without `_FILE`.
fn is_of_store(variable: &str) -> bool {
    OF_STORE.contains(&variable.strip_suffix("_FILE").unwrap_or(variable))
}

/// The environment variable of a setting.
fn variable(name: &str) -> String {
    let name = name.to_ascii_uppercase();
    if OF_STORE.contains(&name.as_str()) { name } else { format!("{PREFIX}{name}") }
}

/// An object as JSON, or any value as figment writes it.
fn read_value(text: &str) -> Value {
    let json = text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten();
    json.unwrap_or_else(|| text.parse().unwrap_or_else(|never| match never {}))
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        let spelt = |_: &Profile, keys: &[&str]| variable(&keys.join("_"));
        Metadata::named(Environment::NAME).interpolater(spelt)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.0.clone()))
    }
}

/// One line for each mistake, with the source of the value.
fn in_lines(wrong: &[(String, String)], sources: &Figment) -> String {
    let lines = wrong.iter().map(|(name, sentence)| {
        let source = sources.find_metadata(name);
        let place = source.map(|source| source.source.as_ref().map_or(source.name.to_string(), ToString::to_string));
        let is_variable = source.is_some_and(|source| source.name == Environment::NAME);
        let shown = if is_variable { variable(name) } else { name.clone() };
        let behind_name = sentence.strip_prefix(name.as_str()).or_else(|| sentence.strip_prefix(shown.as_str()));
        let sentence = behind_name.map_or(format!(": {sentence}"), str::to_owned);
        format!("\n  {shown}{sentence}{}", place.map(|place| format!(" (set in {place})")).unwrap_or_default())
    });
    let settings = if wrong.len() == 1 { "a setting is wrong:" } else { "some settings are wrong:" };
    format!("{settings}{}", lines.collect::<String>())
}

//! `eyeline config`.

use clap::Subcommand;
use serde_json::Value;

use super::say;
use crate::settings::Settings;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Check the settings, and report each mistake
    Check,
    /// Print every setting with its value in force; secrets are masked
    Show {
        /// Print them as JSON, for scripts
        #[arg(long)]
        json: bool,
    },
}

/// The settings were checked when they were read.
pub(super) fn run(settings: &Settings, command: &Command) -> Result<(), String> {
    match command {
        Command::Check => say("The settings are valid."),
        Command::Show { json } => {
            let shown = serde_json::to_value(settings.masked()).map_err(|error| error.to_string())?;
            if *json {
                say(&shown.to_string());
            } else {
                shown.as_object().into_iter().flatten().for_each(|(name, value)| say(&line(name, value)));
            }
        }
    }
    Ok(())
}

fn line(name: &str, value: &Value) -> String {
    let value = match value {
        Value::Null => "(unset)".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!("EYELINE_{}={value}", name.to_ascii_uppercase())
}

//! `eyeline keys`.

use clap::Subcommand;
use eyeline_core::{ApplicationId, ProjectId};
use http::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::say;
use crate::settings::Settings;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make an application with its keys; they are shown this once
    #[command(after_help = "Example:\n  eyeline keys create --project 0198… --name shop --origin https://shop.example")]
    Create {
        /// The project it belongs to
        #[arg(long, value_name = "ID")]
        project: ProjectId,
        /// What to call it
        #[arg(long)]
        name: String,
        /// An origin that browsers may use its public id from; may be given more than once
        #[arg(long = "origin", value_name = "ORIGIN")]
        origins: Vec<String>,
        /// Print the server's answer, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Make a new secret key; the older ones go on working for a while
    #[command(after_help = "Example:\n  eyeline keys rotate 0198… --overlap 3600")]
    Rotate {
        #[arg(value_name = "APPLICATION_ID")]
        application: ApplicationId,
        /// Seconds that the older keys go on working; 0 ends them at once [default: a day]
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u64>,
        /// Print the server's answer, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Revoke an application: its keys and tokens end at once
    Revoke {
        #[arg(value_name = "APPLICATION_ID")]
        application: ApplicationId,
    },
}

pub(super) async fn run(settings: &Settings, command: Command) -> Result<(), String> {
    let client = Client::new(settings)?;
    match command {
        Command::Create { project, name, origins, json } => {
            let body = json!({"project_id": project, "name": name, "allowed_origins": origins});
            let made = client.send(Method::POST, "/applications", Some(&body)).await?;
            show(&made, json);
        }
        Command::Rotate { application, overlap, json } => {
            let body = json!({"overlap_seconds": overlap});
            let made = client.send(Method::POST, &format!("/applications/{application}/rotate"), Some(&body)).await?;
            show(&made, json);
        }
        Command::Revoke { application } => {
            client.send(Method::DELETE, &format!("/applications/{application}"), None).await?;
            say(&format!("Revoked {application}."));
        }
    }
    Ok(())
}

fn show(made: &Value, json: bool) {
    if json {
        say(&made.to_string());
        return;
    }
    let lines = [
        ("application_id", "public: sends events, reads public galleries"),
        ("secret_key", "for your servers; shown this once"),
        ("signing_secret", "signs your users' tokens; shown this once"),
        ("older_keys_until", "until then the older keys work too"),
    ];
    for (field, about) in lines {
        if let Some(value) = made[field].as_str() {
            say(&format!("{field:<17}{value}   ({about})"));
        }
    }
}

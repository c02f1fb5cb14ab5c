//! `eyeline keys`.

use clap::Subcommand;
use eyeline_core::ApplicationId;
use http::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::names::{PROJECTS, applications_of};
use super::say;
use crate::settings::Settings;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create an application and print its keys, which are shown only once
    #[command(after_help = "Example:\n  eyeline keys create --project Shop --name web --origin https://shop.example")]
    Create {
        /// Name or id of its project
        #[arg(long, value_name = "NAME|ID")]
        project: String,
        /// Its name
        #[arg(long)]
        name: String,
        /// An origin whose pages may use its public id; may be given more than once
        #[arg(long = "origin", value_name = "ORIGIN")]
        origins: Vec<String>,
        /// Print the server's answer, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Create a new secret key; the older ones keep working for a while
    #[command(after_help = "Example:\n  eyeline keys rotate web --project Shop --overlap 3600")]
    Rotate {
        /// Name or id of the application
        #[arg(value_name = "NAME|ID")]
        application: String,
        /// Name or id of its project; needed with a name
        #[arg(long, value_name = "NAME|ID")]
        project: Option<String>,
        /// Seconds for which the older keys keep working; 0 ends them immediately [default: a day]
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u64>,
        /// Print the server's answer, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Revoke an application: its keys and tokens end immediately
    Revoke {
        /// Name or id of the application
        #[arg(value_name = "NAME|ID")]
        application: String,
        /// Name or id of its project; needed with a name
        #[arg(long, value_name = "NAME|ID")]
        project: Option<String>,
    },
}

pub(super) async fn run(settings: &Settings, command: Command) -> Result<(), String> {
    let client = Client::new(settings)?;
    match command {
        Command::Create { project, name, origins, json } => {
            let project = PROJECTS.get(&client, &project).await?;
            let body = json!({"project_id": project, "name": name, "allowed_origins": origins});
            let made = client.send(Method::POST, "/applications", Some(&body)).await?;
            show(&made, json);
        }
        Command::Rotate { application, project, overlap, json } => {
            let application = find(&client, application, project).await?;
            let body = json!({"overlap_seconds": overlap});
            let made = client.send(Method::POST, &format!("/applications/{application}/rotate"), Some(&body)).await?;
            show(&made, json);
        }
        Command::Revoke { application, project } => {
            let application = find(&client, application, project).await?;
            client.send(Method::DELETE, &format!("/applications/{application}"), None).await?;
            say(&format!("Revoked {application}."));
        }
    }
    Ok(())
}

/// The id of an application given by its id, or by its name and project.
async fn find(client: &Client, application: String, project: Option<String>) -> Result<String, String> {
    match project {
        Some(project) => applications_of(&PROJECTS.get(client, &project).await?).get(client, &application).await,
        None if application.parse::<ApplicationId>().is_ok() => Ok(application),
        None => Err(format!("{application} is not an id: add --project with the name or id of its project")),
    }
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

//! `eyeline import`: a folder of photos, or a client's catalogue, into a gallery of a running server.

mod catalogue;
pub(super) mod photos;
mod refused;

use std::collections::HashMap;
use std::path::PathBuf;

use super::client::Client;
use super::names::{Kind, PROJECTS, galleries_of, text};
use super::say;
use crate::settings::Settings;

/// Printed lines of a kind. All lines are counted.
const LISTED_MAX: usize = 20;

#[derive(clap::Args)]
#[command(after_help = "\
An import may be repeated, also after an interruption, and doubles nothing: a photo is known by its SHA-256 within the
project, and a catalogue's row by its external_id within the gallery. Photos that the server could not read are not sent
again; --retry-refused sends them, for example after an update of the server.

Examples:
  eyeline import photos/ --project shop --gallery shoes
  eyeline import catalogue.csv --project shop --gallery shoes
  eyeline import products_export.csv.gz --project shop --gallery shoes --map shopify --replace")]
pub(super) struct Arguments {
    /// A folder of photos (those in folders below it too), or a catalogue: FILE.csv, .tsv, .txt, .ndjson or .json, also
    /// packed as .gz or .zst
    source: PathBuf,
    /// Name or id of the project; created if no project has this name
    #[arg(long, value_name = "NAME|ID")]
    project: String,
    /// Name or id of the gallery; created if no gallery of the project has this name
    #[arg(long, value_name = "NAME|ID")]
    gallery: String,
    /// Send photos again that the server could not read in an earlier import
    #[arg(long)]
    retry_refused: bool,
    #[command(flatten)]
    feed: catalogue::Feed,
}

/// The gallery that receives an import.
pub(super) struct Target {
    pub client: Client,
    pub project_id: String,
    pub gallery_id: String,
}

pub(super) async fn run(settings: &Settings, arguments: Arguments) -> Result<(), String> {
    let Arguments { source, project, gallery, retry_refused, feed } = arguments;
    let about = std::fs::metadata(&source).map_err(|error| format!("{} cannot be read: {error}", source.display()))?;
    // Nothing is created before the source is read, so that a wrong path leaves no empty project.
    let source = if about.is_dir() {
        Source::Photos(photos::find(&source)?)
    } else {
        Source::Catalogue(catalogue::open(&source, &feed).await?)
    };
    let client = Client::new(settings)?;
    let project_id = find_or_create(&client, &PROJECTS, &project).await?;
    let gallery_id = find_or_create(&client, &galleries_of(&project_id), &gallery).await?;
    let target = Target { client, project_id, gallery_id };
    match source {
        Source::Photos(found) => {
            let refused = if retry_refused { HashMap::new() } else { refused::known(&target).await? };
            photos::import(&target, found, &refused).await
        }
        Source::Catalogue(file) => catalogue::import(&target, file).await,
    }
}

/// The source of an import, read far enough to know that it holds something.
enum Source {
    Photos(photos::Found),
    Catalogue(catalogue::File),
}

async fn find_or_create(client: &Client, kind: &Kind<'_>, name: &str) -> Result<String, String> {
    if let Some(id) = kind.find(client, name).await? {
        return Ok(id);
    }
    let id = kind.create(client, name).await?;
    say(&format!("Created {name} ({id})."));
    Ok(id)
}

/// Prints the first of `lines`, and the number of those not printed.
fn list(lines: &[String], count: u64) {
    for line in lines.iter().take(LISTED_MAX) {
        say(&format!("  {line}"));
    }
    let told = lines.len().min(LISTED_MAX) as u64;
    if count > told {
        say(&format!("  and {} more", count - told));
    }
}

/// Prints the failures, and returns an error if there are any.
fn conclude(trouble: &[String], count: u64, what: &str) -> Result<(), String> {
    list(trouble, count);
    if count == 0 { Ok(()) } else { Err(format!("{count} {what} could not be imported")) }
}

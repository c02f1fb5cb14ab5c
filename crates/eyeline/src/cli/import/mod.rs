//! `eyeline import`: a folder of photos, or a client's catalogue, into a gallery of a running server.

mod catalogue;
mod photos;

use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::client::Client;
use super::say;
use crate::settings::Settings;

/// Lines of trouble that are told one by one; all of them are counted.
const TROUBLE_LISTED_MAX: usize = 20;

#[derive(clap::Args)]
#[command(after_help = "\
A photo is known by its SHA-256 within the project and a catalogue's row by its external_id within the gallery: an import
may be repeated, after an interruption too, and doubles nothing.

Examples:
  eyeline import photos/ --project shop --gallery shoes
  eyeline import catalogue.csv --project shop --gallery shoes
  eyeline import products_export.csv.gz --project shop --gallery shoes --map shopify --replace")]
pub(super) struct Arguments {
    /// A folder of photos (those in folders below it too), or a catalogue: FILE.csv, .tsv, .txt, .ndjson or .json, also
    /// packed as .gz or .zst
    source: PathBuf,
    /// Name or id of the project; made if there is none of this name
    #[arg(long, value_name = "NAME|ID")]
    project: String,
    /// Name or id of the gallery; made if the project has none of this name
    #[arg(long, value_name = "NAME|ID")]
    gallery: String,
    #[command(flatten)]
    feed: catalogue::Feed,
}

/// The gallery that an import goes to.
struct Target {
    client: Client,
    project_id: String,
    gallery_id: String,
}

pub(super) async fn run(settings: &Settings, arguments: Arguments) -> Result<(), String> {
    let source = arguments.source;
    let about = std::fs::metadata(&source).map_err(|error| format!("{} cannot be read: {error}", source.display()))?;
    let client = Client::new(settings)?;
    let project = Thing { list: "/projects", rows: "projects", id: "project_id", owner: None };
    let project_id = project.find_or_make(&client, &arguments.project).await?;
    let owner = Some(("project_id", project_id.as_str()));
    let gallery = Thing { list: "/galleries", rows: "galleries", id: "gallery_id", owner };
    let gallery_id = gallery.find_or_make(&client, &arguments.gallery).await?;
    let target = Target { client, project_id, gallery_id };
    if about.is_dir() {
        photos::import(&target, &source).await
    } else {
        catalogue::import(&target, &source, arguments.feed).await
    }
}

/// A kind of thing with a name, as the API lists and makes it.
struct Thing<'a> {
    list: &'a str,
    rows: &'a str,
    id: &'a str,
    /// What it belongs to: a field and an id.
    owner: Option<(&'a str, &'a str)>,
}

impl Thing<'_> {
    async fn find_or_make(&self, client: &Client, name: &str) -> Result<String, String> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let owner = self.owner.map(|(field, id)| format!("&{field}={id}")).unwrap_or_default();
            let page = client.send(Method::GET, &format!("{}?limit=100{owner}{cursor}", self.list), None).await?;
            for row in page[self.rows].as_array().into_iter().flatten() {
                let id = text(&row[self.id]);
                if id == name {
                    return Ok(id);
                }
                found.extend((row["name"] == name).then_some(id));
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        match found.as_slice() {
            [] => {}
            [only] => return Ok(only.clone()),
            [..] => return Err(format!("{} {} are called {name}: name one by its id", found.len(), self.rows)),
        }
        let mut body = json!({"name": name});
        if let Some((field, id)) = self.owner {
            body[field] = json!(id);
        }
        let made = client.send(Method::POST, self.list, Some(&body)).await?;
        say(&format!("Made {name} ({}).", text(&made[self.id])));
        Ok(text(&made[self.id]))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A bar for an amount of bytes; drawn on a terminal alone.
fn bytes_bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let style = ProgressStyle::with_template("{msg:12} {wide_bar} {bytes}/{total_bytes} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Tells what went wrong, and ends the command with an error if anything did.
fn conclude(trouble: &[String], count: u64, what: &str) -> Result<(), String> {
    for line in trouble.iter().take(TROUBLE_LISTED_MAX) {
        say(&format!("  {line}"));
    }
    let told = trouble.len().min(TROUBLE_LISTED_MAX) as u64;
    if count > told {
        say(&format!("  and {} more", count - told));
    }
    if count == 0 { Ok(()) } else { Err(format!("{count} {what} could not be imported")) }
}

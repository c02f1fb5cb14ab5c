//! `eyeline demo`: a gallery of generated pictures, and simulated visitors from which it learns.

mod pictures;
mod visitors;

use std::collections::HashMap;

use http::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::import::{Target, photos};
use super::names::{PROJECTS, applications_of, galleries_of, text};
use super::say;
use crate::settings::Settings;

const PROJECT: &str = "Eyeline demo";
const GALLERY: &str = "Landscapes";
/// Pictures of the gallery. They fill five pages, so that most of the best ones start out of sight.
const PICTURES: usize = 100;

#[derive(clap::Args)]
#[command(after_help = "\
Creates the project \"Eyeline demo\" with 100 landscapes, and opens it to simulated visitors. The first 100 visits see the
newest pictures first; then the gallery orders itself by the strategy `interest`. The command prints the clicks of a visit
before and after. The visitors like some pictures more than others, which only their clicks show. Everything else is real:
uploads, versions, events, orders. An earlier demo is deleted first.

Examples:
  eyeline demo                 watch the printed link in a browser meanwhile
  eyeline demo --delete        delete the demo's project with all that belongs to it")]
pub(super) struct Arguments {
    /// Delete the demo instead of playing it
    #[arg(long)]
    delete: bool,
    /// Visits to play
    #[arg(long, default_value_t = 800, value_parser = clap::value_parser!(u32).range(200..=100_000))]
    visits: u32,
    /// Seed of the visitors' taste
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(super) async fn run(settings: &Settings, arguments: &Arguments) -> Result<(), String> {
    let client = Client::new(settings)?;
    let earlier = PROJECTS.all(&client, PROJECT).await?;
    for project_id in &earlier {
        client.send(Method::DELETE, &format!("/projects/{project_id}"), None).await?;
    }
    if arguments.delete {
        say(if earlier.is_empty() { "There is no demo." } else { "Deleted the demo." });
        return Ok(());
    }
    let crowd = visitors::crowd(arguments.visits as usize, arguments.seed, PICTURES);
    let project_id = PROJECTS.create(&client, PROJECT).await?;
    let gallery_id = galleries_of(&project_id).create(&client, GALLERY).await?;
    let newest = json!({"ranking": {"strategy": "newest"}});
    client.send(Method::PATCH, &format!("/galleries/{gallery_id}"), Some(&newest)).await?;
    let link = client.send(Method::POST, "/session/links", None).await?;
    say(&format!("Watch it: {}&p={project_id}&g={gallery_id}", text(&link["url"])));

    let folder = tempfile::tempdir().map_err(|error| format!("a temporary folder cannot be created: {error}"))?;
    pictures::write(folder.path(), &crowd.warmths())?;
    let target = Target { client, project_id, gallery_id };
    photos::import(&target, photos::find(folder.path())?, &HashMap::new()).await?;
    let numbers = numbers(&target).await?;
    // Visitors need a published order.
    target.client.send(Method::POST, &format!("/galleries/{}/refresh", target.gallery_id), None).await?;
    let application = json!({"project_id": target.project_id, "name": "Demo visitors"});
    let application =
        target.client.send(Method::POST, applications_of(&target.project_id).list, Some(&application)).await?;
    let visitors = target.client.with_key(text(&application["secret_key"]));
    visitors::play(crowd, &visitors, &target.gallery_id, &numbers).await?;
    say("Delete it with: eyeline demo --delete");
    Ok(())
}

/// The image ids of the pictures, by their numbers.
async fn numbers(target: &Target) -> Result<Vec<String>, String> {
    let path = format!("/projects/{}/images?limit=100", target.project_id);
    let images = target.client.send(Method::GET, &path, None).await?;
    let mut numbers = vec![String::new(); PICTURES];
    for image in images["images"].as_array().into_iter().flatten() {
        let number = image["filename"].as_str().and_then(pictures::number);
        if let Some(id) = number.and_then(|number| numbers.get_mut(number)) {
            *id = image["image_id"].as_str().map(str::to_owned).unwrap_or_default();
        }
    }
    let missing = |image: &Value| image["state"] != "done";
    match images["images"].as_array().map_or(PICTURES, |images| images.iter().filter(|image| missing(image)).count()) {
        0 => Ok(numbers),
        count => Err(format!("{count} of the demo's pictures are not done: look at the server's log")),
    }
}

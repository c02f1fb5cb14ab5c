//! `eyeline link`.

use http::Method;

use super::client::Client;
use super::names::text;
use super::say;
use crate::settings::Settings;

/// Prints a new sign-in link of the running server.
pub(super) async fn run(settings: &Settings) -> Result<(), String> {
    let link = Client::new(settings)?.send(Method::POST, "/session/links", None).await?;
    say(&format!("{}\nIt signs one browser in, once, until {}.", text(&link["url"]), text(&link["expires_at"])));
    Ok(())
}

//! `eyeline migrate`.

use eyeline_store::Catalog;

use super::say;
use crate::data_folder::DataFolder;
use crate::settings::Settings;

/// Fails while a server runs on the data folder.
pub(super) async fn run(settings: &Settings) -> Result<(), String> {
    let folder = DataFolder::open(&settings.data)?;
    let _held_until_the_end = folder.lock()?;
    let catalog = Catalog::open(&settings.catalog_url()).await.map_err(|error| format!("the catalog: {error}"))?;
    let migrated = catalog.migrate().await.map_err(|error| format!("the catalog: {error}"))?;
    if migrated.applied.is_empty() {
        say(&format!("The catalog is at version {} already.", migrated.version));
    } else {
        say(&format!("The catalog is at version {} now; applied: {}.", migrated.version, migrated.applied.join(", ")));
    }
    Ok(())
}

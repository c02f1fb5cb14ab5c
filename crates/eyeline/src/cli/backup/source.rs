//! The installation that is backed up.

use std::fs;
use std::path::PathBuf;

use eyeline_store::backup::EngineFiles;
use eyeline_store::{Catalog, Error, Objects, Scheme};

use crate::data_folder::{LOCK, SECRETS};
use crate::settings::Settings;

/// Files in a data folder that belong to no backup.
const NOT_KEPT: [&str; 1] = [LOCK];

pub(super) struct Source {
    /// The files in use by the server.
    pub files: EngineFiles,
    pub objects: Objects,
    /// The catalog in use by the server.
    pub catalog: Catalog,
    data: PathBuf,
}

/// A file directly in the data folder.
pub(super) struct DataFile {
    pub path: PathBuf,
    pub name: String,
    pub is_secret: bool,
}

impl Source {
    /// The error is one sentence for the operator.
    pub async fn open(settings: &Settings) -> Result<Self, String> {
        check_embedded(settings)?;
        let (catalog_url, inbox_url) = (settings.catalog_url(), settings.inbox_url());
        let files = EngineFiles::of(&catalog_url, &inbox_url).map_err(|error| error.to_string())?;
        let catalog = Catalog::open_to_read(&catalog_url).await.map_err(|error| match error {
            Error::NotFound(_) => {
                format!("there is no catalog at {} yet: EYELINE_DATA names the data folder", files.catalog.display())
            }
            error => format!("the catalog: {error}"),
        })?;
        let objects = Objects::attach(&settings.objects()).await.map_err(|error| format!("the objects: {error}"))?;
        let objects = objects.ok_or_else(|| format!("there are no objects at {} yet", settings.objects_url()))?;
        Ok(Source { files, objects, catalog, data: settings.data.clone() })
    }

    /// The files directly in the data folder that are not those of an engine: secrets, the node's name, and what an
    /// operator keeps there.
    pub fn data_files(&self) -> Result<Vec<DataFile>, String> {
        let unreadable = |error| format!("the data folder {} cannot be read: {error}", self.data.display());
        let engines = [&self.files.catalog, &self.files.inbox].map(|path| path.file_name().unwrap_or_default());
        let engines = engines.map(|name| name.to_string_lossy().into_owned());
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.data).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_of_engine = engines.iter().any(|engine| {
                let end = name.strip_prefix(engine.as_str());
                end.is_some_and(|end| matches!(end, "" | "-wal" | "-shm" | "-journal"))
            });
            let is_kept = !is_of_engine && !NOT_KEPT.contains(&name.as_str()) && !name.ends_with(".new");
            if is_kept && entry.file_type().map_err(unreadable)?.is_file() {
                let is_secret = SECRETS.contains(&name.as_str());
                found.push(DataFile { path: entry.path(), name, is_secret });
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }
}

/// A sentence unless catalog, inbox and objects are files of this machine.
fn check_embedded(settings: &Settings) -> Result<(), String> {
    let engines = settings.engine_urls().into_iter().filter(|(name, ..)| {
        // Orders and cached pages are made again.
        matches!(*name, "catalog_url" | "inbox_url" | "objects_url")
    });
    let shared = engines.filter_map(|(name, url, schemes)| {
        let scheme = Scheme::of(&url, schemes).filter(|scheme| scheme.is_shared)?;
        Some(format!("EYELINE_{} ({})", name.to_ascii_uppercase(), scheme.name))
    });
    let shared: Vec<String> = shared.collect();
    if shared.is_empty() {
        return Ok(());
    }
    Err(format!(
        "this command copies SQLite files and a folder of objects, and other engines are set: {}. Back them up with \
         their own tools, the catalog first, then the inbox, then the objects: docs/backup.md has the steps",
        shared.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_with_tools_of_their_own_are_refused_with_the_order_of_the_steps() {
        let mut settings = Settings::default();
        assert_eq!(check_embedded(&settings), Ok(()));
        settings.cache_url = "redis://host:6379/0".to_owned();
        assert_eq!(check_embedded(&settings), Ok(()));
        settings.catalog_url = Some("postgres://user:hush@host/name".to_owned());
        settings.objects_url = Some("s3://photos".to_owned());
        let sentence = check_embedded(&settings).expect_err("shared engines");
        assert!(sentence.contains("EYELINE_CATALOG_URL (PostgreSQL), EYELINE_OBJECTS_URL (S3)"), "{sentence}");
        assert!(sentence.contains("docs/backup.md") && !sentence.contains("hush"), "{sentence}");
    }
}

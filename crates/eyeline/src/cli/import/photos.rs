//! Imports the photos of a folder, each through its own upload link.

use std::collections::{HashMap, VecDeque};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use http::Method;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::io::ReaderStream;

use super::super::say;
use super::{Target, conclude, list, text};
use crate::cli::progress::{bytes_bar, plural};
use crate::file_name;
use crate::flow::photo::upload::may_be_photo;
use crate::secrets::to_hex;

/// Upload links requested together. A link lives for minutes.
const BATCH: usize = 50;
const UPLOADS_AT_ONCE: usize = 4;
const TRIES: u32 = 4;
/// The command stops waiting for versions if no photo makes progress for this time.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOKS_AT_ONCE: usize = 8;

struct Photo {
    path: PathBuf,
    name: String,
    bytes: u64,
}

#[derive(Default)]
struct Outcome {
    /// Ids of the sent images, with the photos' names.
    sent: Vec<(String, String)>,
    known: u64,
    /// Files not sent because the server could not read them before, each with the reason.
    refused: Vec<String>,
    trouble: Vec<String>,
}

/// The files of a folder and its subfolders.
#[derive(Default)]
pub(in crate::cli) struct Found {
    photos: Vec<Photo>,
    /// Skipped files, each with the reason.
    skipped: Vec<String>,
}

/// Sends the photos whose SHA-256 is not among the `refused`, and waits for their versions.
pub(in crate::cli) async fn import(
    target: &Target,
    found: Found,
    refused: &HashMap<String, String>,
) -> Result<(), String> {
    let Found { photos, skipped } = found;
    let bar = bytes_bar(photos.iter().map(|photo| photo.bytes).sum()).with_message("photos");
    let mut outcome = Outcome::default();
    if !skipped.is_empty() {
        say(&format!("{} skipped:", plural(skipped.len() as u64, "file")));
        list(&skipped, skipped.len() as u64);
    }
    for batch in photos.chunks(BATCH) {
        import_batch(target, batch, refused, &bar, &mut outcome).await?;
    }
    bar.finish_and_clear();
    if !outcome.refused.is_empty() {
        let photos = plural(outcome.refused.len() as u64, "photo");
        say(&format!("{photos} not sent again, because the server could not read them (--retry-refused sends them):"));
        list(&outcome.refused, outcome.refused.len() as u64);
    }
    let sent = outcome.sent.len();
    let done = wait_for_versions(target, outcome.sent, &mut outcome.trouble).await?;
    say(&format!(
        "{sent} sent, {done} of them done, {} already there, {} refused before, {} skipped",
        outcome.known,
        outcome.refused.len(),
        plural(skipped.len() as u64, "file")
    ));
    conclude(&outcome.trouble, outcome.trouble.len() as u64, "photos")
}

/// All photos of the folder and its subfolders, by name. Fails if there are none.
pub(in crate::cli) fn find(folder: &Path) -> Result<Found, String> {
    let mut found = Found::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            // A link may lead in a circle. If its target lies below the folder, it is found under its own path.
            let about = std::fs::symlink_metadata(&path).map_err(unreadable)?;
            let name = file_name::decode(path.file_name().unwrap_or_default().as_bytes());
            let skip = |found: &mut Found, why: &str| found.skipped.push(format!("{}: {why}", path.display()));
            if about.is_dir() {
                folders.push(path);
            } else if about.is_symlink() {
                skip(&mut found, "a link");
            } else if !about.is_file() {
                skip(&mut found, "not a regular file");
            } else if !file_name::type_of_ending(&name).is_some_and(may_be_photo) {
                skip(&mut found, "the extension is not that of a photo");
            } else if about.len() == 0 {
                skip(&mut found, "empty");
            } else {
                found.photos.push(Photo { path, name, bytes: about.len() });
            }
        }
    }
    if found.photos.is_empty() {
        list(&found.skipped, found.skipped.len() as u64);
        return Err(format!("no photo is in {}: names of photos end with .jpg, .png and the like", folder.display()));
    }
    found.photos.sort_by(|one, other| one.path.cmp(&other.path));
    found.skipped.sort();
    Ok(found)
}

async fn import_batch(
    target: &Target,
    photos: &[Photo],
    refused: &HashMap<String, String>,
    bar: &ProgressBar,
    outcome: &mut Outcome,
) -> Result<(), String> {
    let mut asked = Vec::with_capacity(photos.len());
    let mut wanted = Vec::with_capacity(photos.len());
    for photo in photos {
        match sha256(photo.path.clone()).await {
            Ok(sha256) => match refused.get(&sha256) {
                Some(reason) => {
                    bar.inc(photo.bytes);
                    outcome.refused.push(format!("{}: {reason}", photo.path.display()));
                }
                None => {
                    asked.push(json!({"filename": photo.name, "size": photo.bytes, "sha256": sha256}));
                    wanted.push(photo);
                }
            },
            Err(error) => outcome.trouble.push(format!("{}: {error}", photo.path.display())),
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    let body = json!({"project_id": target.project_id, "gallery_id": target.gallery_id, "files": asked});
    let answer = target.client.send(Method::POST, "/images/batch", Some(&body)).await?;
    let verdicts = answer["images"].as_array().cloned().unwrap_or_default();
    let work = wanted.into_iter().zip(verdicts).map(async |(photo, verdict)| {
        let outcome = import_one(target, photo, verdict, bar).await;
        (photo, outcome)
    });
    let mut finished = futures::stream::iter(work).buffer_unordered(UPLOADS_AT_ONCE);
    while let Some((photo, imported)) = finished.next().await {
        match imported {
            Ok(Some(image_id)) => outcome.sent.push((image_id, photo.path.display().to_string())),
            Ok(None) => outcome.known += 1,
            Err(error) => outcome.trouble.push(format!("{}: {error}", photo.path.display())),
        }
    }
    Ok(())
}

/// Sends the photo and returns its image id; `None` if the project has it already or an earlier photo is the same.
async fn import_one(
    target: &Target,
    photo: &Photo,
    verdict: Value,
    bar: &ProgressBar,
) -> Result<Option<String>, String> {
    match verdict["verdict"].as_str() {
        Some("created") => {
            send(target, photo, &verdict, bar).await?;
            Ok(Some(text(&verdict["image_id"])))
        }
        Some("duplicate") => {
            let image_id = text(&verdict["duplicate_of"]);
            bar.inc(photo.bytes);
            let path = format!("/galleries/{}/images/{image_id}", target.gallery_id);
            target.client.send(Method::PUT, &path, None).await?;
            Ok(None)
        }
        Some("repeated") => {
            bar.inc(photo.bytes);
            Ok(None)
        }
        _ => Err(verdict["detail"].as_str().unwrap_or("the server refused it without a reason").to_owned()),
    }
}

/// Sends the file through its link, and retries failures that may pass.
async fn send(target: &Target, photo: &Photo, link: &Value, bar: &ProgressBar) -> Result<(), String> {
    let mut pause = Duration::from_millis(500);
    for attempt in 1.. {
        let file = tokio::fs::File::open(&photo.path).await.map_err(|error| error.to_string())?;
        let progress = bar.clone();
        let pieces = ReaderStream::new(file).inspect_ok(move |piece| progress.inc(piece.len() as u64));
        match target.client.send_file(link, photo.bytes, reqwest::Body::wrap_stream(pieces)).await {
            Ok(()) => {
                // The sweep finds the file without this, later.
                let complete = format!("/images/{}/complete", link["image_id"].as_str().unwrap_or_default());
                let _it_is_only_quicker = target.client.send(Method::POST, &complete, None).await;
                return Ok(());
            }
            Err(failed) if failed.passing && attempt < TRIES => {
                tokio::time::sleep(pause).await;
                pause *= 3;
            }
            Err(failed) => return Err(failed.sentence),
        }
    }
    Ok(())
}

async fn sha256(path: PathBuf) -> Result<String, String> {
    let hashed = tokio::task::spawn_blocking(move || -> std::io::Result<String> {
        let mut file = std::fs::File::open(path)?;
        let (mut hash, mut piece) = (Sha256::new(), vec![0; 256 * 1024]);
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(to_hex(&hash.finalize())),
                length => hash.update(&piece[..length]),
            }
        }
    });
    hashed.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// Polls the images until each is `done` or `error`. Returns the number of those that are done.
async fn wait_for_versions(
    target: &Target,
    sent: Vec<(String, String)>,
    trouble: &mut Vec<String>,
) -> Result<usize, String> {
    let bar = ProgressBar::new(sent.len() as u64).with_message("versions");
    let mut waiting = VecDeque::from(sent);
    let (mut done, mut last) = (0, Instant::now());
    while !waiting.is_empty() && last.elapsed() < PATIENCE {
        let looks: Vec<_> = waiting.drain(..waiting.len().min(LOOKS_AT_ONCE)).collect();
        let looked = futures::future::join_all(looks.into_iter().map(async |(image_id, path)| {
            let image = target.client.send(Method::GET, &format!("/images/{image_id}"), None).await;
            (image_id, path, image)
        }));
        let before = waiting.len();
        for (image_id, path, image) in looked.await {
            let image = image?;
            match image["state"].as_str() {
                Some("done") => done += 1,
                Some("error") => trouble.push(format!("{path}: {}", text(&image["error"]))),
                _ => {
                    waiting.push_back((image_id, path));
                    continue;
                }
            }
            last = Instant::now();
            bar.inc(1);
        }
        if waiting.len() > before {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    bar.finish_and_clear();
    if !waiting.is_empty() {
        say(&format!(
            "{} photos still wait for their versions; the server continues without this command.",
            waiting.len()
        ));
    }
    Ok(done)
}

//! `eyeline backup`: a copy of an installation on embedded engines, beside its running server.

pub(super) mod files;
pub(super) mod manifest;
mod rounds;
mod source;
mod target;

use std::io;
use std::path::{Path, PathBuf};

use indicatif::HumanBytes;

use self::files::Hashed;
use self::manifest::{End, Entry, Head};
use self::rounds::Round;
use self::source::Source;
use self::target::Target;
use super::progress::plural;
use super::say;
use crate::clock::Clock;
use crate::settings::Settings;

/// Lost objects that are printed. All of them are counted.
const LISTED_MAX: usize = 20;

#[derive(clap::Args)]
#[command(after_help = "\
Copies the SQLite catalog, the inbox, every object that the catalog names, the secrets and the other files of the data
folder. The server may run: everything that it had acknowledged before the command began is in the backup.
A later backup into the same folder copies only new objects, and deletes what is not named any more. If it is cut, the
backup before stays whole. `eyeline restore` makes a data folder of it.

Examples:
  eyeline backup /mnt/backup
  eyeline backup /mnt/backup --without-secrets")]
pub(super) struct Arguments {
    /// The folder of the backup: new, empty, or with an earlier backup
    target: PathBuf,
    /// Leave out the secret and the admin key
    #[arg(long)]
    without_secrets: bool,
}

pub(super) async fn run(settings: &Settings, arguments: &Arguments) -> Result<(), String> {
    let source = Source::open(settings).await?;
    let target = Target::open(&arguments.target).await?;
    let begun_at = Clock::default().real_now().to_string();
    let round = rounds::run(&source, &target).await?;
    let mut entries = Vec::new();
    for name in ["catalog.sqlite", "inbox.sqlite"] {
        let path = round.path.join(name);
        entries.push(entry(&target, &round, name, blocking(move || files::hash(&path)).await)?);
    }
    let mut secrets = Vec::new();
    for file in source.data_files()? {
        if file.is_secret && arguments.without_secrets {
            continue;
        }
        let to = round.path.join(&file.name);
        let copied = blocking(move || files::copy(&file.path, &to, file.is_secret)).await;
        entries.push(entry(&target, &round, &file.name, copied)?);
        if file.is_secret {
            secrets.push(file.name);
        }
    }
    let head = Head::new(begun_at, round.folder.clone(), round.lost.len() as u64);
    let end = target.finish(round.number, &head, &entries).await?;
    target.remove_outdated(round.number).await?;
    say(&summary(&arguments.target, &round, &end));
    say(&about_secrets(settings, &secrets));
    about_lost(&round)
}

fn entry(target: &Target, round: &Round, name: &str, hashed: io::Result<Hashed>) -> Result<Entry, String> {
    let Hashed { bytes, sha256 } = hashed.map_err(|error| target.failed(format!("{name}: {error}")))?;
    Ok(Entry { path: format!("{}/{name}", round.folder), bytes, sha256 })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn summary(target: &Path, round: &Round, end: &End) -> String {
    format!(
        "{} holds a backup of {} ({}); {} copied now ({}).",
        target.display(),
        plural(end.files, "file"),
        HumanBytes(end.bytes),
        plural(round.counts.new_objects, "object"),
        HumanBytes(round.counts.new_bytes)
    )
}

fn about_secrets(settings: &Settings, kept: &[String]) -> String {
    let set = [("EYELINE_SECRET", settings.secret.is_some()), ("EYELINE_ADMIN_KEY", settings.admin_key.is_some())];
    let set: Vec<&str> = set.into_iter().filter_map(|(name, is_set)| is_set.then_some(name)).collect();
    let mut sentences = match kept {
        [] => {
            "It holds no secrets: keep the secret and the admin key elsewhere, a restored server needs them.".to_owned()
        }
        kept => format!("It holds {}, readable by its owner alone: keep it as safe as the server.", kept.join(" and ")),
    };
    if !set.is_empty() {
        sentences += &format!(" Not in it, because settings hold the value in force: {}.", set.join(", "));
    }
    sentences
}

/// Fails if the server has lost objects, so that a script notices.
fn about_lost(round: &Round) -> Result<(), String> {
    if round.lost.is_empty() {
        return Ok(());
    }
    for key in round.lost.iter().take(LISTED_MAX) {
        say(&format!("  missing on the server: {key}"));
    }
    Err(format!(
        "the backup is finished, and holds everything that the server has; but the catalog names {}",
        match round.lost.len() {
            1 => "1 object that is not in the store".to_owned(),
            count => format!("{count} objects that are not in the store"),
        }
    ))
}

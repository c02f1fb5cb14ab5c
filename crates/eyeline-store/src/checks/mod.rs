//! Checks of the engines against the product's promises, for the operator who configured them.
//!
//! The engines may be in use by a running server. The checks change nothing that it would notice.

mod nats;
mod postgres;
mod redis;
mod sqlite;

use eyeline_core::Timestamp;
use futures::FutureExt as _;
use serde::Serialize;

use crate::catalog::Catalog;
use crate::error::Result;
use crate::inbox::NatsAddress;
use crate::objects::{Location, Objects};
use crate::redis_client::Address;
use crate::sql::{Db, Dialect, NEWEST_VERSION};

/// The most lake files that are checked one by one.
const FILES_MAX: usize = 10_000;
/// The largest allowed difference between two clocks.
const CLOCK_MICROS_MAX: u64 = 2_000_000;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// A stable name for programs, such as `catalog.fsync`.
    pub name: String,
    pub verdict: Verdict,
    /// The finding, as a sentence without a full stop.
    pub found: String,
    /// The remedy, if there is something to do.
    pub remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Holds,
    /// No promise depends on it, but the operator should know.
    Noted,
    /// A promise does not hold.
    Broken,
}

impl Check {
    pub fn holds(name: impl Into<String>, found: impl Into<String>) -> Self {
        Check { name: name.into(), verdict: Verdict::Holds, found: found.into(), remedy: None }
    }

    pub fn noted(name: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Check { name: name.into(), verdict: Verdict::Noted, found: found.into(), remedy: Some(remedy.into()) }
    }

    pub fn broken(name: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Check { verdict: Verdict::Broken, ..Check::noted(name, found, remedy) }
    }

    /// Broken unless `holds` is true.
    pub fn of(holds: bool, name: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        if holds { Check::holds(name, found) } else { Check::broken(name, found, remedy) }
    }
}

/// Checks the catalog's engine, with the settings of its writing connection. `now` returns the real time of this
/// machine.
pub async fn catalog(url: &str, now: impl Fn() -> Timestamp) -> Vec<Check> {
    if let Some(missing) = not_made_yet("catalog", url) {
        return vec![missing];
    }
    let looked = async {
        let db = Db::open(url).await?;
        let mut checks = match db.dialect() {
            Dialect::Sqlite => sqlite::Settings::of_catalog(&db).await?.judge("catalog"),
            Dialect::Postgres => {
                let mut checks = postgres::Settings::read(&db).await?.judge("catalog");
                checks.push(clock(ahead(&db, now).await?));
                checks
            }
        };
        checks.push(schema(db.version().await?));
        Ok::<_, crate::Error>(checks)
    };
    looked.await.unwrap_or_else(|error| vec![unusable("catalog", &error, "EYELINE_CATALOG_URL")])
}

/// Checks the inbox.
pub async fn inbox(url: &str) -> Vec<Check> {
    if NatsAddress::is_meant(url) {
        let looked = async { nats::Settings::read(&NatsAddress::parse(url).map_err(crate::Error::Conflict)?).await };
        return match looked.await {
            Ok(settings) => settings.judge(),
            Err(error) => vec![unusable("inbox", &error, "EYELINE_INBOX_URL")],
        };
    }
    if let Some(missing) = not_made_yet("inbox", url) {
        return vec![missing];
    }
    let looked = async {
        let path = crate::inbox::sqlite_path(url)?;
        let read = tokio::task::spawn_blocking(move || sqlite::Settings::of_inbox(&path)).await;
        read.map_err(|error| crate::Error::internal("looking at the inbox", error))?
    };
    match looked.await {
        Ok(settings) => settings.judge("inbox"),
        Err(error) => vec![unusable("inbox", &error, "EYELINE_INBOX_URL")],
    }
}

/// Checks the cache and the fan-out. Empty if they are in memory.
pub async fn cache(url: &str) -> Vec<Check> {
    let Ok(address) = Address::parse(url) else { return Vec::new() };
    let is_cluster = address.is_cluster;
    match tokio::task::spawn_blocking(move || redis::Settings::read(&address)).await {
        Ok(Ok(nodes)) => {
            let mut checks: Vec<Check> = nodes.iter().flat_map(|node| node.judge(is_cluster)).collect();
            // Nodes that are set alike are told once.
            checks.sort_by(|one, other| one.name.cmp(&other.name));
            checks.dedup();
            checks
        }
        Ok(Err(error)) => vec![redis::unreachable(&error)],
        Err(error) => vec![redis::unreachable(&error)],
    }
}

/// Writes, reads and deletes a small object that has no link, and tries to read it as anybody. Asks a bucket whether
/// pages of `origin` may use links.
pub async fn objects(location: &Location, origin: &str) -> Vec<Check> {
    const NAME: &str = "objects.probe";
    match Objects::attach(location).await {
        Ok(None) => {
            let remedy = "The first start makes it; run doctor again after that.";
            vec![Check::noted(NAME, "there is no store of objects yet", remedy)]
        }
        Ok(Some(objects)) => match objects.probe().await {
            Ok(is_open) => {
                let mut checks = vec![Check::holds(NAME, "an object can be written, read and removed")];
                if location.is_bucket() {
                    checks.push(privacy(is_open));
                    checks.push(match objects.refused_to_pages(origin).await {
                        Ok(refused) => pages(&refused, origin),
                        Err(error) => unusable("objects", &error, "EYELINE_OBJECTS_URL"),
                    });
                }
                checks
            }
            Err(error) => vec![unusable("objects", &error, "EYELINE_OBJECTS_URL")],
        },
        Err(error) => vec![unusable("objects", &error, "EYELINE_OBJECTS_URL")],
    }
}

/// Adds a rule to a bucket by which pages of `origin` may use links, if it refuses them now. True if it did.
pub async fn let_pages(location: &Location, origin: &str) -> Result<bool> {
    let Some(objects) = Objects::attach(location).await? else { return Ok(false) };
    if objects.refused_to_pages(origin).await?.is_empty() {
        return Ok(false);
    }
    objects.let_pages(origin).await?;
    Ok(true)
}

/// Browsers ask the bucket before a page sends a file to it.
fn pages(refused: &[&str], origin: &str) -> Check {
    let found = match refused {
        [] => format!("pages of {origin} may use links to the bucket"),
        refused => format!("the bucket refuses {} to pages of {origin}", refused.join(", ")),
    };
    let remedy =
        "`eyeline doctor --fix` adds a CORS rule to the bucket. Without one the web application cannot send files.";
    Check::of(refused.is_empty(), "objects.cors", found, remedy)
}

/// The bucket of originals and events is for nobody but this server.
fn privacy(is_open: bool) -> Check {
    let found =
        if is_open { "anybody can read objects without a signature" } else { "objects are read with a signature only" };
    Check::of(
        !is_open,
        "objects.private",
        found,
        "Take public access from the bucket of EYELINE_OBJECTS_URL: it holds originals, private versions and events. For \
         public versions there is EYELINE_OBJECTS_PUBLIC_BUCKET.",
    )
}

/// Checks that every lake file of the manifest exists with its full length. `None` if there is no catalog of this
/// version yet, or no store.
pub async fn lake(catalog_url: &str, objects: &Location) -> Option<Check> {
    const NAME: &str = "lake.files";
    if not_made_yet("catalog", catalog_url).is_some() {
        return None;
    }
    let looked = async {
        let db = Db::open(catalog_url).await?;
        let Some(objects) = Objects::attach(objects).await? else { return Ok(None) };
        if db.version().await? != NEWEST_VERSION {
            return Ok(None);
        }
        let files = Catalog::from(db).manifest().await?.files;
        let mut lost = Vec::new();
        for file in files.iter().take(FILES_MAX) {
            if objects.head(&file.key).await?.is_none_or(|head| head.bytes != file.bytes) {
                lost.push(file);
            }
        }
        let found = match lost.first() {
            None => {
                let oldest = files.iter().map(|file| file.first_received_at).min();
                let oldest = oldest.map_or_else(String::new, |time| format!("; they go back to {time}"));
                format!("all {} files of events are there{oldest}", files.len().min(FILES_MAX))
            }
            Some(first) => format!(
                "of {} files of events {} are gone or cut, with {} events; the first is {}",
                files.len(),
                lost.len(),
                lost.iter().map(|file| file.rows).sum::<u64>(),
                first.key
            ),
        };
        let remedy = "Bring the files back from a copy of the objects: until then questions about their time fail.";
        Ok::<_, crate::Error>(Some(Check::of(lost.is_empty(), NAME, found, remedy)))
    };
    // The other checks report an unreachable engine.
    looked.await.ok().flatten()
}

/// Microseconds by which the clock of the database's machine is ahead of `now`.
async fn ahead(db: &Db, now: impl Fn() -> Timestamp) -> Result<i64> {
    let before = now().micros();
    let told = db.read(|tx| async move { tx.real_now().await }.boxed()).await?.micros();
    let after = now().micros();
    // A difference within the time of the query is not counted.
    Ok(if told < before { told - before } else { (told - after).max(0) })
}

/// Leases and back-off follow the database's clock; links and timestamps follow this machine's.
fn clock(ahead_micros: i64) -> Check {
    let seconds = ahead_micros.unsigned_abs() as f64 / 1e6;
    let side = if ahead_micros < 0 { "behind" } else { "ahead of" };
    Check::of(
        ahead_micros.unsigned_abs() <= CLOCK_MICROS_MAX,
        "clock",
        format!("the catalog's clock is {seconds:.3} s {side} this machine's"),
        "Set both machines' clocks by the network (NTP): links expire and times are stamped by one, leases by the other.",
    )
}

fn not_made_yet(engine: &str, url: &str) -> Option<Check> {
    let path = url.strip_prefix("sqlite:")?.trim_start_matches("//");
    let is_there = std::path::Path::new(path).exists();
    let remedy = "The first start makes it; run doctor again after that.";
    (!is_there).then(|| Check::noted(format!("{engine}.file"), format!("{path} is not there yet"), remedy))
}

fn unusable(engine: &str, error: &crate::Error, setting: &str) -> Check {
    let remedy = format!("Until it answers, what needs it is refused with 503: see to it, or to {setting}.");
    Check::broken(format!("{engine}.reachable"), format!("it cannot be used: {error}"), remedy)
}

fn schema(version: i64) -> Check {
    const NAME: &str = "catalog.schema";
    let found = format!("the catalog is at version {version}, this binary knows {NEWEST_VERSION}");
    match version.cmp(&NEWEST_VERSION) {
        std::cmp::Ordering::Equal => Check::holds(NAME, format!("the catalog is at version {version}")),
        std::cmp::Ordering::Less => Check::noted(NAME, found, "The next start, or `eyeline migrate`, brings it up."),
        std::cmp::Ordering::Greater => Check::broken(NAME, found, "Start the newer binary."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_apart_in_either_direction_break_the_promise() {
        for (micros, verdict) in [
            (0, Verdict::Holds),
            (-1_900_000, Verdict::Holds),
            (2_100_000, Verdict::Broken),
            (-90_000_000, Verdict::Broken),
        ] {
            assert_eq!(clock(micros).verdict, verdict, "{micros}");
        }
        assert!(clock(-90_000_000).found.contains("90.000 s behind"));
    }

    #[test]
    fn a_catalog_of_another_version_is_told() {
        assert_eq!(schema(NEWEST_VERSION).verdict, Verdict::Holds);
        assert_eq!(schema(NEWEST_VERSION - 1).verdict, Verdict::Noted);
        assert_eq!(schema(NEWEST_VERSION + 1).verdict, Verdict::Broken);
    }
}

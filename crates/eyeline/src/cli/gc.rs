//! `eyeline gc`: deletes objects that no row of the catalog names.
//!
//! The sweep of a server deletes what rows note as unwanted. What a kill leaves without any row is found here, by the
//! list of the store alone.

use std::collections::HashMap;
use std::time::Duration;

use eyeline_core::Timestamp;
use eyeline_store::catalog::objects::{Named, ReadUpTo};
use eyeline_store::objects::{Area, Listed};
use eyeline_store::{Catalog, Error, ObjectKey, Objects};
use futures::TryStreamExt as _;
use indicatif::{HumanBytes, HumanDuration};

use super::progress::plural;
use super::say;
use crate::clock::Clock;
use crate::settings::Settings;

/// Younger objects may belong to work under way. That has a row, and ends within 2 hours; the rest is for clocks that
/// differ.
const AGE_MIN: Duration = Duration::from_secs(24 * 60 * 60);
/// Keys of one comparison with the catalog: about 50 MB of memory.
const CANDIDATES_MAX: usize = 250_000;
/// Named objects that are looked for in the store before anything is deleted.
const LOOKED_FOR: usize = 100;

#[derive(clap::Args)]
#[command(after_help = "\
Lists the whole store and compares it with the catalog, beside a running server or without one. Objects that are younger
than 24 hours stay, so that no upload under way is touched. The store must belong to this installation alone.

Examples:
  eyeline gc --dry-run
  eyeline gc")]
pub(super) struct Arguments {
    /// Show what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(settings: &Settings, arguments: &Arguments) -> Result<(), String> {
    let catalog = Catalog::open_to_read(&settings.catalog_url()).await.map_err(|error| match error {
        Error::NotFound(_) => "there is no catalog yet: EYELINE_DATA names the data folder".to_owned(),
        error => format!("the catalog: {error}"),
    })?;
    let objects = Objects::attach(&settings.objects()).await.map_err(of_store)?;
    let objects = objects.ok_or_else(|| format!("there are no objects at {} yet", settings.objects_url()))?;
    if !arguments.dry_run {
        check_store(&catalog, &objects).await?;
    }
    let now = Clock::default().real_now();
    let mut collector = Collector { catalog, objects, now, deletes: !arguments.dry_run, tally: Tally::default() };
    for area in Area::ALL {
        collector.collect(area).await?;
    }
    say(&collector.tally.summary(collector.deletes));
    Ok(())
}

fn of_store(error: Error) -> String {
    format!("the objects: {error}")
}

/// Fails if the store seems to be that of another catalog, all of whose objects would be deleted.
async fn check_store(catalog: &Catalog, objects: &Objects) -> Result<(), String> {
    let (mut next, mut looked) = (Some(ReadUpTo::START), 0);
    while let Some(after) = next
        && looked < LOOKED_FOR
    {
        let (names, up_to) = catalog.named_objects(after).await.map_err(|error| format!("the catalog: {error}"))?;
        for name in names {
            let Named::Kept(key) = name else { continue };
            if objects.head(&key).await.map_err(of_store)?.is_some() {
                return Ok(());
            }
            looked += 1;
            if looked == LOOKED_FOR {
                break;
            }
        }
        next = up_to;
    }
    Err("the catalog names no object that is in the store, so nothing was deleted: do EYELINE_CATALOG_URL and \
         EYELINE_OBJECTS_URL belong together? --dry-run shows what the store has"
        .to_owned())
}

/// An object, or a folder of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    objects: u64,
    bytes: u64,
    /// The time of its newest object.
    since: Timestamp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    objects: u64,
    bytes: u64,
    /// Objects without a row that are too young.
    young: u64,
}

impl Tally {
    fn summary(self, deletes: bool) -> String {
        let Tally { objects, bytes, young } = self;
        let found = format!("{} ({})", plural(objects, "object"), HumanBytes(bytes));
        let told = match (objects, deletes) {
            (0, _) => "Every object of at least 24 hours has a row in the catalog.".to_owned(),
            (_, true) => format!("Deleted {found}."),
            (_, false) => format!("{found} would be deleted."),
        };
        match young {
            0 => told,
            1 => format!("{told} 1 younger object without a row stays: it may belong to work under way."),
            young => format!("{told} {young} younger objects without a row stay: they may belong to work under way."),
        }
    }
}

struct Collector {
    catalog: Catalog,
    objects: Objects,
    now: Timestamp,
    deletes: bool,
    tally: Tally,
}

impl Collector {
    async fn collect(&mut self, area: Area) -> Result<(), String> {
        let mut listed = self.objects.list(area);
        let mut candidates = HashMap::new();
        while let Some(object) = listed.try_next().await.map_err(of_store)? {
            let unit = object.key.unit();
            if candidates.len() == CANDIDATES_MAX && !candidates.contains_key(&unit) {
                self.compare(std::mem::take(&mut candidates)).await?;
            }
            add(&mut candidates, unit, &object);
        }
        self.compare(candidates).await
    }

    /// Deletes the candidates that no row names. They were listed before, so what is made meanwhile is not among them.
    async fn compare(&mut self, candidates: HashMap<ObjectKey, Found>) -> Result<(), String> {
        let unnamed = self.catalog.without_named(candidates).await.map_err(|error| format!("the catalog: {error}"))?;
        for (key, found) in unnamed {
            let age = self.now.since(found.since);
            if age < AGE_MIN {
                self.tally.young += found.objects;
                continue;
            }
            if self.deletes {
                self.objects.delete(&key).await.map_err(of_store)?;
            }
            self.tally.objects += found.objects;
            self.tally.bytes += found.bytes;
            let (objects, bytes) = (plural(found.objects, "object"), HumanBytes(found.bytes));
            say(&format!("{key}  {objects}, {bytes}, {} old", HumanDuration(age)));
        }
        Ok(())
    }
}

fn add(candidates: &mut HashMap<ObjectKey, Found>, unit: ObjectKey, object: &Listed) {
    let found = candidates.entry(unit).or_insert(Found { objects: 0, bytes: 0, since: object.since });
    found.objects += 1;
    found.bytes += object.bytes;
    found.since = found.since.max(object.since);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_as_young_as_its_youngest_object() {
        let mut candidates = HashMap::new();
        let folder = ObjectKey::versions(true);
        for (name, bytes, micros) in [("thumb.jpg", 7, 1), ("d2500.jpg", 5, 9), ("big_thumb.jpg", 1, 3)] {
            let object = Listed { key: folder.join(name), bytes, since: Timestamp::from_micros(micros) };
            add(&mut candidates, object.key.unit(), &object);
        }
        let found = Found { objects: 3, bytes: 13, since: Timestamp::from_micros(9) };
        assert_eq!(candidates, HashMap::from([(folder, found)]));
    }

    #[test]
    fn the_summary_says_what_was_done_and_what_stays() {
        let none = Tally { objects: 0, bytes: 0, young: 0 };
        assert_eq!(none.summary(true), "Every object of at least 24 hours has a row in the catalog.");
        let some = Tally { objects: 2, bytes: 2_048, young: 1 };
        assert_eq!(
            some.summary(false),
            "2 objects (2.00 KiB) would be deleted. 1 younger object without a row stays: it may belong to work under \
             way."
        );
        assert!(Tally { young: 0, ..some }.summary(true).starts_with("Deleted 2 objects"));
    }
}

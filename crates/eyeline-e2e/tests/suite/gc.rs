//! `eyeline gc` beside a running server, on both catalogs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, SystemTime};

use eyeline_e2e::photos;
use eyeline_e2e::uploads::{Stated, ask, upload_until_done};
use eyeline_e2e::{Project, Server, on_both_catalogs};

on_both_catalogs!(
    what_no_row_names_is_listed_and_deleted_and_what_lives_or_is_young_stays,
    a_store_of_another_catalog_is_left_alone,
);

fn gc(server: &Server, arguments: &[&str]) -> Output {
    server.command().arg("gc").args(arguments).output().expect("the binary starts")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn objects(server: &Server) -> PathBuf {
    server.data().join("objects")
}

/// A file that a kill has left, and its folder, both of this age.
#[expect(clippy::disallowed_methods, reason = "the files are for another process, whose clock is the real one")]
fn plant(server: &Server, key: &str, age: Duration) -> PathBuf {
    let path = objects(server).join(key);
    let folder = path.parent().expect("a folder");
    fs::create_dir_all(folder).expect("a folder");
    fs::write(&path, b"left over").expect("a file");
    for path in [&path, folder] {
        set_time(path, SystemTime::now() - age);
    }
    path
}

fn set_time(path: &Path, time: SystemTime) {
    File::open(path).expect("it can be opened").set_modified(time).expect("its time can be set");
}

fn first_in(folder: &Path) -> PathBuf {
    fs::read_dir(folder).expect("a folder").next().expect("something in it").expect("an entry").path()
}

/// All files of the store with those planted.
fn count(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
}

async fn what_no_row_names_is_listed_and_deleted_and_what_lives_or_is_young_stays(server: Server) {
    let project = Project::create(&server, "orphans").await;
    upload_until_done(&project, Stated::SizeAndHash, &photos::jpeg(320, 240)).await;
    // A promised upload: its file may come.
    ask(&project, Stated::Name, &photos::jpeg(64, 48)).await;
    // However old its files are, an image lives.
    let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
    let original = first_in(&objects(&server).join("originals"));
    set_time(&first_in(&original), SystemTime::UNIX_EPOCH);
    set_time(&original, SystemTime::UNIX_EPOCH);
    let live = count(&objects(&server));

    let image = "01890a5d-ac96-774b-bcce-b302099a8057";
    let keys = [
        "incoming/00000000000000000000000000000001".to_owned(),
        format!("originals/{image}/00000000000000000000000000000002"),
        "public/00000000000000000000000000000003/thumb.jpg".to_owned(),
        "private/00000000000000000000000000000004/d2500.jpg".to_owned(),
        "lake/2024-01-01/00000000000000000000000000000005.parquet".to_owned(),
    ];
    let orphans = keys.each_ref().map(|key| plant(&server, key, days(3)));
    let young = plant(&server, "public/00000000000000000000000000000006/thumb.jpg", Duration::from_secs(60));

    let listed = gc(&server, &["--dry-run"]);
    assert!(listed.status.success(), "{}", said(&listed));
    for key in &keys {
        let unit = if key.starts_with('p') { key.rsplit_once('/').expect("a folder").0 } else { key };
        assert!(said(&listed).contains(unit), "{unit} in {}", said(&listed));
    }
    assert!(said(&listed).contains("5 objects (45 B) would be deleted"), "{}", said(&listed));
    assert!(said(&listed).contains("3 days") && said(&listed).contains("1 younger object"), "{}", said(&listed));
    assert_eq!(count(&objects(&server)), live + orphans.len() + 1, "nothing was deleted");

    let deleted = gc(&server, &[]);
    assert!(deleted.status.success() && said(&deleted).contains("Deleted 5 objects (45 B)"), "{}", said(&deleted));
    assert!(orphans.iter().all(|path| !path.exists()) && young.exists());
    assert_eq!(count(&objects(&server)), live + 1);
    assert!(said(&gc(&server, &[])).contains("Every object of at least 24 hours has a row"));
}

async fn a_store_of_another_catalog_is_left_alone(mut server: Server) {
    let project = Project::create(&server, "first").await;
    upload_until_done(&project, Stated::SizeAndHash, &photos::jpeg(320, 240)).await;
    let orphan = plant(&server, "incoming/00000000000000000000000000000001", Duration::from_secs(400_000));
    server.stop().await;
    let before = count(&objects(&server));
    let catalog = server.folder().join("other.sqlite");
    server.set("EYELINE_CATALOG_URL", &format!("sqlite:{}", catalog.display()));
    let refused = gc(&server, &[]);
    assert!(!refused.status.success() && said(&refused).contains("there is no catalog yet"), "{}", said(&refused));
    let migrated = server.command().arg("migrate").output().expect("the binary starts");
    assert!(migrated.status.success(), "{}", said(&migrated));
    let refused = gc(&server, &[]);
    assert!(!refused.status.success() && said(&refused).contains("belong together"), "{}", said(&refused));
    assert!(orphan.exists());
    assert_eq!(count(&objects(&server)), before);
}

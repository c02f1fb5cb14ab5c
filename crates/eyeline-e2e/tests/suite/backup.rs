//! `eyeline backup` and `eyeline restore`: beside a server under load, over kills, with damaged files.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use eyeline_e2e::photos::{self, Photo};
use eyeline_e2e::project::{gallery_event, row};
use eyeline_e2e::uploads::{Stated, ask, id, upload_until_done, wait_until_final};
use eyeline_e2e::{Catalog, Project, Server};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(120);
/// Versions of a photo, and its original.
const OBJECTS_OF_PHOTO: usize = 5;

/// Runs a command of the binary with the server's settings to its end.
async fn run(server: &Server, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::from(server.command());
    command.args(arguments).kill_on_drop(true).output().await.expect("the binary starts")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn expect_success(output: &Output) -> String {
    assert!(output.status.success(), "{}: {}", output.status, said(output));
    said(output)
}

/// Fails unless the command failed with a sentence that holds this part, without a panic.
#[track_caller]
fn expect_refusal(output: &Output, part: &str) {
    let said = said(output);
    assert!(!output.status.success() && said.contains(part) && !said.contains("panicked"), "no {part} in: {said}");
}

/// The number of objects that a backup says it has copied.
fn copied(said: &str) -> usize {
    let (_, number) = said.split_once("; ").unwrap_or_else(|| panic!("no number in {said}"));
    number.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number in {said}"))
}

fn photo(number: usize) -> Photo {
    photos::jpeg(320, 240).with_comment(&format!("photo {number}"))
}

/// The regular files below a folder, by their paths from there.
fn files(folder: &Path) -> BTreeMap<String, PathBuf> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(&inner).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("a path below").display().to_string();
                found.insert(name, path);
            }
        }
    }
    found
}

/// What anybody sees of an image: its state, and the hash of each of its files.
async fn seen(project: &Project, image_id: &str) -> BTreeMap<String, String> {
    let image = project.key.get(&format!("/images/{image_id}")).await.expect(200).json();
    let mut seen = BTreeMap::from([("state".to_owned(), id(&image, "state"))]);
    for (name, link) in image["versions"].as_object().expect("versions") {
        let bytes = project.key.without_credential().get(link.as_str().expect("a link")).await.expect(200).body;
        let hash = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        seen.insert(name.clone(), hash);
    }
    seen
}

/// The gallery in its order, with all its numbers.
async fn order(project: &Project, gallery_id: &str) -> Vec<Value> {
    project.refresh(gallery_id).await;
    let page = project.key.get(&format!("/galleries/{gallery_id}/images?limit=100")).await.expect(200).json();
    let item = |item: &Value| json!([item["external_id"], item["views"], item["clicks"], item["weight"]]);
    page["items"].as_array().expect("items").iter().map(item).collect()
}

async fn gallery_of(project: &Project, images: u32) -> String {
    let gallery_id = project.gallery("gallery").await;
    let rows: Vec<Value> = (0..images).map(|number| row(&number.to_string(), number)).collect();
    project.load(&gallery_id, &json!(rows)).await;
    gallery_id
}

fn event(gallery_id: &str, number: usize) -> Value {
    let name = if number.is_multiple_of(3) { "click" } else { "view" };
    let mut event = gallery_event(name, gallery_id, &(number % 7).to_string());
    event["event_id"] = json!(Uuid::new_v4());
    event
}

async fn send(project: &Project, events: &[Value]) -> Value {
    project.key.post("/events/batch", &json!(events)).await.expect(200).json()
}

/// Clients that go on until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    /// Batches of events, each noted before it is sent, and the number of those acknowledged.
    batches: Arc<Mutex<Vec<Vec<Value>>>>,
    acknowledged: Arc<Mutex<usize>>,
    /// Images that were done, with what was seen of them. Some are deleted later, and are not among them.
    done: Arc<Mutex<HashMap<String, BTreeMap<String, String>>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    fn begin(project: &Arc<Project>, gallery_id: &str) -> Self {
        let mut load = Load {
            stop: Arc::default(),
            batches: Arc::default(),
            acknowledged: Arc::default(),
            done: Arc::default(),
            tasks: Vec::new(),
        };
        let (stop, batches, acknowledged) = (load.stop.clone(), load.batches.clone(), load.acknowledged.clone());
        let (of_events, gallery_id) = (project.clone(), gallery_id.to_owned());
        load.tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let batch: Vec<Value> = (0..20).map(|number| event(&gallery_id, number)).collect();
                batches.lock().await.push(batch.clone());
                assert_eq!(send(&of_events, &batch).await["accepted"], 20);
                *acknowledged.lock().await += 1;
            }
        }));
        let (stop, done, project) = (load.stop.clone(), load.done.clone(), project.clone());
        load.tasks.push(tokio::spawn(async move {
            for number in 0.. {
                let image = upload_until_done(&project, Stated::SizeAndHash, &photo(number)).await;
                let image_id = id(&image, "image_id");
                if number % 2 == 0 {
                    let seen = seen(&project, &image_id).await;
                    done.lock().await.insert(image_id, seen);
                } else {
                    project.key.delete(&format!("/images/{image_id}")).await.expect(204);
                }
                if stop.load(Ordering::SeqCst) {
                    return;
                }
            }
        }));
        load
    }

    async fn until_some_are_done(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.done.lock().await.len() < 3 || *self.acknowledged.lock().await < 20 {
            assert!(Instant::now() < deadline, "the load does not come up");
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.expect("a client");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_holds_what_was_acknowledged_before_and_counts_it_once() {
    // Events are written into files and leave the inbox all the time.
    let mut server = Server::start_with(Catalog::Sqlite, &[("EYELINE_FLUSH_SECONDS", "0")]).await;
    let project = Arc::new(Project::create(&server, "load").await);
    let quiet = gallery_of(&project, 7).await;
    let events: Vec<Value> = (0..100).map(|number| event(&quiet, number)).collect();
    assert_eq!(send(&project, &events).await["accepted"], 100);
    let order_before = order(&project, &quiet).await;
    let busy = gallery_of(&project, 7).await;
    let load = Load::begin(&project, &busy);
    load.until_some_are_done().await;

    let target = server.folder().join("backup");
    let backup = ["backup", target.to_str().expect("UTF-8")];
    expect_success(&run(&server, &backup).await);
    let promised = *load.acknowledged.lock().await;
    let done = load.done.lock().await.clone();
    expect_success(&run(&server, &backup).await);
    let sent = load.batches.lock().await.clone();
    load.end().await;
    server.kill().await;

    fs::rename(server.data(), server.folder().join("lost")).expect("the machine is gone");
    let restored = run(&server, &["restore", target.to_str().expect("UTF-8")]).await;
    assert!(expect_success(&restored).contains("Restored"), "{}", said(&restored));
    server.start_again().await;

    assert_eq!(order(&project, &quiet).await, order_before);
    let counted = project.refresh(&busy).await["applied_events"].as_u64().expect("a number");
    let promised_events = sent[..promised].concat();
    assert!(promised_events.len() as u64 <= counted && counted <= sent.concat().len() as u64, "{counted} counted");
    for batch in promised_events.chunks(1_000) {
        assert_eq!(send(&project, batch).await["duplicates"], batch.len(), "each of them is known");
    }
    assert_eq!(project.refresh(&busy).await["applied_events"], counted, "and counted");
    let sum: u64 =
        order(&project, &busy).await.iter().flat_map(|item| [item[1].as_u64(), item[2].as_u64()]).flatten().sum();
    assert_eq!(sum, counted);

    assert!(!done.is_empty());
    for (image_id, seen_before) in &done {
        assert_eq!(seen(&project, image_id).await, *seen_before, "image {image_id}");
    }
    upload_until_done(&project, Stated::Name, &photo(1_000_000)).await;
    server.stop().await;
    let verified = run(&server, &["rebuild", "--verify"]).await;
    let verified = expect_success(&verified);
    assert!(verified.contains(&quiet) && verified.contains(&busy), "{verified}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_arrived_and_was_not_taken_in_yet_is_in_the_backup() {
    let mut server = Server::start(Catalog::Sqlite).await;
    let project = Project::create(&server, "arrived").await;
    let image_id = id(&ask(&project, Stated::Name, &photo(0)).await, "image_id");
    server.kill().await;
    let catalog = rusqlite::Connection::open(server.data().join("catalog.sqlite")).expect("the catalog");
    let sql = "SELECT incoming_key FROM images WHERE incoming_key IS NOT NULL";
    let key: String = catalog.query_row(sql, [], |row| row.get(0)).expect("a promised file");
    drop(catalog);
    fs::write(server.data().join("objects").join(key), photo(0).bytes.as_slice()).expect("it arrived");

    let target = server.folder().join("backup");
    let target = target.to_str().expect("UTF-8");
    assert_eq!(copied(&expect_success(&run(&server, &["backup", target]).await)), 1);
    fs::rename(server.data(), server.folder().join("lost")).expect("the machine is gone");
    expect_success(&run(&server, &["restore", target]).await);
    server.start_again().await;
    assert_eq!(wait_until_final(&project, &image_id).await["state"], "done");
}

/// Starts a backup and kills it when it has more than `files_min` files of objects. False if it was too quick.
async fn cut_backup(server: &Server, target: &Path, files_min: usize) -> bool {
    let manifest = fs::read(target.join("manifest.ndjson")).ok();
    let mut command = server.command();
    let mut backup = command.arg("backup").arg(target).stdout(Stdio::null()).spawn().expect("the binary starts");
    while files(&target.join("objects")).len() <= files_min {
        if backup.try_wait().expect("the state of the backup").is_some() {
            return false;
        }
        sleep(Duration::from_millis(1)).await;
    }
    kill_process(Pid::from_child(&backup), Signal::KILL).expect("a signal can be sent");
    backup.wait().expect("the end of the backup");
    fs::read(target.join("manifest.ndjson")).ok() == manifest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_backup_is_no_backup_and_the_one_before_stays_whole() {
    const PHOTOS: usize = 40;
    let server = Server::start(Catalog::Sqlite).await;
    let project = Project::create(&server, "cut").await;
    for number in 0..PHOTOS {
        upload_until_done(&project, Stated::SizeAndHash, &photo(number)).await;
    }
    let target = server.folder().join("backup");
    let data = server.folder().join("restored");
    let restore = ["restore", target.to_str().expect("UTF-8"), "--data", data.to_str().expect("UTF-8")];
    let deadline = Instant::now() + PATIENCE;
    while !cut_backup(&server, &target, PHOTOS * OBJECTS_OF_PHOTO / 2).await {
        assert!(Instant::now() < deadline, "every backup was too quick to be cut");
        fs::remove_dir_all(&target).expect("an empty place");
    }
    expect_refusal(&run(&server, &restore).await, "holds no finished backup");
    assert!(!data.exists(), "nothing was restored");

    let said = expect_success(&run(&server, &["backup", restore[1]]).await);
    assert!(copied(&said) < PHOTOS * OBJECTS_OF_PHOTO, "it goes on where the other was cut: {said}");
    expect_success(&run(&server, &restore).await);
    let first = files(&data.join("objects"));
    assert_eq!(first.len(), PHOTOS * OBJECTS_OF_PHOTO);

    // The next backup is cut as well: what is restored is the one before.
    for number in PHOTOS..2 * PHOTOS {
        upload_until_done(&project, Stated::SizeAndHash, &photo(number)).await;
    }
    assert!(cut_backup(&server, &target, first.len() + 20).await, "it was too quick to be cut");
    fs::remove_dir_all(&data).expect("an empty place");
    expect_success(&run(&server, &restore).await);
    assert_eq!(files(&data.join("objects")).keys().collect::<Vec<_>>(), first.keys().collect::<Vec<_>>());
    expect_success(&run(&server, &["backup", restore[1]]).await);
    fs::remove_dir_all(&data).expect("an empty place");
    expect_success(&run(&server, &restore).await);
    assert_eq!(files(&data.join("objects")).len(), 2 * first.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_backup_copies_what_is_new_and_forgets_what_was_deleted() {
    let server = Server::start(Catalog::Sqlite).await;
    let project = Project::create(&server, "twice").await;
    let image_id = id(&upload_until_done(&project, Stated::SizeAndHash, &photo(0)).await, "image_id");
    upload_until_done(&project, Stated::SizeAndHash, &photo(1)).await;
    let target = server.folder().join("backup");
    let backup = async || expect_success(&run(&server, &["backup", target.to_str().expect("UTF-8")]).await);
    assert_eq!(copied(&backup().await), 2 * OBJECTS_OF_PHOTO);
    let objects = || files(&target.join("objects"));
    let identities = |files: &BTreeMap<String, PathBuf>| -> BTreeMap<String, u64> {
        files.iter().map(|(name, path)| (name.clone(), fs::metadata(path).expect("a file").ino())).collect()
    };
    let first = identities(&objects());

    assert_eq!(copied(&backup().await), 0);
    assert_eq!(identities(&objects()), first, "the same files");
    let folders =
        fs::read_dir(&target).expect("the backup").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert_eq!(folders.filter(|name| name.starts_with("data-")).count(), 1, "one catalog is kept");

    upload_until_done(&project, Stated::SizeAndHash, &photo(2)).await;
    assert_eq!(copied(&backup().await), OBJECTS_OF_PHOTO);
    project.key.delete(&format!("/images/{image_id}")).await.expect(204);
    assert_eq!(copied(&backup().await), 0);
    assert_eq!(objects().len(), 2 * OBJECTS_OF_PHOTO);
    assert!(objects().keys().all(|name| !name.contains(&image_id)), "a deleted image leaves the backup");

    // A file of the backup that is gone is copied again.
    let (_, lost) = objects().pop_first().expect("an object");
    fs::remove_file(&lost).expect("the disk lost it");
    assert_eq!(copied(&backup().await), 1);
    assert!(lost.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_found_and_nothing_is_restored() {
    let server = Server::start(Catalog::Sqlite).await;
    let project = Project::create(&server, "damaged").await;
    upload_until_done(&project, Stated::SizeAndHash, &photo(0)).await;
    let target = server.folder().join("backup");
    let data = server.folder().join("restored");
    let restore = ["restore", target.to_str().expect("UTF-8"), "--data", data.to_str().expect("UTF-8")];
    expect_success(&run(&server, &["backup", restore[1]]).await);

    let names: Vec<(String, PathBuf)> = files(&target).into_iter().collect();
    let is_listed = |name: &str| name.starts_with("data-") || name.starts_with("objects/");
    for (name, path) in names.iter().filter(|(name, _)| is_listed(name)) {
        let whole = fs::read(path).expect("a file");
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(path, &changed).expect("damaged");
        expect_refusal(&run(&server, &restore).await, "is damaged");
        assert!(said(&run(&server, &restore).await).contains(name), "it says which: {name}");
        fs::write(path, &whole[..whole.len() - 1]).expect("damaged");
        expect_refusal(&run(&server, &restore).await, "nothing was restored");
        fs::remove_file(path).expect("damaged");
        expect_refusal(&run(&server, &restore).await, "cannot be read");
        assert_eq!(files(&data).keys().collect::<Vec<_>>(), ["lock"], "{name}");
        fs::write(path, &whole).expect("mended");
    }
    let manifest = target.join("manifest.ndjson");
    let whole = fs::read_to_string(&manifest).expect("the manifest");
    fs::write(&manifest, whole.replacen("private/", "public/", 1).replacen("public/", "private/", 1)).expect("changed");
    expect_refusal(&run(&server, &restore).await, "damaged");
    fs::write(&manifest, whole).expect("mended");
    expect_success(&run(&server, &restore).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_in_the_backup_for_its_owner_alone_or_left_out() {
    let mut server = Server::start(Catalog::Sqlite).await;
    fs::write(server.data().join("eyeline.toml"), "flush_seconds = 5\n").expect("a file of the operator");
    server.stop().await;
    let folder = server.folder().to_owned();
    let (with, without) = (folder.join("with"), folder.join("without"));
    let said = expect_success(&run(&server, &["backup", with.to_str().expect("UTF-8")]).await);
    assert!(said.contains("secret") && said.contains("EYELINE_ADMIN_KEY"), "{said}");
    let said = expect_success(&run(&server, &["backup", without.to_str().expect("UTF-8"), "--without-secrets"]).await);
    assert!(said.contains("holds no secrets"), "{said}");
    let secret = fs::read(server.data().join("secret")).expect("a secret");
    let has_secret = |folder: &Path| files(folder).values().any(|path| fs::read(path).expect("a file") == secret);
    assert!(has_secret(&with) && !has_secret(&without));
    assert_eq!(fs::metadata(&with).expect("the backup").permissions().mode() & 0o777, 0o700);

    for target in [&with, &without] {
        let data = target.with_extension("restored");
        let restore = ["restore", target.to_str().expect("UTF-8"), "--data", data.to_str().expect("UTF-8")];
        let said = expect_success(&run(&server, &restore).await);
        assert_eq!(said.contains("EYELINE_SECRET"), target == &without, "{said}");
        assert!(data.join("eyeline.toml").exists() && data.join("node").exists(), "what else was in the folder");
        if target == &with {
            let restored = data.join("secret");
            assert_eq!(fs::read(&restored).expect("the secret"), secret);
            assert_eq!(fs::metadata(&restored).expect("a file").permissions().mode() & 0o777, 0o600);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_overwritten() {
    let server = Server::start(Catalog::Sqlite).await;
    let folder = server.folder().to_owned();
    let target = folder.join("backup");
    let target = target.to_str().expect("UTF-8");
    expect_refusal(&run(&server, &["restore", target]).await, "no folder");
    expect_success(&run(&server, &["backup", target]).await);
    expect_refusal(&run(&server, &["restore", target]).await, "in use by a running eyeline");
    expect_refusal(&run(&server, &["backup", server.data().to_str().expect("UTF-8")]).await, "holds no backup");
    let data = folder.join("other");
    fs::create_dir(&data).expect("a folder");
    fs::write(data.join("notes.txt"), "mine").expect("a file");
    expect_refusal(&run(&server, &["restore", target, "--data", data.to_str().expect("UTF-8")]).await, "notes.txt");
    expect_refusal(&run(&server, &["backup", data.to_str().expect("UTF-8")]).await, "holds no backup");
    let mut elsewhere = server.command();
    elsewhere.env("EYELINE_CATALOG_URL", "sqlite:/elsewhere").args(["restore", target, "--data", "new"]);
    let elsewhere = tokio::process::Command::from(elsewhere).output().await.expect("the binary starts");
    expect_refusal(&elsewhere, "EYELINE_CATALOG_URL");
    assert_eq!(fs::read_to_string(data.join("notes.txt")).expect("a file"), "mine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_object_is_told_and_the_rest_is_backed_up() {
    let server = Server::start(Catalog::Sqlite).await;
    let project = Project::create(&server, "lost").await;
    upload_until_done(&project, Stated::SizeAndHash, &photo(0)).await;
    let (name, path) = files(&server.data().join("objects/originals")).pop_first().expect("an original");
    fs::remove_file(path).expect("the disk lost it");
    let target = server.folder().join("backup");
    let backup = run(&server, &["backup", target.to_str().expect("UTF-8")]).await;
    expect_refusal(&backup, "1 object that is not in the store");
    assert!(said(&backup).contains(&name), "it says which: {}", said(&backup));
    let restored = server.folder().join("restored");
    let restore = ["restore", target.to_str().expect("UTF-8"), "--data", restored.to_str().expect("UTF-8")];
    assert!(expect_success(&run(&server, &restore).await).contains("had already lost 1 object"));
    assert_eq!(files(&restored.join("objects")).len(), OBJECTS_OF_PHOTO - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalog_in_postgresql_is_refused_with_what_to_do() {
    let server = Server::start(Catalog::Postgres).await;
    let target = server.folder().join("backup");
    let backup = run(&server, &["backup", target.to_str().expect("UTF-8")]).await;
    expect_refusal(&backup, "docs/backup.md");
    assert!(said(&backup).contains("EYELINE_CATALOG_URL (PostgreSQL)"), "{}", said(&backup));
    assert!(!target.exists());
}

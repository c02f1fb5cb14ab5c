//! Checks the code against ARCHITECTURE.md: the dependencies of crates, and the places that may name an engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace's folder")
}

/// Direct dependencies of each crate of the workspace, those for tests left out.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON from cargo");
    let mut crates = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let names = package["dependencies"].as_array().expect("dependencies").iter();
        let names = names
            .filter(|dependency| dependency["kind"].is_null())
            .map(|dependency| dependency["name"].as_str().expect("a name").to_owned());
        crates.insert(package["name"].as_str().expect("a name").to_owned(), names.collect());
    }
    crates
}

#[test]
fn the_arrows_between_crates_are_those_of_the_map() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("eyeline-core", &[] as &[&str]),
        // For tests: checks answers against the description of the API.
        ("eyeline-contract", &[]),
        ("eyeline-sandbox", &[]),
        ("eyeline-image", &["eyeline-core", "eyeline-sandbox"]),
        ("eyeline-store", &["eyeline-core"]),
        ("eyeline-lake", &["eyeline-core", "eyeline-sandbox"]),
        ("eyeline-simulation", &["eyeline-core"]),
        (
            "eyeline",
            &[
                "eyeline-core",
                "eyeline-image",
                "eyeline-lake",
                "eyeline-sandbox",
                "eyeline-simulation",
                "eyeline-store",
            ],
        ),
        // Drives the binary from outside: of the product it knows the simulated visitors alone.
        ("eyeline-e2e", &["eyeline-contract", "eyeline-simulation"]),
    ]);
    let found = dependencies();
    let ours: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(ours, allowed.keys().copied().collect(), "a crate came or went: change the map and this test together");
    for (name, dependencies) in &found {
        let arrows: BTreeSet<&str> =
            dependencies.iter().map(String::as_str).filter(|dependency| ours.contains(dependency)).collect();
        assert_eq!(arrows, allowed[name.as_str()].iter().copied().collect(), "arrows of {name}");
    }
}

#[test]
fn an_engine_is_named_by_one_crate_alone() {
    let alone = [
        ("sqlx", "eyeline-store"),
        ("rusqlite", "eyeline-store"),
        ("moka", "eyeline-store"),
        ("redis", "eyeline-store"),
        ("async-nats", "eyeline-store"),
        ("rusty-s3", "eyeline-store"),
        ("axum", "eyeline"),
        ("jsonschema", "eyeline-core"),
        ("parquet", "eyeline-lake"),
        ("arrow-array", "eyeline-lake"),
        ("arrow-schema", "eyeline-lake"),
        ("arrow-select", "eyeline-lake"),
        ("datafusion", "eyeline-lake"),
        ("turbojpeg-sys", "eyeline-image"),
        ("fast_image_resize", "eyeline-image"),
        ("png", "eyeline-image"),
    ];
    for (name, dependencies) in dependencies() {
        if matches!(name.as_str(), "eyeline-contract" | "eyeline-e2e") {
            continue;
        }
        for (engine, owner) in alone {
            assert!(name == owner || !dependencies.contains(engine), "{name} names {engine}, which is {owner}'s");
        }
    }
}

#[test]
fn the_core_asks_nobody_and_waits_for_nothing() {
    let core = &dependencies()["eyeline-core"];
    for forbidden in ["tokio", "futures", "async-trait", "getrandom", "rand", "tracing"] {
        assert!(!core.contains(forbidden), "eyeline-core names {forbidden}");
    }
}

/// The sources below a folder of the workspace, without comments, by their paths from there.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let top = root().join(folder);
    let (mut folders, mut files) = (vec![top.clone()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&top).expect("a path below").to_string_lossy().into_owned();
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                files.insert(name, code.collect::<Vec<_>>().join("\n"));
            }
        }
    }
    assert!(!files.is_empty(), "{folder} has no sources");
    files
}

/// The first names of the paths that follow `prefix` in the code.
fn names_after<'a>(code: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut names = BTreeSet::new();
    for rest in code.split(prefix).skip(1) {
        match rest.strip_prefix('{').and_then(|group| group.split_once('}')) {
            Some((group, _)) => names.extend(group.split(',').map(str::trim)),
            None => names.extend(rest.split(|letter| !is_word(letter)).next()),
        }
    }
    names.iter().map(|name| name.split(|letter| !is_word(letter)).next().unwrap_or_default()).collect()
}

fn expect_arrows(arrows: &BTreeMap<String, BTreeSet<String>>, allowed: &[(&str, &[&str])]) {
    for (from, to) in allowed {
        let found: BTreeSet<&str> = arrows.get(*from).into_iter().flatten().map(String::as_str).collect();
        assert_eq!(found, to.iter().copied().collect(), "arrows of {from}: change the map and this test together");
    }
}

#[test]
fn the_arrows_inside_of_the_binary_are_those_of_the_map() {
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let rooms = ["api", "app", "cli", "connections", "engines", "flow", "server", "workers"];
    for (name, code) in sources("crates/eyeline/src") {
        let from = name.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        let to = names_after(&code, "crate::").into_iter().filter(|to| rooms.contains(to) && *to != from);
        arrows.entry(from.to_owned()).or_default().extend(to.map(str::to_owned));
    }
    let above = [
        ("api", &["app", "engines", "flow"] as &[&str]),
        ("app", &["engines", "flow"]),
        ("cli", &["api", "app", "connections", "flow", "server"]),
        ("connections", &["api"]),
        ("engines", &[]),
        ("flow", &["engines"]),
        ("server", &["api", "app", "connections", "workers"]),
        ("workers", &["app", "flow"]),
    ];
    expect_arrows(&arrows, &above);
    let named: BTreeSet<&str> = above.iter().map(|(from, _)| *from).collect();
    for (helper, to) in arrows.iter().filter(|(from, _)| !named.contains(from.as_str())) {
        assert!(
            to.is_empty() || matches!(helper.as_str(), "main" | "lib"),
            "{helper} serves the rooms and names {to:?}"
        );
    }
}

#[test]
fn the_arrows_between_the_wings_of_flow_are_those_of_the_map() {
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, code) in sources("crates/eyeline/src/flow") {
        let from = name.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        // Every wing takes `Flow`, which has the parts of all.
        let is_wing = |to: &str| to != from && !to.starts_with(char::is_uppercase);
        let to = names_after(&code, "crate::flow::").into_iter().filter(|to| is_wing(to));
        arrows.entry(from.to_owned()).or_default().extend(to.map(str::to_owned));
    }
    let allowed = [
        ("photo", &["hints"] as &[&str]),
        ("notify", &["hints", "photo"]),
        ("gallery", &["hints", "lake", "photo"]),
        ("lake", &["hints", "turns"]),
        ("event", &["hints", "lake", "turns"]),
        ("hints", &[]),
        ("turns", &[]),
        ("mod", &[]),
    ];
    expect_arrows(&arrows, &allowed);
    assert_eq!(arrows.len(), allowed.len(), "a wing came or went: change the map and this test together");
}

#[test]
fn every_step_is_in_the_map() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for name in sources("crates/eyeline/src/flow").into_keys() {
        let mut parts = name.split('/').map(|part| part.trim_end_matches(".rs"));
        let step = match (parts.next(), parts.next()) {
            (Some(_), Some(step)) if step != "mod" => step,
            (Some(step), _) if step != "mod" => step,
            _ => continue,
        };
        let is_part_of_notify = matches!(name.as_str(), "notify/message.rs" | "notify/pace.rs");
        assert!(is_part_of_notify || map.contains(&format!("`{step}`")), "ARCHITECTURE.md does not name {step}");
    }
}

#[test]
fn unsafe_code_and_new_threads_are_in_few_places() {
    let is_unsafe = |line: &str| {
        let line = line.split('"').next().unwrap_or_default();
        line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == "unsafe")
    };
    let starts = |line: &str| {
        ["tokio::spawn(", "thread::Builder::new()", "thread::spawn(", "runtime.spawn("]
            .iter()
            .any(|call| line.contains(call))
    };
    let found = |of_kind: &dyn Fn(&str) -> bool| -> BTreeSet<String> {
        let crates = ["eyeline", "eyeline-core", "eyeline-image", "eyeline-lake", "eyeline-sandbox", "eyeline-store"];
        let files = crates.iter().flat_map(|name| {
            sources(&format!("crates/{name}/src")).into_iter().map(move |(path, code)| (format!("{name}/{path}"), code))
        });
        files.filter(|(_, code)| code.lines().any(of_kind)).map(|(path, _)| path).collect()
    };
    let unsafe_code = [
        "eyeline-image/heif/hevc.rs",
        "eyeline-image/heif/library.rs",
        "eyeline-image/libwebp.rs",
        "eyeline-image/turbo.rs",
        "eyeline-image/turbo/warnings.rs",
        "eyeline-image/worker/memory.rs",
        "eyeline/allocator.rs",
    ];
    assert_eq!(found(&is_unsafe), unsafe_code.map(str::to_owned).into());
    // Tasks of a role are started by the supervisor; these outlive the call that starts them, or serve one connection.
    let spawning = [
        "eyeline-core/schema/mod.rs",
        "eyeline-lake/file.rs",
        "eyeline-sandbox/confine.rs",
        "eyeline-store/inbox/sqlite/mod.rs",
        "eyeline-store/inbox/sqlite/writer.rs",
        "eyeline-store/objects/s3/writing.rs",
        "eyeline-store/pubsub/redis.rs",
        "eyeline-store/redis_client/lane.rs",
        "eyeline-store/sql/postgres.rs",
        "eyeline-store/sql/sqlite.rs",
        "eyeline/api/streams/deliver.rs",
        "eyeline/flow/event/replay.rs",
        "eyeline/flow/gallery/rank/mod.rs",
        "eyeline/flow/photo/admission.rs",
        "eyeline/flow/photo/user_upload.rs",
    ];
    assert_eq!(found(&starts), spawning.map(str::to_owned).into());
}

#[test]
fn migrations_come_in_pairs() {
    let names = |dialect: &str| -> BTreeSet<String> {
        let folder = root().join("migrations").join(dialect);
        let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned()).collect()
    };
    assert!(!names("sqlite").is_empty());
    assert_eq!(names("sqlite"), names("postgres"));
}

#[test]
fn every_code_of_an_image_error_is_in_the_table_of_the_docs_and_no_other() {
    let text = std::fs::read_to_string(root().join("docs/errors.md")).expect("docs/errors.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let documented: Vec<&str> = rows.filter(|(code, _)| *code != "error_code").map(|(code, _)| code).collect();
    let known: Vec<&str> = eyeline_core::ImageErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(documented, known);
    let spelt = |code| serde_json::to_value(code).expect("JSON");
    assert!(eyeline_core::ImageErrorCode::ALL.iter().all(|code| spelt(code) == code.as_str()), "one spelling");
}

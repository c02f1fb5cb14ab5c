//! Holds the map to the code: which crate may know which, and who alone may name an engine.

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

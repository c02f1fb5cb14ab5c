use std::time::Duration;

use figment::Figment;
use figment::providers::{Format as _, Toml};

use super::sources::{Environment, NOT_SETTINGS, PREFIX};
use super::{Flags, Role, Roles, Settings, Tiers};

fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::from_sources(&Figment::from(Environment::read(variables)?))
}

#[test]
fn the_environment_says_what_differs_from_the_defaults() {
    let settings = read(&[("EYELINE_LISTEN", "0.0.0.0:80"), ("EYELINE_TEST_CLOCK", "true"), ("HOME", "/x")]);
    let settings = settings.expect("settings");
    assert_eq!((settings.listen.port(), settings.test_clock, settings.log.as_str()), (80, true, "info"));
}

#[test]
fn the_environment_of_a_client_is_no_setting() {
    for name in NOT_SETTINGS {
        let variable = format!("EYELINE_{}", name.to_ascii_uppercase());
        read(&[(&variable, "x")]).unwrap_or_else(|error| panic!("{variable}: {error}"));
    }
}

#[test]
fn a_switch_is_on_by_1_as_well() {
    for (value, expected) in [("1", true), ("true", true), ("0", false), ("false", false)] {
        assert_eq!(read(&[("EYELINE_TEST_CLOCK", value)]).expect("settings").test_clock, expected, "{value}");
    }
    read(&[("EYELINE_TEST_CLOCK", "2")]).expect_err("neither on nor off");
}

#[test]
fn a_wrong_or_unknown_setting_is_named() {
    for (name, value) in [
        ("EYELINE_LISTEN", "nowhere"),
        ("EYELINE_LISTN", "127.0.0.1:80"),
        ("EYELINE_WORKERS", "x"),
        ("EYELINE_WEBP", "some"),
    ] {
        let error = read(&[(name, value)]).expect_err(name);
        assert!(error.to_ascii_uppercase().contains(&name[PREFIX.len()..]), "{error}");
    }
}

#[test]
fn everything_wrong_is_told_at_once() {
    let error = read(&[("EYELINE_CATALOG_URL", "mysql://x"), ("EYELINE_ADMIN_KEY", "short"), ("EYELINE_SECRET", "12")]);
    let error = error.expect_err("three wrong settings");
    for name in ["EYELINE_CATALOG_URL has", "EYELINE_ADMIN_KEY has", "EYELINE_SECRET has"] {
        assert!(error.contains(name), "{name} in {error}");
    }
}

#[test]
fn each_wrong_setting_is_told_with_its_source() {
    let file = Toml::string("listen = \"nowhere\"\ncolour = 1\nsweep_seconds = 0\nworkers = 3");
    let variables = [("EYELINE_WORKERS", "many"), ("EYELINE_CACHE_URL", "memcached://x"), ("EYELINE_WEBP", "small")];
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let sources = Figment::from(file).merge(Environment::read(variables).expect("an environment"));
    let error = Settings::from_sources(&sources).expect_err("five wrong settings");
    let lines: Vec<&str> = error.lines().skip(1).collect();
    assert_eq!(lines.len(), 5, "{error}");
    for (name, source) in [
        ("listen", "TOML"),
        ("colour", "TOML"),
        ("sweep_seconds", "TOML"),
        ("EYELINE_WORKERS", "the environment"),
        ("EYELINE_CACHE_URL", "the environment"),
    ] {
        assert!(lines.iter().any(|line| line.contains(name) && line.contains(source)), "{name} in {error}");
    }
}

#[test]
fn a_secret_may_stand_in_a_file_and_look_like_a_number() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let digits = "1".repeat(64);
    std::fs::write(file.path(), format!("{digits}\n")).expect("a secret");
    let settings = read(&[("EYELINE_SECRET_FILE", file.path().to_str().expect("a path"))]).expect("settings");
    assert_eq!(settings.secret, Some(digits));
    assert!(read(&[("EYELINE_SECRET_FILE", "/nowhere")]).expect_err("no file").contains("EYELINE_SECRET_FILE"));
}

#[test]
fn what_may_be_decoded_at_once_has_room_for_the_largest_picture() {
    let settings = Settings::default();
    assert!(settings.decode_bytes_max() >= settings.largest_picture_bytes());
    assert!(settings.largest_picture_bytes() > 1 << 30);
    let error = read(&[("EYELINE_DECODE_BYTES_MAX", "1000000")]).expect_err("too little");
    assert!(error.contains("EYELINE_DECODE_BYTES_MAX") && error.contains("largest picture"), "{error}");
    let settings = read(&[("EYELINE_DECODE_BYTES_MAX", "2000000000")]).expect("settings");
    assert_eq!(settings.decode_bytes_max(), 2_000_000_000);
}

#[test]
fn events_are_kept_for_ever_or_for_longer_than_what_is_sent_again_is_known() {
    assert_eq!(Settings::default().events_kept(), None);
    let error = read(&[("EYELINE_EVENTS_KEEP_DAYS", "7")]).expect_err("too few");
    assert!(error.contains("EYELINE_EVENTS_KEEP_DAYS") && error.contains("at least 8"), "{error}");
    for wrong in ["soon", "-1", "8.5"] {
        read(&[("EYELINE_EVENTS_KEEP_DAYS", wrong)]).expect_err(wrong);
    }
    let settings = read(&[("EYELINE_EVENTS_KEEP_DAYS", "8")]).expect("settings");
    assert_eq!(settings.events_kept(), Some(Duration::from_secs(8 * 86_400)));
}

#[test]
fn no_secret_is_shown() {
    let settings = read(&[
        ("EYELINE_ADMIN_KEY", "eyl_admin_0123456789abcdef"),
        ("EYELINE_SECRET", &"ab".repeat(32)),
        ("EYELINE_CATALOG_URL", "postgres://me:hush@db.example/eyeline"),
        ("EYELINE_CACHE_URL", "rediss-cluster://:still@one:7000,two:7000"),
        ("EYELINE_INBOX_URL", "nats://quiet@one:4222"),
    ]);
    let shown = serde_json::to_string(&settings.expect("settings").masked()).expect("JSON");
    for secret in ["0123456789abcdef", "abab", "hush", "still", "quiet"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("postgres://me:********@db.example/eyeline"), "{shown}");
    assert!(shown.contains("rediss-cluster://********@one:7000,two:7000"), "{shown}");
    assert!(shown.contains("nats://********@one:4222"), "{shown}");
}

#[test]
fn a_wrong_address_of_the_inbox_is_explained_without_its_secret() {
    for url in
        ["kafka://:hush@one", "nats://", "nats://me:hush@one:x", "nats://hush@one?stream=a.b", "tls://me:hu?sh@one"]
    {
        let error = read(&[("EYELINE_INBOX_URL", url)]).expect_err(url);
        assert!(error.contains("EYELINE_INBOX_URL") && !error.contains("hush"), "{url}: {error}");
    }
    let settings = read(&[
        ("EYELINE_INBOX_URL", "nats://one,two?stream=photos&partitions=4"),
        ("EYELINE_SECRET", &"ab".repeat(32)),
        ("EYELINE_ADMIN_KEY", "eyl_admin_0123456789abcdef"),
    ]);
    assert!(settings.expect("settings").is_scaled_out(), "an inbox that processes share");
}

#[test]
fn objects_are_in_a_folder_or_in_buckets_with_credentials() {
    let key = [("AWS_ACCESS_KEY_ID", "0123"), ("AWS_SECRET_ACCESS_KEY", "hush")];
    let with = |more: &[(&str, &str)]| read(&[&key[..], more].concat());
    let settings = with(&[("EYELINE_OBJECTS_URL", "s3://photos"), ("AWS_REGION", "eu-west-1")]).expect("settings");
    let location = settings.objects();
    assert!(location.is_bucket());
    assert_eq!(location.access_key_id.as_deref(), Some("0123"), "a key that looks like a number is none");
    assert_eq!(location.region.as_deref(), Some("eu-west-1"));
    let shown = serde_json::to_string(&settings.masked()).expect("JSON");
    assert!(!shown.contains("hush"), "{shown}");

    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "from a file\n").expect("a secret");
    let path = file.path().to_str().expect("a path");
    let url = ("EYELINE_OBJECTS_URL", "s3://photos");
    let settings = read(&[key[0], ("AWS_SECRET_ACCESS_KEY_FILE", path), url]).expect("settings");
    assert_eq!(settings.objects().secret_access_key.as_deref(), Some("from a file"));

    let empty = with(&[url, ("AWS_SESSION_TOKEN", ""), ("AWS_ENDPOINT_URL", "")]).expect("settings").objects();
    assert_eq!((empty.session_token, empty.endpoint), (None, None));
    assert!(!with(&[]).expect("settings").objects().is_bucket(), "the environment alone chooses no bucket");
    for wrong in [
        read(&[url]),
        with(&[("EYELINE_OBJECTS_URL", "s3://Photos")]),
        with(&[url, ("EYELINE_OBJECTS_PUBLIC_BUCKET", "public")]),
        with(&[("EYELINE_OBJECTS_PUBLIC_BUCKET", "public"), ("EYELINE_OBJECTS_PUBLIC_URL", "https://cdn.example")]),
        with(&[url, ("EYELINE_UPLOAD_LINK_SECONDS", "604800")]),
    ] {
        let error = wrong.expect_err("a wrong location");
        assert!(error.contains("EYELINE_OBJECTS_URL") || error.contains("objects_url"), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
}

#[test]
fn the_cache_is_in_memory_or_in_redis() {
    for url in [
        "memory:",
        "memory:?mb=8",
        "redis://127.0.0.1:6379",
        "redis://me:secret@cache.example:7000/3",
        "rediss://:secret@[::1]:6380/0",
        "redis-cluster://one:7000,two:7000,three",
        "rediss-cluster://me:secret@one",
    ] {
        assert_eq!(read(&[("EYELINE_CACHE_URL", url)]).expect(url).cache_url, url);
    }
    for url in [
        "",
        "memory:8",
        "memory:?mb=many",
        "redis:6379",
        "redis://:hush@",
        "redis://hush@host",
        "redis://:hush@host/main",
        "redis://:hu/hush@host:x",
        "redis://:hush@one,two",
        "redis-cluster://:hush@one/1",
        "valkey+sentinel://:hush@one",
    ] {
        let error = read(&[("EYELINE_CACHE_URL", url)]).expect_err(url);
        assert!(error.contains("EYELINE_CACHE_URL") && !error.contains("hush"), "{url}: {error}");
    }
}

#[test]
fn the_public_address_is_an_origin_and_nothing_more() {
    for (given, shown) in [
        ("https://photos.example.com", "https://photos.example.com"),
        ("https://Photos.example.com:443/", "https://photos.example.com"),
        ("http://192.0.2.1:8009", "http://192.0.2.1:8009"),
        ("http://[2001:db8::1]:8009/", "http://[2001:db8::1]:8009"),
    ] {
        assert_eq!(read(&[("EYELINE_PUBLIC_URL", given)]).expect(given).public_url(), shown);
    }
    for wrong in [
        "https://",
        "https:///",
        "https://host/photos",
        "https://host/photos/",
        "https://host//",
        "https://host?",
        "https://host/?a=b",
        "https://host#",
        "https://host/#top",
        "https://me@host",
        "https://me:secret@host",
        "https://:@host:x",
        "https://host:99999",
        "https://host:0",
        "https://ho st",
        "https:host",
        "https:\\\\host",
        "ftp://host",
        "host.example",
        "",
    ] {
        let error = read(&[("EYELINE_PUBLIC_URL", wrong)]).expect_err(wrong);
        assert!(error.contains("EYELINE_PUBLIC_URL") && error.contains("host name"), "{wrong}: {error}");
    }
}

#[test]
fn the_limits_of_tiers_are_given_as_json_or_as_figment_writes_them() {
    for text in [
        r#"{"free": {"images_max": 7}, "business": {"file_bytes_max": 9000000000, "images_max": 1}}"#,
        "{free={images_max=7},business={file_bytes_max=9000000000,images_max=1}}",
    ] {
        let tiers = read(&[("EYELINE_TIERS", text)]).expect(text).tiers;
        assert_eq!((tiers.free.images_max, tiers.free.file_bytes_max), (7, Tiers::default().free.file_bytes_max));
        assert_eq!((tiers.business.images_max, tiers.business.file_bytes_max), (1, 9_000_000_000));
        assert_eq!(tiers.premium, Tiers::default().premium);
    }
    for wrong in [
        r#"{"gold": {"images_max": 7}}"#,
        r#"{"free": {"images_max": "x"}}"#,
        r#"{"free": 7"#,
        "free",
        "[]",
        r#"{"free": [1, 2]}"#,
    ] {
        let error = read(&[("EYELINE_TIERS", wrong)]).expect_err(wrong);
        assert!(error.to_ascii_uppercase().contains("TIERS"), "{error}");
    }
}

#[test]
fn proxies_are_addresses_and_networks() {
    let settings = read(&[("EYELINE_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1")]).expect("settings");
    let trusts = |text: &str| settings.is_trusted_proxy(text.parse().expect("an address"));
    assert!(trusts("10.1.2.3") && trusts("192.0.2.1") && !trusts("192.0.2.2"));
    assert!(read(&[("EYELINE_TRUSTED_PROXIES", "everyone")]).is_err());
}

#[test]
fn some_of_the_roles_need_shared_engines_and_one_sentence_names_all_that_are_not() {
    let error = read(&[("EYELINE_ROLES", "ingest, api")]).expect_err("embedded engines");
    let sentences: Vec<&str> = error.lines().filter(|line| line.contains("EYELINE_ROLES")).collect();
    let [sentence] = sentences[..] else { panic!("one sentence in {error}") };
    for part in
        ["api,ingest", "CATALOG_URL (sqlite:)", "OBJECTS_URL (file:)", "INBOX_URL (sqlite:)", "CACHE_URL (memory:)"]
    {
        assert!(sentence.contains(part), "{part} in {sentence}");
    }
    for name in ["  secret has to be set", "  admin_key has to be set"] {
        assert!(error.contains(name), "{name} in {error}");
    }
    let shared = [("EYELINE_CATALOG_URL", "postgres://u@h/d"), ("EYELINE_CACHE_URL", "redis://h:1/0")];
    let error = read(&[&shared[..], &[("EYELINE_ROLES", "worker")]].concat()).expect_err("the others are embedded");
    assert!(error.contains("OBJECTS_URL") && !error.contains("CATALOG_URL") && !error.contains("CACHE_URL"), "{error}");
}

#[test]
fn roles_are_a_list_and_all_unless_they_are_named() {
    let settings = read(&[]).expect("settings");
    assert!(settings.roles.are_all() && !settings.is_scaled_out());
    assert!(read(&[("EYELINE_ROLES", "api,worker,ingest")]).expect("settings").roles.are_all());
    assert_eq!(Roles::try_from("ingest, api,api".to_owned()), Ok(Roles::of(&[Role::Api, Role::Ingest])));
    for wrong in ["api,queen", ","] {
        let error = read(&[("EYELINE_ROLES", wrong)]).expect_err(wrong);
        assert!(error.contains("api, worker, ingest"), "{error}");
    }
}

#[test]
fn roles_on_the_command_line_win() {
    let environment = [("EYELINE_ROLES".to_owned(), "worker".to_owned())];
    let environment = Environment::read(environment.into_iter()).expect("an environment");
    let flags = Flags { roles: Some(Roles::default()) };
    let sources = Figment::from(environment).merge(flags);
    assert!(Settings::from_sources(&sources).expect("settings").roles.are_all());
}

#[test]
fn only_a_process_beside_others_is_slow_to_stop() {
    assert_eq!(Settings::default().drain_seconds(), 0);
    assert_eq!(Settings { roles: Roles::of(&[Role::Api]), ..Settings::default() }.drain_seconds(), 5);
    assert_eq!(Settings { drain_seconds: Some(9), ..Settings::default() }.drain_seconds(), 9);
}

/// The rows of the tables in `docs/settings.md`: setting and default. Variables of the object store have no prefix.
fn reference() -> Vec<(String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
    let text = std::fs::read_to_string(path).expect("docs/settings.md");
    let rows = text.lines().filter_map(|line| {
        let row = line.strip_prefix("| `").filter(|row| row.starts_with("EYELINE_") || row.starts_with("AWS_"))?;
        let mut cells = row.strip_prefix("EYELINE_").unwrap_or(row).split('|').map(str::trim);
        Some((cells.next()?.trim_end_matches('`').to_ascii_lowercase(), cells.next()?.to_owned()))
    });
    rows.collect()
}

#[test]
fn the_reference_has_every_setting_with_its_default_and_no_other() {
    let defaults = serde_json::to_value(Settings::default()).expect("JSON");
    let defaults = defaults.as_object().expect("an object");
    let rows = reference();
    let mut named: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
    named.sort_unstable();
    assert_eq!(named, defaults.keys().map(String::as_str).collect::<Vec<_>>());
    for (name, told) in &rows {
        let default = match &defaults[name] {
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::String(text) if text.is_empty() => "none".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Bool(switch) => switch.to_string(),
            // A computed default has no fixed value to compare.
            _ => continue,
        };
        let told = told.split(" (").next().unwrap_or_default().replace(['`', ','], "");
        assert_eq!(told, default.replace(',', ""), "default of {name}");
    }
}

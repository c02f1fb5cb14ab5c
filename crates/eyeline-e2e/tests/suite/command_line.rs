//! The commands of the binary, and how a server starts and stops.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Output;

use eyeline_e2e::photos::{self, Picture};
use eyeline_e2e::project::{gallery_event, row};
use eyeline_e2e::uploads::id;
use eyeline_e2e::{Project, Server, on_both_catalogs};
use serde_json::{Value, json};

on_both_catalogs!(
    versions_of_local_files_are_written_side_by_side,
    a_catalogue_is_imported_once_however_often,
    an_export_of_a_shop_is_imported_with_the_words_of_the_route,
    a_folder_of_photos_is_imported_once_however_often,
    a_photo_that_was_refused_is_not_sent_again,
    a_second_server_on_the_same_folder_is_refused,
    a_part_of_the_roles_on_engines_of_one_process_is_refused,
    a_migration_beside_a_running_server_is_refused,
    a_server_that_is_asked_to_stop_ends_in_order_and_has_kept_everything,
    a_wrong_setting_is_named,
    the_settings_are_shown_without_their_secrets,
    a_key_is_created_that_works,
    a_demo_plays_visitors_and_is_deleted_whole,
    a_fresh_sign_in_link_works_once,
    an_import_without_anything_to_import_creates_nothing,
    every_wrong_setting_is_named_with_its_source,
    completions_and_manual_pages_know_the_commands,
);

/// Runs a command of the binary with the server's settings to its end.
fn run(server: &Server, arguments: &[&str]) -> Output {
    server.command().args(arguments).output().expect("the binary starts")
}

/// Both outputs, for messages and for checks of either.
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn expect_success(output: &Output) {
    assert!(output.status.success(), "{}: {}", output.status, said(output));
}

/// Fails unless the command failed with a sentence that holds this word, without a panic.
#[track_caller]
fn expect_refusal(output: &Output, word: &str) {
    let said = said(output);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(word) && !said.contains("panicked"), "no {word} in: {said}");
}

async fn versions_of_local_files_are_written_side_by_side(server: Server) {
    let folder = server.folder();
    fs::write(folder.join("beach.jpg"), photos::jpeg(1000, 700).bytes.as_slice()).expect("a photo");
    fs::write(folder.join("logo.png"), photos::png_half_transparent(400, 300).bytes.as_slice()).expect("a picture");
    expect_success(&run(&server, &["versions", "beach.jpg", "logo.png", "--out", "out"]));
    let expected = [
        ("beach-thumb.jpg", 150, 105),
        ("beach-big_thumb.jpg", 700, 490),
        ("beach-big_1920.jpg", 1000, 700),
        ("beach-d2500.jpg", 1000, 700),
        ("logo-thumb.png", 150, 113),
        ("logo-d2500.png", 400, 300),
    ];
    for (name, width, height) in expected {
        let version = fs::read(folder.join("out").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let picture = Picture::decode(&version);
        assert_eq!((picture.width, picture.height), (width, height), "{name}");
    }

    assert!(!folder.join("out/beach-thumb.webp").exists(), "WebP only on demand");
    expect_success(&run(&server, &["versions", "beach.jpg", "logo.png", "--out", "small", "--webp", "small"]));
    for (name, width, height) in
        [("beach-thumb.webp", 150, 105), ("beach-big_thumb.webp", 700, 490), ("logo-thumb.webp", 150, 113)]
    {
        let version = fs::read(folder.join("small").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let picture = Picture::decode(&version);
        assert_eq!((picture.width, picture.height), (width, height), "{name}");
    }
    assert!(folder.join("small/logo-thumb.png").exists() && !folder.join("small/beach-d2500.webp").exists());
    expect_refusal(&run(&server, &["versions", "beach.jpg", "--out", "out", "--webp", "some"]), "small");

    fs::write(folder.join("broken.jpg"), b"no photo").expect("a file");
    fs::remove_dir_all(folder.join("out")).expect("the folder of versions");
    expect_refusal(&run(&server, &["versions", "broken.jpg", "beach.jpg", "--out", "out"]), "broken.jpg");
    assert!(folder.join("out/beach-thumb.jpg").exists(), "one bad file does not stop the others");
}

/// Imports a file or folder twice into the same gallery; returns what the gallery shows after each.
async fn import_twice(server: &Server, source: &str) -> [Vec<Value>; 2] {
    let mut shown = [Vec::new(), Vec::new()];
    for shown in &mut shown {
        let arguments = ["import", source, "--project", "Imported shop", "--gallery", "Imported pictures"];
        let output = server.command().env("EYELINE_URL", server.admin.root_url("")).args(arguments).output();
        expect_success(&output.expect("the binary starts"));
        let projects = server.admin.get("/projects").await.expect(200).json();
        assert_eq!(projects["projects"].as_array().map(Vec::len), Some(1), "made by name, once: {projects}");
        let project_id = id(&projects["projects"][0], "project_id");
        let galleries = server.admin.get(&format!("/galleries?project_id={project_id}")).await.expect(200).json();
        assert_eq!(galleries["galleries"].as_array().map(Vec::len), Some(1), "made by name, once: {galleries}");
        let gallery_id = id(&galleries["galleries"][0], "gallery_id");
        let images = format!("/projects/{project_id}/images");
        for image in server.admin.get(&images).await.expect(200).json()["images"].as_array().expect("images") {
            wait_until_final(server, &id(image, "image_id")).await;
        }
        server.admin.post_nothing(&format!("/galleries/{gallery_id}/refresh")).await.expect(200);
        let page = server.admin.get(&format!("/galleries/{gallery_id}/images")).await.expect(200).json();
        *shown = page["items"].as_array().expect("items").clone();
    }
    shown
}

async fn wait_until_final(server: &Server, image_id: &str) {
    for _ in 0..600 {
        let image = server.admin.get(&format!("/images/{image_id}")).await.expect(200).json();
        if matches!(image["state"].as_str(), Some("done" | "error")) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{image_id} is not final after 30 s");
}

async fn a_catalogue_is_imported_once_however_often(server: Server) {
    let csv = "external_id,name,url,created_at\n\
        a,First,https://cdn.example/a.jpg,2024-01-01T00:00:00Z\n\
        b,Second,https://cdn.example/b.jpg,2024-01-02T00:00:00Z\n";
    fs::write(server.folder().join("catalogue.csv"), csv).expect("a catalogue");
    for items in import_twice(&server, "catalogue.csv").await {
        let names: Vec<&Value> = items.iter().map(|item| &item["name"]).collect();
        assert_eq!(names, ["Second", "First"]);
    }
}

async fn an_export_of_a_shop_is_imported_with_the_words_of_the_route(server: Server) {
    let import = |rows: &str| {
        let csv = format!("Handle;Title;Image Src;Image Position\r\n{rows}");
        let latin: Vec<u8> = csv.chars().map(|letter| u8::try_from(letter).expect("Latin-1")).collect();
        fs::write(server.folder().join("export.csv"), latin).expect("an export");
        let arguments = "import export.csv --project Shop --gallery Pictures --map shopify --replace --charset latin1";
        let mut command = server.command();
        let output = command.env("EYELINE_URL", server.admin.root_url("")).args(arguments.split(' ')).output();
        let output = output.expect("the binary starts");
        expect_success(&output);
        said(&output)
    };
    let said = import(
        "shirt;Gr\u{fc}n;https://cdn.example/1.jpg;1\nshirt;;https://cdn.example/2.jpg;2\nhat;;https://cdn.example/3.jpg;1\n",
    );
    assert!(said.contains("2 created, 0 updated, 1 unchanged, 0 removed, 0 rejected"), "{said}");
    let said = import("shirt;Gr\u{fc}n;https://cdn.example/1.jpg;1\n");
    assert!(said.contains("0 created, 0 updated, 1 unchanged, 1 removed, 0 rejected"), "{said}");
    let gallery = server.admin.get("/projects").await.expect(200).json()["projects"][0]["project_id"].clone();
    let query = format!("/galleries?project_id={}", gallery.as_str().expect("an id"));
    let gallery_id = id(&server.admin.get(&query).await.expect(200).json()["galleries"][0], "gallery_id");
    let page = server.admin.get(&format!("/galleries/{gallery_id}/images")).await.expect(200).json();
    assert_eq!(page["items"][0]["name"], "Gr\u{fc}n", "{page}");
}

async fn a_folder_of_photos_is_imported_once_however_often(server: Server) {
    let folder = server.folder().join("photos");
    fs::create_dir(&folder).expect("a folder");
    // The fourth is a JPEG with another extension, and the last is the same file under another name.
    let names = [&b"0.jpg"[..], b"1.JFIF", b"r\xe9sum\xe9.jpe", b"3.HEIC", b"4.avif"];
    for (number, name) in names.into_iter().enumerate() {
        let photo = photos::jpeg(100, 80).with_comment(&number.min(3).to_string());
        fs::write(folder.join(OsStr::from_bytes(name)), photo.bytes.as_slice()).expect("a photo");
    }
    fs::write(folder.join("notes.pdf"), "no photo").expect("a file");
    for items in import_twice(&server, "photos").await {
        let mut names: Vec<&str> = items.iter().filter_map(|item| item["name"].as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["0.jpg", "1.JFIF", "3.HEIC", "résumé.jpe"], "{items:?}");
    }
}

async fn a_photo_that_was_refused_is_not_sent_again(server: Server) {
    let folder = server.folder().join("mixed");
    fs::create_dir(&folder).expect("a folder");
    let good = photos::jpeg(100, 80).bytes;
    fs::write(folder.join("good.jpg"), good.as_slice()).expect("a photo");
    fs::write(folder.join("text.jpg"), "no picture at all").expect("a file");
    fs::write(folder.join("cut.png"), &photos::png_half_transparent(90, 70).bytes[..60]).expect("a file");
    fs::write(folder.join("cut.jpg"), &good[..good.len() / 3]).expect("a file");
    let import = |further: &[&str]| {
        let arguments = ["import", "mixed", "--project", "Shop", "--gallery", "Home"];
        run_at(&server, &[&arguments[..], further].concat())
    };
    let images = async || {
        let projects = server.admin.get("/projects").await.expect(200).json();
        let path = format!("/projects/{}/images?limit=100", id(&projects["projects"][0], "project_id"));
        server.admin.get(&path).await.expect(200).json()["images"].as_array().expect("images").len()
    };

    expect_refusal(&import(&[]), "3 photos could not be imported");
    assert_eq!(images().await, 4);
    let again = import(&[]);
    expect_success(&again);
    let told = said(&again);
    for words in [
        "3 photos not sent again",
        "text.jpg: ",
        "cut.png: ",
        "cut.jpg: ",
        "0 sent",
        "1 already there, 3 refused before",
    ] {
        assert!(told.contains(words), "{words} in: {told}");
    }
    assert_eq!(images().await, 4, "nothing is asked for again");
    // The bytes matter, not the name.
    fs::rename(folder.join("text.jpg"), folder.join("renamed.jpg")).expect("another name");
    expect_success(&import(&[]));
    assert_eq!(images().await, 4);

    expect_refusal(&import(&["--retry-refused"]), "3 photos could not be imported");
    assert_eq!(images().await, 7, "they were sent again");
}

async fn a_second_server_on_the_same_folder_is_refused(server: Server) {
    let listen = format!("127.0.0.1:{}", eyeline_e2e::server::free_port());
    let second = server.command().env("EYELINE_LISTEN", listen).arg("serve").output().expect("the binary starts");
    expect_refusal(&second, "data");
    server.admin.get("/projects").await.expect(200);
}

async fn a_part_of_the_roles_on_engines_of_one_process_is_refused(server: Server) {
    let output = run(&server, &["serve", "--roles", "api,worker"]);
    let inbox = "EYELINE_INBOX_URL (sqlite:)";
    for setting in ["EYELINE_OBJECTS_URL (file:)", "EYELINE_CACHE_URL (memory:)"] {
        expect_refusal(&output, setting);
    }
    // Beside PostgreSQL it is in NATS, which processes share.
    let is_embedded = server.database_url().is_none();
    assert_eq!(said(&output).contains(inbox), is_embedded, "{}", said(&output));
}

async fn a_migration_beside_a_running_server_is_refused(mut server: Server) {
    expect_refusal(&run(&server, &["migrate"]), "running");
    server.stop().await;
    expect_success(&run(&server, &["migrate"]));
    server.start_again().await;
}

async fn a_server_that_is_asked_to_stop_ends_in_order_and_has_kept_everything(mut server: Server) {
    let project = Project::create(&server, "restart").await;
    let gallery_id = project.gallery("restart").await;
    project.load(&gallery_id, &json!([row("a", 0), row("b", 1)])).await;
    for _ in 0..5 {
        project.send_event(&gallery_event("view", &gallery_id, "a")).await.expect(201);
    }
    let before = project.refresh(&gallery_id).await;
    assert_eq!(before["applied_events"], 5);
    project.send_event(&gallery_event("view", &gallery_id, "a")).await.expect(201);

    let status = server.stop().await;
    assert!(status.success(), "{status}: {}", server.log());
    server.start_again().await;
    let after = project.refresh(&gallery_id).await;
    assert_eq!(after["applied_events"], 6);
    let page = project.key.get(&format!("/galleries/{gallery_id}/images")).await.expect(200).json();
    assert_eq!((&page["items"][0]["external_id"], &page["items"][0]["weight"]), (&json!("a"), &json!(6)));
}

async fn a_wrong_setting_is_named(server: Server) {
    let wrong = |name: &str, value: &str| {
        server.command().env(name, value).args(["config", "check"]).output().expect("the binary starts")
    };
    expect_refusal(&wrong("EYELINE_LISTEN", "nowhere"), "EYELINE_LISTEN");
    expect_refusal(&wrong("EYELINE_CATALOG_URL", "mysql://127.0.0.1/eyeline"), "EYELINE_CATALOG_URL");
    for address in ["https://host/photos", "https://", "https://host?a=b", "https://host#top", "https://me:it@host"] {
        expect_refusal(&wrong("EYELINE_PUBLIC_URL", address), "EYELINE_PUBLIC_URL has to be");
        let mut serve = server.command();
        let started = serve.env("EYELINE_PUBLIC_URL", address).arg("serve").output().expect("the binary starts");
        expect_refusal(&started, "EYELINE_PUBLIC_URL has to be");
    }
    expect_success(&wrong("EYELINE_PUBLIC_URL", "https://Photos.example:443/"));
    expect_success(&run(&server, &["config", "check"]));
}

async fn the_settings_are_shown_without_their_secrets(server: Server) {
    let output = run(&server, &["config", "show"]);
    expect_success(&output);
    let said = said(&output);
    let (_, authorization) = server.admin.credential_header().expect("the admin key");
    let admin_key = authorization.trim_start_matches("Bearer ");
    assert!(said.contains(&server.port().to_string()), "{said}");
    assert!(!said.contains(admin_key), "the admin key is shown: {said}");
}

async fn a_key_is_created_that_works(server: Server) {
    let project = Project::create(&server, "keys").await;
    let arguments = ["keys", "create", "--project", &project.id, "--name", "second shop", "--json"];
    let output = server.command().env("EYELINE_URL", server.admin.root_url("")).args(arguments).output();
    let output = output.expect("the binary starts");
    expect_success(&output);
    let made: Value = serde_json::from_slice(&output.stdout).expect("JSON for scripts");
    let key = server.admin.with_bearer(&id(&made, "secret_key"));
    key.get(&format!("/projects/{}/images", project.id)).await.expect(200);
}

/// Runs a command against the running server.
fn run_at(server: &Server, arguments: &[&str]) -> Output {
    let output = server.command().env("EYELINE_URL", server.admin.root_url("")).args(arguments).output();
    output.expect("the binary starts")
}

async fn project_names(server: &Server) -> Vec<String> {
    let projects = server.admin.get("/projects?limit=100").await.expect(200).json();
    let rows = projects["projects"].as_array().expect("projects").clone();
    rows.iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect()
}

async fn a_demo_plays_visitors_and_is_deleted_whole(server: Server) {
    let output = run_at(&server, &["demo", "--visits", "300"]);
    expect_success(&output);
    let told = said(&output);
    let times = told.split("visits made ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
    assert!(times > Some(1.1), "the learned order brings more clicks than the newest first: {told}");
    assert_eq!(project_names(&server).await, ["Eyeline demo"]);
    let project_id = id(&server.admin.get("/projects").await.expect(200).json()["projects"][0], "project_id");
    let galleries = server.admin.get(&format!("/galleries?project_id={project_id}")).await.expect(200).json();
    let gallery_id = id(&galleries["galleries"][0], "gallery_id");
    let refreshed = server.admin.post_nothing(&format!("/galleries/{gallery_id}/refresh")).await.expect(200).json();
    assert!(refreshed["applied_events"].as_u64() > Some(1_000), "visitors looked and clicked: {refreshed}");
    let page = server.admin.get(&format!("/galleries/{gallery_id}/images?limit=100")).await.expect(200).json();
    assert_eq!(page["items"].as_array().map(Vec::len), Some(100));

    expect_success(&run_at(&server, &["demo", "--delete"]));
    assert_eq!(project_names(&server).await, Vec::<String>::new());
    expect_success(&run_at(&server, &["demo", "--delete"]));
}

async fn a_fresh_sign_in_link_works_once(server: Server) {
    let output = run_at(&server, &["link"]);
    expect_success(&output);
    let said = said(&output);
    let ticket = said.split("#ticket=").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a ticket");
    server.admin.without_credential().post("/session", &json!({"ticket": ticket})).await.expect(204);
    server.admin.without_credential().post("/session", &json!({"ticket": ticket})).await.expect(401);
}

async fn an_import_without_anything_to_import_creates_nothing(server: Server) {
    let folder = server.folder().join("no-photos");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("notes.pdf"), "no photo").expect("a file");
    fs::write(server.folder().join("empty.csv"), "").expect("a file");
    let sources =
        [("no-photos", "notes.pdf"), ("empty.csv", "empty"), ("nowhere", "nowhere"), ("no-photos/notes.pdf", ".csv")];
    for (source, word) in sources {
        expect_refusal(&run_at(&server, &["import", source, "--project", "New", "--gallery", "New"]), word);
    }
    assert_eq!(project_names(&server).await, Vec::<String>::new());
}

async fn every_wrong_setting_is_named_with_its_source(server: Server) {
    fs::write(server.folder().join("eyeline.toml"), "listen = \"nowhere\"\nsweep_seconds = 0\n").expect("a file");
    let output = server.command().env("EYELINE_WORKERS", "many").args(["config", "check"]).output();
    let output = output.expect("the binary starts");
    fs::remove_file(server.folder().join("eyeline.toml")).expect("the file");
    for word in ["sweep_seconds", "EYELINE_WORKERS", "eyeline.toml", "the environment"] {
        expect_refusal(&output, word);
    }
}

async fn completions_and_manual_pages_know_the_commands(server: Server) {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&server, &["completions", shell]);
        expect_success(&script);
        assert!(said(&script).contains("doctor"), "{shell}: {}", said(&script));
    }
    expect_success(&run(&server, &["man", "pages"]));
    for page in
        ["eyeline.1", "eyeline-import.1", "eyeline-demo.1", "eyeline-backup.1", "eyeline-restore.1", "eyeline-gc.1"]
    {
        assert!(server.folder().join("pages").join(page).exists(), "{page}");
    }
}

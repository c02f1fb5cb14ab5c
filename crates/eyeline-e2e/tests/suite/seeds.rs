//! Requests of the programs that Eyeline replaces, unchanged except for ids, prefix and credential.

use eyeline_e2e::api::send;
use eyeline_e2e::photos;
use eyeline_e2e::project::{gallery_event, row};
use eyeline_e2e::streams::{Socket, path};
use eyeline_e2e::uploads::{expect_taken, id, through_link};
use eyeline_e2e::{Project, Server, on_both_catalogs};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

on_both_catalogs!(
    an_event_of_the_eye_is_stored_and_echoed,
    an_incomplete_event_of_the_eye_gets_the_missing_fields_at_once,
    many_events_of_the_eye_share_a_session,
    a_photo_of_lite_gallery_goes_from_link_to_socket,
    pages_and_images_of_the_emoji_gallery_are_served,
    an_upload_of_the_emoji_app_is_private_to_its_user,
    the_gallery_optimizer_loads_counts_and_serves,
);

const EVENT_OF_THE_EYE: &str = r#"{
    "session_id": "e2085be5-9137-4e4e-80b5-f1ffddc25423",
    "category": "page interaction",
    "name": "pageview",
    "data": {
        "host": "www.consumeraffairs.com",
        "path": "/"
    },
    "timestamp": "2021-01-01 09:15:27.243860"
}"#;

const INCOMPLETE_EVENT_OF_THE_EYE: &str = r#"{
    "session_id": "e2085be5-9137-4e4e-80b5-f1ffddc25423",
    "category": "page interaction",
    "timestamp": "2021-01-01 09:15:27.243860"
}"#;

async fn an_event_of_the_eye_is_stored_and_echoed(server: Server) {
    let project = Project::create(&server, "The Eye").await;
    let echo = project.public.post_text("/events/", "application/json", EVENT_OF_THE_EYE).await.expect(201).json();
    assert_eq!(echo["session_id"], "e2085be5-9137-4e4e-80b5-f1ffddc25423");
    assert_eq!(echo["category"], "page interaction");
    assert_eq!(echo["name"], "pageview");
    assert_eq!(echo["data"], json!({"host": "www.consumeraffairs.com", "path": "/"}));
    assert_eq!(echo["timestamp"], "2021-01-01T09:15:27.243860Z");
    assert_eq!(echo["application"], *project.application_id);
    assert!(echo["received_at"].is_string() && echo["event_id"].is_string(), "{echo}");
}

async fn an_incomplete_event_of_the_eye_gets_the_missing_fields_at_once(server: Server) {
    let project = Project::create(&server, "The Eye").await;
    project.public.post_text("/events/", "application/json", EVENT_OF_THE_EYE).await.expect(201);
    let answer = project.public.post_text("/events/", "application/json", INCOMPLETE_EVENT_OF_THE_EYE).await;
    let errors = answer.expect_problem(400);
    assert_eq!(errors, json!({"name": ["This field is required."], "data": ["This field is required."]}));
}

async fn many_events_of_the_eye_share_a_session(server: Server) {
    let project = Project::create(&server, "The Eye").await;
    let mut ids = std::collections::HashSet::new();
    for _ in 0..3 {
        let echo = project.public.post_text("/events/", "application/json", EVENT_OF_THE_EYE).await.expect(201).json();
        ids.insert(id(&echo, "event_id"));
    }
    assert_eq!(ids.len(), 3);
}

async fn a_photo_of_lite_gallery_goes_from_link_to_socket(server: Server) {
    let project = Project::create(&server, "LITE_Gallery").await;
    let mut socket = Socket::open(&project.key, &path(&project.id, None)).await.expect("the project's stream");
    let photo = photos::jpeg(1000, 700);

    let request = json!({"filename": "hello.jpg", "project_id": project.id});
    let link = project.key.post("/images/", &request).await.expect(201).json();
    assert!(link["upload_link"].is_string() && link["params"].is_object(), "{link}");
    let listed = || async {
        let listed = project.key.get(&format!("/projects/{}/images", project.id)).await.expect(200).json();
        assert_eq!(listed["images"].as_array().map(Vec::len), Some(1), "{listed}");
        listed["images"][0].clone()
    };
    let waiting = listed().await;
    assert_eq!(waiting["state"], "init");
    assert_eq!(waiting["project_id"], *project.id);
    let no_version = json!({"original": null, "thumb": null, "big_thumb": null, "big_1920": null, "d2500": null});
    assert_eq!(waiting["versions"], no_version);

    expect_taken(send(through_link(&project.key, &link, &photo)).await);
    project.key.post_nothing(&format!("/images/{}/complete", id(&link, "image_id"))).await.expect(202);
    let news = socket.until_final(1).await;
    let last = news.last().expect("news");
    assert_eq!((&last["image_id"], &last["state"]), (&link["image_id"], &json!("done")));
    let done = listed().await;
    assert_eq!(done["state"], "done");
    for (name, version) in done["versions"].as_object().expect("versions") {
        assert!(version.as_str().is_some_and(|link| link.starts_with("http")), "{name} is {version}");
    }
}

async fn pages_and_images_of_the_emoji_gallery_are_served(server: Server) {
    let project = Project::create(&server, "Emoji").await;
    let gallery_id = project.gallery("emoji").await;
    let rows: Vec<Value> = (0..25).map(|number| row(&number.to_string(), number)).collect();
    project.load(&gallery_id, &json!(rows)).await;
    project.refresh(&gallery_id).await;

    let gallery = format!("/galleries/{gallery_id}/images");
    let first = project.public.get(&format!("{gallery}?page=1")).await.expect(200).json();
    assert_eq!(first["items"].as_array().map(Vec::len), Some(20), "20 images every time");
    let second = project.public.get(&format!("{gallery}?page=2")).await.expect(200).json();
    assert_eq!(second["items"].as_array().map(Vec::len), Some(5));
    let one = project.public.get(&format!("{gallery}/{}", id(&first["items"][0], "image_id"))).await.expect(200).json();
    assert_eq!(one["url"], "https://cdn.example/24.jpg", "the address of the full image: {one}");
}

async fn an_upload_of_the_emoji_app_is_private_to_its_user(server: Server) {
    let project = Project::create(&server, "Emoji").await;
    let user = project.user("anna", "free");
    let photo = photos::jpeg(1000, 700);
    let part = || Part::bytes(photo.bytes.to_vec()).file_name("mine.jpg").mime_str("image/jpeg").expect("a type");
    let upload = user.request(Method::POST, "/uploads").multipart(Form::new().part("data", part()));
    let image = send(upload).await.expect(201).json();
    assert_eq!(image["state"], "done", "{image}");
    assert_eq!(image["visibility"], "private", "{image}");

    let page = user.get("/uploads?page=1").await.expect(200).json();
    assert_eq!(page["images"].as_array().map(Vec::len), Some(1), "{page}");
    assert_eq!(page["images"][0]["image_id"], image["image_id"]);
    let path = format!("/uploads/{}", id(&image, "image_id"));
    let one = user.get(&path).await.expect(200).json();
    let full = user.without_credential().get(&id(&one["versions"], "original")).await.expect(200);
    assert!(full.body == *photo.bytes, "the full image is the one that was sent");

    let stranger = project.user("bert", "business");
    stranger.get(&path).await.expect_problem(404);
    assert_eq!(stranger.get("/uploads").await.expect(200).json()["images"], json!([]));
    stranger.delete(&path).await.expect_problem(404);

    // With the application's key and the user's name, for applications without user tokens.
    let form = Form::new().text("user_id", "anna").part("data", part());
    send(project.key.request(Method::POST, "/uploads").multipart(form)).await.expect(201);
    let page = user.get("/uploads?page=1").await.expect(200).json();
    assert_eq!(page["images"].as_array().map(Vec::len), Some(2), "{page}");
    user.delete(&path).await.expect(204);
    user.get(&path).await.expect_problem(404);
}

async fn the_gallery_optimizer_loads_counts_and_serves(server: Server) {
    let project = Project::create(&server, "Gallery Tracking Optimizer").await;
    let gallery_id = project.gallery("catalogue").await;
    project.load(&gallery_id, &json!([row("older", 0), row("newer", 1)])).await;
    for _ in 0..6 {
        project.send_event(&gallery_event("view", &gallery_id, "newer")).await.expect(201);
    }
    project.send_event(&gallery_event("click", &gallery_id, "older")).await.expect(201);
    project.refresh(&gallery_id).await;
    let page = project.key.get(&format!("/galleries/{gallery_id}/images")).await.expect(200).json();
    let weights: Vec<Value> =
        page["items"].as_array().expect("items").iter().map(|i| json!([i["external_id"], i["weight"]])).collect();
    assert_eq!(json!(weights), json!([["older", 7], ["newer", 6]]), "a click is worth 7 views");
}

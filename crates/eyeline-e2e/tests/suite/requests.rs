//! Properties of every request: credentials, problems, idempotency, slashes, lists.

use std::collections::HashSet;

use eyeline_e2e::api::{send, try_send};
use eyeline_e2e::photos;
use eyeline_e2e::uploads::{Stated, ask, id};
use eyeline_e2e::{Project, Server, on_both_catalogs};
use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

on_both_catalogs!(
    a_wrong_credential_is_401_and_a_weak_one_403,
    a_rotated_key_is_replaced_and_a_revoked_application_is_out,
    all_wrong_fields_are_named_at_once,
    every_error_is_a_problem_document,
    a_create_sent_again_with_its_key_creates_once,
    a_refusal_before_the_body_breaks_no_pooled_connection,
    a_head_that_is_too_long_is_refused,
    a_trailing_slash_changes_nothing,
    a_list_is_read_to_its_end_by_cursor,
    the_open_doors_need_no_credential,
    the_openapi_document_knows_the_routes,
);

async fn a_wrong_credential_is_401_and_a_weak_one_403(server: Server) {
    let project = Project::create(&server, "credentials").await;
    let nobody = server.admin.without_credential();
    let strangers = [
        nobody.clone(),
        nobody.with_bearer("eyl_sk_0000000000000000000000000000000000000000000"),
        nobody.with_bearer("eyl_admin_0000000000000000000000000000000000000000"),
        nobody.with_bearer("no.user.token"),
        nobody.with_application("0e302fce-66ad-4721-911e-0ab9d33697bf"),
        nobody.with_application("no-uuid"),
    ];
    for stranger in strangers {
        stranger.get("/projects").await.expect_problem(401);
        stranger.post("/images", &json!({})).await.expect_problem(401);
        stranger.post("/events", &json!({})).await.expect_problem(401);
        stranger.get(&format!("/projects/{}/images", project.id)).await.expect_problem(401);
    }
    project.key.get("/projects/").await;
    project.key.post("/projects", &json!({"name": "no project of mine"})).await.expect_problem(403);
    project.public.get(&format!("/projects/{}/images", project.id)).await.expect_problem(403);
    let photo = Stated::Name.request(&project.id, &photos::jpeg(100, 80));
    project.public.post("/images", &photo).await.expect_problem(403);
}

/// Clients keep their connections: after a refusal before the body was read, the next request must succeed.
async fn a_refusal_before_the_body_breaks_no_pooled_connection(server: Server) {
    let project = Project::create(&server, "pools").await;
    let nobody = server.admin.without_credential();
    let body = vec![b' '; 700_000];
    let cases = [
        (&nobody, "/projects", &body[..], 401),
        (&nobody, "/events", &body[..300_000], 401),
        (&project.key, "/nothing", &body[..], 404),
        (&project.key, "/limits", &body[..], 405),
        (&project.key, "/images", &body[..], 415),
        (&project.key, "/events", &body[..], 413),
    ];
    let requests = (0..40).flat_map(|_| cases).map(async |(caller, path, body, status)| {
        let sent = caller.request(Method::POST, path).header("content-type", "text/html").body(body.to_vec());
        let answer = try_send(sent).await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        assert_eq!(answer.status, status, "{answer}");
    });
    futures::stream::iter(requests).buffer_unordered(4).collect::<Vec<()>>().await;
}

async fn a_rotated_key_is_replaced_and_a_revoked_application_is_out(server: Server) {
    let project = Project::create(&server, "rotation").await;
    let application = format!("/applications/{}", project.application_id);
    let rotated = server.admin.post_nothing(&format!("{application}/rotate")).await;
    assert!(matches!(rotated.status, 200 | 201), "{rotated}");
    let renewed = server.admin.with_bearer(&id(&rotated.json(), "secret_key"));
    let images = format!("/projects/{}/images", project.id);
    renewed.get(&images).await.expect(200);
    project.key.get(&images).await.expect(200);
    server.admin.delete(&application).await.expect(204);
    renewed.get(&images).await.expect_problem(401);
    project.key.get(&images).await.expect_problem(401);
    project.public.post("/events", &json!({})).await.expect_problem(401);
}

async fn all_wrong_fields_are_named_at_once(server: Server) {
    let project = Project::create(&server, "fields").await;
    let required = json!(["This field is required."]);
    let missing = project.key.post("/images", &json!({})).await.expect_problem(400);
    assert_eq!((&missing["filename"], &missing["project_id"]), (&required, &required), "{missing}");
    let missing = server.admin.post("/applications", &json!({})).await.expect_problem(400);
    assert_eq!((&missing["project_id"], &missing["name"]), (&required, &required), "{missing}");

    let wrong = json!({
        "filename": 7, "project_id": project.id, "size": -1, "sha256": "short", "gallery_id": "no uuid",
        "visibility": "secret", "access_tier": "gold", "tags": "shoes", "unknown": "ignored",
    });
    let errors = project.key.post("/images", &wrong).await.expect_problem(400);
    let fields: HashSet<&str> = errors.as_object().expect("errors").keys().map(String::as_str).collect();
    for field in ["filename", "size", "sha256", "gallery_id", "visibility", "access_tier", "tags"] {
        assert!(fields.contains(field), "{field} in {errors}");
    }
    assert!(!fields.contains("unknown"), "unknown fields are ignored: {errors}");
}

async fn every_error_is_a_problem_document(server: Server) {
    let project = Project::create(&server, "problems").await;
    let missing = "/images/01890000-0000-7000-8000-000000000000";
    project.key.get(missing).await.expect_problem(404);
    project.key.get("/no/such/route").await.expect_problem(404);
    project.key.get("/images/no-uuid").await.expect_problem(400);
    project.key.patch("/projects", &json!({})).await.expect_problem(405);
    project.key.post_text("/images", "application/json", "{").await.expect_problem(400);
    project.key.post_text("/images", "text/html", "<p>").await.expect_problem(415);
    project.key.post_text("/images", "application/json", "[]").await.expect_problem(400);

    let named = project.key.request(Method::GET, missing).header("x-request-id", "my-request-17");
    let named = send(named).await;
    assert_eq!(named.header("x-request-id"), "my-request-17");
    named.expect_problem(404);
}

async fn a_create_sent_again_with_its_key_creates_once(server: Server) {
    let project = Project::create(&server, "idempotency").await;
    let body = Stated::Name.request(&project.id, &photos::jpeg(100, 80));
    let create =
        |body: &Value| project.key.request(Method::POST, "/images").header("idempotency-key", "k-1").json(body);
    let first = send(create(&body)).await.expect(201).json();
    let second = send(create(&body)).await.expect(201).json();
    assert_eq!(first["image_id"], second["image_id"]);
    let mut other = body.clone();
    other["filename"] = json!("other.jpg");
    send(create(&other)).await.expect_problem(422);
    let listed = project.key.get(&format!("/projects/{}/images", project.id)).await.expect(200).json();
    assert_eq!(listed["images"].as_array().map(Vec::len), Some(1));

    // A secret is shown once, even after a repeated request.
    let application = json!({"project_id": project.id, "name": "second"});
    let create =
        || server.admin.request(Method::POST, "/applications").header("idempotency-key", "k-1").json(&application);
    let first = send(create()).await.expect(201).json();
    let second = send(create()).await.expect(201).json();
    assert_eq!(first["application_id"], second["application_id"]);
    assert!(first["secret_key"].is_string() && !second["secret_key"].is_string(), "{second}");
    assert_eq!(second["secret_shown"], true);
}

async fn a_head_that_is_too_long_is_refused(server: Server) {
    let address = server.admin.root_url("/healthz");
    for (bytes, status) in [(20_000, 200), (400_000, 431)] {
        let request = server.admin.request(Method::GET, &address).header("x-note", "a".repeat(bytes));
        assert_eq!(request.send().await.expect("an answer").status(), status, "{bytes} bytes");
    }
}

async fn a_trailing_slash_changes_nothing(server: Server) {
    let project = Project::create(&server, "slashes").await;
    let gallery_id = project.gallery("slashes").await;
    let image_id = id(&ask(&project, Stated::Name, &photos::jpeg(100, 80)).await, "image_id");
    let paths = [
        "/projects".to_owned(),
        format!("/projects/{}", project.id),
        format!("/projects/{}/images", project.id),
        format!("/images/{image_id}"),
        format!("/galleries/{gallery_id}"),
        format!("/galleries/{gallery_id}/images"),
        "/limits".to_owned(),
    ];
    for path in paths {
        let plain = server.admin.get(&path).await.expect(200).json();
        assert_eq!(server.admin.get(&format!("{path}/")).await.expect(200).json(), plain, "{path}/");
    }
    // A proxy that hides an address from strangers knows only one spelling of it.
    for path in ["//metrics", "//healthz", "/api//v1/projects", "//api/v1/projects"] {
        server.admin.get(&server.admin.root_url(path)).await.expect(404);
    }
    let plain = server.admin.get(&format!("/projects/{}/images?limit=1", project.id)).await.expect(200).json();
    let slashed = server.admin.get(&format!("/projects/{}/images/?limit=1", project.id)).await.expect(200).json();
    assert_eq!(plain, slashed, "with a query");
}

async fn a_list_is_read_to_its_end_by_cursor(server: Server) {
    let project = Project::create(&server, "lists").await;
    let mut asked = HashSet::new();
    for number in 0..5 {
        let photo = photos::jpeg(100, 80).with_comment(&number.to_string());
        asked.insert(id(&ask(&project, Stated::Name, &photo).await, "image_id"));
    }
    let path = format!("/projects/{}/images?limit=2", project.id);
    let mut listed = Vec::new();
    let mut address = path.clone();
    loop {
        let answer = project.key.get(&address).await.expect(200);
        let page = answer.json();
        let images = page["images"].as_array().expect("images");
        listed.extend(images.iter().map(|image| id(image, "image_id")));
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert_eq!(answer.header("link"), "");
            break;
        };
        assert!(answer.header("link").contains("rel=\"next\""), "{:?}", answer.headers);
        address = format!("{path}&cursor={cursor}");
    }
    assert_eq!(listed.len(), 5, "each once");
    assert_eq!(listed.into_iter().collect::<HashSet<_>>(), asked);
    project.key.get(&format!("{path}&cursor=nonsense")).await.expect_problem(400);
    project.key.get(&format!("/projects/{}/images?limit=0", project.id)).await.expect_problem(400);
}

async fn the_open_doors_need_no_credential(server: Server) {
    let nobody = server.admin.without_credential();
    for path in ["/healthz", "/readyz", "/docs", "/"] {
        let answer = nobody.get(&nobody.root_url(path)).await;
        assert_eq!(answer.status, 200, "{answer}");
    }
    nobody.get(&nobody.root_url("/metrics")).await.expect_problem(401);
}

async fn the_openapi_document_knows_the_routes(server: Server) {
    let document = server.admin.without_credential().get("/openapi.json").await.expect(200).json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{}", document["openapi"]);
    let paths: HashSet<&str> = document["paths"].as_object().expect("paths").keys().map(String::as_str).collect();
    for path in ["/images", "/images/{image_id}", "/events", "/events/batch", "/galleries/{gallery_id}/images"] {
        assert!(paths.contains(format!("/api/v1{path}").as_str()), "{path} in {paths:?}");
    }
}

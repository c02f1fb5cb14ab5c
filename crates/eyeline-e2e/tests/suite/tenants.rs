//! Another project's keys can neither see nor change anything of a project, for which it seems not to exist.

use eyeline_e2e::photos;
use eyeline_e2e::project::row;
use eyeline_e2e::uploads::{Stated, id, upload_until_done};
use eyeline_e2e::{Project, Server, on_both_catalogs};
use reqwest::Method;
use serde_json::{Value, json};

on_both_catalogs!(
    another_projects_objects_do_not_exist,
    another_projects_private_gallery_does_not_exist,
    what_a_foreign_key_tried_has_changed_nothing,
);

struct Owned {
    project: Project,
    gallery_id: String,
    image_id: String,
    event_id: String,
}

async fn owned(server: &Server) -> Owned {
    let project = Project::create(server, "owner").await;
    let gallery_id = project.gallery("owned").await;
    project.load(&gallery_id, &json!([row("a", 0)])).await;
    let image = upload_until_done(&project, Stated::Name, &photos::jpeg(100, 80)).await;
    let event = json!({
        "session_id": "e2085be5-9137-4e4e-80b5-f1ffddc25423", "category": "page interaction", "name": "pageview",
        "data": {}, "timestamp": "2024-06-01T12:00:00Z",
    });
    let event_id = id(&project.send_event(&event).await.expect(201).json(), "event_id");
    Owned { image_id: id(&image, "image_id"), gallery_id, event_id, project }
}

/// Every request that names something of the owner's: method, path, body.
fn attempts(owned: &Owned) -> Vec<(Method, String, Value)> {
    let Owned { project: Project { id: project, application_id: application, .. }, gallery_id, image_id, event_id } =
        owned;
    let name = json!({"name": "taken"});
    vec![
        (Method::GET, format!("/projects/{project}"), Value::Null),
        (Method::PATCH, format!("/projects/{project}"), name.clone()),
        (Method::DELETE, format!("/projects/{project}"), Value::Null),
        (Method::GET, format!("/projects/{project}/usage"), Value::Null),
        (Method::GET, format!("/projects/{project}/images"), Value::Null),
        (Method::POST, format!("/projects/{project}/stream-tickets"), Value::Null),
        (Method::GET, format!("/applications?project_id={project}"), Value::Null),
        (Method::PATCH, format!("/applications/{application}"), name.clone()),
        (Method::DELETE, format!("/applications/{application}"), Value::Null),
        (Method::POST, format!("/applications/{application}/rotate"), Value::Null),
        (Method::POST, "/images".to_owned(), json!({"filename": "a.jpg", "project_id": project})),
        (Method::GET, format!("/images/{image_id}"), Value::Null),
        (Method::PATCH, format!("/images/{image_id}"), json!({"tags": ["taken"]})),
        (Method::DELETE, format!("/images/{image_id}"), Value::Null),
        (Method::POST, format!("/images/{image_id}/parts"), json!({"numbers": [1]})),
        (Method::POST, format!("/images/{image_id}/complete"), Value::Null),
        (Method::POST, format!("/images/{image_id}/reprocess"), Value::Null),
        (Method::GET, format!("/uploads/{image_id}"), Value::Null),
        (Method::DELETE, format!("/uploads/{image_id}"), Value::Null),
        (Method::POST, "/galleries".to_owned(), json!({"name": "mine", "project_id": project})),
        (Method::GET, format!("/galleries?project_id={project}"), Value::Null),
        (Method::GET, format!("/galleries/{gallery_id}"), Value::Null),
        (Method::PATCH, format!("/galleries/{gallery_id}"), name),
        (Method::DELETE, format!("/galleries/{gallery_id}"), Value::Null),
        (Method::POST, format!("/galleries/{gallery_id}/dataset"), json!([row("b", 1)])),
        (Method::GET, format!("/galleries/{gallery_id}/images"), Value::Null),
        (Method::PUT, format!("/galleries/{gallery_id}/images/{image_id}"), Value::Null),
        (Method::POST, format!("/galleries/{gallery_id}/refresh"), Value::Null),
        (Method::GET, format!("/events/{event_id}"), Value::Null),
        (Method::GET, format!("/events?project_id={project}"), Value::Null),
        (Method::GET, format!("/events/quarantine?project_id={project}"), Value::Null),
        (Method::GET, format!("/events/quarantine/causes?project_id={project}"), Value::Null),
        (Method::POST, "/events/quarantine/replay".to_owned(), json!({"project_id": project})),
        (Method::GET, format!("/event-types?project_id={project}"), Value::Null),
        (Method::GET, format!("/event-types/a/b?project_id={project}"), Value::Null),
        (Method::PUT, format!("/event-types/a/b?project_id={project}"), json!({"schema": false})),
        (Method::DELETE, format!("/event-types/a/b?project_id={project}"), Value::Null),
        (Method::POST, format!("/event-types/a/b/try?project_id={project}"), json!({"data": {}})),
    ]
}

async fn another_projects_objects_do_not_exist(server: Server) {
    let owned = owned(&server).await;
    let stranger = Project::create(&server, "stranger").await;
    let mut seen = Vec::new();
    for (method, path, body) in attempts(&owned) {
        let request = stranger.key.request(method.clone(), &path);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = eyeline_e2e::api::send(request).await;
        if answer.status != 404 {
            seen.push(answer.to_string());
        }
    }
    assert!(seen.is_empty(), "not 404:\n{}", seen.join("\n"));
}

async fn another_projects_private_gallery_does_not_exist(server: Server) {
    let owner = Project::create(&server, "owner").await;
    let gallery = json!({"project_id": owner.id, "name": "private", "visibility": "private"});
    let gallery_id = id(&owner.key.post("/galleries", &gallery).await.expect(201).json(), "gallery_id");
    let stranger = Project::create(&server, "stranger").await;
    let path = format!("/galleries/{gallery_id}/images");
    owner.key.get(&path).await.expect(200);
    stranger.key.get(&path).await.expect_problem(404);
    stranger.public.get(&path).await.expect_problem(404);
    owner.public.get(&path).await.expect_problem(403);
}

async fn what_a_foreign_key_tried_has_changed_nothing(server: Server) {
    let owned = owned(&server).await;
    let stranger = Project::create(&server, "stranger").await;
    let reads = [
        format!("/projects/{}", owned.project.id),
        format!("/images/{}", owned.image_id),
        format!("/galleries/{}", owned.gallery_id),
        format!("/galleries?project_id={}", owned.project.id),
        format!("/applications?project_id={}", owned.project.id),
    ];
    let mut before = Vec::new();
    for path in &reads {
        before.push(without_signatures(server.admin.get(path).await.expect(200).json()));
    }
    for (method, path, body) in attempts(&owned) {
        let request = stranger.key.request(method, &path);
        let request = if body.is_null() { request } else { request.json(&body) };
        eyeline_e2e::api::send(request).await;
    }
    for (path, before) in reads.iter().zip(before) {
        assert_eq!(without_signatures(server.admin.get(path).await.expect(200).json()), before, "{path}");
    }
}

/// Signed links may differ from one answer to the next.
fn without_signatures(mut answer: Value) -> Value {
    if let Some(original) = answer.pointer_mut("/versions/original") {
        *original = Value::Null;
    }
    answer
}

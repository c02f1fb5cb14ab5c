//! Sends every operation with every kind of credential, once about another project's objects and once about unknown
//! ones. Both answers must be alike.

use std::collections::BTreeMap;

use axum::body::Body;
use http::{Request, StatusCode};
use jsonwebtoken::{EncodingKey, Header};
use regex::Regex;
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Answer, Server, Tenant, request, text};

const SESSION: &str = "e2085be5-9137-4e4e-80b5-f1ffddc25423";

/// The objects that requests name.
struct Objects {
    project_id: String,
    application_id: String,
    gallery_id: String,
    image_id: String,
    upload_id: String,
    event_id: String,
    erasure_id: String,
    job_id: String,
    category: &'static str,
}

impl Objects {
    /// Objects that do not exist.
    fn none() -> Self {
        let id = |number: u32| format!("01890000-0000-7000-8000-{number:012}");
        Objects {
            project_id: id(1),
            application_id: id(2),
            gallery_id: id(3),
            image_id: id(4),
            upload_id: id(5),
            event_id: id(6),
            erasure_id: id(7),
            job_id: id(8),
            category: "nothing",
        }
    }

    /// A project with one object of each kind.
    async fn of(server: &Server, tenant: &Tenant) -> Self {
        let key = &tenant.secret_key;
        let body = json!({"project_id": tenant.project_id, "name": "hidden", "visibility": "private"});
        let gallery_id = text(&server.post("/api/v1/galleries", key, &body).await.json(), "gallery_id");
        let body =
            json!({"project_id": tenant.project_id, "filename": "a.jpg", "content_type": "image/jpeg", "bytes": 100});
        let image_id = text(&server.post("/api/v1/images", key, &body).await.json(), "image_id");
        let row = json!([{"external_id": "a", "url": "https://pictures.example/a.jpg"}]);
        let loaded = server.post(&format!("/api/v1/galleries/{gallery_id}/dataset"), key, &row).await;
        assert_eq!(loaded.status, StatusCode::OK, "{loaded:?}");
        let schema = json!({"schema": {"required": ["a"]}});
        assert!(server.write("PUT", "/api/v1/event-types/theirs/it", key, &schema).await.status.is_success());
        let event = json!({"session_id": SESSION, "category": "theirs", "name": "it", "data": {"secret": 1},
                           "timestamp": "2021-01-01 09:15:27.243860", "event_id": "0b6d2c1e-7d43-4c57-9e6c-6c2b3d9a1f10"});
        assert_eq!(server.post("/api/v1/events", key, &event).await.status, StatusCode::CREATED);
        server.apply_events().await;
        let path = format!("/api/v1/projects/{}/erasures", tenant.project_id);
        let erasure = server.post(&path, ADMIN_KEY, &json!({ "session_id": SESSION })).await;
        assert!(erasure.status.is_success(), "{erasure:?}");
        Objects {
            project_id: tenant.project_id.clone(),
            application_id: tenant.application_id.clone(),
            gallery_id,
            upload_id: image_id.clone(),
            image_id,
            event_id: text(&event, "event_id"),
            erasure_id: text(&erasure.json(), "erasure_id"),
            job_id: Objects::none().job_id,
            category: "theirs",
        }
    }

    fn fill(&self, template: &str) -> String {
        [
            ("{project_id}", &*self.project_id),
            ("{application_id}", &self.application_id),
            ("{gallery_id}", &self.gallery_id),
            ("{image_id}", &self.image_id),
            ("{upload_id}", &self.upload_id),
            ("{event_id}", &self.event_id),
            ("{erasure_id}", &self.erasure_id),
            ("{job_id}", &self.job_id),
            ("{category}", self.category),
            ("{name}", "it"),
            ("{folder}", &self.image_id),
            ("{number}", "1"),
        ]
        .into_iter()
        .fold(template.to_owned(), |filled, (name, value)| filled.replace(name, value))
    }
}

/// A request of an operation. Its query and body may name objects, as paths do.
struct Question {
    query: &'static str,
    body: Option<(&'static str, Value)>,
}

const JSON: &str = "application/json";

/// One for each operation, by its id.
fn questions() -> BTreeMap<&'static str, Vec<Question>> {
    let plain = || Question { query: "", body: None };
    let query = |query| Question { query, body: None };
    let json_body = |body| Question { query: "", body: Some((JSON, body)) };
    let event = || {
        json!({"session_id": SESSION, "category": "gallery", "name": "view", "timestamp": "2021-01-01 09:15:27.243860",
               "data": {"gallery_id": "{gallery_id}", "image_id": "{image_id}"}})
    };
    let project = "project_id={project_id}";
    let of_project = "project_id={project_id}&application={application_id}";
    let image =
        || json!({"project_id": "{project_id}", "filename": "a.jpg", "content_type": "image/jpeg", "bytes": 100});
    let batch = || json!({"project_id": "{project_id}", "images": [image()], "files": [image()]});
    let mut all = BTreeMap::new();
    for id in [
        "delete_application",
        "get_application",
        "delete_gallery",
        "get_gallery",
        "estimate_order",
        "get_experiment",
        "list_gallery_changes",
        "list_gallery_images",
        "remove_gallery_image",
        "get_gallery_image",
        "add_gallery_image",
        "get_gallery_image_preview",
        "explain_rank",
        "refresh_gallery",
        "delete_gallery_rules",
        "get_gallery_rules",
        "delete_image",
        "get_image",
        "complete_image",
        "reprocess_image",
        "list_jobs",
        "retry_job",
        "get_openapi",
        "list_projects",
        "delete_project",
        "get_project",
        "list_erasures",
        "get_erasure",
        "list_images",
        "open_stream",
        "create_stream_ticket",
        "get_project_usage",
        "delete_session",
        "get_session",
        "create_sign_in_link",
        "list_uploads",
        "get_health",
        "get_metrics",
        "get_public_version",
        "get_readiness",
    ] {
        all.insert(id, vec![plain()]);
    }
    for id in [
        "list_applications",
        "list_event_types",
        "delete_event_type",
        "get_event_type",
        "list_quarantined_events",
        "list_quarantine_causes",
        "list_galleries",
        "get_limits",
    ] {
        all.insert(id, vec![query(project)]);
    }
    for id in ["count_events", "list_features", "list_paths", "get_retention", "list_events"] {
        all.insert(id, vec![query(project), query(of_project)]);
    }
    all.insert("get_gallery_usage", vec![plain(), query(of_project)]);
    all.insert("get_funnel", vec![query("steps=a/b,c/d&project_id={project_id}")]);
    all.insert("get_event", vec![plain(), query("application={application_id}")]);
    for id in ["get_original", "get_private_version"] {
        all.insert(id, vec![query("expires=4000000000&signature=abcdef")]);
    }
    // Not the path's own key, which names an upload.
    all.insert("delete_upload", vec![plain()]);
    all.insert("get_upload", vec![plain()]);
    for id in ["put_incoming_file", "put_incoming_part"] {
        let file = ("application/octet-stream", json!("{image_id}"));
        all.insert(id, vec![Question { query: "policy=abc&signature=def", body: Some(file) }]);
    }
    for id in ["post_incoming_form", "create_upload"] {
        all.insert(id, vec![Question { query: "", body: Some(("multipart/form-data; boundary=x", json!("--x--"))) }]);
    }
    all.insert(
        "query_events",
        vec![
            json_body(json!({"sql": "SELECT 1 AS one", "project_id": "{project_id}"})),
            Question { query: project, body: Some((JSON, json!({"sql": "SELECT 1 AS one"}))) },
        ],
    );
    all.insert("create_application", vec![json_body(json!({"project_id": "{project_id}", "name": "a"}))]);
    all.insert("update_application", vec![json_body(json!({"name": "mine"}))]);
    all.insert("rotate_application_key", vec![json_body(json!({}))]);
    all.insert("put_event_type", vec![Question { query: project, body: Some((JSON, json!({"schema": true}))) }]);
    all.insert("try_event_type", vec![Question { query: project, body: Some((JSON, json!({"data": {}}))) }]);
    all.insert("create_event", vec![json_body(event())]);
    all.insert("create_events", vec![json_body(json!([event()]))]);
    all.insert("replay_quarantined_events", vec![json_body(json!({"project_id": "{project_id}"}))]);
    all.insert("create_gallery", vec![json_body(json!({"project_id": "{project_id}", "name": "a"}))]);
    all.insert("update_gallery", vec![json_body(json!({"name": "mine"})), json_body(json!({"page_size": -1}))]);
    all.insert("load_dataset", vec![json_body(json!([{"external_id": "b", "url": "https://pictures.example/b.jpg"}]))]);
    all.insert("set_gallery_rules", vec![json_body(json!({"pins": []})), json_body(json!({"pins": 1}))]);
    all.insert("create_image", vec![json_body(image())]);
    all.insert("create_images", vec![json_body(batch())]);
    let part_numbers = [json!([1]), json!([0])].map(|numbers| json_body(json!({ "numbers": numbers })));
    all.insert("create_part_links", part_numbers.into());
    all.insert("update_image", vec![json_body(json!({"tags": ["mine"]})), json_body(json!({"tags": 1}))]);
    all.insert("create_project", vec![json_body(json!({"name": "a"}))]);
    all.insert("update_project", vec![json_body(json!({"name": "mine"})), json_body(json!({"tier": "business"}))]);
    all.insert("create_erasure", vec![json_body(json!({"session_id": SESSION}))]);
    all.insert("create_session", vec![json_body(json!({"admin_key": "eyl_admin_wrong"}))]);
    all.insert("set_test_clock", vec![json_body(json!({"now": "2031-05-01 12:00:00"}))]);
    all
}

/// A kind of credential.
struct Sender {
    name: &'static str,
    key: String,
    /// The public id, as header or parameter.
    header: Option<String>,
    parameter: Option<String>,
}

fn token(tenant: &Tenant, secret: &str, tier: &str, expires_at: i64) -> String {
    let claims = json!({"sub": "user-1", "aud": tenant.project_id, "tier": tier, "exp": expires_at});
    let header = Header { kid: Some(tenant.application_id.clone()), ..Header::default() };
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret.as_bytes())).expect("a token")
}

/// Senders without access to the project of the objects.
async fn senders(server: &Server, own: &Tenant, third: &Tenant) -> Vec<Sender> {
    let by_key = |name, key: &str| Sender { name, key: key.to_owned(), header: None, parameter: None };
    let later = server.app.clock.now().micros() / 1_000_000 + 3_600;
    let user = |tenant: &Tenant, tier| token(tenant, &tenant.signing_secret, tier, later);
    let revoked = server.tenant("revoked").await;
    let path = format!("/api/v1/applications/{}", revoked.application_id);
    assert!(server.delete(&path, &revoked.secret_key).await.status.is_success());
    let public = |name, tenant: &Tenant| Sender {
        name,
        key: String::new(),
        header: Some(tenant.application_id.clone()),
        parameter: None,
    };
    vec![
        by_key("none", ""),
        by_key("a wrong admin key", "eyl_admin_wrong_000000000000"),
        by_key("a wrong key", "eyl_sk_wrong"),
        by_key("neither key nor token", "a.b.c"),
        by_key("a revoked key", &revoked.secret_key),
        public("a revoked public id", &revoked),
        by_key("an expired token", &token(own, &own.signing_secret, "business", 1)),
        by_key("a forged token", &token(own, "another secret than the application's", "business", later)),
        by_key("own key", &own.secret_key),
        by_key("another project's key", &third.secret_key),
        public("own public id", own),
        public("another project's public id", third),
        Sender {
            parameter: Some(own.application_id.clone()),
            header: None,
            ..public("own public id by parameter", own)
        },
        by_key("a user of the lowest tier", &user(own, "free")),
        by_key("a user of a higher tier", &user(own, "premium")),
        by_key("a user of the highest tier", &user(own, "business")),
        by_key("a user of another project", &user(third, "business")),
    ]
}

fn ask(sender: &Sender, method: &str, path: &str, question: &Question, objects: &Objects) -> Request<Body> {
    let is_named = !sender.key.is_empty() || sender.header.is_some();
    let parts = objects.fill(question.query);
    // Without another credential this parameter would become the credential.
    let mut parts: Vec<String> =
        parts.split('&').filter(|part| is_named || !part.starts_with("application=")).map(str::to_owned).collect();
    parts.extend(sender.parameter.iter().map(|id| format!("application={id}")));
    parts.retain(|part| !part.is_empty());
    let path = if path.contains("/uploads/") { path.replace("{image_id}", "{upload_id}") } else { path.to_owned() };
    let path =
        if parts.is_empty() { objects.fill(&path) } else { format!("{}?{}", objects.fill(&path), parts.join("&")) };
    let mut request = request(&method.to_uppercase(), &path, &sender.key);
    if let Some(id) = &sender.header {
        request = request.header("application", id);
    }
    let Some((kind, body)) = &question.body else { return request.body(Body::empty()).expect("a request") };
    let body = match body {
        Value::String(text) => text.clone(),
        body => body.to_string(),
    };
    request.header("content-type", *kind).body(Body::from(objects.fill(&body))).expect("a request")
}

/// An answer without its changing parts: ids, times and keys.
fn outline(answer: &Answer, changing: &Regex) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    let headers: Vec<String> =
        ["content-type", "www-authenticate", "cache-control", "vary", "etag", "allow", "location"]
            .into_iter()
            .map(|name| format!("{name}: {}", answer.header(name)))
            .collect();
    format!("{} {} {}", answer.status, headers.join(", "), changing.replace_all(&body, "…"))
}

#[tokio::test]
async fn what_another_project_has_is_answered_as_what_nobody_has() {
    let server = Server::start().await;
    let [own, third, other] = [server.tenant("own").await, server.tenant("third").await, server.tenant("other").await];
    let (theirs, nobodys) = (Objects::of(&server, &other).await, Objects::none());
    let senders = senders(&server, &own, &third).await;
    let changing = Regex::new(
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z|\"uptime[^,}]*",
    )
    .expect("a pattern");
    let document = server.get("/api/v1/openapi.json", "").await.json();
    let mut questions = questions();
    let (mut cells, mut wrong) = (0, Vec::new());
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let id = operation["operationId"].as_str().expect("an id");
            let Some(asked) = questions.remove(id) else {
                wrong.push(format!("{id} ({method} {path}) has no question"));
                continue;
            };
            for (sender, question) in
                senders.iter().flat_map(|sender| asked.iter().map(move |question| (sender, question)))
            {
                let mut outlines = Vec::new();
                for objects in [&theirs, &nobodys] {
                    let answer = server.send(ask(sender, method, path, question, objects)).await;
                    cells += 1;
                    if answer.status.is_server_error() {
                        wrong.push(format!("{id} with {}: {answer:?}", sender.name));
                    }
                    outlines.push(outline(&answer, &changing));
                }
                if outlines[0] != outlines[1] {
                    wrong.push(format!("{id} with {}:\n  {}\n  {}", sender.name, outlines[0], outlines[1]));
                }
            }
        }
    }
    wrong.extend(questions.keys().map(|id| format!("{id} is no operation")));
    eprintln!("{cells} answers were compared");
    assert!(wrong.is_empty(), "{} of {cells}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cells >= 2_000, "only {cells} answers");

    // The objects are unchanged.
    let gallery = server.get(&format!("/api/v1/galleries/{}", theirs.gallery_id), &other.secret_key).await.json();
    assert_eq!(gallery["name"], "hidden");
    let image = server.get(&format!("/api/v1/images/{}", theirs.image_id), &other.secret_key).await;
    assert_eq!(image.status, StatusCode::OK);
    assert_eq!(server.get("/api/v1/event-types/theirs/it", &other.secret_key).await.json()["version"], 1);
}

/// The names of members, at any depth.
fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| names(value).into_iter().chain([name.as_str()])).collect()
        }
        Value::Array(values) => values.iter().flat_map(names).collect(),
        _ => Vec::new(),
    }
}

/// What tells how the owner tests and guards the order, and how much is looked at.
const FIGURES: [&str; 12] = [
    "guard",
    "holdout_percent",
    "holdout_control",
    "applied_events",
    "ignored_events",
    "weight",
    "views",
    "clicks",
    "counted_views",
    "counted_clicks",
    "count",
    "sessions",
];

#[tokio::test]
async fn the_figures_of_the_owner_are_for_keys() {
    let server = Server::start().await;
    let own = server.tenant("own").await;
    let key = &own.secret_key;
    let mut objects = Objects::of(&server, &own).await;
    let body = json!({"project_id": own.project_id, "name": "open", "page": {"enabled": true},
                      "ranking": {"holdout_percent": 20, "guard": true}});
    objects.gallery_id = text(&server.post("/api/v1/galleries", key, &body).await.json(), "gallery_id");
    let gallery = format!("/api/v1/galleries/{}", objects.gallery_id);
    let row = json!([{"external_id": "a", "url": "https://pictures.example/a.jpg"}]);
    assert_eq!(server.post(&format!("{gallery}/dataset"), key, &row).await.status, StatusCode::OK);
    let refreshed = server.post(&format!("{gallery}/refresh"), key, &json!({})).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
    let page = server.get(&format!("{gallery}/images"), key).await.json();
    objects.image_id = text(&page["items"][0], "image_id");
    let shown = server.get(&gallery, key).await.json();
    for figure in &FIGURES[..8] {
        assert!(names(&shown).contains(figure) || names(&page).contains(figure), "{figure}: {shown} {page}");
    }

    let later = server.app.clock.now().micros() / 1_000_000 + 3_600;
    let by_key = |name, key| Sender { name, key, header: None, parameter: None };
    let public = Sender { header: Some(own.application_id.clone()), ..by_key("own public id", String::new()) };
    let user = by_key("a user", token(&own, &own.signing_secret, "business", later));
    let document = server.get("/api/v1/openapi.json", "").await.json();
    let questions = questions();
    for (sender, answers_min) in [(public, 6), (user, 6)] {
        let mut answers = 0;
        for (path, operations) in document["paths"].as_object().expect("paths") {
            for (method, operation) in operations.as_object().expect("operations") {
                let id = operation["operationId"].as_str().expect("an id");
                // The description itself names every member.
                for question in questions[id].iter().filter(|_| id != "get_openapi") {
                    let answer = server.send(ask(&sender, method, path, question, &objects)).await;
                    let Ok(value) = serde_json::from_slice::<Value>(&answer.body) else { continue };
                    answers += usize::from(answer.status.is_success());
                    let told: Vec<&str> = names(&value).into_iter().filter(|name| FIGURES.contains(name)).collect();
                    assert!(told.is_empty(), "{id} with {}: {told:?} in {value}", sender.name);
                }
            }
        }
        eprintln!("{answers} answers to {}", sender.name);
        assert!(answers >= answers_min, "{answers} answers to {}", sender.name);
    }
    let page = server.get(&format!("/g/{}", objects.gallery_id), "").await;
    let html = String::from_utf8(page.body).expect("text");
    for figure in ["holdout", "applied_events", "ignored_events"] {
        assert!(!html.contains(figure), "{html}");
    }
}

//! A tenant of the server under test, with its keys.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::{Answer, Api};
use crate::server::Server;
use crate::uploads::id;

pub struct Project {
    pub id: String,
    pub application_id: String,
    /// Signs user tokens.
    pub signing_secret: String,
    /// A caller with the application's secret key.
    pub key: Api,
    /// A caller with the application's public id.
    pub public: Api,
}

impl Project {
    /// A project with one application, which takes requests from no browser.
    pub async fn create(server: &Server, name: &str) -> Self {
        Self::create_with(server, json!({"name": name}), json!([])).await
    }

    /// The same from the body of `POST /projects` and the origins of the application.
    pub async fn create_with(server: &Server, project: Value, allowed_origins: Value) -> Self {
        let project_id = id(&server.admin.post("/projects", &project).await.expect(201).json(), "project_id");
        let application = json!({"project_id": project_id, "name": "shop", "allowed_origins": allowed_origins});
        let application = server.admin.post("/applications", &application).await.expect(201).json();
        let application_id = id(&application, "application_id");
        Project {
            key: server.admin.with_bearer(&id(&application, "secret_key")),
            public: server.admin.with_application(&application_id),
            signing_secret: id(&application, "signing_secret"),
            application_id,
            id: project_id,
        }
    }

    /// A caller with a user token of this project, signed as the project's own server would, valid for an hour.
    #[expect(clippy::disallowed_methods, reason = "the token is for another process, whose clock is the real one")]
    pub fn user(&self, user_id: &str, tier: &str) -> Api {
        let expires = SystemTime::now() + Duration::from_secs(3_600);
        let expires = expires.duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
        self.user_with(&json!({"sub": user_id, "tier": tier, "exp": expires, "aud": self.id}))
    }

    /// The same with any claims.
    pub fn user_with(&self, claims: &Value) -> Api {
        let header = Header { kid: Some(self.application_id.clone()), ..Header::new(Algorithm::HS256) };
        let key = EncodingKey::from_secret(self.signing_secret.as_bytes());
        self.key.with_bearer(&jsonwebtoken::encode(&header, claims, &key).expect("a token can be signed"))
    }

    /// An empty gallery with default settings; returns its id.
    pub async fn gallery(&self, name: &str) -> String {
        let gallery = self.key.post("/galleries", &json!({"project_id": self.id, "name": name})).await;
        id(&gallery.expect(201).json(), "gallery_id")
    }

    /// Loads `rows` of a catalogue into a gallery. All of them must be valid.
    pub async fn load(&self, gallery_id: &str, rows: &Value) {
        let loaded = self.key.post(&format!("/galleries/{gallery_id}/dataset"), rows).await.expect(200).json();
        assert_eq!(loaded["rejected"], json!([]), "{loaded}");
    }

    /// Sends one event with the public id of the application.
    pub async fn send_event(&self, event: &Value) -> Answer {
        self.public.post("/events", event).await
    }

    /// Returns once every event accepted before is applied and a new order is published.
    pub async fn refresh(&self, gallery_id: &str) -> Value {
        self.key.post_nothing(&format!("/galleries/{gallery_id}/refresh")).await.expect(200).json()
    }
}

/// A row of a client's catalogue, `minute` minutes into 2024.
pub fn row(external_id: &str, minute: u32) -> Value {
    json!({
        "external_id": external_id,
        "name": format!("Picture {external_id}"),
        "url": format!("https://cdn.example/{external_id}.jpg"),
        "created_at": format!("2024-01-01T{:02}:{:02}:00Z", minute / 60, minute % 60),
        "link": format!("https://shop.example/{external_id}"),
    })
}

/// A view or click in its own session.
pub fn gallery_event(name: &str, gallery_id: &str, external_id: &str) -> Value {
    json!({
        "session_id": Uuid::new_v4(),
        "category": "gallery",
        "name": name,
        "data": {"gallery_id": gallery_id, "external_id": external_id},
        "timestamp": "2024-06-01T12:00:00Z",
    })
}

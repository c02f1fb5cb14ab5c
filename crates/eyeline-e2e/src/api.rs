//! Requests of a client of the product, and answers that explain themselves if they are unexpected.

use std::fmt;
use std::process::Command;
use std::sync::LazyLock;

use eyeline_contract::{Contract, Exchange};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::server;

/// The description of the API, as the binary prints it, which every answer must satisfy.
pub(crate) static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let output =
        Command::new(server::binary()).arg("openapi").env_clear().current_dir("/").output().expect("the binary runs");
    assert!(output.status.success(), "eyeline openapi: {}", String::from_utf8_lossy(&output.stderr));
    Contract::new(serde_json::from_slice(&output.stdout).expect("eyeline openapi prints JSON"))
});

/// A caller of the API with one credential or none. Redirects are not followed, so that tests see them.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    origin: String,
    credential: Credential,
}

#[derive(Clone)]
enum Credential {
    None,
    Bearer(String),
    Application(String),
}

impl Api {
    /// A caller without a credential; `origin` is like `http://127.0.0.1:8009`.
    pub fn anonymous(origin: &str) -> Self {
        // The client is built with support for TLS, which takes the process's provider of cryptography.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("an HTTP client without special settings can be built");
        Api { http, origin: origin.to_owned(), credential: Credential::None }
    }

    /// The same caller with an admin key, a secret key or a user token.
    pub fn with_bearer(&self, token: &str) -> Self {
        Api { credential: Credential::Bearer(token.to_owned()), ..self.clone() }
    }

    /// The same caller with the public id of an application.
    pub fn with_application(&self, application_id: &str) -> Self {
        Api { credential: Credential::Application(application_id.to_owned()), ..self.clone() }
    }

    pub fn without_credential(&self) -> Self {
        Api { credential: Credential::None, ..self.clone() }
    }

    /// The address of `path` under `/api/v1`.
    pub fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.origin)
    }

    /// The address of `path` from the root of the server.
    pub fn root_url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The header that carries the credential, for clients other than this one (a WebSocket's handshake).
    pub fn credential_header(&self) -> Option<(&'static str, String)> {
        match &self.credential {
            Credential::None => None,
            Credential::Bearer(token) => Some(("authorization", format!("Bearer {token}"))),
            Credential::Application(id) => Some(("application", id.clone())),
        }
    }

    /// A request to a path under `/api/v1`, or to a full address.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { self.url(path) };
        let request = self.http.request(method, url);
        match self.credential_header() {
            Some((name, value)) => request.header(name, value),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// A POST without a body and `Content-Type`.
    pub async fn post_nothing(&self, path: &str) -> Answer {
        send(self.request(Method::POST, path)).await
    }

    /// A POST of text as the given `Content-Type`.
    pub async fn post_text(&self, path: &str, content_type: &str, body: impl Into<String>) -> Answer {
        send(self.request(Method::POST, path).header(CONTENT_TYPE, content_type).body(body.into())).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::PATCH, path).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }
}

/// Sends a request that must be answered, with any status.
pub async fn send(request: RequestBuilder) -> Answer {
    try_send(request).await.expect("the server answers")
}

/// Sends a request. Fails if the connection is refused, or breaks before the whole answer arrived.
pub async fn try_send(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let (client, request) = request.build_split();
    let request = request?;
    let (method, url) = (request.method().clone(), request.url().clone());
    let response = client.execute(request).await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await?.to_vec();
    CONTRACT.assert(&Exchange { method: method.as_str(), path: url.path(), status, headers: &headers, body: &body });
    Ok(Answer { asked: format!("{method} {url}"), status, headers, body })
}

/// One answer with its body.
#[derive(Clone)]
pub struct Answer {
    /// Method and address, for messages.
    pub asked: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The answer, if its status is the expected one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "the status of {self}");
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}) in {self}"))
    }

    /// The value of a header; empty if it is missing or not a text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Checks a problem document of this status, in the form of every error. Returns its `errors`, or null.
    #[track_caller]
    pub fn expect_problem(self, status: u16) -> Value {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json", "the content type of {answer}");
        let problem = answer.json();
        assert_eq!(problem["status"], status, "the status inside {answer}");
        for field in ["type", "title", "detail", "request_id"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {answer}");
        }
        assert_eq!(problem["request_id"], answer.header("x-request-id"), "the request id of {answer}");
        problem["errors"].clone()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_BYTES_MAX: usize = 2_000;
        let shown = &self.body[..self.body.len().min(SHOWN_BYTES_MAX)];
        write!(out, "{} -> {} {}", self.asked, self.status, String::from_utf8_lossy(shown))
    }
}

//! Requests of a command to a running server. Commands write nothing directly.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;

use crate::data_folder::DataFolder;
use crate::settings::Settings;

/// The server's address: `EYELINE_URL`, else where these settings start one on this machine. Without a slash at the
/// end.
fn base(settings: &Settings) -> String {
    let base = std::env::var("EYELINE_URL").unwrap_or_else(|_| settings.local_url());
    base.trim_end_matches('/').to_owned()
}

/// The server's address and its report about its engines; `None` if no server answers.
pub(super) async fn readiness(settings: &Settings) -> (String, Option<Value>) {
    let url = base(settings);
    let told = async {
        let http = http_client().timeout(Duration::from_secs(10)).build().ok()?;
        http.get(format!("{url}/readyz")).send().await.ok()?.json().await.ok()
    };
    let told = told.await;
    (url, told)
}

fn http_client() -> reqwest::ClientBuilder {
    eyeline_store::tls::choose_provider();
    reqwest::Client::builder()
}

/// A server and a key for it.
pub(super) struct Client {
    http: reqwest::Client,
    /// Without a slash at the end.
    base: String,
    key: String,
}

impl Client {
    /// The server of `EYELINE_URL`, or the one that the settings start on this machine, with the admin key.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let admin_key = settings.admin_key.clone().or_else(|| DataFolder::known_admin_key(&settings.data));
        let admin_key = admin_key.ok_or_else(|| {
            format!(
                "no admin key: set EYELINE_ADMIN_KEY, or start the server once, which keeps one in {}",
                settings.data.join("admin.key").display()
            )
        })?;
        let http = http_client()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(60))
            .build()
            .map_err(|error| format!("HTTP cannot be used: {error}"))?;
        Ok(Client { http, base: base(settings), key: admin_key })
    }

    /// The same server, with an application's secret key instead of the admin key.
    pub(super) fn with_key(&self, key: String) -> Self {
        Client { http: self.http.clone(), base: self.base.clone(), key }
    }

    /// Sends a request to `path` below `/api/v1`. Returns the answer's JSON, or null without a body. The error is the
    /// server's answer with every field.
    pub(super) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let mut request = self.http.request(method, format!("{}/api/v1{path}", self.base)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.answer(request).await
    }

    /// Like [`Client::send`], for a `POST` whose body may have any length. It may take up to `UNHURRIED`.
    pub(super) async fn send_stream(
        &self,
        path: &str,
        headers: HeaderMap,
        body: reqwest::Body,
    ) -> Result<Value, String> {
        let request = self.http.post(format!("{}/api/v1{path}", self.base)).bearer_auth(&self.key);
        self.answer(request.headers(headers).timeout(UNHURRIED).body(body)).await
    }

    /// Sends a file of `bytes` bytes through an upload link, which needs no credential. `link` is the server's answer
    /// to the request for it.
    pub(super) async fn send_file(&self, link: &Value, bytes: u64, body: reqwest::Body) -> Result<(), SendError> {
        let url = link["upload_link"].as_str().unwrap_or_default();
        let mut request = self.http.put(url).timeout(UNHURRIED).header(header::CONTENT_LENGTH, bytes);
        for (name, value) in link["params"]["headers"].as_object().into_iter().flatten() {
            request = request.header(name, value.as_str().unwrap_or_default());
        }
        let away =
            |error: reqwest::Error| SendError { sentence: format!("it could not be sent: {error}"), passing: true };
        let response = request.body(body).send().await.map_err(away)?;
        let status = response.status();
        // 412: an earlier try stored the file, and its answer was lost.
        if status.is_success() || status == StatusCode::PRECONDITION_FAILED {
            return Ok(());
        }
        let problem = response.json().await.unwrap_or(Value::Null);
        let passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        Err(SendError { sentence: sentence(status, &problem), passing })
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Value, String> {
        let away = |error: reqwest::Error| {
            format!(
                "the server at {} cannot be reached ({error}): is `eyeline serve` running? EYELINE_URL names another",
                self.base
            )
        };
        let response = request.send().await.map_err(away)?;
        let status = response.status();
        let text = response.text().await.map_err(away)?;
        let json: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() { Ok(json) } else { Err(sentence(status, &json)) }
    }
}

/// The time-out for a body whose length the client does not choose.
const UNHURRIED: Duration = Duration::from_secs(6 * 60 * 60);

/// The reason why a file was not sent.
pub(super) struct SendError {
    pub sentence: String,
    /// A retry may succeed.
    pub passing: bool,
}

fn sentence(status: StatusCode, problem: &Value) -> String {
    let detail = problem["detail"].as_str().unwrap_or("The server gave no reason.");
    let fields = problem["errors"].as_object().into_iter().flatten().map(|(field, sentences)| {
        let sentences = sentences.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
        format!(" {field}: {}", sentences.join(" "))
    });
    format!("the server answered {}: {detail}{}", status.as_u16(), fields.collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_is_told_with_every_field() {
        let problem = json!({"detail": "Some fields are wrong.", "errors": {"name": ["This field is required."]}});
        assert_eq!(
            sentence(StatusCode::BAD_REQUEST, &problem),
            "the server answered 400: Some fields are wrong. name: This field is required."
        );
        assert_eq!(
            sentence(StatusCode::BAD_GATEWAY, &Value::Null),
            "the server answered 502: The server gave no reason."
        );
    }
}

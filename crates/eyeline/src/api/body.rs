//! JSON bodies as bytes, to be read with [`Fields`](super::Fields).

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::{HeaderValue, StatusCode, header};

use super::unpacked::Unpacked;
use super::{Answer, BODY_MAX, Problem};
use crate::app::App;

/// The `Content-Type` of answers that are JSON text already.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The decompressed body of a request with a JSON content type. An empty body needs no type; any other type gets 415.
pub struct JsonBody(pub Bytes);

impl FromRequest<App> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Answer<Self> {
        let kind = request.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?").to_owned());
        let Unpacked { body, .. } = Unpacked::<BODY_MAX>::from_request(request, app).await?;
        if body.is_empty() || kind.as_deref().is_some_and(is_json) {
            return Ok(JsonBody(body));
        }
        let sent = kind.unwrap_or_else(|| "no Content-Type".to_owned());
        Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("The body has to be sent as Content-Type: application/json; this came as {sent}."),
        ))
    }
}

fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

//! `Idempotency-Key`: a write that a client may repeat.

use axum::Json;
use axum::extract::{FromRequestParts, OriginalUri};
use axum::response::{IntoResponse, Response};
use eyeline_core::FieldErrors;
use eyeline_store::catalog::idempotency::{IdempotencyKey, KeptAnswer, Once, Repeatable};
use http::request::Parts;
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::IntoParams;

use super::body::JSON;
use super::{Answer, Credential, Problem};
use crate::app::App;
use crate::secrets::sha256;

const KEY_CHARS_MAX: usize = 255;

/// The header that [`Idempotency`] reads.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header, which is read by hand")]
pub struct IdempotencyKeyHeader {
    /// Makes a repetition harmless: for 24 hours the same key with the same body gives the first answer, without secrets.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255)]
    idempotency_key: Option<String>,
}

/// Handlers of writes that create take this as an argument, wrap the catalog's write with [`Idempotency::repeatable`]
/// and answer with [`answer_once`].
pub struct Idempotency {
    /// `None` when the client sent no key.
    key: Option<IdempotencyKey>,
}

impl Idempotency {
    /// The key alone, for a write that compares its body itself.
    pub fn key(self) -> Option<IdempotencyKey> {
        self.key
    }

    /// `body` is the request's, as sent. `answer` turns the write's outcome into the answer to a repetition: the first
    /// answer without secrets.
    pub fn repeatable<T, A: Serialize>(
        self,
        body: &[u8],
        status: StatusCode,
        answer: impl FnOnce(&T) -> A + Send + 'static,
    ) -> Option<Repeatable<T>> {
        self.key.map(|key| Repeatable {
            key: IdempotencyKey { body_hash: sha256(body), ..key },
            answer: Box::new(move |outcome| KeptAnswer {
                status: status.as_u16(),
                body: serde_json::to_string(&answer(outcome)).unwrap_or_default(),
            }),
        })
    }
}

/// The answer to a write: made from its outcome by `answer`, or the stored first one.
pub fn answer_once<T, A: Serialize>(once: Once<T>, status: StatusCode, answer: impl FnOnce(T) -> A) -> Response {
    match once {
        Once::Done(outcome) => (status, Json(answer(outcome))).into_response(),
        Once::Repeated(kept) => {
            let status = StatusCode::from_u16(kept.status).unwrap_or(status);
            (status, [(header::CONTENT_TYPE, JSON)], kept.body).into_response()
        }
    }
}

impl FromRequestParts<App> for Idempotency {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Answer<Self> {
        let Some(key) = parts.headers.get("idempotency-key").cloned() else { return Ok(Idempotency { key: None }) };
        let sane = |key: &&str| {
            (1..=KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        };
        let Some(key) = key.to_str().ok().filter(sane) else {
            let sentence = format!("This has to be 1 to {KEY_CHARS_MAX} printable ASCII characters.");
            return Err(FieldErrors::one("Idempotency-Key", sentence).into());
        };
        let credential = Credential::from_request_parts(parts, app).await?;
        let path = parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.path(), |original| original.path());
        Ok(Idempotency {
            key: Some(IdempotencyKey {
                credential: credential.fingerprint(),
                route: format!("{} {}", parts.method, path.trim_end_matches('/')),
                key: key.to_owned(),
                body_hash: [0; 32],
                now: app.clock.now(),
            }),
        })
    }
}

//! Errors as RFC 9457 problem documents. The only place that writes `application/problem+json`.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use eyeline_core::FieldErrors;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

const ORDER_PENDING: &str = "order_pending";

/// An error in a request, for its sender.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    code: Option<&'static str>,
    errors: FieldErrors,
    missing: Vec<u32>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// An error (RFC 9457).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the answer, which is written from a Problem")]
pub struct ProblemDocument {
    #[schema(example = "about:blank")]
    r#type: String,
    /// The meaning of the status.
    #[schema(example = "Bad Request")]
    title: String,
    #[schema(minimum = 400, maximum = 599, example = 400)]
    status: u16,
    /// One sentence about this error.
    #[schema(example = "Some fields are missing or wrong.")]
    detail: String,
    /// Names an error that programs tell from others of its status: `order_pending`.
    #[schema(nullable = false, example = "order_pending")]
    code: Option<String>,
    /// The id of the request, as in `X-Request-Id` and in the log.
    #[schema(example = "01a0c2a4-7d5e-7b0e-9f1c-5d2f2b9b7c11")]
    request_id: String,
    /// The errors of invalid input, by field.
    #[schema(nullable = false, example = json!({"name": ["This field is required."]}))]
    errors: Option<FieldErrors>,
    /// The numbers of the first 100 parts that have not arrived.
    #[schema(nullable = false, max_items = 100, example = json!([2, 3]))]
    missing: Option<Vec<u32>>,
}

pub type Answer<T> = Result<T, Problem>;

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Problem {
            status,
            detail: detail.into(),
            code: None,
            errors: FieldErrors::new(),
            missing: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// 400 with all errors by field.
    pub fn invalid(errors: FieldErrors) -> Self {
        Problem { errors, ..Problem::new(StatusCode::BAD_REQUEST, "Some fields are missing or wrong.") }
    }

    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::UNAUTHORIZED, detail)
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404 for an object that does not exist or belongs to another project: both look the same.
    pub fn not_found(what: &str) -> Self {
        Problem::new(StatusCode::NOT_FOUND, format!("There is no such {what}."))
    }

    /// 503 while a gallery's owner has not published or answered.
    fn order_pending(detail: &str) -> Self {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        Problem { code: Some(ORDER_PENDING), ..problem }.retry_after(Duration::from_secs(1))
    }

    /// Sets `Retry-After` in whole seconds, rounded up, at least 1.
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// Adds a header to the answer.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds the numbers of parts that have not arrived.
    pub fn missing(mut self, numbers: &[u32]) -> Self {
        self.missing = numbers.to_vec();
        self
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The document, with the id that the request has in the log.
    pub fn body(&self, request_id: Option<&str>) -> Vec<u8> {
        let document = Document {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id,
            errors: &self.errors,
            missing: &self.missing,
        };
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.detail)
    }
}

impl From<FieldErrors> for Problem {
    fn from(errors: FieldErrors) -> Self {
        Problem::invalid(errors)
    }
}

impl From<eyeline_store::Error> for Problem {
    fn from(error: eyeline_store::Error) -> Self {
        use eyeline_store::Error;
        match error {
            Error::NotFound(what) => Problem::not_found(what),
            Error::Conflict(detail) => Problem::new(StatusCode::CONFLICT, detail),
            Error::QuotaExceeded(detail) | Error::Refused(detail) => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
            }
            Error::Invalid(errors) => Problem::invalid(errors),
            Error::Unavailable { reason, retry_after } => {
                tracing::warn!(%reason, "an engine is unavailable");
                Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "A part of the server is unavailable; try again after Retry-After.",
                )
                .retry_after(retry_after)
            }
            Error::Pending(detail) => Problem::order_pending(detail),
            Error::LeaseLost(_) | Error::Moved | Error::Corrupt(_) | Error::Internal { .. } => {
                // Logged once, here; the source is never sent.
                tracing::error!(%error, "a request failed");
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong in the server; it was logged.")
            }
        }
    }
}

pub(super) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "FieldErrors::is_empty")]
    errors: &'a FieldErrors,
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    missing: &'a [u32],
}

impl IntoResponse for Problem {
    /// Keeps the problem in the response's extensions, where `envelope` finds it and adds the request's id.
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body(None)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        headers.extend(self.headers.iter().cloned());
        response.extensions_mut().insert(self);
        response
    }
}

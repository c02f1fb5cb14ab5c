//! Sends signed requests within deadlines, and sends them again a few times while the store is busy or away.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use reqwest::{Client as Http, Response, redirect};
use rusty_s3::{Map, Method};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::answer::{Failure, judge, judge_body};
use super::sign::{Site, Unsigned};
use crate::error::{Error, Result};

const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// The longest time of one attempt, beside that of its bytes.
const PATIENCE: Duration = Duration::from_secs(5);
/// Copies, and joined uploads, take the store time for each byte.
pub(super) const LONG_PATIENCE: Duration = Duration::from_secs(60);
/// Bytes a second that a store takes at least.
const BYTES_PER_SECOND_MIN: u64 = 256 * 1024;
const TRIES_MAX: u32 = 4;
/// The mean pause after the first attempt. Each further pause is four times as long.
const PAUSE: Duration = Duration::from_millis(100);
/// Longer than every attempt.
const SIGNED_SECONDS: u64 = 15 * 60;
/// The most bytes of an answer that is no object.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
const IDLE_MAX: Duration = Duration::from_secs(30);

pub(super) struct Client {
    http: Http,
}

pub(super) struct Request<'a> {
    pub site: &'a Site,
    pub unsigned: Unsigned<'a>,
    pub body: Bytes,
    patience: Duration,
}

/// An answer that was read whole: a success, or that something does not exist.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl<'a> Request<'a> {
    pub fn new(site: &'a Site, method: Method, key: &'a str) -> Self {
        let unsigned = Unsigned { method, key, query: Map::new(), headers: Map::new() };
        Request { site, unsigned, body: Bytes::new(), patience: PATIENCE }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.unsigned.headers.insert(name, value.into());
        self
    }

    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.unsigned.query.insert(name, value.into());
        self
    }

    pub fn body(mut self, body: Bytes) -> Self {
        self.patience += Duration::from_secs(body.len() as u64 / BYTES_PER_SECOND_MIN);
        self.body = body;
        self
    }

    pub fn long(mut self) -> Self {
        self.patience = LONG_PATIENCE;
        self
    }
}

impl Client {
    pub fn new(site: &Site) -> Result<Self> {
        crate::tls::choose_provider();
        let mut http = Http::builder()
            // A redirect would need another signature.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_PATIENCE)
            .pool_idle_timeout(IDLE_MAX);
        if site.is_on_loopback() {
            http = http.no_proxy();
        }
        Ok(Client { http: http.build().map_err(|error| Error::internal("the client of the object store", error))? })
    }

    /// The whole answer, which may have status 404 or 416.
    pub async fn ask(&self, request: &Request<'_>) -> Result<Answer> {
        self.patiently(request, || self.ask_once(request).boxed()).await
    }

    /// The answer to a request for an object, whose bytes are not read yet. It may have status 404 or 416.
    pub async fn open(&self, request: &Request<'_>) -> Result<Response> {
        self.patiently(request, || self.open_once(request).boxed()).await
    }

    async fn ask_once(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let response = self.send(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read_whole(response).await?;
        let failure = if status.is_success() {
            judge_body(&headers, &body, now())
        } else {
            judge(status, &headers, &body, now())
        };
        failure.map_or(Ok(Answer { status, headers, body }), Err)
    }

    async fn open_once(&self, request: &Request<'_>) -> Result<Response, Failure> {
        let response = self.send(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read_whole(response).await?;
        match judge(status, &headers, &body, now()) {
            Some(failure) => Err(failure),
            None => Ok(http::Response::from(Empty(status, headers)).into()),
        }
    }

    /// Returns true if the object can be read without a signature.
    pub async fn is_open(&self, site: &Site, key: &str) -> Result<bool> {
        let asked = self.http.head(site.plain(key)).timeout(PATIENCE).send().await;
        let answer =
            asked.map_err(|error| Error::unavailable(format!("the object store is away: {}", reason(error))))?;
        Ok(answer.status().is_success())
    }

    /// Returns true if the store lets pages of this origin send such a request, as a browser asks it before.
    pub async fn lets_pages(&self, url: &Url, origin: &str, method: &str, headers: &[&str]) -> Result<bool> {
        let mut asked = self.http.request(http::Method::OPTIONS, url.clone()).timeout(PATIENCE);
        asked = asked.header(header::ORIGIN, origin).header(header::ACCESS_CONTROL_REQUEST_METHOD, method);
        if !headers.is_empty() {
            asked = asked.header(header::ACCESS_CONTROL_REQUEST_HEADERS, headers.join(","));
        }
        let answer = asked
            .send()
            .await
            .map_err(|error| Error::unavailable(format!("the object store is away: {}", reason(error))))?;
        let allowed = |name: HeaderName| {
            let lines = answer.headers().get_all(name).into_iter().filter_map(|line| line.to_str().ok());
            lines.flat_map(|line| line.split(',')).map(|one| one.trim().to_ascii_lowercase()).collect::<Vec<_>>()
        };
        let has = |allowed: &[String], wanted: &str| {
            allowed.iter().any(|one| one == "*" || *one == wanted.to_ascii_lowercase())
        };
        let (origins, methods) =
            (allowed(header::ACCESS_CONTROL_ALLOW_ORIGIN), allowed(header::ACCESS_CONTROL_ALLOW_METHODS));
        let known = allowed(header::ACCESS_CONTROL_ALLOW_HEADERS);
        // Browsers send these two methods without leave, once the origin is allowed.
        let is_simple = matches!(method, "GET" | "POST");
        Ok(answer.status().is_success()
            && has(&origins, origin)
            && (is_simple || has(&methods, method))
            && headers.iter().all(|header| has(&known, header)))
    }

    async fn send(&self, request: &Request<'_>) -> Result<Response, Failure> {
        let url = request.site.sign(&request.unsigned, now(), SIGNED_SECONDS);
        let mut sent = self.http.request(method(request.unsigned.method), url);
        for (name, value) in request.unsigned.headers.iter() {
            let wrong = |error: http::Error| Failure::Final(Error::internal("a header of the object store", error));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| wrong(error.into()))?;
            sent = sent.header(name, HeaderValue::from_str(value).map_err(|error| wrong(error.into()))?);
        }
        if !request.body.is_empty() || matches!(request.unsigned.method, Method::Put | Method::Post) {
            sent = sent.body(request.body.clone());
        }
        sent.send().await.map_err(passing)
    }

    /// Repeats `attempt` while it fails for a passing reason, at most `TRIES_MAX` times.
    async fn patiently<'a, T>(
        &'a self,
        request: &'a Request<'_>,
        attempt: impl Fn() -> BoxFuture<'a, Result<T, Failure>> + Send + Sync,
    ) -> Result<T> {
        let end = Instant::now() + request.patience * 2;
        let mut pause = PAUSE;
        for tries in 1.. {
            let left = end.saturating_duration_since(Instant::now()).min(request.patience);
            let reason = match timeout(left, attempt()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Failure::Final(error))) => return Err(error),
                Ok(Err(Failure::Passing(reason))) => reason,
                Err(_) => format!("it did not answer within {} s", left.as_secs()),
            };
            let next = jittered(pause);
            if tries == TRIES_MAX || Instant::now() + next >= end {
                let place = request.site.address();
                return Err(Error::unavailable(format!("the object store at {place} is away: {reason}")));
            }
            tracing::debug!(reason, tries, "a request to the object store is sent again");
            sleep(next).await;
            pause *= 4;
        }
        unreachable!("the last try returns")
    }
}

/// A status and headers without a body.
struct Empty(StatusCode, HeaderMap);

impl From<Empty> for http::Response<Bytes> {
    fn from(Empty(status, headers): Empty) -> Self {
        let mut response = http::Response::new(Bytes::new());
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        response
    }
}

async fn read_whole(mut response: Response) -> Result<Bytes, Failure> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(passing)? {
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            let reason = format!("more than {ANSWER_BYTES_MAX} bytes in an answer");
            return Err(Failure::Final(Error::internal("the object store", reason)));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// Errors of the client carry the address, which is signed.
pub(super) fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        reason += &format!(": {cause}");
        source = cause.source();
    }
    reason
}

fn passing(error: reqwest::Error) -> Failure {
    Failure::Passing(reason(error))
}

fn method(method: Method) -> http::Method {
    match method {
        Method::Head => http::Method::HEAD,
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Delete => http::Method::DELETE,
    }
}

/// A pause of 0 to twice the mean, so that processes do not come back all at once.
fn jittered(mean: Duration) -> Duration {
    let mut bytes = [0; 4];
    // Without random bytes every pause is the shortest one.
    let _ = getrandom::fill(&mut bytes);
    mean.mul_f64(2.0 * f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

#[expect(clippy::disallowed_methods, reason = "the store compares the time of a signature with its own clock")]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

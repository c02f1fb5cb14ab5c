//! The connection to the servers, and questions to JetStream within a bounded time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, Event, HeaderMap, Message, ServerInfo, StatusCode, Subscriber,
};
use bytes::Bytes;
use futures::StreamExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::address::{Address, Credentials};
use crate::error::{Error, Result};

/// The longest time of one attempt to connect to one server.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// A connection whose server answers no ping is given up after three of them.
const PING_EVERY: Duration = Duration::from_secs(2);
/// The longest pause between two attempts to connect.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Once the servers have been away for this time, calls fail without waiting.
const AWAY_MAX: Duration = Duration::from_secs(5);
/// The most commands that wait for the connection. Each is a message of a writer or a small question.
const COMMANDS_MAX: usize = 64;
/// The code of JetStream for a stream that is not there.
const STREAM_NOT_FOUND: u64 = 10059;

/// Why JetStream gave no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The same question may be answered later.
    #[error("NATS: {0}")]
    Away(String),
    /// JetStream answered that it does not.
    #[error("JetStream: {description} ({code})")]
    Refused { code: u64, description: String },
}

impl Failure {
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Failure::Refused { code: STREAM_NOT_FOUND, .. })
    }

    /// For the callers of the inbox.
    pub(super) fn into_error(self) -> Error {
        Error::unavailable(self.to_string())
    }

    pub(super) fn code(&self) -> u64 {
        match self {
            Failure::Away(_) => 0,
            Failure::Refused { code, .. } => *code,
        }
    }
}

/// An error in an answer of JetStream.
#[derive(Deserialize)]
pub(super) struct ApiError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Failure::Refused { code: error.err_code, description: error.description }
    }
}

/// Ends its tasks on drop.
pub(crate) struct Connection {
    client: Client,
    up: watch::Receiver<Up>,
    replies: Arc<Replies>,
    _tasks: JoinSet<()>,
}

/// Since when the servers are away; `None` while one is there.
type Up = Option<Instant>;

/// Those who wait for answers, by the ends of their subjects. All answers come through one subscription.
struct Replies {
    prefix: String,
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, mpsc::Sender<Message>>>,
}

/// The answers to one question. Nobody waits for further ones after the drop.
pub(super) struct Answers {
    token: u64,
    received: mpsc::Receiver<Message>,
    replies: Arc<Replies>,
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.replies.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.token);
    }
}

impl Connection {
    /// Connects to one of the servers. Later it reconnects for as long as it takes.
    pub(crate) async fn open(address: &Address) -> Result<Self> {
        let servers = address.servers().map_err(|error| Error::internal("the addresses of NATS", error))?;
        let (told, up) = watch::channel(None);
        let options = match address.credentials.clone() {
            Credentials::None => ConnectOptions::new(),
            Credentials::Token(token) => ConnectOptions::with_token(token),
            Credentials::User { name, password } => ConnectOptions::with_user_and_password(name, password),
        };
        let options = options
            .name("eyeline")
            .require_tls(address.is_tls)
            .connection_timeout(CONNECT_DEADLINE)
            .ping_interval(PING_EVERY)
            .client_capacity(COMMANDS_MAX)
            .reconnect_delay_callback(pause)
            .event_callback(move |event| {
                tell(&told, &event);
                std::future::ready(())
            });
        let client = options.connect(servers).await.map_err(|error| match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                Error::Conflict("NATS refuses the credentials in the inbox's URL".to_owned())
            }
            _ => Error::unavailable(format!("no server of NATS can be reached: {error}")),
        })?;
        let prefix = format!("{}.", client.new_inbox());
        let failed = |error| Error::unavailable(format!("NATS: {error}"));
        let mut subscription = client.subscribe(format!("{prefix}*")).await.map_err(failed)?;
        let replies = Arc::new(Replies { prefix, next: AtomicU64::new(0), waiting: Mutex::default() });
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let replies = replies.clone();
            async move {
                while let Some(message) = subscription.next().await {
                    replies.deliver(message);
                }
            }
        });
        Ok(Connection { client, up, replies, _tasks: tasks })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// What the server says of itself.
    pub(crate) fn server_info(&self) -> ServerInfo {
        self.client.server_info()
    }

    /// True if the servers have been away for so long that nobody waits for them.
    pub(super) fn is_long_away(&self) -> bool {
        let away_since = *self.up.borrow();
        self.client.connection_state() != State::Connected && away_since.is_some_and(|since| since.elapsed() > AWAY_MAX)
    }

    /// Waits until a server is there, at most until `until`. Fails at once if they have been away for long.
    pub(super) async fn connected(&self, until: Instant) -> Result<(), Failure> {
        let mut up = self.up.clone();
        while self.client.connection_state() != State::Connected {
            up.mark_unchanged();
            let now = Instant::now();
            if now >= until || self.is_long_away() {
                return Err(Failure::Away("no server can be reached".to_owned()));
            }
            // Looks again, because an event may be lost.
            let look_again = until.min(now + Duration::from_millis(100));
            let _ = timeout_at(look_again, up.changed()).await;
        }
        Ok(())
    }

    /// Sends a question whose answers, at most `answers_max` at a time, can be waited for.
    pub(super) async fn ask(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
        answers_max: usize,
        until: Instant,
    ) -> Result<Answers, Failure> {
        self.connected(until).await?;
        let answers = self.replies.register(answers_max);
        let reply = format!("{}{}", self.replies.prefix, answers.token);
        self.publish(subject, reply, headers, payload, until).await?;
        Ok(answers)
    }

    /// The only answer to a question.
    pub(super) async fn request(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
        until: Instant,
    ) -> Result<Message, Failure> {
        self.ask(subject, headers, payload, 1, until).await?.next(until).await
    }

    /// A subscription of its own, with its subject: a consumer's messages come under that of their stream.
    pub(super) async fn subscribe(&self, until: Instant) -> Result<(String, Subscriber), Failure> {
        self.connected(until).await?;
        let subject = self.client.new_inbox();
        match timeout_at(until, self.client.subscribe(subject.clone())).await {
            Ok(Ok(subscriber)) => Ok((subject, subscriber)),
            Ok(Err(error)) => Err(Failure::Away(error.to_string())),
            Err(_) => Err(slow()),
        }
    }

    /// Sends a question whose answers come to `reply`.
    pub(super) async fn publish(
        &self,
        subject: String,
        reply: String,
        headers: HeaderMap,
        payload: Bytes,
        until: Instant,
    ) -> Result<(), Failure> {
        let sent = async {
            match headers.is_empty() {
                true => self.client.publish_with_reply(subject, reply, payload).await,
                false => self.client.publish_with_reply_and_headers(subject, reply, headers, payload).await,
            }
        };
        match timeout_at(until, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::Away(error.to_string())),
            Err(_) => Err(slow()),
        }
    }

    /// Asks JetStream's interface.
    pub(super) async fn api<T: DeserializeOwned>(
        &self,
        name: &str,
        body: &serde_json::Value,
        until: Instant,
    ) -> Result<T, Failure> {
        let payload = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let answer = self.request(format!("$JS.API.{name}"), HeaderMap::new(), payload, until).await?;
        read(&answer.payload)
    }

    /// Sends a message that nobody answers. It may be lost.
    pub(super) async fn tell(&self, subject: String, payload: Bytes) {
        let sent = self.client.publish(subject, payload);
        let _ = timeout(Duration::from_millis(100), sent).await;
    }
}

impl Replies {
    fn register(self: &Arc<Self>, answers_max: usize) -> Answers {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, received) = mpsc::channel(answers_max);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(token, sender);
        Answers { token, received, replies: self.clone() }
    }

    fn deliver(&self, message: Message) {
        let token = message.subject.as_str().strip_prefix(&self.prefix).and_then(|token| token.parse().ok());
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = token.and_then(|token: u64| waiting.get(&token)) {
            // More than were asked for are dropped.
            let _ = sender.try_send(message);
        }
    }
}

impl Answers {
    /// The next answer. Fails if it does not come until `until`, or nobody answers such questions.
    pub(super) async fn next(&mut self, until: Instant) -> Result<Message, Failure> {
        match timeout_at(until, self.received.recv()).await {
            Ok(Some(message)) if message.status == Some(StatusCode::NO_RESPONDERS) => {
                Err(Failure::Away("JetStream is not there, or a stream has no leader".to_owned()))
            }
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(Failure::Away("the connection was closed".to_owned())),
            Err(_) => Err(Failure::Away("no answer in time".to_owned())),
        }
    }
}

/// Reads an answer of JetStream, which is an error or what was asked for.
pub(super) fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, Failure> {
    #[derive(Deserialize)]
    struct Outcome {
        error: Option<ApiError>,
    }
    let unreadable = |error| Failure::Away(format!("an answer that cannot be read: {error}"));
    if let Some(error) = serde_json::from_slice::<Outcome>(answer).map_err(unreadable)?.error {
        return Err(error.into());
    }
    serde_json::from_slice(answer).map_err(unreadable)
}

fn slow() -> Failure {
    Failure::Away("the connection takes no more questions".to_owned())
}

fn tell(told: &watch::Sender<Up>, event: &Event) {
    match event {
        Event::Connected if told.send_replace(None).is_some() => {
            tracing::info!("NATS answers again");
        }
        Event::Disconnected => {
            told.send_replace(Some(Instant::now()));
            tracing::warn!("NATS is away: no event is accepted until a server can be reached");
        }
        _ => {}
    }
}

/// The pause before an attempt to connect: doubled each time, and a random part of it.
fn pause(attempt: usize) -> Duration {
    let longest = PAUSE_MAX.min(Duration::from_millis(20) * 2u32.saturating_pow(attempt.min(16) as u32));
    let mut random = [0; 1];
    // Without randomness, all processes come back in the same moment: slower, not wrong.
    let _ = getrandom::fill(&mut random);
    longest / 2 + longest / 2 * u32::from(random[0]) / 255
}

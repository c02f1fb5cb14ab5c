//! Listening to a project's news, over a WebSocket and as server-sent events.

use std::collections::VecDeque;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use reqwest::Method;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::api::{Api, CONTRACT};

const MESSAGE_SECONDS_MAX: u64 = 60;

/// The path of a project's stream; `since` is the last `seq` that the listener has.
pub fn path(project_id: &str, since: Option<u64>) -> String {
    match since {
        Some(seq) => format!("/projects/{project_id}/stream?since={seq}"),
        None => format!("/projects/{project_id}/stream"),
    }
}

/// An open WebSocket.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens a stream with the caller's credential. `Err` has the status of the refusal.
    pub async fn open(api: &Api, path: &str) -> Result<Self, u16> {
        Self::try_open(api, path).await.map_err(|error| match *error {
            Error::Http(response) => response.status().as_u16(),
            other => panic!("the handshake of {path}: {other}"),
        })
    }

    /// The same; the caller judges an error of the connection.
    pub async fn try_open(api: &Api, path: &str) -> Result<Self, Box<Error>> {
        let url = api.url(path).replacen("http://", "ws://", 1);
        let mut request = url.into_client_request()?;
        if let Some((name, value)) = api.credential_header() {
            request.headers_mut().insert(name, value.parse().expect("a credential is a header value"));
        }
        let (socket, _) = connect_async(request).await?;
        Ok(Socket(socket))
    }

    /// The next message; `None` if the connection has ended.
    pub async fn try_next(&mut self) -> Option<Value> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) => return Some(CONTRACT.stream_message(&text)),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next message, which must arrive.
    pub async fn next(&mut self) -> Value {
        let next = timeout(Duration::from_secs(MESSAGE_SECONDS_MAX), self.try_next()).await;
        next.expect("a message comes in time").expect("the stream stays open")
    }

    /// Checks that no message arrives for `span`.
    pub async fn expect_silence(&mut self, span: Duration) {
        if let Ok(heard) = timeout(span, self.try_next()).await {
            panic!("nothing was to be heard, but {heard:?} was");
        }
    }

    /// All messages up to the first for which `is_last` is true.
    pub async fn until(&mut self, mut is_last: impl FnMut(&Value) -> bool) -> Vec<Value> {
        let mut heard = Vec::new();
        loop {
            let message = self.next().await;
            let last = is_last(&message);
            heard.push(message);
            if last {
                return heard;
            }
        }
    }

    /// All messages until every one of `count` images has reached a final state.
    pub async fn until_final(&mut self, count: usize) -> Vec<Value> {
        let mut open = count;
        self.until(|message| {
            open -= usize::from(matches!(message["state"].as_str(), Some("done" | "error")));
            open == 0
        })
        .await
    }
}

/// One open stream of server-sent events.
pub struct ServerSentEvents {
    chunks: BoxStream<'static, Result<Vec<u8>, reqwest::Error>>,
    buffer: Vec<u8>,
    messages: VecDeque<Value>,
}

impl ServerSentEvents {
    /// Opens a stream like a browser's EventSource. `Err` has the status of the refusal.
    pub async fn open(api: &Api, path: &str, last_event_id: Option<u64>) -> Result<Self, u16> {
        let mut request = api.request(Method::GET, path).header("accept", "text/event-stream");
        if let Some(seq) = last_event_id {
            request = request.header("last-event-id", seq.to_string());
        }
        let response = request.send().await.expect("the server answers");
        let status = response.status().as_u16();
        if status != 200 {
            return Err(status);
        }
        let content_type = response.headers()["content-type"].to_str().unwrap_or_default();
        assert!(content_type.starts_with("text/event-stream"), "the content type is {content_type}");
        let chunks = response.bytes_stream().map_ok(|chunk| chunk.to_vec()).boxed();
        Ok(ServerSentEvents { chunks, buffer: Vec::new(), messages: VecDeque::new() })
    }

    /// The next message, which must arrive. Its `id` must be its `seq`, so that `Last-Event-ID` works.
    pub async fn next(&mut self) -> Value {
        loop {
            if let Some(message) = self.messages.pop_front() {
                return message;
            }
            let chunk = timeout(Duration::from_secs(MESSAGE_SECONDS_MAX), self.chunks.next()).await;
            let chunk = chunk.expect("a message comes in time").expect("the stream stays open");
            self.buffer.extend(chunk.expect("the stream stays open"));
            self.split();
        }
    }

    fn split(&mut self) {
        while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let event = String::from_utf8(event).expect("a stream of events is UTF-8");
            let field = |name: &str| -> Vec<&str> {
                let lines = event.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect()
            };
            // An event without data is a comment that keeps the connection open.
            let data = field("data");
            if data.is_empty() {
                continue;
            }
            let message = CONTRACT.stream_message(&data.join("\n"));
            if !message["seq"].is_null() {
                assert_eq!(field("id"), [message["seq"].to_string()], "the id of {message}");
            }
            self.messages.push_back(message);
        }
    }
}

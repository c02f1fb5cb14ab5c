//! Delivers news to a listener for as long as it keeps up and its credential is valid.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade, close_code};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use eyeline_core::ProjectId;
use eyeline_store::Error;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;

use super::Holder;
use crate::app::App;
use crate::flow::notify::{Listener, Message};

/// Keeps the connection alive, for both sides and for proxies between them.
const PING: Duration = Duration::from_secs(25);
/// A client that is silent for this long, pings included, is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Time until a revoked credential closes its streams.
const CHECK: Duration = Duration::from_secs(10);
/// A client that accepts nothing for this long is too slow. It may reconnect with its last `seq`.
const SEND_MAX: Duration = Duration::from_secs(20);
/// Pause after an error of the catalog.
const RETRY: Duration = Duration::from_secs(1);
/// Bytes of a client's message; its content is ignored.
const HEARD_BYTES_MAX: usize = 4 * 1024;
/// Bytes of messages that are sent together, and the most that wait: more than any message has.
const SAID_BYTES: usize = 8 * 1024;
const SAID_BYTES_MAX: usize = 256 * 1024;
/// Events on their way to the connection.
const EVENTS_WAITING_MAX: usize = 16;
/// Pause before a browser reconnects.
const RECONNECT: Duration = Duration::from_secs(2);

/// A stream with its listener and timers.
pub(super) struct Stream {
    app: App,
    listener: Listener,
    holder: Holder,
    project_id: ProjectId,
    ping: Interval,
    check: Interval,
}

enum Next {
    Messages(Vec<Message>),
    Ping,
    End(End),
}

/// The reason why the server ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stopping,
    NotAllowed,
    Gone,
    TooSlow,
}

impl End {
    fn reason(self) -> &'static str {
        match self {
            End::Stopping => "the server stops",
            End::NotAllowed => "the credential is no longer valid",
            End::Gone => "the project was deleted",
            End::TooSlow => "too slow: reconnect with your last seq",
        }
    }

    fn frame(self) -> Frame {
        let code = match self {
            End::Stopping => close_code::AWAY,
            End::NotAllowed | End::Gone => close_code::POLICY,
            End::TooSlow => close_code::AGAIN,
        };
        Frame::Close(Some(CloseFrame { code, reason: self.reason().into() }))
    }
}

impl Stream {
    pub(super) fn new(app: App, listener: Listener, holder: Holder, project_id: ProjectId) -> Self {
        Stream { app, listener, holder, project_id, ping: every(PING), check: every(CHECK) }
    }

    async fn next(&mut self) -> Next {
        loop {
            tokio::select! {
                () = self.app.stop.cancelled() => return Next::End(End::Stopping),
                told = self.listener.next() => match told {
                    Ok(messages) => return Next::Messages(messages),
                    Err(Error::NotFound(_)) => return Next::End(End::Gone),
                    Err(error) => {
                        tracing::warn!(%error, project.id = %self.project_id, "news could not be read; tried again");
                        sleep(RETRY).await;
                    }
                },
                _ = self.ping.tick() => return Next::Ping,
                _ = self.check.tick() => {
                    if let Err(problem) = self.holder.check(&self.app, self.project_id).await
                        // An unreachable engine says nothing about the credential.
                        && problem.status().is_client_error()
                    {
                        let gone = problem.status() == StatusCode::NOT_FOUND;
                        return Next::End(if gone { End::Gone } else { End::NotAllowed });
                    }
                }
            }
        }
    }
}

/// Ticks, the first time after `span`.
fn every(span: Duration) -> Interval {
    let mut ticks = interval(span);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    ticks
}

pub(super) fn over_socket(upgrade: WebSocketUpgrade, stream: Stream) -> Response {
    let upgrade = upgrade.max_message_size(HEARD_BYTES_MAX).max_frame_size(HEARD_BYTES_MAX);
    let upgrade = upgrade.read_buffer_size(HEARD_BYTES_MAX).write_buffer_size(SAID_BYTES);
    upgrade.max_write_buffer_size(SAID_BYTES_MAX).on_upgrade(|socket| async move {
        let (sink, heard) = socket.split();
        // Both concurrently: a client that accepts nothing may still say goodbye.
        tokio::select! {
            () = say(sink, stream) => {}
            () = hear(heard) => {}
        }
    })
}

/// Reads what the client sends, and ignores it, until the client closes the connection or falls silent.
async fn hear(mut heard: SplitStream<WebSocket>) {
    while let Ok(Some(Ok(frame))) = timeout(SILENCE_MAX, heard.next()).await {
        if matches!(frame, Frame::Close(_)) {
            break;
        }
    }
}

async fn say(mut sink: SplitSink<WebSocket, Frame>, mut stream: Stream) {
    let end = loop {
        let sent = match stream.next().await {
            Next::Messages(messages) => timeout(SEND_MAX, send(&mut sink, &messages)).await,
            Next::Ping => timeout(SEND_MAX, sink.send(Frame::Ping(Default::default()))).await,
            Next::End(end) => break end,
        };
        match sent {
            Ok(Ok(())) => {}
            // The connection broke.
            Ok(Err(_)) => return,
            Err(_) => break End::TooSlow,
        }
    };
    tracing::debug!(project.id = %stream.project_id, reason = end.reason(), "a stream ends");
    // A client that accepts nothing does not get the reason either.
    let _ = timeout(RETRY, sink.send(end.frame())).await;
}

/// All messages go out together.
async fn send(sink: &mut SplitSink<WebSocket, Frame>, messages: &[Message]) -> Result<(), axum::Error> {
    for message in messages {
        sink.feed(Frame::Text(message.text().into())).await?;
    }
    sink.flush().await
}

pub(super) fn as_events(stream: Stream) -> Response {
    let (sender, events) = mpsc::channel(EVENTS_WAITING_MAX);
    tokio::spawn(send_events(sender, stream));
    let no_buffering = [("x-accel-buffering", "no")];
    (no_buffering, Sse::new(ReceiverStream::new(events).map(Ok::<Event, Infallible>))).into_response()
}

/// Ends when the client is gone, which is seen by the channel being closed.
async fn send_events(sender: mpsc::Sender<Event>, mut stream: Stream) {
    // Browsers remember an id without data, so one that reconnects before the first news misses nothing.
    let reached = Event::default().id(stream.listener.reached().to_string()).retry(RECONNECT);
    let mut waiting = vec![reached];
    let end = loop {
        for event in waiting.drain(..) {
            match sender.send_timeout(event, SEND_MAX).await {
                Ok(()) => {}
                Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                    tracing::debug!(project.id = %stream.project_id, "a listener was too slow");
                    return;
                }
                Err(mpsc::error::SendTimeoutError::Closed(_)) => return,
            }
        }
        let next = tokio::select! {
            () = sender.closed() => return,
            next = stream.next() => next,
        };
        match next {
            Next::Messages(messages) => waiting.extend(messages.iter().map(event)),
            Next::Ping => waiting.push(Event::default().comment("")),
            Next::End(end) => break end,
        }
    };
    tracing::debug!(project.id = %stream.project_id, reason = end.reason(), "a stream ends");
    let _ = sender.send_timeout(Event::default().comment(end.reason()), RETRY).await;
}

fn event(message: &Message) -> Event {
    let event = Event::default().data(message.text());
    match message.seq() {
        Some(seq) => event.id(seq.to_string()),
        None => event,
    }
}

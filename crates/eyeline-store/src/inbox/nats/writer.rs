//! Writes messages: one writer for each partition, with one message at a time on its way.
//!
//! What waits while a message is on its way is packed into the next one, so that one acknowledgement answers many calls.
//! One at a time keeps the order, also where a message has to be sent again.

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::Shared;
use super::connection::{self, Failure};
use super::message::{self, Packed, Piece};
use super::streams;
use crate::error::{Error, Result};

/// The longest time from a call to its end.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// A message without an acknowledgement is sent again after this time.
const ACK_DEADLINE: Duration = Duration::from_millis(1_500);
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// The message was not stored, for the reason in its description: the stream or the disk is full.
const STORE_FAILED: u64 = 10077;
const NO_RESOURCES: [u64; 2] = [10023, 10047];
/// Another stream has the subject now.
const OTHER_STREAM: u64 = 10060;

pub(super) struct Job {
    pub(super) piece: Piece,
    /// The end of the call.
    pub(super) until: Instant,
    pub(super) answer: oneshot::Sender<Result<()>>,
    /// Its part of the queue.
    pub(super) _space: OwnedSemaphorePermit,
}

#[derive(Deserialize)]
struct Ack {
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
}

/// Ends when the last sender is dropped.
pub(super) async fn run(shared: Arc<Shared>, partition: u32, mut queue: mpsc::Receiver<Job>) {
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(job) => job,
            None => match queue.recv().await {
                Some(job) => job,
                None => return,
            },
        };
        if !is_wanted(&first) {
            continue;
        }
        let mut packed = Packed::new(&first.piece);
        let mut jobs = vec![first];
        while let Ok(job) = queue.try_recv() {
            if !is_wanted(&job) {
                continue;
            }
            if !packed.has_room_for(&job.piece) {
                next = Some(job);
                break;
            }
            packed.push(&job.piece);
            jobs.push(job);
        }
        let until = jobs.iter().map(|job| job.until).max().unwrap_or_else(Instant::now);
        let outcome = write(&shared, partition, packed, until).await;
        let stored = outcome.as_ref().ok().copied();
        let reason = outcome.err().map(|error| error.to_string());
        for job in jobs {
            // The caller may be gone; the events count anyway.
            let _ = job.answer.send(reason.clone().map_or(Ok(()), |reason| Err(Error::unavailable(reason))));
        }
        if let Some(sequence) = stored {
            shared.tell_stored(partition, sequence).await;
        }
    }
}

/// False if its call has ended, because an earlier piece failed or time ran out.
fn is_wanted(job: &Job) -> bool {
    !job.answer.is_closed() && Instant::now() < job.until
}

/// Returns the sequence of the message once it is stored. Sends it again under the same id until `until`.
async fn write(shared: &Shared, partition: u32, packed: Packed, until: Instant) -> Result<u64> {
    shared.check_broken()?;
    let (payload, count) = packed.finish();
    let name = shared.streams.name(partition);
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", Uuid::from_bytes(crate::inbox::random()?).simple().to_string());
    headers.insert("Nats-Expected-Stream", name.as_str());
    headers.insert(message::COUNT, count.to_string());
    let known = shared.known(partition);
    let mut pause = PAUSE_MIN;
    loop {
        let ack_until = until.min(Instant::now() + ACK_DEADLINE);
        let subject = shared.streams.subject(partition);
        let answer = shared.connection.request(subject, headers.clone(), payload.clone(), ack_until).await;
        let failure = match answer.and_then(|answer| connection::read::<Ack>(&answer.payload)) {
            Ok(Ack { seq, duplicate }) if duplicate || seq > known => {
                shared.stored(partition, seq, payload);
                return Ok(seq);
            }
            Ok(Ack { seq, .. }) => return Err(shared.set_back(partition, known, seq)),
            Err(failure) => failure,
        };
        match failure.code() {
            STORE_FAILED => return Err(full(&failure)),
            code if NO_RESOURCES.contains(&code) => return Err(full(&failure)),
            OTHER_STREAM => return Err(streams::deleted(&name)),
            _ => {}
        }
        if Instant::now() + pause >= until || shared.connection.is_long_away() {
            return Err(Error::unavailable(format!("no acknowledgement of NATS: {failure}")));
        }
        if is_deleted(shared, &name, until).await {
            return Err(streams::deleted(&name));
        }
        tokio::time::sleep(pause).await;
        pause = PAUSE_MAX.min(pause * 2);
    }
}

/// True if the stream is certainly gone.
async fn is_deleted(shared: &Shared, name: &str, until: Instant) -> bool {
    let until = until.min(Instant::now() + Duration::from_millis(500));
    matches!(streams::info(&shared.connection, name, until).await, Err(failure) if failure.is_not_found())
}

fn full(failure: &Failure) -> Error {
    Error::unavailable(format!("the inbox in NATS is full, or its disk is: {failure}"))
}

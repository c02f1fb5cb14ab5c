//! The inbox in NATS JetStream, which processes share.
//!
//! Each partition is a stream, so that its sequence is the order of its events and never falls, and what is flushed is
//! deleted by one purge. A message holds many events (`message`). A writer for each partition packs what waits
//! (`writer`). Readers share a cache and ask any server, then the leader (`reader`). No reader has a consumer.
//!
//! An append is answered once a majority of the servers that keep the stream have written the message. They do so with
//! an fsync only if their `sync_interval` is `always`: `eyeline doctor` looks.

mod address;
mod cache;
pub(crate) mod connection;
mod counts;
mod message;
mod reader;
pub(crate) mod streams;
mod writer;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::{join_all, try_join_all};
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{Delivery, Entry, Inbox, Offset, PULL_BYTES_MAX};
use crate::error::{Error, Result};
pub(crate) use address::Address;
use cache::Cache;
use connection::{Connection, Failure};
use counts::Counts;
use message::Piece;
use streams::Streams;
use writer::Job;

/// The most bytes that wait for the writers. Further calls get `Unavailable`.
const QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The most calls that wait for one writer.
const QUEUE_CALLS_MAX: usize = 8 * 1024;
/// The longest time of a question to JetStream.
const READ_DEADLINE: Duration = Duration::from_secs(5);
/// A check of the servers has to be faster.
const PING_DEADLINE: Duration = Duration::from_secs(2);
/// The lowest bound of a partition: less than this is full at once.
const FULL_BELOW_BYTES: u64 = 2 * 1024 * 1024;

/// The most memory of this engine with so many partitions: queue, messages on their way, cache, answers that are being
/// read, numbers of events, and the pull of one reader.
pub(super) fn memory_bytes(partitions: u32) -> usize {
    let each = message::BYTES_MAX + counts::BYTES_MAX;
    let read = reader::READS_MAX * (reader::BYTES_MAX + message::BYTES_MAX);
    QUEUE_BYTES_MAX + partitions as usize * each + cache::BYTES_MAX + read + PULL_BYTES_MAX
}

/// The partitions of a new inbox with this address.
pub(super) fn partitions(address: &Address) -> u32 {
    address.partitions()
}

pub(super) struct NatsInbox {
    shared: Arc<Shared>,
    writers: Vec<mpsc::Sender<Job>>,
    space: Arc<Semaphore>,
    _tasks: JoinSet<()>,
}

/// What writers and readers share.
struct Shared {
    connection: Connection,
    streams: Streams,
    partitions: Vec<Partition>,
    cache: Cache,
    reads: Semaphore,
    /// The reason why nothing is accepted any more.
    broken: OnceLock<String>,
}

#[derive(Default)]
struct Partition {
    /// The newest sequence that a server has told. It never falls.
    known: watch::Sender<u64>,
    /// The newest sequence that another process has told, and that may be wrong.
    hinted: watch::Sender<u64>,
    /// The first sequence that was not purged by this process.
    kept_from: AtomicU64,
    turn: Mutex<()>,
    counts: Mutex<Counts>,
}

impl NatsInbox {
    pub(super) async fn open(address: &Address) -> Result<Self> {
        let connection = Connection::open(address).await?;
        let streams = streams::open(&connection, address).await?;
        let count = streams.partitions;
        let mut hints = connection
            .client()
            .subscribe(format!("{}*", streams.hints()))
            .await
            .map_err(|error| Error::unavailable(format!("NATS: {error}")))?;
        let shared = Arc::new(Shared {
            connection,
            streams,
            partitions: (0..count).map(|_| Partition::default()).collect(),
            cache: Cache::new(count),
            reads: Semaphore::new(reader::READS_MAX),
            broken: OnceLock::new(),
        });
        let until = Instant::now() + READ_DEADLINE;
        try_join_all((0..count).map(|partition| shared.newest(partition, until))).await?;
        let mut tasks = JoinSet::new();
        let mut writers = Vec::with_capacity(count as usize);
        for partition in 0..count {
            let (jobs, queue) = mpsc::channel(QUEUE_CALLS_MAX);
            tasks.spawn(writer::run(shared.clone(), partition, queue));
            writers.push(jobs);
        }
        tasks.spawn({
            let shared = shared.clone();
            async move {
                while let Some(hint) = hints.next().await {
                    shared.take_hint(hint.subject.as_str(), &hint.payload);
                }
            }
        });
        Ok(NatsInbox { shared, writers, space: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)), _tasks: tasks })
    }

    fn check(&self, partition: u32) -> Result<()> {
        if partition < self.shared.streams.partitions {
            return Ok(());
        }
        Err(Error::internal("the inbox", format!("it has no partition {partition}")))
    }
}

impl Shared {
    fn partition(&self, partition: u32) -> &Partition {
        &self.partitions[partition as usize]
    }

    fn turn(&self, partition: u32) -> &Mutex<()> {
        &self.partition(partition).turn
    }

    fn counts(&self, partition: u32) -> &Mutex<Counts> {
        &self.partition(partition).counts
    }

    fn known(&self, partition: u32) -> u64 {
        *self.partition(partition).known.borrow()
    }

    fn hinted(&self, partition: u32) -> u64 {
        *self.partition(partition).hinted.borrow()
    }

    fn note_known(&self, partition: u32, sequence: u64) {
        self.partition(partition).known.send_if_modified(|known| {
            let is_newer = sequence > *known;
            *known = sequence.max(*known);
            is_newer
        });
    }

    /// Notes a message that this process has stored.
    fn stored(&self, partition: u32, sequence: u64, message: Bytes) {
        self.cache.insert(partition, sequence, message);
        self.note_known(partition, sequence);
    }

    /// Tells the other processes.
    async fn tell_stored(&self, partition: u32, sequence: u64) {
        let subject = format!("{}{partition}", self.streams.hints());
        self.connection.tell(subject, sequence.to_string().into()).await;
    }

    fn take_hint(&self, subject: &str, payload: &[u8]) {
        let partition = subject.rsplit_once('.').and_then(|(_, partition)| partition.parse::<usize>().ok());
        let sequence = std::str::from_utf8(payload).ok().and_then(|sequence| sequence.parse::<u64>().ok());
        if let Some(partition) = partition.and_then(|partition| self.partitions.get(partition))
            && let Some(sequence) = sequence
            && sequence > *partition.known.borrow()
        {
            partition.hinted.send_replace(sequence);
        }
    }

    /// Takes back a hint of more than there is, unless another one has come since it was read.
    fn take_back_hint(&self, partition: u32, hinted: u64, newest: u64) {
        self.partition(partition).hinted.send_if_modified(|present| {
            if *present == hinted && hinted > newest {
                *present = newest;
            }
            false
        });
    }

    fn check_broken(&self) -> Result<()> {
        self.broken.get().map_or(Ok(()), |reason| Err(Error::unavailable(reason.clone())))
    }

    /// Notes that a stream numbers its messages from an earlier sequence again, and returns the error.
    fn set_back(&self, partition: u32, known: u64, sequence: u64) -> Error {
        let name = self.streams.name(partition);
        let reason = format!(
            "the stream {name} in NATS went back from message {known} to {sequence}: it was restored from an older backup, or \
             its servers lost what they had acknowledged. Restore the catalog of the same time, and start the server again"
        );
        tracing::error!("{reason}");
        let _first = self.broken.set(reason.clone());
        Error::unavailable(reason)
    }

    /// The events after `after`, from the cache and then from the servers.
    async fn pull(&self, partition: u32, after: Offset, events_max: usize) -> Result<Vec<Delivery>> {
        let until = Instant::now() + READ_DEADLINE;
        let mut deliveries = Vec::new();
        let (mut next, mut bytes) = (message::first_sequence_after(after), 0);
        while deliveries.len() < events_max && bytes < PULL_BYTES_MAX {
            let mut messages = self.cache.from(partition, next, PULL_BYTES_MAX - bytes);
            if messages.is_empty() {
                if !deliveries.is_empty() && next > self.known(partition) {
                    break;
                }
                messages = match self.load(partition, next, until).await {
                    Ok(messages) => messages,
                    Err(error) if deliveries.is_empty() => return Err(error),
                    Err(_) => break,
                };
            }
            let Some((last, _)) = messages.last() else { break };
            next = last + 1;
            for (sequence, message) in &messages {
                let events = message::read(message, *sequence).into_iter().filter(|event| event.offset > after);
                for event in events {
                    if deliveries.len() >= events_max || bytes >= PULL_BYTES_MAX {
                        return Ok(deliveries);
                    }
                    bytes += event.event.len();
                    deliveries.push(event);
                }
            }
        }
        Ok(deliveries)
    }
}

#[async_trait]
impl Inbox for NatsInbox {
    fn id(&self) -> Uuid {
        self.shared.streams.id
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn partitions(&self) -> u32 {
        self.shared.streams.partitions
    }

    async fn append(&self, entries: &[Entry]) -> Result<()> {
        let mut by_partition = BTreeMap::<u32, Vec<&Entry>>::new();
        for entry in entries {
            self.check(entry.partition)?;
            if entry.event.len() > message::EVENT_BYTES_MAX {
                let sentence = format!("an event has at most {} bytes in NATS", message::EVENT_BYTES_MAX);
                return Err(Error::Refused(sentence));
            }
            by_partition.entry(entry.partition).or_default().push(entry);
        }
        self.shared.check_broken()?;
        let until = Instant::now() + writer::DEADLINE;
        let pieces = by_partition.into_iter().flat_map(|(partition, entries)| {
            Piece::cut(entries.into_iter()).into_iter().map(move |piece| (partition, piece))
        });
        let pieces: Vec<(u32, Piece)> = pieces.collect();
        let bytes = pieces.iter().map(|(_, piece)| piece.len()).sum::<usize>();
        let permits = u32::try_from(bytes).map_err(|_| full())?;
        let mut space = self.space.clone().try_acquire_many_owned(permits).map_err(|_| full())?;
        let mut answers = Vec::with_capacity(pieces.len());
        for (partition, piece) in pieces {
            let (answer, answered) = oneshot::channel();
            let Some(_space) = space.split(piece.len()) else { return Err(full()) };
            let job = Job { piece, until, answer, _space };
            self.writers[partition as usize].try_send(job).map_err(|_| full())?;
            answers.push(async { answered.await.unwrap_or_else(|_| Err(late())) });
        }
        timeout_at(until, try_join_all(answers)).await.map_err(|_| late())?.map(drop)
    }

    async fn pull(&self, partition: u32, after: Offset, events_max: usize) -> Result<Vec<Delivery>> {
        self.check(partition)?;
        self.shared.pull(partition, after, events_max).await
    }

    async fn head(&self, partition: u32) -> Result<Offset> {
        self.check(partition)?;
        let newest = self.shared.newest(partition, Instant::now() + READ_DEADLINE).await?;
        Ok(message::last_offset(newest.max(self.shared.known(partition))))
    }

    async fn waiting(&self, partition: u32, after: Offset) -> Result<u64> {
        self.check(partition)?;
        self.shared.count(partition, after, Instant::now() + READ_DEADLINE).await
    }

    async fn ping(&self) -> Result<()> {
        self.shared.check_broken()?;
        let until = Instant::now() + PING_DEADLINE;
        let asked = (0..self.partitions()).map(|partition| self.shared.newest(partition, until));
        join_all(asked).await.into_iter().try_for_each(|newest| newest.map(drop))
    }

    async fn arrived(&self, partition: u32, after: Offset) {
        let Some(partition) = self.shared.partitions.get(partition as usize) else {
            return std::future::pending().await;
        };
        let (mut known, mut hinted) = (partition.known.subscribe(), partition.hinted.subscribe());
        let is_after = |sequence: &u64| message::last_offset(*sequence) > after;
        // Both senders live as long as this inbox.
        tokio::select! {
            _ = known.wait_for(is_after) => {}
            _ = hinted.wait_for(is_after) => {}
        }
    }

    async fn forget(&self, partition: u32, up_to: Offset) -> Result<()> {
        self.check(partition)?;
        let until = Instant::now() + READ_DEADLINE;
        let wanted = message::first_sequence_after(up_to);
        let kept_from = &self.shared.partition(partition).kept_from;
        if wanted <= kept_from.load(Ordering::Acquire).max(1) {
            return Ok(());
        }
        // The newest message stays: a stream that was emptied depends on more of the server to keep its numbers.
        let first = wanted.min(self.shared.newest(partition, until).await?);
        self.shared.cache.forget(partition, first);
        if first > 1 {
            let name = format!("STREAM.PURGE.{}", self.shared.streams.name(partition));
            let purge = json!({"seq": first});
            let purged = self.shared.connection.api::<IgnoredAny>(&name, &purge, until);
            purged.await.map_err(Failure::into_error)?;
        }
        kept_from.fetch_max(first, Ordering::AcqRel);
        Ok(())
    }
}

fn full() -> Error {
    Error::unavailable("the inbox's queue is full")
}

fn late() -> Error {
    Error::unavailable("no acknowledgement of NATS in time")
}

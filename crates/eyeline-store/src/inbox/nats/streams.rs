//! The streams of an inbox: one for each partition, made together and with one id.
//!
//! The id is a part of the subjects, so that a process that knew streams which were deleted cannot write into those
//! that were made in their place. The first stream says whether all of them were made: one that is missing later was
//! deleted, and is not made again, because its offsets would begin at zero.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::address::Address;
use super::connection::{Connection, Failure};
use super::message;
use crate::error::{Error, Result};

/// The oldest version without known faults that lose acknowledged messages.
pub(crate) const OLDEST: (u32, u32, u32) = (2, 12, 3);
/// The time within which a message that is sent again is known by its id. Writers send again for a few seconds.
const DUPLICATES_KNOWN: Duration = Duration::from_secs(120);
/// The longest time of opening all streams.
const DEADLINE: Duration = Duration::from_secs(30);
/// The longest time of a question.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// The bytes of a message with its headers and names.
pub(crate) const PAYLOAD_BYTES_MIN: usize = message::BYTES_MAX + 4 * 1024;
/// The copies of each event where the servers are a cluster.
const REPLICAS: u32 = 3;

const ID: &str = "eyeline-inbox";
const PARTITIONS: &str = "eyeline-partitions";
const COMPLETE: &str = "eyeline-complete";

/// JetStream refuses more replicas than one server can keep.
const NOT_IN_CLUSTER: u64 = 10074;
const NO_SUITABLE_PEERS: u64 = 10005;
const NAME_IN_USE: u64 = 10058;
/// No room for the bound of a new stream.
const NO_RESOURCES: [u64; 3] = [10023, 10047, 10028];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Streams {
    name: String,
    pub(super) id: Uuid,
    pub(super) partitions: u32,
}

impl Streams {
    pub(super) fn name(&self, partition: u32) -> String {
        format!("{}-{partition}", self.name)
    }

    /// The subject of a partition's messages.
    pub(super) fn subject(&self, partition: u32) -> String {
        format!("{}.{}.events.{partition}", self.name, self.id.simple())
    }

    /// The start of the subjects on which processes tell each other that something was stored.
    pub(super) fn hints(&self) -> String {
        format!("{}.{}.stored.", self.name, self.id.simple())
    }

    fn config(&self, partition: u32, replicas: u32, bytes_max: u64, is_complete: bool) -> Value {
        let mut metadata = json!({ID: self.id.simple().to_string(), PARTITIONS: self.partitions.to_string()});
        if is_complete {
            metadata[COMPLETE] = json!("yes");
        }
        json!({
            "name": self.name(partition),
            "subjects": [self.subject(partition)],
            "retention": "limits",
            "storage": "file",
            "discard": "new",
            "max_bytes": bytes_max,
            "num_replicas": replicas,
            "duplicate_window": DUPLICATES_KNOWN.as_nanos() as u64,
            "allow_direct": true,
            "deny_delete": true,
            "metadata": metadata,
        })
    }
}

/// The parts of a stream's description that are used.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Info {
    pub(super) config: Config,
    pub(super) state: StreamState,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Config {
    #[serde(default)]
    metadata: std::collections::HashMap<String, String>,
    pub(super) num_replicas: u32,
    pub(super) max_bytes: i64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct StreamState {
    pub(super) bytes: u64,
    pub(super) last_seq: u64,
}

impl Info {
    fn text(&self, name: &str) -> &str {
        self.config.metadata.get(name).map_or("", String::as_str)
    }

    fn streams(&self, name: &str) -> Result<Streams> {
        let id = Uuid::try_parse(self.text(ID)).ok();
        let partitions = self.text(PARTITIONS).parse().ok();
        let (Some(id), Some(partitions)) = (id, partitions) else {
            return Err(Error::Conflict(format!(
                "there is a stream {name}-0 that is not Eyeline's: choose another name in the inbox's URL, with stream="
            )));
        };
        Ok(Streams { name: name.to_owned(), id, partitions })
    }
}

/// What an inbox that is there is like, for its operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) replicas: u32,
    /// The bytes of the fullest stream and its bound.
    pub(crate) bytes: u64,
    pub(crate) bytes_max: u64,
}

/// Looks at the streams without making them. `None` if there are none yet.
pub(crate) async fn look(connection: &Connection, address: &Address) -> Result<Option<Facts>> {
    let first = format!("{}-0", address.stream);
    let until = Instant::now() + ANSWER_DEADLINE;
    let first = info_if_there(connection, &first, until).await.map_err(Failure::into_error)?;
    let Some(first) = first else { return Ok(None) };
    let streams = first.streams(&address.stream)?;
    let mut infos = vec![first];
    for partition in 1..streams.partitions {
        let name = streams.name(partition);
        let until = Instant::now() + ANSWER_DEADLINE;
        let found = info_if_there(connection, &name, until).await.map_err(Failure::into_error)?;
        infos.push(found.ok_or_else(|| deleted(&name))?);
    }
    let fullest = infos.iter().max_by_key(|info| info.state.bytes);
    Ok(fullest.map(|fullest| Facts {
        replicas: infos.iter().map(|info| info.config.num_replicas).min().unwrap_or(0),
        bytes: fullest.state.bytes,
        bytes_max: fullest.config.max_bytes.cast_unsigned(),
    }))
}

/// Asks the leader of a stream.
pub(super) async fn info(connection: &Connection, name: &str, until: Instant) -> Result<Info, Failure> {
    connection.api(&format!("STREAM.INFO.{name}"), &Value::Null, until).await
}

pub(super) async fn info_if_there(
    connection: &Connection,
    name: &str,
    until: Instant,
) -> Result<Option<Info>, Failure> {
    match info(connection, name, until).await {
        Ok(info) => Ok(Some(info)),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The sentence about a stream that was deleted.
pub(super) fn deleted(name: &str) -> Error {
    Error::unavailable(format!(
        "the stream {name} was deleted from NATS, with the events in it: restore it from a backup"
    ))
}

/// Checks the server, and opens the streams. Makes them if there are none.
pub(super) async fn open(connection: &Connection, address: &Address) -> Result<Streams> {
    check_server(connection).await?;
    let until = Instant::now() + DEADLINE;
    loop {
        match open_streams(connection, address).await {
            // A cluster that has just started has no leaders.
            Err(error) if error.is_retryable() && Instant::now() < until => {
                tracing::debug!(%error, "the inbox is not open yet");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            outcome => return outcome,
        }
    }
}

async fn check_server(connection: &Connection) -> Result<()> {
    let server = connection.server_info();
    if let Some(wrong) = check_version(&server.version) {
        return Err(Error::Conflict(wrong));
    }
    if server.max_payload < PAYLOAD_BYTES_MIN {
        return Err(Error::Conflict(format!(
            "NATS takes messages of at most {} bytes: set max_payload to at least {PAYLOAD_BYTES_MIN}, as is its default",
            server.max_payload
        )));
    }
    if !server.jetstream {
        return Err(Error::Conflict(
            "the server of NATS has no JetStream: start it with a jetstream section in its configuration".to_owned(),
        ));
    }
    Ok(())
}

/// The sentence about a version that is too old.
pub(crate) fn check_version(version: &str) -> Option<String> {
    let numbers = version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect::<Vec<u32>>();
    let is_new = matches!(numbers[..], [major, minor, patch, ..] if (major, minor, patch) >= OLDEST);
    let (major, minor, patch) = OLDEST;
    (!is_new).then(|| {
        format!(
            "the server of NATS is version {version}, which may lose events that it has acknowledged: bring every server to \
             {major}.{minor}.{patch} or newer"
        )
    })
}

async fn open_streams(connection: &Connection, address: &Address) -> Result<Streams> {
    let first = format!("{}-0", address.stream);
    let until = Instant::now() + ANSWER_DEADLINE;
    let first = match info_if_there(connection, &first, until).await.map_err(Failure::into_error)? {
        Some(info) => info,
        None => {
            let id = Uuid::from_bytes(crate::inbox::random()?);
            let streams = Streams { name: address.stream.clone(), id, partitions: address.partitions() };
            make(connection, address, &streams, 0).await?
        }
    };
    // Another process may have been faster.
    let streams = first.streams(&address.stream)?;
    if !address.agrees_with(streams.partitions) {
        return Err(Error::Conflict(format!(
            "the inbox in NATS has {} partitions, a number that is fixed at its first start: leave partitions= out of the \
             inbox's URL",
            streams.partitions
        )));
    }
    let is_complete = !first.text(COMPLETE).is_empty();
    for partition in 1..streams.partitions {
        let name = streams.name(partition);
        let until = Instant::now() + ANSWER_DEADLINE;
        let info = match info_if_there(connection, &name, until).await.map_err(Failure::into_error)? {
            Some(info) => info,
            None if is_complete => return Err(deleted(&name)),
            None => make(connection, address, &streams, partition).await?,
        };
        if info.text(ID) != first.text(ID) {
            return Err(Error::Conflict(format!(
                "the stream {name} in NATS is of another inbox than {}: delete what is left of that one, or choose \
                 another name with stream= in the inbox's URL",
                streams.name(0)
            )));
        }
    }
    if !is_complete {
        let (replicas, bytes) = (first.config.num_replicas, first.config.max_bytes.cast_unsigned());
        let config = streams.config(0, replicas, bytes, true);
        let until = Instant::now() + ANSWER_DEADLINE;
        let update = format!("STREAM.UPDATE.{}", streams.name(0));
        connection.api::<Info>(&update, &config, until).await.map_err(Failure::into_error)?;
        tracing::info!(partitions = streams.partitions, replicas, "made the inbox in NATS");
    }
    Ok(streams)
}

/// Makes the stream, or returns the one that another process has made meanwhile.
async fn make(connection: &Connection, address: &Address, streams: &Streams, partition: u32) -> Result<Info> {
    let name = streams.name(partition);
    let bytes = address.bytes_per_partition();
    let create = async |replicas| {
        let config = streams.config(partition, replicas, bytes, false);
        let until = Instant::now() + ANSWER_DEADLINE;
        connection.api(&format!("STREAM.CREATE.{name}"), &config, until).await
    };
    let made = match (create(address.replicas.unwrap_or(REPLICAS)).await, address.replicas) {
        (Err(failure), None) if failure.code() == NOT_IN_CLUSTER => create(1).await,
        (made, _) => made,
    };
    match made {
        Ok(info) => Ok(info),
        Err(failure) if failure.code() == NAME_IN_USE => {
            info(connection, &name, Instant::now() + ANSWER_DEADLINE).await.map_err(Failure::into_error)
        }
        Err(failure) if failure.code() == NOT_IN_CLUSTER => Err(Error::Conflict(
            "the server of NATS is not in a cluster, so it keeps one copy of each event: leave replicas= out of the inbox's \
             URL"
            .to_owned(),
        )),
        Err(failure @ Failure::Refused { .. }) if NO_RESOURCES.contains(&failure.code()) => {
            let megabytes = bytes.saturating_mul(streams.partitions.into()) >> 20;
            Err(Error::Conflict(format!(
                "NATS has no room for an inbox of {megabytes} MiB ({failure}): give JetStream more (max_file_store), or \
                 write a lower bound as mb= in the inbox's URL"
            )))
        }
        Err(failure) if failure.code() == NO_SUITABLE_PEERS => Err(Error::unavailable(format!(
            "the cluster of NATS has not as many servers with room as each event has copies ({failure}): start them, or \
             write replicas=1 in the inbox's URL"
        ))),
        Err(failure) => Err(failure.into_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_lose_events_are_refused() {
        for (version, is_taken) in [
            ("2.12.3", true),
            ("2.12.10", true),
            ("2.15.1", true),
            ("3.0.0-beta.1", true),
            ("2.12.3-RC.1", true),
            ("2.12.2", false),
            ("2.9.10", false),
            ("1.99.99", false),
            ("2.12", false),
            ("", false),
        ] {
            assert_eq!(check_version(version).is_none(), is_taken, "{version}");
        }
    }
}

//! Streams a new lake file from its maker to the store, in pieces.

use std::io::{self, Write};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use eyeline_core::Timestamp;
use eyeline_lake::{Budget, Facts, FileRef, Files};
use eyeline_store::catalog::lake::LakeFile;
use eyeline_store::inbox::Offset;
use eyeline_store::objects::ReceiveError;
use eyeline_store::{Catalog, Error, ObjectKey, Objects, Result};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::usage::{Usage, failure};
use crate::background::{Background, Yields};
use crate::clock::Clock;
use crate::engines::Engines;

/// The longest time for making one file from others.
const TIME_MAX: Duration = Duration::from_secs(60 * 60);
/// A new file that is not in the manifest by then was lost to a crash.
const TAKEN_IN_WITHIN: Duration = Duration::from_secs(15 * 60);
/// Replaced files stay readable for much longer than a query may take.
const READABLE: Duration = Duration::from_secs(15 * 60);
/// Bytes of one piece.
const PIECE_BYTES: usize = 1024 * 1024;

/// Makes files from files. Cheap to clone.
#[derive(Clone)]
pub struct LakeFiles {
    catalog: Catalog,
    objects: Objects,
    usage: Usage,
    clock: Clock,
}

impl LakeFiles {
    pub fn new(engines: &Engines, usage: Usage, clock: Clock) -> Self {
        LakeFiles { catalog: engines.catalog.clone(), objects: engines.objects.clone(), usage, clock }
    }

    /// Writes what `make` puts into the sink under a new key. The sweep deletes the file unless the catalog takes it
    /// in. `None` if there are no rows to write.
    pub(super) async fn write(
        &self,
        received_at: Timestamp,
        make: impl FnOnce(&Files, Sink, &Budget) -> eyeline_lake::Result<Option<(Sink, Facts)>> + Send + 'static,
    ) -> Result<Option<(ObjectKey, Facts)>> {
        let key = ObjectKey::lake(received_at);
        self.catalog.note_unwanted(key.clone(), self.clock.real_now().plus(TIME_MAX + TAKEN_IN_WITHIN)).await?;
        let (sink, pieces) = Sink::new();
        let files = self.usage.files().clone();
        let making = self.usage.background().run(Yields::Much, move || {
            let Some((mut sink, facts)) = make(&files, sink, &Budget::new(usize::MAX, TIME_MAX))? else {
                return Ok(None);
            };
            sink.hand_on()?;
            Ok::<_, eyeline_lake::Error>(Some(facts))
        });
        let receiving = self.objects.receive(&key, ReceiverStream::new(pieces), u64::MAX);
        let (facts, received) = tokio::join!(making, receiving);
        let Some(facts) = facts?.map_err(failure)? else { return Ok(None) };
        let received = received.map_err(|error| match error {
            ReceiveError::Store(error) => error,
            error => Error::internal("writing a file of events", error),
        })?;
        if received.bytes != facts.bytes {
            return Err(Error::Corrupt("a lake file was not written to its end".to_owned()));
        }
        received.keep().await?;
        Ok(Some((key, facts)))
    }

    /// The threads that make files.
    pub(super) fn background(&self) -> &Background {
        self.usage.background()
    }

    /// Opens files.
    pub(super) fn reader(&self) -> &Files {
        self.usage.files()
    }

    /// The time from which a file replaced now may be deleted.
    pub(super) fn unwanted_from(&self) -> Timestamp {
        self.clock.real_now().plus(READABLE)
    }

    /// A key for a small file. The sweep deletes the file unless the catalog takes it in within `TAKEN_IN_WITHIN`.
    pub(super) async fn new_key(&self, received_at: Timestamp) -> Result<ObjectKey> {
        let key = ObjectKey::lake(received_at);
        self.catalog.note_unwanted(key.clone(), self.clock.real_now().plus(TAKEN_IN_WITHIN)).await?;
        Ok(key)
    }
}

pub(super) fn file_ref(file: &LakeFile) -> FileRef {
    FileRef {
        key: file.key.to_string(),
        partition: file.partition,
        facts: Facts {
            rows: file.rows,
            bytes: file.bytes,
            first_offset: file.first_offset.number(),
            last_offset: file.last_offset.number(),
            first_timestamp: file.first_timestamp,
            last_timestamp: file.last_timestamp,
            first_received_at: file.first_received_at,
            last_received_at: file.last_received_at,
        },
    }
}

pub(super) fn lake_file(key: ObjectKey, partition: u32, level: u32, facts: &Facts) -> LakeFile {
    LakeFile {
        key,
        partition,
        level,
        rows: facts.rows,
        bytes: facts.bytes,
        first_offset: Offset::from_number(facts.first_offset),
        last_offset: Offset::from_number(facts.last_offset),
        first_timestamp: facts.first_timestamp,
        last_timestamp: facts.last_timestamp,
        first_received_at: facts.first_received_at,
        last_received_at: facts.last_received_at,
    }
}

/// A writer that sends its bytes to the store in pieces.
pub(super) struct Sink {
    gathered: BytesMut,
    pieces: mpsc::Sender<Result<Bytes, io::Error>>,
}

impl Sink {
    fn new() -> (Self, mpsc::Receiver<Result<Bytes, io::Error>>) {
        let (pieces, receiver) = mpsc::channel(4);
        (Sink { gathered: BytesMut::new(), pieces }, receiver)
    }

    fn hand_on(&mut self) -> io::Result<()> {
        let piece = self.gathered.split().freeze();
        self.pieces.blocking_send(Ok(piece)).map_err(|_| io::Error::other("the store takes no more"))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE_BYTES {
            self.hand_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

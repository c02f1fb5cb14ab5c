//! Objects: bytes under keys, such as uploads, originals and versions.
//!
//! A write is complete and on stable storage when its call returns, or it does not exist. No object is changed in
//! place: a key names the same bytes as long as it exists.

mod engine;
mod file;
mod key;
mod links;
mod location;
mod parts;
mod s3;

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use eyeline_core::Timestamp;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use object_store::ObjectStore;
use sha2::{Digest as _, Sha256};

pub use key::{Area, ObjectKey};
pub use links::{LinkKeys, ObjectLinks, Part, Span, Upload, UploadLink, UploadPolicy, attachment};
pub use location::Location;
pub use parts::{PartUpload, StoredPart};

use crate::error::{Error, Result};
use crate::scheme::Scheme;
use engine::{Engine, Writing};
use location::Place;

/// The engines of objects.
pub const SCHEMES: &[Scheme] = &[Scheme::embedded("file:", "folder"), Scheme::shared("s3://", "S3")];

/// Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    engine: Arc<dyn Engine>,
}

/// The properties of an object that are known without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub bytes: u64,
}

/// An object in the list of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub key: ObjectKey,
    pub bytes: u64,
    /// The object has had its key since then, or longer.
    pub since: Timestamp,
}

/// An object, or a part of one, being read.
pub struct Reading {
    /// The size of the whole object.
    pub bytes_total: u64,
    /// The requested bytes, in pieces of at most 64 KiB.
    pub stream: BoxStream<'static, std::io::Result<Bytes>>,
}

/// The reason why a stream was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    #[error("more than {bytes_max} bytes")]
    TooLarge { bytes_max: u64 },
    /// The sender broke off; nothing of its data remains.
    #[error("the sender broke off: {0}")]
    BrokenOff(String),
    #[error(transparent)]
    Store(#[from] Error),
}

/// Received bytes that are not visible under their key yet. Discarded on drop.
pub struct Received {
    pub bytes: u64,
    pub sha256: [u8; 32],
    writing: Box<dyn Writing>,
}

impl Received {
    /// Makes the bytes visible under their key. False if the key exists; then its object stays.
    pub async fn keep(self) -> Result<bool> {
        self.writing.keep().await
    }
}

impl Objects {
    /// Opens a folder, which is made if it is missing, or buckets, whose store may be away.
    pub async fn open(location: impl Into<Location>) -> Result<Self> {
        let engine: Arc<dyn Engine> = match location.into().place()? {
            Place::Folder(path) => Arc::new(file::Folder::open(path).await?),
            Place::Buckets(buckets) => Arc::new(s3::S3::open(*buckets)?),
        };
        Ok(Objects { engine })
    }

    /// Opens a store that may be in use by another process, and changes nothing. `None` if it does not exist yet.
    pub async fn attach(location: impl Into<Location>) -> Result<Option<Self>> {
        let engine: Arc<dyn Engine> = match location.into().place()? {
            Place::Folder(path) => match file::Folder::attach(path).await? {
                Some(folder) => Arc::new(folder),
                None => return Ok(None),
            },
            Place::Buckets(buckets) => Arc::new(s3::S3::open(*buckets)?),
        };
        Ok(Some(Objects { engine }))
    }

    /// Writes, reads and deletes an object that has no link. Returns true if anybody could read it meanwhile.
    pub(crate) async fn probe(&self) -> Result<bool> {
        let (key, bytes) = (ObjectKey::incoming(), Bytes::from_static(b"written to be read once"));
        self.put(&key, bytes.clone()).await?;
        let (read, is_open) = (self.get(&key).await, self.engine.is_open(&key).await);
        self.delete(&key).await?;
        if read?.as_ref() != Some(&bytes) {
            return Err(Error::Corrupt("an object did not read back as it was written".to_owned()));
        }
        is_open
    }

    /// The methods of links that the engine refuses to pages of this origin.
    pub(crate) async fn refused_to_pages(&self, origin: &str) -> Result<Vec<&'static str>> {
        self.engine.refused_to_pages(origin).await
    }

    /// Lets pages of this origin use links.
    pub(crate) async fn let_pages(&self, origin: &str) -> Result<()> {
        self.engine.let_pages(origin).await
    }

    /// A reader for many concurrent reads of parts of objects. It must not write: its writes would not be on stable
    /// storage.
    pub fn reader(&self) -> Result<Arc<dyn ObjectStore>> {
        self.engine.reader()
    }

    /// Returns once the engine answers.
    pub async fn ping(&self) -> Result<()> {
        self.engine.ping().await
    }

    /// Writes one object.
    pub async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<()> {
        self.engine.put(key, bytes).await
    }

    /// Writes all `objects` (name and bytes) of a new folder. After an error some of them may exist.
    pub async fn put_folder(&self, folder: &ObjectKey, objects: Vec<(String, Bytes)>) -> Result<()> {
        let names = folder.of_folder();
        if let Some((name, _)) = objects.iter().find(|(name, _)| !names.contains(&folder.join(name))) {
            return Err(Error::Conflict(format!("{name} is no name of a version: it could not be deleted later")));
        }
        self.engine.put_folder(folder, objects).await
    }

    /// Receives a stream of at most `bytes_max` bytes for `key` in constant memory. [`Received::keep`] makes the object
    /// visible.
    pub async fn receive<E: std::fmt::Display>(
        &self,
        key: &ObjectKey,
        stream: impl Stream<Item = Result<Bytes, E>>,
        bytes_max: u64,
    ) -> Result<Received, ReceiveError> {
        let mut writing = self.engine.begin(key).await?;
        let mut hash = Sha256::new();
        let mut bytes = 0;
        // Small pieces are gathered, so that a slow client does not cause a write for each packet.
        let mut gathered = BytesMut::new();
        let mut stream = std::pin::pin!(stream);
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| ReceiveError::BrokenOff(error.to_string()))?;
            bytes += piece.len() as u64;
            if bytes > bytes_max {
                return Err(ReceiveError::TooLarge { bytes_max });
            }
            hash.update(&piece);
            gathered.extend_from_slice(&piece);
            if gathered.len() >= WRITE_BYTES {
                writing.write(gathered.split().freeze()).await?;
            }
        }
        writing.write(gathered.freeze()).await?;
        writing.finish().await?;
        Ok(Received { bytes, sha256: hash.finalize().into(), writing })
    }

    /// The whole object, for one known to be small. `None` if it does not exist.
    pub async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>> {
        self.engine.get(key).await
    }

    /// Reads the object, or `range` of it (cut to its size), in pieces. `None` if it does not exist.
    pub async fn read(&self, key: &ObjectKey, range: Option<Range<u64>>) -> Result<Option<Reading>> {
        self.engine.read(key, range).await
    }

    pub async fn head(&self, key: &ObjectKey) -> Result<Option<Head>> {
        self.engine.head(key).await
    }

    /// Gives the object a second key. False if the object does not exist.
    pub async fn copy(&self, from: &ObjectKey, to: &ObjectKey) -> Result<bool> {
        self.engine.copy(from, to).await
    }

    /// Deletes the object, or the folder with all objects in it. Succeeds if it does not exist.
    pub async fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.engine.delete(key).await
    }

    /// Every object of the area, in no promised order. The objects of a folder follow each other. May leave out what is
    /// written or deleted meanwhile. For maintenance alone: a list takes long, and the catalog knows every key.
    pub fn list(&self, area: Area) -> BoxStream<'static, Result<Listed>> {
        self.engine.list(area)
    }
}

/// Bytes gathered for one write.
const WRITE_BYTES: usize = 256 * 1024;

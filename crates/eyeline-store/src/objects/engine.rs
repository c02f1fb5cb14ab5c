//! The interface of engines of objects.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::ObjectStore;

use super::parts::{PartUpload, StoredPart};
use super::{Area, Head, Listed, ObjectKey, Reading};
use crate::error::Result;

/// A write is on stable storage when its call returns. No key is written twice.
#[async_trait]
pub(super) trait Engine: Send + Sync {
    /// A reader for many concurrent reads of parts of objects.
    fn reader(&self) -> Result<Arc<dyn ObjectStore>>;

    /// Returns once the engine answers.
    async fn ping(&self) -> Result<()>;

    async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<()>;

    /// Writes objects of a new folder by their names. After an error some of them may exist.
    async fn put_folder(&self, folder: &ObjectKey, objects: Vec<(String, Bytes)>) -> Result<()>;

    /// Begins an object whose size is not known yet.
    async fn begin(&self, key: &ObjectKey) -> Result<Box<dyn Writing>>;

    /// Begins an upload in parts, which `to` will name once they are joined. Returns the store's id of the upload.
    async fn begin_parts(&self, to: &ObjectKey) -> Result<String>;

    /// The parts on stable storage, by number. `None` if the store does not know the upload, or no longer.
    async fn parts(&self, upload: &PartUpload) -> Result<Option<Vec<StoredPart>>>;

    /// Joins parts, given by number, to the object. Succeeds if it exists. False if the store does not know the upload
    /// or lacks a part.
    async fn join_parts(&self, upload: &PartUpload, parts: &[StoredPart]) -> Result<bool>;

    /// Deletes the parts of an upload. Succeeds if it is not known.
    async fn abort_parts(&self, upload: &PartUpload) -> Result<()>;

    /// `None` if the object does not exist.
    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>>;

    /// Reads `range`, cut to the object's size, or all of it. `None` if the object does not exist.
    async fn read(&self, key: &ObjectKey, range: Option<Range<u64>>) -> Result<Option<Reading>>;

    async fn head(&self, key: &ObjectKey) -> Result<Option<Head>>;

    /// Returns true if anybody can read the object without a credential.
    async fn is_open(&self, key: &ObjectKey) -> Result<bool>;

    /// The methods of links that the engine refuses to pages of this origin.
    async fn refused_to_pages(&self, origin: &str) -> Result<Vec<&'static str>>;

    /// Lets pages of this origin use links.
    async fn let_pages(&self, origin: &str) -> Result<()>;

    /// False if `from` does not exist.
    async fn copy(&self, from: &ObjectKey, to: &ObjectKey) -> Result<bool>;

    /// Deletes the object, or every object of the folder. Succeeds if it does not exist.
    async fn delete(&self, key: &ObjectKey) -> Result<()>;

    /// Every object of the area. The objects of a folder follow each other.
    fn list(&self, area: Area) -> BoxStream<'static, Result<Listed>>;
}

/// An object being written, invisible until it is kept. Dropping it discards its bytes.
#[async_trait]
pub(super) trait Writing: Send {
    async fn write(&mut self, bytes: Bytes) -> Result<()>;

    /// Follows the last write.
    async fn finish(&mut self) -> Result<()>;

    /// Makes the finished object visible. False if its key exists; then that object stays.
    async fn keep(self: Box<Self>) -> Result<bool>;
}

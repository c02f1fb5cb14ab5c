//! Objects that a client sends in parts, which may take long and be interrupted.

use super::{ObjectKey, Objects};
use crate::error::Result;

/// An upload in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartUpload {
    /// The folder of the parts, where the objects are in one.
    pub incoming: ObjectKey,
    /// The key of the joined object.
    pub to: ObjectKey,
    /// The store's id of the upload.
    pub id: String,
}

/// A part on stable storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPart {
    pub number: u32,
    pub bytes: u64,
    /// The store's mark of these very bytes. Empty in a folder.
    pub tag: String,
}

impl Objects {
    /// Begins an upload in parts, which `to` will name once they are joined. Returns the store's id of the upload.
    pub async fn begin_parts(&self, to: &ObjectKey) -> Result<String> {
        self.engine.begin_parts(to).await
    }

    /// The parts on stable storage, sorted by number. `None` if the store does not know the upload, or no longer.
    pub async fn parts(&self, upload: &PartUpload) -> Result<Option<Vec<StoredPart>>> {
        let Some(mut parts) = self.engine.parts(upload).await? else { return Ok(None) };
        parts.sort_by_key(|part| part.number);
        Ok(Some(parts))
    }

    /// Joins parts, sorted by number, to one object. Repeated calls change nothing. False if the store does not know
    /// the upload, or lacks a part.
    pub async fn join_parts(&self, upload: &PartUpload, parts: &[StoredPart]) -> Result<bool> {
        self.engine.join_parts(upload, parts).await
    }

    /// Deletes the parts of an upload, which ends it. Succeeds if the store does not know it.
    pub async fn abort_parts(&self, upload: &PartUpload) -> Result<()> {
        self.engine.abort_parts(upload).await
    }
}

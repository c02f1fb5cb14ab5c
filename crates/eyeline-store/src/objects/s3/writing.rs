//! Writes an object whose size is not known yet: a small one by one request, a larger one in parts.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header;
use rusty_s3::Method;

use super::{Store, md5, parts};
use crate::error::{Error, Result};
use crate::objects::ObjectKey;
use crate::objects::engine::Writing;

/// The smallest part that stores take, so that a writer holds little memory.
pub(super) const PART_BYTES: usize = 5 * 1024 * 1024;
/// The most parts that stores take.
const PARTS_MAX: usize = 10_000;

pub(super) struct Upload {
    store: Arc<Store>,
    key: ObjectKey,
    bytes: u64,
    /// The bytes of the next part.
    part: BytesMut,
    /// `None` until the first part is full.
    parts: Option<Parts>,
}

/// Parts that the store holds. Dropping them makes the store discard them.
struct Parts {
    store: Arc<Store>,
    key: ObjectKey,
    id: String,
    /// The tag of each part, as the store gave it.
    tags: Vec<String>,
    is_joined: bool,
}

impl Upload {
    pub fn begin(store: &Arc<Store>, key: &ObjectKey) -> Self {
        Upload { store: store.clone(), key: key.clone(), bytes: 0, part: BytesMut::new(), parts: None }
    }

    async fn send_part(&mut self, part: Bytes) -> Result<()> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => none.insert(Parts::begin(&self.store, &self.key).await?),
        };
        parts.send(part).await
    }

    /// Makes the object visible, whatever was there before.
    pub async fn join(mut self) -> Result<()> {
        match &mut self.parts {
            Some(parts) => parts.join(self.bytes).await,
            None => self.store.put_whole(&self.key, self.part.split().freeze()).await,
        }
    }
}

#[async_trait]
impl Writing for Upload {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.bytes += bytes.len() as u64;
        self.part.extend_from_slice(&bytes);
        while self.part.len() >= PART_BYTES {
            let part = self.part.split_to(PART_BYTES).freeze();
            self.send_part(part).await?;
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        if self.parts.is_some() && !self.part.is_empty() {
            let part = self.part.split().freeze();
            self.send_part(part).await?;
        }
        Ok(())
    }

    /// Two that write one key at the same moment may both get true: the catalog gives each key to one of them.
    async fn keep(self: Box<Self>) -> Result<bool> {
        if self.store.head(&self.key).await?.is_some() {
            return Ok(false);
        }
        self.join().await?;
        Ok(true)
    }
}

impl Parts {
    async fn begin(store: &Arc<Store>, key: &ObjectKey) -> Result<Self> {
        let id = parts::begin(store, key).await?;
        Ok(Parts { store: store.clone(), key: key.clone(), id, tags: Vec::new(), is_joined: false })
    }

    async fn send(&mut self, part: Bytes) -> Result<()> {
        if self.tags.len() == PARTS_MAX {
            let bytes_max = PARTS_MAX * PART_BYTES;
            return Err(Error::Refused(format!("an object of unknown size has at most {bytes_max} bytes")));
        }
        let number = (self.tags.len() + 1).to_string();
        let hash = md5(part.clone()).await?;
        let request = parts::request(&self.store, Method::Put, &self.key, &self.id);
        let request = request.query("partNumber", number).header("content-md5", hash).body(part);
        let answer = self.store.client.ask(&request).await?;
        let tag =
            answer.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).filter(|_| answer.status.is_success());
        self.tags
            .push(tag.ok_or_else(|| Error::unavailable("the object store has lost an upload in parts"))?.to_owned());
        Ok(())
    }

    async fn join(&mut self, bytes: u64) -> Result<()> {
        let tags = (1..).zip(self.tags.iter().map(String::as_str));
        let is_joined = parts::join(&self.store, &self.key, &self.id, tags, bytes).await?;
        if !is_joined {
            return Err(Error::unavailable("the object store has lost an upload in parts"));
        }
        self.is_joined = true;
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.is_joined {
            return;
        }
        let (store, key, id) = (self.store.clone(), self.key.clone(), std::mem::take(&mut self.id));
        runtime.spawn(async move {
            if let Err(error) = parts::abort(&store, &key, &id).await {
                // A rule of the bucket deletes it.
                tracing::warn!(%error, "an upload in parts could not be given up");
            }
        });
    }
}

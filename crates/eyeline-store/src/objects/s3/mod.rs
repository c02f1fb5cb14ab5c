//! Objects in the buckets of an S3 store. Relies on no notification or conditional write: the catalog knows every key,
//! and gives each to one writer. Only maintenance lists a bucket.

mod answer;
mod client;
mod cors;
mod listing;
mod parts;
mod reader;
mod reading;
pub(super) mod sign;
mod writing;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::{StatusCode, header};
use md5::{Digest as _, Md5};
use object_store::ObjectStore;
use rusty_s3::Method;

use super::engine::{Engine, Writing};
use super::location::Buckets;
use super::parts::{PartUpload, StoredPart};
use super::{Area, Head, Listed, ObjectKey, Reading};
use crate::error::{Error, Result};
use client::{Client, Request};
use sign::Site;
use writing::{PART_BYTES, Upload};

/// Larger objects are written in parts.
const WHOLE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Objects of one folder that are written concurrently.
const WRITES_MAX: usize = 4;
/// Browsers and proxies keep a public version for a day: it never changes, but may become private.
const PUBLIC_CACHING: &str = "public, max-age=86400, immutable";
const PRIVATE_CACHING: &str = "private, max-age=300";

pub(super) struct S3(Arc<Store>);

struct Store {
    client: Client,
    main: Site,
    /// The bucket of public versions.
    public: Option<Site>,
}

impl S3 {
    /// Asks the store nothing: it may be away.
    pub fn open(buckets: Buckets) -> Result<Self> {
        let client = Client::new(&buckets.main)?;
        Ok(S3(Arc::new(Store { client, main: buckets.main, public: buckets.public })))
    }
}

impl Store {
    fn site(&self, key: &ObjectKey) -> &Site {
        self.site_of(key.area())
    }

    fn site_of(&self, area: Area) -> &Site {
        match (area, &self.public) {
            (Area::Public, Some(public)) => public,
            _ => &self.main,
        }
    }

    async fn head(&self, key: &ObjectKey) -> Result<Option<Head>> {
        let answer = self.client.ask(&Request::new(self.site(key), Method::Head, key.as_str())).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let bytes = answer.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let bytes = bytes.ok_or_else(|| Error::unavailable("the object store sent no length of an object"))?;
        Ok(Some(Head { bytes }))
    }

    /// Writes an object by one request.
    async fn put_whole(&self, key: &ObjectKey, bytes: Bytes) -> Result<()> {
        let hash = md5(bytes.clone()).await?;
        let request = of_object(self.site(key), Method::Put, key).header("content-md5", hash).body(bytes);
        found(self.client.ask(&request).await?.status)
    }
}

#[async_trait]
impl Engine for S3 {
    fn reader(&self) -> Result<Arc<dyn ObjectStore>> {
        Ok(Arc::new(reader::Reader(self.0.clone())))
    }

    async fn ping(&self) -> Result<()> {
        for site in std::iter::once(&self.0.main).chain(&self.0.public) {
            let answer = self.0.client.ask(&Request::new(site, Method::Head, "")).await?;
            if answer.status == StatusCode::NOT_FOUND {
                return Err(Error::unavailable(format!("the bucket {} does not exist", site.name())));
            }
        }
        Ok(())
    }

    async fn put(&self, key: &ObjectKey, mut bytes: Bytes) -> Result<()> {
        if bytes.len() <= WHOLE_BYTES_MAX {
            return self.0.put_whole(key, bytes).await;
        }
        let mut upload = Upload::begin(&self.0, key);
        while !bytes.is_empty() {
            upload.write(bytes.split_to(bytes.len().min(PART_BYTES))).await?;
        }
        upload.finish().await?;
        upload.join().await
    }

    async fn put_folder(&self, folder: &ObjectKey, objects: Vec<(String, Bytes)>) -> Result<()> {
        let writes = objects.into_iter().map(|(name, bytes)| {
            let (store, key) = (self.0.clone(), folder.join(&name));
            async move { store.put_whole(&key, bytes).await }
        });
        stream::iter(writes).buffer_unordered(WRITES_MAX).try_collect().await
    }

    async fn begin(&self, key: &ObjectKey) -> Result<Box<dyn Writing>> {
        Ok(Box::new(Upload::begin(&self.0, key)))
    }

    async fn begin_parts(&self, to: &ObjectKey) -> Result<String> {
        parts::begin(&self.0, to).await
    }

    async fn parts(&self, upload: &PartUpload) -> Result<Option<Vec<StoredPart>>> {
        parts::list(&self.0, &upload.to, &upload.id).await
    }

    async fn join_parts(&self, upload: &PartUpload, parts: &[StoredPart]) -> Result<bool> {
        let tags = parts.iter().map(|part| (part.number, part.tag.as_str()));
        let bytes = parts.iter().map(|part| part.bytes).sum();
        parts::join(&self.0, &upload.to, &upload.id, tags, bytes).await
    }

    async fn abort_parts(&self, upload: &PartUpload) -> Result<()> {
        parts::abort(&self.0, &upload.to, &upload.id).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>> {
        let Some(mut reading) = reading::read(&self.0, key, None).await? else { return Ok(None) };
        let mut bytes = BytesMut::with_capacity(usize::try_from(reading.bytes_total).unwrap_or(0));
        while let Some(piece) = reading.stream.next().await {
            bytes.extend_from_slice(&piece.map_err(|error| Error::unavailable(error.to_string()))?);
        }
        Ok(Some(bytes.freeze()))
    }

    async fn read(&self, key: &ObjectKey, range: Option<Range<u64>>) -> Result<Option<Reading>> {
        reading::read(&self.0, key, range).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<Option<Head>> {
        self.0.head(key).await
    }

    async fn is_open(&self, key: &ObjectKey) -> Result<bool> {
        self.0.client.is_open(self.0.site(key), key.as_str()).await
    }

    async fn refused_to_pages(&self, origin: &str) -> Result<Vec<&'static str>> {
        cors::refused(&self.0, origin).await
    }

    async fn let_pages(&self, origin: &str) -> Result<()> {
        cors::allow(&self.0, origin).await
    }

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey) -> Result<bool> {
        let source = format!("/{}/{from}", self.0.site(from).name());
        // Type and caching are those of the new key, and nothing that a client has set is kept.
        let request = of_object(self.0.site(to), Method::Put, to)
            .header("x-amz-copy-source", source)
            .header("x-amz-metadata-directive", "REPLACE")
            .long();
        Ok(self.0.client.ask(&request).await?.status != StatusCode::NOT_FOUND)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        let site = self.0.site(key);
        let objects = key.of_folder();
        if objects.is_empty() {
            return self.0.client.ask(&Request::new(site, Method::Delete, key.as_str())).await.map(drop);
        }
        let keys = objects.iter().map(|key| format!("<Object><Key>{key}</Key></Object>"));
        let body = Bytes::from(format!("<Delete><Quiet>true</Quiet>{}</Delete>", keys.collect::<String>()));
        let hash = md5(body.clone()).await?;
        let request = Request::new(site, Method::Post, "").query("delete", "").header("content-md5", hash).body(body);
        found(self.0.client.ask(&request).await?.status)
    }

    fn list(&self, area: Area) -> BoxStream<'static, Result<Listed>> {
        listing::list(self.0.clone(), area)
    }
}

/// A request that makes the object, with its type and how long copies of it are kept.
fn of_object<'a>(site: &'a Site, method: Method, key: &'a ObjectKey) -> Request<'a> {
    let caching = if key.area() == Area::Public { PUBLIC_CACHING } else { PRIVATE_CACHING };
    let request = Request::new(site, method, key.as_str());
    request.header("content-type", key.content_type()).header("cache-control", caching)
}

/// Fails if the store does not know the address of a request that needs no object.
fn found(status: StatusCode) -> Result<()> {
    if status.is_success() { Ok(()) } else { Err(Error::unavailable(format!("the object store answers {status}"))) }
}

/// The hash by which every store checks what it received.
async fn md5(bytes: Bytes) -> Result<String> {
    let hash = move || STANDARD.encode(Md5::digest(&bytes));
    tokio::task::spawn_blocking(hash).await.map_err(|error| Error::internal("hashing an object", error))
}

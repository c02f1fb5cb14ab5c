//! Reads parts of objects for the lake. It writes and lists nothing.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::{Store, reading};
use crate::objects::ObjectKey;

const NAME: &str = "S3";

pub(super) struct Reader(pub Arc<Store>);

impl fmt::Display for Reader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(NAME)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(NAME)
    }
}

fn away(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic { store: NAME, source: source.into() }
}

fn missing(location: &Path) -> Error {
    Error::NotFound { path: location.to_string(), source: "it does not exist".into() }
}

fn not_implemented(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: NAME.to_owned() }
}

async fn size(store: &Store, key: &ObjectKey, location: &Path) -> Result<u64> {
    let head = store.head(key).await.map_err(away)?;
    head.map(|head| head.bytes).ok_or_else(|| missing(location))
}

#[async_trait]
impl ObjectStore for Reader {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let key = ObjectKey::parse(location.as_ref()).ok_or_else(|| missing(location))?;
        let range: Option<Range<u64>> = match options.range {
            None => None,
            Some(GetRange::Bounded(range)) => Some(range),
            Some(GetRange::Offset(from)) => Some(from..size(&self.0, &key, location).await?),
            Some(GetRange::Suffix(bytes)) => {
                let size = size(&self.0, &key, location).await?;
                Some(size.saturating_sub(bytes)..size)
            }
        };
        let reading = if options.head {
            Some((size(&self.0, &key, location).await?, 0..0, stream::empty().boxed()))
        } else {
            let reading = reading::read(&self.0, &key, range.clone()).await.map_err(away)?;
            reading.map(|reading| {
                let end = reading.bytes_total;
                let range = range.map_or(0..end, |range| range.start.min(end)..range.end.min(end));
                (reading.bytes_total, range, reading.stream)
            })
        };
        let (size, range, stream) = reading.ok_or_else(|| missing(location))?;
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: Default::default(),
            size,
            e_tag: None,
            version: None,
        };
        let payload = GetResultPayload::Stream(stream.map_err(away).boxed());
        Ok(GetResult { payload, meta, range, attributes: Attributes::default() })
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(not_implemented("put"))
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(not_implemented("put_multipart"))
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        stream::once(async { Err(not_implemented("delete")) }).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::once(async { Err(not_implemented("list")) }).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(not_implemented("list"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(not_implemented("copy"))
    }
}

//! Reads an object in pieces, and goes on where a connection broke.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use http::{StatusCode, header};
use reqwest::Response;
use rusty_s3::Method;
use tokio::time::timeout;

use super::Store;
use super::client::{Request, reason};
use crate::error::{Error, Result};
use crate::objects::{ObjectKey, Reading};

/// The most bytes of one piece.
const PIECE_BYTES: usize = 64 * 1024;
/// The longest wait for the next piece.
const PIECE_PATIENCE: Duration = Duration::from_secs(10);
/// The most requests for the rest of an object after a connection broke.
const RESUMES_MAX: u32 = 3;

/// `None` if the object does not exist.
pub(super) async fn read(store: &Arc<Store>, key: &ObjectKey, range: Option<Range<u64>>) -> Result<Option<Reading>> {
    if range.as_ref().is_some_and(Range::is_empty) {
        return beyond(store, key).await;
    }
    let response = open(store, key, range.as_ref()).await?;
    let number = |name| response.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
    let (start, bytes, bytes_total) = match response.status() {
        StatusCode::NOT_FOUND => return Ok(None),
        StatusCode::RANGE_NOT_SATISFIABLE => return beyond(store, key).await,
        StatusCode::PARTIAL_CONTENT => {
            let told =
                response.headers().get(header::CONTENT_RANGE).and_then(|range| content_range(range.to_str().ok()?));
            let (sent, bytes_total) = told.ok_or_else(|| unreadable("no range in a part of an object"))?;
            (sent.start, sent.end - sent.start, bytes_total)
        }
        _ => {
            let bytes_total = number(header::CONTENT_LENGTH).ok_or_else(|| unreadable("no length of an object"))?;
            (0, bytes_total, bytes_total)
        }
    };
    let wanted = range.unwrap_or(0..bytes_total);
    if start != wanted.start || start + bytes != wanted.end.min(bytes_total) {
        return Err(unreadable("another part of an object than the one that was asked for"));
    }
    let rest = Rest {
        store: store.clone(),
        key: key.clone(),
        response: Some(response),
        piece: Bytes::new(),
        left: start..start + bytes,
        resumes: 0,
    };
    Ok(Some(Reading { bytes_total, stream: rest.pieces() }))
}

async fn open(store: &Store, key: &ObjectKey, range: Option<&Range<u64>>) -> Result<Response> {
    let mut request = Request::new(store.site(key), Method::Get, key.as_str());
    if let Some(range) = range {
        request = request.header("range", format!("bytes={}-{}", range.start, range.end - 1));
    }
    store.client.open(&request).await
}

/// Nothing of an object, with its size.
async fn beyond(store: &Store, key: &ObjectKey) -> Result<Option<Reading>> {
    let head = store.head(key).await?;
    Ok(head.map(|head| Reading { bytes_total: head.bytes, stream: stream::empty().boxed() }))
}

fn unreadable(what: &str) -> Error {
    Error::unavailable(format!("the object store sent {what}"))
}

/// The range and the size in `bytes 0-9/100`.
fn content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first..last.checked_add(1)?, total.parse().ok()?))
}

/// The part of an object that is not read yet.
struct Rest {
    store: Arc<Store>,
    key: ObjectKey,
    /// `None` if its connection broke.
    response: Option<Response>,
    /// Bytes that were received and not handed on yet.
    piece: Bytes,
    left: Range<u64>,
    resumes: u32,
}

impl Rest {
    fn pieces(self) -> BoxStream<'static, io::Result<Bytes>> {
        stream::try_unfold(self, |mut rest| async move {
            let piece = rest.next().await?;
            Ok(piece.map(|piece| (piece, rest)))
        })
        .boxed()
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.left.is_empty() {
            return Ok(None);
        }
        while self.piece.is_empty() {
            match self.receive().await {
                Ok(piece) => self.piece = piece,
                Err(reason) => self.resume(reason).await?,
            }
        }
        let left = usize::try_from(self.left.end - self.left.start).unwrap_or(usize::MAX);
        let piece = self.piece.split_to(self.piece.len().min(PIECE_BYTES).min(left));
        self.left.start += piece.len() as u64;
        Ok(Some(piece))
    }

    async fn receive(&mut self) -> Result<Bytes, String> {
        let response = self.response.as_mut().ok_or("the connection broke")?;
        match timeout(PIECE_PATIENCE, response.chunk()).await {
            Ok(Ok(Some(piece))) => Ok(piece),
            Ok(Ok(None)) => Err("the object ended early".to_owned()),
            Ok(Err(error)) => Err(reason(error)),
            Err(_) => Err(format!("nothing was received for {} s", PIECE_PATIENCE.as_secs())),
        }
    }

    /// Asks for what is left. The client pauses between its own attempts.
    async fn resume(&mut self, reason: String) -> io::Result<()> {
        self.response = None;
        self.resumes += 1;
        if self.resumes > RESUMES_MAX {
            return Err(io::Error::other(format!("an object could not be read to its end: {reason}")));
        }
        let response = open(&self.store, &self.key, Some(&self.left)).await.map_err(io::Error::other)?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(io::Error::other("an object was deleted while it was read"));
        }
        self.response = Some(response);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_with_its_size_or_refused() {
        assert_eq!(content_range("bytes 0-9/100"), Some((0..10, 100)));
        for text in ["", "bytes 5-2/10", "bytes */10", "bytes 0-9/*", "0-9/10", "bytes 0-18446744073709551615/1"] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }
}

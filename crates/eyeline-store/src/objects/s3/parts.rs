//! Uploads in parts, as the store keeps them: begun, listed, joined, or ended without an object.

use http::StatusCode;
use rusty_s3::Method;

use super::answer::{element, elements};
use super::client::Request;
use super::{Store, of_object};
use crate::error::{Error, Result};
use crate::objects::{ObjectKey, StoredPart};

/// Parts of one answer. Stores list no more.
const LISTED_MAX: usize = 1_000;
/// The most answers of a list. Parts that were sent again may be listed more than once.
const PAGES_MAX: usize = 32;

/// Returns the id of the new upload.
pub(super) async fn begin(store: &Store, key: &ObjectKey) -> Result<String> {
    let request = of_object(store.site(key), Method::Post, key).query("uploads", "");
    let answer = store.client.ask(&request).await?;
    element(&String::from_utf8_lossy(&answer.body), "UploadId")
        .ok_or_else(|| Error::internal("the object store", "an upload in parts without an id"))
}

/// A request about an upload.
pub(super) fn request<'a>(store: &'a Store, method: Method, key: &'a ObjectKey, id: &str) -> Request<'a> {
    Request::new(store.site(key), method, key.as_str()).query("uploadId", id)
}

/// The parts that the store holds; `None` if it does not know the upload. Of a part that was sent again, some stores list
/// every one: the newest counts.
pub(super) async fn list(store: &Store, key: &ObjectKey, id: &str) -> Result<Option<Vec<StoredPart>>> {
    let mut parts: Vec<Listed> = Vec::new();
    for _ in 0..PAGES_MAX {
        let mut asked = request(store, Method::Get, key, id).query("max-parts", LISTED_MAX.to_string());
        if let Some(last) = parts.last() {
            asked = asked.query("part-number-marker", last.part.number.to_string());
        }
        let answer = store.client.ask(&asked).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&answer.body);
        let known = parts.len();
        for part in elements(&text, "Part") {
            parts.push(read_part(part).ok_or_else(|| Error::unavailable("the object store lists an unreadable part"))?);
        }
        if element(&text, "IsTruncated").as_deref() != Some("true") || parts.len() == known {
            return Ok(Some(newest(parts)));
        }
    }
    Err(Error::internal("the object store", "an upload of more parts than any store takes"))
}

/// A part, and the time at which it was stored, as text that sorts by time.
struct Listed {
    part: StoredPart,
    stored: String,
}

fn read_part(xml: &str) -> Option<Listed> {
    let part = StoredPart {
        number: element(xml, "PartNumber")?.parse().ok()?,
        bytes: element(xml, "Size")?.parse().ok()?,
        tag: element(xml, "ETag")?,
    };
    Some(Listed { part, stored: element(xml, "LastModified").unwrap_or_default() })
}

/// The parts by number, each once.
fn newest(mut parts: Vec<Listed>) -> Vec<StoredPart> {
    parts.sort_by(|one, other| (one.part.number, &other.stored).cmp(&(other.part.number, &one.stored)));
    parts.dedup_by_key(|listed| listed.part.number);
    parts.into_iter().map(|listed| listed.part).collect()
}

/// Joins parts, in the order of their numbers, to an object of `bytes` bytes. False if the store has neither the upload
/// nor that object.
pub(super) async fn join<'a>(
    store: &Store,
    key: &ObjectKey,
    id: &str,
    parts: impl Iterator<Item = (u32, &'a str)>,
    bytes: u64,
) -> Result<bool> {
    let mut body = "<CompleteMultipartUpload>".to_owned();
    for (number, tag) in parts {
        body += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
    }
    body += "</CompleteMultipartUpload>";
    let answer = store.client.ask(&request(store, Method::Post, key, id).body(body.into()).long()).await?;
    // The upload is gone if an earlier attempt joined it, and its answer was lost.
    Ok(answer.status.is_success() || store.head(key).await?.is_some_and(|head| head.bytes == bytes))
}

/// Makes the store delete the parts.
pub(super) async fn abort(store: &Store, key: &ObjectKey, id: &str) -> Result<()> {
    store.client.ask(&request(store, Method::Delete, key, id)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_part_that_was_sent_again_the_newest_counts() {
        let part = |number: u32, tag: &str, stored: &str| {
            let xml = format!(
                "<PartNumber>{number}</PartNumber><Size>7</Size><ETag>{tag}</ETag><LastModified>{stored}</LastModified>"
            );
            read_part(&xml).expect("a part")
        };
        let (early, late) = ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:01.000Z");
        let listed = vec![part(2, "c", early), part(1, "a", early), part(1, "b", late), part(2, "d", early)];
        let tags: Vec<(u32, String)> = newest(listed).into_iter().map(|part| (part.number, part.tag)).collect();
        assert_eq!(tags, [(1, "b".to_owned()), (2, "c".to_owned())]);
    }
}

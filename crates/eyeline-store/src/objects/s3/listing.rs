//! Lists the objects of an area, a thousand a request.

use std::sync::Arc;

use eyeline_core::Timestamp;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use rusty_s3::Method;

use super::answer::element;
use super::client::Request;
use super::{Store, found};
use crate::error::{Error, Result};
use crate::objects::{Area, Listed, ObjectKey};

/// A part of the list, and the token for the next part.
type Part = (Vec<Listed>, Option<String>);

/// The state before a request: the token of the part before, `None` at the beginning.
enum Next {
    Part(Option<String>),
    End,
}

pub(super) fn list(store: Arc<Store>, area: Area) -> BoxStream<'static, Result<Listed>> {
    let parts = stream::try_unfold(Next::Part(None), move |next| {
        let store = store.clone();
        async move {
            let Next::Part(token) = next else { return Ok(None) };
            let (objects, token) = part(&store, area, token).await?;
            let next = token.map_or(Next::End, |token| Next::Part(Some(token)));
            Ok::<_, Error>(Some((stream::iter(objects.into_iter().map(Ok)), next)))
        }
    });
    parts.try_flatten().boxed()
}

async fn part(store: &Store, area: Area, token: Option<String>) -> Result<Part> {
    let request = Request::new(store.site_of(area), Method::Get, "").query("list-type", "2");
    let mut request = request.query("prefix", format!("{}/", area.as_str()));
    if let Some(token) = token {
        request = request.query("continuation-token", token);
    }
    let answer = store.client.ask(&request).await?;
    found(answer.status)?;
    read(&String::from_utf8_lossy(&answer.body))
}

/// Reads an answer. Skips keys that are not those of objects.
fn read(xml: &str) -> Result<Part> {
    let unreadable = |what: &str| Error::unavailable(format!("the object store lists an object without {what}"));
    let mut objects = Vec::new();
    for object in xml.split("<Contents>").skip(1) {
        let key = element(object, "Key").ok_or_else(|| unreadable("its key"))?;
        let Some(key) = ObjectKey::parse(&key) else { continue };
        let bytes = element(object, "Size").and_then(|bytes| bytes.parse().ok());
        let since = element(object, "LastModified").and_then(|time| Timestamp::parse(&time));
        objects.push(Listed {
            key,
            bytes: bytes.ok_or_else(|| unreadable("its size"))?,
            since: since.ok_or_else(|| unreadable("its time"))?,
        });
    }
    if element(xml, "IsTruncated").as_deref() != Some("true") {
        return Ok((objects, None));
    }
    let token = element(xml, "NextContinuationToken").filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Error::unavailable("the object store cut a list and did not say how to go on"))?;
    Ok((objects, Some(token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(end: &str) -> String {
        format!(
            r#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>photos</Name>
               <Contents><Key>public/ab/thumb.jpg</Key><LastModified>2026-11-30T12:00:00.000Z</LastModified>
                   <ETag>&#34;1&#34;</ETag><Size>7</Size></Contents>
               <Contents><Key>public/what is this?</Key></Contents>{end}</ListBucketResult>"#
        )
    }

    #[test]
    fn objects_are_read_with_size_and_time_and_what_is_none_is_skipped() {
        let (objects, token) = read(&answer("<IsTruncated>false</IsTruncated>")).expect("a list");
        let key = ObjectKey::parse("public/ab/thumb.jpg").expect("a key");
        let since = Timestamp::parse("2026-11-30T12:00:00Z").expect("a time");
        assert_eq!((objects, token), (vec![Listed { key, bytes: 7, since }], None));
    }

    #[test]
    fn a_list_goes_on_or_fails_and_never_ends_early() {
        let cut = "<IsTruncated>true</IsTruncated>";
        let (_, token) =
            read(&answer(&format!("{cut}<NextContinuationToken>a+b=</NextContinuationToken>"))).expect("a list");
        assert_eq!(token.as_deref(), Some("a+b="));
        assert!(read(&answer(cut)).is_err());
        assert!(read("<Contents><Key>public/ab/thumb.jpg</Key><Size>7</Size></Contents>").is_err());
    }
}

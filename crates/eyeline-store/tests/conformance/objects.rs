//! Objects: complete or missing, and never changed.

use bytes::Bytes;
use eyeline_core::ImageId;
use eyeline_store::objects::{Head, ReceiveError};
use eyeline_store::{ObjectKey, Objects};
use futures::{Stream, TryStreamExt as _, stream};
use uuid::Uuid;

async fn opened() -> (tempfile::TempDir, Objects) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let objects = Objects::open(&format!("file:{}", folder.path().display())).await.expect("open objects");
    (folder, objects)
}

fn pieces(count: usize, bytes: usize) -> impl Stream<Item = Result<Bytes, String>> {
    stream::iter((0..count).map(move |number| Ok(Bytes::from(vec![number as u8; bytes]))))
}

async fn read(objects: &Objects, key: &ObjectKey, range: Option<std::ops::Range<u64>>) -> Option<Vec<u8>> {
    let reading = objects.read(key, range).await.expect("the objects")?;
    Some(
        reading
            .stream
            .try_fold(Vec::new(), async |mut all, piece| {
                all.extend(piece);
                Ok(all)
            })
            .await
            .expect("the bytes"),
    )
}

fn files_in(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| if path.is_dir() { files_in(&path) } else { 1 })
        .sum()
}

#[tokio::test]
async fn what_was_put_is_read_whole_in_parts_and_not_beyond_its_end() {
    let (_folder, objects) = opened().await;
    let key = ObjectKey::incoming();
    let bytes: Vec<u8> = (0..200_000u32).map(|number| (number % 251) as u8).collect();
    objects.put(&key, bytes.clone().into()).await.expect("stored");
    assert_eq!(objects.head(&key).await.expect("the objects"), Some(Head { bytes: 200_000 }));
    assert_eq!(objects.get(&key).await.expect("the objects").expect("there"), bytes);
    assert_eq!(read(&objects, &key, None).await.expect("there"), bytes);
    assert_eq!(read(&objects, &key, Some(70_000..140_000)).await.expect("there"), &bytes[70_000..140_000]);
    assert_eq!(read(&objects, &key, Some(199_999..400_000)).await.expect("there"), &bytes[199_999..]);
    assert_eq!(read(&objects, &key, Some(400_000..500_000)).await.expect("there"), Vec::<u8>::new());
}

#[tokio::test]
async fn what_is_not_there_is_none_and_its_removal_is_fine() {
    let (_folder, objects) = opened().await;
    let key = ObjectKey::versions(true).join("thumb.jpg");
    assert_eq!(objects.head(&key).await.expect("the objects"), None);
    assert_eq!(objects.get(&key).await.expect("the objects"), None);
    assert_eq!(read(&objects, &key, None).await, None);
    assert!(!objects.copy(&key, &ObjectKey::incoming()).await.expect("the objects"));
    objects.delete(&key).await.expect("the objects");
    objects.delete(&key.folder()).await.expect("the objects");
}

#[tokio::test]
async fn a_stream_gets_its_key_only_once_it_has_arrived_and_nobody_elses() {
    let (_folder, objects) = opened().await;
    let key = ObjectKey::incoming();
    let first = objects.receive(&key, pieces(100, 10_000), 1_000_000).await.expect("received");
    let second = objects.receive(&key, pieces(2, 10), 1_000_000).await.expect("received");
    assert_eq!((first.bytes, second.bytes), (1_000_000, 20));
    assert_eq!(objects.head(&key).await.expect("the objects"), None);
    assert!(first.keep().await.expect("the objects"));
    assert!(!second.keep().await.expect("the objects"), "a key names the same bytes for ever");
    assert_eq!(objects.head(&key).await.expect("the objects"), Some(Head { bytes: 1_000_000 }));
}

#[tokio::test]
async fn a_stream_that_is_too_long_breaks_off_or_is_not_kept_leaves_nothing() {
    let (folder, objects) = opened().await;
    let key = ObjectKey::incoming();
    let long = objects.receive(&key, pieces(100, 10_000), 999_999).await;
    assert!(matches!(long, Err(ReceiveError::TooLarge { bytes_max: 999_999 })));
    let broken = stream::iter([Ok(Bytes::from_static(b"half")), Err("the cable is out".to_owned())]);
    assert!(matches!(objects.receive(&key, broken, 100).await, Err(ReceiveError::BrokenOff(_))));
    drop(objects.receive(&key, pieces(1, 10), 100).await.expect("received"));
    assert_eq!(files_in(folder.path()), 0);
}

#[tokio::test]
async fn a_copy_outlives_what_it_was_made_of() {
    let (_folder, objects) = opened().await;
    let (from, to) = (ObjectKey::incoming(), ObjectKey::original(ImageId(Uuid::from_u128(7))));
    objects.put(&from, "bytes".into()).await.expect("stored");
    assert!(objects.copy(&from, &to).await.expect("copied"));
    objects.delete(&from).await.expect("removed");
    assert_eq!(objects.get(&to).await.expect("the objects").expect("there"), "bytes");
    objects.delete(&ObjectKey::originals_of(ImageId(Uuid::from_u128(7)))).await.expect("removed");
    assert_eq!(objects.head(&to).await.expect("the objects"), None);
}

#[tokio::test]
async fn a_folder_appears_whole_and_goes_whole() {
    let (folder, objects) = opened().await;
    let versions = ObjectKey::versions(true);
    let files = vec![("thumb.jpg".to_owned(), Bytes::from("a")), ("d2500.jpg".to_owned(), Bytes::from("b"))];
    objects.put_folder(&versions, files).await.expect("stored");
    assert_eq!(objects.get(&versions.join("d2500.jpg")).await.expect("the objects").expect("there"), "b");
    objects.delete(&versions).await.expect("removed");
    assert_eq!(files_in(folder.path()), 0);
}

#[tokio::test]
async fn what_a_killed_process_was_writing_is_cleared_at_the_next_start() {
    let (folder, objects) = opened().await;
    let key = ObjectKey::incoming();
    objects.put(&key, "kept".into()).await.expect("stored");
    // The state after a kill: written, and never dropped.
    std::mem::forget(objects.receive(&key, pieces(3, 10), 100).await.expect("received"));
    assert_eq!(files_in(folder.path()), 2);
    let again = Objects::open(&format!("file:{}", folder.path().display())).await.expect("open objects");
    assert_eq!(files_in(folder.path()), 1);
    assert_eq!(again.get(&key).await.expect("the objects").expect("there"), "kept");
}

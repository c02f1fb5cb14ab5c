//! Objects: complete or missing, and never changed.

use std::collections::HashSet;

use bytes::Bytes;
use eyeline_core::{ImageId, Timestamp};
use eyeline_store::objects::{Area, Head, Listed, ReceiveError};
use eyeline_store::{Error, ObjectKey, Objects};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use uuid::Uuid;

use crate::stores::on_every_store;

fn pieces(count: usize, bytes: usize) -> impl Stream<Item = Result<Bytes, String>> {
    stream::iter((0..count).map(move |number| Ok(Bytes::from(vec![number as u8; bytes]))))
}

async fn read(objects: &Objects, key: &ObjectKey, range: Option<std::ops::Range<u64>>) -> Option<Vec<u8>> {
    let reading = objects.read(key, range).await.expect("the objects")?;
    Some(
        reading
            .stream
            .try_fold(Vec::new(), async |mut all, piece| {
                assert!(piece.len() <= 64 * 1024, "a piece of {} bytes", piece.len());
                all.extend(piece);
                Ok(all)
            })
            .await
            .expect("the bytes"),
    )
}

#[tokio::test]
async fn what_was_put_is_read_whole_in_parts_and_not_beyond_its_end() {
    on_every_store(async |row| {
        let (objects, key) = (row.objects, ObjectKey::incoming());
        let bytes: Vec<u8> = (0..200_000u32).map(|number| (number % 251) as u8).collect();
        objects.put(&key, bytes.clone().into()).await.expect("stored");
        assert_eq!(objects.head(&key).await.expect("the objects"), Some(Head { bytes: 200_000 }));
        assert_eq!(objects.get(&key).await.expect("the objects").expect("there"), bytes);
        assert_eq!(read(&objects, &key, None).await.expect("there"), bytes);
        assert_eq!(read(&objects, &key, Some(70_000..140_000)).await.expect("there"), &bytes[70_000..140_000]);
        assert_eq!(read(&objects, &key, Some(199_999..400_000)).await.expect("there"), &bytes[199_999..]);
        assert_eq!(read(&objects, &key, Some(400_000..500_000)).await.expect("there"), Vec::<u8>::new());
        assert_eq!(read(&objects, &key, Some(5..5)).await.expect("there"), Vec::<u8>::new());
        objects.delete(&key).await.expect("removed");
        assert_eq!(objects.head(&key).await.expect("the objects"), None);
    })
    .await;
}

#[tokio::test]
async fn an_empty_object_is_there() {
    on_every_store(async |row| {
        let (objects, key) = (row.objects, ObjectKey::incoming());
        objects.put(&key, Bytes::new()).await.expect("stored");
        assert_eq!(objects.head(&key).await.expect("the objects"), Some(Head { bytes: 0 }));
        assert_eq!(read(&objects, &key, None).await.expect("there"), Vec::<u8>::new());
        assert_eq!(read(&objects, &key, Some(0..10)).await.expect("there"), Vec::<u8>::new());
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_none_and_its_removal_is_fine() {
    on_every_store(async |row| {
        let objects = row.objects;
        let key = ObjectKey::versions(true).join("thumb.jpg");
        assert_eq!(objects.head(&key).await.expect("the objects"), None);
        assert_eq!(objects.get(&key).await.expect("the objects"), None);
        assert_eq!(read(&objects, &key, None).await, None);
        assert_eq!(read(&objects, &key, Some(0..5)).await, None);
        assert_eq!(read(&objects, &key, Some(5..5)).await, None);
        assert!(!objects.copy(&key, &ObjectKey::incoming()).await.expect("the objects"));
        objects.delete(&key).await.expect("the objects");
        objects.delete(&key.folder()).await.expect("the objects");
        objects.ping().await.expect("an answer");
    })
    .await;
}

#[tokio::test]
async fn every_object_of_an_area_is_listed_with_its_size_and_age() {
    on_every_store(async |row| {
        let objects = row.objects;
        let folders = [ObjectKey::versions(true), ObjectKey::versions(true)];
        let original = ObjectKey::original(ImageId(Uuid::from_u128(1)));
        let mut put: Vec<(ObjectKey, u64)> = vec![(ObjectKey::incoming(), 1), (original.clone(), 2)];
        put.extend(folders.iter().flat_map(|folder| [(folder.join("thumb.jpg"), 3), (folder.join("d2500.jpg"), 4)]));
        put.push((ObjectKey::lake(Timestamp::from_micros(0)), 5));
        // More than a store lists in one answer.
        put.extend((0..1_010).map(|_| (ObjectKey::versions(false).join("thumb.jpg"), 1)));
        let puts = put.iter().map(|(key, bytes)| objects.put(key, vec![7_u8; *bytes as usize].into()));
        stream::iter(puts).buffer_unordered(16).try_collect::<Vec<()>>().await.expect("stored");

        for area in Area::ALL {
            let listed: Vec<Listed> = objects.list(area).try_collect().await.expect("a list");
            let units: Vec<ObjectKey> = listed.iter().map(|object| object.key.unit()).collect();
            let runs = units.chunk_by(|one, next| one == next).count();
            assert_eq!(runs, units.iter().collect::<HashSet<_>>().len(), "the objects of a folder follow each other");
            // Other tests use the same bucket.
            for (key, bytes) in put.iter().filter(|(key, _)| key.area() == area) {
                let object = listed.iter().find(|object| object.key == *key).expect("a listed object");
                assert_eq!(object.bytes, *bytes, "{key}");
                // After 2001.
                assert!(object.since.micros() > 1_000_000_000_000_000, "{key} since {}", object.since);
            }
        }
        objects.delete(&original).await.expect("deleted");
        let left: Vec<Listed> = objects.list(Area::Originals).try_collect().await.expect("a list");
        assert!(left.iter().all(|object| object.key != original));
    })
    .await;
}

#[tokio::test]
async fn a_copy_is_as_young_as_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let objects = Objects::open(&format!("file:{}", folder.path().display())).await.expect("objects");
    let (from, to) = (ObjectKey::versions(false).join("thumb.jpg"), ObjectKey::versions(true).join("thumb.jpg"));
    objects.put(&from, Bytes::from_static(b"old")).await.expect("stored");
    let old = std::time::SystemTime::UNIX_EPOCH;
    let file = std::fs::File::open(folder.path().join(from.as_str())).expect("the file");
    file.set_modified(old).expect("an old file");
    let parent = std::fs::File::open(folder.path().join(from.folder().as_str())).expect("the folder");
    parent.set_modified(old).expect("an old folder");
    assert!(objects.copy(&from, &to).await.expect("the objects"));
    let listed = async |area| objects.list(area).try_collect::<Vec<Listed>>().await.expect("a list").remove(0).since;
    assert_eq!(listed(Area::Private).await, Timestamp::from_micros(0));
    assert!(listed(Area::Public).await.micros() > 1_000_000_000_000_000);
}

#[tokio::test]
async fn a_stream_gets_its_key_only_once_it_has_arrived_and_nobody_elses() {
    on_every_store(async |row| {
        let (objects, key) = (row.objects, ObjectKey::incoming());
        let first = objects.receive(&key, pieces(100, 10_000), 1_000_000).await.expect("received");
        let second = objects.receive(&key, pieces(2, 10), 1_000_000).await.expect("received");
        assert_eq!((first.bytes, second.bytes), (1_000_000, 20));
        assert_eq!(objects.head(&key).await.expect("the objects"), None);
        assert!(first.keep().await.expect("the objects"));
        assert!(!second.keep().await.expect("the objects"), "a key names the same bytes for ever");
        assert_eq!(objects.head(&key).await.expect("the objects"), Some(Head { bytes: 1_000_000 }));
    })
    .await;
}

#[tokio::test]
async fn a_long_stream_arrives_whole_and_only_when_it_is_kept() {
    on_every_store(async |row| {
        let (objects, key) = (row.objects, ObjectKey::incoming());
        // Several parts of a bucket's upload, the last one short.
        let (count, bytes) = (123, 100_000);
        let received = objects.receive(&key, pieces(count, bytes), u64::MAX).await.expect("received");
        assert_eq!(objects.head(&key).await.expect("the objects"), None);
        assert!(received.keep().await.expect("the objects"));
        let all = objects.get(&key).await.expect("the objects").expect("there");
        assert_eq!(all.len(), count * bytes);
        for (number, piece) in all.chunks(bytes).enumerate() {
            assert!(piece.iter().all(|byte| *byte == number as u8), "piece {number}");
        }
        drop(objects.receive(&ObjectKey::incoming(), pieces(count, bytes), u64::MAX).await.expect("received"));
        let large = Bytes::from(vec![7; 65 * 1024 * 1024]);
        objects.put(&key.clone(), large.clone()).await.expect("stored");
        assert!(objects.get(&key).await.expect("the objects").expect("there") == large);
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_too_long_breaks_off_or_is_not_kept_leaves_nothing() {
    on_every_store(async |row| {
        let (objects, key) = (&row.objects, ObjectKey::incoming());
        let long = objects.receive(&key, pieces(100, 10_000), 999_999).await;
        assert!(matches!(long, Err(ReceiveError::TooLarge { bytes_max: 999_999 })));
        let broken = stream::iter([Ok(Bytes::from_static(b"half")), Err("the cable is out".to_owned())]);
        assert!(matches!(objects.receive(&key, broken, 100).await, Err(ReceiveError::BrokenOff(_))));
        drop(objects.receive(&key, pieces(1, 10), 100).await.expect("received"));
        assert_eq!(objects.head(&key).await.expect("the objects"), None);
        assert_eq!(row.files().unwrap_or(0), 0);
    })
    .await;
}

#[tokio::test]
async fn a_copy_outlives_what_it_was_made_of() {
    on_every_store(async |row| {
        let objects = &row.objects;
        let (from, to) = (ObjectKey::incoming(), ObjectKey::original(ImageId(Uuid::from_u128(7))));
        objects.put(&from, "bytes".into()).await.expect("stored");
        assert!(objects.copy(&from, &to).await.expect("copied"));
        objects.delete(&from).await.expect("removed");
        assert_eq!(objects.get(&to).await.expect("the objects").expect("there"), "bytes");
        objects.delete(&to).await.expect("removed");
        assert_eq!(objects.head(&to).await.expect("the objects"), None);
        assert_eq!(row.files().unwrap_or(0), 0);
        if let Some(folder) = &row.folder {
            let originals = std::fs::read_dir(folder.path().join("originals")).expect("a folder");
            assert_eq!(originals.count(), 0, "the image's folder stays");
        }
    })
    .await;
}

#[tokio::test]
async fn a_version_moves_between_what_is_public_and_what_is_not() {
    on_every_store(async |row| {
        let objects = row.objects;
        let [public, private] = [true, false].map(|public| ObjectKey::versions(public).join("thumb.jpg"));
        objects.put(&public, "bytes".into()).await.expect("stored");
        assert!(objects.copy(&public, &private).await.expect("copied"));
        objects.delete(&public).await.expect("removed");
        assert!(objects.copy(&private, &public).await.expect("copied"));
        assert_eq!(objects.get(&public).await.expect("the objects").expect("there"), "bytes");
    })
    .await;
}

#[tokio::test]
async fn a_folder_of_versions_goes_whole_and_takes_no_other_name() {
    on_every_store(async |row| {
        let objects = &row.objects;
        for public in [true, false] {
            let versions = ObjectKey::versions(public);
            let files = ["thumb.jpg", "d2500.webp", "big_1920.png"].map(|name| (name.to_owned(), Bytes::from(name)));
            objects.put_folder(&versions, files.to_vec()).await.expect("stored");
            assert_eq!(
                objects.get(&versions.join("d2500.webp")).await.expect("the objects").expect("there"),
                "d2500.webp"
            );
            let other = vec![("other.jpg".to_owned(), Bytes::from("a"))];
            let refused = objects.put_folder(&ObjectKey::versions(public), other).await;
            assert!(matches!(refused, Err(Error::Conflict(_))), "it could not be deleted: {refused:?}");
            objects.delete(&versions).await.expect("removed");
            for (name, _) in files {
                assert_eq!(objects.head(&versions.join(&name)).await.expect("the objects"), None, "{name}");
            }
        }
        assert_eq!(row.files().unwrap_or(0), 0);
    })
    .await;
}

#[tokio::test]
async fn the_lake_reads_ranges_and_writes_nothing() {
    on_every_store(async |row| {
        let key = ObjectKey::lake(eyeline_core::Timestamp::from_micros(0));
        let bytes: Vec<u8> = (0..3_000_000u32).map(|number| (number % 253) as u8).collect();
        row.objects.put(&key, bytes.clone().into()).await.expect("stored");
        let reader = row.objects.reader().expect("a reader");
        let path = Path::from(key.as_str());
        assert_eq!(reader.head(&path).await.expect("there").size, 3_000_000);
        let ranges = [0..10, 1_000..500_000, 2_999_990..3_000_000];
        let read = reader.get_ranges(&path, &ranges).await.expect("ranges");
        for (range, read) in ranges.iter().zip(read) {
            assert!(read == bytes[range.start as usize..range.end as usize], "{range:?}");
        }
        let missing = Path::from(ObjectKey::lake(eyeline_core::Timestamp::from_micros(0)).as_str());
        let missing = reader.get_ranges(&missing, &ranges).await;
        assert!(matches!(missing, Err(object_store::Error::NotFound { .. })), "{missing:?}");
        if row.folder.is_none() {
            reader.put(&path, "x".into()).await.expect_err("it only reads");
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_killed_process_was_writing_is_cleared_at_the_next_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("file:{}", folder.path().display());
    let row = crate::stores::Row {
        objects: Objects::open(&url).await.expect("open objects"),
        location: (&url).into(),
        folder: Some(folder),
    };
    let key = ObjectKey::incoming();
    row.objects.put(&key, "kept".into()).await.expect("stored");
    // The state after a kill: written, and never dropped.
    let received = row.objects.receive(&ObjectKey::incoming(), pieces(3, 10), 100).await;
    std::mem::forget(received.expect("received"));
    assert_eq!(row.files(), Some(2));
    let again = Objects::open(&row.location).await.expect("open objects");
    assert_eq!(row.files(), Some(1));
    assert_eq!(again.get(&key).await.expect("the objects").expect("there"), "kept");
}

//! Uploads in parts: in the store, and what the catalog notes of them.

use std::time::Duration;

use bytes::Bytes;
use eyeline_core::{ImageId, JobId, Parts};
use eyeline_store::catalog::part_uploads::{Begun, InParts};
use eyeline_store::catalog::uploads::{Arrived, NewImage, OpenUpload};
use eyeline_store::objects::{Head, Part, PartUpload, StoredPart, UploadLink};
use eyeline_store::{Catalog, ObjectKey};
use futures::stream;
use reqwest::StatusCode;
use uuid::Uuid;

use crate::engines::on_every_engine;
use crate::news::{PROJECT, at, new_image, with_projects};
use crate::object_links::{clone, is_refused, links, now, put};
use crate::stores::{Row, bucket, on_every_store, until};

const MIB: usize = 1024 * 1024;
/// The smallest parts that stores take, and a shorter last one.
const SIZES: [usize; 3] = [5 * MIB, 5 * MIB, 1_000];

fn bytes_of(number: u32) -> Vec<u8> {
    let index = usize::try_from(number).expect("an index") - 1;
    (0..SIZES[index]).map(|at| (at % 251) as u8 ^ number as u8).collect()
}

async fn begin(row: &Row) -> PartUpload {
    let to = ObjectKey::original(ImageId(Uuid::from_u128(7)));
    let id = row.objects.begin_parts(&to).await.expect("begun");
    PartUpload { incoming: ObjectKey::incoming(), to, id }
}

fn link(row: &Row, upload: &PartUpload, number: u32, seconds: u64) -> UploadLink {
    let bytes = bytes_of(number).len() as u64;
    let part = Part { upload, number, bytes, expires_at: now().plus(Duration::from_secs(seconds)) };
    links(&row.location).part(&part, now())
}

/// Sends a part as its link says: to the bucket, or as the server receives it for a folder. True if it was new.
async fn send(row: &Row, upload: &PartUpload, number: u32) -> bool {
    if row.folder.is_none() {
        let status = put(&link(row, upload, number, 60), &bytes_of(number), &[]).await;
        assert_eq!(status, Some(StatusCode::OK), "part {number}");
        return true;
    }
    let body = stream::iter([Ok::<_, String>(Bytes::from(bytes_of(number)))]);
    let received = row.objects.receive(&upload.incoming.part(number), body, u64::MAX).await.expect("received");
    received.keep().await.expect("the objects")
}

async fn parts(row: &Row, upload: &PartUpload) -> Option<Vec<StoredPart>> {
    row.objects.parts(upload).await.expect("the objects")
}

fn outline(parts: &[StoredPart]) -> Vec<(u32, u64)> {
    parts.iter().map(|part| (part.number, part.bytes)).collect()
}

#[tokio::test]
async fn parts_come_in_any_order_and_again_and_are_joined_in_that_of_their_numbers() {
    on_every_store(async |row| {
        let upload = begin(&row).await;
        assert_eq!(parts(&row, &upload).await, Some(vec![]));
        assert!(send(&row, &upload, 3).await && send(&row, &upload, 1).await);
        let expected = [(1, SIZES[0] as u64), (3, SIZES[2] as u64)];
        assert_eq!(outline(&parts(&row, &upload).await.expect("an upload")), expected);
        assert_eq!(row.objects.head(&upload.to).await.expect("the objects"), None, "nothing is joined yet");
        // A bucket replaces a part by the same one, and a folder keeps the first.
        assert_eq!(send(&row, &upload, 1).await, row.folder.is_none());
        assert!(send(&row, &upload, 2).await);

        let stored = parts(&row, &upload).await.expect("an upload");
        assert_eq!(outline(&stored).len(), 3);
        let (one, other) =
            tokio::join!(row.objects.join_parts(&upload, &stored), row.objects.join_parts(&upload, &stored));
        assert!(one.expect("joined") && other.expect("joined"), "concurrent calls join once");
        assert!(row.objects.join_parts(&upload, &stored).await.expect("joined"), "a repetition changes nothing");
        let whole = row.objects.get(&upload.to).await.expect("the objects").expect("there");
        assert!(whole == [1, 2, 3].map(bytes_of).concat());

        row.objects.abort_parts(&upload).await.expect("ended");
        row.objects.abort_parts(&upload).await.expect("ended again");
        assert_eq!(row.objects.head(&upload.to).await.expect("the objects"), Some(Head { bytes: whole.len() as u64 }));
        assert_eq!(row.files().unwrap_or(1), 1, "of the parts nothing is left");
        row.objects.delete(&upload.to).await.expect("removed");
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_was_ended_leaves_nothing_and_takes_nothing() {
    on_every_store(async |row| {
        let upload = begin(&row).await;
        assert!(send(&row, &upload, 1).await && send(&row, &upload, 3).await);
        let stored = parts(&row, &upload).await.expect("an upload");
        row.objects.abort_parts(&upload).await.expect("ended");
        assert_eq!(parts(&row, &upload).await.unwrap_or_default(), []);
        assert!(!row.objects.join_parts(&upload, &stored).await.expect("an answer"));
        assert_eq!(row.objects.head(&upload.to).await.expect("the objects"), None);
        assert_eq!(row.files().unwrap_or(0), 0);
        if row.folder.is_none() {
            let late = put(&link(&row, &upload, 2, 60), &bytes_of(2), &[]).await;
            assert_eq!(late, Some(StatusCode::NOT_FOUND), "a link outlives its upload for nothing");
        }
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_the_store_does_not_know_is_told() {
    on_every_store(async |row| {
        let begun = begin(&row).await;
        let unknown = PartUpload { id: format!("{}0", begun.id), ..begun.clone() };
        assert_eq!(parts(&row, &unknown).await, None);
        row.objects.abort_parts(&unknown).await.expect("nothing to end");
        row.objects.abort_parts(&begun).await.expect("ended");
    })
    .await;
}

#[tokio::test]
async fn a_link_takes_exactly_its_part_until_it_expires() {
    let location = bucket();
    let objects = eyeline_store::Objects::open(&location).await.expect("objects");
    let row = Row { objects, location, folder: None };
    let upload = begin(&row).await;
    let other = begin(&row).await;
    let (given, body) = (link(&row, &upload, 1, 60), bytes_of(1));
    assert!(given.url.starts_with(links(&row.location).origins()[0].as_str()), "{}", given.url);
    assert!(given.headers.is_empty(), "a browser may send it as it is");
    let longer = [&body[..], &[0]].concat();
    assert!(is_refused(put(&given, &longer, &[]).await), "one byte more");
    assert!(is_refused(put(&given, &body[1..], &[]).await), "one byte less");
    for (of, to) in [
        ("partNumber=1", "partNumber=2"),
        (upload.to.as_str(), other.to.as_str()),
        (upload.id.as_str(), other.id.as_str()),
        ("Expires=", "Expires=1"),
    ] {
        assert!(given.url.contains(of), "{of} in {}", given.url);
        let tampered = UploadLink { url: given.url.replace(of, to), ..clone(&given) };
        assert!(is_refused(put(&tampered, &body, &[]).await), "{of}");
    }
    let short = link(&row, &upload, 1, 2);
    let began = now();
    until("the time of the link is over", async || now() > began.plus(Duration::from_secs(4))).await;
    assert!(is_refused(put(&short, &body, &[]).await), "expired");
    assert_eq!(parts(&row, &upload).await, Some(vec![]));
    assert_eq!(put(&given, &body, &[]).await, Some(StatusCode::OK));
    assert_eq!(outline(&parts(&row, &upload).await.expect("an upload")), [(1, body.len() as u64)]);
    for upload in [upload, other] {
        row.objects.abort_parts(&upload).await.expect("ended");
    }
}

fn in_parts(number: u128) -> NewImage {
    let image = new_image(number);
    let original_key = ObjectKey::original(image.image_id);
    let parts = Parts::of_file(20 * MIB as u64);
    NewImage {
        stated_bytes: Some(parts.bytes()),
        in_parts: Some(InParts { parts, original_key, upload_id: None }),
        ..image
    }
}

async fn open(catalog: &Catalog, image_id: ImageId) -> OpenUpload {
    catalog.open_upload(image_id).await.expect("the catalog").expect("an open upload")
}

fn begun(upload_id: &str, replaces: Option<&str>) -> Option<Begun> {
    Some(Begun { upload_id: upload_id.to_owned(), replaces: replaces.map(str::to_owned) })
}

async fn leftovers(catalog: &Catalog) -> Vec<(ImageId, Option<String>, bool)> {
    let found = catalog.leftover_parts(10).await.expect("the catalog");
    found.into_iter().map(|one| (one.image_id, one.upload_id, one.is_taken_in)).collect()
}

#[tokio::test]
async fn an_image_remembers_the_upload_that_was_begun_first_and_how_long_its_links_live() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        let image = in_parts(1);
        let (image_id, stated) = (image.image_id, image.in_parts.clone().expect("parts"));
        catalog.create_images(PROJECT, vec![image.clone(), new_image(2)], None, at(1), None).await.expect("images");
        assert_eq!(open(&catalog, image_id).await.in_parts, Some(stated.clone()));
        assert_eq!(open(&catalog, new_image(2).image_id).await.in_parts, None);

        let extend = async |begun: Option<Begun>, expires_at| {
            catalog.extend_parts(image_id, begun, expires_at).await.expect("the catalog")
        };
        let later = image.link_expires_at.plus(Duration::from_secs(60));
        assert_eq!(extend(begun("first", None), later).await.as_deref(), Some("first"));
        assert_eq!(extend(begun("second", None), later).await.as_deref(), Some("first"), "one was begun before");
        assert_eq!(extend(begun("third", Some("second")), later).await.as_deref(), Some("first"));
        assert_eq!(extend(begun("third", Some("first")), later).await.as_deref(), Some("third"), "the first was lost");
        assert_eq!(extend(None, image.link_expires_at).await.as_deref(), Some("third"));
        let upload = open(&catalog, image_id).await;
        assert_eq!(upload.link_expires_at, later, "no call makes a link end earlier");
        assert_eq!(upload.in_parts, Some(InParts { upload_id: Some("third".to_owned()), ..stated }));
        let whole = catalog.extend_parts(new_image(2).image_id, None, later).await.expect("the catalog");
        assert_eq!(whole, None, "an image whose file is sent as a whole");
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_goes_on_is_not_given_up() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        let image = in_parts(1);
        catalog.create_images(PROJECT, vec![image.clone()], None, at(1), None).await.expect("an image");
        let seen = open(&catalog, image.image_id).await;
        let later = image.link_expires_at.plus(Duration::from_secs(60));
        catalog.extend_parts(image.image_id, begun("a", None), later).await.expect("the catalog");
        let hints = catalog.give_up_uploads(vec![seen], at(2)).await.expect("the catalog");
        assert!(hints.news.is_empty(), "{hints:?}");
        let now = open(&catalog, image.image_id).await;
        assert_eq!(catalog.unwanted_objects(10).await.expect("the catalog"), []);
        assert_eq!(catalog.give_up_uploads(vec![now], at(2)).await.expect("the catalog").news.len(), 1);
        assert_eq!(catalog.unwanted_objects(10).await.expect("the catalog"), [image.incoming_key]);
        let ended = catalog.extend_parts(image.image_id, None, later).await.expect("the catalog");
        assert_eq!(ended, None, "links are given out for open uploads alone");
    })
    .await;
}

#[tokio::test]
async fn what_is_left_over_is_found_however_the_image_ended_and_once_more_after_its_last_link() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        let images = [in_parts(1), in_parts(2), in_parts(3), in_parts(4)];
        let [taken, given_up, deleted, waiting] = images.clone().map(|image| image.image_id);
        catalog.create_images(PROJECT, images.to_vec(), None, at(1), None).await.expect("images");
        assert_eq!(leftovers(&catalog).await, []);
        // The links of two of them live for a long time yet.
        let real_now = now();
        for (image_id, seconds) in [(taken, 3_600), (given_up, 0), (deleted, 3_600), (waiting, 0)] {
            let expires_at = real_now.plus(Duration::from_secs(seconds));
            catalog.extend_parts(image_id, begun("a", None), expires_at).await.expect("the catalog");
        }
        let upload = open(&catalog, taken).await;
        let original_key = upload.in_parts.clone().expect("parts").original_key;
        let (arrived, job_id) = (Arrived { bytes: 20, sha256: None }, JobId(Uuid::from_u128(5_000)));
        let hints = catalog.take_in(upload, original_key, arrived, job_id, at(2)).await.expect("the catalog");
        assert!(hints.is_some());
        catalog.give_up_uploads(vec![open(&catalog, given_up).await], at(2)).await.expect("the catalog");
        catalog.delete_image(deleted).await.expect("deleted");

        let id = Some("a".to_owned());
        let expected = [(taken, id.clone(), true), (given_up, id.clone(), false), (deleted, id, false)];
        assert_eq!(leftovers(&catalog).await, expected);
        catalog.end_parts(vec![taken, given_up, deleted]).await.expect("the catalog");
        assert_eq!(leftovers(&catalog).await, [], "a request through a link may take an hour");
        assert_eq!(open(&catalog, waiting).await.image_id, waiting);
    })
    .await;
}

#[tokio::test]
async fn an_upload_whose_links_expired_long_ago_is_ended_twice_and_forgotten() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        // Its link expired in 1970.
        let image = in_parts(1);
        catalog.create_images(PROJECT, vec![image.clone()], None, at(1), None).await.expect("an image");
        catalog.extend_parts(image.image_id, begun("a", None), at(1)).await.expect("the catalog");
        catalog.delete_image(image.image_id).await.expect("deleted");
        for _ in 0..2 {
            assert_eq!(leftovers(&catalog).await, [(image.image_id, Some("a".to_owned()), false)]);
            catalog.end_parts(vec![image.image_id]).await.expect("the catalog");
        }
        assert_eq!(leftovers(&catalog).await, []);
    })
    .await;
}

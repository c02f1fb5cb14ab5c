//! An S3 store that is killed, stopped, or refuses: each call ends in time, and the engine recovers by itself.

use std::time::{Duration, Instant};

use bytes::Bytes;
use eyeline_store::objects::{Location, ReceiveError};
use eyeline_store::{Error, ObjectKey, Objects};
use futures::StreamExt as _;
use futures::stream;

use crate::stores::{Server, bucket, until};

/// A call takes at most two attempts' time beside a busy machine.
const CALL_MAX: Duration = Duration::from_secs(30);

fn is_unavailable<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Unavailable { .. }))
}

async fn expect_away(objects: &Objects, key: &ObjectKey) {
    let started = Instant::now();
    assert!(is_unavailable(&objects.put(key, "bytes".into()).await));
    assert!(is_unavailable(&objects.get(key).await));
    assert!(is_unavailable(&objects.head(key).await));
    assert!(is_unavailable(&objects.copy(key, &ObjectKey::incoming()).await));
    assert!(is_unavailable(&objects.delete(key).await));
    assert!(is_unavailable(&objects.ping().await));
    let read =
        objects.reader().expect("a reader").get_ranges(&key.as_str().into(), std::slice::from_ref(&(0..1))).await;
    assert!(read.is_err());
    assert!(started.elapsed() < CALL_MAX * 7, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_store_that_is_killed_and_restarted_costs_time_and_loses_nothing() {
    let mut server = Server::new();
    let objects = Objects::open(&server.location()).await.expect("objects, also while their store is away");
    let key = ObjectKey::incoming();
    expect_away(&objects, &key).await;

    server.start_with_bucket().await;
    until("it takes an object", async || objects.put(&key, "bytes".into()).await.is_ok()).await;

    // Killed in the middle of an upload in parts, and of a download.
    let large = ObjectKey::incoming();
    objects.put(&large, vec![3; 8 * 1024 * 1024].into()).await.expect("stored");
    let mut reading = objects.read(&large, None).await.expect("an answer").expect("there").stream;
    reading.next().await.expect("a piece").expect("bytes");
    let (sender, pieces) = tokio::sync::mpsc::channel::<Bytes>(1);
    let pieces =
        stream::unfold(pieces, |mut pieces| async move { Some((Ok::<_, String>(pieces.recv().await?), pieces)) });
    let (uploading, sent) = (objects.clone(), ObjectKey::incoming());
    let upload = tokio::spawn({
        let sent = sent.clone();
        async move { uploading.receive(&sent, pieces, u64::MAX).await.map(drop) }
    });
    for _ in 0..12 {
        sender.send(vec![1; 1024 * 1024].into()).await.expect("the upload goes on");
    }
    server.kill();
    for _ in 0..12 {
        let _it_may_have_ended = sender.send(vec![1; 1024 * 1024].into()).await;
    }
    drop(sender);
    let outcome = upload.await.expect("a task");
    assert!(matches!(outcome, Err(ReceiveError::Store(Error::Unavailable { .. }))), "{outcome:?}");
    while let Some(Ok(_)) = reading.next().await {}
    expect_away(&objects, &key).await;

    server.start();
    until("it answers", async || objects.get(&key).await.is_ok()).await;
    assert_eq!(objects.get(&key).await.expect("an answer").expect("what was acknowledged is there"), "bytes");
    assert_eq!(objects.head(&sent).await.expect("an answer"), None, "half an upload is nothing");
    until("it takes an object", async || objects.put(&ObjectKey::incoming(), "more".into()).await.is_ok()).await;
}

#[tokio::test]
async fn a_short_break_is_not_noticed() {
    let mut server = Server::new();
    server.start_with_bucket().await;
    let objects = Objects::open(&server.location()).await.expect("objects");
    let key = ObjectKey::incoming();
    until("it takes an object", async || objects.put(&key, vec![3; 9 * 1024 * 1024].into()).await.is_ok()).await;
    let mut reading = objects.read(&key, None).await.expect("an answer").expect("there").stream;
    let mut bytes = reading.next().await.expect("a piece").expect("bytes").len();
    server.signal("-STOP");
    let waiting = tokio::spawn({
        let (objects, key) = (objects.clone(), key.clone());
        async move { objects.get(&key).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.signal("-CONT");
    assert_eq!(waiting.await.expect("a task").expect("an answer").map(|bytes| bytes.len()), Some(9 * 1024 * 1024));
    while let Some(piece) = reading.next().await {
        bytes += piece.expect("bytes").len();
    }
    assert_eq!(bytes, 9 * 1024 * 1024);
}

#[tokio::test]
async fn a_store_that_does_not_answer_costs_a_deadline() {
    let mut server = Server::new();
    server.start_with_bucket().await;
    let objects = Objects::open(&server.location()).await.expect("objects");
    let key = ObjectKey::incoming();
    until("it takes an object", async || objects.put(&key, "bytes".into()).await.is_ok()).await;
    server.signal("-STOP");
    let started = Instant::now();
    assert!(is_unavailable(&objects.head(&key).await));
    assert!(started.elapsed() < CALL_MAX, "{:?}", started.elapsed());
    server.signal("-CONT");
    until("it answers", async || objects.head(&key).await.is_ok()).await;
}

#[tokio::test]
async fn a_wrong_key_and_a_missing_bucket_are_told_and_show_no_secret() {
    let right = bucket();
    let secret = right.secret_access_key.clone().expect("a secret");
    let wrong_key = Location { access_key_id: Some("nobody".to_owned()), ..right.clone() };
    let wrong_secret = Location { secret_access_key: Some("wrong".to_owned()), ..right.clone() };
    let missing = Location { url: right.url.replace("s3://eyeline-test", "s3://eyeline-missing"), ..right };
    for (location, told) in [(wrong_key, "credentials"), (wrong_secret, "credentials"), (missing, "bucket")] {
        let objects = Objects::open(&location).await.expect("objects");
        let key = ObjectKey::incoming();
        // A store may make a missing bucket when an object is put there.
        for outcome in [objects.get(&key).await.map(drop), objects.ping().await] {
            assert!(is_unavailable(&outcome), "{told}: {outcome:?}");
            let sentence = outcome.expect_err("a refusal").to_string();
            assert!(sentence.contains(told), "{sentence}");
            assert!(!sentence.contains(&secret) && !sentence.contains("X-Amz"), "{sentence}");
        }
    }
}

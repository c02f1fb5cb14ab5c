//! The contract of every cache.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eyeline_store::cache::{self, KEY_BYTES_MAX, Usage, VALUE_BYTES_MAX};
use eyeline_store::{Cache, Installation};

use crate::shared_engines::{Row, new_installation, on_every_shared_engine};

const MINUTE: Duration = Duration::from_secs(60);

async fn open(row: &Row) -> Arc<dyn Cache> {
    cache::open(&row.url, &row.installation).await.expect("an open cache")
}

/// Bytes of every value, which depend on `seed`.
fn bytes(length: usize, seed: usize) -> Bytes {
    (0..length).map(|index| ((index * 31 + seed) % 256) as u8).collect()
}

/// The value; a call that timed out beside heavy work is repeated.
async fn get(cache: &Arc<dyn Cache>, key: &str) -> Option<Bytes> {
    for _ in 0..20 {
        if let Ok(found) = cache.get(key).await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the cache stays away");
}

async fn set(cache: &Arc<dyn Cache>, key: &str, value: Bytes, time_to_live: Duration) {
    for _ in 0..20 {
        if cache.set(key, value.clone(), time_to_live).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the cache stays away");
}

#[tokio::test]
async fn a_value_of_any_bytes_comes_back_as_it_was_set() {
    on_every_shared_engine(async |row| {
        let cache = open(&row).await;
        cache.ping().await.expect("an answer");
        for key in ["a", "with spaces: and {braces}", "\r\n$3\r\n", "ключ", ""] {
            assert_eq!(get(&cache, key).await, None, "{key:?}");
            for length in [0, 1, 5_000, 100_000] {
                set(&cache, key, bytes(length, key.len()), MINUTE).await;
                assert_eq!(get(&cache, key).await, Some(bytes(length, key.len())), "{key:?} of {length} bytes");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_newest_value_replaces_the_others_until_it_is_removed() {
    on_every_shared_engine(async |row| {
        let cache = open(&row).await;
        for seed in 0..5 {
            set(&cache, "key", bytes(100, seed), MINUTE).await;
            assert_eq!(get(&cache, "key").await, Some(bytes(100, seed)));
        }
        cache.remove("key").await.expect("removed");
        assert_eq!(get(&cache, "key").await, None);
        cache.remove("key").await.expect("removed again");
    })
    .await;
}

#[tokio::test]
async fn a_value_ends_with_its_time_to_live() {
    on_every_shared_engine(async |row| {
        let cache = open(&row).await;
        set(&cache, "long", bytes(10, 1), Duration::MAX).await;
        set(&cache, "none", bytes(10, 1), Duration::ZERO).await;
        set(&cache, "short", bytes(10, 1), MINUTE).await;
        set(&cache, "short", bytes(10, 2), Duration::from_millis(300)).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(get(&cache, "none").await, None);
        assert_eq!(get(&cache, "short").await, None, "the newer time counts");
        assert_eq!(get(&cache, "long").await, Some(bytes(10, 1)));
    })
    .await;
}

#[tokio::test]
async fn what_is_too_large_is_not_kept_and_replaces_what_was_there() {
    on_every_shared_engine(async |row| {
        let cache = open(&row).await;
        set(&cache, "largest", bytes(VALUE_BYTES_MAX, 3), MINUTE).await;
        assert_eq!(get(&cache, "largest").await, Some(bytes(VALUE_BYTES_MAX, 3)));
        set(&cache, "largest", bytes(VALUE_BYTES_MAX + 1, 3), MINUTE).await;
        assert_eq!(get(&cache, "largest").await, None);
        let longest = "k".repeat(KEY_BYTES_MAX);
        set(&cache, &longest, bytes(1, 1), MINUTE).await;
        assert_eq!(get(&cache, &longest).await, Some(bytes(1, 1)));
        let longer = "k".repeat(KEY_BYTES_MAX + 1);
        set(&cache, &longer, bytes(1, 2), MINUTE).await;
        assert_eq!(get(&cache, &longer).await, None);
        assert_eq!(get(&cache, &longest).await, Some(bytes(1, 1)), "the longer key is not taken for the longest one");
    })
    .await;
}

#[tokio::test]
async fn many_calls_at_the_same_time_do_not_mix_their_values() {
    on_every_shared_engine(async |row| {
        let cache = open(&row).await;
        let calls = (0..500_usize).map(|number| {
            let cache = cache.clone();
            async move {
                let (key, value) = (format!("key {number}"), bytes(number * 7, number));
                set(&cache, &key, value.clone(), MINUTE).await;
                assert_eq!(get(&cache, &key).await, Some(value), "{key}");
            }
        });
        futures::future::join_all(calls).await;
    })
    .await;
}

#[tokio::test]
async fn processes_share_an_installation_and_no_installation_sees_another() {
    on_every_shared_engine(async |row| {
        let (cache, other) = (open(&row).await, open(&row).await);
        set(&cache, "key", bytes(10, 1), MINUTE).await;
        assert_eq!(get(&other, "key").await, row.is_shared.then(|| bytes(10, 1)));
        let stranger = Row { installation: new_installation(), ..row };
        assert_eq!(get(&open(&stranger).await, "key").await, None);
    })
    .await;
}

#[tokio::test]
async fn calls_are_counted_by_their_outcome() {
    on_every_shared_engine(async |row| {
        let cache = open(&row).await;
        for number in 0..3 {
            assert_eq!(get(&cache, "key").await.is_some(), number > 0);
            set(&cache, "key", bytes(10, 1), MINUTE).await;
        }
        cache.remove("key").await.expect("removed");
        let Usage { hits, misses, writes, failures: _ } = cache.usage();
        assert_eq!((hits, misses, writes), (2, 1, 4));
    })
    .await;
}

#[tokio::test]
async fn a_value_under_another_secret_is_a_miss() {
    on_every_shared_engine(async |row| {
        set(&open(&row).await, "key", bytes(10, 1), MINUTE).await;
        let rotated = Installation { key: [9; 32], ..row.installation.clone() };
        let rotated = cache::open(&row.url, &rotated).await.expect("an open cache");
        assert_eq!(get(&rotated, "key").await, None);
    })
    .await;
}

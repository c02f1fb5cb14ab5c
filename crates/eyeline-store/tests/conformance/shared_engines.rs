//! The engines of cache and fan-out: each is one row.
//!
//! Redis is the server in `EYELINE_TEST_REDIS_URL`, and the nodes of a cluster stand in
//! `EYELINE_TEST_REDIS_CLUSTER_URL`; `scripts/with-redis` starts both. A test that cannot reach them fails, so that no
//! engine is skipped silently.

use eyeline_store::Installation;
use uuid::Uuid;

/// An engine that a test opens once or several times, as so many processes would.
pub struct Row {
    pub url: String,
    /// True if processes share it; in memory each has an engine of its own.
    pub is_shared: bool,
    pub installation: Installation,
}

/// Runs `test` on every engine, as an installation that is not there yet.
pub async fn on_every_shared_engine(test: impl AsyncFn(Row)) {
    let redis = |variable: &str| {
        std::env::var(variable)
            .unwrap_or_else(|_| panic!("{variable} has to name a Redis: run the tests through scripts/with-redis"))
    };
    for (name, url, is_shared) in [
        ("in memory", "memory:".to_owned(), false),
        ("on Redis", redis("EYELINE_TEST_REDIS_URL"), true),
        ("on a cluster of Redis", redis("EYELINE_TEST_REDIS_CLUSTER_URL"), true),
    ] {
        eprintln!("{name}:");
        test(Row { url, is_shared, installation: new_installation() }).await;
    }
}

/// An installation that no other test has.
pub fn new_installation() -> Installation {
    let mut bytes = [0; 48];
    getrandom::fill(&mut bytes).expect("random bytes");
    let (id, key) = bytes.split_first_chunk::<16>().expect("16 bytes");
    Installation { id: Uuid::from_bytes(*id), key: key.try_into().expect("32 bytes") }
}

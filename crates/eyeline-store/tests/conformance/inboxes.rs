//! The engines of the inbox: each is one row.
//!
//! NATS is the server in `EYELINE_TEST_NATS_URL`, and the servers of a cluster stand in `EYELINE_TEST_NATS_CLUSTER_URL`;
//! `scripts/with-nats` starts both. A test that cannot reach them fails, so that no engine is skipped silently.

use std::sync::Arc;

use eyeline_store::inbox::{self, Entry, Inbox};
use uuid::Uuid;

/// An inbox that a test opens once or several times, one after the other or, if it is shared, as several processes.
pub struct Row {
    pub url: String,
    pub is_shared: bool,
    _folder: tempfile::TempDir,
}

impl Row {
    pub async fn open(&self) -> Arc<dyn Inbox> {
        inbox::open(&self.url).await.expect("an open inbox")
    }
}

/// Every engine, each with a new inbox of one partition.
pub fn every_inbox() -> Vec<(&'static str, Row)> {
    let folder = || tempfile::tempdir().expect("a temporary folder");
    let file = folder();
    let of_nats = |variable| Row { url: new_in_nats(&server(variable), 1), is_shared: true, _folder: folder() };
    let sqlite = format!("sqlite:{}", file.path().join("inbox.sqlite").display());
    vec![
        ("in SQLite", Row { url: sqlite, is_shared: false, _folder: file }),
        ("in NATS", of_nats("EYELINE_TEST_NATS_URL")),
        ("in a cluster of NATS", of_nats("EYELINE_TEST_NATS_CLUSTER_URL")),
    ]
}

/// Runs `test` on every engine, with a new inbox of one partition.
pub async fn on_every_inbox(test: impl AsyncFn(Row)) {
    for (name, row) in every_inbox() {
        eprintln!("{name}:");
        test(row).await;
    }
}

/// The address of NATS in a variable.
pub fn server(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} has to name a NATS: run the tests through scripts/with-nats"))
}

/// The URL of an inbox in this NATS that is not there yet.
pub fn new_in_nats(server: &str, partitions: u32) -> String {
    let stream = Uuid::new_v4().simple();
    format!("{server}?stream=test-{stream}&partitions={partitions}&mb={}", 64 * partitions)
}

/// Events of partition 0.
pub fn entries<T: AsRef<str>>(texts: &[T]) -> Vec<Entry> {
    entries_of(0, texts)
}

pub fn entries_of<T: AsRef<str>>(partition: u32, texts: &[T]) -> Vec<Entry> {
    texts.iter().map(|text| Entry { partition, event: text.as_ref().as_bytes().to_vec() }).collect()
}

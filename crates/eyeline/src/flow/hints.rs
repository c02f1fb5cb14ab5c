//! Hints: after a commit, listeners receive a message about what changed.
//!
//! Every step also polls, so a lost hint delays the next step and never makes it wrong. A hint that cannot be sent is
//! no error.

use bytes::Bytes;
use eyeline_core::{GalleryId, ProjectId};
use eyeline_store::PubSub;
use eyeline_store::catalog::processing::Hints;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

/// The topic of jobs that wait for a worker.
const JOBS: &str = "jobs";
/// The topic of released partitions of the inbox.
const PARTITIONS: &str = "partitions";
const HINTS_AT_ONCE: usize = 1_024;

/// The message of a gallery's topic if only its counters changed. Every other message, the empty one included, means
/// that its pages changed.
pub const COUNTS: Bytes = Bytes::from_static(b"counts");

/// The topic of a project's news; a message is the number of the newest piece.
pub fn news_topic(project_id: ProjectId) -> String {
    format!("news:{project_id}")
}

/// The topic of changes of a gallery.
pub fn gallery_topic(gallery_id: GalleryId) -> String {
    format!("gallery:{gallery_id}")
}

/// The topic of new orders of a project's galleries; a message is the gallery's id.
pub fn order_topic(project_id: ProjectId) -> String {
    format!("order:{project_id}")
}

/// Publishes all hints that a catalog use case returned.
pub async fn publish(pubsub: &dyn PubSub, hints: Hints) {
    if hints.jobs {
        send(pubsub, JOBS, Bytes::new()).await;
    }
    for (project_id, seq) in hints.news {
        news(pubsub, project_id, seq).await;
    }
    for gallery_id in hints.galleries {
        gallery_changed(pubsub, gallery_id).await;
    }
}

/// Yields once for all hints of waiting jobs since the last time. Never ends.
pub async fn jobs(pubsub: &dyn PubSub) -> BoxStream<'static, ()> {
    listen(pubsub, JOBS).await
}

/// Tells other processes that a partition of the inbox has no owner.
pub async fn partition_released(pubsub: &dyn PubSub) {
    send(pubsub, PARTITIONS, Bytes::new()).await;
}

/// Yields once for all partitions that were released since the last time. Never ends.
pub async fn released_partitions(pubsub: &dyn PubSub) -> BoxStream<'static, ()> {
    listen(pubsub, PARTITIONS).await
}

async fn listen(pubsub: &dyn PubSub, topic: &str) -> BoxStream<'static, ()> {
    match pubsub.subscribe(topic).await {
        Ok(hints) => hints.ready_chunks(HINTS_AT_ONCE).map(drop).chain(stream::pending()).boxed(),
        Err(error) => {
            tracing::warn!(%error, topic, "hints cannot be heard; polling goes on");
            stream::pending().boxed()
        }
    }
}

pub async fn news(pubsub: &dyn PubSub, project_id: ProjectId, seq: u64) {
    send(pubsub, &news_topic(project_id), Bytes::from(seq.to_string())).await;
}

pub async fn gallery_changed(pubsub: &dyn PubSub, gallery_id: GalleryId) {
    send(pubsub, &gallery_topic(gallery_id), Bytes::new()).await;
}

pub async fn gallery_counted(pubsub: &dyn PubSub, gallery_id: GalleryId) {
    send(pubsub, &gallery_topic(gallery_id), COUNTS).await;
}

pub async fn order_published(pubsub: &dyn PubSub, project_id: ProjectId, gallery_id: GalleryId) {
    send(pubsub, &order_topic(project_id), Bytes::from(gallery_id.to_string())).await;
}

async fn send(pubsub: &dyn PubSub, topic: &str, message: Bytes) {
    if let Err(error) = pubsub.publish(topic, message).await {
        tracing::debug!(%error, topic, "a hint was lost");
    }
}

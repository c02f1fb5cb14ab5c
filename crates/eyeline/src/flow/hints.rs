//! After a commit: telling those who wait for what it changed. A lost hint makes them slower, never wrong.

use bytes::Bytes;
use eyeline_store::catalog::processing::Hints;

use super::notify::news_topic;
use super::rank::gallery_topic;
use crate::app::App;

pub async fn publish(app: &App, hints: Hints) {
    if hints.jobs {
        app.waiting_jobs.notify_one();
    }
    let news = hints.news.into_iter().map(|(project_id, seq)| (news_topic(project_id), Bytes::from(seq.to_string())));
    let galleries = hints.galleries.into_iter().map(|gallery_id| (gallery_topic(gallery_id), Bytes::new()));
    for (topic, message) in news.chain(galleries) {
        if let Err(error) = app.pubsub.publish(&topic, message).await {
            tracing::warn!(%error, topic, "a hint was not published");
        }
    }
}

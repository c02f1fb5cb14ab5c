//! Answers questions about galleries that this process owns, which other processes ask by records.

use bytes::Bytes;
use eyeline_core::GalleryId;
use eyeline_store::{Error, Result};
use futures::StreamExt as _;

use super::rank::{Orders, Question};
use super::{estimate, why};

/// Questions that are answered at once.
const ANSWERS_AT_ONCE: usize = 2;

/// Answers every open question. One that fails stays open for the next call, until nobody waits any more.
pub async fn answer(orders: &Orders) -> Result<()> {
    let asked = futures::stream::iter(orders.asked().await?);
    asked
        .for_each_concurrent(ANSWERS_AT_ONCE, |(gallery_id, question)| async move {
            let outcome = match answer_to(orders, gallery_id, &question).await {
                Ok(answer) => orders.answer(gallery_id, &question, answer).await,
                Err(Error::NotFound(_)) => orders.answer(gallery_id, &question, Some(Bytes::new())).await,
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                tracing::warn!(%error, gallery.id = %gallery_id, question, "a question of another process stays open");
            }
        })
        .await;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "no handler: the process that asks has checked the credential")]
async fn answer_to(orders: &Orders, gallery_id: GalleryId, question: &str) -> Result<Option<Bytes>> {
    match Question::parse(question) {
        // A newer version of this program asks for something else.
        None => Ok(None),
        Some(Question::Order(wanted)) => orders.publish_for_others(gallery_id, wanted).await.map(|()| None),
        Some(Question::Publish) => orders.publish_for_all(gallery_id).await.map(|()| Some(Bytes::new())),
        Some(Question::Why { wanted, image_id, arm }) => {
            let ranked = orders.gallery(gallery_id).await?;
            why::explain(orders, &ranked, wanted, image_id, arm).await.map(Some)
        }
        Some(Question::Estimate { class, order }) => {
            let ranked = orders.gallery(gallery_id).await?;
            estimate::compare(orders, &ranked, class, order).await.map(Some)
        }
    }
}

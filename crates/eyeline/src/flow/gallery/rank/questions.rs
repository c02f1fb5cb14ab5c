//! Questions to the process that owns a gallery. Other processes ask them by records, and `super::super::answers`
//! answers them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eyeline_core::ranking::experiment::Arm;
use eyeline_core::{AccessClass, GalleryId, ImageId, Strategy};
use eyeline_store::{Error, Result};
use uuid::Uuid;

use super::{Orders, Ranked, Wanted, lock};
use crate::secrets::{random, to_hex};

/// The longest time that a question about an order waits for its answer.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Questions of this process that wait for answers; the next one is `Unavailable`.
pub(super) const QUESTIONS_AT_ONCE: usize = 16;

/// What another process asks the owner of a gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// To publish the newest order of a variant, and for a minute each one that replaces it. The answer is the record.
    Order(Wanted),
    /// To publish what changed, for all. The answer is empty.
    Publish,
    /// To explain an image's rank. The answer is JSON; empty if there is no such image.
    Why { wanted: Wanted, image_id: ImageId, arm: Option<Arm> },
    /// To compare the gallery's own order with another one. The answer is JSON.
    Estimate { class: AccessClass, order: Strategy },
}

const OWN: &str = "own";
const NO_ARM: &str = "none";

impl Question {
    /// Its text, which is the same for the same question.
    fn text(&self) -> String {
        match self {
            Question::Order(wanted) => name_of(*wanted),
            Question::Publish => "publish".to_owned(),
            Question::Why { wanted, image_id, arm } => {
                let arm = arm.map_or(NO_ARM, Arm::as_str);
                format!("why-{}-{}-{arm}", name_of(*wanted), image_id.0.simple())
            }
            Question::Estimate { class, order } => format!("estimate-{}-{}", class.as_str(), order.as_str()),
        }
    }

    /// Reads the text of a question, whose last part makes it unique unless it is for an order.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('-').collect();
        match parts[..] {
            ["publish", _] => Some(Question::Publish),
            ["why", class, strategy, snapshot, image_id, arm, _] => Some(Question::Why {
                wanted: parse_wanted(class, strategy, snapshot)?,
                image_id: Uuid::try_parse(image_id).ok()?.into(),
                arm: [Arm::Control, Arm::Treatment].into_iter().find(|known| known.as_str() == arm),
            }),
            ["estimate", class, order, _] => {
                Some(Question::Estimate { class: AccessClass::parse(class)?, order: Strategy::parse(order)? })
            }
            [class, strategy, snapshot] => parse_wanted(class, strategy, snapshot).map(Question::Order),
            _ => None,
        }
    }
}

/// The name of a variant, also among the published orders.
pub(super) fn name_of(Wanted { class, strategy, snapshot }: Wanted) -> String {
    format!("{}-{}-{snapshot}", class.as_str(), strategy.map_or(OWN, Strategy::as_str))
}

fn parse_wanted(class: &str, strategy: &str, snapshot: &str) -> Option<Wanted> {
    let strategy = if strategy == OWN { None } else { Some(Strategy::parse(strategy)?) };
    Some(Wanted { class: AccessClass::parse(class)?, strategy, snapshot: snapshot.parse().ok()? })
}

impl Orders {
    /// True if this process publishes the gallery's orders, and explains them.
    pub(in crate::flow::gallery) fn owns(&self, gallery_id: GalleryId) -> bool {
        self.0.ids.owns(gallery_id)
    }

    /// The owner's answer to a question that is not for an order. `Pending` if there is none within `patience`.
    pub(in crate::flow::gallery) async fn ask_owner(
        &self,
        gallery_id: GalleryId,
        question: Question,
        patience: Duration,
    ) -> Result<Bytes> {
        let permit = self.0.asking.try_acquire();
        let _permit = permit.map_err(|_| Error::unavailable("too many questions wait for the owners of galleries"))?;
        let text = format!("{}-{}", question.text(), to_hex(&random::<8>()));
        let answer = tokio::time::timeout(patience, self.0.stored.ask(gallery_id, &text)).await;
        match answer {
            Ok(answer) => answer,
            Err(_) => {
                // Otherwise the owner answers in vain, or it is forgotten.
                let _ = self.0.stored.answer(gallery_id, &text, None).await;
                Err(Error::Pending(
                    "The process that ranks this gallery does not answer; send the request again after Retry-After.",
                ))
            }
        }
    }

    /// The open questions about galleries that this process owns.
    pub(in crate::flow::gallery) async fn asked(&self) -> Result<Vec<(GalleryId, String)>> {
        let asked = self.0.stored.asked().await?;
        let own = asked.into_iter().filter(|question| self.owns(question.gallery_id));
        Ok(own.map(|question| (question.gallery_id, question.text)).collect())
    }

    /// Closes a question.
    pub(in crate::flow::gallery) async fn answer(
        &self,
        gallery_id: GalleryId,
        question: &str,
        answer: Option<Bytes>,
    ) -> Result<()> {
        self.0.stored.answer(gallery_id, question, answer).await
    }

    /// Publishes the newest order of a variant for other processes.
    #[expect(clippy::disallowed_methods, reason = "no handler: it publishes and answers nobody")]
    pub(in crate::flow::gallery) async fn publish_for_others(
        &self,
        gallery_id: GalleryId,
        wanted: Wanted,
    ) -> Result<()> {
        let ranked = self.gallery(gallery_id).await?;
        // The other process may ask because of a change that it has heard of.
        if ranked.has_urgent_changes() {
            self.publish(&ranked).await?;
        }
        let order = self.current(&ranked, wanted).await?;
        order.mark_asked(self.0.clock.now());
        self.0.stored.publish(&order, &ranked.name_of(wanted)?, true).await
    }

    /// Publishes what changed in a gallery that this process owns, and returns once every process serves it. Orders
    /// that are not in memory are in use nowhere.
    pub(in crate::flow::gallery) async fn publish_for_all(&self, gallery_id: GalleryId) -> Result<()> {
        let Some(ranked) = lock(&self.0.galleries).get(&gallery_id).cloned() else { return Ok(()) };
        self.publish_and_wait(&ranked).await
    }

    pub(super) async fn publish_and_wait(&self, ranked: &Arc<Ranked>) -> Result<()> {
        self.publish(ranked).await?;
        if !ranked.followed(self.0.clock.now()).is_empty() {
            // Until then other processes may serve the order before.
            tokio::time::sleep(super::stored::NEWEST_CACHED).await;
        }
        Ok(())
    }

    /// As [`Orders::publish_for_all`], for every gallery. Asks its owner if that is another process.
    pub(in crate::flow::gallery) async fn publish_everywhere(
        &self,
        gallery_id: GalleryId,
        patience: Duration,
    ) -> Result<()> {
        if self.owns(gallery_id) {
            return self.publish_for_all(gallery_id).await;
        }
        // A hint may come later than the owner's answer.
        if let Some(ranked) = lock(&self.0.galleries).get(&gallery_id) {
            ranked.mark_changed();
        }
        self.ask_owner(gallery_id, Question::Publish, patience).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_as_it_was_asked() {
        let wanted = |strategy| Wanted { class: AccessClass::Project, strategy, snapshot: 3 };
        let (image_id, unique) = (ImageId(Uuid::from_u128(7)), "00ff");
        for question in [
            Question::Publish,
            Question::Why { wanted: wanted(None), image_id, arm: None },
            Question::Why { wanted: wanted(Some(Strategy::WeightDecay)), image_id, arm: Some(Arm::Control) },
            Question::Estimate { class: AccessClass::Premium, order: Strategy::InterestFixed },
        ] {
            assert_eq!(Question::parse(&format!("{}-{unique}", question.text())), Some(question));
        }
        let order = Question::Order(wanted(Some(Strategy::WeightDecay)));
        assert_eq!(order.text(), "project-weight_decay-3");
        assert_eq!(Question::parse(&order.text()), Some(order));
        for strange in ["", "why", "what-public-weight-0", "public-weight", "public-fastest-0", "publish"] {
            assert_eq!(Question::parse(strange), None, "{strange}");
        }
    }
}

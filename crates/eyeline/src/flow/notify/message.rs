//! The messages that listeners receive, as JSON text.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eyeline_core::{GalleryId, ImageErrorCode, ImageId, ImageState, ProjectId, Timestamp};
use eyeline_store::catalog::news::News;
use eyeline_store::{Error, Result};
use serde::Serialize;
use utoipa::ToSchema;

use crate::flow::Flow;
use crate::flow::photo::links::Links;
use crate::flow::photo::versions::Versions;

/// Cheap to clone: listeners share the text.
#[derive(Clone, Debug)]
pub struct Message {
    seq: Option<u64>,
    reset: bool,
    image_id: Option<ImageId>,
    text: Arc<str>,
}

/// One message of a project's stream. Each piece of news has a `seq`, which rises by one within a project.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type")]
pub enum StreamMessage {
    /// An image has a new state.
    #[serde(rename = "image.state")]
    ImageState {
        seq: u64,
        at: Timestamp,
        project_id: ProjectId,
        image_id: ImageId,
        /// The state at that time.
        state: Option<ImageState>,
        versions: Versions,
        /// The reason for the state `error`, as a sentence.
        error: Option<String>,
        /// The same for programs.
        error_code: Option<ImageErrorCode>,
    },
    /// Events were quarantined.
    #[serde(rename = "events.quarantined")]
    EventsQuarantined { seq: u64, at: Timestamp, project_id: ProjectId },
    /// A gallery has a new order. A hint: it has no `seq` and is not stored.
    #[serde(rename = "gallery.order")]
    GalleryOrder { at: Timestamp, project_id: ProjectId, gallery_id: GalleryId },
    /// Older news is missing: read everything again, and continue from `seq`.
    #[serde(rename = "reset")]
    Reset { seq: u64 },
}

impl StreamMessage {
    fn text(&self) -> Result<Arc<str>> {
        let text = serde_json::to_string(self).map_err(|error| Error::internal("writing news", error))?;
        Ok(text.into())
    }
}

impl Message {
    /// The number to continue from after this message; `None` for a hint.
    pub fn seq(&self) -> Option<u64> {
        self.seq
    }

    pub fn is_reset(&self) -> bool {
        self.reset
    }

    /// True if the image may have changed. A reset stands for any change.
    pub fn may_be_about(&self, image_id: ImageId) -> bool {
        self.reset || self.image_id == Some(image_id)
    }

    /// The message as JSON.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Reports a gap: the listener must read everything again, and continues from `seq`.
    pub(super) fn reset(seq: u64) -> Self {
        // Serializing these two plain messages cannot fail.
        let text = StreamMessage::Reset { seq }.text().unwrap_or_default();
        Message { seq: Some(seq), reset: true, image_id: None, text }
    }

    /// The gallery has a new order.
    pub(super) fn order(project_id: ProjectId, gallery_id: GalleryId, at: Timestamp) -> Self {
        let text = StreamMessage::GalleryOrder { at, project_id, gallery_id }.text().unwrap_or_default();
        Message { seq: None, reset: false, image_id: None, text }
    }
}

/// Writes news as messages with the present links of images, by one query for all.
pub(super) async fn of_news(flow: &Flow, project_id: ProjectId, news: Vec<News>) -> Result<Vec<Message>> {
    let finished = |news: &News| news.state.is_some_and(ImageState::is_final);
    let mut ids: Vec<ImageId> = news.iter().filter(|news| finished(news)).filter_map(|news| news.image_id).collect();
    ids.sort();
    ids.dedup();
    let images = if ids.is_empty() { HashMap::new() } else { flow.catalog.images_by_id(ids).await? };
    let links = Links::at(flow);
    let write = |news: News| {
        let (seq, image_id) = (news.seq, news.image_id);
        let shown = news.image_id.filter(|_| finished(&news)).and_then(|image_id| images.get(&image_id));
        // A listener of a project may see all of it.
        let versions = shown.map(|image| Versions::of(image, &links, true)).unwrap_or_default();
        // The image may have been processed again since.
        let fault = shown.filter(|_| news.state == Some(ImageState::Error)).and_then(|image| image.error.clone());
        let (error_code, error) = fault.unzip();
        let (at, state) = (news.at, news.state);
        let message = match image_id {
            Some(image_id) => {
                StreamMessage::ImageState { seq, at, project_id, image_id, state, versions, error, error_code }
            }
            None => StreamMessage::EventsQuarantined { seq, at, project_id },
        };
        Ok(Message { seq: Some(seq), reset: false, image_id, text: message.text()? })
    };
    news.into_iter().map(write).collect()
}

/// Messages kept for listeners that ask a moment later.
const KEPT_MAX: usize = 128;
/// Links within messages live longer than this.
const KEPT: Duration = Duration::from_secs(30);

/// The newest messages of a project, in order and without a gap.
#[derive(Default)]
pub(super) struct Recent {
    messages: VecDeque<(Instant, Message)>,
    polled: Option<(Instant, u64)>,
}

impl Recent {
    /// The kept messages after number `after`. Empty if the next one is not kept.
    pub(super) fn after(&mut self, after: u64) -> Vec<Message> {
        while self.messages.front().is_some_and(|(written, _)| written.elapsed() > KEPT) {
            self.messages.pop_front();
        }
        let first = self.messages.front().and_then(|(_, message)| message.seq);
        let Some(skipped) = first.and_then(|first| (after + 1).checked_sub(first)) else { return Vec::new() };
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        self.messages.iter().skip(skipped).map(|(_, message)| message.clone()).collect()
    }

    /// Keeps messages that end with the newest news.
    pub(super) fn keep(&mut self, messages: &[Message]) {
        let next = self.messages.back().and_then(|(_, message)| message.seq).map(|seq| seq + 1);
        if next != messages.first().and_then(|message| message.seq) {
            self.messages.clear();
        }
        let now = Instant::now();
        self.messages.extend(messages.iter().map(|message| (now, message.clone())));
        self.messages.drain(..self.messages.len().saturating_sub(KEPT_MAX));
    }

    /// The newest number, if it was read within `span`.
    pub(super) fn polled(&self, span: Duration) -> Option<u64> {
        self.polled.filter(|(read, _)| read.elapsed() < span).map(|(_, newest)| newest)
    }

    pub(super) fn set_polled(&mut self, newest: u64) {
        self.polled = Some((Instant::now(), newest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seq: u64) -> Message {
        Message { seq: Some(seq), reset: false, image_id: None, text: seq.to_string().into() }
    }

    fn seqs(messages: &[Message]) -> Vec<u64> {
        messages.iter().filter_map(Message::seq).collect()
    }

    #[test]
    fn what_follows_is_given_only_without_a_gap() {
        let mut recent = Recent::default();
        assert!(recent.after(0).is_empty());
        recent.keep(&[message(5), message(6), message(7)]);
        assert_eq!(seqs(&recent.after(4)), [5, 6, 7]);
        assert_eq!(seqs(&recent.after(6)), [7]);
        assert!(recent.after(7).is_empty() && recent.after(100).is_empty());
        assert!(recent.after(3).is_empty(), "number 4 is not kept");
    }

    #[test]
    fn messages_with_a_gap_before_them_replace_what_was_kept() {
        let mut recent = Recent::default();
        recent.keep(&[message(1), message(2)]);
        recent.keep(&[message(3)]);
        assert_eq!(seqs(&recent.after(0)), [1, 2, 3]);
        recent.keep(&[message(9)]);
        assert!(recent.after(0).is_empty());
        assert_eq!(seqs(&recent.after(8)), [9]);
    }

    #[test]
    fn only_the_newest_messages_are_kept() {
        let mut recent = Recent::default();
        let many: Vec<Message> = (1..=1_000).map(message).collect();
        recent.keep(&many);
        assert_eq!(recent.after(1_000 - KEPT_MAX as u64).len(), KEPT_MAX);
        assert!(recent.after(1).is_empty());
    }
}

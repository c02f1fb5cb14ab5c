//! From news in the catalog to listeners.
//!
//! The catalog numbers a project's news without gaps. A listener keeps the number it has reached, and reads on when it
//! hears of more. A lost hint or a slow listener therefore misses nothing, and only that number is stored for it.

mod message;
mod pace;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use eyeline_core::{GalleryId, ProjectId};
use eyeline_store::pubsub::Hint;
use eyeline_store::{Error, Result};
use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

pub use message::{Message, StreamMessage};

use crate::flow::Flow;
use crate::flow::hints::{news_topic, order_topic};
use crate::secrets;
use crate::shares::{Share, Shares};
use message::Recent;
use pace::{GALLERIES_MAX, Pace};

/// News read by one query.
const PAGE: u32 = 100;
/// News whose hint was lost is found after this time, or at most half as much later.
const POLL: Duration = Duration::from_secs(4);
/// The time for which a project's galleries are remembered for listeners that missed hints.
const GALLERIES_KEPT: Duration = Duration::from_secs(1);
/// The most listeners of this process.
const LISTENERS_MAX: u64 = 2_500;
/// Bytes of a listener: its tasks, its timers, its buffers, and the head of its request.
const LISTENER_BYTES: u64 = 16 * 1024;
pub const MEMORY_BYTES: u64 = LISTENERS_MAX * LISTENER_BYTES;

/// The listeners of this process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Newsroom(Arc<Inner>);

struct Inner {
    desks: Mutex<HashMap<ProjectId, Weak<Desk>>>,
    listeners: TaskTracker,
    places: Shares<ProjectId>,
}

impl Default for Inner {
    fn default() -> Self {
        Inner { desks: Mutex::default(), listeners: TaskTracker::new(), places: Shares::new(LISTENERS_MAX) }
    }
}

/// The state that listeners of one project share, so that each piece of news is read once for all of them.
struct Desk {
    project_id: ProjectId,
    recent: tokio::sync::Mutex<Recent>,
    /// The galleries as they were read last, and when.
    galleries: tokio::sync::Mutex<Option<(Instant, Vec<GalleryId>)>>,
}

impl Newsroom {
    /// Listens to a project: after number `since`, or from now on. `NotFound` if it does not exist; `Unavailable` if no
    /// stream is free.
    pub async fn listen(&self, flow: &Flow, project_id: ProjectId, since: Option<u64>) -> Result<Listener> {
        let place = self.0.places.take(project_id, 1);
        let place = place.ok_or_else(|| {
            Error::unavailable("the project already has the most open streams it may have".to_owned())
        })?;
        // Subscribed before the newest number is read, so that nothing is missed in between.
        let news = endless(flow.pubsub.subscribe(&news_topic(project_id)).await?);
        let orders = endless(flow.pubsub.subscribe(&order_topic(project_id)).await?);
        let newest = flow.catalog.newest_news(project_id).await?;
        Ok(Listener {
            desk: self.desk(project_id),
            flow: flow.clone(),
            news,
            orders,
            reached: since.unwrap_or(newest),
            newest,
            pace: Pace::default(),
            has_missed_orders: false,
            poll_at: Instant::now() + poll_pause(),
            _place: place,
            _open: self.0.listeners.token(),
        })
    }

    /// Returns once no listener is left.
    pub async fn emptied(&self) {
        self.0.listeners.close();
        self.0.listeners.wait().await;
    }

    fn desk(&self, project_id: ProjectId) -> Arc<Desk> {
        let mut desks = self.0.desks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(desk) = desks.get(&project_id).and_then(Weak::upgrade) {
            return desk;
        }
        desks.retain(|_, desk| desk.strong_count() > 0);
        let desk = Arc::new(Desk {
            project_id,
            recent: tokio::sync::Mutex::default(),
            galleries: tokio::sync::Mutex::default(),
        });
        desks.insert(project_id, Arc::downgrade(&desk));
        desk
    }
}

impl Desk {
    /// The messages after number `after`, at most a page. The first listener that asks reads them for all.
    async fn after(&self, flow: &Flow, after: u64) -> Result<Vec<Message>> {
        let mut recent = self.recent.lock().await;
        let known = recent.after(after);
        if !known.is_empty() {
            return Ok(known);
        }
        let page = flow.catalog.news(self.project_id, after, PAGE).await?;
        if page.gap {
            return Ok(vec![Message::reset(page.newest)]);
        }
        let up_to_date = page.news.last().is_some_and(|last| last.seq == page.newest);
        let messages = message::of_news(flow, self.project_id, page.news).await?;
        if up_to_date {
            recent.keep(&messages);
        }
        Ok(messages)
    }

    /// The newest galleries, as many as a listener may hear of at once. Listeners that ask within a second share one
    /// query.
    async fn galleries(&self, flow: &Flow) -> Result<Vec<GalleryId>> {
        let mut known = self.galleries.lock().await;
        if let Some((read, galleries)) = &*known
            && read.elapsed() < GALLERIES_KEPT
        {
            return Ok(galleries.clone());
        }
        let galleries = flow.catalog.galleries(self.project_id, None, GALLERIES_MAX).await?;
        let galleries: Vec<GalleryId> = galleries.into_iter().map(|gallery| gallery.gallery_id).collect();
        *known = Some((Instant::now(), galleries.clone()));
        Ok(galleries)
    }

    /// The newest number, at most `POLL / 2` old.
    async fn newest(&self, flow: &Flow) -> Result<u64> {
        let mut recent = self.recent.lock().await;
        if let Some(newest) = recent.polled(POLL / 2) {
            return Ok(newest);
        }
        let newest = flow.catalog.newest_news(self.project_id).await?;
        recent.set_polled(newest);
        Ok(newest)
    }
}

/// A listener of one project.
pub struct Listener {
    flow: Flow,
    desk: Arc<Desk>,
    news: BoxStream<'static, Hint>,
    orders: BoxStream<'static, Hint>,
    /// The number of the last message that was returned.
    reached: u64,
    /// The highest known number.
    newest: u64,
    pace: Pace,
    /// Hints of new orders were missed, and it is not known of which galleries.
    has_missed_orders: bool,
    poll_at: Instant,
    _place: Share<ProjectId>,
    _open: TaskTrackerToken,
}

impl Listener {
    /// The number of the last returned message, or the one after which listening began.
    pub fn reached(&self) -> u64 {
        self.reached
    }

    /// Waits for the next messages, at least one. Dropping the future loses nothing. After an error the next call
    /// retries.
    pub async fn next(&mut self) -> Result<Vec<Message>> {
        loop {
            // Also true if the listener is ahead: it receives a reset.
            if self.reached != self.newest {
                let messages = self.desk.after(&self.flow, self.reached).await?;
                if let Some(last) = messages.last().and_then(Message::seq) {
                    // After a gap the highest number may be lower than before.
                    let gap = messages.iter().any(Message::is_reset);
                    self.newest = if gap { last } else { self.newest.max(last) };
                    self.reached = last;
                    return Ok(messages);
                }
                // A hint from another process may name a number that this process cannot see yet.
                self.newest = self.reached;
            }
            if self.has_missed_orders {
                let galleries = self.desk.galleries(&self.flow).await?;
                self.has_missed_orders = false;
                let told: Vec<GalleryId> = galleries.into_iter().filter(|id| self.pace.take(*id)).collect();
                if !told.is_empty() {
                    return Ok(told.into_iter().map(|gallery_id| self.order(gallery_id)).collect());
                }
            }
            tokio::select! {
                Some(hint) = self.news.next() => self.hear_news(&hint),
                Some(hint) = self.orders.next() => match read::<GalleryId>(&hint) {
                    Some(gallery_id) if self.pace.take(gallery_id) => return Ok(vec![self.order(gallery_id)]),
                    Some(_) => {}
                    None => self.has_missed_orders = true,
                },
                gallery_id = self.pace.due() => return Ok(vec![self.order(gallery_id)]),
                () = tokio::time::sleep_until(self.poll_at) => {
                    self.poll_at = Instant::now() + poll_pause();
                    self.newest = self.newest.max(self.desk.newest(&self.flow).await?);
                }
            }
        }
    }

    fn hear_news(&mut self, hint: &Hint) {
        match read::<u64>(hint) {
            Some(seq) => self.newest = self.newest.max(seq),
            None => self.poll_at = Instant::now(),
        }
    }

    fn order(&self, gallery_id: GalleryId) -> Message {
        Message::order(self.desk.project_id, gallery_id, self.flow.clock.now())
    }
}

/// An ended subscription counts as a silent one, because polling continues.
fn endless(hints: BoxStream<'static, Hint>) -> BoxStream<'static, Hint> {
    hints.chain(stream::pending()).boxed()
}

fn read<T: std::str::FromStr>(hint: &Hint) -> Option<T> {
    match hint {
        Hint::Message(message) => std::str::from_utf8(message).ok()?.parse().ok(),
        Hint::Lagged => None,
    }
}

/// A random pause, so that listeners do not all ask at the same moment.
fn poll_pause() -> Duration {
    let [drawn] = secrets::random::<1>();
    POLL + POLL * u32::from(drawn) / 512
}

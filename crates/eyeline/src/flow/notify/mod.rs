//! From news in the catalog to those who listen.
//!
//! The catalog numbers a project's news without gaps; a listener keeps the number it has reached and reads on from
//! there whenever it hears that there is more. So nothing is missed when a hint is lost or a listener is slow, and
//! nothing is kept for a listener but its number.

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

use crate::app::App;
use crate::flow::hints::{news_topic, order_topic};
use crate::secrets;
use crate::shares::{Share, Shares};
use message::Recent;
use pace::Pace;

/// Pieces of news read at once.
const PAGE: u32 = 100;
/// News whose hint was lost is found after this time, at the latest half of it more.
const POLL: Duration = Duration::from_secs(4);
/// Listeners of this process at the most.
const LISTENERS_MAX: u64 = 10_000;

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

/// What the listeners of one project share, so that a piece of news costs one reading and not one for each of them.
struct Desk {
    project_id: ProjectId,
    recent: tokio::sync::Mutex<Recent>,
}

impl Newsroom {
    /// Begins to listen to a project: after number `since`, or from now on. `NotFound` when there is no such project.
    pub async fn listen(&self, app: &App, project_id: ProjectId, since: Option<u64>) -> Result<Listener> {
        let place = self.0.places.take(project_id, 1);
        let place =
            place.ok_or_else(|| Error::unavailable("as many streams are open as the project may have".to_owned()))?;
        // Heard before the newest number is read, so that nothing falls between the two.
        let news = endless(app.pubsub.subscribe(&news_topic(project_id)).await?);
        let orders = endless(app.pubsub.subscribe(&order_topic(project_id)).await?);
        let newest = app.catalog.newest_news(project_id).await?;
        Ok(Listener {
            desk: self.desk(project_id),
            app: app.clone(),
            news,
            orders,
            reached: since.unwrap_or(newest),
            newest,
            pace: Pace::default(),
            poll_at: Instant::now() + poll_pause(),
            _place: place,
            _open: self.0.listeners.token(),
        })
    }

    /// Returns once nobody listens any more.
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
        let desk = Arc::new(Desk { project_id, recent: tokio::sync::Mutex::default() });
        desks.insert(project_id, Arc::downgrade(&desk));
        desk
    }
}

impl Desk {
    /// What comes after number `after`, at most a page. Whoever asks for the newest finds it read by the first of them.
    async fn after(&self, app: &App, after: u64) -> Result<Vec<Message>> {
        let mut recent = self.recent.lock().await;
        let known = recent.after(after);
        if !known.is_empty() {
            return Ok(known);
        }
        let page = app.catalog.news(self.project_id, after, PAGE).await?;
        if page.gap {
            return Ok(vec![Message::reset(page.newest)]);
        }
        let up_to_date = page.news.last().is_some_and(|last| last.seq == page.newest);
        let messages = message::of_news(app, self.project_id, page.news).await?;
        if up_to_date {
            recent.keep(&messages);
        }
        Ok(messages)
    }

    /// The number of the newest piece of news, read a moment ago at the most.
    async fn newest(&self, app: &App) -> Result<u64> {
        let mut recent = self.recent.lock().await;
        if let Some(newest) = recent.polled(POLL / 2) {
            return Ok(newest);
        }
        let newest = app.catalog.newest_news(self.project_id).await?;
        recent.set_polled(newest);
        Ok(newest)
    }
}

/// One who listens to a project.
pub struct Listener {
    app: App,
    desk: Arc<Desk>,
    news: BoxStream<'static, Hint>,
    orders: BoxStream<'static, Hint>,
    /// The number of the last piece of news that was given.
    reached: u64,
    /// The highest number that is known of.
    newest: u64,
    pace: Pace,
    poll_at: Instant,
    _place: Share<ProjectId>,
    _open: TaskTrackerToken,
}

impl Listener {
    /// The number of the last piece of news that was given, or that listening began after.
    pub fn reached(&self) -> u64 {
        self.reached
    }

    /// Waits for what comes next: some messages, never none. Whoever drops the future misses nothing. After an error
    /// the next call tries again.
    pub async fn next(&mut self) -> Result<Vec<Message>> {
        loop {
            // Also true of a listener that is ahead: it is told to start over.
            if self.reached != self.newest {
                let messages = self.desk.after(&self.app, self.reached).await?;
                if let Some(last) = messages.last().and_then(Message::seq) {
                    // After a gap the highest number is known anew: it may be lower.
                    let gap = messages.iter().any(Message::is_reset);
                    self.newest = if gap { last } else { self.newest.max(last) };
                    self.reached = last;
                    return Ok(messages);
                }
                // A hint from another process may name a number that this one cannot see yet.
                self.newest = self.reached;
            }
            tokio::select! {
                Some(hint) = self.news.next() => self.hear_news(&hint),
                Some(hint) = self.orders.next() => {
                    if let Some(gallery_id) = read::<GalleryId>(&hint).filter(|gallery_id| self.pace.take(*gallery_id)) {
                        return Ok(vec![self.order(gallery_id)]);
                    }
                }
                gallery_id = self.pace.due() => return Ok(vec![self.order(gallery_id)]),
                () = tokio::time::sleep_until(self.poll_at) => {
                    self.poll_at = Instant::now() + poll_pause();
                    self.newest = self.newest.max(self.desk.newest(&self.app).await?);
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
        Message::order(self.desk.project_id, gallery_id, self.app.clock.now())
    }
}

/// A subscription that broke off counts as one that is silent: the poll goes on.
fn endless(hints: BoxStream<'static, Hint>) -> BoxStream<'static, Hint> {
    hints.chain(stream::pending()).boxed()
}

fn read<T: std::str::FromStr>(hint: &Hint) -> Option<T> {
    match hint {
        Hint::Message(message) => std::str::from_utf8(message).ok()?.parse().ok(),
        Hint::Lagged => None,
    }
}

/// Drawn anew each time, so that listeners do not all ask at the same moment.
fn poll_pause() -> Duration {
    let [drawn] = secrets::random::<1>();
    POLL + POLL * u32::from(drawn) / 512
}

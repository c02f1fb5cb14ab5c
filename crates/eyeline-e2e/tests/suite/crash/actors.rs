//! Clients that use the server while it is killed again and again. Each retries until its work is acknowledged, like a
//! careful client.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use eyeline_e2e::api::try_send;
use eyeline_e2e::photos::{self, Photo};
use eyeline_e2e::project::gallery_event;
use eyeline_e2e::random::Random;
use eyeline_e2e::streams::{Socket, path};
use eyeline_e2e::uploads::{Stated, id, through_link_slowly};
use eyeline_e2e::{Answer, Project};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;
use uuid::Uuid;

use super::IMAGES_IN_GALLERY;

const RETRY: Duration = Duration::from_millis(20);
const EVENTS_IN_BATCH: u64 = 20;
const EVENT_PAUSE: Duration = Duration::from_millis(3);
const CHUNK_PAUSE: Duration = Duration::from_millis(5);

/// The state shared by the actors and the killer.
pub struct Story {
    pub project: Project,
    pub gallery_id: String,
    pub events_sent: AtomicU64,
    pub events_acknowledged: AtomicU64,
    pub events_under_way: AtomicU64,
    pub uploads_under_way: AtomicU64,
    pub news: watch::Sender<News>,
    stopped: AtomicBool,
    /// The images for whose end the listener waits, once they are known.
    expected: watch::Sender<Option<HashSet<String>>>,
}

impl Story {
    pub fn new(project: Project, gallery_id: String) -> Self {
        Story {
            project,
            gallery_id,
            events_sent: AtomicU64::new(0),
            events_acknowledged: AtomicU64::new(0),
            events_under_way: AtomicU64::new(0),
            uploads_under_way: AtomicU64::new(0),
            news: watch::Sender::new(News::default()),
            stopped: AtomicBool::new(false),
            expected: watch::Sender::new(None),
        }
    }

    /// Actors begin no new work, and finish what they have begun.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// The listener ends once it has heard the end of these images.
    pub fn hear_no_more(&self, arrived: &HashMap<String, Upload>) {
        self.expected.send_replace(Some(arrived.keys().cloned().collect()));
    }
}

/// Sends the request until the server, which may be down, gives an answer that is not a request to retry.
async fn until_answered(request: impl Fn() -> RequestBuilder, under_way: &AtomicU64) -> Answer {
    loop {
        under_way.fetch_add(1, Ordering::Relaxed);
        let answer = try_send(request()).await;
        under_way.fetch_sub(1, Ordering::Relaxed);
        match answer {
            Ok(answer) if matches!(answer.status, 429 | 503) => {
                assert!(!answer.header("retry-after").is_empty(), "a refusal says when to try again: {answer}");
                sleep(RETRY).await;
            }
            Ok(answer) => return answer,
            Err(_) => sleep(RETRY).await,
        }
    }
}

/// The counts of a client.
#[derive(Default)]
pub struct Counts {
    /// Views and clicks.
    acts: HashMap<String, (u64, u64)>,
    /// Events of the type with a schema: those that fit it, and those that do not.
    pub fitting: u64,
    pub misfits: u64,
    /// The ids of events that count immediately, and of those that count after the correction.
    pub ids: HashSet<Uuid>,
    pub misfit_ids: HashSet<Uuid>,
}

impl Counts {
    pub fn of(&self, external_id: &str) -> (u64, u64) {
        self.acts.get(external_id).copied().unwrap_or_default()
    }

    /// Views and clicks.
    pub fn total(&self) -> u64 {
        self.acts.values().map(|(views, clicks)| views + clicks).sum()
    }

    pub fn add(&mut self, other: &Counts) {
        for (external_id, (views, clicks)) in &other.acts {
            let own = self.acts.entry(external_id.clone()).or_default();
            *own = (own.0 + views, own.1 + clicks);
        }
        self.fitting += other.fitting;
        self.misfits += other.misfits;
        self.ids.extend(&other.ids);
        self.misfit_ids.extend(&other.misfit_ids);
    }
}

/// The type of events whose `n` may be at most 4.
pub const STEP_TYPE: &str = "/event-types/visit/step";

/// Events of that type, valid or not. Some are sent twice, the second time with another body.
fn steps(random: &mut Random, counts: &mut Counts) -> Vec<Value> {
    let mut events = Vec::new();
    for _ in 0..random.below(4) {
        let (number, event_id) = (random.below(8), Uuid::new_v4());
        *(if number <= 4 { &mut counts.fitting } else { &mut counts.misfits }) += 1;
        (if number <= 4 { &mut counts.ids } else { &mut counts.misfit_ids }).insert(event_id);
        let mut event = json!({
            "event_id": event_id, "session_id": Uuid::new_v4(), "category": "visit", "name": "step",
            "data": {"n": number}, "timestamp": "2024-06-01T12:00:00Z",
        });
        events.push(event.clone());
        if random.below(3) == 0 {
            event["data"]["n"] = json!(random.below(8));
            events.push(event);
        }
    }
    events
}

/// Sends views, clicks and steps, singly and in batches, each with its own id. Returns the acknowledged ones.
pub async fn send_events(story: Arc<Story>, number: u64) -> Counts {
    let mut random = Random::new(number);
    let mut counts = Counts::default();
    while !story.is_stopped() {
        let events = make_events(&story, &mut random, &mut counts);
        send_until_acknowledged(&story, &events).await;
        sleep(EVENT_PAUSE).await;
    }
    counts
}

/// Events of a client that sends them until they are acknowledged. They count immediately.
pub fn make_events(story: &Story, random: &mut Random, counts: &mut Counts) -> Vec<Value> {
    let size = if random.below(4) == 0 { EVENTS_IN_BATCH } else { 1 };
    let mut events = Vec::new();
    for _ in 0..size {
        let external_id = random.below(u64::from(IMAGES_IN_GALLERY)).to_string();
        let is_click = random.below(5) == 0;
        let mut event = gallery_event(if is_click { "click" } else { "view" }, &story.gallery_id, &external_id);
        let event_id = Uuid::new_v4();
        event["event_id"] = json!(event_id);
        events.push(event);
        counts.ids.insert(event_id);
        let (views, clicks) = counts.acts.entry(external_id).or_default();
        *(if is_click { clicks } else { views }) += 1;
    }
    events.extend(steps(random, counts));
    story.events_sent.fetch_add(size, Ordering::SeqCst);
    events
}

pub async fn send_until_acknowledged(story: &Story, events: &[Value]) {
    let public = &story.project.public;
    if let [event] = events {
        let request = || public.request(Method::POST, "/events").json(event);
        let answer = until_answered(request, &story.events_under_way).await;
        assert!(matches!(answer.status, 200 | 201), "{answer}");
    } else {
        let request = || public.request(Method::POST, "/events/batch").json(events);
        let answer = until_answered(request, &story.events_under_way).await.expect(200).json();
        let taken = answer["accepted"].as_u64().zip(answer["duplicates"].as_u64()).map(|(new, old)| new + old);
        assert_eq!(taken, Some(events.len() as u64), "{answer}");
    }
    note_acknowledged(story, events);
}

/// Records the views and clicks among acknowledged events.
pub fn note_acknowledged(story: &Story, events: &[Value]) {
    let acts = events.iter().filter(|event| event["category"] == "gallery").count();
    story.events_acknowledged.fetch_add(acts as u64, Ordering::SeqCst);
}

/// An acknowledged file.
pub struct Upload {
    pub is_cut: bool,
    pub bytes: usize,
    pub sha256: String,
}

impl Upload {
    pub fn final_state(&self) -> &'static str {
        if self.is_cut { "error" } else { "done" }
    }
}

/// Uploads photos one after another over a slow connection. Every fourth is cut, and a third of the completion calls is
/// lost.
pub async fn upload_photos(story: Arc<Story>, number: u64) -> HashMap<String, Upload> {
    let nobody = AtomicU64::new(0);
    let mut arrived = HashMap::new();
    for count in 0u64.. {
        if story.is_stopped() {
            break;
        }
        let is_cut = count % 4 == 3;
        let photo = if count % 3 == 0 { photos::jpeg(4000, 3000) } else { photos::jpeg(1000, 700) };
        let photo = photo.with_comment(&format!("photo {count} of uploader {number}"));
        let photo = if is_cut { photo.cut_to(photo.bytes.len() * 2 / 3) } else { photo };
        let stated = if count % 2 == 0 { Stated::SizeAndHash } else { Stated::Name };

        let key = &story.project.key;
        let body = stated.request(&story.project.id, &photo);
        let idempotency_key = Uuid::new_v4().to_string();
        let create = || key.request(Method::POST, "/images").header("idempotency-key", &idempotency_key).json(&body);
        let link = until_answered(create, &nobody).await.expect(201).json();
        send_file(&story, &link, &photo).await;
        let image_id = id(&link, "image_id");
        if count % 3 != 2 {
            let complete = format!("/images/{image_id}/complete");
            until_answered(|| key.request(Method::POST, &complete), &nobody).await.expect(202);
        }
        arrived.insert(image_id, Upload { is_cut, bytes: photo.bytes.len(), sha256: photo.sha256() });
    }
    arrived
}

async fn send_file(story: &Story, link: &Value, photo: &Photo) {
    let request = || through_link_slowly(&story.project.key, link, photo, CHUNK_PAUSE);
    let answer = until_answered(request, &story.uploads_under_way).await;
    // 412: it had arrived before, and only the answer was lost.
    assert!(matches!(answer.status, 200 | 201 | 204 | 412), "{answer}");
}

/// Polls the newest images: an unfinished one has no version, a finished one has all of them.
pub async fn watch_links(story: Arc<Story>) {
    let path = format!("/projects/{}/images?limit=50", story.project.id);
    let nobody = AtomicU64::new(0);
    let key = &story.project.key;
    let mut fetched = HashSet::new();
    while !story.is_stopped() {
        let listed = until_answered(|| key.request(Method::GET, &path), &nobody).await.expect(200).json();
        // Dataset images are served from elsewhere and have no versions. Only they have a link.
        let uploads = listed["images"].as_array().expect("images").iter().filter(|image| image["link"].is_null());
        for image in uploads {
            expect_versions_only_when_done(image);
            let is_new = image["state"] == "done" && fetched.insert(id(image, "image_id"));
            for name in ["thumb", "d2500"].into_iter().filter(|_| is_new) {
                let link = id(&image["versions"], name);
                let public = key.without_credential();
                let version = until_answered(|| public.request(Method::GET, &link), &nobody).await.expect(200);
                assert!(version.body.starts_with(&[0xFF, 0xD8]), "{name} of {image} is a JPEG");
            }
        }
        sleep(RETRY).await;
    }
}

fn expect_versions_only_when_done(message: &Value) {
    let is_done = message["state"] == "done";
    for name in ["thumb", "big_thumb", "big_1920", "d2500"] {
        assert_eq!(message["versions"][name].is_string(), is_done, "{name} in {message}");
    }
}

/// The states heard of every image, in order.
#[derive(Clone, Default)]
pub struct News {
    states: HashMap<String, Vec<String>>,
    processing: HashSet<String>,
}

impl News {
    pub fn is_processing(&self) -> bool {
        !self.processing.is_empty()
    }

    pub fn states_of(&self, image_id: &str) -> &[String] {
        self.states.get(image_id).map(Vec::as_slice).unwrap_or_default()
    }

    fn add(&mut self, image_id: String, state: String) {
        if state == "processing" {
            self.processing.insert(image_id.clone());
        } else {
            self.processing.remove(&image_id);
        }
        self.states.entry(image_id).or_default().push(state);
    }

    fn has_the_end_of(&self, images: &HashSet<String>) -> bool {
        let ended = |image_id: &String| {
            self.states_of(image_id).last().is_some_and(|state| state == "done" || state == "error")
        };
        images.iter().all(ended)
    }
}

/// Listens from the first message on and reconnects after every kill. Returns all messages, without a gap.
pub async fn listen(story: Arc<Story>) -> News {
    let mut expected = story.expected.subscribe();
    let mut last_seq = 0;
    loop {
        let Ok(mut socket) = Socket::try_open(&story.project.key, &path(&story.project.id, Some(last_seq))).await
        else {
            sleep(RETRY).await;
            continue;
        };
        loop {
            if expected.borrow_and_update().as_ref().is_some_and(|images| story.news.borrow().has_the_end_of(images)) {
                return story.news.borrow().clone();
            }
            let message = tokio::select! {
                message = socket.try_next() => message,
                _ = expected.changed() => continue,
            };
            let Some(message) = message else { break };
            assert_ne!(message["type"], "reset", "nothing is as old as the retention: {message}");
            let Some(seq) = message["seq"].as_u64() else { continue };
            assert_eq!(seq, last_seq + 1, "no number is missing or twice: {message}");
            last_seq = seq;
            if message["type"] == "image.state" {
                // Links are signed for each answer and are not part of the news, but must not appear early.
                let done = message["state"] == "done";
                assert!(done || !message["versions"]["thumb"].is_string(), "a link before its time: {message}");
                story.news.send_modify(|news| news.add(id(&message, "image_id"), id(&message, "state")));
            }
        }
    }
}

//! Fifty times kill -9 during uploads, processing and events, a full disk, and power cuts: every earlier promise is
//! kept.

mod actors;
mod full_disk;
mod power_cut;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use eyeline_e2e::lake::Lake;
use eyeline_e2e::photos::{Photo, Picture};
use eyeline_e2e::project::row;
use eyeline_e2e::random::Random;
use eyeline_e2e::uploads::id;
use eyeline_e2e::{Catalog, Project, Server};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use actors::{Counts, News, Story, Upload};

/// With an inbox of its own, which a killed server owns again at once.
mod sqlite {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_promised_is_lost_over_fifty_kills() {
        super::nothing_promised_is_lost_over_fifty_kills(super::Server::start(super::Catalog::Sqlite).await).await;
    }
}

mod postgres {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_promised_is_lost_over_fifty_kills() {
        super::nothing_promised_is_lost_over_fifty_kills(super::Server::start(super::Catalog::Postgres).await).await;
    }
}

const KILLS: u64 = 50;
const IMAGES_IN_GALLERY: u32 = 12;
const EVENT_SENDERS: u64 = 3;
const UPLOADERS: u64 = 2;
/// The sweep finds lost completion calls within a minute; then the work itself must be done.
const SETTLED_SECONDS_MAX: u64 = 120;
/// Events are written into files as they come.
const FLUSH_SECONDS: (&str, &str) = ("EYELINE_FLUSH_SECONDS", "0");

async fn nothing_promised_is_lost_over_fifty_kills(mut server: Server) {
    server.set(FLUSH_SECONDS.0, FLUSH_SECONDS.1);
    let story = begin(&server).await;
    let events = send_events(&story);
    let uploads: Vec<_> =
        (0..UPLOADERS).map(|number| tokio::spawn(actors::upload_photos(story.clone(), number))).collect();
    let watcher = tokio::spawn(actors::watch_links(story.clone()));
    let listener = tokio::spawn(actors::listen(story.clone()));

    let mut random = Random::new(20);
    let mut interrupted = Interrupted::default();
    for kill in 0..KILLS {
        wait_for_the_moment(&server, &story, kill, &mut random).await;
        interrupted.look(&story);
        server.kill().await;
        let lake = Lake::read(&server).await;
        expect_no_event_twice(&lake);
        interrupted.flushes += lake.cut_off;
        server.start_again().await;
        expect_every_acknowledged_event(&story).await;
        let ended = events.iter().any(JoinHandle::is_finished) || uploads.iter().any(JoinHandle::is_finished);
        if ended || watcher.is_finished() || listener.is_finished() {
            break;
        }
    }

    story.stop();
    let counted = all_of(events).await;
    let mut arrived = HashMap::new();
    for uploader in uploads {
        arrived.extend(uploader.await.expect("an uploader"));
    }
    watcher.await.expect("the watcher of links");
    expect_all_counted_once(&server, &story, &counted).await;
    expect_all_arrived_to_end(&story, &arrived).await;
    story.hear_no_more(&arrived);
    let news = timeout(Duration::from_secs(SETTLED_SECONDS_MAX), listener).await.expect("all news in time");
    expect_whole_news(&news.expect("the listener"), &arrived);
    interrupted.expect_all_kinds();
}

/// A gallery, and an event type that quarantines some events.
async fn begin(server: &Server) -> Arc<Story> {
    let project = Project::create(server, "crashes").await;
    let gallery_id = project.gallery("crashes").await;
    let rows: Vec<Value> = (0..IMAGES_IN_GALLERY).map(|number| row(&number.to_string(), number)).collect();
    project.load(&gallery_id, &json!(rows)).await;
    let schema = json!({"schema": {"properties": {"n": {"maximum": 4}}}, "on_invalid": "quarantine"});
    project.key.put(actors::STEP_TYPE, &schema).await.expect(201);
    Arc::new(Story::new(project, gallery_id))
}

fn send_events(story: &Arc<Story>) -> Vec<JoinHandle<Counts>> {
    (0..EVENT_SENDERS).map(|number| tokio::spawn(actors::send_events(story.clone(), number))).collect()
}

async fn all_of(senders: Vec<JoinHandle<Counts>>) -> Counts {
    let mut counted = Counts::default();
    for sender in senders {
        counted.add(&sender.await.expect("a sender of events"));
    }
    counted
}

/// Exactly the acknowledged events are counted, once: in the counters, the roll-ups and the files.
async fn expect_all_counted_once(server: &Server, story: &Story, counted: &Counts) {
    expect_exact_counts(story, counted).await;
    expect_all_in_files(server, &counted.ids).await;
    expect_exact_quarantine(story, counted).await;
    expect_all_in_files(server, &counted.ids.union(&counted.misfit_ids).copied().collect()).await;
}

/// The work under way when the server was killed, over all kills.
#[derive(Debug, Default)]
struct Interrupted {
    uploads: u64,
    events: u64,
    processing: u64,
    /// Lake files that were written and not added.
    flushes: usize,
}

impl Interrupted {
    fn look(&mut self, story: &Story) {
        self.uploads += story.uploads_under_way.load(Ordering::Relaxed);
        self.events += story.events_under_way.load(Ordering::Relaxed);
        self.processing += u64::from(story.news.borrow().is_processing());
    }

    /// A run in which no kill met an upload, for example, would show nothing about uploads.
    fn expect_all_kinds(&self) {
        eprintln!("killed in the middle of {self:?}");
        let all_kinds = self.uploads > 0 && self.events > 0 && self.processing > 0 && self.flushes > 0;
        assert!(all_kinds, "killed in the middle of {self:?}");
    }
}

/// A quarter of the kills waits for an upload under way, a quarter for a photo in processing, a quarter for a lake file
/// written and not added, and a quarter for nothing.
async fn wait_for_the_moment(server: &Server, story: &Story, kill: u64, random: &mut Random) {
    const MOMENT_SECONDS_MAX: u64 = 30;
    sleep(Duration::from_millis(300 + random.below(1_500))).await;
    let moment = async {
        match kill % 4 {
            0 => {
                let mut news = story.news.subscribe();
                news.wait_for(News::is_processing).await.expect("the story holds the sender");
            }
            1 => {
                while story.uploads_under_way.load(Ordering::Relaxed) == 0 {
                    sleep(Duration::from_millis(1)).await;
                }
            }
            // From the first kill on, events are flushed as they arrive.
            2 => Lake::pause_in_the_middle_of_a_file(server).await,
            _ => {}
        }
    };
    timeout(Duration::from_secs(MOMENT_SECONDS_MAX), moment).await.expect("work goes on after a restart");
}

/// Right after a restart every earlier acknowledged event is counted, and no event that was never sent.
async fn expect_every_acknowledged_event(story: &Story) {
    let acknowledged = story.events_acknowledged.load(Ordering::SeqCst);
    let refreshed = story.project.refresh(&story.gallery_id).await;
    let sent = story.events_sent.load(Ordering::SeqCst);
    let applied = refreshed["applied_events"].as_u64().expect("applied_events");
    assert!(acknowledged <= applied && applied <= sent, "{acknowledged} acknowledged, {applied} applied, {sent} sent");
}

/// Every sender retried until its event was acknowledged, so the server's numbers must equal the senders' own.
async fn expect_exact_counts(story: &Story, counted: &Counts) {
    let refreshed = story.project.refresh(&story.gallery_id).await;
    assert_eq!(refreshed["applied_events"], counted.total(), "events in all");
    let path = format!("/galleries/{}/images?limit=100", story.gallery_id);
    let page = story.project.key.get(&path).await.expect(200).json();
    let items = page["items"].as_array().expect("items");
    assert_eq!(items.len(), IMAGES_IN_GALLERY as usize);
    for item in items {
        let (views, clicks) = counted.of(item["external_id"].as_str().expect("an external_id"));
        let seen = json!([item["views"], item["clicks"], item["weight"]]);
        assert_eq!(seen, json!([views, clicks, views + 7 * clicks]), "{item}");
    }
    let weights: Vec<u64> = items.iter().filter_map(|item| item["weight"].as_u64()).collect();
    assert!(weights.is_sorted_by(|a, b| a >= b), "ordered by weight: {weights:?}");
}

/// Whenever the server is killed, the listed files are complete and no two of them hold the same event.
fn expect_no_event_twice(lake: &Lake) {
    let twice: Vec<&Uuid> = lake.events.iter().filter(|(_, times)| **times > 1).map(|(id, _)| id).collect();
    assert!(twice.is_empty(), "twice in {} files: {twice:?}", lake.files);
}

/// Once everything is flushed, the files hold exactly the acknowledged events that count, each once.
async fn expect_all_in_files(server: &Server, expected: &HashSet<Uuid>) {
    let deadline = Instant::now() + Duration::from_secs(SETTLED_SECONDS_MAX);
    while !Lake::has_everything_applied(server).await {
        assert!(Instant::now() < deadline, "events wait for a file {SETTLED_SECONDS_MAX} s after the last one");
        sleep(Duration::from_millis(100)).await;
    }
    let lake = Lake::read(server).await;
    expect_no_event_twice(&lake);
    let lost: Vec<&Uuid> = expected.iter().filter(|id| !lake.events.contains_key(id)).collect();
    let foreign: Vec<&Uuid> = lake.events.keys().filter(|id| !expected.contains(id)).collect();
    assert!(lost.is_empty() && foreign.is_empty(), "not in files: {lost:?}; in files and not sent: {foreign:?}");
}

/// The roll-ups hold the valid events, the quarantine the others. After a correction all of them count, once.
async fn expect_exact_quarantine(story: &Story, counted: &Counts) {
    let key = &story.project.key;
    assert!(counted.fitting > KILLS && counted.misfits > KILLS, "too few events of each kind");
    let events = async || {
        let usage = key.get(&format!("/projects/{}/usage", story.project.id)).await.expect(200).json();
        usage["events"].as_u64().expect("events")
    };
    let causes = key.get("/events/quarantine/causes").await.expect(200).json();
    assert_eq!(causes["causes"][0]["events"], counted.misfits, "{causes}");
    assert_eq!(events().await, counted.total() + counted.fitting, "events in the roll-ups");

    key.put(actors::STEP_TYPE, &json!({"schema": true, "on_invalid": "quarantine"})).await.expect(200);
    let (mut replayed, mut cursor) = (0, Value::Null);
    loop {
        let answer = key.post("/events/quarantine/replay", &json!({ "cursor": cursor })).await.expect(200).json();
        replayed += answer["replayed"].as_u64().expect("a number");
        assert_eq!(answer["still_failing"], 0, "{answer}");
        cursor = answer["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(replayed, counted.misfits);
    assert_eq!(events().await, counted.total() + counted.fitting + counted.misfits, "after the replay");
}

/// A kill does not fail a photo: complete ones end `done`, cut ones `error`, all with the sent bytes.
async fn expect_all_arrived_to_end(story: &Story, arrived: &HashMap<String, Upload>) {
    assert!(arrived.len() > KILLS as usize, "only {} uploads arrived", arrived.len());
    let deadline = Instant::now() + Duration::from_secs(SETTLED_SECONDS_MAX);
    for (image_id, upload) in arrived {
        let image = loop {
            let image = story.project.key.get(&format!("/images/{image_id}")).await.expect(200).json();
            if matches!(image["state"].as_str(), Some("done" | "error")) {
                break image;
            }
            assert!(Instant::now() < deadline, "{SETTLED_SECONDS_MAX} s after the last kill: {image}");
            sleep(Duration::from_millis(100)).await;
        };
        assert_eq!(image["state"], upload.final_state(), "{image}");
        assert_eq!(image["bytes"], upload.bytes, "{image}");
        let public = story.project.key.without_credential();
        let original = public.get(&id(&image["versions"], "original")).await.expect(200);
        let sha256 = Photo::new("original", "image/jpeg", original.body).sha256();
        assert_eq!(sha256, upload.sha256, "the original of {image}");
        if !upload.is_cut {
            let thumb = public.get(&id(&image["versions"], "thumb")).await.expect(200);
            Picture::decode(&thumb.body).expect_quarters_in_place();
        }
    }
}

/// No number is missing or repeated, and every photo ended once.
fn expect_whole_news(news: &News, arrived: &HashMap<String, Upload>) {
    for (image_id, upload) in arrived {
        let states = news.states_of(image_id);
        let finals = states.iter().filter(|state| matches!(state.as_str(), "done" | "error")).count();
        assert_eq!(finals, 1, "the states of {image_id}: {states:?}");
        assert_eq!(states.last().map(String::as_str), Some(upload.final_state()), "{states:?}");
    }
}

//! Tells how long an event takes from its 201 to the published order, by the number of images in the gallery, and how
//! long a page takes.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use eyeline_e2e::catalogues::load_numbered;
use eyeline_e2e::project::gallery_event;
use eyeline_e2e::random::Random;
use eyeline_e2e::uploads::id;
use eyeline_e2e::{Catalog, Project, Server};
use serde_json::{Value, json};

/// Sends clicks at random moments to a gallery that is visited all the while, and looks for each in every new order.
#[derive(Parser)]
struct Options {
    /// Images in the gallery, several separated by commas.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000, 1_000_000])]
    images: Vec<usize>,
    /// Clicks whose way is timed.
    #[arg(long, default_value_t = 100)]
    clicks: usize,
    /// How the gallery is ordered.
    #[arg(long, default_value = "weight")]
    strategy: String,
}

/// Events of other visitors in a batch, one batch a pause.
const BACKGROUND: usize = 20;
const BACKGROUND_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause between two clicks that are timed.
const PAUSE_MAX_MS: u64 = 400;
/// How often is looked for a new order.
const LOOK: Duration = Duration::from_millis(4);
/// Pages that are asked for at the top and at the end, at the most.
const PAGES: usize = 200;

#[tokio::main]
async fn main() {
    let options = Options::parse();
    let mut table = String::from(
        "| images | event to order: median | p99 | page at the top: median | p99 | at the end: median | p99 |\n",
    );
    table.push_str("|---|---|---|---|---|---|---|\n");
    for images in options.images.iter().copied() {
        let server = Server::start(Catalog::Sqlite).await;
        let project = Project::create(&server, "bench").await;
        let gallery = json!({"project_id": project.id, "name": "bench", "ranking": {"strategy": options.strategy}});
        let gallery_id = id(&project.key.post("/galleries", &gallery).await.expect(201).json(), "gallery_id");
        load_numbered(&project, &gallery_id, images).await;
        let waits = waits(&project, &gallery_id, images, options.clicks).await;
        let count = PAGES.min(images / 40);
        let first = pages(&project, &gallery_id, 1..=count).await;
        let last = pages(&project, &gallery_id, images / 20 - count..images / 20).await;
        let _infallible = write!(table, "| {images} ");
        for times in [waits, first, last] {
            let _infallible = write!(table, "| {} | {} ", milliseconds(&times, 0.5), milliseconds(&times, 0.99));
        }
        table.push_str("|\n");
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let told = write!(
        stdout(),
        "{table}\nStrategy {}; {} clicks at random moments while {} events a second came from others, sent by this program to \
        `eyeline serve` with everything at its default, on {cores} cores that both share. A new order was looked for every \
        {} ms. Pages are of 20 images, the first and the last {PAGES} of the order at the most, none from the cache.\n",
        options.strategy,
        options.clicks,
        BACKGROUND as u128 * 1_000 / BACKGROUND_PAUSE.as_millis(),
        LOOK.as_millis(),
    );
    told.expect("the table can be written");
}

/// From the answer to each click to the first order seen with it.
async fn waits(project: &Project, gallery_id: &str, images: usize, clicks: usize) -> Vec<Duration> {
    let (sent, mut clicked) = tokio::sync::mpsc::unbounded_channel();
    let background = tokio::spawn(visit(project.key.clone(), gallery_id.to_owned(), images));
    let clicking = async {
        let mut random = Random::new(5);
        for number in 0..clicks {
            tokio::time::sleep(Duration::from_millis(random.below(PAUSE_MAX_MS))).await;
            // Images that nobody else clicks: see `visit`.
            let event = gallery_event("click", gallery_id, &number.to_string());
            project.key.post("/events", &event).await.expect(201);
            sent.send((number, Instant::now())).expect("somebody looks for it");
        }
    };
    let looking = async {
        let path = format!("/galleries/{gallery_id}/images?limit=1");
        let ids = image_ids(project, gallery_id, images, clicks).await;
        let (mut waiting, mut waits, mut newest) = (Vec::new(), Vec::new(), Value::Null);
        while waits.len() < clicks {
            tokio::time::sleep(LOOK).await;
            let order_id = project.key.get(&path).await.expect(200).json()["order_id"].clone();
            let seen = Instant::now();
            while let Ok(click) = clicked.try_recv() {
                waiting.push(click);
            }
            if order_id == newest {
                continue;
            }
            newest = order_id;
            let mut still = Vec::new();
            for (number, answered) in waiting {
                let item = project.key.get(&format!("/galleries/{gallery_id}/images/{}", ids[number])).await;
                match item.expect(200).json()["clicks"].as_u64() {
                    Some(1..) => waits.push(seen.saturating_duration_since(answered)),
                    _ => still.push((number, answered)),
                }
            }
            waiting = still;
        }
        waits
    };
    let ((), mut waits) = tokio::join!(clicking, looking);
    background.abort();
    waits.sort_unstable();
    waits
}

/// The ids of the clicked images: the first loaded ones, which are the last of the newest order.
async fn image_ids(project: &Project, gallery_id: &str, images: usize, clicks: usize) -> Vec<String> {
    let mut ids = vec![String::new(); clicks];
    let mut found = 0;
    for number in (1..=images.div_ceil(100)).rev() {
        let path = format!("/galleries/{gallery_id}/images?order=newest&limit=100&page={number}");
        found += take_ids(&project.key.get(&path).await.expect(200).json(), &mut ids);
        if found == clicks {
            return ids;
        }
    }
    panic!("{found} of {clicks} images were found");
}

fn take_ids(page: &Value, ids: &mut [String]) -> usize {
    let mut found = 0;
    for item in page["items"].as_array().expect("items") {
        let number: usize = item["external_id"].as_str().and_then(|name| name.parse().ok()).expect("a number");
        if let Some(id) = ids.get_mut(number) {
            item["image_id"].as_str().expect("an id").clone_into(id);
            found += 1;
        }
    }
    found
}

/// Views of other visitors, so that orders are published all the time.
async fn visit(key: eyeline_e2e::api::Api, gallery_id: String, images: usize) {
    let mut random = Random::new(9);
    loop {
        let views =
            (0..BACKGROUND).map(|_| gallery_event("view", &gallery_id, &random.below(images as u64).to_string()));
        let events: Vec<Value> = views.collect();
        key.post("/events/batch", &json!({ "events": events })).await.expect(200);
        tokio::time::sleep(BACKGROUND_PAUSE).await;
    }
}

/// Requests these pages in turn. All differ, so that none comes from the cache.
async fn pages(project: &Project, gallery_id: &str, numbers: impl Iterator<Item = usize>) -> Vec<Duration> {
    let mut times = Vec::new();
    for number in numbers {
        let asked = Instant::now();
        project.key.get(&format!("/galleries/{gallery_id}/images?limit=20&page={number}")).await.expect(200);
        times.push(asked.elapsed());
    }
    times.sort_unstable();
    times
}

fn milliseconds(sorted: &[Duration], share: f64) -> String {
    let index = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(index).map_or_else(String::new, |time| format!("{:.1} ms", time.as_secs_f64() * 1e3))
}

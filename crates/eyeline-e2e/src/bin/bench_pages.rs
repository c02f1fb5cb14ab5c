//! Tells how many pages of a large gallery a server answers while events are counted, beside a page that never changes.

use std::io::{Write as _, stdout};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use eyeline_e2e::api::Api;
use eyeline_e2e::catalogues::load_numbered;
use eyeline_e2e::project::gallery_event;
use eyeline_e2e::random::Random;
use eyeline_e2e::uploads::id;
use eyeline_e2e::{Catalog, Project, Server};
use futures::future::join_all;
use serde_json::json;
use tokio::time::MissedTickBehavior;

/// Asks for pages in turns of some seconds, while views of random images come at a steady pace.
#[derive(Parser)]
struct Options {
    /// Images in the gallery
    #[arg(long, default_value_t = 1_000_000)]
    images: usize,
    /// Events a second
    #[arg(long, default_value_t = 10_000)]
    events: usize,
    /// They hit all images alike; else half of them hit a hundredth of the images, as those of an order do
    #[arg(long)]
    even: bool,
    /// How the gallery is ordered
    #[arg(long, default_value = "weight")]
    strategy: String,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each turn
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 8)]
    connections: u64,
}

/// The pages that a turn requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pages {
    /// The first page of a replaced order: always the same bytes, from the cache.
    Cached,
    /// The first page of the newest order.
    First,
    /// Pages by cursor from the first one on, repeatedly.
    Scrolled,
    /// Pages at any number of the newest order.
    Anywhere,
}

const TURNS: [Pages; 4] = [Pages::Cached, Pages::First, Pages::Scrolled, Pages::Anywhere];
const PAGE: u64 = 20;
/// Pages that a visitor scrolls through.
const SCROLLED_MAX: u64 = 10;
const BATCHES_A_SECOND: usize = 10;

#[tokio::main]
async fn main() {
    let options = Options::parse();
    let server = Server::start(Catalog::Sqlite).await;
    let project = Project::create(&server, "bench").await;
    let gallery = json!({"project_id": project.id, "name": "bench", "ranking": {"strategy": options.strategy}});
    let gallery_id = id(&project.key.post("/galleries", &gallery).await.expect(201).json(), "gallery_id");
    load_numbered(&project, &gallery_id, options.images).await;
    let path: Arc<str> = format!("/galleries/{gallery_id}/images?limit={PAGE}").into();
    let order_id = id(&project.public.get(&path).await.expect(200).json(), "order_id");

    let popular = if options.even { options.images } else { options.images.div_ceil(100) };
    let feed = tokio::spawn(feed(project.key.clone(), gallery_id.clone(), (options.images, popular), options.events));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (began, before) = (Instant::now(), applied_events(&project, &gallery_id).await);
    let mut rates = [const { Vec::new() }; TURNS.len()];
    for _ in 0..options.rounds {
        for (pages, rates) in TURNS.into_iter().zip(&mut rates) {
            rates.push(turn(&options, &project.public, &path, pages, &order_id).await);
        }
    }
    let counted = (applied_events(&project, &gallery_id).await - before) as f64 / began.elapsed().as_secs_f64();
    feed.abort();

    let mut table =
        String::from("| pages | requests a second, round by round | median | of the cached one |\n|---|---|---|---|\n");
    let median = |rates: &[f64]| {
        let mut sorted = rates.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    for (pages, of_rounds) in TURNS.iter().zip(&rates) {
        let shown: Vec<String> = of_rounds.iter().map(|rate| format!("{rate:.0}")).collect();
        let (own, cached) = (median(of_rounds), median(&rates[0]));
        table.push_str(&format!("| {pages:?} | {} | {own:.0} | {:.2} |\n", shown.join(", "), own / cached));
    }
    writeln!(
        stdout(),
        "{table}\n{} images by {}, while {counted:.0} of {} events a second were counted; {} connections, turns of {} s, on {} \
        cores that this program and `eyeline serve` share.",
        options.images,
        options.strategy,
        options.events,
        options.connections,
        options.seconds,
        thread::available_parallelism().map_or(1, usize::from),
    )
    .expect("the table can be written");
}

async fn applied_events(project: &Project, gallery_id: &str) -> u64 {
    let gallery = project.key.get(&format!("/galleries/{gallery_id}")).await.expect(200).json();
    gallery["applied_events"].as_u64().expect("a number")
}

/// Views of random images at a steady pace, half of them of popular images, until aborted.
async fn feed(key: Api, gallery_id: String, (images, popular): (usize, usize), events: usize) {
    let mut random = Random::new(9);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / BATCHES_A_SECOND as u32);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        ticks.tick().await;
        let view = |number| {
            let among = if number % 2 == 0 { popular } else { images };
            gallery_event("view", &gallery_id, &random.below(among as u64).to_string()).to_string() + "\n"
        };
        let batch: String = (0..events / BATCHES_A_SECOND).map(view).collect();
        key.post_text("/events/batch", "application/x-ndjson", batch).await.expect(200);
    }
}

/// Requests a second.
async fn turn(options: &Options, api: &Api, path: &Arc<str>, pages: Pages, order_id: &str) -> f64 {
    let began = Instant::now();
    let end = began + Duration::from_secs(options.seconds);
    let visitors = (0..options.connections).map(|number| {
        let (api, path, first) = (api.clone(), path.clone(), format!("{path}&order_id={order_id}"));
        let mut random = Random::new(number ^ u64::from(began.elapsed().subsec_nanos()) << 8);
        let numbers = options.images as u64 / PAGE;
        tokio::spawn(async move {
            let (mut asked, mut cursor) = (0u64, None);
            while Instant::now() < end {
                let next = match pages {
                    Pages::Cached => first.clone(),
                    Pages::First => path.to_string(),
                    Pages::Anywhere => format!("{path}&page={}", 1 + random.below(numbers)),
                    Pages::Scrolled => match cursor.take().filter(|_| asked % SCROLLED_MAX > 0) {
                        Some(cursor) => format!("{path}&cursor={cursor}"),
                        None => path.to_string(),
                    },
                };
                let answer = api.get(&next).await.expect(200);
                asked += 1;
                if pages == Pages::Scrolled {
                    cursor = answer
                        .header("link")
                        .split_once("cursor=")
                        .map(|(_, rest)| rest.split(['&', '>']).next().unwrap_or_default().to_owned());
                }
            }
            asked
        })
    });
    let asked: u64 = join_all(visitors).await.into_iter().map(|asked| asked.expect("a visitor that ends")).sum();
    asked as f64 / began.elapsed().as_secs_f64()
}

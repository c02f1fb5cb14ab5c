//! Sends photos through the whole chain of a real server and tells how long it took and what it cost.

use std::collections::HashMap;
use std::io::{Write, stdout};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use eyeline_e2e::api::send;
use eyeline_e2e::photos::{self, Photo};
use eyeline_e2e::postgres::{Postgres, Sync};
use eyeline_e2e::processes;
use eyeline_e2e::streams::{Socket, path};
use eyeline_e2e::uploads::{Stated, ask, expect_taken, id, through_link};
use eyeline_e2e::{Project, Server};
use tokio::time::{sleep_until, timeout};

const SAMPLE_PAUSE: Duration = Duration::from_millis(25);
const NEWS_SECONDS_MAX: u64 = 600;

/// Sends photos through the whole chain: link, upload, five versions, news. Prints a table and how it was measured.
#[derive(Parser)]
struct Options {
    /// Photos sent as fast as the uploaders can.
    #[arg(long, default_value_t = 200)]
    photos: usize,
    /// Clients that upload at the same time, each one photo after another.
    #[arg(long, default_value_t = 4)]
    uploaders: usize,
    /// Photos sent at a steady rate afterwards; 0 leaves this part out.
    #[arg(long, default_value_t = 60)]
    steady_photos: usize,
    /// The steady rate, photos a second; 1.5 is 130,000 a day.
    #[arg(long, default_value_t = 1.5)]
    steady_rate: f64,
    /// Pixels of a photo's longer side.
    #[arg(long, default_value_t = 4000)]
    width: u32,
    /// Pixels of its shorter side.
    #[arg(long, default_value_t = 3000)]
    height: u32,
    #[arg(long, value_enum, default_value_t = Catalog::Sqlite)]
    catalog: Catalog,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Catalog {
    Sqlite,
    Postgres,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let server = match options.catalog {
        Catalog::Sqlite => Server::start(eyeline_e2e::Catalog::Sqlite).await,
        Catalog::Postgres => Server::start_in(Arc::new(Postgres::start(Sync::On)), &[]).await,
    };
    let photo = photos::jpeg(options.width, options.height);
    let mut rows = Vec::new();

    let flood = Load { photos: numbered(&photo, options.photos), uploaders: options.uploaders, rate: None };
    rows.push((format!("as fast as {} uploaders can", options.uploaders), run(&server, flood).await));
    if options.steady_photos > 0 {
        let photos = numbered(&photo, options.steady_photos);
        let steady = Load { photos, uploaders: options.uploaders, rate: Some(options.steady_rate) };
        rows.push((format!("{} a second", options.steady_rate), run(&server, steady).await));
    }

    match report(&options, &photo, &rows) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Different files with the same picture, so that knowing one saves nothing for the others.
fn numbered(photo: &Photo, count: usize) -> Vec<Photo> {
    (0..count).map(|number| photo.with_comment(&format!("photo {number}"))).collect()
}

struct Load {
    photos: Vec<Photo>,
    uploaders: usize,
    /// Photos a second; `None` is as fast as possible.
    rate: Option<f64>,
}

struct Measured {
    photos: usize,
    seconds: f64,
    /// Seconds from the end of the upload to the news that the photo is done, sorted.
    waits: Vec<f64>,
    cpu_seconds: f64,
    memory_bytes_max: u64,
}

impl Measured {
    fn wait(&self, fraction: f64) -> f64 {
        let index = (self.waits.len() as f64 * fraction).ceil() as usize;
        self.waits[index.clamp(1, self.waits.len()) - 1]
    }
}

async fn run(server: &Server, load: Load) -> Measured {
    let project = Arc::new(Project::create(server, "bench").await);
    let mut socket = Socket::open(&project.key, &path(&project.id, None)).await.expect("the project's stream");
    let count = load.photos.len();
    let done = tokio::spawn(async move {
        let mut done = HashMap::new();
        while done.len() < count {
            let message = socket.next().await;
            assert_ne!(message["state"], "error", "a photo failed: {message}");
            if message["state"] == "done" {
                done.insert(id(&message, "image_id"), Instant::now());
            }
        }
        done
    });

    let memory = MemorySampler::start(server);
    let cpu_before = processes::cpu_seconds(&server.processes());
    let started = Instant::now();
    let sent = upload_all(&project, load, started).await;
    let done = timeout(Duration::from_secs(NEWS_SECONDS_MAX), done).await.expect("all news in time");
    let done = done.expect("the listener");
    let seconds = done.values().max().map_or(0.0, |last| last.duration_since(started).as_secs_f64());
    let cpu_seconds = processes::cpu_seconds(&server.processes()) - cpu_before;

    let mut waits: Vec<f64> =
        sent.iter().map(|(image_id, sent)| done[image_id].duration_since(*sent).as_secs_f64()).collect();
    waits.sort_by(f64::total_cmp);
    Measured { photos: count, seconds, waits, cpu_seconds, memory_bytes_max: memory.stop() }
}

/// The time at which each image was uploaded.
async fn upload_all(project: &Arc<Project>, load: Load, started: Instant) -> HashMap<String, Instant> {
    let sent = Arc::new(Mutex::new(HashMap::new()));
    let next = Arc::new(AtomicUsize::new(0));
    let photos = Arc::new(load.photos);
    let uploaders: Vec<_> = (0..load.uploaders)
        .map(|_| {
            let (project, sent, next, photos) = (project.clone(), sent.clone(), next.clone(), photos.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(photo) = photos.get(number) else { return };
                    if let Some(rate) = load.rate {
                        let due = started + Duration::from_secs_f64(number as f64 / rate);
                        sleep_until(due.into()).await;
                    }
                    let link = ask(&project, Stated::SizeAndHash, photo).await;
                    expect_taken(send(through_link(&project.key, &link, photo)).await);
                    let image_id = id(&link, "image_id");
                    sent.lock().unwrap_or_else(PoisonError::into_inner).insert(image_id.clone(), Instant::now());
                    project.key.post_nothing(&format!("/images/{image_id}/complete")).await.expect(202);
                }
            })
        })
        .collect();
    for uploader in uploaders {
        uploader.await.expect("an uploader");
    }
    Arc::into_inner(sent).expect("all uploaders have ended").into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Samples the memory of the server and its workers together.
struct MemorySampler {
    stopped: Arc<AtomicBool>,
    bytes_max: Arc<AtomicU64>,
    thread: thread::JoinHandle<()>,
}

impl MemorySampler {
    fn start(server: &Server) -> Self {
        let root = server.processes().first().expect("the server is running").pid;
        let (stopped, bytes_max) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let thread = thread::spawn({
            let (stopped, bytes_max) = (stopped.clone(), bytes_max.clone());
            move || {
                while !stopped.load(Ordering::Relaxed) {
                    let bytes = processes::resident_bytes(&processes::tree(root));
                    bytes_max.fetch_max(bytes, Ordering::Relaxed);
                    thread::sleep(SAMPLE_PAUSE);
                }
            }
        });
        MemorySampler { stopped, bytes_max, thread }
    }

    /// The largest sample, in bytes.
    fn stop(self) -> u64 {
        self.stopped.store(true, Ordering::Relaxed);
        self.thread.join().expect("the sampler");
        self.bytes_max.load(Ordering::Relaxed)
    }
}

fn report(options: &Options, photo: &Photo, rows: &[(String, Measured)]) -> std::io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "| load | photos | photos/s | upload to news: median | p99 | CPU a photo | peak memory |")?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for (load, measured) in rows {
        writeln!(
            out,
            "| {load} | {} | {:.1} | {:.0} ms | {:.0} ms | {:.0} ms | {:.0} MB |",
            measured.photos,
            measured.photos as f64 / measured.seconds,
            measured.wait(0.5) * 1e3,
            measured.wait(0.99) * 1e3,
            measured.cpu_seconds / measured.photos as f64 * 1e3,
            measured.memory_bytes_max as f64 / 1e6,
        )?;
    }
    writeln!(
        out,
        "\nJPEGs of {} x {} pixels, {:.1} MB each (noise over four colours, 4:2:0, quality 92), all different files, \
        sent over loopback by this program to `eyeline serve` with the catalog on {:?} and everything else at its \
        default, on {} cores that both share. A photo counts from `POST /images` over the PUT and `complete` to the \
        news `done` on the WebSocket. The wait is the time from the answer to the PUT to that news. CPU and memory \
        are those of the server and its worker processes together: CPU time from `/proc/PID/stat`, memory the highest \
        of the sums of the proportional set sizes, looked at every {} ms.",
        options.width,
        options.height,
        photo.bytes.len() as f64 / 1e6,
        options.catalog,
        thread::available_parallelism().map_or(1, usize::from),
        SAMPLE_PAUSE.as_millis(),
    )
}

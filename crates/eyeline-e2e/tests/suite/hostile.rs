//! Truncated files, files that kill or stop their decoder, and many huge files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use eyeline_e2e::photos::{self, Photo};
use eyeline_e2e::processes::{Process, resident_bytes};
use eyeline_e2e::streams::{self, Socket};
use eyeline_e2e::uploads::{Stated, upload, upload_until_done, wait_until_final};
use eyeline_e2e::{Catalog, Project, Server, on_both_catalogs};
use futures::{StreamExt, stream};
use image::ImageFormat;
use rustix::process::Signal;
use serde_json::{Value, json};

on_both_catalogs!(
    files_of_every_format_cut_anywhere_are_truncated_and_never_published,
    a_decoder_that_crashes_or_hangs_costs_that_photo_one_attempt_and_nothing_else,
);

const NO_VERSION: [&str; 4] = ["thumb", "big_thumb", "big_1920", "d2500"];

/// Within the first bytes, here and there, and before the end, which is twelve bytes at most.
fn cuts(bytes: usize) -> Vec<usize> {
    let mut cuts = vec![1, 3, 7, 11, bytes - 16];
    cuts.extend((1..10).map(|part| bytes * part / 10));
    cuts
}

async fn files_of_every_format_cut_anywhere_are_truncated_and_never_published(server: Server) {
    let project = Project::create(&server, "cuts").await;
    let wholes = [
        photos::jpeg(100, 80),
        photos::progressive(100, 80),
        photos::in_format(100, 80, ImageFormat::Png),
        photos::in_format(100, 80, ImageFormat::WebP),
        photos::in_format(100, 80, ImageFormat::Gif),
    ];
    let mut socket = Socket::open(&project.key, &streams::path(&project.id, None)).await.expect("the stream");
    let cut: Vec<Photo> =
        wholes.iter().flat_map(|whole| cuts(whole.bytes.len()).into_iter().map(|at| whole.cut_to(at))).collect();
    let count = cut.len();
    let ended: Vec<(String, Value)> = stream::iter(cut)
        .map(|photo| {
            let project = &project;
            async move {
                let image_id = upload(project, Stated::SizeAndHash, &photo).await;
                let what = format!("{} cut to {} bytes", photo.filename, photo.bytes.len());
                (what, wait_until_final(project, &image_id).await)
            }
        })
        .buffer_unordered(8)
        .collect()
        .await;
    for (what, image) in &ended {
        assert_eq!((&image["state"], &image["error_code"]), (&json!("error"), &json!("truncated")), "{what}: {image}");
        assert!(image["sha256"].is_string(), "{what} was read: {image}");
        assert!(NO_VERSION.iter().all(|name| image["versions"][name].is_null()), "{what}: {image}");
        assert_eq!(image["renditions"], json!([]), "{what}");
    }
    let news = socket.until_final(count).await;
    for last in news.iter().filter(|message| message["state"] == "error") {
        assert_eq!(last["error_code"], "truncated", "{last}");
        assert!(last["error"].as_str().is_some_and(|sentence| sentence.contains(' ')), "{last}");
    }
    assert!(news.iter().all(|message| message["state"] != "done"));
    let failed = project.key.get(&format!("/projects/{}/images?state=error", project.id)).await.expect(200).json();
    assert_eq!(failed["images"][0]["error_code"], "truncated", "lists say it too");
    // The complete ones are done, so the cut was the cause.
    for whole in &wholes {
        upload_until_done(&project, Stated::Name, whole).await;
    }
}

async fn a_decoder_that_crashes_or_hangs_costs_that_photo_one_attempt_and_nothing_else(server: Server) {
    let project = Project::create(&server, "crashes").await;
    let photo = photos::jpeg(400, 300);
    for (number, signal) in [Signal::KILL, Signal::STOP].into_iter().enumerate() {
        upload_until_done(&project, Stated::Name, &photo).await;
        let warm: Vec<Process> = server.workers();
        assert!(!warm.is_empty(), "a worker is kept warm");
        // The next worker of this file has a decoder that dies, or that never answers.
        warm.iter().for_each(|worker| worker.send(signal));
        let unlucky = upload(&project, Stated::Name, &photo).await;
        let others = (0..warm.len() + 2).map(|other| photo.with_comment(&format!("{number} {other}")));
        let mut ids = vec![unlucky];
        for other in others {
            ids.push(upload(&project, Stated::Name, &other).await);
        }
        for image_id in &ids {
            let image = wait_until_final(&project, image_id).await;
            assert_eq!(image["state"], "done", "the next attempt has a new decoder: {image}");
        }
    }
    let dead = server.admin.get("/jobs").await.expect(200).json();
    assert_eq!(dead["jobs"], json!([]), "no job was given up: {dead}");
}

/// Pictures of 64 megapixels in files of a few kilobytes, with small photos among them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_huge_pictures_stays_within_the_bound_and_ends_done() {
    const BOUND: u64 = 1_200_000_000;
    let settings = [("EYELINE_DECODE_BYTES_MAX", &*BOUND.to_string()), ("EYELINE_WORKERS", "4")];
    let server = Server::start_with(Catalog::Sqlite, &settings).await;
    let project = Project::create(&server, "huge").await;
    let huge = photos::flat_png(8_000, 8_000);
    assert!(huge.bytes.len() < 1_000_000, "{} bytes", huge.bytes.len());
    let small = photos::jpeg(200, 150);
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(upload(&project, Stated::SizeAndHash, &huge).await);
        ids.push(upload(&project, Stated::Name, &small.with_comment(&number.to_string())).await);
    }

    let server = Arc::new(server);
    let (ended, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let watch = {
        let (server, ended, peak) = (server.clone(), ended.clone(), peak.clone());
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                peak.fetch_max(resident_bytes(&server.workers()), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        })
    };
    let mut admitted = 0.0_f64;
    for image_id in &ids {
        admitted = admitted.max(metric(&server, "eyeline_decode_bytes_admitted").await);
        let image = wait_until_final(&project, image_id).await;
        assert_eq!(image["state"], "done", "{image}");
    }
    ended.store(true, Ordering::Relaxed);
    watch.join().expect("the watch");
    let peak = peak.load(Ordering::Relaxed);
    eprintln!("{} MiB at the peak of all workers, {} MiB let in", peak >> 20, admitted as u64 >> 20);
    assert!(peak <= BOUND, "{peak} bytes at the peak");
    assert!(admitted > 0.0 && admitted <= BOUND as f64, "{admitted} bytes were let in");
    assert_eq!(metric(&server, "eyeline_decode_bytes_admitted").await, 0.0, "all of it was given back");
}

async fn metric(server: &Server, name: &str) -> f64 {
    let metrics = server.admin.get(&server.admin.root_url("/metrics")).await.expect(200);
    let text = String::from_utf8(metrics.body).expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).unwrap_or_else(|| panic!("{name}"));
    line.parse().expect("a number")
}

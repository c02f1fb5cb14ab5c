//! The disk of the embedded engines is full while events arrive, and then has space again.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use eyeline_e2e::api::send;
use eyeline_e2e::photos;
use eyeline_e2e::random::Random;
use eyeline_e2e::small_disk::{SmallDisk, with_own_mounts};
use eyeline_e2e::uploads::{Stated, through_link};
use eyeline_e2e::{Answer, Catalog, Server};
use reqwest::Method;
use serde_json::Value;
use tokio::time::sleep;

use super::actors::{Counts, Story, make_events, note_acknowledged, send_until_acknowledged};
use super::{FLUSH_SECONDS, all_of, begin, expect_all_counted_once, expect_every_acknowledged_event, send_events};

const DISK_MEGABYTES: u32 = 40;
const TIMES: u64 = 3;
const WAITING_SECONDS_MAX: u64 = 30;

#[test]
fn nothing_acknowledged_is_lost_on_a_full_disk_with_sqlite() {
    let test = concat!(module_path!(), "::nothing_acknowledged_is_lost_on_a_full_disk_with_sqlite");
    with_own_mounts(test, || nothing_acknowledged_is_lost_on_a_full_disk(Catalog::Sqlite));
}

#[test]
fn nothing_acknowledged_is_lost_on_a_full_disk_with_postgres() {
    let test = concat!(module_path!(), "::nothing_acknowledged_is_lost_on_a_full_disk_with_postgres");
    with_own_mounts(test, || nothing_acknowledged_is_lost_on_a_full_disk(Catalog::Postgres));
}

async fn nothing_acknowledged_is_lost_on_a_full_disk(catalog: Catalog) {
    let mut server = Server::start_with(catalog, &[FLUSH_SECONDS]).await;
    let story = begin(&server).await;
    server.stop().await;
    let disk = SmallDisk::under(&server, DISK_MEGABYTES);
    server.start_again().await;
    let senders = send_events(&story);

    let mut random = Random::new(100);
    let mut own = Counts::default();
    for time in 0..TIMES {
        sleep(Duration::from_millis(500)).await;
        let refused = fill_until_refused(&disk, &story, &mut random, &mut own).await;
        expect_reads_to_go_on(&server, &story).await;
        expect_no_photo_to_be_taken(&story).await;
        // A start may need space: the catalog can be so full that not even a claim fits into it.
        let is_last = time + 1 == TIMES;
        if is_last {
            server.kill().await;
        }
        disk.free();
        if is_last {
            server.start_again().await;
        }
        // Otherwise it needs neither a restart nor help.
        send_until_acknowledged(&story, &refused).await;
        expect_events_to_be_taken(&story).await;
        expect_every_acknowledged_event(&story).await;
    }

    story.stop();
    own.add(&all_of(senders).await);
    expect_all_counted_once(&server, &story, &own).await;
}

/// Refused events, to be sent again. A refusal promises nothing either way.
async fn fill_until_refused(disk: &SmallDisk, story: &Story, random: &mut Random, own: &mut Counts) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(WAITING_SECONDS_MAX);
    loop {
        // Space freed by the server is used up too.
        disk.fill();
        let events = make_events(story, random, own);
        // With the secret key, whose events have no rate limit.
        let answer = send(story.project.key.request(Method::POST, "/events/batch").json(&events)).await;
        if answer.status == 200 {
            note_acknowledged(story, &events);
            assert!(Instant::now() < deadline, "events are still taken after {WAITING_SECONDS_MAX} s with a full disk");
            continue;
        }
        expect_refusal(answer);
        return events;
    }
}

#[track_caller]
fn expect_refusal(answer: Answer) {
    assert!(matches!(answer.status, 503 | 507), "a full disk is no fault of the client: {answer}");
    assert!(!answer.header("retry-after").is_empty(), "a refusal says when to try again: {answer}");
    let status = answer.status;
    answer.expect_problem(status);
}

async fn expect_reads_to_go_on(server: &Server, story: &Story) {
    let page = format!("/galleries/{}/images?limit=5", story.gallery_id);
    story.project.key.get(&page).await.expect(200);
    let health = server.admin.without_credential().root_url("/healthz");
    send(server.admin.without_credential().request(Method::GET, &health)).await.expect(200);
}

/// Every step of an upload that needs the disk refuses it.
async fn expect_no_photo_to_be_taken(story: &Story) {
    let photo = photos::jpeg(4000, 3000);
    let asked = story.project.key.post("/images", &Stated::SizeAndHash.request(&story.project.id, &photo)).await;
    if asked.status != 201 {
        return expect_refusal(asked);
    }
    expect_refusal(send(through_link(&story.project.key, &asked.json(), &photo)).await);
}

async fn expect_events_to_be_taken(story: &Story) {
    let deadline = Instant::now() + Duration::from_secs(WAITING_SECONDS_MAX);
    let before = story.events_acknowledged.load(Ordering::SeqCst);
    while story.events_acknowledged.load(Ordering::SeqCst) < before + 50 {
        assert!(Instant::now() < deadline, "no events are taken {WAITING_SECONDS_MAX} s after there is space again");
        sleep(Duration::from_millis(10)).await;
    }
}

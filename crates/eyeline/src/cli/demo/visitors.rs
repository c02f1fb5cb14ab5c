//! The demo's visitors: their tastes, their visits on the server, and a summary.

use std::time::Duration;

use eyeline_simulation::{Appeals, Crowd, Curve, Scenario, Visit};
use futures::{StreamExt as _, stream};
use http::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::super::client::Client;
use super::super::names::text;
use super::super::say;
use crate::clock::Clock;

/// Pictures of one page, as a visitor's browser requests them.
const PAGE: usize = 20;
/// Visits between two batches of events, and the least time they take: a gallery gets a new order each second.
const ROUND: usize = 20;
const ROUND_TIME: Duration = Duration::from_millis(700);
const AT_ONCE: usize = 8;
/// Visits whose clicks are summed. The first part sees the newest pictures first, the others the learned order.
const PART: usize = 100;
/// Characters of the longest bar.
const BAR: f64 = 40.0;

/// Visitors of a gallery with the given number of pictures.
pub(super) struct Visitors(Crowd);

/// A few pictures are much liked and most are not. Visitors look more at upper rows than at lower ones.
pub(super) fn crowd(visits: usize, seed: u64, pictures: usize) -> Visitors {
    let scenario = Scenario {
        name: "demo",
        images: pictures,
        sessions: visits,
        refresh: ROUND,
        appeals: Appeals::Zipf,
        curve: Curve::Grid,
        ..Scenario::named("static_small").unwrap_or(eyeline_simulation::SCENARIOS[0])
    };
    Visitors(Crowd::new(scenario, seed))
}

impl Visitors {
    /// The warmth of each picture, from 0 to 1. Better liked pictures are warmer.
    pub(super) fn warmths(&self) -> Vec<f32> {
        let appeals: Vec<f64> = (0..self.0.images()).map(|image| self.0.appeal(image)).collect();
        let below = |appeal: f64| appeals.iter().filter(|other| **other < appeal).count();
        let last = appeals.len().saturating_sub(1).max(1);
        appeals.iter().map(|appeal| below(*appeal) as f32 / last as f32).collect()
    }
}

/// Plays all visits; `image_ids` are by number. Prints the clicks that were really made, part by part.
pub(super) async fn play(
    visitors: Visitors,
    client: &Client,
    gallery_id: &str,
    image_ids: &[String],
) -> Result<(), String> {
    let Visitors(mut crowd) = visitors;
    let visits = crowd.scenario().sessions;
    let bar = ProgressBar::new(visits as u64);
    let style = ProgressStyle::with_template("visits {wide_bar} {pos}/{len}  clicks a visit: {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut clicks: Vec<usize> = Vec::with_capacity(visits);
    for first in (0..visits).step_by(ROUND) {
        if first == PART {
            let interest = json!({"ranking": {"strategy": "interest"}});
            client.send(Method::PATCH, &format!("/galleries/{gallery_id}"), Some(&interest)).await?;
        }
        let next_round = tokio::time::Instant::now() + ROUND_TIME;
        crowd.advance(first);
        let sessions = first..visits.min(first + ROUND);
        let coming = stream::iter(sessions).map(|session| visit(&crowd, session, client, gallery_id, image_ids));
        let came: Vec<Result<(Visit, Vec<Value>), String>> = coming.buffered(AT_ONCE).collect().await;
        let mut events = Vec::new();
        for came in came {
            let (visit, did) = came?;
            clicks.push(visit.looks.iter().filter(|look| look.clicked).count());
            events.extend(did);
            crowd.take_in(&visit);
        }
        client.send(Method::POST, "/events/batch", Some(&json!({ "events": events }))).await?;
        bar.set_position(clicks.len() as u64);
        let (begin, now) =
            (mean(&clicks[..clicks.len().min(PART)]), mean(&clicks[clicks.len().saturating_sub(PART)..]));
        bar.set_message(format!("{begin:.2} → {now:.2}"));
        tokio::time::sleep_until(next_round).await;
    }
    bar.finish_and_clear();
    tell(&clicks);
    Ok(())
}

/// One visit, which reads pages of the gallery as deep as it scrolls. Returns its acts as events.
async fn visit(
    crowd: &Crowd,
    session: usize,
    client: &Client,
    gallery_id: &str,
    image_ids: &[String],
) -> Result<(Visit, Vec<Value>), String> {
    let mut visit = crowd.visit(session);
    let actor = visit.actor;
    // Each visitor's clock is this machine's, as in a browser here.
    let now = Clock::default().real_now();
    let mut events = Vec::new();
    let mut place = format!("session_id={}", actor.session_id);
    loop {
        let path = format!("/galleries/{gallery_id}/images?limit={PAGE}&{place}");
        let page = client.send(Method::GET, &path, None).await?;
        let mut goes_on = true;
        for item in page["items"].as_array().into_iter().flatten() {
            let image_id = text(&item["image_id"]);
            let Some(image) = image_ids.iter().position(|id| *id == image_id) else { continue };
            goes_on = crowd.look(&mut visit, image);
            let clicked = visit.looks.last().is_some_and(|look| look.image == image && look.clicked);
            for name in ["view", "click"].iter().take(1 + usize::from(clicked)) {
                events.push(json!({
                    "session_id": actor.session_id, "category": "gallery", "name": name, "timestamp": now,
                    "data": {"gallery_id": gallery_id, "image_id": image_id,
                             "position": item["position"], "order_id": page["order_id"]},
                    "place": item["place"],
                    "client": {"ip": actor.address(), "user_agent": "Eyeline demo"},
                }));
            }
            if !goes_on {
                break;
            }
        }
        match page["next_cursor"].as_str() {
            Some(cursor) if goes_on => place = format!("cursor={cursor}"),
            _ => return Ok((visit, events)),
        }
    }
}

/// Prints the clicks per visit, part by part.
fn tell(clicks: &[usize]) {
    let parts: Vec<f64> = clicks.chunks(PART).map(mean).collect();
    let most = parts.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    say("Visits         clicks a visit");
    for (number, part) in parts.iter().enumerate() {
        let bar = "█".repeat((part / most * BAR).round() as usize);
        let order = if number == 0 { "newest first" } else { "" };
        let visits = format!("{:>5} to {:<5}", number * PART + 1, clicks.len().min((number + 1) * PART));
        say(format!("{visits} {part:>5.2} {bar} {order}").trim_end());
    }
    let (first, last) = (mean(&clicks[..clicks.len().min(PART)]), mean(&clicks[clicks.len().saturating_sub(PART)..]));
    if first > 0.0 {
        let times = last / first;
        say(&format!(
            "The last {PART} visits made {times:.1} times the clicks of the first {PART}, which saw the newest first."
        ));
    }
}

fn mean(clicks: &[usize]) -> f64 {
    clicks.iter().sum::<usize>() as f64 / clicks.len().max(1) as f64
}

//! Simulated visitors of galleries on a server: they scroll through pages and send their acts.

use std::collections::HashMap;
use std::fmt::Write as _;

use eyeline_simulation::{Actor, CLICKS_OF_BOT, Crowd, GalleryId, Report, Scenario, Visit, at};
use futures::future::join_all;
use futures::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::uploads::id;
use crate::{Project, Server};

const PAGE: usize = 20;
/// Concurrent sessions, each over a kept connection.
const AT_ONCE: usize = 16;
/// Events of a request.
const BATCH: usize = 5_000;

/// A gallery played to the end.
pub struct Played {
    /// The seed of its draws.
    pub gallery_id: GalleryId,
    pub report: Report,
}

/// Plays all sessions of a scenario on a gallery for each seed, all under one clock, on a server with
/// `EYELINE_TEST_CLOCK=true`. Sessions up to a publication run concurrently; their acts are sent then. `ranking` is the
/// setting of each gallery.
pub async fn play(server: &Server, scenario: Scenario, ranking: &Value, seeds: &[u64]) -> Vec<Played> {
    set_clock(server, at(0.0).to_string()).await;
    let project = Project::create(server, scenario.name).await;
    let mut galleries = Vec::new();
    for seed in seeds {
        let body = json!({"project_id": project.id, "name": format!("seed {seed}"), "ranking": ranking});
        let gallery_id = id(&project.key.post("/galleries", &body).await.expect(201).json(), "gallery_id");
        galleries.push(Gallery { id: gallery_id, crowd: Crowd::new(scenario, *seed), images: 0 });
    }
    for session in (0..scenario.sessions).step_by(scenario.refresh) {
        let now = at(session as f64).to_string();
        set_clock(server, now.clone()).await;
        join_all(galleries.iter_mut().map(|gallery| gallery.advance(&project, session))).await;
        let sessions = session..scenario.sessions.min(session + scenario.refresh);
        let came = galleries.iter().flat_map(|gallery| sessions.clone().map(move |session| (gallery, session)));
        let coming = stream::iter(came).map(|(gallery, session)| gallery.visit(&project, session));
        let visits: Vec<(Visit, Places)> = coming.buffered(AT_ONCE).collect().await;
        let of_galleries = galleries.iter_mut().zip(visits.chunks(sessions.len()));
        join_all(of_galleries.map(|(gallery, visits)| gallery.send(&project, visits, &now))).await;
    }
    join_all(galleries.iter().map(|gallery| gallery.end(&project))).await
}

async fn set_clock(server: &Server, now: String) {
    server.admin.post("/test/clock", &json!({ "now": now })).await.expect(200);
}

struct Gallery {
    id: String,
    crowd: Crowd,
    /// The number of loaded images.
    images: usize,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<Item<'a>>,
    next_cursor: Option<&'a str>,
    #[serde(default)]
    restarted: bool,
}

#[derive(Deserialize)]
struct Item<'a> {
    external_id: &'a str,
    place: &'a str,
}

/// The place receipts of the images that a visit looked at.
type Places = HashMap<usize, String>;

impl Gallery {
    /// Loads the images that exist by then, and publishes the order.
    async fn advance(&mut self, project: &Project, session: usize) {
        self.crowd.advance(session);
        let mut rows = String::new();
        for image in self.images..self.crowd.images() {
            let created_at = at(self.crowd.born(image));
            let _infallible = writeln!(
                rows,
                r#"{{"external_id":"{image}","url":"https://cdn.example/{image}.jpg","created_at":"{created_at}"}}"#
            );
        }
        self.images = self.crowd.images();
        if !rows.is_empty() {
            let path = format!("/galleries/{}/dataset", self.id);
            let loaded = project.key.post_text(&path, "application/x-ndjson", rows).await.expect(200).json();
            assert_eq!(loaded["rejected"], json!([]), "{loaded}");
        }
        project.refresh(&self.id).await;
    }

    /// One session, with the place receipts of what it saw.
    async fn visit(&self, project: &Project, session: usize) -> (Visit, Places) {
        let (mut visit, mut places) = (self.crowd.visit(session), Places::new());
        let path = format!("/galleries/{}/images?limit={PAGE}", self.id);
        let mut place = format!("session_id={}", visit.actor.session_id);
        loop {
            let answer = project.public.get(&format!("{path}&{place}")).await.expect(200);
            let page: Page<'_> =
                serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("no page ({error}) in {answer}"));
            assert!(!page.restarted, "{answer}");
            let goes_on = page.items.iter().all(|item| {
                let image = item.external_id.parse().expect("a number");
                places.insert(image, item.place.to_owned());
                self.crowd.look(&mut visit, image)
            });
            match page.next_cursor {
                Some(cursor) if goes_on => place = format!("cursor={cursor}"),
                _ => return (visit, places),
            }
        }
    }

    /// Sends the acts of visitors, and of the bots that came in their time.
    async fn send(&mut self, project: &Project, visits: &[(Visit, Places)], now: &str) {
        let mut events = Vec::new();
        for (visit, places) in visits {
            for look in &visit.looks {
                let place = places.get(&look.image).map(String::as_str);
                events.push(self.event(visit.actor, "view", look.image, place, now));
                if look.clicked {
                    events.push(self.event(visit.actor, "click", look.image, place, now));
                }
            }
            self.crowd.take_in(visit);
        }
        for bot in self.crowd.bots(visits.len()) {
            for image in bot.images {
                events.push(self.event(bot.actor, "view", image, None, now));
                let click = self.event(bot.actor, "click", image, None, now);
                events.extend(std::iter::repeat_n(click, CLICKS_OF_BOT));
            }
        }
        for batch in events.chunks(BATCH) {
            let answer = project.key.post_text("/events/batch", "application/x-ndjson", batch.concat()).await;
            assert_eq!(answer.expect(200).json()["accepted"], batch.len());
        }
    }

    /// A line of a batch.
    fn event(&self, actor: Actor, name: &str, image: usize, place: Option<&str>, now: &str) -> String {
        let (gallery_id, session_id, ip) = (&self.id, actor.session_id, actor.address());
        let place = place.map(|place| format!(r#","place":"{place}""#)).unwrap_or_default();
        format!(
            r#"{{"session_id":"{session_id}","category":"gallery","name":"{name}","data":{{"gallery_id":"{gallery_id}","external_id":"{image}"}}{place},"timestamp":"{now}","client":{{"ip":"{ip}","user_agent":"Firefox"}}}}
"#
        )
    }

    /// Checks that every event of the visitors was counted.
    async fn end(&self, project: &Project) -> Played {
        let report = self.crowd.report();
        let refreshed = project.refresh(&self.id).await;
        assert_eq!(
            refreshed["applied_events"], report.events,
            "events counted of the gallery with seed {}",
            report.seed
        );
        Played { gallery_id: GalleryId(self.id.parse().expect("a UUID")), report }
    }
}

//! Retention: whole days of old events are deleted, and their contribution stays.

use std::time::Duration;

use eyeline::flow::photo::sweep;
use eyeline_core::Timestamp;
use eyeline_store::catalog::lake::{Committed, LakeFile};
use eyeline_store::inbox::Offset;
use eyeline_store::sql::Db;
use eyeline_store::{ObjectKey, params};
use futures::FutureExt as _;
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::galleries::{Shop, string};
use crate::ranking::settings_in_turn;
use crate::support::ADMIN_KEY;

const DAY: i64 = 24 * 3_600_000_000;
/// The first of January 2030, in microseconds.
const FIRST_DAY: i64 = 1_893_456_000_000_000;
const KEPT_DAYS: u32 = 8;

async fn shop() -> Shop {
    let shop = Shop::open_with(|settings| settings.events_keep_days = Some(KEPT_DAYS)).await;
    shop.load_pictures(25).await;
    shop
}

impl Shop {
    /// Sets the clock to noon of a day, plus `part`.
    fn go_to(&self, day: i64, part: i64) {
        self.server
            .app
            .clock
            .set(begin_of(day).plus(Duration::from_micros((DAY / 2 + part * DAY / 100_000).unsigned_abs())));
    }

    /// Runs the background steps: flush, merge, cut.
    async fn keep_house(&self) {
        self.refresh().await;
        self.server.app.flush.run().await.expect("a flush");
        while self.server.app.compact.step().await.expect("a merge") {}
        while self.server.app.cut.step().await.expect("a cut").is_some() {}
    }

    async fn files(&self) -> Vec<LakeFile> {
        self.server.app.catalog.manifest().await.expect("a manifest").files
    }

    /// The visits of one day, by visitors of whom one clicks everything. Returns the number of events.
    async fn day(&self, day: i64) -> u64 {
        let mut events = 0;
        for visitor in 0..5 {
            self.go_to(day, visitor * visitor * 40);
            let session = u128::try_from(day * 100 + visitor).expect("positive");
            events += self.look(session, None, |name| name == "sku-20" || name == "sku-24").await;
        }
        events + self.click_everything(12).await
    }

    /// Sends an event of a new session at the clock's time. Returns its path.
    async fn say(&self, number: u128) -> String {
        let (event_id, timestamp) = (Uuid::from_u128(7_000 + number), self.server.app.clock.now());
        let event = json!({
            "event_id": event_id, "session_id": Uuid::from_u128(number), "category": "shop", "name": "bought",
            "data": {}, "timestamp": timestamp,
        });
        let sent = self.server.post("/api/v1/events", &self.key, &event).await;
        assert_eq!(sent.status, StatusCode::CREATED, "{sent:?}");
        format!("/api/v1/events/{event_id}")
    }

    async fn ask(&self, path: &str) -> Value {
        let answer = self.server.get(&format!("/api/v1{path}"), &self.key).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }

    async fn run(&self, sql: &'static str) {
        let run = move |db: Db| async move { db.write(move |tx| tx.execute(sql, &[]).boxed()).await };
        run(self.db().await).await.expect("a statement");
    }

    async fn count(&self, sql: &'static str) -> i64 {
        let rows = self.db().await.read(move |tx| tx.query(sql, params![]).boxed()).await.expect("rows");
        rows.into_iter().next().expect("a row").take("found").expect("a number")
    }

    /// A second connection to the catalog.
    async fn db(&self) -> Db {
        let path = self.server.app.settings.data.join("catalog.sqlite");
        Db::open(&format!("sqlite:{}", path.display())).await.expect("an open catalog")
    }
}

fn begin_of(day: i64) -> Timestamp {
    Timestamp::from_micros(FIRST_DAY + day * DAY)
}

fn is_complete_from(answer: &Value) -> Timestamp {
    Timestamp::parse(answer["complete_from"].as_str().unwrap_or_else(|| panic!("complete: {answer}"))).expect("a time")
}

#[tokio::test]
async fn whole_days_of_events_go_from_disk_and_what_they_came_to_stays() {
    let shop = shop().await;
    shop.patch(json!({"strategy": "interest", "guard": true})).await;
    let (mut events, mut late, mut paths) = (0, 0, Vec::new());
    let mut oldest: Vec<ObjectKey> = Vec::new();
    for day in 0..12 {
        events += shop.day(day).await;
        paths.push(shop.say(u128::try_from(day).expect("positive")).await);
        if day == 3 {
            // A wrong clock: events stamped with the third day are applied on the fourth.
            shop.go_to(2, 0);
            late = shop.look(1_000_000, None, |_| true).await;
            events += late;
        }
        if day == 11 {
            // Files of the third day: the first two days are deleted by now.
            oldest = shop.files().await.into_iter().take(1).map(|file| file.key).collect();
        }
        shop.keep_house().await;
        shop.assert_rebuilds(events).await;
    }
    let app = &shop.server.app;
    let files = shop.files().await;
    let early: Vec<&LakeFile> = files.iter().filter(|file| file.last_received_at < begin_of(3)).collect();
    assert_eq!(early.iter().map(|file| file.rows).sum::<u64>(), late, "what was applied behind a later event");
    let offsets = |file: &LakeFile| (file.first_offset, file.last_offset);
    let marks = app.catalog.marks().await.expect("marks")[0];
    assert!(marks.cut > Offset::START && files.iter().all(|file| offsets(file).0 > marks.cut));
    assert_eq!(marks.complete_from, Some(begin_of(3)));

    // Readers that have begun can still read them; later they are deleted.
    for key in &oldest {
        assert!(app.objects.head(key).await.expect("an answer").is_some(), "{key}");
    }
    shop.run("UPDATE unwanted_objects SET unwanted_from = 0").await;
    sweep::sweep(app).await.expect("a sweep");
    for key in &oldest {
        assert!(app.objects.head(key).await.expect("an answer").is_none(), "{key}");
    }
    for file in &files {
        assert!(app.objects.head(&file.key).await.expect("an answer").is_some());
    }

    for (day, path) in paths.iter().enumerate() {
        let expected = if day < 3 { StatusCode::NOT_FOUND } else { StatusCode::OK };
        assert_eq!(shop.server.get(path, &shop.key).await.status, expected, "of day {day}");
    }
    let metrics = String::from_utf8(shop.server.get("/metrics", ADMIN_KEY).await.body).expect("text");
    let oldest = files.iter().map(|file| file.first_received_at).min().expect("files").micros() as f64 / 1e6;
    assert!(metrics.contains(&format!("eyeline_lake_oldest_timestamp_seconds {oldest}\n")), "{metrics}");

    // A restart changes nothing.
    let Shop { server, project_id, application_id, key, gallery_id } = shop;
    let shop = Shop { server: server.restart().await, project_id, application_id, key, gallery_id };
    shop.assert_rebuilds(events).await;
}

#[tokio::test]
async fn a_cut_leaves_pages_and_weights_as_they_are() {
    let shop = shop().await;
    shop.patch(json!({"strategy": "interest", "guard": true})).await;
    let mut events = 0;
    for day in [0, 1, 2] {
        events += shop.day(day).await;
        shop.keep_house().await;
    }
    shop.go_to(30, 0);
    shop.refresh().await;
    let (before, gallery) = (shop.page("limit=100").await, shop.ask(&format!("/galleries/{}", shop.gallery_id)).await);
    for day in 1..=3 {
        assert_eq!(shop.server.app.cut.step().await.expect("a cut"), Some(Committed::Done));
        let complete_from = shop.server.app.catalog.marks().await.expect("marks")[0].complete_from;
        assert_eq!(complete_from, Some(begin_of(day)), "a day at a time");
        shop.assert_rebuilds(events).await;
    }
    assert_eq!(shop.server.app.cut.step().await.expect("a look"), None);
    assert_eq!(shop.files().await, []);
    shop.refresh().await;
    assert_eq!(shop.page("limit=100").await["items"], before["items"]);
    assert_eq!(shop.ask(&format!("/galleries/{}", shop.gallery_id)).await, gallery);
    shop.assert_rebuilds(events).await;
    events += shop.day(30).await;
    shop.keep_house().await;
    shop.assert_rebuilds(events).await;
}

#[tokio::test]
async fn an_answer_says_from_when_on_it_is_complete_and_sums_stay() {
    let shop = shop().await;
    for day in 0..12 {
        shop.go_to(day, 0);
        for number in 0..=day {
            shop.say(u128::try_from(day * 100 + number).expect("positive")).await;
        }
        if day == 1 {
            // The first two are known then.
            shop.refresh().await;
            assert_eq!(
                shop.ask("/analytics/counts?group_by=application,category,name").await["rows"][0]["sessions"],
                1
            );
        }
        shop.keep_house().await;
    }
    let counts = async |query: &str| shop.ask(&format!("/analytics/counts?{query}")).await;
    let column = |answer: &Value, name: &str| {
        answer["rows"].as_array().expect("rows").iter().map(|row| row[name].clone()).collect::<Vec<Value>>()
    };
    let everything: Vec<u64> = (1..=12).collect();
    let sums = counts("sessions=false").await;
    assert_eq!(column(&sums, "count"), everything);
    assert_eq!((&sums["served_from"], &sums["complete_from"]), (&json!("rollup"), &Value::Null));

    let with_sessions = counts("").await;
    assert_eq!(column(&with_sessions, "count"), everything, "counts stay");
    let mut expected: Vec<Value> = everything.iter().map(|number| json!(number)).collect();
    expected[2] = Value::Null;
    assert_eq!(column(&with_sessions, "sessions"), expected, "sessions are known of what was asked about, or is kept");
    assert_eq!(is_complete_from(&with_sessions), begin_of(3));
    let all = counts("interval=all").await;
    assert_eq!((&all["rows"][0]["count"], &all["rows"][0]["sessions"]), (&json!(78), &Value::Null), "{all}");
    let days = (begin_of(0), begin_of(3));
    let gone = counts(&format!("from={}&to={}", days.0, days.1)).await;
    assert_eq!((column(&gone, "count"), &gone["served_from"]), (vec![json!(1), json!(2), json!(3)], &json!("rollup")));
    assert_eq!(is_complete_from(&gone), begin_of(3));

    let kept = begin_of(3);
    let sql = async |from: &str| {
        let question = json!({"query": "SELECT count(*) AS n FROM events", "from": from});
        shop.server.post("/api/v1/analytics/sql", &shop.key, &question).await.json()
    };
    let raw = [
        "/events?limit=100",
        "/analytics/features?",
        "/analytics/paths?",
        "/analytics/funnel?steps=shop/bought",
        &format!("/analytics/galleries/{}?", shop.gallery_id),
        "/analytics/counts?from=2021-01-01T00:00:01Z",
    ];
    for question in raw {
        assert_eq!(is_complete_from(&shop.ask(question).await), kept, "{question}");
        if !question.contains("from=") {
            assert_eq!(shop.ask(&format!("{question}&from={kept}")).await["complete_from"], Value::Null, "{question}");
        }
    }
    assert_eq!(is_complete_from(&shop.ask("/analytics/retention").await), kept, "twelve weeks");
    let days = shop.ask(&format!("/analytics/retention?period=day&from={kept}")).await;
    assert_eq!(days["complete_from"], Value::Null);
    let answer = sql("2021-01-01T00:00:00Z").await;
    assert_eq!((is_complete_from(&answer), &answer["rows"][0]["n"]), (kept, &json!(78 - 6)));
    assert_eq!(sql(&kept.to_string()).await["complete_from"], Value::Null);
    let listed = shop.ask("/events?limit=100").await["events"].as_array().expect("events").len();
    assert_eq!(listed, 78 - 6);
}

#[tokio::test]
async fn events_are_counted_again_from_a_base_under_the_settings_of_their_time() {
    let shop = shop().await;
    let gallery_id = shop.gallery_id.parse().expect("an id");
    let mut events = 0;
    for (number, ranking) in (0i64..).zip(settings_in_turn()) {
        let day = number * 3;
        // The rest of the same minute is counted under other settings.
        shop.patch(ranking).await;
        events += shop.day(day).await;
        shop.keep_house().await;
        // Some events are in files, some in the inbox, and some only in the base.
        events += shop.day(day + 1).await;
        shop.refresh().await;
        shop.assert_rebuilds(events).await;
    }
    let history = shop.server.app.catalog.ranking_history(gallery_id, 0).await.expect("a history");
    let cut = shop.server.app.catalog.marks().await.expect("marks")[0].cut;
    assert!(
        cut > Offset::START && history.changes.len() < 5 && history.changes.iter().all(|change| change.after > cut)
    );
}

#[tokio::test]
async fn a_gallery_that_nobody_visits_any_more_keeps_its_base_and_one_without_events_has_none() {
    let mut shop = shop().await;
    let mut galleries = vec![shop.gallery_id.clone()];
    for name in ["once", "never"] {
        let ranking = json!({"strategy": "interest", "guard": true});
        let body = json!({"project_id": shop.project_id, "name": name, "ranking": ranking});
        let made = shop.server.post("/api/v1/galleries", &shop.key, &body).await;
        shop.gallery_id = string(&made.json()["gallery_id"]);
        shop.load_pictures(25).await;
        galleries.push(shop.gallery_id.clone());
    }
    let remembered = "SELECT count(*) AS found FROM base_pieces p JOIN galleries g ON g.gallery_id = p.gallery_id
                      WHERE g.name = 'once' AND p.kind IN (2, 3)";
    let mut events = [0, 0, 0];
    for day in 0..14 {
        if day == 1 {
            shop.gallery_id = galleries[1].clone();
            events[1] += shop.day(day).await;
        }
        shop.gallery_id = galleries[0].clone();
        events[0] += shop.day(day).await;
        shop.keep_house().await;
        assert_eq!(shop.count(remembered).await > 0, (10..12).contains(&day), "a guard forgets: day {day}");
    }
    let verified = shop.recount().await;
    assert!(verified.iter().all(|gallery| gallery.before == gallery.after), "{verified:?}");
    // Ids rise with time.
    assert_eq!(verified.iter().map(|gallery| gallery.events).collect::<Vec<u64>>(), events);
    let bases = "SELECT count(DISTINCT base_cut) AS found FROM galleries";
    assert_eq!(shop.count(bases).await, 3, "of different cuts, and none");
}

#[tokio::test]
async fn an_event_out_of_quarantine_that_is_older_than_the_cut_counts_and_goes_with_those_counted_beside_it() {
    let shop = shop().await;
    shop.patch(json!({"strategy": "interest", "guard": true})).await;
    let mut events = shop.day(0).await;
    shop.send("view", "sku-99", 3).await;
    for day in [5, 12] {
        shop.keep_house().await;
        events += shop.day(day).await;
    }
    shop.keep_house().await;
    let cut = shop.server.app.catalog.marks().await.expect("marks")[0].cut;
    assert!(cut > Offset::START);

    let row = json!([{"external_id": "sku-99", "url": "https://cdn.example/99.jpg"}]);
    assert_eq!(shop.load("application/json", row.to_string()).await.status, StatusCode::OK);
    let project = json!({"project_id": shop.project_id});
    let replayed = shop.server.post("/api/v1/events/quarantine/replay", &shop.key, &project).await;
    assert_eq!(replayed.json()["replayed"], 3, "{replayed:?}");
    events += 3;
    shop.keep_house().await;
    shop.assert_rebuilds(events).await;
    let begin_of_cut = shop.server.app.catalog.marks().await.expect("marks")[0].complete_from;
    let is_old = |file: &LakeFile| Some(file.last_received_at) < begin_of_cut;
    assert_eq!(shop.files().await.iter().filter(|file| is_old(file)).map(|file| file.rows).sum::<u64>(), 3);

    shop.go_to(30, 0);
    shop.keep_house().await;
    assert_eq!(shop.files().await, []);
    shop.assert_rebuilds(events).await;
    let items = shop.page("limit=100").await["items"].as_array().expect("items").clone();
    let late = items.iter().find(|item| item["external_id"] == "sku-99").expect("the picture");
    assert_eq!(late["views"], 3);
}

#[tokio::test]
async fn a_cut_that_is_cut_off_anywhere_has_not_happened_and_happens_later() {
    let crashes = [
        "CREATE TRIGGER crash BEFORE INSERT ON base_pieces WHEN new.kind = 3 BEGIN SELECT RAISE(ABORT, 'x'); END",
        "CREATE TRIGGER crash BEFORE UPDATE OF cut ON partitions BEGIN SELECT RAISE(ABORT, 'x'); END",
        "CREATE TRIGGER crash BEFORE DELETE ON lake_files BEGIN SELECT RAISE(ABORT, 'x'); END",
        "CREATE TRIGGER crash BEFORE UPDATE OF base_cut ON galleries BEGIN SELECT RAISE(ABORT, 'x'); END",
    ];
    for crash in crashes {
        let shop = shop().await;
        shop.patch(json!({"strategy": "interest", "guard": true})).await;
        let mut events = shop.day(0).await;
        shop.keep_house().await;
        events += shop.day(5).await;
        shop.keep_house().await;
        shop.go_to(9, 0);
        let files = shop.files().await;
        shop.run(crash).await;
        shop.server.app.cut.step().await.expect_err(crash);
        shop.run("DROP TRIGGER crash").await;
        assert_eq!(shop.files().await, files, "{crash}");
        let is_stored = shop.count("SELECT count(*) AS found FROM base_pieces").await > 0;
        assert_eq!(is_stored, !crash.contains("ON base_pieces"), "{crash}");
        assert_eq!(shop.ask("/events").await["complete_from"], Value::Null);
        shop.assert_rebuilds(events).await;

        let Shop { server, project_id, application_id, key, gallery_id } = shop;
        let restarted = server.restart_with(|settings| settings.events_keep_days = Some(KEPT_DAYS)).await;
        let shop = Shop { server: restarted, project_id, application_id, key, gallery_id };
        shop.go_to(9, 0);
        shop.assert_rebuilds(events).await;
        assert_eq!(shop.server.app.cut.step().await.expect("a cut"), Some(Committed::Done), "{crash}");
        assert_eq!(shop.files().await.len(), 1, "{crash}");
        shop.assert_rebuilds(events).await;
        let others =
            "SELECT count(*) AS found FROM base_pieces p JOIN galleries g USING (gallery_id) WHERE p.cut <> g.base_cut";
        assert_eq!(shop.count(others).await, 0, "what was replaced is gone: {crash}");
    }
}

#[tokio::test]
async fn a_base_forgets_an_erased_session_and_goes_with_its_gallery() {
    let shop = shop().await;
    shop.patch(json!({"guard": true})).await;
    shop.day(0).await;
    shop.go_to(20, 0);
    shop.keep_house().await;
    assert_eq!(shop.files().await, []);
    let sessions = "SELECT count(*) AS found FROM base_pieces WHERE kind = 3";
    let before = shop.count(sessions).await;
    let body = json!({"session_id": Uuid::from_u128(1)});
    let path = format!("/api/v1/projects/{}/erasures", shop.project_id);
    assert_eq!(shop.server.post(&path, ADMIN_KEY, &body).await.status, StatusCode::ACCEPTED);
    shop.server.app.erase.step().await.expect("a step");
    assert_eq!(shop.server.get(&path, ADMIN_KEY).await.json()["erasures"][0]["state"], "done");
    assert_eq!(shop.count(sessions).await, before - 1);

    assert_eq!(shop.server.delete(&shop.path(""), &shop.key).await.status, StatusCode::NO_CONTENT);
    while shop.server.app.catalog.clear_deleted_galleries(7).await.expect("cleared") {}
    assert_eq!(shop.count("SELECT count(*) AS found FROM base_pieces").await, 0);
    shop.server.app.cut.step().await.expect("nothing is in its way");
}

#[tokio::test]
async fn an_erasure_that_was_requested_finds_its_events_before_they_are_let_go() {
    let shop = shop().await;
    shop.go_to(0, 0);
    shop.say(1).await;
    shop.say(2).await;
    shop.refresh().await;
    shop.server.app.flush.run().await.expect("a flush");
    shop.go_to(20, 0);
    let path = format!("/api/v1/projects/{}/erasures", shop.project_id);
    let request = shop.server.post(&path, ADMIN_KEY, &json!({"session_id": Uuid::from_u128(1)})).await;
    assert_eq!(request.status, StatusCode::ACCEPTED);
    assert_eq!(shop.server.app.cut.step().await.expect("a look"), None, "not before it is done");
    assert_eq!(shop.files().await.len(), 1);

    shop.server.app.erase.step().await.expect("a step");
    assert_eq!(shop.server.app.cut.step().await.expect("a cut"), Some(Committed::Done));
    assert_eq!(shop.files().await, []);
    let receipt = shop.server.get(&path, ADMIN_KEY).await.json()["erasures"][0].clone();
    assert_eq!((&receipt["state"], &receipt["events"]), (&json!("done"), &json!(1)), "{receipt}");
    let sums = shop.ask("/analytics/counts?sessions=false").await;
    assert_eq!((&sums["rows"][0]["count"], &sums["served_from"]), (&json!(1), &json!("rollup")), "{sums}");
}

#[tokio::test]
async fn an_answer_that_knows_the_sessions_of_events_that_are_gone_is_complete() {
    let shop = shop().await;
    for day in [0, 1, 12] {
        shop.go_to(day, 0);
        shop.say(u128::try_from(day).expect("positive")).await;
        shop.refresh().await;
        if day == 1 {
            shop.ask("/analytics/counts").await;
        }
        shop.keep_house().await;
    }
    assert_eq!(shop.server.app.catalog.marks().await.expect("marks")[0].complete_from, Some(begin_of(2)));
    let answer = shop.ask("/analytics/counts").await;
    assert_eq!(answer["served_from"], "raw", "the last day has to be looked at");
    let sessions: Vec<&Value> = answer["rows"].as_array().expect("rows").iter().map(|row| &row["sessions"]).collect();
    assert_eq!(sessions, [1, 1, 1], "{answer}");
    assert_eq!(answer["complete_from"], Value::Null);
    assert_eq!(is_complete_from(&shop.ask("/analytics/counts?interval=all").await), begin_of(2));
}

#[tokio::test]
async fn unless_it_is_set_events_are_kept_for_ever() {
    let shop = Shop::open().await;
    shop.load_pictures(25).await;
    shop.day(0).await;
    shop.go_to(4_000, 0);
    shop.keep_house().await;
    assert_eq!(shop.files().await.len(), 1);
    assert_eq!(shop.ask("/events").await["complete_from"], Value::Null);
}

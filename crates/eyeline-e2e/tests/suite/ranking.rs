//! The effect of ranking: the visitors of `eyeline simulate`, over HTTP.

use eyeline_e2e::project::{gallery_event, row};
use eyeline_e2e::uploads::id;
use eyeline_e2e::visitors::play;
use eyeline_e2e::{Project, Server, on_both_catalogs};
use eyeline_simulation::{Ranking, Scenario, Strategy};
use serde_json::json;

on_both_catalogs!(
    visitors_bring_a_gallery_what_they_bring_to_the_ranking_in_memory,
    bots_bring_a_guarded_gallery_what_they_bring_to_the_ranking_in_memory,
    an_order_made_anew_knows_what_the_minute_before_has_taught,
);

/// The largest difference between the clicks of a server's orders and those of the same visitors in memory, as a part
/// of an oracle's clicks. A slow server receives some acts a minute later, and chance draws by the minute.
const DIFFERENCE_MAX: f64 = 0.05;

async fn with_test_clock(mut server: Server) -> Server {
    server.stop().await;
    server.set("EYELINE_TEST_CLOCK", "true");
    server.start_again().await;
    server
}

async fn compare(server: Server, scenario: &str, sessions: usize, ranking: Ranking) {
    let server = with_test_clock(server).await;
    let mut scenario = Scenario::named(scenario).expect("a scenario");
    scenario.sessions = sessions;
    let setting = serde_json::to_value(ranking).expect("a setting can be written");
    let played = play(&server, scenario, &setting, &[0, 1, 2]).await;
    let (mut over_http, mut in_memory) = (0.0, 0.0);
    for gallery in &played {
        over_http += gallery.report.fraction / played.len() as f64;
        let again = eyeline_simulation::play(scenario, ranking, gallery.report.seed, gallery.gallery_id);
        in_memory += again.fraction / played.len() as f64;
    }
    assert!((over_http - in_memory).abs() <= DIFFERENCE_MAX, "{over_http} over HTTP, {in_memory} in memory");
    let newest = Ranking { strategy: Strategy::Newest, ..ranking };
    let unranked = eyeline_simulation::play(scenario, newest, 0, played[0].gallery_id).fraction;
    assert!(played[0].report.fraction > unranked, "{} by interest, {unranked} by newest", played[0].report.fraction);
}

async fn visitors_bring_a_gallery_what_they_bring_to_the_ranking_in_memory(server: Server) {
    let ranking = Ranking { strategy: Strategy::Interest, ..Ranking::default() };
    compare(server, "static_small", 1_000, ranking).await;
}

async fn bots_bring_a_guarded_gallery_what_they_bring_to_the_ranking_in_memory(server: Server) {
    let ranking = Ranking { strategy: Strategy::Interest, guard: true, ..Ranking::default() };
    compare(server, "fraud", 1_000, ranking).await;
}

async fn an_order_made_anew_knows_what_the_minute_before_has_taught(server: Server) {
    let server = with_test_clock(server).await;
    let set_clock = async |now: &str| drop(server.admin.post("/test/clock", &json!({ "now": now })).await.expect(200));
    set_clock("2030-01-01T00:00:00Z").await;
    let project = Project::create(&server, "lessons").await;
    let gallery = json!({"project_id": project.id, "name": "lessons", "ranking": {"strategy": "interest"}});
    let gallery_id = id(&project.key.post("/galleries", &gallery).await.expect(201).json(), "gallery_id");
    project.load(&gallery_id, &json!([row("a", 0), row("b", 1)])).await;
    project.send_event(&gallery_event("view", &gallery_id, "a")).await.expect(201);
    let of_its_minute = project.refresh(&gallery_id).await["order_id"].clone();
    set_clock("2030-01-01T00:02:00Z").await;
    let of_a_later_one = project.refresh(&gallery_id).await["order_id"].clone();
    assert_ne!(of_a_later_one, of_its_minute);
    assert_eq!(project.refresh(&gallery_id).await["order_id"], of_a_later_one, "nothing more was taught");
}

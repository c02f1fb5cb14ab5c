//! Power cuts while events arrive.

use std::time::Duration;

use eyeline_e2e::lake::Lake;
use eyeline_e2e::power_cut::{Lost, PowerCut, Spares};
use eyeline_e2e::random::Random;
use eyeline_e2e::{Catalog, Server};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{
    FLUSH_SECONDS, all_of, begin, expect_all_counted_once, expect_every_acknowledged_event, expect_no_event_twice,
    send_events,
};

const CUTS: u64 = 8;

/// PostgreSQL keeps its own data. An installation's own data is the same on both catalogs, and larger with SQLite.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_over_power_cuts() {
    let mut server = Server::start_with(Catalog::Sqlite, &[FLUSH_SECONDS]).await;
    let story = begin(&server).await;
    server.stop().await;
    let power = PowerCut::over(&mut server);
    server.start_again().await;
    let senders = send_events(&story);

    let mut random = Random::new(8);
    let mut lost = Lost::default();
    for cut in 0..CUTS {
        sleep(Duration::from_millis(300 + random.below(900))).await;
        server.kill().await;
        let spares = if cut % 2 == 0 { Spares::Nothing } else { Spares::ByChance };
        let Lost { files, names } = power.cut(&spares, &mut random);
        lost = Lost { files: lost.files + files, names: lost.names + names };
        expect_no_event_twice(&Lake::read(&server).await);
        server.start_again().await;
        expect_every_acknowledged_event(&story).await;
        if senders.iter().any(JoinHandle::is_finished) {
            break;
        }
    }

    story.stop();
    let counted = all_of(senders).await;
    expect_all_counted_once(&server, &story, &counted).await;
    eprintln!("{CUTS} power cuts took {lost:?}, and nothing of {} events", counted.ids.len());
    // Cuts that lose nothing would show nothing.
    assert!(lost.files > 0, "{lost:?}");
}

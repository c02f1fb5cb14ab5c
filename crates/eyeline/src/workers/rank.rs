//! Publishes orders when they are due, and answers other processes.

use std::time::Duration;

use eyeline_store::Result;
use futures::StreamExt as _;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::flow::gallery::answers;
use crate::flow::gallery::rank::Orders;
use crate::secrets;

/// The interval at which hints and questions are read: the shortest time between two orders of a gallery.
const TICK: Duration = Duration::from_millis(100);
/// Ticks between two comparisons with the catalog, drawn at random, so that processes do not ask at the same moment.
const POLL_TICKS: std::ops::Range<u8> = 9..12;
const PUBLICATIONS_AT_ONCE: usize = 2;
/// Polls between two sweeps of the records.
const SWEEP_POLLS: u8 = 30;
/// The pause after a failure of the records' engine.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Runs until `stop`. If the catalog is unavailable it retries, and pages are served from the present orders.
pub async fn run(orders: Orders, stop: CancellationToken) -> Result<(), String> {
    // A large order that is being made delays no answer.
    tokio::join!(
        publish(&orders, &stop),
        repeat("other processes wait for their orders", &stop, || answers::answer(&orders)),
        repeat("lost orders could not be stored again", &stop, || orders.restore()),
    );
    Ok(())
}

async fn publish(orders: &Orders, stop: &CancellationToken) {
    let mut ticks = ticks();
    let (mut poll_in, mut sweep_in) = (POLL_TICKS.end, SWEEP_POLLS);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        poll_in -= 1;
        if poll_in == 0 {
            let [drawn] = secrets::random::<1>();
            poll_in = POLL_TICKS.start + drawn % (POLL_TICKS.end - POLL_TICKS.start);
            if let Err(error) = orders.poll().await {
                tracing::warn!(%error, "galleries could not be compared with the catalog");
            }
            orders.sweep();
            sweep_in -= 1;
            if sweep_in == 0 {
                sweep_in = SWEEP_POLLS;
                if let Err(error) = orders.sweep_records().await {
                    tracing::warn!(%error, "old orders could not be removed");
                }
            }
        }
        let due = futures::stream::iter(orders.due());
        due.for_each_concurrent(PUBLICATIONS_AT_ONCE, |ranked| async {
            let ranked = ranked;
            if let Err(error) = orders.publish(&ranked).await {
                tracing::warn!(%error, gallery.id = %ranked.gallery_id(), "an order could not be published");
            }
        })
        .await;
    }
}

/// Does `work` at every tick. Tells of a failure with `trouble`.
async fn repeat<F: Future<Output = Result<()>>>(trouble: &str, stop: &CancellationToken, work: impl Fn() -> F) {
    let mut ticks = ticks();
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = work().await {
            tracing::warn!(%error, "{trouble}");
            ticks.reset_after(AFTER_FAILURE);
        }
    }
}

fn ticks() -> Interval {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

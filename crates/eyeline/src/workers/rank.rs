//! Publishes orders when they are due.

use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::flow::gallery::rank::Orders;
use crate::secrets;

/// The interval at which hints are read: the shortest time between two orders of a gallery.
const TICK: Duration = Duration::from_millis(100);
/// Ticks between two comparisons with the catalog, drawn at random, so that processes do not ask at the same moment.
const POLL_TICKS: std::ops::Range<u8> = 9..12;
const PUBLICATIONS_AT_ONCE: usize = 2;
/// Polls between two sweeps of the records.
const SWEEP_POLLS: u8 = 30;

/// Runs until `stop`. If the catalog is unavailable it retries, and pages are served from the present orders.
pub async fn run(orders: Orders, stop: CancellationToken) -> Result<(), String> {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut poll_in, mut sweep_in) = (POLL_TICKS.end, SWEEP_POLLS);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
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
        if let Err(error) = orders.answer().await {
            tracing::warn!(%error, "other processes wait for their orders");
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

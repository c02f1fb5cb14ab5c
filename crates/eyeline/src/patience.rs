//! The longest wait for the other side of a connection.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes a second that must pass on average.
const RATE_MIN: u64 = 1024;
/// The total wait without bytes is at most this many times the longest silence.
const SILENCES: u32 = 10;

/// Ends a wait after `silence_max`. Ends a series of waits when they exceed their credit: each KiB that passes earns
/// one second, up to [`SILENCES`] times `silence_max`.
pub struct Patience {
    silence_max: Duration,
    /// The remaining credit, never more than [`SILENCES`] times the longest silence.
    left: Duration,
    since: Option<Instant>,
    /// Created by the first wait, because most bodies and answers need none.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub fn new(silence_max: Duration) -> Self {
        Patience { silence_max, left: silence_max * SILENCES, since: None, timer: None }
    }

    /// Credits `bytes` that passed.
    pub fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        let worth = Duration::from_micros((bytes as u64).saturating_mul(1_000_000) / RATE_MIN);
        self.left = self.left.saturating_add(worth).min(self.silence_max * SILENCES);
    }

    /// Call it while no byte can pass. Ready once the wait has become too long.
    pub fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now())));
        if self.since.is_none() {
            let now = Instant::now();
            timer.as_mut().reset(now + self.silence_max.min(self.left));
            self.since = Some(now);
        }
        timer.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::timeout;

    use super::*;

    const SILENCE: Duration = Duration::from_millis(200);

    /// True if the patience ends within a further wait.
    async fn is_over_within(patience: &mut Patience, wait: Duration) -> bool {
        timeout(wait, poll_fn(|context| patience.poll_over(context))).await.is_ok()
    }

    #[tokio::test]
    async fn a_silence_is_waited_for_so_long() {
        let mut patience = Patience::new(SILENCE);
        assert!(!is_over_within(&mut patience, Duration::ZERO).await);
        patience.moved(1);
        let began = Instant::now();
        assert!(is_over_within(&mut patience, SILENCE * 100).await);
        assert!(began.elapsed() >= SILENCE);
    }

    #[tokio::test]
    async fn a_byte_now_and_then_is_waited_for_ten_times_as_long() {
        let mut patience = Patience::new(SILENCE);
        let began = Instant::now();
        while !is_over_within(&mut patience, SILENCE / 4).await {
            patience.moved(1);
            assert!(began.elapsed() < SILENCE * 100, "it waits for ever");
        }
    }

    #[tokio::test]
    async fn a_kilobyte_is_worth_a_second() {
        let mut patience = Patience::new(SILENCE);
        patience.left = Duration::ZERO;
        patience.moved(100);
        assert_eq!(patience.left, Duration::from_micros(97_656));
        patience.moved(1 << 30);
        assert_eq!(patience.left, SILENCE * SILENCES, "it is not saved up");
    }
}

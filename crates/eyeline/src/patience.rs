//! How long the other side of a connection is waited for.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes a second that have to arrive, or be taken, on the whole.
const RATE_MIN: u64 = 1024;
/// How many times the longest silence may be waited in all without a byte that makes up for it.
const SILENCES: u32 = 10;

/// Ends a wait after a silence, and many waits once they have taken longer than the bytes in between are worth at
/// 1 KiB a second.
pub struct Patience {
    silence_max: Duration,
    /// Time that may still be waited; never more than [`SILENCES`] times the longest silence.
    left: Duration,
    since: Option<Instant>,
    /// Made at the first wait: most bodies and answers need none.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub fn new(silence_max: Duration) -> Self {
        Patience { silence_max, left: silence_max * SILENCES, since: None, timer: None }
    }

    /// So many bytes came, or went.
    pub fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        let worth = Duration::from_micros((bytes as u64).saturating_mul(1_000_000) / RATE_MIN);
        self.left = self.left.saturating_add(worth).min(self.silence_max * SILENCES);
    }

    /// To be called while there is nothing to move; ready once the patience is over.
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

    /// Whether the patience is over within a further wait.
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

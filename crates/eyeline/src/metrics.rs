//! Metrics of the HTTP server in the text format of Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds, in seconds, of the buckets of request durations; the last one has none.
const BOUNDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Cheap to clone; clones share the numbers.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Numbers>);

#[derive(Default)]
struct Numbers {
    /// By the first digit of the status, 1 to 5.
    requests: [AtomicU64; 5],
    /// Requests that took at most each bound and longer than the one before.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Metrics {
    pub fn count_request(&self, status: u16, took: Duration) {
        let class = usize::from((status / 100).clamp(1, 5)) - 1;
        self.0.requests[class].fetch_add(1, Ordering::Relaxed);
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.0.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// In Prometheus' text format.
    pub fn render(&self) -> Text {
        let mut text = Text::default();
        text.family("eyeline_http_requests_total", "counter", "Requests answered, by class of status.");
        for (class, count) in self.0.requests.iter().enumerate() {
            let labels = format!("{{status=\"{}xx\"}}", class + 1);
            text.sample("eyeline_http_requests_total", &labels, count.load(Ordering::Relaxed) as f64);
        }
        text.family("eyeline_http_request_duration_seconds", "histogram", "Until the head of the answer.");
        let mut sum = 0;
        for (bucket, count) in self.0.buckets.iter().enumerate() {
            sum += count.load(Ordering::Relaxed);
            let bound = BOUNDS.get(bucket).map_or("+Inf".to_owned(), f64::to_string);
            text.sample("eyeline_http_request_duration_seconds_bucket", &format!("{{le=\"{bound}\"}}"), sum as f64);
        }
        let seconds = self.0.micros.load(Ordering::Relaxed) as f64 / 1e6;
        text.sample("eyeline_http_request_duration_seconds_sum", "", seconds);
        text.sample("eyeline_http_request_duration_seconds_count", "", sum as f64);
        text
    }
}

/// A metrics text under construction.
#[derive(Default)]
pub struct Text(String);

impl Text {
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _infallible = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// `labels` includes its braces, or is empty.
    pub fn sample(&mut self, name: &str, labels: &str, value: f64) {
        let _infallible = writeln!(self.0, "{name}{labels} {value}");
    }

    pub fn finish(self) -> String {
        self.0
    }
}

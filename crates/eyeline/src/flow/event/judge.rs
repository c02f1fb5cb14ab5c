//! Judging events by the schemas of their types, on threads in the background: a judgement takes up to some 30 ms.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eyeline_core::event::GalleryAct;
use eyeline_core::{Event, FieldErrors, Schema};
use eyeline_store::catalog::events::Misfit;
use eyeline_store::{Error, Result};

use crate::background::{Background, Yields};

/// Why an event is quarantined that does not fit the schema of its type.
pub const SCHEMA: &str = "schema";
/// Why an event of a gallery is quarantined that lacks what such an event has to have.
pub const INVALID: &str = "invalid";
/// Why an event is quarantined over which the server failed.
pub const FAILED: &str = "failed";

/// How long stored events are judged before those that are judged are applied.
const PIECE_TIME: Duration = Duration::from_millis(250);

/// What an event does to a gallery, or why it does not count.
pub type Verdict = std::result::Result<Option<GalleryAct>, Misfit>;

/// Stored events, with the schema that each is still to be judged by.
pub type Cases = Vec<(Event, Option<Arc<Schema>>)>;

/// The outcome of judging stored events.
pub struct Judged {
    /// In the order they were given, at least one.
    pub events: Vec<(Event, Verdict)>,
    /// For which the time was too short.
    pub rest: Vec<Event>,
}

/// Judges stored events, for `PIECE_TIME`. Those without a schema take no time, so that they are not held up.
pub async fn judge(background: &Background, cases: Cases) -> Result<Judged> {
    let takes_time = cases.iter().any(|(_, schema)| schema.is_some());
    let judge = move || {
        let start = Instant::now();
        let mut events = Vec::with_capacity(cases.len());
        let mut cases = cases.into_iter();
        for (event, schema) in cases.by_ref() {
            let verdict = verdict(&event, schema.as_deref());
            events.push((event, verdict));
            if schema.is_some() && start.elapsed() >= PIECE_TIME {
                break;
            }
        }
        Judged { events, rest: cases.map(|(event, _)| event).collect() }
    };
    if takes_time {
        return background.run(Yields::Much, judge).await;
    }
    tokio::task::spawn_blocking(judge).await.map_err(|error| Error::internal("judging events", error))
}

fn verdict(event: &Event, schema: Option<&Schema>) -> Verdict {
    caught(|| {
        let errors = schema.map_or_else(FieldErrors::new, |schema| schema.check(&event.data));
        errors.or(()).map_err(|errors| Misfit { reason: SCHEMA, errors })?;
        event.gallery_act().map_err(|errors| Misfit { reason: INVALID, errors })
    })
    .flatten()
}

/// What is wrong with data; a panic of the validator's is an error like others.
pub fn errors(check: impl FnOnce() -> FieldErrors) -> FieldErrors {
    caught(check).unwrap_or_else(|misfit| misfit.errors)
}

/// Turns a panic into a misfit: whatever an event does to the validator, the next one is judged.
fn caught<T>(judge: impl FnOnce() -> T) -> std::result::Result<T, Misfit> {
    catch_unwind(AssertUnwindSafe(judge)).map_err(|panic| {
        let reason = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let reason = reason.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        tracing::error!(reason, "judging an event panicked");
        Misfit { reason: FAILED, errors: FieldErrors::one("", "The server could not judge this event; it was logged.") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_misfit_with_a_reason() {
        let misfit = caught(|| -> u8 { panic!("for the test") }).expect_err("a misfit");
        assert_eq!(misfit.reason, FAILED);
        assert_eq!(misfit.errors.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["body"]);
        assert!(!errors(|| panic!("for the test {}", 2)).is_empty());
        assert_eq!(caught(|| 1).expect("a value"), 1);
    }
}

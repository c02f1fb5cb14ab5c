//! Judges events by the schemas of their types, on background threads, because one judgement takes up to about 30 ms.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eyeline_core::event::GalleryAct;
use eyeline_core::{Event, FieldErrors, Schema};
use eyeline_store::catalog::events::Misfit;
use eyeline_store::{Error, Result};

use crate::background::{Background, Yields};

/// The reason in quarantine of an event that does not fit the schema of its type.
pub const SCHEMA: &str = "schema";
/// The reason in quarantine of a view or click whose `data` is invalid.
pub const INVALID: &str = "invalid";
/// The reason in quarantine of an event whose judgement panicked.
pub const FAILED: &str = "failed";

/// The time after which judging pauses, so that the judged events can be applied.
const PIECE_TIME: Duration = Duration::from_millis(250);

/// The view or click that an event stands for, if any, or the reason why it does not count.
pub type Verdict = std::result::Result<Option<GalleryAct>, Misfit>;

/// Stored events, each with the schema to judge it by. `None` if it has none or was judged before.
pub type Cases = Vec<(Event, Option<Arc<Schema>>)>;

/// The outcome of judging stored events.
pub struct Judged {
    /// In the given order; at least one unless there were none.
    pub events: Vec<(Event, Verdict)>,
    /// The events that were not judged in time.
    pub rest: Vec<Event>,
}

/// Judges stored events for about `PIECE_TIME`. If none has a schema, it does not queue for the background threads.
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

/// The errors that `check` finds. A panic of the validator becomes an error too.
pub fn errors(check: impl FnOnce() -> FieldErrors) -> FieldErrors {
    caught(check).unwrap_or_else(|misfit| misfit.errors)
}

/// Turns a panic of the validator into a misfit, so that one event cannot stop the next.
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

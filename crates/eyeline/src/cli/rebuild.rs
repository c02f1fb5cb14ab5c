//! `eyeline rebuild --verify`.

use crate::app::App;
use crate::flow::lake::rebuild::{self, Cause, Verified};
use crate::settings::Settings;

use super::say;

#[derive(clap::Args)]
#[command(after_help = "\
Recounts every applied event, from the lake files and the inbox, and compares the result with the catalog: the counters,
what was learnt, and the resulting orders. Events older than the retention period count by their stored sums. Each event
is counted under the settings of its time (guard, half_life). Changes nothing. The server must be stopped.
A gallery also differs in two cases that are not faults. After an erasure, the session's views and clicks stay counted
without their events: then exactly the erased events are missing. After images were deleted, or got another created_at,
the difference cannot be told from a fault.")]
pub(super) struct Arguments {
    /// Compare without changing anything
    #[arg(long, required = true)]
    verify: bool,
}

/// Fails with the number of galleries that differ, if any do.
pub(super) async fn run(settings: Settings, _: &Arguments) -> Result<(), String> {
    let app = App::open(settings, "/proc/self/exe".into()).await?;
    let verified =
        rebuild::verify(&app.catalog, &*app.inbox, &app.usage, &app.clock).await.map_err(|error| error.to_string())?;
    for Verified { gallery_id, events, before, after, cause } in &verified {
        let (sign, cause) = match cause {
            Cause::Equal => ("=", String::new()),
            Cause::Erased(erased) => ("≠", format!("  erasures deleted {erased} of its events, which stay counted")),
            Cause::Fault { missing, erased } => {
                ("≠", format!("  FAULT: {missing} events are missing, of which erasures deleted {erased}"))
            }
        };
        say(&format!("gallery {gallery_id}  {events} events  order {before} {sign} {after}{cause}"));
    }
    let wrong = verified.iter().filter(|gallery| matches!(gallery.cause, Cause::Fault { .. })).count();
    match wrong {
        0 => Ok(()),
        _ => Err(format!("{wrong} of {} galleries differ from what their events say", verified.len())),
    }
}

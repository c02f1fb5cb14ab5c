//! `eyeline rebuild --verify`.

use crate::app::App;
use crate::flow::lake::rebuild::{self, Cause, Verified};
use crate::settings::Settings;

use super::say;

#[derive(clap::Args)]
#[command(after_help = "\
Counts every event again, those in files and those in the inbox, from the first to the last that was applied, and compares
what comes out with the catalog (events that are not kept any more count as what they had come to): the numbers, what was learnt, and the orders that follow from them. Each event is counted
under the settings of its time (guard, half_life). Changes nothing. The server has to be stopped. A gallery that an erased
session has visited differs: its views and clicks stay counted, and its events are gone. That is no fault if exactly the
erased events are missing. A gallery also differs if images were deleted after they were visited or got another created_at;
that cannot be told from a fault.")]
pub(super) struct Arguments {
    /// Compare, and change nothing
    #[arg(long, required = true)]
    verify: bool,
}

/// The error names how many galleries differ.
pub(super) async fn run(settings: Settings, _: &Arguments) -> Result<(), String> {
    let app = App::open(settings, "/proc/self/exe".into()).await?;
    let verified = rebuild::verify(&app).await.map_err(|error| error.to_string())?;
    for Verified { gallery_id, events, before, after, cause } in &verified {
        let (sign, cause) = match cause {
            Cause::Equal => ("=", String::new()),
            Cause::Erased(erased) => ("≠", format!("  erasures took {erased} of its events, which stay counted")),
            Cause::Fault { missing, erased } => {
                ("≠", format!("  FAULT: {missing} events are missing, of which erasures took {erased}"))
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

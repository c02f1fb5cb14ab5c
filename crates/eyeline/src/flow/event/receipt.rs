//! The receipt of one event: its record and its fate.

use eyeline_core::event::{ActKind, ImageRef};
use eyeline_core::{ApplicationId, Event, EventId, GalleryId, ProjectId, Timestamp};
use eyeline_store::catalog::quarantine::Quarantined;
use eyeline_store::catalog::rollups::Level;
use eyeline_store::{Catalog, Result};

use crate::flow::lake::history::History;

/// The state of an event.
pub enum Fate {
    /// In the inbox, and not applied yet.
    Waiting,
    /// In quarantine, with the reasons.
    Quarantined(Box<Quarantined>),
    Counted(CountedIn),
}

/// The counters that hold an event.
pub struct CountedIn {
    /// The starts of its roll-up hour and roll-up day (UTC).
    pub hour: Timestamp,
    pub day: Timestamp,
    /// The act it counts as, with the gallery and the image.
    pub image: Option<(ActKind, GalleryId, ImageRef)>,
}

/// Returns the event of this id and its fate; `None` if there is no such event. `of_caller` is the project that the caller
/// is confined to, if there is one.
pub async fn of(
    history: &History,
    catalog: &Catalog,
    of_caller: Option<ProjectId>,
    application_id: ApplicationId,
    event_id: EventId,
) -> Result<Option<(Event, Fate)>> {
    // An event goes from the inbox to the quarantine or to the lake. The search goes the same way, so that it cannot miss
    // an event that moves meanwhile.
    if let Some(event) = history.find_waiting(application_id, event_id).await? {
        return Ok(Some((event, Fate::Waiting)));
    }
    if let Some(quarantined) = catalog.quarantined_event(application_id, event_id).await? {
        return Ok(Some((quarantined.event.clone(), Fate::Quarantined(Box::new(quarantined)))));
    }
    let Some(event) = history.find(of_caller, application_id, event_id).await? else { return Ok(None) };
    let hour = Level::Hour.floor(event.timestamp);
    let day = Level::Day.floor(event.timestamp);
    let image = event.gallery_act().ok().flatten().map(|act| (act.kind, act.gallery_id, act.image));
    Ok(Some((event, Fate::Counted(CountedIn { hour, day, image }))))
}

//! Events: what an application says that a visitor did.

mod data;
mod envelope;
mod record;
mod source;

pub use data::{DATA_BYTES_MAX, DATA_DEPTH_MAX, check_data, gallery_act};
pub use envelope::{Envelope, TEXT_CHARS_MAX};
use serde::{Deserialize, Serialize};
pub use source::{Client, Source, declares_robot, network_of};
use utoipa::ToSchema;

use crate::{ApplicationId, EventId, FieldErrors, GalleryId, ImageId, OrderId, ProjectId, SessionId, Timestamp};

/// The category of the events that count for images of galleries.
pub const GALLERY_CATEGORY: &str = "gallery";

/// An event as it is stored: the sender's envelope and what the server added at the door. Never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub event_id: EventId,
    /// The sender named the event, so that it may send it again; the server's own ids need no search for duplicates.
    pub id_given: bool,
    pub project_id: ProjectId,
    pub application_id: ApplicationId,
    pub received_at: Timestamp,
    pub session_id: SessionId,
    pub visitor_id: Option<String>,
    pub category: String,
    pub name: String,
    /// A JSON object, byte for byte as it was sent.
    pub data: Box<str>,
    pub timestamp: Timestamp,
    /// Where it came from; `None` when the server that sent it did not say.
    pub source: Option<Source>,
    /// The schema of its type at the time; `None` when the type had none.
    pub schema: Option<SchemaMark>,
    /// Set once the event comes out of quarantine.
    pub replay: Option<Replay>,
}

/// The version of a schema that judges an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaMark {
    pub version: u32,
    /// It was judged, and is in order; otherwise it is judged when it is applied.
    pub checked: bool,
}

/// What becomes of an event that does not fit the schema of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnInvalid {
    /// It is refused at the door.
    Reject,
    /// It is accepted and kept apart with the reasons.
    Quarantine,
}

impl OnInvalid {
    pub const fn as_str(self) -> &'static str {
        match self {
            OnInvalid::Reject => "reject",
            OnInvalid::Quarantine => "quarantine",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "reject" => Some(OnInvalid::Reject),
            "quarantine" => Some(OnInvalid::Quarantine),
            _ => None,
        }
    }
}

/// That an event is taken in once more, out of quarantine: it counts if it is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Its place in quarantine, which is the one it had in the inbox.
    pub partition: u32,
    pub offset: i64,
    pub at: Timestamp,
}

/// What a visitor did to an image of a gallery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GalleryAct {
    pub kind: ActKind,
    pub gallery_id: GalleryId,
    pub image: ImageRef,
    /// The order that the visitor saw, as the sender says.
    pub order_id: Option<OrderId>,
    /// The place in that order at which the server had served the image, 0 being the first. The sender has no say in
    /// it: it is found when the event is applied.
    pub place: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActKind {
    View,
    Click,
}

/// How the sender names an image.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ImageRef {
    Id(ImageId),
    External(String),
}

impl Event {
    /// When the event came into the inbox: for one out of quarantine later than it was received.
    pub fn arrived_at(&self) -> Timestamp {
        self.replay.map_or(self.received_at, |replay| replay.at)
    }

    /// The act on a gallery that this event tells of, if it does. The error is unexpected: the door checked it.
    pub fn gallery_act(&self) -> Result<Option<GalleryAct>, FieldErrors> {
        data::gallery_act(&self.category, &self.name, &self.data)
    }
}

//! Events: what an application says that a visitor did.

mod data;
mod envelope;
mod record;
mod source;

pub use data::{DATA_BYTES_MAX, DATA_DEPTH_MAX, check_data, gallery_act};
pub use envelope::{Envelope, TEXT_CHARS_MAX};
pub use record::Outline;
use serde::{Deserialize, Serialize};
pub use source::{Client, Source, declares_robot, network_of};
use utoipa::ToSchema;

use crate::{ApplicationId, EventId, FieldErrors, GalleryId, ImageId, ProjectId, SessionId, Timestamp};

/// The category of events that count for images of galleries.
pub const GALLERY_CATEGORY: &str = "gallery";

/// A stored event: the sender's envelope and the server's additions. It never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub event_id: EventId,
    /// True if the sender gave the id and may send the event again. The server's own ids need no search for duplicates.
    pub id_given: bool,
    pub project_id: ProjectId,
    pub application_id: ApplicationId,
    pub received_at: Timestamp,
    pub session_id: SessionId,
    pub visitor_id: Option<String>,
    pub category: String,
    pub name: String,
    /// A JSON object, byte for byte as sent.
    pub data: Box<str>,
    pub timestamp: Timestamp,
    /// The network and browser; `None` if the sending server did not name them.
    pub source: Option<Source>,
    /// The version of the type's schema at the time of receipt; `None` if the type had none.
    pub schema: Option<SchemaMark>,
    /// The contents of the place receipt that came with a view or click; `None` without one, or with one that is not
    /// valid.
    pub served: Option<Served>,
    /// Set when the event returns from quarantine.
    pub replay: Option<Replay>,
}

/// Where a page had served an image: the contents of a place receipt. The server signs it, so nobody invents one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The image's number in its gallery.
    pub ordinal: u32,
    /// From 0; the ranks after [`u16::MAX`] count as that one.
    pub rank: u16,
}

impl Served {
    /// Ranks from here on teach nothing: too few visitors get there.
    pub const RANKS_TAUGHT: u16 = 1_000;

    /// The rank that ranking may learn for the image with this ordinal; `None` if the receipt is another image's.
    pub fn rank_of(self, ordinal: u32) -> Option<u32> {
        (self.ordinal == ordinal && self.rank < Served::RANKS_TAUGHT).then_some(self.rank.into())
    }
}

/// The version of a schema that judges an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaMark {
    pub version: u32,
    /// True if the event was judged and fits; otherwise it is judged when it is applied.
    pub checked: bool,
}

/// The treatment of an event that does not fit the schema of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnInvalid {
    /// It is refused with 400.
    Reject,
    /// It is accepted and quarantined with the reasons.
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

/// Marks a replay: the event counts if its quarantine row still exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Its position in quarantine, which is the one it had in the inbox.
    pub partition: u32,
    pub offset: i64,
    pub at: Timestamp,
}

/// A view or click of an image in a gallery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GalleryAct {
    pub kind: ActKind,
    pub gallery_id: GalleryId,
    pub image: ImageRef,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActKind {
    View,
    Click,
}

/// The sender's name for an image.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ImageRef {
    Id(ImageId),
    External(String),
}

impl Event {
    /// The time when the event entered the inbox. For a replay it is later than the receipt.
    pub fn arrived_at(&self) -> Timestamp {
        self.replay.map_or(self.received_at, |replay| replay.at)
    }

    /// The view or click that this event reports, if any. An error is unexpected, because the data was checked on
    /// receipt.
    pub fn gallery_act(&self) -> Result<Option<GalleryAct>, FieldErrors> {
        data::gallery_act(&self.category, &self.name, &self.data)
    }
}

//! Events: what an application says that a visitor did.

mod data;
mod envelope;
mod record;

pub use data::{DATA_BYTES_MAX, DATA_DEPTH_MAX};
pub use envelope::{Envelope, TEXT_CHARS_MAX};

use crate::{ApplicationId, EventId, FieldErrors, GalleryId, ImageId, ProjectId, SessionId, Timestamp};

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
}

/// What a visitor did to an image of a gallery.
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

/// How the sender names an image.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ImageRef {
    Id(ImageId),
    External(String),
}

impl Event {
    /// The act on a gallery that this event tells of, if it does. The error is unexpected: the door checked it.
    pub fn gallery_act(&self) -> Result<Option<GalleryAct>, FieldErrors> {
        data::gallery_act(&self.category, &self.name, &self.data)
    }
}

//! Identifiers: one type per kind, so that an image's id can never be passed for a gallery's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map($name)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                $name(id)
            }
        }
    )*};
}

ids! {
    /// A tenant: the owner of images, galleries and events. Nothing of it is visible from another project.
    ProjectId;
    /// A sender of events in a project, such as a web site. The id is public: it sends events and reads public
    /// galleries.
    ApplicationId;
    /// An image with its original and its versions.
    ImageId;
    /// A set of images with an order.
    GalleryId;
    /// An event. The sender may choose the id; otherwise the server does.
    EventId;
    /// One visit, as the sending application sees it.
    SessionId;
    /// A piece of background work.
    JobId;
    /// A published order of a gallery.
    OrderId;
    /// A request to erase the events of a session.
    ErasureId;
}

impl OrderId {
    /// The id of the order with this number, published by the owner of a partition under the fencing token `fence`. Ids
    /// of one gallery sort by fence, then by number: the greatest one is the newest order. It is a UUIDv8 of 48 bits of
    /// the fence, 12 of the partition and 62 of the number.
    pub fn new(partition: u32, fence: i64, number: u64) -> Self {
        let high = u128::from(fence.max(0).unsigned_abs() & 0xffff_ffff_ffff) << 16 | u128::from(partition & 0xfff);
        let bits = high << 64 | u128::from(number & (u64::MAX >> 2));
        OrderId(uuid::Builder::from_custom_bytes(bits.to_be_bytes()).into_uuid())
    }
}

//! A cursor: the place in an order where a client's next page begins.

use eyeline_core::{GalleryId, OrderId, Strategy};

use crate::secrets::Secrets;

/// In the API a cursor is a signed, URL-safe text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub gallery_id: GalleryId,
    pub order_id: OrderId,
    pub strategy: Strategy,
    /// The number of the order among the strategy's concurrent orders.
    pub snapshot: u8,
    /// The index of the next image, from 0.
    pub place: u32,
}

const CURSOR: &str = "place in an order";

impl Cursor {
    pub fn seal(&self, secrets: &Secrets) -> String {
        let strategy = Strategy::ALL.iter().position(|strategy| *strategy == self.strategy).unwrap_or_default();
        let mut bytes = Vec::with_capacity(38);
        bytes.extend_from_slice(self.gallery_id.0.as_bytes());
        bytes.extend_from_slice(self.order_id.0.as_bytes());
        bytes.extend([u8::try_from(strategy).unwrap_or_default(), self.snapshot]);
        bytes.extend_from_slice(&self.place.to_be_bytes());
        secrets.seal(CURSOR, &bytes)
    }

    pub fn unseal(secrets: &Secrets, text: &str) -> Option<Self> {
        let bytes = secrets.unseal(CURSOR, text)?;
        let (gallery_id, rest) = bytes.split_first_chunk::<16>()?;
        let (order_id, rest) = rest.split_first_chunk::<16>()?;
        let ([strategy, snapshot], place) = rest.split_first_chunk()?;
        Some(Cursor {
            gallery_id: uuid::Uuid::from_bytes(*gallery_id).into(),
            order_id: uuid::Uuid::from_bytes(*order_id).into(),
            strategy: *Strategy::ALL.get(usize::from(*strategy))?,
            snapshot: *snapshot,
            place: u32::from_be_bytes(place.try_into().ok()?),
        })
    }
}

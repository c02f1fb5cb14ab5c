//! Place receipts: where a page served an image, signed, so that a view or click can bring it back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eyeline_core::event::Served;
use eyeline_core::{GalleryId, Timestamp};

use crate::secrets::Secrets;

/// Receipts of other versions are not valid.
const VERSION: u8 = 1;
/// Hours after the one in which a receipt was made, during which it is valid.
const HOURS_VALID: u32 = 24;
const HOUR_MICROS: i64 = 60 * 60 * 1_000_000;
const PURPOSE: &str = "place receipt";
const SIGNED_BYTES: usize = 10;

/// The whole hours since 1970 that a receipt holds. `now` is real time, also while a test sets the clock.
pub fn hour_of(now: Timestamp) -> u32 {
    u32::try_from(now.micros() / HOUR_MICROS).unwrap_or_default() & 0x00ff_ffff
}

/// Seals a receipt: 24 URL-safe characters, which are base64 of version (1 byte), ordinal (4), rank (2), hour (3) and the
/// first 8 bytes of an HMAC over these and the gallery's id. It is a bearer token: whoever has it can send it again.
pub fn seal(secrets: &Secrets, gallery_id: GalleryId, served: Served, hour: u32) -> String {
    let mut bytes = Vec::with_capacity(SIGNED_BYTES + 16);
    bytes.push(VERSION);
    bytes.extend(served.ordinal.to_be_bytes());
    bytes.extend(served.rank.to_be_bytes());
    bytes.extend(&hour.to_be_bytes()[1..]);
    let tag = secrets.hash(PURPOSE, &signed(&bytes, gallery_id));
    bytes.extend(tag.to_le_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns what the receipt says; `None` if it is not of this gallery, forged, or older than 24 hours.
pub fn unseal(secrets: &Secrets, gallery_id: GalleryId, text: &str, now_hour: u32) -> Option<Served> {
    let bytes: [u8; 18] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let (said, tag) = bytes.split_first_chunk::<SIGNED_BYTES>()?;
    let [VERSION, o1, o2, o3, o4, r1, r2, h1, h2, h3] = *said else { return None };
    let hour = u32::from_be_bytes([0, h1, h2, h3]);
    let is_valid = hour <= now_hour && now_hour - hour <= HOURS_VALID;
    let tag = u64::from_le_bytes(tag.try_into().ok()?);
    (is_valid && secrets.verify_hash(PURPOSE, &signed(said, gallery_id), tag))
        .then(|| Served { ordinal: u32::from_be_bytes([o1, o2, o3, o4]), rank: u16::from_be_bytes([r1, r2]) })
}

fn signed(said: &[u8], gallery_id: GalleryId) -> Vec<u8> {
    [said, gallery_id.0.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const GALLERY: GalleryId = GalleryId(Uuid::from_u128(7));

    fn secrets() -> Secrets {
        Secrets::new([7; 32], vec![])
    }

    proptest! {
        #[test]
        fn a_receipt_says_where_the_image_was_served(ordinal: u32, rank: u16, hour in 0u32..1 << 24, age in 0u32..=24) {
            let served = Served { ordinal, rank };
            let text = seal(&secrets(), GALLERY, served, hour);
            prop_assert_eq!(text.len(), 24);
            prop_assert_eq!(unseal(&secrets(), GALLERY, &text, hour + age), Some(served));
            prop_assert_eq!(unseal(&secrets(), GALLERY, &text, hour + 25), None);
            let rotated = Secrets::new([9; 32], vec![[7; 32]]);
            prop_assert_eq!(unseal(&rotated, GALLERY, &text, hour), Some(served));
            prop_assert_eq!(unseal(&secrets(), GalleryId(Uuid::from_u128(8)), &text, hour), None);
            prop_assert_eq!(unseal(&Secrets::new([8; 32], vec![]), GALLERY, &text, hour), None);
            prop_assert!(hour == 0 || unseal(&secrets(), GALLERY, &text, hour - 1).is_none(), "from the future");
        }

        #[test]
        fn a_changed_receipt_says_nothing(ordinal: u32, rank: u16, byte in 0usize..18, bit in 0u8..8) {
            let text = seal(&secrets(), GALLERY, Served { ordinal, rank }, 490_000);
            let mut bytes = URL_SAFE_NO_PAD.decode(text).expect("base64");
            bytes[byte] ^= 1 << bit;
            prop_assert_eq!(unseal(&secrets(), GALLERY, &URL_SAFE_NO_PAD.encode(bytes), 490_000), None);
        }

        #[test]
        fn any_other_text_says_nothing(text: String) {
            prop_assert_eq!(unseal(&secrets(), GALLERY, &text, 490_000), None);
        }
    }
}

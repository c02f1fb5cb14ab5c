//! Seeded events, by Zipf's law over 40 types and 10,000 images.

use eyeline_core::{Event, GalleryId, ProjectId, Timestamp};
use eyeline_lake::Record;
use uuid::Uuid;

pub const PROJECT: ProjectId = ProjectId(Uuid::from_u128(1));
pub const GALLERY: GalleryId = GalleryId(Uuid::from_u128(2));
/// 2026-11-02, a Monday.
pub const BEGIN: i64 = 1_793_577_600_000_000;
const FEATURES: u64 = 40;
const IMAGES: u64 = 10_000;

/// SplitMix64: the same events from the same seed everywhere.
pub struct Draws(pub u64);

impl Draws {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Below `count`, small numbers far more often: close to Zipf's law with exponent 1.
    pub fn zipf(&mut self, count: u64) -> u64 {
        (((count as f64 + 1.0).powf(self.part()) - 1.0) as u64).min(count - 1)
    }

    pub fn id(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes((u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes())
            .into_uuid()
    }
}

/// What one visitor does at a moment (microseconds since 1970): a quarter concerns the gallery's images.
pub fn record(draws: &mut Draws, context: &uuid::ContextV7, session_id: Uuid, visitor: &str, at: i64) -> Record {
    let received = at + 20_000 + (draws.next() % 180_000) as i64;
    let made = uuid::Timestamp::from_unix(
        context,
        received.unsigned_abs() / 1_000_000,
        (received.unsigned_abs() % 1_000_000 * 1_000) as u32,
    );
    let mut place = None;
    let (category, name, data) = if draws.next().is_multiple_of(4) {
        let image = Uuid::from_u128(1_000 + u128::from(draws.zipf(IMAGES)));
        let name = if draws.next().is_multiple_of(8) { "click" } else { "view" };
        let position = 1 + draws.zipf(60);
        place = Some(position as u32 - 1);
        let data = serde_json::json!({"gallery_id": GALLERY, "image_id": image, "position": position});
        ("gallery".to_owned(), name.to_owned(), data)
    } else {
        let feature = draws.zipf(FEATURES);
        let data = serde_json::json!({"path": format!("/section/{feature}"), "width": 320 + 16 * (draws.next() % 60)});
        (format!("category-{}", feature % 5), format!("feature-{feature}"), data)
    };
    Record {
        partition: 0,
        offset: 0,
        event: Event {
            event_id: Uuid::new_v7(made).into(),
            id_given: false,
            project_id: PROJECT,
            application_id: Uuid::from_u128(10 + u128::from(draws.zipf(3))).into(),
            received_at: Timestamp::from_micros(received),
            session_id: session_id.into(),
            visitor_id: Some(visitor.to_owned()),
            category,
            name,
            data: data.to_string().into(),
            timestamp: Timestamp::from_micros(at),
            source: None,
            schema: None,
            served: None,
            replay: None,
        },
        place,
    }
}

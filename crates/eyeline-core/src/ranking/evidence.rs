//! Evidence about one image: its views and clicks, weighted down with age.

/// Decays when it is touched, so an image without events costs nothing. Times are minutes since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Every counted view and click.
    pub views: f32,
    pub clicks: f32,
    /// Clicks at ranks at which the server is known to have served the image.
    pub hits: f32,
    /// Views at such ranks, each weighted by the attention that the rank and the image's age get.
    pub exposure: f32,
    /// The minute of the last event.
    pub touched: u32,
}

impl Evidence {
    /// The evidence decayed to `minute`. An earlier minute changes nothing.
    pub fn at(self, minute: u32, half_life_minutes: f64) -> Evidence {
        if minute <= self.touched {
            return self;
        }
        let left = decay(minute - self.touched, half_life_minutes);
        Evidence {
            views: self.views * left,
            clicks: self.clicks * left,
            hits: self.hits * left,
            exposure: self.exposure * left,
            touched: minute,
        }
    }
}

impl Evidence {
    /// Bytes that [`Evidence::from_bytes`] reads.
    pub fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        let [views, clicks, hits, exposure] =
            [self.views, self.clicks, self.hits, self.exposure].map(|number| number.to_le_bytes());
        for (place, number) in
            bytes.chunks_exact_mut(4).zip([views, clicks, hits, exposure, self.touched.to_le_bytes()])
        {
            place.copy_from_slice(&number);
        }
        bytes
    }

    /// `None` for bytes of another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Evidence> {
        let bytes: &[u8; 20] = bytes.try_into().ok()?;
        let number = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        Some(Evidence {
            views: f32::from_le_bytes(number(0)),
            clicks: f32::from_le_bytes(number(4)),
            hits: f32::from_le_bytes(number(8)),
            exposure: f32::from_le_bytes(number(12)),
            touched: u32::from_le_bytes(number(16)),
        })
    }
}

/// The weight that an event keeps after `minutes`.
pub(super) fn decay(minutes: u32, half_life_minutes: f64) -> f32 {
    (-f64::from(minutes) / half_life_minutes).exp2() as f32
}

//! The versions made of every image, and how a picture is fitted into a box.

use serde::{Deserialize, Serialize};

/// One version: a name and a box that the picture is fitted into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The version's name in links and answers.
    pub name: &'static str,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// True if the version is made as WebP too, beside JPEG or PNG.
    pub webp: bool,
}

/// The versions of the contract, smallest first. No name may be removed: objects are deleted by their names.
pub const PRESETS: [Preset; 4] = [
    Preset { name: "thumb", width: 150, height: 120, webp: false },
    Preset { name: "big_thumb", width: 700, height: 700, webp: false },
    Preset { name: "big_1920", width: 1920, height: 1080, webp: false },
    Preset { name: "d2500", width: 2500, height: 2500, webp: false },
];

/// The file name extensions of versions. None may be removed: objects are deleted by their names.
pub const EXTENSIONS: [&str; 3] = ["jpg", "png", "webp"];

/// Which versions are made as WebP too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Webp {
    #[default]
    Off,
    /// The versions that gallery pages show: `thumb` and `big_thumb`.
    Small,
    All,
}

impl Webp {
    pub const CONTENT_TYPE: &'static str = "image/webp";

    pub const EVERY: [Self; 3] = [Webp::Off, Webp::Small, Webp::All];

    pub const fn as_str(self) -> &'static str {
        match self {
            Webp::Off => "off",
            Webp::Small => "small",
            Webp::All => "all",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|webp| webp.as_str() == text)
    }

    /// The versions of the contract, with `webp` set on those that this setting covers.
    pub fn presets(self) -> [Preset; 4] {
        PRESETS.map(|preset| {
            let is_small = matches!(preset.name, "thumb" | "big_thumb");
            Preset { webp: self == Webp::All || (self == Webp::Small && is_small), ..preset }
        })
    }
}

impl Preset {
    /// The size, in pixels, of a `width` x `height` picture inside this box: proportions kept, never enlarged, each
    /// side rounded to the nearest pixel (halves up) and at least 1. Both sides must be at least 1.
    pub fn fit(&self, width: u32, height: u32) -> (u32, u32) {
        if width <= self.width && height <= self.height {
            return (width, height);
        }
        let (w, h) = (u64::from(width), u64::from(height));
        let (box_w, box_h) = (u64::from(self.width), u64::from(self.height));
        // Compares box_w / w with box_h / h without dividing, so that no rounding decides which side limits.
        if box_w * h <= box_h * w { (self.width, scaled(h, box_w, w)) } else { (scaled(w, box_h, h), self.height) }
    }
}

/// `side * numerator / denominator`, halves rounded up, at least 1.
fn scaled(side: u64, numerator: u64, denominator: u64) -> u32 {
    let rounded = (2 * side * numerator + denominator) / (2 * denominator);
    u32::try_from(rounded.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(name: &str, width: u32, height: u32) -> (u32, u32) {
        PRESETS.iter().find(|preset| preset.name == name).expect("a known preset").fit(width, height)
    }

    #[test]
    fn the_sizes_of_the_contract() {
        assert_eq!(fits("thumb", 3000, 4000), (90, 120));
        assert_eq!(fits("thumb", 4032, 3024), (150, 113));
        assert_eq!(fits("thumb", 4000, 3000), (150, 113));
        assert_eq!(fits("big_1920", 4000, 3000), (1440, 1080));
        assert_eq!(fits("d2500", 4032, 3024), (2500, 1875));
        assert_eq!(fits("thumb", 100, 80), (100, 80));
        assert_eq!(fits("thumb", 16_384, 1), (150, 1));
    }

    #[test]
    fn the_setting_tells_which_versions_are_webp_too() {
        let names = |webp: Webp| webp.presets().into_iter().filter(|preset| preset.webp).map(|preset| preset.name);
        assert_eq!(names(Webp::Off).count(), 0);
        assert!(names(Webp::Small).eq(["thumb", "big_thumb"]));
        assert!(names(Webp::All).eq(PRESETS.map(|preset| preset.name)));
        for webp in Webp::EVERY {
            assert_eq!(Webp::parse(webp.as_str()), Some(webp));
        }
        assert_eq!(Webp::parse("ALL"), None);
    }

    proptest! {
        #[test]
        fn a_version_stays_inside_its_box_and_is_never_enlarged(width in 1u32..=16_384, height in 1u32..=16_384) {
            for preset in PRESETS {
                let (w, h) = preset.fit(width, height);
                prop_assert!(w >= 1 && h >= 1);
                prop_assert!(w <= preset.width && h <= preset.height);
                prop_assert!(w <= width && h <= height);
            }
        }

        #[test]
        fn one_side_touches_the_box_and_the_other_is_the_nearest_pixel(width in 1u32..=16_384, height in 1u32..=16_384) {
            for preset in PRESETS {
                let (w, h) = preset.fit(width, height);
                if (w, h) == (width, height) {
                    continue;
                }
                prop_assert!(w == preset.width || h == preset.height);
                let (exact_w, exact_h) = (
                    f64::from(h) * f64::from(width) / f64::from(height),
                    f64::from(w) * f64::from(height) / f64::from(width),
                );
                let near = if w == preset.width { (f64::from(h) - exact_h.max(1.0)).abs() } else { (f64::from(w) - exact_w.max(1.0)).abs() };
                prop_assert!(near <= 0.5 + 1e-9);
            }
        }
    }
}

//! The limits of every file.

use serde::{Deserialize, Serialize};

use eyeline_core::ImageErrorCode;

use crate::ImageError;

/// The limits of one file. Sizes are checked in the file's header, before decoding. Time and memory are enforced on the
/// decoding process, see [`worker`](crate::worker).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Pixels of one frame.
    pub max_pixels: u64,
    /// Pixels of the longer side.
    pub max_side: u32,
    /// Wall-clock seconds for everything made of one file.
    pub max_seconds: u32,
    /// Bytes of address space of the decoding process, in addition to its program.
    pub max_memory_bytes: u64,
    /// Frames of an animation.
    pub max_frames: u32,
    /// Pixels of all frames of an animation together.
    pub max_total_pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pixels: 100_000_000,
            max_side: 16_384,
            max_seconds: 10,
            max_memory_bytes: 1 << 30,
            max_frames: 100,
            max_total_pixels: 250_000_000,
        }
    }
}

impl Limits {
    /// Checks one frame's size in pixels.
    pub(crate) fn check_size(&self, width: u32, height: u32) -> Result<(), ImageError> {
        if width == 0 || height == 0 {
            return Err(ImageError::damaged("a side of the picture is 0 pixels"));
        }
        let pixels = u64::from(width) * u64::from(height);
        if width.max(height) > self.max_side || pixels > self.max_pixels {
            return Err(ImageError::new(
                ImageErrorCode::TooManyPixels,
                format!(
                    "The picture is {width} x {height} pixels; at most {} megapixels and {} pixels a side are accepted.",
                    self.max_pixels / 1_000_000,
                    self.max_side
                ),
            ));
        }
        Ok(())
    }

    /// Checks an animation of `frames` frames of `width` x `height` pixels.
    pub(crate) fn check_frames(&self, frames: u32, width: u32, height: u32) -> Result<(), ImageError> {
        let total = u64::from(frames) * u64::from(width) * u64::from(height);
        if frames > self.max_frames || total > self.max_total_pixels {
            return Err(ImageError::new(
                ImageErrorCode::TooManyPixels,
                format!(
                    "The animation has {frames} frames; at most {} frames and {} megapixels in all are accepted.",
                    self.max_frames,
                    self.max_total_pixels / 1_000_000
                ),
            ));
        }
        Ok(())
    }
}

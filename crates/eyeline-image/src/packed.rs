//! A picture with all channels of a pixel side by side, as most formats store it.

use crate::ImageError;
use crate::resize::Resizer;

/// The meaning of a pixel's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// One channel.
    Grey,
    /// Three channels, and a fourth for opacity if there are four.
    Rgb,
    /// Four channels, where 255 is no ink, as Adobe's programs write them.
    InvertedCmyk,
}

/// Zeroed samples. Fails if memory is short, where the usual allocation would abort the process.
pub(crate) fn zeroed(length: usize) -> Result<Vec<u8>, ImageError> {
    // The reservation is nearly free. Only fresh memory is zeroed without cost.
    Vec::<u8>::new().try_reserve_exact(length).map_err(|_| ImageError::too_much_memory())?;
    Ok(vec![0; length])
}

/// A picture of `width` x `height` pixels of `channels` bytes; rows without gaps. Opacity is not premultiplied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    pub width: u32,
    pub height: u32,
    pub channels: usize,
    pub space: Space,
    pub samples: Vec<u8>,
}

impl Packed {
    /// A black picture. Fails if memory is short.
    pub fn new(width: u32, height: u32, channels: usize, space: Space) -> Result<Self, ImageError> {
        Ok(Self { width, height, channels, space, samples: zeroed(width as usize * height as usize * channels)? })
    }

    pub fn has_alpha(&self) -> bool {
        self.space == Space::Rgb && self.channels == 4
    }

    /// True if some pixel is transparent.
    pub fn is_transparent(&self) -> bool {
        self.has_alpha() && self.samples.chunks_exact(4).any(|pixel| pixel[3] != u8::MAX)
    }

    /// The colours without opacity, for pictures without a transparent pixel. A transparent pixel would show its hidden
    /// colour.
    pub fn without_alpha(self) -> Self {
        if !self.has_alpha() {
            return self;
        }
        let samples = self.samples.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        Self { channels: 3, samples, ..self }
    }

    /// This picture at another size. Takes ownership, so that both are in memory only briefly.
    pub fn resized(self, width: u32, height: u32, resizer: &mut Resizer) -> Result<Self, ImageError> {
        resizer.packed(self, width, height)
    }
}

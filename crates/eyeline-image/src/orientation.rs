//! The orientation of a camera, and turning the pixels accordingly.

use crate::packed::Packed;
use crate::transpose::{Flip, transpose};

/// The eight values of the EXIF field, as three steps in this order: swap rows with columns, then mirror.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orientation {
    transpose: bool,
    mirror_x: bool,
    mirror_y: bool,
}

impl Orientation {
    /// From the EXIF value. Anything but 2 to 8 is upright.
    pub fn from_exif(value: u8) -> Self {
        let (transpose, mirror_x, mirror_y) = match value {
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => (false, false, false),
        };
        Self { transpose, mirror_x, mirror_y }
    }

    pub fn is_upright(self) -> bool {
        self == Self::default()
    }

    /// The size after turning a picture of that size. As the function is its own inverse, also the size before.
    pub fn turned(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.transpose { (height, width) } else { (width, height) }
    }

    /// The flips that the picture needs before turning: left with right, and top with bottom.
    pub fn reverses(self) -> (bool, bool) {
        if self.transpose { (self.mirror_y, self.mirror_x) } else { (self.mirror_x, self.mirror_y) }
    }

    /// True if rows become columns.
    pub fn transposes(self) -> bool {
        self.transpose
    }

    /// The flips that remain after rows have become columns.
    pub fn flip(self) -> Flip {
        Flip { columns: self.mirror_x, rows: self.mirror_y }
    }

    pub fn packed(self, picture: Packed) -> Packed {
        if self.is_upright() {
            return picture;
        }
        let (width, height) = self.turned((picture.width, picture.height));
        let size = (width as usize, height as usize);
        let samples = match picture.channels {
            1 if self.transpose => {
                let mut to = vec![0; picture.samples.len()];
                transpose(&picture.samples, size.1, (size.1, size.0), &mut to, size.0, self.flip());
                to
            }
            1 => self.turn::<1>(&picture.samples, size),
            3 => self.turn::<3>(&picture.samples, size),
            _ => self.turn::<4>(&picture.samples, size),
        };
        Packed { width, height, samples, ..picture }
    }

    /// Turns pixels of `N` bytes into `width` x `height` upright ones.
    fn turn<const N: usize>(self, from: &[u8], (width, height): (usize, usize)) -> Vec<u8> {
        let (from, _) = from.as_chunks::<N>();
        let mut to = vec![0; from.len() * N];
        let (pixels, _) = to.as_chunks_mut::<N>();
        if !self.transpose {
            for (y, row) in pixels.chunks_exact_mut(width).enumerate() {
                let source_y = if self.mirror_y { height - 1 - y } else { y };
                row.copy_from_slice(&from[source_y * width..][..width]);
                if self.mirror_x {
                    row.reverse();
                }
            }
            return to;
        }
        // Rows become columns in blocks, so that both sides of the copy stay in the nearest cache.
        for block_y in (0..height).step_by(BLOCK) {
            for block_x in (0..width).step_by(BLOCK) {
                for y in block_y..height.min(block_y + BLOCK) {
                    let source_x = if self.mirror_y { height - 1 - y } else { y };
                    for x in block_x..width.min(block_x + BLOCK) {
                        let source_y = if self.mirror_x { width - 1 - x } else { x };
                        pixels[y * width + x] = from[source_y * height + source_x];
                    }
                }
            }
        }
        to
    }
}

/// Pixels of a block's side when rows become columns.
const BLOCK: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::Space;

    /// A 3 x 2 picture whose samples count up from the top left.
    fn counting() -> Packed {
        Packed { width: 3, height: 2, channels: 1, space: Space::Grey, samples: (1..=6).collect() }
    }

    #[test]
    fn each_value_of_the_field_turns_the_picture_upright() {
        let expected: [(u8, [u8; 6]); 8] = [
            (1, [1, 2, 3, 4, 5, 6]),
            (2, [3, 2, 1, 6, 5, 4]),
            (3, [6, 5, 4, 3, 2, 1]),
            (4, [4, 5, 6, 1, 2, 3]),
            (5, [1, 4, 2, 5, 3, 6]),
            (6, [4, 1, 5, 2, 6, 3]),
            (7, [6, 3, 5, 2, 4, 1]),
            (8, [3, 6, 2, 5, 1, 4]),
        ];
        for (value, samples) in expected {
            let upright = Orientation::from_exif(value).packed(counting());
            assert_eq!(upright.samples, samples, "orientation {value}");
            assert_eq!((upright.width, upright.height), if value > 4 { (2, 3) } else { (3, 2) });
        }
    }
}

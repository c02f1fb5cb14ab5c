//! Which way up a camera was held, and turning the pixels accordingly.

use crate::packed::Packed;
use crate::planar::{Planar, Plane, pad};

/// The eight values of the EXIF field, as three steps in this order: swap rows with columns, then mirror.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orientation {
    transpose: bool,
    mirror_x: bool,
    mirror_y: bool,
}

impl Orientation {
    /// From the EXIF field's value; anything but 2 to 8 is upright.
    pub fn from_exif(value: u32) -> Self {
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

    /// From a block of EXIF data (a TIFF header and what follows). A block that cannot be read says nothing.
    pub fn from_exif_block(block: &[u8]) -> Self {
        let Ok(exif) = exif::Reader::new().read_raw(block.to_vec()) else { return Self::default() };
        let field = exif.get_field(exif::Tag::Orientation, exif::In::PRIMARY);
        field.and_then(|field| field.value.get_uint(0)).map_or(Self::default(), Self::from_exif)
    }

    pub fn is_upright(self) -> bool {
        self == Self::default()
    }

    /// The size after turning a picture of that size; and, as it is its own inverse, before.
    pub fn turned(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.transpose { (height, width) } else { (width, height) }
    }

    /// Whether turning a picture of that size would tear subsampled colour from its pixels: mirrored, a pair of pixels
    /// that shares one colour sample would begin at the odd one.
    pub fn splits_pairs(self, width: u32, height: u32) -> bool {
        let (upright_width, upright_height) = self.turned((width, height));
        (self.mirror_x && upright_width % 2 == 1) || (self.mirror_y && upright_height % 2 == 1)
    }

    pub fn packed(self, picture: Packed) -> Packed {
        if self.is_upright() {
            return picture;
        }
        let (width, height) = self.turned((picture.width, picture.height));
        let (stride, size) = (picture.width as usize, (width, height));
        let samples = match picture.channels {
            1 => self.turn::<1>(&picture.samples, stride, size, width as usize),
            3 => self.turn::<3>(&picture.samples, stride, size, width as usize),
            _ => self.turn::<4>(&picture.samples, stride, size, width as usize),
        };
        Packed { width, height, samples, ..picture }
    }

    /// Turns a picture whose chroma, if any, is subsampled alike across and down.
    pub fn planar(self, picture: Planar) -> Planar {
        if self.is_upright() {
            return picture;
        }
        let (width, height) = self.turned((picture.width, picture.height));
        let (stored_width, stored_height) = self.turned((picture.luma.width, picture.luma.height));
        let samples =
            self.turn::<1>(&picture.luma.samples, picture.luma.width as usize, (width, height), stored_width as usize);
        let mut luma = Plane { width: stored_width, height: stored_height, samples };
        luma.samples.resize(stored_width as usize * stored_height as usize, 0);
        pad(&mut luma, width, height);
        let chroma = picture.chroma.map(|mut chroma| {
            chroma.planes = chroma.planes.map(|plane| self.plane(&plane));
            chroma
        });
        Planar { width, height, luma, chroma }
    }

    fn plane(self, plane: &Plane) -> Plane {
        let (width, height) = self.turned((plane.width, plane.height));
        let samples = self.turn::<1>(&plane.samples, plane.width as usize, (width, height), width as usize);
        Plane { width, height, samples }
    }

    /// Turns pixels of `N` bytes. `from` has rows of `stride` pixels; the answer has `size.1` rows of `to_stride`
    /// pixels, of which the first `size.0` are filled.
    fn turn<const N: usize>(self, from: &[u8], stride: usize, size: (u32, u32), to_stride: usize) -> Vec<u8> {
        let (width, height) = (size.0 as usize, size.1 as usize);
        let (from, _) = from.as_chunks::<N>();
        let mut to = vec![0; to_stride * height * N];
        let (pixels, _) = to.as_chunks_mut::<N>();
        if !self.transpose {
            for (y, row) in pixels.chunks_exact_mut(to_stride).enumerate() {
                let source_y = if self.mirror_y { height - 1 - y } else { y };
                row[..width].copy_from_slice(&from[source_y * stride..][..width]);
                if self.mirror_x {
                    row[..width].reverse();
                }
            }
            return to;
        }
        // Rows become columns; in blocks, so that both sides of the copy stay in the nearest cache.
        for block_y in (0..height).step_by(BLOCK) {
            for block_x in (0..width).step_by(BLOCK) {
                let (end_y, end_x) = (height.min(block_y + BLOCK), width.min(block_x + BLOCK));
                let is_whole = N == 1 && end_y - block_y == BLOCK && end_x - block_x == BLOCK;
                if is_whole {
                    let first_x = if self.mirror_y { height - end_y } else { block_y };
                    let mut rows = [0; BLOCK];
                    for (x, row) in (block_x..end_x).zip(&mut rows) {
                        let y = if self.mirror_x { width - 1 - x } else { x };
                        let samples = from[y * stride + first_x..].as_flattened().first_chunk();
                        *row = samples.map_or(0, |samples| u64::from_le_bytes(*samples));
                    }
                    for (row, samples) in transposed(rows).into_iter().enumerate() {
                        let y = if self.mirror_y { end_y - 1 - row } else { block_y + row };
                        let target = &mut pixels[y * to_stride + block_x..][..BLOCK];
                        target.as_flattened_mut().copy_from_slice(&samples.to_le_bytes());
                    }
                    continue;
                }
                for y in block_y..end_y {
                    let source_x = if self.mirror_y { height - 1 - y } else { y };
                    for x in block_x..end_x {
                        let source_y = if self.mirror_x { width - 1 - x } else { x };
                        pixels[y * to_stride + x] = from[source_y * stride + source_x];
                    }
                }
            }
        }
        to
    }
}

/// Pixels of a block's side when rows become columns.
const BLOCK: usize = 8;

/// Eight rows of eight bytes as eight columns: halves, then quarters, then bytes change places across the diagonal
/// (Warren, Hacker's Delight, 7-3).
fn transposed(mut rows: [u64; BLOCK]) -> [u64; BLOCK] {
    for (distance, mask) in [(4, 0x0000_0000_ffff_ffff), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)] {
        for row in (0..BLOCK).filter(|row| row & distance == 0) {
            let changed = ((rows[row] >> (8 * distance)) ^ rows[row + distance]) & mask;
            rows[row + distance] ^= changed;
            rows[row] ^= changed << (8 * distance);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::Space;
    use crate::planar::{Chroma, Subsampling};

    /// A 3 x 2 picture whose samples count up from the top left.
    fn counting() -> Packed {
        Packed { width: 3, height: 2, channels: 1, space: Space::Grey, samples: (1..=6).collect() }
    }

    #[test]
    fn each_value_of_the_field_turns_the_picture_upright() {
        let expected: [(u32, [u8; 6]); 8] = [
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

    #[test]
    fn planes_and_packed_pixels_turn_alike() {
        let (width, height) = (70, 34);
        let samples: Vec<u8> = (0..width * height).map(|n| (n % 251) as u8).collect();
        let packed = Packed { width, height, channels: 1, space: Space::Grey, samples: samples.clone() };
        let plane = Plane { width, height, samples };
        let planar = Planar {
            width,
            height,
            luma: plane.clone(),
            chroma: Some(Chroma { subsampling: Subsampling::HALF, planes: [plane.clone(), plane] }),
        };
        for value in 1..=8 {
            let orientation = Orientation::from_exif(value);
            let expected = orientation.packed(packed.clone());
            let turned = orientation.planar(planar.clone());
            assert_eq!(turned.luma.samples, expected.samples);
            assert_eq!((turned.width, turned.height), (expected.width, expected.height));
            let chroma = turned.chroma.expect("colour stays");
            assert_eq!(chroma.planes[1].samples, expected.samples);
        }
    }

    #[test]
    fn a_damaged_exif_block_means_upright() {
        assert!(Orientation::from_exif_block(b"II*\0\xff\xff\xff\xff").is_upright());
        assert!(Orientation::from_exif_block(b"").is_upright());
    }
}

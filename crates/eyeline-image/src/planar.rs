//! A picture in planes as JPEG stores it: one of brightness and two of colour, the latter often at half the size.
//!
//! Keeping this form from decoder to encoder saves two conversions to and from RGB, and half of the resizing.

use crate::ImageError;
use crate::orientation::Orientation;
use crate::packed::zeroed;
use crate::resize::{Resizer, Span};

/// One plane of samples of one byte; rows without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plane {
    pub width: u32,
    pub height: u32,
    pub samples: Vec<u8>,
}

impl Plane {
    /// A plane of zeros. Fails if memory is short.
    pub fn new(width: u32, height: u32) -> Result<Self, ImageError> {
        Ok(Self { width, height, samples: zeroed(width as usize * height as usize)? })
    }
}

/// The numbers of luma samples, across and down, that share one chroma sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subsampling {
    pub across: u32,
    pub down: u32,
}

impl Subsampling {
    pub const HALF: Self = Self { across: 2, down: 2 };
}

/// The two planes of colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chroma {
    pub subsampling: Subsampling,
    pub planes: [Plane; 2],
}

/// A picture of `width` x `height` pixels in YCbCr, or in grey if it has no chroma.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planar {
    pub width: u32,
    pub height: u32,
    /// Padded on the right and below to a multiple of the subsampling; the padding repeats the edge.
    pub luma: Plane,
    pub chroma: Option<Chroma>,
}

impl Planar {
    /// True if the encoder accepts the planes: 4:2:0 or grey.
    pub fn is_encodable(&self) -> bool {
        self.chroma.as_ref().is_none_or(|chroma| chroma.subsampling == Subsampling::HALF)
    }

    /// This picture turned upright, at `width` x `height` pixels, in 4:2:0 or grey.
    pub fn upright(
        self,
        orientation: Orientation,
        (width, height): (u32, u32),
        resizer: &mut Resizer,
    ) -> Result<Self, ImageError> {
        let (across, down) = orientation.turned((width, height));
        let whole = |side, samples| Span { start: 0.0, length: f64::from(side), samples };
        let spans = (whole(self.width, across), whole(self.height, down));
        let Some(chroma) = self.chroma else {
            let mut luma = Plane::new(width, height)?;
            resizer.plane(&self.luma, spans, orientation, &mut luma)?;
            return Ok(Self { width, height, luma, chroma: None });
        };
        let mut luma = Plane::new(width.next_multiple_of(2), height.next_multiple_of(2))?;
        resizer.plane(&self.luma, spans, orientation, &mut luma)?;
        drop(self.luma);
        pad(&mut luma, width, height);

        let subsampling = chroma.subsampling;
        let (reverses_across, reverses_down) = orientation.reverses();
        let spans = (
            chroma_span(self.width, subsampling.across, across, reverses_across),
            chroma_span(self.height, subsampling.down, down, reverses_down),
        );
        let [cb, cr] = chroma.planes;
        let mut half = |from: Plane| {
            let mut to = Plane::new(luma.width / 2, luma.height / 2)?;
            resizer.plane(&from, spans, orientation, &mut to)?;
            let (columns, rows) = orientation.turned((spans.0.samples, spans.1.samples));
            pad(&mut to, columns, rows);
            Ok::<Plane, ImageError>(to)
        };
        let planes = [half(cb)?, half(cr)?];
        Ok(Self { width, height, luma, chroma: Some(Chroma { subsampling: Subsampling::HALF, planes }) })
    }
}

/// The whole chroma samples that fit on a side of `target` pixels, and the source samples under them, of `side` pixels.
/// The half sample at the end of an odd side has no whole one under it and repeats its neighbour. If turning reverses
/// the side, that end is the first one before turning.
fn chroma_span(side: u32, subsampling: u32, target: u32, is_reversed: bool) -> Span {
    let samples = (target / 2).max(1);
    let all = f64::from(side) / f64::from(subsampling);
    let length = (f64::from(2 * samples) * all / f64::from(target)).min(all);
    Span { start: if is_reversed { all - length } else { 0.0 }, length, samples }
}

/// Repeats the last column and row of the visible `width` x `height` samples over the rest of the plane.
pub(crate) fn pad(plane: &mut Plane, width: u32, height: u32) {
    let (stride, width, height) = (plane.width as usize, width as usize, height as usize);
    if width < stride {
        for row in plane.samples.chunks_exact_mut(stride) {
            let edge = row[width - 1];
            row[width..].fill(edge);
        }
    }
    let edge = (height - 1) * stride;
    for row in height..plane.height as usize {
        plane.samples.copy_within(edge..edge + stride, row * stride);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_repeats_the_edge() {
        let mut plane = Plane { width: 4, height: 4, samples: (0..16).collect() };
        pad(&mut plane, 3, 3);
        assert_eq!(plane.samples, [0, 1, 2, 2, 4, 5, 6, 6, 8, 9, 10, 10, 8, 9, 10, 10]);
    }

    #[test]
    fn a_resized_picture_of_odd_size_has_planes_the_encoder_can_take() {
        let picture = Planar {
            width: 9,
            height: 7,
            luma: Plane { width: 9, height: 7, samples: vec![200; 63] },
            chroma: Some(Chroma {
                subsampling: Subsampling { across: 1, down: 1 },
                planes: [
                    Plane { width: 9, height: 7, samples: vec![90; 63] },
                    Plane { width: 9, height: 7, samples: vec![160; 63] },
                ],
            }),
        };
        assert!(!picture.is_encodable());
        let small = picture.upright(Orientation::default(), (5, 3), &mut Resizer::default()).expect("resizes");
        assert!(small.is_encodable());
        assert_eq!((small.luma.width, small.luma.height), (6, 4));
        let chroma = small.chroma.expect("colour stays");
        assert_eq!((chroma.planes[0].width, chroma.planes[0].height), (3, 2));
        assert!(small.luma.samples.iter().all(|sample| *sample == 200));
        assert!(chroma.planes[0].samples.iter().all(|sample| *sample == 90));
        assert!(chroma.planes[1].samples.iter().all(|sample| *sample == 160));
    }
}

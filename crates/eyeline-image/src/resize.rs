//! Resizes with one filter for everything: Lanczos with three lobes, which keeps edges sharp when a picture shrinks.
//!
//! Uses the typed half of the library's interface, because the other half is compiled for 13 pixel types.

use fast_image_resize as fir;
use fir::images::{TypedCroppedImageMut, TypedImage, TypedImageRef};
use fir::pixels::{InnerPixel, U8, U8x3, U8x4};
use fir::{FilterType, MulDiv, PixelTrait, ResizeAlg, ResizeOptions};

use crate::ImageError;
use crate::orientation::Orientation;
use crate::packed::Packed;
use crate::planar::Plane;
use crate::transpose::{Flip, transpose};

/// The number of rows that are resized and transposed together: few enough to stay in the processor's cache.
const STRIP: u32 = 64;
/// The number of rows resized in both directions together. They take little memory, and are enough to make the filter's
/// weights for each band cheap.
const BAND: u32 = 512;

/// A part of a plane's side to resize, in samples of the plane, and the resulting number of samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub start: f64,
    pub length: f64,
    pub samples: u32,
}

impl Span {
    /// Splits into parts of at most `most` resulting samples, each with its position among these.
    fn parts(self, most: u32) -> impl Iterator<Item = (u32, Self)> {
        let step = self.length / f64::from(self.samples);
        (0..self.samples).step_by(most as usize).map(move |first| {
            let samples = most.min(self.samples - first);
            let start = self.start + f64::from(first) * step;
            (first, Self { start, length: f64::from(samples) * step, samples })
        })
    }
}

/// A resizer with its work buffers, kept for all versions of a picture.
#[derive(Default)]
pub(crate) struct Resizer {
    inner: fir::Resizer,
    strip: Vec<u8>,
}

impl Resizer {
    /// Resizes a part of a plane, given by `across` and `down` as stored, turns it upright, and writes it to the top
    /// left of another plane.
    ///
    /// Resizing rows is four times as fast as resizing columns, because it uses whole registers. Columns are therefore
    /// transposed to rows first.
    pub fn plane(
        &mut self,
        from: &Plane,
        (across, down): (Span, Span),
        orientation: Orientation,
        to: &mut Plane,
    ) -> Result<(), ImageError> {
        let flip = orientation.flip();
        let mut columns = Plane::new(down.samples.min(BAND), from.width)?;
        for (first, band) in down.parts(BAND) {
            columns.width = band.samples;
            columns.samples.truncate(band.samples as usize * from.width as usize);
            let from_end = down.samples - first - band.samples;
            if orientation.transposes() {
                self.rows_to_columns(from, band, &mut columns.samples, columns.width, flip)?;
                let across_start = f64::from(from.width) - across.start - across.length;
                let across = Span { start: if flip.rows { across_start } else { across.start }, ..across };
                let left = if flip.columns { from_end } else { first };
                let target: TypedImage<'_, U8> =
                    TypedImage::from_buffer(to.width, to.height, &mut to.samples).map_err(ImageError::crashed)?;
                let mut target = TypedCroppedImageMut::new(target, left, 0, band.samples, across.samples)
                    .map_err(ImageError::crashed)?;
                self.rows(&columns, across, &mut target)?;
            } else {
                self.rows_to_columns(from, band, &mut columns.samples, columns.width, Flip::default())?;
                let top = if flip.rows { from_end } else { first };
                let target = &mut to.samples[top as usize * to.width as usize..];
                self.rows_to_columns(&columns, across, target, to.width, flip)?;
            }
        }
        Ok(())
    }

    /// Resizes the rows of a span and writes them as columns to the top left of samples whose rows are `stride` apart.
    fn rows_to_columns(
        &mut self,
        from: &Plane,
        down: Span,
        to: &mut [u8],
        stride: u32,
        flip: Flip,
    ) -> Result<(), ImageError> {
        let width = from.width as usize;
        let mut strip = std::mem::take(&mut self.strip);
        for (first, part) in down.parts(STRIP) {
            strip.resize(width * part.samples as usize, 0);
            let mut rows: TypedImage<'_, U8> =
                TypedImage::from_buffer(from.width, part.samples, &mut strip).map_err(ImageError::crashed)?;
            self.rows(from, part, &mut rows)?;
            let left = if flip.columns { down.samples - first - part.samples } else { first };
            let target = &mut to[left as usize..];
            transpose(&strip, width, (width, part.samples as usize), target, stride as usize, flip);
        }
        self.strip = strip;
        Ok(())
    }

    /// Resizes the rows of a span at their full width.
    fn rows(
        &mut self,
        from: &Plane,
        down: Span,
        to: &mut impl fir::ImageViewMut<Pixel = U8>,
    ) -> Result<(), ImageError> {
        let view: TypedImageRef<'_, U8> =
            TypedImageRef::from_buffer(from.width, from.height, &from.samples).map_err(ImageError::crashed)?;
        // Rounding can exceed the plane by less than a thousandth of a row.
        let start = down.start.clamp(0.0, f64::from(from.height));
        let length = down.length.min(f64::from(from.height) - start);
        let options = options().crop(0.0, start, f64::from(from.width), length);
        self.inner.resize_typed(&view, to, &options).map_err(ImageError::crashed)
    }

    /// A packed picture at another size. Colours are weighted by opacity, so that hidden colours do not show through.
    pub fn packed(&mut self, mut from: Packed, width: u32, height: u32) -> Result<Packed, ImageError> {
        let mut to = Packed::new(width, height, from.channels, from.space)?;
        match from.channels {
            1 => self.pixels::<U8>(&mut from, &mut to)?,
            3 => self.pixels::<U8x3>(&mut from, &mut to)?,
            _ if from.has_alpha() => {
                // In place, because the resizer would copy the whole picture for it.
                let weights = MulDiv::new();
                weights.multiply_alpha_inplace_typed(&mut view::<U8x4>(&mut from)?).map_err(ImageError::crashed)?;
                self.pixels::<U8x4>(&mut from, &mut to)?;
                weights.divide_alpha_inplace_typed(&mut view::<U8x4>(&mut to)?).map_err(ImageError::crashed)?;
            }
            _ => self.pixels::<U8x4>(&mut from, &mut to)?,
        }
        Ok(to)
    }

    fn pixels<P: PixelTrait>(&mut self, from: &mut Packed, to: &mut Packed) -> Result<(), ImageError> {
        let options = options().use_alpha(false);
        self.inner.resize_typed(&view::<P>(from)?, &mut view::<P>(to)?, &options).map_err(ImageError::crashed)
    }
}

fn view<P: InnerPixel>(picture: &mut Packed) -> Result<TypedImage<'_, P>, ImageError> {
    TypedImage::from_buffer(picture.width, picture.height, &mut picture.samples).map_err(ImageError::crashed)
}

fn options() -> ResizeOptions {
    // Three lobes. This fails only for an empty name or a support that is not above 0.
    let filter = fir::Filter::new("Lanczos3", lanczos3, 3.0).map_or(FilterType::Lanczos3, FilterType::Custom);
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter))
}

/// sinc(x) · sinc(x / 3). The library calls it for each sample and tap. Two library sines would take a thirtieth of a
/// photo's time, so the sine of the triple angle is computed from that of the angle, and that from a series.
fn lanczos3(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    if x.abs() >= 3.0 {
        return 0.0;
    }
    let angle = std::f64::consts::PI * x.abs() / 3.0;
    let square = (angle - std::f64::consts::FRAC_PI_2).powi(2);
    // The cosine's series up to the 14th power: exact to 1e-10 within a quarter turn.
    let terms = [-87_178_291_200.0, 479_001_600.0, -3_628_800.0, 40_320.0, -720.0, 24.0, -2.0];
    let sine = terms.into_iter().fold(0.0, |sum, term| (sum + 1.0 / term) * square) + 1.0;
    sine * sine * (3.0 - 4.0 * sine * sine) / (3.0 * angle * angle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_that_of_the_library() {
        use std::f64::consts::PI;
        for step in -3500..3500 {
            let x = f64::from(step) / 1000.0;
            let sinc = |x: f64| if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
            let expected = if x.abs() < 3.0 { sinc(x) * sinc(x / 3.0) } else { 0.0 };
            assert!((lanczos3(x) - expected).abs() < 1e-6, "at {x}: {} instead of {expected}", lanczos3(x));
        }
    }
}

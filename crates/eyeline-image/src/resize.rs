//! Resizing, by one filter for everything: Lanczos with three lobes, which keeps edges sharp when a picture shrinks.
//!
//! The typed half of the library's interface is used, since the other is compiled for thirteen kinds of pixels.

use fast_image_resize as fir;
use fir::images::{TypedCroppedImageMut, TypedImage, TypedImageRef};
use fir::pixels::{InnerPixel, U8, U8x3, U8x4};
use fir::{FilterType, MulDiv, PixelTrait, ResizeAlg, ResizeOptions};

use crate::ImageError;
use crate::packed::Packed;
use crate::planar::Plane;

/// A resizer with the buffers it works in; kept for all versions of a picture.
#[derive(Default)]
pub(crate) struct Resizer {
    inner: fir::Resizer,
}

impl Resizer {
    /// Resizes the top left `source` samples of a plane into the top left `size` samples of another.
    pub fn plane(
        &mut self,
        from: &Plane,
        source: (f64, f64),
        to: &mut Plane,
        size: (u32, u32),
    ) -> Result<(), ImageError> {
        let view: TypedImageRef<'_, U8> =
            TypedImageRef::from_buffer(from.width, from.height, &from.samples).map_err(ImageError::crashed)?;
        let target: TypedImage<'_, U8> =
            TypedImage::from_buffer(to.width, to.height, &mut to.samples).map_err(ImageError::crashed)?;
        let mut target = TypedCroppedImageMut::new(target, 0, 0, size.0, size.1).map_err(ImageError::crashed)?;
        let options = options().crop(0.0, 0.0, source.0, source.1);
        self.inner.resize_typed(&view, &mut target, &options).map_err(ImageError::crashed)
    }

    /// A packed picture at another size. Alpha weighs the colours, so that what is transparent does not shine through.
    pub fn packed(&mut self, mut from: Packed, width: u32, height: u32) -> Result<Packed, ImageError> {
        let mut to = Packed::new(width, height, from.channels, from.space)?;
        match from.channels {
            1 => self.pixels::<U8>(&mut from, &mut to)?,
            3 => self.pixels::<U8x3>(&mut from, &mut to)?,
            _ if from.has_alpha() => {
                // In place: the resizer would copy the whole picture to do the same.
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
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
}

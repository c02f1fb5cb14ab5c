//! Resizing, by one filter for everything: Lanczos with three lobes, which keeps edges sharp when a picture shrinks.

use fast_image_resize as fir;
use fir::images::{CroppedImageMut, Image, ImageRef};
use fir::{FilterType, PixelType, ResizeAlg, ResizeOptions};

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
        let view = ImageRef::new(from.width, from.height, &from.samples, PixelType::U8).map_err(ImageError::crashed)?;
        let mut target =
            Image::from_slice_u8(to.width, to.height, &mut to.samples, PixelType::U8).map_err(ImageError::crashed)?;
        let mut target = CroppedImageMut::new(&mut target, 0, 0, size.0, size.1).map_err(ImageError::crashed)?;
        self.inner
            .resize(&view, &mut target, &options().crop(0.0, 0.0, source.0, source.1))
            .map_err(ImageError::crashed)
    }

    /// A packed picture at another size. Alpha weighs the colours, so that what is transparent does not shine through.
    pub fn packed(&mut self, from: &Packed, width: u32, height: u32) -> Result<Packed, ImageError> {
        let pixel_type = match from.channels {
            1 => PixelType::U8,
            3 => PixelType::U8x3,
            _ => PixelType::U8x4,
        };
        let mut to = Packed::new(width, height, from.channels, from.space);
        let view = ImageRef::new(from.width, from.height, &from.samples, pixel_type).map_err(ImageError::crashed)?;
        let mut target =
            Image::from_slice_u8(width, height, &mut to.samples, pixel_type).map_err(ImageError::crashed)?;
        let options = options().use_alpha(from.has_alpha());
        self.inner.resize(&view, &mut target, &options).map_err(ImageError::crashed)?;
        Ok(to)
    }
}

fn options() -> ResizeOptions {
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
}

//! Writes WebP through a safe interface to libwebp. No other file names the library.
//!
//! The encoder reads planes that are owned and checked here, and writes through a callback into a vector. It starts no
//! thread. A picture and its settings serve one file and are then freed.
#![expect(unsafe_code, reason = "libwebp is a C library; this file alone calls it")]

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::slice;

use libwebp_sys as webp;

use crate::ImageError;
use crate::packed::Packed;
use crate::planar::{Planar, Plane, Subsampling};

/// From 0 to 100, on another scale than JPEG's. It matches the fidelity of JPEG at quality 82: equal mean structural
/// similarity at 82.5, equal mean SSIMULACRA 2 score at 85.
const QUALITY: f32 = 84.0;

/// From 0 (quick) to 6 (small).
const METHOD: c_int = 2;

const ABI: c_int = webp::WEBP_ENCODER_ABI_VERSION as c_int;

/// The longest side that the format's 14 bits can express.
const SIDE_MAX: u32 = webp::WEBP_MAX_DIMENSION;

/// Compresses a picture, which must be in 4:2:0 or grey. No metadata.
pub(crate) fn compress(picture: &Planar) -> Result<Vec<u8>, ImageError> {
    let (width, height) = (picture.width, picture.height);
    let half = (width.div_ceil(2), height.div_ceil(2));
    let mut luma = in_studio_range(&picture.luma, (width, height), &LUMA)?;
    let [mut blue, mut red] = match &picture.chroma {
        Some(chroma) if chroma.subsampling == Subsampling::HALF => {
            let [blue, red] = &chroma.planes;
            [in_studio_range(blue, half, &CHROMA)?, in_studio_range(red, half, &CHROMA)?]
        }
        Some(_) => return Err(ImageError::crashed("planes that are not in 4:2:0")),
        None => {
            let grey = Plane { width: half.0, height: half.1, samples: vec![128; half.0 as usize * half.1 as usize] };
            [grey.clone(), grey]
        }
    };
    let mut input = Input::new(width, height)?;
    input.0.y = luma.samples.as_mut_ptr();
    input.0.u = blue.samples.as_mut_ptr();
    input.0.v = red.samples.as_mut_ptr();
    input.0.y_stride = int(luma.width);
    input.0.uv_stride = int(blue.width);
    // The planes outlive the call, each with all the rows that the encoder reads at its stride.
    assert!(luma.samples.len() == width as usize * height as usize && red.samples.len() == blue.samples.len());
    input.encode()
}

/// Compresses RGB with opacity: lossless opacity, and colours as in an opaque picture. No metadata.
pub(crate) fn compress_transparent(picture: &Packed) -> Result<Vec<u8>, ImageError> {
    let (width, height) = (picture.width, picture.height);
    assert!(picture.has_alpha() && picture.samples.len() == width as usize * height as usize * 4, "RGBA without gaps");
    let mut input = Input::new(width, height)?;
    // SAFETY: the source was checked to hold height rows of width pixels; the library allocates the planes.
    let done = unsafe { webp::WebPPictureImportRGBA(&raw mut input.0, picture.samples.as_ptr(), int(width * 4)) };
    if done == 0 {
        return Err(input.failure());
    }
    input.encode()
}

/// A picture for the encoder.
struct Input(webp::WebPPicture);

impl Input {
    fn new(width: u32, height: u32) -> Result<Self, ImageError> {
        if width == 0 || height == 0 || width > SIDE_MAX || height > SIDE_MAX {
            return Err(ImageError::crashed("a size that WebP does not have"));
        }
        let mut picture = MaybeUninit::uninit();
        // SAFETY: the library fills in the whole structure, unless its version is another one than the binding's.
        let mut picture: webp::WebPPicture = unsafe {
            if webp::WebPPictureInitInternal(picture.as_mut_ptr(), ABI) == 0 {
                return Err(ImageError::crashed("another version of libwebp"));
            }
            picture.assume_init()
        };
        (picture.width, picture.height) = (int(width), int(height));
        Ok(Self(picture))
    }

    fn encode(mut self) -> Result<Vec<u8>, ImageError> {
        let mut config = MaybeUninit::uninit();
        let preset = webp::WebPPreset::WEBP_PRESET_DEFAULT;
        // SAFETY: as for the picture.
        let mut config: webp::WebPConfig = unsafe {
            if webp::WebPConfigInitInternal(config.as_mut_ptr(), preset, QUALITY, ABI) == 0 {
                return Err(ImageError::crashed("another version of libwebp"));
            }
            config.assume_init()
        };
        config.method = METHOD;
        let mut file: Vec<u8> = Vec::new();
        self.0.writer = Some(append);
        self.0.custom_ptr = (&raw mut file).cast::<c_void>();
        // SAFETY: both structures are complete; the planes are the library's own, or those that `compress` holds and
        // checked; `append` finds the vector that `custom_ptr` points to, which nothing else touches meanwhile.
        let done = unsafe { webp::WebPEncode(&raw const config, &raw mut self.0) };
        if done == 0 { Err(self.failure()) } else { Ok(file) }
    }

    fn failure(&self) -> ImageError {
        use webp::WebPEncodingError::{VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY, VP8_ENC_ERROR_OUT_OF_MEMORY};
        match self.0.error_code {
            VP8_ENC_ERROR_OUT_OF_MEMORY | VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY => ImageError::too_much_memory(),
            code => ImageError::crashed(format!("libwebp: {code:?}")),
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // SAFETY: frees what the library allocated for this picture; planes of ours are not among it.
        unsafe { webp::WebPPictureFree(&raw mut self.0) };
    }
}

/// Receives the next piece of the file.
unsafe extern "C" fn append(data: *const u8, length: usize, picture: *const webp::WebPPicture) -> c_int {
    if length == 0 || data.is_null() {
        return c_int::from(length == 0);
    }
    // SAFETY: called during `encode` alone, with the picture that it passed and bytes that are the library's until the
    // end of this call.
    let (file, data) = unsafe { (&mut *(*picture).custom_ptr.cast::<Vec<u8>>(), slice::from_raw_parts(data, length)) };
    if file.try_reserve(length).is_err() {
        return 0;
    }
    file.extend_from_slice(data);
    1
}

/// JPEG counts brightness from 0 to 255, WebP from 16 to 235.
const LUMA: [u8; 256] = scaled(219, 16 * 255);
/// JPEG counts colour from 0 to 255, WebP from 16 to 240, both around 128.
const CHROMA: [u8; 256] = scaled(224, 128 * (255 - 224));

/// `(value * factor + offset) / 255` for each value of a byte, rounded.
const fn scaled(factor: u32, offset: u32) -> [u8; 256] {
    let mut table = [0; 256];
    let mut value = 0;
    while value < 256 {
        table[value] = ((value as u32 * factor + offset + 127) / 255) as u8;
        value += 1;
    }
    table
}

/// Maps the top left `size` samples of a plane by a table; rows without gaps.
fn in_studio_range(plane: &Plane, size: (u32, u32), table: &[u8; 256]) -> Result<Plane, ImageError> {
    if plane.width < size.0 || plane.height < size.1 {
        return Err(ImageError::crashed("a plane is smaller than its picture"));
    }
    let mut to = Plane::new(size.0, size.1)?;
    let rows = plane.samples.chunks_exact(plane.width as usize);
    for (to, from) in to.samples.chunks_exact_mut(size.0 as usize).zip(rows) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = table[usize::from(*from)];
        }
    }
    Ok(to)
}

fn int(value: u32) -> c_int {
    c_int::try_from(value).unwrap_or(c_int::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_white_and_grey_keep_their_meaning_between_the_ranges() {
        assert_eq!((LUMA[0], LUMA[255], CHROMA[0], CHROMA[128], CHROMA[255]), (16, 235, 16, 128, 240));
    }

    #[test]
    fn a_plane_that_is_too_small_is_not_read() {
        let plane = Plane { width: 4, height: 4, samples: vec![0; 16] };
        let picture = Planar { width: 5, height: 4, luma: plane, chroma: None };
        assert!(compress(&picture).is_err());
    }
}

//! Reads and writes PNG.

mod chunks;
mod profile;

use ::png::{BitDepth, ColorType, Compression, DecodingError, Encoder, Transformations};

use crate::color::Conversion;
use crate::decode::{Decoded, Picture};
use crate::packed::{Packed, Space};
use crate::{ImageError, Limits};

/// The most bytes for colour profiles and other data apart from pixels. Larger profiles are ignored.
const BESIDE_PIXELS_BYTES_MAX: usize = 16 << 20;

/// Decodes a file that begins like a PNG. Of an animation it decodes the still picture. Chunks that this picture does
/// not need may be damaged, and the file may end after its last pixel.
pub(crate) fn decode(file: &[u8], limits: &Limits) -> Result<Decoded, ImageError> {
    let chunks = chunks::of(file);
    // A file without an end is truncated, whatever else the decoder reports.
    let judge = |error| if chunks.has_end { judge(error) } else { ImageError::truncated() };
    let mut decoder = ::png::Decoder::new_with_limits(chunks.needed, ::png::Limits { bytes: BESIDE_PIXELS_BYTES_MAX });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let header = decoder.read_header_info().map_err(judge)?;
    let size = (header.width, header.height);
    limits.check_size(size.0, size.1)?;
    limits.check_frames(chunks.frames, size.0, size.1)?;
    let mut reader = decoder.read_info().map_err(judge)?;
    let (color, depth) = reader.output_color_type();
    if depth != BitDepth::Eight {
        return Err(ImageError::unsupported("A PNG picture of that bit depth"));
    }
    let (channels, space) = match color {
        ColorType::Grayscale => (1, Space::Grey),
        ColorType::GrayscaleAlpha => (2, Space::Grey),
        ColorType::Rgba => (4, Space::Rgb),
        ColorType::Rgb | ColorType::Indexed => (3, Space::Rgb),
    };
    let mut picture = Packed::new(size.0, size.1, channels, space)?;
    let frame = reader.next_frame(&mut picture.samples).map_err(judge)?;
    if (frame.width, frame.height) != size || frame.buffer_size() != picture.samples.len() {
        return Err(ImageError::damaged("a frame of another size than the picture"));
    }
    let mut icc = profile::of(reader.info(), space);
    if channels == 2 {
        // Later steps do not distinguish grey from colours.
        picture = with_grey_spread(Conversion::from_icc(&std::mem::take(&mut icc), space).packed(picture)?);
    }
    Ok(Decoded { size, orientation: chunks.orientation, icc, picture: Picture::Packed(picture) })
}

/// Converts grey with opacity to RGB with opacity, the only form of transparent pictures from here on.
fn with_grey_spread(picture: Packed) -> Packed {
    let (pixels, _) = picture.samples.as_chunks::<2>();
    let samples = pixels.iter().flat_map(|[grey, alpha]| [*grey, *grey, *grey, *alpha]).collect();
    Packed { channels: 4, space: Space::Rgb, samples, ..picture }
}

/// Compresses RGB with opacity, fast rather than small: a slower search costs more than all other versions together.
pub(crate) fn compress(picture: &Packed) -> Result<Vec<u8>, ImageError> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, picture.width, picture.height);
    encoder.set_color(ColorType::Rgba);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    let mut writer = encoder.write_header().map_err(ImageError::crashed)?;
    writer.write_image_data(&picture.samples).map_err(ImageError::crashed)?;
    writer.finish().map_err(ImageError::crashed)?;
    Ok(file)
}

fn judge(error: DecodingError) -> ImageError {
    match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => ImageError::truncated(),
        DecodingError::LimitsExceeded => ImageError::too_much_memory(),
        other => {
            // The library's messages name chunks and types, which do not help the owner of a photo.
            let words = other.to_string();
            let detail = if words.starts_with("CRC") {
                "a checksum does not match"
            } else if words.contains("deflate") {
                "its compressed pixels cannot be unpacked"
            } else {
                "it does not follow the PNG format"
            };
            ImageError::damaged(detail)
        }
    }
}

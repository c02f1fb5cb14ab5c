//! Reading GIF: the first frame of an animation stands for it.

use ::gif::{ColorOutput, DecodeOptions, Decoder, DecodingError, MemoryLimit};

use crate::decode::{Decoded, Picture};
use crate::orientation::Orientation;
use crate::packed::{Packed, Space};
use crate::{ImageError, Limits};

/// Decodes the first frame of a file that begins as GIF does, and reads over all others up to the end.
pub(crate) fn decode(file: &[u8], limits: &Limits) -> Result<Decoded, ImageError> {
    let size = checked_size(file, limits)?;
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::RGBA);
    let mut decoder = open(options, file)?;
    let mut canvas = Packed::new(size.0, size.1, 4, Space::Rgb)?;
    let frame = decoder.read_next_frame().map_err(judge)?;
    let frame = frame.ok_or_else(|| ImageError::damaged("an animation without a frame"))?;

    let (left, top, width) = (usize::from(frame.left), usize::from(frame.top), usize::from(frame.width));
    let targets = canvas.samples.chunks_exact_mut(size.0 as usize * 4).skip(top);
    for (row, target) in frame.buffer.chunks_exact(width * 4).zip(targets) {
        target[left * 4..][..row.len()].copy_from_slice(row);
    }
    let icc = decoder.icc_profile().map(<[u8]>::to_vec).unwrap_or_default();
    Ok(Decoded { size, orientation: Orientation::default(), icc, picture: Picture::Packed(canvas) })
}

/// The size of the canvas, which the first frame fits into whatever the header says. Goes over all frames up to the end
/// marker, without decoding them, and holds them to the limits.
fn checked_size(file: &[u8], limits: &Limits) -> Result<(u32, u32), ImageError> {
    let mut options = DecodeOptions::new();
    options.skip_frame_decoding(true);
    let mut decoder = open(options, file)?;
    let mut size = (u32::from(decoder.width()), u32::from(decoder.height()));
    let mut frames = 0;
    while let Some(frame) = decoder.next_frame_info().map_err(judge)? {
        if frames == 0 {
            size.0 = size.0.max(u32::from(frame.left) + u32::from(frame.width));
            size.1 = size.1.max(u32::from(frame.top) + u32::from(frame.height));
        }
        limits.check_size(size.0, size.1)?;
        limits.check_size(u32::from(frame.width), u32::from(frame.height))?;
        frames += 1;
        limits.check_frames(frames, size.0, size.1)?;
    }
    if frames == 0 { Err(ImageError::damaged("an animation without a frame")) } else { Ok(size) }
}

fn open(mut options: DecodeOptions, file: &[u8]) -> Result<Decoder<&[u8]>, ImageError> {
    // The frames' sizes are bounded by the limits, before any is decoded.
    options.set_memory_limit(MemoryLimit::Unlimited);
    options.allow_unknown_blocks(true);
    options.read_info(file).map_err(judge)
}

fn judge(error: DecodingError) -> ImageError {
    match error {
        DecodingError::UnexpectedEof => ImageError::truncated(),
        DecodingError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => ImageError::truncated(),
        DecodingError::OutOfMemory | DecodingError::MemoryLimit => ImageError::too_much_memory(),
        _ => ImageError::damaged("it does not follow the GIF format"),
    }
}

//! Reads GIF. The first picture represents an animation.

pub(crate) mod blocks;

use std::io::Read;

use ::gif::{ColorOutput, DecodeOptions, Decoder, DecodingError, Frame, MemoryLimit};

use crate::decode::{Decoded, Picture};
use crate::orientation::Orientation;
use crate::packed::{Packed, Space, zeroed};
use crate::parts::Parts;
use crate::{ImageError, Limits};

/// The empty block that ends a picture's data, and the end of the file.
const END: &[u8] = b"\0;";

/// Decodes the first picture of a file that begins like a GIF. The file may be damaged or end after the picture's last
/// pixel.
pub(crate) fn decode(file: &[u8], limits: &Limits) -> Result<Decoded, ImageError> {
    let size = checked_size(file, limits)?;
    let (end, is_ended) = blocks::first_picture(file).map_or((file.len(), false), |picture| picture.end(file));
    // Data without an end may be truncated.
    let judge = |error| if is_ended { judge(error) } else { ImageError::truncated() };
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::RGBA);
    let mut decoder = open(options, Parts::from_iter([&file[..end], END]))?;
    let mut canvas = Packed::new(size.0, size.1, 4, Space::Rgb)?;
    let (left, top, width) = loop {
        let frame = decoder.next_frame_info().map_err(judge)?.ok_or_else(without_a_picture)?;
        if has_pixels(frame) {
            break (usize::from(frame.left), usize::from(frame.top), usize::from(frame.width));
        }
    };
    let mut pixels = zeroed(decoder.buffer_size())?;
    decoder.read_into_buffer(&mut pixels).map_err(judge)?;
    let targets = canvas.samples.chunks_exact_mut(size.0 as usize * 4).skip(top);
    for (row, target) in pixels.chunks_exact(width * 4).zip(targets) {
        target[left * 4..][..row.len()].copy_from_slice(row);
    }
    let icc = decoder.icc_profile().map(<[u8]>::to_vec).unwrap_or_default();
    Ok(Decoded { size, orientation: Orientation::default(), icc, picture: Picture::Packed(canvas) })
}

/// The size of the canvas, enlarged to hold the first picture. Counts all frames without decoding them, and checks them
/// against the limits. The count ends where the file is unreadable.
fn checked_size(file: &[u8], limits: &Limits) -> Result<(u32, u32), ImageError> {
    let mut options = DecodeOptions::new();
    options.skip_frame_decoding(true);
    let mut decoder = open(options, file)?;
    let header = (u32::from(decoder.width()), u32::from(decoder.height()));
    let mut size = None;
    let mut frames = 0;
    loop {
        match decoder.next_frame_info() {
            Ok(Some(frame)) if size.is_none() && has_pixels(frame) => {
                let width = header.0.max(u32::from(frame.left) + u32::from(frame.width));
                let height = header.1.max(u32::from(frame.top) + u32::from(frame.height));
                limits.check_size(width, height)?;
                size = Some((width, height));
            }
            Ok(Some(_)) => {}
            Err(error) if size.is_none() => return Err(judge(error)),
            Ok(None) | Err(_) => break,
        }
        frames += 1;
    }
    let (width, height) = size.ok_or_else(without_a_picture)?;
    limits.check_frames(frames, width, height)?;
    Ok((width, height))
}

/// Some programs write an empty frame before the first picture.
fn has_pixels(frame: &Frame<'_>) -> bool {
    frame.width > 0 && frame.height > 0
}

fn without_a_picture() -> ImageError {
    ImageError::damaged("an animation without a frame")
}

fn open<R: Read>(mut options: DecodeOptions, file: R) -> Result<Decoder<R>, ImageError> {
    // The limits bound the frames' sizes before any frame is decoded.
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

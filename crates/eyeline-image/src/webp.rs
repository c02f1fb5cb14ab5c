//! Reads WebP with a decoder without unsafe code. The first frame represents an animation.
//!
//! The existing chunks decide, not the flags and length in the file's header, which metadata editors often leave
//! outdated. The decoder gets a file with only the picture's own chunks.

use std::io::ErrorKind;

use image_webp::{DecodingError, WebPDecoder};

use crate::decode::{Decoded, Picture};
use crate::orientation::Orientation;
use crate::packed::{Packed, Space};
use crate::parts::Parts;
use crate::{ImageError, Limits, exif};

/// The most bytes of a colour profile. Larger ones are ignored.
const PROFILE_BYTES_MAX: usize = 16 << 20;

/// The header flag that announces EXIF.
const EXIF_FLAG: u8 = 0x08;

/// Decodes a file that begins like a WebP. The file may be damaged or end after its first picture.
pub(crate) fn decode(file: &[u8], limits: &Limits) -> Result<Decoded, ImageError> {
    let [_, _, _, _, l0, l1, l2, l3, _, _, _, _, body @ ..] = file else { return Err(ImageError::truncated()) };
    let is_shorter_than_stated = file.len() as u64 - 8 < u64::from(u32::from_le_bytes([*l0, *l1, *l2, *l3]));
    let named = |name: &[u8; 4]| chunks(body).find(|chunk| &chunk.name == name);
    let header = chunks(body).next().filter(|chunk| &chunk.name == b"VP8X");
    let flags = header.and_then(|chunk| chunk.data.first().copied()).unwrap_or(0);
    let exif = named(b"EXIF");
    if is_shorter_than_stated && flags & EXIF_FLAG != 0 && exif.is_none() {
        // Not only the length is wrong: the camera's orientation is missing.
        return Err(ImageError::truncated());
    }
    let first = chunks(body).find(|chunk| matches!(&chunk.name, b"ANMF" | b"VP8 " | b"VP8L"));
    let (size, picture) = match first {
        Some(frame) if &frame.name == b"ANMF" => {
            let frames = chunks(body).filter(|chunk| &chunk.name == b"ANMF").count();
            first_frame(header, &frame, u32::try_from(frames).unwrap_or(u32::MAX), limits)?
        }
        _ => {
            let still = Still::of(body, is_shorter_than_stated)?;
            if header.is_some_and(|header| canvas(header.data).is_some_and(|canvas| canvas != still.size)) {
                return Err(two_sizes());
            }
            (still.size, still.decode(limits)?)
        }
    };
    let orientation =
        exif.and_then(|exif| exif::orientation(exif.data)).map_or(Orientation::default(), Orientation::from_exif);
    let icc = named(b"ICCP").filter(|icc| icc.is_whole && icc.data.len() <= PROFILE_BYTES_MAX);
    let icc = icc.map(|icc| icc.data.to_vec()).unwrap_or_default();
    Ok(Decoded { size, orientation, icc, picture: Picture::Packed(picture) })
}

/// The size of the canvas of an animation, and its first frame on it.
fn first_frame(
    header: Option<Chunk<'_>>,
    frame: &Chunk<'_>,
    frames: u32,
    limits: &Limits,
) -> Result<((u32, u32), Packed), ImageError> {
    let whole = header.and_then(|header| canvas(header.data)).ok_or_else(malformed)?;
    limits.check_size(whole.0, whole.1)?;
    limits.check_frames(frames, whole.0, whole.1)?;
    let [x0, x1, x2, y0, y1, y2, w0, w1, w2, h0, h1, h2, _, _, _, _, parts @ ..] = frame.data else {
        return Err(frame.failure());
    };
    let number = |low: &u8, middle: &u8, high: &u8| u32::from_le_bytes([*low, *middle, *high, 0]);
    let (left, top) = (2 * number(x0, x1, x2), 2 * number(y0, y1, y2));
    let stated = (1 + number(w0, w1, w2), 1 + number(h0, h1, h2));
    let still = Still::of(parts, !frame.is_whole)?;
    if still.size != stated {
        return Err(two_sizes());
    }
    if left + stated.0 > whole.0 || top + stated.1 > whole.1 {
        return Err(ImageError::damaged("a frame outside of its picture"));
    }
    let picture = still.decode(limits)?;
    if stated == whole {
        return Ok((whole, picture));
    }
    let mut canvas = Packed::new(whole.0, whole.1, 4, Space::Rgb)?;
    let rows = picture.samples.chunks_exact(stated.0 as usize * picture.channels);
    let targets = canvas.samples.chunks_exact_mut(whole.0 as usize * 4).skip(top as usize);
    for (row, target) in rows.zip(targets) {
        let pixels = target[left as usize * 4..].as_chunks_mut::<4>().0.iter_mut();
        for (pixel, target) in row.chunks_exact(picture.channels).zip(pixels) {
            target[3] = u8::MAX;
            target[..pixel.len()].copy_from_slice(pixel);
        }
    }
    Ok((whole, canvas))
}

/// The chunks of one picture.
struct Still<'a> {
    opacity: Option<Chunk<'a>>,
    colours: Chunk<'a>,
    /// As stated in the colour data.
    size: (u32, u32),
}

impl<'a> Still<'a> {
    /// The picture among the chunks of a file or frame, which may be truncated.
    fn of(body: &'a [u8], is_cut: bool) -> Result<Self, ImageError> {
        let is_cut = is_cut || chunks(body).any(|chunk| !chunk.is_whole);
        let missing = || if is_cut { ImageError::truncated() } else { malformed() };
        let colours = chunks(body).find(|chunk| matches!(&chunk.name, b"VP8 " | b"VP8L")).ok_or_else(missing)?;
        if !colours.is_whole {
            return Err(ImageError::truncated());
        }
        let opacity = chunks(body).take_while(|chunk| chunk.name != colours.name).find(|chunk| &chunk.name == b"ALPH");
        let size = colours_size(&colours).ok_or_else(malformed)?;
        Ok(Self { opacity: opacity.filter(|_| &colours.name == b"VP8 "), colours, size })
    }

    fn decode(&self, limits: &Limits) -> Result<Packed, ImageError> {
        let (width, height) = self.size;
        limits.check_size(width, height)?;
        // The decoder reads the opacity flag, and the canvas, from a header.
        let header = self.opacity.map(|_| {
            let [w0, w1, w2, _] = (width - 1).to_le_bytes();
            let [h0, h1, h2, _] = (height - 1).to_le_bytes();
            [b'V', b'P', b'8', b'X', 10, 0, 0, 0, 0x10, 0, 0, 0, w0, w1, w2, h0, h1, h2]
        });
        let parts = [
            header.as_ref().map(<[u8; 18]>::as_slice),
            self.opacity.map(|chunk| chunk.padded),
            Some(self.colours.padded),
        ];
        let length: usize = 4 + parts.iter().flatten().map(|part| part.len()).sum::<usize>();
        let [l0, l1, l2, l3] = u32::try_from(length).map_err(|_| ImageError::too_much_memory())?.to_le_bytes();
        let start = [b'R', b'I', b'F', b'F', l0, l1, l2, l3, b'W', b'E', b'B', b'P'];
        let file: Parts<'_> = std::iter::once(start.as_slice()).chain(parts.into_iter().flatten()).collect();
        let mut decoder = WebPDecoder::new(file).map_err(judge)?;
        if decoder.dimensions() != self.size {
            return Err(two_sizes());
        }
        let channels = if decoder.has_alpha() { 4 } else { 3 };
        let mut picture = Packed::new(width, height, channels, Space::Rgb)?;
        decoder.read_image(&mut picture.samples).map_err(judge)?;
        Ok(picture)
    }
}

/// Width and height in the data of a file's header.
fn canvas(header: &[u8]) -> Option<(u32, u32)> {
    let [_, _, _, _, w0, w1, w2, h0, h1, h2, ..] = header else { return None };
    Some((1 + u32::from_le_bytes([*w0, *w1, *w2, 0]), 1 + u32::from_le_bytes([*h0, *h1, *h2, 0])))
}

/// Width and height as the colour data state them, in 14 bits each.
fn colours_size(colours: &Chunk<'_>) -> Option<(u32, u32)> {
    match (&colours.name, colours.data) {
        // After the tag of the frame and the start code.
        (b"VP8 ", [_, _, _, _, _, _, w0, w1, h0, h1, ..]) => {
            let side = |bytes| u32::from(u16::from_le_bytes(bytes) & 0x3fff);
            Some((side([*w0, *w1]), side([*h0, *h1])))
        }
        (b"VP8L", [_, b0, b1, b2, b3, ..]) => {
            let bits = u32::from_le_bytes([*b0, *b1, *b2, *b3]);
            Some((1 + (bits & 0x3fff), 1 + (bits >> 14 & 0x3fff)))
        }
        _ => None,
    }
}

/// A part of a file, or of a frame.
#[derive(Clone, Copy)]
struct Chunk<'a> {
    name: [u8; 4],
    data: &'a [u8],
    /// With its name and length, and the padding byte if it exists.
    padded: &'a [u8],
    /// True if the data is as long as stated.
    is_whole: bool,
}

impl Chunk<'_> {
    /// The error of a chunk that is too short.
    fn failure(&self) -> ImageError {
        if self.is_whole { malformed() } else { ImageError::truncated() }
    }
}

/// All chunks of the bytes. The last may be truncated.
fn chunks(mut bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    std::iter::from_fn(move || {
        let (name, rest) = bytes.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (padded, after) = bytes.split_at(bytes.len().min(8 + length.next_multiple_of(2)));
        bytes = after;
        Some(Chunk { name: *name, data: &rest[..length.min(rest.len())], padded, is_whole: length <= rest.len() })
    })
}

fn malformed() -> ImageError {
    ImageError::damaged("it does not follow the WebP format")
}

fn two_sizes() -> ImageError {
    ImageError::damaged("a frame of two sizes")
}

fn judge(error: DecodingError) -> ImageError {
    match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            ImageError::damaged("its parts are longer than the whole")
        }
        DecodingError::MemoryLimitExceeded | DecodingError::ImageTooLarge => ImageError::too_much_memory(),
        _ => malformed(),
    }
}

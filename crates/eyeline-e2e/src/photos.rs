//! Generated photos: real JPEG and PNG files whose content can be recognised in every version.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex, PoisonError};

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageFormat, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use sha2::{Digest, Sha256};

use crate::random::Random;

const JPEG_QUALITY: u8 = 92;
/// Rows of noise from which the rows of every photo are cut.
const NOISE_ROWS: usize = 64;
/// Grey levels around the colour of a quarter. With them a photo of 4000 x 3000 pixels has about 4 MB, like a camera's.
const NOISE_LEVELS: u64 = 26;

/// The colours of a photo's quarters: top left, top right, bottom left, bottom right.
const QUARTERS: [[u8; 3]; 4] = [[200, 40, 40], [40, 180, 40], [40, 60, 200], [210, 200, 60]];

/// A file to be uploaded.
#[derive(Clone)]
pub struct Photo {
    pub filename: String,
    pub content_type: &'static str,
    pub bytes: Arc<Vec<u8>>,
}

impl Photo {
    pub fn new(filename: &str, content_type: &'static str, bytes: Vec<u8>) -> Self {
        Photo { filename: filename.to_owned(), content_type, bytes: Arc::new(bytes) }
    }

    pub fn sha256(&self) -> String {
        Sha256::digest(self.bytes.as_slice()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The same photo cut after `bytes`.
    pub fn cut_to(&self, bytes: usize) -> Self {
        Photo { bytes: Arc::new(self.bytes[..bytes].to_vec()), ..self.clone() }
    }

    /// The same JPEG with a comment in it: another file, another hash, the same pixels.
    pub fn with_comment(&self, comment: &str) -> Self {
        self.with_segment(0xFE, comment.as_bytes())
    }

    /// The same JPEG as a camera held sideways writes it: with EXIF orientation 6 (turn by 90 degrees to the right to
    /// see it) and a GPS place.
    pub fn with_exif_turned_right(&self) -> Self {
        let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08".to_vec();
        let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
            [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value].concat()
        };
        const GPS_AT: u32 = 8 + 2 + 2 * 12 + 4;
        exif.extend(2u16.to_be_bytes());
        exif.extend(entry(0x0112, 3, 1, [0, 6, 0, 0]));
        exif.extend(entry(0x8825, 4, 1, GPS_AT.to_be_bytes()));
        exif.extend([0; 4]);
        exif.extend(1u16.to_be_bytes());
        exif.extend(entry(0x0001, 2, 2, *b"N\0\0\0"));
        exif.extend([0; 4]);
        self.with_segment(0xE1, &exif)
    }

    /// Inserts a segment directly after the start of the JPEG.
    fn with_segment(&self, marker: u8, content: &[u8]) -> Self {
        let length = u16::try_from(content.len() + 2).expect("a segment holds at most 65,533 bytes");
        let (start, rest) = self.bytes.split_at(2);
        let bytes = [start, &[0xFF, marker], &length.to_be_bytes(), content, rest].concat();
        Photo { bytes: Arc::new(bytes), ..self.clone() }
    }
}

/// A photo of this size with camera-like noise, one colour in each quarter. Created once for each process.
pub fn jpeg(width: u32, height: u32) -> Photo {
    static MADE: Mutex<Option<HashMap<(u32, u32), Photo>>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let side = |pixels: u32| u16::try_from(pixels).expect("a JPEG's side fits 16 bits");
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, JPEG_QUALITY);
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        let pixels = pixels(width, height);
        encoder.encode(&pixels, side(width), side(height), ColorType::Rgb).expect("the photo can be encoded");
        Photo::new(&format!("{width}x{height}.jpg"), "image/jpeg", bytes)
    };
    made.get_or_insert_default().entry((width, height)).or_insert_with(make).clone()
}

/// The same content, as saved by another program.
pub fn in_format(width: u32, height: u32, format: ImageFormat) -> Photo {
    let picture = RgbImage::from_raw(width, height, pixels(width, height)).expect("three bytes a pixel");
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).expect("the picture can be encoded");
    let (name, kind) = match format {
        ImageFormat::Png => ("picture.png", "image/png"),
        ImageFormat::WebP => ("picture.webp", "image/webp"),
        ImageFormat::Gif => ("picture.gif", "image/gif"),
        _ => ("picture.jpg", "image/jpeg"),
    };
    Photo::new(name, kind, file.into_inner())
}

/// A progressive JPEG.
pub fn progressive(width: u16, height: u16) -> Photo {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, JPEG_QUALITY);
    encoder.set_progressive(true);
    let pixels = pixels(width.into(), height.into());
    encoder.encode(&pixels, width, height, ColorType::Rgb).expect("the photo can be encoded");
    Photo::new("progressive.jpg", "image/jpeg", bytes)
}

/// A single colour: many pixels in a small file.
pub fn flat_png(width: u32, height: u32) -> Photo {
    let picture = RgbImage::from_pixel(width, height, image::Rgb(QUARTERS[0]));
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, ImageFormat::Png).expect("the picture can be encoded");
    Photo::new("flat.png", "image/png", file.into_inner())
}

/// A PNG with the same content, whose right half is transparent.
pub fn png_half_transparent(width: u32, height: u32) -> Photo {
    let opaque = pixels(width, height);
    let with_alpha: Vec<u8> = opaque
        .chunks_exact(3)
        .zip(0u32..)
        .flat_map(|(rgb, index)| [rgb[0], rgb[1], rgb[2], if index % width < width / 2 { 255 } else { 0 }])
        .collect();
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&with_alpha, width, height, ExtendedColorType::Rgba8)
        .expect("the picture can be encoded");
    Photo::new(&format!("{width}x{height}.png"), "image/png", bytes)
}

fn pixels(width: u32, height: u32) -> Vec<u8> {
    let (width, height) = (width as usize, height as usize);
    let left = width / 2;
    // One row of noise for each colour and line, cut at another position in every row of the photo, because copying is
    // faster than drawing every pixel.
    let mut random = Random::new(width as u64 * 65_536 + height as u64);
    let noise: Vec<Vec<u8>> = (0..NOISE_ROWS * QUARTERS.len())
        .map(|row| (0..2 * width).flat_map(|_| noisy(QUARTERS[row % QUARTERS.len()], &mut random)).collect())
        .collect();
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let lower = usize::from(y >= height / 2);
        for (right, length) in [(0, left), (1, width - left)] {
            let row = &noise[(random.below(NOISE_ROWS as u64) as usize) * QUARTERS.len() + lower * 2 + right];
            let cut = random.below(width as u64) as usize * 3;
            pixels.extend_from_slice(&row[cut..cut + length * 3]);
        }
    }
    pixels
}

fn noisy(colour: [u8; 3], random: &mut Random) -> [u8; 3] {
    // Mostly equal for the three channels, like a sensor's noise in poor light.
    let shift = random.below(NOISE_LEVELS) as i16 - NOISE_LEVELS as i16 / 2;
    colour.map(|channel| u8::try_from((i16::from(channel) + shift).clamp(0, 255)).expect("clamped to a byte"))
}

/// A version as a viewer shows it.
pub struct Picture {
    pub width: u32,
    pub height: u32,
    pixels: RgbImage,
}

impl Picture {
    /// Decodes a JPEG or PNG.
    pub fn decode(bytes: &[u8]) -> Self {
        let decoded = image::load_from_memory(bytes).expect("a version can be decoded");
        Picture { width: decoded.width(), height: decoded.height(), pixels: decoded.to_rgb8() }
    }

    /// Fails unless the middle of every quarter has its original colour.
    #[track_caller]
    pub fn expect_quarters_in_place(&self) {
        self.expect_quarters([0, 1, 2, 3]);
    }

    /// The same for the picture turned by 90 degrees to the right.
    #[track_caller]
    pub fn expect_quarters_turned_right(&self) {
        self.expect_quarters([2, 0, 3, 1]);
    }

    #[track_caller]
    fn expect_quarters(&self, colours: [usize; 4]) {
        const TOLERANCE: i32 = 40;
        for (quarter, colour) in colours.into_iter().enumerate() {
            let x = self.width / 4 + if quarter % 2 == 1 { self.width / 2 } else { 0 };
            let y = self.height / 4 + if quarter >= 2 { self.height / 2 } else { 0 };
            let (seen, meant) = (self.pixels.get_pixel(x, y).0, QUARTERS[colour]);
            let near = seen.iter().zip(meant).all(|(a, b)| (i32::from(*a) - i32::from(b)).abs() <= TOLERANCE);
            assert!(near, "quarter {quarter} of {} x {} is {seen:?}, not {meant:?}", self.width, self.height);
        }
    }
}

/// The format that the bytes state.
pub fn format_of(bytes: &[u8]) -> Option<ImageFormat> {
    image::guess_format(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photo_of_twelve_megapixels_has_about_four_megabytes() {
        let photo = jpeg(4000, 3000);
        assert!((3_500_000..4_500_000).contains(&photo.bytes.len()), "{} bytes", photo.bytes.len());
    }

    #[test]
    fn a_comment_changes_the_file_and_not_the_picture() {
        let (plain, other) = (jpeg(100, 80), jpeg(100, 80).with_comment("other"));
        assert_ne!(plain.sha256(), other.sha256());
        let (plain, other) = (Picture::decode(&plain.bytes), Picture::decode(&other.bytes));
        assert_eq!(plain.pixels, other.pixels);
        plain.expect_quarters_in_place();
    }

    #[test]
    #[should_panic(expected = "quarter 0")]
    fn a_picture_that_stands_on_its_side_is_noticed() {
        Picture::decode(&jpeg(100, 80).bytes).expect_quarters_turned_right();
    }
}

//! Makes all versions of one original: decodes it once, and makes each version from the next larger one.

use eyeline_core::{Preset, Webp};

use crate::color::Conversion;
use crate::decode::{Picture, decode};
use crate::orientation::Orientation;
use crate::packed::{Packed, Space};
use crate::planar::{Planar, Plane};
use crate::resize::Resizer;
use crate::{Heif, ImageError, Limits, libwebp, png, sniff, turbo};

/// JPEG quality of every version, as libjpeg counts it.
const QUALITY: u32 = 82;

/// The box into which a picture is fitted for its ThumbHash. The hash keeps at most seven waves across, and costs a
/// cosine for each pixel and wave. Its usual 100 pixels would take 2 ms for the same hash.
const HASH_BOX: Preset = Preset { name: "thumbhash", width: 32, height: 32, webp: false };

/// The versions of one original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Pixels of the original, upright.
    pub width: u32,
    /// Pixels of the original, upright.
    pub height: u32,
    /// The media type of the original, by its bytes.
    pub content_type: &'static str,
    /// A placeholder of about 25 bytes, in the format of the ThumbHash libraries.
    pub thumbhash: Vec<u8>,
    /// In the order of the presets: the JPEG or PNG of each, followed by the WebP if the preset asks for it.
    pub versions: Vec<Version>,
}

/// One finished version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The preset's name.
    pub name: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// `image/jpeg`, or `image/png` for a picture with a transparent pixel; `image/webp` for the additional version.
    pub content_type: &'static str,
    /// The file: upright, in sRGB, without any metadata.
    pub bytes: Vec<u8>,
}

impl Version {
    /// The extension of a file with this version, without the dot.
    pub fn extension(&self) -> &'static str {
        match self.content_type {
            "image/png" => "png",
            "image/webp" => "webp",
            _ => "jpg",
        }
    }
}

/// Makes the version of each preset from an original file, within the limits. A version holds nothing of the original
/// except its pixels. Uses about ten bytes of memory a pixel. Call it for untrusted files through a
/// [`WorkerProcess`](crate::worker::WorkerProcess), which also bounds time and memory. `heif` reads HEIC and AVIF.
pub fn make_versions(original: &[u8], presets: &[Preset], limits: &Limits, heif: &Heif) -> Result<Made, ImageError> {
    let format = sniff::format(original)?;
    let largest = |(width, height)| {
        let sizes = presets.iter().map(|preset| preset.fit(width, height));
        sizes.max_by_key(area).unwrap_or(HASH_BOX.fit(width, height))
    };
    let decoded = decode(original, format, limits, heif, largest)?;
    let (width, height) = decoded.orientation.turned(decoded.size);

    let mut resizer = Resizer::default();
    let canvas = match decoded.picture {
        Picture::Planar(picture) => {
            let colors =
                Conversion::from_icc(&decoded.icc, if picture.chroma.is_some() { Space::Rgb } else { Space::Grey });
            let size = largest((width, height));
            let is_ready = decoded.orientation.is_upright() && (picture.width, picture.height) == size;
            let picture = if is_ready && picture.is_encodable() {
                picture
            } else {
                picture.upright(decoded.orientation, size, &mut resizer)?
            };
            Canvas::Opaque(colors.planar(picture)?)
        }
        Picture::Packed(picture) => {
            let (stored_width, stored_height) = decoded.orientation.turned(largest((width, height)));
            let picture = if (picture.width, picture.height) == (stored_width, stored_height) {
                picture
            } else {
                picture.resized(stored_width, stored_height, &mut resizer)?
            };
            let colors = Conversion::from_icc(&decoded.icc, picture.space);
            Canvas::from_packed(colors.packed(decoded.orientation.packed(picture))?)?
        }
    };
    let (versions, smallest) = chain(canvas, (width, height), presets, &mut resizer)?;
    let thumbhash = smallest.thumbhash(&mut resizer)?;
    Ok(Made { width, height, content_type: format.content_type(), thumbhash, versions })
}

fn area((width, height): &(u32, u32)) -> u64 {
    u64::from(*width) * u64::from(*height)
}

/// Makes the versions, largest first, each from the one before it. Returns the smallest canvas.
fn chain(
    mut canvas: Canvas,
    (width, height): (u32, u32),
    presets: &[Preset],
    resizer: &mut Resizer,
) -> Result<(Vec<Version>, Canvas), ImageError> {
    let mut places: Vec<usize> = (0..presets.len()).collect();
    places.sort_by_key(|place| std::cmp::Reverse(area(&presets[*place].fit(width, height))));
    let mut versions: Vec<Vec<Version>> = vec![Vec::new(); presets.len()];
    // A small picture has the same size in several boxes. It is compressed once, for the first of them.
    let (mut picture, mut webp) = (None::<usize>, None::<usize>);
    for place in places {
        let preset = &presets[place];
        let size = preset.fit(width, height);
        if canvas.size() != size {
            canvas = canvas.resized(size, resizer)?;
            (picture, webp) = (None, None);
        }
        let version = |content_type, bytes| {
            let name = preset.name.to_owned();
            Version { name, width: size.0, height: size.1, content_type, bytes }
        };
        let (content_type, bytes) = match picture.and_then(|same| versions[same].first()) {
            Some(same) => (same.content_type, same.bytes.clone()),
            None => canvas.compress()?,
        };
        versions[place].push(version(content_type, bytes));
        picture.get_or_insert(place);
        if preset.webp {
            let bytes = match webp.and_then(|same| versions[same].last()) {
                Some(same) => same.bytes.clone(),
                None => canvas.compress_webp()?,
            };
            versions[place].push(version(Webp::CONTENT_TYPE, bytes));
            webp.get_or_insert(place);
        }
    }
    Ok((versions.into_iter().flatten().collect(), canvas))
}

/// An upright picture in sRGB, in the form from which its versions are compressed.
enum Canvas {
    /// In 4:2:0 or grey.
    Opaque(Planar),
    /// RGB with opacity.
    Transparent(Packed),
}

impl Canvas {
    fn from_packed(picture: Packed) -> Result<Self, ImageError> {
        if picture.is_transparent() {
            return Ok(Self::Transparent(picture));
        }
        if picture.space == Space::Grey {
            let Packed { width, height, samples, .. } = picture;
            return Ok(Self::Opaque(Planar { width, height, luma: Plane { width, height, samples }, chroma: None }));
        }
        let planar = turbo::from_rgb(&picture.without_alpha());
        Ok(Self::Opaque(planar.map_err(|failure| ImageError::crashed(failure.message))?))
    }

    fn size(&self) -> (u32, u32) {
        match self {
            Self::Opaque(picture) => (picture.width, picture.height),
            Self::Transparent(picture) => (picture.width, picture.height),
        }
    }

    fn resized(self, (width, height): (u32, u32), resizer: &mut Resizer) -> Result<Self, ImageError> {
        match self {
            Self::Opaque(picture) => {
                picture.upright(Orientation::default(), (width, height), resizer).map(Self::Opaque)
            }
            Self::Transparent(picture) => picture.resized(width, height, resizer).map(Self::Transparent),
        }
    }

    fn compress(&self) -> Result<(&'static str, Vec<u8>), ImageError> {
        match self {
            Self::Opaque(picture) => {
                let bytes =
                    turbo::compress(picture, QUALITY).map_err(|failure| ImageError::crashed(failure.message))?;
                Ok(("image/jpeg", bytes))
            }
            Self::Transparent(picture) => Ok(("image/png", png::compress(picture)?)),
        }
    }

    fn compress_webp(&self) -> Result<Vec<u8>, ImageError> {
        match self {
            Self::Opaque(picture) => libwebp::compress(picture),
            Self::Transparent(picture) => libwebp::compress_transparent(picture),
        }
    }

    fn thumbhash(self, resizer: &mut Resizer) -> Result<Vec<u8>, ImageError> {
        let (width, height) = self.size();
        let small = self.resized(HASH_BOX.fit(width, height), resizer)?;
        let rgba = match small {
            Self::Transparent(picture) => picture.samples,
            Self::Opaque(picture) => {
                let rgb = turbo::to_rgb(&picture).map_err(|failure| ImageError::crashed(failure.message))?;
                rgb.samples.chunks_exact(3).flat_map(|pixel| [pixel[0], pixel[1], pixel[2], u8::MAX]).collect()
            }
        };
        let (width, height) = HASH_BOX.fit(width, height);
        Ok(thumbhash::rgba_to_thumb_hash(width as usize, height as usize, &rgba))
    }
}

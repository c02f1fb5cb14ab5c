//! Reads HEIC, AVIF and other HEIF pictures through the system's libheif, if it is installed.

mod boxes;
mod coded;
mod hevc;
mod library;

use eyeline_core::ImageErrorCode;
use moxcms::{CicpProfile, ColorProfile, MatrixCoefficients, TransferCharacteristics};
use serde::{Deserialize, Serialize};

use crate::decode::{Decoded, Picture};
use crate::orientation::Orientation;
use crate::packed::Packed;
use crate::sniff::Format;
use crate::{ImageError, Limits};
use library::{Failure, Library, Read};

pub(crate) use boxes::Outline;

/// The libheif of this process, or the reason why it is unavailable.
///
/// Loading opens files and starts plugins, so a worker loads it before it is confined. It stays loaded for the life of
/// the process.
pub struct Heif(Result<Library, String>);

/// The formats that libheif can decode here, for the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeifSupport {
    /// libheif's version; `None` where it cannot be used.
    pub version: Option<String>,
    /// Why it cannot be used.
    pub trouble: Option<String>,
    /// True if HEIC can be read, which needs libde265.
    pub heic: bool,
    /// True if AVIF can be read, which needs an AV1 decoder of libheif.
    pub avif: bool,
}

impl HeifSupport {
    /// The command that installs all missing parts, on Debian and Ubuntu.
    pub const INSTALL: &str =
        "apt-get install libheif1 libde265-0, from Debian 13 and Ubuntu 24.04 on also libheif-plugin-dav1d";
}

impl Heif {
    /// Loads libheif and libde265 by their usual names on Linux.
    pub fn load() -> Self {
        Self::load_named("libheif.so.1", "libde265.so.0")
    }

    /// Like [`Heif::load`], with other names or paths.
    pub fn load_named(libheif: &str, libde265: &str) -> Self {
        Self(Library::load(libheif, libde265))
    }

    /// The formats that this process can decode.
    pub fn support(&self) -> HeifSupport {
        match &self.0 {
            Ok(library) => HeifSupport {
                version: Some(library.version.clone()),
                trouble: None,
                heic: library.hevc,
                avif: library.av1,
            },
            Err(trouble) => HeifSupport { trouble: Some(trouble.clone()), ..HeifSupport::default() },
        }
    }

    /// Decodes the primary picture of a file that begins like HEIF, upright by the file's own transformations. Ignores
    /// EXIF.
    pub(crate) fn decode(&self, file: &[u8], format: Format, limits: &Limits) -> Result<Decoded, ImageError> {
        let outline = Outline::read(file)?;
        limits.check_size(outline.size.0, outline.size.1)?;
        limits.check_frames(outline.frames, outline.size.0, outline.size.1)?;
        let library = self.0.as_ref().map_err(|_| missing("HEIC and AVIF pictures", "libheif (libheif1)"))?;
        let Read { mut picture, is_premultiplied, icc, code_points } =
            library.read(file, limits)?.map_err(|failure| judge(&failure, format, library))?;
        if is_premultiplied {
            divide_by_opacity(&mut picture);
        }
        let icc = if icc.is_empty() { code_points.and_then(profile_of).unwrap_or_default() } else { icc };
        let size = (picture.width, picture.height);
        Ok(Decoded { size, orientation: Orientation::default(), icc, picture: Picture::Packed(picture) })
    }
}

fn missing(what: &str, package: &str) -> ImageError {
    ImageError::new(
        ImageErrorCode::Unsupported,
        format!(
            "{what} cannot be read here until the operator of this server installs {package}; until then, please send \
             it as JPEG, PNG, WebP or GIF."
        ),
    )
}

/// The error codes are those of libheif's `heif_error.h`.
fn judge(failure: &Failure, format: Format, library: &Library) -> ImageError {
    let is_codec = matches!((failure.code, failure.subcode), (4, 3000) | (11, _));
    match (failure.code, failure.subcode) {
        _ if is_codec && format != Format::Avif && !library.hevc => missing("HEIC pictures", "libde265 (libde265-0)"),
        _ if is_codec && format != Format::Heic && !library.av1 => {
            missing("AVIF pictures", "a decoder for AV1 (libheif-plugin-dav1d)")
        }
        (_, 100) => ImageError::truncated(),
        (_, 1000) => ImageError::new(
            ImageErrorCode::TooManyPixels,
            format!("The picture has more pixels or parts than are accepted ({}).", words(failure)),
        ),
        (6, _) => ImageError::too_much_memory(),
        (3 | 4 | 11, _) => ImageError::new(
            ImageErrorCode::Unsupported,
            format!("The picture uses a part of the HEIF format that cannot be read here ({}).", words(failure)),
        ),
        // The library's messages name boxes and items, which do not help the owner of a photo.
        (7, _) => ImageError::damaged("its compressed picture cannot be decoded"),
        _ => ImageError::damaged("it does not follow the HEIF format"),
    }
}

/// The library's message as part of a sentence: on one line, and shortened.
fn words(failure: &Failure) -> String {
    let words = failure.message.split_whitespace().collect::<Vec<_>>().join(" ");
    words.trim_end_matches(['.', ':']).chars().take(200).collect()
}

/// Restores the colours before their multiplication by opacity.
fn divide_by_opacity(picture: &mut Packed) {
    if !picture.has_alpha() {
        return;
    }
    for [red, green, blue, opacity] in picture.samples.as_chunks_mut::<4>().0 {
        let opacity = u16::from(*opacity);
        for sample in [red, green, blue] {
            let divided = (u16::from(*sample) * 255 + opacity / 2).checked_div(opacity).unwrap_or(0);
            *sample = divided.min(255) as u8;
        }
    }
}

/// The profile of the given primaries and curve, numbered as in H.273. `None` for sRGB, for unknown values, and for
/// high dynamic range, which one curve cannot map to a screen's range.
fn profile_of((primaries, transfer): (u8, u8)) -> Option<Vec<u8>> {
    let transfer = match TransferCharacteristics::try_from(transfer).ok()? {
        TransferCharacteristics::Smpte2084 | TransferCharacteristics::Hlg => return None,
        // Film cameras write these curves. Photos with them are made for the curve of sRGB, and shown with it.
        TransferCharacteristics::Bt709
        | TransferCharacteristics::Unspecified
        | TransferCharacteristics::Bt601
        | TransferCharacteristics::Bt202010bit
        | TransferCharacteristics::Bt202012bit => TransferCharacteristics::Srgb,
        other => other,
    };
    if matches!((primaries, transfer), (1 | 2, TransferCharacteristics::Srgb)) {
        return None;
    }
    let cicp = CicpProfile {
        color_primaries: primaries.try_into().ok()?,
        transfer_characteristics: transfer,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    };
    let mut profile = ColorProfile::new_from_cicp(cicp);
    profile.cicp = None;
    profile.red_trc.is_some().then(|| profile.encode().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::Space;

    #[test]
    fn opacity_is_taken_out_of_the_colours() {
        let samples = vec![100, 50, 0, 100, 7, 7, 7, 0, 9, 8, 7, 255, 200, 10, 0, 100];
        let mut picture = Packed { width: 4, height: 1, channels: 4, space: Space::Rgb, samples };
        divide_by_opacity(&mut picture);
        assert_eq!(picture.samples, [255, 128, 0, 100, 0, 0, 0, 0, 9, 8, 7, 255, 255, 26, 0, 100]);
    }

    #[test]
    fn code_points_become_a_profile_where_they_are_not_those_of_srgb_or_of_film() {
        for (points, has_profile) in
            [((12, 13), true), ((9, 1), true), ((1, 8), true), ((9, 16), false), ((99, 13), false)]
        {
            assert_eq!(profile_of(points).is_some(), has_profile, "{points:?}");
        }
    }

    #[test]
    fn without_the_library_the_error_names_what_to_install() {
        let heif = Heif::load_named("libheif-that-is-not-there.so.1", "libde265.so.0");
        let support = heif.support();
        assert!(support.version.is_none() && !support.heic && !support.avif);
        assert!(support.trouble.is_some_and(|trouble| trouble.contains("libheif-that-is-not-there")));
    }
}

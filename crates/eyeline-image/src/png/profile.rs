//! The colours of a PNG file as an ICC profile, from any chunk that describes them.

use moxcms::{CicpProfile, ColorProfile, MatrixCoefficients, TransferCharacteristics};
use png::{CodingIndependentCodePoints, Info};

use crate::packed::Space;

/// The file's profile; empty means sRGB. The first of cICP, iCCP and sRGB counts (PNG, third edition, 4.3). Ignores the
/// numbers of gAMA and cHRM, like other programs that make previews: too many writers state their own screen there
/// instead of the picture.
pub(super) fn of(info: &Info<'_>, space: Space) -> Vec<u8> {
    match (info.coding_independent_code_points, &info.icc_profile) {
        // A profile that cannot be encoded is ignored.
        (Some(points), _) if space == Space::Rgb => {
            from_code_points(points).and_then(|profile| profile.encode().ok()).unwrap_or_default()
        }
        (_, Some(icc)) => icc.to_vec(),
        _ => Vec::new(),
    }
}

/// `None` for sRGB, for unknown values, and for high dynamic range, which one curve cannot map to a screen's range.
fn from_code_points(points: CodingIndependentCodePoints) -> Option<ColorProfile> {
    let transfer = TransferCharacteristics::try_from(points.transfer_function).ok()?;
    if matches!(transfer, TransferCharacteristics::Smpte2084 | TransferCharacteristics::Hlg) {
        return None;
    }
    let cicp = CicpProfile {
        color_primaries: points.color_primaries.try_into().ok()?,
        transfer_characteristics: transfer,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: points.is_video_full_range_image,
    };
    let mut profile = ColorProfile::new_from_cicp(cicp);
    profile.cicp = None;
    profile.red_trc.is_some().then_some(profile)
}

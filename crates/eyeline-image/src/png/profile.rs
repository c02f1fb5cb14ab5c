//! The colours of a PNG file as an ICC profile, whichever chunk describes them.

use moxcms::{CicpProfile, ColorProfile, MatrixCoefficients, TransferCharacteristics};
use png::{CodingIndependentCodePoints, Info};

use crate::packed::Space;

/// The file's profile; empty means sRGB. When several chunks tell, the first of cICP, iCCP and sRGB counts (PNG, third
/// edition, 4.3). The bare numbers of gAMA and cHRM are passed over, as other makers of previews do: programs have
/// written them for their own screen rather than for the picture too often.
pub(super) fn of(info: &Info<'_>, space: Space) -> Vec<u8> {
    match (info.coding_independent_code_points, &info.icc_profile) {
        // A profile that cannot be written says nothing.
        (Some(points), _) if space == Space::Rgb => {
            from_code_points(points).and_then(|profile| profile.encode().ok()).unwrap_or_default()
        }
        (_, Some(icc)) => icc.to_vec(),
        _ => Vec::new(),
    }
}

/// `None` for sRGB, for what is unknown, and for the curves of high dynamic range, which one curve cannot bring to a
/// screen's range.
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

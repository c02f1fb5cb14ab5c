//! What the numbers of a PNG file mean as colours, as an ICC profile whatever the file says it with.

use moxcms::{
    Chromaticity, CicpProfile, ColorPrimaries, ColorProfile, MatrixCoefficients, TransferCharacteristics, XyY,
    curve_from_gamma,
};
use png::{CodingIndependentCodePoints, Info, SourceChromaticities};

use crate::packed::Space;

/// sRGB's gamma, in the form of the chunk.
const SRGB_GAMMA: f32 = 1.0 / 2.2;
/// A gamma this near, as a share, is the same one (as libpng has it).
const GAMMA_TOLERANCE: f32 = 0.05;
/// White, red, green and blue of sRGB.
const SRGB: [(f32, f32); 4] = [(0.3127, 0.3290), (0.64, 0.33), (0.30, 0.60), (0.15, 0.06)];
/// Chromaticities this near are the same; the chunk keeps five places, and programs round to three.
const CHROMATICITY_TOLERANCE: f32 = 0.003;

/// The file's profile; empty means sRGB. When several chunks tell, the first of cICP, iCCP, sRGB, and gAMA with cHRM
/// counts (PNG, third edition, 4.3).
pub(super) fn of(info: &Info<'_>, space: Space) -> Vec<u8> {
    let profile = match (info.coding_independent_code_points, &info.icc_profile) {
        (Some(points), _) if space == Space::Rgb => from_code_points(points),
        (_, Some(icc)) => return icc.to_vec(),
        _ if info.srgb.is_some() => None,
        _ => from_gamma(info.gama_chunk.map(png::ScaledFloat::into_value), info.chrm_chunk, space),
    };
    // One that cannot be written says nothing.
    profile.and_then(|profile| profile.encode().ok()).unwrap_or_default()
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

/// `None` for what is sRGB or near enough, and for numbers that make no sense.
fn from_gamma(gamma: Option<f32>, chromaticities: Option<SourceChromaticities>, space: Space) -> Option<ColorProfile> {
    let gamma = gamma.filter(|gamma| (0.1..=10.0).contains(gamma));
    let gamma = gamma.filter(|gamma| (gamma / SRGB_GAMMA - 1.0).abs() > GAMMA_TOLERANCE);
    if space == Space::Grey {
        return gamma.map(|gamma| ColorProfile::new_gray_with_gamma(1.0 / gamma));
    }
    let primaries = chromaticities.map(points).filter(|points| is_triangle(points) && !is_srgb(points));
    if gamma.is_none() && primaries.is_none() {
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    if let Some(gamma) = gamma {
        let curve = Some(curve_from_gamma(1.0 / gamma));
        (profile.red_trc, profile.green_trc, profile.blue_trc) = (curve.clone(), curve.clone(), curve);
    }
    if let Some([white, red, green, blue]) = primaries {
        let point = |(x, y): (f32, f32)| Chromaticity { x, y };
        let white = XyY { x: white.0.into(), y: white.1.into(), yb: 1.0 };
        let primaries = ColorPrimaries { red: point(red), green: point(green), blue: point(blue) };
        profile.update_rgb_colorimetry(white, primaries);
    }
    Some(profile)
}

fn points(found: SourceChromaticities) -> [(f32, f32); 4] {
    [found.white, found.red, found.green, found.blue].map(|(x, y)| (x.into_value(), y.into_value()))
}

fn is_srgb(points: &[(f32, f32); 4]) -> bool {
    let near = |a: f32, b: f32| (a - b).abs() <= CHROMATICITY_TOLERANCE;
    points.iter().zip(SRGB).all(|(found, srgb)| near(found.0, srgb.0) && near(found.1, srgb.1))
}

/// Whether the primaries span a triangle with the white inside, as those of every real screen do.
fn is_triangle([white, red, green, blue]: &[(f32, f32); 4]) -> bool {
    let side = |a: &(f32, f32), b: &(f32, f32)| (b.0 - a.0) * (white.1 - a.1) - (b.1 - a.1) * (white.0 - a.0);
    let sides = [side(red, green), side(green, blue), side(blue, red)];
    white.1 > 0.0 && (sides.iter().all(|side| *side > 1e-3) || sides.iter().all(|side| *side < -1e-3))
}

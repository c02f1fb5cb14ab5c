//! Converts colours from the profile of the file to sRGB, which every screen shows.

use moxcms::{ColorProfile, DataColorSpace, Layout, ToneReprCurve, TransformOptions};

use crate::ImageError;
use crate::packed::{Packed, Space};
use crate::planar::Planar;
use crate::turbo;

/// The conversion that a picture's colours need.
pub(crate) enum Conversion {
    /// No conversion: the colours are sRGB or unknown.
    None,
    From(Box<ColorProfile>),
}

impl Conversion {
    /// Reads a file's ICC profile. Ignores a profile that is unreadable or for another colour model than the picture's,
    /// as browsers do.
    pub fn from_icc(icc: &[u8], space: Space) -> Self {
        if icc.is_empty() {
            return Self::None;
        }
        let Ok(profile) = ColorProfile::new_from_slice(icc) else { return Self::None };
        let expected = match space {
            Space::Grey => DataColorSpace::Gray,
            Space::Rgb => DataColorSpace::Rgb,
            Space::InvertedCmyk => DataColorSpace::Cmyk,
        };
        if profile.color_space != expected || is_srgb(&profile) { Self::None } else { Self::From(Box::new(profile)) }
    }

    /// Planes in sRGB.
    pub fn planar(&self, mut picture: Planar) -> Result<Planar, ImageError> {
        let Self::From(profile) = self else { return Ok(picture) };
        if picture.chroma.is_some() {
            if let Some(mut convert) = rgb_conversion(profile, Layout::Rgb) {
                let outcome = turbo::change_rgb(&mut picture, |rows| convert(rows));
                outcome.map_err(|failure| ImageError::crashed(failure.message))?;
            }
        } else if let Some(curve) = grey_curve(profile) {
            picture.luma.samples.iter_mut().for_each(|sample| *sample = curve[usize::from(*sample)]);
        }
        Ok(picture)
    }

    /// Pixels in sRGB or its grey. Inks always become RGB.
    pub fn packed(&self, mut picture: Packed) -> Result<Packed, ImageError> {
        match (self, picture.space) {
            (Self::None, Space::Grey | Space::Rgb) => Ok(picture),
            (Self::None, Space::InvertedCmyk) => Ok(plain_inks_to_rgb(&picture)),
            (Self::From(profile), Space::Grey) => {
                if let Some(curve) = grey_curve(profile) {
                    let greys = picture.samples.iter_mut().step_by(picture.channels);
                    greys.for_each(|sample| *sample = curve[usize::from(*sample)]);
                }
                Ok(picture)
            }
            (Self::From(profile), Space::Rgb) => {
                rgb_in_place(profile, &mut picture);
                Ok(picture)
            }
            (Self::From(profile), Space::InvertedCmyk) => inks_to_rgb(profile, &picture),
        }
    }
}

/// The number of rows converted together, so that their copy stays small.
const ROWS: usize = 64;

fn rgb_in_place(profile: &ColorProfile, picture: &mut Packed) {
    let layout = if picture.channels == 4 { Layout::Rgba } else { Layout::Rgb };
    if let Some(convert) = rgb_conversion(profile, layout) {
        picture.samples.chunks_mut(picture.width as usize * picture.channels * ROWS).for_each(convert);
    }
}

/// Returns a function that converts some rows in place, with a copy of them. `None` if the profile is unusable.
fn rgb_conversion(profile: &ColorProfile, layout: Layout) -> Option<impl FnMut(&mut [u8])> {
    let srgb = ColorProfile::new_srgb();
    let transform = profile.create_transform_8bit(layout, &srgb, layout, TransformOptions::default()).ok()?;
    let mut before = Vec::new();
    Some(move |rows: &mut [u8]| {
        before.clear();
        before.extend_from_slice(rows);
        if transform.transform(&before, rows).is_err() {
            rows.copy_from_slice(&before);
        }
    })
}

fn inks_to_rgb(profile: &ColorProfile, picture: &Packed) -> Result<Packed, ImageError> {
    let srgb = ColorProfile::new_srgb();
    // Profiles count ink; Adobe's files count its absence.
    let transform = profile.create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgb, TransformOptions::default());
    let Ok(transform) = transform else { return Ok(plain_inks_to_rgb(picture)) };
    let mut rgb = Packed::new(picture.width, picture.height, 3, Space::Rgb)?;
    let width = picture.width as usize;
    let mut inks = Vec::new();
    for (from, to) in picture.samples.chunks(width * 4 * ROWS).zip(rgb.samples.chunks_mut(width * 3 * ROWS)) {
        inks.clear();
        inks.extend(from.iter().map(|sample| 255 - sample));
        if transform.transform(&inks, to).is_err() {
            return Ok(plain_inks_to_rgb(picture));
        }
    }
    Ok(rgb)
}

/// Converts inks without a profile: each subtracts its complement, and black subtracts from all.
fn plain_inks_to_rgb(picture: &Packed) -> Packed {
    let (pixels, _) = picture.samples.as_chunks::<4>();
    let light = |ink: u8, black: u8| ((u16::from(ink) * u16::from(black) + 127) / 255) as u8;
    let samples = pixels.iter().flat_map(|[c, m, y, k]| [light(*c, *k), light(*m, *k), light(*y, *k)]).collect();
    Packed { width: picture.width, height: picture.height, channels: 3, space: Space::Rgb, samples }
}

/// The sRGB grey of each of the 256 greys of a profile.
fn grey_curve(profile: &ColorProfile) -> Option<Vec<u8>> {
    let profile = grey_by_luminance(profile)?;
    let greys: Vec<u8> = (0..=255).collect();
    let mut rgb = vec![0; 256 * 3];
    let transform = profile.create_transform_8bit(
        Layout::Gray,
        &ColorProfile::new_srgb(),
        Layout::Rgb,
        TransformOptions::default(),
    );
    transform.ok()?.transform(&greys, &mut rgb).ok()?;
    Some(rgb.chunks_exact(3).map(|pixel| pixel[1]).collect())
}

/// A grey profile whose curve gives luminance. If the profile connects by Lab, its curve gives lightness (ICC.1:2022,
/// F.2), which the converter does not know. The converter does know a table, which takes precedence over the curve.
fn grey_by_luminance(profile: &ColorProfile) -> Option<ColorProfile> {
    let mut profile = profile.clone();
    if profile.pcs != DataColorSpace::Lab || profile.lut_a_to_b_perceptual.is_some() {
        return Some(profile);
    }
    profile.pcs = DataColorSpace::Xyz;
    let greys: Vec<u16> = (0..=255).map(|grey| grey * 257).collect();
    let mut curve = vec![0; greys.len()];
    let linear = ColorProfile::new_gray_with_gamma(1.0);
    let transform =
        profile.create_transform_16bit(Layout::Gray, &linear, Layout::Gray, TransformOptions::default()).ok()?;
    transform.transform(&greys, &mut curve).ok()?;
    for value in &mut curve {
        // CIE 15: the luminance of a lightness, both from 0 to 1.
        let lightness = f64::from(*value) / 65_535.0 * 100.0;
        let cube = ((lightness + 16.0) / 116.0).powi(3);
        let luminance = if lightness > 8.0 { cube } else { lightness * 27.0 / 24_389.0 };
        *value = (luminance * 65_535.0).round() as u16;
    }
    profile.gray_trc = Some(ToneReprCurve::Lut(curve));
    Some(profile)
}

/// True if a profile only describes sRGB: converting a few test colours changes none by more than the rounding. Most
/// photos have such a profile, and converting them would cost as much as a version.
fn is_srgb(profile: &ColorProfile) -> bool {
    if profile.color_space != DataColorSpace::Rgb {
        return false;
    }
    let srgb = ColorProfile::new_srgb();
    let Ok(transform) = profile.create_transform_8bit(Layout::Rgb, &srgb, Layout::Rgb, TransformOptions::default())
    else {
        return true;
    };
    const LEVELS: [u8; 6] = [0, 24, 64, 128, 192, 255];
    let mut colors = Vec::with_capacity(LEVELS.len().pow(3) * 3);
    for red in LEVELS {
        for green in LEVELS {
            colors.extend(LEVELS.iter().flat_map(|blue| [red, green, *blue]));
        }
    }
    let mut converted = vec![0; colors.len()];
    if transform.transform(&colors, &mut converted).is_err() {
        return true;
    }
    colors.iter().zip(&converted).all(|(before, after)| before.abs_diff(*after) <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversion_rounds_to_the_nearest_and_makes_nothing_darker() {
        let linear = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let encoded = |light: f64| {
            255.0 * if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
        };
        // From Display P3 to sRGB, both with white at D65 (their primaries in SMPTE EG 432-1 and IEC 61966-2-1).
        let matrix = [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]];
        let colors: Vec<[u8; 3]> = (0..20_000_u32)
            .map(|n| [150 + (n % 80) as u8, 60 + (n / 7 % 60) as u8, 40 + (n / 131 % 50) as u8])
            .collect();
        let mut converted = colors.as_flattened().to_vec();
        rgb_conversion(&ColorProfile::new_display_p3(), Layout::Rgb).expect("a profile of use")(&mut converted);
        for channel in 0..3 {
            let difference = |(from, to): (&[u8; 3], &[u8; 3])| {
                let light: f64 = (0..3).map(|part| matrix[channel][part] * linear(from[part])).sum();
                f64::from(to[channel]) - encoded(light)
            };
            let sum: f64 = colors.iter().zip(converted.as_chunks().0).map(difference).sum();
            let mean = sum / colors.len() as f64;
            assert!(mean.abs() < 0.3, "channel {channel} is off by {mean} on average");
        }
    }
}

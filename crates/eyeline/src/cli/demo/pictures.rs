//! Pictures for the demo: landscapes from a grey noon to a red sunset.

use std::fs;
use std::path::Path;

use jpeg_encoder::{ColorType, Encoder};

const WIDTH: u16 = 960;
const HEIGHT: u16 = 640;
const QUALITY: u8 = 82;

type Rgb = [f32; 3];

/// Colours of the sky's top, the horizon and the nearest hill, at warmth 0 and at warmth 1.
const SKY: [Rgb; 2] = [[150.0, 165.0, 180.0], [58.0, 40.0, 110.0]];
const HORIZON: [Rgb; 2] = [[196.0, 202.0, 206.0], [255.0, 140.0, 66.0]];
const HILL: [Rgb; 2] = [[92.0, 104.0, 98.0], [44.0, 20.0, 52.0]];
const SUN: Rgb = [255.0, 236.0, 170.0];
const HILLS: usize = 4;

/// Writes a picture for each warmth (0 to 1) to the folder, named by its number.
pub(super) fn write(folder: &Path, warmths: &[f32]) -> Result<(), String> {
    for (number, warmth) in warmths.iter().enumerate() {
        let mut file = Vec::new();
        let encoded =
            Encoder::new(&mut file, QUALITY).encode(&landscape(number, *warmth), WIDTH, HEIGHT, ColorType::Rgb);
        encoded.map_err(|error| format!("a picture cannot be made: {error}"))?;
        let path = folder.join(name(number));
        fs::write(&path, file).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    }
    Ok(())
}

/// The file name of a picture.
fn name(number: usize) -> String {
    format!("landscape-{number:03}.jpg")
}

/// The number in a file name made by [`write`].
pub(super) fn number(name: &str) -> Option<usize> {
    name.strip_prefix("landscape-")?.strip_suffix(".jpg")?.parse().ok()
}

/// The pixels of a picture: RGB, row by row. `number` varies the shape of the hills.
fn landscape(number: usize, warmth: f32) -> Vec<u8> {
    let (width, height) = (f32::from(WIDTH), f32::from(HEIGHT));
    // Any irrational step spreads the numbers evenly over the pictures.
    let chance = |salt: f32| (number as f32 * 0.618_034 + salt * 0.754_878).fract();
    let (sky, horizon, hill) = (blend(SKY, warmth), blend(HORIZON, warmth), blend(HILL, warmth));
    let sun = (width * (0.2 + 0.6 * chance(1.0)), height * (0.62 - 0.25 * (1.0 - warmth)), height * 0.07);
    let glow = |x: f32, y: f32| {
        let distance = ((x - sun.0).powi(2) + (y - sun.1).powi(2)).sqrt();
        if distance < sun.2 { 1.0 } else { (1.0 - (distance - sun.2) / (height * 0.6)).max(0.0).powi(3) * 0.6 }
    };
    let ridge = |layer: usize, x: f32| {
        let depth = (layer + 1) as f32 / HILLS as f32;
        let wave = |length: f32, salt: f32| (x / width * length + 6.3 * chance(salt + layer as f32)).sin();
        height * (0.48 + 0.34 * depth - 0.07 * wave(4.0, 2.0) - 0.035 * wave(11.0, 9.0) - 0.012 * wave(31.0, 17.0))
    };
    let mut pixels = Vec::with_capacity(usize::from(WIDTH) * usize::from(HEIGHT) * 3);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let (x, y) = (f32::from(x), f32::from(y));
            let color = match (0..HILLS).rev().find(|layer| y > ridge(*layer, x)) {
                Some(layer) => blend([horizon, hill], 0.25 + 0.75 * (layer + 1) as f32 / HILLS as f32),
                None => blend(
                    [blend([sky, horizon], (y / (height * 0.7)).min(1.0)), SUN],
                    glow(x, y) * (0.25 + 0.75 * warmth),
                ),
            };
            pixels.extend(color.map(|value| value.round() as u8));
        }
    }
    pixels
}

fn blend([from, to]: [Rgb; 2], part: f32) -> Rgb {
    std::array::from_fn(|channel| from[channel] + (to[channel] - from[channel]) * part)
}

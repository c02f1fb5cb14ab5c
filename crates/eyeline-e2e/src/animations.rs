//! Small animations in each format that has them: a red frame, then a blue one.

use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::{Frame, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

use crate::photos::Photo;

pub const WIDTH: u32 = 80;
pub const HEIGHT: u32 = 60;
/// The colours of the first frame and of the second.
pub const COLOURS: [[u8; 3]; 2] = [[200, 30, 30], [0, 0, 250]];

pub fn all() -> [Photo; 3] {
    [
        Photo::new("moving.gif", "image/gif", gif()),
        Photo::new("moving.png", "image/png", png()),
        Photo::new("moving.webp", "image/webp", webp()),
    ]
}

fn gif() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new(&mut file);
    for [red, green, blue] in COLOURS {
        let frame = Frame::new(RgbaImage::from_pixel(WIDTH, HEIGHT, Rgba([red, green, blue, 255])));
        encoder.encode_frame(frame).expect("a frame");
    }
    drop(encoder);
    file
}

fn png() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(2, 0).expect("two frames");
    let mut writer = encoder.write_header().expect("a header");
    for colour in COLOURS {
        writer.write_image_data(&colour.repeat((WIDTH * HEIGHT) as usize)).expect("a frame");
    }
    writer.finish().expect("an end");
    file
}

/// Two still pictures in a container that plays them (RFC 9649, 2.7).
fn webp() -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let length = u32::try_from(data.len()).expect("short").to_le_bytes();
        [kind.as_slice(), &length, data, &vec![0; data.len() % 2]].concat()
    };
    let [width, height] = [WIDTH - 1, HEIGHT - 1].map(u32::to_le_bytes);
    let size = [&width[..3], &height[..3]].concat();
    let frames = COLOURS.map(|colour| {
        let mut still = Cursor::new(Vec::new());
        RgbImage::from_pixel(WIDTH, HEIGHT, Rgb(colour)).write_to(&mut still, ImageFormat::WebP).expect("encodes");
        // At the top left, for 100 ms, drawn over what was there; the still picture behind its container's 12 bytes.
        let place = [&[0; 6], size.as_slice(), &[100, 0, 0, 2]].concat();
        chunk(b"ANMF", &[&place, &still.into_inner()[12..]].concat())
    });
    let body = [
        b"WEBP".to_vec(),
        chunk(b"VP8X", &[&[0x02, 0, 0, 0], size.as_slice()].concat()),
        chunk(b"ANIM", &[255, 255, 255, 255, 0, 0]),
        frames.concat(),
    ]
    .concat();
    [b"RIFF".as_slice(), &u32::try_from(body.len()).expect("short").to_le_bytes(), &body].concat()
}

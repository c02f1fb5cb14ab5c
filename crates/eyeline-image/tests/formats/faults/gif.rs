use eyeline_core::ImageErrorCode;

use super::{assert_cuts, assert_refused, assert_same};
use crate::{assert_near, attempt, largest, made, refusal};

const SCREEN: (u16, u16) = (60, 40);

/// Number of a colour, left, top, width, height.
type Frame = (u8, u16, u16, u16, u16);

const RED: Frame = (1, 0, 0, SCREEN.0, SCREEN.1);
const BLUE: Frame = (2, 0, 0, SCREEN.0, SCREEN.1);

const PALETTE: [u8; 12] = [0, 0, 0, 220, 20, 20, 20, 20, 220, 255, 255, 255];

fn header(has_palette: bool) -> Vec<u8> {
    let [width, height] = [SCREEN.0, SCREEN.1].map(u16::to_le_bytes);
    let flags = if has_palette { 0x81 } else { 0x01 };
    let palette: &[u8] = if has_palette { &PALETTE } else { &[] };
    [b"GIF89a".as_slice(), &width, &height, &[flags, 0, 0], palette].concat()
}

/// A frame of one colour, without its final empty block.
fn unended((color, left, top, width, height): Frame, has_palette: bool) -> Vec<u8> {
    let mut frame = vec![0x2c];
    frame.extend([left, top, width, height].into_iter().flat_map(u16::to_le_bytes));
    frame.push(if has_palette { 0x81 } else { 0 });
    frame.extend(if has_palette { PALETTE.as_slice() } else { &[] });
    frame.push(2);
    // Codes of three bits, with a clear code before the table would grow: 4 clears, 5 ends.
    let pixels = usize::from(width) * usize::from(height);
    let codes: Vec<u8> =
        (0..pixels).flat_map(|n| if n % 2 == 0 { vec![4, color] } else { vec![color] }).chain([5]).collect();
    let mut bytes = vec![0; (codes.len() * 3).div_ceil(8)];
    for (place, code) in codes.iter().enumerate() {
        let bits = u16::from(*code) << (place * 3 % 8);
        bytes[place * 3 / 8] |= bits as u8;
        if bits > 0xff {
            bytes[place * 3 / 8 + 1] |= (bits >> 8) as u8;
        }
    }
    frame.extend(bytes.chunks(255).flat_map(|block| [&[block.len() as u8], block].concat()));
    frame
}

fn frame(frame: Frame) -> Vec<u8> {
    [unended(frame, false), vec![0]].concat()
}

/// A file of these parts between header and trailer.
fn gif(parts: &[Vec<u8>]) -> Vec<u8> {
    [header(true), parts.concat(), b";".to_vec()].concat()
}

#[test]
fn the_end_may_be_missing_or_followed_by_anything() {
    let file = gif(&[frame(RED)]);
    let sound = made(&file);
    assert_near(largest(&sound).to_rgb8().get_pixel(30, 20).0, [220, 20, 20], 6, "red");
    assert_same(&file[..file.len() - 1], &sound, "no trailer");
    assert_same(&file[..file.len() - 2], &sound, "no terminator and no trailer");
    assert_same(&[&file[..file.len() - 2], b";"].concat(), &sound, "no terminator");
    assert_same(&[&file[..file.len() - 2], b";", &[7; 90]].concat(), &sound, "no terminator, and more behind");
    for junk in [b"\0\0\0\0".as_slice(), b"<html>", &[0xff; 300], b";;;;", b"GIF89a", b"!\xff\x0bNETSCAPE2.0\x03"] {
        assert_same(&[file.as_slice(), junk].concat(), &sound, &format!("{junk:?} behind the trailer"));
        assert_same(&[&file[..file.len() - 1], junk].concat(), &sound, &format!("{junk:?} in place of the trailer"));
    }
}

#[test]
fn a_cut_file_is_truncated_unless_the_first_picture_is_whole() {
    let file = gif(&[frame(RED), frame(BLUE)]);
    let first = header(true).len() + unended(RED, false).len();
    assert_cuts(&file, 0..file.len(), first - 1);
    assert_same(&file[..first], &made(&file), "cut behind the first picture");
}

#[test]
fn what_is_wrong_in_a_later_frame_does_not_matter() {
    let sound = made(&gif(&[frame(RED)]));
    let no_code_size = [&frame(BLUE)[..10], &[99, 1, 1, 0]].concat();
    let broken_codes = [&frame(BLUE)[..11], b"\x03\xff\xff\xff\0"].concat();
    for (what, second) in [
        ("empty", frame((2, 0, 0, 0, 0))),
        ("outside of the screen", frame((2, 500, 500, 10, 10))),
        ("larger than the screen", frame((2, 0, 0, 300, 300))),
        ("without a code size", no_code_size),
        ("with broken codes", broken_codes),
        ("cut", frame(BLUE)[..40].to_vec()),
        ("an unknown block", b"\x99\x02ab\0".to_vec()),
        ("a control block of another length", b"!\xf9\x02\0\0\0".to_vec()),
        ("without an end", unended(BLUE, false)),
    ] {
        assert_same(&gif(&[frame(RED), second.clone()]), &sound, what);
        assert_same(&gif(&[frame(RED), second, frame(BLUE)]), &sound, &format!("{what}, and another"));
    }
}

#[test]
fn an_empty_frame_before_the_first_picture_is_passed_over() {
    let sound = made(&gif(&[frame(RED)]));
    for empty in [(2, 0, 0, 0, 0), (2, 0, 0, 60, 0), (2, 9, 9, 0, 40)] {
        assert_same(&gif(&[frame(empty), frame(RED)]), &sound, &format!("{empty:?}"));
        assert_refused(&gif(&[frame(empty)]), ImageErrorCode::Damaged, &format!("nothing but {empty:?}"));
    }
}

#[test]
fn a_palette_may_belong_to_the_frame_alone() {
    let local = [header(false), unended(RED, true), b"\0;".to_vec()].concat();
    assert_eq!(made(&local), made(&gif(&[frame(RED)])));
}

#[test]
fn the_canvas_grows_to_its_first_picture() {
    let made = made(&gif(&[frame((1, 50, 30, 30, 30))]));
    assert_eq!((made.width, made.height), (80, 60));
    let picture = largest(&made).to_rgba8();
    assert_eq!((picture.get_pixel(10, 10).0[3], picture.get_pixel(70, 50).0[3]), (0, 255));
}

#[test]
fn an_animation_that_is_too_long_is_told_how_long_it_is() {
    let refusal = refusal(&gif(&vec![frame((1, 0, 0, 4, 4)); 150]));
    assert_eq!(refusal.code, ImageErrorCode::TooManyPixels);
    let sentence = "The animation has 150 frames; at most 100 frames and 250 megapixels in all are accepted.";
    assert_eq!(refusal.sentence, sentence);
    assert!(attempt(&gif(&vec![frame((1, 0, 0, 4, 4)); 100])).is_ok());
}

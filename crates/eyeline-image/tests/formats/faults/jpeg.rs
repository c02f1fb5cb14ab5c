use eyeline_core::ImageErrorCode;
use image::{Rgb, RgbImage};
use jpeg_encoder::{ColorType, SamplingFactor};

use super::{assert_cuts, assert_refused, assert_same};
use crate::files::{jpeg, photo, with_segment};
use crate::made;

const SIZE: (u32, u32) = (300, 200);

/// A picture whose every part has data of its own.
fn detailed() -> RgbImage {
    RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(2_246_822_519)).wrapping_mul(3_266_489_917) >> 24;
        Rgb([noise as u8, (x % 256) as u8, (y + noise / 4) as u8])
    })
}

fn baseline() -> Vec<u8> {
    photo(&detailed())
}

fn progressive() -> Vec<u8> {
    jpeg(&detailed(), SIZE, ColorType::Rgb, SamplingFactor::R_4_2_0, true)
}

/// The starts of the scans' headers.
fn scans(file: &[u8]) -> Vec<usize> {
    file.windows(2).enumerate().filter(|(_, bytes)| *bytes == [0xff, 0xda]).map(|(place, _)| place).collect()
}

/// A baseline file with restarts every eight units.
fn with_restarts() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, 90);
    encoder.set_restart_interval(8);
    encoder.encode(&detailed(), SIZE.0 as u16, SIZE.1 as u16, ColorType::Rgb).expect("encodes");
    file
}

/// A change of a file, and its description.
type Oddity = (&'static str, fn(&[u8]) -> Vec<u8>);
/// The same for the data of a scan, given by its start.
type Damage = (&'static str, fn(&[u8], usize) -> Vec<u8>);

/// Oddities for which the decoder warns, without losing samples.
fn oddities() -> Vec<Oddity> {
    vec![
        ("another JFIF version", |file| with_segment(file, 0xe0, b"JFIF\0\x07\x01\0\0\x01\0\x01\0\0")),
        ("an unknown Adobe transform", |file| with_segment(file, 0xee, b"Adobe\0\x64\0\0\0\0\x09")),
        ("bytes before a marker", |file| {
            let scan = scans(file)[0];
            [&file[..scan], b"four", &file[scan..]].concat()
        }),
        ("bytes before the end", |file| [&file[..file.len() - 2], &[0; 9], &file[file.len() - 2..]].concat()),
        ("no last coefficient stated", |file| {
            let mut file = file.to_vec();
            let scan = scans(&file)[0];
            let length = usize::from(u16::from_be_bytes([file[scan + 2], file[scan + 3]]));
            file[scan + length] = 0;
            file
        }),
    ]
}

/// Damage that costs samples.
fn damages() -> Vec<Damage> {
    vec![
        ("zeros", |file, scan| {
            let mut file = file.to_vec();
            let (from, to) = (scan + (file.len() - scan) / 3, file.len() - 200);
            file[from..to].fill(0);
            file
        }),
        ("an early end", |file, scan| [&file[..scan + (file.len() - scan) / 2], b"\xff\xd9"].concat()),
        ("codes that do not exist", |file, scan| {
            let mut file = file.to_vec();
            let from = scan + (file.len() - scan) / 2;
            file[from..from + 400].copy_from_slice(&[0xff, 0].repeat(200));
            file
        }),
        ("a part is missing", |file, scan| {
            let from = scan + (file.len() - scan) / 2;
            [&file[..from], &file[from + (file.len() - from) / 2..]].concat()
        }),
    ]
}

#[test]
fn an_oddity_is_harmless_alone_and_hides_no_damage_behind_it() {
    let file = baseline();
    let sound = made(&file);
    for (oddity, with_oddity) in oddities() {
        let odd = with_oddity(&file);
        assert_same(&odd, &sound, oddity);
        for (damage, with_damage) in damages() {
            let place = *scans(&odd).first().expect("a scan");
            assert_refused(&with_damage(&odd, place), ImageErrorCode::Damaged, &format!("{oddity}, then {damage}"));
        }
    }
    for (damage, with_damage) in damages() {
        assert_refused(&with_damage(&file, scans(&file)[0]), ImageErrorCode::Damaged, damage);
    }
}

#[test]
fn every_oddity_at_once_hides_no_damage() {
    let file = oddities().iter().fold(baseline(), |file, (_, with_oddity)| with_oddity(&file));
    assert_same(&file, &made(&baseline()), "all oddities");
    for (damage, with_damage) in damages() {
        assert_refused(&with_damage(&file, scans(&file)[0]), ImageErrorCode::Damaged, damage);
    }
}

#[test]
fn a_lost_restart_is_damage_behind_an_oddity_too() {
    let file = with_restarts();
    let sound = made(&file);
    let restarts: Vec<usize> = file
        .windows(2)
        .enumerate()
        .filter(|(_, bytes)| matches!(bytes, [0xff, 0xd0..=0xd7]))
        .map(|(at, _)| at)
        .collect();
    assert!(restarts.len() > 10);
    let (from, to) = (restarts[3], restarts[5]);
    let none: Oddity = ("none", |file| file.to_vec());
    for (oddity, with_oddity) in [none, oddities()[0]] {
        assert_same(&with_oddity(&file), &sound, oddity);
        let lost = [&file[..from], &file[to..]].concat();
        assert_refused(&with_oddity(&lost), ImageErrorCode::Damaged, &format!("two intervals lost, {oddity}"));
    }
}

#[test]
fn what_follows_the_end_is_no_part_of_the_picture() {
    let file = baseline();
    let sound = made(&file);
    // Several pictures in one file, as cameras write them: the first has an index, the others follow it.
    let index = with_segment(&file, 0xe2, b"MPF\0II*\0\x08\0\0\0\x03\0\0\xb0\x07\0\x04\0\0\x000100");
    for (what, behind) in [
        ("zeros", vec![0; 5_000]),
        ("line breaks", b"\r\n\r\n".to_vec()),
        ("markers", b"\xff\xd8\xff\xda\xff\xd9\xff".to_vec()),
        ("another picture", photo(&RgbImage::new(50, 40))),
        ("a film", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".repeat(50)),
    ] {
        assert_same(&[file.as_slice(), &behind].concat(), &sound, what);
        assert_same(&[index.as_slice(), &behind].concat(), &sound, &format!("{what} behind an index"));
    }
}

#[test]
fn without_an_end_marker_a_file_is_taken_if_every_sample_is_there() {
    for file in [baseline(), progressive(), with_restarts()] {
        let sound = made(&file);
        let bare = &file[..file.len() - 2];
        assert_same(bare, &sound, "no end marker");
        assert_same(&file[..file.len() - 1], &sound, "half of the end marker");
        assert_same(&[bare, &[0; 700]].concat(), &sound, "zeros in place of the end marker");
        assert_same(&[bare, b"\xff\xfe\0\x08a c"].concat(), &sound, "cut in a comment");
        let end = file.len() - 2;
        assert_cuts(&file, (3..file.len()).step_by(997).chain(end - 40..end), end - 1);
    }
}

#[test]
fn a_progressive_file_without_its_end_needs_all_of_its_scans() {
    let file = progressive();
    let scans = scans(&file);
    assert!(scans.len() > 4);
    for (number, scan) in scans.iter().enumerate() {
        assert_refused(&file[..*scan], ImageErrorCode::Truncated, &format!("{number} scans"));
    }
    // With an end marker the writer meant it: the picture has less detail and is complete.
    let fewer = [&file[..scans[scans.len() - 1]], b"\xff\xd9"].concat();
    assert_eq!((made(&fewer).width, made(&fewer).height), SIZE);
}

#[test]
fn zeros_in_place_of_the_second_half_are_a_cut() {
    for file in [baseline(), progressive()] {
        let half = &file[..scans(&file)[0] + (file.len() - scans(&file)[0]) / 2];
        for zeros in [300, 5_000, 50_000] {
            let filled = [half, &vec![0; zeros]].concat();
            assert_refused(&filled, ImageErrorCode::Truncated, &format!("{zeros} zeros"));
            let ended = [&filled, b"\xff\xd9".as_slice()].concat();
            assert_refused(&ended, ImageErrorCode::Damaged, &format!("{zeros} zeros and an end"));
        }
    }
}

#[test]
fn padding_between_a_scan_and_the_end_is_harmless_and_data_there_is_damage() {
    let file = baseline();
    let sound = made(&file);
    let (data, end) = file.split_at(file.len() - 2);
    for padding in
        [vec![0; 1], vec![0; 1_000], vec![0; 60_000], vec![0x20; 5_000], b"twenty-seven bytes of text.".to_vec()]
    {
        assert_same(&[data, &padding, end].concat(), &sound, &format!("{} bytes", padding.len()));
    }
    // The data of a scan continues after the complete picture.
    let more = &data[data.len() - 4_000..];
    assert_refused(&[data, more, end].concat(), ImageErrorCode::Damaged, "more data");
}

#[test]
fn densities_and_fill_bytes_do_not_matter() {
    let file = baseline();
    let sound = made(&file);
    for density in [[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [9, 0xff, 0xff, 0xff, 0xff], [2, 0, 72, 0, 1]] {
        let jfif = [b"JFIF\0\x01\x02".as_slice(), &density, &[0, 0]].concat();
        assert_same(&with_segment(&file, 0xe0, &jfif), &sound, &format!("density {density:?}"));
    }
    // A thumbnail that is announced and missing.
    assert_same(&with_segment(&file, 0xe0, b"JFIF\0\x01\x02\0\0\x01\0\x01\x50\x50"), &sound, "no thumbnail");
    let scan = scans(&file)[0];
    assert_same(&[&file[..scan], &[0xff; 30], &file[scan..]].concat(), &sound, "fill bytes");
}

//! Reads the structure of an ISO media file, as far as it must be checked before libheif reads the file.
//!
//! Reads only lengths, sizes and references. It also runs in the server's own process, on untrusted files.

use std::collections::{BTreeMap, BTreeSet};

use super::coded;
use crate::ImageError;

/// The name of a box.
type Name = [u8; 4];

/// Bytes of a box's length and name.
const HEADER_BYTES: usize = 8;

/// The most steps of references from item to item. A picture has three: grid, tile, opacity.
const DEPTH_MAX: usize = 8;

/// The most pixels by which a coded picture may exceed the stated width and height. Encoders fill the last block.
const PADDING_MAX: u32 = 128;

/// The boxes at the top level of a file. Any other box was appended by a program, and ends the reading.
const OUTERMOST: [&Name; 12] =
    [b"ftyp", b"styp", b"meta", b"mdat", b"moov", b"moof", b"mfra", b"sidx", b"free", b"skip", b"wide", b"uuid"];

/// The brands of image sequences, which may have other brands too.
const SEQUENCES: [&Name; 6] = [b"avis", b"msf1", b"hevc", b"hevx", b"hevm", b"hevs"];

/// A box, or its available part.
pub(super) struct Part<'a> {
    pub name: Name,
    pub content: &'a [u8],
    /// True if it ends after the available bytes.
    is_cut: bool,
}

/// The boxes in `bytes` in order, up to the first incomplete one.
pub(super) fn parts(mut bytes: &[u8]) -> impl Iterator<Item = Part<'_>> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk()?;
        let (name, mut rest) = rest.split_first_chunk()?;
        let length = match u64::from(u32::from_be_bytes(*length)) {
            0 => rest.len() as u64,
            1 => {
                let (long, behind) = rest.split_first_chunk()?;
                rest = behind;
                u64::from_be_bytes(*long).saturating_sub(2 * HEADER_BYTES as u64)
            }
            length => length.saturating_sub(HEADER_BYTES as u64),
        };
        let content = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
        let (content, behind) = content.unwrap_or((rest, &[]));
        bytes = behind;
        Some(Part { name: *name, content, is_cut: (content.len() as u64) < length })
    })
}

/// The content of the first box of a name.
pub(super) fn find<'a>(bytes: &'a [u8], name: &Name) -> Option<&'a [u8]> {
    parts(bytes).find(|part| &part.name == name).map(|part| part.content)
}

/// The content of the first box at the end of a path of names.
fn find_below<'a>(bytes: &'a [u8], path: &[&Name]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, name| find(bytes, name))
}

/// The description of a file before its pixels.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    /// Pixels of its largest item, as stored: of the picture itself, or of a part of it.
    pub size: (u32, u32),
    /// Pictures of its longest sequence; 0 without one.
    pub frames: u32,
}

impl Outline {
    /// Reads the structure of a whole file.
    pub fn read(file: &[u8]) -> Result<Self, ImageError> {
        let (mut types, mut meta, mut film) = (None, None, None);
        for part in parts(file).take_while(|part| OUTERMOST.contains(&&part.name)) {
            let found = match &part.name {
                b"meta" => &mut meta,
                b"moov" => &mut film,
                // Some cameras append their own film.
                b"ftyp" if types.is_some() => break,
                b"ftyp" => &mut types,
                _ => &mut None,
            };
            if part.is_cut {
                return Err(ImageError::truncated());
            }
            found.get_or_insert(part.content);
        }
        let is_sequence = |types: &[u8]| types.as_chunks::<4>().0.iter().any(|brand| SEQUENCES.contains(&brand));
        let frames = film.filter(|_| types.is_some_and(is_sequence)).map(frames);
        let Some(meta) = meta else {
            return Err(match film {
                Some(_) => ImageError::unsupported("A sequence of pictures without a still one"),
                None => ImageError::truncated(),
            });
        };
        let Some(items) = meta.get(4..) else { return Err(ImageError::damaged("a list of pictures without content")) };
        if coded::is_cut(file.len(), items) {
            return Err(ImageError::truncated());
        }
        check_references(items)?;
        let size = largest(items).ok_or_else(|| ImageError::damaged("no picture in it states its size"))?;
        let (sides, coded) = (sides(items), coded::sides(file, items));
        if coded.0 > sides.0.saturating_add(PADDING_MAX) || coded.1 > sides.1.saturating_add(PADDING_MAX) {
            return Err(ImageError::damaged("a picture of two sizes"));
        }
        Ok(Self { size, frames: frames.unwrap_or(0) })
    }

    /// From the start of a file: the size in pixels of the largest item, and whether an item has more than 8 bits a
    /// sample. `None` if they lie beyond it.
    pub fn at_start(start: &[u8]) -> Option<((u32, u32), bool)> {
        let meta = parts(start).find(|part| &part.name == b"meta").filter(|part| !part.is_cut)?;
        let items = meta.content.get(4..)?;
        Some((largest(items)?, is_deep(items)))
    }
}

/// True if a decoder configuration states more than 8 bits a sample.
fn is_deep(items: &[u8]) -> bool {
    let properties = find_below(items, &[b"iprp", b"ipco"]).unwrap_or_default();
    parts(properties).any(|part| match &part.name {
        b"hvcC" => part.content.get(17).is_some_and(|depth| depth & 7 != 0),
        b"av1C" => part.content.get(2).is_some_and(|flags| flags & 0x40 != 0),
        _ => false,
    })
}

/// The largest of all stated sizes.
fn largest(items: &[u8]) -> Option<(u32, u32)> {
    sizes(items).max_by_key(|(width, height)| u64::from(*width) * u64::from(*height))
}

/// The longest stated width and the longest stated height.
fn sides(items: &[u8]) -> (u32, u32) {
    sizes(items).fold((0, 0), |longest, size| (longest.0.max(size.0), longest.1.max(size.1)))
}

fn sizes(items: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    let properties = find_below(items, &[b"iprp", b"ipco"]).unwrap_or_default();
    parts(properties).filter(|part| &part.name == b"ispe").filter_map(|part| {
        // Version and flags come first.
        let side = |at| Some(u32::from_be_bytes(*part.content.get(at..)?.first_chunk()?));
        Some((side(4)?, side(8)?))
    })
}

/// Pictures of the longest track of a film.
fn frames(film: &[u8]) -> u32 {
    let tracks = parts(film).filter(|part| &part.name == b"trak");
    let counts = tracks.filter_map(|track| {
        let sizes = find_below(track.content, &[b"mdia", b"minf", b"stbl", b"stsz"])?;
        // After version, flags and the size of all samples.
        Some(u32::from_be_bytes(*sizes.get(8..)?.first_chunk()?))
    });
    counts.max().unwrap_or(0)
}

/// Rejects items that refer to each other in a circle, or in more steps than any picture has. libheif follows
/// references without a bound.
fn check_references(items: &[u8]) -> Result<(), ImageError> {
    let Some(references) = find(items, b"iref") else { return Ok(()) };
    let mut parts_of = parts_of_items(references).ok_or_else(|| ImageError::damaged("a reference that is cut"))?;
    for _ in 0..=DEPTH_MAX {
        // Each round removes the items without parts.
        parts_of.retain(|_, parts| !parts.is_empty());
        if parts_of.is_empty() {
            return Ok(());
        }
        let open: BTreeSet<u32> = parts_of.keys().copied().collect();
        parts_of.values_mut().for_each(|parts| parts.retain(|part| open.contains(part)));
    }
    Err(ImageError::damaged("its pictures are made of each other in a circle"))
}

/// For each item, the items from which it is decoded: the tiles of a grid, and its opacity or depth.
fn parts_of_items(references: &[u8]) -> Option<BTreeMap<u32, Vec<u32>>> {
    let mut parts_of: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let is_long = *references.first()? != 0;
    for reference in parts(references.get(4..)?) {
        let mut rest = reference.content;
        let item = |rest: &mut &[u8]| {
            Some(if is_long {
                u32::from_be_bytes(*rest.split_off(..4)?.first_chunk()?)
            } else {
                u32::from(u16::from_be_bytes(*rest.split_off(..2)?.first_chunk()?))
            })
        };
        let from = item(&mut rest)?;
        let count = u16::from_be_bytes(*rest.split_off(..2)?.first_chunk()?);
        for _ in 0..count {
            let to = item(&mut rest)?;
            match &reference.name {
                b"dimg" => parts_of.entry(from).or_default().push(to),
                b"auxl" => parts_of.entry(to).or_default().push(from),
                _ => {}
            }
        }
    }
    Some(parts_of)
}

#[cfg(test)]
mod tests {
    use eyeline_core::ImageErrorCode;

    use super::*;

    fn part(name: &Name, content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32 + 8).to_be_bytes(), name.as_slice(), content].concat()
    }

    fn meta(references: &[(&Name, u16, &[u16])]) -> Vec<u8> {
        let size = part(b"ispe", &[[0; 4], 30_u32.to_be_bytes(), 20_u32.to_be_bytes()].concat());
        let references = references.iter().map(|(name, from, to)| {
            let numbers = [*from, to.len() as u16].into_iter().chain(to.iter().copied());
            part(name, &numbers.flat_map(u16::to_be_bytes).collect::<Vec<u8>>())
        });
        let references = part(b"iref", &[vec![0; 4], references.collect::<Vec<_>>().concat()].concat());
        part(b"meta", &[vec![0; 4], part(b"iprp", &part(b"ipco", &size)), references].concat())
    }

    fn code(file: &[u8]) -> ImageErrorCode {
        Outline::read(file).expect_err("refused").code
    }

    #[test]
    fn a_file_that_ends_within_a_box_is_cut_and_what_is_appended_does_not_count() {
        let file = [part(b"ftyp", b"heic"), meta(&[]), part(b"mdat", &[7; 9])].concat();
        assert_eq!(Outline::read(&file), Ok(Outline { size: (30, 20), frames: 0 }));
        // A cut between two boxes, or within a header, cannot be detected.
        let (behind_meta, header) = (file.len() - 17, HEADER_BYTES);
        for cut in (9..file.len()).filter(|cut| !(behind_meta..behind_meta + header).contains(cut)) {
            assert_eq!(code(&file[..cut]), ImageErrorCode::Truncated, "cut at {cut}");
        }
        let appended = [file.as_slice(), b"\xff\xff\xff\xffSEFTjunk"].concat();
        assert!(Outline::read(&appended).is_ok());
    }

    #[test]
    fn items_that_are_made_of_each_other_are_refused() {
        let circles: [&[(&Name, u16, &[u16])]; 4] = [
            &[(b"dimg", 1, &[1])],
            &[(b"dimg", 1, &[2, 3]), (b"dimg", 3, &[1])],
            &[(b"auxl", 1, &[2]), (b"auxl", 2, &[1])],
            &[(b"dimg", 1, &[2]), (b"auxl", 1, &[2])],
        ];
        for references in circles {
            assert_eq!(code(&meta(references)), ImageErrorCode::Damaged);
        }
        let chain: Vec<(u16, [u16; 1])> = (0..40).map(|item| (item, [item + 1])).collect();
        let chain: Vec<(&Name, u16, &[u16])> = chain.iter().map(|(from, to)| (b"dimg", *from, to.as_slice())).collect();
        assert_eq!(code(&meta(&chain)), ImageErrorCode::Damaged);
        let usual: &[(&Name, u16, &[u16])] =
            &[(b"dimg", 1, &[2, 3, 2]), (b"auxl", 4, &[1]), (b"auxl", 5, &[2]), (b"thmb", 6, &[1])];
        assert!(Outline::read(&meta(usual)).is_ok());
    }

    #[test]
    fn a_film_alone_is_no_picture_and_its_frames_are_counted() {
        let sizes = part(b"stsz", &[[0; 4], [0; 4], 150_u32.to_be_bytes()].concat());
        let track = part(b"trak", &part(b"mdia", &part(b"minf", &part(b"stbl", &sizes))));
        let film = part(b"moov", &track);
        assert_eq!(code(&film), ImageErrorCode::Unsupported);
        for (brand, frames) in [(b"avis", 150), (b"heic", 0)] {
            let file = [part(b"ftyp", brand), meta(&[]), film.clone()].concat();
            assert_eq!(Outline::read(&file).expect("a picture").frames, frames);
        }
        let appended = [part(b"ftyp", b"heic"), meta(&[]), part(b"ftyp", b"msf1"), film[..20].to_vec()].concat();
        assert_eq!(Outline::read(&appended).expect("a picture").frames, 0);
    }

    #[test]
    fn long_boxes_and_boxes_to_the_end_are_read() {
        let content = meta(&[]);
        let long = [&[0, 0, 0, 1], b"free".as_slice(), &20_u64.to_be_bytes(), &[0; 4], &content].concat();
        assert_eq!(Outline::at_start(&long), Some(((30, 20), false)));
        let endless = [content.as_slice(), &[0; 4], b"mdat", &[7; 30]].concat();
        assert!(Outline::read(&endless).is_ok());
        let endless = [&[0, 0, 0, 1], b"free".as_slice(), &[0xff; 8], &content].concat();
        assert_eq!(code(&endless), ImageErrorCode::Truncated);
    }
}

//! A safe interface to libjpeg-turbo. No other file names the library.
//!
//! Every call passes pointers into buffers whose sizes the library's own functions computed from the header that it
//! read. Every buffer outlives its call. A handle serves one file and is then destroyed.
#![expect(unsafe_code, reason = "libjpeg-turbo is a C library; this file alone calls it")]

mod warnings;

use std::ffi::{CStr, c_int, c_uint};
use std::ptr;

use turbojpeg_sys as tj;

use crate::ImageError;
use crate::packed::{Packed, Space};
use crate::planar::{Chroma, Planar, Plane, Subsampling, pad};
use warnings::Warnings;

/// The reason why the library failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The library's message.
    pub message: String,
}

/// Apart from the library's errors, only memory for its buffers can be short.
impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self { message: error.sentence }
    }
}

/// The colour model of a JPEG file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colorspace {
    Grey,
    YCbCr,
    Rgb,
    /// Four inks, plain or as YCCK.
    Inks,
}

/// The header as the library reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub width: u32,
    pub height: u32,
    pub colorspace: Colorspace,
    sampling: c_int,
}

/// A scale in eighths of the full size, at which the inverse DCT yields the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Eighths(pub u32);

impl Eighths {
    pub const ALL: Self = Self(8);

    /// A side of `full` pixels at this scale.
    pub fn of(self, full: u32) -> u32 {
        (full * self.0).div_ceil(8)
    }

    /// The library accepts its factors only in lowest terms.
    fn factor(self) -> tj::tjscalingfactor {
        let shift = self.0.trailing_zeros().min(3);
        tj::tjscalingfactor { num: int(self.0 >> shift), denom: 8 >> shift }
    }
}

/// Bounds on the library's memory and number of scans.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub memory_bytes: u64,
    pub scans: u32,
}

struct Handle(tj::tjhandle);

impl Handle {
    fn new(kind: c_uint) -> Result<Self, Failure> {
        // SAFETY: has no preconditions; a null answer is checked.
        let handle = unsafe { tj::tj3Init(int(kind)) };
        if handle.is_null() { Err(Failure { message: "out of memory".into() }) } else { Ok(Self(handle)) }
    }

    fn set(&mut self, parameter: c_uint, value: c_int) -> Result<(), Failure> {
        // SAFETY: the handle is live; parameter and value are checked by the library.
        let status = unsafe { tj::tj3Set(self.0, int(parameter), value) };
        self.check(status)
    }

    fn get(&self, parameter: c_uint) -> c_int {
        // SAFETY: the handle is live; the parameter is checked by the library.
        unsafe { tj::tj3Get(self.0, int(parameter)) }
    }

    fn check(&self, status: c_int) -> Result<(), Failure> {
        if status == 0 { Ok(()) } else { Err(self.failure()) }
    }

    fn failure(&self) -> Failure {
        // SAFETY: the answer is a string that ends with 0 and lives until the next call with this handle.
        let message = unsafe { CStr::from_ptr(tj::tj3GetErrorStr(self.0)) };
        Failure { message: message.to_string_lossy().into_owned() }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is live and never used again.
        unsafe { tj::tj3Destroy(self.0) };
    }
}

/// Decodes one file.
pub(crate) struct Decoder<'a> {
    handle: Handle,
    warnings: Warnings,
    file: &'a [u8],
    header: Header,
}

impl<'a> Decoder<'a> {
    /// Reads the header of a file.
    pub fn open(file: &'a [u8], bounds: Bounds) -> Result<Self, Failure> {
        // Of all kinds of handles, only this one supports `Warnings`.
        let mut handle = Handle::new(tj::TJINIT_TJINIT_TRANSFORM)?;
        let warnings = Warnings::of(&handle)?;
        handle.set(tj::TJPARAM_TJPARAM_SCANLIMIT, int(bounds.scans))?;
        handle.set(tj::TJPARAM_TJPARAM_MAXMEMORY, int(bounds.memory_bytes >> 20))?;
        handle.set(tj::TJPARAM_TJPARAM_SAVEMARKERS, 0)?;
        // SAFETY: the pointer and the length are those of one slice, which outlives the call.
        let status = unsafe { tj::tj3DecompressHeader(handle.0, file.as_ptr(), file.len() as tj::size_t) };
        // Decoding reads the header again, and repeats its warnings.
        handle.check(status)?;
        let side = |parameter| u32::try_from(handle.get(parameter)).unwrap_or(0);
        let (width, height) = (side(tj::TJPARAM_TJPARAM_JPEGWIDTH), side(tj::TJPARAM_TJPARAM_JPEGHEIGHT));
        let colorspace = match unsigned(handle.get(tj::TJPARAM_TJPARAM_COLORSPACE)) {
            tj::TJCS_TJCS_GRAY => Colorspace::Grey,
            tj::TJCS_TJCS_YCbCr => Colorspace::YCbCr,
            tj::TJCS_TJCS_RGB => Colorspace::Rgb,
            tj::TJCS_TJCS_CMYK | tj::TJCS_TJCS_YCCK => Colorspace::Inks,
            _ => return Err(Failure { message: "unknown color space".into() }),
        };
        if width == 0 || height == 0 {
            return Err(Failure { message: "no size in the header".into() });
        }
        let sampling = handle.get(tj::TJPARAM_TJPARAM_SUBSAMP);
        Ok(Self { handle, warnings, file, header: Header { width, height, colorspace, sampling } })
    }

    pub fn header(&self) -> Header {
        self.header
    }

    /// The planes of a YCbCr or grey file as they are stored, at a scale.
    pub fn planes(&mut self, scale: Eighths) -> Result<Planar, Failure> {
        let subsampling = subsampling(self.header.sampling);
        let is_planar = matches!(self.header.colorspace, Colorspace::Grey | Colorspace::YCbCr);
        let Some(subsampling) = subsampling.filter(|_| is_planar) else {
            return Err(Failure { message: "not stored in planes".into() });
        };
        self.scale(scale)?;
        let (width, height) = (scale.of(self.header.width), scale.of(self.header.height));
        let sampling = self.header.sampling;
        let mut luma = empty_plane(0, width, height, sampling)?;
        let mut chroma = match self.header.colorspace {
            Colorspace::Grey => None,
            _ => Some([empty_plane(1, width, height, sampling)?, empty_plane(2, width, height, sampling)?]),
        };
        let mut pointers = [luma.samples.as_mut_ptr(), ptr::null_mut(), ptr::null_mut()];
        if let Some(planes) = &mut chroma {
            for (pointer, plane) in pointers[1..].iter_mut().zip(planes) {
                *pointer = plane.samples.as_mut_ptr();
            }
        }
        // SAFETY: the planes have the sizes that the library computes for this header, scale and sampling, with rows
        // one behind the other (which no strides mean); the file is the slice the header was read from.
        let status = unsafe {
            tj::tj3DecompressToYUVPlanes8(
                self.handle.0,
                self.file.as_ptr(),
                self.file.len() as tj::size_t,
                pointers.as_mut_ptr(),
                ptr::null_mut(),
            )
        };
        self.check(status)?;
        // Beyond the edge of the picture the file may hold anything.
        pad(&mut luma, width, height);
        Ok(Planar { width, height, luma, chroma: chroma.map(|planes| Chroma { subsampling, planes }) })
    }

    /// The pixels as the library converts them, at a scale: grey, RGB, or inks as they are stored.
    pub fn packed(&mut self, scale: Eighths) -> Result<Packed, Failure> {
        self.scale(scale)?;
        let (format, channels, space) = match self.header.colorspace {
            Colorspace::Grey => (tj::TJPF_TJPF_GRAY, 1, Space::Grey),
            Colorspace::YCbCr | Colorspace::Rgb => (tj::TJPF_TJPF_RGB, 3, Space::Rgb),
            Colorspace::Inks => (tj::TJPF_TJPF_CMYK, 4, Space::InvertedCmyk),
        };
        let (width, height) = (scale.of(self.header.width), scale.of(self.header.height));
        let mut picture = Packed::new(width, height, channels, space)?;
        // SAFETY: the buffer holds height rows of width pixels of this format, without gaps (which a pitch of 0 means),
        // at the size that the library computes for this header and scale.
        let status = unsafe {
            tj::tj3Decompress8(
                self.handle.0,
                self.file.as_ptr(),
                self.file.len() as tj::size_t,
                picture.samples.as_mut_ptr(),
                0,
                format,
            )
        };
        self.check(status)?;
        Ok(picture)
    }

    fn scale(&mut self, scale: Eighths) -> Result<(), Failure> {
        // SAFETY: the handle is live; the factor is checked by the library.
        let status = unsafe { tj::tj3SetScalingFactor(self.handle.0, scale.factor()) };
        self.handle.check(status)
    }

    /// Succeeds if the library finished the picture and warned of no lost data.
    fn check(&self, status: c_int) -> Result<(), Failure> {
        self.handle.check(status)?;
        if self.warnings.of_lost_data() > 0 { Err(self.handle.failure()) } else { Ok(()) }
    }
}

/// Compresses a picture, which must be in 4:2:0 or grey, at a quality from 1 to 100. Baseline, no metadata.
pub(crate) fn compress(picture: &Planar, quality: u32) -> Result<Vec<u8>, Failure> {
    let sampling = encodable_sampling(picture)?;
    let mut handle = Handle::new(tj::TJINIT_TJINIT_COMPRESS)?;
    handle.set(tj::TJPARAM_TJPARAM_QUALITY, int(quality))?;
    handle.set(tj::TJPARAM_TJPARAM_SUBSAMP, sampling)?;
    handle.set(tj::TJPARAM_TJPARAM_NOREALLOC, 1)?;
    let (pointers, strides) = readable_planes(picture, sampling)?;
    // SAFETY: pure arithmetic.
    let most = unsafe { tj::tj3JPEGBufSize(int(picture.width), int(picture.height), sampling) } as usize;
    if most == 0 {
        return Err(handle.failure());
    }
    // Reserved without filling, so that only the pages of the file itself are touched.
    let mut file: Vec<u8> = Vec::with_capacity(most);
    let (mut start, mut length) = (file.as_mut_ptr(), most as tj::size_t);
    // SAFETY: each plane was checked to hold all rows that the library reads at this stride. It writes at most `length`
    // bytes and, told not to reallocate, leaves `start` as it is.
    let status = unsafe {
        tj::tj3CompressFromYUVPlanes8(
            handle.0,
            pointers.as_ptr(),
            int(picture.width),
            strides.as_ptr(),
            int(picture.height),
            &raw mut start,
            &raw mut length,
        )
    };
    handle.check(status)?;
    let length = length as usize;
    assert!(start == file.as_mut_ptr() && length <= most, "the encoder kept to its buffer");
    // SAFETY: the library has written the first `length` bytes, within the capacity.
    unsafe { file.set_len(length) };
    Ok(file.as_slice().to_vec())
}

/// The number of rows that pass through RGB together: few enough to stay in the processor's cache.
const STRIP_ROWS: u32 = 64;

/// Converts a picture in 4:2:0 to RGB and back, some rows at a time. `change` gets pixels of three bytes.
pub(crate) fn change_rgb(picture: &mut Planar, mut change: impl FnMut(&mut [u8])) -> Result<(), Failure> {
    let sampling = encodable_sampling(picture)?;
    let (_, mut strides) = readable_planes(picture, sampling)?;
    let (width, height) = (picture.width, picture.height);
    let Some(Chroma { planes: [cb, cr], .. }) = &mut picture.chroma else {
        return Err(Failure { message: "a grey picture has no colours to change".into() });
    };
    let mut decoder = Handle::new(tj::TJINIT_TJINIT_DECOMPRESS)?;
    let mut encoder = Handle::new(tj::TJINIT_TJINIT_COMPRESS)?;
    decoder.set(tj::TJPARAM_TJPARAM_SUBSAMP, sampling)?;
    encoder.set(tj::TJPARAM_TJPARAM_SUBSAMP, sampling)?;
    let mut rgb = Packed::new(width, STRIP_ROWS, 3, Space::Rgb)?.samples;
    for first in (0..height).step_by(STRIP_ROWS as usize) {
        let rows = STRIP_ROWS.min(height - first);
        // The number of rows before a strip is even, so the strip starts with its own chroma row.
        let planes = [(&mut picture.luma, first), (&mut *cb, first / 2), (&mut *cr, first / 2)];
        let mut pointers = planes.map(|(plane, row)| plane.samples[(row * plane.width) as usize..].as_mut_ptr());
        // SAFETY: each plane was checked to hold all rows of the whole picture at these strides, and the strip lies
        // within it; `rgb` holds as many rows of width pixels of 3 bytes without gaps (which a pitch of 0 means).
        let status = unsafe {
            tj::tj3DecodeYUVPlanes8(
                decoder.0,
                pointers.as_ptr().cast(),
                strides.as_ptr(),
                rgb.as_mut_ptr(),
                int(width),
                0,
                int(rows),
                tj::TJPF_TJPF_RGB,
            )
        };
        decoder.check(status)?;
        change(&mut rgb[..width as usize * rows as usize * 3]);
        // SAFETY: as above; the library writes to the rows that it read.
        let status = unsafe {
            tj::tj3EncodeYUVPlanes8(
                encoder.0,
                rgb.as_ptr(),
                int(width),
                0,
                int(rows),
                tj::TJPF_TJPF_RGB,
                pointers.as_mut_ptr(),
                strides.as_mut_ptr(),
            )
        };
        encoder.check(status)?;
    }
    Ok(())
}

/// RGB pixels of a picture in 4:2:0 or grey.
pub(crate) fn to_rgb(picture: &Planar) -> Result<Packed, Failure> {
    let sampling = encodable_sampling(picture)?;
    let mut handle = Handle::new(tj::TJINIT_TJINIT_DECOMPRESS)?;
    handle.set(tj::TJPARAM_TJPARAM_SUBSAMP, sampling)?;
    let (pointers, strides) = readable_planes(picture, sampling)?;
    let mut rgb = Packed::new(picture.width, picture.height, 3, Space::Rgb)?;
    // SAFETY: each plane was checked to hold all rows that the library reads at this stride; the target holds height
    // rows of width pixels of 3 bytes without gaps.
    let status = unsafe {
        tj::tj3DecodeYUVPlanes8(
            handle.0,
            pointers.as_ptr(),
            strides.as_ptr(),
            rgb.samples.as_mut_ptr(),
            int(picture.width),
            0,
            int(picture.height),
            tj::TJPF_TJPF_RGB,
        )
    };
    handle.check(status)?;
    Ok(rgb)
}

/// RGB pixels as planes in 4:2:0.
pub(crate) fn from_rgb(rgb: &Packed) -> Result<Planar, Failure> {
    let (width, height) = (rgb.width, rgb.height);
    assert!(rgb.channels == 3 && rgb.samples.len() == width as usize * height as usize * 3, "RGB without gaps");
    let sampling = tj::TJSAMP_TJSAMP_420;
    let mut handle = Handle::new(tj::TJINIT_TJINIT_COMPRESS)?;
    handle.set(tj::TJPARAM_TJPARAM_SUBSAMP, sampling)?;
    let mut luma = empty_plane(0, width, height, sampling)?;
    let mut planes = [empty_plane(1, width, height, sampling)?, empty_plane(2, width, height, sampling)?];
    let [cb, cr] = &mut planes;
    let mut pointers = [luma.samples.as_mut_ptr(), cb.samples.as_mut_ptr(), cr.samples.as_mut_ptr()];
    // SAFETY: the source was checked to hold height rows of width pixels; the planes have the sizes that the library
    // computes for this picture, without gaps (which no strides mean).
    let status = unsafe {
        tj::tj3EncodeYUVPlanes8(
            handle.0,
            rgb.samples.as_ptr(),
            int(width),
            0,
            int(height),
            tj::TJPF_TJPF_RGB,
            pointers.as_mut_ptr(),
            ptr::null_mut(),
        )
    };
    handle.check(status)?;
    Ok(Planar { width, height, luma, chroma: Some(Chroma { subsampling: Subsampling::HALF, planes }) })
}

/// An empty plane of the size the library needs for component `number` of a picture.
fn empty_plane(number: c_int, width: u32, height: u32, sampling: c_int) -> Result<Plane, Failure> {
    let (plane_width, plane_height) = plane_size(number, width, height, sampling);
    if plane_width == 0 || plane_height == 0 {
        return Err(Failure { message: "the picture has no size".into() });
    }
    Ok(Plane::new(plane_width, plane_height)?)
}

fn plane_size(number: c_int, width: u32, height: u32, sampling: c_int) -> (u32, u32) {
    // SAFETY: pure arithmetic; 0 for what makes no sense.
    let (plane_width, plane_height) = unsafe {
        (tj::tj3YUVPlaneWidth(number, int(width), sampling), tj::tj3YUVPlaneHeight(number, int(height), sampling))
    };
    (unsigned(plane_width), unsigned(plane_height))
}

/// Pointers to the planes and their strides. Fails unless the library can read all of each plane.
fn readable_planes(picture: &Planar, sampling: c_int) -> Result<([*const u8; 3], [c_int; 3]), Failure> {
    let mut pointers = [ptr::null(); 3];
    let mut strides = [0; 3];
    let chroma = picture.chroma.iter().flat_map(|chroma| &chroma.planes);
    for (number, plane) in (0..).zip(std::iter::once(&picture.luma).chain(chroma)) {
        let (width, height) = plane_size(number, picture.width, picture.height, sampling);
        let is_whole = width > 0
            && height > 0
            && plane.width >= width
            && plane.height >= height
            && plane.samples.len() == plane.width as usize * plane.height as usize;
        if !is_whole {
            return Err(Failure { message: "a plane is smaller than its picture".into() });
        }
        pointers[number as usize] = plane.samples.as_ptr();
        strides[number as usize] = int(plane.width);
    }
    Ok((pointers, strides))
}

fn encodable_sampling(picture: &Planar) -> Result<c_int, Failure> {
    match &picture.chroma {
        None => Ok(tj::TJSAMP_TJSAMP_GRAY),
        Some(chroma) if chroma.subsampling == Subsampling::HALF => Ok(tj::TJSAMP_TJSAMP_420),
        Some(_) => Err(Failure { message: "planes that are not in 4:2:0".into() }),
    }
}

fn subsampling(sampling: c_int) -> Option<Subsampling> {
    let (across, down) = match sampling {
        tj::TJSAMP_TJSAMP_444 | tj::TJSAMP_TJSAMP_GRAY => (1, 1),
        tj::TJSAMP_TJSAMP_422 => (2, 1),
        tj::TJSAMP_TJSAMP_420 => (2, 2),
        tj::TJSAMP_TJSAMP_440 => (1, 2),
        tj::TJSAMP_TJSAMP_411 => (4, 1),
        tj::TJSAMP_TJSAMP_441 => (1, 4),
        _ => return None,
    };
    Some(Subsampling { across, down })
}

/// Sizes here are at most 65,535, and parameters small. The library rejects values that would not fit.
fn int(value: impl TryInto<c_int>) -> c_int {
    value.try_into().unwrap_or(c_int::MAX)
}

fn unsigned(value: c_int) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_through_rgb_and_back_changes_nothing_but_roundings() {
        let noise = |seed: u32, length: u32, from: u32, range: u32| -> Vec<u8> {
            (0..length)
                .map(|n| (from + (n.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 16) % range) as u8)
                .collect()
        };
        let (width, height) = (200, 130);
        let plane = |seed, width, height, from, range| Plane {
            width,
            height,
            samples: noise(seed, width * height, from, range),
        };
        let before = Planar {
            width,
            height,
            luma: plane(1, width, height, 60, 130),
            chroma: Some(Chroma {
                subsampling: Subsampling::HALF,
                planes: [plane(2, width / 2, height / 2, 110, 30), plane(3, width / 2, height / 2, 115, 30)],
            }),
        };
        let mut after = before.clone();
        change_rgb(&mut after, |_| {}).expect("passes through");
        assert_eq!(after.luma, before.luma);
        let difference = |before: &Plane, after: &Plane| {
            before.samples.iter().zip(&after.samples).map(|(before, after)| before.abs_diff(*after)).max()
        };
        let (before, after) = (before.chroma.expect("colours").planes, after.chroma.expect("colours stay").planes);
        assert!(difference(&before[0], &after[0]) <= Some(1));
        assert!(difference(&before[1], &after[1]) <= Some(1));
    }
}

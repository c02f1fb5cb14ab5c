//! A safe interface to libde265, as a decoder plugin of libheif. No other file names its functions.
//!
//! libheif's own plugin for libde265 starts a thread for each picture, which a confined worker may not do, and then
//! waits for it for ever. It also ignores damage. This plugin does neither. libheif uses the decoder with the highest
//! priority.
#![expect(
    unsafe_code,
    reason = "libde265 is a C library, and libheif calls its plugins with C pointers; this file alone does both"
)]

use std::ffi::{c_char, c_int, c_void};
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::OnceLock;

use libloading::os::unix::{Library as Loaded, RTLD_LAZY, RTLD_LOCAL};

use super::library::{CError, Functions, functions};

type Decoder = *mut c_void;
type Picture = *const c_void;

functions! {
    /// The functions of libde265.
    #[expect(non_snake_case, reason = "the library's own names")]
    De265 {
        de265_new_decoder() -> Decoder;
        de265_free_decoder(Decoder) -> c_int;
        de265_push_NAL(Decoder, *const u8, c_int, i64, *mut c_void) -> c_int;
        de265_flush_data(Decoder) -> c_int;
        de265_decode(Decoder, *mut c_int) -> c_int;
        de265_get_warning(Decoder) -> c_int;
        de265_get_next_picture(Decoder) -> Picture;
        de265_get_image_width(Picture, c_int) -> c_int;
        de265_get_image_height(Picture, c_int) -> c_int;
        de265_get_chroma_format(Picture) -> c_int;
        de265_get_bits_per_pixel(Picture, c_int) -> c_int;
        de265_get_image_plane(Picture, c_int, *mut c_int) -> *const u8;
        de265_get_image_full_range_flag(Picture) -> c_int;
        de265_get_image_colour_primaries(Picture) -> c_int;
        de265_get_image_transfer_characteristics(Picture) -> c_int;
        de265_get_image_matrix_coefficients(Picture) -> c_int;
    }
}

/// `struct heif_decoder_plugin`, version 5. The versions before it are its beginning.
#[repr(C)]
struct Plugin {
    plugin_api_version: c_int,
    get_plugin_name: extern "C" fn() -> *const c_char,
    init_plugin: Option<extern "C" fn()>,
    deinit_plugin: Option<extern "C" fn()>,
    does_support_format: extern "C" fn(c_int) -> c_int,
    new_decoder: unsafe extern "C" fn(*mut Decoder) -> CError,
    free_decoder: unsafe extern "C" fn(Decoder),
    push_data: unsafe extern "C" fn(Decoder, *const u8, usize) -> CError,
    decode_image: unsafe extern "C" fn(Decoder, *mut *mut c_void) -> CError,
    set_strict_decoding: Option<extern "C" fn(Decoder, c_int)>,
    id_name: &'static [u8; NAME.len()],
    decode_next_image: unsafe extern "C" fn(Decoder, *mut *mut c_void, *const c_void) -> CError,
    minimum_required_libheif_version: u32,
    does_support_format2: unsafe extern "C" fn(*const c_int) -> c_int,
    new_decoder2: unsafe extern "C" fn(*mut Decoder, *const c_void) -> CError,
    push_data2: unsafe extern "C" fn(Decoder, *const u8, usize, usize) -> CError,
    flush_data: extern "C" fn(Decoder) -> CError,
    decode_next_image2: unsafe extern "C" fn(Decoder, *mut *mut c_void, *mut usize, *const c_void) -> CError,
}

/// Ends with a zero, as in C.
const NAME: &[u8; 17] = b"eyeline-libde265\0";
/// `heif_compression_HEVC`.
const HEVC: c_int = 1;
/// Higher than the priority of every decoder of libheif.
const PRIORITY: c_int = 10_000;
/// `heif_colorspace_YCbCr` and `heif_colorspace_monochrome`.
const COLORSPACES: [c_int; 2] = [0, 2];
/// `heif_channel_Y`, `heif_channel_Cb`, `heif_channel_Cr`; libde265 numbers its planes alike.
const CHANNELS: [c_int; 3] = [0, 1, 2];

/// The functions of both libraries. libheif calls a plugin without a pointer to its state.
struct Both {
    heif: &'static Functions,
    /// `None` where libde265 is missing.
    de265: Option<De265>,
    plugin: Plugin,
}

static BOTH: OnceLock<Both> = OnceLock::new();

/// Makes libheif use this decoder for HEVC. Returns whether libde265 was found by its name. If it was not, HEVC is
/// rejected, even if other decoders exist: the known ones start threads.
pub(super) fn register(heif: &'static Functions, libde265: &str, version: (u32, u32)) -> bool {
    // SAFETY: a system's library; what it does when it is loaded is up to the operator.
    let library = unsafe { Loaded::open(Some(libde265), RTLD_LAZY | RTLD_LOCAL) }.map(ManuallyDrop::new);
    let de265 = library.ok().and_then(|library| De265::find(&library).ok());
    let plugin = Plugin {
        // The version that 1.21 asks for at least, and one that all before it know.
        plugin_api_version: if version < (1, 21) { 3 } else { 5 },
        get_plugin_name: name,
        init_plugin: None,
        deinit_plugin: None,
        does_support_format: priority,
        new_decoder,
        free_decoder,
        push_data,
        decode_image,
        set_strict_decoding: None,
        id_name: NAME,
        decode_next_image,
        minimum_required_libheif_version: 0,
        does_support_format2: priority2,
        new_decoder2,
        push_data2,
        flush_data,
        decode_next_image2,
    };
    let is_first = BOTH.set(Both { heif, de265, plugin }).is_ok();
    if let Some(both) = BOTH.get().filter(|_| is_first) {
        // SAFETY: the structure has the layout of its version and stays for ever. Its version is never refused.
        unsafe { (heif.heif_register_decoder_plugin)((&raw const both.plugin).cast()) };
    }
    both().is_some()
}

extern "C" fn name() -> *const c_char {
    NAME.as_ptr().cast()
}

extern "C" fn priority(format: c_int) -> c_int {
    if format == HEVC { PRIORITY } else { 0 }
}

/// `format` points to a structure that begins with the format.
unsafe extern "C" fn priority2(format: *const c_int) -> c_int {
    // SAFETY: libheif passes a structure of its own.
    unsafe { priority(*format) }
}

const OK: CError = error(0, 0, c"");
/// `heif_error_Memory_allocation_error`.
const NO_MEMORY: CError = error(6, 0, c"no memory for the picture");
/// `heif_error_Unsupported_feature`, `heif_suberror_Unsupported_codec`.
const NO_DECODER: CError = error(4, 3000, c"no decoder for HEVC");
/// `heif_error_Unsupported_feature`, `heif_suberror_Unsupported_color_conversion`.
const DEPTHS_DIFFER: CError = error(4, 3003, c"its channels have different depths");
/// `heif_error_Decoder_plugin_error`, `heif_suberror_End_of_data`.
const CUT: CError = error(7, 100, c"its compressed picture is cut off");
/// `heif_error_Decoder_plugin_error`.
const DAMAGED: CError = error(7, 0, c"its compressed picture cannot be decoded");

const fn error(code: c_int, subcode: c_int, message: &'static std::ffi::CStr) -> CError {
    CError { code, subcode, message: message.as_ptr() }
}

/// The functions of both libraries, if both are loaded.
fn both() -> Option<(&'static Functions, &'static De265)> {
    BOTH.get().and_then(|both| Some((both.heif, both.de265.as_ref()?)))
}

/// Writes `decoder` if there is no error.
unsafe extern "C" fn new_decoder(decoder: *mut Decoder) -> CError {
    let Some((_, de265)) = both() else { return NO_DECODER };
    // SAFETY: libheif passes a place for the pointer. Without a call for threads, libde265 decodes in this one.
    unsafe {
        *decoder = (de265.de265_new_decoder)();
        if (*decoder).is_null() { NO_MEMORY } else { OK }
    }
}

unsafe extern "C" fn new_decoder2(decoder: *mut Decoder, _options: *const c_void) -> CError {
    // SAFETY: as for the function called.
    unsafe { new_decoder(decoder) }
}

unsafe extern "C" fn free_decoder(decoder: Decoder) {
    if let Some((_, de265)) = both() {
        // SAFETY: libheif frees each decoder once.
        unsafe { (de265.de265_free_decoder)(decoder) };
    }
}

/// `data` holds units of the stream, each after its length in four bytes.
unsafe extern "C" fn push_data(decoder: Decoder, data: *const u8, length: usize) -> CError {
    let Some((_, de265)) = both() else { return NO_DECODER };
    // SAFETY: libheif passes as many bytes as it says, or none.
    let mut data = if length == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, length) } };
    while !data.is_empty() {
        let Some((unit_bytes, rest)) = data.split_first_chunk() else { return CUT };
        let Some((unit, rest)) = rest.split_at_checked(u32::from_be_bytes(*unit_bytes) as usize) else { return CUT };
        let Ok(unit_bytes) = c_int::try_from(unit.len()) else { return CUT };
        // SAFETY: the decoder is one of `new_decoder`; it copies the unit.
        if is_damage(unsafe { (de265.de265_push_NAL)(decoder, unit.as_ptr(), unit_bytes, 0, ptr::null_mut()) }) {
            return DAMAGED;
        }
        data = rest;
    }
    OK
}

unsafe extern "C" fn push_data2(decoder: Decoder, data: *const u8, length: usize, _user_data: usize) -> CError {
    // SAFETY: as for the function called.
    unsafe { push_data(decoder, data, length) }
}

/// Nothing to do: [`decode_image`] flushes.
extern "C" fn flush_data(_decoder: Decoder) -> CError {
    OK
}

/// Decodes the first picture of the pushed data. Writes `out` if there is no error.
unsafe extern "C" fn decode_image(decoder: Decoder, out: *mut *mut c_void) -> CError {
    let Some((heif, de265)) = both() else { return NO_DECODER };
    // SAFETY: the decoder is one of `new_decoder`. A picture of it is used before the decoder is called again.
    unsafe {
        if is_damage((de265.de265_flush_data)(decoder)) {
            return DAMAGED;
        }
        let mut more = 1;
        let mut picture: Picture = ptr::null();
        while more != 0 && picture.is_null() {
            if is_damage((de265.de265_decode)(decoder, &raw mut more)) {
                return DAMAGED;
            }
            picture = (de265.de265_get_next_picture)(decoder);
        }
        // libde265 guesses missing parts of a stream and reports them only as warnings.
        let mut warnings = std::iter::repeat_with(|| (de265.de265_get_warning)(decoder)).take_while(|code| *code != 0);
        if warnings.any(is_damage) || picture.is_null() {
            return DAMAGED;
        }
        copied(heif, de265, picture, out)
    }
}

unsafe extern "C" fn decode_next_image(decoder: Decoder, out: *mut *mut c_void, _limits: *const c_void) -> CError {
    // SAFETY: as for the function called.
    unsafe { decode_image(decoder, out) }
}

unsafe extern "C" fn decode_next_image2(
    decoder: Decoder,
    out: *mut *mut c_void,
    _user_data: *mut usize,
    _limits: *const c_void,
) -> CError {
    // SAFETY: as for the function called.
    unsafe { decode_image(decoder, out) }
}

/// True if an error or warning of libde265 means that a part of the picture is missing or guessed. The others concern
/// threads (1000, 1022), their entry points (1003), and metadata (14, 1025, 1036).
fn is_damage(code: c_int) -> bool {
    !matches!(code, 0 | 14 | 1000 | 1003 | 1022 | 1025 | 1036)
}

/// Copies a picture of libde265 into one of libheif.
///
/// # Safety
/// `picture` is libde265's, and its decoder has not been called since; `out` is a place for a pointer.
unsafe fn copied(heif: &Functions, de265: &De265, picture: Picture, out: *mut *mut c_void) -> CError {
    // SAFETY: the pointers are as promised; both libraries' planes have the rows and bytes that they say.
    unsafe {
        let side = |plane| {
            let (width, height) =
                ((de265.de265_get_image_width)(picture, plane), (de265.de265_get_image_height)(picture, plane));
            (width, height, (de265.de265_get_bits_per_pixel)(picture, plane))
        };
        let (width, height, depth) = side(0);
        // 0 is grey; libheif uses the same numbers for the others.
        let chroma = (de265.de265_get_chroma_format)(picture);
        let planes = if chroma == 0 { &CHANNELS[..1] } else { &CHANNELS[..] };
        let mut image = ptr::null_mut();
        let created =
            (heif.heif_image_create)(width, height, COLORSPACES[usize::from(chroma == 0)], chroma, &raw mut image);
        if created.code != 0 {
            return created;
        }
        let refuse = |error| {
            (heif.heif_image_release)(image);
            error
        };
        for &plane in planes {
            let (width, height, plane_depth) = side(plane);
            if plane_depth != depth {
                return refuse(DEPTHS_DIFFER);
            }
            if width <= 0 || height <= 0 || (heif.heif_image_add_plane)(image, plane, width, height, depth).code != 0 {
                return refuse(NO_MEMORY);
            }
            let (mut from_stride, mut to_stride) = (0, 0);
            let from = (de265.de265_get_image_plane)(picture, plane, &raw mut from_stride);
            let to = (heif.heif_image_get_plane)(image, plane, &raw mut to_stride);
            let row_bytes = width as usize * if depth > 8 { 2 } else { 1 };
            if from.is_null() || to.is_null() || (from_stride.min(to_stride)) < row_bytes as c_int {
                return refuse(DAMAGED);
            }
            for row in 0..height as usize {
                let (from, to) = (from.add(row * from_stride as usize), to.add(row * to_stride as usize));
                ptr::copy_nonoverlapping(from, to, row_bytes);
            }
        }
        set_colours(heif, de265, picture, image);
        *out = image;
        OK
    }
}

/// Copies the colour description of the stream. A number unknown to libheif stays unspecified.
///
/// # Safety
/// As for [`copied`]; `image` is libheif's.
unsafe fn set_colours(heif: &Functions, de265: &De265, picture: Picture, image: *mut c_void) {
    // SAFETY: as promised; the profile is freed behind its only use.
    unsafe {
        let nclx = (heif.heif_nclx_color_profile_alloc)();
        if nclx.is_null() {
            return;
        }
        let number = |read: unsafe extern "C" fn(Picture) -> c_int| u16::try_from(read(picture)).unwrap_or(2);
        let primaries = number(de265.de265_get_image_colour_primaries);
        let transfer = number(de265.de265_get_image_transfer_characteristics);
        let matrix = number(de265.de265_get_image_matrix_coefficients);
        let _ = (heif.heif_nclx_color_profile_set_color_primaries)(nclx, primaries);
        let _ = (heif.heif_nclx_color_profile_set_transfer_characteristics)(nclx, transfer);
        let _ = (heif.heif_nclx_color_profile_set_matrix_coefficients)(nclx, matrix);
        (*nclx).is_full_range = u8::from((de265.de265_get_image_full_range_flag)(picture) != 0);
        let _ = (heif.heif_image_set_nclx_color_profile)(image, nclx);
        (heif.heif_nclx_color_profile_free)(nclx);
    }
}

//! A safe interface to libheif. No other file names its functions. It is loaded at run time and never linked, so that
//! the product neither requires nor ships it.
//!
//! The declarations are those of libheif 1.13 and later. Every passed pointer refers to memory that outlives the call.
//! A guard frees each value that the library returns, once.
#![expect(unsafe_code, reason = "libheif is a C library; this file alone calls it")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::ManuallyDrop;
use std::ptr;

use libloading::os::unix::{Library as Loaded, RTLD_LAZY, RTLD_LOCAL};

use super::hevc;
use crate::packed::{Packed, Space};
use crate::{ImageError, Limits};

/// Declares a table of C functions, and how to find them all in a loaded library.
macro_rules! functions {
    ($(#[$about:meta])* $table:ident { $($function:ident($($argument:ty),*) $(-> $result:ty)?;)* }) => {
        $(#[$about])*
        pub(super) struct $table {
            $(pub $function: unsafe extern "C" fn($($argument),*) $(-> $result)?),*
        }

        impl $table {
            /// Fails with the name of the first missing function.
            pub fn find(library: &libloading::os::unix::Library) -> Result<Self, libloading::Error> {
                // SAFETY: the declarations are those of the library's headers.
                unsafe { Ok(Self { $($function: *library.get(concat!(stringify!($function), "\0").as_bytes())?),* }) }
            }
        }
    };
}
pub(super) use functions;

/// `struct heif_error`.
#[repr(C)]
pub(super) struct CError {
    pub code: c_int,
    pub subcode: c_int,
    /// A text; never null.
    pub message: *const c_char,
}

/// `struct heif_color_profile_nclx`, up to the fields that are used.
#[repr(C)]
pub(super) struct Nclx {
    pub version: u8,
    pub primaries: c_int,
    pub transfer: c_int,
    pub matrix: c_int,
    pub is_full_range: u8,
}

/// `struct heif_decoding_options`, up to version 3.
#[repr(C)]
pub(super) struct Options {
    version: u8,
    ignore_transformations: u8,
    progress: [*const c_void; 4],
    convert_hdr_to_8bit: u8,
    strict_decoding: u8,
}

/// `struct heif_security_limits`, up to the field that is used.
#[repr(C)]
struct SecurityLimits {
    version: u8,
    max_image_size_pixels: u64,
}

type Context = *mut c_void;
type Handle = *mut c_void;
type Image = *mut c_void;

functions! {
    /// The functions of libheif.
    Functions {
        heif_init(*const c_void) -> CError;
        heif_get_version() -> *const c_char;
        heif_have_decoder_for_format(c_int) -> c_int;
        heif_register_decoder_plugin(*const c_void) -> CError;
        heif_context_alloc() -> Context;
        heif_context_free(Context);
        heif_context_set_max_decoding_threads(Context, c_int);
        heif_context_set_maximum_image_size_limit(Context, c_int);
        heif_context_read_from_memory_without_copy(Context, *const u8, usize, *const c_void) -> CError;
        heif_context_get_primary_image_handle(Context, *mut Handle) -> CError;
        heif_image_handle_release(Handle);
        heif_image_handle_get_width(Handle) -> c_int;
        heif_image_handle_get_height(Handle) -> c_int;
        heif_image_handle_has_alpha_channel(Handle) -> c_int;
        heif_image_handle_is_premultiplied_alpha(Handle) -> c_int;
        heif_image_handle_get_raw_color_profile_size(Handle) -> usize;
        heif_image_handle_get_raw_color_profile(Handle, *mut u8) -> CError;
        heif_image_handle_get_nclx_color_profile(Handle, *mut *mut Nclx) -> CError;
        heif_nclx_color_profile_alloc() -> *mut Nclx;
        heif_nclx_color_profile_free(*mut Nclx);
        heif_nclx_color_profile_set_color_primaries(*mut Nclx, u16) -> CError;
        heif_nclx_color_profile_set_transfer_characteristics(*mut Nclx, u16) -> CError;
        heif_nclx_color_profile_set_matrix_coefficients(*mut Nclx, u16) -> CError;
        heif_decoding_options_alloc() -> *mut Options;
        heif_decoding_options_free(*mut Options);
        heif_decode_image(Handle, *mut Image, c_int, c_int, *const Options) -> CError;
        heif_image_create(c_int, c_int, c_int, c_int, *mut Image) -> CError;
        heif_image_add_plane(Image, c_int, c_int, c_int, c_int) -> CError;
        heif_image_get_plane(Image, c_int, *mut c_int) -> *mut u8;
        heif_image_get_plane_readonly(Image, c_int, *mut c_int) -> *const u8;
        heif_image_get_width(Image, c_int) -> c_int;
        heif_image_get_height(Image, c_int) -> c_int;
        heif_image_get_nclx_color_profile(Image, *mut *mut Nclx) -> CError;
        heif_image_set_nclx_color_profile(Image, *const Nclx) -> CError;
        heif_image_release(Image);
    }
}

/// `heif_compression_AV1`.
const AV1: c_int = 4;
/// `heif_colorspace_RGB`.
const RGB: c_int = 1;
/// `heif_chroma_interleaved_RGB` and `heif_chroma_interleaved_RGBA`.
const INTERLEAVED: [c_int; 2] = [10, 11];
/// `heif_channel_interleaved`.
const ALL_CHANNELS: c_int = 10;

/// Larger colour profiles are ignored.
const PROFILE_BYTES_MAX: usize = 16 << 20;

/// The oldest version that has all of [`Functions`].
const OLDEST: (u32, u32) = (1, 13);

/// The reason why the library failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub code: i32,
    pub subcode: i32,
    /// The library's message.
    pub message: String,
}

/// A picture as the library returns it: upright, in RGB of 8 bits.
pub(super) struct Read {
    pub picture: Packed,
    /// True if opacity is multiplied into the colours.
    pub is_premultiplied: bool,
    /// The ICC profile, if there is one.
    pub icc: Vec<u8>,
    /// Colour primaries and transfer characteristics as H.273 numbers them.
    pub code_points: Option<(u8, u8)>,
}

/// The library, loaded and ready.
pub(super) struct Library {
    functions: &'static Functions,
    /// Since version 1.19 each context has a structure of its bounds.
    security_limits: Option<unsafe extern "C" fn(Context) -> *mut SecurityLimits>,
    pub version: String,
    /// True if HEVC, which HEIC holds, can be decoded.
    pub hevc: bool,
    /// True if AV1, which AVIF holds, can be decoded.
    pub av1: bool,
}

impl Library {
    /// Loads libheif, its plugins and libde265 by these names. The error says why libheif cannot be used.
    pub fn load(libheif: &str, libde265: &str) -> Result<Self, String> {
        // SAFETY: a system's library; what it does when it is loaded is up to the operator, as for one that is linked.
        let library = unsafe { Loaded::open(Some(libheif), RTLD_LAZY | RTLD_LOCAL) };
        // It stays for the life of the process: its plugins, and ours in it, are never unloaded.
        let library = ManuallyDrop::new(library.map_err(|error| words(&error))?);
        let functions = Functions::find(&library).map_err(|error| words(&error))?;
        let functions: &'static Functions = Box::leak(Box::new(functions));
        // SAFETY: a text that the library keeps.
        let version = text(unsafe { (functions.heif_get_version)() });
        let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
        let major_minor = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if major_minor < OLDEST {
            return Err(format!("version {version} is older than {}.{}", OLDEST.0, OLDEST.1));
        }
        // SAFETY: no parameters means the usual ones. Plugins are loaded here.
        checked(unsafe { (functions.heif_init)(ptr::null()) }).map_err(|failure| failure.message)?;
        let hevc = hevc::register(functions, libde265, major_minor);
        // SAFETY: the declaration is that of the header.
        let (security_limits, av1) = unsafe {
            let limits = library.get(b"heif_context_get_security_limits\0").ok().map(|found| *found);
            (limits, (functions.heif_have_decoder_for_format)(AV1) != 0)
        };
        Ok(Self { functions, security_limits, version, hevc, av1 })
    }

    /// Decodes the primary picture of a file, within the limits.
    pub fn read(&self, file: &[u8], limits: &Limits) -> Result<Result<Read, Failure>, ImageError> {
        let functions = self.functions;
        // SAFETY: a new context, or null.
        let context = unsafe { (functions.heif_context_alloc)() };
        if context.is_null() {
            return Err(ImageError::too_much_memory());
        }
        let context = Guard { pointer: context, free: functions.heif_context_free };
        self.confine(&context, limits);
        let mut handle = ptr::null_mut();
        // SAFETY: `file` outlives the context, which keeps a view of it. The handle is written when there is no error.
        let opened = unsafe {
            let (start, length) = (file.as_ptr(), file.len());
            let read =
                (functions.heif_context_read_from_memory_without_copy)(context.pointer, start, length, ptr::null());
            checked(read).and_then(|()| {
                checked((functions.heif_context_get_primary_image_handle)(context.pointer, &raw mut handle))
            })
        };
        if let Err(failure) = opened {
            return Ok(Err(failure));
        }
        let handle = Guard { pointer: handle, free: functions.heif_image_handle_release };
        // SAFETY: the handle is the library's, and so for the calls below.
        let (width, height, has_alpha) = unsafe {
            (
                (functions.heif_image_handle_get_width)(handle.pointer),
                (functions.heif_image_handle_get_height)(handle.pointer),
                (functions.heif_image_handle_has_alpha_channel)(handle.pointer) != 0,
            )
        };
        limits.check_size(u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0))?;
        let image = match self.decode(&handle, has_alpha) {
            Ok(image) => image,
            Err(failure) => return Ok(Err(failure)),
        };
        let picture = self.packed(&image, has_alpha, limits)?;
        // SAFETY: as above.
        let is_premultiplied =
            has_alpha && unsafe { (functions.heif_image_handle_is_premultiplied_alpha)(handle.pointer) != 0 };
        let (icc, code_points) = (self.icc(&handle), self.code_points(&handle, &image));
        Ok(Ok(Read { picture, is_premultiplied, icc, code_points }))
    }

    /// Sets no threads, which a worker cannot start, and the sizes of the limits.
    fn confine(&self, context: &Guard, limits: &Limits) {
        let side = c_int::try_from(limits.max_side).unwrap_or(c_int::MAX).saturating_add(1);
        // SAFETY: the context is the library's; so is the structure that the last function gives, if it gives one.
        unsafe {
            (self.functions.heif_context_set_max_decoding_threads)(context.pointer, 0);
            match self.security_limits.map(|limits_of| limits_of(context.pointer)) {
                Some(bounds) if !bounds.is_null() => (*bounds).max_image_size_pixels = limits.max_pixels,
                _ => (self.functions.heif_context_set_maximum_image_size_limit)(context.pointer, side),
            }
        }
    }

    /// Rotated, mirrored and cropped as the file states. Undecodable parts are an error instead of black.
    fn decode(&self, handle: &Guard, has_alpha: bool) -> Result<Guard, Failure> {
        let functions = self.functions;
        let mut image = ptr::null_mut();
        // SAFETY: the options are the library's, of version 3 or later, and freed behind their only use. The image is
        // written when there is no error.
        let decoded = unsafe {
            let options = (functions.heif_decoding_options_alloc)();
            if let Some(options) = options.as_mut() {
                options.convert_hdr_to_8bit = 1;
                options.strict_decoding = 1;
            }
            let chroma = INTERLEAVED[usize::from(has_alpha)];
            let decoded = (functions.heif_decode_image)(handle.pointer, &raw mut image, RGB, chroma, options);
            let decoded = checked(decoded);
            (functions.heif_decoding_options_free)(options);
            decoded
        };
        decoded.map(|()| Guard { pointer: image, free: functions.heif_image_release })
    }

    /// A copy of the pixels, without gaps between rows.
    fn packed(&self, image: &Guard, has_alpha: bool, limits: &Limits) -> Result<Packed, ImageError> {
        let functions = self.functions;
        let mut stride = 0;
        // SAFETY: the image is the library's.
        let (width, height, start) = unsafe {
            (
                (functions.heif_image_get_width)(image.pointer, ALL_CHANNELS),
                (functions.heif_image_get_height)(image.pointer, ALL_CHANNELS),
                (functions.heif_image_get_plane_readonly)(image.pointer, ALL_CHANNELS, &raw mut stride),
            )
        };
        let (width, height) = (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0));
        limits.check_size(width, height)?;
        let channels = if has_alpha { 4 } else { 3 };
        let mut picture = Packed::new(width, height, channels, Space::Rgb)?;
        let row_bytes = width as usize * channels;
        let stride = usize::try_from(stride).unwrap_or(0);
        if start.is_null() || stride < row_bytes {
            return Err(ImageError::crashed("libheif left no pixels"));
        }
        for (number, row) in picture.samples.chunks_exact_mut(row_bytes).enumerate() {
            // SAFETY: the plane has `height` rows of `stride` bytes, at least `row_bytes` of them pixels; it is another
            // allocation than the copy.
            unsafe { ptr::copy_nonoverlapping(start.add(number * stride), row.as_mut_ptr(), row_bytes) };
        }
        Ok(picture)
    }

    /// Empty if there is no profile or it cannot be read.
    fn icc(&self, handle: &Guard) -> Vec<u8> {
        // SAFETY: the handle is the library's.
        let length = unsafe { (self.functions.heif_image_handle_get_raw_color_profile_size)(handle.pointer) };
        if length == 0 || length > PROFILE_BYTES_MAX {
            return Vec::new();
        }
        let mut icc = vec![0; length];
        // SAFETY: the library writes the length that it told.
        let read =
            unsafe { (self.functions.heif_image_handle_get_raw_color_profile)(handle.pointer, icc.as_mut_ptr()) };
        checked(read).map_or_else(|_| Vec::new(), |()| icc)
    }

    /// The code points of the file, else those of the compressed picture in it.
    fn code_points(&self, handle: &Guard, image: &Guard) -> Option<(u8, u8)> {
        let mut nclx = ptr::null_mut::<Nclx>();
        // SAFETY: handle and image are the library's; the profile is written when there is no error, and freed behind
        // its only use.
        unsafe {
            checked((self.functions.heif_image_handle_get_nclx_color_profile)(handle.pointer, &raw mut nclx))
                .or_else(|_| checked((self.functions.heif_image_get_nclx_color_profile)(image.pointer, &raw mut nclx)))
                .ok()?;
            let points = nclx.as_ref().map(|nclx| (nclx.primaries, nclx.transfer));
            (self.functions.heif_nclx_color_profile_free)(nclx);
            points.and_then(|(primaries, transfer)| Some((primaries.try_into().ok()?, transfer.try_into().ok()?)))
        }
    }
}

/// The message of the system's loader, which names the missing file or function.
fn words(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// A value of the library, freed on drop.
struct Guard {
    pointer: *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: the library gave the pointer together with this function, and nobody else frees it.
        unsafe { (self.free)(self.pointer) };
    }
}

fn checked(error: CError) -> Result<(), Failure> {
    let CError { code, subcode, message } = error;
    if code == 0 { Ok(()) } else { Err(Failure { code, subcode, message: text(message) }) }
}

fn text(start: *const c_char) -> String {
    if start.is_null() {
        return String::new();
    }
    // SAFETY: a text of the library's, which ends in a zero and stays as long as what it belongs to.
    unsafe { CStr::from_ptr(start) }.to_string_lossy().into_owned()
}

//! Judges each warning of libjpeg-turbo during decoding.
//!
//! The crate builds the library from its own source, so the memory layout used here is known.

use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::slice;

use super::{Failure, Handle};

/// The beginning of `jpeg_error_mgr` in jpeglib.h, which libjpeg's ABI fixes: how the library reports what it meets.
#[repr(C)]
struct ErrorManager {
    error_exit: unsafe extern "C" fn(*mut Codec),
    emit_message: unsafe extern "C" fn(*mut Codec, c_int),
    output_message: unsafe extern "C" fn(*mut Codec),
    format_message: unsafe extern "C" fn(*mut Codec, *mut c_char),
    reset_error_mgr: unsafe extern "C" fn(*mut Codec),
    msg_code: c_int,
    msg_parm: [c_int; 20],
    trace_level: c_int,
    num_warnings: c_long,
}

/// The start of a compressor, and some fields of a decompressor.
#[repr(C)]
struct Codec {
    errors: *mut ErrorManager,
    memory: *mut c_void,
    progress: *mut c_void,
    client_data: *mut c_void,
    is_decompressor: c_int,
    global_state: c_int,
    /// Only in a decompressor.
    source: *const Source,
}

/// The beginning of `jpeg_source_mgr`.
#[repr(C)]
struct Source {
    next_input_byte: *const u8,
}

/// The state of a decompressor that reads the header.
const IN_HEADER: c_int = 201;

/// More bytes than this between the data of a scan and the next marker are lost data, unless they are padding: with a
/// damaged scan, the decoder finishes the picture too early.
const SKIPPED_MAX: usize = 1024;

/// Bytes of a scan before padding.
const BEFORE_PADDING: usize = 16;

/// The warning about skipped bytes.
const SKIPPED: &str = "extraneous bytes before marker";

/// The size of the library's handles is below this.
const HANDLE_BYTES: usize = 8192;

/// The library's messages are shorter than this.
const MESSAGE_BYTES: usize = 200;

/// Warnings that leave every sample as in the file. After any other warning, samples are missing or guessed.
const HARMLESS: [&str; 4] = [
    "unknown JFIF revision",
    "Unknown Adobe color transform",
    "Inconsistent progression sequence",
    "Invalid SOS parameters for sequential",
];

/// Counts the warnings of lost data. TurboJPEG reports only the first warning of a file, so a harmless one would hide
/// the rest. This judges each of them. It lives next to its handle, only in a `Decoder`.
pub(super) struct Warnings(*mut ErrorManager);

impl Warnings {
    /// Hooks into the warnings of a handle. TurboJPEG has no function for that. Its handle for transformations begins
    /// with a compressor, which begins with the address of the error manager shared by its decompressor.
    pub fn of(handle: &Handle) -> Result<Self, Failure> {
        let codec = handle.0.cast::<Codec>();
        // SAFETY: the handle points to a structure of at least a compressor's size.
        let errors = unsafe { (*codec).errors };
        // The error manager is a part of the handle, after both codecs.
        if !(errors as usize).checked_sub(codec as usize).is_some_and(|offset| (1..HANDLE_BYTES).contains(&offset)) {
            return Err(Failure { message: "another version of libjpeg-turbo".into() });
        }
        // SAFETY: the error manager is live as long as the handle, and the library calls what it finds there.
        unsafe { (*errors).emit_message = Self::judge };
        Ok(Self(errors))
    }

    /// The number of warnings for the last decoded file. The handle's message is the first of them.
    pub fn of_lost_data(&self) -> c_long {
        // SAFETY: the error manager is a part of the handle, which lives as long as this.
        unsafe { (*self.0).num_warnings }
    }

    /// True if the bytes that the library just skipped are data. Between two restarts some cameras write many bytes
    /// after the data, and between segments of the header there is none.
    ///
    /// # Safety
    /// The codec has to be one that works, and has to read from a file with a header.
    unsafe fn skips_data(codec: *const Codec) -> bool {
        // SAFETY: as the caller promises; the error manager outlives the call.
        let (codec, errors) = unsafe { (&*codec, &*(*codec).errors) };
        let [count, marker, ..] = errors.msg_parm;
        let count = usize::try_from(count).unwrap_or(0);
        if codec.is_decompressor == 0
            || codec.global_state <= IN_HEADER
            || matches!(marker, 0xd0..=0xd7)
            || count <= SKIPPED_MAX
        {
            return false;
        }
        // SAFETY: a decompressor in this state has a source. It has read at least `count` bytes since the end of the data,
        // all before its next one, and before them a header.
        let (before, skipped) = unsafe {
            let end = (*codec.source).next_input_byte;
            slice::from_raw_parts(end.sub(count + BEFORE_PADDING), count + BEFORE_PADDING)
        }
        .split_at(BEFORE_PADDING);
        // Padding is one repeated byte, of which the decoder has used none as data.
        let is_same = |byte: &u8| *byte == skipped[0];
        !skipped.iter().all(is_same) || before.iter().all(is_same)
    }

    /// Replaces the library's own `emit_message`. Negative levels are warnings.
    unsafe extern "C" fn judge(codec: *mut Codec, level: c_int) {
        // SAFETY: the library passes the codec that it works with, whose error manager outlives the call.
        let errors = unsafe { (*codec).errors };
        // SAFETY: as above; nothing else holds a reference to the error manager.
        if level >= 0 || unsafe { (*errors).num_warnings } > 0 {
            return;
        }
        let mut message = [0; MESSAGE_BYTES];
        // SAFETY: the library formats its last message into as many bytes as it says are enough, the last of them 0.
        unsafe { ((*errors).format_message)(codec, message.as_mut_ptr().cast()) };
        let message = CStr::from_bytes_until_nul(&message).map(CStr::to_string_lossy).unwrap_or_default();
        // SAFETY: no data was lost before, so that the decompressor still reads from the file.
        let is_harmless = HARMLESS.iter().any(|known| message.contains(known))
            || message.contains(SKIPPED) && !unsafe { Self::skips_data(codec) };
        if is_harmless {
            return;
        }
        // SAFETY: as above; this keeps the message for `Handle::failure`.
        unsafe {
            ((*errors).output_message)(codec);
            (*errors).num_warnings += 1;
        }
    }
}

//! Judges each warning of libjpeg-turbo while it decodes.
//!
//! The crate builds the library from its own source, so the memory layout that this relies on is known.

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

/// The beginning of a compressor, and a little more of a decompressor.
#[repr(C)]
struct Codec {
    errors: *mut ErrorManager,
    memory: *mut c_void,
    progress: *mut c_void,
    client_data: *mut c_void,
    is_decompressor: c_int,
    global_state: c_int,
    /// Of a decompressor alone.
    source: *const Source,
}

/// The beginning of `jpeg_source_mgr`.
#[repr(C)]
struct Source {
    next_input_byte: *const u8,
}

/// The state of a decompressor that reads the header.
const IN_HEADER: c_int = 201;

/// More bytes than these between the data of a scan and the next marker are data that was lost, unless they are padding:
/// where a part of a scan is damaged, the decoder finishes the picture too early.
const SKIPPED_MAX: usize = 1024;

/// Bytes of a scan before padding.
const BEFORE_PADDING: usize = 16;

/// The warning of bytes that were skipped.
const SKIPPED: &str = "extraneous bytes before marker";

/// A handle of the library is smaller.
const HANDLE_BYTES: usize = 8192;

/// A message of the library is shorter.
const MESSAGE_BYTES: usize = 200;

/// Warnings after which every sample is as the file has it. After any other, samples are missing or guessed.
const HARMLESS: [&str; 4] = [
    "unknown JFIF revision",
    "Unknown Adobe color transform",
    "Inconsistent progression sequence",
    "Invalid SOS parameters for sequential",
];

/// Counts the warnings of lost data. TurboJPEG tells the first warning of a file alone, so that a harmless one would hide
/// all that follow; this judges each as it comes. Lives beside its handle, in a `Decoder` alone.
pub(super) struct Warnings(*mut ErrorManager);

impl Warnings {
    /// Judges the warnings of a handle. TurboJPEG offers no way to see them; but its handle for transformations begins with
    /// a compressor, which begins with the address of the error manager that its decompressor shares.
    pub fn of(handle: &Handle) -> Result<Self, Failure> {
        let codec = handle.0.cast::<Codec>();
        // SAFETY: the handle points to a structure of at least a compressor's size.
        let errors = unsafe { (*codec).errors };
        // The error manager is a part of the handle, behind both codecs.
        if !(errors as usize).checked_sub(codec as usize).is_some_and(|offset| (1..HANDLE_BYTES).contains(&offset)) {
            return Err(Failure { message: "another version of libjpeg-turbo".into() });
        }
        // SAFETY: the error manager is live as long as the handle, and the library calls what it finds there.
        unsafe { (*errors).emit_message = Self::judge };
        Ok(Self(errors))
    }

    /// The number of warnings for the last file that the handle decoded; the handle's message is the first of them.
    pub fn of_lost_data(&self) -> c_long {
        // SAFETY: the error manager is a part of the handle, which lives as long as this.
        unsafe { (*self.0).num_warnings }
    }

    /// True if the bytes that the library has just skipped are data. Between two restarts some cameras write far more bytes
    /// than there is data, and between segments of the header there is none.
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
        // Padding is one byte again and again, of which the decoder has taken none for data.
        let is_same = |byte: &u8| *byte == skipped[0];
        !skipped.iter().all(is_same) || before.iter().all(is_same)
    }

    /// Takes the place of the library's own `emit_message`. Negative levels are warnings.
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

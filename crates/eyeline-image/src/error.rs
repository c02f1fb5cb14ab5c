//! Why a file became no picture.

use thiserror::Error;

/// What is wrong, as a small closed set that programs can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The file ends before its picture does.
    Truncated,
    /// The bytes are of no picture format that is known here.
    NotAnImage,
    /// The picture, or all frames of an animation together, are over a limit of size.
    TooManyPixels,
    /// A picture of a format, or of a feature of a format, that is not taken.
    Unsupported,
    /// The file is whole but contradicts itself.
    Damaged,
    /// The decoder died while it read the file.
    DecoderCrashed,
    /// Reading the file took longer than the limit.
    TimedOut,
}

impl ErrorKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 7] = [
        Self::Truncated,
        Self::NotAnImage,
        Self::TooManyPixels,
        Self::Unsupported,
        Self::Damaged,
        Self::DecoderCrashed,
        Self::TimedOut,
    ];

    /// The stable name of this kind in answers, logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::NotAnImage => "not_an_image",
            Self::TooManyPixels => "too_many_pixels",
            Self::Unsupported => "unsupported",
            Self::Damaged => "damaged",
            Self::DecoderCrashed => "decoder_crashed",
            Self::TimedOut => "timed_out",
        }
    }

    /// The kind of that [`code`](Self::code), if there is one.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// Why no versions could be made of a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{sentence}")]
pub struct ImageError {
    /// For programs.
    pub kind: ErrorKind,
    /// For the owner of the file: one plain sentence, with a full stop.
    pub sentence: String,
}

impl ImageError {
    pub(crate) fn new(kind: ErrorKind, sentence: impl Into<String>) -> Self {
        Self { kind, sentence: sentence.into() }
    }

    pub(crate) fn truncated() -> Self {
        Self::new(ErrorKind::Truncated, "The file is cut off before its end; please send it again.")
    }

    pub(crate) fn not_an_image() -> Self {
        Self::new(ErrorKind::NotAnImage, "The file is not a picture in a format that can be read here.")
    }

    pub(crate) fn too_much_memory() -> Self {
        Self::new(ErrorKind::TooManyPixels, "The picture needs more memory to decode than is allowed.")
    }

    pub(crate) fn unsupported(what: &str) -> Self {
        Self::new(ErrorKind::Unsupported, format!("{what} cannot be read here."))
    }

    /// `detail` is the decoder's own wording, which belongs in the sentence because it helps to find the broken program.
    pub(crate) fn damaged(detail: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::Damaged, format!("The file is damaged ({detail})."))
    }

    /// A step after decoding failed, which no file should be able to cause.
    pub(crate) fn crashed(detail: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::DecoderCrashed, format!("The picture could not be processed ({detail})."))
    }
}

//! The errors of reading a file.

use eyeline_core::ImageErrorCode;
use thiserror::Error;

/// The reason why no versions could be made of a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{sentence}")]
pub struct ImageError {
    /// For programs.
    pub code: ImageErrorCode,
    /// For the owner of the file: one sentence with a full stop.
    pub sentence: String,
}

impl ImageError {
    pub(crate) fn new(code: ImageErrorCode, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into() }
    }

    pub(crate) fn truncated() -> Self {
        Self::new(ImageErrorCode::Truncated, "The file is cut off before its end; please send it again.")
    }

    pub(crate) fn not_an_image() -> Self {
        Self::new(ImageErrorCode::NotAnImage, "The file is not a picture in a format that can be read here.")
    }

    pub(crate) fn too_much_memory() -> Self {
        Self::new(ImageErrorCode::TooManyPixels, "The picture needs more memory to decode than is allowed.")
    }

    pub(crate) fn unsupported(what: &str) -> Self {
        Self::new(ImageErrorCode::Unsupported, format!("{what} cannot be read here."))
    }

    /// `detail` is the decoder's own message, which helps to find the program that wrote the broken file.
    pub(crate) fn damaged(detail: impl std::fmt::Display) -> Self {
        Self::new(ImageErrorCode::Damaged, format!("The file is damaged ({detail})."))
    }

    /// A step after decoding failed, which no file should be able to cause.
    pub(crate) fn crashed(detail: impl std::fmt::Display) -> Self {
        Self::new(ImageErrorCode::DecoderCrashed, format!("The picture could not be processed ({detail})."))
    }
}

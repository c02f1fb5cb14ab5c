//! Why an image ended in state `error`: a small closed set that programs can rely on.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Stable: a code never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageErrorCode {
    /// The file ends before its picture does.
    Truncated,
    /// The bytes are of no picture format that is known.
    NotAnImage,
    /// Over a limit of size, or of frames.
    TooManyPixels,
    /// A picture of a format, or of a feature of a format, that is not taken.
    Unsupported,
    /// The file is whole but contradicts itself.
    Damaged,
    /// The decoder died over the file, each time it was tried.
    DecoderCrashed,
    /// Reading the file took too long, each time it was tried.
    TimedOut,
    /// Another size or SHA-256 than was announced.
    NotAsStated,
    /// Nothing was sent to the upload link in time.
    NeverArrived,
    /// The server could not do its part, however often it tried.
    ProcessingFailed,
    /// Whoever worked on it stopped answering, too often.
    WorkerDied,
}

impl ImageErrorCode {
    /// Every code, for tables and tests.
    pub const ALL: [Self; 11] = [
        Self::Truncated,
        Self::NotAnImage,
        Self::TooManyPixels,
        Self::Unsupported,
        Self::Damaged,
        Self::DecoderCrashed,
        Self::TimedOut,
        Self::NotAsStated,
        Self::NeverArrived,
        Self::ProcessingFailed,
        Self::WorkerDied,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::NotAnImage => "not_an_image",
            Self::TooManyPixels => "too_many_pixels",
            Self::Unsupported => "unsupported",
            Self::Damaged => "damaged",
            Self::DecoderCrashed => "decoder_crashed",
            Self::TimedOut => "timed_out",
            Self::NotAsStated => "not_as_stated",
            Self::NeverArrived => "never_arrived",
            Self::ProcessingFailed => "processing_failed",
            Self::WorkerDied => "worker_died",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }
}

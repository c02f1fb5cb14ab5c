//! Why an image ended in state `error`: a small closed set that programs can rely on.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The reason for the state `error`. A code never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageErrorCode {
    /// The file ends before its picture does.
    Truncated,
    /// The bytes match no known picture format.
    NotAnImage,
    /// The picture exceeds a limit of pixels, sides, frames or memory.
    TooManyPixels,
    /// The format, or a feature of it, is not supported.
    Unsupported,
    /// The file is whole but contradicts itself.
    Damaged,
    /// The decoder crashed on the file at every attempt.
    DecoderCrashed,
    /// Processing the file took too long at every attempt.
    TimedOut,
    /// Size or SHA-256 differ from the stated ones.
    NotAsStated,
    /// The file did not arrive through its upload link in time.
    NeverArrived,
    /// The server failed in every attempt.
    ProcessingFailed,
    /// The servers that worked on the image stopped responding too often.
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

//! The life of an image: `init -> uploaded -> processing -> done | error`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageState {
    /// It has an upload link; nothing has arrived.
    Init,
    /// The original is stored; a job waits.
    Uploaded,
    /// A worker holds the job.
    Processing,
    /// Every version exists and is published.
    Done,
    /// It failed, with a reason.
    Error,
}

impl ImageState {
    pub const fn as_str(self) -> &'static str {
        match self {
            ImageState::Init => "init",
            ImageState::Uploaded => "uploaded",
            ImageState::Processing => "processing",
            ImageState::Done => "done",
            ImageState::Error => "error",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "init" => ImageState::Init,
            "uploaded" => ImageState::Uploaded,
            "processing" => ImageState::Processing,
            "done" => ImageState::Done,
            "error" => ImageState::Error,
            _ => return None,
        })
    }

    /// True once nothing more will happen to the image by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, ImageState::Done | ImageState::Error)
    }
}

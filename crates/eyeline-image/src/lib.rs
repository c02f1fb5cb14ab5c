//! Reads pictures within limits, and encodes their versions.
//!
//! [`make_versions`] turns an original file into the versions of the contract: it reads the file strictly, decodes it
//! once, and makes every version from the next larger one. It does no I/O and knows neither catalog nor network.

mod color;
mod decode;
mod error;
mod exif;
#[doc(hidden)]
pub mod fuzzing;
mod gif;
mod heif;
mod jpeg;
mod libwebp;
mod limits;
mod needs;
mod orientation;
mod packed;
mod parts;
mod planar;
mod png;
mod resize;
mod sniff;
mod transpose;
mod turbo;
mod versions;
mod webp;
pub mod worker;

pub use error::ImageError;
pub use heif::{Heif, HeifSupport};
pub use limits::Limits;
pub use needs::{START_BYTES, memory_needed};
pub use sniff::sniff;
pub use versions::{Made, Version, make_versions};

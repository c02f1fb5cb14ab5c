//! From an upload link to published versions, and later changes of the image.

pub mod admission;
pub mod change;
pub mod links;
pub mod makers;
pub mod parts;
pub mod process;
pub mod sweep;
pub mod transfers;
pub mod upload;
pub mod user_upload;
pub mod versions;

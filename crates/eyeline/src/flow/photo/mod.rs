//! From a promised photo to its published versions, and what changes them later.

pub mod admission;
pub mod change;
pub mod links;
pub mod makers;
pub mod process;
pub mod sweep;
pub mod transfers;
pub mod upload;
pub mod user_upload;
pub mod versions;

//! Backups of the embedded engines: copies of catalog and inbox as of one moment, and the index of copied objects.

mod index;
mod snapshot;

pub use index::{Copied, Index};
pub use snapshot::EngineFiles;

//! What the fuzz targets share: the invariants of the image pipeline, builders of files that it accepts, and the doors to
//! what is private.

pub mod bare;
pub mod end;
pub mod jpeg;
pub mod pipeline;
#[path = "../../crates/eyeline/src/secrets.rs"]
pub mod secrets;
pub mod server;

/// A number that changes with every byte (FNV-1a), for choices that the bytes themselves leave no place for.
pub fn number_of(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |number, byte| (number ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

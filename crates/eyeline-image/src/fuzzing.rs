//! Doors for the fuzz targets to what is private and reads the bytes of others; nothing else uses them.

use std::io;

use eyeline_core::Preset;

use crate::worker::protocol;
use crate::{ImageError, Made};

/// Reads the skeleton of a file that begins as JPEG does; answers the length of its picture in bytes, the size in pixels
/// and the length of the colour profile.
pub fn jpeg_skeleton(file: &[u8]) -> Result<(usize, (u32, u32), usize), ImageError> {
    let structure = crate::jpeg::structure::read(file)?;
    Ok((structure.length, (structure.width, structure.height), structure.icc.len()))
}

/// What a server makes of all that a worker says.
pub fn worker_reply(said: &[u8], presets: &[Preset]) -> io::Result<Result<Made, ImageError>> {
    protocol::read_reply(said, presets)
}

/// What an honest worker says.
pub fn honest_reply(outcome: &Result<Made, ImageError>) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    protocol::write_reply(&mut said, outcome)?;
    Ok(said)
}

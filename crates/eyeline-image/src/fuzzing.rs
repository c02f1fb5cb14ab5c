//! Access for the fuzz targets to private code that reads untrusted bytes. Nothing else uses it.

use std::io;

use eyeline_core::Preset;

use crate::worker::protocol;
use crate::{ImageError, Made};

/// Reads the skeleton of a file that begins like a JPEG. Returns the length of its picture in bytes, the size in pixels
/// and the length of the colour profile.
pub fn jpeg_skeleton(file: &[u8]) -> Result<(usize, (u32, u32), usize), ImageError> {
    let structure = crate::jpeg::structure::read(file)?;
    Ok((structure.length, (structure.frame.width, structure.frame.height), structure.icc.len()))
}

/// The orientation that a block of EXIF data states.
pub fn exif_orientation(block: &[u8]) -> Option<u8> {
    crate::exif::orientation(block)
}

/// The server's reading of a worker's messages and of the memory that they share.
pub fn worker_reply(said: &[u8], memory: &[u8], presets: &[Preset]) -> io::Result<Result<Made, ImageError>> {
    protocol::read_reply(said, memory, presets)
}

/// The messages of an honest worker, and the memory that it leaves.
pub fn honest_reply(outcome: &Result<Made, ImageError>) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let (mut said, mut memory) = (Vec::new(), Vec::new());
    protocol::write_reply(&mut said, &mut memory, outcome)?;
    Ok((said, memory))
}

//! Copies and hashes files in pieces.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::secrets::to_hex;

const PIECE_BYTES: usize = 256 * 1024;

/// The size and the hash of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Hashed {
    pub bytes: u64,
    pub sha256: String,
}

/// Reads a file to its end.
pub(in crate::cli) fn hash(path: &Path) -> io::Result<Hashed> {
    read(path, |_| Ok(()))
}

/// Copies a file with its rights, or for its owner alone. The new file is on stable storage afterwards.
pub(in crate::cli) fn copy(from: &Path, to: &Path, is_secret: bool) -> io::Result<Hashed> {
    let mut copy = OpenOptions::new().create_new(true).write(true).mode(0o600).open(to)?;
    let hashed = read(from, |piece| copy.write_all(piece))?;
    if !is_secret {
        copy.set_permissions(fs::Permissions::from_mode(fs::metadata(from)?.permissions().mode() & 0o777))?;
    }
    copy.sync_all()?;
    Ok(hashed)
}

fn read(path: &Path, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<Hashed> {
    let mut file = File::open(path)?;
    let (mut hash, mut piece, mut bytes) = (Sha256::new(), vec![0; PIECE_BYTES], 0);
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok(Hashed { bytes, sha256: to_hex(&hash.finalize()) });
        }
        hash.update(&piece[..length]);
        take(&piece[..length])?;
        bytes += length as u64;
    }
}

/// Makes the names in a folder durable.
pub(in crate::cli) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

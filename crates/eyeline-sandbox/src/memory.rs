//! Memory that a server and its worker share. Large data passes through it in one piece. A pipe would split it into
//! small pieces, with a process switch for each.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};

/// Server and worker take turns: one writes and sends a message, and the other reads before it answers. A hijacked
/// worker may change the memory at any time, so the server copies what it reads.
#[derive(Debug)]
pub struct SharedMemory {
    file: File,
    /// Bytes that stay when the rest is freed.
    kept: u64,
}

impl SharedMemory {
    pub(crate) fn create(kept: u64) -> io::Result<Self> {
        let create = |flags| memfd_create("eyeline-worker", MemfdFlags::CLOEXEC | flags);
        // Older kernels do not support this flag, which forbids executing the memory.
        let file = File::from(create(MemfdFlags::NOEXEC_SEAL).or_else(|_| create(MemfdFlags::empty()))?);
        file.set_len(kept)?;
        Ok(Self { file, kept })
    }

    /// A descriptor for the worker, which opens the memory through [`From`].
    pub(crate) fn share(&self) -> io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }

    /// The file, for mapping the memory.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Starts reading or writing at the first byte.
    pub fn begin(&self) -> Pass<'_> {
        Pass { memory: &self.file, at: 0 }
    }

    /// Frees the memory of large data.
    pub fn shrink(&self) -> io::Result<()> {
        if self.file.metadata()?.len() > self.kept { self.file.set_len(self.kept) } else { Ok(()) }
    }
}

impl From<OwnedFd> for SharedMemory {
    fn from(shared: OwnedFd) -> Self {
        Self { file: shared.into(), kept: 0 }
    }
}

/// A pass through the memory with its own position, because the other side shares that of the descriptor.
#[derive(Debug)]
pub struct Pass<'a> {
    memory: &'a File,
    at: u64,
}

impl Read for Pass<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.memory.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Write for Pass<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.memory.write_at(bytes, self.at)?;
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

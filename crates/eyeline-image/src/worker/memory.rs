//! A worker's memory: what it shares with its server, through which files pass whole, where a pipe would take them in
//! small pieces with a change of process for each; and its heap.
#![expect(unsafe_code, reason = "views of memory and advice on it, in this file alone")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use memmap2::{Mmap, MmapOptions};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::mm::{Advice, madvise};
use rustix::param::page_size;

/// Bytes that stay between two files, so that files of usual size find their pages there.
pub(super) const KEPT_BYTES: usize = 8 << 20;

/// The server and its worker use it by turns: the server writes a file and asks; the worker looks at it where it is,
/// then writes the versions over it and answers. The server copies what it reads: a worker that was taken over may change
/// it at any time.
#[derive(Debug)]
pub(super) struct SharedMemory(File);

impl SharedMemory {
    pub fn create() -> io::Result<Self> {
        let create = |flags| memfd_create("eyeline-image-worker", MemfdFlags::CLOEXEC | flags);
        // Older kernels do not know that this memory will never be a program.
        let memory = File::from(create(MemfdFlags::NOEXEC_SEAL).or_else(|_| create(MemfdFlags::empty()))?);
        memory.set_len(KEPT_BYTES as u64)?;
        Ok(Self(memory))
    }

    /// The descriptor for a worker, which takes it by [`From`].
    pub fn share(&self) -> io::Result<OwnedFd> {
        Ok(self.0.try_clone()?.into())
    }

    /// The first `length` bytes, in place; for the worker, which trusts its server. There have to be so many, which is
    /// true of what is kept and of a file that the server asked about.
    pub fn view(&self, length: usize) -> io::Result<Mmap> {
        // SAFETY: nobody makes the memory shorter than what is kept, nor than a file before it is answered. It changes,
        // but not under a reference: the server writes before it asks, and the worker when it is done with the file.
        unsafe { MmapOptions::new().len(length).map(&self.0) }
    }

    /// Reads or writes from the first byte on.
    pub fn begin(&self) -> Pass<'_> {
        Pass { memory: &self.0, at: 0 }
    }

    /// Gives back what a large file took.
    pub fn shrink(&self) -> io::Result<()> {
        let kept = KEPT_BYTES as u64;
        if self.0.metadata()?.len() > kept { self.0.set_len(kept) } else { Ok(()) }
    }
}

impl From<OwnedFd> for SharedMemory {
    fn from(shared: OwnedFd) -> Self {
        Self(shared.into())
    }
}

/// One way through the memory. It keeps its own place: that of the descriptor is the other side's too.
pub(super) struct Pass<'a> {
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

/// The planes of most photos fit into two of these. The allocator takes larger ones from elsewhere.
const RESERVE_BYTES: usize = 30 << 20;

/// Grows the heap and asks for large pages in it, where the kernel gives them: they spare a photo's decoding a few per
/// cent. Nothing is touched, so nothing is taken yet. glibc can be told to do so by itself (`glibc.malloc.hugetlb=1`),
/// but up to 2.36 looks at a byte that it never set and then does it or not.
pub(super) fn prefer_large_pages() {
    let mut reserves = [Vec::<u8>::with_capacity(RESERVE_BYTES), Vec::with_capacity(RESERVE_BYTES)];
    for reserve in &mut reserves {
        let start = reserve.as_mut_ptr();
        let to_page = start.align_offset(page_size());
        let length = RESERVE_BYTES - page_size();
        // SAFETY: the range lies within the reserve, which nobody else has; the advice changes no content.
        let _ = unsafe { madvise(start.add(to_page).cast(), length, Advice::LinuxHugepage) };
    }
}

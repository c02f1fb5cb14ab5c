//! Views of the memory that a worker shares with its server, and its heap.
#![expect(unsafe_code, reason = "views of memory and advice on it, in this file alone")]

use std::io;

use eyeline_sandbox::SharedMemory;
use memmap2::{Mmap, MmapOptions};
use rustix::mm::{Advice, madvise};
use rustix::param::page_size;

/// Bytes that stay between two files, so that files of usual size find their pages there.
pub(super) const KEPT_BYTES: usize = 8 << 20;

/// The first `length` bytes, in place; for the worker, which trusts its server. There have to be so many, which is true of
/// what is kept and of a file that the server asked about.
pub(super) fn view(memory: &SharedMemory, length: usize) -> io::Result<Mmap> {
    // SAFETY: nobody makes the memory shorter than what is kept, nor than a file before it is answered. It changes, but not
    // under a reference: the server writes before it asks, and the worker when it is done with the file.
    unsafe { MmapOptions::new().len(length).map(memory.file()) }
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

//! Views of the memory that a worker shares with its server, and its heap.
#![expect(unsafe_code, reason = "views of memory and advice on it, in this file alone")]

use std::io;

use eyeline_sandbox::SharedMemory;
use memmap2::{Mmap, MmapOptions};
use rustix::mm::{Advice, madvise};
use rustix::param::page_size;

/// Bytes that stay mapped between two files, enough for files of usual size.
pub(super) const KEPT_BYTES: usize = 8 << 20;

/// Maps the first `length` bytes, for the worker, which trusts its server. The memory must hold them, which is true for
/// [`KEPT_BYTES`] and for the file of a request.
pub(super) fn view(memory: &SharedMemory, length: usize) -> io::Result<Mmap> {
    // SAFETY: nobody makes the memory shorter than what is kept, nor than a file before it is answered. It changes, but not
    // under a reference: the server writes before it asks, and the worker when it is done with the file.
    unsafe { MmapOptions::new().len(length).map(memory.file()) }
}

/// The planes of most photos fit into two reserves of this size. The allocator maps larger blocks elsewhere.
const RESERVE_BYTES: usize = 30 << 20;

/// Grows the heap and requests large pages for it, if the kernel supports them, which saves a few percent of a photo's
/// decoding. Touches no page, so takes no memory yet. glibc can do this itself (`glibc.malloc.hugetlb=1`), but up to
/// 2.36 it depends on an uninitialized byte.
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

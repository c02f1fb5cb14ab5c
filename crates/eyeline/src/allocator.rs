//! Chooses the allocator of the program: mimalloc in a server, glibc's in a worker process.
//!
//! A server's threads free what others allocated, which costs several times the memory with glibc. A worker computes on
//! one thread. Codecs always use glibc's allocator, which the server tunes for photos; a second allocator would keep
//! free memory too. An SQL worker has a bound on its address space, and glibc reserves none ahead.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU8, Ordering};

use mimalloc::MiMalloc;

const UNDECIDED: u8 = 0;
const OF_GLIBC: u8 = 1;
const OF_MIMALLOC: u8 = 2;

/// Decides at the first allocation and never changes, because each allocator can free only its own memory.
pub struct Allocator {
    choice: AtomicU8,
}

impl Allocator {
    pub const fn new() -> Self {
        Allocator { choice: AtomicU8::new(UNDECIDED) }
    }

    #[inline]
    fn is_of_glibc(&self) -> bool {
        match self.choice.load(Ordering::Relaxed) {
            UNDECIDED => self.decide(),
            choice => choice == OF_GLIBC,
        }
    }

    /// The first allocation happens before any second thread starts.
    #[cold]
    fn decide(&self) -> bool {
        #[expect(unsafe_code, reason = "the standard library's way to read the environment allocates")]
        // SAFETY: the name ends with a zero, and nothing changes the environment this early.
        let tuned = unsafe { !libc::getenv(c"MALLOC_MMAP_THRESHOLD_".as_ptr()).is_null() };
        self.choice.store(if tuned { OF_GLIBC } else { OF_MIMALLOC }, Ordering::Relaxed);
        tuned
    }
}

#[expect(unsafe_code, reason = "what an allocator is; each call goes on to one that keeps the promises")]
// SAFETY: all calls of a process go to the same one of two allocators.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.is_of_glibc() { unsafe { System.alloc(layout) } } else { unsafe { MiMalloc.alloc(layout) } }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if self.is_of_glibc() {
            unsafe { System.alloc_zeroed(layout) }
        } else {
            unsafe { MiMalloc.alloc_zeroed(layout) }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if self.is_of_glibc() {
            unsafe { System.dealloc(memory, layout) }
        } else {
            unsafe { MiMalloc.dealloc(memory, layout) }
        }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if self.is_of_glibc() {
            unsafe { System.realloc(memory, layout, size) }
        } else {
            unsafe { MiMalloc.realloc(memory, layout, size) }
        }
    }
}

//! Pages that never change, for sending without a copy.

use std::io;
use std::os::fd::AsFd;
use std::ptr;

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap};
use rustix::pipe::{IoSliceRaw, SpliceFlags, vmsplice};

/// A huge page of the common 4 KiB configurations.
const HUGE_PAGE: usize = 2 * 1024 * 1024;

/// How much of it there is: a receiver on this host that copies finds it in the cache, which a megabyte per stream would
/// not be. Contiguous, so that the kernel needs few references.
const SPAN: usize = 256 * 1024;

/// Constant bytes in one huge page if there is one. Its own mapping, never the heap: the kernel may hold on
/// to the pages after a drop, and memory that others use again would then go out to a peer.
#[derive(Debug)]
pub struct ConstantPages {
    mapping: usize,
    start: usize,
}

impl ConstantPages {
    /// What fills a pipe.
    pub const BYTES: usize = 1024 * 1024;

    /// Maps them and has them filled.
    pub fn new(fill: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing that exists.
        let mapping = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                2 * HUGE_PAGE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        let pages = Self {
            mapping: mapping.expose_provenance(),
            start: mapping.expose_provenance().next_multiple_of(HUGE_PAGE),
        };
        let start = ptr::with_exposed_provenance_mut::<u8>(pages.start);
        // SAFETY: `start` and the huge page behind it are inside the mapping of two, which nobody else knows yet. Where
        // there are no huge pages the advice fails, which costs speed only.
        unsafe {
            let _ = madvise(start.cast(), HUGE_PAGE, Advice::LinuxHugepage);
            fill(std::slice::from_raw_parts_mut(start, SPAN));
            mprotect(start.cast(), HUGE_PAGE, MprotectFlags::READ)?;
        }
        Ok(pages)
    }

    /// Fills an empty pipe of [`Self::BYTES`] with them by reference, the same few over and over.
    pub fn fill_pipe(&self, pipe: impl AsFd) -> io::Result<usize> {
        let start = ptr::with_exposed_provenance::<u8>(self.start);
        // SAFETY: these bytes lie in the mapping, which lives as long as `self` and is read-only.
        let span = unsafe { std::slice::from_raw_parts(start, SPAN) };
        let spans = [span; Self::BYTES / SPAN].map(IoSliceRaw::from_slice);
        // SAFETY: nothing ever changes these pages, so what the pipe refers to stays what it was. A read end is refused by
        // the kernel, as it cannot write to them.
        Ok(unsafe { vmsplice(pipe, &spans, SpliceFlags::NONBLOCK) }?)
    }
}

impl Drop for ConstantPages {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping made in `new`; nothing borrowed from it is left. Pages in flight live on.
        let _ = unsafe { munmap(ptr::with_exposed_provenance_mut(self.mapping), 2 * HUGE_PAGE) };
    }
}

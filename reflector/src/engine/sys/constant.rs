//! Pages that never change, for sending without a copy.

use std::io;
use std::os::fd::AsFd;
use std::ptr;

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap};
use rustix::pipe::{IoSliceRaw, SpliceFlags, vmsplice};

/// A huge page of the common 4 KiB configurations.
const HUGE_PAGE: usize = 2 * 1024 * 1024;

/// A megabyte of constant bytes in one huge page if there is one. Its own mapping, never the heap: the kernel may hold on
/// to the pages after a drop, and memory that others use again would then go out to a peer.
#[derive(Debug)]
pub struct ConstantPages {
    mapping: usize,
    start: usize,
}

impl ConstantPages {
    /// How many bytes there are.
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
            fill(std::slice::from_raw_parts_mut(start, Self::BYTES));
            mprotect(start.cast(), Self::BYTES, MprotectFlags::READ)?;
        }
        Ok(pages)
    }

    /// Puts up to `bytes` of them into a pipe, which takes them by reference.
    pub fn into_pipe(&self, pipe: impl AsFd, bytes: usize) -> io::Result<usize> {
        let slice =
            ptr::slice_from_raw_parts(ptr::with_exposed_provenance::<u8>(self.start), bytes.min(Self::BYTES));
        // SAFETY: the slice lies in the mapping, which lives as long as `self` and is read-only; `pipe` being a read end
        // would be an error of the kernel's, as it cannot write to these pages.
        let slice = unsafe { &*slice };
        let raw = [IoSliceRaw::from_slice(slice)];
        // SAFETY: nothing ever changes these pages, so what the pipe refers to stays what it was.
        Ok(unsafe { vmsplice(pipe, &raw, SpliceFlags::NONBLOCK) }?)
    }
}

impl Drop for ConstantPages {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping made in `new`; nothing borrowed from it is left. Pages in flight live on.
        let _ = unsafe { munmap(ptr::with_exposed_provenance_mut(self.mapping), 2 * HUGE_PAGE) };
    }
}

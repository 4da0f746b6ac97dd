//! `/proc/PID/pagemap`: which pages of an address space have anything in them.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use super::{check, count};

/// The memory map of one process, page by page, as long as it runs the program that it runs now.
#[derive(Debug)]
pub(crate) struct Pagemap(File);

impl Pagemap {
    pub(crate) fn open(pid: i32) -> io::Result<Self> {
        count();
        File::open(format!("/proc/{pid}/pagemap")).map(Self)
    }

    /// Claims the address space among those who look at it through this file; `false` where another has claimed it and still
    /// lives. Claiming it twice is claiming it once.
    ///
    /// All that open the file share its inode as long as one has it open, and the kernel gives the lock up when this host ends.
    pub(crate) fn claim(&self) -> bool {
        let claimed = self.lock(libc::LOCK_EX | libc::LOCK_NB);
        !claimed.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Gives that up.
    pub(crate) fn give_up(&self) {
        // It can only fail where nothing was claimed.
        let _ = self.lock(libc::LOCK_UN);
    }

    fn lock(&self, how: libc::c_int) -> io::Result<()> {
        count();
        // SAFETY: takes two numbers, of which the first is an open descriptor.
        check(libc::c_long::from(unsafe { libc::flock(self.0.as_raw_fd(), how) })).map(drop)
    }

    /// Whether each of `pages` pages from number `first` on has been used: it is in memory or swapped out. A page that is
    /// neither has no contents: nobody has touched it, or it has been given up since.
    ///
    /// Looking uses none of them, which reading the memory would.
    pub(crate) fn used(&self, first: u64, pages: usize) -> io::Result<Vec<bool>> {
        const ENTRY: usize = 8;
        /// `PM_PRESENT`, `PM_SWAP`.
        const HAS_CONTENTS: u64 = 1 << 63 | 1 << 62;
        let mut entries = vec![0; pages * ENTRY];
        count();
        self.0.read_exact_at(&mut entries, first * ENTRY as u64)?;
        let used = |entry: &[u8]| {
            entry.first_chunk().is_none_or(|entry| u64::from_ne_bytes(*entry) & HAS_CONTENTS != 0)
        };
        Ok(entries.chunks_exact(ENTRY).map(used).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_used_once_it_is_touched() {
        let mapping = vec![0_u8; 64 * 4096];
        let pid = i32::try_from(std::process::id()).unwrap();
        let pagemap = Pagemap::open(pid).unwrap();
        let middle = &mapping[32 * 4096..];
        let page = middle.as_ptr().addr() as u64 / 4096;
        assert_eq!(pagemap.used(page, 1).unwrap(), [false]);
        std::hint::black_box(middle[0]);
        assert_eq!(pagemap.used(page, 1).unwrap(), [true]);
    }
}

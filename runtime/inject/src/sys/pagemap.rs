//! `/proc/PID/pagemap`: which pages have been touched.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::count;

/// Whether none of the pages of a range has ever had contents, of the process that the thread `tid` belongs to.
pub(crate) fn is_untouched(tid: i32, range: &Range<u64>) -> io::Result<bool> {
    const PAGE: u64 = 4096;
    /// A page that is there or swapped out (`Documentation/admin-guide/mm/pagemap.rst`).
    const TOUCHED: u64 = 3 << 62;
    let (first, last) = (range.start / PAGE, range.end.div_ceil(PAGE));
    let mut bytes = vec![0; usize::try_from(last - first).unwrap_or(0) * size_of::<u64>()];
    (0..3).for_each(|_| count());
    File::open(format!("/proc/{tid}/pagemap"))?.read_exact_at(&mut bytes, first * size_of::<u64>() as u64)?;
    let entries = bytes.chunks_exact(size_of::<u64>()).filter_map(|entry| entry.first_chunk());
    Ok(entries.fold(0, |all, entry| all | u64::from_ne_bytes(*entry)) & TOUCHED == 0)
}

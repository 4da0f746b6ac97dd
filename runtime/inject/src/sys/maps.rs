//! `PROCMAP_QUERY` on `/proc/PID/maps` (Linux 6.11): one area instead of all of them.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use super::{check, count};

/// An area as the kernel finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) range: Range<u64>,
    pub(crate) writable: bool,
}

/// The kernel's `struct procmap_query` (`<linux/fs.h>`).
#[repr(C)]
#[derive(Default)]
struct Query {
    size: u64,
    flags: u64,
    address: u64,
    start: u64,
    end: u64,
    area_flags: u64,
    page_size: u64,
    offset: u64,
    inode: u64,
    device: [u32; 2],
    name_size: u32,
    build_id_size: u32,
    name: u64,
    build_id: u64,
}

/// `_IOWR('f', 17, struct procmap_query)`.
const PROCMAP_QUERY: libc::c_ulong = 0xc068_6611;
const _: () = assert!(size_of::<Query>() == 0x68);
/// `PROCMAP_QUERY_COVERING_OR_NEXT_VMA`.
const COVERING_OR_NEXT: u64 = 1 << 4;
/// `PROCMAP_QUERY_VMA_WRITABLE`.
const WRITABLE: u64 = 1 << 1;

/// The area that `address` lies in, else the next one above it; `None` where there is none.
pub(crate) fn next(maps: &File, address: u64) -> io::Result<Option<Found>> {
    let mut query =
        Query { size: size_of::<Query>() as u64, flags: COVERING_OR_NEXT, address, ..Query::default() };
    count();
    // SAFETY: the kernel reads and writes one structure of the size that it says; no name is asked for.
    let answer = unsafe { libc::ioctl(maps.as_raw_fd(), PROCMAP_QUERY, &raw mut query) };
    match check(libc::c_long::from(answer)) {
        Ok(_) => {
            Ok(Some(Found { range: query.start..query.end, writable: query.area_flags & WRITABLE != 0 }))
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

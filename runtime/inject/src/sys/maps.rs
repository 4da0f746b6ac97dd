//! `PROCMAP_QUERY` on `/proc/PID/maps` (Linux 6.11): one area instead of all of them, and no name unless one is asked for.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use super::{check, count};

/// An area as the kernel finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) range: Range<u64>,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) executable: bool,
    pub(crate) shared: bool,
    /// Where in its file it begins.
    pub(crate) offset: u64,
    /// Major and minor number of the file's device, and the file's inode; zeros where there is no file.
    pub(crate) device: [u32; 2],
    pub(crate) inode: u64,
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
/// `PROCMAP_QUERY_VMA_READABLE` and the three that follow it.
const READABLE: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const EXECUTABLE: u64 = 1 << 2;
const SHARED: u64 = 1 << 3;

/// The area that `address` lies in, else the next one above it; `None` where there is none.
pub(crate) fn next(maps: &File, address: u64) -> io::Result<Option<Found>> {
    let mut query =
        Query { size: size_of::<Query>() as u64, flags: COVERING_OR_NEXT, address, ..Query::default() };
    count();
    // SAFETY: the kernel reads and writes one structure of the size that it says; no name is asked for.
    let answer = unsafe { libc::ioctl(maps.as_raw_fd(), PROCMAP_QUERY, &raw mut query) };
    match check(libc::c_long::from(answer)) {
        Ok(_) => {
            let has = |flag| query.area_flags & flag != 0;
            Ok(Some(Found {
                range: query.start..query.end,
                readable: has(READABLE),
                writable: has(WRITABLE),
                executable: has(EXECUTABLE),
                shared: has(SHARED),
                offset: query.offset,
                device: query.device,
                inode: query.inode,
            }))
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The longest name that the kernel gives (`PATH_MAX`).
const LONGEST: usize = 4096;

/// The name of the area that `address` lies in, empty where it has none; an error where it is longer than a path can be.
pub(crate) fn name(maps: &File, address: u64) -> io::Result<Vec<u8>> {
    let mut name = vec![0_u8; LONGEST];
    let mut query = Query {
        size: size_of::<Query>() as u64,
        address,
        name_size: u32::try_from(name.len()).unwrap_or(0),
        name: name.as_mut_ptr().expose_provenance() as u64,
        ..Query::default()
    };
    count();
    // SAFETY: the kernel reads and writes one structure of the size that it says, and writes at most `name_size` bytes to
    // `name`, which is that long and borrowed by nobody else meanwhile.
    let answer = unsafe { libc::ioctl(maps.as_raw_fd(), PROCMAP_QUERY, &raw mut query) };
    check(libc::c_long::from(answer))?;
    // With the zero at its end.
    name.truncate(usize::try_from(query.name_size).unwrap_or(0).saturating_sub(1));
    Ok(name)
}

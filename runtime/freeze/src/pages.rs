//! The contents of memory: which pages have contents of their own, and their way into the file `pages`.
//!
//! A page of a file that was never written to is the file's, and one that was never touched is nobody's: neither is stored.
//! Memory is read in pieces that a near cache holds, so that the checksum and the write find them there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use twox_hash::XxHash3_64;

use crate::error::Error;
use crate::hex::Hex;
use crate::numbers::{PAGE, word};
use crate::state::{Area, Kind, Pages};
use crate::sys::{self, PageRegion, Wanted};

/// The bytes that one checksum is of, and that are read at once.
pub(crate) const CHUNK: u64 = 256 * 1024;
/// After how many bytes the disk is put to work.
const BATCH: u64 = 8 << 20;

/// Finds the pages of each area that must be stored. Returns how many bytes they are.
pub(crate) fn find(pid: i32, areas: &mut [Area]) -> Result<u64, Error> {
    let path = format!("/proc/{pid}/pagemap");
    let pagemap = File::open(&path).map_err(Error::io(format!("open {path}")))?;
    let mut regions = vec![PageRegion::default(); 4096];
    let mut total = 0;
    for area in areas {
        area.stored.clear();
        if matches!(area.kind, Kind::Kernel(_) | Kind::File { shared: true, .. }) {
            continue;
        }
        let mut at = area.start.0;
        while at < area.end.0 {
            let (found, next) = sys::scan_pages(Wanted::Contents, &pagemap, at, area.end.0, &mut regions)
                .map_err(Error::io(format!(
                    "look at the pages of process {pid} (PAGEMAP_SCAN, Linux 6.7)"
                )))?;
            for region in regions.iter().take(found) {
                let pages = (region.end - region.start) / PAGE;
                total += region.end - region.start;
                match area.stored.last_mut() {
                    Some((start, count)) if start.0 + *count * PAGE == region.start => *count += pages,
                    _ => area.stored.push((Hex(region.start), pages)),
                }
            }
            at = next.max(at + PAGE);
        }
    }
    Ok(total)
}

/// Whether there are guard pages in a range: they have no contents and are no mapping of their own either. A kernel that
/// does not know of them has none.
pub(crate) fn guarded(pagemap: &File, start: u64, end: u64) -> bool {
    let mut regions = [PageRegion::default()];
    sys::scan_pages(Wanted::Guards, pagemap, start, end, &mut regions).is_ok_and(|(found, _)| found > 0)
}

/// A stored range and whether it can be read without more rights than the process has itself.
struct Piece {
    address: u64,
    len: u64,
    readable: bool,
}

/// Copies the stored pages to a file and says what the file must be.
pub(crate) fn write(
    pid: i32,
    areas: &[Area],
    file: &File,
    path: &str,
    total: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Pages, Error> {
    let memory_path = format!("/proc/{pid}/mem");
    let memory = File::open(&memory_path).map_err(Error::io(format!("open {memory_path}")))?;
    let mut pieces = areas.iter().flat_map(|area| {
        let readable = area.permissions.starts_with('r');
        area.stored.iter().map(move |(start, count)| Piece { address: start.0, len: count * PAGE, readable })
    });
    let mut rest: Option<Piece> = None;
    let mut buffer = vec![0_u8; word(CHUNK)];
    let mut pages = Pages { size: 0, chunk: CHUNK, checksums: Vec::new() };
    let mut begun = 0;
    let unreadable = || format!("read the memory of process {pid}");
    while pages.size < total {
        let mut filled = 0;
        let mut ranges: Vec<(u64, usize)> = Vec::new();
        // What the process itself may not read goes another, slower way.
        let mut slow: Vec<(u64, usize, usize)> = Vec::new();
        while filled < buffer.len() {
            let Some(piece) = rest.take().or_else(|| pieces.next()) else { break };
            let len = word(piece.len).min(buffer.len() - filled);
            if piece.readable && slow.is_empty() && ranges.len() < 512 {
                ranges.push((piece.address, len));
            } else {
                slow.push((piece.address, filled, len));
            }
            filled += len;
            if len as u64 != piece.len {
                rest =
                    Some(Piece { address: piece.address + len as u64, len: piece.len - len as u64, ..piece });
            }
        }
        let quick: usize = ranges.iter().map(|(_, len)| len).sum();
        if quick > 0 {
            let target = buffer.get_mut(..quick).unwrap_or_default();
            let read = sys::read_memory(pid, &ranges, target).map_err(Error::io(unreadable()))?;
            if read != quick {
                return Err(Error::io(unreadable())(io::Error::from_raw_os_error(libc::EFAULT)));
            }
        }
        for (address, at, len) in slow {
            let target = buffer.get_mut(at..at + len).unwrap_or_default();
            memory.read_exact_at(target, address).map_err(Error::io(unreadable()))?;
        }
        let bytes = buffer.get(..filled).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        pages.checksums.push(Hex(XxHash3_64::oneshot(bytes)));
        file.write_all_at(bytes, pages.size).map_err(Error::io(format!("write {path}")))?;
        pages.size += bytes.len() as u64;
        if pages.size - begun >= BATCH {
            sys::begin_writing(file, begun, pages.size - begun);
            begun = pages.size;
        }
        progress(pages.size, total);
    }
    Ok(pages)
}

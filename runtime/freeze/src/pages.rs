//! The contents of memory: which pages have contents of their own, and their way into the file `pages`.
//!
//! A page of a file that was never written to is the file's, and one that was never touched is nobody's: neither is stored.
//! Memory is read in pieces that a near cache holds, so that the checksum and the write find them there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use twox_hash::XxHash3_64;

use crate::error::Error;
use crate::hex::Hex;
use crate::numbers::{PAGE, word};
use crate::state::{Area, Kind, Pages};
use crate::sys::{self, PageRegion, Wanted};

/// The bytes that one checksum is of, and that are read at once.
pub(crate) const CHUNK: u64 = 256 * 1024;
/// After how many chunks the disk is put to work: a disk that begins at once is done sooner.
const BATCH: usize = 4;

/// Finds the pages of each area that must be stored. Returns how many bytes they are.
pub(crate) fn find(pid: i32, areas: &mut [Area]) -> Result<u64, Error> {
    let path = format!("/proc/{pid}/pagemap");
    let pagemap = File::open(&path).map_err(Error::io(format!("open {path}")))?;
    let mut regions = vec![PageRegion::default(); 4096];
    let mut total = 0;
    for area in areas {
        area.stored.clear();
        // What the kernel may drop at any time is never kept: there are secrets that must not be used twice.
        let droppable = area.flags.iter().any(|flag| flag == "dp");
        if droppable || matches!(area.kind, Kind::Kernel(_) | Kind::File { shared: true, .. }) {
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

/// Part of a stored range.
#[derive(Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) address: u64,
    pub(crate) len: u64,
    /// Whether its permissions let it be copied the quick way.
    pub(crate) open: bool,
}

/// A range of `pages` and where its bytes lie in memory.
pub(crate) struct Chunk {
    pub(crate) at: u64,
    pub(crate) len: u64,
    pub(crate) parts: Vec<Piece>,
}

/// Cuts stored ranges, one behind the other, into chunks of `chunk` bytes.
pub(crate) fn cut(pieces: impl Iterator<Item = Piece>, chunk: u64) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    for mut piece in pieces {
        while piece.len > 0 {
            let next = chunks.last().map_or(0, |last| last.at + last.len);
            let last = match chunks.last_mut() {
                Some(last) if last.len < chunk => last,
                _ => {
                    chunks.push(Chunk { at: next, len: 0, parts: Vec::new() });
                    continue;
                }
            };
            let taken = piece.len.min(chunk - last.len);
            last.parts.push(Piece { len: taken, ..piece });
            last.len += taken;
            piece.address += taken;
            piece.len -= taken;
        }
    }
    chunks
}

/// How many threads copy so many bytes, on processors that a set names.
pub(crate) fn workers(size: u64, processors: &[u8]) -> usize {
    /// Below this many bytes a second thread costs more than it brings.
    const ALONE: u64 = 8 << 20;
    let processors: usize = processors.iter().map(|byte| byte.count_ones() as usize).sum();
    if size < ALONE { 1 } else { processors.clamp(1, 4) }
}

/// The stored pages of a process, cut into what is copied at once.
pub(crate) struct Copy {
    pid: i32,
    chunks: Vec<Chunk>,
    size: u64,
}

/// What stored pages are copied to, and who may help.
pub(crate) struct To<'a> {
    pub(crate) file: &'a File,
    /// The file's path, for errors.
    pub(crate) path: &'a str,
    /// The processors that this process may use: the calling thread may have been moved to one of them.
    pub(crate) processors: &'a [u8],
}

impl Copy {
    /// What [`find`] has found.
    pub(crate) fn of(pid: i32, areas: &[Area]) -> Self {
        let pieces = areas.iter().flat_map(|area| {
            let open = area.permissions.starts_with('r');
            area.stored.iter().map(move |(start, count)| Piece { address: start.0, len: count * PAGE, open })
        });
        let chunks = cut(pieces, CHUNK);
        let size = chunks.last().map_or(0, |last| last.at + last.len);
        Self { pid, chunks, size }
    }

    /// Copies to a file and says what the file must be. Other threads begin while this one does what it has to do
    /// `meanwhile`: with a disk, sooner begun is sooner done.
    pub(crate) fn write<T>(
        &self,
        to: &To<'_>,
        progress: &mut dyn FnMut(u64, u64),
        meanwhile: impl FnOnce() -> Result<T, Error>,
    ) -> Result<(Pages, T), Error> {
        let path = format!("/proc/{}/mem", self.pid);
        let memory = File::open(&path).map_err(Error::io(format!("open {path}")))?;
        let sums: Vec<AtomicU64> = self.chunks.iter().map(|_| AtomicU64::new(0)).collect();
        let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
        let work = |tell: &mut dyn FnMut(u64)| -> Result<(), Error> {
            let mut buffer = vec![0_u8; word(CHUNK)];
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let (Some(chunk), Some(sum)) = (self.chunks.get(at), sums.get(at)) else { return Ok(()) };
                let bytes = buffer.get_mut(..word(chunk.len)).unwrap_or_default();
                read(self.pid, &memory, chunk, bytes)
                    .map_err(Error::io(format!("read the memory of process {}", self.pid)))?;
                sum.store(XxHash3_64::oneshot(bytes), Ordering::Relaxed);
                to.file.write_all_at(bytes, chunk.at).map_err(Error::io(format!("write {}", to.path)))?;
                if (at + 1) % BATCH == 0 {
                    let len = BATCH as u64 * CHUNK;
                    sys::begin_writing(to.file, (chunk.at + chunk.len).saturating_sub(len), len);
                }
                tell(done.fetch_add(chunk.len, Ordering::Relaxed) + chunk.len);
            }
        };
        let done_meanwhile = std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..workers(self.size, to.processors))
                .map(|_| {
                    scope.spawn(|| {
                        // Away from the one that began it, which stays where the process is; where it cannot, it shares.
                        let _ = sys::set_affinity(0, &sys::others(to.processors));
                        let _ = sys::set_affinity(0, to.processors);
                        work(&mut |_| ())
                    })
                })
                .collect();
            let done_meanwhile = meanwhile();
            let mut written = if done_meanwhile.is_ok() {
                work(&mut |done| progress(done, self.size))
            } else {
                // Nobody wants the rest.
                next.store(self.chunks.len(), Ordering::Relaxed);
                Ok(())
            };
            for helper in helpers {
                let ended = helper.join();
                written = written.and(ended.unwrap_or_else(|_| {
                    Err(Error::io(format!("write {}", to.path))(io::ErrorKind::Other.into()))
                }));
            }
            done_meanwhile.and_then(|done| written.map(|()| done))
        })?;
        let checksums = sums.into_iter().map(|sum| Hex(sum.into_inner())).collect();
        Ok((Pages { size: self.size, chunk: CHUNK, checksums }, done_meanwhile))
    }
}

/// Reads a chunk: what the process itself may not read goes another, slower way.
fn read(pid: i32, memory: &File, chunk: &Chunk, bytes: &mut [u8]) -> io::Result<()> {
    if chunk.parts.iter().all(|part| part.open) && chunk.parts.len() <= 512 {
        let ranges: Vec<(u64, usize)> =
            chunk.parts.iter().map(|part| (part.address, word(part.len))).collect();
        let read = sys::read_memory(pid, &ranges, bytes)?;
        return if read == bytes.len() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EFAULT)) };
    }
    let mut rest = bytes;
    for part in &chunk.parts {
        let Some((these, others)) = rest.split_at_mut_checked(word(part.len)) else { break };
        memory.read_exact_at(these, part.address)?;
        rest = others;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_full_but_the_last_and_lose_nothing() {
        let piece = |address, len| Piece { address, len, open: true };
        let chunks = cut([piece(0x1000, 10), piece(0x2000, 3), piece(0x3000, 9)].into_iter(), 8);
        let parts: Vec<Vec<(u64, u64)>> = chunks
            .iter()
            .map(|chunk| chunk.parts.iter().map(|part| (part.address, part.len)).collect())
            .collect();
        assert_eq!(
            parts,
            [vec![(0x1000, 8)], vec![(0x1008, 2), (0x2000, 3), (0x3000, 3)], vec![(0x3003, 6)]]
        );
        assert_eq!(
            chunks.iter().map(|chunk| (chunk.at, chunk.len)).collect::<Vec<_>>(),
            [(0, 8), (8, 8), (16, 6)]
        );
        assert!(cut(std::iter::empty(), 8).is_empty());
    }
}

//! Staging memory: every area as it will be, filled, but in the hole.

use std::collections::HashMap;
use std::fs::File;
use std::hash::Hasher;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use pie_blob::Mapped;
use pie_blob_restorer::restorer;
use twox_hash::XxHash3_64;

use super::layout::{Layout, extent};
use crate::error::Error;
use crate::hex::Hex;
use crate::numbers::{PAGE, word};
use crate::pages::{self, Chunk, Piece};
use crate::state::{Area, Kind, State};
use crate::{files, sys};

/// From how many bytes on pages are made in one go before they are filled.
const WORTH_IT: usize = 64 * 1024;

/// Takes the hole, and maps the restorer at its start.
pub(super) fn reserve(layout: &Layout) -> Result<Mapped, Error> {
    let failed = || Error::io("take a hole of the address space");
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: NOREPLACE: nothing that is there is touched.
    unsafe { map(layout.start, layout.len, libc::PROT_NONE, flags, -1, 0) }.map_err(failed())?;
    // SAFETY: these pages were taken just now; the blob comes to lie there.
    unsafe { unmap(layout.start, restorer::BLOB.size().next_multiple_of(PAGE)) }.map_err(failed())?;
    restorer::BLOB.map_at(layout.start).map_err(|error| {
        Error::io(format!("map the restorer: {error}"))(std::io::ErrorKind::AddrInUse.into())
    })
}

/// Maps plain memory over a part of the hole.
pub(super) fn plain(address: u64, len: u64) -> Result<(), Error> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let readable = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: callers name parts of the hole only, which is this module's.
    unsafe { map(address, len, readable, flags, -1, 0) }.map_err(Error::io("map memory"))
}

/// Maps and fills every area. Gives the mapped files that are open then.
pub(super) fn memory(
    folder: &Path,
    state: &State,
    layout: &Layout,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<HashMap<usize, File>, Error> {
    let mut files = HashMap::new();
    let executable = state.process.executable;
    open(state, executable, &mut files)?;
    for (area, staged) in state.memory.areas.iter().zip(&layout.staged) {
        let Some(staged) = *staged else { continue };
        let (_, len) = extent(area, layout.longer);
        let (mut flags, mut descriptor, mut offset) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
        if let Kind::File { file, offset: at, shared } = area.kind {
            descriptor = open(state, file, &mut files)?;
            flags = if shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
            offset = at.0;
        }
        let has = |flag: &str| area.flags.iter().any(|has| has == flag);
        if has("dp") && area.kind == Kind::Anonymous {
            const MAP_DROPPABLE: i32 = 0x08;
            flags = MAP_DROPPABLE | libc::MAP_ANONYMOUS;
        }
        flags |= if has("nr") { libc::MAP_NORESERVE } else { 0 };
        flags |= if has("gd") { libc::MAP_GROWSDOWN } else { 0 };
        let what = || format!("map the area at {}", area.start);
        // SAFETY: the range is a part of the hole, which is this module's.
        unsafe { map(staged, len, protection(area), flags | libc::MAP_FIXED, descriptor, offset) }
            .map_err(Error::io(what()))?;
        advise(area, staged, len).map_err(Error::io(format!(
            "{} as it was ({})",
            what(),
            area.flags.join(" ")
        )))?;
    }
    fill(folder, state, layout, progress)?;
    for (area, staged) in state.memory.areas.iter().zip(&layout.staged) {
        let Some(staged) = *staged else { continue };
        if area.flags.iter().any(|flag| flag == "lo") {
            let only_what_is_used = area.flags.iter().any(|flag| flag == "lf");
            let (_, len) = extent(area, layout.longer);
            lock(staged, len, only_what_is_used).map_err(Error::io("lock memory"))?;
        }
    }
    Ok(files)
}

/// Keeps an area's pages in memory: those that are used, or all.
///
/// The kernel answers ENOMEM both where the limit is too low and where it cannot make a page, as where nothing may be
/// accessed (`mlockall(2)` locks such areas too, without a word). So an area is first locked without any page being made:
/// what the second call cannot make, the frozen process did not have either.
fn lock(address: u64, len: u64, only_what_is_used: bool) -> std::io::Result<()> {
    let lock = |flags| {
        let address = std::ptr::without_provenance::<libc::c_void>(word(address));
        // SAFETY: only keeps pages in memory.
        sys::check(libc::c_long::from(unsafe { libc::mlock2(address, word(len), flags) })).map(drop)
    };
    lock(libc::MLOCK_ONFAULT)?;
    if only_what_is_used {
        return Ok(());
    }
    match lock(0) {
        Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => Ok(()),
        other => other,
    }
}

/// Opens a mapped file once, to be written if any of its mappings may be.
fn open(state: &State, index: usize, files: &mut HashMap<usize, File>) -> Result<i32, Error> {
    if let Some(file) = files.get(&index) {
        return Ok(file.as_raw_fd());
    }
    let (path, writable) =
        state.mapped.get(index).map_or(("", false), |file| (file.path.as_str(), file.writable));
    let file = files::regular(path, writable).map_err(Error::io(format!("open {path}")))?;
    let descriptor = file.as_raw_fd();
    files.insert(index, file);
    Ok(descriptor)
}

fn protection(area: &Area) -> i32 {
    let letters = [('r', libc::PROT_READ), ('w', libc::PROT_WRITE), ('x', libc::PROT_EXEC)];
    letters.iter().filter(|(letter, _)| area.permissions.contains(*letter)).map(|(_, bit)| bit).sum()
}

/// Asks for what the area had asked for.
fn advise(area: &Area, staged: u64, len: u64) -> std::io::Result<()> {
    for flag in &area.flags {
        let advice = match flag.as_str() {
            "rr" => libc::MADV_RANDOM,
            "sr" => libc::MADV_SEQUENTIAL,
            "dc" => libc::MADV_DONTFORK,
            "mg" => libc::MADV_MERGEABLE,
            "hg" => libc::MADV_HUGEPAGE,
            "nh" => libc::MADV_NOHUGEPAGE,
            "dd" => libc::MADV_DONTDUMP,
            "wf" => libc::MADV_WIPEONFORK,
            _ => continue,
        };
        let address = std::ptr::without_provenance_mut::<libc::c_void>(word(staged));
        // SAFETY: none of these changes what lies there.
        sys::check(libc::c_long::from(unsafe { libc::madvise(address, word(len), advice) }))?;
    }
    Ok(())
}

/// Fills the stored pages in, holding every chunk against its checksum.
///
/// What this costs is mostly the kernel's: pages that are made and cleared. That it does on several processors at once.
fn fill(
    folder: &Path,
    state: &State,
    layout: &Layout,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Error> {
    let path = folder.join("pages");
    let file = files::regular(&path, false).map_err(Error::io(format!("open {}", path.display())))?;
    let memory = File::options().write(true).open("/proc/self/mem");
    let memory = memory.map_err(Error::io("write staged memory"))?;
    let chunks = chunks(state, layout);
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let processors = sys::affinity(0).map_err(Error::io("ask for this thread's processors"))?;
    let workers = pages::workers(state.pages.size, &processors);
    let chunks: Vec<_> = chunks.iter().zip(&state.pages.checksums).collect();
    let next = AtomicUsize::new(0);
    let done = AtomicU64::new(0);
    let work = |tell: &mut dyn FnMut(u64)| -> Result<(), Error> {
        let mut buffer = Vec::new();
        let mut run = [].iter();
        loop {
            let Some((chunk, wanted)) = run.next() else {
                let Some(taken) = take(&next, chunks.len(), workers).and_then(|taken| chunks.get(taken))
                else {
                    return Ok(());
                };
                run = taken.iter();
                continue;
            };
            let failed = || Error::io(format!("read {}", path.display()));
            let sum = if chunk.parts.iter().all(|part| part.open) && chunk.parts.len() <= 512 {
                fill_directly(&file, chunk).map_err(failed())?
            } else {
                fill_over_permissions(&file, &memory, chunk, &mut buffer).map_err(failed())?
            };
            if sum != **wanted {
                let Chunk { at, len, .. } = chunk;
                let reason =
                    format!("the {len} bytes from {at} on have been changed since they were written");
                return Err(Error::Damaged { path: path.display().to_string(), reason });
            }
            tell(done.fetch_add(chunk.len, Ordering::Relaxed) + chunk.len);
        }
    };
    let filled = std::thread::scope(|scope| {
        let others: Vec<_> = (1..workers)
            .map(|_| {
                scope.spawn(|| {
                    let _ = sys::set_affinity(0, &processors);
                    work(&mut |_| ())
                })
            })
            .collect();
        spread(own, &processors);
        let mut filled = work(&mut |done| progress(done, state.pages.size));
        for other in others {
            let ended = other
                .join()
                .unwrap_or_else(|_| Err(Error::io("fill staged memory")(std::io::ErrorKind::Other.into())));
            filled = filled.and(ended);
        }
        filled
    });
    progress(state.pages.size, state.pages.size);
    // A thread that has been joined is still there for a moment, and its id could be one that is wanted.
    while crate::proc::numbers(own, "task")?.len() > 1 {
        std::thread::yield_now();
    }
    filled
}

/// Moves all other threads of this process away from this one's processor. While the others are busy the kernel may put a new
/// thread behind its maker, and leave it there for milliseconds.
fn spread(own: i32, processors: &[u8]) {
    let others = sys::others(processors);
    // Where it cannot be done, they only begin later.
    for tid in crate::proc::numbers(own, "task").unwrap_or_default() {
        if tid != own {
            let _ = sys::set_affinity(tid, &others);
        }
    }
}

/// The next chunks for one of so many threads. At first 2 MiB, of which the kernel keeps account in one place, so that threads
/// do not meet there; fewer when not many are left, so that all end together.
fn take(next: &AtomicUsize, len: usize, threads: usize) -> Option<Range<usize>> {
    let run = |at: usize| ((len - at) / (2 * threads)).clamp(1, 8);
    let taken =
        next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| (at < len).then(|| at + run(at)));
    taken.ok().map(|at| at..at + run(at))
}

/// Which bytes of `pages` go where.
fn chunks(state: &State, layout: &Layout) -> Vec<Chunk> {
    let areas = state.memory.areas.iter().zip(&layout.staged);
    let pieces = areas.filter_map(|(area, staged)| Some((area, (*staged)?))).flat_map(|(area, staged)| {
        let (start, _) = extent(area, layout.longer);
        let open = area.permissions.contains('w');
        area.stored.iter().map(move |(from, count)| Piece {
            address: staged + (from.0 - start),
            len: count * PAGE,
            open,
        })
    });
    pages::cut(pieces, state.pages.chunk)
}

/// Reads a chunk to where it goes.
fn fill_directly(pages: &File, chunk: &Chunk) -> std::io::Result<Hex> {
    let ranges: Vec<(u64, usize)> = chunk.parts.iter().map(|part| (part.address, word(part.len))).collect();
    for (address, len) in &ranges {
        if *len >= WORTH_IT {
            let start = std::ptr::without_provenance_mut::<libc::c_void>(word(*address));
            // SAFETY: makes pages and changes no contents. What it cannot make, reading does, or says why not.
            let _ = unsafe { libc::madvise(start, *len, libc::MADV_POPULATE_WRITE) };
        }
    }
    // SAFETY: the ranges are staged memory that may be written, no other chunk has a part in them, and nothing refers to
    // them.
    unsafe { read_to(pages, &ranges, chunk.at) }?;
    let mut hasher = XxHash3_64::default();
    for (address, len) in ranges {
        let start = std::ptr::with_exposed_provenance::<u8>(word(address));
        // SAFETY: as above; it may be read too: x86-64 has no pages that are only written.
        hasher.write(unsafe { std::slice::from_raw_parts(start, len) });
    }
    Ok(Hex(hasher.finish()))
}

/// Writes a chunk to pages that may not be written, by anyone but a debugger: they come to be pages of their own.
fn fill_over_permissions(
    pages: &File,
    memory: &File,
    chunk: &Chunk,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Hex> {
    buffer.resize(word(chunk.len), 0);
    pages.read_exact_at(buffer, chunk.at)?;
    let mut bytes = buffer.as_slice();
    for part in &chunk.parts {
        let Some((these, others)) = bytes.split_at_checked(word(part.len)) else { break };
        memory.write_all_at(these, part.address)?;
        bytes = others;
    }
    Ok(Hex(XxHash3_64::oneshot(buffer)))
}

/// Reads from a file into memory.
///
/// # Safety
///
/// The ranges are memory that may be written and that nothing refers to.
unsafe fn read_to(file: &File, ranges: &[(u64, usize)], at: u64) -> std::io::Result<()> {
    let vectors: Vec<libc::iovec> = ranges
        .iter()
        .map(|(address, len)| libc::iovec {
            iov_base: std::ptr::with_exposed_provenance_mut(word(*address)),
            iov_len: *len,
        })
        .collect();
    let (count, offset) = (vectors.len(), i64::try_from(at).unwrap_or(i64::MAX));
    let count = libc::c_int::try_from(count).unwrap_or(libc::c_int::MAX);
    // SAFETY: the caller's promise.
    let read = unsafe { libc::preadv(file.as_raw_fd(), vectors.as_ptr(), count, offset) };
    let wanted: usize = ranges.iter().map(|(_, len)| len).sum();
    if word(sys::check(read as libc::c_long)?) == wanted {
        Ok(())
    } else {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

/// `mmap(2)`.
///
/// # Safety
///
/// What lies in the range, if the flags allow it to be replaced, is the caller's.
unsafe fn map(
    address: u64,
    len: u64,
    protection: i32,
    flags: i32,
    file: i32,
    offset: u64,
) -> std::io::Result<()> {
    let place = std::ptr::without_provenance_mut::<libc::c_void>(word(address));
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    // SAFETY: the caller's promise.
    let mapped = unsafe { libc::mmap(place, word(len), protection, flags, file, offset) };
    if mapped == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error());
    }
    // From here on the address may be made a pointer again.
    if mapped.expose_provenance() == word(address) {
        Ok(())
    } else {
        Err(std::io::ErrorKind::AddrInUse.into())
    }
}

/// `munmap(2)`.
///
/// # Safety
///
/// The range is the caller's and nothing refers to it.
unsafe fn unmap(address: u64, len: u64) -> std::io::Result<()> {
    let place = std::ptr::without_provenance_mut::<libc::c_void>(word(address));
    // SAFETY: the caller's promise.
    sys::check(libc::c_long::from(unsafe { libc::munmap(place, word(len)) })).map(drop)
}

//! Descriptors: everything of the host's closed, everything of the program's open, at the numbers that it knows.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::IntoRawFd;

use super::told;
use crate::error::Error;
use crate::inspect::is_known_device;
use crate::numbers::id;
use crate::proc;
use crate::state::{Lock, OpenFile, State};
use crate::sys::check;

/// What stays open beside the program's own: both lie above all of its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// The way to the parent.
    pub(super) report: i32,
    /// The file of the program.
    pub(super) executable: i32,
}

/// Replaces this process's descriptors by the program's.
pub(super) fn restore(state: &State, mapped: HashMap<usize, File>, report: i32) -> Result<Kept, Error> {
    // From here on they are closed by number.
    let mapped: HashMap<usize, i32> = mapped.into_iter().map(|(at, file)| (at, file.into_raw_fd())).collect();
    let above = state.descriptors.iter().map(|descriptor| descriptor.number + 1).fold(3, i32::max);
    raise_limit();
    let moved = |descriptor: i32| -> Result<i32, Error> {
        // SAFETY: takes three numbers.
        let copied =
            check(libc::c_long::from(unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, above) }));
        Ok(i32::try_from(copied.map_err(Error::io("copy a descriptor"))?).unwrap_or(-1))
    };
    let report = moved(report)?;
    told::moved(report);
    let executable = mapped.get(&state.process.executable).copied().unwrap_or(-1);
    let executable = moved(executable)?;
    // Standard streams that are closed have nothing to be inherited.
    let streams = [0, 1, 2].map(|stream| moved(stream).ok());
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let keep = [Some(report), Some(executable), streams[0], streams[1], streams[2]];
    for descriptor in proc::numbers(own, "fd")? {
        if !keep.contains(&Some(descriptor)) {
            close(descriptor);
        }
    }
    let mut opened = Vec::new();
    for file in &state.files {
        opened.push(match file {
            OpenFile::Inherited { stream } => {
                usize::try_from(*stream).ok().and_then(|at| streams.get(at).copied()).flatten()
            }
            OpenFile::Path { path, flags, position, regular, .. } => {
                let low = open(path, *flags, *position, regular.is_some())
                    .map_err(Error::io(format!("open {path}")))?;
                let high = moved(low)?;
                close(low);
                Some(high)
            }
        });
    }
    for descriptor in &state.descriptors {
        let Some(source) = opened.get(descriptor.file).copied().flatten() else { continue };
        let flags = if descriptor.close_on_exec { libc::O_CLOEXEC } else { 0 };
        // SAFETY: takes three numbers; nothing of this process's is open there.
        let copied = check(libc::c_long::from(unsafe { libc::dup3(source, descriptor.number, flags) }));
        copied.map_err(Error::io(format!("open descriptor {}", descriptor.number)))?;
    }
    opened.into_iter().chain(streams).flatten().for_each(close);
    // Last, because closing any descriptor of a file gives up the process's locks on it.
    for (at, file) in state.files.iter().enumerate() {
        let OpenFile::Path { path, locks, .. } = file else { continue };
        let Some(descriptor) = state.descriptors.iter().find(|descriptor| descriptor.file == at) else {
            continue;
        };
        for wanted in locks {
            lock(descriptor.number, wanted).map_err(Error::io(format!("lock {path} as it was")))?;
        }
    }
    Ok(Kept { report, executable })
}

/// As many descriptors as this process may have; the program's own limit is set later.
fn raise_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one structure.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: the kernel reads one structure. Where it refuses, opening says so.
        let _ = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}

fn close(descriptor: i32) {
    // SAFETY: callers name descriptors that nothing uses any more; this copy drops none of its files.
    let _ = unsafe { libc::close(descriptor) };
}

/// Opens what is a regular file, or what is a directory or one of the known devices, and nothing else: anything else might
/// wait or do something.
fn open(path: &str, flags: u32, position: u64, regular: bool) -> io::Result<i32> {
    let allowed = |metadata: &Metadata| {
        let kind = metadata.file_type();
        let fits = if regular { kind.is_file() } else { kind.is_dir() || is_known_device(metadata) };
        let words = if regular { "not a regular file" } else { "neither a directory nor a known device" };
        if fits { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, words)) }
    };
    allowed(&std::fs::metadata(path)?)?;
    let name = CString::new(path).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // Nothing is made or cut off, and no terminal becomes this process's own.
    let never = libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY);
    let flags = i32::try_from(flags & !id(never)).unwrap_or(0) | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the name ends with a zero.
    let opened = check(libc::c_long::from(unsafe { libc::open(name.as_ptr(), flags | libc::O_NONBLOCK) }))?;
    let descriptor = i32::try_from(opened).unwrap_or(-1);
    // It may have been replaced meanwhile.
    allowed(&std::fs::metadata(format!("/proc/self/fd/{descriptor}"))?)?;
    if flags & libc::O_PATH != 0 {
        return Ok(descriptor);
    }
    if flags & libc::O_NONBLOCK == 0 {
        // SAFETY: takes three numbers.
        check(libc::c_long::from(unsafe { libc::fcntl(descriptor, libc::F_SETFL, flags) }))?;
    }
    let position = i64::try_from(position).unwrap_or(i64::MAX);
    if position != 0 {
        // SAFETY: takes numbers.
        check(unsafe { libc::lseek(descriptor, position, libc::SEEK_SET) })?;
    }
    Ok(descriptor)
}

fn lock(descriptor: i32, lock: &Lock) -> io::Result<()> {
    if lock.kind == "FLOCK" {
        let kind = if lock.write { libc::LOCK_EX } else { libc::LOCK_SH };
        // SAFETY: takes two numbers.
        return check(libc::c_long::from(unsafe { libc::flock(descriptor, kind | libc::LOCK_NB) })).map(drop);
    }
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let kind = if lock.write { libc::F_WRLCK } else { libc::F_RDLCK };
    let wanted = libc::flock {
        l_type: i16::try_from(kind).unwrap_or(0),
        l_whence: 0,
        l_start: number(lock.start),
        // Up to the end of the file is a length of 0.
        l_len: lock.end.map_or(0, |end| number(end).saturating_sub(number(lock.start)).saturating_add(1)),
        l_pid: 0,
    };
    let command = if lock.kind == "OFDLCK" { libc::F_OFD_SETLK } else { libc::F_SETLK };
    // SAFETY: the kernel reads one structure.
    check(libc::c_long::from(unsafe { libc::fcntl(descriptor, command, &raw const wanted) })).map(drop)
}

//! Descriptors: regular files, directories, a few devices, and the standard streams.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::process::identity;
use crate::error::{Error, Refusal};
use crate::proc;
use crate::state::{Descriptor, Lock, OpenFile};
use crate::sys::{self, Shared};

/// Devices that are the same whenever they are opened: null, zero, full, random, urandom.
const DEVICES: [(u32, u32); 5] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9)];

/// File systems whose files only show what the kernel knows, by their magic numbers: proc, sysfs, debugfs, tracefs, cgroup,
/// cgroup2, securityfs, selinuxfs, bpf, pstore, efivarfs, `binfmt_misc`, configfs, mqueue, nsfs, fusectl, resctrl.
const SHOWN: [i64; 17] = [
    0x9fa0,
    0x6265_6572,
    0x6462_6720,
    0x7472_6163,
    0x27_e0eb,
    0x6367_7270,
    0x7363_6673,
    0xf97c_ff8c,
    0xcafe_4a11,
    0x6165_676c,
    0xde5e_81e4,
    0x4249_4e4d,
    0x6265_6570,
    0x1980_0202,
    0x6e73_6673,
    0x6573_5543,
    0x0765_5821,
];

/// Whether it is one of those.
pub(crate) fn is_known_device(metadata: &fs::Metadata) -> bool {
    let number = (libc::major(metadata.rdev()), libc::minor(metadata.rdev()));
    metadata.file_type().is_char_device() && DEVICES.contains(&number)
}

/// An open file description, and what tells it from others.
struct Known {
    number: i32,
    identity: (u64, u64),
}

pub(super) fn inspect(
    pid: i32,
    refusals: &mut Vec<Refusal>,
) -> Result<(Vec<OpenFile>, Vec<Descriptor>), Error> {
    let process = sys::open_process(pid).map_err(Error::io(format!("open process {pid}")))?;
    let (mut files, mut descriptors, mut known) = (Vec::new(), Vec::new(), Vec::<Known>::new());
    for number in proc::numbers(pid, "fd")? {
        // One that has just been closed is none.
        let Ok(target) = proc::link(pid, &format!("fd/{number}")) else { continue };
        let Ok(text) = proc::read(pid, &format!("fdinfo/{number}")) else { continue };
        let information = proc::fields(&text);
        let flags = information.get("flags").and_then(|flags| u32::from_str_radix(flags, 8).ok());
        let flags = flags.ok_or_else(|| proc::malformed(pid, &format!("fdinfo/{number}")))?;
        let close_on_exec = flags & libc::O_CLOEXEC.unsigned_abs() != 0;
        let metadata = fs::metadata(format!("/proc/{pid}/fd/{number}"));
        let identity = metadata.as_ref().map_or((0, 0), |metadata| (metadata.dev(), metadata.ino()));
        let mut shared = None;
        for (at, other) in known.iter().enumerate().filter(|(_, other)| other.identity == identity) {
            let same = sys::share(pid, pid, Shared::File, other.number, number);
            // A standard stream stays its own, so that each can be redirected when it is thawed.
            let own_stream = number <= 2 && matches!(files.get(at), Some(OpenFile::Inherited { .. }));
            if same.map_err(Error::io("compare descriptors (kcmp)"))? && !own_stream {
                shared = Some(at);
                break;
            }
        }
        if let Some(file) = shared {
            descriptors.push(Descriptor { number, file, close_on_exec });
            continue;
        }
        // A standard stream that is a file is one as any other.
        let inherited =
            number <= 2 && metadata.as_ref().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
        let found = metadata
            .map_err(|error| format!("cannot be looked at: {error}"))
            .and_then(|metadata| open_file(&target, &text, flags, &metadata))
            .and_then(|file| can_be_opened_again(file, sys::copy_descriptor(&process, number)));
        let file = match found {
            Err(_) if inherited => OpenFile::Inherited { stream: number },
            Err(reason) => {
                refusals.push(Refusal::Descriptor { number, target, reason });
                continue;
            }
            Ok(file) => file,
        };
        files.push(file);
        known.push(Known { number, identity });
        descriptors.push(Descriptor { number, file: files.len() - 1, close_on_exec });
    }
    Ok((files, descriptors))
}

/// What is opened again, or why it cannot be.
fn open_file(
    target: &str,
    information: &str,
    flags: u32,
    metadata: &fs::Metadata,
) -> Result<OpenFile, String> {
    let kind = metadata.file_type();
    if !target.starts_with('/') || !(kind.is_file() || kind.is_dir() || kind.is_char_device()) {
        return Err(format!("{} cannot be frozen", words(target)));
    }
    if kind.is_char_device() && !is_known_device(metadata) {
        return Err("this device cannot be frozen".to_owned());
    }
    if identity(target) != Some((metadata.dev(), metadata.ino())) {
        return Err("the file has been deleted, moved or replaced".to_owned());
    }
    let mut locks = Vec::new();
    for line in information.lines().filter_map(|line| line.strip_prefix("lock:")) {
        locks.push(lock(line).ok_or_else(|| format!("has a lock that cannot be taken again:{line}"))?);
    }
    if flags & libc::O_ASYNC.unsigned_abs() != 0 {
        return Err("signals its readiness (O_ASYNC)".to_owned());
    }
    let position =
        proc::fields(information).get("pos").and_then(|position| position.parse().ok()).unwrap_or(0);
    let regular = kind.is_file().then(|| proc::size_and_time(metadata));
    Ok(OpenFile::Path { path: target.to_owned(), flags, position, regular, locks })
}

/// What only shows of the open file itself.
fn can_be_opened_again(file: OpenFile, copy: io::Result<OwnedFd>) -> Result<OpenFile, String> {
    let failed = |error| format!("cannot be looked at: {error}");
    let copy = copy.map_err(failed)?;
    let regular = matches!(file, OpenFile::Path { regular: Some(_), .. });
    if regular && SHOWN.contains(&sys::file_system(&copy).map_err(failed)?) {
        return Err("the file only shows what the kernel knows".to_owned());
    }
    if sys::signals(&copy) {
        return Err("signals somebody (F_SETOWN, F_SETSIG or F_NOTIFY)".to_owned());
    }
    Ok(file)
}

/// A line like `1: POSIX  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`.
fn lock(line: &str) -> Option<Lock> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let kind = words.next().filter(|kind| ["POSIX", "FLOCK", "OFDLCK"].contains(kind))?;
    let write = match (words.next()?, words.next()?) {
        ("ADVISORY", "READ") => false,
        ("ADVISORY", "WRITE") => true,
        _ => return None,
    };
    let mut ends = words.skip(2);
    let start = ends.next()?.parse().ok()?;
    let end = match ends.next()? {
        "EOF" => None,
        end => Some(end.parse().ok()?),
    };
    Some(Lock { kind: kind.to_owned(), write, start, end })
}

/// What a descriptor that is no path is.
fn words(target: &str) -> String {
    match target.split_once(':') {
        Some(("pipe", _)) => "a pipe".to_owned(),
        Some(("socket", _)) => "a socket".to_owned(),
        Some(("anon_inode", name)) => {
            let name = name.trim_matches(['[', ']']);
            let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            format!("{article} {name} descriptor")
        }
        _ => "what is neither a regular file nor a directory".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_read_as_the_kernel_writes_them() {
        let posix = lock("\t1: POSIX  ADVISORY  WRITE 4711 fe:00:1234 1073741826 1073742335").unwrap();
        assert_eq!((posix.kind.as_str(), posix.write, posix.start), ("POSIX", true, 1_073_741_826));
        assert_eq!(posix.end, Some(1_073_742_335));
        let flock = lock("\t2: FLOCK  ADVISORY  READ 4711 fe:00:1234 0 EOF").unwrap();
        assert_eq!((flock.write, flock.end), (false, None));
        assert_eq!(lock("\t1: LEASE  ACTIVE    READ 4711 fe:00:1234 0 EOF"), None);
    }
}

//! The address space: which areas an image can hold, and what the mapped files must still be when it is thawed.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use twox_hash::XxHash3_64;

use super::process::identity;
use crate::error::{Error, Refusal};
use crate::hex::Hex;
use crate::state::{Area, KERNEL_AREAS, Kind, MappedFile};
use crate::{files, pages, proc};

/// `VmFlags` that are restored.
const RESTORED: [&str; 13] = ["dp", "nr", "dd", "hg", "nh", "mg", "wf", "dc", "lo", "lf", "gd", "sr", "rr"];
/// `VmFlags` that follow from the rest or mean nothing for what a program sees.
const IMPLIED: [&str; 12] = ["rd", "wr", "ex", "sh", "mr", "mw", "me", "ms", "ac", "sd", "de", "ar"];
/// `VmFlags` that are refused, in words.
const REFUSED: [(&str, &str); 10] = [
    ("io", "a device is mapped there"),
    ("pf", "a device is mapped there"),
    ("mm", "a device is mapped there"),
    ("ht", "huge pages of hugetlbfs"),
    ("um", "watched by userfaultfd"),
    ("uw", "watched by userfaultfd"),
    ("ui", "watched by userfaultfd"),
    ("ss", "a shadow stack"),
    ("sl", "sealed (mseal)"),
    ("gu", GUARDED),
];
const GUARDED: &str = "has guard pages (MADV_GUARD_INSTALL)";
/// The end of user addresses with four-level page tables.
const END: u64 = 0x7fff_ffff_f000;
/// Files above this many bytes are told by size and time alone.
const LARGE: u64 = 256 << 20;

/// Checksums of mapped files, kept from the first look to the second.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints(HashMap<(String, [i64; 3]), Hex>);

impl Fingerprints {
    /// The checksum of a whole file, as it is now.
    pub(crate) fn of(&mut self, path: &str, metadata: &fs::Metadata) -> std::io::Result<Hex> {
        let key = (path.to_owned(), proc::size_and_time(metadata));
        if let Some(known) = self.0.get(&key) {
            return Ok(*known);
        }
        let mut file = files::regular(path, false)?;
        let mut hasher = XxHash3_64::default();
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                len => std::hash::Hasher::write(&mut hasher, buffer.get(..len).unwrap_or_default()),
            }
        }
        let sum = Hex(std::hash::Hasher::finish(&hasher));
        self.0.insert(key, sum);
        Ok(sum)
    }
}

/// Whether a file of this size is told by its contents.
pub(crate) fn is_read(size: u64, writable: bool) -> bool {
    size <= LARGE && !writable
}

/// The mapped files, each once.
struct Mapped<'a> {
    files: Vec<MappedFile>,
    known: HashMap<String, usize>,
    fingerprints: &'a mut Fingerprints,
}

impl Mapped<'_> {
    fn index(&mut self, path: &str, writable: bool) -> Result<usize, Error> {
        let at = match self.known.get(path) {
            Some(at) => *at,
            None => {
                let metadata = fs::metadata(path).map_err(Error::io(format!("look at {path}")))?;
                let [size, seconds, nanoseconds] = proc::size_and_time(&metadata);
                self.files.push(MappedFile {
                    path: path.to_owned(),
                    size: size.unsigned_abs(),
                    modified: [seconds, nanoseconds],
                    checksum: None,
                    writable: false,
                });
                self.known.insert(path.to_owned(), self.files.len() - 1);
                self.files.len() - 1
            }
        };
        if let Some(file) = self.files.get_mut(at) {
            file.writable |= writable;
        }
        Ok(at)
    }

    /// Reads those that are told by their contents.
    fn read(&mut self) -> Result<(), Error> {
        for file in &mut self.files {
            if is_read(file.size, file.writable) {
                let what = || format!("read {}", file.path);
                let metadata =
                    fs::metadata(&file.path).map_err(|source| Error::Io { what: what(), source })?;
                let sum = self.fingerprints.of(&file.path, &metadata);
                file.checksum = Some(sum.map_err(|source| Error::Io { what: what(), source })?);
            }
        }
        Ok(())
    }
}

/// Areas, mapped files and which of them is the program.
pub(super) fn inspect(
    pid: i32,
    fingerprints: &mut Fingerprints,
    refusals: &mut Vec<Refusal>,
) -> Result<(Vec<Area>, Vec<MappedFile>, usize), Error> {
    let mut mapped = Mapped { files: Vec::new(), known: HashMap::new(), fingerprints };
    let program = proc::link(pid, "exe")?;
    let executable = if identity(&program) == identity(&format!("/proc/{pid}/exe")) {
        mapped.index(&program, false)?
    } else {
        super::refuse(refusals, format!("runs a file that has been deleted or replaced: {program}"));
        0
    };
    let mut areas = Vec::new();
    let path = format!("/proc/{pid}/pagemap");
    let pagemap = File::open(&path).map_err(Error::io(format!("open {path}")))?;
    let found = proc::areas(pid)?;
    if let Some(reason) = too_many(found.len())? {
        super::refuse(refusals, reason);
    }
    for area in found {
        let kind = match kind(pid, &area, &mut mapped)? {
            Ok(Kind::Kernel(name)) => Ok(Kind::Kernel(name)),
            Ok(_) if pages::guarded(&pagemap, area.start, area.end) => Err(GUARDED.to_owned()),
            other => other,
        };
        match kind {
            Ok(kind) => areas.push(Area {
                start: Hex(area.start),
                end: Hex(area.end),
                permissions: area.permissions.get(..3).unwrap_or_default().to_owned(),
                flags: match kind {
                    Kind::Kernel(_) => Vec::new(),
                    _ => {
                        area.flags.iter().filter(|flag| RESTORED.contains(&flag.as_str())).cloned().collect()
                    }
                },
                kind,
                stored: Vec::new(),
            }),
            Err(reason) => refusals.push(Refusal::Area { area: area.line(), reason }),
        }
    }
    mapped.read()?;
    Ok((areas, mapped.files, executable))
}

/// Whether there are more areas than a thaw can stage: between two of them lies a third, which keeps their place.
fn too_many(count: usize) -> Result<Option<String>, Error> {
    /// More than the thawing process has itself.
    const OTHERS: usize = 500;
    let path = "/proc/sys/vm/max_map_count";
    let limit = fs::read_to_string(path).map_err(Error::io(format!("read {path}")))?;
    let limit: usize = limit.trim().parse().unwrap_or(usize::MAX);
    let needed = 2 * count + OTHERS;
    Ok((needed > limit)
        .then(|| format!("has {count} areas: thawing takes {needed}, and vm.max_map_count is {limit}")))
}

/// What an area is, or why it cannot be held.
fn kind(pid: i32, area: &proc::Area, mapped: &mut Mapped<'_>) -> Result<Result<Kind, String>, Error> {
    if KERNEL_AREAS.contains(&area.name.as_str()) {
        return Ok(Ok(Kind::Kernel(area.name.clone())));
    }
    if let Some((_, words)) = REFUSED.iter().find(|(flag, _)| area.has(flag)) {
        return Ok(Err((*words).to_owned()));
    }
    if let Some(flag) =
        area.flags.iter().find(|flag| !RESTORED.contains(&flag.as_str()) && !IMPLIED.contains(&flag.as_str()))
    {
        return Ok(Err(format!("has the property `{flag}`, which this version does not know")));
    }
    if area.protection_key != 0 {
        return Ok(Err(format!("has the protection key {}", area.protection_key)));
    }
    if area.end > END {
        return Ok(Err("lies beyond the addresses that every machine has".to_owned()));
    }
    let memory = area.inode == 0 && !area.name.starts_with('/');
    let named = area.name.starts_with('[') && !area.name.starts_with("[anon:");
    Ok(match area.name.as_str() {
        _ if memory && area.shared() => Err("shared memory".to_owned()),
        "[stack]" if memory => Ok(Kind::Stack),
        "[heap]" if memory => Ok(Kind::Anonymous),
        _ if memory && !named => Ok(Kind::Anonymous),
        _ if memory => Err("is none that this version knows".to_owned()),
        name if ["/memfd:", "/SYSV", "/dev/zero", "/dev/shm/", "/[aio]"]
            .iter()
            .any(|it| name.starts_with(it)) =>
        {
            Err("shared memory".to_owned())
        }
        name if name.ends_with(" (deleted)") => Err("the file has been deleted".to_owned()),
        name => match is_that_file(pid, area) {
            Err(reason) => Err(reason),
            Ok(()) => {
                let shared = area.shared();
                let file = mapped.index(name, shared && area.has("mw"))?;
                Ok(Kind::File { file, offset: Hex(area.offset), shared })
            }
        },
    })
}

/// Whether the path of an area still leads to what is mapped.
fn is_that_file(pid: i32, area: &proc::Area) -> Result<(), String> {
    let Ok(metadata) = fs::metadata(&area.name) else { return Err("the file is no longer there".to_owned()) };
    if !metadata.is_file() {
        return Err("not a regular file".to_owned());
    }
    let device = |device: libc::dev_t| format!("{:02x}:{:02x}", libc::major(device), libc::minor(device));
    if metadata.ino() == area.inode && device(metadata.dev()) == area.device {
        return Ok(());
    }
    // Some file systems show another device there; the link says it, to those who may follow it.
    let link = format!("/proc/{pid}/map_files/{:x}-{:x}", area.start, area.end);
    match fs::metadata(link) {
        Ok(linked) if (linked.dev(), linked.ino()) == (metadata.dev(), metadata.ino()) => Ok(()),
        _ => Err("another file is there now".to_owned()),
    }
}

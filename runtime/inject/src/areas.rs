//! The areas of a process's memory: all of them, or what one place of it is.
//!
//! All are looked at while the process runs. It may map more until it is stopped, and its stack may grow, so that what must
//! hold then is asked again: one place at a time, which takes the kernel a microsecond and not a hundred.
//!
//! A process may have as many areas as it likes, each with a name of thousands of bytes that takes the kernel long to write.
//! So no name is asked for but where it decides something, and everything has a bound.

mod text;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::Range;

use crate::Error;
use crate::proc::{self, StatusFile, failed};
use crate::sys;
use crate::sys::maps::{self, Found};

/// How many areas are looked at: sixteen times what a process may have unless its administrator wants otherwise
/// (`vm.max_map_count`).
const MOST: usize = 1 << 20;
/// How many different files are asked for their names. A program's own C library is among the first.
const MOST_FILES: usize = 1024;

/// What is mapped in an area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The stack of the first thread.
    Stack,
    /// A file.
    File {
        /// Whether it looks like a C library or a loader by its name; known where that of a blob is.
        libc: bool,
    },
    /// A blob that somebody has mapped, by its name; known of what may be executed, or written and not shared.
    Blob,
    /// Everything else.
    Other,
}

/// An area. The page `[vsyscall]`, which is the same in every process and no part of its memory, is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) range: Range<u64>,
    pub(crate) executable: bool,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) shared: bool,
    /// Where in its file it begins.
    pub(crate) offset: u64,
    /// Major and minor number of the file's device, and the file's inode; zeros where there is no file.
    pub(crate) device: [u32; 2],
    pub(crate) inode: u64,
    pub(crate) kind: Kind,
}

impl Area {
    fn new(found: Found, kind: Kind) -> Self {
        let Found { range, readable, writable, executable, shared, offset, device, inode } = found;
        Self { range, executable, readable, writable, shared, offset, device, inode, kind }
    }

    /// A private one without a file that may be read and written.
    #[cfg(test)]
    pub(crate) fn anonymous(range: Range<u64>) -> Self {
        let (device, inode, kind) = ([0, 0], 0, Kind::Other);
        let (executable, readable, writable, shared) = (false, true, true, false);
        Self { range, executable, readable, writable, shared, offset: 0, device, inode, kind }
    }

    /// A mapped file: its name is a path.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File { .. })
    }

    /// A C library or a loader, by its name.
    pub(crate) fn is_libc(&self) -> bool {
        self.kind == Kind::File { libc: true }
    }

    /// A blob that somebody has mapped.
    pub(crate) fn is_blob(&self) -> bool {
        self.kind == Kind::Blob
    }

    /// The stack of the first thread.
    pub(crate) fn is_stack(&self) -> bool {
        self.kind == Kind::Stack
    }
}

impl std::fmt::Display for Area {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letter = |set, letter| if set { letter } else { '-' };
        let (r, w, x) =
            (letter(self.readable, 'r'), letter(self.writable, 'w'), letter(self.executable, 'x'));
        let shared = if self.shared { 's' } else { 'p' };
        write!(f, "{:x}-{:x} {r}{w}{x}{shared}", self.range.start, self.range.end)
    }
}

/// The areas of a process, sorted by address.
pub(crate) fn areas(tid: i32) -> Result<Vec<Area>, Error> {
    let all = MapsFile::open(tid)?.all();
    match all {
        // Of a program that has just been replaced, or of a process that is ending.
        Err(Error::Changed { pid })
            if StatusFile::open(tid)
                .and_then(|file| file.read(tid))
                .is_ok_and(|status| status.has_ended()) =>
        {
            Err(Error::NoSuchProcess { pid })
        }
        all => all,
    }
}

/// `/proc/PID/maps`, kept open to be asked about single places.
#[derive(Debug)]
pub(crate) struct MapsFile {
    tid: i32,
    path: String,
    file: File,
}

impl MapsFile {
    /// Of the process that the thread `tid` belongs to.
    pub(crate) fn open(tid: i32) -> Result<Self, Error> {
        let path = format!("/proc/{tid}/maps");
        sys::count();
        let file = File::open(&path).map_err(|source| failed(&path, tid, source))?;
        Ok(Self { tid, path, file })
    }

    /// All areas, as they are now.
    ///
    /// # Errors
    ///
    /// [`Error::TooMuch`], and those of [`is_free`](Self::is_free).
    pub(crate) fn all(&self) -> Result<Vec<Area>, Error> {
        let stack = self.stack();
        let mut areas: Vec<Area> = Vec::new();
        let mut files = HashMap::new();
        let mut place = 0;
        loop {
            let found = match maps::next(&self.file, place) {
                // A kernel before 6.11 can only list them all.
                Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => return self.all_in_text(),
                found => found.map_err(|source| self.failed(source))?,
            };
            let Some(found) = found.filter(|found| found.range.end > place) else { return Ok(areas) };
            place = found.range.end;
            let has_file = (found.device, found.inode) != ([0, 0], 0);
            let names_decide = found.executable || found.writable && !found.shared;
            let kind = match (has_file, names_decide) {
                (false, _) if stack.is_some_and(|at| found.range.start <= at && at <= found.range.end) => {
                    Kind::Stack
                }
                // Short, and at hand.
                (false, true) => self.kind_by_its_name(&found),
                (false, false) => Kind::Other,
                (true, true) => self.kind_of_file(&found, &mut files),
                (true, false) => Kind::File { libc: false },
            };
            push(&mut areas, Area::new(found, kind), self.tid)?;
        }
    }

    fn all_in_text(&self) -> Result<Vec<Area>, Error> {
        let mut areas = Vec::new();
        text::each(&self.path, self.tid, |area| push(&mut areas, area, self.tid).map(|()| true))?;
        Ok(areas)
    }

    /// Where the main stack began: what the kernel itself tells it by.
    fn stack(&self) -> Option<u64> {
        proc::stat_field(self.tid, 28).filter(|at| *at != 0)
    }

    /// What an area of a file is: asked once for each file.
    fn kind_of_file(&self, found: &Found, files: &mut HashMap<([u32; 2], u64), Kind>) -> Kind {
        let file = (found.device, found.inode);
        if let Some(kind) = files.get(&file) {
            return *kind;
        }
        if files.len() >= MOST_FILES {
            return Kind::File { libc: false };
        }
        let kind = self.kind_by_its_name(found);
        files.insert(file, kind);
        kind
    }

    fn kind_by_its_name(&self, found: &Found) -> Kind {
        match maps::name(&self.file, found.range.start) {
            Ok(name) => kind_by_name(&name),
            // Too long a name is not that of a library. What has been unmapped since is nothing.
            Err(_) if found.inode != 0 => Kind::File { libc: false },
            Err(_) => Kind::Other,
        }
    }

    /// The names of the first areas, by their addresses: for messages, and as many as somebody reads.
    pub(crate) fn names(&self, areas: &[Area]) -> BTreeMap<u64, String> {
        const MOST_NAMES: usize = 256;
        let named = areas.iter().take(MOST_NAMES).filter_map(|area| {
            let name = maps::name(&self.file, area.range.start).ok()?;
            Some((area.range.start, String::from_utf8_lossy(&name).into_owned()))
        });
        named.filter(|(_, name)| !name.is_empty()).collect()
    }

    /// Whether nothing is mapped in a range.
    ///
    /// # Errors
    ///
    /// [`Error::Changed`] when the program is no longer the one that it was.
    pub(crate) fn is_free(&self, range: &Range<u64>) -> Result<bool, Error> {
        Ok(self.at_or_above(range.start)?.is_none_or(|next| next.range.start >= range.end))
    }

    /// The area that a place lies in, and whether it may be written.
    pub(crate) fn area(&self, place: u64) -> Result<Option<Found>, Error> {
        Ok(self.at_or_above(place)?.filter(|next| next.range.contains(&place)))
    }

    /// The area that a place lies in, else the next one above it.
    pub(crate) fn at_or_above(&self, place: u64) -> Result<Option<Found>, Error> {
        match maps::next(&self.file, place) {
            Ok(found) => Ok(found),
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => self.next_in_text(place),
            Err(source) => Err(self.failed(source)),
        }
    }

    fn next_in_text(&self, place: u64) -> Result<Option<Found>, Error> {
        let mut next = None;
        text::each(&self.path, self.tid, |area| {
            let goes_on = area.range.end <= place;
            if !goes_on {
                let Area { range, readable, writable, executable, shared, offset, device, inode, .. } = area;
                next = Some(Found { range, readable, writable, executable, shared, offset, device, inode });
            }
            Ok(goes_on)
        })?;
        Ok(next)
    }

    fn failed(&self, source: std::io::Error) -> Error {
        match source.raw_os_error() {
            Some(libc::ESRCH) => Error::Changed { pid: self.tid },
            _ => failed(&self.path, self.tid, source),
        }
    }
}

fn push(areas: &mut Vec<Area>, area: Area, pid: i32) -> Result<(), Error> {
    if areas.len() >= MOST {
        return Err(Error::TooMuch { pid, what: "areas of memory", limit: MOST as u64 });
    }
    areas.push(area);
    Ok(())
}

fn kind_by_name(name: &[u8]) -> Kind {
    let has = |part: &[u8]| name.windows(part.len()).any(|window| window == part);
    match name.first() {
        _ if name == b"[anon:pie_blob]" || name.starts_with(b"/memfd:pie_blob") => Kind::Blob,
        Some(b'/') => Kind::File { libc: has(b"/libc.so") || has(b"/libc-") || has(b"/ld-") },
        // What a driver has mapped.
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_find_the_same() {
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(other.id()).unwrap();
        proc::wait_until_loaded(pid, 1, std::time::Duration::from_secs(5)).unwrap();
        // Until its libraries are mapped: nothing changes any more.
        while !std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap().starts_with("230 ") {
            std::thread::yield_now();
        }
        let maps = MapsFile::open(pid).unwrap();
        let (asked, mut read) = (maps.all().unwrap(), maps.all_in_text().unwrap());
        // Of what is neither code nor data nobody asks whether it is a library.
        let is_asked = |area: &Area| area.executable || area.writable && !area.shared;
        for area in read.iter_mut().filter(|area| area.is_libc() && !is_asked(area)) {
            area.kind = Kind::File { libc: false };
        }
        assert_eq!(asked, read);
        assert_eq!(asked.iter().filter(|area| area.is_stack()).count(), 1);
        assert!(asked.iter().any(|area| area.is_libc() && area.executable));
        assert!(asked.iter().all(|area| area.range.start < 1 << 63));
        let names = maps.names(&asked);
        let stack = asked.iter().find(|area| area.is_stack()).unwrap();
        assert_eq!(names.get(&stack.range.start).map(String::as_str), Some("[stack]"));
        for area in &asked {
            let (asked, read) = (maps.at_or_above(area.range.start), maps.next_in_text(area.range.start));
            assert_eq!(asked.unwrap(), read.unwrap());
        }
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_place_is_what_the_list_says() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let maps = MapsFile::open(pid).unwrap();
        let stack = areas(pid).unwrap().into_iter().find(Area::is_stack).unwrap();
        let found = maps.area(stack.range.end - 1).unwrap().unwrap();
        assert_eq!((found.range.end, found.writable), (stack.range.end, true));
        assert!(!maps.is_free(&(stack.range.end - 1..stack.range.end)).unwrap());
        assert!(maps.is_free(&(0..0x1000)).unwrap());
        assert!(maps.area(0).unwrap().is_none());
        // Of a program that is no longer.
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let maps = MapsFile::open(i32::try_from(other.id()).unwrap()).unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(matches!(maps.is_free(&(0x1000..0x2000)), Err(Error::Changed { .. })));
        assert!(matches!(maps.all(), Err(Error::Changed { .. })));
    }

    #[test]
    fn there_is_a_most() {
        let mut areas = vec![Area::anonymous(0..1); MOST - 1];
        push(&mut areas, Area::anonymous(0..1), 1).unwrap();
        let error = push(&mut areas, Area::anonymous(0..1), 1).unwrap_err();
        assert!(matches!(error, Error::TooMuch { limit: 0x10_0000, .. }), "{error}");
        assert!(size_of::<Area>() <= 64);
    }
}

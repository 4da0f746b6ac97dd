//! The areas of a process's memory: all of them, or what one place of it is.
//!
//! All are looked at while the process runs. It may map more until it is stopped, and its stack may grow, so that what must
//! hold then is asked again: one place at a time, which takes the kernel a microsecond and not a hundred.

use std::fs::File;
use std::ops::Range;

use crate::Error;
use crate::proc::{failed, malformed, read};
use crate::sys;
use crate::sys::maps::{self, Found};

/// One line of `/proc/PID/maps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) range: Range<u64>,
    pub(crate) executable: bool,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) name: String,
}

impl Area {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let permissions = fields.next()?.as_bytes();
        // The name is everything behind the inode, spaces included.
        let name = fields.nth(3).and_then(|first| Some(&line[line.find(first)?..])).unwrap_or_default();
        Some(Self {
            range: u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?,
            readable: permissions.first() == Some(&b'r'),
            writable: permissions.get(1) == Some(&b'w'),
            executable: permissions.get(2) == Some(&b'x'),
            name: name.trim_end().to_owned(),
        })
    }

    /// A blob that somebody has mapped, by its name.
    pub(crate) fn is_blob(&self) -> bool {
        self.name == "[anon:pie_blob]" || self.name.starts_with("/memfd:pie_blob")
    }

    /// A mapped file: its name is a path.
    pub(crate) fn is_file(&self) -> bool {
        self.name.starts_with('/')
    }
}

impl std::fmt::Display for Area {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letter = |set, letter| if set { letter } else { '-' };
        let (r, w, x) =
            (letter(self.readable, 'r'), letter(self.writable, 'w'), letter(self.executable, 'x'));
        write!(f, "{:x}-{:x} {r}{w}{x} {}", self.range.start, self.range.end, self.name)
    }
}

/// The areas of a process, sorted by address.
pub(crate) fn areas(pid: i32) -> Result<Vec<Area>, Error> {
    let path = format!("/proc/{pid}/maps");
    let text = read(&path, pid)?;
    let text = String::from_utf8_lossy(&text);
    let areas: Option<Vec<Area>> = text.lines().map(Area::parse).collect();
    areas.ok_or_else(|| malformed(path))
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
    pub(crate) fn all(&self) -> Result<Vec<Area>, Error> {
        areas(self.tid)
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
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Err(Error::Changed { pid: self.tid }),
            // A kernel before 6.11 can only list them all.
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => {
                let next = areas(self.tid)?.into_iter().find(|area| area.range.end > place);
                Ok(next.map(|area| Found { range: area.range, writable: area.writable }))
            }
            Err(source) => Err(failed(&self.path, self.tid, source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_keep_names_with_spaces() {
        let area = Area::parse("7f00-7f10 r-xp 00001000 fe:00 325843     /tmp/a b (deleted)").unwrap();
        assert_eq!(area.range, 0x7f00..0x7f10);
        assert!(area.readable && area.executable && !area.writable);
        assert_eq!(area.name, "/tmp/a b (deleted)");
        let anonymous = Area::parse("7f00-7f10 rw-p 00000000 00:00 0 ").unwrap();
        assert_eq!(anonymous.name, "");
        assert!(anonymous.writable && !anonymous.is_file());
        assert!(Area::parse("nonsense").is_none());
    }

    #[test]
    fn a_place_is_what_the_list_says() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let maps = MapsFile::open(pid).unwrap();
        let stack = areas(pid).unwrap().into_iter().find(|area| area.name == "[stack]").unwrap();
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
    }
}

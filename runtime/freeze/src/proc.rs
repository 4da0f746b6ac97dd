//! What `/proc` says of a process.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;

use crate::error::Error;

/// Reads a file of a process's.
pub(crate) fn read(pid: i32, file: &str) -> Result<String, Error> {
    String::from_utf8(bytes(pid, file)?).map_err(|_| malformed(pid, file))
}

/// Reads a file of a process's that is no text.
pub(crate) fn bytes(pid: i32, file: &str) -> Result<Vec<u8>, Error> {
    let path = format!("/proc/{pid}/{file}");
    whole(&path).map_err(Error::io(format!("read {path}")))
}

/// Reads a file that has no size, as those of `/proc`: a reader that goes by the size asks for a few bytes at first.
fn whole(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(16 * 1024);
    fs::File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where a link of a process's leads.
pub(crate) fn link(pid: i32, file: &str) -> Result<String, Error> {
    let path = format!("/proc/{pid}/{file}");
    let target = fs::read_link(&path).map_err(Error::io(format!("read {path}")))?;
    target.into_os_string().into_string().map_err(|_| malformed(pid, file))
}

/// A file that is not what this crate understands.
pub(crate) fn malformed(pid: i32, file: &str) -> Error {
    let source = io::Error::new(io::ErrorKind::InvalidData, "not what this version of the crate understands");
    Error::Io { what: format!("read /proc/{pid}/{file}"), source }
}

/// The numbers in the names of a folder of a process's: `task` or `fd`.
pub(crate) fn numbers(pid: i32, folder: &str) -> Result<Vec<i32>, Error> {
    let path = format!("/proc/{pid}/{folder}");
    let entries = fs::read_dir(&path).map_err(Error::io(format!("read {path}")))?;
    let mut numbers: Vec<i32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The id of the process that a thread belongs to; of what is not there, the id itself.
pub(crate) fn process_of(tid: i32) -> i32 {
    let status = read(tid, "status").unwrap_or_default();
    fields(&status).get("Tgid").and_then(|id| id.parse().ok()).unwrap_or(tid)
}

/// Lines of the form `name: value`.
pub(crate) fn fields(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim())).collect()
}

/// The fields of `/proc/PID/stat` by their numbers in proc(5); the first two are left out.
pub(crate) struct Stat(Vec<String>);

impl Stat {
    pub(crate) fn of(pid: i32) -> Result<Self, Error> {
        let text = read(pid, "stat")?;
        // The name in parentheses may hold anything.
        let (_, fields) = text.rsplit_once(')').ok_or_else(|| malformed(pid, "stat"))?;
        Ok(Self(fields.split_ascii_whitespace().map(str::to_owned).collect()))
    }

    pub(crate) fn text(&self, number: usize) -> &str {
        number.checked_sub(3).and_then(|at| self.0.get(at)).map_or("", String::as_str)
    }

    pub(crate) fn number(&self, number: usize) -> u64 {
        self.text(number).parse().unwrap_or(0)
    }
}

/// One area of `/proc/PID/maps`, and what only `/proc/PID/smaps` has: its flags and its protection key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// `rwxp` or `rwxs`.
    pub(crate) permissions: String,
    pub(crate) offset: u64,
    /// `major:minor` of the device.
    pub(crate) device: String,
    pub(crate) inode: u64,
    pub(crate) name: String,
    pub(crate) flags: Vec<String>,
    pub(crate) protection_key: u32,
}

impl Area {
    pub(crate) fn line(&self) -> String {
        let Self { start, end, permissions, name, .. } = self;
        format!("{start:x}-{end:x} {permissions} {name}").trim_end().to_owned()
    }

    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|has| has == flag)
    }

    pub(crate) fn shared(&self) -> bool {
        self.permissions.ends_with('s')
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
        let (start, end) = (number(start)?, number(end)?);
        let permissions = fields.next()?.to_owned();
        let (offset, device, inode) = (number(fields.next()?)?, fields.next()?, fields.next()?);
        // The name is everything behind the inode, spaces included; octal escapes stand for line ends.
        let name = match fields.next() {
            Some(first) => line.get(first.as_ptr().addr() - line.as_ptr().addr()..)?.trim_end(),
            None => "",
        };
        Some(Self {
            start,
            end,
            permissions,
            offset,
            device: device.to_owned(),
            inode: inode.parse().ok()?,
            name: name.to_owned(),
            flags: Vec::new(),
            protection_key: 0,
        })
    }
}

/// The areas of a process with their flags, sorted by address, without `[vsyscall]`, which lies beyond all others. The
/// kernel looks at every page for this.
pub(crate) fn areas(pid: i32) -> Result<Vec<Area>, Error> {
    parse_areas(&read(pid, "smaps")?).ok_or_else(|| malformed(pid, "smaps"))
}

/// The areas of this process, without their flags.
pub(crate) fn own_areas() -> Result<Vec<Area>, Error> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    parse_areas(&read(own, "maps")?).ok_or_else(|| malformed(own, "maps"))
}

fn parse_areas(text: &str) -> Option<Vec<Area>> {
    let mut areas: Vec<Area> = Vec::new();
    for line in text.lines() {
        let first = line.split_ascii_whitespace().next()?;
        match first.strip_suffix(':') {
            None => areas.push(Area::parse(line)?),
            Some("VmFlags") => {
                areas.last_mut()?.flags = line.split_ascii_whitespace().skip(1).map(str::to_owned).collect();
            }
            Some("ProtectionKey") => {
                areas.last_mut()?.protection_key = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
            }
            Some(_) => {}
        }
    }
    areas.retain(|area| area.name != "[vsyscall]");
    Some(areas)
}

/// Size and time of modification: bytes, seconds, nanoseconds.
pub(crate) fn size_and_time(metadata: &fs::Metadata) -> [i64; 3] {
    [i64::try_from(metadata.size()).unwrap_or(i64::MAX), metadata.mtime(), metadata.mtime_nsec()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_those_of_maps() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let text = "7f00-7f10 r-xp 00001000 fe:00 325843     /tmp/a b (deleted)\nSize: 4 kB\nProtectionKey: 3\n\
                    VmFlags: rd ex mr mw me \n8f00-9f00 rw-p 00000000 00:00 0 \nVmFlags: rd wr\n";
        let areas = parse_areas(text).unwrap();
        assert_eq!(areas.len(), 2);
        assert_eq!(
            (areas[0].start, areas[0].end, areas[0].offset, areas[0].inode),
            (0x7f00, 0x7f10, 0x1000, 325_843)
        );
        assert_eq!((areas[0].name.as_str(), areas[0].protection_key), ("/tmp/a b (deleted)", 3));
        assert!(areas[0].has("mw") && !areas[1].has("mw"));
        assert_eq!(areas[1].line(), "8f00-9f00 rw-p");
        assert!(parse_areas("nonsense").is_none());
        assert!(super::areas(pid).unwrap().iter().any(|area| area.name == "[stack]" && area.has("gd")));
    }

    #[test]
    fn fields_of_stat_have_their_numbers() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let stat = Stat::of(pid).unwrap();
        let status = read(pid, "status").unwrap();
        assert_eq!(stat.text(4), fields(&status)["PPid"]);
        assert!(stat.number(28) > 0x7000_0000_0000, "the stack lies high");
    }
}

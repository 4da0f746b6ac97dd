//! The text of `/proc/PID/maps`, line by line: what a kernel before 6.11 has. Nothing of a line is kept.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use super::{Area, Kind, kind_by_name};
use crate::Error;
use crate::proc::{failed, malformed};
use crate::sys;

/// How much of it is read: a line for each of a million areas, or long paths for tens of thousands.
const MOST: u64 = 128 << 20;

/// Reads a list and hands each area to `visit`, which says whether to go on.
pub(super) fn each(
    path: &str,
    pid: i32,
    visit: impl FnMut(Area) -> Result<bool, Error>,
) -> Result<(), Error> {
    // Open and close; the reads are counted below.
    (0..2).for_each(|_| sys::count());
    let file = File::open(path).map_err(|source| failed(path, pid, source))?;
    each_of(file, path, pid, MOST, visit)
}

fn each_of(
    text: impl Read,
    path: &str,
    pid: i32,
    most: u64,
    mut visit: impl FnMut(Area) -> Result<bool, Error>,
) -> Result<(), Error> {
    let mut text = BufReader::with_capacity(64 * 1024, text.take(most));
    let mut line = Vec::new();
    let mut read = 0_u64;
    loop {
        line.clear();
        let len = text.read_until(b'\n', &mut line).map_err(|source| failed(path, pid, source))?;
        sys::count();
        if len == 0 {
            return Ok(());
        }
        read += len as u64;
        if read >= most {
            return Err(Error::TooMuch { pid, what: "bytes of /proc/PID/maps", limit: most });
        }
        let area = parse(&line).ok_or_else(|| malformed(path.to_owned()))?;
        // The page `[vsyscall]` lies among the kernel's addresses.
        if area.range.start < 1 << 63 && !visit(area)? {
            return Ok(());
        }
    }
}

/// An area from its line.
fn parse(line: &[u8]) -> Option<Area> {
    // Six fields, the last of which is the name, spaces included: only that may be no text.
    let end = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
    let mut rest = line.get(..end)?;
    let mut field = || {
        let start = rest.iter().position(|byte| *byte != b' ')?;
        let len = rest.get(start..)?.iter().position(|byte| *byte == b' ').unwrap_or(rest.len() - start);
        let field = std::str::from_utf8(rest.get(start..start + len)?).ok()?;
        rest = rest.get(start + len..)?;
        Some(field)
    };
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, bound) = field()?.split_once('-')?;
    let permissions = field()?.as_bytes();
    let offset = hex(field()?)?;
    let (major, minor) = field()?.split_once(':')?;
    let inode = field()?.parse().ok()?;
    let device = [u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?];
    let name = rest.trim_ascii();
    let kind = match name {
        b"[stack]" => Kind::Stack,
        name => kind_by_name(name),
    };
    let has = |at, letter| permissions.get(at) == Some(&letter);
    Some(Area {
        range: hex(start)?..hex(bound)?,
        readable: has(0, b'r'),
        writable: has(1, b'w'),
        executable: has(2, b'x'),
        shared: has(3, b's'),
        offset,
        device,
        inode,
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let area = |line: &str| parse(line.as_bytes()).unwrap();
        let file = area("7f00-7f10 r-xp 00001000 fe:1a 325843     /tmp/a b (deleted)\n");
        assert_eq!((file.range.clone(), file.offset), (0x7f00..0x7f10, 0x1000));
        assert_eq!((file.device, file.inode), ([0xfe, 0x1a], 325_843));
        assert!(file.readable && file.executable && !file.writable && !file.shared && file.is_file());
        assert!(!file.is_libc());
        let anonymous = area("7f00-7f10 rw-s 00000000 00:00 0 \n");
        assert!(anonymous.writable && anonymous.shared && anonymous.kind == Kind::Other);
        assert!(area("7f00-7f10 rw-p 00000000 00:00 0                          [stack]").is_stack());
        assert!(area("7f00-7f10 r-xp 0 fe:00 7 /usr/lib/x86_64-linux-gnu/libc.so.6").is_libc());
        assert!(area("7f00-7f10 r-xp 0 fe:00 7 /lib/ld-musl-x86_64.so.1").is_libc());
        assert!(!area("7f00-7f10 rw-s 0 00:0f 7 anon_inode:[io_uring]").is_file());
        for nonsense in ["nonsense", "", "7f00-7f10", "7f00-7f10 r-xp 0 fe:00", "7f00-x r-xp 0 fe:00 7 /a"] {
            assert_eq!(parse(nonsense.as_bytes()), None, "{nonsense}");
        }
        assert!(area("7f00-7f10 rw-p 00000000 00:00 0          [anon:pie_blob]\n").is_blob());
        let named = area("7f00-7f10 rw-p 00000000 00:01 7      /memfd:pie_blob (deleted)\n");
        assert!(named.is_blob() && !named.is_file());
        // A name of any bytes.
        assert!(parse(b"7f00-7f10 r-xp 0 fe:00 7 /\xff\n").unwrap().is_file());
    }

    #[test]
    fn there_is_a_most() {
        let line = "7f00-7f10 rw-p 00000000 00:00 0 \n".repeat(100);
        let mut count = 0;
        let mut visit = |_| {
            count += 1;
            Ok(true)
        };
        let bytes = line.len() as u64;
        each_of(line.as_bytes(), "", 1, bytes + 1, &mut visit).unwrap();
        let error = each_of(line.as_bytes(), "", 1, bytes / 2, &mut visit).unwrap_err();
        assert!(matches!(error, Error::TooMuch { pid: 1, .. }), "{error}");
        assert_eq!(count, 149);
        let page = b"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";
        each_of(&page[..], "", 1, bytes, |_| unreachable!()).unwrap();
    }
}

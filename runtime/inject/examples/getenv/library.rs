//! Where a function of another process's C library lies: looked up in the very file that the process has mapped.
#![allow(unreachable_pub, reason = "a module of the example and of the tests")]

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use object::{Object, ObjectSymbol};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A line of `/proc/PID/maps`, as far as it tells a file.
struct Mapped<'a> {
    range: &'a str,
    device: &'a str,
    inode: u64,
    path: &'a str,
}

impl<'a> Mapped<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let range = fields.next()?;
        let mut fields = fields.skip(2);
        let (device, inode) = (fields.next()?, fields.next()?.parse().ok()?);
        let path = &line[line.find('/')?..];
        Some(Self { range, device, inode, path: path.strip_suffix(" (deleted)").unwrap_or(path) })
    }

    fn is_libc(&self) -> bool {
        self.path.rsplit('/').next().is_some_and(|file| file.starts_with("libc.so") || file.contains("musl"))
    }

    /// The file, whatever lies at its path by now.
    fn open(&self, pid: i32) -> Result<File> {
        // Whoever may (CAP_CHECKPOINT_RESTORE) gets what is mapped.
        if let Ok(file) = File::open(format!("/proc/{pid}/map_files/{}", self.range)) {
            return Ok(file);
        }
        // As the process sees it, in its own mount namespace.
        let file = File::open(format!("/proc/{pid}/root{}", self.path))?;
        let metadata = file.metadata()?;
        let device = format!("{:02x}:{:02x}", libc::major(metadata.dev()), libc::minor(metadata.dev()));
        if (device.as_str(), metadata.ino()) != (self.device, self.inode) {
            return Err(format!(
                "{} is another file than the one that process {pid} has mapped (replaced by an update?): start the \
                 process again, or run as root",
                self.path
            )
            .into());
        }
        Ok(file)
    }
}

/// Where a function of the process's C library lies.
pub fn function(pid: i32, name: &str) -> Result<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    // Sorted by address: the first begins the file.
    let first = maps.lines().filter_map(Mapped::parse).find(Mapped::is_libc);
    let first = first.ok_or("the process has no C library that it shares with others")?;
    let base = u64::from_str_radix(first.range.split('-').next().unwrap_or_default(), 16)?;
    let mut library = Vec::new();
    first.open(pid)?.read_to_end(&mut library)?;
    let library = object::File::parse(&*library)?;
    let symbol = library.dynamic_symbols().find(|symbol| symbol.name() == Ok(name) && symbol.is_definition());
    Ok(base + symbol.ok_or("its C library has no such function")?.address())
}

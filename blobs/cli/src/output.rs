//! Where output goes: standard output, or a file that is there completely or not at all.
//!
//! A half-written image looks like a whole one, so a file is written under another name beside its place and then renamed.
//! Whatever cannot be written is an error, a full disk and a reader that has gone away among them.

use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use tempfile::Builder;

use crate::error::Error;

/// Whatever writes itself, piece by piece: an image as text may be too much to hold.
pub(crate) type Writing<'a> = &'a dyn Fn(&mut dyn io::Write) -> io::Result<()>;

/// Writes to a path; `-` is standard output.
pub(crate) fn to(path: &Path, writing: Writing<'_>) -> Result<(), Error> {
    if path == Path::new("-") {
        return to_stdout(writing);
    }
    to_file(path, writing).map_err(|error| Error::write(path, error))
}

pub(crate) fn to_stdout(writing: Writing<'_>) -> Result<(), Error> {
    checked(buffered(&mut io::stdout(), writing))
}

fn buffered(to: &mut dyn io::Write, writing: Writing<'_>) -> io::Result<()> {
    let mut buffer = BufWriter::with_capacity(1 << 16, to);
    writing(&mut buffer)?;
    buffer.flush()
}

/// The error of something that was written to standard output, or of what is still to be written.
pub(crate) fn checked(written: io::Result<()>) -> Result<(), Error> {
    written.and_then(|()| io::stdout().flush()).map_err(Error::stdout)
}

fn to_file(path: &Path, writing: Writing<'_>) -> io::Result<()> {
    let there = match fs::metadata(path) {
        // A device or a pipe is written to; a file in its place would not be what was asked for.
        Ok(there) if !there.is_file() => {
            return buffered(&mut fs::OpenOptions::new().write(true).open(path)?, writing);
        }
        Ok(there) => Some(there.permissions()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    // A link goes on pointing to what it points to.
    let place = if there.is_some() { fs::canonicalize(path)? } else { path.to_owned() };
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = new(folder)?;
    buffered(file.as_file_mut(), writing)?;
    if let Some(permissions) = there {
        file.as_file().set_permissions(permissions)?;
    }
    // Some file systems find out only now that they are full.
    file.as_file().sync_all()?;
    file.persist(place)?;
    Ok(())
}

/// A file of another name, which goes away again unless it is renamed.
fn new(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".pie-blob-");
    // As any new file: less what the user's mask takes away.
    #[cfg(unix)]
    builder.permissions(<fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    builder.tempfile_in(folder)
}

//! Opening files whose paths others have written down: an image may name anything, and nothing here waits for the other end of
//! a pipe or wakes a device.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a regular file, and nothing else.
pub(crate) fn regular(path: impl AsRef<Path>, writable: bool) -> io::Result<File> {
    let refused = || io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
    if !fs::metadata(&path)?.is_file() {
        return Err(refused());
    }
    let file = File::options().read(true).write(writable).custom_flags(libc::O_NONBLOCK).open(path)?;
    // It may have been replaced meanwhile.
    if file.metadata()?.is_file() { Ok(file) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;

    #[test]
    fn a_pipe_with_a_name_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let name = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the name ends with a zero.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        for path in [path.to_str().unwrap(), "/dev/null", "/"] {
            assert_eq!(regular(path, false).unwrap_err().to_string(), "not a regular file", "{path}");
        }
        assert!(regular("/proc/self/exe", false).is_ok());
    }
}

//! Another process's memory: its `mem` file, and `process_vm_readv(2)` and `process_vm_writev(2)`.
//!
//! The file asks for the right to it once, when it is opened; the calls ask each time. It also writes over what pages
//! allow, and it belongs to the program that ran when it was opened: after an `execve` it is at its end.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::ptr::without_provenance_mut;

use super::{check, count};

/// The memory of one process, as long as it runs the program that it runs now.
#[derive(Debug)]
pub(crate) struct Memory {
    pid: i32,
    file: File,
    /// Whether a read lets the process change its map while it waits for a page.
    yields: bool,
}

impl Memory {
    pub(crate) fn open(pid: i32) -> io::Result<Self> {
        count();
        let file = OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"))?;
        Ok(Self { pid, file, yields: false })
    }

    /// Has reading go by `process_vm_readv`, or by the file again. Reading the file keeps the process from mapping and
    /// unmapping anything until a page that it waits for has come; the call lets it. But it reads what the process runs
    /// by then.
    pub(crate) fn yielding(self, yields: bool) -> Self {
        Self { yields, ..self }
    }

    /// Reads a whole range; `UnexpectedEof` when the program is no longer the same.
    pub(crate) fn read(&self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.yields {
            match read(self.pid, &mut [(address, buffer)]) {
                // A kernel without it (CONFIG_CROSS_MEMORY_ATTACH).
                Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {}
                read => return read,
            }
        }
        count();
        self.file.read_exact_at(buffer, address)
    }

    /// Writes a whole range, whatever its pages allow.
    pub(crate) fn write_over(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        count();
        self.file.write_all_at(bytes, address)
    }

    /// Writes a whole range, on a kernel that lets nobody write over permissions only where its pages allow it.
    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_over(address, bytes).or_else(|_| write(self.pid, &[(address, bytes)]))
    }
}

/// Reads each range into its buffer, all in one call; an error when one of them is not wholly readable.
pub(crate) fn read(pid: i32, ranges: &mut [(u64, &mut [u8])]) -> io::Result<()> {
    let mut local = Vec::with_capacity(ranges.len());
    let mut remote = Vec::with_capacity(ranges.len());
    let mut wanted = 0;
    for (address, buffer) in ranges {
        local.push(libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() });
        remote.push(remote_vector(*address, buffer.len())?);
        wanted += buffer.len();
    }
    count();
    // SAFETY: every local vector is a buffer that is borrowed for the whole call; the remote ones are numbers to us.
    let result = unsafe {
        libc::process_vm_readv(
            pid,
            local.as_ptr(),
            local.len() as u64,
            remote.as_ptr(),
            remote.len() as u64,
            0,
        )
    };
    whole(result, wanted)
}

/// Writes each buffer to its address, all in one call; an error when one of them is not wholly writable.
pub(crate) fn write(pid: i32, ranges: &[(u64, &[u8])]) -> io::Result<()> {
    let mut local = Vec::with_capacity(ranges.len());
    let mut remote = Vec::with_capacity(ranges.len());
    let mut wanted = 0;
    for (address, bytes) in ranges {
        local.push(libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() });
        remote.push(remote_vector(*address, bytes.len())?);
        wanted += bytes.len();
    }
    count();
    // SAFETY: the kernel only reads the local vectors, which are borrowed for the whole call.
    let result = unsafe {
        libc::process_vm_writev(
            pid,
            local.as_ptr(),
            local.len() as u64,
            remote.as_ptr(),
            remote.len() as u64,
            0,
        )
    };
    whole(result, wanted)
}

fn remote_vector(address: u64, len: usize) -> io::Result<libc::iovec> {
    let address = usize::try_from(address).map_err(|_| io::Error::from_raw_os_error(libc::EFAULT))?;
    Ok(libc::iovec { iov_base: without_provenance_mut(address), iov_len: len })
}

fn whole(result: isize, wanted: usize) -> io::Result<()> {
    let done = check(result as libc::c_long)?;
    if usize::try_from(done).is_ok_and(|done| done == wanted) {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::EFAULT))
    }
}

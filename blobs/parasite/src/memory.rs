//! Any range of the process's own memory, without stumbling into a hole.

use pie_blob_std::sys::{self, Sysno};
use pie_blob_std::syscalls::syscall6;

/// The kernel's `struct iovec`.
#[repr(C)]
struct IoVec {
    base: usize,
    len: usize,
}

/// Copies `len` bytes from the address `from` of the process to `out`.
///
/// Returns how many bytes were readable, counted from the start; a negated error number when none was. The kernel
/// does the reading (`process_vm_readv` of itself), so an address that is not mapped is an answer, not a fault.
///
/// # Safety
///
/// `out` points to room for `len` bytes.
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn copy_memory(out: *mut u8, from: u64, len: usize) -> isize {
    #[expect(clippy::cast_possible_truncation, reason = "an address of this very process")]
    let remote = IoVec { base: from as usize, len };
    let local = IoVec { base: out.expose_provenance(), len };
    let pid = sys::sign_extended(sys::getpid());
    let (local, remote) = ((&raw const local).addr(), (&raw const remote).addr());
    // SAFETY: the kernel writes at most `len` bytes to `out`, for which the caller has room.
    let result = unsafe { syscall6(Sysno::process_vm_readv, pid, local, 1, remote, 1, 0) };
    match result {
        Ok(copied) => isize::try_from(copied).unwrap_or(isize::MAX),
        Err(errno) => -(errno.into_raw() as isize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_copied() {
        let from = *b"what lies here";
        let mut out = [0; 14];
        // SAFETY: `out` has room for 14 bytes.
        let copied = unsafe { copy_memory(out.as_mut_ptr(), from.as_ptr().expose_provenance() as u64, 14) };
        assert_eq!((copied, out), (14, from));
    }

    #[test]
    fn a_hole_is_an_answer() {
        let mut out = [0; 8];
        // SAFETY: `out` has room for 8 bytes.
        assert_eq!(unsafe { copy_memory(out.as_mut_ptr(), 0, 8) }, -14);
    }
}

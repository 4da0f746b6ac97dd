//! What a process has asked the kernel for, once and for all, that nothing outside of it shows.

use core::ffi::c_int;

use pie_blob_std::sys::{Errno, Sysno};
use pie_blob_std::syscalls::{syscall2, syscall3, syscall6};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const PAGE: usize = 4096;

/// Bit of [`Requests::lock`]: memory to come is locked.
pub const MCL_FUTURE: u32 = 2;
/// Bit of [`Requests::lock`]: but only what is used.
pub const MCL_ONFAULT: u32 = 4;

/// What was asked for; what the kernel does not know or does not say reads as 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct Requests {
    /// `MEMBARRIER_CMD_GET_REGISTRATIONS` (Linux 6.3): a bit for each command that registers, the command itself.
    pub barriers: u32,
    /// `mlockall(2)` for memory to come: [`MCL_FUTURE`], and perhaps [`MCL_ONFAULT`].
    pub lock: u32,
    /// `ARCH_GET_XCOMP_PERM`: the processor's features that it may use, with bit 0 for feature 0.
    pub features: u64,
}

/// Fills in what was asked for.
///
/// # Safety
///
/// `out` points to room for [`Requests`].
#[cfg_attr(pie_blob, unsafe(no_mangle))]
pub unsafe extern "C" fn dump_requests(out: *mut Requests) -> c_int {
    let requests = requests();
    // SAFETY: the caller's promise; unaligned because the host chooses the place.
    unsafe { out.write_unaligned(requests) };
    0
}

/// Asks the kernel, call by call.
#[must_use]
pub fn requests() -> Requests {
    Requests { barriers: barriers(), lock: lock(), features: features() }
}

fn barriers() -> u32 {
    const MEMBARRIER_CMD_GET_REGISTRATIONS: usize = 1 << 9;
    // SAFETY: takes numbers.
    let answer = unsafe { syscall3(Sysno::membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0) };
    answer.ok().and_then(|registered| u32::try_from(registered).ok()).unwrap_or(0)
}

/// What becomes of new memory says what was asked for: a page is mapped for a moment.
fn lock() -> u32 {
    const READ_WRITE: usize = 1 | 2;
    const PRIVATE_ANONYMOUS: usize = 2 | 0x20;
    const NO_FILE: usize = usize::MAX;
    const MADV_DONTNEED: usize = 4;
    // SAFETY: takes the place of nothing; nobody knows of it.
    let mapped = unsafe { syscall6(Sysno::mmap, 0, PAGE, READ_WRITE, PRIVATE_ANONYMOUS, NO_FILE, 0) };
    let page = match mapped {
        Ok(page) => page,
        // Locked memory has come to its limit.
        Err(Errno::EAGAIN) => return MCL_FUTURE,
        Err(_) => return 0,
    };
    let mut there = 0_u8;
    // SAFETY: writes one byte, for one page.
    let _ = unsafe { syscall3(Sysno::mincore, page, PAGE, (&raw mut there).addr()) };
    // SAFETY: the page is this function's and nothing lies there; locked memory refuses.
    let dropped = unsafe { syscall3(Sysno::madvise, page, PAGE, MADV_DONTNEED) };
    // SAFETY: as above.
    let _ = unsafe { syscall2(Sysno::munmap, page, PAGE) };
    match dropped {
        Err(Errno::EINVAL) if there & 1 == 1 => MCL_FUTURE,
        Err(Errno::EINVAL) => MCL_FUTURE | MCL_ONFAULT,
        _ => 0,
    }
}

#[cfg(target_arch = "x86_64")]
fn features() -> u64 {
    const ARCH_GET_XCOMP_PERM: usize = 0x1022;
    let mut features = 0_u64;
    // SAFETY: writes one word to the second argument.
    let answer = unsafe { syscall2(Sysno::arch_prctl, ARCH_GET_XCOMP_PERM, (&raw mut features).addr()) };
    if answer.is_err() { 0 } else { features }
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_seen() {
        const REGISTER_PRIVATE_EXPEDITED: usize = 1 << 4;
        let before = requests();
        assert_eq!(before.lock, 0);
        // SAFETY: takes numbers.
        assert!(unsafe { syscall3(Sysno::membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0) }.is_ok());
        // A kernel before 6.3 does not say.
        assert!([0, before.barriers | 1 << 4].contains(&requests().barriers));
        // The x87 unit and SSE need no permission.
        #[cfg(target_arch = "x86_64")]
        assert!([0, 3].contains(&(requests().features & 3)));
    }
}

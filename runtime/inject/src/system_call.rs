//! System calls that a victim is made to make, and what they answer.

use std::io;

/// A system call that the victim is made to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemCall {
    pub(crate) name: &'static str,
    pub(crate) number: u64,
    pub(crate) arguments: [u64; 6],
}

impl SystemCall {
    /// Maps pages of a file, or of none with the descriptor -1.
    pub(crate) fn mmap(address: u64, len: u64, protection: i32, flags: i32, descriptor: u64) -> Self {
        let arguments = [address, len, small(protection), small(flags), descriptor, 0];
        Self { name: "mmap", number: libc::SYS_mmap.unsigned_abs(), arguments }
    }

    pub(crate) fn mprotect(address: u64, len: u64, protection: i32) -> Self {
        let arguments = [address, len, small(protection), 0, 0, 0];
        Self { name: "mprotect", number: libc::SYS_mprotect.unsigned_abs(), arguments }
    }

    /// Opens a file in memory, which nobody can execute as a program where the kernel knows how to say so (since 6.3). That
    /// is the one way that `vm.memfd_noexec` allows whatever its value, and it does not keep its pages from being code.
    pub(crate) fn memfd_create(name: u64, no_program: bool) -> Self {
        const MFD_NOEXEC_SEAL: u64 = 0x8;
        let flags = u64::from(libc::MFD_CLOEXEC) | if no_program { MFD_NOEXEC_SEAL } else { 0 };
        let number = libc::SYS_memfd_create.unsigned_abs();
        Self { name: "memfd_create", number, arguments: [name, flags, 0, 0, 0, 0] }
    }

    pub(crate) fn ftruncate(descriptor: u64, len: u64) -> Self {
        let number = libc::SYS_ftruncate.unsigned_abs();
        Self { name: "ftruncate", number, arguments: [descriptor, len, 0, 0, 0, 0] }
    }

    pub(crate) fn close(descriptor: u64) -> Self {
        Self { name: "close", number: libc::SYS_close.unsigned_abs(), arguments: [descriptor, 0, 0, 0, 0, 0] }
    }

    pub(crate) fn munmap(address: u64, len: u64) -> Self {
        Self {
            name: "munmap",
            number: libc::SYS_munmap.unsigned_abs(),
            arguments: [address, len, 0, 0, 0, 0],
        }
    }
}

/// Flags are small positive ints.
fn small(flags: i32) -> u64 {
    u64::from(flags.unsigned_abs())
}

/// What a system call has answered: its value or its error.
pub(crate) fn answer(answer: i64) -> io::Result<u64> {
    match answer {
        errno @ -4095..=-1 => {
            Err(io::Error::from_raw_os_error(i32::try_from(-errno).unwrap_or(libc::EINVAL)))
        }
        #[expect(clippy::cast_sign_loss, reason = "an address")]
        value => Ok(value as u64),
    }
}

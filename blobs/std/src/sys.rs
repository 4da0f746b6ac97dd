//! System calls that are safe to make: those that take numbers or memory that Rust vouches for.
//!
//! Everything else is in the `syscalls` crate, re-exported by this one.

pub use syscalls::{Errno, Sysno};

/// Writes to a file descriptor and returns how many bytes were taken. Starts again after a signal.
///
/// The SIGPIPE that comes with `EPIPE` is taken where it is blocked, as it is while a blob runs in a victim: pending, it
/// would end the victim once the blob is gone.
///
/// # Errors
///
/// What `write(2)` answers, `EINTR` excepted.
pub fn write(fd: i32, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        // SAFETY: `write` reads `bytes.len()` bytes from a slice of that length and changes no memory.
        let result = unsafe {
            syscalls::syscall3(Sysno::write, sign_extended(fd), bytes.as_ptr() as usize, bytes.len())
        };
        match result {
            Err(Errno::EINTR) => {}
            result => {
                if result == Err(Errno::EPIPE) {
                    take_blocked(SIGPIPE);
                }
                return result;
            }
        }
    }
}

const SIGPIPE: u32 = 13;

/// Takes a signal that is pending, if it is.
fn take_blocked(signal: u32) {
    let (set, at_once) = (1_u64 << (signal - 1), [0_i64; 2]);
    // SAFETY: reads one set of 8 bytes and one timespec, and writes nothing.
    let _ = unsafe {
        syscalls::syscall4(
            Sysno::rt_sigtimedwait,
            (&raw const set).addr(),
            0,
            (&raw const at_once).addr(),
            size_of::<u64>(),
        )
    };
}

/// The process's id as it sees it itself, in its own pid namespace.
#[must_use]
pub fn getpid() -> i32 {
    // SAFETY: takes nothing, touches no memory, cannot fail.
    number(unsafe { syscalls::syscall0(Sysno::getpid) })
}

/// The thread's id as it sees it itself, in its own pid namespace.
#[must_use]
pub fn gettid() -> i32 {
    // SAFETY: takes nothing, touches no memory, cannot fail.
    number(unsafe { syscalls::syscall0(Sysno::gettid) })
}

/// An `int` as the kernel takes it from a 64-bit register.
#[must_use]
#[expect(clippy::cast_sign_loss, reason = "the register holds the sign extension")]
pub const fn sign_extended(int: i32) -> usize {
    int as isize as usize
}

/// The `int` that a call answered; a failure as its negated number.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "the kernel answers an int")]
pub fn number(result: Result<usize, Errno>) -> i32 {
    match result {
        Ok(value) => value as i32,
        Err(errno) => -errno.into_raw(),
    }
}
